//! Measures rollouts: planning a large fleet, what an unchanged push asks of AWS, and how many schedules of faults the simulator of
//! StackSets runs through.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is what this program is for")]

mod calls;
mod fleet;
mod planning;
mod results;
mod schedules;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;

use crate::results::Results;

/// What can be measured.
const SECTIONS: [&str; 3] = ["planning", "calls", "simulator"];
/// Instances of the fleets that are planned; each ten times the one before, so that growth shows.
const PLANNED: [usize; 3] = [1_000, 10_000, 100_000];
/// Instances of the fleets that an unchanged push is for.
const PUSHED: [usize; 3] = [10, 1_000, 100_000];

#[derive(Debug, Parser)]
#[command(version, about)]
struct Args {
    /// Measured plans of each fleet, each in a process of its own.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Schedules that the simulator runs.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..))]
    schedules: u32,
    /// Where to write the results as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Measure only these.
    #[arg(long, value_delimiter = ',', value_parser = SECTIONS, default_values = SECTIONS)]
    only: Vec<String>,
    /// Plan a fleet of so many instances once, and write the figures as JSON: what each round runs.
    #[arg(long, hide = true)]
    plan: Option<usize>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(instances) = args.plan {
        println!("{}", serde_json::to_string(&planning::once(instances)?)?);
        return Ok(());
    }
    let wants = |section: &str| args.only.iter().any(|only| only == section);
    let mut results = Results::new();
    if wants("planning") {
        for instances in PLANNED {
            eprintln!("planning: {instances} instances, {} rounds", args.rounds);
            results.planning.push(planning::measure(instances, args.rounds)?);
        }
    }
    if wants("calls") {
        for instances in PUSHED {
            eprintln!("calls: {instances} instances");
            results.calls.push(calls::measure(instances)?);
        }
    }
    if wants("simulator") {
        eprintln!("simulator: {} schedules", args.schedules);
        results.schedules = Some(schedules::measure(args.schedules)?);
    }
    results.judge();
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&results)?;
        std::fs::write(path, text + "\n").with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    println!("{}", results.render());
    Ok(())
}

/// Runs what waits for nothing but itself.
fn wait<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().build()?.block_on(work)
}
