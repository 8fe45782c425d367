//! What is judged, what is not, and by which reason.

use super::*;

const LOCK: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK";
const REGION: &str = "BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION";
const ACCOUNT: &str = "BACKUP_RESOURCES_PROTECTED_BY_CROSS_ACCOUNT";

const INSTANCE: &str = "  I:\n    Type: AWS::EC2::Instance\n    Properties:\n      ImageId: ami-1\n";
const TAGGED: &str = "      Tags: [{ Key: backup, Value: daily }]\n";
const VOLUME: &str = "  E:\n    Type: AWS::EC2::Volume\n    Properties: { AvailabilityZone: eu-west-1a, Size: 8 }\n";

fn list(patterns: &str) -> String {
    format!("        Resources: [{patterns}]\n")
}

/// The findings of a control, without those of lint rules about patterns.
fn at(target: &DeploymentTarget, text: &str, control: &str) -> Vec<String> {
    let mut found = said(&checked_at(target, &[text], 1, &[control], &[]));
    found.retain(|one| !(one.starts_with("warning") && one.contains("matches no resource")));
    found
}

#[test]
fn patterns_match_whatever_the_unknown_parts_are() {
    for (pattern, expected) in [
        ("'arn:aws:ec2:*:*:volume/*'", ""),
        ("'arn:aws:ec2:*'", ""),
        ("'arn:aws:ec2:*:*:volume/vol-*'", ""),
        ("!Sub 'arn:aws:ec2:${AWS::Region}:${AWS::AccountId}:volume/*'", ""),
        ("!Sub 'arn:${AWS::Partition}:ec2:${AWS::Region}:*:volume/*'", ""),
        ("!Join [':', [arn, aws, ec2, !Ref AWS::Region, !Ref AWS::AccountId, 'volume/*']]", ""),
        ("!Sub 'arn:aws:ec2:${AWS::Region}:${AWS::AccountId}:volume/${E}'", ""),
        ("'arn:aws:ec2:eu-west-1:*:volume/*'", "warning"),
        ("'arn:aws:ec2:*:222222222222:volume/*'", "warning"),
        ("!Sub 'arn:aws:ec2:eu-west-1:${AWS::AccountId}:volume/*'", "warning"),
        ("'arn:aws:ec2:*:*:volume/vol-0123456789abcdef0'", "warning"),
        ("'arn:aws:ec2:*:*:instance/*'", "error"),
        ("'arn:aws:rds:*:*:db:*'", "error"),
        ("!Sub 'arn:aws:ec2:${AWS::Region}:${AWS::AccountId}:snapshot/*'", "error"),
    ] {
        let found = at(&anywhere(), &with_plan(VOLUME, &list(pattern)), COVERAGE);
        assert_eq!(found.is_empty(), expected.is_empty(), "{pattern}: {found:?}");
        assert!(found.iter().all(|one| one.starts_with(expected)), "{pattern}: {found:?}");
        if expected == "warning" {
            assert!(found[0].ends_with("its whole ARN; give the deployment target with --account and --region"));
        }
    }
    // Another partition is named, and the Region does not say which one counts.
    let text = with_plan(VOLUME, &list("'arn:aws:ec2:*:*:volume/*', 'arn:aws-cn:s3:::*'"));
    assert!(at(&anywhere(), &text, COVERAGE)[0].starts_with("warning"), "{text}");
    assert!(at(&here(), &text, COVERAGE).is_empty(), "{text}");
}

#[test]
fn pseudo_parameters_in_names_compare_as_written() {
    let bucket = |name: &str| format!("  B: {{ Type: AWS::S3::Bucket, Properties: {{ BucketName: {name} }} }}\n");
    let own = "!Sub 'logs-${AWS::AccountId}'";
    for (name, pattern, expected) in [
        (own, "!Sub 'arn:aws:s3:::logs-${AWS::AccountId}'", ""),
        (own, "!Sub 'arn:${AWS::Partition}:s3:::logs-${AWS::AccountId}'", ""),
        (own, "'arn:aws:s3:::logs-*'", ""),
        (own, "'arn:aws:s3:::data-*'", "error"),
        (own, "!Sub 'arn:aws:s3:::data-${AWS::AccountId}'", "error"),
        ("logs-222222222222", "!Sub 'arn:aws:s3:::logs-${AWS::AccountId}'", "warning"),
        ("data-222222222222", "!Sub 'arn:aws:s3:::logs-${AWS::AccountId}'", "error"),
        ("!Ref Any", "!Sub 'arn:aws:s3:::logs-${AWS::AccountId}'", "warning"),
    ] {
        let found = at(&anywhere(), &with_plan(&bucket(name), &list(pattern)), COVERAGE);
        assert_eq!(found.is_empty(), expected.is_empty(), "{name} {pattern}: {found:?}");
        assert!(found.iter().all(|one| one.starts_with(expected)), "{name} {pattern}: {found:?}");
    }
}

