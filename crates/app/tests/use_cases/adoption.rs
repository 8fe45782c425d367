//! An existing StackSet that was not created by this application.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use app::deploy::FrameworkOutcome;
use domain::notice::Notice;
use domain::rollout::{
    DetailedStatus, Instance, InstanceStatus, ObservedInstance, ObservedStackSet, Operation, Parameters,
    PermissionModel,
};
use framework::ids::{AccountId, RegionName};
use testkit::world::{FakeStackSet, World};

use crate::deploy::{mutations, name, outcome, push_seen, settle};
use crate::policy::{FRAMEWORK, ONE, THREE, TWO, policy};
use crate::units;

/// A StackSet in three accounts and two Regions, each with an override that no list returns.
fn theirs() -> FakeStackSet {
    let places =
        [ONE, TWO, THREE].iter().flat_map(|account| ["us-east-1", "eu-west-1"].map(|region| (account, region)));
    let found = ObservedInstance {
        status: InstanceStatus::Current,
        detailed: DetailedStatus::Succeeded,
        reason: None,
        overrides: Some(Arc::new(Parameters::from([("MinimumRetentionDays".into(), "7".into())]))),
        unit: None,
    };
    FakeStackSet {
        observed: ObservedStackSet {
            id: "backup-compliance:1".into(),
            tags: BTreeMap::from([("team".into(), "platform".into())]),
            ..ObservedStackSet::default()
        },
        template: "Resources: {}".into(),
        instances: places
            .map(|(account, region)| {
                let at = Instance {
                    account: AccountId::parse(account).unwrap(),
                    region: RegionName::parse(region).unwrap(),
                };
                (at, found.clone())
            })
            .collect(),
        auto_targets: BTreeMap::new(),
        operations: BTreeMap::new(),
    }
}

fn adopting(policy: &str) -> String {
    policy.replace("    targets:", "    adopt: true\n    targets:")
}

fn world(stack_set: FakeStackSet, policy: &str) -> World {
    let world = World::new();
    world.state().stack_sets.insert(name(), stack_set);
    world.push("Ours", &[("backup-compliance.yaml", Some(policy)), ("framework.yaml", Some(FRAMEWORK))]);
    world
}

fn untouched(world: &World) -> bool {
    let state = world.state();
    let found = &state.stack_sets[&name()];
    found.instances == theirs().instances && found.operations.is_empty()
}

#[tokio::test(flavor = "current_thread")]
async fn foreign_stack_set_is_kept_without_adopt() {
    let world = world(theirs(), &policy(&[ONE, TWO], None));
    let seen = push_seen(&world).await.unwrap();
    let [fault] = seen.rejected.as_slice() else { panic!("{seen:?}") };
    assert!(fault.starts_with("backup-compliance.yaml:3:5: a StackSet `backup-compliance` exists already"), "{fault}");
    assert!(fault.contains("`adopt: true`"), "{fault}");
    assert!(matches!(world.take_notices().as_slice(), [Notice::PolicyRejected(_)]));
    assert!(untouched(&world) && mutations(&world).is_empty());
}

#[tokio::test(flavor = "current_thread")]
async fn adoption_keeps_desired_instances() {
    let world = world(theirs(), &adopting(&policy(&[ONE, TWO], Some("90"))));
    let seen = push_seen(&world).await.unwrap();
    assert_eq!(seen.rejected, Vec::<String>::new());
    settle(&world).await;
    assert_eq!(
        mutations(&world),
        ["UpdateStackSet", "DeleteStackInstances", "UpdateStackSet", "UpdateStackInstances", "UpdateStackInstances"],
        "managed execution, who has left, the definition, the overrides of each target"
    );
    {
        let state = world.state();
        let found = &state.stack_sets[&name()];
        assert_eq!(found.observed.owner.as_deref(), Some("backup-policy@main"));
        assert_eq!(found.observed.tags, theirs().observed.tags, "the tags of others are kept");
        assert!(found.observed.managed_execution);
        assert_eq!(found.template, FRAMEWORK);
        let deleted: BTreeSet<String> = found
            .operations
            .values()
            .filter(|(_, operation)| matches!(operation, Operation::DeleteInstances { .. }))
            .flat_map(|(_, operation)| operation.targets().unwrap().accounts.iter().map(ToString::to_string))
            .collect();
        assert_eq!(deleted, BTreeSet::from([THREE.to_owned()]));
        for (instance, found) in &found.instances {
            let days = found.overrides.as_ref().unwrap().get("MinimumRetentionDays").map(String::as_str);
            assert_eq!(days, (instance.account.as_str() == TWO).then_some("90"), "{instance}");
        }
        assert_eq!(found.instances.len(), 4);
    }
    let notices = world.take_notices();
    let [Notice::RolloutSucceeded(report)] = notices.as_slice() else { panic!("{notices:?}") };
    assert_eq!((report.created, report.deleted, report.verdict.succeeded), (0, 2, 4));

    // Unknown overrides are set once: from then on they are known.
    assert_eq!(outcome(&units::full(&world).await), &FrameworkOutcome::Unchanged);
    assert_eq!(mutations(&world), Vec::<&str>::new());
}

#[tokio::test(flavor = "current_thread")]
async fn stack_set_of_other_policy_is_never_adopted() {
    let mut stack_set = theirs();
    stack_set.observed.owner = Some("other-policy@main".into());
    let world = world(stack_set, &adopting(&policy(&[ONE, TWO], None)));
    let seen = push_seen(&world).await.unwrap();
    let [fault] = seen.rejected.as_slice() else { panic!("{seen:?}") };
    assert!(fault.contains("belongs to the policy `other-policy@main`"), "{fault}");
    assert!(untouched(&world) && mutations(&world).is_empty());
}

#[tokio::test(flavor = "current_thread")]
async fn stack_set_with_other_permissions_is_not_adopted() {
    let world = world(theirs(), &adopting(&units::policy(&[units::UNIT], &[])));
    units::members(&world, units::UNIT, &[ONE]);
    let seen = push_seen(&world).await.unwrap();
    let [fault] = seen.rejected.as_slice() else { panic!("{seen:?}") };
    assert!(fault.contains("has self-managed permissions, and the targets are organizational units"), "{fault}");

    let mut stack_set = theirs();
    stack_set.observed.permissions = PermissionModel::ServiceManaged;
    let world = self::world(stack_set, &adopting(&policy(&[ONE], None)));
    let seen = push_seen(&world).await.unwrap();
    let [fault] = seen.rejected.as_slice() else { panic!("{seen:?}") };
    assert!(fault.contains("has service-managed permissions, and the targets are accounts"), "{fault}");
    assert!(untouched(&world) && mutations(&world).is_empty());
}

/// Overrides that were applied before do not describe a StackSet that was created by hand since.
#[tokio::test(flavor = "current_thread")]
async fn recreated_stack_set_is_foreign() {
    let adopting = adopting(&policy(&[ONE, TWO], None));
    let world = world(theirs(), &adopting);
    push_seen(&world).await.unwrap();
    settle(&world).await;
    mutations(&world);
    world.state().stack_sets.insert(name(), theirs());
    units::full(&world).await;
    settle(&world).await;
    let state = world.state();
    let instances = &state.stack_sets[&name()].instances;
    assert!(instances.values().all(|found| found.overrides.as_ref().unwrap().is_empty()), "{instances:?}");
}
