//! Measures how compliance changes are reported: speed, growth, a flood through the application, memory, cost, and the logic of
//! the public sample beside it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is what this program is for")]
#![allow(clippy::indexing_slicing, reason = "a tool: a panic in it harms nobody")]

mod cost;
mod findings;
mod flood;
mod memory;
mod results;
mod sample;
mod speed;
mod stage;
mod store;
mod through;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use jiff::{SignedDuration, Timestamp};
use sandbox::tools::Tools;

use crate::flood::Flood;
use crate::results::Results;
use crate::stage::Stage;

/// What can be measured.
const SECTIONS: [&str; 6] = ["throughput", "growth", "findings", "flood", "memory", "sample"];

#[derive(Debug, Parser)]
#[command(version, about)]
struct Args {
    /// Events of the flood.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(10..))]
    events: u32,
    /// Events for the logic of the public sample, which takes two calls for each.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(10..))]
    sample_events: u32,
    /// Rounds of the parts that need no cloud.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// The length of the digest window in the cloud, in seconds.
    #[arg(long, default_value_t = 30)]
    window: u32,
    /// Take the application as it was built last.
    #[arg(long)]
    no_build: bool,
    /// The root of the checkout.
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// Where to write the results as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Measure only these.
    #[arg(long, value_delimiter = ',', value_parser = SECTIONS, default_values = SECTIONS)]
    only: Vec<String>,
}

impl Args {
    fn wants(&self, section: &str) -> bool {
        self.only.iter().any(|only| only == section)
    }
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let root = args.root.canonicalize().with_context(|| format!("no folder `{}`", args.root.display()))?;
    let mut results = Results::new();
    #[expect(clippy::disallowed_methods, reason = "a measuring program reads the clock")]
    let from = Timestamp::now() - SignedDuration::from_hours(1);
    let flood = Flood::new(size(args.events), from);
    let rounds = size(args.rounds);
    if args.wants("throughput") {
        eprintln!("throughput: {} events, {rounds} rounds", flood.events.len());
        for told in speed::CHOICES {
            results.throughput.push(speed::measure(&flood, from, told, 0, rounds)?);
        }
    }
    if args.wants("growth") {
        for on_file in [1_000, 10_000, 100_000] {
            eprintln!("growth: {on_file} records on file");
            results.growth.push(speed::measure(&flood, from, (&speed::USUAL, true), on_file, rounds)?);
        }
    }
    if args.wants("findings") {
        eprintln!("findings: an import in each account and Region");
        results.findings = Some(findings::measure(from)?);
    }
    if ["flood", "memory", "sample"].iter().any(|section| args.wants(section)) {
        let tools = Tools::ensure(&root, &mut |line| eprintln!("{line}"))?;
        let stage = Stage::up(&root, &tools, !args.no_build, args.window)?;
        if args.wants("flood") {
            eprintln!("flood: {} events", flood.events.len());
            let through = through::run(&stage, &flood)?;
            results.cost = Some(cost::of(&through)?);
            results.flood = Some(through);
        }
        if args.wants("memory") {
            eprintln!("memory");
            results.memory = Some(memory::measure(&stage, &root, from)?);
        }
        if args.wants("sample") {
            eprintln!("sample: {} events", args.sample_events);
            // Resources that the application has not heard of, so that the two do not meet.
            let events = Flood::beginning_with(2_000_000, size(args.sample_events), from);
            results.sample = Some(sample::run(&stage, &root, &events)?);
        }
        let left = stage.cloud.stop();
        anyhow::ensure!(left.is_empty(), "still running: {left:?}");
    }
    results.judge();
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&results)?;
        std::fs::write(path, text + "\n").with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    println!("{}", results.render());
    Ok(())
}

fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
