//! The sample events of `events/`, with their times moved to the present.
//!
//! The files have fixed dates, because users read them. A function compares the time of an event with its clock, so
//! all code that sends a sample to a running function moves it first: the day of the samples ends now. One process
//! moves all samples by the same time, which keeps their order and distances.

use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Context as _, Result};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// The current time in the sample files; none of their times is later.
pub const NOW: &str = "2026-11-24T04:15:00Z";

/// Returns the time of the first call in this process. Tests derive their times from it, so that midnight cannot fall
/// between two of them.
pub fn now() -> Timestamp {
    static NOW: OnceLock<Timestamp> = OnceLock::new();
    *NOW.get_or_init(Timestamp::now)
}

/// Reads a JSON file of samples and moves its times to the present.
pub fn read(file: &Path) -> Result<Value> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read `{shown}`"))?;
    serde_json::from_str(&moved(&text)).with_context(|| format!("`{shown}` is not JSON"))
}

/// Moves the times in a text of samples to the present.
pub fn moved(text: &str) -> String {
    moved_by(text, distance())
}

/// Moves the times in a text (`2026-11-23T04:12:09`); dates, decimals and offsets stay.
pub fn moved_by(text: &str, distance: SignedDuration) -> String {
    let mut moved = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let time = rest.get(..LENGTH).filter(|time| is_time(time)).and_then(|time| time.parse::<DateTime>().ok());
        match time.and_then(|time| time.checked_add(distance).ok()) {
            Some(time) => {
                moved.push_str(&time.strftime("%Y-%m-%dT%H:%M:%S").to_string());
                rest = &rest[LENGTH..];
            }
            None => {
                moved.push(character);
                rest = &rest[character.len_utf8()..];
            }
        }
    }
    moved
}

/// The length of `2026-11-23T04:12:09`.
const LENGTH: usize = 19;

fn is_time(text: &str) -> bool {
    text.bytes().zip(b"dddd-dd-ddTdd:dd:dd").all(|(byte, form)| match form {
        b'd' => byte.is_ascii_digit(),
        _ => byte == *form,
    })
}

/// The time from [`NOW`] to the present, in whole seconds.
fn distance() -> SignedDuration {
    static DISTANCE: OnceLock<SignedDuration> = OnceLock::new();
    *DISTANCE.get_or_init(|| {
        let written = NOW.parse().unwrap_or(Timestamp::UNIX_EPOCH);
        SignedDuration::from_secs(now().as_second() - Timestamp::as_second(written))
    })
}

/// Formats a time as in notices: `2026-11-23 04:12 UTC`.
pub fn format_time(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests;
