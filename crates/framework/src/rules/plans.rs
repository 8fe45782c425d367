//! Rules about backup plans and their rules: BC070 to BC079.

family! {
    LIFECYCLE "BC070" Error "A lifecycle has days that AWS Backup rejects"
        "Backups are kept for 1 to 36,500 days. A backup that moves to cold storage stays there for at least 90 days, so \
         `DeleteAfterDays` is at least `MoveToColdStorageAfterDays` plus 90. The rule also checks the lifecycles of \
         copies."
    CONTINUOUS "BC071" Error "A rule with continuous backups has an unsuitable lifecycle"
        "`EnableContinuousBackup` requires a `Lifecycle` with `DeleteAfterDays` from 1 to 35, without cold storage. To \
         keep backups longer, add a second rule without it."
    SCHEDULE "BC072" Error "The schedule is not valid"
        "A schedule is `cron(...)` with six fields: minute, hour, day of month, month, day of the week, year. One of the \
         two day fields is `?`. The days of the week count from 1 for Sunday, unlike in Unix."
    TOO_FREQUENT "BC073" Error "A schedule runs more than once an hour"
        "AWS Backup creates snapshots once an hour at most."
    RATE "BC074" Warning "The schedule is a rate"
        "The API reference of AWS Backup documents `cron(...)` only, and users report that `rate(...)` is rejected. AWS \
         does not document it clearly."
    VAULT_ARN "BC075" Error "A target is not a backup vault"
        "`DestinationBackupVaultArn` and `TargetLogicallyAirGappedBackupVaultArn` are ARNs of backup vaults \
         (`arn:aws:backup:<region>:<account>:backup-vault:<name>`), and `TargetBackupVault` is the name of one. `Ref` of a \
         vault is its name, `Fn::GetAtt` with `BackupVaultArn` its ARN."
    WINDOW "BC076" Error "A backup window is too short"
        "`StartWindowMinutes` is at least 60, and `CompletionWindowMinutes` at least 60 minutes longer. The rule reports \
         a completion window that does not exceed the start window."
    NO_RULES "BC077" Error "The plan has no rules"
        "A backup plan has at least one rule in `BackupPlanRule`. The rule also applies if `Fn::If` excludes every rule \
         in the list."
    NEVER_RUNS "BC078" Warning "The schedule never runs"
        "No month has the day of the schedule, such as 30 February."
    NAME "BC079" Error "The name of a plan, rule or selection has characters that AWS Backup rejects"
        "A name has 1 to 50 letters, digits, hyphens, underscores and dots. Spaces are the usual cause. A partly known name \
         is checked too."
}
