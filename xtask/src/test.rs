//! `cargo xtask test`: runs all checks of CI, including the set-up.
//!
//! Fast checks run first. A guard owns the started programs: an interrupted run leaves no process behind.

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

use sandbox::cloud::{LocalCloud, Options};
use sandbox::process::{self, Guard};

use crate::progress::{ProgressDisplay, took};
use crate::{clock, setup, tools};

/// Run the checks of CI
///
/// Checks formatting, lints, documentation and templates, and runs all tests. Stops at the first step that fails,
/// with exit status 1.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask test                           run all steps
  cargo xtask test --only fmt,clippy         check formatting and lints
  cargo xtask test --only tests              run the unit, contract, template and end-to-end tests
  cargo xtask test --only dates --at 2028-02-29
                                             run the tests with the clock on a leap day
  cargo xtask test --only dates --at all     run the tests at each date of CI
  cargo xtask test --list                    list the steps")]
pub(crate) struct TestArguments {
    /// Run only these steps; may be repeated
    #[arg(long, value_name = "STEP", value_delimiter = ',', hide_possible_values = true, value_parser = names())]
    only: Vec<String>,
    /// Date for the step `dates`
    ///
    /// A distance, a day, a time or `new-year` (`+8d`, `2028-02-29`, `2028-12-31T23:58:00Z`), or `all`. The default
    /// depends on the current day.
    #[arg(long, value_name = "DATE")]
    at: Option<String>,
    /// List the steps and exit
    #[arg(long)]
    list: bool,
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(STEPS.map(|step| step.name))
}

struct CiStep {
    name: &'static str,
    about: &'static str,
    run: fn(&TestRun) -> Result<StepOutcome>,
}

/// The result of a step that did not fail.
enum StepOutcome {
    Ok,
    /// Nothing to do, with the reason.
    Skipped(String),
}

/// The steps in their order. Tests run last, so that their count is at the end of a log.
const STEPS: [CiStep; 11] = [
    CiStep { name: "fmt", about: "cargo fmt --all --check", run: fmt },
    CiStep { name: "setup", about: "install the Python tools, build the functions and the command line", run: set_up },
    CiStep { name: "validate", about: "sam validate --lint", run: validate },
    CiStep { name: "cfn-lint", about: "cfn-lint of every template in .cfnlintrc", run: cfn_lint },
    CiStep { name: "deny", about: "cargo deny, if installed; otherwise the tests check licenses and bans", run: deny },
    CiStep { name: "clippy", about: "cargo clippy --workspace --all-targets, warnings denied", run: clippy },
    CiStep { name: "docs", about: "cargo doc with private items, warnings denied", run: docs },
    CiStep { name: "doctests", about: "run the examples in doc comments", run: doctests },
    CiStep { name: "sam-build", about: "sam build of the functions, in debug mode", run: sam_build },
    CiStep {
        name: "tests",
        about: "unit, contract, template and end-to-end tests (cargo nextest if installed, else cargo test)",
        run: tests,
    },
    CiStep { name: "dates", about: "the tests that depend on the clock, at another date (--at)", run: dates },
];

/// The shared state of the steps.
struct TestRun {
    root: PathBuf,
    guard: Guard,
    /// The dates of the step `dates`; empty if the step is skipped.
    dates: Vec<String>,
}

struct FinishedStep {
    name: &'static str,
    took: Duration,
    how: StepResult,
}

enum StepResult {
    Ok,
    Skipped(String),
    Failed,
    NotRun,
}

