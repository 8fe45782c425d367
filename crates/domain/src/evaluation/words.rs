//! Reasons in plain words, to stand on a line of their own.

use std::fmt;

use super::reason::{Change, Clause, Flaw, Lack, Miss, Short, Unknown, Unlocked, Verdict, Why};
use super::schedule::Longest;
use super::vault_policy::{Because, Doubt, Open};
use crate::ids::shown;
use crate::inventory::document::{RulePart, SelectionPart};
use crate::inventory::{Part, Plan};

impl Verdict<'_> {
    /// One word, as AWS Config has it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Compliant(_) => "COMPLIANT",
            Self::NotCompliant(_) => "NON_COMPLIANT",
            Self::Undecided(_) => "UNDECIDED",
        }
    }
}

impl fmt::Display for Verdict<'_> {
    /// Why, in one sentence without a full stop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compliant(why) => why.fmt(f),
            Self::NotCompliant(flaw) => flaw.fmt(f),
            Self::Undecided(unknown) => {
                f.write_str("not known: ")?;
                joined(f, unknown, "; ")
            }
        }
    }
}

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Selected { plan, selection } => {
                write!(f, "the selection `{}` of the plan `{}` takes it in", shown(&selection.name), shown(&plan.name))
            }
            Self::Copied { plan } => write!(f, "the plan `{}` copies its backups", shown(&plan.name)),
            Self::Locked { plan } => write!(f, "the plan `{}` stores its backups in a locked vault", shown(&plan.name)),
            Self::RuleMeets { rule } => {
                write!(f, "the rule `{}` runs often enough and keeps long enough", shown(&rule.name))
            }
            Self::Denied => f.write_str("its policy denies deleting and shortening recovery points"),
            Self::Encrypted => f.write_str("it is encrypted"),
            Self::Kept { days: None } => f.write_str("it is kept for ever"),
            Self::Kept { days: Some(days) } => write!(f, "it is kept for {}", count(*days, "day")),
            Self::RecoveryPoint { point, age_minutes } => {
                write!(f, "its recovery point `{}` is {} old", shown(&point.arn), minutes(*age_minutes))
            }
            Self::Restored { restore } => write!(f, "its last restore took {}", count(restore.minutes, "minute")),
        }
    }
}

impl fmt::Display for Flaw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let does_not = |plans: &[&Plan]| match plans {
            [] => "the plans that may select it do not".to_owned(),
            [one] => format!("the plan `{}` does not", shown(&one.name)),
            several => format!("its {} plans do not", several.len()),
        };
        match self {
            Self::NotSelected(miss) => miss.fmt(f),
            Self::NotCopied { plans: own, to } if to.is_empty() => {
                write!(f, "{} copy its backups to another place", does_not(own))
            }
            Self::NotCopied { plans: own, to } => {
                write!(f, "{} copy its backups to {}", does_not(own), to.join(", "))
            }
            Self::NotLocked { plans: own, vaults } => {
                write!(f, "{} store its backups in a vault that is locked as it must be", does_not(own))?;
                if !vaults.is_empty() {
                    f.write_str(": ")?;
                }
                joined(f, vaults, ", ")
            }
            Self::NoRuleMeets(short) if short.is_empty() => f.write_str("the plan has no rules"),
            Self::NoRuleMeets(short) => joined(f, short, "; "),
            Self::NoPolicy => f.write_str("the vault has no access policy"),
            Self::Allowed(open) => joined(f, open, "; "),
            Self::NotEncrypted => f.write_str("it is not encrypted"),
            Self::KeptTooShort { days, required } => {
                write!(f, "it is kept for {}, and {} are required", count(*days, "day"), count(*required, "day"))
            }
            Self::NoRecoveryPoint { newest: None, most_minutes, .. } => {
                write!(
                    f,
                    "it has no recovery point that counts, and needs one no older than {}",
                    minutes(*most_minutes)
                )
            }
            Self::NoRecoveryPoint { newest: Some((_, age)), most_minutes, .. } => {
                // The age is rounded down, and is more than what is allowed.
                let (age, most) = (minutes(*age), minutes(*most_minutes));
                let more = if age == most { "a little more than " } else { "" };
                write!(f, "its newest recovery point is {more}{age} old, {most} at most are allowed")
            }
            Self::RestoredTooSlowly { restore, most_minutes } => {
                write!(
                    f,
                    "its last restore took {}, {most_minutes} at most are allowed",
                    count(restore.minutes, "minute")
                )
            }
        }
    }
}

