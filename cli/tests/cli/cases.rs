//! Field cases: inputs that were judged wrongly once, with the exit status and the texts that are right.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::run_with;

/// A case of `cases.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// The folder in which the program runs, below `cases`.
    folder: String,
    run: Vec<String>,
    /// The file on standard input.
    stdin: Option<String>,
    status: i32,
    /// Texts that the output must have, ignoring case.
    #[serde(default)]
    has: Vec<String>,
    /// Texts that the output must not have, ignoring case.
    #[serde(default)]
    not: Vec<String>,
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(path, to).unwrap();
        }
    }
}

impl Case {
    /// Returns how the program fails the case.
    fn failures(&self, cases: &Path) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        copy(&cases.join(&self.folder), folder.path());
        let input = self.stdin.as_ref().map(|file| fs::read_to_string(folder.path().join(file)).unwrap());
        let args: Vec<&str> = self.run.iter().map(String::as_str).collect();
        let ran = run_with(folder.path(), &args, &[], &input.unwrap_or_default());
        let output = format!("{}{}", ran.stdout, ran.stderr).to_lowercase();
        let has = |text: &&String| output.contains(&text.to_lowercase());
        let mut failures = Vec::new();
        if ran.status != Some(self.status) {
            failures.push(format!("{}: status {:?}", self.name, ran.status));
        }
        failures.extend(self.has.iter().filter(|text| !has(text)).map(|text| format!("{}: lacks `{text}`", self.name)));
        failures.extend(self.not.iter().filter(has).map(|text| format!("{}: has `{text}`", self.name)));
        failures
    }
}

#[test]
fn field_cases_are_judged_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let cases: Vec<Case> = serde_json::from_str(&fs::read_to_string(folder.join("cases.json")).unwrap()).unwrap();
    assert!(cases.len() > 90, "only {} cases were read", cases.len());
    let failures: Vec<String> = cases.iter().flat_map(|case| case.failures(&folder)).collect();
    assert!(failures.is_empty(), "{failures:#?}");
}
