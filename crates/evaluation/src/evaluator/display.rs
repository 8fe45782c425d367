//! Texts of evaluation results, each for a line of its own.

use std::fmt;

use framework::backup::schedule::LongestGap;
use framework::backup::selection::TAG_PREFIX;
use syntax::text::printable;

use super::reason::{
    ComplianceReason, ComplianceResult, FailedClause, LockShortfall, NonComplianceReason, NotSelectedReason,
    RemediationStep, RuleShortfall, Uncertainty, UnlockedVault,
};
use super::vault_policy::{AllowedAction, DenyGap, PolicyUncertainty};
use crate::inventory::document::{RulePart, SelectionPart};
use crate::inventory::{InventoryGap, LocationPart, Plan, Rule, Selection};

impl ComplianceResult<'_> {
    /// Returns the compliance type as AWS Config spells it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Compliant(_) => "COMPLIANT",
            Self::NotCompliant(_) => "NON_COMPLIANT",
            Self::Undecided(_) => "UNDECIDED",
        }
    }
}

impl fmt::Display for ComplianceResult<'_> {
    /// The reason, in one sentence without a full stop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compliant(reason) => reason.fmt(f),
            Self::NotCompliant(reason) => reason.fmt(f),
            Self::Undecided(unknown) => write!(f, "unknown: {}", join(unknown, "; ")),
        }
    }
}

impl fmt::Display for ComplianceReason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Selected(plan, selection) => write!(f, "{} selects it", selection_of(selection, plan)),
            Self::Copied(plan) => write!(f, "{} copies its backups", the_plan(plan)),
            Self::Locked(plan) => write!(f, "{} stores its backups in a locked vault", the_plan(plan)),
            Self::RuleMeets(rule) => write!(f, "{} runs often enough and keeps long enough", the_rule(rule)),
            Self::Denied => f.write_str("its policy denies deleting and shortening recovery points"),
            Self::Encrypted => f.write_str("it is encrypted"),
            Self::Kept(None) => f.write_str("its retention is unlimited"),
            Self::Kept(Some(days)) => write!(f, "it is kept for {}", count(*days, "day")),
            Self::RecoveryPoint(point, age_minutes) => {
                write!(f, "its recovery point `{}` is {} old", printable(&point.arn), minutes(*age_minutes))
            }
            Self::Restored(restore) => write!(f, "its last restore took {}", count(restore.minutes, "minute")),
        }
    }
}

impl fmt::Display for NonComplianceReason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let does_not = |plans: &[&Plan]| match plans {
            [] => "the plans that may select it do not".to_owned(),
            [one] => format!("{} does not", the_plan(one)),
            several => format!("its {} plans do not", several.len()),
        };
        match self {
            Self::NotSelected(not_selected) => not_selected.fmt(f),
            Self::NotCopied(own, to) if to.is_empty() => {
                write!(f, "{} copy its backups to another Region or account", does_not(own))
            }
            Self::NotCopied(own, to) => write!(f, "{} copy its backups to {}", does_not(own), to.join(", ")),
            Self::NotLocked(own, vaults) => {
                write!(f, "{} store its backups in a vault with the required lock", does_not(own))?;
                if vaults.is_empty() { Ok(()) } else { write!(f, ": {}", join(vaults, ", ")) }
            }
            Self::NoRuleMeets(short) if short.is_empty() => f.write_str("the plan has no rules"),
            Self::NoRuleMeets(short) => join(short, "; ").fmt(f),
            Self::NoPolicy => f.write_str("the vault has no access policy"),
            Self::Allowed(open) => join(open, "; ").fmt(f),
            Self::NotEncrypted => f.write_str("it is not encrypted"),
            Self::KeptTooShort(days, required) => {
                write!(f, "it is kept for {}; {} are required", count(*days, "day"), count(*required, "day"))
            }
            Self::NoRecoveryPoint(None, most_minutes) => {
                write!(f, "it has no matching recovery point; the maximum age is {}", minutes(*most_minutes))
            }
            Self::NoRecoveryPoint(Some(age), most_minutes) => {
                // The age is rounded down, and exceeds the maximum.
                let (age, most) = (minutes(*age), minutes(*most_minutes));
                let more = if age == most { "a little more than " } else { "" };
                write!(f, "its newest recovery point is {more}{age} old; the maximum is {most}")
            }
            Self::AwsManagedKey => {
                f.write_str("it is encrypted with an AWS managed key, and AWS Backup stores it in no air-gapped vault")
            }
            Self::RestoredTooSlowly(restore, most_minutes) => {
                write!(f, "its last restore took {}; the maximum is {most_minutes}", count(restore.minutes, "minute"))
            }
        }
    }
}

