//! Notices about a rollout.

use super::text::{count, field, fit, item, one_line, paragraph};
use crate::ids::{CommitId, StackSetName};
use crate::rollout::{Cause, Group, Instance, InstanceFault, Outcome, Verdict, group};
use serde_json::{Value, json};

/// Instances named one by one in a notice; the rest are counted.
const NAMED: usize = 20;
/// Longest reason of each, in bytes; CloudFormation's own are a few hundred.
const REASON: usize = 800;
/// Groups told one by one; the rest are counted.
const GROUPS: usize = 12;
/// The same of skipped instances, for which there are few reasons.
const SKIPPED_GROUPS: usize = 3;
/// Longest reason of a group, and of a skipped instance.
const GROUP_REASON: usize = 500;
const SKIPPED_REASON: usize = 200;

/// A rollout that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutReport {
    /// The StackSet.
    pub stack_set: StackSetName,
    /// The policy repository.
    pub repository: String,
    /// Its branch.
    pub branch: String,
    /// The commit that was rolled out.
    pub commit: CommitId,
    /// Who wrote it.
    pub author: String,
    /// The first line of its message.
    pub message: String,
    /// How it ended, instance by instance.
    pub verdict: Verdict,
    /// Instances created on the way.
    pub created: usize,
    /// Instances updated on the way.
    pub updated: usize,
    /// Instances deleted on the way.
    pub deleted: usize,
    /// It was a removal: of a framework that has left the policy, or of all of them.
    pub removed: bool,
    /// Stacks that a removal has let go of: they stay in their accounts.
    pub let_go: Vec<Instance>,
    /// A fault of the whole rollout: AWS refused a call, the StackSet is not ours.
    pub trouble: Option<String>,
    /// What happens next, when it failed.
    pub next: Option<String>,
}

impl RolloutReport {
    fn succeeded(&self) -> bool {
        self.verdict.is_success() && self.trouble.is_none()
    }

    fn tally(&self) -> String {
        format!("{} of {}", self.verdict.succeeded, count(self.verdict.total, "instance"))
    }

    /// How many of its instances came to each end that is not the wanted one.
    fn number(&self, outcome: Outcome) -> usize {
        let all = self.verdict.faults.iter().chain(&self.verdict.skipped);
        all.filter(|fault| fault.outcome == outcome).count()
    }

    /// The same in words, as far as there are any: `14 failed, 2 cancelled, 1 skipped`.
    pub(super) fn ends(&self) -> String {
        let outcomes =
            [Outcome::Failed, Outcome::NotDeleted, Outcome::Cancelled, Outcome::NeverReached, Outcome::Skipped];
        let ends: Vec<String> = outcomes
            .into_iter()
            .map(|outcome| (self.number(outcome), outcome))
            .filter(|(number, _)| *number > 0)
            .map(|(number, outcome)| format!("{number} {outcome}"))
            .collect();
        ends.join(", ")
    }

    /// What a removal has done: `12 instances deleted, 2 stacks let go`.
    fn removals(&self) -> String {
        let done = [(self.deleted, "instance", "deleted"), (self.let_go.len(), "stack", "let go")];
        let done: Vec<String> = done
            .into_iter()
            .filter(|(number, _, _)| *number > 0)
            .map(|(number, noun, what)| format!("{} {what}", count(number, noun)))
            .collect();
        done.join(", ")
    }

    pub(super) fn headline(&self, stack_set: &str) -> String {
        let skipped = match self.verdict.skipped.len() {
            0 => String::new(),
            number => format!(", {number} skipped"),
        };
        match (self.removed, self.succeeded(), self.trouble.is_some()) {
            (false, true, _) => format!("Backup framework {stack_set} is rolled out: {}{skipped}", self.tally()),
            (false, _, true) => format!("[FAILED] Backup framework {stack_set} could not be rolled out"),
            (false, _, false) => {
                format!("[FAILED] Rollout of backup framework {stack_set}: {} done{skipped}", self.tally())
            }
            (true, true, _) => {
                let removals = self.removals();
                let colon = if removals.is_empty() { "" } else { ": " };
                format!("Backup framework {stack_set} is removed{colon}{removals}")
            }
            (true, _, true) => format!("[FAILED] Backup framework {stack_set} could not be removed"),
            (true, _, false) => {
                format!("[FAILED] Removal of backup framework {stack_set}: {} left", self.left())
            }
        }
    }

