//! One notice of each kind, and of each way in which notices of a kind differ.

use std::collections::{BTreeMap, BTreeSet};

use domain::control::{Severity, find};
use domain::fault::Fault;
use domain::ids::{AccountId, CommitId, RegionName, StackSetName};
use domain::notice::{
    BlindCause, BlindReason, BlindSpot, BlindSpots, Digest, ExpiringExemption, ExpiringExemptions, Notice,
    NoticeContext, OpenViolation, PolicyWarnings, Rejection, Reminder, RolloutReport, ViolationNotice,
};
use domain::policy::{Exemption, Policy};
use domain::rollout::{Instance, InstanceFault, Outcome as End, Verdict};
use domain::violation::{
    Change, Closing, Compliance, Debt, Exempt, Found, Heard, Key, Opening, Ordering, Outcome, Outlet, Record,
    ResourceFacts, Told, apply,
};
use jiff::Timestamp;

const PLAN: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn account() -> AccountId {
    AccountId::parse("222222222222").unwrap()
}

fn record(control: &str, all_is_known: bool) -> Record {
    let triggered = time("2026-11-20T04:12:09.311Z");
    let change = Change {
        key: Key {
            account: account(),
            region: RegionName::parse("eu-west-1").unwrap(),
            control: control.to_owned(),
            resource_type: "AWS::RDS::DBCluster".to_owned(),
            resource_id: "cluster-7XK3".to_owned(),
        },
        compliance: Compliance::NonCompliant,
        ordering: Ordering {
            triggered,
            recorded: time("2026-11-20T04:12:29.902Z"),
            notified: time("2026-11-20T04:12:31Z"),
        },
        rule_name: format!("AURORA-{control}"),
        rule_arn:
            "arn:aws:config:eu-west-1:222222222222:config-rule/aws-service-rule/backup.amazonaws.com/config-rule-ab12cd"
                .to_owned(),
        annotation: all_is_known.then(|| "The resource is in no backup plan.".to_owned()),
        had_result: true,
        previous: None,
    };
    let Outcome::Store { mut record, .. } = apply(None, &change) else { panic!("the first result is stored") };
    let resource = if all_is_known {
        ResourceFacts {
            name: Some("orders".to_owned()),
            arn: Some("arn:aws:rds:eu-west-1:222222222222:cluster:orders".to_owned()),
            tags: (0..60).map(|n| (format!("tag-{n}"), "v".repeat(256))).collect(),
        }
    } else {
        ResourceFacts::default()
    };
    let found = if all_is_known { Found::Regression } else { Found::FirstResult };
    let heard = if all_is_known { Heard::Sweep } else { Heard::Event };
    let severity = find(control).map_or(Severity::Critical, |control| control.severity);
    let opening = Opening { found, heard, severity, resource, exempt: None };
    record.opened(opening, &BTreeSet::from([Outlet::Topic]), time("2026-11-20T04:12:40Z"));
    *record
}

fn exempt() -> Exempt {
    Exempt {
        reason: "throw-away".to_owned(),
        owner: "data@example.com".to_owned(),
        until: "2027-01-31".parse().unwrap(),
    }
}

/// Everything that can be told of a violation by a notice of its own.
fn turns() -> Vec<Told> {
    let closings = [
        Closing::Satisfied,
        Closing::NotApplicable,
        Closing::ResourceGone,
        Closing::ControlRemoved,
        Closing::FrameworkRemoved,
    ];
    let mut turns = vec![Told::Opened, Told::ExemptionEnded(exempt()), Told::Exempted(exempt())];
    turns.extend(closings.map(Told::Resolved));
    turns
}

fn violation(control: &str, what: Told, all_is_known: bool) -> ViolationNotice {
    let record = record(control, all_is_known);
    let context = if all_is_known {
        NoticeContext {
            account_name: Some("payments".to_owned()),
            owner_tag: Some("tag-1".to_owned()),
            parameters: Some(BTreeMap::from([("requiredRetentionDays".to_owned(), "35".to_owned())])),
            ways: vec!["Give it the tag backup=daily.".to_owned(); 7],
            near_exemption: Some("An exemption nearly covers it.".to_owned()),
        }
    } else {
        NoticeContext::default()
    };
    let at = time("2026-11-22T04:12:40Z");
    let debt = Debt { what, at, since: record.since, outlets: BTreeSet::from([Outlet::Topic]), folded: 2 };
    ViolationNotice::new(&record, &debt, context)
}

fn digest(control: &str, turns: Vec<Told>) -> Notice {
    let known = |n: usize| n.is_multiple_of(2);
    let entries = turns.into_iter().enumerate().map(|(n, what)| violation(control, what, known(n))).collect();
    let account_name = Some("payments".to_owned());
    Notice::ViolationDigest(Digest { account: account(), account_name, control: control.to_owned(), entries })
}

