//! The plan for people.

use app::plan::{FrameworkOutlook, Outlook, Undeclared, UndeclaredFate};
use console::{style, truncate_str};
use domain::fault::{Fault, Position};
use domain::ids::{AccountId, RegionName};
use domain::policy::{Amount, ConcurrencyMode, RegionConcurrency, Rollout};
use domain::rollout::plan::{Alteration, Fate, FrameworkChange, Group, InstanceFate, Plan, PlannedOperation, Tally};
use domain::rollout::{Operation, Parameters};

use super::{Planned, Subject};
use crate::plain::{self, count, shown};
use crate::table::{self, Column, Cut};

/// Groups that are shown unless --all says otherwise.
const GROUPS: usize = 40;
/// Accounts and Regions that are named of a group.
const NAMED: usize = 3;

const COLUMNS: [Column; 6] = [
    column("FATE", 9),
    column("INSTANCES", 9),
    column("ACCOUNTS", 14),
    column("REGIONS", 12),
    column("OVERRIDES", 9),
    column("WHY", 16),
];

const fn column(head: &'static str, least: usize) -> Column {
    Column { head, least, cut: Cut::End }
}

/// The whole page; tables at most `room` wide.
pub(super) fn page(subject: &Subject, planned: &Planned, all: bool, room: Option<usize>) -> String {
    let mut lines = match planned {
        Ok(outlook) => outlook_lines(outlook, all, room),
        Err(faults) => faults.iter().flat_map(fault).chain([rejected(faults.len())]).collect(),
    };
    if !subject.notes.is_empty() {
        lines.push(String::new());
        lines.extend(subject.notes.iter().map(|note| style(format!("note: {note}")).dim().to_string()));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn fault(fault: &Fault) -> Vec<String> {
    let place = match fault.at {
        Some(Position { line, column }) => format!("{}:{line}:{column}:", shown(&fault.file)),
        None => format!("{}:", shown(&fault.file)),
    };
    let mut lines = vec![format!("{} {}", style(place).bold(), style(&fault.problem).red())];
    lines.extend(fault.excerpt.iter().flat_map(|excerpt| excerpt.lines()).map(|line| format!("    {line}")));
    lines.push(format!("  {} {}", style("fix:").green().bold(), fault.fix));
    lines.push(String::new());
    lines
}

fn rejected(findings: usize) -> String {
    format!("a push would be rejected: {}", count(plain::number(findings), "finding"))
}

fn outlook_lines(outlook: &Outlook, all: bool, room: Option<usize>) -> Vec<String> {
    let mut lines = Vec::new();
    if outlook.removing {
        lines.push(style("the application is being removed: nothing is rolled out").yellow().to_string());
        lines.push(String::new());
    }
    for framework in &outlook.frameworks {
        lines.extend(plan_lines(&framework.plan, all, room));
        lines.extend(circumstances(framework));
        lines.push(String::new());
    }
    for undeclared in &outlook.undeclared {
        lines.extend(undeclared_lines(undeclared, all, room));
        lines.push(String::new());
    }
    lines.push(summary(outlook));
    lines
}

fn circumstances(framework: &FrameworkOutlook) -> Option<String> {
    if let Some(busy) = &framework.busy {
        let since = busy.since.map(|since| format!(" since {}", plain::time(since))).unwrap_or_default();
        let text = format!(
            "  {} runs{since} on {}: deploy waits for its end, and this is how things are before it",
            busy.operation.api(),
            count(plain::number(busy.size), "instance")
        );
        return Some(style(text).yellow().to_string());
    }
    framework.left_to_full_look.then(|| {
        "  The policy has not changed since it was rolled out: a push does not look, the full look of the schedule does this."
            .to_owned()
    })
}

fn undeclared_lines(undeclared: &Undeclared, all: bool, room: Option<usize>) -> Vec<String> {
    let name = style(&undeclared.name).bold();
    let text = match &undeclared.fate {
        UndeclaredFate::Removed(plan) => return plan_lines(plan, all, room),
        UndeclaredFate::Left => {
            "has left the policy and stays as it is; `removeUndeclared: true` would have it removed"
        }
        UndeclaredFate::NotOurs => "has left the policy and is no longer ours: it stays as it is",
        UndeclaredFate::Gone => "has left the policy and is gone",
    };
    vec![format!("{name} {text}")]
}

fn plan_lines(plan: &Plan, all: bool, room: Option<usize>) -> Vec<String> {
    let fate = match plan.fate {
        Fate::Create => style("is created").green(),
        Fate::Adopt => style("is taken over").yellow(),
        Fate::Update => style("is updated").yellow(),
        Fate::Keep if plan.is_change() => style("stays as it is, instances change").yellow(),
        Fate::Keep => style("unchanged").green(),
        Fate::Remove => style("has left the policy and is removed").red(),
    };
    let mut lines = vec![format!("{} {fate}", style(&plan.stack_set).bold())];
    lines.extend(framework(&plan.framework));
    if !plan.groups.is_empty() {
        lines.push(String::new());
        lines.extend(if all { every(plan) } else { groups(plan, room) });
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
    if let Some(why) = &change.unreadable {
        let why = shown(why);
        lines.push(format!(
            "  what changes in the framework cannot be told, the deployed template cannot be read: {why}"
        ));
    }
    lines.extend(change.changes.iter().map(|change| format!("  {}", alteration(change))));
    for local in &change.elsewhere {
        lines.push(format!(
            "  with {} instead ({}, {} for example):",
            overrides(&local.overrides),
            count(plain::number(local.instances), "instance"),
            local.for_example
        ));
        if local.changes.is_empty() {
            lines.push("    nothing".to_owned());
        }
        lines.extend(local.changes.iter().map(|change| format!("    {}", alteration(change))));
    }
    if change.not_compared > 0 {
        let more = count(plain::number(change.not_compared), "further combination");
        lines.push(format!("  {more} of parameter overrides not compared"));
    }
    lines
}

fn alteration(change: &Alteration) -> String {
    let (mark, text) = match change {
        Alteration::FrameworkAdded { .. } | Alteration::ControlAdded { .. } => (style("+").green(), change.words()),
        Alteration::FrameworkRemoved { .. } | Alteration::ControlRemoved { .. } => (style("-").red(), change.words()),
        _ => (style("~").yellow(), change.words()),
    };
    format!("{mark} {}", shown(&text))
}

fn groups(plan: &Plan, room: Option<usize>) -> Vec<String> {
    let listed = plan.groups.get(..GROUPS).unwrap_or(&plan.groups);
    let rows: Vec<Vec<String>> = listed.iter().map(row).collect();
    let room = room.map(|room| room.saturating_sub(2));
    let mut lines = match table::widths(&COLUMNS, &rows, room) {
        // Too narrow for a table.
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
                    *cell = coloured(cell, group.fate);
                }
                table::line(&cells)
            });
            std::iter::once(head).chain(rows).map(|line| format!("  {line}")).collect::<Vec<_>>()
        }
    };
    let rest = plan.groups.get(GROUPS..).unwrap_or_default();
    if !rest.is_empty() {
        let instances = rest.iter().map(Group::size).fold(0, usize::saturating_add);
        lines.push(format!(
            "  and {} of {} (--all names every instance)",
            count(plain::number(rest.len()), "more group"),
            count(plain::number(instances), "instance")
        ));
    }
    lines
}

