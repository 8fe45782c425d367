//! Polls a state until a condition holds; errors name the expected and the last observed state.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// The timeout of each wait in the local cloud, except builds and deployments. It is generous, because the machine
/// may be slow.
pub const TIMEOUT: Duration = Duration::from_secs(120);

/// The result of a poll: the expected value, or a description of the observed state.
pub type Observation<T> = ControlFlow<T, String>;

/// Polls until `poll` breaks with a value.
///
/// # Errors
/// After [`TIMEOUT`], with the expected and the last observed state. Errors of `poll` end the wait at once.
pub fn until<T>(expected: &str, mut poll: impl FnMut() -> Result<Observation<T>>) -> Result<T> {
    let deadline = Instant::now() + TIMEOUT;
    let mut pause = Duration::from_millis(10);
    loop {
        match poll()? {
            ControlFlow::Break(value) => return Ok(value),
            ControlFlow::Continue(observed) if Instant::now() > deadline => {
                bail!("after {} s: expected {expected}; observed {observed}", TIMEOUT.as_secs())
            }
            ControlFlow::Continue(_) => std::thread::sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// Breaks if the condition holds, and continues with the observed state otherwise.
pub fn when(holds: bool, observed: impl FnOnce() -> String) -> Observation<()> {
    if holds { ControlFlow::Break(()) } else { ControlFlow::Continue(observed()) }
}

/// Formats the last lines of a log for an error message.
pub fn tail(name: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return format!("\nThe log of `{name}` is empty.");
    }
    let last = lines.iter().skip(lines.len().saturating_sub(12)).map(|line| format!("\n  {}", line.trim_end()));
    format!("\nThe end of the log of `{name}`:{}", last.collect::<String>())
}
