//! Plain text for e-mails, and the escaping of external text for each format that a notice is rendered in.

use std::fmt::Display;
use std::fmt::Write as _;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use syntax::text::is_invisible;

/// The longest subject that SNS accepts is under 100 characters.
const MAX_SUBJECT: usize = 99;
/// Columns of a line of prose.
const WIDTH: usize = 76;
/// The column of the values in a list of fields.
const LABEL: usize = 15;
/// The longest external text, in characters, such as a commit message or a reason of CloudFormation.
const MAX_LINE: usize = 1_000;

/// Renders one line of printable ASCII of at most [`MAX_SUBJECT`] characters around an external name. All other characters become
/// a space or a `?`, so that a resource name cannot imitate a header or a second line. In a line that is too long the name is cut,
/// and not the text behind it. The first of the variants `builds` that leaves room for enough of the name is used.
pub(super) fn subject(name: &str, builds: &[&dyn Fn(&str) -> String]) -> String {
    /// Shorter names are not recognizable.
    const MIN_NAME: usize = 8;
    let name = ascii_line(name);
    let mut line = String::new();
    for build in builds {
        line = ascii_line(&build(&name));
        let Some(excess) = line.len().checked_sub(MAX_SUBJECT).filter(|excess| *excess > 0) else { return line };
        line = ascii_line(&build(&cut(&name, name.len().saturating_sub(excess).max(MIN_NAME), "...")));
        if line.len() <= MAX_SUBJECT {
            return line;
        }
    }
    cut(&line, MAX_SUBJECT, "...")
}

fn ascii_line(text: &str) -> String {
    let ascii: String = one_line(text).chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
    ascii.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns one line of bounded length, with spaces for control characters and line breaks, without invisible characters.
pub(super) fn one_line(text: &str) -> String {
    let line: String = text
        .chars()
        // One character more than the limit shows whether the text is cut.
        .take(MAX_LINE.saturating_add(1))
        .map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c })
        .filter(|c| !is_invisible(*c) && !is_blank(*c))
        .collect();
    cut(&line, MAX_LINE, "…")
}

/// Whether a character is blank without being a space: fillers, soft hyphens, selectors, tags.
fn is_blank(c: char) -> bool {
    const BLANK: &str = "\u{ad}\u{34f}\u{115f}\u{1160}\u{17b4}\u{17b5}\u{2800}\u{3164}\u{ffa0}\u{fffe}\u{ffff}";
    let ranges = ['\u{180b}'..='\u{180f}', '\u{fe00}'..='\u{fe0f}', '\u{fff0}'..='\u{fffb}', '\u{e0000}'..='\u{e0fff}'];
    BLANK.contains(c) || ranges.iter().any(|range| range.contains(&c))
}

/// Returns one line of at most `limit` characters, its words separated by single spaces.
pub(super) fn short(text: &str, limit: usize) -> String {
    cut(&one_line(text).split_whitespace().collect::<Vec<_>>().join(" "), limit, "…")
}

/// Returns [`short`] text in which a mail program finds no link.
pub(super) fn shown(text: &str, limit: usize) -> String {
    cut(&short(text, limit).replace("://", "[:]//"), limit, "…")
}

/// Quotes a name that contains spaces: it could read like the rest of the sentence.
pub(super) fn quoted(name: &str) -> String {
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '"') {
        format!("\"{}\"", name.replace('"', "'"))
    } else {
        name.to_owned()
    }
}

/// Renders external text as a code span, in which Slack and Teams format nothing.
pub(crate) fn code(text: &str, limit: usize) -> String {
    let text = inert(&short(text, limit));
    format!("`{}`", if text.is_empty() { "-" } else { text.as_str() })
}

