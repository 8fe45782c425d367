//! Fuzz targets for the code that reads untrusted input: no bytes may cause a panic. Some targets check more: a
//! diagnostic must be within its file, a fix must leave a file that can be read, two forms of one policy must have
//! equal results.
//!
//! `fuzz/` runs the targets in libFuzzer, guided by coverage (`cargo xtask fuzz`). `tests/corpus.rs` runs them over
//! the corpus and over mutations of it in every test run.
//!
//! ```
//! for target in fuzzing::TARGETS {
//!     (target.run)(b"\xff{[");
//! }
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::{Date, date};
use serde_json::Value;

use app::deploy::archive::PolicyArchive;
use app::deploy::ports::RepositoryFile;
use app::events::{
    Batch, DeployTrigger, PolicyPlace, ReportRequest as Request, flush_message, report_request, trigger,
};
use domain::policy::Policy;
use evaluation::check::{self, CheckReport};
use evaluation::inventory::template::{CheckedFile, DeploymentTarget, TemplateStack};
use evaluation::inventory::{self, Inventory, OPT_IN_SERVICES};
use evaluation::{ControlQuery, Evaluator, vault_policy};
use framework::Framework;
use framework::backup::schedule::{LongestGap, Schedule};
use framework::control::CONTROLS;
use framework::ids::{AccountId, RegionName};
use framework::lint::{self, Level, LintContext};
use syntax::diagnostic::{self, Diagnostic};
use syntax::template::Template;

mod made;

/// A fuzz target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name of the target, its corpus and its dictionary.
    pub name: &'static str,
    /// Panics when an input is handled wrongly.
    pub run: fn(&[u8]),
    /// Folders of the repository with further seeds.
    pub more: &'static [&'static str],
}

/// All targets.
pub const TARGETS: [Target; 8] = [
    Target { name: "template", run: template, more: &["framework"] },
    Target { name: "check", run: check, more: &["examples"] },
    Target { name: "policy", run: policy, more: &["framework"] },
    Target { name: "schedule", run: schedule, more: &[] },
    Target { name: "vault_policy", run: vault_policy, more: &[] },
    Target { name: "event", run: event, more: &["events"] },
    Target { name: "inventory", run: inventory, more: &[] },
    Target { name: "archive", run: archive, more: &[] },
];

/// A fixed day, so that equal inputs yield equal results.
const TODAY: Date = date(2026, 11, 26);

/// Reads, resolves, lints and fixes a template.
pub fn template(data: &[u8]) {
    let text = text(data);
    let given: BTreeMap<String, String> = [("Flag", "yes"), ("Days", "35"), ("AWS::Region", "eu-west-1")]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into();
    let variants = [BTreeMap::new(), given.clone()];
    let question = LintContext { variants: &variants, is_complete: false, today: TODAY };
    let _ = Template::is_intended(&text);
    let found = lint::check_text("template.yaml", &text, &question);
    within(&found, &text);
    let Ok(template) = Template::read_source("template.yaml", &text) else {
        assert!(!found.is_empty(), "it cannot be read, and lint finds nothing");
        return;
    };
    let _ = (template.capabilities(), template.expansions(), template.resolved_resources(&given));
    if let Ok(frameworks) = Framework::read_all(&template, &given) {
        for framework in &frameworks {
            let _ = ControlQuery::all(framework, &template, &given);
        }
    }
    let edits = found.iter().map(|diagnostic| diagnostic.edits.as_slice()).filter(|edits| !edits.is_empty());
    let (fixed, made) = diagnostic::apply(&text, edits);
    if made > 0 && fixed.len() <= Template::MAX {
        let read = Template::read_source("template.yaml", &fixed);
        assert!(read.is_ok(), "fixed, it cannot be read: {read:?}\n{fixed}");
    }
}

/// Reads a policy archive and unpacks its files. No input may unpack to more than the limit of a file.
pub fn archive(data: &[u8]) {
    let archive = match PolicyArchive::read(data.to_vec()) {
        Ok(archive) => archive,
        Err(refusal) => {
            assert!(!refusal.message.is_empty() && !refusal.help.is_empty(), "{refusal:?}");
            return;
        }
    };
    for path in archive.paths() {
        let parts: Vec<&str> = path.split('/').collect();
        assert!(!parts.iter().any(|part| ["", ".", ".."].contains(part)), "an unsafe path: {path:?}");
        let file = archive.file(path);
        assert_ne!(file, RepositoryFile::Missing, "{path:?} is listed and missing");
        if let RepositoryFile::Text(text) = file {
            assert!(text.len() as u64 <= RepositoryFile::LARGEST, "{path:?} is too large");
        }
    }
}

