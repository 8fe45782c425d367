//! Completed reads, stored beside the document: one line with the request, then one line for each read.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use jiff::Timestamp;

use app::inventory::{CompletedRead, EarlierReads, PartialFault, ReadRequest};

use crate::{input, output};

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
        let EarlierReads { began, parts, length } = match request.resume(&text, now) {
            Ok(earlier) => earlier,
            Err(PartialFault::Empty) => return partial.begin(request, now),
            Err(fault @ PartialFault::Old(_)) => {
                output::hint(&format!("note: `{shown}` is not resumed: {fault}; everything is read again"));
                return partial.begin(request, now);
            }
            Err(PartialFault::OtherRequest) => bail!(
                "`{shown}` belongs to an inventory with another aggregator, role, account or Region; repeat that command, \
                 write to another file, or use --no-resume"
            ),
            Err(PartialFault::Version) => {
                bail!("`{shown}` is not a partial inventory of this version; remove it, or use --no-resume")
            }
            Err(PartialFault::Line(number, error)) => {
                let context = format!("line {number} of `{shown}` is not valid; use --no-resume");
                return Err(anyhow::Error::new(error).context(context));
            }
        };
        partial.kept = parts.len() as u64;
        partial.file.set_len(length as u64).and_then(|()| partial.file.seek(SeekFrom::End(0)))?;
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
        self.write(&request.first_line(began))?;
        Ok((self, began, Vec::new()))
    }

    fn write(&mut self, line: &str) -> anyhow::Result<()> {
        // One write, so that an interrupted line has no end.
        let written = self.file.write_all(line.as_bytes());
        written.with_context(|| format!("cannot write `{}`", self.path.display()))
    }

    pub(super) fn keep(&mut self, part: &CompletedRead) -> anyhow::Result<()> {
        self.write(&part.line()?)?;
        self.kept = self.kept.saturating_add(1);
        Ok(())
    }

    pub(super) fn remove(self) -> anyhow::Result<()> {
        std::fs::remove_file(&self.path).with_context(|| format!("cannot remove `{}`", self.path.display()))
    }
}
