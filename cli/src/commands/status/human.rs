//! The human-readable status: one screen.

use console::style;
use jiff::Timestamp;

use app::deploy::Phase;
use app::lifecycle::RequestKind;
use app::status::{CommonCause, EndedStatus, FrameworkStatus, LiveState, RolloutStatus, RunningOperation};
use framework::ids::RegionName;

use crate::plain::{self, count, escaped};

/// Maximum causes listed of a framework; the rest are counted.
const CAUSES: usize = 5;
/// Maximum Regions listed.
const REGIONS: usize = 6;

pub(super) fn page(status: &RolloutStatus) -> String {
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
        let (resource, since) = (escaped(&request.resource), ago(request.since, status.at));
        lines.push(format!("CloudFormation waits for the answer to {kind} of {resource}, {since}"));
    }
    match (&status.rejected, &status.head) {
        (Some(rejected), Some(head)) if rejected == head => {
            let text =
                format!("the policy at the head of the branch ({}) is rejected: it is not in force", head.short());
            lines.push(style(text).red().to_string());
        }
        (Some(rejected), None) => {
            lines.push(format!(
                "the policy at {} was rejected; --live shows whether it is still the head",
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
        Phase::Abandoned => style("not managed any more").yellow(),
    };
    let undeclared = if framework.undeclared { ", no longer in the policy" } else { "" };
    let mut lines = vec![format!("{} {phase}{undeclared}", style(&framework.stack_set).bold())];
    let mut field = |name: &str, text: String| lines.push(format!("  {name:<10} {text}"));
    field(
        "commit",
        format!(
            "{} {} ({}), begun {}",
            framework.commit.short(),
            escaped(&framework.message),
            escaped(&framework.author),
            ago(framework.began, now)
        ),
    );
    if framework.accounts > 0 {
        field("where", locations(framework.accounts, framework.regions.iter(), framework.regions.len()));
    }
    if let Some(operation) = &framework.operation {
        field("runs", running(operation, now));
    }
    if let Some(ended) = &framework.ended {
        field("ended", ended_text(ended, now));
        if let Some(error) = &ended.error {
            field("", style(escaped(error)).red().to_string());
        }
        causes(&ended.causes).into_iter().for_each(|cause| field("", cause));
    }
    if framework.phase == Phase::Failed {
        let next = match framework.is_retried {
            true => {
                format!(
                    "the next full reconciliation retries (attempt {} has failed); a push starts over",
                    framework.attempt
                )
            }
            false => format!("no retry before the next push, after {} attempts", framework.attempt),
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
        "{} of {} as desired, {}",
        ended.succeeded,
        count(plain::to_u64(ended.total), "instance"),
        ago(ended.at, now)
    );
    if ended.failed > 0 {
        text.push_str(&format!("; {}", style(format!("{} not", ended.failed)).red()));
    }
    if ended.skipped > 0 {
        text.push_str(&format!("; {} skipped by StackSets", ended.skipped));
    }
    text
}

fn running(operation: &RunningOperation, now: Timestamp) -> String {
    let since = operation.since.map(|since| format!(", started {}", ago(since, now))).unwrap_or_default();
    let instances = count(plain::to_u64(operation.instances), "instance");
    format!("{} on {instances}{since} (operation {})", operation.operation, operation.id)
}

fn live_text(live: &LiveState) -> String {
    if !live.exists {
        return style("the StackSet does not exist").red().to_string();
    }
    let statuses: Vec<String> =
        live.instances.iter().map(|(status, number)| format!("{number} {}", escaped(status))).collect();
    let statuses = if statuses.is_empty() { "no instances".to_owned() } else { statuses.join(", ") };
    let busy = if live.busy { "; the operation is running" } else { "" };
    format!("{statuses} in {}{busy}", locations(live.accounts, live.regions.iter(), live.regions.len()))
}

fn locations<'a>(accounts: usize, regions: impl Iterator<Item = &'a RegionName>, number: usize) -> String {
    let mut named: Vec<&str> = regions.take(REGIONS).map(RegionName::as_str).collect();
    if number > REGIONS {
        named.push("…");
    }
    let (accounts, regions) = (count(plain::to_u64(accounts), "account"), count(plain::to_u64(number), "Region"));
    format!("{accounts} x {regions}: {}", named.join(", "))
}

fn causes(causes: &[CommonCause]) -> Vec<String> {
    let mut lines: Vec<String> = causes
        .iter()
        .take(CAUSES)
        .map(|cause| {
            let first: Vec<String> = cause.first.iter().map(ToString::to_string).collect();
            let more = if cause.instances > first.len() { ", …" } else { "" };
            format!("{} {}: {}: {}{more}", cause.instances, cause.outcome, escaped(&cause.reason), first.join(", "))
        })
        .collect();
    let rest = causes.len().saturating_sub(CAUSES);
    if rest > 0 {
        lines.push(format!("and {}", count(plain::to_u64(rest), "further cause")));
    }
    lines
}

fn summary(status: &RolloutStatus) -> String {
    if status.frameworks.is_empty() {
        return "no framework has been rolled out".to_owned();
    }
    let number = |phase: Phase| status.frameworks.iter().filter(|framework| framework.phase == phase).count();
    let parts: Vec<String> = [
        (number(Phase::Succeeded), "rolled out"),
        (number(Phase::Running), "rolling out"),
        (number(Phase::Removing), "being removed"),
        (number(Phase::Abandoned), "not managed any more"),
        (number(Phase::Failed), "failed"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, what)| format!("{number} {what}"))
    .collect();
    format!("{}: {}", count(plain::to_u64(status.frameworks.len()), "framework"), parts.join(", "))
}

/// The time since `then`, in a unit that keeps the number readable.
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
