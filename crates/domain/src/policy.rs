//! The policy file: frameworks with their targets and rollout settings, and the rules for reporting violations.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use framework::control::Control;
use framework::ids::{AccountId, RegionName, StackSetName, UnitId};
use syntax::diagnostic::{Diagnostic, Diagnostics, Position, SourceText};

mod exemption;
mod fields;
mod read;
mod repeated;
mod reporting;
mod settings;
#[cfg(test)]
mod tests;
mod unmatched;

pub use exemption::ExemptionMatch;
pub use reporting::{Reporting, SeverityRule};
pub use settings::{
    AccountFilter, AutoDeployment, CallAs, ConcurrencyMode, CountOrPercentage, PreviewLimits, RegionConcurrency,
    RolloutSettings,
};
pub use unmatched::PolicyScope;

/// A policy file without errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The frameworks: at least one, with unique names.
    pub frameworks: Vec<FrameworkPolicy>,
    /// How violations are reported: exemptions, severities, reminders.
    pub reporting: Reporting,
    /// The position of each exemption in the policy file.
    pub exemption_positions: Vec<Position>,
    /// The position of each severity rule in the policy file.
    pub severity_positions: Vec<Position>,
    /// Remove the instances and the StackSet of a framework that leaves the policy. Otherwise they stay, and a notice is sent.
    pub remove_undeclared: bool,
    /// The limits of a change.
    pub preview: PreviewLimits,
}

/// One framework: a template, its targets and its rollout settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameworkPolicy {
    /// The name of the framework and of its StackSet.
    pub name: StackSetName,
    /// The template's path in the repository, with `/` as the separator.
    pub template: String,
    /// Values of the template's parameters, as written.
    pub parameters: BTreeMap<String, String>,
    /// At least one target, all with accounts or all with organizational units.
    pub targets: Vec<PolicyTarget>,
    /// Preferences of its StackSet operations.
    pub rollout: RolloutSettings,
    /// Adopt an existing StackSet of this name that no policy owns.
    pub adopt: bool,
    /// The caller for StackSets; organizational units only.
    pub call_as: CallAs,
    /// Deployment to accounts that join the organizational units.
    pub auto_deployment: AutoDeployment,
    /// Its position in the policy file.
    pub at: Position,
}

impl FrameworkPolicy {
    /// Whether the targets are organizational units, which need service-managed permissions.
    pub fn is_service_managed(&self) -> bool {
        self.targets.iter().any(|target| matches!(target.scope, TargetScope::OrganizationalUnits { .. }))
    }
}

/// Every account in every Region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyTarget {
    /// The accounts.
    pub scope: TargetScope,
    /// At least one Region.
    pub regions: Vec<RegionName>,
    /// Parameter overrides of these instances.
    pub parameters: BTreeMap<String, String>,
    /// Its position in the policy file.
    pub at: Position,
}

/// The accounts of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetScope {
    /// At least one account.
    Accounts(Vec<AccountId>),
    /// Accounts of organizational units.
    OrganizationalUnits {
        /// At least one organizational unit; includes child units.
        units: Vec<UnitId>,
        /// Selects some of their accounts.
        accounts: AccountFilter,
    },
}

impl PolicyTarget {
    /// The listed accounts; none for organizational units, whose accounts only AWS Organizations knows.
    pub fn accounts(&self) -> &[AccountId] {
        if let TargetScope::Accounts(accounts) = &self.scope { accounts } else { &[] }
    }
}

/// Resources that may violate a control until a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exemption {
    /// The control.
    #[serde(with = "framework::control::as_name")]
    pub control: &'static Control,
    /// ARNs; `*` matches any text.
    pub resources: Vec<String>,
    /// Accounts; empty for all.
    pub accounts: Vec<AccountId>,
    /// Tags that the resource must all have; `*` in a value matches any text.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// The reason, for reports.
    pub reason: String,
    /// The person or team that is responsible.
    pub owner: String,
    /// The last day (UTC) on which it applies.
    pub until: Date,
}

impl Policy {
    /// The supported version of the format.
    pub const VERSION: &'static str = "1";

    /// Reads a policy file. `file` is its path in the repository, for diagnostics.
    ///
    /// # Errors
    /// Every diagnostic of the file, from top to bottom.
    pub fn read(file: &str, text: &str) -> Result<Self, Vec<Diagnostic>> {
        let source = SourceText::new(file, text);
        let mut diagnostics = Diagnostics::new(&source);
        match read::policy(&mut diagnostics) {
            Some(policy) if diagnostics.is_empty() => Ok(policy),
            _ => Err(diagnostics.into_vec()),
        }
    }
}
