//! Findings as JSON, SARIF 2.1.0 and annotations of GitHub Actions.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use framework::control;
use framework::lint::{self, Level};
use syntax::diagnostic::{Diagnostic, Edit, Position};

use super::Finding;
use crate::plain::visible;

/// Returns the findings by level.
pub(crate) fn json(findings: &[Finding]) -> anyhow::Result<Value> {
    let of = |level: Level| -> anyhow::Result<Vec<Value>> {
        let diagnostics = findings.iter().filter(|finding| finding.level == level);
        diagnostics.map(|finding| Ok(serde_json::to_value(&finding.diagnostic)?)).collect()
    };
    Ok(json!({ "findings": of(Level::Error)?, "warnings": of(Level::Warning)?, "notes": of(Level::Note)? }))
}

/// The rule id of findings without a rule: in a policy file, or an unreadable template.
const OF_POLICY: &str = "policy";

/// SARIF 2.1.0 (OASIS Standard, 27 March 2020).
pub(crate) fn sarif(findings: &[Finding], suppressed: &[(Finding, String)]) -> Value {
    let everything = findings.iter().chain(suppressed.iter().map(|(finding, _)| finding));
    let used: BTreeSet<&str> = everything.map(|finding| id(&finding.diagnostic)).collect();
    // Only the violated rules, to keep the log short (optional in section 3.19.23).
    let all = lint::rules().into_iter().map(|rule| rule.id).chain(control::CONTROLS.iter().map(|control| control.name));
    let ids: Vec<&str> = all.chain([OF_POLICY]).filter(|id| used.contains(id)).collect();
    let rules: Vec<Value> = ids.iter().map(|id| rule(id)).collect();
    let mut results: Vec<Value> = findings.iter().map(|finding| result(finding, &ids)).collect();
    // If one result has `suppressions`, all must (section 3.27.23).
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

/// Returns a log with these rules and results.
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

fn id(diagnostic: &Diagnostic) -> &str {
    diagnostic.rule.unwrap_or(OF_POLICY)
}

/// Returns the description of a lint rule, or of a control as a rule.
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
            "shortDescription": { "text": "The policy file is invalid" },
            "fullDescription": { "text": "The policy file has an entry that cannot be applied or has no effect." },
            "help": { "text": "Each finding has instructions." },
            "defaultConfiguration": { "level": "error" },
        }),
    }
}

fn result(Finding { level, diagnostic }: &Finding, ids: &[&str]) -> Value {
    let mut result = json!({
        "ruleId": id(diagnostic),
        "level": level.as_str(),
        "message": { "text": format!("{}; {}", diagnostic.message, diagnostic.help) },
        "locations": [{ "physicalLocation": place(diagnostic) }],
    });
    if let Some(index) = ids.iter().position(|other| *other == id(diagnostic)) {
        set(&mut result, "ruleIndex", index.into());
    }
    if !diagnostic.edits.is_empty() {
        let replacements: Vec<Value> = diagnostic
            .edits
            .iter()
            .map(|Edit { from, to, new }| {
                json!({ "deletedRegion": region(*from, Some(*to)), "insertedContent": { "text": new } })
            })
            .collect();
        let fixes = json!([{
            "description": { "text": diagnostic.help },
            "artifactChanges": [{ "artifactLocation": { "uri": uri(&diagnostic.file) }, "replacements": replacements }],
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

fn place(diagnostic: &Diagnostic) -> Value {
    let mut place = json!({ "artifactLocation": { "uri": uri(&diagnostic.file) } });
    if let Some(at) = diagnostic.at {
        set(&mut place, "region", region(at, diagnostic.end));
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

/// Returns a path as a URI reference (RFC 3986). Relative paths stay relative: code scanning resolves them in the repository.
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
    for Finding { level, diagnostic } in findings {
        let command = match level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "notice",
        };
        let mut properties = vec![format!("file={}", property(&diagnostic.file))];
        if let Some(at) = diagnostic.at {
            properties.push(format!("line={},col={}", at.line, at.column));
            if let Some(end) = diagnostic.end.filter(|end| end.line == at.line) {
                properties.push(format!("endLine={},endColumn={}", end.line, end.column));
            }
        }
        properties.push(format!("title={}", property(diagnostic.rule.unwrap_or("backup-compliance"))));
        let message = message(&format!("{}; {}", diagnostic.message, diagnostic.help));
        let _ = writeln!(out, "::{command} {}::{message}", properties.join(","));
    }
    out
}

fn message(text: &str) -> String {
    // Names may contain control characters, and the log is shown on a terminal or in a browser.
    visible(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}
