use super::*;

const PLAN: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";

fn ask(operation: &str, body: &Value) -> (u16, Value) {
    ask_of(&Config::new("000000000000", "us-east-1"), "000000000000", operation, body)
}

/// Sends a request as an account, in eu-west-1.
fn ask_of(config: &Config, account: &str, operation: &str, body: &Value) -> (u16, Value) {
    let scope =
        "AWS4-HMAC-SHA256 Credential=key/20261120/eu-west-1/config/aws4_request, SignedHeaders=host, Signature=0";
    let request = HttpRequest::new("POST", "/")
        .header("authorization", scope)
        .header("x-amz-target", &format!("StarlingDoveService.{operation}"))
        .body(body.to_string());
    let response = config.answer(&ApiCall::of(&request), account, &request);
    (response.status, serde_json::from_slice(&response.body).unwrap())
}

/// Reads all pages from the aggregator; returns the rows and the number of pages.
fn all(config: &Config, operation: &str, list: &str, mut body: Value) -> (Vec<Value>, usize) {
    body["ConfigurationAggregatorName"] = json!(AGGREGATOR);
    let (mut rows, mut pages) = (Vec::new(), 0);
    loop {
        pages += 1;
        let (status, answer) = ask_of(config, "000000000000", operation, &body);
        assert_eq!(status, 200, "{answer}");
        rows.extend(answer[list].as_array().unwrap().clone());
        match &answer["NextToken"] {
            Value::Null => return (rows, pages),
            token => body["NextToken"] = token.clone(),
        }
    }
}

fn volume(id: &str, compliance: RuleCompliance, at: &str) -> RuleEvaluation {
    RuleEvaluation {
        account: "222222222222".into(),
        region: "eu-west-1".into(),
        control: PLAN.into(),
        resource_type: "AWS::EC2::Volume".into(),
        resource_id: id.into(),
        compliance,
        at: Some(at.parse().unwrap()),
        annotation: None,
    }
}

/// Returns Config with this many noncompliant volumes.
fn broken(count: usize) -> Config {
    let config = Config::new("000000000000", "us-east-1");
    for n in 0..count {
        config.evaluate(&volume(&format!("vol-{n:04}"), RuleCompliance::NonCompliant, "2026-11-20T04:12:09.311Z"));
    }
    config
}

fn rules(config: &Config) -> Vec<Value> {
    all(config, "DescribeAggregateComplianceByConfigRules", "AggregateComplianceByConfigRules", json!({})).0
}

fn orders(region: &str) -> Value {
    json!({"SourceAccountId": "222222222222", "SourceRegion": region, "ResourceType": "AWS::RDS::DBCluster", "ResourceId": "cluster-7XK3Q2EXAMPLE5NWQ4"})
}

#[test]
fn batch_get_returns_unprocessed_identifiers() {
    let body = json!({"ConfigurationAggregatorName": AGGREGATOR, "ResourceIdentifiers": [orders("eu-west-1"), orders("us-east-1")]});
    let (_, answer) = ask("BatchGetAggregateResourceConfig", &body);
    assert_eq!(answer["BaseConfigurationItems"][0]["resourceName"], "orders");
    assert_eq!(answer["BaseConfigurationItems"][0].get("tags"), None);
    assert_eq!(answer["UnprocessedResourceIdentifiers"], json!([orders("us-east-1")]));
}

#[test]
fn get_resource_returns_its_tags() {
    let body = json!({"ConfigurationAggregatorName": AGGREGATOR, "ResourceIdentifier": orders("eu-west-1")});
    assert_eq!(ask("GetAggregateResourceConfig", &body).1["ConfigurationItem"]["tags"]["stage"], "production");
    let body = json!({"ConfigurationAggregatorName": AGGREGATOR, "ResourceIdentifier": orders("eu-west-9")});
    assert_eq!(ask("GetAggregateResourceConfig", &body).1["__type"], "ResourceNotDiscoveredException");
}

#[test]
fn aggregator_unknown_name_is_an_error() {
    let (status, answer) = ask("GetAggregateResourceConfig", &json!({"ConfigurationAggregatorName": "x"}));
    assert_eq!((status, answer["__type"].as_str()), (400, Some("NoSuchConfigurationAggregatorException")));
}

