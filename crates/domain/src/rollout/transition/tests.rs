//! Every branch of the transitions, as tables.

use std::collections::BTreeMap;

use framework::ids::{AccountId, RegionName, StackSetName};

use super::*;
use crate::policy::RolloutSettings as Settings;
use crate::rollout::record::{InFlight, RETRIES};
use crate::rollout::{Instance, InstanceFailure, InstanceOutcome, OperationTargets, PermissionModel, Permissions};

const NOW: i64 = 1_000_000;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn commit(text: &str) -> CommitId {
    CommitId::parse(text).unwrap()
}

fn revision(text: &str) -> Revision {
    Revision { commit: commit(text), author: format!("author of {text}"), message: format!("message of {text}") }
}

fn desired() -> Desired {
    Desired {
        name: StackSetName::parse("coverage").unwrap(),
        template: "{}".to_owned(),
        capabilities: Vec::new(),
        parameters: BTreeMap::new(),
        permissions: Permissions::SelfManaged,
        adopt: false,
        instances: BTreeMap::new(),
        skipped: BTreeMap::new(),
        rollout: Settings::default(),
    }
}

/// A record of the desired digest at commit `one`, with counts of an earlier attempt.
fn record(phase: Phase) -> RolloutRecord {
    let mut rollout = RolloutRecord::new(&desired(), revision("one"), false, Timestamp::UNIX_EPOCH);
    rollout.phase = phase;
    rollout.attempt = 2;
    rollout.sequence = 7;
    rollout.created = 3;
    rollout.tried.insert(Digest("tried".to_owned()));
    rollout
}

fn with(mut rollout: RolloutRecord, change: impl FnOnce(&mut RolloutRecord)) -> RolloutRecord {
    change(&mut rollout);
    rollout
}

fn places() -> OperationTargets {
    let account = AccountId::parse("111111111111").unwrap();
    let region = RegionName::parse("eu-west-1").unwrap();
    OperationTargets { accounts: [account].into(), regions: [region].into(), through: None }
}

fn create() -> Operation {
    Operation::CreateInstances { at: places(), overrides: BTreeMap::new() }
}

fn delete(retain: bool) -> Operation {
    Operation::DeleteInstances { at: places(), retain }
}

/// The operation in flight, recorded `age` seconds ago.
fn in_flight(operation: Operation, age: i64) -> Option<InFlight> {
    let since = Timestamp::from_second(NOW - age).ok();
    Some(InFlight { id: "bc-recorded".to_owned(), operation, size: 1, recorded_at: since })
}

fn failed_verdict() -> Verdict {
    let instance = places().instances().next().unwrap();
    let diagnostic = InstanceFailure { instance, outcome: InstanceOutcome::Failed, reason: "denied".to_owned() };
    Verdict { total: 1, failures: vec![diagnostic], ..Verdict::default() }
}

#[test]
fn settled_covers_each_phase() {
    let desired = desired();
    let intact = ObservedStackSet { definition: Some(desired.definition_digest()), ..ObservedStackSet::default() };
    let drifted = ObservedStackSet::default();
    let other_digest = with(record(Phase::Succeeded), |rollout| rollout.digest = Digest("other".to_owned()));
    let undeclared = with(record(Phase::Succeeded), |rollout| rollout.undeclared = true);
    let cases = [
        ("no record", None, Some(&intact), "one", false, None),
        (
            "succeeded, definition as desired",
            Some(record(Phase::Succeeded)),
            Some(&intact),
            "two",
            false,
            Some(Settled::Unchanged),
        ),
        ("succeeded, another definition", Some(record(Phase::Succeeded)), Some(&drifted), "one", false, None),
        ("succeeded, StackSet deleted", Some(record(Phase::Succeeded)), None, "one", false, None),
        ("succeeded, full reconciliation", Some(record(Phase::Succeeded)), Some(&intact), "one", true, None),
        ("succeeded, another digest", Some(other_digest), Some(&intact), "one", false, None),
        ("succeeded, back in the policy", Some(undeclared), Some(&intact), "one", false, None),
        (
            "failed at this commit",
            Some(record(Phase::Failed)),
            Some(&intact),
            "one",
            false,
            Some(Settled::FailedBefore),
        ),
        ("failed at another commit", Some(record(Phase::Failed)), Some(&intact), "two", false, None),
        ("failed, full reconciliation", Some(record(Phase::Failed)), Some(&intact), "one", true, None),
        ("running", Some(record(Phase::Running)), Some(&intact), "one", false, None),
        ("removing", Some(record(Phase::Removing)), Some(&intact), "one", false, None),
        ("left", Some(record(Phase::Abandoned)), Some(&intact), "one", false, None),
    ];
    for (case, known, stack_set, at, is_full, expected) in cases {
        assert_eq!(settled(&desired, known.as_ref(), stack_set, &commit(at), is_full), expected, "{case}");
    }
}

