use proptest::prelude::*;

use super::*;
use crate::fault;

const TODAY: Date = Date::constant(2026, 11, 26);

fn parameters(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Asked as `deploy` would, with all values.
fn complete(text: &str) -> Vec<Fault> {
    super::text("t", text, &Question { variants: &[BTreeMap::new()], is_complete: true, today: TODAY })
}

fn found(example: &Example) -> Vec<Fault> {
    match example {
        Example::Change(old, new) => {
            let none = BTreeMap::new();
            let read = |text: &str| Template::read("t", text).expect("a template");
            change((&read(old), &none), (&read(new), &none))
        }
        Example::Regions(region) => {
            let at = Position { line: 1, column: 1 };
            regions("p", "policy", at, &[RegionName::parse(region).expect("a Region")]).into_iter().collect()
        }
        other => complete(&other.template()),
    }
}

fn ids(faults: &[Fault]) -> Vec<&'static str> {
    faults.iter().filter_map(|fault| fault.rule).collect()
}

#[test]
fn every_rule_finds_its_bad_example_and_not_its_good_one() {
    for rule in RULES {
        let bad = found(&rule.bad);
        assert!(ids(&bad).contains(&rule.id), "{} is not found in its example: {bad:#?}", rule.id);
        let good = found(&rule.good);
        assert!(!ids(&good).contains(&rule.id), "{} is found in its good example: {good:#?}", rule.id);
        let errors: Vec<_> = good.iter().filter(|fault| fault.level() == Level::Error).collect();
        assert!(errors.is_empty(), "the good example of {} is wrong: {errors:#?}", rule.id);
        if rule.level != Level::Error {
            let errors: Vec<_> = bad.iter().filter(|fault| fault.level() == Level::Error).collect();
            assert!(errors.is_empty(), "the example of {} is about more than it: {errors:#?}", rule.id);
        }
    }
}

#[test]
fn findings_are_written_as_faults_are() {
    for rule in RULES {
        assert!(rule.explanation.ends_with('.') && !rule.title.ends_with('.'), "{}", rule.id);
        for fault in found(&rule.bad) {
            let Fault { problem, fix, rule, at, .. } = &fault;
            assert!(rule.is_some() && at.is_some(), "{fault:?}");
            for text in [problem, fix] {
                assert!(!text.is_empty() && !text.ends_with('.') && !text.contains('\n'), "{fault}");
            }
        }
    }
}

/// A change that mends something mends it, and breaks nothing.
#[test]
fn changes_mend_what_they_are_for() {
    let mut mended = BTreeSet::new();
    for rule in RULES {
        let (Example::Controls(_) | Example::Properties(_) | Example::Template(_)) = rule.bad else { continue };
        let text = rule.bad.template();
        let before = complete(&text);
        for fault in before.iter().filter(|fault| !fault.edits.is_empty()) {
            let (new, made) = fault::apply(&text, [fault.edits.as_slice()]);
            assert_eq!(made, 1, "{fault}");
            let after = complete(&new);
            let errors = |faults: &[Fault]| faults.iter().filter(|fault| fault.level() == Level::Error).count();
            let mended_errors = usize::from(fault.level() == Level::Error);
            assert_eq!(errors(&after), errors(&before) - mended_errors, "{fault}\n{new}\n{after:#?}");
            assert!(!after.iter().any(|other| other.problem == fault.problem), "{fault}\n{new}");
            mended.extend(fault.rule);
        }
    }
    let expected = ["BC003", "BC011", "BC013", "BC021", "BC030", "BC033", "BC034", "BC044", "BC045"];
    assert_eq!(mended.into_iter().collect::<Vec<_>>(), expected);
}

fn control(control: &str) -> String {
    let text = control.trim_end().replace('\n', "\n          ");
    format!(
        "Resources:\n  F:\n    Type: AWS::Backup::Framework\n    Properties:\n      FrameworkControls:\n        - {text}\n"
    )
}

