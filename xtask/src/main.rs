//! Tasks of this repository: `cargo xtask <command>`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a tool for people at a terminal: it prints, reads the clock and the environment, and a panic in it harms nobody"
)]

mod bench;
mod clock;
mod demo;
mod fuzz;
mod progress;
mod sandbox;
mod setup;
mod test;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Tasks of this repository", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The local cloud: start it with the application in it, look at it, stop it
    Sandbox(sandbox::Arguments),
    /// The story from `git push` to a notice, in a local cloud: told, shown and checked
    Demo(demo::Arguments),
    Test(test::Arguments),
    Fuzz(fuzz::Arguments),
    /// Measurements
    #[command(subcommand)]
    Bench(Bench),
}

#[derive(Subcommand)]
enum Bench {
    ColdStart(bench::ColdStart),
    Policy(bench::Policy),
    Report(bench::Report),
    Rollout(bench::Rollout),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Sandbox(arguments) => sandbox::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Bench(Bench::ColdStart(arguments)) => bench::cold_start(&arguments),
        Command::Bench(Bench::Policy(arguments)) => bench::policy(&arguments),
        Command::Bench(Bench::Report(arguments)) => bench::report(&arguments),
        Command::Bench(Bench::Rollout(arguments)) => bench::rollout(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