impl fmt::Display for Unlocked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let vault = shown(self.vault);
        let days = |own: Option<u64>, none: &str| own.map_or_else(|| none.to_owned(), |own| count(own, "day"));
        match self.lack {
            Lack::Vault => write!(f, "there is no vault `{vault}`"),
            Lack::Lock => write!(f, "`{vault}` has no lock"),
            Lack::Minimum { own, required } => {
                write!(f, "the lock of `{vault}` has a minimum of {}, {required} are required", days(own, "none"))
            }
            Lack::Maximum { own, required } => {
                write!(f, "the lock of `{vault}` has a maximum of {}, {required} are allowed", days(own, "none"))
            }
        }
    }
}

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the rule `{}` ", shown(&self.rule.name))?;
        let allowed = |most: &u64| minutes(i64::try_from(*most).unwrap_or(i64::MAX));
        match &self.frequency {
            Some((Longest::Never, _)) => f.write_str("never runs")?,
            Some((Longest::Minutes(gap), most)) => {
                write!(f, "leaves up to {} between runs, {} at most are allowed", allowed(gap), allowed(most))?;
            }
            None => {}
        }
        if let Some((kept, required)) = self.retention {
            let and = if self.frequency.is_some() { ", and " } else { "" };
            write!(f, "{and}keeps for {}, and {} are required", count(kept, "day"), count(required, "day"))?;
        }
        Ok(())
    }
}

impl fmt::Display for Miss<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no plan selects it")?;
        let Some(near) = &self.nearest else { return f.write_str("; there is none in its account and Region") };
        write!(
            f,
            "; nearest is the selection `{}` of the plan `{}`: ",
            shown(&near.selection.name),
            shown(&near.plan.name)
        )?;
        joined(f, &near.failed, ", ")
    }
}

impl fmt::Display for Clause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNamed => f.write_str("neither its ARN nor a tag brings it in"),
            Self::Condition { operator, key, value, found } => {
                write!(f, "the condition {} `{}` `{}` does not hold", operator.name(), shown(key), shown(value))?;
                match found {
                    Some(found) => write!(f, " (it has `{}`)", shown(found)),
                    None => f.write_str(" (it has no such tag)"),
                }
            }
            Self::Excluded { pattern } => write!(f, "`{}` leaves it out", shown(pattern)),
            Self::SwitchedOff { service } => write!(f, "{service} is switched off in the settings of AWS Backup"),
        }
    }
}

impl fmt::Display for Change<'_> {
    /// As something to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetTag { key, value, now } => {
                write!(f, "tag it `{}` = `{}`", shown(key), shown(value))?;
                now.map_or(Ok(()), |now| write!(f, " (now `{}`)", shown(now)))
            }
            Self::RemoveTag { key, now } => {
                write!(f, "take the tag `{}` off it", shown(key))?;
                now.map_or(Ok(()), |now| write!(f, " (now `{}`)", shown(now)))
            }
            Self::AddArn { plan, selection, arn } => write!(
                f,
                "add `{arn}` to the resources of the selection `{}` of the plan `{}`",
                shown(&selection.name),
                shown(&plan.name)
            ),
            Self::OptIn { account, region, service } => {
                write!(f, "switch {service} on in the settings of AWS Backup of account {account} in {region}")
            }
        }
    }
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.because {
            None => write!(f, "{} is not denied", self.action),
            Some(Because::Principal) => {
                write!(f, "{} is denied to some principals only; the Principal must be `*`", self.action)
            }
            Some(Because::Resource) => {
                write!(f, "{} is denied for some resources only; the Resource must be `*`", self.action)
            }
            Some(Because::Excepts(arn)) => write!(
                f,
                "{} is not denied to `{}`, which the framework does not name in principalArnList",
                self.action,
                shown(arn)
            ),
            Some(Because::Condition(condition)) => {
                write!(f, "{} is denied under the condition {} only", self.action, shown(condition))
            }
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(problem) => write!(f, "what its policy means ({})", shown(problem)),
            Self::Spread => f.write_str("whether the control accepts denials that are spread over several statements"),
            Self::Condition(condition) => write!(f, "whom the condition {} leaves out", shown(condition)),
            Self::Resource(resource) => write!(f, "whether the control accepts the Resource `{}`", shown(resource)),
        }
    }
}

