//! The desired state: the policy at a commit with its templates, or its diagnostics.

use std::collections::{BTreeMap, BTreeSet};

use domain::policy::{FrameworkPolicy, Policy, PolicyTarget, Reporting, TargetScope};
use domain::rollout::{
    AccountFilter, Desired, DesiredInstance as WantedInstance, Instance, Membership, OrganizationalUnitTarget,
    Parameters, Permissions, ServiceManaged,
};
use framework::ids::{AccountId, CommitId};
use framework::lint::{self, FrameworkDeployment, Level};
use framework::{EquivalentLocations, Framework};
use syntax::diagnostic::{Diagnostic, Position};
use syntax::template::{Capability, Template};
use syntax::text::closest_match;

use super::state::{ControlVariant, PublishedFramework};
use crate::deploy::StackSetRef;
use crate::deploy::ports::{PolicyRepository, RepositoryFile};
use crate::ports::Result;

/// The template parameter that is set to the ARN of the event bus for compliance events.
pub(crate) const EVENT_BUS_PARAMETER: &str = "ComplianceEventBusArn";

/// The desired state at a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredPolicy {
    /// The frameworks of the policy.
    pub frameworks: Vec<DesiredFramework>,
    /// The reporting rules.
    pub reporting: Reporting,
    /// Whether frameworks that have left the policy are removed.
    pub remove_undeclared: bool,
    /// The position of each exemption in the policy file.
    exemptions_at: Vec<Position>,
    /// Warnings about frameworks that share accounts and Regions.
    pub(super) crowded: Vec<Diagnostic>,
    /// The policy file: path and text.
    file: (String, String),
}

impl DesiredPolicy {
    /// Adds the instances of a framework whose targets are organizational units. Returns a diagnostic for each unit or account that
    /// is not valid. An account outside its units is reported only if the policy is `fresh`, not if it has left them since.
    pub(crate) fn resolve_units(&mut self, framework: usize, membership: &Membership, fresh: bool) -> Vec<Diagnostic> {
        let Some(framework) = self.frameworks.get_mut(framework) else { return Vec::new() };
        let (file, text) = &self.file;
        framework
            .resolve_units(membership, fresh)
            .into_iter()
            .map(|(at, message, help)| Diagnostic::at(file, text, at, message, help))
            .collect()
    }

    /// A diagnostic at a position of the policy file.
    pub(crate) fn diagnostic(&self, at: Position, message: impl Into<String>, help: impl Into<String>) -> Diagnostic {
        let (file, text) = &self.file;
        Diagnostic::at(file, text, at, message, help)
    }

    /// A warning at the position of an exemption.
    pub(super) fn warning(
        &self,
        exemption: usize,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Option<Diagnostic> {
        Some(self.diagnostic(*self.exemptions_at.get(exemption)?, message, help))
    }
}

/// The desired state of one framework.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredFramework {
    /// The desired StackSet.
    pub desired: Desired,
    /// The controls to publish.
    pub published: PublishedFramework,
    /// Its position in the policy file.
    pub at: Position,
    /// The position of each of its targets.
    targets_at: Vec<Position>,
    /// The index of the target of each variant.
    targets_of_variants: Vec<usize>,
    /// Whether its accounts are known; those of organizational units have to be read.
    accounts_known: bool,
}

impl DesiredFramework {
    /// The StackSet and its caller.
    #[must_use]
    pub fn stack_set(&self) -> StackSetRef<'_> {
        StackSetRef { name: &self.desired.name, call_as: self.desired.permissions.call_as() }
    }

    pub(super) fn are_accounts_known(&self) -> bool {
        self.accounts_known
    }

    fn resolve_units(&mut self, membership: &Membership, fresh: bool) -> Vec<(Position, String, String)> {
        let mut diagnostics = Vec::new();
        let Permissions::ServiceManaged(service) = &self.desired.permissions else { return diagnostics };
        for (index, (target, at)) in service.targets.iter().zip(&self.targets_at).enumerate() {
            for unit in target.units.iter().filter(|unit| !membership.units.contains_key(*unit)) {
                let message = format!("the organizational unit `{unit}` is not in this organization");
                let help = "compare it with `aws organizations list-organizational-units-for-parent`; a unit that was moved keeps its id";
                diagnostics.push((*at, message, help.to_owned()));
            }
            let members: BTreeSet<_> = target.units.iter().flat_map(|unit| membership.accounts(unit)).collect();
            if let AccountFilter::Only(listed) | AccountFilter::Except(listed) = &target.accounts {
                for account in listed {
                    if membership.management.as_ref() == Some(account)
                        && matches!(target.accounts, AccountFilter::Only(_))
                    {
                        let message = format!("account {account} is the management account");
                        let help = "StackSets with organizational units never deploy to it: remove it here, and add it to a framework that lists it under `accounts`";
                        diagnostics.push((*at, message, help.to_owned()));
                    } else if fresh
                        && !members.contains(account)
                        && target.units.iter().all(|unit| membership.units.contains_key(unit))
                    {
                        let message =
                            format!("account {account} is in none of the organizational units of this target");
                        diagnostics.push((*at, message, "remove it, or name the unit that it is in".to_owned()));
                    }
                }
            }
            let accounts: BTreeSet<AccountId> = members
                .into_iter()
                .filter(|account| {
                    target.accounts.selects(account)
                        && !membership.inactive.contains(*account)
                        && membership.management.as_ref() != Some(*account)
                })
                .cloned()
                .collect();
            let variants = self.published.variants.iter_mut().zip(&self.targets_of_variants);
            for (variant, _) in variants.filter(|(_, target)| **target == index) {
                variant.accounts.clone_from(&accounts);
            }
        }
        self.desired.resolve_organizational_units(membership);
        self.accounts_known = true;
        diagnostics
    }
}

