//! Reviews of pull requests: one comment that follows the change, comments at lines, and the approval.

use serde_json::{Value, json};

use app::inventory::StoredInventory;
use app::ports::{Clock as _, PortErrorKind};
use app::review::{Review, ReviewCounts, ReviewScope, ReviewTrigger, review_trigger};
use framework::ids::CommitId;
use testkit::world::World;

const POST: &str = "codecommit:PostCommentForPullRequest";
const COVERAGE: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";
const ENCRYPTED: &str = "BACKUP_RECOVERY_POINT_ENCRYPTED";

fn template(controls: &[&str]) -> String {
    let controls: String = controls.iter().map(|control| format!("        - ControlName: {control}\n")).collect();
    format!(
        "Resources:\n  Framework:\n    Type: AWS::Backup::Framework\n    Properties:\n      FrameworkControls:\n{controls}"
    )
}

fn policy(more: &str) -> String {
    format!(
        "version: 1\nframeworks:\n  - name: org-backup\n    template: framework.yaml\n    targets:\n      - accounts: \
         ['222222222222']\n        regions: [eu-west-1]\n{more}"
    )
}

fn push(world: &World, controls: &[&str], more: &str) -> CommitId {
    let (template, policy) = (template(controls), policy(more));
    world.push("change", &[("framework.yaml", Some(&template)), ("backup-compliance.yaml", Some(&policy))])
}

/// A world whose inventory has `tables` without a backup plan.
fn world(tables: usize) -> World {
    let world = World::new();
    let table = |number: usize| {
        json!({
            "arn": format!("arn:aws:dynamodb:eu-west-1:222222222222:table/table-{number:05}"),
            "type": "AWS::DynamoDB::Table", "account": "222222222222", "region": "eu-west-1",
            "name": format!("table-{number:05}"), "tags": {},
        })
    };
    let location = json!({ "account": "222222222222", "region": "eu-west-1", "optIn": { "DynamoDB": true } });
    let document = json!({
        "version": 1, "asOf": world.now().to_string(), "locations": [location],
        "resources": (0..tables).map(table).collect::<Vec<Value>>(),
    });
    store(&world, document.to_string());
    world
}

fn store(world: &World, text: String) {
    let stored_at = world.now();
    world.state().inventory = Some(StoredInventory { text, stored_at });
}

fn review(world: &World, approve: bool) -> Review<World> {
    let scope = ReviewScope {
        repository: "backup-policy".to_owned(),
        branch: "main".to_owned(),
        policy_file: "backup-compliance.yaml".to_owned(),
        approve,
    };
    Review {
        scope,
        repository: world.clone(),
        pull_requests: world.clone(),
        inventories: world.clone(),
        clock: world.clone(),
    }
}

fn of(id: &str) -> Vec<ReviewTrigger> {
    vec![ReviewTrigger::PullRequest(id.to_owned())]
}

async fn reviewed(world: &World, id: &str) -> ReviewCounts {
    review(world, true).handle(&of(id)).await.unwrap()
}

#[tokio::test]
async fn comment_predicts_new_violations() {
    let world = world(3);
    let base = push(&world, &[ENCRYPTED], "");
    let id = world.open_pull_request(&base, &push(&world, &[ENCRYPTED, COVERAGE], ""));
    let counts = reviewed(&world, &id).await;
    assert_eq!(counts, ReviewCounts { reviewed: 1, posted: 1, not_approved: 1, ..ReviewCounts::default() });
    let [(None, text)] = &world.pull_request_comments(&id)[..] else { panic!("one comment on the pull request") };
    assert!(text.starts_with("**Backup Compliance: attention**"), "{text}");
    assert!(text.contains("violations: 3 new, 0 resolved"), "{text}");
    assert!(text.contains("table/table-00002"), "{text}");
    assert!(text.lines().next_back().unwrap().starts_with("[backup-compliance preview: backup-compliance.yaml, "));
    assert!(!world.state().pull_requests[&id].is_approved);
}

