//! When a rule of a backup plan runs: AWS's `cron(…)` and `rate(…)`.
//!
//! Source: EventBridge Scheduler user guide, "Schedule types", which AWS Backup refers to. Assumed, since AWS does not say:
//! - a schedule is judged by its own clock; the hour that daylight saving adds once a year is no gap;
//! - a day that a month does not have (`31W` in April) is no day of it;
//! - a range may run over its end (`FRI-MON`), as in the scheduler that AWS's syntax comes from.

use jiff::civil::{Date, Weekday};

use crate::ids::shown;

const MINUTES_A_DAY: u64 = 24 * 60;

/// Weekdays and leap years repeat after so many years, between 1901 and 2099.
const CYCLE_YEARS: i16 = 28;

/// When a rule runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// Every so many minutes.
    Rate {
        /// Minutes.
        minutes: u64,
    },
    /// By the calendar.
    Cron(Box<Cron>),
}

/// A cron expression of six fields: minute, hour, day of month, month, day of week, year.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    /// Minutes of the day at which it fires, sorted.
    times: Vec<u16>,
    months: u16,
    days: Days,
    /// `None` for every year.
    years: Option<Vec<i16>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Days {
    OfMonth(Vec<DayOfMonth>),
    OfWeek(Vec<DayOfWeek>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DayOfMonth {
    Days(u32),
    Last,
    /// The weekday nearest to this day, within the month.
    WeekdayNear(i8),
    LastWeekday,
}

/// Days of the week count from 1 for Sunday.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DayOfWeek {
    Days(u8),
    /// The last such day of the month.
    Last(i8),
    /// The so manyeth such day of the month.
    Nth(i8, i8),
}

/// The longest time that passes between two runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Longest {
    /// So many minutes.
    Minutes(u64),
    /// It never runs.
    Never,
}

impl Schedule {
    /// What AWS Backup takes when a rule has none (`ScheduleExpression` of the API).
    pub const DEFAULT: &'static str = "cron(0 5 ? * * *)";

    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right, in one sentence.
    pub fn parse(expression: &str) -> Result<Self, String> {
        /// AWS takes 256.
        const LONGEST: usize = 1_024;
        if expression.len() > LONGEST {
            return Err(format!("the schedule has {} characters; AWS takes 256", expression.len()));
        }
        let inner = |name: &str| expression.trim().strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        if let Some(fields) = inner("cron") {
            return Cron::parse(fields).map(|cron| Self::Cron(Box::new(cron)));
        }
        if let Some(rate) = inner("rate") {
            return parse_rate(rate);
        }
        Err(format!("the schedule `{}` is neither `cron(...)` nor `rate(...)`", shown(expression)))
    }

    /// The longest time between two runs.
    ///
    /// Without years it is the longest of all, leap years and all positions of the weekdays counted. With years it is the
    /// longest that overlaps with the year from `from` on: before the first run it counts from `from`, after the last to the
    /// end of that year.
    #[must_use]
    pub fn longest_gap(&self, from: Date) -> Longest {
        match self {
            Self::Rate { minutes } => Longest::Minutes(*minutes),
            Self::Cron(cron) => cron.longest_gap(from),
        }
    }
}

fn parse_rate(rate: &str) -> Result<Schedule, String> {
    let wrong = || format!("`rate({})` is no rate; write it like `rate(12 hours)` or `rate(1 day)`", shown(rate));
    let mut words = rate.split_whitespace();
    let (Some(number), Some(unit), None) = (words.next(), words.next(), words.next()) else { return Err(wrong()) };
    let number: u64 = match number.parse() {
        Ok(number @ 1..=1_000_000) if !rate.contains('+') => number,
        _ => return Err(wrong()),
    };
    let unit = match unit {
        "minute" | "minutes" => 1,
        "hour" | "hours" => 60,
        "day" | "days" => MINUTES_A_DAY,
        _ => return Err(wrong()),
    };
    Ok(Schedule::Rate { minutes: number * unit })
}

