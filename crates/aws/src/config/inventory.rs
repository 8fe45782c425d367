//! Inventory data from the aggregator.

use jiff::Timestamp;
use serde_json::Value;

use app::inventory::{AggregatorSource, InventoryScope, RecordedInventory, Rows};
use app::ports::Result;
use evaluation::inventory::document::{
    Lifecycle, Plan, RecoveryPoint, RecoveryPointPart, RecoveryPointStatus, Resource, ResourcePart, Vault, VaultKind,
    VaultPart,
};
use framework::ids::{AccountId, RegionName, ResourceType};

use super::ConfigAggregator;
use super::plans::{PLAN, SELECTION, lifecycle, plans, read, tags, truth};
use super::query::{COMMON, configuration, field, literal, owned, text};

const VAULT: &str = "AWS::Backup::BackupVault";
const RECOVERY_POINT: &str = "AWS::Backup::RecoveryPoint";
/// Accounts in one query: an expression is shorter than 4,096 characters, and an account takes 16.
const ACCOUNTS: usize = 150;

/// Additional properties of a type (github.com/awslabs/aws-config-resource-schema).
fn paths(kind: &str) -> &'static str {
    match kind {
        "AWS::RDS::DBCluster" => {
            "configuration.engine, configuration.storageEncrypted, configuration.kmsKeyId, configuration.clusterCreateTime"
        }
        "AWS::RDS::DBInstance" => {
            "configuration.engine, configuration.dBClusterIdentifier, configuration.storageEncrypted, \
             configuration.instanceCreateTime"
        }
        "AWS::EC2::Volume" => "configuration.encrypted, configuration.kmsKeyId, configuration.createTime",
        "AWS::EC2::Instance" => "configuration.state.name",
        "AWS::EFS::FileSystem" => "configuration.Encrypted",
        "AWS::DynamoDB::Table" => "configuration.creationDateTime",
        "AWS::S3::Bucket" => "configuration.creationDate",
        RECOVERY_POINT => {
            "configuration.RecoveryPointArn, configuration.ResourceArn, configuration.BackupVaultArn, \
             configuration.BackupVaultName, configuration.VaultType, configuration.IsEncrypted, \
             configuration.Lifecycle.DeleteAfterDays, configuration.Lifecycle.MoveToColdStorageAfterDays, \
             configuration.CreationDate, configuration.CompletionDate, configuration.Status"
        }
        // These types are few, and their lists are needed completely.
        _ => "configuration",
    }
}

/// Returns the queries for a type: several, if the scope has too many accounts for one.
fn expressions(kinds: &[&str], of: &InventoryScope) -> Vec<String> {
    let quoted = |texts: &[&str]| texts.iter().filter_map(|text| literal(text)).collect::<Vec<_>>().join(", ");
    let paths = paths(kinds.first().copied().unwrap_or_default());
    let mut base = format!("SELECT {COMMON}, {paths} WHERE resourceType IN ({})", quoted(kinds));
    if !of.regions.is_empty() {
        let regions: Vec<&str> = of.regions.iter().map(RegionName::as_str).collect();
        base.push_str(&format!(" AND awsRegion IN ({})", quoted(&regions)));
    }
    if of.accounts.is_empty() {
        return vec![base];
    }
    let accounts: Vec<&str> = of.accounts.iter().map(AccountId::as_str).collect();
    accounts.chunks(ACCOUNTS).map(|accounts| format!("{base} AND accountId IN ({})", quoted(accounts))).collect()
}

impl ConfigAggregator {
    async fn rows(&self, kinds: &[&str], of: &InventoryScope) -> Result<Vec<Value>> {
        let mut rows = Vec::new();
        for expression in expressions(kinds, of) {
            rows.extend(self.select(&expression).await?);
        }
        Ok(rows)
    }
}

impl RecordedInventory for ConfigAggregator {
    async fn sources(&self) -> Result<Vec<AggregatorSource>> {
        self.source_status().await
    }

    async fn resources(&self, kind: &'static str, of: &InventoryScope) -> Result<Rows<Resource>> {
        Ok(read(&self.rows(&[kind], of).await?, resource))
    }

