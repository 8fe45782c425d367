//! `lint`: is this policy right, with the eyes of `deploy`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use console::style;
use domain::fault::{Fault, Position};
use domain::framework::Framework;
use domain::policy::{FrameworkPolicy, Policy};
use domain::template::Template;
use serde_json::json;

use crate::{Format, Verdict, output};

/// The policy file of a folder.
const POLICY_FILE: &str = "backup-compliance.yaml";
/// The parameter that the deployment fills in, and a value of the right shape for it.
const FILLED_IN: (&str, &str) =
    ("ComplianceEventBusArn", "arn:aws:events:us-east-1:000000000000:event-bus/backup-compliance");

/// Check policy files and the frameworks they deploy.
///
/// Reads what a push would put in force and names every fault with file, line and column, what is wrong and what would
/// be right. Needs no AWS account.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  backup-compliance lint
  backup-compliance lint framework
  backup-compliance lint policies/production.yaml --root .
  backup-compliance --format json lint | jq '.findings[].problem'")]
pub(crate) struct Args {
    /// Policy files, or folders with a `backup-compliance.yaml`.
    #[arg(value_name = "DIR|POLICY_FILE", default_value = ".")]
    paths: Vec<PathBuf>,
    /// The root of the policy repository, which template paths start from; without it, the policy file's folder.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

/// What was looked at, for the last line.
#[derive(Debug, Default)]
struct Seen {
    policies: usize,
    frameworks: usize,
    controls: usize,
    instances: usize,
}

pub(crate) fn run(args: &Args, format: Format) -> anyhow::Result<Verdict> {
    let mut seen = Seen::default();
    let mut faults = Vec::new();
    for path in &args.paths {
        let file = policy_file(path)?;
        let root = args.root.as_deref().or(file.parent()).unwrap_or(Path::new(""));
        let text = read(&file).with_context(|| format!("cannot read the policy file `{}`", file.display()))?;
        faults.extend(check(&file, root, &text, &mut seen)?);
    }
    // A template that several frameworks use has its faults once.
    let mut told = BTreeSet::new();
    faults.retain(|fault| told.insert(fault.to_string()));
    match format {
        Format::Human => human(&faults, &seen)?,
        Format::Json => output::line(&serde_json::to_string_pretty(&json!({ "findings": faults }))?)?,
    }
    Ok(if faults.is_empty() { Verdict::Clean } else { Verdict::Findings })
}

fn policy_file(path: &Path) -> anyhow::Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    let file = if path == Path::new(".") { PathBuf::from(POLICY_FILE) } else { path.join(POLICY_FILE) };
    if !file.exists() {
        bail!("no `{POLICY_FILE}` in `{}`; name the policy file if it is called otherwise", path.display());
    }
    Ok(file)
}

fn read(path: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(path)?;
    String::from_utf8(bytes)
        .map_err(|e| anyhow::anyhow!("it is not UTF-8 text from byte {}", e.utf8_error().valid_up_to()))
}

fn check(file: &Path, root: &Path, text: &str, seen: &mut Seen) -> anyhow::Result<Vec<Fault>> {
    let shown = file.display().to_string();
    seen.policies += 1;
    let policy = match Policy::read(&shown, text) {
        Ok(policy) => policy,
        Err(faults) => return Ok(faults),
    };
    let mut faults = Vec::new();
    for framework in &policy.frameworks {
        let path = root.join(&framework.template);
        let text = match read(&path) {
            Ok(text) => text,
            Err(e) if is_missing(&e) => {
                faults.push(missing(&shown, framework, &path));
                continue;
            }
            Err(e) => return Err(e.context(format!("cannot read the template `{}`", path.display()))),
        };
        match controls(&path.display().to_string(), &text, framework) {
            Ok(controls) => {
                seen.frameworks += 1;
                seen.controls += controls;
                seen.instances += instances(framework);
            }
            Err(more) => faults.extend(more),
        }
    }
    Ok(faults)
}

fn is_missing(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == ErrorKind::NotFound)
}

fn missing(policy: &str, framework: &FrameworkPolicy, path: &Path) -> Fault {
    let mut fault = Fault::of_file(
        policy,
        format!("the template `{}` of framework `{}` is not there", framework.template, framework.name),
        format!("add `{}`, or correct `template`, which starts from the root of the repository", path.display()),
    );
    fault.at = Some(framework.at);
    fault
}

/// The number of controls, or everything that is wrong with the template under any target's parameters.
fn controls(path: &str, text: &str, framework: &FrameworkPolicy) -> Result<usize, Vec<Fault>> {
    let template = Template::read(path, text)?;
    let mut parameters = framework.parameters.clone();
    let (filled_in, value) = FILLED_IN;
    if template.declares(filled_in) {
        parameters.entry(filled_in.to_owned()).or_insert_with(|| value.to_owned());
    }
    let mut controls = 0;
    for target in &framework.targets {
        let mut in_force: BTreeMap<String, String> = parameters.clone();
        in_force.extend(target.parameters.clone());
        let frameworks = Framework::read_all(&template, &in_force)?;
        controls = frameworks.iter().map(|framework| framework.controls.len()).sum();
    }
    Ok(controls)
}

fn instances(framework: &FrameworkPolicy) -> usize {
    let pairs = framework.targets.iter().flat_map(|target| {
        target.accounts.iter().flat_map(|account| target.regions.iter().map(move |region| (account, region)))
    });
    pairs.collect::<BTreeSet<_>>().len()
}

fn human(faults: &[Fault], seen: &Seen) -> anyhow::Result<()> {
    for fault in faults {
        let place = match fault.at {
            Some(Position { line, column }) => format!("{}:{line}:{column}:", fault.file),
            None => format!("{}:", fault.file),
        };
        output::line(&format!("{} {}", style(place).bold(), style(&fault.problem).red()))?;
        for line in fault.excerpt.iter().flat_map(|excerpt| excerpt.lines()) {
            output::line(&format!("    {line}"))?;
        }
        output::line(&format!("  {} {}\n", style("fix:").green().bold(), fault.fix))?;
    }
    let policies = count(seen.policies, "policy", "policies");
    output::line(&if faults.is_empty() {
        format!(
            "{policies}, {}, {}, {}: {}",
            count(seen.frameworks, "framework", "frameworks"),
            count(seen.controls, "control", "controls"),
            count(seen.instances, "stack instance", "stack instances"),
            style("no findings").green()
        )
    } else {
        format!("{} in {policies}", count(faults.len(), "finding", "findings"))
    })
}

fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
