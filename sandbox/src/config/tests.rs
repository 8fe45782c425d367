use super::*;

fn ask(operation: &str, body: &Value) -> (u16, Value) {
    let request = Request::new("POST", "/")
        .header("x-amz-target", &format!("StarlingDoveService.{operation}"))
        .body(body.to_string());
    let response = Config::new("000000000000", "us-east-1").answer(&Call::of(&request), &request);
    (response.status, serde_json::from_slice(&response.body).unwrap())
}

fn orders(region: &str) -> Value {
    json!({"SourceAccountId": "222222222222", "SourceRegion": region, "ResourceType": "AWS::RDS::DBCluster", "ResourceId": "cluster-7XK3Q2EXAMPLE5NWQ4"})
}

#[test]
fn a_batch_gives_what_is_there_and_names_what_is_not() {
    let body = json!({"ConfigurationAggregatorName": AGGREGATOR, "ResourceIdentifiers": [orders("eu-west-1"), orders("us-east-1")]});
    let (_, answer) = ask("BatchGetAggregateResourceConfig", &body);
    assert_eq!(answer["BaseConfigurationItems"][0]["resourceName"], "orders");
    assert_eq!(answer["BaseConfigurationItems"][0].get("tags"), None);
    assert_eq!(answer["UnprocessedResourceIdentifiers"], json!([orders("us-east-1")]));
}

#[test]
fn one_resource_comes_with_its_tags() {
    let body = json!({"ConfigurationAggregatorName": AGGREGATOR, "ResourceIdentifier": orders("eu-west-1")});
    assert_eq!(ask("GetAggregateResourceConfig", &body).1["ConfigurationItem"]["tags"]["stage"], "production");
    let body = json!({"ConfigurationAggregatorName": AGGREGATOR, "ResourceIdentifier": orders("eu-west-9")});
    assert_eq!(ask("GetAggregateResourceConfig", &body).1["__type"], "ResourceNotDiscoveredException");
}

#[test]
fn another_aggregator_does_not_exist() {
    let (status, answer) = ask("GetAggregateResourceConfig", &json!({"ConfigurationAggregatorName": "x"}));
    assert_eq!((status, answer["__type"].as_str()), (400, Some("NoSuchConfigurationAggregatorException")));
}

#[test]
fn simple_expressions_are_understood_and_others_refused() {
    let resources = seed::resources();
    let names = |expression: &str| select(&resources, expression).map(|(_, rows)| rows);
    let found =
        names("SELECT resourceName WHERE resourceType = 'AWS::RDS::DBCluster' and accountId IN ('1', '222222222222')");
    assert_eq!(found, Some(vec!["{\"resourceName\":\"orders\"}".to_owned()]));
    assert_eq!(names("SELECT resourceId WHERE awsRegion = 'us-east-1'"), Some(vec![]));
    assert_eq!(names("SELECT resourceId").map(|rows| rows.len()), Some(2));
    assert_eq!(names("SELECT COUNT(*) WHERE resourceId LIKE 'x%'"), None);
}