impl fmt::Display for UnlockedVault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let vault = printable(local(self.vault));
        let days = |own: Option<u64>| own.map_or_else(|| "none".to_owned(), |own| count(own, "day"));
        match self.shortfall {
            LockShortfall::Vault => write!(f, "the vault `{vault}` does not exist"),
            LockShortfall::Lock => write!(f, "`{vault}` has no lock"),
            LockShortfall::Minimum(own, required) => {
                write!(f, "the lock of `{vault}` has a minimum of {}; {required} are required", days(own))
            }
            LockShortfall::Maximum(own, required) => {
                write!(f, "the lock of `{vault}` has a maximum of {}; {required} are allowed", days(own))
            }
        }
    }
}

impl fmt::Display for RuleShortfall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", the_rule(self.rule))?;
        let allowed = |most: &u64| minutes(i64::try_from(*most).unwrap_or(i64::MAX));
        match &self.frequency {
            Some((LongestGap::Never, _)) => f.write_str("never runs")?,
            Some((LongestGap::Minutes(gap), most)) => {
                write!(f, "leaves up to {} between runs; the maximum is {}", allowed(gap), allowed(most))?;
            }
            None => {}
        }
        if let Some((kept, required)) = self.retention {
            let and = if self.frequency.is_some() { ", and " } else { "" };
            write!(f, "{and}keeps for {}; {} are required", count(kept, "day"), count(required, "day"))?;
        }
        Ok(())
    }
}

impl fmt::Display for NotSelectedReason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no plan selects it")?;
        let Some(near) = &self.closest else {
            return match self.empty_plan {
                Some(plan) => write!(f, "; {} has no selections", the_plan(plan)),
                None => f.write_str("; its account and Region have none"),
            };
        };
        let (selection, failed) = (printable(&near.selection.name), join(&near.failed, ", "));
        write!(f, "; the closest selection is `{selection}` of {}: {failed}", the_plan(near.plan))
    }
}

impl fmt::Display for FailedClause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNamed => f.write_str("neither its ARN nor a tag matches"),
            Self::Condition { operator, key, value, found, similar } => {
                let (key, value) = (printable(key), printable(value));
                write!(f, "the condition {operator} `{key}` `{value}` does not hold (")?;
                match (found, similar) {
                    (Some(found), _) => write!(f, "it has `{}`)", printable(found)),
                    (None, Some(similar)) => write!(f, "it has `{}`; keys are case-sensitive)", printable(similar)),
                    (None, None) => f.write_str("the tag is absent)"),
                }
            }
            Self::OtherType(pattern) => write!(f, "`{}` names another type", printable(pattern)),
            Self::Contradiction(key) => write!(f, "its conditions on `{}` can never hold together", printable(key)),
            Self::LiteralStar(key, value) => {
                let (key, value) = (printable(key), printable(value));
                write!(
                    f,
                    "the `*` in `{key}` = `{value}` of ListOfTags is itself (StringLike in Conditions takes patterns)"
                )
            }
            Self::Excluded(pattern) => write!(f, "`{}` excludes it", printable(pattern)),
            Self::SwitchedOff(service) => write!(f, "{service} is not enabled in the settings of AWS Backup"),
        }
    }
}

