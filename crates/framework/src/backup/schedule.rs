//! Schedules of backup rules: AWS's `cron(…)` and `rate(…)`.
//!
//! Source: EventBridge Scheduler user guide, "Schedule types", which AWS Backup refers to. Assumed, because AWS does
//! not document it:
//! - a schedule is evaluated on its own clock; the hour that daylight saving time adds once a year is not a gap;
//! - a day that a month does not have (`31W` in April) does not fire in that month;
//! - a range may wrap around (`FRI-MON`), as in the scheduler that AWS's syntax comes from.

use jiff::civil::Date;

use syntax::text::printable;

mod correction;
#[cfg(test)]
mod tests;

pub use correction::{cron_instead_of_rate, rejection, too_frequent};

const MINUTES_A_DAY: i64 = 24 * 60;

/// Weekdays and leap years repeat after this many years, between 1901 and 2099.
const CYCLE_YEARS: i16 = 28;

/// A parsed schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// A fixed interval in minutes.
    Rate(u64),
    /// Calendar times.
    Cron(Cron),
}

/// A cron expression of six fields: minute, hour, day of month, month, day of week, year.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    /// Minutes of the day, sorted.
    times: Vec<u16>,
    months: u16,
    days: Vec<Days>,
    /// `None` for every year.
    years: Option<Vec<u16>>,
}

/// Days of a month. Days of the week count from 1 for Sunday.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Days {
    OfMonth(u32),
    Last,
    /// The weekday nearest to this day, within the month.
    WeekdayNear(i8),
    LastWeekday,
    OfWeek(u8),
    /// The last such weekday of the month.
    LastOfWeek(i8),
    /// The nth such weekday of the month.
    NthOfWeek(i8, i8),
}

/// The longest gap between two runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LongestGap {
    /// In minutes.
    Minutes(u64),
    /// It never runs.
    Never,
}

impl Schedule {
    /// The schedule of a rule without one (`ScheduleExpression` of the API).
    pub const DEFAULT: &'static str = "cron(0 5 ? * * *)";

    /// Parses an expression.
    ///
    /// # Errors
    /// The error and its fix, in one sentence.
    pub fn parse(expression: &str) -> Result<Self, String> {
        /// AWS accepts 256.
        const LONGEST: usize = 1_024;
        if expression.len() > LONGEST {
            return Err(format!("the schedule has {} characters; AWS accepts 256", expression.len()));
        }
        let inner = |name: &str| expression.trim().strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        if let Some(fields) = inner("cron") {
            return Cron::parse(fields).map(Self::Cron);
        }
        if let Some(text) = inner("rate") {
            return rate(text).map(Self::Rate).ok_or_else(|| {
                format!("`rate({})` is not valid; write it as `rate(12 hours)` or `rate(1 day)`", printable(text))
            });
        }
        Err(format!("the schedule `{}` is neither `cron(...)` nor `rate(...)`", printable(expression)))
    }

    /// Returns the longest gap between two runs.
    ///
    /// Without years, all leap years and weekday positions count. With years, the gaps that overlap the year from
    /// `from` on count: before the first run from `from`, after the last run to the end of that year.
    pub fn longest_gap(&self, from: Date) -> LongestGap {
        match self {
            Self::Rate(minutes) => LongestGap::Minutes(*minutes),
            Self::Cron(cron) => cron.longest_gap(from),
        }
    }

    /// Returns the shortest gap between two runs in minutes; `None` if it never runs twice.
    pub fn shortest_gap(&self) -> Option<u64> {
        match self {
            Self::Rate(minutes) => Some(*minutes),
            Self::Cron(cron) => cron.shortest_gap(),
        }
    }

    /// Returns whether any month has a day of the schedule. Years are not considered.
    pub fn ever_runs(&self) -> bool {
        match self {
            Self::Rate(_) => true,
            Self::Cron(cron) => cron.days_in_a_cycle().is_some() || cron.years.is_some(),
        }
    }
}

