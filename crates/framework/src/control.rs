//! The catalog of the 11 controls of AWS Backup Audit Manager.
//!
//! Sources: the AWS Backup developer guide, "Audit Manager controls and remediation" and "Choosing your controls", and the pages
//! of the AWS Config managed rules behind the controls.

mod catalog;
mod requirement;
mod resource;
mod rule_name;
mod severity;
#[cfg(test)]
mod tests;

pub use catalog::CONTROLS;
pub(crate) use resource::{SCOPE_NAMES, is_not_audited, scope_name};
pub use resource::{config_type, derived_arn, resource_kind};
pub use rule_name::RuleName;
pub use severity::Severity;

use std::collections::BTreeSet;

use syntax::text::closest_match;

/// A control of Audit Manager.
#[derive(Debug, PartialEq, Eq)]
pub struct Control {
    /// The name in the API (`ControlName`).
    pub name: &'static str,
    /// The title in plain words.
    pub title: &'static str,
    /// The violation, to follow the name of a resource: "Aurora cluster orders *is in no backup plan*".
    pub violation: &'static str,
    /// The compliant state, to follow the name of a resource.
    pub compliance: &'static str,
    /// The severity of a violation.
    pub severity: Severity,
    /// The evaluated resources, in plain words.
    pub evaluates: &'static str,
    /// Its parameters.
    pub parameters: &'static [Parameter],
    /// The supported scopes.
    pub scopes: &'static [ScopeKind],
    /// When it is evaluated.
    pub trigger: Trigger,
    /// The remediation of a violation.
    pub remediation: &'static str,
    /// The URL of AWS's documentation.
    pub documentation: &'static str,
    /// The part of this entry that AWS does not document.
    pub unconfirmed: Option<&'static str>,
    /// The Config types of the evaluated resources: those for which AWS Config has a managed rule of the control.
    pub resource_types: &'static [&'static str],
    /// Regions in which AWS Config has no managed rule of the control, although Audit Manager is available in some of them.
    pub missing_regions: &'static [&'static str],
    /// The end of the name of the Config managed rule, if it differs from [`Self::name`].
    pub managed_rule: Option<&'static str>,
}

/// A parameter of a control. Values are strings in the API, numbers too.
#[derive(Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The name in the API (`ParameterName`).
    pub name: &'static str,
    /// The kind of its values.
    pub kind: ParameterKind,
    /// The default.
    pub default: Option<&'static str>,
    /// Whether the control has no effect without it.
    pub required: bool,
}

/// The kind of a parameter's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    /// An integer within inclusive limits.
    Integer {
        /// Minimum.
        min: u32,
        /// Maximum; [`u32::MAX`] if AWS documents none.
        max: u32,
    },
    /// A number of hours or days; another parameter has the unit.
    Period {
        /// The parameter with the unit, `hours` or `days`.
        unit: &'static str,
        /// Minimum and maximum in hours.
        hours: (u32, u32),
        /// Minimum and maximum in days.
        days: (u32, u32),
    },
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Region codes separated by commas.
    RegionList,
    /// Account ids separated by commas.
    AccountList {
        /// Most ids.
        most: usize,
    },
    /// ARNs of IAM roles separated by commas.
    ArnList {
        /// Most ARNs.
        most: usize,
    },
}

/// A kind of scope of a control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeKind {
    /// Resources with one tag.
    Tag,
    /// Resources of some types.
    ResourceTypes,
    /// One resource.
    SingleResource,
}

/// When a control is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Every 24 hours.
    Daily,
    /// Whenever the resource changes.
    ConfigurationChange,
}

/// Returns the control with a name.
pub fn find(name: &str) -> Option<&'static Control> {
    CONTROLS.iter().find(|control| control.name == name)
}

/// Returns the control name that is most similar: of a Config managed rule, its control; else the only one that has all of its words; else
/// the one with the most similar spelling.
pub fn closest_name(name: &str) -> Option<&'static str> {
    /// Words. With fewer, too many names have all of them.
    const LEAST: usize = 3;
    if let Some(control) = RuleName::parse(name).control {
        return Some(control.name);
    }
    let names = || CONTROLS.iter().map(|control| control.name);
    let words = |name: &'_ str| -> BTreeSet<String> { name.split(['_', '-', ' ']).map(str::to_uppercase).collect() };
    let own = if name.len() <= LONGEST_NAME { words(name) } else { BTreeSet::new() };
    let mut with_all = names().filter(|other| own.len() >= LEAST && own.is_subset(&words(other)));
    match (with_all.next(), with_all.next()) {
        (Some(only), None) => Some(only),
        _ => closest_match(name, names()),
    }
}

/// Most bytes of a text that is compared with the names of controls.
const LONGEST_NAME: usize = 256;

impl Control {
    /// Returns the parameter with a name.
    pub fn parameter(&self, name: &str) -> Option<&'static Parameter> {
        self.parameters.iter().find(|parameter| parameter.name == name)
    }
}

/// Serializes a control as its name.
pub mod as_name {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serializer, de};

    use super::Control;

    /// Writes the name.
    pub fn serialize<S: Serializer>(control: &&'static Control, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(control.name)
    }

    /// Reads the name of an existing control.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static Control, D::Error> {
        let name = Cow::<'de, str>::deserialize(deserializer)?;
        super::find(&name).ok_or_else(|| de::Error::custom(format!("the control `{name}` does not exist")))
    }
}
