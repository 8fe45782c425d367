//! `cargo xtask test`: everything that CI runs before a change is merged, in one run, set-up included.
//!
//! Quick checks come first. The programs it runs belong to a guard, so that an interrupted run leaves none behind.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;
use console::style;
use jiff::Timestamp;
use sandbox::cloud::{Cloud, Options};
use sandbox::process::{self, Guard};

use crate::progress::{Progress, took};
use crate::{clock, setup, tools};

/// Run everything that CI runs: formatting, lints, documentation, templates, and all tests
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask test                           all steps
  cargo xtask test --only fmt,clippy         before a commit
  cargo xtask test --only tests              unit, contract, template and end-to-end tests
  cargo xtask test --only dates --at 2028-02-29
                                             the tests with every clock moved to a leap day
  cargo xtask test --only dates --at all     the tests at each of the dates of CI, one after the other
  cargo xtask test --list                    the steps")]
pub(crate) struct Arguments {
    /// Run only these steps; may be repeated
    #[arg(long, value_name = "STEP", value_delimiter = ',', hide_possible_values = true, value_parser = names())]
    only: Vec<String>,
    /// Move the clocks of the step `dates` to this date: `+8d`, `2028-02-29`, `2028-12-31T23:58:00Z`, `new-year`, or `all`.
    /// Without it each day has its own of these dates, in CI
    #[arg(long, value_name = "DATE")]
    at: Option<String>,
    /// List the steps and exit
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

/// In the order in which they run. The tests come last, so that their count is at the end of a log.
const STEPS: [Step; 11] = [
    Step { name: "fmt", about: "cargo fmt --all --check", run: fmt },
    Step { name: "setup", about: "install the Python tools, build the functions and the command line", run: set_up },
    Step { name: "validate", about: "sam validate --lint", run: validate },
    Step { name: "cfn-lint", about: "cfn-lint of every template in .cfnlintrc", run: cfn_lint },
    Step { name: "deny", about: "cargo deny, when it is installed; else the tests check licences and bans", run: deny },
    Step { name: "clippy", about: "cargo clippy --workspace --all-targets, warnings denied", run: clippy },
    Step { name: "docs", about: "cargo doc with private items, warnings denied", run: docs },
    Step { name: "doctests", about: "the examples in doc comments", run: doctests },
    Step { name: "sam-build", about: "sam build of the four functions, in debug mode", run: sam_build },
    Step {
        name: "tests",
        about: "unit, contract, template and end-to-end tests (cargo nextest if installed, else cargo test)",
        run: tests,
    },
    Step {
        name: "dates",
        about: "the tests that see a clock again, with every clock moved to another date (--at)",
        run: dates,
    },
];

/// What the steps share.
struct Run {
    root: PathBuf,
    guard: Guard,
    /// The dates of the step `dates`, as they were given; none where it is left out.
    dates: Vec<String>,
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
    let now = Timestamp::now();
    let dates: Vec<String> = match arguments.at.as_deref() {
        // At a desk the tests run once unless a date is asked for; CI has the time.
        None if arguments.only.is_empty() && std::env::var_os("CI").is_none() => Vec::new(),
        None => vec![clock::of_the_day(now).to_owned()],
        Some("all") => clock::DATES.map(str::to_owned).to_vec(),
        Some(date) => vec![date.to_owned()],
    };
    dates.iter().try_for_each(|date| clock::read(date, now).map(drop))?;
    let guard = Guard::start(Path::new("python3"), &process::new_id(), None)
        .context("Python 3.10 or later is needed, as `python3`")?;
    let run = Run { root: tools::workspace(), guard, dates };
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

fn conclude(ended: &[Ended], total: Duration, failure: Option<(&str, anyhow::Error)>) -> Result<()> {
    ended.iter().for_each(|one| println!("{}", line(one)));
    let done = ended.iter().filter(|one| matches!(one.how, How::Ok)).count();
    let Some((name, error)) = failure else {
        let skipped = ended.len() - done;
        let more = if skipped == 0 { String::new() } else { format!(", {skipped} skipped") };
        let steps = if done == 1 { "step" } else { "steps" };
        println!("\n{} {done} {steps} passed{more}, in {}", style("ok:").green().bold(), took(total));
        return Ok(());
    };
    println!();
    std::io::stdout().flush()?;
    Err(error.context(format!("the step `{name}` failed after {}", took(total))))
}

fn line(one: &Ended) -> String {
    let (word, more) = match &one.how {
        How::Ok => (style("ok").green(), String::new()),
        How::Skipped(why) => (style("skipped").yellow(), format!("  {why}")),
        How::Failed => (style("FAILED").red().bold(), String::new()),
        How::NotRun => (style("not run").yellow(), String::new()),
    };
    let time = if matches!(one.how, How::NotRun) { String::new() } else { took(one.took) };
    format!("  {:<10} {time:>12}  {word}{more}", one.name)
}

impl Run {
    /// A program in the root of the workspace.
    fn command(&self, program: impl Into<OsString>) -> Command {
        let mut command = Command::new(program.into());
        process::forget_cargo(command.current_dir(&self.root));
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

fn set_up(_: &Run) -> Result<Outcome> {
    setup::run(&Progress::start()).map(|_| Outcome::Ok)
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

fn sam_build(_: &Run) -> Result<Outcome> {
    let tools = tools::ensure()?;
    // `sam build` calls no AWS service; a cloud gives it an environment without anybody's credentials.
    let cloud = Cloud::start(&tools, Options::default())?;
    // SAM hides what cargo writes.
    let progress = Progress::start();
    let task = progress.task("building the functions with `sam build`, about 4 min on 2 cores the first time");
    sandbox::app::check_sam_build(&cloud, &tools, &mut |line| task.message(line))?;
    task.finish();
    let left = cloud.stop();
    if !left.is_empty() {
        bail!("the local cloud left processes behind: {left:?}");
    }
    Ok(Outcome::Ok)
}

fn tests(run: &Run) -> Result<Outcome> {
    run.pass(&mut test_command(run, &[]))
}

/// The command that runs all tests. The step `setup` has built the programs that the end-to-end tests start.
fn test_command(run: &Run, more: &[&str]) -> Command {
    let mut command = if run.has("nextest") {
        run.cargo(&["nextest", "run", "--workspace", "--profile", "ci"])
    } else {
        println!("cargo-nextest is not installed: `cargo test` runs the same tests, one program after the other");
        run.cargo(&["test", "--workspace", "--all-targets", "--no-fail-fast"])
    };
    command.args(more).env("BACKUP_COMPLIANCE_PROGRAMS_BUILT", "1");
    command
}

/// The tests of generated cases. They put pure functions to the test, which are given the time: `domain` and `app` cannot read a
/// clock (a lint forbids it), so another date cannot change their result, and they take as long as all other tests together.
const CASES: &str = "binary(rollouts) + binary(histories) + binary(evaluation) + package(fuzzing)";

fn dates(run: &Run) -> Result<Outcome> {
    if run.dates.is_empty() {
        return Ok(Outcome::Skipped("it runs in CI (where the variable CI is set), and with --at".to_owned()));
    }
    // Everything is installed and compiled at the real time: a compiler and a package index are not to be tested.
    run.pass(&mut test_command(run, &["--no-run"]))?;
    let filter = format!("not ({CASES})");
    let selected = if run.has("nextest") { vec!["--filterset", filter.as_str()] } else { Vec::new() };
    let mut failed = Vec::new();
    for date in &run.dates {
        let now = Timestamp::now();
        let to = clock::read(date, now)?;
        println!("{}", style(format!("every clock begins at {to} ({date})")).bold());
        let mut command = test_command(run, &selected);
        clock::set(&mut command, &run.root.join("target/tools/clock"), now, to)?;
        if let Err(error) = run.pass(&mut command) {
            println!("{} at {date}: {error}", style("failed").red());
            failed.push(date.as_str());
        }
    }
    if !failed.is_empty() {
        bail!("tests failed with the clock at {}: repeat with `--only dates --at DATE`", failed.join(", "));
    }
    Ok(Outcome::Ok)
}
