//! The catalogue of the 11 controls of AWS Backup Audit Manager: data, not code.
//!
//! Sources: the AWS Backup developer guide, "Audit Manager controls and remediation" and "Choosing your controls", and the pages
//! of the AWS Config managed rules behind the controls.

mod catalogue;
#[cfg(test)]
mod page;
mod requirement;
mod resource;
mod rule_name;
mod severity;
#[cfg(test)]
mod tests;

pub use catalogue::CONTROLS;
pub use resource::{SCOPE_NAMES, config_type, derived_arn, is_not_audited, resource_kind, scope_name};
pub use rule_name::RuleName;
pub use severity::Severity;

use crate::fault;

/// A control: one question that Audit Manager asks of every resource it knows.
#[derive(Debug, PartialEq, Eq)]
pub struct Control {
    /// The name in the API (`ControlName`).
    pub name: &'static str,
    /// Title in plain words.
    pub title: &'static str,
    /// What is wrong with a resource that breaks it, to follow the resource's name: "Aurora cluster orders *is in no backup
    /// plan*".
    pub broken: &'static str,
    /// What is right with a resource that satisfies it, likewise.
    pub fixed: &'static str,
    /// How bad it is to break it.
    pub severity: Severity,
    /// What it evaluates, in plain words.
    pub evaluates: &'static str,
    /// Its parameters.
    pub parameters: &'static [Parameter],
    /// What a framework may narrow it to.
    pub scopes: &'static [Scope],
    /// When it is evaluated.
    pub trigger: Trigger,
    /// What to do about a violation.
    pub remediation: &'static str,
    /// AWS's page about it.
    pub documentation: &'static str,
    /// What of this entry AWS's documents do not settle.
    pub unconfirmed: Option<&'static str>,
    /// The Config types of the resources it is evaluated on.
    pub resource_types: &'static [&'static str],
    /// How the name of the Config managed rule behind it ends, where that differs from [`Self::name`].
    pub managed_rule: Option<&'static str>,
}

/// A parameter of a control. Values are texts in the API, numbers too.
#[derive(Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The name in the API (`ParameterName`).
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// The value in force when none is given.
    pub default: Option<&'static str>,
    /// Whether the control says nothing without it.
    pub required: bool,
}

/// What values a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number within bounds, both included.
    Integer {
        /// Least.
        min: u32,
        /// Most; [`u32::MAX`] where AWS names no bound.
        max: u32,
    },
    /// A number of hours or days, as another parameter says.
    Period {
        /// The parameter that says `hours` or `days`.
        unit: &'static str,
        /// Least and most, in hours.
        hours: (u32, u32),
        /// Least and most, in days.
        days: (u32, u32),
    },
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Region codes with commas between.
    RegionList,
    /// Account ids with commas between.
    AccountList {
        /// Most ids.
        most: usize,
    },
    /// ARNs of IAM roles with commas between.
    ArnList {
        /// Most ARNs.
        most: usize,
    },
}

/// What a framework may narrow a control to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Resources with one tag.
    Tag,
    /// Resources of certain types.
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

/// The control of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Control> {
    CONTROLS.iter().find(|control| control.name == name)
}

/// The name of the control most like this one.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static str> {
    fault::nearest(name, CONTROLS.iter().map(|control| control.name))
}

impl Control {
    /// The parameter of this name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&'static Parameter> {
        self.parameters.iter().find(|parameter| parameter.name == name)
    }
}

/// A control is written as its name wherever it is stored.
pub(crate) mod as_name {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serializer, de};

    use super::Control;

    pub(crate) fn serialize<S: Serializer>(control: &&'static Control, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(control.name)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static Control, D::Error> {
        let name = Cow::<'de, str>::deserialize(deserializer)?;
        super::find(&name).ok_or_else(|| de::Error::custom(format!("there is no control `{name}`")))
    }
}
