//! Measures the reporting of compliance changes: throughput, growth, a flood through the application, memory, cost,
//! and the logic of the public sample.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this program prints tables")]
#![allow(clippy::indexing_slicing, reason = "a benchmark may panic")]

mod application;
mod cost;
mod findings;
mod flood;
mod memory;
mod ports;
mod results;
mod run;
mod sample;
mod throughput;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use jiff::{SignedDuration, Timestamp};

use bench_common::write_json;
use sandbox::tools::Tools;

use crate::application::DeployedApplication;
use crate::flood::Flood;
use crate::results::ReportResults;

/// The sections of the benchmark.
const SECTIONS: [&str; 6] = ["throughput", "growth", "findings", "flood", "memory", "sample"];

#[derive(Debug, Parser)]
#[command(version, about)]
struct ReportArgs {
    /// Events of the flood.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(10..))]
    events: u32,
    /// Events for the public sample, which needs two calls for each.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(10..))]
    sample_events: u32,
    /// Rounds of the sections without a cloud.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Digest window in the cloud, in seconds.
    #[arg(long, default_value_t = 30)]
    window: u32,
    /// Use the application of the last build.
    #[arg(long)]
    no_build: bool,
    /// Root of the checkout.
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// File for the results, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Measure only these.
    #[arg(long, value_delimiter = ',', value_parser = SECTIONS, default_values = SECTIONS)]
    only: Vec<String>,
}

impl ReportArgs {
    fn includes(&self, section: &str) -> bool {
        self.only.iter().any(|only| only == section)
    }
}

fn main() -> anyhow::Result<()> {
    let args = ReportArgs::parse();
    let root = args.root.canonicalize().with_context(|| format!("no folder `{}`", args.root.display()))?;
    let mut results = ReportResults::new();
    #[expect(clippy::disallowed_methods, reason = "a measuring program reads the clock")]
    let from = Timestamp::now() - SignedDuration::from_hours(1);
    let flood = Flood::new(size(args.events), from);
    let rounds = size(args.rounds);
    if args.includes("throughput") {
        eprintln!("throughput: {} events, {rounds} rounds", flood.events.len());
        for channels in throughput::CHOICES {
            results.throughput.push(throughput::measure(&flood, from, channels, 0, rounds)?);
        }
    }
    if args.includes("growth") {
        for stored in [1_000, 10_000, 100_000] {
            eprintln!("growth: {stored} records on file");
            results.growth.push(throughput::measure(&flood, from, (&throughput::USUAL, true), stored, rounds)?);
        }
    }
    if args.includes("findings") {
        eprintln!("findings: an import in each account and Region");
        results.findings = Some(findings::measure(from)?);
    }
    if ["flood", "memory", "sample"].iter().any(|section| args.includes(section)) {
        let tools = Tools::ensure(&root, &mut |line| eprintln!("{line}"))?;
        let application = DeployedApplication::up(&root, &tools, !args.no_build, args.window)?;
        if args.includes("flood") {
            eprintln!("flood: {} events", flood.events.len());
            let run = run::run(&application, &flood)?;
            results.cost = Some(cost::of(&run)?);
            results.flood = Some(run);
        }
        if args.includes("memory") {
            eprintln!("memory");
            results.memory = Some(memory::measure(&application, &root, from)?);
        }
        if args.includes("sample") {
            eprintln!("sample: {} events", args.sample_events);
            // Other resources than those of the flood.
            let events = Flood::beginning_with(2_000_000, size(args.sample_events), from);
            results.sample = Some(sample::run(&application, &root, &events)?);
        }
        let left = application.cloud.stop();
        anyhow::ensure!(left.is_empty(), "processes are still running: {left:?}");
    }
    results.check_targets();
    if let Some(path) = &args.json {
        write_json(path, &results)?;
    }
    println!("{}", results.render());
    Ok(())
}

fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
