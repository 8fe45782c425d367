use super::*;

#[test]
fn a_batch_read_finds_nothing_in_each_table_asked() {
    let canned = to(Some("DynamoDB_20120810.BatchGetItem"), br#"{"RequestItems":{"state":{"Keys":[]}}}"#);
    let answer = serde_json::from_str::<Value>(&canned.body).unwrap();
    assert_eq!(answer, json!({"Responses": {"state": []}, "UnprocessedKeys": {}}));
    assert_eq!(canned.content_type, "application/x-amz-json-1.0");
}

#[test]
fn every_notice_of_a_batch_is_taken() {
    let form = "Action=PublishBatch&Version=2010-03-31&PublishBatchRequestEntries.member.1.Id=a-1\
                &PublishBatchRequestEntries.member.1.Message=x&PublishBatchRequestEntries.member.2.Id=b_2";
    let canned = to(None, form.as_bytes());
    assert_eq!(canned.operation, "PublishBatch");
    for id in ["a-1", "b_2"] {
        assert!(canned.body.contains(&format!("<Id>{id}</Id>")), "{}", canned.body);
    }
}

#[test]
fn the_branch_is_not_there() {
    let canned = to(Some("CodeCommit_20150413.GetBranch"), b"{}");
    assert_eq!(canned.status, 400);
    assert!(canned.body.contains("BranchDoesNotExistException"));
}

#[test]
fn an_operation_without_an_answer_is_refused_by_name() {
    for canned in [to(Some("X_1.Unheard"), b"{}"), to(None, b"Action=Unheard&Version=1")] {
        assert_eq!((canned.status, canned.operation.as_str()), (400, "Unheard"));
        assert!(canned.body.contains("no answer for `Unheard`"), "{}", canned.body);
    }
}
