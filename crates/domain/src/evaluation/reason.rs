//! Why a resource satisfies a control or does not, or what nobody knows: as data. Words for it are beside it.

use jiff::Timestamp;

use super::schedule::Longest;
use super::vault_policy::{Doubt, Open};
use crate::ids::{AccountId, RegionName};
use crate::inventory::document::{Restore, RulePart, SelectionPart};
use crate::inventory::{Part, Plan, RecoveryPoint, Rule, Selection, Vault};

/// What a control says of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It satisfies the control.
    Compliant(Why<'a>),
    /// It breaks it.
    NotCompliant(Flaw<'a>),
    /// Nobody can tell, for want of these. Never empty.
    Undecided(Vec<Unknown<'a>>),
}

/// Why something satisfies a control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why<'a> {
    /// A plan selects it.
    Selected {
        /// The plan.
        plan: &'a Plan,
        /// The selection of the plan that takes it in.
        selection: &'a Selection,
    },
    /// Plans that select it make the copies.
    Copied {
        /// The first of them.
        plan: &'a Plan,
    },
    /// A plan that selects it stores into a locked vault.
    Locked {
        /// The plan.
        plan: &'a Plan,
    },
    /// A rule of the plan runs often enough and keeps long enough.
    RuleMeets {
        /// The rule.
        rule: &'a Rule,
    },
    /// The policy of the vault denies all that it must.
    Denied,
    /// The recovery point is encrypted.
    Encrypted,
    /// It is kept long enough; `None` is for ever.
    Kept {
        /// Days.
        days: Option<u64>,
    },
    /// It has a recovery point that is young enough.
    RecoveryPoint {
        /// The recovery point.
        point: &'a RecoveryPoint,
        /// Its age in minutes, rounded down.
        age_minutes: i64,
    },
    /// Its last restore was quick enough.
    Restored {
        /// The restore.
        restore: &'a Restore,
    },
}

/// Why something breaks a control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw<'a> {
    /// No plan selects it.
    NotSelected(Box<Miss<'a>>),
    /// Plans select it, and none of them copies there. Without a name: to no other place at all.
    NotCopied {
        /// The plans that select it.
        plans: Vec<&'a Plan>,
        /// Regions or accounts that no copy goes to.
        to: Vec<&'a str>,
    },
    /// Plans select it, and none of them stores into a vault that is locked as it must be.
    NotLocked {
        /// The plans that select it.
        plans: Vec<&'a Plan>,
    },
    /// No rule of the plan does both; what each lacks, in the order of the rules.
    NoRuleMeets(Vec<Short<'a>>),
    /// The vault has no policy.
    NoPolicy,
    /// The policy of the vault leaves something open.
    Allowed(Vec<Open>),
    /// The recovery point is not encrypted.
    NotEncrypted,
    /// It is not kept long enough.
    KeptTooShort {
        /// Days that it is kept.
        days: u64,
        /// Days that it must be kept.
        required: u64,
    },
    /// It has no recovery point that is young enough.
    NoRecoveryPoint {
        /// The newest one that counts, and its age in minutes.
        newest: Option<(&'a RecoveryPoint, i64)>,
        /// The age that is allowed, in minutes.
        most_minutes: i64,
        /// When the resource came to be, where that is known.
        created: Option<Timestamp>,
    },
    /// Its last restore took too long.
    RestoredTooSlowly {
        /// The restore.
        restore: &'a Restore,
        /// Minutes that it may take.
        most_minutes: u64,
    },
}

/// What a rule of a plan lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Short<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// The longest time between its runs and the longest that is allowed, in minutes, if it runs too seldom.
    pub frequency: Option<(Longest, u64)>,
    /// Days that it keeps and days that it must, if it keeps too short.
    pub retention: Option<(u64, u64)>,
}

/// How far a resource is from the plans that there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Miss<'a> {
    /// The selection that comes nearest. `None` when there is none in the account and Region.
    pub nearest: Option<Near<'a>>,
    /// The fewest changes that bring it into that selection. Empty when changes of these kinds do not.
    pub changes: Vec<Change<'a>>,
    /// The cluster that would have to be changed, where the resource is a member of one.
    pub cluster: Option<&'a str>,
}

/// A selection that does not take a resource in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Near<'a> {
    /// Its plan.
    pub plan: &'a Plan,
    /// The selection.
    pub selection: &'a Selection,
    /// All that speaks against the resource.
    pub failed: Vec<Clause<'a>>,
}

