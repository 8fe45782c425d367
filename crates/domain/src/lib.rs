//! The pure heart: what a backup policy means, what a rollout does next, what a compliance change amounts to.
//!
//! Nothing here does I/O, reads a clock or the environment, waits, knows AWS's SDK, or can panic: everything is a function
//! of its arguments, so it is tested by tables and properties in microseconds.

pub mod check;
pub mod control;
pub mod evaluation;
pub mod fault;
pub mod framework;
pub mod ids;
pub mod inventory;
pub mod lint;
pub mod notice;
pub mod policy;
pub mod rollout;
pub mod template;
pub mod violation;
pub mod yaml;
