//! `ViolationStore`.

use std::collections::BTreeMap;

use app::ports::{PortErrorKind, ViolationStore};
use aws::StateTable;
use domain::ids::{AccountId, RegionName};
use domain::violation::{Key, Ordering, Pending, Record, Status};
use jiff::Timestamp;
use testkit::world::World;

use crate::cloud::Local;

fn at(minute: u8) -> Timestamp {
    format!("2026-11-23T12:{minute:02}:00.5Z").parse().unwrap()
}

fn ordering(minute: u8) -> Ordering {
    Ordering { triggered: at(minute), recorded: at(minute), notified: at(minute) }
}

fn key(resource: &str) -> Key {
    Key {
        account: AccountId::parse("222222222222").unwrap(),
        region: RegionName::parse("eu-west-1").unwrap(),
        control: "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN".to_owned(),
        resource_type: "AWS::RDS::DBCluster".to_owned(),
        resource_id: resource.to_owned(),
    }
}

fn record(resource: &str, minute: u8, status: Status, pending: Option<Pending>) -> Record {
    Record {
        key: key(resource),
        status,
        since: Some(at(1)),
        ordering: ordering(minute),
        rule_name: "AURORA-RESOURCES_PROTECTED_BY_BACKUP_PLAN-1b2c".to_owned(),
        rule_arn: "arn:aws:config:eu-west-1:222222222222:config-rule/x".to_owned(),
        annotation: Some("said \"so\"\n\u{202e}".to_owned()),
        pending,
    }
}

async fn stored(store: &impl ViolationStore, resource: &str) -> Option<Record> {
    store.read(&[key(resource)]).await.unwrap().remove(&key(resource))
}

async fn conflicts(store: &impl ViolationStore, record: &Record, seen: Option<&Ordering>, why: &str) {
    let error = store.put(record, seen).await.expect_err(why);
    assert_eq!(error.kind, PortErrorKind::Conflict, "{why}: {error}");
}

async fn nobody_overwrites_what_he_has_not_seen(store: &impl ViolationStore) {
    assert_eq!(store.read(&[]).await.unwrap(), BTreeMap::new());
    assert_eq!(stored(store, "orders").await, None);
    let opened = record("orders", 1, Status::Open, Some(Pending::Opened));
    conflicts(store, &opened, Some(&ordering(0)), "there is nothing to have seen").await;
    store.put(&opened, None).await.unwrap();
    assert_eq!(stored(store, "orders").await, Some(opened.clone()));
    conflicts(store, &opened, None, "somebody was quicker").await;
    let closed = record("orders", 5, Status::Closed, Some(Pending::Resolved));
    conflicts(store, &closed, Some(&ordering(2)), "another state was seen").await;
    conflicts(store, &record("orders", 0, Status::Closed, None), Some(&ordering(1)), "older than what is stored").await;
    conflicts(store, &opened, Some(&ordering(1)), "the same once more").await;
    store.put(&closed, Some(&ordering(1))).await.unwrap();
    assert_eq!(stored(store, "orders").await, Some(closed));
}

async fn what_was_told_is_owed_no_more(store: &impl ViolationStore) {
    let opened = record("told", 1, Status::Open, Some(Pending::Opened));
    store.told(&opened, at(2)).await.unwrap();
    assert_eq!(stored(store, "told").await, None, "a record that is gone does not come back");
    store.put(&opened, None).await.unwrap();
    store.told(&opened, at(2)).await.unwrap();
    assert_eq!(stored(store, "told").await, Some(Record { pending: None, ..opened.clone() }));
    // A later result came in between: what it owes stays owed.
    let closed = record("told", 3, Status::Closed, Some(Pending::Resolved));
    store.put(&closed, Some(&ordering(1))).await.unwrap();
    store.told(&opened, at(4)).await.unwrap();
    assert_eq!(stored(store, "told").await, Some(closed.clone()));
    store.told(&closed, at(4)).await.unwrap();
    assert_eq!(stored(store, "told").await, Some(Record { pending: None, ..closed }));
}

async fn owing(store: &impl ViolationStore, before: u8, limit: usize) -> Vec<String> {
    let mut owing: Vec<String> =
        store.owing(at(before), limit).await.unwrap().into_iter().map(|record| record.key.resource_id).collect();
    owing.sort();
    owing
}

