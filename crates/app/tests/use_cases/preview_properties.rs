//! The new violations of a preview are exactly those that `report` opens after the simulated rollout, if AWS Config finds what the
//! evaluator finds.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use app::deploy::{PolicyFiles, PolicySource};
use app::events::DeployTrigger;
use app::in_force::today;
use app::ports::Clock as _;
use app::preview::{PolicyState, preview};
use app::queries::ControlQueries;
use app::sweep::Sweep;
use app::violations::ResourceId;
use domain::cost::Prices;
use domain::violation::{ResourceDetails, ViolationKey, ViolationStatus};
use evaluation::inventory::Inventory;
use evaluation::inventory::document::Document;
use evaluation::{ComplianceResult, ControlQuery, Evaluator, Subject};
use framework::control::CONTROLS;
use framework::ids::CommitId;
use testkit::deploy::{EVENT_BUS, POLICY_FILE};
use testkit::scenario::{batch, report};
use testkit::world::World;

use crate::deploy::deploy;
use crate::inventory::generated::{Dice, any_document, any_parameters};
use crate::inventory::world::as_of;

/// Control, account, Region, and ARN or id of the item.
type Violation = (String, String, String, String);

/// A policy with some controls in all locations of a document, and sometimes an exemption.
fn any_policy(dice: &mut Dice, document: &Document) -> [(&'static str, String); 2] {
    let controls = CONTROLS.iter().filter(|_| dice.one_in(3)).collect::<Vec<_>>();
    let controls = controls.into_iter().map(|control| {
        let parameters = any_parameters(dice, control.name).into_iter();
        let parameters: Vec<Value> =
            parameters.map(|(name, value)| json!({ "ParameterName": name, "ParameterValue": value })).collect();
        json!({ "ControlName": control.name, "ControlInputParameters": parameters })
    });
    let mut controls: Vec<Value> = controls.collect();
    if controls.is_empty() {
        controls.push(json!({ "ControlName": "BACKUP_RECOVERY_POINT_ENCRYPTED" }));
    }
    let framework = json!({ "Type": "AWS::Backup::Framework", "Properties": { "FrameworkControls": controls } });
    let accounts: BTreeSet<&str> = document.locations.iter().map(|location| location.account.as_str()).collect();
    let regions: BTreeSet<&str> = document.locations.iter().map(|location| location.region.as_str()).collect();
    let targets = json!([{ "accounts": accounts, "regions": regions }]);
    let mut policy = json!({
        "version": 1,
        "frameworks": [{ "name": "org-backup", "template": "framework.yaml", "targets": targets }],
    });
    if dice.one_in(2) {
        policy["exemptions"] = json!([{
            "control": "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN", "resources": [dice.pick(&["arn:aws:ec2:*", "*a", "*"])],
            "reason": "generated", "owner": "data@example.com", "until": "2099-01-31",
        }]);
    }
    [
        ("framework.yaml", json!({ "Resources": { "Framework": framework } }).to_string()),
        (POLICY_FILE, policy.to_string()),
    ]
}

/// Pushes a policy and rolls it out; `None` if it is rejected.
async fn rolled_out(world: &World, files: &[(&'static str, String)]) -> Option<(CommitId, PolicyFiles)> {
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, Some(text.as_str()))).collect();
    let commit = world.push("change", &files);
    if !deploy(world).handle(&[DeployTrigger::Push]).await.unwrap().rejected.is_empty() {
        return None;
    }
    while world.end_operations() > 0 {
        deploy(world).handle(&[DeployTrigger::OperationEnded("org-backup".to_owned())]).await.unwrap();
    }
    let source = PolicySource { commit: &commit, policy_file: POLICY_FILE, event_bus_arn: EVENT_BUS };
    let files = source.read_files(world).await.unwrap();
    Some((commit, files))
}

/// AWS Config evaluates everything by the policy, and `report` receives the changes. Returns the items by violation.
async fn evaluated(
    world: &World,
    files: &PolicyFiles,
    inventory: &Inventory,
    at: Timestamp,
) -> BTreeMap<ViolationKey, Violation> {
    let queries = ControlQueries::of_policy(files.desired.as_ref().unwrap(), &files.templates).unwrap();
    let queries = queries.over(inventory).unwrap();
    let mut results: BTreeMap<ViolationKey, (bool, Violation)> = BTreeMap::new();
    for group in &queries.groups {
        let asked: Vec<ControlQuery> = group.asked.clone();
        Evaluator::new(inventory, &asked).each(|evaluation| {
            let (account, region, kind) = evaluation.location(inventory).unwrap();
            let is_broken = match evaluation.result {
                ComplianceResult::Undecided(_) => return,
                ComplianceResult::Compliant(_) => false,
                ComplianceResult::NotCompliant(_) => true,
            };
            if !group.applies(Some(account), Some(region)) {
                return;
            }
            let key = ViolationKey {
                resource_id: evaluation.subject.id().to_owned(),
                account: account.clone(),
                region: region.clone(),
                control: evaluation.query.control.name.to_owned(),
                resource_type: kind.to_owned(),
            };
            let shown = match evaluation.subject {
                Subject::Resource(resource) => {
                    let details =
                        ResourceDetails { name: None, arn: Some(resource.arn().to_owned()), tags: BTreeMap::new() };
                    let id = ResourceId {
                        account: account.clone(),
                        region: region.clone(),
                        kind: kind.to_owned(),
                        id: key.resource_id.clone(),
                    };
                    world.state().resources.insert(id, details);
                    resource.arn().to_owned()
                }
                _ => key.resource_id.clone(),
            };
            let violation = (key.control.clone(), account.to_string(), region.to_string(), shown);
            let result = results.entry(key).or_insert((is_broken, violation));
            result.0 |= is_broken;
        });
    }
    let events: Vec<Value> = results.iter().map(|(key, (is_broken, _))| event(key, *is_broken, at)).collect();
    for events in events.chunks(10) {
        let summary = report(world, Duration::ZERO).handle(&batch(events)).await;
        assert_eq!(summary.failures, Vec::<String>::new());
    }
    results.into_iter().map(|(key, (_, violation))| (key, violation)).collect()
}

fn event(key: &ViolationKey, is_broken: bool, at: Timestamp) -> Value {
    let rule = key.control.strip_prefix("BACKUP_").unwrap_or(&key.control);
    json!({
        "source": "aws.config", "detail-type": "Config Rules Compliance Change", "account": key.account, "region": key.region,
        "time": at.to_string(),
        "detail": {
            "messageType": "ComplianceChangeNotification", "awsAccountId": key.account, "awsRegion": key.region,
            "configRuleName": format!("{rule}-1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d"),
            "configRuleARN": format!("arn:aws:config:{}:{}:config-rule/aws-service-rule/backup.amazonaws.com/config-rule-ab12cd", key.region, key.account),
            "resourceType": key.resource_type, "resourceId": key.resource_id,
            "newEvaluationResult": {
                "evaluationResultIdentifier": { "orderingTimestamp": at.to_string() },
                "complianceType": if is_broken { "NON_COMPLIANT" } else { "COMPLIANT" },
                "resultRecordedTime": at.to_string(),
            },
            "notificationCreationTime": at.to_string(),
        },
    })
}

/// The open violations that are not exempt.
fn open(world: &World) -> BTreeSet<ViolationKey> {
    let state = world.state();
    let records = state.violations.values().map(|record| &record.value);
    let open = records.filter(|record| record.status == ViolationStatus::Open && record.exemption.is_none());
    open.map(|record| record.key.clone()).collect()
}

#[tokio::test]
async fn predicted_violations_are_those_that_open() {
    let fresh = std::collections::hash_map::RandomState::new().build_hasher().finish();
    let (mut compared, mut new, mut exempt) = (0, 0, 0);
    for seed in (0..150).chain((0..150).map(|seed| fresh.wrapping_add(seed))) {
        let mut dice = Dice(seed);
        let document = any_document(&mut dice);
        let (before, after) = (any_policy(&mut dice, &document), any_policy(&mut dice, &document));
        let inventory = Inventory::read("inventory.json", &serde_json::to_string(&document).unwrap()).unwrap();
        let world = World::new();
        world.state().now = as_of();
        let Some((old, old_files)) = rolled_out(&world, &before).await else { continue };
        evaluated(&world, &old_files, &inventory, as_of() - SignedDuration::from_hours(2)).await;
        let open_before = open(&world);
        let Some((commit, files)) = rolled_out(&world, &after).await else { continue };
        let states = (
            PolicyState::new(old.as_str(), Some(old_files), today(world.now())),
            PolicyState::new(commit.as_str(), Some(files.clone()), today(world.now())),
        );
        let prices = Prices::of_this_version().unwrap();
        let predicted = preview(states.0, states.1, Some(&inventory), &prices, world.now()).unwrap();
        let predicted = predicted.violations.unwrap();

        let items = evaluated(&world, &files, &inventory, as_of() - SignedDuration::from_hours(1)).await;
        // It ends exemptions that have left the policy.
        let sweep = Sweep::<World> {
            store: world.clone(),
            channels: world.clone(),
            resources: world.clone(),
            source: world.clone(),
            organization: world.clone(),
            clock: world.clone(),
        };
        sweep.run(|| None).await.unwrap();
        let opened: BTreeSet<Violation> = open(&world).difference(&open_before).map(|key| items[key].clone()).collect();
        let expected: BTreeSet<Violation> = predicted
            .new
            .iter()
            .map(|one| {
                let location = (one.account.to_string(), one.region.to_string());
                (one.control.to_owned(), location.0, location.1, one.resource.clone())
            })
            .collect();
        assert_eq!(opened, expected, "seed {seed}\nbefore {before:?}\nafter {after:?}");
        compared += 1;
        new += expected.len();
        exempt += predicted.counts.exempt;
    }
    assert!(compared > 150 && new > 300 && exempt > 20, "{compared} pairs, {new} new, {exempt} exempt");
}
