//! How much memory the real function takes for a large batch.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use jiff::Timestamp;
use sandbox::app::Build;
use serde::Serialize;
use serde_json::Value;
use testkit::runtime_api::{Launch, Outcome};

use crate::flood::Flood;
use crate::stage::Stage;

/// Messages in a batch.
const BATCH: usize = 1000;
/// Batches one after the other, by the same process.
const BATCHES: usize = 3;

/// The peak resident set.
#[derive(Debug, Serialize)]
pub(crate) struct Memory {
    pub(crate) batch: usize,
    /// The size of the function's payload.
    pub(crate) payload_bytes: usize,
    /// After the start, before any event.
    pub(crate) started_mib: f64,
    /// After each batch.
    pub(crate) peak_mib: Vec<f64>,
    pub(crate) seconds: Vec<f64>,
}

pub(crate) fn measure(stage: &Stage, root: &Path, from: Timestamp) -> anyhow::Result<Memory> {
    let bootstrap = Build::Release.directory(root).join("ReportFunction/bootstrap");
    ensure!(bootstrap.is_file(), "`{}` is not built", bootstrap.display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut function = Launch::new(&bootstrap)
            .name("memory")
            .envs(stage.cloud.environment())
            .envs(stage.variables("ReportFunction")?)
            .start()
            .await?;
        if let Err(outcome) = function.ready().await {
            bail!("report did not start: {outcome:?}\n{}", function.stop().await.join("\n"));
        }
        let started_mib = mib(function.peak_memory())?;
        let mut memory =
            Memory { batch: BATCH, payload_bytes: 0, started_mib, peak_mib: Vec::new(), seconds: Vec::new() };
        for n in 0..BATCHES {
            // Nobody has heard of these resources before.
            let flood = Flood::beginning_with(1_000_000 + n * BATCH, BATCH, from);
            stage.know(&flood);
            let payload = flood.batches(BATCH).pop().context("no batch")?;
            memory.payload_bytes = payload.len();
            let payload: Value = serde_json::from_str(&payload)?;
            let invocation = function.invoke(&payload, Duration::from_secs(300)).await;
            let failed = match &invocation.outcome {
                Outcome::Response(answer) => answer["batchItemFailures"].as_array().map_or(0, Vec::len),
                outcome => bail!("report did not answer: {outcome:?}\n{}", function.stop().await.join("\n")),
            };
            ensure!(failed == 0, "{failed} messages were handed back:\n{}", function.stop().await.join("\n"));
            memory.peak_mib.push(mib(function.peak_memory())?);
            memory.seconds.push(invocation.duration.as_secs_f64());
        }
        function.stop().await;
        Ok(memory)
    })
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52 bytes")]
fn mib(bytes: Option<u64>) -> anyhow::Result<f64> {
    Ok(bytes.context("the kernel does not tell the peak of a process's memory")? as f64 / 1_048_576.0)
}
