//! Findings as JSON and annotations of GitHub Actions.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use domain::digest::digest_of;
use syntax::diagnostic::{Diagnostic, Level};

use crate::plain::visible;

pub(crate) fn json(findings: &[Diagnostic]) -> Value {
    let of = |level: Level| findings.iter().filter(|finding| finding.level == level).collect::<Vec<_>>();
    json!({ "findings": of(Level::Error), "warnings": of(Level::Warning), "notes": of(Level::Note) })
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

/// The rule id of findings without a rule: in a policy file, or an unreadable template.
pub(super) const OF_POLICY: &str = "policy";

pub(super) fn id(diagnostic: &Diagnostic) -> &str {
    diagnostic.rule.unwrap_or(OF_POLICY)
}

/// A Code Quality report (GitLab documentation, "Code Quality"). GitLab drops results with a fingerprint that it has already.
pub(crate) fn code_quality(findings: &[Diagnostic]) -> Value {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let issue = |finding: &Diagnostic| {
        let severity = match finding.level {
            Level::Error => "critical",
            Level::Warning => "minor",
            Level::Note => "info",
        };
        // Without the line, which other changes move; equal findings are numbered.
        let same = format!("{}\n{}\n{}", id(finding), finding.file, finding.message);
        let number = seen.entry(same.clone()).or_default();
        *number += 1;
        json!({
            "description": format!("{}; {}", finding.message, finding.help),
            "check_name": id(finding),
            "fingerprint": digest_of(&json!([same, number])).to_string(),
            "severity": severity,
            "location": { "path": finding.file, "lines": { "begin": finding.at.map_or(1, |at| at.line) } },
        })
    };
    findings.iter().map(issue).collect()
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
