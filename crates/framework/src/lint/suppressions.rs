//! Suppressions in the metadata of a template, and the rules about them: BC090 to BC099.

use jiff::civil::Date;

use syntax::diagnostic::{Diagnostic, Diagnostics, Level, Position, SourceText};
use syntax::template::Template;
use syntax::text::{closest_match, printable};
use syntax::yaml::Node;

use crate::rules::{LintRule, family};

family! {
    SUPPRESSION "BC090" Warning "A suppression is invalid"
        "A suppression has a rule, a reason and a last day, under `Metadata: BackupCompliance: Suppress` of the \
         template or of a resource. All three are required."
    SUPPRESSION_ENDED "BC091" Warning "A suppression has expired"
        "A suppression has no effect after its last day. Fix the finding, or set a new day with a reason that is \
         still valid."
    SUPPRESSION_UNUSED "BC092" Warning "A suppression has no effect"
        "The finding was fixed, or the suppression is at a resource that the finding is not about. Remove it, so \
         that it does not hide the next finding."
    SUPPRESSION_OF_ERROR "BC093" Warning "An error cannot be suppressed"
        "AWS rejects a template with an error: a suppression would only delay the failure to the rollout in every \
         account. Suppressions are for warnings and notes about the template."
}

/// The start and end of the resource that a suppression applies to; `None` for the whole template.
type Extent = Option<(Position, Position)>;

/// A suppression in force.
struct Suppression {
    rule: &'static LintRule,
    reason: String,
    at: Position,
    extent: Extent,
    is_used: bool,
}

/// Removes the suppressed diagnostics, adds those about the suppressions, and returns the removed ones, each with its reason.
pub(super) fn apply(template: &Template, today: Date, found: &mut Vec<Diagnostic>) -> Vec<(Diagnostic, String)> {
    let source = SourceText::new(template.file(), template.text());
    let mut diagnostics = Diagnostics::new(&source);
    let mut suppressions = read_all(&mut diagnostics, template, today);
    let mut suppressed = Vec::new();
    found.retain(|diagnostic| {
        let mut reason = None;
        for suppression in suppressions.iter_mut().filter(|suppression| suppression.matches(diagnostic)) {
            suppression.is_used = true;
            reason.get_or_insert_with(|| suppression.reason.clone());
        }
        let is_kept = reason.is_none();
        suppressed.extend(reason.map(|reason| (diagnostic.clone(), reason)));
        is_kept
    });
    for Suppression { rule, at, extent, .. } in suppressions.iter().filter(|suppression| !suppression.is_used) {
        let part = if extent.is_some() { "this resource" } else { "this template" };
        let message = format!("{part} does not violate `{}` ({})", rule.id, rule.title);
        diagnostics.report(&SUPPRESSION_UNUSED, *at, message, "remove the suppression");
    }
    found.extend(diagnostics.into_vec());
    suppressed
}

/// Removes the suppressed diagnostics, without a report about the suppressions. For a part of the rules, whose other suppressions
/// would seem unused.
pub fn remove_suppressed(template: &Template, today: Date, found: &mut Vec<Diagnostic>) {
    let source = SourceText::new(template.file(), template.text());
    let suppressions = read_all(&mut Diagnostics::new(&source), template, today);
    found.retain(|diagnostic| !suppressions.iter().any(|suppression| suppression.matches(diagnostic)));
}

impl Suppression {
    fn matches(&self, diagnostic: &Diagnostic) -> bool {
        diagnostic.rule == Some(self.rule.id)
            && match (self.extent, diagnostic.at) {
                (Some((from, to)), Some(at)) => from <= at && at < to,
                (Some(_), None) => false,
                (None, _) => true,
            }
    }
}

/// Reads the suppressions of a template and its resources.
fn read_all(diagnostics: &mut Diagnostics<'_, '_>, template: &Template, today: Date) -> Vec<Suppression> {
    let mut suppressions = Vec::new();
    read(diagnostics, template.root(), None, today, &mut suppressions);
    for (key, body) in template.root().section("Resources") {
        read(diagnostics, body, Some((key.at, body.end)), today, &mut suppressions);
    }
    suppressions
}

const KEYS: [&str; 3] = ["rule", "reason", "until"];

