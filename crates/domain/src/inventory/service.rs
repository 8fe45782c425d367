//! The types that Audit Manager protects: how their ARNs look, and which switch of AWS Backup turns them on.
//!
//! Source: AWS Backup developer guide, "Assign resources with AWS CLI" (shared resource types) and `DescribeRegionSettings`.

/// A type of resource that Audit Manager asks about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Protected {
    /// The type in AWS Config.
    pub(crate) config_type: &'static str,
    /// The service in its ARNs.
    pub(crate) service: &'static str,
    /// What the last part of its ARNs begins with.
    pub(crate) arn_kind: &'static str,
    /// The switch in a Region's settings (`ResourceTypeOptInPreference`).
    opt_in: &'static str,
    /// Whether other services have ARNs of the same shape, so that the switch counts for whole ARNs too.
    pub(crate) shared: bool,
}

const fn own(
    config_type: &'static str,
    service: &'static str,
    arn_kind: &'static str,
    opt_in: &'static str,
) -> Protected {
    Protected { config_type, service, arn_kind, opt_in, shared: false }
}

static PROTECTED: &[Protected] = &[
    Protected {
        config_type: "AWS::RDS::DBCluster",
        service: "rds",
        arn_kind: "cluster:",
        opt_in: "Aurora",
        shared: true,
    },
    own("AWS::RDS::DBInstance", "rds", "db:", "RDS"),
    own("AWS::EC2::Volume", "ec2", "volume/", "EBS"),
    own("AWS::EC2::Instance", "ec2", "instance/", "EC2"),
    own("AWS::EFS::FileSystem", "elasticfilesystem", "file-system/", "EFS"),
    Protected {
        config_type: "AWS::FSx::FileSystem",
        service: "fsx",
        arn_kind: "file-system/",
        opt_in: "FSx",
        shared: true,
    },
    own("AWS::DynamoDB::Table", "dynamodb", "table/", "DynamoDB"),
    own("AWS::S3::Bucket", "s3", "", "S3"),
    own("AWS::StorageGateway::Volume", "storagegateway", "gateway/", "Storage Gateway"),
    own("AWS::BackupGateway::VirtualMachine", "backup-gateway", "vm/", "VirtualMachine"),
];

/// The switches for services that a Region's settings of AWS Backup have (`ResourceTypeOptInPreference`), as far as Audit Manager
/// asks about what they are for.
pub const SWITCHES: [&str; 10] =
    ["Aurora", "RDS", "EBS", "EC2", "EFS", "FSx", "DynamoDB", "S3", "Storage Gateway", "VirtualMachine"];

/// The name that is meant by one that differs from it in nothing but the case of letters.
pub(crate) fn in_right_case<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    names.into_iter().find(|known| known.eq_ignore_ascii_case(name) && *known != name)
}

/// The types that Audit Manager asks about, by their names in AWS Config.
pub(crate) fn protected_types() -> impl Iterator<Item = &'static str> {
    PROTECTED.iter().map(|protected| protected.config_type)
}

/// What is known of a type, if Audit Manager asks about it.
pub(crate) fn protected(config_type: &str) -> Option<&'static Protected> {
    PROTECTED.iter().find(|protected| protected.config_type == config_type)
}

impl Protected {
    /// Whether types that share this name differ in their engine, so that nobody knows what a resource without one is. An
    /// instance of Neptune or DocumentDB is a member of a cluster, which says what it is.
    pub(crate) fn needs_engine(&self) -> bool {
        matches!(self.config_type, "AWS::RDS::DBCluster" | "AWS::FSx::FileSystem")
    }

    /// The switch for a resource of this type.
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

    /// Whether Audit Manager asks about resources of this type with this engine: it leaves out Neptune, DocumentDB and FSx for
    /// OpenZFS, which share their types ("Feature availability", column Audit Manager).
    pub(crate) fn is_asked_about(&self, engine: Option<&str>) -> bool {
        !matches!(self.opt_in(engine), "Neptune" | "DocumentDB" | "FSx for OpenZFS")
    }

    /// Whether copies to other Regions and accounts are asked about: not for FSx for NetApp ONTAP.
    pub(crate) fn copies_are_asked_about(&self, engine: Option<&str>) -> bool {
        !(self.service == "fsx" && engine.is_some_and(|engine| engine.eq_ignore_ascii_case("ontap")))
    }

    /// Whether a pattern of a selection names this type, and not its service only: `arn:aws:ec2:*:*:instance/*` does,
    /// `arn:aws:ec2:*` does not. A `*` that stands where the type would, or that hides the colons before it, names none.
    pub(crate) fn is_named_by(&self, pattern: &str) -> bool {
        let mut parts = pattern.splitn(6, ':');
        let service = parts.nth(2);
        let last = parts.nth(2);
        service == Some(self.service) && last.is_some_and(|last| last.starts_with(self.arn_kind))
    }
}
