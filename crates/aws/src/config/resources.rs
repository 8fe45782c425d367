//! Names, ARNs and tags of resources.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_config::types::{AggregateResourceIdentifier, ResourceType};
use serde_json::Value;
use tracing::warn;

use app::ports::{PortErrorKind, Result};
use app::violations::{ResourceDirectory, ResourceId};
use domain::violation::ResourceDetails;
use framework::ids::{AccountId, RegionName};

use super::ConfigAggregator;
use super::query::{COMMON, LONGEST, literal, location, owned, tags};
use crate::error::wrap;

/// The maximum of `BatchGetAggregateResourceConfig`.
const BATCH: usize = 100;

impl ResourceDirectory for ConfigAggregator {
    async fn look_up(&self, resources: &[ResourceId]) -> Result<BTreeMap<ResourceId, ResourceDetails>> {
        self.in_time(self.known(resources)).await
    }
}

impl ConfigAggregator {
    async fn known(&self, resources: &[ResourceId]) -> Result<BTreeMap<ResourceId, ResourceDetails>> {
        let mut known = BTreeMap::new();
        if self.name.is_none() {
            return Ok(known);
        }
        let wanted: BTreeSet<&ResourceId> = resources.iter().collect();
        for expression in expressions(&wanted) {
            let rows = match self.select(&expression).await {
                Err(error) if error.kind == PortErrorKind::Rejected => {
                    warn!(%error, "the query for resources was rejected; their tags are unknown");
                    continue;
                }
                rows => rows?,
            };
            known.extend(rows.iter().filter_map(resource).filter(|(id, _)| wanted.contains(id)));
        }
        // Some types are recorded but cannot be queried, so their tags are not available.
        let rest: Vec<&ResourceId> = wanted.into_iter().filter(|id| !known.contains_key(*id)).collect();
        for batch in rest.chunks(BATCH) {
            known.extend(self.items(batch).await?);
        }
        Ok(known)
    }

    /// Looks up resources without tags.
    async fn items(&self, batch: &[&ResourceId]) -> Result<Vec<(ResourceId, ResourceDetails)>> {
        const OPERATION: &str = "config:BatchGetAggregateResourceConfig";
        let identifiers: Vec<_> = batch.iter().filter_map(|resource| identifier(resource)).collect();
        if identifiers.is_empty() {
            return Ok(Vec::new());
        }
        let request = self.client.batch_get_aggregate_resource_config().set_resource_identifiers(Some(identifiers));
        let request = request.configuration_aggregator_name(self.name(OPERATION)?);
        let answer = request.send().await.map_err(wrap(OPERATION))?;
        let items = answer.base_configuration_items().iter().filter_map(|item| {
            let account = AccountId::parse(item.account_id()?).ok()?;
            let region = RegionName::parse(item.aws_region()?).ok()?;
            let (kind, id) = (item.resource_type()?.as_str().to_owned(), item.resource_id()?.to_owned());
            let text = |value: Option<&str>| value.filter(|text| !text.is_empty()).map(ToOwned::to_owned);
            let (name, arn) = (text(item.resource_name()), text(item.arn()));
            Some((ResourceId { account, region, kind, id }, ResourceDetails { name, arn, tags: BTreeMap::new() }))
        });
        Ok(items.collect())
    }
}

/// Queries within the length limit. They may also match other resources with the same id, which the caller filters out.
fn expressions(wanted: &BTreeSet<&ResourceId>) -> Vec<String> {
    let mut expressions: Vec<String> = Vec::new();
    let (mut ids, mut accounts) = (BTreeSet::new(), BTreeSet::new());
    for resource in wanted {
        let (Some(id), Some(account)) = (literal(&resource.id), literal(resource.account.as_str())) else { continue };
        ids.insert(id.clone());
        accounts.insert(account.clone());
        let longer = expression(&ids, &accounts);
        match expressions.last_mut() {
            Some(last) if longer.len() < LONGEST => *last = longer,
            _ => {
                (ids, accounts) = (BTreeSet::from([id]), BTreeSet::from([account]));
                expressions.push(expression(&ids, &accounts));
            }
        }
    }
    // A resource whose id exceeds the limit is looked up by its identifier.
    expressions.retain(|expression| expression.len() < LONGEST);
    expressions
}

fn expression(ids: &BTreeSet<String>, accounts: &BTreeSet<String>) -> String {
    let listed = |literals: &BTreeSet<String>| literals.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    format!("SELECT {COMMON} WHERE resourceId IN ({}) AND accountId IN ({})", listed(ids), listed(accounts))
}

