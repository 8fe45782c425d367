//! The changes of the framework that a StackSet deploys.

use serde::Serialize;

use super::super::{AutoDeployment, Instance, Parameters};

/// The changes of a framework.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FrameworkChange {
    /// The reason why a template cannot be compared.
    pub unreadable: Option<String>,
    /// The changes for most instances.
    pub changes: Vec<DefinitionChange>,
    /// The changes for instances whose parameter overrides lead to other changes of the controls.
    pub override_changes: Vec<OverrideChange>,
    /// The number of further combinations of overrides that were not compared.
    pub not_compared: usize,
}

/// The changes of the controls for instances that share their overrides, before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OverrideChange {
    /// The overrides in force.
    pub overrides_before: Parameters,
    /// The desired overrides.
    pub overrides: Parameters,
    /// The number of instances.
    pub instances: usize,
    /// One of the instances.
    pub example: Instance,
    /// The changes of the controls; may be empty.
    pub changes: Vec<DefinitionChange>,
}

/// A change of the definition of a StackSet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "change")]
pub enum DefinitionChange {
    /// A new framework; its controls follow.
    FrameworkAdded {
        /// Its logical id.
        framework: String,
    },
    /// A removed framework; its controls follow.
    FrameworkRemoved {
        /// Its logical id.
        framework: String,
    },
    /// A renamed framework, which AWS replaces.
    FrameworkRenamed {
        /// Its logical id.
        framework: String,
        /// `FrameworkName` before.
        before: String,
        /// `FrameworkName` after.
        after: String,
    },
    /// A new control.
    ControlAdded(ControlDefinition),
    /// A removed control.
    ControlRemoved(ControlDefinition),
    /// A changed parameter of a control.
    ControlParameter {
        /// The logical id of the framework.
        framework: String,
        /// The control.
        control: &'static str,
        /// The parameter.
        parameter: String,
        /// The value before, if known.
        before: Option<String>,
        /// The value after.
        after: Option<String>,
        /// The requirement of the control after.
        requirement: String,
    },
    /// A control with another scope.
    ControlScope {
        /// The logical id of the framework.
        framework: String,
        /// The control.
        control: &'static str,
        /// The scope before.
        before: String,
        /// The scope after.
        after: String,
    },
    /// A changed parameter of the StackSet.
    Parameter {
        /// The parameter.
        name: String,
        /// The value before, if it has one.
        before: Option<String>,
        /// The value after.
        after: Option<String>,
    },
    /// A changed resource of the template.
    Resource {
        /// Its logical id.
        resource: String,
        /// Its type.
        r#type: String,
        /// The kind of change.
        how: ResourceChange,
    },
    /// A changed section of the template other than `Resources`.
    Section {
        /// The section.
        section: String,
    },
    /// Only comments or layout of the template change. CloudFormation updates all instances nevertheless.
    Layout,
    /// A changed auto-deployment.
    AutoDeployment {
        /// The setting before.
        before: Option<AutoDeployment>,
        /// The setting after.
        after: Option<AutoDeployment>,
    },
    /// The definition digest of the StackSet differs, but no difference is visible.
    Invisible,
}

/// A control of a framework.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ControlDefinition {
    /// The logical id of the framework.
    pub framework: String,
    /// The control.
    pub control: &'static str,
    /// Its requirement.
    pub requirement: String,
    /// The resources it evaluates.
    pub scope: String,
}

/// The kind of change of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ResourceChange {
    /// Added.
    Added,
    /// Removed.
    Removed,
    /// Changed.
    Changed,
}

impl DefinitionChange {
    /// The change in one line, for reports.
    pub fn description(&self) -> String {
        let value = |value: &Option<String>| value.as_ref().map_or_else(|| "no value".to_owned(), |v| format!("`{v}`"));
        let auto = |auto: &Option<AutoDeployment>| match auto {
            Some(AutoDeployment { enabled: true, retain_stacks: true }) => {
                "on, stacks of accounts that leave are retained"
            }
            Some(AutoDeployment { enabled: true, retain_stacks: false }) => "on",
            Some(AutoDeployment { enabled: false, .. }) | None => "off",
        };
        match self {
            Self::FrameworkAdded { framework } => format!("framework `{framework}` is added"),
            Self::FrameworkRemoved { framework } => format!("framework `{framework}` is removed"),
            Self::FrameworkRenamed { framework, before, after } => format!(
                "framework `{framework}` is renamed from {before} to {after}: AWS replaces it, which fails while both exist with the same controls"
            ),
            Self::ControlAdded(ControlDefinition { control, requirement, scope, .. }) => {
                format!("control {control} is added: {requirement} ({scope})")
            }
            Self::ControlRemoved(ControlDefinition { control, requirement, scope, .. }) => {
                format!("control {control} is removed: {requirement} ({scope})")
            }
            Self::ControlParameter { control, parameter, before, after, requirement, .. } => {
                let (before, after) = (value(before), value(after));
                format!("control {control}: {parameter} changes from {before} to {after}: {requirement}")
            }
            Self::ControlScope { control, before, after, .. } => {
                format!("control {control} evaluates {after}, not {before} any more")
            }
            Self::Parameter { name, before, after } => {
                format!("parameter {name} changes from {} to {}", value(before), value(after))
            }
            Self::Resource { resource, r#type, how } => {
                let how = match how {
                    ResourceChange::Added => "added",
                    ResourceChange::Removed => "removed",
                    ResourceChange::Changed => "changed",
                };
                format!("resource `{resource}` ({type}) is {how}")
            }
            Self::Section { section } => format!("section `{section}` of the template changes"),
            Self::Layout => {
                "only comments or layout of the template change; every instance is updated nevertheless".into()
            }
            Self::AutoDeployment { before, after } => {
                format!("auto-deployment changes from {} to {}", auto(before), auto(after))
            }
            Self::Invisible => "the StackSet has another definition digest, but no difference is visible".into(),
        }
    }
}

impl FrameworkChange {
    /// Whether nothing changes, as far as that is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