/// Replaces the characters that have a meaning even inside code: control sequences in angle brackets, entities, mentions, links,
/// the end of the code. Entities and backslashes are not used, since chat clients may decode them.
pub(super) fn inert(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.replace("://", "：//").chars() {
        out.push(match c {
            '`' => 'ˋ',
            '<' => '‹',
            '>' => '›',
            '&' => '＆',
            // Inside an e-mail address it mentions no user.
            '@' if !before.is_ascii_alphanumeric() => '＠',
            c => c,
        });
        before = c;
    }
    out
}

/// Renders external text outside of code: no character in it formats, links or mentions.
pub(super) fn plain(text: &str, limit: usize) -> String {
    unformatted(&short(text, limit))
}

fn unformatted(text: &str) -> String {
    let text = inert(text);
    let chars: Vec<char> = text.chars().collect();
    let is_word = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(|c| c.is_alphanumeric() || *c == '_');
    let replaced = chars.iter().enumerate().map(|(at, c)| match c {
        '*' => '∗',
        '~' => '∼',
        '[' => '［',
        ']' => '］',
        '\\' => '＼',
        '#' => '＃',
        '|' => '｜',
        // `:name:` is an emoji.
        ':' if chars.get(at.saturating_add(1)).is_some_and(|next| *next != ' ') => '∶',
        // Between letters it formats nothing.
        '_' if !(is_word(at.checked_sub(1)) && is_word(at.checked_add(1))) => '＿',
        c => *c,
    });
    replaced.collect()
}

/// Escapes the subject of a mail for chats and Markdown, except the application's mark in brackets before it. A subject has at most
/// 99 characters, fewer than the 250 of a chat title.
pub(super) fn headline(subject: &str) -> String {
    match subject.strip_prefix('[').and_then(|subject| subject.split_once("] ")) {
        Some((mark, rest)) => format!("[{mark}] {}", plain(rest, MAX_LINE)),
        None => plain(subject, MAX_LINE),
    }
}

/// Renders a message of the application as Markdown, with its text in backticks as code. An external backtick can only exchange the
/// two forms, and both are safe.
pub(crate) fn markdown(text: &str, limit: usize) -> String {
    // Markdown also links text that begins like a host name.
    let prose = |text: &str| unformatted(text).replace("www.", "www․").replace("WWW.", "WWW․");
    let text = short(text, limit);
    let parts: Vec<&str> = text.split('`').collect();
    let last = parts.len().saturating_sub(1);
    let part = |(at, part): (usize, &&str)| match at % 2 {
        // A backtick that is not closed opens no code.
        1 if at == last => format!("ˋ{}", prose(part)),
        1 => code(part, limit),
        _ => prose(part),
    };
    parts.iter().enumerate().map(part).collect()
}

/// Percent-encodes all characters but letters, digits, `-`, `.`, `_` and `~`.
pub(super) fn url_encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

pub(super) fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Cuts a text to `budget` bytes of a JSON document that is a string in another JSON document, which is how SNS carries notices. A
/// character that JSON escapes is escaped twice there. Two code points that queues reject are replaced.
pub(super) fn fit(text: &str, budget: usize) -> String {
    let text = text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}");
    let cost = |c: char| match c {
        '"' | '\\' => 4,
        '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 3,
        c if c < ' ' => 7,
        c => c.len_utf8(),
    };
    let total = text.chars().map(cost).fold(0_usize, usize::saturating_add);
    if total <= budget {
        return text;
    }
    let mut left = budget.saturating_sub('…'.len_utf8());
    let kept = text.chars().take_while(|c| {
        let fits = cost(*c) <= left;
        left = left.saturating_sub(cost(*c));
        fits
    });
    kept.chain(['…']).collect()
}

/// `2026-11-20 04:12 UTC`.
pub(crate) fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// `2026-11-20`.
pub(super) fn day(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

/// Returns the time between two times in its two largest units: `3 days 4 hours`, `12 minutes`.
pub(super) fn span(from: Timestamp, to: Timestamp) -> String {
    let minutes = usize::try_from(to.duration_since(from).as_secs().max(0) / 60).unwrap_or_default();
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => "less than a minute".to_owned(),
        (0, 0, _) => count(minutes, "minute"),
        (0, _, 0) => count(hours, "hour"),
        (0, _, _) => format!("{} {}", count(hours, "hour"), count(minutes, "minute")),
        (_, 0, _) => count(days, "day"),
        _ => format!("{} {}", count(days, "day"), count(hours, "hour")),
    }
}

