//! Checks of combinations: the parameters of a control, the controls of a framework, the frameworks of a template. The family has BC055 to
//! BC057; the checks of BC023 to BC027 and BC035 to BC039 are here too.

use std::collections::{BTreeMap, BTreeSet};

use syntax::diagnostic::{Diagnostics, Position};
use syntax::template::Resolved;
use syntax::text::printable;

use super::cross_framework::{Comparable, MAX_CONTROLS, MAX_FRAMEWORKS, comparable};
use super::overlap;
use crate::control::ParameterKind;
use crate::definition::read::{ReadControl, ReadFramework};
use crate::rules::{LintRule, controls, family, parameters};

family! {
    RETENTION_BELOW_FREQUENCY "BC055" Warning "Backups can expire before the next one"
        "A plan that runs every 14 days and keeps backups for 7 is compliant, but has no backup half of the time. \
         The retention should be at least the time between backups."
    CONTRADICTION "BC056" Warning "Two controls contradict each other"
        "A resource that complies with one control violates the other. Examples: plans may run every 7 days, but a \
         recovery point may be at most 1 day old; plans must keep backups for 35 days, but recovery points must be \
         kept for 90; the vault may keep backups for at most 30 days."
    NO_BOUNDS "BC057" Note "The vault lock limits have no effect"
        "Every lock keeps backups between 1 and 36,500 days. With these limits the control only requires a lock, as \
         it does without parameters."
}

const HOURS_PER_DAY: u64 = 24;

