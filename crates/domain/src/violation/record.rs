//! What is known of a violation, and how a change is applied to it.
//!
//! A record holds what is true and what is owed: every time it opens or closes, a debt is written down in the same step, and taken
//! off outlet by outlet as each is told. Whoever finds a record can finish what somebody else began.

use super::{Change, Closing, Compliance, Debt, Found, Heard, Key, Ordering, Outlet, ResourceFacts, Told, Undelivered};
use crate::control::Severity;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Debts of one record. Older pairs of opened and resolved are folded into the next debt and counted there.
const MOST_DEBTS: usize = 8;

/// What is kept of one violation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The violation.
    pub key: Key,
    /// Open or not.
    pub status: Status,
    /// Since when it is open, or was open when it was last closed; `None` when it never was.
    pub since: Option<Timestamp>,
    /// The last result applied.
    pub ordering: Ordering,
    /// The Config rule's name in that result.
    pub rule_name: String,
    /// The Config rule's ARN in that result; empty where nobody told it.
    pub rule_arn: String,
    /// What the rule added in words.
    pub annotation: Option<String>,
    /// How the violation came to be known when it was last opened.
    pub found: Found,
    /// Who brought the news of that.
    pub heard: Heard,
    /// Why it is closed; `None` while it is open and when it never was.
    pub closed: Option<Closing>,
    /// How bad it is, by the policy's rules when it was last opened.
    pub severity: Severity,
    /// What AWS Config knew of the resource then.
    pub resource: ResourceFacts,
    /// The exemption under which it is recorded and not told.
    pub exempt: Option<Exempt>,
    /// When Security Hub last got its finding.
    pub finding_at: Option<Timestamp>,
    /// When the last debt was written down, also when nothing is owed any more.
    #[serde(default)]
    pub last_owed: Option<Timestamp>,
    /// What is owed to whom, oldest first: recorded, perhaps told, not yet known to be told.
    pub owed: Vec<Debt>,
    /// Until when the sweep delivers what is owed itself. The end of a digest window that falls into this time leaves the record
    /// alone, or the same notice would be sent twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_claimed_until: Option<Timestamp>,
    /// The channels whose last delivery failed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub undelivered: BTreeMap<Outlet, Undelivered>,
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

/// The exemption that keeps a violation quiet, as it was when it was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exempt {
    /// Why the resource may break the control.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// The last day on which the exemption holds.
    pub until: Date,
}

/// What is known of a violation at the moment when it opens, beyond the result itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// How it came to be.
    pub found: Found,
    /// Who brought the news.
    pub heard: Heard,
    /// How bad it is.
    pub severity: Severity,
    /// What AWS Config knows of the resource.
    pub resource: ResourceFacts,
    /// The exemption that covers it.
    pub exempt: Option<Exempt>,
}

/// What a change leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Store the record.
    Store {
        /// As it is now.
        record: Box<Record>,
        /// What has happened to the violation, if anything: to be written down with [`Record::opened`] or [`Record::closed_by`]
        /// before the record is stored.
        turn: Option<Turn>,
    },
    /// Nothing to store; whatever the record still owes, it owes.
    Quiet(Quiet),
}

/// What happens to a violation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It opens.
    Opens,
    /// It closes.
    Closes(Closing),
}

/// Why nothing is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quiet {
    /// This very result was applied before.
    Repeated,
    /// A later result was applied before.
    Late,
}

