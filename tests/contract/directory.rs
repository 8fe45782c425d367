//! `ResourceDirectory`.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::time::{Duration, Instant};

use app::ports::PortErrorKind;
use app::violations::{BackupPlans, ResourceDirectory, ResourceId};
use aws::ConfigAggregator;
use domain::violation::ResourceDetails;
use framework::ids::{AccountId, RegionName};
use sandbox::config::{AGGREGATOR, RecordedResource};
use testkit::world::World;

use crate::cloud::{Local, clients_of};
use crate::server::{Reply, Server};

fn id(region: &str, id: &str) -> ResourceId {
    ResourceId {
        account: AccountId::parse("222222222222").unwrap(),
        region: RegionName::parse(region).unwrap(),
        kind: "AWS::RDS::DBCluster".to_owned(),
        id: id.to_owned(),
    }
}

fn tags() -> BTreeMap<String, String> {
    BTreeMap::from([("owner".to_owned(), "Zoë".to_owned()), ("empty".to_owned(), String::new())])
}

fn named() -> ResourceDetails {
    let arn = "arn:aws:rds:::cluster:billing".to_owned();
    ResourceDetails { name: Some("billing".to_owned()), arn: Some(arn), tags: tags() }
}

/// Expects `cluster-1` (`billing`) and `cluster-2` (without name and ARN) in eu-west-1, and no other resource.
async fn holds(directory: &impl ResourceDirectory) {
    assert_eq!(directory.look_up(&[]).await.unwrap(), BTreeMap::new());
    let ids = [
        id("eu-west-1", "cluster-1"),
        id("eu-west-1", "cluster-2"),
        id("us-east-1", "cluster-1"),
        id("eu-west-1", "x"),
    ];
    let known = directory.look_up(&ids).await.unwrap();
    let expected = BTreeMap::from([(ids[0].clone(), named()), (ids[1].clone(), ResourceDetails::default())]);
    assert_eq!(known, expected);
}

#[tokio::test]
async fn fake_fulfills_directory_contract() {
    let world = World::new();
    world.state().resources.insert(id("eu-west-1", "cluster-1"), named());
    world.state().resources.insert(id("eu-west-1", "cluster-2"), ResourceDetails::default());
    holds(&world).await;
}

fn recorded(account: &str, resource: &str, name: &str, arn: &str, tags: BTreeMap<String, String>) -> RecordedResource {
    RecordedResource {
        account: account.to_owned(),
        region: "eu-west-1".to_owned(),
        resource_type: "AWS::RDS::DBCluster".to_owned(),
        resource_id: resource.to_owned(),
        resource_name: name.to_owned(),
        arn: arn.to_owned(),
        tags,
        configuration: Value::Null,
    }
}

#[tokio::test]
async fn adapter_fulfills_contract_with_few_queries() {
    let local = Local::start().await;
    let add = |resource| local.cloud.add_resource(resource);
    add(recorded("222222222222", "cluster-1", "billing", "arn:aws:rds:::cluster:billing", tags()));
    add(recorded("222222222222", "cluster-2", "", "", BTreeMap::new()));
    // Names are passed more than once.
    add(recorded("333333333333", "cluster-1", "not this one", "", BTreeMap::new()));
    let directory = ConfigAggregator::new(&local.clients, Some(AGGREGATOR.to_owned()));
    let mark = local.cloud.journal().mark();
    holds(&directory).await;
    // A resource that the query does not find may be of a type that cannot be queried.
    let both = ["SelectAggregateResourceConfig", "BatchGetAggregateResourceConfig"];
    assert_eq!(local.calls("config", mark), both, "nothing is asked about nothing");
    let mark = local.cloud.journal().mark();
    assert_eq!(directory.look_up(&[id("eu-west-1", "cluster-1")]).await.unwrap().len(), 1);
    assert_eq!(local.calls("config", mark), ["SelectAggregateResourceConfig"], "all are found");

    // More than one query, more than one page of a query, and more than one batch of resources that no query found.
    for n in 10..160 {
        add(recorded("222222222222", &format!("cluster-{n}"), "", "", BTreeMap::new()));
    }
    let many: Vec<_> = (0..300).map(|n| id("eu-west-1", &format!("cluster-{n}"))).collect();
    for always in [false, true] {
        local.cloud.config().send_empty_pages(always);
        let mark = local.cloud.journal().mark();
        assert_eq!(directory.look_up(&many).await.unwrap().len(), 152);
        let calls = local.calls("config", mark);
        let of = |name: &str| calls.iter().filter(|call| *call == name).count();
        assert_eq!(of("BatchGetAggregateResourceConfig"), 2, "{calls:?}");
        assert!(of("SelectAggregateResourceConfig") >= 2, "{calls:?}");
    }
    local.cloud.config().send_empty_pages(false);

    // An id that could close the quotes is never part of a query.
    let hostile = id("eu-west-1", "x') OR accountId LIKE ('%");
    let mark = local.cloud.journal().mark();
    assert_eq!(directory.look_up(&[hostile]).await.unwrap(), BTreeMap::new());
    assert_eq!(local.calls("config", mark), ["BatchGetAggregateResourceConfig"]);

    let none = ConfigAggregator::new(&local.clients, None);
    let mark = local.cloud.journal().mark();
    assert_eq!(none.look_up(&many).await.unwrap(), BTreeMap::new());
    assert_eq!(local.calls("config", mark), Vec::<String>::new(), "without an aggregator there are no queries");

    // A rejected query loses the tags, but not the names.
    let refuse = |code| local.cloud.fail_next("config", "SelectAggregateResourceConfig", 400, code, "no", 1);
    refuse("InvalidExpressionException");
    let known = directory.look_up(&[id("eu-west-1", "cluster-1")]).await.unwrap();
    let untagged = ResourceDetails { tags: BTreeMap::new(), ..named() };
    assert_eq!(known, BTreeMap::from([(id("eu-west-1", "cluster-1"), untagged)]));
    let code = "NoSuchConfigurationAggregatorException";
    refuse(code);
    let error = directory.look_up(&many).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_deref()), (PortErrorKind::NotFound, Some(code)), "{error}");
    assert_eq!(local.cloud.stop(), []);
}

/// Backup plans of ten accounts and the names of resources, from an AWS Config that does not respond: one deadline
/// covers all calls.
#[tokio::test(start_paused = true)]
async fn lookups_end_at_invocation_deadline() {
    let server = Server::start(&[Reply::Hang]);
    let clients = clients_of(&server).await;
    let began = Instant::now();
    let left = Duration::from_secs(20);
    let aggregator = clients.aggregator(Some("organization".to_owned())).until(began + left);
    aggregator.look_up(&[id("eu-west-1", "cluster-1")]).await.unwrap_err();
    assert!(began.elapsed() <= Duration::from_secs(15), "one call has a limit of its own");
    for _ in 0..10 {
        let account = AccountId::parse("222222222222").unwrap();
        let region = RegionName::parse("eu-west-1").unwrap();
        aggregator.plans(&account, &region).await.unwrap_err();
    }
    assert_eq!(began.elapsed(), left);
}
