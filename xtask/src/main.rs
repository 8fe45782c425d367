//! Tasks of this repository: `cargo xtask <command>`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a developer tool: it prints, reads the clock and the environment, and may panic"
)]

mod bench;
mod clock;
mod demo;
mod fuzz;
mod progress;
mod release;
mod sandbox;
mod setup;
mod test;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Tasks of this repository", disable_help_subcommand = true)]
struct XtaskArguments {
    #[command(subcommand)]
    command: XtaskCommand,
}

#[derive(Subcommand)]
enum XtaskCommand {
    /// Start, show and stop local clouds
    Sandbox(sandbox::SandboxArguments),
    /// Run the product's story in a local cloud
    ///
    /// Deploys the application, pushes policies and prints the notices. Each step is checked. Exit status 1 if a
    /// check fails.
    Demo(demo::DemoArguments),
    Test(test::TestArguments),
    Fuzz(fuzz::FuzzArguments),
    Release(release::ReleaseArguments),
    /// Run benchmarks
    #[command(subcommand)]
    Bench(BenchCommand),
}

#[derive(Subcommand)]
enum BenchCommand {
    ColdStart(bench::ColdStartArguments),
    Inventory(bench::InventoryArguments),
    Policy(bench::PolicyArguments),
    Report(bench::ReportArguments),
    Rollout(bench::RolloutArguments),
}

fn main() -> ExitCode {
    let outcome = match XtaskArguments::parse().command {
        XtaskCommand::Sandbox(arguments) => sandbox::run(&arguments),
        XtaskCommand::Demo(arguments) => demo::run(&arguments),
        XtaskCommand::Test(arguments) => test::run(&arguments),
        XtaskCommand::Fuzz(arguments) => fuzz::run(&arguments),
        XtaskCommand::Release(arguments) => release::run(&arguments),
        XtaskCommand::Bench(BenchCommand::ColdStart(arguments)) => bench::cold_start(&arguments),
        XtaskCommand::Bench(BenchCommand::Inventory(arguments)) => bench::inventory(&arguments),
        XtaskCommand::Bench(BenchCommand::Policy(arguments)) => bench::policy(&arguments),
        XtaskCommand::Bench(BenchCommand::Report(arguments)) => bench::report(&arguments),
        XtaskCommand::Bench(BenchCommand::Rollout(arguments)) => bench::rollout(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
