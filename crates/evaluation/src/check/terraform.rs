//! Findings about resources of Terraform plans.

use syntax::diagnostic::{Diagnostic, Position};
use syntax::text::printable;

use super::FindingBuilder;
use crate::evaluator::RemediationStep;
use crate::inventory::template::{Origin, VolumeTags};
use crate::inventory::terraform::{TerraformPlan, in_terraform};

const VOLUME_TAGS: &str = "volume_tags";

impl FindingBuilder<'_> {
    /// Returns the fix of a resource of a plan, if tags suffice.
    pub(super) fn terraform_fix(
        &self,
        origin: &Origin,
        steps: &[RemediationStep<'_>],
        cluster: Option<&str>,
    ) -> Option<String> {
        self.files.get(origin.stack)?.terraform()?;
        let argument = match origin.volumes {
            Some(VolumeTags::Argument(argument)) => argument,
            _ => "tags",
        };
        let mut tags = Vec::new();
        for step in steps {
            match step {
                RemediationStep::SetTag { key, value, .. } => tags.push(format!("{} = {}", name(key), quoted(value))),
                _ => tags.clear(),
            }
        }
        if tags.len() != steps.len() || tags.is_empty() {
            let is_volume = origin.volumes.is_some();
            return is_volume.then(|| format!("select volumes by a tag, and give them the tag with `{VOLUME_TAGS}`"));
        }
        let tags = tags.join(", ");
        let written = match argument {
            "tags" | VOLUME_TAGS => format!("`{argument} = {{ {tags} }}`"),
            block => format!("`tags = {{ {tags} }}` in `{block}`"),
        };
        let of = cluster.map(|cluster| format!("for its cluster `{}`: ", printable(self.cluster(cluster))));
        Some(format!("{}add {written}", of.unwrap_or_default()))
    }
}

/// Returns a key of a map as Terraform writes it.
fn name(key: &str) -> String {
    let is_plain = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if is_plain { key.to_owned() } else { quoted(key) }
}

fn quoted(text: &str) -> String {
    let escaped = printable(text).replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", escaped.replace("${", "$${").replace("%{", "%%{"))
}

/// Returns a diagnostic about a plan, selection or vault in the words of Terraform, at its block.
pub(super) fn rejection(plan: &TerraformPlan, diagnostic: &Diagnostic) -> Diagnostic {
    let index = diagnostic.at.map_or(0, |Position { line, .. }| line.saturating_sub(1));
    let address = plan.address(index).unwrap_or_default();
    let kind = plan.kind(address).unwrap_or_default();
    let message = format!("`{}` ({kind}): {}", printable(address), in_terraform(&diagnostic.message));
    let placed = plan.diagnostic(address, message, in_terraform(&diagnostic.help));
    Diagnostic { rule: diagnostic.rule, level: diagnostic.level, ..placed }
}
