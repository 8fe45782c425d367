//! `cargo xtask test`: everything that has to hold before a change goes in, in one run, set-up included.
//!
//! What is quick and what is wrong most often comes first. The programs it runs belong to a guard, so that none is left when
//! this one is interrupted.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;
use console::style;
use sandbox::cloud::{Cloud, Options};
use sandbox::process::{self, Guard};

use crate::tools;

/// Run everything CI runs: formatting, lints, documentation, templates, and all tests
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask test                     everything
  cargo xtask test --only fmt,clippy   before a commit
  cargo xtask test --only tests        unit, contract, template and end-to-end tests
  cargo xtask test --list              what there is")]
pub(crate) struct Arguments {
    /// Only these steps; may be given again
    #[arg(long, value_name = "STEP", value_delimiter = ',', hide_possible_values = true, value_parser = names())]
    only: Vec<String>,
    /// List the steps and end
    #[arg(long)]
    list: bool,
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(STEPS.map(|step| step.name))
}

struct Step {
    name: &'static str,
    about: &'static str,
    run: fn(&Run) -> Result<Outcome>,
}

/// How a step ended that did not fail.
enum Outcome {
    Ok,
    /// There was nothing to do, or something else does it, and why.
    Skipped(String),
}

/// In the order in which they run. The tests come last, so that their count stands at the end of a log.
const STEPS: [Step; 10] = [
    Step { name: "tools", about: "install the Python tools under target/tools, if they are not there", run: install },
    Step { name: "fmt", about: "cargo fmt --all --check", run: fmt },
    Step { name: "validate", about: "sam validate --lint", run: validate },
    Step { name: "cfn-lint", about: "cfn-lint of every template in .cfnlintrc", run: cfn_lint },
    Step { name: "deny", about: "cargo deny, when it is installed; else the tests check licences and bans", run: deny },
    Step { name: "clippy", about: "cargo clippy --workspace --all-targets, warnings denied", run: clippy },
    Step { name: "docs", about: "cargo doc with private items, warnings denied", run: docs },
    Step { name: "doctests", about: "the examples in doc comments", run: doctests },
    Step { name: "functions", about: "sam build of the four functions, as they are deployed", run: functions },
    Step {
        name: "tests",
        about: "unit, contract, template and end-to-end tests (cargo nextest if installed, else cargo test)",
        run: tests,
    },
];

/// What the steps share.
struct Run {
    root: PathBuf,
    guard: Guard,
}

struct Ended {
    name: &'static str,
    took: Duration,
    how: How,
}

enum How {
    Ok,
    Skipped(String),
    Failed,
    NotRun,
}

/// Runs the steps up to the first that fails.
///
/// # Errors
/// Names the step that failed.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.list {
        for step in &STEPS {
            println!("{:<10} {}", step.name, step.about);
        }
        return Ok(());
    }
    let guard = Guard::start(Path::new("python3"), &process::new_id(), None)
        .context("Python 3.10 or later is needed, as `python3`")?;
    let run = Run { root: tools::workspace(), guard };
    let chosen: Vec<&Step> = STEPS
        .iter()
        .filter(|step| arguments.only.is_empty() || arguments.only.iter().any(|o| o == step.name))
        .collect();
    let started = Instant::now();
    let mut ended: Vec<Ended> = Vec::new();
    let mut failure = None;
    for (number, step) in chosen.iter().enumerate() {
        if failure.is_some() {
            ended.push(Ended { name: step.name, took: Duration::ZERO, how: How::NotRun });
            continue;
        }
        let heading = format!("[{}/{}] {}", number + 1, chosen.len(), step.name);
        println!("{} {}", style(heading).bold(), style(step.about).dim());
        let begun = Instant::now();
        let how = match (step.run)(&run) {
            Ok(Outcome::Ok) => How::Ok,
            Ok(Outcome::Skipped(why)) => How::Skipped(why),
            Err(error) => {
                failure = Some((step.name, error));
                How::Failed
            }
        };
        let one = Ended { name: step.name, took: begun.elapsed(), how };
        println!("{}\n", line(&one));
        ended.push(one);
    }
    let left = run.guard.stop();
    conclude(&ended, started.elapsed(), failure)?;
    if !left.is_empty() {
        bail!("the steps passed, and left processes behind: {left:?}");
    }
    Ok(())
}

fn conclude(ended: &[Ended], took: Duration, failure: Option<(&str, anyhow::Error)>) -> Result<()> {
    ended.iter().for_each(|one| println!("{}", line(one)));
    let done = ended.iter().filter(|one| matches!(one.how, How::Ok)).count();
    let Some((name, error)) = failure else {
        let skipped = ended.len() - done;
        let more = if skipped == 0 { String::new() } else { format!(", {skipped} skipped") };
        let steps = if done == 1 { "step" } else { "steps" };
        println!("\n{} {done} {steps} passed{more}, in {}", style("ok:").green().bold(), seconds(took));
        return Ok(());
    };
    println!();
    std::io::stdout().flush()?;
    Err(error.context(format!("the step `{name}` failed after {}", seconds(took))))
}

