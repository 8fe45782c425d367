use super::*;
use crate::diagnostic::{Diagnostics, SourceText};

pub(crate) mod edited;

const DIALECT: Dialect = Dialect { aliases_rejected_by: None, merges: false, empty_help: "write something" };

fn tree(text: &str) -> Node {
    let source = SourceText::new("f", text);
    let mut diagnostics = Diagnostics::new(&source);
    let node = read(&mut diagnostics, &DIALECT);
    let diagnostics = diagnostics.into_vec();
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    node.expect("a tree")
}

fn diagnostics(text: &str) -> Vec<String> {
    let source = SourceText::new("f", text);
    let mut diagnostics = Diagnostics::new(&source);
    read(&mut diagnostics, &DIALECT);
    diagnostics.into_vec().iter().map(ToString::to_string).collect()
}

fn at(line: usize, column: usize) -> Position {
    Position { line, column }
}

#[test]
fn nodes_have_start_positions() {
    let tree = tree("a: 1\nb:\n  - x\n  - {c: !Sub 'y'}\n  - |\n    text\nempty:\nlast: end\n");
    assert_eq!(tree.at, at(1, 1));
    assert_eq!(tree.get("a").map(|node| node.at), Some(at(1, 4)));
    let list = tree.get("b").and_then(Node::as_sequence).expect("a list");
    assert_eq!(list[0].at, at(3, 5));
    let c = list[1].get("c").expect("c");
    assert_eq!((c.tag.as_deref(), c.as_str(), c.at.line), (Some("Sub"), Some("y"), 4));
    assert_eq!(list[2].as_str(), Some("text\n"));
    assert_eq!(tree.get("empty").map(|node| (node.is_null(), node.at)), Some((true, at(7, 1))));
}

#[test]
fn byte_order_mark_line_ends_and_json_parse() {
    assert_eq!(tree("\u{feff}a: 1\r\nb: 2\r\n").get("b").map(|node| node.at), Some(at(2, 4)));
    let json = tree("{\n\t\"a\": [1, true, null, \"x\"],\n\t\"b\": {}\n}\n");
    let kinds: Vec<_> = json.get("a").and_then(Node::as_sequence).expect("list").iter().map(Node::describe).collect();
    assert_eq!(kinds, ["a number", "true or false", "nothing", "a string"]);
    assert_eq!(json.get("b").map(Node::describe), Some("a mapping"));
}

#[test]
fn plain_scalars_follow_the_core_schema() {
    use ScalarKind::{Boolean, Null, Number, Text};
    for (text, kind) in [
        ("~", Null),
        ("null", Null),
        ("NULL", Null),
        ("nul", Text),
        ("true", Boolean),
        ("False", Boolean),
        ("yes", Text),
        ("111111111111", Number),
        ("012", Number),
        ("-1", Number),
        ("+1.5e-3", Number),
        (".5", Number),
        ("5.", Number),
        ("0o17", Number),
        ("0x1F", Number),
        ("0xg", Text),
        (".inf", Number),
        ("-.INF", Number),
        (".nan", Number),
        ("-", Text),
        ("+", Text),
        (".", Text),
        ("e5", Text),
        ("1e", Text),
        ("1.2.3", Text),
        ("1-2", Text),
        ("2027-01-31", Text),
        ("100%", Text),
        ("1_000", Text),
    ] {
        assert_eq!(ScalarKind::of_plain(text), kind, "{text}");
    }
    assert_eq!(tree("a: '1'").get("a").map(Node::describe), Some("a string"));
    assert_eq!(tree("a: !!str 1").get("a").map(Node::describe), Some("a string"));
}

