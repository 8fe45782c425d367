//! `plan`: the changes that a push would make.

mod human;
mod machine;
#[cfg(test)]
mod tests;

use std::marker::PhantomData;
use std::path::PathBuf;

use anyhow::{anyhow, bail};

use app::deploy::DeployState;
use app::deploy::ports::{DeployStore as _, PolicyRepository};
use app::plan::{PlanEnv, PlanRequest, Planner, PushPlan};
use app::ports::PortErrorKind;
use aws::{CloudFormationStackSets, OrganizationUnits};
use framework::ids::{CommitId, StackSetName};
use syntax::diagnostic::Diagnostic;

use crate::cloud::{self, ApplicationStack, AwsClients};
use crate::plain::escaped;
use crate::repository::PolicyFolder;
use crate::{CommandOutcome, Format, output};

/// Show the changes that a push would make.
///
/// Reads the policy in a folder, or at a commit with --commit, and compares it with the deployed StackSets, as `deploy` does.
/// Prints the changes of each framework, the action on each account and Region with its reason, and the operations in order with
/// their waves. Changes nothing. If `deploy` would reject the policy, prints the errors with their positions, as `lint` does.
///
/// Reads the owner of the StackSets and the name of the state table from the application's stack. Without the stack (before its
/// deployment, or without access to it), set --repository and --branch. Uses the credentials and the Region of the AWS CLI.
/// Permissions: cloudformation:DescribeStacks, DescribeStackSet, DescribeStackSetOperation, ListStackInstances and
/// ListStackSetAutoDeploymentTargets, and dynamodb:Query on the state table; with --commit also codecommit:GetBranch and GetFile;
/// for organizational units also organizations:DescribeOrganization, ListRoots, ListAccountsForParent and
/// ListOrganizationalUnitsForParent.
///
/// Exit status: 0 if there is a plan; 1 if `deploy` would reject the policy, or, with --exit-code, if there are changes; 2 on
/// errors.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  backup-compliance plan
  backup-compliance plan policies --framework backup-compliance --all
  backup-compliance plan --commit head
  backup-compliance plan --commit 7f0103f5c1d2e3f4a5b60718293a4b5c6d7e8f90 \\
    --stack backup-compliance-test
  backup-compliance plan --repository backup-policy --branch main
  backup-compliance plan --exit-code > /dev/null \\
    || echo 'a push would make changes'
  backup-compliance plan --format json | jq '.frameworks[] | .instances'")]
pub(crate) struct Args {
    /// The policy file, or a folder with `backup-compliance.yaml`.
    #[arg(value_name = "DIR|POLICY_FILE", default_value = ".", conflicts_with = "commit")]
    path: PathBuf,
    /// The root of the policy repository, for template paths; default: the policy file's folder.
    #[arg(long, value_name = "DIR", conflicts_with = "commit")]
    root: Option<PathBuf>,
    /// Plan this commit of the CodeCommit repository; `head` is the head of the branch.
    #[arg(long, value_name = "ID")]
    commit: Option<String>,
    /// The application's stack.
    #[arg(long, value_name = "NAME", default_value = cloud::STACK)]
    stack: String,
    /// The policy repository in CodeCommit; default: the stack's.
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,
    /// Its branch; default: the stack's, or `main` without a stack.
    #[arg(long, value_name = "NAME")]
    branch: Option<String>,
    /// Plan only this framework.
    #[arg(long, value_name = "NAME", value_parser = StackSetName::parse)]
    framework: Option<StackSetName>,
    /// List every instance instead of groups.
    #[arg(long)]
    all: bool,
    /// Exit with status 1 if there are changes.
    #[arg(long)]
    exit_code: bool,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    #[command(flatten)]
    access: cloud::AwsOptions,
}

/// The subject of a plan.
#[derive(Debug)]
struct Subject {
    owner: String,
    /// `None` for a folder.
    commit: Option<CommitId>,
    notes: Vec<String>,
}

/// A plan, or the errors of the policy.
type Planned = Result<PushPlan, Vec<Diagnostic>>;

pub(crate) fn run(args: &Args) -> anyhow::Result<CommandOutcome> {
    // Errors of the arguments and the folder are reported before any call to AWS.
    let folder = match args.commit {
        None => Some(PolicyFolder::open(&args.path, args.root.as_deref())?),
        Some(_) => None,
    };
    let (subject, planned) = cloud::block_on(plan(args, folder.as_ref()))?;
    match args.format {
        Format::Human => output::text(&human::page(&subject, &planned, args.all, output::terminal_width()))?,
        Format::Json => output::line(&serde_json::to_string_pretty(&machine::json(&subject, &planned))?)?,
    }
    Ok(match planned {
        Err(_) => CommandOutcome::Findings,
        Ok(outlook) if args.exit_code && outlook.is_change() => CommandOutcome::Findings,
        Ok(_) => CommandOutcome::Clean,
    })
}

