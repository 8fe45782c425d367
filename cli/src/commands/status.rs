//! `status`: the state of rollouts.

mod human;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde_json::{Value, json};

use app::deploy::ports::{DeployStore, DeployedStackSets, PolicyRepository};
use app::in_force::PolicyDirectory;
use app::lifecycle::WaitingRequest;
use app::lifecycle::ports::RequestStore;
use app::status::{FrameworkStatus, RolloutStatus, read_live, status};
use aws::{Clients, PolicyOrigin};
use framework::ids::StackSetName;

use crate::cloud::{self, ApplicationStack};
use crate::commands::plan::operation_json;
use crate::{CommandOutcome, OutputFormat, output};

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
pub(crate) struct StatusArgs {
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
    #[arg(long, value_enum, default_value_t = OutputFormat::Human)]
    format: OutputFormat,
    #[command(flatten)]
    access: cloud::AwsOptions,
}

pub(crate) fn run(args: &StatusArgs) -> anyhow::Result<CommandOutcome> {
    let status = cloud::block_on(async {
        let aws = cloud::connect(&args.access).await?;
        let table = cloud::state_table(&aws, args.table.as_deref(), &args.stack).await?;
        let repository = match args.live && args.table.is_none() {
            true => followed(&aws, &args.stack).await?,
            false => None,
        };
        let live = args.live.then(|| cloud::stack_sets(&aws));
        ask(&table, live.as_ref(), repository.as_ref(), cloud::now()).await
    })?;
    match args.format {
        OutputFormat::Human => output::text(&human::page(&status))?,
        OutputFormat::Json => output::json(&json(&status))?,
    }
    Ok(if status.is_failure() { CommandOutcome::Findings } else { CommandOutcome::Clean })
}

/// The source of the policy that the application deploys.
async fn followed(aws: &Clients, stack: &str) -> anyhow::Result<Option<PolicyOrigin>> {
    let application = cloud::application(aws, stack).await.map_err(cloud::aws_error)?;
    Ok(application.and_then(|application| {
        let ApplicationStack { parameters, .. } = &application;
        let (repository, branch) = (parameters.get("RepositoryName")?, parameters.get("BranchName")?);
        Some(aws.policy_origin(application.policy_bucket(), repository, branch))
    }))
}

async fn ask(
    store: &(impl DeployStore + RequestStore + PolicyDirectory),
    live: Option<&impl DeployedStackSets>,
    repository: Option<&impl PolicyRepository>,
    now: Timestamp,
) -> anyhow::Result<RolloutStatus> {
    let mut found = status(store, now).await.map_err(cloud::aws_error)?;
    if let Some(stack_sets) = live {
        let steps = output::Steps::new();
        let reading = |name: &StackSetName| steps.at(format!("reading the instances of {name}"));
        read_live(&mut found, stack_sets, repository, reading).await.map_err(cloud::aws_error)?;
    }
    Ok(found)
}

/// The status as JSON, without the pre-signed URLs of the requests.
fn json(status: &RolloutStatus) -> Value {
    let request = |WaitingRequest { request, since, .. }: &WaitingRequest| json!({ "kind": request.kind, "resource": request.envelope.logical_resource_id, "since": since });
    json!({
        "version": 1,
        "at": status.at,
        "frameworks": status.frameworks.iter().map(framework).collect::<Vec<_>>(),
        "removing": status.removing,
        "requests": status.requests.iter().map(request).collect::<Vec<_>>(),
        "rejected": status.rejected,
        "head": status.head,
    })
}

fn framework(FrameworkStatus { rollout, accounts, regions, causes, live }: &FrameworkStatus) -> Value {
    json!({
        "stackSet": rollout.name,
        "phase": rollout.phase,
        "commit": rollout.commit,
        "author": rollout.author,
        "message": rollout.message,
        "began": rollout.started,
        "attempt": rollout.attempt,
        "isRetried": rollout.is_retried(),
        "undeclared": rollout.undeclared,
        "accounts": accounts,
        "regions": regions,
        "operation": rollout.in_flight.as_ref().map(operation_json),
        "ended": rollout.ended.as_ref().map(|ended| json!({
            "at": ended.at,
            "total": ended.verdict.total,
            "succeeded": ended.verdict.succeeded,
            "failed": ended.failed,
            "skipped": ended.skipped,
            "causes": causes,
            "error": ended.error,
        })),
        "live": live,
    })
}
