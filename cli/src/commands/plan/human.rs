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
use syntax::diagnostic::Diagnostic;

use super::{Planned, PlannedState};
use crate::findings::human::place;
use crate::plain::{blocks, count, escaped, positive, time};
use crate::table::{self, Column};

const GROUPS: usize = 40;
const NAMED: usize = 3;

const COLUMNS: [Column; 6] = [
    Column::new("ACTION", 9),
    Column::new("INSTANCES", 9),
    Column::new("ACCOUNTS", 14),
    Column::new("REGIONS", 12),
    Column::new("OVERRIDES", 9),
    Column::new("REASON", 16),
];

/// Formats the plan; tables are at most `room` columns wide.
pub(super) fn page(subject: &PlannedState, planned: &Planned, all: bool, room: Option<usize>) -> String {
    let mut parts = match planned {
        Ok(outlook) => push_blocks(outlook, all, room),
        Err(diagnostics) => {
            let rejected = format!("a push would be rejected: {}", count(diagnostics.len(), "finding"));
            diagnostics.iter().map(diagnostic).chain([vec![rejected]]).collect()
        }
    };
    parts.push(subject.notes.iter().map(|note| style(format!("note: {note}")).dim().to_string()).collect());
    blocks(parts)
}

fn diagnostic(diagnostic: &Diagnostic) -> Vec<String> {
    let mut lines = vec![format!("{} {}", place(diagnostic), style(&diagnostic.message).red())];
    lines.extend(diagnostic.excerpt.iter().flat_map(|excerpt| excerpt.lines()).map(|line| format!("    {line}")));
    lines.push(format!("  {} {}", style("fix:").green().bold(), diagnostic.help));
    lines
}

fn push_blocks(outlook: &PushPlan, all: bool, room: Option<usize>) -> Vec<Vec<String>> {
    let removing = style("the application is being removed: nothing is rolled out").yellow().to_string();
    let removing = outlook.removing.then(|| vec![removing]);
    let frameworks = outlook.frameworks.iter();
    let frameworks = frameworks
        .map(|framework| plan_lines(&framework.plan, all, room).into_iter().chain(deferral(framework)).collect());
    let undeclared = outlook.undeclared.iter().map(|undeclared| undeclared_lines(undeclared, all, room));
    removing.into_iter().chain(frameworks).chain(undeclared).chain([vec![summary(outlook)]]).collect()
}

fn deferral(framework: &FrameworkPlan) -> Option<String> {
    if let Some(busy) = &framework.running_operation {
        let since = busy.recorded_at.map(|since| format!(" since {}", time(since))).unwrap_or_default();
        let (operation, size) = (busy.operation.api_name(), count(busy.size, "instance"));
        let effect = "deploy waits for its end, and the plan shows the state before it";
        return Some(style(format!("  {operation} runs{since} on {size}: {effect}")).yellow().to_string());
    }
    let text = "  The policy is unchanged since its rollout: not a push, but the next scheduled full reconciliation does this.";
    framework.left_to_full_reconciliation.then(|| text.to_owned())
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
        lines.extend((1..).zip(&plan.operations).map(|(number, one)| operation(number, one)));
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
        let (values, instances) = (overrides(&local.overrides), count(local.instances, "instance"));
        lines.push(format!("  with {values} instead ({instances}, {} for example):", local.example));
        if local.changes.is_empty() {
            lines.push("    nothing".to_owned());
        }
        lines.extend(local.changes.iter().map(|change| format!("    {}", change_line(change))));
    }
    if change.not_compared > 0 {
        let more = count(change.not_compared, "further combination");
        lines.push(format!("  {more} of parameter overrides not compared"));
    }
    lines
}

fn change_line(change: &DefinitionChange) -> String {
    let mark = match change {
        DefinitionChange::FrameworkAdded { .. } | DefinitionChange::ControlAdded { .. } => style("+").green(),
        DefinitionChange::FrameworkRemoved { .. } | DefinitionChange::ControlRemoved { .. } => style("-").red(),
        _ => style("~").yellow(),
    };
    format!("{mark} {}", escaped(&change.description()))
}

fn groups(plan: &RolloutPlan, room: Option<usize>) -> Vec<String> {
    let listed = plan.groups.get(..GROUPS).unwrap_or(&plan.groups);
    let rows: Vec<Vec<String>> = listed.iter().map(row).collect();
    let room = room.map(|room| room.saturating_sub(2));
    let color = |number: usize, cells: &mut [String]| {
        if let (Some(cell), Some(group)) = (cells.first_mut(), listed.get(number)) {
            *cell = colored(cell, group.action);
        }
    };
    let table = table::lines(&COLUMNS, &rows, room, color).unwrap_or_else(|| {
        // The terminal is too narrow for a table.
        let cut = |row: &Vec<String>| truncate_str(&row.join(" "), room.unwrap_or(usize::MAX), "…").into_owned();
        rows.iter().map(cut).collect()
    });
    let mut lines: Vec<String> = table.iter().map(|line| format!("  {line}")).collect();
    let rest = plan.groups.get(GROUPS..).unwrap_or_default();
    if !rest.is_empty() {
        let instances = count(rest.iter().map(PlannedGroup::size).sum::<usize>(), "instance");
        lines.push(format!("  and {} of {instances} (--all lists every instance)", count(rest.len(), "more group")));
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

fn instance_lines(plan: &RolloutPlan) -> Vec<String> {
    let lines = plan.groups.iter().flat_map(|group| {
        let set = group.overrides.as_ref().filter(|overrides| !overrides.is_empty());
        let rest = set.map(|set| format!(" with {}", overrides(set))).unwrap_or_default();
        let reason = Some(reason(group)).filter(|reason| !reason.is_empty());
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
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
    let pairs = parameters.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    if parameters.is_empty() { "-".to_owned() } else { pairs.collect::<Vec<_>>().join(", ") }
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
    let (concurrent, failed) = (amount(settings.max_concurrency), amount(settings.failure_tolerance));
    format!(
        "Operations: {regions}, in each {concurrent} at a time, stopping there when more than {failed} fail{strict}"
    )
}

fn operation(number: usize, planned: &PlannedOperation) -> String {
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
        let regions = match planned.waves.regions.len() {
            1 => String::new(),
            regions => format!(" in {regions} Regions"),
        };
        format!(" (up to {} at a time{regions})", count(region.concurrency, "account"))
    });
    let (instances, waves) = (count(planned.instances, "instance"), count(planned.waves.total, "wave"));
    format!("  {number}. {what}: {instances} in {waves}{}", at_once.unwrap_or_default())
}

fn summary(outlook: &PushPlan) -> String {
    let mut total = InstanceCounts::default();
    outlook.plans().for_each(|plan| total.add(plan.instances));
    let parts = positive([
        (total.create, "to create"),
        (total.update, "to update"),
        (total.delete, "to delete"),
        (total.retain, "to delete with retained stacks"),
        (total.unchanged, "unchanged"),
        (total.skipped, "skipped"),
    ]);
    let parts = if parts.is_empty() { "no instances" } else { &parts };
    if !outlook.is_change() {
        return format!("{}: {parts}", style("no changes").green());
    }
    let operations = count(outlook.plans().map(|plan| plan.operations.len()).sum::<usize>(), "operation");
    let waves = count(outlook.plans().map(RolloutPlan::waves).max().unwrap_or(0), "wave");
    format!("{}: {parts}; {operations}, {waves}", style("plan").bold())
}
