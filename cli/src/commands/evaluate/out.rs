//! Writes evaluations as they arrive, so that a million need no memory.

use std::cell::RefCell;
use std::io::{self, BufWriter, ErrorKind, Stdout, Write as _};

use jiff::Timestamp;

use super::{LocatedEvaluation, SummaryRow, UnreadPart};

/// An output format.
pub(super) trait EvaluationWriter {
    fn begin(&mut self, as_of: Timestamp, frameworks: &[&str]) -> anyhow::Result<()>;
    fn one(&mut self, located: &LocatedEvaluation<'_>) -> anyhow::Result<()>;
    fn end(&mut self, rows: &[SummaryRow], unread: &[UnreadPart]) -> anyhow::Result<()>;
}

thread_local! {
    static OUT: RefCell<BufWriter<Stdout>> = RefCell::new(BufWriter::with_capacity(1 << 16, io::stdout()));
}

/// Writes to standard output, buffered. Ignores a closed pipe.
pub(super) fn write(text: &str) -> anyhow::Result<()> {
    quiet(OUT.with_borrow_mut(|out| out.write_all(text.as_bytes())))
}

pub(super) fn flush() -> anyhow::Result<()> {
    quiet(OUT.with_borrow_mut(BufWriter::flush))
}

fn quiet(done: io::Result<()>) -> anyhow::Result<()> {
    match done {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