#[test]
fn attempt_next_covers_each_phase() {
    let at_limit = |attempt| with(record(Phase::Failed), |rollout| rollout.attempt = attempt);
    let other_digest = |phase| with(record(phase), |rollout| rollout.digest = Digest("other".to_owned()));
    let cases = [
        ("no record", None, "one", false, Attempt::First),
        ("removing", Some(record(Phase::Removing)), "one", false, Attempt::Replaced),
        ("running, another digest", Some(other_digest(Phase::Running)), "one", true, Attempt::Replaced),
        ("failed, another digest", Some(other_digest(Phase::Failed)), "one", true, Attempt::Replaced),
        ("failed, push of the same commit", Some(record(Phase::Failed)), "one", false, Attempt::Pushed),
        ("failed, push of another commit", Some(record(Phase::Failed)), "two", true, Attempt::Pushed),
        ("failed, full reconciliation", Some(at_limit(RETRIES)), "one", true, Attempt::Retried),
        ("failed, retries exhausted", Some(at_limit(RETRIES + 1)), "one", true, Attempt::Exhausted),
        ("failed, retries exhausted, push", Some(at_limit(RETRIES + 1)), "two", true, Attempt::Pushed),
        ("left", Some(record(Phase::Abandoned)), "one", false, Attempt::Returned),
        ("running", Some(record(Phase::Running)), "two", true, Attempt::Continued),
        ("succeeded", Some(record(Phase::Succeeded)), "one", true, Attempt::Continued),
    ];
    for (case, known, at, is_full, expected) in cases {
        assert_eq!(Attempt::next(known.as_ref(), &desired().digest(), &commit(at), is_full), expected, "{case}");
    }
}

#[test]
fn attempt_next_removal_covers_each_state() {
    let undeclared =
        |phase, attempt| with(record(phase), |rollout| (rollout.undeclared, rollout.attempt) = (true, attempt));
    let cases = [
        ("declared until now", record(Phase::Succeeded), "one", false, Attempt::Pushed),
        ("another commit", undeclared(Phase::Removing, 1), "two", false, Attempt::Pushed),
        ("going on", undeclared(Phase::Removing, 1), "one", false, Attempt::Continued),
        ("failed, quick check", undeclared(Phase::Failed, 1), "one", false, Attempt::Exhausted),
        ("failed, full reconciliation", undeclared(Phase::Failed, RETRIES), "one", true, Attempt::Retried),
        ("failed, retries exhausted", undeclared(Phase::Failed, RETRIES + 1), "one", true, Attempt::Exhausted),
    ];
    for (case, known, at, is_full, expected) in cases {
        assert_eq!(Attempt::next_removal(&known, &commit(at), is_full), expected, "{case}");
    }
}

#[test]
fn attempt_flags_match_the_table() {
    let cases = [
        (Attempt::First, true, false),
        (Attempt::Replaced, true, false),
        (Attempt::Pushed, true, true),
        (Attempt::Retried, false, true),
        (Attempt::Exhausted, false, true),
        (Attempt::Returned, false, true),
        (Attempt::Continued, false, true),
    ];
    for (attempt, needs_revision, keeps_digest) in cases {
        assert_eq!((attempt.needs_revision(), attempt.keeps_digest()), (needs_revision, keeps_digest), "{attempt:?}");
    }
}

