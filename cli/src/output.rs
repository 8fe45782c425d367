//! Standard output and standard error. A closed pipe (`| head`) is not an error.

use std::io::{self, ErrorKind, Write as _};
use std::sync::OnceLock;
use std::time::Duration;

use console::{Style, Term, style};
use indicatif::{ProgressBar, ProgressStyle};

use crate::plain;

/// Set if results go to standard error, because standard output is for a document. The value is whether the format is for programs.
static RESULTS_ON_STDERR: OnceLock<bool> = OnceLock::new();

/// Redirects results to standard error. If their format is for programs, hints are suppressed.
pub(crate) fn results_to_stderr(for_programs: bool) {
    let _ = RESULTS_ON_STDERR.set(for_programs);
    console::set_colors_enabled(console::colors_enabled_stderr());
}

/// Writes a document to standard output, byte for byte.
///
/// # Errors
/// When writing fails, for example on a full disk.
pub(crate) fn document(text: &str) -> anyhow::Result<()> {
    written(io::stdout().lock().write_all(text.as_bytes()))
}

/// Writes a line to standard output.
///
/// # Errors
/// When writing fails, for example on a full disk.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    self::text(&format!("{text}\n"))
}

/// Writes text with its line ends to standard output.
///
/// # Errors
/// When writing fails, for example on a full disk.
pub(crate) fn text(text: &str) -> anyhow::Result<()> {
    match RESULTS_ON_STDERR.get() {
        None => document(text),
        Some(_) => written(io::stderr().lock().write_all(text.as_bytes())),
    }
}

fn written(result: io::Result<()>) -> anyhow::Result<()> {
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

/// Writes an error to standard error.
pub(crate) fn error(text: &str) {
    let text = plain::visible(text);
    note(&format!("{} {text}", style("error:").for_stderr().red().bold()));
}

/// Writes a hint to standard error.
pub(crate) fn hint(text: &str) {
    if RESULTS_ON_STDERR.get() == Some(&true) {
        return;
    }
    note(&Style::new().for_stderr().dim().apply_to(plain::visible(text)).to_string());
}

/// A progress bar on standard error, if that is a terminal and the work is long.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Returns a bar for items, a plural noun.
    pub(crate) fn of(what: &'static str) -> Self {
        Self { what, bar: None }
    }

    /// Shows the number of done items and the estimated total.
    pub(crate) fn at(&mut self, done: usize, of: u64) {
        const SHORT: u64 = 20;
        if of <= SHORT {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new(of).with_message(self.what);
            match ProgressStyle::with_template("{bar:30} {pos} of {len} {msg}") {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        let done = plain::to_u64(done);
        bar.set_length(of.max(done));
        bar.set_position(done);
    }
}

/// The steps of a long operation on standard error: one updated line on a terminal, else a line for each step.
#[derive(Debug)]
pub(crate) struct Steps(Option<ProgressBar>);

impl Steps {
    pub(crate) fn new() -> Self {
        Self(Term::stderr().is_term().then(ProgressBar::new_spinner))
    }

    /// Whether each step is a line.
    pub(crate) fn is_in_lines(&self) -> bool {
        self.0.is_none()
    }

    /// Shows the current step.
    pub(crate) fn at(&self, text: &str) {
        match &self.0 {
            Some(spinner) => {
                spinner.set_message(text.to_owned());
                spinner.enable_steady_tick(Duration::from_millis(100));
            }
            None => note(text),
        }
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.0.iter().for_each(ProgressBar::finish_and_clear);
    }
}

/// A spinner on standard error, if that is a terminal.
#[derive(Debug)]
pub(crate) struct Waiting(ProgressBar);

impl Waiting {
    pub(crate) fn new() -> Self {
        Self(ProgressBar::new_spinner())
    }

    /// Shows the awaited operation.
    pub(crate) fn on(&self, what: String) {
        self.0.set_message(what);
        self.0.enable_steady_tick(Duration::from_millis(100));
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
