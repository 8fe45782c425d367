//! What AWS Backup rejects in plans, rules, selections, vaults and locks, and what has no effect: functions of plain values.
//!
//! Lint reports it at its position (`lint::backup`), and the evaluator judges by the same functions. A [`Rejection`] has no position.

pub mod arn;
pub mod lifecycle;
pub mod lock;
pub mod name;
pub mod schedule;
pub mod selection;

/// A value that AWS Backup rejects, or that does not have the intended effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The property with the value, or the one that is missing.
    pub property: &'static str,
    /// The broken rule, as the message of a diagnostic.
    pub message: String,
    /// The instruction that fixes it.
    pub help: String,
    /// The value that certainly is right, if the given one is completely known.
    pub corrected: Option<String>,
}

impl Rejection {
    pub(crate) fn new(property: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { property, message: message.into(), help: help.into(), corrected: None }
    }
}

/// A property of a template, as far as it is known before a deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Given<T> {
    /// Not given.
    #[default]
    Absent,
    /// Given, but known only at deployment.
    Unknown,
    /// Known.
    Known(T),
}

impl<T> Given<T> {
    /// Returns the value, if known.
    pub fn known(self) -> Option<T> {
        if let Self::Known(value) = self { Some(value) } else { None }
    }
}

impl<T> From<Option<T>> for Given<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Self::Known)
    }
}

/// Returns a corrected value as it is quoted in a help. Longer than `printable`, because it is copied.
fn quoted(text: &str) -> String {
    /// The longest ARN of AWS Backup is shorter.
    const MOST: usize = 400;
    text.chars().take(MOST).filter(|c| !c.is_control()).collect()
}

/// Formats "1 day", "35 days".
fn days(number: i64) -> String {
    if number == 1 { "1 day".to_owned() } else { format!("{number} days") }
}
