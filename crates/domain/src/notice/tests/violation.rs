use framework::control::CONTROLS;

use super::samples::{self, account, all, changes, digest, entry, flood, opened, region, update};
use crate::notice::*;
use crate::violation::{ClosedReason, OpenedBy};

#[test]
fn requirement_uses_parameters_in_force() {
    let unwrapped = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = |notice: ViolationNotice| unwrapped(Notice::ViolationOpened(notice).text());
    let known = text(samples::backup_plan());
    let required = "Required every backup plan must run at least every 24 hours and keep backups at least 35 days";
    assert!(known.contains(required), "{known}");
    // Defaults are in force without parameters, and unknown parameters are not guessed.
    let defaults = text(ViolationNotice { parameters: Some(BTreeMap::new()), ..samples::backup_plan() });
    assert!(defaults.contains("run at least every day and keep backups at least 35 days"), "{defaults}");
    let unknown = text(ViolationNotice { parameters: None, ..samples::backup_plan() });
    assert!(unknown.contains("Required Backup plans run often enough and keep backups long enough"), "{unknown}");
    assert!(!unknown.contains("35"), "{unknown}");
}

#[test]
fn severity_is_high_for_possible_data_loss() {
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
    // A resolved violation does not raise the severity of a digest.
    let critical =
        ViolationNotice { severity: Severity::Critical, ..update(Update::Resolved(ClosedReason::Satisfied), 1) };
    assert_eq!(digest(vec![critical.clone()]).severity(), Severity::Informational);
    let low = ViolationNotice { severity: Severity::Low, ..opened() };
    assert_eq!(digest(vec![critical, low]).severity(), Severity::Low);
}

#[test]
fn end_without_result_has_time_of_record() {
    let by_result = update(Update::Resolved(ClosedReason::Satisfied), 3);
    assert_eq!(by_result.ended(), by_result.at);
    let mut by_sweep = update(Update::Resolved(ClosedReason::ResourceGone), 3);
    by_sweep.at = samples::since();
    assert_eq!(by_sweep.ended(), by_sweep.recorded_at);
    let text = Notice::ViolationResolved(by_sweep).text();
    assert!(text.contains("  Resolved     2026-11-26 04:12 UTC\n  Open for     3 days\n"), "{text}");
}

#[test]
fn exemption_is_not_reported_as_resolution() {
    let notice = Notice::from(update(Update::Exempted(samples::exempt()), 2));
    assert_eq!(notice.kind(), "violation.exempted");
    assert_eq!(notice.attributes()["kind"], Attribute::Text("violation.exempted".into()));
    assert_eq!(notice.subject(), "[EXEMPT] Aurora cluster orders is exempt until 2027-01-31 (222222222222, eu-west-1)");
    let document = notice.json();
    assert_eq!((&document["closedReason"], &document["noLongerApplies"]), (&Value::Null, &json!(false)));
    assert_eq!(document["exemption"]["owner"], "data-platform@example.com");
    assert_eq!(notice.event().expect("an event").0, "Backup Compliance Violation Exempted");
    let chat = notice.chat();
    assert_eq!(chat["metadata"]["eventType"], "violation.exempted");
    assert!(chat["content"]["title"].as_str().is_some_and(|title| title.starts_with("[EXEMPT] ")), "{chat:#}");
    for form in [notice.text(), document.to_string(), chat.to_string()] {
        assert!(!form.to_lowercase().contains("resolved"), "{form}");
    }
    // The same in a digest.
    let resolved = entry(0, Update::Resolved(ClosedReason::Satisfied), OpenedBy::Rollout);
    let exempted = entry(1, Update::Exempted(samples::exempt()), OpenedBy::Rollout);
    let document = Notice::ViolationDigest(digest(vec![resolved, exempted])).json();
    let counts = &document["counts"];
    assert_eq!((&counts["resolved"], &counts["exempted"]), (&json!(1), &json!(1)));
    assert_eq!(counts["closedReasons"], json!({ "satisfied": 1 }));
    assert_eq!(document["entries"][0]["kind"], "exempted");
}

