//! The page `docs/rules.md`: each rule with an example that breaks it and one that does not. `UPDATE_DOCS=1` writes it anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::{Example, RULES, Rule};

const HEAD: &str = "\
# Rules

What `backup-compliance lint` finds in a framework template, and what `deploy` refuses. This page is made from the rules in the code:
`UPDATE_DOCS=1 cargo nextest run -p domain` writes it anew, and a test runs every example.

- An **error** is what AWS refuses, or what leaves a framework without a meaning. `deploy` refuses it, `lint` ends with status 1.
- A **warning** is what AWS takes and people seldom want. It stops nothing, unless `lint` is called with `--strict`.
- A **note** is good to know.

Warnings and notes can be suppressed in the template, for all of it or for one resource, with a reason and a last day:

```yaml
Metadata:
  BackupCompliance:
    Suppress:
      - rule: BC051
        reason: the rule is rolled out by a StackSet of its own
        until: 2027-01-31
```

Faults of the policy file have no rule: each says what is wrong and what would be right.

";

fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("| Rule | Level | What is wrong |\n|---|---|---|\n");
    for rule in RULES {
        writeln!(page, "| [{}](#{}) | {} | {} |", rule.id, anchor(rule), rule.level.as_str(), rule.title)
            .expect("a text");
    }
    for rule in RULES {
        write!(
            page,
            "\n## {}\n\n**{}: {}.** {}\n",
            rule.id,
            capital(rule.level.as_str()),
            rule.title,
            rule.explanation
        )
        .expect("a text");
        example(&mut page, "Wrong", &rule.bad);
        example(&mut page, "Right", &rule.good);
    }
    page
}

fn anchor(rule: &Rule) -> String {
    rule.id.to_ascii_lowercase()
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

fn example(page: &mut String, title: &str, example: &Example) {
    let (what, text) = match example {
        Example::Controls(text) => (" (`FrameworkControls`)".to_owned(), (*text).to_owned()),
        Example::Many(times, text) => (format!(" (`FrameworkControls`, {times} of these)"), (*text).to_owned()),
        Example::Properties(text) => (" (`Properties` of the framework)".to_owned(), (*text).to_owned()),
        Example::Template(text) => (String::new(), (*text).to_owned()),
        Example::Change(old, new) => {
            write!(page, "\n{title}, before:\n\n```yaml\n{old}```\n").expect("a text");
            (", after".to_owned(), (*new).to_owned())
        }
        Example::Regions(region) => (" (a target of the policy)".to_owned(), format!("regions: [{region}]\n")),
    };
    write!(page, "\n{title}{what}:\n\n```yaml\n{text}```\n").expect("a text");
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rules.md")
}

#[test]
fn the_page_shows_the_rules_as_they_are() {
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path(), &page).expect("the page can be written");
    }
    let found = std::fs::read_to_string(path()).expect("the page is there");
    assert!(found == page, "docs/rules.md is not what the code makes: UPDATE_DOCS=1 cargo nextest run -p domain");
}

/// Ids that stand in the sources of lint are those of the page, and the other way round.
#[test]
fn every_rule_is_in_the_page_and_nothing_else_is() {
    let page = std::fs::read_to_string(path()).expect("the page is there");
    let sections: BTreeSet<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let rules: BTreeSet<&str> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(rules.len(), RULES.len(), "an id is used twice");
    assert_eq!(sections, rules);
    let source = include_str!("rules.rs");
    let declared: BTreeSet<&str> =
        source.match_indices(": \"BC").filter_map(|(at, _)| source.get(at + 3..at + 8)).collect();
    assert_eq!(declared, rules);
}
