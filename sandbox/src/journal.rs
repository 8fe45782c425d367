//! The journal of requests, by which tests count the calls of a function.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde::Serialize;

/// A request that the gateway answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The service as it signs requests, for instance `cloudformation`.
    pub service: String,
    /// The operation (`UpdateStackSet`), or method and path of a REST request without a known operation.
    pub operation: String,
    /// Whether its name is that of a mutating operation.
    pub mutating: bool,
    /// When the gateway received it (UTC).
    pub at: String,
    /// The Lambda function that sent it; the access key of all other callers.
    pub who: String,
    /// Whether a Lambda function sent it.
    pub from_function: bool,
    /// The HTTP status of the response.
    pub status: u16,
}

/// The answered requests, in the order of their responses.
#[derive(Debug, Default)]
pub struct Journal {
    entries: Mutex<Vec<Entry>>,
}

/// A position in the journal; the default is its beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark(usize);

impl Mark {
    /// Returns the position after so many requests.
    pub fn at(requests: usize) -> Self {
        Self(requests)
    }

    /// Returns the number of requests before the position.
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

    /// Returns the position after all entries.
    pub fn mark(&self) -> Mark {
        Mark(self.entries.lock().map_or(0, |entries| entries.len()))
    }

    /// Returns the entries after a position.
    pub fn since(&self, mark: Mark) -> Vec<Entry> {
        self.entries.lock().map_or_else(|_| Vec::new(), |entries| entries.iter().skip(mark.0).cloned().collect())
    }

    /// Returns the calls of a Lambda function after a position; `function` is a part of its name.
    pub fn calls_of(&self, function: &str, mark: Mark) -> Vec<Entry> {
        let mut entries = self.since(mark);
        entries.retain(|entry| entry.from_function && entry.who.to_lowercase().contains(&function.to_lowercase()));
        entries
    }

    /// Counts the calls of each kind (`dynamodb:PutItem`) between two positions, of one function if it is given (a
    /// part of its name).
    pub fn counts(&self, from: Mark, to: Mark, function: Option<&str>) -> BTreeMap<String, usize> {
        let function = function.map(str::to_lowercase);
        let mut counts = BTreeMap::new();
        let Ok(entries) = self.entries.lock() else { return counts };
        for entry in entries.iter().take(to.0).skip(from.0) {
            let matches = |function: &String| entry.from_function && entry.who.to_lowercase().contains(function);
            if function.as_ref().is_none_or(matches) {
                *counts.entry(format!("{}:{}", entry.service, entry.operation)).or_default() += 1;
            }
        }
        counts
    }
}

/// Whether an operation is mutating, by its name; a REST request (`PUT /path`) by its method.
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