/// Checks the template of an application, with the template of its backup after a line `---`. Input that starts with a
/// control character is a sequence of decisions, from which a template is generated.
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
        [Err(diagnostics), _] => {
            assert!(!matches!(data.first(), Some(0..=8)), "what was made cannot be read: {diagnostics:?}\n{text}");
            return;
        }
    };
    let (account, region) = (AccountId::parse("222222222222"), RegionName::parse("eu-west-1"));
    let locations = (DeploymentTarget::new(account.ok(), region.ok()), DeploymentTarget::new(None, None));
    let (Ok(mut here), Ok(anywhere)) = locations else { return };
    here.opt_in = OPT_IN_SERVICES.iter().map(|service| ((*service).to_owned(), !service.starts_with('E'))).collect();
    let known = checked(&here, &templates);
    let diagnostics = known.findings.iter().map(|finding| &finding.diagnostic);
    within(diagnostics.filter(|diagnostic| diagnostic.file == "app.yaml"), own);
    assert_eq!(known, checked(&here, &templates), "the same question has two answers");
    let broken: u64 = known.rows.iter().map(|(_, counts)| counts.not_compliant).sum();
    assert_eq!(broken > 0, errors(&known).next().is_some(), "counted and found differ: {known:?}\n{text}");
    // A target with less information must not contradict. Equal findings of several controls are reported once, by the
    // first.
    let less = checked(&anywhere, &templates);
    // A value of the target may make AWS Backup reject a plan or selection, which then covers nothing.
    let is_rejected = known.findings.iter().any(|finding| is_of_lint(&finding.diagnostic));
    for (one, other) in [(&known, &less), (&less, &known)] {
        for diagnostic in errors(one).filter(|_| !is_rejected) {
            let mut all = other.findings.iter().map(|finding| &finding.diagnostic);
            let same = all.any(|it| it.at == diagnostic.at && about(it).1 == about(diagnostic).1);
            assert!(same, "right for one and wrong for another: {diagnostic:?}\n{other:?}\n{text}");
        }
    }
    // A proposed edit must fix its finding.
    for diagnostic in errors(&known).filter(|diagnostic| !diagnostic.edits.is_empty()).take(2) {
        let (fixed, made) = diagnostic::apply(own, [diagnostic.edits.as_slice()]);
        assert_eq!(made, 1, "a change that cannot be made: {diagnostic:?}\n{text}");
        let Ok(again) = Template::read_source("app.yaml", &fixed) else {
            assert!(fixed.len() > Template::MAX, "fixed, it cannot be read: {diagnostic:?}\n{fixed}");
            continue;
        };
        let templates: Vec<Template> = [again].into_iter().chain(templates.get(1).cloned()).collect();
        let after = checked(&here, &templates);
        assert!(!errors(&after).any(|left| about(left) == about(diagnostic)), "not fixed: {diagnostic:?}\n{fixed}");
    }
}

