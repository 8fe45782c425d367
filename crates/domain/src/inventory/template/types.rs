//! The types of CloudFormation that mean something here.

pub(super) const GLOBAL_TABLE: &str = "AWS::DynamoDB::GlobalTable";
pub(super) const CLUSTER: &str = "AWS::RDS::DBCluster";
pub(super) const PLAN: &str = "AWS::Backup::BackupPlan";
pub(super) const SELECTION: &str = "AWS::Backup::BackupSelection";
pub(super) const VAULT: &str = "AWS::Backup::BackupVault";
pub(super) const AIR_GAPPED_VAULT: &str = "AWS::Backup::LogicallyAirGappedBackupVault";

/// How a type writes its tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TagForm {
    /// A list of `Key` and `Value`.
    Pairs,
    /// A mapping.
    Mapping,
}

/// A type of CloudFormation that becomes a resource which Audit Manager asks about.
#[derive(Debug)]
pub(crate) struct Known {
    pub(super) kind: &'static str,
    pub(super) config_type: &'static str,
    /// The property with its name, which ends its ARN.
    pub(super) name: Option<&'static str>,
    /// The property with its tags.
    pub(crate) tags: &'static str,
    pub(crate) tag_form: TagForm,
    /// The attribute that is its ARN.
    pub(super) arn: &'static str,
    pub(super) engine: Option<&'static str>,
    pub(super) encrypted: Option<&'static str>,
}

const KNOWN: &[Known] = &[
    Known {
        kind: "AWS::RDS::DBCluster",
        config_type: "AWS::RDS::DBCluster",
        name: Some("DBClusterIdentifier"),
        tags: "Tags",
        tag_form: TagForm::Pairs,
        arn: "DBClusterArn",
        engine: Some("Engine"),
        encrypted: Some("StorageEncrypted"),
    },
    Known {
        kind: "AWS::RDS::DBInstance",
        config_type: "AWS::RDS::DBInstance",
        name: Some("DBInstanceIdentifier"),
        tags: "Tags",
        tag_form: TagForm::Pairs,
        arn: "DBInstanceArn",
        engine: Some("Engine"),
        encrypted: Some("StorageEncrypted"),
    },
    Known {
        kind: "AWS::EC2::Volume",
        config_type: "AWS::EC2::Volume",
        name: None,
        tags: "Tags",
        tag_form: TagForm::Pairs,
        arn: "",
        engine: None,
        encrypted: Some("Encrypted"),
    },
    Known {
        kind: "AWS::EC2::Instance",
        config_type: "AWS::EC2::Instance",
        name: None,
        tags: "Tags",
        tag_form: TagForm::Pairs,
        arn: "",
        engine: None,
        encrypted: None,
    },
    Known {
        kind: "AWS::EFS::FileSystem",
        config_type: "AWS::EFS::FileSystem",
        name: None,
        tags: "FileSystemTags",
        tag_form: TagForm::Pairs,
        arn: "Arn",
        engine: None,
        encrypted: Some("Encrypted"),
    },
    Known {
        kind: "AWS::FSx::FileSystem",
        config_type: "AWS::FSx::FileSystem",
        name: None,
        tags: "Tags",
        tag_form: TagForm::Pairs,
        arn: "ResourceARN",
        engine: Some("FileSystemType"),
        encrypted: None,
    },
    Known {
        kind: "AWS::DynamoDB::Table",
        config_type: "AWS::DynamoDB::Table",
        name: Some("TableName"),
        tags: "Tags",
        tag_form: TagForm::Pairs,
        arn: "Arn",
        engine: None,
        encrypted: None,
    },
    Known {
        kind: GLOBAL_TABLE,
        config_type: "AWS::DynamoDB::Table",
        name: Some("TableName"),
        tags: "",
        tag_form: TagForm::Pairs,
        arn: "Arn",
        engine: None,
        encrypted: None,
    },
    // SAM makes a table of it, with these properties as they are.
    Known {
        kind: "AWS::Serverless::SimpleTable",
        config_type: "AWS::DynamoDB::Table",
        name: Some("TableName"),
        tags: "Tags",
        tag_form: TagForm::Mapping,
        arn: "Arn",
        engine: None,
        encrypted: None,
    },
    Known {
        kind: "AWS::S3::Bucket",
        config_type: "AWS::S3::Bucket",
        name: Some("BucketName"),
        tags: "Tags",
        tag_form: TagForm::Pairs,
        arn: "Arn",
        engine: None,
        encrypted: None,
    },
];

/// What is known of a type.
pub(crate) fn known(kind: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.kind == kind)
}
