//! The page `docs/controls.md`: the catalogue for people. `UPDATE_DOCS=1` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use super::{CONTROLS, Control, Kind, SCOPE_NAMES, Scope, Trigger};

const HEAD: &str = "\
# Controls

The controls of AWS Backup Audit Manager, as lint, notices and evaluator know them. This page is made from the catalogue in the code:
`UPDATE_DOCS=1 cargo nextest run -p domain` writes it anew. What AWS's documents do not settle is said with each control.

Facts that hold for all of them:

- A scope narrows a control to resource types, to one tag, or to one resource, as far as the control allows. Without a scope it judges
  everything that it can.
- Values of parameters are texts, numbers too.
- An account may have 50 controls in a Region, over all its frameworks, and 15 frameworks; AWS raises both on request.
- Controls judged daily have a result within 24 hours; the others when AWS Config records a change.
- No two frameworks of an account and Region may have the same controls, parameters and scopes.

";

fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("| Control | Judged | Narrowed to | Severity |\n|---|---|---|---|\n");
    for control in CONTROLS {
        let anchor = control.name.to_ascii_lowercase();
        let row = format!(
            "| [`{}`](#{anchor}) | {} | {} | {} |\n",
            control.name,
            trigger(control.trigger),
            scopes(control),
            control.severity.label()
        );
        page.push_str(&row);
    }
    page.push_str("\nResource types in a scope (`ComplianceResourceTypes`) and what AWS Config calls them:\n\n| Scope | AWS Config |\n|---|---|\n");
    for (name, kind) in SCOPE_NAMES {
        writeln!(page, "| `{name}` | `{kind}` |").expect("a text");
    }
    for control in CONTROLS {
        section(&mut page, control);
    }
    page
}

fn section(page: &mut String, control: &Control) {
    write!(page, "\n## {}\n\n{}: {}.\n\n", control.name, control.title, control.evaluates).expect("a text");
    let types: Vec<String> = control.resource_types.iter().map(|kind| format!("`{kind}`")).collect();
    writeln!(page, "- Judges {}, {}.", types.join(", "), trigger(control.trigger)).expect("a text");
    writeln!(page, "- Can be narrowed to {}.", scopes(control)).expect("a text");
    if let Some(rule) = control.managed_rule {
        writeln!(page, "- The Config managed rules behind it are named `<TYPE>_{rule}`.").expect("a text");
    }
    writeln!(page, "- Source: <{}>.", control.documentation).expect("a text");
    if let Some(unconfirmed) = control.unconfirmed {
        writeln!(page, "- Not confirmed: {unconfirmed}.").expect("a text");
    }
    if control.parameters.is_empty() {
        page.push_str("\nIt takes no parameters.\n");
    } else {
        page.push_str("\n| Parameter | Values | Default |\n|---|---|---|\n");
        for parameter in control.parameters {
            let default = match (parameter.default, parameter.required) {
                (Some(default), _) => format!("`{default}`"),
                (None, true) => "none, must be given".to_owned(),
                (None, false) => "none".to_owned(),
            };
            writeln!(page, "| `{}` | {} | {default} |", parameter.name, values(parameter.kind)).expect("a text");
        }
    }
    write!(page, "\nWhat to do: {}\n", control.remediation).expect("a text");
}

fn trigger(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Daily => "every 24 hours",
        Trigger::ConfigurationChange => "when it changes",
    }
}

fn scopes(control: &Control) -> String {
    let words = |scope: &Scope| match scope {
        Scope::Tag => "one tag",
        Scope::ResourceTypes => "resource types",
        Scope::SingleResource => "one resource",
    };
    control.scopes.iter().map(words).collect::<Vec<_>>().join(" or ")
}

fn values(kind: Kind) -> String {
    match kind {
        Kind::Integer { min, max: u32::MAX } => format!("a whole number from {min} up"),
        Kind::Integer { min, max } => format!("a whole number from {min} to {max}"),
        Kind::Period { unit, hours, days } => {
            format!("{} to {} hours or {} to {} days, as `{unit}` says", hours.0, hours.1, days.0, days.1)
        }
        Kind::OneOf(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or "),
        Kind::RegionList => "Region codes with commas between".to_owned(),
        Kind::AccountList { most } => format!("account ids with commas between, {most} at most"),
        Kind::ArnList { most } => format!("ARNs of IAM roles with commas between, {most} at most"),
    }
}

#[test]
fn the_page_shows_the_catalogue_as_it_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/controls.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("the page can be written");
    }
    let found = std::fs::read_to_string(&path).expect("the page is there");
    assert!(found == page, "docs/controls.md is not what the code makes: UPDATE_DOCS=1 cargo nextest run -p domain");
}
