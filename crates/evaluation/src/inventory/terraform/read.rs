//! Reads the JSON of `terraform show -json` item by item, and keeps only supported types and arguments.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use syntax::template::{Content, Part};

use super::configuration::Configuration;
use super::types::{TerraformType, terraform_type};
use super::values::{self, Kept};

/// The parts of a plan that are kept.
#[derive(Debug, Default)]
pub(super) struct RawPlan {
    pub(super) format_version: Option<String>,
    pub(super) has_changes: bool,
    pub(super) changes: Vec<RawChange>,
    /// Some changes are deferred to a later plan.
    pub(super) is_deferred: bool,
    pub(super) is_incomplete: bool,
    pub(super) is_errored: bool,
    pub(super) variables: BTreeMap<String, Value>,
    pub(super) configuration: Configuration,
}

/// A change of a managed resource of a supported type.
#[derive(Debug)]
pub(super) struct RawChange {
    pub(super) address: String,
    pub(super) module: String,
    pub(super) kind: &'static TerraformType,
    pub(super) name: String,
    /// The supported arguments. What is unknown or sensitive is unknown.
    pub(super) values: Part,
    pub(super) has_secret_tags: bool,
}

impl RawChange {
    /// Returns an argument as the plan states it; `None` if it is absent.
    pub(super) fn value(&self, argument: &str) -> Option<&Part> {
        // All may be unknown.
        if self.values.content == Content::Unknown { Some(&self.values) } else { self.values.get(argument) }
    }

    /// Returns an argument if it is a known text.
    pub(super) fn text(&self, argument: &str) -> Option<&str> {
        self.value(argument)?.as_text()
    }
}

impl<'de> Deserialize<'de> for RawPlan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PlanVisitor;
        impl<'de> Visitor<'de> for PlanVisitor {
            type Value = RawPlan;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a plan of Terraform")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawPlan, A::Error> {
                let mut plan = RawPlan::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "format_version" => {
                            let version: String = map.next_value()?;
                            // The rest of another version may have any form.
                            if !super::is_supported(&version) {
                                return Err(A::Error::custom(super::unsupported(&version)));
                            }
                            plan.format_version = Some(version);
                        }
                        "resource_changes" => {
                            plan.has_changes = true;
                            plan.changes = map.next_value::<Option<ResourceChanges>>()?.unwrap_or_default().0;
                        }
                        "deferred_changes" => {
                            plan.is_deferred =
                                map.next_value::<Option<Vec<IgnoredAny>>>()?.is_some_and(|all| !all.is_empty());
                        }
                        "complete" => plan.is_incomplete = map.next_value::<Value>()? == Value::Bool(false),
                        "errored" => plan.is_errored = map.next_value::<Value>()? == Value::Bool(true),
                        "variables" => {
                            let given: Option<BTreeMap<String, Variable>> = map.next_value()?;
                            let given = given.unwrap_or_default().into_iter();
                            plan.variables = given.filter_map(|(name, given)| Some((name, given.value?))).collect();
                        }
                        "configuration" => plan.configuration = map.next_value::<Option<_>>()?.unwrap_or_default(),
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(plan)
            }
        }
        deserializer.deserialize_map(PlanVisitor)
    }
}

#[derive(Deserialize)]
struct Variable {
    #[serde(default)]
    value: Option<Value>,
}

#[derive(Default)]
struct ResourceChanges(Vec<RawChange>);

impl<'de> Deserialize<'de> for ResourceChanges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ChangesVisitor;
        impl<'de> Visitor<'de> for ChangesVisitor {
            type Value = ResourceChanges;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of changes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<ResourceChanges, A::Error> {
                let mut changes = Vec::new();
                while let Some(change) = seq.next_element::<Change>()? {
                    changes.extend(change.0);
                }
                Ok(ResourceChanges(changes))
            }
        }
        deserializer.deserialize_seq(ChangesVisitor)
    }
}

/// A change, `None` if it is not judged.
struct Change(Option<RawChange>);

impl<'de> Deserialize<'de> for Change {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ChangeVisitor;
        impl<'de> Visitor<'de> for ChangeVisitor {
            type Value = Change;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a change")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Change, A::Error> {
                let mut of = ChangeFields::default();
                let mut change = None;
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "address" => of.address = map.next_value()?,
                        "module_address" => of.module = map.next_value()?,
                        "mode" => of.mode = map.next_value()?,
                        "type" => of.kind = Some(map.next_value()?),
                        "name" => of.name = map.next_value()?,
                        "deposed" => of.is_deposed = map.next_value::<Option<IgnoredAny>>()?.is_some(),
                        // The type is written before it.
                        "change" if of.is_unsupported() => {
                            map.next_value::<IgnoredAny>()?;
                        }
                        "change" => change = Some(map.next_value::<RawValues>()?),
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(Change(change.and_then(|change| of.with(change))))
            }
        }
        deserializer.deserialize_map(ChangeVisitor)
    }
}

#[derive(Default)]
struct ChangeFields {
    address: String,
    module: Option<String>,
    mode: String,
    kind: Option<String>,
    name: String,
    is_deposed: bool,
}

impl ChangeFields {
    fn is_unsupported(&self) -> bool {
        self.kind.as_deref().is_some_and(|kind| terraform_type(kind).is_none())
    }

    fn with(self, values: RawValues) -> Option<RawChange> {
        let kind = terraform_type(self.kind.as_deref()?)?;
        let is_judged = self.mode == "managed" && !self.is_deposed && values.after.0.is_object();
        let RawValues { after: Kept(after), after_unknown: Kept(unknown), after_sensitive: Kept(sensitive) } = values;
        let values = values::merged(Some(&after), Some(&unknown), Some(&sensitive)).filter(|_| is_judged)?;
        Some(RawChange {
            address: self.address,
            module: self.module.unwrap_or_default(),
            kind,
            name: self.name,
            values,
            has_secret_tags: sensitive == Value::Bool(true) || sensitive.get("tags") == Some(&Value::Bool(true)),
        })
    }
}

#[derive(Deserialize)]
struct RawValues {
    #[serde(default)]
    after: Kept,
    #[serde(default)]
    after_unknown: Kept,
    #[serde(default)]
    after_sensitive: Kept,
}

/// Returns whether a text is a plan: it has the keys of one on its first level.
pub(super) fn is_plan(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Keys {
        format_version: Option<IgnoredAny>,
        resource_changes: Option<IgnoredAny>,
    }
    if !text.starts_with('{') || !text.contains("\"format_version\"") || !text.contains("\"resource_changes\"") {
        return false;
    }
    match serde_json::from_str::<Keys>(text) {
        Ok(keys) => keys.format_version.is_some() && keys.resource_changes.is_some(),
        // A plan that is cut off, which is reported when it is read.
        Err(error) => {
            error.is_eof() && text.trim_start_matches(['{', ' ', '\n', '\r', '\t']).starts_with("\"format_version\"")
        }
    }
}