/// Returns the minutes of a rate.
fn rate(text: &str) -> Option<u64> {
    let mut words = text.split_whitespace();
    let (number, unit, None) = (words.next()?, words.next()?, words.next()) else { return None };
    let number: u64 = number.parse().ok().filter(|number| (1..=1_000_000).contains(number) && !text.contains('+'))?;
    match unit {
        "minute" | "minutes" => Some(number),
        "hour" | "hours" => Some(number * 60),
        "day" | "days" => Some(number * 24 * 60),
        _ => None,
    }
}

impl Cron {
    fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day_of_month, month, day_of_week, year] = fields.as_slice() else {
            return Err(format!(
                "`cron({})` has {} fields instead of six: minute, hour, day of month, month, day of week, year",
                printable(text),
                fields.len()
            ));
        };
        let minutes = Field::MINUTE.set(minute)?;
        let hours = Field::HOUR.set(hour)?;
        let days = match (*day_of_month, *day_of_week) {
            ("?", "?") => return Err("day of month and day of week are both `?`; set one of them".to_owned()),
            (_, "?") => days_of_month(day_of_month)?,
            ("?", _) => days_of_week(day_of_week)?,
            _ => return Err("day of month and day of week are both set; one of them must be `?`".to_owned()),
        };
        let months = Field::MONTH.set(month)?;
        let years = match *year {
            "*" => None,
            year => Some(Field::YEAR.set(year)?),
        };
        Ok(Self {
            times: hours.iter().flat_map(|hour| minutes.iter().map(move |minute| hour * 60 + minute)).collect(),
            months: months.iter().fold(0, |months, month| months | 1 << month),
            days,
            years,
        })
    }

    /// Calls `fires` with each firing day between two years, both included, as days since 1 January of the first.
    fn firing_days(&self, from: i16, to: i16, mut fires: impl FnMut(i64)) {
        let mut before = 0;
        for year in from..=to {
            for month in 1..=12 {
                let Ok(first) = Date::new(year, month, 1) else { return };
                let shape = Month { days: first.days_in_month(), first: first.weekday().to_sunday_one_offset() };
                let is_year = |years: &Vec<u16>| u16::try_from(year).is_ok_and(|year| years.contains(&year));
                if self.months & (1 << month) != 0 && self.years.as_ref().is_none_or(is_year) {
                    let days = self.days.iter().fold(0, |all, days| all | days.in_month(shape));
                    (1..=shape.days)
                        .filter(|day| days & (1 << day) != 0)
                        .for_each(|day| fires(before + i64::from(day) - 1));
                }
                before += i64::from(shape.days);
            }
        }
    }

    fn longest_gap(&self, from: Date) -> LongestGap {
        let (Some(first), Some(last)) = (self.times.first(), self.times.last()) else { return LongestGap::Never };
        let (first, last) = (i64::from(*first), i64::from(*last));
        let within = self.times.windows(2).filter_map(|pair| Some(i64::from(pair.get(1)? - pair.first()?))).max();
        let longest = match self.years {
            // From the last run of one day to the first of a later day.
            None => self.days_in_a_cycle().map(|days| days * MINUTES_A_DAY + first - last),
            Some(_) => self.longest_within_a_year(from, first, last),
        };
        let longest = longest.and_then(|longest| u64::try_from(longest.max(within.unwrap_or(0))).ok());
        longest.map_or(LongestGap::Never, LongestGap::Minutes)
    }

    fn shortest_gap(&self) -> Option<u64> {
        let (first, last) = (i64::from(*self.times.first()?), i64::from(*self.times.last()?));
        let within = self.times.windows(2).filter_map(|pair| Some(i64::from(pair.get(1)? - pair.first()?))).min();
        let (mut previous, mut fewest_days) = (None, None);
        self.firing_days(2000, 2000 + CYCLE_YEARS - 1, |day| {
            fewest_days = previous.map(|previous: i64| day - previous).into_iter().chain(fewest_days).min();
            previous = Some(day);
        });
        let across = fewest_days.map(|days| days * MINUTES_A_DAY + first - last);
        within.into_iter().chain(across).min().and_then(|shortest| u64::try_from(shortest).ok())
    }

    /// Returns the most days between two firing days over a full calendar cycle.
    fn days_in_a_cycle(&self) -> Option<i64> {
        /// Seven of them are leap years.
        const DAYS: i64 = CYCLE_YEARS as i64 * 365 + 7;
        let (mut first, mut last, mut longest) = (None, 0, 0);
        self.firing_days(2000, 2000 + CYCLE_YEARS - 1, |day| {
            longest = longest.max(first.map_or(0, |_| day - last));
            first = first.or(Some(day));
            last = day;
        });
        first.map(|first| longest.max(DAYS - last + first))
    }

    fn longest_within_a_year(&self, from: Date, first: i64, last: i64) -> Option<i64> {
        const YEAR: i64 = 365 * MINUTES_A_DAY;
        let (earliest, latest) = (from.year().saturating_sub(CYCLE_YEARS), from.year().saturating_add(CYCLE_YEARS));
        let start_day = i64::from(from.since(Date::new(earliest, 1, 1).ok()?).ok()?.get_days());
        // Minutes count from the start of the year to evaluate.
        let mut previous: Option<i64> = None;
        let mut longest: Option<i64> = None;
        let mut fires = false;
        self.firing_days(earliest, latest, |day| {
            let midnight = (day - start_day) * MINUTES_A_DAY;
            // A gap that reaches into the year counts in full.
            if midnight + first > 0 && previous.is_none_or(|previous| previous < YEAR) {
                longest = longest.max(Some(midnight + first - previous.unwrap_or(0)));
            }
            fires |= midnight + last >= 0;
            previous = Some(midnight + last);
        });
        let rest = previous.filter(|previous| *previous < YEAR).map(|previous| YEAR - previous);
        longest.max(rest).filter(|_| fires)
    }
}

