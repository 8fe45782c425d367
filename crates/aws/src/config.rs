//! AWS Config through the organization's aggregator, and in member accounts.

mod compliance;
#[cfg(feature = "inventory")]
pub(crate) mod inventory;
mod plans;
mod query;
mod resources;

pub use compliance::ConfigCompliance;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use aws_sdk_config::types::AggregatedSourceStatusType;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use app::inventory::AggregatorSource;
use app::ports::{PortErrorKind, Result};
use framework::ids::{AccountId, RegionName};

use crate::clients::Clients;
use crate::error::{failure, unexpected};
use crate::pages::sdk_pages;

const SELECT: &str = "config:SelectAggregateResourceConfig";
const ROWS: i32 = 100;
/// The time limit of one look-up. Names, tags and plans improve a notice; a slow AWS Config must not delay it.
const PATIENCE: Duration = Duration::from_secs(15);

/// A configuration aggregator, if one is configured.
#[derive(Debug, Clone)]
pub struct ConfigAggregator {
    client: aws_sdk_config::Client,
    name: Option<String>,
    deadline: Option<Instant>,
}

impl ConfigAggregator {
    /// Creates the port; without a name, every look-up returns nothing.
    pub fn new(clients: &Clients, name: Option<String>) -> Self {
        Self { client: aws_sdk_config::Client::new(&clients.config), name, deadline: None }
    }

    /// Returns a copy whose look-ups of one invocation all end at `deadline`.
    pub fn until(&self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self.clone() }
    }

    /// Limits a look-up to its own time and to the deadline of all.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let own = Instant::now() + PATIENCE;
        let late = |_| Err(failure(SELECT, PortErrorKind::Retryable, "no response within the time limit for notices"));
        timeout_at(self.deadline.map_or(own, |all| all.min(own)), work).await.unwrap_or_else(late)
    }

    fn name(&self, operation: &'static str) -> Result<&str> {
        self.name.as_deref().ok_or_else(|| unexpected(operation, "no aggregator is configured"))
    }

    async fn source_status(&self) -> Result<Vec<AggregatorSource>> {
        const OPERATION: &str = "config:DescribeConfigurationAggregatorSourcesStatus";
        let request = self.client.describe_configuration_aggregator_sources_status();
        let request = request.configuration_aggregator_name(self.name(OPERATION)?);
        let mut sources = BTreeMap::new();
        let ask = |token| request.clone().set_next_token(token).send();
        sdk_pages(OPERATION, ask, |page| {
            for status in page.aggregated_source_status_list() {
                // The organization itself is a source without a location.
                let account = status.source_id().and_then(|id| AccountId::parse(id).ok());
                let region = status.aws_region().and_then(|region| RegionName::parse(region).ok());
                let (Some(account), Some(region)) = (account, region) else { continue };
                let stale = match status.last_update_status() {
                    Some(AggregatedSourceStatusType::Failed) => Some("the aggregator cannot read this source"),
                    Some(AggregatedSourceStatusType::Outdated) => Some("the data of this source is outdated"),
                    _ => None,
                };
                let details = [status.last_error_code(), status.last_error_message()];
                let details = details.into_iter().flatten().filter(|text| !text.is_empty());
                let stale = stale.map(|stale| std::iter::once(stale).chain(details).collect::<Vec<_>>().join(": "));
                sources.insert((account.clone(), region.clone()), AggregatorSource { account, region, stale });
            }
            Ok(page.next_token)
        })
        .await?;
        Ok(sources.into_values().collect())
    }

    async fn select(&self, expression: &str) -> Result<Vec<Value>> {
        let request = self.client.select_aggregate_resource_config().expression(expression).limit(ROWS);
        let request = request.configuration_aggregator_name(self.name(SELECT)?);
        let mut rows = Vec::new();
        let ask = |token| request.clone().set_next_token(token).send();
        sdk_pages(SELECT, ask, |page| {
            for row in page.results() {
                let row = serde_json::from_str(row);
                rows.push(row.map_err(|error| unexpected(SELECT, format!("a row is not valid JSON: {error}")))?);
            }
            Ok(page.next_token)
        })
        .await?;
        Ok(rows)
    }
}
