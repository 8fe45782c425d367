//! The speed of domain and use case, and its dependence on the number of stored records.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;

use app::deploy::{ControlVariant, PublishedFramework};
use app::events::{Batch, compliance_change, flush_message, report_request};
use app::in_force::InForce;
use app::report::Report;
use bench_common::count;
use bench_common::process::core_time;
use bench_common::stats::Spread;
use domain::violation::{ChangeOutcome, Channel, ViolationRecord, apply};
use framework::ids::{AccountId, RegionName, StackSetName};

use crate::flood::{Flood, batch};
use crate::ports::InMemoryPorts;

/// Messages per batch, as from the queue.
const BATCH: usize = 1000;
/// The default digest window of the application.
const WINDOW: Duration = Duration::from_secs(300);

/// The default channels of the application.
pub(crate) const USUAL: [Channel; 2] = [Channel::Topic, Channel::EventBus];
/// The default channels, and other combinations.
pub(crate) const CHOICES: [(&[Channel], bool); 5] = [
    (&USUAL, true),
    (&USUAL, false),
    (&[Channel::Topic], true),
    (&[Channel::Topic, Channel::EventBus, Channel::SecurityHub], true),
    (&[Channel::Topic, Channel::EventBus, Channel::SecurityHub, Channel::Chat], true),
];

/// The figures of a run; times are core times.
#[derive(Debug, Serialize)]
pub(crate) struct ThroughputRun {
    /// The channels, by their names in the records.
    pub(crate) outlets: Vec<Channel>,
    /// Whether texts, documents and findings were formatted, as adapters do.
    pub(crate) formatted: bool,
    /// Records that were stored before.
    pub(crate) stored: usize,
    pub(crate) events: usize,
    pub(crate) events_per_second: Spread,
    /// The rate by core time, which other processes do not affect; `None` if the kernel does not report it.
    pub(crate) events_per_cpu_second: Option<Spread>,
    /// Core time, if known.
    pub(crate) microseconds_per_event: f64,
    /// The part of it for parsing: JSON, the batch, the kind of each message.
    pub(crate) microseconds_reading: f64,
    /// Notices to the topic.
    pub(crate) notices: usize,
    /// Port calls per 1,000 events.
    pub(crate) calls_per_1000: BTreeMap<&'static str, f64>,
}

/// Handles the flood `rounds` times, each time with new ports that have this many other records.
pub(crate) fn measure(
    flood: &Flood,
    from: Timestamp,
    (outlets, formatted): (&[Channel], bool),
    stored: usize,
    rounds: usize,
) -> anyhow::Result<ThroughputRun> {
    let batches = flood.batches(BATCH);
    let others = others(stored, from)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (mut rates, mut cpu_rates) = (Vec::with_capacity(rounds), Vec::with_capacity(rounds));
    let (mut notices, mut calls) = (0, BTreeMap::new());
    for _ in 0..rounds {
        let home = (AccountId::parse("000000000000")?, RegionName::parse("us-east-1")?);
        let world = InMemoryPorts::new(home, outlets, formatted, in_force()?, from + SignedDuration::from_mins(30));
        world.preload(others.iter().cloned());
        let (started, worked) = (Instant::now(), core_time());
        runtime.block_on(work(&world, &batches))?;
        rates.push(count(flood.events.len()) / started.elapsed().as_secs_f64());
        if let (Some(before), Some(now)) = (worked, core_time()) {
            cpu_rates.push(count(flood.events.len()) / (now - before).as_secs_f64());
        }
        check(&world, flood, stored)?;
        notices = world.notices(Channel::Topic);
        calls = world.take_calls();
    }
    let (started, before) = (Instant::now(), core_time());
    read(&batches)?;
    let reading = match (before, core_time()) {
        (Some(before), Some(now)) => now - before,
        _ => started.elapsed(),
    };
    let events_per_second = Spread::of(&rates).context("no rounds")?;
    let events_per_cpu_second = Spread::of(&cpu_rates);
    let thousands = count(flood.events.len()) / 1000.0;
    Ok(ThroughputRun {
        outlets: outlets.to_vec(),
        formatted,
        stored,
        events: flood.events.len(),
        events_per_second,
        events_per_cpu_second,
        microseconds_per_event: 1e6 / events_per_cpu_second.unwrap_or(events_per_second).p50,
        microseconds_reading: reading.as_secs_f64() * 1e6 / count(flood.events.len()),
        notices,
        calls_per_1000: calls.into_iter().map(|(name, calls)| (name, count(calls) / thousands)).collect(),
    })
}