/// Runs the steps up to the first that fails.
///
/// # Errors
/// When a step fails, with its name.
pub(crate) fn run(arguments: &TestArguments) -> Result<()> {
    if arguments.list {
        for step in &STEPS {
            println!("{:<10} {}", step.name, step.about);
        }
        return Ok(());
    }
    let now = Timestamp::now();
    let dates: Vec<String> = match arguments.at.as_deref() {
        // On developer machines, the tests run once unless a date is given; in CI they also run at another date.
        None if arguments.only.is_empty() && std::env::var_os("CI").is_none() => Vec::new(),
        None => vec![clock::of_the_day(now).to_owned()],
        Some("all") => clock::DATES.map(str::to_owned).to_vec(),
        Some(date) => vec![date.to_owned()],
    };
    dates.iter().try_for_each(|date| clock::read(date, now).map(drop))?;
    let guard = Guard::start(Path::new("python3"), &process::new_id(), None)
        .context("install Python 3.10 or later as `python3`")?;
    let run = TestRun { root: tools::workspace(), guard, dates };
    let chosen: Vec<&CiStep> = STEPS
        .iter()
        .filter(|step| arguments.only.is_empty() || arguments.only.iter().any(|o| o == step.name))
        .collect();
    let started = Instant::now();
    let mut ended: Vec<FinishedStep> = Vec::new();
    let mut failure = None;
    for (number, step) in chosen.iter().enumerate() {
        if failure.is_some() {
            ended.push(FinishedStep { name: step.name, took: Duration::ZERO, how: StepResult::NotRun });
            continue;
        }
        let heading = format!("[{}/{}] {}", number + 1, chosen.len(), step.name);
        println!("{} {}", style(heading).bold(), style(step.about).dim());
        let begun = Instant::now();
        let how = match (step.run)(&run) {
            Ok(StepOutcome::Ok) => StepResult::Ok,
            Ok(StepOutcome::Skipped(why)) => StepResult::Skipped(why),
            Err(error) => {
                failure = Some((step.name, error));
                StepResult::Failed
            }
        };
        let one = FinishedStep { name: step.name, took: begun.elapsed(), how };
        println!("{}\n", line(&one));
        ended.push(one);
    }
    let left = run.guard.stop();
    print_results(&ended, started.elapsed(), failure)?;
    if !left.is_empty() {
        bail!("the steps passed, but processes are still running: {left:?}");
    }
    Ok(())
}

fn print_results(ended: &[FinishedStep], total: Duration, failure: Option<(&str, anyhow::Error)>) -> Result<()> {
    ended.iter().for_each(|one| println!("{}", line(one)));
    let done = ended.iter().filter(|one| matches!(one.how, StepResult::Ok)).count();
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

fn line(one: &FinishedStep) -> String {
    let (word, more) = match &one.how {
        StepResult::Ok => (style("ok").green(), String::new()),
        StepResult::Skipped(why) => (style("skipped").yellow(), format!("  {why}")),
        StepResult::Failed => (style("FAILED").red().bold(), String::new()),
        StepResult::NotRun => (style("not run").yellow(), String::new()),
    };
    let time = if matches!(one.how, StepResult::NotRun) { String::new() } else { took(one.took) };
    format!("  {:<10} {time:>12}  {word}{more}", one.name)
}

impl TestRun {
    /// Returns a command in the root of the workspace.
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

    /// Runs a program with our standard output and error.
    fn pass(&self, command: &mut Command) -> Result<StepOutcome> {
        let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy().into_owned()).collect();
        let shown = format!("{program} {}", arguments.join(" "));
        println!("{}", style(format!("$ {shown}")).dim());
        let status = self.guard.spawn(command)?.wait()?;
        if !status.success() {
            bail!("`{shown}`: {status}");
        }
        Ok(StepOutcome::Ok)
    }

    /// Whether cargo has this subcommand.
    fn has(&self, subcommand: &str) -> bool {
        let mut version = self.cargo(&[subcommand, "--version"]);
        version.output().is_ok_and(|output| output.status.success())
    }
}

fn set_up(_: &TestRun) -> Result<StepOutcome> {
    setup::run(&ProgressDisplay::start()).map(|_| StepOutcome::Ok)
}

fn fmt(run: &TestRun) -> Result<StepOutcome> {
    run.pass(&mut run.cargo(&["fmt", "--all", "--check"]))
}

fn validate(run: &TestRun) -> Result<StepOutcome> {
    let tools = tools::ensure()?;
    // `sam validate` needs a Region; it makes no AWS call.
    run.pass(
        run.command(tools.sam)
            .args(["validate", "--lint", "--template-file", "template.yaml"])
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("SAM_CLI_TELEMETRY", "0"),
    )
}

fn cfn_lint(run: &TestRun) -> Result<StepOutcome> {
    run.pass(&mut run.command(tools::ensure()?.cfn_lint))
}

