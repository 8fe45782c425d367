//! The human-readable plan.

use console::{style, truncate_str};

use app::plan::{FrameworkPlan, PushPlan, UndeclaredAction, UndeclaredFramework};
use domain::policy::{ConcurrencyMode, CountOrPercentage, RegionConcurrency, RolloutSettings};
use domain::rollout::plan::{
    DefinitionChange, FrameworkChange, InstanceAction, InstanceCounts, PlannedGroup, PlannedOperation, RolloutPlan,
    StackSetAction,
};
use domain::rollout::{Operation, Parameters};
use framework::ids::{AccountId, RegionName};
use syntax::diagnostic::{Diagnostic, Position};

use super::{Planned, Subject};
use crate::plain::{self, count, escaped};
use crate::table::{self, Column, Cut};

/// Maximum groups shown without --all.
const GROUPS: usize = 40;
/// Maximum accounts and Regions listed of a group.
const NAMED: usize = 3;

const COLUMNS: [Column; 6] = [
    column("ACTION", 9),
    column("INSTANCES", 9),
    column("ACCOUNTS", 14),
    column("REGIONS", 12),
    column("OVERRIDES", 9),
    column("REASON", 16),
];

const fn column(head: &'static str, least: usize) -> Column {
    Column { head, least, cut: Cut::End }
}

