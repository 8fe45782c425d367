use proptest::prelude::*;

use super::*;

fn excerpt(text: &str, line: usize, column: usize) -> Option<String> {
    SourceText::new("f", text).error(Position { line, column }, "p", "x").excerpt
}

#[test]
fn diagnostic_displays_as_clickable_line() {
    let source = SourceText::new("a/b.yaml", "one\ntwo: [x]\n");
    let diagnostic = source.error(Position { line: 2, column: 7 }, "`x` is wrong", "write `y`");
    assert_eq!(diagnostic.to_string(), "a/b.yaml:2:7: `x` is wrong; write `y`");
    assert_eq!(diagnostic.excerpt.as_deref(), Some("two: [x]\n      ^"));
    assert_eq!(Diagnostic::of_file("a.yaml", "it is missing", "add it").to_string(), "a.yaml: it is missing; add it");
}

#[test]
fn diagnostic_is_flat_json() {
    let diagnostic = SourceText::new("f", "a").error(Position { line: 1, column: 1 }, "p", "x");
    assert_eq!(
        serde_json::to_value(&diagnostic).expect("JSON"),
        serde_json::json!({"file": "f", "line": 1, "column": 1, "message": "p", "help": "x", "excerpt": "a\n^"})
    );
    assert_eq!(
        serde_json::to_value(Diagnostic::of_file("f", "p", "x")).expect("JSON"),
        serde_json::json!({"file": "f", "message": "p", "help": "x"})
    );
}

#[test]
fn excerpt_has_caret_under_column() {
    assert_eq!(excerpt("\tkey: value", 1, 2).as_deref(), Some(" key: value\n ^"), "a tab takes one column");
    assert_eq!(excerpt("a\r\nb c\r\n", 2, 3).as_deref(), Some("b c\n  ^"));
    assert_eq!(excerpt("a\rb", 2, 1).as_deref(), Some("b\n^"));
    assert_eq!(excerpt("\u{feff}abc", 1, 2).as_deref(), Some("abc\n ^"), "the mark is not a character of the line");
    assert_eq!(excerpt("abc", 1, 99).as_deref(), Some("abc\n   ^"), "after the end");
    assert_eq!(excerpt("äöü x", 1, 5).as_deref(), Some("äöü x\n    ^"), "characters, not bytes");
    assert_eq!(excerpt("a\n\nb", 2, 1), None, "an empty line has no excerpt");
    assert_eq!(excerpt("a", 7, 1), None);
    assert_eq!(excerpt("a", 0, 0), None);
}

#[test]
fn excerpt_cuts_long_lines_around_column() {
    let line: String = ('a'..='z').cycle().take(400).collect();
    for (column, cut_before, cut_after) in
        [(1, false, true), (49, false, true), (50, true, true), (399, true, false), (401, true, false)]
    {
        let excerpt = excerpt(&line, 1, column).expect("an excerpt");
        let (shown, caret) = excerpt.split_once('\n').expect("two lines");
        assert_eq!(shown.chars().count(), 72, "{column}");
        assert_eq!((shown.starts_with('…'), shown.ends_with('…')), (cut_before, cut_after), "{column}");
        assert_eq!(shown.chars().nth(caret.len() - 1), line.chars().nth(column - 1), "{column}");
    }
}

fn edit((line, column): (usize, usize), (to_line, to_column): (usize, usize), new: &str) -> Edit {
    let to = Position { line: to_line, column: to_column };
    Edit { from: Position { line, column }, to, new: new.to_owned() }
}

#[test]
fn edits_of_a_group_are_applied_together() {
    let text = "\u{feff}one: é b\r\ntwo: c\rthree: d";
    for (edits, expected, count) in [
        (vec![vec![edit((1, 6), (1, 7), "x")]], "\u{feff}one: x b\r\ntwo: c\rthree: d", 1),
        (vec![vec![edit((2, 6), (2, 7), "x"), edit((3, 8), (3, 9), "y")]], "\u{feff}one: é b\r\ntwo: x\rthree: y", 1),
        (
            vec![vec![edit((1, 8), (1, 9), "x")], vec![edit((1, 6), (1, 9), "y")]],
            "\u{feff}one: é x\r\ntwo: c\rthree: d",
            1,
        ),
        (vec![vec![edit((2, 6), (2, 7), "x"), edit((9, 1), (9, 2), "y")]], text, 0),
        (vec![vec![edit((2, 7), (2, 6), "x")]], text, 0),
        (vec![vec![edit((0, 1), (1, 1), "x")], vec![edit((1, 0), (1, 1), "x")], vec![]], text, 0),
        (vec![vec![edit((1, 1), (1, 1), "# ")]], "\u{feff}# one: é b\r\ntwo: c\rthree: d", 1),
    ] {
        let (new, applied) = apply(text, edits.iter().map(Vec::as_slice));
        assert_eq!((new.as_str(), applied), (expected, count), "{edits:?}");
    }
}

#[test]
fn diagnostics_are_sorted_and_limited() {
    let source = SourceText::new("f", "a\nb\n");
    let mut diagnostics = Diagnostics::new(&source);
    diagnostics.report_error(Position { line: 2, column: 1 }, "second", "x");
    diagnostics.report_error(Position { line: 1, column: 1 }, "first", "x");
    for _ in 0..200 {
        diagnostics.report_error(Position { line: 2, column: 2 }, "again", "x");
    }
    let diagnostics = diagnostics.into_vec();
    assert_eq!(diagnostics.len(), Diagnostics::MOST + 1);
    assert_eq!(diagnostics[0].message, "first");
    assert_eq!(diagnostics[Diagnostics::MOST].to_string(), "f: 102 more diagnostics are not shown; fix these first");
}

proptest! {
    #[test]
    fn any_position_has_excerpt_of_two_lines(text in "(\\PC|\t|\r|\n){0,300}", line in 0usize..9, column in 0usize..300) {
        if let Some(excerpt) = excerpt(&text, line, column) {
            prop_assert_eq!(excerpt.lines().count(), 2);
            prop_assert!(excerpt.ends_with('^'));
        }
    }
}
