//! `plan`: what a push would do.

mod human;
mod machine;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use anyhow::{anyhow, bail};
use app::deploy::Memory;
use app::plan::{DeployedStackSets, Outlook, Planner, Question};
use app::ports::{DeployStore as _, OrganizationalUnits, PolicyRepository, PortErrorKind};
use domain::fault::Fault;
use domain::ids::{CommitId, StackSetName};

use crate::cloud::{self, Application, Cloud};
use crate::plain::shown;
use crate::repository::Folder;
use crate::{Format, Verdict, output};

/// Show what a push would do, before it does it.
///
/// Reads the policy in a folder, or at a commit with --commit, and holds it against what is deployed, as `deploy` would: what
/// changes in each framework, what becomes of each account and Region and why, the operations in their order and the waves that
/// they take. Changes nothing. What `deploy` would reject is listed with its place, as `lint` does.
///
/// The application's stack says whose StackSets these are and where its memory is. Without the stack (before it is deployed, or
/// where it cannot be read), say --repository and --branch. Credentials and Region are those that the AWS CLI would use;
/// they need cloudformation:DescribeStacks, DescribeStackSet, DescribeStackSetOperation, ListStackInstances and
/// ListStackSetAutoDeploymentTargets, and dynamodb:Query on the state table; with --commit codecommit:GetBranch and GetFile; for
/// organizational units organizations:DescribeOrganization, ListRoots, ListAccountsForParent and
/// ListOrganizationalUnitsForParent.
///
/// Exit status: 0 when there is a plan, 1 when `deploy` would reject the policy (with --exit-code also when anything would
/// change), 2 when that cannot be known.
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
    || echo 'a push would change something'
  backup-compliance plan --format json | jq '.frameworks[] | .instances'")]
pub(crate) struct Args {
    /// The policy file, or a folder with a `backup-compliance.yaml`.
    #[arg(value_name = "DIR|POLICY_FILE", default_value = ".", conflicts_with = "commit")]
    path: PathBuf,
    /// The root of the policy repository, which template paths start from; without it, the policy file's folder.
    #[arg(long, value_name = "DIR", conflicts_with = "commit")]
    root: Option<PathBuf>,
    /// The policy at this commit of the repository in CodeCommit; `head` is that of the branch.
    #[arg(long, value_name = "ID")]
    commit: Option<String>,
    /// The application's stack.
    #[arg(long, value_name = "NAME", default_value = cloud::STACK)]
    stack: String,
    /// The policy repository in CodeCommit, if it is not the stack's.
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,
    /// Its branch, if it is not the stack's; `main` without a stack.
    #[arg(long, value_name = "NAME")]
    branch: Option<String>,
    /// Only this framework.
    #[arg(long, value_name = "NAME", value_parser = StackSetName::parse)]
    framework: Option<StackSetName>,
    /// Name every instance instead of groups of them.
    #[arg(long)]
    all: bool,
    /// Exit with status 1 when anything would change.
    #[arg(long)]
    exit_code: bool,
    /// The form of the result on standard output.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    #[command(flatten)]
    access: cloud::Access,
}

/// What a plan is about, and what is not known of it.
#[derive(Debug)]
struct Subject {
    owner: String,
    /// `None` for a folder.
    commit: Option<CommitId>,
    notes: Vec<String>,
}

/// A plan, or why there is none.
type Planned = Result<Outlook, Vec<Fault>>;

pub(crate) fn run(args: &Args) -> anyhow::Result<Verdict> {
    // What is wrong with the arguments and the folder is told before anybody waits.
    let folder = match args.commit {
        None => Some(Folder::open(&args.path, args.root.as_deref())?),
        Some(_) => None,
    };
    let (subject, planned) = cloud::wait(plan(args, folder.as_ref()))?;
    match args.format {
        Format::Human => output::text(&human::page(&subject, &planned, args.all, output::room()))?,
        Format::Json => output::line(&serde_json::to_string_pretty(&machine::json(&subject, &planned))?)?,
    }
    Ok(match planned {
        Err(_) => Verdict::Findings,
        Ok(outlook) if args.exit_code && outlook.is_change() => Verdict::Findings,
        Ok(_) => Verdict::Clean,
    })
}

