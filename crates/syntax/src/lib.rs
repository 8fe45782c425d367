//! Files that people write, with positions: YAML and JSON, CloudFormation templates, diagnostics.
//!
//! The ground floor: text helpers, a wildcard matcher, diagnostics with source positions and edits, a YAML tree that keeps the position of each
//! node, and CloudFormation templates whose intrinsic functions are resolved as far as possible. Pure: no I/O, no clock, no environment, no
//! panic.
//!
//! ```
//! use syntax::template::Template;
//!
//! let text = "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n";
//! let template = Template::read("template.yaml", text).expect("a valid template");
//! assert_eq!(template.resources().count(), 1);
//! ```

pub mod diagnostic;
pub mod template;
pub mod text;
pub mod wildcard;
pub mod yaml;