/// Long because the expected record of each attempt is built from its parts.
#[test]
fn begin_builds_the_record_of_each_attempt() {
    let anew = |rollout: &mut RolloutRecord| {
        rollout.start_over();
        rollout.attempt = 1;
        rollout.started = now();
    };
    let at_two = |rollout: &mut RolloutRecord| {
        let Revision { commit, author, message } = revision("two");
        (rollout.commit, rollout.author, rollout.message) = (commit, author, message);
    };
    let first = |exists| RolloutRecord::new(&desired(), revision("two"), exists, now());
    let old = with(record(Phase::Running), |rollout| {
        rollout.digest = Digest("other".to_owned());
        rollout.in_flight = in_flight(create(), 10);
        rollout.retained = vec![places()];
        rollout.applied_overrides = AppliedOverrides::default();
    });
    let carried = |given| {
        with(first(true), |rollout| {
            rollout.sequence = 7;
            rollout.in_flight = in_flight(create(), 10);
            rollout.retained = vec![places()];
            rollout.applied_overrides = given;
        })
    };
    let failed = || record(Phase::Failed);
    let pushed = with(failed(), |rollout| {
        anew(rollout);
        at_two(rollout);
        rollout.phase = Phase::Running;
    });
    let retried = with(failed(), |rollout| {
        rollout.start_over();
        rollout.attempt = 3;
        rollout.phase = Phase::Running;
    });
    let cases = [
        (Attempt::First, None, false, Some(first(false))),
        (Attempt::First, None, true, Some(first(true))),
        (Attempt::Replaced, Some(old.clone()), true, Some(carried(AppliedOverrides::default()))),
        (Attempt::Replaced, Some(old), false, Some(carried(AppliedOverrides::known_empty()))),
        (Attempt::Pushed, Some(failed()), true, Some(pushed)),
        (Attempt::Retried, Some(failed()), true, Some(retried)),
        (Attempt::Exhausted, Some(failed()), true, None),
        (Attempt::Returned, Some(record(Phase::Abandoned)), true, Some(with(record(Phase::Abandoned), anew))),
        (Attempt::Continued, Some(record(Phase::Running)), true, Some(record(Phase::Running))),
        (Attempt::Continued, None, true, None),
    ];
    for (attempt, known, exists, expected) in cases {
        let revision = attempt.needs_revision().then(|| revision("two"));
        assert_eq!(
            attempt.begin(known, &desired(), exists, revision, now()),
            expected,
            "{attempt:?}, exists: {exists}"
        );
    }
    for attempt in [Attempt::First, Attempt::Replaced, Attempt::Pushed] {
        assert_eq!(
            attempt.begin(Some(failed()), &desired(), true, None, now()),
            None,
            "{attempt:?} without a revision"
        );
    }
}

#[test]
fn begin_removal_counts_attempts() {
    let known = || record(Phase::Failed);
    let started = with(known(), |rollout| {
        rollout.take_revision(revision("two"), now());
        rollout.undeclared = true;
    });
    let cases = [
        (Attempt::Pushed, Some(started)),
        (Attempt::Retried, Some(with(known(), |rollout| rollout.attempt = 3))),
        (Attempt::Continued, Some(known())),
        (Attempt::Exhausted, None),
    ];
    for (attempt, expected) in cases {
        assert_eq!(attempt.begin_removal(known(), Some(revision("two")), now()), expected, "{attempt:?}");
    }
}

