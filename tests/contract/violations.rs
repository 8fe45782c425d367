//! `ViolationStore` and `WindowStore`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde_json::{Value, json};

use app::ports::{PortErrorKind, Versioned};
use app::report::ports::{DigestWindow, WindowStore};
use app::violations::ViolationStore;
use aws::StateTable;
use domain::violation::{Channel, ViolationGroup, ViolationKey, ViolationRecord};
use testkit::world::World;

use crate::cloud::{Local, clients_of};
use crate::records::{ACCOUNT, CONTROL, account, at, closed, key, owing, record, region};
use crate::server::{Reply, Server};

/// Stores a new record.
async fn put(store: &impl ViolationStore, record: ViolationRecord) -> Versioned<ViolationRecord> {
    let version = store.put(&Versioned { value: record.clone(), version: 0 }).await.unwrap();
    Versioned { value: record, version }
}

async fn stored(store: &impl ViolationStore, resource: &str) -> Option<Versioned<ViolationRecord>> {
    store.read(&[key(resource)]).await.unwrap().remove(&key(resource))
}

async fn conflicts(store: &impl ViolationStore, record: &Versioned<ViolationRecord>, why: &str) {
    let error = store.put(record).await.expect_err(why);
    assert_eq!(error.kind, PortErrorKind::Conflict, "{why}: {error}");
}

async fn stale_writes_are_rejected(store: &impl ViolationStore) {
    assert_eq!(store.read(&[]).await.unwrap(), BTreeMap::new());
    assert_eq!(stored(store, "orders").await, None);
    conflicts(store, &Versioned { value: record("orders"), version: 1 }, "there is nothing to have seen").await;
    let first = put(store, owing("orders", 1)).await;
    assert_eq!(first.version, 1);
    assert_eq!(stored(store, "orders").await, Some(first.clone()));
    conflicts(store, &Versioned { version: 0, ..first.clone() }, "another writer was faster").await;
    let second = Versioned { value: closed("orders"), version: first.version };
    assert_eq!(store.put(&second).await.unwrap(), 2, "the new version is returned for the next write");
    conflicts(store, &first, "another state was seen").await;
    conflicts(store, &second, "the same once more").await;
    let third = Versioned { version: 2, ..first };
    assert_eq!(store.put(&third).await.unwrap(), 3);
    assert_eq!(stored(store, "orders").await, Some(Versioned { version: 3, ..third }));
}

/// Of two writers that read the same state, one succeeds.
async fn concurrent_write_gets_conflict(store: &impl ViolationStore) {
    let seen = put(store, record("contended")).await;
    let quick = Versioned { value: owing("contended", 3), ..seen.clone() };
    let slow = Versioned { value: closed("contended"), ..seen };
    store.put(&quick).await.unwrap();
    conflicts(store, &slow, "another writer was faster").await;
    let now = stored(store, "contended").await.unwrap();
    assert_eq!(now.value, quick.value);
    store.put(&Versioned { value: slow.value, ..now }).await.unwrap();
}

fn names(records: &[Versioned<ViolationRecord>]) -> BTreeSet<&str> {
    records.iter().map(|record| record.value.key.resource_id.as_str()).collect()
}

/// Records of their own control, so that other stored records do not count.
fn of_group(mut record: ViolationRecord, control: &str) -> ViolationRecord {
    record.key.control = control.to_owned();
    record
}

async fn pending_deliveries_are_found_by_group(store: &impl ViolationStore) {
    let group = ViolationGroup { account: account(ACCOUNT), control: "MINE".to_owned() };
    assert_eq!(store.pending_for(&group).await.unwrap(), []);
    let mut a = put(store, of_group(owing("owed-a", 10), "MINE")).await;
    put(store, of_group(owing("owed-b", 11), "MINE")).await;
    put(store, of_group(owing("other", 11), "MINE-TOO")).await;
    put(store, of_group(record("quiet"), "MINE")).await;
    let owed = store.pending_for(&group).await.unwrap();
    assert_eq!(names(&owed), BTreeSet::from(["owed-a", "owed-b"]));
    assert!(owed.contains(&a), "whole, and with the version that it can be stored at: {owed:?}");

    // One channel was notified, the other was not: the delivery stays pending.
    let debts = a.value.pending.clone();
    a.value.record_delivery(Channel::Topic, &debts, at(20));
    a.version = store.put(&a).await.unwrap();
    assert_eq!(names(&store.pending_for(&group).await.unwrap()), BTreeSet::from(["owed-a", "owed-b"]));
    a.value.record_delivery(Channel::Chat, &debts, at(21));
    store.put(&a).await.unwrap();
    assert_eq!(names(&store.pending_for(&group).await.unwrap()), BTreeSet::from(["owed-b"]));
}

