//! Resource types: their names in Config, in Audit Manager's rules and in plain words, and the ARNs of their resources.

use crate::ids::{AccountId, RegionName};

/// The types that Audit Manager evaluates: the name in `ControlScope.ComplianceResourceTypes`, the Config type, plain words. The spelling
/// is that of a framework that the console created; AWS does not document whether others are accepted.
pub(crate) const SCOPE_NAMES: &[(&str, &str, &str)] = &[
    // A Multi-AZ cluster has the same type as an Aurora cluster in Config.
    ("Aurora", "AWS::RDS::DBCluster", "Aurora cluster"),
    ("DynamoDB", "AWS::DynamoDB::Table", "DynamoDB table"),
    ("EBS", "AWS::EC2::Volume", "EBS volume"),
    ("EC2", "AWS::EC2::Instance", "EC2 instance"),
    ("EFS", "AWS::EFS::FileSystem", "EFS file system"),
    ("FSx", "AWS::FSx::FileSystem", "FSx file system"),
    ("RDS", "AWS::RDS::DBInstance", "RDS instance"),
    ("S3", "AWS::S3::Bucket", "S3 bucket"),
    ("Storage Gateway", "AWS::StorageGateway::Volume", "Storage Gateway volume"),
    ("VirtualMachine", "AWS::BackupGateway::VirtualMachine", "virtual machine"),
];

const OF_BACKUP: &[(&str, &str)] = &[
    ("AWS::Backup::BackupPlan", "backup plan"),
    ("AWS::Backup::BackupSelection", "backup selection"),
    ("AWS::Backup::BackupVault", "backup vault"),
    ("AWS::Backup::RecoveryPoint", "recovery point"),
];

/// Returns a resource type in plain words, such as "Aurora cluster"; an unknown type as is.
pub fn resource_kind(resource_type: &str) -> &str {
    let mut words = SCOPE_NAMES.iter().map(|(_, kind, words)| (*kind, *words)).chain(OF_BACKUP.iter().copied());
    words.find(|(kind, _)| *kind == resource_type).map_or(resource_type, |(_, words)| words)
}

/// Returns the Config type of the prefix in a rule name: `AURORA` is `AWS::RDS::DBCluster`. Case, spaces, hyphens and underscores do
/// not count, because AWS does not document the prefix of "Storage Gateway".
pub fn config_type(prefix: &str) -> Option<&'static str> {
    SCOPE_NAMES.iter().find(|(name, ..)| is_spelling(name, prefix)).map(|(_, kind, _)| *kind)
}

/// The types that AWS Backup supports and Audit Manager does not evaluate ("Backup feature availability", November 2026).
const NOT_AUDITED: &[&str] = &[
    "Aurora DSQL",
    "CloudFormation",
    "DocumentDB",
    "DSQL",
    "EKS",
    "Neptune",
    "Redshift",
    "Redshift Serverless",
    "SAP HANA",
    "SAP HANA on Amazon EC2",
    "Timestream",
];

/// Whether AWS Backup supports the type and Audit Manager does not evaluate it.
pub(crate) fn is_not_audited(name: &str) -> bool {
    NOT_AUDITED.iter().any(|other| is_spelling(other, name))
}

/// Returns the name of a type in a scope, from another spelling or the CloudFormation type.
pub(crate) fn scope_name(name: &str) -> Option<&'static str> {
    SCOPE_NAMES.iter().find(|(scope, kind, _)| *kind == name || is_spelling(scope, name)).map(|(scope, ..)| *scope)
}

/// Whether two names have the same letters and digits, case aside.
fn is_spelling(name: &str, other: &str) -> bool {
    fn letters(name: &str) -> impl Iterator<Item = char> {
        name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase())
    }
    letters(name).eq(letters(other))
}

/// Config type, service and kind in the ARN of a resource: `service:region:account:kind<id>`.
const WITH_ARNS: &[(&str, &str, &str)] = &[
    ("AWS::DynamoDB::Table", "dynamodb", "table/"),
    ("AWS::EC2::Instance", "ec2", "instance/"),
    ("AWS::EC2::Volume", "ec2", "volume/"),
    ("AWS::EFS::FileSystem", "elasticfilesystem", "file-system/"),
    ("AWS::FSx::FileSystem", "fsx", "file-system/"),
    ("AWS::Backup::BackupPlan", "backup", "backup-plan:"),
    ("AWS::Backup::BackupVault", "backup", "backup-vault:"),
];

/// Returns the ARN of a resource if it follows from type and id.
pub fn derived_arn(account: &AccountId, region: &RegionName, resource_type: &str, id: &str) -> Option<String> {
    if id.starts_with("arn:") {
        return Some(id.to_owned());
    }
    // An empty id, or one with several parts of an ARN.
    if id.is_empty() || id.contains([':', '/', '*']) {
        return None;
    }
    let partition = region.partition();
    let regional = |service: &str, kind: &str| Some(format!("arn:{partition}:{service}:{region}:{account}:{kind}{id}"));
    match resource_type {
        "AWS::S3::Bucket" => Some(format!("arn:{partition}:s3:::{id}")),
        "AWS::RDS::DBCluster" if is_database_identifier(id, "cluster-") => regional("rds", "cluster:"),
        "AWS::RDS::DBInstance" if is_database_identifier(id, "db-") => regional("rds", "db:"),
        other => {
            let (_, service, kind) = WITH_ARNS.iter().find(|(config_type, _, _)| *config_type == other)?;
            regional(service, kind)
        }
    }
}

/// Whether an id is the name of a database, which its ARN ends in, and not the resource id from AWS, such as `cluster-` with 26 capitals
/// and digits. RDS keeps names in lower case.
fn is_database_identifier(id: &str, prefix: &str) -> bool {
    const RESOURCE_ID: usize = 26;
    id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && id.strip_prefix(prefix).is_none_or(|rest| rest.len() != RESOURCE_ID)
}
