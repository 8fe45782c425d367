//! The property: whatever happens at whichever await point of `lifecycle` or `deploy`, CloudFormation gets an answer to each request,
//! within the time of each invocation, and never two that differ.
//!
//! Every call has two await points, before its effect and after it. All single faults are tried at all of them, in every story and
//! every way of delivery; and pairs of faults, drawn with a fixed seed.

use super::handle;
use super::tests::{ending_in, request};
use app::events::{Look, Trigger};
use app::lifecycle::Lifecycle;
use futures_util::future::join_all;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use testkit::deploy::deploy;
use testkit::world::{Strike, World};
use tokio::time::{Instant, timeout};

/// The time of an invocation.
const LEFT: Duration = Duration::from_mins(1);
/// After which Lambda ends a look of `deploy`.
const LOOK: Duration = Duration::from_mins(5);
/// Await points at which something may happen: more than the longest story has.
const POINTS: usize = 80;
/// Lambda delivers an event once, and twice more when that failed.
const DELIVERIES: usize = 3;
const STRIKES: [Strike; 4] = [Strike::Panics, Strike::Hangs, Strike::Throttles, Strike::Denies];
/// How many run side by side: most of a case is waiting.
const AT_ONCE: usize = 400;

/// What CloudFormation asks for, one after another.
#[derive(Debug, Clone, Copy)]
enum Story {
    /// The application is created.
    Create,
    /// Its creation fails, since the policy is wrong, and is taken back.
    FailedCreateThenDelete,
    /// An update, and its rollback.
    UpdateThenRollback,
    /// A resource is deleted that was never created.
    DeleteOfNothing,
}

impl Story {
    fn requests(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Create => &[("Create", "r-1")],
            Self::FailedCreateThenDelete => &[("Create", "r-1"), ("Delete", "r-2")],
            Self::UpdateThenRollback => &[("Update", "r-1"), ("Update", "r-2")],
            Self::DeleteOfNothing => &[("Delete", "r-1")],
        }
    }
}

/// How a request comes.
#[derive(Debug, Clone, Copy)]
enum Delivery {
    Once,
    /// Twice at the same time.
    Twice,
    /// While the schedule has `deploy` look.
    WithALook,
}

#[derive(Debug, Clone)]
struct Case {
    story: Story,
    delivery: Delivery,
    strikes: BTreeMap<usize, Strike>,
}

struct Run {
    world: World,
    lifecycle: Result<Arc<Lifecycle<World, World, World>>, String>,
}

impl Run {
    fn new(case: &Case) -> Self {
        let world = World::new();
        if matches!(case.story, Story::FailedCreateThenDelete) {
            world.push("no policy", &[("backup-compliance.yaml", Some("frameworks: 5\n"))]);
        }
        world.state().strikes = case.strikes.clone();
        world.state().yields = true;
        let lifecycle = Lifecycle { requests: world.clone(), queue: world.clone(), clock: world.clone() };
        Self { world, lifecycle: Ok(Arc::new(lifecycle)) }
    }

    /// Delivers a request as Lambda does, until an invocation succeeds.
    async fn deliver(&self, event: &Value) {
        for _ in 0..DELIVERIES {
            let (world, lifecycle, event) = (self.world.clone(), self.lifecycle.clone(), event.clone());
            let began = Instant::now();
            let invocation =
                tokio::spawn(async move { handle(event, ending_in(LEFT), &lifecycle, &world).await.is_ok() });
            // A panic of the invocation itself is caught by the runtime.
            let succeeded = invocation.await.unwrap_or(false);
            assert!(began.elapsed() < LEFT, "Lambda would have ended it: {:?}", began.elapsed());
            if succeeded {
                return;
            }
        }
    }

    /// One look of `deploy`, which may fail, panic, or be ended by Lambda.
    async fn look(&self, trigger: Trigger) {
        let world = &self.world;
        let deploy = deploy("policy", world, world);
        let mut look = tokio::spawn(async move { deploy.handle(&[trigger]).await.is_ok() });
        if timeout(LOOK, &mut look).await.is_err() {
            look.abort();
        }
    }

    /// What waits in the queue of `deploy`.
    async fn queued(&self) {
        let looks = std::mem::take(&mut self.world.state().looks);
        for id in looks {
            self.look(Trigger::Request { id }).await;
        }
    }
}

