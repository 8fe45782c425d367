//! Advanced queries: `SELECT fields [WHERE condition]` with comparisons, `IN`, `LIKE`, `BETWEEN`, `AND`, `OR` and `NOT`; and
//! `SELECT fields, COUNT(*) [WHERE condition] GROUP BY fields`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Resource;

/// A query that was understood.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Query {
    pub(super) fields: Vec<String>,
    /// Whether rows with equal fields are counted and returned once.
    counts: bool,
    condition: Condition,
}

#[derive(Debug, Clone, PartialEq)]
enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Is(String, Test),
}

/// What a field is put to. A field with several values, as in a list, passes when one of them does.
#[derive(Debug, Clone, PartialEq)]
enum Test {
    OneOf(Vec<String>),
    Less {
        than: String,
        or_equal: bool,
    },
    More {
        than: String,
        or_equal: bool,
    },
    /// With `%` for any text.
    Like(String),
}

impl Query {
    /// Nothing for an expression that AWS Config would refuse, or that is beyond this reader: other functions, orders.
    pub(super) fn parse(expression: &str) -> Option<Self> {
        let mut words = Words { words: words(expression)?, at: 0 };
        words.keyword("SELECT").then_some(())?;
        let mut fields = vec![words.name()?];
        let mut counts = false;
        while words.symbol(",") {
            fields.push(words.name()?);
            counts = fields.last().is_some_and(|name| name == "COUNT") && words.symbol("(");
            if counts {
                fields.pop();
                (words.keyword("*") && words.symbol(")")).then_some(())?;
                break;
            }
        }
        let condition = if words.keyword("WHERE") { words.any()? } else { Condition::All(Vec::new()) };
        if counts {
            // Only what is counted by can be selected.
            (words.keyword("GROUP") && words.keyword("BY")).then_some(())?;
            let mut by = vec![words.name()?];
            while words.symbol(",") {
                by.push(words.name()?);
            }
            (by == fields).then_some(())?;
        }
        words.is_at_end().then_some(Self { fields, counts, condition })
    }

    /// Rows as they are answered: each, or each kind once with its number.
    pub(super) fn answered(&self, rows: impl Iterator<Item = Value>) -> Vec<Value> {
        if !self.counts {
            return rows.map(|row| json!(row.to_string())).collect();
        }
        let mut groups: BTreeMap<String, (Value, usize)> = BTreeMap::new();
        for row in rows {
            groups.entry(row.to_string()).or_insert((row, 0)).1 += 1;
        }
        let counted = |(mut row, count): (Value, usize)| {
            row["COUNT(*)"] = json!(count);
            json!(row.to_string())
        };
        groups.into_values().map(counted).collect()
    }

    pub(super) fn holds(&self, resource: &Resource) -> bool {
        self.condition.holds(resource)
    }

    /// The chosen fields of a resource, nested as they are in it.
    pub(super) fn row(&self, resource: &Resource, captured: Timestamp) -> Value {
        let whole = whole(resource, captured);
        if self.fields.iter().any(|field| field == "*") {
            return whole;
        }
        let mut row = Value::Object(Map::new());
        for field in &self.fields {
            let path: Vec<&str> = field.split('.').collect();
            if let Some(picked) = pick(&whole, &path) {
                merge(&mut row, picked);
            }
        }
        row
    }
}

impl Condition {
    fn holds(&self, resource: &Resource) -> bool {
        match self {
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds(resource)),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds(resource)),
            Self::Not(condition) => !condition.holds(resource),
            Self::Is(path, test) => values(resource, path).iter().any(|value| test.passes(value)),
        }
    }
}

impl Test {
    fn passes(&self, value: &str) -> bool {
        match self {
            Self::OneOf(wanted) => wanted.iter().any(|wanted| wanted == value),
            Self::Less { than, or_equal } => order(value, than).is_lt() || (*or_equal && value == than),
            Self::More { than, or_equal } => order(value, than).is_gt() || (*or_equal && value == than),
            Self::Like(pattern) => like(pattern, value),
        }
    }
}

