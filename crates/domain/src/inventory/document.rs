//! The written form of an inventory: JSON in camel case, nothing unknown in it, `version` 1.
//!
//! What is left out is not there: no tags, no lifecycle (kept for ever), no lock, no policy. What could not be read is named
//! under `unread`, at the thing itself or for a whole account and Region.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::ids::{AccountId, RegionName, ResourceType};

/// The document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// The version of the form.
    pub version: Version,
    /// The moment that it is about: ages are counted from here.
    pub as_of: Timestamp,
    /// The accounts and Regions that were read. Of one that is not here nothing was.
    pub places: Vec<Place>,
    /// Resources that may need a backup.
    pub resources: Vec<Resource>,
    /// Backup plans.
    pub plans: Vec<Plan>,
    /// Backup vaults.
    pub vaults: Vec<Vault>,
    /// Recovery points.
    pub recovery_points: Vec<RecoveryPoint>,
    /// Restores, those of restore tests too.
    pub restores: Vec<Restore>,
}

impl Document {
    /// A document with nothing in it.
    #[must_use]
    pub fn new(as_of: Timestamp) -> Self {
        Self {
            version: Version,
            as_of,
            places: Vec::new(),
            resources: Vec::new(),
            plans: Vec::new(),
            vaults: Vec::new(),
            recovery_points: Vec::new(),
            restores: Vec::new(),
        }
    }
}

/// The version of the form, which is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version;

impl Version {
    const NUMBER: u64 = 1;
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(Self::NUMBER)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            Self::NUMBER => Ok(Self),
            other => Err(de::Error::custom(format!("the version is {other}; this program reads version 1"))),
        }
    }
}

/// What was read of an account and Region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Place {
    /// The account.
    pub account: AccountId,
    /// The Region.
    pub region: RegionName,
    /// The switches for services (`ResourceTypeOptInPreference` of `DescribeRegionSettings`). One that is left out was not read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub opt_in: BTreeMap<String, bool>,
    /// What could not be read there, or not all of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<Unread>,
}

/// Something that could not be read of an account and Region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Unread {
    /// What.
    pub part: Part,
    /// Why, such as the error of the call.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// A part of what there is in an account and Region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Part {
    /// The resources: there may be more.
    Resources,
    /// The backup plans and their rules: there may be more plans.
    Plans,
    /// The selections of plans: there may be more.
    Selections,
    /// The vaults: there may be more.
    Vaults,
    /// Access policies of vaults.
    VaultPolicies,
    /// Locks of vaults.
    VaultLocks,
    /// Recovery points: there may be more.
    RecoveryPoints,
    /// Restores: there may be more.
    Restores,
}

/// A resource that may need a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resource {
    /// The ARN.
    pub arn: String,
    /// The type in AWS Config, such as `AWS::RDS::DBCluster`.
    #[serde(rename = "type")]
    pub kind: ResourceType,
    /// The account.
    pub account: String,
    /// The Region.
    pub region: String,
    /// The id that AWS Config knows it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The name that people use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The tags. A value of `null` is there and not known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, Option<String>>,
    /// The ARN of the cluster that it is a member of: it is backed up with its cluster and never alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The database engine (RDS), or the kind of file system (FSx): types that share a name differ in these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// Whether its data is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
    /// When it came to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// Whether it is in use. Audit Manager leaves out what is not, such as a stopped instance.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub active: bool,
    /// What of it is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<ResourcePart>,
}

/// A part of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ResourcePart {
    /// The tags: there may be more.
    Tags,
    /// The ARN is a beginning only, as before a deployment.
    ArnEnd,
}

/// A backup plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The account.
    pub account: AccountId,
    /// The Region.
    pub region: RegionName,
    /// Its tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Its rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// Its selections.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub selections: Vec<Selection>,
    /// What of it is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<PlanPart>,
}

/// A part of a backup plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PlanPart {
    /// The tags: there may be more.
    Tags,
    /// The rules: there may be more.
    Rules,
    /// The selections: there may be more.
    Selections,
}

/// A rule of a backup plan.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Its name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// When it runs: `cron(…)` or `rate(…)`. AWS Backup runs one without at 5:00 every day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// The name of the vault that it stores into.
    pub target_vault: String,
    /// How long what it makes is kept.
    #[serde(default, skip_serializing_if = "Lifecycle::is_for_ever")]
    pub lifecycle: Lifecycle,
    /// Whether it makes continuous backups.
    #[serde(default, skip_serializing_if = "is_no")]
    pub continuous: bool,
    /// Where copies go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<CopyAction>,
    /// Minutes in which a job must begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_window_minutes: Option<u32>,
    /// Minutes in which a job must end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_window_minutes: Option<u32>,
    /// What of it is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<RulePart>,
}

/// A part of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RulePart {
    /// The schedule.
    Schedule,
    /// The vault that it stores into.
    TargetVault,
    /// The lifecycle.
    Lifecycle,
    /// The copies: there may be more.
    Copies,
}

/// How long something is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lifecycle {
    /// Days until it moves to cold storage. `-1` is never, as AWS Backup writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold_after_days: Option<i64>,
    /// Days until it is deleted, counted from its making. `-1` is never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_after_days: Option<i64>,
}

impl Lifecycle {
    /// Days that what is moved to cold storage stays there at least (API reference, Lifecycle).
    const LEAST_COLD_DAYS: i64 = 90;
    /// Never, as AWS Backup writes it.
    const NEVER: i64 = -1;

    /// Days until it is deleted; `None` for ever. Moving to cold storage neither adds nor takes any.
    #[must_use]
    pub fn kept_days(self) -> Option<u64> {
        self.delete_after_days.and_then(|days| u64::try_from(days).ok())
    }

