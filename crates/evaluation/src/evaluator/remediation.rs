//! Remediation options for a resource that is in no backup plan, as sentences for a notice.
//!
//! Uses the rule of `selection`, as `check` and `evaluate` do. AWS Config reports neither every part of a selection
//! nor the tags of every resource. Options that depend on such parts are undecided.

use jiff::Timestamp;

use syntax::text::printable;

use super::display::{count, join, selection_of};
use super::reason::{FailedClause, NotSelectedReason};
use super::selection::is_managed;
use super::ternary::Ternary;
use super::{Evaluator, RemediationStep, distinct};
use crate::inventory::{Inventory, Plan, document};

impl NotSelectedReason<'_> {
    /// Returns the fix, as an imperative; `None` if there is neither a selection nor a plan.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        let Some(closest) = &self.closest else {
            let plan = self.empty_plan?;
            return Some(format!("add a selection to the plan `{}`", printable(&plan.name)));
        };
        if !self.steps.is_empty() {
            let steps = join(&self.steps, " and ");
            let names_selection = self.steps.iter().any(|step| matches!(step, RemediationStep::AddArn { .. }));
            return Some(match names_selection {
                true => steps.to_string(),
                false => format!("{steps}: then {} selects it", selection_of(closest.selection, closest.plan)),
            });
        }
        let excluding = closest.failed.iter().find_map(|clause| match clause {
            FailedClause::Excluded(pattern) => Some(*pattern),
            _ => None,
        });
        Some(match excluding {
            Some(pattern) if !is_managed(closest.plan) => {
                let (pattern, selection) = (printable(pattern), selection_of(closest.selection, closest.plan));
                format!("take `{pattern}` out of NotResources of {selection}, or use another selection")
            }
            _ => "add it to another selection of a backup plan".to_owned(),
        })
    }
}

/// Returns the fix of the coverage control for a resource, as `evaluate` does, and the undecided selections; one sentence
/// each. The plans are those of the resource's account and Region.
///
/// # Errors
/// The ARN is invalid, or contradicts account and Region.
pub fn options(plans: &[Plan], resource: document::Resource) -> Result<Vec<String>, String> {
    let mut inventory = Inventory::new(Timestamp::UNIX_EPOCH);
    inventory.add_resource(resource)?;
    for plan in plans {
        inventory.add_plan(plan.clone());
    }
    let evaluator = Evaluator::new(&inventory, &[]);
    let Some(resource) = inventory.resources.first() else { return Ok(Vec::new()) };
    let Some(protected) = evaluator.kinds.get(&resource.kind) else { return Ok(Vec::new()) };
    let candidate = evaluator.candidate(resource, protected);
    let mut options = Vec::new();
    let truths = evaluator.selections(resource.location).map(|compiled| (compiled.selects(&candidate), compiled));
    let (unclear, decided): (Vec<_>, Vec<_>) = truths.partition(|(truth, _)| *truth == Ternary::Unknown);
    // A selected resource was evaluated before it was selected.
    let is_selected = decided.iter().any(|(truth, _)| *truth == Ternary::Yes);
    let others: Vec<_> = decided.into_iter().map(|(_, compiled)| compiled).collect();
    if !is_selected && let Some(fix) = evaluator.not_selected(&candidate, resource.cluster(), &others).fix() {
        // An instance of a cluster is backed up with its cluster, and the aggregator does not report which instances
        // are members.
        let is_whole = resource.cluster().is_some() || protected.config_type != "AWS::RDS::DBInstance";
        let condition = if is_whole { "" } else { "if it is not an instance of a DB cluster: " };
        options.push(sentence(format!("{condition}{fix}.")));
    }
    if let Some(((_, first), others)) = unclear.split_first() {
        let unknown = distinct(first.unknown(&candidate));
        let more = match others.len() {
            0 => String::new(),
            more => format!(", and {}", count(more as u64, "more selection")),
        };
        let selection = selection_of(first.selection, first.plan);
        options.push(format!("Undecided for {selection}{more}: {}.", join(&unknown, "; ")));
    }
    Ok(options)
}

