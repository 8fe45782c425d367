//! The desired state: the policy at a commit with its templates, or its diagnostics.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use domain::policy::{FrameworkPolicy, Policy, PolicyTarget, PreviewLimits, Reporting, TargetScope};
use domain::rollout::{
    AccountFilter, Desired, DesiredInstance, Instance, Membership, ObservedStackSet, OrganizationalUnitTarget,
    Parameters, PermissionModel, Permissions, ServiceManaged,
};
use framework::ids::{AccountId, CommitId, StackSetName, UnitId};
use framework::lint::{self, FrameworkDeployment, Level};
use framework::{EquivalentLocations, Framework};
use syntax::diagnostic::{Diagnostic, Position};
use syntax::template::{Capability, Template};
use syntax::text::closest_match;

use super::ports::{DeployedStackSets, OrganizationalUnits, PolicyRepository, RepositoryFile};
use super::state::{ControlVariant, DeployState, PublishedFramework, StackSetRef};
use crate::ports::Result;

/// The template parameter that is set to the ARN of the event bus for compliance events.
pub const EVENT_BUS_PARAMETER: &str = "ComplianceEventBusArn";
/// Represents the value of [`EVENT_BUS_PARAMETER`] where the application's event bus is unknown.
pub const UNKNOWN_EVENT_BUS: &str = "arn:aws:events:us-east-1:000000000000:event-bus/backup-compliance";

/// The desired state at a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredPolicy {
    /// The frameworks of the policy.
    pub frameworks: Vec<DesiredFramework>,
    /// The reporting rules.
    pub reporting: Reporting,
    /// Whether frameworks that have left the policy are removed.
    pub remove_undeclared: bool,
    /// The limits of a change.
    pub preview: PreviewLimits,
    pub(super) exemptions_at: Vec<Position>,
    /// The position of each severity rule in the policy file.
    pub(super) severity_at: Vec<Position>,
    /// Warnings about frameworks that share accounts and Regions.
    pub(super) crowded: Vec<Diagnostic>,
    /// The policy file: path and text.
    file: (String, String),
}

impl DesiredPolicy {
    /// Reads the StackSets of all frameworks. Returns a diagnostic for each that has another owner or permission model.
    pub(crate) async fn describe(
        &self,
        stack_sets: &impl DeployedStackSets,
        owner: &str,
    ) -> Result<(ObservedFrameworks, Vec<Diagnostic>)> {
        let (mut all, mut diagnostics) = (BTreeMap::new(), Vec::new());
        for framework in &self.frameworks {
            let stack_set = stack_sets.describe(framework.stack_set()).await?;
            let refusal = stack_set.as_ref().and_then(|found| ownership_error(&framework.desired, found, owner));
            diagnostics.extend(refusal.map(|(message, help)| self.diagnostic(framework.at, message, help)));
            all.insert(framework.desired.name.clone(), ObservedFramework { stack_set, membership: None });
        }
        Ok((all, diagnostics))
    }

    /// Reads the accounts of the organizational units of all frameworks except `skipped`, and adds their instances. Returns a
    /// diagnostic for each unit or account that is not valid. An account outside its units is reported only if the framework has
    /// changed, not if the account has left them since.
    pub(crate) async fn resolve_units(
        &mut self,
        organization: &impl OrganizationalUnits,
        memory: &DeployState,
        observed: &mut ObservedFrameworks,
        skipped: &BTreeSet<StackSetName>,
    ) -> Result<Vec<Diagnostic>> {
        let (file, text) = &self.file;
        let mut diagnostics = Vec::new();
        for framework in &mut self.frameworks {
            let desired = &framework.desired;
            let units = desired.organizational_units();
            let Some(observed) = observed.get_mut(&desired.name).filter(|_| !units.is_empty()) else { continue };
            if skipped.contains(&desired.name) {
                continue;
            }
            let known = memory.rollouts.get(&desired.name);
            let fresh = known.is_none_or(|known| known.value.digest != desired.digest());
            let membership = organization.membership(&units).await?;
            let faults = framework.resolve_units(&membership, fresh);
            diagnostics
                .extend(faults.into_iter().map(|(at, message, help)| Diagnostic::at(file, text, at, message, help)));
            observed.membership = Some(membership);
        }
        Ok(diagnostics)
    }