#[test]
fn observe_operation_counts_ended_operations() {
    let running = |operation| with(record(Phase::Running), |rollout| rollout.in_flight = in_flight(operation, 10));
    let cases = [
        ("in flight", create(), Some(OperationStatus::InFlight), OperationProgress::Running, true, (3, 0, 0, 0)),
        ("stopping", create(), Some(OperationStatus::Stopping), OperationProgress::Stopping, true, (3, 0, 0, 0)),
        ("not listed", create(), None, OperationProgress::Idle, true, (3, 0, 0, 0)),
        ("created", create(), Some(OperationStatus::Ended), OperationProgress::Idle, false, (4, 0, 0, 0)),
        (
            "updated",
            Operation::UpdateStackSet,
            Some(OperationStatus::Ended),
            OperationProgress::Idle,
            false,
            (3, 1, 0, 0),
        ),
        ("deleted", delete(false), Some(OperationStatus::Ended), OperationProgress::Idle, false, (3, 0, 1, 0)),
        ("retained", delete(true), Some(OperationStatus::Ended), OperationProgress::Idle, false, (3, 0, 0, 1)),
        (
            "settings",
            Operation::ManagedExecution,
            Some(OperationStatus::Ended),
            OperationProgress::Idle,
            false,
            (3, 0, 0, 0),
        ),
    ];
    for (case, operation, status, expected, stays, counts) in cases {
        let mut rollout = running(operation.clone());
        assert_eq!(rollout.observe_operation(status), expected, "{case}");
        assert_eq!(rollout.in_flight.is_some(), stays, "{case}");
        assert_eq!(rollout.tried.contains(&operation.key()), !stays, "{case}");
        assert_eq!((rollout.created, rollout.updated, rollout.deleted, rollout.retained.len()), counts, "{case}");
    }
}

fn situation(attempt: Attempt) -> Situation {
    Situation {
        attempt,
        stack_set_exists: true,
        just_created: false,
        instances: 5,
        overrides_doubted: false,
        now: now(),
    }
}

fn new_id() -> String {
    let operation = with(record(Phase::Running), |rollout| drop(rollout.launch(create(), 1, now())));
    operation.in_flight.unwrap().id
}

fn launched(id: &str, repeated: bool) -> RolloutAction {
    RolloutAction::Start(OperationStart { id: id.to_owned(), operation: create(), repeated })
}

// Long because it is one table of transitions.
#[test]
fn advance_decides_each_step() {
    let running = || record(Phase::Running);
    let doubtful = |age| with(running(), |rollout| rollout.in_flight = in_flight(create(), age));
    let undeclared = |phase| with(record(phase), |rollout| rollout.undeclared = true);
    let other = || RolloutStep::Start(Operation::UpdateStackSet);
    let start = || RolloutStep::Start(create());
    let go_on = situation(Attempt::Continued);
    let absent = Situation { stack_set_exists: false, ..go_on };
    let created = Situation { just_created: true, ..go_on };
    let doubted = Situation { overrides_doubted: true, ..go_on };
    let replaced = situation(Attempt::Replaced);
    let success = || RolloutStep::Finished(Verdict::default());
    let failure = || RolloutStep::Finished(failed_verdict());
    let cases = [
        ("another operation may run", doubtful(10), other(), go_on, false, RolloutAction::Wait),
        ("the recorded operation is repeated", doubtful(10), start(), go_on, true, launched("bc-recorded", true)),
        ("an equal one of another policy is not", doubtful(10), start(), replaced, false, RolloutAction::Wait),
        ("after 5 minutes it starts anew", doubtful(300), start(), replaced, true, launched(&new_id(), false)),
        ("after 5 minutes it is repeated", doubtful(300), start(), go_on, true, launched("bc-recorded", true)),
        (
            "no StackSet, no doubt",
            doubtful(10),
            RolloutStep::CreateStackSet,
            absent,
            true,
            RolloutAction::CreateStackSet,
        ),
        ("start", running(), start(), go_on, true, launched(&new_id(), false)),
        ("start after creation", doubtful(10), start(), created, true, launched("bc-recorded", true)),
        ("not visible after creation", running(), RolloutStep::CreateStackSet, created, false, RolloutAction::Wait),
        ("unchanged", record(Phase::Succeeded), success(), go_on, false, RolloutAction::Unchanged),
        ("unchanged, doubted overrides", record(Phase::Succeeded), success(), doubted, true, RolloutAction::Unchanged),
        (
            "unchanged, back in the policy",
            undeclared(Phase::Succeeded),
            success(),
            go_on,
            true,
            RolloutAction::Unchanged,
        ),
        ("succeeded", running(), success(), go_on, false, RolloutAction::Report(Verdict::default())),
        ("failed", running(), failure(), go_on, false, RolloutAction::Report(failed_verdict())),
        (
            "failed after success",
            record(Phase::Succeeded),
            failure(),
            go_on,
            false,
            RolloutAction::Report(failed_verdict()),
        ),
        (
            "failed, back in the policy",
            undeclared(Phase::Abandoned),
            failure(),
            go_on,
            true,
            RolloutAction::Report(failed_verdict()),
        ),
        ("owned by another policy", running(), RolloutStep::OtherOwner(None), go_on, false, RolloutAction::Wait),
        (
            "other permissions, back in the policy",
            undeclared(Phase::Abandoned),
            RolloutStep::OtherPermissions(PermissionModel::ServiceManaged),
            go_on,
            true,
            RolloutAction::Wait,
        ),
    ];
    for (case, rollout, step, situation, record, action) in cases {
        let in_doubt = rollout.in_flight.is_some() && action == RolloutAction::Wait;
        let (after, decision) = advance(rollout.clone(), step, situation);
        assert_eq!(decision, Decision { record, action }, "{case}");
        assert!(!after.undeclared, "{case}");
        assert!(!in_doubt || after == rollout, "{case}");
    }
}

