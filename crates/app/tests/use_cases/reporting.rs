//! The reporting settings of the policy: published when they change, with warnings.

use jiff::Timestamp;

use app::deploy::FrameworkOutcome;
use app::events::{DeployTrigger, ReconcileScope};
use app::ports::{PortErrorKind, Versioned};
use domain::notice::{Notice, PolicyWarnings};
use domain::policy::Reporting;
use domain::violation::{
    ChangeOutcome, ComplianceChange, ComplianceType, ResultOrdering, ViolationKey, ViolationRecord, apply,
};
use framework::control::Severity;
use framework::ids::{AccountId, RegionName};
use testkit::world::World;

use crate::deploy::{deploy, outcome, push_seen, rolled_out, settle};
use crate::policy::{FRAMEWORK, ONE, THREE, TWO, policy};

const COVERAGE: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";
const SCRATCH: &str = "[\"arn:aws:dynamodb:*:*:table/scratch-*\"]";

/// A policy with exemptions, each `control, resources, more`.
fn exempting(accounts: &[&str], exemptions: &[(&str, &str, &str)]) -> String {
    let mut text = format!("{}exemptions:\n", policy(accounts, None));
    for (control, resources, more) in exemptions {
        text.push_str(&format!(
            "  - {{ control: {control}, resources: {resources}, reason: tests, owner: ada@example.com, {more} }}\n"
        ));
    }
    text
}

fn start(world: &World, policy: &str) {
    world.push("Start", &[("backup-compliance.yaml", Some(policy)), ("framework.yaml", Some(FRAMEWORK))]);
}

fn change(world: &World, policy: &str) {
    world.push("Change", &[("backup-compliance.yaml", Some(policy))]);
}

/// An open violation of the coverage control by a table.
fn open(world: &World, account: &str, table: &str) {
    let key = ViolationKey {
        account: AccountId::parse(account).unwrap(),
        region: RegionName::parse("eu-west-1").unwrap(),
        control: COVERAGE.into(),
        resource_type: "AWS::DynamoDB::Table".into(),
        resource_id: table.into(),
    };
    let at = Timestamp::from_second(1_795_000_000).unwrap();
    let change = ComplianceChange {
        key: key.clone(),
        compliance: ComplianceType::NonCompliant,
        ordering: ResultOrdering { triggered: at, recorded: at, notified: at },
        rule_name: "rule".into(),
        rule_arn: String::new(),
        annotation: None,
        had_result: false,
        previous: None,
    };
    let ChangeOutcome::Store { record, .. } = apply(None, &change) else { panic!("the first result is stored") };
    world.state().violations.insert(key, Versioned { value: ViolationRecord { ..*record }, version: 1 });
}

fn told(world: &World) -> Vec<PolicyWarnings> {
    let notices = world.take_notices().into_iter();
    notices
        .filter_map(|notice| if let Notice::PolicyWarnings(warnings) = notice { Some(warnings) } else { None })
        .collect()
}

#[tokio::test(flavor = "current_thread")]
async fn reporting_is_published_with_each_change() {
    let world = World::new();
    start(&world, &policy(&[ONE, TWO], None));
    push_seen(&world).await.unwrap();
    assert_eq!(world.state().reporting, Some(Reporting::default()));
    settle(&world).await;
    world.take_calls();

    let text = format!(
        "{}notices: {{ ownerTag: team, reminders: [], severity: [ {{ severity: low }} ] }}\n",
        exempting(&[ONE, TWO], &[(COVERAGE, SCRATCH, "tags: { a: b }, until: 2027-01-31")])
    );
    change(&world, &text);
    let seen = push_seen(&world).await.unwrap();
    assert_eq!(outcome(&seen), &FrameworkOutcome::Unchanged);
    // The document and its digest only: no framework has changed.
    let writes: Vec<_> = world
        .take_calls()
        .into_iter()
        .filter(|call| call.contains(":Put") || call.starts_with("cloudformation:C"))
        .collect();
    assert_eq!(writes, ["dynamodb:PutItem"; 2]);
    let reporting = world.state().reporting.clone().unwrap();
    assert_eq!(reporting.exemptions[0].owner, "ada@example.com");
    assert_eq!((reporting.owner_tag.as_str(), reporting.severity[0].severity), ("team", Severity::Low));

    change(&world, &format!("{text}# A comment changes nothing.\n"));
    push_seen(&world).await.unwrap();
    deploy(&world).handle(&[DeployTrigger::Schedule(ReconcileScope::Full)]).await.unwrap();
    assert_eq!(World::mutating(&world.take_calls()), Vec::<&str>::new());

    change(&world, &policy(&[ONE, TWO], None));
    push_seen(&world).await.unwrap();
    assert_eq!(world.state().reporting, Some(Reporting::default()));
}

