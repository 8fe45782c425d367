use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

const FULL: &str = r#"AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  Days: { Type: Number, Default: 35 }
  Bus: { Type: String, Default: "" }
Conditions:
  HasBus: !Not [!Equals [!Ref Bus, ""]]
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkName: org_backup
      FrameworkControls:
        - ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
          ControlScope: { ComplianceResourceTypes: [Aurora, EBS] }
        - ControlName: BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK
          ControlInputParameters:
            - { ParameterName: requiredFrequencyUnit, ParameterValue: hours }
            - { ParameterName: requiredFrequencyValue, ParameterValue: "24" }
            - { ParameterName: requiredRetentionDays, ParameterValue: !Ref Days }
        - !If
          - HasBus
          - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED
          - !Ref AWS::NoValue
"#;

fn parameters(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn read(text: &str, given: &[(&str, &str)]) -> Result<Vec<Framework>, Vec<Fault>> {
    Framework::read_all(&Template::read("t", text)?, &parameters(given))
}

fn faults(text: &str, given: &[(&str, &str)]) -> Vec<String> {
    read(text, given).expect_err("should be refused").iter().map(ToString::to_string).collect()
}

#[test]
fn a_framework_is_read_with_the_parameters_in_force() {
    let frameworks = read(FULL, &[("Days", "90")]).expect("valid");
    let [framework] = frameworks.as_slice() else { panic!("one framework") };
    assert_eq!(
        (framework.logical_id.as_str(), &framework.name),
        ("Framework", &Resolved::Text("org_backup".to_owned()))
    );
    let names: Vec<_> = framework.controls.iter().map(|control| control.control.name).collect();
    assert_eq!(
        names,
        ["BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN", "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK"],
        "the third is switched off"
    );
    assert_eq!(framework.controls[0].at, Position { line: 13, column: 11 });
    assert_eq!(
        framework.controls[1].requirement(),
        "every backup plan must run at least every 24 hours and keep backups at least 90 days"
    );
    assert_eq!(read(FULL, &[("Bus", "arn:x")]).expect("valid")[0].controls.len(), 3);
}

#[test]
fn frameworks_are_stored_with_the_names_of_their_controls() {
    let frameworks = read(FULL, &[]).expect("valid");
    let json = serde_json::to_value(&frameworks).expect("serialises");
    assert_eq!(json[0]["controls"][0]["control"], "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN");
    assert_eq!(serde_json::from_value::<Vec<Framework>>(json).expect("deserialises"), frameworks);
}

#[test]
fn what_only_a_deployment_can_tell_is_left_out() {
    let text = FULL
        .replace("FrameworkName: org_backup", "FrameworkName: !Sub 'b_${AWS::AccountId}'")
        .replace("ParameterValue: \"24\"", "ParameterValue: !ImportValue hours")
        .replace("!Equals [!Ref Bus, \"\"]", "!Equals [!Ref AWS::Region, eu-west-1]");
    let framework = &read(&text, &[]).expect("valid")[0];
    assert_eq!(framework.name, Resolved::Unknown);
    assert_eq!(framework.controls.len(), 2);
    assert!(!framework.controls[1].parameters.contains_key("requiredFrequencyValue"));
}

#[test]
fn a_framework_that_is_switched_off_is_left_out() {
    let text =
        FULL.replace("    Type: AWS::Backup::Framework\n", "    Type: AWS::Backup::Framework\n    Condition: HasBus\n");
    assert_eq!(read(&text, &[]), Ok(Vec::new()));
    assert_eq!(read(&text, &[("Bus", "b")]).expect("valid").len(), 1);
}

/// What is replaced in [`FULL`], by what.
const BROKEN: &[(&str, &str)] = &[
    ("AWS::Backup::Framework", "AWS::Backup::Frameworks"),
    ("AWS::Backup::Framework", "AWS::SNS::Topic"),
    ("FrameworkName: org_backup", "FrameworkName: org-backup"),
    ("FrameworkName: org_backup", "FrameworkName: 1backup"),
    ("FrameworkName: org_backup", "FrameworkName: \"\""),
    ("FrameworkName: org_backup", "FrameworkName: [a]"),
    ("FrameworkControls:", "FrameworkControl:"),
    ("      FrameworkControls:\n", "      FrameworkControls: []\n      Other:\n"),
    ("      FrameworkControls:\n", "      FrameworkControls: !Ref Days\n      Other:\n"),
    ("      FrameworkControls:\n", "      FrameworkControls: { ControlName: x }\n      Other:\n"),
    ("    Properties:\n", "    Properties: x\n    Other:\n"),
    ("    Properties:\n", "    Properies:\n"),
    ("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN", "BACKUP_RESOURCES_PROTECTED_BY_PLAN"),
    ("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN", "NO_SUCH_THING"),
    (
        "- ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN",
        "- Control: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN",
    ),
    ("        - !If\n", "        - BACKUP_RECOVERY_POINT_ENCRYPTED\n        - !If\n"),
    ("requiredRetentionDays", "requiredRetentionDay"),
    (
        "ControlScope: { ComplianceResourceTypes: [Aurora, EBS] }",
        "ControlInputParameters: [{ ParameterName: days, ParameterValue: 1 }]",
    ),
    ("ParameterValue: hours", "ParameterValue: weeks"),
    ("ParameterValue: \"24\"", "ParameterValue: \"25\""),
    ("ParameterValue: \"24\"", "ParameterValue: daily"),
    ("ParameterValue: \"24\"", "ParameterValue: [24]"),
    ("ParameterValue: \"24\"", "Value: 24"),
    ("ParameterName: requiredFrequencyValue", "ParameterName: requiredFrequencyUnit"),
    ("ParameterValue: !Ref Days", "ParameterValue: 0"),
    (
        "        - !If\n",
        "        - ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN\n          ControlScope: { ComplianceResourceTypes: [Aurora, EBS] }\n        - !If\n",
    ),
];

#[test]
fn every_fault_is_named_with_its_place_and_its_cure() {
    let mut all = String::new();
    for (old, new) in BROKEN {
        assert!(FULL.contains(old), "{old}");
        let _ = writeln!(all, "{} -> {}", old.trim().escape_debug(), new.trim().escape_debug());
        for fault in faults(&FULL.replacen(old, new, 1), &[]) {
            let _ = writeln!(all, "    {fault}");
        }
    }
    insta::assert_snapshot!(all);
}

#[test]
fn parameters_of_lists_are_checked() {
    let control = |name: &str, parameter: &str, value: &str| {
        format!(
            "Resources: {{ F: {{ Type: AWS::Backup::Framework, Properties: {{ FrameworkControls: [{{ ControlName: {name}, \
             ControlInputParameters: [{{ ParameterName: {parameter}, ParameterValue: '{value}' }}] }}] }} }} }}"
        )
    };
    for (name, parameter, value, is_fine) in [
        ("BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION", "crossRegionList", "eu-west-1,us-east-1", true),
        ("BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION", "crossRegionList", "eu-west-1,us-esat-1", false),
        ("BACKUP_RESOURCES_PROTECTED_BY_CROSS_ACCOUNT", "crossAccountList", "111111111111,222222222222", true),
        ("BACKUP_RESOURCES_PROTECTED_BY_CROSS_ACCOUNT", "crossAccountList", "1,2", false),
        (
            "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED",
            "principalArnList",
            "arn:aws:iam::111111111111:role/a",
            true,
        ),
        ("BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED", "principalArnList", "admin", false),
        ("BACKUP_LAST_RECOVERY_POINT_CREATED", "recoveryPointAgeValue", "744", true),
        ("BACKUP_LAST_RECOVERY_POINT_CREATED", "recoveryPointAgeValue", "745", false),
        ("RESTORE_TIME_FOR_RESOURCES_MEET_TARGET", "maxRestoreTime", "720", true),
        ("RESTORE_TIME_FOR_RESOURCES_MEET_TARGET", "maxRestoreTime", "0", false),
    ] {
        assert_eq!(read(&control(name, parameter, value), &[]).is_ok(), is_fine, "{parameter} {value}");
    }
}

#[test]
fn the_policy_must_fit_the_template() {
    assert_eq!(
        faults(FULL, &[("Day", "35"), ("Colour", "red")]),
        [
            "t:3:3: the parameter `Colour` is given, which this template does not declare; declare it in the template, or do not give it",
            "t:3:3: the parameter `Day` is given, which this template does not declare; did you mean `Days`?",
        ]
    );
    assert_eq!(
        faults(&FULL.replace(", Default: 35", ""), &[]),
        [
            "t:3:3: the parameter `Days` has no default and is given no value; give it a `Default`, or a value: a policy does so \
          under `parameters`"
        ]
    );
}

proptest! {
    #[test]
    fn nearly_valid_templates_are_read_or_refused(text in crate::yaml::edited(FULL), days in "[0-9a-z]{0,3}") {
        if let Err(faults) = read(&text, &[("Days", &days)]) {
            prop_assert!(!faults.is_empty());
            for fault in faults {
                prop_assert!(!fault.problem.is_empty() && !fault.fix.is_empty() && !fault.to_string().contains('\n'), "{}", fault);
            }
        }
    }
}
