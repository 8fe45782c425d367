//! `status`: how rollouts stand.

mod human;
#[cfg(test)]
mod tests;

use app::plan::DeployedStackSets;
use app::ports::{DeployStore, PolicyDirectory, PolicyRepository, RequestStore};
use app::status::{Status, look, status};
use domain::ids::StackSetName;
use jiff::Timestamp;
use serde_json::json;

use crate::cloud::{self, Cloud};
use crate::{Format, Verdict, output};

/// The version of the JSON form. Fields are added without a new one.
const VERSION: u32 = 1;

/// Show how rollouts stand: what is deployed where, at which commit, what runs, what failed.
///
/// Reads what `deploy` remembers, in the account and Region that the application is deployed in; with --live also what StackSets
/// says of every instance now, and the head of the branch. Changes nothing. Credentials and Region are those
/// that the AWS CLI would use; they need cloudformation:DescribeStacks and dynamodb:Query and dynamodb:GetItem on the state table, and with
/// --live cloudformation:DescribeStackSet, cloudformation:ListStackInstances, cloudformation:ListStackSetAutoDeploymentTargets,
/// cloudformation:DescribeStackSetOperation and codecommit:GetBranch.
///
/// Exit status: 0 when nothing has failed, 1 when a rollout failed, the policy at the head was rejected, or (with --live)
/// instances are not as they were rolled out; 2 when that cannot be known.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  backup-compliance status
  backup-compliance status --live
  backup-compliance status --stack backup-compliance-test
  backup-compliance status --format json | jq '.frameworks[] \\
    | {stackSet, phase, commit}'")]
pub(crate) struct Args {
    /// The application's stack, which says where the state table is.
    #[arg(long, value_name = "NAME", default_value = cloud::STACK)]
    stack: String,
    /// The state table, instead of asking the stack for it.
    #[arg(long, value_name = "NAME", conflicts_with = "stack")]
    table: Option<String>,
    /// Ask StackSets, too: every instance, and the head of the branch.
    #[arg(long)]
    live: bool,
    /// The form of the result on standard output.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    #[command(flatten)]
    access: cloud::Access,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Verdict> {
    let status = cloud::wait(async {
        let cloud = Cloud::connect(&args.access).await?;
        let (table, repository) = match &args.table {
            Some(table) => (table.clone(), None),
            None => {
                let table = cloud.outputs(&args.stack).await?.get("StateTableName")?;
                let repository = match args.live {
                    true => followed(&cloud, &args.stack).await?,
                    false => None,
                };
                (table, repository)
            }
        };
        let table = cloud.state_table(&table);
        let live = args.live.then(|| cloud.stack_sets());
        ask(&table, live.as_ref(), repository.as_ref(), cloud::now()).await
    })?;
    match args.format {
        Format::Human => output::text(&human::page(&status))?,
        Format::Json => {
            let mut document = json!(status);
            if let Some(fields) = document.as_object_mut() {
                fields.insert("version".into(), VERSION.into());
            }
            output::line(&serde_json::to_string_pretty(&document)?)?;
        }
    }
    Ok(if status.is_failure() { Verdict::Findings } else { Verdict::Clean })
}

/// The branch that the stack follows.
async fn followed(cloud: &Cloud, stack: &str) -> anyhow::Result<Option<impl PolicyRepository + use<>>> {
    let application = cloud.application(stack).await.map_err(|error| cloud::problem(&error))?;
    Ok(application.and_then(|application| {
        let repository = application.parameters.get("RepositoryName")?;
        Some(cloud.repository(repository, application.parameters.get("BranchName")?))
    }))
}

async fn ask<M>(
    memory: &M,
    live: Option<&impl DeployedStackSets>,
    repository: Option<&impl PolicyRepository>,
    now: Timestamp,
) -> anyhow::Result<Status>
where
    M: DeployStore + RequestStore + PolicyDirectory,
{
    let mut found = status(memory, now).await.map_err(|error| cloud::problem(&error))?;
    if let Some(stack_sets) = live {
        let waiting = output::Waiting::new();
        let looking = |name: &StackSetName| waiting.on(format!("reading the instances of {name}"));
        look(&mut found, memory, stack_sets, repository, looking).await.map_err(|error| cloud::problem(&error))?;
    }
    Ok(found)
}
