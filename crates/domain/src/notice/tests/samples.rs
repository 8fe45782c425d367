//! Sample notices for tests and for the generated documentation.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use framework::control::find;
use framework::ids::{AccountId, CommitId, StackSetName};
use syntax::diagnostic::{Diagnostic, Position};

use crate::notice::*;
use crate::policy::Exemption;
use crate::rollout::{Instance, InstanceFailure, InstanceOutcome as End, Verdict};
use crate::violation::{
    AppliedExemption, ChangeOutcome, Channel, ClosedReason, ComplianceChange, ComplianceType, DetectionSource,
    OpenedBy, Opening, PendingDelivery, ResourceDetails, ResultOrdering, Update, ViolationKey, ViolationRecord, apply,
};

const RULE_ARN: &str =
    "arn:aws:config:eu-west-1:222222222222:config-rule/aws-service-rule/backup.amazonaws.com/config-rule-ab12cd";

pub(super) const CAUSES: [BlindSpotCause; 11] = [
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

pub(super) const PLAN: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";

pub(super) fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// Start of the violation of [`orders`].
pub(super) fn since() -> Timestamp {
    time("2026-11-23T04:12:09.311Z")
}

/// When it was recorded.
fn recorded() -> Timestamp {
    time("2026-11-23T04:12:33.125Z")
}

pub(super) fn account(id: &str) -> AccountId {
    AccountId::parse(id).expect("12 digits")
}

pub(super) fn region(name: &str) -> RegionName {
    RegionName::parse(name).expect("a Region")
}

fn channels() -> BTreeSet<Channel> {
    [Channel::Topic, Channel::Chat, Channel::SecurityHub, Channel::EventBus].into()
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

pub(super) fn key(control: &str, resource_type: &str, resource_id: &str) -> ViolationKey {
    ViolationKey {
        account: account("222222222222"),
        region: region("eu-west-1"),
        control: control.into(),
        resource_type: resource_type.into(),
        resource_id: resource_id.into(),
    }
}

/// The record of a violation that just opened.
pub(super) fn record(key: ViolationKey, found: OpenedBy, resource: ResourceDetails) -> ViolationRecord {
    let rule = key.control.trim_start_matches("BACKUP_").to_owned();
    let change = ComplianceChange {
        key: key.clone(),
        compliance: ComplianceType::NonCompliant,
        ordering: ResultOrdering { triggered: since(), recorded: since(), notified: since() },
        rule_name: format!("{rule}-1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d"),
        rule_arn: RULE_ARN.into(),
        annotation: None,
        had_result: true,
        previous: None,
    };
    let ChangeOutcome::Store { mut record, .. } = apply(None, &change) else { panic!("the first result is stored") };
    let severity = find(&key.control).map_or(Severity::Medium, |control| control.severity);
    let opening =
        Opening { opened_by: found, detected_by: DetectionSource::Event, severity, resource, exemption: None };
    record.record_opening(opening, &channels(), recorded());
    *record
}

pub(super) fn orders() -> ViolationRecord {
    let resource = ResourceDetails {
        name: Some("orders".into()),
        arn: Some("arn:aws:rds:eu-west-1:222222222222:cluster:orders".into()),
        tags: map(&[("environment", "prod"), ("owner", "orders-team@example.com"), ("service", "checkout")]),
    };
    let mut record = record(key(PLAN, "AWS::RDS::DBCluster", "cluster-7XK3Q"), OpenedBy::Regression, resource);
    record.annotation = Some("The resource is not protected by a backup plan.".into());
    record
}

pub(super) fn context() -> NoticeContext {
    NoticeContext {
        account_name: Some("payments".into()),
        owner_tag: Some("owner".into()),
        parameters: Some(BTreeMap::new()),
        remediation_options: vec!["Give it the tag backup=daily: the plan daily-35-days (4f6c6a0e) selects it.".into()],
        closest_exemption: None,
    }
}

/// The notice of the last pending delivery of a record.
pub(super) fn notice(record: &ViolationRecord, context: NoticeContext) -> ViolationNotice {
    ViolationNotice::new(record, record.pending.last().expect("a pending delivery"), context)
}

pub(super) fn opened() -> ViolationNotice {
    notice(&orders(), context())
}

/// An update of [`orders`] some days after its start.
pub(super) fn update(what: Update, days: i64) -> ViolationNotice {
    let mut record = orders();
    let at = since().checked_add(SignedDuration::from_hours(24 * days)).expect("within range");
    if matches!(what, Update::Resolved(_)) {
        record.ordering.triggered = at;
    }
    let delivery =
        PendingDelivery { update: what, at, since: record.since, channels: channels(), earlier_transitions: 0 };
    ViolationNotice::new(&record, &delivery, NoticeContext { remediation_options: vec![], ..context() })
}

pub(super) fn exempt() -> AppliedExemption {
    AppliedExemption {
        reason: "throw-away test clusters".into(),
        owner: "data-platform@example.com".into(),
        until: "2027-01-31".parse().expect("a date"),
    }
}

pub(super) fn backup_plan() -> ViolationNotice {
    let control = "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK";
    let key = key(control, "AWS::Backup::BackupPlan", "8f81f553-3a74-4a3f-b93d-b3360dc80c50");
    let resource = ResourceDetails { name: Some("monthly".into()), ..Default::default() };
    let parameters =
        map(&[("requiredFrequencyUnit", "hours"), ("requiredFrequencyValue", "24"), ("requiredRetentionDays", "35")]);
    let near = "The exemption of data-platform@example.com until 2027-01-31 requires the tag environment=sandbox.";
    let context = NoticeContext {
        parameters: Some(parameters),
        closest_exemption: Some(near.into()),
        ..NoticeContext::default()
    };
    notice(&record(key, OpenedBy::Rollout, resource), context)
}

/// An update of one of many databases.
pub(super) fn entry(number: usize, what: Update, found: OpenedBy) -> ViolationNotice {
    let name = format!("orders-{number:03}");
    let arn = format!("arn:aws:rds:eu-west-1:222222222222:db:{name}");
    let resource = ResourceDetails { name: Some(name.clone()), arn: Some(arn), tags: map(&[("owner", "orders-team")]) };
    let mut record = record(key(PLAN, "AWS::RDS::DBInstance", &name), found, resource);
    let age = i64::try_from(number % 30).expect("small");
    record.since = record.since.map(|since| since.checked_sub(SignedDuration::from_hours(24 * age)).expect("in range"));
    let delivery = PendingDelivery {
        update: what,
        at: recorded(),
        since: record.since,
        channels: channels(),
        earlier_transitions: 0,
    };
    ViolationNotice::new(&record, &delivery, NoticeContext { remediation_options: vec![], ..context() })
}

pub(super) fn digest(entries: Vec<ViolationNotice>) -> ViolationDigest {
    ViolationDigest {
        account: account("222222222222"),
        account_name: Some("payments".into()),
        control: PLAN.into(),
        entries,
    }
}

/// The digest of the hour after a rollout.
pub(super) fn flood() -> ViolationDigest {
    let mut entries: Vec<ViolationNotice> = (0..400).map(|n| entry(n, Update::Opened, OpenedBy::Rollout)).collect();
    entries.extend((400..410).map(|n| entry(n, Update::Opened, OpenedBy::FirstResult)));
    entries.push(entry(410, Update::Opened, OpenedBy::Regression));
    entries.push(opened());
    entries.extend((0..2).map(|n| entry(n, Update::Resolved(ClosedReason::Satisfied), OpenedBy::Rollout)));
    entries.push(entry(2, Update::Resolved(ClosedReason::ResourceGone), OpenedBy::Rollout));
    digest(entries)
}

/// A short digest with every section.
pub(super) fn changes() -> ViolationDigest {
    digest(vec![
        entry(11, Update::Opened, OpenedBy::Rollout),
        entry(12, Update::Opened, OpenedBy::FirstResult),
        opened(),
        entry(
            13,
            Update::ExemptionEnded(AppliedExemption { until: "2026-11-22".parse().expect("a date"), ..exempt() }),
            OpenedBy::Rollout,
        ),
        entry(14, Update::Resolved(ClosedReason::Satisfied), OpenedBy::Rollout),
        entry(15, Update::Exempted(exempt()), OpenedBy::Rollout),
    ])
}

/// A reminder two weeks after [`since`] for this many databases and a backup plan.
pub(super) fn reminder(databases: usize) -> Reminder {
    let of = |violation: ViolationNotice| ReminderEntry {
        name: violation.resource.name,
        severity: violation.severity,
        since: violation.since.expect("open"),
        key: violation.key,
    };
    let databases = (0..databases).map(|n| of(entry(n, Update::Opened, OpenedBy::Rollout)));
    Reminder {
        owner: Some("orders-team".into()),
        ages: vec![7, 30],
        at: since().checked_add(SignedDuration::from_hours(24 * 14)).expect("within range"),
        violations: databases.chain([of(backup_plan())]).collect(),
    }
}

fn exemption() -> Exemption {
    let AppliedExemption { reason, owner, until } = exempt();
    Exemption {
        control: find(PLAN).expect("known"),
        resources: vec!["arn:aws:rds:*:*:cluster:scratch-*".into()],
        accounts: vec![account("222222222222")],
        tags: map(&[("environment", "sandbox")]),
        reason,
        owner,
        until,
    }
}

pub(super) fn expiring() -> ExpiringExemptions {
    let exemptions = vec![ExpiringExemption { exemption: exemption(), violations: 3 }];
    ExpiringExemptions { owner: exempt().owner, exemptions }
}

pub(super) fn blind() -> BlindSpots {
    let spot = |id: &str, name: &str, cause: BlindSpotCause, detail: Option<&str>| BlindSpot {
        account: account(id),
        region: region(name),
        reason: BlindSpotReason { cause, detail: detail.map(str::to_owned) },
        since: since(),
    };
    BlindSpots {
        spots: vec![
            spot("333333333333", "eu-west-1", BlindSpotCause::NotRecording, None),
            spot("333333333333", "us-east-1", BlindSpotCause::NotRecording, None),
            spot(
                "444444444444",
                "eu-west-1",
                BlindSpotCause::RoleNotAssumable,
                Some("sts:AssumeRole failed (AccessDenied)"),
            ),
        ],
    }
}

pub(super) fn warnings() -> PolicyWarnings {
    let RolloutReport { repository, branch, commit, .. } = report(6, 0);
    let warnings = vec![
        "The exemption of data-platform@example.com for BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN ended on 2026-10-31."
            .into(),
        "The exemption of search@example.com for BACKUP_LAST_RECOVERY_POINT_CREATED covers no open violation.".into(),
    ];
    PolicyWarnings { commit, repository, branch, warnings }
}

fn instance(account: usize, region: &str) -> Instance {
    Instance {
        account: AccountId::parse(&format!("{account:012}")).expect("12 digits"),
        region: RegionName::parse(region).expect("a Region"),
    }
}

const ROLE: &str = "Account {account} should have 'AWSCloudFormationStackSetExecutionRole' role with trust relationship to Role \
                    'AWSCloudFormationStackSetAdministrationRole'.";

pub(super) fn report(total: usize, diagnostics: usize) -> RolloutReport {
    let diagnostic = |index: usize| {
        let (outcome, reason) = match index {
            0 => (End::Cancelled, "Cancelled since failure tolerance has exceeded"),
            _ => (
                End::Failed,
                "ResourceLogicalId:Framework, ResourceType:AWS::Backup::Framework, ResourceStatusReason:Config is not \
                 recording in this account and Region.",
            ),
        };
        ended(index, outcome, reason)
    };
    let diagnostics: Vec<InstanceFailure> = (0..diagnostics).map(diagnostic).collect();
    RolloutReport {
        stack_set: StackSetName::parse("backup-compliance").expect("a name"),
        repository: "backup-policies".into(),
        branch: "main".into(),
        commit: CommitId::parse("a11ce0000000000000000000000000000000beef").expect("an id"),
        author: "Ada Lovelace <ada@example.com>".into(),
        message: "Keep recovery points for 35 days".into(),
        created: if diagnostics.is_empty() { 2 } else { 0 },
        updated: total,
        deleted: 0,
        is_removal: false,
        retained: vec![],
        error: None,
        next: (!diagnostics.is_empty()).then(|| NEXT.into()),
        verdict: Verdict { total, succeeded: total - diagnostics.len(), failures: diagnostics, skipped: vec![] },
    }
}

const NEXT: &str = "The next full reconciliation (hourly by default) retries: retry 1 of 3. A push restarts the count.";

/// The outcome of the instance with this number, of two for each account.
pub(super) fn ended(index: usize, outcome: End, reason: &str) -> InstanceFailure {
    let instance = instance(111_111_111_111 + index / 2, ["eu-west-1", "us-east-1"][index % 2]);
    InstanceFailure { reason: reason.replace("{account}", instance.account.as_str()), instance, outcome }
}

fn ends(indexes: std::ops::Range<usize>, outcome: End, reason: &str) -> Vec<InstanceFailure> {
    indexes.map(|index| ended(index, outcome, reason)).collect()
}

/// The instances of a closed account.
fn suspended() -> Vec<InstanceFailure> {
    ends(1_776..1_778, End::Skipped, "the account is suspended")
}

/// 400 accounts in two Regions: thirty without the role, one with an equal framework, one suspended.
pub(super) fn partial() -> RolloutReport {
    let same = "ResourceLogicalId:Framework, ResourceType:AWS::Backup::Framework, ResourceStatusReason:Resource handler \
                returned message: \"Controls in framework baseline from account {account} already exist. (Service: Backup, \
                Status Code: 400, Request ID: 4f1255d8-1897-4a07-b0b6-ab37c923c790)\" (RequestToken: \
                1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d, HandlerErrorCode: AlreadyExists).";
    let diagnostics = [
        ends(20..80, End::Failed, ROLE),
        ends(87..88, End::Failed, same),
        ends(90..93, End::Cancelled, "Cancelled since failure tolerance has exceeded"),
        ends(700..702, End::NeverReached, "no stack instance exists"),
    ]
    .concat();
    let verdict = Verdict { total: 800, succeeded: 732, failures: diagnostics, skipped: suspended() };
    RolloutReport { verdict, created: 0, updated: 798, next: Some(NEXT.into()), ..report(6, 0) }
}

pub(super) fn skipped() -> RolloutReport {
    let verdict = Verdict { total: 800, succeeded: 798, failures: vec![], skipped: suspended() };
    RolloutReport { verdict, created: 0, updated: 798, ..report(6, 0) }
}

/// A removal with two stacks in a closed account, which cannot be deleted.
pub(super) fn removal() -> RolloutReport {
    let let_go = suspended().into_iter().map(|skipped| skipped.instance).collect();
    RolloutReport {
        verdict: Verdict::default(),
        created: 0,
        updated: 0,
        deleted: 12,
        is_removal: true,
        retained: let_go,
        message: "Remove the old framework".into(),
        ..report(6, 0)
    }
}

pub(super) fn removal_failed() -> RolloutReport {
    let diagnostics = [
        ends(4..6, End::NotDeleted, ROLE),
        ends(9..10, End::NotDeleted, "Stack [StackSet-x] cannot be deleted while TerminationProtection is enabled"),
    ]
    .concat();
    let verdict = Verdict { total: 3, succeeded: 0, failures: diagnostics, skipped: vec![] };
    let next = Some("The next full reconciliation (hourly by default) or a push continues the removal.".into());
    RolloutReport { verdict, retained: vec![], next, ..removal() }
}

pub(super) fn trouble() -> RolloutReport {
    let trouble = "cloudformation:CreateStackSet failed: ValidationError: Account 000000000000 should have \
                   'AWSCloudFormationStackSetAdministrationRole' role (request 1f0c); the StackSets administration role is \
                   missing or cannot be assumed: deploy framework/prerequisites/administration-role.yaml in this account";
    let verdict = Verdict { total: 6, ..Verdict::default() };
    let next = Some("The rollout failed 3 times. The next push starts it again.".into());
    RolloutReport { verdict, updated: 0, error: Some(trouble.into()), next, ..report(6, 0) }
}

pub(super) fn rejection() -> PolicyRejection {
    let RolloutReport { repository, branch, commit, author, .. } = report(6, 0);
    let policy =
        "version: 1\nframeworks:\n  - name: backup-compliance\n    targets:\n      - accounts: [\"22222222222\"]\n";
    let missing = "the template `framework.yaml` is not in the repository";
    let diagnostics = vec![
        Diagnostic::at(
            "backup-compliance.yaml",
            policy,
            Position { line: 5, column: 20 },
            "the account id `22222222222` has 11 digits",
            "an account id is 12 digits, such as \"111111111111\"",
        ),
        Diagnostic::of_file(
            "framework.yaml",
            missing,
            "add it, or correct `template` of the framework `backup-compliance`",
        ),
    ];
    PolicyRejection { repository, branch, commit, author, message: "Add the data account".into(), diagnostics }
}

/// One sample for each kind and each variant of a kind.
pub(super) fn all() -> Vec<(&'static str, Notice)> {
    let unknown = record(
        key("BACKUP_SOMETHING_NEW", "AWS::Neptune::DBCluster", "graph"),
        OpenedBy::FirstResult,
        Default::default(),
    );
    let by_sweep = ViolationNotice { detected_by: DetectionSource::Sweep, earlier_transitions: 6, ..opened() };
    let resolved = |closing| Notice::ViolationResolved(update(Update::Resolved(closing), 1));
    let ended = AppliedExemption { until: "2026-11-30".parse().expect("a date"), ..exempt() };
    vec![
        ("opened", Notice::ViolationOpened(opened())),
        ("opened_by_sweep", Notice::ViolationOpened(by_sweep)),
        ("opened_backup_plan", Notice::ViolationOpened(backup_plan())),
        ("opened_unknown_control", Notice::ViolationOpened(notice(&unknown, NoticeContext::default()))),
        ("exemption_ended", Notice::ViolationOpened(update(Update::ExemptionEnded(ended), 8))),
        ("resolved", resolved(ClosedReason::Satisfied)),
        ("resolved_not_applicable", resolved(ClosedReason::NotApplicable)),
        ("resolved_resource_gone", resolved(ClosedReason::ResourceGone)),
        ("resolved_control_removed", resolved(ClosedReason::ControlRemoved)),
        ("resolved_framework_removed", resolved(ClosedReason::FrameworkRemoved)),
        ("exempted", Notice::ViolationExempted(update(Update::Exempted(exempt()), 2))),
        ("digest", Notice::ViolationDigest(changes())),
        ("digest_flood", Notice::ViolationDigest(flood())),
        ("reminder", Notice::ViolationReminder(reminder(20))),
        ("reminder_without_owner", Notice::ViolationReminder(Reminder { owner: None, ..reminder(40) })),
        ("exemptions_expiring", Notice::ExemptionsExpiring(expiring())),
        ("blind_spots", Notice::BlindSpots(blind())),
        ("policy_warnings", Notice::PolicyWarnings(warnings())),
        ("rollout_succeeded", Notice::RolloutSucceeded(report(6, 0))),
        ("rollout_failed", Notice::RolloutFailed(report(60, 25))),
        ("rollout_partial", Notice::RolloutFailed(partial())),
        ("rollout_skipped", Notice::RolloutSucceeded(skipped())),
        ("removal", Notice::RolloutSucceeded(removal())),
        ("removal_failed", Notice::RolloutFailed(removal_failed())),
        ("rollout_trouble", Notice::RolloutFailed(trouble())),
        ("rejected", Notice::PolicyRejected(rejection())),
    ]
}
