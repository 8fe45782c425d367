//! Compliance results of AWS Backup Audit Manager's rules, read by three APIs of AWS Config.

mod aggregator;
mod member;
mod recorded;
mod result;

use std::collections::{BTreeMap, BTreeSet};

use app::inventory::AggregatorSource;
use app::ports::Result;
use app::sweep::ports::{ComplianceApi, ComplianceSource, EvaluationResult, RegionCompliance};
use domain::notice::{BlindSpotCause, BlindSpotReason};
use domain::violation::ComplianceType;
use framework::control::RuleName;
use framework::ids::{AccountId, Location, RegionName};

use super::ConfigAggregator;
use crate::members::MemberAccounts;

const BACKUP_RULES: &str = ":config-rule/aws-service-rule/backup.amazonaws.com";
/// Results in one page: the limit of AWS Config.
const RESULTS: i32 = 100;
/// Rules read in parallel. An account has some dozens, and AWS Config does not document its limit of calls.
const PARALLEL_RULES: usize = 4;

/// Compliance results of AWS Config.
#[derive(Debug, Clone)]
pub struct ConfigCompliance {
    aggregator: ConfigAggregator,
    members: Option<MemberAccounts>,
}

impl ConfigCompliance {
    /// Reads through the aggregator and through a role in member accounts, as far as they are configured.
    pub fn new(aggregator: ConfigAggregator, members: Option<MemberAccounts>) -> Self {
        Self { aggregator, members }
    }
}

impl ComplianceSource for ConfigCompliance {
    fn apis(&self) -> Vec<ComplianceApi> {
        let aggregator = self.aggregator.name.is_some().then_some([ComplianceApi::Aggregator, ComplianceApi::Query]);
        aggregator.into_iter().flatten().chain(self.members.as_ref().map(|_| ComplianceApi::Member)).collect()
    }

    async fn read_results(
        &self,
        via: ComplianceApi,
        account: &AccountId,
        regions: &BTreeSet<RegionName>,
    ) -> Result<BTreeMap<RegionName, RegionCompliance>> {
        match (via, &self.members, &self.aggregator.name) {
            _ if regions.is_empty() => Ok(BTreeMap::new()),
            (ComplianceApi::Aggregator, _, Some(_)) => self.aggregator.compliance(account, regions).await,
            (ComplianceApi::Query, _, Some(_)) => self.aggregator.recorded_compliance(account, regions).await,
            (ComplianceApi::Member, Some(members), _) => member::read(members, account, regions).await,
            _ => Ok(BTreeMap::new()),
        }
    }

    async fn diagnose(&self, locations: &BTreeSet<Location>) -> Result<BTreeMap<Location, BlindSpotReason>> {
        let mut reasons = BTreeMap::new();
        if self.aggregator.name.is_none() {
            return Ok(reasons);
        }
        let sources = self.aggregator.source_status().await?.into_iter();
        let mut sources: BTreeMap<Location, Option<String>> =
            sources.map(|AggregatorSource { account, region, stale }| (Location { account, region }, stale)).collect();
        let mut covered = BTreeSet::new();
        for location in locations {
            let (cause, detail) = match sources.remove(location) {
                None => (BlindSpotCause::NotAggregated, None),
                Some(Some(error)) => (BlindSpotCause::AggregationFailed, Some(error)),
                Some(None) => {
                    covered.insert(location);
                    continue;
                }
            };
            reasons.insert(location.clone(), BlindSpotReason { cause, detail });
        }
        let recording = self.aggregator.recording(covered.iter().map(|location| &location.account).collect()).await?;
        let not_recording = BlindSpotReason { cause: BlindSpotCause::NotRecording, detail: None };
        let unrecorded = covered.into_iter().filter(|location| !recording.contains(*location));
        reasons.extend(unrecorded.map(|location| (location.clone(), not_recording.clone())));
        Ok(reasons)
    }

    async fn compliant_results(
        &self,
        via: ComplianceApi,
        account: &AccountId,
        region: &RegionName,
        rule_name: &str,
    ) -> Result<Vec<EvaluationResult>> {
        let (aggregator, compliance) = (&self.aggregator, ComplianceType::Compliant);
        match (via, &self.members, &aggregator.name) {
            (ComplianceApi::Aggregator, _, Some(_)) => aggregator.results(account, region, rule_name, compliance).await,
            (ComplianceApi::Query, _, Some(_)) => aggregator.recorded_results(account, region, rule_name).await,
            (ComplianceApi::Member, Some(members), _) => {
                member::results(&members.config(account, region).await?, rule_name, "", compliance).await
            }
            _ => Ok(Vec::new()),
        }
    }
}

/// Selects Audit Manager's rules by name: those of a known control, and those that end in the UUID of the same framework.
fn backup_rules<'n>(names: impl Iterator<Item = &'n str>) -> BTreeSet<String> {
    let names: Vec<&str> = names.collect();
    let known = |name: &str| RuleName::parse(name).control.is_some();
    let frameworks: BTreeSet<&str> = names.iter().filter(|name| known(name)).filter_map(|name| uuid(name)).collect();
    let selected = names.iter().filter(|name| known(name) || uuid(name).is_some_and(|uuid| frameworks.contains(uuid)));
    selected.map(|name| (*name).to_owned()).collect()
}

fn uuid(name: &str) -> Option<&str> {
    const LENGTH: usize = 36;
    let (rest, uuid) = name.split_at_checked(name.len().checked_sub(LENGTH)?)?;
    let is_uuid = uuid.bytes().enumerate().all(|(index, byte)| match index {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    (is_uuid && rest.ends_with('-')).then_some(uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d";

    #[test]
    fn rules_of_backup_are_selected_by_name() {
        let known = format!("AURORA-RESOURCES_PROTECTED_BY_BACKUP_PLAN-{UUID}");
        let new = format!("A_CONTROL_OF_NEXT_YEAR-{UUID}");
        let other = "s3-bucket-versioning-enabled-conformance-pack-abcdefgh1";
        let unrelated = "A_CONTROL-9b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d";
        let names = [known.as_str(), &new, other, unrelated, "", "é"];
        assert_eq!(backup_rules(names.into_iter()), BTreeSet::from([known.clone(), new.clone()]));
        assert_eq!(backup_rules([new.as_str()].into_iter()), BTreeSet::new(), "alone it may belong to another service");
    }

    #[test]
    fn uuid_is_found_only_at_the_end() {
        assert_eq!(uuid(&format!("X-{UUID}")), Some(UUID));
        for none in
            [UUID, "X", "", &format!("X{UUID}"), &format!("X-{UUID}é"), "X-1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5g"]
        {
            assert_eq!(uuid(none), None, "{none}");
        }
    }
}
