//! Writing judgements as they come, so that a million of them need no memory.

use std::cell::RefCell;
use std::io::{self, BufWriter, ErrorKind, Stdout, Write as _};

use jiff::Timestamp;

use super::{Row, Told, Unread};

/// A form of the answer.
pub(super) trait Out {
    /// Before the first.
    fn begin(&mut self, as_of: Timestamp, frameworks: &[&str]) -> anyhow::Result<()>;
    /// One judgement.
    fn one(&mut self, told: &Told<'_>) -> anyhow::Result<()>;
    /// After the last.
    fn end(&mut self, rows: &[Row], unread: &[Unread]) -> anyhow::Result<()>;
}

thread_local! {
    static OUT: RefCell<BufWriter<Stdout>> = RefCell::new(BufWriter::with_capacity(1 << 16, io::stdout()));
}

/// Writes a text to standard output, by and by. A reader that went away is no failure.
pub(super) fn write(text: &str) -> anyhow::Result<()> {
    quiet(OUT.with_borrow_mut(|out| out.write_all(text.as_bytes())))
}

/// Writes what is left.
pub(super) fn flush() -> anyhow::Result<()> {
    quiet(OUT.with_borrow_mut(BufWriter::flush))
}

fn quiet(done: io::Result<()>) -> anyhow::Result<()> {
    match done {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