    /// What a removal has left.
    fn left(&self) -> String {
        count(self.verdict.faults.len(), "instance")
    }

    pub(super) fn summary(&self) -> String {
        let (name, tally, ends) = (&self.stack_set, self.tally(), self.ends());
        let ends = if ends.is_empty() { ends } else { format!("; {ends}") };
        match (self.removed, self.succeeded(), self.trouble.is_some()) {
            (false, true, _) => {
                format!("The backup framework {name} is rolled out: {tally} are as the policy wants them{ends}.")
            }
            (false, _, true) => format!("The backup framework {name} could not be rolled out."),
            (false, _, false) => format!(
                "The rollout of the backup framework {name} failed: {tally} are as the policy wants them{ends}."
            ),
            (true, true, _) => format!("The backup framework {name} is removed: nothing of its StackSet is left."),
            (true, _, true) => format!("The backup framework {name} could not be removed. What is gone stays gone."),
            (true, _, false) => {
                format!(
                    "The removal of the backup framework {name} failed: {} left. What is gone stays gone.",
                    match self.verdict.faults.len() {
                        1 => "1 instance is".to_owned(),
                        number => format!("{number} instances are"),
                    }
                )
            }
        }
    }

    /// What was done on the way, as far as anything was, behind what to call it. Of a failure it is only known what operations set
    /// out to do.
    pub(super) fn changes(&self) -> (&'static str, String) {
        let succeeded = self.succeeded();
        let change = |number: usize, done: &str, noun: &str| {
            (number > 0).then(|| if succeeded { format!("{number} {done}") } else { count(number, noun) })
        };
        let let_go = self.let_go.len();
        let changes: Vec<String> = [
            change(self.created, "created", "creation"),
            change(self.updated, "updated", "update"),
            change(self.deleted, "deleted", "deletion"),
            (let_go > 0).then(|| format!("{let_go} let go")),
        ]
        .into_iter()
        .flatten()
        .collect();
        let said = match (changes.is_empty(), succeeded) {
            (false, _) => changes.join(", "),
            (true, true) => "none were needed".to_owned(),
            (true, false) => "nothing".to_owned(),
        };
        (if succeeded { "Changes" } else { "Attempted" }, said)
    }

