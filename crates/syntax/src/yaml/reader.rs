//! Builds a tree from parser events, without recursion and within a budget.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag};

use super::adapted::Adapted;
use super::{MAX_DEPTH, NOT_VALID, Node, Value, json};
use crate::diagnostic::{Diagnostics, Position, SourceText};
use crate::text::printable;

/// The differences between kinds of files.
pub struct Dialect {
    /// The consumer that rejects aliases (`*name`) and merge keys (`<<`), if any. They are expanded and reported, so that their content
    /// can be checked.
    pub aliases_rejected_by: Option<&'static str>,
    /// Whether merge keys are expanded (YAML 1.1) or rejected.
    pub merges: bool,
    /// The help for an empty file.
    pub empty_help: &'static str,
}

/// The budget: one for each node and one for every 32 bytes of its text, about 8 MB. It limits aliases of aliases ("billion laughs").
const MAX_WEIGHT: usize = 250_000;
const BYTES_OF_ONE: usize = 32;

/// A document.
pub struct YamlDocument {
    /// The tree.
    pub root: Node,
    /// The positions of the first rejected aliases and merge keys.
    pub rejected: Vec<Position>,
}

/// Reads the only document of a file and reports the aliases that its dialect rejects.
pub fn read(diagnostics: &mut Diagnostics<'_, '_>, dialect: &Dialect) -> Option<Node> {
    let document = document(diagnostics, dialect)?;
    for at in document.rejected {
        let (message, help) = rejection(diagnostics.source(), dialect, at);
        diagnostics.report_error(at, message, help);
    }
    Some(document.root)
}

/// Returns message and help for a rejected alias or merge key.
pub fn rejection(source: &SourceText<'_>, dialect: &Dialect, at: Position) -> (String, &'static str) {
    let who = dialect.aliases_rejected_by.unwrap_or("the reader");
    let rest = source.line(at.line).map(|line| line.chars().skip(at.column.saturating_sub(1)));
    if rest.is_some_and(|rest| rest.take(2).eq("<<".chars())) {
        (format!("{who} rejects YAML merge keys (`<<`)"), "write the merged keys here")
    } else {
        (format!("{who} rejects YAML aliases"), "write the anchored content here")
    }
}

/// Reads the only document of a file. Some diagnostics leave the tree readable, so check `diagnostics` even if there is a document.
pub fn document(diagnostics: &mut Diagnostics<'_, '_>, dialect: &Dialect) -> Option<YamlDocument> {
    let source = diagnostics.source();
    if let Some((at, character)) = control_character(source.text) {
        // The parser treats NUL as the end of the file and would ignore the rest.
        let message = format!("the file contains the control character U+{:04X}", u32::from(character));
        diagnostics.report_error(at, message, "save the file as UTF-8 text");
        return None;
    }
    let before = diagnostics.clone();
    let mut builder = NodeBuilder::new(diagnostics, dialect, None);
    if json::is_json(source.text) {
        json::read(&mut builder, source.text).ok()?;
    } else if let Some(at) = json::comment(source.text) {
        let help = "remove the comments, or write YAML, in which `#` begins a comment";
        diagnostics.report_error(at, format!("{NOT_VALID} or JSON: JSON has no comments"), help);
        return None;
    } else if let Err(error) = builder.parse(source.text)? {
        let Some(adapted) = Adapted::of(source.text) else {
            syntax_error(diagnostics, position(*error.marker()), error.info());
            return None;
        };
        *diagnostics = before;
        let mut builder = NodeBuilder::new(diagnostics, dialect, Some(&adapted));
        if let Err(error) = builder.parse(&adapted.text)? {
            let at = builder.position(*error.marker());
            syntax_error(diagnostics, at, error.info());
            return None;
        }
        let NodeBuilder { root, rejected, .. } = builder;
        return root.filter(|root| !root.is_null()).map(|root| YamlDocument { root, rejected });
    }
    let NodeBuilder { root, rejected, .. } = builder;
    let root = root.filter(|root| !root.is_null());
    if root.is_none() && diagnostics.is_empty() {
        diagnostics.report_file_error("the file is empty", dialect.empty_help);
    }
    Some(YamlDocument { root: root?, rejected })
}

/// The parser counts columns from 0.
fn position(marker: Marker) -> Position {
    Position { line: marker.line().max(1), column: marker.col().saturating_add(1) }
}

fn control_character(text: &str) -> Option<(Position, char)> {
    let is_control = |byte: u8| byte.is_ascii_control() && !matches!(byte, b'\n' | b'\t' | b'\r');
    let before = text.get(..text.bytes().position(is_control)?)?;
    Some((Position::after(before), text.get(before.len()..)?.chars().next()?))
}

