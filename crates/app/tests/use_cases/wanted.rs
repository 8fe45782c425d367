//! The desired state of a policy, and the file of each diagnostic if it is impossible.

use app::deploy::{DesiredPolicy, PolicySource};
use app::ports::PortErrorKind;
use framework::ids::{AccountId, RegionName};
use syntax::diagnostic::Diagnostic;
use testkit::world::World;

use crate::policy::{FRAMEWORK, ONE, THREE, TWO, policy};
use crate::{deploy, units};

const BUS: &str = "arn:aws:events:us-east-1:000000000000:event-bus/backup-compliance";

async fn read(policy: &str, template: Option<&str>) -> Result<DesiredPolicy, Vec<Diagnostic>> {
    let world = World::new();
    let commit = world.push("Policy", &[("backup-compliance.yaml", Some(policy)), ("framework.yaml", template)]);
    let policy = PolicySource { commit: &commit, policy_file: "backup-compliance.yaml", event_bus_arn: BUS };
    policy.read(&world).await.unwrap()
}

async fn faults(policy: &str, template: Option<&str>) -> Vec<String> {
    read(policy, template).await.unwrap_err().iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "current_thread")]
async fn instances_have_overrides_of_their_target() {
    let wanted = read(&policy(&[ONE, TWO], Some("90")), Some(FRAMEWORK)).await.unwrap();
    let framework = &wanted.frameworks[0];
    let desired = &framework.desired;
    assert_eq!(desired.parameters["ComplianceEventBusArn"], BUS, "the template declares it");
    assert!(!desired.parameters.contains_key("MinimumRetentionDays"), "the template's default is left to it");
    let overrides: Vec<_> =
        desired.instances.iter().map(|(instance, given)| (instance.to_string(), given.overrides.len())).collect();
    let expected = [(ONE, "eu-west-1", 0), (ONE, "us-east-1", 0), (TWO, "eu-west-1", 1), (TWO, "us-east-1", 1)];
    assert_eq!(overrides, expected.map(|(account, region, given)| (format!("{account}/{region}"), given)));
    for (account, days) in [(ONE, "35"), (TWO, "90")] {
        let (account, region) = (AccountId::parse(account).unwrap(), RegionName::parse("eu-west-1").unwrap());
        let control = "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK";
        assert_eq!(framework.published.parameters(&account, &region, control).unwrap()["requiredRetentionDays"], days);
    }
}

const NAMED: &str = "Resources:\n  Framework:\n    Type: AWS::Backup::Framework\n    Properties:\n      FrameworkName: NAME\n      \
                     FrameworkControls: [{ ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED }]\n";

/// StackSets names its stacks `StackSet-<name>-<uuid>`.
#[tokio::test(flavor = "current_thread")]
async fn framework_name_of_stack_name_is_rejected() {
    for (name, is_rejected) in [
        ("!Ref AWS::StackName", true),
        ("!Sub 'x_${AWS::StackName}'", true),
        ("!Join ['_', !Split ['-', !Ref AWS::StackName]]", false),
        ("!Join ['', [x, !Select [1, !Split ['-', !Ref AWS::StackName]]]]", false),
        ("org_backup", false),
    ] {
        let found = read(&policy(&[ONE], None), Some(&NAMED.replace("NAME", name))).await;
        assert_eq!(found.is_err(), is_rejected, "{name}: {found:?}");
        for diagnostic in found.err().into_iter().flatten() {
            assert_eq!((diagnostic.rule, diagnostic.file.as_str()), (Some("BC011"), "framework.yaml"), "{diagnostic}");
            assert!(diagnostic.message.contains("StackSet-"), "{diagnostic}");
        }
    }
    let desired = read(&policy(&[ONE], None), Some(&NAMED.replace("NAME", "org_backup"))).await.unwrap();
    assert!(desired.frameworks[0].desired.parameters.is_empty(), "the stack name is not a parameter");
}

