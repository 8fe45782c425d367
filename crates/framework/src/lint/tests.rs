//! Long because one table for each family of rules shares the helpers.

use proptest::prelude::*;

use syntax::diagnostic;

use super::*;
use crate::ids::RegionName;

mod controls;
mod page;

const TODAY: Date = Date::constant(2026, 11, 26);

fn parameters(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Checks with all values, as `deploy` does.
fn complete(text: &str) -> Vec<Diagnostic> {
    super::check_text("t", text, &LintContext { variants: &[BTreeMap::new()], is_complete: true, today: TODAY })
}

fn found(example: &Example) -> Vec<Diagnostic> {
    match example.snippet() {
        Snippet::Update(old, new) => {
            let none = BTreeMap::new();
            let read = |text: &str| Template::read("t", text).expect("a template");
            check_update((&read(old), &none), (&read(new), &none))
        }
        Snippet::Region(region) => {
            let at = Position { line: 1, column: 1 };
            let region = RegionName::parse(region).expect("a Region");
            let found = [
                super::unsupported_regions("p", "policy", at, [&region]),
                super::opt_in_regions("p", "policy", [(at, &region)]),
            ];
            found.into_iter().flatten().collect()
        }
        Snippet::Deployed(account, region, _) => {
            let region = RegionName::parse(region).expect("a Region");
            let template = Template::read("t", &example.template()).expect("a template");
            let placed = FrameworkDeployment {
                name: "backup".to_owned(),
                at: Position { line: 1, column: 1 },
                accounts: [account.to_owned()].into(),
                regions: [region].into(),
                frameworks: Framework::read_all(&template, &BTreeMap::new()).expect("frameworks"),
            };
            super::check_policy("p", "policy", &[placed])
        }
        // Without a policy, a deployment gives the values of required parameters.
        Snippet::Template(text) if text.contains("Type: String\n") && !text.contains("Default:") => incomplete(text),
        _ => complete(&example.template()),
    }
}

/// Checks without the values of a deployment.
fn incomplete(text: &str) -> Vec<Diagnostic> {
    super::check_text("t", text, &LintContext { variants: &[BTreeMap::new()], is_complete: false, today: TODAY })
}

#[test]
fn opt_in_warning_has_all_regions_and_the_fix() {
    let region = |name| RegionName::parse(name).expect("a Region");
    let [cape_town, milan, ireland] = ["af-south-1", "eu-south-1", "eu-west-1"].map(region);
    let at = |line| Position { line, column: 5 };
    let targets = [(at(9), &milan), (at(9), &ireland), (at(4), &cape_town), (at(9), &cape_town)];
    let diagnostic = opt_in_regions("p", "policy", targets).expect("a warning");
    assert_eq!((diagnostic.rule, diagnostic.level, diagnostic.at), (Some("BC061"), Level::Warning, Some(at(4))));
    assert!(diagnostic.message.ends_with("trusts these opt-in Regions: `af-south-1`, `eu-south-1`"), "{diagnostic}");
    let role = "`framework/prerequisites/administration-role.yaml` with `OptInRegions=af-south-1,eu-south-1`";
    assert!(diagnostic.help.contains(role), "{diagnostic}");
    assert_eq!(opt_in_regions("p", "policy", [(at(9), &ireland)]), None);
}

fn ids(diagnostics: &[Diagnostic]) -> Vec<&'static str> {
    diagnostics.iter().filter_map(|diagnostic| diagnostic.rule).collect()
}

#[test]
fn rule_reports_bad_and_not_good_example() {
    for rule in rules() {
        let bad = found(&rule.bad);
        assert!(ids(&bad).contains(&rule.id), "{} is not reported for its bad example: {bad:#?}", rule.id);
        let good = found(&rule.good);
        assert!(!ids(&good).contains(&rule.id), "{} is reported for its good example: {good:#?}", rule.id);
        let errors: Vec<_> = good.iter().filter(|diagnostic| diagnostic.level == Level::Error).collect();
        assert!(errors.is_empty(), "the good example of {} has errors: {errors:#?}", rule.id);
        if rule.level != Level::Error {
            let errors: Vec<_> = bad.iter().filter(|diagnostic| diagnostic.level == Level::Error).collect();
            assert!(errors.is_empty(), "the bad example of {} violates other rules: {errors:#?}", rule.id);
        }
    }
}

#[test]
fn texts_of_rules_have_one_style() {
    for rule in rules() {
        assert!(rule.explanation.ends_with('.') && !rule.title.ends_with('.'), "{}", rule.id);
        for diagnostic in found(&rule.bad) {
            let Diagnostic { message: problem, help: fix, rule, at, .. } = &diagnostic;
            assert!(rule.is_some() && at.is_some(), "{diagnostic:?}");
            for text in [problem, fix] {
                assert!(!text.is_empty() && !text.ends_with('.') && !text.contains('\n'), "{diagnostic}");
            }
        }
    }
}

#[test]
fn edits_fix_their_diagnostic_only() {
    let mut fixed = BTreeSet::new();
    for rule in rules() {
        if let Snippet::Repeated(..) | Snippet::Update(..) | Snippet::Region(_) = rule.bad.snippet() {
            continue;
        }
        let text = rule.bad.template();
        let before = complete(&text);
        for diagnostic in before.iter().filter(|diagnostic| !diagnostic.edits.is_empty()) {
            let (new, applied) = diagnostic::apply(&text, [diagnostic.edits.as_slice()]);
            assert_eq!(applied, 1, "{diagnostic}");
            let after = complete(&new);
            let errors = |diagnostics: &[Diagnostic]| {
                diagnostics.iter().filter(|diagnostic| diagnostic.level == Level::Error).count()
            };
            let fixed_errors = usize::from(diagnostic.level == Level::Error);
            assert_eq!(errors(&after), errors(&before) - fixed_errors, "{diagnostic}\n{new}\n{after:#?}");
            assert!(!after.iter().any(|other| other.message == diagnostic.message), "{diagnostic}\n{new}");
            fixed.extend(diagnostic.rule);
        }
    }
    let expected = [
        "BC003", "BC011", "BC013", "BC030", "BC033", "BC034", "BC044", "BC045", "BC072", "BC075", "BC081", "BC082",
        "BC083", "BC086", "BC111", "BC114", "BC119", "BC121", "BC132",
    ];
    assert_eq!(fixed.into_iter().collect::<Vec<_>>(), expected);
}

fn control(control: &str) -> String {
    let text = control.trim_end().replace('\n', "\n          ");
    format!(
        "Resources:\n  F:\n    Type: AWS::Backup::Framework\n    Properties:\n      FrameworkControls:\n        - {text}\n"
    )
}