#[test]
fn known_start_decides_for_unnamed_resources() {
    let instance = "  D:\n    Type: AWS::RDS::DBInstance\n    Properties: { Engine: postgres }\n";
    for target in [anywhere(), here()] {
        for (pattern, level) in [
            ("arn:aws:rds:*:*:cluster:*", "error"),
            ("arn:aws:rds:*:*:instance:*", "error"),
            ("arn:aws:rds:*:*:db:orders", "warning"),
        ] {
            let found = at(&target, &with_plan(instance, &list(&format!("'{pattern}'"))), COVERAGE);
            assert!(found.len() == 1 && found[0].starts_with(level), "{pattern}: {found:?}");
            let is_named = found[0].contains(&format!("`{pattern}` names another type"));
            assert_eq!(is_named, level == "error", "{found:?}");
        }
        assert!(at(&target, &with_plan(instance, &list("'arn:aws:rds:*:*:db:*'")), COVERAGE).is_empty());
    }
}

#[test]
fn types_without_control_are_named() {
    let not_judged = |resources: &str, control: &str| {
        let text = format!(
            "Conditions: {{ Off: !Equals [a, b] }}\nResources:\n{resources}  T: {{ Type: AWS::DynamoDB::Table }}\n"
        );
        let found = checked_at(&here(), &[&text], 1, &[control], &[]).not_judged;
        found.into_iter().map(|one| (one.kind, one.resources.join(" "), one.reason)).collect::<Vec<_>>()
    };
    for kind in [
        "AWS::DocDB::DBCluster",
        "AWS::Neptune::DBCluster",
        "AWS::Redshift::Cluster",
        "AWS::RedshiftServerless::Namespace",
        "AWS::Timestream::Table",
        "AWS::EKS::Cluster",
        "AWS::SystemsManagerSAP::Application",
        "AWS::DSQL::Cluster",
        "AWS::FSx::Volume",
    ] {
        let found = not_judged(&format!("  A: {{ Type: {kind} }}\n  B: {{ Type: {kind} }}\n"), COVERAGE);
        let expected = (kind.to_owned(), "A B".to_owned(), "AWS Backup protects it, Audit Manager has no control");
        assert_eq!(found, [expected]);
        assert_eq!(not_judged(&format!("  A: {{ Type: {kind}, Condition: Off }}\n"), COVERAGE), []);
    }
    for (kind, properties, expected) in [
        ("AWS::FSx::FileSystem", "FileSystemType: OPENZFS", "AWS::FSx::FileSystem of OPENZFS"),
        ("AWS::RDS::DBCluster", "Engine: docdb", "AWS::RDS::DBCluster of docdb"),
        ("AWS::RDS::DBCluster", "Engine: Neptune", "AWS::RDS::DBCluster of neptune"),
        ("AWS::AutoScaling::AutoScalingGroup", "MinSize: '1'", "AWS::AutoScaling::AutoScalingGroup"),
        ("AWS::EC2::LaunchTemplate", "LaunchTemplateName: x", "AWS::EC2::LaunchTemplate"),
        ("AWS::DynamoDB::GlobalTable", "Replicas: [{ Region: a }, { Region: b }]", "AWS::DynamoDB::GlobalTable"),
        ("AWS::ECS::Service", "VolumeConfigurations: [{ ManagedEBSVolume: {} }]", "AWS::ECS::Service"),
    ] {
        let text = format!("  A: {{ Type: {kind}, Properties: {{ {properties} }} }}\n");
        assert_eq!(not_judged(&text, COVERAGE)[0].0, expected);
    }
    for other in
        ["AWS::FSx::FileSystem, Properties: { FileSystemType: LUSTRE }", "AWS::SNS::Topic", "AWS::ECS::Service"]
    {
        assert_eq!(not_judged(&format!("  A: {{ Type: {other} }}\n"), COVERAGE), []);
    }
    let of_plans = "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK";
    assert_eq!(not_judged("  A: { Type: AWS::DocDB::DBCluster }\n", of_plans), []);
}

