//! `man`: the manual page.

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_mangen::Man;

use crate::{Cli, CommandOutcome, output};

/// Print the manual page of the program or a command.
///
/// Writes the page in roff to standard output. Exit status: 0; 2 for an unknown command.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  backup-compliance man > ~/.local/share/man/man1/backup-compliance.1
  backup-compliance man check \\
    > ~/.local/share/man/man1/backup-compliance-check.1
  backup-compliance man check | man -l -")]
pub(crate) struct ManArgs {
    /// The command. Default: the program.
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

pub(crate) fn run(args: &ManArgs) -> anyhow::Result<CommandOutcome> {
    let mut program = Cli::command();
    // Propagates global options and full names to the commands.
    program.build();
    let page = match &args.command {
        None => program,
        Some(name) => program.find_subcommand(name).cloned().with_context(|| {
            format!("unknown command `{}`; see `backup-compliance --help`", crate::plain::escaped(name))
        })?,
    };
    let title = page.get_display_name().unwrap_or(page.get_name()).to_owned();
    let mut text = Vec::new();
    Man::new(page).title(title).render(&mut text)?;
    output::text(&String::from_utf8(text)?)?;
    Ok(CommandOutcome::Clean)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// The width of the help in `docs/command-line.md`, in columns.
    const WIDTH: usize = 120;

    /// The long help of the program and of each command.
    fn page() -> String {
        let mut program = Cli::command().term_width(WIDTH);
        program.build();
        let mut page = "# Command line\n\nGenerated from the program. `UPDATE_DOCS=1 cargo nextest run --workspace --bins` writes it again.\n".to_owned();
        let mut section = |title: &str, command: &mut clap::Command| {
            let help = command.render_long_help().to_string();
            let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
            write!(page, "\n## {title}\n\n```text\n{}\n```\n", lines.join("\n").trim_end()).unwrap();
        };
        section("backup-compliance", &mut program.clone());
        for command in program.get_subcommands_mut().filter(|command| command.get_name() != "help") {
            let name = command.get_name().to_owned();
            section(&name, command);
        }
        page
    }

    #[test]
    fn command_line_page_matches_the_help() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/command-line.md");
        let page = page();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, &page).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(found == page, "docs/command-line.md differs: run with UPDATE_DOCS=1");
    }
}
