//! The CloudFormation types that Audit Manager evaluates.

pub(super) const GLOBAL_TABLE: &str = "AWS::DynamoDB::GlobalTable";
pub(super) const CLUSTER: &str = "AWS::RDS::DBCluster";
pub(super) const PLAN: &str = "AWS::Backup::BackupPlan";
pub(super) const SELECTION: &str = "AWS::Backup::BackupSelection";
pub(super) const VAULT: &str = "AWS::Backup::BackupVault";
pub(super) const AIR_GAPPED_VAULT: &str = "AWS::Backup::LogicallyAirGappedBackupVault";

/// The notation of tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TagForm {
    /// A list of `Key` and `Value`.
    Pairs,
    Mapping,
}

/// A CloudFormation type of resources that Audit Manager evaluates.
#[derive(Debug)]
pub(crate) struct TemplateType {
    pub(super) kind: &'static str,
    pub(super) config_type: &'static str,
    /// The property with the name at the end of the ARN.
    pub(super) name: Option<&'static str>,
    pub(crate) tags: &'static str,
    pub(crate) tag_form: TagForm,
    /// The attribute with the ARN.
    pub(super) arn: &'static str,
    pub(super) engine: Option<&'static str>,
    pub(super) encrypted: Option<&'static str>,
}

/// The defaults of [`TEMPLATE_TYPES`].
const COMMON: TemplateType = TemplateType {
    kind: "",
    config_type: "",
    name: None,
    tags: "Tags",
    tag_form: TagForm::Pairs,
    arn: "Arn",
    engine: None,
    encrypted: None,
};

const TEMPLATE_TYPES: &[TemplateType] = &[
    TemplateType {
        kind: "AWS::RDS::DBCluster",
        config_type: "AWS::RDS::DBCluster",
        name: Some("DBClusterIdentifier"),
        arn: "DBClusterArn",
        engine: Some("Engine"),
        encrypted: Some("StorageEncrypted"),
        ..COMMON
    },
    TemplateType {
        kind: "AWS::RDS::DBInstance",
        config_type: "AWS::RDS::DBInstance",
        name: Some("DBInstanceIdentifier"),
        arn: "DBInstanceArn",
        engine: Some("Engine"),
        encrypted: Some("StorageEncrypted"),
        ..COMMON
    },
    TemplateType {
        kind: "AWS::EC2::Volume",
        config_type: "AWS::EC2::Volume",
        arn: "",
        encrypted: Some("Encrypted"),
        ..COMMON
    },
    TemplateType { kind: "AWS::EC2::Instance", config_type: "AWS::EC2::Instance", arn: "", ..COMMON },
    TemplateType {
        kind: "AWS::EFS::FileSystem",
        config_type: "AWS::EFS::FileSystem",
        tags: "FileSystemTags",
        encrypted: Some("Encrypted"),
        ..COMMON
    },
    TemplateType {
        kind: "AWS::FSx::FileSystem",
        config_type: "AWS::FSx::FileSystem",
        arn: "ResourceARN",
        engine: Some("FileSystemType"),
        ..COMMON
    },
    TemplateType {
        kind: "AWS::DynamoDB::Table",
        config_type: "AWS::DynamoDB::Table",
        name: Some("TableName"),
        ..COMMON
    },
    TemplateType {
        kind: GLOBAL_TABLE,
        config_type: "AWS::DynamoDB::Table",
        name: Some("TableName"),
        tags: "",
        ..COMMON
    },
    // SAM generates a table with these properties.
    TemplateType {
        kind: "AWS::Serverless::SimpleTable",
        config_type: "AWS::DynamoDB::Table",
        name: Some("TableName"),
        tag_form: TagForm::Mapping,
        ..COMMON
    },
    TemplateType { kind: "AWS::S3::Bucket", config_type: "AWS::S3::Bucket", name: Some("BucketName"), ..COMMON },
];

pub(crate) fn template_type(kind: &str) -> Option<&'static TemplateType> {
    TEMPLATE_TYPES.iter().find(|known| known.kind == kind)
}
