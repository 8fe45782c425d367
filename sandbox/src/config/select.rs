//! Advanced queries of AWS Config: `SELECT fields [WHERE condition]` with comparisons, `IN`, `LIKE`, `BETWEEN`,
//! `AND`, `OR` and `NOT`; and `SELECT fields, COUNT(*) [WHERE condition] GROUP BY fields`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::resource::RecordedResource;

/// A parsed query.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AdvancedQuery {
    pub(super) fields: Vec<String>,
    /// Whether equal rows are counted and returned once.
    counts: bool,
    condition: QueryCondition,
}

#[derive(Debug, Clone, PartialEq)]
enum QueryCondition {
    All(Vec<QueryCondition>),
    Any(Vec<QueryCondition>),
    Not(Box<QueryCondition>),
    Is(String, FieldTest),
}

/// The comparison with a field. A field with several values matches if one of them does.
#[derive(Debug, Clone, PartialEq)]
enum FieldTest {
    OneOf(Vec<String>),
    Less {
        than: String,
        or_equal: bool,
    },
    More {
        than: String,
        or_equal: bool,
    },
    /// `%` matches any text.
    Like(String),
}

impl AdvancedQuery {
    /// Parses an expression; `None` if AWS Config would reject it, or for unsupported syntax (other functions,
    /// orders).
    pub(super) fn parse(expression: &str) -> Option<Self> {
        let mut tokens = TokenReader { tokens: tokens(expression)?, at: 0 };
        tokens.keyword("SELECT").then_some(())?;
        let mut fields = vec![tokens.name()?];
        let mut counts = false;
        while tokens.symbol(",") {
            fields.push(tokens.name()?);
            counts = fields.last().is_some_and(|name| name == "COUNT") && tokens.symbol("(");
            if counts {
                fields.pop();
                (tokens.keyword("*") && tokens.symbol(")")).then_some(())?;
                break;
            }
        }
        let condition = if tokens.keyword("WHERE") { tokens.any()? } else { QueryCondition::All(Vec::new()) };
        if counts {
            // Only the fields of `GROUP BY` can be selected.
            (tokens.keyword("GROUP") && tokens.keyword("BY")).then_some(())?;
            let mut by = vec![tokens.name()?];
            while tokens.symbol(",") {
                by.push(tokens.name()?);
            }
            (by == fields).then_some(())?;
        }
        tokens.is_at_end().then_some(Self { fields, counts, condition })
    }

    /// Returns the result rows: all rows, or each distinct row with its count.
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

    pub(super) fn holds(&self, resource: &RecordedResource) -> bool {
        self.condition.holds(resource)
    }

    /// Returns the selected fields of a resource, nested as in the resource.
    pub(super) fn row(&self, resource: &RecordedResource, captured: Timestamp) -> Value {
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

impl QueryCondition {
    fn holds(&self, resource: &RecordedResource) -> bool {
        match self {
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds(resource)),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds(resource)),
            Self::Not(condition) => !condition.holds(resource),
            Self::Is(path, test) => values(resource, path).iter().any(|value| test.passes(value)),
        }
    }
}

