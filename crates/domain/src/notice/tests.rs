use super::samples::{self, account, all, changes, digest, entry, flood, key, opened, record, region, told};
use super::*;
use crate::control::{self, CONTROLS};
use crate::fault::{Fault, Position, is_invisible};
use crate::ids::StackSetName;
use crate::rollout::{Outcome as End, Verdict};
use crate::violation::{Closing, Exempt, Found, Heard, ResourceFacts, Told};
use proptest::prelude::*;

/// What SNS takes, less room for subject, attributes and envelope.
const SNS_BYTES: usize = 262_144 - 4_096;
const FINDING_BYTES: usize = 240 * 1_000;

fn home() -> FindingHome {
    FindingHome { account: account("111111111111"), region: region("eu-west-1") }
}

/// Whether the notice is also told as a comment on a commit.
fn about_a_commit(notice: &Notice) -> bool {
    matches!(notice, Notice::RolloutSucceeded(_) | Notice::RolloutFailed(_) | Notice::PolicyRejected(_))
}

/// What the topic gets: two texts for people and three documents for machines, each a text in one JSON document.
fn sns_bytes(notice: &Notice) -> usize {
    let text = json!(notice.text()).to_string().len();
    let document = json!(notice.json().to_string()).to_string().len();
    2 * text + 3 * document
}

#[test]
fn every_notice_as_its_readers_get_it() {
    for (name, notice) in all() {
        let json = serde_json::to_string_pretty(&notice.json()).expect("serialises");
        let attributes = notice.attributes();
        let mut all = format!("Subject: {}\n\n{}\n{attributes:?}\n{json}", notice.subject(), notice.text());
        if about_a_commit(&notice) {
            all.push_str("\n\n");
            all.push_str(&notice.comment());
        }
        insta::assert_snapshot!(name, all);
    }
}

#[test]
fn every_fixture_keeps_to_its_forms() {
    for (name, notice) in all() {
        assert_eq!(misfit(&notice), None, "{name}");
    }
}

#[test]
fn what_a_control_requires_is_named_with_the_parameters_in_force() {
    let unwrapped = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = |notice: ViolationNotice| unwrapped(Notice::ViolationOpened(notice).text());
    let known = text(samples::backup_plan());
    let required = "Required every backup plan must run at least every 24 hours and keep backups at least 35 days";
    assert!(known.contains(required), "{known}");
    // The defaults are in force where a framework gives none, and nobody knows what is where the framework is not known.
    let given_none = text(ViolationNotice { parameters: Some(BTreeMap::new()), ..samples::backup_plan() });
    assert!(given_none.contains("run at least every day and keep backups at least 35 days"), "{given_none}");
    let unknown = text(ViolationNotice { parameters: None, ..samples::backup_plan() });
    assert!(unknown.contains("Required Backup plans run often enough and keep backups long enough"), "{unknown}");
    assert!(!unknown.contains("35"), "{unknown}");
}

#[test]
fn subjects_name_the_place_however_long_the_name() {
    let exempt = samples::exempt();
    let closings = [
        Closing::Satisfied,
        Closing::NotApplicable,
        Closing::ResourceGone,
        Closing::ControlRemoved,
        Closing::FrameworkRemoved,
    ];
    let mut whats = vec![Told::Opened, Told::ExemptionEnded(exempt.clone()), Told::Exempted(exempt)];
    whats.extend(closings.map(Told::Resolved));
    for control in CONTROLS {
        for resource_type in control.resource_types {
            for (what, place) in whats.iter().flat_map(|what| [(what, "eu-west-1"), (what, "ap-southeast-1")]) {
                let mut key = key(control.name, resource_type, &"n".repeat(300));
                key.region = region(place);
                let mut record = record(key, Found::Rollout, ResourceFacts::default());
                record.severity = Severity::Critical;
                let notice =
                    ViolationNotice { what: what.clone(), ..samples::notice(&record, NoticeContext::default()) };
                let subject = Notice::ViolationOpened(notice).subject();
                assert!(subject.ends_with(&format!("(222222222222, {place})")) && subject.len() <= 99, "{subject}");
            }
        }
        // Of a digest the account is never cut, however long its name.
        for entries in [flood().entries, changes().entries] {
            let account_name = Some("n".repeat(300));
            let digest = Digest { control: control.name.to_owned(), account_name, ..digest(entries) };
            let subject = Notice::ViolationDigest(digest).subject();
            assert!(subject.contains(" (222222222222") && subject.ends_with(')') && subject.len() <= 99, "{subject}");
        }
    }
    let stack_set = StackSetName::parse(&"n".repeat(128)).expect("a name");
    let subject = Notice::RolloutSucceeded(RolloutReport { stack_set, ..samples::report(6, 0) }).subject();
    assert!(
        subject.ends_with("...is rolled out: 6 of 6 instances")
            || subject.ends_with(" is rolled out: 6 of 6 instances")
    );
}

#[test]
fn headlines_of_rollouts_say_what_was_skipped_removed_or_left() {
    let subject = |name: &str| {
        all().into_iter().find(|(known, _)| *known == name).map(|(_, notice)| notice.subject()).unwrap_or_default()
    };
    let name = "ackup framework backup-compliance";
    for (sample, expected) in [
        ("rollout_succeeded", format!("B{name} is rolled out: 6 of 6 instances")),
        ("rollout_skipped", format!("B{name} is rolled out: 798 of 800 instances, 2 skipped")),
        ("rollout_partial", format!("[FAILED] Rollout of b{name}: 732 of 800 instances done, 2 skipped")),
        ("removal", format!("B{name} is removed: 12 instances deleted, 2 stacks let go")),
        ("removal_failed", format!("[FAILED] Removal of b{name}: 3 instances left")),
        ("rollout_trouble", format!("[FAILED] B{name} could not be rolled out")),
    ] {
        assert_eq!(subject(sample), expected);
    }
    let nothing = RolloutReport { deleted: 0, let_go: vec![], ..samples::removal() };
    assert_eq!(Notice::RolloutSucceeded(nothing).subject(), format!("B{name} is removed"));
    let trouble = RolloutReport { trouble: Some("x".into()), ..samples::removal_failed() };
    assert_eq!(Notice::RolloutFailed(trouble).subject(), format!("[FAILED] B{name} could not be removed"));
}

