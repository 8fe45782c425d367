//! Reasons of evaluation results, as data. Their texts are in `display`.

use jiff::Timestamp;

use framework::ids::{AccountId, RegionName};

use super::schedule::LongestGap;
use super::vault_policy::{AllowedAction, PolicyUncertainty};
use crate::inventory::document::{Restore, RulePart, SelectionPart};
use crate::inventory::{LocationPart, Plan, RecoveryPoint, Rule, Selection, Vault};

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
    /// A plan selects it.
    Selected {
        /// The plan.
        plan: &'a Plan,
        /// The matching selection.
        selection: &'a Selection,
    },
    /// Plans that select it make the copies.
    Copied(&'a Plan),
    /// A plan that selects it stores into a locked vault.
    Locked(&'a Plan),
    /// A rule meets frequency and retention.
    RuleMeets(&'a Rule),
    /// The vault policy denies all required actions.
    Denied,
    /// The recovery point is encrypted.
    Encrypted,
    /// The retention is long enough, in days; `None` for unlimited retention.
    Kept(Option<u64>),
    /// It has a recent recovery point.
    RecoveryPoint {
        /// The recovery point.
        point: &'a RecoveryPoint,
        /// The age in minutes, rounded down.
        age_minutes: i64,
    },
    /// The last restore was fast enough.
    Restored(&'a Restore),
}

/// The reason why an item violates a control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NonComplianceReason<'a> {
    /// No plan selects it.
    NotSelected(Box<NotSelectedReason<'a>>),
    /// Plans select it, but none copies to these targets. Without targets, none copies to any other Region or account.
    NotCopied {
        /// The plans that select it.
        plans: Vec<&'a Plan>,
        /// Regions or accounts without a copy.
        to: Vec<&'a str>,
    },
    /// Plans select it, but none stores into a vault with the required lock.
    NotLocked {
        /// The plans that select it.
        plans: Vec<&'a Plan>,
        /// The target vaults of their rules, each once.
        vaults: Vec<UnlockedVault<'a>>,
    },
    /// No rule meets both frequency and retention; one entry for each rule, in their order.
    NoRuleMeets(Vec<RuleShortfall<'a>>),
    /// The vault has no access policy.
    NoPolicy,
    /// The vault policy allows required actions.
    Allowed(Vec<AllowedAction>),
    /// The recovery point is not encrypted.
    NotEncrypted,
    /// The retention is too short.
    KeptTooShort {
        /// The retention in days.
        days: u64,
        /// The required retention in days.
        required: u64,
    },
    /// It has no recent recovery point.
    NoRecoveryPoint {
        /// The newest recovery point that counts, with its age in minutes.
        newest: Option<(&'a RecoveryPoint, i64)>,
        /// The maximum age in minutes.
        most_minutes: i64,
        /// The creation time of the resource.
        created: Option<Timestamp>,
    },
    /// The last restore was too slow.
    RestoredTooSlowly {
        /// The restore.
        restore: &'a Restore,
        /// The maximum duration in minutes.
        most_minutes: u64,
    },
}

/// A vault without the required lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnlockedVault<'a> {
    /// The name.
    pub vault: &'a str,
    /// The shortfall.
    pub shortfall: LockShortfall,
}

/// The shortfall of a vault against a required lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockShortfall {
    /// The vault does not exist.
    Vault,
    /// The vault has no lock.
    Lock,
    /// The minimum retention is too low, in days; `None` for a lock without a minimum.
    Minimum {
        /// The minimum of the lock.
        own: Option<u64>,
        /// The required minimum.
        required: u64,
    },
    /// The maximum retention is too high, in days; `None` for a lock without a maximum.
    Maximum {
        /// The maximum of the lock.
        own: Option<u64>,
        /// The required maximum.
        required: u64,
    },
}

/// The shortfall of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleShortfall<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// The longest gap between runs and the maximum in minutes, if the gap is too long.
    pub frequency: Option<(LongestGap, u64)>,
    /// The retention and the required retention in days, if it is too short.
    pub retention: Option<(u64, u64)>,
}

/// The reason why no plan selects a resource.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NotSelectedReason<'a> {
    /// The closest selection; `None` if the account and Region have none.
    pub closest: Option<ClosestSelection<'a>>,
    /// The fewest steps after which that selection matches; empty if no such steps exist.
    pub steps: Vec<RemediationStep<'a>>,
    /// The cluster to change, for a member of a cluster.
    pub cluster: Option<&'a str>,
}

/// A selection that does not match, with the reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosestSelection<'a> {
    /// The plan of the selection.
    pub plan: &'a Plan,
    /// The selection.
    pub selection: &'a Selection,
    /// Every clause that fails.
    pub failed: Vec<FailedClause<'a>>,
}

