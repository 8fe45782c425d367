//! Edits that add a tag or a property to a resource of a template. They never change a value.

use std::collections::BTreeMap;

use syntax::diagnostic::{Edit, Position, SourceText, apply};
use syntax::template::Template;
use syntax::yaml::{Node, Value};

use crate::inventory::template::{TagForm, template_type};

#[derive(Debug, PartialEq, Eq)]
pub(super) struct TagPlacement {
    /// The property with the tags.
    pub(super) property: &'static str,
    /// The replica that has the property, if it is not the resource.
    pub(super) replica: Option<String>,
    /// The position of existing tags.
    pub(super) tags_at: Option<Position>,
    /// The edit; `None` if the template does not write its tags literally.
    pub(super) proposal: Option<ProposedEdit>,
}

/// Key and value.
type TagPair<'a> = (&'a str, &'a str);

/// An edit that is not verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProposedEdit {
    pub(super) edit: Edit,
    logical_id: String,
    property: &'static str,
    /// `None` if the value is that of the property.
    key: Option<String>,
    value: String,
}

/// Returns the edit that adds a property to a resource, if it does not have it.
pub(super) fn property(
    template: &Template,
    source: &SourceText<'_>,
    logical_id: &str,
    name: &'static str,
    value: &str,
) -> Option<ProposedEdit> {
    let (_, _, body) = template.resources().find(|(own, _, _)| *own == logical_id)?;
    let entries = body.get("Properties").and_then(Node::entries).unwrap_or_default();
    if entries.iter().any(|(key, _)| key.as_str() == Some(name)) {
        return None;
    }
    let writer = Writer::new(template, source, name, None, ("", value));
    let edit = writer.addition(body)?;
    let (logical_id, value) = (logical_id.to_owned(), value.to_owned());
    Some(ProposedEdit { edit, logical_id, property: name, key: None, value })
}

/// Returns where the tags of the replica in a Region are, or of the only replica.
fn replica(body: &Node, region: Option<&str>) -> Option<(String, Option<Position>)> {
    let replicas = body.get("Properties")?.get("Replicas")?.as_sequence()?;
    let own = |replica: &&Node| replica.get("Region").and_then(plain) == region;
    let replica = match replicas {
        [only] => only,
        _ => replicas.iter().find(own).filter(|_| region.is_some())?,
    };
    let tags = replica.entries()?.iter().find(|(key, _)| key.as_str() == Some("Tags"));
    Some((replica.get("Region").and_then(plain)?.to_owned(), tags.map(|(key, _)| key.at)))
}

