use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

mod page;

fn parameters(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn catalog_is_complete_and_consistent() {
    assert_eq!(CONTROLS.len(), 11);
    let names: BTreeSet<_> = CONTROLS.iter().map(|control| control.name).collect();
    assert_eq!(names.len(), 11, "names differ");
    for control in CONTROLS {
        assert!(!control.scopes.is_empty() && !control.resource_types.is_empty(), "{}", control.name);
        for text in [control.name, control.title, control.violation, control.compliance, control.evaluates] {
            assert!(!text.is_empty(), "{}", control.name);
        }
        assert!(control.documentation.starts_with("https://docs.aws.amazon.com/"), "{}", control.name);
        assert!(control.remediation.ends_with('.'), "{}: remediation is sentences", control.name);
        for resource_type in control.resource_types {
            assert_ne!(resource_kind(resource_type), *resource_type, "no words for {resource_type}");
        }
        for parameter in control.parameters {
            if let ParameterKind::Period { unit, .. } = parameter.kind {
                assert!(control.parameter(unit).is_some(), "{}: unit {unit}", control.name);
            }
            assert!(!(parameter.required && parameter.default.is_some()), "{}", parameter.name);
        }
    }
}

#[test]
fn controls_have_requirements() {
    let all: Vec<String> = CONTROLS
        .iter()
        .map(|control| {
            let requirement = control.requirement(&BTreeMap::new());
            assert_ne!(requirement, control.title, "{} has no words of its own", control.name);
            assert!(!requirement.contains('?'), "{requirement}");
            requirement
        })
        .collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn requirement_has_effective_parameters() {
    type Case = (&'static str, &'static [(&'static str, &'static str)], &'static str);
    let cases: &[Case] = &[
        (
            "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK",
            &[("requiredFrequencyUnit", "hours"), ("requiredFrequencyValue", "24"), ("requiredRetentionDays", "35")],
            "every backup plan must run at least every 24 hours and keep backups at least 35 days",
        ),
        (
            "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK",
            &[("requiredFrequencyUnit", "hours"), ("requiredRetentionDays", "1")],
            "every backup plan must run at least every hour and keep backups at least 1 day",
        ),
        (
            "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED",
            &[("principalArnList", "arn:aws:iam::111111111111:role/a,arn:aws:iam::111111111111:role/b")],
            "every backup vault must deny manual deletion of recovery points, except by arn:aws:iam::111111111111:role/a \
             and arn:aws:iam::111111111111:role/b",
        ),
        (
            "BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION",
            &[("crossRegionList", "eu-west-1, eu-central-1,eu-north-1")],
            "backups of every resource must be copied to eu-west-1, eu-central-1 and eu-north-1",
        ),
        (
            "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK",
            &[("minRetentionDays", "7"), ("maxRetentionDays", "365")],
            "backups of every resource must be stored in a locked vault that keeps them between 7 and 365 days",
        ),
        (
            "BACKUP_LAST_RECOVERY_POINT_CREATED",
            &[("recoveryPointAgeValue", "36"), ("recoveryPointAgeUnit", "hours")],
            "every resource must have a recovery point that is at most 36 hours old",
        ),
        (
            "RESTORE_TIME_FOR_RESOURCES_MEET_TARGET",
            &[("maxRestoreTime", "720")],
            "the last restore test of every resource must take at most 720 minutes",
        ),
    ];
    for (name, given, expected) in cases {
        assert_eq!(find(name).expect(name).requirement(&parameters(given)), *expected);
    }
}

#[test]
fn control_names_match_exactly() {
    assert!(find("BACKUP_RECOVERY_POINT_ENCRYPTED").is_some());
    assert!(find("backup_recovery_point_encrypted").is_none());
    assert_eq!(closest_name("BACKUP_RECOVERY_POINTS_ENCRYPTED"), Some("BACKUP_RECOVERY_POINT_ENCRYPTED"));
    assert_eq!(closest_name("backup-recovery-point-encrypted"), Some("BACKUP_RECOVERY_POINT_ENCRYPTED"));
    assert_eq!(closest_name("ENCRYPTED_VOLUMES"), None);
}

const UUID: &str = "1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d";

// Long because it is one table of names.
#[test]
fn rule_names_are_parsed() {
    // name before the uuid, control, kind, resource type
    type Case = (&'static str, Option<&'static str>, Option<&'static str>, Option<&'static str>);
    let cases: &[Case] = &[
        (
            "AURORA-RESOURCES_PROTECTED_BY_BACKUP_PLAN",
            Some("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN"),
            Some("AURORA"),
            Some("AWS::RDS::DBCluster"),
        ),
        (
            "EBS-BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION",
            Some("BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION"),
            Some("EBS"),
            Some("AWS::EC2::Volume"),
        ),
        (
            "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK",
            Some("BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK"),
            None,
            Some("AWS::Backup::BackupPlan"),
        ),
        (
            "PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK",
            Some("BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK"),
            None,
            Some("AWS::Backup::BackupPlan"),
        ),
        ("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN", Some("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN"), None, None),
        (
            "STORAGE GATEWAY-BACKUP_LAST_RECOVERY_POINT_CREATED",
            Some("BACKUP_LAST_RECOVERY_POINT_CREATED"),
            Some("STORAGE GATEWAY"),
            Some("AWS::StorageGateway::Volume"),
        ),
        (
            "DynamoDB-RESTORE_TIME_FOR_RESOURCES_MEET_TARGET",
            Some("RESTORE_TIME_FOR_RESOURCES_MEET_TARGET"),
            Some("DYNAMODB"),
            Some("AWS::DynamoDB::Table"),
        ),
        (
            "S3_LAST_BACKUP_RECOVERY_POINT_CREATED",
            Some("BACKUP_LAST_RECOVERY_POINT_CREATED"),
            Some("S3"),
            Some("AWS::S3::Bucket"),
        ),
        (
            "NEPTUNE-RESOURCES_PROTECTED_BY_BACKUP_PLAN",
            Some("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN"),
            Some("NEPTUNE"),
            None,
        ),
        ("MY_RESOURCES_PROTECTED_BY_BACKUP_PLAN", None, None, None),
        ("-RESOURCES_PROTECTED_BY_BACKUP_PLAN", None, None, None),
        ("BACKUP_SOMETHING_NEW", None, None, None),
        ("", None, None, None),
    ];
    for (name, control, kind, resource_type) in cases {
        for raw in [format!("{name}-{UUID}"), (*name).to_owned()] {
            let rule = RuleName::parse(&raw);
            assert_eq!(rule.control.map(|control| control.name), *control, "{raw}");
            assert_eq!(rule.kind.as_deref(), *kind, "{raw}");
            assert_eq!(rule.resource_type(), *resource_type, "{raw}");
            assert_eq!(rule.raw, raw);
        }
    }
}

#[test]
fn rule_name_has_control_after_type() {
    for control in CONTROLS {
        for kind in ["AURORA", "RDS", "EBS", "EC2", "EFS", "FSX", "DYNAMODB", "S3", "STORAGEGATEWAY", "VIRTUALMACHINE"]
        {
            let rule = RuleName::parse(&format!("{kind}-{}-{UUID}", control.name));
            assert_eq!((rule.control, rule.kind.as_deref()), (Some(control), Some(kind)));
            assert!(rule.resource_type().is_some());
        }
    }
}

#[test]
fn resource_types_have_plain_words() {
    assert_eq!(resource_kind("AWS::RDS::DBCluster"), "Aurora cluster");
    assert_eq!(resource_kind("AWS::Backup::RecoveryPoint"), "recovery point");
    assert_eq!(resource_kind("AWS::New::Thing"), "AWS::New::Thing");
}

proptest! {
    #[test]
    fn any_text_parses_as_rule_name(text in ".{0,120}", tail in "(-?[0-9a-f-]{30,40}|é{20})?") {
        let raw = format!("{text}{tail}");
        prop_assert_eq!(RuleName::parse(&raw).raw, raw);
    }
}

#[test]
fn arn_derives_from_type_and_id() {
    let plan = "83fcb8ee-2d93-42ac-b06f-591563f3f8de";
    let snapshot = "arn:aws:ec2:eu-west-1::snapshot/snap-0123456789abcdef0";
    for (region, resource_type, id, arn) in [
        ("eu-west-1", "AWS::S3::Bucket", "orders", Some("arn:aws:s3:::orders")),
        ("cn-north-1", "AWS::S3::Bucket", "orders", Some("arn:aws-cn:s3:::orders")),
        ("eu-west-1", "AWS::DynamoDB::Table", "orders", Some("arn:aws:dynamodb:eu-west-1:222233334444:table/orders")),
        ("eu-west-1", "AWS::EC2::Instance", "i-1", Some("arn:aws:ec2:eu-west-1:222233334444:instance/i-1")),
        (
            "us-gov-west-1",
            "AWS::EC2::Volume",
            "vol-1",
            Some("arn:aws-us-gov:ec2:us-gov-west-1:222233334444:volume/vol-1"),
        ),
        (
            "eu-west-1",
            "AWS::EFS::FileSystem",
            "fs-1",
            Some("arn:aws:elasticfilesystem:eu-west-1:222233334444:file-system/fs-1"),
        ),
        ("eu-west-1", "AWS::FSx::FileSystem", "fs-1", Some("arn:aws:fsx:eu-west-1:222233334444:file-system/fs-1")),
        (
            "eu-west-1",
            "AWS::Backup::BackupVault",
            "prod",
            Some("arn:aws:backup:eu-west-1:222233334444:backup-vault:prod"),
        ),
        (
            "eusc-de-east-1",
            "AWS::Backup::BackupPlan",
            plan,
            Some("arn:aws-eusc:backup:eusc-de-east-1:222233334444:backup-plan:83fcb8ee-2d93-42ac-b06f-591563f3f8de"),
        ),
        ("eu-west-1", "AWS::Backup::RecoveryPoint", snapshot, Some(snapshot)),
        ("eu-west-1", "AWS::Backup::RecoveryPoint", "snap-0123456789abcdef0", None),
        ("eu-west-1", "AWS::RDS::DBCluster", "orders", Some("arn:aws:rds:eu-west-1:222233334444:cluster:orders")),
        ("eu-west-1", "AWS::RDS::DBInstance", "orders-1", Some("arn:aws:rds:eu-west-1:222233334444:db:orders-1")),
        // Ids that AWS gave, which no ARN ends in.
        ("eu-west-1", "AWS::RDS::DBCluster", "cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ", None),
        ("eu-west-1", "AWS::RDS::DBInstance", "db-ABCDEFGHIJKLMNOPQRSTUVWXYZ", None),
        ("eu-west-1", "AWS::RDS::DBInstance", "db-01234567890123456789012345", None),
        ("eu-west-1", "AWS::StorageGateway::Volume", "vol-1", None),
        ("eu-west-1", "AWS::S3::Bucket", "a:b", None),
        ("eu-west-1", "AWS::S3::Bucket", "", None),
    ] {
        let account = crate::ids::AccountId::parse("222233334444").expect("an account");
        let name = crate::ids::RegionName::parse(region).expect("a Region");
        assert_eq!(derived_arn(&account, &name, resource_type, id).as_deref(), arn, "{resource_type} {id} in {region}");
    }
}
