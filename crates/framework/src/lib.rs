//! AWS Backup Audit Manager frameworks: identifiers, the catalog of controls, lint rules, the reader of frameworks, lint.
//!
//! Pure: no I/O, no clock, no environment, no panic.
//!
//! ```
//! let control = framework::control::find("BACKUP_RECOVERY_POINT_ENCRYPTED").expect("a control of Audit Manager");
//! assert!(control.parameters.is_empty());
//! ```

pub mod backup;
pub mod control;
mod definition;
#[cfg(test)]
#[path = "../../syntax/src/yaml/tests/edited.rs"]
mod edited;
pub mod ids;
pub mod lint;
pub mod rules;

pub use definition::{ControlScope, EquivalentLocations, Framework, FrameworkControl, UnknownPart};
