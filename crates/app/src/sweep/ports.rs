//! The ports of the sweep.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use domain::notice::{BlindSpot, BlindSpotReason};
use domain::violation::ComplianceType;
use framework::ids::{AccountId, Location, RegionName};

use crate::ports::{Call, Versioned};
use crate::violations::ViolationEnv;

/// The adapters of [`Sweep`](super::Sweep).
pub trait SweepEnv: ViolationEnv<Store: SweepStore> {
    /// Compliance results of AWS Config.
    type Source: ComplianceSource;
    /// AWS Organizations.
    type Organization: Organization;
}

/// The state of the sweep.
pub trait SweepStore {
    /// Reads the progress of an incomplete round.
    fn progress(&self) -> impl Call<Versioned<Option<SweepProgress>>>;
    /// Stores the progress and returns its version; a conflict if another sweep has stored it meanwhile.
    fn put_progress(&self, progress: &Versioned<Option<SweepProgress>>) -> impl Call<u64>;
    /// Reads the blind spots of the last round.
    fn blind_spots(&self) -> impl Call<Vec<BlindSpot>>;
    /// Replaces the blind spots.
    fn put_blind_spots(&self, spots: &[BlindSpot]) -> impl Call<()>;
    /// Reads the digests of the exemptions whose owner was notified of their end.
    fn notified_exemptions(&self) -> impl Call<BTreeSet<String>>;
    /// Replaces the digests.
    fn put_notified_exemptions(&self, notified: &BTreeSet<String>) -> impl Call<()>;
    /// Reads the week of the last reminders; `None` before the first sweep.
    fn reminders(&self) -> impl Call<Option<ReminderWeek>>;
    /// Replaces the week of the last reminders.
    fn put_reminders(&self, reminders: &ReminderWeek) -> impl Call<()>;
    /// Publishes the names of the organization's accounts to `report`.
    fn put_accounts(&self, accounts: &BTreeMap<AccountId, String>) -> impl Call<()>;
}

/// The week of the last reminders.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReminderWeek {
    /// Start of the week, a whole number of weeks after the first sweep.
    pub week: Timestamp,
    /// The owners whose reminder was rejected; `None` for resources without an owner.
    pub missing: BTreeSet<Option<String>>,
}

/// The progress of a round.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SweepProgress {
    /// Start of the round.
    pub began: Timestamp,
    /// The last compared account.
    pub after: AccountId,
    /// Blind spots found so far.
    pub blind: Vec<BlindSpot>,
    /// The last throttled account that was compared again.
    #[serde(default)]
    pub after_again: Option<AccountId>,
}

/// AWS Organizations.
pub trait Organization {
    /// Lists the active accounts and their names; `None` if this account has no permission.
    fn accounts(&self) -> impl Call<Option<BTreeMap<AccountId, String>>>;
}

/// The APIs that return compliance results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ComplianceApi {
    /// The aggregator's compliance calls.
    Aggregator,
    /// The aggregator's advanced queries over `AWS::Config::ResourceCompliance`, where that type is recorded.
    Query,
    /// AWS Config in the member account, through a role.
    Member,
}

/// The current result of a rule for a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvaluationResult {
    /// The name of the rule.
    pub rule_name: String,
    /// The ARN of the rule; empty if the API does not return it.
    pub rule_arn: String,
    /// The resource type of AWS Config.
    pub resource_type: String,
    /// The resource id of AWS Config.
    pub resource_id: String,
    /// The compliance type.
    pub compliance: ComplianceType,
    /// `OrderingTimestamp` or its replacement.
    pub triggered: Timestamp,
    /// `ResultRecordedTime` or its replacement.
    pub recorded: Timestamp,
    /// The rule's annotation.
    pub annotation: Option<String>,
}

/// The visible results of one account and Region.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RegionCompliance {
    /// Names of the rules of AWS Backup Audit Manager; empty if none is visible.
    pub rules: BTreeSet<String>,
    /// All NON_COMPLIANT results of these rules.
    pub non_compliant: Vec<EvaluationResult>,
    /// The reason that no rule is visible, if known.
    pub blind: Option<BlindSpotReason>,
}

/// Compliance results of AWS Config.
pub trait ComplianceSource {
    /// The configured APIs, best first.
    fn apis(&self) -> Vec<ComplianceApi>;
    /// Reads the results of an account in these Regions. Regions without visible rules may be missing.
    fn read_results(
        &self,
        via: ComplianceApi,
        account: &AccountId,
        regions: &BTreeSet<RegionName>,
    ) -> impl Call<BTreeMap<RegionName, RegionCompliance>>;
    /// Reads from the aggregator why these accounts and Regions have no visible results. Those without a reason have no result.
    fn diagnose(&self, locations: &BTreeSet<Location>) -> impl Call<BTreeMap<Location, BlindSpotReason>>;
    /// Reads the COMPLIANT results of one rule.
    fn compliant_results(
        &self,
        via: ComplianceApi,
        account: &AccountId,
        region: &RegionName,
        rule_name: &str,
    ) -> impl Call<Vec<EvaluationResult>>;
}
