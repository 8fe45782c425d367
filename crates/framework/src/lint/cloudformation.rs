//! Checks what CloudFormation rejects or reads differently in any template: BC110 to BC121.

use syntax::diagnostic::Diagnostics;
use syntax::template::{LANGUAGE_EXTENSIONS, SERVERLESS, Template};
use syntax::yaml::Node;

mod attributes;
mod circles;
mod functions;
mod lookups;
mod nulls;
mod skeleton;
#[cfg(test)]
mod tests;
mod unquoted;
mod uses;

pub(super) use lookups::check as check_lookups;

/// The sections of templates that a tool must package first (AWS CLI, Rain).
const OF_TOOLS: &[&str] = &["Modules", "Packages", "Constants", "Rain"];

/// Reports errors regardless of parameter values. A macro may replace anything, so a template with one is not checked.
pub(super) fn check(diagnostics: &mut Diagnostics<'_, '_>, template: &Template) {
    if is_generated(template) {
        return;
    }
    let transforms = template.transforms();
    let has_extensions = transforms.contains(&LANGUAGE_EXTENSIONS);
    let is_serverless = transforms.contains(&SERVERLESS);
    nulls::check(diagnostics, template);
    skeleton::check(diagnostics, template, is_serverless);
    functions::check(diagnostics, template, has_extensions);
}

/// Reports errors of the references in a complete template.
pub(super) fn check_references(diagnostics: &mut Diagnostics<'_, '_>, template: &Template) {
    let uses = uses::of_resources(template);
    attributes::check(diagnostics, template, &uses);
    circles::check(diagnostics, template, &uses);
}

/// Warns about values that CloudFormation reads differently.
pub(super) fn check_values(diagnostics: &mut Diagnostics<'_, '_>, template: &Template) {
    if !is_generated(template) {
        unquoted::check(diagnostics, template);
    }
}

/// Whether a macro or a tool replaces the template before CloudFormation processes it.
pub(super) fn is_generated(template: &Template) -> bool {
    template.has_macro() || OF_TOOLS.iter().any(|section| template.root().get(section).is_some())
}

/// Whether a key generates its content: `Fn::Transform`, `Fn::ForEach::...`.
fn is_generator(key: &Node) -> bool {
    key.as_str().is_some_and(|name| name == "Fn::Transform" || name.starts_with("Fn::ForEach"))
}
