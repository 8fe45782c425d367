//! Invalid policies: each is rejected with the problem, its position and its fix, and nothing is changed.

use crate::application::{DeployedApplication, event, failures, file};

const POLICY: &str = "backup-compliance.yaml";

/// A change that makes the policy invalid, and the expected diagnostics.
struct InvalidPolicy {
    name: &'static str,
    /// The path and its new content; `None` removes the file.
    file: (&'static str, Option<Vec<u8>>),
    /// The file of the diagnostic, line and column if it has a position, and parts of message and help.
    blamed: &'static str,
    at: Option<(u64, u64)>,
    problem: &'static str,
    fix: &'static str,
}

fn policy(name: &'static str, text: &str, at: (u64, u64), problem: &'static str, fix: &'static str) -> InvalidPolicy {
    let file = (POLICY, Some(text.as_bytes().to_vec()));
    InvalidPolicy { name, file, blamed: POLICY, at: Some(at), problem, fix }
}

/// A valid policy with one replacement.
fn with(from: &str, to: &str) -> String {
    let good = "version: 1\nframeworks:\n  - name: backup-compliance\n    template: framework.yaml\n    targets:\n      \
                - accounts: [\"111111111111\"]\n        regions: [us-east-1]\n";
    assert_eq!(good.matches(from).count(), 1, "{from}");
    good.replace(from, to)
}

/// Long because it is one table of invalid policies.
fn cases() -> Vec<InvalidPolicy> {
    let whole = |name, content: Option<Vec<u8>>, problem, fix| InvalidPolicy {
        name,
        file: (POLICY, content),
        blamed: POLICY,
        at: None,
        problem,
        fix,
    };
    let template = |name, content: Option<&str>, blamed, at, problem, fix| InvalidPolicy {
        name,
        file: ("framework.yaml", content.map(|text| text.as_bytes().to_vec())),
        blamed,
        at,
        problem,
        fix,
    };
    vec![
        whole("missing", None, "is not in the repository", "PolicyFile"),
        whole("empty", Some(Vec::new()), "the file is empty", "starts with `version: 1`"),
        InvalidPolicy {
            at: Some((2, 1)),
            ..whole("not text", Some(b"version: 1\n\xff\xfe".to_vec()), "is not UTF-8", "UTF-8")
        },
        whole("over 6 MB", Some(vec![b'#'; 6 * 1024 * 1024 + 1]), "larger than 6 MB, the most that is read", "smaller"),
        policy("not YAML", "version: 1\nframeworks: [\n", (3, 1), "not valid YAML", "check"),
        policy(
            "an unknown key",
            &with("targets:", "target:"),
            (5, 5),
            "unknown key `target`",
            "did you mean `targets`",
        ),
        policy(
            "a key twice",
            &with("version: 1\n", "version: 1\nversion: 1\n"),
            (2, 1),
            "duplicate key `version`",
            "keep one",
        ),
        policy(
            "a number for an account",
            &with("\"111111111111\"", "111111111111"),
            (6, 20),
            "must be quoted",
            "\"111111111111\"",
        ),
        policy("eleven digits", &with("\"111111111111\"", "\"11111111111\""), (6, 20), "has 11 digits", "12 digits"),
        policy(
            "no such Region",
            &with("us-east-1", "us-esat-1"),
            (7, 19),
            "the AWS Region `us-esat-1` does not exist",
            "did you mean `us-east-1`",
        ),
        policy("no target", &with("[\"111111111111\"]", "[]"), (6, 19), "`accounts` is empty", "at least one"),
        policy("a wrong type", &with("[us-east-1]", "us-east-1"), (7, 18), "`regions` is a string", "a list"),
        policy(
            "one name twice",
            &format!(
                "{}  - name: backup-compliance\n    template: framework.yaml\n    targets: [{{ accounts: [\"222222222222\"], regions: [eu-west-1] }}]\n",
                with("version: 1", "version: 1")
            ),
            (8, 11),
            "backup-compliance",
            "",
        ),
        template("a template that is missing", None, POLICY, Some((6, 5)), "is not in the repository", ""),
        template("not a template", Some("just: words\n"), "framework.yaml", Some((1, 1)), "", ""),
        template(
            "no framework in it",
            Some("Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n"),
            "framework.yaml",
            Some((2, 3)),
            "has no `AWS::Backup::Framework`",
            "`AWS::Backup::Framework`",
        ),
        template(
            "no such control",
            Some(
                "Resources:\n  F:\n    Type: AWS::Backup::Framework\n    Properties:\n      FrameworkControls:\n        - ControlName: BACKUP_RECOVERY_POINT_ENCRYPTET\n",
            ),
            "framework.yaml",
            Some((6, 24)),
            "BACKUP_RECOVERY_POINT_ENCRYPTET",
            "BACKUP_RECOVERY_POINT_ENCRYPTED",
        ),
    ]
}

#[test]
fn invalid_policy_is_reported_once_without_changes() {
    let application = DeployedApplication::start();
    let mut deploy = application.function("deploy");
    application.push_starter();
    deploy.answer(&event("codecommit-push.json"));
    deploy.answer(&event("stackset-operation.json"));
    application.take_notices(&["rollout.succeeded"]);
    let deployed = application.instances();
    let remembered = application.items("rollout");

    let good = [POLICY, "framework.yaml"].map(|path| (path, file(&format!("framework/{path}"))));
    let mut wrong = Vec::new();
    for case in cases() {
        let (path, content) = (case.file.0, case.file.1.as_deref());
        let commit = application.push(case.name, &[(path, content)]);
        assert_eq!(deploy.answer(&event("codecommit-push.json")), failures(&[]), "{}", case.name);
        let changes = deploy.changes();
        assert_eq!(changes, ["sns:PublishBatch", "dynamodb:PutItem"], "{}", case.name);
        let notice = application.take_notices(&["policy.rejected"]).remove(0);
        assert_eq!(notice["commit"], commit.as_str(), "{}", case.name);
        assert_eq!(notice["author"], "Ada <ada@example.com>", "{}", case.name);
        let fault = &notice["diagnostics"][0];
        let text = |name: &str| fault[name].as_str().unwrap_or_default().to_owned();
        let at = fault["line"].as_u64().zip(fault["column"].as_u64());
        println!("{}: {fault}", case.name);
        let as_expected = text("file") == case.blamed
            && at == case.at
            && text("message").contains(case.problem)
            && text("help").contains(case.fix)
            && !text("help").is_empty()
            && notice["diagnosticCount"] == 1;
        if !as_expected {
            wrong.push(format!("{}: {notice}", case.name));
        }
        // The same commit again: one notice in total.
        deploy.answer(&event("codecommit-push.json"));
        assert_eq!(deploy.changes(), Vec::<String>::new(), "{}", case.name);
        let restored: Vec<_> = good.iter().map(|(path, text)| (*path, Some(text.as_bytes()))).collect();
        application.push("As it was", &restored);
    }
    assert_eq!(wrong, Vec::<String>::new());
    application.take_notices(&[]);
    assert_eq!(application.instances(), deployed);
    assert_eq!(application.items("rollout"), remembered);
    // The revert succeeds.
    deploy.answer(&event("codecommit-push.json"));
    assert_eq!(deploy.changes(), Vec::<String>::new());
    deploy.stop();
    application.stop();
}
