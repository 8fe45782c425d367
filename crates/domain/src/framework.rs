//! The Audit Manager frameworks that a template deploys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::control::{self, Control};
use crate::fault::{Fault, Faults, Position, Source};
use crate::lint;
use crate::template::{Resolved, Resolver, Template};

pub(crate) mod parameter;
pub(crate) mod read;
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
    /// What else there may be, which only a deployment tells: controls, or whether the framework is there at all.
    #[serde(default)]
    pub unknown: Vec<Unseen>,
    /// Whether everything about it is known: that it is there, its controls, their parameters and scopes.
    #[serde(default)]
    pub is_known: bool,
}

/// A part of a framework that only a deployment tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unseen {
    /// Where it stands in the template.
    pub at: Position,
    /// What it is: "which control this is".
    pub what: String,
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
    /// What it is narrowed to.
    #[serde(default)]
    pub scope: Narrowing,
    /// Where it stands in the template.
    pub at: Position,
}

/// What a framework narrows a control to (`ControlScope`). Nothing narrows nothing: the control judges all that it can.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Narrowing {
    /// Resource types, as Audit Manager calls them.
    pub resource_types: Vec<String>,
    /// The one resource.
    pub resource_ids: Vec<String>,
    /// The one tag: key, and value if there is one.
    pub tags: Vec<(String, Option<String>)>,
    /// Whether there is more to it, which only a deployment can tell.
    pub is_unknown: bool,
}

impl Narrowing {
    /// Whether the control is narrowed to nothing, and so judges everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The same in an order of its own, to be compared.
    pub(crate) fn sorted(mut self) -> Self {
        self.resource_types.sort_unstable();
        self.resource_ids.sort_unstable();
        self.tags.sort_unstable();
        self
    }
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
    /// Every error that lint finds in the template ([`crate::lint::template`]), and in how `parameters` fit the parameters that the
    /// template declares.
    pub fn read_all(template: &Template, parameters: &BTreeMap<String, String>) -> Result<Vec<Self>, Vec<Fault>> {
        let source = Source::new(template.file(), template.text());
        let mut faults = Faults::new(&source);
        parameter::check(&mut faults, template, parameters, parameter::Values::All);
        template.refuse_aliases(&mut faults);
        let resolver = Resolver::new(template, parameters);
        let found = read::frameworks(&mut faults, template, &resolver);
        lint::names(&mut faults, template);
        lint::judge(&mut faults, template, &resolver, &found);
        if faults.errors() == 0 {
            return Ok(found.into_iter().map(read::Read::into_framework).collect());
        }
        let errors = faults.into_vec().into_iter().filter(|fault| fault.level() == lint::Level::Error);
        Err(errors.collect())
    }
}
