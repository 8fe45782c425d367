//! `backup-compliance`: the policy and the functions from the command line.
//!
//! Exit status: 0 clean, 1 findings (a violation, a dead letter, a function that failed, an event without a notice, an inventory
//! with gaps), 2 input or an account that cannot be read or used.

mod cloud;
mod commands;
mod env_file;
mod event_file;
mod findings;
mod frameworks;
mod input;
mod output;
mod plain;
mod repository;
mod table;
mod templates;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::commands::{
    check, completions, evaluate, inventory, invoke, lint, man, notice, plan, redrive, status, violations,
};

/// Backup compliance from the command line: check a policy before it is pushed and see what the push would
/// do, see what a framework will say of templates and of what there is, read what there is, see how rollouts stand, see the notice that an event leads to, run a
/// function as Lambda would, list open violations, mend what ended in a dead-letter queue.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit status: 0 clean; 1 findings, a failed rollout, open violations, dead letters, an event without a notice, an \
                  inventory with gaps or a failed function; 2 input or an account that cannot be read or used."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Lint(lint::Args),
    Check(check::Args),
    Evaluate(evaluate::Args),
    Inventory(inventory::Args),
    Plan(plan::Args),
    Status(status::Args),
    Notice(notice::Args),
    Invoke(invoke::Args),
    Violations(violations::Args),
    Redrive(redrive::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// The forms that every command with a result has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people; in color on a terminal, unless `NO_COLOR` is set.
    Human,
    /// One JSON document.
    Json,
}

/// How a command that could do its work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Clean,
    Findings,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = run(&cli);
    match ended {
        Ok(Verdict::Clean) => ExitCode::SUCCESS,
        Ok(Verdict::Findings) => ExitCode::from(1),
        Err(error) => {
            output::problem(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<Verdict> {
    match &cli.command {
        Command::Lint(args) => lint::run(args),
        Command::Check(args) => check::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Inventory(args) => inventory::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Status(args) => status::run(args),
        Command::Notice(args) => notice::run(args),
        Command::Invoke(args) => invoke::run(args),
        Command::Violations(args) => violations::run(args),
        Command::Redrive(args) => redrive::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    }
}
