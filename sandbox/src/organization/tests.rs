use super::*;

fn list(organization: &Organization, account: &str, body: &Value) -> Value {
    let request = Request::new("POST", "/")
        .header("x-amz-target", "AWSOrganizationsV20161128.ListAccounts")
        .body(body.to_string());
    let response = organization.answer(&Call::of(&request), account, &request);
    serde_json::from_slice(&response.body).unwrap()
}

#[test]
fn the_central_account_lists_the_accounts_in_pages() {
    let organization = Organization::new("000000000000");
    organization.join("444444444444", "a new one");
    organization.leave("333333333333");
    let first = list(&organization, "000000000000", &json!({"MaxResults": 3}));
    let names: Vec<&str> =
        first["Accounts"].as_array().unwrap().iter().map(|account| account["Name"].as_str().unwrap()).collect();
    assert_eq!(names, ["backup administration", "shop", "payments"]);
    let second = list(&organization, "000000000000", &json!({"MaxResults": 3, "NextToken": first["NextToken"]}));
    assert_eq!((&second["Accounts"][0]["Id"], &second["NextToken"]), (&json!("444444444444"), &Value::Null));
    assert_eq!(list(&organization, "000000000000", &json!({"MaxResults": 21}))["__type"], "InvalidInputException");
    assert_eq!(list(&organization, "111111111111", &json!({}))["__type"], "AccessDeniedException");
}

#[test]
fn the_account_behind_an_access_key_is_known() {
    let organization = Organization::new("000000000000");
    let request = Request::new("POST", "/")
        .header("content-type", "application/x-www-form-urlencoded")
        .body("Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A222222222222%3Arole%2Freader&RoleSessionName=sweep");
    let call = Call::of(&request);
    assert!(organization.refuses(&call).is_none());
    organization.assumed(&call, &Response::new(200, "text/xml", "<AccessKeyId>ASIAX</AccessKeyId>"));
    let accounts = ["ASIAX", "111111111111", "test"].map(|key| organization.account_of(key));
    assert_eq!(accounts, ["222222222222", "111111111111", "000000000000"]);
    organization.open("222222222222", false);
    assert_eq!(organization.refuses(&call).unwrap().status, 403);
    organization.open("222222222222", true);
    organization.leave("222222222222");
    assert_eq!(organization.refuses(&call).unwrap().status, 403);
}
