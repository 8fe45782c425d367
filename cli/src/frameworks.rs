//! Reads the control queries of a framework template or a policy.

use std::path::Path;

use anyhow::{anyhow, ensure};

use app::queries::ControlQueries;
use domain::rollout::Parameters;
use syntax::diagnostic::Diagnostic;
use syntax::template::Template;

use crate::{input, repository};

/// Reads a framework template, a policy file, or the policy in a folder. An error of lint is an error.
pub(crate) fn queries(path: &Path, root: Option<&Path>, given: &Parameters) -> anyhow::Result<ControlQueries> {
    let text = (!path.is_dir()).then(|| input::template(path)).transpose()?;
    let text = text.transpose().map_err(|diagnostic| unusable(vec![diagnostic]))?;
    let queries = match text.filter(|text| Template::is_intended(text)) {
        Some(text) => {
            let template = Template::read(&path.display().to_string(), &text).map_err(unusable)?;
            ControlQueries::of_template(template, given)
        }
        None => {
            let files = repository::read_policy(path, root)?;
            let policy = files.desired.map_err(unusable)?;
            ControlQueries::of_policy(&policy, &files.templates).map_err(unusable)?
        }
    };
    let queries = queries.at(&Default::default(), &Default::default()).map_err(unusable)?;
    let is_framework = !queries.groups.is_empty();
    ensure!(is_framework, "`{}` has no AWS::Backup::Framework whose condition holds", path.display());
    Ok(queries)
}

/// Returns the first diagnostic as an error, with the number of others.
pub(crate) fn unusable(diagnostics: Vec<Diagnostic>) -> anyhow::Error {
    let first = diagnostics.first().map(ToString::to_string).unwrap_or_default();
    match diagnostics.len() {
        0 | 1 => anyhow!("{first}"),
        n => anyhow!("{first} (and {} more, see `backup-compliance lint`)", n - 1),
    }
}
