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
    /// How results are written to standard output.
    #[arg(long, global = true, value_enum, default_value_t = AnyFormat::Human)]
    format: AnyFormat,
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

/// Every form in which a result can be had from some command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AnyFormat {
    /// For people; in colour on a terminal, unless `NO_COLOR` is set.
    Human,
    /// One JSON document.
    Json,
    /// For spreadsheets; `violations` only.
    Csv,
    /// SARIF 2.1.0, for code scanning and editors; `lint`, `check` and `evaluate` only.
    Sarif,
    /// Annotations of GitHub Actions; `lint` and `check` only.
    Github,
}

/// The forms that every command has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Human,
    Json,
}

impl AnyFormat {
    /// Refuses the forms of findings in files.
    fn not_of_lint(self) -> anyhow::Result<()> {
        match self {
            Self::Human | Self::Json | Self::Csv => Ok(()),
            Self::Sarif | Self::Github => {
                anyhow::bail!(
                    "only `lint`, `check` and `evaluate` have SARIF or annotations of GitHub: use --format json"
                )
            }
        }
    }

    /// For a command whose result is no table.
    fn without_csv(self) -> anyhow::Result<Format> {
        self.not_of_lint()?;
        match self {
            Self::Human => Ok(Format::Human),
            Self::Json | Self::Sarif | Self::Github => Ok(Format::Json),
            Self::Csv => anyhow::bail!("this command has no CSV, only `violations` has: use --format json"),
        }
    }
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
    let format = cli.format;
    match &cli.command {
        Command::Lint(args) => lint::run(args, format),
        Command::Check(args) => check::run(args, format),
        Command::Evaluate(args) => evaluate::run(args, format),
        Command::Inventory(args) => inventory::run(args, format.without_csv()?),
        Command::Plan(args) => plan::run(args, format.without_csv()?),
        Command::Status(args) => status::run(args, format.without_csv()?),
        Command::Notice(args) => notice::run(args, format.without_csv()?),
        Command::Invoke(args) => invoke::run(args, format.without_csv()?),
        Command::Violations(args) => violations::run(args, format),
        Command::Redrive(args) => redrive::run(args, format.without_csv()?),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    }
}
