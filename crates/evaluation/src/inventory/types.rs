//! The CloudFormation types that Audit Manager evaluates, and the properties that stand for facts of Terraform plans.

pub(super) const INSTANCE: &str = "AWS::EC2::Instance";
pub(super) const VOLUME: &str = "AWS::EC2::Volume";
pub(crate) const GLOBAL_TABLE: &str = "AWS::DynamoDB::GlobalTable";
pub(super) const CLUSTER: &str = "AWS::RDS::DBCluster";
pub(super) const PLAN: &str = "AWS::Backup::BackupPlan";
pub(super) const SELECTION: &str = "AWS::Backup::BackupSelection";
pub(super) const ORGANIZATION_POLICY: &str = "AWS::Organizations::Policy";
pub(super) const VAULT: &str = "AWS::Backup::BackupVault";
pub(super) const AIR_GAPPED_VAULT: &str = "AWS::Backup::LogicallyAirGappedBackupVault";

/// The property with the end of the ARN of a resource that exists, in a Terraform plan.
pub(super) const PHYSICAL_NAME: &str = "terraform:name";

/// The property with the volumes of an instance in a Terraform plan, with the argument that tags each.
pub(super) const VOLUMES: &str = "terraform:volumes";

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
}

/// A type with a list of `Tags`, whose AWS Config type has the same name.
const fn of(
    kind: &'static str,
    name: Option<&'static str>,
    arn: &'static str,
    engine: Option<&'static str>,
) -> TemplateType {
    TemplateType { kind, config_type: kind, name, tags: "Tags", tag_form: TagForm::Pairs, arn, engine }
}

const TABLE: TemplateType = of("AWS::DynamoDB::Table", Some("TableName"), "Arn", None);

const TEMPLATE_TYPES: &[TemplateType] = &[
    of("AWS::RDS::DBCluster", Some("DBClusterIdentifier"), "DBClusterArn", Some("Engine")),
    of("AWS::RDS::DBInstance", Some("DBInstanceIdentifier"), "DBInstanceArn", Some("Engine")),
    of(VOLUME, None, "", None),
    of(INSTANCE, None, "", None),
    TemplateType { tags: "FileSystemTags", ..of("AWS::EFS::FileSystem", None, "Arn", None) },
    of("AWS::FSx::FileSystem", None, "ResourceARN", Some("FileSystemType")),
    TABLE,
    TemplateType { kind: GLOBAL_TABLE, tags: "", ..TABLE },
    // SAM generates a table with these properties.
    TemplateType { kind: "AWS::Serverless::SimpleTable", tag_form: TagForm::Mapping, ..TABLE },
    of("AWS::S3::Bucket", Some("BucketName"), "Arn", None),
    // Only Terraform has it.
    of("AWS::StorageGateway::Volume", None, "Arn", None),
];

impl TemplateType {
    /// Returns the attribute with the ARN.
    pub(crate) fn arn(&self) -> &'static str {
        self.arn
    }

    /// Returns the start of the ids that AWS assigns.
    pub(super) fn id_start(&self) -> &'static str {
        match self.config_type {
            VOLUME => "vol-",
            INSTANCE => "i-",
            "AWS::EFS::FileSystem" | "AWS::FSx::FileSystem" => "fs-",
            _ => "",
        }
    }
}

pub(crate) fn template_type(kind: &str) -> Option<&'static TemplateType> {
    TEMPLATE_TYPES.iter().find(|known| known.kind == kind)
}
