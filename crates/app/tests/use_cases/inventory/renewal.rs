//! The stored inventory is renewed by one invocation or several.

use std::future::{Future, pending, poll_fn};
use std::task::Poll;

use futures_util::future::join;
use jiff::SignedDuration;
use serde_json::json;

use app::inventory::{
    InventoryRenewal, InventoryScope, ReadRequest, RenewalEnd, RenewalSummary, StoredInventory, check_event,
};
use app::ports::{PortErrorKind, Result};
use testkit::world::World;

use super::{all, counted, organization, world};

fn request() -> ReadRequest {
    ReadRequest {
        aggregator: "organization".to_owned(),
        role: Some("reader".to_owned()),
        scope: InventoryScope::default(),
    }
}

fn renewal(world: &World) -> InventoryRenewal<World> {
    InventoryRenewal {
        request: request(),
        jobs: 4,
        store: world.clone(),
        aggregator: world.clone(),
        members: Some(world.clone()),
        clock: world.clone(),
    }
}

/// The organization, at the time of its inventory.
fn at_night() -> World {
    let world = organization();
    world.state().now = world::as_of();
    world
}

async fn renew(world: &World) -> Result<RenewalSummary> {
    renewal(world).run(pending()).await
}

/// Completes when the world has made this number of steps.
fn after(world: &World, steps: usize) -> impl Future<Output = ()> + use<> {
    let world = world.clone();
    poll_fn(move |context| {
        if world.state().steps >= steps {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

async fn expected() -> String {
    serde_json::to_string(&all(&organization()).await.document).unwrap()
}

fn stored(world: &World) -> Option<String> {
    world.state().inventory.as_ref().map(|stored| stored.text.clone())
}

fn later(world: &World, hours: i64) {
    let mut state = world.state();
    state.now = state.now.checked_add(SignedDuration::from_hours(hours)).unwrap();
}

/// A number of calls by name.
fn calls_of(world: &World, name: &str) -> usize {
    counted(&world.take_calls()).into_iter().find(|(call, _)| *call == name).map_or(0, |(_, count)| count)
}

#[tokio::test]
async fn run_stopped_at_any_step_resumes_without_repeats() {
    let expected = expected().await;
    let whole = at_night();
    let done = renew(&whole).await.unwrap();
    assert_eq!((done.end, done.stored, done.locations, done.failed_reads), (RenewalEnd::Stored, 1, 4, 0));
    assert_eq!(stored(&whole).as_deref(), Some(expected.as_str()));
    let steps = whole.state().steps;
    let mut resumed = 0;
    for step in 0..steps {
        let world = at_night();
        world.state().yields = true;
        // One location after the other, so that most steps are between two of them.
        let first = InventoryRenewal { jobs: 1, ..renewal(&world) }.run(after(&world, step)).await.unwrap();
        if first.end == RenewalEnd::Stored {
            continue;
        }
        assert_eq!(first.end, RenewalEnd::Stopped, "step {step}");
        assert_eq!(stored(&world), None, "step {step}");
        let second = renew(&world).await.unwrap();
        resumed += usize::from(first.locations > 0);
        assert_eq!((second.end, first.locations + second.locations), (RenewalEnd::Stored, 4), "step {step}");
        assert_eq!(stored(&world).as_deref(), Some(expected.as_str()), "step {step}");
        assert_eq!(world.state().partial_inventory, None, "step {step}");
    }
    assert!(resumed > 50, "{resumed} of {steps}");
}

/// Each invocation reads one more account and Region.
#[tokio::test]
async fn run_in_many_invocations_makes_no_call_twice() {
    let world = at_night();
    let whole = at_night();
    renew(&whole).await.unwrap();
    let once: Vec<_> = counted(&whole.take_calls());
    world.state().yields = true;
    let mut all = Vec::new();
    for _ in 0..20 {
        let steps = world.state().steps + 70;
        let done = InventoryRenewal { jobs: 1, ..renewal(&world) }.run(after(&world, steps)).await.unwrap();
        all.extend(world.take_calls());
        later(&world, 1);
        if done.end == RenewalEnd::Stored {
            break;
        }
    }
    assert_eq!(stored(&world), stored(&whole), "as of the first read");
    // The role is assumed again, and the reads at the end of an invocation are repeated.
    for (call, count) in once.iter().filter(|(call, _)| !call.starts_with("s3:")) {
        let made = counted(&all).into_iter().find(|(name, _)| name == call).map_or(0, |(_, count)| count);
        assert!(made >= *count && made <= 2 * count + 4, "{call}: {made} instead of {count}");
    }
}

#[tokio::test]
async fn fresh_inventory_costs_one_read() {
    let world = at_night();
    renew(&world).await.unwrap();
    world.take_calls();
    later(&world, 19);
    let done = renew(&world).await.unwrap();
    assert_eq!((done.end, done.stored, done.seconds_since_stored), (RenewalEnd::Fresh, 0, Some(19 * 3600)));
    assert_eq!(world.take_calls(), ["s3:ListBucket"]);
    later(&world, 1);
    let done = renew(&world).await.unwrap();
    assert_eq!((done.end, done.seconds_since_stored), (RenewalEnd::Stored, Some(0)));
}

/// Nothing that another request, another day or another format has read enters the document.
#[tokio::test]
async fn foreign_partial_inventory_is_dropped() {
    let other = ReadRequest { aggregator: "other".to_owned(), ..request() };
    let alone = ReadRequest { role: None, ..request() };
    let part = "{\"read\":\"sources\",\"sources\":[]}\n";
    let now = world::as_of();
    let yesterday = now.checked_sub(SignedDuration::from_hours(25)).unwrap();
    for text in [
        other.first_line(now) + part,
        alone.first_line(now) + part,
        request().first_line(yesterday) + part,
        request().first_line(now) + "{\"read\":\"unknown\"}\n",
        "{\"inventory\":1}\n".to_owned() + part,
        "no JSON\n".to_owned(),
        String::new(),
    ] {
        let world = at_night();
        world.state().partial_inventory = Some(text.clone());
        let done = renew(&world).await.unwrap();
        assert_eq!((done.end, done.locations), (RenewalEnd::Stored, 4), "{text}");
        assert_eq!(stored(&world), Some(expected().await), "{text}");
        assert_eq!(world.state().partial_inventory, None, "{text}");
    }
    // Its own is used: these sources are empty, so the locations are those of the resources.
    let world = at_night();
    world.state().partial_inventory = Some(request().first_line(now) + part);
    renew(&world).await.unwrap();
    assert_eq!(calls_of(&world, "config:DescribeConfigurationAggregatorSourcesStatus"), 0);
}

/// An invocation that is slower than another one leaves a partial inventory that is older than the document.
#[tokio::test]
async fn partial_inventory_before_document_is_dropped() {
    let world = at_night();
    world.state().partial_inventory = Some(request().first_line(world::as_of()));
    later(&world, 1);
    let stored_at = world.state().now;
    world.state().inventory = Some(StoredInventory { text: "{}".to_owned(), stored_at });
    later(&world, 1);
    let done = renew(&world).await.unwrap();
    assert_eq!(done.end, RenewalEnd::Fresh);
    assert_eq!((stored(&world).as_deref(), &world.state().partial_inventory), (Some("{}"), &None));
    assert_eq!(counted(&world.take_calls()), [("s3:DeleteObject", 1), ("s3:GetObject", 1), ("s3:ListBucket", 1)]);
}

#[tokio::test]
async fn concurrent_invocations_store_the_same_document() {
    let world = at_night();
    world.state().yields = true;
    let (one, other) = (renewal(&world), renewal(&world));
    let (slow, whole) = join(one.run(after(&world, 150)), other.run(pending())).await;
    assert_eq!((slow.unwrap().end, whole.unwrap().end), (RenewalEnd::Stopped, RenewalEnd::Stored));
    let document = stored(&world);
    later(&world, 1);
    assert_eq!(renew(&world).await.unwrap().end, RenewalEnd::Fresh);
    assert_eq!((stored(&world), document), (Some(expected().await), Some(expected().await)));
    assert_eq!(world.state().partial_inventory, None);
}

#[tokio::test]
async fn failure_of_the_bucket_loses_no_completed_read() {
    for operation in ["s3:ListBucket", "s3:PutObject"] {
        let world = at_night();
        world.fail_next(operation, PortErrorKind::Denied);
        let error = renew(&world).await.unwrap_err();
        assert_eq!((error.operation, error.kind), (operation, PortErrorKind::Denied));
        assert_eq!(stored(&world), None);
        assert_eq!(renew(&world).await.unwrap().end, RenewalEnd::Stored, "{operation}");
    }
    // The document is stored, and what remains of it is dropped later.
    let world = at_night();
    world.state().yields = true;
    assert_eq!(renewal(&world).run(after(&world, 100)).await.unwrap().end, RenewalEnd::Stopped);
    world.fail_next("s3:DeleteObject", PortErrorKind::Denied);
    assert_eq!(renew(&world).await.unwrap().end, RenewalEnd::Stored);
    assert!(world.state().partial_inventory.is_some());
    later(&world, 1);
    assert_eq!(renew(&world).await.unwrap().end, RenewalEnd::Fresh);
    assert_eq!(world.state().partial_inventory, None);
    // A partial inventory that cannot be read is an error and is not overwritten.
    let world = at_night();
    world.state().partial_inventory = Some(request().first_line(world::as_of()));
    world.fail_next("s3:GetObject", PortErrorKind::Denied);
    renew(&world).await.unwrap_err();
    assert!(world.state().partial_inventory.is_some());
}

#[tokio::test]
async fn inventory_without_aggregator_is_an_error() {
    let world = at_night();
    let stored_at = world::as_of().checked_sub(SignedDuration::from_hours(30)).unwrap();
    world.state().inventory = Some(StoredInventory { text: "{}".to_owned(), stored_at });
    for _ in 0..8 {
        world.fail_next("config:SelectAggregateResourceConfig", PortErrorKind::NotFound);
    }
    let error = renew(&world).await.unwrap_err();
    assert_eq!((error.operation, error.kind), ("config:SelectAggregateResourceConfig", PortErrorKind::NotFound));
    assert_eq!(stored(&world).as_deref(), Some("{}"), "the last one is kept");
}

#[tokio::test]
async fn failed_reads_are_counted_and_named() {
    let world = at_night();
    let closed = world.state().backup.locations.keys().next().unwrap().0.clone();
    world.state().backup.closed.insert(closed.clone());
    let done = renew(&world).await.unwrap();
    assert_eq!((done.end, done.stored), (RenewalEnd::Stored, 1));
    assert!(done.failed_reads >= 2 && done.failures.len() == done.failed_reads, "{done:?}");
    let beginning = format!("{closed}/");
    assert!(done.failures.iter().all(|failure| failure.starts_with(&beginning)), "{done:?}");
}

#[test]
fn event_of_other_task_is_rejected() {
    assert_eq!(check_event(&json!({"source": "backup-compliance.schedule", "task": "inventory"})), Ok(()));
    for event in [json!({}), json!([]), json!({"source": "backup-compliance.schedule", "task": "sweep"})] {
        assert!(check_event(&event).unwrap_err().contains("is expected"), "{event}");
    }
}
