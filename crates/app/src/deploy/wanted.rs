//! What the policy at a commit wants, or everything that is wrong with it.

use super::memory::{FrameworkFacts, Variant};
use super::reconcile::Application;
use crate::ports::{PolicyRepository, RepositoryFile, Result};
use domain::fault::Fault;
use domain::framework::Framework;
use domain::ids::CommitId;
use domain::policy::{FrameworkPolicy, Policy};
use domain::rollout::{Desired, Instance, Parameters};
use domain::template::Template;
use std::collections::BTreeMap;

/// The parameter through which a framework template learns where compliance events go.
const EVENT_BUS_PARAMETER: &str = "ComplianceEventBusArn";

/// What the policy at a commit wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Each of its frameworks.
    pub frameworks: Vec<WantedFramework>,
}

/// One framework.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedFramework {
    /// The StackSet.
    pub desired: Desired,
    /// Its controls, for those who explain violations.
    pub facts: FrameworkFacts,
    /// Where the policy file declares it.
    pub at: domain::fault::Position,
}

/// Reads the policy file and its templates at a commit.
///
/// # Errors
/// The outer one when the repository could not be read; the inner one when what was read cannot be used: every fault of every
/// file.
pub(super) async fn read(
    repository: &impl PolicyRepository,
    application: &Application,
    commit: &CommitId,
) -> Result<Result<Wanted, Vec<Fault>>> {
    let file = application.policy_file.as_str();
    let text = match repository.file(commit, file).await? {
        RepositoryFile::Text(text) => text,
        other => return Ok(Err(vec![unreadable(file, &other, "the application's parameter PolicyFile")])),
    };
    let policy = match Policy::read(file, &text) {
        Ok(policy) => policy,
        Err(faults) => return Ok(Err(faults)),
    };
    let mut texts: BTreeMap<&str, RepositoryFile> = BTreeMap::new();
    for framework in &policy.frameworks {
        if !texts.contains_key(framework.template.as_str()) {
            texts.insert(&framework.template, repository.file(commit, &framework.template).await?);
        }
    }
    let mut frameworks = Vec::new();
    let mut faults = Vec::new();
    for framework in &policy.frameworks {
        let found = texts.get(framework.template.as_str()).unwrap_or(&RepositoryFile::Missing);
        match wanted(application, framework, found) {
            Ok(framework) => frameworks.push(framework),
            Err(more) => faults.extend(more),
        }
    }
    // Two frameworks may share a template: its faults are told once.
    let mut told = std::collections::BTreeSet::new();
    faults.retain(|fault| told.insert(fault.to_string()));
    Ok(if faults.is_empty() { Ok(Wanted { frameworks }) } else { Err(faults) })
}

fn wanted(
    application: &Application,
    framework: &FrameworkPolicy,
    file: &RepositoryFile,
) -> Result<WantedFramework, Vec<Fault>> {
    let RepositoryFile::Text(text) = file else {
        let mut fault = unreadable(&framework.template, file, &format!("the framework `{}`", framework.name));
        fault.file.clone_from(&application.policy_file);
        fault.at = Some(framework.at);
        return Err(vec![fault]);
    };
    let template = Template::read(&framework.template, text)?;
    let mut parameters = framework.parameters.clone();
    if template.declares(EVENT_BUS_PARAMETER) {
        parameters.entry(EVENT_BUS_PARAMETER.to_owned()).or_insert_with(|| application.event_bus_arn.clone());
    }
    let mut variants = Vec::new();
    let mut instances: BTreeMap<Instance, Parameters> = BTreeMap::new();
    for target in &framework.targets {
        let mut in_force = parameters.clone();
        in_force.extend(target.parameters.clone());
        let controls = Framework::read_all(&template, &in_force)?
            .into_iter()
            .flat_map(|framework| framework.controls)
            .map(|control| (control.control.name.to_owned(), control.parameters))
            .collect();
        variants.push(Variant {
            accounts: target.accounts.iter().cloned().collect(),
            regions: target.regions.iter().cloned().collect(),
            controls,
        });
        for account in &target.accounts {
            for region in &target.regions {
                let instance = Instance { account: account.clone(), region: region.clone() };
                instances.insert(instance, target.parameters.clone());
            }
        }
    }
    let capabilities = template.capabilities().into_iter().map(|capability| capability.as_str().to_owned()).collect();
    Ok(WantedFramework {
        desired: Desired {
            name: framework.name.clone(),
            template: text.clone(),
            capabilities,
            parameters,
            instances,
            rollout: framework.rollout.clone(),
        },
        facts: FrameworkFacts { stack_set: framework.name.clone(), variants },
        at: framework.at,
    })
}

fn unreadable(path: &str, found: &RepositoryFile, named_by: &str) -> Fault {
    let (problem, fix) = match found {
        RepositoryFile::Missing | RepositoryFile::Text(_) => (
            format!("the file `{path}` is not in the repository at this commit"),
            format!("add it, or correct the path that {named_by} gives"),
        ),
        RepositoryFile::NotText => {
            (format!("the file `{path}` is not UTF-8 text"), "store it as UTF-8, without a binary prefix".to_owned())
        }
        RepositoryFile::TooLarge => (
            format!("the file `{path}` is larger than CodeCommit hands out (6 MB)"),
            "make it smaller: CloudFormation takes templates of at most 1 MB".to_owned(),
        ),
    };
    Fault::of_file(path, problem, fix)
}
