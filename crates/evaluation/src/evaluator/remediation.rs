//! Remediation options for a resource that is in no backup plan, as sentences for a notice.
//!
//! Uses the rule of `selection`, as `check` and `evaluate` do. AWS Config reports neither every part of a selection
//! nor the tags of every resource. Options that depend on such parts are undecided.

use jiff::Timestamp;

use syntax::text::printable;

use super::coverage::closest;
use super::display::{count, join, selection_of};
use super::reason::{FailedClause, NotSelectedReason};
use super::selection::{CompiledSelection, is_managed};
use super::ternary::Ternary;
use super::{Evaluator, RemediationStep, distinct};
use crate::inventory::{Inventory, Plan, document};

impl NotSelectedReason<'_> {
    /// Returns the fix, as an imperative; `None` if there is neither a selection nor a plan.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        if !self.steps.is_empty() {
            return Some(join(&self.steps, " and ").to_string());
        }
        let Some(closest) = &self.closest else {
            let plan = self.empty_plan?;
            return Some(format!("add a selection to the plan `{}`", printable(&plan.name)));
        };
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

/// Returns the smallest set of steps after which a selection of one of the plans matches the resource, and the
/// undecided selections; one sentence each. The plans are those of the resource's account and Region.
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
    let selections = || evaluator.selections(resource.location);
    let truth = |compiled: &CompiledSelection<'_>| compiled.selects(&candidate);
    let mut options = Vec::new();
    let fixable = selections().filter(|compiled| truth(compiled) == Ternary::No);
    if let Some((cost, compiled)) = closest(fixable, &candidate) {
        // An instance of a cluster is backed up with its cluster, and the aggregator does not report which instances
        // are members.
        let is_whole = resource.cluster().is_some() || protected.config_type != "AWS::RDS::DBInstance";
        let condition = if is_whole { "" } else { "If it is not an instance of a DB cluster: " };
        let changes = compiled.changes(&candidate, cost);
        options.extend(sentence(condition, &changes, compiled));
    }
    let unclear: Vec<_> = selections().filter(|compiled| truth(compiled) == Ternary::Unknown).collect();
    if let Some((first, others)) = unclear.split_first() {
        let unknown = distinct(first.unknown(&candidate));
        let more = match others.len() {
            0 => String::new(),
            more => format!(", and {}", count(more as u64, "more selection")),
        };
        options.push(format!("Undecided for {}{more}: {}.", described(first), join(&unknown, "; ")));
    }
    Ok(options)
}

fn described(compiled: &CompiledSelection<'_>) -> String {
    let (selection, plan) = (printable(&compiled.selection.name), printable(&compiled.plan.name));
    format!("the selection `{selection}` of the backup plan `{plan}`")
}

fn sentence(condition: &str, changes: &[RemediationStep<'_>], compiled: &CompiledSelection<'_>) -> Option<String> {
    if changes.is_empty() {
        return None;
    }
    let mut text = join(changes, " and ").to_string();
    let effect = match changes.iter().any(|change| matches!(change, RemediationStep::AddArn { .. })) {
        true => String::new(),
        false => format!(": then {} selects it", described(compiled)),
    };
    // Each step begins with an ASCII letter.
    if condition.is_empty()
        && let Some(first) = text.get_mut(..1)
    {
        first.make_ascii_uppercase();
    }
    Some(format!("{condition}{text}{effect}."))
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
        let of_tag = "Tag it `backup` = `daily` (currently `no`): then the selection `tagged` of the backup plan `gold` selects it.";
        let of_condition =
            "Tag it `stage` = `prod`: then the selection `conditional` of the backup plan `gold` selects it.";
        let of_arn = "Add `arn:aws:rds:eu-west-1:222222222222:cluster:orders` to the resources of the selection `listed` of the plan `gold`.";
        let undecided = "Undecided for the selection `unclear` of the backup plan `gold`: ListOfTags of the selection `unclear` of the plan `gold`; \
             Conditions of the selection `unclear` of the plan `gold`; whether Aurora is enabled in the settings of AWS Backup.";
        for (selections, expected) in [
            (json!([tagged]), vec![of_tag]),
            (json!([conditional]), vec![of_condition]),
            (json!([listed, tagged]), vec![of_tag]),
            (json!([excluding, listed]), vec![of_arn]),
            (json!([excluding]), vec![]),
            (json!([]), vec![]),
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
