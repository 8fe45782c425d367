//! `plan`: the changes that a push would make.

mod human;
mod machine;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use anyhow::{Context as _, bail};

use app::deploy::DeployState;
use app::deploy::ports::{DeployStore as _, DeployedStackSets, OrganizationalUnits, PolicyRepository};
use app::plan::{PlanRequest, Planner, PushPlan};
use app::ports::PortErrorKind;
use aws::StateTable;
use framework::ids::{CommitId, StackSetName};
use syntax::diagnostic::Diagnostic;

use crate::cloud::{self, ApplicationStack};
use crate::plain::escaped;
use crate::repository::PolicyFolder;
use crate::{CommandOutcome, OutputFormat, output};

pub(crate) use machine::operation as operation_json;

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
pub(crate) struct PlanArgs {
    /// The policy file, or a folder with `backup-compliance.yaml`.
    #[arg(value_name = "DIR|POLICY_FILE", default_value = ".", conflicts_with = "commit")]
    path: PathBuf,
    /// The root of the policy repository, for template paths; default: the policy file's folder.
    #[arg(long, value_name = "DIR", conflicts_with = "commit")]
    root: Option<PathBuf>,
    /// Plan this commit, or this version of a policy in S3; `head` is the latest.
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
    #[arg(long, value_enum, default_value_t = OutputFormat::Human)]
    format: OutputFormat,
    #[command(flatten)]
    access: cloud::AwsOptions,
}

#[derive(Debug)]
struct PlannedState {
    owner: String,
    /// `None` for a folder.
    commit: Option<CommitId>,
    notes: Vec<String>,
}

/// A plan, or the errors of the policy.
type Planned = Result<PushPlan, Vec<Diagnostic>>;

pub(crate) fn run(args: &PlanArgs) -> anyhow::Result<CommandOutcome> {
    // Errors of the arguments and the folder are reported before any call to AWS.
    let open = || PolicyFolder::open(&args.path, args.root.as_deref());
    let folder = args.commit.is_none().then(open).transpose()?;
    let (subject, planned) = cloud::block_on(plan(args, folder.as_ref()))?;
    match args.format {
        OutputFormat::Human => output::text(&human::page(&subject, &planned, args.all, output::terminal_width()))?,
        OutputFormat::Json => output::json(&machine::json(&subject, &planned))?,
    }
    Ok(match planned {
        Err(_) => CommandOutcome::Findings,
        Ok(outlook) if args.exit_code && outlook.is_change() => CommandOutcome::Findings,
        Ok(_) => CommandOutcome::Clean,
    })
}

async fn plan(args: &PlanArgs, folder: Option<&PolicyFolder>) -> anyhow::Result<(PlannedState, Planned)> {
    let aws = cloud::connect(&args.access).await?;
    let mut notes = Vec::new();
    let application = match cloud::application(&aws, &args.stack).await {
        Err(error) if error.kind == PortErrorKind::Denied && args.repository.is_some() => {
            notes.push(format!("access to the stack `{}` is denied", escaped(&args.stack)));
            None
        }
        application => application.map_err(cloud::aws_error)?,
    };
    let followed = Followed::of(args, application.as_ref())?;
    let memory = match application.as_ref().map(|application| application.outputs.get("StateTableName")) {
        None => Err(format!("the stack `{}` does not exist", escaped(&args.stack))),
        Some(table) => match StateTable::new(&aws, &table?).load_state().await {
            Err(error) if error.kind == PortErrorKind::Denied => Err("access to the state table is denied".to_owned()),
            memory => Ok(memory.map_err(cloud::aws_error)?),
        },
    };
    // A plan without the records of `deploy` is possible.
    if let Err(reason) = &memory {
        notes.push(format!(
            "{reason}: the parameter overrides in force and the frameworks that have left the policy are unknown"
        ));
    }
    if followed.event_bus.is_none() {
        notes.push(
            "the application's event bus is unknown: the plan assumes that frameworks keep their event bus".into(),
        );
    }
    let repository = aws.policy_origin(followed.bucket.as_deref(), &followed.repository, &followed.branch);
    let commit = match args.commit.as_deref() {
        None => None,
        Some("head") => {
            let head = repository.head().await.map_err(cloud::aws_error)?;
            Some(head.with_context(|| {
                format!("the branch `{}` does not exist, or has no policy yet", escaped(&followed.branch))
            })?)
        }
        Some(id) => Some(CommitId::parse(id)?),
    };
    let owner = app::deploy::owner(&followed.repository, &followed.branch);
    let question = PlanRequest {
        commit: commit.clone().map_or_else(PolicyFolder::commit_id, Ok)?,
        policy_file: folder.map_or(&followed.policy_file, |folder| &folder.policy_file).clone(),
        owner: owner.clone(),
        event_bus_arn: followed.event_bus,
        only: args.framework.clone(),
    };
    let (stack_sets, organization, memory) =
        (cloud::stack_sets(&aws), aws.organizational_units(true), memory.as_ref().ok());
    let planned = match folder {
        Some(folder) => {
            let planner = Planner { repository: folder.clone(), stack_sets, organization };
            ask(&planner, &question, memory).await?.map_err(|diagnostics| folder.located(diagnostics))
        }
        None => ask(&Planner { repository, stack_sets, organization }, &question, memory).await?,
    };
    Ok((PlannedState { owner, commit, notes }, planned))
}

async fn ask(
    planner: &Planner<impl PolicyRepository, impl DeployedStackSets, impl OrganizationalUnits>,
    question: &PlanRequest,
    memory: Option<&DeployState>,
) -> anyhow::Result<Planned> {
    let steps = output::Steps::new();
    let reading = |name: &StackSetName| steps.at(format!("reading the instances of {name}"));
    let planned = planner.plan(question, memory, reading).await.map_err(cloud::aws_error)?;
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
    /// The bucket with the policy, unless it is in CodeCommit.
    bucket: Option<String>,
    policy_file: String,
    event_bus: Option<String>,
}

impl Followed {
    fn of(args: &PlanArgs, application: Option<&ApplicationStack>) -> anyhow::Result<Self> {
        let parameter = |name: &str| application.and_then(|application| application.parameters.get(name)).cloned();
        let repository = args.repository.clone().or_else(|| parameter("RepositoryName")).with_context(|| {
            format!(
                "the stack `{}` of Backup Compliance does not exist in this account and Region: set --stack, or --repository and --branch of the policy",
                escaped(&args.stack)
            )
        })?;
        Ok(Self {
            repository,
            bucket: application.and_then(ApplicationStack::policy_bucket).map(ToOwned::to_owned),
            branch: args.branch.clone().or_else(|| parameter("BranchName")).unwrap_or_else(|| "main".to_owned()),
            policy_file: parameter("PolicyFile").unwrap_or_else(|| "backup-compliance.yaml".to_owned()),
            event_bus: application.map(|application| application.outputs.get("EventBusArn")).transpose()?,
        })
    }
}
