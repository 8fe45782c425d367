//! Control queries read from templates. Their evaluation is tested in `tests/evaluation`.

use framework::Framework;
use syntax::template::Template;

use super::*;

mod fixes;

fn asked_by(controls: &str, given: &[(&str, &str)]) -> Vec<ControlQuery> {
    let text = format!(
        "Parameters:\n  Days: {{ Type: String, Default: '35' }}\nResources:\n  Other: {{ Type: AWS::SNS::Topic }}\n  Framework:\n    \
         Type: AWS::Backup::Framework\n    Properties:\n      FrameworkControls:\n{controls}"
    );
    let template = Template::read("framework.yaml", &text).unwrap_or_else(|diagnostics| panic!("{diagnostics:#?}"));
    let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let frameworks = Framework::read_all(&template, &given).unwrap_or_else(|diagnostics| panic!("{diagnostics:#?}"));
    ControlQuery::all(&frameworks[0], &template, &given)
}

fn scope(scope: &str) -> QueryScope {
    scope_of("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN", scope)
}

fn scope_of(control: &str, scope: &str) -> QueryScope {
    let control = format!("        - ControlName: {control}\n          ControlScope: {scope}\n");
    asked_by(&control, &[])[0].scope.clone()
}

#[test]
fn control_scope_is_read_from_the_template() {
    let types = |names: &[&str]| QueryScope::Types(names.iter().map(|name| (*name).to_owned()).collect());
    let tag = |key: &str, value: Option<&str>| QueryScope::Tag {
        key: key.to_owned(),
        value: value.map(str::to_owned),
        types: Vec::new(),
    };
    assert_eq!(scope("{}"), QueryScope::All);
    assert_eq!(scope("!Ref AWS::NoValue"), QueryScope::All);
    assert_eq!(
        scope("{ ComplianceResourceTypes: [Aurora, Storage Gateway] }"),
        types(&["AWS::RDS::DBCluster", "AWS::StorageGateway::Volume"])
    );
    assert_eq!(scope("{ Tags: [{ Key: stage, Value: prod }] }"), tag("stage", Some("prod")));
    assert_eq!(scope("{ Tags: [{ Key: stage, Value: '' }] }"), tag("stage", None));
    assert_eq!(scope("{ Tags: [{ Key: stage, Value: !Ref Days }] }"), tag("stage", Some("35")));
    assert_eq!(scope("{ Tags: [{ Key: stage, Value: !GetAtt Other.TopicName }] }"), QueryScope::Unknown);
    assert_eq!(
        scope_of(
            "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED",
            "{ ComplianceResourceIds: [default], ComplianceResourceTypes: ['AWS::Backup::BackupVault'] }"
        ),
        QueryScope::Resource { id: "default".to_owned(), types: vec!["AWS::Backup::BackupVault".to_owned()] }
    );
    assert_eq!(scope("{ ComplianceResourceTypes: [!GetAtt Other.TopicName] }"), QueryScope::Unknown);
    assert_eq!(scope("!GetAtt Other.TopicName"), QueryScope::Unknown);
}

#[test]
fn unresolved_parameter_is_not_its_default() {
    let control = |value: &str| {
        let control = format!(
            "        - ControlName: BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK\n          ControlInputParameters:\n            - \
             {{ ParameterName: requiredRetentionDays, ParameterValue: {value} }}\n"
        );
        asked_by(&control, &[("Days", "90")])[0].clone()
    };
    assert_eq!(control("!Ref Days").number("requiredRetentionDays"), Some(90));
    assert_eq!(control("!Ref Days").unclear(), None);
    assert_eq!(control("!GetAtt Other.TopicName").unclear(), Some("requiredRetentionDays"));
    let none = asked_by("        - ControlName: BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK\n", &[]);
    assert_eq!((none[0].number("requiredRetentionDays"), none[0].unclear()), (Some(35), None));
}

#[test]
fn every_control_type_and_test_is_known() {
    for control in framework::control::CONTROLS {
        for kind in control.resource_types {
            assert!(kind.starts_with("AWS::Backup::") || protected(kind).is_some(), "{kind}");
        }
        assert!(
            !matches!(control_test(&ControlQuery::everything(control)), ControlTest::Unclear("ControlName")),
            "{}",
            control.name
        );
    }
}
