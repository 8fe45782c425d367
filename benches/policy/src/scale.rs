//! Growth from ten thousand to a million resources: time and memory.

use std::path::Path;
use std::process::Command;

use anyhow::ensure;
use serde::Serialize;

use crate::sample;
use crate::work::CoverageRun;

/// The evaluation of an inventory.
#[derive(Debug, Serialize)]
pub(crate) struct Size {
    pub(crate) resources: usize,
    pub(crate) document_mb: f64,
    pub(crate) took: CoverageRun,
}

pub(crate) fn measure(resources: usize, folder: &Path) -> anyhow::Result<Size> {
    let document = folder.join(format!("inventory-{resources}.json"));
    sample::write(&document, resources)?;
    let document_mb = std::fs::metadata(&document)?.len() as f64 / 1e6;
    let took = one(&document)?;
    std::fs::remove_file(&document)?;
    Ok(Size { resources, document_mb, took })
}

/// Reads and evaluates a document in a process of its own.
pub(crate) fn one(document: &Path) -> anyhow::Result<CoverageRun> {
    let output = Command::new(std::env::current_exe()?).args(["work", "cover"]).arg(document).output()?;
    ensure!(output.status.success(), "cover: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}
