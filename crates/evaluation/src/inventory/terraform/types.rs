//! The types and arguments of Terraform's AWS provider, with those of CloudFormation that they equal.
//!
//! Source: the documentation of the provider, resources of these names.

/// A type of the AWS provider.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TerraformType {
    pub(super) name: &'static str,
    /// The type in CloudFormation; empty if the resource only changes others.
    pub(super) kind: &'static str,
    /// The argument or attribute with the name at the end of the ARN, and the property.
    pub(super) naming: Option<(&'static str, &'static str)>,
    /// The kind of file system.
    pub(super) engine: Option<&'static str>,
}

const fn of(name: &'static str, kind: &'static str) -> TerraformType {
    TerraformType { name, kind, naming: None, engine: None }
}

const fn named(
    name: &'static str,
    kind: &'static str,
    argument: &'static str,
    property: &'static str,
) -> TerraformType {
    TerraformType { name, kind, naming: Some((argument, property)), engine: None }
}

const fn fsx(name: &'static str, engine: &'static str) -> TerraformType {
    TerraformType { name, kind: "AWS::FSx::FileSystem", naming: None, engine: Some(engine) }
}

pub(super) const INSTANCE: &str = "aws_instance";
pub(super) const CLUSTER_INSTANCE: &str = "aws_rds_cluster_instance";
pub(super) const LOCK: &str = "aws_backup_vault_lock_configuration";
pub(super) const POLICY: &str = "aws_backup_vault_policy";
pub(super) const SETTINGS: &str = "aws_backup_region_settings";
pub(super) const EFS_POLICY: &str = "aws_efs_backup_policy";
pub(super) const POLICY_ATTACHMENT: &str = "aws_organizations_policy_attachment";

pub(super) const TYPES: &[TerraformType] = &[
    named("aws_db_instance", "AWS::RDS::DBInstance", "identifier", "DBInstanceIdentifier"),
    named("aws_rds_cluster", "AWS::RDS::DBCluster", "cluster_identifier", "DBClusterIdentifier"),
    named(CLUSTER_INSTANCE, "AWS::RDS::DBInstance", "identifier", "DBInstanceIdentifier"),
    of("aws_ebs_volume", "AWS::EC2::Volume"),
    of(INSTANCE, "AWS::EC2::Instance"),
    of("aws_efs_file_system", "AWS::EFS::FileSystem"),
    fsx("aws_fsx_lustre_file_system", "LUSTRE"),
    fsx("aws_fsx_windows_file_system", "WINDOWS"),
    fsx("aws_fsx_ontap_file_system", "ONTAP"),
    fsx("aws_fsx_openzfs_file_system", "OPENZFS"),
    named("aws_dynamodb_table", "AWS::DynamoDB::Table", "name", "TableName"),
    named("aws_s3_bucket", "AWS::S3::Bucket", "bucket", "BucketName"),
    of("aws_storagegateway_cached_iscsi_volume", "AWS::StorageGateway::Volume"),
    of("aws_storagegateway_stored_iscsi_volume", "AWS::StorageGateway::Volume"),
    of("aws_backup_plan", "AWS::Backup::BackupPlan"),
    of("aws_backup_selection", "AWS::Backup::BackupSelection"),
    named("aws_backup_vault", "AWS::Backup::BackupVault", "name", "BackupVaultName"),
    named(
        "aws_backup_logically_air_gapped_vault",
        "AWS::Backup::LogicallyAirGappedBackupVault",
        "name",
        "BackupVaultName",
    ),
    of(LOCK, ""),
    of(POLICY, ""),
    of(SETTINGS, ""),
    of(EFS_POLICY, ""),
    of("aws_organizations_policy", "AWS::Organizations::Policy"),
    of(POLICY_ATTACHMENT, ""),
    // No control judges these.
    of("aws_docdb_cluster", "AWS::DocDB::DBCluster"),
    of("aws_dsql_cluster", "AWS::DSQL::Cluster"),
    of("aws_eks_cluster", "AWS::EKS::Cluster"),
    of("aws_neptune_cluster", "AWS::Neptune::DBCluster"),
    of("aws_redshift_cluster", "AWS::Redshift::Cluster"),
    of("aws_redshiftserverless_namespace", "AWS::RedshiftServerless::Namespace"),
    of("aws_timestreamwrite_table", "AWS::Timestream::Table"),
    of("aws_autoscaling_group", "AWS::AutoScaling::AutoScalingGroup"),
    of("aws_launch_configuration", "AWS::AutoScaling::LaunchConfiguration"),
    of("aws_ec2_fleet", "AWS::EC2::EC2Fleet"),
    of("aws_launch_template", "AWS::EC2::LaunchTemplate"),
    of("aws_spot_fleet_request", "AWS::EC2::SpotFleet"),
    of("aws_eks_node_group", "AWS::EKS::Nodegroup"),
    of("aws_fsx_ontap_volume", "AWS::FSx::Volume"),
    of("aws_fsx_openzfs_volume", "AWS::FSx::Volume"),
    of("aws_ecs_service", "AWS::ECS::Service"),
];