#[test]
fn one_odd_failure_is_named_beside_seven_hundred_equal_ones() {
    let mut report = samples::partial();
    let fault = |n: usize, reason: &str| samples::ended(n, End::Failed, reason);
    report.verdict.faults = (0..700).map(|n| fault(n, "role x cannot be assumed")).collect();
    report.verdict.faults.push(fault(700, "something new"));
    report.verdict.faults.push(samples::ended(701, End::Cancelled, "Cancelled since failure tolerance has exceeded"));
    let notice = Notice::RolloutFailed(report);
    let document = notice.json();
    let groups: Vec<_> = document["groups"].as_array().expect("a list").iter().collect();
    let told: Vec<_> =
        groups.iter().map(|group| (group["count"].as_u64(), group["instances"].as_array().map(Vec::len))).collect();
    assert_eq!(told, [(Some(700), Some(18)), (Some(1), Some(1)), (Some(1), Some(1)), (Some(2), Some(2))]);
    assert_eq!(document["faults"].as_array().map(Vec::len), Some(20));
    let text = notice.text();
    for line in [
        "Failed (701)\n",
        " and 682 more\n",
        "\nCancelled before their turn came (1)\n",
        "  - 1 instance: something new\n",
    ] {
        assert!(text.contains(line), "`{line}` is not in\n{text}");
    }
    // More reasons than there is room for are counted.
    let RolloutReport { mut verdict, .. } = samples::partial();
    verdict.faults =
        (0..26).map(|n| fault(n, &format!("kind {}", char::from(b'a' + u8::try_from(n).expect("small"))))).collect();
    let text = Notice::RolloutFailed(RolloutReport { verdict, ..samples::partial() }).text();
    assert!(text.contains("  and 14 instances for other reasons\n"), "{text}");
}

#[test]
fn a_fault_of_the_whole_rollout_comes_with_what_to_do() {
    let advice = |trouble: &str| {
        let report = RolloutReport { trouble: Some(trouble.into()), ..samples::trouble() };
        Notice::RolloutFailed(report).json()["advice"].clone()
    };
    let trusted =
        advice("ValidationError: You must enable organizations access to operate a service managed stack set");
    assert!(trusted.as_str().is_some_and(|text| text.contains("activate-organizations-access")), "{trusted}");
    // What the use case says already is not said twice.
    assert_eq!(advice(samples::trouble().trouble.as_deref().expect("there")), Value::Null);
    assert_eq!(advice("something new"), Value::Null);
}

#[test]
fn comments_of_rejected_policies_name_the_places() {
    let long = "d/".repeat(200);
    let at = Position { line: 12, column: 7 };
    let mut rejection = samples::rejection();
    rejection.faults.push(Fault::at(&long, "x", at, "the name `a`b [x](y) www.evil.example` is <b>bad</b>", "`"));
    let comment = Notice::PolicyRejected(rejection.clone()).comment();
    assert!(
        comment.contains("\n- `backup-compliance.yaml:5:20`: the account id `22222222222` has 11 digits; "),
        "{comment}"
    );
    assert!(comment.contains("\n- `framework.yaml`: the template `framework.yaml` is not"), "{comment}");
    assert!(comment.contains("…:12:7`: the name `a`b ［x］(y) www․evil.exampleˋ is ‹b›bad‹/b›; ˋ"), "{comment}");
    rejection.faults = rejection.faults.into_iter().cycle().take(45).collect();
    assert!(Notice::PolicyRejected(rejection).comment().contains("\n- and 25 more faults\n"));
}

#[test]
fn severities_tell_lost_data_from_wrong_settings() {
    let high: Vec<_> = CONTROLS.iter().filter(|c| c.severity == Severity::High).map(|c| c.name).collect();
    assert_eq!(
        high,
        [
            "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN",
            "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED",
            "BACKUP_LAST_RECOVERY_POINT_CREATED"
        ]
    );
    let of = |wanted: &str| all().into_iter().find(|(name, _)| *name == wanted).map(|(_, notice)| notice.severity());
    for (name, severity) in [
        ("opened", Severity::High),
        ("opened_backup_plan", Severity::Medium),
        ("opened_unknown_control", Severity::Medium),
        ("exemption_ended", Severity::High),
        ("resolved", Severity::Informational),
        ("exempted", Severity::Informational),
        ("digest", Severity::High),
        ("reminder", Severity::High),
        ("exemptions_expiring", Severity::Medium),
        ("blind_spots", Severity::Medium),
        ("policy_warnings", Severity::Low),
        ("rollout_succeeded", Severity::Informational),
        ("rollout_failed", Severity::High),
        ("rejected", Severity::Medium),
    ] {
        assert_eq!(of(name), Some(severity), "{name}");
    }
    // What is resolved does not make a digest worse, however bad it was.
    let critical = ViolationNotice { severity: Severity::Critical, ..told(Told::Resolved(Closing::Satisfied), 1) };
    assert_eq!(digest(vec![critical.clone()]).severity(), Severity::Informational);
    let low = ViolationNotice { severity: Severity::Low, ..opened() };
    assert_eq!(digest(vec![critical, low]).severity(), Severity::Low);
}

#[test]
fn every_control_has_words_for_a_headline() {
    for control in CONTROLS {
        for words in [control.broken, control.fixed, &words::broken_by_many(control.name)] {
            assert!(!words.is_empty() && words.len() <= 40 && !words.ends_with('.'), "{}: {words}", control.name);
            assert!(!words.starts_with("breaking "), "{} has no words for many", control.name);
        }
        assert_ne!(control.broken, control.fixed);
    }
    assert_eq!(control::find("BACKUP_SOMETHING_NEW"), None, "the unknown control of the fixtures is unknown");
    assert_eq!(words::broken_by_many("BACKUP_SOMETHING_NEW"), "breaking BACKUP_SOMETHING_NEW");
}

#[test]
fn times_between_are_told_in_two_units() {
    let start = samples::since();
    let later = |seconds: i64| start.checked_add(jiff::SignedDuration::from_secs(seconds)).expect("within range");
    for (seconds, words) in [
        (-5, "less than a minute"),
        (59, "less than a minute"),
        (60, "1 minute"),
        (3_599, "59 minutes"),
        (3_600, "1 hour"),
        (7_260, "2 hours 1 minute"),
        (86_400, "1 day"),
        (86_460, "1 day"),
        (273_600, "3 days 4 hours"),
    ] {
        assert_eq!(text::span(start, later(seconds)), words);
    }
}

#[test]
fn a_closing_without_a_result_is_dated_when_it_was_noticed() {
    let by_result = told(Told::Resolved(Closing::Satisfied), 3);
    assert_eq!(by_result.ended(), by_result.at);
    let mut by_sweep = told(Told::Resolved(Closing::ResourceGone), 3);
    by_sweep.at = samples::since();
    assert_eq!(by_sweep.ended(), by_sweep.recorded_at);
    let text = Notice::ViolationResolved(by_sweep).text();
    assert!(text.contains("  Resolved     2026-11-26 04:12 UTC\n  Open for     3 days\n"), "{text}");
}