    /// Whether AWS Backup refuses it, so that nobody knows what is in force: no days, fewer than none, or fewer than 90 in cold
    /// storage (API reference, Lifecycle).
    #[must_use]
    pub fn is_refused(self) -> bool {
        let given = |days: Option<i64>| days.filter(|days| *days != Self::NEVER);
        let (cold, delete) = (given(self.cold_after_days), given(self.delete_after_days));
        let too_soon =
            cold.zip(delete).is_some_and(|(cold, delete)| delete.saturating_sub(cold) < Self::LEAST_COLD_DAYS);
        too_soon || cold.is_some_and(i64::is_negative) || delete.is_some_and(|days| days < 1)
    }

    fn is_for_ever(&self) -> bool {
        *self == Self::default()
    }
}

/// A copy that a rule makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CopyAction {
    /// The ARN of the vault that it goes to.
    pub vault: String,
    /// How long it is kept there.
    #[serde(default, skip_serializing_if = "Lifecycle::is_for_ever")]
    pub lifecycle: Lifecycle,
}

/// A selection of a plan: what it backs up.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Selection {
    /// Its id.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Its name.
    pub name: String,
    /// ARNs and patterns of what it takes in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// ARNs and patterns of what it leaves out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_resources: Vec<String>,
    /// Tags of what it takes in: one is enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub list_of_tags: Vec<TagValue>,
    /// What all that it takes in must satisfy.
    #[serde(default, skip_serializing_if = "Conditions::is_empty")]
    pub conditions: Conditions,
    /// What of it is not known: of a list there may be more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<SelectionPart>,
}

/// A part of a selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SelectionPart {
    /// `Resources`.
    Resources,
    /// `NotResources`.
    NotResources,
    /// `ListOfTags`.
    ListOfTags,
    /// `Conditions`.
    Conditions,
    /// The selection itself: it may not be there.
    Existence,
}

/// A tag and a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagValue {
    /// The key. In conditions AWS Backup wants `aws:ResourceTag/` before it.
    pub key: String,
    /// The value, or the pattern where the operator takes one.
    pub value: String,
}

impl TagValue {
    /// In a condition: the key of the tag, without what AWS Backup wants before it; `None` where that is missing, which AWS does
    /// not document.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.key.strip_prefix("aws:ResourceTag/")
    }
}

/// Conditions on tags, all of which must hold. Operators and values mind the case.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Conditions {
    /// The tag is there with this value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub string_equals: Vec<TagValue>,
    /// The tag is not there, or has another value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub string_not_equals: Vec<TagValue>,
    /// The tag is there with a value like this; `*` is any text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub string_like: Vec<TagValue>,
    /// The tag is not there, or has a value unlike this.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub string_not_like: Vec<TagValue>,
}

impl Conditions {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A backup vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Vault {
    /// Its name.
    pub name: String,
    /// The account.
    pub account: AccountId,
    /// The Region.
    pub region: RegionName,
    /// Which kind it is.
    #[serde(default)]
    pub kind: VaultKind,
    /// Its tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The key that it encrypts with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_key: Option<String>,
    /// Its access policy: the JSON itself, or a text with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<serde_json::Value>,
    /// Its lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<Lock>,
    /// What of it is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<VaultPart>,
}

/// Kinds of vaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum VaultKind {
    /// An ordinary one.
    #[default]
    Ordinary,
    /// A logically air-gapped one.
    AirGapped,
}

/// A part of a vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum VaultPart {
    /// The tags: there may be more.
    Tags,
    /// The access policy.
    Policy,
    /// The lock.
    Lock,
}

/// A vault lock (`PutBackupVaultLockConfiguration`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lock {
    /// Fewest days that it keeps anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_retention_days: Option<u64>,
    /// Most days that it keeps anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_retention_days: Option<u64>,
    /// Who can take it off again.
    #[serde(default)]
    pub mode: LockMode,
}

/// Who can take a lock off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LockMode {
    /// Who has the permission.
    #[default]
    Governance,
    /// Nobody, once its days of grace are over.
    Compliance,
}

/// A recovery point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecoveryPoint {
    /// Its ARN.
    pub arn: String,
    /// The ARN of the resource that it is of.
    pub resource: String,
    /// The account of the vault that it is in.
    pub account: AccountId,
    /// The Region of the vault that it is in.
    pub region: RegionName,
    /// The name of that vault.
    pub vault: String,
    /// Which kind that vault is, where the vault itself is not in the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault_kind: Option<VaultKind>,
    /// Its tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// When its making began.
    pub created: Timestamp,
    /// When its making ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<Timestamp>,
    /// How it stands.
    #[serde(default)]
    pub status: RecoveryPointStatus,
    /// How long it is kept.
    #[serde(default, skip_serializing_if = "Lifecycle::is_for_ever")]
    pub lifecycle: Lifecycle,
    /// Whether it is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
    /// What of it is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<RecoveryPointPart>,
}

/// How a recovery point stands (`RecoveryPointStatus` of the AWS Backup API).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RecoveryPointStatus {
    /// Done.
    #[default]
    Completed,
    /// Not done in time.
    Partial,
    /// Being deleted.
    Deleting,
    /// To be deleted, which did not work.
    Expired,
    /// Continuous, and going on.
    Available,
    /// Continuous, and ended.
    Stopped,
    /// Being made.
    Creating,
}

/// A part of a recovery point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RecoveryPointPart {
    /// The tags: there may be more.
    Tags,
    /// The lifecycle.
    Lifecycle,
}

/// A restore that ended well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Restore {
    /// The ARN of the resource whose recovery point was restored.
    pub resource: String,
    /// When it ended.
    pub completed: Timestamp,
    /// How many minutes it took.
    pub minutes: u64,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_yes(value: &bool) -> bool {
    *value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_no(value: &bool) -> bool {
    !*value
}
