//! `cargo xtask sandbox up | down | status`: a local cloud that runs in the background.
//!
//! `up` starts this program again as a background process, which owns the cloud. Until the cloud is ready, the
//! process also ends when `up` ends: an interrupted `up` leaves no process behind.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use sandbox::app::Build;
use sandbox::cloud::{LocalCloud, Options};
use sandbox::{app, process};

use crate::progress::ProgressDisplay;
use crate::{setup, tools};

#[derive(Args)]
pub(crate) struct SandboxArguments {
    #[command(subcommand)]
    command: SandboxCommand,
}

#[derive(Subcommand)]
enum SandboxCommand {
    /// Start a local cloud and deploy the application into it
    Up {
        #[command(flatten)]
        cloud: CloudName,
        /// Start the cloud without the application
        #[arg(long)]
        no_deploy: bool,
    },
    /// Stop a local cloud and remove its files
    Down {
        #[command(flatten)]
        cloud: CloudName,
    },
    /// Show the local clouds, their endpoints and files
    Status,
    /// The background process of `up`
    #[command(hide = true)]
    Stay {
        #[command(flatten)]
        cloud: CloudName,
        #[arg(long)]
        no_deploy: bool,
    },
}

#[derive(Args)]
struct CloudName {
    /// Name of the cloud; several can run at once
    #[arg(long, default_value = DEFAULT)]
    name: String,
}

const DEFAULT: &str = "default";

pub(crate) fn run(arguments: &SandboxArguments) -> Result<()> {
    match &arguments.command {
        SandboxCommand::Up { cloud, no_deploy } => up(&CloudFiles::of(&cloud.name)?, *no_deploy),
        SandboxCommand::Down { cloud } => down(&CloudFiles::of(&cloud.name)?),
        SandboxCommand::Status => status(),
        SandboxCommand::Stay { cloud, no_deploy } => stay(&CloudFiles::of(&cloud.name)?, *no_deploy),
    }
}

/// The files of a cloud.
struct CloudFiles {
    name: String,
    directory: PathBuf,
}

impl CloudFiles {
    fn of(name: &str) -> Result<Self> {
        let simple = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if name.is_empty() || !simple {
            bail!("`{name}` is not a valid name of a cloud: use letters, digits and hyphens");
        }
        Ok(Self { name: name.to_owned(), directory: root().join("up").join(name) })
    }

    fn state_file(&self) -> PathBuf {
        self.directory.join("state.json")
    }

    fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// Returns the file with the environment variables of the deployed functions, for running one of them by hand.
    fn functions(&self) -> PathBuf {
        self.env().with_file_name("functions.env")
    }

    /// Returns the file to source; the default cloud has the short path.
    fn env(&self) -> PathBuf {
        if self.name == DEFAULT { root().join("env") } else { self.directory.join("env") }
    }

    fn state(&self) -> Option<Value> {
        serde_json::from_str(&fs::read_to_string(self.state_file()).ok()?).ok()
    }

    fn running(&self) -> Option<Value> {
        self.state().filter(is_alive)
    }

    fn down_command(&self) -> String {
        let name = if self.name == DEFAULT { String::new() } else { format!(" --name {}", self.name) };
        format!("cargo xtask sandbox down{name}")
    }

    fn forget(&self) -> Result<()> {
        for file in [self.functions(), self.env()].into_iter().filter(|file| file.exists()) {
            fs::remove_file(file)?;
        }
        if self.directory.exists() {
            fs::remove_dir_all(&self.directory)?;
        }
        Ok(())
    }
}

fn root() -> PathBuf {
    tools::workspace().join("target/sandbox")
}

fn number(state: &Value, name: &str) -> u32 {
    state[name].as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or_default()
}

/// Whether the process of a state file is the background process, and not another one with the same id.
fn is_alive(state: &Value) -> bool {
    let pid = number(state, "pid");
    let arguments = ["-o", "command=", "-p", &pid.to_string()];
    let listed =
        Command::new("ps").args(arguments).output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    // On systems without `ps`, /proc has the command line.
    let command = listed.ok().filter(|text| !text.trim().is_empty()).or_else(|| {
        let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        Some(String::from_utf8_lossy(&bytes).replace('\0', " "))
    });
    pid != 0 && command.is_some_and(|command| command.contains(" sandbox stay "))
}

fn up(files: &CloudFiles, no_deploy: bool) -> Result<()> {
    if files.running().is_some() {
        bail!(
            "the cloud already runs: show it with `cargo xtask sandbox status`, or stop it with `{}`",
            files.down_command()
        );
    }
    if let Some(state) = files.state() {
        clean_up_after(&state);
    }
    files.forget()?;
    fs::create_dir_all(&files.directory)?;
    if no_deploy {
        tools::ensure()?;
    } else {
        setup::run(&ProgressDisplay::start())?;
    }
    let log = File::create(files.log())?;
    let mut stay = Command::new(std::env::current_exe()?);
    stay.args(["sandbox", "stay", "--name", &files.name]);
    if no_deploy {
        stay.arg("--no-deploy");
    }
    let mut background = stay
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .process_group(0)
        .spawn()
        .context("start the background process")?;
    let lines = BufReader::new(background.stdout.take().context("the background process has no output")?).lines();
    for line in lines.map_while(Result::ok) {
        if line != READY {
            println!("{line}");
            continue;
        }
        let mut input = background.stdin.take().context("the background process has no input")?;
        input.write_all(b"stay\n")?;
        println!("\n  . {}    # makes this shell's aws and git use the local cloud", shown(&files.env()));
        println!("  {}", files.down_command());
        return Ok(());
    }
    let status = background.wait()?;
    let log = fs::read_to_string(files.log()).unwrap_or_default();
    files.forget()?;
    bail!("the cloud did not start ({status})\n{}", log.trim())
}