/// Cuts a text to `limit` characters, the last of them `mark`.
pub(super) fn cut(text: &str, limit: usize, mark: &str) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let kept = limit.saturating_sub(mark.chars().count());
    let kept: String = text.chars().take(kept).collect();
    format!("{}{mark}", kept.trim_end())
}

pub(super) fn sentence(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
}

/// The first lines that fit into a length, each with a line break. Lines are not cut, which could leave a code span open.
pub(crate) fn fitting(lines: &[String], limit: usize, length: impl Fn(&str) -> usize) -> &[String] {
    let mut left = Some(limit);
    let fits = |line: &&String| {
        left = left.and_then(|left| left.checked_sub(length(line).saturating_add(1)));
        left.is_some()
    };
    let count = lines.iter().take_while(fits).count();
    lines.get(..count).unwrap_or_default()
}

/// `1 instance`, `6 instances`.
pub(super) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// `12 opened, 3 resolved`, without the numbers that are 0.
pub(crate) fn numbers<L: Display>(numbers: impl IntoIterator<Item = (usize, L)>) -> String {
    let shown =
        numbers.into_iter().filter(|(number, _)| *number > 0).map(|(number, label)| format!("{number} {label}"));
    shown.collect::<Vec<_>>().join(", ")
}

/// `a, b and 3 more`.
pub(super) fn list(first: &[String], more: usize) -> String {
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    first.join(", ") + &more
}

/// The line `and 3 more`; empty for 0.
pub(super) fn and_more(more: usize, indent: usize) -> String {
    if more == 0 { String::new() } else { paragraph(&format!("and {more} more"), indent) }
}

/// [`and_more`] after an empty line.
pub(super) fn and_more_below(more: usize) -> String {
    if more == 0 { String::new() } else { format!("\n{}", and_more(more, 0)) }
}

/// A title with a body below; empty if the body is empty.
pub(super) fn section(title: &str, body: &str) -> String {
    if body.is_empty() { String::new() } else { format!("\n{title}\n{body}") }
}

pub(super) fn paragraph(text: &str, indent: usize) -> String {
    prefixed(text, &" ".repeat(indent), indent)
}

pub(super) fn item(text: &str) -> String {
    prefixed(text, "  - ", 4)
}

/// `  Label     value`, wrapped below the value; empty without a value.
pub(super) fn field(label: &str, value: &str) -> String {
    prefixed(value, &format!("  {label:<width$}", width = LABEL.saturating_sub(2)), LABEL)
}

pub(super) fn optional(label: &str, value: Option<impl AsRef<str>>) -> String {
    value.map(|value| field(label, value.as_ref())).unwrap_or_default()
}

/// A field with one line for each value. Values are cut to one line, so that no value looks like two.
pub(super) fn field_of_lines(label: &str, values: &[String]) -> String {
    let line = |(number, value): (usize, &String)| {
        field(if number == 0 { label } else { "" }, &short(value, WIDTH.saturating_sub(LABEL)))
    };
    values.iter().enumerate().map(line).collect()
}

/// Wraps a text. The first line begins with `first`, the others with `indent` spaces.
fn prefixed(text: &str, first: &str, indent: usize) -> String {
    let indentation = " ".repeat(indent);
    let prefixes = std::iter::once(first).chain(std::iter::repeat(indentation.as_str()));
    let lines = wrap(&one_line(text), WIDTH.saturating_sub(indent));
    lines.iter().zip(prefixes).map(|(line, prefix)| format!("{prefix}{line}\n")).collect()
}

/// Breaks a text at spaces. A word longer than a line (an ARN, a link) stays whole, so that it can be copied.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