pub(super) fn terraform_type(name: &str) -> Option<&'static TerraformType> {
    TYPES.iter().find(|known| known.name == name)
}

/// The arguments of plans, selections, vaults and locks with the properties that they equal.
const ARGUMENTS: &[(&str, &str)] = &[
    ("rule", "BackupPlanRule"),
    ("rule_name", "RuleName"),
    ("target_vault_name", "TargetBackupVault"),
    ("target_logically_air_gapped_backup_vault_arn", "TargetLogicallyAirGappedBackupVaultArn"),
    ("schedule", "ScheduleExpression"),
    ("enable_continuous_backup", "EnableContinuousBackup"),
    ("start_window", "StartWindowMinutes"),
    ("completion_window", "CompletionWindowMinutes"),
    ("lifecycle", "Lifecycle"),
    ("cold_storage_after", "MoveToColdStorageAfterDays"),
    ("delete_after", "DeleteAfterDays"),
    ("copy_action", "CopyActions"),
    ("destination_vault_arn", "DestinationBackupVaultArn"),
    ("not_resources", "NotResources"),
    ("resources", "Resources"),
    ("selection_tag", "ListOfTags"),
    ("condition", "Conditions"),
    ("string_equals", "StringEquals"),
    ("string_not_equals", "StringNotEquals"),
    ("string_like", "StringLike"),
    ("string_not_like", "StringNotLike"),
    ("type", "ConditionType"),
    ("key", "ConditionKey"),
    ("value", "ConditionValue"),
    ("min_retention_days", "MinRetentionDays"),
    ("max_retention_days", "MaxRetentionDays"),
    ("changeable_for_days", "ChangeableForDays"),
    ("engine", "Engine"),
    ("availability_zone_name", "AvailabilityZoneName"),
    ("replica", "Replicas"),
    ("volume_configuration", "VolumeConfigurations"),
    ("managed_ebs_volume", "ManagedEBSVolume"),
];

/// Other arguments that are read.
const OTHERS: &[&str] = &[
    "arn",
    "backup_policy",
    "backup_vault_name",
    "bucket",
    "cluster_identifier",
    "content",
    "ebs_block_device",
    "file_system_id",
    "gateway_arn",
    "id",
    "identifier",
    "launch_template",
    "name",
    "plan_id",
    "policy",
    "policy_id",
    "region",
    "resource_type_opt_in_preference",
    "root_block_device",
    "status",
    "tags",
    "tags_all",
    "target_id",
    "volume_tags",
];

/// Returns whether an argument of a resource is read.
pub(super) fn is_kept(argument: &str) -> bool {
    property(argument).is_some() || OTHERS.contains(&argument)
}

/// Returns the property that equals an argument.
pub(super) fn property(argument: &str) -> Option<&'static str> {
    ARGUMENTS.iter().find(|(own, _)| *own == argument).map(|(_, property)| *property)
}

/// Returns a message about properties in the words of Terraform.
pub(crate) fn in_terraform(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    let mut word = String::new();
    // A blank ends the last word.
    for c in message.chars().chain([' ']) {
        if c.is_ascii_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        let argument = ARGUMENTS.iter().rev().find(|(_, property)| *property == word).map(|(argument, _)| *argument);
        let is_value = c == ':' && argument.is_some();
        text.push_str(argument.unwrap_or(match word.as_str() {
            "BackupPlanName" | "SelectionName" | "BackupVaultName" => "name",
            _ => &word,
        }));
        word.clear();
        if is_value {
            text.push_str(" =");
        } else {
            text.push(c);
        }
    }
    text.pop();
    for (written, argument) in [("`!GetAtt ", ".arn`"), ("`!Ref ", ".name`")] {
        while let Some((before, rest)) = text.split_once(written) {
            let (id, after) = rest.split_once('`').unwrap_or((rest, ""));
            let (id, _) = id.rsplit_once('.').filter(|_| written.contains("GetAtt")).unwrap_or((id, ""));
            text = format!("{before}`{id}{argument}{after}");
        }
    }
    text.replace("CloudFormation", "Terraform")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_arguments_of_terraform() {
        for (message, expected) in [
            ("`DeleteAfterDays` is 0; AWS Backup", "`delete_after` is 0; AWS Backup"),
            ("write `DeleteAfterDays: 35`", "write `delete_after = 35`"),
            ("add `Lifecycle: { DeleteAfterDays: 35 }`", "add `lifecycle = { delete_after = 35 }`"),
            (
                "write `!GetAtt module.a[\"x.y\"].aws_backup_vault.v.BackupVaultArn`",
                "write `module.a[\"x.y\"].aws_backup_vault.v.arn`",
            ),
            ("write `!Ref aws_backup_vault.v`", "write `aws_backup_vault.v.name`"),
            ("the type", "the type"),
        ] {
            assert_eq!(in_terraform(message), expected);
        }
    }
}