pub(super) fn check(diagnostics: &mut Diagnostics<'_, '_>, frameworks: &[ReadFramework<'_>]) {
    for framework in frameworks {
        for control in &framework.controls {
            required(diagnostics, control);
            periods(diagnostics, control);
            repeated_items(diagnostics, control);
            lock_limits(diagnostics, control);
            air_gap(diagnostics, control);
            retention(diagnostics, control);
        }
        covered(diagnostics, framework);
        overlap::check(diagnostics, framework);
        contradictions(diagnostics, framework);
    }
    quotas(diagnostics, frameworks);
    equal(diagnostics, frameworks);
}

/// Returns the effective value of a parameter as a number.
fn number(control: &ReadControl<'_>, name: &str) -> Option<u64> {
    text(control, name)?.parse().ok()
}

/// Returns the effective value of a parameter: the given one, or the default if the template certainly gives none.
fn text<'c>(control: &'c ReadControl<'_>, name: &str) -> Option<&'c str> {
    match control.given(name) {
        Some(given) => given.text.as_deref(),
        None if control.parameters_known => control.used.control.parameter(name)?.default,
        None => None,
    }
}

/// Returns an effective period in hours.
fn hours(control: &ReadControl<'_>, value: &str, unit: &str) -> Option<u64> {
    let value = number(control, value)?;
    match text(control, unit)? {
        "hours" => Some(value),
        "days" => value.checked_mul(HOURS_PER_DAY),
        _ => None,
    }
}

/// Returns the position of a parameter's value, or of the control if the parameter is not given.
fn position(control: &ReadControl<'_>, name: &str) -> Position {
    control.given(name).map_or(control.used.at, |given| given.value.at)
}

fn required(diagnostics: &mut Diagnostics<'_, '_>, control: &ReadControl<'_>) {
    for parameter in control.used.control.parameters.iter().filter(|parameter| parameter.required) {
        if control.given(parameter.name).is_none() && control.parameters_known {
            let message = format!("the control `{}` has no `{}`", control.used.control.name, parameter.name);
            let help = format!("add it under `ControlInputParameters` as `ParameterName: {}`", parameter.name);
            diagnostics.report(&parameters::MISSING_PARAMETER, control.name, message, help);
        }
    }
}

fn periods(diagnostics: &mut Diagnostics<'_, '_>, control: &ReadControl<'_>) {
    if !control.parameters_known {
        return;
    }
    for parameter in control.used.control.parameters {
        let ParameterKind::Period { unit, .. } = parameter.kind else { continue };
        let (given, missing) = match (control.given(parameter.name), control.given(unit)) {
            (Some(value), None) => (value, unit),
            (None, Some(unit)) => (unit, parameter.name),
            _ => continue,
        };
        let default = control.used.control.parameter(missing).and_then(|parameter| parameter.default).unwrap_or("?");
        let message = format!("`{}` is given without `{missing}`, which defaults to `{default}`", given.parameter.name);
        diagnostics.report(&parameters::HALF_A_PERIOD, given.value, message, format!("add `{missing}`"));
    }
}

fn repeated_items(diagnostics: &mut Diagnostics<'_, '_>, control: &ReadControl<'_>) {
    for given in &control.given {
        let is_list = matches!(
            given.parameter.kind,
            ParameterKind::RegionList | ParameterKind::AccountList { .. } | ParameterKind::ArnList { .. }
        );
        let Some(text) = given.text.as_deref().filter(|_| is_list) else { continue };
        let mut seen = BTreeSet::new();
        let again = text.split(',').find(|item| !seen.insert(*item));
        if let Some(item) = again.filter(|item| !item.is_empty()) {
            let message = format!("`{}` has the item `{}` twice", given.parameter.name, printable(item));
            diagnostics.report(&parameters::REPEATED_ITEM, given.value, message, "list each item once");
        }
    }
}

fn lock_limits(diagnostics: &mut Diagnostics<'_, '_>, control: &ReadControl<'_>) {
    /// The limits of every vault lock, in days.
    const LOCK: (u64, u64) = (1, 36_500);
    let (Some(min), Some(max)) = (number(control, "minRetentionDays"), number(control, "maxRetentionDays")) else {
        return;
    };
    let at = position(control, "minRetentionDays");
    if min > max {
        let message = format!("`minRetentionDays` is {min} and `maxRetentionDays` is {max}");
        diagnostics.report(&parameters::LEAST_ABOVE_MOST, at, message, "the minimum must not exceed the maximum");
    } else if (min, max) == LOCK {
        let message = "every vault lock has a retention between 1 and 36500 days";
        diagnostics.report(&NO_BOUNDS, at, message, "omit both, or set the limits that you need");
    }
}

fn air_gap(diagnostics: &mut Diagnostics<'_, '_>, control: &ReadControl<'_>) {
    const RECOMMENDED: u64 = 7 * HOURS_PER_DAY;
    if control.used.control.name != "RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT" {
        return;
    }
    if let Some(age) = age(control).filter(|age| *age < RECOMMENDED) {
        let message = format!("recovery points in the air-gapped vault may be at most {} old", period(age));
        let help = "AWS recommends at least 7 days; use at least the time between copies";
        diagnostics.report(&parameters::SHORT_AIR_GAP, position(control, "recoveryPointAgeValue"), message, help);
    }
}

fn age(control: &ReadControl<'_>) -> Option<u64> {
    hours(control, "recoveryPointAgeValue", "recoveryPointAgeUnit")
}

fn frequency(control: &ReadControl<'_>) -> Option<u64> {
    hours(control, "requiredFrequencyValue", "requiredFrequencyUnit")
}

fn retention(diagnostics: &mut Diagnostics<'_, '_>, control: &ReadControl<'_>) {
    let (Some(frequency), Some(days)) = (frequency(control), number(control, "requiredRetentionDays")) else { return };
    if days.saturating_mul(HOURS_PER_DAY) < frequency {
        let message =
            format!("backups expire after {} and are created every {}", count(days, "day"), period(frequency));
        let at = position(control, "requiredRetentionDays");
        diagnostics.report(&RETENTION_BELOW_FREQUENCY, at, message, "retain backups at least until the next one");
    }
}

fn period(hours: u64) -> String {
    if hours > 0 && hours.is_multiple_of(HOURS_PER_DAY) {
        count(hours / HOURS_PER_DAY, "day")
    } else {
        count(hours, "hour")
    }
}

fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Reports a use of a control for some resources beside a use for all.
fn covered(diagnostics: &mut Diagnostics<'_, '_>, framework: &ReadFramework<'_>) {
    let unscoped = framework.controls.iter().filter(|control| control.is_known && control.used.scope.is_empty());
    // Indexed, because a comparison of each with each takes the square of their number.
    let mut first: BTreeMap<(&str, &BTreeMap<String, String>), Position> = BTreeMap::new();
    for control in unscoped {
        first.entry((control.used.control.name, &control.used.parameters)).or_insert(control.used.at);
    }
    for control in &framework.controls {
        let used = &control.used;
        if used.scope.is_empty() || !control.parameters_known {
            continue;
        }
        let name = used.control.name;
        if let Some(first) = first.get(&(name, &used.parameters)) {
            let message = format!("the control `{name}` without a scope at {first} evaluates these resources too");
            diagnostics.report(&controls::COVERED_CONTROL, used.at, message, "remove one of the two");
        }
    }
}

/// Reports controls of a framework that evaluate the same resources and cannot both be satisfied.
fn contradictions(diagnostics: &mut Diagnostics<'_, '_>, framework: &ReadFramework<'_>) {
    /// Most uses of a control that are compared with each other; one is usual.
    const MOST: usize = 8;
    let named = |name: &'static str| {
        let is_named =
            move |control: &&ReadControl<'_>| control.used.control.name == name && control.used.scope.is_empty();
        framework.controls.iter().filter(is_named).take(MOST)
    };
    let mut report = |control: &ReadControl<'_>, parameter: &str, message: String, help: &str| {
        diagnostics.report(&CONTRADICTION, position(control, parameter), message, help);
    };
    for plan in named("BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK") {
        let (every, kept) = (frequency(plan), number(plan, "requiredRetentionDays"));
        for control in named("BACKUP_LAST_RECOVERY_POINT_CREATED") {
            if let (Some(every), Some(age)) = (every, age(control))
                && age < every
            {
                let message = format!(
                    "a recovery point may be at most {} old, but plans may run every {} ({})",
                    period(age),
                    period(every),
                    plan.used.at
                );
                report(control, "recoveryPointAgeValue", message, "allow at least the time between backups");
            }
        }
        for control in named("BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK") {
            if let (Some(kept), Some(required)) = (kept, number(control, "requiredRetentionDays"))
                && kept < required
            {
                let message = format!(
                    "recovery points must be retained for {}, but plans may retain them for {} ({})",
                    count(required, "day"),
                    count(kept, "day"),
                    plan.used.at
                );
                let help = "require at least the same retention of plans as of recovery points";
                report(control, "requiredRetentionDays", message, help);
            }
        }
    }
    let retaining =
        ["BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK", "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK"];
    for other in retaining.into_iter().flat_map(named) {
        let Some(required) = number(other, "requiredRetentionDays") else { continue };
        for lock in named("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK") {
            if let Some(max) = number(lock, "maxRetentionDays").filter(|max| *max < required) {
                let message = format!(
                    "vaults may retain backups for at most {}, but backups must be retained for {} ({})",
                    count(max, "day"),
                    count(required, "day"),
                    other.used.at
                );
                report(lock, "maxRetentionDays", message, "allow vaults at least the required retention");
            }
        }
    }
}