#[test]
fn advance_start_after_success_counts_anew() {
    let (after, _) = advance(record(Phase::Succeeded), RolloutStep::Start(create()), situation(Attempt::Continued));
    assert_eq!((after.phase, after.attempt, after.started, after.created), (Phase::Running, 1, now(), 0));
    assert!(after.tried.is_empty());
    let InFlight { operation, size, recorded_at: since, .. } = after.in_flight.unwrap();
    assert_eq!((operation, size, since), (create(), 1, Some(now())));

    let (after, _) = advance(record(Phase::Running), RolloutStep::Start(create()), situation(Attempt::Continued));
    assert_eq!((after.phase, after.attempt, after.created, after.sequence), (Phase::Running, 2, 3, 8));

    let (after, _) =
        advance(record(Phase::Abandoned), RolloutStep::Start(Operation::UpdateStackSet), situation(Attempt::Returned));
    assert_eq!((after.phase, after.in_flight.unwrap().size), (Phase::Running, 5));
}

#[test]
fn advance_removal_decides_each_step() {
    let removing = || record(Phase::Removing);
    let doubtful = |age| with(removing(), |rollout| rollout.in_flight = in_flight(create(), age));
    let retaining = || with(removing(), |rollout| rollout.retained = vec![places()]);
    let not_ours = || RolloutStep::OtherOwner(None);
    let launch =
        |id: &str, repeated| RemovalAction::Start(OperationStart { id: id.to_owned(), operation: create(), repeated });
    let other_permissions = RolloutStep::OtherPermissions(PermissionModel::ServiceManaged);
    let cases = [
        ("another operation may run", doubtful(10), RolloutStep::DeleteStackSet, true, RemovalAction::Wait),
        ("after 5 minutes it may not", doubtful(300), RolloutStep::DeleteStackSet, true, RemovalAction::DeleteStackSet),
        (
            "no StackSet, no doubt",
            doubtful(10),
            RolloutStep::Finished(Verdict::default()),
            false,
            RemovalAction::Report,
        ),
        ("repeated", doubtful(10), RolloutStep::Start(create()), true, launch("bc-recorded", true)),
        ("start", removing(), RolloutStep::Start(create()), true, launch(&new_id(), false)),
        (
            "instances left",
            removing(),
            RolloutStep::Finished(failed_verdict()),
            true,
            RemovalAction::Block(failed_verdict()),
        ),
        ("owned by another policy", removing(), not_ours(), true, RemovalAction::Forget),
        ("owned by another policy, stacks retained", retaining(), not_ours(), true, RemovalAction::Report),
        ("other permissions", removing(), other_permissions, true, RemovalAction::Forget),
        ("create", removing(), RolloutStep::CreateStackSet, true, RemovalAction::Forget),
    ];
    for (case, rollout, step, exists, expected) in cases {
        let stays = matches!(expected, RemovalAction::Wait | RemovalAction::Start(_));
        let (after, action) = advance_removal(rollout, step, exists, 5, now());
        assert_eq!(action, expected, "{case}");
        assert_eq!(after.in_flight.is_some(), stays, "{case}");
    }
}

