//! Processes that end with their owner.
//!
//! Each child and each of its descendants has the sandbox's id in its environment, also those that start a session of
//! their own. A guard process waits for the end of the owner, by any cause, and then kills all processes with that
//! id.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::ids;

/// The environment variable with the id of a process's sandbox.
pub const MARK: &str = "BACKUP_COMPLIANCE_SANDBOX";

const GUARD: &str = include_str!("../guard.py");

/// The owner's end of the guard. Dropping it kills the processes of the sandbox and removes its directory.
#[derive(Debug)]
pub struct Guard {
    id: String,
    process: Mutex<Child>,
}

/// A running process of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningProcess {
    /// Its process id.
    pub pid: u32,
    /// Its command line, separated by spaces.
    pub command: String,
}

impl Guard {
    /// Starts the guard of a sandbox; the guard removes `directory` at the end.
    pub fn start(python: &Path, id: &str, directory: Option<&Path>) -> Result<Self> {
        let mut process = Command::new(python)
            .args(["-I", "-c", GUARD, id])
            .arg(directory.unwrap_or(Path::new("-")))
            .env_remove(MARK)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("start the guard process with `{}`", python.display()))?;
        let mut line = String::new();
        // From this line on, the guard is in a session of its own.
        BufReader::new(process.stdout.take().context("the guard has no output")?).read_line(&mut line)?;
        if line.trim() != "ready" {
            bail!("the guard process did not start with `{}`", python.display());
        }
        Ok(Self { id: id.to_owned(), process: Mutex::new(process) })
    }

    /// Returns the id of the sandbox.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Starts a process of the sandbox in a process group of its own (Ctrl-C reaches only the owner), without input.
    pub fn spawn(&self, command: &mut Command) -> Result<Child> {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command
            .env(MARK, &self.id)
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("start `{program}`"))?;
        self.send(&format!("group {}\n", child.id()));
        Ok(child)
    }

    /// Keeps the sandbox's directory, for its logs.
    pub fn keep_directory(&self) {
        self.send("keep\n");
    }

    fn send(&self, line: &str) {
        if let Ok(mut process) = self.process.lock()
            && let Some(input) = process.stdin.as_mut()
        {
            // If the guard already ended, `stop` reports the remaining processes.
            let _ = input.write_all(line.as_bytes()).and_then(|()| input.flush());
        }
    }

    /// Kills the processes of the sandbox, removes its directory, and returns the processes that are still running.
    #[must_use = "remaining processes are an error"]
    pub fn stop(&self) -> Vec<RunningProcess> {
        if let Ok(mut process) = self.process.lock() {
            drop(process.stdin.take());
            let deadline = Instant::now() + Duration::from_secs(20);
            while Instant::now() < deadline && matches!(process.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        running(&self.id)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// Returns the processes of a sandbox, without zombies. Always empty on systems without `/proc`.
pub fn running(id: &str) -> Vec<RunningProcess> {
    let entry = format!("{MARK}={id}");
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    processes
        .filter_map(|process| {
            let path = process.ok()?.path();
            let pid = path.file_name()?.to_str()?.parse().ok()?;
            let environ = std::fs::read(path.join("environ")).ok()?;
            environ.split(|byte| *byte == 0).any(|variable| variable == entry.as_bytes()).then(|| {
                let command = std::fs::read(path.join("cmdline")).unwrap_or_default();
                RunningProcess { pid, command: String::from_utf8_lossy(&command).replace('\0', " ").trim().to_owned() }
            })
        })
        .collect()
}

/// Kills all processes of a sandbox whose owner and guard both ended.
pub fn end_all(id: &str) {
    for _ in 0..50 {
        let left = running(id);
        if left.is_empty() {
            return;
        }
        for process in left {
            signal(process.pid, "KILL");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Sends a signal (`TERM`, `KILL`, `0`); returns whether the process exists.
pub fn signal(pid: u32, name: &str) -> bool {
    let sent = Command::new("kill").args(["-s", name, &pid.to_string()]).stderr(Stdio::null()).status();
    sent.is_ok_and(|status| status.success())
}

/// Returns an address of 127.0.0.1 with a port that was free at this moment.
pub fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Returns a new sandbox id.
pub fn new_id() -> String {
    format!("{:08x}", ids::random() >> 32)
}

/// Starts a server with its output in a log file.
pub(crate) fn spawn_logged(guard: &Guard, command: &mut Command, log: &Path) -> Result<Child> {
    let file = File::create(log).with_context(|| format!("create `{}`", log.display()))?;
    guard.spawn(command.stdout(file.try_clone()?).stderr(file))
}

/// Removes the variables that cargo sets for the programs it runs: another cargo would rebuild because of them.
pub fn forget_cargo(command: &mut Command) {
    const OWN: [&str; 5] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_"];
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| OWN.iter().any(|own| name.starts_with(own))) {
            command.env_remove(&name);
        }
    }
}

/// Runs a program to its end; `line` receives each line of its output and errors.
///
/// # Errors
/// When the program cannot be started, or fails, with its last lines.
pub fn run(guard: &Guard, command: &mut Command, line: &mut dyn FnMut(&str)) -> Result<String> {
    let program = PathBuf::from(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let verb = command.get_args().next().unwrap_or_default().to_string_lossy().into_owned();
    let mut child = guard.spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let (sender, lines) = std::sync::mpsc::channel();
    let streams: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|stream| Box::new(stream) as Box<dyn Read + Send>),
        child.stderr.take().map(|stream| Box::new(stream) as Box<dyn Read + Send>),
    ];
    for stream in streams.into_iter().flatten() {
        let sender = sender.clone();
        std::thread::spawn(move || {
            for bytes in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                // A progress bar overwrites its own line.
                let text = String::from_utf8_lossy(&bytes);
                for part in text.split('\r').filter(|part| !part.is_empty()) {
                    let _ = sender.send(part.trim_end().to_owned());
                }
            }
        });
    }
    drop(sender);
    let mut output = Vec::new();
    for text in lines {
        line(&text);
        // The progress bar of cargo does not explain a failure.
        if !text.trim_start().starts_with("Building [") {
            output.push(text);
        }
    }
    let status = child.wait()?;
    if !status.success() {
        let tail = output.iter().rev().take(60).rev().cloned().collect::<Vec<_>>().join("\n");
        bail!("`{program} {verb}` failed ({status}):\n{tail}");
    }
    Ok(output.join("\n"))
}

#[cfg(test)]
mod tests;
