//! The process of a function, run as Lambda runs it: with Lambda's variables only, and killed after a timeout.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::{Invocation, InvocationOutcome, NAME, REGION, RuntimeApi, Startup};

/// How long a response may still be in flight after the process ended.
const GRACE: Duration = Duration::from_millis(300);
/// How long [`Function::stop`] waits for the output; a child process may keep the pipe open for longer.
const DRAIN: Duration = Duration::from_secs(2);

type OnLine = Arc<dyn Fn(&str) + Send + Sync>;

/// A builder for the process of a function: program, arguments, environment variables.
#[derive(Clone)]
pub struct Launch {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    without: Vec<OsString>,
    dir: Option<PathBuf>,
    name: String,
    on_line: Option<OnLine>,
}

impl fmt::Debug for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the variables, which may contain credentials.
        f.debug_struct("Launch").field("program", &self.program).field("args", &self.args).finish_non_exhaustive()
    }
}

impl Launch {
    /// A function that this executable implements.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            without: Vec::new(),
            dir: None,
            name: NAME.to_owned(),
            on_line: None,
        }
    }

    /// Adds an argument. Runtimes such as Python's take the handler as one.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds a variable. It overrides an earlier one of the same name and Lambda's own.
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Adds variables.
    pub fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(self, pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        pairs.into_iter().fold(self, |launch, (key, value)| launch.env(key, value))
    }

    /// Removes one of Lambda's variables, for example the credentials, so that those of a profile are used.
    pub fn without_env(mut self, key: impl AsRef<OsStr>) -> Self {
        self.without.push(key.as_ref().to_owned());
        self
    }

    /// Sets the working directory. The default is the caller's.
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Sets the name of the function.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Calls `on_line` for each line of output as it arrives.
    pub fn on_line(mut self, on_line: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.on_line = Some(Arc::new(on_line));
        self
    }

    /// Starts the server and then the process.
    ///
    /// # Errors
    /// The program does not exist or cannot be executed, or no port is free.
    pub async fn start(self) -> anyhow::Result<Function> {
        let api = RuntimeApi::start_as(&self.name).await?;
        let mut command = Command::new(&self.program);
        command.args(&self.args).env_clear().envs(self.base_env(&api));
        for key in &self.without {
            command.env_remove(key);
        }
        command.envs(self.env);
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);

        let spawned = Instant::now();
        let mut child = command.spawn().with_context(|| format!("cannot start `{}`", self.program.display()))?;
        let pid = child.id().unwrap_or_default();
        let log = ProcessLog { lines: Arc::default(), on_line: self.on_line };
        let readers = [
            child.stdout.take().map(|pipe| tokio::spawn(log.clone().read(pipe))),
            child.stderr.take().map(|pipe| tokio::spawn(log.clone().read(pipe))),
        ];
        let readers = readers.into_iter().flatten().collect();
        Ok(Function { child, pid, spawned, api, log, readers, exit: None, init_limit: INIT_LIMIT })
    }

    fn base_env(&self, api: &RuntimeApi) -> Vec<(OsString, OsString)> {
        let root = self.program.parent().unwrap_or(Path::new("/"));
        let fixed = [
            ("AWS_LAMBDA_RUNTIME_API", api.address.to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", self.name.clone()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".to_owned()),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", self.name)),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "local".to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_DEFAULT_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            // Keeps the instance role of this machine out.
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("_HANDLER", "bootstrap".to_owned()),
            ("LANG", "en_US.UTF-8".to_owned()),
            ("TZ", ":UTC".to_owned()),
        ];
        let paths = [("HOME", std::env::temp_dir().into()), ("LAMBDA_TASK_ROOT", root.into())];
        let fixed = fixed.into_iter().map(|(key, value)| (key, value.into()));
        fixed.chain(paths).chain(host_environment()).map(|(key, value)| (key.into(), value)).collect()
    }
}

/// The variables that a program needs to start in an otherwise empty environment: `PATH` and those of the dynamic loader. Tests
/// preload a clock with the latter.
pub fn host_environment() -> impl Iterator<Item = (&'static str, OsString)> {
    let keys = ["PATH", "LD_LIBRARY_PATH", "LD_PRELOAD"].into_iter();
    keys.filter_map(|key| Some((key, std::env::var_os(key)?)))
}

/// Lambda's limit from the start of the process to its first request for an event.
const INIT_LIMIT: Duration = Duration::from_secs(10);