impl fmt::Display for RemediationStep<'_> {
    /// An imperative.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetTag { key, value, current, similar } => {
                write!(f, "tag it `{}` = `{}`", printable(key), printable(value))?;
                match (current, similar) {
                    (Some(current), _) => write!(f, " (currently `{}`)", printable(current)),
                    (None, Some(similar)) => write!(f, " (it has `{}`; keys are case-sensitive)", printable(similar)),
                    (None, None) => Ok(()),
                }
            }
            Self::RemoveTag { key, current } => {
                write!(f, "remove the tag `{}` from it", printable(key))?;
                current.map_or(Ok(()), |current| write!(f, " (currently `{}`)", printable(current)))
            }
            Self::AddArn { plan, selection, arn } => {
                write!(f, "add `{arn}` to the resources of {}", selection_of(selection, plan))
            }
            Self::TurnOnAutomaticBackups => f.write_str("turn automatic backups on (PutBackupPolicy)"),
            Self::OptIn { account, region, service } => {
                write!(f, "enable {service} in the settings of AWS Backup of account {account} in {region}")
            }
        }
    }
}

impl fmt::Display for AllowedAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is ", self.action)?;
        match &self.gap {
            None => f.write_str("not denied"),
            Some(DenyGap::Principal) => f.write_str("denied to some principals only; set the Principal to `*`"),
            Some(DenyGap::Resource) => f.write_str("denied for some resources only; set the Resource to `*`"),
            Some(DenyGap::Excepts(arn)) => {
                let arn = printable(arn);
                write!(f, "not denied to `{arn}`, which the framework does not name in principalArnList")
            }
            Some(DenyGap::Condition(condition)) => {
                write!(f, "denied under the condition {} only", printable(condition))
            }
        }
    }
}

impl fmt::Display for PolicyUncertainty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(problem) => write!(f, "the effect of its policy ({})", printable(problem)),
            Self::Spread => f.write_str("whether the control accepts denials in several statements"),
            Self::Condition(condition) => write!(f, "which principals the condition {} exempts", printable(condition)),
            Self::Resource(resource) => write!(f, "whether the control accepts the Resource `{}`", printable(resource)),
        }
    }
}

