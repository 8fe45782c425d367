use proptest::prelude::*;

use framework::control::CONTROLS;
use syntax::diagnostic::{Diagnostic, Position};
use syntax::text::is_invisible;

use super::home;
use super::samples::{self, account, all, digest, entry, key, record};
use crate::notice::*;
use crate::rollout::{InstanceOutcome as End, Verdict};
use crate::violation::{AppliedExemption, ClosedReason, DetectionSource, OpenedBy, ResourceDetails};

/// The limit of SNS, less room for subject, attributes and envelope.
const SNS_BYTES: usize = 262_144 - 4_096;
const FINDING_BYTES: usize = 240 * 1_000;

/// The size of a message: two texts and three documents, each a string in one JSON document.
fn sns_bytes(notice: &Notice) -> usize {
    let text = json!(notice.text()).to_string().len();
    let document = json!(notice.json().to_string()).to_string().len();
    2 * text + 3 * document
}

#[test]
fn samples_respect_format_limits() {
    for (name, notice) in all() {
        assert_eq!(format_error(&notice), None, "{name}");
    }
}

/// All strings of a document.
fn strings(document: &Value) -> Vec<&str> {
    match document {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(fields) => fields.values().flat_map(strings).collect(),
        _ => vec![],
    }
}

fn invisible(text: &str) -> Option<char> {
    text.chars().find(|c| (c.is_control() && *c != '\n') || is_invisible(*c))
}

/// Returns the first violated rule of any format.
fn format_error(notice: &Notice) -> Option<String> {
    mail_error(notice)
        .or_else(|| chat_error(&notice.chat()))
        .or_else(|| document_error(notice))
        .or_else(|| comment_error(notice))
        .or_else(|| rollout_error(notice))
}

/// An underscore between letters formats nothing, whatever else is in the text.
fn without_inner_underscores(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let is_letter =
        |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(|c| c.is_alphanumeric() || *c == '_');
    let is_inner = |at: usize| is_letter(at.checked_sub(1)) && is_letter(at.checked_add(1));
    chars.iter().enumerate().filter(|(at, c)| **c != '_' || !is_inner(*at)).map(|(_, c)| *c).collect()
}

/// Comments respect the limit of CodeCommit and contain no Markdown from outside.
fn comment_error(notice: &Notice) -> Option<String> {
    let comment = notice.comment();
    // The adapter derives its idempotency token from the text, so it must not depend on the order of a map.
    if comment.len() > 10_240 || comment != notice.comment() {
        return Some(format!("comment of {} bytes", comment.len()));
    }
    if !comment.lines().next().is_some_and(|first| first.starts_with("**") && first.ends_with("**")) {
        return Some(format!("comment begins {:?}", comment.lines().next()));
    }
    if invisible(&comment).is_some() || comment.contains(['<', '>', '&']) || comment.contains("://") {
        return Some(format!("comment: {comment:?}"));
    }
    comment.lines().find_map(|line| {
        let parts: Vec<&str> = line.split('`').collect();
        let outside = parts.iter().step_by(2);
        let marks = ["[", "*", "_", "~", "#", "|", "\\", "www."];
        // Markdown of the application: bold lines, the dash of an item, the mark of a subject.
        let ours = |text: &str| {
            ["**", "[FAILED] ", "[REJECTED] "].iter().fold(text.to_owned(), |text, mark| text.replace(mark, ""))
        };
        let formats = |text: &&&str| marks.iter().any(|mark| without_inner_underscores(&ours(text)).contains(mark));
        let is_word = |text: &str| !text.contains([' ', '*']) || text.contains("a_");
        let wrong = outside.clone().find(formats).filter(|text| !is_word(text));
        let is_of_rollout = notice.kind().starts_with("rollout.") || notice.kind().starts_with("policy.");
        (parts.len().is_multiple_of(2) || (is_of_rollout && wrong.is_some())).then(|| format!("comment: {line:?}"))
    })
}