/// The policy of a repository at a commit. `deploy` and the command line both read it here, so that a policy that passes one
/// passes the other.
#[derive(Debug, Clone, Copy)]
pub struct PolicySource<'a> {
    /// The commit.
    pub commit: &'a CommitId,
    /// The policy file's path in the repository.
    pub policy_file: &'a str,
    /// ARN of the event bus, set in templates that declare `ComplianceEventBusArn`.
    pub event_bus_arn: &'a str,
}

impl PolicySource<'_> {
    /// Reads the policy file and its templates.
    ///
    /// # Errors
    /// The outer error: the repository could not be read. The inner error: the diagnostics of all files.
    pub async fn read(&self, repository: &impl PolicyRepository) -> Result<Result<DesiredPolicy, Vec<Diagnostic>>> {
        let text = match repository.file(self.commit, self.policy_file).await? {
            RepositoryFile::Missing => {
                let message = format!("the policy file `{}` is not in the repository", self.policy_file);
                let help = "add it, or correct the application's parameter `PolicyFile`";
                return Ok(Err(vec![Diagnostic::of_file(self.policy_file, message, help)]));
            }
            file => match file.into_text(self.policy_file) {
                Ok(text) => text,
                Err(diagnostic) => return Ok(Err(vec![*diagnostic])),
            },
        };
        let policy = match Policy::read(self.policy_file, &text) {
            Ok(policy) => policy,
            Err(diagnostics) => return Ok(Err(diagnostics)),
        };
        let mut templates: BTreeMap<&str, RepositoryFile> = BTreeMap::new();
        for framework in &policy.frameworks {
            if !templates.contains_key(framework.template.as_str()) {
                templates.insert(&framework.template, repository.file(self.commit, &framework.template).await?);
            }
        }
        let mut frameworks = Vec::new();
        let mut placed = Vec::new();
        let mut diagnostics = Vec::new();
        for framework in &policy.frameworks {
            let template = templates.get(framework.template.as_str()).unwrap_or(&RepositoryFile::Missing);
            match self.wanted(&text, framework, template) {
                Ok((framework, targets)) => {
                    frameworks.push(framework);
                    placed.extend(targets);
                }
                Err(more) => diagnostics.extend(more),
            }
        }
        // AWS also limits the frameworks that share an account and Region.
        let (errors, crowded): (Vec<Diagnostic>, Vec<Diagnostic>) =
            lint::check_policy(self.policy_file, &text, &placed)
                .into_iter()
                .partition(|diagnostic| diagnostic.level == Level::Error);
        diagnostics.extend(errors);
        // Two frameworks may share a template: its diagnostics are reported once.
        let mut reported = BTreeSet::new();
        diagnostics.retain(|diagnostic| reported.insert(diagnostic.to_string()));
        if !diagnostics.is_empty() {
            return Ok(Err(diagnostics));
        }
        let Policy { reporting, exemption_positions: exemptions_at, remove_undeclared, .. } = policy;
        Ok(Ok(DesiredPolicy {
            frameworks,
            reporting,
            remove_undeclared,
            exemptions_at,
            crowded,
            file: (self.policy_file.to_owned(), text),
        }))
    }

    /// Reads one framework.
    ///
    /// Long because it collects the diagnostics of a framework in the order of the policy file.
    fn wanted(
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
                let diagnostic = other.clone().into_text(&framework.template).err();
                return Err(diagnostic.into_iter().map(|diagnostic| *diagnostic).collect());
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
        let of_template = Framework::read_all(&template, &filled_in).err().unwrap_or_default();
        let mut diagnostics: Vec<Diagnostic> = undeclared(&template, &framework.parameters)
            .map(|(message, help)| in_policy(framework.at, message, help))
            .collect();
        let mut parameters = filled_in;
        parameters.extend(declared(&framework.parameters));
        diagnostics.extend(self.macros(policy, framework, &template));
        let (mut variants, mut targets_of_variants) = (Vec::new(), Vec::new());
        let mut placed = Vec::new();
        let mut instances: BTreeMap<Instance, WantedInstance> = BTreeMap::new();
        for (index, target) in framework.targets.iter().enumerate() {
            let target_faults = undeclared(&template, &target.parameters);
            diagnostics.extend(target_faults.map(|(message, help)| in_policy(target.at, message, help)));
            let mut in_force = parameters.clone();
            in_force.extend(declared(&target.parameters));
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
            let of_target = variants_of(&groups);
            targets_of_variants.extend(of_target.iter().map(|_| index));
            variants.extend(of_target);
            placed.extend(groups.into_iter().map(|TargetGroup { places, frameworks, .. }| FrameworkDeployment {
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
        if !diagnostics.is_empty() {
            return Err(diagnostics);
        }
        let capabilities =
            template.capabilities().into_iter().map(|capability| capability.as_str().to_owned()).collect();
        let wanted = DesiredFramework {
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
            published: PublishedFramework { stack_set: framework.name.clone(), variants },
            at: framework.at,
            targets_at: framework.targets.iter().map(|target| target.at).collect(),
            targets_of_variants,
            accounts_known: !framework.is_service_managed(),
        };
        Ok((wanted, placed))
    }

    /// StackSets with service-managed permissions do not support macros and nested stacks (CloudFormation user guide,
    /// "Considerations for creating StackSets with service-managed permissions").
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

/// Accounts and Regions of a target for which the template yields the same frameworks.
struct TargetGroup {
    places: EquivalentLocations,
    frameworks: Vec<Framework>,
    controls: Controls,
}

/// Parameters by control name.
type Controls = BTreeMap<String, BTreeMap<String, String>>;

/// Reads the frameworks of a target, once for each group of accounts and Regions between which the template differs.
fn read_for(
    target: &PolicyTarget,
    template: &Template,
    in_force: &Parameters,
) -> Result<Vec<TargetGroup>, Vec<Diagnostic>> {
    const ACCOUNT: &str = "AWS::AccountId";
    let accounts: BTreeSet<_> = target.accounts().iter().cloned().collect();
    let regions: BTreeSet<_> = target.regions.iter().cloned().collect();
    let (mut groups, mut diagnostics) = (Vec::new(), Vec::new());
    for places in EquivalentLocations::of(template, &accounts, &regions, false) {
        let mut parameters = in_force.clone();
        parameters.extend(places.pseudo.clone());
        let frameworks = match Framework::read_all(template, &parameters) {
            Ok(frameworks) => frameworks,
            Err(more) => {
                diagnostics.extend(more);
                continue;
            }
        };
        let mut controls = controls(&frameworks);
        // Read for the first account: parameters that differ in the last one are omitted.
        let first = parameters.get(ACCOUNT).cloned();
        if let (Some(first), Some(last)) = (first, places.accounts.last())
            && first != last.as_str()
        {
            parameters.insert(ACCOUNT.to_owned(), last.to_string());
            let others = match Framework::read_all(template, &parameters) {
                Ok(others) => self::controls(&others),
                Err(more) => {
                    diagnostics.extend(more);
                    continue;
                }
            };
            for (control, own) in &mut controls {
                let other = others.get(control);
                own.retain(|name, value| other.is_some_and(|other| other.get(name) == Some(value)));
            }
        }
        groups.push(TargetGroup { places, frameworks, controls });
    }
    if diagnostics.is_empty() { Ok(groups) } else { Err(diagnostics) }
}

fn controls(frameworks: &[Framework]) -> Controls {
    let all = frameworks.iter().flat_map(|framework| &framework.controls);
    all.map(|control| (control.control.name.to_owned(), control.parameters.clone())).collect()
}

/// Merges groups with equal accounts and controls. The accounts of organizational units are added later.
fn variants_of(groups: &[TargetGroup]) -> Vec<ControlVariant> {
    let mut variants: Vec<ControlVariant> = Vec::new();
    for TargetGroup { places, controls, .. } in groups {
        let same = |variant: &&mut ControlVariant| variant.accounts == places.accounts && variant.controls == *controls;
        match variants.iter_mut().find(same) {
            Some(variant) => variant.regions.extend(places.regions.iter().cloned()),
            None => variants.push(ControlVariant {
                accounts: places.accounts.clone(),
                regions: places.regions.clone(),
                controls: controls.clone(),
                since: BTreeMap::new(),
            }),
        }
    }
    variants
}

/// The ids that represent the accounts of a target when overlapping frameworks are searched.
fn sharing(target: &PolicyTarget, places: &EquivalentLocations) -> BTreeSet<String> {
    match &target.scope {
        TargetScope::Accounts(_) => places.accounts.iter().map(ToString::to_string).collect(),
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
