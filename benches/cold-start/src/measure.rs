//! One process of one function: started, invoked, weighed and ended.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use serde_json::Value;
use testkit::runtime_api::{Function, Outcome};

use crate::endpoint::Endpoint;
use crate::subject::Subject;
use bench_common::stats::Spread;

/// Invocations after the first, of which the median counts.
const WARM: usize = 9;
const PATIENCE: Duration = Duration::from_secs(30);

/// How a function reaches AWS.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) name: &'static str,
    pub(crate) endpoint: Endpoint,
    /// The file of certificates to trust; without it, whatever the machine has.
    pub(crate) certificates: Option<PathBuf>,
}

/// What one process showed. Times in milliseconds.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) start: f64,
    pub(crate) first: f64,
    pub(crate) warm: f64,
    /// In MiB, at the end; none where the kernel does not tell.
    pub(crate) memory: Option<f64>,
    /// The AWS calls of one invocation.
    pub(crate) calls: BTreeMap<String, usize>,
}

pub(crate) async fn once(subject: &Subject, transport: &Transport) -> anyhow::Result<Sample> {
    let mut launch = subject.launch.clone().env("AWS_ENDPOINT_URL", transport.endpoint.url());
    if let Some(certificates) = &transport.certificates {
        launch = launch.env("SSL_CERT_FILE", certificates).env("AWS_CA_BUNDLE", certificates);
    }
    let mut function = launch.start().await?;
    let measured = watch(&mut function, subject, transport).await;
    let log = function.stop().await;
    measured.map_err(|e| e.context(format!("it wrote:\n{}", log.join("\n"))))
}

async fn watch(function: &mut Function, subject: &Subject, transport: &Transport) -> anyhow::Result<Sample> {
    let start = match function.ready().await {
        Ok(start) => ms(start),
        Err(outcome) => bail!("it did not start: {outcome:?}"),
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
    Ok(Sample { start, first, warm, memory, calls })
}

async fn invoke(function: &mut Function, subject: &Subject) -> anyhow::Result<f64> {
    let invocation = function.invoke(&subject.event, PATIENCE).await;
    match invocation.outcome {
        // A function that gives its work back has not done it, and would look fast.
        Outcome::Response(answer) if gave_back(&answer) => bail!("it did not do its work: {answer}"),
        Outcome::Response(_) => Ok(ms(invocation.duration)),
        outcome => bail!("it did not answer: {outcome:?}"),
    }
}

fn gave_back(answer: &Value) -> bool {
    answer.get("batchItemFailures").and_then(Value::as_array).is_some_and(|failures| !failures.is_empty())
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
