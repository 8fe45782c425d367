//! `invoke`: run a built function under a local Runtime API and show what it answers.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use testkit::runtime_api::{Invocation, Launch, Outcome};

use crate::{Verdict, env_file, event_file, input, output};

/// Run a function once, as Lambda would.
///
/// Starts the built function with a clean environment, gives it the event, and prints its answer as JSON on standard
/// output and its log on standard error. The function gets the shell's `AWS_*` variables, over them those of
/// --env-file, and over all those of --env; every other variable it needs must be among the latter two.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  backup-compliance invoke deploy events/codecommit-push.json \\
    --env-file target/sandbox/env
  backup-compliance invoke report - --env STATE_TABLE_NAME=state < event.json
  backup-compliance invoke report event.json --binary target/debug/report \\
    --timeout 5")]
pub(crate) struct Args {
    /// The function: deploy, lifecycle, report or sweep.
    #[arg(value_name = "FUNCTION")]
    function: String,
    /// A file with the event as JSON, or `-` for standard input.
    #[arg(value_name = "EVENT")]
    event: PathBuf,
    /// A variable for the function; may be given again.
    #[arg(long, value_name = "K=V", value_parser = pair)]
    env: Vec<(String, String)>,
    /// A file of `export K=V` lines, such as the `target/sandbox/env` of a running sandbox; may be given again.
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Seconds the function has for its answer.
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=900))]
    timeout: u64,
    /// The program to run, instead of `target/lambda/FUNCTION/bootstrap` here or in a folder above.
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if env_file::is_name(key) => Ok((key.to_owned(), value.to_owned())),
        _ => Err("not of the form `NAME=value`".to_owned()),
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Verdict> {
    let event = event_file::read(&args.event)?;
    let program = program(args)?;
    let variables = variables(args)?;

    let mut launch = Launch::new(program).name(&args.function).on_line(output::note);
    // The stand-in credentials would win over a profile.
    if variables.contains_key(&OsString::from("AWS_PROFILE")) {
        for key in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"] {
            launch = launch.without_env(key);
        }
    }
    let launch = launch.envs(variables);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut function = launch.start().await?;
        let started = function.ready().await;
        let invocation = match &started {
            Ok(_) => function.invoke(&event, Duration::from_secs(args.timeout)).await,
            Err(outcome) => Invocation { outcome: outcome.clone(), duration: Duration::ZERO },
        };
        let memory = function.peak_memory();
        // All of the log before any verdict on it.
        function.stop().await;
        if let Ok(started) = &started {
            output::aside(&measured(*started, invocation.duration, memory));
        }
        verdict(args, started.is_ok(), invocation.outcome)
    })
}

fn measured(started: Duration, answered: Duration, memory: Option<u64>) -> String {
    let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
    let memory = memory.map(|bytes| format!(", peak memory {} KiB", bytes / 1024)).unwrap_or_default();
    format!("started in {:.1} ms, ended in {:.1} ms{memory}", ms(started), ms(answered))
}

fn verdict(args: &Args, started: bool, outcome: Outcome) -> anyhow::Result<Verdict> {
    let name = &args.function;
    let when = if started { "before it answered" } else { "before it was ready for an event" };
    let problem = match outcome {
        Outcome::Response(answer) => {
            output::line(&serde_json::to_string_pretty(&answer)?)?;
            return Ok(Verdict::Clean);
        }
        Outcome::Error { kind, message } => format!("`{name}` failed: {message} ({kind})"),
        Outcome::Exited { code: Some(code) } => format!("`{name}` ended with status {code} {when}; see its log above"),
        Outcome::Exited { code: None } => format!("`{name}` was ended by a signal {when}"),
        Outcome::TimedOut if started => {
            format!("`{name}` did not answer within {} seconds and was ended", args.timeout)
        }
        Outcome::TimedOut => format!("`{name}` did not ask for an event within 10 seconds and was ended"),
    };
    output::problem(&problem);
    Ok(Verdict::Findings)
}

fn program(args: &Args) -> anyhow::Result<PathBuf> {
    if let Some(binary) = &args.binary {
        // A bare name would be looked up in `PATH`.
        return std::path::absolute(binary).with_context(|| format!("not a path: `{}`", binary.display()));
    }
    let name = &args.function;
    let built = Path::new("target/lambda").join(name).join("bootstrap");
    let here = std::env::current_dir().context("the current folder is gone")?;
    let Some(found) = here.ancestors().map(|folder| folder.join(&built)).find(|path| path.is_file()) else {
        bail!(
            "`{name}` is not built: no `{}` here or in a folder above; run `cargo lambda build --release --bin {name}`, \
             or name the program with `--binary`",
            built.display()
        );
    };
    Ok(found)
}

/// The shell's, over them those of the files, over all those given one by one.
fn variables(args: &Args) -> anyhow::Result<BTreeMap<OsString, OsString>> {
    let mut variables =
        std::env::vars_os().filter(|(key, _)| passes(&key.to_string_lossy())).collect::<BTreeMap<_, _>>();
    for path in &args.env_file {
        let shown = path.display();
        let text = input::text(path, input::VARIABLES)?;
        let pairs = env_file::parse(&text).map_err(|e| anyhow!("{shown}:{}: {}", e.line, e.problem))?;
        variables.extend(pairs.into_iter().map(|(key, value)| (key.into(), value.into())));
    }
    variables.extend(args.env.iter().map(|(key, value)| (key.into(), value.into())));
    Ok(variables)
}

/// What of the shell's environment is the function's too: AWS settings, where they and certificates lie, and the log level.
fn passes(key: &str) -> bool {
    // `AWS_LAMBDA_*` is the runtime's, and ours to set.
    (key.starts_with("AWS_") && !key.starts_with("AWS_LAMBDA_"))
        || ["HOME", "SSL_CERT_FILE", "SSL_CERT_DIR", "RUST_LOG", "RUST_BACKTRACE"].contains(&key)
}
