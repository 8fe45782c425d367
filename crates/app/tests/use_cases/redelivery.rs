//! The deploy queue after errors, on a virtual clock.

use std::sync::Mutex;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use app::deploy::ANSWER_WITHIN;
use app::deploy::ports::TriggerQueue;
use app::deploy::redelivery::redeliver;
use app::events::{BatchMessage, DeployTrigger, ReconcileScope};
use app::ports::{PortErrorKind, Result};
use testkit::world::World;

use crate::deploy::{deploy, request_kept, rolled_out};
use crate::policy::{FRAMEWORK, ONE, TWO, policy};

/// `VisibilityTimeout` of the deploy queue in template.yaml.
const VISIBILITY: SignedDuration = SignedDuration::from_secs(330);

struct Queued {
    id: usize,
    trigger: DeployTrigger,
    visible: Timestamp,
    receives: u32,
}

/// A FIFO queue with one message group: messages are delivered in order, and none while one is in flight.
struct Fifo {
    world: World,
    queued: Mutex<Vec<Queued>>,
    sent: Mutex<usize>,
    /// Operations end within half a minute, or never.
    operations_end: bool,
}

impl TriggerQueue for Fifo {
    async fn redeliver(&self, receipts: &[&str], after: Duration) -> Result<()> {
        let visible = self.world.state().now.checked_add(SignedDuration::try_from(after).unwrap()).unwrap();
        for queued in self.queued.lock().unwrap().iter_mut() {
            if receipts.contains(&queued.id.to_string().as_str()) {
                queued.visible = visible;
            }
        }
        Ok(())
    }
}

impl Fifo {
    fn new(world: &World) -> Self {
        Self { world: world.clone(), queued: Mutex::new(Vec::new()), sent: Mutex::new(0), operations_end: true }
    }

    fn send(&self, trigger: DeployTrigger, after: SignedDuration) {
        let visible = self.world.state().now.checked_add(after).unwrap();
        let mut sent = self.sent.lock().unwrap();
        *sent += 1;
        self.queued.lock().unwrap().push(Queued { id: *sent, trigger, visible, receives: 0 });
    }

    /// Moves the clock to the next delivery and passes it to `deploy`, as the function does.
    async fn deliver(&self) {
        let (messages, triggers) = {
            let mut queued = self.queued.lock().unwrap();
            let next = queued.first().expect("nothing is queued, and CloudFormation waits").visible;
            let now = {
                let mut state = self.world.state();
                state.now = state.now.max(next);
                state.now
            };
            let batch = queued.iter_mut().take(10).take_while(|queued| queued.visible <= now);
            batch
                .map(|queued| {
                    queued.receives += 1;
                    queued.visible = now.checked_add(VISIBILITY).unwrap();
                    let (id, receives) = (queued.id.to_string(), queued.receives);
                    let message = BatchMessage {
                        receipt: id.clone(),
                        id,
                        receives,
                        body: String::new(),
                        event: Err(String::new()),
                    };
                    (message, queued.trigger.clone())
                })
                .collect::<(Vec<BatchMessage>, Vec<DeployTrigger>)>()
        };
        match deploy(&self.world).handle(&triggers).await {
            Ok(_) => {
                let done: Vec<&str> = messages.iter().map(|message| message.id.as_str()).collect();
                self.queued.lock().unwrap().retain(|queued| !done.contains(&queued.id.to_string().as_str()));
            }
            Err(_) => redeliver(self, &messages).await,
        }
        if self.operations_end && self.world.end_operations() > 0 {
            self.send(DeployTrigger::OperationEnded("backup-compliance".into()), SignedDuration::from_secs(30));
        }
    }

    /// Delivers until CloudFormation has its response. Returns the time that it took.
    async fn until_answered(&self) -> SignedDuration {
        let since = self.world.state().now;
        for _ in 0..100 {
            if !self.world.state().answers.is_empty() {
                return self.world.state().now.duration_since(since);
            }
            self.deliver().await;
        }
        panic!("CloudFormation is not answered");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn three_throttles_delay_response_under_ten_minutes() {
    for kind in ["Create", "Delete"] {
        for throttled in ["dynamodb:Query", "cloudformation:DescribeStackSet"] {
            let world = if kind == "Delete" { rolled_out(&[ONE, TWO]).await } else { World::new() };
            world.push(
                "Start",
                &[("backup-compliance.yaml", Some(&policy(&[ONE, TWO], None))), ("framework.yaml", Some(FRAMEWORK))],
            );
            request_kept(&world, kind, "r-1").await;
            let queue = Fifo::new(&world);
            queue.send(DeployTrigger::Request("r-1".into()), SignedDuration::ZERO);
            for _ in 0..3 {
                world.fail_next(throttled, PortErrorKind::Retryable);
            }
            let took = queue.until_answered().await;
            assert!(took < SignedDuration::from_mins(10), "{kind}, {throttled}: {took:#}");
            assert_eq!(world.state().answers[0].reason(), None, "{kind}, {throttled}");
            assert!(world.take_faults().is_empty(), "{kind}, {throttled}");
        }
    }
}

/// With the longest `QuickCheckRate` that template.yaml allows, and with one failed reconciliation.
#[tokio::test(flavor = "current_thread")]
async fn endless_operation_is_answered_within_an_hour() {
    const HOUR: SignedDuration = SignedDuration::from_hours(1);
    let rate = SignedDuration::from_mins(10);
    let world = rolled_out(&[ONE]).await;
    request_kept(&world, "Delete", "r-1").await;
    let since = world.state().now;
    deploy(&world).handle(&[DeployTrigger::Request("r-1".into())]).await.unwrap();
    let queue = Fifo { operations_end: false, ..Fifo::new(&world) };
    for look in 1..5 {
        world.state().now = since.checked_add(rate * look).unwrap();
        deploy(&world).handle(&[DeployTrigger::Schedule(ReconcileScope::QuickCheck)]).await.unwrap();
        assert!(world.state().answers.is_empty(), "after {look} reconciliations");
    }
    world.state().now = since.checked_add(rate * 5).unwrap();
    world.fail_next("dynamodb:Query", PortErrorKind::Retryable);
    queue.send(DeployTrigger::Schedule(ReconcileScope::QuickCheck), SignedDuration::ZERO);
    queue.until_answered().await;
    let took = world.state().now.duration_since(since);
    assert!(took > ANSWER_WITHIN && took < HOUR - SignedDuration::from_mins(5), "{took:#}");
    let reason = world.state().answers[0].reason().unwrap_or_default().to_owned();
    assert!(reason.contains("deleting again continues"), "{reason}");
}

/// Permanent errors are answered too, for each operation.
#[tokio::test(flavor = "current_thread")]
async fn denied_or_throttled_delete_is_answered() {
    for (kind, at_once) in [(PortErrorKind::Denied, true), (PortErrorKind::Retryable, false)] {
        let world = rolled_out(&[ONE]).await;
        request_kept(&world, "Delete", "r-1").await;
        let since = world.state().now;
        let queue = Fifo::new(&world);
        queue.send(DeployTrigger::Request("r-1".into()), SignedDuration::ZERO);
        for _ in 0..200 {
            world.fail_next("cloudformation:DescribeStackSet", kind);
        }
        queue.until_answered().await;
        let took = world.state().now.duration_since(since);
        assert_eq!(took < SignedDuration::from_mins(1), at_once, "{kind:?}: {took:#}");
        assert!(took < SignedDuration::from_mins(50), "{kind:?}: {took:#}");
        assert!(world.state().answers[0].reason().is_some(), "{kind:?}");
    }
}
