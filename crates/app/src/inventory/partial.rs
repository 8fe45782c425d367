//! The text of a partial inventory: a line with the request, then a line for each completed read.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{CompletedRead, InventoryScope};

/// The version of the format. A new version of [`CompletedRead`] needs a new one.
const VERSION: u64 = 3;
/// A document is as of its first read, so that older reads are not resumed.
const MOST: SignedDuration = SignedDuration::from_hours(24);

/// The scope and sources of a run. Runs of equal requests resume each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRequest {
    /// The name of the aggregator.
    pub aggregator: String,
    /// The name of the role in each account; `None` reads the aggregator only.
    pub role: Option<String>,
    /// The locations.
    pub scope: InventoryScope,
}

/// The reads of an earlier run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierReads {
    /// The time of the first read.
    pub began: Timestamp,
    /// The completed reads.
    pub parts: Vec<CompletedRead>,
    /// The bytes of the complete lines. An interrupted write leaves a line without an end, whose read is repeated.
    pub length: usize,
}

/// The reason why a text cannot be resumed.
#[derive(Debug, thiserror::Error)]
pub enum PartialFault {
    /// There is no complete line.
    #[error("it is empty")]
    Empty,
    /// The text has another format.
    #[error("it is not a partial inventory of this version")]
    Version,
    /// The request differs.
    #[error("it belongs to an inventory with another aggregator, role, account or Region")]
    OtherRequest,
    /// The first read was more than a day ago, or is in the future.
    #[error("it is from {0:.0} and too old to resume")]
    Old(Timestamp),
    /// A line is not a completed read; its number and the error.
    #[error("line {0} is not valid: {1}")]
    Line(usize, serde_json::Error),
}

impl ReadRequest {
    /// Returns the first line, with its end. `began` is the time of the first read.
    pub fn first_line(&self, began: Timestamp) -> String {
        format!("{}\n", self.header(began))
    }

    fn header(&self, began: Timestamp) -> Value {
        let Self { aggregator, role, scope } = self;
        json!({"inventory": VERSION, "began": began, "aggregator": aggregator, "role": role, "scope": scope})
    }

    /// Parses the text of an earlier run of this request.
    pub fn resume(&self, text: &str, now: Timestamp) -> Result<EarlierReads, PartialFault> {
        let length = text.rfind('\n').map_or(0, |end| end.saturating_add(1));
        let mut lines = text.get(..length).unwrap_or_default().lines();
        let header: Value = serde_json::from_str(lines.next().ok_or(PartialFault::Empty)?).unwrap_or_default();
        let began = header.get("began").and_then(Value::as_str).and_then(|time| time.parse::<Timestamp>().ok());
        let (true, Some(began)) = (header.get("inventory") == Some(&VERSION.into()), began) else {
            return Err(PartialFault::Version);
        };
        if header != self.header(began) {
            return Err(PartialFault::OtherRequest);
        }
        let age = now.duration_since(began);
        if age > MOST || age < SignedDuration::ZERO {
            return Err(PartialFault::Old(began));
        }
        let part = |(number, line)| serde_json::from_str(line).map_err(|error| PartialFault::Line(number, error));
        let parts = (2..).zip(lines).map(part).collect::<Result<Vec<_>, _>>()?;
        Ok(EarlierReads { began, parts, length })
    }
}

impl CompletedRead {
    /// Returns the line of this read, with its end.
    pub fn line(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string(self)? + "\n")
    }
}