/// All records with a delivery that was due before a time, in pages.
async fn pending(store: &impl ViolationStore, minute: u8, limit: usize) -> Vec<Versioned<ViolationRecord>> {
    let mut records: Vec<Versioned<ViolationRecord>> = Vec::new();
    let mut position = None;
    loop {
        let page = store.pending(at(minute), position, limit).await.unwrap();
        assert!(page.next.is_none() || page.records.len() >= limit, "{} of {limit}", page.records.len());
        records.extend(page.records);
        position = page.next;
        if position.is_none() {
            let keys: BTreeSet<&ViolationKey> = records.iter().map(|record| &record.value.key).collect();
            assert_eq!(keys.len(), records.len(), "one comes twice");
            return records;
        }
    }
}

async fn overdue_deliveries_are_found(store: &impl ViolationStore) {
    // All deliveries so far are done.
    for mut record in pending(store, 59, 1000).await {
        record.value.pending.clear();
        store.put(&record).await.unwrap();
    }
    for (resource, minute) in [("late-a", 10), ("late-b", 11), ("late-c", 20)] {
        put(store, of_group(owing(resource, minute), resource)).await;
    }
    put(store, record("nothing-owed")).await;
    let found = pending(store, 15, 100).await;
    assert_eq!(names(&found), BTreeSet::from(["late-a", "late-b"]), "not deliveries in progress");
    assert!(found.iter().all(|record| record.version == 1), "{found:?}");
    assert_eq!(pending(store, 30, 1).await.len(), 3, "page after page, each once");
    // A failed delivery is due again later.
    let mut failed = found.iter().find(|record| record.value.key.resource_id == "late-a").unwrap().clone();
    let debts = failed.value.pending.clone();
    for outlet in [Channel::Topic, Channel::Chat] {
        failed.value.record_failure(outlet, &debts, "not you", true, at(20));
    }
    store.put(&failed).await.unwrap();
    assert_eq!(names(&pending(store, 15, 100).await), BTreeSet::from(["late-b"]));
    assert_eq!(names(&pending(store, 21, 100).await), BTreeSet::from(["late-a", "late-b", "late-c"]));
    assert_eq!(pending(store, 10, 100).await, [], "before means before");
}

async fn open_violations_are_found_by_account(store: &impl ViolationStore) {
    let mine = |mut record: ViolationRecord| {
        record.key.account = account("333333333333");
        record
    };
    assert_eq!(store.open_in(&account("333333333333")).await.unwrap(), []);
    assert!(!store.accounts().await.unwrap().contains(&account("333333333333")));
    let open = put(store, mine(record("open"))).await;
    put(store, mine(owing("open-and-owing", 3))).await;
    put(store, mine(closed("closed"))).await;
    let mut elsewhere = mine(record("elsewhere"));
    elsewhere.key.region = region("us-east-1");
    put(store, elsewhere).await;
    let found = store.open_in(&account("333333333333")).await.unwrap();
    assert_eq!(names(&found), BTreeSet::from(["open", "open-and-owing", "elsewhere"]));
    assert!(found.contains(&open), "{found:?}");
    assert!(store.accounts().await.unwrap().is_superset(&BTreeSet::from([account(ACCOUNT), account("333333333333")])));

    for record in found {
        store
            .put(&Versioned { value: ViolationRecord { status: closed("").status, ..record.value }, ..record })
            .await
            .unwrap();
    }
    assert_eq!(store.open_in(&account("333333333333")).await.unwrap(), []);
    assert!(!store.accounts().await.unwrap().contains(&account("333333333333")));
}

async fn more_records_than_one_call_are_read(store: &impl ViolationStore) {
    let mut keys = Vec::new();
    for n in 0..130 {
        let name = format!("many-{n}");
        put(store, record(&name)).await;
        keys.push(key(&name));
    }
    keys.push(key("none"));
    // The same key twice is one record.
    keys.push(key("many-0"));
    let found = store.read(&keys).await.unwrap();
    assert_eq!(found.len(), 130);
    assert!(!found.contains_key(&key("none")));
}

