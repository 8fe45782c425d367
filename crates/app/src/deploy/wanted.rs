//! What the policy at a commit wants, or everything that is wrong with it.

use super::memory::{FrameworkFacts, Variant};
use crate::ports::{PolicyRepository, RepositoryFile, Result, StackSetRef};
use domain::fault::{Fault, Position, nearest};
use domain::framework::Framework;
use domain::ids::{AccountId, CommitId};
use domain::lint::{self, Level, Placed};
use domain::policy::{FrameworkPolicy, Place, Policy, Reporting, Target};
use domain::rollout::{
    AccountFilter, Desired, Instance, Membership, Parameters, Permissions, ServiceManaged, UnitTarget,
    Wanted as WantedInstance,
};
use domain::template::{Alike, Capability, Template};
use std::collections::{BTreeMap, BTreeSet};

/// The parameter through which a framework template learns where compliance events go.
pub(crate) const EVENT_BUS_PARAMETER: &str = "ComplianceEventBusArn";

/// What the policy at a commit wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Each of its frameworks.
    pub frameworks: Vec<WantedFramework>,
    /// What it says about violations.
    pub reporting: Reporting,
    /// Frameworks that have left the policy are to be removed.
    pub remove_undeclared: bool,
    /// Where each of the exemptions stands in the policy file.
    exemptions_at: Vec<Position>,
    /// What is odd about its frameworks together, and no error.
    pub(super) crowded: Vec<Fault>,
    /// The policy file: path and text.
    file: (String, String),
}

impl Wanted {
    /// Finds the instances of a framework whose targets are organizational units; what the policy says of them that cannot be is a
    /// fault. An account that has left its units since the policy was put in force is none, only one that a `fresh` policy names.
    pub(crate) fn place(&mut self, framework: usize, membership: &Membership, fresh: bool) -> Vec<Fault> {
        let Some(framework) = self.frameworks.get_mut(framework) else { return Vec::new() };
        let (file, text) = &self.file;
        framework
            .place(membership, fresh)
            .into_iter()
            .map(|(at, problem, fix)| Fault::at(file, text, at, problem, fix))
            .collect()
    }

    /// A fault at a place of the policy file.
    pub(crate) fn fault(&self, at: Position, problem: impl Into<String>, fix: impl Into<String>) -> Fault {
        let (file, text) = &self.file;
        Fault::at(file, text, at, problem, fix)
    }

    /// A warning about an exemption, at its place.
    pub(super) fn warning(
        &self,
        exemption: usize,
        problem: impl Into<String>,
        fix: impl Into<String>,
    ) -> Option<Fault> {
        let (file, text) = &self.file;
        Some(Fault::at(file, text, *self.exemptions_at.get(exemption)?, problem, fix))
    }
}

/// One framework.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedFramework {
    /// The StackSet.
    pub desired: Desired,
    /// Its controls, for those who explain violations.
    pub facts: FrameworkFacts,
    /// Where the policy file declares it.
    pub at: Position,
    /// Where it declares each of its targets.
    targets_at: Vec<Position>,
    /// The number of the target that each variant of the facts is for.
    targets_of_variants: Vec<usize>,
    /// Its accounts are known; those of organizational units have to be asked for.
    placed: bool,
}

impl WantedFramework {
    /// The StackSet and for whom it is called.
    #[must_use]
    pub fn stack_set(&self) -> StackSetRef<'_> {
        StackSetRef { name: &self.desired.name, call_as: self.desired.permissions.call_as() }
    }

    /// Whether it is known which accounts it applies to.
    pub(super) fn is_placed(&self) -> bool {
        self.placed
    }

    fn place(&mut self, membership: &Membership, fresh: bool) -> Vec<(Position, String, String)> {
        let mut faults = Vec::new();
        let Permissions::ServiceManaged(service) = &self.desired.permissions else { return faults };
        for (index, (target, at)) in service.targets.iter().zip(&self.targets_at).enumerate() {
            for unit in target.units.iter().filter(|unit| !membership.units.contains_key(*unit)) {
                let problem = format!("there is no organizational unit `{unit}` in this organisation");
                let fix = "compare it with `aws organizations list-organizational-units-for-parent`; a unit that was moved keeps its id";
                faults.push((*at, problem, fix.to_owned()));
            }
            let members: BTreeSet<_> = target.units.iter().flat_map(|unit| membership.accounts(unit)).collect();
            if let AccountFilter::Only(listed) | AccountFilter::Except(listed) = &target.accounts {
                for account in listed {
                    if membership.management.as_ref() == Some(account)
                        && matches!(target.accounts, AccountFilter::Only(_))
                    {
                        let problem = format!("account {account} is the management account");
                        let fix = "StackSets with organizational units never deploy to it: remove it here, and cover it by a framework that lists it under `accounts`";
                        faults.push((*at, problem, fix.to_owned()));
                    } else if fresh
                        && !members.contains(account)
                        && target.units.iter().all(|unit| membership.units.contains_key(unit))
                    {
                        let problem =
                            format!("account {account} is in none of the organizational units of this target");
                        faults.push((*at, problem, "remove it, or name the unit that it is in".to_owned()));
                    }
                }
            }
            let accounts: BTreeSet<AccountId> = members
                .into_iter()
                .filter(|account| {
                    target.accounts.admits(account)
                        && !membership.inactive.contains(*account)
                        && membership.management.as_ref() != Some(*account)
                })
                .cloned()
                .collect();
            let variants = self.facts.variants.iter_mut().zip(&self.targets_of_variants);
            for (variant, _) in variants.filter(|(_, target)| **target == index) {
                variant.accounts.clone_from(&accounts);
            }
        }
        self.desired.place(membership);
        self.placed = true;
        faults
    }
}

