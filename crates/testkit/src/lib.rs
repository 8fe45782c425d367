//! Fakes for tests and tools: the ports of `app` without AWS.
//!
//! [`world::World`] implements all ports on one state, with a journal of calls and injected faults. [`simulator`]
//! simulates
//! StackSets and the organization in time. [`scenario::Scenario`] sets up violations and runs `report` and `sweep` on
//! them.

pub mod deploy;
pub mod scenario;
pub mod simulator;
pub mod world;
