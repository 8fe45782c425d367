//! Waiting for something to happen: it ends as soon as it happened, and an error says what was expected and what came.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// The longest time that anything in the local cloud may take, apart from building and deploying: far more than it takes, since
/// the machine may be slow or busy.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// What a look at the state found: the value that was waited for, or what there is instead.
pub type Observed<T> = ControlFlow<T, String>;

/// Polls until `poll` breaks with a value.
///
/// # Errors
/// After [`PATIENCE`]: what was expected and what was observed last. Errors of `poll` end the waiting at once.
pub fn until<T>(expected: &str, mut poll: impl FnMut() -> Result<Observed<T>>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(10);
    loop {
        match poll()? {
            ControlFlow::Break(value) => return Ok(value),
            ControlFlow::Continue(observed) if Instant::now() > deadline => {
                bail!("after {} s: expected {expected}; observed {observed}", PATIENCE.as_secs())
            }
            ControlFlow::Continue(_) => std::thread::sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// Breaks if the condition holds, and continues with what there is instead.
pub fn when(holds: bool, observed: impl FnOnce() -> String) -> Observed<()> {
    if holds { ControlFlow::Break(()) } else { ControlFlow::Continue(observed()) }
}

/// The last lines of a log, indented, for the end of an error message.
#[must_use]
pub fn tail(name: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return format!("\nThe log of `{name}` is empty.");
    }
    let last = lines.iter().skip(lines.len().saturating_sub(12)).map(|line| format!("\n  {}", line.trim_end()));
    format!("\nThe end of the log of `{name}`:{}", last.collect::<String>())
}
