//! Property: with faults at any await points of `lifecycle` and `deploy`, each request is answered within the time of each
//! invocation, and never with two different answers.
//!
//! Each call has two await points, before and after its effect. All single faults are injected at all of them, for each sequence of
//! requests and each delivery; pairs of faults are drawn with a fixed seed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use app::events::{DeployTrigger, ReconcileScope};
use app::lifecycle::StackLifecycle;
use testkit::deploy::deploy;
use testkit::world::{Interruption, World};

use super::{ending_in, handle, request};

/// The time of an invocation.
const LEFT: Duration = Duration::from_mins(1);
/// The timeout of `deploy`.
const DEPLOY_TIMEOUT: Duration = Duration::from_mins(5);
/// Await points for faults: more than the longest sequence has.
const POINTS: usize = 80;
/// Lambda retries a failed event twice.
const DELIVERIES: usize = 3;
const STRIKES: [Interruption; 4] =
    [Interruption::Panics, Interruption::Hangs, Interruption::Throttles, Interruption::Denies];
/// Cases that run concurrently, since most of a case is waiting.
const AT_ONCE: usize = 400;

/// A sequence of requests.
#[derive(Debug, Clone, Copy)]
enum RequestSequence {
    /// The application is created.
    Create,
    /// The creation fails with an invalid policy and is rolled back.
    FailedCreateThenDelete,
    /// An update, and its rollback.
    UpdateThenRollback,
    /// A resource that was never created is deleted.
    DeleteOfNothing,
}

impl RequestSequence {
    fn requests(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Create => &[("Create", "r-1")],
            Self::FailedCreateThenDelete => &[("Create", "r-1"), ("Delete", "r-2")],
            Self::UpdateThenRollback => &[("Update", "r-1"), ("Update", "r-2")],
            Self::DeleteOfNothing => &[("Delete", "r-1")],
        }
    }
}

/// How Lambda delivers a request.
#[derive(Debug, Clone, Copy)]
enum RequestDelivery {
    Once,
    /// Twice, concurrently.
    Twice,
    /// Concurrently with a scheduled reconciliation.
    WithReconciliation,
}

#[derive(Debug, Clone)]
struct FaultCase {
    sequence: RequestSequence,
    delivery: RequestDelivery,
    strikes: BTreeMap<usize, Interruption>,
}

struct FaultRun {
    world: World,
    lifecycle: Result<Arc<StackLifecycle<World>>, String>,
}

