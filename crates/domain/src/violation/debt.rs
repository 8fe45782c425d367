//! What is owed to people and machines about a violation.

use super::{Closing, Exempt};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Who is told of violations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outlet {
    /// The notification topic: e-mail, queues, functions, web hooks.
    Topic,
    /// The topic that chat channels subscribe to.
    Chat,
    /// Security Hub.
    Finding,
    /// The event bus.
    Event,
}

/// What there is to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Told {
    /// The violation has opened.
    Opened,
    /// It has closed, and why.
    Resolved(Closing),
    /// Its exemption holds no longer.
    ExemptionEnded(Exempt),
    /// An exemption has come to cover it: people need not act.
    Exempted(Exempt),
    /// It has been open for so many days.
    Reminder(u32),
    /// Nothing new; what would be forgotten is said again.
    Refreshed,
}

/// Something that was recorded and is not known to have been told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Debt {
    /// What there is to tell.
    pub what: Told,
    /// When it was written down; no two debts of a record have one time.
    pub at: Timestamp,
    /// Since when the violation was open then.
    pub since: Option<Timestamp>,
    /// Those that have not been told yet.
    pub outlets: BTreeSet<Outlet>,
    /// Earlier turns, not told one by one: the resource went back and forth faster than anybody could be told.
    #[serde(default)]
    pub folded: u32,
}
