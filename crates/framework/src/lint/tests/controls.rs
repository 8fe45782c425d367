//! Tables of controls, their parameters and scopes, with the rules that report them.

use super::*;
use crate::control::CONTROLS;

/// The rules that a list of controls violates, without BC051 and BC054, which apply to every template here.
fn rules_of(controls: &str) -> Vec<&'static str> {
    let controls: String = controls.trim_end().lines().map(|line| format!("        {line}\n")).collect();
    let text = format!(
        "Resources:\n  F:\n    Type: AWS::Backup::Framework\n    Properties:\n      FrameworkControls:\n{controls}\
         \x20 Role: {{ Type: AWS::IAM::Role, Properties: {{}} }}\n  User: {{ Type: AWS::IAM::User }}\n  \
         Bucket: {{ Type: AWS::S3::Bucket }}\n  Nested: {{ Type: AWS::CloudFormation::Stack }}\n"
    );
    let all = complete(&text);
    let mut ids: Vec<_> = ids(&all).into_iter().filter(|id| !["BC051", "BC054", "BC006"].contains(id)).collect();
    ids.dedup();
    ids
}

/// Applies the edits until none is left.
fn fixed(text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..10 {
        let all = complete(&text);
        let edits = all.iter().map(|diagnostic| diagnostic.edits.as_slice()).filter(|edits| !edits.is_empty());
        let (new, applied) = diagnostic::apply(&text, edits);
        if applied == 0 {
            return text;
        }
        text = new;
    }
    panic!("the edits have no end: {text}");
}

#[test]
fn names_of_other_controls_are_not_edited() {
    for (name, near) in [
        ("BACKUP_RECOVERY_POINT_CREATED", "`BACKUP_LAST_RECOVERY_POINT_CREATED`?"),
        ("EBS_RESOURCES_PROTECTED_BY_BACKUP_PLAN", "with the type `EBS` in `ComplianceResourceTypes`?"),
        ("S3_RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT", "with the type `S3` in `ComplianceResourceTypes`?"),
        ("FSX_LAST_BACKUP_RECOVERY_POINT_CREATED", "with the type `FSx` in `ComplianceResourceTypes`?"),
        ("EFS_MEETS_RESTORE_TIME_TARGET", "`RESTORE_TIME_FOR_RESOURCES_MEET_TARGET`"),
        ("BACKUP_RECOVERY_POINT_ENCRYPTION_ENABLED", "`BACKUP_RECOVERY_POINT_ENCRYPTED`?"),
        ("BACKUP_RECOVERY_POINT_UNENCRYPTED", "`BACKUP_RECOVERY_POINT_ENCRYPTED`?"),
        ("BACKUP_RESOURCES_PROTECTED_BY_CROSS", "did you mean"),
        ("BACKUP_PLAN_MIN_RETENTION_CHECK", "`BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK`?"),
        ("RECOVERY_POINT_MANUAL_DELETION_DISABLED", "`BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED`?"),
        ("BACKUP_RESOURCES_PROTECTED_BY_VAULT_LOCK", "`BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK`?"),
        ("BACKUP_RECOVERY_POINT_MAXIMUM_RETENTION_CHECK", "did you mean"),
        ("RESOURCES_IN_AIR_GAPPED_VAULT", "`RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT`?"),
    ] {
        let text = control(&format!("ControlName: {name}"));
        let all = complete(&text);
        let found = all.iter().find(|diagnostic| diagnostic.rule == Some("BC021")).expect(name);
        assert!(found.edits.is_empty() && found.help.contains(near), "{found}");
        assert_eq!(fixed(&text), text, "{name}");
    }
}