#[test]
fn a_digest_counts_everything_and_shows_the_worst_and_oldest() {
    let mut digest = flood();
    for (place, severity) in [(200, Severity::Critical), (300, Severity::Critical), (3, Severity::Low)] {
        digest.entries.get_mut(place).expect("there").severity = severity;
    }
    let notice = Notice::ViolationDigest(digest);
    assert_eq!(
        notice.subject(),
        "[CRITICAL] 412 opened, 3 resolved: resources in no backup plan (222222222222 payments)"
    );
    let document = notice.json();
    let counts = json!({
        "opened": 412, "resolved": 3, "exempted": 0, "exemptionEnded": 0, "earlierTurns": 0,
        "found": { "rollout": 400, "regression": 2, "firstResult": 10 },
        "closed": { "satisfied": 2, "resourceGone": 1 },
        "owners": [
            { "owner": "orders-team", "violations": 414 }, { "owner": "orders-team@example.com", "violations": 1 },
        ],
        "moreOwners": 0,
        "resourceTypes": [
            { "type": "AWS::RDS::DBInstance", "violations": 414 }, { "type": "AWS::RDS::DBCluster", "violations": 1 },
        ],
        "moreResourceTypes": 0,
    });
    assert_eq!(document["counts"], counts);
    assert_eq!((&document["more"], &document["reason"]), (&json!(390), &json!("changes")));
    let entries = document["entries"].as_array().expect("a list");
    assert_eq!(entries.len(), 25);
    let names: Vec<_> =
        entries.iter().take(3).map(|entry| entry["resource"]["name"].as_str().expect("a name")).collect();
    // 200 % 30 and 300 % 30 days old; then the oldest of those that are high.
    assert_eq!(names, ["orders-200", "orders-300", "orders-029"]);
    let text = notice.text();
    for line in [
        "  By owner     orders-team 414, orders-team@example.com 1\n",
        "  By type      RDS instance 414, Aurora cluster 1\n",
        "Opened, found by the rollout of the control (400)\n",
        "    and 382 more\n",
        "  - RDS instance orders-410, owner orders-team, HIGH, since 2026-11-03\n",
        "Opened, regressions (2)\n",
        "Opened, new resources or newly in scope (10)\n",
        "Resolved, the control is satisfied now (2)\n",
        "Resolved, the resource is gone (1)\n",
        "  backup-compliance violations --in-account 222222222222 \\\n    --control BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN\n",
    ] {
        assert!(text.contains(line), "`{line}` is not in\n{text}");
    }
    assert_eq!(text.lines().filter(|line| line.starts_with("  - ")).count(), 25);
}

#[test]
fn the_subject_of_a_digest_says_what_kind_it_is() {
    let subject = |entries: Vec<ViolationNotice>| Notice::ViolationDigest(digest(entries)).subject();
    let place = "resources in no backup plan (222222222222 payments)";
    let exempted = |n| entry(n, Told::Exempted(samples::exempt()), Found::Rollout);
    let resolved = |n| entry(n, Told::Resolved(Closing::Satisfied), Found::Rollout);
    let ended = |n| entry(n, Told::ExemptionEnded(samples::exempt()), Found::Rollout);
    for (entries, expected) in [
        (vec![exempted(0), exempted(1)], "[EXEMPT] 2 exempt"),
        (vec![exempted(0), resolved(1)], "[RESOLVED] 1 exempt, 1 resolved"),
        (vec![resolved(0), resolved(1)], "[RESOLVED] 2 resolved"),
        (vec![ended(0), resolved(1)], "[HIGH] 1 exemption ended, 1 resolved"),
        (vec![ended(0), ended(1)], "[HIGH] 2 exemptions ended"),
        (vec![opened(), exempted(0)], "[HIGH] 1 opened, 1 exempt"),
    ] {
        assert_eq!(subject(entries), format!("{expected}: {place}"));
    }
    // Where there is no room for all, the account stays.
    assert_eq!(
        subject(vec![opened(), ended(2), ended(3), resolved(1)]),
        "[HIGH] 1 opened, 2 exemptions ended, 1 resolved: resources in no backup plan (222222222222)"
    );
    let all = [vec![opened(); 10], vec![ended(2), ended(3), exempted(0), resolved(1)]].concat();
    assert_eq!(subject(all), format!("[HIGH] 14 changes: {place}"));
}

#[test]
fn a_digest_is_found_by_each_of_its_regions() {
    let mut digest = changes();
    assert_eq!(Notice::ViolationDigest(digest.clone()).attributes()["region"], Attribute::Text("eu-west-1".into()));
    digest.entries.first_mut().expect("there").key.region = region("us-east-1");
    let notice = Notice::ViolationDigest(digest);
    assert_eq!(notice.attributes()["region"], Attribute::List(vec!["eu-west-1".into(), "us-east-1".into()]));
    assert_eq!(notice.json()["regions"], json!(["eu-west-1", "us-east-1"]));
    assert!(notice.text().contains("  Regions      eu-west-1, us-east-1\n"), "{}", notice.text());
}

#[test]
fn an_exemption_is_not_a_resolution() {
    let notice = Notice::from(told(Told::Exempted(samples::exempt()), 2));
    assert_eq!(notice.kind(), "violation.exempted");
    assert_eq!(notice.attributes()["kind"], Attribute::Text("violation.exempted".into()));
    assert_eq!(notice.subject(), "[EXEMPT] Aurora cluster orders is exempt until 2027-01-31 (222222222222, eu-west-1)");
    let document = notice.json();
    assert_eq!((&document["closed"], &document["noLongerApplies"]), (&Value::Null, &json!(false)));
    assert_eq!(document["exemption"]["owner"], "data-platform@example.com");
    assert_eq!(notice.event().expect("an event").0, "Backup Compliance Violation Exempted");
    let chat = notice.chat();
    assert_eq!(chat["metadata"]["eventType"], "violation.exempted");
    assert!(chat["content"]["title"].as_str().is_some_and(|title| title.starts_with("[EXEMPT] ")), "{chat:#}");
    for form in [notice.text(), document.to_string(), chat.to_string()] {
        assert!(!form.to_lowercase().contains("resolved"), "{form}");
    }
    // Nor is it one in a digest.
    let resolved = entry(0, Told::Resolved(Closing::Satisfied), Found::Rollout);
    let exempted = entry(1, Told::Exempted(samples::exempt()), Found::Rollout);
    let document = Notice::ViolationDigest(digest(vec![resolved, exempted])).json();
    let counts = &document["counts"];
    assert_eq!((&counts["resolved"], &counts["exempted"]), (&json!(1), &json!(1)));
    assert_eq!(counts["closed"], json!({ "satisfied": 1 }));
    assert_eq!(document["entries"][0]["kind"], "exempted");
}