    pub(crate) fn diagnostic(&self, at: Position, message: impl Into<String>, help: impl Into<String>) -> Diagnostic {
        let (file, text) = &self.file;
        Diagnostic::at(file, text, at, message, help)
    }
}

/// The observed StackSet of a framework, and the accounts of its organizational units, if they were read.
#[derive(Default)]
pub(crate) struct ObservedFramework {
    pub(crate) stack_set: Option<ObservedStackSet>,
    pub(crate) membership: Option<Membership>,
}

pub(crate) type ObservedFrameworks = BTreeMap<StackSetName, ObservedFramework>;

/// The desired state of one framework.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredFramework {
    /// The desired StackSet.
    pub desired: Desired,
    /// The controls to publish.
    pub published: PublishedFramework,
    /// Its position in the policy file.
    pub at: Position,
    /// The position of each of its targets, and the indexes of its variants.
    targets: Vec<(Position, Range<usize>)>,
    /// Whether its accounts are known; those of organizational units have to be read.
    pub(super) accounts_known: bool,
    /// Whether the template has no control that is known only at deployment.
    pub(super) controls_known: bool,
}

impl DesiredFramework {
    /// The StackSet and its caller.
    pub fn stack_set(&self) -> StackSetRef<'_> {
        StackSetRef { name: &self.desired.name, call_as: self.desired.permissions.call_as() }
    }

    fn resolve_units(&mut self, membership: &Membership, fresh: bool) -> Vec<(Position, String, &'static str)> {
        let mut diagnostics = Vec::new();
        let Permissions::ServiceManaged(service) = &self.desired.permissions else { return diagnostics };
        for (target, (at, variants)) in service.targets.iter().zip(&self.targets) {
            let (known, unknown): (Vec<&UnitId>, Vec<_>) =
                target.units.iter().partition(|unit| membership.units.contains_key(*unit));
            for unit in &unknown {
                let message = format!("the organizational unit `{unit}` is not in this organization");
                let help = "compare it with `aws organizations list-organizational-units-for-parent`; a unit that was moved keeps its id";
                diagnostics.push((*at, message, help));
            }
            let members: BTreeSet<_> = known.into_iter().flat_map(|unit| membership.accounts(unit)).collect();
            let is_management = |account: &AccountId| membership.management.as_ref() == Some(account);
            let (listed, is_only) = match &target.accounts {
                AccountFilter::Only(listed) => (Some(listed), true),
                AccountFilter::Except(listed) => (Some(listed), false),
                AccountFilter::All => (None, false),
            };
            for account in listed.into_iter().flatten() {
                if is_only && is_management(account) {
                    let message = format!("account {account} is the management account");
                    let help = "StackSets with organizational units never deploy to it: remove it here, and add it to a framework that lists it under `accounts`";
                    diagnostics.push((*at, message, help));
                } else if fresh && unknown.is_empty() && !members.contains(account) {
                    let message = format!("account {account} is in none of the organizational units of this target");
                    diagnostics.push((*at, message, "remove it, or name the unit that it is in"));
                }
            }
            let accounts: BTreeSet<AccountId> = members
                .into_iter()
                .filter(|account| target.accounts.selects(account) && !membership.inactive.contains(*account))
                .filter(|account| !is_management(account))
                .cloned()
                .collect();
            for variant in self.published.variants.get_mut(variants.clone()).unwrap_or_default() {
                variant.accounts.clone_from(&accounts);
            }
        }
        self.desired.resolve_organizational_units(membership);
        self.accounts_known = true;
        diagnostics
    }
}