fn found(config: &Config, expression: &str) -> Option<Vec<Value>> {
    let body = json!({"ConfigurationAggregatorName": AGGREGATOR, "Expression": expression, "Limit": 100});
    let (status, answer) = ask_of(config, "000000000000", "SelectAggregateResourceConfig", &body);
    assert_eq!(status == 400, answer["__type"] == "InvalidExpressionException", "{answer}");
    let rows = answer["Results"].as_array()?.iter();
    Some(rows.map(|row| serde_json::from_str(row.as_str().unwrap()).unwrap()).collect())
}

#[test]
fn select_parses_supported_expressions_only() {
    let config = Config::new("000000000000", "us-east-1");
    let find = |expression: &str| found(&config, expression);
    assert_eq!(
        find("SELECT resourceName WHERE resourceType = 'AWS::RDS::DBCluster' and accountId IN ('1', '222222222222')"),
        Some(vec![json!({"resourceName": "orders"})])
    );
    assert_eq!(
        find("select tags.key, tags.value, awsRegion where tags.tag = 'stage=production' and resourceName = 'orders'"),
        Some(vec![json!({
            "awsRegion": "eu-west-1",
            "tags": [{"key": "owner", "value": "orders-team@example.com"}, {"key": "stage", "value": "production"}],
        })])
    );
    assert_eq!(
        find(
            "SELECT configuration.BackupPlan.BackupPlanRule.RuleName WHERE configuration.BackupPlan.BackupPlanRule.Lifecycle.DeleteAfterDays < 10"
        ),
        Some(vec![json!({"configuration": {"BackupPlan": {"BackupPlanRule": [{"RuleName": "monthly"}]}}})])
    );
    assert_eq!(find("SELECT resourceId WHERE resourceId LIKE 'vol-%'").unwrap().len(), 1);
    assert_eq!(find("SELECT resourceId WHERE (awsRegion = 'us-east-1' OR resourceName = 'carts') AND NOT resourceType LIKE '%S3%'").unwrap().len(), 2);
    assert_eq!(find("SELECT resourceId WHERE awsRegion = 'us-east-1' AND resourceName != 'it''s'").unwrap().len(), 2);
    assert_eq!(find("SELECT resourceId WHERE awsRegion = 'us-west-9'"), Some(vec![]));
    assert_eq!(find("SELECT resourceId").unwrap().len(), config.resources().len());
    assert_eq!(
        find("SELECT awsRegion, COUNT(*) WHERE awsRegion = 'us-east-1' GROUP BY awsRegion"),
        Some(vec![json!({"awsRegion": "us-east-1", "COUNT(*)": 2})])
    );
    for rejected in [
        "SELECT COUNT(*) WHERE resourceId LIKE 'x%'",
        "SELECT resourceId WHERE",
        "SELECT resourceId WHERE a = 'x",
        "SELECT resourceId WHERE a = 'x' GROUP BY b",
        "SELECT resourceId, COUNT(*) WHERE a = 'x' GROUP BY b",
        "DELETE resourceId",
    ] {
        assert_eq!(find(rejected), None, "{rejected}");
    }
}

#[test]
fn select_resource_compliance_if_recorded() {
    let config = broken(1);
    config.evaluate(&volume("vol-well", RuleCompliance::Compliant, "2026-11-20T04:12:09Z"));
    config.evaluate(&volume("vol-gone", RuleCompliance::NotApplicable, "2026-11-20T04:12:09Z"));
    let expression = "SELECT accountId, configurationItemCaptureTime, configuration.targetResourceId, configuration.configRuleList.complianceType \
                      WHERE resourceType = 'AWS::Config::ResourceCompliance' AND configuration.complianceType = 'NON_COMPLIANT'";
    let expected = json!({
        "accountId": "222222222222", "configurationItemCaptureTime": "2026-11-20T04:12:11.311Z",
        "configuration": {"targetResourceId": "vol-0000", "configRuleList": [{"complianceType": "NON_COMPLIANT"}]},
    });
    assert_eq!(found(&config, expression), Some(vec![expected.clone()]));
    config.set_hidden("222222222222", "eu-west-1", Some(Hidden::Rules));
    assert_eq!(found(&config, expression), Some(vec![expected]));
    config.record_compliance(false);
    assert_eq!(found(&config, expression), Some(vec![]));
}

