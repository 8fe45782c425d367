//! The process of a function, as Lambda would run it: a clean environment, the Runtime API, an end.

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

use super::{Invocation, NAME, Outcome, REGION, RuntimeApi, Startup};

/// How long an answer may still be on its way after its process ended.
const GRACE: Duration = Duration::from_millis(300);
/// How long a stopped function's output may take to arrive. Longer only if a child of it holds the pipe open.
const DRAIN: Duration = Duration::from_secs(2);

type OnLine = Arc<dyn Fn(&str) + Send + Sync>;

/// What to start: a program, its arguments and variables.
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
        // Without the variables: they may hold credentials.
        f.debug_struct("Launch").field("program", &self.program).field("args", &self.args).finish_non_exhaustive()
    }
}

impl Launch {
    /// A function whose whole program is this file.
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

    /// Adds an argument (a runtime such as Python's takes the handler so).
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds a variable; the last one of a name counts, also over those set for every function.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Adds variables.
    #[must_use]
    pub fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(self, pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        pairs.into_iter().fold(self, |launch, (key, value)| launch.env(key, value))
    }

    /// Leaves out a variable that every function has otherwise: the credentials, for those of a profile to count.
    #[must_use]
    pub fn without_env(mut self, key: impl AsRef<OsStr>) -> Self {
        self.without.push(key.as_ref().to_owned());
        self
    }

    /// The folder to run in; without it, the caller's.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// The function's name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Calls `on_line` with every line the function writes, as it comes.
    #[must_use]
    pub fn on_line(mut self, on_line: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.on_line = Some(Arc::new(on_line));
        self
    }

    /// Starts the server and then the process.
    ///
    /// # Errors
    /// When there is no such program, it cannot be run here, or no port is free.
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
        let log = Log { lines: Arc::default(), on_line: self.on_line };
        let readers = [
            child.stdout.take().map(|pipe| tokio::spawn(log.clone().read(pipe))),
            child.stderr.take().map(|pipe| tokio::spawn(log.clone().read(pipe))),
        ];
        let readers = readers.into_iter().flatten().collect();
        Ok(Function { child, pid, spawned, api, log, readers, exit: None, init_limit: INIT_LIMIT })
    }

    fn base_env(&self, api: &RuntimeApi) -> Vec<(OsString, OsString)> {
        let root = self.program.parent().unwrap_or(Path::new("/")).as_os_str();
        let mut env: Vec<(OsString, OsString)> = [
            ("AWS_LAMBDA_RUNTIME_API", api.address().to_string()),
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
            // Nobody's profile and no instance role may slip in from the machine this runs on.
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("_HANDLER", "bootstrap".to_owned()),
            ("LANG", "en_US.UTF-8".to_owned()),
            ("TZ", ":UTC".to_owned()),
        ]
        .into_iter()
        .map(|(key, value)| (key.into(), value.into()))
        .collect();
        env.push(("HOME".into(), std::env::temp_dir().into()));
        env.push(("LAMBDA_TASK_ROOT".into(), root.to_owned()));
        env.extend(host_environment().map(|(key, value)| (key.into(), value)));
        env
    }
}

/// The variables without which a program of this machine may not start in an otherwise empty environment: `PATH` and those of the
/// loader, which also moves the clock of tests.
pub fn host_environment() -> impl Iterator<Item = (&'static str, OsString)> {
    let keys = ["PATH", "LD_LIBRARY_PATH", "LD_PRELOAD"].into_iter();
    keys.filter_map(|key| Some((key, std::env::var_os(key)?)))
}

/// Lambda gives a function this long to ask for its first event.
const INIT_LIMIT: Duration = Duration::from_secs(10);

/// A running function. Its process is killed when this is dropped.
#[derive(Debug)]
pub struct Function {
    child: Child,
    pid: u32,
    spawned: Instant,
    api: RuntimeApi,
    log: Log,
    readers: Vec<JoinHandle<()>>,
    exit: Option<ExitStatus>,
    init_limit: Duration,
}