/// Applies a change to what is known. Late and repeated results change nothing.
#[must_use]
pub fn apply(known: Option<&Record>, change: &Change) -> Outcome {
    let is_open = change.compliance == Compliance::NonCompliant;
    let Some(record) = known else {
        let record = Record {
            key: change.key.clone(),
            status: status(is_open),
            since: is_open.then_some(change.ordering.triggered),
            ordering: change.ordering,
            rule_name: change.rule_name.clone(),
            rule_arn: change.rule_arn.clone(),
            annotation: change.annotation.clone(),
            found: Found::FirstResult,
            heard: Heard::Event,
            closed: None,
            severity: Severity::Medium,
            resource: ResourceFacts::default(),
            exempt: None,
            finding_at: None,
            last_owed: None,
            owed: Vec::new(),
            delivery_claimed_until: None,
            undelivered: BTreeMap::new(),
        };
        return Outcome::Store { record: Box::new(record), turn: is_open.then_some(Turn::Opens) };
    };
    let was_open = record.status == Status::Open;
    if was_open == is_open && change.ordering.same_result(&record.ordering) {
        return Outcome::Quiet(Quiet::Repeated);
    }
    if change.ordering <= record.ordering {
        return Outcome::Quiet(Quiet::Late);
    }
    let turn = match (was_open, change.compliance) {
        (false, Compliance::NonCompliant) => Some(Turn::Opens),
        (true, Compliance::Compliant) => Some(Turn::Closes(Closing::Satisfied)),
        (true, Compliance::NotApplicable) => Some(Turn::Closes(Closing::NotApplicable)),
        (true, Compliance::NonCompliant) | (false, Compliance::Compliant | Compliance::NotApplicable) => None,
    };
    let record = Record {
        status: status(is_open),
        since: if turn == Some(Turn::Opens) { Some(change.ordering.triggered) } else { record.since },
        ordering: change.ordering,
        rule_name: change.rule_name.clone(),
        rule_arn: if change.rule_arn.is_empty() { record.rule_arn.clone() } else { change.rule_arn.clone() },
        annotation: change.annotation.clone(),
        ..record.clone()
    };
    Outcome::Store { record: Box::new(record), turn }
}

const fn status(is_open: bool) -> Status {
    if is_open { Status::Open } else { Status::Closed }
}

impl Record {
    /// Writes down that the violation opens, and to whom that is owed: to all of `outlets`, unless it is exempt.
    pub fn opened(&mut self, opening: Opening, outlets: &BTreeSet<Outlet>, now: Timestamp) {
        let Opening { found, heard, severity, resource, exempt } = opening;
        self.found = found;
        self.heard = heard;
        self.severity = severity;
        self.resource = resource;
        self.exempt = exempt;
        self.closed = None;
        if self.exempt.is_none() {
            self.owe(Told::Opened, outlets, now);
        }
    }

    /// Writes down that the violation closes, and to whom that is owed: to all of `outlets`, unless it was exempt.
    pub fn closed_by(&mut self, closing: Closing, outlets: &BTreeSet<Outlet>, now: Timestamp) {
        self.status = Status::Closed;
        self.closed = Some(closing);
        if self.exempt.take().is_none() {
            self.owe(Told::Resolved(closing), outlets, now);
        }
    }

    /// Writes down that an exemption has come to cover the open violation: it is still recorded, and for those who were told that
    /// it is open there is nothing left to do.
    pub fn exempted(&mut self, exempt: Exempt, outlets: &BTreeSet<Outlet>, now: Timestamp) {
        self.exempt = Some(exempt.clone());
        self.owe(Told::Exempted(exempt), outlets, now);
    }

    /// Writes down that the exemption of the open violation holds no longer: from now on it is a violation like any other.
    pub fn exemption_ended(&mut self, outlets: &BTreeSet<Outlet>, now: Timestamp) {
        if let Some(exempt) = self.exempt.take() {
            self.owe(Told::ExemptionEnded(exempt), outlets, now);
        }
    }

    /// Writes down that Security Hub is to get the finding once more, before it forgets it.
    pub fn refresh_finding(&mut self, outlets: &BTreeSet<Outlet>, now: Timestamp) {
        let finding = outlets.iter().filter(|outlet| **outlet == Outlet::Finding).copied().collect();
        self.owe(Told::Refreshed, &finding, now);
    }

    /// When the next delivery to any channel is due: at once for what was just recorded, later after a failure; `None` when nothing
    /// is pending.
    #[must_use]
    pub fn pending_since(&self) -> Option<Timestamp> {
        let outlets: BTreeSet<Outlet> = self.owed.iter().flat_map(|debt| debt.outlets.iter().copied()).collect();
        outlets.into_iter().filter_map(|outlet| self.due(outlet)).min()
    }