#[test]
fn slips_of_control_names_are_edited() {
    for (name, meant) in [
        ("backup_recovery_point_encrypted", "BACKUP_RECOVERY_POINT_ENCRYPTED"),
        ("BackupRecoveryPointEncrypted", "BACKUP_RECOVERY_POINT_ENCRYPTED"),
        ("BACKUP-LAST-RECOVERY-POINT-CREATED", "BACKUP_LAST_RECOVERY_POINT_CREATED"),
        ("BACKUP_RESOURCE_PROTECTED_BY_BACKUP_PLAN", "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN"),
        ("BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGOIN", "BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION"),
        ("RESOURCES_IN_LOGICALLY_AIRGAPPED_VAULT", "RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT"),
    ] {
        assert_eq!(fixed(&control(&format!("ControlName: {name}"))), control(&format!("ControlName: {meant}")));
    }
}

#[test]
fn edits_of_keys_types_and_values_are_certain() {
    const PLAN: &str = "ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN\nControlScope: ";
    const LOCK: &str = "ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK\nControlInputParameters: ";
    for (text, expected) in [
        (format!("{PLAN}{{ ComplianceResourceType: [EBS] }}"), Some("ComplianceResourceTypes: [EBS]")),
        (format!("{PLAN}{{ complianceResourceTypes: [EBS] }}"), Some("ComplianceResourceTypes: [EBS]")),
        (format!("{PLAN}{{ ResourceTypes: [EBS] }}"), None),
        (format!("{PLAN}{{ ComplianceTypes: [EBS] }}"), None),
        (format!("{PLAN}{{ ComplianceResourceNames: [EBS] }}"), None),
        (format!("{PLAN}{{ ComplianceResourceTypes: [ECR] }}"), None),
        (format!("{PLAN}{{ ComplianceResourceTypes: [EKS] }}"), None),
        (format!("{PLAN}{{ ComplianceResourceTypes: [DRS] }}"), None),
        (format!("{PLAN}{{ ComplianceResourceTypes: [Dynamo] }}"), None),
        (format!("{PLAN}{{ ComplianceResourceTypes: [Arora] }}"), Some("[Aurora]")),
        (format!("{PLAN}{{ ComplianceResourceTypes: [dynamodb] }}"), Some("[DynamoDB]")),
        (format!("{PLAN}{{ ComplianceResourceTypes: [VirtualMachines] }}"), Some("[VirtualMachine]")),
        (format!("{LOCK}[{{ ParameterName: minRetentionDay, ParameterValue: 7 }}]"), Some("minRetentionDays")),
        (format!("{LOCK}[{{ ParameterName: MaxRetentionDays, ParameterValue: 7 }}]"), Some("maxRetentionDays")),
        (format!("{LOCK}[{{ ParameterName: mixRetentionDays, ParameterValue: 7 }}]"), None),
        (format!("{LOCK}[{{ ParameterName: requiredRetentionDays, ParameterValue: 7 }}]"), None),
        (format!("{LOCK}[{{ ParameterName: retentionDays, ParameterValue: 7 }}]"), None),
        (format!("{LOCK}[{{ ParameterName: minRetentionDays, ParameterValue: ' 35 ' }}]"), Some("'35'")),
        (format!("{LOCK}[{{ ParameterName: minRetentionDays, ParameterValue: '3 5' }}]"), None),
    ] {
        let before = control(&text);
        let after = fixed(&before);
        match expected {
            Some(expected) => assert!(after.contains(expected), "{text}\n{after}"),
            None => assert_eq!(after, before, "{text}"),
        }
    }
    let plan = "Resources:\n  P:\n    Type: AWS::Backup::BackupPlan\n";
    assert_eq!(fixed(plan), plan, "another type is not replaced");
    let slip = "Resources:\n  P:\n    Type: AWS::Backup::Framwork\n";
    assert!(fixed(slip).contains("Type: AWS::Backup::Framework\n"));
}

