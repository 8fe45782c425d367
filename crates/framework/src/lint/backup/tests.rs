use std::collections::BTreeMap;

use jiff::civil::Date;

use syntax::diagnostic::{self, Diagnostic, Level};
use syntax::template::Template;

use super::check_backup;
use crate::Framework;
use crate::lint::{LintContext, check_text};

/// Returns the diagnostics of resources, which are the text after `Resources:`.
fn of(resources: &str) -> Vec<Diagnostic> {
    let text = format!("Resources:\n{resources}");
    let template = Template::read_source("t", &text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    check_backup(&template, &BTreeMap::new()).diagnostics
}

fn ids(diagnostics: &[Diagnostic]) -> Vec<&'static str> {
    diagnostics.iter().filter_map(|diagnostic| diagnostic.rule).collect()
}

/// A plan with one rule in flow style.
fn plan(rule: &str) -> String {
    format!(
        "  Plan:\n    Type: AWS::Backup::BackupPlan\n    Properties:\n      BackupPlan:\n        BackupPlanName: p\n        \
         BackupPlanRule:\n          - {{{rule}}}\n"
    )
}

fn selection(content: &str) -> String {
    format!(
        "  Sel:\n    Type: AWS::Backup::BackupSelection\n    Properties:\n      BackupPlanId: p\n      BackupSelection: \
         {{SelectionName: s, IamRoleArn: r{content}}}\n"
    )
}

fn vault(properties: &str) -> String {
    format!("  V:\n    Type: AWS::Backup::BackupVault\n    Properties: {{BackupVaultName: main, {properties}}}\n")
}

