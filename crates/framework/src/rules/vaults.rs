//! Rules about backup vaults and their locks: BC100 to BC105.

family! {
    LOCK_MINIMUM "BC100" Error "A vault lock has no minimum retention"
        "`MinRetentionDays` is optional in the API of AWS Backup and required in CloudFormation."
    LOCK_RANGE "BC101" Error "A vault lock has days that AWS Backup rejects"
        "The retention is 1 to 36,500 days. `ChangeableForDays`, after which the lock cannot be removed, is 3 to 36,500 \
         days, because AWS Backup enforces 72 hours."
    LOCK_ORDER "BC102" Error "The minimum retention of a vault lock exceeds the maximum"
        "No backup could be stored in the vault."
    AIR_GAPPED "BC103" Error "A logically air-gapped vault has no valid retention"
        "The vault requires `MinRetentionDays`, at least 7, and `MaxRetentionDays`."
    FAILED_JOBS "BC104" Warning "The vault fails every job of a rule"
        "A locked vault, and a logically air-gapped one, accept only backups that are kept at least for the minimum and at \
         most for the maximum. Jobs with another retention fail. The rule compares rules and vaults of one template."
    VAULT_NAME "BC105" Error "The vault name has characters that AWS Backup rejects"
        "A name has 2 to 50 letters, digits, hyphens and underscores. A partly known name is checked too."
}