#[test]
fn removal_starts_once_and_stops_rollouts() {
    for (phase, tried) in [(Phase::Succeeded, 0), (Phase::Failed, 0), (Phase::Removing, 1)] {
        let after = with(record(phase), RolloutRecord::start_removal);
        assert_eq!((after.phase, after.tried.len()), (Phase::Removing, tried), "{phase:?}");
    }
    for (operation, stopped) in [(create(), true), (Operation::UpdateStackSet, true), (delete(false), false)] {
        let rollout = with(record(Phase::Removing), |rollout| rollout.in_flight = in_flight(operation, 10));
        assert_eq!(rollout.is_stopped_by_removal(), stopped);
    }
}

#[test]
fn leave_waits_for_the_operation() {
    let cases = [
        ("no operation", None, None, true),
        ("running", in_flight(create(), 10), Some(OperationStatus::InFlight), false),
        ("stopping", in_flight(create(), 10), Some(OperationStatus::Stopping), false),
        ("ended", in_flight(create(), 10), Some(OperationStatus::Ended), true),
        ("not listed yet", in_flight(create(), 10), None, false),
        ("not listed after 5 minutes", in_flight(create(), 300), None, true),
    ];
    for (case, in_flight, status, leaves) in cases {
        let mut rollout = with(record(Phase::Running), |rollout| rollout.in_flight.clone_from(&in_flight));
        assert_eq!(rollout.leave(status, now()), leaves, "{case}");
        assert_eq!(rollout.phase, if leaves { Phase::Abandoned } else { Phase::Running }, "{case}");
        assert_eq!(rollout.in_flight.is_none(), leaves, "{case}");
    }
}

#[test]
fn ends_of_an_attempt_are_recorded() {
    let begun = || {
        with(record(Phase::Running), |rollout| {
            rollout.in_flight = in_flight(create(), 10);
            rollout.retained = vec![places()];
        })
    };
    for (verdict, phase) in [(Verdict::default(), Phase::Succeeded), (failed_verdict(), Phase::Failed)] {
        let after = with(begun(), |rollout| rollout.finish(&verdict, now()));
        assert_eq!((after.phase, after.retained.len(), after.tried.len(), after.in_flight), (phase, 0, 0, None));
        assert_eq!(after.ended, Some(AttemptEnd::new(now(), &verdict, None)));
    }

    let after = with(begun(), |rollout| rollout.reject(&Verdict::default(), "denied".to_owned(), now()));
    assert_eq!((after.phase, after.retained.len(), after.tried.len()), (Phase::Failed, 1, 1));
    assert_eq!(after.ended.unwrap().error.as_deref(), Some("denied"));
    for repeated in [true, false] {
        let after = with(begun(), |rollout| rollout.forget_rejected(repeated));
        assert_eq!(after.in_flight.is_some(), repeated);
    }

    for request in [Some("request"), None] {
        let blocked =
            |rollout: &mut RolloutRecord| rollout.block_removal(&failed_verdict(), None, request, "why", now());
        let after = with(begun(), blocked);
        assert_eq!((after.phase, after.tried.len()), (Phase::Failed, 0));
        let expected = request.map(|request| RemovalBlocked { request: request.to_owned(), reason: "why".to_owned() });
        assert_eq!(after.removal_blocked, expected);
    }
}

#[test]
fn ended_keeps_twenty_faults_and_all_counts() {
    let diagnostic = failed_verdict().failures.remove(0);
    let verdict = Verdict { total: 30, failures: vec![diagnostic; 25], ..Verdict::default() };
    let ended = AttemptEnd::new(now(), &verdict, None);
    assert_eq!((ended.failed, ended.verdict.failures.len(), ended.verdict.total), (25, 20, 30));
}

#[test]
fn is_in_doubt_of_another_instance_operation() {
    let other = Instance {
        account: AccountId::parse("222222222222").unwrap(),
        region: RegionName::parse("eu-west-1").unwrap(),
    };
    let at = OperationTargets { accounts: [other.account].into(), ..places() };
    let rollout = with(record(Phase::Running), |rollout| rollout.in_flight = in_flight(create(), 10));
    let other = Operation::CreateInstances { at, overrides: BTreeMap::new() };
    assert!(rollout.is_in_doubt(Some(&other), now()));
    assert!(!rollout.is_in_doubt(Some(&create()), now()));
}