/// A running function. Dropping it kills the process.
#[derive(Debug)]
pub struct Function {
    child: Child,
    pid: u32,
    spawned: Instant,
    api: RuntimeApi,
    log: ProcessLog,
    readers: Vec<JoinHandle<()>>,
    exit: Option<ExitStatus>,
    init_limit: Duration,
}

impl Function {
    /// Starts a program with these variables in addition to Lambda's. [`Launch`] has more options.
    ///
    /// # Errors
    /// The program does not exist or cannot be executed, or no port is free.
    pub async fn start(program: &Path, env: &[(String, String)]) -> anyhow::Result<Self> {
        Launch::new(program).envs(env.iter().map(|(key, value)| (key, value))).start().await
    }

    /// Waits for the function's first request for an event. Returns the time from the start of the process.
    ///
    /// # Errors
    /// [`InvocationOutcome::Error`] or [`InvocationOutcome::Exited`] if it did not start; [`InvocationOutcome::TimedOut`] after Lambda's limit of ten seconds.
    pub async fn ready(&mut self) -> Result<Duration, InvocationOutcome> {
        let startup = tokio::select! {
            biased;
            startup = self.api.started() => startup,
            status = self.child.wait() => {
                self.exit = status.ok();
                // An error report may still be in flight.
                tokio::time::timeout(GRACE, self.api.started()).await.unwrap_or(Startup::Pending)
            }
            () = tokio::time::sleep(self.init_limit) => {
                self.kill().await;
                return Err(InvocationOutcome::TimedOut);
            }
        };
        match startup {
            Startup::Ready(at) => Ok(at.duration_since(self.spawned)),
            Startup::Failed(outcome) => Err(outcome),
            Startup::Pending => Err(self.exited()),
        }
    }

    /// Waits until the function is ready, then delivers `payload`. Kills the process if there is no response within `timeout`.
    pub async fn invoke(&mut self, payload: &Value, timeout: Duration) -> Invocation {
        let ready = if self.exit.is_some() { Err(self.exited()) } else { self.ready().await };
        if let Err(outcome) = ready {
            return Invocation { outcome, duration: Duration::ZERO };
        }
        let begin = Instant::now();
        let mut answer = Box::pin(self.api.invoke(payload, timeout));
        let ended = tokio::select! {
            biased;
            invocation = &mut answer => Ok(invocation),
            status = self.child.wait() => {
                self.exit = status.ok();
                // The response may still be in flight.
                tokio::time::timeout(GRACE, &mut answer).await.map_err(|_| begin.elapsed())
            }
        };
        drop(answer);
        match ended {
            Ok(invocation) => {
                if invocation.outcome == InvocationOutcome::TimedOut {
                    self.kill().await;
                }
                invocation
            }
            Err(duration) => Invocation { outcome: self.exited(), duration },
        }
    }

    /// The lines that the function has written to stdout and stderr so far, in the order of arrival.
    pub fn log(&self) -> Vec<String> {
        self.log.lines().clone()
    }

    /// The largest resident size of the process so far, in bytes (`VmHWM`). `None` without `/proc`, or after the process ended.
    pub fn peak_memory(&self) -> Option<u64> {
        peak_of(&std::fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?)
    }

    /// The id of the process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Kills the process and returns its output.
    pub async fn stop(mut self) -> Vec<String> {
        self.kill().await;
        for reader in std::mem::take(&mut self.readers) {
            let _ = tokio::time::timeout(DRAIN, reader).await;
        }
        self.log()
    }

    async fn kill(&mut self) {
        // Fails only if the process has ended.
        let _ = self.child.start_kill();
        if let Ok(status) = self.child.wait().await {
            self.exit.get_or_insert(status);
        }
    }

    fn exited(&self) -> InvocationOutcome {
        InvocationOutcome::Exited { code: self.exit.and_then(|status| status.code()) }
    }
}

/// Reads `VmHWM` from the text of `/proc/<pid>/status`, in bytes.
pub(crate) fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?;
    kib.checked_mul(1024)
}

#[derive(Clone)]
struct ProcessLog {
    lines: Arc<Mutex<Vec<String>>>,
    on_line: Option<OnLine>,
}

impl fmt::Debug for ProcessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessLog").field("lines", &self.lines).finish_non_exhaustive()
    }
}

impl ProcessLog {
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(self, pipe: impl AsyncRead + Unpin) {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        // Bytes and not lines of UTF-8: an invalid sequence must not end the log.
        while let Ok(1..) = pipe.read_until(b'\n', &mut line).await {
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\n', '\r']);
            if let Some(on_line) = &self.on_line {
                on_line(text);
            }
            self.lines().push(text.to_owned());
            line.clear();
        }
    }
}
