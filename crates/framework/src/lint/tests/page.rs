//! The page `docs/rules.md`: each rule with its snippets. `UPDATE_DOCS=1` writes it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use syntax::diagnostic::{ALIASES, RuleId, UNREADABLE};

use crate::lint::{Example, LintRule, Snippet, rules};
use crate::rules::template;

const HEAD: &str = "\
# Rules

`backup-compliance lint` checks framework templates by these rules, and `deploy` rejects the errors. The rules about backup plans,
selections and vaults (BC070 to BC089, BC100 to BC105) apply to every template, and `check` reports them too. This page is generated from
the code, and a test runs every example: `UPDATE_DOCS=1 cargo nextest run --workspace --lib`.

- An **error** is rejected by AWS, or leaves a framework without effect. `deploy` rejects it, and `lint` exits with status 1.
- A **warning** is accepted by AWS but rarely intended. It changes the exit status only with `--strict`.
- A **note** is information.

Suppress a warning or a note in the metadata of the template or of one resource, with a reason and a last day:

```yaml
Metadata:
  BackupCompliance:
    Suppress:
      - rule: BC051
        reason: a separate StackSet deploys the rule
        until: 2027-01-31
```

Diagnostics of a policy file have no rule, except the family BC060 and those about frameworks that share an account and Region.

";

fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("| Rule | Level | Violation |\n|---|---|---|\n");
    for LintRule { id, level, title, .. } in rules() {
        writeln!(page, "| [{id}](#{}) | {} | {title} |", id.to_ascii_lowercase(), level.as_str()).expect("a text");
    }
    for LintRule { id, level, title, explanation, bad, good } in rules() {
        let level = level.as_str();
        let (first, rest) = level.split_at(1);
        write!(page, "\n## {id}\n\n**{}{rest}: {title}.** {explanation}\n", first.to_ascii_uppercase())
            .expect("a text");
        example(&mut page, "Bad", bad);
        example(&mut page, "Good", good);
    }
    page
}

fn example(page: &mut String, title: &str, example: &Example) {
    let (part, text) = match example.snippet() {
        Snippet::Controls(text) => (" (`FrameworkControls`)".to_owned(), text),
        Snippet::Repeated(times, text) => (format!(" (`FrameworkControls`, {times} of these)"), text),
        Snippet::Properties(text) => (" (`Properties` of the framework)".to_owned(), text),
        Snippet::Template(text) => (String::new(), text),
        Snippet::Resources(text) => (" (`Resources`)".to_owned(), text),
        Snippet::Update(old, new) => {
            write!(page, "\n{title}, before:\n\n```yaml\n{old}```\n").expect("a text");
            (", after".to_owned(), new)
        }
        Snippet::Deployed(account, region, text) => {
            (format!(" (`FrameworkControls`, deployed to account {account} in {region})"), text)
        }
        Snippet::Region(_) => (" (a target of the policy)".to_owned(), example.0),
    };
    write!(page, "\n{title}{part}:\n\n```yaml\n{text}```\n").expect("a text");
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rules.md")
}

#[test]
fn page_is_generated_from_the_rules() {
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path(), &page).expect("the page can be written");
    }
    let found = std::fs::read_to_string(path()).expect("the page exists");
    assert!(found == page, "docs/rules.md is out of date: UPDATE_DOCS=1 cargo nextest run --workspace --lib");
}

#[test]
fn page_has_each_rule_once() {
    let page = std::fs::read_to_string(path()).expect("the page exists");
    let sections: BTreeSet<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let ids: BTreeSet<&str> = rules().iter().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), rules().len(), "an id is used twice");
    assert_eq!(sections, ids);
}

/// A snippet file without a rule, or a rule that no family lists, would never be tested.
#[test]
fn snippets_and_families_match_the_catalog() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rules/examples");
    let files: BTreeSet<String> = std::fs::read_dir(folder)
        .expect("the folder exists")
        .map(|file| file.expect("a file").file_name().to_string_lossy().into_owned())
        .collect();
    let snippets = |rule: &&LintRule| ["bad", "good"].map(|kind| format!("{}.{kind}.yaml", rule.id));
    assert_eq!(files, rules().iter().flat_map(snippets).collect());
    assert_eq!([&template::UNREADABLE, &template::ALIASES].map(RuleId::from), [UNREADABLE, ALIASES]);
}
