//! The service-linked rules of frameworks, and what they found.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, Unit};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Resource;
use crate::events;

/// Types whose controls have a rule for each type, and how the rules' names begin.
const KINDS: [(&str, &str); 10] = [
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

/// The type of the items that say which rules a resource keeps and breaks.
pub(super) const RESOURCE_COMPLIANCE: &str = "AWS::Config::ResourceCompliance";

/// What a rule finds of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Compliance {
    /// All is well.
    Compliant,
    /// The resource breaks the rule.
    NonCompliant,
    /// The rule does not concern the resource (any more).
    NotApplicable,
}

impl Compliance {
    /// As AWS writes it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Compliant => "COMPLIANT",
            Self::NonCompliant => "NON_COMPLIANT",
            Self::NotApplicable => "NOT_APPLICABLE",
        }
    }
}

/// A rule looks at a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evaluation {
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
    /// What the rule finds.
    pub compliance: Compliance,
    /// When it happened (`orderingTimestamp`); a few seconds ago if nothing is said.
    #[serde(default)]
    pub at: Option<Timestamp>,
    /// What the rule adds in words.
    #[serde(default)]
    pub annotation: Option<String>,
}

/// A rule: its control, and the name of the type where the control has a rule for each type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) control: String,
    pub(super) name: String,
    pub(super) id: String,
    pub(super) arn: String,
    /// By type and id of the resource.
    pub(super) results: BTreeMap<(String, String), Outcome>,
}

/// What a rule found last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) compliance: Compliance,
    triggered: Timestamp,
    annotation: Option<String>,
}

/// An account and a Region.
pub(super) type Place = (String, String);

/// A resource in an account and Region: type and id.
type Target<'r> = (&'r Place, &'r (String, String));

/// The rules of all accounts and Regions.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// By the rule's name.
    places: BTreeMap<Place, BTreeMap<String, Rule>>,
    /// How often the framework was made anew.
    generations: BTreeMap<Place, u32>,
}

impl Rules {
    /// Keeps what a rule found; gives the event, if the result is another than before, or the first.
    pub(super) fn evaluate(&mut self, evaluation: &Evaluation) -> Option<Value> {
        let place = (evaluation.account.clone(), evaluation.region.clone());
        let generation = self.generations.get(&place).copied().unwrap_or_default();
        let fresh = rule(&place, generation, &evaluation.control, &evaluation.resource_type);
        let rule = self.places.entry(place).or_default().entry(fresh.name.clone()).or_insert(fresh);
        let outcome = Outcome {
            compliance: evaluation.compliance,
            triggered: evaluation.at.unwrap_or_else(|| Timestamp::now() - SignedDuration::from_secs(3)),
            annotation: evaluation.annotation.clone(),
        };
        let resource = (evaluation.resource_type.clone(), evaluation.resource_id.clone());
        let before = rule.results.insert(resource.clone(), outcome.clone());
        let changed = before.as_ref().is_none_or(|before| before.compliance != outcome.compliance);
        changed.then(|| event(evaluation, rule, &resource, &outcome, before.as_ref()))
    }

    /// Removes the rules of one control, or of the whole framework; nothing tells of it, as on AWS.
    pub(super) fn remove(&mut self, account: &str, region: &str, control: Option<&str>) {
        if let Some(rules) = self.places.get_mut(&(account.to_owned(), region.to_owned())) {
            rules.retain(|_, rule| control.is_some_and(|control| rule.control != control));
        }
    }

    /// Removes the rules; those that come after them have other names and ARNs.
    pub(super) fn renew(&mut self, account: &str, region: &str) {
        self.remove(account, region, None);
        *self.generations.entry((account.to_owned(), region.to_owned())).or_default() += 1;
    }

