use super::*;

fn flood() -> FloodRun {
    let calls = [
        ("dynamodb:PutItem", 2000),
        ("dynamodb:BatchGetItem", 10),
        ("sqs:SendMessage", 9),
        ("config:SelectAggregateResourceConfig", 10),
    ];
    FloodRun {
        events: 1000,
        window_seconds: Some(30),
        seconds: 1.0,
        expected: 800,
        expected_open: 700,
        records: 800,
        open: 700,
        pending: 0,
        lost: 0,
        dead_letters: 0,
        notices: BTreeMap::from([("violation.digest".to_owned(), 20)]),
        findings: BTreeMap::new(),
        calls: calls.iter().map(|(kind, calls)| ((*kind).to_owned(), *calls)).collect(),
        calls_per_1000: BTreeMap::new(),
        invocations: Some(10),
        billed_seconds: Some(5.0),
        memory_mb: 512.0,
        record_bytes: 1200,
    }
}

#[test]
fn cost_units_are_per_million_events() {
    let cost = of(&flood()).unwrap();
    let line = |what: &str| cost.lines.iter().find(|line| line.what.starts_with(what)).unwrap();
    // Two units for a record of 1,200 bytes, in the table and in both indexes.
    assert_eq!(line("DynamoDB write").units, 12_000_000.0);
    assert!((line("DynamoDB write").usd - 7.5).abs() < 1e-9);
    assert_eq!(line("SNS").units, 20_000.0);
    assert_eq!(line("Lambda requests").units, 10_000.0);
    assert_eq!(line("Lambda GB-seconds").units, 2_500.0);
    assert!((cost.total_usd - cost.lines.iter().map(|line| line.usd).sum::<f64>()).abs() < 1e-9);
}

#[test]
fn cost_without_invocations_excludes_lambda() {
    let cost = of(&FloodRun { invocations: None, billed_seconds: None, ..flood() }).unwrap();
    assert!(cost.lines.iter().all(|line| !line.what.starts_with("Lambda")));
    assert!(cost.left_out.iter().any(|left| left.starts_with("Lambda")));
    assert!(cost.left_out.iter().any(|left| left.starts_with("Security Hub")));
}

#[test]
fn cost_prices_have_source_and_date() {
    for line in of(&flood()).unwrap().lines {
        assert!(line.source.starts_with("https://"), "{}", line.what);
        assert!(line.date.parse::<jiff::civil::Date>().is_ok(), "{}: {}", line.what, line.date);
    }
}
