//! Resource types: what Config calls them, what Audit Manager's rule names call them, and what people call them; and the ARNs of
//! their resources.

use crate::violation::Key;

/// Prefix of a rule's name, type in Config, words.
const PROTECTED: &[(&str, &str, &str)] = &[
    // A Multi-AZ cluster that is not Aurora has the same type; Config does not tell them apart.
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

/// A resource type in plain words, such as "Aurora cluster"; the type itself where we have no words for it.
#[must_use]
pub fn resource_kind(resource_type: &str) -> &str {
    let protected = PROTECTED.iter().map(|(_, config_type, words)| (*config_type, *words));
    protected
        .chain(OF_BACKUP.iter().copied())
        .find(|(config_type, _)| *config_type == resource_type)
        .map_or(resource_type, |(_, words)| words)
}

/// The Config type that the prefix of a rule's name stands for: `AURORA` is `AWS::RDS::DBCluster`. Case, spaces, hyphens and
/// underscores do not count, since AWS does not document how it writes "Storage Gateway" there.
#[must_use]
pub fn config_type(prefix: &str) -> Option<&'static str> {
    let prefix = squeezed(prefix);
    PROTECTED.iter().find(|(name, _, _)| *name == prefix).map(|(_, config_type, _)| *config_type)
}

/// What `ControlScope.ComplianceResourceTypes` calls the types that Audit Manager protects, and their types in Config. The spelling
/// is that of a framework that the console made; whether others are taken is not documented.
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

/// What AWS Backup backs up and Audit Manager does not look at ("Backup feature availability", November 2026), in capitals without
/// spaces and hyphens.
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

/// Whether this is a type that AWS Backup knows and Audit Manager does not.
#[must_use]
pub fn is_not_audited(name: &str) -> bool {
    NOT_AUDITED.contains(&squeezed(name).as_str())
}

/// The name in a scope that this means: another spelling of it, or its type in CloudFormation.
#[must_use]
pub fn scope_name(name: &str) -> Option<&'static str> {
    let found = SCOPE_NAMES.iter().find(|(scope, kind)| *kind == name || squeezed(scope) == squeezed(name));
    found.map(|(scope, _)| *scope)
}

/// In capitals, letters and digits only.
fn squeezed(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase()
}

/// Type in Config, service and kind of the ARN of a resource: `service:region:account:kind<id>`.
const WITH_ARNS: &[(&str, &str, &str)] = &[
    ("AWS::DynamoDB::Table", "dynamodb", "table/"),
    ("AWS::EC2::Instance", "ec2", "instance/"),
    ("AWS::EC2::Volume", "ec2", "volume/"),
    ("AWS::EFS::FileSystem", "elasticfilesystem", "file-system/"),
    ("AWS::FSx::FileSystem", "fsx", "file-system/"),
    ("AWS::Backup::BackupPlan", "backup", "backup-plan:"),
    ("AWS::Backup::BackupVault", "backup", "backup-vault:"),
];

/// The ARN of the resource of a violation, where it follows from type and id. `None` where it does not, or may not.
#[must_use]
pub fn derived_arn(key: &Key) -> Option<String> {
    let Key { account, region, resource_type, resource_id: id, .. } = key;
    if id.starts_with("arn:") {
        return Some(id.clone());
    }
    // An ARN of several parts is no id, and neither is nothing.
    if id.is_empty() || id.contains([':', '/', '*']) {
        return None;
    }
    let partition = region.partition();
    let regional = |service: &str, kind: &str| Some(format!("arn:{partition}:{service}:{region}:{account}:{kind}{id}"));
    match resource_type.as_str() {
        "AWS::S3::Bucket" => Some(format!("arn:{partition}:s3:::{id}")),
        "AWS::RDS::DBCluster" if is_database_identifier(id, "cluster-") => regional("rds", "cluster:"),
        "AWS::RDS::DBInstance" if is_database_identifier(id, "db-") => regional("rds", "db:"),
        other => {
            let (_, service, kind) = WITH_ARNS.iter().find(|(config_type, _, _)| *config_type == other)?;
            regional(service, kind)
        }
    }
}

/// Whether an id is the name that people gave to a database, which its ARN ends in, and not the resource id that AWS gave it,
/// such as `cluster-` with 26 capitals and digits. RDS keeps names in lower case.
fn is_database_identifier(id: &str, prefix: &str) -> bool {
    const RESOURCE_ID: usize = 26;
    id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && id.strip_prefix(prefix).is_none_or(|rest| rest.len() != RESOURCE_ID)
}