#[test]
fn fixes_end_with_the_promised_result() {
    let text = control(
        "ControlName: backup_plan_min_frequency_and_min_retention_check\nControlInputParameters:\n  - { ParameterName: \
         requiredFrequencyUnit, ParameterValue: Hours }\n  - { ParameterName: requiredFrequencyValue, ParameterValue: \"48\" }",
    );
    let fixed = fixed(&text);
    for part in ["BACKUP_PLAN_MIN", "ParameterValue: days", "ParameterValue: \"2\""] {
        assert!(fixed.contains(part), "{fixed}");
    }
    assert!(complete(&fixed).iter().all(|diagnostic| diagnostic.level != Level::Error), "{fixed}");
}

#[test]
fn scopes_with_common_resources_are_reported() {
    const TWICE: &[&str] = &["BC022"];
    const BOTH: &[&str] = &["BC028"];
    let cases: &[(&str, &str, &[&str])] = &[
        ("ComplianceResourceTypes: [EBS, RDS]", "ComplianceResourceTypes: [RDS, EBS]", TWICE),
        ("ComplianceResourceTypes: [EBS]", "ComplianceResourceTypes: [EBS, EBS]", &["BC022", "BC049"]),
        ("ComplianceResourceTypes: [EBS]", "ComplianceResourceTypes: [ebs]", &["BC022", "BC045"]),
        (
            "ComplianceResourceTypes: [Storage Gateway]",
            "ComplianceResourceTypes: [StorageGateway]",
            &["BC022", "BC045"],
        ),
        ("Tags: [{ Key: a, Value: b }]", "Tags: [{ Value: b, Key: a }]", TWICE),
        ("ComplianceResourceTypes: [EBS, RDS]", "ComplianceResourceTypes: [EBS]", BOTH),
        ("ComplianceResourceTypes: [EBS, RDS]", "ComplianceResourceTypes: [EFS, RDS]", BOTH),
        ("ComplianceResourceTypes: [EBS]", "ComplianceResourceTypes: [ebs, S3]", &["BC028", "BC045"]),
        (
            "ComplianceResourceTypes: [EBS]",
            "ComplianceResourceTypes: [EBS], ComplianceResourceIds: [vol-0123456789abcdef0]",
            BOTH,
        ),
        (
            "ComplianceResourceTypes: [RDS]",
            "ComplianceResourceTypes: [EBS], ComplianceResourceIds: [vol-0123456789abcdef0]",
            &[],
        ),
        ("ComplianceResourceTypes: [EBS]", "ComplianceResourceTypes: [RDS]", &[]),
        ("ComplianceResourceTypes: [EBS]", "Tags: [{ Key: a, Value: b }]", &[]),
        ("ComplianceResourceTypes: [EBS]", "ComplianceResourceTypes: [!ImportValue x]", &[]),
        ("Tags: [{ Key: a, Value: b }]", "Tags: [{ Key: a, Value: c }]", &[]),
    ];
    for (one, other, expected) in cases {
        let of = |scope: &str| {
            format!("- ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN\n  ControlScope: {{ {scope} }}\n")
        };
        assert_eq!(rules_of(&(of(one) + &of(other))), *expected, "{one} and {other}");
    }
    let with = |days: u32, types: &str| {
        format!(
            "- ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK\n  ControlInputParameters: [{{ ParameterName: minRetentionDays, \
             ParameterValue: {days} }}]\n  ControlScope: {{ ComplianceResourceTypes: [{types}] }}\n"
        )
    };
    assert_eq!(rules_of(&(with(7, "EBS, EFS") + &with(35, "EBS"))), [] as [&str; 0], "parameters differ");
    assert_eq!(rules_of(&(with(7, "EBS, EFS") + &with(7, "EBS"))), BOTH);
}

