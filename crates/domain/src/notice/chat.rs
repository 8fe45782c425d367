//! The form of a notice for chat channels: a custom notification of Amazon Q Developer in chat applications.
//!
//! The text is passed on to Slack and Microsoft Teams, which read different kinds of Markdown and decode entities in different
//! places. So what comes from outside is not escaped with entities or backslashes, which one of them might undo, but stands in
//! code spans, and the few characters that mean something even there are replaced by others that look like them.

use super::rollout::{LET_GO, named};
use super::text::{cut, moment, sentence, short, span};
use super::{Digest, Notice, RolloutReport, ViolationNotice, digest, words};
use crate::control;
use crate::ids::RegionName;
use crate::violation::Told;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Most characters of each part.
const TITLE: usize = 250;
const DESCRIPTION: usize = 8_000;
const STEP: usize = 350;
const KEYWORD: usize = 75;
/// Longest name in a chat: a screen is smaller than a mail.
const NAME: usize = 150;

/// Text from outside as code: shown as it is, formatted by nobody.
pub(super) fn code(text: &str, limit: usize) -> String {
    let text = inert(&short(text, limit));
    format!("`{}`", if text.is_empty() { "-" } else { text.as_str() })
}

/// What would mean something even inside code: control sequences in angle brackets, entities, mentions, addresses that become
/// links, the end of the code.
fn inert(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.replace("://", "：//").chars() {
        out.push(match c {
            '`' => 'ˋ',
            '<' => '‹',
            '>' => '›',
            '&' => '＆',
            // Inside an address of a mailbox it calls nobody.
            '@' if !before.is_ascii_alphanumeric() => '＠',
            c => c,
        });
        before = c;
    }
    out
}

/// Text from outside between our own words, where no code can stand: nothing in it formats, links or calls.
pub(super) fn plain(text: &str, limit: usize) -> String {
    unformatted(&short(text, limit))
}

/// The same of a text that is one line and short already.
pub(super) fn unformatted(text: &str) -> String {
    let text = inert(text);
    let chars: Vec<char> = text.chars().collect();
    let is_word = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(|c| c.is_alphanumeric() || *c == '_');
    let replaced = chars.iter().enumerate().map(|(at, c)| match c {
        '*' => '∗',
        '~' => '∼',
        '[' => '［',
        ']' => '］',
        '\\' => '＼',
        '#' => '＃',
        '|' => '｜',
        // `:name:` is an emoji.
        ':' if chars.get(at.saturating_add(1)).is_some_and(|next| *next != ' ') => '∶',
        // Between letters it formats nothing.
        '_' if !(is_word(at.checked_sub(1)) && is_word(at.checked_add(1))) => '＿',
        c => *c,
    });
    replaced.collect()
}

/// A first line for a chat, from the subject of a mail. What stands in brackets before it is ours.
fn title(subject: &str) -> String {
    match subject.strip_prefix('[').and_then(|subject| subject.split_once("] ")) {
        Some((mark, rest)) => cut(&format!("[{mark}] {}", plain(rest, TITLE)), TITLE, "…"),
        None => plain(subject, TITLE),
    }
}

/// A text with its lines as they are, in a block of code.
fn block(text: &str) -> String {
    const FENCES: usize = 8;
    let lines: Vec<String> = text.lines().map(inert).collect();
    format!("```\n{}\n```", cut(&lines.join("\n"), DESCRIPTION.saturating_sub(FENCES), "…"))
}

/// As many whole lines as fit: a line that is cut could end inside code, and leave it open.
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

