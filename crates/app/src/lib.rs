//! The use cases, and the ports through which they call AWS.
//!
//! A port is a small trait of domain types. The use case of a function has one type parameter, its environment: a trait whose
//! associated types are the adapters for its ports. This crate knows no type of the AWS SDK: `aws` implements the ports for the
//! functions and the command line, `testkit` for tests.
//!
//! ```
//! use app::events::{DeployTrigger, PolicyPlace, trigger};
//!
//! let place = PolicyPlace::Branch { repository: "backup-policy", branch: "main" };
//! let event = serde_json::json!({"source": "backup-compliance.lifecycle", "requestId": "r-1"});
//! assert_eq!(trigger(&event, place), DeployTrigger::Request("r-1".into()));
//! ```

mod delivery;
pub mod deploy;
pub mod events;
pub mod in_force;
pub mod inspect;
pub mod inventory;
pub mod lifecycle;
pub mod plan;
pub mod policy_lint;
pub mod ports;
pub mod preview;
pub mod queries;
mod remediation;
pub mod report;
pub mod review;
pub mod status;
pub mod sweep;
pub mod violations;
