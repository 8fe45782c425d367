//! Plans of Terraform.

use proptest::prelude::*;
use serde_json::json;

use super::configuration::{fits, static_address, tokens};
use super::*;

fn error(text: &str) -> String {
    TerraformPlan::read("plan.json", text).map_or_else(|error| error.to_string(), |_| "accepted".to_owned())
}

#[test]
fn other_major_version_is_rejected() {
    let of = |version: &str| json!({"format_version": version, "resource_changes": []}).to_string();
    assert_eq!(error(&of("1.2")), "accepted");
    assert_eq!(error(&of("1.99")), "accepted");
    assert!(error(&of("2.0")).contains("`format_version` is `2.0`, and only version 1 is supported; "));
    assert!(error("{}").contains("not a plan of Terraform"));
}

#[test]
fn error_quotes_no_value_of_the_plan() {
    for text in [
        r#"{"format_version": "1.2", "resource_changes": [{"address": ["p4ssword"]}]}"#,
        r#"{"format_version": "1.2", "resource_changes": "p4ssword"}"#,
        r#"{"format_version": "1.2", "resource_changes": [], p4ssword}"#,
        r#"{"format_version": "1.2", "variables": {"a": "p4ssword"}, "resource_changes": []}"#,
        r#"{"format_version": "1.2", "resource_changes": [{"p4ssword"#,
    ] {
        let error = error(text);
        assert!(error.starts_with("plan.json:1:") && !error.contains("p4ssword"), "{error}");
    }
}

#[test]
fn plan_is_recognized_by_its_first_level() {
    for (text, expected) in [
        (r#"{"format_version": "1.2", "resource_changes": []}"#, true),
        ("\u{feff} {\"resource_changes\": [], \"format_version\": \"1.0\"}", true),
        (r#"{"format_version": "1.2", "resource_changes": [{"#, true),
        (r#"{"Resources": {"format_version": "1.2", "resource_changes": []}}"#, false),
        (r#"{"format_version": "1.2"}"#, false),
        ("Resources: {}", false),
        ("", false),
    ] {
        assert_eq!(TerraformPlan::is_plan(text), expected, "{text}");
    }
}

#[test]
fn addresses_are_split_outside_of_brackets() {
    let address = r#"module.a["x.y]\".z"].module.b[0].aws_t.n["k.l"]"#;
    assert_eq!(tokens(address), ["module", r#"a["x.y]\".z"]"#, "module", "b[0]", "aws_t", r#"n["k.l"]"#]);
    assert_eq!(static_address(address), "module.a.module.b.aws_t.n");
    assert!(fits("module.a.module.b[0].aws_t.n", address));
    assert!(!fits("module.a.module.b[1].aws_t.n", address));
}

/// JSON with the keys of plans.
fn any_json() -> impl Strategy<Value = Value> {
    let keys = "format_version|resource_changes|configuration|root_module|module_calls|resources|expressions|references|\
                address|type|name|mode|change|after|after_unknown|after_sensitive|actions|tags|tags_all|rule|lifecycle|\
                condition|selection_tag|plan_id|backup_vault_name|region|provider_config|aws|module|outputs|a";
    let texts = "1\\.2|managed|aws_(db_instance|instance|backup_(plan|selection|vault|vault_lock_configuration|\
                 region_settings))|aws_backup_vault\\.a(\\.name)?|module\\.a\\.a|var\\.a|a|\\[|\"|\\*|";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        texts.prop_map(Value::from)
    ];
    leaf.prop_recursive(8, 80, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(keys, inner, 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_plan_is_read_without_panic(
        kinds in prop::collection::vec(0..types::TYPES.len(), 0..6),
        parts in prop::collection::vec(any_json(), 24),
        configuration in any_json(),
    ) {
        let mut parts = parts.into_iter();
        let mut next = || parts.next().unwrap_or_default();
        let changes: Vec<Value> = kinds.iter().filter_map(|index| types::TYPES.get(*index)).map(|kind| {
            let (mut after, unknown, sensitive) = (next(), next(), next());
            if !after.is_object() {
                after = json!({"name": after.clone(), "rule": [after.clone()], "tags": after});
            }
            let change = json!({"after": after, "after_unknown": unknown, "after_sensitive": sensitive});
            json!({"address": format!("{}.a", kind.name), "mode": "managed", "type": kind.name, "name": "a", "change": change})
        }).collect();
        for configuration in [configuration, json!({})] {
            let text = json!({"format_version": "1.2", "resource_changes": changes, "configuration": configuration});
            if let Ok(plan) = TerraformPlan::read("plan.json", &text.to_string()) {
                prop_assert!(plan.resources().len() <= kinds.len());
                prop_assert!(plan.settings().len() <= kinds.len());
            }
        }
    }

    #[test]
    fn any_json_is_read_without_panic(value in any_json()) {
        let text = value.to_string();
        prop_assert_eq!(TerraformPlan::read("plan.json", &text).is_ok() && !TerraformPlan::is_plan(&text), false);
    }
}
