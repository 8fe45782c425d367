//! Mending what can be mended in exactly one way.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use domain::fault::{self, Fault};
use similar::TextDiff;
use tempfile::NamedTempFile;

use super::Finding;
use crate::plain::{count, number, shown};
use crate::{AnyFormat, output};

/// A file and what becomes of it.
struct Mended<'f> {
    file: &'f str,
    old: &'f str,
    new: String,
    faults: Vec<&'f Fault>,
}

/// The files that change.
fn mended<'f>(findings: &'f [Finding], files: &'f BTreeMap<String, String>) -> Vec<Mended<'f>> {
    let mut by_file: BTreeMap<&str, Vec<&Fault>> = BTreeMap::new();
    for fault in findings.iter().map(|finding| &finding.fault).filter(|fault| !fault.edits.is_empty()) {
        by_file.entry(&fault.file).or_default().push(fault);
    }
    let mut all = Vec::new();
    for (file, faults) in by_file {
        // Standard input cannot be changed, and is in no file.
        let Some(old) = files.get(file) else { continue };
        // One after the other, to know which were made: one that touches another is left for the next run.
        let mut made: Vec<&Fault> = Vec::new();
        let mut new = old.clone();
        for fault in faults {
            let edits = made.iter().chain([&fault]).map(|fault| fault.edits.as_slice());
            let (text, count) = fault::apply(old, edits);
            if count == made.len() + 1 {
                made.push(fault);
                new = text;
            }
        }
        if !made.is_empty() {
            all.push(Mended { file, old, new, faults: made });
        }
    }
    all
}

/// What would be changed, as a unified diff.
pub(crate) fn diff(findings: &[Finding], files: &BTreeMap<String, String>) -> anyhow::Result<String> {
    let mut out = Vec::new();
    for Mended { file, old, new, .. } in mended(findings, files) {
        let (before, after) = (format!("a/{}", shown(file)), format!("b/{}", shown(file)));
        let diff = TextDiff::from_lines(old, new.as_str());
        diff.unified_diff().header(&before, &after).to_writer(&mut out)?;
    }
    Ok(String::from_utf8(out)?)
}

/// Changes the files and tells people what was done; what others get on standard output stays what they asked for. Says whether
/// anything was changed, so that all is to be looked at again.
pub(crate) fn mend(findings: &[Finding], files: &BTreeMap<String, String>, format: AnyFormat) -> anyhow::Result<bool> {
    let lines = make(findings, files)?;
    for line in &lines {
        if format == AnyFormat::Human { output::line(line)? } else { output::aside(line) }
    }
    Ok(!lines.is_empty())
}

/// Changes the files, each as a whole or not at all, and says what was done.
fn make(findings: &[Finding], files: &BTreeMap<String, String>) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    for Mended { file, new, faults, .. } in mended(findings, files) {
        replace(Path::new(file), &new).with_context(|| format!("cannot change `{file}`; it is as it was"))?;
        for fault in &faults {
            let place = fault.at.map(|at| format!(":{}:{}", at.line, at.column)).unwrap_or_default();
            lines.push(format!("{}{place}: mended: {}", shown(file), fault.problem));
        }
        lines.push(format!("{}: {}", shown(file), count(number(faults.len()), "change")));
    }
    Ok(lines)
}

/// Writes beside the file and renames, so that nobody ever sees half of it. What a link points to is changed, and not the link.
fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let path = fs::canonicalize(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut new = NamedTempFile::new_in(folder)?;
    new.write_all(text.as_bytes())?;
    new.as_file().set_permissions(fs::metadata(&path)?.permissions())?;
    new.as_file().sync_all()?;
    new.persist(&path)?;
    Ok(())
}
