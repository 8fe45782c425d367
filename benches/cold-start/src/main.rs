//! Measures functions side by side: start, first and later invocations over HTTP and TLS, memory and size.
//!
//! A program of its own and not part of `xtask`: it is compiled with optimisations, because a slow server would be
//! measured along with the functions, and its TLS stack stays out of every other command's build.
#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

mod endpoint;
mod machine;
mod measure;
mod reach;
mod results;
mod subject;
mod table;
mod zip;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use crate::endpoint::Endpoint;
use crate::measure::Transport;
use crate::results::Results;
use crate::subject::Subject;

#[derive(Debug, Parser)]
#[command(version, about)]
struct Args {
    /// Measured rounds; each starts every function once per transport. One more round before them is not counted.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// The root of the checkout.
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// The Python with boto3 and awslambdaric that runs the comparison.
    #[arg(long)]
    python: PathBuf,
    /// Where to write the results as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Measure only these; the ratios need `floor` and `python`.
    #[arg(long, value_delimiter = ',', value_parser = subject::NAMES, default_values = subject::NAMES)]
    only: Vec<String>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    // One thread: while a function works, nothing here competes with it for the second core.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(args))
}

async fn run(args: Args) -> anyhow::Result<()> {
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

    let mut results = Results::new(machine::describe(&args.python).await, args.rounds);
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
        let json = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, json + "\n").with_context(|| format!("cannot write `{}`", path.display()))?;
        println!("\nAll of this as JSON: {}", path.display());
    }
    Ok(())
}

/// The certificates of this machine in one file, as the image of `provided.al2023` has them at `/etc/pki/tls/certs/ca-bundle.crt`.
/// Debian has the same in a file, and beside it in a directory of 150 files, which a function on Lambda does not find.
fn bundle(folder: &Path) -> anyhow::Result<PathBuf> {
    const KNOWN: [&str; 2] = ["/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt"];
    let known = KNOWN.iter().map(Path::new).find(|path| path.is_file());
    let known = known.with_context(|| format!("this machine has no bundle of certificates: {}", KNOWN.join(", ")))?;
    let copy = folder.join("ca-bundle.crt");
    std::fs::copy(known, &copy).with_context(|| format!("cannot copy `{}`", known.display()))?;
    Ok(copy)
}

fn failed(subject: &Subject, transport: &Transport) -> String {
    format!("`{}` over {} could not be measured", subject.name, transport.name)
}

fn progress(length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {msg}, {eta} left") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_secs(1));
    bar
}
