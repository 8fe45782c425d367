//! The invocations until an inventory is stored.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::{Instant, sleep, sleep_until};

use app::inventory::{InventoryEnv, InventoryRenewal, InventoryScope, ReadRequest, RenewalEnd};
use app::ports::Clock;
use bench_common::process::status_mib;
use testkit::world::World;

use crate::cloud::StandIn;
use crate::organization::{Organization, OrganizationSize};
use crate::rates::{CallCounts, Rates};

/// The time of an invocation until it stores its reads: Lambda's 15 minutes without the reserve of the function.
pub(crate) const INVOCATION: Duration = Duration::from_secs(900 - 90);
/// The interval of the schedule.
const RATE: Duration = Duration::from_secs(3600);
/// Locations that are read concurrently, as in the function.
pub(crate) const JOBS: usize = 32;
/// Invocations after which the run is given up.
const MOST: usize = 12;

/// The figures of a run.
#[derive(Debug, Serialize)]
pub(crate) struct RenewalRun {
    /// Seconds of each invocation, in virtual time.
    pub(crate) invocations: Vec<f64>,
    /// Seconds from the first call until the inventory is stored, in virtual time.
    pub(crate) seconds: f64,
    pub(crate) calls: usize,
    pub(crate) throttled: usize,
    pub(crate) failed: usize,
    pub(crate) locations: usize,
    pub(crate) document_bytes: usize,
    pub(crate) packed_bytes: usize,
    /// The largest partial inventory.
    pub(crate) partial_bytes: usize,
    /// The peak memory of this process, including the stand-in.
    pub(crate) peak_mib: Option<f64>,
    /// Seconds of this machine.
    pub(crate) real_seconds: f64,
}

#[derive(Debug, Clone, Copy)]
struct VirtualClock {
    started: Instant,
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        let since = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(1_796_000_000_000_i64.saturating_add(since)).unwrap_or(Timestamp::MAX)
    }
}

#[derive(Debug)]
struct Bench<'a>(std::marker::PhantomData<&'a ()>);

impl<'a> InventoryEnv for Bench<'a> {
    type Store = World;
    type Aggregator = &'a StandIn;
    type Members = &'a StandIn;
    type Clock = VirtualClock;
}

pub(crate) fn measure(size: OrganizationSize) -> anyhow::Result<RenewalRun> {
    let real = std::time::Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let mut run = runtime.block_on(renew(size))?;
    run.real_seconds = real.elapsed().as_secs_f64();
    run.peak_mib = status_mib("VmHWM:");
    Ok(run)
}

async fn renew(size: OrganizationSize) -> anyhow::Result<RenewalRun> {
    let cloud = StandIn { organization: Organization::new(size)?, rates: Rates::default() };
    let clock = VirtualClock { started: Instant::now() };
    let store = World::new();
    let renewal = InventoryRenewal::<Bench<'_>> {
        request: ReadRequest {
            aggregator: "organization".to_owned(),
            role: Some("backup-compliance-inventory".to_owned()),
            scope: InventoryScope::default(),
        },
        jobs: JOBS,
        store: store.clone(),
        aggregator: &cloud,
        members: Some(&cloud),
        clock,
    };
    let (mut invocations, mut locations, mut partial_bytes) = (Vec::new(), 0, 0);
    let (document, seconds) = loop {
        ensure!(
            invocations.len() < MOST,
            "no inventory after {MOST} invocations; the last reads: {:?}",
            cloud.rates.counts()
        );
        store.state().now = clock.now();
        let began = Instant::now();
        let renewed = renewal.run(sleep(INVOCATION)).await.map_err(|error| anyhow::anyhow!("{error}"))?;
        invocations.push(began.elapsed().as_secs_f64());
        locations += renewed.locations;
        partial_bytes = partial_bytes.max(store.state().partial_inventory.as_ref().map_or(0, String::len));
        match renewed.end {
            RenewalEnd::Stored => {
                ensure!(renewed.failed_reads == 0, "failed reads: {:?}", renewed.failures);
                let stored = store.state().inventory.take().context("no document")?;
                break (stored.text, clock.started.elapsed().as_secs_f64());
            }
            RenewalEnd::Stopped => sleep_until(began + RATE).await,
            RenewalEnd::Fresh => bail!("there was no inventory before"),
        }
    };
    ensure!(locations == size.locations(), "{locations} locations were read, each of {} once", size.locations());
    let CallCounts { calls, throttled, failed } = cloud.rates.counts();
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(document.as_bytes())?;
    Ok(RenewalRun {
        invocations,
        seconds,
        calls: calls.values().sum(),
        throttled,
        failed,
        locations,
        document_bytes: document.len(),
        packed_bytes: packed.finish()?.len(),
        partial_bytes,
        peak_mib: None,
        real_seconds: 0.0,
    })
}
