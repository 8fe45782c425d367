//! Backup plans and their selections, as far as AWS Config records them.

use std::collections::BTreeMap;

use serde_json::Value;
use tracing::warn;

use app::inventory::{InvalidRow, Rows};
use app::ports::Result;
use app::violations::BackupPlans;
use evaluation::inventory::document::{
    Conditions, CopyAction, Lifecycle, Plan, PlanPart, Rule, RulePart, Selection, SelectionPart, TagValue,
};
use framework::ids::{AccountId, RegionName};

use super::ConfigAggregator;
use super::query::{COMMON, configuration, field, list, location, owned, text};

pub(super) const PLAN: &str = "AWS::Backup::BackupPlan";
pub(super) const SELECTION: &str = "AWS::Backup::BackupSelection";

impl BackupPlans for ConfigAggregator {
    async fn plans(&self, account: &AccountId, region: &RegionName) -> Result<Vec<Plan>> {
        if self.name.is_none() {
            return Ok(Vec::new());
        }
        let expression = format!(
            "SELECT {COMMON}, configuration WHERE resourceType IN ('{PLAN}', '{SELECTION}') \
             AND accountId = '{account}' AND awsRegion = '{region}'"
        );
        let Rows { items, invalid } = plans(&self.in_time(self.select(&expression)).await?);
        for InvalidRow { message, .. } in invalid {
            warn!(%account, %region, message, "a backup plan or selection is invalid and ignored in remediation options");
        }
        Ok(items)
    }
}

pub(super) fn plans(rows: &[Value]) -> Rows<Plan> {
    let of_type = |kind: &'static str| rows.iter().filter(move |row| text(row, "resourceType") == Some(kind));
    let mut plans = read(of_type(PLAN), plan);
    let selections = read(of_type(SELECTION), selection);
    for (account, region, plan, selection) in selections.items {
        let own = plans.items.iter_mut().find(|of| of.id == plan && of.account == account && of.region == region);
        match own {
            Some(plan) => plan.selections.push(selection),
            None => {
                let message = format!("the plan {plan} of the selection {} is not recorded", selection.name);
                plans.invalid.push(InvalidRow { location: Some((account, region)), message });
            }
        }
    }
    plans.invalid.extend(selections.invalid);
    plans
}

pub(super) fn read<'v, T>(
    rows: impl IntoIterator<Item = &'v Value>,
    item: impl Fn(&Value, &AccountId, &RegionName) -> Result<T, String>,
) -> Rows<T> {
    let mut found = Rows::default();
    for row in rows {
        let named = text(row, "arn").or_else(|| text(row, "resourceId")).unwrap_or("a resource without an id");
        let location = location(row);
        let item = match &location {
            Some((account, region)) => item(row, account, region).map_err(|why| format!("{named}, but {why}")),
            None => {
                let shown = |path| text(row, path).unwrap_or("none");
                let (account, region) = (shown("accountId"), shown("awsRegion"));
                Err(format!("{named} with the invalid account {account} or Region {region}"))
            }
        };
        match item {
            Ok(item) => found.items.push(item),
            Err(why) => found.invalid.push(InvalidRow { location, message: format!("AWS Config recorded {why}") }),
        }
    }
    found
}

/// Parses a boolean, or a string with one.
pub(super) fn truth(row: &Value, path: &str) -> Option<bool> {
    match field(row, path)? {
        Value::Bool(value) => Some(*value),
        Value::String(word) => word.parse().ok(),
        _ => None,
    }
}

/// Returns the tags of a row; `None` if the row has no tags property.
pub(super) fn tags(row: &Value) -> Option<BTreeMap<String, String>> {
    field(row, "tags").filter(|tags| !tags.is_null()).map(|_| super::query::tags(row))
}

/// Parses a number of days; `Err` for any other value.
fn days(row: &Value, path: &str) -> Result<Option<i64>, ()> {
    match field(row, path) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or(()),
    }
}

pub(super) fn lifecycle(of: &Value, path: &str) -> Result<Lifecycle, ()> {
    Ok(Lifecycle {
        cold_after_days: days(of, &format!("{path}.MoveToColdStorageAfterDays"))?,
        delete_after_days: days(of, &format!("{path}.DeleteAfterDays"))?,
    })
}