impl Cron {
    fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day_of_month, month, day_of_week, year] = fields.as_slice() else {
            return Err(format!(
                "`cron({})` has {} fields; it takes six: minute, hour, day of month, month, day of week, year",
                shown(text),
                fields.len()
            ));
        };
        let minutes = Field::MINUTE.set(minute)?;
        let hours = Field::HOUR.set(hour)?;
        let days = match (*day_of_month, *day_of_week) {
            ("?", "?") => return Err("day of month and day of week are both `?`; give one of them".to_owned()),
            (_, "?") => Days::OfMonth(parse_days_of_month(day_of_month)?),
            ("?", _) => Days::OfWeek(parse_days_of_week(day_of_week)?),
            _ => return Err("day of month and day of week are both given; one of them must be `?`".to_owned()),
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
            years: years.map(|years| years.iter().filter_map(|year| i16::try_from(*year).ok()).collect()),
        })
    }

    fn fires_on(&self, date: Date) -> bool {
        let year = date.year();
        self.months & (1 << date.month()) != 0
            && self.years.as_ref().is_none_or(|years| years.contains(&year))
            && match &self.days {
                Days::OfMonth(days) => days.iter().any(|day| day.is(date)),
                Days::OfWeek(days) => days.iter().any(|day| day.is(date)),
            }
    }

    fn longest_gap(&self, from: Date) -> Longest {
        let (Some(first), Some(last)) = (self.times.first(), self.times.last()) else { return Longest::Never };
        let within = self.times.windows(2).filter_map(|pair| Some(u64::from(pair.get(1)? - pair.first()?))).max();
        // From the last run of one day to the first of a later one.
        let over = |days: u64| days * MINUTES_A_DAY + u64::from(*first) - u64::from(*last);
        let longest = match self.years {
            None => self.days_in_a_cycle().map(over),
            Some(_) => self.longest_within_a_year(from),
        };
        longest.map_or(Longest::Never, |longest| Longest::Minutes(longest.max(within.unwrap_or(0))))
    }

    /// The most days from one on which it fires to the next, in a calendar that goes round.
    fn days_in_a_cycle(&self) -> Option<u64> {
        let (mut first, mut last, mut longest) = (None, 0, 0);
        let start = Date::constant(2000, 1, 1);
        let mut length = 0;
        for (day, date) in (0..).zip(start.series(jiff::Span::new().days(1))) {
            length = day;
            if date.year() >= start.year() + CYCLE_YEARS {
                break;
            }
            if self.fires_on(date) {
                longest = longest.max(first.map_or(0, |_| day - last));
                first = first.or(Some(day));
                last = day;
            }
        }
        first.map(|first: u64| longest.max(length - last + first))
    }

    /// For a schedule with years.
    fn longest_within_a_year(&self, from: Date) -> Option<u64> {
        let minute = |date: Date, time: u64| {
            let days = i64::from(date.since(from).ok()?.get_days());
            Some(days * 1_440 + i64::try_from(time).ok()?)
        };
        let (first, last) = (u64::from(*self.times.first()?), u64::from(*self.times.last()?));
        let end = from.checked_add(jiff::Span::new().days(365)).ok()?;
        let earliest = Date::new(from.year().saturating_sub(CYCLE_YEARS), 1, 1).ok()?;
        let latest = Date::new(end.year().saturating_add(CYCLE_YEARS), 12, 31).ok()?;
        let (start, stop) = (0, minute(end, 0)?);
        let mut previous: Option<i64> = None;
        let mut longest: Option<i64> = None;
        let mut fires = false;
        for date in earliest.series(jiff::Span::new().days(1)).take_while(|date| *date <= latest) {
            if !self.fires_on(date) {
                continue;
            }
            let begins = minute(date, first)?;
            // A gap that reaches into the year counts in full.
            if begins > start && previous.is_none_or(|previous| previous < stop) {
                longest = longest.max(Some(begins - previous.unwrap_or(start)));
            }
            fires |= minute(date, last)? >= start;
            previous = Some(minute(date, last)?);
        }
        if !fires {
            return None;
        }
        if let Some(previous) = previous.filter(|previous| *previous < stop) {
            longest = longest.max(Some(stop - previous));
        }
        longest.and_then(|longest| u64::try_from(longest).ok())
    }
}

