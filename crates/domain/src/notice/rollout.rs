//! Notices about a rollout.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use framework::ids::{CommitId, StackSetName};

use super::Render;
use super::text::{self, count, field, fit, item, list, numbers, one_line, paragraph, section};
use crate::rollout::{FailureCause, FailureGroup, Instance, InstanceFailure, InstanceOutcome, Verdict, group_failures};

const NAMED: usize = 20;
/// Bytes of a reason; those of CloudFormation have a few hundred.
const REASON: usize = 800;
const GROUPS: usize = 12;
/// Groups of skipped instances, which have few reasons.
const SKIPPED_GROUPS: usize = 3;
/// Bytes of the reason of a group, and of a skipped instance.
const GROUP_REASON: usize = 500;
const SKIPPED_REASON: usize = 200;

/// The result of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutReport {
    /// The StackSet.
    pub stack_set: StackSetName,
    /// The policy repository.
    pub repository: String,
    /// Its branch.
    pub branch: String,
    /// The commit.
    pub commit: CommitId,
    /// The commit's author.
    pub author: String,
    /// The first line of the commit's message.
    pub message: String,
    /// The outcome of each stack instance.
    pub verdict: Verdict,
    /// Created instances.
    pub created: usize,
    /// Updated instances.
    pub updated: usize,
    /// Deleted instances.
    pub deleted: usize,
    /// Whether it was a removal: of a framework that is no longer in the policy, or of all frameworks.
    pub is_removal: bool,
    /// Stacks that a removal retained in their accounts.
    pub retained: Vec<Instance>,
    /// An error of the whole rollout: AWS rejected a call, or another owner has the StackSet.
    pub error: Option<String>,
    /// The next attempt after a failure.
    pub next: Option<String>,
}

impl RolloutReport {
    fn succeeded(&self) -> bool {
        self.verdict.is_success() && self.error.is_none()
    }

    /// `732 of 800 instances`.
    fn progress(&self) -> String {
        format!("{} of {}", self.verdict.succeeded, count(self.verdict.total, "instance"))
    }

    fn remaining(&self) -> String {
        count(self.verdict.failures.len(), "instance")
    }

    fn number(&self, outcome: InstanceOutcome) -> usize {
        let all = self.verdict.failures.iter().chain(&self.verdict.skipped);
        all.filter(|diagnostic| diagnostic.outcome == outcome).count()
    }

    /// `14 failed, 2 cancelled, 1 skipped`.
    pub(super) fn outcomes(&self) -> String {
        let outcomes = [
            InstanceOutcome::Failed,
            InstanceOutcome::NotDeleted,
            InstanceOutcome::Cancelled,
            InstanceOutcome::NeverReached,
            InstanceOutcome::Skipped,
        ];
        numbers(outcomes.map(|outcome| (self.number(outcome), outcome)))
    }

    /// `12 instances deleted, 2 stacks retained`.
    fn removals(&self) -> String {
        let done = [(self.deleted, "instance", "deleted"), (self.retained.len(), "stack", "retained")];
        let done = done.into_iter().filter(|(number, _, _)| *number > 0);
        done.map(|(number, noun, verb)| format!("{} {verb}", count(number, noun))).collect::<Vec<_>>().join(", ")
    }

    fn headline(&self, stack_set: &str) -> String {
        let (progress, remaining) = (self.progress(), self.remaining());
        let skipped = self.verdict.skipped.len();
        let skipped = if skipped == 0 { String::new() } else { format!(", {skipped} skipped") };
        match (self.is_removal, self.succeeded(), self.error.is_some()) {
            (false, true, _) => format!("Backup framework {stack_set} was rolled out: {progress}{skipped}"),
            (false, _, true) => format!("[FAILED] Backup framework {stack_set} could not be rolled out"),
            (false, _, false) => {
                format!("[FAILED] Rollout of backup framework {stack_set}: {progress} up to date{skipped}")
            }
            (true, true, _) => {
                let removals = self.removals();
                let colon = if removals.is_empty() { "" } else { ": " };
                format!("Backup framework {stack_set} was removed{colon}{removals}")
            }
            (true, _, true) => format!("[FAILED] Backup framework {stack_set} could not be removed"),
            (true, _, false) => format!("[FAILED] Removal of backup framework {stack_set}: {remaining} remaining"),
        }
    }

    pub(super) fn summary(&self) -> String {
        const DELETED: &str = "Instances already deleted stay deleted.";
        let (name, outcomes, remaining) = (&self.stack_set, self.outcomes(), self.remaining());
        let outcomes = if outcomes.is_empty() { outcomes } else { format!("; {outcomes}") };
        let state = format!("{} are up to date with the policy{outcomes}.", self.progress());
        match (self.is_removal, self.succeeded(), self.error.is_some()) {
            (false, true, _) => format!("The backup framework {name} was rolled out: {state}"),
            (false, _, true) => format!("The backup framework {name} could not be rolled out."),
            (false, _, false) => format!("The rollout of the backup framework {name} failed: {state}"),
            (true, true, _) => format!("The backup framework {name} was removed, with its StackSet."),
            (true, _, true) => format!("The backup framework {name} could not be removed. {DELETED}"),
            (true, _, false) => {
                format!("The removal of the backup framework {name} failed: {remaining} remaining. {DELETED}")
            }
        }
    }

