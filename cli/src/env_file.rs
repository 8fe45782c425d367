//! Files of `export NAME=value` lines with shell quoting, without expansions.

#[cfg(test)]
mod tests;

/// Reads assignments, with or without `export`, in the order of the file; blank lines and comments are skipped. An error has its line.
pub(crate) fn parse(text: &str) -> Result<Vec<(String, String)>, (usize, &'static str)> {
    let mut pairs = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let pair = line.strip_prefix("export ").unwrap_or(line).trim_start().split_once('=');
        let pair = pair.filter(|(name, _)| is_name(name));
        let (name, value) = pair.ok_or((number, "expected `export NAME=value`"))?;
        pairs.push((name.to_owned(), unquote(value).map_err(|message| (number, message))?));
    }
    Ok(pairs)
}

/// Whether this is a valid variable name: letters, digits and `_`, not starting with a digit.
pub(crate) fn is_name(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Removes shell quotes: `'literal'`, `"with \" and \\"`, and `\` before a character.
fn unquote(value: &str) -> Result<String, &'static str> {
    let mut out = String::new();
    let mut quote = None;
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some('\''), _) => out.push(c),
            (None, '\'' | '"') => quote = Some(c),
            (_, '$' | '`') => return Err("`$` and backticks are not expanded; write the value in single quotes"),
            (None, '\\') => out.push(chars.next().ok_or("nothing follows the `\\`")?),
            (Some(_), '\\') => match chars.next() {
                Some(c @ ('"' | '\\' | '$' | '`')) => out.push(c),
                next => out.extend(std::iter::once('\\').chain(next)),
            },
            (None, _) if c.is_whitespace() => {
                // Only a comment may follow the value.
                let rest = chars.as_str().trim_start();
                if rest.is_empty() || rest.starts_with('#') {
                    break;
                }
                return Err("a value with spaces must be in quotes");
            }
            _ => out.push(c),
        }
    }
    match quote {
        None => Ok(out),
        Some('\'') => Err("a `'` is not closed on this line"),
        Some(_) => Err("a `\"` is not closed on this line"),
    }
}