/// A part of a selection that a resource does not satisfy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clause<'a> {
    /// Neither its ARN nor a tag brings it in.
    NotNamed,
    /// A condition does not hold.
    Condition {
        /// How it compares.
        operator: Operator,
        /// The tag.
        key: &'a str,
        /// The value or pattern.
        value: &'a str,
        /// The value that the tag has.
        found: Option<&'a str>,
    },
    /// It is left out.
    Excluded {
        /// The pattern that does so.
        pattern: &'a str,
    },
    /// The switch for its service is off.
    SwitchedOff {
        /// The service, as AWS Backup names it.
        service: &'static str,
    },
}

/// Operators of conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operator {
    /// Equal.
    StringEquals,
    /// Not equal, or not there.
    StringNotEquals,
    /// Like a pattern.
    StringLike,
    /// Unlike a pattern, or not there.
    StringNotLike,
}

impl Operator {
    pub(super) fn is_like(self) -> bool {
        matches!(self, Self::StringLike | Self::StringNotLike)
    }

    pub(super) fn is_negative(self) -> bool {
        matches!(self, Self::StringNotEquals | Self::StringNotLike)
    }

    /// As AWS Backup writes it.
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

/// A change that people can make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<'a> {
    /// Give the resource a tag, or its tag another value.
    SetTag {
        /// The tag.
        key: &'a str,
        /// The value that it needs.
        value: String,
        /// The value that it has.
        now: Option<&'a str>,
    },
    /// Take a tag off the resource.
    RemoveTag {
        /// The tag.
        key: &'a str,
        /// The value that it has.
        now: Option<&'a str>,
    },
    /// Add the resource to `Resources` of a selection.
    AddArn {
        /// The plan.
        plan: &'a Plan,
        /// The selection.
        selection: &'a Selection,
        /// The ARN to add.
        arn: &'a str,
    },
    /// Switch a service on in the Region's settings of AWS Backup.
    OptIn {
        /// The account.
        account: &'a AccountId,
        /// The Region.
        region: &'a RegionName,
        /// The service, as AWS Backup names it.
        service: &'static str,
    },
}

/// Something that a judgement hangs on and nobody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown<'a> {
    /// A part of an account and Region that was not read; without a part: all of it.
    Place {
        /// The account.
        account: &'a AccountId,
        /// The Region.
        region: &'a RegionName,
        /// The part.
        part: Option<Part>,
        /// Why, as far as that was written down.
        why: &'a str,
    },
    /// The tags.
    Tags,
    /// The value of a tag.
    TagValue {
        /// The tag.
        key: &'a str,
    },
    /// How the ARN goes on.
    ArnEnd,
    /// The cluster that it is a member of is not in the inventory.
    Cluster {
        /// The ARN of the cluster.
        arn: &'a str,
    },
    /// The switch for a service.
    OptIn {
        /// The service, as AWS Backup names it.
        service: &'static str,
    },
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
    Selections {
        /// The plan.
        plan: &'a Plan,
    },
    /// Rules of a plan: there may be more.
    Rules {
        /// The plan.
        plan: &'a Plan,
    },
    /// A part of a rule.
    Rule {
        /// The rule.
        rule: &'a Rule,
        /// The part.
        part: RulePart,
    },
    /// A schedule that AWS would refuse, or that we cannot read.
    Schedule {
        /// The rule.
        rule: &'a Rule,
        /// What is wrong with it.
        problem: String,
    },
    /// A rule runs too seldom but makes continuous backups, and AWS does not say what the control makes of that.
    Continuous {
        /// The rule.
        rule: &'a Rule,
    },
    /// A continuous recovery point goes on, and AWS does not say how old the control takes it for.
    ContinuousPoint {
        /// The recovery point.
        point: &'a RecoveryPoint,
    },
    /// The ARN of a vault that copies go to makes no sense.
    CopyTarget {
        /// The ARN.
        arn: &'a str,
    },
    /// A vault that is not in the inventory, or of which several there have the name.
    Vault {
        /// Its name.
        name: &'a str,
    },
    /// The lock of a vault, or its bounds.
    Lock {
        /// The vault.
        vault: &'a Vault,
    },
    /// The policy of a vault.
    Policy,
    /// What AWS makes of the policy of a vault.
    PolicyDoubt(Doubt),
    /// The lifecycle of a recovery point.
    Lifecycle,
    /// Whether a recovery point is encrypted.
    Encryption,
    /// It was never restored, and AWS does not say what the control makes of that.
    NeverRestored,
    /// A parameter of the control that only a deployment can tell, or that is wrong.
    Parameter {
        /// Its name.
        name: &'static str,
    },
    /// What the control is narrowed to, which only a deployment can tell.
    Scope,
}