/// What a control is found to break, without what is said of every template.
fn of_control(text: &str) -> Vec<String> {
    let all =
        complete(&control(text)).into_iter().filter(|fault| !["BC051", "BC054"].contains(&fault.rule.unwrap_or("")));
    all.map(|fault| format!("{} {}; {}", fault.rule.unwrap_or("?"), fault.problem, fault.fix)).collect()
}

#[test]
fn the_last_details_of_controls_are_checked() {
    const PLAN: &str = "ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN\n";
    let cases: &[(&str, &[&str])] = &[
        (
            "ControlName: BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK\nControlInputParameters:\n  - { ParameterName: \
             requiredFrequencyUnit, ParameterValue: hours }\n  - { ParameterName: requiredFrequencyValue, ParameterValue: 48 }",
            &[
                "BC034 the parameter `requiredFrequencyValue` is `48`; it must be a whole number of hours from 1 to 24: write `2` with \
               `days` in `requiredFrequencyUnit`",
            ],
        ),
        (
            "ControlName: RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT\nControlInputParameters:\n  - { ParameterName: \
             recoveryPointAgeUnit, ParameterValue: days }\n  - { ParameterName: recoveryPointAgeValue, ParameterValue: 92 }",
            &["BC034 the parameter `recoveryPointAgeValue` is `92`; it must be a whole number of days from 1 to 91"],
        ),
        (
            "ControlName: BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED\nControlInputParameters:\n  - { ParameterName: \
             principalArnList, ParameterValue: \"\" }",
            &[
                "BC033 the parameter `principalArnList` is empty; remove it, or give it role ARNs with commas and no spaces between, 5 at \
               most",
            ],
        ),
        (
            "ControlName: RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT\nControlInputParameters:\n  - { ParameterName: \
             recoveryPointAgeUnit, ParameterValue: days }\n  - { ParameterName: recoveryPointAgeValue, ParameterValue: 30 }\n\
             ControlScope: { Tags: [{ Key: a, Value: b }] }",
            &[
                "BC040 the control `RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT` cannot be narrowed to one tag; remove `Tags`: it can be \
               narrowed to resource types or one resource",
            ],
        ),
        (
            &format!("{PLAN}ControlScope: {{ ComplianceResourceTypes: [Redshift, Arora, Nothing] }}"),
            &[
                "BC044 Audit Manager does not judge resources of the type `Redshift`; there are `Aurora`, `DynamoDB`, `EBS`, `EC2`, \
                 `EFS`, `FSx`, `RDS`, `S3`, `Storage Gateway` and `VirtualMachine`",
                "BC044 there is no resource type `Arora`; did you mean `Aurora`?",
                "BC044 there is no resource type `Nothing`; there are `Aurora`, `DynamoDB`, `EBS`, `EC2`, `EFS`, `FSx`, `RDS`, `S3`, \
                 `Storage Gateway` and `VirtualMachine`",
            ],
        ),
        (
            &format!("{PLAN}ControlScope: {{ ComplianceResourceTypes: [!Ref AWS::NoValue] }}"),
            &[
                "BC043 `ComplianceResourceTypes` is empty, so the control judges everything; list what it is to judge, or remove the key",
            ],
        ),
        (&format!("{PLAN}ControlScope: {{ ComplianceResourceTypes: !Ref AWS::NoValue }}"), &[]),
        (&format!("{PLAN}ControlScope: {{ ComplianceResourceTypes: [!ImportValue x] }}"), &[]),
        (&format!("{PLAN}ControlScope: !Ref AWS::NoValue"), &[]),
        (
            &format!("{PLAN}ControlScope: [EBS]"),
            &[
                "BC010 `ControlScope` is a list; write `ComplianceResourceTypes`, `ComplianceResourceIds` and `Tags` under it",
            ],
        ),
        (
            &format!("{PLAN}ControlScope: {{ ResourceTypes: [EBS], ComplianceResourceTypes: [EBS] }}"),
            &["BC013 `ControlScope` has no property `ResourceTypes`; remove it: there are `ComplianceResourceTypes`, \
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
                "BC040 the control `BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED` cannot be narrowed to resource types; remove \
               `ComplianceResourceTypes`: it can be narrowed to one tag or one resource",
            ],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(of_control(text), *expected, "{text}");
    }
}

#[test]
fn everything_is_found_in_one_run() {
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
    let (mended, made) = fault::apply(text, all.iter().map(|fault| fault.edits.as_slice()));
    assert_eq!(made, 4, "{mended}");
    for new in [
        "FrameworkName: org_backup\n",
        ": BACKUP_RECOVERY_POINT_ENCRYPTED\n",
        "[\"Aurora\", EBS",
        "ParameterValue: days }",
    ] {
        assert!(mended.contains(new), "{new}: {mended}");
    }
    let left: Vec<_> = complete(&mended).into_iter().filter(|fault| fault.level() == Level::Error).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Made together, two changes that name one key would leave a template that cannot be read.
#[test]
fn of_two_keys_that_may_mean_one_none_is_changed() {
    let of = |tags: &str| {
        let text = format!(
            "Resources:\n  F:\n    Type: AWS::Backup::Framework\n    Properties:\n      FrameworkControls:\n        \
             - ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN\n          ControlScope: {{ Tags: [{{ {tags} }}] }}\n"
        );
        let edits: Vec<_> = complete(&text).into_iter().filter(|fault| !fault.edits.is_empty()).collect();
        let (mended, made) = fault::apply(&text, edits.iter().map(|fault| fault.edits.as_slice()));
        (mended, made)
    };
    let (mended, made) = of("Key: k, Valu: a");
    assert!(made == 1 && mended.contains("Value: a"), "{mended}");
    let (mended, made) = of("Valu: k, Vale: a");
    assert_eq!(made, 0, "{mended}");
}

#[test]
fn variants_are_judged_together() {
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
        let all = super::text("t", text, &Question { variants, is_complete, today: TODAY });
        all.into_iter().filter(|fault| fault.level() == Level::Error).map(|fault| fault.problem).collect::<Vec<_>>()
    };
    assert_eq!(ask(&[parameters(&[("Days", "35")])], true), Vec::<String>::new());
    assert_eq!(
        ask(&[parameters(&[("Days", "0")]), parameters(&[("Days", "0")]), parameters(&[("Days", "x")])], true),
        ["the parameter `requiredRetentionDays` is `0`", "the parameter `requiredRetentionDays` is `x`"]
    );
    assert_eq!(ask(&[BTreeMap::new()], true), ["the parameter `Days` has no default and the policy gives no value"]);
    assert_eq!(ask(&[BTreeMap::new()], false), Vec::<String>::new(), "a deployment will give it");
}

#[test]
fn suppressions_hold_where_they_stand_and_until_they_end() {
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
    // Everything there is, in two suppressions and one that is not needed.
    let all = "{ rule: BC051, reason: r, until: 2027-01-31 }, { rule: BC054, reason: r, until: 2027-01-31 }, { rule: BC035, \
               reason: r, until: 2027-01-31 }, { rule: BC055, reason: r, until: 2027-01-31 }";
    assert_eq!(ids(all), ["BC092"]);

    let elsewhere = "Resources:\n  T:\n    Type: AWS::SNS::Topic\n    Metadata: { BackupCompliance: { Suppress: [{ rule: BC035, \
                     reason: r, until: 2027-01-31 }] } }\n  F:\n    Type: AWS::Backup::Framework\n    Properties:\n      \
                     FrameworkControls:\n        - ControlName: RESTORE_TIME_FOR_RESOURCES_MEET_TARGET\n";
    assert_eq!(super::tests::ids(&complete(elsewhere)), ["BC092", "BC051", "BC054", "BC035"]);
}

#[test]
fn a_change_of_name_collides_unless_something_else_changes() {
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
        change((old, &none), (new, &none)).into_iter().map(|fault| fault.problem).collect()
    };
    let old = template("F", "a", "35");
    assert_eq!(
        problems(&old, &template("F", "b", "35")),
        ["the framework `F` is replaced: its name was `a` and is `b`"]
    );
    assert_eq!(
        problems(&old, &template("G", "a", "35")),
        ["the framework `G` is created while `F`, which has the same controls, is still there"]
    );
    let nothing: [String; 0] = [];
    assert_eq!(problems(&old, &template("F", "a", "35")), nothing);
    assert_eq!(problems(&old, &template("F", "b", "36")), nothing);
    assert_eq!(problems(&old, &template("F", "!Ref AWS::StackName", "35")), nothing, "nobody knows");
    assert_eq!(problems(&old, &template("F", "b", "!ImportValue days")), nothing, "nobody knows");
}

