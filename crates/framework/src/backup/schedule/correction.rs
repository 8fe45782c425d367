//! Rejections of schedules, each with the corrected expression where there is one.

use syntax::text::printable;

use super::{Schedule, WEEKDAYS};
use crate::backup::Rejection;

const PROPERTY: &str = "ScheduleExpression";

/// The fewest minutes between two runs (AWS Backup developer guide, "Backup plan options and configuration": hourly).
const LEAST_MINUTES: u64 = 60;

/// Returns the rejection of an expression that is not a valid schedule.
pub fn rejection(expression: &str) -> Option<Rejection> {
    let message = Schedule::parse(expression).err()?;
    // The schedulers behind this syntax know days before the end of a month, which AWS does not document.
    // An empty text is the default of a parameter that every deployment gives.
    let is_before_end = |fields: Vec<&str>| fields.get(2).is_some_and(|day| day.starts_with("L-"));
    if expression.is_empty() || fields(expression).is_some_and(is_before_end) {
        return None;
    }
    let (help, corrected) = match corrected(expression) {
        Some(Correction { expression, why, is_certain }) => {
            (format!("{why}: write `{}`", printable(&expression)), is_certain.then_some(expression))
        }
        None => ("write `cron(<minute> <hour> <day of month> <month> <day of the week> <year>)`".to_owned(), None),
    };
    Some(Rejection { property: PROPERTY, message, help, corrected })
}

/// Returns the rejection of a schedule with runs less than an hour apart.
pub fn too_frequent(expression: &str) -> Option<Rejection> {
    let schedule = Schedule::parse(expression).ok()?;
    let shortest = schedule.shortest_gap().filter(|shortest| *shortest < LEAST_MINUTES)?;
    let unit = if shortest == 1 { "minute" } else { "minutes" };
    let message = format!(
        "the schedule `{}` has runs {shortest} {unit} apart; AWS Backup accepts at least {LEAST_MINUTES}",
        printable(expression)
    );
    let corrected = fields(expression).and_then(|fields| {
        let [minute, rest @ ..] = fields.as_slice() else { return None };
        let first = minute.split(['-', ',', '/']).next().filter(|first| *first != "*").unwrap_or("0");
        let hourly = format!("cron({first} {})", rest.join(" "));
        Schedule::parse(&hourly)
            .is_ok_and(|it| it.shortest_gap().is_none_or(|gap| gap >= LEAST_MINUTES))
            .then_some(hourly)
    });
    let help = match corrected {
        Some(hourly) => format!("run once an hour at most: write `{}`", printable(&hourly)),
        None => "run once an hour at most, such as `cron(0 * * * ? *)`".to_owned(),
    };
    Some(Rejection::new(PROPERTY, message, help))
}

/// Returns the doubt about `rate(...)`: the API reference documents cron expressions only.
pub fn cron_instead_of_rate(expression: &str) -> Option<Rejection> {
    let Ok(Schedule::Rate(minutes)) = Schedule::parse(expression) else { return None };
    let cron = match minutes {
        60 => "cron(0 * * * ? *)".to_owned(),
        1_440 => Schedule::DEFAULT.to_owned(),
        10_080 => "cron(0 5 ? * SUN *)".to_owned(),
        _ if minutes % 60 == 0 && 1_440 % minutes == 0 => format!("cron(0 0/{} * * ? *)", minutes / 60),
        _ => "cron(...)".to_owned(),
    };
    let message =
        format!("AWS Backup documents only `cron(...)` as a schedule and may reject `{}`", printable(expression));
    Some(Rejection::new(PROPERTY, message, format!("write `{cron}`")))
}

/// A corrected expression.
struct Correction {
    expression: String,
    why: &'static str,
    /// Whether no other correction is as likely.
    is_certain: bool,
}

/// Returns the fields of `cron(...)`.
fn fields(expression: &str) -> Option<Vec<&str>> {
    let inner = expression.trim().strip_prefix("cron(")?.strip_suffix(')')?;
    Some(inner.split_whitespace().collect())
}

