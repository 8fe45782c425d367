//! Pages as AWS Config gives them: with limits, tokens, and now and then an empty one that has a token all the same.

use serde_json::{Value, json};

use super::Refused;

/// One page of these rows, under `name`.
///
/// When there are several pages, an empty one comes after the first; with `always`, an empty one comes before each.
pub(super) fn page(rows: &[Value], ask: &Value, name: &str, limits: &Limits, always: bool) -> Result<Value, Refused> {
    let (from, empty) = place(ask)?;
    let empty = empty || (always && ask.get("NextToken").is_none_or(Value::is_null));
    if from > rows.len() {
        return Err(bad_token());
    }
    if empty {
        return Ok(json!({name: [], "NextToken": token(from, false)}));
    }
    let limit = limits.of(ask)?;
    let until = rows.len().min(from + limit);
    let mut answer = json!({name: rows.get(from..until).unwrap_or_default()});
    if until < rows.len() {
        answer["NextToken"] = json!(token(until, always || from == 0));
    }
    Ok(answer)
}

/// How many rows a page may have.
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) default: usize,
    pub(super) most: usize,
}

impl Limits {
    fn of(&self, ask: &Value) -> Result<usize, Refused> {
        let asked = ask["Limit"].as_u64().or(ask["MaxResults"].as_u64()).unwrap_or_default();
        match usize::try_from(asked).unwrap_or(usize::MAX) {
            0 => Ok(self.default),
            asked if asked > self.most => Err((
                "InvalidLimitException",
                format!("The specified limit {asked} is not valid: it must be between 0 and {}", self.most),
            )),
            asked => Ok(asked),
        }
    }
}

fn token(from: usize, empty: bool) -> String {
    format!("{from}.{}", if empty { "empty" } else { "rows" })
}

fn place(ask: &Value) -> Result<(usize, bool), Refused> {
    let Some(token) = ask["NextToken"].as_str() else { return Ok((0, false)) };
    let (from, kind) = token.split_once('.').ok_or_else(bad_token)?;
    let from = from.parse().map_err(|_| bad_token())?;
    match kind {
        "empty" => Ok((from, true)),
        "rows" => Ok((from, false)),
        _ => Err(bad_token()),
    }
}

fn bad_token() -> Refused {
    ("InvalidNextTokenException", "The specified next token is not valid".to_owned())
}