// Long because it is one table of rules.
#[test]
fn rules_of_plans_are_checked() {
    for (rule, expected) in [
        ("TargetBackupVault: v", &[][..]),
        ("TargetBackupVault: v, EnableContinuousBackup: true, Lifecycle: {DeleteAfterDays: 35}", &[]),
        ("TargetBackupVault: v, EnableContinuousBackup: false, Lifecycle: {DeleteAfterDays: 400}", &[]),
        ("TargetBackupVault: v, EnableContinuousBackup: !Ref Flag", &[]),
        ("TargetBackupVault: v, EnableContinuousBackup: true, Lifecycle: !Ref Lifecycle", &[]),
        ("TargetBackupVault: v, EnableContinuousBackup: true, Lifecycle: {DeleteAfterDays: !Ref Days}", &[]),
        ("TargetBackupVault: v, EnableContinuousBackup: true", &["BC071"]),
        ("TargetBackupVault: v, EnableContinuousBackup: 'true', Lifecycle: {DeleteAfterDays: 36}", &["BC071"]),
        ("TargetBackupVault: v, EnableContinuousBackup: yes, Lifecycle: {DeleteAfterDays: 36}", &["BC071"]),
        (
            "EnableContinuousBackup: true, Lifecycle: {MoveToColdStorageAfterDays: 730, DeleteAfterDays: 2555}",
            &["BC071", "BC071"],
        ),
        ("EnableContinuousBackup: true, Lifecycle: {DeleteAfterDays: 0}", &["BC070"]),
        ("Lifecycle: {DeleteAfterDays: 36501}", &["BC070"]),
        ("Lifecycle: {DeleteAfterDays: 30 days}", &["BC070"]),
        ("Lifecycle: {DeleteAfterDays: 30.0}", &[]),
        ("Lifecycle: {DeleteAfterDays: ' 30 ', MoveToColdStorageAfterDays: ''}, ScheduleExpression: ''", &[]),
        ("Lifecycle: {DeleteAfterDays: -1}", &[]),
        ("Lifecycle: {MoveToColdStorageAfterDays: 30, DeleteAfterDays: 119}", &["BC070"]),
        ("CopyActions: [{Lifecycle: {MoveToColdStorageAfterDays: 30, DeleteAfterDays: 100}}]", &["BC070"]),
        (
            "CopyActions: [{Lifecycle: {DeleteAfterDays: 0}}, {Lifecycle: {DeleteAfterDays: 40000}}]",
            &["BC070", "BC070"],
        ),
        ("ScheduleExpression: cron(0 3 * * * *)", &["BC072"]),
        ("ScheduleExpression: daily", &["BC072"]),
        ("ScheduleExpression: !Sub 'cron(${Minute} 3 * * * *)'", &[]),
        ("ScheduleExpression: cron(0/30 * * * ? *)", &["BC073"]),
        ("ScheduleExpression: rate(30 minutes)", &["BC073"]),
        ("ScheduleExpression: rate(1 day)", &["BC074"]),
        ("ScheduleExpression: cron(0 5 30 2 ? *)", &["BC078"]),
        ("CopyActions: [{DestinationBackupVaultArn: dr}]", &["BC075"]),
        ("CopyActions: [{DestinationBackupVaultArn: !GetAtt V.BackupVaultArn}]", &[]),
        ("CopyActions: [{DestinationBackupVaultArn: !Ref V}]", &["BC075"]),
        ("CopyActions: [{DestinationBackupVaultArn: !Ref Arn}]", &[]),
        ("CopyActions: [{DestinationBackupVaultArn: !ImportValue arn}]", &[]),
        (
            "CopyActions: [{DestinationBackupVaultArn: !Sub 'arn:${AWS::Partition}:backup:${AWS::Region}:${AWS::AccountId}:vault:dr'}]",
            &["BC075"],
        ),
        (
            "CopyActions: [{DestinationBackupVaultArn: !Sub 'arn:${AWS::Partition}:backup:${R}:${AWS::AccountId}:backup-vault:dr'}]",
            &[],
        ),
        ("TargetLogicallyAirGappedBackupVaultArn: arn:aws:backup:eu-west-1:111111111111:vault/lag", &["BC075"]),
        ("TargetBackupVault: !GetAtt V.BackupVaultArn", &["BC075"]),
        ("TargetBackupVault: arn:aws:backup:eu-west-1:111111111111:backup-vault:main", &["BC075"]),
        ("TargetBackupVault: !Ref V", &[]),
        ("RuleName: daily backup", &["BC079"]),
        ("StartWindowMinutes: 59", &["BC076"]),
        ("StartWindowMinutes: 60, CompletionWindowMinutes: 61", &[]),
        ("StartWindowMinutes: 120, CompletionWindowMinutes: 120", &["BC076"]),
        ("StartWindowMinutes: 1 hour", &["BC076"]),
        ("StartWindowMinutes: !Ref Window, CompletionWindowMinutes: 10", &[]),
    ] {
        let found = of(&format!("{}{}", plan(rule), vault("")));
        assert_eq!(ids(&found), expected, "{rule}: {found:#?}");
    }
}

#[test]
fn plans_without_rules_are_reported() {
    let plan = |content: &str| {
        ids(&of(&format!("  Plan:\n    Type: AWS::Backup::BackupPlan\n    Properties: {{BackupPlan: {content}}}\n")))
    };
    assert_eq!(plan("{BackupPlanName: p}"), ["BC077"]);
    assert_eq!(plan("{BackupPlanName: p, BackupPlanRule: []}"), ["BC077"]);
    assert_eq!(plan("{BackupPlanName: p, BackupPlanRule: [!Ref 'AWS::NoValue']}"), ["BC077"]);
    assert_eq!(plan("{BackupPlanName: p, BackupPlanRule: !Ref Rules}"), [""; 0]);
    assert_eq!(plan("!Ref Plan"), [""; 0]);
}