#[test]
fn invalid_file_is_reported_with_position() {
    for (text, expected) in [
        ("", "f: the file is empty; write something"),
        ("# only a comment\n", "f: the file is empty; write something"),
        ("---\n", "f: the file is empty; write something"),
        ("a: 1\nb: 2\na: 3\n", "f:3:1: duplicate key `a`, first at line 1, column 1; keep one of the two"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", "f:3:3: merge keys (`<<`) are not supported; write the merged keys here"),
        (
            "a: 1\n---\nb: 2\n",
            "f:2:1: a second YAML document starts here; keep one document in the file, without `---`",
        ),
        ("[a]: 1\n", "f:1:1: a key is a list; use a string as key"),
        ("a: &x [*x]\n", "f:1:8: the alias refers to a node that contains it; write the anchored content here"),
        ("a: \u{0}b\n", "f:1:4: the file contains the control character U+0000; save the file as UTF-8 text"),
    ] {
        assert_eq!(diagnostics(text), [expected], "{text:?}");
    }
}

#[test]
fn syntax_errors_are_reported_with_position() {
    let texts = [
        "a: [1, 2\nb: 3\n",
        "a: 1\n\tb: 2\n",
        "a: 'x\n",
        "a: b: c\n",
        "a: *nothing\n",
        "a: @x\n",
        "- a\nb: c\n",
        "a: \"\\q\"\n",
        "}",
    ];
    let all: Vec<String> = texts.iter().map(|text| format!("{text:?}\n  {}", diagnostics(text).join("\n  "))).collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn duplicate_keys_are_all_reported() {
    assert_eq!(diagnostics("a: 1\na: 2\nb: {c: 1, c: 2}\n").len(), 2);
}

#[test]
fn aliases_are_expanded() {
    let tree = tree("a: &x [1, 2]\nb: *x\n");
    let (a, b) = (tree.get("a").expect("a"), tree.get("b").expect("b"));
    assert!(a.same_as(b));
    assert_eq!(b.at, at(2, 4));
}

#[test]
fn merge_keys_are_expanded_if_supported() {
    let read = |text: &str| {
        let source = SourceText::new("f", text);
        let mut diagnostics = Diagnostics::new(&source);
        let merging = Dialect { merges: true, ..DIALECT };
        let tree = read(&mut diagnostics, &merging);
        (tree, diagnostics.into_vec().iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let text = "a: &a {x: 1, y: 2}\nb: &b {x: 3, z: 4}\nc: {<<: *a, x: 0}\nd: {<<: [*b, *a]}\ne: {y: 9, <<: {y: 1}}\n";
    let (tree, diagnostics) = read(text);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let tree = tree.expect("a tree");
    let shown = |key: &str| -> Vec<(String, String)> {
        let entries = tree.get(key).and_then(Node::entries).expect("a mapping");
        let mut entries: Vec<_> = entries
            .iter()
            .map(|(key, value)| {
                (key.as_str().unwrap_or_default().to_owned(), value.as_str().unwrap_or_default().to_owned())
            })
            .collect();
        entries.sort();
        entries
    };
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    };
    assert_eq!(shown("c"), pairs(&[("x", "0"), ("y", "2")]), "a key of its own counts more");
    assert_eq!(shown("d"), pairs(&[("x", "3"), ("y", "2"), ("z", "4")]), "the first counts more");
    assert_eq!(shown("e"), pairs(&[("y", "9")]));
    assert_eq!(
        read("a: {<<: x}\n").1,
        ["f:1:9: the value of a merge key is neither a mapping nor a list of mappings; write `<<: *name`"]
    );
}

#[test]
fn nodes_have_end_positions() {
    let tree = tree("a: 'x y'\nb: plain # c\nc: [1, 2]\n");
    let end = |key: &str| tree.get(key).expect("a value").end;
    assert_eq!((end("a"), end("b"), end("c")), (at(1, 9), at(2, 9), at(3, 10)));
}

#[test]
fn alias_bombs_exceed_the_budget() {
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        let before = level - 1;
        laughs.push_str(&format!("a{level}: &a{level} [{}]\n", vec![format!("*a{before}"); 10].join(", ")));
    }
    assert!(diagnostics(&laughs)[0].contains("has more than 250000 values"), "{:?}", diagnostics(&laughs));

    let text = "x".repeat(100_000);
    let heavy = format!("a: &a {text}\nb: [{}]\n", vec!["*a"; 1000].join(", "));
    assert!(diagnostics(&heavy)[0].contains("has more than"), "long strings weigh more");

    for deep in ["[".repeat(200_000), "{a: ".repeat(50_000), "- ".repeat(50_000), "? ".repeat(20_000)] {
        assert!(diagnostics(&deep)[0].contains("nested deeper than 100 levels"), "{:?}", diagnostics(&deep));
    }
    let mut nested = "a0: &a0 [[[[[[[[[[x]]]]]]]]]]\n".to_owned();
    for level in 1..12 {
        nested.push_str(&format!("a{level}: &a{level} [[[[[[[[[*a{}]]]]]]]]]\n", level - 1));
    }
    assert!(diagnostics(&nested)[0].contains("nested deeper"), "{:?}", diagnostics(&nested));
}

#[test]
fn equal_nodes_ignore_positions() {
    let tree = tree("a: {x: 1, y: [2]}\nb: {y: ['2'], x: 1}\nc: {x: 1}\nd: !Ref x\ne: x\n");
    let same = |one: &str, other: &str| tree.get(one).expect("one").same_as(tree.get(other).expect("other"));
    assert!(same("a", "b"));
    assert!(!same("a", "c"));
    assert!(!same("d", "e"));
}
