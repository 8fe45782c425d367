//! The stand-in for AWS: an organization behind the rates.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use app::inventory::{
    AggregatorSource, InventoryScope, ListedItem, ListedVault, MemberBackup, RecordedInventory, Recording, Rows,
};
use app::ports::Result;
use evaluation::inventory::document::{Plan, RecoveryPoint, Resource, Rule, Selection, Vault};
use framework::ids::{AccountId, Location};

use crate::organization::{Organization, PLANS, SELECTIONS, VAULTS};
use crate::rates::Rates;

/// An assumption: the time of a call in an account and Region, with the network.
pub(crate) const CALL: Duration = Duration::from_millis(80);
/// An assumption: the time of a page of an advanced query.
pub(crate) const QUERY: Duration = Duration::from_millis(400);
/// Rows in a page of an advanced query: the maximum of `SelectAggregateResourceConfig`.
const QUERY_ROWS: usize = 100;
/// Items in a page of AWS Backup: the maximum.
const LIST_ROWS: usize = 1_000;
const SELECT: &str = "config:SelectAggregateResourceConfig";

/// The stand-in.
#[derive(Debug)]
pub(crate) struct StandIn {
    pub(crate) organization: Organization,
    pub(crate) rates: Rates,
}

impl StandIn {
    async fn call(&self, at: &Location, operation: &'static str) -> Result<()> {
        self.rates.call(&format!("{}/{}", at.account, at.region), operation, CALL).await
    }

    /// Reads a query page by page.
    async fn pages(&self, rows: usize) -> Result<()> {
        for _ in 0..rows.div_ceil(QUERY_ROWS).max(1) {
            self.rates.call("aggregator", SELECT, QUERY).await?;
        }
        Ok(())
    }
}

fn rows<T>(items: Vec<T>) -> Rows<T> {
    Rows { items, invalid: Vec::new() }
}

impl RecordedInventory for &StandIn {
    async fn sources(&self) -> Result<Vec<AggregatorSource>> {
        for _ in 0..self.organization.locations.len().div_ceil(QUERY_ROWS) {
            let operation = "config:DescribeConfigurationAggregatorSourcesStatus";
            self.rates.call("aggregator", operation, CALL).await?;
        }
        let source =
            |at: &Location| AggregatorSource { account: at.account.clone(), region: at.region.clone(), stale: None };
        Ok(self.organization.locations.iter().map(source).collect())
    }

    async fn resources(&self, kind: &'static str, _: &InventoryScope) -> Result<Rows<Resource>> {
        // All resources have one type, which AWS compares restore times of.
        if kind != "AWS::DynamoDB::Table" {
            self.pages(0).await?;
            return Ok(Rows::default());
        }
        self.pages(self.organization.locations.len() * self.organization.size.resources).await?;
        Ok(rows(self.organization.locations.iter().flat_map(|at| self.organization.resources(at)).collect()))
    }

    async fn recovery_points(&self, of: &InventoryScope) -> Result<Rows<RecoveryPoint>> {
        let locations = self.organization.locations.iter().filter(|at| of.includes(&at.account, &at.region));
        let points: Vec<RecoveryPoint> = locations.flat_map(|at| self.organization.points(at)).collect();
        self.pages(points.len()).await?;
        Ok(rows(points))
    }

    async fn plans(&self, _: &InventoryScope) -> Result<Rows<Plan>> {
        self.pages(0).await?;
        Ok(Rows::default())
    }

    async fn vaults(&self, _: &InventoryScope) -> Result<Rows<Vault>> {
        self.pages(0).await?;
        Ok(Rows::default())
    }
}

impl MemberBackup for &StandIn {
    async fn enter(&self, _: &AccountId) -> Result<()> {
        self.rates.call("application", "sts:AssumeRole", CALL).await
    }

    async fn opt_in(&self, at: &Location) -> Result<BTreeMap<String, bool>> {
        self.call(at, "backup:DescribeRegionSettings").await?;
        Ok(["Aurora", "DynamoDB", "EBS", "EC2", "EFS", "RDS", "S3"].map(|name| (name.to_owned(), true)).into())
    }

