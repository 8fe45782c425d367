//! `deploy`: brings what is deployed to what the policy at the head of the branch says.
//!
//! A level-triggered reconciler. Each look reads the head of the branch, what is remembered and what is deployed, does at most
//! one operation per StackSet, and ends; the operation's own event, or the schedule, brings it back.

mod bring;
pub(crate) mod members;
pub(crate) mod memory;
pub(crate) mod reconcile;
pub mod redelivery;
mod removal;
mod reporting;
mod requests;
mod since;
pub(crate) mod wanted;

pub use memory::{Ended, FrameworkFacts, InFlight, Memory, Phase, Rollout, Stuck, Variant};
pub use reconcile::{Application, Counts, Deploy, FrameworkOutcome, Seen, owner};
pub use requests::ANSWER_WITHIN;
pub use wanted::{PolicyAt, Wanted, WantedFramework};