impl FaultRun {
    fn new(case: &FaultCase) -> Self {
        let world = World::new();
        if matches!(case.sequence, RequestSequence::FailedCreateThenDelete) {
            world.push("no policy", &[("backup-compliance.yaml", Some("frameworks: 5\n"))]);
        }
        world.state().strikes = case.strikes.clone();
        world.state().yields = true;
        let lifecycle = StackLifecycle::<World> { requests: world.clone(), queue: world.clone(), clock: world.clone() };
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

    /// One reconciliation, which may fail, panic, or be ended by Lambda.
    async fn reconcile(&self, trigger: DeployTrigger) {
        let world = &self.world;
        let deploy = deploy("policy", world, world);
        let mut reconciliation = tokio::spawn(async move { deploy.handle(&[trigger]).await.is_ok() });
        if timeout(DEPLOY_TIMEOUT, &mut reconciliation).await.is_err() {
            reconciliation.abort();
        }
    }

    /// Processes the queue of `deploy`.
    async fn queued(&self) {
        let looks = std::mem::take(&mut self.world.state().looks);
        for id in looks {
            self.reconcile(DeployTrigger::Request(id)).await;
        }
    }
}

/// Runs a case; returns the number of its await points, or the violated property.
async fn run(case: &FaultCase) -> Result<usize, String> {
    let run = FaultRun::new(case);
    for (kind, id) in case.sequence.requests() {
        let event = request(kind, id);
        match case.delivery {
            RequestDelivery::Once => run.deliver(&event).await,
            RequestDelivery::Twice => {
                tokio::join!(run.deliver(&event), run.deliver(&event));
            }
            RequestDelivery::WithReconciliation => {
                tokio::join!(run.deliver(&event), run.reconcile(DeployTrigger::Schedule(ReconcileScope::QuickCheck)));
            }
        }
        run.queued().await;
        run.reconcile(DeployTrigger::Schedule(ReconcileScope::QuickCheck)).await;
    }
    // Without further faults, the schedule runs and Lambda delivers each request again.
    let steps = run.world.state().steps;
    run.world.state().strikes.clear();
    for (kind, id) in case.sequence.requests() {
        run.reconcile(DeployTrigger::Schedule(ReconcileScope::QuickCheck)).await;
        run.deliver(&request(kind, id)).await;
        run.queued().await;
    }
    run.reconcile(DeployTrigger::Schedule(ReconcileScope::QuickCheck)).await;
    let state = run.world.state();
    for (kind, id) in case.sequence.requests() {
        let answers: Vec<_> = state.answers.iter().filter(|answer| answer.request_id() == *id).collect();
        let Some(first) = answers.first() else {
            // A rejected URL has expired, and stays so.
            if state.struck.contains(&("cloudformation:PutAnswer", Interruption::Denies)) {
                continue;
            }
            return Err(format!("the {kind} `{id}` was never answered"));
        };
        if answers.iter().any(|answer| answer != first) {
            return Err(format!("the {kind} `{id}` has different answers: {answers:?}"));
        }
        if case.strikes.is_empty() && answers.len() > 1 {
            return Err(format!("the {kind} `{id}` was answered {} times without a fault", answers.len()));
        }
    }
    match state.requests.is_empty() {
        true => Ok(steps),
        false => Err(format!("still waiting: {:?}", state.requests)),
    }
}

/// Hides the messages of injected panics.
fn quiet() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.to_string().contains("as the test wants it") {
            default(panic);
        }
    }));
}

async fn failures(cases: Vec<FaultCase>) -> Vec<String> {
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

fn settings() -> impl Iterator<Item = (RequestSequence, RequestDelivery)> {
    let sequences = [
        RequestSequence::Create,
        RequestSequence::FailedCreateThenDelete,
        RequestSequence::UpdateThenRollback,
        RequestSequence::DeleteOfNothing,
    ];
    let deliveries = [RequestDelivery::Once, RequestDelivery::Twice, RequestDelivery::WithReconciliation];
    sequences.into_iter().flat_map(move |sequence| deliveries.map(|delivery| (sequence, delivery)))
}

#[tokio::test(start_paused = true)]
async fn requests_without_faults_get_one_answer() {
    for (sequence, delivery) in settings() {
        let case = FaultCase { sequence, delivery, strikes: BTreeMap::new() };
        let steps = run(&case).await.unwrap_or_else(|why| panic!("{case:?}: {why}"));
        assert!((6..=POINTS).contains(&steps), "{case:?}: {steps} await points, faults are injected at {POINTS}");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_with_one_fault_get_one_answer() {
    let mut cases = Vec::new();
    for (sequence, delivery) in settings() {
        for point in 0..POINTS {
            for strike in STRIKES {
                cases.push(FaultCase { sequence, delivery, strikes: BTreeMap::from([(point, strike)]) });
            }
        }
    }
    quiet();
    let wrong = failures(cases).await;
    assert!(wrong.is_empty(), "{} cases failed, the first:\n{}", wrong.len(), wrong[0]);
}

#[tokio::test(start_paused = true)]
async fn requests_with_two_faults_get_one_answer() {
    let mut state = 20_u64;
    let mut below = move |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % limit
    };
    let settings: Vec<_> = settings().collect();
    let cases = (0..4_000).map(|_| {
        let (sequence, delivery) = settings[below(settings.len())];
        let strikes = (0..2).map(|_| (below(POINTS), STRIKES[below(STRIKES.len())])).collect();
        FaultCase { sequence, delivery, strikes }
    });
    quiet();
    let wrong = failures(cases.collect()).await;
    assert!(wrong.is_empty(), "{} cases failed, the first:\n{}", wrong.len(), wrong[0]);
}
