//! Plans and their rules.

use syntax::template::{Part, TemplateResource};
use syntax::text::printable;

use super::{AIR_GAPPED_VAULT, Context, Reporter, VAULT, arn_text, number, partial_text};
use crate::backup::lifecycle::LifecycleDays;
use crate::backup::schedule::{self, Schedule};
use crate::backup::{Given, Rejection, arn, name};
use crate::rules::{plans, vaults};

const DAYS: &[&str] = &["DeleteAfterDays", "MoveToColdStorageAfterDays"];

pub(super) fn check(
    reporter: &mut Reporter<'_, '_, '_, '_>,
    context: &Context<'_, '_>,
    resource: &TemplateResource<'_>,
) {
    let Some(plan) = resource.properties.get("BackupPlan").filter(|plan| plan.entries().is_some()) else { return };
    reporter.name(&plans::NAME, plan, name::PLAN);
    let rules = plan.get("BackupPlanRule");
    match rules.map(|rules| (rules, rules.items())) {
        None | Some((_, Some([]))) => {
            let at = rules.unwrap_or(plan).at;
            let message = format!("the plan `{}` has no rules", printable(resource.logical_id));
            let help = "add a rule to `BackupPlanRule` with `RuleName`, `TargetBackupVault` and `ScheduleExpression`";
            reporter.report(&plans::NO_RULES, at, Rejection::new("BackupPlanRule", message, help));
        }
        Some((_, Some(items))) => {
            items.iter().filter(|item| item.entries().is_some()).for_each(|item| rule(reporter, context, item));
        }
        Some((_, None)) => {}
    }
}

/// Checks a rule.
fn rule(reporter: &mut Reporter<'_, '_, '_, '_>, context: &Context<'_, '_>, rule: &Part) {
    reporter.name(&plans::NAME, rule, name::RULE);
    lifecycle(reporter, rule);
    schedule(reporter, rule);
    windows(reporter, rule);
    targets(reporter, context, rule);
    let copies = rule.get("CopyActions").and_then(Part::items).unwrap_or_default();
    for copy in copies {
        if let Some(lifecycle) = copy.get("Lifecycle").filter(|part| part.entries().is_some()) {
            for rejection in lifecycle_days(Some(lifecycle)).rejections() {
                reporter.report_in(&plans::LIFECYCLE, lifecycle, rejection);
            }
            reporter.integers(&plans::LIFECYCLE, lifecycle, DAYS);
        }
    }
    failed_jobs(reporter, context, rule, copies);
}

fn lifecycle_days(lifecycle: Option<&Part>) -> LifecycleDays {
    match lifecycle {
        None => LifecycleDays::default(),
        Some(part) if part.entries().is_some() => LifecycleDays {
            cold_after: number(part.get("MoveToColdStorageAfterDays")),
            delete_after: number(part.get("DeleteAfterDays")),
        },
        Some(_) => LifecycleDays { cold_after: Given::Unknown, delete_after: Given::Unknown },
    }
}

fn lifecycle(reporter: &mut Reporter<'_, '_, '_, '_>, rule: &Part) {
    let lifecycle = rule.get("Lifecycle");
    let days = lifecycle_days(lifecycle);
    let is_continuous = rule.get("EnableContinuousBackup").and_then(Part::as_text) == Some("true");
    let mapping = lifecycle.filter(|part| part.entries().is_some());
    if let Some(mapping) = mapping {
        reporter.integers(&plans::LIFECYCLE, mapping, DAYS);
    }
    let found = if is_continuous { days.out_of_range() } else { days.rejections() };
    let is_in_range = found.is_empty();
    for rejection in found {
        reporter.report_in(&plans::LIFECYCLE, mapping.unwrap_or(rule), rejection);
    }
    if is_continuous && is_in_range {
        for rejection in days.continuous_rejections() {
            let at = mapping.and_then(|mapping| mapping.get(rejection.property)).or(mapping);
            let at = at.or_else(|| rule.get("EnableContinuousBackup")).unwrap_or(rule).at;
            reporter.report(&plans::CONTINUOUS, at, rejection);
        }
    }
}

fn schedule(reporter: &mut Reporter<'_, '_, '_, '_>, rule: &Part) {
    let Some(part) = rule.get("ScheduleExpression") else { return };
    let Some(expression) = part.as_text() else { return };
    if let Some(rejection) = schedule::rejection(expression) {
        reporter.report(&plans::SCHEDULE, part.at, rejection);
    } else if let Some(rejection) = schedule::too_frequent(expression) {
        reporter.report(&plans::TOO_FREQUENT, part.at, rejection);
    } else if let Some(doubt) = schedule::cron_instead_of_rate(expression) {
        reporter.report(&plans::RATE, part.at, doubt);
    } else if Schedule::parse(expression).is_ok_and(|schedule| !schedule.ever_runs()) {
        let message = format!("the schedule `{}` never runs: no month has its day", printable(expression));
        let help = "write a day that the months have, or `L` for the last day of a month";
        reporter.report(&plans::NEVER_RUNS, part.at, Rejection::new("ScheduleExpression", message, help));
    }
}