impl fmt::Display for Unknown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place { account, region, part, why } => {
                let part = match part {
                    None => "anything",
                    Some(Part::Resources) => "all resources",
                    Some(Part::Plans) => "all backup plans",
                    Some(Part::Selections) => "all backup selections",
                    Some(Part::Vaults) => "all vaults",
                    Some(Part::VaultPolicies) => "the policies of vaults",
                    Some(Part::VaultLocks) => "the locks of vaults",
                    Some(Part::RecoveryPoints) => "all recovery points",
                    Some(Part::Restores) => "all restores",
                };
                write!(f, "{part} of account {account} in {region}")?;
                if why.is_empty() { Ok(()) } else { write!(f, " ({})", shown(why)) }
            }
            Self::Tags => f.write_str("its tags"),
            Self::TagValue { key } => write!(f, "the value of its tag `{}`", shown(key)),
            Self::ArnEnd => f.write_str("its whole ARN"),
            Self::Engine => f.write_str("its engine, which decides what it is to AWS Backup"),
            Self::ConditionKey { key } => write!(
                f,
                "what AWS Backup makes of the condition key `{}`, which does not begin with `aws:ResourceTag/`",
                shown(key)
            ),
            Self::RefusedLifecycle { rule } => write!(
                f,
                "how long the rule `{}` keeps, for AWS Backup refuses its lifecycle (at least 1 day, and 90 more after moving to cold storage)",
                shown(&rule.name)
            ),
            Self::ContinuousRetention { rule } => write!(
                f,
                "how long the rule `{}` keeps, for continuous backups are kept for 35 days at most",
                shown(&rule.name)
            ),
            Self::Cluster { arn } => write!(f, "its cluster `{}`", shown(arn)),
            Self::OptIn { service } => write!(f, "whether {service} is switched on in the settings of AWS Backup"),
            Self::Selection { plan, selection, part } => {
                let (selection, plan) = (shown(&selection.name), shown(&plan.name));
                let part = match part {
                    SelectionPart::Resources => "Resources",
                    SelectionPart::NotResources => "NotResources",
                    SelectionPart::ListOfTags => "ListOfTags",
                    SelectionPart::Conditions => "Conditions",
                    SelectionPart::Existence => {
                        return write!(f, "whether the selection `{selection}` of the plan `{plan}` is there");
                    }
                };
                write!(f, "{part} of the selection `{selection}` of the plan `{plan}`")
            }
            Self::Selections { plan } => write!(f, "all selections of the plan `{}`", shown(&plan.name)),
            Self::Rules { plan } => write!(f, "all rules of the plan `{}`", shown(&plan.name)),
            Self::Rule { rule, part } => {
                let part = match part {
                    RulePart::Schedule => "the schedule",
                    RulePart::TargetVault => "the vault",
                    RulePart::Lifecycle => "the lifecycle",
                    RulePart::Copies => "all copies",
                };
                write!(f, "{part} of the rule `{}`", shown(&rule.name))
            }
            Self::Schedule { rule, problem } => {
                write!(f, "when the rule `{}` runs ({})", shown(&rule.name), problem)
            }
            Self::Continuous { rule } => write!(
                f,
                "whether the control counts the continuous backups of the rule `{}`, whose schedule is too seldom",
                shown(&rule.name)
            ),
            Self::ContinuousPoint { point } => {
                write!(f, "how old the control takes the continuous recovery point `{}` for", shown(&point.arn))
            }
            Self::CopyTarget { arn } => write!(f, "where copies to `{}` go", shown(arn)),
            Self::Vault { name } => write!(f, "the vault `{}`", shown(name)),
            Self::Lock { vault } => write!(f, "the lock of the vault `{}`", shown(&vault.name)),
            Self::Policy => f.write_str("its policy"),
            Self::PolicyDoubt(doubt) => doubt.fmt(f),
            Self::Lifecycle => f.write_str("how long it is kept"),
            Self::Encryption => f.write_str("whether it is encrypted"),
            Self::NeverRestored => {
                f.write_str("what the control makes of a resource that was never restored, as this one")
            }
            Self::Parameter { name } => write!(f, "the parameter `{name}` of the control"),
            Self::Scope => f.write_str("what the control is for"),
        }
    }
}

fn joined<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T], between: &str) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        item.fmt(f)?;
    }
    Ok(())
}

/// "1 day", "35 days".
fn count(number: u64, unit: &str) -> String {
    if number == 1 { format!("1 {unit}") } else { format!("{number} {unit}s") }
}

/// In the largest unit that leaves nothing over.
fn minutes(minutes: i64) -> String {
    let number = minutes.max(0).unsigned_abs();
    match number {
        0 => "less than a minute".to_owned(),
        _ if number.is_multiple_of(1_440) => count(number / 1_440, "day"),
        _ if number.is_multiple_of(60) => count(number / 60, "hour"),
        _ => count(number, "minute"),
    }
}
