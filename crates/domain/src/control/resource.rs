//! Resource types: what Config calls them, what Audit Manager's rule names call them, and what people call them.

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
    let prefix: String = prefix.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
    PROTECTED.iter().find(|(name, _, _)| *name == prefix).map(|(_, config_type, _)| *config_type)
}