/// Counts include all instances, and all formats name the same ones.
fn rollout_error(notice: &Notice) -> Option<String> {
    let (Notice::RolloutSucceeded(report) | Notice::RolloutFailed(report)) = notice else { return None };
    let document = notice.json();
    let groups = document["groups"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of = |skipped: bool| groups.iter().filter(move |group| (group["outcome"] == "skipped") == skipped);
    for (skipped, all) in [(false, &report.verdict.failures), (true, &report.verdict.skipped)] {
        let reported: u64 = of(skipped).filter_map(|group| group["count"].as_u64()).sum();
        let named: usize = of(skipped).filter_map(|group| group["instances"].as_array()).map(Vec::len).sum();
        let few = of(skipped).count() < if skipped { 3 } else { 12 };
        if reported > all.len() as u64
            || (few && reported != all.len() as u64)
            || named > 20
            || (named == 0 && !all.is_empty())
        {
            return Some(format!("{reported} reported and {named} named of {}", all.len()));
        }
        let text = notice.text();
        let forms = [text.as_str(), &notice.chat().to_string(), &notice.comment()].map(str::to_owned);
        let instances = of(skipped).filter_map(|group| group["instances"].as_array()).flatten();
        for instance in instances {
            let name =
                [&instance["account"], &instance["region"]].map(|part| part.as_str().unwrap_or_default()).join("/");
            let missing = |form: &&String| !form.contains(&name) && !form.contains('…');
            if let Some(form) = forms.iter().find(missing) {
                return Some(format!("{name} is not in {form}"));
            }
        }
    }
    None
}

fn mail_error(notice: &Notice) -> Option<String> {
    let (subject, text) = (notice.subject(), notice.text());
    if subject.is_empty() || subject.len() >= 100 || !subject.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Some(format!("subject: {subject:?}"));
    }
    if invisible(&text).is_some() || !text.ends_with('\n') {
        return Some(format!("text has {:?}: {text:?}", invisible(&text)));
    }
    // Only a single word behind its label or indentation may be longer.
    let too_long = |line: &&str| {
        let longest = line.split(' ').map(|word| word.chars().count()).max().unwrap_or_default();
        line.chars().count() > 77.max(longest + 15)
    };
    text.lines().find(too_long).map(|line| format!("too long: {line:?}"))
}

fn chat_error(chat: &Value) -> Option<String> {
    let content = &chat["content"];
    let length = |value: &Value| value.as_str().map(|text| text.chars().count());
    let within = |value: &Value, limit: usize| length(value).is_some_and(|length| (1..=limit).contains(&length));
    let all_within = |value: &Value, limit| value.as_array().is_some_and(|all| all.iter().all(|v| within(v, limit)));
    if !(within(&content["title"], 250)
        && within(&content["description"], 8_000)
        && all_within(&content["nextSteps"], 350)
        && all_within(&content["keywords"], 75))
    {
        return Some(format!("chat: sizes of {chat:#}"));
    }
    let is_link = |text: &str| {
        let odd = |c: char| !c.is_ascii_alphanumeric() && !":/?#&=-._~%".contains(c);
        text.starts_with("https://") && !text.contains(odd)
    };
    for text in strings(chat).into_iter().filter(|text| !is_link(text)) {
        let calls =
            |at: usize| text.get(..at).is_none_or(|before| !before.ends_with(|c: char| c.is_ascii_alphanumeric()));
        let mentions = text.match_indices('@').any(|(at, _)| calls(at));
        if invisible(text).is_some() || text.contains(['<', '>', '&']) || text.contains("://") || mentions {
            return Some(format!("chat: {text:?}"));
        }
    }
    // Code is closed in the line where it begins.
    let description = content["description"].as_str().unwrap_or_default();
    let block = description.strip_prefix("```\n").and_then(|text| text.strip_suffix("\n```"));
    let open = |line: &str| line.matches('`').count() % 2 == 1;
    let unclosed = match block {
        Some(text) => text.contains('`'),
        None => description.lines().any(open),
    };
    unclosed.then(|| format!("chat: code is not closed in {description:?}"))
}

fn document_error(notice: &Notice) -> Option<String> {
    if notice.attributes().values().any(|value| *value == Attribute::Text(String::new())) {
        return Some("an attribute is empty".to_owned());
    }
    if notice.json()["kind"] != notice.kind() {
        return Some("another kind".to_owned());
    }
    let bytes = sns_bytes(notice);
    if bytes > SNS_BYTES {
        return Some(format!("{bytes} bytes for SNS"));
    }
    let event = notice.event().map_or(0, |(_, detail)| detail.to_string().len());
    if event > 240 * 1_024 {
        return Some(format!("{event} bytes for the event bus"));
    }
    let finding = notice.finding(&home())?;
    let bytes = finding.to_string().len();
    let within = |name: &str, limit: usize| {
        finding[name].as_str().is_some_and(|v| !v.trim().is_empty() && v.chars().count() <= limit)
    };
    let fields = ["ProductFields", "Tags"].map(|name| finding.get(name).or(finding["Resources"][0].get(name)));
    let blank = fields.into_iter().flatten().flat_map(strings).any(|text| text.trim().is_empty());
    let fits = within("Id", 512) && within("GeneratorId", 512) && within("Title", 256) && within("Description", 1_024);
    (bytes > FINDING_BYTES || !fits || blank).then(|| format!("finding of {bytes} bytes: {finding:#}"))
}