#[test]
fn a_notice_is_found_by_each_of_its_owners() {
    let owner = |notice: Notice| notice.attributes().remove("owner");
    let text = |text: &str| Some(Attribute::Text(text.into()));
    let list = |texts: &[&str]| Some(Attribute::List(texts.iter().map(|text| (*text).to_owned()).collect()));
    assert_eq!(owner(opened().into()), text("orders-team@example.com"));
    assert_eq!(owner(told(Told::Resolved(Closing::Satisfied), 1).into()), text("orders-team@example.com"));
    let unknown = ViolationNotice { owner: None, ..opened() };
    assert_eq!(owner(unknown.clone().into()), None, "SNS rejects an empty attribute");
    assert_eq!(owner(ViolationNotice { owner: Some(" \u{200b}".into()), ..opened() }.into()), None);
    // The owner of an exemption answers for it as well.
    let exempted = told(Told::Exempted(samples::exempt()), 1);
    assert_eq!(owner(exempted.clone().into()), list(&["data-platform@example.com", "orders-team@example.com"]));
    assert_eq!(owner(ViolationNotice { owner: None, ..exempted }.into()), text("data-platform@example.com"));
    let digested = |entries| owner(Notice::ViolationDigest(digest(entries)));
    assert_eq!(digested(vec![unknown.clone()]), None);
    assert_eq!(digested(vec![opened(), unknown.clone(), opened()]), text("orders-team@example.com"));
    let other = entry(1, Told::Opened, Found::Rollout);
    assert_eq!(digested(vec![opened(), other]), list(&["orders-team", "orders-team@example.com"]));
    // Attributes count toward the size of a message.
    let many = (0..10_000).map(|n| ViolationNotice { owner: Some(format!("{n:05}{}", "o".repeat(300))), ..opened() });
    let Some(Attribute::List(owners)) = digested(many.collect()) else { panic!("several") };
    assert!(owners.iter().all(|owner| owner.chars().count() <= 256), "{owners:?}");
    let bytes = owners.iter().map(String::len).sum::<usize>();
    assert!((7_000..=8_192).contains(&bytes), "{bytes}");
    let reminder = samples::reminder(2);
    assert_eq!(owner(Notice::ViolationReminder(reminder.clone())), text("orders-team"));
    assert_eq!(owner(Notice::ViolationReminder(Reminder { owner: None, ..reminder })), None);
}

#[test]
fn a_reminder_counts_before_it_lists() {
    let notice = Notice::ViolationReminder(samples::reminder(40));
    assert_eq!(notice.kind(), "violation.reminder");
    assert_eq!(notice.subject(), "[REMINDER] 41 open violations of orders-team");
    let text = notice.text();
    for line in [
        "41 open violations of orders-team.\n",
        "  Open         41 for 7 days or more, 14 for 30 days or more\n",
        "  By severity  HIGH 40, MEDIUM 1\n",
        "  By account   222222222222 41\n",
        "  By type      RDS instance 40, backup plan 1\n",
        "    and 16 more\n",
        "  backup-compliance violations --owner orders-team\n",
    ] {
        assert!(text.contains(line), "`{line}` is not in\n{text}");
    }
    assert!(text.find("By type") < text.find("  - "), "{text}");
    let document = notice.json();
    assert_eq!(document["counts"]["ages"], json!([{"days": 7, "violations": 41}, {"days": 30, "violations": 14}]));
    assert_eq!(document["violations"].as_array().map(Vec::len), Some(25));
    assert_eq!((&document["more"], &document["owner"]), (&json!(16), &json!("orders-team")));
    let platform = Notice::ViolationReminder(Reminder { owner: None, ..samples::reminder(0) });
    assert_eq!(platform.subject(), "[REMINDER] 1 open violation without an owner");
    assert_eq!(
        (&platform.json()["owner"], &platform.json()["command"]),
        (&Value::Null, &json!("backup-compliance violations"))
    );
    // A shell would read the name otherwise than we mean it.
    let odd = Reminder { owner: Some("a; rm -rf /".into()), ..samples::reminder(0) };
    assert_eq!(Notice::ViolationReminder(odd).json()["command"], "backup-compliance violations");
}

#[test]
fn every_blind_spot_has_one_cause_with_what_to_do_a_link_and_a_command() {
    let spot = |cause| BlindSpot {
        account: account("333333333333"),
        region: region("eu-west-1"),
        reason: BlindReason { cause, detail: None },
        since: samples::since(),
    };
    for cause in BlindCause::ALL {
        let notice = Notice::BlindSpots(BlindSpots { spots: vec![spot(cause)] });
        let (text, document) = (notice.text(), notice.json());
        let told = &document["spots"][0];
        assert_eq!(
            (&told["cause"], serde_json::to_value(cause).expect("serializes")),
            (&json!(cause.word()), json!(cause.word()))
        );
        assert_eq!(document["counts"]["causes"], json!({ cause.word(): 1 }));
        let words =
            |field: &str| told[field].as_str().expect("a text").split_whitespace().collect::<Vec<_>>().join(" ");
        let unwrapped = text.replace(" \\\n", " ").split_whitespace().collect::<Vec<_>>().join(" ");
        for field in ["why", "todo", "console", "command"] {
            assert!(unwrapped.contains(&words(field)), "{field} of {cause:?} is not in {text}");
        }
        assert!(words("console").starts_with("https://") && words("todo").ends_with('.'), "{told}");
        assert!(["aws ", "backup-compliance "].iter().any(|tool| words("command").starts_with(tool)), "{told}");
        assert!(!words("command").contains('{'), "{told}");
        let alternatives = [" or the ", " or it ", ", or there is"].iter().any(|or| cause.sentence().contains(or));
        assert!(!alternatives, "one cause: {}", cause.sentence());
        assert_eq!(notice.chat()["content"]["nextSteps"].as_array().map(Vec::len), Some(3), "{cause:?}");
    }
    // Of many places, each cause is named once, however many places another one has.
    let mut spots = vec![spot(BlindCause::NotRecording); 700];
    spots.push(spot(BlindCause::RoleNotAssumable));
    let notice = Notice::BlindSpots(BlindSpots { spots });
    assert_eq!(
        notice.json()["counts"],
        json!({ "places": 701, "causes": { "notRecording": 700, "roleNotAssumable": 1 } })
    );
    for cause in [BlindCause::NotRecording, BlindCause::RoleNotAssumable] {
        assert_eq!(notice.text().matches(cause.sentence()).count(), 1, "{}", notice.text());
    }
    // In another partition.
    let china = BlindSpot { region: region("cn-north-1"), ..spot(BlindCause::NotRecording) };
    assert_eq!(china.console(), "https://cn-north-1.console.amazonaws.cn/config/home?region=cn-north-1#/settings");
}

