//! Inventories of an organisation that is a fake: what is read is what there is, and what cannot be read is named, for exactly
//! where it is missing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that cannot go on has failed, and the panic says where"
)]

#[path = "../../../domain/tests/evaluation/generated.rs"]
#[expect(dead_code, reason = "the tests of the evaluator need more of it")]
mod generated;
#[path = "../../../domain/tests/evaluation/naive.rs"]
#[expect(dead_code, reason = "its schedules are needed only")]
mod naive;
mod reading;
mod resuming;
mod same;
#[path = "../../../domain/tests/evaluation/world.rs"]
#[expect(dead_code, reason = "the tests of the evaluator need more of it")]
mod world;

use std::collections::BTreeSet;

use app::inventory::{Failure, Finished, Narrowed, Outcome, Question, read};
use domain::ids::{AccountId, RegionName};
use domain::inventory::document::{Plan, Resource, Vault, VaultKind};
use testkit::world::{FakePlace, World};

pub(crate) type PlaceKey = (AccountId, RegionName);

pub(crate) fn place(account: &str, region: &str) -> PlaceKey {
    (AccountId::parse(account).unwrap(), RegionName::parse(region).unwrap())
}

pub(crate) fn question() -> Question {
    Question { narrowed: Narrowed::default(), jobs: 4 }
}

/// Reads all, with parts that were read before; gives the parts that were kept, too.
pub(crate) async fn go_on(
    world: &World,
    question: &Question,
    earlier: Vec<Finished>,
    kept: &mut Vec<Finished>,
) -> Result<Outcome, Failure> {
    let keep = |part: &Finished| {
        kept.push(part.clone());
        Ok(())
    };
    read(world, Some(world), question, (crate::world::as_of(), earlier), keep, |_| ()).await
}

pub(crate) async fn all(world: &World) -> Outcome {
    go_on(world, &question(), Vec::new(), &mut Vec::new()).await.unwrap()
}

pub(crate) async fn without_role(world: &World) -> Outcome {
    let began = (crate::world::as_of(), Vec::new());
    read(world, None::<&World>, &question(), began, |_| Ok(()), |_| ()).await.unwrap()
}

/// Two accounts with two Regions each; in every one a table, a plan that takes it in by its tag, and a vault with a policy.
pub(crate) fn organisation() -> World {
    let world = World::new();
    for account in ["111122223333", "444455556666"] {
        for region in ["eu-west-1", "us-east-1"] {
            let (account, region) = place(account, region);
            let place = some_place(&account, &region);
            world.state().backup.places.insert((account, region), place);
        }
    }
    world
}

fn some_place(account: &AccountId, region: &RegionName) -> FakePlace {
    let mut selection = crate::world::selection(&[], &[], &["backup=daily"]);
    selection.id = "selection-1".to_owned();
    let plan = Plan {
        id: "plan-1".to_owned(),
        account: account.clone(),
        region: region.clone(),
        tags: [("owner".to_owned(), "ada".to_owned())].into(),
        ..crate::world::plan(vec![selection])
    };
    let vault = Vault {
        account: account.clone(),
        region: region.clone(),
        kind: VaultKind::Ordinary,
        policy: Some(serde_json::json!({"Version": "2012-10-17", "Statement": []})),
        ..crate::world::vault("daily")
    };
    let table = Resource {
        arn: format!("arn:aws:dynamodb:{region}:{account}:table/carts"),
        account: account.to_string(),
        region: region.to_string(),
        ..crate::world::resource("table/carts", &["backup=daily"])
    };
    let opt_in = crate::world::SERVICES.iter().map(|service| ((*service).to_owned(), true)).collect();
    FakePlace { opt_in, resources: vec![table], plans: vec![plan], vaults: vec![vault], ..FakePlace::default() }
}

/// How often each operation was called, those that were.
pub(crate) fn counted(calls: &[&'static str]) -> Vec<(&'static str, usize)> {
    let names: BTreeSet<&str> = calls.iter().copied().collect();
    names.into_iter().map(|name| (name, calls.iter().filter(|call| **call == name).count())).collect()
}