/// Formats the plan; tables are at most `room` columns wide.
pub(super) fn page(subject: &Subject, planned: &Planned, all: bool, room: Option<usize>) -> String {
    let mut lines = match planned {
        Ok(outlook) => push_lines(outlook, all, room),
        Err(diagnostics) => diagnostics.iter().flat_map(diagnostic).chain([rejected(diagnostics.len())]).collect(),
    };
    if !subject.notes.is_empty() {
        lines.push(String::new());
        lines.extend(subject.notes.iter().map(|note| style(format!("note: {note}")).dim().to_string()));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn diagnostic(diagnostic: &Diagnostic) -> Vec<String> {
    let position = match diagnostic.at {
        Some(Position { line, column }) => format!("{}:{line}:{column}:", escaped(&diagnostic.file)),
        None => format!("{}:", escaped(&diagnostic.file)),
    };
    let mut lines = vec![format!("{} {}", style(position).bold(), style(&diagnostic.message).red())];
    lines.extend(diagnostic.excerpt.iter().flat_map(|excerpt| excerpt.lines()).map(|line| format!("    {line}")));
    lines.push(format!("  {} {}", style("fix:").green().bold(), diagnostic.help));
    lines.push(String::new());
    lines
}

fn rejected(findings: usize) -> String {
    format!("a push would be rejected: {}", count(plain::to_u64(findings), "finding"))
}

fn push_lines(outlook: &PushPlan, all: bool, room: Option<usize>) -> Vec<String> {
    let mut lines = Vec::new();
    if outlook.removing {
        lines.push(style("the application is being removed: nothing is rolled out").yellow().to_string());
        lines.push(String::new());
    }
    for framework in &outlook.frameworks {
        lines.extend(plan_lines(&framework.plan, all, room));
        lines.extend(deferral(framework));
        lines.push(String::new());
    }
    for undeclared in &outlook.undeclared {
        lines.extend(undeclared_lines(undeclared, all, room));
        lines.push(String::new());
    }
    lines.push(summary(outlook));
    lines
}

fn deferral(framework: &FrameworkPlan) -> Option<String> {
    if let Some(busy) = &framework.running_operation {
        let since = busy.recorded_at.map(|since| format!(" since {}", plain::time(since))).unwrap_or_default();
        let text = format!(
            "  {} runs{since} on {}: deploy waits for its end, and the plan shows the state before it",
            busy.operation.api_name(),
            count(plain::to_u64(busy.size), "instance")
        );
        return Some(style(text).yellow().to_string());
    }
    framework.left_to_full_reconciliation.then(|| {
        "  The policy is unchanged since its rollout: not a push, but the next scheduled full reconciliation does this."
            .to_owned()
    })
}

fn undeclared_lines(undeclared: &UndeclaredFramework, all: bool, room: Option<usize>) -> Vec<String> {
    let name = style(&undeclared.name).bold();
    let text = match &undeclared.action {
        UndeclaredAction::Remove(plan) => return plan_lines(plan, all, room),
        UndeclaredAction::Keep => "has left the policy and stays; `removeUndeclared: true` would remove it",
        UndeclaredAction::OtherOwner => "has left the policy and stays, since another policy or user owns it",
        UndeclaredAction::Missing => "has left the policy and does not exist any more",
    };
    vec![format!("{name} {text}")]
}

fn plan_lines(plan: &RolloutPlan, all: bool, room: Option<usize>) -> Vec<String> {
    let fate = match plan.action {
        StackSetAction::Create => style("is created").green(),
        StackSetAction::Adopt => style("is adopted").yellow(),
        StackSetAction::Update => style("is updated").yellow(),
        StackSetAction::Keep if plan.is_change() => style("does not change, but its instances do").yellow(),
        StackSetAction::Keep => style("unchanged").green(),
        StackSetAction::Remove => style("has left the policy and is removed").red(),
    };
    let mut lines = vec![format!("{} {fate}", style(&plan.stack_set).bold())];
    lines.extend(framework(&plan.framework));
    if !plan.groups.is_empty() {
        lines.push(String::new());
        lines.extend(if all { instance_lines(plan) } else { groups(plan, room) });
    }
    if !plan.operations.is_empty() {
        lines.push(String::new());
        lines.push(format!("  {}", settings(&plan.settings)));
        lines.extend(plan.operations.iter().enumerate().map(|(index, one)| operation(index, one, &plan.settings)));
    }
    lines
}

fn framework(change: &FrameworkChange) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(reason) = &change.unreadable {
        let reason = escaped(reason);
        lines.push(format!("  the changes of the framework are unknown, since a template cannot be read: {reason}"));
    }
    lines.extend(change.changes.iter().map(|change| format!("  {}", change_line(change))));
    for local in &change.override_changes {
        lines.push(format!(
            "  with {} instead ({}, {} for example):",
            overrides(&local.overrides),
            count(plain::to_u64(local.instances), "instance"),
            local.example
        ));
        if local.changes.is_empty() {
            lines.push("    nothing".to_owned());
        }
        lines.extend(local.changes.iter().map(|change| format!("    {}", change_line(change))));
    }
    if change.not_compared > 0 {
        let more = count(plain::to_u64(change.not_compared), "further combination");
        lines.push(format!("  {more} of parameter overrides not compared"));
    }
    lines
}

fn change_line(change: &DefinitionChange) -> String {
    let (mark, text) = match change {
        DefinitionChange::FrameworkAdded { .. } | DefinitionChange::ControlAdded { .. } => {
            (style("+").green(), change.description())
        }
        DefinitionChange::FrameworkRemoved { .. } | DefinitionChange::ControlRemoved { .. } => {
            (style("-").red(), change.description())
        }
        _ => (style("~").yellow(), change.description()),
    };
    format!("{mark} {}", escaped(&text))
}

fn groups(plan: &RolloutPlan, room: Option<usize>) -> Vec<String> {
    let listed = plan.groups.get(..GROUPS).unwrap_or(&plan.groups);
    let rows: Vec<Vec<String>> = listed.iter().map(row).collect();
    let room = room.map(|room| room.saturating_sub(2));
    let mut lines = match table::widths(&COLUMNS, &rows, room) {
        // The terminal is too narrow for a table.
        None => rows
            .iter()
            .map(|row| format!("  {}", truncate_str(&row.join(" "), room.unwrap_or(usize::MAX), "…")))
            .collect(),
        Some(widths) => {
            let heads: Vec<String> = COLUMNS.iter().map(|column| column.head.to_owned()).collect();
            let head = style(table::line(&table::cells(&COLUMNS, &heads, &widths))).bold().to_string();
            let rows = rows.iter().zip(listed).map(|(row, group)| {
                let mut cells = table::cells(&COLUMNS, row, &widths);
                if let Some(cell) = cells.first_mut() {
                    *cell = colored(cell, group.action);
                }
                table::line(&cells)
            });
            std::iter::once(head).chain(rows).map(|line| format!("  {line}")).collect::<Vec<_>>()
        }
    };
    let rest = plan.groups.get(GROUPS..).unwrap_or_default();
    if !rest.is_empty() {
        let instances = rest.iter().map(PlannedGroup::size).fold(0, usize::saturating_add);
        lines.push(format!(
            "  and {} of {} (--all lists every instance)",
            count(plain::to_u64(rest.len()), "more group"),
            count(plain::to_u64(instances), "instance")
        ));
    }
    lines
}

fn row(group: &PlannedGroup) -> Vec<String> {
    vec![
        group.action.word().to_owned(),
        group.size().to_string(),
        first_names(group.accounts.iter().map(AccountId::as_str), group.accounts.len(), "accounts"),
        first_names(group.regions.iter().map(RegionName::as_str), group.regions.len(), "Regions"),
        match &group.overrides {
            Some(set) => overrides(set),
            None if group.action == InstanceAction::Skip => "-".to_owned(),
            None => "unknown".to_owned(),
        },
        reason(group),
    ]
}

fn reason(group: &PlannedGroup) -> String {
    let mut text = group.words();
    if let Some(before) = &group.overrides_before {
        text.push_str(&format!(" (from {})", overrides(before)));
    }
    if let Some(reason) = &group.status_reason {
        text.push_str(&format!(": {}", escaped(reason)));
    }
    text
}

/// Lists every instance on its own line.
fn instance_lines(plan: &RolloutPlan) -> Vec<String> {
    let lines = plan.groups.iter().flat_map(|group| {
        let rest = match group.overrides.as_ref().filter(|overrides| !overrides.is_empty()) {
            Some(set) => format!(" with {}", overrides(set)),
            None => String::new(),
        };
        let reason = match reason(group) {
            reason if reason.is_empty() => reason,
            reason => format!(": {reason}"),
        };
        let fate = colored(&format!("{:<9}", group.action.word()), group.action);
        group.instances().map(move |instance| format!("  {fate} {instance}{rest}{reason}"))
    });
    lines.collect()
}

fn colored(text: &str, fate: InstanceAction) -> String {
    let styled = match fate {
        InstanceAction::Create => style(text).green(),
        InstanceAction::Update => style(text).yellow(),
        InstanceAction::Delete | InstanceAction::Retain => style(text).red(),
        InstanceAction::Skip => style(text).magenta(),
        InstanceAction::Keep => style(text).dim(),
    };
    styled.to_string()
}

/// The first names, and the total number if there are more.
fn first_names<'a>(names: impl Iterator<Item = &'a str>, number: usize, noun: &str) -> String {
    let first: Vec<&str> = names.take(NAMED).collect();
    match number > NAMED {
        true => format!("{number} {noun}: {}, …", first.join(", ")),
        false => first.join(", "),
    }
}