fn corrected(expression: &str) -> Option<Correction> {
    /// AWS accepts 256 characters.
    const LONGEST: usize = 256;
    if expression.len() > LONGEST {
        return None;
    }
    let lower = expression.trim().to_ascii_lowercase();
    let is_wrapped = lower.starts_with("cron") || lower.starts_with("rate");
    if is_wrapped && lower.starts_with("rate") {
        return rate(&lower);
    }
    let inner = match is_wrapped {
        true => expression.trim().get("cron".len()..)?.trim().strip_prefix('(')?.strip_suffix(')')?,
        false => expression.trim(),
    };
    let written: Vec<&str> = inner.split_whitespace().collect();
    let mut fields: Vec<String> = written.iter().map(|field| field.to_ascii_uppercase()).collect();
    let mut why = "the name is `cron(...)`";
    let mut is_certain = true;
    if let [seconds, _, _, _, _, _, _] = fields.as_slice() {
        if seconds != "0" {
            return None;
        }
        fields.remove(0);
        (why, is_certain) = ("it has no field for seconds", false);
    }
    if let [_, _, _, _, day_of_week] = fields.as_slice() {
        let is_unix = day_of_week.bytes().any(|byte| byte.is_ascii_digit());
        // The sixth field is missing; the numbers of weekdays may be those of Unix.
        fields.push("*".to_owned());
        (why, is_certain) = ("the sixth field is the year", false);
        if is_unix && let Some(day) = fields.get_mut(4) {
            *day = weekdays_of_unix(day)?;
        }
    }
    let [_, _, day_of_month, _, day_of_week, _] = fields.as_mut_slice() else { return None };
    if day_of_week.split(['-', ',']).any(|day| day == "0") {
        is_certain &= day_of_week == "0";
        *day_of_week = weekdays_of_unix(day_of_week)?;
        why = "the day of the week counts from 1 for Sunday";
    }
    if let Some((reason, is_sure)) = question_mark(day_of_month, day_of_week)? {
        why = reason;
        is_certain &= is_sure;
    }
    let expression = format!("cron({})", fields.join(" "));
    Schedule::parse(&expression).is_ok().then_some(Correction { expression, why, is_certain })
}

/// Puts `?` into one of the two day fields, and returns why and whether the correction is certain.
///
/// Returns the outer `None` if both fields name days.
fn question_mark(day_of_month: &mut String, day_of_week: &mut String) -> Option<Option<(&'static str, bool)>> {
    const MISSING: &str = "one of the two day fields must be `?`";
    match (day_of_month.as_str(), day_of_week.as_str()) {
        ("?", "?") => {
            "*".clone_into(day_of_month);
            Some(Some(("one of the two day fields must not be `?`", false)))
        }
        (_, "?") | ("?", _) => Some(None),
        (_, "*") => {
            "?".clone_into(day_of_week);
            Some(Some((MISSING, true)))
        }
        ("*", _) => {
            "?".clone_into(day_of_month);
            // The numbers may be those of Unix, in which Monday is 1.
            Some(Some((MISSING, !day_of_week.bytes().any(|byte| byte.is_ascii_digit()))))
        }
        _ => None,
    }
}

/// Corrects the case and number of a `rate(...)`.
fn rate(lower: &str) -> Option<Correction> {
    Schedule::parse(lower).is_ok().then(|| Correction {
        expression: lower.to_owned(),
        why: "it is in lower case",
        is_certain: false,
    })
}

