//! Mending what can be mended in exactly one way.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use domain::fault::{self, Fault};
use similar::TextDiff;
use tempfile::NamedTempFile;

use super::{Finding, Format};
use crate::input::STANDARD_INPUT;
use crate::output;
use crate::plain::{count, number, shown};

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

/// Sends results to standard error if standard output is for the template that comes from standard input.
pub(crate) fn begin<'p>(mut paths: impl Iterator<Item = &'p PathBuf>, format: Format) {
    if paths.any(|path| path == Path::new("-")) {
        output::results_to_stderr(format != Format::Human);
    }
}

/// Writes the template that came from standard input, changed or not, to standard output.
pub(crate) fn end(files: &BTreeMap<String, String>) -> anyhow::Result<()> {
    files.get(STANDARD_INPUT).map_or(Ok(()), |text| output::document(text))
}

/// Changes the files, each as a whole or not at all, and their texts in `files`, and reports what was done; what others get on
/// standard output stays what they asked for. Returns whether anything was changed, so that all must be checked again.
pub(crate) fn mend(findings: &[Finding], files: &mut BTreeMap<String, String>, format: Format) -> anyhow::Result<bool> {
    let report = |line: &str| {
        if format == Format::Human {
            return output::line(line);
        }
        output::aside(line);
        Ok(())
    };
    let mut changed = Vec::new();
    for Mended { file, new, faults, .. } in mended(findings, files) {
        if file != STANDARD_INPUT {
            if !Path::new(file).is_file() {
                report(&format!("{}: not changed, since it is not a regular file", shown(file)))?;
                continue;
            }
            replace(Path::new(file), &new).with_context(|| format!("cannot change `{file}`; it is as it was"))?;
        }
        for fault in &faults {
            let place = fault.at.map(|at| format!(":{}:{}", at.line, at.column)).unwrap_or_default();
            report(&format!("{}{place}: mended: {}", shown(file), fault.problem))?;
        }
        report(&format!("{}: {}", shown(file), count(number(faults.len()), "change")))?;
        changed.push((file.to_owned(), new));
    }
    let is_changed = !changed.is_empty();
    files.extend(changed);
    Ok(is_changed)
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
