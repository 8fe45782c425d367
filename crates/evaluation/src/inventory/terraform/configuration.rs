//! The configuration of a plan: providers, and the references between resources, through modules, `count` and `for_each`.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::types::terraform_type;
use super::values::Kept;

/// The configuration.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Configuration {
    #[serde(default)]
    provider_config: BTreeMap<String, Provider>,
    #[serde(default)]
    root_module: Module,
}

#[derive(Debug, Default, Deserialize)]
struct Provider {
    #[serde(default)]
    module_address: Option<String>,
    #[serde(default)]
    expressions: BTreeMap<String, Value>,
}

/// A module.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Module {
    #[serde(default)]
    resources: ConfigResources,
    #[serde(default)]
    module_calls: BTreeMap<String, ModuleCall>,
    #[serde(default)]
    outputs: BTreeMap<String, Output>,
}

#[derive(Debug, Default, Deserialize)]
struct Output {
    #[serde(default)]
    expression: Value,
}

/// The resources of a module of the configuration, of which only supported types are kept.
#[derive(Debug, Default)]
pub(super) struct ConfigResources(pub(super) BTreeMap<String, ConfigResource>);

/// A block of the configuration.
#[derive(Debug, Default)]
pub(super) struct ConfigResource {
    pub(super) provider: String,
    /// The expressions of supported arguments.
    pub(super) expressions: Value,
}

impl<'de> Deserialize<'de> for ConfigResources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor;
        impl<'de> Visitor<'de> for ListVisitor {
            type Value = ConfigResources;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of resources")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<ConfigResources, A::Error> {
                let mut kept = BTreeMap::new();
                while let Some(entry) = seq.next_element::<ConfigEntry>()? {
                    kept.extend(entry.0);
                }
                Ok(ConfigResources(kept))
            }
        }
        deserializer.deserialize_seq(ListVisitor)
    }
}

struct ConfigEntry(Option<(String, ConfigResource)>);

impl<'de> Deserialize<'de> for ConfigEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntryVisitor;
        impl<'de> Visitor<'de> for EntryVisitor {
            type Value = ConfigEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a resource of the configuration")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ConfigEntry, A::Error> {
                let (mut mode, mut kind, mut name) = (String::new(), String::new(), String::new());
                let mut resource = ConfigResource::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "mode" => mode = map.next_value()?,
                        "type" => kind = map.next_value()?,
                        "name" => name = map.next_value()?,
                        "provider_config_key" => resource.provider = map.next_value()?,
                        "expressions" if kind.is_empty() || terraform_type(&kind).is_some() => {
                            resource.expressions = map.next_value::<Kept>()?.0;
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                let is_kept = mode == "managed" && terraform_type(&kind).is_some();
                Ok(ConfigEntry(is_kept.then(|| (format!("{kind}.{name}"), resource))))
            }
        }
        deserializer.deserialize_map(EntryVisitor)
    }
}

/// The depth of modules is limited by that of the JSON.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ModuleCall {
    #[serde(default)]
    pub(super) expressions: BTreeMap<String, Value>,
    #[serde(default)]
    pub(super) module: Module,
}

/// An attribute of a resource that an expression refers to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target {
    /// The address, in which the index of a module or resource may be absent.
    pub(super) address: String,
    pub(super) attribute: Option<String>,
}

/// The references of an expression.
#[derive(Debug, Default)]
pub(super) struct ReferencedResources {
    pub(super) targets: BTreeSet<Target>,
    /// The expression has no other references.
    pub(super) are_all: bool,
}

/// The maximum of references that are followed in a plan.
const MOST: usize = 1_000_000;
/// The maximum of modules between an expression and the resource.
const DEPTH: usize = 32;

/// Follows references.
pub(super) struct ReferenceResolver<'c> {
    configuration: &'c Configuration,
    variables: &'c BTreeMap<String, Value>,
    left: Cell<usize>,
}

impl<'c> ReferenceResolver<'c> {
    pub(super) fn new(configuration: &'c Configuration, variables: &'c BTreeMap<String, Value>) -> Self {
        Self { configuration, variables, left: Cell::new(MOST) }
    }

