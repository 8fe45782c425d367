use super::*;
use crate::control::{self, CONTROLS};
use crate::fault::{Fault, Position, is_invisible};
use crate::ids::{AccountId, CommitId, RegionName, StackSetName};
use crate::rollout::{Instance, InstanceFault, Verdict};
use crate::violation::{Key, Ordering, Pending, Record, Status};
use jiff::Timestamp;
use proptest::prelude::*;

const RULE_ARN: &str =
    "arn:aws:config:eu-west-1:222222222222:config-rule/aws-service-rule/backup.amazonaws.com/config-rule-ab12cd";

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn instance(account: usize, region: &str) -> Instance {
    Instance {
        account: AccountId::parse(&format!("{account:012}")).expect("12 digits"),
        region: RegionName::parse(region).expect("a Region"),
    }
}

fn record(control: &str, resource_type: &str, resource_id: &str) -> Record {
    let triggered = time("2026-11-23T04:12:09.311Z");
    Record {
        key: Key {
            account: AccountId::parse("222222222222").expect("12 digits"),
            region: RegionName::parse("eu-west-1").expect("a Region"),
            control: control.into(),
            resource_type: resource_type.into(),
            resource_id: resource_id.into(),
        },
        status: Status::Open,
        since: Some(triggered),
        ordering: Ordering { triggered, recorded: triggered, notified: triggered },
        rule_name: format!("{}-1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d", control.trim_start_matches("BACKUP_")),
        rule_arn: RULE_ARN.into(),
        annotation: None,
        pending: Some(Pending::Opened),
    }
}

fn orders() -> Record {
    let mut record = record("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN", "AWS::RDS::DBCluster", "cluster-7XK3Q");
    record.annotation = Some("The resource is not protected by a backup plan.".into());
    record
}

fn orders_facts() -> ResourceFacts {
    let arn = "arn:aws:rds:eu-west-1:222222222222:cluster:orders".to_owned();
    ResourceFacts { name: Some("orders".into()), arn: Some(arn) }
}

