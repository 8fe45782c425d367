//! Is the value of a control's parameter one that the control takes?

use std::collections::BTreeMap;

use super::{Given, Reading};
use crate::control::{Kind, Parameter};
use crate::fault::{Edit, nearest};
use crate::ids::{AccountId, REGIONS, RegionName, shown};
use crate::lint::{Rule, rules};

pub(super) fn check(reading: &mut Reading<'_, '_, '_, '_>, given: &Given<'_>, all: &BTreeMap<&str, &Given<'_>>) {
    let Given { parameter, value: node, text: Some(value) } = given else { return };
    let problem = format!("the parameter `{}` is `{}`", parameter.name, shown(value));
    let Some(Refused { rule, expected }) = refused(parameter, value, all) else { return };
    if value.is_empty() {
        let problem = format!("the parameter `{}` is empty", parameter.name);
        let fix = format!("remove it, or give it {expected}");
        return reading.tell(rule, *node, problem, fix);
    }
    if let Some((fix, edits)) = in_days(reading, given, all) {
        return reading.faults.tell(rule, *node, problem, fix, edits);
    }
    // What is right but for blanks or the case of letters can only mean one thing.
    let meant: String = value.chars().filter(|c| !c.is_whitespace()).collect();
    let meant = match parameter.kind {
        Kind::OneOf(words) => nearest(&meant, words.iter().copied()).map(str::to_owned),
        _ => Some(meant),
    };
    let items = bad_item(parameter.kind, value);
    let meant = meant.filter(|meant| meant != value && refused(parameter, meant, all).is_none());
    let edits = meant.map(|meant| reading.rewritten(node, &meant)).unwrap_or_default();
    let (problem, fix) = match items {
        Some((item, near)) => {
            let near = near.map(|near| format!("; is `{near}` meant?")).unwrap_or_default();
            let problem = format!("the parameter `{}` has the item `{}`", parameter.name, shown(item));
            (problem, format!("it must be {expected}{near}"))
        }
        None => (problem, format!("it must be {expected}")),
    };
    reading.faults.tell(rule, *node, problem, fix, edits);
}

/// The first item of a list that is wrong, if there are several, and the Region that it is nearest to.
fn bad_item(kind: Kind, value: &str) -> Option<(&str, Option<&'static str>)> {
    let mut items = value.split(',');
    match kind {
        Kind::RegionList => {
            let item = items.find(|item| RegionName::parse_listed(item, &[]).is_err())?;
            Some((item, nearest(&item.trim().to_ascii_lowercase(), REGIONS.iter().copied())))
        }
        Kind::AccountList { .. } => Some((items.find(|item| AccountId::parse(item).is_err())?, None)),
        Kind::ArnList { .. } => Some((items.find(|item| !item.starts_with("arn:"))?, None)),
        Kind::Integer { .. } | Kind::Period { .. } | Kind::OneOf(_) => None,
    }
}

/// The mending of a number of hours that is too large, but is a whole number of days: `48` with `hours`.
fn in_days(
    reading: &Reading<'_, '_, '_, '_>,
    given: &Given<'_>,
    all: &BTreeMap<&str, &Given<'_>>,
) -> Option<(String, Vec<Edit>)> {
    let Kind::Period { unit, hours, days } = given.parameter.kind else { return None };
    let of_unit = all.get(unit).filter(|unit| unit.text.as_deref() == Some("hours"))?;
    let value: u32 = given.text.as_deref()?.parse().ok()?;
    let in_days = value / 24;
    if value <= hours.1 || !value.is_multiple_of(24) || !(days.0..=days.1).contains(&in_days) {
        return None;
    }
    let fix = format!(
        "it must be a whole number of hours from {} to {}: write `{in_days}` with `days` in `{unit}`",
        hours.0, hours.1
    );
    let edits =
        [reading.rewritten(given.value, &in_days.to_string()), reading.rewritten(of_unit.value, "days")].concat();
    Some((fix, if edits.len() == 2 { edits } else { Vec::new() }))
}

struct Refused {
    rule: &'static Rule,
    /// What the value should have been.
    expected: String,
}

/// What the value should have been, if the control does not take it.
fn refused(parameter: &Parameter, value: &str, all: &BTreeMap<&str, &Given<'_>>) -> Option<Refused> {
    let of_type =
        |is_fine: bool, expected: String| (!is_fine).then_some(Refused { rule: &rules::VALUE_TYPE, expected });
    let number = |min: u32, max: u32, expected: String| match whole(value) {
        None => Some(Refused { rule: &rules::VALUE_TYPE, expected }),
        Some(number) if (u64::from(min)..=u64::from(max)).contains(&number) => None,
        Some(_) => Some(Refused { rule: &rules::VALUE_RANGE, expected }),
    };
    let items = || value.split(',');
    match parameter.kind {
        Kind::Integer { min, max: u32::MAX } => number(min, u32::MAX, format!("a whole number from {min} up")),
        Kind::Integer { min, max } => number(min, max, format!("a whole number from {min} to {max}")),
        Kind::Period { unit, hours, days } => match unit_in_force(unit, all) {
            Some("hours") => {
                number(hours.0, hours.1, format!("a whole number of hours from {} to {}", hours.0, hours.1))
            }
            Some("days") => number(days.0, days.1, format!("a whole number of days from {} to {}", days.0, days.1)),
            // The unit is unknown or wrong: what neither could be is wrong all the same.
            _ => {
                let (min, max) = (hours.0.min(days.0), hours.1.max(days.1));
                number(min, max, format!("a whole number from {min} to {max}"))
            }
        },
        Kind::OneOf(words) => {
            let words_shown: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            of_type(words.contains(&value), words_shown.join(" or "))
        }
        Kind::RegionList => of_type(
            items().all(|item| RegionName::parse_listed(item, &[]).is_ok()),
            "Region codes with commas and no spaces between".to_owned(),
        ),
        Kind::AccountList { most } => {
            let expected = format!("12-digit account ids with commas and no spaces between, {most} at most");
            of_type(items().count() <= most && items().all(|item| AccountId::parse(item).is_ok()), expected)
        }
        Kind::ArnList { most } => {
            let expected = format!("role ARNs with commas and no spaces between, {most} at most");
            of_type(items().count() <= most && items().all(|item| item.starts_with("arn:")), expected)
        }
    }
}

/// The unit of a period. `None` where it is unknown or wrong, or not given: whether Audit Manager has a default of its own is not
/// documented.
fn unit_in_force<'a>(unit: &str, all: &'a BTreeMap<&str, &Given<'_>>) -> Option<&'a str> {
    all.get(unit)?.text.as_deref()
}

/// Digits only: `+1`, `1.0` and ` 1` are no numbers to AWS.
fn whole(value: &str) -> Option<u64> {
    let is_digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    // More than anybody takes.
    is_digits.then(|| value.parse().unwrap_or(u64::MAX))
}
