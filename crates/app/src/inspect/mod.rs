//! What people look into from a terminal: open violations, and messages that ended in a dead-letter queue.

mod dead_letters;
mod reading;
mod violations;

pub use dead_letters::{
    Action, DeadLetters, Destination, Fate, HIDDEN_TO_LOOK, HIDDEN_TO_WORK, Handled, Job, Letter, NoRedrive, Outgoing,
    QueueFacts, Redriven, redrive,
};
pub use reading::{Assessed, Prospect, Reader, assess};
pub use violations::{Exemptions, Listing, OpenViolation, Order, Query, open_violations};

use crate::ports::Result;
use std::collections::BTreeMap;
use std::future::Future;

/// CloudFormation stacks, as far as the command line needs them.
pub trait Stacks {
    /// The outputs of a stack, by their keys; `None` when there is no such stack.
    fn outputs(&self, stack: &str) -> impl Future<Output = Result<Option<BTreeMap<String, String>>>> + Send;
    /// The values of a stack's parameters, likewise.
    fn parameters(&self, stack: &str) -> impl Future<Output = Result<Option<BTreeMap<String, String>>>> + Send;
}
