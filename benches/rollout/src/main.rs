//! Measures rollouts: plans of large fleets, the AWS calls of an unchanged push, and schedules of the StackSets
//! simulator.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this program prints tables")]

mod calls;
mod fleet;
mod planning;
mod results;
mod schedules;

use std::path::PathBuf;

use clap::Parser;

use bench_common::write_json;

use crate::results::RolloutResults;

/// The sections of the benchmark.
const SECTIONS: [&str; 3] = ["planning", "calls", "simulator"];
/// Instances of the planned fleets; ten times more at each step, to measure growth.
const PLANNED: [usize; 3] = [1_000, 10_000, 100_000];
/// Instances of the fleets of the unchanged push.
const PUSHED: [usize; 3] = [10, 1_000, 100_000];

#[derive(Debug, Parser)]
#[command(version, about)]
struct RolloutArgs {
    /// Measured plans per fleet, each in a process of its own.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Schedules that the simulator runs.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..))]
    schedules: u32,
    /// File for the results, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Measure only these.
    #[arg(long, value_delimiter = ',', value_parser = SECTIONS, default_values = SECTIONS)]
    only: Vec<String>,
    /// Plan a fleet of this many instances once, and print the figures as JSON; each round runs this.
    #[arg(long, hide = true)]
    plan: Option<usize>,
}

fn main() -> anyhow::Result<()> {
    let args = RolloutArgs::parse();
    if let Some(instances) = args.plan {
        println!("{}", serde_json::to_string(&planning::once(instances)?)?);
        return Ok(());
    }
    let includes = |section: &str| args.only.iter().any(|only| only == section);
    let mut results = RolloutResults::new();
    if includes("planning") {
        for instances in PLANNED {
            eprintln!("planning: {instances} instances, {} rounds", args.rounds);
            results.planning.push(planning::measure(instances, args.rounds)?);
        }
    }
    if includes("calls") {
        for instances in PUSHED {
            eprintln!("calls: {instances} instances");
            results.calls.push(calls::measure(instances)?);
        }
    }
    if includes("simulator") {
        eprintln!("simulator: {} schedules", args.schedules);
        results.schedules = Some(schedules::measure(args.schedules)?);
    }
    results.check_targets();
    if let Some(path) = &args.json {
        write_json(path, &results)?;
    }
    println!("{}", results.render());
    Ok(())
}

/// Runs a future that needs no I/O.
fn wait<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().build()?.block_on(work)
}
