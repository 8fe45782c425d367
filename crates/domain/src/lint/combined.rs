//! How the parameters of a control go together, the controls of a framework, and the frameworks of a template.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::rules;
use crate::control::Kind;
use crate::fault::{Faults, Position};
use crate::framework::Narrowing;
use crate::framework::read::{Read, ReadControl};
use crate::template::Resolved;

const HOURS_A_DAY: u64 = 24;

pub(super) fn check(faults: &mut Faults<'_, '_>, frameworks: &[Read<'_>]) {
    for framework in frameworks {
        for control in &framework.controls {
            missing(faults, control);
            halves(faults, control);
            repeated_items(faults, control);
            bounds(faults, control);
            air_gap(faults, control);
            retention(faults, control);
        }
        covered(faults, framework);
        contradictions(faults, framework);
    }
    counts(faults, frameworks);
    equal(faults, frameworks);
}

/// The number that is in force: given, or the default if nobody can have given another.
fn number(control: &ReadControl<'_>, name: &str) -> Option<u64> {
    text(control, name)?.parse().ok()
}

fn text<'c>(control: &'c ReadControl<'_>, name: &str) -> Option<&'c str> {
    match control.given(name) {
        Some(given) => given.text.as_deref(),
        None if control.parameters_known => control.used.control.parameter(name)?.default,
        None => None,
    }
}

/// A period that is in force, in hours.
fn hours(control: &ReadControl<'_>, value: &str, unit: &str) -> Option<u64> {
    let value = number(control, value)?;
    match text(control, unit)? {
        "hours" => Some(value),
        "days" => value.checked_mul(HOURS_A_DAY),
        _ => None,
    }
}

/// Where a parameter's value stands; the control itself if it is not given.
fn place(control: &ReadControl<'_>, name: &str) -> Position {
    control.given(name).map_or(control.used.at, |given| given.value.at)
}

fn missing(faults: &mut Faults<'_, '_>, control: &ReadControl<'_>) {
    for parameter in control.used.control.parameters.iter().filter(|parameter| parameter.required) {
        if control.given(parameter.name).is_none() && control.parameters_known {
            let problem = format!("the control `{}` has no `{}`", control.used.control.name, parameter.name);
            let fix = format!("give it under `ControlInputParameters` as `ParameterName: {}`", parameter.name);
            faults.tell(&rules::MISSING_PARAMETER, control.name, problem, fix, Vec::new());
        }
    }
}

fn halves(faults: &mut Faults<'_, '_>, control: &ReadControl<'_>) {
    if !control.parameters_known {
        return;
    }
    for parameter in control.used.control.parameters {
        let Kind::Period { unit, .. } = parameter.kind else { continue };
        let (there, missing) = match (control.given(parameter.name), control.given(unit)) {
            (Some(value), None) => (value, unit),
            (None, Some(unit)) => (unit, parameter.name),
            _ => continue,
        };
        let default = control.used.control.parameter(missing).and_then(|parameter| parameter.default).unwrap_or("?");
        let problem = format!("`{}` is given without `{missing}`, which is then `{default}`", there.parameter.name);
        faults.tell(&rules::HALF_A_PERIOD, there.value, problem, format!("give `{missing}` too"), Vec::new());
    }
}

fn repeated_items(faults: &mut Faults<'_, '_>, control: &ReadControl<'_>) {
    for given in &control.given {
        let is_list =
            matches!(given.parameter.kind, Kind::RegionList | Kind::AccountList { .. } | Kind::ArnList { .. });
        let Some(text) = given.text.as_deref().filter(|_| is_list) else { continue };
        let mut seen = BTreeSet::new();
        let again = text.split(',').find(|item| !seen.insert(*item));
        if let Some(item) = again.filter(|item| !item.is_empty()) {
            let problem = format!("`{}` names `{}` twice", given.parameter.name, crate::ids::shown(item));
            faults.tell(&rules::REPEATED_ITEM, given.value, problem, "name each once", Vec::new());
        }
    }
}

const LONGEST_RETENTION: u64 = 36_500;

fn bounds(faults: &mut Faults<'_, '_>, control: &ReadControl<'_>) {
    let (Some(least), Some(most)) = (number(control, "minRetentionDays"), number(control, "maxRetentionDays")) else {
        return;
    };
    let at = place(control, "minRetentionDays");
    if least > most {
        let problem = format!("`minRetentionDays` is {least} and `maxRetentionDays` is {most}");
        faults.tell(&rules::LEAST_ABOVE_MOST, at, problem, "the least must not be more than the most", Vec::new());
    } else if (least, most) == (1, LONGEST_RETENTION) {
        let problem = "retention between 1 and 36500 days is what every vault lock has";
        faults.tell(&rules::NO_BOUNDS, at, problem, "leave both out, or say what you want", Vec::new());
    }
}

fn air_gap(faults: &mut Faults<'_, '_>, control: &ReadControl<'_>) {
    const RECOMMENDED: u64 = 7 * HOURS_A_DAY;
    if control.used.control.name != "RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT" {
        return;
    }
    if let Some(age) = age(control).filter(|age| *age < RECOMMENDED) {
        let problem = format!("recovery points in the air-gapped vault may be {} old", period(age));
        let fix = "AWS recommends 7 days or more, and not less than the time between copies";
        faults.tell(&rules::SHORT_AIR_GAP, place(control, "recoveryPointAgeValue"), problem, fix, Vec::new());
    }
}

fn age(control: &ReadControl<'_>) -> Option<u64> {
    hours(control, "recoveryPointAgeValue", "recoveryPointAgeUnit")
}

fn frequency(control: &ReadControl<'_>) -> Option<u64> {
    hours(control, "requiredFrequencyValue", "requiredFrequencyUnit")
}

fn retention(faults: &mut Faults<'_, '_>, control: &ReadControl<'_>) {
    let (Some(frequency), Some(days)) = (frequency(control), number(control, "requiredRetentionDays")) else { return };
    if days.saturating_mul(HOURS_A_DAY) < frequency {
        let problem = format!("backups are kept {} and made every {}", count(days, "day"), period(frequency));
        let at = place(control, "requiredRetentionDays");
        let fix = "keep them at least as long as until the next is made";
        faults.tell(&rules::RETENTION_BELOW_FREQUENCY, at, problem, fix, Vec::new());
    }
}

fn period(hours: u64) -> String {
    if hours > 0 && hours.is_multiple_of(HOURS_A_DAY) {
        count(hours / HOURS_A_DAY, "day")
    } else {
        count(hours, "hour")
    }
}

fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A use of a control for some resources beside one for all.
fn covered(faults: &mut Faults<'_, '_>, framework: &Read<'_>) {
    let whole = framework.controls.iter().filter(|control| control.is_known && control.used.scope.is_empty());
    // The first of each, to be found without looking at all of them for every one.
    let mut wholes: BTreeMap<(&str, &BTreeMap<String, String>), Position> = BTreeMap::new();
    for control in whole {
        wholes.entry((control.used.control.name, &control.used.parameters)).or_insert(control.used.at);
    }
    for control in &framework.controls {
        let used = &control.used;
        if used.scope.is_empty() || !control.parameters_known {
            continue;
        }
        if let Some(whole) = wholes.get(&(used.control.name, &used.parameters)) {
            let name = used.control.name;
            let problem = format!("the control `{name}` judges these resources anyway: {whole} has it without a scope");
            faults.tell(&rules::COVERED_CONTROL, used.at, problem, "remove one of the two", Vec::new());
        }
    }
}

/// Controls of one framework that judge the same and cannot be satisfied together.
fn contradictions(faults: &mut Faults<'_, '_>, framework: &Read<'_>) {
    const MOST_ALIKE: usize = 8;
    let named = |name: &'static str| {
        framework
            .controls
            .iter()
            .filter(move |control| control.used.control.name == name && control.used.scope.is_empty())
            // There should be one, and each is compared with each.
            .take(MOST_ALIKE)
    };
    let mut tell = |control: &ReadControl<'_>, parameter: &str, problem: String, fix: &str| {
        faults.tell(&rules::CONTRADICTION, place(control, parameter), problem, fix, Vec::new());
    };
    for plan in named("BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK") {
        let (every, kept) = (frequency(plan), number(plan, "requiredRetentionDays"));
        for control in named("BACKUP_LAST_RECOVERY_POINT_CREATED") {
            if let (Some(every), Some(age)) = (every, age(control))
                && age < every
            {
                let problem = format!(
                    "a recovery point may be {} old, but plans may run every {} ({})",
                    period(age),
                    period(every),
                    plan.used.at
                );
                tell(control, "recoveryPointAgeValue", problem, "allow at least the time between backups");
            }
        }
        for control in named("BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK") {
            if let (Some(kept), Some(needed)) = (kept, number(control, "requiredRetentionDays"))
                && kept < needed
            {
                let problem = format!(
                    "recovery points must be kept {}, but plans may keep them {} ({})",
                    count(needed, "day"),
                    count(kept, "day"),
                    plan.used.at
                );
                tell(control, "requiredRetentionDays", problem, "ask plans for as much retention as recovery points");
            }
        }
        locked(&mut tell, &mut named("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK"), plan);
    }
    for point in named("BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK") {
        locked(&mut tell, &mut named("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK"), point);
    }
}

