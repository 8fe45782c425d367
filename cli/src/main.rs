//! `backup-compliance`: the policy and the functions from the command line.
//!
//! Exit status: 0 clean, 1 findings (or a function that failed, an event without a notice), 2 input that cannot be read or used.

mod commands;
mod env_file;
mod event_file;
mod output;
mod repository;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::commands::{invoke, lint, notice};

/// Backup compliance from the command line: check a policy before it is pushed, see the notice that an event leads to, run a
/// function as Lambda would.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit status: 0 clean; 1 findings, an event without a notice or a failed function; 2 input that cannot be \
                  read or used."
)]
struct Cli {
    /// How results are written to standard output.
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    format: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Lint(lint::Args),
    Notice(notice::Args),
    Invoke(invoke::Args),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people; in colour on a terminal, unless `NO_COLOR` is set.
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
    let ended = match &cli.command {
        Command::Lint(args) => lint::run(args, cli.format),
        Command::Notice(args) => notice::run(args, cli.format),
        Command::Invoke(args) => invoke::run(args, cli.format),
    };
    match ended {
        Ok(Verdict::Clean) => ExitCode::SUCCESS,
        Ok(Verdict::Findings) => ExitCode::from(1),
        Err(error) => {
            output::problem(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}
