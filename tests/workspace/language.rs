//! Plain technical English in comments of Rust files and in Markdown.
//!
//! Three idioms are counted, since each hides the noun or the actor that a reader needs: a clause with `what` as a noun
//! (`what is held`), the verb `tell` (instead of report, notify, return), and `nobody`, `somebody`, `whoever` (instead of
//! the actor). Code in backticks, code blocks other than `text`, and link targets are not counted.

use std::collections::BTreeMap;

use super::source::{comment, rust_files};
use crate::files;

/// The share of lines that may contain a clause with `what`, in percent.
const MOST_WHAT: usize = 3;
/// The number of lines below which an actor without a name is accepted.
const MOST_NOBODY: usize = 10;

/// How many lines contain each idiom.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct IdiomCounts {
    lines: usize,
    what: usize,
    tell: usize,
    nobody: usize,
}

impl IdiomCounts {
    fn add(&mut self, line: &str) {
        let line = without_code(line).to_lowercase();
        let words: Vec<&str> = line.split(|c: char| !c.is_alphanumeric() && c != '-').collect();
        let has = |idioms: &[&str]| words.iter().any(|word| idioms.contains(word));
        self.lines += 1;
        self.what += usize::from(has_what_clause(&line));
        self.tell += usize::from(has(&["tell", "tells", "told", "telling", "retold", "untold"]));
        let nobody = has(&["nobody", "somebody", "whoever", "someone", "no-one"]) || line.contains("no one ");
        self.nobody += usize::from(nobody);
    }

    fn sum(self, other: Self) -> Self {
        Self {
            lines: self.lines + other.lines,
            what: self.what + other.what,
            tell: self.tell + other.tell,
            nobody: self.nobody + other.nobody,
        }
    }

    fn idioms(self) -> usize {
        self.what + self.tell + self.nobody
    }
}

/// Whether `what` begins a noun clause: it is followed by neither `to` nor `if`, and is not part of a question.
fn has_what_clause(line: &str) -> bool {
    line.match_indices("what").any(|(at, what)| {
        let rest = &line[at + what.len()..];
        let whole = !line[..at].ends_with(|c: char| c.is_alphanumeric())
            && !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        let sentence = rest.split(['.', ';', ':']).next().unwrap_or_default();
        whole && !rest.starts_with(" to") && !rest.starts_with(" if") && !sentence.contains('?')
    })
}

/// A line without code in backticks and without the targets of links.
fn without_code(line: &str) -> String {
    let text: String = line.split('`').step_by(2).collect::<Vec<_>>().join("` `");
    let mut parts = text.split("](");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "] " + part.split_once(')').map_or("", |(_, rest)| rest))
}

fn in_rust(text: &str) -> IdiomCounts {
    let mut counts = IdiomCounts::default();
    text.lines().filter_map(comment).for_each(|line| counts.add(line));
    counts
}

fn in_markdown(text: &str) -> IdiomCounts {
    let mut counts = IdiomCounts::default();
    let mut fence: Option<&str> = None;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match (line.trim_start().strip_prefix("```"), fence) {
            (Some(language), None) => fence = Some(language),
            (Some(_), Some(_)) => fence = None,
            (None, None | Some("text")) => counts.add(line),
            (None, Some(_)) => {}
        }
    }
    counts
}

/// The files with the most idioms, one a line.
fn worst(files: &BTreeMap<String, IdiomCounts>) -> String {
    let mut files: Vec<_> = files.iter().filter(|(_, counts)| counts.idioms() > 0).collect();
    files.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.idioms()));
    let line = |(path, counts): &(&String, &IdiomCounts)| {
        format!("{path}: what {}, tell {}, nobody {}\n", counts.what, counts.tell, counts.nobody)
    };
    files.iter().take(30).map(line).collect()
}

#[test]
fn comments_and_documents_are_plain_english() {
    let rust: BTreeMap<_, _> = rust_files().into_iter().map(|file| (file.path, in_rust(&file.text))).collect();
    let markdown: BTreeMap<_, _> = files::all()
        .into_iter()
        .filter(|path| path.ends_with(".md"))
        .map(|path| (path.clone(), in_markdown(&files::read(&path))))
        .collect();
    let mut nobody = 0;
    for (kind, files) in [("comments", &rust), ("Markdown", &markdown)] {
        let total = files.values().copied().fold(IdiomCounts::default(), IdiomCounts::sum);
        assert!(total.lines > 500, "only {total:?} of {kind}");
        assert!(100 * total.what < MOST_WHAT * total.lines, "{kind}: {total:?}\n{}", worst(files));
        assert_eq!(total.tell, 0, "{kind}: {total:?}\n{}", worst(files));
        nobody += total.nobody;
    }
    assert!(nobody < MOST_NOBODY, "{nobody} lines\n{}\n{}", worst(&rust), worst(&markdown));
}

#[test]
fn idioms_are_counted_once_a_line() {
    let count = |line: &str| {
        let mut counts = IdiomCounts::default();
        counts.add(line);
        (counts.what, counts.tell, counts.nobody)
    };
    assert_eq!(count("What is held is told, and what is not is told later, by whoever finds it."), (1, 1, 1));
    for plain in ["See what to do.", "What is a framework?", "Call `what is told`.", "[Help](what/told.md)", "Somewhat"]
    {
        assert_eq!(count(plain), (0, 0, 0), "{plain}");
    }
    assert_eq!(in_markdown("```yaml\ntold\n```\n\n```text\ntold\n```\n").tell, 1);
}
