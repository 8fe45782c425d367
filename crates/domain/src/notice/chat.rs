//! Chat messages: custom notifications of Amazon Q Developer in chat applications.
//!
//! Slack and Microsoft Teams read different dialects of Markdown and decode entities in different positions. So external text is not
//! escaped with entities or backslashes, which one of them may undo: it is rendered as code spans, and the few characters with a
//! meaning even there are replaced by similar ones.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use framework::control;
use framework::ids::RegionName;

use super::rollout::RETAINED;
use super::text::{code, cut, fitting, headline, inert, list, moment, plain, sentence, sha256, span};
use super::{Notice, RolloutReport, ViolationDigest, ViolationNotice, digest, labels};
use crate::violation::Update;

const DESCRIPTION: usize = 8_000;
const STEP: usize = 350;
/// Two characters of a step are the backticks.
const CODE: usize = STEP - 2;
const KEYWORD: usize = 75;
/// Characters of a name: a chat has less space than a mail.
const MAX_NAME: usize = 150;

fn control_line(control: &str, requirement: Option<String>) -> String {
    let requirement = requirement.map(|text| format!(": {}", plain(&text, 400))).unwrap_or_default();
    format!("Control {}{requirement}", code(control, MAX_NAME))
}

fn block(text: &str) -> String {
    const FENCES: usize = 8;
    let lines: Vec<String> = text.lines().map(inert).collect();
    format!("```\n{}\n```", cut(&lines.join("\n"), DESCRIPTION.saturating_sub(FENCES), "…"))
}

fn fit_lines(lines: &[String], limit: usize) -> String {
    let fitting = fitting(lines, limit.saturating_sub(2), |line| line.chars().count());
    let cut = if fitting.len() < lines.len() { "…" } else { "" };
    let text: String = fitting.iter().flat_map(|line| [line.as_str(), "\n"]).chain([cut]).collect();
    text.trim_end().to_owned()
}

fn thread(parts: &[&str]) -> String {
    let hash: String = sha256(&parts.join("\n")).chars().take(32).collect();
    format!("backup-compliance-{hash}")
}

#[derive(Default)]
struct ChatMessage {
    description: String,
    steps: Vec<String>,
    keywords: Vec<String>,
    thread: String,
    resources: Vec<String>,
    context: BTreeMap<&'static str, String>,
}

impl Notice {
    /// Renders the custom notification for Amazon Q Developer in chat applications.
    pub fn chat(&self) -> Value {
        let message = match self {
            Self::ViolationOpened(violation)
            | Self::ViolationResolved(violation)
            | Self::ViolationExempted(violation) => violation_message(violation),
            Self::ViolationDigest(digest) => digest_message(digest),
            Self::RolloutSucceeded(report) | Self::RolloutFailed(report) => rollout_message(report),
            other => other_message(other),
        };
        let title = headline(&self.subject());
        let severity = self.severity().label();
        let keywords = message.keywords.iter().map(String::as_str).chain([severity]);
        let keywords = keywords.map(|word| plain(word, KEYWORD)).filter(|word| !word.is_empty());
        let mut context = message.context;
        context.insert("severity", severity.to_owned());
        json!({
            "version": "1.0",
            "source": "custom",
            "content": {
                "textType": "client-markdown",
                "title": title,
                "description": message.description,
                "nextSteps": message.steps,
                "keywords": keywords.collect::<Vec<_>>(),
            },
            "metadata": {
                "threadId": message.thread,
                "summary": title,
                "eventType": self.kind(),
                "relatedResources": message.resources,
                "additionalContext": context,
            },
        })
    }
}

fn account(id: &str, name: Option<&str>) -> String {
    name.map_or_else(|| format!("`{id}`"), |name| format!("`{id}` ({})", code(name, 64)))
}

/// Returns the first ARNs of the usual form: chat clients may turn them into links.
fn related<'a>(arns: impl Iterator<Item = &'a str>) -> Vec<String> {
    const MAX_ARNS: usize = 5;
    let is_usual = |arn: &&str| {
        arn.starts_with("arn:")
            && arn.len() <= 300
            && arn.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/-_.".contains(&byte))
            && !arn.contains("://")
    };
    arns.filter(is_usual).take(MAX_ARNS).map(str::to_owned).collect()
}

fn steps(options: &[String], advice: &[&str], links: Vec<String>) -> Vec<String> {
    let options = options.iter().take(3).map(|option| code(option, CODE));
    let advice = advice.iter().map(|step| cut(step, STEP, "…"));
    options.chain(advice).chain(links.into_iter().filter(|link| link.chars().count() <= STEP)).collect()
}

