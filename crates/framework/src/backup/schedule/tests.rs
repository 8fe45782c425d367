//! Schedules against a walk through the calendar, minute by minute.

use std::collections::BTreeSet;

use jiff::civil::{Date, Weekday, date};
use proptest::prelude::*;

use super::{LongestGap, Schedule};

fn gap(expression: &str) -> LongestGap {
    Schedule::parse(expression)
        .unwrap_or_else(|problem| panic!("{expression}: {problem}"))
        .longest_gap(date(2026, 11, 26))
}

#[test]
fn longest_gap_is_that_of_the_worst_month() {
    const DAY: u64 = 1_440;
    for (expression, expected) in [
        ("rate(1 minute)", 1),
        ("rate(5 minutes)", 5),
        ("rate(1 hour)", 60),
        ("rate(12 hours)", 720),
        ("rate(7 days)", 7 * DAY),
        ("cron(0 5 ? * * *)", DAY),
        ("cron(0 5 * * ? *)", DAY),
        ("cron(* * * * ? *)", 1),
        ("cron(0/15 * * * ? *)", 15),
        ("cron(*/40 * * * ? *)", 40),
        ("cron(0 0/8 * * ? *)", 480),
        ("cron(0 8-18 * * ? *)", 14 * 60),
        ("cron(0 22-2 * * ? *)", 20 * 60),
        ("cron(30 1,13 * * ? *)", 720),
        ("cron(0 5 ? * MON *)", 7 * DAY),
        ("cron(0 5 ? * MON-FRI *)", 3 * DAY),
        ("cron(0 5 ? * 2-6 *)", 3 * DAY),
        ("cron(0 5 ? * FRI-MON *)", 4 * DAY),
        ("cron(0 5 ? * L *)", 7 * DAY),
        ("cron(0 5 1 * ? *)", 31 * DAY),
        ("cron(0 5 L * ? *)", 31 * DAY),
        ("cron(0 5 31 * ? *)", 61 * DAY),
        ("cron(0 5 29 * ? *)", 59 * DAY),
        ("cron(0 5 1/10 * ? *)", 10 * DAY),
        ("cron(0 5 ? * 6L *)", 35 * DAY),
        ("cron(0 5 ? * FRI#2 *)", 35 * DAY),
        ("cron(0 5 ? * 6#5 *)", 119 * DAY),
        ("cron(0 5 1 JAN,JUL ? *)", 184 * DAY),
        ("cron(0 5 1 1/3 ? *)", 92 * DAY),
        ("cron(0 5 1 1 ? *)", 366 * DAY),
        ("cron(0 5 29 2 ? *)", 1_461 * DAY),
        ("cron(0 5 * * ? 2020-2099)", DAY),
        ("cron(0 5 ? * MON 2020-2099)", 7 * DAY),
    ] {
        assert_eq!(gap(expression), LongestGap::Minutes(expected), "{expression}");
    }
    assert_eq!(gap("cron(0 5 30 2 ? *)"), LongestGap::Never);
    assert_eq!(gap("cron(0 5 * * ? 2020)"), LongestGap::Never, "it is over");
}

/// From 26 November 2026 on.
#[test]
fn schedule_with_years_is_evaluated_for_one_year() {
    const DAY: u64 = 1_440;
    // It ends after 35 days at 5:00; the rest of the year is a gap.
    assert_eq!(gap("cron(0 5 * * ? 2026)"), LongestGap::Minutes((365 - 35) * DAY - 5 * 60));
    // It has not started.
    assert_eq!(gap("cron(0 5 * * ? 2028)"), LongestGap::Minutes(401 * DAY + 5 * 60));
}

