//! Findings for programs: JSON, SARIF 2.1.0, annotations of GitHub Actions.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use domain::control;
use domain::fault::{Edit, Fault, Position};
use domain::lint::{self, Level, RULES};
use serde_json::{Value, json};

use super::Finding;
use crate::plain::visible;

/// Findings with their level and where the rule is explained.
pub(crate) fn json(findings: &[Finding]) -> anyhow::Result<Value> {
    let of = |level: Level| -> anyhow::Result<Vec<Value>> {
        let faults = findings.iter().filter(|finding| finding.level == level);
        faults.map(|finding| Ok(serde_json::to_value(&finding.fault)?)).collect()
    };
    Ok(json!({ "findings": of(Level::Error)?, "warnings": of(Level::Warning)?, "notes": of(Level::Note)? }))
}

/// What stands for a rule where a policy file is wrong or a template cannot be read, which have no rules of their own.
const OF_POLICY: &str = "policy";

/// SARIF 2.1.0 (OASIS Standard, 27 March 2020).
pub(crate) fn sarif(findings: &[Finding], suppressed: &[(Finding, String)]) -> Value {
    let everything = findings.iter().chain(suppressed.iter().map(|(finding, _)| finding));
    let used: BTreeSet<&str> = everything.map(|finding| id(&finding.fault)).collect();
    // Only the rules that are broken: section 3.19.23 leaves it open, and a log of one finding stays short.
    let all = RULES.iter().map(|rule| rule.id).chain(control::CONTROLS.iter().map(|control| control.name));
    let ids: Vec<&str> = all.chain([OF_POLICY]).filter(|id| used.contains(id)).collect();
    let rules: Vec<Value> = ids.iter().map(|id| rule(id)).collect();
    let mut results: Vec<Value> = findings.iter().map(|finding| result(finding, &ids)).collect();
    // Once one result says whether it is suppressed, all of them do (section 3.27.23).
    if !suppressed.is_empty() {
        results.iter_mut().for_each(|result| set(result, "suppressions", json!([])));
    }
    results.extend(suppressed.iter().map(|(finding, reason)| {
        let mut result = result(finding, &ids);
        set(&mut result, "suppressions", json!([{ "kind": "inSource", "justification": reason }]));
        result
    }));
    sarif_log(&rules, results)
}

/// A log with these rules and results.
pub(crate) fn sarif_log(rules: &[Value], results: Vec<Value>) -> Value {
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "backup-compliance",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn id(fault: &Fault) -> &str {
    fault.rule.unwrap_or(OF_POLICY)
}

/// What is said of a rule of lint, or of a control that stands for one.
pub(crate) fn rule(id: &str) -> Value {
    if let Some(control) = control::CONTROLS.iter().find(|control| control.name == id) {
        return json!({
            "id": control.name,
            "shortDescription": { "text": control.title },
            "fullDescription": { "text": control.evaluates },
            "helpUri": control.documentation,
            "help": { "text": control.remediation },
            "defaultConfiguration": { "level": "error" },
        });
    }
    match lint::rule(id) {
        Some(rule) => json!({
            "id": rule.id,
            "shortDescription": { "text": rule.title },
            "fullDescription": { "text": rule.explanation },
            "help": { "text": format!("{}. {} See docs/rules.md.", rule.title, rule.explanation) },
            "defaultConfiguration": { "level": rule.level.as_str() },
        }),
        None => json!({
            "id": id,
            "shortDescription": { "text": "The policy file is wrong" },
            "fullDescription": { "text": "The policy file says something that cannot be put in force, or that does nothing." },
            "help": { "text": "Each finding says what would be right." },
            "defaultConfiguration": { "level": "error" },
        }),
    }
}

fn result(Finding { level, fault }: &Finding, ids: &[&str]) -> Value {
    let mut result = json!({
        "ruleId": id(fault),
        "level": level.as_str(),
        "message": { "text": format!("{}; {}", fault.problem, fault.fix) },
        "locations": [{ "physicalLocation": place(fault) }],
    });
    if let Some(index) = ids.iter().position(|other| *other == id(fault)) {
        set(&mut result, "ruleIndex", index.into());
    }
    if !fault.edits.is_empty() {
        let replacements: Vec<Value> = fault
            .edits
            .iter()
            .map(|Edit { from, to, new }| {
                json!({ "deletedRegion": region(*from, Some(*to)), "insertedContent": { "text": new } })
            })
            .collect();
        let fixes = json!([{
            "description": { "text": fault.fix },
            "artifactChanges": [{ "artifactLocation": { "uri": uri(&fault.file) }, "replacements": replacements }],
        }]);
        set(&mut result, "fixes", fixes);
    }
    result
}

/// Adds a field to an object.
pub(crate) fn set(object: &mut Value, key: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(key.to_owned(), value);
    }
}

fn place(fault: &Fault) -> Value {
    let mut place = json!({ "artifactLocation": { "uri": uri(&fault.file) } });
    if let Some(at) = fault.at {
        set(&mut place, "region", region(at, fault.end));
    }
    place
}

fn region(from: Position, to: Option<Position>) -> Value {
    let mut region = json!({ "startLine": from.line, "startColumn": from.column });
    if let Some(to) = to {
        set(&mut region, "endLine", to.line.into());
        set(&mut region, "endColumn", to.column.into());
    }
    region
}

/// A path as a URI reference (RFC 3986): relative paths stay relative, which code scanning takes for those of the repository.
fn uri(file: &str) -> String {
    let mut out = String::new();
    if Path::new(file).is_absolute() {
        out.push_str("file://");
    }
    for byte in file.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => out.push(char::from(byte)),
            other => {
                let _ = write!(out, "%{other:02X}");
            }
        }
    }
    out
}

/// Annotations (GitHub documentation, "Workflow commands for GitHub Actions").
pub(crate) fn github(findings: &[Finding]) -> String {
    let mut out = String::new();
    for Finding { level, fault } in findings {
        let command = match level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "notice",
        };
        let mut properties = vec![format!("file={}", property(&fault.file))];
        if let Some(at) = fault.at {
            properties.push(format!("line={},col={}", at.line, at.column));
            if let Some(end) = fault.end.filter(|end| end.line == at.line) {
                properties.push(format!("endLine={},endColumn={}", end.line, end.column));
            }
        }
        properties.push(format!("title={}", property(fault.rule.unwrap_or("backup-compliance"))));
        let message = message(&format!("{}; {}", fault.problem, fault.fix));
        let _ = writeln!(out, "::{command} {}::{message}", properties.join(","));
    }
    out
}

fn message(text: &str) -> String {
    // The log of a run is shown on a terminal or in a browser, with whatever is in a name.
    visible(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}