#[test]
fn owner_attribute_lists_all_owners() {
    let owner = |notice: Notice| notice.attributes().remove("owner");
    let text = |text: &str| Some(Attribute::Text(text.into()));
    let list = |texts: &[&str]| Some(Attribute::List(texts.iter().map(|text| (*text).to_owned()).collect()));
    assert_eq!(owner(opened().into()), text("orders-team@example.com"));
    assert_eq!(owner(update(Update::Resolved(ClosedReason::Satisfied), 1).into()), text("orders-team@example.com"));
    let unknown = ViolationNotice { owner: None, ..opened() };
    assert_eq!(owner(unknown.clone().into()), None, "SNS rejects an empty attribute");
    assert_eq!(owner(ViolationNotice { owner: Some(" \u{200b}".into()), ..opened() }.into()), None);
    // The owner of an exemption is also an owner.
    let exempted = update(Update::Exempted(samples::exempt()), 1);
    assert_eq!(owner(exempted.clone().into()), list(&["data-platform@example.com", "orders-team@example.com"]));
    assert_eq!(owner(ViolationNotice { owner: None, ..exempted }.into()), text("data-platform@example.com"));
    let digested = |entries| owner(Notice::ViolationDigest(digest(entries)));
    assert_eq!(digested(vec![unknown.clone()]), None);
    assert_eq!(digested(vec![opened(), unknown.clone(), opened()]), text("orders-team@example.com"));
    let other = entry(1, Update::Opened, OpenedBy::Rollout);
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
fn blind_spot_has_remediation_link_and_command() {
    let spot = |cause| BlindSpot {
        account: account("333333333333"),
        region: region("eu-west-1"),
        reason: BlindSpotReason { cause, detail: None },
        since: samples::since(),
    };
    for cause in samples::CAUSES {
        let notice = Notice::BlindSpots(BlindSpots { spots: vec![spot(cause)] });
        let (text, document) = (notice.text(), notice.json());
        let told = &document["blindSpots"][0];
        let word = told["cause"].as_str().expect("a text");
        assert_eq!(serde_json::to_value(cause).expect("serializes"), word);
        assert_eq!(document["counts"]["causes"], json!({ word: 1 }));
        let words =
            |field: &str| told[field].as_str().expect("a text").split_whitespace().collect::<Vec<_>>().join(" ");
        let unwrapped = text.replace(" \\\n", " ").split_whitespace().collect::<Vec<_>>().join(" ");
        for field in ["summary", "remediation", "console", "command"] {
            assert!(unwrapped.contains(&words(field)), "{field} of {cause:?} is not in {text}");
        }
        assert!(words("console").starts_with("https://") && words("remediation").ends_with('.'), "{told}");
        assert!(["aws ", "backup-compliance "].iter().any(|tool| words("command").starts_with(tool)), "{told}");
        assert!(!words("command").contains('{'), "{told}");
        let alternatives = [" or the ", " or it ", ", or there is"].iter().any(|or| cause.summary().contains(or));
        assert!(!alternatives, "one cause: {}", cause.summary());
        assert_eq!(notice.chat()["content"]["nextSteps"].as_array().map(Vec::len), Some(3), "{cause:?}");
    }
    // Each cause is named once.
    let mut spots = vec![spot(BlindSpotCause::NotRecording); 700];
    spots.push(spot(BlindSpotCause::RoleNotAssumable));
    let notice = Notice::BlindSpots(BlindSpots { spots });
    assert_eq!(
        notice.json()["counts"],
        json!({ "locations": 701, "causes": { "notRecording": 700, "roleNotAssumable": 1 } })
    );
    for cause in [BlindSpotCause::NotRecording, BlindSpotCause::RoleNotAssumable] {
        assert_eq!(notice.text().matches(cause.summary()).count(), 1, "{}", notice.text());
    }
    // In another partition.
    let china = BlindSpot { region: region("cn-north-1"), ..spot(BlindSpotCause::NotRecording) };
    assert_eq!(china.console(), "https://cn-north-1.console.amazonaws.cn/config/home?region=cn-north-1#/settings");
}

#[test]
fn chat_messages_of_one_violation_share_thread() {
    let thread = |notice: Notice| notice.chat()["metadata"]["threadId"].clone();
    let opened_thread = thread(Notice::ViolationOpened(opened()));
    let resolved = update(Update::Resolved(ClosedReason::Satisfied), 1);
    assert_eq!(
        opened_thread,
        thread(Notice::ViolationResolved(ViolationNotice { rule_arn: String::new(), ..resolved }))
    );
    let mut other = opened();
    other.key.region = region("us-east-1");
    assert_ne!(opened_thread, thread(Notice::ViolationOpened(other)));
    let digests = thread(Notice::ViolationDigest(changes()));
    assert_eq!(digests, thread(Notice::ViolationDigest(flood())));
    assert_ne!(digests, thread(Notice::ViolationDigest(ViolationDigest { control: "X".into(), ..changes() })));
}
