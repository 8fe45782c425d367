//! The state of `deploy`, `lifecycle` and `sweep`: `DeployStore`, `RequestStore`, `PolicyDirectory`, `SweepStore`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use app::deploy::ports::DeployStore;
use app::deploy::{
    AcceptedRevision, AttemptEnd, ControlVariant, InFlight, Phase, PublishedFramework, RemovalBlocked, RolloutRecord,
};
use app::in_force::{InForce, PolicyDirectory};
use app::lifecycle::ports::RequestStore;
use app::lifecycle::{CloudFormationRequest, RequestAnswer, RequestEnvelope, RequestKind, ResponseUrl};
use app::ports::{PortErrorKind, Versioned};
use app::sweep::ports::{ReminderWeek, SweepProgress, SweepStore};
use aws::StateTable;
use domain::notice::{BlindSpot, BlindSpotCause, BlindSpotReason};
use domain::policy::Reporting;
use domain::rollout::{
    AccountFilterType, AppliedOverrides, CallAs, DeploymentTargets, Digest, Instance, InstanceFailure, InstanceOutcome,
    Operation, OperationTargets, Parameters, Verdict,
};
use framework::ids::{AccountId, CommitId, RegionName, StackSetName, UnitId};
use testkit::world::World;

use crate::cloud::Local;
use crate::server::SECRET;

fn name(name: &str) -> StackSetName {
    StackSetName::parse(name).unwrap()
}

fn commit(letter: &str) -> CommitId {
    CommitId::parse(&letter.repeat(40)).unwrap()
}

fn places(account: &str) -> OperationTargets {
    OperationTargets {
        accounts: [AccountId::parse(account).unwrap()].into(),
        regions: [RegionName::parse("eu-west-1").unwrap()].into(),
        through: None,
    }
}

fn days(days: &str) -> Parameters {
    Parameters::from([("Days".to_owned(), days.to_owned())])
}

fn faulty(account: &str, outcome: InstanceOutcome) -> InstanceFailure {
    let instance =
        Instance { account: AccountId::parse(account).unwrap(), region: RegionName::parse("eu-west-1").unwrap() };
    InstanceFailure { instance, outcome, reason: "said \"so\"\n\u{202e}".to_owned() }
}

/// Every field has a value.
fn rollout(of: &str) -> RolloutRecord {
    let mut given = AppliedOverrides::known_empty();
    given.record_operation(&Operation::CreateInstances { at: places("012345678901"), overrides: days("90") });
    let but = DeploymentTargets {
        unit: UnitId::parse("ou-sbox-workloads").unwrap(),
        filter: AccountFilterType::Except([AccountId::parse("222222222222").unwrap()].into()),
    };
    let verdict = Verdict {
        total: 4,
        succeeded: 2,
        failures: vec![faulty("111111111111", InstanceOutcome::NeverReached)],
        skipped: vec![faulty("222222222222", InstanceOutcome::Skipped)],
    };
    let at = NOON.parse().unwrap();
    RolloutRecord {
        name: name(of),
        digest: Digest("d1".to_owned()),
        commit: commit("a"),
        author: "Zoë \"the\" Ångström <zoe@example.com>".to_owned(),
        message: "quotes \" and \\ and \u{1f9ef} and a tab\t".to_owned(),
        phase: Phase::Running,
        attempt: 1,
        tried: BTreeSet::from([Digest("t1".to_owned())]),
        in_flight: Some(InFlight {
            id: "bc-1".to_owned(),
            size: 1,
            recorded_at: Some(at),
            operation: Operation::CreateInstances {
                at: OperationTargets { through: Some(but), ..places("012345678901") },
                overrides: days("35"),
            },
        }),
        sequence: u64::from(u32::MAX) + 1,
        created: 1,
        updated: 2,
        deleted: 3,
        applied_overrides: given,
        call_as: CallAs::DelegatedAdministrator,
        started: at,
        ended: Some(AttemptEnd { at, failed: 21, skipped: 1, verdict, error: Some("AWS said no".to_owned()) }),
        retained: vec![places("333333333333")],
        undeclared: true,
        removal_blocked: Some(RemovalBlocked { request: "r-1".to_owned(), reason: "left".to_owned() }),
    }
}

