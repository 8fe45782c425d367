//! The policy file: which frameworks apply where, how they are rolled out, and what is exempt.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::control::Control;
use crate::fault::{Fault, Faults, Position, Source};
use crate::ids::{AccountId, RegionName, StackSetName, UnitId};
use crate::rollout::{AccountFilter, AutoDeployment, CallAs};

mod exemption;
mod fields;
mod read;
mod reporting;
#[cfg(any())]
mod tests;

pub use exemption::{Exempting, wildcard};
pub use reporting::{DEFAULT_REMINDERS, Reporting, SeverityRule};

/// A policy file that has no faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The frameworks, at least one, no two of one name.
    pub frameworks: Vec<FrameworkPolicy>,
    /// How violations are judged and told: what is exempt, how bad what is, when people are reminded.
    pub reporting: Reporting,
    /// Where each of its exemptions stands in the policy file.
    pub exemptions_at: Vec<Position>,
    /// A framework that leaves the policy is removed, instances and StackSet; otherwise it is left as it is and people are told.
    pub remove_undeclared: bool,
}

/// One framework: a template, where it applies, and how it gets there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameworkPolicy {
    /// The name of the StackSet.
    pub name: StackSetName,
    /// The template's path in the repository, with `/` between its parts.
    pub template: String,
    /// Values for the template's parameters, as written.
    pub parameters: BTreeMap<String, String>,
    /// Where it applies; at least one, and all of one kind: accounts or organizational units.
    pub targets: Vec<Target>,
    /// How it is rolled out.
    pub rollout: Rollout,
    /// Take over a StackSet of this name that was not made by any policy.
    pub adopt: bool,
    /// For whom StackSets is called; of use with organizational units only.
    pub call_as: CallAs,
    /// What happens to accounts that join or leave the organizational units.
    pub auto_deployment: AutoDeployment,
    /// Where it stands in the policy file.
    pub at: Position,
}

impl FrameworkPolicy {
    /// Whether it applies to organizational units, which takes service-managed permissions.
    #[must_use]
    pub fn is_service_managed(&self) -> bool {
        self.targets.iter().any(|target| matches!(target.place, Place::Units { .. }))
    }
}

/// Accounts, or organizational units, and Regions: every account in every Region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Which accounts.
    pub place: Place,
    /// At least one.
    pub regions: Vec<RegionName>,
    /// Parameter values for these instances, instead of the framework's.
    pub parameters: BTreeMap<String, String>,
    /// Where it stands in the policy file.
    pub at: Position,
}

/// Which accounts a target has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// These; at least one.
    Accounts(Vec<AccountId>),
    /// Those of organizational units.
    Units {
        /// The units, at least one; their child units belong to them.
        units: Vec<UnitId>,
        /// Which of their accounts.
        accounts: AccountFilter,
    },
}

impl Target {
    /// The accounts that it lists; those of organizational units only AWS knows.
    #[must_use]
    pub fn accounts(&self) -> &[AccountId] {
        match &self.place {
            Place::Accounts(accounts) => accounts,
            Place::Units { .. } => &[],
        }
    }
}

/// How a StackSet operation proceeds (`OperationPreferences` of the CloudFormation API).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// Accounts worked on at the same time in a Region.
    pub max_concurrency: Amount,
    /// Accounts that may fail in a Region before the operation stops there.
    pub failure_tolerance: Amount,
    /// Whether the tolerance also limits how many accounts are worked on at the same time.
    #[serde(default)]
    pub mode: ConcurrencyMode,
    /// Whether Regions are worked on at the same time.
    pub regions: RegionConcurrency,
    /// The Regions in the order in which they are worked on; empty leaves the order to AWS.
    pub region_order: Vec<RegionName>,
}

/// A number of accounts, or a share of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Amount {
    /// So many accounts.
    Count(u32),
    /// So many in a hundred, 0 to 100.
    Percentage(u8),
}

/// `ConcurrencyMode` of the CloudFormation API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ConcurrencyMode {
    /// Concurrency stays as it is set; the tolerance may be exceeded by what is under way.
    #[default]
    Soft,
    /// At most one account more than the tolerance that is left is worked on at the same time, so that it is never exceeded.
    Strict,
}

/// Whether Regions are worked on one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RegionConcurrency {
    /// All at the same time.
    Parallel,
    /// One after the other.
    Sequential,
}

/// Resources that may break a control for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exemption {
    /// The control.
    #[serde(with = "crate::control::as_name")]
    pub control: &'static Control,
    /// ARNs, in which `*` stands for any text.
    pub resources: Vec<String>,
    /// Accounts; empty means all.
    pub accounts: Vec<AccountId>,
    /// Tags that the resource must have, all of them; `*` in a value stands for any text.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// The last day on which it holds.
    pub until: Date,
}

impl Default for Rollout {
    fn default() -> Self {
        Self {
            max_concurrency: Amount::Percentage(100),
            failure_tolerance: Amount::Percentage(10),
            mode: ConcurrencyMode::Soft,
            regions: RegionConcurrency::Parallel,
            region_order: Vec::new(),
        }
    }
}

impl Policy {
    /// The version of the format that is read.
    pub const VERSION: &'static str = "1";

    /// Reads a policy file. `file` is what the faults call it: its path in the repository.
    ///
    /// # Errors
    /// Every fault in the file, from top to bottom.
    pub fn read(file: &str, text: &str) -> Result<Self, Vec<Fault>> {
        let source = Source::new(file, text);
        let mut faults = Faults::new(&source);
        let policy = read::policy(&mut faults);
        match policy {
            Some(policy) if faults.is_empty() => Ok(policy),
            _ => Err(faults.into_vec()),
        }
    }
}
