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
            let region = RegionName::parse(region).expect("a Region");
            let found = [regions("p", "policy", at, [&region]), opt_in_regions("p", "policy", [(at, &region)])];
            found.into_iter().flatten().collect()
        }
        other => complete(&other.template()),
    }
}

/// The value is for the one role of all frameworks, so it has the Regions of all.
#[test]
fn one_warning_has_all_opt_in_regions_and_what_to_deploy() {
    let region = |name| RegionName::parse(name).expect("a Region");
    let [cape_town, milan, ireland] = ["af-south-1", "eu-south-1", "eu-west-1"].map(region);
    let at = |line| Position { line, column: 5 };
    let targets = [(at(9), &milan), (at(9), &ireland), (at(4), &cape_town), (at(9), &cape_town)];
    let fault = opt_in_regions("p", "policy", targets).expect("a warning");
    assert_eq!((fault.rule, fault.level(), fault.at), (Some("BC061"), Level::Warning, Some(at(4))));
    assert!(fault.problem.ends_with("trusts them: `af-south-1`, `eu-south-1`"), "{fault}");
    let role = "`framework/prerequisites/administration-role.yaml` with `OptInRegions=af-south-1,eu-south-1`";
    assert!(fault.fix.contains(role), "{fault}");
    assert_eq!(opt_in_regions("p", "policy", [(at(9), &ireland)]), None);
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
        [
            "the parameter `Days` is `x`, which its declaration does not allow",
            "the parameter `requiredRetentionDays` is `0`",
            "the parameter `requiredRetentionDays` is `x`"
        ]
    );
    assert_eq!(ask(&[BTreeMap::new()], true), ["the parameter `Days` has no default and is given no value"]);
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
fn functions_are_looked_through() {
    let all = complete(WHOLE);
    assert_eq!(ids(&all), ["BC052", "BC006"], "{all:#?}");
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

/// Asked of a template on its own.
fn alone(text: &str) -> Vec<Fault> {
    super::text("t", text, &Question { variants: &[BTreeMap::new()], is_complete: false, today: TODAY })
}

fn errors(faults: &[Fault]) -> Vec<String> {
    let all = faults.iter().filter(|fault| fault.level() == Level::Error);
    all.map(|fault| format!("{} {}", fault.rule.unwrap_or("?"), fault.problem)).collect()
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
fn frameworks_collide_only_where_both_are_known_to_be() {
    const IN: &str = "Conditions:\n  A: !Equals [!Ref AWS::Region, us-east-1]\n  NotA: !Not [!Condition A]\n  \
                      B: !Equals [!Ref AWS::Region, eu-west-1]\n  C: !Equals [!Ref AWS::AccountId, \"111111111111\"]\n  \
                      D: !Equals [!Ref AWS::Region, !Ref Home]\n  NotD: !Not [!Condition D]\nParameters: { Home: { Type: String } }\n";
    const ENCRYPTED: &str = "BACKUP_RECOVERY_POINT_ENCRYPTED";
    let equal = "BC025 the framework `Second` has the controls of `First`".to_owned();
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
        // What `deploy` refuses is sure: nothing is while a condition is undecided.
        let given = parameters(&[("Home", "eu-west-1")]);
        let refused = crate::framework::Framework::read_all(&Template::read("t", &text).expect("a template"), &given);
        assert_eq!(refused.is_err(), first.is_empty() && second.is_empty(), "{first} {second}");
        let name = two(IN, [(first, "same", ENCRYPTED), (second, "same", "BACKUP_LAST_RECOVERY_POINT_CREATED")]);
        let expected: &[&str] = if collide { &["BC027 the framework `Second` has the name of `First`"] } else { &[] };
        assert_eq!(errors(&alone(&name)), expected, "{first} {second}");
    }
    // 30 controls here and 30 there are 30 everywhere.
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
fn both_branches_of_what_nobody_can_decide_are_judged() {
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
            "BC021 there is no control `TYPO`",
            "BC021 there is no control `SLIP`",
            "BC033 the parameter `requiredRetentionDays` is `abc`",
            "BC034 the parameter `requiredRetentionDays` is `0`",
            "BC041 `Tags` lists 2 tags",
        ]
    );
    // Where the Region is known, only its branch counts.
    let given = parameters(&[("AWS::Region", "us-east-1")]);
    let here = super::text("t", text, &Question { variants: &[given], is_complete: true, today: TODAY });
    assert!(errors(&here).iter().all(|error| !error.contains("worse") && !error.contains("SLIP")), "{here:#?}");
    assert_eq!(errors(&here).len(), 3, "{here:#?}");
    // A template for one Region has no controls elsewhere, and is never there.
    let one = control("!If [A, { ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED }, !Ref AWS::NoValue]");
    let one = format!("Conditions: {{ A: !Equals [!Ref AWS::Region, us-east-1] }}\n{one}");
    assert_eq!(errors(&alone(&one)), Vec::<String>::new());
}