impl fmt::Display for Uncertainty<'_> {
    /// Long because every uncertainty has its own text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Location(InventoryGap { account, region, part, reason }) => {
                let part = match part {
                    None => "anything",
                    Some(LocationPart::Resources) => "all resources",
                    Some(LocationPart::Plans) => "all backup plans",
                    Some(LocationPart::Selections) => "all backup selections",
                    Some(LocationPart::Vaults) => "all vaults",
                    Some(LocationPart::VaultPolicies) => "the policies of vaults",
                    Some(LocationPart::VaultLocks) => "the locks of vaults",
                    Some(LocationPart::RecoveryPoints) => "all recovery points",
                    Some(LocationPart::Restores) => "all restores",
                };
                write!(f, "{part} of account {account} in {region}")?;
                if reason.is_empty() { Ok(()) } else { write!(f, " ({})", printable(reason)) }
            }
            Self::Tags => f.write_str("its tags"),
            Self::TagValue(key) => write!(f, "the value of its tag `{}`", printable(key)),
            Self::ArnEnd => f.write_str("its whole ARN"),
            Self::Engine => f.write_str("its engine"),
            Self::ConditionKey(key) => {
                write!(
                    f,
                    "the effect of the condition key `{}`, which lacks the prefix `aws:ResourceTag/`",
                    printable(key)
                )
            }
            Self::ListedKey(key) => {
                let bare = key.strip_prefix(TAG_PREFIX).unwrap_or(key);
                write!(f, "whether the key `{}` of `ListOfTags` means the tag `{}`", printable(key), printable(bare))
            }
            Self::RefusedLifecycle(rule) => write!(
                f,
                "the retention of {}, because AWS Backup rejects its lifecycle (at least 1 day, and 90 more in cold storage)",
                the_rule(rule)
            ),
            Self::ContinuousRetention(rule) => {
                let rule = the_rule(rule);
                write!(f, "the retention of {rule}, because continuous backups are kept for at most 35 days")
            }
            Self::Cluster(arn) => write!(f, "its cluster `{}`", printable(local(arn))),
            Self::OptIn(service) => write!(f, "whether {service} is enabled in the settings of AWS Backup"),
            Self::Selection(plan, selection, SelectionPart::Existence) => {
                write!(f, "whether {} exists", selection_of(selection, plan))
            }
            // The names of the other parts are those of the AWS Backup API.
            Self::Selection(plan, selection, part) => write!(f, "{part:?} of {}", selection_of(selection, plan)),
            Self::Selections(plan) => write!(f, "all selections of {}", the_plan(plan)),
            Self::Rules(plan) => write!(f, "all rules of {}", the_plan(plan)),
            Self::Rule(rule, part) => {
                let part = match part {
                    RulePart::Schedule => "the schedule",
                    RulePart::TargetVault => "the vault",
                    RulePart::Lifecycle => "the lifecycle",
                    RulePart::Copies => "all copies",
                };
                write!(f, "{part} of {}", the_rule(rule))
            }
            Self::Schedule(rule, problem) => write!(f, "the schedule of {} ({problem})", the_rule(rule)),
            Self::Continuous(rule) => {
                let rule = the_rule(rule);
                write!(
                    f,
                    "whether the control counts the continuous backups of {rule}, whose schedule is too infrequent"
                )
            }
            Self::ContinuousPoint(point) => {
                let arn = printable(&point.arn);
                write!(f, "the age that the control assumes for the continuous recovery point `{arn}`")
            }
            Self::CopyTarget(arn) => write!(f, "the target of copies to `{}`", printable(arn)),
            Self::Vault(name) => write!(f, "the vault `{}`", printable(local(name))),
            Self::AmbiguousVault(name) => {
                write!(f, "the vault `{}`, of which there are several that differ", printable(local(name)))
            }
            Self::AirGappedLock(name) => {
                write!(f, "the retention bounds of the air-gapped vault `{}`", printable(local(name)))
            }
            Self::OntapTags => f.write_str(
                "whether a tag of the file system counts: AWS Backup asks to tag the volumes of FSx for ONTAP",
            ),
            Self::Lock(vault) => write!(f, "the lock of the vault `{}`", printable(local(&vault.name))),
            Self::Policy => f.write_str("its policy"),
            Self::PolicyEffect(uncertainty) => uncertainty.fmt(f),
            Self::Lifecycle => f.write_str("its retention"),
            Self::Encryption => f.write_str("whether it is encrypted"),
            Self::NeverRestored => f.write_str("the result of the control for a resource that was never restored"),
            Self::Parameter(name) => write!(f, "the parameter `{name}` of the control"),
            Self::Scope => f.write_str("the scope of the control"),
        }
    }
}

pub(super) fn join<T: fmt::Display>(items: &[T], between: &str) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        items.iter().enumerate().try_for_each(|(index, item)| {
            f.write_str(if index > 0 { between } else { "" })?;
            item.fmt(f)
        })
    })
}

/// Returns the logical id of a placeholder, which represents an unknown name or ARN of a template; another name as is.
pub(crate) fn local(name: &str) -> &str {
    name.rsplit_once('#').map_or(name, |(_, logical_id)| logical_id)
}

fn the_plan(plan: &Plan) -> impl fmt::Display {
    fmt::from_fn(move |f| write!(f, "the plan `{}`", printable(&plan.name)))
}

fn the_rule(rule: &Rule) -> impl fmt::Display {
    fmt::from_fn(move |f| write!(f, "the rule `{}`", printable(&rule.name)))
}

/// Formats "the selection `tagged` of the plan `gold`".
pub(crate) fn selection_of(selection: &Selection, plan: &Plan) -> impl fmt::Display {
    fmt::from_fn(move |f| write!(f, "the selection `{}` of {}", printable(&selection.name), the_plan(plan)))
}

/// Formats "1 day", "35 days".
pub(super) fn count(number: u64, unit: &str) -> String {
    if number == 1 { format!("1 {unit}") } else { format!("{number} {unit}s") }
}

/// Formats minutes in the largest unit without a remainder.
fn minutes(minutes: i64) -> String {
    let number = minutes.max(0).unsigned_abs();
    match number {
        0 => "less than a minute".to_owned(),
        _ if number.is_multiple_of(1_440) => count(number / 1_440, "day"),
        _ if number.is_multiple_of(60) => count(number / 60, "hour"),
        _ => count(number, "minute"),
    }
}