async fn conflicts(store: &impl DeployStore, rollout: &Versioned<RolloutRecord>, why: &str) {
    let error = store.put_rollout(rollout).await.expect_err(why);
    assert_eq!(error.kind, PortErrorKind::Conflict, "{why}: {error}");
}

async fn stale_rollouts_are_rejected(store: &impl DeployStore) {
    assert_eq!(store.load_state().await.unwrap(), app::deploy::DeployState::default());
    let fresh = Versioned { value: rollout("one"), version: 0 };
    store.put_rollout(&fresh).await.unwrap();
    conflicts(store, &fresh, "another writer created it").await;
    let stored = store.load_state().await.unwrap().rollouts;
    assert_eq!(stored[&name("one")], Versioned { value: rollout("one"), version: 1 });

    let mut second = stored[&name("one")].clone();
    second.value.phase = Phase::Succeeded;
    store.put_rollout(&second).await.unwrap();
    conflicts(store, &second, "read before the last change").await;
    store.put_rollout(&Versioned { value: rollout("two"), version: 0 }).await.unwrap();
    let memory = store.load_state().await.unwrap();
    assert!(!memory.removing);
    assert_eq!(memory.rollouts.keys().cloned().collect::<Vec<_>>(), [name("one"), name("two")]);
    assert_eq!(memory.rollouts[&name("one")].version, 2);
    assert_eq!(memory.rollouts[&name("one")].value.phase, Phase::Succeeded);

    store.delete_rollout(&name("one")).await.unwrap();
    store.delete_rollout(&name("one")).await.unwrap();
    conflicts(store, &Versioned { value: rollout("one"), version: 2 }, "forgotten meanwhile").await;
    assert_eq!(store.load_state().await.unwrap().rollouts.len(), 1);
    store.delete_rollout(&name("two")).await.unwrap();
}

async fn removal_marker_is_not_a_rollout(store: &impl DeployStore) {
    store.put_rollout(&Versioned { value: rollout("removal"), version: 0 }).await.unwrap();
    store.set_removal(true).await.unwrap();
    store.set_removal(true).await.unwrap();
    let memory = store.load_state().await.unwrap();
    assert!(memory.removing);
    assert_eq!(memory.rollouts.len(), 1);
    store.set_removal(false).await.unwrap();
    store.set_removal(false).await.unwrap();
    let memory = store.load_state().await.unwrap();
    assert!(!memory.removing);
    assert_eq!(memory.rollouts.len(), 1, "a StackSet may be called `removal`");
    store.delete_rollout(&name("removal")).await.unwrap();
}

async fn last_rejection_is_stored(store: &impl DeployStore) {
    assert_eq!(store.rejected_commit().await.unwrap(), None);
    for letter in ["a", "b"] {
        store.set_rejected_commit(&commit(letter)).await.unwrap();
        assert_eq!(store.rejected_commit().await.unwrap(), Some(commit(letter)));
    }
}

async fn last_accepted_revision_is_stored(store: &impl DeployStore) {
    assert_eq!(store.load_state().await.unwrap().accepted, None);
    for run in [Some(7), None, Some(u64::MAX)] {
        let accepted = AcceptedRevision { commit: CommitId::parse("tHXxZN9d_Hx.P0Gk3-d").unwrap(), run };
        store.put_accepted(&accepted).await.unwrap();
        assert_eq!(store.load_state().await.unwrap().accepted, Some(accepted));
    }
}

