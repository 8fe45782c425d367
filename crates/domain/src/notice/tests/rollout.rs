use syntax::diagnostic::{Diagnostic, Position};

use super::samples::{self, all};
use crate::notice::*;
use crate::rollout::InstanceOutcome as End;

#[test]
fn rollout_headline_counts_outcomes() {
    let subject = |name: &str| {
        all().into_iter().find(|(known, _)| *known == name).map(|(_, notice)| notice.subject()).unwrap_or_default()
    };
    let name = "ackup framework backup-compliance";
    for (sample, expected) in [
        ("rollout_succeeded", format!("B{name} was rolled out: 6 of 6 instances")),
        ("rollout_skipped", format!("B{name} was rolled out: 798 of 800 instances, 2 skipped")),
        ("rollout_partial", format!("[FAILED] Rollout of b{name}: 732 of 800 instances up to date, 2 skipped")),
        ("removal", format!("B{name} was removed: 12 instances deleted, 2 stacks retained")),
        ("removal_failed", format!("[FAILED] Removal of b{name}: 3 instances remaining")),
        ("rollout_trouble", format!("[FAILED] B{name} could not be rolled out")),
    ] {
        assert_eq!(subject(sample), expected);
    }
    let nothing = RolloutReport { deleted: 0, retained: vec![], ..samples::removal() };
    assert_eq!(Notice::RolloutSucceeded(nothing).subject(), format!("B{name} was removed"));
    let trouble = RolloutReport { error: Some("x".into()), ..samples::removal_failed() };
    assert_eq!(Notice::RolloutFailed(trouble).subject(), format!("[FAILED] B{name} could not be removed"));
}

#[test]
fn rare_failure_is_named_beside_many_equal_ones() {
    let mut report = samples::partial();
    let diagnostic = |n: usize, reason: &str| samples::ended(n, End::Failed, reason);
    report.verdict.failures = (0..700).map(|n| diagnostic(n, "role x cannot be assumed")).collect();
    report.verdict.failures.push(diagnostic(700, "something new"));
    report.verdict.failures.push(samples::ended(701, End::Cancelled, "Cancelled since failure tolerance has exceeded"));
    let notice = Notice::RolloutFailed(report);
    let document = notice.json();
    let groups: Vec<_> = document["groups"].as_array().expect("a list").iter().collect();
    let told: Vec<_> =
        groups.iter().map(|group| (group["count"].as_u64(), group["instances"].as_array().map(Vec::len))).collect();
    assert_eq!(told, [(Some(700), Some(18)), (Some(1), Some(1)), (Some(1), Some(1)), (Some(2), Some(2))]);
    assert_eq!(document["failures"].as_array().map(Vec::len), Some(20));
    let text = notice.text();
    for line in [
        "Failed (701)\n",
        " and 682 more\n",
        "\nCancelled before their operation started (1)\n",
        "  - 1 instance: something new\n",
    ] {
        assert!(text.contains(line), "`{line}` is not in\n{text}");
    }
    // Further reasons are counted.
    let RolloutReport { mut verdict, .. } = samples::partial();
    verdict.failures = (0..26)
        .map(|n| diagnostic(n, &format!("kind {}", char::from(b'a' + u8::try_from(n).expect("small")))))
        .collect();
    let text = Notice::RolloutFailed(RolloutReport { verdict, ..samples::partial() }).text();
    assert!(text.contains("  and 14 instances for other reasons\n"), "{text}");
}

#[test]
fn error_of_whole_rollout_has_advice() {
    let advice = |trouble: &str| {
        let report = RolloutReport { error: Some(trouble.into()), ..samples::trouble() };
        Notice::RolloutFailed(report).json()["advice"].clone()
    };
    let trusted =
        advice("ValidationError: You must enable organizations access to operate a service managed stack set");
    assert!(trusted.as_str().is_some_and(|text| text.contains("activate-organizations-access")), "{trusted}");
    // The use case adds its own advice to this error.
    assert_eq!(advice(samples::trouble().error.as_deref().expect("there")), Value::Null);
    assert_eq!(advice("something new"), Value::Null);
}

#[test]
fn rejection_comment_has_positions() {
    let long = "d/".repeat(200);
    let at = Position { line: 12, column: 7 };
    let mut rejection = samples::rejection();
    rejection.diagnostics.push(Diagnostic::at(
        &long,
        "x",
        at,
        "the name `a`b [x](y) www.evil.example` is <b>bad</b>",
        "`",
    ));
    let comment = Notice::PolicyRejected(rejection.clone()).comment();
    assert!(
        comment.contains("\n- `backup-compliance.yaml:5:20`: the account id `22222222222` has 11 digits; "),
        "{comment}"
    );
    assert!(comment.contains("\n- `framework.yaml`: the template `framework.yaml` is not"), "{comment}");
    assert!(comment.contains("…:12:7`: the name `a`b ［x］(y) www․evil.exampleˋ is ‹b›bad‹/b›; ˋ"), "{comment}");
    rejection.diagnostics = rejection.diagnostics.into_iter().cycle().take(45).collect();
    assert!(Notice::PolicyRejected(rejection).comment().contains("\n- and 25 more errors\n"));
}
