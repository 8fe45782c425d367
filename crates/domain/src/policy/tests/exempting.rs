//! Exemptions: matches and near misses, severities, wildcards.

use jiff::civil::date;

use framework::control;
use syntax::wildcard::matches as wildcard;

use super::*;
use crate::violation::{AppliedExemption, ResourceDetails, ViolationKey};

const PLAN: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";
const SCRATCH: &str = "arn:aws:rds:*:*:cluster:scratch-*";

fn account(text: &str) -> AccountId {
    AccountId::parse(text).expect("an account")
}

fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn exemption() -> Exemption {
    Exemption {
        control: control::find(PLAN).expect("a control"),
        resources: vec![SCRATCH.to_owned(), "arn:aws:dynamodb:*:*:table/scratch-*".to_owned()],
        accounts: vec![account("222222222222")],
        tags: tags(&[("environment", "sand*"), ("team", "data")]),
        reason: "throw-away test clusters".to_owned(),
        owner: "data-platform@example.com".to_owned(),
        until: date(2027, 1, 31),
    }
}

fn key() -> ViolationKey {
    ViolationKey {
        account: account("222222222222"),
        region: RegionName::parse("eu-west-1").expect("a Region"),
        control: PLAN.to_owned(),
        resource_type: "AWS::RDS::DBCluster".to_owned(),
        resource_id: "cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ".to_owned(),
    }
}

fn resource() -> ResourceDetails {
    ResourceDetails {
        name: Some("scratch-7".to_owned()),
        arn: Some("arn:aws:rds:eu-west-1:222222222222:cluster:scratch-7".to_owned()),
        tags: tags(&[("environment", "sandbox"), ("team", "data"), ("other", "x")]),
    }
}

fn with(exemptions: &[Exemption]) -> Reporting {
    Reporting { exemptions: exemptions.to_vec(), ..Reporting::default() }
}

#[test]
fn exemption_applies_to_the_end_of_its_last_day() {
    let reporting = with(&[exemption()]);
    let on = |day| reporting.match_exemptions(&key(), &resource(), day);
    assert_eq!(on(date(2026, 1, 1)), ExemptionMatch::Covered(&exemption()));
    assert_eq!(on(date(2027, 1, 31)), ExemptionMatch::Covered(&exemption()));
    assert!(matches!(on(date(2027, 2, 1)), ExemptionMatch::NearMiss(_)));
}

#[test]
fn exemption_that_applies_longest_is_chosen() {
    let later = Exemption { until: date(2027, 6, 30), owner: "b".to_owned(), ..exemption() };
    let as_late = Exemption { owner: "c".to_owned(), ..later.clone() };
    let over = Exemption { until: date(2026, 1, 1), ..exemption() };
    let reporting = with(&[over, exemption(), later.clone(), as_late]);
    assert_eq!(reporting.match_exemptions(&key(), &resource(), date(2027, 1, 1)), ExemptionMatch::Covered(&later));
}

