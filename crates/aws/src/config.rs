//! AWS Config: the organization's aggregator (resources, backup plans, rule results), and AWS Config in member
//! accounts.

mod compliance;
#[cfg(feature = "cli")]
pub(crate) mod inventory;
mod plans;
mod query;
mod resources;

pub use compliance::ConfigCompliance;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use aws_sdk_config::types::AggregatedSourceStatusType;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use app::inventory::Source;
use app::ports::{PortError, PortErrorKind, Result};
use framework::ids::{AccountId, RegionName};

use crate::error::{unexpected, wrap};

/// The maximum page size of a query.
const ROWS: i32 = 100;

/// A configuration aggregator, if one is configured.
#[derive(Debug, Clone)]
pub struct ConfigAggregator {
    client: aws_sdk_config::Client,
    name: Option<String>,
    deadline: Option<Instant>,
}

/// The time limit of one look-up. Names, tags and plans improve a notice; a slow AWS Config must not delay it.
const PATIENCE: Duration = Duration::from_secs(15);

impl ConfigAggregator {
    /// Creates the port; without a name, every look-up returns nothing.
    #[must_use]
    pub fn new(client: aws_sdk_config::Client, name: Option<String>) -> Self {
        Self { client, name, deadline: None }
    }

    /// Returns a copy whose look-ups of one invocation all end at `deadline`.
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self.clone() }
    }

    /// Limits a look-up to its own time and to the deadline of all.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        const OPERATION: &str = "config:SelectAggregateResourceConfig";
        let own = Instant::now() + PATIENCE;
        let deadline = self.deadline.map_or(own, |all| all.min(own));
        let late = || PortError {
            kind: PortErrorKind::Retryable,
            ..unexpected(OPERATION, "no response within the time limit for notices")
        };
        timeout_at(deadline, work).await.unwrap_or_else(|_| Err(late()))
    }

    /// Returns the locations that the aggregator collects from, with their status.
    async fn source_status(&self) -> Result<Vec<Source>> {
        const OPERATION: &str = "config:DescribeConfigurationAggregatorSourcesStatus";
        let name = self.name.as_deref().ok_or_else(|| unexpected(OPERATION, "no aggregator is configured"))?;
        let mut sources = BTreeMap::new();
        let mut pages = Pages::of(OPERATION);
        while pages.more() {
            let answer = self
                .client
                .describe_configuration_aggregator_sources_status()
                .configuration_aggregator_name(name)
                .set_next_token(pages.token())
                .send()
                .await
                .map_err(|error| wrap(OPERATION, &error))?;
            for status in answer.aggregated_source_status_list() {
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
                sources.insert((account.clone(), region.clone()), Source { account, region, stale });
            }
            pages.turn(answer.next_token())?;
        }
        Ok(sources.into_values().collect())
    }

    /// Returns the rows of an advanced query.
    async fn select(&self, name: &str, expression: &str) -> Result<Vec<Value>> {
        const OPERATION: &str = "config:SelectAggregateResourceConfig";
        let mut rows = Vec::new();
        let mut pages = Pages::of(OPERATION);
        while pages.more() {
            let answer = self
                .client
                .select_aggregate_resource_config()
                .configuration_aggregator_name(name)
                .expression(expression)
                .limit(ROWS)
                .set_next_token(pages.token())
                .send()
                .await
                .map_err(|error| wrap(OPERATION, &error))?;
            for row in answer.results() {
                let row = serde_json::from_str(row);
                rows.push(row.map_err(|error| unexpected(OPERATION, format!("a row is not valid JSON: {error}")))?);
            }
            pages.turn(answer.next_token())?;
        }
        Ok(rows)
    }
}

/// Iterates over pages: an empty page need not be the last, and a repeated token would loop forever.
#[derive(Debug)]
pub(crate) struct Pages {
    operation: &'static str,
    seen: BTreeSet<String>,
    next: Option<String>,
    begun: bool,
}

impl Pages {
    pub(crate) fn of(operation: &'static str) -> Self {
        Self { operation, seen: BTreeSet::new(), next: None, begun: false }
    }

    pub(crate) fn more(&self) -> bool {
        !self.begun || self.next.is_some()
    }

    pub(crate) fn token(&self) -> Option<String> {
        self.next.clone()
    }

    pub(crate) fn turn(&mut self, token: Option<&str>) -> Result<()> {
        self.begun = true;
        self.next = token.filter(|token| !token.is_empty()).map(ToOwned::to_owned);
        match &self.next {
            Some(next) if !self.seen.insert(next.clone()) => {
                Err(unexpected(self.operation, "a page token was repeated"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_end_without_token_and_never_repeat() {
        let mut pages = Pages::of("config:DescribeConfigRules");
        assert!(pages.more());
        assert_eq!(pages.token(), None);
        pages.turn(Some("1")).unwrap();
        assert_eq!((pages.more(), pages.token().as_deref()), (true, Some("1")));
        pages.turn(Some("2")).unwrap();
        assert!(
            pages
                .turn(Some("1"))
                .unwrap_err()
                .to_string()
                .contains("DescribeConfigRules failed: a page token was repeated")
        );
        for end in [None, Some("")] {
            let mut pages = Pages::of("config:DescribeConfigRules");
            pages.turn(end).unwrap();
            assert!(!pages.more());
        }
    }
}
