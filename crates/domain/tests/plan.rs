//! Plans through the public API: waves, scopes, unreadable templates.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot set itself up has failed; helpers of tests are no tests to the linter"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::policy::{ConcurrencyMode, CountOrPercentage, RegionConcurrency, RolloutSettings};
use domain::rollout::plan::{ActionReason, DefinitionChange, InstanceAction, RolloutPlan, Waves};
use domain::rollout::{
    Desired, DesiredInstance, DetailedStatus, Instance, InstanceStatus, Membership, Observed, ObservedInstance,
    ObservedStackSet, Parameters, Permissions,
};
use framework::ids::{AccountId, RegionName, StackSetName};

const OWNER: &str = "policy@main";
const REGIONS: [&str; 10] = [
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-central-1",
    "eu-north-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ca-central-1",
];

fn region(name: &str) -> RegionName {
    RegionName::parse(name).unwrap()
}

/// A framework with one control of this scope.
fn template(scope: &str) -> String {
    format!(
        "Resources:\n  F:\n    Type: AWS::Backup::Framework\n    Properties:\n      FrameworkControls:\n        - ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN\n{scope}"
    )
}

fn desired(accounts: usize, regions: usize) -> Desired {
    let wanted = DesiredInstance::from(Parameters::new());
    let account = |number: usize| AccountId::parse(&format!("{number:012}")).unwrap();
    let instances = (0..accounts).flat_map(|number| {
        let wanted = wanted.clone();
        REGIONS[..regions]
            .iter()
            .map(move |name| (Instance { account: account(number), region: region(name) }, wanted.clone()))
    });
    Desired {
        name: StackSetName::parse("fleet").unwrap(),
        template: template(""),
        capabilities: Vec::new(),
        parameters: Parameters::new(),
        permissions: Permissions::SelfManaged,
        adopt: false,
        instances: instances.collect(),
        skipped: BTreeMap::new(),
        rollout: RolloutSettings::default(),
    }
}

/// Everything in the desired state.
fn deployed(desired: &Desired) -> Observed {
    let none = Arc::<Parameters>::default();
    let current = |instance: &Instance| {
        let found = ObservedInstance {
            status: InstanceStatus::Current,
            detailed: DetailedStatus::Succeeded,
            reason: None,
            overrides: Some(Arc::clone(&none)),
            unit: None,
        };
        (instance.clone(), found)
    };
    Observed {
        stack_set: Some(ObservedStackSet {
            owner: Some(OWNER.into()),
            definition: Some(desired.definition_digest()),
            managed_execution: true,
            template: Some(desired.template.clone()),
            ..ObservedStackSet::default()
        }),
        instances: desired.instances.keys().map(current).collect(),
        auto_targets: BTreeMap::new(),
    }
}

fn plan(desired: &Desired, observed: &Observed) -> RolloutPlan {
    RolloutPlan::new(desired, observed, OWNER, &Membership::default())
}

#[test]
fn waves_follow_concurrency_and_tolerance() {
    let (soft, strict) = (ConcurrencyMode::Soft, ConcurrencyMode::Strict);
    let (count, percent) = (CountOrPercentage::Count, CountOrPercentage::Percentage);
    let (parallel, sequential) = (RegionConcurrency::Parallel, RegionConcurrency::Sequential);
    let (one, other) = (region("eu-west-1"), region("us-east-1"));
    for (most, tolerance, mode, regions, accounts, expected) in [
        (percent(100), percent(10), soft, parallel, (1_000, 10), 1),
        (percent(100), percent(10), soft, sequential, (1_000, 10), 2),
        // The defaults of the API: one account at a time.
        (count(1), count(0), strict, parallel, (1_000, 10), 1_000),
        (count(1), count(0), strict, sequential, (1_000, 10), 1_010),
        // AWS's worked example: 1,000 accounts, tolerance 100, 250 at a time; strictly that is 101.
        (count(250), count(100), soft, parallel, (1_000, 0), 4),
        (count(250), count(100), strict, parallel, (1_000, 0), 10),
        // Rounded down, but never to nothing.
        (percent(15), percent(0), soft, parallel, (10, 0), 10),
        (percent(25), percent(0), soft, parallel, (10, 0), 5),
        (percent(5), percent(0), soft, parallel, (10, 0), 10),
        (percent(50), percent(19), strict, parallel, (10, 0), 5),
        (count(7), count(9), soft, parallel, (0, 0), 0),
    ] {
        let settings = RolloutSettings {
            max_concurrency: most,
            failure_tolerance: tolerance,
            mode,
            regions,
            region_order: Vec::new(),
        };
        let waves = Waves::new(&BTreeMap::from([(&one, accounts.0), (&other, accounts.1)]), &settings);
        assert_eq!(waves.total, expected, "{settings:?} {accounts:?} {waves:?}");
    }
}

