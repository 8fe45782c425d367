//! An event from a file or standard input.

use std::path::Path;

use anyhow::anyhow;
use serde_json::Value;

use crate::input;

/// Reads an event; `-` is standard input.
///
/// # Errors
/// When it cannot be read, or is not JSON; the message then starts with file, line and column.
pub(crate) fn read(path: &Path) -> anyhow::Result<Value> {
    let shown = path.display();
    let bytes = input::bytes(path, input::EVENT)?;
    serde_json::from_slice(&bytes).map_err(|e| {
        // serde_json puts the place behind; editors and terminals know it in front.
        let problem = e.to_string();
        let place = format!(" at line {} column {}", e.line(), e.column());
        let problem = problem.strip_suffix(&place).unwrap_or(&problem);
        anyhow!("{shown}:{}:{}: the event is not JSON: {problem}", e.line(), e.column())
    })
}
