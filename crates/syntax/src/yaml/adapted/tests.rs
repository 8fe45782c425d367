use proptest::prelude::*;

use crate::diagnostic::{Diagnostics, Position, SourceText};
use crate::yaml::{Dialect, Node, Value, read};

const DIALECT: Dialect = Dialect { aliases_rejected_by: None, merges: false, empty_help: "write something" };

fn tree(text: &str) -> Node {
    let source = SourceText::new("f", text);
    let mut diagnostics = Diagnostics::new(&source);
    let node = read(&mut diagnostics, &DIALECT);
    let diagnostics = diagnostics.into_vec();
    assert!(diagnostics.is_empty(), "{text}\n{diagnostics:?}");
    node.expect("a tree")
}

fn errors(text: &str) -> Vec<String> {
    let source = SourceText::new("f", text);
    let mut diagnostics = Diagnostics::new(&source);
    read(&mut diagnostics, &DIALECT);
    diagnostics.into_vec().iter().map(ToString::to_string).collect()
}

/// Layouts that PyYAML 6.0.3 reads, beside a layout of the same content that every YAML parser reads.
const LAYOUTS: &[(&str, &str)] = &[
    // Closing brackets in the column of their key.
    ("a:\n  b: [\n    \"x\"\n  ]\n  c: d\n", "a:\n  b: [x]\n  c: d\n"),
    ("a:\n  b: [\n    'x',\n    'y'\n  ]\n", "a:\n  b: [x, y]\n"),
    ("a:\n  b: [\n    x\n  ]\n", "a:\n  b: [x]\n"),
    ("a:\n  b: [\n    x,\n  ]\n", "a:\n  b: [x]\n"),
    ("a:\n  b: [\n  ]\n", "a:\n  b: []\n"),
    ("a:\n  b: {\n    \"x\": \"y\"\n  }\n", "a:\n  b: {x: y}\n"),
    ("a:\n  b: {\n    x: y,\n    z: [\n      1\n    ]\n  }\n", "a:\n  b: {x: y, z: [1]}\n"),
    ("a:\n  b: !Join [\n    '',\n    ['x']\n  ]\n", "a:\n  b: !Join ['', [x]]\n"),
    ("a:\n  b:\n    [\n      'x'\n    ]\n", "a:\n  b: [x]\n"),
    ("a:\n  - b: [\n      'x'\n    ]\n    c: d\n", "a:\n  - b: [x]\n    c: d\n"),
    ("a:\n  - b: [\n      'x'\n  ]\n", "a:\n  - b: [x]\n"),
    ("a:\n- [\n  'x'\n]\n- y\n", "a:\n- [x]\n- y\n"),
    ("a:\n  - - [\n  x\n  ]\n", "a:\n  - - [x]\n"),
    ("a:\n  - {\n    b: 'x'\n  }\n", "a:\n  - {b: x}\n"),
    // Closing brackets and items before the column of their key.
    ("a:\n  b: [\n\"x\"\n]\nc: d\n", "a:\n  b: [x]\nc: d\n"),
    ("a:\n    b: [\n  x,\n  y\n ]\n", "a:\n    b: [x, y]\n"),
    ("a:\n    b: {\nx: {\ny: z\n}\n}\n", "a:\n    b: {x: {y: z}}\n"),
    ("a: [\n# c\n'x' # c\n# ]\n]\n", "a: [x]\n"),
    ("a: ['x'\n, 'y'\n]\n", "a: [x, y]\n"),
    ("a: {'x':\n'y'\n}\n", "a: {x: y}\n"),
    ("a:\n  b: [x\n  y\n  z]\n", "a:\n  b: [x y z]\n"),
    ("a:\n  b: [it's,\n  'x'\n  ]\n", "a:\n  b: [it's, x]\n"),
    ("a:\n  b: [x 'y\n  z, w\n  ]\n", "a:\n  b: [\"x 'y z\", w]\n"),
    ("a:\n  b: [x#y,\n  !Ref z,\n  *q,\n  ]\n", ""),
    // Quoted text that continues in the column of its key, or before it.
    ("a:\n  b: \"x\n  y\"\n", "a:\n  b: x y\n"),
    ("a:\n  b: 'x\n  y'\n", "a:\n  b: x y\n"),
    ("a:\n  b: \"x\ny\n z\"\nc: d\n", "a:\n  b: x y z\nc: d\n"),
    ("a: 'x\n\ny'\n", "a: \"x\\ny\"\n"),
    ("a: \"x\\\n  y\"\n", "a: xy\n"),
    ("a:\n  b: \"x \\\n  y\"\n", "a:\n  b: x y\n"),
    ("a:\n  b: 'it''s\n  y'\n", "a:\n  b: it's y\n"),
    ("a:\n  b: \"\\\"\n  y\"\n", "a:\n  b: '\" y'\n"),
    ("a:\n  b: 'x: [\n  # y'\n  c: d\n", "a:\n  b: 'x: [ # y'\n  c: d\n"),
    ("a:\n  - 'x\n  y'\n  - z\n", "a:\n  - x y\n  - z\n"),
    ("a:\n  b: !Sub \"x\n  y\"\n", "a:\n  b: !Sub x y\n"),
    ("a:\n  b: ['x\n  y', \"z\n  \"]\n", "a:\n  b: [x y, 'z ']\n"),
    ("a:\n\tb: c\n", ""),
    // A comment directly after quotes or brackets.
    ("a: 'x'# c\nb: [y]# c\nc: {}# c\n", "a: x\nb: [y]\nc: {}\n"),
    ("a:\n  b: [\n  'x',# c\n  'y'# c\n  ]# c\n", "a:\n  b: [x, y]\n"),
    // Beside text that is not affected.
    ("a: |\n  [\n  \"\nb: [\n'x'\n]\n", "a: \"[\\n\\\"\\n\"\nb: [x]\n"),
    ("a: >-\n  it's\n\n  {\nb: {\n'x': y\n}\n", "a: \"it's\\n{\"\nb: {x: y}\n"),
    ("a: |2\n   '\nb: [\n'x'\n]\n", "a: \" '\\n\"\nb: [x]\n"),
    ("a: x\n  'y\n  z\nb: [\n'x'\n]\n", "a: x 'y z\nb: [x]\n"),
    ("# it's\na: b # '\nc: [\n'x'\n]\n", "a: b\nc: [x]\n"),
    ("a: it's\nb: 'x\ny'\n", "a: it's\nb: x y\n"),
    ("? a\n: [\n'x'\n]\n", "a: [x]\n"),
    ("'a': [\n'x'\n]\n\"b\": [\n'y'\n]\n", "a: [x]\nb: [y]\n"),
    ("---\na: [\n'x'\n]\n...\n", "a: [x]\n"),
    ("a: &x [\n'x'\n]\n", "a: [x]\n"),
    ("a: é\nb: ['é',\n'ü'\n]\n", "a: é\nb: [é, ü]\n"),
    ("a:\r\n  b: [\r\n    'x'\r\n  ]\r\n  c: \"y\r\n  z\"\r\n", "a:\n  b: [x]\n  c: y z\n"),
    ("a:\r  b: [\r    'x'\r  ]\r", "a:\n  b: [x]\n"),
];

