//! `cargo xtask demo`: prints the story of the product, run in a local cloud.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use console::style;

use sandbox::cloud::{LocalCloud, Options};
use sandbox::mailbox::Mail;
use sandbox::story::{self, Listener, StorySummary};

use crate::progress::{ProgressDisplay, ProgressTask, took};
use crate::setup;

const EXAMPLES: &str = "\
Examples:
  cargo xtask demo
  cargo xtask demo --verbose
  cargo xtask demo --json target/demo.json --keep-logs";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DemoArguments {
    /// Also print the observed state of each check, and the AWS calls of the functions
    #[arg(long, short)]
    verbose: bool,
    /// Write checks and AWS calls to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<std::path::PathBuf>,
    /// Keep the logs of the local cloud
    #[arg(long)]
    keep_logs: bool,
}

pub(crate) fn run(arguments: &DemoArguments) -> Result<()> {
    let started = Instant::now();
    println!("{}", style("Backup Compliance: from git push to a notice").bold());
    println!("The demo runs the real functions on this machine in an emulated AWS. It uses no AWS account.\n");
    let progress = ProgressDisplay::start();
    let tools = setup::run(&progress)?;
    let task = progress.task("starting the local cloud");
    let cloud = LocalCloud::start(&tools, Options::default())?;
    task.finish();
    let set_up = started.elapsed();
    if arguments.keep_logs {
        cloud.keep_directory();
    }
    let mut printer = DemoPrinter { progress: &progress, verbose: arguments.verbose, task: None };
    let outcome = story::run(&cloud, &tools, &setup::command_line(), &mut printer);
    drop(printer);
    if outcome.is_err() || arguments.keep_logs {
        cloud.keep_directory();
        println!("\nThe logs of the local cloud are in {}", cloud.directory().display());
    }
    let left = cloud.stop();
    let summary = outcome?;
    if let Some(file) = &arguments.json {
        std::fs::write(file, serde_json::to_string_pretty(&summary)?)
            .with_context(|| format!("cannot write `{}`", file.display()))?;
    }
    print_summary(&summary, arguments.verbose, set_up, started.elapsed());
    if !left.is_empty() {
        bail!("processes are still running: {left:?}");
    }
    if !summary.failed.is_empty() {
        bail!("{} of {} checks failed", summary.failed.len(), summary.failed.len() + summary.passed);
    }
    Ok(())
}

fn print_summary(summary: &StorySummary, verbose: bool, set_up: Duration, total: Duration) {
    println!("\n{}", style("Summary").bold());
    if verbose {
        println!("  {:<48} {:>9} {:>6} {:>9}", "AWS calls", "function", "calls", "mutating");
        for (what, function, calls) in &summary.calls {
            let mutating = calls.iter().filter(|call| sandbox::journal::is_mutating(call)).count();
            println!("  {what:<48} {function:>9} {:>6} {mutating:>9}", calls.len());
        }
    }
    for broken in &summary.failed {
        println!("  {} {broken}", style("failed:").red());
    }
    let checks = summary.passed + summary.failed.len();
    println!("  {} of {checks} checks passed in {} ({} for the set-up)", summary.passed, took(total), took(set_up));
    println!(
        "\n  Next: start a local cloud for your own pushes with `cargo xtask sandbox up`, or see \"Deploy to AWS\" in README.md."
    );
}

/// Prints the story, with a progress task during long steps.
struct DemoPrinter<'p> {
    progress: &'p ProgressDisplay,
    verbose: bool,
    task: Option<ProgressTask>,
}

impl Listener for DemoPrinter<'_> {
    fn chapter(&mut self, number: usize, title: &str) {
        self.task = None;
        println!("\n{} {}", style(format!("{number}.")).cyan().bold(), style(title).bold());
    }

    fn narrate(&mut self, text: &str) {
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

    fn check(&mut self, claim: &str, held: bool, detail: &str) {
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
