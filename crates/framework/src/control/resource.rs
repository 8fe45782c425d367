//! Resource types: their names in Config, in Audit Manager's rules and in plain words, and the ARNs of their resources.

use crate::ids::{AccountId, RegionName};

/// The prefix in a rule name, the Config type, plain words.
const PROTECTED: &[(&str, &str, &str)] = &[
    // A Multi-AZ cluster has the same type as an Aurora cluster in Config.
    ("AURORA", "AWS::RDS::DBCluster", "Aurora cluster"),
    ("RDS", "AWS::RDS::DBInstance", "RDS instance"),
    ("EBS", "AWS::EC2::Volume", "EBS volume"),
    ("EC2", "AWS::EC2::Instance", "EC2 instance"),
    ("EFS", "AWS::EFS::FileSystem", "EFS file system"),
    ("FSX", "AWS::FSx::FileSystem", "FSx file system"),
    ("DYNAMODB", "AWS::DynamoDB::Table", "DynamoDB table"),
    ("S3", "AWS::S3::Bucket", "S3 bucket"),
    ("STORAGEGATEWAY", "AWS::StorageGateway::Volume", "Storage Gateway volume"),
    ("VIRTUALMACHINE", "AWS::BackupGateway::VirtualMachine", "virtual machine"),
];

const OF_BACKUP: &[(&str, &str)] = &[
    ("AWS::Backup::BackupPlan", "backup plan"),
    ("AWS::Backup::BackupSelection", "backup selection"),
    ("AWS::Backup::BackupVault", "backup vault"),
    ("AWS::Backup::RecoveryPoint", "recovery point"),
];

/// Returns a resource type in plain words, such as "Aurora cluster"; an unknown type as is.
#[must_use]
pub fn resource_kind(resource_type: &str) -> &str {
    let protected = PROTECTED.iter().map(|(_, config_type, words)| (*config_type, *words));
    protected
        .chain(OF_BACKUP.iter().copied())
        .find(|(config_type, _)| *config_type == resource_type)
        .map_or(resource_type, |(_, words)| words)
}

/// Returns the Config type of the prefix in a rule name: `AURORA` is `AWS::RDS::DBCluster`. Case, spaces, hyphens and underscores do
/// not count, because AWS does not document the prefix of "Storage Gateway".
#[must_use]
pub fn config_type(prefix: &str) -> Option<&'static str> {
    let prefix = squeezed(prefix);
    PROTECTED.iter().find(|(name, _, _)| *name == prefix).map(|(_, config_type, _)| *config_type)
}

/// The types in `ControlScope.ComplianceResourceTypes` and in Config. The spelling is that of a framework that the console created; AWS
/// does not document whether others are accepted.
pub const SCOPE_NAMES: &[(&str, &str)] = &[
    ("Aurora", "AWS::RDS::DBCluster"),
    ("DynamoDB", "AWS::DynamoDB::Table"),
    ("EBS", "AWS::EC2::Volume"),
    ("EC2", "AWS::EC2::Instance"),
    ("EFS", "AWS::EFS::FileSystem"),
    ("FSx", "AWS::FSx::FileSystem"),
    ("RDS", "AWS::RDS::DBInstance"),
    ("S3", "AWS::S3::Bucket"),
    ("Storage Gateway", "AWS::StorageGateway::Volume"),
    ("VirtualMachine", "AWS::BackupGateway::VirtualMachine"),
];

/// The types that AWS Backup supports and Audit Manager does not evaluate ("Backup feature availability", November 2026), in capitals
/// without spaces and hyphens.
const NOT_AUDITED: &[&str] = &[
    "AURORADSQL",
    "CLOUDFORMATION",
    "DOCUMENTDB",
    "DSQL",
    "EKS",
    "NEPTUNE",
    "REDSHIFT",
    "REDSHIFTSERVERLESS",
    "SAPHANA",
    "SAPHANAONAMAZONEC2",
    "TIMESTREAM",
];

/// Whether AWS Backup supports the type and Audit Manager does not evaluate it.
#[must_use]
pub fn is_not_audited(name: &str) -> bool {
    NOT_AUDITED.contains(&squeezed(name).as_str())
}

/// Returns the name of a type in a scope, from another spelling or the CloudFormation type.
#[must_use]
pub fn scope_name(name: &str) -> Option<&'static str> {
    let found = SCOPE_NAMES.iter().find(|(scope, kind)| *kind == name || squeezed(scope) == squeezed(name));
    found.map(|(scope, _)| *scope)
}

/// Returns the letters and digits in capitals.
fn squeezed(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase()
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
#[must_use]
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
