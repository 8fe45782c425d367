//! The memory of the real function for a large batch.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use runtime_api::{InvocationOutcome, Launch};
use sandbox::app::Build;

use crate::application::DeployedApplication;
use crate::flood::Flood;

/// Messages per batch.
const BATCH: usize = 1000;
/// Batches in sequence by the same process.
const BATCHES: usize = 3;

/// The peak resident set.
#[derive(Debug, Serialize)]
pub(crate) struct MemoryUse {
    pub(crate) batch: usize,
    /// The size of the function's payload.
    pub(crate) payload_bytes: usize,
    /// After the start, before the first event.
    pub(crate) started_mib: f64,
    /// After each batch.
    pub(crate) peak_mib: Vec<f64>,
    pub(crate) seconds: Vec<f64>,
}

pub(crate) fn measure(application: &DeployedApplication, root: &Path, from: Timestamp) -> anyhow::Result<MemoryUse> {
    let bootstrap = Build::Release.directory(root).join("ReportFunction/bootstrap");
    ensure!(bootstrap.is_file(), "`{}` is not built", bootstrap.display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut function = Launch::new(&bootstrap)
            .name("memory")
            .envs(application.cloud.environment())
            .envs(application.variables("ReportFunction")?)
            .start()
            .await?;
        if let Err(outcome) = function.ready().await {
            bail!("report did not start: {outcome:?}\n{}", function.stop().await.join("\n"));
        }
        let started_mib = mib(function.peak_memory())?;
        let mut memory =
            MemoryUse { batch: BATCH, payload_bytes: 0, started_mib, peak_mib: Vec::new(), seconds: Vec::new() };
        for n in 0..BATCHES {
            // New resources in each batch.
            let flood = Flood::beginning_with(1_000_000 + n * BATCH, BATCH, from);
            application.add_resources(&flood);
            let payload = flood.batches(BATCH).pop().context("no batch")?;
            memory.payload_bytes = payload.len();
            let payload: Value = serde_json::from_str(&payload)?;
            let invocation = function.invoke(&payload, Duration::from_secs(300)).await;
            let failed = match &invocation.outcome {
                InvocationOutcome::Response(answer) => answer["batchItemFailures"].as_array().map_or(0, Vec::len),
                outcome => bail!("report did not respond: {outcome:?}\n{}", function.stop().await.join("\n")),
            };
            ensure!(failed == 0, "{failed} messages failed:\n{}", function.stop().await.join("\n"));
            memory.peak_mib.push(mib(function.peak_memory())?);
            memory.seconds.push(invocation.duration.as_secs_f64());
        }
        function.stop().await;
        Ok(memory)
    })
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52 bytes")]
fn mib(bytes: Option<u64>) -> anyhow::Result<f64> {
    Ok(bytes.context("the kernel does not report peak memory")? as f64 / 1_048_576.0)
}
