//! The form of a notice for AWS Security Hub: a finding in the AWS Security Finding Format.

use super::text::{cut, one_line, quoted, sentence, short};
use super::{FindingHome, ViolationNotice, words};
use crate::control;
use crate::violation::{Closing, Told};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// Most characters of each part.
const ID: usize = 512;
const TITLE: usize = 256;
const DESCRIPTION: usize = 1_024;
const REMEDIATION: usize = 512;
const PRODUCT_FIELD: usize = 1_024;
/// Most tags of a resource.
const TAGS: usize = 50;

/// The finding of a violation. Imported again, it replaces the one before; a finding that is older than the one imported last is
/// passed over, which is why `UpdatedAt` is the time at which a turn was recorded and not the time of a result.
pub(super) fn finding(violation: &ViolationNotice, home: &FindingHome) -> Value {
    let key = &violation.key;
    let (status, record_state) = state(&violation.what);
    let created = violation.since.unwrap_or(violation.at).min(violation.recorded_at);
    let severity = violation.severity_told();
    let kind = sentence(&violation.kind_of_resource());
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
            "Severity": { "Label": severity.label(), "Original": original(&violation.what) },
            "Types": ["Software and Configuration Checks/AWS Security Best Practices"],
        },
        "Title": cut(&headline, TITLE, "…"),
        "Description": short(&description(violation), DESCRIPTION),
        "Remediation": {
            "Recommendation": {
                "Text": short(&violation.steps().join(" "), REMEDIATION),
                "Url": violation.documentation(),
            },
        },
        "ProductFields": product_fields(violation),
        "Resources": [resource(violation)],
        "Compliance": { "Status": status },
        "RecordState": record_state,
    })
}

/// Whether the check passed, and whether the finding still matters.
const fn state(told: &Told) -> (&'static str, &'static str) {
    match told {
        Told::Opened | Told::ExemptionEnded(_) | Told::Refreshed => ("FAILED", "ACTIVE"),
        Told::Resolved(Closing::Satisfied) => ("PASSED", "ACTIVE"),
        // It still breaks the control, and requires no action.
        Told::Exempted(_) => ("FAILED", "ARCHIVED"),
        // There is nothing left that could pass.
        Told::Resolved(
            Closing::NotApplicable | Closing::ResourceGone | Closing::ControlRemoved | Closing::FrameworkRemoved,
        ) => ("NOT_AVAILABLE", "ARCHIVED"),
    }
}

/// What AWS Config calls it.
const fn original(told: &Told) -> &'static str {
    match told {
        Told::Resolved(Closing::Satisfied) => "COMPLIANT",
        Told::Resolved(Closing::NotApplicable) => "NOT_APPLICABLE",
        Told::Resolved(Closing::ResourceGone | Closing::ControlRemoved | Closing::FrameworkRemoved) => "NO_RESULT",
        Told::Opened | Told::ExemptionEnded(_) | Told::Exempted(_) | Told::Refreshed => "NON_COMPLIANT",
    }
}

fn description(violation: &ViolationNotice) -> String {
    let key = &violation.key;
    let requirement = violation.requirement().map(|words| format!(" Required: {}.", short(&words, 300)));
    let end = match &violation.what {
        Told::Resolved(closing) => words::closed_sentence(*closing).to_owned(),
        Told::Exempted(exempt) => format!("Exempt until {}: {}", exempt.until, short(&exempt.reason, 200)),
        Told::ExemptionEnded(exempt) => format!("It was exempt until {}.", exempt.until),
        Told::Opened | Told::Refreshed => format!("Found {}.", violation.story()),
    };
    format!(
        "AWS Backup Audit Manager, control {}, account {}, {}.{} {end}",
        short(&key.control, 200),
        violation.shown_account(),
        key.region,
        requirement.unwrap_or_default(),
    )
}

/// Facts that the format has no place for. Security Hub refuses the whole finding for one blank value.
fn product_fields(violation: &ViolationNotice) -> Map<String, Value> {
    let key = &violation.key;
    let exempt = violation.exempt();
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
        ("found", Some(words::found_word(violation.found).to_owned())),
        ("heard", Some(words::heard_word(violation.heard).to_owned())),
        ("annotation", violation.annotation.clone()),
        ("closed", words::closed_word(&violation.what).map(str::to_owned)),
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
    let arn = violation.resource.arn.clone().or_else(|| control::derived_arn(key));
    let id = arn.as_deref().unwrap_or(&key.resource_id);
    let tags: Map<String, Value> = violation
        .resource
        .tags
        .iter()
        .map(|(name, value)| (short(name, 128), short(value, 256)))
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
        .take(TAGS)
        .map(|(name, value)| (name, Value::String(value)))
        .collect();
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

/// The format has names of its own for resource types, and none for many.
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

/// The name itself where it fits and can be seen, otherwise its beginning and what is the same for no other name.
fn stable(name: &str) -> String {
    const HASH: usize = 65;
    let is_visible = |byte: u8| (b'!'..=b'~').contains(&byte);
    if name.len() <= ID && !name.is_empty() && name.bytes().all(is_visible) {
        return name.to_owned();
    }
    let start: String = one_line(name).chars().filter(|c| c.is_ascii_graphic()).take(ID.saturating_sub(HASH)).collect();
    Sha256::digest(name.as_bytes()).iter().fold(format!("{start}#"), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
