//! Processes that cannot outlive their owner.
//!
//! Every child carries the sandbox's mark in its environment, and so do all its descendants, also those that start a
//! session of their own. A guard process waits for us to end, however we end, and then ends whatever carries the mark.

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

/// The environment variable that marks the processes of a sandbox.
pub const MARK: &str = "BACKUP_COMPLIANCE_SANDBOX";

const GUARD: &str = include_str!("../guard.py");

/// The owner's end of the guard. Dropping it ends every process of the sandbox and removes its directory.
#[derive(Debug)]
pub struct Guard {
    id: String,
    process: Mutex<Child>,
}

/// A process that is still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its process id.
    pub pid: u32,
    /// Its command line, words separated by spaces.
    pub command: String,
}

impl Guard {
    /// Starts the guard of a sandbox; `directory` is removed when the sandbox ends.
    ///
    /// # Errors
    /// When the Python interpreter cannot be started.
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
        // Only once it says so does it have a session of its own.
        BufReader::new(process.stdout.take().context("the guard has no output")?).read_line(&mut line)?;
        if line.trim() != "ready" {
            bail!("the guard process did not start with `{}`", python.display());
        }
        Ok(Self { id: id.to_owned(), process: Mutex::new(process) })
    }

    /// The mark of this sandbox's processes.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Starts a process of the sandbox: marked, in a process group of its own (a Ctrl-C reaches us alone), no input.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn spawn(&self, command: &mut Command) -> Result<Child> {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command
            .env(MARK, &self.id)
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("start `{program}`"))?;
        self.tell(&format!("group {}\n", child.id()));
        Ok(child)
    }

    /// Leaves the sandbox's directory in place when it ends, for a look at the logs.
    pub fn keep_directory(&self) {
        self.tell("keep\n");
    }

    fn tell(&self, line: &str) {
        if let Ok(mut process) = self.process.lock()
            && let Some(input) = process.stdin.as_mut()
        {
            // A guard that is gone cannot be told; `stop` reports what is left.
            let _ = input.write_all(line.as_bytes()).and_then(|()| input.flush());
        }
    }

    /// Ends every process of the sandbox, removes its directory, and says what is still running (nothing, if all is well).
    #[must_use = "what is still running would be left behind"]
    pub fn stop(&self) -> Vec<Running> {
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

/// The processes that carry this mark, zombies excepted. Always empty where there is no `/proc`.
#[must_use]
pub fn running(id: &str) -> Vec<Running> {
    let entry = format!("{MARK}={id}");
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    processes
        .filter_map(|process| {
            let path = process.ok()?.path();
            let pid = path.file_name()?.to_str()?.parse().ok()?;
            let environ = std::fs::read(path.join("environ")).ok()?;
            environ.split(|byte| *byte == 0).any(|variable| variable == entry.as_bytes()).then(|| {
                let command = std::fs::read(path.join("cmdline")).unwrap_or_default();
                Running { pid, command: String::from_utf8_lossy(&command).replace('\0', " ").trim().to_owned() }
            })
        })
        .collect()
}

/// Ends every process that carries this mark, for when owner and guard are both gone.
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

/// Sends a signal (`TERM`, `KILL`, `0`) and says whether the process was there.
pub fn signal(pid: u32, name: &str) -> bool {
    let sent = Command::new("kill").args(["-s", name, &pid.to_string()]).stderr(Stdio::null()).status();
    sent.is_ok_and(|status| status.success())
}

/// A TCP port of 127.0.0.1 that was free a moment ago.
///
/// # Errors
/// When the system has none to give.
pub fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// A fresh, unique sandbox id.
#[must_use]
pub fn new_id() -> String {
    format!("{:08x}", ids::random() >> 32)
}

/// Starts a server and writes its output to a log file.
///
/// # Errors
/// When the log cannot be created or the program not be started.
pub(crate) fn spawn_logged(guard: &Guard, command: &mut Command, log: &Path) -> Result<Child> {
    let file = File::create(log).with_context(|| format!("create `{}`", log.display()))?;
    guard.spawn(command.stdout(file.try_clone()?).stderr(file))
}

/// Removes what `cargo run` and `cargo test` tell their child about itself: to another cargo it would look like a change.
pub fn forget_cargo(command: &mut Command) {
    const OWN: [&str; 5] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_"];
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| OWN.iter().any(|own| name.starts_with(own))) {
            command.env_remove(&name);
        }
    }
}

/// Runs a program to its end, handing on each line of its output, both streams.
///
/// # Errors
/// When it cannot be started, or fails: then with the last lines it wrote.
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
                // A progress bar writes over its own line.
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
        // A progress bar of cargo explains no failure.
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
