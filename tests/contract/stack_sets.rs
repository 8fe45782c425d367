//! `StackSets`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use app::ports::{Accepted, PortErrorKind, StackSets};
use aws::CloudFormationStackSets;
use domain::ids::{AccountId, RegionName, StackSetName};
use domain::policy::Rollout;
use domain::rollout::{
    Desired, DetailedStatus, Instance, InstanceStatus, Observed, ObservedStackSet, Operation, OperationStatus,
    Parameters,
};
use sandbox::http::Request;
use testkit::world::World;

use crate::cloud::Local;

const FRAMEWORK: &str = r#"AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  Days: { Type: String, Default: "35" }
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkName: contract
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK
          ControlInputParameters: [{ ParameterName: requiredRetentionDays, ParameterValue: !Ref Days }]
"#;

const OWNER: &str = "backup-policy@main";

fn desired(name: &str, days: &str) -> Desired {
    Desired {
        name: StackSetName::parse(name).unwrap(),
        template: FRAMEWORK.to_owned(),
        capabilities: vec!["CAPABILITY_IAM".to_owned()],
        parameters: Parameters::from([("Days".to_owned(), days.to_owned())]),
        instances: BTreeMap::new(),
        rollout: Rollout::default(),
    }
}

fn accounts() -> BTreeSet<AccountId> {
    ["111111111111", "222222222222"].map(|id| AccountId::parse(id).unwrap()).into()
}

fn regions() -> BTreeSet<RegionName> {
    ["us-east-1", "eu-west-1"].map(|name| RegionName::parse(name).unwrap()).into()
}

