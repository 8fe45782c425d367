//! The machine of the results, and the Python of the comparison.

use std::path::Path;

use serde::Serialize;
use tokio::process::Command;

#[derive(Debug, Serialize)]
pub(crate) struct Environment {
    #[serde(flatten)]
    pub(crate) machine: bench_common::machine::Machine,
    pub(crate) python: String,
}

pub(crate) async fn describe(python: &Path) -> Environment {
    let python = versions(python).await.filter(|text| !text.is_empty());
    Environment {
        machine: bench_common::machine::Machine::this(),
        python: python.unwrap_or_else(|| "unknown".to_owned()),
    }
}

async fn versions(python: &Path) -> Option<String> {
    let script = "import sys, boto3, importlib.metadata as m; \
                  print(sys.version.split()[0], 'boto3', boto3.__version__, 'awslambdaric', m.version('awslambdaric'))";
    let output = Command::new(python).arg("-c").arg(script).output().await.ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
