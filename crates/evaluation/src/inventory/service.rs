//! The resource types that Audit Manager evaluates: their ARNs and opt-in services.
//!
//! Source: AWS Backup developer guide, "Assign resources with AWS CLI" (shared resource types) and
//! `DescribeRegionSettings`.

/// A resource type that Audit Manager evaluates.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ProtectedType {
    pub(crate) config_type: &'static str,
    /// The service in its ARNs.
    pub(crate) service: &'static str,
    /// The start of the last part of its ARNs.
    pub(crate) arn_kind: &'static str,
    /// The service in `ResourceTypeOptInPreference`.
    opt_in: &'static str,
    /// Whether several engines share the type and its ARN format: a resource without an engine is then ambiguous, and
    /// even an ARN needs the service to be enabled. An instance of Neptune or DocumentDB has a cluster, whose engine
    /// decides.
    pub(crate) shared: bool,
}

const fn of(
    config_type: &'static str,
    service: &'static str,
    arn_kind: &'static str,
    opt_in: &'static str,
    shared: bool,
) -> ProtectedType {
    ProtectedType { config_type, service, arn_kind, opt_in, shared }
}

pub(crate) static PROTECTED: &[ProtectedType] = &[
    of("AWS::RDS::DBCluster", "rds", "cluster:", "Aurora", true),
    of("AWS::RDS::DBInstance", "rds", "db:", "RDS", false),
    of("AWS::EC2::Volume", "ec2", "volume/", "EBS", false),
    of("AWS::EC2::Instance", "ec2", "instance/", "EC2", false),
    of("AWS::EFS::FileSystem", "elasticfilesystem", "file-system/", "EFS", false),
    of("AWS::FSx::FileSystem", "fsx", "file-system/", "FSx", true),
    of("AWS::DynamoDB::Table", "dynamodb", "table/", "DynamoDB", false),
    of("AWS::S3::Bucket", "s3", "", "S3", false),
    of("AWS::StorageGateway::Volume", "storagegateway", "gateway/", "Storage Gateway", false),
    of("AWS::BackupGateway::VirtualMachine", "backup-gateway", "vm/", "VirtualMachine", false),
];

/// The services in `ResourceTypeOptInPreference` whose resources Audit Manager evaluates.
pub const OPT_IN_SERVICES: [&str; 10] =
    ["Aurora", "RDS", "EBS", "EC2", "EFS", "FSx", "DynamoDB", "S3", "Storage Gateway", "VirtualMachine"];

/// Returns the name that differs in case only.
pub(crate) fn in_right_case<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    names.into_iter().find(|known| known.eq_ignore_ascii_case(name) && *known != name)
}

pub(crate) fn protected(config_type: &str) -> Option<&'static ProtectedType> {
    PROTECTED.iter().find(|protected| protected.config_type == config_type)
}

impl ProtectedType {
    /// Returns the service that must be enabled.
    pub(crate) fn opt_in(&self, engine: Option<&str>) -> &'static str {
        let engine = engine.unwrap_or_default();
        match self.config_type {
            "AWS::RDS::DBCluster" | "AWS::RDS::DBInstance" if engine == "neptune" => "Neptune",
            "AWS::RDS::DBCluster" | "AWS::RDS::DBInstance" if engine == "docdb" => "DocumentDB",
            "AWS::RDS::DBCluster" if !engine.is_empty() && !engine.starts_with("aurora") => "RDS",
            "AWS::FSx::FileSystem" if engine.eq_ignore_ascii_case("openzfs") => "FSx for OpenZFS",
            _ => self.opt_in,
        }
    }

    /// Returns whether Audit Manager evaluates the engine: not Neptune, DocumentDB and FSx for OpenZFS, which share
    /// these types ("Feature availability", column Audit Manager).
    pub(crate) fn is_evaluated(&self, engine: Option<&str>) -> bool {
        !matches!(self.opt_in(engine), "Neptune" | "DocumentDB" | "FSx for OpenZFS")
    }

    /// Returns whether Audit Manager evaluates copies: not for FSx for NetApp ONTAP.
    pub(crate) fn evaluates_copies(&self, engine: Option<&str>) -> bool {
        !(self.service == "fsx" && engine.is_some_and(|engine| engine.eq_ignore_ascii_case("ontap")))
    }

    /// Returns whether a pattern names the type and not only the service: `arn:aws:ec2:*:*:instance/*` does,
    /// `arn:aws:ec2:*` does not. A `*` in the position of the type, or across the colons before it, does not name a
    /// type.
    pub(crate) fn is_named_by(&self, pattern: &str) -> bool {
        let mut parts = pattern.splitn(6, ':');
        parts.nth(2) == Some(self.service) && parts.nth(2).is_some_and(|last| last.starts_with(self.arn_kind))
    }
}
