//! The change to a template that gives a resource a tag.

use std::cell::Cell;

use crate::fault::{Edit, Position, Source, apply};
use crate::inventory::template::{TagForm, known};
use crate::template::Template;
use crate::yaml::{Node, Value};

/// How a resource gets a tag.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tagging {
    /// The property with the tags.
    pub(super) property: &'static str,
    /// Where the tags are, if there are any.
    pub(super) tags_at: Option<Position>,
    /// The change; empty where the template says its tags in another way than plainly.
    pub(super) edits: Vec<Edit>,
}

/// The tag: key, value, and the value that it has.
type Tag<'a> = (&'a str, &'a str, Option<&'a str>);

/// How to give a resource a tag. `budget` is how many bytes may be read again for it.
pub(super) fn tag(
    template: &Template,
    source: &Source<'_>,
    logical_id: &str,
    tag: Tag<'_>,
    budget: &Cell<usize>,
) -> Tagging {
    let mut tagging = Tagging { property: "Tags", tags_at: None, edits: Vec::new() };
    let resource = template.resources().find(|(name, _, _)| *name == logical_id);
    let Some((kind, body)) = resource.map(|(_, kind, body)| (kind, body)) else { return tagging };
    let Some(known) = known(kind).filter(|known| !known.tags.is_empty()) else { return tagging };
    tagging.property = known.tags;
    let Some(properties) = body.get("Properties").filter(|node| node.tag.is_none()) else { return tagging };
    let writer = Writer {
        source,
        is_json: template.text().trim_start_matches('\u{feff}').trim_start().starts_with('{'),
        line_end: if template.text().contains("\r\n") { "\r\n" } else { "\n" },
    };
    let edit = match properties.entries().unwrap_or_default().iter().find(|(key, _)| key.as_str() == Some(known.tags)) {
        Some((key, tags)) => {
            tagging.tags_at = Some(key.at);
            if tags.tag.is_none() { writer.more(tags, known.tag_form, tag) } else { None }
        }
        None => properties.entries().and_then(<[_]>::first).and_then(|(first, _)| {
            tag.2.is_none().then(|| writer.first(first, known.tags, known.tag_form, tag)).flatten()
        }),
    };
    // A file may be written in ways that nobody has thought of: what does not bring the tag is not proposed.
    if let (Some(edit), Some(left)) = (edit, budget.get().checked_sub(template.text().len())) {
        budget.set(left);
        if brings(template, &edit, logical_id, known.tags, (tag.0, tag.1)) {
            tagging.edits.push(edit);
        }
    }
    tagging
}

/// Whether a template that is changed so has the tag, once.
fn brings(template: &Template, edit: &Edit, logical_id: &str, property: &str, (key, value): (&str, &str)) -> bool {
    let (text, _) = apply(template.text(), [std::slice::from_ref(edit)]);
    let Ok(changed) = Template::read_source(template.file(), &text) else { return false };
    let same_resources = changed.resources().map(|(name, _, _)| name).eq(template.resources().map(|(name, _, _)| name));
    let body = changed.resources().find(|(name, _, _)| *name == logical_id).map(|(_, _, body)| body);
    let tags = body.and_then(|body| body.get("Properties")?.get(property));
    let Some(tags) = tags.filter(|_| same_resources) else { return false };
    let pairs = tags.as_sequence().unwrap_or_default().iter().map(|item| (item.get("Key"), item.get("Value")));
    let entries = tags.entries().unwrap_or_default().iter().map(|(key, value)| (Some(key), Some(value)));
    let own: Vec<Option<&str>> = pairs
        .chain(entries)
        .filter(|(name, _)| name.and_then(plain) == Some(key))
        .map(|(_, value)| value.and_then(plain))
        .collect();
    own == [Some(value)]
}

/// A text that stands there as it is: under a tag it is the argument of a function.
fn plain(node: &Node) -> Option<&str> {
    node.as_str().filter(|_| node.tag.is_none())
}

struct Writer<'s, 't> {
    source: &'s Source<'t>,
    is_json: bool,
    line_end: &'static str,
}

/// How things stand beside each other at a place.
enum Style {
    /// A line each, this before each of them.
    Lines(String),
    /// With a comma between, and this.
    Commas(String),
}

impl Writer<'_, '_> {
    /// One more tag, before those that there are; or another value for the one that there is.
    fn more(&self, tags: &Node, form: TagForm, (key, value, now): Tag<'_>) -> Option<Edit> {
        match (&tags.value, form) {
            (Value::Sequence(items), TagForm::Pairs) => {
                let whole = items.iter().filter(|item| item.tag.is_none());
                let mut same = whole.filter(|item| item.get("Key").and_then(plain) == Some(key));
                if let Some(own) = same.next() {
                    return self.source.rewritten(own.get("Value").filter(|_| same.next().is_none())?, value);
                }
                let first = items.first().filter(|_| now.is_none())?;
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
                let (first, _) = entries.first().filter(|_| now.is_none())?;
                if first.as_str().is_none_or(|name| name.starts_with("Fn::") || name == "Ref") {
                    return None;
                }
                self.entry(first, &format!("{}: {}", self.word(key), self.word(value)))
            }
            _ => None,
        }
    }

    /// The property, before the first one that there is.
    fn first(&self, first: &Node, property: &str, form: TagForm, (key, value, _): Tag<'_>) -> Option<Edit> {
        let name = if self.is_json { format!("\"{property}\"") } else { property.to_owned() };
        let (key_word, value_word) = (self.word(key), self.word(value));
        let is_block = matches!(self.style(first.at)?, Style::Lines(_)) && !self.is_json;
        let entry = match (form, is_block) {
            (TagForm::Pairs, false) => format!("{name}: [{}]", self.pair(key, value)),
            (TagForm::Mapping, false) => format!("{name}: {{ {key_word}: {value_word} }}"),
            (form, true) => {
                let indent = " ".repeat(first.at.column.saturating_sub(1));
                let end = self.line_end;
                match form {
                    TagForm::Pairs => {
                        format!("{name}:{end}{indent}  - Key: {key_word}{end}{indent}    Value: {value_word}")
                    }
                    TagForm::Mapping => format!("{name}:{end}{indent}  {key_word}: {value_word}"),
                }
            }
        };
        self.entry(first, &entry)
    }

    /// An entry of a mapping, before its first one.
    fn entry(&self, first: &Node, entry: &str) -> Option<Edit> {
        let new = match self.style(first.at)? {
            Style::Lines(before) => format!("{entry}{}{before}", self.line_end),
            Style::Commas(between) => format!("{entry},{between}"),
        };
        Some(insert(first.at, new))
    }

    /// What stands before a place in its line decides.
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

    /// A text as it must be written: in quotes, unless YAML cannot take it for anything else. JSON's quotes are YAML's too.
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