#[test]
fn turns_that_are_not_told_one_by_one_are_counted() {
    let folded = |turns| ViolationNotice { folded: turns, ..opened() };
    let one = Notice::ViolationOpened(folded(1));
    let many = Notice::ViolationDigest(digest(vec![folded(40), folded(2), opened()]));
    assert_eq!(one.json()["earlierTurns"], 1);
    assert_eq!(many.json()["counts"]["earlierTurns"], 42);
    for (notice, words) in [(one, "1 earlier turn, back and forth"), (many, "42 earlier turns, back and forth")] {
        assert!(notice.text().contains(&format!("\n  Before       {words}")), "{}", notice.text());
        let chat = notice.chat();
        assert!(chat["content"]["description"].as_str().is_some_and(|text| text.contains(words)), "{chat:#}");
    }
}

#[test]
fn parameters_of_a_digest_are_those_that_all_have() {
    let parameters = |days: &str| Some(BTreeMap::from([("requiredRetentionDays".to_owned(), days.to_owned())]));
    let entry = |days: &str| ViolationNotice { parameters: parameters(days), ..samples::backup_plan() };
    let requirement = |entries| {
        let control = samples::backup_plan().key.control;
        Notice::ViolationDigest(Digest { control, ..digest(entries) }).json()["control"]["requirement"].clone()
    };
    let same = requirement(vec![entry("90"), entry("90")]);
    assert!(same.as_str().is_some_and(|words| words.ends_with("at least 90 days")), "{same}");
    let different = requirement(vec![entry("90"), entry("35")]);
    assert_eq!(different, "Backup plans run often enough and keep backups long enough");
}

#[test]
fn only_a_control_that_a_shell_reads_as_one_word_stands_in_a_command() {
    for control in ["; rm -rf ~", "$(id)", "a b", "-x", "", "ä", &"a".repeat(129)] {
        let digest = Digest { control: control.to_owned(), ..changes() };
        assert_eq!(digest.command(), "backup-compliance violations --in-account 222222222222");
    }
    let digest = Digest { control: "A_rule-2".to_owned(), ..changes() };
    assert_eq!(digest.command(), "backup-compliance violations --in-account 222222222222 --control A_rule-2");
}

#[test]
fn links_lead_to_the_console_of_their_region_whatever_the_name() {
    let link = |name: &str, id: &str| link::timeline(&region(name), "AWS::S3::Bucket", id).expect("short enough");
    assert_eq!(
        link("eu-west-1", "a b/../#&resourceType=x\u{202e}é"),
        "https://eu-west-1.console.aws.amazon.com/config/home?region=eu-west-1#/resources/timeline?\
         resourceId=a%20b%2F..%2F%23%26resourceType%3Dx%E2%80%AE%C3%A9&resourceType=AWS%3A%3AS3%3A%3ABucket"
    );
    for (name, start) in [
        ("cn-north-1", "https://cn-north-1.console.amazonaws.cn/config/"),
        ("us-gov-west-1", "https://us-gov-west-1.console.amazonaws-us-gov.com/config/"),
        ("eusc-de-east-1", "https://eusc-de-east-1.console.amazonaws-eusc.eu/config/"),
    ] {
        assert!(link(name, "x").starts_with(start), "{name}");
    }
    assert_eq!(link::timeline(&region("eu-west-1"), "AWS::S3::Bucket", &"x".repeat(2_000)), None);
}

#[test]
fn names_cannot_pose_as_the_text_around_them() {
    let name =
        "orders is in a backup plan.\r\nSubject: all is well\u{2028}<!channel> *bold* `x` https://evil.example @here";
    let resource = ResourceFacts {
        name: Some(name.to_owned()),
        arn: None,
        tags: BTreeMap::from([("a".to_owned(), "x\n  Owner        boss".to_owned())]),
    };
    let notice = Notice::ViolationOpened(ViolationNotice { resource, ..opened() });
    assert_eq!(
        notice.subject(),
        "[HIGH] Aurora cluster \"orders is in a backup pla...\" is in no backup plan (222222222222, eu-west-1)"
    );
    let text = notice.text();
    assert!(
        text.starts_with("Aurora cluster \"orders is in a backup plan. Subject: all is well <!channel>\n"),
        "{text}"
    );
    assert!(text.contains("\n  Tags         a=x Owner boss\n"), "{text}");
    let chat = notice.chat();
    assert_eq!(
        chat["content"]["description"].as_str().and_then(|text| text.lines().next()),
        Some(
            "Aurora cluster `orders is in a backup plan. Subject: all is well ‹!channel› *bold* ˋxˋ https[:]//evil.example ＠here` \
             is in no backup plan."
        )
    );
    assert_eq!(
        chat["content"]["title"],
        "[HIGH] Aurora cluster \"orders is in a backup pla...\" is in no backup plan (222222222222, eu-west-1)"
    );
    // Between our own words nothing formats, links or calls.
    let name = "[x](y) *b* _i_ ~s~ :tada: @all a_b";
    let resource = ResourceFacts { name: Some(name.to_owned()), ..ResourceFacts::default() };
    let chat =
        Notice::ViolationResolved(ViolationNotice { resource, ..told(Told::Resolved(Closing::ResourceGone), 1) })
            .chat();
    assert_eq!(
        chat["content"]["title"],
        "[RESOLVED] Aurora cluster \"［x］(y) ∗b∗ ＿i＿ ∼s∼ ∶tada: ＠all a_b\" is gone (222222222222, eu-west-1)"
    );
}

/// SNS and SQS take what XML takes, and refuse a message with any other code point.
#[test]
fn what_queues_refuse_is_in_no_form() {
    let name = "a\u{0}b\u{fffe}c\u{ffff}d";
    let resource = ResourceFacts {
        name: Some(name.to_owned()),
        arn: Some(name.to_owned()),
        tags: BTreeMap::from([(name.to_owned(), name.to_owned())]),
    };
    let violation = ViolationNotice { resource, owner: Some(name.to_owned()), ..opened() };
    let rollout = RolloutReport { author: name.to_owned(), message: name.to_owned(), ..samples::report(6, 0) };
    let expiring = ExpiringExemptions { owner: name.to_owned(), ..samples::expiring() };
    for notice in [
        Notice::ViolationOpened(violation.clone()),
        Notice::ViolationDigest(digest(vec![violation])),
        Notice::RolloutSucceeded(rollout),
        Notice::ExemptionsExpiring(expiring),
    ] {
        let mut all = vec![notice.text(), notice.json().to_string(), notice.chat().to_string()];
        all.extend(notice.attributes().into_values().map(|value| match value {
            Attribute::Text(text) => text,
            Attribute::List(texts) => texts.concat(),
        }));
        for form in all {
            let refused = form.find(|c: char| (c < ' ' && c != '\n') || matches!(c, '\u{fffe}' | '\u{ffff}'));
            assert_eq!(refused, None, "{form}");
        }
    }
}

