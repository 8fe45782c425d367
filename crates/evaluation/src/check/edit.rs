//! Edits that add a tag to a resource of a template.

use std::collections::BTreeMap;

use syntax::diagnostic::{Edit, Position, Source, apply};
use syntax::template::Template;
use syntax::yaml::{Node, Value};

use crate::inventory::template::{TagForm, template_type};

/// The position and edit for a tag.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TagPlacement {
    /// The property with the tags.
    pub(super) property: &'static str,
    /// The position of existing tags.
    pub(super) tags_at: Option<Position>,
    /// The edit; `None` if the template does not write its tags literally.
    pub(super) proposal: Option<ProposedEdit>,
}

/// Key, value and current value.
type Tag<'a> = (&'a str, &'a str, Option<&'a str>);

/// An edit that is not verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProposedEdit {
    pub(super) edit: Edit,
    logical_id: String,
    property: &'static str,
    key: String,
    value: String,
}

/// Returns the edit that adds a tag to a resource.
pub(super) fn tag(template: &Template, source: &Source<'_>, logical_id: &str, tag: Tag<'_>) -> TagPlacement {
    let mut placement = TagPlacement { property: "Tags", tags_at: None, proposal: None };
    let resource = template.resources().find(|(name, _, _)| *name == logical_id);
    let Some((kind, body)) = resource.map(|(_, kind, body)| (kind, body)) else { return placement };
    let Some(known) = template_type(kind) else { return placement };
    if known.tags.is_empty() {
        // A global table has tags in each Region.
        placement.property = "Replicas.Tags";
        return placement;
    }
    placement.property = known.tags;
    let writer = Writer {
        source,
        is_json: template.text().trim_start_matches('\u{feff}').trim_start().starts_with('{'),
        line_end: if template.text().contains("\r\n") { "\r\n" } else { "\n" },
    };
    let form = known.tag_form;
    let edit = match body.get("Properties") {
        None => tag.2.is_none().then(|| writer.properties(body, known.tags, form, tag)).flatten(),
        Some(properties) if properties.tag.is_some() => None,
        Some(properties) => match properties.entries().unwrap_or_default() {
            [] => {
                let tags = format!("{{ {} }}", writer.property(known.tags, form, tag, None));
                tag.2.is_none().then(|| writer.filled(properties, "{}", tags)).flatten()
            }
            entries @ [(first, _), ..] => match entries.iter().find(|(key, _)| key.as_str() == Some(known.tags)) {
                Some((key, tags)) => {
                    placement.tags_at = Some(key.at);
                    if tags.tag.is_none() { writer.more(tags, form, tag) } else { None }
                }
                None => tag.2.is_none().then(|| writer.first(first, known.tags, form, tag)).flatten(),
            },
        },
    };
    placement.proposal = edit.map(|edit| ProposedEdit {
        edit,
        logical_id: logical_id.to_owned(),
        property: known.tags,
        key: tag.0.to_owned(),
        value: tag.1.to_owned(),
    });
    placement
}

/// Returns the edits that have their effect: an unexpected notation may break an edit, which is then not proposed. All
/// are tried together and bisected on failure, so that a few parses suffice. `budget` is the number of bytes to parse;
/// the rest is not proposed.
pub(super) fn verified<'p>(
    template: &Template,
    proposals: &'p [ProposedEdit],
    budget: &mut usize,
) -> Vec<&'p ProposedEdit> {
    let mut good = Vec::new();
    let mut waiting = vec![proposals];
    while let Some(some) = waiting.pop().filter(|some| !some.is_empty()) {
        let Some(left) = budget.checked_sub(template.text().len()) else { break };
        *budget = left;
        if have_tags(template, some) {
            good.extend(some);
        } else if some.len() > 1 {
            let (first, second) = some.split_at(some.len() / 2);
            waiting.extend([second, first]);
        }
    }
    good
}

/// Returns whether the changed template has every tag exactly once.
fn have_tags(template: &Template, proposals: &[ProposedEdit]) -> bool {
    let edits = proposals.iter().map(|proposal| std::slice::from_ref(&proposal.edit));
    let (text, made) = apply(template.text(), edits);
    if made != proposals.len() {
        return false;
    }
    let Ok(changed) = Template::read_source(template.file(), &text) else { return false };
    if !changed.resources().map(|(name, _, _)| name).eq(template.resources().map(|(name, _, _)| name)) {
        return false;
    }
    let bodies: BTreeMap<&str, &Node> = changed.resources().map(|(name, _, body)| (name, body)).collect();
    proposals.iter().all(|ProposedEdit { logical_id, property, key, value, .. }| {
        let properties = bodies.get(logical_id.as_str()).and_then(|body| body.get("Properties"));
        properties.and_then(|properties| properties.get(property)).is_some_and(|tags| has(tags, key, value))
    })
}

