//! The Audit Manager frameworks that a template deploys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::control::{self, Control};
use crate::fault::{Fault, Faults, Position, Source};
use crate::template::{Resolved, Template};

mod parameter;
mod read;
#[cfg(test)]
mod tests;

/// An `AWS::Backup::Framework` resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Framework {
    /// The resource's name in the template.
    pub logical_id: String,
    /// `FrameworkName`; AWS makes one up when it is absent.
    pub name: Resolved,
    /// Its controls in the order of the template, as far as they can be known.
    pub controls: Vec<FrameworkControl>,
}

/// A control as a framework uses it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrameworkControl {
    /// The control; written as its name.
    #[serde(with = "control::as_name")]
    pub control: &'static Control,
    /// The parameters whose values are known.
    pub parameters: BTreeMap<String, String>,
    /// Where it stands in the template.
    pub at: Position,
}

impl FrameworkControl {
    /// What the control asks for, in plain words.
    #[must_use]
    pub fn requirement(&self) -> String {
        self.control.requirement(&self.parameters)
    }
}

impl Framework {
    /// Reads every framework of a template, with the values that the template's parameters will have. A framework whose
    /// `Condition` is known to fail is left out, so the list may be empty.
    ///
    /// # Errors
    /// Every fault in the template's frameworks, and in how `parameters` fit the parameters that the template declares.
    pub fn read_all(template: &Template, parameters: &BTreeMap<String, String>) -> Result<Vec<Self>, Vec<Fault>> {
        let source = Source::new(template.file(), template.text());
        let mut faults = Faults::new(&source);
        parameter::check(&mut faults, template, parameters);
        let frameworks = read::frameworks(&mut faults, template, parameters);
        if faults.is_empty() { Ok(frameworks) } else { Err(faults.into_vec()) }
    }
}
