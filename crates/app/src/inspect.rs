//! The use cases of the command line: open violations and dead-letter queues.

mod dead_letters;
mod reading;
mod violations;

pub use dead_letters::{
    Action, DeadLetters, Destination, HIDDEN_TO_CHANGE, HIDDEN_TO_SHOW, HandledMessage, OutgoingMessage, QueueFacts,
    RedriveError, RedriveJob, RedriveOutcome, RedriveResult, redrive,
};
pub use reading::{Assessment, Consumer, DeadLetter, Validity, assess};
pub use violations::{Exemptions, ListedViolation, ViolationList, ViolationOrder, ViolationQuery, open_violations};

use std::collections::BTreeMap;

use crate::ports::Call;

/// Access to CloudFormation stacks.
pub trait Stacks {
    /// Reads the outputs of a stack by key; `None` if the stack does not exist.
    fn outputs(&self, stack: &str) -> impl Call<Option<BTreeMap<String, String>>>;
    /// Reads the parameters of a stack by key; `None` if the stack does not exist.
    fn parameters(&self, stack: &str) -> impl Call<Option<BTreeMap<String, String>>>;
}
