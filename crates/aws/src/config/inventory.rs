//! What an inventory is made of, as far as the aggregator has it recorded.

use super::ConfigAggregator;
use super::query::{configuration, field, list, literal, text};
use crate::error::unexpected;
use app::inventory::{Narrowed, Odd, Recorded, Rows, Source};
use app::ports::Result;
use domain::ids::{AccountId, RegionName, ResourceType};
use domain::inventory::document::{
    Conditions, CopyAction, Lifecycle, Plan, PlanPart, RecoveryPoint, RecoveryPointPart, RecoveryPointStatus, Resource,
    ResourcePart, Rule, RulePart, Selection, SelectionPart, TagValue, Vault, VaultKind, VaultPart,
};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;

const PLAN: &str = "AWS::Backup::BackupPlan";
const SELECTION: &str = "AWS::Backup::BackupSelection";
const VAULT: &str = "AWS::Backup::BackupVault";
const RECOVERY_POINT: &str = "AWS::Backup::RecoveryPoint";
/// What every type has.
const COMMON: &str = "accountId, awsRegion, resourceType, resourceId, resourceName, arn, tags";
/// Accounts that one query names: an expression must be shorter than 4,096 characters, and an account takes 16.
const ACCOUNTS: usize = 150;

/// Paths of a type that a query may name, beside those that all have (github.com/awslabs/aws-config-resource-schema).
fn paths(kind: &str) -> &'static [&'static str] {
    match kind {
        "AWS::RDS::DBCluster" => {
            &["configuration.engine", "configuration.storageEncrypted", "configuration.clusterCreateTime"]
        }
        "AWS::RDS::DBInstance" => &[
            "configuration.engine",
            "configuration.dBClusterIdentifier",
            "configuration.storageEncrypted",
            "configuration.instanceCreateTime",
        ],
        "AWS::EC2::Volume" => &["configuration.encrypted", "configuration.createTime"],
        "AWS::EC2::Instance" => &["configuration.state.name"],
        "AWS::EFS::FileSystem" => &["configuration.Encrypted"],
        "AWS::DynamoDB::Table" => &["configuration.creationDateTime"],
        "AWS::S3::Bucket" => &["configuration.creationDate"],
        RECOVERY_POINT => &[
            "configuration.RecoveryPointArn",
            "configuration.ResourceArn",
            "configuration.BackupVaultArn",
            "configuration.BackupVaultName",
            "configuration.VaultType",
            "configuration.IsEncrypted",
            "configuration.Lifecycle.DeleteAfterDays",
            "configuration.Lifecycle.MoveToColdStorageAfterDays",
            "configuration.CreationDate",
            "configuration.CompletionDate",
            "configuration.Status",
        ],
        // These are few, and their lists only make sense as a whole.
        _ => &["configuration"],
    }
}

/// The queries for a type: one, or more where so many accounts are asked about that one would be too long.
fn expressions(kinds: &[&str], of: &Narrowed) -> Vec<String> {
    let quoted = |texts: &mut dyn Iterator<Item = &str>| texts.filter_map(literal).collect::<Vec<_>>().join(", ");
    let mut paths = kinds.first().map(|kind| paths(kind)).unwrap_or_default().join(", ");
    if !paths.is_empty() {
        paths.insert_str(0, ", ");
    }
    let kinds = quoted(&mut kinds.iter().copied());
    let mut base = format!("SELECT {COMMON}{paths} WHERE resourceType IN ({kinds})");
    if !of.regions.is_empty() {
        base.push_str(&format!(" AND awsRegion IN ({})", quoted(&mut of.regions.iter().map(RegionName::as_str))));
    }
    if of.accounts.is_empty() {
        return vec![base];
    }
    let accounts: Vec<&str> = of.accounts.iter().map(AccountId::as_str).collect();
    let narrower = |chunk: &[&str]| format!("{base} AND accountId IN ({})", quoted(&mut chunk.iter().copied()));
    accounts.chunks(ACCOUNTS).map(narrower).collect()
}

impl ConfigAggregator {
    async fn rows(&self, kinds: &[&str], of: &Narrowed) -> Result<Vec<Value>> {
        const OPERATION: &str = "config:SelectAggregateResourceConfig";
        let name = self.name.as_deref().ok_or_else(|| unexpected(OPERATION, "no aggregator is named"))?;
        let mut rows = Vec::new();
        for expression in expressions(kinds, of) {
            rows.extend(self.select(name, &expression).await?);
        }
        Ok(rows)
    }

