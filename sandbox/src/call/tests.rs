use super::*;

fn signed(service: &str) -> HttpRequest {
    let scope = format!(
        "AWS4-HMAC-SHA256 Credential=222222222222/20261120/eu-west-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    );
    HttpRequest::new("POST", "/").header("Authorization", &scope)
}

#[test]
fn call_query_operation_is_the_action() {
    let request = signed("cloudformation")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body("Action=UpdateStackSet&StackSetName=a");
    let call = ApiCall::of(&request);
    assert_eq!((call.service.as_str(), call.operation.as_str()), ("cloudformation", "UpdateStackSet"));
    assert_eq!((call.access_key.as_str(), call.region.as_str()), ("222222222222", "eu-west-1"));
    assert_eq!(call.protocol(&request), Protocol::Query);
}

#[test]
fn call_unsigned_json_service_is_in_the_target() {
    let request = HttpRequest::new("POST", "/").header("X-Amz-Target", "CodeCommit_20150413.GetBranch").body("{}");
    let call = ApiCall::of(&request);
    assert_eq!((call.service.as_str(), call.operation.as_str()), ("codecommit", "GetBranch"));
}

#[test]
fn call_rest_operation_follows_method_and_path() {
    let mut request = signed("s3");
    request.method = "PUT".to_owned();
    request.target = "/bucket/a/b?x-id=PutObject".to_owned();
    assert_eq!(ApiCall::of(&request).operation, "PutObject");
    let mut request = signed("lambda");
    request.target = "/2015-03-31/functions/f/invocations".to_owned();
    assert_eq!(ApiCall::of(&request).operation, "Invoke");
}
