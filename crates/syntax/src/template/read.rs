//! Reads a template and its parameter declarations.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Template;
use crate::diagnostic::{Diagnostic, Diagnostics, SourceText, UNREADABLE};
use crate::text::{closest_match, printable};
use crate::yaml::{self, Dialect, Node};

pub(super) const DIALECT: Dialect = Dialect {
    // "Template error: YAML aliases are not allowed in CloudFormation templates"
    aliases_rejected_by: Some("CloudFormation"),
    // Merge keys are useful only with aliases.
    merges: true,
    empty_help: "write a mapping with `Resources`",
};

const NOT_A_TEMPLATE: &str = "not a CloudFormation template";

/// Returns the tree of a readable file.
pub(super) fn root(text: &str) -> Option<Node> {
    Some(yaml::document(&mut Diagnostics::new(&SourceText::new("", text)), &DIALECT)?.root)
}

impl Template {
    /// Returns the first syntax error of a file that is neither valid YAML nor valid JSON. Other errors, such as a second document, are
    /// valid YAML.
    pub fn syntax_error(file: &str, text: &str) -> Option<Diagnostic> {
        let source = SourceText::new(file, text);
        let mut diagnostics = Diagnostics::new(&source);
        yaml::document(&mut diagnostics, &DIALECT);
        let mut found = diagnostics.into_vec().into_iter();
        let diagnostic = found.find(|diagnostic| diagnostic.message.starts_with(yaml::NOT_VALID))?;
        Some(Diagnostic { rule: Some(UNREADABLE.id), ..diagnostic })
    }
}

/// Reads the template of a file with this text.
pub(super) fn template(diagnostics: &mut Diagnostics<'_, '_>, text: &str) -> Option<Template> {
    if text.len() > Template::MAX {
        let help = format!("split it: the limit of CloudFormation is {} bytes", Template::MAX);
        diagnostics.report_file_error(format!("the template has {} bytes", text.len()), help);
        return None;
    }
    let yaml::YamlDocument { root, rejected } = yaml::document(diagnostics, &DIALECT)?;
    resources(diagnostics, &root)?;
    let parameters = parameters(diagnostics, &root);
    let file = diagnostics.source().file.to_owned();
    Some(Template { file, text: text.to_owned(), root, parameters, aliases: rejected })
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
        let message = format!("{NOT_A_TEMPLATE}: `Resources` is {what}");
        diagnostics.report_error(resources.at, message, "add resources by their logical ids");
        return None;
    };
    for (key, body) in entries {
        let name = printable(key.as_str().unwrap_or_default());
        // `Fn::Transform` and `Fn::ForEach::...` are among the resources.
        if let Some(module) = body.get("Type").filter(|kind| is_rain_module(kind)) {
            let message = format!("the `Type` of the resource `{name}` is an object of `Rain::Module`");
            diagnostics.report_error(module.at, message, "replace it with `rain pkg` first");
        } else if !name.starts_with("Fn::") && !has_type(body) {
            let message = format!("the resource `{name}` has no `Type`");
            diagnostics.report_error(key.at, message, "add one, such as `Type: AWS::Backup::Framework`");
        }
    }
    Some(())
}

/// Whether a type is a directive of Rain, which packages modules: `!Rain::Module x` or `{"Rain::Module": x}`.
fn is_rain_module(kind: &Node) -> bool {
    const MODULE: &str = "Rain::Module";
    kind.tag.as_deref() == Some(MODULE) || kind.get(MODULE).is_some()
}

fn has_type(body: &Node) -> bool {
    body.get("Type").and_then(Node::as_str).is_some_and(|kind| !kind.is_empty())
}

fn parameters(diagnostics: &mut Diagnostics<'_, '_>, root: &Node) -> BTreeMap<String, Option<String>> {
    let mut parameters = BTreeMap::new();
    let Some(section) = root.get("Parameters").filter(|section| !section.is_null()) else { return parameters };
    let Some(entries) = section.entries() else {
        let message = format!("`Parameters` is {}", section.describe());
        diagnostics.report_error(section.at, message, "write a mapping of parameters");
        return parameters;
    };
    for (key, body) in entries {
        let Some(name) = key.as_str() else { continue };
        if !has_type(body) {
            let message = format!("the parameter `{}` has no `Type`", printable(name));
            diagnostics.report_error(key.at, message, "add one, such as `Type: String`");
        }
        let default = body.get("Default");
        if let Some(default) = default.filter(|default| default.as_str().is_none()) {
            let message = format!("the default of the parameter `{}` is {}", printable(name), default.describe());
            diagnostics.report_error(default.at, message, "write a string; a list is \"a,b\"");
        }
        let text = default.and_then(|node| node.yaml11_text().or_else(|| node.as_str().map(Into::into)));
        parameters.insert(name.to_owned(), text.map(Cow::into_owned));
    }
    parameters
}
