//! The notice about blind spots: accounts and Regions where a framework is in force and violations cannot be detected.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use framework::ids::{AccountId, RegionName};

use super::labels::tally;
use super::text::{self, and_more_below, count, fit, item, moment, paragraph, shown};
use super::{Render, SHOWN, link};

/// All blind spots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlindSpots {
    /// The blind spots.
    pub spots: Vec<BlindSpot>,
}

/// An account and Region where a framework should be in force and violations cannot be detected.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BlindSpot {
    /// The account.
    pub account: AccountId,
    /// The Region.
    pub region: RegionName,
    /// The reason.
    pub reason: BlindSpotReason,
    /// The first sweep that had no visibility.
    pub since: Timestamp,
}

/// The reason for a blind spot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BlindSpotReason {
    /// The cause.
    pub cause: BlindSpotCause,
    /// The error of AWS, if a call failed; equal for equal failures.
    pub detail: Option<String>,
}

/// The cause of a blind spot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BlindSpotCause {
    /// Neither an aggregator nor a role in the account is configured.
    NoSource,
    /// The account and Region is not a source of the aggregator.
    NotAggregated,
    /// The aggregator's last update from the account and Region failed.
    AggregationFailed,
    /// AWS Config does not record there.
    NotRecording,
    /// AWS Config has no rule of a framework there.
    NoRule,
    /// AWS Config records there, and the aggregator shows no result of a rule of a framework.
    NoResult,
    /// The role in the account cannot be assumed.
    RoleNotAssumable,
    /// A call to AWS Config is denied.
    AccessDenied,
    /// The Region is not enabled for the account.
    RegionNotEnabled,
    /// AWS throttled the calls, or did not answer.
    Throttled,
    /// A call failed for another reason.
    CallFailed,
}

struct Advice {
    sentence: &'static str,
    todo: &'static str,
    /// Service and route in the AWS console, and whether the page is regional.
    console: (&'static str, bool),
    /// A command with the placeholders `{account}` and `{region}`.
    command: &'static str,
}

impl BlindSpotCause {
    /// Long because each cause has its text.
    const fn advice(self) -> Advice {
        const ROLE: &str = "aws cloudformation deploy --stack-name backup-compliance-member-role --capabilities CAPABILITY_NAMED_IAM \
                            --template-file framework/prerequisites/member-role.yaml --parameter-overrides \
                            ApplicationAccountId=APPLICATION_ACCOUNT";
        const LISTING: &str = "backup-compliance violations --in-account {account} --in-region {region}";
        match self {
            Self::NoSource => Advice {
                sentence: "AWS Config cannot be read: the application has neither an aggregator nor a role for the account",
                todo: "Set the application's parameter `ConfigAggregatorName` to the name of an existing aggregator, or \
                       `MemberRoleName` to the name of the role in the accounts.",
                console: ("config/home#/aggregators", false),
                command: "aws configservice describe-configuration-aggregators",
            },
            Self::NotAggregated => Advice {
                sentence: "The account and Region is not a source of the aggregator",
                todo: "In the account of the application, add the account and Region to the aggregator's sources. An account \
                       outside the organization must authorize the aggregator as well.",
                console: ("config/home#/aggregators", false),
                command: "aws configservice describe-configuration-aggregators",
            },
            Self::AggregationFailed => Advice {
                sentence: "The aggregator's last update from the account and Region failed",
                todo: "Fix the error that AWS Config reports. Usual causes: the account has not authorized the aggregator, or the \
                       aggregator's role lacks a permission.",
                console: ("config/home#/aggregators", false),
                command: "aws configservice describe-aggregation-authorizations --region {region}",
            },
            Self::NotRecording => Advice {
                sentence: "AWS Config does not record in the account and Region",
                todo: "In the account, create the configuration recorder if none exists, and start it. It must record the \
                       resource types of the controls (framework/README.md).",
                console: ("config/home#/settings", true),
                command: "aws configservice start-configuration-recorder --configuration-recorder-name default --region {region}",
            },
            Self::NoRule => Advice {
                sentence: "AWS Config has no rule of a backup framework in the account and Region",
                todo: "In the account, check that the framework exists and that its deployment status is COMPLETED. If it is missing, \
                       push the policy again; if it is not needed, remove the Region from the policy's targets.",
                console: ("backup/home", true),
                command: "aws backup list-frameworks --region {region}",
            },
            Self::NoResult => Advice {
                sentence: "AWS Config records in the account and Region, and no rule of a backup framework has a result",
                todo: "In the account, check that the framework exists. If it does, its controls have no resources to evaluate: \
                       remove the Region from the policy's targets, or ignore this notice.",
                console: ("backup/home", true),
                command: "aws backup list-frameworks --region {region}",
            },
            Self::RoleNotAssumable => Advice {
                sentence: "The role in the account is missing, or does not trust the application",
                todo: "In the account, deploy framework/prerequisites/member-role.yaml with the role name of the application's \
                       parameter `MemberRoleName`.",
                console: ("iam/home#/roles", false),
                command: ROLE,
            },
            Self::AccessDenied => Advice {
                sentence: "A call to AWS Config is denied",
                todo: "Allow the call in the calling role (template.yaml, framework/prerequisites/member-role.yaml), and in \
                       the service control policies of the account.",
                console: ("organizations/v2/home/policies/service-control-policy", false),
                command: "aws organizations list-policies-for-target --filter SERVICE_CONTROL_POLICY --target-id {account}",
            },
            Self::RegionNotEnabled => Advice {
                sentence: "The Region is not enabled for the account",
                todo: "In the account, enable the Region, or remove it from the policy's targets.",
                console: ("billing/home#/account", false),
                command: "aws account enable-region --region-name {region}",
            },
            Self::Throttled => Advice {
                sentence: "AWS throttled the calls, or did not answer",
                todo: "No action is required: the next sweep retries. If the error persists, see AWS Health.",
                console: ("health/home", false),
                command: LISTING,
            },
            Self::CallFailed => Advice {
                sentence: "A call failed",
                todo: "Read the error in the log group of the sweep, /aws/lambda/STACK-sweep. The next sweep retries.",
                console: ("cloudwatch/home#logsV2:log-groups", false),
                command: LISTING,
            },
        }
    }

