//! What an exemption covers, and what it nearly covers.

use jiff::civil::date;

use super::*;
use crate::control;
use crate::violation::{Exempt, Key, ResourceFacts};

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

fn key() -> Key {
    Key {
        account: account("222222222222"),
        region: RegionName::parse("eu-west-1").expect("a Region"),
        control: PLAN.to_owned(),
        resource_type: "AWS::RDS::DBCluster".to_owned(),
        resource_id: "cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ".to_owned(),
    }
}

fn resource() -> ResourceFacts {
    ResourceFacts {
        name: Some("scratch-7".to_owned()),
        arn: Some("arn:aws:rds:eu-west-1:222222222222:cluster:scratch-7".to_owned()),
        tags: tags(&[("environment", "sandbox"), ("team", "data"), ("other", "x")]),
    }
}

fn with(exemptions: &[Exemption]) -> Reporting {
    Reporting { exemptions: exemptions.to_vec(), ..Reporting::default() }
}

#[test]
fn an_exemption_holds_to_the_end_of_its_last_day() {
    let reporting = with(&[exemption()]);
    let on = |day| reporting.exempting(&key(), &resource(), day);
    assert_eq!(on(date(2026, 1, 1)), Exempting::Covered(&exemption()));
    assert_eq!(on(date(2027, 1, 31)), Exempting::Covered(&exemption()));
    assert!(matches!(on(date(2027, 2, 1)), Exempting::Nearly(_)));
}

#[test]
fn of_several_the_one_that_holds_longest_counts() {
    let later = Exemption { until: date(2027, 6, 30), owner: "b".to_owned(), ..exemption() };
    let as_late = Exemption { owner: "c".to_owned(), ..later.clone() };
    let over = Exemption { until: date(2026, 1, 1), ..exemption() };
    let reporting = with(&[over, exemption(), later.clone(), as_late]);
    assert_eq!(reporting.exempting(&key(), &resource(), date(2027, 1, 1)), Exempting::Covered(&later));
}

#[test]
fn one_condition_that_is_missing_is_named() {
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
    let elsewhere = Key { account: account("111111111111"), ..key() };
    let several = Exemption { accounts: vec![account("222222222222"), account("333333333333")], ..exemption() };
    let start = "The exemption of `arn:aws:rds:*:*:cluster:scratch-*` (owner data-platform@example.com)";
    for (what, exemption, key, resource, today, lack) in [
        ("time", exemption(), key(), resource(), date(2027, 2, 1), "held until 2027-01-31."),
        ("account", exemption(), elsewhere.clone(), resource(), today, "holds in account 222222222222 only."),
        ("accounts", several, elsewhere.clone(), resource(), today, "holds in 2 other accounts only."),
        (
            "a tag",
            exemption(),
            key(),
            without("team"),
            today,
            "asks for the tag `team` with `data`; here it is missing.",
        ),
        (
            "the value of a tag",
            exemption(),
            key(),
            tagged("environment", "prod"),
            today,
            "asks for the tag `environment` with `sand*`; here it is `prod`.",
        ),
    ] {
        let said = with(&[exemption]).exempting(&key, &resource, today).to_owned_sentence();
        assert_eq!(said, format!("{start} {lack}"), "{what}");
    }
    for (what, key, resource, today) in [
        ("time and account", elsewhere.clone(), resource(), date(2027, 2, 1)),
        ("account and tag", elsewhere, without("team"), today),
        ("all tags", key(), ResourceFacts { tags: BTreeMap::new(), ..resource() }, today),
        (
            "another control",
            Key { control: "BACKUP_LAST_RECOVERY_POINT_CREATED".to_owned(), ..key() },
            resource(),
            today,
        ),
        ("no ARN", key(), ResourceFacts { arn: None, ..resource() }, today),
        (
            "another resource",
            key(),
            ResourceFacts { arn: Some("arn:aws:rds:eu-west-1:222222222222:cluster:orders".to_owned()), ..resource() },
            today,
        ),
    ] {
        assert_eq!(with(&[exemption()]).exempting(&key, &resource, today), Exempting::No, "{what}");
    }
}