#[test]
fn messages_about_one_violation_are_one_thread() {
    let thread = |notice: Notice| notice.chat()["metadata"]["threadId"].clone();
    let opened_thread = thread(Notice::ViolationOpened(opened()));
    let resolved = told(Told::Resolved(Closing::Satisfied), 1);
    assert_eq!(
        opened_thread,
        thread(Notice::ViolationResolved(ViolationNotice { rule_arn: String::new(), ..resolved }))
    );
    let mut other = opened();
    other.key.region = region("us-east-1");
    assert_ne!(opened_thread, thread(Notice::ViolationOpened(other)));
    let digests = thread(Notice::ViolationDigest(changes()));
    assert_eq!(digests, thread(Notice::ViolationDigest(flood())));
    assert_ne!(digests, thread(Notice::ViolationDigest(Digest { control: "X".into(), ..changes() })));
}

#[test]
fn a_finding_opens_passes_or_is_archived() {
    let exempt = samples::exempt();
    for (what, status, state, severity) in [
        (Told::Opened, "FAILED", "ACTIVE", "HIGH"),
        (Told::Refreshed, "FAILED", "ACTIVE", "HIGH"),
        (Told::ExemptionEnded(exempt.clone()), "FAILED", "ACTIVE", "HIGH"),
        // It still breaks the control: exempt is not passed.
        (Told::Exempted(exempt), "FAILED", "ARCHIVED", "INFORMATIONAL"),
        (Told::Resolved(Closing::Satisfied), "PASSED", "ACTIVE", "INFORMATIONAL"),
        (Told::Resolved(Closing::NotApplicable), "NOT_AVAILABLE", "ARCHIVED", "INFORMATIONAL"),
        (Told::Resolved(Closing::ResourceGone), "NOT_AVAILABLE", "ARCHIVED", "INFORMATIONAL"),
        (Told::Resolved(Closing::ControlRemoved), "NOT_AVAILABLE", "ARCHIVED", "INFORMATIONAL"),
        (Told::Resolved(Closing::FrameworkRemoved), "NOT_AVAILABLE", "ARCHIVED", "INFORMATIONAL"),
    ] {
        let violation = told(what.clone(), 2);
        let updated = violation.recorded_at.to_string();
        let finding = Notice::from(violation).finding(&home()).expect("a finding");
        let found = (&finding["Compliance"]["Status"], &finding["RecordState"]);
        assert_eq!(found, (&json!(status), &json!(state)), "{what:?}");
        assert_eq!(finding["FindingProviderFields"]["Severity"]["Label"], severity, "{what:?}");
        assert_eq!(finding["UpdatedAt"], updated);
        assert_eq!(finding["CreatedAt"], "2026-11-23T04:12:09.311Z");
        assert_eq!(
            finding["Id"],
            "backup-compliance/222222222222/eu-west-1/BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN/AWS::RDS::DBCluster/cluster-7XK3Q"
        );
    }
    for notice in [Notice::ViolationDigest(changes()), Notice::BlindSpots(samples::blind())] {
        assert_eq!((notice.finding(&home()), notice.event()), (None, None));
    }
}

#[test]
fn a_finding_is_at_home_in_the_account_that_imports_it_and_names_the_true_one() {
    let finding = |home: &FindingHome, violation: ViolationNotice| {
        Notice::ViolationOpened(violation).finding(home).expect("a finding")
    };
    let document = finding(&home(), opened());
    assert_eq!(document["AwsAccountId"], "111111111111");
    assert_eq!(document["ProductArn"], "arn:aws:securityhub:eu-west-1:111111111111:product/111111111111/default");
    assert_eq!(document["ProductFields"]["backup-compliance/account"], "222222222222");
    let resource = json!({
        "Type": "AwsRdsDbCluster",
        "Id": "arn:aws:rds:eu-west-1:222222222222:cluster:orders",
        "Partition": "aws",
        "Region": "eu-west-1",
        "Tags": { "environment": "prod", "owner": "orders-team@example.com", "service": "checkout" },
    });
    assert_eq!(document["Resources"], json!([resource]));
    for (name, partition) in [("cn-north-1", "aws-cn"), ("us-gov-east-1", "aws-us-gov"), ("eusc-de-east-1", "aws-eusc")]
    {
        let mut violation = opened();
        violation.key.region = region(name);
        let document = finding(&FindingHome { region: region(name), ..home() }, violation);
        assert_eq!(document["Resources"][0]["Partition"], partition);
        let arn = format!("arn:{partition}:securityhub:{name}:111111111111:product/111111111111/default");
        assert_eq!(document["ProductArn"], arn);
    }
}

#[test]
fn security_hub_gets_nothing_blank_and_no_more_than_it_takes() {
    let tags = (0..60).map(|n| (format!("tag-{n:02}"), if n == 0 { "  ".to_owned() } else { "v".repeat(300) }));
    let resource = ResourceFacts { name: None, arn: None, tags: tags.collect() };
    let mut violation = ViolationNotice { resource, rule_arn: String::new(), ..opened() };
    violation.key.resource_id = "n".repeat(1_000);
    let one = Notice::ViolationOpened(violation.clone()).finding(&home()).expect("a finding");
    let tags = one["Resources"][0]["Tags"].as_object().expect("tags");
    assert_eq!((tags.len(), tags.get("tag-00")), (50, None));
    assert!(one["ProductFields"].get("backup-compliance/configRuleArn").is_none());
    violation.key.resource_id.push('n');
    let other = Notice::ViolationOpened(violation).finding(&home()).expect("a finding");
    assert_ne!(one["Id"], other["Id"], "names that differ only behind what is kept");
    assert_ne!(one["Resources"][0]["Id"], other["Resources"][0]["Id"]);
    assert_eq!(one["Id"].as_str().map(str::len), Some(512));
}

/// Everything in a document that is a text.
fn texts(document: &Value) -> Vec<&str> {
    match document {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        _ => vec![],
    }
}

fn odd(text: &str) -> Option<char> {
    text.chars().find(|c| (c.is_control() && *c != '\n') || is_invisible(*c))
}

/// What is wrong with any form of a notice, if anything.
fn misfit(notice: &Notice) -> Option<String> {
    misfit_of_mail(notice)
        .or_else(|| misfit_of_chat(&notice.chat()))
        .or_else(|| misfit_of_machines(notice))
        .or_else(|| misfit_of_comment(notice))
        .or_else(|| misfit_of_rollout(notice))
}

/// An underscore between letters formats nothing, whatever else is in the text.
fn without_inner_underscores(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let is_letter =
        |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(|c| c.is_alphanumeric() || *c == '_');
    let is_inner = |at: usize| is_letter(at.checked_sub(1)) && is_letter(at.checked_add(1));
    chars.iter().enumerate().filter(|(at, c)| **c != '_' || !is_inner(*at)).map(|(_, c)| *c).collect()
}