    async fn recovery_points(&self, of: &InventoryScope) -> Result<Rows<RecoveryPoint>> {
        Ok(read(&self.rows(&[RECOVERY_POINT], of).await?, recovery_point))
    }

    async fn plans(&self, of: &InventoryScope) -> Result<Rows<Plan>> {
        Ok(plans(&self.rows(&[PLAN, SELECTION], of).await?))
    }

    async fn vaults(&self, of: &InventoryScope) -> Result<Rows<Vault>> {
        Ok(read(&self.rows(&[VAULT], of).await?, vault))
    }
}

/// Parses a time: text, or seconds or milliseconds since 1970.
fn moment(row: &Value, path: &str) -> Option<Timestamp> {
    /// The year 5138 in seconds, 1973 in milliseconds.
    const MILLISECONDS: f64 = 1e11;
    match field(row, path)? {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => {
            let number = number.as_f64()?;
            let milliseconds = if number < MILLISECONDS { number * 1000.0 } else { number };
            // Larger values do not fit into a timestamp.
            let whole = milliseconds.abs() < 1e15;
            #[expect(clippy::cast_possible_truncation, reason = "fractions of a millisecond do not matter")]
            whole.then(|| Timestamp::from_millisecond(milliseconds as i64).ok()).flatten()
        }
        _ => None,
    }
}

fn resource(row: &Value, account: &AccountId, region: &RegionName) -> Result<Resource, String> {
    let arn = owned(row, "arn").ok_or("it has no ARN")?;
    let kind = ResourceType::parse(text(row, "resourceType").unwrap_or_default()).map_err(|error| error.to_string())?;
    let of = configuration(row).unwrap_or_default();
    let created = ["clusterCreateTime", "instanceCreateTime", "createTime", "creationDateTime", "creationDate"];
    let cluster = text(&of, "dBClusterIdentifier").and_then(|cluster| {
        let (head, _) = arn.rsplit_once(":db:")?;
        Some(format!("{head}:cluster:{cluster}"))
    });
    let state = text(&of, "state.name");
    let own_tags = tags(row);
    let unread = own_tags.is_none().then_some(ResourcePart::Tags).into_iter().collect();
    Ok(Resource {
        id: owned(row, "resourceId"),
        name: owned(row, "resourceName"),
        account: account.to_string(),
        region: region.to_string(),
        tags: own_tags.unwrap_or_default().into_iter().map(|(key, value)| (key, Some(value))).collect(),
        cluster,
        engine: owned(&of, "engine"),
        encrypted: truth(&of, "storageEncrypted").or_else(|| truth(&of, "encrypted")),
        encryption_key: owned(&of, "kmsKeyId"),
        aws_managed_key: None,
        latest_restore_minutes: None,
        created: created.iter().find_map(|path| moment(&of, path)),
        active: state.is_none_or(|state| matches!(state, "running" | "pending")),
        unread,
        arn,
        kind,
    })
}

fn vault_kind(of: &Value) -> Result<Option<VaultKind>, String> {
    match text(of, "VaultType") {
        None => Ok(None),
        Some("BACKUP_VAULT") => Ok(Some(VaultKind::Ordinary)),
        Some("LOGICALLY_AIR_GAPPED_BACKUP_VAULT") => Ok(Some(VaultKind::AirGapped)),
        Some(other) => Err(format!("its vault has the unknown type {other}")),
    }
}

fn recovery_point(row: &Value, account: &AccountId, region: &RegionName) -> Result<RecoveryPoint, String> {
    let of = configuration(row).ok_or("its configuration is not recorded")?;
    let arn = owned(&of, "RecoveryPointArn").or_else(|| owned(row, "arn"));
    let vault_of_arn = || Some(text(&of, "BackupVaultArn")?.rsplit(':').next()?.to_owned());
    let own_tags = tags(row);
    let mut unread: Vec<_> = own_tags.is_none().then_some(RecoveryPointPart::Tags).into_iter().collect();
    let lifecycle = lifecycle(&of, "Lifecycle").unwrap_or_else(|()| {
        unread.push(RecoveryPointPart::Lifecycle);
        Lifecycle::default()
    });
    Ok(RecoveryPoint {
        arn: arn.ok_or("it has no ARN")?,
        resource: owned(&of, "ResourceArn").ok_or("it has no ResourceArn")?,
        account: account.clone(),
        region: region.clone(),
        vault: owned(&of, "BackupVaultName").or_else(vault_of_arn).ok_or("it has no vault")?,
        vault_kind: vault_kind(&of)?,
        tags: own_tags.unwrap_or_default(),
        created: moment(&of, "CreationDate").ok_or("it has no CreationDate")?,
        completed: moment(&of, "CompletionDate"),
        status: status(text(&of, "Status").ok_or("it has no status")?)?,
        lifecycle,
        encrypted: truth(&of, "IsEncrypted"),
        unread,
    })
}