/// Returns the edit that adds a tag to a resource.
pub(super) fn tag(
    template: &Template,
    source: &SourceText<'_>,
    logical_id: &str,
    tag: TagPair<'_>,
    region: Option<&str>,
) -> TagPlacement {
    let mut placement = TagPlacement { property: "Tags", replica: None, tags_at: None, proposal: None };
    let resource = template.resources().find(|(name, _, _)| *name == logical_id);
    let known = resource.and_then(|(_, kind, body)| Some((template_type(kind)?, body)));
    let Some((known, body)) = known else { return placement };
    if known.tags.is_empty() {
        // A global table has tags in each Region.
        match replica(body, region) {
            Some((region, tags_at)) => (placement.replica, placement.tags_at) = (Some(region), tags_at),
            None => placement.property = "Replicas.Tags",
        }
        return placement;
    }
    placement.property = known.tags;
    let writer = Writer::new(template, source, known.tags, Some(known.tag_form), tag);
    let properties = body.get("Properties");
    let entries = properties.and_then(Node::entries).unwrap_or_default();
    let edit = match (properties, entries.iter().find(|(key, _)| key.as_str() == Some(known.tags))) {
        (Some(properties), _) if properties.tag.is_some() => None,
        (_, Some((key, tags))) => {
            placement.tags_at = Some(key.at);
            if tags.tag.is_none() { writer.more(tags) } else { None }
        }
        _ => writer.addition(body),
    };
    placement.proposal = edit.map(|edit| ProposedEdit {
        edit,
        logical_id: logical_id.to_owned(),
        property: known.tags,
        key: Some(tag.0.to_owned()),
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
        properties.and_then(|properties| properties.get(property)).is_some_and(|own| match key {
            Some(key) => has(own, key, value),
            None => plain(own) == Some(value),
        })
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
    source: &'s SourceText<'t>,
    is_json: bool,
    line_end: &'static str,
    /// The property with the tags.
    property: &'static str,
    /// `None` if the value is that of the property.
    form: Option<TagForm>,
    key: &'s str,
    value: &'s str,
}

impl<'s, 't> Writer<'s, 't> {
    fn new(
        template: &Template,
        source: &'s SourceText<'t>,
        property: &'static str,
        form: Option<TagForm>,
        (key, value): TagPair<'s>,
    ) -> Self {
        Self {
            source,
            is_json: template.text().trim_start_matches('\u{feff}').trim_start().starts_with('{'),
            line_end: if template.text().contains("\r\n") { "\r\n" } else { "\n" },
            property,
            form,
            key,
            value,
        }
    }

    /// Adds the property to a resource that does not have it.
    fn addition(&self, body: &Node) -> Option<Edit> {
        let Some(properties) = body.get("Properties") else { return self.properties(body) };
        match properties.entries().unwrap_or_default() {
            _ if properties.tag.is_some() => None,
            [] => self.filled(properties, "{}", format!("{{ {} }}", self.property(None))),
            [(first, _), ..] => {
                let (is_block, _) = self.style(first.at)?;
                self.entry(first, &self.property(is_block.then(|| indent(first.at)).as_deref()))
            }
        }
    }

    /// Adds the tag before the existing ones.
    fn more(&self, tags: &Node) -> Option<Edit> {
        match (&tags.value, self.form?) {
            (Value::Sequence(items), TagForm::Pairs) if items.is_empty() => self.filled(tags, "[]", self.list()),
            (Value::Mapping(entries), TagForm::Mapping) if entries.is_empty() => self.filled(tags, "{}", self.list()),
            (Value::Sequence(items), TagForm::Pairs) => {
                let is_same = |item: &Node| item.tag.is_none() && item.get("Key").and_then(plain) == Some(self.key);
                if items.iter().any(is_same) {
                    return None;
                }
                let first = items.first().filter(|first| first.tag.is_none() && first.get("Key").is_some())?;
                let is_flow = self.rest(first.at)?.starts_with('{') || !self.style(first.at)?.0;
                self.entry(first, &if is_flow { self.pair() } else { self.block(&indent(first.at)) })
            }
            (Value::Mapping(entries), TagForm::Mapping) => {
                if entries.iter().any(|(name, _)| plain(name) == Some(self.key)) {
                    return None;
                }
                let (first, _) = entries.first()?;
                if first.as_str().is_none_or(|name| name.starts_with("Fn::") || name == "Ref") {
                    return None;
                }
                self.entry(first, &self.pair())
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
    fn properties(&self, body: &Node) -> Option<Edit> {
        let entries = body.entries()?;
        let (first, _) = entries.first()?;
        if !self.style(first.at)?.0 {
            return self.entry(first, &format!("{}: {{ {} }}", self.name("Properties"), self.property(None)));
        }
        let (indent, end) = (indent(first.at), self.line_end);
        let new = format!("Properties:{end}{indent}  {}", self.property(Some(&format!("{indent}  "))));
        let (_, kind) = entries.iter().find(|(key, _)| key.as_str() == Some("Type"))?;
        let written = kind.as_str()?;
        if self.rest(kind.at)?.trim_end() != written {
            return self.entry(first, &new);
        }
        let at = Position { column: kind.at.column + written.chars().count(), ..kind.at };
        Some(insert(at, format!("{end}{indent}{new}")))
    }

    /// Formats the property with the tag: on indented lines, or on one line.
    fn property(&self, indent: Option<&str>) -> String {
        let (name, end) = (self.name(self.property), self.line_end);
        let Some(form) = self.form else { return format!("{name}: {}", self.value) };
        let Some(indent) = indent else { return format!("{name}: {}", self.list()) };
        match form {
            TagForm::Pairs => format!("{name}:{end}{indent}  - {}", self.block(&format!("{indent}    "))),
            TagForm::Mapping => format!("{name}:{end}{indent}  {}", self.pair()),
        }
    }

    /// Formats a list or mapping with the tag on one line.
    fn list(&self) -> String {
        match self.form {
            Some(TagForm::Pairs) | None => format!("[{}]", self.pair()),
            Some(TagForm::Mapping) => format!("{{ {} }}", self.pair()),
        }
    }

    /// Formats key and value on two lines.
    fn block(&self, indent: &str) -> String {
        format!("Key: {}{}{indent}Value: {}", self.word(self.key), self.line_end, self.word(self.value))
    }

    fn pair(&self) -> String {
        let (key, value) = (self.word(self.key), self.word(self.value));
        match self.form {
            Some(TagForm::Mapping) => format!("{key}: {value}"),
            _ if self.is_json => format!("{{\"Key\": {key}, \"Value\": {value}}}"),
            _ => format!("{{ Key: {key}, Value: {value} }}"),
        }
    }

    fn name(&self, name: &str) -> String {
        if self.is_json { format!("\"{name}\"") } else { name.to_owned() }
    }

    /// Inserts an entry before the first one of a list or mapping.
    fn entry(&self, first: &Node, entry: &str) -> Option<Edit> {
        let (_, separator) = self.style(first.at)?;
        Some(insert(first.at, format!("{entry}{separator}")))
    }

    /// Determines from the text before a position in its line whether each entry has a line of its own, as never in
    /// JSON, and the text between entries.
    fn style(&self, at: Position) -> Option<(bool, String)> {
        let line = self.source.line(at.line)?;
        let before: String = line.chars().take(at.column.checked_sub(1)?).collect();
        let next_line = format!("{}{before}", self.line_end);
        match before.trim() {
            "" if self.is_json => Some((false, format!(",{next_line}"))),
            "" => Some((true, next_line)),
            "-" if !self.is_json => Some((true, next_line)),
            word => word.ends_with(['[', '{']).then(|| (false, ", ".to_owned())),
        }
    }

    fn rest(&self, at: Position) -> Option<String> {
        Some(self.source.line(at.line)?.chars().skip(at.column.checked_sub(1)?).collect())
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

fn indent(at: Position) -> String {
    " ".repeat(at.column.saturating_sub(1))
}

fn insert(at: Position, new: String) -> Edit {
    Edit { from: at, to: at, new }
}