impl DayOfMonth {
    fn is(self, date: Date) -> bool {
        match self {
            Self::Days(days) => days & (1 << date.day()) != 0,
            Self::Last => date.day() == date.days_in_month(),
            Self::WeekdayNear(day) => day <= date.days_in_month() && nearest_weekday(date, day) == date.day(),
            Self::LastWeekday => {
                let last = date.days_in_month();
                nearest_weekday(date, last) == date.day()
            }
        }
    }
}

/// The weekday nearest to a day of the month that a date is in: the Friday before a Saturday and the Monday after a Sunday, but
/// never in another month.
fn nearest_weekday(date: Date, day: i8) -> i8 {
    let weekday = date.first_of_month().checked_add(jiff::Span::new().days(i64::from(day) - 1)).map(Date::weekday);
    match weekday {
        Ok(Weekday::Saturday) if day == 1 => 3,
        Ok(Weekday::Saturday) => day - 1,
        Ok(Weekday::Sunday) if day == date.days_in_month() => day - 2,
        Ok(Weekday::Sunday) => day + 1,
        _ => day,
    }
}

impl DayOfWeek {
    fn is(self, date: Date) -> bool {
        let own = date.weekday().to_sunday_one_offset();
        match self {
            Self::Days(days) => days & (1 << own) != 0,
            Self::Last(day) => day == own && date.day() > date.days_in_month() - 7,
            Self::Nth(day, nth) => day == own && (date.day() - 1) / 7 + 1 == nth,
        }
    }
}

/// A field of numbers.
struct Field {
    name: &'static str,
    min: u16,
    max: u16,
    /// Names for the numbers from `min` on.
    names: &'static [&'static str],
    /// Whether a range may run over the end.
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

    /// The numbers that a field names, sorted.
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

    fn wrong(&self, item: &str) -> String {
        let names = match (self.names.first(), self.names.last()) {
            (Some(first), Some(last)) => format!(" or {first} to {last}"),
            _ => String::new(),
        };
        format!("`{}` is no {}; it takes {} to {}{names}", shown(item), self.name, self.min, self.max)
    }
}

fn parse_days_of_month(text: &str) -> Result<Vec<DayOfMonth>, String> {
    let field = Field::DAY_OF_MONTH;
    let mut numbers = Vec::new();
    let mut days = Vec::new();
    for item in text.split(',') {
        match item.strip_suffix('W') {
            _ if item == "L" => days.push(DayOfMonth::Last),
            Some("L") => days.push(DayOfMonth::LastWeekday),
            Some(day) => {
                let day = field.number(day, item)?;
                days.push(DayOfMonth::WeekdayNear(i8::try_from(day).map_err(|_| field.wrong(item))?));
            }
            None => field.item(item, &mut numbers)?,
        }
    }
    days.push(DayOfMonth::Days(numbers.iter().fold(0, |days, day| days | 1 << day)));
    Ok(days)
}

fn parse_days_of_week(text: &str) -> Result<Vec<DayOfWeek>, String> {
    let field = Field::DAY_OF_WEEK;
    let small = |day: u16, item: &str| i8::try_from(day).map_err(|_| field.wrong(item));
    let mut numbers = Vec::new();
    let mut days = Vec::new();
    let items: Vec<&str> = text.split(',').collect();
    for item in &items {
        if let Some((day, nth)) = item.split_once('#') {
            if items.len() > 1 {
                return Err(format!("`{}` has a `#` in a list; it must stand alone", shown(text)));
            }
            let nth = match nth {
                "1" => 1,
                "2" => 2,
                "3" => 3,
                "4" => 4,
                "5" => 5,
                _ => return Err(format!("`{}` is no day of a month; after the `#` stands 1 to 5", shown(item))),
            };
            days.push(DayOfWeek::Nth(small(field.number(day, item)?, item)?, nth));
        } else if *item == "L" {
            // The last day of the week.
            numbers.push(field.max);
        } else if let Some(day) = item.strip_suffix('L') {
            days.push(DayOfWeek::Last(small(field.number(day, item)?, item)?));
        } else {
            field.item(item, &mut numbers)?;
        }
    }
    days.push(DayOfWeek::Days(numbers.iter().fold(0, |days, day| days | 1 << day)));
    Ok(days)
}
