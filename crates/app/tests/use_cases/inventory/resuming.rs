//! Interrupted runs resume.

use std::time::Duration;

use app::inventory::{ACCOUNTS_OF_POINTS, CompletedRead, QUERIED};
use framework::ids::AccountId;
use testkit::world::World;

use super::{all, counted, go_on, options, organization};

#[tokio::test]
async fn run_killed_at_any_step_resumes_without_repeats() {
    let whole = organization();
    let expected = all(&whole).await;
    let steps = whole.state().steps;
    let calls_of_all = whole.take_calls().len();
    assert!(steps > 100, "{steps}");
    let mut broken = 0;
    for dies_in in 0..steps {
        let world = organization();
        world.state().dies_in = Some(dies_in);
        let mut kept = Vec::new();
        let options = options();
        let run = go_on(&world, &options, Vec::new(), &mut kept);
        let died = tokio::time::timeout(Duration::from_millis(5), run).await.is_err();
        broken += usize::from(died);
        world.state().dies_in = None;
        world.take_calls();
        // As in the file.
        let kept: Vec<CompletedRead> =
            kept.iter().map(|part| serde_json::from_str(&serde_json::to_string(part).unwrap()).unwrap()).collect();
        let count = |is: fn(&CompletedRead) -> bool| kept.iter().filter(|part| is(part)).count();
        let locations = count(|part| matches!(part, CompletedRead::Location(_)));
        let queries =
            count(|part| matches!(part, CompletedRead::Resources { .. } | CompletedRead::RecoveryPoints { .. }));
        let outcome = go_on(&world, &options, kept, &mut Vec::new()).await.unwrap();
        assert_eq!(outcome, expected, "died at step {dies_in}");
        let calls = world.take_calls();
        let counted = counted(&calls);
        let of = |name: &str| counted.iter().find(|(call, _)| *call == name).map_or(0, |(_, count)| *count);
        assert_eq!(of("config:SelectAggregateResourceConfig"), QUERIED.len() + 1 - queries, "died at step {dies_in}");
        assert_eq!(of("backup:DescribeRegionSettings"), 4 - locations, "died at step {dies_in}");
        assert!(calls.len() <= calls_of_all);
    }
    assert_eq!(broken, steps, "each of these runs was to die");
}

/// The organization with many accounts, which are alike.
fn many_accounts(accounts: usize) -> World {
    let world = organization();
    let ((_, region), one) = world.state().backup.locations.pop_first().unwrap();
    world.state().backup.locations.clear();
    for number in 0..accounts {
        let account = AccountId::parse(&format!("{:012}", 100_000_000_000 + number)).unwrap();
        let mut location = one.clone();
        let of = |text: &str| text.replace("111122223333", account.as_str());
        for resource in &mut location.resources {
            resource.arn = of(&resource.arn);
            resource.account = account.to_string();
        }
        location.plans.iter_mut().for_each(|plan| plan.account = account.clone());
        location.vaults.iter_mut().for_each(|vault| vault.account = account.clone());
        world.state().backup.locations.insert((account, region.clone()), location);
    }
    world
}

#[tokio::test]
async fn recovery_points_are_read_in_groups_of_accounts() {
    const SELECT: &str = "config:SelectAggregateResourceConfig";
    let selects = |world: &World| world.take_calls().iter().filter(|call| **call == SELECT).count();
    for (accounts, groups) in [(ACCOUNTS_OF_POINTS, 1), (ACCOUNTS_OF_POINTS + 1, 2), (3 * ACCOUNTS_OF_POINTS, 3)] {
        let world = many_accounts(accounts);
        let mut kept = Vec::new();
        let expected = go_on(&world, &options(), Vec::new(), &mut kept).await.unwrap();
        assert_eq!(expected.document.locations.len(), accounts);
        assert_eq!(selects(&world), QUERIED.len() + groups);
        // Without one of the groups, that one is read again.
        for number in 0..kept.len() {
            if !matches!(kept[number], CompletedRead::RecoveryPoints { .. }) {
                continue;
            }
            let mut earlier = kept.clone();
            earlier.remove(number);
            let outcome = go_on(&world, &options(), earlier, &mut Vec::new()).await.unwrap();
            assert_eq!((outcome, selects(&world)), (expected.clone(), 1), "{accounts} accounts, part {number}");
        }
        let outcome = go_on(&world, &options(), kept, &mut Vec::new()).await.unwrap();
        assert_eq!((outcome, selects(&world)), (expected, 0), "{accounts} accounts");
    }
}
