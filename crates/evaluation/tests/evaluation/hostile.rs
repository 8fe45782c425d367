//! Hostile input takes time linear in its size and causes no panic.

use serde_json::{Value, json};

use evaluation::inventory::Inventory;
use evaluation::inventory::document::{ResourcePart, Selection, TagValue};
use evaluation::vault_policy;

use super::world::{COVERAGE, asked, document, plan, resource, selection, verdicts, with};

#[test]
fn hostile_patterns_take_bounded_time() {
    let bomb = format!("{}b", "*a".repeat(1_000));
    let value = "a".repeat(20_000);
    let mut document = document();
    let mut it = resource("table/orders", &[]);
    it.tags.insert("k".to_owned(), Some(value.clone()));
    document.resources.push(it);
    let mut soft = resource(&format!("table/{}", "a".repeat(500)), &[]);
    soft.unread.push(ResourcePart::ArnEnd);
    document.resources.push(soft);
    let hostile = with(selection(&[&bomb, "*"], &[&bomb], &[]), [&[], &[], &["k=*a*a*a*a*b"], &[]]);
    let mut likes: Vec<Selection> = (0..20).map(|_| hostile.clone()).collect();
    // Conditions whose common value takes long to find.
    let hard = (0..30).map(|number| TagValue {
        key: "aws:ResourceTag/k".to_owned(),
        value: format!("*{}*", "ab".repeat(number + 1)),
    });
    let mut unfindable = selection(&["*"], &[], &[]);
    unfindable.conditions.string_like = hard.collect();
    unfindable.conditions.string_not_like =
        vec![TagValue { key: "aws:ResourceTag/k".to_owned(), value: "*a*".to_owned() }];
    likes.push(unfindable);
    document.plans.push(plan(likes));
    let verdicts = verdicts(document, &asked(COVERAGE, &[]));
    assert!(verdicts.values().all(|sign| *sign == '-'), "{verdicts:?}");
}

#[test]
fn deep_large_or_odd_policies_are_evaluated() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(vault_policy::evaluate(&Value::String(deep), &[]), vault_policy::PolicyResult::Uncertain(_)));
    let statement = json!({ "Effect": "Deny", "Principal": "*", "Action": vec!["backup:*x"; 5_000], "Resource": "*" });
    let many = json!({ "Statement": vec![statement; 20] });
    assert!(matches!(vault_policy::evaluate(&many, &[]), vault_policy::PolicyResult::Allowed(_)));
    for odd in [
        json!(null),
        json!(5),
        json!({ "Statement": 5 }),
        json!({ "Statement": [5, null, [], "x", { "Effect": 5 }] }),
        json!({ "Statement": { "Effect": "Deny", "Principal": [], "Action": {}, "Resource": 5 } }),
        json!({ "Statement": { "Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*", "Condition": { "x": 5 } } }),
        json!({ "Statement": { "Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*", "Condition": { "x": { "y": {} } } } }),
    ] {
        let _ = vault_policy::evaluate(&odd, &["a"]);
    }
}

#[test]
fn deep_or_truncated_documents_are_rejected() {
    let deep = format!("{{\"version\":1,\"vaults\":{}", "[".repeat(200_000));
    assert!(Inventory::read("inventory.json", &deep).is_err());
    let deep_policy = format!(
        r#"{{"version":1,"asOf":"2026-11-26T00:00:00Z","vaults":[{{"name":"v","account":"111122223333","region":"eu-west-1","policy":{}"#,
        "[".repeat(200_000)
    );
    assert!(Inventory::read("inventory.json", &deep_policy).is_err());
    let whole = serde_json::to_string(&document()).unwrap();
    for end in 0..whole.len() {
        assert!(Inventory::read("inventory.json", whole.get(..end).unwrap()).is_err(), "{end}");
    }
    assert!(Inventory::read("inventory.json", &whole).is_ok());
}
