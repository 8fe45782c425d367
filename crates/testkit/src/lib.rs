//! What tests and tools need to run the product without AWS.

pub mod deploy;
pub mod runtime_api;
pub mod simulator;
pub mod world;
