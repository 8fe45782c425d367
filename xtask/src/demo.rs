//! `cargo xtask demo`: the whole story in a local cloud, shown to a reader.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use console::style;
use sandbox::cloud::{Cloud, Options};
use sandbox::mailbox::Mail;
use sandbox::story::{self, Listener, Summary};

use crate::progress::{Progress, Task, took};
use crate::setup;

/// The words after the flags' own help.
const EXAMPLES: &str = "\
Examples:
  cargo xtask demo
  cargo xtask demo --verbose
  cargo xtask demo --json target/demo.json --keep-logs";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Also show each check with what was observed, and the AWS calls of the functions
    #[arg(long, short)]
    verbose: bool,
    /// Write the summary (checks and AWS calls) to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<std::path::PathBuf>,
    /// Keep the logs of the local cloud
    #[arg(long)]
    keep_logs: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let started = Instant::now();
    println!("{}", style("Backup Compliance: from git push to a notice").bold());
    println!("Everything below really runs on this machine; only AWS itself is emulated. No AWS account is used.\n");
    let progress = Progress::start();
    let tools = setup::run(&progress)?;
    let task = progress.task("starting the local cloud");
    let cloud = Cloud::start(&tools, Options::default())?;
    task.finish();
    let set_up = started.elapsed();
    if arguments.keep_logs {
        cloud.keep_directory();
    }
    let mut reader = Reader { progress: &progress, verbose: arguments.verbose, task: None };
    let told = story::tell(&cloud, &tools, &setup::command_line(), &mut reader);
    drop(reader);
    if told.is_err() || arguments.keep_logs {
        cloud.keep_directory();
        println!("\nThe logs of the local cloud are in {}", cloud.directory().display());
    }
    let left = cloud.stop();
    let summary = told?;
    if let Some(file) = &arguments.json {
        std::fs::write(file, serde_json::to_string_pretty(&summary)?)
            .with_context(|| format!("cannot write `{}`", file.display()))?;
    }
    conclude(&summary, arguments.verbose, set_up, started.elapsed());
    if !left.is_empty() {
        bail!("processes are still running: {left:?}");
    }
    if !summary.broken.is_empty() {
        bail!("{} of {} checks failed", summary.broken.len(), summary.broken.len() + summary.held);
    }
    Ok(())
}

fn conclude(summary: &Summary, verbose: bool, set_up: Duration, total: Duration) {
    println!("\n{}", style("Summary").bold());
    if verbose {
        println!("  {:<48} {:>9} {:>6} {:>9}", "AWS calls", "function", "calls", "changing");
        for (what, function, calls) in &summary.calls {
            let changing = calls.iter().filter(|call| sandbox::journal::is_mutating(call)).count();
            println!("  {what:<48} {function:>9} {:>6} {changing:>9}", calls.len());
        }
    }
    for broken in &summary.broken {
        println!("  {} {broken}", style("failed:").red());
    }
    let checks = summary.held + summary.broken.len();
    println!(
        "  {} of {checks} checks passed, in {} ({} of them for the set-up)",
        summary.held,
        took(total),
        took(set_up)
    );
    println!(
        "\n  Next: `cargo xtask sandbox up` keeps a local cloud for your own pushes; README.md, \"Deploying to AWS\"."
    );
}

/// Shows the story: plain lines, and a task while something takes long.
struct Reader<'p> {
    progress: &'p Progress,
    verbose: bool,
    task: Option<Task>,
}

impl Listener for Reader<'_> {
    fn chapter(&mut self, number: usize, title: &str) {
        self.task = None;
        println!("\n{} {}", style(format!("{number}.")).cyan().bold(), style(title).bold());
    }

    fn say(&mut self, text: &str) {
        self.task = None;
        println!("   {text}");
    }

    fn detail(&mut self, text: &str) {
        if self.verbose {
            self.task = None;
            println!("   {}", style(text).dim());
        }
    }

    fn progress(&mut self, line: &str) {
        let progress = self.progress;
        self.task.get_or_insert_with(|| progress.task("working")).message(line);
    }

    fn claim(&mut self, claim: &str, held: bool, detail: &str) {
        self.task = None;
        if !held {
            println!("   {} {claim}: {}", style("✗").red().bold(), style(detail).red());
        } else if self.verbose {
            println!("   {} {claim} {}", style("✓").green(), style(format!("({detail})")).dim());
        } else {
            println!("   {} {claim}", style("✓").green());
        }
    }

    fn mail(&mut self, mail: &Mail) {
        self.task = None;
        let rule = style("─".repeat(78)).dim();
        println!("   {rule}");
        println!("   {} {}", style("Subject:").dim(), style(&mail.subject).bold());
        println!();
        for line in mail.text.lines() {
            println!("   {line}");
        }
        println!("   {rule}");
    }
}