/// Checks the first template against every control, and against the frameworks in the templates.
fn checked(target: &DeploymentTarget, templates: &[Template]) -> CheckReport {
    let parameters: BTreeMap<String, String> =
        [("Flag", "yes"), ("Days", "35")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let stacks: Vec<CheckedFile<'_>> = templates
        .iter()
        .map(|template| CheckedFile::Template(TemplateStack::new(template, parameters.clone())))
        .collect();
    let mut asked: Vec<ControlQuery> = CONTROLS.iter().map(ControlQuery::everything).collect();
    for template in templates {
        for framework in Framework::read_all(template, &parameters).iter().flatten() {
            asked.extend(ControlQuery::all(framework, template, &parameters));
        }
    }
    let mut inventory = Inventory::new(Timestamp::UNIX_EPOCH);
    let added = inventory::template::add(&mut inventory, target, &stacks);
    check::check(&inventory, &added, target, &stacks, 1, &asked, &|_| None)
}

/// Returns the predicted violations of controls, without the errors of lint rules and of backup policies.
fn errors(checked: &CheckReport) -> impl Iterator<Item = &Diagnostic> {
    let errors = checked.findings.iter().filter(|finding| finding.level == Level::Error);
    errors.map(|finding| &finding.diagnostic).filter(|diagnostic| diagnostic.rule.is_some() && !is_of_lint(diagnostic))
}

/// Returns whether a lint rule about plans, selections and vaults is violated.
fn is_of_lint(diagnostic: &Diagnostic) -> bool {
    diagnostic.rule.is_some_and(|id| lint::rule(id).is_some())
}

/// Returns the control, and the start of the message with name and type of the resource.
fn about(diagnostic: &Diagnostic) -> (Option<&str>, &str) {
    (diagnostic.rule, diagnostic.message.split(": ").next().unwrap_or_default())
}

/// Reads a policy file.
pub fn policy(data: &[u8]) {
    let text = text(data);
    if let Err(diagnostics) = Policy::read("backup-compliance.yaml", &text) {
        assert!(!diagnostics.is_empty(), "it is refused without a reason");
        within(&diagnostics, &text);
    }
}

/// Parses a schedule.
pub fn schedule(data: &[u8]) {
    match Schedule::parse(&text(data)) {
        Ok(schedule) => {
            if let LongestGap::Minutes(minutes) = schedule.longest_gap(TODAY) {
                assert!(minutes > 0, "nothing runs twice at once");
            }
        }
        Err(problem) => assert!(!problem.is_empty(), "it is refused without a reason"),
    }
}

/// Evaluates a vault policy, as a string and as JSON.
pub fn vault_policy(data: &[u8]) {
    let text = text(data).into_owned();
    let exempt = ["arn:aws:iam::111122223333:role/break-glass", "arn:aws:iam::*:role/*"];
    let parsed = serde_json::from_str::<Value>(&text);
    let of_text = vault_policy::evaluate(&Value::String(text), &exempt);
    if let Ok(value) = parsed
        && !value.is_string()
    {
        assert_eq!(of_text, vault_policy::evaluate(&value, &exempt), "one policy has two answers");
    }
}

/// Reads the payload of a function: a batch of a queue, or a single event.
pub fn event(data: &[u8]) {
    let Ok(payload) = serde_json::from_slice::<Value>(data) else { return };
    let batch = Batch::read(payload);
    for place in [
        PolicyPlace::Branch { repository: "backup-policy", branch: "main" },
        PolicyPlace::Object { bucket: "backup-compliance-policy" },
    ] {
        let _ = batch.triggers(|event| trigger(event, place), DeployTrigger::Invalid);
    }
    for message in &batch.messages {
        let Ok(event) = &message.event else { continue };
        if let Ok(Request::Flush(group)) = report_request(event) {
            let again = report_request(&flush_message(&group));
            assert_eq!(again, Ok(Request::Flush(group)), "what is sent is not what is read");
        }
    }
}

/// Reads an inventory and evaluates every control.
pub fn inventory(data: &[u8]) {
    let text = text(data);
    match Inventory::read("inventory.json", &text) {
        Ok(inventory) => {
            let asked: Vec<ControlQuery> = CONTROLS.iter().map(ControlQuery::everything).collect();
            Evaluator::new(&inventory, &asked).each(|evaluation| {
                assert!(!evaluation.result.to_string().is_empty(), "a verdict without a reason");
            });
            let _ = inventory.gaps();
        }
        Err(diagnostic) => within([&*diagnostic], &text),
    }
}

/// Invalid UTF-8 never reaches the readers.
fn text(data: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(data)
}

/// A diagnostic must point to a line of the file, or to the line after its end.
fn within<'f>(diagnostics: impl IntoIterator<Item = &'f Diagnostic>, text: &str) {
    let lines = text.split(['\n', '\r']).count() + 1;
    for diagnostic in diagnostics {
        assert!(!diagnostic.message.is_empty() && !diagnostic.help.is_empty(), "half a diagnostic: {diagnostic:?}");
        for at in [diagnostic.at, diagnostic.end].into_iter().flatten() {
            assert!(
                at.line >= 1 && at.column >= 1 && at.line <= lines,
                "not in a file of {lines} lines: {diagnostic:?}"
            );
        }
    }
}