    /// Returns the block of a resource, by the address of its module.
    pub(super) fn block(&self, module: &str, kind: &str, name: &str) -> Option<&'c ConfigResource> {
        self.module(&tokens(module))?.resources.0.get(&format!("{kind}.{name}"))
    }

    fn module(&self, path: &[&str]) -> Option<&'c Module> {
        let mut module = &self.configuration.root_module;
        for step in path.iter().filter(|step| **step != "module") {
            module = &module.module_calls.get(without_index(step))?.module;
        }
        Some(module)
    }

    fn provider(&self, key: &str) -> Option<&'c Provider> {
        let all = &self.configuration.provider_config;
        // A module may inherit the provider.
        all.get(key).or_else(|| all.get(key.rsplit_once(':')?.1))
    }

    /// Returns whether a provider has `default_tags`, if it is known.
    pub(super) fn has_default_tags(&self, provider: &str) -> Option<bool> {
        Some(self.provider(provider)?.expressions.contains_key("default_tags"))
    }

    /// Returns the Region of a provider, if it is constant or a variable of the root module.
    pub(super) fn region(&self, provider: &str) -> Option<&'c str> {
        let provider = self.provider(provider)?;
        let region = provider.expressions.get("region")?;
        if let Some(region) = region.get("constant_value") {
            return region.as_str();
        }
        let references = region.get("references")?.as_array()?;
        let [reference] = references.as_slice() else { return None };
        let name = reference.as_str()?.strip_prefix("var.").filter(|_| provider.module_address.is_none())?;
        self.variables.get(name)?.as_str()
    }

    /// Returns the resources that an expression in a module refers to.
    pub(super) fn references(&self, module: &str, expression: &Value) -> ReferencedResources {
        let mut found = ReferencedResources { are_all: true, ..ReferencedResources::default() };
        self.follow(module, expression, DEPTH, &mut found);
        found.are_all &= !found.targets.is_empty();
        found
    }

    fn follow(&self, module: &str, expression: &Value, depth: usize, found: &mut ReferencedResources) {
        let listed = expression.get("references").and_then(Value::as_array);
        let listed: Vec<&str> = listed.into_iter().flatten().filter_map(Value::as_str).collect();
        let Some(depth) = depth.checked_sub(1).filter(|_| !listed.is_empty()) else {
            found.are_all = false;
            return;
        };
        let mut previous: Option<&str> = None;
        for reference in listed {
            // Terraform lists each reference before its own prefixes.
            if previous.is_some_and(|longer| is_prefix(reference, longer)) {
                continue;
            }
            previous = Some(reference);
            if self.left.get() == 0 {
                found.are_all = false;
                return;
            }
            self.left.set(self.left.get() - 1);
            if self.one(module, reference, depth, found).is_none() {
                found.are_all = false;
            }
        }
    }

    /// Follows one reference; `None` if it is of another kind.
    fn one(&self, module: &str, reference: &str, depth: usize, found: &mut ReferencedResources) -> Option<()> {
        let path = tokens(module);
        let parts = tokens(reference);
        match parts.as_slice() {
            ["var", name] => {
                let (call, parent) = path.split_last()?;
                let parent = parent.split_last()?.1;
                let call = self.module(parent)?.module_calls.get(without_index(call))?;
                self.follow(&parent.join("."), call.expressions.get(*name)?, depth, found);
            }
            ["module", call, output] => {
                let own = self.module(&path)?.module_calls.get(without_index(call))?;
                let output = own.module.outputs.get(*output)?;
                self.follow(&joined(module, &format!("module.{call}")), &output.expression, depth, found);
            }
            ["var" | "module" | "data" | "local" | "each" | "count" | "path" | "self" | "terraform", ..] => {
                return None;
            }
            [kind, name, rest @ ..] => {
                let address = joined(module, &format!("{kind}.{name}"));
                let attribute = rest.first().map(|attribute| (*attribute).to_owned());
                found.targets.insert(Target { address, attribute });
            }
            _ => return None,
        }
        Some(())
    }
}

fn joined(module: &str, rest: &str) -> String {
    if module.is_empty() { rest.to_owned() } else { format!("{module}.{rest}") }
}

fn is_prefix(short: &str, long: &str) -> bool {
    long.strip_prefix(short).is_some_and(|rest| rest.starts_with(['.', '[']))
}

/// Returns the steps of an address, which end at dots outside of brackets.
pub(super) fn tokens(address: &str) -> Vec<&str> {
    let (mut is_quoted, mut is_escaped, mut depth) = (false, false, 0_usize);
    let parts = address.split(|c| {
        let is_end = c == '.' && depth == 0 && !is_quoted;
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            '[' if !is_quoted => depth += 1,
            ']' if !is_quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        is_end
    });
    parts.filter(|part| !part.is_empty()).collect()
}

/// Returns a step without its index.
pub(super) fn without_index(step: &str) -> &str {
    step.split_once('[').map_or(step, |(name, _)| name)
}

/// Returns an address without the indexes of modules and resource.
pub(super) fn static_address(address: &str) -> String {
    let steps: Vec<&str> = tokens(address).into_iter().map(without_index).collect();
    steps.join(".")
}

/// Returns whether an address may be that of a reference, in which indexes may be absent.
pub(super) fn fits(reference: &str, address: &str) -> bool {
    let (reference, address) = (tokens(reference), tokens(address));
    let mut both = reference.iter().zip(&address);
    reference.len() == address.len()
        && both.all(|(one, other)| one == other || (!one.contains('[') && *one == without_index(other)))
}
