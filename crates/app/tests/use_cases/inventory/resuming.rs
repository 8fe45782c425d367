//! Interrupted runs resume.

use std::time::Duration;

use app::inventory::{CompletedRead, QUERIED};

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
