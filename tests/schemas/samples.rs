//! One notice of each kind, and of each variant of a kind.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use domain::notice::{
    BlindSpot, BlindSpotCause, BlindSpotReason, BlindSpots, ExpiringExemption, ExpiringExemptions, Notice,
    NoticeContext, PolicyRejection, PolicyWarnings, Reminder, ReminderEntry, RolloutReport, ViolationDigest,
    ViolationNotice,
};
use domain::policy::{Exemption, Policy};
use domain::rollout::{Instance, InstanceFailure, InstanceOutcome as End, Verdict};
use domain::violation::{
    AppliedExemption, ChangeOutcome, Channel, ClosedReason, ComplianceChange, ComplianceType, DetectionSource,
    OpenedBy, Opening, PendingDelivery, ResourceDetails, ResultOrdering, Update, ViolationKey, ViolationRecord, apply,
};
use framework::control::{Severity, find};
use framework::ids::{AccountId, CommitId, RegionName, StackSetName};
use syntax::diagnostic::Diagnostic;

/// All causes of blind spots.
pub(crate) const CAUSES: [BlindSpotCause; 11] = [
    BlindSpotCause::NoSource,
    BlindSpotCause::NotAggregated,
    BlindSpotCause::AggregationFailed,
    BlindSpotCause::NotRecording,
    BlindSpotCause::NoRule,
    BlindSpotCause::NoResult,
    BlindSpotCause::RoleNotAssumable,
    BlindSpotCause::AccessDenied,
    BlindSpotCause::RegionNotEnabled,
    BlindSpotCause::Throttled,
    BlindSpotCause::CallFailed,
];

const PLAN: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn account() -> AccountId {
    AccountId::parse("222222222222").unwrap()
}