#[test]
fn types_without_rule_and_ids_with_types_are_reported() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT", "ComplianceResourceTypes: [RDS]", &["BC130"]),
        ("RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT", "ComplianceResourceTypes: [EBS, DynamoDB]", &["BC130"]),
        ("RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT", "ComplianceResourceTypes: [FSx]", &["BC130"]),
        ("RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT", "ComplianceResourceTypes: [fsx]", &["BC045", "BC130"]),
        (
            "RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT",
            "ComplianceResourceTypes: [Aurora, EBS, EC2, EFS, S3, Storage Gateway, VirtualMachine]",
            &[],
        ),
        ("RESTORE_TIME_FOR_RESOURCES_MEET_TARGET", "ComplianceResourceTypes: [Storage Gateway]", &["BC130"]),
        ("RESTORE_TIME_FOR_RESOURCES_MEET_TARGET", "ComplianceResourceTypes: [VirtualMachine]", &["BC130"]),
        (
            "RESTORE_TIME_FOR_RESOURCES_MEET_TARGET",
            "ComplianceResourceTypes: [Aurora, DynamoDB, EBS, EC2, EFS, FSx, RDS, S3]",
            &[],
        ),
        ("BACKUP_LAST_RECOVERY_POINT_CREATED", "ComplianceResourceTypes: [RDS, Storage Gateway]", &[]),
        (
            "BACKUP_LAST_RECOVERY_POINT_CREATED",
            "ComplianceResourceIds: [v], ComplianceResourceTypes: [EBS, EC2]",
            &["BC131"],
        ),
        ("BACKUP_LAST_RECOVERY_POINT_CREATED", "ComplianceResourceIds: [v], ComplianceResourceTypes: [EBS]", &[]),
        (
            "BACKUP_LAST_RECOVERY_POINT_CREATED",
            "ComplianceResourceIds: [v], ComplianceResourceTypes: [EBS, EBS]",
            &["BC049"],
        ),
    ];
    for (name, scope, expected) in cases {
        let parameters = match *name {
            "RESTORE_TIME_FOR_RESOURCES_MEET_TARGET" => "{ ParameterName: maxRestoreTime, ParameterValue: 60 }",
            "BACKUP_LAST_RECOVERY_POINT_CREATED" => "",
            _ => {
                "{ ParameterName: recoveryPointAgeValue, ParameterValue: 7 }, { ParameterName: recoveryPointAgeUnit, ParameterValue: days }"
            }
        };
        let text =
            format!("- ControlName: {name}\n  ControlInputParameters: [{parameters}]\n  ControlScope: {{ {scope} }}\n");
        assert_eq!(rules_of(&text), *expected, "{name} {scope}");
    }
}