#[test]
fn schedules_that_aws_rejects_are_errors() {
    for (expression, part) in [
        ("", "neither"),
        ("daily", "neither"),
        ("at(2026-11-26T00:00:00)", "neither"),
        ("cron(0 5 * * ?)", "has 5 fields"),
        ("cron(0 0 5 * * ? *)", "has 7 fields"),
        ("cron(0 5 * * * *)", "one of them must be `?`"),
        ("cron(0 5 ? * ? *)", "set one of them"),
        ("cron(60 5 * * ? *)", "`60` is not a valid minute; the range is 0 to 59"),
        ("cron(0 24 * * ? *)", "`24` is not a valid hour"),
        ("cron(0 5 0 * ? *)", "`0` is not a valid day of month"),
        ("cron(0 5 32W * ? *)", "`32W` is not a valid day of month"),
        ("cron(0 5 ? * 8 *)", "`8` is not a valid day of week; the range is 1 to 7 or SUN to SAT"),
        ("cron(0 5 ? * MON#6 *)", "1 to 5 follows the `#`"),
        ("cron(0 5 ? * MON#1,FRI *)", "must be the only item"),
        ("cron(0 5 * 13 ? *)", "`13` is not a valid month"),
        ("cron(0 5 * * ? 1969)", "`1969` is not a valid year"),
        ("cron(0 5 * * ? 2030-2026)", "is not a valid year"),
        ("cron(0/0 5 * * ? *)", "is not a valid minute"),
        ("cron(+1 5 * * ? *)", "is not a valid minute"),
        ("cron(,5 5 * * ? *)", "is not a valid minute"),
        ("cron(? 5 * * ? *)", "is not a valid minute"),
        ("rate(0 days)", "is not valid"),
        ("rate(1.5 days)", "is not valid"),
        ("rate(+1 day)", "is not valid"),
        ("rate(5 weeks)", "is not valid"),
        ("rate(99999999999999999999 days)", "is not valid"),
    ] {
        let problem = Schedule::parse(expression).unwrap_err();
        assert!(problem.contains(part), "{expression}: {problem}");
    }
    assert!(Schedule::parse(&format!("cron({})", "0,".repeat(100_000))).is_err());
}

// --- the naive implementation

/// Returns whether a numeric field contains a number, item by item.
fn names(field: &str, number: i16, min: i16, max: i16) -> bool {
    field.split(',').any(|item| {
        let (range, step) = item.split_once('/').map_or((item, 1), |(range, step)| (range, step.parse().unwrap()));
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (from.parse().unwrap(), to.parse().unwrap()),
            None if range == "*" => (min, max),
            None if item.contains('/') => (range.parse().unwrap(), max),
            None => (range.parse().unwrap(), range.parse().unwrap()),
        };
        let mut at: i16 = from;
        let mut steps = 0;
        loop {
            if at == number && steps % step == 0 {
                return true;
            }
            if at == to {
                return false;
            }
            at = if at == max { min } else { at + 1 };
            steps += 1;
        }
    })
}

fn weekday(day: Date) -> i16 {
    match day.weekday() {
        Weekday::Sunday => 1,
        Weekday::Monday => 2,
        Weekday::Tuesday => 3,
        Weekday::Wednesday => 4,
        Weekday::Thursday => 5,
        Weekday::Friday => 6,
        Weekday::Saturday => 7,
    }
}

fn last_of_month(day: Date) -> i16 {
    (28..=31).filter(|last| Date::new(day.year(), day.month(), *last).is_ok()).max().unwrap().into()
}

fn day_of_month(item: &str, day: Date) -> bool {
    let own = i16::from(day.day());
    let is_weekday =
        |number: i16| Date::new(day.year(), day.month(), number as i8).is_ok_and(|day| (2..=6).contains(&weekday(day)));
    match item {
        "L" => own == last_of_month(day),
        "LW" => Some(own) == (1..=last_of_month(day)).rev().find(|number| is_weekday(*number)),
        _ => match item.strip_suffix('W') {
            Some(near) => {
                let near: i16 = near.parse().unwrap();
                near <= last_of_month(day)
                    && is_weekday(own)
                    // No weekday is nearer, and two equally near weekdays never exist.
                    && (1..=last_of_month(day)).filter(|other| is_weekday(*other)).all(|other| {
                        (other - near).abs() >= (own - near).abs()
                    })
            }
            None => names(item, own, 1, 31),
        },
    }
}

fn day_of_week(item: &str, day: Date) -> bool {
    let own = weekday(day);
    let before =
        (1..=day.day()).filter(|number| weekday(Date::new(day.year(), day.month(), *number).unwrap()) == own).count();
    if let Some((wanted, nth)) = item.split_once('#') {
        return own == wanted.parse::<i16>().unwrap() && before == nth.parse::<usize>().unwrap();
    }
    match item.strip_suffix('L') {
        Some("") => own == 7,
        Some(wanted) => own == wanted.parse::<i16>().unwrap() && i16::from(day.day()) + 7 > last_of_month(day),
        None => names(item, own, 1, 7),
    }
}

fn fields(expression: &str) -> Vec<&str> {
    expression.trim_start_matches("cron(").trim_end_matches(')').split(' ').collect()
}

