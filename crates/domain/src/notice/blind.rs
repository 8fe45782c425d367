//! Accounts and Regions where a framework is in force and violations cannot be seen: why, and what to do.

use super::digest::SHOWN;
use super::gathered::more;
use super::link;
use super::text::{self, count, fit, item, moment, paragraph, shown};
use crate::ids::{AccountId, RegionName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Accounts and Regions where a framework should be in force and nothing can be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlindSpots {
    /// The places.
    pub spots: Vec<BlindSpot>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlindSpot {
    /// The account.
    pub account: AccountId,
    /// The Region.
    pub region: RegionName,
    /// Why nothing can be seen there.
    pub reason: BlindReason,
    /// Since when.
    pub since: Timestamp,
}

/// Why nothing can be seen of an account and Region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BlindReason {
    /// The cause.
    pub cause: BlindCause,
    /// What AWS answered, where a call failed: the same for equal failures.
    pub detail: Option<String>,
}

/// The causes of a blind spot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BlindCause {
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

/// What is said of a cause, and where it is fixed.
struct Advice {
    sentence: &'static str,
    todo: &'static str,
    /// Service and route in the AWS console, and whether it has a page for each Region.
    console: (&'static str, bool),
    /// `{account}` and `{region}` stand for the place.
    command: &'static str,
}

impl BlindCause {
    /// All causes.
    pub const ALL: [Self; 11] = [
        Self::NoSource,
        Self::NotAggregated,
        Self::AggregationFailed,
        Self::NotRecording,
        Self::NoRule,
        Self::NoResult,
        Self::RoleNotAssumable,
        Self::AccessDenied,
        Self::RegionNotEnabled,
        Self::Throttled,
        Self::CallFailed,
    ];

    /// Returns the word of the JSON form.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoSource => "noSource",
            Self::NotAggregated => "notAggregated",
            Self::AggregationFailed => "aggregationFailed",
            Self::NotRecording => "notRecording",
            Self::NoRule => "noRule",
            Self::NoResult => "noResult",
            Self::RoleNotAssumable => "roleNotAssumable",
            Self::AccessDenied => "accessDenied",
            Self::RegionNotEnabled => "regionNotEnabled",
            Self::Throttled => "throttled",
            Self::CallFailed => "callFailed",
        }
    }

    const fn advice(self) -> Advice {
        const ROLE: &str = "aws cloudformation deploy --stack-name backup-compliance-member-role --capabilities CAPABILITY_NAMED_IAM \
                            --template-file framework/prerequisites/member-role.yaml --parameter-overrides \
                            ApplicationAccountId=APPLICATION_ACCOUNT";
        const LISTING: &str = "backup-compliance violations --in-account {account} --in-region {region}";
        match self {
            Self::NoSource => Advice {
                sentence: "No aggregator and no role in the account is configured, so AWS Config cannot be read",
                todo: "Set the application's parameter `ConfigAggregatorName` to the name of an aggregator that exists, or \
                       `MemberRoleName` to the role in the accounts.",
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
                todo: "Fix the error that AWS Config gives. The usual causes: the account has not authorized the aggregator, or \
                       the aggregator's role lacks a permission.",
                console: ("config/home#/aggregators", false),
                command: "aws configservice describe-aggregation-authorizations --region {region}",
            },
            Self::NotRecording => Advice {
                sentence: "AWS Config does not record in the account and Region",
                todo: "In the account, create the configuration recorder if there is none, and start it. It must record the \
                       resource types of the controls (framework/README.md).",
                console: ("config/home#/settings", true),
                command: "aws configservice start-configuration-recorder --configuration-recorder-name default --region {region}",
            },
            Self::NoRule => Advice {
                sentence: "AWS Config has no rule of a backup framework in the account and Region",
                todo: "In the account, see whether the framework exists and its deployment status is COMPLETED. If it is missing, \
                       push the policy again; if it is wanted no longer, remove the Region from the policy's targets.",
                console: ("backup/home", true),
                command: "aws backup list-frameworks --region {region}",
            },
            Self::NoResult => Advice {
                sentence: "AWS Config records there, and no rule of a backup framework has a result",
                todo: "In the account, see whether the framework exists. If it does, its controls have nothing to evaluate: \
                       remove the Region from the policy's targets, or ignore this notice.",
                console: ("backup/home", true),
                command: "aws backup list-frameworks --region {region}",
            },
            Self::RoleNotAssumable => Advice {
                sentence: "The role in the account is missing, or does not trust the application",
                todo: "In the account, deploy framework/prerequisites/member-role.yaml with the name that the application's \
                       parameter `MemberRoleName` has.",
                console: ("iam/home#/roles", false),
                command: ROLE,
            },
            Self::AccessDenied => Advice {
                sentence: "A call to AWS Config is denied",
                todo: "Allow the call in the role that makes it (template.yaml, framework/prerequisites/member-role.yaml), and in \
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
                todo: "No action is required: the next sweep tries again. If it stays, see AWS Health.",
                console: ("health/home", false),
                command: LISTING,
            },
            Self::CallFailed => Advice {
                sentence: "A call failed",
                todo: "See the error in the log group of the sweep, /aws/lambda/STACK-sweep. The next sweep tries again.",
                console: ("cloudwatch/home#logsV2:log-groups", false),
                command: LISTING,
            },
        }
    }

    /// Returns the cause as a sentence without its full stop.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        self.advice().sentence
    }

    /// Returns what to do.
    #[must_use]
    pub const fn todo(self) -> &'static str {
        self.advice().todo
    }
}

