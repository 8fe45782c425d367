//! What is known of a violation, and how a change is applied to it.

use super::{Change, Compliance, Key, Ordering};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What is kept of one violation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The violation.
    pub key: Key,
    /// Open or not.
    pub status: Status,
    /// Since when it is open, or was open when it was last resolved; `None` when it never was.
    pub since: Option<Timestamp>,
    /// The last result applied.
    pub ordering: Ordering,
    /// The Config rule's name in that result.
    pub rule_name: String,
    /// The Config rule's ARN in that result.
    pub rule_arn: String,
    /// What the rule added in words.
    pub annotation: Option<String>,
    /// A notice that is owed: recorded, perhaps published, not yet known to be published.
    pub pending: Option<Pending>,
}

/// Whether the resource breaks the control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// It does.
    Open,
    /// It did, or never did, and does not now.
    Closed,
}

/// A notice that is owed to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Pending {
    /// `violation.opened`.
    Opened,
    /// `violation.resolved`, because the resource satisfies the control.
    Resolved,
    /// `violation.resolved`, because the control no longer applies to the resource.
    NoLongerApplies,
}

/// What a change leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Store the record; tell people when `pending` says so.
    Store(Box<Record>),
    /// Nothing to store; the record still owes a notice (the last attempt ended between storing and telling).
    Owed(Pending),
    /// Nothing to do.
    Quiet(Quiet),
}

/// Why nothing is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quiet {
    /// This very result was applied before.
    Repeated,
    /// A later result was applied before.
    Late,
}

/// Applies a change to what is known.
///
/// Late and repeated results change nothing. A notice that is still owed is kept if it is still true, replaced if the newer
/// result makes another one due, and dropped if it is overtaken (opened and resolved before anybody was told).
#[must_use]
pub fn apply(known: Option<&Record>, change: &Change) -> Outcome {
    if let Some(record) = known {
        let same_state = (record.status == Status::Open) == (change.compliance == Compliance::NonCompliant);
        if same_state && change.ordering.same_result(&record.ordering) {
            return record.pending.map_or(Outcome::Quiet(Quiet::Repeated), Outcome::Owed);
        }
        if change.ordering <= record.ordering {
            return record.pending.map_or(Outcome::Quiet(Quiet::Late), Outcome::Owed);
        }
    }
    let was_open = known.is_some_and(|record| record.status == Status::Open);
    let was_owed = known.and_then(|record| record.pending);
    let is_open = change.compliance == Compliance::NonCompliant;
    let opened_at = known.and_then(|record| record.since);
    let (since, pending) = match (was_open, is_open) {
        (false, true) => (Some(change.ordering.triggered), Some(Pending::Opened)),
        (true, true) => (opened_at, was_owed),
        (true, false) => {
            let resolved = match change.compliance {
                Compliance::NotApplicable => Pending::NoLongerApplies,
                Compliance::Compliant | Compliance::NonCompliant => Pending::Resolved,
            };
            // Nobody heard that it was open: there is nothing to take back.
            let unheard = was_owed == Some(Pending::Opened);
            (opened_at, (!unheard).then_some(resolved))
        }
        (false, false) => (opened_at, was_owed),
    };
    Outcome::Store(Box::new(Record {
        key: change.key.clone(),
        status: if is_open { Status::Open } else { Status::Closed },
        since,
        ordering: change.ordering,
        rule_name: change.rule_name.clone(),
        rule_arn: change.rule_arn.clone(),
        annotation: change.annotation.clone(),
        pending,
    }))
}