/// Vault locks that end backups before this control lets them end.
fn locked<'c, 't: 'c>(
    tell: &mut impl FnMut(&ReadControl<'_>, &str, String, &str),
    locks: &mut dyn Iterator<Item = &'c ReadControl<'t>>,
    other: &ReadControl<'_>,
) {
    let Some(needed) = number(other, "requiredRetentionDays") else { return };
    for lock in locks {
        if let Some(most) = number(lock, "maxRetentionDays").filter(|most| *most < needed) {
            let problem = format!(
                "vaults may keep backups {} at most, but they must be kept {} ({})",
                count(most, "day"),
                count(needed, "day"),
                other.used.at
            );
            tell(lock, "maxRetentionDays", problem, "let vaults keep backups at least as long as they must be kept");
        }
    }
}

/// Quotas of an account in a Region (AWS Backup developer guide, "AWS Backup quotas").
pub(super) const CONTROLS: usize = 50;
pub(super) const FRAMEWORKS: usize = 15;

/// More than these quotas.
fn counts(faults: &mut Faults<'_, '_>, frameworks: &[Read<'_>]) {
    // Of those that a condition decides nobody knows how many there are at once.
    let frameworks: Vec<&Read<'_>> = frameworks.iter().filter(|framework| framework.is_there).collect();
    let mut controls = frameworks.iter().flat_map(|framework| &framework.controls);
    let number = controls.clone().count();
    if let Some(first) = controls.nth(CONTROLS) {
        let problem = format!("the frameworks have {number} controls, and an account may have {CONTROLS} in a Region");
        let fix = "use fewer, or ask AWS for a higher quota in every account";
        faults.tell(&rules::TOO_MANY, first.used.at, problem, fix, Vec::new());
    }
    if let Some(first) = frameworks.get(FRAMEWORKS) {
        let problem =
            format!("there are {} frameworks, and an account may have {FRAMEWORKS} in a Region", frameworks.len());
        let fix = "put their controls into fewer, or ask AWS for a higher quota in every account";
        faults.tell(&rules::TOO_MANY, first.id, problem, fix, Vec::new());
    }
}

/// A control as Audit Manager compares it: name, parameters, scope.
type Compared<'f> = (&'static str, Vec<(&'f str, &'f str)>, Narrowing);

