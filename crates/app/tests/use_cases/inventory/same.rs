//! A document read from a world that holds a document equals it, and evaluates equally.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _};

use evaluation::inventory::Inventory;
use evaluation::inventory::document::Document;
use evaluation::{ControlQuery, Evaluator, Subject};
use framework::control;
use testkit::world::{FakeLocation, World};

use super::generated::{Dice, any_document};
use super::{LocationKey, all, location};

/// A world that holds a document.
fn world_of(document: &Document, dice: &mut Dice) -> World {
    let world = World::new();
    let mut locations: BTreeMap<LocationKey, FakeLocation> = BTreeMap::new();
    for location in &document.locations {
        let of = locations.entry((location.account.clone(), location.region.clone())).or_default();
        of.opt_in.clone_from(&location.opt_in);
        of.lists_locks = dice.one_in(2);
    }
    for resource in &document.resources {
        locations.get_mut(&location(&resource.account, &resource.region)).unwrap().resources.push(resource.clone());
    }
    for plan in &document.plans {
        locations.get_mut(&(plan.account.clone(), plan.region.clone())).unwrap().plans.push(plan.clone());
    }
    for vault in &document.vaults {
        locations.get_mut(&(vault.account.clone(), vault.region.clone())).unwrap().vaults.push(vault.clone());
    }
    for point in &document.recovery_points {
        let of = locations.get_mut(&(point.account.clone(), point.region.clone())).unwrap();
        of.recovery_points.push(point.clone());
    }
    world.state().backup.locations = locations;
    world
}

/// The text of every item, without order.
fn sorted(document: &Document) -> Vec<String> {
    let value = serde_json::to_value(document).unwrap();
    let mut texts = Vec::new();
    for (list, items) in value.as_object().unwrap() {
        match items.as_array() {
            Some(items) => texts.extend(items.iter().map(|item| format!("{list}: {item}"))),
            None => texts.push(format!("{list}: {items}")),
        }
    }
    texts.sort();
    texts
}

fn judged(document: &Document, asked: &[ControlQuery]) -> Vec<String> {
    let inventory = Inventory::read("inventory.json", &serde_json::to_string(document).unwrap()).unwrap();
    let mut signs = Vec::new();
    Evaluator::new(&inventory, asked).each(|judgement| {
        let id = match judgement.subject {
            Subject::Resource(resource) => resource.arn().to_owned(),
            Subject::Plan(plan) => format!("{}/{}/{}", plan.account, plan.region, plan.id),
            Subject::Vault(vault) => format!("{}/{}/{}", vault.account, vault.region, vault.name),
            Subject::RecoveryPoint(point) => point.arn.clone(),
        };
        let sign = super::world::sign(&judgement.result);
        signs.push(format!("{} {id} {sign}", judgement.query_index));
    });
    signs.sort();
    signs
}

#[tokio::test]
async fn read_inventory_equals_and_evaluates_like_source() {
    let new = std::collections::hash_map::RandomState::new().build_hasher().finish();
    let asked: Vec<ControlQuery> = control::CONTROLS.iter().map(ControlQuery::everything).collect();
    let (mut resources, mut judgements, mut restored, mut keys) = (0, 0, 0, 0);
    for seed in (0..300).chain((0..300).map(|seed| new.wrapping_add(seed))) {
        let mut dice = Dice(seed);
        let mut document = any_document(&mut dice);
        for (number, selection) in document.plans.iter_mut().flat_map(|plan| &mut plan.selections).enumerate() {
            selection.id = format!("selection-{number}");
        }
        for (number, point) in document.recovery_points.iter_mut().enumerate().filter(|(number, _)| number % 2 == 0) {
            point.tags.insert("number".to_owned(), number.to_string());
        }
        // The durations of latest restores are read instead of jobs, and keys only for types that need copies in
        // air-gapped vaults.
        document.restores.clear();
        let types = control::find("RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT").unwrap().resource_types;
        for resource in document.resources.iter_mut().filter(|it| !types.contains(&it.kind.as_str())) {
            resource.aws_managed_key = None;
        }
        restored += document.resources.iter().filter(|it| it.latest_restore_minutes.is_some()).count();
        keys += document.resources.iter().filter(|it| it.aws_managed_key.is_some()).count();
        let world = world_of(&document, &mut dice);
        let read = all(&world).await;
        assert_eq!(read.failures, [], "seed {seed}");
        assert_eq!(sorted(&read.document), sorted(&document), "seed {seed}");
        let (of_read, of_document) = (judged(&read.document, &asked), judged(&document, &asked));
        assert_eq!(of_read, of_document, "seed {seed}");
        resources += document.resources.len();
        judgements += of_read.len();
        // The JSON is a valid document.
        let text = serde_json::to_string(&read.document).unwrap();
        Inventory::read("inventory.json", &text).unwrap();
    }
    assert!(resources > 600 && judgements > 3000, "the generator has run dry: {resources} {judgements}");
    assert!(restored > 100 && keys > 100, "the generator has run dry: {restored} {keys}");
}
