//! One notice of each kind, and of each way in which notices of a kind differ.

use std::collections::BTreeMap;

use domain::fault::Fault;
use domain::ids::{AccountId, CommitId, RegionName, StackSetName};
use domain::notice::{Notice, Rejection, ResourceFacts, RolloutReport, ViolationNotice};
use domain::policy::Policy;
use domain::rollout::{Instance, InstanceFault, Verdict};
use domain::violation::{Key, Ordering, Pending, Record, Status};
use jiff::Timestamp;

fn record(control: &str, pending: Pending) -> Record {
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    Record {
        key: Key {
            account: AccountId::parse("222222222222").unwrap(),
            region: RegionName::parse("eu-west-1").unwrap(),
            control: control.to_owned(),
            resource_type: "AWS::RDS::DBCluster".to_owned(),
            resource_id: "cluster-7XK3".to_owned(),
        },
        status: if pending == Pending::Opened { Status::Open } else { Status::Closed },
        since: Some(time("2026-11-20T04:12:09.311Z")),
        ordering: Ordering {
            triggered: time("2026-11-20T04:12:09.311Z"),
            recorded: time("2026-11-20T04:12:29.902Z"),
            notified: time("2026-11-20T04:12:31Z"),
        },
        rule_name: format!("AURORA-{control}"),
        rule_arn:
            "arn:aws:config:eu-west-1:222222222222:config-rule/aws-service-rule/backup.amazonaws.com/config-rule-ab12cd"
                .to_owned(),
        annotation: None,
        pending: Some(pending),
    }
}

fn violation(control: &str, pending: Pending, all_is_known: bool) -> Notice {
    let mut record = record(control, pending);
    let (resource, parameters) = if all_is_known {
        record.annotation = Some("The resource is in no backup plan.".to_owned());
        let arn = "arn:aws:rds:eu-west-1:222222222222:cluster:orders".to_owned();
        let parameters = BTreeMap::from([("requiredRetentionDays".to_owned(), "35".to_owned())]);
        (ResourceFacts { name: Some("orders".to_owned()), arn: Some(arn) }, Some(parameters))
    } else {
        (ResourceFacts::default(), None)
    };
    let notice = ViolationNotice::new(&record, pending, resource, parameters);
    if pending == Pending::Opened { Notice::ViolationOpened(notice) } else { Notice::ViolationResolved(notice) }
}

fn rollout(faults: usize, trouble: Option<&str>) -> RolloutReport {
    let fault = |n: usize| InstanceFault {
        instance: Instance {
            account: AccountId::parse(&format!("{n:012}")).unwrap(),
            region: RegionName::parse("us-east-1").unwrap(),
        },
        outcome: ["failed", "cancelled", "skipped", "never reached", "not deleted"][n % 5].to_owned(),
        reason: "no execution role".to_owned(),
    };
    let failed = faults > 0 || trouble.is_some();
    RolloutReport {
        stack_set: StackSetName::parse("backup-compliance").unwrap(),
        repository: "backup-policy".to_owned(),
        branch: "main".to_owned(),
        commit: CommitId::parse("0f9f8e7d6c5b4a39281706f5e4d3c2b1a0918273").unwrap(),
        author: "Ada Lovelace <ada@example.com>".to_owned(),
        message: "Start".to_owned(),
        verdict: Verdict {
            total: 6,
            succeeded: 6_usize.saturating_sub(faults),
            faults: (0..faults).map(fault).collect(),
        },
        created: 6,
        updated: 0,
        deleted: 0,
        trouble: trouble.map(str::to_owned),
        next: failed.then(|| "The next hourly look tries again.".to_owned()),
    }
}

fn rejection(faults: Vec<Fault>) -> Notice {
    let RolloutReport { repository, branch, commit, author, message, .. } = rollout(0, None);
    Notice::PolicyRejected(Rejection { repository, branch, commit, author, message, faults })
}

/// The faults of a policy file.
fn faults_of(policy: &str) -> Vec<Fault> {
    Policy::read("backup-compliance.yaml", policy).unwrap_err()
}

/// A framework with this account again and again: a fault in every line.
fn wrong_accounts(number: usize) -> String {
    let accounts = "          - \"1\"\n".repeat(number);
    format!(
        "version: 1\nframeworks:\n  - name: a\n    template: a.yaml\n    targets:\n      - accounts:\n{accounts}        regions: [us-east-1]\n"
    )
}

/// All of them.
pub(crate) fn all() -> Vec<Notice> {
    const KNOWN: &str = "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK";
    let mut notices = Vec::new();
    for control in [KNOWN, "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN", "A-RULE-OF-TOMORROW"] {
        for pending in [Pending::Opened, Pending::Resolved, Pending::NoLongerApplies] {
            notices.extend([true, false].map(|all_is_known| violation(control, pending, all_is_known)));
        }
    }
    notices.push(Notice::RolloutSucceeded(rollout(0, None)));
    notices.extend([1, 5, 60].map(|faults| Notice::RolloutFailed(rollout(faults, None))));
    notices.push(Notice::RolloutFailed(rollout(0, Some("cloudformation:CreateStackSet failed: AccessDenied"))));
    notices.push(rejection(faults_of("frameworks: [")));
    notices.push(rejection(faults_of(&wrong_accounts(1))));
    notices.push(rejection(faults_of(&wrong_accounts(30))));
    notices.push(rejection(vec![Fault::of_file("backup-compliance.yaml", "the file is not there", "add it")]));
    notices
}
