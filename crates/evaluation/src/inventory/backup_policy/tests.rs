use super::*;

#[test]
fn backup_policies_are_recognized_by_content() {
    for (text, expected) in [
        (r#"{"plans": {"a": {"regions": {"@@assign": ["eu-west-1"]}}}}"#, true),
        ("\u{feff} {\"plans\": {}}", true),
        // An inventory has a list of plans.
        (r#"{"version": 1, "plans": []}"#, false),
        (r#"{"Resources": {}, "plans": {}}"#, false),
        (r#"{"a": {"plans": {}}}"#, false),
        ("plans: {}", false),
        // Cut off.
        (r#"{"plans": {"a": {"regions": {"@@assign": ["eu"#, true),
        (r#"{"plans": {"a": "#, false),
    ] {
        assert_eq!(BackupPolicyFile::is_policy(text), expected, "{text}");
    }
}

#[test]
fn effective_policy_keeps_inherited_limits() {
    let read = |text: &str| BackupPolicyFile::read("p.json", text).expect("JSON").content;
    let parent = read(
        r#"{"plans": {"@@operators_allowed_for_child_policies": ["@@none"],
            "a": {"regions": {"@@assign": ["r1"], "@@operators_allowed_for_child_policies": ["@@append"]}}}}"#,
    );
    let child = read(
        r#"{"plans": {"b": {"regions": {"@@assign": ["r9"]}},
            "a": {"regions": {"@@assign": ["r2"], "@@append": ["r3", "r1"],
                              "@@operators_allowed_for_child_policies": ["@@all"]}}}}"#,
    );
    let mut policy = EffectivePolicy::new();
    for level in [&parent, &child, &child] {
        policy.merge(level, true);
    }
    let [(name, plan)] = policy.plans() else { panic!("{policy:?}") };
    assert_eq!((name.as_str(), plan.get("regions").map(|own| own.items.join(","))), ("a", Some("r1,r3".to_owned())));
    assert!(!plan.depends_on_parent());
}