// Long because it is one table of values.
#[test]
fn known_parts_of_values_are_checked() {
    const ARNS: &str = "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED principalArnList";
    const REGIONS: &str = "BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION crossRegionList";
    const ACCOUNTS: &str = "BACKUP_RESOURCES_PROTECTED_BY_CROSS_ACCOUNT crossAccountList";
    const DAYS: &str = "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK requiredRetentionDays";
    let cases: &[(&str, &str, &[&str])] = &[
        (ARNS, "'arn:aws:iam::111111111111:role/a'", &[]),
        (ARNS, "'arn:aws:iam::111111111111:role/a,arn:aws:iam::111111111111:user/b'", &[]),
        (ARNS, "'arn:aws:iam::111111111111:root'", &[]),
        (ARNS, "'arn:aws:iam::*:role/Admin*'", &[]),
        (ARNS, "'arn:aws:sts::111111111111:assumed-role/a/b'", &[]),
        (ARNS, "'arn:aws:iam::111111111111:role/a, arn:aws:iam::111111111111:role/b'", &["BC132"]),
        (ARNS, "' arn:aws:iam::111111111111:role/a'", &["BC132"]),
        (ARNS, "'arn:aws:iam::111111111111:policy/a'", &["BC133"]),
        (ARNS, "'arn:aws:s3:::bucket'", &["BC133"]),
        (ARNS, "'arn:aws:iam:111111111111:role/a'", &["BC133"]),
        (ARNS, "'Admin'", &["BC033"]),
        (ARNS, "!Sub 'arn:${AWS::Partition}:iam::${AWS::AccountId}:role/a'", &[]),
        (ARNS, "!Sub 'arn:aws:iam::${AWS::AccountId}:role/a, arn:aws:iam::${AWS::AccountId}:role/b'", &["BC132"]),
        (ARNS, "!Sub 'arn:${AWS::Partition}:backup:${AWS::Region}:${AWS::AccountId}:backup-vault:a'", &["BC133"]),
        (ARNS, "!Sub 'arn:aws:iam::${AWS::AccountId}:policy/a'", &["BC133"]),
        (ARNS, "!Sub 'arn:aws:iam::${AWS::AccountId}:${AWS::StackName}'", &[]),
        (ARNS, "!Sub 'role/${AWS::StackName}'", &["BC033"]),
        (ARNS, "!Sub '${Role}'", &["BC033"]),
        (ARNS, "!Sub '${Role.Arn}'", &[]),
        (ARNS, "!Sub 'arn:aws:iam::${AWS::AccountId}:role/${Role}'", &[]),
        (ARNS, "!Ref Role", &["BC033"]),
        (ARNS, "!Ref User", &["BC033"]),
        (ARNS, "!GetAtt Role.Arn", &[]),
        (ARNS, "!GetAtt Role.RoleId", &["BC033"]),
        (ARNS, "!GetAtt Bucket.Arn", &["BC133"]),
        (ARNS, "!GetAtt Nested.Outputs.Arn", &[]),
        (ARNS, "!Join [',', [!GetAtt Role.Arn, !GetAtt User.Arn]]", &[]),
        (ARNS, "!Join [', ', [!GetAtt Role.Arn, !GetAtt User.Arn]]", &["BC132"]),
        (ARNS, "!Join [',', [!GetAtt Role.Arn, !Ref User]]", &["BC033"]),
        (ARNS, "!ImportValue x", &[]),
        (ARNS, "'{{resolve:ssm:/roles}}'", &[]),
        (ARNS, "'arn:aws:iam::111111111111:role/a,{{resolve:ssm:/roles}}'", &[]),
        (ARNS, "'arn:aws:iam::111111111111:role/a, {{resolve:ssm:/roles}}'", &["BC132"]),
        (ARNS, "'arn:aws:kms:eu-west-1:111111111111:key/a,{{resolve:ssm:/roles}}'", &["BC133"]),
        (ARNS, "!Sub 'a,b,c,d,e,${AWS::StackName}'", &["BC033"]),
        (REGIONS, "!Sub 'eu-west-1,${AWS::Region}'", &[]),
        (REGIONS, "!Sub 'eu-west-1, ${AWS::Region}'", &["BC033"]),
        (REGIONS, "!Sub 'eu-wset-1,${AWS::Region}'", &["BC033"]),
        (REGIONS, "'eu-west-1,{{resolve:ssm:/region}}'", &[]),
        (REGIONS, "'eu-west-11,{{resolve:ssm:/region}}'", &["BC033"]),
        (ACCOUNTS, "!Sub '111111111111,${AWS::AccountId}'", &[]),
        (ACCOUNTS, "!Sub '1111111111,${AWS::AccountId}'", &["BC033"]),
        (ACCOUNTS, "!Sub '111111111111, ${AWS::AccountId}'", &["BC033"]),
        (DAYS, "!Sub '${AWS::StackName}5'", &[]),
        (DAYS, "!Sub '${AWS::StackName} days'", &["BC033"]),
        (DAYS, "'{{resolve:ssm:/days}}'", &[]),
        (DAYS, "'{{resolve:ssm:/days}}.0'", &["BC033"]),
    ];
    for (parameter, value, expected) in cases {
        let (control, parameter) = parameter.split_once(' ').expect("two words");
        let text = format!(
            "- ControlName: {control}\n  ControlInputParameters: [{{ ParameterName: {parameter}, ParameterValue: {value} }}]\n"
        );
        assert_eq!(rules_of(&text), *expected, "{parameter}: {value}");
    }
}

