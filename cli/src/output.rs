//! Standard output and standard error. A closed pipe (`| head`) is not an error.

use std::io::{self, ErrorKind, Write as _};
use std::sync::OnceLock;
use std::time::Duration;

use console::{Style, Term, style};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::plain;

/// Set if results go to standard error, because standard output is for a document. The value is whether the format is for programs.
static RESULTS_ON_STDERR: OnceLock<bool> = OnceLock::new();

/// Redirects results to standard error. If their format is for programs, hints are suppressed.
pub(crate) fn results_to_stderr(for_programs: bool) {
    let _ = RESULTS_ON_STDERR.set(for_programs);
    console::set_colors_enabled(console::colors_enabled_stderr());
}

/// Writes a document to standard output, byte for byte.
pub(crate) fn document(text: &str) -> anyhow::Result<()> {
    written(io::stdout().lock().write_all(text.as_bytes()))
}

/// Writes a JSON document to standard output.
pub(crate) fn json(value: &Value) -> anyhow::Result<()> {
    line(&serde_json::to_string_pretty(value)?)
}

/// Writes a line to standard output.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    self::text(&format!("{text}\n"))
}

/// Writes text with its line ends to standard output.
pub(crate) fn text(text: &str) -> anyhow::Result<()> {
    match RESULTS_ON_STDERR.get() {
        None => document(text),
        Some(_) => written(io::stderr().lock().write_all(text.as_bytes())),
    }
}

/// Ignores a closed pipe.
pub(crate) fn written(result: io::Result<()>) -> anyhow::Result<()> {
    match result {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(()),
    }
}

/// Returns the width of the terminal; `None` if standard output is not a terminal, where tables are not cut.
pub(crate) fn terminal_width() -> Option<usize> {
    let out = Term::stdout();
    out.is_term().then(|| usize::from(out.size().1))
}

/// Writes a line to standard error and ignores failures.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

pub(crate) fn error(text: &str) {
    note(&format!("{} {}", style("error:").for_stderr().red().bold(), plain::visible(text)));
}

pub(crate) fn hint(text: &str) {
    if RESULTS_ON_STDERR.get() != Some(&true) {
        note(&Style::new().for_stderr().dim().apply_to(plain::visible(text)).to_string());
    }
}

/// Returns a function that shows done and estimated items (a plural noun) of long work in a bar on standard error, if a terminal.
pub(crate) fn progress(items: &'static str) -> impl FnMut(usize, u64) {
    const SHORT: u64 = 20;
    let bar = ProgressBar::new(0).with_message(items);
    let bar = match ProgressStyle::with_template("{bar:30} {pos} of {len} {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    };
    move |done, of| {
        if of > SHORT {
            bar.set_length(of.max(done as u64));
            bar.set_position(done as u64);
        }
    }
}

/// A spinner with the current step of a long operation on standard error, if that is a terminal. A dropped spinner is cleared.
#[derive(Debug)]
pub(crate) struct Steps(ProgressBar);

impl Steps {
    pub(crate) fn new() -> Self {
        Self(ProgressBar::new_spinner())
    }

    /// Whether standard error is not a terminal, where [`Self::in_lines`] writes a line for each step.
    pub(crate) fn is_in_lines(&self) -> bool {
        self.0.is_hidden()
    }

    /// Shows the current step, on a terminal only.
    pub(crate) fn at(&self, text: String) {
        self.0.set_message(text);
        self.0.enable_steady_tick(Duration::from_millis(100));
    }

    /// Shows the current step, as a line without a terminal.
    pub(crate) fn in_lines(&self, text: String) {
        if self.is_in_lines() { note(&text) } else { self.at(text) }
    }
}
