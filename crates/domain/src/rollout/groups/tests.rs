use super::*;
use crate::ids::{AccountId, RegionName};
use proptest::prelude::*;

const REGIONS: [&str; 4] = ["eu-west-1", "us-gov-east-1", "ap-southeast-3", "eusc-de-east-1"];

fn instance(number: usize) -> Instance {
    Instance {
        account: AccountId::parse(&format!("{:012}", 111_111_111_111 + number / 10)).expect("12 digits"),
        region: RegionName::parse(REGIONS[number % 4]).expect("a Region"),
    }
}

fn fault(number: usize, outcome: Outcome, reason: String) -> InstanceFault {
    InstanceFault { instance: instance(number), outcome, reason }
}

/// A reason that no cause is known for, in which everything that can differ does.
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
fn reasons_that_differ_only_in_ids_are_equal() {
    let one = normalised(&unknown(1));
    assert_eq!(one, normalised(&unknown(77_777)));
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
        assert_eq!(normalised(reason), expected);
    }
    // What tells reasons apart stays.
    assert_ne!(normalised("Status Code: 400"), normalised("Status Code: 500"));
    assert_ne!(normalised("Framework daily failed"), normalised("Framework weekly failed"));
}

#[test]
fn equal_reasons_are_one_group_and_counted_over_all() {
    let role =
        |n: usize| format!("Account {} should have 'x' role with trust relationship to Role 'y'.", instance(n).account);
    let mut faults: Vec<InstanceFault> =
        (0..5).map(|n| fault(n, Outcome::Cancelled, "Cancelled since failure tolerance has exceeded".into())).collect();
    faults.extend((5..40).map(|n| fault(n, Outcome::Failed, unknown(n))));
    faults.extend((40..740).map(|n| fault(n, Outcome::Failed, role(n))));
    // Another wording of the same cause.
    faults.push(fault(740, Outcome::Failed, "role r cannot be assumed".into()));
    faults.push(fault(741, Outcome::NeverReached, role(741)));
    let groups = group(&faults, 3);
    let told: Vec<_> =
        groups.iter().map(|g| (g.outcome, g.cause.as_ref().map(Cause::word), g.count, g.first.len())).collect();
    assert_eq!(
        told,
        [
            (Outcome::Failed, Some("executionRole"), 701, 3),
            (Outcome::Failed, None, 35, 3),
            (Outcome::Cancelled, Some("toleranceExceeded"), 5, 3),
            (Outcome::NeverReached, Some("executionRole"), 1, 1),
        ]
    );
    assert_eq!(groups[0].reason, role(40));
    assert_eq!(groups[0].first, [&instance(40), &instance(41), &instance(42)]);
}

/// Ten thousand accounts in ten Regions, with one reason for all and with a reason each. A grouping that grows with the square does
/// not end before the test runner ends it; `cargo xtask bench rollout` measures.
#[test]
fn a_hundred_thousand_faults_are_grouped_at_once() {
    let one_for_all: Vec<InstanceFault> = (0..100_000).map(|n| fault(n, Outcome::Failed, unknown(n))).collect();
    let one_each: Vec<InstanceFault> =
        (0..100_000).map(|n| fault(n, Outcome::Failed, format!("kind {}", letters(n)))).collect();
    for (faults, expected) in [(one_for_all, 1), (one_each, 100_000)] {
        let groups = group(&faults, 20);
        assert_eq!(groups.len(), expected);
        assert_eq!(groups.iter().map(|group| group.count).sum::<usize>(), faults.len());
    }
}

proptest! {
    #[test]
    fn whatever_the_reasons_every_fault_is_counted_once(reasons in prop::collection::vec("\\PC{0,60}|[a-f0-9:/. -]{0,60}", 0..40)) {
        let faults: Vec<InstanceFault> =
            reasons.iter().enumerate().map(|(n, reason)| fault(n, Outcome::Failed, reason.clone())).collect();
        let groups = group(&faults, 2);
        prop_assert_eq!(groups.iter().map(|group| group.count).sum::<usize>(), faults.len());
        for group in &groups {
            prop_assert_eq!(group.first.len(), group.count.min(2));
        }
        for reason in &reasons {
            // What is normalised stays so.
            let once = normalised(reason);
            prop_assert_eq!(normalised(&once), once);
        }
    }
}

/// A number in letters.
fn letters(number: usize) -> String {
    number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'g')).collect()
}
