use super::book::{FailureTolerance, InstanceOutcome, InstanceResult};
use super::*;
use crate::organization::{AccountRestrictions, DATA, WORKLOADS};

const ACCOUNT: &str = "111111111111";

fn restrictions() -> AccountRestrictions {
    AccountRestrictions { management: "000000000000".into(), suspended: BTreeSet::new() }
}

fn operation(action: &'static str, regions: &[&str]) -> StackSetOperation {
    let outcomes = regions.iter().map(|region| InstanceOutcome {
        location: (ACCOUNT.into(), (*region).into()),
        unit: None,
        result: InstanceResult::Succeeded,
    });
    let overrides = Some(BTreeMap::new());
    StackSetOperation { overrides, ..StackSetOperation::new(&ids::uuid(), action, outcomes.collect()) }
}

/// One StackSet, whose operations end at the next access.
#[derive(Default)]
struct SingleStackSet(StackSetBook);

impl SingleStackSet {
    fn new() -> Self {
        let mut single = Self::default();
        single.0.sets.insert((false, "s".into()), StackSetRecord { id: "s:1".into(), ..StackSetRecord::default() });
        single
    }

    fn set(&mut self) -> &mut StackSetRecord {
        self.0.sets.values_mut().next().unwrap()
    }

    fn accept(&mut self, operation: StackSetOperation) {
        let set = self.0.sets.values_mut().next().unwrap();
        set.accept(operation, Instant::now(), &mut self.0.conditions, &restrictions());
    }

    fn end(&mut self) -> &'static str {
        self.0.settle(Instant::now(), Duration::ZERO, &restrictions());
        self.set().operations.last().unwrap().status()
    }

    fn instances(&mut self) -> Vec<String> {
        let rows = self.set().members.iter();
        rows.map(|((_, region), member)| format!("{region} {} {}", member.status, member.detailed)).collect()
    }
}

#[test]
fn operation_failure_tolerance_applies_per_region() {
    for (tolerance, status) in [
        (FailureTolerance::Count(0), "FAILED"),
        (FailureTolerance::Count(1), "SUCCEEDED"),
        (FailureTolerance::Percentage(100), "SUCCEEDED"),
        (FailureTolerance::Percentage(99), "FAILED"),
    ] {
        let mut single = SingleStackSet::new();
        single.0.conditions.fail(ACCOUNT, "us-east-1", "role missing", 1);
        let mut create = operation("CREATE", &["us-east-1", "eu-west-1"]);
        create.preferences.tolerance = tolerance;
        single.accept(create);
        assert_eq!(single.end(), status, "{tolerance:?}");
        assert_eq!(single.instances(), ["eu-west-1 CURRENT SUCCEEDED", "us-east-1 OUTDATED FAILED"]);
    }
}

#[test]
fn operation_sequential_regions_stop_after_failure() {
    let mut single = SingleStackSet::new();
    single.0.conditions.fail(ACCOUNT, "us-east-1", "role missing", 1);
    let mut create = operation("CREATE", &["eu-west-1", "us-east-1"]);
    create.preferences.in_order = Some(vec!["us-east-1".into()]);
    single.accept(create);
    assert_eq!(single.end(), "FAILED");
    assert_eq!(single.instances(), ["eu-west-1 OUTDATED CANCELLED", "us-east-1 OUTDATED FAILED"]);
}

#[test]
fn instance_is_outdated_until_operation_ends() {
    let mut single = SingleStackSet::new();
    single.accept(operation("CREATE", &["us-east-1"]));
    assert!(single.set().is_busy());
    assert_eq!(single.instances(), ["us-east-1 OUTDATED RUNNING"]);
    assert_eq!(single.end(), "SUCCEEDED");
    assert!(!single.set().is_busy());
    assert_eq!(single.instances(), ["us-east-1 CURRENT SUCCEEDED"]);
}

#[test]
fn operation_queues_and_can_be_stopped() {
    let mut single = SingleStackSet::new();
    single.accept(operation("CREATE", &["us-east-1", "eu-west-1"]));
    single.accept(operation("DELETE", &["us-east-1"]));
    assert_eq!(
        single.set().operations.iter().map(StackSetOperation::status).collect::<Vec<_>>(),
        ["RUNNING", "QUEUED"]
    );
    single.set().operations[0].stopping = true;
    assert_eq!(single.set().operations[0].status(), "STOPPING");
    assert_eq!(single.end(), "SUCCEEDED");
    assert_eq!(single.set().operations[0].status(), "STOPPED");
    assert_eq!(single.instances(), ["eu-west-1 OUTDATED CANCELLED"]);
}

#[test]
fn instance_missing_role_is_the_status_reason() {
    let mut single = SingleStackSet::new();
    single.0.conditions.without_role.insert(ACCOUNT.into());
    single.accept(operation("CREATE", &["us-east-1"]));
    assert_eq!(single.end(), "FAILED");
    let xml = single.set().members_xml(&Form::default()).remove(0);
    let role = "Account 111111111111 should have 'AWSCloudFormationStackSetExecutionRole' role with trust relationship to Role \
                'AWSCloudFormationStackSetAdministrationRole'.";
    assert_eq!(wire::xml_text(&xml, "StatusReason").as_deref(), Some(role));
    assert!(!single.set().members.values().any(|member| member.deployed));
    // An instance that cannot be deleted is INOPERABLE, and can only be deleted with its stack retained.
    single.accept(operation("DELETE", &["us-east-1"]));
    assert_eq!((single.end(), single.instances()), ("FAILED", vec!["us-east-1 INOPERABLE INOPERABLE".to_owned()]));
    single.0.conditions.without_role.clear();
    single.accept(operation("UPDATE", &["us-east-1"]));
    assert_eq!(single.end(), "FAILED");
    single.accept(StackSetOperation { retain: true, ..operation("DELETE", &["us-east-1"]) });
    assert_eq!((single.end(), single.instances()), ("SUCCEEDED", vec![]));
}