#[derive(Debug, Clone, Copy)]
struct Month {
    days: i8,
    /// The weekday of the first day, from 1 for Sunday.
    first: i8,
}

impl Month {
    /// Returns the weekday, from 1 for Sunday.
    fn weekday(self, day: i8) -> i8 {
        (self.first - 1 + day - 1).rem_euclid(7) + 1
    }

    /// Returns the weekday nearest to a day: Friday for a Saturday, Monday for a Sunday, but never in another month.
    fn nearest_weekday(self, day: i8) -> i8 {
        match self.weekday(day) {
            7 if day == 1 => 3,
            7 => day - 1,
            1 if day == self.days => day - 2,
            1 => day + 1,
            _ => day,
        }
    }
}

impl Days {
    /// Returns the days as a bit set.
    fn in_month(self, month: Month) -> u32 {
        let all =
            |fits: &dyn Fn(i8) -> bool| (1..=month.days).filter(|day| fits(*day)).fold(0, |days, day| days | 1 << day);
        match self {
            Self::OfMonth(days) => days,
            Self::Last => 1 << month.days,
            Self::WeekdayNear(day) if day > month.days => 0,
            Self::WeekdayNear(day) => 1 << month.nearest_weekday(day),
            Self::LastWeekday => 1 << month.nearest_weekday(month.days),
            Self::OfWeek(days) => all(&|day| days & (1 << month.weekday(day)) != 0),
            Self::LastOfWeek(weekday) => all(&|day| weekday == month.weekday(day) && day > month.days - 7),
            Self::NthOfWeek(weekday, nth) => all(&|day| weekday == month.weekday(day) && (day - 1) / 7 + 1 == nth),
        }
    }
}

struct Field {
    name: &'static str,
    min: u16,
    max: u16,
    /// Names of the numbers from `min` on.
    names: &'static [&'static str],
    /// Whether a range may wrap around.
    goes_round: bool,
}

