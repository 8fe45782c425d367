//! The JSON form of an inventory: camel case, no unknown keys, `version` 1.
//!
//! An absent key means none: no tags, no lifecycle (unlimited retention), no lock, no policy. Parts that could not be
//! read are listed under `unread`, of the item itself or of its location.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use framework::backup::lifecycle::LifecycleDays;
use framework::backup::selection::TAG_PREFIX;
use framework::ids::{AccountId, RegionName, ResourceType};

/// An inventory document.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// The version of the format.
    pub version: Version,
    /// The time that ages count to.
    pub as_of: Timestamp,
    /// The accounts and Regions that were read.
    pub locations: Vec<LocationRecord>,
    /// Resources that may need a backup.
    pub resources: Vec<Resource>,
    /// Backup plans.
    pub plans: Vec<Plan>,
    /// Backup vaults.
    pub vaults: Vec<Vault>,
    /// Recovery points.
    pub recovery_points: Vec<RecoveryPoint>,
    /// Restores, including those of restore tests.
    pub restores: Vec<Restore>,
}

impl Document {
    /// Returns an empty document.
    pub fn new(as_of: Timestamp) -> Self {
        Self { as_of, ..Self::default() }
    }
}

/// The version of the format, which is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "u64", try_from = "u64")]
pub struct Version;

impl From<Version> for u64 {
    fn from(_: Version) -> Self {
        1
    }
}

impl TryFrom<u64> for Version {
    type Error = String;

    fn try_from(version: u64) -> Result<Self, String> {
        if version == 1 { Ok(Self) } else { Err(format!("version {version} is not supported; use version 1")) }
    }
}

/// An account and Region that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LocationRecord {
    /// The account.
    pub account: AccountId,
    /// The Region.
    pub region: RegionName,
    /// The opted-in services (`ResourceTypeOptInPreference` of `DescribeRegionSettings`). An absent one was not read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub opt_in: BTreeMap<String, bool>,
    /// The parts that were not read, or not completely.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<Unread>,
}

/// A part of a location that was not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Unread {
    /// The part.
    pub part: LocationPart,
    /// The reason, such as the error of the call.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// A part of a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LocationPart {
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
    /// The id in AWS Config.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The tags. `null` is an unknown value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, Option<String>>,
    /// The ARN of its cluster. AWS Backup never backs up a member alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The database engine (RDS) or the kind of file system (FSx), which share types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// Whether its data is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
    /// Its KMS key: the ARN, or an alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_key: Option<String>,
    /// Whether AWS manages its KMS key (`KeyManager` of `DescribeKey`), as it does `aws/ebs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_managed_key: Option<bool>,
    /// The duration of its most recent restore job in minutes (`LatestRestoreExecutionTimeMinutes` of
    /// `DescribeProtectedResource`). It overrides `restores`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_restore_minutes: Option<u64>,
    /// The creation time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// Whether it is in use. Audit Manager ignores others, such as stopped instances.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub active: bool,
    /// The unread parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<ResourcePart>,
}

/// A part of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ResourcePart {
    /// The tags: there may be more.
    Tags,
    /// The ARN is incomplete, as before a deployment.
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
    /// The unread parts.
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
    /// `cron(…)` or `rate(…)`; 5:00 UTC every day if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// The name of the target vault.
    pub target_vault: String,
    /// The ARN of the logically air-gapped vault that the backups are stored in
    /// (`TargetLogicallyAirGappedBackupVaultArn`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_air_gapped_vault: Option<String>,
    /// The retention of its recovery points.
    #[serde(default, skip_serializing_if = "is_default")]
    pub lifecycle: Lifecycle,
    /// Whether it creates continuous backups.
    #[serde(default, skip_serializing_if = "is_default")]
    pub continuous: bool,
    /// The copies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<CopyAction>,
    /// The start window of jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_window_minutes: Option<u32>,
    /// The completion window of jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_window_minutes: Option<u32>,
    /// The unread parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<RulePart>,
}

/// A part of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RulePart {
    /// The schedule.
    Schedule,
    /// The target vault.
    TargetVault,
    /// The lifecycle.
    Lifecycle,
    /// The copies: there may be more.
    Copies,
}

/// The retention of a recovery point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lifecycle {
    /// Days until cold storage. `-1` is never, as in the AWS Backup API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold_after_days: Option<i64>,
    /// Days from creation until deletion. `-1` is never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_after_days: Option<i64>,
}

