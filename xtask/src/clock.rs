//! Runs tests with the wall clock of all their processes moved to another date.
//!
//! A small library, loaded by `LD_PRELOAD`, adds a constant to the time. It affects the test programs, the functions,
//! MiniStack, moto, `sam` and git, because all of them get the time from the C library.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// Distances of a day, a week, a month and a decade, a leap day and the day before it, and the end of a year.
pub(crate) const DATES: [&str; 7] = ["+1d", "+8d", "+35d", "2028-02-28", "2028-02-29", "new-year", "+10y"];

/// Returns the date that CI tests on the day of `now`.
pub(crate) fn of_the_day(now: Timestamp) -> &'static str {
    let days = usize::try_from(now.as_second() / 86_400).unwrap_or_default();
    DATES[days % DATES.len()]
}

/// Parses a date: a distance from now (`+8d`, `+10y`), a day (noon UTC), a time (`2028-12-31T23:58:00Z`), or
/// `new-year`, two minutes before the end of this year.
pub(crate) fn read(text: &str, now: Timestamp) -> Result<Timestamp> {
    let today = now.to_zoned(TimeZone::UTC);
    if let Some(distance) = text.strip_prefix('+') {
        let distance: Span = distance.parse().with_context(|| format!("`{text}` is not a distance: `+8d`, `+10y`"))?;
        return Ok(today.checked_add(distance)?.timestamp());
    }
    if text == "new-year" {
        return Ok(date(today.year(), 12, 31).at(23, 58, 0, 0).to_zoned(TimeZone::UTC)?.timestamp());
    }
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let day: Date = text.parse().with_context(|| {
        format!("`{text}` is not a date: use `+8d`, `2028-02-29`, `2028-12-31T23:58:00Z` or `new-year`")
    })?;
    Ok(day.at(12, 0, 0, 0).to_zoned(TimeZone::UTC)?.timestamp())
}

/// Moves the clock of a program, and of its child processes, from now to `to`.
pub(crate) fn set(command: &mut Command, folder: &Path, now: Timestamp, to: Timestamp) -> Result<()> {
    ensure!(
        cfg!(target_os = "linux"),
        "the clock can be moved on Linux only, not on {}: omit the step `dates`",
        std::env::consts::OS
    );
    command.env("LD_PRELOAD", library(folder, to.as_second() - now.as_second())?);
    Ok(())
}

/// Compiles the library that moves a clock by this many seconds.
fn library(folder: &Path, seconds: i64) -> Result<PathBuf> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    let (source, library) = (folder.join("clock.c"), folder.join(format!("clock{seconds:+}.so")));
    std::fs::write(&source, include_str!("../clock.c"))?;
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-shared", "-fPIC", &format!("-DOFFSET={seconds}LL"), "-o"]).arg(&library).arg(&source);
    match compiler.arg("-ldl").output() {
        Ok(output) if output.status.success() => Ok(library),
        Ok(output) => bail!("`cc` cannot compile `clock.c`: {}", String::from_utf8_lossy(&output.stderr).trim()),
        Err(error) => bail!("cannot move the clock without the C compiler `cc`: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_parses_dates_relative_to_now() {
        let now = "2026-11-30T08:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("+1d", "2026-12-01T08:00:00Z"),
            ("+35d", "2027-01-04T08:00:00Z"),
            ("+10y", "2036-11-30T08:00:00Z"),
            ("2028-02-29", "2028-02-29T12:00:00Z"),
            ("new-year", "2026-12-31T23:58:00Z"),
            ("2030-01-01T00:00:00Z", "2030-01-01T00:00:00Z"),
        ] {
            assert_eq!(read(text, now).unwrap().to_string(), expected, "{text}");
        }
        for text in ["tomorrow", "2027-02-29", "+", "8d"] {
            assert!(read(text, now).is_err(), "{text}");
        }
    }

    #[test]
    fn of_the_day_covers_all_dates_in_a_week() {
        let days = (0..7).map(|day| of_the_day(Timestamp::from_second(day * 86_400).unwrap()));
        assert_eq!(days.collect::<Vec<_>>(), DATES);
    }
}
