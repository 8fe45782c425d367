//! Parser events to tree, without recursion and within a budget.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use super::{MAX_DEPTH, Node, Value};
use crate::fault::{Faults, Position};

/// What differs between the files we read.
pub(crate) struct Dialect {
    /// Who refuses aliases (`*name`), if anybody does.
    pub(crate) aliases_refused_by: Option<&'static str>,
    /// What to say when the file is empty.
    pub(crate) empty_fix: &'static str,
}

/// Most that is built: one for a node and one more for every 32 bytes of its text, so some 8 MB. Aliases of aliases
/// ("billion laughs") run into it however short the file.
const MAX_WEIGHT: usize = 250_000;
const BYTES_OF_ONE: usize = 32;

/// Reads the one document of a file. Faults that leave the rest of the tree readable do not stop it, so check `faults` even when
/// a tree comes back.
pub(crate) fn read(faults: &mut Faults<'_, '_>, dialect: &Dialect) -> Option<Node> {
    let source = faults.source();
    if let Some((at, odd)) = control_character(source.text) {
        // The parser takes NUL for the end of the file: the rest would be ignored without a word.
        faults.at(
            at,
            format!("the file contains the control character U+{:04X}", u32::from(odd)),
            "save the file as UTF-8 text",
        );
        return None;
    }
    let mut builder = Builder { faults, dialect, open: Vec::new(), anchors: BTreeMap::new(), weight: 0, root: None };
    for event in Parser::new_from_str(source.text) {
        match event {
            Ok((event, span)) => builder.take(event, position(span.start)).ok()?,
            Err(error) => {
                syntax_error(builder.faults, position(*error.marker()), error.info());
                return None;
            }
        }
    }
    let root = builder.root;
    match root {
        Some(root) if !root.is_null() => Some(root),
        _ => {
            if faults.is_empty() {
                faults.in_file("the file is empty", dialect.empty_fix);
            }
            None
        }
    }
}

/// The parser counts columns from 0.
fn position(marker: Marker) -> Position {
    Position { line: marker.line().max(1), column: marker.col().saturating_add(1) }
}

fn control_character(text: &str) -> Option<(Position, char)> {
    let mut at = Position { line: 1, column: 1 };
    for character in text.chars() {
        match character {
            '\n' => at = Position { line: at.line + 1, column: 1 },
            '\t' | '\r' => at.column += 1,
            odd if odd.is_ascii_control() => return Some((at, odd)),
            _ => at.column += 1,
        }
    }
    None
}

fn syntax_error(faults: &mut Faults<'_, '_>, at: Position, info: &str) {
    if info == "recursion limit exceeded" {
        // The parser looks ahead in brackets and has a limit of its own.
        too_deep(faults, at);
        return;
    }
    // A tab that indents is often noticed only at the end of the line before.
    let tab = [at.line, at.line.saturating_add(1)].into_iter().find_map(|line| {
        let indentation = faults.source().line(line)?.chars().take_while(|c| c.is_whitespace());
        let index = indentation.enumerate().find(|(_, c)| *c == '\t')?.0;
        Some(Position { line, column: index + 1 })
    });
    if let Some(tab) = tab {
        faults.at(tab, "not valid YAML: a tab indents this line", "indent with spaces: YAML takes no tabs there");
        return;
    }
    // "while scanning a plain scalar, found a tab": the second half is for people.
    let what = info.strip_prefix("while ").and_then(|info| info.split_once(", ")).map_or(info, |(_, what)| what);
    let what = what.trim_end_matches('.').replace('`', "'");
    let fix = "check indentation, colons, brackets and quotes here and just before";
    faults.at(at, format!("not valid YAML: {what}"), fix);
}

fn too_deep(faults: &mut Faults<'_, '_>, at: Position) {
    faults.at(at, format!("nested deeper than {MAX_DEPTH} levels"), "write it flatter");
}

/// What has been read of a list or a mapping so far.
struct Open {
    at: Position,
    tag: Option<String>,
    anchor: usize,
    /// What the builder had built before this node.
    weight_before: usize,
    /// Levels below this node.
    height: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<(Node, Node)>, key: Option<Node>, seen: BTreeMap<String, Position> },
}

/// A finished node that an alias may repeat.
struct Anchored {
    node: Node,
    weight: usize,
    height: usize,
}

/// Reading cannot go on; the fault has been noted.
struct Stop;

struct Builder<'f, 's, 't> {
    faults: &'f mut Faults<'s, 't>,
    dialect: &'f Dialect,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Anchored>,
    weight: usize,
    root: Option<Node>,
}