/// The policy of a repository at a commit. Both `deploy` and the command line read it here, so that their checks are equal.
#[derive(Debug, Clone, Copy)]
pub struct PolicySource<'a> {
    /// The commit.
    pub commit: &'a CommitId,
    /// The policy file's path in the repository.
    pub policy_file: &'a str,
    /// ARN of the event bus, set in templates that declare `ComplianceEventBusArn`.
    pub event_bus_arn: &'a str,
}

/// The files of a policy, and its desired state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFiles {
    /// The desired state, or the diagnostics of all files.
    pub desired: std::result::Result<DesiredPolicy, Vec<Diagnostic>>,
    /// The path of the policy file.
    pub path: String,
    /// The text of the policy file, if it exists and is text.
    pub text: Option<String>,
    /// The texts of its templates by path.
    pub templates: BTreeMap<String, String>,
}

impl PolicySource<'_> {
    /// Reads the policy file and its templates. The inner error has the diagnostics of all files.
    pub async fn read(&self, repository: &impl PolicyRepository) -> Result<Result<DesiredPolicy, Vec<Diagnostic>>> {
        Ok(self.read_files(repository).await?.desired)
    }

    /// Reads the policy file and its templates, and returns their texts too.
    pub async fn read_files(&self, repository: &impl PolicyRepository) -> Result<PolicyFiles> {
        let files = |desired, text| PolicyFiles {
            desired,
            path: self.policy_file.to_owned(),
            text,
            templates: BTreeMap::new(),
        };
        let text = match repository.file(self.commit, self.policy_file).await? {
            RepositoryFile::Missing => {
                let message = format!("the policy file `{}` is not in the repository", self.policy_file);
                let help = "add it, or correct the application's parameter `PolicyFile`";
                return Ok(files(Err(vec![Diagnostic::of_file(self.policy_file, message, help)]), None));
            }
            file => match file.into_text(self.policy_file) {
                Ok(text) => text,
                Err(diagnostic) => return Ok(files(Err(vec![*diagnostic]), None)),
            },
        };
        let policy = match Policy::read(self.policy_file, &text) {
            Ok(policy) => policy,
            Err(diagnostics) => return Ok(files(Err(diagnostics), Some(text))),
        };
        let mut templates: BTreeMap<&str, RepositoryFile> = BTreeMap::new();
        for framework in &policy.frameworks {
            if let Entry::Vacant(unread) = templates.entry(&framework.template) {
                unread.insert(repository.file(self.commit, &framework.template).await?);
            }
        }
        let texts = templates.iter().filter_map(|(path, file)| match file {
            RepositoryFile::Text(text) => Some(((*path).to_owned(), text.clone())),
            _ => None,
        });
        let texts = texts.collect();
        let desired = self.desired(&text, &policy, &templates);
        Ok(PolicyFiles { templates: texts, ..files(desired, Some(text.clone())) })
    }

    fn desired(
        &self,
        text: &str,
        policy: &Policy,
        templates: &BTreeMap<&str, RepositoryFile>,
    ) -> std::result::Result<DesiredPolicy, Vec<Diagnostic>> {
        let (mut frameworks, mut deployments, mut diagnostics) = (Vec::new(), Vec::new(), Vec::new());
        for framework in &policy.frameworks {
            let template = templates.get(framework.template.as_str()).unwrap_or(&RepositoryFile::Missing);
            match self.framework(text, framework, template) {
                Ok((framework, targets)) => {
                    frameworks.push(framework);
                    deployments.extend(targets);
                }
                Err(more) => diagnostics.extend(more),
            }
        }
        // AWS also limits the frameworks that share an account and Region.
        let shared = lint::check_policy(self.policy_file, text, &deployments).into_iter();
        let (errors, crowded): (Vec<Diagnostic>, _) = shared.partition(|diagnostic| diagnostic.level == Level::Error);
        diagnostics.extend(errors);
        let repeated = policy.repetitions().into_iter();
        let repeated = repeated.map(|(at, message, help)| Diagnostic::at(self.policy_file, text, at, message, help));
        let crowded = crowded.into_iter().chain(repeated).collect();
        // Two frameworks may share a template: its diagnostics are reported once.
        let mut reported = BTreeSet::new();
        diagnostics.retain(|diagnostic| reported.insert(diagnostic.to_string()));
        if !diagnostics.is_empty() {
            return Err(diagnostics);
        }
        let Policy { reporting, exemption_positions, severity_positions, remove_undeclared, preview, .. } =
            policy.clone();
        Ok(DesiredPolicy {
            frameworks,
            reporting,
            remove_undeclared,
            preview,
            exemptions_at: exemption_positions,
            severity_at: severity_positions,
            crowded,
            file: (self.policy_file.to_owned(), text.to_owned()),
        })
    }

    /// Reads one framework. Long because it collects the diagnostics of a framework in the order of the policy file.
    fn framework(
        &self,
        policy: &str,
        framework: &FrameworkPolicy,
        file: &RepositoryFile,
    ) -> Result<(DesiredFramework, Vec<FrameworkDeployment>), Vec<Diagnostic>> {
        let in_policy =
            |at: Position, message: String, help: String| Diagnostic::at(self.policy_file, policy, at, message, help);
        let text = match file {
            RepositoryFile::Text(text) => text,
            RepositoryFile::Missing => {
                let message = format!("the template `{}` is not in the repository", framework.template);
                let help = format!(
                    "add it, or correct `template` of the framework `{}`: the path starts from the root of the repository",
                    framework.name
                );
                return Err(vec![in_policy(framework.at, message, help)]);
            }
            other => {
                return Err(other.clone().into_text(&framework.template).err().into_iter().map(|one| *one).collect());
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
        // Diagnostics that do not depend on the policy's parameters are reported in the template.
        let name = stack_name(framework);
        let mut of_any_target = filled_in.clone();
        of_any_target.insert(STACK_NAME.to_owned(), name.clone());
        let of_template = Framework::read_all(&template, &of_any_target).err().unwrap_or_default();
        let faults = undeclared(&template, &framework.parameters);
        let mut diagnostics: Vec<Diagnostic> =
            faults.map(|(message, help)| in_policy(framework.at, message, help)).collect();
        let mut parameters = filled_in;
        parameters.extend(declared(&framework.parameters));
        diagnostics.extend(self.macros(policy, framework, &template));
        let (mut variants, mut targets, mut deployments) = (Vec::new(), Vec::new(), Vec::new());
        let mut instances: BTreeMap<Instance, DesiredInstance> = BTreeMap::new();
        for target in &framework.targets {
            let target_faults = undeclared(&template, &target.parameters);
            diagnostics.extend(target_faults.map(|(message, help)| in_policy(target.at, message, help)));
            let mut in_force = parameters.clone();
            in_force.extend(declared(&target.parameters));
            in_force.insert(STACK_NAME.to_owned(), name.clone());
            let at = if target.parameters.is_empty() { framework.at } else { target.at };
            let located = |diagnostic: Diagnostic| {
                if of_template.contains(&diagnostic) {
                    diagnostic
                } else {
                    in_policy(at, with_parameters(&diagnostic), diagnostic.help)
                }
            };
            let groups = match read_for(target, &template, &in_force) {
                Ok(groups) => groups,
                Err(more) => {
                    diagnostics.extend(more.into_iter().map(located));
                    continue;
                }
            };
            let first = variants.len();
            variants.extend(variants_of(&groups));
            targets.push((target.at, first..variants.len()));
            deployments.extend(groups.into_iter().map(|TargetGroup { locations, frameworks, .. }| {
                FrameworkDeployment {
                    name: framework.name.to_string(),
                    at: target.at,
                    accounts: sharing(target, &locations),
                    regions: locations.regions,
                    frameworks,
                }
            }));
            let desired = DesiredInstance::from(target.parameters.clone());
            for account in target.accounts() {
                let at =
                    target.regions.iter().map(|region| Instance { account: account.clone(), region: region.clone() });
                instances.extend(at.map(|instance| (instance, desired.clone())));
            }
        }
        if !diagnostics.is_empty() {
            return Err(diagnostics);
        }
        let capabilities = template.capabilities().into_iter();
        let desired = DesiredFramework {
            desired: Desired {
                name: framework.name.clone(),
                template: text.clone(),
                capabilities: capabilities.map(|capability| capability.as_str().to_owned()).collect(),
                parameters,
                permissions: permissions(framework),
                adopt: framework.adopt,
                instances,
                skipped: BTreeMap::new(),
                rollout: framework.rollout.clone(),
            },
            published: PublishedFramework { stack_set: framework.name.clone(), variants },
            at: framework.at,
            targets,
            accounts_known: !framework.is_service_managed(),
            controls_known: deployments.iter().flat_map(|one| &one.frameworks).all(|read| read.unknown.is_empty()),
        };
        Ok((desired, deployments))
    }

    /// Unsupported: CloudFormation user guide, "Considerations for creating StackSets with service-managed permissions".
    fn macros(&self, policy: &str, framework: &FrameworkPolicy, template: &Template) -> Option<Diagnostic> {
        let expands = framework.is_service_managed() && template.capabilities().contains(&Capability::AutoExpand);
        expands.then(|| {
            let message = format!(
                "the template `{}` uses macros or nested stacks, which StackSets does not support with organizational units",
                framework.template
            );
            let help = "use the processed template (`aws cloudformation get-template --template-stage Processed`), or list accounts instead";
            Diagnostic::at(self.policy_file, policy, framework.at, message, help)
        })
    }
}

const STACK_NAME: &str = "AWS::StackName";

/// Returns a name as StackSets gives its stacks: `StackSet-<name>-<uuid>`. The uuid, which differs, is zero here.
fn stack_name(framework: &FrameworkPolicy) -> String {
    format!("StackSet-{}-00000000-0000-0000-0000-000000000000", framework.name)
}

/// Accounts and Regions of a target for which the template yields the same frameworks.
struct TargetGroup {
    locations: EquivalentLocations,
    frameworks: Vec<Framework>,
    controls: Controls,
}

type Controls = BTreeMap<String, BTreeMap<String, String>>;

/// Reads the frameworks of a target, once for each group of accounts and Regions between which the template differs.
fn read_for(
    target: &PolicyTarget,
    template: &Template,
    in_force: &Parameters,
) -> Result<Vec<TargetGroup>, Vec<Diagnostic>> {
    let accounts: BTreeSet<_> = target.accounts().iter().cloned().collect();
    let regions: BTreeSet<_> = target.regions.iter().cloned().collect();
    let (mut groups, mut diagnostics) = (Vec::new(), Vec::new());
    for locations in EquivalentLocations::of(template, &accounts, &regions, false) {
        match read_group(locations, template, in_force.clone()) {
            Ok(group) => groups.push(group),
            Err(more) => diagnostics.extend(more),
        }
    }
    if diagnostics.is_empty() { Ok(groups) } else { Err(diagnostics) }
}

fn read_group(
    locations: EquivalentLocations,
    template: &Template,
    mut parameters: Parameters,
) -> Result<TargetGroup, Vec<Diagnostic>> {
    const ACCOUNT: &str = "AWS::AccountId";
    parameters.extend(locations.pseudo.clone());
    let frameworks = Framework::read_all(template, &parameters)?;
    let mut controls = controls_of(&frameworks);
    // Read for the first account: parameters that differ in the last one are omitted.
    if let (Some(first), Some(last)) = (parameters.get_mut(ACCOUNT), locations.accounts.last())
        && *first != last.as_str()
    {
        *first = last.to_string();
        let others = controls_of(&Framework::read_all(template, &parameters)?);
        for (control, own) in &mut controls {
            let other = others.get(control);
            own.retain(|name, value| other.is_some_and(|other| other.get(name) == Some(value)));
        }
    }
    Ok(TargetGroup { locations, frameworks, controls })
}

fn controls_of(frameworks: &[Framework]) -> Controls {
    let all = frameworks.iter().flat_map(|framework| &framework.controls);
    all.map(|control| (control.control.name.to_owned(), control.parameters.clone())).collect()
}

/// Merges groups with equal accounts and controls. The accounts of organizational units are added later.
fn variants_of(groups: &[TargetGroup]) -> Vec<ControlVariant> {
    let mut variants: Vec<ControlVariant> = Vec::new();
    for TargetGroup { locations, controls, .. } in groups {
        let same =
            |variant: &&mut ControlVariant| variant.accounts == locations.accounts && variant.controls == *controls;
        match variants.iter_mut().find(same) {
            Some(variant) => variant.regions.extend(locations.regions.iter().cloned()),
            None => variants.push(ControlVariant {
                accounts: locations.accounts.clone(),
                regions: locations.regions.clone(),
                controls: controls.clone(),
                since: BTreeMap::new(),
            }),
        }
    }
    variants
}

/// The ids that represent the accounts of a target when overlapping frameworks are searched.
fn sharing(target: &PolicyTarget, locations: &EquivalentLocations) -> BTreeSet<String> {
    match &target.scope {
        TargetScope::Accounts(_) => locations.accounts.iter().map(ToString::to_string).collect(),
        TargetScope::OrganizationalUnits { units, accounts: AccountFilter::All } => {
            units.iter().map(ToString::to_string).collect()
        }
        // The accounts of a filtered unit are unknown.
        TargetScope::OrganizationalUnits { .. } => BTreeSet::new(),
    }
}

/// The permission model: service-managed where targets are organizational units.
fn permissions(framework: &FrameworkPolicy) -> Permissions {
    if !framework.is_service_managed() {
        return Permissions::SelfManaged;
    }
    let target = |target: &PolicyTarget| match &target.scope {
        TargetScope::Accounts(_) => None,
        TargetScope::OrganizationalUnits { units, accounts } => Some(OrganizationalUnitTarget {
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

/// Returns message and help for each parameter that the policy sets and the template does not declare.
fn undeclared<'a>(template: &'a Template, given: &'a Parameters) -> impl Iterator<Item = (String, String)> + use<'a> {
    given.keys().filter(|name| !template.declares(name)).map(|name| {
        let help = match closest_match(name, template.parameters().keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "remove it, or declare it under `Parameters` of the template".to_owned(),
        };
        (format!("the template `{}` declares no parameter `{}`", template.file(), name.escape_debug()), help)
    })
}

/// The message of a template's diagnostic that depends on the policy's parameters.
fn with_parameters(diagnostic: &Diagnostic) -> String {
    let position = diagnostic.at.map(|Position { line, column }| format!(":{line}:{column}")).unwrap_or_default();
    format!("with the parameters given here, {} ({}{position})", diagnostic.message, diagnostic.file)
}

/// Explains why this policy may not manage a StackSet: message and help.
fn ownership_error(desired: &Desired, found: &ObservedStackSet, owner: &str) -> Option<(String, &'static str)> {
    let name = &desired.name;
    match found.owner.as_deref() {
        Some(other) if other != owner => {
            let message = format!("a StackSet `{name}` exists already and belongs to the policy `{other}`");
            return Some((message, "give the framework another name, or remove it from that policy first"));
        }
        None if !desired.adopt => {
            let message = format!("a StackSet `{name}` exists already and was not created by this application");
            let help = "give the framework another name, or write `adopt: true` to adopt the StackSet: `backup-compliance plan` shows the changes to its instances";
            return Some((message, help));
        }
        Some(_) | None => {}
    }
    (found.permissions != desired.permissions.model()).then(|| {
        let (has, targets) = match found.permissions {
            PermissionModel::SelfManaged => ("self-managed permissions", "organizational units"),
            PermissionModel::ServiceManaged => ("service-managed permissions", "accounts"),
        };
        let message = format!("the StackSet `{name}` has {has}, and the targets are {targets}");
        (message, "AWS cannot change this while a StackSet has instances: give the framework another name")
    })
}