#[test]
fn instance_suspended_account_is_skipped() {
    let mut single = SingleStackSet::new();
    let restrictions = AccountRestrictions { suspended: BTreeSet::from([ACCOUNT.to_owned()]), ..restrictions() };
    let set = single.0.sets.values_mut().next().unwrap();
    set.accept(operation("CREATE", &["us-east-1"]), Instant::now(), &mut single.0.conditions, &restrictions);
    assert_eq!(single.end(), "SUCCEEDED");
    assert_eq!(single.instances(), ["us-east-1 OUTDATED SKIPPED_SUSPENDED_ACCOUNT"]);
}

fn reached(form: &str, action: &str) -> Result<Vec<String>, String> {
    let mut set = StackSetRecord { id: "s:1".into(), ..StackSetRecord::default() };
    set.definition.service_managed = form.contains("OrganizationalUnitIds");
    let organization = Organizations::new("000000000000");
    let form = Form::parse(&format!("{form}&Regions.member.1=us-east-1"));
    targets::outcomes(&form, &set, action, &organization.restrictions(), |unit| organization.accounts_below(unit))
        .map(|outcomes| outcomes.into_iter().map(|outcome| outcome.location.0).collect())
        .map_err(|error| wire::xml_text(&error.text(), "Message").unwrap())
}

#[test]
fn targets_units_select_accounts_of_child_units() {
    let unit = |unit: &str| format!("DeploymentTargets.OrganizationalUnitIds.member.1={unit}");
    let all = ["111111111111", "222222222222", "333333333333"].map(str::to_owned);
    assert_eq!(reached(&unit(WORKLOADS), "CREATE").unwrap(), all);
    assert_eq!(reached(&unit("r-sbox"), "CREATE").unwrap(), all);
    assert_eq!(reached(&unit(DATA), "CREATE").unwrap(), all[2..]);
    let filtered = |filter: &str| {
        let listed = "DeploymentTargets.Accounts.member.1=222222222222&DeploymentTargets.AccountFilterType=";
        reached(&format!("{}&{listed}{filter}", unit(WORKLOADS)), "CREATE")
    };
    assert_eq!(filtered("INTERSECTION").unwrap(), all[1..2]);
    assert_eq!(filtered("DIFFERENCE").unwrap(), [all[0].clone(), all[2].clone()]);
    assert!(filtered("NONE").unwrap_err().contains("AccountFilterType must be given"));
    assert!(filtered("UNION").unwrap_err().contains("not supported for CreateStackInstances"));
    assert!(reached(&unit("ou-sbox-nowhere1"), "CREATE").unwrap_err().contains("does not exist"));
    assert_eq!(reached("DeploymentTargets.Accounts.member.1=111111111111", "CREATE").unwrap(), all[..1]);
    assert!(reached("Accounts.member.1=111111111111", "UPDATE").unwrap_err().contains("Stack Instance not found"));
}

#[test]
fn definition_omitted_parameters_fall_back() {
    let before = StackSetDefinition {
        template: "old".into(),
        parameters: [("A", "1"), ("B", "2")].map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        tags: [("team".to_owned(), "backup".to_owned())].into(),
        capabilities: vec!["CAPABILITY_IAM".into()],
        ..StackSetDefinition::default()
    };
    let form = Form::parse(
        "UsePreviousTemplate=true&Parameters.member.1.ParameterKey=B&Parameters.member.1.UsePreviousValue=true",
    );
    let after = before.clone().updated(&form, false).unwrap();
    assert_eq!((after.template.as_str(), after.parameters.len(), after.parameters["B"].as_str()), ("old", 1, "2"));
    assert_eq!((after.tags.len(), after.capabilities.len()), (1, 0));
    let after = before.clone().updated(&Form::parse("TemplateBody=new&Tags="), false).unwrap();
    assert_eq!((after.template.as_str(), after.parameters.len(), after.tags.len()), ("new", 0, 0));
    assert!(before.updated(&Form::parse("TemplateBody=new&UsePreviousTemplate=true"), false).is_err());
}

#[test]
fn bucket_and_key_parses_both_url_styles() {
    let expected = Some(("b".to_owned(), "k/t.yaml".to_owned()));
    assert_eq!(bucket_and_key("https://b.s3.us-east-1.amazonaws.com/k/t.yaml"), expected);
    assert_eq!(bucket_and_key("http://127.0.0.1:4566/b/k/t.yaml"), expected);
    assert_eq!(bucket_and_key("https://s3.amazonaws.com/b/k/t.yaml"), expected);
}

#[test]
fn without_outputs_handles_yaml_and_json() {
    let yaml = "Resources:\n  A: {}\nOutputs:\n  B:\n    Value: 1\n# why\nConditions: {}";
    assert_eq!(without_outputs(yaml), "Resources:\n  A: {}\nConditions: {}");
    assert_eq!(without_outputs("{\"Resources\": {}, \"Outputs\": {}}"), "{\"Resources\":{}}");
}