    /// Forgets what was found of a resource.
    pub(super) fn forget(&mut self, account: &str, region: &str, resource_type: &str, resource_id: &str) {
        let resource = (resource_type.to_owned(), resource_id.to_owned());
        for rule in self.places.get_mut(&(account.to_owned(), region.to_owned())).into_iter().flatten() {
            rule.1.results.remove(&resource);
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&Place, &Rule)> {
        self.places.iter().flat_map(|(place, rules)| rules.values().map(move |rule| (place, rule)))
    }

    pub(super) fn of(&self, account: &str, region: &str) -> impl Iterator<Item = &Rule> {
        self.places.get(&(account.to_owned(), region.to_owned())).into_iter().flat_map(BTreeMap::values)
    }

    pub(super) fn named(&self, account: &str, region: &str, name: &str) -> Option<&Rule> {
        self.places.get(&(account.to_owned(), region.to_owned()))?.get(name)
    }

    /// The items of the type `AWS::Config::ResourceCompliance`.
    pub(super) fn resource_compliance(&self) -> Vec<Resource> {
        let mut found: BTreeMap<Target<'_>, (bool, Vec<Value>)> = BTreeMap::new();
        for (place, rule) in self.all() {
            for (resource, outcome) in &rule.results {
                if outcome.compliance == Compliance::NotApplicable {
                    continue;
                }
                let (broken, rules) = found.entry((place, resource)).or_default();
                *broken |= outcome.compliance == Compliance::NonCompliant;
                rules.push(json!({
                    "configRuleName": rule.name, "configRuleArn": rule.arn, "configRuleId": rule.id,
                    "complianceType": outcome.compliance.text(),
                }));
            }
        }
        let item = |(((account, region), (kind, id)), (broken, rules)): (Target<'_>, (bool, Vec<Value>))| {
            let compliance = if broken { Compliance::NonCompliant } else { Compliance::Compliant };
            Resource {
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
            }
        };
        found.into_iter().map(item).collect()
    }
}

fn rule((account, region): &Place, generation: u32, control: &str, resource_type: &str) -> Rule {
    let uuid = uuid(&format!("{account} {region} {generation}"));
    let kind = KINDS.iter().find(|(known, _)| *known == resource_type).map(|(_, kind)| format!("{kind}-"));
    let name = format!("{}{control}-{uuid}", kind.unwrap_or_default());
    let id = format!("config-rule-{}", &hex(&name)[..6]);
    let arn = format!("arn:aws:config:{region}:{account}:config-rule/aws-service-rule/backup.amazonaws.com/{id}");
    Rule { control: control.to_owned(), name, id, arn, results: BTreeMap::new() }
}

fn hex(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Always the same for the same text, in the form of a version 4 UUID.
fn uuid(text: &str) -> String {
    let hex = hex(text);
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

impl Rule {
    /// `Compliance` as the describing operations give it; none for a rule that has found nothing, or nothing that counts.
    pub(super) fn compliance(&self) -> Option<(Compliance, Value)> {
        let count = |wanted| self.results.values().filter(|outcome| outcome.compliance == wanted).count();
        let broken = count(Compliance::NonCompliant);
        let verdict = match (broken, count(Compliance::Compliant)) {
            (0, 0) => return None,
            (0, _) => Compliance::Compliant,
            _ => Compliance::NonCompliant,
        };
        let mut value = json!({"ComplianceType": verdict.text()});
        if broken > 0 {
            value["ComplianceContributorCount"] = json!({"CappedCount": broken.min(25), "CapExceeded": broken > 25});
        }
        Some((verdict, value))
    }

    /// An evaluation result as the operations give it, without account and Region.
    pub(super) fn result(&self, (kind, id): &(String, String), outcome: &Outcome) -> Value {
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

    /// As `DescribeConfigRules` gives it.
    pub(super) fn described(&self) -> Value {
        json!({
            "ConfigRuleName": self.name, "ConfigRuleArn": self.arn, "ConfigRuleId": self.id, "ConfigRuleState": "ACTIVE",
            "CreatedBy": "backup.amazonaws.com", "Source": {"Owner": "AWS", "SourceIdentifier": self.control},
            "EvaluationModes": [{"Mode": "DETECTIVE"}],
        })
    }
}

impl Outcome {
    fn after(&self, seconds: i64) -> Timestamp {
        self.triggered + SignedDuration::from_secs(seconds)
    }

    /// As the JSON protocol writes times.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^52")]
    fn seconds(&self, later: i64) -> f64 {
        self.after(later).as_millisecond() as f64 / 1000.0
    }

    /// As events write times.
    fn text(&self, later: i64) -> String {
        format!("{:.3}", self.after(later))
    }
}

/// The event `Config Rules Compliance Change`.
fn event(
    evaluation: &Evaluation,
    rule: &Rule,
    resource: &(String, String),
    now: &Outcome,
    before: Option<&Outcome>,
) -> Value {
    let (kind, id) = resource;
    let result = |outcome: &Outcome| {
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