impl Exempting<'_> {
    fn to_owned_sentence(&self) -> String {
        match self {
            Self::Nearly(sentence) => sentence.clone(),
            other => panic!("{other:?}"),
        }
    }
}

/// Whoever is not in the sandbox need not read that the sandbox is exempt.
#[test]
fn an_exemption_for_all_resources_is_near_only_when_it_has_ended() {
    let all = Exemption { resources: vec!["*".to_owned()], accounts: Vec::new(), ..exemption() };
    let reporting = with(std::slice::from_ref(&all));
    let unknown = ResourceFacts { arn: None, ..resource() };
    assert_eq!(reporting.exempting(&key(), &unknown, date(2027, 1, 1)), Exempting::Covered(&all));
    let ended = reporting.exempting(&key(), &unknown, date(2027, 2, 1)).to_owned_sentence();
    assert_eq!(ended, "The exemption of `*` (owner data-platform@example.com) held until 2027-01-31.");
    let mut other = unknown;
    other.tags.remove("team");
    assert_eq!(reporting.exempting(&key(), &other, date(2027, 1, 1)), Exempting::No);
}

#[test]
fn an_arn_that_nobody_told_is_derived_where_that_is_certain() {
    let table =
        Key { resource_type: "AWS::DynamoDB::Table".to_owned(), resource_id: "scratch-orders".to_owned(), ..key() };
    let unknown = ResourceFacts { arn: None, ..resource() };
    let covering = exemption();
    assert_eq!(
        with(std::slice::from_ref(&covering)).exempting(&table, &unknown, date(2027, 1, 1)),
        Exempting::Covered(&covering)
    );
}

#[test]
fn exemptions_that_end_soon_are_those_that_still_hold() {
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
fn an_exemption_is_known_by_all_but_its_reason() {
    let digest = exemption().digest();
    assert_eq!(Exemption { reason: "other words".to_owned(), ..exemption() }.digest(), digest);
    for changed in [
        Exemption { control: control::find("BACKUP_RECOVERY_POINT_ENCRYPTED").expect("a control"), ..exemption() },
        Exemption { resources: vec![SCRATCH.to_owned()], ..exemption() },
        Exemption { accounts: Vec::new(), ..exemption() },
        Exemption { tags: BTreeMap::new(), ..exemption() },
        Exemption { owner: "somebody".to_owned(), ..exemption() },
        Exemption { until: date(2027, 2, 1), ..exemption() },
    ] {
        assert_ne!(changed.digest(), digest, "{changed:?}");
    }
    let Exempt { reason, owner, until } = Exempt::from(&exemption());
    assert_eq!((reason, owner, until), (exemption().reason, exemption().owner, exemption().until));
}

#[test]
fn the_first_rule_that_matches_says_how_bad_it_is() {
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
    let tagged = |with: &[(&str, &str)]| ResourceFacts { tags: tags(with), ..resource() };
    let other = Key { account: account("333333333333"), ..key() };
    let unknown = Key { control: "some-rule".to_owned(), ..key() };
    let of_catalogue = control::find(PLAN).expect("a control").severity;
    for (what, key, resource, severity) in [
        ("all conditions", key(), tagged(&[("environment", "production"), ("team", "")]), Severity::Critical),
        ("a tag is missing", key(), tagged(&[("environment", "production")]), of_catalogue),
        ("another value", key(), tagged(&[("environment", "Production"), ("team", "x")]), of_catalogue),
        ("the second rule", key(), tagged(&[("environment", "sandbox")]), Severity::Low),
        ("the first of two", other.clone(), tagged(&[("environment", "sandbox")]), Severity::Low),
        ("by account", other, tagged(&[]), Severity::Informational),
        ("no tags known", key(), tagged(&[]), of_catalogue),
        ("a control that nobody knows", unknown, tagged(&[]), Severity::Medium),
    ] {
        assert_eq!(reporting.severity(&key, &resource), severity, "{what}");
    }
}

#[test]
fn a_star_stands_for_any_text() {
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

/// Backtracking would not come to an end here before the universe does.
#[test]
fn a_pattern_that_is_made_to_be_slow_is_not() {
    let pattern = "a*".repeat(20_000) + "b";
    assert!(!wildcard(&pattern, &"a".repeat(100_000)));
    assert!(wildcard(&pattern, &("a".repeat(100_000) + "b")));
}

/// What [`wildcard`] means, in its simplest words.
fn model(pattern: &[char], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), _) => model(rest, text) || text.split_first().is_some_and(|(_, less)| model(pattern, less)),
        (Some((c, pattern)), Some((d, text))) => c == d && model(pattern, text),
        _ => false,
    }
}