/// The answers that came to each request, in all their variety; or what is wrong with that.
async fn run(case: &Case) -> Result<usize, String> {
    let run = Run::new(case);
    for (kind, id) in case.story.requests() {
        let event = request(kind, id);
        match case.delivery {
            Delivery::Once => run.deliver(&event).await,
            Delivery::Twice => {
                tokio::join!(run.deliver(&event), run.deliver(&event));
            }
            Delivery::WithALook => {
                tokio::join!(run.deliver(&event), run.look(Trigger::Schedule(Look::Light)));
            }
        }
        run.queued().await;
        run.look(Trigger::Schedule(Look::Light)).await;
    }
    // Then all is well again: the schedule looks, and Lambda delivers everything once more.
    let steps = run.world.state().steps;
    run.world.state().strikes.clear();
    for (kind, id) in case.story.requests() {
        run.look(Trigger::Schedule(Look::Light)).await;
        run.deliver(&request(kind, id)).await;
        run.queued().await;
    }
    run.look(Trigger::Schedule(Look::Light)).await;
    let state = run.world.state();
    for (kind, id) in case.story.requests() {
        let answers: Vec<_> = state.answers.iter().filter(|answer| answer.request_id() == *id).collect();
        let Some(first) = answers.first() else {
            // An address that is refused has expired: it would be refused for ever, and nobody listens there.
            if state.struck.contains(&("cloudformation:PutAnswer", Strike::Denies)) {
                continue;
            }
            return Err(format!("the {kind} `{id}` was never answered"));
        };
        if answers.iter().any(|answer| answer != first) {
            return Err(format!("the {kind} `{id}` has different answers: {answers:?}"));
        }
        if case.strikes.is_empty() && answers.len() > 1 {
            return Err(format!("the {kind} `{id}` was answered {} times, and nothing was wrong", answers.len()));
        }
    }
    match state.requests.is_empty() {
        true => Ok(steps),
        false => Err(format!("still waiting: {:?}", state.requests)),
    }
}

/// Panics that a test asks for are not worth a line each.
fn quiet() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.to_string().contains("as the test wants it") {
            loud(panic);
        }
    }));
}

async fn all(cases: Vec<Case>) -> Vec<String> {
    let mut wrong = Vec::new();
    for batch in cases.chunks(AT_ONCE) {
        let outcomes = join_all(batch.iter().map(run)).await;
        for (case, outcome) in batch.iter().zip(outcomes) {
            if let Err(why) = outcome {
                wrong.push(format!("{case:?}: {why}"));
            }
        }
    }
    wrong
}

fn settings() -> impl Iterator<Item = (Story, Delivery)> {
    let stories = [Story::Create, Story::FailedCreateThenDelete, Story::UpdateThenRollback, Story::DeleteOfNothing];
    let deliveries = [Delivery::Once, Delivery::Twice, Delivery::WithALook];
    stories.into_iter().flat_map(move |story| deliveries.map(|delivery| (story, delivery)))
}

#[tokio::test(start_paused = true)]
async fn without_a_fault_there_is_exactly_one_answer() {
    for (story, delivery) in settings() {
        let case = Case { story, delivery, strikes: BTreeMap::new() };
        let steps = run(&case).await.unwrap_or_else(|why| panic!("{case:?}: {why}"));
        assert!((6..=POINTS).contains(&steps), "{case:?}: {steps} await points, and faults are tried at {POINTS}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_at_any_await_point_leads_to_one_answer() {
    let mut cases = Vec::new();
    for (story, delivery) in settings() {
        for point in 0..POINTS {
            for strike in STRIKES {
                cases.push(Case { story, delivery, strikes: BTreeMap::from([(point, strike)]) });
            }
        }
    }
    quiet();
    let wrong = all(cases).await;
    assert!(wrong.is_empty(), "{} are wrong, the first of them:\n{}", wrong.len(), wrong[0]);
}

#[tokio::test(start_paused = true)]
async fn two_faults_at_any_await_points_lead_to_one_answer() {
    let mut state = 20_u64;
    let mut below = move |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % limit
    };
    let settings: Vec<_> = settings().collect();
    let cases = (0..4_000).map(|_| {
        let (story, delivery) = settings[below(settings.len())];
        let strikes = (0..2).map(|_| (below(POINTS), STRIKES[below(STRIKES.len())])).collect();
        Case { story, delivery, strikes }
    });
    quiet();
    let wrong = all(cases.collect()).await;
    assert!(wrong.is_empty(), "{} are wrong, the first of them:\n{}", wrong.len(), wrong[0]);
}
