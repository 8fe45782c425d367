//! The state that `deploy` keeps between two reconciliations.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use framework::ids::{AccountId, CommitId, RegionName, StackSetName};

use crate::ports::Versioned;

pub use domain::rollout::record::{AttemptEnd, InFlight, Phase, RemovalBlocked, RolloutRecord, StackSetRef};

/// The state of `deploy`, as one read returns it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeployState {
    /// The rollouts by StackSet.
    pub rollouts: BTreeMap<StackSetName, Versioned<RolloutRecord>>,
    /// The application is being removed: nothing may be deployed.
    pub removing: bool,
    /// The digest of the reporting rules that were published last.
    pub reporting_digest: Option<String>,
    /// The revision that was accepted last; absent for a source whose history orders its revisions.
    pub accepted: Option<AcceptedRevision>,
}

/// What orders a revision among the others of its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevisionOrder {
    /// The history of a branch: its head counts, also after the branch was moved back.
    History,
    /// The number of the run of CI that wrote the object, as the writer claims; `None` without a claim.
    ClaimedRun(Option<u64>),
}

/// The revision that was accepted last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedRevision {
    /// The revision.
    pub commit: CommitId,
    /// The greatest number that a run has claimed.
    pub run: Option<u64>,
}

/// The controls of one StackSet, as published to the functions that report violations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishedFramework {
    /// The StackSet.
    pub stack_set: StackSetName,
    /// The controls by account and Region. A target has several variants where its template differs within the target.
    pub variants: Vec<ControlVariant>,
}

/// Accounts and Regions that share the parameters of their controls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ControlVariant {
    /// The accounts.
    pub accounts: BTreeSet<AccountId>,
    /// The Regions.
    pub regions: BTreeSet<RegionName>,
    /// Parameters by control name.
    pub controls: BTreeMap<String, BTreeMap<String, String>>,
    /// The latest time by which each control was in force with these parameters; absent if it is unknown.
    #[serde(default)]
    pub since: BTreeMap<String, Timestamp>,
}

impl PublishedFramework {
    /// Whether this framework has a control in any account and Region.
    pub fn has(&self, control: &str) -> bool {
        self.variants.iter().any(|variant| variant.controls.contains_key(control))
    }

    /// The parameters of a control in an account and Region, if this framework has it there.
    pub fn parameters(
        &self,
        account: &AccountId,
        region: &RegionName,
        control: &str,
    ) -> Option<&BTreeMap<String, String>> {
        self.variants_at(account, region).find_map(|variant| variant.controls.get(control))
    }

    /// The time since which a control has been in force in an account and Region with its parameters, if it is known.
    pub fn since(&self, account: &AccountId, region: &RegionName, control: &str) -> Option<Timestamp> {
        self.variants_at(account, region).find_map(|variant| variant.since.get(control).copied())
    }

    fn variants_at<'a>(&'a self, account: &AccountId, region: &RegionName) -> impl Iterator<Item = &'a ControlVariant> {
        self.variants
            .iter()
            .filter(move |variant| variant.accounts.contains(account) && variant.regions.contains(region))
    }
}
