//! The use cases, and the ports through which they reach the world.
//!
//! One small trait per capability, domain types in and out: a use case shows in its signature what it can touch. Nothing here
//! knows an AWS SDK type; `aws` implements the ports for the functions, `testkit` for tests.

pub mod deploy;
pub mod events;
mod in_force;
pub mod inspect;
pub mod inventory;
pub mod lifecycle;
pub mod plan;
pub mod ports;
pub mod report;
pub mod status;
pub mod sweep;
mod telling;
mod ways;