#[tokio::test]
async fn comment_is_edited_and_never_repeated() {
    let world = world(1);
    let base = push(&world, &[ENCRYPTED], "");
    let id = world.open_pull_request(&base, &push(&world, &[ENCRYPTED, COVERAGE], ""));
    // The event twice in one batch, and again in another.
    review(&world, true).handle(&[of(&id), of(&id)].concat()).await.unwrap();
    let counts = reviewed(&world, &id).await;
    assert_eq!((counts.posted, counts.edited), (0, 0));
    let first = world.pull_request_comments(&id);
    world.update_pull_request(&id, &push(&world, &[ENCRYPTED], "preview: {maxNewViolations: 0}\n"));
    let counts = reviewed(&world, &id).await;
    assert_eq!((counts.posted, counts.edited, counts.approved), (0, 1, 1));
    let second = world.pull_request_comments(&id);
    assert_eq!((first.len(), second.len()), (1, 1));
    assert!(second[0].1.starts_with("**Backup Compliance: ok**"), "{}", second[0].1);
    assert!(world.state().pull_requests[&id].is_approved);
}

#[tokio::test]
async fn exceeded_limit_takes_approval_back() {
    let world = world(2);
    let base = push(&world, &[ENCRYPTED], "");
    let limit = "preview: {maxNewViolations: 1}\n";
    let id = world.open_pull_request(&base, &push(&world, &[ENCRYPTED], limit));
    assert_eq!(reviewed(&world, &id).await.approved, 1);
    // The approval of the same revision is taken back when the inventory shows more; here, the change grows.
    let grown = push(&world, &[ENCRYPTED, COVERAGE], limit);
    if let Some(fake) = world.state().pull_requests.get_mut(&id) {
        fake.request.source_commit = grown;
    }
    let counts = reviewed(&world, &id).await;
    assert_eq!((counts.blocked, counts.approved, counts.not_approved), (1, 0, 1));
    assert!(!world.state().pull_requests[&id].is_approved);
    assert!(world.pull_request_comments(&id)[0].1.contains("2 new violations: the limit is 1"));
}

#[tokio::test]
async fn change_without_inventory_is_not_approved() {
    let world = world(0);
    world.state().inventory = None;
    let base = push(&world, &[ENCRYPTED], "");
    let id = world.open_pull_request(&base, &push(&world, &[ENCRYPTED, COVERAGE], ""));
    let counts = reviewed(&world, &id).await;
    assert_eq!((counts.approved, counts.not_approved), (0, 1));
    assert!(world.pull_request_comments(&id)[0].1.contains("violations are not predicted"));
    // An inventory that is not valid is none.
    store(&world, "{".to_owned());
    assert_eq!(reviewed(&world, &id).await.not_approved, 1);
}

#[tokio::test]
async fn change_outside_the_policy_has_no_comment() {
    let world = world(1);
    world.state().inventory = None;
    let base = push(&world, &[COVERAGE], "");
    let id = world.open_pull_request(&base, &world.push("docs", &[("README.md", Some("words"))]));
    let counts = reviewed(&world, &id).await;
    assert_eq!(counts, ReviewCounts { reviewed: 1, approved: 1, ..ReviewCounts::default() });
    assert_eq!(world.pull_request_comments(&id), []);
    assert!(!world.take_calls().contains(&"s3:GetObject"), "the inventory is not needed");
}

#[tokio::test]
async fn findings_are_commented_at_changed_lines_once() {
    let world = world(0);
    let base = push(&world, &[ENCRYPTED], "");
    let id = world.open_pull_request(&base, &push(&world, &[ENCRYPTED, "BACKUP_NOTHING"], ""));
    let counts = reviewed(&world, &id).await;
    assert_eq!((counts.blocked, counts.posted), (1, 2));
    let comments = world.pull_request_comments(&id);
    let [(None, whole), (Some(7), at_line)] = &comments[..] else { panic!("{comments:?}") };
    assert!(whole.contains("lint has 1 error"), "{whole}");
    assert!(at_line.starts_with("**error") && at_line.contains("BACKUP_NOTHING"), "{at_line}");
    // The next revision has the finding in another line.
    let text = format!("# A line above\n{}", template(&[ENCRYPTED, "BACKUP_NOTHING"]));
    world.update_pull_request(&id, &world.push("again", &[("framework.yaml", Some(&text))]));
    let counts = reviewed(&world, &id).await;
    assert_eq!((counts.posted, counts.edited), (0, 1));
}

