//! Measured figures and their targets.

use serde::Serialize;

use crate::table::{lay_out, row};

/// A figure and its target.
#[derive(Debug, PartialEq, Serialize)]
pub struct TargetCheck {
    /// The figure, with its unit.
    pub figure: String,
    /// The measured value.
    pub value: String,
    /// The target.
    pub target: String,
    /// Whether the value meets the target.
    pub met: bool,
}

/// The figures and targets of a run.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct TargetChecks(pub Vec<TargetCheck>);

impl TargetChecks {
    /// Adds a figure and its target.
    pub fn add(&mut self, figure: impl Into<String>, value: impl Into<String>, target: impl Into<String>, met: bool) {
        self.0.push(TargetCheck { figure: figure.into(), value: value.into(), target: target.into(), met });
    }

    /// Appends a table of the figures; nothing if there are none.
    pub fn render(&self, text: &mut String) {
        if self.0.is_empty() {
            return;
        }
        text.push('\n');
        let mut rows = vec![row(&["figure", "value", "target", "result"])];
        rows.extend(self.0.iter().map(|TargetCheck { figure, value, target, met }| {
            row(&[figure, value, target, if *met { "pass" } else { "MISS" }])
        }));
        lay_out(text, &rows);
    }
}