#[test]
fn layouts_of_yaml_1_1_are_read() {
    let readable: Vec<_> = LAYOUTS.iter().filter(|(_, strict)| !strict.is_empty()).collect();
    for (text, strict) in &readable {
        assert!(tree(text).same_as(&tree(strict)), "{text}\n{:#?}", tree(text));
    }
    assert!(readable.len() > 45);
}

#[test]
fn invalid_yaml_has_the_error_of_the_file() {
    for (text, error) in [
        ("a:\n  b: [\n    'x'\n  ]\n  c: 'y\n", "f:5:6: not valid YAML: found unexpected end of stream"),
        ("a:\n  b: [\n    'x'\n  ]\n\tc: d\n", "f:5:1: not valid YAML: a tab indents this line"),
        ("a: 1\na: 2\nb: [\n'x'\n]\n", "f:2:1: duplicate key `a`, first at line 1, column 1"),
        ("a:\n  b: [\n    'x'\n  ]# c\n  c: @d\n", "f:5:6: not valid YAML: unexpected character: '@'"),
        ("a: 'x\n---\ny'\n", "f:1:4: not valid YAML: found unexpected document indicator"),
        ("a:\n  b: [*q,\n  'x'\n  ]\n", "f:2:7: not valid YAML"),
        ("a:\n  b: [\n    'x'\n  c: d\n", "f:4:4: not valid YAML"),
    ] {
        let found = errors(text);
        assert!(found.len() == 1 && found.iter().all(|found| found.starts_with(error)), "{text}\n{found:?}");
    }
}