#[test]
fn changes_of_scope_resource_and_name_are_described() {
    let scope = "          ControlScope: { ComplianceResourceTypes: [EBS, EC2] }\n";
    let mut desired = desired(1, 1);
    desired.template = template(scope);
    let mut observed = deployed(&desired);
    let old = observed.stack_set.as_mut().unwrap();
    old.definition = None;
    old.template = Some(format!("{}  Old:\n    Type: AWS::SNS::Topic\n", template("")));
    let changes: Vec<String> =
        plan(&desired, &observed).framework.changes.iter().map(DefinitionChange::description).collect();
    assert_eq!(
        changes,
        [
            "control BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN evaluates resources of the types EBS, EC2, not all resources any more",
            "resource `Old` (AWS::SNS::Topic) is removed",
        ]
    );
    let tagged = "          ControlScope: { Tags: [{ Key: stage, Value: prod }] }\n      FrameworkName: new\n";
    desired.template = template(tagged);
    observed.stack_set.as_mut().unwrap().template = Some(template(scope));
    let changes: Vec<String> =
        plan(&desired, &observed).framework.changes.iter().map(DefinitionChange::description).collect();
    assert!(changes[0].contains("renamed from a generated name to `new`"), "{changes:?}");
    assert!(changes[1].contains("evaluates resources with the tag `stage` = `prod`"), "{changes:?}");
    assert_eq!(changes.len(), 2);
}

#[test]
fn unreadable_or_invisible_changes_are_reported() {
    let desired = desired(1, 1);
    let mut observed = deployed(&desired);
    assert!(plan(&desired, &observed).framework.is_empty());
    observed.stack_set.as_mut().unwrap().definition = None;
    assert_eq!(plan(&desired, &observed).framework.changes, [DefinitionChange::Invisible]);
    observed.stack_set.as_mut().unwrap().template = Some(format!("# old\n{}", template("")));
    assert_eq!(plan(&desired, &observed).framework.changes, [DefinitionChange::Layout]);
    for unreadable in [Some("no: template".to_owned()), None] {
        observed.stack_set.as_mut().unwrap().template = unreadable;
        let plan = plan(&desired, &observed);
        assert!(plan.framework.unreadable.is_some() && plan.framework.changes.is_empty());
        assert_eq!(plan.instances.update, 1);
    }
}

#[test]
fn unworkable_instances_are_skipped_or_retained() {
    let mut desired = desired(3, 1);
    let mut observed = deployed(&desired);
    let keys: Vec<Instance> = desired.instances.keys().cloned().collect();
    for (key, detailed) in keys.iter().zip([DetailedStatus::Inoperable, DetailedStatus::SkippedSuspendedAccount]) {
        let found = observed.instances.get_mut(key).unwrap();
        (found.status, found.detailed) = (InstanceStatus::Inoperable, detailed);
    }
    let fates = |plan: &RolloutPlan| -> Vec<(InstanceAction, Vec<ActionReason>)> {
        plan.groups.iter().map(|group| (group.action, group.reasons.iter().copied().collect())).collect()
    };
    let wanted = plan(&desired, &observed);
    let skip = |because| (InstanceAction::Skip, vec![because]);
    let keep = (InstanceAction::Keep, vec![]);
    assert_eq!(fates(&wanted), [skip(ActionReason::Inoperable), skip(ActionReason::Suspended), keep.clone()]);
    assert!(!wanted.is_change());
    desired.instances.retain(|instance, _| *instance == keys[2]);
    let left = plan(&desired, &observed);
    let retain = |because| (InstanceAction::Retain, vec![ActionReason::NotDesired, because]);
    assert_eq!(fates(&left), [retain(ActionReason::Inoperable), retain(ActionReason::Suspended), keep]);
    assert_eq!((left.operations.len(), left.operations[0].instances), (1, 2));
}
