//! Backup plans, as far as AWS Config tells of them.

use super::ConfigAggregator;
use super::query::{configuration, field, list, text};
use app::ports::{BackupPlans, Result, Selection};
use domain::ids::{AccountId, RegionName};
use serde_json::Value;
use std::collections::BTreeMap;

const PLAN: &str = "AWS::Backup::BackupPlan";
const SELECTION: &str = "AWS::Backup::BackupSelection";

impl BackupPlans for ConfigAggregator {
    async fn selections(&self, account: &AccountId, region: &RegionName) -> Result<Vec<Selection>> {
        let Some(name) = &self.name else { return Ok(Vec::new()) };
        let expression = format!(
            "SELECT resourceType, resourceId, resourceName, configuration WHERE resourceType IN ('{PLAN}', '{SELECTION}') \
             AND accountId = '{account}' AND awsRegion = '{region}'"
        );
        Ok(selections(&self.in_time(self.select(name, &expression)).await?))
    }
}

/// The selections among the rows, with the names of their plans.
fn selections(rows: &[Value]) -> Vec<Selection> {
    let of_type = |kind: &'static str| rows.iter().filter(move |row| text(row, "resourceType") == Some(kind));
    let names: BTreeMap<String, String> = of_type(PLAN).filter_map(plan_name).collect();
    let mut selections: Vec<Selection> = of_type(SELECTION).filter_map(|row| selection(row, &names)).collect();
    selections.sort_by(|a, b| (&a.plan, &a.name).cmp(&(&b.plan, &b.name)));
    selections
}

fn plan_name(row: &Value) -> Option<(String, String)> {
    let configuration = configuration(row).unwrap_or_default();
    let id = text(&configuration, "BackupPlanId").or_else(|| text(row, "resourceId"))?;
    let name = text(&configuration, "BackupPlan.BackupPlanName").or_else(|| text(row, "resourceName"))?;
    Some((id.to_owned(), name.to_owned()))
}

/// A selection that takes whatever has one of its tags or matches one of its patterns. One that asks for more than that is left
/// out: nobody could say what would bring a resource into it.
fn selection(row: &Value, plans: &BTreeMap<String, String>) -> Option<Selection> {
    let configuration = configuration(row)?;
    let of = field(&configuration, "BackupSelection")?;
    let narrower = |path| field(of, path).is_some_and(|value| !is_empty(value));
    if narrower("Conditions") || narrower("NotResources") {
        return None;
    }
    let name = text(of, "SelectionName").or_else(|| text(row, "resourceName")).or_else(|| text(row, "resourceId"))?;
    let plan = text(&configuration, "BackupPlanId").unwrap_or_default();
    let tags = list(of, "ListOfTags").into_iter().filter_map(|condition| {
        let equals = text(condition, "ConditionType").is_none_or(|kind| kind.eq_ignore_ascii_case("STRINGEQUALS"));
        let (key, value) = (text(condition, "ConditionKey")?, field(condition, "ConditionValue")?.as_str()?);
        equals.then(|| (key.to_owned(), value.to_owned()))
    });
    let resources = list(of, "Resources").into_iter().filter_map(Value::as_str).filter(|pattern| !pattern.is_empty());
    Some(Selection {
        plan: plans.get(plan).map_or(plan, String::as_str).to_owned(),
        name: name.to_owned(),
        tags: tags.collect(),
        resources: resources.map(ToOwned::to_owned).collect(),
    })
}

/// Nothing, or lists with nothing in them.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(kind: &str, configuration: &Value) -> Value {
        json!({"resourceType": kind, "resourceId": "r-1", "configuration": configuration})
    }

    #[test]
    fn selections_carry_the_names_of_their_plans() {
        let rows = [
            row(PLAN, &json!({"BackupPlanId": "p-1", "BackupPlan": {"BackupPlanName": "gold"}})),
            row(SELECTION, &json!({
                "BackupPlanId": "p-1",
                "BackupSelection": {
                    "SelectionName": "tagged", "IamRoleArn": "arn:x", "Resources": [], "NotResources": [], "Conditions": {"StringEquals": []},
                    "ListOfTags": [
                        {"ConditionKey": "backup", "ConditionValue": "daily", "ConditionType": "STRINGEQUALS"},
                        {"ConditionKey": "other", "ConditionValue": "x", "ConditionType": "STRINGLIKE"},
                        {"ConditionValue": "no key"}, 5,
                    ],
                },
            })),
            // As text, with other capitals, and of a plan that is not recorded.
            row(SELECTION, &json!(json!({
                "backupPlanId": "p-2", "backupSelection": {"selectionName": "listed", "resources": "arn:aws:rds:*:*:cluster:*"},
            }).to_string())),
        ];
        let expected = [
            Selection {
                plan: "gold".into(),
                name: "tagged".into(),
                tags: vec![("backup".into(), "daily".into())],
                resources: vec![],
            },
            Selection {
                plan: "p-2".into(),
                name: "listed".into(),
                tags: vec![],
                resources: vec!["arn:aws:rds:*:*:cluster:*".into()],
            },
        ];
        assert_eq!(selections(&rows), expected);
    }

    #[test]
    fn what_nobody_could_give_advice_about_is_left_out() {
        let narrowed = |what: &str, with: Value| {
            let mut of = json!({"SelectionName": "s", "Resources": ["*"]});
            of[what] = with;
            selections(&[row(SELECTION, &json!({"BackupPlanId": "p-1", "BackupSelection": of}))])
        };
        let condition = json!({"StringEquals": [{"ConditionKey": "aws:ResourceTag/stage", "ConditionValue": "prod"}]});
        assert_eq!(narrowed("Conditions", condition), []);
        assert_eq!(narrowed("NotResources", json!(["arn:aws:ec2:*"])), []);
        assert_eq!(narrowed("NotResources", json!([])).len(), 1);
        for odd in [json!(null), json!({}), json!("no JSON"), json!({"BackupSelection": 5})] {
            // A selection without a name of its own has that of its row.
            let found = selections(&[row(SELECTION, &odd)]);
            assert!(
                found.iter().all(|selection| selection.name == "r-1" && selection.tags.is_empty()),
                "{odd} {found:?}"
            );
        }
        assert_eq!(selections(&[json!(5), json!({}), row("AWS::S3::Bucket", &json!({}))]), []);
    }
}
