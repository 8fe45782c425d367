//! `sweep`: finds what was left undone. In this version: notices that are on record as owed and were never told, because a
//! `report` ended between recording and telling.

use crate::ports::{Clock, FrameworkDirectory, Notifier, ResourceDirectory, Result, ViolationStore};
use crate::report::{Report, Reported};
use serde_json::Value;

/// Notices told by one run; the rest waits for the next.
const LIMIT: usize = 500;

/// Whether an event asks for a sweep.
///
/// # Errors
/// Says what was expected.
pub fn asked(event: &Value) -> Result<(), &'static str> {
    let is = |key: &str, expected: &str| event.get(key).and_then(Value::as_str) == Some(expected);
    if is("source", "backup-compliance.schedule") && is("look", "sweep") {
        Ok(())
    } else {
        Err(
            "not an event of the sweep: `{\"source\": \"backup-compliance.schedule\", \"look\": \"sweep\"}` is expected",
        )
    }
}

/// Tells what is owed.
///
/// # Errors
/// When the records cannot be read.
pub async fn sweep<V, N, F, R, C>(report: &Report<V, N, F, R, C>) -> Result<Reported>
where
    V: ViolationStore,
    N: Notifier,
    F: FrameworkDirectory,
    R: ResourceDirectory,
    C: Clock,
{
    report.tell_owed(LIMIT).await
}