    async fn read<T>(
        &self,
        kinds: &[&str],
        of: &Narrowed,
        item: impl Fn(&Value, &AccountId, &RegionName) -> Result<T, String>,
    ) -> Result<Rows<T>> {
        Ok(read(&self.rows(kinds, of).await?, item))
    }
}

fn read<T>(rows: &[Value], item: impl Fn(&Value, &AccountId, &RegionName) -> Result<T, String>) -> Rows<T> {
    let mut found = Rows::default();
    for row in rows {
        let place = text(row, "accountId").and_then(|account| AccountId::parse(account).ok());
        let place = place.zip(text(row, "awsRegion").and_then(|region| RegionName::parse(region).ok()));
        let named = text(row, "arn").or_else(|| text(row, "resourceId")).unwrap_or("a resource without an id");
        let Some((account, region)) = place else {
            let shown = |path| text(row, path).unwrap_or("none");
            let why = format!(
                "AWS Config has {named} in the account {} and the Region {}, which make no place",
                shown("accountId"),
                shown("awsRegion")
            );
            found.odd.push(Odd { place: None, why });
            continue;
        };
        match item(row, &account, &region) {
            Ok(item) => found.items.push(item),
            Err(why) => {
                let why = format!("AWS Config has {named}, and {why}");
                found.odd.push(Odd { place: Some((account, region)), why });
            }
        }
    }
    found
}

impl Recorded for ConfigAggregator {
    async fn sources(&self) -> Result<Vec<Source>> {
        self.source_status().await
    }

    async fn resources(&self, kind: &'static str, of: &Narrowed) -> Result<Rows<Resource>> {
        self.read(&[kind], of, resource).await
    }

    async fn recovery_points(&self, of: &Narrowed) -> Result<Rows<RecoveryPoint>> {
        self.read(&[RECOVERY_POINT], of, recovery_point).await
    }

    async fn plans(&self, of: &Narrowed) -> Result<Rows<Plan>> {
        let rows = self.rows(&[PLAN, SELECTION], of).await?;
        let of_type = |kind: &str| -> Vec<Value> {
            rows.iter().filter(|row| text(row, "resourceType") == Some(kind)).cloned().collect()
        };
        let mut plans = read(&of_type(PLAN), plan);
        let selections = read(&of_type(SELECTION), selection);
        for (account, region, plan, selection) in selections.items {
            let own = plans.items.iter_mut().find(|of| of.id == plan && of.account == account && of.region == region);
            match own {
                Some(plan) => plan.selections.push(selection),
                None => {
                    let why = format!("the selection {} is of the plan {plan}, which is not recorded", selection.name);
                    plans.odd.push(Odd { place: Some((account, region)), why });
                }
            }
        }
        plans.odd.extend(selections.odd);
        Ok(plans)
    }

    async fn vaults(&self, of: &Narrowed) -> Result<Rows<Vault>> {
        self.read(&[VAULT], of, vault).await
    }
}

fn owned(row: &Value, path: &str) -> Option<String> {
    text(row, path).map(ToOwned::to_owned)
}

/// A truth value, or the word for one.
fn truth(row: &Value, path: &str) -> Option<bool> {
    match field(row, path)? {
        Value::Bool(value) => Some(*value),
        Value::String(word) => word.parse().ok(),
        _ => None,
    }
}

/// A moment: as text, or in seconds or milliseconds since 1970.
fn moment(row: &Value, path: &str) -> Option<Timestamp> {
    /// 5138 in seconds, 1973 in milliseconds.
    const MILLISECONDS: f64 = 1e11;
    match field(row, path)? {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => {
            let number = number.as_f64()?;
            let milliseconds = if number < MILLISECONDS { number * 1000.0 } else { number };
            // Larger ones are no time that a timestamp could hold.
            let whole = milliseconds.is_finite() && milliseconds.abs() < 1e15;
            #[expect(clippy::cast_possible_truncation, reason = "fractions of a millisecond do not matter")]
            whole.then(|| Timestamp::from_millisecond(milliseconds as i64).ok()).flatten()
        }
        _ => None,
    }
}

/// The tags of a row; `None` where the row does not tell.
fn tags(row: &Value) -> Option<BTreeMap<String, String>> {
    field(row, "tags").filter(|tags| !tags.is_null()).map(|_| super::resources::tags(row))
}

