//! Tables that fit the terminal.

use std::borrow::Cow;

use console::{Alignment, measure_text_width, pad_str, style, truncate_str};

/// Spaces between two columns.
const GAP: usize = 2;

/// A column: its head, its minimum width, and the end at which texts are cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub(crate) head: &'static str,
    pub(crate) least: usize,
    pub(crate) cut: Cut,
}

impl Column {
    pub(crate) const fn new(head: &'static str, least: usize) -> Self {
        Self { head, least, cut: Cut::End }
    }
}

/// The end at which a long text is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    End,
    /// At its start, for names that differ at their ends.
    Start,
}

/// Returns the lines of a table, at most `room` wide; `None` if too narrow. `color` gets the number of each row and its cells.
pub(crate) fn lines(
    columns: &[Column],
    rows: &[Vec<String>],
    room: Option<usize>,
    color: impl Fn(usize, &mut [String]),
) -> Option<Vec<String>> {
    let widths = widths(columns, rows, room)?;
    let heads: Vec<String> = columns.iter().map(|column| column.head.to_owned()).collect();
    let head = style(line(&cells(columns, &heads, &widths))).bold().to_string();
    let rows = rows.iter().enumerate().map(|(number, row)| {
        let mut cells = cells(columns, row, &widths);
        color(number, &mut cells);
        line(&cells)
    });
    Some(std::iter::once(head).chain(rows).collect())
}

/// Returns the widths at which the rows fit into `room`: the widest columns are narrowed.
fn widths(columns: &[Column], rows: &[Vec<String>], room: Option<usize>) -> Option<Vec<usize>> {
    let mut widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let cells = rows.iter().filter_map(|row| row.get(index)).map(|cell| measure_text_width(cell));
            cells.max().unwrap_or(0).max(measure_text_width(column.head))
        })
        .collect();
    let Some(room) = room else { return Some(widths) };
    let room = room.saturating_sub(GAP.saturating_mul(columns.len().saturating_sub(1)));
    while widths.iter().sum::<usize>() > room {
        let narrowed = widths.iter_mut().zip(columns).filter(|(width, column)| **width > column.least);
        let (width, _) = narrowed.max_by_key(|(width, _)| **width)?;
        *width = width.saturating_sub(1);
    }
    Some(widths)
}

/// Cuts and pads the cells to these widths. The last one is not padded.
fn cells(columns: &[Column], texts: &[String], widths: &[usize]) -> Vec<String> {
    let last = widths.len().saturating_sub(1);
    texts
        .iter()
        .zip(widths)
        .zip(columns)
        .enumerate()
        .map(|(index, ((text, width), column))| {
            let cut = match column.cut {
                Cut::End => truncate_str(text, *width, "…"),
                Cut::Start => from_end(text, *width),
            };
            if index == last { cut.into_owned() } else { pad_str(&cut, *width, Alignment::Left, None).into_owned() }
        })
        .collect()
}

/// Returns the end of a text that fits.
pub(crate) fn from_end(text: &str, width: usize) -> Cow<'_, str> {
    if measure_text_width(text) <= width {
        return Cow::Borrowed(text);
    }
    let starts = text.char_indices().map(|(at, _)| at).filter_map(|at| text.get(at..));
    let fits = |end: &&str| measure_text_width(end) < width;
    starts.skip(1).find(fits).map_or(Cow::Borrowed("…"), |end| Cow::Owned(format!("…{end}")))
}

fn line(cells: &[String]) -> String {
    cells.join(&" ".repeat(GAP)).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn column(head: &'static str, least: usize) -> Column {
        Column { head, least, cut: Cut::End }
    }

    const COLUMNS: [Column; 3] = [column("A", 3), column("LONG", 4), column("C", 1)];

    fn rows() -> Vec<Vec<String>> {
        [["x", "a long name 日本", "z"], ["yyyyyy", "b", "zz"]].map(|row| row.map(str::to_owned).to_vec()).to_vec()
    }

    #[test]
    fn widest_columns_shrink_to_the_terminal() {
        for (room, expected) in [
            (None, Some(vec![6, 16, 2])),
            (Some(28), Some(vec![6, 16, 2])),
            (Some(24), Some(vec![6, 12, 2])),
            (Some(12), Some(vec![3, 4, 1])),
            (Some(11), None),
            (Some(0), None),
        ] {
            assert_eq!(widths(&COLUMNS, &rows(), room), expected, "{room:?}");
        }
    }

    #[test]
    fn no_line_is_wider_than_the_room() {
        for room in 12..40 {
            let widths = widths(&COLUMNS, &rows(), Some(room)).unwrap();
            for row in rows() {
                let line = line(&cells(&COLUMNS, &row, &widths));
                assert!(measure_text_width(&line) <= room, "{room}: {line}");
            }
        }
        let narrow = widths(&COLUMNS, &rows(), Some(24)).unwrap();
        assert_eq!(line(&cells(&COLUMNS, &rows()[0], &narrow)), "x       a long name…  z");
    }

    #[test]
    fn a_text_may_be_cut_at_its_start() {
        let column = [Column { cut: Cut::Start, ..column("A", 1) }];
        let cut = |text: &str, width| cells(&column, &[text.to_owned()], &[width]).concat();
        for (text, width, expected) in [
            ("PROTECTED_BY_PLAN", 17, "PROTECTED_BY_PLAN"),
            ("PROTECTED_BY_PLAN", 8, "…BY_PLAN"),
            ("日本語", 4, "…語"),
            ("ab", 1, "…"),
        ] {
            assert_eq!(cut(text, width), expected, "{text} {width}");
        }
    }
}