#[test]
fn volumes_of_instances_need_their_tags() {
    for properties in [
        "",
        "      BlockDeviceMappings: [{ DeviceName: /dev/sdf, Ebs: { VolumeSize: 100 } }]\n",
        "      Monitoring: true\n",
    ] {
        let text = with_plan(&format!("{INSTANCE}{properties}{TAGGED}"), BY_TAG);
        let checked = checked_at(&anywhere(), &[&text], 1, &[COVERAGE], &[]);
        let [finding] = checked.findings.as_slice() else { panic!("{:?}", said(&checked)) };
        let Diagnostic { message, help, edits, .. } = &finding.diagnostic;
        assert!(message.starts_with("volumes of `I` (AWS::EC2::Instance): no plan selects it"), "{message}");
        assert!(message.ends_with("they get no tags without `PropagateTagsToVolumeOnCreation`"), "{message}");
        assert_eq!(help, "add `PropagateTagsToVolumeOnCreation: true` to the instance");
        let (fixed, made) = apply(&text, [edits.as_slice()]);
        assert!(made == 1 && fixed.contains("\n      PropagateTagsToVolumeOnCreation: true\n"), "{fixed}");
        assert!(coverage(&fixed).is_empty(), "{fixed}");
    }
    let of = |more: &str| coverage(&with_plan(&format!("{INSTANCE}{TAGGED}{more}"), BY_TAG));
    assert!(of("      PropagateTagsToVolumeOnCreation: true\n").is_empty());
    assert!(of("      PropagateTagsToVolumeOnCreation: 'true'\n").is_empty());
    assert!(of("      PropagateTagsToVolumeOnCreation: false\n")[0].starts_with("error"));
    for unknown in
        ["PropagateTagsToVolumeOnCreation: !Ref Any", "LaunchTemplate: { LaunchTemplateId: x, Version: '1' }"]
    {
        let found = of(&format!("      {unknown}\n"));
        assert!(found.len() == 1 && found[0].starts_with("warning"), "{unknown}: {found:?}");
    }
    // Both the instance and its volumes lack the tag.
    let found = coverage(&with_plan(INSTANCE, BY_TAG));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[1].ends_with("to the instance and tag it `backup` = `daily`"), "{found:?}");
    // A pattern takes volumes without tags.
    assert!(coverage(&with_plan(INSTANCE, &list("'arn:aws:ec2:*'"))).is_empty());
    let found = coverage(&with_plan(INSTANCE, &list("'arn:aws:ec2:*:*:instance/*'")));
    assert!(found.len() == 1 && found[0].contains("select volumes by a tag"), "{found:?}");
    // Tags of the stack are not those of volumes.
    let mut target = here();
    target.tags.insert("backup".to_owned(), "daily".to_owned());
    assert!(at(&target, &with_plan(INSTANCE, BY_TAG), COVERAGE)[0].starts_with("error 7: volumes of"));
}

#[test]
fn instance_edit_keeps_every_notation() {
    for (resource, expected) in [
        (
            "  I: { Type: AWS::EC2::Instance, Properties: { Tags: [{ Key: backup, Value: daily }] } }\n",
            "{ PropagateTags",
        ),
        (
            "  I:\n    Type: AWS::EC2::Instance\n    Properties:\n      Tags:\n      - Key: backup\n        Value: daily\n",
            "      PropagateTags",
        ),
    ] {
        for line_end in ["\n", "\r\n"] {
            let text = with_plan(resource, BY_TAG).replace('\n', line_end);
            let checked = checked_at(&anywhere(), &[&text], 1, &[COVERAGE], &[]);
            let edits: Vec<_> = checked.findings.iter().map(|one| one.diagnostic.edits.as_slice()).collect();
            let (fixed, made) = apply(&text, edits);
            assert!(made == 1 && fixed.contains(expected), "{fixed}");
            assert!(coverage(&fixed).is_empty(), "{fixed}");
        }
    }
    let json = "{\n \"Resources\": {\n  \"I\": {\n   \"Type\": \"AWS::EC2::Instance\",\n   \"Properties\": {\n    \"Tags\": [{\"Key\": \"backup\", \"Value\": \"daily\"}]\n   }\n  }\n }\n}\n";
    let plan = with_plan("", BY_TAG);
    let checked = checked_at(&anywhere(), &[json, &plan], 1, &[COVERAGE], &[]);
    let (fixed, _) = apply(json, [checked.findings[0].diagnostic.edits.as_slice()]);
    assert!(serde_json::from_str::<serde_json::Value>(&fixed).is_ok(), "{fixed}");
    assert!(fixed.contains("\"PropagateTagsToVolumeOnCreation\": true,"), "{fixed}");
    assert!(checked_at(&anywhere(), &[&fixed, &plan], 1, &[COVERAGE], &[]).findings.is_empty(), "{fixed}");
}

