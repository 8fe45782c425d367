//! `invoke`: run a built function under a local Runtime API.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};

use runtime_api::{Invocation, InvocationOutcome, Launch};

use crate::{CommandOutcome, cloud, env_file, input, output};

/// Run a function once, as Lambda would.
///
/// Starts the built function with a clean environment and sends it the event. Prints the response as JSON on standard
/// output and the log on standard error. The function gets the shell's `AWS_*` variables, overridden by those of
/// --env-file, overridden by those of --env. All other variables have to be set by these two options.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  backup-compliance invoke deploy events/codecommit-push.json \\
    --env-file target/sandbox/env
  backup-compliance invoke report - --env STATE_TABLE_NAME=state < event.json
  backup-compliance invoke report event.json --binary target/debug/report \\
    --timeout 5")]
pub(crate) struct InvokeArgs {
    /// The function: deploy, lifecycle, report or sweep.
    #[arg(value_name = "FUNCTION")]
    function: String,
    /// A JSON file with the event, or `-` for standard input.
    #[arg(value_name = "EVENT")]
    event: PathBuf,
    /// Set a variable of the function; repeatable.
    #[arg(long, value_name = "K=V", value_parser = pair)]
    env: Vec<(String, String)>,
    /// Read `export K=V` lines, such as `target/sandbox/env` of a running sandbox; repeatable.
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Stop the function after this many seconds.
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=900))]
    timeout: u64,
    /// Run this program instead of `target/lambda/FUNCTION/bootstrap` here or in a parent folder.
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if env_file::is_name(key) => Ok((key.to_owned(), value.to_owned())),
        _ => Err("not of the form `NAME=value`".to_owned()),
    }
}

pub(crate) fn run(args: &InvokeArgs) -> anyhow::Result<CommandOutcome> {
    let event = input::event(&args.event)?;
    let program = program(args)?;
    let variables = variables(args)?;

    let mut launch = Launch::new(program).name(&args.function).on_line(output::note);
    // The placeholder credentials would take precedence over a profile.
    if variables.contains_key(&OsString::from("AWS_PROFILE")) {
        for key in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"] {
            launch = launch.without_env(key);
        }
    }
    let launch = launch.envs(variables);
    cloud::block_on(async {
        let mut function = launch.start().await?;
        let started = function.ready().await;
        let invocation = match &started {
            Ok(_) => function.invoke(&event, Duration::from_secs(args.timeout)).await,
            Err(outcome) => Invocation { outcome: outcome.clone(), duration: Duration::ZERO },
        };
        let memory = function.peak_memory();
        // Prints the whole log before the result.
        function.stop().await;
        if let Ok(started) = &started {
            output::hint(&timings(*started, invocation.duration, memory));
        }
        report(args, started.is_ok(), invocation.outcome)
    })
}

fn timings(started: Duration, invoked: Duration, memory: Option<u64>) -> String {
    let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
    let memory = memory.map(|bytes| format!(", peak memory {} KiB", bytes / 1024)).unwrap_or_default();
    format!("started in {:.1} ms, ended in {:.1} ms{memory}", ms(started), ms(invoked))
}

fn report(args: &InvokeArgs, started: bool, outcome: InvocationOutcome) -> anyhow::Result<CommandOutcome> {
    let name = &args.function;
    let when = if started { "before it responded" } else { "before it was ready for an event" };
    let message = match outcome {
        InvocationOutcome::Response(response) => {
            output::json(&response)?;
            return Ok(CommandOutcome::Clean);
        }
        InvocationOutcome::Error { kind, message } => format!("`{name}` failed: {message} ({kind})"),
        InvocationOutcome::Exited { code: Some(code) } => {
            format!("`{name}` exited with status {code} {when}; see its log above")
        }
        InvocationOutcome::Exited { code: None } => format!("`{name}` was killed by a signal {when}"),
        InvocationOutcome::TimedOut if started => {
            format!("`{name}` did not respond within {} seconds and was stopped", args.timeout)
        }
        InvocationOutcome::TimedOut => format!("`{name}` did not request an event within 10 seconds and was stopped"),
    };
    output::error(&message);
    Ok(CommandOutcome::Findings)
}

fn program(args: &InvokeArgs) -> anyhow::Result<PathBuf> {
    if let Some(binary) = &args.binary {
        // A name without a folder would be searched in `PATH`.
        return std::path::absolute(binary).with_context(|| format!("not a path: `{}`", binary.display()));
    }
    let name = &args.function;
    let built = Path::new("target/lambda").join(name).join("bootstrap");
    let here = std::env::current_dir().context("the current folder was deleted")?;
    here.ancestors().map(|folder| folder.join(&built)).find(|path| path.is_file()).with_context(|| {
        format!(
            "`{name}` is not built: no `{}` here or in a parent folder; run `cargo lambda build --release --bin {name}`, \
             or name the program with `--binary`",
            built.display()
        )
    })
}

/// The variables of the shell, overridden by those of the files, overridden by those of --env.
fn variables(args: &InvokeArgs) -> anyhow::Result<BTreeMap<OsString, OsString>> {
    let mut variables: BTreeMap<_, _> = std::env::vars_os().filter(|(key, _)| passes(&key.to_string_lossy())).collect();
    for path in &args.env_file {
        let shown = path.display();
        let text = input::text(path, input::SETTINGS)?;
        let pairs = env_file::parse(&text).map_err(|(line, message)| anyhow!("{shown}:{line}: {message}"))?;
        variables.extend(pairs.into_iter().map(|(key, value)| (key.into(), value.into())));
    }
    variables.extend(args.env.iter().map(|(key, value)| (key.into(), value.into())));
    Ok(variables)
}

/// Whether a variable of the shell is passed to the function: AWS settings, their location, certificates, and the log level.
fn passes(key: &str) -> bool {
    // The Runtime API sets `AWS_LAMBDA_*`.
    (key.starts_with("AWS_") && !key.starts_with("AWS_LAMBDA_"))
        || ["HOME", "SSL_CERT_FILE", "SSL_CERT_DIR", "RUST_LOG", "RUST_BACKTRACE"].contains(&key)
}