#[tokio::test(flavor = "current_thread")]
async fn exemption_holds_unless_policy_is_rejected() {
    let world = World::new();
    let text = exempting(&[ONE], &[(COVERAGE, SCRATCH, "until: 2027-01-31")]);
    start(&world, &text.replace("2027-01-31", "tomorrow"));
    assert_eq!(push_seen(&world).await.unwrap().rejected.len(), 1);
    assert_eq!(world.state().reporting, None);

    change(&world, &text);
    world.fail_next("cloudformation:CreateStackSet", PortErrorKind::Denied);
    let seen = push_seen(&world).await.unwrap();
    assert!(matches!(outcome(&seen), FrameworkOutcome::Failed(_)));
    assert_eq!(world.state().reporting.as_ref().unwrap().exemptions.len(), 1);
}

#[tokio::test(flavor = "current_thread")]
async fn interrupted_publication_is_repeated() {
    let text = exempting(&[ONE], &[(COVERAGE, SCRATCH, "until: 2020-01-31")]);
    // The lost write, and whether it took effect: of the document, then of its digest.
    for (before, took_effect) in [(0, true), (0, false), (1, true), (1, false)] {
        let world = rolled_out(&[ONE]).await;
        change(&world, &text);
        for _ in 0..before {
            world.pass_next("dynamodb:PutItem");
        }
        match took_effect {
            true => world.lose_next_answer("dynamodb:PutItem"),
            false => world.fail_next("dynamodb:PutItem", PortErrorKind::Retryable),
        }
        assert_eq!(push_seen(&world).await.unwrap_err().kind, PortErrorKind::Retryable);
        push_seen(&world).await.unwrap();
        let (published, digest) = {
            let state = world.state();
            (state.reporting.clone().unwrap(), state.reporting_digest.clone())
        };
        assert_eq!((published.exemptions.len(), digest), (1, Some(published.digest().0)));
        let told = told(&world).len();
        // The digest was stored before the response was lost, so that it is not published again.
        assert_eq!(told, if (before, took_effect) == (1, true) { 1 } else { 2 }, "{before} {took_effect}");
        push_seen(&world).await.unwrap();
        assert!(world.take_notices().is_empty());
    }
}

#[tokio::test(flavor = "current_thread")]
async fn ineffective_exemptions_have_one_warning() {
    let world = rolled_out(&[ONE, TWO]).await;
    let text = exempting(
        &[ONE, TWO],
        &[
            (COVERAGE, SCRATCH, "until: 2026-11-28"),
            ("BACKUP_RECOVERY_POINT_ENCRYPTED", "[\"*\"]", "until: 2027-01-31"),
            (COVERAGE, "[\"*\"]", "accounts: [\"999999999999\"], until: 2027-01-31"),
            (
                COVERAGE,
                SCRATCH,
                "accounts: [\"111111111111\", \"333333333333\", \"444444444444\", \"555555555555\", \"666666666666\"], \
                 until: 2027-01-31",
            ),
            (COVERAGE, "[\"arn:aws:s3:::scratch-*\"]", "until: 2026-11-30"),
        ],
    );
    change(&world, &text);
    assert_eq!(world.state().now.to_string(), "2026-11-30T00:53:20Z", "the last exemption still holds");
    open(&world, ONE, "orders");
    open(&world, TWO, "scratch-7");
    let seen = push_seen(&world).await.unwrap();
    let first = text.lines().position(|line| line.starts_with("exemptions")).unwrap() + 2;
    let warnings: Vec<String> = [
        "the exemption has ended: its last day was 2026-11-28; remove it, or give it a later last day",
        "the exemption matches nothing: no framework of this policy has `BACKUP_RECOVERY_POINT_ENCRYPTED`; \
         remove it, or name a control that is in force",
        "account 999999999999 of the exemption is in no target of this policy; \
         correct `accounts`, or remove those that were deleted",
        "accounts 333333333333, 444444444444, 555555555555 and 1 more of the exemption are in no target of this policy; \
         correct `accounts`, or remove those that were deleted",
        "the exemption covers no open violation on record; check its resources, accounts and tags, or remove it",
    ]
    .iter()
    .enumerate()
    .map(|(number, warning)| format!("backup-compliance.yaml:{}:5: {warning}", first + number))
    .collect();
    assert_eq!(seen.warnings, warnings);
    assert!(seen.rejected.is_empty());
    let notices = told(&world);
    let [notice] = notices.as_slice() else { panic!("{notices:?}") };
    assert_eq!((notice.repository.as_str(), notice.branch.as_str()), ("backup-policy", "main"));
    assert_eq!((Some(&notice.commit), &notice.warnings), (world.state().head.as_ref(), &warnings));

    world.push("Explain", &[("README.md", Some("# Our policy"))]);
    for _ in 0..2 {
        assert_eq!(push_seen(&world).await.unwrap().warnings, Vec::<String>::new());
    }
    assert!(world.take_notices().is_empty());
}

