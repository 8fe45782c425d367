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
use super::text::{code, cut, headline, inert, list, moment, plain, sentence, sha256, span};
use super::{Notice, RolloutReport, ViolationDigest, ViolationNotice, digest, labels};
use crate::violation::Update;

/// Characters of each part.
const DESCRIPTION: usize = 8_000;
const STEP: usize = 350;
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

/// Joins the whole lines that fit: a cut line could leave a code span open.
fn fit_lines(lines: &[String], limit: usize) -> String {
    let mut left = limit.saturating_sub(2);
    let mut out = String::new();
    for line in lines {
        let Some(rest) = left.checked_sub(line.chars().count().saturating_add(1)) else {
            out.push('…');
            break;
        };
        left = rest;
        out.push_str(line);
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out
}

/// Returns an id that is equal for all messages about one subject.
fn thread(parts: &[&str]) -> String {
    let hash: String = sha256(&parts.join("\n")).chars().take(32).collect();
    format!("backup-compliance-{hash}")
}

struct ChatMessage {
    description: String,
    steps: Vec<String>,
    keywords: Vec<String>,
    thread: String,
    resources: Vec<String>,
    context: BTreeMap<&'static str, String>,
}

pub(super) fn notification(notice: &Notice) -> Value {
    let message = match notice {
        Notice::ViolationOpened(violation)
        | Notice::ViolationResolved(violation)
        | Notice::ViolationExempted(violation) => violation_message(violation),
        Notice::ViolationDigest(digest) => digest_message(digest),
        Notice::RolloutSucceeded(report) | Notice::RolloutFailed(report) => rollout_message(report),
        other => other_message(other),
    };
    let title = headline(&notice.subject());
    let mut keywords = message.keywords;
    keywords.push(notice.severity().label().to_owned());
    let mut context = message.context;
    context.insert("severity", notice.severity().label().to_owned());
    json!({
        "version": "1.0",
        "source": "custom",
        "content": {
            "textType": "client-markdown",
            "title": title,
            "description": message.description,
            "nextSteps": message.steps,
            "keywords": keywords
                .iter()
                .map(|word| plain(word, KEYWORD))
                .filter(|word| !word.is_empty())
                .collect::<Vec<_>>(),
        },
        "metadata": {
            "threadId": message.thread,
            "summary": title,
            "eventType": notice.kind(),
            "relatedResources": message.resources,
            "additionalContext": context,
        },
    })
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

/// Returns the next steps: remediation options as code, advice, and the links that are short enough.
fn steps(options: &[String], advice: &[&str], links: Vec<String>) -> Vec<String> {
    /// Two characters are the backticks.
    const CODE: usize = STEP - 2;
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
    let lines = [
        Some(format!("{} {} {}.", kind(violation), code(&violation.name(), MAX_NAME), violation.state())),
        Some(format!(
            "Account {}, Region `{}`",
            account(key.account.as_str(), violation.account_name.as_deref()),
            key.region
        )),
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
    let regions: Vec<&str> = digest.regions().into_iter().map(RegionName::as_str).collect();
    let mut lines = vec![
        format!("{}.", digest.counts()),
        format!(
            "Account {}, {} {}",
            account(digest.account.as_str(), digest.account_name.as_deref()),
            if regions.len() == 1 { "Region" } else { "Regions" },
            regions.join(", ")
        ),
        control_line(&digest.control, digest.requirement()),
    ];
    lines.push(format!("By owner: {}", digest.by_owner().text(|owner| code(owner, ENTRY))));
    lines.push(format!("By type: {}", digest.by_type().text(|kind| code(control::resource_kind(kind), ENTRY))));
    lines.extend(digest.earlier_transitions().map(|sentence| format!("Before: {sentence}")));
    for section in digest.sections() {
        lines.push(String::new());
        lines.push(format!("{} ({})", section.title, section.total));
        for entry in &section.shown {
            let owner =
                entry.owner.as_deref().map(|owner| format!(", owner {}", code(owner, ENTRY))).unwrap_or_default();
            let region = if regions.len() > 1 { format!(" ({})", entry.key.region) } else { String::new() };
            lines.push(format!(
                "- {} {}{region}{owner}, {}",
                kind(entry),
                code(&entry.name(), ENTRY),
                digest::facts(entry, digest.severity())
            ));
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
    lines.push(match &report.error {
        Some(failure) => format!("Error: {}", code(failure, 1_000)),
        None => {
            let (label, changes) = report.changes();
            format!("{label}: {changes}")
        }
    });
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
        resources: Vec::new(),
        context: BTreeMap::from([("about", "rollout".to_owned())]),
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
    let steps = match notice {
        Notice::BlindSpots(spots) => spots.steps(),
        _ => Vec::new(),
    };
    let steps = steps
        .into_iter()
        .flat_map(|(todo, link, command)| [cut(todo, STEP, "…"), link, code(&command, STEP.saturating_sub(2))]);
    ChatMessage {
        description: block(&notice.text()),
        steps: steps.collect(),
        keywords: vec![about.to_owned()],
        thread: thread(&[about, &name]),
        resources: Vec::new(),
        context: BTreeMap::from([("about", about.to_owned())]),
    }
}

/// Returns the kind of resource. A resource type without a kind is external text.
fn kind(violation: &ViolationNotice) -> String {
    let resource_type = &violation.key.resource_type;
    let kind = control::resource_kind(resource_type);
    if kind == resource_type { code(kind, 64) } else { sentence(kind) }
}
