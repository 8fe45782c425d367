//! The measured functions, with their environment and events.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

use runtime_api::Launch;
use sandbox::events::samples;

/// A measured function.
#[derive(Debug)]
pub(crate) struct BenchFunction {
    pub(crate) name: &'static str,
    pub(crate) launch: Launch,
    pub(crate) event: Value,
    /// The files of the deployment package.
    pub(crate) package: Vec<PathBuf>,
}

/// The names of all functions.
pub(crate) const NAMES: [&str; 4] = ["floor", "deploy", "report", "python"];

/// Returns the functions of these names. A missing build is an error with the command that builds it.
pub(crate) fn chosen(root: &Path, python: &Path, names: &[String]) -> anyhow::Result<Vec<BenchFunction>> {
    let violation = || event(root, "config-noncompliant.json");
    NAMES
        .into_iter()
        .filter(|name| names.iter().any(|chosen| chosen == name))
        .map(|name| match name {
            "floor" => built(root, name, "bench-floor", Value::Object(serde_json::Map::new())),
            "deploy" => built(root, name, "deploy", event(root, "codecommit-push.json")?),
            "report" => built(root, name, "report", violation()?),
            _ => python_report(root, python, violation()?),
        })
        .collect()
}

fn event(root: &Path, name: &str) -> anyhow::Result<Value> {
    samples::read(&root.join("events").join(name))
}

fn built(root: &Path, name: &'static str, binary: &str, event: Value) -> anyhow::Result<BenchFunction> {
    let bootstrap = root.join("target/lambda").join(binary).join("bootstrap");
    anyhow::ensure!(
        bootstrap.is_file(),
        "`{}` is not built: run `cargo lambda build --release --bin {binary}`",
        bootstrap.display()
    );
    let variables = variables(&event);
    let launch = Launch::new(&bootstrap).name(name).envs(variables);
    Ok(BenchFunction { name, launch, event, package: vec![bootstrap] })
}

fn python_report(root: &Path, python: &Path, event: Value) -> anyhow::Result<BenchFunction> {
    // Not canonical: the interpreter of a virtual environment is a link, and finds its packages by the path of the
    // link.
    let python = std::path::absolute(python)?;
    let folder = root.join("benches/python-report");
    let packages = site_packages(&python)?;
    let launch = Launch::new(&python)
        .arg("-m")
        .arg("awslambdaric")
        .arg("index.handler")
        .dir(&folder)
        .name("python")
        .env("LAMBDA_TASK_ROOT", &folder)
        .envs(variables(&event));
    Ok(BenchFunction { name: "python", launch, event, package: vec![folder.join("index.py"), packages] })
}

fn site_packages(python: &Path) -> anyhow::Result<PathBuf> {
    let lib = python.parent().and_then(Path::parent).unwrap_or(Path::new("/")).join("lib");
    let entries =
        std::fs::read_dir(&lib).with_context(|| format!("no virtual environment around `{}`", lib.display()))?;
    entries
        .filter_map(|entry| Some(entry.ok()?.path().join("site-packages")))
        .find(|path| path.is_dir())
        .with_context(|| format!("no site-packages under `{}`", lib.display()))
}

/// Returns the environment of all functions, as in `template.yaml`; each function reads its own variables.
fn variables(event: &Value) -> Vec<(&'static str, String)> {
    let text = |key: &str, default: &str| find(event, key).unwrap_or_else(|| default.to_owned());
    let topic = "arn:aws:sns:us-east-1:000000000000:notices";
    vec![
        // A push to another branch would be ignored.
        ("REPOSITORY_NAME", text("repositoryName", "backup-frameworks")),
        ("BRANCH_NAME", text("referenceName", "main")),
        ("POLICY_FILE", "backup-compliance.yaml".to_owned()),
        ("STATE_TABLE_NAME", "state".to_owned()),
        ("NOTIFICATION_TOPIC_ARN", topic.to_owned()),
        ("COMPLIANCE_EVENT_BUS_ARN", "arn:aws:events:us-east-1:000000000000:event-bus/compliance".to_owned()),
        ("TEMPLATE_BUCKET_NAME", "templates".to_owned()),
        ("DEPLOY_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/000000000000/deploy.fifo".to_owned()),
        ("ADMINISTRATION_ROLE_ARN", "arn:aws:iam::000000000000:role/administration".to_owned()),
        ("EXECUTION_ROLE_NAME", "execution".to_owned()),
        ("CONFIG_AGGREGATOR_NAME", String::new()),
        ("REPORT_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/000000000000/report".to_owned()),
        (
            "REPORT_DEAD_LETTER_QUEUE_URL",
            "https://sqs.us-east-1.amazonaws.com/000000000000/report-dead-letters".to_owned(),
        ),
        ("DIGEST_WINDOW_SECONDS", "300".to_owned()),
        ("SECURITY_HUB", "off".to_owned()),
        ("ORGANIZATIONAL_UNITS", "disabled".to_owned()),
        ("COMMENT_ON_COMMITS", "disabled".to_owned()),
    ]
}

/// Returns the first text with this key, also in the body of a queue message, which is a JSON text.
fn find(value: &Value, key: &str) -> Option<String> {
    match value {
        Value::Object(map) => {
            if let Some(text) = map.get(key).and_then(Value::as_str) {
                return Some(text.to_owned());
            }
            if let Some(body) = map.get("body").and_then(Value::as_str) {
                return find(&serde_json::from_str(body).ok()?, key);
            }
            map.values().find_map(|value| find(value, key))
        }
        Value::Array(items) => items.iter().find_map(|value| find(value, key)),
        _ => None,
    }
}