/// What CodeCommit takes, and what Markdown makes nothing of.
fn misfit_of_comment(notice: &Notice) -> Option<String> {
    let comment = notice.comment();
    // The adapter derives its idempotency token from the text; groups are made with maps that are seeded anew each time.
    if comment.len() > 10_240 || comment != notice.comment() {
        return Some(format!("comment of {} bytes", comment.len()));
    }
    if !comment.lines().next().is_some_and(|first| first.starts_with("**") && first.ends_with("**")) {
        return Some(format!("comment begins {:?}", comment.lines().next()));
    }
    if odd(&comment).is_some() || comment.contains(['<', '>', '&']) || comment.contains("://") {
        return Some(format!("comment: {comment:?}"));
    }
    comment.lines().find_map(|line| {
        let parts: Vec<&str> = line.split('`').collect();
        let outside = parts.iter().step_by(2);
        let marks = ["[", "*", "_", "~", "#", "|", "\\", "www."];
        // Our own: the bold lines, the dash of an item, the mark of a subject.
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

/// Everything is counted, however little of it is shown.
fn misfit_of_rollout(notice: &Notice) -> Option<String> {
    let (Notice::RolloutSucceeded(report) | Notice::RolloutFailed(report)) = notice else { return None };
    let document = notice.json();
    let groups = document["groups"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of = |skipped: bool| groups.iter().filter(move |group| (group["outcome"] == "skipped") == skipped);
    for (skipped, all) in [(false, &report.verdict.faults), (true, &report.verdict.skipped)] {
        let told: u64 = of(skipped).filter_map(|group| group["count"].as_u64()).sum();
        let named: usize = of(skipped).filter_map(|group| group["instances"].as_array()).map(Vec::len).sum();
        let few = of(skipped).count() < if skipped { 3 } else { 12 };
        if told > all.len() as u64 || (few && told != all.len() as u64) || named > 20 || (named == 0 && !all.is_empty())
        {
            return Some(format!("{told} told and {named} named of {}", all.len()));
        }
        // People and machines are told of the same instances.
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

fn misfit_of_mail(notice: &Notice) -> Option<String> {
    let (subject, text) = (notice.subject(), notice.text());
    if subject.is_empty() || subject.len() >= 100 || !subject.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Some(format!("subject: {subject:?}"));
    }
    if odd(&text).is_some() || !text.ends_with('\n') {
        return Some(format!("text has {:?}: {text:?}", odd(&text)));
    }
    // Only a word that cannot be broken may go beyond, alone behind its label or indentation.
    let too_long = |line: &&str| {
        let longest = line.split(' ').map(|word| word.chars().count()).max().unwrap_or_default();
        line.chars().count() > 77.max(longest + 15)
    };
    text.lines().find(too_long).map(|line| format!("too long: {line:?}"))
}

fn misfit_of_chat(chat: &Value) -> Option<String> {
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
    for text in texts(chat).into_iter().filter(|text| !is_link(text)) {
        let calls =
            |at: usize| text.get(..at).is_none_or(|before| !before.ends_with(|c: char| c.is_ascii_alphanumeric()));
        let mentions = text.match_indices('@').any(|(at, _)| calls(at));
        if odd(text).is_some() || text.contains(['<', '>', '&']) || text.contains("://") || mentions {
            return Some(format!("chat: {text:?}"));
        }
    }
    // What is opened as code is closed in the same line.
    let description = content["description"].as_str().unwrap_or_default();
    let block = description.strip_prefix("```\n").and_then(|text| text.strip_suffix("\n```"));
    let open = |line: &str| line.matches('`').count() % 2 == 1;
    let unclosed = match block {
        Some(text) => text.contains('`'),
        None => description.lines().any(open),
    };
    unclosed.then(|| format!("chat: code is not closed in {description:?}"))
}

fn misfit_of_machines(notice: &Notice) -> Option<String> {
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
    let blank = fields.into_iter().flatten().flat_map(texts).any(|text| text.trim().is_empty());
    let fits = within("Id", 512) && within("GeneratorId", 512) && within("Title", 256) && within("Description", 1_024);
    (bytes > FINDING_BYTES || !fits || blank).then(|| format!("finding of {bytes} bytes: {finding:#}"))
}

/// Names that people and attackers choose: other scripts, control characters, marks of direction, line ends, headers, links,
/// commands, mentions, very long.
fn names() -> impl Strategy<Value = String> {
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
        let exempt = Exempt { reason, owner, until: samples::exempt().until };
        match which {
            0 => Told::Opened,
            1 => Told::ExemptionEnded(exempt),
            2 => Told::Exempted(exempt),
            3 => Told::Refreshed,
            4 => Told::Resolved(Closing::ResourceGone),
            5 => Told::Resolved(Closing::NotApplicable),
            _ => Told::Resolved(Closing::Satisfied),
        }
    });
    let tags = prop::collection::btree_map(names(), names(), 0..4);
    let resource = (optional(), optional(), tags).prop_map(|(name, arn, tags)| ResourceFacts { name, arn, tags });
    let words = (optional(), optional(), optional(), optional(), prop::collection::vec(names(), 0..4));
    (control, names(), names(), resource, told, words)
        .prop_map(|(control, resource_type, resource_id, resource, what, words)| {
            let (annotation, owner, account_name, near_exemption, ways) = words;
            let record = record(key(&control, &resource_type, &resource_id), Found::Rollout, resource);
            let notice = samples::notice(
                &record,
                NoticeContext { account_name, ways, near_exemption, ..NoticeContext::default() },
            );
            ViolationNotice { what, annotation, owner, rule_name: resource_id, rule_arn: resource_type, ..notice }
        })
        .boxed()
}

fn notices() -> impl Strategy<Value = Notice> {
    let optional = || prop::option::of(names());
    let single = violations().prop_map(Notice::from);
    let digests = (names(), optional(), prop::collection::vec(violations(), 1..8)).prop_map(
        |(control, account_name, entries)| Notice::ViolationDigest(Digest { control, account_name, ..digest(entries) }),
    );
    let rollout = (
        (names(), names(), optional(), optional()),
        prop::collection::vec((names(), 0usize..6, 0usize..8), 0..40),
        0usize..30,
        0usize..30,
        any::<bool>(),
    )
        .prop_map(|((author, message, trouble, next), ends, skipped, let_go, removed)| {
            // Known causes with hostile words around them, and reasons that are nothing else.
            let reason = |name: &str, cause: usize| match cause {
                0 => format!("{name} role cannot be assumed {name}"),
                1 => format!("not authorized to perform: a:B {name}"),
                2 => format!("ResourceStatusReason:{name} already exists"),
                _ => name.to_owned(),
            };
            let outcomes = [End::Failed, End::Cancelled, End::NeverReached, End::NotDeleted];
            let fault = |(n, (name, cause, outcome)): (usize, &(String, usize, usize))| {
                samples::ended(n, outcomes[outcome % 4], &reason(name, *cause))
            };
            let faults: Vec<_> = ends.iter().enumerate().map(fault).collect();
            let skip =
                |n: usize| samples::ended(100 + n, End::Skipped, ends.get(n % 5).map_or("x", |(name, _, _)| name));
            let verdict = Verdict { total: 100, succeeded: 30, faults, skipped: (0..skipped).map(skip).collect() };
            let let_go = (0..let_go).map(|n| samples::ended(200 + n, End::Skipped, "").instance).collect();
            let failed = trouble.is_some() || !verdict.is_success();
            let report =
                RolloutReport { author, message, trouble, next, verdict, let_go, removed, ..samples::report(6, 0) };
            if failed { Notice::RolloutFailed(report) } else { Notice::RolloutSucceeded(report) }
        });
    let rejected = (names(), names(), names(), names(), names(), 1usize..300).prop_map(
        |(author, message, file, line, fix, column)| {
            let mut rejection = Rejection { author, message, ..samples::rejection() };
            let at = Position { line: 1, column };
            rejection.faults.push(Fault::at(&file, &line, at, format!("`{line}` is wrong"), fix));
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
        let causes = BlindCause::ALL.into_iter().cycle().skip(first);
        let spots = samples::blind().spots.into_iter().cycle().zip(causes).take(n);
        let reason = |cause| BlindReason { cause, detail: Some(detail.clone()) };
        Notice::BlindSpots(BlindSpots {
            spots: spots.map(|(spot, cause)| BlindSpot { reason: reason(cause), ..spot }).collect(),
        })
    });
    let reminder = (optional(), names(), names(), optional(), 0usize..40).prop_map(|(owner, control, id, name, n)| {
        let mut reminder = Reminder { owner, ..samples::reminder(n) };
        let worst =
            OpenViolation { key: key(&control, &id, &id), name, ..reminder.violations.first().expect("there").clone() };
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
    fn whatever_the_names_every_form_is_right(notice in notices()) {
        if let Some(misfit) = misfit(&notice) {
            prop_assert!(false, "{}: {misfit}", notice.kind());
        }
    }
}

proptest! {
    #[test]
    fn nothing_that_was_said_is_lost_in_wrapping(words in prop::collection::vec("[a-z]{1,90}", 1..30)) {
        let said = words.join(" ");
        prop_assume!(said.len() <= 1000);
        for text in [text::paragraph(&said, 2), text::field("", &said)] {
            let read: Vec<&str> = text.split_whitespace().collect();
            prop_assert_eq!(&read, &words);
        }
    }

    #[test]
    fn what_is_fitted_takes_no_more_than_it_may(said in names(), budget in 3usize..3_000) {
        let fitted = text::fit(&said, budget);
        let cost = |text: &str| json!(json!(text).to_string()).to_string().len() - json!(json!("").to_string()).to_string().len();
        prop_assert!(cost(&fitted) <= budget, "{} > {budget}: {fitted:?}", cost(&fitted));
        prop_assert!(fitted == said || (cost(&said) > budget && fitted.ends_with('…')));
    }
}

/// The longest names there are, of each kind of character that takes more room in one of the forms.
#[test]
fn ten_thousand_entries_of_the_worst_names_fit() {
    let others: Vec<_> = (40..10_000)
        .map(|n| ViolationNotice {
            parameters: None,
            ..entry(n, Told::ExemptionEnded(samples::exempt()), Found::Rollout)
        })
        .collect();
    for character in ["n", "😀", "\"", "\\", "\u{1}", "<", "`", "é ", "n n"] {
        let long = |length: usize| character.repeat(length);
        let resource = ResourceFacts {
            name: Some(long(1_024)),
            arn: Some(long(2_048)),
            tags: (0..50).map(|n| (format!("{n:02}{}", long(126)), long(256))).collect(),
        };
        let exempt = Exempt { reason: long(2_000), owner: long(500), until: samples::exempt().until };
        let record = record(key(&long(512), &long(256), &long(1_024)), Found::FirstResult, resource);
        let context = NoticeContext {
            account_name: Some(long(256)),
            owner_tag: None,
            parameters: Some((0..12).map(|n| (format!("{n}{}", long(64)), long(400))).collect()),
            ways: vec![long(2_000); 50],
            near_exemption: Some(long(2_000)),
        };
        let worst = ViolationNotice {
            what: Told::ExemptionEnded(exempt.clone()),
            owner: Some(long(256)),
            annotation: Some(long(1_024)),
            rule_name: long(512),
            rule_arn: long(1_024),
            heard: Heard::Sweep,
            folded: u32::MAX,
            ..samples::notice(&record, context)
        };
        let critical = ViolationNotice { severity: Severity::Critical, ..worst.clone() };
        let of = |entries| Digest { account_name: Some(long(256)), control: long(512), ..digest(entries) };
        // Those that are shown are the worst; more of them would only take memory.
        let shown = ViolationNotice { parameters: None, ..critical.clone() };
        let rest = if character == "😀" { others.len() } else { 100 };
        let many: Vec<_> = vec![shown; 40].into_iter().chain(others.iter().take(rest).cloned()).collect();
        let exempted = ViolationNotice { what: Told::Exempted(exempt), ..worst.clone() };
        let mut report = samples::report(60, 40);
        // Each of its own kind, so that none are told together.
        let reason = |n: usize| format!("{}{}", char::from(b'a' + u8::try_from(n % 26).expect("small")), long(4_000));
        report.verdict.faults.iter_mut().enumerate().for_each(|(n, fault)| fault.reason = reason(n));
        report.verdict.skipped = (0..40).map(|n| samples::ended(n, End::Skipped, &reason(n))).collect();
        report.let_go = report.verdict.skipped.iter().map(|skipped| skipped.instance.clone()).collect();
        report.next = Some(long(4_000));
        (report.message, report.author, report.trouble) = (long(4_000), long(400), Some(long(4_000)));
        let mut rejection = samples::rejection();
        rejection.faults =
            vec![Fault::at(&long(500), &long(5_000), Position { line: 1, column: 1 }, long(4_000), long(4_000)); 40];
        let reason = BlindReason { cause: BlindCause::CallFailed, detail: Some(long(2_000)) };
        let spot = BlindSpot { reason, ..samples::blind().spots.remove(0) };
        let open = |n: usize| OpenViolation {
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
            let found = misfit(&notice).map(|mut misfit| {
                misfit.truncate(misfit.floor_char_boundary(400));
                misfit
            });
            assert_eq!(found, None, "{name} of {character:?}");
        }
    }
}
