//! Parser events to tree, without recursion and within a budget.

use std::collections::{BTreeMap, BTreeSet};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};

use super::{MAX_DEPTH, NOT_VALID, Node, Value, json};
use crate::fault::{Faults, Position, Source};

/// What differs between the files we read.
pub(crate) struct Dialect {
    /// Who refuses aliases (`*name`) and merge keys (`<<`), if anybody does. They are written out and noted all the same, so that
    /// what they stand for can be judged.
    pub(crate) aliases_refused_by: Option<&'static str>,
    /// Whether merge keys are written out (YAML 1.1) or are a fault.
    pub(crate) merges: bool,
    /// What to say when the file is empty.
    pub(crate) empty_fix: &'static str,
}

/// Most that is built: one for a node and one more for every 32 bytes of its text, so some 8 MB. Aliases of aliases
/// ("billion laughs") run into it however short the file.
const MAX_WEIGHT: usize = 250_000;
const BYTES_OF_ONE: usize = 32;

/// What was read.
pub(crate) struct Document {
    /// The tree.
    pub(crate) root: Node,
    /// Where aliases and merge keys stand that somebody refuses, the first of them.
    pub(crate) refused: Vec<Position>,
}

/// Reads the one document of a file, and refuses the aliases that its dialect refuses.
pub(crate) fn read(faults: &mut Faults<'_, '_>, dialect: &Dialect) -> Option<Node> {
    let document = document(faults, dialect)?;
    for at in document.refused {
        let (problem, fix) = refused(faults.source(), dialect, at);
        faults.at(at, problem, fix);
    }
    Some(document.root)
}

/// Problem and fix of an alias or merge key that nobody takes.
pub(crate) fn refused(source: &Source<'_>, dialect: &Dialect, at: Position) -> (String, &'static str) {
    let who = dialect.aliases_refused_by.unwrap_or("the reader");
    let rest = source.line(at.line).map(|line| line.chars().skip(at.column.saturating_sub(1)));
    if rest.is_some_and(|rest| rest.take(2).eq("<<".chars())) {
        (format!("{who} refuses YAML merge keys (`<<`)"), "write out the keys that it would merge")
    } else {
        (format!("{who} refuses YAML aliases"), "write out what the alias stands for")
    }
}

/// Reads the one document of a file. Faults that leave the rest of the tree readable do not stop it, so check `faults` even when
/// a tree comes back.
pub(crate) fn document(faults: &mut Faults<'_, '_>, dialect: &Dialect) -> Option<Document> {
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
    let mut builder = Builder {
        faults,
        dialect,
        open: Vec::new(),
        anchors: BTreeMap::new(),
        weight: 0,
        root: None,
        refused: Vec::new(),
    };
    if json::is_json(source.text) {
        json::read(&mut builder, source.text).ok()?;
    } else {
        for event in Parser::new_from_str(source.text) {
            match event {
                Ok((event, span)) => builder.take(event, &span).ok()?,
                Err(error) => {
                    syntax_error(builder.faults, position(*error.marker()), error.info());
                    return None;
                }
            }
        }
    }
    let Builder { root, refused, .. } = builder;
    match root {
        Some(root) if !root.is_null() => Some(Document { root, refused }),
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
    let is_odd = |byte: u8| byte.is_ascii_control() && !matches!(byte, b'\n' | b'\t' | b'\r');
    let before = text.get(..text.bytes().position(is_odd)?)?;
    let odd = text.get(before.len()..)?.chars().next()?;
    let line = before.rsplit('\n').next().unwrap_or_default();
    let at = Position { line: 1 + before.matches('\n').count(), column: 1 + line.chars().count() };
    Some((at, odd))
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
        faults.at(tab, format!("{NOT_VALID}: a tab indents this line"), "indent with spaces: YAML takes no tabs there");
        return;
    }
    // "while scanning a plain scalar, found a tab": the second half is for people.
    let what = info.strip_prefix("while ").and_then(|info| info.split_once(", ")).map_or(info, |(_, what)| what);
    let what = what.trim_end_matches('.').replace('`', "'");
    let fix = "check indentation, colons, brackets and quotes here and just before";
    faults.at(at, format!("{NOT_VALID}: {what}"), fix);
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

pub(super) enum Content {
    Sequence(Vec<Node>),
    Mapping {
        entries: Vec<(Node, Node)>,
        key: Option<Node>,
        seen: BTreeMap<String, Position>,
        /// What is merged into the mapping when it ends: keys of its own count more, wherever they stand.
        merged: Vec<Node>,
    },
}

impl Content {
    pub(super) fn mapping() -> Self {
        Self::Mapping { entries: Vec::new(), key: None, seen: BTreeMap::new(), merged: Vec::new() }
    }
}

/// A finished node that an alias may repeat.
struct Anchored {
    node: Node,
    weight: usize,
    height: usize,
}

/// Reading cannot go on; the fault has been noted.
pub(super) struct Stop;

pub(super) struct Builder<'f, 's, 't> {
    faults: &'f mut Faults<'s, 't>,
    dialect: &'f Dialect,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Anchored>,
    weight: usize,
    root: Option<Node>,
    refused: Vec<Position>,
}