    /// Returns a label and the changes. After a failure only the attempted changes are known.
    pub(super) fn changes(&self) -> (&'static str, String) {
        let succeeded = self.succeeded();
        let change = |number: usize, done: &str, noun: &str| {
            (number > 0).then(|| if succeeded { format!("{number} {done}") } else { count(number, noun) })
        };
        let retained = self.retained.len();
        let changes = [
            change(self.created, "created", "creation"),
            change(self.updated, "updated", "update"),
            change(self.deleted, "deleted", "deletion"),
            (retained > 0).then(|| format!("{retained} retained")),
        ];
        let changes = changes.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let changes = if changes.is_empty() { "none".to_owned() } else { changes };
        (if succeeded { "Changes" } else { "Attempted" }, changes)
    }

    /// Returns the instances that are not up to date by outcome, failures first, each grouped by cause over all instances. Names 20
    /// instances in total, and 20 skipped ones, some of each group that is shown.
    pub(super) fn sections(&self) -> Vec<OutcomeSection<'_>> {
        let mut sections = sections(group_failures(&self.verdict.failures, NAMED), GROUPS);
        sections.extend(self::sections(group_failures(&self.verdict.skipped, NAMED), SKIPPED_GROUPS));
        sections
    }

    pub(super) fn retained(&self) -> (Vec<String>, usize) {
        let first = self.retained.iter().take(NAMED).map(ToString::to_string).collect();
        (first, self.retained.len().saturating_sub(NAMED))
    }

    /// Returns advice for an error of the whole rollout that does not include it.
    pub(super) fn advice(&self) -> Option<String> {
        match FailureCause::from_reason(self.error.as_deref()?)? {
            // The use case adds its own advice to these errors.
            FailureCause::ExecutionRole | FailureCause::AdministrationRole | FailureCause::NotAuthorized(_) => None,
            cause => Some(cause.advice()),
        }
    }
}

impl Render for RolloutReport {
    fn subject(&self) -> String {
        text::subject(self.stack_set.as_str(), &[&|name| self.headline(name)])
    }

    fn text(&self) -> String {
        let (retained, more) = self.retained();
        let retained = if retained.is_empty() { String::new() } else { paragraph(&list(&retained, more), 2) };
        let (label, changes) = self.changes();
        let changes = if self.error.is_some() { String::new() } else { field(label, &changes) };
        let sections = self.sections();
        [
            paragraph(&self.summary(), 0),
            "\n".into(),
            field("Commit", &format!("{} {}", self.commit.short(), self.message)),
            field("Author", &self.author),
            field("Repository", &format!("{} ({})", self.repository, self.branch)),
            changes,
            section("Error", &self.error.as_deref().map(|error| paragraph(error, 2)).unwrap_or_default()),
            section("What to do", &self.advice().map(|advice| item(&advice)).unwrap_or_default()),
            sections.iter().map(|outcome| section(&outcome.title(), &outcome.text())).collect(),
            section(&format!("{RETAINED} ({})", self.retained.len()), &retained),
            self.next.as_deref().map(|next| format!("\n{}", paragraph(next, 0))).unwrap_or_default(),
        ]
        .concat()
    }

    fn json(&self) -> Value {
        let Verdict { total, succeeded, failures, skipped } = &self.verdict;
        let groups = self.sections().into_iter().flat_map(|section| section.groups);
        let first = |all: &[InstanceFailure], limit| -> Vec<InstanceFailure> {
            let bounded = |one: &InstanceFailure| InstanceFailure { reason: fit(&one.reason, limit), ..one.clone() };
            all.iter().take(NAMED).map(bounded).collect()
        };
        json!({
            "stackSet": self.stack_set,
            "repository": fit(&self.repository, 400),
            "branch": fit(&self.branch, 1_000),
            "commit": self.commit,
            "author": fit(&self.author, 1_000),
            "message": fit(&one_line(&self.message), 4_000),
            "removed": self.is_removal,
            "instances": {
                "total": total,
                "succeeded": succeeded,
                "failed": failures.len(),
                "cancelled": self.number(InstanceOutcome::Cancelled),
                "neverReached": self.number(InstanceOutcome::NeverReached),
                "notDeleted": self.number(InstanceOutcome::NotDeleted),
                "skipped": skipped.len(),
                "created": self.created,
                "updated": self.updated,
                "deleted": self.deleted,
                "retained": self.retained.len(),
            },
            "groups": groups.map(|group| group.json()).collect::<Vec<_>>(),
            "failures": first(failures, REASON),
            "skipped": first(skipped, SKIPPED_REASON),
            "retained": self.retained.iter().take(NAMED).collect::<Vec<_>>(),
            "error": self.error.as_deref().map(|error| fit(error, 4_000)),
            "advice": self.advice(),
            "next": self.next.as_deref().map(|next| fit(next, 4_000)),
        })
    }
}