fn overrides(parameters: &Parameters) -> String {
    let pairs: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
    if pairs.is_empty() { "-".to_owned() } else { pairs.join(", ") }
}

fn settings(settings: &RolloutSettings) -> String {
    let amount = |amount: CountOrPercentage| match amount {
        CountOrPercentage::Count(1) => "1 account".to_owned(),
        CountOrPercentage::Count(accounts) => format!("{accounts} accounts"),
        CountOrPercentage::Percentage(percent) => format!("{percent}% of the accounts"),
    };
    let regions = match settings.regions {
        RegionConcurrency::Parallel => "Regions in parallel",
        RegionConcurrency::Sequential => "Regions one after another",
    };
    let strict = match settings.mode {
        ConcurrencyMode::Soft => "",
        ConcurrencyMode::Strict => ", strictly",
    };
    format!(
        "Operations: {regions}, in each {} at a time, stopping there when more than {} fail{strict}",
        amount(settings.max_concurrency),
        amount(settings.failure_tolerance)
    )
}

fn operation(index: usize, planned: &PlannedOperation, settings: &RolloutSettings) -> String {
    let number = index.saturating_add(1);
    let what = match &planned.operation {
        Operation::ManagedExecution => return format!("  {number}. UpdateStackSet: managed execution is switched on"),
        Operation::DeleteInstances { retain: true, .. } => "DeleteStackInstances, retaining the stacks",
        other => other.api_name(),
    };
    if planned.instances == 0 {
        return format!("  {number}. {what}: only for accounts that join later");
    }
    let busiest = planned.waves.regions.iter().max_by_key(|region| region.waves);
    let at_once = busiest.map(|region| {
        let regions = match (planned.waves.regions.len(), settings.regions) {
            (1, _) => String::new(),
            (regions, _) => format!(" in {regions} Regions"),
        };
        format!(" (up to {} at a time{regions})", count(plain::to_u64(region.concurrency), "account"))
    });
    format!(
        "  {number}. {what}: {} in {}{}",
        count(plain::to_u64(planned.instances), "instance"),
        count(plain::to_u64(planned.waves.total), "wave"),
        at_once.unwrap_or_default()
    )
}

fn summary(outlook: &PushPlan) -> String {
    let mut total = InstanceCounts::default();
    let (mut operations, mut waves) = (0_usize, 0_usize);
    for plan in outlook.plans() {
        total.add(plan.instances);
        operations = operations.saturating_add(plan.operations.len());
        waves = waves.max(plan.waves());
    }
    let parts: Vec<String> = [
        (total.create, "to create"),
        (total.update, "to update"),
        (total.delete, "to delete"),
        (total.retain, "to delete with retained stacks"),
        (total.unchanged, "unchanged"),
        (total.skipped, "skipped"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, what)| format!("{number} {what}"))
    .collect();
    let parts = if parts.is_empty() { "no instances".to_owned() } else { parts.join(", ") };
    if !outlook.is_change() {
        return format!("{}: {parts}", style("no changes").green());
    }
    let (operations, waves) = (count(plain::to_u64(operations), "operation"), count(plain::to_u64(waves), "wave"));
    format!("{}: {parts}; {operations}, {waves}", style("plan").bold())
}
