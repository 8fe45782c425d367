//! Notices for tests and for the page that shows them.

use super::*;
use crate::control::find;
use crate::fault::{Fault, Position};
use crate::ids::{CommitId, StackSetName};
use crate::policy::Exemption;
use crate::rollout::{Instance, InstanceFault, Outcome as End, Verdict};
use crate::violation::{
    Change, Closing, Compliance, Debt, Exempt, Found, Heard, Key, Opening, Ordering, Outcome, Outlet, Record,
    ResourceFacts, Told, apply,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

const RULE_ARN: &str =
    "arn:aws:config:eu-west-1:222222222222:config-rule/aws-service-rule/backup.amazonaws.com/config-rule-ab12cd";

pub(super) const PLAN: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";

pub(super) fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// When the resource of [`orders`] began to break the control.
pub(super) fn since() -> Timestamp {
    time("2026-11-23T04:12:09.311Z")
}

/// When that was recorded.
fn recorded() -> Timestamp {
    time("2026-11-23T04:12:33.125Z")
}

pub(super) fn account(id: &str) -> AccountId {
    AccountId::parse(id).expect("12 digits")
}

pub(super) fn region(name: &str) -> RegionName {
    RegionName::parse(name).expect("a Region")
}

fn outlets() -> BTreeSet<Outlet> {
    [Outlet::Topic, Outlet::Chat, Outlet::Finding, Outlet::Event].into()
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

pub(super) fn key(control: &str, resource_type: &str, resource_id: &str) -> Key {
    Key {
        account: account("222222222222"),
        region: region("eu-west-1"),
        control: control.into(),
        resource_type: resource_type.into(),
        resource_id: resource_id.into(),
    }
}

/// A violation that has just opened, as `report` writes it down.
pub(super) fn record(key: Key, found: Found, resource: ResourceFacts) -> Record {
    let rule = key.control.trim_start_matches("BACKUP_").to_owned();
    let change = Change {
        key: key.clone(),
        compliance: Compliance::NonCompliant,
        ordering: Ordering { triggered: since(), recorded: since(), notified: since() },
        rule_name: format!("{rule}-1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d"),
        rule_arn: RULE_ARN.into(),
        annotation: None,
        had_result: true,
        previous: None,
    };
    let Outcome::Store { mut record, .. } = apply(None, &change) else { panic!("the first result is stored") };
    let severity = find(&key.control).map_or(Severity::Medium, |control| control.severity);
    let opening = Opening { found, heard: Heard::Event, severity, resource, exempt: None };
    record.opened(opening, &outlets(), recorded());
    *record
}

pub(super) fn orders() -> Record {
    let resource = ResourceFacts {
        name: Some("orders".into()),
        arn: Some("arn:aws:rds:eu-west-1:222222222222:cluster:orders".into()),
        tags: map(&[("environment", "prod"), ("owner", "orders-team@example.com"), ("service", "checkout")]),
    };
    let mut record = record(key(PLAN, "AWS::RDS::DBCluster", "cluster-7XK3Q"), Found::Regression, resource);
    record.annotation = Some("The resource is not protected by a backup plan.".into());
    record
}

pub(super) fn context() -> NoticeContext {
    NoticeContext {
        account_name: Some("payments".into()),
        owner_tag: Some("owner".into()),
        parameters: Some(BTreeMap::new()),
        ways: vec!["Give it the tag backup=daily: the plan daily-35-days (4f6c6a0e) selects it.".into()],
        near_exemption: None,
    }
}

/// The notice of what a record owes last.
pub(super) fn notice(record: &Record, context: NoticeContext) -> ViolationNotice {
    ViolationNotice::new(record, record.owed.last().expect("something is owed"), context)
}

pub(super) fn opened() -> ViolationNotice {
    notice(&orders(), context())
}

pub(super) fn told(what: Told, days: i64) -> ViolationNotice {
    let mut record = orders();
    let at = since().checked_add(SignedDuration::from_hours(24 * days)).expect("within range");
    if matches!(what, Told::Resolved(_)) {
        record.ordering.triggered = at;
    }
    let debt = Debt { what, at, since: record.since, outlets: outlets(), folded: 0 };
    ViolationNotice::new(&record, &debt, NoticeContext { ways: vec![], ..context() })
}

pub(super) fn exempt() -> Exempt {
    Exempt {
        reason: "throw-away test clusters".into(),
        owner: "data-platform@example.com".into(),
        until: "2027-01-31".parse().expect("a date"),
    }
}

pub(super) fn backup_plan() -> ViolationNotice {
    let control = "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK";
    let key = key(control, "AWS::Backup::BackupPlan", "8f81f553-3a74-4a3f-b93d-b3360dc80c50");
    let resource = ResourceFacts { name: Some("monthly".into()), ..Default::default() };
    let parameters =
        map(&[("requiredFrequencyUnit", "hours"), ("requiredFrequencyValue", "24"), ("requiredRetentionDays", "35")]);
    let near =
        "The exemption of data-platform@example.com until 2027-01-31 covers it but for the tag environment=sandbox.";
    let context =
        NoticeContext { parameters: Some(parameters), near_exemption: Some(near.into()), ..NoticeContext::default() };
    notice(&record(key, Found::Rollout, resource), context)
}

/// One of many databases.
pub(super) fn entry(number: usize, what: Told, found: Found) -> ViolationNotice {
    let name = format!("orders-{number:03}");
    let arn = format!("arn:aws:rds:eu-west-1:222222222222:db:{name}");
    let resource = ResourceFacts { name: Some(name.clone()), arn: Some(arn), tags: map(&[("owner", "orders-team")]) };
    let mut record = record(key(PLAN, "AWS::RDS::DBInstance", &name), found, resource);
    let age = i64::try_from(number % 30).expect("small");
    record.since = record.since.map(|since| since.checked_sub(SignedDuration::from_hours(24 * age)).expect("in range"));
    let debt = Debt { what, at: recorded(), since: record.since, outlets: outlets(), folded: 0 };
    ViolationNotice::new(&record, &debt, NoticeContext { ways: vec![], ..context() })
}

pub(super) fn digest(entries: Vec<ViolationNotice>) -> Digest {
    Digest { account: account("222222222222"), account_name: Some("payments".into()), control: PLAN.into(), entries }
}

/// The hour after a rollout.
pub(super) fn flood() -> Digest {
    let mut entries: Vec<ViolationNotice> = (0..400).map(|n| entry(n, Told::Opened, Found::Rollout)).collect();
    entries.extend((400..410).map(|n| entry(n, Told::Opened, Found::FirstResult)));
    entries.push(entry(410, Told::Opened, Found::Regression));
    entries.push(opened());
    entries.extend((0..2).map(|n| entry(n, Told::Resolved(Closing::Satisfied), Found::Rollout)));
    entries.push(entry(2, Told::Resolved(Closing::ResourceGone), Found::Rollout));
    digest(entries)
}

/// One after a busy quarter of an hour: every section, short enough for a page.
pub(super) fn changes() -> Digest {
    digest(vec![
        entry(11, Told::Opened, Found::Rollout),
        entry(12, Told::Opened, Found::FirstResult),
        opened(),
        entry(
            13,
            Told::ExemptionEnded(Exempt { until: "2026-11-22".parse().expect("a date"), ..exempt() }),
            Found::Rollout,
        ),
        entry(14, Told::Resolved(Closing::Satisfied), Found::Rollout),
        entry(15, Told::Exempted(exempt()), Found::Rollout),
    ])
}

/// Two weeks after [`since`]: so many databases, and a backup plan.
pub(super) fn reminder(databases: usize) -> Reminder {
    let of = |violation: ViolationNotice| OpenViolation {
        name: violation.resource.name,
        severity: violation.severity,
        since: violation.since.expect("open"),
        key: violation.key,
    };
    let databases = (0..databases).map(|n| of(entry(n, Told::Opened, Found::Rollout)));
    Reminder {
        owner: Some("orders-team".into()),
        ages: vec![7, 30],
        at: since().checked_add(SignedDuration::from_hours(24 * 14)).expect("within range"),
        violations: databases.chain([of(backup_plan())]).collect(),
    }
}

fn exemption() -> Exemption {
    let Exempt { reason, owner, until } = exempt();
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
    let spot = |id: &str, name: &str, cause: BlindCause, detail: Option<&str>| BlindSpot {
        account: account(id),
        region: region(name),
        reason: BlindReason { cause, detail: detail.map(str::to_owned) },
        since: since(),
    };
    BlindSpots {
        spots: vec![
            spot("333333333333", "eu-west-1", BlindCause::NotRecording, None),
            spot("333333333333", "us-east-1", BlindCause::NotRecording, None),
            spot(
                "444444444444",
                "eu-west-1",
                BlindCause::RoleNotAssumable,
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

pub(super) fn report(total: usize, faults: usize) -> RolloutReport {
    let fault = |index: usize| {
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
    let faults: Vec<InstanceFault> = (0..faults).map(fault).collect();
    RolloutReport {
        stack_set: StackSetName::parse("backup-compliance").expect("a name"),
        repository: "backup-policies".into(),
        branch: "main".into(),
        commit: CommitId::parse("a11ce0000000000000000000000000000000beef").expect("an id"),
        author: "Ada Lovelace <ada@example.com>".into(),
        message: "Keep recovery points for 35 days".into(),
        created: if faults.is_empty() { 2 } else { 0 },
        updated: total,
        deleted: 0,
        removed: false,
        let_go: vec![],
        trouble: None,
        next: (!faults.is_empty()).then(|| NEXT.into()),
        verdict: Verdict { total, succeeded: total - faults.len(), faults, skipped: vec![] },
    }
}

const NEXT: &str =
    "The next full look (hourly, unless it is set otherwise) tries again: retry 1 of 3. A push starts over.";

/// The end of the instance of this number: two for each account.
pub(super) fn ended(index: usize, outcome: End, reason: &str) -> InstanceFault {
    let instance = instance(111_111_111_111 + index / 2, ["eu-west-1", "us-east-1"][index % 2]);
    InstanceFault { reason: reason.replace("{account}", instance.account.as_str()), instance, outcome }
}

fn ends(indexes: std::ops::Range<usize>, outcome: End, reason: &str) -> Vec<InstanceFault> {
    indexes.map(|index| ended(index, outcome, reason)).collect()
}

/// An account that was closed.
fn suspended() -> Vec<InstanceFault> {
    ends(1_776..1_778, End::Skipped, "the account is suspended")
}

/// 400 accounts in two Regions. Thirty lack the role, one has a framework of its own, one is suspended; then it was enough.
pub(super) fn partial() -> RolloutReport {
    let same = "ResourceLogicalId:Framework, ResourceType:AWS::Backup::Framework, ResourceStatusReason:Resource handler \
                returned message: \"Controls in framework baseline from account {account} already exist. (Service: Backup, \
                Status Code: 400, Request ID: 4f1255d8-1897-4a07-b0b6-ab37c923c790)\" (RequestToken: \
                1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d, HandlerErrorCode: AlreadyExists).";
    let faults = [
        ends(20..80, End::Failed, ROLE),
        ends(87..88, End::Failed, same),
        ends(90..93, End::Cancelled, "Cancelled since failure tolerance has exceeded"),
        ends(700..702, End::NeverReached, "no stack instance exists"),
    ]
    .concat();
    let verdict = Verdict { total: 800, succeeded: 732, faults, skipped: suspended() };
    RolloutReport { verdict, created: 0, updated: 798, next: Some(NEXT.into()), ..report(6, 0) }
}

pub(super) fn skipped() -> RolloutReport {
    let verdict = Verdict { total: 800, succeeded: 798, faults: vec![], skipped: suspended() };
    RolloutReport { verdict, created: 0, updated: 798, ..report(6, 0) }
}

/// Two stacks are in a closed account, where nobody can delete them.
pub(super) fn removal() -> RolloutReport {
    let let_go = suspended().into_iter().map(|skipped| skipped.instance).collect();
    RolloutReport {
        verdict: Verdict::default(),
        created: 0,
        updated: 0,
        deleted: 12,
        removed: true,
        let_go,
        message: "Remove the old framework".into(),
        ..report(6, 0)
    }
}

pub(super) fn removal_failed() -> RolloutReport {
    let faults = [
        ends(4..6, End::NotDeleted, ROLE),
        ends(9..10, End::NotDeleted, "Stack [StackSet-x] cannot be deleted while TerminationProtection is enabled"),
    ]
    .concat();
    let verdict = Verdict { total: 3, succeeded: 0, faults, skipped: vec![] };
    let next =
        Some("The next full look (hourly, unless it is set otherwise) or a push resumes with what is left.".into());
    RolloutReport { verdict, let_go: vec![], next, ..removal() }
}

pub(super) fn trouble() -> RolloutReport {
    let trouble = "cloudformation:CreateStackSet failed: ValidationError: Account 000000000000 should have \
                   'AWSCloudFormationStackSetAdministrationRole' role (request 1f0c); the StackSets administration role is \
                   missing or cannot be used: deploy framework/prerequisites/administration-role.yaml in this account";
    let verdict = Verdict { total: 6, ..Verdict::default() };
    let next = Some("It was tried 3 times and is not tried again before the next push.".into());
    RolloutReport { verdict, updated: 0, trouble: Some(trouble.into()), next, ..report(6, 0) }
}

pub(super) fn rejection() -> Rejection {
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

/// One of each kind, and of each way in which notices of a kind differ.
pub(super) fn all() -> Vec<(&'static str, Notice)> {
    let unknown =
        record(key("BACKUP_SOMETHING_NEW", "AWS::Neptune::DBCluster", "graph"), Found::FirstResult, Default::default());
    let by_sweep = ViolationNotice { heard: Heard::Sweep, folded: 6, ..opened() };
    let resolved = |closing| Notice::ViolationResolved(told(Told::Resolved(closing), 1));
    let ended = Exempt { until: "2026-11-30".parse().expect("a date"), ..exempt() };
    vec![
        ("opened", Notice::ViolationOpened(opened())),
        ("opened_by_sweep", Notice::ViolationOpened(by_sweep)),
        ("opened_backup_plan", Notice::ViolationOpened(backup_plan())),
        ("opened_unknown_control", Notice::ViolationOpened(notice(&unknown, NoticeContext::default()))),
        ("exemption_ended", Notice::ViolationOpened(told(Told::ExemptionEnded(ended), 8))),
        ("resolved", resolved(Closing::Satisfied)),
        ("resolved_not_applicable", resolved(Closing::NotApplicable)),
        ("resolved_resource_gone", resolved(Closing::ResourceGone)),
        ("resolved_control_removed", resolved(Closing::ControlRemoved)),
        ("resolved_framework_removed", resolved(Closing::FrameworkRemoved)),
        ("exempted", Notice::ViolationExempted(told(Told::Exempted(exempt()), 2))),
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
