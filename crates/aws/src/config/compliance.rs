//! Compliance results of AWS Backup Audit Manager's rules, read by three APIs of AWS Config.

mod aggregator;
mod member;
mod recorded;
mod result;

use std::collections::{BTreeMap, BTreeSet};

use app::ports::Result;
use app::sweep::ports::{ComplianceApi, ComplianceSource, EvaluationResult, RegionCompliance};
use domain::notice::{BlindSpotCause, BlindSpotReason};
use domain::violation::ComplianceType;
use framework::control::RuleName;
use framework::ids::{AccountId, RegionName};

use super::ConfigAggregator;
use crate::members::MemberAccounts;

/// Part of the ARNs of Audit Manager's rules.
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
    #[must_use]
    pub fn new(aggregator: ConfigAggregator, members: Option<MemberAccounts>) -> Self {
        Self { aggregator, members }
    }
}

impl ComplianceSource for ConfigCompliance {
    fn apis(&self) -> Vec<ComplianceApi> {
        let mut ways = Vec::new();
        if self.aggregator.name.is_some() {
            ways.extend([ComplianceApi::Aggregator, ComplianceApi::Query]);
        }
        if self.members.is_some() {
            ways.push(ComplianceApi::Member);
        }
        ways
    }

    async fn read_results(
        &self,
        via: ComplianceApi,
        account: &AccountId,
        regions: &BTreeSet<RegionName>,
    ) -> Result<BTreeMap<RegionName, RegionCompliance>> {
        if regions.is_empty() {
            return Ok(BTreeMap::new());
        }
        match (via, &self.aggregator.name, &self.members) {
            (ComplianceApi::Aggregator, Some(name), _) => self.aggregator.compliance(name, account, regions).await,
            (ComplianceApi::Query, Some(name), _) => self.aggregator.recorded_compliance(name, account, regions).await,
            (ComplianceApi::Member, _, Some(members)) => member::read(members, account, regions).await,
            (ComplianceApi::Aggregator | ComplianceApi::Query, None, _) | (ComplianceApi::Member, _, None) => {
                Ok(BTreeMap::new())
            }
        }
    }

    async fn diagnose(
        &self,
        locations: &BTreeSet<(AccountId, RegionName)>,
    ) -> Result<BTreeMap<(AccountId, RegionName), BlindSpotReason>> {
        let Some(name) = &self.aggregator.name else { return Ok(BTreeMap::new()) };
        let sources = self.aggregator.source_status().await?;
        let sources: BTreeMap<(AccountId, RegionName), Option<String>> =
            sources.into_iter().map(|source| ((source.account, source.region), source.stale)).collect();
        let mut reasons = BTreeMap::new();
        let mut covered = BTreeSet::new();
        for location in locations {
            let reason = match sources.get(location) {
                None => BlindSpotReason { cause: BlindSpotCause::NotAggregated, detail: None },
                Some(Some(error)) => {
                    BlindSpotReason { cause: BlindSpotCause::AggregationFailed, detail: Some(error.clone()) }
                }
                Some(None) => {
                    covered.insert(location.clone());
                    continue;
                }
            };
            reasons.insert(location.clone(), reason);
        }
        let recording = self.aggregator.recording(name, covered.iter().map(|(account, _)| account).collect()).await?;
        let not_recording = covered.into_iter().filter(|location| !recording.contains(location));
        reasons.extend(
            not_recording
                .map(|location| (location, BlindSpotReason { cause: BlindSpotCause::NotRecording, detail: None })),
        );
        Ok(reasons)
    }

    async fn compliant_results(
        &self,
        via: ComplianceApi,
        account: &AccountId,
        region: &RegionName,
        rule_name: &str,
    ) -> Result<Vec<EvaluationResult>> {
        let compliance = ComplianceType::Compliant;
        match (via, &self.aggregator.name, &self.members) {
            (ComplianceApi::Aggregator, Some(name), _) => {
                self.aggregator.results(name, account, region, rule_name, compliance).await
            }
            (ComplianceApi::Query, Some(name), _) => {
                self.aggregator.recorded_results(name, account, region, rule_name).await
            }
            (ComplianceApi::Member, _, Some(members)) => {
                let client = members.config(account, region).await?;
                member::results(&client, rule_name, "", compliance).await
            }
            (ComplianceApi::Aggregator | ComplianceApi::Query, None, _) | (ComplianceApi::Member, _, None) => {
                Ok(Vec::new())
            }
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

/// The UUID at the end of a name.
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