// Long because it is one table of selections.
#[test]
fn selections_are_checked() {
    let tag = "{ConditionType: STRINGEQUALS, ConditionKey: a, ConditionValue: b}";
    for (content, expected) in [
        (", Resources: ['*']", &[][..]),
        (&format!(", ListOfTags: [{tag}]"), &[]),
        ("", &["BC080"]),
        (", Resources: []", &["BC080"]),
        (", Resources: [], ListOfTags: []", &["BC080"]),
        (", Resources: [!Ref 'AWS::NoValue']", &["BC080"]),
        (", NotResources: ['arn:aws:ec2:*']", &["BC080"]),
        (", Conditions: {StringEquals: [{ConditionKey: aws:ResourceTag/a, ConditionValue: b}]}", &["BC080"]),
        (", Resources: !Ref Arns", &[]),
        (", Resources: !Split [',', !Ref Arns]", &[]),
        (", ListOfTags: [!Ref Tag]", &[]),
        (", ListOfTags: [{ConditionType: StringEquals, ConditionKey: a, ConditionValue: b}]", &["BC081"]),
        (", ListOfTags: [{ConditionType: STRINGLIKE, ConditionKey: a, ConditionValue: b}]", &["BC081"]),
        (", ListOfTags: [{ConditionType: !Ref Type, ConditionKey: a, ConditionValue: b}]", &[]),
        (", ListOfTags: [{ConditionKey: a, ConditionValue: b}]", &["BC081"]),
        (
            ", ListOfTags: [{ConditionType: STRINGEQUALS, ConditionKey: aws:ResourceTag/a, ConditionValue: b}]",
            &["BC082"],
        ),
        (", Resources: ['*'], Conditions: {StringLike: [{ConditionKey: a, ConditionValue: b}]}", &["BC083"]),
        (", Resources: ['*'], Conditions: {StringLike: [{ConditionKey: !Ref Key, ConditionValue: b}]}", &[]),
        (&format!(", Resources: ['arn:aws:s3:::*'], ListOfTags: [{tag}]"), &["BC084"]),
        (&format!(", Resources: ['arn:aws:s3:::a'], ListOfTags: [{tag}]"), &[]),
        (&format!(", Resources: ['arn:aws:s3:::*'], ListOfTags: []{}", ""), &[]),
        (", Resources: [!Ref Table]", &["BC085"]),
        (", Resources: [!Sub '${Table}']", &["BC085"]),
        (", Resources: [!GetAtt Table.Arn]", &[]),
        (", Resources: [!Ref Topic]", &[]),
        (", Resources: [!Ref Parameter]", &[]),
        (", Resources: [orders]", &["BC085"]),
        (", Resources: ['*'], NotResources: [!Ref Table]", &["BC085"]),
        (", Resources: ['arn:aws:rds:*:*:instance:*']", &["BC086"]),
        (", Resources: [!Sub 'arn:${AWS::Partition}:rds:*:*:instance:*']", &["BC086"]),
        (", Resources: [!Sub '${Bucket.Arn}/*']", &[]),
        (", Resources: [!Sub 'arn:aws:s3:::${Bucket}/*']", &["BC086"]),
        (", Resources: ['*'], NotResources: ['arn:aws:ec2:*:*:volume:*']", &["BC086"]),
        (&format!(", Resources: [{}]", "'arn:aws:s3:::a*', ".repeat(31)), &["BC087"]),
        (&format!(", Resources: [{}]", "'arn:aws:s3:::a*', ".repeat(30)), &[]),
        (&format!(", Resources: [{}]", "'arn:aws:s3:::a', ".repeat(501)), &["BC087"]),
        (&format!(", Resources: [{}]", "'arn:aws:s3:::a', ".repeat(500)), &[]),
        (&format!(", Resources: ['*'], NotResources: [{}]", "'arn:aws:s3:::a*', ".repeat(31)), &["BC087"]),
        (
            ", Resources: ['*'], Conditions: {StringEquals: [{ConditionKey: aws:ResourceTag/a, ConditionValue: b}], \
             StringNotEquals: [{ConditionKey: aws:ResourceTag/a, ConditionValue: b}]}",
            &["BC088"],
        ),
        (
            ", Resources: ['*'], Conditions: {StringEquals: [{ConditionKey: aws:ResourceTag/a, ConditionValue: b}, \
             {ConditionKey: aws:ResourceTag/c, ConditionValue: d}]}",
            &[],
        ),
        (", Resources: ['*'], Conditions: {stringEquals: []}", &["BC089"]),
        (", Resources: ['*'], Conditions: !Ref Conditions", &[]),
    ] {
        let others = "  Table: {Type: AWS::DynamoDB::Table}\n  Topic: {Type: AWS::SNS::Topic}\n  Bucket: {Type: AWS::S3::Bucket}\n";
        let found = of(&format!("{}{others}", selection(content)));
        assert_eq!(ids(&found), expected, "{content}: {found:#?}");
    }
}