fn facts(of: &str, days: &str) -> PublishedFramework {
    let parameters = BTreeMap::from([("requiredRetentionDays".to_owned(), days.to_owned())]);
    PublishedFramework {
        stack_set: name(of),
        variants: vec![ControlVariant {
            accounts: [AccountId::parse("222222222222").unwrap()].into(),
            regions: [RegionName::parse("eu-west-1").unwrap()].into(),
            controls: BTreeMap::from([("BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK".to_owned(), parameters)]),
            since: BTreeMap::from([(
                "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK".to_owned(),
                "2026-11-23T12:00:00.311Z".parse().unwrap(),
            )]),
        }],
    }
}

async fn published_state_is_read_by_others(store: &(impl DeployStore + SweepStore + PolicyDirectory)) {
    assert_eq!(store.in_force().await.unwrap(), InForce::default());
    assert_eq!(store.framework(&name("one")).await.unwrap(), None);
    assert_eq!(store.load_state().await.unwrap().reporting_digest, None);
    store.put_framework(&facts("one", "35")).await.unwrap();
    assert_eq!(store.framework(&name("one")).await.unwrap(), Some(facts("one", "35")));
    store.put_framework(&facts("two", "35")).await.unwrap();
    store.put_framework(&facts("one", "90")).await.unwrap();
    let frameworks = vec![facts("one", "90"), facts("two", "35")];
    let known = InForce { frameworks, reporting: None, accounts: BTreeMap::new() };
    assert_eq!(store.in_force().await.unwrap(), known);

    // Names of accounts and the rest of the policy are stored beside the frameworks, and are not frameworks.
    let reporting = |owner: &str| Reporting { owner_tag: owner.to_owned(), ..Reporting::default() };
    store.put_reporting(&reporting("owner")).await.unwrap();
    store.put_reporting(&reporting("team")).await.unwrap();
    let accounts = |name: &str| BTreeMap::from([(AccountId::parse("222222222222").unwrap(), name.to_owned())]);
    store.put_accounts(&accounts("shop")).await.unwrap();
    store.put_accounts(&accounts("Zoë's \"shop\" \u{1f9ef}")).await.unwrap();
    let known =
        InForce { reporting: Some(reporting("team")), accounts: accounts("Zoë's \"shop\" \u{1f9ef}"), ..known };
    assert_eq!(store.in_force().await.unwrap(), known);
    let memory = store.load_state().await.unwrap();
    assert_eq!(memory.rollouts, BTreeMap::new(), "published state is not a rollout");
    assert_eq!(
        memory.reporting_digest,
        Some(reporting("team").digest().0),
        "and is remembered, so that it is published once"
    );

    store.delete_framework(&name("one")).await.unwrap();
    store.delete_framework(&name("one")).await.unwrap();
    assert_eq!(store.in_force().await.unwrap(), InForce { frameworks: vec![facts("two", "35")], ..known });
}

fn blind(account: &str, region: &str, detail: &str) -> BlindSpot {
    BlindSpot {
        account: AccountId::parse(account).unwrap(),
        region: RegionName::parse(region).unwrap(),
        reason: BlindSpotReason { cause: BlindSpotCause::AccessDenied, detail: Some(detail.to_owned()) },
        since: NOON.parse().unwrap(),
    }
}