fn backup_plan() -> ViolationNotice {
    let record = record(
        "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK",
        "AWS::Backup::BackupPlan",
        "8f81f553-3a74-4a3f-b93d-b3360dc80c50",
    );
    let facts = ResourceFacts { name: Some("monthly".into()), arn: None };
    let parameters =
        [("requiredFrequencyUnit", "hours"), ("requiredFrequencyValue", "24"), ("requiredRetentionDays", "35")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
    ViolationNotice::new(&record, Pending::Opened, facts, Some(BTreeMap::from(parameters)))
}

fn resolved(pending: Pending) -> Notice {
    let mut record = orders();
    record.ordering.triggered = time("2026-11-24T04:12:10.507Z");
    record.annotation = None;
    Notice::ViolationResolved(ViolationNotice::new(&record, pending, orders_facts(), Some(BTreeMap::new())))
}

fn report(total: usize, faults: usize) -> RolloutReport {
    let regions = ["eu-west-1", "us-east-1"];
    let fault = |index: usize| InstanceFault {
        instance: instance(111_111_111_111 + index / 2, regions[index % 2]),
        outcome: if index == 0 { "cancelled" } else { "failed" }.into(),
        reason: if index == 0 {
            "Cancelled since failure tolerance has exceeded".into()
        } else {
            "ResourceLogicalId:Framework, ResourceType:AWS::Backup::Framework, ResourceStatusReason:Config is not recording in \
             this account and Region."
                .into()
        },
    };
    RolloutReport {
        stack_set: StackSetName::parse("backup-compliance").expect("a name"),
        repository: "backup-policies".into(),
        branch: "main".into(),
        commit: CommitId::parse("a11ce0000000000000000000000000000000beef").expect("an id"),
        author: "Ada Lovelace <ada@example.com>".into(),
        message: "Keep recovery points for 35 days".into(),
        verdict: Verdict { total, succeeded: total - faults, faults: (0..faults).map(fault).collect() },
        created: if faults == 0 { 2 } else { 0 },
        updated: total,
        deleted: 0,
        trouble: None,
        next: (faults > 0).then(|| "The next hourly look tries again (attempt 2 of 3). A push starts over.".into()),
    }
}

fn trouble() -> RolloutReport {
    let trouble = "cloudformation:CreateStackSet failed: ValidationError: Account 000000000000 should have \
                   'AWSCloudFormationStackSetAdministrationRole' role (request 1f0c); the StackSets administration role is \
                   missing or cannot be used: deploy framework/prerequisites/administration-role.yaml in this account";
    let verdict = Verdict { total: 6, succeeded: 0, faults: vec![] };
    let next = Some("It was tried 3 times and is not tried again before the next push.".into());
    RolloutReport { verdict, updated: 0, trouble: Some(trouble.into()), next, ..report(6, 0) }
}

fn rejection() -> Rejection {
    let RolloutReport { repository, branch, commit, author, .. } = report(6, 0);
    let policy =
        "version: 1\nframeworks:\n  - name: backup-compliance\n    targets:\n      - accounts: [\"22222222222\"]\n";
    let missing = "the template `framework.yaml` is not in the repository";
    let faults = vec![
        Fault::at(
            "backup-compliance.yaml",
            policy,
            Position { line: 5, column: 20 },
            "the account id `22222222222` has 11 digits",
            "an account id is 12 digits, such as \"111111111111\"",
        ),
        Fault::of_file("framework.yaml", missing, "add it, or correct `template` of the framework `backup-compliance`"),
    ];
    Rejection { repository, branch, commit, author, message: "Add the data account".into(), faults }
}

fn fixtures() -> Vec<(&'static str, Notice)> {
    let opened = |record: &Record, facts| {
        Notice::ViolationOpened(ViolationNotice::new(record, Pending::Opened, facts, Some(BTreeMap::new())))
    };
    let unknown = record("BACKUP_SOMETHING_NEW", "AWS::Neptune::DBCluster", "graph");
    vec![
        ("opened", opened(&orders(), orders_facts())),
        ("opened_backup_plan", Notice::ViolationOpened(backup_plan())),
        ("opened_unknown_control", opened(&unknown, ResourceFacts::default())),
        ("resolved", resolved(Pending::Resolved)),
        ("resolved_no_longer_applies", resolved(Pending::NoLongerApplies)),
        ("rollout_succeeded", Notice::RolloutSucceeded(report(6, 0))),
        ("rollout_failed", Notice::RolloutFailed(report(60, 25))),
        ("rollout_trouble", Notice::RolloutFailed(trouble())),
        ("rejected", Notice::PolicyRejected(rejection())),
    ]
}

#[test]
fn every_notice_as_its_readers_get_it() {
    for (name, notice) in fixtures() {
        let json = serde_json::to_string_pretty(&notice.json()).expect("serialises");
        let attributes = notice.attributes();
        let all = format!("Subject: {}\n\n{}\n{attributes:?}\n{json}", notice.subject(), notice.text());
        insta::assert_snapshot!(name, all);
    }
}

#[test]
fn every_fixture_keeps_to_the_form_of_a_mail() {
    for (name, notice) in fixtures() {
        assert_eq!(misfit(&notice), None, "{name}");
    }
}

#[test]
fn what_a_control_requires_is_named_with_the_parameters_in_force() {
    let unwrapped = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let known = unwrapped(Notice::ViolationOpened(backup_plan()).text());
    let required = "Required every backup plan must run at least every 24 hours and keep backups at least 35 days";
    assert!(known.contains(required), "{known}");
    // The defaults are in force where a framework gives none, and nobody knows what is where the framework is not known.
    let given_none = ViolationNotice { parameters: Some(BTreeMap::new()), ..backup_plan() };
    let given_none = unwrapped(Notice::ViolationOpened(given_none).text());
    assert!(given_none.contains("run at least every day and keep backups at least 35 days"), "{given_none}");
    let unknown = unwrapped(Notice::ViolationOpened(ViolationNotice { parameters: None, ..backup_plan() }).text());
    assert!(unknown.contains("Required Backup plans run often enough and keep backups long enough"), "{unknown}");
    assert!(!unknown.contains("35"), "{unknown}");
}

#[test]
fn subjects_name_the_place_however_long_the_name() {
    for control in CONTROLS {
        for resource_type in control.resource_types {
            let record = record(control.name, resource_type, &"n".repeat(300));
            let notice = ViolationNotice::new(&record, Pending::Opened, ResourceFacts::default(), None);
            for notice in [Notice::ViolationOpened(notice.clone()), Notice::ViolationResolved(notice)] {
                let subject = notice.subject();
                assert!(subject.ends_with("(222222222222, eu-west-1)") && subject.len() <= 99, "{subject}");
            }
        }
    }
    let stack_set = StackSetName::parse(&"n".repeat(128)).expect("a name");
    let subject = Notice::RolloutSucceeded(RolloutReport { stack_set, ..report(6, 0) }).subject();
    assert!(
        subject.ends_with("...is rolled out: 6 of 6 instances")
            || subject.ends_with(" is rolled out: 6 of 6 instances")
    );
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
    let severities: Vec<_> = fixtures().iter().map(|(_, notice)| notice.severity().label()).collect();
    let expected =
        ["HIGH", "MEDIUM", "MEDIUM", "INFORMATIONAL", "INFORMATIONAL", "INFORMATIONAL", "HIGH", "HIGH", "MEDIUM"];
    assert_eq!(severities, expected);
}

/// What is wrong with the form of a notice, if anything.
fn misfit(notice: &Notice) -> Option<String> {
    let (subject, text) = (notice.subject(), notice.text());
    if subject.is_empty() || subject.len() >= 100 || !subject.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Some(format!("subject: {subject:?}"));
    }
    let odd = text.chars().find(|c| (c.is_control() && *c != '\n') || is_invisible(*c));
    if odd.is_some() || !text.ends_with('\n') {
        return Some(format!("text has {odd:?}: {text:?}"));
    }
    // Only a word that cannot be broken may go beyond, alone behind its label or indentation.
    let too_long = |line: &&str| {
        let longest = line.split(' ').map(|word| word.chars().count()).max().unwrap_or_default();
        line.chars().count() > 77.max(longest + 15)
    };
    text.lines().find(too_long).map(|line| format!("too long: {line:?}"))
}