/// What stays the same for all messages about one thing, whatever it is called.
fn thread(parts: &[&str]) -> String {
    let digest = Sha256::digest(parts.join("\n").as_bytes());
    digest.iter().take(16).fold("backup-compliance-".to_owned(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// A message before it is cut to size.
struct Message {
    description: String,
    steps: Vec<String>,
    keywords: Vec<String>,
    thread: String,
    resources: Vec<String>,
    context: BTreeMap<&'static str, String>,
}

/// The custom notification of a notice.
pub(super) fn notification(notice: &Notice) -> Value {
    let message = match notice {
        Notice::ViolationOpened(violation)
        | Notice::ViolationResolved(violation)
        | Notice::ViolationExempted(violation) => violation_message(violation),
        Notice::ViolationDigest(digest) => digest_message(digest),
        Notice::RolloutSucceeded(report) | Notice::RolloutFailed(report) => rollout_message(report),
        other => other_message(other),
    };
    let subject = notice.subject();
    let mut keywords = message.keywords;
    keywords.push(notice.severity().label().to_owned());
    let mut context = message.context;
    context.insert("severity", notice.severity().label().to_owned());
    json!({
        "version": "1.0",
        "source": "custom",
        "content": {
            "textType": "client-markdown",
            "title": title(&subject),
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
            "summary": title(&subject),
            "eventType": notice.kind(),
            "relatedResources": message.resources,
            "additionalContext": context,
        },
    })
}

fn account(id: &str, name: Option<&str>) -> String {
    name.map_or_else(|| format!("`{id}`"), |name| format!("`{id}` ({})", code(name, 64)))
}

/// ARNs of the usual form only: what reads them may make links of them.
fn related<'a>(arns: impl Iterator<Item = &'a str>) -> Vec<String> {
    /// More are no help in a message.
    const MOST: usize = 5;
    let is_usual = |arn: &&str| {
        arn.starts_with("arn:")
            && arn.len() <= 300
            && arn.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/-_.".contains(&byte))
            && !arn.contains("://")
    };
    arns.filter(is_usual).take(MOST).map(str::to_owned).collect()
}

/// Steps of our own words, ways in code, and links, all of them short enough to be shown whole.
fn steps(ways: &[String], own: &[&str], links: Vec<String>) -> Vec<String> {
    /// Two for the marks of the code.
    const CODE: usize = STEP - 2;
    let ways = ways.iter().take(3).map(|way| code(way, CODE));
    let own = own.iter().map(|step| cut(step, STEP, "…"));
    // Half of a link leads nowhere.
    ways.chain(own).chain(links.into_iter().filter(|link| link.chars().count() <= STEP)).collect()
}

fn violation_message(violation: &ViolationNotice) -> Message {
    let key = &violation.key;
    let is_open = words::is_open(&violation.what);
    let line = |label: &str, value: Option<&str>| value.map(|value| format!("{label} {}", code(value, NAME)));
    let tags: Vec<String> = violation.tags().iter().map(|tag| code(tag, 80)).collect();
    let since = violation.since.unwrap_or(violation.at);
    let lines = [
        Some(format!("{} {} {}.", violation.kind_in_chat(), code(&violation.name(), NAME), violation.state())),
        Some(format!(
            "Account {}, Region `{}`",
            account(key.account.as_str(), violation.account_name.as_deref()),
            key.region
        )),
        line("ARN", violation.resource.arn.as_deref()),
        line("Owner", violation.owner.as_deref()),
        (!tags.is_empty()).then(|| format!("Tags {}", tags.join(" "))),
        Some(match violation.requirement() {
            Some(words) => format!("Control {}: {}", code(&key.control, NAME), plain(&words, 400)),
            None => format!("Control {}", code(&key.control, NAME)),
        }),
        Some(format!("Since {}", moment(since))),
        is_open.then(|| format!("Found {}", violation.story())),
        (!is_open).then(|| {
            let ended = violation.ended();
            match &violation.what {
                Told::Exempted(_) => format!("Exempt since {}", moment(ended)),
                _ => format!("Resolved {} after {}", moment(ended), span(since, ended)),
            }
        }),
        violation.exempt().map(|exempt| {
            let is = if is_open { "Was exempt" } else { "Exempt" };
            format!("{is} until {}, {}: {}", exempt.until, code(&exempt.owner, NAME), code(&exempt.reason, 300))
        }),
        violation.before().map(|turns| format!("Before: {turns}")),
        line("Config says", violation.annotation.as_deref().filter(|_| is_open)),
        line("An exemption nearly applies:", violation.near().as_deref().filter(|_| is_open)),
    ];
    let link = violation.timeline().into_iter().collect();
    let steps = if is_open {
        let own = violation.control().map(|control| control.remediation);
        let own: Vec<&str> = own.into_iter().chain([violation.documentation()]).collect();
        steps(&violation.ways, &own, link)
    } else {
        Vec::new()
    };
    let lines: Vec<String> = lines.into_iter().flatten().collect();
    Message {
        description: fit_lines(&lines, DESCRIPTION),
        steps,
        keywords: vec![key.account.to_string(), key.region.to_string(), key.control.clone()],
        thread: thread(&[&key.to_string()]),
        resources: related(violation.resource.arn.as_deref().into_iter()),
        context: BTreeMap::from([
            ("account", key.account.to_string()),
            ("region", key.region.to_string()),
            ("control", plain(&key.control, NAME)),
            ("resource", plain(&violation.name(), NAME)),
        ]),
    }
}

fn digest_message(digest: &Digest) -> Message {
    const ENTRY: usize = 60;
    let regions: Vec<&str> = digest.regions().into_iter().map(RegionName::as_str).collect();
    let mut lines = vec![
        format!("{}.", digest.tally()),
        format!(
            "Account {}, {} {}",
            account(digest.account.as_str(), digest.account_name.as_deref()),
            if regions.len() == 1 { "Region" } else { "Regions" },
            regions.join(", ")
        ),
        match digest.requirement() {
            Some(words) => format!("Control {}: {}", code(&digest.control, NAME), plain(&words, 400)),
            None => format!("Control {}", code(&digest.control, NAME)),
        },
    ];
    lines.push(format!("By owner: {}", digest.by_owner().words(|owner| code(owner, ENTRY))));
    lines.push(format!("By type: {}", digest.by_type().words(|kind| code(control::resource_kind(kind), ENTRY))));
    lines.extend(digest.before().map(|turns| format!("Before: {turns}")));
    for section in digest.sections() {
        lines.push(String::new());
        lines.push(format!("{} ({})", section.title, section.total));
        for entry in &section.shown {
            let owner =
                entry.owner.as_deref().map(|owner| format!(", owner {}", code(owner, ENTRY))).unwrap_or_default();
            let region = if regions.len() > 1 { format!(" ({})", entry.key.region) } else { String::new() };
            lines.push(format!(
                "- {} {}{region}{owner}, {}",
                entry.kind_in_chat(),
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
    let list = format!("All that is open: `{}`", digest.command());
    let own: Vec<&str> = advice.iter().flat_map(|(todo, page)| [*todo, *page]).chain([list.as_str()]).collect();
    Message {
        description: fit_lines(&lines, DESCRIPTION),
        steps: steps(&[], &own, digest.links()),
        keywords: vec![digest.account.to_string(), digest.control.clone()],
        thread: thread(&[digest.account.as_str(), &digest.control]),
        resources: related(digest.entries.iter().filter_map(|entry| entry.resource.arn.as_deref())),
        context: BTreeMap::from([("account", digest.account.to_string()), ("control", plain(&digest.control, NAME))]),
    }
}

/// How a rollout ended. What to do are the steps below it.
fn rollout_message(report: &RolloutReport) -> Message {
    const REASON: usize = 300;
    let mut lines = vec![
        report.summary(),
        format!("Commit `{}` {}", report.commit.short(), code(&report.message, NAME)),
        format!("Author {}", code(&report.author, NAME)),
    ];
    match &report.trouble {
        Some(trouble) => lines.push(format!("What went wrong: {}", code(trouble, 1_000))),
        None => {
            let (label, changes) = report.changes();
            lines.push(format!("{label}: {changes}"));
        }
    }
    let mut advice: Vec<String> = report.advice().into_iter().collect();
    let mut push = |line: String| lines.push(line);
    for section in report.sections() {
        push(String::new());
        push(section.title());
        for told in &section.groups {
            let reason = told.reason().map(|reason| code(&reason, REASON));
            let said = [told.words(), reason].into_iter().flatten().collect::<Vec<_>>().join(": ");
            let (first, more) = told.instances();
            push(format!("- {}: {said}", told.number()));
            push(named(&in_code(&first), more));
            advice.extend(told.advice().filter(|one| !advice.contains(one)).into_iter().collect::<Vec<_>>());
        }
        section.rest().into_iter().for_each(&mut push);
    }
    let (let_go, more) = report.let_go();
    if !let_go.is_empty() {
        push(String::new());
        push(format!("{LET_GO} ({})", report.let_go.len()));
        push(named(&in_code(&let_go), more));
    }
    // Told even where the rest does not fit.
    let next = report.next.as_deref().map(|next| plain(next, 500));
    let room = next.as_ref().map_or(0, |next| next.chars().count().saturating_add(4));
    let said = fit_lines(&lines, DESCRIPTION.saturating_sub(room));
    let advice: Vec<&str> = advice.iter().map(String::as_str).collect();
    Message {
        description: [Some(said), next].into_iter().flatten().collect::<Vec<_>>().join("\n\n"),
        steps: steps(&[], &advice, Vec::new()),
        keywords: vec!["rollout".to_owned()],
        thread: thread(&["rollout", report.stack_set.as_str()]),
        resources: Vec::new(),
        context: BTreeMap::from([("about", "rollout".to_owned())]),
    }
}

fn in_code(names: &[String]) -> Vec<String> {
    names.iter().map(|name| code(name, NAME)).collect()
}

/// Notices for those who run the policy: as in the mail.
fn other_message(notice: &Notice) -> Message {
    let (about, name) = match notice {
        Notice::ExemptionsExpiring(expiring) => ("exemptions", expiring.owner.clone()),
        Notice::ViolationReminder(reminder) => ("reminder", reminder.owner.clone().unwrap_or_default()),
        Notice::PolicyRejected(rejection) => ("policy", format!("{}@{}", rejection.repository, rejection.branch)),
        Notice::PolicyWarnings(warnings) => ("policy", format!("{}@{}", warnings.repository, warnings.branch)),
        Notice::BlindSpots(_)
        | Notice::RolloutSucceeded(_)
        | Notice::RolloutFailed(_)
        | Notice::ViolationOpened(_)
        | Notice::ViolationResolved(_)
        | Notice::ViolationExempted(_)
        | Notice::ViolationDigest(_) => ("blind spots", String::new()),
    };
    let steps = match notice {
        Notice::BlindSpots(spots) => spots.steps(),
        _ => Vec::new(),
    };
    let steps = steps
        .into_iter()
        .flat_map(|(todo, link, command)| [cut(todo, STEP, "…"), link, code(&command, STEP.saturating_sub(2))]);
    Message {
        description: block(&notice.text()),
        steps: steps.collect(),
        keywords: vec![about.to_owned()],
        thread: thread(&[about, &name]),
        resources: Vec::new(),
        context: BTreeMap::from([("about", about.to_owned())]),
    }
}

impl ViolationNotice {
    /// The kind of resource; a type that we have no words for came from outside.
    fn kind_in_chat(&self) -> String {
        let kind = control::resource_kind(&self.key.resource_type);
        if kind == self.key.resource_type { code(kind, 64) } else { sentence(kind) }
    }
}
