//! The machine the figures belong to.

use std::path::Path;

use serde::Serialize;
use tokio::process::Command;

#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) memory_mib: Option<u64>,
    /// Work of others at the start: figures of a busy machine are worth less.
    pub(crate) load: Option<f64>,
    pub(crate) python: String,
}

pub(crate) async fn describe(python: &Path) -> Machine {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let after = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key))?;
        line.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    let known = |text: Option<String>| text.filter(|t| !t.is_empty()).unwrap_or_else(|| "unknown".to_owned());
    Machine {
        cpu: known(after(&read("/proc/cpuinfo"), "model name")),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        kernel: known(Some(read("/proc/sys/kernel/osrelease").trim().to_owned())),
        memory_mib: after(&read("/proc/meminfo"), "MemTotal")
            .and_then(|value| value.strip_suffix(" kB")?.parse::<u64>().ok())
            .map(|kib| kib / 1024),
        load: read("/proc/loadavg").split(' ').next().and_then(|value| value.parse().ok()),
        python: known(versions(python).await),
    }
}

async fn versions(python: &Path) -> Option<String> {
    let script = "import sys, boto3, importlib.metadata as m; \
                  print(sys.version.split()[0], 'boto3', boto3.__version__, 'awslambdaric', m.version('awslambdaric'))";
    let output = Command::new(python).arg("-c").arg(script).output().await.ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