/// Handles all batches, from the text of the Runtime API; then, at the end of the digest windows, the flush messages.
async fn work(world: &InMemoryPorts, batches: &[String]) -> anyhow::Result<()> {
    let report = Report::<&InMemoryPorts> {
        store: world,
        channels: world,
        resources: world,
        queue: world,
        clock: world,
        digest_window: WINDOW,
    };
    let handle = async |payload: &str| {
        let batch = Batch::read(serde_json::from_str(payload)?);
        let reported = report.handle(&batch.messages).await;
        ensure!(reported.failed.is_empty(), "messages failed: {:?}", reported.failures);
        anyhow::Ok(())
    };
    for payload in batches {
        handle(payload).await?;
    }
    world.end_windows(WINDOW);
    let flushes: Vec<Value> = world.take_asked().iter().map(flush_message).collect();
    for flushes in flushes.chunks(BATCH) {
        handle(&batch(0, flushes).to_string()).await?;
    }
    Ok(())
}

/// Parses batches as `report` does.
fn read(batches: &[String]) -> anyhow::Result<()> {
    for payload in batches {
        for message in Batch::read(serde_json::from_str(payload)?).messages {
            let event = message.event.map_err(anyhow::Error::msg)?;
            std::hint::black_box(report_request(&event)?);
        }
    }
    Ok(())
}

/// Checks that no violation was lost.
fn check(world: &InMemoryPorts, flood: &Flood, stored: usize) -> anyhow::Result<()> {
    let records = world.records();
    let others = records.iter().filter(|record| record.key.resource_id.starts_with("other-")).count();
    ensure!(others == stored, "{others} of {stored} other records are left");
    ensure!(world.dead_lettered() == 0, "{} messages were buried", world.dead_lettered());
    for record in records.iter().filter(|record| !record.key.resource_id.starts_with("other-")) {
        ensure!(record.pending.is_empty(), "{} has pending deliveries {:?}", record.key, record.pending);
    }
    let open: BTreeMap<String, bool> = records
        .iter()
        .map(|record| (record.key.to_string(), record.status == domain::violation::ViolationStatus::Open))
        .collect();
    for ((account, region, control, kind, id), expected) in &flood.expected {
        let key = format!("{account}/{region}/{control}/{kind}/{id}");
        ensure!(open.get(&key) == Some(expected), "{key}: open is {:?}, expected {expected}", open.get(&key));
    }
    ensure!(open.len() == flood.expected.len() + stored, "{} records", open.len());
    Ok(())
}

/// Returns open violations whose notices were delivered.
fn others(count: usize, from: Timestamp) -> anyhow::Result<Vec<ViolationRecord>> {
    let Some(sample) = Flood::new(1, from).events.pop() else { return Ok(Vec::new()) };
    let change = compliance_change(&sample)?;
    let ChangeOutcome::Store { record, .. } = apply(None, &change) else {
        anyhow::bail!("a first result must be stored")
    };
    let other = |n: usize| {
        let mut record = (*record).clone();
        record.key.resource_id = format!("other-{n}");
        record
    };
    Ok((0..count).map(other).collect())
}

/// Returns the starter policy, deployed before the flood.
fn in_force() -> anyhow::Result<InForce> {
    let accounts = ["111111111111", "222222222222", "333333333333"].map(AccountId::parse);
    let regions = ["us-east-1", "eu-west-1"].map(RegionName::parse);
    let controls = [
        "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN",
        "BACKUP_LAST_RECOVERY_POINT_CREATED",
        "BACKUP_RECOVERY_POINT_ENCRYPTED",
    ];
    let variant = ControlVariant {
        accounts: accounts.into_iter().collect::<Result<_, _>>()?,
        regions: regions.into_iter().collect::<Result<_, _>>()?,
        controls: controls.iter().map(|control| ((*control).to_owned(), BTreeMap::new())).collect(),
        since: BTreeMap::new(),
    };
    let framework =
        PublishedFramework { stack_set: StackSetName::parse("backup-compliance")?, variants: vec![variant] };
    Ok(InForce { frameworks: vec![framework], ..InForce::default() })
}