impl Lifecycle {
    /// Returns the days until deletion; `None` for unlimited retention. Cold storage does not change it.
    pub fn kept_days(self) -> Option<u64> {
        self.delete_after_days.and_then(|days| u64::try_from(days).ok())
    }

    /// Returns whether AWS Backup rejects it. Its effect is then unknown.
    pub fn is_refused(self) -> bool {
        let days =
            LifecycleDays { cold_after: self.cold_after_days.into(), delete_after: self.delete_after_days.into() };
        !days.rejections().is_empty()
    }
}

/// A copy action of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CopyAction {
    /// The ARN of the target vault.
    pub vault: String,
    /// The retention of the copy.
    #[serde(default, skip_serializing_if = "is_default")]
    pub lifecycle: Lifecycle,
}

/// A selection of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Selection {
    /// Its id.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Its name.
    pub name: String,
    /// ARNs and patterns of selected resources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// ARNs and patterns of excluded resources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_resources: Vec<String>,
    /// Tags of selected resources; one is enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub list_of_tags: Vec<TagValue>,
    /// Conditions that every selected resource satisfies.
    #[serde(default, skip_serializing_if = "is_default")]
    pub conditions: Conditions,
    /// The unread parts; of a list there may be more.
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
    /// The selection itself: it may not exist.
    Existence,
}

impl SelectionPart {
    /// All parts of an existing selection.
    pub const CONTENT: [Self; 4] = [Self::Resources, Self::NotResources, Self::ListOfTags, Self::Conditions];
}

/// A tag or a condition on a tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagValue {
    /// The key. AWS Backup requires the prefix `aws:ResourceTag/` in conditions.
    pub key: String,
    /// The value, or the pattern of a `Like` operator.
    pub value: String,
}

impl TagValue {
    /// Returns the tag key of a condition; `None` without the required prefix, whose effect AWS does not document.
    pub fn tag(&self) -> Option<&str> {
        self.key.strip_prefix(TAG_PREFIX)
    }
}

/// Conditions on tags, all of which must hold. Operators and values are case sensitive.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Conditions {
    /// The tag has this value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub string_equals: Vec<TagValue>,
    /// The tag is absent, or has another value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub string_not_equals: Vec<TagValue>,
    /// The tag has a value that matches the pattern; `*` matches any text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub string_like: Vec<TagValue>,
    /// The tag is absent, or has a value that does not match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub string_not_like: Vec<TagValue>,
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
    /// The kind.
    #[serde(default)]
    pub kind: VaultKind,
    /// Its tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The KMS key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_key: Option<String>,
    /// The access policy: JSON, or a string with JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<serde_json::Value>,
    /// The lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<Lock>,
    /// The unread parts.
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
    /// The minimum retention.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_retention_days: Option<u64>,
    /// The maximum retention.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_retention_days: Option<u64>,
    /// The mode.
    #[serde(default)]
    pub mode: LockMode,
}

/// The mode of a vault lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LockMode {
    /// Users with the permission can remove it.
    #[default]
    Governance,
    /// It cannot be removed after its grace period.
    Compliance,
}

/// A recovery point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecoveryPoint {
    /// Its ARN.
    pub arn: String,
    /// The ARN of the protected resource.
    pub resource: String,
    /// The account of its vault.
    pub account: AccountId,
    /// The Region of its vault.
    pub region: RegionName,
    /// The name of its vault.
    pub vault: String,
    /// The kind of its vault, if the document does not contain the vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault_kind: Option<VaultKind>,
    /// Its tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The start of its creation.
    pub created: Timestamp,
    /// The end of its creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<Timestamp>,
    /// The status.
    #[serde(default)]
    pub status: RecoveryPointStatus,
    /// The retention.
    #[serde(default, skip_serializing_if = "is_default")]
    pub lifecycle: Lifecycle,
    /// Whether it is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
    /// The unread parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<RecoveryPointPart>,
}

/// `RecoveryPointStatus` of the AWS Backup API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RecoveryPointStatus {
    /// Created.
    #[default]
    Completed,
    /// Not created completely in time.
    Partial,
    /// Being deleted.
    Deleting,
    /// Its deletion failed.
    Expired,
    /// Continuous and active.
    Available,
    /// Continuous and stopped.
    Stopped,
    /// Being created.
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

/// A successful restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Restore {
    /// The ARN of the restored resource.
    pub resource: String,
    /// The end.
    pub completed: Timestamp,
    /// The duration.
    pub minutes: u64,
}

fn yes() -> bool {
    true
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
