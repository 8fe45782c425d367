//! Markdown tables with aligned columns.

use std::fmt::Write as _;

/// Appends a table; the first row is its header.
pub fn lay_out(text: &mut String, rows: &[Vec<String>]) {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths = (0..columns).map(width).collect::<Vec<_>>();
    for (index, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect::<Vec<_>>();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {} |", cells.join(" | "));
        if index == 0 {
            let rule = widths.iter().map(|&width| "-".repeat(width)).collect::<Vec<_>>();
            let _ = writeln!(text, "| {} |", rule.join(" | "));
        }
    }
}

/// Creates a row.
pub fn row(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}