#[tokio::test(flavor = "current_thread")]
async fn destination_in_targets_is_a_warning() {
    let with = |control: &str, parameter: &str, value: &str| {
        let control = format!(
            "ControlName: {control}, ControlInputParameters: [{{ ParameterName: {parameter}, ParameterValue: '{value}' }}]"
        );
        NAMED.replace("NAME", "org_backup").replace("ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED", &control)
    };
    let own = format!("999999999999,{TWO}");
    for (control, parameter, value, expected) in [
        (
            "BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION",
            "crossRegionList",
            "eu-west-1",
            "copies to `eu-west-1`, which is a target itself",
        ),
        ("BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION", "crossRegionList", "eu-central-1", ""),
        ("BACKUP_RESOURCES_PROTECTED_BY_CROSS_ACCOUNT", "crossAccountList", own.as_str(), "which is a target itself"),
        ("BACKUP_RESOURCES_PROTECTED_BY_CROSS_ACCOUNT", "crossAccountList", "999999999999", ""),
    ] {
        let template = with(control, parameter, value);
        let warnings =
            read(&policy(&[ONE, TWO], None), Some(&template)).await.unwrap().warnings(jiff::civil::date(2026, 11, 30));
        let found: Vec<_> = warnings.iter().filter(|warning| warning.rule == Some("BC063")).collect();
        assert_eq!(found.len(), usize::from(!expected.is_empty()), "{warnings:?}");
        assert!(found.iter().all(|warning| warning.message.contains(expected)), "{warnings:?}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn missing_parameter_is_reported_in_policy() {
    let with = |parameters: &str| {
        policy(&[ONE], None).replace("    targets:", &format!("    parameters: {{ {parameters} }}\n    targets:"))
    };
    assert_eq!(
        faults(&with("MinimumRetentionDay: \"35\", Colour: red"), Some(FRAMEWORK)).await,
        [
            "backup-compliance.yaml:3:5: the template `framework.yaml` declares no parameter `Colour`; \
             remove it, or declare it under `Parameters` of the template",
            "backup-compliance.yaml:3:5: the template `framework.yaml` declares no parameter `MinimumRetentionDay`; \
             did you mean `MinimumRetentionDays`?",
        ]
    );
    let in_target = policy(&[ONE, TWO], Some("90")).replace("MinimumRetentionDays", "Days");
    let fault = &read(&in_target, Some(FRAMEWORK)).await.unwrap_err()[0];
    assert!(fault.to_string().starts_with("backup-compliance.yaml:8:9: "), "the position of the target: {fault}");
    assert!(fault.excerpt.as_ref().unwrap().contains("- accounts: [\"222222222222\"]"), "{fault:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn invalid_value_is_reported_at_its_source() {
    let line = 1 + FRAMEWORK.lines().position(|line| line.contains("!Ref MinimumRetentionDays")).unwrap();
    let expected = format!(
        "backup-compliance.yaml:8:9: with the parameters given here, the parameter `requiredRetentionDays` is `0` \
         (framework.yaml:{line}:"
    );
    let messages = faults(&policy(&[ONE, TWO], Some("0")), Some(FRAMEWORK)).await;
    assert!(messages.len() == 1 && messages[0].starts_with(&expected), "{messages:?}");

    // The same value as a default of the template: then the template is invalid for every policy; reported once.
    let template = FRAMEWORK.replace("Default: \"35\"", "Default: \"0\"");
    let messages = faults(&policy(&[ONE, TWO], Some("0")), Some(&template)).await;
    assert!(messages.len() == 1 && messages[0].starts_with(&format!("framework.yaml:{line}:")), "{messages:?}");
}

/// A control in one Region only, one in one account only, and a parameter with a different value in each account.
const DIFFERS: &str = r#"AWSTemplateFormatVersion: "2010-09-09"
Conditions:
  IsHome: !Equals [!Ref "AWS::Region", us-east-1]
  IsTwo: !Equals [!Ref "AWS::AccountId", "222222222222"]
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkName: backup_compliance
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED
          ControlInputParameters:
            - { ParameterName: principalArnList, ParameterValue: !Sub "arn:aws:iam::${AWS::AccountId}:role/backup-admin" }
        - !If
          - IsHome
          - { ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED }
          - !Ref AWS::NoValue
        - !If
          - IsTwo
          - { ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN }
          - !Ref AWS::NoValue
"#;

#[tokio::test(flavor = "current_thread")]
async fn conditional_controls_are_in_force_per_location() {
    let wanted = read(&policy(&[ONE, TWO, THREE], None), Some(DIFFERS)).await.unwrap();
    let facts = &wanted.frameworks[0].published;
    let parameters = |account: &str, region: &str, control: &str| {
        facts.parameters(&AccountId::parse(account).unwrap(), &RegionName::parse(region).unwrap(), control)
    };
    for account in [ONE, TWO, THREE] {
        for region in ["us-east-1", "eu-west-1"] {
            let has = |control| parameters(account, region, control).is_some();
            assert_eq!(has("BACKUP_RECOVERY_POINT_ENCRYPTED"), region == "us-east-1", "{account} {region}");
            assert_eq!(has("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN"), account == TWO, "{account} {region}");
            let excepted = parameters(account, region, "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED").unwrap();
            // One variant is read as it is; of several, only the common values are read.
            let expected = (account == TWO).then(|| format!("arn:aws:iam::{account}:role/backup-admin"));
            assert_eq!(excepted.get("principalArnList"), expected.as_ref(), "{account} {region}");
        }
    }
    // Regions with the same controls are one variant, so that the published item fits into the table.
    let wanted = read(&policy(&[ONE, TWO], Some("90")), Some(FRAMEWORK)).await.unwrap();
    assert_eq!(wanted.frameworks[0].published.variants.len(), 2, "one for each target");
}

#[tokio::test(flavor = "current_thread")]
async fn error_in_last_account_is_rejected() {
    // The id is the number of days, and fits in the first.
    let template = FRAMEWORK.replace("!Ref MinimumRetentionDays", "!Ref AWS::AccountId");
    assert!(read(&policy(&["000000000035", "000000000036"], None), Some(&template)).await.is_ok());
    let messages = faults(&policy(&["000000000035", "999999999999"], None), Some(&template)).await;
    assert!(messages.len() == 1 && messages[0].contains("`requiredRetentionDays` is `999999999999`"), "{messages:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn units_have_conditional_controls_per_region() {
    let world = World::new();
    units::members(&world, units::UNIT, &[ONE]);
    units::members(&world, units::OTHER, &[THREE]);
    let targets =
        units::policy(&[units::UNIT], &[]) + units::policy(&[units::OTHER], &[]).split_once("targets:\n").unwrap().1;
    world.push("Units", &[("backup-compliance.yaml", Some(&targets)), ("framework.yaml", Some(DIFFERS))]);
    let seen = deploy::push_seen(&world).await.unwrap();
    assert_eq!(seen.rejected, Vec::<String>::new());
    let facts = world.state().frameworks[&deploy::name()].clone();
    for account in [ONE, THREE] {
        for region in ["us-east-1", "eu-west-1"] {
            let control = "BACKUP_RECOVERY_POINT_ENCRYPTED";
            let here =
                facts.parameters(&AccountId::parse(account).unwrap(), &RegionName::parse(region).unwrap(), control);
            assert_eq!(here.is_some(), region == "us-east-1", "{account} {region}: {facts:#?}");
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn equal_frameworks_in_one_location_are_rejected() {
    let one = policy(&[ONE], None);
    let second = one.split_once("frameworks:\n").unwrap().1.replace("name: backup-compliance", "name: second");
    let messages = faults(&format!("{one}{second}"), Some(FRAMEWORK)).await;
    let expected = [
        "backup-compliance.yaml:11:9: the framework `second` has the same controls as `backup-compliance`, and both are deployed to 111111111111 in eu-west-1; ",
        "backup-compliance.yaml:11:9: `backup-compliance` and `second` both have a framework `backup_compliance` in 111111111111 in eu-west-1; ",
    ];
    assert_eq!(messages.len(), expected.len(), "{messages:#?}");
    assert!(expected.iter().zip(&messages).all(|(start, fault)| fault.starts_with(start)), "{messages:#?}");
    let elsewhere = second.replace(ONE, TWO);
    assert!(read(&format!("{one}{elsewhere}"), Some(FRAMEWORK)).await.is_ok());
}

#[tokio::test(flavor = "current_thread")]
async fn missing_template_is_reported_at_its_reference() {
    assert_eq!(
        faults(&policy(&[ONE], None), None).await,
        ["backup-compliance.yaml:3:5: the template `framework.yaml` is not in the repository; \
          add it, or correct `template` of the framework `backup-compliance`: the path starts from the root of the repository"]
    );
}

#[tokio::test(flavor = "current_thread")]
async fn unreadable_repository_is_not_a_policy_error() {
    let world = World::new();
    let commit = world.push("Policy", &[("backup-compliance.yaml", Some(&policy(&[ONE], None)))]);
    world.fail_next("codecommit:GetFile", PortErrorKind::Denied);
    let policy = PolicySource { commit: &commit, policy_file: "backup-compliance.yaml", event_bus_arn: BUS };
    assert_eq!(policy.read(&world).await.unwrap_err().kind, PortErrorKind::Denied);
}
