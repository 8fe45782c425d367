//! Reads a template and its parameter declarations.

use std::collections::BTreeMap;

use super::Template;
use crate::diagnostic::{Diagnostic, Diagnostics, Position, Source, UNREADABLE};
use crate::text::{closest_match, printable};
use crate::yaml::{self, Dialect, Node};

const DIALECT: Dialect = Dialect {
    // "Template error: YAML aliases are not allowed in CloudFormation templates"
    aliases_rejected_by: Some("CloudFormation"),
    // Merge keys are useful only with aliases.
    merges: true,
    empty_help: "write a mapping with `Resources`",
};

const NOT_A_TEMPLATE: &str = "not a CloudFormation template";

/// A template that was read.
pub(super) struct ParsedTemplate {
    pub(super) root: Node,
    /// The declared parameters with their defaults.
    pub(super) parameters: BTreeMap<String, Option<String>>,
    /// The positions of aliases and merge keys.
    pub(super) aliases: Vec<Position>,
}

/// Returns message and help for an alias or merge key.
pub(super) fn rejection(source: &Source<'_>, at: Position) -> (String, &'static str) {
    yaml::rejection(source, &DIALECT, at)
}

/// Returns the keys of the first level of a readable file.
pub(super) fn keys(text: &str) -> Option<Vec<String>> {
    let source = Source::new("", text);
    let yaml::Document { root, .. } = yaml::document(&mut Diagnostics::new(&source), &DIALECT)?;
    Some(root.entries()?.iter().filter_map(|(key, _)| key.as_str().map(str::to_owned)).collect())
}

/// Returns the first syntax error of a file. Other errors, such as a second document, are valid YAML.
pub(super) fn syntax_error(file: &str, text: &str) -> Option<Diagnostic> {
    let source = Source::new(file, text);
    let mut diagnostics = Diagnostics::new(&source);
    yaml::document(&mut diagnostics, &DIALECT);
    let unreadable = |diagnostic: Diagnostic| Diagnostic { rule: Some(UNREADABLE.id), ..diagnostic };
    diagnostics
        .into_vec()
        .into_iter()
        .find(|diagnostic| diagnostic.message.starts_with(yaml::NOT_VALID))
        .map(unreadable)
}

pub(super) fn template(diagnostics: &mut Diagnostics<'_, '_>, bytes: usize) -> Option<ParsedTemplate> {
    if bytes > Template::MAX {
        let message = format!("the template has {bytes} bytes");
        diagnostics
            .report_file_error(message, format!("split it: the limit of CloudFormation is {} bytes", Template::MAX));
        return None;
    }
    let yaml::Document { root, rejected } = yaml::document(diagnostics, &DIALECT)?;
    resources(diagnostics, &root)?;
    let parameters = parameters(diagnostics, &root);
    Some(ParsedTemplate { root, parameters, aliases: rejected })
}

fn resources(diagnostics: &mut Diagnostics<'_, '_>, root: &Node) -> Option<()> {
    let Some(sections) = root.entries() else {
        let message = format!("{NOT_A_TEMPLATE}: the file is {}", root.describe());
        diagnostics.report_error(root.at, message, "write a mapping with `Resources`");
        return None;
    };
    let Some(resources) = root.get("Resources") else {
        let keys = sections.iter().filter_map(|(key, _)| key.as_str());
        let help = match closest_match("Resources", keys) {
            Some(key) => format!("did you mean `Resources` instead of `{}`?", printable(key)),
            None => "add `Resources` with an `AWS::Backup::Framework`".to_owned(),
        };
        diagnostics.report_error(root.at, format!("{NOT_A_TEMPLATE}: `Resources` is missing"), help);
        return None;
    };
    let Some(entries) = resources.entries().filter(|entries| !entries.is_empty()) else {
        let what = if resources.entries().is_some() { "empty" } else { resources.describe() };
        diagnostics.report_error(
            resources.at,
            format!("{NOT_A_TEMPLATE}: `Resources` is {what}"),
            "add resources by their logical ids",
        );
        return None;
    };
    for (key, body) in entries {
        let name = printable(key.as_str().unwrap_or_default());
        if name.starts_with("Fn::") {
            continue; // `Fn::Transform` and `Fn::ForEach::...` are among the resources.
        }
        if body.get("Type").and_then(Node::as_str).is_none_or(str::is_empty) {
            diagnostics.report_error(
                key.at,
                format!("the resource `{name}` has no `Type`"),
                "add one, such as `Type: AWS::Backup::Framework`",
            );
        }
    }
    Some(())
}

fn parameters(diagnostics: &mut Diagnostics<'_, '_>, root: &Node) -> BTreeMap<String, Option<String>> {
    let mut parameters = BTreeMap::new();
    let Some(section) = root.get("Parameters").filter(|section| !section.is_null()) else { return parameters };
    let Some(entries) = section.entries() else {
        diagnostics.report_error(
            section.at,
            format!("`Parameters` is {}", section.describe()),
            "write a mapping of parameters",
        );
        return parameters;
    };
    for (key, body) in entries {
        let Some(name) = key.as_str() else { continue };
        if body.get("Type").and_then(Node::as_str).is_none_or(str::is_empty) {
            diagnostics.report_error(
                key.at,
                format!("the parameter `{}` has no `Type`", printable(name)),
                "add one, such as `Type: String`",
            );
        }
        let default = body.get("Default");
        if let Some(default) = default
            && default.as_str().is_none()
        {
            let message = format!("the default of the parameter `{}` is {}", printable(name), default.describe());
            diagnostics.report_error(default.at, message, "write a string; a list is \"a,b\"");
        }
        parameters.insert(name.to_owned(), default.and_then(Node::as_str).map(str::to_owned));
    }
    parameters
}
