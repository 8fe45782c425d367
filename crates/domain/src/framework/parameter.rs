//! Do the values that are given fit the parameters that the template declares?

use std::collections::BTreeMap;

use crate::fault::{Faults, nearest};
use crate::ids::shown;
use crate::lint::rules;
use crate::template::Template;
use crate::yaml::Node;

/// Which values are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    /// All that a deployment would give.
    All,
    /// Some; a deployment gives the others.
    Some,
}

pub(crate) fn check(
    faults: &mut Faults<'_, '_>,
    template: &Template,
    given: &BTreeMap<String, String>,
    values: Values,
) {
    let declared = template.parameters();
    let section = template.root().get("Parameters");
    for name in given.keys().filter(|name| !template.declares(name) && !name.starts_with("AWS::")) {
        let fix = match nearest(name, declared.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "declare it in the template, or do not give it".to_owned(),
        };
        let problem = format!("the parameter `{}` is given, which this template does not declare", shown(name));
        let at = section.map_or(template.root().at, |section| section.at);
        faults.tell(&rules::PARAMETERS, at, problem, fix, Vec::new());
    }
    let entries = section.and_then(|section| section.entries()).unwrap_or_default();
    for (key, body) in entries {
        let Some(name) = key.as_str() else { continue };
        let default = body.get("Default").and_then(|node| Some((node, node.as_str()?)));
        let value = given.get(name).map(|value| (key, value.as_str())).or(default);
        if let Some((place, value)) = value
            && let Some(expected) = refused(body, value)
        {
            let is_secret = body.get("NoEcho").and_then(Node::as_str) == Some("true");
            let value = if is_secret { "***".into() } else { shown(value) };
            let problem = format!("the parameter `{}` is `{value}`, which its declaration does not allow", shown(name));
            faults.tell(&rules::PARAMETERS, place, problem, format!("it must {expected}"), Vec::new());
        }
        if values == Values::Some {
            continue;
        }
        if declared.get(name).is_some_and(Option::is_none) && !given.contains_key(name) {
            let problem = format!("the parameter `{}` has no default and is given no value", shown(name));
            let fix = "give it a `Default`, or a value: a policy does so under `parameters`";
            faults.tell(&rules::PARAMETERS, key, problem, fix, Vec::new());
        }
    }
}

/// Most bytes of a pattern and of a value that are compared; CloudFormation takes values of 4,096 bytes.
const LONGEST: usize = 4_096;

/// What a value should be, if the declaration of its parameter does not allow it (CloudFormation user guide, "Parameters"). What is
/// not understood of a declaration allows everything.
fn refused(declaration: &Node, value: &str) -> Option<String> {
    let text = |key: &str| declaration.get(key).and_then(Node::as_str);
    let kind = text("Type")?;
    // The value of these is the name of a value.
    if kind.starts_with("AWS::SSM::Parameter::Value<") || value.contains("{{resolve:") {
        return None;
    }
    let is_list = kind == "CommaDelimitedList" || kind.starts_with("List<");
    let items: Vec<&str> = if is_list { value.split(',').map(str::trim).collect() } else { vec![value] };
    let is_number = kind == "Number" || kind == "List<Number>";
    if is_number && items.iter().any(|item| number(item).is_none()) {
        return Some(if is_list { "be numbers with commas between" } else { "be a number" }.to_owned());
    }
    if let Some(allowed) = declaration.get("AllowedValues").and_then(Node::as_sequence) {
        let allowed: Option<Vec<&str>> = allowed.iter().map(Node::as_str).collect();
        // CloudFormation compares numbers as they are written, so far as anybody knows: `7` and `7.0` are told of by nobody.
        let is_same = |one: &str, other: &str| one == other || (is_number && number(one) == number(other));
        if let Some(allowed) = allowed
            && items.iter().any(|item| !allowed.iter().any(|one| is_same(one, item)))
        {
            const MOST: usize = 10;
            let mut words: Vec<String> = allowed.iter().take(MOST).map(|word| format!("`{}`", shown(word))).collect();
            if allowed.len() > MOST {
                words.push(format!("one of {} more", allowed.len() - MOST));
            }
            let of_each = if is_list { "have items of" } else { "be" };
            return Some(format!("{of_each} {} (`AllowedValues`)", words.join(" or ")));
        }
    }
    if is_number {
        let bound = |key: &str| Some((key.to_owned(), text(key)?, number(text(key)?)?));
        for (key, written, bound) in [bound("MinValue"), bound("MaxValue")].into_iter().flatten() {
            let is_broken =
                |item: &&str| number(item).is_some_and(|it| if key == "MinValue" { it < bound } else { it > bound });
            if items.iter().any(is_broken) {
                let words = if key == "MinValue" { "at least" } else { "at most" };
                return Some(format!("be {words} {} (`{key}`)", shown(written)));
            }
        }
        return None;
    }
    if is_list {
        return None;
    }
    let bound = |key: &str| Some((key.to_owned(), text(key)?.parse::<usize>().ok()?));
    let length = value.chars().count();
    for (key, bound) in [bound("MinLength"), bound("MaxLength")].into_iter().flatten() {
        if if key == "MinLength" { length < bound } else { length > bound } {
            let words = if key == "MinLength" { "at least" } else { "at most" };
            return Some(format!("have {words} {bound} characters (`{key}`)"));
        }
    }
    let pattern = text("AllowedPattern").filter(|pattern| pattern.len() <= LONGEST && value.len() <= LONGEST)?;
    // Patterns are those of Java and cover the whole value. What this engine does not know allows everything.
    let whole = regex_lite::Regex::new(&format!("^(?:{pattern})$")).ok()?;
    (!whole.is_match(value)).then(|| format!("match `{}` (`AllowedPattern`)", shown(pattern)))
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}
