//! Reads files and standard input up to a limit, so that a device or a wrong file cannot exhaust memory.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use anyhow::{Context as _, anyhow, ensure};
use serde_json::Value;

use app::deploy::ports::RepositoryFile;
use evaluation::inventory::terraform::TerraformPlan;
use syntax::diagnostic::Diagnostic;

/// Policies and templates: the file limit of CodeCommit (`GetFile`).
const DOCUMENT: Limit = Limit { bytes: 6 << 20, text: "6 MB" };
/// Events: the payload limit of Lambda.
const EVENT: Limit = Limit { bytes: 6 << 20, text: "6 MiB" };
/// Settings: environment variables, of which Lambda allows 4 KB, and price lists.
pub(crate) const SETTINGS: Limit = Limit { bytes: 1 << 20, text: "1 MiB" };
/// Inventories: a million resources take about 600 MB.
pub(crate) const INVENTORY: Limit = Limit { bytes: 2 << 30, text: "2 GiB" };

/// Manifests of the CDK, which have the metadata of every construct.
pub(crate) const MANIFEST: Limit = Limit { bytes: 64 << 20, text: "64 MiB" };

/// Plans of Terraform in JSON.
const TERRAFORM: Limit = Limit { bytes: TerraformPlan::MAX as u64, text: "256 MB" };

/// The name of standard input in messages.
pub(crate) const STANDARD_INPUT: &str = "<stdin>";

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    bytes: u64,
    text: &'static str,
}

/// Returns the name of a file in messages.
pub(crate) fn name(path: &Path) -> String {
    if path == Path::new("-") { STANDARD_INPUT.to_owned() } else { path.display().to_string() }
}

/// Reads a policy or a template; `-` is standard input. A file that is too large or not UTF-8 is a variant of the result.
pub(crate) fn document(path: &Path) -> io::Result<RepositoryFile> {
    Ok(decoded(read(path, DOCUMENT)?))
}

/// Converts the bytes of [`beginning`] to the result of [`document`].
pub(crate) fn decoded(bytes: Vec<u8>) -> RepositoryFile {
    if is_over(&bytes, DOCUMENT) { RepositoryFile::TooLarge } else { RepositoryFile::decode(bytes) }
}

/// Reads at most one byte more than the limit of a policy or template.
pub(crate) fn beginning(path: &Path) -> io::Result<Vec<u8>> {
    read(path, DOCUMENT)
}

/// Reads the text of a template. The inner error is the diagnostic of a file that is not UTF-8 or too large.
pub(crate) fn template(path: &Path) -> anyhow::Result<Result<String, Diagnostic>> {
    let name = name(path);
    let file = document(path).with_context(|| format!("cannot read `{name}`"))?;
    Ok(file.into_text(&name).map_err(|diagnostic| *diagnostic))
}

/// Reads the text of a template, as [`template`] does, or of a Terraform plan, which may be larger.
pub(crate) fn checked(path: &Path) -> anyhow::Result<Result<String, Diagnostic>> {
    let name = name(path);
    let bytes = read(path, TERRAFORM).with_context(|| format!("cannot read `{name}`"))?;
    let file = match is_over(&bytes, DOCUMENT) && looks_like_plan(&bytes) {
        true => RepositoryFile::decode(within(Ok(bytes), &name, TERRAFORM)?),
        false => decoded(bytes),
    };
    Ok(file.into_text(&name).map_err(|diagnostic| *diagnostic))
}

/// Returns whether the start of a file is that of a Terraform plan, which begins with its version.
pub(crate) fn looks_like_plan(bytes: &[u8]) -> bool {
    let start = String::from_utf8_lossy(bytes.get(..START).unwrap_or(bytes));
    start.trim_start_matches('\u{feff}').trim_start().starts_with('{') && start.contains("\"format_version\"")
}

/// The bytes in which a plan states its version.
const START: usize = 4096;

/// Reads an input file, such as an inventory; `-` is standard input. The error of a file that is not UTF-8 has line and column.
pub(crate) fn text(path: &Path, limit: Limit) -> anyhow::Result<String> {
    decoded_within(read(path, limit), &name(path), limit)
}

/// Reads the text of an open file as [`text`] does.
pub(crate) fn text_of(file: &mut File, name: &str, limit: Limit) -> anyhow::Result<String> {
    decoded_within(take(file, limit), name, limit)
}

fn decoded_within(bytes: io::Result<Vec<u8>>, name: &str, limit: Limit) -> anyhow::Result<String> {
    let file = RepositoryFile::decode(within(bytes, name, limit)?);
    file.into_text(name).map_err(|diagnostic| anyhow!("{diagnostic}"))
}

/// Reads an event; `-` is standard input. The error of invalid JSON starts with file, line and column.
pub(crate) fn event(path: &Path) -> anyhow::Result<Value> {
    let bytes = within(read(path, EVENT), &name(path), EVENT)?;
    serde_json::from_slice(&bytes).map_err(|e| {
        // serde_json puts the position at the end; editors expect it at the start.
        let message = e.to_string();
        let position = format!(" at line {} column {}", e.line(), e.column());
        let message = message.strip_suffix(&position).unwrap_or(&message);
        anyhow!("{}:{}:{}: the event is not JSON: {message}", path.display(), e.line(), e.column())
    })
}

fn within(bytes: io::Result<Vec<u8>>, name: &str, limit: Limit) -> anyhow::Result<Vec<u8>> {
    let bytes = bytes.with_context(|| format!("cannot read `{name}`"))?;
    ensure!(!is_over(&bytes, limit), "`{name}` exceeds the limit of {} for this kind of file", limit.text);
    Ok(bytes)
}

fn is_over(bytes: &[u8], limit: Limit) -> bool {
    bytes.len() as u64 > limit.bytes
}

fn read(path: &Path, limit: Limit) -> io::Result<Vec<u8>> {
    if path == Path::new("-") { take(&mut io::stdin().lock(), limit) } else { take(&mut open(path)?, limit) }
}

/// Opens a regular file, or a pipe of the shell (`<(...)`): a named pipe without a writer would block, and a device may be endless.
fn open(path: &Path) -> io::Result<File> {
    let kind = fs::metadata(path)?.file_type();
    if kind.is_file() || kind.is_dir() || is_descriptor(path) {
        return File::open(path);
    }
    Err(io::Error::new(
        ErrorKind::InvalidInput,
        "neither a regular file nor a pipe of the shell; use `-` for standard input",
    ))
}

/// Whether a file can be read a second time: standard input and pipes cannot.
pub(crate) fn is_repeatable(path: &Path) -> bool {
    path != Path::new("-") && path.is_file() && !is_descriptor(path)
}

/// Whether a path is an open file descriptor of this process.
fn is_descriptor(path: &Path) -> bool {
    let parts: Vec<&str> = path.iter().map(|part| part.to_str().unwrap_or_default()).collect();
    matches!(parts.as_slice(), ["/", "dev", "stdin"] | ["/", "dev", "fd", _] | ["/", "proc", _, "fd", _])
}

/// Reads at most one byte more than the limit.
fn take(source: &mut impl Read, limit: Limit) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(limit.bytes.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}