async fn plan(args: &Args, folder: Option<&PolicyFolder>) -> anyhow::Result<(Subject, Planned)> {
    let cloud = AwsClients::connect(&args.access).await?;
    let mut notes = Vec::new();
    let application = match cloud.application(&args.stack).await {
        Ok(application) => application,
        Err(error) if error.kind == PortErrorKind::Denied && args.repository.is_some() => {
            notes.push(format!("access to the stack `{}` is denied", escaped(&args.stack)));
            None
        }
        Err(error) => return Err(cloud::aws_error(&error)),
    };
    let followed = Followed::of(args, application.as_ref())?;
    let memory = match application.as_ref().map(|application| application.outputs.get("StateTableName")) {
        None => {
            notes.push(format!(
                "the stack `{}` does not exist: the parameter overrides in force and the frameworks that have left the policy are unknown",
                escaped(&args.stack)
            ));
            None
        }
        Some(table) => memory(&cloud, &table?, &mut notes).await?,
    };
    if followed.event_bus.is_none() {
        notes.push(
            "the application's event bus is unknown: the plan assumes that frameworks keep their event bus".into(),
        );
    }
    let repository = cloud.repository(&followed.repository, &followed.branch);
    let commit = match args.commit.as_deref() {
        None => None,
        Some("head") => {
            let head = repository.head().await.map_err(|error| cloud::aws_error(&error))?;
            Some(head.ok_or_else(|| anyhow!("the branch `{}` does not exist", escaped(&followed.branch)))?)
        }
        Some(id) => Some(CommitId::parse(id)?),
    };
    let owner = followed.owner();
    let question = PlanRequest {
        commit: commit.clone().map_or_else(PolicyFolder::commit_id, Ok)?,
        policy_file: folder.map_or_else(|| followed.policy_file.clone(), |folder| folder.policy_file().to_owned()),
        owner: owner.clone(),
        event_bus_arn: followed.event_bus,
        only: args.framework.clone(),
    };
    let (stack_sets, organization) = (cloud.stack_sets(), cloud.units());
    let planned = match folder {
        Some(folder) => {
            let planner = Planner::<Deployed<_>> { repository: folder.clone(), stack_sets, organization };
            let planned = ask(&planner, &question, memory.as_ref()).await?;
            planned
                .map_err(|diagnostics| diagnostics.into_iter().map(|diagnostic| folder.located(diagnostic)).collect())
        }
        None => {
            ask(&Planner::<Deployed<_>> { repository, stack_sets, organization }, &question, memory.as_ref()).await?
        }
    };
    Ok((Subject { owner, commit, notes }, planned))
}

/// Reads the records of `deploy`. A plan without them is possible, so denied access is a note.
async fn memory(cloud: &AwsClients, table: &str, notes: &mut Vec<String>) -> anyhow::Result<Option<DeployState>> {
    match cloud.state_table(table).load_state().await {
        Ok(memory) => Ok(Some(memory)),
        Err(error) if error.kind == PortErrorKind::Denied => {
            notes.push(
                "access to the state table is denied: the parameter overrides in force and the frameworks that have left the policy are unknown"
                    .to_owned(),
            );
            Ok(None)
        }
        Err(error) => Err(cloud::aws_error(&error)),
    }
}

/// The StackSets of an account, for a policy in `R`.
struct Deployed<R>(PhantomData<R>);

impl<R: PolicyRepository> PlanEnv for Deployed<R> {
    type Repository = R;
    type StackSets = CloudFormationStackSets;
    type Organization = OrganizationUnits;
}

async fn ask<E: PlanEnv>(
    planner: &Planner<E>,
    question: &PlanRequest,
    memory: Option<&DeployState>,
) -> anyhow::Result<Planned> {
    let waiting = output::Waiting::new();
    let reading = |name: &StackSetName| waiting.on(format!("reading the instances of {name}"));
    let planned = planner.plan(question, memory, reading).await.map_err(|error| cloud::aws_error(&error))?;
    if let (Ok(outlook), Some(only)) = (&planned, &question.only)
        && outlook.frameworks.is_empty()
        && outlook.undeclared.is_empty()
    {
        let declared: Vec<&str> = outlook.declared.iter().map(StackSetName::as_str).collect();
        bail!("the policy does not declare the framework `{only}`; it declares {}", declared.join(", "));
    }
    Ok(planned)
}

/// The branch that the application deploys.
#[derive(Debug)]
struct Followed {
    repository: String,
    branch: String,
    policy_file: String,
    event_bus: Option<String>,
}

impl Followed {
    fn of(args: &Args, application: Option<&ApplicationStack>) -> anyhow::Result<Self> {
        let parameter = |name: &str| application.and_then(|application| application.parameters.get(name)).cloned();
        let Some(repository) = args.repository.clone().or_else(|| parameter("RepositoryName")) else {
            bail!(
                "the stack `{}` of Backup Compliance does not exist in this account and Region: set --stack, or --repository and --branch of the policy",
                escaped(&args.stack)
            );
        };
        Ok(Self {
            repository,
            branch: args.branch.clone().or_else(|| parameter("BranchName")).unwrap_or_else(|| "main".to_owned()),
            policy_file: parameter("PolicyFile").unwrap_or_else(|| "backup-compliance.yaml".to_owned()),
            event_bus: application.map(|application| application.outputs.get("EventBusArn")).transpose()?,
        })
    }

    /// The value of the owner tag on the application's StackSets.
    fn owner(&self) -> String {
        app::deploy::owner(&self.repository, &self.branch)
    }
}
