//! Findings about the volumes that an instance creates.

use syntax::diagnostic::Edit;

use super::{FindingBuilder, edit};
use crate::evaluator::{ComplianceResult, NonComplianceReason, RemediationStep};
use crate::inventory::template::{CheckedFile, ItemId, Origin, PROPAGATE, VolumeTags};

impl FindingBuilder<'_> {
    /// Returns the message of a result.
    pub(super) fn problem(&self, origin: &Origin, result: &ComplianceResult<'_>) -> String {
        let is_not_selected = matches!(result, ComplianceResult::NotCompliant(NonComplianceReason::NotSelected(_)));
        if matches!(origin.volumes, Some(VolumeTags::Absent | VolumeTags::Off)) && is_not_selected {
            return format!("{result}; they get no tags without `{PROPAGATE}`");
        }
        result.to_string()
    }

    /// Returns the fix for volumes that no selection matches: the tags of the instance, if tags suffice.
    pub(super) fn volumes_fix(&self, origin: &Origin, steps: &[RemediationStep<'_>]) -> (String, Vec<Edit>) {
        let ItemId::Resource(index) = origin.item else { return (String::new(), Vec::new()) };
        // The instance precedes its volumes.
        let instance = index.checked_sub(1).and_then(|index| self.inventory.resources.get(index));
        let instance = instance.filter(|own| self.inventory.kind(own) == origin.kind);
        let has = |key: &str, value: &str| {
            let symbols = &self.inventory.symbols;
            let tag = symbols.find(key).and_then(|key| instance?.tag(key));
            tag.is_some_and(|tag| tag.value.is_some_and(|own| symbols.get(own) == value))
        };
        let mut missing = Vec::new();
        for step in steps {
            match step {
                RemediationStep::SetTag { key, value, .. } if has(key, value) => {}
                RemediationStep::SetTag { .. } | RemediationStep::OptIn { .. } => missing.push(step.to_string()),
                _ => return (NOT_BY_TAG.to_owned(), Vec::new()),
            }
        }
        if steps.is_empty() {
            return (NOT_BY_TAG.to_owned(), Vec::new());
        }
        let property = match origin.volumes {
            Some(VolumeTags::Propagated) => return (missing.join(" and "), Vec::new()),
            Some(VolumeTags::Off) => format!("set `{PROPAGATE}` of the instance to true"),
            Some(VolumeTags::Absent | VolumeTags::Argument(_)) | None => {
                format!("add `{PROPAGATE}: true` to the instance")
            }
        };
        let more: String = missing.iter().map(|step| format!(" and {step}")).collect();
        let mut edits = Vec::new();
        // With other steps missing, the property alone is no fix.
        let template = self.files.get(origin.stack).and_then(CheckedFile::template);
        let file = template.zip(self.sources.get(origin.stack));
        if let Some((stack, source)) = file.filter(|_| missing.is_empty()) {
            let proposal = edit::property(stack.template, source, &origin.logical_id, PROPAGATE, "true");
            edits.extend(proposal.iter().map(|proposal| proposal.edit.clone()));
            proposal.into_iter().for_each(|proposal| self.propose(origin, proposal));
        }
        (format!("{property}{more}"), edits)
    }
}

const NOT_BY_TAG: &str = "select volumes by a tag, and give them the tag with `PropagateTagsToVolumeOnCreation: true`";
