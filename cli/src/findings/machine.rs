//! Findings as JSON, SARIF 2.1.0 and annotations of GitHub Actions.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use framework::control;
use framework::lint;
use syntax::diagnostic::{Diagnostic, Edit, Level, Position};

use crate::plain::visible;

pub(crate) fn json(findings: &[Diagnostic]) -> Value {
    let of = |level: Level| findings.iter().filter(|finding| finding.level == level).collect::<Vec<_>>();
    json!({ "findings": of(Level::Error), "warnings": of(Level::Warning), "notes": of(Level::Note) })
}

/// The rule id of findings without a rule: in a policy file, or an unreadable template.
const OF_POLICY: &str = "policy";

/// SARIF 2.1.0 (OASIS Standard, 27 March 2020).
pub(crate) fn sarif(findings: &[Diagnostic], suppressed: &[(Diagnostic, String)]) -> Value {
    let everything = findings.iter().chain(suppressed.iter().map(|(finding, _)| finding));
    let used: BTreeSet<&str> = everything.map(id).collect();
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
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "backup-compliance", "semanticVersion": VERSION, "rules": rules } },
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
    let control = control::CONTROLS.iter().find(|control| control.name == id);
    let (title, text, help, level) = match (control, lint::rule(id)) {
        (Some(control), _) => (control.title, control.evaluates, control.remediation.to_owned(), Level::Error),
        (None, Some(rule)) => {
            let help = format!("{}. {} See docs/rules.md.", rule.title, rule.explanation);
            (rule.title, rule.explanation, help, rule.level)
        }
        (None, None) => (
            "The policy file is invalid",
            "The policy file has an entry that cannot be applied or has no effect.",
            "Each finding has instructions.".to_owned(),
            Level::Error,
        ),
    };
    without_nulls(json!({
        "id": id,
        "shortDescription": { "text": title },
        "fullDescription": { "text": text },
        "helpUri": control.map(|control| control.documentation),
        "help": { "text": help },
        "defaultConfiguration": { "level": level.as_str() },
    }))
}

fn result(diagnostic: &Diagnostic, ids: &[&str]) -> Value {
    let uri = uri(&diagnostic.file);
    let replacement = |Edit { from, to, new }: &Edit| {
        let region = region(*from, Some(*to));
        json!({ "deletedRegion": region, "insertedContent": { "text": new } })
    };
    let fixes = (!diagnostic.edits.is_empty()).then(|| {
        let replacements: Vec<Value> = diagnostic.edits.iter().map(replacement).collect();
        json!([{
            "description": { "text": diagnostic.help },
            "artifactChanges": [{ "artifactLocation": { "uri": uri }, "replacements": replacements }],
        }])
    });
    let place = without_nulls(json!({
        "artifactLocation": { "uri": uri },
        "region": diagnostic.at.map(|at| region(at, diagnostic.end)),
    }));
    without_nulls(json!({
        "ruleId": id(diagnostic),
        "ruleIndex": ids.iter().position(|other| *other == id(diagnostic)),
        "level": diagnostic.level.as_str(),
        "message": { "text": format!("{}; {}", diagnostic.message, diagnostic.help) },
        "locations": [{ "physicalLocation": place }],
        "fixes": fixes,
    }))
}

/// Removes the fields of an object that are null.
pub(crate) fn without_nulls(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    object
}

pub(crate) fn set(object: &mut Value, key: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(key.to_owned(), value);
    }
}

fn region(from: Position, to: Option<Position>) -> Value {
    let end = to.map(|to| (to.line, to.column)).unzip();
    without_nulls(json!({ "startLine": from.line, "startColumn": from.column, "endLine": end.0, "endColumn": end.1 }))
}

/// Returns a path as a URI reference (RFC 3986). Relative paths stay relative: code scanning resolves them in the repository.
fn uri(file: &str) -> String {
    let mut out = if Path::new(file).is_absolute() { "file://".to_owned() } else { String::new() };
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
pub(crate) fn github(findings: &[Diagnostic]) -> String {
    let mut out = String::new();
    for diagnostic in findings {
        let command = match diagnostic.level {
            Level::Note => "notice",
            level => level.as_str(),
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
