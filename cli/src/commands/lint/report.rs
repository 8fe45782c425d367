//! Checks the inputs and collects the findings.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use jiff::civil::Date;
use serde_json::{Value, json};

use app::policy_lint::lint_policy;
use domain::rollout::Parameters;
use framework::Framework;
use framework::lint::{self, LintContext, LintResult};
use syntax::diagnostic::Diagnostic;
use syntax::template::Template;

use super::LintArgs;
use crate::findings::{generated, machine};
use crate::input::{self, STANDARD_INPUT};
use crate::{repository, templates};

/// The number of checked inputs, for the summary.
#[derive(Debug, Default)]
pub(super) struct CheckedInputs {
    pub(super) policies: usize,
    pub(super) templates: usize,
    pub(super) frameworks: usize,
    pub(super) controls: usize,
    pub(super) instances: usize,
    /// Files that are not UTF-8 or too large.
    pub(super) unreadable: usize,
}

#[derive(Debug, Default)]
pub(super) struct LintReport {
    pub(super) findings: Vec<Diagnostic>,
    pub(super) checked: CheckedInputs,
    /// The texts of the files by their names in findings.
    pub(super) files: BTreeMap<String, String>,
    /// Messages about generated files, which `--fix` does not change.
    pub(super) generated: Vec<String>,
    reported: BTreeSet<(String, Option<&'static str>)>,
    /// The suppressed findings, each with the reason.
    pub(super) suppressed: Vec<(Diagnostic, String)>,
}

impl LintReport {
    /// Checks the inputs. A template in `texts` is not read again, because standard input and pipes cannot be.
    pub(super) fn new(args: &LintArgs, today: Date, texts: &BTreeMap<String, String>) -> anyhow::Result<Self> {
        let mut report = Self::default();
        let given: Parameters = args.parameter.iter().cloned().collect();
        let mut templates = Vec::new();
        let mut known = BTreeSet::new();
        // A file is checked once, even if a link names it again.
        for path in args.paths.iter().filter(|path| known.insert(templates::identity(path))) {
            let is_stdin = path == Path::new("-");
            let file = if is_stdin { STANDARD_INPUT.to_owned() } else { name(path) };
            let text = match texts.get(&file) {
                _ if path.is_dir() => None,
                Some(text) => Some(Ok(text.clone())),
                None => Some(input::template(path)?),
            };
            match text {
                Some(Ok(text)) if is_stdin || Template::is_intended(&text) => {
                    report.template(&file, &text, &given, today);
                    templates.push((file, text));
                }
                None | Some(Ok(_)) => report.policy(path, args.root.as_deref(), today, texts)?,
                Some(Err(diagnostic)) => {
                    report.checked.unreadable += 1;
                    report.add(Diagnostic { file, ..diagnostic });
                }
            }
        }
        if let Some(base) = &args.base {
            let [(name, text)] = templates.as_slice() else {
                bail!("`--base` requires exactly one framework template");
            };
            report.update(base, name, text, &given)?;
        }
        report.findings.sort_by(|a, b| (&a.file, a.at).cmp(&(&b.file, b.at)));
        report.generated = generated::drop_edits(&mut report.findings, &report.files);
        Ok(report)
    }

    fn add(&mut self, diagnostic: Diagnostic) {
        // Several policies may use a template.
        if self.reported.insert((diagnostic.to_string(), diagnostic.rule)) {
            self.findings.push(diagnostic);
        }
    }

    fn add_all(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        diagnostics.into_iter().for_each(|diagnostic| self.add(diagnostic));
    }

    fn add_judged(&mut self, judged: LintResult) {
        self.add_all(judged.diagnostics);
        for (diagnostic, reason) in judged.suppressed {
            if self.reported.insert((diagnostic.to_string(), diagnostic.rule)) {
                self.suppressed.push((diagnostic, reason));
            }
        }
    }

    fn template(&mut self, name: &str, text: &str, given: &Parameters, today: Date) {
        self.checked.templates += 1;
        self.files.insert(name.to_owned(), text.to_owned());
        let context = LintContext { variants: std::slice::from_ref(given), is_complete: false, today };
        self.add_judged(lint::check_with_suppressions(name, text, &context));
        if let Ok(frameworks) = Template::read(name, text).and_then(|template| {
            // The deployment gives missing values.
            let mut given = given.clone();
            for (parameter, default) in template.parameters() {
                if default.is_none() {
                    given.entry(parameter.clone()).or_default();
                }
            }
            Framework::read_all(&template, &given)
        }) {
            self.checked.frameworks += frameworks.len();
            self.checked.controls += frameworks.iter().map(|framework| framework.controls.len()).sum::<usize>();
        }
    }

    /// Checks a policy and its templates with the values of the policy.
    fn policy(
        &mut self,
        path: &Path,
        root: Option<&Path>,
        today: Date,
        texts: &BTreeMap<String, String>,
    ) -> anyhow::Result<()> {
        let files = repository::read_policy_with(path, root, texts)?;
        self.checked.policies += 1;
        self.files.insert(files.path.clone(), files.text.clone().unwrap_or_default());
        self.files.extend(files.templates.clone());
        for framework in files.desired.iter().flat_map(|wanted| &wanted.frameworks) {
            // A parameter may exclude a control for some targets.
            let controls = framework.published.variants.iter().flat_map(|variant| variant.controls.keys());
            self.checked.frameworks += 1;
            self.checked.controls += controls.collect::<BTreeSet<_>>().len();
            self.checked.instances += framework.desired.instances.len();
        }
        self.add_judged(lint_policy(&files, today));
        Ok(())
    }

    fn update(&mut self, base: &Path, name: &str, text: &str, given: &Parameters) -> anyhow::Result<()> {
        let old = input::template(base)?.map_err(|diagnostic| anyhow!("{diagnostic}"))?;
        let base = base.display().to_string();
        let Ok(old) = Template::read_source(&base, &old) else {
            bail!("`{base}` is not a valid template; see `lint {base}`");
        };
        // An invalid new template was reported already.
        if let Ok(new) = Template::read_source(name, text) {
            self.add_all(lint::check_update((&old, given), (&new, given)));
        }
        Ok(())
    }

    pub(super) fn suppressed_json(&self) -> Value {
        let one = |(diagnostic, reason): &(Diagnostic, String)| {
            let mut diagnostic = json!(diagnostic);
            machine::set(&mut diagnostic, "reason", reason.as_str().into());
            diagnostic
        };
        self.suppressed.iter().map(one).collect()
    }
}

/// Returns the path as displayed in findings.
fn name(path: &Path) -> String {
    let path: PathBuf = path.components().collect();
    path.display().to_string()
}
