//! `cargo xtask demo`: the whole story in a local cloud, told to a person.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use clap::Args;
use console::style;
use indicatif::{ProgressBar, ProgressStyle};
use sandbox::cloud::{Cloud, Options};
use sandbox::mailbox::Mail;
use sandbox::story::{self, Listener, Summary};

use crate::tools;

/// The words after the flags' own help.
const EXAMPLES: &str = "Examples:\n  cargo xtask demo\n  cargo xtask demo --json target/demo.json --keep-logs";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Write the summary (claims and AWS calls) to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<std::path::PathBuf>,
    /// Leave the logs of the local cloud in place
    #[arg(long)]
    keep_logs: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let started = Instant::now();
    let mut teller = Teller::new();
    println!("{}", style("Backup Compliance: from git push to a notice").bold());
    println!("Everything below really runs on this machine; only AWS itself is emulated. No AWS account is used.\n");
    let tools = tools::ensure()?;
    let program = command_line(&mut teller)?;
    let cloud = Cloud::start(&tools, Options::default())?;
    if arguments.keep_logs {
        cloud.keep_directory();
    }
    let told = story::tell(&cloud, &tools, &program, &mut teller);
    teller.quiet();
    if told.is_err() || arguments.keep_logs {
        cloud.keep_directory();
        println!("\nThe logs of the local cloud are in {}", cloud.directory().display());
    }
    let left = cloud.stop();
    let summary = told?;
    if let Some(file) = &arguments.json {
        std::fs::write(file, serde_json::to_string_pretty(&summary)?)?;
    }
    conclude(&summary, started.elapsed());
    if !left.is_empty() {
        bail!("processes are left behind: {left:?}");
    }
    if !summary.broken.is_empty() {
        bail!("{} of {} claims do not hold", summary.broken.len(), summary.broken.len() + summary.held);
    }
    Ok(())
}

/// Builds the command line, which the story uses as people do.
fn command_line(teller: &mut Teller) -> Result<PathBuf> {
    teller.progress("building the command line");
    let root = tools::workspace();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built =
        Command::new(cargo).args(["build", "--quiet", "--package", "backup-compliance"]).current_dir(&root).status()?;
    ensure!(built.success(), "the command line could not be built: {built}");
    teller.quiet();
    Ok(root.join("target/debug/backup-compliance"))
}

fn conclude(summary: &Summary, took: Duration) {
    println!("\n{}", style("Summary").bold());
    println!("  {:<48} {:>9} {:>6} {:>9}", "AWS calls", "function", "calls", "changing");
    for (what, function, calls) in &summary.calls {
        let changing = calls.iter().filter(|call| sandbox::journal::is_mutating(call)).count();
        println!("  {what:<48} {function:>9} {:>6} {changing:>9}", calls.len());
    }
    for broken in &summary.broken {
        println!("  {} {broken}", style("does not hold:").red());
    }
    let claims = summary.held + summary.broken.len();
    println!("  {} of {claims} claims hold, in {} s", summary.held, took.as_secs());
}

/// Tells the story at a terminal: plain lines, a spinner while something takes long.
struct Teller {
    spinner: Option<ProgressBar>,
    interactive: bool,
    last_sign: Instant,
}

impl Teller {
    fn new() -> Self {
        Self { spinner: None, interactive: std::io::stderr().is_terminal(), last_sign: Instant::now() }
    }

    fn quiet(&mut self) {
        if let Some(spinner) = self.spinner.take() {
            spinner.finish_and_clear();
        }
    }
}

impl Listener for Teller {
    fn chapter(&mut self, number: usize, title: &str) {
        self.quiet();
        println!("\n{} {}", style(format!("{number}.")).cyan().bold(), style(title).bold());
    }

    fn say(&mut self, text: &str) {
        self.quiet();
        println!("   {text}");
    }

    fn progress(&mut self, line: &str) {
        let line = line.trim();
        if line.is_empty() {
            return;
        }
        if self.interactive {
            let spinner = self.spinner.get_or_insert_with(|| {
                let spinner = ProgressBar::new_spinner();
                if let Ok(style) = ProgressStyle::with_template("   {spinner} {elapsed:>4}  {wide_msg:.dim}") {
                    spinner.set_style(style);
                }
                spinner.enable_steady_tick(Duration::from_millis(120));
                spinner
            });
            spinner.set_message(line.to_owned());
        } else if self.last_sign.elapsed() > Duration::from_secs(10) {
            // A log, not a terminal: a sign of life now and then.
            self.last_sign = Instant::now();
            println!("   ... {line}");
        }
    }

    fn claim(&mut self, claim: &str, held: bool, detail: &str) {
        self.quiet();
        if held {
            println!("   {} {claim} {}", style("✓").green(), style(format!("({detail})")).dim());
        } else {
            println!("   {} {claim}: {}", style("✗").red().bold(), style(detail).red());
        }
    }

    fn mail(&mut self, mail: &Mail) {
        self.quiet();
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