fn expiring(exemptions: usize) -> Notice {
    let Exempt { reason, owner, until } = exempt();
    let exemption = Exemption {
        control: find(PLAN).unwrap(),
        resources: vec!["arn:aws:rds:*:*:cluster:scratch-*".to_owned(); 7],
        accounts: vec![account()],
        tags: BTreeMap::from([("environment".to_owned(), "sandbox".to_owned())]),
        reason,
        owner: owner.clone(),
        until,
    };
    let exemptions = vec![ExpiringExemption { exemption, violations: 3 }; exemptions];
    Notice::ExemptionsExpiring(ExpiringExemptions { owner, exemptions })
}

fn blind(places: usize) -> Notice {
    let spot = |cause| BlindSpot {
        account: account(),
        region: RegionName::parse("eu-west-1").unwrap(),
        reason: BlindReason {
            cause,
            detail: (cause == BlindCause::AccessDenied).then(|| "sts:AssumeRole failed".to_owned()),
        },
        since: time("2026-11-20T04:12:40Z"),
    };
    let spots = BlindCause::ALL.into_iter().map(spot).cycle().take(places);
    Notice::BlindSpots(BlindSpots { spots: spots.collect() })
}

fn reminder(owner: Option<&str>, violations: usize) -> Notice {
    let record = record(PLAN, true);
    let open = |n: usize| OpenViolation {
        key: record.key.clone(),
        name: n.is_multiple_of(2).then(|| "orders".to_owned()),
        severity: record.severity,
        since: time("2026-11-20T04:12:40Z"),
    };
    Notice::ViolationReminder(Reminder {
        owner: owner.map(str::to_owned),
        ages: vec![7, 30],
        at: time("2026-12-20T04:12:40Z"),
        violations: (0..violations).map(open).collect(),
    })
}

fn warnings(number: usize) -> Notice {
    let RolloutReport { repository, branch, commit, .. } = rollout(0, None);
    let warnings = vec!["An exemption covers no open violation.".to_owned(); number];
    Notice::PolicyWarnings(PolicyWarnings { commit, repository, branch, warnings })
}

/// Every outcome in turn, with a known cause and with an unknown one.
fn fault(n: usize) -> InstanceFault {
    let outcomes = [End::Failed, End::Cancelled, End::NeverReached, End::NotDeleted];
    InstanceFault {
        instance: Instance {
            account: AccountId::parse(&format!("{n:012}")).unwrap(),
            region: RegionName::parse("us-east-1").unwrap(),
        },
        outcome: outcomes[n % 4],
        reason: ["the role x cannot be assumed", "something new"][n / 4 % 2].to_owned(),
    }
}

fn rollout(faults: usize, trouble: Option<&str>) -> RolloutReport {
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
            skipped: Vec::new(),
        },
        created: 6,
        updated: 0,
        deleted: 0,
        removed: false,
        let_go: Vec::new(),
        trouble: trouble.map(str::to_owned),
        next: failed.then(|| "The next full look tries again.".to_owned()),
    }
}

/// The same with skipped instances.
fn skipping(mut report: RolloutReport, skipped: usize) -> RolloutReport {
    report.verdict.skipped = (0..skipped)
        .map(|n| InstanceFault { outcome: End::Skipped, reason: "the account is suspended".to_owned(), ..fault(n) })
        .collect();
    report
}

/// The same as a removal that let go of stacks.
fn removing(report: RolloutReport, let_go: usize) -> RolloutReport {
    RolloutReport {
        created: 0,
        deleted: 4,
        removed: true,
        let_go: (0..let_go).map(|n| fault(n).instance).collect(),
        ..report
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
    for control in [KNOWN, PLAN, "A-RULE-OF-TOMORROW"] {
        for what in turns() {
            notices.extend([true, false].map(|all_is_known| violation(control, what.clone(), all_is_known).into()));
        }
        notices.push(digest(control, turns()));
        notices.push(digest(control, vec![Told::Opened; 60]));
    }
    notices.extend([1, 60].map(expiring));
    notices.extend([1, 60].map(blind));
    notices.extend([1, 60].map(|violations| reminder(Some("orders-team"), violations)));
    notices.push(reminder(None, 1));
    notices.extend([1, 60].map(warnings));
    notices.push(Notice::RolloutSucceeded(rollout(0, None)));
    notices.extend([2, 60].map(|skipped| Notice::RolloutSucceeded(skipping(rollout(0, None), skipped))));
    notices.extend([0, 2, 60].map(|let_go| Notice::RolloutSucceeded(removing(rollout(0, None), let_go))));
    notices.extend([1, 5, 60].map(|faults| Notice::RolloutFailed(rollout(faults, None))));
    notices.extend([1, 60].map(|faults| Notice::RolloutFailed(skipping(rollout(faults, None), faults))));
    notices.extend([1, 60].map(|faults| Notice::RolloutFailed(removing(rollout(faults, None), faults))));
    notices.push(Notice::RolloutFailed(rollout(0, Some("You must enable organizations access"))));
    notices.push(Notice::RolloutFailed(rollout(0, Some("cloudformation:CreateStackSet failed: AccessDenied"))));
    notices.push(rejection(faults_of("frameworks: [")));
    notices.push(rejection(faults_of(&wrong_accounts(1))));
    notices.push(rejection(faults_of(&wrong_accounts(30))));
    notices.push(rejection(vec![Fault::of_file("backup-compliance.yaml", "the file is not there", "add it")]));
    notices
}
