//! `ResourceDirectory`.

use std::collections::BTreeMap;

use app::ports::{PortErrorKind, ResourceDirectory, ResourceId};
use aws::ConfigAggregator;
use domain::ids::{AccountId, RegionName};
use domain::notice::ResourceFacts;
use sandbox::config::{AGGREGATOR, Resource};
use serde_json::Value;
use testkit::world::World;

use crate::cloud::Local;

fn id(region: &str, id: &str) -> ResourceId {
    ResourceId {
        account: AccountId::parse("222222222222").unwrap(),
        region: RegionName::parse(region).unwrap(),
        kind: "AWS::RDS::DBCluster".to_owned(),
        id: id.to_owned(),
    }
}

fn named() -> ResourceFacts {
    ResourceFacts { name: Some("billing".to_owned()), arn: Some("arn:aws:rds:::cluster:billing".to_owned()) }
}

/// Expects `cluster-1` (`billing`) and `cluster-2` (without name and ARN) in eu-west-1, and nothing else.
async fn holds(directory: &impl ResourceDirectory) {
    assert_eq!(directory.look_up(&[]).await.unwrap(), BTreeMap::new());
    let ids = [
        id("eu-west-1", "cluster-1"),
        id("eu-west-1", "cluster-2"),
        id("us-east-1", "cluster-1"),
        id("eu-west-1", "x"),
    ];
    let known = directory.look_up(&ids).await.unwrap();
    let expected =
        BTreeMap::from([(ids[0].clone(), named()), (ids[1].clone(), ResourceFacts { name: None, arn: None })]);
    assert_eq!(known, expected);
}

#[tokio::test]
async fn the_fake_holds_the_contract() {
    let world = World::new();
    world.state().resources.insert(id("eu-west-1", "cluster-1"), named());
    world.state().resources.insert(id("eu-west-1", "cluster-2"), ResourceFacts::default());
    holds(&world).await;
}

#[tokio::test]
async fn the_adapter_holds_the_contract_and_asks_for_a_hundred_at_a_time() {
    let local = Local::start().await;
    for (resource, name, arn) in [("cluster-1", "billing", "arn:aws:rds:::cluster:billing"), ("cluster-2", "", "")] {
        local.cloud.add_resource(Resource {
            account: "222222222222".to_owned(),
            region: "eu-west-1".to_owned(),
            resource_type: "AWS::RDS::DBCluster".to_owned(),
            resource_id: resource.to_owned(),
            resource_name: name.to_owned(),
            arn: arn.to_owned(),
            tags: BTreeMap::new(),
            configuration: Value::Null,
        });
    }
    let directory = ConfigAggregator::new(local.clients.config(), Some(AGGREGATOR.to_owned()));
    let mark = local.cloud.journal().mark();
    holds(&directory).await;
    assert_eq!(local.calls("config", mark), ["BatchGetAggregateResourceConfig"], "nothing is asked about nothing");

    let many: Vec<_> = (0..150).map(|n| id("eu-west-1", &format!("cluster-{n}"))).collect();
    let mark = local.cloud.journal().mark();
    assert_eq!(directory.look_up(&many).await.unwrap().len(), 2);
    assert_eq!(local.calls("config", mark).len(), 2);

    let none = ConfigAggregator::new(local.clients.config(), None);
    let mark = local.cloud.journal().mark();
    assert_eq!(none.look_up(&many).await.unwrap(), BTreeMap::new());
    assert_eq!(local.calls("config", mark), Vec::<String>::new(), "without an aggregator nobody is asked");

    let code = "NoSuchConfigurationAggregatorException";
    local.cloud.fail_next("config", "BatchGetAggregateResourceConfig", 400, code, "no such aggregator", 1);
    let error = directory.look_up(&many).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_deref()), (PortErrorKind::NotFound, Some(code)), "{error}");
    assert_eq!(local.cloud.stop(), []);
}