/// Names with other scripts, control characters, marks of direction, line ends, headers, links, commands, mentions, of any length.
pub(super) fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z][a-z0-9-]{0,20}",
        "\\PC{0,80}",
        "(\\PC|[\\x00-\\x1f\\x7f\u{85}\u{2028}\u{202e}\u{2066}\u{200b}\u{feff}\r\n]){0,60}",
        "[a-z]{400,1200}",
        "([a-z]{1,12} ){100,200}",
        "[^a]{0,40}\r\nBcc: [a-z]{1,9}@example.com",
        "[<>&@!#*_~`|\\[\\]():/\\\\ a]{0,60}",
        prop::sample::select(vec![
            "<!channel>".to_owned(),
            "<@U012AB3CD> <https://evil.example|click>".to_owned(),
            "@here [x](https://evil.example) ```".to_owned(),
            "$(rm -rf ~); `id` && true".to_owned(),
            "x\n\nWhat to do\n  Pay".to_owned(),
            " ".to_owned(),
            "😀".repeat(1_024),
            "\"\\".repeat(512),
            "\u{1}".repeat(1_024),
        ]),
    ]
    .boxed()
}

fn violations() -> impl Strategy<Value = ViolationNotice> {
    let optional = || prop::option::of(names());
    let control =
        prop_oneof![names(), prop::sample::select(CONTROLS.iter().map(|c| c.name.to_owned()).collect::<Vec<_>>())];
    let told = (0usize..7, names(), names()).prop_map(|(which, reason, owner)| {
        let exempt = AppliedExemption { reason, owner, until: samples::exempt().until };
        match which {
            0 => Update::Opened,
            1 => Update::ExemptionEnded(exempt),
            2 => Update::Exempted(exempt),
            3 => Update::Refreshed,
            4 => Update::Resolved(ClosedReason::ResourceGone),
            5 => Update::Resolved(ClosedReason::NotApplicable),
            _ => Update::Resolved(ClosedReason::Satisfied),
        }
    });
    let tags = prop::collection::btree_map(names(), names(), 0..4);
    let resource = (optional(), optional(), tags).prop_map(|(name, arn, tags)| ResourceDetails { name, arn, tags });
    let words = (optional(), optional(), optional(), optional(), prop::collection::vec(names(), 0..4));
    (control, names(), names(), resource, told, words)
        .prop_map(|(control, resource_type, resource_id, resource, what, words)| {
            let (annotation, owner, account_name, near_exemption, ways) = words;
            let record = record(key(&control, &resource_type, &resource_id), OpenedBy::Rollout, resource);
            let notice = samples::notice(
                &record,
                NoticeContext {
                    account_name,
                    remediation_options: ways,
                    closest_exemption: near_exemption,
                    ..NoticeContext::default()
                },
            );
            ViolationNotice {
                update: what,
                annotation,
                owner,
                rule_name: resource_id,
                rule_arn: resource_type,
                ..notice
            }
        })
        .boxed()
}