fn violation_message(violation: &ViolationNotice) -> ChatMessage {
    let key = &violation.key;
    let is_open = violation.is_open();
    let line = |label: &str, value: Option<&str>| value.map(|value| format!("{label} {}", code(value, MAX_NAME)));
    let tags: Vec<String> = violation.tags().iter().map(|tag| code(tag, 80)).collect();
    let since = violation.since.unwrap_or(violation.at);
    let account = account(key.account.as_str(), violation.account_name.as_deref());
    let lines = [
        Some(format!("{} {} {}.", kind(violation), code(&violation.name(), MAX_NAME), violation.state())),
        Some(format!("Account {account}, Region `{}`", key.region)),
        line("ARN", violation.resource.arn.as_deref()),
        line("Owner", violation.owner.as_deref()),
        (!tags.is_empty()).then(|| format!("Tags {}", tags.join(" "))),
        Some(control_line(&key.control, violation.requirement())),
        Some(format!("Since {}", moment(since))),
        is_open.then(|| format!("Opened by {}", labels::opened_by(violation.opened_by, violation.detected_by))),
        (!is_open).then(|| {
            let ended = violation.ended();
            match &violation.update {
                Update::Exempted(_) => format!("Exempt since {}", moment(ended)),
                _ => format!("Resolved {} after {}", moment(ended), span(since, ended)),
            }
        }),
        violation.exemption().map(|exempt| {
            let is = if is_open { "Was exempt" } else { "Exempt" };
            format!("{is} until {}, {}: {}", exempt.until, code(&exempt.owner, MAX_NAME), code(&exempt.reason, 300))
        }),
        violation.earlier_transitions().map(|sentence| format!("Before: {sentence}")),
        line("Annotation", violation.annotation.as_deref().filter(|_| is_open)),
        line("Closest exemption:", violation.closest_exemption().as_deref().filter(|_| is_open)),
    ];
    let link = violation.timeline().into_iter().collect();
    let steps = if is_open {
        let own = violation.control().map(|control| control.remediation);
        let own: Vec<&str> = own.into_iter().chain([violation.documentation()]).collect();
        steps(&violation.remediation_options, &own, link)
    } else {
        Vec::new()
    };
    let lines: Vec<String> = lines.into_iter().flatten().collect();
    ChatMessage {
        description: fit_lines(&lines, DESCRIPTION),
        steps,
        keywords: vec![key.account.to_string(), key.region.to_string(), key.control.clone()],
        thread: thread(&[&key.to_string()]),
        resources: related(violation.resource.arn.as_deref().into_iter()),
        context: BTreeMap::from([
            ("account", key.account.to_string()),
            ("region", key.region.to_string()),
            ("control", plain(&key.control, MAX_NAME)),
            ("resource", plain(&violation.name(), MAX_NAME)),
        ]),
    }
}

fn digest_message(digest: &ViolationDigest) -> ChatMessage {
    const ENTRY: usize = 60;
    let worst = digest.severity();
    let regions: Vec<&str> = digest.regions().into_iter().map(RegionName::as_str).collect();
    let account = account(digest.account.as_str(), digest.account_name.as_deref());
    let noun = if regions.len() == 1 { "Region" } else { "Regions" };
    let mut lines = vec![
        format!("{}.", digest.counts()),
        format!("Account {account}, {noun} {}", regions.join(", ")),
        control_line(&digest.control, digest.requirement()),
        format!("By owner: {}", digest.by_owner().text(|owner| code(owner, ENTRY))),
        format!("By type: {}", digest.by_type().text(|kind| code(control::resource_kind(kind), ENTRY))),
    ];
    lines.extend(digest.earlier_transitions().map(|sentence| format!("Before: {sentence}")));
    for section in digest.sections() {
        lines.extend([String::new(), format!("{} ({})", section.title, section.total)]);
        for entry in &section.shown {
            let owner = entry.owner.as_deref().map(|owner| format!(", owner {}", code(owner, ENTRY)));
            let owner = owner.unwrap_or_default();
            let region = if regions.len() > 1 { format!(" ({})", entry.key.region) } else { String::new() };
            let (kind, name, facts) = (kind(entry), code(&entry.name(), ENTRY), digest::facts(entry, worst));
            lines.push(format!("- {kind} {name}{region}{owner}, {facts}"));
        }
        let more = section.total.saturating_sub(section.shown.len());
        if more > 0 && !section.shown.is_empty() {
            lines.push(format!("and {more} more"));
        }
    }
    let advice = digest.advice();
    let list = format!("To list all open violations: `{}`", digest.command());
    let own: Vec<&str> = advice.iter().flat_map(|(todo, page)| [*todo, *page]).chain([list.as_str()]).collect();
    ChatMessage {
        description: fit_lines(&lines, DESCRIPTION),
        steps: steps(&[], &own, digest.links()),
        keywords: vec![digest.account.to_string(), digest.control.clone()],
        thread: thread(&[digest.account.as_str(), &digest.control]),
        resources: related(digest.entries.iter().filter_map(|entry| entry.resource.arn.as_deref())),
        context: BTreeMap::from([
            ("account", digest.account.to_string()),
            ("control", plain(&digest.control, MAX_NAME)),
        ]),
    }
}