/// Begins a text, whose first character is an ASCII letter, with a capital.
pub(super) fn sentence(mut text: String) -> String {
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn options_of(kind: &str, tags: Value, selections: Value) -> Vec<String> {
        let (account, region) = ("222222222222", "eu-west-1");
        let resource = json!({
            "arn": format!("arn:aws:rds:{region}:{account}:{kind}:orders"), "account": account, "region": region,
            "type": if kind == "db" { "AWS::RDS::DBInstance" } else { "AWS::RDS::DBCluster" }, "tags": tags,
        });
        let plan = json!({
            "id": "p", "name": "gold", "account": account, "region": region, "selections": selections,
        });
        let plan = serde_json::from_value(plan).expect("a plan");
        options(&[plan], serde_json::from_value(resource).expect("a resource")).expect("options")
    }

    #[test]
    fn options_are_the_fewest_steps_of_the_rule() {
        let tagged = json!({"name": "tagged", "listOfTags": [{"key": "backup", "value": "daily"}]});
        let conditional = json!({
            "name": "conditional", "resources": ["*"],
            "conditions": {"stringEquals": [{"key": "aws:ResourceTag/stage", "value": "prod"}]},
        });
        let excluding = json!({"name": "excluding", "resources": ["*"], "notResources": ["arn:aws:rds:*"]});
        let listed = json!({"name": "listed", "resources": ["arn:aws:rds:eu-west-1:222222222222:cluster:a"]});
        let unclear = json!({"name": "unclear", "resources": [], "unread": ["listOfTags", "conditions"]});
        let of_tag =
            "Tag it `backup` = `daily` (currently `no`): then the selection `tagged` of the plan `gold` selects it.";
        let of_condition = "Tag it `stage` = `prod`: then the selection `conditional` of the plan `gold` selects it.";
        let of_arn = "Add `arn:aws:rds:eu-west-1:222222222222:cluster:orders` to the resources of the selection `listed` of the plan `gold`.";
        let of_exclusion = "Take `arn:aws:rds:*` out of NotResources of the selection `excluding` of the plan `gold`, or use another selection.";
        let undecided = "Undecided for the selection `unclear` of the plan `gold`: ListOfTags of the selection `unclear` of the plan `gold`; \
             Conditions of the selection `unclear` of the plan `gold`; whether Aurora is enabled in the settings of AWS Backup.";
        for (selections, expected) in [
            (json!([tagged]), vec![of_tag]),
            (json!([conditional]), vec![of_condition]),
            (json!([listed, tagged]), vec![of_tag]),
            (json!([excluding, listed]), vec![of_arn]),
            (json!([excluding]), vec![of_exclusion]),
            (json!([]), vec!["Add a selection to the plan `gold`."]),
            (json!([unclear]), vec![undecided]),
        ] {
            assert_eq!(options_of("cluster", json!({"backup": "no"}), selections.clone()), expected, "{selections}");
        }
    }

    #[test]
    fn options_for_a_db_instance_depend_on_its_cluster() {
        let tagged = json!([{"name": "tagged", "listOfTags": [{"key": "backup", "value": "daily"}]}]);
        let options = options_of("db", json!({}), tagged);
        assert!(options[0].starts_with("If it is not an instance of a DB cluster: tag it `backup`"), "{options:?}");
    }

    #[test]
    fn unknown_tags_leave_a_selection_undecided() {
        let tagged = json!([{"name": "tagged", "listOfTags": [{"key": "backup", "value": "daily"}]}]);
        let options = options_of("cluster", json!({"backup": null}), tagged);
        assert!(
            options[0].starts_with("Undecided") && options[0].contains("the value of its tag `backup`"),
            "{options:?}"
        );
    }
}