impl FieldTest {
    fn passes(&self, value: &str) -> bool {
        match self {
            Self::OneOf(values) => values.iter().any(|expected| expected == value),
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

/// Returns the values of a field as texts.
fn values(resource: &RecordedResource, path: &str) -> Vec<String> {
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

fn tags(resource: &RecordedResource) -> Value {
    let tags = resource.tags.iter();
    Value::Array(
        tags.map(|(key, value)| json!({"key": key, "value": value, "tag": format!("{key}={value}")})).collect(),
    )
}

fn whole(resource: &RecordedResource, captured: Timestamp) -> Value {
    json!({
        "accountId": resource.account, "awsRegion": resource.region, "resourceType": resource.resource_type,
        "resourceId": resource.resource_id, "resourceName": resource.resource_name, "arn": resource.arn,
        "tags": tags(resource), "configuration": resource.configuration,
        "configurationItemCaptureTime": format!("{captured:.3}"),
    })
}

/// Returns a value with only the part at this path.
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

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Name(String),
    Text(String),
    Symbol(String),
}

/// Splits an expression into tokens; `None` for an unterminated text or an invalid character.
fn tokens(expression: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_name = |character: char| character.is_alphanumeric() || "._-*:".contains(character);
        let length = match first {
            '\'' => {
                let (text, length) = quoted(rest)?;
                tokens.push(Token::Text(text));
                length
            }
            '(' | ')' | ',' => {
                tokens.push(Token::Symbol(first.to_string()));
                1
            }
            '=' | '!' | '<' | '>' => {
                let length = rest.find(|character| !"=!<>".contains(character)).unwrap_or(rest.len());
                tokens.push(Token::Symbol(rest[..length].to_owned()));
                length
            }
            _ if is_name(first) => {
                let length = rest.find(|character| !is_name(character)).unwrap_or(rest.len());
                tokens.push(Token::Name(rest[..length].to_owned()));
                length
            }
            _ => return None,
        };
        rest = rest[length..].trim_start();
    }
    Some(tokens)
}

/// Parses a quoted text, in which a quote is doubled; returns the text and its length in the expression.
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

struct TokenReader {
    tokens: Vec<Token>,
    at: usize,
}

impl TokenReader {
    fn is_at_end(&self) -> bool {
        self.at == self.tokens.len()
    }

    fn take(&mut self, expected: impl Fn(&Token) -> bool) -> bool {
        let found = self.tokens.get(self.at).is_some_and(expected);
        self.at += usize::from(found);
        found
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        self.take(|token| matches!(token, Token::Name(name) if name.eq_ignore_ascii_case(keyword)))
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        self.take(|token| matches!(token, Token::Symbol(text) if text == symbol))
    }

    fn name(&mut self) -> Option<String> {
        let Some(Token::Name(name)) = self.tokens.get(self.at) else { return None };
        self.at += 1;
        Some(name.clone())
    }

    /// Takes a text, a number or a truth value.
    fn value(&mut self) -> Option<String> {
        let (Token::Text(text) | Token::Name(text)) = self.tokens.get(self.at)? else { return None };
        self.at += 1;
        Some(text.clone())
    }

    fn any(&mut self) -> Option<QueryCondition> {
        let mut conditions = vec![self.all()?];
        while self.keyword("OR") {
            conditions.push(self.all()?);
        }
        Some(if conditions.len() == 1 { conditions.remove(0) } else { QueryCondition::Any(conditions) })
    }

    fn all(&mut self) -> Option<QueryCondition> {
        let mut conditions = vec![self.one()?];
        while self.keyword("AND") {
            conditions.push(self.one()?);
        }
        Some(if conditions.len() == 1 { conditions.remove(0) } else { QueryCondition::All(conditions) })
    }

    fn one(&mut self) -> Option<QueryCondition> {
        if self.keyword("NOT") {
            return Some(QueryCondition::Not(Box::new(self.one()?)));
        }
        if self.symbol("(") {
            let inside = self.any()?;
            return self.symbol(")").then_some(inside);
        }
        let field = self.name()?;
        let negated = self.keyword("NOT");
        let condition = self.test(field)?;
        Some(if negated { QueryCondition::Not(Box::new(condition)) } else { condition })
    }

    fn test(&mut self, field: String) -> Option<QueryCondition> {
        if self.keyword("IN") {
            self.symbol("(").then_some(())?;
            let mut values = vec![self.value()?];
            while self.symbol(",") {
                values.push(self.value()?);
            }
            return self.symbol(")").then_some(QueryCondition::Is(field, FieldTest::OneOf(values)));
        }
        if self.keyword("LIKE") {
            return Some(QueryCondition::Is(field, FieldTest::Like(self.value()?)));
        }
        if self.keyword("BETWEEN") {
            let least = FieldTest::More { than: self.value()?, or_equal: true };
            self.keyword("AND").then_some(())?;
            let most = FieldTest::Less { than: self.value()?, or_equal: true };
            return Some(QueryCondition::All(vec![
                QueryCondition::Is(field.clone(), least),
                QueryCondition::Is(field, most),
            ]));
        }
        let Some(Token::Symbol(symbol)) = self.tokens.get(self.at).cloned() else { return None };
        self.at += 1;
        let value = self.value()?;
        Some(match symbol.as_str() {
            "=" => QueryCondition::Is(field, FieldTest::OneOf(vec![value])),
            "!=" | "<>" => QueryCondition::Not(Box::new(QueryCondition::Is(field, FieldTest::OneOf(vec![value])))),
            "<" | "<=" => QueryCondition::Is(field, FieldTest::Less { than: value, or_equal: symbol == "<=" }),
            ">" | ">=" => QueryCondition::Is(field, FieldTest::More { than: value, or_equal: symbol == ">=" }),
            _ => return None,
        })
    }
}
