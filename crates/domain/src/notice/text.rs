//! Plain text that fits an e-mail, whatever the names in it.

use crate::fault::is_invisible;
use jiff::Timestamp;

/// Lines of prose end here.
const WIDTH: usize = 76;
/// Where the values of a field list begin.
const LABEL: usize = 15;
/// Longest text that is taken over from elsewhere (a commit message, a reason of CloudFormation); nobody reads more in a mail.
const LONGEST: usize = 1_000;

/// One line of printable ASCII of at most `limit` characters. Whatever else is in it becomes a space or a `?`, so that a
/// resource cannot be named to look like a header or a second line.
///
/// `build` makes the line around a name that others chose. A line that is too long has its name shortened, so that what
/// stands behind the name is not lost.
pub(super) fn subject(name: &str, limit: usize, build: impl Fn(&str) -> String) -> String {
    subject_of(name, limit, &[&build])
}

/// The same of several ways to build the line: the first that leaves room for enough of the name.
pub(super) fn subject_of(name: &str, limit: usize, builds: &[&dyn Fn(&str) -> String]) -> String {
    /// A name cut further says nothing.
    const LEAST: usize = 8;
    let name = ascii_line(name);
    let mut line = String::new();
    for build in builds {
        line = ascii_line(&build(&name));
        let Some(excess) = line.len().checked_sub(limit).filter(|excess| *excess > 0) else { return line };
        line = ascii_line(&build(&cut(&name, name.len().saturating_sub(excess).max(LEAST), "...")));
        if line.len() <= limit {
            return line;
        }
    }
    cut(&line, limit, "...")
}

fn ascii_line(text: &str) -> String {
    let ascii: String = one_line(text).chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
    ascii.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text as one line of bounded length: without control characters and line breaks (they become spaces), without
/// characters that nobody sees.
pub(super) fn one_line(text: &str) -> String {
    let line: String = text
        .chars()
        // One character more than is kept, to know whether something is cut.
        .take(LONGEST.saturating_add(1))
        .map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c })
        .filter(|c| !is_invisible(*c) && !is_blank(*c))
        .collect();
    cut(&line, LONGEST, "…")
}

/// Characters that take no room or look like a space and are none: fillers, soft hyphens, selectors, tags.
fn is_blank(c: char) -> bool {
    matches!(
        c,
        '\u{00ad}'
            | '\u{034f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{fffe}'
            | '\u{ffff}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// One line of at most so many characters, words separated by single spaces.
pub(super) fn short(text: &str, limit: usize) -> String {
    cut(&one_line(text).split_whitespace().collect::<Vec<_>>().join(" "), limit, "…")
}

/// The same for people, in whose mail an address in a name must not become a link.
pub(super) fn shown(text: &str, limit: usize) -> String {
    cut(&short(text, limit).replace("://", "[:]//"), limit, "…")
}

/// A name inside a sentence. One that has spaces in it could go on as the sentence does, so it stands in quotes.
pub(super) fn quoted(name: &str) -> String {
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '"') {
        format!("\"{}\"", name.replace('"', "'"))
    } else {
        name.to_owned()
    }
}

/// The text as it is, but for two code points that are no characters and that queues refuse, cut where it would take more than `budget` bytes of a JSON document that stands as a text in another one:
/// the way notices travel through SNS. A character that JSON escapes is escaped twice there.
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
    let mut kept: String = kept.collect();
    kept.push('…');
    kept
}

/// `2026-11-20 04:12 UTC`: people compare minutes, not milliseconds.
pub(super) fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// `2026-11-20`: in a list of many, the day is enough.
pub(super) fn day(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

/// How long from one time to another, in the two largest units that say something: `3 days 4 hours`, `12 minutes`.
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

/// At most `limit` characters, the last of them `mark` when something was cut.
pub(super) fn cut(text: &str, limit: usize, mark: &str) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let kept = limit.saturating_sub(mark.chars().count());
    let kept: String = text.chars().take(kept).collect();
    format!("{}{mark}", kept.trim_end())
}

/// The text with its first letter in capitals: a sentence may start with the word for a resource.
pub(super) fn sentence(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
}

/// A paragraph, wrapped, each line behind `indent` spaces.
pub(super) fn paragraph(text: &str, indent: usize) -> String {
    let lines = wrap(&one_line(text), WIDTH.saturating_sub(indent));
    let prefix = " ".repeat(indent);
    lines.iter().map(|line| format!("{prefix}{line}\n")).collect()
}

/// A line of a list, wrapped behind its dash.
pub(super) fn item(text: &str) -> String {
    let lines = wrap(&one_line(text), WIDTH.saturating_sub(4));
    lines
        .iter()
        .enumerate()
        .map(|(number, line)| format!("  {} {line}\n", if number == 0 { '-' } else { ' ' }))
        .collect()
}

/// `  Label     value`, wrapped under the value; nothing where there is no value.
pub(super) fn field(label: &str, value: &str) -> String {
    let lines = wrap(&one_line(value), WIDTH.saturating_sub(LABEL));
    if lines.is_empty() {
        return String::new();
    }
    lines
        .iter()
        .enumerate()
        .map(|(number, line)| {
            let shown = if number == 0 { label } else { "" };
            format!("  {shown:<width$}{line}\n", width = LABEL.saturating_sub(2))
        })
        .collect()
}

/// A field with a line for each of several values, none of them longer than a line, so that no value looks like two.
pub(super) fn field_of_lines(label: &str, values: &[String]) -> String {
    values
        .iter()
        .enumerate()
        .map(|(number, value)| field(if number == 0 { label } else { "" }, &short(value, WIDTH.saturating_sub(LABEL))))
        .collect()
}

/// Breaks at spaces. A word that is longer than a line (an ARN, a link) stays whole: broken, it could not be copied.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let joined = line.chars().count() + word.chars().count() + usize::from(!line.is_empty());
        if !line.is_empty() && joined > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// `1 instance`, `6 instances`.
pub(super) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
