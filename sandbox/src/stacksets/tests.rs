use super::*;
use crate::organization::{DATA, Standing, WORKLOADS};

const ACCOUNT: &str = "111111111111";

fn standing() -> Standing {
    Standing { management: "000000000000".into(), suspended: BTreeSet::new() }
}

fn operation(action: &'static str, regions: &[&str]) -> Operation {
    let outcomes = regions.iter().map(|region| Outcome {
        place: (ACCOUNT.into(), (*region).into()),
        unit: None,
        result: Fate::Succeeds,
    });
    Operation {
        id: ids::uuid(),
        action,
        outcomes: outcomes.collect(),
        overrides: Some(BTreeMap::new()),
        all: false,
        preferences: Preferences::default(),
        retain: false,
        stage: Stage::Queued,
        stopping: false,
        created: String::new(),
        ended: None,
    }
}

/// A StackSet alone in its book, whose operations are over as soon as one looks again.
#[derive(Default)]
struct Alone(Book);

impl Alone {
    fn new() -> Self {
        let mut alone = Self::default();
        alone.0.sets.insert((false, "s".into()), Set { id: "s:1".into(), ..Set::default() });
        alone
    }

    fn set(&mut self) -> &mut Set {
        self.0.sets.values_mut().next().unwrap()
    }

    fn accept(&mut self, operation: Operation) {
        let set = self.0.sets.values_mut().next().unwrap();
        set.accept(operation, Instant::now(), &mut self.0.conditions, &standing());
    }

    fn end(&mut self) -> &'static str {
        self.0.settle(Instant::now(), Duration::ZERO, &standing());
        self.set().operations.last().unwrap().status()
    }

    fn instances(&mut self) -> Vec<String> {
        let rows = self.set().members.iter();
        rows.map(|((_, region), member)| format!("{region} {} {}", member.status, member.detailed)).collect()
    }
}

#[test]
fn the_tolerance_counts_for_each_region() {
    for (tolerance, status) in [
        (Tolerance::Count(0), "FAILED"),
        (Tolerance::Count(1), "SUCCEEDED"),
        (Tolerance::Percentage(100), "SUCCEEDED"),
        (Tolerance::Percentage(99), "FAILED"),
    ] {
        let mut alone = Alone::new();
        alone.0.conditions.fail(ACCOUNT, "us-east-1", "role missing", 1);
        let mut create = operation("CREATE", &["us-east-1", "eu-west-1"]);
        create.preferences.tolerance = tolerance;
        alone.accept(create);
        assert_eq!(alone.end(), status, "{tolerance:?}");
        assert_eq!(alone.instances(), ["eu-west-1 CURRENT SUCCEEDED", "us-east-1 OUTDATED FAILED"]);
    }
}

#[test]
fn regions_one_after_the_other_end_with_the_one_that_fails() {
    let mut alone = Alone::new();
    alone.0.conditions.fail(ACCOUNT, "us-east-1", "role missing", 1);
    let mut create = operation("CREATE", &["eu-west-1", "us-east-1"]);
    create.preferences.in_order = Some(vec!["us-east-1".into()]);
    alone.accept(create);
    assert_eq!(alone.end(), "FAILED");
    assert_eq!(alone.instances(), ["eu-west-1 OUTDATED CANCELLED", "us-east-1 OUTDATED FAILED"]);
}

#[test]
fn an_instance_is_outdated_while_its_operation_runs_and_current_after() {
    let mut alone = Alone::new();
    alone.accept(operation("CREATE", &["us-east-1"]));
    assert!(alone.set().is_busy());
    assert_eq!(alone.instances(), ["us-east-1 OUTDATED RUNNING"]);
    assert_eq!(alone.end(), "SUCCEEDED");
    assert!(!alone.set().is_busy());
    assert_eq!(alone.instances(), ["us-east-1 CURRENT SUCCEEDED"]);
}

#[test]
fn an_operation_waits_for_the_one_before_it_and_can_be_stopped() {
    let mut alone = Alone::new();
    alone.accept(operation("CREATE", &["us-east-1", "eu-west-1"]));
    alone.accept(operation("DELETE", &["us-east-1"]));
    assert_eq!(alone.set().operations.iter().map(Operation::status).collect::<Vec<_>>(), ["RUNNING", "QUEUED"]);
    alone.set().operations[0].stopping = true;
    assert_eq!(alone.set().operations[0].status(), "STOPPING");
    assert_eq!(alone.end(), "SUCCEEDED");
    assert_eq!(alone.set().operations[0].status(), "STOPPED");
    assert_eq!(alone.instances(), ["eu-west-1 OUTDATED CANCELLED"]);
}

