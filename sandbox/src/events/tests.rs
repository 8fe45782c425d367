use super::*;

#[test]
fn target_input_is_the_event_a_part_or_a_constant() {
    let event = json!({"id": "1", "detail": {"a": {"b": 2}}});
    assert_eq!(input(&json!({}), &event), event.to_string());
    assert_eq!(input(&json!({"InputPath": "$.detail.a"}), &event), "{\"b\":2}");
    assert_eq!(input(&json!({"Input": "x"}), &event), "x");
}
