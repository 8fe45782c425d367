//! Files of `export NAME=value` lines, as a shell would read them, as long as nothing is computed in them.

#[cfg(test)]
mod tests;

/// A line that is not understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) problem: String,
}

/// Reads assignments, with or without `export`, in the order of the file; blank lines and comments are skipped.
pub(crate) fn parse(text: &str) -> Result<Vec<(String, String)>, Unreadable> {
    let mut pairs = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let refuse = |problem: &str| Unreadable { line: index + 1, problem: problem.to_owned() };
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let (name, value) = line
            .split_once('=')
            .filter(|(name, _)| is_name(name))
            .ok_or_else(|| refuse("expected `export NAME=value`"))?;
        pairs.push((name.to_owned(), unquote(value).map_err(refuse)?));
    }
    Ok(pairs)
}

/// Whether a variable may have this name: letters, digits and `_`, no digit first.
pub(crate) fn is_name(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The shell's quoting: `'as it is'`, `"with \" and \\"`, `\` before a single character, pieces side by side.
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
                    '$' | '`' => return Err(COMPUTED),
                    c => out.push(c),
                }
            },
            '\\' => out.push(chars.next().ok_or("nothing follows the `\\`")?),
            '$' | '`' => return Err(COMPUTED),
            c if c.is_whitespace() => {
                // Behind the value only a comment may follow.
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

const COMPUTED: &str = "`$` and backticks are not computed here; write the value, in single quotes";