#[test]
fn unknown_control_does_not_hide_other_violations() {
    let text = "\
- ControlName: DailyCompliance
  ControlScope:
    BackupPlan: { BackupPlanName: Daily }
    ComplianceResourceTypes: [{ BackupVault: main }, EBS, Redshift]
  ControlInputParameters:
    - { ParameterName: resourceType, ParameterValue: a }
    - { ParameterName: resourceType, ParameterValue: b }
    - { ParameterName: other }
    - none
";
    assert_eq!(rules_of(text), ["BC021", "BC013", "BC010", "BC044", "BC031", "BC032"]);
    let text = "\
- ControlName: backup_recovery_point_minimum_retention_check
  ControlInputParameters:
    - { ParameterName: requiredRetentionDays, ParameterValue: 0 }
";
    assert_eq!(rules_of(text), ["BC021", "BC034"]);
}

#[test]
fn tags_as_mapping_have_the_list_in_help() {
    let help = |text: &str| -> Vec<String> {
        let all = complete(text).into_iter().filter(|diagnostic| diagnostic.rule == Some("BC010"));
        all.map(|diagnostic| diagnostic.help).collect()
    };
    let yaml =
        control("ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN\nControlScope: { Tags: { backup: daily } }");
    assert_eq!(help(&yaml), ["write a list of mappings with `Key` and `Value`: `[{ Key: backup, Value: daily }]`"]);
    let json = "{\"Resources\": {\"F\": {\"Type\": \"AWS::Backup::Framework\", \"Properties\": {\"FrameworkControls\": [{\"ControlName\": \
         \"BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN\", \"ControlScope\": {\"Tags\": {\"Key\": \"backup\", \"Value\": \"daily\"}, \
         \"ComplianceResourceIds\": \"a\"}}]}}}}";
    let expected = [
        "write a list of mappings with `Key` and `Value`: `[{\"Key\": \"backup\", \"Value\": \"daily\"}]`",
        "write a list in `[]`",
    ];
    assert_eq!(help(json), expected);
}