async fn similar_names_are_distinct(store: &impl ViolationStore) {
    let mut other_region = record("same");
    other_region.key.region = region("us-east-1");
    let other_control = of_group(record("same"), "BACKUP_RECOVERY_POINT_ENCRYPTED");
    let keys = [key("same"), other_region.key.clone(), other_control.key.clone()];
    for record in [record("same"), other_region, other_control] {
        put(store, record).await;
    }
    assert_eq!(store.read(&keys).await.unwrap().len(), 3);
}

async fn window_has_one_opener(store: &impl WindowStore) {
    let group = ViolationGroup { account: account(ACCOUNT), control: CONTROL.to_owned() };
    let other = ViolationGroup { control: "ANOTHER / \u{fc}".to_owned(), ..group.clone() };
    assert_eq!(store.windows(&[]).await.unwrap(), BTreeMap::new());
    assert_eq!(store.windows(std::slice::from_ref(&group)).await.unwrap(), BTreeMap::new());
    // No writer requested it: no item is created.
    store.record_flush_request(&group, at(6)).await.unwrap();
    assert_eq!(store.windows(std::slice::from_ref(&group)).await.unwrap(), BTreeMap::new());

    assert!(store.open_window(&group, at(1), at(6)).await.unwrap());
    assert!(!store.open_window(&group, at(2), at(7)).await.unwrap(), "one is open");
    assert!(store.open_window(&other, at(2), at(7)).await.unwrap(), "each group has its own");
    let windows = store.windows(&[group.clone(), other.clone(), group.clone()]).await.unwrap();
    let open = |until, flush_asked| DigestWindow { until, is_flush_requested: flush_asked };
    assert_eq!(windows, BTreeMap::from([(group.clone(), open(at(6), false)), (other.clone(), open(at(7), false))]));

    store.record_flush_request(&group, at(5)).await.unwrap();
    let windows = store.windows(std::slice::from_ref(&group)).await.unwrap();
    assert_eq!(windows[&group], open(at(6), false), "of another window");
    store.record_flush_request(&group, at(6)).await.unwrap();
    store.record_flush_request(&group, at(6)).await.unwrap();
    let windows = store.windows(&[group.clone(), other]).await.unwrap();
    assert_eq!(windows[&group], open(at(6), true));

    // At its end time the window has ended. The next window does not inherit the requests of the last one.
    let early = at(6) - SignedDuration::from_millis(1);
    assert!(!store.open_window(&group, early, at(9)).await.unwrap());
    assert!(store.open_window(&group, at(6), at(11)).await.unwrap());
    assert_eq!(store.windows(std::slice::from_ref(&group)).await.unwrap()[&group], open(at(11), false));
}

async fn holds(store: &(impl ViolationStore + WindowStore)) {
    stale_writes_are_rejected(store).await;
    concurrent_write_gets_conflict(store).await;
    pending_deliveries_are_found_by_group(store).await;
    overdue_deliveries_are_found(store).await;
    open_violations_are_found_by_account(store).await;
    more_records_than_one_call_are_read(store).await;
    similar_names_are_distinct(store).await;
    window_has_one_opener(store).await;
}

#[tokio::test]
async fn fake_fulfills_violation_contract() {
    holds(&World::new()).await;
}

fn expiry(item: &Value) -> Option<i64> {
    item.get("expires_at").map(|at| at["N"].as_str().unwrap().parse().unwrap())
}

