//! `completions`: shell completions.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::{Cli, CommandOutcome, output};

/// Print the completion script of a shell.
///
/// Writes the script to standard output. Exit status: 0.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  backup-compliance completions bash \\
    > ~/.local/share/bash-completion/completions/backup-compliance
  backup-compliance completions zsh > ~/.zfunc/_backup-compliance
  backup-compliance completions fish \\
    > ~/.config/fish/completions/backup-compliance.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs) -> anyhow::Result<CommandOutcome> {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    let mut script = String::from_utf8(script)?;
    if args.shell == Shell::Bash {
        // clap_complete gives a program with a hyphen in its name two labels (https://github.com/clap-rs/clap/issues/6421).
        script = script.replace("backup__subcmd__compliance", "backup__compliance");
    }
    output::text(&script)?;
    Ok(CommandOutcome::Clean)
}
