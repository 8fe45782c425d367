//! Reads the plans of Terraform and OpenTofu (`terraform show -json`), and states their resources as those of a template.
//!
//! Read are the resource changes: an unknown value is marked there, but absent from the planned values. A deleted resource is
//! not judged, and a sensitive value is unknown, so that no message contains it.
//!
//! Source: Terraform documentation, "JSON output format".

use std::collections::BTreeMap;

use serde_json::Value;

use framework::ids::RegionName;
use syntax::diagnostic::{Diagnostic, Position, SourceText};
use syntax::yaml::Node;

use configuration::{Configuration, ReferenceResolver, static_address};
use locate::Block;
use read::RawChange;

mod configuration;
mod convert;
mod locate;
mod read;
#[cfg(test)]
mod tests;
mod types;
mod values;

pub(crate) use convert::PlannedResource;
pub(crate) use types::in_terraform;

/// The position of what has none.
const NOWHERE: Position = Position { line: 0, column: 0 };

/// A plan.
#[derive(Debug)]
pub struct TerraformPlan {
    file: String,
    changes: Vec<RawChange>,
    /// The index of each change by its address.
    by_address: BTreeMap<String, usize>,
    /// The indexes of changes by their address without indexes.
    by_static: BTreeMap<String, Vec<usize>>,
    variables: BTreeMap<String, Value>,
    configuration: Configuration,
    /// The reasons why there may be more resources.
    gaps: Vec<&'static str>,
    /// The names of the source files of the root module.
    sources: Vec<String>,
    /// Their blocks by `type.name`.
    blocks: BTreeMap<String, Block>,
    /// An empty mapping, as the body of every resource.
    body: Node,
}

/// Returns whether the major version is supported.
fn is_supported(format_version: &str) -> bool {
    format_version.split('.').next() == Some("1")
}

fn unsupported(format_version: &str) -> String {
    format!("`format_version` is `{}`, and only version 1 is supported", syntax::text::printable(format_version))
}

impl TerraformPlan {
    /// The maximum size in bytes.
    pub const MAX: usize = 256 << 20;

    /// Returns whether a text is the JSON of a plan, by its first level.
    pub fn is_plan(text: &str) -> bool {
        read::is_plan(without_mark(text))
    }

    /// Reads a plan.
    ///
    /// # Errors
    /// It is too large, not valid, or of another version.
    pub fn read(file: &str, text: &str) -> Result<Self, Box<Diagnostic>> {
        if text.len() > Self::MAX {
            let message = format!("the plan is larger than {} MB", Self::MAX >> 20);
            return Err(Box::new(Diagnostic::of_file(
                file,
                message,
                "split the root module, and check each plan alone",
            )));
        }
        let raw: read::RawPlan = serde_json::from_str(without_mark(text)).map_err(|error| invalid(file, &error))?;
        if raw.format_version.is_none() || !raw.has_changes {
            let message = "not a plan of Terraform: `format_version` or `resource_changes` is missing";
            return Err(Box::new(Diagnostic::of_file(file, message, "give the output of `terraform show -json PLAN`")));
        }
        let mut gaps = Vec::new();
        if raw.is_errored {
            gaps.push("the plan has errors, so that it may lack resources");
        }
        if raw.is_deferred {
            gaps.push("Terraform deferred some changes to a later plan");
        } else if raw.is_incomplete && !raw.is_errored {
            gaps.push("the plan is not complete");
        }
        let (mut by_address, mut by_static) = (BTreeMap::new(), BTreeMap::<String, Vec<usize>>::new());
        for (index, change) in raw.changes.iter().enumerate() {
            by_address.insert(change.address.clone(), index);
            by_static.entry(static_address(&change.address)).or_default().push(index);
        }
        Ok(Self {
            file: file.to_owned(),
            changes: raw.changes,
            by_address,
            by_static,
            variables: raw.variables,
            configuration: raw.configuration,
            gaps,
            sources: Vec::new(),
            blocks: BTreeMap::new(),
            body: Node { at: NOWHERE, end: NOWHERE, tag: None, value: syntax::yaml::Value::Mapping(Vec::new()) },
        })
    }

    /// Returns the name of the plan's file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Returns the Regions of its resources, as far as they are known.
    pub fn regions(&self) -> Vec<RegionName> {
        let resolver = ReferenceResolver::new(&self.configuration, &self.variables);
        let mut regions: Vec<RegionName> =
            self.changes.iter().filter_map(|change| self.region_of(&resolver, change)).collect();
        regions.sort();
        regions.dedup();
        regions
    }

    /// Returns the Region of a resource: its own, or that of its provider.
    fn region_of(&self, resolver: &ReferenceResolver<'_>, change: &RawChange) -> Option<RegionName> {
        let block = resolver.block(&change.module, change.kind.name, &change.name);
        let own = match change.value("region") {
            Some(part) if part.as_text().is_some() => part.as_text().map(str::to_owned),
            // Given, but unknown: not that of the provider.
            Some(_) if block.is_some_and(|block| block.expressions.get("region").is_some()) => return None,
            _ => resolver.region(&block?.provider).map(str::to_owned),
        };
        RegionName::parse(&own?).ok()
    }

    /// Returns the type of a resource.
    pub(crate) fn kind(&self, address: &str) -> Option<&'static str> {
        self.changes.get(*self.by_address.get(address)?).map(|change| change.kind.name)
    }

    /// Returns the address of a resource by its index.
    pub(crate) fn address(&self, index: usize) -> Option<&str> {
        self.changes.get(index).map(|change| change.address.as_str())
    }

    pub(crate) fn gaps(&self) -> &[&'static str] {
        &self.gaps
    }

    /// Returns a diagnostic about a resource: at its block, or else at the plan.
    pub(crate) fn diagnostic(&self, address: &str, message: String, help: String) -> Diagnostic {
        let block = self.block(address).and_then(|block| Some((self.sources.get(block.file)?, block)));
        let diagnostic = match block {
            Some((file, block)) => {
                let Block { at, line, .. } = block;
                let end = Some(Position { column: line.trim_end().chars().count() + 1, ..*at });
                // Only the line, because a file may have many findings.
                let found = SourceText::new(file, line).error(Position { line: 1, ..*at }, message, help);
                Diagnostic { at: Some(*at), end, ..found }
            }
            None => {
                let at = Some(Position { line: 1, column: 1 });
                Diagnostic { at, ..Diagnostic::of_file(&self.file, message, help) }
            }
        };
        Diagnostic { address: Some(address.to_owned()), ..diagnostic }
    }
}

fn without_mark(text: &str) -> &str {
    text.trim_start_matches('\u{feff}').trim_start()
}

fn invalid(file: &str, error: &serde_json::Error) -> Box<Diagnostic> {
    // A message of serde may quote a value, and a plan contains secrets.
    let own = error.to_string();
    let message = match own.split_once(", and only version 1 is supported") {
        Some((version, _)) => format!("{version}, and only version 1 is supported"),
        None if error.is_eof() => "the plan ends early".to_owned(),
        None if error.is_syntax() => "the plan is not valid JSON".to_owned(),
        None => "the plan does not have the form of `terraform show -json`".to_owned(),
    };
    let at = Position { line: error.line().max(1), column: error.column().max(1) };
    let help = "write it again with `terraform show -json PLAN`, by a version of Terraform or OpenTofu from 1.0";
    Box::new(Diagnostic { at: Some(at), ..Diagnostic::of_file(file, message, help) })
}