/// Returns whether a tag occurs once, with this value.
fn has(tags: &Node, key: &str, value: &str) -> bool {
    let pairs = tags.as_sequence().unwrap_or_default().iter().map(|item| (item.get("Key"), item.get("Value")));
    let entries = tags.entries().unwrap_or_default().iter().map(|(key, value)| (Some(key), Some(value)));
    let own: Vec<Option<&str>> = pairs
        .chain(entries)
        .filter(|(name, _)| name.and_then(plain) == Some(key))
        .map(|(_, value)| value.and_then(plain))
        .collect();
    own == [Some(value)]
}

/// A literal text; a node with a YAML tag is the argument of a function.
fn plain(node: &Node) -> Option<&str> {
    node.as_str().filter(|_| node.tag.is_none())
}

struct Writer<'s, 't> {
    source: &'s Source<'t>,
    is_json: bool,
    line_end: &'static str,
}

/// The notation of a list or mapping.
enum Style {
    /// One entry a line, each after this indentation.
    Lines(String),
    /// Entries separated by a comma and this text.
    Commas(String),
}

impl Writer<'_, '_> {
    /// Adds a tag before the existing ones, or changes the value of an existing one.
    fn more(&self, tags: &Node, form: TagForm, (key, value, current): Tag<'_>) -> Option<Edit> {
        match (&tags.value, form) {
            (Value::Sequence(items), TagForm::Pairs) if items.is_empty() => {
                self.filled(tags, "[]", format!("[{}]", self.pair(key, value)))
            }
            (Value::Mapping(entries), TagForm::Mapping) if entries.is_empty() => {
                self.filled(tags, "{}", format!("{{ {}: {} }}", self.word(key), self.word(value)))
            }
            (Value::Sequence(items), TagForm::Pairs) => {
                let whole = items.iter().filter(|item| item.tag.is_none());
                let mut same = whole.filter(|item| item.get("Key").and_then(plain) == Some(key));
                if let Some(own) = same.next() {
                    // A key that is not literal may be the same, and the last one counts.
                    let is_plain = |item: &Node| item.tag.is_none() && item.get("Key").and_then(plain).is_some();
                    items.iter().all(is_plain).then_some(())?;
                    return self.source.rewritten(own.get("Value").filter(|_| same.next().is_none())?, value);
                }
                let first = items.first().filter(|_| current.is_none())?;
                first.get("Key").filter(|_| first.tag.is_none())?;
                let is_flow = self.is_json || self.rest(first.at)?.starts_with('{');
                let new = match (self.style(first.at)?, is_flow) {
                    (Style::Lines(before), false) => {
                        let indent = " ".repeat(first.at.column.saturating_sub(1));
                        let end = self.line_end;
                        format!("Key: {}{end}{indent}Value: {}{end}{before}", self.word(key), self.word(value))
                    }
                    (Style::Lines(before), true) => format!("{}{}{before}", self.pair(key, value), self.line_end),
                    (Style::Commas(between), _) => format!("{},{between}", self.pair(key, value)),
                };
                Some(insert(first.at, new))
            }
            (Value::Mapping(entries), TagForm::Mapping) => {
                let same = entries.iter().find(|(name, _)| plain(name) == Some(key));
                if let Some((_, own)) = same {
                    return self.source.rewritten(own, value);
                }
                let (first, _) = entries.first().filter(|_| current.is_none())?;
                if first.as_str().is_none_or(|name| name.starts_with("Fn::") || name == "Ref") {
                    return None;
                }
                self.entry(first, &format!("{}: {}", self.word(key), self.word(value)))
            }
            _ => None,
        }
    }

    /// Replaces empty brackets.
    fn filled(&self, empty: &Node, brackets: &str, new: String) -> Option<Edit> {
        self.rest(empty.at)?.starts_with(brackets).then_some(())?;
        Some(Edit { from: empty.at, to: Position { column: empty.at.column + brackets.len(), ..empty.at }, new })
    }