#[test]
fn conditions_without_end_are_looked_at_in_a_bounded_number_of_ways() {
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
fn what_makes_resources_may_make_a_framework() {
    for text in [
        "Transform: AWS::LanguageExtensions\nResources:\n  Fn::ForEach::Fw: [X, [a, b], { \"F${X}\": { Type: AWS::Backup::Framework } }]\n",
        "Resources:\n  Fn::Transform: { Name: AWS::Include, Parameters: { Location: s3://b/k } }\n",
        "Fn::Transform: { Name: AWS::Include }\nResources: { T: { Type: AWS::SNS::Topic } }\n",
        "Transform: Mine\nResources: { T: { Type: AWS::SNS::Topic } }\n",
    ] {
        let all = complete(text);
        assert_eq!(ids(&all), ["BC005"], "{text}\n{all:#?}");
    }
    let text = "Transform: AWS::LanguageExtensions\nResources: { T: { Type: AWS::SNS::Topic, Properties: { Fn::Transform: { Name: N } } } }\n";
    assert!(ids(&complete(text)).contains(&"BC003"), "what stands inside of a resource makes none");
}

#[test]
fn a_name_is_wrong_if_what_is_known_of_it_is() {
    let name = |name: &str| {
        let text = format!(
            "Parameters: {{ P: {{ Type: String }} }}\nResources: {{ F: {{ Type: AWS::Backup::Framework, Properties: {{ FrameworkName: {name}, \
             FrameworkControls: [{{ ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED }}] }} }} }}"
        );
        errors(&alone(&text))
    };
    let hyphen = ["BC011 the framework name contains `-`"];
    let region = ["BC011 the framework name contains that of the Region, which contains `-`"];
    let nothing: [&str; 0] = [];
    assert_eq!(name("!Sub 'backup-${AWS::Region}'"), hyphen);
    assert_eq!(name("!Sub 'backup-${P}'"), hyphen);
    assert_eq!(name("!Join ['-', [backup, !Ref AWS::Region]]"), hyphen);
    assert_eq!(name("!Sub 'backup_${AWS::Region}'"), region);
    assert_eq!(name("!Ref AWS::Region"), region);
    assert_eq!(name("!Sub '1${P}'"), ["BC011 the framework name does not start with a letter"]);
    assert_eq!(name("!Join ['_', !Split ['-', !Ref AWS::Region]]"), nothing);
    assert_eq!(name("!Sub 'backup_${P}'"), nothing);
    assert_eq!(name("!Sub '${P}'"), nothing);
}

#[test]
fn values_must_be_what_declarations_allow() {
    let of = |declaration: &str, given: Option<&str>| -> Vec<String> {
        let text = format!(
            "Parameters: {{ P: {{ {declaration} }} }}\nResources: {{ F: {{ Type: AWS::Backup::Framework, Properties: {{ FrameworkControls: [{{ \
             ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED }}] }} }} }}"
        );
        let variants = [given.map(|value| parameters(&[("P", value)])).unwrap_or_default()];
        let all = super::text("t", &text, &Question { variants: &variants, is_complete: false, today: TODAY });
        let all = all.into_iter().filter(|fault| fault.level() == Level::Error);
        all.map(|fault| format!("{}; {}", fault.problem, fault.fix)).collect()
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
        "what is not understood allows everything"
    );
    assert_eq!(
        of("Type: String, NoEcho: true, MinLength: 9", Some("secret")),
        not("***", "have at least 9 characters (`MinLength`)")
    );
    assert_eq!(of("Type: 'AWS::SSM::Parameter::Value<String>', MaxLength: 1", Some("/a/b")), nothing);
}

#[test]
fn a_rule_forwards_only_if_it_sends_what_the_controls_say() {
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
fn a_recorder_of_nothing_records_nothing() {
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
fn an_empty_list_beside_others_narrows_nothing() {
    const PLAN: &str = "ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN\n";
    assert_eq!(
        of_control(&format!("{PLAN}ControlScope: {{ ComplianceResourceTypes: [EBS], ComplianceResourceIds: [] }}")),
        ["BC043 `ComplianceResourceIds` is empty, and narrows nothing; remove the key: the others narrow the control"]
    );
    assert_eq!(
        of_control(&format!("{PLAN}ControlScope: {{ ComplianceResourceTypes: [\"RDS::DBInstance\"] }}")),
        ["BC044 there is no resource type `RDS::DBInstance`; did you mean `RDS`?"]
    );
    assert_eq!(
        of_control(
            "ControlName: BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION\nControlInputParameters: [{ ParameterName: crossRegionList, \
             ParameterValue: \"eu-west-1,eu-wst-1\" }]"
        ),
        [
            "BC033 the parameter `crossRegionList` has the item `eu-wst-1`; it must be Region codes with commas and no spaces between; is \
             `eu-west-1` meant?"
        ]
    );
}

#[test]
fn a_circle_is_found_through_a_pattern_too() {
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
    assert!(!of(&like("*").replace("StringLike", "StringEquals")), "only a pattern has a `*`");
}

#[test]
fn names_must_stand_for_something() {
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
    assert_eq!(of_topic("!Ref X"), ["BC007 `Ref` names `X`, which is no parameter and no resource"]);
    assert_eq!(
        of_topic("!Sub '${X}-${Y.Arn}'"),
        ["BC007 `Fn::Sub` names `X`, which is no parameter and no resource", "BC007 there is no resource `Y`"]
    );
    assert_eq!(of_topic("!GetAtt X.Arn"), ["BC007 there is no resource `X`"]);
    assert_eq!(of_topic("{ 'Fn::GetAtt': [X, Arn] }"), ["BC007 there is no resource `X`"]);
    assert_eq!(of_topic("!If [X, a, b]"), ["BC007 there is no condition `X`"]);
    assert_eq!(
        of_topic("!Ref AWS::Regoin"),
        ["BC007 `Ref` names `AWS::Regoin`, which is no parameter and no resource"]
    );
    assert_eq!(of("Conditions: { A: !Not [!Condition B] }\n"), ["BC007 there is no condition `B`"]);
    assert_eq!(
        of("Transform: AWS::Serverless-2016-10-31\nConditions: { A: !Not [!Condition B] }\n"),
        nothing,
        "a macro may bring it"
    );
    // A statement of a policy has conditions of its own.
    assert_eq!(of_topic("{ Statement: { Effect: Deny, Condition: { Bool: { x: true } } } }"), nothing);
    let tags = |tags: &str| {
        errors(&complete(
            &Example::Properties(Box::leak(
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
    assert_eq!(tags("[{ Key: a }]"), ["BC010 this tag has no `Value`"]);
    assert_eq!(tags("[a]"), ["BC010 this tag is no mapping"]);
}

#[test]
fn no_change_makes_a_name_stand_twice() {
    let changes = |text: &str| complete(text).iter().filter(|fault| !fault.edits.is_empty()).count();
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
fn what_cannot_be_judged_is_told() {
    let unseen = |text: &str, faults: fn(&str) -> Vec<Fault>| -> Vec<String> {
        let all = faults(text).into_iter().filter(|fault| fault.rule == Some("BC006"));
        all.map(|fault| format!("{} {}", fault.at.map_or(0, |at| at.line), fault.problem)).collect()
    };
    const IN: &str = "Conditions: { A: !Equals [!Ref AWS::Region, us-east-1] }\n";
    let item = |item: &str| format!("{IN}{}", control(item));
    let known = item("!If [A, { ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED }, !Ref AWS::NoValue]");
    assert_eq!(unseen(&known, alone), Vec::<String>::new(), "both branches are judged");
    assert_eq!(unseen(&known, complete), ["7 which control stands here is known only at deployment"]);
    let half = item("!If [A, { ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED }, !ImportValue x]");
    assert_eq!(unseen(&half, alone), ["7 which control stands here is known only at deployment"]);
    assert_eq!(
        unseen(&item("ControlName: !ImportValue x"), alone),
        ["7 which control this is is known only at deployment"]
    );
}

#[test]
fn what_is_suppressed_is_kept_with_its_reason() {
    let text = format!(
        "Metadata: {{ BackupCompliance: {{ Suppress: [{{ rule: BC051, reason: elsewhere, until: 2027-01-31 }}] }} }}\n{}",
        control("ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED")
    );
    let judged = judged("t", &text, &Question { variants: &[BTreeMap::new()], is_complete: true, today: TODAY });
    assert_eq!(ids(&judged.faults), ["BC054"]);
    let hidden: Vec<_> = judged.suppressed.iter().map(|(fault, reason)| (fault.rule, reason.as_str())).collect();
    assert_eq!(hidden, [(Some("BC051"), "elsewhere")]);
}

#[test]
fn frameworks_of_a_policy_are_compared_where_they_meet() {
    let framework = |name: &str, controls: usize| {
        let items: String = (0..controls)
            .map(|n| format!("{{ ControlName: BACKUP_RECOVERY_POINT_ENCRYPTED, ControlScope: {{ Tags: [{{ Key: t, Value: '{n}' }}] }} }},"))
            .collect();
        let text = format!(
            "Resources: {{ F: {{ Type: AWS::Backup::Framework, Properties: {{ FrameworkName: {name}, FrameworkControls: [{items}] }} }} }}"
        );
        let template = Template::read("t", &text).expect("a template");
        crate::framework::Framework::read_all(&template, &BTreeMap::new()).expect("frameworks")
    };
    let placed =
        |name: &str, line: usize, account: &str, regions: &[&str], frameworks: &[crate::framework::Framework]| Placed {
            name: name.to_owned(),
            at: Position { line, column: 1 },
            accounts: [account.to_owned()].into(),
            regions: regions.iter().map(|region| RegionName::parse(region).expect("a Region")).collect(),
            frameworks: frameworks.to_vec(),
        };
    let problems = |placed: &[Placed]| -> Vec<String> {
        let all = together("p", "1\n2\n3\n", placed);
        all.into_iter()
            .map(|fault| {
                format!("{} {} {}", fault.at.map_or(0, |at| at.line), fault.rule.unwrap_or("?"), fault.problem)
            })
            .collect()
    };
    let (one, same, other) = (framework("one", 2), framework("two", 2), framework("one", 3));
    let here = placed("a", 1, "1", &["eu-west-1", "us-east-1"], &one);
    assert_eq!(
        problems(&[here.clone(), placed("b", 2, "1", &["us-east-1"], &same)]),
        ["2 BC025 the framework `b` has the controls of `a`, and both go to 1 in us-east-1"]
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
        ["2 BC024 `a`, `b` have 61 controls together in 1 in eu-west-1, and an account may have 50 in a Region"]
    );
    assert_eq!(
        problems(&[placed("a", 1, "1", &["eu-west-1"], &many), placed("b", 2, "1", &["eu-west-2"], &more)]),
        Vec::<String>::new()
    );
}

/// Comparing each control with each took half a minute, and looking for the nearest name of each as long: what hangs is ended by the
/// test runner.
#[test]
fn many_controls_are_judged_in_proportion_to_their_number() {
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
    assert_eq!(all.iter().filter(|fault| fault.rule == Some("BC021")).count(), Faults::MOST + 1);
}