fn on_day(fields: &[&str], day: Date) -> bool {
    names(fields[3], day.month().into(), 1, 12)
        && (fields[2] == "?" || fields[2].split(',').any(|item| day_of_month(item, day)))
        && (fields[4] == "?" || fields[4].split(',').any(|item| day_of_week(item, day)))
}

/// Returns the firing minutes of a day by testing each minute.
fn fires(fields: &[&str]) -> Vec<u64> {
    let fires = |at: &u64| names(fields[0], (at % 60) as i16, 0, 59) && names(fields[1], (at / 60) as i16, 0, 23);
    (0..1_440).filter(fires).collect()
}

/// Returns the longest gap of 28 years, a full cycle of weekdays and leap years, plus one more cycle to close it.
fn walked(expression: &str) -> LongestGap {
    let mut first = None;
    let mut last = None;
    let mut longest = 0;
    let days = 28 * 365 + 7;
    let fields = fields(expression);
    let times = fires(&fields);
    for (number, day) in (0..days).zip(date(2000, 1, 1).series(jiff::Span::new().days(1))) {
        if !on_day(&fields, day) {
            continue;
        }
        for at in &times {
            let current = number * 1_440 + at;
            if let Some(last) = last {
                longest = longest.max(current - last);
            }
            first = first.or(Some(current));
            last = Some(current);
        }
    }
    match (first, last) {
        (Some(first), Some(last)) => LongestGap::Minutes(longest.max(days * 1_440 - last + first)),
        _ => LongestGap::Never,
    }
}

fn number_field(min: i16, max: i16) -> impl Strategy<Value = String> {
    let item = prop_oneof![
        4 => (min..=max).prop_map(|number| number.to_string()),
        2 => (min..=max, min..=max).prop_map(|(from, to)| format!("{from}-{to}")),
        2 => (min..=max, 1..=max).prop_map(|(from, step)| format!("{from}/{step}")),
        1 => (1..=max).prop_map(|step| format!("*/{step}")),
        1 => (min..=max, min..=max, 1..=9_i16).prop_map(|(from, to, step)| format!("{from}-{to}/{step}")),
    ];
    prop_oneof![
        1 => Just("*".to_owned()),
        4 => proptest::collection::vec(item, 1..=3).prop_map(|items| items.join(",")),
    ]
}

fn days() -> impl Strategy<Value = (String, String)> {
    let special = prop_oneof![
        Just("L".to_owned()),
        Just("LW".to_owned()),
        (1..=31_u8).prop_map(|day| format!("{day}W")),
        (1..=31_u8, 1..=31_u8).prop_map(|(one, other)| format!("{one}W,{other}")),
    ];
    let of_month = prop_oneof![number_field(1, 31), special].prop_map(|field| (field, "?".to_owned()));
    let special = prop_oneof![
        Just("L".to_owned()),
        (1..=7_u8).prop_map(|day| format!("{day}L")),
        (1..=7_u8, 1..=5_u8).prop_map(|(day, nth)| format!("{day}#{nth}")),
        (1..=7_u8, 1..=7_u8).prop_map(|(one, other)| format!("{one}L,{other}")),
    ];
    let of_week = prop_oneof![number_field(1, 7), special].prop_map(|field| ("?".to_owned(), field));
    prop_oneof![of_month, of_week]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn longest_gap_equals_a_walk_of_the_calendar(
        minute in number_field(0, 59), hour in number_field(0, 23), (of_month, of_week) in days(), month in number_field(1, 12),
    ) {
        let expression = format!("cron({minute} {hour} {of_month} {month} {of_week} *)");
        prop_assert_eq!(gap(&expression), walked(&expression), "{}", expression);
    }

    #[test]
    fn schedule_parser_never_panics(text in "(cron|rate)?[(]?[0-9LW#?*/, A-Z-]{0,24}[)]?") {
        if let Ok(schedule) = Schedule::parse(&text) {
            let _ = schedule.longest_gap(date(2026, 1, 1));
        }
    }
}

#[test]
fn calendar_walk_knows_leap_years() {
    let found: BTreeSet<String> = (1..=31)
        .map(|day| date(2026, 8, day))
        .filter(|day| day_of_month("1W", *day))
        .map(|day| day.to_string())
        .collect();
    assert_eq!(found, BTreeSet::from(["2026-08-03".to_owned()]), "1 August 2026 is a Saturday");
    let fields = fields("cron(0 0/12 31W 5 ? *)");
    assert!(on_day(&fields, date(2026, 5, 29)) && !on_day(&fields, date(2026, 5, 31)), "31 May 2026 is a Sunday");
    assert_eq!(fires(&fields), [0, 720]);
}
