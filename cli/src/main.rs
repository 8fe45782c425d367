//! The command line `backup-compliance`. Each command is a module of [`commands`].

mod cloud;
mod commands;
mod env_file;
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
    check, completions, evaluate, inventory, invoke, lint, man, notice, plan, preview, redrive, status, violations,
};

/// Check, plan and operate backup compliance policies.
///
/// Before a push, `lint`, `check`, `evaluate`, `plan` and `preview` show errors and effects of a policy. For a deployed application, `status`,
/// `violations`, `inventory` and `redrive` read and repair its state. `notice` and `invoke` run the functions locally.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit status: 0 success; 1 findings, a failed rollout, open violations, dead letters, an event without a notice, an \
                  incomplete inventory or a failed function; 2 invalid input, or AWS access failed."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Lint(lint::LintArgs),
    Check(check::CheckArgs),
    Evaluate(evaluate::EvaluateArgs),
    Inventory(inventory::InventoryArgs),
    Plan(plan::PlanArgs),
    Preview(preview::PreviewArgs),
    Status(status::StatusArgs),
    Notice(notice::NoticeArgs),
    Invoke(invoke::InvokeArgs),
    Violations(violations::ViolationsArgs),
    Redrive(redrive::RedriveArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// The output formats of most commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OutputFormat {
    /// Text; in color on a terminal, unless `NO_COLOR` is set.
    Human,
    /// One JSON document.
    Json,
}

/// The result of a command that ran without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CommandOutcome {
    Clean,
    Findings,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(CommandOutcome::Clean) => ExitCode::SUCCESS,
        Ok(CommandOutcome::Findings) => ExitCode::from(1),
        Err(error) => {
            output::error(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<CommandOutcome> {
    match &cli.command {
        Command::Lint(args) => lint::run(args),
        Command::Check(args) => check::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Inventory(args) => inventory::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Preview(args) => preview::run(args),
        Command::Status(args) => status::run(args),
        Command::Notice(args) => notice::run(args),
        Command::Invoke(args) => invoke::run(args),
        Command::Violations(args) => violations::run(args),
        Command::Redrive(args) => redrive::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    }
}
