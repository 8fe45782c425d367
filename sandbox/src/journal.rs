//! What was asked of the cloud, in order: how tests count the calls of a function.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde::Serialize;

/// One request that went through the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The service as it signs requests, for instance `cloudformation`.
    pub service: String,
    /// The operation (`UpdateStackSet`), or method and path where the protocol has no names.
    pub operation: String,
    /// Whether it changes anything, judged by its name.
    pub mutating: bool,
    /// When it arrived (UTC).
    pub at: String,
    /// The Lambda function it came from, when it came from one; else the access key.
    pub who: String,
    /// Whether it came from a Lambda function.
    pub from_function: bool,
    /// The HTTP status of the answer.
    pub status: u16,
}

/// The requests that were answered so far, in the order of the answers.
#[derive(Debug, Default)]
pub struct Journal {
    entries: Mutex<Vec<Entry>>,
}

/// A point in the journal; the default is its beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark(usize);

impl Mark {
    /// The point after so many requests.
    #[must_use]
    pub fn at(requests: usize) -> Self {
        Self(requests)
    }

    /// How many requests came before.
    #[must_use]
    pub fn number(self) -> usize {
        self.0
    }
}

impl Journal {
    pub(crate) fn add(&self, entry: Entry) {
        if let Ok(mut entries) = self.entries.lock() {
            entries.push(entry);
        }
    }

    /// The point after everything so far.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(self.entries.lock().map_or(0, |entries| entries.len()))
    }

    /// Everything after a point.
    #[must_use]
    pub fn since(&self, mark: Mark) -> Vec<Entry> {
        self.entries.lock().map_or_else(|_| Vec::new(), |entries| entries.iter().skip(mark.0).cloned().collect())
    }

    /// What a Lambda function asked for after a point; `function` is a part of its name.
    #[must_use]
    pub fn calls_of(&self, function: &str, mark: Mark) -> Vec<Entry> {
        let mut entries = self.since(mark);
        entries.retain(|entry| entry.from_function && entry.who.to_lowercase().contains(&function.to_lowercase()));
        entries
    }

    /// How many calls of each kind (`dynamodb:PutItem`) there were between two points, if a function is named (a part of its
    /// name) those of this function only.
    #[must_use]
    pub fn counts(&self, from: Mark, to: Mark, function: Option<&str>) -> BTreeMap<String, usize> {
        let function = function.map(str::to_lowercase);
        let mut counts = BTreeMap::new();
        let Ok(entries) = self.entries.lock() else { return counts };
        for entry in entries.iter().take(to.0).skip(from.0) {
            let of_it = |function: &String| entry.from_function && entry.who.to_lowercase().contains(function);
            if function.as_ref().is_none_or(of_it) {
                *counts.entry(format!("{}:{}", entry.service, entry.operation)).or_default() += 1;
            }
        }
        counts
    }
}

/// Whether an operation changes anything, by its name; a REST request (`PUT /path`) by its method.
#[must_use]
pub fn is_mutating(operation: &str) -> bool {
    const READS: [&str; 17] = [
        "Get",
        "List",
        "Describe",
        "Query",
        "Scan",
        "BatchGet",
        "TransactGet",
        "Head",
        "Receive",
        "Select",
        "Test",
        "Filter",
        "Lookup",
        "Search",
        "Validate",
        "Estimate",
        "Detect",
    ];
    if let Some((method, _)) = operation.split_once(' ') {
        return !matches!(method, "GET" | "HEAD" | "OPTIONS");
    }
    !READS.iter().any(|read| operation.starts_with(read))
}

#[cfg(test)]
mod tests;
