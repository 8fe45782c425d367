use super::*;

#[test]
fn a_target_gets_the_event_the_part_it_asked_for_or_a_constant() {
    let event = json!({"id": "1", "detail": {"a": {"b": 2}}});
    assert_eq!(input(&json!({}), &event), event.to_string());
    assert_eq!(input(&json!({"InputPath": "$.detail.a"}), &event), "{\"b\":2}");
    assert_eq!(input(&json!({"Input": "x"}), &event), "x");
}