#[test]
fn possibly_empty_list_of_controls_is_reported() {
    let of = |conditions: &str, controls: &str, more: &str| {
        let text = format!(
            "Parameters:\n  A: {{ Type: String }}\n  B: {{ Type: String }}\n  C: {{ Type: String, Default: 'yes' }}\n  \
             D: {{ Type: String, AllowedValues: [x, y] }}\nConditions:\n{conditions}Resources:\n  F:\n    \
             Type: AWS::Backup::Framework\n{more}    Properties:\n      FrameworkControls:\n{controls}"
        );
        let all = incomplete(&text);
        assert!(all.iter().all(|diagnostic| diagnostic.level != Level::Error), "{text}\n{all:#?}");
        ids(&all).contains(&"BC016")
    };
    let item = |condition: &str, name: &str| {
        format!("        - !If [{condition}, {{ ControlName: {name} }}, !Ref AWS::NoValue]\n")
    };
    let not = |condition: &str, name: &str| {
        format!("        - !If [{condition}, !Ref AWS::NoValue, {{ ControlName: {name} }}]\n")
    };
    let [x, y] = ["BACKUP_RECOVERY_POINT_ENCRYPTED", "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED"];
    let a = "  A: !Equals [!Ref A, 'yes']\n";
    let b = "  B: !Equals [!Ref B, 'yes']\n";
    let c = "  C: !Equals [!Ref C, 'yes']\n";
    let d = "  D: !Equals [!Ref D, x]\n  E: !Equals [!Ref D, y]\n";
    assert!(of(a, &item("A", x), ""));
    assert!(of(&format!("{a}{b}"), &(item("A", x) + &item("B", y)), ""));
    assert!(of(&format!("{a}  N: !Not [!Condition A]\n"), &item("N", x), ""));
    assert!(of(d, &item("D", x), ""));
    assert!(!of(&format!("{a}{b}"), &format!("{}        - ControlName: {y}\n", item("A", x)), ""));
    assert!(!of(a, &(item("A", x) + &not("A", y)), ""), "one of the two is always there");
    assert!(!of(d, &(item("D", x) + &item("E", y)), ""), "the allowed values exclude it");
    assert!(!of(c, &item("C", x), ""), "the default decides");
    assert!(!of(
        &format!("{a}{b}  Any: !Or [!Condition A, !Condition B]\n"),
        &(item("A", x) + &item("B", y)),
        "    Condition: Any\n"
    ));
    assert!(!of(a, "        - !If [A, { ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED }, !ImportValue x]\n", ""));
    // Too many combinations to try all.
    let many: String = (0..8).map(|n| format!("  M{n}: !Equals [!Sub 'x${{A}}', '{n}']\n")).collect();
    assert!(of(&many, &item("M1", x), ""), "a condition that no parameter decides may be false");
    let parameters: String = (0..8).map(|n| format!("  P{n}: {{ Type: String }}\n")).collect();
    let conditions: String = (0..8).map(|n| format!("  P{n}: !Equals [!Ref P{n}, 'yes']\n")).collect();
    let names = CONTROLS.iter().map(|control| control.name);
    let controls: String = (0..8).zip(names).map(|(n, name)| item(&format!("P{n}"), name)).collect();
    let text = format!(
        "Parameters:\n{parameters}Conditions:\n{conditions}Resources:\n  F:\n    Type: AWS::Backup::Framework\n    Properties:\n      \
         FrameworkControls:\n{controls}"
    );
    assert!(ids(&incomplete(&text)).contains(&"BC016"));
}

#[test]
fn allowed_values_that_break_the_name_are_reported() {
    let of = |parameter: &str, name: &str| {
        let text = format!(
            "Parameters:\n  Env: {{ Type: String, {parameter} }}\n  Unit: {{ Type: String, AllowedValues: [a, b.c] }}\nResources:\n  F:\n    \
             Type: AWS::Backup::Framework\n    Properties:\n      FrameworkName: {name}\n      FrameworkControls:\n        - \
             ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED\n"
        );
        let all = incomplete(&text).into_iter().filter(|diagnostic| diagnostic.rule == Some("BC015"));
        all.map(|diagnostic| diagnostic.message).collect::<Vec<_>>()
    };
    let odd = ["with the value `pre-prod` of `Env`, the framework name `org_pre-prod` contains `-`"];
    const ALLOWED: &str = "AllowedValues: [dev, pre-prod, x-y]";
    assert_eq!(of(ALLOWED, "!Sub 'org_${Env}'"), odd);
    assert_eq!(of(&format!("{ALLOWED}, Default: dev"), "!Sub 'org_${Env}'"), odd);
    assert_eq!(of(ALLOWED, "!Join ['_', [org, !Ref Env]]"), odd);
    assert_eq!(of("AllowedValues: ['1', a]", "!Ref Env").len(), 1);
    assert_eq!(of("AllowedValues: [dev, prod]", "!Sub 'org_${Env}'").len(), 0);
    assert_eq!(of(ALLOWED, "!Join ['_', !Split ['-', !Ref Env]]").len(), 0);
    assert_eq!(of(ALLOWED, "org_backup").len(), 0);
    assert_eq!(of("Default: pre-prod", "!Sub 'org_${Env}'").len(), 0, "BC011 reports the default");
    assert_eq!(of("AllowedValues: [dev]", "!Sub 'org_${Unit}'").len(), 1);
    assert_eq!(of("AllowedValues: [a-b]", "!Sub '${Env}_${AWS::StackName}'").len(), 0, "partly known");
}
