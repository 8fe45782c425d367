use super::*;
use crate::cost::Prices;

const NOW: &str = "2026-11-30T12:00:00Z";

fn at(time: &str) -> Timestamp {
    time.parse().expect("a time")
}

fn violation(resource: &str) -> PredictedViolation {
    PredictedViolation {
        control: "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN",
        framework: "backup".to_owned(),
        account: AccountId::parse("111122223333").expect("an account"),
        region: RegionName::parse("eu-west-1").expect("a Region"),
        resource_type: "AWS::RDS::DBCluster".to_owned(),
        resource: resource.to_owned(),
        name: Some("orders".to_owned()),
        reason: "no backup plan selects it".to_owned(),
        fix: Some("add the tag `backup` = `daily`".to_owned()),
    }
}

fn violations(new: u64, undecided: u64) -> PredictedViolations {
    PredictedViolations {
        inventory_as_of: at(NOW),
        counts: PredictedCounts { new, undecided, ..PredictedCounts::default() },
        ..PredictedViolations::default()
    }
}

fn preview(violations: Option<PredictedViolations>) -> Preview {
    Preview {
        version: 1,
        before: "main".to_owned(),
        after: ".".to_owned(),
        verdict: ChangeVerdict::Ok,
        reasons: Vec::new(),
        findings: Vec::new(),
        plan: Vec::new(),
        kept: Vec::new(),
        violations,
        cost: None,
    }
}

fn judged(mut preview: Preview, limits: PreviewLimits, errors: usize) -> (ChangeVerdict, Vec<String>) {
    preview.judge(&limits, errors, at(NOW));
    (preview.verdict, preview.reasons)
}

#[test]
fn change_is_judged_by_its_limits() {
    let none = PreviewLimits::default();
    let zero = PreviewLimits { max_new_violations: Some(0), max_undecided: Some(0), ..none };
    let two = PreviewLimits { max_new_violations: Some(2), max_undecided: Some(2), ..none };
    let old = PredictedViolations { inventory_as_of: at("2026-11-28T11:00:00Z"), ..violations(0, 0) };
    let location = violation("x");
    let unread = UnreadLocation { account: location.account, region: location.region, reason: "denied".to_owned() };
    let unread = PredictedViolations { unread: vec![unread], ..violations(0, 0) };
    let exceeded = "1 new violation: the limit is 0 (`preview.maxNewViolations`)";
    let undecided = "3 undecided results: the limit is 2 (`preview.maxUndecided`)";
    for (case, violations, limits, errors, verdict, reasons) in [
        ("nothing", Some(violations(0, 0)), none, 0, ChangeVerdict::Ok, vec![]),
        ("nothing, limits of 0", Some(violations(0, 0)), zero, 0, ChangeVerdict::Ok, vec![]),
        ("within the limits", Some(violations(2, 2)), two, 0, ChangeVerdict::Ok, vec![]),
        (
            "no limits",
            Some(violations(1, 2)),
            none,
            0,
            ChangeVerdict::Attention,
            vec!["1 new violation", "2 undecided results"],
        ),
        ("one too many", Some(violations(1, 0)), zero, 0, ChangeVerdict::Blocked, vec![exceeded]),
        ("undecided", Some(violations(0, 3)), two, 0, ChangeVerdict::Blocked, vec![undecided]),
        ("no inventory", None, zero, 0, ChangeVerdict::Attention, vec!["violations are not predicted"]),
        ("an old inventory", Some(old), zero, 0, ChangeVerdict::Attention, vec!["the inventory is 49 hours old"]),
        ("unread", Some(unread), zero, 0, ChangeVerdict::Attention, vec!["1 part of the inventory not read"]),
        ("errors", None, none, 2, ChangeVerdict::Blocked, vec!["lint has 2 errors: `deploy` would reject the policy"]),
    ] {
        let reasons = reasons.into_iter().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(judged(preview(violations), limits, errors), (verdict, reasons), "{case}");
    }
}

#[test]
fn cost_over_the_limit_blocks() {
    let evaluations = BTreeMap::from([("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN", 30_400.0)]);
    let cost = Prices::of_this_version().expect("prices").change(&BTreeMap::new(), &evaluations);
    let limited = |limit| {
        let limits = PreviewLimits { max_monthly_increase: Some(limit), ..PreviewLimits::default() };
        let preview = Preview { cost: Some(cost.clone()), ..preview(Some(violations(0, 0))) };
        judged(preview, limits, 0)
    };
    assert_eq!(limited(69), (ChangeVerdict::Ok, Vec::new()));
    let reason = "up to 68.40 USD a month more: the limit is 68 (`preview.maxMonthlyIncrease`)";
    assert_eq!(limited(68), (ChangeVerdict::Blocked, vec![reason.to_owned()]));
}

#[test]
fn markdown_fits_and_counts_what_is_left_out() {
    let hostile = format!("arn:aws:rds:eu-west-1:111122223333:cluster:`@all`\n\n# {}\u{202e}", "x".repeat(10_000));
    for (names, limit) in [
        ((0..2_000).map(|number| format!("cluster-{number}")).collect::<Vec<_>>(), 10_240),
        (vec![hostile; 2_000], 10_240),
        ((0..3).map(|number| format!("cluster-{number}")).collect(), 65_536),
    ] {
        let count = names.len() as u64;
        let all =
            PredictedViolations { new: names.iter().map(|name| violation(name)).collect(), ..violations(count, 0) };
        let mut preview = preview(Some(all));
        preview.judge(&PreviewLimits::default(), 0, at(NOW));
        let text = preview.markdown(limit);
        let doubled = text.replace('\n', "\n\n");
        assert!(doubled.chars().count() <= limit, "{} characters", doubled.chars().count());
        let shown = text.lines().filter(|line| line.contains("no backup plan selects it")).count() as u64;
        assert!(shown >= 3, "{text}");
        let more = text.lines().find_map(|line| line.strip_prefix("- and ")?.strip_suffix(" more")?.parse().ok());
        assert_eq!(more.unwrap_or(0), count - shown);
        assert!(!text.contains("@all") && !text.contains('\u{202e}') && !text.contains("\n# "), "{text}");
    }
}

#[test]
fn markdown_matches_snapshot() {
    let all = PredictedViolations { new: vec![violation("cluster-1")], ..violations(1, 2) };
    let cost = Prices::of_this_version()
        .expect("prices")
        .change(&BTreeMap::new(), &BTreeMap::from([("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN", 30_400.0)]));
    let kept = vec![StackSetName::parse("old").expect("a name")];
    let finding = Diagnostic::of_file("backup-compliance.yaml", "the exemption ended", "remove it");
    let mut preview = Preview { cost: Some(cost), kept, findings: vec![finding], ..preview(Some(all)) };
    preview.judge(&PreviewLimits { max_new_violations: Some(0), ..PreviewLimits::default() }, 0, at(NOW));
    insta::assert_snapshot!(preview.markdown(10_240));
}
