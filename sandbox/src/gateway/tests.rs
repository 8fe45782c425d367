use super::*;

fn signed(service: &str) -> Request {
    let scope = format!(
        "AWS4-HMAC-SHA256 Credential=222222222222/20261120/eu-west-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    );
    Request::new("POST", "/").header("Authorization", &scope)
}

#[test]
fn a_query_call_is_read_from_its_form() {
    let request = signed("cloudformation")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body("Action=UpdateStackSet&StackSetName=a");
    let call = Call::of(&request);
    assert_eq!((call.service.as_str(), call.operation.as_str()), ("cloudformation", "UpdateStackSet"));
    assert_eq!((call.access_key.as_str(), call.region.as_str()), ("222222222222", "eu-west-1"));
    assert_eq!(call.protocol(&request), Protocol::Query);
}

#[test]
fn a_json_call_is_read_from_its_target_also_when_it_is_not_signed() {
    let request = Request::new("POST", "/").header("X-Amz-Target", "CodeCommit_20150413.GetBranch").body("{}");
    let call = Call::of(&request);
    assert_eq!((call.service.as_str(), call.operation.as_str()), ("codecommit", "GetBranch"));
}

#[test]
fn objects_and_invocations_have_their_names() {
    let mut request = signed("s3");
    request.method = "PUT".to_owned();
    request.target = "/bucket/a/b?x-id=PutObject".to_owned();
    assert_eq!(Call::of(&request).operation, "PutObject");
    let mut request = signed("lambda");
    request.target = "/2015-03-31/functions/f/invocations".to_owned();
    assert_eq!(Call::of(&request).operation, "Invoke");
}
