//! Findings as SARIF 2.1.0 (OASIS Standard, 27 March 2020), as GitHub code scanning requires it: a file position and a
//! fingerprint for each result, and limited numbers (GitHub documentation, "SARIF support for code scanning").

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Component, Path};

use serde_json::{Value, json};

use domain::digest::digest_of;
use framework::control;
use framework::lint;
use syntax::diagnostic::{Diagnostic, Edit, Level, Position};

use super::machine::{OF_POLICY, id, set, without_nulls};
use crate::{output, plain};

/// The maximum of results in a run.
const MOST_RESULTS: usize = 25_000;

/// The only fingerprint that code scanning uses.
pub(crate) const FINGERPRINT: &str = "primaryLocationLineHash";

/// The worst results, at most [`MOST_RESULTS`].
#[derive(Debug)]
pub(crate) struct WorstResults<T> {
    by_rank: BTreeMap<u8, Vec<T>>,
    count: usize,
    left_out: u64,
}

impl<T> Default for WorstResults<T> {
    fn default() -> Self {
        Self { by_rank: BTreeMap::new(), count: 0, left_out: 0 }
    }
}

impl<T> WorstResults<T> {
    /// Adds a result; 0 is the worst rank.
    pub(crate) fn push(&mut self, rank: u8, result: T) {
        self.by_rank.entry(rank).or_default().push(result);
        self.count += 1;
        if self.count > MOST_RESULTS
            && let Some(mut last) = self.by_rank.last_entry()
        {
            last.get_mut().pop();
            if last.get().is_empty() {
                last.remove();
            }
            self.count -= 1;
            self.left_out += 1;
        }
    }

    /// Returns the results, the worst first, and reports the number of the others.
    pub(crate) fn into_worst_first(self) -> Vec<T> {
        if self.left_out > 0 {
            let left_out = plain::count(self.left_out, "result");
            output::hint(&format!("warning: {left_out} left out: code scanning accepts {MOST_RESULTS}"));
        }
        self.by_rank.into_values().flatten().collect()
    }
}

/// Returns the worst findings, with the hashes of their lines in `files`.
pub(crate) fn sarif(
    findings: &[Diagnostic],
    suppressed: &[(Diagnostic, String)],
    files: &BTreeMap<String, String>,
) -> Value {
    let everything = || findings.iter().chain(suppressed.iter().map(|(finding, _)| finding));
    let used: BTreeSet<&str> = everything().map(id).collect();
    // Only the violated rules, to keep the log short (optional in section 3.19.23).
    let all = lint::rules().into_iter().map(|rule| rule.id).chain(control::CONTROLS.iter().map(|control| control.name));
    let ids: Vec<&str> = all.chain([OF_POLICY]).filter(|id| used.contains(id)).collect();
    let rules: Vec<Value> = ids.iter().map(|id| rule(id)).collect();
    let named: BTreeSet<&str> = everything().map(|finding| finding.file.as_str()).collect();
    let hashes = named.into_iter().filter_map(|file| Some((file, line_hashes(files.get(file)?)))).collect();
    let mut results = WorstResults::default();
    for finding in findings {
        let rank = match finding.level {
            Level::Error => 0,
            Level::Warning => 1,
            Level::Note => 2,
        };
        let mut result = result(finding, &ids, &hashes);
        // If one result has `suppressions`, all must (section 3.27.23).
        if !suppressed.is_empty() {
            set(&mut result, "suppressions", json!([]));
        }
        results.push(rank, result);
    }
    for (finding, reason) in suppressed {
        let mut result = result(finding, &ids, &hashes);
        set(&mut result, "suppressions", json!([{ "kind": "inSource", "justification": reason }]));
        results.push(3, result);
    }
    sarif_log(&rules, results.into_worst_first())
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

fn result(diagnostic: &Diagnostic, ids: &[&str], hashes: &BTreeMap<&str, Vec<String>>) -> Value {
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
    let line = diagnostic.at.map_or(1, |at| at.line);
    let hash = hashes.get(diagnostic.file.as_str()).and_then(|lines| lines.get(line.checked_sub(1)?));
    let fingerprint = hash.cloned().unwrap_or_else(|| fingerprint(&json!([id(diagnostic), diagnostic.message])));
    let names =
        diagnostic.address.as_ref().map(|address| json!([{ "fullyQualifiedName": address, "kind": "resource" }]));
    let physical = physical_location(&diagnostic.file, diagnostic.at, diagnostic.end);
    let location = without_nulls(json!({ "physicalLocation": physical, "logicalLocations": names }));
    without_nulls(json!({
        "ruleId": id(diagnostic),
        "ruleIndex": ids.iter().position(|other| *other == id(diagnostic)),
        "level": diagnostic.level.as_str(),
        "message": { "text": format!("{}; {}", diagnostic.message, diagnostic.help) },
        "locations": [location],
        "partialFingerprints": { FINGERPRINT: fingerprint },
        "fixes": fixes,
    }))
}

/// Returns a place in a file; the first line for a whole file.
pub(crate) fn physical_location(file: &str, at: Option<Position>, end: Option<Position>) -> Value {
    let region = at.map_or_else(|| json!({ "startLine": 1 }), |at| region(at, end));
    json!({ "artifactLocation": { "uri": uri(file) }, "region": region })
}

fn region(from: Position, to: Option<Position>) -> Value {
    let end = to.map(|to| (to.line, to.column)).unzip();
    without_nulls(json!({ "startLine": from.line, "startColumn": from.column, "endLine": end.0, "endColumn": end.1 }))
}

/// Returns a path as a URI reference (RFC 3986). Paths below the working directory are relative, because code scanning resolves
/// them in the repository.
fn uri(file: &str) -> String {
    let path = Path::new(file);
    let current = std::env::current_dir().unwrap_or_default();
    let path = path.strip_prefix(current).unwrap_or(path);
    let mut parts: Vec<Cow<'_, str>> = Vec::new();
    for component in path.components() {
        match component {
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir if parts.last().is_some_and(|last| last != "..") => drop(parts.pop()),
            part => parts.push(part.as_os_str().to_string_lossy()),
        }
    }
    let mut out = if path.is_absolute() { "file:///".to_owned() } else { String::new() };
    for byte in parts.join("/").bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => out.push(char::from(byte)),
            other => {
                let _ = write!(out, "%{other:02X}");
            }
        }
    }
    out
}

