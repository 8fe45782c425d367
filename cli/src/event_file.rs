//! Reads an event from a file or standard input.

use std::path::Path;

use anyhow::anyhow;
use serde_json::Value;

use crate::input;

/// Reads an event; `-` is standard input.
///
/// # Errors
/// The event could not be read, or is not valid JSON; the message then starts with file, line and column.
pub(crate) fn read(path: &Path) -> anyhow::Result<Value> {
    let shown = path.display();
    let bytes = input::bytes(path, input::EVENT)?;
    serde_json::from_slice(&bytes).map_err(|e| {
        // serde_json puts the position at the end; editors expect it at the start.
        let message = e.to_string();
        let position = format!(" at line {} column {}", e.line(), e.column());
        let message = message.strip_suffix(&position).unwrap_or(&message);
        anyhow!("{shown}:{}:{}: the event is not JSON: {message}", e.line(), e.column())
    })
}