#[test]
fn what_is_in_the_way_is_told_in_the_words_of_cloudformation() {
    let mut alone = Alone::new();
    alone.0.conditions.without_role.insert(ACCOUNT.into());
    alone.accept(operation("CREATE", &["us-east-1"]));
    assert_eq!(alone.end(), "FAILED");
    let xml = alone.set().members_xml(&Form::default()).remove(0);
    let role = "Account 111111111111 should have 'AWSCloudFormationStackSetExecutionRole' role with trust relationship to Role \
                'AWSCloudFormationStackSetAdministrationRole'.";
    assert_eq!(wire::xml_text(&xml, "StatusReason").as_deref(), Some(role));
    assert!(!alone.set().members.values().any(|member| member.deployed));
    // What cannot be deleted is inoperable, and can only be let go of.
    alone.accept(operation("DELETE", &["us-east-1"]));
    assert_eq!((alone.end(), alone.instances()), ("FAILED", vec!["us-east-1 INOPERABLE INOPERABLE".to_owned()]));
    alone.0.conditions.without_role.clear();
    alone.accept(operation("UPDATE", &["us-east-1"]));
    assert_eq!(alone.end(), "FAILED");
    alone.accept(Operation { retain: true, ..operation("DELETE", &["us-east-1"]) });
    assert_eq!((alone.end(), alone.instances()), ("SUCCEEDED", vec![]));
}

#[test]
fn a_suspended_account_is_left_alone() {
    let mut alone = Alone::new();
    let standing = Standing { suspended: BTreeSet::from([ACCOUNT.to_owned()]), ..standing() };
    let set = alone.0.sets.values_mut().next().unwrap();
    set.accept(operation("CREATE", &["us-east-1"]), Instant::now(), &mut alone.0.conditions, &standing);
    assert_eq!(alone.end(), "SUCCEEDED");
    assert_eq!(alone.instances(), ["us-east-1 OUTDATED SKIPPED_SUSPENDED_ACCOUNT"]);
}

fn reached(form: &str, action: &str) -> Result<Vec<String>, String> {
    let mut set = Set { id: "s:1".into(), ..Set::default() };
    set.definition.service_managed = form.contains("OrganizationalUnitIds");
    let organization = Organization::new("000000000000");
    let form = Form::parse(&format!("{form}&Regions.member.1=us-east-1"));
    targets::outcomes(&form, &set, action, &organization.standing(), |unit| organization.accounts_below(unit))
        .map(|outcomes| outcomes.into_iter().map(|outcome| outcome.place.0).collect())
        .map_err(|refusal| wire::xml_text(&refusal.text(), "Message").unwrap())
}

#[test]
fn units_come_to_accounts_with_child_units_and_without_the_management_account() {
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
fn what_an_update_leaves_out_falls_back_or_stays() {
    let before = Definition {
        template: "old".into(),
        parameters: [("A", "1"), ("B", "2")].map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        tags: [("team".to_owned(), "backup".to_owned())].into(),
        capabilities: vec!["CAPABILITY_IAM".into()],
        ..Definition::default()
    };
    let form = Form::parse(
        "UsePreviousTemplate=true&Parameters.member.1.ParameterKey=B&Parameters.member.1.UsePreviousValue=true",
    );
    let after = before.clone().given(&form, false).unwrap();
    assert_eq!((after.template.as_str(), after.parameters.len(), after.parameters["B"].as_str()), ("old", 1, "2"));
    assert_eq!((after.tags.len(), after.capabilities.len()), (1, 0));
    let after = before.clone().given(&Form::parse("TemplateBody=new&Tags="), false).unwrap();
    assert_eq!((after.template.as_str(), after.parameters.len(), after.tags.len()), ("new", 0, 0));
    assert!(before.given(&Form::parse("TemplateBody=new&UsePreviousTemplate=true"), false).is_err());
}

#[test]
fn both_forms_of_an_s3_address_are_read() {
    let expected = Some(("b".to_owned(), "k/t.yaml".to_owned()));
    assert_eq!(bucket_and_key("https://b.s3.us-east-1.amazonaws.com/k/t.yaml"), expected);
    assert_eq!(bucket_and_key("http://127.0.0.1:4566/b/k/t.yaml"), expected);
    assert_eq!(bucket_and_key("https://s3.amazonaws.com/b/k/t.yaml"), expected);
}

#[test]
fn outputs_are_left_out_of_both_kinds_of_template() {
    let yaml = "Resources:\n  A: {}\nOutputs:\n  B:\n    Value: 1\n# why\nConditions: {}";
    assert_eq!(without_outputs(yaml), "Resources:\n  A: {}\nConditions: {}");
    assert_eq!(without_outputs("{\"Resources\": {}, \"Outputs\": {}}"), "{\"Resources\":{}}");
}
