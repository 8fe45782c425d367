//! Standard output and error. A reader that went away (`| head`) is no reason to panic.

use std::io::{self, ErrorKind, Write as _};
use std::sync::OnceLock;
use std::time::Duration;

use console::{Style, Term, style};
use indicatif::{ProgressBar, ProgressStyle};

use crate::plain;

/// Set when standard output is for a document, so that results go to standard error; and whether they are for programs.
static RESULTS_ON_STDERR: OnceLock<bool> = OnceLock::new();

/// Writes results to standard error from now on. If they are for programs, nothing else is written there but errors.
pub(crate) fn results_to_stderr(for_programs: bool) {
    let _ = RESULTS_ON_STDERR.set(for_programs);
    console::set_colors_enabled(console::colors_enabled_stderr());
}

/// Writes a document to standard output, byte for byte.
///
/// # Errors
/// When it cannot be written, say to a full disk.
pub(crate) fn document(text: &str) -> anyhow::Result<()> {
    written(io::stdout().lock().write_all(text.as_bytes()))
}

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

/// How wide a table on standard output may be: as wide as the terminal. Without a terminal nothing is cut.
pub(crate) fn room() -> Option<usize> {
    let out = Term::stdout();
    out.is_term().then(|| usize::from(out.size().1))
}

/// Writes text and a line end to standard error. If that fails there is no one left to tell.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Says what is wrong on standard error.
pub(crate) fn problem(text: &str) {
    let text = plain::visible(text);
    note(&format!("{} {text}", style("error:").for_stderr().red().bold()));
}

/// Says something that may be skipped on standard error.
pub(crate) fn aside(text: &str) {
    if RESULTS_ON_STDERR.get() == Some(&true) {
        return;
    }
    note(&Style::new().for_stderr().dim().apply_to(plain::visible(text)).to_string());
}

/// How far a long work is, on standard error if that is a terminal; nothing is shown of a short one.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Of these, in the plural.
    pub(crate) fn of(what: &'static str) -> Self {
        Self { what, bar: None }
    }

    /// So many are done, of about so many.
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
        let done = plain::number(done);
        bar.set_length(of.max(done));
        bar.set_position(done);
    }
}

/// The steps of a long work, on standard error: on a terminal in one line that changes, else a line for each.
#[derive(Debug)]
pub(crate) struct Steps(Option<ProgressBar>);

impl Steps {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self(Term::stderr().is_term().then(ProgressBar::new_spinner))
    }

    /// Whether each step is a line.
    pub(crate) fn is_in_lines(&self) -> bool {
        self.0.is_none()
    }

    /// This step, from now on.
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

/// What is being waited for, on standard error if that is a terminal.
#[derive(Debug)]
pub(crate) struct Waiting(ProgressBar);

impl Waiting {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self(ProgressBar::new_spinner())
    }

    /// For this, from now on.
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
