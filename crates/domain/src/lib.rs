//! The policy file, rollouts, violations and notices.
//!
//! Pure: no I/O, no clock, no environment, no SDK of AWS, no panic. Every function depends on its arguments only, so tables and properties test
//! it in microseconds.
//!
//! ```
//! use domain::policy::Policy;
//!
//! let rejected = Policy::read("backup-compliance.yaml", "version: 2\n").unwrap_err();
//! assert_eq!(rejected[0].at.map(|at| at.line), Some(1));
//! ```

pub mod cost;
pub mod digest;
#[cfg(test)]
#[path = "../../syntax/src/yaml/tests/edited.rs"]
mod edited;
pub mod notice;
pub mod policy;
pub mod preview;
pub mod rollout;
pub mod violation;
