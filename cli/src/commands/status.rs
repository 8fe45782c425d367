//! `status`: the state of rollouts.

mod human;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde_json::json;

use app::deploy::ports::PolicyRepository;
use app::plan::DeployedStackSets;
use app::status::{RolloutStatus, StatusStore, read_live, status};
use framework::ids::StackSetName;

use crate::cloud::{self, AwsClients};
use crate::{CommandOutcome, Format, output};

/// The version of the JSON form. New fields do not change it.
const VERSION: u32 = 1;

/// Show the state of rollouts.
///
/// Prints the commit, accounts, Regions, running operation and last result of each framework. Reads the state table in the account
/// and Region of the application; with --live also every stack instance from StackSets, and the head of the branch. Changes
/// nothing. Uses the credentials and the Region of the AWS CLI. Permissions: cloudformation:DescribeStacks, and dynamodb:Query and
/// dynamodb:GetItem on the state table; with --live also cloudformation:DescribeStackSet, cloudformation:ListStackInstances,
/// cloudformation:ListStackSetAutoDeploymentTargets, cloudformation:DescribeStackSetOperation and codecommit:GetBranch.
///
/// Exit status: 0 without failures; 1 if a rollout failed, if the policy at the head of the branch was rejected, or, with --live,
/// if instances have changed since their rollout; 2 on errors.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  backup-compliance status
  backup-compliance status --live
  backup-compliance status --stack backup-compliance-test
  backup-compliance status --format json | jq '.frameworks[] \\
    | {stackSet, phase, commit}'")]
pub(crate) struct Args {
    /// The application's stack, which outputs the name of the state table.
    #[arg(long, value_name = "NAME", default_value = cloud::STACK)]
    stack: String,
    /// The state table, instead of the one of the stack.
    #[arg(long, value_name = "NAME", conflicts_with = "stack")]
    table: Option<String>,
    /// Also read every instance from StackSets, and the head of the branch.
    #[arg(long)]
    live: bool,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    #[command(flatten)]
    access: cloud::AwsOptions,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<CommandOutcome> {
    let status = cloud::block_on(async {
        let cloud = AwsClients::connect(&args.access).await?;
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
    Ok(if status.is_failure() { CommandOutcome::Findings } else { CommandOutcome::Clean })
}

/// The branch that the application deploys.
async fn followed(cloud: &AwsClients, stack: &str) -> anyhow::Result<Option<impl PolicyRepository + use<>>> {
    let application = cloud.application(stack).await.map_err(|error| cloud::aws_error(&error))?;
    Ok(application.and_then(|application| {
        let repository = application.parameters.get("RepositoryName")?;
        Some(cloud.repository(repository, application.parameters.get("BranchName")?))
    }))
}

async fn ask(
    memory: &impl StatusStore,
    live: Option<&impl DeployedStackSets>,
    repository: Option<&impl PolicyRepository>,
    now: Timestamp,
) -> anyhow::Result<RolloutStatus> {
    let mut found = status(memory, now).await.map_err(|error| cloud::aws_error(&error))?;
    if let Some(stack_sets) = live {
        let waiting = output::Waiting::new();
        let reading = |name: &StackSetName| waiting.on(format!("reading the instances of {name}"));
        read_live(&mut found, memory, stack_sets, repository, reading)
            .await
            .map_err(|error| cloud::aws_error(&error))?;
    }
    Ok(found)
}
