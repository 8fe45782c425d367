//! How fast the domain and the use case are, and whether that depends on how much is on file.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use app::deploy::{FrameworkFacts, Variant};
use app::events::{Batch, asked, compliance_change, flush_message};
use app::ports::InForce;
use app::report::Report;
use bench_common::stats::Spread;
use domain::ids::{AccountId, RegionName, StackSetName};
use domain::violation::{Outcome, Outlet, Record, apply};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;

use crate::flood::{Flood, batch};
use crate::store::World;

/// Messages in a batch, as the queue hands them out.
const BATCH: usize = 1000;
/// The window of the application, unless its parameter says otherwise.
const WINDOW: Duration = Duration::from_secs(300);

/// The outlets that the application has unless its parameters say otherwise.
pub(crate) const USUAL: [Outlet; 2] = [Outlet::Topic, Outlet::Event];
/// Those, and each other way to tell on its own or beside them.
pub(crate) const CHOICES: [(&[Outlet], bool); 5] = [
    (&USUAL, true),
    (&USUAL, false),
    (&[Outlet::Topic], true),
    (&[Outlet::Topic, Outlet::Event, Outlet::Finding], true),
    (&[Outlet::Topic, Outlet::Event, Outlet::Finding, Outlet::Chat], true),
];

/// What came of a run; times are those of one core.
#[derive(Debug, Serialize)]
pub(crate) struct Speed {
    /// Who was told, by names that are written as in the records.
    pub(crate) outlets: Vec<Outlet>,
    /// Whether texts, documents and findings were written for them: adapters have that done.
    pub(crate) written: bool,
    /// Records that were on file before.
    pub(crate) on_file: usize,
    pub(crate) events: usize,
    pub(crate) events_per_second: Spread,
    /// The same by the time that the core worked for it: what others do on the machine does not count. Nothing where the kernel
    /// does not tell.
    pub(crate) events_per_cpu_second: Option<Spread>,
    /// By the time that the core worked, if that is known.
    pub(crate) microseconds_per_event: f64,
    /// The part of it that is spent on reading: JSON, the batch, what each message asks for.
    pub(crate) microseconds_reading: f64,
    /// Notices to the topic.
    pub(crate) notices: usize,
    /// Calls of the ports for 1,000 events.
    pub(crate) calls_per_1000: BTreeMap<&'static str, f64>,
}

/// Handles the flood `rounds` times, each time with a new world in which so many other records are on file.
pub(crate) fn measure(
    flood: &Flood,
    from: Timestamp,
    (outlets, written): (&[Outlet], bool),
    on_file: usize,
    rounds: usize,
) -> anyhow::Result<Speed> {
    let batches = flood.batches(BATCH);
    let others = others(on_file, from)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (mut rates, mut cpu_rates) = (Vec::with_capacity(rounds), Vec::with_capacity(rounds));
    let (mut notices, mut calls) = (0, BTreeMap::new());
    for _ in 0..rounds {
        let home = (AccountId::parse("000000000000")?, RegionName::parse("us-east-1")?);
        let world = World::new(home, outlets, written, in_force()?, from + SignedDuration::from_mins(30));
        world.preload(others.iter().cloned());
        let (started, worked) = (Instant::now(), worked());
        runtime.block_on(work(&world, &batches))?;
        rates.push(count(flood.events.len()) / started.elapsed().as_secs_f64());
        if let (Some(before), Some(now)) = (worked, self::worked()) {
            cpu_rates.push(count(flood.events.len()) / (now - before).as_secs_f64());
        }
        check(&world, flood, on_file)?;
        notices = world.notices(Outlet::Topic);
        calls = world.take_calls();
    }
    let (started, before) = (Instant::now(), worked());
    read(&batches)?;
    let reading = match (before, worked()) {
        (Some(before), Some(now)) => now - before,
        _ => started.elapsed(),
    };
    let events_per_second = Spread::of(&rates).context("no rounds")?;
    let events_per_cpu_second = Spread::of(&cpu_rates);
    let thousands = count(flood.events.len()) / 1000.0;
    Ok(Speed {
        outlets: outlets.to_vec(),
        written,
        on_file,
        events: flood.events.len(),
        events_per_second,
        events_per_cpu_second,
        microseconds_per_event: 1e6 / events_per_cpu_second.unwrap_or(events_per_second).p50,
        microseconds_reading: reading.as_secs_f64() * 1e6 / count(flood.events.len()),
        notices,
        calls_per_1000: calls.into_iter().map(|(name, calls)| (name, count(calls) / thousands)).collect(),
    })
}