    async fn recording(&self, at: &Location) -> Result<Recording> {
        self.call(at, "config:DescribeConfigurationRecorderStatus").await?;
        self.call(at, "config:DescribeConfigurationRecorders").await?;
        Ok(Recording::Everything)
    }

    async fn plans(&self, at: &Location) -> Result<Vec<ListedItem>> {
        self.call(at, "backup:ListBackupPlans").await?;
        Ok((0..PLANS).map(|number| listed(format!("plan-{number}"), at)).collect())
    }

    async fn rules(&self, at: &Location, _: &str) -> Result<Vec<Rule>> {
        self.call(at, "backup:GetBackupPlan").await?;
        Ok(vec![self.organization.rule.clone()])
    }

    async fn selections(&self, at: &Location, _: &str) -> Result<Vec<ListedItem>> {
        self.call(at, "backup:ListBackupSelections").await?;
        Ok((0..SELECTIONS).map(|number| listed(format!("selection-{number}"), at)).collect())
    }

    async fn selection(&self, at: &Location, _: &str, selection: &str) -> Result<Selection> {
        self.call(at, "backup:GetBackupSelection").await?;
        Ok(Selection { id: selection.to_owned(), ..self.organization.selection.clone() })
    }

    async fn vaults(&self, at: &Location) -> Result<Vec<ListedVault>> {
        self.call(at, "backup:ListBackupVaults").await?;
        let vault = |number: usize| {
            let vault = self.organization.vault(at, number);
            let arn = format!("arn:aws:backup:{}:{}:backup-vault:{}", at.region, at.account, vault.name);
            ListedVault { vault, arn, lock_is_known: true }
        };
        Ok((0..VAULTS).map(vault).collect())
    }

    async fn vault(&self, at: &Location, _: &str) -> Result<Vault> {
        self.call(at, "backup:DescribeBackupVault").await?;
        Ok(self.organization.vault(at, 0))
    }

    async fn policy(&self, at: &Location, _: &str) -> Result<Option<String>> {
        self.call(at, "backup:GetBackupVaultAccessPolicy").await?;
        Ok(Some(
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"backup:DeleteRecoveryPoint","Resource":"*"}]}"#
                .to_owned(),
        ))
    }

    async fn tags(&self, at: &Location, _: &str) -> Result<BTreeMap<String, String>> {
        self.call(at, "backup:ListTags").await?;
        Ok([("owner".to_owned(), "platform".to_owned())].into())
    }

    async fn recovery_points(&self, at: &Location, vault: &str) -> Result<Rows<RecoveryPoint>> {
        let points = if vault == "vault-0" { self.organization.points(at) } else { Vec::new() };
        for _ in 0..points.len().div_ceil(LIST_ROWS).max(1) {
            self.call(at, "backup:ListRecoveryPointsByBackupVault").await?;
        }
        Ok(rows(points))
    }

    async fn protected_resources(&self, at: &Location) -> Result<BTreeSet<String>> {
        self.call(at, "backup:ListProtectedResources").await?;
        Ok(self.organization.resources(at).into_iter().map(|resource| resource.arn).collect())
    }

    async fn latest_restore_minutes(&self, at: &Location, _: &str) -> Result<Option<u64>> {
        self.call(at, "backup:DescribeProtectedResource").await?;
        Ok(Some(30))
    }

    async fn is_aws_managed_key(&self, at: &Location, _: &str) -> Result<bool> {
        self.call(at, "kms:DescribeKey").await?;
        Ok(false)
    }

    async fn others(&self, at: &Location, kind: &'static str) -> Result<Rows<Resource>> {
        let operation = match kind {
            "AWS::FSx::FileSystem" => "fsx:DescribeFileSystems",
            "AWS::StorageGateway::Volume" => "storagegateway:ListVolumes",
            _ => "backup-gateway:ListVirtualMachines",
        };
        self.call(at, operation).await?;
        Ok(Rows::default())
    }
}

fn listed(name: String, at: &Location) -> ListedItem {
    let arn = format!("arn:aws:backup:{}:{}:backup-plan:{name}", at.region, at.account);
    ListedItem { id: name.clone(), name, arn }
}