#[test]
fn near_miss_explains_the_unmet_condition() {
    let today = date(2027, 1, 1);
    let without = |name: &str| {
        let mut resource = resource();
        resource.tags.remove(name);
        resource
    };
    let tagged = |name: &str, value: &str| {
        let mut resource = resource();
        resource.tags.insert(name.to_owned(), value.to_owned());
        resource
    };
    let elsewhere = ViolationKey { account: account("111111111111"), ..key() };
    let several = Exemption { accounts: vec![account("222222222222"), account("333333333333")], ..exemption() };
    let start = "The exemption of `arn:aws:rds:*:*:cluster:scratch-*` (owner data-platform@example.com)";
    for (case, exemption, key, resource, today, unmet) in [
        ("time", exemption(), key(), resource(), date(2027, 2, 1), "ended on 2027-01-31."),
        ("account", exemption(), elsewhere.clone(), resource(), today, "applies in account 222222222222 only."),
        ("accounts", several, elsewhere.clone(), resource(), today, "applies in 2 other accounts only."),
        (
            "a tag",
            exemption(),
            key(),
            without("team"),
            today,
            "requires the tag `team` = `data`; the resource does not have it.",
        ),
        (
            "the value of a tag",
            exemption(),
            key(),
            tagged("environment", "prod"),
            today,
            "requires the tag `environment` = `sand*`; the resource has `prod`.",
        ),
    ] {
        let sentence = with(&[exemption]).match_exemptions(&key, &resource, today).to_owned_sentence();
        assert_eq!(sentence, format!("{start} {unmet}"), "{case}");
    }
    for (case, key, resource, today) in [
        ("time and account", elsewhere.clone(), resource(), date(2027, 2, 1)),
        ("account and tag", elsewhere, without("team"), today),
        ("all tags", key(), ResourceDetails { tags: BTreeMap::new(), ..resource() }, today),
        (
            "another control",
            ViolationKey { control: "BACKUP_LAST_RECOVERY_POINT_CREATED".to_owned(), ..key() },
            resource(),
            today,
        ),
        ("no ARN", key(), ResourceDetails { arn: None, ..resource() }, today),
        (
            "another resource",
            key(),
            ResourceDetails { arn: Some("arn:aws:rds:eu-west-1:222222222222:cluster:orders".to_owned()), ..resource() },
            today,
        ),
    ] {
        assert_eq!(with(&[exemption()]).match_exemptions(&key, &resource, today), ExemptionMatch::Unmatched, "{case}");
    }
}

impl ExemptionMatch<'_> {
    fn to_owned_sentence(&self) -> String {
        match self {
            Self::NearMiss(sentence) => sentence.clone(),
            other => panic!("{other:?}"),
        }
    }
}

/// An exemption of the sandbox is not a near miss for every other resource.
#[test]
fn near_miss_of_all_resources_only_after_the_end() {
    let all = Exemption { resources: vec!["*".to_owned()], accounts: Vec::new(), ..exemption() };
    let reporting = with(std::slice::from_ref(&all));
    let unknown = ResourceDetails { arn: None, ..resource() };
    assert_eq!(reporting.match_exemptions(&key(), &unknown, date(2027, 1, 1)), ExemptionMatch::Covered(&all));
    let ended = reporting.match_exemptions(&key(), &unknown, date(2027, 2, 1)).to_owned_sentence();
    assert_eq!(ended, "The exemption of `*` (owner data-platform@example.com) ended on 2027-01-31.");
    let mut other = unknown;
    other.tags.remove("team");
    assert_eq!(reporting.match_exemptions(&key(), &other, date(2027, 1, 1)), ExemptionMatch::Unmatched);
}

#[test]
fn arn_unknown_is_derived_where_possible() {
    let table = ViolationKey {
        resource_type: "AWS::DynamoDB::Table".to_owned(),
        resource_id: "scratch-orders".to_owned(),
        ..key()
    };
    let unknown = ResourceDetails { arn: None, ..resource() };
    let covering = exemption();
    assert_eq!(
        with(std::slice::from_ref(&covering)).match_exemptions(&table, &unknown, date(2027, 1, 1)),
        ExemptionMatch::Covered(&covering)
    );
}

#[test]
fn expires_within_counts_whole_days() {
    for (days_left, expected) in [(-1, false), (0, true), (14, true), (15, false)] {
        let today = date(2027, 1, 31).saturating_sub(jiff::Span::new().days(days_left));
        assert_eq!(exemption().expires_within(today, 14), expected, "{days_left} days left");
    }
    let last = Exemption { until: Date::MAX, ..exemption() };
    assert!(!last.expires_within(date(2027, 1, 1), 14));
    assert!(last.expires_within(Date::MAX, 0));
    assert!(last.expires_within(Date::MIN, u32::MAX));
}

#[test]
fn exemption_digest_ignores_the_reason_only() {
    let digest = exemption().digest();
    assert_eq!(Exemption { reason: "other words".to_owned(), ..exemption() }.digest(), digest);
    for changed in [
        Exemption { control: control::find("BACKUP_RECOVERY_POINT_ENCRYPTED").expect("a control"), ..exemption() },
        Exemption { resources: vec![SCRATCH.to_owned()], ..exemption() },
        Exemption { accounts: Vec::new(), ..exemption() },
        Exemption { tags: BTreeMap::new(), ..exemption() },
        Exemption { owner: "another team".to_owned(), ..exemption() },
        Exemption { until: date(2027, 2, 1), ..exemption() },
    ] {
        assert_ne!(changed.digest(), digest, "{changed:?}");
    }
    let AppliedExemption { reason, owner, until } = AppliedExemption::from(&exemption());
    assert_eq!((reason, owner, until), (exemption().reason, exemption().owner, exemption().until));
}