fn record(control: &str, all_is_known: bool) -> ViolationRecord {
    let triggered = time("2026-11-20T04:12:09.311Z");
    let change = ComplianceChange {
        key: ViolationKey {
            account: account(),
            region: RegionName::parse("eu-west-1").unwrap(),
            control: control.to_owned(),
            resource_type: "AWS::RDS::DBCluster".to_owned(),
            resource_id: "cluster-7XK3".to_owned(),
        },
        compliance: ComplianceType::NonCompliant,
        ordering: ResultOrdering {
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
    let ChangeOutcome::Store { mut record, .. } = apply(None, &change) else { panic!("the first result is stored") };
    let resource = if all_is_known {
        ResourceDetails {
            name: Some("orders".to_owned()),
            arn: Some("arn:aws:rds:eu-west-1:222222222222:cluster:orders".to_owned()),
            tags: (0..60).map(|n| (format!("tag-{n}"), "v".repeat(256))).collect(),
        }
    } else {
        ResourceDetails::default()
    };
    let found = if all_is_known { OpenedBy::Regression } else { OpenedBy::FirstResult };
    let heard = if all_is_known { DetectionSource::Sweep } else { DetectionSource::Event };
    let severity = find(control).map_or(Severity::Critical, |control| control.severity);
    let opening = Opening { opened_by: found, detected_by: heard, severity, resource, exemption: None };
    record.record_opening(opening, &BTreeSet::from([Channel::Topic]), time("2026-11-20T04:12:40Z"));
    *record
}

fn exempt() -> AppliedExemption {
    AppliedExemption {
        reason: "throw-away".to_owned(),
        owner: "data@example.com".to_owned(),
        until: "2027-01-31".parse().unwrap(),
    }
}

/// Each update that has a notice of its own.
fn updates() -> Vec<Update> {
    let closings = [
        ClosedReason::Satisfied,
        ClosedReason::NotApplicable,
        ClosedReason::ResourceGone,
        ClosedReason::ControlRemoved,
        ClosedReason::FrameworkRemoved,
    ];
    let mut updates = vec![Update::Opened, Update::ExemptionEnded(exempt()), Update::Exempted(exempt())];
    updates.extend(closings.map(Update::Resolved));
    updates
}

fn violation(control: &str, what: Update, all_is_known: bool) -> ViolationNotice {
    let record = record(control, all_is_known);
    let context = if all_is_known {
        NoticeContext {
            account_name: Some("payments".to_owned()),
            owner_tag: Some("tag-1".to_owned()),
            parameters: Some(BTreeMap::from([("requiredRetentionDays".to_owned(), "35".to_owned())])),
            remediation_options: vec!["Give it the tag backup=daily.".to_owned(); 7],
            closest_exemption: Some("An exemption nearly covers it.".to_owned()),
        }
    } else {
        NoticeContext::default()
    };
    let at = time("2026-11-22T04:12:40Z");
    let debt = PendingDelivery {
        update: what,
        at,
        since: record.since,
        channels: BTreeSet::from([Channel::Topic]),
        earlier_transitions: 2,
    };
    ViolationNotice::new(&record, &debt, context)
}

fn digest(control: &str, updates: Vec<Update>) -> Notice {
    let known = |n: usize| n.is_multiple_of(2);
    let entries = updates.into_iter().enumerate().map(|(n, what)| violation(control, what, known(n))).collect();
    let account_name = Some("payments".to_owned());
    Notice::ViolationDigest(ViolationDigest { account: account(), account_name, control: control.to_owned(), entries })
}

fn expiring(exemptions: usize) -> Notice {
    let AppliedExemption { reason, owner, until } = exempt();
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
        reason: BlindSpotReason {
            cause,
            detail: (cause == BlindSpotCause::AccessDenied).then(|| "sts:AssumeRole failed".to_owned()),
        },
        since: time("2026-11-20T04:12:40Z"),
    };
    let spots = CAUSES.into_iter().map(spot).cycle().take(places);
    Notice::BlindSpots(BlindSpots { spots: spots.collect() })
}

fn reminder(owner: Option<&str>, violations: usize) -> Notice {
    let record = record(PLAN, true);
    let open = |n: usize| ReminderEntry {
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

/// Each outcome in turn, with a known and with an unknown cause.
fn fault(n: usize) -> InstanceFailure {
    let outcomes = [End::Failed, End::Cancelled, End::NeverReached, End::NotDeleted];
    InstanceFailure {
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
            failures: (0..faults).map(fault).collect(),
            skipped: Vec::new(),
        },
        created: 6,
        updated: 0,
        deleted: 0,
        is_removal: false,
        retained: Vec::new(),
        error: trouble.map(str::to_owned),
        next: failed.then(|| "The next full look tries again.".to_owned()),
    }
}

/// The same report with skipped instances.
fn skipping(mut report: RolloutReport, skipped: usize) -> RolloutReport {
    report.verdict.skipped = (0..skipped)
        .map(|n| InstanceFailure { outcome: End::Skipped, reason: "the account is suspended".to_owned(), ..fault(n) })
        .collect();
    report
}

/// The same report as a removal with retained stacks.
fn removing(report: RolloutReport, let_go: usize) -> RolloutReport {
    RolloutReport {
        created: 0,
        deleted: 4,
        is_removal: true,
        retained: (0..let_go).map(|n| fault(n).instance).collect(),
        ..report
    }
}

fn rejection(faults: Vec<Diagnostic>) -> Notice {
    let RolloutReport { repository, branch, commit, author, message, .. } = rollout(0, None);
    Notice::PolicyRejected(PolicyRejection { repository, branch, commit, author, message, diagnostics: faults })
}

/// The diagnostics of a policy file.
fn faults_of(policy: &str) -> Vec<Diagnostic> {
    Policy::read("backup-compliance.yaml", policy).unwrap_err()
}

/// A framework that repeats this account: one diagnostic for each line.
fn wrong_accounts(number: usize) -> String {
    let accounts = "          - \"1\"\n".repeat(number);
    format!(
        "version: 1\nframeworks:\n  - name: a\n    template: a.yaml\n    targets:\n      - accounts:\n{accounts}        regions: [us-east-1]\n"
    )
}

/// All sample notices.
pub(crate) fn all() -> Vec<Notice> {
    const KNOWN: &str = "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK";
    let mut notices = Vec::new();
    for control in [KNOWN, PLAN, "A-RULE-OF-TOMORROW"] {
        for what in updates() {
            notices.extend([true, false].map(|all_is_known| violation(control, what.clone(), all_is_known).into()));
        }
        notices.push(digest(control, updates()));
        notices.push(digest(control, vec![Update::Opened; 60]));
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
    notices.push(rejection(vec![Diagnostic::of_file("backup-compliance.yaml", "the file is not there", "add it")]));
    notices
}
