//! How a broken and a satisfied control are said of a resource, to follow its name in a headline.

/// What is wrong: "Aurora cluster orders *is in no backup plan*".
pub(super) fn broken(control: &str) -> &'static str {
    match control {
        "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN" => "is in no backup plan",
        "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK" => "runs too rarely or keeps backups too briefly",
        "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED" => "lets people delete recovery points",
        "BACKUP_RECOVERY_POINT_ENCRYPTED" => "is not encrypted",
        "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK" => "is kept too briefly",
        "BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION" => "is not copied to another Region",
        "BACKUP_RESOURCES_PROTECTED_BY_CROSS_ACCOUNT" => "is not copied to another account",
        "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK" => "is not behind a vault lock",
        "BACKUP_LAST_RECOVERY_POINT_CREATED" => "has no recent recovery point",
        "RESTORE_TIME_FOR_RESOURCES_MEET_TARGET" => "takes too long to restore",
        "RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT" => "is in no logically air-gapped vault",
        _ => "is not compliant",
    }
}

/// What is right again.
pub(super) fn fixed(control: &str) -> &'static str {
    match control {
        "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN" => "is in a backup plan",
        "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK" => "runs often enough and keeps backups long enough",
        "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED" => "prevents manual deletion of recovery points",
        "BACKUP_RECOVERY_POINT_ENCRYPTED" => "is encrypted",
        "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK" => "is kept long enough",
        "BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION" => "is copied to another Region",
        "BACKUP_RESOURCES_PROTECTED_BY_CROSS_ACCOUNT" => "is copied to another account",
        "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK" => "is behind a vault lock",
        "BACKUP_LAST_RECOVERY_POINT_CREATED" => "has a recent recovery point",
        "RESTORE_TIME_FOR_RESOURCES_MEET_TARGET" => "is restored fast enough",
        "RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT" => "is in a logically air-gapped vault",
        _ => "is compliant",
    }
}
