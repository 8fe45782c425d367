//! Checks parameter values against the template's declarations: BC004.

use std::borrow::Cow;
use std::collections::BTreeMap;

use syntax::diagnostic::Diagnostics;
use syntax::template::Template;
use syntax::text::{closest_match, printable};
use syntax::yaml::Node;

use crate::rules::template::PARAMETERS;

/// Checks these values. If they are not complete, a deployment adds the others.
pub(crate) fn check(
    diagnostics: &mut Diagnostics<'_, '_>,
    template: &Template,
    given: &BTreeMap<String, String>,
    is_complete: bool,
) {
    let declared = template.parameters();
    for name in given.keys().filter(|name| !template.declares(name) && !name.starts_with("AWS::")) {
        let help = match closest_match(name, declared.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "declare it in the template, or remove the value".to_owned(),
        };
        let message = format!("the template does not declare the parameter `{}`, which has a value", printable(name));
        let at = template.root().get("Parameters").unwrap_or(template.root()).at;
        diagnostics.report(&PARAMETERS, at, message, help);
    }
    for (key, body) in template.root().section("Parameters") {
        let Some(name) = key.as_str() else { continue };
        let default = body.get("Default").and_then(|node| Some((node, text_of(node, is_number_type(body))?)));
        let value = given.get(name).map(|value| (key, Cow::Borrowed(value.as_str()))).or(default);
        if let Some((place, value)) = value
            && let Some(expected) = invalid(body, &value)
        {
            let is_secret = body.get("NoEcho").and_then(Node::yaml11_text).as_deref() == Some("true");
            let value = if is_secret { "***".into() } else { printable(&value) };
            let message =
                format!("the parameter `{}` is `{value}`, which its declaration does not allow", printable(name));
            diagnostics.report(&PARAMETERS, place, message, format!("it must {expected}"));
        }
        if is_complete && declared.get(name).is_some_and(Option::is_none) && !given.contains_key(name) {
            let message = format!("the parameter `{}` has neither a default nor a value", printable(name));
            let help = "add a `Default`, or a value under `parameters` of the policy";
            diagnostics.report(&PARAMETERS, key, message, help);
        }
    }
}

fn is_number_type(declaration: &Node) -> bool {
    matches!(declaration.get("Type").and_then(Node::as_str), Some("Number" | "List<Number>"))
}

/// Returns a text as CloudFormation reads it: an unquoted `yes` is `true`. The text of a number such as `35.0` is unknown, which matters
/// unless numbers are compared.
fn text_of(node: &Node, is_number: bool) -> Option<Cow<'_, str>> {
    node.yaml11_text().or_else(|| node.as_str().filter(|text| is_number || text.is_empty()).map(Cow::Borrowed))
}

/// Most bytes of a pattern and of a value that are compared; CloudFormation accepts values of at most 4,096 bytes.
const LONGEST: usize = 4_096;

/// Returns a description of valid values if the declaration does not allow the value (CloudFormation user guide, "Parameters"). Unknown
/// constraints allow every value.
fn invalid(declaration: &Node, value: &str) -> Option<String> {
    let kind = declaration.get("Type").and_then(Node::as_str)?;
    // The value is resolved at deployment.
    if kind.starts_with("AWS::SSM::Parameter::Value<") || value.contains("{{resolve:") {
        return None;
    }
    let is_list = kind == "CommaDelimitedList" || kind.starts_with("List<");
    let items: Vec<&str> = if is_list { value.split(',').map(str::trim).collect() } else { vec![value] };
    let is_number = is_number_type(declaration);
    let text = |key: &str| text_of(declaration.get(key)?, is_number);
    if is_number && items.iter().any(|item| number(item).is_none()) {
        return Some(if is_list { "be numbers separated by commas" } else { "be a number" }.to_owned());
    }
    if let Some(allowed) = declaration.get("AllowedValues").and_then(Node::as_sequence) {
        let allowed: Option<Vec<Cow<'_, str>>> = allowed.iter().map(|node| text_of(node, is_number)).collect();
        // AWS does not document whether `7` and `7.0` are equal, so this accepts them.
        let is_same = |one: &str, other: &str| one == other || (is_number && number(one) == number(other));
        if let Some(allowed) = allowed
            && items.iter().any(|item| !allowed.iter().any(|one| is_same(one, item)))
        {
            const MOST: usize = 10;
            let mut words: Vec<String> =
                allowed.iter().take(MOST).map(|word| format!("`{}`", printable(word))).collect();
            if allowed.len() > MOST {
                words.push(format!("one of {} more", allowed.len() - MOST));
            }
            let of_each = if is_list { "have items of" } else { "be" };
            return Some(format!("{of_each} {} (`AllowedValues`)", words.join(" or ")));
        }
    }
    if is_number {
        let mut bounds = [("MinValue", "at least"), ("MaxValue", "at most")].into_iter();
        return bounds.find_map(|(key, words)| {
            let written = text(key)?;
            let bound = number(&written)?;
            let is_broken = |item: f64| if key == "MinValue" { item < bound } else { item > bound };
            let is_invalid = items.iter().filter_map(|item| number(item)).any(is_broken);
            is_invalid.then(|| format!("be {words} {} (`{key}`)", printable(&written)))
        });
    }
    if is_list {
        return None;
    }
    let bound = |key: &str| text(key)?.parse::<usize>().ok();
    let length = value.chars().count();
    if let Some(bound) = bound("MinLength").filter(|bound| length < *bound) {
        return Some(format!("have at least {bound} characters (`MinLength`)"));
    }
    if let Some(bound) = bound("MaxLength").filter(|bound| length > *bound) {
        return Some(format!("have at most {bound} characters (`MaxLength`)"));
    }
    let pattern = text("AllowedPattern").filter(|pattern| pattern.len() <= LONGEST && value.len() <= LONGEST)?;
    // Java syntax, matched against the whole value. A pattern that this engine does not support allows every value.
    let whole = regex_lite::Regex::new(&format!("^(?:{pattern})$")).ok()?;
    (!whole.is_match(value)).then(|| format!("match `{}` (`AllowedPattern`)", printable(&pattern)))
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}