/// Returns a fingerprint that depends on the identity of a result and not on its line.
pub(crate) fn fingerprint(identity: &Value) -> String {
    format!("{}:1", digest_of(identity))
}

/// Returns the fingerprint of each line that the action `upload-sarif` computes, so that uploads with and without the action
/// lead to the same alerts: a polynomial hash of 100 UTF-16 units without blanks from the start of the line, and the number of the
/// line among those with this hash.
fn line_hashes(text: &str) -> Vec<String> {
    const LENGTH: usize = 100;
    const END: u16 = u16::MAX;
    let (mut units, mut starts) = (Vec::new(), Vec::new());
    let (mut is_start, mut after_return) = (true, false);
    for unit in text.encode_utf16().chain([END]) {
        let is_return = unit == u16::from(b'\r');
        let is_skipped =
            unit == u16::from(b' ') || unit == u16::from(b'\t') || (after_return && unit == u16::from(b'\n'));
        after_return = is_return;
        if is_skipped {
            continue;
        }
        if is_start {
            starts.push(units.len());
        }
        let unit = if is_return { u16::from(b'\n') } else { unit };
        is_start = unit == u16::from(b'\n');
        units.push(unit);
    }
    let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
    let hash = |start: usize| {
        let window = units.iter().skip(start).copied().chain(std::iter::repeat(0)).take(LENGTH);
        window.fold(0_u64, |hash, unit| hash.wrapping_mul(37).wrapping_add(u64::from(unit)))
    };
    let mut numbered = |hash: u64| {
        let count = counts.entry(hash).or_default();
        *count += 1;
        format!("{hash:x}:{count}")
    };
    starts.into_iter().map(|start| numbered(hash(start))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hashes that the tests of `upload-sarif` expect.
    #[test]
    fn line_hashes_equal_those_of_the_upload() {
        assert_eq!(line_hashes(""), ["c129715d7a2bc9a3:1"]);
        let expected = ["271789c17abda88f:1", "54703d4cd895b18:1", "180aee12dab6264:1", "a23a3dc5e078b07b:1"];
        assert_eq!(line_hashes(" a\nb\n  \t\tc\n d"), expected);
        let ends = line_hashes(" hello; \t\nworld!!!\r\n\n\r  \t\tGreetings\r End\r\n");
        assert_eq!(ends.first().map(String::as_str), Some("e9496ae3ebfced30:1"));
        assert_eq!((ends.len(), ends.last().map(String::as_str)), (7, Some("c129715d7a2bc9a3:1")));
        let repeated = line_hashes(&"Lorem ipsum dolor sit amet.\n".repeat(10));
        assert_eq!(repeated.get(5).map(String::as_str), Some("a7f2ff13bc495cf2:6"));
    }

    #[test]
    fn paths_are_relative_to_the_working_directory() {
        let here = std::env::current_dir().unwrap().join("a b/c.yaml");
        for (file, expected) in [
            (here.to_str().unwrap(), "a%20b/c.yaml"),
            ("./a.yaml", "a.yaml"),
            ("a/../b.yaml", "b.yaml"),
            ("../../b.yaml", "../../b.yaml"),
            ("/nonexistent/a#b.yaml", "file:///nonexistent/a%23b.yaml"),
        ] {
            assert_eq!(uri(file), expected);
        }
    }

    #[test]
    fn results_beyond_the_limit_are_the_least_serious() {
        let mut results = WorstResults::default();
        (0..MOST_RESULTS).for_each(|number| results.push(u8::from(number % 2 == 0), number));
        results.push(0, MOST_RESULTS + 1);
        results.push(2, 0);
        assert_eq!(results.left_out, 2);
        let kept = results.into_worst_first();
        assert_eq!((kept.len(), kept.first(), kept.last()), (MOST_RESULTS, Some(&1), Some(&(MOST_RESULTS - 4))));
        assert!(kept.contains(&(MOST_RESULTS + 1)));
    }

    /// The descriptions of rules are limited to 1,024 characters.
    #[test]
    fn descriptions_of_rules_are_short_enough() {
        let ids = lint::rules().into_iter().map(|rule| rule.id);
        for id in ids.chain(control::CONTROLS.iter().map(|control| control.name)).chain([OF_POLICY]) {
            for key in ["shortDescription", "fullDescription"] {
                let length = rule(id)[key]["text"].as_str().unwrap().chars().count();
                assert!((1..=1_024).contains(&length), "{id}: {key} has {length} characters");
            }
        }
    }
}