#[test]
fn references_are_corrected_by_type() {
    for (kind, help) in [
        ("AWS::DynamoDB::Table", "write `!GetAtt X.Arn`"),
        ("AWS::RDS::DBInstance", "write `!GetAtt X.DBInstanceArn`"),
        ("AWS::RDS::DBCluster", "write `!GetAtt X.DBClusterArn`"),
        ("AWS::FSx::FileSystem", "write `!GetAtt X.ResourceARN`"),
        ("AWS::EC2::Volume", "write `!Sub \"arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:volume/${X}\"`"),
    ] {
        let found = of(&format!("{}  X: {{Type: {kind}}}\n", selection(", Resources: [!Ref X]")));
        assert_eq!(found.first().map(|diagnostic| diagnostic.help.as_str()), Some(help), "{kind}");
    }
}

#[test]
fn vaults_and_locks_are_checked() {
    for (properties, expected) in [
        ("", &[][..]),
        ("LockConfiguration: {MinRetentionDays: 30}", &[]),
        ("LockConfiguration: {MinRetentionDays: 30, ChangeableForDays: 3}", &[]),
        ("LockConfiguration: !Ref Lock", &[]),
        ("LockConfiguration: {MinRetentionDays: !Ref Min, MaxRetentionDays: 1}", &[]),
        ("EncryptionKeyArn: !Ref Key", &[]),
        ("LockConfiguration: {}", &["BC100"]),
        ("LockConfiguration: {MaxRetentionDays: 365}", &["BC100"]),
        ("LockConfiguration: {MinRetentionDays: 30, ChangeableForDays: 1}", &["BC101"]),
        ("LockConfiguration: {MinRetentionDays: 0}", &["BC101"]),
        ("LockConfiguration: {MinRetentionDays: one}", &["BC101"]),
        ("LockConfiguration: {MinRetentionDays: 1, MaxRetentionDays: 36501}", &["BC101"]),
        ("LockConfiguration: {MinRetentionDays: 31, MaxRetentionDays: 30}", &["BC102"]),
    ] {
        assert_eq!(ids(&of(&vault(properties))), expected, "{properties}");
    }
    for (properties, expected) in [
        ("{MinRetentionDays: 7, MaxRetentionDays: 7}", &[][..]),
        ("{MinRetentionDays: !Ref Min, MaxRetentionDays: !Ref Max}", &[]),
        ("{}", &["BC103", "BC103"]),
        ("{MinRetentionDays: 1, MaxRetentionDays: 30}", &["BC103"]),
        ("{MinRetentionDays: 30, MaxRetentionDays: 7}", &["BC103"]),
        ("!Ref Properties", &[]),
    ] {
        let text =
            format!("  V:\n    Type: AWS::Backup::LogicallyAirGappedBackupVault\n    Properties: {properties}\n");
        assert_eq!(ids(&of(&text)), expected, "{properties}");
    }
}

