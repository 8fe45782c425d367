use proptest::prelude::*;

use super::*;

fn excerpt(text: &str, line: usize, column: usize) -> Option<String> {
    Source::new("f", text).fault(Position { line, column }, "p", "x").excerpt
}

#[test]
fn a_fault_reads_as_a_clickable_line() {
    let source = Source::new("a/b.yaml", "one\ntwo: [x]\n");
    let fault = source.fault(Position { line: 2, column: 7 }, "`x` is wrong", "write `y`");
    assert_eq!(fault.to_string(), "a/b.yaml:2:7: `x` is wrong; write `y`");
    assert_eq!(fault.excerpt.as_deref(), Some("two: [x]\n      ^"));
    assert_eq!(Fault::of_file("a.yaml", "it is missing", "add it").to_string(), "a.yaml: it is missing; add it");
}

#[test]
fn faults_are_flat_in_json() {
    let fault = Source::new("f", "a").fault(Position { line: 1, column: 1 }, "p", "x");
    assert_eq!(
        serde_json::to_value(&fault).expect("serialises"),
        serde_json::json!({"file": "f", "line": 1, "column": 1, "problem": "p", "fix": "x", "excerpt": "a\n^"})
    );
    assert_eq!(
        serde_json::to_value(Fault::of_file("f", "p", "x")).expect("serialises"),
        serde_json::json!({"file": "f", "problem": "p", "fix": "x"})
    );
}

#[test]
fn the_caret_stands_under_the_column() {
    assert_eq!(excerpt("\tkey: value", 1, 2).as_deref(), Some(" key: value\n ^"), "a tab takes one column");
    assert_eq!(excerpt("a\r\nb c\r\n", 2, 3).as_deref(), Some("b c\n  ^"));
    assert_eq!(excerpt("a\rb", 2, 1).as_deref(), Some("b\n^"));
    assert_eq!(excerpt("\u{feff}abc", 1, 2).as_deref(), Some("abc\n ^"), "the mark is no character of the line");
    assert_eq!(excerpt("abc", 1, 99).as_deref(), Some("abc\n   ^"), "behind the end");
    assert_eq!(excerpt("äöü x", 1, 5).as_deref(), Some("äöü x\n    ^"), "characters, not bytes");
    assert_eq!(excerpt("a\n\nb", 2, 1), None, "an empty line shows nothing");
    assert_eq!(excerpt("a", 7, 1), None);
    assert_eq!(excerpt("a", 0, 0), None);
}

#[test]
fn long_lines_are_cut_around_the_column() {
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
fn changes_are_made_together_or_not_at_all() {
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
        let (new, made) = apply(text, edits.iter().map(Vec::as_slice));
        assert_eq!((new.as_str(), made), (expected, count), "{edits:?}");
    }
}

#[test]
fn the_nearest_word_is_near() {
    let words = ["accounts", "regions", "parameters"];
    for (word, near) in [
        ("acounts", Some("accounts")),
        ("region", Some("regions")),
        ("Regions", Some("regions")),
        ("paramters", Some("parameters")),
        ("x", None),
        ("", None),
        ("schedule", None),
    ] {
        assert_eq!(nearest(word, words), near, "{word}");
    }
    assert_eq!(nearest("max_concurrency", ["maxConcurrency"]), Some("maxConcurrency"));
    assert_eq!(nearest(&"a".repeat(300), ["a"]), None);
}

#[test]
fn faults_are_sorted_and_limited() {
    let source = Source::new("f", "a\nb\n");
    let mut faults = Faults::new(&source);
    faults.at(Position { line: 2, column: 1 }, "second", "x");
    faults.at(Position { line: 1, column: 1 }, "first", "x");
    for _ in 0..200 {
        faults.at(Position { line: 2, column: 2 }, "again", "x");
    }
    let faults = faults.into_vec();
    assert_eq!(faults.len(), Faults::MOST + 1);
    assert_eq!(faults[0].problem, "first");
    assert_eq!(faults[Faults::MOST].to_string(), "f: 102 more faults are not shown; mend these first");
}

proptest! {
    #[test]
    fn any_place_in_any_text_has_an_excerpt_or_none(text in "(\\PC|\t|\r|\n){0,300}", line in 0usize..9, column in 0usize..300) {
        if let Some(excerpt) = excerpt(&text, line, column) {
            prop_assert_eq!(excerpt.lines().count(), 2);
            prop_assert!(excerpt.ends_with('^'));
        }
    }
}
