//! What a policy wants, and which file is to blame when it cannot be had.

use crate::policy::{FRAMEWORK, ONE, THREE, TWO, policy};
use crate::{deploy, units};
use app::deploy::{PolicyAt, Wanted};
use app::ports::PortErrorKind;
use domain::fault::Fault;
use testkit::world::World;

const BUS: &str = "arn:aws:events:us-east-1:000000000000:event-bus/backup-compliance";

async fn read(policy: &str, template: Option<&str>) -> Result<Wanted, Vec<Fault>> {
    let world = World::new();
    let commit = world.push("Policy", &[("backup-compliance.yaml", Some(policy)), ("framework.yaml", template)]);
    let policy = PolicyAt { commit: &commit, policy_file: "backup-compliance.yaml", event_bus_arn: BUS };
    policy.read(&world).await.unwrap()
}

async fn faults(policy: &str, template: Option<&str>) -> Vec<String> {
    read(policy, template).await.unwrap_err().iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "current_thread")]
async fn every_instance_has_its_overrides_and_every_target_its_parameters() {
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
        let (account, region) = (account.parse().unwrap(), "eu-west-1".parse().unwrap());
        let control = "BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK";
        assert_eq!(framework.facts.parameters(&account, &region, control).unwrap()["requiredRetentionDays"], days);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_parameter_that_the_template_lacks_is_the_policys_fault() {
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
    assert!(fault.to_string().starts_with("backup-compliance.yaml:8:9: "), "the place of the target: {fault}");
    assert!(fault.excerpt.as_ref().unwrap().contains("- accounts: [\"222222222222\"]"), "{fault:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_value_that_a_control_does_not_take_is_the_fault_of_who_gives_it() {
    let line = 1 + FRAMEWORK.lines().position(|line| line.contains("!Ref MinimumRetentionDays")).unwrap();
    let expected = format!(
        "backup-compliance.yaml:8:9: with the parameters given here, the parameter `requiredRetentionDays` is `0` \
         (framework.yaml:{line}:"
    );
    let told = faults(&policy(&[ONE, TWO], Some("0")), Some(FRAMEWORK)).await;
    assert!(told.len() == 1 && told[0].starts_with(&expected), "{told:?}");

    // The same value as a default of the template: whatever the policy says, the template is wrong; told once.
    let template = FRAMEWORK.replace("Default: \"35\"", "Default: \"0\"");
    let told = faults(&policy(&[ONE, TWO], Some("0")), Some(&template)).await;
    assert!(told.len() == 1 && told[0].starts_with(&format!("framework.yaml:{line}:")), "{told:?}");
}

/// A control in one Region only, one in one account only, and a parameter with another value in each account.
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
async fn what_depends_on_account_and_region_is_in_force_where_it_is_there() {
    let wanted = read(&policy(&[ONE, TWO, THREE], None), Some(DIFFERS)).await.unwrap();
    let facts = &wanted.frameworks[0].facts;
    let parameters = |account: &str, region: &str, control: &str| {
        facts.parameters(&account.parse().unwrap(), &region.parse().unwrap(), control)
    };
    for account in [ONE, TWO, THREE] {
        for region in ["us-east-1", "eu-west-1"] {
            let has = |control| parameters(account, region, control).is_some();
            assert_eq!(has("BACKUP_RECOVERY_POINT_ENCRYPTED"), region == "us-east-1", "{account} {region}");
            assert_eq!(has("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN"), account == TWO, "{account} {region}");
            let excepted = parameters(account, region, "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED").unwrap();
            // One alone is read as it is; of several nothing is said in which they differ.
            let expected = (account == TWO).then(|| format!("arn:aws:iam::{account}:role/backup-admin"));
            assert_eq!(excepted.get("principalArnList"), expected.as_ref(), "{account} {region}");
        }
    }
    // Regions with the same controls are one variant: what is published must fit an item of the table.
    let wanted = read(&policy(&[ONE, TWO], Some("90")), Some(FRAMEWORK)).await.unwrap();
    assert_eq!(wanted.frameworks[0].facts.variants.len(), 2, "one for each target");
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_wrong_in_the_last_account_only_is_refused() {
    // The id is the number of days, and fits in the first.
    let template = FRAMEWORK.replace("!Ref MinimumRetentionDays", "!Ref AWS::AccountId");
    assert!(read(&policy(&["000000000035", "000000000036"], None), Some(&template)).await.is_ok());
    let told = faults(&policy(&["000000000035", "999999999999"], None), Some(&template)).await;
    assert!(told.len() == 1 && told[0].contains("`requiredRetentionDays` is `999999999999`"), "{told:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn units_have_what_depends_on_the_region_where_it_is_there() {
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
            let here = facts.parameters(&account.parse().unwrap(), &region.parse().unwrap(), control);
            assert_eq!(here.is_some(), region == "us-east-1", "{account} {region}: {facts:#?}");
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn two_frameworks_with_equal_controls_in_one_place_are_refused() {
    let one = policy(&[ONE], None);
    let second = one.split_once("frameworks:\n").unwrap().1.replace("name: backup-compliance", "name: second");
    let told = faults(&format!("{one}{second}"), Some(FRAMEWORK)).await;
    let expected = [
        "backup-compliance.yaml:11:9: the framework `second` has the controls of `backup-compliance`, and both go to 111111111111 in eu-west-1; ",
        "backup-compliance.yaml:11:9: `backup-compliance` and `second` both have a framework `backup_compliance` in 111111111111 in eu-west-1; ",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    assert!(expected.iter().zip(&told).all(|(start, fault)| fault.starts_with(start)), "{told:#?}");
    let elsewhere = second.replace(ONE, TWO);
    assert!(read(&format!("{one}{elsewhere}"), Some(FRAMEWORK)).await.is_ok());
}

#[tokio::test(flavor = "current_thread")]
async fn a_template_that_is_missing_is_named_where_the_policy_names_it() {
    assert_eq!(
        faults(&policy(&[ONE], None), None).await,
        ["backup-compliance.yaml:3:5: the template `framework.yaml` is not in the repository; \
          add it, or correct `template` of the framework `backup-compliance`: the path starts from the root of the repository"]
    );
}

#[tokio::test(flavor = "current_thread")]
async fn a_repository_that_cannot_be_read_is_no_fault_of_the_policy() {
    let world = World::new();
    let commit = world.push("Policy", &[("backup-compliance.yaml", Some(&policy(&[ONE], None)))]);
    world.fail_next("codecommit:GetFile", PortErrorKind::Denied);
    let policy = PolicyAt { commit: &commit, policy_file: "backup-compliance.yaml", event_bus_arn: BUS };
    assert_eq!(policy.read(&world).await.unwrap_err().kind, PortErrorKind::Denied);
}