fn plan(row: &Value, account: &AccountId, region: &RegionName) -> Result<Plan, String> {
    let of = configuration(row).ok_or("its configuration is not recorded")?;
    let rules = ["BackupPlan.BackupPlanRule", "BackupPlan.Rules"];
    let rules = rules.iter().find(|path| field(&of, path).is_some()).ok_or("its rules are not recorded")?;
    let own_tags = tags(row);
    let unread = if own_tags.is_some() { Vec::new() } else { vec![PlanPart::Tags] };
    Ok(Plan {
        id: owned(&of, "BackupPlanId").or_else(|| owned(row, "resourceId")).ok_or("it has no id")?,
        name: owned(&of, "BackupPlan.BackupPlanName").or_else(|| owned(row, "resourceName")).ok_or("it has no name")?,
        account: account.clone(),
        region: region.clone(),
        tags: own_tags.unwrap_or_default(),
        rules: list(&of, rules).into_iter().map(rule).collect::<Result<_, _>>()?,
        selections: Vec::new(),
        unread,
    })
}

fn rule(of: &Value) -> Result<Rule, String> {
    let name = owned(of, "RuleName").unwrap_or_default();
    let minutes = |path: &str| match field(of, path) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let minutes = value.as_u64().and_then(|minutes| u32::try_from(minutes).ok());
            minutes.map(Some).ok_or_else(|| format!("{path} of its rule {name} is {value}"))
        }
    };
    let mut unread = Vec::new();
    let mut known = |found: Result<Lifecycle, ()>, part| {
        found.unwrap_or_else(|()| {
            unread.push(part);
            Lifecycle::default()
        })
    };
    let of_rule = known(lifecycle(of, "Lifecycle"), RulePart::Lifecycle);
    let mut copies = Vec::new();
    for copy in list(of, "CopyActions") {
        let vault = owned(copy, "DestinationBackupVaultArn").ok_or("a copy has no target vault")?;
        copies.push(CopyAction { vault, lifecycle: known(lifecycle(copy, "Lifecycle"), RulePart::Copies) });
    }
    let target = owned(of, "TargetBackupVault").or_else(|| owned(of, "TargetBackupVaultName"));
    let windows = (minutes("StartWindowMinutes")?, minutes("CompletionWindowMinutes")?);
    Ok(Rule {
        schedule: owned(of, "ScheduleExpression"),
        target_air_gapped_vault: owned(of, "TargetLogicallyAirGappedBackupVaultArn"),
        target_vault: target.ok_or_else(|| format!("its rule {name} has no target vault"))?,
        lifecycle: of_rule,
        // An invalid value may mean true: then a schedule that is too infrequent is undecided.
        continuous: field(of, "EnableContinuousBackup")
            .is_some_and(|flag| !flag.is_null() && truth(of, "EnableContinuousBackup") != Some(false)),
        copies,
        start_window_minutes: windows.0,
        completion_window_minutes: windows.1,
        unread,
        name,
    })
}

