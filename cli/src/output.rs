//! Standard output and error. A reader that went away (`| head`) is no reason to panic.

use std::io::{self, ErrorKind, Write as _};

use console::{Style, style};

/// Writes text and a line end to standard output.
///
/// # Errors
/// When it cannot be written, say to a full disk.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    self::text(&format!("{text}\n"))
}

/// Writes text to standard output, its line ends in it.
///
/// # Errors
/// When it cannot be written, say to a full disk.
pub(crate) fn text(text: &str) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(()),
    }
}

/// Writes text and a line end to standard error. If that fails there is no one left to tell.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Says what is wrong on standard error.
pub(crate) fn problem(text: &str) {
    note(&format!("{} {text}", style("error:").for_stderr().red().bold()));
}

/// Says something that may be skipped on standard error.
pub(crate) fn aside(text: &str) {
    note(&Style::new().for_stderr().dim().apply_to(text).to_string());
}
