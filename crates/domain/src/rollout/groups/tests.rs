use proptest::prelude::*;

use framework::ids::{AccountId, RegionName};

use super::*;

const REGIONS: [&str; 4] = ["eu-west-1", "us-gov-east-1", "ap-southeast-3", "eusc-de-east-1"];

fn instance(number: usize) -> Instance {
    Instance {
        account: AccountId::parse(&format!("{:012}", 111_111_111_111 + number / 10)).expect("12 digits"),
        region: RegionName::parse(REGIONS[number % 4]).expect("a Region"),
    }
}

fn diagnostic(number: usize, outcome: InstanceOutcome, reason: String) -> InstanceFailure {
    InstanceFailure { instance: instance(number), outcome, reason }
}

/// A reason without a known cause, in which all ids differ.
fn unknown(number: usize) -> String {
    let Instance { account, region } = instance(number);
    format!(
        "ResourceLogicalId:Framework, ResourceType:AWS::Backup::Framework, ResourceStatusReason:Resource handler returned message: \
         \"Something new at arn:aws:backup:{region}:{account}:framework:baseline-{number:08x}-1111-4222-8333-444444444444. in {region} of \
         {account} (Service: Backup, Status Code: 500, Request ID: {number:08x}-c9b9-4bba-80d2-acd1c21a9979)\" (RequestToken: \
         {number:08X}-C9B9-4BBA-80D2-ACD1C21A9979, stack StackSet-base-{number:08x}-0001-4222-8333-444444444444-Rule-1{number:08}XYZ)"
    )
}

#[test]
fn normalized_reasons_without_ids_are_equal() {
    let one = normalized(&unknown(1));
    assert_eq!(one, normalized(&unknown(77_777)));
    assert!(one.contains("Something new at ARN in REGION of ACCOUNT (Service: Backup, Status Code: 500"), "{one}");
    assert!(one.ends_with("stack StackSet-base-ID-Rule-ID)"), "{one}");
    for (reason, expected) in [
        ("Region us-east-1, cn-north-1: x", "Region REGION, REGION: x"),
        ("Stack:arn:aws:cloudformation:a:b:stack/x/y is in", "Stack:ARN is in"),
        ("policy-v-1 of daily-35-days", "policy-v-1 of daily-35-days"),
        ("account:123456789012.", "account:ACCOUNT"),
        ("at 1764150000123 code 403", "at NUMBER code 403"),
        ("id 9bb82856c9b94bba", "id ID"),
        ("facade deadbeef", "facade deadbeef"),
        ("two\nlines.", "two lines"),
        ("", ""),
    ] {
        assert_eq!(normalized(reason), expected);
    }
    // Significant differences stay.
    assert_ne!(normalized("Status Code: 400"), normalized("Status Code: 500"));
    assert_ne!(normalized("Framework daily failed"), normalized("Framework weekly failed"));
}

#[test]
fn group_counts_equal_causes() {
    let role =
        |n: usize| format!("Account {} should have 'x' role with trust relationship to Role 'y'.", instance(n).account);
    let mut diagnostics: Vec<InstanceFailure> = (0..5)
        .map(|n| diagnostic(n, InstanceOutcome::Cancelled, "Cancelled since failure tolerance has exceeded".into()))
        .collect();
    diagnostics.extend((5..40).map(|n| diagnostic(n, InstanceOutcome::Failed, unknown(n))));
    diagnostics.extend((40..740).map(|n| diagnostic(n, InstanceOutcome::Failed, role(n))));
    // Another wording of the same cause.
    diagnostics.push(diagnostic(740, InstanceOutcome::Failed, "role r cannot be assumed".into()));
    diagnostics.push(diagnostic(741, InstanceOutcome::NeverReached, role(741)));
    let groups = group_failures(&diagnostics, 3);
    let summary: Vec<_> = groups.iter().map(|g| (g.outcome, g.cause.clone(), g.count, g.first.len())).collect();
    assert_eq!(
        summary,
        [
            (InstanceOutcome::Failed, Some(FailureCause::ExecutionRole), 701, 3),
            (InstanceOutcome::Failed, None, 35, 3),
            (InstanceOutcome::Cancelled, Some(FailureCause::ToleranceExceeded), 5, 3),
            (InstanceOutcome::NeverReached, Some(FailureCause::ExecutionRole), 1, 1),
        ]
    );
    assert_eq!(groups[0].reason, role(40));
    assert_eq!(groups[0].first, [&instance(40), &instance(41), &instance(42)]);
}

/// Ten thousand accounts in ten Regions, with one reason for all and with a reason for each. A quadratic algorithm would run into the
/// timeout of the test runner; `cargo xtask bench rollout` measures the time.
#[test]
fn group_of_100000_faults_is_fast() {
    let one_for_all: Vec<InstanceFailure> =
        (0..100_000).map(|n| diagnostic(n, InstanceOutcome::Failed, unknown(n))).collect();
    let one_each: Vec<InstanceFailure> =
        (0..100_000).map(|n| diagnostic(n, InstanceOutcome::Failed, format!("kind {}", letters(n)))).collect();
    for (diagnostics, expected) in [(one_for_all, 1), (one_each, 100_000)] {
        let groups = group_failures(&diagnostics, 20);
        assert_eq!(groups.len(), expected);
        assert_eq!(groups.iter().map(|group| group.count).sum::<usize>(), diagnostics.len());
    }
}

proptest! {
    #[test]
    fn group_counts_every_fault_once(reasons in prop::collection::vec("\\PC{0,60}|[a-f0-9:/. -]{0,60}", 0..40)) {
        let diagnostics: Vec<InstanceFailure> =
            reasons.iter().enumerate().map(|(n, reason)| diagnostic(n, InstanceOutcome::Failed, reason.clone())).collect();
        let groups = group_failures(&diagnostics, 2);
        prop_assert_eq!(groups.iter().map(|group| group.count).sum::<usize>(), diagnostics.len());
        for group in &groups {
            prop_assert_eq!(group.first.len(), group.count.min(2));
        }
        for reason in &reasons {
            // Normalization is idempotent.
            let once = normalized(reason);
            prop_assert_eq!(normalized(&once), once);
        }
    }
}

/// Encodes a number in letters.
fn letters(number: usize) -> String {
    number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'g')).collect()
}