fn row(group: &Group) -> Vec<String> {
    vec![
        group.fate.word().to_owned(),
        group.size().to_string(),
        some(group.accounts.iter().map(AccountId::as_str), group.accounts.len(), "accounts"),
        some(group.regions.iter().map(RegionName::as_str), group.regions.len(), "Regions"),
        match &group.overrides {
            Some(given) => overrides(given),
            None if group.fate == InstanceFate::Skip => "-".to_owned(),
            None => "unknown".to_owned(),
        },
        why(group),
    ]
}

fn why(group: &Group) -> String {
    let mut text = group.words();
    if let Some(before) = &group.overrides_before {
        text.push_str(&format!(" (from {})", overrides(before)));
    }
    if let Some(reason) = &group.reason {
        text.push_str(&format!(": {}", shown(reason)));
    }
    text
}

/// Every instance on a line of its own.
fn every(plan: &Plan) -> Vec<String> {
    let lines = plan.groups.iter().flat_map(|group| {
        let rest = match group.overrides.as_ref().filter(|overrides| !overrides.is_empty()) {
            Some(given) => format!(" with {}", overrides(given)),
            None => String::new(),
        };
        let why = match why(group) {
            why if why.is_empty() => why,
            why => format!(": {why}"),
        };
        let fate = coloured(&format!("{:<9}", group.fate.word()), group.fate);
        group.instances().map(move |instance| format!("  {fate} {instance}{rest}{why}"))
    });
    lines.collect()
}

