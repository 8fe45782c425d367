//! Is this a template, and which parameters does it declare?

use std::collections::BTreeMap;

use super::Template;
use crate::fault::{Fault, Faults, Position, Source, nearest};
use crate::ids::shown;
use crate::lint::rules;
use crate::yaml::{self, Dialect, Node};

const DIALECT: Dialect = Dialect {
    // "Template error: YAML aliases are not allowed in CloudFormation templates"
    aliases_refused_by: Some("CloudFormation"),
    // Only together with aliases are they of use, and whoever writes out the one writes out the other.
    merges: true,
    empty_fix: "a template is a mapping with `Resources`",
};

const NOT_A_TEMPLATE: &str = "not a CloudFormation template";

/// What was read.
pub(super) struct Read {
    pub(super) root: Node,
    /// The declared parameters with their defaults.
    pub(super) parameters: BTreeMap<String, Option<String>>,
    /// Where aliases and merge keys stand.
    pub(super) aliases: Vec<Position>,
}

/// Problem and fix of an alias or merge key.
pub(super) fn refused(source: &Source<'_>, at: Position) -> (String, &'static str) {
    yaml::refused(source, &DIALECT, at)
}

/// The keys of the first level of a file, if it can be read.
pub(super) fn keys(text: &str) -> Option<Vec<String>> {
    let source = Source::new("", text);
    let yaml::Document { root, .. } = yaml::document(&mut Faults::new(&source), &DIALECT)?;
    Some(root.entries()?.iter().filter_map(|(key, _)| key.as_str().map(str::to_owned)).collect())
}

/// The first syntax error of a file. Other faults, such as a second document, leave it YAML.
pub(super) fn syntax_error(file: &str, text: &str) -> Option<Fault> {
    let source = Source::new(file, text);
    let mut faults = Faults::new(&source);
    yaml::document(&mut faults, &DIALECT);
    let unreadable = |fault: Fault| Fault { rule: Some(rules::UNREADABLE.id), ..fault };
    faults.into_vec().into_iter().find(|fault| fault.problem.starts_with(yaml::NOT_VALID)).map(unreadable)
}

pub(super) fn template(faults: &mut Faults<'_, '_>, bytes: usize) -> Option<Read> {
    if bytes > Template::MAX {
        let problem = format!("the template has {bytes} bytes");
        faults.in_file(problem, format!("CloudFormation takes {} bytes at most: split it", Template::MAX));
        return None;
    }
    let yaml::Document { root, refused } = yaml::document(faults, &DIALECT)?;
    resources(faults, &root)?;
    let parameters = parameters(faults, &root);
    Some(Read { root, parameters, aliases: refused })
}

fn resources(faults: &mut Faults<'_, '_>, root: &Node) -> Option<()> {
    let Some(sections) = root.entries() else {
        let problem = format!("{NOT_A_TEMPLATE}: the file is {}", root.describe());
        faults.at(root.at, problem, "a template is a mapping with `Resources`");
        return None;
    };
    let Some(resources) = root.get("Resources") else {
        let keys = sections.iter().filter_map(|(key, _)| key.as_str());
        let fix = match nearest("Resources", keys) {
            Some(key) => format!("is `{}` meant to be `Resources`?", shown(key)),
            None => "add `Resources` with an `AWS::Backup::Framework`".to_owned(),
        };
        faults.at(root.at, format!("{NOT_A_TEMPLATE}: `Resources` is missing"), fix);
        return None;
    };
    let Some(entries) = resources.entries().filter(|entries| !entries.is_empty()) else {
        let what = if resources.entries().is_some() { "empty" } else { resources.describe() };
        faults.at(resources.at, format!("{NOT_A_TEMPLATE}: `Resources` is {what}"), "list resources by their names");
        return None;
    };
    for (key, body) in entries {
        let name = shown(key.as_str().unwrap_or_default());
        if name.starts_with("Fn::") {
            continue; // `Fn::Transform` and `Fn::ForEach::...` stand among the resources.
        }
        if body.get("Type").and_then(Node::as_str).is_none_or(str::is_empty) {
            faults.at(
                key.at,
                format!("the resource `{name}` has no `Type`"),
                "add one, such as `Type: AWS::Backup::Framework`",
            );
        }
    }
    Some(())
}

fn parameters(faults: &mut Faults<'_, '_>, root: &Node) -> BTreeMap<String, Option<String>> {
    let mut parameters = BTreeMap::new();
    let Some(section) = root.get("Parameters").filter(|section| !section.is_null()) else { return parameters };
    let Some(entries) = section.entries() else {
        faults.at(section.at, format!("`Parameters` is {}", section.describe()), "declare parameters by their names");
        return parameters;
    };
    for (key, body) in entries {
        let Some(name) = key.as_str() else { continue };
        if body.get("Type").and_then(Node::as_str).is_none_or(str::is_empty) {
            faults.at(
                key.at,
                format!("the parameter `{}` has no `Type`", shown(name)),
                "add one, such as `Type: String`",
            );
        }
        let default = body.get("Default");
        if let Some(default) = default
            && default.as_str().is_none()
        {
            let problem = format!("the default of the parameter `{}` is {}", shown(name), default.describe());
            faults.at(default.at, problem, "a default is one text; write lists as \"a,b\"");
        }
        parameters.insert(name.to_owned(), default.and_then(Node::as_str).map(str::to_owned));
    }
    parameters
}
