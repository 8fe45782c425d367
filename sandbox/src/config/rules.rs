//! The service-linked rules of frameworks, and their results.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, Unit};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::resource::RecordedResource;
use crate::events;
use crate::ids::{self, AccountRegion};

/// Resource types with a separate rule for each type, and the prefix of the rules' names.
const RULE_PREFIXES: [(&str, &str); 10] = [
    ("AWS::RDS::DBCluster", "AURORA"),
    ("AWS::RDS::DBInstance", "RDS"),
    ("AWS::EC2::Volume", "EBS"),
    ("AWS::EC2::Instance", "EC2"),
    ("AWS::EFS::FileSystem", "EFS"),
    ("AWS::FSx::FileSystem", "FSX"),
    ("AWS::DynamoDB::Table", "DYNAMODB"),
    ("AWS::S3::Bucket", "S3"),
    ("AWS::StorageGateway::Volume", "STORAGE GATEWAY"),
    ("AWS::BackupGateway::VirtualMachine", "VIRTUAL MACHINE"),
];

/// The type of the items that list the compliance of a resource with its rules.
pub(super) const RESOURCE_COMPLIANCE: &str = "AWS::Config::ResourceCompliance";

/// The compliance of a resource with a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RuleCompliance {
    /// The resource complies with the rule.
    Compliant,
    /// The resource does not comply with the rule.
    NonCompliant,
    /// The rule does not apply to the resource, or no longer does.
    NotApplicable,
}

impl RuleCompliance {
    /// Returns AWS's name of the value.
    pub fn text(self) -> &'static str {
        match self {
            Self::Compliant => "COMPLIANT",
            Self::NonCompliant => "NON_COMPLIANT",
            Self::NotApplicable => "NOT_APPLICABLE",
        }
    }
}

/// The result of a rule for a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleEvaluation {
    /// The account, 12 digits.
    pub account: String,
    /// The Region.
    pub region: String,
    /// The framework's control, for instance `BACKUP_LAST_RECOVERY_POINT_CREATED`.
    pub control: String,
    /// The resource's type.
    pub resource_type: String,
    /// The resource's id.
    pub resource_id: String,
    /// The result.
    pub compliance: RuleCompliance,
    /// The time of the result (`orderingTimestamp`); three seconds ago by default.
    #[serde(default)]
    pub at: Option<Timestamp>,
    /// The annotation of the result.
    #[serde(default)]
    pub annotation: Option<String>,
}

/// A rule of a control; some controls have a rule for each resource type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConfigRule {
    pub(super) control: String,
    pub(super) name: String,
    pub(super) id: String,
    pub(super) arn: String,
    /// By type and id of the resource.
    pub(super) results: BTreeMap<(String, String), RuleResult>,
}

/// The last result of a rule for a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RuleResult {
    pub(super) compliance: RuleCompliance,
    triggered: Timestamp,
    annotation: Option<String>,
}

/// Account and Region, and type and id of a resource.
type TargetResource<'r> = (&'r AccountRegion, &'r (String, String));

#[derive(Debug, Default)]
pub(super) struct RuleStore {
    /// By name.
    locations: BTreeMap<AccountRegion, BTreeMap<String, ConfigRule>>,
    /// How often the framework was recreated.
    generations: BTreeMap<AccountRegion, u32>,
}

impl RuleStore {
    /// Stores a result; returns the event if the result is new or changed.
    pub(super) fn evaluate(&mut self, evaluation: &RuleEvaluation) -> Option<Value> {
        let location = (evaluation.account.clone(), evaluation.region.clone());
        let generation = self.generations.get(&location).copied().unwrap_or_default();
        let fresh = rule(&location, generation, &evaluation.control, &evaluation.resource_type);
        let rule = self.locations.entry(location).or_default().entry(fresh.name.clone()).or_insert(fresh);
        let outcome = RuleResult {
            compliance: evaluation.compliance,
            triggered: evaluation.at.unwrap_or_else(|| Timestamp::now() - SignedDuration::from_secs(3)),
            annotation: evaluation.annotation.clone(),
        };
        let resource = (evaluation.resource_type.clone(), evaluation.resource_id.clone());
        let before = rule.results.insert(resource.clone(), outcome.clone());
        let changed = before.as_ref().is_none_or(|before| before.compliance != outcome.compliance);
        changed.then(|| event(evaluation, rule, &resource, &outcome, before.as_ref()))
    }

