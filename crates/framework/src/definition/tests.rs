use std::collections::BTreeSet;
use std::fmt::Write as _;

use proptest::prelude::*;

use syntax::diagnostic::Diagnostic;
use syntax::template::Template;

use super::*;
use crate::ids::{AccountId, RegionName};

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

fn read(text: &str, given: &[(&str, &str)]) -> Result<Vec<Framework>, Vec<Diagnostic>> {
    Framework::read_all(&Template::read("t", text)?, &parameters(given))
}

fn diagnostics(text: &str, given: &[(&str, &str)]) -> Vec<String> {
    read(text, given).expect_err("should be rejected").iter().map(ToString::to_string).collect()
}

#[test]
fn framework_is_read_with_parameter_values() {
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
        "the condition of the third is false"
    );
    assert_eq!(framework.controls[0].at, Position { line: 13, column: 11 });
    assert_eq!(
        framework.controls[1].requirement(),
        "every backup plan must run at least every 24 hours and keep backups at least 90 days"
    );
    assert_eq!(read(FULL, &[("Bus", "arn:x")]).expect("valid")[0].controls.len(), 3);
}

#[test]
fn controls_are_serialized_as_their_names() {
    let frameworks = read(FULL, &[]).expect("valid");
    let json = serde_json::to_value(&frameworks).expect("is serialized");
    assert_eq!(json[0]["controls"][0]["control"], "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN");
    assert_eq!(serde_json::from_value::<Vec<Framework>>(json).expect("is deserialized"), frameworks);
}

#[test]
fn unknown_values_are_omitted() {
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
fn framework_with_false_condition_is_omitted() {
    let text =
        FULL.replace("    Type: AWS::Backup::Framework\n", "    Type: AWS::Backup::Framework\n    Condition: HasBus\n");
    assert_eq!(read(&text, &[]), Ok(Vec::new()));
    assert_eq!(read(&text, &[("Bus", "b")]).expect("valid").len(), 1);
}

/// Replacements in [`FULL`]: old and new text.
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
fn invalid_templates_are_reported() {
    let mut all = String::new();
    for (old, new) in BROKEN {
        assert!(FULL.contains(old), "{old}");
        let _ = writeln!(all, "{} -> {}", old.trim().escape_debug(), new.trim().escape_debug());
        for diagnostic in diagnostics(&FULL.replacen(old, new, 1), &[]) {
            let _ = writeln!(all, "    {diagnostic}");
        }
    }
    insta::assert_snapshot!(all);
}

#[test]
fn list_parameters_are_checked() {
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
fn policy_values_match_the_template() {
    assert_eq!(
        diagnostics(FULL, &[("Day", "35"), ("Colour", "red")]),
        [
            "t:3:3: the template does not declare the parameter `Colour`, which has a value; declare it in the template, or remove the value",
            "t:3:3: the template does not declare the parameter `Day`, which has a value; did you mean `Days`?",
        ]
    );
    assert_eq!(
        diagnostics(&FULL.replace(", Default: 35", ""), &[]),
        ["t:3:3: the parameter `Days` has neither a default nor a value; add a `Default`, or a value under \
             `parameters` of the policy"]
    );
}

proptest! {
    #[test]
    fn mutated_template_is_read_or_rejected(text in crate::edited::edited(FULL), days in "[0-9a-z]{0,3}") {
        if let Err(diagnostics) = read(&text, &[("Days", &days)]) {
            prop_assert!(!diagnostics.is_empty());
            for diagnostic in diagnostics {
                prop_assert!(!diagnostic.message.is_empty() && !diagnostic.help.is_empty() && !diagnostic.to_string().contains('\n'), "{}", diagnostic);
            }
        }
    }
}

#[test]
fn locations_are_grouped_by_template_result() {
    let accounts: BTreeSet<AccountId> =
        ["111111111111", "222222222222", "333333333333"].map(|id| AccountId::parse(id).expect("an account")).into();
    let regions: BTreeSet<RegionName> =
        ["eu-west-1", "us-east-1"].map(|name| RegionName::parse(name).expect("a Region")).into();
    const RESOURCE: &str = "Resources: { A: { Type: AWS::SNS::Topic } }\n";
    let read = |text: &str| Template::read("t.yaml", text).expect("a template");
    let number = |text: &str, is_exact: bool| EquivalentLocations::of(&read(text), &accounts, &regions, is_exact).len();
    assert_eq!(number(RESOURCE, true), 1);
    assert_eq!(number(&format!("Conditions: {{ A: !Equals [!Ref AWS::Region, eu-west-1] }}\n{RESOURCE}"), true), 2);
    let named = format!("Conditions: {{ A: !Equals [!Ref AWS::AccountId, '222222222222'] }}\n{RESOURCE}");
    assert_eq!(number(&named, true), 2, "the named one and the others");
    let value =
        "Resources: { F: { Type: AWS::Backup::Framework, Properties: { FrameworkName: !Sub 'a_${AWS::AccountId}' } } }";
    assert_eq!((number(value, true), number(value, false)), (3, 1));
    let nowhere = EquivalentLocations::of(&read(&named), &BTreeSet::new(), &BTreeSet::new(), true);
    assert_eq!(nowhere.len(), 1);
    assert!(nowhere[0].pseudo.is_empty(), "unknown values are omitted");
    let pseudo = &EquivalentLocations::of(
        &read(&named),
        &accounts,
        &["cn-north-1"].map(|name| RegionName::parse(name).expect("a Region")).into(),
        true,
    )[0]
    .pseudo;
    let get = |name: &str| pseudo.get(name).map(String::as_str);
    assert_eq!(
        (get("AWS::AccountId"), get("AWS::Region"), get("AWS::Partition"), get("AWS::URLSuffix")),
        (Some("222222222222"), Some("cn-north-1"), Some("aws-cn"), Some("amazonaws.com.cn"))
    );
}