fn resource(row: &Value, account: &AccountId, region: &RegionName) -> Result<Resource, String> {
    let arn = owned(row, "arn").ok_or("it has no ARN")?;
    let kind = ResourceType::parse(text(row, "resourceType").unwrap_or_default()).map_err(|error| error.to_string())?;
    let of = configuration(row).unwrap_or_default();
    let created = ["clusterCreateTime", "instanceCreateTime", "createTime", "creationDateTime", "creationDate"];
    let created = created.iter().find_map(|path| moment(&of, path));
    let cluster = text(&of, "dBClusterIdentifier").and_then(|cluster| {
        let (head, _) = arn.rsplit_once(":db:")?;
        Some(format!("{head}:cluster:{cluster}"))
    });
    let state = text(&of, "state.name");
    let own_tags = tags(row);
    let unread = if own_tags.is_some() { Vec::new() } else { vec![ResourcePart::Tags] };
    Ok(Resource {
        id: owned(row, "resourceId"),
        name: owned(row, "resourceName"),
        account: account.to_string(),
        region: region.to_string(),
        tags: own_tags.unwrap_or_default().into_iter().map(|(key, value)| (key, Some(value))).collect(),
        cluster,
        engine: owned(&of, "engine"),
        encrypted: truth(&of, "storageEncrypted").or_else(|| truth(&of, "encrypted")),
        created,
        active: state.is_none_or(|state| matches!(state, "running" | "pending")),
        unread,
        arn,
        kind,
    })
}

/// A number of days; `Err` for what is there and is none.
fn days(row: &Value, path: &str) -> Result<Option<i64>, ()> {
    match field(row, path) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or(()),
    }
}

fn lifecycle(of: &Value, path: &str) -> Result<Lifecycle, ()> {
    Ok(Lifecycle {
        cold_after_days: days(of, &format!("{path}.MoveToColdStorageAfterDays"))?,
        delete_after_days: days(of, &format!("{path}.DeleteAfterDays"))?,
    })
}

fn vault_kind(of: &Value) -> Result<Option<VaultKind>, String> {
    match text(of, "VaultType") {
        None => Ok(None),
        Some("BACKUP_VAULT") => Ok(Some(VaultKind::Ordinary)),
        Some("LOGICALLY_AIR_GAPPED_BACKUP_VAULT") => Ok(Some(VaultKind::AirGapped)),
        Some(other) => Err(format!("its vault is of the unknown type {other}")),
    }
}

fn recovery_point(row: &Value, account: &AccountId, region: &RegionName) -> Result<RecoveryPoint, String> {
    let of = configuration(row).ok_or("nothing of it is recorded")?;
    let arn = owned(&of, "RecoveryPointArn").or_else(|| owned(row, "arn"));
    let vault_of_arn = || Some(text(&of, "BackupVaultArn")?.rsplit(':').next()?.to_owned());
    let mut unread = Vec::new();
    let own_tags = tags(row);
    if own_tags.is_none() {
        unread.push(RecoveryPointPart::Tags);
    }
    let lifecycle = lifecycle(&of, "Lifecycle").unwrap_or_else(|()| {
        unread.push(RecoveryPointPart::Lifecycle);
        Lifecycle::default()
    });
    Ok(RecoveryPoint {
        arn: arn.ok_or("it has no ARN")?,
        resource: owned(&of, "ResourceArn").ok_or("it does not say what it is of")?,
        account: account.clone(),
        region: region.clone(),
        vault: owned(&of, "BackupVaultName").or_else(vault_of_arn).ok_or("it does not say which vault it is in")?,
        vault_kind: vault_kind(&of)?,
        tags: own_tags.unwrap_or_default(),
        created: moment(&of, "CreationDate").ok_or("it does not say when it was made")?,
        completed: moment(&of, "CompletionDate"),
        status: status(text(&of, "Status").ok_or("it has no status")?)?,
        lifecycle,
        encrypted: truth(&of, "IsEncrypted"),
        unread,
    })
}

/// How a recovery point stands, by AWS Backup's own word.
pub(crate) fn status(word: &str) -> Result<RecoveryPointStatus, String> {
    serde_json::from_value(Value::from(word)).map_err(|_| format!("its status is the unknown {word}"))
}

fn plan(row: &Value, account: &AccountId, region: &RegionName) -> Result<Plan, String> {
    let of = configuration(row).ok_or("nothing of it is recorded")?;
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
    let kept = known(lifecycle(of, "Lifecycle"), RulePart::Lifecycle);
    let mut copies = Vec::new();
    for copy in list(of, "CopyActions") {
        let vault = owned(copy, "DestinationBackupVaultArn").ok_or("a copy of it goes to no vault")?;
        copies.push(CopyAction { vault, lifecycle: known(lifecycle(copy, "Lifecycle"), RulePart::Copies) });
    }
    let target = owned(of, "TargetBackupVault").or_else(|| owned(of, "TargetBackupVaultName"));
    let (start_window_minutes, completion_window_minutes) =
        (minutes("StartWindowMinutes")?, minutes("CompletionWindowMinutes")?);
    Ok(Rule {
        schedule: owned(of, "ScheduleExpression"),
        target_vault: target.ok_or_else(|| format!("its rule {name} stores into no vault"))?,
        lifecycle: kept,
        // What is there and makes no sense may be so: then a schedule that is too seldom is undecided.
        continuous: field(of, "EnableContinuousBackup")
            .is_some_and(|flag| !flag.is_null() && truth(of, "EnableContinuousBackup") != Some(false)),
        copies,
        start_window_minutes,
        completion_window_minutes,
        unread,
        name,
    })
}

