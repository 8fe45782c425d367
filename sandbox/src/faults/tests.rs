use super::*;

#[test]
fn fault_occurs_for_its_operation_and_count() {
    let faults = FaultInjector::default();
    faults.add(InjectedFault {
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