#[tokio::test]
async fn comments_at_lines_are_limited() {
    let world = world(0);
    let base = push(&world, &[ENCRYPTED], "");
    let names: Vec<String> = (0..30).map(|number| format!("BACKUP_NOTHING_{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let id = world.open_pull_request(&base, &push(&world, &names, ""));
    assert_eq!(reviewed(&world, &id).await.posted, 21);
    let comments = world.pull_request_comments(&id);
    assert_eq!(comments.iter().filter(|(line, _)| line.is_some()).count(), 20);
}

#[tokio::test]
async fn long_comment_is_cut_with_its_rest_counted() {
    let world = world(5_000);
    let base = push(&world, &[ENCRYPTED], "");
    let id = world.open_pull_request(&base, &push(&world, &[ENCRYPTED, COVERAGE], ""));
    reviewed(&world, &id).await;
    let text = &world.pull_request_comments(&id)[0].1;
    let listed = text.lines().filter(|line| line.contains("table/table-")).count();
    // Line breaks count twice.
    assert!(text.chars().count() + text.lines().count() <= 10_240, "{}", text.len());
    assert!((10..100).contains(&listed), "{listed}");
    assert!(text.contains(&format!("- and {} more", 5_000 - listed)), "{text}");
}

#[tokio::test]
async fn pull_requests_of_others_are_ignored() {
    let world = world(1);
    let base = push(&world, &[ENCRYPTED], "");
    let head = push(&world, &[COVERAGE], "");
    let ids: Vec<String> = (0..3).map(|_| world.open_pull_request(&base, &head)).collect();
    {
        let mut state = world.state();
        let mut request = |id: &str, change: &dyn Fn(&mut app::review::ports::PullRequest)| {
            change(&mut state.pull_requests.get_mut(id).unwrap().request);
        };
        request(&ids[0], &|request| request.is_open = false);
        request(&ids[1], &|request| request.repository = "other".to_owned());
        request(&ids[2], &|request| request.destination = "refs/heads/feature/main".to_owned());
    }
    let triggers: Vec<ReviewTrigger> =
        ids.iter().map(String::as_str).chain(["99"]).map(|id| ReviewTrigger::PullRequest(id.to_owned())).collect();
    let counts = review(&world, true).handle(&triggers).await.unwrap();
    assert_eq!(counts, ReviewCounts { ignored: 4, ..ReviewCounts::default() });
    assert_eq!(World::mutating(&world.take_calls()), Vec::<&str>::new());
}

#[tokio::test]
async fn own_pull_request_is_commented_but_not_approved() {
    let world = world(0);
    let base = push(&world, &[ENCRYPTED], "");
    let id = world.open_pull_request(&base, &push(&world, &[ENCRYPTED], "preview: {maxNewViolations: 0}\n"));
    world.state().pull_requests.get_mut(&id).unwrap().is_own = true;
    let counts = reviewed(&world, &id).await;
    assert_eq!((counts.posted, counts.approved, counts.not_approved), (1, 0, 1));
}

#[tokio::test]
async fn comment_of_another_role_is_replaced() {
    let world = world(1);
    let base = push(&world, &[ENCRYPTED], "");
    let id = world.open_pull_request(&base, &push(&world, &[ENCRYPTED, COVERAGE], ""));
    reviewed(&world, &id).await;
    world.state().pull_requests.get_mut(&id).unwrap().comments[0].1 = false;
    world.update_pull_request(&id, &push(&world, &[ENCRYPTED], "preview: {maxNewViolations: 0}\n"));
    let counts = reviewed(&world, &id).await;
    assert_eq!((counts.posted, counts.edited), (1, 0));
    // The new comment is edited from now on.
    world.update_pull_request(&id, &push(&world, &[ENCRYPTED, COVERAGE], ""));
    let counts = reviewed(&world, &id).await;
    assert_eq!((counts.posted, counts.edited), (0, 1));
    assert_eq!(world.pull_request_comments(&id).len(), 2);
}

#[tokio::test]
async fn lost_answers_leave_one_comment() {
    for operation in [POST, "codecommit:GetPullRequest", "s3:GetObject", "codecommit:UpdatePullRequestApprovalState"] {
        let world = world(1);
        let base = push(&world, &[ENCRYPTED], "");
        let id = world.open_pull_request(&base, &push(&world, &[ENCRYPTED, COVERAGE], ""));
        world.lose_next_answer(operation);
        let error = review(&world, true).handle(&of(&id)).await.unwrap_err();
        assert_eq!((error.operation, error.kind), (operation, PortErrorKind::Retryable));
        reviewed(&world, &id).await;
        assert_eq!(world.pull_request_comments(&id).len(), 1, "{operation}");
    }
}

#[tokio::test]
async fn failure_of_one_does_not_stop_others() {
    let world = world(1);
    let base = push(&world, &[ENCRYPTED], "");
    let head = push(&world, &[ENCRYPTED, COVERAGE], "");
    let ids = [world.open_pull_request(&base, &head), world.open_pull_request(&base, &head)];
    world.fail_next(POST, PortErrorKind::Denied);
    world.take_calls();
    let counts = review(&world, false).handle(&[of(&ids[0]), of(&ids[1])].concat()).await.unwrap();
    assert_eq!((counts.failed, counts.posted), (1, 1));
    let calls = world.take_calls();
    assert_eq!(calls.iter().filter(|call| **call == "s3:GetObject").count(), 1, "one inventory for the batch");
    world.fail_next("codecommit:GetPullRequest", PortErrorKind::Retryable);
    let ids = [world.open_pull_request(&base, &head), world.open_pull_request(&base, &head)];
    review(&world, false).handle(&[of(&ids[0]), of(&ids[1])].concat()).await.unwrap_err();
    assert_eq!(world.pull_request_comments(&ids[1]).len(), 1);
}

#[test]
fn events_are_parsed() {
    let event = |change: Value| {
        let mut event = json!({
            "source": "aws.codecommit", "detail-type": "CodeCommit Pull Request State Change",
            "detail": { "event": "pullRequestCreated", "pullRequestId": "27", "repositoryNames": ["backup-policy"] },
        });
        for (path, value) in change.as_object().unwrap() {
            *event.pointer_mut(path).unwrap() = value.clone();
        }
        review_trigger(&event, "backup-policy")
    };
    assert_eq!(event(json!({})), ReviewTrigger::PullRequest("27".to_owned()));
    let updated = json!({ "/detail/event": "pullRequestSourceBranchUpdated", "/detail/repositoryNames": null });
    assert_eq!(event(updated), ReviewTrigger::PullRequest("27".to_owned()));
    for ignored in [
        json!({ "/detail/event": "pullRequestApprovalStateChanged" }),
        json!({ "/detail/event": "pullRequestStatusChanged" }),
        json!({ "/detail/event": 7 }),
        json!({ "/detail/repositoryNames": ["backup-policy-2"] }),
        json!({ "/detail-type": "CodeCommit Comment on Pull Request" }),
        json!({ "/source": "aws.s3" }),
    ] {
        assert!(matches!(event(ignored.clone()), ReviewTrigger::Ignored(_)), "{ignored}");
    }
    for invalid in [
        json!({ "/detail": "text" }),
        json!({ "/detail/pullRequestId": "../27" }),
        json!({ "/detail/pullRequestId": 27 }),
        json!({ "/detail/pullRequestId": "" }),
    ] {
        assert!(matches!(event(invalid.clone()), ReviewTrigger::Invalid(_)), "{invalid}");
    }
    assert!(matches!(review_trigger(&json!({}), "x"), ReviewTrigger::Invalid(_)));
}