    /// Removes the rules of one control, or of the whole framework. As on AWS, there is no event.
    pub(super) fn remove(&mut self, account: &str, region: &str, control: Option<&str>) {
        if let Some(rules) = self.locations.get_mut(&(account.to_owned(), region.to_owned())) {
            rules.retain(|_, rule| control.is_some_and(|control| rule.control != control));
        }
    }

    /// Removes the rules; later ones have other names and ARNs.
    pub(super) fn renew(&mut self, account: &str, region: &str) {
        self.remove(account, region, None);
        *self.generations.entry((account.to_owned(), region.to_owned())).or_default() += 1;
    }

    /// Removes the results of a resource.
    pub(super) fn forget(&mut self, account: &str, region: &str, resource_type: &str, resource_id: &str) {
        let resource = (resource_type.to_owned(), resource_id.to_owned());
        for rule in self.locations.get_mut(&(account.to_owned(), region.to_owned())).into_iter().flatten() {
            rule.1.results.remove(&resource);
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&AccountRegion, &ConfigRule)> {
        self.locations.iter().flat_map(|(location, rules)| rules.values().map(move |rule| (location, rule)))
    }

    pub(super) fn of(&self, account: &str, region: &str) -> impl Iterator<Item = &ConfigRule> {
        self.locations.get(&(account.to_owned(), region.to_owned())).into_iter().flat_map(BTreeMap::values)
    }

    pub(super) fn named(&self, account: &str, region: &str, name: &str) -> Option<&ConfigRule> {
        self.locations.get(&(account.to_owned(), region.to_owned()))?.get(name)
    }

    /// Returns the items of the type `AWS::Config::ResourceCompliance`, each with the time of its last result.
    pub(super) fn resource_compliance(&self) -> Vec<(RecordedResource, Timestamp)> {
        let mut found: BTreeMap<TargetResource<'_>, (bool, Timestamp, Vec<Value>)> = BTreeMap::new();
        for (location, rule) in self.all() {
            for (resource, outcome) in &rule.results {
                if outcome.compliance == RuleCompliance::NotApplicable {
                    continue;
                }
                let (broken, captured, rules) = found.entry((location, resource)).or_default();
                *broken |= outcome.compliance == RuleCompliance::NonCompliant;
                *captured = outcome.after(2).max(*captured);
                rules.push(json!({
                    "configRuleName": rule.name, "configRuleArn": rule.arn, "configRuleId": rule.id,
                    "complianceType": outcome.compliance.text(),
                }));
            }
        }
        let item = |(((account, region), (kind, id)), (broken, captured, rules)): (
            TargetResource<'_>,
            (bool, Timestamp, Vec<Value>),
        )| {
            let compliance = if broken { RuleCompliance::NonCompliant } else { RuleCompliance::Compliant };
            let item = RecordedResource {
                account: account.clone(),
                region: region.clone(),
                resource_type: RESOURCE_COMPLIANCE.to_owned(),
                resource_id: format!("{kind}/{id}"),
                resource_name: String::new(),
                arn: String::new(),
                tags: BTreeMap::new(),
                configuration: json!({
                    "targetResourceType": kind, "targetResourceId": id, "complianceType": compliance.text(), "configRuleList": rules,
                }),
            };
            (item, captured)
        };
        found.into_iter().map(item).collect()
    }
}

fn rule((account, region): &AccountRegion, generation: u32, control: &str, resource_type: &str) -> ConfigRule {
    let uuid = uuid(&format!("{account} {region} {generation}"));
    let kind = RULE_PREFIXES.iter().find(|(known, _)| *known == resource_type).map(|(_, kind)| format!("{kind}-"));
    let name = format!("{}{control}-{uuid}", kind.unwrap_or_default());
    let id = format!("config-rule-{}", &ids::sha256(&name)[..6]);
    let arn = format!("arn:aws:config:{region}:{account}:config-rule/aws-service-rule/backup.amazonaws.com/{id}");
    ConfigRule { control: control.to_owned(), name, id, arn, results: BTreeMap::new() }
}

/// Returns the same version 4 UUID for the same text.
fn uuid(text: &str) -> String {
    let hex = ids::sha256(text);
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

impl ConfigRule {
    /// Returns `Compliance` of the describing operations; `None` if there are only NOT_APPLICABLE results.
    pub(super) fn compliance(&self) -> Option<(RuleCompliance, Value)> {
        let count = |compliance| self.results.values().filter(|outcome| outcome.compliance == compliance).count();
        let broken = count(RuleCompliance::NonCompliant);
        let result = match (broken, count(RuleCompliance::Compliant)) {
            (0, 0) => return None,
            (0, _) => RuleCompliance::Compliant,
            _ => RuleCompliance::NonCompliant,
        };
        let mut value = json!({"ComplianceType": result.text()});
        if broken > 0 {
            value["ComplianceContributorCount"] = json!({"CappedCount": broken.min(25), "CapExceeded": broken > 25});
        }
        Some((result, value))
    }

    /// Returns an evaluation result without account and Region.
    pub(super) fn result(&self, (kind, id): &(String, String), outcome: &RuleResult) -> Value {
        let mut result = json!({
            "EvaluationResultIdentifier": {
                "EvaluationResultQualifier": {
                    "ConfigRuleName": self.name, "ResourceType": kind, "ResourceId": id, "EvaluationMode": "DETECTIVE",
                },
                "OrderingTimestamp": outcome.seconds(0),
            },
            "ComplianceType": outcome.compliance.text(),
            "ResultRecordedTime": outcome.seconds(2),
            "ConfigRuleInvokedTime": outcome.seconds(1),
        });
        if let Some(annotation) = &outcome.annotation {
            result["Annotation"] = json!(annotation);
        }
        result
    }

    /// Returns the rule in the shape of `DescribeConfigRules`.
    pub(super) fn described(&self) -> Value {
        json!({
            "ConfigRuleName": self.name, "ConfigRuleArn": self.arn, "ConfigRuleId": self.id, "ConfigRuleState": "ACTIVE",
            "CreatedBy": "backup.amazonaws.com", "Source": {"Owner": "AWS", "SourceIdentifier": self.control},
            "EvaluationModes": [{"Mode": "DETECTIVE"}],
        })
    }
}

impl RuleResult {
    fn after(&self, seconds: i64) -> Timestamp {
        self.triggered + SignedDuration::from_secs(seconds)
    }

    /// Returns a time of the JSON protocol: seconds since 1970.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^52")]
    fn seconds(&self, later: i64) -> f64 {
        self.after(later).as_millisecond() as f64 / 1000.0
    }

    /// Returns a time as in events.
    fn text(&self, later: i64) -> String {
        format!("{:.3}", self.after(later))
    }
}

/// Returns the event `Config Rules Compliance Change`.
fn event(
    evaluation: &RuleEvaluation,
    rule: &ConfigRule,
    resource: &(String, String),
    now: &RuleResult,
    before: Option<&RuleResult>,
) -> Value {
    let (kind, id) = resource;
    let result = |outcome: &RuleResult| {
        let mut result = json!({
            "evaluationResultIdentifier": {
                "evaluationResultQualifier": {
                    "configRuleName": rule.name, "resourceType": kind, "resourceId": id, "evaluationMode": "DETECTIVE",
                },
                "orderingTimestamp": outcome.text(0),
            },
            "complianceType": outcome.compliance.text(),
            "resultRecordedTime": outcome.text(2),
            "configRuleInvokedTime": outcome.text(1),
        });
        if let Some(annotation) = &outcome.annotation {
            result["annotation"] = json!(annotation);
        }
        result
    };
    let (account, region) = (&evaluation.account, &evaluation.region);
    let mut detail = json!({
        "resourceId": id, "resourceType": kind, "awsRegion": region, "awsAccountId": account, "configRuleName": rule.name,
        "configRuleARN": rule.arn, "recordVersion": "1.0", "messageType": "ComplianceChangeNotification",
        "newEvaluationResult": result(now), "notificationCreationTime": now.text(3),
    });
    if let Some(before) = before {
        detail["oldEvaluationResult"] = result(before);
    }
    let mut event = events::event(account, region, "aws.config", "Config Rules Compliance Change", &[], &detail);
    let time = now.after(3);
    event["time"] = json!(time.round(Unit::Second).unwrap_or(time).to_string());
    event
}