/// A selection with its place and the id of its plan.
fn selection(
    row: &Value,
    account: &AccountId,
    region: &RegionName,
) -> Result<(AccountId, RegionName, String, Selection), String> {
    let configuration = configuration(row).ok_or("nothing of it is recorded")?;
    let of = field(&configuration, "BackupSelection").ok_or("nothing of it is recorded")?;
    let plan = owned(&configuration, "BackupPlanId").ok_or("it is of no plan")?;
    let texts = |path| list(of, path).into_iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect::<Vec<_>>();
    let pairs = |of: &Value, path| {
        let pairs = list(of, path).into_iter().map(|pair| {
            let value = field(pair, "ConditionValue").and_then(Value::as_str).unwrap_or_default().to_owned();
            Some(TagValue { key: owned(pair, "ConditionKey")?, value })
        });
        pairs.collect::<Option<Vec<_>>>().ok_or_else(|| format!("a part of its {path} has no key"))
    };
    // What the queries do not show is not known: they are documented to show neither.
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

fn vault(row: &Value, account: &AccountId, region: &RegionName) -> Result<Vault, String> {
    let of = configuration(row).unwrap_or_default();
    let name =
        owned(&of, "BackupVaultName").or_else(|| owned(row, "resourceName")).or_else(|| owned(row, "resourceId"));
    Ok(Vault {
        name: name.ok_or("it has no name")?,
        account: account.clone(),
        region: region.clone(),
        // Air-gapped ones are recorded as another type.
        kind: vault_kind(&of)?.unwrap_or_default(),
        tags: tags(row).unwrap_or_default(),
        encryption_key: owned(&of, "EncryptionKeyArn"),
        policy: None,
        lock: None,
        unread: vec![VaultPart::Policy, VaultPart::Lock],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::inventory::QUERIED;
    use serde_json::json;

    fn row(kind: &str, more: &Value) -> Value {
        let mut row = json!({
            "accountId": "222222222222", "awsRegion": "eu-west-1", "resourceType": kind, "resourceId": "r-1",
            "arn": "arn:aws:rds:eu-west-1:222222222222:db:one", "tags": [{"key": "a", "value": "b", "tag": "a=b"}],
        });
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    }

    #[test]
    fn queries_name_what_is_needed_and_are_short_enough() {
        for kind in QUERIED {
            let [query] = &expressions(&[kind], &Narrowed::default())[..] else { panic!("{kind}: one query") };
            assert!(query.starts_with("SELECT accountId, awsRegion,") && query.contains("configuration."), "{query}");
            assert!(query.ends_with(&format!("WHERE resourceType IN ('{kind}')")), "{query}");
        }
        let accounts = (0..400_u64).map(|number| AccountId::parse(&format!("{number:012}")).unwrap()).collect();
        let regions = domain::ids::REGIONS.iter().map(|region| RegionName::parse(region).unwrap()).collect();
        let queries = expressions(&[RECOVERY_POINT], &Narrowed { accounts, regions });
        assert_eq!(queries.len(), 3);
        assert!(queries.iter().all(|query| query.len() < super::super::query::LONGEST));
        let named: usize = queries.iter().map(|query| query.matches("'0000").count()).sum();
        assert_eq!(named, 400, "each account once");
    }

    #[test]
    fn resources_are_read_with_what_they_have() {
        let one = row(
            "AWS::RDS::DBInstance",
            &json!({"resourceName": "one", "configuration": {
                "engine": "mysql", "dBClusterIdentifier": "orders", "storageEncrypted": "true", "instanceCreateTime": 1_700_000_000_000_u64,
            }}),
        );
        let Rows { items, odd } = read(&[one], resource);
        assert_eq!(odd, []);
        let found = &items[0];
        assert_eq!(found.cluster.as_deref(), Some("arn:aws:rds:eu-west-1:222222222222:cluster:orders"));
        assert_eq!((found.engine.as_deref(), found.encrypted, found.active), (Some("mysql"), Some(true), true));
        assert_eq!(found.created.unwrap().as_second(), 1_700_000_000);
        assert_eq!(found.tags["a"].as_deref(), Some("b"));
        for (state, active) in [("running", true), ("pending", true), ("stopped", false), ("stopping", false)] {
            let instance = row("AWS::EC2::Instance", &json!({"configuration": {"state": {"name": state}}}));
            assert_eq!(read(&[instance], resource).items[0].active, active, "{state}");
        }
    }

    #[test]
    fn rows_that_make_no_sense_are_named_with_their_place() {
        let good = row("AWS::S3::Bucket", &json!({}));
        let rows = [
            row("AWS::S3::Bucket", &json!({"arn": ""})),
            row("AWS::S3::Bucket", &json!({"awsRegion": "Moon"})),
            row("AWS::S3::Bucket", &json!({"accountId": "12"})),
            json!("text"),
            good,
        ];
        let found = read(&rows, resource);
        assert_eq!(found.items.len(), 1);
        let places: Vec<bool> = found.odd.iter().map(|odd| odd.place.is_some()).collect();
        assert_eq!(places, [true, false, false, false]);
        assert!(found.odd[0].why.contains("it has no ARN"), "{:?}", found.odd);
        assert!(found.odd[1].why.contains("Moon"), "{:?}", found.odd);
    }

    #[test]
    fn recovery_points_are_whole_or_odd() {
        let whole = json!({
            "RecoveryPointArn": "arn:p", "ResourceArn": "arn:r", "BackupVaultArn": "arn:aws:backup:eu-west-1:2:backup-vault:v",
            "Status": "COMPLETED", "CreationDate": "2026-11-26T03:00:00Z", "VaultType": "LOGICALLY_AIR_GAPPED_BACKUP_VAULT",
            "Lifecycle": {"DeleteAfterDays": 35},
        });
        let point = |change: fn(&mut Value)| {
            let mut configuration = whole.clone();
            change(&mut configuration);
            read(&[row(RECOVERY_POINT, &json!({"configuration": configuration}))], recovery_point)
        };
        let found = &point(|_| ()).items[0];
        assert_eq!((found.vault.as_str(), found.vault_kind), ("v", Some(VaultKind::AirGapped)));
        assert_eq!((found.lifecycle.delete_after_days, found.encrypted), (Some(35), None));
        type Change = fn(&mut Value);
        let odd: [(Change, &str); 5] = [
            (|of| of["Status"] = json!("SLEEPING"), "the unknown SLEEPING"),
            (|of| of["Status"] = Value::Null, "no status"),
            (|of| of["CreationDate"] = json!("yesterday"), "when it was made"),
            (|of| of["ResourceArn"] = json!(""), "what it is of"),
            (|of| of["VaultType"] = json!("NEW"), "unknown type NEW"),
        ];
        for (change, said) in odd {
            let found = point(change);
            assert!(found.items.is_empty() && found.odd[0].why.contains(said), "{said}: {:?}", found.odd);
        }
        let days = point(|of| of["Lifecycle"]["DeleteAfterDays"] = json!("soon"));
        assert_eq!(days.items[0].unread, [RecoveryPointPart::Lifecycle], "never zero days, never for ever");
    }

    #[test]
    fn what_queries_do_not_show_of_a_selection_is_unread() {
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
    fn rules_with_numbers_that_are_none_are_odd() {
        let plan_of = |rule: Value| {
            let of = json!({"BackupPlanId": "p", "BackupPlan": {"BackupPlanName": "n", "BackupPlanRule": [rule]}});
            read(&[row(PLAN, &json!({"configuration": of}))], plan)
        };
        let found = plan_of(json!({"RuleName": "r", "TargetBackupVault": "v", "StartWindowMinutes": 60}));
        assert_eq!(found.items[0].rules[0].start_window_minutes, Some(60));
        let odd = plan_of(json!({"RuleName": "r", "TargetBackupVault": "v", "StartWindowMinutes": -1}));
        assert!(odd.odd[0].why.contains("StartWindowMinutes of its rule r is -1"), "{:?}", odd.odd);
        let odd = plan_of(json!({"RuleName": "r"}));
        assert!(odd.odd[0].why.contains("stores into no vault"), "{:?}", odd.odd);
        let days = plan_of(json!({"RuleName": "r", "TargetBackupVault": "v", "Lifecycle": {"DeleteAfterDays": 3.5}}));
        assert_eq!(days.items[0].rules[0].unread, [RulePart::Lifecycle]);
    }
}