fn shown(path: &Path) -> String {
    let base = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&base).unwrap_or(path).display().to_string()
}

const READY: &str = "ready";

/// Runs the cloud. `up` prints the lines of this process until [`READY`].
fn stay(files: &CloudFiles, no_deploy: bool) -> Result<()> {
    let started = Instant::now();
    let tools = tools::ensure()?;
    println!("starting the local cloud");
    let cloud = LocalCloud::start(&tools, Options::default())?;
    let confirmed = watch_input();
    let [gateway, ministack, moto] = cloud.ports();
    let mut state = json!({
        "name": files.name, "pid": std::process::id(), "id": cloud.id(), "directory": cloud.directory(),
        "started": now(), "gateway": gateway, "ministack": ministack, "moto": moto, "stack": Value::Null,
    });
    fs::write(files.state_file(), state.to_string())?;
    println!("the cloud runs at {} after {:.1} s", cloud.url(), started.elapsed().as_secs_f64());
    let mut outputs = BTreeMap::new();
    if !no_deploy {
        println!("deploying the application (sam deploy)");
        outputs = app::deploy(&cloud, &tools, Build::Development, &[], &mut |line| println!("  {line}"))?;
        state["stack"] = json!(app::STACK);
        println!("the application is deployed after {:.1} s", started.elapsed().as_secs_f64());
    }
    fs::write(files.env(), exports(&cloud, &outputs))?;
    fs::write(files.functions(), function_variables(&cloud, &outputs)?)?;
    fs::write(files.state_file(), state.to_string())?;
    println!("{READY}");
    std::io::stdout().flush()?;
    if !confirmed.recv().unwrap_or(false) {
        let _ = cloud.stop();
        bail!("interrupted before the cloud was ready");
    }
    // `down` ends this process; the guard then ends all others.
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

/// Ends this process if `up` ends before it confirms; otherwise sends `true`.
fn watch_input() -> std::sync::mpsc::Receiver<bool> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = std::io::stdin().read_to_string(&mut text);
        if text.trim() != "stay" {
            // The guard ends all other processes.
            std::process::exit(1);
        }
        let _ = sender.send(true);
    });
    receiver
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn exports(cloud: &LocalCloud, outputs: &BTreeMap<String, String>) -> String {
    let mut variables: Vec<(String, String)> =
        cloud.environment().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    variables.push(("STACK_NAME".to_owned(), app::STACK.to_owned()));
    variables.push(("REPOSITORY_NAME".to_owned(), cloud.options().repository.clone()));
    variables.push(("REPOSITORY_PATH".to_owned(), cloud.repository_path().display().to_string()));
    variables.extend(outputs.iter().map(|(name, value)| (name.clone(), value.clone())));
    let line = |(name, value): &(String, String)| format!("export {name}='{}'\n", value.replace('\'', "'\\''"));
    variables.iter().map(line).collect()
}

/// Returns the environment variables of all functions, a line each; variables of one name have the same value.
fn function_variables(cloud: &LocalCloud, outputs: &BTreeMap<String, String>) -> Result<String> {
    let client = cloud.client();
    let mut variables = BTreeMap::new();
    for (_, function) in outputs.iter().filter(|(name, _)| name.ends_with("Function")) {
        let found = client.rest("lambda", "GET", &format!("/2015-03-31/functions/{function}/configuration"), None)?;
        for (name, value) in found["Environment"]["Variables"].as_object().into_iter().flatten() {
            variables.insert(name.clone(), value.as_str().unwrap_or_default().to_owned());
        }
    }
    Ok(variables.into_iter().map(|(name, value)| format!("{name}={value}\n")).collect())
}

fn down(files: &CloudFiles) -> Result<()> {
    let Some(state) = files.state() else {
        files.forget()?;
        println!("no cloud runs");
        return Ok(());
    };
    if is_alive(&state) {
        process::signal(number(&state, "pid"), "TERM");
    }
    let left = clean_up_after(&state);
    if !left.is_empty() {
        bail!("processes are still running: {left:?}");
    }
    files.forget()?;
    println!("stopped; all processes ended");
    Ok(())
}

/// Waits for the guard to finish; kills the processes and removes the files if the guard ended too.
fn clean_up_after(state: &Value) -> Vec<process::RunningProcess> {
    let id = state["id"].as_str().unwrap_or_default();
    let directory = PathBuf::from(state["directory"].as_str().unwrap_or_default());
    let inside = directory.starts_with(root());
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline && (!process::running(id).is_empty() || (inside && directory.exists())) {
        std::thread::sleep(Duration::from_millis(50));
    }
    process::end_all(id);
    if inside {
        let _ = fs::remove_dir_all(&directory);
    }
    process::running(id)
}

fn status() -> Result<()> {
    let mut names: Vec<String> = fs::read_dir(root().join("up"))
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    let mut any = false;
    for name in names {
        let files = CloudFiles::of(&name)?;
        let Some(state) = files.state() else { continue };
        any = true;
        if !is_alive(&state) {
            println!("{name}: crashed; `{}` removes its processes and files", files.down_command());
            continue;
        }
        let minutes = now().saturating_sub(state["started"].as_u64().unwrap_or_default()) / 60;
        println!("{name}: running for {minutes} min, process {}", state["pid"]);
        println!(
            "  endpoint   http://127.0.0.1:{}  (MiniStack on {}, moto on {})",
            state["gateway"], state["ministack"], state["moto"]
        );
        println!("  stack      {}", state["stack"].as_str().unwrap_or("not deployed"));
        println!("  files      {}", state["directory"].as_str().unwrap_or_default());
        println!("  variables  {}", shown(&files.env()));
    }
    if !any {
        println!("no cloud runs");
    }
    Ok(())
}
