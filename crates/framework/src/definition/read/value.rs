//! Checks the value of a control's parameter: BC033 and BC034.

use std::collections::BTreeMap;

use syntax::diagnostic::Edit;
use syntax::text::{closest_match, printable, typing_error};

use super::{GivenParameter, Reading, partial};
use crate::control::{Parameter, ParameterKind};
use crate::ids::{AccountId, REGIONS, RegionName};
use crate::rules::LintRule;
use crate::rules::parameters::{VALUE_RANGE, VALUE_TYPE};

pub(super) fn check<'t>(
    reading: &mut Reading<'_, '_, '_, 't>,
    given: &GivenParameter<'t>,
    all: &BTreeMap<&str, &GivenParameter<'_>>,
) {
    let GivenParameter { parameter, value: node, text: Some(value) } = given else {
        return partial::check(reading, given);
    };
    let message = format!("the parameter `{}` is `{}`", parameter.name, printable(value));
    let Some((rule, expected)) = invalid(parameter, value, all) else {
        return partial::check_known(reading, given, value);
    };
    if value.is_empty() {
        let message = format!("the parameter `{}` is empty", parameter.name);
        let help = format!("remove it, or set it to {expected}");
        return reading.diagnostics.report(rule, *node, message, help);
    }
    if let Some((help, edits)) = in_days(reading, rule, given, all) {
        return reading.diagnostics.report_fixable(rule, *node, message, help, edits);
    }
    // A value that is valid without blanks around its items and in another case is unambiguous.
    let meant = value.split(',').map(str::trim).collect::<Vec<_>>().join(",");
    let meant = match parameter.kind {
        ParameterKind::OneOf(words) => typing_error(&meant, words.iter().copied()).map(str::to_owned),
        _ => Some(meant),
    };
    let meant = meant.filter(|meant| meant != value && invalid(parameter, meant, all).is_none());
    let edits = meant.map(|meant| reading.rewritten(rule, node, &meant)).unwrap_or_default();
    let (message, help) = match bad_item(parameter.kind, value) {
        Some((item, near)) => {
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            let message = format!("the parameter `{}` has the item `{}`", parameter.name, printable(item));
            (message, format!("it must be {expected}{near}"))
        }
        None => (message, format!("it must be {expected}")),
    };
    reading.diagnostics.report_fixable(rule, *node, message, help, edits);
}

/// Returns the first invalid item of a list and the Region it resembles.
fn bad_item(kind: ParameterKind, value: &str) -> Option<(&str, Option<&'static str>)> {
    let mut items = value.split(',');
    match kind {
        ParameterKind::RegionList => {
            let item = items.find(|item| RegionName::parse_listed(item, &[]).is_err())?;
            Some((item, closest_match(&item.trim().to_ascii_lowercase(), REGIONS.iter().copied())))
        }
        ParameterKind::AccountList { .. } => Some((items.find(|item| AccountId::parse(item).is_err())?, None)),
        ParameterKind::ArnList { .. } => Some((items.find(|item| !item.trim_start().starts_with("arn:"))?, None)),
        ParameterKind::Integer { .. } | ParameterKind::Period { .. } | ParameterKind::OneOf(_) => None,
    }
}

/// Returns the help of a number of hours above the limit that is a whole number of days: `48` with `hours`.
fn in_days(
    reading: &Reading<'_, '_, '_, '_>,
    rule: &LintRule,
    given: &GivenParameter<'_>,
    all: &BTreeMap<&str, &GivenParameter<'_>>,
) -> Option<(String, Vec<Edit>)> {
    let ParameterKind::Period { unit, hours, days } = given.parameter.kind else { return None };
    let of_unit = all.get(unit).filter(|unit| unit.text.as_deref() == Some("hours"))?;
    let value: u32 = given.text.as_deref()?.parse().ok()?;
    let in_days = value / 24;
    if value <= hours.1 || !value.is_multiple_of(24) || !(days.0..=days.1).contains(&in_days) {
        return None;
    }
    let help = format!(
        "it must be an integer of hours from {} to {}: write `{in_days}` with `days` in `{unit}`",
        hours.0, hours.1
    );
    let edits =
        [reading.rewritten(rule, given.value, &in_days.to_string()), reading.rewritten(rule, of_unit.value, "days")]
            .concat();
    Some((help, if edits.len() == 2 { edits } else { Vec::new() }))
}

/// Returns the violated rule and a description of valid values if the control does not accept the value.
fn invalid(
    parameter: &Parameter,
    value: &str,
    all: &BTreeMap<&str, &GivenParameter<'_>>,
) -> Option<(&'static LintRule, String)> {
    let of_type = |is_fine: bool, expected: String| (!is_fine).then_some((&VALUE_TYPE, expected));
    let number = |min: u32, max: u32, expected: String| match whole(value) {
        None => Some((&VALUE_TYPE, expected)),
        Some(number) if (u64::from(min)..=u64::from(max)).contains(&number) => None,
        Some(_) => Some((&VALUE_RANGE, expected)),
    };
    let is_list = |most: usize| value.split(',').count() <= most && bad_item(parameter.kind, value).is_none();
    match parameter.kind {
        ParameterKind::Integer { min, max: u32::MAX } => number(min, u32::MAX, format!("an integer of at least {min}")),
        ParameterKind::Integer { min, max } => number(min, max, format!("an integer from {min} to {max}")),
        ParameterKind::Period { unit, hours, days } => match all.get(unit).and_then(|unit| unit.text.as_deref()) {
            Some("hours") => number(hours.0, hours.1, format!("an integer of hours from {} to {}", hours.0, hours.1)),
            Some("days") => number(days.0, days.1, format!("an integer of days from {} to {}", days.0, days.1)),
            // The unit is unknown, invalid or absent (AWS does not document a default): use the limits of both.
            _ => {
                let (min, max) = (hours.0.min(days.0), hours.1.max(days.1));
                number(min, max, format!("an integer from {min} to {max}"))
            }
        },
        ParameterKind::OneOf(words) => {
            let words_shown: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            of_type(words.contains(&value), words_shown.join(" or "))
        }
        ParameterKind::RegionList => {
            of_type(is_list(usize::MAX), "Region codes separated by commas without spaces".to_owned())
        }
        ParameterKind::AccountList { most } => {
            let expected = format!("at most {most} 12-digit account ids separated by commas without spaces");
            of_type(is_list(most), expected)
        }
        ParameterKind::ArnList { most } => {
            let expected = format!("at most {most} role ARNs separated by commas");
            of_type(is_list(most), expected)
        }
    }
}

/// Parses digits: AWS rejects `+1`, `1.0` and ` 1`.
fn whole(value: &str) -> Option<u64> {
    let is_digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    // Above every limit.
    is_digits.then(|| value.parse().unwrap_or(u64::MAX))
}
