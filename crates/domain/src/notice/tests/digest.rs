use super::samples::{self, changes, digest, entry, flood, opened, region};
use crate::notice::*;
use crate::violation::{ClosedReason, OpenedBy};

#[test]
fn digest_counts_all_and_shows_worst_and_oldest() {
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
        "opened": 412, "resolved": 3, "exempted": 0, "exemptionEnded": 0, "earlierTransitions": 0,
        "openedBy": { "rollout": 400, "regression": 2, "firstResult": 10 },
        "closedReasons": { "satisfied": 2, "resourceGone": 1 },
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
    // 200 % 30 and 300 % 30 days old; then the oldest with severity high.
    assert_eq!(names, ["orders-200", "orders-300", "orders-029"]);
    let text = notice.text();
    for line in [
        "  By owner     orders-team 414, orders-team@example.com 1\n",
        "  By type      RDS instance 414, Aurora cluster 1\n",
        "Opened by the rollout of the control (400)\n",
        "    and 382 more\n",
        "  - RDS instance orders-410, owner orders-team, HIGH, since 2026-11-03\n",
        "Opened, regressions (2)\n",
        "Opened, new resources or newly in scope (10)\n",
        "Resolved, the control is satisfied (2)\n",
        "Resolved, the resource was deleted (1)\n",
        "  backup-compliance violations --in-account 222222222222 \\\n    --control BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN\n",
    ] {
        assert!(text.contains(line), "`{line}` is not in\n{text}");
    }
    assert_eq!(text.lines().filter(|line| line.starts_with("  - ")).count(), 25);
}

#[test]
fn digest_subject_has_mark_and_counts() {
    let subject = |entries: Vec<ViolationNotice>| Notice::ViolationDigest(digest(entries)).subject();
    let place = "resources in no backup plan (222222222222 payments)";
    let exempted = |n| entry(n, Update::Exempted(samples::exempt()), OpenedBy::Rollout);
    let resolved = |n| entry(n, Update::Resolved(ClosedReason::Satisfied), OpenedBy::Rollout);
    let ended = |n| entry(n, Update::ExemptionEnded(samples::exempt()), OpenedBy::Rollout);
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
    // The account is kept if the line is too long.
    assert_eq!(
        subject(vec![opened(), ended(2), ended(3), resolved(1)]),
        "[HIGH] 1 opened, 2 exemptions ended, 1 resolved: resources in no backup plan (222222222222)"
    );
    let all = [vec![opened(); 10], vec![ended(2), ended(3), exempted(0), resolved(1)]].concat();
    assert_eq!(subject(all), format!("[HIGH] 14 changes: {place}"));
}

#[test]
fn digest_attribute_lists_all_regions() {
    let mut digest = changes();
    assert_eq!(Notice::ViolationDigest(digest.clone()).attributes()["region"], Attribute::Text("eu-west-1".into()));
    digest.entries.first_mut().expect("there").key.region = region("us-east-1");
    let notice = Notice::ViolationDigest(digest);
    assert_eq!(notice.attributes()["region"], Attribute::List(vec!["eu-west-1".into(), "us-east-1".into()]));
    assert_eq!(notice.json()["regions"], json!(["eu-west-1", "us-east-1"]));
    assert!(notice.text().contains("  Regions      eu-west-1, us-east-1\n"), "{}", notice.text());
}

#[test]
fn reminder_counts_before_it_lists() {
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
    // A shell would interpret the name.
    let odd = Reminder { owner: Some("a; rm -rf /".into()), ..samples::reminder(0) };
    assert_eq!(Notice::ViolationReminder(odd).json()["command"], "backup-compliance violations");
}

#[test]
fn earlier_transitions_are_counted() {
    let folded = |turns| ViolationNotice { earlier_transitions: turns, ..opened() };
    let one = Notice::ViolationOpened(folded(1));
    let many = Notice::ViolationDigest(digest(vec![folded(40), folded(2), opened()]));
    assert_eq!(one.json()["earlierTransitions"], 1);
    assert_eq!(many.json()["counts"]["earlierTransitions"], 42);
    for (notice, words) in [
        (one, "1 earlier transition between open and resolved"),
        (many, "42 earlier transitions between open and resolved"),
    ] {
        assert!(notice.text().contains(&format!("\n  Before       {words}")), "{}", notice.text());
        let chat = notice.chat();
        assert!(chat["content"]["description"].as_str().is_some_and(|text| text.contains(words)), "{chat:#}");
    }
}

#[test]
fn digest_parameters_are_the_common_ones() {
    let parameters = |days: &str| Some(BTreeMap::from([("requiredRetentionDays".to_owned(), days.to_owned())]));
    let entry = |days: &str| ViolationNotice { parameters: parameters(days), ..samples::backup_plan() };
    let requirement = |entries| {
        let control = samples::backup_plan().key.control;
        Notice::ViolationDigest(ViolationDigest { control, ..digest(entries) }).json()["control"]["requirement"].clone()
    };
    let same = requirement(vec![entry("90"), entry("90")]);
    assert!(same.as_str().is_some_and(|words| words.ends_with("at least 90 days")), "{same}");
    let different = requirement(vec![entry("90"), entry("35")]);
    assert_eq!(different, "Backup plans run often enough and keep backups long enough");
}

#[test]
fn digest_command_omits_unsafe_control() {
    for control in ["; rm -rf ~", "$(id)", "a b", "-x", "", "ä", &"a".repeat(129)] {
        let digest = ViolationDigest { control: control.to_owned(), ..changes() };
        assert_eq!(digest.command(), "backup-compliance violations --in-account 222222222222");
    }
    let digest = ViolationDigest { control: "A_rule-2".to_owned(), ..changes() };
    assert_eq!(digest.command(), "backup-compliance violations --in-account 222222222222 --control A_rule-2");
}
