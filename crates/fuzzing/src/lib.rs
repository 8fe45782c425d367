//! What fuzzers ask of the code that reads what others have written: any bytes at all, and never a panic. Some questions go further: a
//! fault must lie within its file, a fix must leave a file that can be read, two forms of one policy must have one answer.
//!
//! `fuzz/` runs the targets in libFuzzer, guided by the code that they reach (`cargo xtask fuzz`). `tests/corpus.rs` runs the same over
//! the corpus, and over what slips of the hand make of it, with every test run.

use std::borrow::Cow;
use std::collections::BTreeMap;

use app::events::{Asked as Request, Batch, asked, flush_message, trigger};
use domain::check::{self, Checked};
use domain::control::CONTROLS;
use domain::evaluation::schedule::{Longest, Schedule};
use domain::evaluation::{Asked, Evaluator, vault_policy};
use domain::fault::{self, Fault};
use domain::framework::Framework;
use domain::ids::{AccountId, RegionName};
use domain::inventory::template::{Stack, Target as Place};
use domain::inventory::{self, Inventory, SWITCHES};
use domain::lint::{self, Level, Question};
use domain::policy::Policy;
use domain::template::Template;
use jiff::Timestamp;
use jiff::civil::{Date, date};
use serde_json::Value;

mod made;

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
pub const TARGETS: [Target; 7] = [
    Target { name: "template", run: template, more: &["framework"] },
    Target { name: "check", run: check, more: &["examples"] },
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

/// Templates of an application and of its backup, the second behind a line with `---`, and what Audit Manager will say of the first.
/// What begins with a character that no text has is no template but decisions, of which one is made.
pub fn check(data: &[u8]) {
    let text = match data.split_first() {
        Some((0..=8, decisions)) => Cow::Owned(made::template(decisions)),
        _ => text(data),
    };
    let (own, other) = text.split_once("\n---\n").unwrap_or((&text, ""));
    let read = |(name, text): (&str, &str)| Template::read_source(name, text);
    let templates: Vec<Template> = match [("app.yaml", own), ("backup.yaml", other)].map(read) {
        [Ok(own), Ok(other)] => vec![own, other],
        [Ok(own), Err(_)] => vec![own],
        [Err(faults), _] => {
            assert!(!matches!(data.first(), Some(0..=8)), "what was made cannot be read: {faults:?}\n{text}");
            return;
        }
    };
    let (account, region) = (AccountId::parse("222222222222"), RegionName::parse("eu-west-1"));
    let places = (Place::new(account.ok(), region.ok()), Place::new(None, None));
    let (Ok(mut here), Ok(anywhere)) = places else { return };
    here.opt_in = SWITCHES.iter().map(|service| ((*service).to_owned(), !service.starts_with('E'))).collect();
    let known = checked(&here, &templates);
    within(known.findings.iter().map(|finding| &finding.fault), own);
    assert_eq!(known, checked(&here, &templates), "the same question has two answers");
    let broken: u64 = known.rows.iter().map(|(_, tally)| tally.not_compliant).sum();
    assert_eq!(broken > 0, errors(&known).next().is_some(), "counted and found differ: {known:?}\n{text}");
    // Whoever knows less does not say the opposite. What several controls say alike is told once, by the first of them.
    let less = checked(&anywhere, &templates);
    for (one, other) in [(&known, &less), (&less, &known)] {
        for fault in errors(one) {
            let mut all = other.findings.iter().map(|finding| &finding.fault);
            let same = all.any(|it| it.at == fault.at && about(it).1 == about(fault).1);
            assert!(same, "right for one and wrong for another: {fault:?}\n{other:?}\n{text}");
        }
    }
    // A change that is offered mends what it is offered for.
    for fault in errors(&known).filter(|fault| !fault.edits.is_empty()).take(2) {
        let (mended, made) = fault::apply(own, [fault.edits.as_slice()]);
        assert_eq!(made, 1, "a change that cannot be made: {fault:?}\n{text}");
        let Ok(again) = Template::read_source("app.yaml", &mended) else {
            assert!(mended.len() > Template::MAX, "mended, it cannot be read: {fault:?}\n{mended}");
            continue;
        };
        let templates: Vec<Template> = [again].into_iter().chain(templates.get(1).cloned()).collect();
        let after = checked(&here, &templates);
        assert!(!errors(&after).any(|left| about(left) == about(fault)), "not mended: {fault:?}\n{mended}");
    }
}

/// What every control says of the first of some templates, and what their own frameworks do.
fn checked(target: &Place, templates: &[Template]) -> Checked {
    let parameters: BTreeMap<String, String> =
        [("Flag", "yes"), ("Days", "35")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let stacks: Vec<Stack<'_>> =
        templates.iter().map(|template| Stack { template, parameters: parameters.clone() }).collect();
    let mut asked: Vec<Asked> = CONTROLS.iter().map(Asked::everything).collect();
    for template in templates {
        for framework in Framework::read_all(template, &parameters).iter().flatten() {
            asked.extend(Asked::all(framework, template, &parameters));
        }
    }
    let mut inventory = Inventory::new(Timestamp::UNIX_EPOCH);
    let added = inventory::template::add(&mut inventory, target, &stacks);
    check::check(&inventory, &added, target, &stacks, 1, &asked)
}

fn errors(checked: &Checked) -> impl Iterator<Item = &Fault> {
    checked.findings.iter().filter(|finding| finding.level == Level::Error).map(|finding| &finding.fault)
}

/// The control, and the name and type of the resource, which begin the problem.
fn about(fault: &Fault) -> (Option<&str>, &str) {
    (fault.rule, fault.problem.split(": ").next().unwrap_or_default())
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
            let asked: Vec<Asked> = CONTROLS.iter().map(Asked::everything).collect();
            Evaluator::new(&inventory, &asked).each(|judgement| {
                assert!(!judgement.verdict.to_string().is_empty(), "a verdict without a reason");
            });
            let _ = inventory.gaps();
        }
        Err(fault) => within([&*fault], &text),
    }
}

/// Texts are what is read; what is no UTF-8 never gets that far.
fn text(data: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(data)
}

/// Whoever follows a fault must arrive somewhere: at a line of the file, or at the one behind its end.
fn within<'f>(faults: impl IntoIterator<Item = &'f Fault>, text: &str) {
    let lines = text.split(['\n', '\r']).count() + 1;
    for fault in faults {
        assert!(!fault.problem.is_empty() && !fault.fix.is_empty(), "half a fault: {fault:?}");
        for at in [fault.at, fault.end].into_iter().flatten() {
            assert!(at.line >= 1 && at.column >= 1 && at.line <= lines, "not in a file of {lines} lines: {fault:?}");
        }
    }
}
