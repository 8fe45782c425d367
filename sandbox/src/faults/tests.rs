use super::*;

#[test]
fn a_fault_strikes_as_often_as_it_was_asked_to_and_only_there() {
    let faults = Faults::default();
    faults.add(Fault {
        service: "cloudformation".into(),
        operation: "UpdateStackSet".into(),
        status: 409,
        code: "StaleRequestException".into(),
        message: "stale".into(),
        times: 2,
    });
    assert!(faults.strike("cloudformation", "CreateStackSet", Protocol::Query).is_none());
    let first = faults.strike("cloudformation", "UpdateStackSet", Protocol::Query).unwrap();
    assert_eq!((first.status, wire::xml_text(&first.text(), "Code").as_deref()), (409, Some("StaleRequestException")));
    assert!(faults.strike("cloudformation", "UpdateStackSet", Protocol::Query).is_some());
    assert!(faults.strike("cloudformation", "UpdateStackSet", Protocol::Query).is_none());
}