    /// Describes the cause, without a full stop.
    pub const fn summary(self) -> &'static str {
        self.advice().sentence
    }

    /// Returns the remediation.
    pub const fn remediation(self) -> &'static str {
        self.advice().todo
    }
}

impl BlindSpot {
    /// Returns the page of the AWS console where the cause can be fixed.
    pub fn console(&self) -> String {
        let (page, is_regional) = self.reason.cause.advice().console;
        link::console(&self.region, page, is_regional)
    }

    /// Returns the command that shows or fixes the cause.
    pub fn command(&self) -> String {
        let command = self.reason.cause.advice().command;
        command.replace("{account}", self.account.as_str()).replace("{region}", self.region.as_str())
    }

    fn line(&self) -> String {
        let detail = self.reason.detail.as_deref().map(|detail| format!(": {}", shown(detail, 200)));
        format!("{} {} since {}{}", self.account, self.region, moment(self.since), detail.unwrap_or_default())
    }

    fn json(&self) -> Value {
        let BlindSpotReason { cause, detail } = &self.reason;
        json!({
            "account": self.account,
            "region": self.region,
            "cause": cause,
            "summary": cause.summary(),
            "detail": detail.as_deref().map(|detail| fit(detail, 1_000)),
            "remediation": cause.remediation(),
            "console": self.console(),
            "command": self.command(),
            "since": self.since,
        })
    }
}

impl BlindSpots {
    fn totals(&self) -> BTreeMap<BlindSpotCause, usize> {
        tally(self.spots.iter().map(|spot| spot.reason.cause))
    }

    fn by_cause(&self) -> BTreeMap<BlindSpotCause, Vec<&BlindSpot>> {
        let mut causes: BTreeMap<BlindSpotCause, Vec<&BlindSpot>> = BTreeMap::new();
        for spot in self.shown() {
            causes.entry(spot.reason.cause).or_default().push(spot);
        }
        causes
    }

    /// Returns the shown blind spots: the first one of each cause, then the first ones of all.
    fn shown(&self) -> Vec<&BlindSpot> {
        let mut causes = BTreeSet::new();
        let (mut first, rest): (Vec<&BlindSpot>, Vec<&BlindSpot>) =
            self.spots.iter().partition(|spot| causes.insert(spot.reason.cause));
        first.extend(rest);
        first.truncate(SHOWN);
        first.sort();
        first
    }

    pub(super) fn steps(&self) -> Vec<(&'static str, String, String)> {
        let first = self.by_cause().into_values().filter_map(|spots| spots.first().copied());
        first.map(|spot| (spot.reason.cause.remediation(), spot.console(), spot.command())).collect()
    }
}

impl Render for BlindSpots {
    fn subject(&self) -> String {
        let first = self.spots.first().map(|spot| format!("{} {}", spot.account, spot.region)).unwrap_or_default();
        let location = match self.spots.len() {
            1 => first,
            number => format!("{number} locations, such as {first}"),
        };
        text::subject("", &[&|_| format!("[BLIND SPOT] Violations cannot be detected in {location}")])
    }

    fn text(&self) -> String {
        let summary = format!(
            "Violations cannot be detected in {}. A framework should be in force there. Until this is fixed, an account and \
             Region without notices is not known to be compliant.",
            count(self.spots.len(), "location")
        );
        let totals = self.totals();
        let section = |(cause, spots): (BlindSpotCause, Vec<&BlindSpot>)| {
            let Some(first) = spots.first() else { return String::new() };
            let total = totals.get(&cause).copied().unwrap_or_default();
            let locations: String = spots.iter().map(|spot| item(&spot.line())).collect();
            let scope = if total > 1 { ", for the first of them" } else { "" };
            [
                format!("\n{}", paragraph(&format!("{} ({total})", cause.summary()), 0)),
                locations,
                paragraph(&format!("What to do: {}", cause.remediation()), 2),
                paragraph(&format!("Console and command{scope}:"), 2),
                paragraph(&first.console(), 4),
                format!("    {}\n", first.command().replace(" --", " \\\n      --")),
            ]
            .concat()
        };
        let causes: String = self.by_cause().into_iter().map(section).collect();
        [paragraph(&summary, 0), causes, and_more_below(self.spots.len().saturating_sub(SHOWN))].concat()
    }

    fn json(&self) -> Value {
        json!({
            "reason": "blindSpots",
            "counts": { "locations": self.spots.len(), "causes": self.totals() },
            "blindSpots": self.shown().into_iter().map(BlindSpot::json).collect::<Vec<_>>(),
            "more": self.spots.len().saturating_sub(SHOWN),
        })
    }
}