fn syntax_error(diagnostics: &mut Diagnostics<'_, '_>, at: Position, info: &str) {
    if info == "recursion limit exceeded" {
        // The lookahead of the parser in brackets has its own limit.
        return too_deep(diagnostics, at);
    }
    // The parser often reports an indenting tab at the end of the line before.
    let tab = [at.line, at.line.saturating_add(1)].into_iter().find_map(|line| {
        let indentation = diagnostics.source().line(line)?.chars().take_while(|c| c.is_whitespace());
        let index = indentation.enumerate().find(|(_, c)| *c == '\t')?.0;
        Some(Position { line, column: index + 1 })
    });
    if let Some(tab) = tab {
        let help = "indent with spaces: YAML does not allow tabs here";
        return diagnostics.report_error(tab, format!("{NOT_VALID}: a tab indents this line"), help);
    }
    // Of "while scanning a plain scalar, found a tab", keep the second half.
    let what = info.strip_prefix("while ").and_then(|info| info.split_once(", ")).map_or(info, |(_, what)| what);
    let what = what.trim_end_matches('.').replace('`', "'");
    let help = "check indentation, colons, brackets and quotes here and before";
    diagnostics.report_error(at, format!("{NOT_VALID}: {what}"), help);
}

fn too_deep(diagnostics: &mut Diagnostics<'_, '_>, at: Position) {
    diagnostics.report_error(at, format!("nested deeper than {MAX_DEPTH} levels"), "reduce the nesting");
}

/// A list or mapping that is not complete yet.
struct Open {
    at: Position,
    tag: Option<String>,
    anchor: usize,
    /// The builder's weight before this node.
    weight_before: usize,
    /// The number of levels below this node.
    height: usize,
    content: NodeContent,
}

pub(super) enum NodeContent {
    Sequence(Vec<Node>),
    Mapping {
        entries: Vec<(Node, Node)>,
        key: Option<Node>,
        seen: BTreeMap<String, Position>,
        /// The content of merge keys, which is added at the end of the mapping: its own keys take precedence.
        merged: Vec<Node>,
    },
}

impl NodeContent {
    pub(super) fn mapping() -> Self {
        Self::Mapping { entries: Vec::new(), key: None, seen: BTreeMap::new(), merged: Vec::new() }
    }
}

/// A complete node that an alias may repeat.
struct Anchored {
    node: Node,
    weight: usize,
    height: usize,
}

/// Reading stopped; the diagnostic was reported.
pub(super) struct Stop;

pub(super) struct NodeBuilder<'f, 's, 't> {
    diagnostics: &'f mut Diagnostics<'s, 't>,
    dialect: &'f Dialect,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Anchored>,
    weight: usize,
    root: Option<Node>,
    rejected: Vec<Position>,
    adapted: Option<&'f Adapted>,
}

impl<'f, 's, 't> NodeBuilder<'f, 's, 't> {
    fn new(diagnostics: &'f mut Diagnostics<'s, 't>, dialect: &'f Dialect, adapted: Option<&'f Adapted>) -> Self {
        Self {
            diagnostics,
            dialect,
            open: Vec::new(),
            anchors: BTreeMap::new(),
            weight: 0,
            root: None,
            rejected: Vec::new(),
            adapted,
        }
    }

    /// Reads YAML. `None` if another diagnostic than a syntax error stopped it.
    fn parse(&mut self, text: &str) -> Option<Result<(), ScanError>> {
        for event in Parser::new_from_str(text) {
            match event {
                Ok((event, span)) => self.take(event, &span).ok()?,
                Err(error) => return Some(Err(error)),
            }
        }
        Some(Ok(()))
    }

