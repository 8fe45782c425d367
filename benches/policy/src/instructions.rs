//! Instruction counts of fixed work: they do not depend on the load of the machine.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::Serialize;

/// The instruction count of a piece of work.
#[derive(Debug, Serialize)]
pub(crate) struct InstructionCount {
    pub(crate) what: &'static str,
    pub(crate) instructions: u64,
}

/// Whether valgrind is installed.
pub(crate) fn is_possible() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success())
}

pub(crate) fn measure(folder: &Path) -> anyhow::Result<Vec<InstructionCount>> {
    let mut counts = Vec::new();
    for (what, work) in [
        ("lint of ten controls", "count-lint"),
        ("lint of a 1 MB template", "count-large"),
        ("coverage of 1,000 resources by 20 selections", "count-cover"),
    ] {
        // Two iterations minus one: removes the start of the program and the preparation of the input.
        let (twice, once) = (run(work, "2", folder)?, run(work, "1", folder)?);
        counts.push(InstructionCount { what, instructions: twice.saturating_sub(once) });
    }
    Ok(counts)
}

fn run(work: &str, times: &str, folder: &Path) -> anyhow::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=callgrind.out"])
        .arg(std::env::current_exe()?)
        .args(["work", work, times])
        .current_dir(folder)
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "valgrind: {text}");
    let line = text.lines().find_map(|line| line.split_once("Collected :")).context("valgrind reports no count")?;
    Ok(line.1.trim().parse()?)
}
