//! The content of the organization: every account and Region alike.

use anyhow::Context as _;
use serde::Serialize;
use serde_json::json;

use evaluation::inventory::document::{RecoveryPoint, Resource, Rule, Selection, Vault};
use framework::ids::{AccountId, Location, RegionName};

const REGIONS: [&str; 4] = ["eu-central-1", "eu-west-1", "us-east-1", "us-west-2"];
/// Plans, selections of each plan, and vaults in each account and Region.
pub(crate) const PLANS: usize = 2;
pub(crate) const SELECTIONS: usize = 2;
pub(crate) const VAULTS: usize = 2;

/// The size of an organization.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct OrganizationSize {
    pub(crate) accounts: usize,
    pub(crate) regions: usize,
    /// Resources in each account and Region.
    pub(crate) resources: usize,
    /// Recovery points of each resource.
    pub(crate) points: usize,
}

impl OrganizationSize {
    pub(crate) fn locations(self) -> usize {
        self.accounts * self.regions
    }
}

/// The organization, with an example of each item.
#[derive(Debug)]
pub(crate) struct Organization {
    pub(crate) size: OrganizationSize,
    pub(crate) locations: Vec<Location>,
    pub(crate) rule: Rule,
    pub(crate) selection: Selection,
    resource: Resource,
    vault: Vault,
    point: RecoveryPoint,
}

impl Organization {
    pub(crate) fn new(size: OrganizationSize) -> anyhow::Result<Self> {
        let mut locations = Vec::with_capacity(size.locations());
        for number in 0..size.accounts {
            let account = AccountId::parse(&format!("{:012}", 100_000_000_000 + number * 7))?;
            for region in REGIONS.iter().take(size.regions) {
                let region = RegionName::parse(region).ok().context("an unknown Region")?;
                locations.push(Location { account: account.clone(), region });
            }
        }
        let here = json!({"account": "111122223333", "region": "eu-west-1"});
        let with = |mut item: serde_json::Value| {
            if let (Some(item), Some(here)) = (item.as_object_mut(), here.as_object()) {
                item.extend(here.clone());
            }
            item
        };
        let tags = json!({"backup": "daily", "owner": "orders-team@example.com", "environment": "production"});
        Ok(Self {
            size,
            locations,
            rule: serde_json::from_value(
                json!({"name": "daily", "schedule": "cron(0 3 * * ? *)", "targetVault": "vault-0",
                "lifecycle": {"deleteAfterDays": 35}}),
            )?,
            selection: serde_json::from_value(json!({"id": "s", "name": "by-tag",
                "listOfTags": [{"key": "backup", "value": "daily"}]}))?,
            resource: serde_json::from_value(with(
                json!({"arn": "a", "type": "AWS::DynamoDB::Table", "id": "t", "name": "t",
                "created": "2025-01-02T03:04:05Z", "tags": tags}),
            ))?,
            vault: serde_json::from_value(with(json!({"name": "v",
                "encryptionKey": "arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-0000-0000-000000000001"})))?,
            point: serde_json::from_value(with(json!({"arn": "a", "resource": "r", "vault": "v",
                "created": "2026-11-26T03:00:00Z", "completed": "2026-11-26T03:30:00Z",
                "lifecycle": {"deleteAfterDays": 35}, "encrypted": true, "tags": {"backup": "daily"}})))?,
        })
    }

    pub(crate) fn resources(&self, Location { account, region }: &Location) -> Vec<Resource> {
        let resource = |number: usize| Resource {
            arn: format!("arn:aws:dynamodb:{region}:{account}:table/orders-{number}"),
            account: account.to_string(),
            region: region.to_string(),
            id: Some(format!("orders-{number}")),
            ..self.resource.clone()
        };
        (0..self.size.resources).map(resource).collect()
    }

    pub(crate) fn vault(&self, Location { account, region }: &Location, number: usize) -> Vault {
        let (account, region) = (account.clone(), region.clone());
        Vault { name: format!("vault-{number}"), account, region, ..self.vault.clone() }
    }

    /// The recovery points of the first vault.
    pub(crate) fn points(&self, at: &Location) -> Vec<RecoveryPoint> {
        let Location { account, region } = at;
        let mut points = Vec::with_capacity(self.size.resources * self.size.points);
        for (index, resource) in self.resources(at).iter().enumerate() {
            points.extend((0..self.size.points).map(|number| RecoveryPoint {
                arn: format!("arn:aws:backup:{region}:{account}:recovery-point:{index}-{number}"),
                resource: resource.arn.clone(),
                vault: "vault-0".to_owned(),
                account: account.clone(),
                region: region.clone(),
                ..self.point.clone()
            }));
        }
        points
    }
}