    /// What is not as it should be: by outcome, failures first, each grouped by cause over all instances. 20 instances are named
    /// altogether, and 20 skipped ones, some of each group that is told.
    pub(super) fn sections(&self) -> Vec<Section<'_>> {
        let mut sections = sections(group(&self.verdict.faults, NAMED), GROUPS);
        sections.extend(self::sections(group(&self.verdict.skipped, NAMED), SKIPPED_GROUPS));
        sections
    }

    /// The stacks that a removal has let go of, the first of them, and how many there are beyond.
    pub(super) fn let_go(&self) -> (Vec<String>, usize) {
        let first = self.let_go.iter().take(NAMED).map(ToString::to_string).collect();
        (first, self.let_go.len().saturating_sub(NAMED))
    }

    /// What would help against a fault of the whole rollout, where the fault does not say so itself.
    pub(super) fn advice(&self) -> Option<String> {
        let trouble = self.trouble.as_deref()?;
        match Cause::of(trouble)? {
            // The use case knows more of these, and says it.
            Cause::ExecutionRole | Cause::AdministrationRole | Cause::NotAuthorized(_) => None,
            cause => Some(cause.advice()),
        }
    }

    pub(super) fn text(&self) -> String {
        let block = |title: &str, body: String| match body.is_empty() {
            true => body,
            false => format!("\n{title}\n{body}"),
        };
        let (let_go, more) = self.let_go();
        let let_go = if let_go.is_empty() { String::new() } else { paragraph(&named(&let_go, more), 2) };
        let (label, changes) = self.changes();
        let sections: String = self.sections().iter().map(|section| block(&section.title(), section.text())).collect();
        let trouble = self.trouble.as_deref().map(|trouble| paragraph(trouble, 2)).unwrap_or_default();
        let advice = self.advice().map(|advice| item(&advice)).unwrap_or_default();
        [
            paragraph(&self.summary(), 0),
            "\n".into(),
            field("Commit", &format!("{} {}", self.commit.short(), self.message)),
            field("Author", &self.author),
            field("Repository", &format!("{} ({})", self.repository, self.branch)),
            if self.trouble.is_some() { String::new() } else { field(label, &changes) },
            block("What went wrong", trouble),
            block("What to do", advice),
            sections,
            block(&format!("{} ({})", LET_GO, self.let_go.len()), let_go),
            self.next.as_deref().map(|next| format!("\n{}", paragraph(next, 0))).unwrap_or_default(),
        ]
        .concat()
    }

    pub(super) fn json(&self) -> Value {
        let groups = self.sections().into_iter().flat_map(|section| section.groups);
        json!({
            "stackSet": self.stack_set,
            "repository": fit(&self.repository, 400),
            "branch": fit(&self.branch, 1_000),
            "commit": self.commit,
            "author": fit(&self.author, 1_000),
            "message": fit(&one_line(&self.message), 4_000),
            "removed": self.removed,
            "instances": {
                "total": self.verdict.total,
                "succeeded": self.verdict.succeeded,
                "failed": self.verdict.faults.len(),
                "cancelled": self.number(Outcome::Cancelled),
                "neverReached": self.number(Outcome::NeverReached),
                "notDeleted": self.number(Outcome::NotDeleted),
                "skipped": self.verdict.skipped.len(),
                "created": self.created,
                "updated": self.updated,
                "deleted": self.deleted,
                "letGo": self.let_go.len(),
            },
            "groups": groups.map(|told| told.json()).collect::<Vec<_>>(),
            "faults": self.verdict.faults.iter().take(NAMED).map(|one| bounded(one, REASON)).collect::<Vec<_>>(),
            "skipped": self.verdict.skipped.iter().take(NAMED).map(|one| bounded(one, SKIPPED_REASON)).collect::<Vec<_>>(),
            "letGo": self.let_go.iter().take(NAMED).collect::<Vec<_>>(),
            "trouble": self.trouble.as_deref().map(|trouble| fit(trouble, 4_000)),
            "advice": self.advice(),
            "next": self.next.as_deref().map(|next| fit(next, 4_000)),
        })
    }
}

/// The title over the stacks that a removal has let go of.
pub(super) const LET_GO: &str = "Stacks let go: they stay in their accounts and belong to nobody";

/// The instances of one outcome.
pub(super) struct Section<'r> {
    outcome: Outcome,
    /// How many there are.
    count: usize,
    /// Those that are told.
    pub(super) groups: Vec<ToldGroup<'r>>,
    /// Reasons beyond, and the instances that have them.
    more: (usize, usize),
}

/// A group with as many of its instances as are named.
pub(super) struct ToldGroup<'r> {
    group: Group<'r>,
    named: usize,
}

