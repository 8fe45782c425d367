//! The page `docs/controls.md`: the catalog. `UPDATE_DOCS=1` writes it.

use std::fmt::Write as _;
use std::path::Path;

use crate::control::{CONTROLS, Control, ParameterKind, SCOPE_NAMES, ScopeKind, Trigger};

const HEAD: &str = "\
# Controls

The catalog of the controls of AWS Backup Audit Manager, which lint, `evaluate` and the notices use. This page is generated from the
code: `UPDATE_DOCS=1 cargo nextest run --workspace --lib`. \"Not confirmed\" marks what AWS does not document.

All controls have these properties:

- A scope limits a control to resource types, one tag, or one resource, if the control supports it. Without a scope, it evaluates every
  resource it supports.
- Parameter values are strings, numbers too.
- The quota of an account and Region is 50 controls over all frameworks, and 15 frameworks. AWS raises both on request.
- Controls that are evaluated daily have a result within 24 hours, the others when AWS Config records a change.
- Two frameworks in an account and Region must not have equal controls, parameters and scopes.

";

fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("| Control | Evaluated | Scopes | Severity |\n|---|---|---|---|\n");
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
    page.push_str("\nResource types in a scope (`ComplianceResourceTypes`) and in AWS Config:\n\n| Scope | AWS Config |\n|---|---|\n");
    for (name, kind, _) in SCOPE_NAMES {
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
    writeln!(page, "- Evaluates {}, {}.", types.join(", "), trigger(control.trigger)).expect("a text");
    writeln!(page, "- Scopes: {}.", scopes(control)).expect("a text");
    if let Some(rule) = control.managed_rule {
        writeln!(page, "- Config managed rules: `<TYPE>_{rule}`.").expect("a text");
    }
    if !control.missing_regions.is_empty() {
        let regions: Vec<String> = control.missing_regions.iter().map(|region| format!("`{region}`")).collect();
        writeln!(page, "- Not in {}.", regions.join(", ")).expect("a text");
    }
    writeln!(page, "- Source: <{}>.", control.documentation).expect("a text");
    if let Some(unconfirmed) = control.unconfirmed {
        writeln!(page, "- Not confirmed: {unconfirmed}.").expect("a text");
    }
    if control.parameters.is_empty() {
        page.push_str("\nThe control has no parameters.\n");
    } else {
        page.push_str("\n| Parameter | Values | Default |\n|---|---|---|\n");
        for parameter in control.parameters {
            let default = match (parameter.default, parameter.required) {
                (Some(default), _) => format!("`{default}`"),
                (None, true) => "none (required)".to_owned(),
                (None, false) => "none".to_owned(),
            };
            writeln!(page, "| `{}` | {} | {default} |", parameter.name, values(parameter.kind)).expect("a text");
        }
    }
    write!(page, "\nRemediation: {}\n", control.remediation).expect("a text");
}

fn trigger(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Daily => "every 24 hours",
        Trigger::ConfigurationChange => "when it changes",
    }
}

fn scopes(control: &Control) -> String {
    let words = |scope: &ScopeKind| match scope {
        ScopeKind::Tag => "one tag",
        ScopeKind::ResourceTypes => "resource types",
        ScopeKind::SingleResource => "one resource",
    };
    control.scopes.iter().map(words).collect::<Vec<_>>().join(" or ")
}

fn values(kind: ParameterKind) -> String {
    match kind {
        ParameterKind::Integer { min, max: u32::MAX } => format!("an integer of at least {min}"),
        ParameterKind::Integer { min, max } => format!("an integer from {min} to {max}"),
        ParameterKind::Period { unit, hours, days } => {
            format!("{} to {} hours or {} to {} days, by `{unit}`", hours.0, hours.1, days.0, days.1)
        }
        ParameterKind::OneOf(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or "),
        ParameterKind::RegionList => "Region codes, separated by commas".to_owned(),
        ParameterKind::AccountList { most } => format!("at most {most} account ids, separated by commas"),
        ParameterKind::ArnList { most } => format!("at most {most} ARNs of IAM roles, separated by commas"),
    }
}

#[test]
fn page_is_generated_from_the_catalog() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/controls.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("the page can be written");
    }
    let found = std::fs::read_to_string(&path).expect("the page exists");
    assert!(found == page, "docs/controls.md is out of date: UPDATE_DOCS=1 cargo nextest run --workspace --lib");
}
