use super::*;

fn operation(tolerance: Tolerance, failed: &[(&str, bool)]) -> Operation {
    let results = failed.iter().map(|(region, failed)| Outcome {
        account: "111111111111".into(),
        region: (*region).into(),
        failure: failed.then(|| "role missing".to_owned()),
    });
    Operation {
        id: "op".into(),
        action: "CREATE",
        results: results.collect(),
        created: String::new(),
        over: Instant::now(),
        ended: Some(String::new()),
        tolerance,
        retain: false,
    }
}

#[test]
fn the_tolerance_counts_for_each_region() {
    let failures = [("us-east-1", true), ("us-east-1", false), ("eu-west-1", true), ("eu-west-1", false)];
    assert_eq!(operation(Tolerance::Count(0), &failures).status(), "FAILED");
    assert_eq!(operation(Tolerance::Count(1), &failures).status(), "SUCCEEDED");
    assert_eq!(operation(Tolerance::Percentage(50), &failures).status(), "SUCCEEDED");
    assert_eq!(operation(Tolerance::Percentage(49), &failures).status(), "FAILED");
}

#[test]
fn an_instance_is_outdated_while_its_operation_runs_and_current_after() {
    let mut set = Set::default();
    let mut create = operation(Tolerance::Count(0), &[("us-east-1", false)]);
    create.ended = None;
    set.begin("s", create, "template", &BTreeMap::new(), Some(&BTreeMap::new()));
    assert!(set.is_busy());
    assert!(set.members_xml(&Form::default())[0].contains("<Status>OUTDATED</Status>"));
    set.settle(Instant::now());
    assert!(!set.is_busy());
    assert!(set.members_xml(&Form::default())[0].contains("<Status>CURRENT</Status>"));
}

#[test]
fn a_failed_instance_says_why() {
    let mut set = Set::default();
    let mut create = operation(Tolerance::Count(0), &[("us-east-1", true)]);
    create.ended = None;
    set.begin("s", create, "template", &BTreeMap::new(), None);
    set.settle(Instant::now());
    let xml = &set.members_xml(&Form::default())[0];
    assert!(xml.contains("<Status>OUTDATED</Status>") && xml.contains("role missing"), "{xml}");
    assert!(!set.members.values().any(|member| member.deployed));
}

#[test]
fn both_forms_of_an_s3_address_are_read() {
    let expected = Some(("b".to_owned(), "k/t.yaml".to_owned()));
    assert_eq!(bucket_and_key("https://b.s3.us-east-1.amazonaws.com/k/t.yaml"), expected);
    assert_eq!(bucket_and_key("http://127.0.0.1:4566/b/k/t.yaml"), expected);
    assert_eq!(bucket_and_key("https://s3.amazonaws.com/b/k/t.yaml"), expected);
}

#[test]
fn accounts_within_deployment_targets_are_brought_to_the_top() {
    let mut form = Form::parse("DeploymentTargets.Accounts.member.1=111111111111");
    accounts_at_the_top(&mut form);
    assert_eq!(form.encode(), "Accounts.member.1=111111111111");
}

#[test]
fn outputs_are_left_out_of_both_kinds_of_template() {
    let yaml = "Resources:\n  A: {}\nOutputs:\n  B:\n    Value: 1\n# why\nConditions: {}";
    assert_eq!(without_outputs(yaml), "Resources:\n  A: {}\nConditions: {}");
    assert_eq!(without_outputs("{\"Resources\": {}, \"Outputs\": {}}"), "{\"Resources\":{}}");
}