#[test]
fn evaluate_returns_an_event_if_the_result_changes() {
    let config = Config::new("000000000000", "us-east-1");
    let first = config.evaluate(&volume("vol-1", RuleCompliance::NonCompliant, "2026-11-20T04:12:09.311Z")).unwrap();
    assert_eq!(first["time"], "2026-11-20T04:12:12Z");
    let detail = &first["detail"];
    assert_eq!(detail["newEvaluationResult"]["complianceType"], "NON_COMPLIANT");
    assert_eq!(
        detail["newEvaluationResult"]["evaluationResultIdentifier"]["orderingTimestamp"],
        "2026-11-20T04:12:09.311Z"
    );
    assert_eq!(detail.get("oldEvaluationResult"), None);
    let name = detail["configRuleName"].as_str().unwrap();
    assert!(name.starts_with("EBS-BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN-"), "{name}");
    assert_eq!(name.len(), "EBS-BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN-".len() + 36);
    assert!(detail["configRuleARN"].as_str().unwrap().contains(":config-rule/aws-service-rule/backup.amazonaws.com/"));

    assert_eq!(config.evaluate(&volume("vol-1", RuleCompliance::NonCompliant, "2026-11-21T04:12:09Z")), None);
    let second = config.evaluate(&volume("vol-1", RuleCompliance::Compliant, "2026-11-22T04:12:09Z")).unwrap();
    let old = &second["detail"]["oldEvaluationResult"];
    assert_eq!(old["evaluationResultIdentifier"]["orderingTimestamp"], "2026-11-21T04:12:09.000Z");

    config.recreate_framework("222222222222", "eu-west-1");
    let anew = config.evaluate(&volume("vol-1", RuleCompliance::Compliant, "2026-11-23T04:12:09Z")).unwrap();
    assert_ne!(anew["detail"]["configRuleName"], name);
    assert_ne!(anew["detail"]["configRuleARN"], detail["configRuleARN"]);
}