#[test]
fn copies_are_shown_as_written() {
    let text = |arn: &str| {
        with_plan(&format!("{TABLE}{TAGGED}"), BY_TAG)
            .replace("RuleName: r,", &format!("RuleName: r, CopyActions: [{{ DestinationBackupVaultArn: {arn} }}],"))
    };
    let arn = "arn:aws:backup:eu-central-1:999999999999:backup-vault:dr";
    for control in [REGION, ACCOUNT] {
        let found = at(&anywhere(), &text(arn), control);
        assert!(found.len() == 1 && found[0].starts_with("warning") && found[0].contains(arn), "{found:?}");
        assert!(found[0].ends_with("give the deployment target with --account and --region"), "{found:?}");
        assert!(at(&here(), &text(arn), control).is_empty());
        for own in ["!Sub 'arn:aws:backup:${AWS::Region}:${AWS::AccountId}:backup-vault:dr'"] {
            for target in [anywhere(), here()] {
                assert!(at(&target, &text(own), control)[0].starts_with("error"), "{own}");
            }
        }
    }
    let other = text("!Sub 'arn:aws:backup:eu-central-1:${AWS::AccountId}:backup-vault:dr'");
    assert!(at(&anywhere(), &other, ACCOUNT)[0].starts_with("error"));
    assert!(at(&anywhere(), &other, REGION)[0].starts_with("warning"));
}

#[test]
fn fixes_name_what_exists() {
    let global = |replicas: &str, target: &DeploymentTarget| {
        let resource =
            format!("  G:\n    Type: AWS::DynamoDB::GlobalTable\n    Properties: {{ Replicas: [{replicas}] }}\n");
        at(target, &with_plan(&resource, BY_TAG).replace("Parameters:", "Metadata:"), COVERAGE)
    };
    let two = "{ Region: us-east-1 }, { Region: eu-west-1, Tags: [{ Key: a, Value: b }] }";
    let found = global(two, &anywhere());
    assert!(found[0].starts_with("warning") && found[0].ends_with("with --region"), "{found:?}");
    let found = global(two, &here());
    assert!(found[0].ends_with("under `Tags` of the replica in `eu-west-1` in line 9"), "{found:?}");
    let found = global("{ Region: us-east-1 }, { Region: eu-west-1 }", &here());
    assert!(found[0].ends_with("with the property `Tags` of the replica in `eu-west-1`"), "{found:?}");
    // No parameter exists.
    let table = "  T: { Type: AWS::DynamoDB::Table, Properties: { Tags: [{ Key: backup, Value: !ImportValue x }] } }\n";
    let text = with_plan(table, BY_TAG).replace("Parameters:", "Metadata:");
    let found = at(&here(), &text, COVERAGE);
    assert!(found[0].contains("the value of its tag") && !found[0].contains("--parameter"), "{found:?}");
}

#[test]
fn air_gapped_target_vault_is_locked() {
    let text = |arn: &str, vault: &str| {
        let vaults = format!(
            "{TABLE}{TAGGED}  V: {{ Type: AWS::Backup::BackupVault, Properties: {{ BackupVaultName: v }} }}\n{vault}"
        );
        with_plan(&vaults, BY_TAG).replace(
            "RuleName: r,",
            &format!(
                "RuleName: r, Lifecycle: {{ DeleteAfterDays: 40 }}, TargetLogicallyAirGappedBackupVaultArn: {arn},"
            ),
        )
    };
    let lag = "  L:\n    Type: AWS::Backup::LogicallyAirGappedBackupVault\n    Properties: { BackupVaultName: lag, MinRetentionDays: 35, MaxRetentionDays: 365 }\n";
    for (arn, vault) in [
        ("!GetAtt L.BackupVaultArn", lag),
        ("arn:aws:backup:eu-west-1:222222222222:backup-vault:elsewhere", ""),
        ("!ImportValue x", ""),
    ] {
        for target in [anywhere(), here()] {
            let found = at(&target, &text(arn, vault), LOCK);
            assert!(found.is_empty(), "{arn}: {found:?}");
        }
    }
}

