//! Compares functions: start, first and later invocations over HTTP and TLS, memory and size.
//!
//! A program separate from `xtask`: it is compiled with optimizations, because a slow server would distort the
//! results, and the other commands do not build its TLS stack.
#![expect(clippy::print_stdout, reason = "this program prints a table")]

mod endpoint;
mod figures;
mod machine;
mod measure;
mod results;
mod subject;
mod table;
mod targets;
mod zip;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use bench_common::write_json;

use crate::endpoint::Endpoint;
use crate::measure::Transport;
use crate::results::ColdStartResults;
use crate::subject::BenchFunction;

#[derive(Debug, Parser)]
#[command(version, about)]
struct ColdStartArgs {
    /// Measured rounds; each starts each function once per transport. One more round before them is not counted.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Root of the checkout.
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// Python with boto3 and awslambdaric for the comparison.
    #[arg(long)]
    python: PathBuf,
    /// File for the results, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Measure only these; the ratios need `floor` and `python`.
    #[arg(long, value_delimiter = ',', value_parser = subject::NAMES, default_values = subject::NAMES)]
    only: Vec<String>,
}

fn main() -> anyhow::Result<()> {
    let args = ColdStartArgs::parse();
    // One thread: a function does not compete with this process for the second core.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(args))
}

async fn run(args: ColdStartArgs) -> anyhow::Result<()> {
    let root = args.root.canonicalize().with_context(|| format!("no folder `{}`", args.root.display()))?;
    let subjects = subject::chosen(&root, &args.python, &args.only)?;

    let folder = tempfile::tempdir()?;
    let authority = folder.path().join("authority.pem");
    let transports = [
        Transport { name: "http", endpoint: Endpoint::http().await?, certificates: Some(bundle(folder.path())?) },
        Transport {
            name: "tls",
            endpoint: Endpoint::tls(&authority).await.context("cannot set up TLS")?,
            certificates: Some(authority),
        },
        Transport { name: "directory", endpoint: Endpoint::http().await?, certificates: None },
    ];

    let mut results = ColdStartResults::new(machine::describe(&args.python).await, args.rounds);
    for subject in &subjects {
        results.add(subject, zip::size(&args.python, subject).await?);
    }
    let bar = progress(u64::from(args.rounds) + 1);
    for round in 0..=args.rounds {
        bar.set_message(if round == 0 { "warming up".to_owned() } else { format!("round {round}") });
        for transport in &transports {
            for subject in &subjects {
                let sample = measure::once(subject, transport).await.with_context(|| failed(subject, transport))?;
                // The first round fills the page cache and Python's bytecode cache.
                if round > 0 {
                    results.record(subject, transport.name, sample);
                }
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();

    let report = results.summary();
    print!("{}", table::render(&report));
    if let Some(path) = &args.json {
        write_json(path, &report)?;
        println!("\nThe results as JSON: {}", path.display());
    }
    Ok(())
}

/// Copies the machine's certificate bundle, which the image of `provided.al2023` has at
/// `/etc/pki/tls/certs/ca-bundle.crt`. Debian also has a directory with 150 certificate files, which a function on
/// Lambda does not find.
fn bundle(folder: &Path) -> anyhow::Result<PathBuf> {
    const KNOWN: [&str; 2] = ["/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt"];
    let known = KNOWN.iter().map(Path::new).find(|path| path.is_file());
    let known = known.with_context(|| format!("none of the certificate bundles exists: {}", KNOWN.join(", ")))?;
    let copy = folder.join("ca-bundle.crt");
    std::fs::copy(known, &copy).with_context(|| format!("cannot copy `{}`", known.display()))?;
    Ok(copy)
}

fn failed(subject: &BenchFunction, transport: &Transport) -> String {
    format!("cannot measure `{}` over {}", subject.name, transport.name)
}

fn progress(length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {msg}, {eta} left") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_secs(1));
    bar
}