fn line(one: &Ended) -> String {
    let (word, more) = match &one.how {
        How::Ok => (style("ok").green(), String::new()),
        How::Skipped(why) => (style("skipped").yellow(), format!("  {why}")),
        How::Failed => (style("FAILED").red().bold(), String::new()),
        How::NotRun => (style("not run").yellow(), String::new()),
    };
    let took = if matches!(one.how, How::NotRun) { String::new() } else { seconds(one.took) };
    format!("  {:<10} {took:>9}  {word}{more}", one.name)
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

impl Run {
    /// A program in the root of the workspace, without what `cargo run` told us about ourselves: to another cargo it would
    /// look like a change.
    fn command(&self, program: impl Into<OsString>) -> Command {
        let mut command = Command::new(program.into());
        command.current_dir(&self.root);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_"]
                .iter()
                .any(|own| text.starts_with(own))
            {
                command.env_remove(&name);
            }
        }
        command
    }

    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut cargo = self.command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(arguments);
        cargo
    }

    /// Runs a program; it writes where we write.
    fn pass(&self, command: &mut Command) -> Result<Outcome> {
        let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy().into_owned()).collect();
        let shown = format!("{program} {}", arguments.join(" "));
        println!("{}", style(format!("$ {shown}")).dim());
        let status = self.guard.spawn(command)?.wait()?;
        if !status.success() {
            bail!("`{shown}`: {status}");
        }
        Ok(Outcome::Ok)
    }

    /// Whether cargo has this command.
    fn has(&self, subcommand: &str) -> bool {
        let mut version = self.cargo(&[subcommand, "--version"]);
        version.output().is_ok_and(|output| output.status.success())
    }
}

fn install(_: &Run) -> Result<Outcome> {
    tools::ensure().map(|_| Outcome::Ok)
}

fn fmt(run: &Run) -> Result<Outcome> {
    run.pass(&mut run.cargo(&["fmt", "--all", "--check"]))
}

fn validate(run: &Run) -> Result<Outcome> {
    let tools = tools::ensure()?;
    // It wants a Region, and asks nobody.
    run.pass(
        run.command(tools.sam)
            .args(["validate", "--lint", "--template-file", "template.yaml"])
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("SAM_CLI_TELEMETRY", "0"),
    )
}

fn cfn_lint(run: &Run) -> Result<Outcome> {
    run.pass(&mut run.command(tools::ensure()?.cfn_lint))
}

fn deny(run: &Run) -> Result<Outcome> {
    if !run.has("deny") {
        return Ok(Outcome::Skipped(
            "cargo-deny is not installed; tests/workspace checks licences and bans".to_owned(),
        ));
    }
    run.pass(&mut run.cargo(&["deny", "check", "licenses", "bans", "sources"]))?;
    if !has_advisories() {
        println!("advisories are not looked at: `cargo deny fetch` gets their database");
        return Ok(Outcome::Ok);
    }
    run.pass(&mut run.cargo(&["deny", "check", "--disable-fetch", "advisories"]))
}

/// Whether the advisory database was ever fetched: it lies in cargo's home.
fn has_advisories() -> bool {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let databases = home.and_then(|home| std::fs::read_dir(home.join("advisory-dbs")).ok());
    databases.is_some_and(|mut databases| databases.any(|entry| entry.is_ok_and(|entry| entry.path().is_dir())))
}

fn clippy(run: &Run) -> Result<Outcome> {
    run.pass(&mut run.cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn docs(run: &Run) -> Result<Outcome> {
    let mut doc = run.cargo(&["doc", "--workspace", "--no-deps", "--document-private-items"]);
    run.pass(doc.env("RUSTDOCFLAGS", "-D warnings"))
}

fn doctests(run: &Run) -> Result<Outcome> {
    let mut crates = Vec::new();
    for entry in std::fs::read_dir(run.root.join("crates"))? {
        let entry = entry?;
        if has_examples(&entry.path().join("src"))? {
            crates.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    if crates.is_empty() {
        return Ok(Outcome::Skipped("no doc comment has an example".to_owned()));
    }
    crates.sort();
    let mut test = run.cargo(&["test", "--doc"]);
    crates.iter().for_each(|name| _ = test.args(["--package", name]));
    run.pass(&mut test)
}

fn has_examples(folder: &Path) -> Result<bool> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let found = if path.is_dir() {
            has_examples(&path)?
        } else {
            std::fs::read_to_string(&path)?.lines().any(|line| {
                let line = line.trim_start();
                line.starts_with("/// ```") || line.starts_with("//! ```")
            })
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

fn functions(_: &Run) -> Result<Outcome> {
    let tools = tools::ensure()?;
    // `sam build` asks AWS nothing; a cloud is what the end-to-end tests build with, so this is the same build.
    let cloud = Cloud::start(&tools, Options::default())?;
    sandbox::app::build(&cloud, &tools, &mut |line| println!("{}", style(line).dim()))?;
    let left = cloud.stop();
    if !left.is_empty() {
        bail!("the local cloud left processes behind: {left:?}");
    }
    Ok(Outcome::Ok)
}

fn tests(run: &Run) -> Result<Outcome> {
    if run.has("nextest") {
        return run.pass(&mut run.cargo(&["nextest", "run", "--workspace", "--profile", "ci"]));
    }
    println!("cargo-nextest is not installed: `cargo test` runs the same tests, one program after the other");
    run.pass(&mut run.cargo(&["test", "--workspace", "--all-targets", "--no-fail-fast"]))
}
