//! Figures beside their aims.

use crate::table::{lay_out, row};
use serde::Serialize;

/// A figure and its aim.
#[derive(Debug, Serialize)]
struct Verdict {
    figure: String,
    value: String,
    aim: String,
    met: bool,
}

/// What became of the aims of a run.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Verdicts(Vec<Verdict>);

impl Verdicts {
    /// Puts a figure beside its aim.
    pub fn judge(&mut self, figure: impl Into<String>, value: impl Into<String>, aim: impl Into<String>, met: bool) {
        self.0.push(Verdict { figure: figure.into(), value: value.into(), aim: aim.into(), met });
    }

    /// Writes them as a table, if there are any.
    pub fn render(&self, text: &mut String) {
        if self.0.is_empty() {
            return;
        }
        text.push('\n');
        let mut rows = vec![row(&["figure", "value", "aim", "verdict"])];
        rows.extend(
            self.0.iter().map(|Verdict { figure, value, aim, met }| {
                row(&[figure, value, aim, if *met { "pass" } else { "MISS" }])
            }),
        );
        lay_out(text, &rows);
    }
}
