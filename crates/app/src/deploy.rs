//! `deploy`: rolls the policy at the head of the branch, or in the current version of an S3 object, out to StackSets.
//!
//! A level-triggered reconciler. Each reconciliation reads the head of the branch, the recorded state and the StackSets, starts at
//! most one operation per StackSet, and ends. The event of the operation, or the schedule, triggers the next one.

mod apply;
pub mod archive;
pub(crate) mod desired;
mod effective_since;
pub(crate) mod members;
mod order;
pub mod ports;
pub(crate) mod reconcile;
pub mod redelivery;
mod removal;
mod reporting;
mod requests;
pub(crate) mod state;

pub use desired::{DesiredFramework, DesiredPolicy, EVENT_BUS_PARAMETER, PolicyFiles, PolicySource, UNKNOWN_EVENT_BUS};
pub use reconcile::{Application, Deploy, DeployCounts, FrameworkOutcome, ReconcileSummary, owner};
pub use requests::ANSWER_WITHIN;
pub use state::{
    AcceptedRevision, AttemptEnd, ControlVariant, DeployState, InFlight, Phase, PublishedFramework, RemovalBlocked,
    RevisionOrder, RolloutRecord, StackSetRef,
};
