use super::{Control, Parameter, ParameterKind, ScopeKind, Severity, Trigger};

/// The types that Audit Manager evaluates; Aurora DSQL, DocumentDB, Neptune, Redshift, Timestream, SAP HANA and EKS are not among them.
const PROTECTED: &[&str] = &[
    "AWS::RDS::DBCluster",
    "AWS::RDS::DBInstance",
    "AWS::EC2::Volume",
    "AWS::EC2::Instance",
    "AWS::EFS::FileSystem",
    "AWS::FSx::FileSystem",
    "AWS::DynamoDB::Table",
    "AWS::S3::Bucket",
    "AWS::StorageGateway::Volume",
    "AWS::BackupGateway::VirtualMachine",
];

/// The types of the rule family `<type>-meets-restore-time-target`: all but Storage Gateway volumes and virtual machines ("List of AWS Config
/// managed rules by evaluation mode").
const RESTORED: &[&str] = &[
    "AWS::RDS::DBCluster",
    "AWS::RDS::DBInstance",
    "AWS::EC2::Volume",
    "AWS::EC2::Instance",
    "AWS::EFS::FileSystem",
    "AWS::FSx::FileSystem",
    "AWS::DynamoDB::Table",
    "AWS::S3::Bucket",
];

/// The types of the rule family `<type>-resources-in-logically-air-gapped-vault` ("List of AWS Config managed rules by evaluation mode").
const AIR_GAPPED: &[&str] = &[
    "AWS::RDS::DBCluster",
    "AWS::EC2::Volume",
    "AWS::EC2::Instance",
    "AWS::EFS::FileSystem",
    "AWS::S3::Bucket",
    "AWS::StorageGateway::Volume",
    "AWS::BackupGateway::VirtualMachine",
];

/// The Regions without the rule family `<type>-meets-restore-time-target`, by the pages of its rules.
const WITHOUT_RESTORED: &[&str] = &[
    "ap-east-2",
    "ap-southeast-5",
    "ap-southeast-7",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "il-central-1",
    "mx-central-1",
    "us-gov-east-1",
    "us-gov-west-1",
];

/// The Regions without the rule family `<type>-resources-in-logically-air-gapped-vault`, by the pages of its rules.
const WITHOUT_AIR_GAPPED: &[&str] = &[
    "ap-east-2",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "il-central-1",
    "mx-central-1",
    "us-gov-east-1",
    "us-gov-west-1",
];

const HOURS_OR_DAYS: ParameterKind = ParameterKind::OneOf(&["hours", "days"]);

/// The longest retention of AWS Backup in days.
const LONGEST_RETENTION_DAYS: u32 = 36_500;

const RETENTION_DAYS: ParameterKind = ParameterKind::Integer { min: 1, max: LONGEST_RETENTION_DAYS };

const fn optional(name: &'static str, kind: ParameterKind, default: Option<&'static str>) -> Parameter {
    Parameter { name, kind, default, required: false }
}

/// The fields that are equal in most controls, which evaluate resources every 24 hours.
const OF_RESOURCES: Control = Control {
    name: "",
    title: "",
    violation: "",
    compliance: "",
    severity: Severity::Medium,
    evaluates: "",
    parameters: &[],
    scopes: &[ScopeKind::Tag, ScopeKind::ResourceTypes, ScopeKind::SingleResource],
    trigger: Trigger::Daily,
    remediation: "",
    documentation: "https://docs.aws.amazon.com/aws-backup/latest/devguide/controls-and-remediation.html",
    unconfirmed: None,
    resource_types: PROTECTED,
    missing_regions: &[],
    managed_rule: None,
};

