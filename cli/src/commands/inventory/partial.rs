//! What was read so far, beside the file that the document will be in: a line that says what is asked, then a line for each part.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use app::inventory::{Finished, Narrowed};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Begun;
use crate::{input, output};

/// The form of these files. Another program's is not gone on with.
const VERSION: u64 = 1;
/// A document is as of its first part: what is older than this is of another day.
const MOST_HOURS: i64 = 24;

/// What is asked, and of whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) aggregator: String,
    pub(super) role: Option<String>,
    pub(super) narrowed: Narrowed,
}

impl Asked {
    fn header(&self, began: Timestamp) -> Value {
        json!({"inventory": VERSION, "began": began, "aggregator": self.aggregator, "role": self.role, "narrowed": self.narrowed})
    }
}

/// The file, locked for this run.
#[derive(Debug)]
pub(super) struct Partial {
    path: PathBuf,
    file: File,
    kept: u64,
}

impl Partial {
    /// Opens the file beside `output`, with what an earlier run has left in it.
    ///
    /// # Errors
    /// When it cannot be used, another run uses it, or it is the beginning of something else.
    pub(super) fn open(output: &Path, asked: &Asked, now: Timestamp, fresh: bool) -> anyhow::Result<(Self, Begun)> {
        let mut path = output.as_os_str().to_owned();
        path.push(".partial");
        let path = PathBuf::from(path);
        let shown = path.display().to_string();
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.with_context(|| format!("cannot write `{shown}`"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("another run is reading into `{shown}`"),
            // A file system without locks: two runs at once are the user's own affair there.
            Err(TryLockError::Error(_)) => {}
        }
        let mut partial = Self { path, file, kept: 0 };
        let mut text = String::new();
        if !fresh {
            text = input::text_of(&mut partial.file, &shown, input::INVENTORY)?;
        }
        // A line that was broken off has no end: its part is read again.
        let whole = text.rfind('\n').map_or(0, |end| end.saturating_add(1));
        let mut lines = text.get(..whole).unwrap_or_default().lines();
        let Some(header) = lines.next() else { return partial.begin(asked, now) };
        let header: Value = serde_json::from_str(header).unwrap_or_default();
        let began = header.get("began").and_then(Value::as_str).and_then(|time| time.parse::<Timestamp>().ok());
        let (true, Some(began)) = (header.get("inventory") == Some(&VERSION.into()), began) else {
            bail!(
                "`{shown}` is not the beginning of an inventory that this program has made: remove it, or give --fresh"
            );
        };
        if header != asked.header(began) {
            bail!(
                "`{shown}` is the beginning of an inventory with another aggregator, role, account or Region: go on with \
                 the command that has begun it, write to another file, or give --fresh"
            );
        }
        let age = now.duration_since(began);
        if age > SignedDuration::from_hours(MOST_HOURS) || age < SignedDuration::ZERO {
            output::aside(&format!(
                "note: what `{shown}` holds is of {began:.0}, too old to go on with: all is read anew"
            ));
            return partial.begin(asked, now);
        }
        let mut parts = Vec::new();
        for (index, line) in lines.enumerate() {
            let part = serde_json::from_str(line);
            let number = index.saturating_add(2);
            parts.push(part.with_context(|| format!("line {number} of `{shown}` cannot be read; give --fresh"))?);
        }
        partial.kept = parts.len() as u64;
        partial.file.set_len(whole as u64).and_then(|()| partial.file.seek(SeekFrom::End(0)))?;
        if !parts.is_empty() {
            output::aside(&format!("note: going on with what `{shown}` holds, of {began:.0}; --fresh begins anew"));
        }
        Ok((partial, Begun { began, parts }))
    }

    fn begin(mut self, asked: &Asked, began: Timestamp) -> anyhow::Result<(Self, Begun)> {
        self.file.set_len(0).and_then(|()| self.file.rewind())?;
        self.line(&asked.header(began).to_string())?;
        Ok((self, Begun { began, parts: Vec::new() }))
    }

    fn line(&mut self, text: &str) -> anyhow::Result<()> {
        // In one write: what is broken off has no line end.
        let written = self.file.write_all(format!("{text}\n").as_bytes());
        written.with_context(|| format!("cannot write `{}`", self.path.display()))
    }

    /// Keeps a part.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn keep(&mut self, part: &Finished) -> anyhow::Result<()> {
        self.line(&serde_json::to_string(part)?)?;
        self.kept = self.kept.saturating_add(1);
        Ok(())
    }

    /// Parts in the file.
    pub(super) fn kept(&self) -> u64 {
        self.kept
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the file, when the document is written.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub(super) fn remove(self) -> anyhow::Result<()> {
        std::fs::remove_file(&self.path).with_context(|| format!("cannot remove `{}`", self.path.display()))
    }
}
