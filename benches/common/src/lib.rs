//! Shared code of the benchmarks: the machine of the results, medians, tables, targets.

use anyhow::Context as _;

pub mod machine;
pub mod process;
pub mod stats;
pub mod table;
pub mod targets;

/// Converts a count of at most 2^52 for divisions.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub fn count(number: usize) -> f64 {
    number as f64
}

/// Writes results as JSON.
pub fn write_json(path: &std::path::Path, results: &impl serde::Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(results)? + "\n";
    std::fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))
}