    /// When the next delivery to a channel is due; `None` when nothing is pending for it.
    #[must_use]
    pub fn due(&self, outlet: Outlet) -> Option<Timestamp> {
        let oldest = self.owed_to(outlet).map(|debt| debt.at).min()?;
        Some(self.undelivered.get(&outlet).map_or(oldest, |undelivered| undelivered.due().max(oldest)))
    }

    /// Records that deliveries to a channel failed. After [`MOST_REJECTIONS`] and [`GIVE_UP_AFTER`] they are given up: they are not
    /// pending any more, and the reason stays on record. Returns the number of those that were given up. What was recorded since stays
    /// pending.
    ///
    /// [`MOST_REJECTIONS`]: super::MOST_REJECTIONS
    /// [`GIVE_UP_AFTER`]: super::GIVE_UP_AFTER
    pub fn not_delivered(
        &mut self,
        outlet: Outlet,
        debts: &[Debt],
        reason: &str,
        is_rejected: bool,
        now: Timestamp,
    ) -> usize {
        let failed = Undelivered::after(self.undelivered.get(&outlet), reason, is_rejected, now);
        let mut given_up = 0_usize;
        if failed.given_up {
            for debt in &mut self.owed {
                if debts.iter().any(|tried| tried.at == debt.at && tried.what == debt.what)
                    && debt.outlets.remove(&outlet)
                {
                    given_up = given_up.saturating_add(1);
                }
            }
            self.owed.retain(|debt| !debt.outlets.is_empty());
        }
        self.undelivered.insert(outlet, failed);
        given_up
    }

    /// The debts that an outlet has not been told.
    pub fn owed_to(&self, outlet: Outlet) -> impl Iterator<Item = &Debt> {
        self.owed.iter().filter(move |debt| debt.outlets.contains(&outlet))
    }

    /// Takes off what an outlet was told. Debts that were written down since remain.
    pub fn told(&mut self, outlet: Outlet, debts: &[Debt], now: Timestamp) {
        for debt in &mut self.owed {
            if debts.iter().any(|told| told.at == debt.at && told.what == debt.what) {
                debt.outlets.remove(&outlet);
                if outlet == Outlet::Finding {
                    self.finding_at = Some(now);
                }
            }
        }
        self.owed.retain(|debt| !debt.outlets.is_empty());
        self.undelivered.remove(&outlet);
        if self.owed.is_empty() {
            self.delivery_claimed_until = None;
        }
    }

    fn owe(&mut self, what: Told, outlets: &BTreeSet<Outlet>, now: Timestamp) {
        // A finding is a state, not a story: only the last one counts.
        if outlets.contains(&Outlet::Finding) {
            for debt in &mut self.owed {
                debt.outlets.remove(&Outlet::Finding);
            }
            self.owed.retain(|debt| !debt.outlets.is_empty());
        }
        if outlets.is_empty() {
            return;
        }
        // News is worth as many attempts as before the channel was given up; a refreshed finding is worth one.
        if what != Told::Refreshed {
            self.undelivered.retain(|outlet, undelivered| !(undelivered.given_up && outlets.contains(outlet)));
        }
        // Turns are told apart, and put in order, by their times: also two in one instant, and one that is written down by
        // somebody who looked at the clock before another wrote down the one before. Security Hub compares milliseconds.
        let last = self.owed.last().map(|debt| debt.at).max(self.last_owed);
        let next = last.and_then(|last| last.checked_add(SignedDuration::from_millis(1)).ok());
        let at = next.map_or(now, |next| next.max(now));
        self.last_owed = Some(at);
        self.delivery_claimed_until = None;
        self.owed.push(Debt { what, at, since: self.since, outlets: outlets.clone(), folded: 0 });
        if self.owed.len() > MOST_DEBTS {
            let gone: u32 = self.owed.drain(..2).map(|debt| debt.folded.saturating_add(1)).fold(0, u32::saturating_add);
            if let Some(first) = self.owed.first_mut() {
                first.folded = first.folded.saturating_add(gone);
            }
        }
    }
}
