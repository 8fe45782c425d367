use proptest::prelude::*;

use super::*;

fn refused<T>(result: Result<T, IdError>) -> String {
    match result {
        Ok(_) => panic!("should be refused"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn account_ids_are_twelve_digits() {
    assert_eq!(AccountId::parse("012345678901").map(|id| id.to_string()), Ok("012345678901".to_owned()));
    let fix = "an account id is 12 digits, such as \"111111111111\"";
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
        assert_eq!(refused(AccountId::parse(text)), format!("{problem}; {fix}"));
    }
}

#[test]
fn regions_exist_or_the_nearest_is_named() {
    assert!(RegionName::parse("eu-west-1").is_ok());
    assert!(RegionName::parse("us-gov-west-1").is_ok());
    assert!(REGIONS.is_sorted(), "sorted, so that a missing Region is seen");
    for (text, fix) in [
        ("us-esat-1", "did you mean `us-east-1`?"),
        ("EU-WEST-1", "did you mean `eu-west-1`?"),
        ("eu_central_1", "did you mean `eu-central-1`?"),
        ("Ireland", "a Region is written as its code, such as `eu-west-1`"),
        ("", "a Region is written as its code, such as `eu-west-1`"),
    ] {
        assert_eq!(refused(RegionName::parse_listed(text, &[])), format!("there is no AWS Region `{text}`; {fix}"));
    }
    assert_eq!(refused(RegionName::parse("Ireland")), refused(RegionName::parse_listed("Ireland", &[])));
}

#[test]
fn regions_that_aws_names_may_be_newer_than_the_table() {
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
fn stack_set_names_are_what_cloudformation_takes() {
    assert!(StackSetName::parse("backup-compliance").is_ok());
    assert!(StackSetName::parse(&"a".repeat(128)).is_ok());
    for (text, problem) in [
        ("", "the name is empty"),
        ("backup_compliance", "the name `backup_compliance` contains `_`"),
        ("1st", "the name `1st` does not start with a letter"),
        ("-a", "the name `-a` does not start with a letter"),
    ] {
        assert!(refused(StackSetName::parse(text)).starts_with(problem), "{text}");
    }
    assert!(refused(StackSetName::parse(&"a".repeat(129))).contains("has 129 characters"));
}

#[test]
fn commits_have_a_short_form() {
    let long = "0123456789abcdef0123456789abcdef01234567";
    assert_eq!(CommitId::parse(long).map(|id| id.short().to_owned()), Ok("01234567".to_owned()));
    assert_eq!(CommitId::parse("C1").map(|id| id.short().to_owned()), Ok("C1".to_owned()));
    for text in ["", "a b", "../head", &"a".repeat(65)] {
        assert!(CommitId::parse(text).is_err(), "{text}");
    }
}

#[test]
fn deserialising_validates() {
    assert_eq!(
        serde_json::from_str::<Vec<AccountId>>(r#"["111111111111"]"#).expect("valid"),
        [AccountId::parse("111111111111").expect("valid")]
    );
    let error = serde_json::from_str::<AccountId>(r#""1""#).expect_err("too short").to_string();
    assert!(error.starts_with("the account id `1` has 1 digit"), "{error}");
}

#[test]
fn input_in_messages_is_short_and_on_one_line() {
    assert_eq!(shown("a\tb\"c"), "a\\tb\"c");
    assert_eq!(shown(&"é".repeat(100)), format!("{}…", "é".repeat(60)));
}

proptest! {
    #[test]
    fn what_is_parsed_is_written_back(text in "\\PC{0,20}|[0-9]{11,13}|[a-z]{2}-[a-z]{4,7}-[1-3]") {
        if let Ok(id) = AccountId::parse(&text) { prop_assert_eq!(id.as_str(), &text); }
        if let Ok(id) = RegionName::parse(&text) { prop_assert_eq!(id.as_str(), &text); }
        if let Ok(id) = StackSetName::parse(&text) { prop_assert_eq!(id.as_str(), &text); }
        if let Ok(id) = CommitId::parse(&text) { prop_assert!(text.starts_with(id.short())); }
    }
}

#[test]
fn opt_in_regions_are_regions_and_the_oldest_are_not_among_them() {
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