impl Function {
    /// Starts a program with these variables beside those every function has. See [`Launch`] for more.
    ///
    /// # Errors
    /// When there is no such program, it cannot be run here, or no port is free.
    pub async fn start(program: &Path, env: &[(String, String)]) -> anyhow::Result<Self> {
        Launch::new(program).envs(env.iter().map(|(key, value)| (key, value))).start().await
    }

    /// Waits for the function to ask for its first event and says how long that took from the start of the process.
    ///
    /// # Errors
    /// How it ended instead: [`Outcome::Error`], [`Outcome::Exited`] or, after Lambda's ten seconds, [`Outcome::TimedOut`].
    pub async fn ready(&mut self) -> Result<Duration, Outcome> {
        let startup = tokio::select! {
            biased;
            startup = self.api.started() => startup,
            status = self.child.wait() => {
                self.exit = status.ok();
                // It may have reported why before it ended.
                tokio::time::timeout(GRACE, self.api.started()).await.unwrap_or(Startup::Pending)
            }
            () = tokio::time::sleep(self.init_limit) => {
                self.kill().await;
                return Err(Outcome::TimedOut);
            }
        };
        match startup {
            Startup::Ready(at) => Ok(at.duration_since(self.spawned)),
            Startup::Failed(outcome) => Err(outcome),
            Startup::Pending => Err(self.exited()),
        }
    }

    /// Waits until the function is ready, then gives it `payload`. No answer within `timeout` ends the process.
    pub async fn invoke(&mut self, payload: &Value, timeout: Duration) -> Invocation {
        if self.exit.is_some() {
            return Invocation { outcome: self.exited(), duration: Duration::ZERO };
        }
        if let Err(outcome) = self.ready().await {
            return Invocation { outcome, duration: Duration::ZERO };
        }
        let begin = Instant::now();
        let mut answer = Box::pin(self.api.invoke(payload, timeout));
        let ended = tokio::select! {
            biased;
            invocation = &mut answer => Ok(invocation),
            status = self.child.wait() => {
                self.exit = status.ok();
                // The answer may have been sent with the last breath.
                tokio::time::timeout(GRACE, &mut answer).await.map_err(|_| begin.elapsed())
            }
        };
        drop(answer);
        match ended {
            Ok(invocation) => {
                if invocation.outcome == Outcome::TimedOut {
                    self.kill().await;
                }
                invocation
            }
            Err(duration) => Invocation { outcome: self.exited(), duration },
        }
    }

    /// What the function has written so far to both of its outputs, line by line in the order of arrival.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.log.lines().clone()
    }

    /// The largest resident size of the process so far, in bytes (`VmHWM`); none where there is no `/proc`, or when the
    /// process is gone.
    #[must_use]
    pub fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        peak_of(&status)
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends the process and returns everything it wrote.
    pub async fn stop(mut self) -> Vec<String> {
        self.kill().await;
        for reader in std::mem::take(&mut self.readers) {
            let _ = tokio::time::timeout(DRAIN, reader).await;
        }
        self.log()
    }

    async fn kill(&mut self) {
        // Fails only for a process that has ended.
        let _ = self.child.start_kill();
        if let Ok(status) = self.child.wait().await {
            self.exit.get_or_insert(status);
        }
    }

    fn exited(&self) -> Outcome {
        Outcome::Exited { code: self.exit.and_then(|status| status.code()) }
    }
}

/// `VmHWM` of a `/proc/<pid>/status`, in bytes.
pub(super) fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?;
    kib.checked_mul(1024)
}

#[derive(Clone)]
struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    on_line: Option<OnLine>,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("lines", &self.lines).finish_non_exhaustive()
    }
}

impl Log {
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(self, pipe: impl AsyncRead + Unpin) {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        // By bytes: a function that writes something other than UTF-8 must not end its own log.
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