/// An exemption with any of its conditions, and a violation that meets all of them.
fn covered() -> impl Strategy<Value = (Exemption, Key, ResourceFacts, Date)> {
    let tag = ("[a-c]{1,2}", ("[a-c]{0,2}", any::<bool>(), "[a-c]{0,2}"));
    (
        prop::collection::btree_map(tag.0, tag.1, 0..3),
        prop::collection::vec("[1-9]{12}", 0..3),
        any::<prop::sample::Index>(),
        "[a-z]{1,8}",
        0..400_i64,
        any::<bool>(),
    )
        .prop_map(|(wanted, accounts, which, name, left, is_for_all)| {
            let accounts: Vec<_> = accounts.iter().map(|text| account(text)).collect();
            let owner = if accounts.is_empty() { account("444444444444") } else { which.get(&accounts).clone() };
            let pattern =
                |(start, open, _): &(String, bool, String)| format!("{start}{}", if *open { "*" } else { "" });
            let value =
                |(start, open, end): &(String, bool, String)| format!("{start}{}", if *open { end } else { "" });
            let exemption = Exemption {
                accounts,
                resources: vec![if is_for_all { "*".to_owned() } else { SCRATCH.to_owned() }],
                tags: wanted.iter().map(|(name, parts)| (name.clone(), pattern(parts))).collect(),
                ..exemption()
            };
            let key = Key { account: owner.clone(), ..key() };
            let resource = ResourceFacts {
                arn: Some(format!("arn:aws:rds:eu-west-1:{owner}:cluster:scratch-{name}")),
                tags: wanted.iter().map(|(name, parts)| (name.clone(), value(parts))).collect(),
                ..resource()
            };
            let today = exemption.until.saturating_sub(jiff::Span::new().days(left));
            (exemption, key, resource, today)
        })
}

proptest! {
    #[test]
    fn a_wildcard_means_what_its_model_means(pattern in "[ab*]{0,8}", text in "[ab*]{0,10}") {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        prop_assert_eq!(wildcard(&pattern, &text), model(&chars(&pattern), &chars(&text)));
    }

    #[test]
    fn a_rule_that_takes_in_another_matches_all_that_it_matches(
        wide in "[ab*]{0,5}", narrow in "[ab*]{0,5}", text in "[ab]{0,8}"
    ) {
        if wildcard(&wide, &narrow) && wildcard(&narrow, &text) {
            prop_assert!(wildcard(&wide, &text));
        }
    }

    #[test]
    fn a_covered_violation_meets_every_condition_and_none_can_be_missing(
        (exemption, key, resource, today) in covered(), which in any::<prop::sample::Index>()
    ) {
        let reporting = with(std::slice::from_ref(&exemption));
        prop_assert_eq!(reporting.exempting(&key, &resource, today), Exempting::Covered(&exemption));
        let is_covered = |exemption: &Exemption, key: &Key, resource: &ResourceFacts, today| {
            matches!(with(std::slice::from_ref(exemption)).exempting(key, resource, today), Exempting::Covered(_))
        };

        let after = exemption.until.tomorrow().expect("a day");
        prop_assert!(!is_covered(&exemption, &key, &resource, after));
        prop_assert!(matches!(reporting.exempting(&key, &resource, after), Exempting::Nearly(_)));

        let other_control = Key { control: "BACKUP_RECOVERY_POINT_ENCRYPTED".to_owned(), ..key.clone() };
        prop_assert!(!is_covered(&exemption, &other_control, &resource, today));

        let other_account = Key { account: account("000000000000"), ..key.clone() };
        prop_assert_eq!(is_covered(&exemption, &other_account, &resource, today), exemption.accounts.is_empty());

        let other_name = ResourceFacts {
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
