//! Reasons of evaluation results, as data. Their texts are in `display`.

use framework::backup::schedule::LongestGap;
use framework::ids::{AccountId, RegionName};

use super::vault_policy::{AllowedAction, PolicyUncertainty};
use crate::inventory::document::{Restore, RulePart, SelectionPart};
use crate::inventory::{InventoryGap, Plan, RecoveryPoint, Rule, Selection, Vault};

/// The result of a control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ComplianceResult<'a> {
    /// The item satisfies the control.
    Compliant(ComplianceReason<'a>),
    /// The item violates the control.
    NotCompliant(NonComplianceReason<'a>),
    /// The result depends on unread or undocumented facts. Never empty.
    Undecided(Vec<Uncertainty<'a>>),
}

/// The reason why an item satisfies a control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ComplianceReason<'a> {
    Selected(&'a Plan, &'a Selection),
    Copied(&'a Plan),
    Locked(&'a Plan),
    RuleMeets(&'a Rule),
    Denied,
    Encrypted,
    /// In days; `None` for unlimited retention.
    Kept(Option<u64>),
    /// With its age in minutes, rounded down.
    RecoveryPoint(&'a RecoveryPoint, i64),
    Restored(&'a Restore),
}

/// The reason why an item violates a control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NonComplianceReason<'a> {
    /// No plan selects it.
    NotSelected(Box<NotSelectedReason<'a>>),
    /// These plans select it, but none copies to these Regions or accounts; an empty list means any other one.
    NotCopied(Vec<&'a Plan>, Vec<&'a str>),
    /// These plans select it, but none stores into a vault with the required lock; each target vault once.
    NotLocked(Vec<&'a Plan>, Vec<UnlockedVault<'a>>),
    /// No rule meets both frequency and retention; one entry for each rule, in their order.
    NoRuleMeets(Vec<RuleShortfall<'a>>),
    /// The vault has no access policy.
    NoPolicy,
    /// The vault policy allows required actions.
    Allowed(Vec<AllowedAction>),
    /// The recovery point is not encrypted.
    NotEncrypted,
    /// The retention, and the required retention, in days.
    KeptTooShort(u64, u64),
    /// The age of the newest recovery point that counts, and the maximum age, in minutes.
    NoRecoveryPoint(Option<i64>, i64),
    /// No recovery point is in an air-gapped vault, because AWS manages the KMS key of the resource.
    AwsManagedKey,
    /// The last restore, and the maximum duration in minutes.
    RestoredTooSlowly(&'a Restore, u64),
}

/// A vault without the required lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnlockedVault<'a> {
    pub vault: &'a str,
    pub shortfall: LockShortfall,
}

/// The shortfall of a vault against a required lock, in days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockShortfall {
    /// The vault does not exist.
    Vault,
    /// The vault has no lock.
    Lock,
    /// The minimum of the lock, if it has one, and the required minimum.
    Minimum(Option<u64>, u64),
    /// The maximum of the lock, if it has one, and the required maximum.
    Maximum(Option<u64>, u64),
}

/// The shortfall of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleShortfall<'a> {
    pub rule: &'a Rule,
    /// The longest gap between runs and the maximum in minutes, if the gap is too long.
    pub frequency: Option<(LongestGap, u64)>,
    /// The retention and the required retention in days, if it is too short.
    pub retention: Option<(u64, u64)>,
}

/// The reason why no plan selects a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotSelectedReason<'a> {
    /// `None` if the account and Region have no selection.
    pub closest: Option<ClosestSelection<'a>>,
    /// A plan that has no selections, if no plan has any.
    pub empty_plan: Option<&'a Plan>,
    /// The fewest steps after which that selection matches; empty if no such steps exist.
    pub steps: Vec<RemediationStep<'a>>,
    /// The cluster to change, for a member of a cluster.
    pub cluster: Option<&'a str>,
}

/// A selection that does not match, with every clause that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosestSelection<'a> {
    pub plan: &'a Plan,
    pub selection: &'a Selection,
    pub failed: Vec<FailedClause<'a>>,
}

/// A clause of a selection that a resource does not satisfy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailedClause<'a> {
    /// Neither its ARN nor a tag matches.
    NotNamed,
    /// A condition does not hold.
    Condition {
        /// The operator, as in the AWS Backup API.
        operator: &'static str,
        /// The tag key.
        key: &'a str,
        /// The value or pattern.
        value: &'a str,
        /// The value of the tag.
        found: Option<&'a str>,
        /// A key of the resource that differs in case only.
        similar: Option<&'a str>,
    },
    /// This pattern names another type of the same service.
    OtherType(&'a str),
    /// The conditions on this tag key cannot hold together.
    Contradiction(&'a str),
    /// An entry of `ListOfTags` whose value has a `*`, which would match as a pattern, with key and value.
    LiteralStar(&'a str, &'a str),
    /// A pattern of `NotResources` excludes it.
    Excluded(&'a str),
    /// The service is not enabled in the settings of AWS Backup.
    SwitchedOff(&'static str),
}

/// A step that makes a selection match a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemediationStep<'a> {
    /// Add a tag, or change its value.
    SetTag {
        /// The tag.
        key: &'a str,
        /// The required value.
        value: String,
        /// The current value.
        current: Option<&'a str>,
        /// A key of the resource that differs in case only.
        similar: Option<&'a str>,
    },
    /// Remove a tag.
    RemoveTag {
        /// The tag.
        key: &'a str,
        /// The current value.
        current: Option<&'a str>,
    },
    /// Add the resource to `Resources` of a selection.
    AddArn {
        /// The plan.
        plan: &'a Plan,
        /// The selection.
        selection: &'a Selection,
        /// The ARN.
        arn: &'a str,
    },
    /// Turn the automatic backups of an EFS file system on.
    TurnOnAutomaticBackups,
    /// Enable a service in the AWS Backup settings of the Region.
    OptIn {
        /// The account.
        account: &'a AccountId,
        /// The Region.
        region: &'a RegionName,
        /// The service, as AWS Backup names it.
        service: &'static str,
    },
}

/// A fact that a result depends on and that is unread or undocumented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Uncertainty<'a> {
    Location(InventoryGap<'a>),
    Tags,
    /// The value of this tag.
    TagValue(&'a str),
    ArnEnd,
    /// For types that cover several engines.
    Engine,
    /// The effect of a key of `ListOfTags` with the prefix of conditions.
    ListedKey(&'a str),
    /// The effect of a condition key without the required prefix.
    ConditionKey(&'a str),
    /// The effect of a lifecycle that AWS Backup rejects.
    RefusedLifecycle(&'a Rule),
    /// The retention of continuous backups, which is at most 35 days.
    ContinuousRetention(&'a Rule),
    /// The cluster with this ARN, which is not in the inventory.
    Cluster(&'a str),
    /// Whether a service is enabled in the settings of AWS Backup.
    OptIn(&'static str),
    Selection(&'a Plan, &'a Selection, SelectionPart),
    /// There may be more selections.
    Selections(&'a Plan),
    /// There may be more rules.
    Rules(&'a Plan),
    Rule(&'a Rule, RulePart),
    /// A schedule that AWS rejects, or that is not understood, with the error.
    Schedule(&'a Rule, String),
    /// Whether continuous backups satisfy a frequency that the schedule does not; AWS does not document it.
    Continuous(&'a Rule),
    /// The age of a continuous recovery point; AWS does not document how the control counts it.
    ContinuousPoint(&'a RecoveryPoint),
    /// A copy to an invalid vault ARN.
    CopyTarget(&'a str),
    /// A vault that is not in the inventory, or whose name is ambiguous.
    Vault(&'a str),
    /// Several vaults of this name differ.
    AmbiguousVault(&'a str),
    /// The bounds of the lock of an air-gapped vault.
    AirGappedLock(&'a str),
    /// AWS Backup selects FSx for ONTAP by the tags of its volumes.
    OntapTags,
    /// The lock of a vault, or its bounds.
    Lock(&'a Vault),
    Policy,
    PolicyEffect(PolicyUncertainty),
    Lifecycle,
    Encryption,
    /// The result for a resource that was never restored; AWS does not document it.
    NeverRestored,
    /// A parameter of the control that is invalid or known only at deployment.
    Parameter(&'static str),
    /// The scope of the control, which is known only at deployment.
    Scope,
}
