//! Findings for AWS Security Hub in the AWS Security Finding Format.

use serde_json::{Map, Value, json};

use framework::control;

use super::text::{cut, one_line, quoted, sentence, sha256, short};
use super::{FindingHome, ViolationNotice, labels};
use crate::violation::{ClosedReason, Update};

const ID: usize = 512;
const TITLE: usize = 256;
const DESCRIPTION: usize = 1_024;
const REMEDIATION: usize = 512;
const PRODUCT_FIELD: usize = 1_024;
const TAGS: usize = 50;

/// Renders the finding of a violation. Security Hub ignores an import that is older than the last one of the same finding, so
/// `UpdatedAt` is the time when the update was recorded and not the time of the result.
pub(super) fn finding(violation: &ViolationNotice, home: &FindingHome) -> Value {
    let key = &violation.key;
    let (status, record_state, original) = state(&violation.update);
    let created = violation.since.unwrap_or(violation.at).min(violation.recorded_at);
    let severity = violation.severity_of_update();
    let kind = sentence(&violation.resource_kind());
    let headline = format!("{kind} {} {}", quoted(&violation.name()), violation.state());
    json!({
        "SchemaVersion": "2018-10-08",
        "Id": stable(&format!("backup-compliance/{key}")),
        "ProductArn": format!(
            "arn:{}:securityhub:{}:{}:product/{}/default",
            home.region.partition(), home.region, home.account, home.account
        ),
        "GeneratorId": stable(&format!("backup-audit-manager/{}", key.control)),
        "AwsAccountId": home.account,
        "FirstObservedAt": created,
        "CreatedAt": created,
        "UpdatedAt": violation.recorded_at,
        "FindingProviderFields": {
            "Severity": { "Label": severity.label(), "Original": original },
            "Types": ["Software and Configuration Checks/AWS Security Best Practices"],
        },
        "Title": cut(&headline, TITLE, "…"),
        "Description": short(&description(violation), DESCRIPTION),
        "Remediation": {
            "Recommendation": {
                "Text": short(&violation.remediation().join(" "), REMEDIATION),
                "Url": violation.documentation(),
            },
        },
        "ProductFields": product_fields(violation),
        "Resources": [resource(violation)],
        "Compliance": { "Status": status },
        "RecordState": record_state,
    })
}

/// Returns the compliance status, the record state and the result in AWS Config.
const fn state(update: &Update) -> (&'static str, &'static str, &'static str) {
    match update {
        Update::Opened | Update::ExemptionEnded(_) | Update::Refreshed => ("FAILED", "ACTIVE", "NON_COMPLIANT"),
        // The resource still breaks the control, and no action is required.
        Update::Exempted(_) => ("FAILED", "ARCHIVED", "NON_COMPLIANT"),
        Update::Resolved(ClosedReason::Satisfied) => ("PASSED", "ACTIVE", "COMPLIANT"),
        Update::Resolved(ClosedReason::NotApplicable) => ("NOT_AVAILABLE", "ARCHIVED", "NOT_APPLICABLE"),
        Update::Resolved(
            ClosedReason::ResourceGone | ClosedReason::ControlRemoved | ClosedReason::FrameworkRemoved,
        ) => ("NOT_AVAILABLE", "ARCHIVED", "NO_RESULT"),
    }
}

fn description(violation: &ViolationNotice) -> String {
    let key = &violation.key;
    let requirement = violation.requirement().map(|text| format!(" Required: {}.", short(&text, 300)));
    let end = match &violation.update {
        Update::Resolved(closing) => labels::closed_sentence(*closing).to_owned(),
        Update::Exempted(exempt) => format!("Exempt until {}: {}", exempt.until, short(&exempt.reason, 200)),
        Update::ExemptionEnded(exempt) => format!("The resource was exempt until {}.", exempt.until),
        Update::Opened | Update::Refreshed => {
            format!("Opened by {}.", labels::opened_by(violation.opened_by, violation.detected_by))
        }
    };
    let (control, account, region) = (short(&key.control, 200), violation.shown_account(), &key.region);
    let requirement = requirement.unwrap_or_default();
    format!("AWS Backup Audit Manager, control {control}, account {account}, {region}.{requirement} {end}")
}