/// The controls in the order of AWS's list.
pub static CONTROLS: &[Control] = &[
    Control {
        name: "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN",
        title: "Resources are in a backup plan",
        violation: "is in no backup plan",
        compliance: "is in a backup plan",
        severity: Severity::High,
        evaluates: "whether at least one backup plan selects the resource",
        remediation: "Assign the resource to a backup plan: name its ARN in the plan's selection, or give it the tag that the \
                      selection asks for. Check that the service is switched on in the Region's backup settings.",
        ..OF_RESOURCES
    },
    Control {
        name: "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK",
        title: "Backup plans run often enough and keep backups long enough",
        violation: "falls short on frequency or retention",
        compliance: "meets frequency and retention",
        severity: Severity::Medium,
        evaluates: "whether a backup plan has at least one rule that meets both the frequency and the retention",
        parameters: &[
            optional("requiredFrequencyUnit", HOURS_OR_DAYS, Some("days")),
            optional(
                "requiredFrequencyValue",
                ParameterKind::Period { unit: "requiredFrequencyUnit", hours: (1, 24), days: (1, 31) },
                Some("1"),
            ),
            optional("requiredRetentionDays", RETENTION_DAYS, Some("35")),
        ],
        scopes: &[ScopeKind::Tag, ScopeKind::SingleResource],
        trigger: Trigger::ConfigurationChange,
        remediation: "Change a rule of the backup plan so that it runs often enough and keeps backups long enough. Only backups \
                      made from then on are kept longer.",
        unconfirmed: Some(
            "how one plan is named in a scope: presumably by its id, with the type `AWS::Backup::BackupPlan`",
        ),
        resource_types: &["AWS::Backup::BackupPlan"],
        ..OF_RESOURCES
    },
    Control {
        name: "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED",
        title: "Vaults deny manual deletion of recovery points",
        violation: "allows deleting recovery points",
        compliance: "denies deleting recovery points",
        severity: Severity::High,
        evaluates: "whether the access policy of a backup vault denies deleting and shortening recovery points",
        parameters: &[optional("principalArnList", ParameterKind::ArnList { most: 5 }, None)],
        scopes: &[ScopeKind::Tag, ScopeKind::SingleResource],
        trigger: Trigger::ConfigurationChange,
        remediation: "Put an access policy on the vault that denies backup:DeleteRecoveryPoint, \
                      backup:UpdateRecoveryPointLifecycle and backup:PutBackupVaultAccessPolicy to everyone but the roles that \
                      the framework names.",
        unconfirmed: Some("the effect of an empty principalArnList; omit the parameter instead"),
        resource_types: &["AWS::Backup::BackupVault"],
        ..OF_RESOURCES
    },
    Control {
        name: "BACKUP_RECOVERY_POINT_ENCRYPTED",
        title: "Recovery points are encrypted",
        violation: "is not encrypted",
        compliance: "is encrypted",
        severity: Severity::Medium,
        evaluates: "whether a recovery point is encrypted",
        scopes: &[ScopeKind::Tag],
        trigger: Trigger::ConfigurationChange,
        remediation: "Encrypt the source resource, or for services that AWS Backup manages fully give the vault a KMS key; then \
                      make a new backup and delete the unencrypted one.",
        unconfirmed: Some("whether native snapshots (EBS, RDS, Aurora) are recorded as recovery points by AWS Config"),
        resource_types: &["AWS::Backup::RecoveryPoint"],
        ..OF_RESOURCES
    },
    Control {
        name: "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK",
        title: "Recovery points are kept long enough",
        violation: "is not kept long enough",
        compliance: "is kept long enough",
        severity: Severity::Medium,
        evaluates: "whether a recovery point is kept for at least the required number of days",
        parameters: &[optional("requiredRetentionDays", RETENTION_DAYS, Some("35"))],
        scopes: &[ScopeKind::Tag],
        trigger: Trigger::ConfigurationChange,
        remediation: "Lengthen the retention of the recovery point, and of the rule of the backup plan that made it.",
        unconfirmed: Some("whether native snapshots (EBS, RDS, Aurora) are recorded as recovery points by AWS Config"),
        resource_types: &["AWS::Backup::RecoveryPoint"],
        ..OF_RESOURCES
    },
    Control {
        name: "BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION",
        title: "Backups are copied to another Region",
        violation: "is not copied to another Region",
        compliance: "is copied to another Region",
        severity: Severity::Medium,
        evaluates: "whether a backup plan of the resource copies its backups to another Region",
        parameters: &[optional("crossRegionList", ParameterKind::RegionList, None)],
        remediation: "Add a copy action to the rule of the backup plan, with a vault in another Region as its destination.",
        ..OF_RESOURCES
    },
    Control {
        name: "BACKUP_RESOURCES_PROTECTED_BY_CROSS_ACCOUNT",
        title: "Backups are copied to another account",
        violation: "is not copied to another account",
        compliance: "is copied to another account",
        severity: Severity::Medium,
        evaluates: "whether a backup plan of the resource copies its backups to another account of the organization",
        parameters: &[optional("crossAccountList", ParameterKind::AccountList { most: 5 }, None)],
        remediation: "Add a copy action to the rule of the backup plan, with a vault in another account of the organization as its \
                      destination.",
        ..OF_RESOURCES
    },
    Control {
        name: "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK",
        title: "Backups are kept in a locked vault",
        violation: "is in no locked vault",
        compliance: "is in a locked vault",
        severity: Severity::Medium,
        evaluates: "whether a backup plan of the resource stores its backups in a vault with a Vault Lock",
        parameters: &[
            optional("minRetentionDays", RETENTION_DAYS, None),
            optional("maxRetentionDays", RETENTION_DAYS, None),
        ],
        remediation: "Lock the vault that the backup plan stores into, with a minimum and maximum retention within the required \
                      bounds.",
        ..OF_RESOURCES
    },
    Control {
        name: "BACKUP_LAST_RECOVERY_POINT_CREATED",
        title: "A recent recovery point exists",
        violation: "has no recent recovery point",
        compliance: "has a recent recovery point",
        severity: Severity::High,
        evaluates: "whether the newest recovery point of the resource, in its own account and Region, is recent enough",
        parameters: &[
            optional(
                "recoveryPointAgeValue",
                ParameterKind::Period { unit: "recoveryPointAgeUnit", hours: (1, 744), days: (1, 31) },
                Some("1"),
            ),
            optional("recoveryPointAgeUnit", HOURS_OR_DAYS, Some("days")),
        ],
        remediation: "Start an on-demand backup of the resource now. If its plan runs too rarely or its backup jobs fail, fix the \
                      schedule or the cause.",
        managed_rule: Some("LAST_BACKUP_RECOVERY_POINT_CREATED"),
        ..OF_RESOURCES
    },
    Control {
        name: "RESTORE_TIME_FOR_RESOURCES_MEET_TARGET",
        title: "Restore tests meet the target time",
        violation: "takes too long to restore",
        compliance: "is restored fast enough",
        severity: Severity::Medium,
        evaluates: "whether the last restore test of the resource finished within the target time",
        parameters: &[Parameter {
            name: "maxRestoreTime",
            // Minutes; AWS documents no maximum.
            kind: ParameterKind::Integer { min: 1, max: u32::MAX },
            default: None,
            required: true,
        }],
        remediation: "Put the resource into a restore testing plan and find out why its last restore took longer than the target.",
        unconfirmed: Some("AWS documents no remediation, and its own sample omits maxRestoreTime"),
        resource_types: RESTORED,
        missing_regions: WITHOUT_RESTORED,
        managed_rule: Some("MEETS_RESTORE_TIME_TARGET"),
        ..OF_RESOURCES
    },
    Control {
        name: "RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT",
        title: "Backups are in a logically air-gapped vault",
        violation: "is not in an air-gapped vault",
        compliance: "is in an air-gapped vault",
        severity: Severity::Medium,
        evaluates: "whether a recent recovery point of the resource is in a logically air-gapped vault",
        parameters: &[
            optional(
                "recoveryPointAgeValue",
                ParameterKind::Period { unit: "recoveryPointAgeUnit", hours: (24, 2184), days: (1, 91) },
                Some("1"),
            ),
            optional("recoveryPointAgeUnit", HOURS_OR_DAYS, Some("days")),
        ],
        scopes: &[ScopeKind::ResourceTypes, ScopeKind::SingleResource],
        remediation: "Copy the resource's backups to a logically air-gapped vault, at least as often as the allowed age.",
        unconfirmed: Some(
            "whether Audit Manager rejects or ignores a scope with other types: AWS Config has no rule for them",
        ),
        resource_types: AIR_GAPPED,
        missing_regions: WITHOUT_AIR_GAPPED,
        managed_rule: Some("RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT"),
        ..OF_RESOURCES
    },
];