#[tokio::test(flavor = "current_thread")]
async fn exemption_without_its_control_matches_nothing() {
    let world = World::new();
    let switched = FRAMEWORK
        .replace("Resources:\n", "  Days: { Type: String, Default: \"\" }\nConditions:\n  On: !Not [!Equals [!Ref Days, \"\"]]\nResources:\n")
        .replace("  Framework:\n", "  Framework:\n    Condition: On\n");
    let text = exempting(&[ONE, TWO], &[(COVERAGE, SCRATCH, "accounts: [\"111111111111\"], until: 2027-01-31")]);
    let text = text.replace(
        "      - accounts: [\"111111111111\", \"222222222222\"]\n        regions: [us-east-1, eu-west-1]\n",
        "      - accounts: [\"111111111111\"]\n        regions: [us-east-1]\n      - accounts: [\"222222222222\"]\n        \
         regions: [us-east-1]\n        parameters: { Days: \"1\" }\n",
    );
    world.push("Start", &[("backup-compliance.yaml", Some(&text)), ("framework.yaml", Some(&switched))]);
    let seen = push_seen(&world).await.unwrap();
    assert_eq!(seen.warnings.len(), 1, "{seen:?}");
    assert!(seen.warnings[0].contains(&format!("`{COVERAGE}` is in force in none of its accounts")), "{seen:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn effective_exemption_has_no_warning() {
    let covering = exempting(&[ONE, TWO], &[(COVERAGE, SCRATCH, "until: 2027-01-31")]);
    let asked = |world: &World| {
        let calls = world.take_calls();
        calls.iter().filter(|call| **call == "dynamodb:Scan").count()
    };
    // Before the first rollout no violations are stored, which proves nothing.
    let world = World::new();
    start(&world, &covering);
    assert!(push_seen(&world).await.unwrap().warnings.is_empty());
    assert_eq!(asked(&world), 0);

    let world = rolled_out(&[ONE, TWO]).await;
    open(&world, TWO, "scratch-7");
    change(&world, &covering);
    assert!(push_seen(&world).await.unwrap().warnings.is_empty());
    assert_eq!(asked(&world), 1);
    // No reads unless the settings have changed.
    push_seen(&world).await.unwrap();
    assert_eq!(asked(&world), 0);
}

#[tokio::test(flavor = "current_thread")]
async fn many_accounts_are_read_only_if_named() {
    let world = rolled_out(&[ONE, TWO]).await;
    for number in 0..201_u64 {
        open(&world, &format!("{number:012}"), "orders");
    }
    change(&world, &exempting(&[ONE, TWO], &[(COVERAGE, SCRATCH, "until: 2027-01-31")]));
    world.take_calls();
    assert!(push_seen(&world).await.unwrap().warnings.is_empty());
    let asked = world.take_calls().iter().filter(|call| **call == "dynamodb:Query").count();
    assert_eq!(asked, 1, "only the state of deploy");

    open(&world, ONE, "orders");
    let named = [(COVERAGE, SCRATCH, "accounts: [\"111111111111\", \"222222222222\"], until: 2027-01-31")];
    change(&world, &exempting(&[ONE, TWO], &named));
    assert_eq!(push_seen(&world).await.unwrap().warnings.len(), 1);
    let asked = world.take_calls().iter().filter(|call| **call == "dynamodb:Query").count();
    assert_eq!(asked, 2, "the one account that is named and has open violations");
}

#[tokio::test(flavor = "current_thread")]
async fn failed_warning_does_not_block_publication() {
    let text =
        exempting(&[ONE], &[(COVERAGE, SCRATCH, "until: 2027-01-31"), (COVERAGE, "[\"*\"]", "until: 2020-01-31")]);
    for (call, kind, tries, warnings) in [
        ("sns:Publish", PortErrorKind::Denied, 1, 2),
        ("sns:Publish", PortErrorKind::Retryable, 2, 2),
        ("dynamodb:Scan", PortErrorKind::Denied, 1, 1),
        ("dynamodb:Scan", PortErrorKind::Retryable, 2, 2),
    ] {
        let world = rolled_out(&[ONE, THREE]).await;
        change(&world, &text.replace(&format!("[\"{ONE}\"]"), &format!("[\"{ONE}\", \"{THREE}\"]")));
        world.fail_next(call, kind);
        for _ in 1..tries {
            assert_eq!(push_seen(&world).await.unwrap_err().kind, kind, "{call}");
            assert_eq!(world.state().reporting, Some(Reporting::default()));
        }
        let seen = push_seen(&world).await.unwrap();
        assert_eq!(seen.warnings.len(), warnings, "{call} {kind:?}: {seen:?}");
        assert_eq!(world.state().reporting.as_ref().unwrap().exemptions.len(), 2);
    }
}
