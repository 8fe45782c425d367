use super::*;

#[test]
fn batch_get_item_returns_no_items_per_table() {
    let canned = to(Some("DynamoDB_20120810.BatchGetItem"), br#"{"RequestItems":{"state":{"Keys":[]}}}"#);
    let answer = serde_json::from_str::<Value>(&canned.body).unwrap();
    assert_eq!(answer, json!({"Responses": {"state": []}, "UnprocessedKeys": {}}));
    assert_eq!(canned.content_type, "application/x-amz-json-1.0");
}

#[test]
fn publish_batch_accepts_all_entries() {
    let form = "Action=PublishBatch&Version=2010-03-31&PublishBatchRequestEntries.member.1.Id=a-1\
                &PublishBatchRequestEntries.member.1.Message=x&PublishBatchRequestEntries.member.2.Id=b_2";
    let canned = to(None, form.as_bytes());
    assert_eq!(canned.operation, "PublishBatch");
    for id in ["a-1", "b_2"] {
        assert!(canned.body.contains(&format!("<Id>{id}</Id>")), "{}", canned.body);
    }
}

#[test]
fn get_branch_does_not_exist() {
    let canned = to(Some("CodeCommit_20150413.GetBranch"), b"{}");
    assert_eq!(canned.status, 400);
    assert!(canned.body.contains("BranchDoesNotExistException"));
}

#[test]
fn unknown_operation_is_an_error() {
    for canned in [to(Some("X_1.Unknown"), b"{}"), to(None, b"Action=Unknown&Version=1")] {
        assert_eq!((canned.status, canned.operation.as_str()), (400, "Unknown"));
        assert!(canned.body.contains("no answer for `Unknown`"), "{}", canned.body);
    }
}