#[test]
fn locks_that_fail_jobs_are_reported_at_the_rule() {
    for (lock, rule, expected) in [
        ("MinRetentionDays: 30", "TargetBackupVault: !Ref V, Lifecycle: {DeleteAfterDays: 29}", true),
        ("MinRetentionDays: 30", "TargetBackupVault: main, Lifecycle: {DeleteAfterDays: 29}", true),
        (
            "MinRetentionDays: 30",
            "TargetBackupVault: !GetAtt V.BackupVaultName, Lifecycle: {DeleteAfterDays: 29}",
            true,
        ),
        ("MinRetentionDays: 30", "TargetBackupVault: other, Lifecycle: {DeleteAfterDays: 29}", false),
        ("MinRetentionDays: 30", "TargetBackupVault: !Ref V, Lifecycle: {DeleteAfterDays: 30}", false),
        ("MinRetentionDays: 30", "TargetBackupVault: !Ref V, Lifecycle: {DeleteAfterDays: !Ref Days}", false),
        ("MinRetentionDays: 30", "TargetBackupVault: !Ref V", false),
        ("MinRetentionDays: 30, MaxRetentionDays: 35", "TargetBackupVault: !Ref V", true),
        ("MinRetentionDays: !Ref Min, MaxRetentionDays: 35", "TargetBackupVault: !Ref V", true),
        (
            "MinRetentionDays: 30",
            "TargetBackupVault: v, CopyActions: [{DestinationBackupVaultArn: !GetAtt V.BackupVaultArn, Lifecycle: \
             {DeleteAfterDays: 7}}]",
            true,
        ),
        (
            "MinRetentionDays: 30",
            "TargetBackupVault: v, CopyActions: [{DestinationBackupVaultArn: !GetAtt V.BackupVaultArn}]",
            false,
        ),
    ] {
        let text = format!("{}{}", plan(rule), vault(&format!("LockConfiguration: {{{lock}}}")));
        let expected = if expected { &["BC104"][..] } else { &[] };
        assert_eq!(ids(&of(&text)), expected, "{lock} {rule}");
    }
}

