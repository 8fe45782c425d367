//! Events as they arrive, told apart and understood. An event is input, not truth: whatever does not fit is refused or
//! ignored with a reason, and nothing here can panic.

mod batch;
mod compliance;
mod trigger;

pub use batch::{Batch, Message};
pub(crate) use compliance::too_long;
pub use compliance::{Asked, NotUnderstood, asked, compliance_change, flush_message};
pub use trigger::{Look, Trigger, trigger};

#[cfg(test)]
mod tests;