impl BlindSpot {
    /// Returns the page of the AWS console where the cause is fixed.
    #[must_use]
    pub fn console(&self) -> String {
        let (page, is_regional) = self.reason.cause.advice().console;
        link::console(&self.region, page, is_regional)
    }

    /// Returns the command that shows or fixes the cause.
    #[must_use]
    pub fn command(&self) -> String {
        let command = self.reason.cause.advice().command;
        command.replace("{account}", self.account.as_str()).replace("{region}", self.region.as_str())
    }

    fn line(&self) -> String {
        let detail = self.reason.detail.as_deref().map(|detail| format!(": {}", shown(detail, 200)));
        format!("{} {} since {}{}", self.account, self.region, moment(self.since), detail.unwrap_or_default())
    }
}

impl BlindSpots {
    /// Returns the places by cause, those that are shown, and how many a cause has in all.
    fn by_cause(&self) -> BTreeMap<BlindCause, (Vec<&BlindSpot>, usize)> {
        let mut causes: BTreeMap<BlindCause, (Vec<&BlindSpot>, usize)> = BTreeMap::new();
        for spot in &self.spots {
            let (_, total) = causes.entry(spot.reason.cause).or_default();
            *total = total.saturating_add(1);
        }
        for spot in self.shown() {
            causes.entry(spot.reason.cause).or_default().0.push(spot);
        }
        causes
    }

    /// Returns the places that are shown: the first of each cause, then the first ones.
    fn shown(&self) -> Vec<&BlindSpot> {
        let mut seen: Vec<BlindCause> = Vec::new();
        let (mut first, rest): (Vec<&BlindSpot>, Vec<&BlindSpot>) = self.spots.iter().partition(|spot| {
            let is_first = !seen.contains(&spot.reason.cause);
            if is_first {
                seen.push(spot.reason.cause);
            }
            is_first
        });
        first.extend(rest);
        first.truncate(SHOWN);
        first.sort();
        first
    }

    /// Returns what to do about each cause: the advice, the link and the command for the first place.
    pub(super) fn steps(&self) -> Vec<(&'static str, String, String)> {
        let causes = self.by_cause();
        let first = causes.values().filter_map(|(spots, _)| spots.first());
        first.map(|spot| (spot.reason.cause.todo(), spot.console(), spot.command())).collect()
    }

    pub(super) fn subject(&self, limit: usize) -> String {
        let first = self.spots.first().map(|spot| format!("{} {}", spot.account, spot.region)).unwrap_or_default();
        text::subject("", limit, |_| match self.spots.len() {
            1 => format!("[BLIND SPOT] Violations cannot be seen in {first}"),
            number => format!("[BLIND SPOT] Violations cannot be seen in {number} places, such as {first}"),
        })
    }

    pub(super) fn text(&self) -> String {
        let number = self.spots.len();
        let section = |(cause, (spots, total)): (&BlindCause, &(Vec<&BlindSpot>, usize))| {
            let Some(first) = spots.first() else { return String::new() };
            let places: String = spots.iter().map(|spot| item(&spot.line())).collect();
            let number = if *total > 1 { ", for the first of them" } else { "" };
            [
                format!("\n{}", paragraph(&format!("{} ({total})", cause.sentence()), 0)),
                places,
                paragraph(&format!("What to do: {}", cause.todo()), 2),
                paragraph(&format!("Console and command{number}:"), 2),
                paragraph(&first.console(), 4),
                format!("    {}\n", first.command().replace(" --", " \\\n      --")),
            ]
            .concat()
        };
        let causes: String = self.by_cause().iter().map(section).collect();
        [
            paragraph(
                &format!(
                    "Violations cannot be seen in {}. A framework should be in force there; until this is fixed, silence does \
                     not mean that all is well.",
                    count(number, "place")
                ),
                0,
            ),
            causes,
            more(number),
        ]
        .concat()
    }

    pub(super) fn json(&self) -> Value {
        let spots = self.shown().into_iter().map(|spot| {
            json!({
                "account": spot.account,
                "region": spot.region,
                "cause": spot.reason.cause.word(),
                "why": spot.reason.cause.sentence(),
                "detail": spot.reason.detail.as_deref().map(|detail| fit(detail, 1_000)),
                "todo": spot.reason.cause.todo(),
                "console": spot.console(),
                "command": spot.command(),
                "since": spot.since,
            })
        });
        let causes: BTreeMap<&str, usize> =
            self.by_cause().into_iter().map(|(cause, (_, total))| (cause.word(), total)).collect();
        json!({
            "reason": "blindSpots",
            "counts": { "places": self.spots.len(), "causes": causes },
            "spots": spots.collect::<Vec<_>>(),
            "more": self.spots.len().saturating_sub(SHOWN),
        })
    }
}