fn order(left: &str, right: &str) -> std::cmp::Ordering {
    match (left.parse::<f64>(), right.parse::<f64>()) {
        (Ok(left), Ok(right)) => left.total_cmp(&right),
        _ => left.cmp(right),
    }
}

fn like(pattern: &str, text: &str) -> bool {
    match pattern.split_once('%') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| like(rest, &text[at..]))
        }),
    }
}

/// The values of a field, as texts.
fn values(resource: &Resource, path: &str) -> Vec<String> {
    let plain = match path {
        "accountId" => &resource.account,
        "awsRegion" => &resource.region,
        "resourceType" => &resource.resource_type,
        "resourceId" => &resource.resource_id,
        "resourceName" => &resource.resource_name,
        "arn" => &resource.arn,
        _ => {
            let path: Vec<&str> = path.split('.').collect();
            let mut found = Vec::new();
            match path.split_first() {
                Some((&"tags", rest)) => collect(&tags(resource), rest, &mut found),
                Some((&"configuration", rest)) => collect(&resource.configuration, rest, &mut found),
                _ => {}
            }
            return found;
        }
    };
    vec![plain.clone()]
}

fn collect(value: &Value, path: &[&str], found: &mut Vec<String>) {
    match (value, path.split_first()) {
        (Value::Array(items), _) => items.iter().for_each(|item| collect(item, path, found)),
        (Value::Object(map), Some((name, rest))) => {
            map.get(*name).into_iter().for_each(|value| collect(value, rest, found))
        }
        (Value::String(text), None) => found.push(text.clone()),
        (Value::Bool(_) | Value::Number(_), None) => found.push(value.to_string()),
        _ => {}
    }
}

fn tags(resource: &Resource) -> Value {
    let tags = resource.tags.iter();
    Value::Array(
        tags.map(|(key, value)| json!({"key": key, "value": value, "tag": format!("{key}={value}")})).collect(),
    )
}

fn whole(resource: &Resource, captured: Timestamp) -> Value {
    json!({
        "accountId": resource.account, "awsRegion": resource.region, "resourceType": resource.resource_type,
        "resourceId": resource.resource_id, "resourceName": resource.resource_name, "arn": resource.arn,
        "tags": tags(resource), "configuration": resource.configuration,
        "configurationItemCaptureTime": format!("{captured:.3}"),
    })
}

/// A value with nothing in it but what lies at this path.
fn pick(value: &Value, path: &[&str]) -> Option<Value> {
    let Some((name, rest)) = path.split_first() else { return Some(value.clone()) };
    match value {
        Value::Object(map) => {
            let inside = pick(map.get(*name)?, rest)?;
            Some(json!({*name: inside}))
        }
        Value::Array(items) => Some(items.iter().map(|item| pick(item, path).unwrap_or_else(|| json!({}))).collect()),
        _ => None,
    }
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (Value::Array(into), Value::Array(from)) if into.len() == from.len() => {
            into.iter_mut().zip(from).for_each(|(into, from)| merge(into, from));
        }
        (into, from) => *into = from,
    }
}

// ------------------------------------------------------------------------------------------------ reading

#[derive(Debug, Clone, PartialEq)]
enum Word {
    Name(String),
    Text(String),
    Symbol(String),
}

/// Nothing for a text that has no end, or a character that belongs nowhere.
fn words(expression: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_name = |character: char| character.is_alphanumeric() || "._-*:".contains(character);
        let length = match first {
            '\'' => {
                let (text, length) = quoted(rest)?;
                words.push(Word::Text(text));
                length
            }
            '(' | ')' | ',' => {
                words.push(Word::Symbol(first.to_string()));
                1
            }
            '=' | '!' | '<' | '>' => {
                let length = rest.find(|character| !"=!<>".contains(character)).unwrap_or(rest.len());
                words.push(Word::Symbol(rest[..length].to_owned()));
                length
            }
            _ if is_name(first) => {
                let length = rest.find(|character| !is_name(character)).unwrap_or(rest.len());
                words.push(Word::Name(rest[..length].to_owned()));
                length
            }
            _ => return None,
        };
        rest = rest[length..].trim_start();
    }
    Some(words)
}

