//! Completed reads, stored beside the document: one line with the request, then one line for each read.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use app::inventory::{CompletedRead, InventoryScope};

use crate::{input, output};

const VERSION: u64 = 2;
/// A document is as of its first read, so that an older file is not resumed.
const MOST_HOURS: i64 = 24;

/// The scope and sources of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReadRequest {
    pub(super) aggregator: String,
    pub(super) role: Option<String>,
    pub(super) scope: InventoryScope,
}

impl ReadRequest {
    fn header(&self, began: Timestamp) -> Value {
        json!({"inventory": VERSION, "began": began, "aggregator": self.aggregator, "role": self.role, "scope": self.scope})
    }
}

/// The file, locked for this run.
#[derive(Debug)]
pub(super) struct Partial {
    pub(super) path: PathBuf,
    file: File,
    pub(super) kept: u64,
}

impl Partial {
    /// Opens the file beside `output`. Returns the time of the first read, and the reads of an earlier run. A file of another request,
    /// or one that another run uses, is an error.
    pub(super) fn open(
        output: &Path,
        request: &ReadRequest,
        now: Timestamp,
        no_resume: bool,
    ) -> anyhow::Result<(Self, Timestamp, Vec<CompletedRead>)> {
        let mut path = output.as_os_str().to_owned();
        path.push(".partial");
        let path = PathBuf::from(path);
        let shown = path.display().to_string();
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.with_context(|| format!("cannot write `{shown}`"))?;
        // Not every file system has locks; concurrent runs are then not detected.
        let is_busy = matches!(file.try_lock(), Err(TryLockError::WouldBlock));
        ensure!(!is_busy, "another run is reading into `{shown}`");
        let mut partial = Self { path, file, kept: 0 };
        let text = match no_resume {
            true => String::new(),
            false => input::text_of(&mut partial.file, &shown, input::INVENTORY)?,
        };
        // An interrupted write leaves a line without an end: its read is repeated.
        let whole = text.rfind('\n').map_or(0, |end| end.saturating_add(1));
        let mut lines = text.get(..whole).unwrap_or_default().lines();
        let Some(header) = lines.next() else { return partial.begin(request, now) };
        let header: Value = serde_json::from_str(header).unwrap_or_default();
        let began = header.get("began").and_then(Value::as_str).and_then(|time| time.parse::<Timestamp>().ok());
        let (true, Some(began)) = (header.get("inventory") == Some(&VERSION.into()), began) else {
            bail!("`{shown}` is not a partial inventory of this version; remove it, or use --no-resume");
        };
        ensure!(
            header == request.header(began),
            "`{shown}` belongs to an inventory with another aggregator, role, account or Region; repeat that command, \
             write to another file, or use --no-resume"
        );
        let age = now.duration_since(began);
        if age > SignedDuration::from_hours(MOST_HOURS) || age < SignedDuration::ZERO {
            output::hint(&format!(
                "note: `{shown}` is from {began:.0} and too old to resume; everything is read again"
            ));
            return partial.begin(request, now);
        }
        let part = |(number, line): (usize, &str)| {
            serde_json::from_str(line)
                .with_context(|| format!("line {number} of `{shown}` is not valid; use --no-resume"))
        };
        let parts = (2..).zip(lines).map(part).collect::<anyhow::Result<Vec<_>>>()?;
        partial.kept = parts.len() as u64;
        partial.file.set_len(whole as u64).and_then(|()| partial.file.seek(SeekFrom::End(0)))?;
        if !parts.is_empty() {
            output::hint(&format!("note: resuming `{shown}` from {began:.0}; --no-resume ignores it"));
        }
        Ok((partial, began, parts))
    }

    fn begin(
        mut self,
        request: &ReadRequest,
        began: Timestamp,
    ) -> anyhow::Result<(Self, Timestamp, Vec<CompletedRead>)> {
        self.file.set_len(0).and_then(|()| self.file.rewind())?;
        self.line(&request.header(began).to_string())?;
        Ok((self, began, Vec::new()))
    }

    fn line(&mut self, text: &str) -> anyhow::Result<()> {
        // One write, so that an interrupted line has no end.
        let written = self.file.write_all(format!("{text}\n").as_bytes());
        written.with_context(|| format!("cannot write `{}`", self.path.display()))
    }

    pub(super) fn keep(&mut self, part: &CompletedRead) -> anyhow::Result<()> {
        self.line(&serde_json::to_string(part)?)?;
        self.kept = self.kept.saturating_add(1);
        Ok(())
    }

    pub(super) fn remove(self) -> anyhow::Result<()> {
        std::fs::remove_file(&self.path).with_context(|| format!("cannot remove `{}`", self.path.display()))
    }
}
