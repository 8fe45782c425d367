//! Parses the events of the functions. Events are untrusted: invalid ones are rejected, foreign ones ignored, with a reason.

mod batch;
mod compliance;
mod trigger;

pub use batch::{Batch, BatchMessage};
pub use compliance::{EventError, ReportRequest, compliance_change, flush_message, report_request};
pub(crate) use compliance::{control_of, too_long};
pub use trigger::{DeployTrigger, OBJECT_KEY, PolicyPlace, ReconcileScope, trigger};

#[cfg(test)]
mod tests;