fn quotas(diagnostics: &mut Diagnostics<'_, '_>, frameworks: &[ReadFramework<'_>]) {
    // Frameworks with undecided conditions may exclude each other.
    let frameworks: Vec<&ReadFramework<'_>> = frameworks.iter().filter(|framework| framework.is_there).collect();
    let mut all_controls = frameworks.iter().flat_map(|framework| &framework.controls);
    let number = all_controls.clone().count();
    if let Some(first) = all_controls.nth(MAX_CONTROLS) {
        let message =
            format!("the frameworks have {number} controls; the quota of an account and Region is {MAX_CONTROLS}");
        let help = "use fewer, or request a higher quota from AWS for every account";
        diagnostics.report(&controls::TOO_MANY, first.used.at, message, help);
    }
    if let Some(first) = frameworks.get(MAX_FRAMEWORKS) {
        let number = frameworks.len();
        let message =
            format!("the template has {number} frameworks; the quota of an account and Region is {MAX_FRAMEWORKS}");
        let help = "merge some, or request a higher quota from AWS for every account";
        diagnostics.report(&controls::TOO_MANY, first.id, message, help);
    }
}

/// Returns the comparable controls of a framework if all are known.
pub(super) fn known_controls<'f>(read: &'f ReadFramework<'_>) -> Option<Comparable<'f>> {
    (read.is_known && !read.framework.controls.is_empty()).then(|| comparable(&read.framework))
}

/// Reports equal names and equal controls among the frameworks that certainly coexist.
fn equal(diagnostics: &mut Diagnostics<'_, '_>, frameworks: &[ReadFramework<'_>]) {
    let mut by_controls: BTreeMap<Comparable<'_>, &ReadFramework<'_>> = BTreeMap::new();
    let mut by_name: BTreeMap<&str, &ReadFramework<'_>> = BTreeMap::new();
    let mut report = |rule: &'static LintRule, what: &str, [second, first]: [&ReadFramework<'_>; 2], help: &str| {
        if !std::ptr::eq(second, first) {
            let [id, other] = [second, first].map(|read| printable(&read.framework.logical_id));
            diagnostics.report(rule, second.id, format!("the framework `{id}` has the same {what} as `{other}`"), help);
        }
    };
    for framework in frameworks.iter().filter(|framework| framework.is_there) {
        if let Resolved::Text(name) = &framework.framework.name {
            let first = *by_name.entry(name).or_insert(framework);
            let help = "AWS Backup rejects the second: change its `FrameworkName`";
            report(&controls::EQUAL_NAMES, "name", [framework, first], help);
        }
        if let Some(own) = known_controls(framework) {
            let first = *by_controls.entry(own).or_insert(framework);
            let help = "AWS Backup rejects the second: keep one, or change a control or parameter";
            report(&controls::EQUAL_FRAMEWORKS, "controls", [framework, first], help);
        }
    }
}