/// Returns names for the weekdays of a Unix cron, in which Sunday is 0 or 7.
fn weekdays_of_unix(field: &str) -> Option<String> {
    if field.contains(['/', '#', 'L']) {
        return None;
    }
    let name = |day: &str| match day.parse::<usize>() {
        Ok(number) => WEEKDAYS.get(number % 7).filter(|_| number <= 7).map(|name| (*name).to_owned()),
        Err(_) => Some(day.to_owned()),
    };
    let range =
        |item: &str| -> Option<String> { Some(item.split('-').map(name).collect::<Option<Vec<_>>>()?.join("-")) };
    Some(field.split(',').map(range).collect::<Option<Vec<_>>>()?.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_schedules_are_corrected() {
        for (expression, corrected, is_certain) in [
            ("cron(0 3 * * * *)", Some("cron(0 3 * * ? *)"), true),
            ("cron(0 3 1 * * *)", Some("cron(0 3 1 * ? *)"), true),
            ("cron(0 3 * * MON *)", Some("cron(0 3 ? * MON *)"), true),
            ("cron(0 3 * * 1-5 *)", Some("cron(0 3 ? * 1-5 *)"), false),
            ("cron(0 25 * JUL-SEP * *)", None, false),
            ("cron(0 3 ? * 0 *)", Some("cron(0 3 ? * SUN *)"), true),
            ("cron(0 3 ? * 0-4 *)", Some("cron(0 3 ? * SUN-THU *)"), false),
            ("cron(0 3 ? * 0,3 *)", Some("cron(0 3 ? * SUN,WED *)"), false),
            ("cron(0 3 * * 0 *)", Some("cron(0 3 ? * SUN *)"), true),
            ("cron(0 3 * * *)", Some("cron(0 3 * * ? *)"), false),
            ("cron(0 3 * * 1)", Some("cron(0 3 ? * MON *)"), false),
            ("cron(0 3 * * 1-5)", Some("cron(0 3 ? * MON-FRI *)"), false),
            ("cron(0 3 ? * SUN)", Some("cron(0 3 ? * SUN *)"), false),
            ("0 3 * * ? *", Some("cron(0 3 * * ? *)"), true),
            ("0 3 * * *", Some("cron(0 3 * * ? *)"), false),
            ("CRON(0 3 * * ? *)", Some("cron(0 3 * * ? *)"), true),
            ("Cron (0 3 * * ? *)", Some("cron(0 3 * * ? *)"), true),
            ("cron(0 0 3 * * ? *)", Some("cron(0 3 * * ? *)"), false),
            ("cron(0 3 ? * ? *)", Some("cron(0 3 * * ? *)"), false),
            ("rate(1 Day)", Some("rate(1 day)"), false),
            ("cron(0 3 1 * MON *)", None, false),
            ("cron(0 24 * * ? *)", None, false),
            ("cron(60 3 * * ? *)", None, false),
            ("cron(0 3 32 * ? *)", None, false),
            ("cron(0 3 ? * 8 *)", None, false),
            ("cron(5 0 3 * * ? *)", None, false),
            ("cron(0 3)", None, false),
            ("cron()", None, false),
            ("cron", None, false),
            ("rate(every day)", None, false),
            ("daily", None, false),
            ("at(2026-11-26T05:00:00)", None, false),
        ] {
            let rejection = rejection(expression).unwrap_or_else(|| panic!("{expression} is accepted"));
            match corrected {
                Some(corrected) => {
                    assert!(rejection.help.contains(&format!("write `{corrected}`")), "{expression}: {rejection:?}")
                }
                None => assert!(rejection.help.starts_with("write `cron(<minute>"), "{expression}: {rejection:?}"),
            }
            assert_eq!(rejection.corrected.as_deref(), corrected.filter(|_| is_certain), "{expression}");
        }
        let accepted =
            ["cron(0 3 * * ? *)", "cron(0 3 ? * 7 *)", "rate(1 day)", Schedule::DEFAULT, "cron(0 3 L-3 * ? *)"];
        for expression in accepted {
            assert_eq!(rejection(expression), None, "{expression}");
        }
    }

    #[test]
    fn schedules_within_the_hour_are_rejected() {
        for (expression, minutes, help) in [
            ("cron(* 5 * * ? *)", 1, "cron(0 5 * * ? *)"),
            ("cron(0/15 * * * ? *)", 15, "cron(0 * * * ? *)"),
            ("cron(0,30 5 * * ? *)", 30, "cron(0 5 * * ? *)"),
            ("cron(*/40 * * * ? *)", 20, "cron(0 * * * ? *)"),
            ("cron(10-20 5 ? * MON *)", 1, "cron(10 5 ? * MON *)"),
            ("cron(0,59 0,23 * * ? *)", 1, "cron(0 0,23 * * ? *)"),
            ("rate(1 minute)", 1, "cron(0 * * * ? *)"),
            ("rate(59 minutes)", 59, "cron(0 * * * ? *)"),
        ] {
            let rejection = too_frequent(expression).unwrap_or_else(|| panic!("{expression} is accepted"));
            assert!(rejection.message.contains(&format!(" {minutes} minute")), "{expression}: {rejection:?}");
            assert!(rejection.help.contains(help), "{expression}: {rejection:?}");
        }
        for expression in [
            "cron(0 * * * ? *)",
            "cron(0 0/2 * * ? *)",
            "cron(59 23 * * ? *)",
            "cron(0 0,23 * * ? *)",
            "cron(0 5 29 2 ? *)",
            "cron(0 5 30 2 ? *)",
            "cron(0 5 * * ? 2030)",
            "rate(60 minutes)",
            "rate(1 hour)",
            "not a schedule",
        ] {
            assert_eq!(too_frequent(expression), None, "{expression}");
        }
    }

    #[test]
    fn rates_are_doubted_with_a_cron_expression() {
        for (rate, cron) in [
            ("rate(1 day)", "cron(0 5 ? * * *)"),
            ("rate(1 hour)", "cron(0 * * * ? *)"),
            ("rate(12 hours)", "cron(0 0/12 * * ? *)"),
            ("rate(7 days)", "cron(0 5 ? * SUN *)"),
            ("rate(5 hours)", "cron(...)"),
            ("rate(90 minutes)", "cron(...)"),
        ] {
            let doubt = cron_instead_of_rate(rate).unwrap_or_else(|| panic!("{rate} is accepted"));
            assert_eq!(doubt.help, format!("write `{cron}`"), "{rate}");
        }
        assert_eq!(cron_instead_of_rate("cron(0 5 ? * * *)"), None);
    }

    #[test]
    fn days_that_no_month_has_never_run() {
        for (expression, runs) in [
            ("cron(0 5 30 2 ? *)", false),
            ("cron(0 5 31 4,6 ? *)", false),
            ("cron(0 5 29 2 ? *)", true),
            ("cron(0 5 * * ? 2020)", true),
            ("rate(1 day)", true),
        ] {
            assert_eq!(Schedule::parse(expression).map(|schedule| schedule.ever_runs()), Ok(runs), "{expression}");
        }
    }
}