/// The diagnostics of a control without BC051 and BC054, which apply to every template here.
fn of_control(text: &str) -> Vec<String> {
    let all =
        complete(&control(text)).into_iter().filter(|fault| !["BC051", "BC054"].contains(&fault.rule.unwrap_or("")));
    all.map(|fault| format!("{} {}; {}", fault.rule.unwrap_or("?"), fault.message, fault.help)).collect()
}

// Long because it is one table of templates.
#[test]
fn control_details_are_reported() {
    const PLAN: &str = "ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN\n";
    let cases: &[(&str, &[&str])] = &[
        (
            "ControlName: BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK\nControlInputParameters:\n  - { ParameterName: \
             requiredFrequencyUnit, ParameterValue: hours }\n  - { ParameterName: requiredFrequencyValue, ParameterValue: 48 }",
            &[
                "BC034 the parameter `requiredFrequencyValue` is `48`; it must be an integer of hours from 1 to 24: write `2` with \
               `days` in `requiredFrequencyUnit`",
            ],
        ),
        (
            "ControlName: RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT\nControlInputParameters:\n  - { ParameterName: \
             recoveryPointAgeUnit, ParameterValue: days }\n  - { ParameterName: recoveryPointAgeValue, ParameterValue: 92 }",
            &["BC034 the parameter `recoveryPointAgeValue` is `92`; it must be an integer of days from 1 to 91"],
        ),
        (
            "ControlName: BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED\nControlInputParameters:\n  - { ParameterName: \
             principalArnList, ParameterValue: \"\" }",
            &[
                "BC033 the parameter `principalArnList` is empty; remove it, or set it to at most 5 role ARNs separated by commas",
            ],
        ),
        (
            "ControlName: RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT\nControlInputParameters:\n  - { ParameterName: \
             recoveryPointAgeUnit, ParameterValue: days }\n  - { ParameterName: recoveryPointAgeValue, ParameterValue: 30 }\n\
             ControlScope: { Tags: [{ Key: a, Value: b }] }",
            &[
                "BC040 the control `RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT` does not support a scope of one tag; remove `Tags`; the control \
                 supports resource types or one resource",
            ],
        ),
        (
            &format!("{PLAN}ControlScope: {{ ComplianceResourceTypes: [Redshift, Arora, Nothing] }}"),
            &[
                "BC044 Audit Manager does not evaluate the resource type `Redshift`; use one of `Aurora`, `DynamoDB`, `EBS`, `EC2`, \
                 `EFS`, `FSx`, `RDS`, `S3`, `Storage Gateway` and `VirtualMachine`",
                "BC044 the resource type `Arora` does not exist; did you mean `Aurora`?",
                "BC044 the resource type `Nothing` does not exist; use one of `Aurora`, `DynamoDB`, `EBS`, `EC2`, `EFS`, `FSx`, `RDS`, `S3`, \
                 `Storage Gateway` and `VirtualMachine`",
            ],
        ),
        (
            &format!("{PLAN}ControlScope: {{ ComplianceResourceTypes: [!Ref AWS::NoValue] }}"),
            &[
                "BC043 `ComplianceResourceTypes` is empty, so the control evaluates every resource; add items, or remove the key",
            ],
        ),
        (&format!("{PLAN}ControlScope: {{ ComplianceResourceTypes: !Ref AWS::NoValue }}"), &[]),
        (&format!("{PLAN}ControlScope: {{ ComplianceResourceTypes: [!ImportValue x] }}"), &[]),
        (&format!("{PLAN}ControlScope: !Ref AWS::NoValue"), &[]),
        (
            &format!("{PLAN}ControlScope: [EBS]"),
            &[
                "BC010 `ControlScope` is a list; write a mapping with `ComplianceResourceTypes`, `ComplianceResourceIds` and `Tags`",
            ],
        ),
        (
            &format!("{PLAN}ControlScope: {{ ResourceTypes: [EBS], ComplianceResourceTypes: [EBS] }}"),
            &["BC013 `ControlScope` has no property `ResourceTypes`; remove it, or use `ComplianceResourceTypes`, \
               `ComplianceResourceIds` and `Tags`"],
        ),
        (&format!("{PLAN}ControlScope: {{ Tags: [{{ Key: backup }}] }}"), &[]),
        (
            "ControlName: BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED\nControlScope: { ComplianceResourceIds: [default], \
             ComplianceResourceTypes: [\"AWS::Backup::BackupVault\"] }",
            &[],
        ),
        (
            "ControlName: BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED\nControlScope: { ComplianceResourceTypes: \
             [\"AWS::Backup::BackupVault\"] }",
            &[
                "BC040 the control `BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED` does not support a scope of resource types; remove \
               `ComplianceResourceTypes`; the control supports one tag or one resource",
            ],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(of_control(text), *expected, "{text}");
    }
}

#[test]
fn all_violations_are_reported_in_one_run() {
    let text = "\
Resources:
  F:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkName: org-backup
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINTS_ENCRYPTED
        - ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
          ControlScope: { ComplianceResourceTypes: [\"AWS::RDS::DBCluster\", EBS, EBS], Tags: [] }
        - ControlName: BACKUP_LAST_RECOVERY_POINT_CREATED
          ControlInputParameters:
            - { ParameterName: recoveryPointAgeUnit, ParameterValue: Days }
";
    let all = complete(text);
    let at: Vec<(usize, &str)> = all.iter().map(|f| (f.at.expect("a place").line, f.rule.expect("a rule"))).collect();
    assert_eq!(
        at,
        [
            (2, "BC051"),
            (2, "BC054"),
            (5, "BC011"),
            (7, "BC021"),
            (9, "BC044"),
            (9, "BC049"),
            (9, "BC043"),
            (12, "BC033"),
            (12, "BC037")
        ]
    );
    let (fixed, applied) = diagnostic::apply(text, all.iter().map(|diagnostic| diagnostic.edits.as_slice()));
    assert_eq!(applied, 4, "{fixed}");
    for new in [
        "FrameworkName: org_backup\n",
        ": BACKUP_RECOVERY_POINT_ENCRYPTED\n",
        "[\"Aurora\", EBS",
        "ParameterValue: days }",
    ] {
        assert!(fixed.contains(new), "{new}: {fixed}");
    }
    let left: Vec<_> = complete(&fixed).into_iter().filter(|diagnostic| diagnostic.level == Level::Error).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Two edits to the same key name would create a duplicate key.
#[test]
fn two_misspellings_of_a_key_are_not_edited() {
    let of = |tags: &str| {
        let text = format!(
            "Resources:\n  F:\n    Type: AWS::Backup::Framework\n    Properties:\n      FrameworkControls:\n        \
             - ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN\n          ControlScope: {{ Tags: [{{ {tags} }}] }}\n"
        );
        let edits: Vec<_> = complete(&text).into_iter().filter(|diagnostic| !diagnostic.edits.is_empty()).collect();
        let (fixed, applied) = diagnostic::apply(&text, edits.iter().map(|diagnostic| diagnostic.edits.as_slice()));
        (fixed, applied)
    };
    let (fixed, applied) = of("Key: k, Valu: a");
    assert!(applied == 1 && fixed.contains("Value: a"), "{fixed}");
    let (fixed, applied) = of("Valu: k, Vale: a");
    assert_eq!(applied, 0, "{fixed}");
}

#[test]
fn variants_report_a_diagnostic_once() {
    let text = "\
Parameters:
  Days: { Type: Number }
Resources:
  F:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkControls:
        - ControlName: BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK
          ControlInputParameters:
            - { ParameterName: requiredRetentionDays, ParameterValue: !Ref Days }
";
    let ask = |variants: &[BTreeMap<String, String>], is_complete| {
        let all = super::check_text("t", text, &LintContext { variants, is_complete, today: TODAY });
        all.into_iter()
            .filter(|diagnostic| diagnostic.level == Level::Error)
            .map(|diagnostic| diagnostic.message)
            .collect::<Vec<_>>()
    };
    assert_eq!(ask(&[parameters(&[("Days", "35")])], true), Vec::<String>::new());
    assert_eq!(
        ask(&[parameters(&[("Days", "0")]), parameters(&[("Days", "0")]), parameters(&[("Days", "x")])], true),
        [
            "the parameter `Days` is `x`, which its declaration does not allow",
            "the parameter `requiredRetentionDays` is `0`",
            "the parameter `requiredRetentionDays` is `x`"
        ]
    );
    assert_eq!(ask(&[BTreeMap::new()], true), ["the parameter `Days` has neither a default nor a value"]);
    assert_eq!(ask(&[BTreeMap::new()], false), Vec::<String>::new(), "the deployment gives it");
}

#[test]
fn suppression_applies_to_its_part_until_its_last_day() {
    let text = |metadata: &str| {
        format!(
            "Resources:\n  F:\n    Type: AWS::Backup::Framework\n    Metadata: {{ BackupCompliance: {{ Suppress: [{metadata}] }} }}\n    \
             Properties:\n      FrameworkControls:\n        - ControlName: RESTORE_TIME_FOR_RESOURCES_MEET_TARGET\n"
        )
    };
    let ids = |metadata: &str| ids(&complete(&text(metadata)));
    assert_eq!(ids(""), ["BC051", "BC054", "BC035"]);
    assert_eq!(ids("{ rule: BC035, reason: r, until: 2026-11-26 }"), ["BC051", "BC054"], "the last day counts");
    assert_eq!(ids("{ rule: bc035, reason: r, until: 2026-11-26 }"), ["BC051", "BC054"]);
    assert_eq!(ids("{ rule: BC035, reason: r, until: 2026-11-25 }"), ["BC051", "BC054", "BC091", "BC035"]);
    assert_eq!(ids("{ rule: BC035, reason: r, until: soon }"), ["BC051", "BC054", "BC090", "BC035"]);
    assert_eq!(ids("{ rule: BC035, until: 2027-01-31 }"), ["BC051", "BC054", "BC090", "BC035"]);
    assert_eq!(ids("{ rule: BC035, reason: ' ' }"), ["BC051", "BC054", "BC090", "BC090", "BC035"]);
    assert_eq!(ids("{ rule: BC999, reason: r, until: 2027-01-31 }"), ["BC051", "BC054", "BC090", "BC035"]);
    assert_eq!(ids("{ rule: BC092, reason: r, until: 2027-01-31 }"), ["BC051", "BC054", "BC090", "BC035"]);
    assert_eq!(ids("x"), ["BC051", "BC054", "BC090", "BC035"]);
    // Every diagnostic, and one suppression without effect.
    let all = "{ rule: BC051, reason: r, until: 2027-01-31 }, { rule: BC054, reason: r, until: 2027-01-31 }, { rule: BC035, \
               reason: r, until: 2027-01-31 }, { rule: BC055, reason: r, until: 2027-01-31 }";
    assert_eq!(ids(all), ["BC092"]);

    let elsewhere = "Resources:\n  T:\n    Type: AWS::SNS::Topic\n    Metadata: { BackupCompliance: { Suppress: [{ rule: BC035, \
                     reason: r, until: 2027-01-31 }] } }\n  F:\n    Type: AWS::Backup::Framework\n    Properties:\n      \
                     FrameworkControls:\n        - ControlName: RESTORE_TIME_FOR_RESOURCES_MEET_TARGET\n";
    assert_eq!(super::tests::ids(&complete(elsewhere)), ["BC092", "BC051", "BC054", "BC035"]);
}

#[test]
fn name_change_with_equal_controls_is_an_error() {
    let template = |id: &str, name: &str, days: &str| {
        let text = format!(
            "Resources:\n  {id}:\n    Type: AWS::Backup::Framework\n    Properties:\n      FrameworkName: {name}\n      \
             FrameworkControls:\n        - ControlName: BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK\n          \
             ControlInputParameters: [{{ ParameterName: requiredRetentionDays, ParameterValue: {days} }}]\n"
        );
        Template::read("t", &text).expect("a template")
    };
    let none = BTreeMap::new();
    let problems = |old: &Template, new: &Template| -> Vec<String> {
        check_update((old, &none), (new, &none)).into_iter().map(|diagnostic| diagnostic.message).collect()
    };
    let old = template("F", "a", "35");
    assert_eq!(
        problems(&old, &template("F", "b", "35")),
        ["the framework `F` is replaced, because its name changes from `a` to `b`"]
    );
    assert_eq!(
        problems(&old, &template("G", "a", "35")),
        ["the framework `G` is created while `F` with the same controls still exists"]
    );
    let nothing: [String; 0] = [];
    assert_eq!(problems(&old, &template("F", "a", "35")), nothing);
    assert_eq!(problems(&old, &template("F", "b", "36")), nothing);
    assert_eq!(problems(&old, &template("F", "!Ref AWS::StackName", "35")), nothing, "unknown");
    assert_eq!(problems(&old, &template("F", "b", "!ImportValue days")), nothing, "unknown");
}

#[test]
fn warnings_do_not_displace_errors() {
    let mut text = "Resources:\n".to_owned();
    for n in 0..300 {
        text.push_str(&format!(
            "  F{n}: {{ Type: AWS::Backup::Framework, Properties: {{ FrameworkControls: [{{ ControlName: \
             RESTORE_TIME_FOR_RESOURCES_MEET_TARGET, ControlScope: {{ ComplianceResourceIds: [r{n}] }} }}] }} }}\n"
        ));
    }
    text.push_str(
        "  Last: { Type: AWS::Backup::Framework, Properties: { FrameworkControls: [{ ControlName: NOTHING }] } }\n",
    );
    let all = complete(&text);
    assert!(ids(&all).contains(&"BC021"), "the error is kept");
    assert!(all.iter().any(|diagnostic| diagnostic.message.ends_with("more diagnostics are not shown")
        && diagnostic.level == Level::Warning));
    assert_eq!(all.iter().filter(|diagnostic| diagnostic.level == Level::Error).count(), 1);
}

#[test]
fn template_of_1_mb_is_checked_in_linear_time() {
    // The size limit of CloudFormation: a quadratic check would exceed the time limit of the test runner.
    let mut text = "Resources:\n".to_owned();
    for n in 0.. {
        let resource = format!(
            "  T{n}: {{ Type: AWS::SNS::Topic, Properties: {{ TopicName: !Sub \"${{AWS::StackName}}-{n}\", Tags: [{{ Key: a, Value: !Ref \
             AWS::Region }}] }} }}\n"
        );
        if text.len() + resource.len() > Template::MAX - 200 {
            break;
        }
        text.push_str(&resource);
    }
    text.push_str(
        "  F: { Type: AWS::Backup::Framework, Properties: { FrameworkControls: [{ ControlName: NOTHING }] } }\n",
    );
    assert!(text.len() > 1_000_000);
    assert!(ids(&complete(&text)).contains(&"BC021"));
}

const WHOLE: &str = r#"Metadata:
  BackupCompliance: { Suppress: [{ rule: BC053, reason: r, until: 2027-01-31 }] }
Parameters:
  Types: { Type: CommaDelimitedList, Default: "EBS,Aurora" }
Mappings:
  Days: { prod: { kept: 35 } }
Conditions:
  IsHome: !Equals [!Ref AWS::Region, eu-west-1]
Resources:
  Recorder:
    Type: AWS::Config::ConfigurationRecorder
    Properties: { RecordingGroup: { ResourceTypes: ["AWS::Backup::BackupPlan"] } }
  Selection:
    Type: AWS::Backup::BackupSelection
    Properties: { BackupSelection: { ListOfTags: [{ ConditionType: STRINGEQUALS, ConditionKey: backup, ConditionValue: "yes" }] } }
  Rule:
    Type: AWS::Events::Rule
    Properties: { EventPattern: { source: [aws.config], detail: { newEvaluationResult: { complianceType: [NON_COMPLIANT] } } }, Targets: [{ Id: a, Arn: b }] }
  Framework:
    Type: AWS::Backup::Framework
    Condition: IsHome
    Properties:
      FrameworkName: !Join [_, [org, backup]]
      FrameworkControls:
        - ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
          ControlScope: { ComplianceResourceTypes: !Ref Types }
        - ControlName: BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK
          ControlInputParameters:
            - { ParameterName: requiredRetentionDays, ParameterValue: !FindInMap [Days, prod, kept] }
        - !If [IsHome, { ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED }, !Ref AWS::NoValue]
"#;

#[test]
fn functions_are_resolved() {
    let all = complete(WHOLE);
    assert_eq!(ids(&all), ["BC052", "BC006"], "{all:#?}");
    let types = "`AWS::Backup::RecoveryPoint`, `AWS::EC2::Volume`, `AWS::RDS::DBCluster`";
    let text = WHOLE.replace("Suppress: [{ rule: BC053, reason: r, until: 2027-01-31 }]", "Suppress: []");
    assert!(complete(&text)[0].message.ends_with(types), "{:?}", complete(&text));
}

proptest! {
    #[test]
    fn any_text_is_checked_without_panic(text in "(\\PC|\n|\t){0,200}") {
        let _ = complete(&text);
    }

    #[test]
    fn mutated_template_has_valid_edits(text in crate::edited::edited(WHOLE)) {
        let all = complete(&text);
        for diagnostic in &all {
            prop_assert!(!diagnostic.message.is_empty() && !diagnostic.help.is_empty() && !diagnostic.to_string().contains('\n'), "{}", diagnostic);
            prop_assert!(diagnostic.rule.and_then(rule).is_some(), "{:?}", diagnostic);
        }
        for diagnostic in all.iter().filter(|diagnostic| !diagnostic.edits.is_empty()) {
            let (new, applied) = diagnostic::apply(&text, [diagnostic.edits.as_slice()]);
            prop_assert_eq!(applied, 1);
            prop_assert_ne!(new, text.clone());
        }
    }

    #[test]
    fn errors_equal_those_of_read_all(text in crate::edited::edited(WHOLE)) {
        let errors: Vec<Diagnostic> = complete(&text).into_iter().filter(|diagnostic| diagnostic.level == Level::Error).collect();
        let rejected = Template::read("t", &text)
            .and_then(|template| crate::definition::Framework::read_all(&template, &BTreeMap::new()))
            .err()
            .unwrap_or_default();
        prop_assert_eq!(errors.is_empty(), rejected.is_empty(), "{:?} {:?}", errors, rejected);
    }
}

/// Checks without a policy.
fn alone(text: &str) -> Vec<Diagnostic> {
    super::check_text("t", text, &LintContext { variants: &[BTreeMap::new()], is_complete: false, today: TODAY })
}

fn errors(diagnostics: &[Diagnostic]) -> Vec<String> {
    let all = diagnostics.iter().filter(|diagnostic| diagnostic.level == Level::Error);
    all.map(|fault| format!("{} {}", fault.rule.unwrap_or("?"), fault.message)).collect()
}

/// Two frameworks, each with its condition, name and controls.
fn two(conditions: &str, [first, second]: [(&str, &str, &str); 2]) -> String {
    let one = |id: &str, (condition, name, control): (&str, &str, &str)| {
        let condition = if condition.is_empty() { String::new() } else { format!("    Condition: {condition}\n") };
        format!(
            "  {id}:\n    Type: AWS::Backup::Framework\n{condition}    Properties:\n      FrameworkName: {name}\n      \
             FrameworkControls: [{{ ControlName: {control} }}]\n"
        )
    };
    format!("{conditions}Resources:\n{}{}", one("First", first), one("Second", second))
}

#[test]
fn frameworks_collide_if_they_can_coexist() {
    const IN: &str = "Conditions:\n  A: !Equals [!Ref AWS::Region, us-east-1]\n  NotA: !Not [!Condition A]\n  \
                      B: !Equals [!Ref AWS::Region, eu-west-1]\n  C: !Equals [!Ref AWS::AccountId, \"111111111111\"]\n  \
                      D: !Equals [!Ref AWS::Region, !Ref Home]\n  NotD: !Not [!Condition D]\nParameters: { Home: { Type: String } }\n";
    const ENCRYPTED: &str = "BACKUP_RECOVERY_POINT_ENCRYPTED";
    let equal = "BC025 the framework `Second` has the same controls as `First`".to_owned();
    let cases = [
        ("A", "NotA", false),
        ("A", "B", false),
        ("D", "NotD", false),
        ("", "", true),
        ("A", "A", true),
        ("A", "C", true),
        ("", "A", true),
        ("D", "D", true),
    ];
    for (first, second, collide) in cases {
        let text = two(IN, [(first, "one", ENCRYPTED), (second, "two", ENCRYPTED)]);
        let expected: &[String] = if collide { std::slice::from_ref(&equal) } else { &[] };
        assert_eq!(errors(&alone(&text)), expected, "{first} {second}");
        // `deploy` rejects only certain collisions.
        let given = parameters(&[("Home", "eu-west-1")]);
        let rejected = crate::definition::Framework::read_all(&Template::read("t", &text).expect("a template"), &given);
        assert_eq!(rejected.is_err(), first.is_empty() && second.is_empty(), "{first} {second}");
        let name = two(IN, [(first, "same", ENCRYPTED), (second, "same", "BACKUP_LAST_RECOVERY_POINT_CREATED")]);
        let expected: &[&str] =
            if collide { &["BC027 the framework `Second` has the same name as `First`"] } else { &[] };
        assert_eq!(errors(&alone(&name)), expected, "{first} {second}");
    }
    // With exclusive conditions, each location has 30 controls.
    let many = |condition: &str| {
        let controls: Vec<String> = (0..30)
            .map(|n| format!("{{ ControlName: {ENCRYPTED}, ControlScope: {{ Tags: [{{ Key: t, Value: '{n}' }}] }} }}"))
            .collect();
        format!(
            "  F{condition}:\n    Type: AWS::Backup::Framework\n    Condition: {condition}\n    Properties: {{ FrameworkControls: [{}] }}\n",
            controls.join(", ")
        )
    };
    let text = |second: &str| format!("{IN}Resources:\n{}{}", many("A"), many(second));
    assert!(!ids(&alone(&text("NotA"))).contains(&"BC024"));
    assert!(ids(&alone(&text("C"))).contains(&"BC024"));
}

#[test]
fn both_branches_of_undecided_conditions_are_checked() {
    let text = "\
Conditions:
  A: !Equals [!Ref AWS::Region, us-east-1]
  B: !Equals [!Ref AWS::AccountId, !ImportValue x]
Resources:
  F:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkName: !If [A, bad-name, worse.name]
      FrameworkControls:
        - !If [A, { ControlName: TYPO }, !Ref AWS::NoValue]
        - !If [B, !Ref AWS::NoValue, { ControlName: SLIP }]
        - ControlName: BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK
          ControlInputParameters: [{ ParameterName: requiredRetentionDays, ParameterValue: !If [A, abc, \"0\"] }]
          ControlScope: { Tags: !If [B, [{ Key: a, Value: b }, { Key: c, Value: d }], [{ Key: a, Value: b }]] }
";
    assert_eq!(
        errors(&alone(text)),
        [
            "BC011 the framework name `bad-name` contains `-`",
            "BC011 the framework name `worse.name` contains `.`",
            "BC021 the control `TYPO` does not exist",
            "BC021 the control `SLIP` does not exist",
            "BC033 the parameter `requiredRetentionDays` is `abc`",
            "BC034 the parameter `requiredRetentionDays` is `0`",
            "BC041 `Tags` lists 2 tags",
        ]
    );
    // A known Region decides the condition.
    let given = parameters(&[("AWS::Region", "us-east-1")]);
    let here = super::check_text("t", text, &LintContext { variants: &[given], is_complete: true, today: TODAY });
    assert!(errors(&here).iter().all(|error| !error.contains("worse") && !error.contains("SLIP")), "{here:#?}");
    assert_eq!(errors(&here).len(), 3, "{here:#?}");
    // A template for one Region may have no controls in others.
    let one = control("!If [A, { ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED }, !Ref AWS::NoValue]");
    let one = format!("Conditions: {{ A: !Equals [!Ref AWS::Region, us-east-1] }}\n{one}");
    assert_eq!(errors(&alone(&one)), Vec::<String>::new());
}

#[test]
fn condition_assignments_are_bounded() {
    let mut text = "Conditions:\n".to_owned();
    for n in 0..300 {
        text.push_str(&format!("  C{n}: !Equals [!Ref P{n}, x]\n"));
    }
    let items: String =
        (0..300).map(|n| format!("        - !If [C{n}, {{ ControlName: TYPO{n} }}, !Ref AWS::NoValue]\n")).collect();
    let parameters: String = (0..300).map(|n| format!("  P{n}: {{ Type: String }}\n")).collect();
    text.push_str(&format!(
        "Parameters:\n{parameters}Resources:\n  F:\n    Type: AWS::Backup::Framework\n    Properties:\n      FrameworkControls:\n{items}"
    ));
    let all = errors(&alone(&text));
    assert!(all.len() > 20 && all.len() <= 64, "{}", all.len());
}

#[test]
fn generated_resources_may_include_a_framework() {
    for text in [
        "Transform: AWS::LanguageExtensions\nResources:\n  Fn::ForEach::Fw: [X, !Ref Names, { \"F${X}\": { Type: AWS::Backup::Framework } }]\n",
        "Resources:\n  Fn::Transform: { Name: AWS::Include, Parameters: { Location: s3://b/k } }\n",
        "Fn::Transform: { Name: AWS::Include }\nResources: { T: { Type: AWS::SNS::Topic } }\n",
        "Transform: Mine\nResources: { T: { Type: AWS::SNS::Topic } }\n",
    ] {
        let all = complete(text);
        assert_eq!(ids(&all), ["BC005"], "{text}\n{all:#?}");
    }
    let text = "Transform: AWS::LanguageExtensions\nResources: { T: { Type: AWS::SNS::Topic, Properties: { Fn::Transform: { Name: N } } } }\n";
    assert!(ids(&complete(text)).contains(&"BC003"), "a transform inside a resource generates none");
}

#[test]
fn known_part_of_framework_name_is_checked() {
    let name = |name: &str| {
        let text = format!(
            "Parameters: {{ P: {{ Type: String }} }}\nResources: {{ F: {{ Type: AWS::Backup::Framework, Properties: {{ FrameworkName: {name}, \
             FrameworkControls: [{{ ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED }}] }} }} }}"
        );
        errors(&alone(&text))
    };
    let hyphen = |part: &str| vec![format!("BC011 the framework name contains `-` in `{part}`")];
    let region = ["BC011 the framework name contains the Region code, which has a `-`"];
    let nothing: [&str; 0] = [];
    assert_eq!(name("!Sub 'backup-${AWS::Region}'"), hyphen("backup-"));
    assert_eq!(name("!Sub 'backup-${P}'"), hyphen("backup-"));
    assert_eq!(name("!Join ['-', [backup, !Ref AWS::Region]]"), hyphen("backup-"));
    assert_eq!(name("!Sub 'backup_${AWS::Region}'"), region);
    assert_eq!(name("!Ref AWS::Region"), region);
    assert_eq!(name("!Sub '1${P}'"), ["BC011 the framework name does not start with a letter"]);
    assert_eq!(name("!Join ['_', !Split ['-', !Ref AWS::Region]]"), nothing);
    assert_eq!(name("!Sub 'backup_${P}'"), nothing);
    assert_eq!(name("!Sub '${P}'"), nothing);
    let account = ["BC011 the framework name does not start with a letter: the account id starts with a digit"];
    assert_eq!(name("!Sub '${AWS::AccountId}_backup'"), account);
    assert_eq!(name("!Ref AWS::AccountId"), account);
    assert_eq!(name("!Join ['_', [!Ref AWS::AccountId, backup]]"), account);
    assert_eq!(name("!Sub 'backup_${AWS::AccountId}'"), nothing);
    assert_eq!(name("!Sub '${AWS::StackName}-backup'"), hyphen("-backup"));
    assert_eq!(name("!Ref AWS::StackName"), nothing);
    assert_eq!(name("'{{resolve:ssm:/backup/name}}'"), nothing);
    assert_eq!(name("!Sub '{{resolve:ssm:/backup-name}}_${P}'"), nothing);
}

#[test]
fn parameter_values_match_their_declaration() {
    let of = |declaration: &str, given: Option<&str>| -> Vec<String> {
        let text = format!(
            "Parameters: {{ P: {{ {declaration} }} }}\nResources: {{ F: {{ Type: AWS::Backup::Framework, Properties: {{ FrameworkControls: [{{ \
             ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED }}] }} }} }}"
        );
        let variants = [given.map(|value| parameters(&[("P", value)])).unwrap_or_default()];
        let all = super::check_text("t", &text, &LintContext { variants: &variants, is_complete: false, today: TODAY });
        let all = all.into_iter().filter(|diagnostic| diagnostic.level == Level::Error);
        all.map(|diagnostic| format!("{}; {}", diagnostic.message, diagnostic.help)).collect()
    };
    let not = |value: &str, expected: &str| {
        vec![format!("the parameter `P` is `{value}`, which its declaration does not allow; it must {expected}")]
    };
    let nothing = Vec::<String>::new();
    const UNIT: &str = "Type: String, AllowedValues: [hours, days]";
    assert_eq!(of(UNIT, Some("weeks")), not("weeks", "be `hours` or `days` (`AllowedValues`)"));
    assert_eq!(of(UNIT, Some("days")), nothing);
    assert_eq!(of(UNIT, None), nothing);
    assert_eq!(of(&format!("{UNIT}, Default: weeks"), None), not("weeks", "be `hours` or `days` (`AllowedValues`)"));
    assert_eq!(of(&format!("{UNIT}, Default: weeks"), Some("days")), nothing, "the default is not used");
    const DAYS: &str = "Type: Number, MinValue: 7, MaxValue: 35";
    assert_eq!(of(DAYS, Some("3")), not("3", "be at least 7 (`MinValue`)"));
    assert_eq!(of(DAYS, Some("36")), not("36", "be at most 35 (`MaxValue`)"));
    assert_eq!(of(DAYS, Some("many")), not("many", "be a number"));
    assert_eq!(of(DAYS, Some("7")), nothing);
    assert_eq!(of("Type: Number, AllowedValues: [7, 14]", Some("14")), nothing);
    assert_eq!(
        of("Type: CommaDelimitedList, AllowedValues: [a, b]", Some("a, c")),
        not("a, c", "have items of `a` or `b` (`AllowedValues`)")
    );
    assert_eq!(of("Type: CommaDelimitedList, AllowedValues: [a, b]", Some("a, b")), nothing);
    const NAME: &str = "Type: String, MinLength: 2, MaxLength: 3, AllowedPattern: '[a-z]*'";
    assert_eq!(of(NAME, Some("a")), not("a", "have at least 2 characters (`MinLength`)"));
    assert_eq!(of(NAME, Some("abcd")), not("abcd", "have at most 3 characters (`MaxLength`)"));
    assert_eq!(of(NAME, Some("ab1")), not("ab1", "match `[a-z]*` (`AllowedPattern`)"));
    assert_eq!(of(NAME, Some("abc")), nothing);
    assert_eq!(
        of("Type: String, AllowedPattern: '(?=x)y'", Some("z")),
        nothing,
        "an unsupported pattern allows every value"
    );
    assert_eq!(
        of("Type: String, NoEcho: true, MinLength: 9", Some("secret")),
        not("***", "have at least 9 characters (`MinLength`)")
    );
    assert_eq!(of("Type: 'AWS::SSM::Parameter::Value<String>', MaxLength: 1", Some("/a/b")), nothing);
}

#[test]
fn event_rule_forwards_only_if_enabled_and_matching() {
    let ids = |rule: &str| {
        let text = format!(
            "{}  R: {{ Type: AWS::Events::Rule, Properties: {{ {rule} }} }}\n",
            control("ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED")
        );
        ids(&complete(&text)).contains(&"BC051")
    };
    const TARGETS: &str = "Targets: [{ Id: a, Arn: b }]";
    let pattern = |detail: &str| format!("EventPattern: {{ source: [aws.config], detail: {{ {detail} }} }}");
    assert!(!ids(&format!("{}, {TARGETS}", pattern(""))));
    assert!(ids(&format!("{}, {TARGETS}, State: DISABLED", pattern(""))));
    assert!(!ids(&format!("{}, {TARGETS}, State: ENABLED", pattern(""))));
    assert!(ids(&format!("{}, Targets: []", pattern(""))));
    assert!(ids(&pattern("")));
    assert!(ids(&format!("{}, {TARGETS}", pattern("messageType: [ConfigurationItemChangeNotification]"))));
    assert!(!ids(&format!("{}, {TARGETS}", pattern("messageType: [ComplianceChangeNotification]"))));
    assert!(ids(&format!("{}, {TARGETS}", pattern("configRuleName: [my-rule]"))));
    assert!(!ids(&format!("{}, {TARGETS}", pattern("configRuleName: [{ prefix: EBS-BACKUP }]"))));
}

#[test]
fn recorder_without_types_is_reported() {
    let of = |group: &str| {
        let text = format!(
            "{}  R: {{ Type: AWS::Config::ConfigurationRecorder, Properties: {{ RecordingGroup: {{ {group} }} }} }}\n",
            control("ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED")
        );
        ids(&complete(&text)).contains(&"BC053")
    };
    assert!(of("AllSupported: false"));
    assert!(!of("AllSupported: true"));
    assert!(!of("AllSupported: false, RecordingStrategy: { UseOnly: ALL_SUPPORTED_RESOURCE_TYPES }"));
}

#[test]
fn empty_list_beside_others_does_not_limit() {
    const PLAN: &str = "ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN\n";
    assert_eq!(
        of_control(&format!("{PLAN}ControlScope: {{ ComplianceResourceTypes: [EBS], ComplianceResourceIds: [] }}")),
        [
            "BC043 `ComplianceResourceIds` is empty, and does not limit the scope; remove the key: the other keys limit the scope"
        ]
    );
    assert_eq!(
        of_control(&format!("{PLAN}ControlScope: {{ ComplianceResourceTypes: [\"RDS::DBInstance\"] }}")),
        ["BC044 the resource type `RDS::DBInstance` does not exist; did you mean `RDS`?"]
    );
    assert_eq!(
        of_control(
            "ControlName: BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION\nControlInputParameters: [{ ParameterName: crossRegionList, \
             ParameterValue: \"eu-west-1,eu-wst-1\" }]"
        ),
        [
            "BC033 the parameter `crossRegionList` has the item `eu-wst-1`; it must be Region codes separated by commas without spaces; did \
             you mean `eu-west-1`?"
        ]
    );
}

#[test]
fn circular_scope_with_wildcard_is_reported() {
    let of = |conditions: &str| {
        let text = format!(
            "{}  S: {{ Type: AWS::Backup::BackupSelection, Properties: {{ BackupSelection: {{ Resources: ['*'], Conditions: {{ {conditions} }} }} }} }}\n",
            control(
                "ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN\nControlScope: { Tags: [{ Key: backup, Value: daily }] }"
            )
        );
        ids(&complete(&text)).contains(&"BC050")
    };
    let like =
        |value: &str| format!("StringLike: [{{ ConditionKey: 'aws:ResourceTag/backup', ConditionValue: '{value}' }}]");
    assert!(of(&like("*")));
    assert!(of(&like("da*")));
    assert!(!of(&like("we*")));
    assert!(of(&like("*").replace("StringLike", "StringEquals").replace('*', "daily")));
    assert!(!of(&like("*").replace("StringLike", "StringEquals")), "`*` is literal without a pattern");
}

#[test]
fn undeclared_names_are_reported() {
    let of = |more: &str| {
        let text = format!("{more}{}", control("ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED"));
        errors(&complete(&text))
    };
    let nothing: [&str; 0] = [];
    let topic =
        |name: &str| format!("Resources:\n  T: {{ Type: AWS::SNS::Topic, Properties: {{ TopicName: {name} }} }}\n");
    let of_topic = |name: &str| {
        errors(&complete(&format!(
            "{}{}",
            topic(name),
            control("ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED").replace("Resources:\n", "")
        )))
    };
    assert_eq!(of(""), nothing);
    assert_eq!(of_topic("!Ref F"), nothing);
    assert_eq!(of_topic("!Sub '${AWS::StackName}-${F.FrameworkArn}-${!x}'"), nothing);
    assert_eq!(of_topic("!Sub ['${X}', { X: !Ref AWS::Region }]"), nothing);
    assert_eq!(of_topic("!Ref X"), ["BC007 `Ref` names `X`, which is neither a parameter nor a resource"]);
    assert_eq!(
        of_topic("!Sub '${X}-${Y.Arn}'"),
        [
            "BC007 `Fn::Sub` names `X`, which is neither a parameter nor a resource",
            "BC007 the template has no resource `Y`"
        ]
    );
    assert_eq!(of_topic("!GetAtt X.Arn"), ["BC007 the template has no resource `X`"]);
    assert_eq!(of_topic("{ 'Fn::GetAtt': [X, Arn] }"), ["BC007 the template has no resource `X`"]);
    assert_eq!(of_topic("!If [X, a, b]"), ["BC007 the template has no condition `X`"]);
    assert_eq!(
        of_topic("!Ref AWS::Regoin"),
        ["BC007 `Ref` names `AWS::Regoin`, which is neither a parameter nor a resource"]
    );
    assert_eq!(of("Conditions: { A: !Not [!Condition B] }\n"), ["BC007 the template has no condition `B`"]);
    assert_eq!(
        of("Transform: AWS::Serverless-2016-10-31\nConditions: { A: !Not [!Condition B] }\n"),
        nothing,
        "a macro may declare it"
    );
    // `Condition` of a policy statement is not a reference.
    assert_eq!(of_topic("{ Statement: { Effect: Deny, Condition: { Bool: { x: true } } } }"), nothing);
    let tags = |tags: &str| {
        errors(&complete(
            &Example(Box::leak(
                format!(
                    "FrameworkTags: {tags}\nFrameworkControls: [{{ ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED }}]\n"
                )
                .into_boxed_str(),
            ))
            .template(),
        ))
    };
    assert_eq!(tags("[{ Key: a, Value: b }]"), nothing);
    assert_eq!(tags("{ a: b }"), ["BC010 `FrameworkTags` is a mapping"]);
    assert_eq!(tags("[{ Key: a }]"), ["BC010 the tag has no `Value`"]);
    assert_eq!(tags("[a]"), ["BC010 the tag is not a mapping"]);
}

#[test]
fn edits_create_no_duplicate_name() {
    let changes = |text: &str| complete(text).iter().filter(|diagnostic| !diagnostic.edits.is_empty()).count();
    let given = |names: &[&str]| {
        let given: Vec<String> =
            names.iter().map(|name| format!("{{ ParameterName: {name}, ParameterValue: 35 }}")).collect();
        control(&format!(
            "ControlName: BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK\nControlInputParameters: [{}]",
            given.join(", ")
        ))
    };
    assert_eq!(changes(&given(&["requiredRetentionDay"])), 1);
    assert_eq!(changes(&given(&["requiredRetentionDay", "requiredRetentionDays"])), 0);
    assert_eq!(changes(&given(&["requiredRetentionDay", "requiredRetentionDayz"])), 1, "the first of them");
    let types = |types: &str| {
        control(&format!(
            "ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN\nControlScope: {{ ComplianceResourceTypes: [{types}] }}"
        ))
    };
    assert_eq!(changes(&types("Arora")), 1);
    assert_eq!(changes(&types("Arora, Aurora")), 0);
    assert_eq!(changes(&types("\"AWS::RDS::DBCluster\", Aurora")), 0);
    let controls = |controls: &[&str]| {
        let items: Vec<String> = controls.iter().map(|name| format!("{{ ControlName: {name} }}")).collect();
        format!(
            "Resources: {{ F: {{ Type: AWS::Backup::Framework, Properties: {{ FrameworkControls: [{}] }} }} }}",
            items.join(", ")
        )
    };
    assert_eq!(changes(&controls(&["BACKUP_RECOVERY_POINTS_ENCRYPTED"])), 1);
    assert_eq!(changes(&controls(&["BACKUP_RECOVERY_POINTS_ENCRYPTED", "BACKUP_RECOVERY_POINT_ENCRYPTED"])), 0);
}

#[test]
fn unknown_parts_are_reported() {
    let unseen = |text: &str, diagnostics: fn(&str) -> Vec<Diagnostic>| -> Vec<String> {
        let all = diagnostics(text).into_iter().filter(|diagnostic| diagnostic.rule == Some("BC006"));
        all.map(|diagnostic| format!("{} {}", diagnostic.at.map_or(0, |at| at.line), diagnostic.message)).collect()
    };
    const IN: &str = "Conditions: { A: !Equals [!Ref AWS::Region, us-east-1] }\n";
    let item = |item: &str| format!("{IN}{}", control(item));
    let known = item("!If [A, { ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED }, !Ref AWS::NoValue]");
    assert_eq!(unseen(&known, alone), Vec::<String>::new(), "both branches are checked");
    assert_eq!(unseen(&known, complete), ["7 the control is known only at deployment"]);
    let half = item("!If [A, { ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED }, !ImportValue x]");
    assert_eq!(unseen(&half, alone), ["7 the control is known only at deployment"]);
    assert_eq!(
        unseen(&item("ControlName: !ImportValue x"), alone),
        ["7 the name of the control is known only at deployment"]
    );
}

#[test]
fn suppressed_diagnostics_keep_their_reason() {
    let text = format!(
        "Metadata: {{ BackupCompliance: {{ Suppress: [{{ rule: BC051, reason: elsewhere, until: 2027-01-31 }}] }} }}\n{}",
        control("ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED")
    );
    let judged = check_with_suppressions(
        "t",
        &text,
        &LintContext { variants: &[BTreeMap::new()], is_complete: true, today: TODAY },
    );
    assert_eq!(ids(&judged.diagnostics), ["BC054"]);
    let hidden: Vec<_> =
        judged.suppressed.iter().map(|(diagnostic, reason)| (diagnostic.rule, reason.as_str())).collect();
    assert_eq!(hidden, [(Some("BC051"), "elsewhere")]);
}

#[test]
fn policy_frameworks_collide_in_shared_locations() {
    let framework = |name: &str, controls: usize| {
        let items: String = (0..controls)
            .map(|n| format!("{{ ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED, ControlScope: {{ Tags: [{{ Key: t, Value: '{n}' }}] }} }},"))
            .collect();
        let text = format!(
            "Resources: {{ F: {{ Type: AWS::Backup::Framework, Properties: {{ FrameworkName: {name}, FrameworkControls: [{items}] }} }} }}"
        );
        let template = Template::read("t", &text).expect("a template");
        crate::definition::Framework::read_all(&template, &BTreeMap::new()).expect("frameworks")
    };
    let placed =
        |name: &str, line: usize, account: &str, regions: &[&str], frameworks: &[crate::definition::Framework]| {
            FrameworkDeployment {
                name: name.to_owned(),
                at: Position { line, column: 1 },
                accounts: [account.to_owned()].into(),
                regions: regions.iter().map(|region| RegionName::parse(region).expect("a Region")).collect(),
                frameworks: frameworks.to_vec(),
            }
        };
    let problems = |placed: &[FrameworkDeployment]| -> Vec<String> {
        let all = check_policy("p", "1\n2\n3\n", placed);
        all.into_iter()
            .map(|diagnostic| {
                format!(
                    "{} {} {}",
                    diagnostic.at.map_or(0, |at| at.line),
                    diagnostic.rule.unwrap_or("?"),
                    diagnostic.message
                )
            })
            .collect()
    };
    let (one, same, other) = (framework("one", 2), framework("two", 2), framework("one", 3));
    let here = placed("a", 1, "1", &["eu-west-1", "us-east-1"], &one);
    assert_eq!(
        problems(&[here.clone(), placed("b", 2, "1", &["us-east-1"], &same)]),
        ["2 BC025 the framework `b` has the same controls as `a`, and both are deployed to 1 in us-east-1"]
    );
    assert_eq!(
        problems(&[here.clone(), placed("b", 2, "1", &["us-east-1"], &other)]),
        ["2 BC027 `a` and `b` both have a framework `one` in 1 in us-east-1"]
    );
    for elsewhere in [placed("b", 2, "2", &["us-east-1"], &same), placed("b", 2, "1", &["eu-west-2"], &same)] {
        assert_eq!(problems(&[here.clone(), elsewhere]), Vec::<String>::new());
    }
    let (many, more) = (framework("many", 30), framework("more", 31));
    assert_eq!(
        problems(&[placed("a", 1, "1", &["eu-west-1"], &many), placed("b", 2, "1", &["eu-west-1"], &more)]),
        ["2 BC024 `a`, `b` have 61 controls together in 1 in eu-west-1; the quota of an account and Region is 50"]
    );
    assert_eq!(
        problems(&[placed("a", 1, "1", &["eu-west-1"], &many), placed("b", 2, "1", &["eu-west-2"], &more)]),
        Vec::<String>::new()
    );
}

/// Quadratic comparisons took half a minute; the test runner ends a test that hangs.
#[test]
fn many_controls_are_checked_in_linear_time() {
    let mut text =
        "Resources:\n  F:\n    Type: AWS::Backup::Framework\n    Properties:\n      FrameworkControls:\n".to_owned();
    for n in 0..8_000 {
        text.push_str(&format!("        - {{ ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED, ControlScope: {{ Tags: [{{ Key: t, Value: '{n}' }}] }} }}\n"));
    }
    assert!(text.len() < Template::MAX);
    assert!(ids(&complete(&text)).contains(&"BC024"));
    let mut text =
        "Resources:\n  F:\n    Type: AWS::Backup::Framework\n    Properties:\n      FrameworkControls:\n".to_owned();
    for n in 0..15_000 {
        text.push_str(&format!("        - {{ ControlName: BACKUP_RECOVERY_POINT_{n} }}\n"));
    }
    assert!(text.len() < Template::MAX);
    let all = complete(&text);
    assert_eq!(all.iter().filter(|diagnostic| diagnostic.rule == Some("BC021")).count(), Diagnostics::MOST + 1);
}
