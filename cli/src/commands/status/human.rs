//! The human-readable status: one screen.

use console::style;
use jiff::Timestamp;

use app::deploy::{AttemptEnd, InFlight, Phase};
use app::lifecycle::CloudFormationRequest;
use app::status::{CommonCause, FrameworkStatus, LiveState, RolloutStatus};
use framework::ids::RegionName;

use crate::plain::{blocks, count, escaped, positive};

/// Maximum causes listed of a framework; the rest are counted.
const CAUSES: usize = 5;
const REGIONS: usize = 6;

pub(super) fn page(status: &RolloutStatus) -> String {
    let mut lines = Vec::new();
    if status.removing {
        lines.push(style("the application is being removed").yellow().to_string());
    }
    for request in &status.requests {
        let CloudFormationRequest { kind, envelope } = &request.request;
        let (resource, since) = (escaped(&envelope.logical_resource_id), ago(request.since, status.at));
        lines.push(format!("CloudFormation waits for the answer to {kind:?} of {resource}, {since}"));
    }
    match (&status.rejected, &status.head) {
        (Some(rejected), Some(head)) if rejected == head => {
            let head = head.short();
            let text = format!("the policy at the head of the branch ({head}) is rejected: it is not in force");
            lines.push(style(text).red().to_string());
        }
        (Some(rejected), None) => {
            let commit = rejected.short();
            lines.push(format!("the policy at {commit} was rejected; --live shows whether it is still the head"));
        }
        _ => {}
    }
    let frameworks = status.frameworks.iter().map(|framework| framework_lines(framework, status.at));
    blocks(std::iter::once(lines).chain(frameworks).chain([vec![summary(status)]]))
}

fn framework_lines(framework: &FrameworkStatus, now: Timestamp) -> Vec<String> {
    let rollout = &framework.rollout;
    let phase = match rollout.phase {
        Phase::Running => style("rolling out").yellow(),
        Phase::Succeeded => style("rolled out").green(),
        Phase::Failed => style("failed").red(),
        Phase::Removing => style("being removed").yellow(),
        Phase::Abandoned => style("not managed any more").yellow(),
    };
    let undeclared = if rollout.undeclared { ", no longer in the policy" } else { "" };
    let mut lines = vec![format!("{} {phase}{undeclared}", style(&rollout.name).bold())];
    let mut field = |name: &str, text: String| lines.push(format!("  {name:<10} {text}"));
    let (commit, author, began) = (rollout.commit.short(), escaped(&rollout.author), ago(rollout.started, now));
    field("commit", format!("{commit} {} ({author}), begun {began}", escaped(&rollout.message)));
    if framework.accounts > 0 {
        field("where", locations(framework.accounts, framework.regions.iter(), framework.regions.len()));
    }
    if let Some(operation) = &rollout.in_flight {
        field("runs", running(operation, now));
    }
    if let Some(ended) = &rollout.ended {
        field("ended", ended_text(ended, now));
        if let Some(error) = &ended.error {
            field("", style(escaped(error)).red().to_string());
        }
        causes(&framework.causes).into_iter().for_each(|cause| field("", cause));
    }
    if rollout.phase == Phase::Failed {
        let attempt = rollout.attempt;
        let next = match rollout.is_retried() {
            true => format!("the next full reconciliation retries (attempt {attempt} has failed); a push starts over"),
            false => format!("no retry before the next push, after {attempt} attempts"),
        };
        field("next", next);
    }
    if let Some(live) = &framework.live {
        field("now", live_text(live));
        causes(&live.causes).into_iter().for_each(|cause| field("", cause));
    }
    lines
}

fn ended_text(ended: &AttemptEnd, now: Timestamp) -> String {
    let (total, since) = (count(ended.verdict.total, "instance"), ago(ended.at, now));
    let mut text = format!("{} of {total} as desired, {since}", ended.verdict.succeeded);
    if ended.failed > 0 {
        text.push_str(&format!("; {}", style(format!("{} not", ended.failed)).red()));
    }
    if ended.skipped > 0 {
        text.push_str(&format!("; {} skipped by StackSets", ended.skipped));
    }
    text
}

fn running(InFlight { id, operation, size, recorded_at }: &InFlight, now: Timestamp) -> String {
    let since = recorded_at.map(|since| format!(", started {}", ago(since, now))).unwrap_or_default();
    format!("{} on {}{since} (operation {id})", operation.api_name(), count(*size, "instance"))
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
    let (accounts, regions) = (count(accounts, "account"), count(number, "Region"));
    format!("{accounts} x {regions}: {}", named.join(", "))
}

fn causes(causes: &[CommonCause]) -> Vec<String> {
    let line = |CommonCause { instances, outcome, reason, first, .. }: &CommonCause| {
        let more = if *instances > first.len() { ", …" } else { "" };
        let first: Vec<String> = first.iter().map(ToString::to_string).collect();
        format!("{instances} {outcome}: {}: {}{more}", escaped(reason), first.join(", "))
    };
    let rest = causes.len().saturating_sub(CAUSES);
    let rest = (rest > 0).then(|| format!("and {}", count(rest, "further cause")));
    causes.iter().take(CAUSES).map(line).chain(rest).collect()
}

fn summary(status: &RolloutStatus) -> String {
    if status.frameworks.is_empty() {
        return "no framework has been rolled out".to_owned();
    }
    let number = |phase: Phase| status.frameworks.iter().filter(|framework| framework.rollout.phase == phase).count();
    let parts = positive([
        (number(Phase::Succeeded), "rolled out"),
        (number(Phase::Running), "rolling out"),
        (number(Phase::Removing), "being removed"),
        (number(Phase::Abandoned), "not managed any more"),
        (number(Phase::Failed), "failed"),
    ]);
    format!("{}: {parts}", count(status.frameworks.len(), "framework"))
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