#[test]
fn conditions_and_macros_silence_the_rules() {
    let wrong = selection(", Resources: []");
    let conditions = "Conditions: {Off: !Equals [a, b], Open: !Equals [!Ref P, b]}\nResources:\n";
    for (text, expected) in [
        (format!("Resources:\n{wrong}"), 1),
        (format!("{conditions}{wrong}    Condition: Off\n"), 0),
        (format!("{conditions}{wrong}    Condition: Open\n"), 1),
        (format!("Transform: Macro\nResources:\n{wrong}"), 0),
        (format!("Transform: AWS::Serverless-2016-10-31\nResources:\n{wrong}"), 1),
        (format!("Resources:\n{wrong}    Fn::Transform: {{Name: AWS::Include}}\n"), 0),
        (format!("Resources:\n  Fn::Transform: {{Name: AWS::Include}}\n{wrong}"), 0),
        (format!("Resources:\n  Fn::ForEach::All: [N, [a], {{}}]\n{wrong}"), 1),
        (
            format!(
                "Resources:\n{wrong}  Bucket:\n    Type: AWS::S3::Bucket\n    Properties: {{'Fn::Transform': {{Name: M}}}}\n"
            ),
            1,
        ),
    ] {
        let template = Template::read_source("t", &text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
        let found = check_backup(&template, &BTreeMap::new());
        assert_eq!((found.diagnostics.len(), found.rejected.len()), (expected, expected), "{text}");
    }
}

#[test]
fn rejected_resources_have_an_error() {
    let text = format!(
        "Resources:\n{}{}{}",
        selection(", Resources: ['arn:aws:rds:*:*:instance:*']"),
        plan("ScheduleExpression: rate(1 day)"),
        vault("LockConfiguration: {}")
    );
    let template = Template::read_source("t", &text).expect("a template");
    let found = check_backup(&template, &BTreeMap::new());
    assert_eq!(ids(&found.diagnostics), ["BC086", "BC074", "BC100"]);
    assert_eq!(found.rejected.into_iter().collect::<Vec<_>>(), ["V"]);
}

#[test]
fn edits_keep_quotes_and_correct_the_value() {
    for (content, changed) in [
        (selection(", Resources: [\"arn:aws:rds:*:*:instance:*\"]"), Some("\"arn:aws:rds:*:*:db:*\"")),
        (selection(", Resources: [arn:aws:s3:::logs/*]"), None),
        (selection(", ListOfTags: [{ConditionType: 'StringEquals'}]"), Some("'STRINGEQUALS'")),
        (selection(", ListOfTags: [{ConditionType: STRINGLIKE}]"), None),
        (plan("ScheduleExpression: cron(0 3 * * * *)"), Some("cron(0 3 * * ? *)")),
        (plan("ScheduleExpression: !Sub cron(0 3 * * * *)"), None),
        (plan("ScheduleExpression: \"cron(0 3 ? * 0 *)\""), Some("\"cron(0 3 ? * SUN *)\"")),
        (plan("ScheduleExpression: cron(0 3 * * *)"), None),
        (plan("ScheduleExpression: rate(1 day)"), None),
    ] {
        let found = of(&content);
        let edits: Vec<_> = found.iter().filter(|it| !it.edits.is_empty()).map(|it| it.edits.as_slice()).collect();
        assert_eq!(edits.len(), usize::from(changed.is_some()), "{content}: {found:#?}");
        let (text, _) = diagnostic::apply(&format!("Resources:\n{content}"), edits);
        assert!(changed.is_none_or(|changed| text.contains(changed)), "{text}");
    }
}

#[test]
fn templates_without_framework_may_have_plans() {
    let none = BTreeMap::new();
    let check = |text: &str, is_complete| {
        let variants = std::slice::from_ref(&none);
        ids(&check_text("t", text, &LintContext { variants, is_complete, today: Date::constant(2026, 11, 26) }))
    };
    let text = format!("Resources:\n{}", plan("TargetBackupVault: v, ScheduleExpression: cron(0 3 * * * *)"));
    assert_eq!(check(&text, false), ["BC072"]);
    assert_eq!(check(&text, true), ["BC003", "BC072"]);
    assert_eq!(check("Resources:\n  T: {Type: AWS::SNS::Topic}\n", false), ["BC003"]);
    let misspelled = format!("{text}  F: {{Type: AWS::Backup::Framwork}}\n");
    assert_eq!(check(&misspelled, false), ["BC003", "BC072"]);
}

#[test]
fn frameworks_beside_a_rejected_plan_are_rejected() {
    let framework = "  F:\n    Type: AWS::Backup::Framework\n    Properties:\n      FrameworkControls:\n        - ControlName: \
                     BACKUP_RECOVERY_POINT_ENCRYPTED\n";
    for (rule, is_rejected) in [("EnableContinuousBackup: true", true), ("ScheduleExpression: rate(1 day)", false)] {
        let text = format!("Resources:\n{framework}{}", plan(rule));
        let template = Template::read_source("t", &text).expect("a template");
        let read = Framework::read_all(&template, &BTreeMap::new());
        assert_eq!(read.is_err(), is_rejected, "{rule}");
        assert!(read.err().is_none_or(|found| found.iter().all(|it| it.level == Level::Error)), "{rule}");
    }
}

#[test]
fn many_violations_cost_linear_time() {
    let vaults: String = (0..3_000)
        .map(|n| {
            format!(
                "  V{n}: {{Type: AWS::Backup::BackupVault, Properties: {{BackupVaultName: v{n}, LockConfiguration: \
                 {{MinRetentionDays: 9}}}}}}\n"
            )
        })
        .collect();
    let rules: String = (0..3_000)
        .map(|n| format!("          - {{RuleName: r, TargetBackupVault: v{n}, Lifecycle: {{DeleteAfterDays: 1}}}}\n"))
        .collect();
    let text = format!(
        "{vaults}  Plan:\n    Type: AWS::Backup::BackupPlan\n    Properties:\n      BackupPlan:\n        BackupPlanRule:\n{rules}"
    );
    let found = of(&text);
    assert_eq!(found.iter().filter(|diagnostic| diagnostic.rule == Some("BC104")).count(), 101, "100 and their number");
}