fn deny(run: &TestRun) -> Result<StepOutcome> {
    if !run.has("deny") {
        return Ok(StepOutcome::Skipped("cargo-deny is not installed; the tests check licenses and bans".to_owned()));
    }
    run.pass(&mut run.cargo(&["deny", "check", "licenses", "bans", "sources"]))?;
    if !has_advisories() {
        println!("advisories are not checked: get their database with `cargo deny fetch`");
        return Ok(StepOutcome::Ok);
    }
    run.pass(&mut run.cargo(&["deny", "check", "--disable-fetch", "advisories"]))
}

/// Whether cargo's home has the advisory database.
fn has_advisories() -> bool {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let databases = home.and_then(|home| std::fs::read_dir(home.join("advisory-dbs")).ok());
    databases.is_some_and(|mut databases| databases.any(|entry| entry.is_ok_and(|entry| entry.path().is_dir())))
}

fn clippy(run: &TestRun) -> Result<StepOutcome> {
    run.pass(&mut run.cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn docs(run: &TestRun) -> Result<StepOutcome> {
    let mut doc = run.cargo(&["doc", "--workspace", "--no-deps", "--document-private-items"]);
    run.pass(doc.env("RUSTDOCFLAGS", "-D warnings"))
}

fn doctests(run: &TestRun) -> Result<StepOutcome> {
    let mut crates = Vec::new();
    for entry in std::fs::read_dir(run.root.join("crates"))? {
        let entry = entry?;
        if has_examples(&entry.path().join("src"))? {
            crates.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    if crates.is_empty() {
        return Ok(StepOutcome::Skipped("no doc comment has an example".to_owned()));
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

fn sam_build(_: &TestRun) -> Result<StepOutcome> {
    let tools = tools::ensure()?;
    // `sam build` makes no AWS call; the cloud provides an environment without a user's credentials.
    let cloud = LocalCloud::start(&tools, Options::default())?;
    // SAM hides the output of cargo.
    let progress = ProgressDisplay::start();
    let task = progress.task("building the functions with `sam build`, about 4 min on 2 cores the first time");
    sandbox::app::check_sam_build(&cloud, &tools, &mut |line| task.message(line))?;
    task.finish();
    let left = cloud.stop();
    if !left.is_empty() {
        bail!("processes of the local cloud are still running: {left:?}");
    }
    Ok(StepOutcome::Ok)
}

fn tests(run: &TestRun) -> Result<StepOutcome> {
    run.pass(&mut test_command(run, &[]))
}

/// Returns the command that runs all tests. The step `setup` builds the programs of the end-to-end tests.
fn test_command(run: &TestRun, more: &[&str]) -> Command {
    let mut command = if run.has("nextest") {
        run.cargo(&["nextest", "run", "--workspace", "--profile", "ci"])
    } else {
        println!("cargo-nextest is not installed: `cargo test` runs the same tests in sequence");
        run.cargo(&["test", "--workspace", "--all-targets", "--no-fail-fast"])
    };
    command.args(more).env("BACKUP_COMPLIANCE_PROGRAMS_BUILT", "1");
    command
}

/// The property tests, which take as long as all other tests together. They test pure functions that receive the
/// time: a lint forbids clocks in `domain` and `app`, so another date cannot change their results.
const PROPERTY_TESTS: &str =
    "test(rollout_properties) + test(violation_properties) + test(evaluation::) + test(fuzz::)";

fn dates(run: &TestRun) -> Result<StepOutcome> {
    if run.dates.is_empty() {
        return Ok(StepOutcome::Skipped("the step runs in CI (if the variable CI is set) and with --at".to_owned()));
    }
    // The installation and the build run at the real time.
    run.pass(&mut test_command(run, &["--no-run"]))?;
    let filter = format!("not ({PROPERTY_TESTS})");
    let selected = if run.has("nextest") { vec!["--filterset", filter.as_str()] } else { Vec::new() };
    let mut failed = Vec::new();
    for date in &run.dates {
        let now = Timestamp::now();
        let to = clock::read(date, now)?;
        println!("{}", style(format!("the clock starts at {to} ({date})")).bold());
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
    Ok(StepOutcome::Ok)
}