pub(crate) fn status(word: &str) -> Result<RecoveryPointStatus, String> {
    serde_json::from_value(Value::from(word)).map_err(|_| format!("its status {word} is unknown"))
}

fn vault(row: &Value, account: &AccountId, region: &RegionName) -> Result<Vault, String> {
    let of = configuration(row).unwrap_or_default();
    let name =
        owned(&of, "BackupVaultName").or_else(|| owned(row, "resourceName")).or_else(|| owned(row, "resourceId"));
    Ok(Vault {
        name: name.ok_or("it has no name")?,
        account: account.clone(),
        region: region.clone(),
        // Air-gapped vaults are recorded as another type.
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
    use serde_json::json;

    use app::inventory::QUERIED;

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
    fn queries_select_needed_paths_within_the_limit() {
        for kind in QUERIED {
            let [query] = &expressions(&[kind], &InventoryScope::default())[..] else { panic!("{kind}: one query") };
            assert!(query.starts_with("SELECT accountId, awsRegion,") && query.contains("configuration."), "{query}");
            assert!(query.ends_with(&format!("WHERE resourceType IN ('{kind}')")), "{query}");
        }
        let accounts = (0..400_u64).map(|number| AccountId::parse(&format!("{number:012}")).unwrap()).collect();
        let regions = framework::ids::REGIONS.iter().map(|region| RegionName::parse(region).unwrap()).collect();
        let queries = expressions(&[RECOVERY_POINT], &InventoryScope { accounts, regions });
        assert_eq!(queries.len(), 3);
        assert!(queries.iter().all(|query| query.len() < super::super::query::LONGEST));
        let named: usize = queries.iter().map(|query| query.matches("'0000").count()).sum();
        assert_eq!(named, 400, "each account once");
    }

    #[test]
    fn resource_rows_yield_all_properties() {
        let one = row(
            "AWS::RDS::DBInstance",
            &json!({"resourceName": "one", "configuration": {
                "engine": "mysql", "dBClusterIdentifier": "orders", "storageEncrypted": "true", "instanceCreateTime": 1_700_000_000_000_u64,
            }}),
        );
        let Rows { items, invalid } = read(&[one], resource);
        assert_eq!(invalid, []);
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
    fn invalid_rows_are_reported_with_location() {
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
        let locations: Vec<bool> = found.invalid.iter().map(|invalid| invalid.location.is_some()).collect();
        assert_eq!(locations, [true, false, false, false]);
        assert!(found.invalid[0].message.contains("it has no ARN"), "{:?}", found.invalid);
        assert!(found.invalid[1].message.contains("Moon"), "{:?}", found.invalid);
    }

    #[test]
    fn recovery_point_rows_are_complete_or_invalid() {
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
        let invalid: [(Change, &str); 5] = [
            (|of| of["Status"] = json!("SLEEPING"), "status SLEEPING is unknown"),
            (|of| of["Status"] = Value::Null, "no status"),
            (|of| of["CreationDate"] = json!("yesterday"), "no CreationDate"),
            (|of| of["ResourceArn"] = json!(""), "no ResourceArn"),
            (|of| of["VaultType"] = json!("NEW"), "unknown type NEW"),
        ];
        for (change, message_of) in invalid {
            let found = point(change);
            assert!(
                found.items.is_empty() && found.invalid[0].message.contains(message_of),
                "{message_of}: {:?}",
                found.invalid
            );
        }
        let days = point(|of| of["Lifecycle"]["DeleteAfterDays"] = json!("soon"));
        assert_eq!(days.items[0].unread, [RecoveryPointPart::Lifecycle], "never zero days, never for ever");
    }
}
