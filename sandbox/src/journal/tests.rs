use super::*;

#[test]
fn is_mutating_follows_the_operation_name() {
    for read in [
        "DescribeStackSet",
        "GetFile",
        "BatchGetAggregateResourceConfig",
        "TransactGetItems",
        "GET /audit/frameworks",
        "ReceiveMessage",
    ] {
        assert!(!is_mutating(read), "{read}");
    }
    for change in [
        "UpdateStackSet",
        "PutItem",
        "Publish",
        "BatchWriteItem",
        "SendMessage",
        "PUT /bucket/key",
        "TransactWriteItems",
    ] {
        assert!(is_mutating(change), "{change}");
    }
}

#[test]
fn journal_filters_calls_by_function_and_mark() {
    let journal = Journal::default();
    let entry = |who: &str, from_function| Entry {
        service: "s3".into(),
        operation: "PutObject".into(),
        mutating: true,
        at: String::new(),
        who: who.into(),
        from_function,
        status: 200,
    };
    journal.add(entry("app-DeployFunction-1", true));
    let mark = journal.mark();
    journal.add(entry("app-DeployFunction-1", true));
    journal.add(entry("app-ReportFunction-1", true));
    journal.add(entry("deploy", false));
    assert_eq!(journal.calls_of("deploy", mark).len(), 1);
    assert_eq!(journal.since(mark).len(), 3);
}

#[test]
fn journal_counts_calls_between_two_marks() {
    let journal = Journal::default();
    let add = |operation: &str, function: Option<&str>| {
        journal.add(Entry {
            service: "sns".into(),
            operation: operation.into(),
            mutating: is_mutating(operation),
            at: String::new(),
            who: function.unwrap_or("test").into(),
            from_function: function.is_some(),
            status: 200,
        });
    };
    add("Publish", Some("app-ReportFunction-1"));
    let from = journal.mark();
    add("Publish", Some("app-ReportFunction-1"));
    add("Publish", None);
    add("ListTopics", Some("app-ReportFunction-1"));
    let to = journal.mark();
    add("Publish", Some("app-ReportFunction-1"));
    let counted = |function| journal.counts(from, to, function).into_iter().collect::<Vec<_>>();
    assert_eq!(counted(None), [("sns:ListTopics".to_owned(), 1), ("sns:Publish".to_owned(), 2)]);
    assert_eq!(counted(Some("report")), [("sns:ListTopics".to_owned(), 1), ("sns:Publish".to_owned(), 1)]);
    assert_eq!(counted(Some("sweep")), []);
}