    /// Returns the position in the file.
    fn position(&self, marker: Marker) -> Position {
        let at = position(marker);
        self.adapted.map_or(at, |adapted| adapted.original(at))
    }

    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Stop> {
        let (at, end) = (self.position(span.start), self.position(span.end));
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let (tag, is_text) = local_tag(tag.as_deref());
                let plain = style == ScalarStyle::Plain && !is_text;
                self.scalar((at, end), text.into_owned(), plain, tag, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.start(at, anchor, tag.as_deref(), NodeContent::Sequence(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => self.start(at, anchor, tag.as_deref(), NodeContent::mapping()),
            Event::SequenceEnd | Event::MappingEnd => self.end(end),
            Event::Alias(anchor) => self.alias((at, end), anchor),
            Event::DocumentStart(_) if self.root.is_some() => {
                let help = "keep one document in the file, without `---`";
                Err(self.stop(at, "a second YAML document starts here", help))
            }
            Event::DocumentStart(_) | Event::DocumentEnd | Event::StreamStart | Event::StreamEnd | Event::Nothing => {
                Ok(())
            }
        }
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
        content: NodeContent,
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
            NodeContent::Sequence(items) => Value::Sequence(items),
            NodeContent::Mapping { mut entries, seen, merged, .. } => {
                self.merge(&mut entries, seen, merged)?;
                Value::Mapping(entries)
            }
        };
        let node = Node { at, end, tag, value };
        self.anchor(anchor, &node, self.weight.saturating_sub(weight_before), height)?;
        self.place(node, height);
        Ok(())
    }

    /// Reports an error after which the rest cannot be read.
    pub(super) fn stop(&mut self, at: Position, message: impl Into<String>, help: &str) -> Stop {
        self.diagnostics.report_error(at, message, help);
        Stop
    }

    /// Adds the content of merge keys to the entries with these keys. The first of several takes precedence (YAML's type repository,
    /// "Merge Key Language-Independent Type"). Its weight was counted with its alias.
    fn merge(
        &mut self,
        entries: &mut Vec<(Node, Node)>,
        mut seen: BTreeMap<String, Position>,
        merged: Vec<Node>,
    ) -> Result<(), Stop> {
        for node in merged {
            let at = node.at;
            let nodes = match node.value {
                Value::Sequence(nodes) => nodes,
                Value::Mapping(_) | Value::Scalar { .. } => vec![node],
            };
            for node in nodes {
                let Value::Mapping(more) = node.value else {
                    let message = "the value of a merge key is neither a mapping nor a list of mappings";
                    return Err(self.stop(at, message, "write `<<: *name`"));
                };
                entries.extend(more.into_iter().filter(|(key, _)| {
                    let name = key.as_str().filter(|name| !seen.contains_key(*name));
                    name.is_some_and(|name| seen.insert(name.to_owned(), key.at).is_none())
                }));
            }
        }
        Ok(())
    }

    fn alias(&mut self, (at, end): (Position, Position), anchor: usize) -> Result<(), Stop> {
        self.reject(at);
        let Some(Anchored { node, weight, height }) = self.anchors.get(&anchor) else {
            let message = "the alias refers to a node that contains it";
            return Err(self.stop(at, message, "write the anchored content here"));
        };
        let (mut node, weight, height) = (node.clone(), *weight, *height);
        // A diagnostic inside the anchored node is at the anchor; one about the alias is here.
        (node.at, node.end) = (at, end);
        self.check_depth(at, height)?;
        self.weigh(at, weight)?;
        self.place(node, height);
        Ok(())
    }

    /// Records a rejected alias or merge key, up to a limit.
    fn reject(&mut self, at: Position) {
        if self.dialect.aliases_rejected_by.is_some() && self.rejected.len() <= Diagnostics::MOST {
            self.rejected.push(at);
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

    /// Adds a complete node to its parent.
    fn place(&mut self, node: Node, height: usize) {
        let merges = self.dialect.merges;
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        open.height = open.height.max(height + 1);
        match &mut open.content {
            NodeContent::Sequence(items) => items.push(node),
            NodeContent::Mapping { entries, key, seen, merged } => match key.take() {
                None => *key = Some(node),
                Some(name) if merges && is_merge_key(&name) => {
                    merged.push(node);
                    self.reject(name.at);
                }
                Some(name) if is_new_key(self.diagnostics, seen, &name) => {
                    let at = name.at;
                    entries.push((name, at_key_if_missing(node, at)));
                }
                Some(_) => {}
            },
        }
    }

    fn check_depth(&mut self, at: Position, height: usize) -> Result<(), Stop> {
        if self.open.len() + height < MAX_DEPTH {
            return Ok(());
        }
        too_deep(self.diagnostics, at);
        Err(Stop)
    }

    fn weigh(&mut self, at: Position, weight: usize) -> Result<(), Stop> {
        self.weight = self.weight.saturating_add(weight);
        if self.weight <= MAX_WEIGHT {
            return Ok(());
        }
        let message = format!("the file has more than {MAX_WEIGHT} values, including aliases");
        Err(self.stop(at, message, "use fewer values or split the file"))
    }
}

fn is_merge_key(key: &Node) -> bool {
    matches!(&key.value, Value::Scalar { text, plain: true } if text == "<<")
}

/// Reports invalid keys: lists, merge keys, and duplicates.
fn is_new_key(diagnostics: &mut Diagnostics<'_, '_>, seen: &mut BTreeMap<String, Position>, key: &Node) -> bool {
    let (message, help) = match &key.value {
        Value::Sequence(_) | Value::Mapping(_) => (format!("a key is {}", key.describe()), "use a string as key"),
        Value::Scalar { .. } if is_merge_key(key) => {
            ("merge keys (`<<`) are not supported".to_owned(), "write the merged keys here")
        }
        Value::Scalar { text, .. } => {
            let Some(first) = seen.get(text) else { return seen.insert(text.clone(), key.at).is_none() };
            (format!("duplicate key `{}`, first at {first}", printable(text)), "keep one of the two")
        }
    };
    diagnostics.report_error(key.at, message, help);
    false
}

/// For `key:` the parser reports the position of the next token, which may be lines away.
fn at_key_if_missing(mut value: Node, key: Position) -> Node {
    if matches!(&value.value, Value::Scalar { text, plain: true } if text.is_empty()) {
        (value.at, value.end) = (key, key);
    }
    value
}

/// Returns the local tag without its `!`, and whether the tag makes the scalar a string.
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