/// The groups by outcome, with the instances that a notice names shared out evenly: one odd failure is not lost behind 700 equal ones.
fn sections(groups: Vec<Group<'_>>, most: usize) -> Vec<Section<'_>> {
    // The first of each outcome, then the largest.
    let is_first = |at: usize| {
        let outcome = |at: usize| groups.get(at).map(|group| group.outcome);
        at.checked_sub(1).is_none_or(|before| outcome(before) != outcome(at))
    };
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.sort_by_key(|at| !is_first(*at));
    order.truncate(most);
    let mut shares = vec![0_usize; groups.len()];
    let mut left = NAMED;
    while left > 0 {
        let before = left;
        for at in &order {
            if let (Some(share), Some(group)) = (shares.get_mut(*at), groups.get(*at))
                && *share < group.first.len()
                && left > 0
            {
                *share = share.saturating_add(1);
                left = left.saturating_sub(1);
            }
        }
        if left == before {
            break;
        }
    }
    let mut sections: Vec<Section<'_>> = Vec::new();
    for (group, named) in groups.into_iter().zip(shares) {
        let outcome = group.outcome;
        if sections.last().is_none_or(|section| section.outcome != outcome) {
            sections.push(Section { outcome, count: 0, groups: Vec::new(), more: (0, 0) });
        }
        let Some(section) = sections.last_mut() else { continue };
        section.count = section.count.saturating_add(group.count);
        if named > 0 {
            section.groups.push(ToldGroup { group, named });
        } else {
            section.more = (section.more.0.saturating_add(1), section.more.1.saturating_add(group.count));
        }
    }
    sections
}

impl Section<'_> {
    pub(super) fn title(&self) -> String {
        let title = match self.outcome {
            Outcome::Failed => "Failed",
            Outcome::NotDeleted => "Not deleted",
            Outcome::Cancelled => "Cancelled before their turn came",
            Outcome::NeverReached => "Never reached by an operation",
            Outcome::Skipped => "Skipped: StackSets leave them alone",
        };
        format!("{title} ({})", self.count)
    }

    /// What is not told of the section.
    pub(super) fn rest(&self) -> Option<String> {
        let (reasons, instances) = self.more;
        (reasons > 0).then(|| format!("and {} for other reasons", count(instances, "instance")))
    }

    fn text(&self) -> String {
        let rest = self.rest().map(|rest| paragraph(&rest, 2)).unwrap_or_default();
        self.groups.iter().map(ToldGroup::text).chain([rest]).collect()
    }
}

impl ToldGroup<'_> {
    /// How many instances have the reason.
    pub(super) fn number(&self) -> String {
        count(self.group.count, "instance")
    }

    /// The cause in words, where it is known.
    pub(super) fn words(&self) -> Option<String> {
        self.group.cause.as_ref().map(Cause::words)
    }

    /// What to do, where the cause is known.
    pub(super) fn advice(&self) -> Option<String> {
        self.group.cause.as_ref().map(Cause::advice)
    }

    /// CloudFormation's words, where ours do not say the same.
    pub(super) fn reason(&self) -> Option<String> {
        let said = matches!(
            self.group.cause,
            Some(
                Cause::AccountClosed
                    | Cause::ManagementAccount
                    | Cause::Throttled
                    | Cause::ToleranceExceeded
                    | Cause::Stopped
            )
        );
        // What comes before the words of the service names a resource of our own template.
        let reason = self.group.reason;
        let words = reason.split_once("ResourceStatusReason:").map_or(reason, |(_, words)| words);
        (!said).then(|| fit(if words.trim().is_empty() { reason } else { words }, GROUP_REASON))
    }

    /// The instances that are named, and how many more there are.
    pub(super) fn instances(&self) -> (Vec<String>, usize) {
        let first = self.group.first.iter().take(self.named).map(ToString::to_string).collect();
        (first, self.group.count.saturating_sub(self.named))
    }

    fn text(&self) -> String {
        let reason = self.reason();
        let (first, more) = self.instances();
        let said = match (self.words(), reason) {
            (Some(words), reason) => [
                item(&format!("{}: {words}", self.number())),
                self.advice().map(|advice| paragraph(&format!("What to do: {advice}"), 4)).unwrap_or_default(),
                reason.map(|reason| paragraph(&format!("CloudFormation says: {reason}"), 4)).unwrap_or_default(),
            ]
            .concat(),
            (None, reason) => item(&format!("{}: {}", self.number(), reason.unwrap_or_default())),
        };
        format!("{said}{}", paragraph(&named(&first, more), 4))
    }

    fn json(&self) -> Value {
        let Group { outcome, cause, reason, count, first } = &self.group;
        json!({
            "outcome": outcome,
            "cause": cause.as_ref().map(Cause::word),
            "count": count,
            "reason": fit(reason, GROUP_REASON),
            "advice": self.advice(),
            "instances": first.iter().take(self.named).collect::<Vec<_>>(),
        })
    }
}

/// `a, b and 3 more`.
pub(super) fn named(first: &[String], more: usize) -> String {
    match more {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

fn bounded(fault: &InstanceFault, limit: usize) -> InstanceFault {
    InstanceFault { reason: fit(&fault.reason, limit), ..fault.clone() }
}