    /// Adds `Properties`: after the type, if that ends a line, or before the first entry.
    fn properties(&self, body: &Node, property: &str, form: TagForm, tag: Tag<'_>) -> Option<Edit> {
        let entries = body.entries()?;
        let (first, _) = entries.first()?;
        if let Style::Lines(_) = self.style(first.at)?
            && !self.is_json
        {
            let indent = " ".repeat(first.at.column.saturating_sub(1));
            let new = format!(
                "Properties:{}{indent}  {}",
                self.line_end,
                self.property(property, form, tag, Some(&format!("{indent}  ")))
            );
            let (_, kind) = entries.iter().find(|(key, _)| key.as_str() == Some("Type"))?;
            let written = kind.as_str()?;
            if self.rest(kind.at)?.trim_end() == written {
                let end = Position { column: kind.at.column + written.chars().count(), ..kind.at };
                return Some(insert(end, format!("{}{indent}{new}", self.line_end)));
            }
            return self.entry(first, &new);
        }
        let name = if self.is_json { "\"Properties\"" } else { "Properties" };
        self.entry(first, &format!("{name}: {{ {} }}", self.property(property, form, tag, None)))
    }

    /// Adds the property before the first one.
    fn first(&self, first: &Node, property: &str, form: TagForm, tag: Tag<'_>) -> Option<Edit> {
        let is_block = matches!(self.style(first.at)?, Style::Lines(_)) && !self.is_json;
        let indent = is_block.then(|| " ".repeat(first.at.column.saturating_sub(1)));
        self.entry(first, &self.property(property, form, tag, indent.as_deref()))
    }

    /// Formats the property with the tag: on indented lines, or on one line.
    fn property(&self, property: &str, form: TagForm, (key, value, _): Tag<'_>, indent: Option<&str>) -> String {
        let name = if self.is_json { format!("\"{property}\"") } else { property.to_owned() };
        let (key_word, value_word, end) = (self.word(key), self.word(value), self.line_end);
        match (form, indent) {
            (TagForm::Pairs, None) => format!("{name}: [{}]", self.pair(key, value)),
            (TagForm::Mapping, None) => format!("{name}: {{ {key_word}: {value_word} }}"),
            (TagForm::Pairs, Some(indent)) => {
                format!("{name}:{end}{indent}  - Key: {key_word}{end}{indent}    Value: {value_word}")
            }
            (TagForm::Mapping, Some(indent)) => format!("{name}:{end}{indent}  {key_word}: {value_word}"),
        }
    }

    /// Inserts an entry before the first one of a mapping.
    fn entry(&self, first: &Node, entry: &str) -> Option<Edit> {
        let new = match self.style(first.at)? {
            Style::Lines(before) => format!("{entry}{}{before}", self.line_end),
            Style::Commas(between) => format!("{entry},{between}"),
        };
        Some(insert(first.at, new))
    }

    /// Determines the notation from the text before a position in its line.
    fn style(&self, at: Position) -> Option<Style> {
        let line = self.source.line(at.line)?;
        let before: String = line.chars().take(at.column.checked_sub(1)?).collect();
        let word = before.trim();
        match word.chars().last() {
            None if self.is_json => Some(Style::Commas(format!("{}{before}", self.line_end))),
            None => Some(Style::Lines(before)),
            Some('-') if word == "-" && !self.is_json => Some(Style::Lines(before)),
            Some('[' | '{') => Some(Style::Commas(" ".to_owned())),
            Some(_) => None,
        }
    }

    fn rest(&self, at: Position) -> Option<String> {
        Some(self.source.line(at.line)?.chars().skip(at.column.checked_sub(1)?).collect())
    }

    fn pair(&self, key: &str, value: &str) -> String {
        let (key, value) = (self.word(key), self.word(value));
        if self.is_json {
            format!("{{\"Key\": {key}, \"Value\": {value}}}")
        } else {
            format!("{{ Key: {key}, Value: {value} }}")
        }
    }

    /// Quotes a text unless YAML reads it as the same string. JSON's quotes are valid YAML.
    fn word(&self, text: &str) -> String {
        const OTHERS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
        let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/' | '.'))
            && !OTHERS.contains(&text.to_ascii_lowercase().as_str());
        if is_plain && !self.is_json { text.to_owned() } else { serde_json::Value::from(text).to_string() }
    }
}

fn insert(at: Position, new: String) -> Edit {
    Edit { from: at, to: at, new }
}