#[test]
fn severity_follows_the_first_matching_rule() {
    let rule = |control: Option<&str>, accounts: &[&str], with: &[(&str, &str)], severity| SeverityRule {
        control: control.map(ToOwned::to_owned),
        accounts: accounts.iter().map(|text| account(text)).collect(),
        tags: tags(with),
        severity,
    };
    let reporting = Reporting {
        severity: vec![
            rule(Some(PLAN), &["222222222222"], &[("environment", "prod*"), ("team", "*")], Severity::Critical),
            rule(None, &[], &[("environment", "sandbox")], Severity::Low),
            rule(None, &["333333333333"], &[], Severity::Informational),
        ],
        ..Reporting::default()
    };
    let tagged = |with: &[(&str, &str)]| ResourceDetails { tags: tags(with), ..resource() };
    let other = ViolationKey { account: account("333333333333"), ..key() };
    let unknown = ViolationKey { control: "some-rule".to_owned(), ..key() };
    let of_catalog = control::find(PLAN).expect("a control").severity;
    for (case, key, resource, severity) in [
        ("all conditions", key(), tagged(&[("environment", "production"), ("team", "")]), Severity::Critical),
        ("a tag is missing", key(), tagged(&[("environment", "production")]), of_catalog),
        ("another value", key(), tagged(&[("environment", "Production"), ("team", "x")]), of_catalog),
        ("the second rule", key(), tagged(&[("environment", "sandbox")]), Severity::Low),
        ("the first of two", other.clone(), tagged(&[("environment", "sandbox")]), Severity::Low),
        ("by account", other, tagged(&[]), Severity::Informational),
        ("no tags known", key(), tagged(&[]), of_catalog),
        ("an unknown control", unknown, tagged(&[]), Severity::Medium),
    ] {
        assert_eq!(reporting.severity(&key, &resource), severity, "{case}");
    }
}

#[test]
fn wildcard_matches_any_text() {
    for (pattern, text, expected) in [
        ("*", "", true),
        ("*", "anything", true),
        ("", "", true),
        ("", "a", false),
        ("a", "a", true),
        ("a", "A", false),
        ("a*", "a", true),
        ("a*", "ba", false),
        ("*a", "ba", true),
        ("a*a", "a", false),
        ("a*a", "aa", true),
        ("*ab*ab*", "abab", true),
        ("*ab*ab*", "aba", false),
        ("a**b", "ab", true),
        ("*.txt", "a.txt.txt", true),
        ("é*ü", "éßü", true),
        (SCRATCH, "arn:aws:rds:eu-west-1:222222222222:cluster:scratch-7", true),
        (SCRATCH, "arn:aws:rds:eu-west-1:222222222222:cluster:orders", false),
    ] {
        assert_eq!(wildcard(pattern, text), expected, "`{pattern}` and `{text}`");
    }
}

/// Backtracking would take exponential time.
#[test]
fn wildcard_takes_linear_time() {
    let pattern = "a*".repeat(20_000) + "b";
    assert!(!wildcard(&pattern, &"a".repeat(100_000)));
    assert!(wildcard(&pattern, &("a".repeat(100_000) + "b")));
}

/// The simplest implementation of [`wildcard`].
fn model(pattern: &[char], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), _) => model(rest, text) || text.split_first().is_some_and(|(_, less)| model(pattern, less)),
        (Some((c, pattern)), Some((d, text))) => c == d && model(pattern, text),
        _ => false,
    }
}

