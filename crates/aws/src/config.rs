//! What AWS Config knows of resources, through the organisation's aggregator.

use crate::error::wrap;
use app::ports::{ResourceDirectory, ResourceId, Result};
use aws_sdk_config::types::{AggregateResourceIdentifier, ResourceType};
use domain::ids::{AccountId, RegionName};
use domain::notice::ResourceFacts;
use std::collections::BTreeMap;

/// `BatchGetAggregateResourceConfig` takes at most 100 resources.
const BATCH: usize = 100;

/// An aggregator, if there is one.
#[derive(Debug, Clone)]
pub struct ConfigAggregator {
    client: aws_sdk_config::Client,
    name: Option<String>,
}

impl ConfigAggregator {
    /// The aggregator of this name; without a name, nothing is known of any resource.
    #[must_use]
    pub fn new(client: aws_sdk_config::Client, name: Option<String>) -> Self {
        Self { client, name }
    }
}

impl ResourceDirectory for ConfigAggregator {
    async fn look_up(&self, resources: &[ResourceId]) -> Result<BTreeMap<ResourceId, ResourceFacts>> {
        const OPERATION: &str = "config:BatchGetAggregateResourceConfig";
        let mut known = BTreeMap::new();
        let Some(name) = &self.name else { return Ok(known) };
        for batch in resources.chunks(BATCH) {
            let identifiers: Vec<_> = batch.iter().filter_map(identifier).collect();
            if identifiers.is_empty() {
                continue;
            }
            let answer = self
                .client
                .batch_get_aggregate_resource_config()
                .configuration_aggregator_name(name)
                .set_resource_identifiers(Some(identifiers))
                .send()
                .await
                .map_err(|error| wrap(OPERATION, &error))?;
            for item in answer.base_configuration_items() {
                let (Ok(account), Ok(region), Some(kind), Some(id)) = (
                    AccountId::parse(item.account_id().unwrap_or_default()),
                    RegionName::parse(item.aws_region().unwrap_or_default()),
                    item.resource_type(),
                    item.resource_id(),
                ) else {
                    continue;
                };
                let text = |value: Option<&str>| value.filter(|text| !text.is_empty()).map(ToOwned::to_owned);
                known.insert(
                    ResourceId { account, region, kind: kind.as_str().to_owned(), id: id.to_owned() },
                    ResourceFacts { name: text(item.resource_name()), arn: text(item.arn()) },
                );
            }
        }
        Ok(known)
    }
}

/// How the API names a resource; nothing for a type that it does not have: one of those would have the whole batch refused.
fn identifier(resource: &ResourceId) -> Option<AggregateResourceIdentifier> {
    if !ResourceType::values().contains(&resource.kind.as_str()) {
        return None;
    }
    AggregateResourceIdentifier::builder()
        .source_account_id(resource.account.as_str())
        .source_region(resource.region.as_str())
        .resource_type(ResourceType::from(resource.kind.as_str()))
        .resource_id(&resource.id)
        .build()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(kind: &str) -> ResourceId {
        ResourceId {
            account: AccountId::parse("222222222222").unwrap(),
            region: RegionName::parse("eu-west-1").unwrap(),
            kind: kind.into(),
            id: "an-id".into(),
        }
    }

    #[test]
    fn a_type_that_the_api_does_not_have_is_left_out() {
        assert!(identifier(&resource("AWS::RDS::DBCluster")).is_some());
        assert!(identifier(&resource("AWS::Backup::RecoveryPoint")).is_some());
        assert!(identifier(&resource("AWS::BackupGateway::VirtualMachine")).is_none());
    }
}