const MONTHS: &[&str] = &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl Field {
    const MINUTE: Self = Self { name: "minute", min: 0, max: 59, names: &[], goes_round: true };
    const HOUR: Self = Self { name: "hour", min: 0, max: 23, names: &[], goes_round: true };
    const DAY_OF_MONTH: Self = Self { name: "day of month", min: 1, max: 31, names: &[], goes_round: true };
    const MONTH: Self = Self { name: "month", min: 1, max: 12, names: MONTHS, goes_round: true };
    const DAY_OF_WEEK: Self = Self { name: "day of week", min: 1, max: 7, names: WEEKDAYS, goes_round: true };
    const YEAR: Self = Self { name: "year", min: 1970, max: 2199, names: &[], goes_round: false };

    /// Returns the numbers of a field, sorted.
    fn set(&self, text: &str) -> Result<Vec<u16>, String> {
        let mut set = Vec::new();
        for item in text.split(',') {
            self.item(item, &mut set)?;
        }
        set.sort_unstable();
        set.dedup();
        Ok(set)
    }

    fn item(&self, item: &str, set: &mut Vec<u16>) -> Result<(), String> {
        let (range, step) = match item.split_once('/') {
            None => (item, None),
            Some((range, step)) => {
                let digits = step.bytes().all(|byte| byte.is_ascii_digit());
                let step = step.parse::<usize>().ok().filter(|step| digits && *step > 0);
                (range, Some(step.ok_or_else(|| self.wrong(item))?))
            }
        };
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (self.number(from, item)?, self.number(to, item)?),
            None if range == "*" => (self.min, self.max),
            None => {
                let from = self.number(range, item)?;
                (from, if step.is_some() { self.max } else { from })
            }
        };
        let step = step.unwrap_or(1);
        if from <= to {
            set.extend((from..=to).step_by(step));
        } else if self.goes_round {
            set.extend((from..=self.max).chain(self.min..=to).step_by(step));
        } else {
            return Err(self.wrong(item));
        }
        Ok(())
    }

    fn number(&self, text: &str, item: &str) -> Result<u16, String> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let number = match named {
            Some(index) => u16::try_from(index).ok().map(|index| index + self.min),
            None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            None => None,
        };
        number.filter(|number| (self.min..=self.max).contains(number)).ok_or_else(|| self.wrong(item))
    }

    fn day(&self, text: &str, item: &str) -> Result<i8, String> {
        i8::try_from(self.number(text, item)?).map_err(|_| self.wrong(item))
    }

    fn wrong(&self, item: &str) -> String {
        let names = match (self.names.first(), self.names.last()) {
            (Some(first), Some(last)) => format!(" or {first} to {last}"),
            _ => String::new(),
        };
        format!("`{}` is not a valid {}; the range is {} to {}{names}", printable(item), self.name, self.min, self.max)
    }
}

fn days_of_month(text: &str) -> Result<Vec<Days>, String> {
    let field = Field::DAY_OF_MONTH;
    let mut numbers = Vec::new();
    let mut days = Vec::new();
    for item in text.split(',') {
        match item.strip_suffix('W') {
            _ if item == "L" => days.push(Days::Last),
            Some("L") => days.push(Days::LastWeekday),
            Some(day) => days.push(Days::WeekdayNear(field.day(day, item)?)),
            None => field.item(item, &mut numbers)?,
        }
    }
    days.push(Days::OfMonth(numbers.iter().fold(0, |days, day| days | 1 << day)));
    Ok(days)
}

fn days_of_week(text: &str) -> Result<Vec<Days>, String> {
    let field = Field::DAY_OF_WEEK;
    let mut numbers = Vec::new();
    let mut days = Vec::new();
    for item in text.split(',') {
        if let Some((day, nth)) = item.split_once('#') {
            if text.contains(',') {
                return Err(format!("`{}` has a `#` in a list; it must be the only item", printable(text)));
            }
            let number = nth.parse().ok().filter(|number| nth.len() == 1 && (1..=5).contains(number));
            let Some(nth) = number else {
                return Err(format!("`{}` is not a valid day of week; 1 to 5 follows the `#`", printable(item)));
            };
            days.push(Days::NthOfWeek(field.day(day, item)?, nth));
        } else if item == "L" {
            // `L` alone is the last day of the week.
            numbers.push(field.max);
        } else if let Some(day) = item.strip_suffix('L') {
            days.push(Days::LastOfWeek(field.day(day, item)?));
        } else {
            field.item(item, &mut numbers)?;
        }
    }
    days.push(Days::OfWeek(numbers.iter().fold(0, |days, day| days | 1 << day)));
    Ok(days)
}