async fn sweep_progress_is_stored(store: &impl SweepStore) {
    assert_eq!(store.progress().await.unwrap(), Versioned { value: None, version: 0 });
    let spots = vec![
        blind("222222222222", "eu-west-1", "nothing \"there\""),
        blind("222222222222", "us-east-1", "not allowed"),
        blind("333333333333", "eu-west-1", "not allowed"),
    ];
    let progress = |after: &str| SweepProgress {
        began: NOON.parse().unwrap(),
        after: AccountId::parse(after).unwrap(),
        blind: spots.clone(),
        after_again: Some(AccountId::parse("111111111111").unwrap()),
    };
    let first = Versioned { value: Some(progress("222222222222")), version: 0 };
    let version = store.put_progress(&first).await.unwrap();
    assert_eq!(store.progress().await.unwrap(), Versioned { version, ..first.clone() });
    // Another sweep has read the same state and is slower.
    let error = store.put_progress(&first).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Conflict, "{error}");
    let version = store.put_progress(&Versioned { value: Some(progress("333333333333")), version }).await.unwrap();
    let through = Versioned { value: None, version };
    let version = store.put_progress(&through).await.unwrap();
    assert_eq!(store.progress().await.unwrap(), Versioned { value: None, version });
    let error = store.put_progress(&through).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Conflict, "{error}");

    assert_eq!(store.blind_spots().await.unwrap(), []);
    store.put_blind_spots(&spots).await.unwrap();
    let mut known = store.blind_spots().await.unwrap();
    known.sort();
    assert_eq!(known, spots);
    store.put_blind_spots(&[]).await.unwrap();
    assert_eq!(store.blind_spots().await.unwrap(), []);

    assert_eq!(store.reminders().await.unwrap(), None);
    let reminders =
        ReminderWeek { week: NOON.parse().unwrap(), missing: BTreeSet::from([None, Some("orders-team".to_owned())]) };
    store.put_reminders(&reminders).await.unwrap();
    assert_eq!(store.reminders().await.unwrap(), Some(reminders));

    assert_eq!(store.notified_exemptions().await.unwrap(), BTreeSet::new());
    for told in [BTreeSet::from(["d1".to_owned(), "d2".to_owned()]), BTreeSet::from(["d3".to_owned()]), BTreeSet::new()]
    {
        store.put_notified_exemptions(&told).await.unwrap();
        assert_eq!(store.notified_exemptions().await.unwrap(), told);
    }
}

fn request(id: &str) -> CloudFormationRequest {
    CloudFormationRequest {
        kind: RequestKind::Create,
        envelope: RequestEnvelope {
            response_url: ResponseUrl::from(format!("https://example.com/?X-Amz-Signature={SECRET}").as_str()),
            stack_id: "arn:aws:cloudformation:us-east-1:000000000000:stack/app/1".to_owned(),
            request_id: id.to_owned(),
            logical_resource_id: "Rollout".to_owned(),
            physical_resource_id: "rollout".to_owned(),
        },
    }
}

const NOON: &str = "2026-11-23T12:00:00Z";

async fn requests_are_ordered_by_arrival(store: &impl RequestStore) {
    let noon: Timestamp = NOON.parse().unwrap();
    assert_eq!(store.waiting().await.unwrap(), []);
    store.store(&request("later"), noon + SignedDuration::from_mins(1)).await.unwrap();
    store.store(&request("z-first"), noon).await.unwrap();
    // Delivered twice: the deadline of the first delivery counts.
    store.store(&request("z-first"), noon + SignedDuration::from_mins(9)).await.unwrap();
    let waiting = store.waiting().await.unwrap();
    let order: Vec<_> = waiting.iter().map(|waiting| (waiting.request.clone(), waiting.since)).collect();
    assert_eq!(order, [(request("z-first"), noon), (request("later"), noon + SignedDuration::from_mins(1))]);
    assert!(waiting[0].request.envelope.response_url.reveal().contains(SECRET));
    assert!(!format!("{waiting:?}").contains(SECRET), "the debug output contains the signed address");
    // The first stored response stays, also for a request that was never stored.
    let failure = |id: &str| RequestAnswer::failure(&request(id).envelope, "no");
    let success = |id: &str| RequestAnswer::success(&request(id).envelope);
    assert_eq!(store.settle(&request("z-first"), &failure("z-first"), noon).await.unwrap(), Some(failure("z-first")));
    assert_eq!(store.settle(&request("z-first"), &success("z-first"), noon).await.unwrap(), Some(failure("z-first")));
    let last = noon + SignedDuration::from_mins(2);
    assert_eq!(store.settle(&request("new"), &success("new"), last).await.unwrap(), Some(success("new")));
    store.store(&request("new"), last).await.unwrap();
    let answers: Vec<_> = store.waiting().await.unwrap().into_iter().map(|waiting| waiting.answer).collect();
    assert_eq!(answers, [Some(failure("z-first")), None, Some(success("new"))]);
    // An answered request is not returned again.
    for id in ["z-first", "new"] {
        store.record_answered(id, noon).await.unwrap();
        store.store(&request(id), noon).await.unwrap();
        assert_eq!(store.settle(&request(id), &success(id), noon).await.unwrap(), None);
    }
    assert_eq!(store.waiting().await.unwrap().len(), 1);
}