/// A clause of a selection that a resource does not satisfy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailedClause<'a> {
    /// Neither its ARN nor a tag matches.
    NotNamed,
    /// A condition does not hold.
    Condition {
        /// The operator.
        operator: ConditionOperator,
        /// The tag key.
        key: &'a str,
        /// The value or pattern.
        value: &'a str,
        /// The value of the tag.
        found: Option<&'a str>,
    },
    /// A pattern of `NotResources` excludes it.
    Excluded(&'a str),
    /// The service is not enabled in the settings of AWS Backup.
    SwitchedOff(&'static str),
}

/// Condition operators of AWS Backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionOperator {
    /// Equal.
    StringEquals,
    /// Not equal, or absent.
    StringNotEquals,
    /// Matches a pattern.
    StringLike,
    /// Does not match a pattern, or absent.
    StringNotLike,
}

impl ConditionOperator {
    pub(super) fn is_like(self) -> bool {
        matches!(self, Self::StringLike | Self::StringNotLike)
    }

    pub(super) fn is_negative(self) -> bool {
        matches!(self, Self::StringNotEquals | Self::StringNotLike)
    }

    /// Returns the name in the AWS Backup API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::StringEquals => "StringEquals",
            Self::StringNotEquals => "StringNotEquals",
            Self::StringLike => "StringLike",
            Self::StringNotLike => "StringNotLike",
        }
    }
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
    /// A part of a location was not read; without a part, the whole location.
    Location {
        /// The account.
        account: &'a AccountId,
        /// The Region.
        region: &'a RegionName,
        /// The part.
        part: Option<LocationPart>,
        /// The reason, if recorded.
        reason: &'a str,
    },
    /// The tags.
    Tags,
    /// The value of a tag.
    TagValue(&'a str),
    /// The rest of the ARN.
    ArnEnd,
    /// The engine, for types that cover several engines.
    Engine,
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
    /// A part of a selection.
    Selection {
        /// The plan.
        plan: &'a Plan,
        /// The selection.
        selection: &'a Selection,
        /// The part.
        part: SelectionPart,
    },
    /// Selections of a plan: there may be more.
    Selections(&'a Plan),
    /// Rules of a plan: there may be more.
    Rules(&'a Plan),
    /// A part of a rule.
    Rule {
        /// The rule.
        rule: &'a Rule,
        /// The part.
        part: RulePart,
    },
    /// A schedule that AWS rejects, or that is not understood.
    Schedule {
        /// The rule.
        rule: &'a Rule,
        /// The error.
        problem: String,
    },
    /// Whether continuous backups satisfy a frequency that the schedule does not; AWS does not document it.
    Continuous(&'a Rule),
    /// The age of a continuous recovery point; AWS does not document how the control counts it.
    ContinuousPoint(&'a RecoveryPoint),
    /// A copy to an invalid vault ARN.
    CopyTarget(&'a str),
    /// A vault that is not in the inventory, or whose name is ambiguous.
    Vault(&'a str),
    /// The lock of a vault, or its bounds.
    Lock(&'a Vault),
    /// The policy of a vault.
    Policy,
    /// The effect of the policy of a vault.
    PolicyEffect(PolicyUncertainty),
    /// The lifecycle of a recovery point.
    Lifecycle,
    /// Whether a recovery point is encrypted.
    Encryption,
    /// The result for a resource that was never restored; AWS does not document it.
    NeverRestored,
    /// A parameter of the control that is invalid or known only at deployment.
    Parameter(&'static str),
    /// The scope of the control, which is known only at deployment.
    Scope,
}
