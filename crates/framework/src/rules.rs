//! Lint rules: their ids, levels, texts and examples. The framework reader and lint have the checks; lint has the catalog.
//!
//! An id is never reused. The tens are families: 00 the template, 10 the framework, 20 its controls, 30 their parameters, 40 their
//! scopes, 50 combinations of controls and the resources around a framework, 60 the policy, 70 backup plans, 80 backup
//! selections, 90 suppressions, 100 backup vaults, 110 and 120 what CloudFormation rejects in any template. A family is one file; the
//! families 50 and up are beside their checks. `examples/` has two snippets for each rule, and the tests run all of them.

use syntax::diagnostic::{Level, RuleId};

/// Declares the rules of a family: `NAME "id" Level "title" "explanation"`.
macro_rules! family {
    ($($name:ident $id:literal $level:ident $title:literal $explanation:literal)*) => {
        $(
            #[doc = concat!($id, ": ", $title, ".")]
            pub(crate) static $name: $crate::rules::LintRule = $crate::rules::LintRule {
                id: $id,
                level: syntax::diagnostic::Level::$level,
                title: $title,
                explanation: $explanation,
                bad: $crate::rules::Example(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/rules/examples/", $id, ".bad.yaml"))),
                good: $crate::rules::Example(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/rules/examples/", $id, ".good.yaml"))),
            };
        )*

        /// The rules of this family.
        pub(crate) static FAMILY: &[&$crate::rules::LintRule] = &[$(&$name),*];
    };
}
pub(crate) use family;

pub(crate) mod cloudformation;
pub(crate) mod controls;
mod example;
pub(crate) mod framework;
pub(crate) mod parameters;
pub(crate) mod plans;
pub(crate) mod scopes;
pub(crate) mod selections;
pub(crate) mod template;
pub(crate) mod vaults;

pub use example::{Example, Snippet};

/// A lint rule.
#[derive(Debug, PartialEq, Eq)]
pub struct LintRule {
    /// The id, which never changes and is never reused: `BC021`.
    pub id: &'static str,
    /// The severity of every violation.
    pub level: Level,
    /// The violation in a few words.
    pub title: &'static str,
    /// The reason and the fix, as sentences.
    pub explanation: &'static str,
    /// A snippet that violates the rule.
    pub bad: Example,
    /// The corrected snippet.
    pub good: Example,
}

impl From<&LintRule> for RuleId {
    fn from(rule: &LintRule) -> Self {
        Self { id: rule.id, level: rule.level }
    }
}