/// Reads the suppressions of the template or of a resource.
fn read(
    diagnostics: &mut Diagnostics<'_, '_>,
    of: &Node,
    extent: Extent,
    today: Date,
    suppressions: &mut Vec<Suppression>,
) {
    let Some(ours) = of.get("Metadata").and_then(|metadata| metadata.get("BackupCompliance")) else { return };
    let mut report = |node: &Node, message: String, help: &str| diagnostics.report(&SUPPRESSION, node, message, help);
    let example = "write `Suppress: [{ rule: BC051, reason: ..., until: 2027-01-31 }]`";
    let Some(list) = ours.get("Suppress") else {
        return report(ours, "`BackupCompliance` has no `Suppress`".to_owned(), example);
    };
    for (key, _) in ours.entries().unwrap_or_default().iter().filter(|(key, _)| key.as_str() != Some("Suppress")) {
        let name = printable(key.as_str().unwrap_or_default());
        report(key, format!("`BackupCompliance` has no key `{name}`"), "use `Suppress`");
    }
    let Some(items) = list.as_sequence() else {
        return report(list, format!("`Suppress` is {}", list.describe()), example);
    };
    for item in items {
        if item.entries().is_none() {
            diagnostics.report(&SUPPRESSION, item, format!("the suppression is {}", item.describe()), example);
        } else {
            suppressions.extend(suppression(diagnostics, item, extent, today));
        }
    }
}

/// Returns a suppression that is valid and has not expired, and reports every violation of one that is not.
fn suppression(diagnostics: &mut Diagnostics<'_, '_>, item: &Node, extent: Extent, today: Date) -> Option<Suppression> {
    for (key, _) in item.entries().unwrap_or_default() {
        let name = key.as_str().unwrap_or_default();
        if !KEYS.contains(&name) {
            let help = match closest_match(name, KEYS) {
                Some(key) => format!("did you mean `{key}`?"),
                None => "use `rule`, `reason` and `until`".to_owned(),
            };
            diagnostics.report(&SUPPRESSION, key, format!("a suppression has no key `{}`", printable(name)), help);
        }
    }
    let text = |key: &str| item.get(key).and_then(Node::as_str).map(str::trim).filter(|text| !text.is_empty());
    let mut report = |key: &str, message: String, help: &str| {
        diagnostics.report(&SUPPRESSION, item.get(key).unwrap_or(item).at, message, help);
    };
    let rule = text("rule").map(|id| super::rule(&id.to_ascii_uppercase()).ok_or(id));
    match rule {
        None => report("rule", "the suppression has no `rule`".to_owned(), "add one, such as `rule: BC051`"),
        Some(Err(id)) => {
            let help = match closest_match(id, super::rules().iter().map(|rule| rule.id)) {
                Some(id) => format!("did you mean `{id}`?"),
                None => "see docs/rules.md for the rules".to_owned(),
            };
            report("rule", format!("the rule `{}` does not exist", printable(id)), &help);
        }
        Some(Ok(_)) => {}
    }
    let reason = text("reason");
    if reason.is_none() {
        report("reason", "the suppression has no `reason`".to_owned(), "add why the rule does not apply here");
    }
    let until = text("until").map(|until| until.parse::<Date>().map_err(|_| until));
    match until {
        None => {
            let help = "add its last day, such as `until: 2027-01-31`";
            report("until", "the suppression has no `until`".to_owned(), help);
        }
        Some(Err(text)) => {
            let message = format!("`{}` is not a date", printable(text));
            report("until", message, "write the last day as year-month-day: 2027-01-31");
        }
        Some(Ok(_)) => {}
    }
    let (rule, reason, until) = (rule?.ok()?, reason?.to_owned(), until?.ok()?);
    let (id, title) = (rule.id, rule.title);
    let (violated, message, help) = if rule.level == Level::Error {
        (&SUPPRESSION_OF_ERROR, format!("`{id}` is an error ({title})"), "fix it and remove the suppression")
    } else if id.starts_with("BC06") || id.starts_with("BC09") {
        (&SUPPRESSION, format!("`{id}` cannot be suppressed in a template ({title})"), "remove the suppression")
    } else if until < today {
        let message = format!("the suppression of `{id}` expired after {until}");
        (&SUPPRESSION_ENDED, message, "fix the suppressed finding, or set a later day")
    } else {
        return Some(Suppression { rule, reason, at: item.at, extent, is_used: false });
    };
    diagnostics.report(violated, item, message, help);
    None
}