/// Checks the start and completion windows (API reference, `BackupRuleInput`).
fn windows(reporter: &mut Reporter<'_, '_, '_, '_>, rule: &Part) {
    const LEAST: i64 = 60;
    const START: &str = "StartWindowMinutes";
    const COMPLETION: &str = "CompletionWindowMinutes";
    reporter.integers(&plans::WINDOW, rule, &[START, COMPLETION]);
    let start = number(rule.get(START)).known();
    if let Some(start) = start.filter(|start| *start < LEAST) {
        let message = format!("`{START}` is {start}; AWS Backup accepts {LEAST} or more");
        reporter.report_in(
            &plans::WINDOW,
            rule,
            Rejection::new(START, message, format!("write `{START}: {LEAST}` or more")),
        );
    }
    if let (Some(start), Some(completion)) = (start, number(rule.get(COMPLETION)).known())
        && completion <= start
    {
        let message = format!("`{COMPLETION}` is {completion} and does not exceed `{START}`, which is {start}");
        let help = format!("write `{COMPLETION}: {}` or more", start.max(LEAST).saturating_add(LEAST));
        reporter.report_in(&plans::WINDOW, rule, Rejection::new(COMPLETION, message, help));
    }
}

/// Checks the target vaults of a rule and its copies.
fn targets(reporter: &mut Reporter<'_, '_, '_, '_>, context: &Context<'_, '_>, rule: &Part) {
    const COPY: &str = "DestinationBackupVaultArn";
    const AIR_GAPPED: &str = "TargetLogicallyAirGappedBackupVaultArn";
    const TARGET: &str = "TargetBackupVault";
    let copies = rule.get("CopyActions").and_then(Part::items).unwrap_or_default();
    let of_copies = copies.iter().filter_map(|copy| Some((COPY, copy.get(COPY)?)));
    for (property, part) in of_copies.chain(rule.get(AIR_GAPPED).map(|part| (AIR_GAPPED, part))) {
        let rejection = match context.vault(part) {
            Some((id, None | Some("BackupVaultName"))) => {
                let message = format!("`{property}` is the name of the vault `{}`", printable(id));
                Some(Rejection::new(property, message, format!("write `!GetAtt {id}.BackupVaultArn`")))
            }
            Some(_) => None,
            None => arn_text(part).and_then(|text| arn::vault(property, &text)),
        };
        if let Some(rejection) = rejection {
            reporter.report(&plans::VAULT_ARN, part.at, rejection);
        }
    }
    let Some(part) = rule.get(TARGET) else { return };
    let help = match (context.vault(part), partial_text(part)) {
        (Some((id, Some("BackupVaultArn"))), _) => format!("write `!Ref {id}`"),
        (None, Some(text)) if text.starts_with("arn:") => "write the name of the vault, not its ARN".to_owned(),
        _ => return,
    };
    let message = format!("`{TARGET}` is an ARN; it must be the name of a vault");
    reporter.report(&plans::VAULT_ARN, part.at, Rejection::new(TARGET, message, help));
}

impl<'t> Context<'t, '_> {
    /// Returns the vault of the template that a value refers to, with the attribute.
    fn vault<'p>(&self, part: &'p Part) -> Option<(&'p str, Option<&'p str>)> {
        let (id, attribute) = part.reference()?;
        self.kinds.get(id).filter(|kind| matches!(**kind, VAULT | AIR_GAPPED_VAULT)).map(|_| (id, attribute))
    }
}

/// Reports targets of the template that fail every job. Copies without a lifecycle are not judged, because AWS does not document how
/// long they are kept.
fn failed_jobs(reporter: &mut Reporter<'_, '_, '_, '_>, context: &Context<'_, '_>, rule: &Part, copies: &[Part]) {
    let name = printable(rule.get("RuleName").and_then(Part::as_text).unwrap_or("?"));
    let targets = ["TargetBackupVault", "TargetLogicallyAirGappedBackupVaultArn"];
    let own = targets.iter().filter_map(|property| Some((rule.get(property)?, rule.get("Lifecycle"), rule)));
    let copied =
        copies.iter().filter_map(|copy| Some((copy.get("DestinationBackupVaultArn")?, copy.get("Lifecycle"), copy)));
    let copied = copied.filter(|(_, lifecycle, _)| lifecycle.is_some());
    for (target, lifecycle, mapping) in own.chain(copied) {
        let vault = match (context.vault(target), target.as_text()) {
            (Some((id, _)), _) => context.vaults.get(id),
            (None, Some(name)) => context.named.get(name).and_then(|id| context.vaults.get(id)),
            (None, None) => None,
        };
        let days = lifecycle_days(lifecycle);
        let Some(vault) = vault.filter(|_| days.delete_after != Given::Unknown && days.out_of_range().is_empty())
        else {
            continue;
        };
        if let Some(failed) = vault.lock.failed_job(days.kept(), &printable(vault.logical_id), &name) {
            let at = lifecycle.map_or(mapping.at, |part| part.get("DeleteAfterDays").unwrap_or(part).at);
            reporter.report(&vaults::FAILED_JOBS, at, failed);
        }
    }
}