#[test]
fn members_are_judged_within_their_template() {
    let stage = |value: &str| {
        let resources = format!(
            "  C:\n    Type: AWS::RDS::DBCluster\n    Properties: {{ DBClusterIdentifier: orders, Engine: aurora-mysql, \
             Tags: [{{ Key: backup, Value: {value} }}] }}\n  M:\n    Type: AWS::RDS::DBInstance\n    Properties: {{ DBClusterIdentifier: orders, \
             Engine: aurora-mysql }}\n  N:\n    Type: AWS::RDS::DBInstance\n    Properties: {{ DBClusterIdentifier: !Ref C, Engine: aurora-mysql }}\n"
        );
        with_plan(&resources, BY_TAG)
    };
    let (dev, prod) = (stage("never"), stage("daily"));
    for target in [anywhere(), here()] {
        let checked = checked_at(&target, &[&dev, &prod], 2, &[COVERAGE], &[]);
        let files: Vec<&str> = checked.findings.iter().map(|one| one.diagnostic.file.as_str()).collect();
        assert_eq!(files, ["0.yaml"; 3], "{:?}", said(&checked));
        assert!(said(&checked)[1].contains("for its cluster `C`"), "{:?}", said(&checked));
    }
}

#[test]
fn rules_refer_to_the_vault_of_their_template() {
    let stage = |lock: &str, target: &str| {
        let vault = format!(
            "{TABLE}{TAGGED}  V:\n    Type: AWS::Backup::BackupVault\n    Properties: {{ BackupVaultName: main{lock} }}\n"
        );
        let tag = format!("stage{}", lock.len());
        let text = with_plan(&vault.replace("Key: backup", &format!("Key: {tag}")), &BY_TAG.replace("backup", &tag));
        text.replace("TargetBackupVault: v", &format!("TargetBackupVault: {target}"))
    };
    for target in ["main", "!Ref V", "!GetAtt V.BackupVaultName"] {
        let (dev, prod) = (stage("", target), stage(", LockConfiguration: { MinRetentionDays: 1 }", target));
        for (texts, expected) in [([&dev, &prod], "0.yaml"), ([&prod, &dev], "1.yaml")] {
            let checked = checked_at(&here(), &[texts[0], texts[1]], 2, &[LOCK], &[]);
            let [finding] = checked.findings.as_slice() else { panic!("{target}: {:?}", said(&checked)) };
            assert_eq!((finding.level, finding.diagnostic.file.as_str()), (Level::Error, expected), "{target}");
        }
        // A rule of a third template may refer to either.
        let third =
            stage("", target).replace("  V:\n    Type: AWS::Backup::BackupVault", "  V:\n    Type: AWS::SNS::Topic");
        if target == "main" {
            let found = said(&checked_at(&here(), &[&third, &dev, &prod], 1, &[LOCK], &[]));
            assert!(found[0].starts_with("warning") && found[0].contains("several that differ"), "{found:?}");
        }
    }
}

#[test]
fn ontap_by_tag_of_the_file_system_is_undecided() {
    let of = |tags: &str, kind: &str, selection: &str| {
        let resource = format!(
            "  F:\n    Type: AWS::FSx::FileSystem\n    Properties: {{ FileSystemType: {kind}, Tags: [{tags}] }}\n"
        );
        coverage(&with_plan(&resource, selection))
    };
    let tag = "{ Key: backup, Value: daily }";
    let found = of(tag, "ONTAP", BY_TAG);
    assert!(found.len() == 1 && found[0].starts_with("warning") && found[0].contains("tag its volumes"), "{found:?}");
    assert!(of(tag, "LUSTRE", BY_TAG).is_empty());
    assert!(of("", "ONTAP", BY_TAG)[0].starts_with("error"));
    assert!(of(tag, "ONTAP", &list("'arn:aws:fsx:*'")).is_empty());
}

#[test]
fn exempt_violation_is_counted_and_no_finding() {
    let text = with_plan(VOLUME, BY_TAG);
    let read = |exempt: FindExemption<'_>| {
        let template = Template::read("app.yaml", &text).unwrap();
        let stacks = [CheckedFile::Template(TemplateStack::new(&template, BTreeMap::new()))];
        let mut inventory = Inventory::new(Timestamp::UNIX_EPOCH);
        let added = crate::inventory::template::add(&mut inventory, &here(), &stacks);
        check(&inventory, &added, &here(), &stacks, 1, &asked(&[COVERAGE]), exempt)
    };
    let exemption = ViolationExemption { until: jiff::civil::date(2027, 1, 31), reason: "moved".to_owned() };
    let report = read(&|item| {
        let arn = item.arn.as_deref().unwrap();
        assert!(arn.ends_with(":volume/vol-?"), "{arn}");
        (item.kind == "AWS::EC2::Volume").then(|| exemption.clone())
    });
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(report.rows[0].1, EvaluationCounts { exempt: 1, ..EvaluationCounts::default() });
    assert_eq!((report.exempt.len(), &report.exempt[0].exemption), (1, &exemption));
    assert_eq!(read(&|_| None).rows[0].1.not_compliant, 1);
}