fn coloured(text: &str, fate: InstanceFate) -> String {
    let styled = match fate {
        InstanceFate::Create => style(text).green(),
        InstanceFate::Update => style(text).yellow(),
        InstanceFate::Delete | InstanceFate::Retain => style(text).red(),
        InstanceFate::Skip => style(text).magenta(),
        InstanceFate::Keep => style(text).dim(),
    };
    styled.to_string()
}

/// The first names, and how many there are if that is more.
fn some<'a>(names: impl Iterator<Item = &'a str>, number: usize, noun: &str) -> String {
    let first: Vec<&str> = names.take(NAMED).collect();
    match number > NAMED {
        true => format!("{number} {noun}: {}, …", first.join(", ")),
        false => first.join(", "),
    }
}

fn overrides(parameters: &Parameters) -> String {
    let pairs: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{}={}", shown(name), shown(value))).collect();
    if pairs.is_empty() { "-".to_owned() } else { pairs.join(", ") }
}

fn settings(settings: &Rollout) -> String {
    let amount = |amount: Amount| match amount {
        Amount::Count(1) => "1 account".to_owned(),
        Amount::Count(accounts) => format!("{accounts} accounts"),
        Amount::Percentage(percent) => format!("{percent}% of the accounts"),
    };
    let regions = match settings.regions {
        RegionConcurrency::Parallel => "Regions in parallel",
        RegionConcurrency::Sequential => "Regions one after the other",
    };
    let strict = match settings.mode {
        ConcurrencyMode::Soft => "",
        ConcurrencyMode::Strict => ", strictly",
    };
    format!(
        "Operations: {regions}, in each {} at a time, stopping there when more than {} have failed{strict}",
        amount(settings.max_concurrency),
        amount(settings.failure_tolerance)
    )
}

fn operation(index: usize, planned: &PlannedOperation, settings: &Rollout) -> String {
    let number = index.saturating_add(1);
    let what = match &planned.operation {
        Operation::ManagedExecution => return format!("  {number}. UpdateStackSet: managed execution is switched on"),
        Operation::DeleteInstances { retain: true, .. } => "DeleteStackInstances, their stacks stay",
        other => other.api(),
    };
    if planned.instances == 0 {
        return format!("  {number}. {what}: accounts that join later only");
    }
    let busiest = planned.waves.regions.iter().max_by_key(|region| region.waves);
    let at_once = busiest.map(|region| {
        let regions = match (planned.waves.regions.len(), settings.regions) {
            (1, _) => String::new(),
            (regions, _) => format!(" in {regions} Regions"),
        };
        format!(" (up to {} at a time{regions})", count(plain::number(region.concurrency), "account"))
    });
    format!(
        "  {number}. {what}: {} in {}{}",
        count(plain::number(planned.instances), "instance"),
        count(plain::number(planned.waves.total), "wave"),
        at_once.unwrap_or_default()
    )
}

fn summary(outlook: &Outlook) -> String {
    let mut total = Tally::default();
    let (mut operations, mut waves) = (0_usize, 0_usize);
    for plan in outlook.plans() {
        let Tally { create, update, delete, retain, unchanged, skipped } = plan.instances;
        total.create = total.create.saturating_add(create);
        total.update = total.update.saturating_add(update);
        total.delete = total.delete.saturating_add(delete);
        total.retain = total.retain.saturating_add(retain);
        total.unchanged = total.unchanged.saturating_add(unchanged);
        total.skipped = total.skipped.saturating_add(skipped);
        operations = operations.saturating_add(plan.operations.len());
        waves = waves.max(plan.waves());
    }
    let parts: Vec<String> = [
        (total.create, "to create"),
        (total.update, "to update"),
        (total.delete, "to delete"),
        (total.retain, "to let go of, their stacks stay"),
        (total.unchanged, "unchanged"),
        (total.skipped, "skipped"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, what)| format!("{number} {what}"))
    .collect();
    let parts = if parts.is_empty() { "no instances".to_owned() } else { parts.join(", ") };
    if !outlook.is_change() {
        return format!("{}: {parts}", style("nothing to do").green());
    }
    let (operations, waves) = (count(plain::number(operations), "operation"), count(plain::number(waves), "wave"));
    format!("{}: {parts}; {operations}, {waves}", style("plan").bold())
}