async fn plan(args: &Args, folder: Option<&Folder>) -> anyhow::Result<(Subject, Planned)> {
    let cloud = Cloud::connect(&args.access).await?;
    let mut notes = Vec::new();
    let application = match cloud.application(&args.stack).await {
        Ok(application) => application,
        Err(error) if error.kind == PortErrorKind::Denied && args.repository.is_some() => {
            notes.push(format!("the stack `{}` could not be read", shown(&args.stack)));
            None
        }
        Err(error) => return Err(cloud::problem(&error)),
    };
    let followed = Followed::of(args, application.as_ref())?;
    let memory = match application.as_ref().map(|application| application.outputs.get("StateTableName")) {
        None => {
            notes.push(format!(
                "there is no stack `{}` to say what was deployed before: parameter overrides in force are not known, nor is what has left the policy",
                shown(&args.stack)
            ));
            None
        }
        Some(table) => memory(&cloud, &table?, &mut notes).await?,
    };
    if followed.event_bus.is_none() {
        notes.push(
            "the application's event bus is not known: frameworks are taken to go on with the one that they have"
                .into(),
        );
    }
    let repository = cloud.repository(&followed.repository, &followed.branch);
    let commit = match args.commit.as_deref() {
        None => None,
        Some("head") => {
            let head = repository.head().await.map_err(|error| cloud::problem(&error))?;
            Some(head.ok_or_else(|| anyhow!("the branch `{}` does not exist", shown(&followed.branch)))?)
        }
        Some(id) => Some(CommitId::parse(id)?),
    };
    let owner = followed.owner();
    let question = Question {
        commit: commit.clone().map_or_else(Folder::commit_id, Ok)?,
        policy_file: folder.map_or_else(|| followed.policy_file.clone(), |folder| folder.policy_file().to_owned()),
        owner: owner.clone(),
        event_bus_arn: followed.event_bus,
        only: args.framework.clone(),
    };
    let (stack_sets, organization) = (cloud.stack_sets(), cloud.units());
    let planned = match folder {
        Some(folder) => {
            let planner = Planner { repository: folder.clone(), stack_sets, organization };
            let planned = ask(&planner, &question, memory.as_ref()).await?;
            planned.map_err(|faults| faults.into_iter().map(|fault| folder.located(fault)).collect())
        }
        None => ask(&Planner { repository, stack_sets, organization }, &question, memory.as_ref()).await?,
    };
    Ok((Subject { owner, commit, notes }, planned))
}

/// What `deploy` remembers; whoever may not read it gets a plan all the same.
async fn memory(cloud: &Cloud, table: &str, notes: &mut Vec<String>) -> anyhow::Result<Option<Memory>> {
    match cloud.state_table(table).memory().await {
        Ok(memory) => Ok(Some(memory)),
        Err(error) if error.kind == PortErrorKind::Denied => {
            notes.push(
                "the state table could not be read: parameter overrides in force are not known, nor is what has left the policy"
                    .to_owned(),
            );
            Ok(None)
        }
        Err(error) => Err(cloud::problem(&error)),
    }
}

async fn ask<G, S, O>(
    planner: &Planner<G, S, O>,
    question: &Question,
    memory: Option<&Memory>,
) -> anyhow::Result<Planned>
where
    G: PolicyRepository,
    S: DeployedStackSets,
    O: OrganizationalUnits,
{
    let waiting = output::Waiting::new();
    let looking = |name: &StackSetName| waiting.on(format!("reading the instances of {name}"));
    let planned = planner.plan(question, memory, looking).await.map_err(|error| cloud::problem(&error))?;
    if let (Ok(outlook), Some(only)) = (&planned, &question.only)
        && outlook.frameworks.is_empty()
        && outlook.undeclared.is_empty()
    {
        let declared: Vec<&str> = outlook.declared.iter().map(StackSetName::as_str).collect();
        bail!("the policy has no framework `{only}`; it has {}", declared.join(", "));
    }
    Ok(planned)
}

/// What the application follows.
#[derive(Debug)]
struct Followed {
    repository: String,
    branch: String,
    policy_file: String,
    event_bus: Option<String>,
}

impl Followed {
    fn of(args: &Args, application: Option<&Application>) -> anyhow::Result<Self> {
        let parameter = |name: &str| application.and_then(|application| application.parameters.get(name)).cloned();
        let Some(repository) = args.repository.clone().or_else(|| parameter("RepositoryName")) else {
            bail!(
                "there is no stack `{}` of Backup Compliance in this account and Region: name the application's with --stack, or say whose StackSets are meant with --repository and --branch",
                shown(&args.stack)
            );
        };
        Ok(Self {
            repository,
            branch: args.branch.clone().or_else(|| parameter("BranchName")).unwrap_or_else(|| "main".to_owned()),
            policy_file: parameter("PolicyFile").unwrap_or_else(|| "backup-compliance.yaml".to_owned()),
            event_bus: application.map(|application| application.outputs.get("EventBusArn")).transpose()?,
        })
    }

    /// What the application's tag says on its StackSets.
    fn owner(&self) -> String {
        app::deploy::owner(&self.repository, &self.branch)
    }
}