/// Long because each kind of notice has its strategy.
fn notices() -> impl Strategy<Value = Notice> {
    let optional = || prop::option::of(names());
    let single = violations().prop_map(Notice::from);
    let digests = (names(), optional(), prop::collection::vec(violations(), 1..8)).prop_map(
        |(control, account_name, entries)| {
            Notice::ViolationDigest(ViolationDigest { control, account_name, ..digest(entries) })
        },
    );
    let rollout = (
        (names(), names(), optional(), optional()),
        prop::collection::vec((names(), 0usize..6, 0usize..8), 0..40),
        0usize..30,
        0usize..30,
        any::<bool>(),
    )
        .prop_map(|((author, message, trouble, next), ends, skipped, let_go, removed)| {
            // Known causes with a hostile name around them, and only a hostile name.
            let reason = |name: &str, cause: usize| match cause {
                0 => format!("{name} role cannot be assumed {name}"),
                1 => format!("not authorized to perform: a:B {name}"),
                2 => format!("ResourceStatusReason:{name} already exists"),
                _ => name.to_owned(),
            };
            let outcomes = [End::Failed, End::Cancelled, End::NeverReached, End::NotDeleted];
            let diagnostic = |(n, (name, cause, outcome)): (usize, &(String, usize, usize))| {
                samples::ended(n, outcomes[outcome % 4], &reason(name, *cause))
            };
            let diagnostics: Vec<_> = ends.iter().enumerate().map(diagnostic).collect();
            let skip =
                |n: usize| samples::ended(100 + n, End::Skipped, ends.get(n % 5).map_or("x", |(name, _, _)| name));
            let verdict =
                Verdict { total: 100, succeeded: 30, failures: diagnostics, skipped: (0..skipped).map(skip).collect() };
            let let_go = (0..let_go).map(|n| samples::ended(200 + n, End::Skipped, "").instance).collect();
            let failed = trouble.is_some() || !verdict.is_success();
            let report = RolloutReport {
                author,
                message,
                error: trouble,
                next,
                verdict,
                retained: let_go,
                is_removal: removed,
                ..samples::report(6, 0)
            };
            if failed { Notice::RolloutFailed(report) } else { Notice::RolloutSucceeded(report) }
        });
    let rejected = (names(), names(), names(), names(), names(), 1usize..300).prop_map(
        |(author, message, file, line, fix, column)| {
            let mut rejection = PolicyRejection { author, message, ..samples::rejection() };
            let at = Position { line: 1, column };
            rejection.diagnostics.push(Diagnostic::at(&file, &line, at, format!("`{line}` is wrong"), fix));
            Notice::PolicyRejected(rejection)
        },
    );
    let expiring = (names(), names(), prop::collection::vec(names(), 1..9), 1usize..40).prop_map(
        |(owner, reason, resources, n)| {
            let mut expiring = samples::expiring();
            let exemption = &mut expiring.exemptions.first_mut().expect("one").exemption;
            exemption.tags = resources.iter().map(|name| (name.clone(), name.clone())).collect();
            (exemption.reason, exemption.resources) = (reason, resources);
            let exemptions = expiring.exemptions.iter().cycle().take(n).cloned().collect();
            Notice::ExemptionsExpiring(ExpiringExemptions { owner, exemptions })
        },
    );
    let blind = (names(), 0usize..11, 1usize..40).prop_map(|(detail, first, n)| {
        let causes = samples::CAUSES.into_iter().cycle().skip(first);
        let spots = samples::blind().spots.into_iter().cycle().zip(causes).take(n);
        let reason = |cause| BlindSpotReason { cause, detail: Some(detail.clone()) };
        Notice::BlindSpots(BlindSpots {
            spots: spots.map(|(spot, cause)| BlindSpot { reason: reason(cause), ..spot }).collect(),
        })
    });
    let reminder = (optional(), names(), names(), optional(), 0usize..40).prop_map(|(owner, control, id, name, n)| {
        let mut reminder = Reminder { owner, ..samples::reminder(n) };
        let worst =
            ReminderEntry { key: key(&control, &id, &id), name, ..reminder.violations.first().expect("there").clone() };
        reminder.violations.push(worst);
        Notice::ViolationReminder(reminder)
    });
    let warnings =
        (names(), names(), prop::collection::vec(names(), 1..40)).prop_map(|(repository, branch, warnings)| {
            Notice::PolicyWarnings(PolicyWarnings { repository, branch, warnings, ..samples::warnings() })
        });
    prop_oneof![
        3 => single, 2 => digests, 1 => rollout, 1 => rejected, 1 => expiring, 1 => blind, 1 => warnings, 1 => reminder
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn generated_notices_respect_format_limits(notice in notices()) {
        if let Some(misfit) = format_error(&notice) {
            prop_assert!(false, "{}: {misfit}", notice.kind());
        }
    }
}

/// The longest names, of each character that takes more room in one of the formats.
/// Long because each kind of notice is built with these names.
#[test]
fn ten_thousand_entries_with_worst_names_fit() {
    let others: Vec<_> = (40..10_000)
        .map(|n| ViolationNotice {
            parameters: None,
            ..entry(n, Update::ExemptionEnded(samples::exempt()), OpenedBy::Rollout)
        })
        .collect();
    for character in ["n", "😀", "\"", "\\", "\u{1}", "<", "`", "é ", "n n"] {
        let long = |length: usize| character.repeat(length);
        let resource = ResourceDetails {
            name: Some(long(1_024)),
            arn: Some(long(2_048)),
            tags: (0..50).map(|n| (format!("{n:02}{}", long(126)), long(256))).collect(),
        };
        let exempt = AppliedExemption { reason: long(2_000), owner: long(500), until: samples::exempt().until };
        let record = record(key(&long(512), &long(256), &long(1_024)), OpenedBy::FirstResult, resource);
        let context = NoticeContext {
            account_name: Some(long(256)),
            owner_tag: None,
            parameters: Some((0..12).map(|n| (format!("{n}{}", long(64)), long(400))).collect()),
            remediation_options: vec![long(2_000); 50],
            closest_exemption: Some(long(2_000)),
        };
        let worst = ViolationNotice {
            update: Update::ExemptionEnded(exempt.clone()),
            owner: Some(long(256)),
            annotation: Some(long(1_024)),
            rule_name: long(512),
            rule_arn: long(1_024),
            detected_by: DetectionSource::Sweep,
            earlier_transitions: u32::MAX,
            ..samples::notice(&record, context)
        };
        let critical = ViolationNotice { severity: Severity::Critical, ..worst.clone() };
        let of = |entries| ViolationDigest { account_name: Some(long(256)), control: long(512), ..digest(entries) };
        // Only the shown entries have the worst names; more would only take memory.
        let shown = ViolationNotice { parameters: None, ..critical.clone() };
        let rest = if character == "😀" { others.len() } else { 100 };
        let many: Vec<_> = vec![shown; 40].into_iter().chain(others.iter().take(rest).cloned()).collect();
        let exempted = ViolationNotice { update: Update::Exempted(exempt), ..worst.clone() };
        let mut report = samples::report(60, 40);
        // Different reasons, so that they form no groups.
        let reason = |n: usize| format!("{}{}", char::from(b'a' + u8::try_from(n % 26).expect("small")), long(4_000));
        report.verdict.failures.iter_mut().enumerate().for_each(|(n, diagnostic)| diagnostic.reason = reason(n));
        report.verdict.skipped = (0..40).map(|n| samples::ended(n, End::Skipped, &reason(n))).collect();
        report.retained = report.verdict.skipped.iter().map(|skipped| skipped.instance.clone()).collect();
        report.next = Some(long(4_000));
        (report.message, report.author, report.error) = (long(4_000), long(400), Some(long(4_000)));
        let mut rejection = samples::rejection();
        rejection.diagnostics =
            vec![
                Diagnostic::at(&long(500), &long(5_000), Position { line: 1, column: 1 }, long(4_000), long(4_000));
                40
            ];
        let reason = BlindSpotReason { cause: BlindSpotCause::CallFailed, detail: Some(long(2_000)) };
        let spot = BlindSpot { reason, ..samples::blind().spots.remove(0) };
        let open = |n: usize| ReminderEntry {
            key: key(&format!("{n}{}", long(512)), &format!("{n}{}", long(256)), &long(1_024)),
            name: Some(long(1_024)),
            severity: Severity::Critical,
            since: samples::since(),
        };
        let reminder =
            Reminder { owner: Some(long(256)), violations: (0..300).map(open).collect(), ..samples::reminder(0) };
        let mut expiring = samples::expiring().exemptions.remove(0);
        expiring.exemption.resources = vec![long(1_000); 50];
        expiring.exemption.tags = (0..50).map(|n| (format!("{n}{}", long(126)), long(256))).collect();
        expiring.exemption.reason = long(2_000);
        expiring.exemption.accounts = vec![account("222222222222"); 500];
        for (name, notice) in [
            ("digest", Notice::ViolationDigest(of(many))),
            ("digest with parameters", Notice::ViolationDigest(of(vec![critical; 30]))),
            ("exemption ended", Notice::ViolationOpened(worst)),
            ("exempted", Notice::ViolationExempted(exempted)),
            ("rollout", Notice::RolloutFailed(report)),
            ("rejection", Notice::PolicyRejected(rejection)),
            ("reminder", Notice::ViolationReminder(reminder)),
            ("blind", Notice::BlindSpots(BlindSpots { spots: vec![spot; 1_000] })),
            (
                "expiring",
                Notice::ExemptionsExpiring(ExpiringExemptions { owner: long(500), exemptions: vec![expiring; 300] }),
            ),
            (
                "warnings",
                Notice::PolicyWarnings(PolicyWarnings {
                    warnings: vec![long(4_000); 300],
                    repository: long(200),
                    branch: long(500),
                    ..samples::warnings()
                }),
            ),
        ] {
            let found = format_error(&notice).map(|mut misfit| {
                misfit.truncate(misfit.floor_char_boundary(400));
                misfit
            });
            assert_eq!(found, None, "{name} of {character:?}");
        }
    }
}