#[test]
fn aggregator_shows_rules_with_results() {
    let config = broken(30);
    config.evaluate(&volume("vol-well", RuleCompliance::Compliant, "2026-11-20T04:12:09Z"));
    config.evaluate(&volume("vol-gone", RuleCompliance::NotApplicable, "2026-11-20T04:12:09Z"));
    config.evaluate(&RuleEvaluation {
        control: "BACKUP_LAST_RECOVERY_POINT_CREATED".into(),
        ..volume("vol-gone", RuleCompliance::NotApplicable, "2026-11-20T04:12:09Z")
    });
    let shown = rules(&config);
    assert_eq!(shown.len(), 1, "a rule with NOT_APPLICABLE results only is not shown");
    let compliance = json!({"ComplianceType": "NON_COMPLIANT", "ComplianceContributorCount": {"CappedCount": 25, "CapExceeded": true}});
    assert_eq!(shown[0]["Compliance"], compliance);
    let name = &shown[0]["ConfigRuleName"];
    let filtered = |filters: Value| {
        all(
            &config,
            "DescribeAggregateComplianceByConfigRules",
            "AggregateComplianceByConfigRules",
            json!({"Filters": filters}),
        )
        .0
        .len()
    };
    assert_eq!(
        filtered(json!({"AccountId": "222222222222", "AwsRegion": "eu-west-1", "ComplianceType": "NON_COMPLIANT"})),
        1
    );
    assert_eq!(filtered(json!({"AccountId": "111111111111"})), 0);

    let details = |more: Value| {
        let mut body = json!({"ConfigRuleName": name, "AccountId": "222222222222", "AwsRegion": "eu-west-1"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all(&config, "GetAggregateComplianceDetailsByConfigRule", "AggregateEvaluationResults", body)
    };
    assert_eq!(details(json!({})).0.len(), 31);
    assert_eq!(details(json!({"ComplianceType": "COMPLIANT"})).0.len(), 1);
    let (rows, pages) = details(json!({"ComplianceType": "NON_COMPLIANT", "Limit": 10}));
    assert_eq!((rows.len(), pages), (30, 4), "three pages and an empty one");
    assert_eq!(rows[0]["EvaluationResultIdentifier"]["OrderingTimestamp"], 1_795_147_929.311);
    config.send_empty_pages(true);
    assert_eq!(details(json!({"Limit": 100})).1, 2);
}

#[test]
fn aggregator_does_not_show_hidden_rules() {
    let config = broken(1);
    config.set_hidden("222222222222", "eu-west-1", Some(Hidden::Rules));
    assert_eq!(rules(&config), Vec::<Value>::new());
    assert_eq!(found(&config, "SELECT resourceId WHERE resourceName = 'orders'").unwrap().len(), 1);
    config.set_hidden("222222222222", "eu-west-1", Some(Hidden::Everything));
    assert_eq!(found(&config, "SELECT resourceId WHERE resourceName = 'orders'"), Some(vec![]));
    config.set_hidden("222222222222", "eu-west-1", None);
    assert_eq!(rules(&config).len(), 1);
    config.remove_rules("222222222222", "eu-west-1", Some("BACKUP_LAST_RECOVERY_POINT_CREATED"));
    assert_eq!(rules(&config).len(), 1);
    config.forget_results("222222222222", "eu-west-1", "AWS::EC2::Volume", "vol-0000");
    assert_eq!(rules(&config), Vec::<Value>::new());
}

#[test]
fn config_invalid_requests_are_rejected() {
    let config = broken(1);
    let code = |operation: &str, mut body: Value| {
        body["ConfigurationAggregatorName"] = json!(AGGREGATOR);
        let (status, answer) = ask_of(&config, "222222222222", operation, &body);
        assert_eq!(status, 400, "{answer}");
        answer["__type"].as_str().unwrap().to_owned()
    };
    let details = "GetAggregateComplianceDetailsByConfigRule";
    let whole = json!({"ConfigRuleName": "x", "AccountId": "222222222222", "AwsRegion": "eu-west-1"});
    let but = |name: &str, value: Value| {
        let mut body = whole.clone();
        body[name] = value;
        body
    };
    assert_eq!(code(details, but("AccountId", Value::Null)), "ValidationException");
    assert_eq!(code(details, but("ConfigRuleName", json!("x".repeat(129)))), "ValidationException");
    assert_eq!(code(details, but("Limit", json!(101))), "InvalidLimitException");
    assert_eq!(code(details, but("NextToken", json!("of yesterday"))), "InvalidNextTokenException");
    assert_eq!(code("DescribeAggregateComplianceByConfigRules", json!({"Limit": 1001})), "InvalidLimitException");
    assert_eq!(code("DescribeConfigRules", json!({"ConfigRuleNames": ["x"]})), "NoSuchConfigRuleException");
    assert_eq!(code("GetComplianceDetailsByConfigRule", json!({"ConfigRuleName": "x"})), "NoSuchConfigRuleException");
    let insufficient = json!({"ConfigRuleName": "x", "ComplianceTypes": ["INSUFFICIENT_DATA"]});
    assert_eq!(code("GetComplianceDetailsByConfigRule", insufficient), "InvalidParameterValueException");
}

#[test]
fn account_reads_its_rules_if_the_aggregator_is_blind() {
    let config = broken(12);
    config.evaluate(&volume("vol-gone", RuleCompliance::NotApplicable, "2026-11-20T04:12:09Z"));
    config.set_hidden("222222222222", "eu-west-1", Some(Hidden::Everything));
    let ask = |account: &str, operation: &str, body: Value| ask_of(&config, account, operation, &body).1;
    let own = ask("222222222222", "DescribeConfigRules", json!({}));
    let name = own["ConfigRules"][0]["ConfigRuleName"].clone();
    assert_eq!(own["ConfigRules"][0]["CreatedBy"], "backup.amazonaws.com");
    assert_eq!(ask("111111111111", "DescribeConfigRules", json!({}))["ConfigRules"], json!([]));
    let compliance =
        ask("222222222222", "DescribeComplianceByConfigRule", json!({"ComplianceTypes": ["NON_COMPLIANT"]}));
    assert_eq!(compliance["ComplianceByConfigRules"][0]["Compliance"]["ComplianceContributorCount"]["CappedCount"], 12);
    let details = |more: Value| ask("222222222222", "GetComplianceDetailsByConfigRule", more);
    let first = details(json!({"ConfigRuleName": name}));
    assert_eq!(first["EvaluationResults"].as_array().unwrap().len(), 10);
    let empty = details(json!({"ConfigRuleName": name, "NextToken": first["NextToken"]}));
    assert_eq!(empty["EvaluationResults"], json!([]));
    let last = details(json!({"ConfigRuleName": name, "NextToken": empty["NextToken"]}));
    assert_eq!(last["EvaluationResults"].as_array().unwrap().len(), 3);
    let gone = details(json!({"ConfigRuleName": name, "ComplianceTypes": ["NOT_APPLICABLE"]}));
    assert_eq!(
        gone["EvaluationResults"][0]["EvaluationResultIdentifier"]["EvaluationResultQualifier"]["ResourceId"],
        "vol-gone"
    );
}