/// Waits until an operation has ended; `hurry` ends it where time stands still.
async fn ended(stack_sets: &impl StackSets, hurry: &impl Fn(), name: &StackSetName, id: &str) {
    hurry();
    let deadline = Instant::now() + Duration::from_secs(30);
    while stack_sets.operation(name, id).await.unwrap() != Some(OperationStatus::Ended) {
        assert!(Instant::now() < deadline, "the operation {id} does not end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn observed(stack_sets: &impl StackSets, name: &StackSetName) -> Observed {
    let stack_set = stack_sets.describe(name).await.unwrap().unwrap();
    stack_sets.observe(name, stack_set).await.unwrap()
}

fn assert_current(observed: &Observed) {
    let instances: Vec<String> = observed.instances.keys().map(ToString::to_string).collect();
    let all = ["111111111111/eu-west-1", "111111111111/us-east-1", "222222222222/eu-west-1", "222222222222/us-east-1"];
    assert_eq!(instances, all);
    for (instance, found) in &observed.instances {
        assert_eq!(
            (&found.status, &found.detailed),
            (&InstanceStatus::Current, &DetailedStatus::Succeeded),
            "{instance}"
        );
        assert_eq!(found.overrides, Parameters::new(), "{instance}: lists do not have the overrides");
    }
}

async fn nothing_is_there_and_that_is_no_error(stack_sets: &impl StackSets) {
    let name = StackSetName::parse("absent").unwrap();
    assert_eq!(stack_sets.describe(&name).await.unwrap(), None);
    stack_sets.delete(&name).await.unwrap();
    assert_eq!(stack_sets.operation(&name, "none").await.unwrap(), None);
    let stale = ObservedStackSet { id: "absent:0".to_owned(), owner: Some(OWNER.to_owned()), definition: None };
    assert_eq!(stack_sets.observe(&name, stale).await.unwrap(), Observed::default());
    let delete = Operation::DeleteInstances { accounts: accounts(), regions: regions(), retain: false };
    let refused = stack_sets.start(&name, "delete-1", &delete, None, OWNER).await.unwrap_err();
    assert_eq!(refused.kind, PortErrorKind::NotFound, "{refused}");
}

async fn the_first_to_create_owns_it(stack_sets: &impl StackSets) {
    let first = desired("owned", "35");
    stack_sets.create(&first, OWNER).await.unwrap();
    stack_sets.create(&first, OWNER).await.unwrap();
    stack_sets.create(&desired("owned", "90"), "other-policy@main").await.unwrap();
    let found = stack_sets.describe(&first.name).await.unwrap().unwrap();
    assert_eq!(found.owner.as_deref(), Some(OWNER));
    assert_eq!(found.definition, Some(first.definition_digest()));
    assert!(found.id.starts_with("owned:"), "{}", found.id);
    stack_sets.delete(&first.name).await.unwrap();
}

async fn a_whole_life(stack_sets: &impl StackSets, hurry: &impl Fn()) {
    let before = desired("life", "35");
    let name = &before.name;
    stack_sets.create(&before, OWNER).await.unwrap();
    assert_eq!(observed(stack_sets, name).await.instances, BTreeMap::new());

    let create = Operation::CreateInstances { accounts: accounts(), regions: regions(), overrides: Parameters::new() };
    assert_eq!(stack_sets.operation(name, "create-1").await.unwrap(), None);
    assert_eq!(stack_sets.start(name, "create-1", &create, Some(&before), OWNER).await.unwrap(), Accepted::Now);
    assert_eq!(stack_sets.operation(name, "create-1").await.unwrap(), Some(OperationStatus::InFlight));
    assert_eq!(stack_sets.start(name, "create-1", &create, Some(&before), OWNER).await.unwrap(), Accepted::Before);
    let busy = stack_sets.start(name, "create-2", &create, Some(&before), OWNER).await.unwrap_err();
    assert_eq!(busy.kind, PortErrorKind::Conflict, "{busy}");
    let busy = stack_sets.delete(name).await.unwrap_err();
    assert_eq!(busy.kind, PortErrorKind::Conflict, "{busy}");
    ended(stack_sets, hurry, name, "create-1").await;
    assert_eq!(stack_sets.start(name, "create-1", &create, Some(&before), OWNER).await.unwrap(), Accepted::Before);
    assert_current(&observed(stack_sets, name).await);

    let after = desired("life", "90");
    stack_sets.start(name, "update-1", &Operation::UpdateStackSet, Some(&after), OWNER).await.unwrap();
    // An answer that was lost: the same call once more, without a second operation.
    stack_sets.start(name, "update-1", &Operation::UpdateStackSet, Some(&after), OWNER).await.unwrap();
    ended(stack_sets, hurry, name, "update-1").await;
    let updated = observed(stack_sets, name).await;
    let tags = updated.stack_set.as_ref().map(|found| (found.owner.clone(), found.definition.clone()));
    assert_eq!(tags, Some((Some(OWNER.to_owned()), Some(after.definition_digest()))), "tags after an update");
    assert_current(&updated);

    let overrides = Parameters::from([("Days".to_owned(), "365".to_owned())]);
    let change = Operation::UpdateInstances {
        accounts: [AccountId::parse("222222222222").unwrap()].into(),
        regions: regions(),
        overrides,
    };
    assert_eq!(stack_sets.start(name, "change-1", &change, Some(&after), OWNER).await.unwrap(), Accepted::Now);
    ended(stack_sets, hurry, name, "change-1").await;
    assert_current(&observed(stack_sets, name).await);

    let full = stack_sets.delete(name).await.unwrap_err();
    assert_eq!(full.kind, PortErrorKind::Conflict, "{full}");
    let delete = Operation::DeleteInstances { accounts: accounts(), regions: regions(), retain: false };
    assert_eq!(stack_sets.start(name, "delete-1", &delete, None, OWNER).await.unwrap(), Accepted::Now);
    ended(stack_sets, hurry, name, "delete-1").await;
    assert_eq!(observed(stack_sets, name).await.instances, BTreeMap::new());
    stack_sets.delete(name).await.unwrap();
    assert_eq!(stack_sets.describe(name).await.unwrap(), None);
    stack_sets.delete(name).await.unwrap();
}

async fn holds(stack_sets: &impl StackSets, hurry: &impl Fn()) {
    nothing_is_there_and_that_is_no_error(stack_sets).await;
    the_first_to_create_owns_it(stack_sets).await;
    a_whole_life(stack_sets, hurry).await;
}

#[tokio::test]
async fn the_fake_holds_the_contract() {
    let world = World::new();
    holds(&world, &|| {
        world.end_operations();
    })
    .await;
}

#[tokio::test]
async fn the_fake_tells_of_a_failed_instance_as_stack_sets_do() {
    let world = World::new();
    world.state().broken.insert("222222222222/eu-west-1".to_owned(), "role not found".to_owned());
    let hurry = || {
        world.end_operations();
    };
    a_failure_shows(&world, &hurry).await;
}

/// One instance cannot be deployed: it is outdated, with the reason, and the others are current.
async fn a_failure_shows(stack_sets: &impl StackSets, hurry: &impl Fn()) {
    let wanted = desired("failing", "35");
    stack_sets.create(&wanted, OWNER).await.unwrap();
    let create = Operation::CreateInstances { accounts: accounts(), regions: regions(), overrides: Parameters::new() };
    stack_sets.start(&wanted.name, "create-1", &create, Some(&wanted), OWNER).await.unwrap();
    ended(stack_sets, hurry, &wanted.name, "create-1").await;
    let found = observed(stack_sets, &wanted.name).await;
    let broken = Instance {
        account: AccountId::parse("222222222222").unwrap(),
        region: RegionName::parse("eu-west-1").unwrap(),
    };
    assert_eq!(found.instances.values().filter(|found| found.status == InstanceStatus::Current).count(), 3);
    let broken = &found.instances[&broken];
    assert_eq!((&broken.status, &broken.detailed), (&InstanceStatus::Outdated, &DetailedStatus::Failed));
    assert_eq!(broken.reason.as_deref(), Some("role not found"));
}

#[tokio::test]
async fn the_adapter_holds_the_contract() {
    let local = Local::start().await;
    let made = local.client().send("s3", Request::new("PUT", "/templates")).unwrap();
    assert!(made.is_success());
    let stack_sets = CloudFormationStackSets::new(
        local.clients.cloudformation(),
        local.clients.template_bucket("templates"),
        "arn:aws:iam::000000000000:role/administration",
        "execution",
    );
    holds(&stack_sets, &|| {}).await;
    local.cloud.fail_instance("222222222222", "eu-west-1", "role not found", 1);
    a_failure_shows(&stack_sets, &|| {}).await;

    // Refusals come through whole: operation, code, message and the id to quote.
    local.cloud.fail_next("cloudformation", "DescribeStackSet", 403, "AccessDenied", "you may not", 1);
    let denied = stack_sets.describe(&StackSetName::parse("failing").unwrap()).await.unwrap_err();
    assert_eq!(denied.kind, PortErrorKind::Denied);
    assert_eq!((denied.operation, denied.code.as_deref()), ("cloudformation:DescribeStackSet", Some("AccessDenied")));
    assert_eq!(denied.message, "you may not");
    assert!(denied.request_id.as_deref().is_some_and(|id| id.len() == 36), "{denied:?}");
    assert!(denied.explained().contains("does not allow `cloudformation:DescribeStackSet`"), "{}", denied.explained());
    assert_eq!(local.cloud.stop(), []);
}

#[tokio::test]
async fn more_instances_than_fit_on_a_page_are_all_seen() {
    let local = Local::start().await;
    let stack_sets = CloudFormationStackSets::new(
        local.clients.cloudformation(),
        local.clients.template_bucket("templates"),
        "arn:aws:iam::000000000000:role/administration",
        "execution",
    );
    let wanted = desired("wide", "35");
    stack_sets.create(&wanted, OWNER).await.unwrap();
    let many = (0..60).map(|n| AccountId::parse(&format!("1000000000{n:02}")).unwrap()).collect();
    let create = Operation::CreateInstances { accounts: many, regions: regions(), overrides: Parameters::new() };
    stack_sets.start(&wanted.name, "create-1", &create, Some(&wanted), OWNER).await.unwrap();
    ended(&stack_sets, &|| {}, &wanted.name, "create-1").await;
    assert_eq!(observed(&stack_sets, &wanted.name).await.instances.len(), 120);
    assert_eq!(local.cloud.stop(), []);
}