#[test]
fn errors_are_never_crowded_out() {
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
    assert!(ids(&all).contains(&"BC021"), "the error is there");
    assert!(
        all.iter().any(|fault| fault.problem.ends_with("more faults are not shown") && fault.level() == Level::Warning)
    );
    assert_eq!(all.iter().filter(|fault| fault.level() == Level::Error).count(), 1);
}

#[test]
fn many_frameworks_are_judged_quickly_enough() {
    // 1 MB, which CloudFormation takes at most: something quadratic would be noticed here.
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
    Properties: { BackupSelection: { ListOfTags: [{ ConditionKey: backup, ConditionValue: yes }] } }
  Rule:
    Type: AWS::Events::Rule
    Properties: { EventPattern: { source: [aws.config], detail: { newEvaluationResult: { complianceType: [NON_COMPLIANT] } } } }
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
fn functions_are_looked_through() {
    let all = complete(WHOLE);
    assert_eq!(ids(&all), ["BC052"], "{all:#?}");
    let types = "`AWS::Backup::RecoveryPoint`, `AWS::EC2::Volume`, `AWS::RDS::DBCluster`";
    let text = WHOLE.replace("Suppress: [{ rule: BC053, reason: r, until: 2027-01-31 }]", "Suppress: []");
    assert!(complete(&text)[0].problem.ends_with(types), "{:?}", complete(&text));
}

proptest! {
    #[test]
    fn any_text_is_judged(text in "(\\PC|\n|\t){0,200}") {
        let _ = complete(&text);
    }

    #[test]
    fn nearly_valid_templates_are_judged_and_their_changes_can_be_made(text in crate::yaml::edited(WHOLE)) {
        let all = complete(&text);
        for fault in &all {
            prop_assert!(!fault.problem.is_empty() && !fault.fix.is_empty() && !fault.to_string().contains('\n'), "{}", fault);
            prop_assert!(fault.rule.and_then(rule).is_some(), "{:?}", fault);
        }
        for fault in all.iter().filter(|fault| !fault.edits.is_empty()) {
            let (new, made) = fault::apply(&text, [fault.edits.as_slice()]);
            prop_assert_eq!(made, 1);
            prop_assert_ne!(new, text.clone());
        }
    }

    /// What `deploy` refuses is what lint calls an error.
    #[test]
    fn errors_are_what_deploy_refuses(text in crate::yaml::edited(WHOLE)) {
        let errors: Vec<Fault> = complete(&text).into_iter().filter(|fault| fault.level() == Level::Error).collect();
        let refused = Template::read("t", &text)
            .and_then(|template| crate::framework::Framework::read_all(&template, &BTreeMap::new()))
            .err()
            .unwrap_or_default();
        prop_assert_eq!(errors.is_empty(), refused.is_empty(), "{:?} {:?}", errors, refused);
    }
}
