use proptest::prelude::*;

use super::*;

fn rejection<T>(result: Result<T, IdError>) -> String {
    match result {
        Ok(_) => panic!("should be rejected"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn account_id_is_twelve_digits() {
    assert_eq!(AccountId::parse("012345678901").map(|id| id.to_string()), Ok("012345678901".to_owned()));
    let fix = "write 12 digits, such as \"111111111111\"";
    for (text, problem) in [
        ("", "the account id is empty"),
        ("1", "the account id `1` has 1 digit"),
        ("11111111111", "the account id `11111111111` has 11 digits"),
        ("1111111111111", "the account id `1111111111111` has 13 digits"),
        ("1111-1111-111", "the account id `1111-1111-111` contains `-`"),
        ("11111111111l", "the account id `11111111111l` contains `l`"),
        ("１１１１１１１１１１１１", "the account id `１１１１１１１１１１１１` contains `１`"),
        ("111111111111\n", "the account id `111111111111\\n` contains `\\n`"),
    ] {
        assert_eq!(rejection(AccountId::parse(text)), format!("{problem}; {fix}"));
    }
}

#[test]
fn unknown_region_suggests_the_most_similar() {
    assert!(RegionName::parse("eu-west-1").is_ok());
    assert!(RegionName::parse("us-gov-west-1").is_ok());
    assert!(REGIONS.is_sorted(), "sorted, so that a missing Region is visible");
    for (text, fix) in [
        ("us-esat-1", "did you mean `us-east-1`?"),
        ("EU-WEST-1", "did you mean `eu-west-1`?"),
        ("eu_central_1", "did you mean `eu-central-1`?"),
        ("Ireland", "use a Region code, such as `eu-west-1`"),
        ("", "use a Region code, such as `eu-west-1`"),
    ] {
        assert_eq!(
            rejection(RegionName::parse_listed(text, &[])),
            format!("the AWS Region `{text}` does not exist; {fix}")
        );
    }
    assert_eq!(rejection(RegionName::parse("Ireland")), rejection(RegionName::parse_listed("Ireland", &[])));
}

#[test]
fn region_from_aws_may_be_newer_than_table() {
    for newer in ["ap-southeast-9", "us-iso-east-1", "us-isob-west-12", "xx-example-1"] {
        let region = RegionName::parse(newer).unwrap();
        assert_eq!(region.as_str(), newer);
        assert!(RegionName::parse_listed(newer, &[]).is_err(), "{newer}");
        assert_eq!(RegionName::parse_listed(newer, std::slice::from_ref(&region)), Ok(region));
    }
    for odd in [
        "",
        "-",
        "eu",
        "eu-1",
        "eu-west",
        "eu-west-",
        "eu-west-x",
        "EU-WEST-1",
        "eu west-1",
        "eu-west-1a",
        "eu--west-1",
        "eu-west-123",
        "us-a-1",
    ] {
        assert!(RegionName::parse(odd).is_err(), "{odd}");
    }
}

#[test]
fn stack_set_name_follows_cloudformation() {
    assert!(StackSetName::parse("backup-compliance").is_ok());
    assert!(StackSetName::parse(&"a".repeat(128)).is_ok());
    for (text, problem) in [
        ("", "the name is empty"),
        ("backup_compliance", "the name `backup_compliance` contains `_`"),
        ("1st", "the name `1st` does not start with a letter"),
        ("-a", "the name `-a` does not start with a letter"),
    ] {
        assert!(rejection(StackSetName::parse(text)).starts_with(problem), "{text}");
    }
    assert!(rejection(StackSetName::parse(&"a".repeat(129))).contains("has 129 characters"));
}

#[test]
fn commit_id_has_short_form() {
    let long = "0123456789abcdef0123456789abcdef01234567";
    assert_eq!(CommitId::parse(long).map(|id| id.short().to_owned()), Ok("01234567".to_owned()));
    assert_eq!(CommitId::parse("C1").map(|id| id.short().to_owned()), Ok("C1".to_owned()));
    assert_eq!(CommitId::parse("tHXxZN9d_Hx.P0Gk3-d").map(|id| id.short().to_owned()), Ok("tHXxZN9d".to_owned()));
    for text in ["", "a b", "../head", "a%2F", &"a".repeat(1_025)] {
        assert!(CommitId::parse(text).is_err(), "{text}");
    }
}

#[test]
fn deserialization_validates() {
    assert_eq!(
        serde_json::from_str::<Vec<AccountId>>(r#"["111111111111"]"#).expect("valid"),
        [AccountId::parse("111111111111").expect("valid")]
    );
    let error = serde_json::from_str::<AccountId>(r#""1""#).expect_err("too short").to_string();
    assert!(error.starts_with("the account id `1` has 1 digit"), "{error}");
}

#[test]
fn printable_escapes_and_truncates() {
    assert_eq!(printable("a\tb\"c"), "a\\tb\"c");
    assert_eq!(printable(&"é".repeat(100)), format!("{}…", "é".repeat(60)));
}

proptest! {
    #[test]
    fn parsed_id_is_unchanged(text in "\\PC{0,20}|[0-9]{11,13}|[a-z]{2}-[a-z]{4,7}-[1-3]") {
        if let Ok(id) = AccountId::parse(&text) { prop_assert_eq!(id.as_str(), &text); }
        if let Ok(id) = RegionName::parse(&text) { prop_assert_eq!(id.as_str(), &text); }
        if let Ok(id) = StackSetName::parse(&text) { prop_assert_eq!(id.as_str(), &text); }
        if let Ok(id) = CommitId::parse(&text) { prop_assert!(text.starts_with(id.short())); }
    }
}

#[test]
fn opt_in_regions_exclude_the_oldest() {
    assert!(OPT_IN_REGIONS.is_sorted());
    for region in OPT_IN_REGIONS {
        assert!(RegionName::parse(region).is_ok(), "{region}");
    }
    // Enabled by default: opened before March 2019, a local Region that became one, and other partitions.
    for region in ["us-east-1", "eu-north-1", "ap-northeast-3", "cn-north-1", "us-gov-west-1", "eusc-de-east-1"] {
        assert!(REGIONS.contains(&region) && !is_opt_in(region), "{region}");
    }
    // Newer than the table: AWS opens no Region any more that is enabled by default.
    for (region, expected) in [("ap-southeast-9", true), ("xx-example-1", true), ("cn-south-9", false)] {
        assert_eq!(is_opt_in(region), expected, "{region}");
    }
}