pub(super) const RETAINED: &str = "Retained stacks: they stay in their accounts, outside of any StackSet";

pub(super) struct OutcomeSection<'r> {
    outcome: InstanceOutcome,
    count: usize,
    pub(super) groups: Vec<ReportedGroup<'r>>,
    /// The number of instances in the other groups.
    more: usize,
}

pub(super) struct ReportedGroup<'r> {
    group: FailureGroup<'r>,
    named: usize,
}

/// Collects the groups by outcome and distributes the names evenly: one different failure is not hidden behind 700 equal ones.
fn sections(groups: Vec<FailureGroup<'_>>, shown: usize) -> Vec<OutcomeSection<'_>> {
    // The first group of each outcome, then the largest groups.
    let mut outcomes = BTreeSet::new();
    let mut is_first = |at: &usize| groups.get(*at).is_some_and(|group| outcomes.insert(group.outcome));
    let (mut order, rest): (Vec<usize>, Vec<usize>) = (0..groups.len()).partition(&mut is_first);
    order.extend(rest);
    order.truncate(shown);
    let mut named = vec![0_usize; groups.len()];
    let mut left = NAMED;
    for round in 1..=NAMED {
        for at in &order {
            if let (Some(named), Some(group)) = (named.get_mut(*at), groups.get(*at))
                && left > 0
                && group.first.len() >= round
            {
                *named = round;
                left = left.saturating_sub(1);
            }
        }
    }
    let mut sections = BTreeMap::new();
    for (group, named) in groups.into_iter().zip(named) {
        let outcome = group.outcome;
        let empty = || OutcomeSection { outcome, count: 0, groups: Vec::new(), more: 0 };
        let section = sections.entry(outcome).or_insert_with(empty);
        section.count = section.count.saturating_add(group.count);
        if named > 0 {
            section.groups.push(ReportedGroup { group, named });
        } else {
            section.more = section.more.saturating_add(group.count);
        }
    }
    sections.into_values().collect()
}

impl OutcomeSection<'_> {
    pub(super) fn title(&self) -> String {
        let title = match self.outcome {
            InstanceOutcome::Failed => "Failed",
            InstanceOutcome::NotDeleted => "Not deleted",
            InstanceOutcome::Cancelled => "Cancelled before their operation started",
            InstanceOutcome::NeverReached => "Never reached by an operation",
            InstanceOutcome::Skipped => "Skipped by StackSets",
        };
        format!("{title} ({})", self.count)
    }

    pub(super) fn rest(&self) -> Option<String> {
        (self.more > 0).then(|| format!("and {} for other reasons", count(self.more, "instance")))
    }

    fn text(&self) -> String {
        let rest = self.rest().map(|rest| paragraph(&rest, 2)).unwrap_or_default();
        self.groups.iter().map(ReportedGroup::text).chain([rest]).collect()
    }
}

impl ReportedGroup<'_> {
    pub(super) fn number(&self) -> String {
        count(self.group.count, "instance")
    }

    pub(super) fn cause(&self) -> Option<String> {
        self.group.cause.as_ref().map(FailureCause::description)
    }

    pub(super) fn advice(&self) -> Option<String> {
        self.group.cause.as_ref().map(FailureCause::advice)
    }

    /// Returns CloudFormation's reason unless the description of the cause has the same content.
    pub(super) fn reason(&self) -> Option<String> {
        let is_described = matches!(
            self.group.cause,
            Some(
                FailureCause::AccountClosed
                    | FailureCause::ManagementAccount
                    | FailureCause::Throttled
                    | FailureCause::ToleranceExceeded
                    | FailureCause::Stopped
            )
        );
        // The text before the service's message names a resource of the application's template.
        let reason = self.group.reason;
        let message = reason.split_once("ResourceStatusReason:").map_or(reason, |(_, message)| message);
        (!is_described).then(|| fit(if message.trim().is_empty() { reason } else { message }, GROUP_REASON))
    }

    pub(super) fn instances(&self) -> (Vec<String>, usize) {
        let first = self.group.first.iter().take(self.named).map(ToString::to_string).collect();
        (first, self.group.count.saturating_sub(self.named))
    }

    fn text(&self) -> String {
        let (first, more) = self.instances();
        let number = self.number();
        let details = match (self.cause(), self.reason()) {
            (Some(cause), reason) => [
                item(&format!("{number}: {cause}")),
                self.advice().map(|advice| paragraph(&format!("What to do: {advice}"), 4)).unwrap_or_default(),
                reason.map(|reason| paragraph(&format!("CloudFormation reports: {reason}"), 4)).unwrap_or_default(),
            ]
            .concat(),
            (None, reason) => item(&format!("{number}: {}", reason.unwrap_or_default())),
        };
        details + &paragraph(&list(&first, more), 4)
    }

    fn json(&self) -> Value {
        let FailureGroup { outcome, cause, reason, count, first } = &self.group;
        json!({
            "outcome": outcome,
            "cause": cause,
            "count": count,
            "reason": fit(reason, GROUP_REASON),
            "advice": self.advice(),
            "instances": first.iter().take(self.named).collect::<Vec<_>>(),
        })
    }
}