async fn holds(store: &(impl DeployStore + RequestStore + PolicyDirectory + SweepStore)) {
    stale_rollouts_are_rejected(store).await;
    removal_marker_is_not_a_rollout(store).await;
    last_rejection_is_stored(store).await;
    last_accepted_revision_is_stored(store).await;
    published_state_is_read_by_others(store).await;
    sweep_progress_is_stored(store).await;
    requests_are_ordered_by_arrival(store).await;
}

#[tokio::test]
async fn fake_fulfills_state_contract() {
    holds(&World::new()).await;
}

#[tokio::test]
async fn adapter_fulfills_contract_in_its_partitions() {
    let local = Local::start().await;
    let table = local.state_table();
    let store = StateTable::new(&local.clients, table);
    holds(&store).await;

    let items = local.client().scan(table).unwrap();
    // The roles in template.yaml are limited to these partitions.
    let partitions: BTreeSet<&str> = items.iter().filter_map(|item| item["pk"]["S"].as_str()).collect();
    assert_eq!(partitions, BTreeSet::from(["framework", "policy", "request", "rollout", "sweep"]));
    let kept = items.iter().find(|item| item["pk"]["S"] == "request").unwrap();
    let expiry: i64 = kept["expires_at"]["N"].as_str().unwrap().parse().unwrap();
    let since = NOON.parse::<Timestamp>().unwrap().as_second() + 60;
    assert_eq!(expiry - since, 2 * 60 * 60, "kept until the signed address is worth nothing any more");
    for item in items.iter().filter(|item| item["pk"]["S"] != "request") {
        assert!(item.get("expires_at").is_none(), "{item} must not expire");
    }

    // The digest of the published reporting is stored beside the rollouts.
    let rollouts = items.iter().filter(|item| item["pk"]["S"] == "rollout" && item["sk"]["S"] != "#accepted");
    let rollouts: Vec<&Value> = rollouts.collect();
    let published = serde_json::to_value(Reporting { owner_tag: "team".to_owned(), ..Reporting::default() }).unwrap();
    assert_eq!(rollouts.len(), 1);
    assert_eq!(rollouts[0]["sk"]["S"], "#reporting");
    assert_eq!(rollouts[0]["digest"]["S"], domain::rollout::digest_of(&published).0);

    // More than one page (1 MB) of rollouts.
    let mut large = rollout("x");
    large.message = "m".repeat(300_000);
    for of in ["p1", "p2", "p3", "p4", "p5"] {
        large.name = name(of);
        store.put_rollout(&Versioned { value: large.clone(), version: 0 }).await.unwrap();
    }
    assert_eq!(store.load_state().await.unwrap().rollouts.len(), 5);

    // An item that this version cannot read is an error that names it, and the item stays.
    let put = serde_json::json!({"TableName": table, "Item": {
        "pk": {"S": "rollout"}, "sk": {"S": "odd"}, "version": {"N": "1"}, "document": {"S": "{\"name\":5}"},
    }});
    local.client().json("dynamodb", "DynamoDB_20120810.PutItem", &put).unwrap();
    let error = store.load_state().await.unwrap_err();
    assert!(error.to_string().contains("the item `rollout` / `odd` cannot be read"), "{error}");

    let nowhere = StateTable::new(&local.clients, "nowhere");
    let error = nowhere.load_state().await.unwrap_err();
    assert_eq!((error.kind, error.operation), (PortErrorKind::NotFound, "dynamodb:Query"), "{error}");
    assert_eq!(local.cloud.stop(), []);
}
