use clap::{Command, CommandFactory as _};

use super::Cli;

/// Returns the program and its commands.
fn commands() -> Vec<Command> {
    let mut program = Cli::command();
    program.build();
    let commands: Vec<Command> = program.get_subcommands().cloned().collect();
    std::iter::once(program).chain(commands).collect()
}

#[test]
fn help_texts_are_not_wrapped_by_hand() {
    for command in commands() {
        let values: Vec<String> = command
            .get_arguments()
            .flat_map(|argument| argument.get_possible_values())
            .filter_map(|value| value.get_help().map(ToString::to_string))
            .collect();
        let of_arguments = command.get_arguments().flat_map(|argument| [argument.get_help(), argument.get_long_help()]);
        let of_command = [command.get_about(), command.get_long_about()];
        let texts = of_arguments.chain(of_command).flatten().map(ToString::to_string).chain(values);
        for text in texts {
            let is_wrapped = text.split("\n\n").any(|paragraph| paragraph.trim_end().contains('\n'));
            assert!(!is_wrapped, "{}: {text}", command.get_name());
        }
    }
}

#[test]
fn help_examples_fit_80_columns() {
    for command in commands() {
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let help = command.clone().term_width(80).render_long_help().to_string();
        for line in examples.lines().filter(|line| line.starts_with("  ")) {
            assert!(help.lines().any(|shown| shown == line), "{}: {line}", command.get_name());
        }
    }
}