impl Builder<'_, '_, '_> {
    fn take(&mut self, event: Event<'_>, at: Position) -> Result<(), Stop> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(at, text.into_owned(), style, anchor, tag.as_deref())
            }
            Event::SequenceStart(anchor, tag) => self.start(at, anchor, tag.as_deref(), Content::Sequence(Vec::new())),
            Event::MappingStart(anchor, tag) => {
                let content = Content::Mapping { entries: Vec::new(), key: None, seen: BTreeMap::new() };
                self.start(at, anchor, tag.as_deref(), content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(at, anchor),
            Event::DocumentStart(_) if self.root.is_some() => {
                self.faults.at(
                    at,
                    "a second YAML document starts here",
                    "keep one document in the file, without `---`",
                );
                Err(Stop)
            }
            Event::DocumentStart(_) | Event::DocumentEnd | Event::StreamStart | Event::StreamEnd | Event::Nothing => {
                Ok(())
            }
        }
    }

    fn scalar(
        &mut self,
        at: Position,
        text: String,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
    ) -> Result<(), Stop> {
        let (tag, is_text) = local_tag(tag);
        let plain = style == ScalarStyle::Plain && !is_text;
        let weight = 1 + text.len() / BYTES_OF_ONE;
        self.weigh(at, weight)?;
        let node = Node { at, tag, value: Value::Scalar { text, plain } };
        self.anchor(anchor, &node, weight, 0)?;
        self.place(node, 0);
        Ok(())
    }

    fn start(&mut self, at: Position, anchor: usize, tag: Option<&Tag>, content: Content) -> Result<(), Stop> {
        let (tag, _) = local_tag(tag);
        self.check_depth(at, 0)?;
        let weight_before = self.weight;
        self.weigh(at, 1)?;
        self.open.push(Open { at, tag, anchor, weight_before, height: 0, content });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Stop> {
        let Some(Open { at, tag, anchor, weight_before, height, content }) = self.open.pop() else { return Ok(()) };
        let value = match content {
            Content::Sequence(items) => Value::Sequence(items),
            Content::Mapping { entries, .. } => Value::Mapping(entries),
        };
        let node = Node { at, tag, value };
        self.anchor(anchor, &node, self.weight.saturating_sub(weight_before), height)?;
        self.place(node, height);
        Ok(())
    }

    fn alias(&mut self, at: Position, anchor: usize) -> Result<(), Stop> {
        if let Some(who) = self.dialect.aliases_refused_by {
            self.faults.at(at, format!("{who} refuses YAML aliases"), "write out what the alias stands for");
            self.place(Node { at, tag: None, value: Value::Scalar { text: String::new(), plain: false } }, 0);
            return Ok(());
        }
        let Some(Anchored { node, weight, height }) = self.anchors.get(&anchor) else {
            self.faults.at(
                at,
                "this alias stands for something that contains it",
                "write out what the alias stands for",
            );
            return Err(Stop);
        };
        let (mut node, weight, height) = (node.clone(), *weight, *height);
        // A fault in what the alias stands for is mended where it is written; a fault of its place, here.
        node.at = at;
        self.check_depth(at, height)?;
        self.weigh(at, weight)?;
        self.place(node, height);
        Ok(())
    }

    fn anchor(&mut self, anchor: usize, node: &Node, weight: usize, height: usize) -> Result<(), Stop> {
        // The parser numbers anchors from 1.
        if anchor > 0 && self.dialect.aliases_refused_by.is_none() {
            self.weigh(node.at, weight)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), weight, height });
        }
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, node: Node, height: usize) {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        open.height = open.height.max(height + 1);
        match &mut open.content {
            Content::Sequence(items) => items.push(node),
            Content::Mapping { entries, key, seen } => match key.take() {
                None => *key = Some(node),
                Some(name) => {
                    if is_new_key(self.faults, seen, &name) {
                        entries.push((name.clone(), at_key_if_missing(node, name.at)));
                    }
                }
            },
        }
    }

    fn check_depth(&mut self, at: Position, height: usize) -> Result<(), Stop> {
        if self.open.len() + height < MAX_DEPTH {
            return Ok(());
        }
        too_deep(self.faults, at);
        Err(Stop)
    }

    fn weigh(&mut self, at: Position, weight: usize) -> Result<(), Stop> {
        self.weight = self.weight.saturating_add(weight);
        if self.weight <= MAX_WEIGHT {
            return Ok(());
        }
        let problem = format!("the file holds more than {MAX_WEIGHT} values, aliases written out");
        self.faults.at(at, problem, "use fewer values or split the file");
        Err(Stop)
    }
}

/// Notes keys that cannot be used: lists as keys, merge keys, and keys that were there before.
fn is_new_key(faults: &mut Faults<'_, '_>, seen: &mut BTreeMap<String, Position>, key: &Node) -> bool {
    let Value::Scalar { text, plain } = &key.value else {
        faults.at(key.at, format!("a key is {}", key.describe()), "a key must be a text");
        return false;
    };
    if *plain && text == "<<" {
        faults.at(key.at, "merge keys (`<<`) are not supported", "write out the keys that it would merge");
        return false;
    }
    if let Some(first) = seen.get(text) {
        let problem = format!("the key `{}` is given twice, first at {first}", crate::ids::shown(text));
        faults.at(key.at, problem, "keep one of the two");
        return false;
    }
    seen.insert(text.clone(), key.at);
    true
}

/// For `key:` the parser reports the next thing in the file, which may be lines away.
fn at_key_if_missing(mut value: Node, key: Position) -> Node {
    if matches!(&value.value, Value::Scalar { text, plain: true } if text.is_empty()) {
        value.at = key;
    }
    value
}

/// The local tag without its `!`, and whether the tag makes the scalar a text whatever it looks like.
fn local_tag(tag: Option<&Tag>) -> (Option<String>, bool) {
    let Some(tag) = tag else { return (None, false) };
    match (tag.handle.as_str(), tag.suffix.as_str()) {
        ("", "!") | ("!", "") => (None, true),
        ("!", suffix) => (Some(suffix.to_owned()), false),
        _ if tag.is_yaml_core_schema() => match tag.suffix.as_str() {
            "str" => (None, true),
            "int" | "float" | "bool" | "null" | "seq" | "map" => (None, false),
            other => (Some(format!("!{other}")), false),
        },
        (handle, suffix) => (Some(format!("{handle}{suffix}")), false),
    }
}
