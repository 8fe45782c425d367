use super::*;

#[test]
fn flood_has_requested_events_and_expected_records() {
    let flood = Flood::new(1000, "2026-11-20T04:00:00Z".parse().unwrap());
    assert_eq!((flood.events.len(), flood.expected.len()), (1000, 800));
    assert_eq!(flood.open(), 700);
    let closing =
        flood.events.iter().filter(|event| event["detail"]["newEvaluationResult"]["complianceType"] == "COMPLIANT");
    assert_eq!(closing.count(), 100);
    assert_eq!(Flood::new(1000, "2026-11-20T04:00:00Z".parse().unwrap()).events, flood.events);
    assert_eq!(flood.batches(300).len(), 4);
}

#[test]
fn flood_events_are_valid() {
    for event in Flood::new(30, "2026-11-20T04:00:00Z".parse().unwrap()).events {
        assert!(app::events::compliance_change(&event).is_ok(), "{event}");
    }
}
