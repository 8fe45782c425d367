//! `man`: the manual page.

use anyhow::bail;
use clap::CommandFactory as _;
use clap_mangen::Man;

use crate::{Cli, Verdict, output};

/// Write the manual page, of the program or of one of its commands.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  backup-compliance man > ~/.local/share/man/man1/backup-compliance.1
  backup-compliance man check \\
    > ~/.local/share/man/man1/backup-compliance-check.1
  backup-compliance man check | man -l -")]
pub(crate) struct Args {
    /// The command; without it, the program.
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Verdict> {
    let mut program = Cli::command();
    // Options of the program count for its commands, and commands get their full names.
    program.build();
    let page = match &args.command {
        None => program,
        Some(name) => match program.find_subcommand(name) {
            Some(command) => command.clone(),
            None => bail!("there is no command `{}`; see `backup-compliance --help`", crate::plain::shown(name)),
        },
    };
    let title = page.get_display_name().unwrap_or(page.get_name()).to_owned();
    let mut text = Vec::new();
    Man::new(page).title(title).render(&mut text)?;
    output::text(&String::from_utf8(text)?)?;
    Ok(Verdict::Clean)
}