async fn what_is_owed_is_found(store: &impl ViolationStore) {
    for record in store.owing(at(59), 100).await.unwrap() {
        store.told(&record, at(59)).await.unwrap();
    }
    for (resource, minute) in [("owed-a", 10), ("owed-b", 11), ("owed-c", 20)] {
        store.put(&record(resource, minute, Status::Open, Some(Pending::Opened)), None).await.unwrap();
    }
    store.put(&record("not-owed", 10, Status::Open, None), None).await.unwrap();
    assert_eq!(owing(store, 15, 100).await, ["owed-a", "owed-b"], "not what is on its way just now");
    assert_eq!(owing(store, 30, 2).await.len(), 2);
    assert_eq!(owing(store, 10, 100).await, Vec::<String>::new(), "before means before");
    store.told(&record("owed-a", 10, Status::Open, Some(Pending::Opened)), at(30)).await.unwrap();
    assert_eq!(owing(store, 30, 100).await, ["owed-b", "owed-c"]);
}

async fn more_than_one_call_holds(store: &impl ViolationStore) {
    let mut keys = Vec::new();
    for n in 0..130 {
        let name = format!("many-{n}");
        store.put(&record(&name, 1, Status::Open, None), None).await.unwrap();
        keys.push(key(&name));
    }
    keys.push(key("none"));
    let found = store.read(&keys).await.unwrap();
    assert_eq!(found.len(), 130);
    assert!(!found.contains_key(&key("none")));
}

async fn names_are_kept_apart(store: &impl ViolationStore) {
    let mut other_region = record("same", 1, Status::Open, None);
    other_region.key.region = RegionName::parse("us-east-1").unwrap();
    let mut other_control = record("same", 1, Status::Open, None);
    other_control.key.control = "BACKUP_RECOVERY_POINT_ENCRYPTED".to_owned();
    for record in [&record("same", 1, Status::Open, None), &other_region, &other_control] {
        store.put(record, None).await.unwrap();
    }
    let keys = [key("same"), other_region.key.clone(), other_control.key.clone()];
    assert_eq!(store.read(&keys).await.unwrap().len(), 3);
}

async fn holds(store: &impl ViolationStore) {
    nobody_overwrites_what_he_has_not_seen(store).await;
    what_was_told_is_owed_no_more(store).await;
    what_is_owed_is_found(store).await;
    more_than_one_call_holds(store).await;
    names_are_kept_apart(store).await;
}

#[tokio::test]
async fn the_fake_holds_the_contract() {
    holds(&World::new()).await;
}

#[tokio::test]
async fn the_adapter_holds_the_contract_and_lets_closed_records_expire() {
    let local = Local::start().await;
    let table = local.state_table();
    let store = StateTable::new(local.clients.dynamodb(), table);
    holds(&store).await;
    store.put(&record("unheard", 1, Status::Closed, Some(Pending::Resolved)), None).await.unwrap();

    let items = local.client().scan(table).unwrap();
    let item = |resource: &str| {
        let sort = format!("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN#AWS::RDS::DBCluster#{resource}");
        let found = items.iter().find(|item| item["sk"]["S"] == sort.as_str() && item["pk"]["S"] != "");
        found.unwrap_or_else(|| panic!("{resource}")).clone()
    };
    let told = item("told");
    assert_eq!(told["pk"]["S"], "violation#222222222222#eu-west-1");
    let expiry: i64 = told["expires_at"]["N"].as_str().unwrap().parse().unwrap();
    assert_eq!(expiry - at(4).as_second(), 90 * 24 * 60 * 60, "a closed record stays for ninety days");
    let owed = item("owed-b");
    assert!(owed.get("expires_at").is_none(), "what is open or owed must not expire: {owed}");
    assert_eq!(owed["pending_kind"]["S"], "notice");
    let quiet = item("not-owed");
    assert!(
        quiet.get("pending_kind").is_none() && quiet.get("pending_since").is_none(),
        "the index is sparse: {quiet}"
    );
    assert!(item("unheard").get("expires_at").is_none(), "closed, and still owes a notice");

    let mark = local.cloud.journal().mark();
    store.read(&(0..201).map(|n| key(&format!("many-{n}"))).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(local.calls("dynamodb", mark), ["BatchGetItem"; 3], "at most a hundred keys a call");
    assert_eq!(local.cloud.stop(), []);
}