/// The policy of a repository at a commit. `deploy` reads it to put it in force, the command line to say what is wrong with
/// it: both read it here, so that what passes the one passes the other.
#[derive(Debug, Clone, Copy)]
pub struct PolicyAt<'a> {
    /// The commit.
    pub commit: &'a CommitId,
    /// The policy file's path in the repository.
    pub policy_file: &'a str,
    /// Where frameworks are to forward compliance events, given to templates that declare `ComplianceEventBusArn`.
    pub event_bus_arn: &'a str,
}

impl PolicyAt<'_> {
    /// Reads the policy file and its templates.
    ///
    /// # Errors
    /// The outer one when the repository could not be read; the inner one when what was read cannot be used: every fault of
    /// every file.
    pub async fn read(&self, repository: &impl PolicyRepository) -> Result<Result<Wanted, Vec<Fault>>> {
        let text = match repository.file(self.commit, self.policy_file).await? {
            RepositoryFile::Missing => {
                let problem = format!("the policy file `{}` is not in the repository", self.policy_file);
                let fix = "add it, or correct the application's parameter `PolicyFile`";
                return Ok(Err(vec![Fault::of_file(self.policy_file, problem, fix)]));
            }
            file => match file.into_text(self.policy_file) {
                Ok(text) => text,
                Err(fault) => return Ok(Err(vec![*fault])),
            },
        };
        let policy = match Policy::read(self.policy_file, &text) {
            Ok(policy) => policy,
            Err(faults) => return Ok(Err(faults)),
        };
        let mut templates: BTreeMap<&str, RepositoryFile> = BTreeMap::new();
        for framework in &policy.frameworks {
            if !templates.contains_key(framework.template.as_str()) {
                templates.insert(&framework.template, repository.file(self.commit, &framework.template).await?);
            }
        }
        let mut frameworks = Vec::new();
        let mut placed = Vec::new();
        let mut faults = Vec::new();
        for framework in &policy.frameworks {
            let template = templates.get(framework.template.as_str()).unwrap_or(&RepositoryFile::Missing);
            match self.wanted(&text, framework, template) {
                Ok((framework, there)) => {
                    frameworks.push(framework);
                    placed.extend(there);
                }
                Err(more) => faults.extend(more),
            }
        }
        // Each is right by itself; AWS looks at those that meet in an account and Region too.
        let (refused, crowded): (Vec<Fault>, Vec<Fault>) = lint::together(self.policy_file, &text, &placed)
            .into_iter()
            .partition(|fault| fault.level() == Level::Error);
        faults.extend(refused);
        // Two frameworks may share a template: its faults are told once.
        let mut told = BTreeSet::new();
        faults.retain(|fault| told.insert(fault.to_string()));
        if !faults.is_empty() {
            return Ok(Err(faults));
        }
        let Policy { reporting, exemptions_at, remove_undeclared, .. } = policy;
        Ok(Ok(Wanted {
            frameworks,
            reporting,
            remove_undeclared,
            exemptions_at,
            crowded,
            file: (self.policy_file.to_owned(), text),
        }))
    }

    fn wanted(
        &self,
        policy: &str,
        framework: &FrameworkPolicy,
        file: &RepositoryFile,
    ) -> Result<(WantedFramework, Vec<Placed>), Vec<Fault>> {
        let in_policy =
            |at: Position, problem: String, fix: String| Fault::at(self.policy_file, policy, at, problem, fix);
        let text = match file {
            RepositoryFile::Text(text) => text,
            RepositoryFile::Missing => {
                let problem = format!("the template `{}` is not in the repository", framework.template);
                let fix = format!(
                    "add it, or correct `template` of the framework `{}`: the path starts from the root of the repository",
                    framework.name
                );
                return Err(vec![in_policy(framework.at, problem, fix)]);
            }
            other => {
                return Err(other
                    .clone()
                    .into_text(&framework.template)
                    .err()
                    .map(|fault| *fault)
                    .into_iter()
                    .collect());
            }
        };
        let template = Template::read(&framework.template, text)?;
        let declared = |parameters: &Parameters| -> Parameters {
            parameters.iter().filter(|(name, _)| template.declares(name)).map(|(k, v)| (k.clone(), v.clone())).collect()
        };
        let mut filled_in = Parameters::new();
        if template.declares(EVENT_BUS_PARAMETER) {
            filled_in.insert(EVENT_BUS_PARAMETER.to_owned(), self.event_bus_arn.to_owned());
        }
        // What is wrong whatever the policy says is the template's fault.
        let of_template = Framework::read_all(&template, &filled_in).err().unwrap_or_default();
        let mut faults: Vec<Fault> = undeclared(&template, &framework.parameters)
            .map(|(problem, fix)| in_policy(framework.at, problem, fix))
            .collect();
        let mut parameters = filled_in;
        parameters.extend(declared(&framework.parameters));
        faults.extend(self.macros(policy, framework, &template));
        let (mut variants, mut targets_of_variants) = (Vec::new(), Vec::new());
        let mut placed = Vec::new();
        let mut instances: BTreeMap<Instance, WantedInstance> = BTreeMap::new();
        for (index, target) in framework.targets.iter().enumerate() {
            let target_faults = undeclared(&template, &target.parameters);
            faults.extend(target_faults.map(|(problem, fix)| in_policy(target.at, problem, fix)));
            let mut in_force = parameters.clone();
            in_force.extend(declared(&target.parameters));
            let at = if target.parameters.is_empty() { framework.at } else { target.at };
            let in_place = |fault: Fault| {
                if of_template.contains(&fault) { fault } else { in_policy(at, blamed(&fault), fault.fix) }
            };
            let there = match read_for(target, &template, &in_force) {
                Ok(there) => there,
                Err(more) => {
                    faults.extend(more.into_iter().map(in_place));
                    continue;
                }
            };
            let of_target = in_force_at(&there);
            targets_of_variants.extend(of_target.iter().map(|_| index));
            variants.extend(of_target);
            placed.extend(there.into_iter().map(|There { places, frameworks, .. }| Placed {
                name: framework.name.to_string(),
                at: target.at,
                accounts: sharing(target, &places),
                regions: places.regions,
                frameworks,
            }));
            let wanted = WantedInstance::from(target.parameters.clone());
            for account in target.accounts() {
                for region in &target.regions {
                    let instance = Instance { account: account.clone(), region: region.clone() };
                    instances.insert(instance, wanted.clone());
                }
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let capabilities =
            template.capabilities().into_iter().map(|capability| capability.as_str().to_owned()).collect();
        let wanted = WantedFramework {
            desired: Desired {
                name: framework.name.clone(),
                template: text.clone(),
                capabilities,
                parameters,
                permissions: permissions(framework),
                adopt: framework.adopt,
                instances,
                skipped: BTreeMap::new(),
                rollout: framework.rollout.clone(),
            },
            facts: FrameworkFacts { stack_set: framework.name.clone(), variants },
            at: framework.at,
            targets_at: framework.targets.iter().map(|target| target.at).collect(),
            targets_of_variants,
            placed: !framework.is_service_managed(),
        };
        Ok((wanted, placed))
    }

    /// What StackSets with service-managed permissions do not take (CloudFormation user guide, "Considerations for creating
    /// StackSets with service-managed permissions").
    fn macros(&self, policy: &str, framework: &FrameworkPolicy, template: &Template) -> Option<Fault> {
        let expands = framework.is_service_managed() && template.capabilities().contains(&Capability::AutoExpand);
        expands.then(|| {
            let problem = format!(
                "the template `{}` uses macros or nested stacks, which StackSets does not take with organizational units",
                framework.template
            );
            let fix = "write the template out (`aws cloudformation get-template --template-stage Processed` shows it), or list accounts instead";
            Fault::at(self.policy_file, policy, framework.at, problem, fix)
        })
    }
}

/// What a target brings to places between which the template makes no difference.
struct There {
    places: Alike,
    frameworks: Vec<Framework>,
    controls: Controls,
}

/// Control name to its parameters.
type Controls = BTreeMap<String, BTreeMap<String, String>>;

/// The frameworks that a target brings, read for each of the places between which the template makes a difference.
fn read_for(target: &Target, template: &Template, in_force: &Parameters) -> Result<Vec<There>, Vec<Fault>> {
    const ACCOUNT: &str = "AWS::AccountId";
    let accounts: BTreeSet<_> = target.accounts().iter().cloned().collect();
    let regions: BTreeSet<_> = target.regions.iter().cloned().collect();
    let (mut there, mut faults) = (Vec::new(), Vec::new());
    for places in template.alike(&accounts, &regions, false) {
        let mut parameters = in_force.clone();
        parameters.extend(places.pseudo.clone());
        let frameworks = match Framework::read_all(template, &parameters) {
            Ok(frameworks) => frameworks,
            Err(more) => {
                faults.extend(more);
                continue;
            }
        };
        let mut controls = controls(&frameworks);
        // It was read for one account; what another has another value for is said of none.
        let first = parameters.get(ACCOUNT).cloned();
        if let (Some(first), Some(last)) = (first, places.accounts.last())
            && first != last.as_str()
        {
            parameters.insert(ACCOUNT.to_owned(), last.to_string());
            let others = match Framework::read_all(template, &parameters) {
                Ok(others) => self::controls(&others),
                Err(more) => {
                    faults.extend(more);
                    continue;
                }
            };
            for (control, own) in &mut controls {
                let other = others.get(control);
                own.retain(|name, value| other.is_some_and(|other| other.get(name) == Some(value)));
            }
        }
        there.push(There { places, frameworks, controls });
    }
    if faults.is_empty() { Ok(there) } else { Err(faults) }
}

fn controls(frameworks: &[Framework]) -> Controls {
    let all = frameworks.iter().flat_map(|framework| &framework.controls);
    all.map(|control| (control.control.name.to_owned(), control.parameters.clone())).collect()
}

/// Which controls are in force where, Regions with the same ones together. The accounts of organizational units are found later.
fn in_force_at(there: &[There]) -> Vec<Variant> {
    let mut variants: Vec<Variant> = Vec::new();
    for There { places, controls, .. } in there {
        let same = |variant: &&mut Variant| variant.accounts == places.accounts && variant.controls == *controls;
        match variants.iter_mut().find(same) {
            Some(variant) => variant.regions.extend(places.regions.iter().cloned()),
            None => variants.push(Variant {
                accounts: places.accounts.clone(),
                regions: places.regions.clone(),
                controls: controls.clone(),
                since: BTreeMap::new(),
            }),
        }
    }
    variants
}

/// What stands for the accounts of a target when it is asked which frameworks meet.
fn sharing(target: &Target, places: &Alike) -> BTreeSet<String> {
    match &target.place {
        Place::Accounts(_) => places.accounts.iter().map(ToString::to_string).collect(),
        Place::Units { units, accounts: AccountFilter::All } => units.iter().map(ToString::to_string).collect(),
        // Of a part of a unit's accounts nobody knows which it has.
        Place::Units { .. } => BTreeSet::new(),
    }
}

/// Who makes the roles in the target accounts: AWS where targets are organizational units.
fn permissions(framework: &FrameworkPolicy) -> Permissions {
    if !framework.is_service_managed() {
        return Permissions::SelfManaged;
    }
    let target = |target: &Target| match &target.place {
        Place::Accounts(_) => None,
        Place::Units { units, accounts } => Some(UnitTarget {
            units: units.iter().cloned().collect(),
            accounts: accounts.clone(),
            regions: target.regions.iter().cloned().collect(),
            overrides: target.parameters.clone(),
        }),
    };
    Permissions::ServiceManaged(ServiceManaged {
        call_as: framework.call_as,
        auto_deployment: framework.auto_deployment,
        targets: framework.targets.iter().filter_map(target).collect(),
    })
}

/// Parameters that the policy gives and the template does not know: problem and fix of each.
fn undeclared<'a>(template: &'a Template, given: &'a Parameters) -> impl Iterator<Item = (String, String)> + use<'a> {
    given.keys().filter(|name| !template.declares(name)).map(|name| {
        let fix = match nearest(name, template.parameters().keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "remove it, or declare it under `Parameters` of the template".to_owned(),
        };
        (format!("the template `{}` declares no parameter `{}`", template.file(), name.escape_debug()), fix)
    })
}

/// The problem of a fault that stands in the template and comes of the policy's parameters.
fn blamed(fault: &Fault) -> String {
    let place = fault.at.map(|Position { line, column }| format!(":{line}:{column}")).unwrap_or_default();
    format!("with the parameters given here, {} ({}{place})", fault.problem, fault.file)
}
