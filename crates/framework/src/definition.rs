//! The Audit Manager frameworks of a template.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use syntax::diagnostic::Position;
use syntax::template::Resolved;

use crate::control::{self, Control};

mod locations;
pub(crate) mod parameter;
pub(crate) mod read;
#[cfg(test)]
mod tests;

pub use locations::EquivalentLocations;

/// An `AWS::Backup::Framework` resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Framework {
    /// The logical id of the resource.
    pub logical_id: String,
    /// `FrameworkName`; AWS generates an absent one.
    pub name: Resolved,
    /// The known controls in the order of the template.
    pub controls: Vec<FrameworkControl>,
    /// Parts that are known only at deployment: more controls, or whether the framework exists.
    #[serde(default)]
    pub unknown: Vec<UnknownPart>,
    /// Whether the framework certainly exists with known controls, parameters and scopes.
    #[serde(default)]
    pub is_known: bool,
}

/// A part of a framework that is known only at deployment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnknownPart {
    /// The position in the template.
    pub at: Position,
    /// A description: "the name of the control".
    pub what: String,
}

/// A control of a framework.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrameworkControl {
    /// The control; serialized as its name.
    #[serde(with = "control::as_name")]
    pub control: &'static Control,
    /// The parameters with known values.
    pub parameters: BTreeMap<String, String>,
    /// The evaluated resources.
    #[serde(default)]
    pub scope: ControlScope,
    /// The position in the template.
    pub at: Position,
}

/// The resources that a control evaluates (`ControlScope`); if empty, every resource it supports.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ControlScope {
    /// Resource types in Audit Manager's spelling.
    pub resource_types: Vec<String>,
    /// At most one resource id.
    pub resource_ids: Vec<String>,
    /// At most one tag: key, and value unless any matches.
    pub tags: Vec<(String, Option<String>)>,
    /// Whether a part is known only at deployment.
    pub is_unknown: bool,
}

impl ControlScope {
    /// Whether the control evaluates every resource it supports.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the scope for comparison: sorted lists without duplicates, and types in the documented spelling.
    pub fn sorted(mut self) -> Self {
        for name in &mut self.resource_types {
            if let Some(documented) = control::scope_name(name).filter(|documented| documented != name) {
                documented.clone_into(name);
            }
        }
        self.resource_types.sort_unstable();
        self.resource_types.dedup();
        self.resource_ids.sort_unstable();
        self.resource_ids.dedup();
        self.tags.sort_unstable();
        self.tags.dedup();
        self
    }
}

impl FrameworkControl {
    /// Returns the requirement in plain words.
    pub fn requirement(&self) -> String {
        self.control.requirement(&self.parameters)
    }
}