#[test]
fn positions_are_those_of_the_file() {
    let tree = tree("a:\n  b: [\n'x', {\n y: é, z: w\n  }]# c\n  c: \"1\n2\"\nd: 3\n");
    let at = |line, column| Position { line, column };
    let list = tree.get("a").and_then(|a| a.get("b")).expect("b");
    let items = list.as_sequence().expect("a list");
    assert_eq!(list.at, at(2, 6));
    assert_eq!((items[0].at, items[0].end), (at(3, 1), at(3, 4)));
    let (y, z) = (items[1].get("y").expect("y"), items[1].get("z").expect("z"));
    assert_eq!((items[1].at, y.at, z.at, z.end), (at(3, 6), at(4, 5), at(4, 11), at(4, 12)));
    let c = tree.get("a").and_then(|a| a.get("c")).expect("c");
    assert_eq!((c.at, c.end, c.as_str()), (at(6, 6), at(7, 3), Some("1 2")));
    assert_eq!(tree.get("d").map(|d| d.at), Some(at(8, 4)));
}

#[test]
fn blanks_are_bounded() {
    // A deep block with many short lines in brackets would be blanks squared.
    let text = format!("a:\n{}b: [\n{}]\n", " ".repeat(20_000), "'x',\n".repeat(20_000));
    assert_eq!(errors(&text).len(), 1);
}

const STRICT: &str = "a:\n  b: [\n      'one',\n      two words,\n      {\n        x: \"1\",\n        'y': [2, it's]\n      }\n    ]\n  \
                      c: 'text\n     more\n\n     end'\n  d:\n    - e: {\n        f: !Sub \"${g}\n          h\"\n      }\n      \
                      i: |\n        '[{\n";

/// Whether a tree has the same scalars at the same lines.
fn scalars(node: &Node, all: &mut Vec<(usize, String)>) {
    match &node.value {
        Value::Scalar { text, .. } => all.push((node.at.line, text.clone())),
        Value::Sequence(items) => items.iter().for_each(|item| scalars(item, all)),
        Value::Mapping(entries) => entries.iter().for_each(|(key, value)| {
            scalars(key, all);
            scalars(value, all);
        }),
    }
}

proptest! {
    #[test]
    fn indentation_in_brackets_has_no_effect(widths in proptest::collection::vec(0..12_usize, 22)) {
        // The lines 3 to 9, 11 to 13, and 16 to 18 continue brackets or quotes.
        let lines = STRICT.lines().enumerate().map(|(index, line)| match index + 1 {
            3..=9 | 11..=13 | 16..=18 if !line.is_empty() => format!("{}{}\n", " ".repeat(widths[index]), line.trim_start()),
            _ => format!("{line}\n"),
        });
        let (mut expected, mut found) = (Vec::new(), Vec::new());
        scalars(&tree(STRICT), &mut expected);
        scalars(&tree(&lines.collect::<String>()), &mut found);
        prop_assert_eq!(expected, found);
    }

    #[test]
    fn any_text_is_read_without_panic(text in "[-:\\[\\]{},&*!|>'\"#% \r\n\tab0é]{0,60}") {
        let _ = errors(&text);
    }
}