/// How long a core has worked for this thread so far.
fn worked() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// All batches, from the text that the Runtime API hands over; then, when the windows have ended, the messages that ask to tell
/// what is held.
async fn work(world: &World, batches: &[String]) -> anyhow::Result<()> {
    let report = Report {
        store: world,
        outlets: world,
        directory: world,
        resources: world,
        queue: world,
        clock: world,
        window: WINDOW,
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

/// What `report` does with a batch before anything else.
fn read(batches: &[String]) -> anyhow::Result<()> {
    for payload in batches {
        for message in Batch::read(serde_json::from_str(payload)?).messages {
            let event = message.event.map_err(anyhow::Error::msg)?;
            std::hint::black_box(asked(&event)?);
        }
    }
    Ok(())
}

/// Nothing may be lost, or the figures would be of something that does not work.
fn check(world: &World, flood: &Flood, on_file: usize) -> anyhow::Result<()> {
    let records = world.records();
    let others = records.iter().filter(|record| record.key.resource_id.starts_with("other-")).count();
    ensure!(others == on_file, "{others} of {on_file} other records are left");
    ensure!(world.buried() == 0, "{} messages were buried", world.buried());
    for record in records.iter().filter(|record| !record.key.resource_id.starts_with("other-")) {
        ensure!(record.owed.is_empty(), "{} still owes {:?}", record.key, record.owed);
    }
    let open: BTreeMap<String, bool> = records
        .iter()
        .map(|record| (record.key.to_string(), record.status == domain::violation::Status::Open))
        .collect();
    for ((account, region, control, kind, id), expected) in &flood.expected {
        let key = format!("{account}/{region}/{control}/{kind}/{id}");
        ensure!(open.get(&key) == Some(expected), "{key} should be open: {expected}, and is {:?}", open.get(&key));
    }
    ensure!(open.len() == flood.expected.len() + on_file, "{} records", open.len());
    Ok(())
}

/// Open violations that everybody was told of.
fn others(count: usize, from: Timestamp) -> anyhow::Result<Vec<Record>> {
    let Some(sample) = Flood::new(1, from).events.pop() else { return Ok(Vec::new()) };
    let change = compliance_change(&sample)?;
    let Outcome::Store { record, .. } = apply(None, &change) else { anyhow::bail!("a first result is stored") };
    let other = |n: usize| {
        let mut record = (*record).clone();
        record.key.resource_id = format!("other-{n}");
        record
    };
    Ok((0..count).map(other).collect())
}

/// The starter policy, in force since long ago.
fn in_force() -> anyhow::Result<InForce> {
    let accounts = ["111111111111", "222222222222", "333333333333"].map(AccountId::parse);
    let regions = ["us-east-1", "eu-west-1"].map(RegionName::parse);
    let controls = [
        "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN",
        "BACKUP_LAST_RECOVERY_POINT_CREATED",
        "BACKUP_RECOVERY_POINT_ENCRYPTED",
    ];
    let variant = Variant {
        accounts: accounts.into_iter().collect::<Result<_, _>>()?,
        regions: regions.into_iter().collect::<Result<_, _>>()?,
        controls: controls.iter().map(|control| ((*control).to_owned(), BTreeMap::new())).collect(),
        since: BTreeMap::new(),
    };
    let framework = FrameworkFacts { stack_set: StackSetName::parse("backup-compliance")?, variants: vec![variant] };
    Ok(InForce { frameworks: vec![framework], ..InForce::default() })
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn count(number: usize) -> f64 {
    number as f64
}
