//! Files of `export NAME=value` lines with shell quoting, without expansions.

#[cfg(test)]
mod tests;

/// A line that is not valid.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvalidLine {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) message: String,
}

/// Reads assignments, with or without `export`, in the order of the file; blank lines and comments are skipped.
pub(crate) fn parse(text: &str) -> Result<Vec<(String, String)>, InvalidLine> {
    let mut pairs = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let invalid = |message: &str| InvalidLine { line: index + 1, message: message.to_owned() };
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let (name, value) = line
            .split_once('=')
            .filter(|(name, _)| is_name(name))
            .ok_or_else(|| invalid("expected `export NAME=value`"))?;
        pairs.push((name.to_owned(), unquote(value).map_err(invalid)?));
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
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => loop {
                match chars.next().ok_or("a `'` is not closed on this line")? {
                    '\'' => break,
                    c => out.push(c),
                }
            },
            '"' => loop {
                match chars.next().ok_or("a `\"` is not closed on this line")? {
                    '"' => break,
                    '\\' => match chars.next().ok_or("a `\"` is not closed on this line")? {
                        c @ ('"' | '\\' | '$' | '`') => out.push(c),
                        c => out.extend(['\\', c]),
                    },
                    '$' | '`' => return Err(EXPANSION),
                    c => out.push(c),
                }
            },
            '\\' => out.push(chars.next().ok_or("nothing follows the `\\`")?),
            '$' | '`' => return Err(EXPANSION),
            c if c.is_whitespace() => {
                // Only a comment may follow the value.
                let rest = chars.as_str().trim_start();
                if rest.is_empty() || rest.starts_with('#') {
                    break;
                }
                return Err("a value with spaces must be in quotes");
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

const EXPANSION: &str = "`$` and backticks are not expanded; write the value in single quotes";