/// A text in quotes, in which a quote is written twice; and how long it is in the expression.
fn quoted(rest: &str) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character != '\'' {
            text.push(character);
        } else if characters.next_if(|(_, next)| *next == '\'').is_some() {
            text.push('\'');
        } else {
            return Some((text, at + 1));
        }
    }
    None
}

struct Words {
    words: Vec<Word>,
    at: usize,
}

impl Words {
    fn is_at_end(&self) -> bool {
        self.at == self.words.len()
    }

    fn take(&mut self, wanted: impl Fn(&Word) -> bool) -> bool {
        let found = self.words.get(self.at).is_some_and(wanted);
        self.at += usize::from(found);
        found
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        self.take(|word| matches!(word, Word::Name(name) if name.eq_ignore_ascii_case(keyword)))
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        self.take(|word| matches!(word, Word::Symbol(text) if text == symbol))
    }

    fn name(&mut self) -> Option<String> {
        let Some(Word::Name(name)) = self.words.get(self.at) else { return None };
        self.at += 1;
        Some(name.clone())
    }

    /// A text, or a bare number or truth value.
    fn value(&mut self) -> Option<String> {
        let (Word::Text(text) | Word::Name(text)) = self.words.get(self.at)? else { return None };
        self.at += 1;
        Some(text.clone())
    }

    fn any(&mut self) -> Option<Condition> {
        let mut conditions = vec![self.all()?];
        while self.keyword("OR") {
            conditions.push(self.all()?);
        }
        Some(if conditions.len() == 1 { conditions.remove(0) } else { Condition::Any(conditions) })
    }

    fn all(&mut self) -> Option<Condition> {
        let mut conditions = vec![self.one()?];
        while self.keyword("AND") {
            conditions.push(self.one()?);
        }
        Some(if conditions.len() == 1 { conditions.remove(0) } else { Condition::All(conditions) })
    }

    fn one(&mut self) -> Option<Condition> {
        if self.keyword("NOT") {
            return Some(Condition::Not(Box::new(self.one()?)));
        }
        if self.symbol("(") {
            let inside = self.any()?;
            return self.symbol(")").then_some(inside);
        }
        let field = self.name()?;
        let negated = self.keyword("NOT");
        let condition = self.test(field)?;
        Some(if negated { Condition::Not(Box::new(condition)) } else { condition })
    }

    fn test(&mut self, field: String) -> Option<Condition> {
        if self.keyword("IN") {
            self.symbol("(").then_some(())?;
            let mut values = vec![self.value()?];
            while self.symbol(",") {
                values.push(self.value()?);
            }
            return self.symbol(")").then_some(Condition::Is(field, Test::OneOf(values)));
        }
        if self.keyword("LIKE") {
            return Some(Condition::Is(field, Test::Like(self.value()?)));
        }
        if self.keyword("BETWEEN") {
            let least = Test::More { than: self.value()?, or_equal: true };
            self.keyword("AND").then_some(())?;
            let most = Test::Less { than: self.value()?, or_equal: true };
            return Some(Condition::All(vec![Condition::Is(field.clone(), least), Condition::Is(field, most)]));
        }
        let Some(Word::Symbol(symbol)) = self.words.get(self.at).cloned() else { return None };
        self.at += 1;
        let value = self.value()?;
        Some(match symbol.as_str() {
            "=" => Condition::Is(field, Test::OneOf(vec![value])),
            "!=" | "<>" => Condition::Not(Box::new(Condition::Is(field, Test::OneOf(vec![value])))),
            "<" | "<=" => Condition::Is(field, Test::Less { than: value, or_equal: symbol == "<=" }),
            ">" | ">=" => Condition::Is(field, Test::More { than: value, or_equal: symbol == ">=" }),
            _ => return None,
        })
    }
}