impl Builder<'_, '_, '_> {
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Stop> {
        let (at, end) = (position(span.start), position(span.end));
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.yaml_scalar((at, end), text.into_owned(), style, anchor, tag.as_deref())
            }
            Event::SequenceStart(anchor, tag) => self.start(at, anchor, tag.as_deref(), Content::Sequence(Vec::new())),
            Event::MappingStart(anchor, tag) => self.start(at, anchor, tag.as_deref(), Content::mapping()),
            Event::SequenceEnd | Event::MappingEnd => self.end(end),
            Event::Alias(anchor) => self.alias((at, end), anchor),
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

    fn yaml_scalar(
        &mut self,
        span: (Position, Position),
        text: String,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
    ) -> Result<(), Stop> {
        let (tag, is_text) = local_tag(tag);
        self.scalar(span, text, style == ScalarStyle::Plain && !is_text, tag, anchor)
    }

    pub(super) fn scalar(
        &mut self,
        (at, end): (Position, Position),
        text: String,
        plain: bool,
        tag: Option<String>,
        anchor: usize,
    ) -> Result<(), Stop> {
        let weight = 1 + text.len() / BYTES_OF_ONE;
        self.weigh(at, weight)?;
        let node = Node { at, end, tag, value: Value::Scalar { text, plain } };
        self.anchor(anchor, &node, weight, 0)?;
        self.place(node, 0);
        Ok(())
    }

    pub(super) fn start(
        &mut self,
        at: Position,
        anchor: usize,
        tag: Option<&Tag>,
        content: Content,
    ) -> Result<(), Stop> {
        let (tag, _) = local_tag(tag);
        self.check_depth(at, 0)?;
        let weight_before = self.weight;
        self.weigh(at, 1)?;
        self.open.push(Open { at, tag, anchor, weight_before, height: 0, content });
        Ok(())
    }

    pub(super) fn end(&mut self, end: Position) -> Result<(), Stop> {
        let Some(Open { at, tag, anchor, weight_before, height, content }) = self.open.pop() else { return Ok(()) };
        let value = match content {
            Content::Sequence(items) => Value::Sequence(items),
            Content::Mapping { mut entries, seen, merged, .. } => {
                self.merge(&mut entries, &seen, merged)?;
                Value::Mapping(entries)
            }
        };
        let node = Node { at, end, tag, value };
        self.anchor(anchor, &node, self.weight.saturating_sub(weight_before), height)?;
        self.place(node, height);
        Ok(())
    }

    /// A JSON string with half of a surrogate pair.
    pub(super) fn no_text(&mut self, at: Position) -> Stop {
        self.faults.at(at, "this string stands for no text: an escape in it is half a character", "write it whole");
        Stop
    }

    /// Adds what merge keys bring. Of several the first counts (YAML's type repository, "Merge Key Language-Independent Type").
    /// What is merged was weighed when its alias was.
    fn merge(
        &mut self,
        entries: &mut Vec<(Node, Node)>,
        own: &BTreeMap<String, Position>,
        merged: Vec<Node>,
    ) -> Result<(), Stop> {
        let mut there: BTreeSet<String> = BTreeSet::new();
        let mut add = |entry: (Node, Node)| {
            if let Some(name) = entry.0.as_str()
                && !own.contains_key(name)
                && there.insert(name.to_owned())
            {
                entries.push(entry);
            }
        };
        for node in merged {
            let at = node.at;
            match node.value {
                Value::Mapping(more) => more.into_iter().for_each(&mut add),
                Value::Sequence(nodes) if nodes.iter().all(|node| node.entries().is_some()) => {
                    for node in nodes {
                        if let Value::Mapping(more) = node.value {
                            more.into_iter().for_each(&mut add);
                        }
                    }
                }
                Value::Scalar { .. } | Value::Sequence(_) => {
                    self.faults.at(at, "a merge key takes a mapping, or a list of mappings", "write `<<: *name`");
                    return Err(Stop);
                }
            }
        }
        Ok(())
    }

    fn alias(&mut self, (at, end): (Position, Position), anchor: usize) -> Result<(), Stop> {
        self.refuse(at);
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
        (node.at, node.end) = (at, end);
        self.check_depth(at, height)?;
        self.weigh(at, weight)?;
        self.place(node, height);
        Ok(())
    }

    /// Notes an alias or a merge key that somebody refuses. Nobody reads more than the first of them, and that there are more.
    fn refuse(&mut self, at: Position) {
        if self.dialect.aliases_refused_by.is_some() && self.refused.len() <= Faults::MOST {
            self.refused.push(at);
        }
    }

    fn anchor(&mut self, anchor: usize, node: &Node, weight: usize, height: usize) -> Result<(), Stop> {
        // The parser numbers anchors from 1.
        if anchor > 0 {
            self.weigh(node.at, weight)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), weight, height });
        }
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, node: Node, height: usize) {
        let merges = self.dialect.merges;
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        open.height = open.height.max(height + 1);
        match &mut open.content {
            Content::Sequence(items) => items.push(node),
            Content::Mapping { entries, key, seen, merged } => match key.take() {
                None => *key = Some(node),
                Some(name) if merges && is_merge_key(&name) => {
                    merged.push(node);
                    self.refuse(name.at);
                }
                Some(name) => {
                    if is_new_key(self.faults, seen, &name) {
                        let at = name.at;
                        entries.push((name, at_key_if_missing(node, at)));
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

fn is_merge_key(key: &Node) -> bool {
    matches!(&key.value, Value::Scalar { text, plain: true } if text == "<<")
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
        (value.at, value.end) = (key, key);
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
