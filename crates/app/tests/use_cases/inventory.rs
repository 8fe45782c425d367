//! Inventories of a fake organization: the document equals its state, and unread parts are exactly those of failed
//! calls.

#[path = "../../../evaluation/tests/evaluation/generated.rs"]
pub(crate) mod generated;
#[path = "../../../evaluation/tests/evaluation/naive.rs"]
#[expect(dead_code, reason = "its schedules are needed only")]
mod naive;
mod reading;
mod renewal;
mod resuming;
mod same;
#[path = "../../../evaluation/tests/evaluation/world.rs"]
#[expect(dead_code, reason = "the tests of the evaluator need more of it")]
pub(crate) mod world;

use std::collections::BTreeSet;

use app::inventory::{CompletedRead, InventoryError, InventoryOutcome, InventoryScope, ReadOptions, read};
use evaluation::inventory::document::{Plan, Resource, Vault, VaultKind};
use framework::ids::{AccountId, RegionName};
use testkit::world::{FakeLocation, World};

pub(crate) type LocationKey = (AccountId, RegionName);

pub(crate) fn location(account: &str, region: &str) -> LocationKey {
    (AccountId::parse(account).unwrap(), RegionName::parse(region).unwrap())
}

pub(crate) fn options() -> ReadOptions {
    ReadOptions { scope: InventoryScope::default(), jobs: 4 }
}

/// Reads everything except `earlier` reads, and returns the stored reads too.
pub(crate) async fn go_on(
    world: &World,
    options: &ReadOptions,
    earlier: Vec<CompletedRead>,
    kept: &mut Vec<CompletedRead>,
) -> Result<InventoryOutcome, InventoryError> {
    let keep = |part: &CompletedRead| {
        kept.push(part.clone());
        Ok(())
    };
    read(world, Some(world), options, (world::as_of(), earlier), keep, |_| ()).await
}

pub(crate) async fn all(world: &World) -> InventoryOutcome {
    go_on(world, &options(), Vec::new(), &mut Vec::new()).await.unwrap()
}

pub(crate) async fn without_role(world: &World) -> InventoryOutcome {
    let began = (world::as_of(), Vec::new());
    read(world, None::<&World>, &options(), began, |_| Ok(()), |_| ()).await.unwrap()
}

/// Two accounts with two Regions each; in each a table that was restored, a plan that selects it by its tag, and a vault with a policy.
pub(crate) fn organization() -> World {
    let world = World::new();
    for account in ["111122223333", "444455556666"] {
        for region in ["eu-west-1", "us-east-1"] {
            let (account, region) = location(account, region);
            let location = some_place(&account, &region);
            world.state().backup.locations.insert((account, region), location);
        }
    }
    world
}

fn some_place(account: &AccountId, region: &RegionName) -> FakeLocation {
    let mut selection = world::selection(&[], &[], &["backup=daily"]);
    selection.id = "selection-1".to_owned();
    let plan = Plan {
        id: "plan-1".to_owned(),
        account: account.clone(),
        region: region.clone(),
        tags: [("owner".to_owned(), "ada".to_owned())].into(),
        ..world::plan(vec![selection])
    };
    let vault = Vault {
        account: account.clone(),
        region: region.clone(),
        kind: VaultKind::Ordinary,
        policy: Some(serde_json::json!({"Version": "2012-10-17", "Statement": []})),
        ..world::vault("daily")
    };
    let table = Resource {
        arn: format!("arn:aws:dynamodb:{region}:{account}:table/carts"),
        account: account.to_string(),
        region: region.to_string(),
        latest_restore_minutes: Some(30),
        ..world::resource("table/carts", &["backup=daily"])
    };
    let opt_in = world::SERVICES.iter().map(|service| ((*service).to_owned(), true)).collect();
    FakeLocation { opt_in, resources: vec![table], plans: vec![plan], vaults: vec![vault], ..FakeLocation::default() }
}

/// Calls by operation.
pub(crate) fn counted(calls: &[&'static str]) -> Vec<(&'static str, usize)> {
    let names: BTreeSet<&str> = calls.iter().copied().collect();
    names.into_iter().map(|name| (name, calls.iter().filter(|call| **call == name).count())).collect()
}
