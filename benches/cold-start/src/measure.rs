//! Measures one process of one function.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use serde_json::Value;

use bench_common::stats::Spread;
use runtime_api::{Function, InvocationOutcome};

use crate::endpoint::Endpoint;
use crate::subject::BenchFunction;

/// The number of invocations after the first, for their median.
const WARM: usize = 9;
const PATIENCE: Duration = Duration::from_secs(30);

/// The connection of a function to AWS.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) name: &'static str,
    pub(crate) endpoint: Endpoint,
    /// The file of trusted certificates; `None`: the machine's default.
    pub(crate) certificates: Option<PathBuf>,
}

/// The figures of one process. Times in milliseconds.
#[derive(Debug)]
pub(crate) struct ProcessSample {
    pub(crate) start: f64,
    pub(crate) first: f64,
    pub(crate) warm: f64,
    /// Peak memory in MiB; `None` if the kernel does not report it.
    pub(crate) memory: Option<f64>,
    /// The AWS calls of one invocation.
    pub(crate) calls: BTreeMap<String, usize>,
}

pub(crate) async fn once(subject: &BenchFunction, transport: &Transport) -> anyhow::Result<ProcessSample> {
    let mut launch = subject.launch.clone().env("AWS_ENDPOINT_URL", transport.endpoint.url());
    if let Some(certificates) = &transport.certificates {
        launch = launch.env("SSL_CERT_FILE", certificates).env("AWS_CA_BUNDLE", certificates);
    }
    let mut function = launch.start().await?;
    let measured = watch(&mut function, subject, transport).await;
    let log = function.stop().await;
    measured.map_err(|e| e.context(format!("the log of the function:\n{}", log.join("\n"))))
}

async fn watch(
    function: &mut Function,
    subject: &BenchFunction,
    transport: &Transport,
) -> anyhow::Result<ProcessSample> {
    let start = match function.ready().await {
        Ok(start) => ms(start),
        Err(outcome) => bail!("the function did not start: {outcome:?}"),
    };
    transport.endpoint.forget_calls();
    let first = invoke(function, subject).await?;
    let calls = transport.endpoint.calls();
    let mut warm = Vec::with_capacity(WARM);
    for _ in 0..WARM {
        warm.push(invoke(function, subject).await?);
    }
    let warm = Spread::of(&warm).map_or(first, |spread| spread.p50);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 bytes")]
    let memory = function.peak_memory().map(|bytes| bytes as f64 / 1_048_576.0);
    Ok(ProcessSample { start, first, warm, memory, calls })
}

async fn invoke(function: &mut Function, subject: &BenchFunction) -> anyhow::Result<f64> {
    let invocation = function.invoke(&subject.event, PATIENCE).await;
    match invocation.outcome {
        // A function that returns its messages to the queue would look fast.
        InvocationOutcome::Response(answer) if has_failures(&answer) => {
            bail!("the function returned messages: {answer}")
        }
        InvocationOutcome::Response(_) => Ok(ms(invocation.duration)),
        outcome => bail!("the function did not respond: {outcome:?}"),
    }
}

fn has_failures(answer: &Value) -> bool {
    answer.get("batchItemFailures").and_then(Value::as_array).is_some_and(|failures| !failures.is_empty())
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