fn resource(row: &Value) -> Option<(ResourceId, ResourceDetails)> {
    let (account, region) = location(row)?;
    let id = ResourceId { account, region, kind: owned(row, "resourceType")?, id: owned(row, "resourceId")? };
    Some((id, ResourceDetails { name: owned(row, "resourceName"), arn: owned(row, "arn"), tags: tags(row) }))
}

/// `None` for a type that the API rejects: one of those would fail the whole batch.
fn identifier(resource: &ResourceId) -> Option<AggregateResourceIdentifier> {
    let kind = ResourceType::try_parse(&resource.kind).ok()?;
    let identifier = AggregateResourceIdentifier::builder().source_account_id(resource.account.as_str());
    let identifier = identifier.source_region(resource.region.as_str()).resource_type(kind);
    identifier.resource_id(&resource.id).build().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resource_of(account: u64, kind: &str, id: &str) -> ResourceId {
        ResourceId {
            account: AccountId::parse(&format!("{account:012}")).unwrap(),
            region: RegionName::parse("eu-west-1").unwrap(),
            kind: kind.into(),
            id: id.into(),
        }
    }

    #[test]
    fn type_unknown_to_the_api_has_no_identifier() {
        let identifier = |kind| identifier(&resource_of(222_222_222_222, kind, "an-id"));
        assert!(identifier("AWS::RDS::DBCluster").is_some());
        assert!(identifier("AWS::Backup::RecoveryPoint").is_some());
        assert!(identifier("AWS::BackupGateway::VirtualMachine").is_none());
    }

    #[test]
    fn queries_fit_the_limit_and_name_each_resource_once() {
        let resources: Vec<ResourceId> = (0..500)
            .map(|n| resource_of(n % 90, "AWS::RDS::DBCluster", &format!("cluster-7XK3Q2EXAMPLE5NWQ4-{n}")))
            .collect();
        let wanted: BTreeSet<&ResourceId> = resources.iter().collect();
        let expressions = expressions(&wanted);
        assert!(expressions.iter().all(|expression| expression.len() < LONGEST));
        for resource in &resources {
            let (id, account) = (format!("'{}'", resource.id), format!("'{}'", resource.account));
            let naming = expressions.iter().filter(|expression| expression.contains(&id)).collect::<Vec<_>>();
            assert_eq!(naming.len(), 1, "{id}");
            assert!(naming[0].contains(&account), "{id}");
        }
        // Each query except the last is nearly full.
        let (_, full) = expressions.split_last().unwrap();
        assert!(full.iter().all(|expression| expression.len() > LONGEST - 80), "{:?}", full.iter().map(String::len));
    }

    #[test]
    fn unquotable_or_long_ids_are_not_queried() {
        let long = "x".repeat(LONGEST);
        let resources = ["a' OR 'a' = 'a", "fine", &long, "also-fine"].map(|id| resource_of(1, "AWS::S3::Bucket", id));
        let found = expressions(&resources.iter().collect());
        let all = found.join("\n");
        assert!(all.contains("'fine'") && all.contains("'also-fine'") && !all.contains(" OR "), "{all}");
        assert!(found.iter().all(|expression| expression.len() < LONGEST));
        assert_eq!(expressions(&BTreeSet::new()), Vec::<String>::new());
    }

    #[test]
    fn facts_rows_yield_all_properties() {
        let whole = json!({
            "accountId": "000000000001", "awsRegion": "eu-west-1", "resourceType": "AWS::RDS::DBCluster", "resourceId": "c-1",
            "resourceName": "orders", "arn": "arn:x",
            "tags": [{"key": "owner", "value": "ada", "tag": "owner=ada"}, {"key": "bare"}, {"value": "no key"}, 5, null],
        });
        let (id, facts) = resource(&whole).unwrap();
        assert_eq!(id, resource_of(1, "AWS::RDS::DBCluster", "c-1"));
        assert_eq!((facts.name.as_deref(), facts.arn.as_deref()), (Some("orders"), Some("arn:x")));
        assert_eq!(facts.tags, BTreeMap::from([("owner".into(), "ada".into()), ("bare".into(), String::new())]));
        let mut other = whole.clone();
        other["tags"] = json!({"owner": "ada", "odd": 5});
        assert_eq!(resource(&other).unwrap().1.tags, BTreeMap::from([("owner".into(), "ada".into())]));
        other["tags"] = json!(null);
        other["resourceName"] = json!("");
        other["arn"] = json!(null);
        assert_eq!(resource(&other).unwrap().1, ResourceDetails::default());
        for (name, wrong) in
            [("accountId", json!("12")), ("awsRegion", json!("nowhere-1")), ("resourceId", json!(null))]
        {
            let mut row = whole.clone();
            row[name] = wrong;
            assert!(resource(&row).is_none(), "{row}");
        }
        assert!(resource(&json!("text")).is_none());
    }
}