/// Returns a selection with its location and plan id.
fn selection(
    row: &Value,
    account: &AccountId,
    region: &RegionName,
) -> Result<(AccountId, RegionName, String, Selection), String> {
    let configuration = configuration(row).ok_or("its configuration is not recorded")?;
    let of = field(&configuration, "BackupSelection").ok_or("its configuration is not recorded")?;
    let plan = owned(&configuration, "BackupPlanId").ok_or("it has no BackupPlanId")?;
    let texts = |path| list(of, path).into_iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect();
    let pairs = |of: &Value, path| {
        let pairs = list(of, path).into_iter().map(|pair| {
            let value = field(pair, "ConditionValue").and_then(Value::as_str).unwrap_or_default().to_owned();
            Some(TagValue { key: owned(pair, "ConditionKey")?, value })
        });
        pairs.collect::<Option<Vec<_>>>().ok_or_else(|| format!("a part of its {path} has no key"))
    };
    // Parts that the row does not show are unknown: queries are documented to show neither.
    let mut unread = Vec::new();
    let mut shown = |path, part| {
        let found = field(of, path);
        if found.is_none() {
            unread.push(part);
        }
        found
    };
    let tagged = shown("ListOfTags", SelectionPart::ListOfTags).is_some();
    let conditions = match shown("Conditions", SelectionPart::Conditions) {
        None | Some(Value::Null) => Conditions::default(),
        Some(of) => Conditions {
            string_equals: pairs(of, "StringEquals")?,
            string_not_equals: pairs(of, "StringNotEquals")?,
            string_like: pairs(of, "StringLike")?,
            string_not_like: pairs(of, "StringNotLike")?,
        },
    };
    let selection = Selection {
        id: owned(&configuration, "SelectionId").unwrap_or_default(),
        name: owned(of, "SelectionName").or_else(|| owned(row, "resourceName")).ok_or("it has no name")?,
        resources: texts("Resources"),
        not_resources: texts("NotResources"),
        list_of_tags: if tagged { pairs(of, "ListOfTags")? } else { Vec::new() },
        conditions,
        unread,
    };
    Ok((account.clone(), region.clone(), plan, selection))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(kind: &str, more: &Value) -> Value {
        let mut row = json!({
            "accountId": "222222222222", "awsRegion": "eu-west-1", "resourceType": kind, "resourceId": "r-1",
            "arn": "arn:aws:rds:eu-west-1:222222222222:db:one", "tags": [{"key": "a", "value": "b", "tag": "a=b"}],
        });
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    }

    #[test]
    fn absent_selection_properties_are_unread() {
        let documented = json!({"BackupPlanId": "p", "SelectionId": "s", "BackupSelection": {
            "SelectionName": "one", "Resources": ["*"], "NotResources": null,
        }});
        let found = read(&[row(SELECTION, &json!({"configuration": documented}))], selection);
        let (_, _, plan, of) = &found.items[0];
        assert_eq!((plan.as_str(), of.resources.len()), ("p", 1));
        assert_eq!(of.unread, [SelectionPart::ListOfTags, SelectionPart::Conditions]);
        let more = json!({"BackupPlanId": "p", "BackupSelection": {"SelectionName": "one", "Conditions": {},
            "ListOfTags": [{"ConditionType": "STRINGEQUALS", "ConditionKey": "k", "ConditionValue": "v"}]}});
        let found = read(&[row(SELECTION, &json!({"configuration": more}))], selection);
        assert_eq!((found.items[0].3.unread.len(), found.items[0].3.list_of_tags.len()), (0, 1));
    }

    #[test]
    fn rule_with_invalid_numbers_is_invalid() {
        let plan_of = |rule: Value| {
            let of = json!({"BackupPlanId": "p", "BackupPlan": {"BackupPlanName": "n", "BackupPlanRule": [rule]}});
            read(&[row(PLAN, &json!({"configuration": of}))], plan)
        };
        let found = plan_of(json!({"RuleName": "r", "TargetBackupVault": "v", "StartWindowMinutes": 60}));
        assert_eq!(found.items[0].rules[0].start_window_minutes, Some(60));
        let invalid = plan_of(json!({"RuleName": "r", "TargetBackupVault": "v", "StartWindowMinutes": -1}));
        assert!(invalid.invalid[0].message.contains("StartWindowMinutes of its rule r is -1"), "{:?}", invalid.invalid);
        let invalid = plan_of(json!({"RuleName": "r"}));
        assert!(invalid.invalid[0].message.contains("has no target vault"), "{:?}", invalid.invalid);
        let days = plan_of(json!({"RuleName": "r", "TargetBackupVault": "v", "Lifecycle": {"DeleteAfterDays": 3.5}}));
        assert_eq!(days.items[0].rules[0].unread, [RulePart::Lifecycle]);
    }

    #[test]
    fn selections_join_their_recorded_plans() {
        let of = |kind: &str, configuration: Value| row(kind, &json!({"configuration": configuration}));
        let gold = json!({"BackupPlanId": "p-1", "BackupPlan": {"BackupPlanName": "gold", "BackupPlanRule": []}});
        let tagged = json!({"BackupPlanId": "p-1", "BackupSelection": {
            "SelectionName": "tagged", "Resources": [], "NotResources": ["arn:aws:ec2:*"], "Conditions": {"StringEquals": [
                {"ConditionKey": "aws:ResourceTag/stage", "ConditionValue": "prod"},
            ]},
            "ListOfTags": [{"ConditionKey": "backup", "ConditionValue": "daily", "ConditionType": "STRINGEQUALS"}],
        }});
        // As text, with other capitals, and of a plan that is not recorded.
        let listed = json!({"backupPlanId": "p-2", "backupSelection": {"selectionName": "listed", "resources": "arn:aws:rds:*"}});
        let Rows { items, invalid } = plans(&[
            of(SELECTION, tagged),
            of(PLAN, gold),
            of(SELECTION, json!(listed.to_string())),
            json!(5),
            json!({}),
        ]);
        assert_eq!((items.len(), items[0].name.as_str(), items[0].selections.len()), (1, "gold", 1));
        let selection = &items[0].selections[0];
        assert_eq!((selection.name.as_str(), selection.list_of_tags[0].value.as_str()), ("tagged", "daily"));
        assert_eq!(selection.conditions.string_equals[0].tag(), Some("stage"));
        assert_eq!((selection.not_resources.len(), selection.unread.len()), (1, 0));
        assert_eq!(invalid.len(), 1, "{invalid:?}");
        assert!(invalid[0].message.contains("p-2"), "{invalid:?}");
    }
}
