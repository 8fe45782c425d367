//! Prepares a local cloud: installs the Python tools, and builds the functions and the command line. Both run at the
//! same time, because the installation mostly waits for the network.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use sandbox::app;
use sandbox::process::{self, Guard};
use sandbox::tools::Tools;

use crate::progress::{ProgressDisplay, ProgressTask, took};
use crate::tools::workspace;

/// The size of the first build under `target/`, in GiB: measured and rounded up.
const FIRST_BUILD_GIB: u64 = 6;
/// The size of later builds, in GiB.
const LATER_BUILD_GIB: u64 = 1;
/// Core seconds per crate, on average of the first build; measured.
const SECONDS_PER_CRATE: f64 = 3.2;
/// Builds of fewer crates are not announced: their average differs.
const MANY: u64 = 50;

/// Installs the tools and builds the programs. The first failure ends both.
pub(crate) fn run(progress: &ProgressDisplay) -> Result<Tools> {
    let workspace = workspace();
    check_machine(&workspace)?;
    let (sender, results) = mpsc::channel::<Result<Option<Tools>>>();
    let (task, root, done) = (progress.task("installing the Python tools"), workspace.clone(), sender.clone());
    std::thread::spawn(move || drop(done.send(install(&root, task).map(Some))));
    let task = progress.task("building the functions and the command line");
    std::thread::spawn(move || drop(sender.send(build(&workspace, task).map(|()| None))));
    // A failure ends this process; the guards then end the processes of the other thread.
    let mut tools = None;
    for _ in 0..2 {
        tools = results.recv().context("a thread of the set-up panicked")??.or(tools);
    }
    tools.context("the tools were not installed")
}

/// Returns the program of the command line, as built by [`run`].
pub(crate) fn command_line() -> PathBuf {
    app::program(&workspace(), app::COMMAND_LINE)
}

fn install(workspace: &Path, task: ProgressTask) -> Result<Tools> {
    let tools = Tools::ensure(workspace, &mut |line| task.message(line))?;
    task.finish();
    Ok(tools)
}

/// Builds the functions and the command line.
fn build(workspace: &Path, task: ProgressTask) -> Result<()> {
    let guard = Guard::start(Path::new("python3"), &process::new_id(), None)?;
    let mut announced = false;
    app::build_programs(&guard, workspace, &mut |line| match app::crates_built(line) {
        Some((done, total, names)) => {
            if !announced && total - done >= MANY {
                let cores = std::thread::available_parallelism().map_or(1, usize::from);
                let seconds = (total - done) as f64 * SECONDS_PER_CRATE / cores as f64;
                let time = Duration::from_secs_f64(seconds);
                task.note(&format!("building {} crates, about {} on {cores} cores, once", total - done, took(time)));
            }
            announced = true;
            task.count(done, total, names);
        }
        None => task.message(line),
    })?;
    task.finish();
    Ok(())
}

/// Checks requirements in seconds whose absence would fail the set-up after minutes.
fn check_machine(workspace: &Path) -> Result<()> {
    sandbox::tools::check_python()?;
    let git = Command::new("git").arg("--version").output();
    ensure!(git.is_ok_and(|git| git.status.success()), "`git` cannot be run: install git");
    check_disk(workspace)?;
    if !Tools::are_installed(workspace) {
        check_network()?;
    }
    Ok(())
}

fn check_disk(workspace: &Path) -> Result<()> {
    let needed =
        if workspace.join("target/sandbox/build/template.yaml").exists() { LATER_BUILD_GIB } else { FIRST_BUILD_GIB };
    // Without `df`, the build itself reports a full disk.
    let Ok(output) = Command::new("df").arg("-Pk").arg(workspace).output() else { return Ok(()) };
    let text = String::from_utf8_lossy(&output.stdout);
    let free = text.lines().nth(1).and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
    let Some(free) = free.map(|kib| kib >> 20) else { return Ok(()) };
    ensure!(
        free >= needed,
        "`{}` has {free} GiB of free space, the build needs {needed} GiB: free some space, or move the checkout to a larger disk",
        workspace.display()
    );
    Ok(())
}

/// Requests one small package from the package index, as the installation does.
fn check_network() -> Result<()> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "index", "versions", "six", "--disable-pip-version-check", "--no-input"]);
    pip.args(["--retries", "0", "--timeout", "10"]);
    // If Python has no pip, its virtual environments have it.
    let Ok(output) = pip.output() else { return Ok(()) };
    let error = String::from_utf8_lossy(&output.stderr);
    let unreachable = ["onnection", "timed out", "No matching distribution", "ProxyError"];
    if !output.status.success() && unreachable.iter().any(|sign| error.contains(sign)) {
        let last = error.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        bail!(
            "cannot reach the Python package index ({}): check the network, or set HTTPS_PROXY or PIP_INDEX_URL",
            last.trim()
        );
    }
    Ok(())
}