/// Names that people and attackers choose: other scripts, control characters, marks of direction, line ends, very long.
fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z][a-z0-9-]{0,20}",
        "\\PC{0,80}",
        "(\\PC|[\\x00-\\x1f\\x7f\u{85}\u{2028}\u{202e}\u{2066}\u{200b}\u{feff}\r\n]){0,60}",
        "[a-z]{400,3000}",
        "([a-z]{1,12} ){200,400}",
        "[^a]{0,40}\r\nBcc: [a-z]{1,9}@example.com",
    ]
}

fn notices() -> impl Strategy<Value = Notice> {
    let optional = || prop::option::of(names());
    let control =
        prop_oneof![names(), prop::sample::select(CONTROLS.iter().map(|c| c.name.to_owned()).collect::<Vec<_>>())];
    let violation = (control, names(), names(), optional(), optional(), optional(), any::<bool>()).prop_map(
        |(control, resource_type, resource_id, name, arn, annotation, opened)| {
            let mut record = record(&control, &resource_type, &resource_id);
            record.annotation = annotation;
            let pending = if opened { Pending::Opened } else { Pending::NoLongerApplies };
            let notice = ViolationNotice::new(&record, pending, ResourceFacts { name, arn }, None);
            if opened { Notice::ViolationOpened(notice) } else { Notice::ViolationResolved(notice) }
        },
    );
    let rollout = (names(), names(), names(), optional(), optional(), 0usize..30).prop_map(
        |(author, message, reason, trouble, next, faults)| {
            let mut report = RolloutReport { author, message, trouble, next, ..report(40, faults) };
            report.verdict.faults.iter_mut().for_each(|fault| fault.reason.clone_from(&reason));
            Notice::RolloutFailed(report)
        },
    );
    let rejected = (names(), names(), names(), names(), names(), 1usize..300).prop_map(
        |(author, message, file, line, fix, column)| {
            let mut rejection = Rejection { author, message, ..rejection() };
            let at = Position { line: 1, column };
            rejection.faults.push(Fault::at(&file, &line, at, format!("`{line}` is wrong"), fix));
            Notice::PolicyRejected(rejection)
        },
    );
    prop_oneof![violation, rollout, rejected]
}

proptest! {
    #[test]
    fn whatever_the_names_a_notice_is_a_mail(notice in notices()) {
        prop_assert_eq!(misfit(&notice), None);
        prop_assert!(notice.text().len() < 60_000, "several forms of it fit the 256 KiB of SNS");
        prop_assert!(notice.attributes().values().all(|value| !value.is_empty()));
        prop_assert_eq!(&notice.json()["kind"], notice.kind());
    }

    #[test]
    fn nothing_that_was_said_is_lost_in_wrapping(words in prop::collection::vec("[a-z]{1,90}", 1..30)) {
        let said = words.join(" ");
        prop_assume!(said.len() <= 1000);
        for text in [text::paragraph(&said, 2), text::field("", &said)] {
            let read: Vec<&str> = text.split_whitespace().collect();
            prop_assert_eq!(&read, &words);
        }
    }
}

#[test]
fn every_control_has_words_for_a_headline() {
    for control in CONTROLS {
        for words in [control.broken, control.fixed] {
            assert!(!words.is_empty() && words.len() <= 40 && !words.ends_with('.'), "{}: {words}", control.name);
        }
        assert_ne!(control.broken, control.fixed);
    }
    assert_eq!(control::find("BACKUP_SOMETHING_NEW"), None, "the unknown control of the fixtures is unknown");
}
