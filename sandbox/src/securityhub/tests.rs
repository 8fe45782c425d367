use super::*;

const ACCOUNT: &str = "000000000000";

fn ask(hub: &SecurityHubEmulator, account: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let scope =
        "AWS4-HMAC-SHA256 Credential=key/20261120/us-east-1/securityhub/aws4_request, SignedHeaders=host, Signature=0";
    let request = HttpRequest::new(method, path).header("authorization", scope).body(body.to_string());
    let response = hub.answer(&ApiCall::of(&request), account, &request);
    (response.status, serde_json::from_slice(&response.body).unwrap())
}

fn finding(id: &str, updated: &str, status: &str) -> Value {
    json!({
        "SchemaVersion": "2018-10-08", "Id": id, "GeneratorId": "backup-compliance", "AwsAccountId": ACCOUNT,
        "ProductArn": format!("arn:aws:securityhub:us-east-1:{ACCOUNT}:product/{ACCOUNT}/default"),
        "CreatedAt": "2026-11-20T04:12:09.311Z", "UpdatedAt": updated, "Title": "a title", "Description": "a description",
        "FindingProviderFields": {"Severity": {"Label": "HIGH"}, "Types": ["Software and Configuration Checks"]},
        "Resources": [{"Type": "AwsEc2Volume", "Id": "arn:aws:ec2:us-east-1:222222222222:volume/vol-1"}],
        "Compliance": {"Status": status},
    })
}

fn import(hub: &SecurityHubEmulator, findings: &[Value]) -> (u16, Value) {
    ask(hub, ACCOUNT, "POST", "/findings/import", &json!({"Findings": findings}))
}

fn hub() -> SecurityHubEmulator {
    SecurityHubEmulator::new(ACCOUNT, "us-east-1")
}

#[test]
fn import_updates_a_finding_if_later() {
    let hub = hub();
    let taken = json!({"FailedCount": 0, "SuccessCount": 1, "FailedFindings": []});
    assert_eq!(import(&hub, &[finding("a", "2026-11-20T04:12:09Z", "FAILED")]), (200, taken.clone()));
    assert_eq!(import(&hub, &[finding("a", "2026-11-20T04:12:09Z", "PASSED")]), (200, taken.clone()));
    assert_eq!(hub.findings()[0]["Compliance"]["Status"], "FAILED");
    let mut later = finding("a", "2026-11-20T04:12:09.001Z", "PASSED");
    later["Workflow"] = json!({"Status": "RESOLVED"});
    assert_eq!(import(&hub, &[later]), (200, taken));
    assert_eq!((hub.findings().len(), &hub.findings()[0]["Compliance"]["Status"]), (1, &json!("PASSED")));
    assert_eq!(hub.findings()[0]["Workflow"]["Status"], "NEW", "imports do not change the workflow");
}

#[test]
fn import_invalid_findings_fail_one_by_one() {
    let hub = hub();
    let but = |name: &str, value: Value| {
        let mut finding = finding(name, "2026-11-20T04:12:09Z", "FAILED");
        finding[name] = value;
        finding
    };
    let wrong = [
        but("AwsAccountId", json!("222222222222")),
        but("ProductArn", json!("arn:aws:securityhub:eu-west-1:000000000000:product/000000000000/default")),
        but("Title", json!("x".repeat(257))),
        but("UpdatedAt", json!("yesterday")),
        but("Resources", json!([{"Type": "AWS::EC2::Volume", "Id": "vol-1"}])),
        but("FindingProviderFields", Value::Null),
        but("Description", json!("")),
        but("ProductFields", json!({"large": "x".repeat(LARGEST)})),
    ];
    let mut all = wrong.to_vec();
    all.push(finding("right", "2026-11-20T04:12:09Z", "FAILED"));
    let (status, answer) = import(&hub, &all);
    assert_eq!((status, &answer["FailedCount"], &answer["SuccessCount"]), (200, &json!(8), &json!(1)));
    let codes: Vec<&str> = answer["FailedFindings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failed| failed["ErrorCode"].as_str().unwrap())
        .collect();
    assert_eq!(codes[..3], ["InvalidAccess", "InvalidAccess", "InvalidInput"]);
    assert!(codes[3..].iter().all(|code| *code == "InvalidInput"));
    assert_eq!(hub.findings().len(), 1);
    let many = vec![finding("a", "2026-11-20T04:12:09Z", "FAILED"); 101];
    assert_eq!(import(&hub, &many).1["__type"], "InvalidInputException");
}

#[test]
fn security_hub_disabled_is_an_error() {
    let hub = hub();
    let other = |method: &str, path: &str| ask(&hub, "222222222222", method, path, &json!({}));
    assert_eq!(other("POST", "/findings/import").1["__type"], "InvalidAccessException");
    assert_eq!(other("POST", "/accounts").0, 200);
    assert_eq!(other("POST", "/accounts").1["__type"], "ResourceConflictException");
    assert_eq!(other("GET", "/accounts").0, 200);
    hub.disable(ACCOUNT, "us-east-1");
    assert_eq!(import(&hub, &[finding("a", "2026-11-20T04:12:09Z", "FAILED")]).0, 401);
}

#[test]
fn get_findings_filters_and_pages() {
    let hub = hub();
    let findings: Vec<Value> = (0..5)
        .map(|n| finding(&format!("a/{n}"), "2026-11-20T04:12:09Z", if n == 0 { "PASSED" } else { "FAILED" }))
        .collect();
    import(&hub, &findings);
    let get = |body: Value| ask(&hub, ACCOUNT, "POST", "/findings", &body).1;
    let failed = json!({"ComplianceStatus": [{"Value": "FAILED", "Comparison": "EQUALS"}], "Id": [{"Value": "a/", "Comparison": "PREFIX"}]});
    let first = get(json!({"Filters": failed, "MaxResults": 3}));
    assert_eq!(first["Findings"].as_array().unwrap().len(), 3);
    let second = get(json!({"Filters": failed, "MaxResults": 3, "NextToken": first["NextToken"]}));
    assert_eq!((second["Findings"].as_array().unwrap().len(), &second["NextToken"]), (1, &Value::Null));
    assert_eq!(get(json!({"Filters": {"Confidence": []}}))["__type"], "InvalidInputException");
    assert_eq!(ask(&hub, "222222222222", "POST", "/accounts", &json!({})).0, 200);
    assert_eq!(ask(&hub, "222222222222", "POST", "/findings", &json!({})).1["Findings"], json!([]));
}