/// Long because a cloud is started once.
#[tokio::test]
async fn adapter_fulfills_contract_and_expires_records() {
    let local = Local::start().await;
    let table = local.state_table();
    let store = StateTable::new(&local.clients, table);
    holds(&store).await;
    put(&store, closed("told")).await;
    let unheard = ViolationRecord { pending: owing("", 5).pending, ..closed("unheard") };
    put(&store, unheard).await;

    let items = local.client().scan(table).unwrap();
    let item = |resource: &str| {
        let sort = format!("{CONTROL}#AWS::RDS::DBCluster#{resource}");
        let found = items.iter().find(|item| item["sk"]["S"] == sort.as_str());
        found.unwrap_or_else(|| panic!("{resource}")).clone()
    };
    let names = |item: &Value| item.as_object().unwrap().keys().cloned().collect::<BTreeSet<String>>();
    let plain = ["document", "pk", "sk", "version"];
    let with = |more: &[&str]| plain.iter().chain(more).map(|name| (*name).to_owned()).collect::<BTreeSet<String>>();

    let told = item("told");
    assert_eq!(told["pk"]["S"], "violation#222222222222#eu-west-1");
    assert_eq!(names(&told), with(&["expires_at"]));
    let days = (expiry(&told).unwrap() - std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64) as f64 / 86_400.0;
    assert!((89.9..=90.0).contains(&days), "a closed record stays for ninety days, not {days}");

    let quiet = item("nothing-owed");
    assert_eq!(names(&quiet), with(&["open_account", "open_since"]), "the index `pending` is sparse");
    assert_eq!(quiet["open_account"]["S"], ACCOUNT);
    assert_eq!(
        quiet["open_since"]["S"], "2026-11-23T12:01:00.500000000Z",
        "of one width, so that texts sort as times do"
    );
    let unheard = item("unheard");
    assert_eq!(names(&unheard), with(&["pending_group", "pending_since"]), "pending deliveries must not expire");
    assert_eq!(unheard["pending_group"]["S"], format!("{ACCOUNT}#{CONTROL}"));
    assert_eq!(unheard["pending_since"]["S"], "2026-11-23T12:05:00.500000000Z");

    let windows: Vec<&Value> = items.iter().filter(|item| item["pk"]["S"] == "window").collect();
    assert_eq!(windows.len(), 2);
    for window in windows {
        let until: i64 = window["until"]["N"].as_str().unwrap().parse().unwrap();
        assert!(expiry(window).unwrap() > until / 1000, "{window} goes when it has ended");
    }

    let mark = local.cloud.journal().mark();
    store.read(&(0..201).map(|n| key(&format!("many-{n}"))).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(local.calls("dynamodb", mark), ["BatchGetItem"; 3], "at most a hundred keys a call");

    // More than one page (1 MB) of each index.
    let large = |n: usize| {
        let mut record = of_group(owing(&format!("large-{n}"), 30), "LARGE");
        record.annotation = Some("x".repeat(300_000));
        record
    };
    for n in 0..5 {
        put(&store, large(n)).await;
    }
    let group = ViolationGroup { account: account(ACCOUNT), control: "LARGE".to_owned() };
    assert_eq!(store.pending_for(&group).await.unwrap().len(), 5);
    assert!(pending(&store, 59, 1000).await.len() > 5);
    assert!(store.open_in(&account(ACCOUNT)).await.unwrap().len() > 130);
    assert_eq!(store.accounts().await.unwrap(), BTreeSet::from([account(ACCOUNT)]));
    assert_eq!(local.cloud.stop(), []);
}

/// One response of `BatchGetItem`: the records found, and the unprocessed sort keys.
fn batch(found: &[&str], left: &[&str]) -> Reply {
    let sort = |resource: &str| format!("{CONTROL}#AWS::RDS::DBCluster#{resource}");
    let place = |resource: &str| json!({"pk": {"S": "violation#222222222222#eu-west-1"}, "sk": {"S": sort(resource)}});
    let items: Vec<Value> = found
        .iter()
        .map(|resource| {
            let mut item = place(resource);
            item["version"] = json!({"N": "7"});
            item["document"] = json!({"S": serde_json::to_string(&record(resource)).unwrap()});
            item
        })
        .collect();
    let keys: Vec<Value> = left.iter().map(|resource| place(resource)).collect();
    let unprocessed = if keys.is_empty() { json!({}) } else { json!({"t": {"Keys": keys, "ConsistentRead": true}}) };
    Reply::Status(200, json!({"Responses": {"t": items}, "UnprocessedKeys": unprocessed}).to_string())
}

#[tokio::test]
async fn unprocessed_keys_are_retried_with_a_limit() {
    let server = Server::start(&[
        batch(&["a"], &["b", "c"]),
        batch(&[], &["b", "c"]),
        batch(&["b"], &["c"]),
        batch(&["c"], &[]),
    ]);
    let store = StateTable::new(&clients_of(&server).await, "t");
    let found = store.read(&[key("a"), key("b"), key("c")]).await.unwrap();
    assert_eq!(found.into_values().map(|record| record.version).collect::<Vec<_>>(), [7, 7, 7]);
    let asked: Vec<usize> = server
        .received()
        .iter()
        .map(|request| request.json()["RequestItems"]["t"]["Keys"].as_array().unwrap().len())
        .collect();
    assert_eq!(asked, [3, 2, 2, 1]);

    let server = Server::start(&[batch(&[], &["a"])]);
    let store = StateTable::new(&clients_of(&server).await, "t");
    let error = store.read(&[key("a")]).await.unwrap_err();
    assert_eq!((error.kind, error.operation), (PortErrorKind::Retryable, "dynamodb:BatchGetItem"), "{error}");
    assert_eq!(server.received().len(), 6);
}
