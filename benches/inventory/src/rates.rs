//! The rates of AWS and the retries of the SDK, in virtual time.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use app::ports::{PortError, PortErrorKind, Result};

/// Attempts at a call, as in the adapter.
const ATTEMPTS: u32 = 8;
/// The longest pause between attempts, in seconds; the first is up to one second (standard mode of the SDK).
const LONGEST: f64 = 20.0;
/// Calls a second of all operations of AWS Backup together, for an account and Region.
/// [AWS](https://docs.aws.amazon.com/general/latest/gr/bk.html)
const ALL: f64 = 50.0;

/// Calls a second of an operation of AWS Backup in an account and Region, by the same page. It does not list `DescribeRegionSettings`,
/// which gets the lowest rate, nor do other services document rates.
fn rate(operation: &str) -> Option<f64> {
    Some(match operation {
        "backup:DescribeRegionSettings" | "backup:DescribeBackupVault" => 5.0,
        "backup:DescribeProtectedResource" => 10.0,
        "backup:GetBackupPlan" | "backup:GetBackupSelection" | "backup:GetBackupVaultAccessPolicy" => 15.0,
        operation if operation.starts_with("backup:List") => 20.0,
        _ => return None,
    })
}

/// A bucket of tokens, full at first, that holds those of one second.
#[derive(Debug)]
struct TokenBucket {
    tokens: f64,
    rate: f64,
    filled: Instant,
}

impl TokenBucket {
    fn new(rate: f64) -> Self {
        Self { tokens: rate, rate, filled: Instant::now() }
    }

    fn fill(&mut self) {
        let now = Instant::now();
        let more = now.duration_since(self.filled).as_secs_f64() * self.rate;
        self.tokens = (self.tokens + more).min(self.rate);
        self.filled = now;
    }
}

/// Counts of calls.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallCounts {
    /// Answered calls by operation.
    pub(crate) calls: BTreeMap<&'static str, usize>,
    /// Attempts that were throttled.
    pub(crate) throttled: usize,
    /// Calls whose last attempt was throttled.
    pub(crate) failed: usize,
}

#[derive(Debug, Default)]
struct RateState {
    buckets: BTreeMap<(String, &'static str), TokenBucket>,
    counts: CallCounts,
    random: u64,
}

/// The rates of all accounts and Regions.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<RateState>);

impl Rates {
    fn state(&self) -> MutexGuard<'_, RateState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn counts(&self) -> CallCounts {
        self.state().counts.clone()
    }

    /// Makes a call with its retries. `at` is the account and Region whose rate applies.
    pub(crate) async fn call(&self, at: &str, operation: &'static str, latency: Duration) -> Result<()> {
        for attempt in 0..ATTEMPTS {
            sleep(latency).await;
            if self.state().admits(at, operation) {
                return Ok(());
            }
            let pause = 2_f64.powi(i32::try_from(attempt).unwrap_or_default()) * self.state().fraction();
            sleep(Duration::from_secs_f64(pause.min(LONGEST))).await;
        }
        self.state().counts.failed += 1;
        let code = Some("ThrottlingException".to_owned());
        let message = "Rate exceeded".to_owned();
        Err(PortError { operation, code, message, request_id: None, kind: PortErrorKind::Retryable })
    }
}

impl RateState {
    fn admits(&mut self, at: &str, operation: &'static str) -> bool {
        let Some(rate) = rate(operation) else {
            *self.counts.calls.entry(operation).or_default() += 1;
            return true;
        };
        let keys = [((at.to_owned(), operation), rate), ((at.to_owned(), "all"), ALL)];
        let mut admitted = true;
        for (key, rate) in &keys {
            let bucket = self.buckets.entry(key.clone()).or_insert_with(|| TokenBucket::new(*rate));
            bucket.fill();
            admitted &= bucket.tokens >= 1.0;
        }
        if !admitted {
            self.counts.throttled += 1;
            return false;
        }
        for (key, _) in &keys {
            if let Some(bucket) = self.buckets.get_mut(key) {
                bucket.tokens -= 1.0;
            }
        }
        *self.counts.calls.entry(operation).or_default() += 1;
        true
    }

    /// Pseudorandom, from 0 to 1: equal in every run.
    fn fraction(&mut self) -> f64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.random >> 32).unwrap_or_default()) / f64::from(u32::MAX)
    }
}