/// An exemption with any of its conditions, and a violation that meets all of them.
fn covered() -> impl Strategy<Value = (Exemption, ViolationKey, ResourceDetails, Date)> {
    let tag = ("[a-c]{1,2}", ("[a-c]{0,2}", any::<bool>(), "[a-c]{0,2}"));
    (
        prop::collection::btree_map(tag.0, tag.1, 0..3),
        prop::collection::vec("[1-9]{12}", 0..3),
        any::<prop::sample::Index>(),
        "[a-z]{1,8}",
        0..400_i64,
        any::<bool>(),
    )
        .prop_map(|(required, accounts, which, name, left, is_for_all)| {
            let accounts: Vec<_> = accounts.iter().map(|text| account(text)).collect();
            let owner = if accounts.is_empty() { account("444444444444") } else { which.get(&accounts).clone() };
            let pattern =
                |(start, open, _): &(String, bool, String)| format!("{start}{}", if *open { "*" } else { "" });
            let value =
                |(start, open, end): &(String, bool, String)| format!("{start}{}", if *open { end } else { "" });
            let exemption = Exemption {
                accounts,
                resources: vec![if is_for_all { "*".to_owned() } else { SCRATCH.to_owned() }],
                tags: required.iter().map(|(name, parts)| (name.clone(), pattern(parts))).collect(),
                ..exemption()
            };
            let key = ViolationKey { account: owner.clone(), ..key() };
            let resource = ResourceDetails {
                arn: Some(format!("arn:aws:rds:eu-west-1:{owner}:cluster:scratch-{name}")),
                tags: required.iter().map(|(name, parts)| (name.clone(), value(parts))).collect(),
                ..resource()
            };
            let today = exemption.until.saturating_sub(jiff::Span::new().days(left));
            (exemption, key, resource, today)
        })
}

proptest! {
    #[test]
    fn wildcard_matches_its_model(pattern in "[ab*]{0,8}", text in "[ab*]{0,10}") {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        prop_assert_eq!(wildcard(&pattern, &text), model(&chars(&pattern), &chars(&text)));
    }

    #[test]
    fn wildcard_inclusion_is_transitive(
        wide in "[ab*]{0,5}", narrow in "[ab*]{0,5}", text in "[ab]{0,8}"
    ) {
        if wildcard(&wide, &narrow) && wildcard(&narrow, &text) {
            prop_assert!(wildcard(&wide, &text));
        }
    }

    #[test]
    fn exemption_needs_every_condition(
        (exemption, key, resource, today) in covered(), which in any::<prop::sample::Index>()
    ) {
        let reporting = with(std::slice::from_ref(&exemption));
        prop_assert_eq!(reporting.match_exemptions(&key, &resource, today), ExemptionMatch::Covered(&exemption));
        let is_covered = |exemption: &Exemption, key: &ViolationKey, resource: &ResourceDetails, today| {
            matches!(with(std::slice::from_ref(exemption)).match_exemptions(key, resource, today), ExemptionMatch::Covered(_))
        };

        let after = exemption.until.tomorrow().expect("a day");
        prop_assert!(!is_covered(&exemption, &key, &resource, after));
        prop_assert!(matches!(reporting.match_exemptions(&key, &resource, after), ExemptionMatch::NearMiss(_)));

        let other_control = ViolationKey { control: "BACKUP_RECOVERY_POINT_ENCRYPTED".to_owned(), ..key.clone() };
        prop_assert!(!is_covered(&exemption, &other_control, &resource, today));

        let other_account = ViolationKey { account: account("000000000000"), ..key.clone() };
        prop_assert_eq!(is_covered(&exemption, &other_account, &resource, today), exemption.accounts.is_empty());

        let other_name = ResourceDetails {
            arn: Some("arn:aws:rds:eu-west-1:444444444444:cluster:orders".to_owned()), ..resource.clone()
        };
        prop_assert_eq!(is_covered(&exemption, &key, &other_name, today), exemption.resources == ["*"]);

        if !exemption.tags.is_empty() {
            let names: Vec<&String> = exemption.tags.keys().collect();
            let name = which.get(&names).as_str();
            let mut without = resource.clone();
            without.tags.remove(name);
            prop_assert!(!is_covered(&exemption, &key, &without, today));
            let mut other = resource.clone();
            other.tags.insert(name.to_owned(), "-".to_owned());
            prop_assert_eq!(is_covered(&exemption, &key, &other, today), exemption.tags[name] == "*");
        }
    }
}