/// Returns the facts that the format has no fields for. Security Hub rejects a finding with a blank value.
fn product_fields(violation: &ViolationNotice) -> Map<String, Value> {
    let key = &violation.key;
    let exempt = violation.exemption();
    let word = |value: Value| value.as_str().map(str::to_owned);
    let fields = [
        ("account", Some(violation.key.account.to_string())),
        ("accountName", violation.account_name.clone()),
        ("region", Some(key.region.to_string())),
        ("control", Some(key.control.clone())),
        ("configRuleArn", Some(violation.rule_arn.clone())),
        ("configRuleName", Some(violation.rule_name.clone())),
        ("resourceId", Some(key.resource_id.clone())),
        ("resourceType", Some(key.resource_type.clone())),
        ("owner", violation.owner.clone()),
        ("openedBy", word(json!(violation.opened_by))),
        ("detectedBy", word(json!(violation.detected_by))),
        ("annotation", violation.annotation.clone()),
        ("closedReason", word(json!(labels::closed_reason(&violation.update)))),
        ("exemptUntil", exempt.map(|exempt| exempt.until.to_string())),
        ("exemptReason", exempt.map(|exempt| exempt.reason.clone())),
        ("console", violation.timeline().filter(|link| link.len() <= PRODUCT_FIELD)),
    ];
    fields
        .into_iter()
        .filter_map(|(name, value)| Some((format!("backup-compliance/{name}"), short(&value?, PRODUCT_FIELD))))
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name, Value::String(value)))
        .collect()
}

fn resource(violation: &ViolationNotice) -> Value {
    let key = &violation.key;
    let derived_arn = || control::derived_arn(&key.account, &key.region, &key.resource_type, &key.resource_id);
    let arn = violation.resource.arn.clone().or_else(derived_arn);
    let id = arn.as_deref().unwrap_or(&key.resource_id);
    let tags = violation.resource.tags.iter().map(|(name, value)| (short(name, 128), short(value, 256)));
    let tags = tags.filter(|(name, value)| !name.is_empty() && !value.is_empty()).take(TAGS);
    let tags: Map<String, Value> = tags.map(|(name, value)| (name, Value::String(value))).collect();
    let mut resource = json!({
        "Type": asff_type(&key.resource_type),
        "Id": stable(id),
        "Partition": key.region.partition(),
        "Region": key.region,
    });
    if let (Value::Object(fields), false) = (&mut resource, tags.is_empty()) {
        fields.insert("Tags".into(), Value::Object(tags));
    }
    resource
}

/// Returns the name of a resource type in the AWS Security Finding Format, which has none for many types.
fn asff_type(resource_type: &str) -> &'static str {
    match resource_type {
        "AWS::RDS::DBCluster" => "AwsRdsDbCluster",
        "AWS::RDS::DBInstance" => "AwsRdsDbInstance",
        "AWS::EC2::Volume" => "AwsEc2Volume",
        "AWS::EC2::Instance" => "AwsEc2Instance",
        "AWS::S3::Bucket" => "AwsS3Bucket",
        "AWS::DynamoDB::Table" => "AwsDynamoDbTable",
        "AWS::Backup::BackupPlan" => "AwsBackupBackupPlan",
        "AWS::Backup::BackupVault" => "AwsBackupBackupVault",
        "AWS::Backup::RecoveryPoint" => "AwsBackupRecoveryPoint",
        _ => "Other",
    }
}

/// Returns a name that is short and visible unchanged, any other name as its beginning with its hash.
fn stable(name: &str) -> String {
    const HASH: usize = 65;
    let is_visible = |byte: u8| (b'!'..=b'~').contains(&byte);
    if name.len() <= ID && !name.is_empty() && name.bytes().all(is_visible) {
        return name.to_owned();
    }
    let start: String = one_line(name).chars().filter(|c| c.is_ascii_graphic()).take(ID.saturating_sub(HASH)).collect();
    format!("{start}#{}", sha256(name))
}