fn rollout_message(report: &RolloutReport) -> ChatMessage {
    const REASON: usize = 300;
    let mut lines = vec![
        report.summary(),
        format!("Commit `{}` {}", report.commit.short(), code(&report.message, MAX_NAME)),
        format!("Author {}", code(&report.author, MAX_NAME)),
    ];
    let (label, changes) = report.changes();
    let error = report.error.as_deref().map(|error| format!("Error: {}", code(error, 1_000)));
    lines.push(error.unwrap_or_else(|| format!("{label}: {changes}")));
    let mut advice: Vec<String> = report.advice().into_iter().collect();
    for section in report.sections() {
        lines.extend([String::new(), section.title()]);
        for group in &section.groups {
            let reason = group.reason().map(|reason| code(&reason, REASON));
            let cause = [group.cause(), reason].into_iter().flatten().collect::<Vec<_>>().join(": ");
            let (first, more) = group.instances();
            lines.extend([format!("- {}: {cause}", group.number()), list(&in_code(&first), more)]);
            advice.extend(group.advice().filter(|one| !advice.contains(one)).into_iter().collect::<Vec<_>>());
        }
        lines.extend(section.rest());
    }
    let (retained, more) = report.retained();
    if !retained.is_empty() {
        let title = format!("{RETAINED} ({})", report.retained.len());
        lines.extend([String::new(), title, list(&in_code(&retained), more)]);
    }
    // The next attempt is shown even if the lines above do not fit.
    let next = report.next.as_deref().map(|next| plain(next, 500));
    let room = next.as_ref().map_or(0, |next| next.chars().count().saturating_add(4));
    let description = fit_lines(&lines, DESCRIPTION.saturating_sub(room));
    let advice: Vec<&str> = advice.iter().map(String::as_str).collect();
    ChatMessage {
        description: [Some(description), next].into_iter().flatten().collect::<Vec<_>>().join("\n\n"),
        steps: steps(&[], &advice, Vec::new()),
        keywords: vec!["rollout".to_owned()],
        thread: thread(&["rollout", report.stack_set.as_str()]),
        context: BTreeMap::from([("about", "rollout".to_owned())]),
        ..ChatMessage::default()
    }
}

fn in_code(names: &[String]) -> Vec<String> {
    names.iter().map(|name| code(name, MAX_NAME)).collect()
}

/// Renders the text of the mail, for notices about the policy.
fn other_message(notice: &Notice) -> ChatMessage {
    let (about, name) = match notice {
        Notice::ExemptionsExpiring(expiring) => ("exemptions", expiring.owner.clone()),
        Notice::ViolationReminder(reminder) => ("reminder", reminder.owner.clone().unwrap_or_default()),
        Notice::PolicyRejected(rejection) => ("policy", format!("{}@{}", rejection.repository, rejection.branch)),
        Notice::PolicyWarnings(warnings) => ("policy", format!("{}@{}", warnings.repository, warnings.branch)),
        _ => ("blind spots", String::new()),
    };
    let steps = if let Notice::BlindSpots(spots) = notice { spots.steps() } else { Vec::new() };
    let steps = steps.into_iter().flat_map(|(todo, link, command)| [cut(todo, STEP, "…"), link, code(&command, CODE)]);
    ChatMessage {
        description: block(&notice.text()),
        steps: steps.collect(),
        keywords: vec![about.to_owned()],
        thread: thread(&[about, &name]),
        context: BTreeMap::from([("about", about.to_owned())]),
        ..ChatMessage::default()
    }
}

/// Returns the kind of resource. A resource type without a kind is external text.
fn kind(violation: &ViolationNotice) -> String {
    let resource_type = &violation.key.resource_type;
    let kind = control::resource_kind(resource_type);
    if kind == resource_type { code(kind, 64) } else { sentence(kind) }
}
