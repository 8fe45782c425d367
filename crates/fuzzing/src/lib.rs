//! What fuzzers ask of the code that reads what others have written: any bytes at all, and never a panic. Some questions go further: a
//! fault must lie within its file, a fix must leave a file that can be read, two forms of one policy must have one answer.
//!
//! `fuzz/` runs the targets in libFuzzer, guided by the code that they reach (`cargo xtask fuzz`). `tests/corpus.rs` runs the same over
//! the corpus, and over what slips of the hand make of it, with every test run.

use std::borrow::Cow;
use std::collections::BTreeMap;

use app::events::{Asked as Request, Batch, asked, flush_message, trigger};
use domain::control::CONTROLS;
use domain::evaluation::schedule::{Longest, Schedule};
use domain::evaluation::{Asked, Evaluator, vault_policy};
use domain::fault::{self, Fault};
use domain::framework::Framework;
use domain::inventory::Inventory;
use domain::lint::{self, Question};
use domain::policy::Policy;
use domain::template::Template;
use jiff::civil::{Date, date};
use serde_json::Value;

/// Something that is fuzzed.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name: that of the fuzz target, its corpus and its dictionary.
    pub name: &'static str,
    /// Panics when an input is handled wrongly.
    pub run: fn(&[u8]),
    /// Folders of the repository whose files are good to begin with, beside its corpus.
    pub more: &'static [&'static str],
}

/// All of them.
pub const TARGETS: [Target; 6] = [
    Target { name: "template", run: template, more: &["framework"] },
    Target { name: "policy", run: policy, more: &["framework"] },
    Target { name: "schedule", run: schedule, more: &[] },
    Target { name: "vault_policy", run: vault_policy, more: &[] },
    Target { name: "event", run: event, more: &["events"] },
    Target { name: "inventory", run: inventory, more: &[] },
];

/// A day on which everything is asked: fuzzers want the same answer to the same input.
const TODAY: Date = date(2026, 11, 26);

/// A template: read, resolved, linted, mended, and asked for what it says.
pub fn template(data: &[u8]) {
    let text = text(data);
    let given: BTreeMap<String, String> = [("Flag", "yes"), ("Days", "35"), ("AWS::Region", "eu-west-1")]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into();
    let variants = [BTreeMap::new(), given.clone()];
    let question = Question { variants: &variants, is_complete: false, today: TODAY };
    let _ = Template::is_meant(&text);
    let found = lint::text("template.yaml", &text, &question);
    within(&found, &text);
    let Ok(template) = Template::read_source("template.yaml", &text) else {
        assert!(!found.is_empty(), "it cannot be read, and lint finds nothing");
        return;
    };
    let _ = (template.capabilities(), template.expansions(), template.resolved_resources(&given));
    if let Ok(frameworks) = Framework::read_all(&template, &given) {
        for framework in &frameworks {
            let _ = Asked::all(framework, &template, &given);
        }
    }
    let edits = found.iter().map(|fault| fault.edits.as_slice()).filter(|edits| !edits.is_empty());
    let (mended, made) = fault::apply(&text, edits);
    if made > 0 && mended.len() <= Template::MAX {
        let read = Template::read_source("template.yaml", &mended);
        assert!(read.is_ok(), "mended, it cannot be read: {read:?}\n{mended}");
    }
}

/// A policy file.
pub fn policy(data: &[u8]) {
    let text = text(data);
    if let Err(faults) = Policy::read("backup-compliance.yaml", &text) {
        assert!(!faults.is_empty(), "it is refused without a reason");
        within(&faults, &text);
    }
}

/// A schedule of a backup plan.
pub fn schedule(data: &[u8]) {
    match Schedule::parse(&text(data)) {
        Ok(schedule) => {
            if let Longest::Minutes(minutes) = schedule.longest_gap(TODAY) {
                assert!(minutes > 0, "nothing runs twice at once");
            }
        }
        Err(problem) => assert!(!problem.is_empty(), "it is refused without a reason"),
    }
}

/// The access policy of a vault, as a text and as the JSON that it is.
pub fn vault_policy(data: &[u8]) {
    let text = text(data).into_owned();
    let exempt = ["arn:aws:iam::111122223333:role/break-glass", "arn:aws:iam::*:role/*"];
    let parsed = serde_json::from_str::<Value>(&text);
    let of_text = vault_policy::judge(&Value::String(text), &exempt);
    if let Ok(value) = parsed
        && !value.is_string()
    {
        assert_eq!(of_text, vault_policy::judge(&value, &exempt), "one policy has two answers");
    }
}

/// What a function is handed: a batch of a queue, or a bare event.
pub fn event(data: &[u8]) {
    let Ok(payload) = serde_json::from_slice::<Value>(data) else { return };
    let batch = Batch::read(payload);
    let _ = batch.triggers(|event| trigger(event, "backup-policy", "main"));
    for message in &batch.messages {
        let Ok(event) = &message.event else { continue };
        if let Ok(Request::Flush(group)) = asked(event) {
            let again = asked(&flush_message(&group));
            assert_eq!(again, Ok(Request::Flush(group)), "what is sent is not what is read");
        }
    }
}

/// An inventory: read, and judged by every control.
pub fn inventory(data: &[u8]) {
    let text = text(data);
    match Inventory::read("inventory.json", &text) {
        Ok(inventory) => {
            let asked: Vec<Asked> = CONTROLS.iter().map(|control| Asked::everything(control)).collect();
            Evaluator::new(&inventory, &asked).each(|judgement| {
                assert!(!judgement.verdict.to_string().is_empty(), "a verdict without a reason");
            });
            let _ = inventory.gaps();
        }
        Err(fault) => within(&[*fault], &text),
    }
}

/// Texts are what is read; what is no UTF-8 never gets that far.
fn text(data: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(data)
}

/// Whoever follows a fault must arrive somewhere: at a line of the file, or at the one behind its end.
fn within(faults: &[Fault], text: &str) {
    let lines = text.split(['\n', '\r']).count() + 1;
    for fault in faults {
        assert!(!fault.problem.is_empty() && !fault.fix.is_empty(), "half a fault: {fault:?}");
        for at in [fault.at, fault.end].into_iter().flatten() {
            assert!(at.line >= 1 && at.column >= 1 && at.line <= lines, "not in a file of {lines} lines: {fault:?}");
        }
    }
}
