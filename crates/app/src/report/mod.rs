//! `report`: compliance changes become violations on record, and notices to those who can act.

use crate::events::Message;
use crate::ports::{
    BackupPlans, Clock, Outlets, PolicyDirectory, ReportQueue, ResourceDirectory, ViolationStore, WindowStore,
};
use serde::Serialize;
use std::time::Duration;

/// The use case.
#[derive(Debug)]
pub struct Report<S, O, D, R, Q, C> {
    /// Violations on record, and the windows.
    pub store: S,
    /// Tells people and machines.
    pub outlets: O,
    /// What is in force.
    pub directory: D,
    /// Names and tags of resources, and backup plans.
    pub resources: R,
    /// The queue that feeds this function.
    pub queue: Q,
    /// The time.
    pub clock: C,
    /// How long what follows a notice of an account and control is held, to be told together. Zero: not at all.
    pub window: Duration,
}

/// What came of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reported {
    /// Messages to be delivered again.
    #[serde(skip)]
    pub failed: Vec<String>,
    /// Why, one text a message.
    pub failures: Vec<String>,
}

impl<S, O, D, R, Q, C> Report<S, O, D, R, Q, C>
where
    S: ViolationStore + WindowStore,
    O: Outlets,
    D: PolicyDirectory,
    R: ResourceDirectory + BackupPlans,
    Q: ReportQueue,
    C: Clock,
{
    /// Handles a batch. A message that fails, fails alone.
    pub async fn handle(&self, messages: &[Message]) -> Reported {
        let _ = messages;
        Reported::default()
    }
}
