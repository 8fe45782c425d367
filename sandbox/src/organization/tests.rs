use super::*;

fn list(organization: &Organizations, account: &str, body: &Value) -> Value {
    ask(organization, account, "ListAccounts", body)
}

fn ask(organization: &Organizations, account: &str, operation: &str, body: &Value) -> Value {
    let request = HttpRequest::new("POST", "/")
        .header("x-amz-target", &format!("AWSOrganizationsV20161128.{operation}"))
        .body(body.to_string());
    let response = organization.answer(&ApiCall::of(&request), account, &request);
    serde_json::from_slice(&response.body).unwrap()
}

#[test]
fn list_accounts_pages_for_the_central_account() {
    let organization = Organizations::new("000000000000");
    organization.add_account("444444444444", "a new one");
    organization.remove_account("333333333333");
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
fn account_of_resolves_assumed_roles() {
    let organization = Organizations::new("000000000000");
    let request = HttpRequest::new("POST", "/")
        .header("content-type", "application/x-www-form-urlencoded")
        .body("Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A222222222222%3Arole%2Freader&RoleSessionName=sweep");
    let call = ApiCall::of(&request);
    assert!(organization.assume_role_error(&call).is_none());
    organization.record_assumed_role(&call, &HttpResponse::new(200, "text/xml", "<AccessKeyId>ASIAX</AccessKeyId>"));
    let accounts = ["ASIAX", "111111111111", "test"].map(|key| organization.account_of(key));
    assert_eq!(accounts, ["222222222222", "111111111111", "000000000000"]);
    organization.set_assume_role_allowed("222222222222", false);
    assert_eq!(organization.assume_role_error(&call).unwrap().status, 403);
    organization.set_assume_role_allowed("222222222222", true);
    organization.remove_account("222222222222");
    assert_eq!(organization.assume_role_error(&call).unwrap().status, 403);
}

#[test]
fn organizational_units_form_a_tree() {
    let organization = Organizations::new("000000000000");
    let ids = |answer: &Value, list: &str| -> Vec<String> {
        answer[list].as_array().unwrap().iter().map(|row| row["Id"].as_str().unwrap().to_owned()).collect()
    };
    let central = |operation: &str, body: Value| ask(&organization, "000000000000", operation, &body);
    assert_eq!(ids(&central("ListRoots", json!({})), "Roots"), [ROOT]);
    let below = |unit: &str| json!({"ParentId": unit});
    assert_eq!(ids(&central("ListAccountsForParent", below(ROOT)), "Accounts"), ["000000000000"]);
    assert_eq!(ids(&central("ListOrganizationalUnitsForParent", below(ROOT)), "OrganizationalUnits"), [WORKLOADS]);
    assert_eq!(ids(&central("ListAccountsForParent", below(WORKLOADS)), "Accounts"), ["111111111111", "222222222222"]);
    let units = json!({"ParentId": WORKLOADS, "ChildType": "ORGANIZATIONAL_UNIT"});
    assert_eq!(ids(&central("ListChildren", units), "Children"), [DATA]);
    assert_eq!(central("ListParents", json!({"ChildId": DATA}))["Parents"][0]["Type"], "ORGANIZATIONAL_UNIT");
    for operation in ["ListAccountsForParent", "ListOrganizationalUnitsForParent", "ListChildren"] {
        assert_eq!(central(operation, below("ou-sbox-nowhere1"))["__type"], "ParentNotFoundException", "{operation}");
    }

    let unit = organization.create_unit(DATA, "lake");
    organization.add_account("444444444444", "lake");
    organization.move_account("444444444444", &unit);
    let below = organization.accounts_below(WORKLOADS).unwrap();
    assert_eq!(below.into_iter().collect::<Vec<_>>(), ["111111111111", "222222222222", "333333333333", "444444444444"]);
    assert!(organization.accounts_below("ou-sbox-nowhere1").is_none());
    organization.set_suspended("444444444444", true);
    assert_eq!(central("DescribeAccount", json!({"AccountId": "444444444444"}))["Account"]["State"], "SUSPENDED");
    assert_eq!(organization.restrictions().suspended.into_iter().collect::<Vec<_>>(), ["444444444444"]);
}

#[test]
fn stack_set_access_follows_management_account() {
    let organization = Organizations::new("000000000000");
    assert!(organization.stack_sets_error(false).is_none());
    assert!(organization.stack_sets_error(true).is_some());
    organization.set_management_account("999999999999");
    assert!(organization.stack_sets_error(false).is_some());
    assert!(organization.stack_sets_error(true).is_none());
    assert_eq!(
        ask(&organization, "999999999999", "DescribeOrganization", &json!({}))["Organization"]["MasterAccountId"],
        "999999999999"
    );
    organization.set_trusted_access(false);
    assert!(organization.stack_sets_error(true).is_some());
}
