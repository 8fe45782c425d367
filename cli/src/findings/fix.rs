//! Applies the edits of findings.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use similar::TextDiff;
use tempfile::NamedTempFile;

use syntax::diagnostic::{self, Diagnostic};

use super::FindingFormat;
use crate::input::STANDARD_INPUT;
use crate::output;
use crate::plain::{count, escaped};

struct FixedFile<'f> {
    file: &'f str,
    new: String,
    diagnostics: Vec<&'f Diagnostic>,
}

/// Applies the edits in memory and returns the changed files.
fn fixed_files<'f>(findings: &'f [Diagnostic], files: &'f BTreeMap<String, String>) -> Vec<FixedFile<'f>> {
    let mut by_file: BTreeMap<&str, Vec<&Diagnostic>> = BTreeMap::new();
    for diagnostic in findings.iter().filter(|diagnostic| !diagnostic.edits.is_empty()) {
        by_file.entry(&diagnostic.file).or_default().push(diagnostic);
    }
    let mut all = Vec::new();
    for (file, diagnostics) in by_file {
        let Some(old) = files.get(file) else { continue };
        // One at a time, to know which were applied: an edit that touches another remains for the next run.
        let mut applied: Vec<&Diagnostic> = Vec::new();
        let mut new = old.clone();
        for diagnostic in diagnostics {
            let edits = applied.iter().chain([&diagnostic]).map(|diagnostic| diagnostic.edits.as_slice());
            let (text, count) = diagnostic::apply(old, edits);
            if count == applied.len() + 1 {
                applied.push(diagnostic);
                new = text;
            }
        }
        if !applied.is_empty() {
            all.push(FixedFile { file, new, diagnostics: applied });
        }
    }
    all
}

/// Repeats a round of edits until it changes nothing: an edit may make another one possible, of a name and then of its value.
pub(crate) fn until_unchanged(mut round: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    const MOST_ROUNDS: usize = 10;
    for _ in 0..MOST_ROUNDS {
        if !round()? {
            break;
        }
    }
    Ok(())
}

/// Applies the edits to `files` and returns whether one changed.
pub(crate) fn apply_in_memory(findings: &[Diagnostic], files: &mut BTreeMap<String, String>) -> bool {
    let fixed = fixed_files(findings, files);
    let fixed: Vec<(String, String)> = fixed.into_iter().map(|fixed| (fixed.file.to_owned(), fixed.new)).collect();
    let is_changed = !fixed.is_empty();
    files.extend(fixed);
    is_changed
}

/// Returns the unified diff of the files that differ.
pub(crate) fn diff(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> anyhow::Result<String> {
    let mut out = Vec::new();
    let changed = old.iter().filter_map(|(file, old)| Some((file, old, new.get(file).filter(|new| *new != old)?)));
    for (file, old, new) in changed {
        let (before, after) = (format!("a/{}", escaped(file)), format!("b/{}", escaped(file)));
        let diff = TextDiff::from_lines(old.as_str(), new.as_str());
        diff.unified_diff().header(&before, &after).to_writer(&mut out)?;
    }
    Ok(String::from_utf8(out)?)
}

/// Redirects results to standard error if a template is read from standard input, because it is written to standard output.
pub(crate) fn redirect_results(paths: &[PathBuf], format: FindingFormat) {
    if paths.iter().any(|path| path == Path::new("-")) {
        output::results_to_stderr(format != FindingFormat::Human);
    }
}

/// Writes the template from standard input, changed or not, to standard output.
pub(crate) fn write_standard_input(files: &BTreeMap<String, String>) -> anyhow::Result<()> {
    files.get(STANDARD_INPUT).map_or(Ok(()), |text| output::document(text))
}

/// Applies the edits to the files, each atomically, and to `files`, and reports them. Returns whether a file changed.
pub(crate) fn apply_edits(
    findings: &[Diagnostic],
    files: &mut BTreeMap<String, String>,
    format: FindingFormat,
) -> anyhow::Result<bool> {
    let report = |line: &str| match format {
        FindingFormat::Human => output::line(line),
        _ => {
            output::hint(line);
            Ok(())
        }
    };
    let mut changed = Vec::new();
    for FixedFile { file, new, diagnostics, .. } in fixed_files(findings, files) {
        if file != STANDARD_INPUT {
            if !Path::new(file).is_file() {
                report(&format!("{}: not changed, because it is not a regular file", escaped(file)))?;
                continue;
            }
            replace(Path::new(file), &new)
                .with_context(|| format!("`{file}` is unchanged: the new version could not be written"))?;
        }
        for diagnostic in &diagnostics {
            let place = diagnostic.at.map(|at| format!(":{}:{}", at.line, at.column)).unwrap_or_default();
            report(&format!("{}{place}: fixed: {}", escaped(file), diagnostic.message))?;
        }
        report(&format!("{}: {}", escaped(file), count(diagnostics.len(), "change")))?;
        changed.push((file.to_owned(), new));
    }
    let is_changed = !changed.is_empty();
    files.extend(changed);
    Ok(is_changed)
}

/// Writes a temporary file and renames it, so that no reader sees a partial file. The target of a link is replaced, not the link.
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