/// The controls of a framework in an order of their own, if all of them are known.
pub(super) fn compared<'f>(framework: &'f Read<'_>) -> Option<Vec<Compared<'f>>> {
    if !framework.is_known || framework.controls.is_empty() {
        return None;
    }
    let mut controls: Vec<Compared<'f>> = framework
        .controls
        .iter()
        .map(|control| {
            let used = &control.used;
            let parameters = used.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            (used.control.name, parameters, used.scope.clone().sorted())
        })
        .collect();
    controls.sort_unstable();
    Some(controls)
}

/// Frameworks that are in an account and Region together, for certain: conditions may shut each other out.
fn equal(faults: &mut Faults<'_, '_>, frameworks: &[Read<'_>]) {
    let mut seen: BTreeMap<Vec<Compared<'_>>, &Read<'_>> = BTreeMap::new();
    let mut named: BTreeMap<&str, &Read<'_>> = BTreeMap::new();
    for framework in frameworks.iter().filter(|framework| framework.is_there) {
        let of = |read: &Read<'_>| crate::ids::shown(&read.framework.logical_id);
        if let Resolved::Text(name) = &framework.framework.name {
            match named.entry(name) {
                Entry::Occupied(first) => {
                    let problem = format!("the framework `{}` has the name of `{}`", of(framework), of(first.get()));
                    let fix = "AWS Backup refuses the second: give it another `FrameworkName`";
                    faults.tell(&rules::EQUAL_NAMES, framework.id, problem, fix, Vec::new());
                }
                Entry::Vacant(entry) => {
                    entry.insert(framework);
                }
            }
        }
        let Some(controls) = compared(framework) else { continue };
        match seen.entry(controls) {
            Entry::Occupied(first) => {
                let problem = format!("the framework `{}` has the controls of `{}`", of(framework), of(first.get()));
                let fix = "AWS Backup refuses the second: keep one, or let a control or parameter differ";
                faults.tell(&rules::EQUAL_FRAMEWORKS, framework.id, problem, fix, Vec::new());
            }
            Entry::Vacant(entry) => {
                entry.insert(framework);
            }
        }
    }
}
