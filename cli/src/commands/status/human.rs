//! The status for people: one screen.

use app::deploy::Phase;
use app::lifecycle::RequestKind;
use app::status::{Cause, EndedStatus, FrameworkStatus, Live, RunningOperation, Status};
use console::style;
use domain::ids::RegionName;
use jiff::Timestamp;

use crate::plain::{self, count, shown};

/// Causes that are named of a framework; the rest are counted.
const CAUSES: usize = 5;
/// Regions that are named.
const REGIONS: usize = 6;

pub(super) fn page(status: &Status) -> String {
    let mut lines = Vec::new();
    if status.removing {
        lines.push(style("the application is being removed").yellow().to_string());
    }
    for request in &status.requests {
        let kind = match request.kind {
            RequestKind::Create => "Create",
            RequestKind::Update => "Update",
            RequestKind::Delete => "Delete",
        };
        let (resource, since) = (shown(&request.resource), ago(request.since, status.at));
        lines.push(format!("CloudFormation waits for the answer to {kind} of {resource}, {since}"));
    }
    match (&status.rejected, &status.head) {
        (Some(rejected), Some(head)) if rejected == head => {
            let text = format!(
                "the policy at the head of the branch ({}) is rejected: nothing of it is in force",
                head.short()
            );
            lines.push(style(text).red().to_string());
        }
        (Some(rejected), None) => {
            lines.push(format!(
                "the last policy that was rejected is that of {}; --live tells whether it still is the head",
                rejected.short()
            ));
        }
        _ => {}
    }
    if !lines.is_empty() {
        lines.push(String::new());
    }
    for framework in &status.frameworks {
        lines.extend(framework_lines(framework, status.at));
        lines.push(String::new());
    }
    lines.push(summary(status));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn framework_lines(framework: &FrameworkStatus, now: Timestamp) -> Vec<String> {
    let phase = match framework.phase {
        Phase::Running => style("rolling out").yellow(),
        Phase::Succeeded => style("rolled out").green(),
        Phase::Failed => style("failed").red(),
        Phase::Removing => style("being removed").yellow(),
        Phase::Left => style("left as it is").yellow(),
    };
    let undeclared = if framework.undeclared { ", no longer in the policy" } else { "" };
    let mut lines = vec![format!("{} {phase}{undeclared}", style(&framework.stack_set).bold())];
    let mut field = |name: &str, text: String| lines.push(format!("  {name:<10} {text}"));
    field(
        "commit",
        format!(
            "{} {} ({}), begun {}",
            framework.commit.short(),
            shown(&framework.message),
            shown(&framework.author),
            ago(framework.began, now)
        ),
    );
    if framework.accounts > 0 {
        field("where", place(framework.accounts, framework.regions.iter(), framework.regions.len()));
    }
    if let Some(operation) = &framework.operation {
        field("runs", running(operation, now));
    }
    if let Some(ended) = &framework.ended {
        field("ended", ended_text(ended, now));
        if let Some(trouble) = &ended.trouble {
            field("", style(shown(trouble)).red().to_string());
        }
        causes(&ended.causes).into_iter().for_each(|cause| field("", cause));
    }
    if framework.phase == Phase::Failed {
        let next = match framework.is_retried {
            true => {
                format!("the next full look tries again (attempt {} has failed); a push starts over", framework.attempt)
            }
            false => format!("tried {} times: not tried again before the next push", framework.attempt),
        };
        field("next", next);
    }
    if let Some(live) = &framework.live {
        field("now", live_text(live));
        causes(&live.causes).into_iter().for_each(|cause| field("", cause));
    }
    lines
}

fn ended_text(ended: &EndedStatus, now: Timestamp) -> String {
    let mut text = format!(
        "{} of {} as wanted, {}",
        ended.succeeded,
        count(plain::number(ended.total), "instance"),
        ago(ended.at, now)
    );
    if ended.failed > 0 {
        text.push_str(&format!("; {}", style(format!("{} not", ended.failed)).red()));
    }
    if ended.skipped > 0 {
        text.push_str(&format!("; {} left alone by StackSets", ended.skipped));
    }
    text
}

fn running(operation: &RunningOperation, now: Timestamp) -> String {
    let since = operation.since.map(|since| format!(", started {}", ago(since, now))).unwrap_or_default();
    let instances = count(plain::number(operation.instances), "instance");
    format!("{} on {instances}{since} (operation {})", operation.operation, operation.id)
}

fn live_text(live: &Live) -> String {
    if !live.exists {
        return style("there is no such StackSet").red().to_string();
    }
    let statuses: Vec<String> =
        live.instances.iter().map(|(status, number)| format!("{number} {}", shown(status))).collect();
    let statuses = if statuses.is_empty() { "no instances".to_owned() } else { statuses.join(", ") };
    let busy = if live.busy { "; the operation is going on" } else { "" };
    format!("{statuses} in {}{busy}", place(live.accounts, live.regions.iter(), live.regions.len()))
}

fn place<'a>(accounts: usize, regions: impl Iterator<Item = &'a RegionName>, number: usize) -> String {
    let mut named: Vec<&str> = regions.take(REGIONS).map(RegionName::as_str).collect();
    if number > REGIONS {
        named.push("…");
    }
    let (accounts, regions) = (count(plain::number(accounts), "account"), count(plain::number(number), "Region"));
    format!("{accounts} x {regions}: {}", named.join(", "))
}

fn causes(causes: &[Cause]) -> Vec<String> {
    let mut lines: Vec<String> = causes
        .iter()
        .take(CAUSES)
        .map(|cause| {
            let first: Vec<String> = cause.first.iter().map(ToString::to_string).collect();
            let more = if cause.instances > first.len() { ", …" } else { "" };
            format!("{} {}: {}: {}{more}", cause.instances, cause.outcome, shown(&cause.reason), first.join(", "))
        })
        .collect();
    let rest = causes.len().saturating_sub(CAUSES);
    if rest > 0 {
        lines.push(format!("and {}", count(plain::number(rest), "further cause")));
    }
    lines
}

fn summary(status: &Status) -> String {
    if status.frameworks.is_empty() {
        return "no framework was ever rolled out".to_owned();
    }
    let number = |phase: Phase| status.frameworks.iter().filter(|framework| framework.phase == phase).count();
    let parts: Vec<String> = [
        (number(Phase::Succeeded), "rolled out"),
        (number(Phase::Running), "rolling out"),
        (number(Phase::Removing), "being removed"),
        (number(Phase::Left), "left as they are"),
        (number(Phase::Failed), "failed"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, what)| format!("{number} {what}"))
    .collect();
    format!("{}: {}", count(plain::number(status.frameworks.len()), "framework"), parts.join(", "))
}

/// How long ago, in the largest unit that says something.
fn ago(then: Timestamp, now: Timestamp) -> String {
    let minutes = now.duration_since(then).as_mins();
    let (number, unit) = match minutes {
        i64::MIN..=0 => return "just now".to_owned(),
        1..=119 => (minutes, "minute"),
        120..=2_879 => (minutes / 60, "hour"),
        _ => (minutes / 60 / 24, "day"),
    };
    format!("{} ago", count(number.unsigned_abs(), unit))
}
