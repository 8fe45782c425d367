use proptest::prelude::*;

use framework::control::{self, CONTROLS};
use framework::ids::StackSetName;

use super::formats::names;
use super::samples::{self, changes, digest, flood, key, opened, record, region, update};
use crate::notice::*;
use crate::violation::{ClosedReason, OpenedBy, ResourceDetails};

#[test]
fn subject_of_long_name_keeps_location() {
    let exempt = samples::exempt();
    let closings = [
        ClosedReason::Satisfied,
        ClosedReason::NotApplicable,
        ClosedReason::ResourceGone,
        ClosedReason::ControlRemoved,
        ClosedReason::FrameworkRemoved,
    ];
    let mut whats = vec![Update::Opened, Update::ExemptionEnded(exempt.clone()), Update::Exempted(exempt)];
    whats.extend(closings.map(Update::Resolved));
    for control in CONTROLS {
        for resource_type in control.resource_types {
            for (what, place) in whats.iter().flat_map(|what| [(what, "eu-west-1"), (what, "ap-southeast-1")]) {
                let mut key = key(control.name, resource_type, &"n".repeat(300));
                key.region = region(place);
                let mut record = record(key, OpenedBy::Rollout, ResourceDetails::default());
                record.severity = Severity::Critical;
                let notice =
                    ViolationNotice { update: what.clone(), ..samples::notice(&record, NoticeContext::default()) };
                let subject = Notice::ViolationOpened(notice).subject();
                assert!(subject.ends_with(&format!("(222222222222, {place})")) && subject.len() <= 99, "{subject}");
            }
        }
        // A digest never cuts the account.
        for entries in [flood().entries, changes().entries] {
            let account_name = Some("n".repeat(300));
            let digest = ViolationDigest { control: control.name.to_owned(), account_name, ..digest(entries) };
            let subject = Notice::ViolationDigest(digest).subject();
            assert!(subject.contains(" (222222222222") && subject.ends_with(')') && subject.len() <= 99, "{subject}");
        }
    }
    let stack_set = StackSetName::parse(&"n".repeat(128)).expect("a name");
    let subject = Notice::RolloutSucceeded(RolloutReport { stack_set, ..samples::report(6, 0) }).subject();
    assert!(
        subject.ends_with("...was rolled out: 6 of 6 instances")
            || subject.ends_with(" was rolled out: 6 of 6 instances")
    );
}

#[test]
fn every_control_has_headline_labels() {
    for control in CONTROLS {
        for words in [control.violation, control.compliance, &labels::broken_by_many(control.name)] {
            assert!(!words.is_empty() && words.len() <= 40 && !words.ends_with('.'), "{}: {words}", control.name);
            assert!(!words.starts_with("breaking "), "{} has no label for several resources", control.name);
        }
        assert_ne!(control.violation, control.compliance);
    }
    assert_eq!(control::find("BACKUP_SOMETHING_NEW"), None, "the unknown control of the samples is unknown");
    assert_eq!(labels::broken_by_many("BACKUP_SOMETHING_NEW"), "breaking BACKUP_SOMETHING_NEW");
}

#[test]
fn span_uses_two_units() {
    let start = samples::since();
    let later = |seconds: i64| start.checked_add(jiff::SignedDuration::from_secs(seconds)).expect("within range");
    for (seconds, words) in [
        (-5, "less than a minute"),
        (59, "less than a minute"),
        (60, "1 minute"),
        (3_599, "59 minutes"),
        (3_600, "1 hour"),
        (7_260, "2 hours 1 minute"),
        (86_400, "1 day"),
        (86_460, "1 day"),
        (273_600, "3 days 4 hours"),
    ] {
        assert_eq!(text::span(start, later(seconds)), words);
    }
}

#[test]
fn link_leads_to_console_of_partition() {
    let link = |name: &str, id: &str| link::timeline(&region(name), "AWS::S3::Bucket", id).expect("short enough");
    assert_eq!(
        link("eu-west-1", "a b/../#&resourceType=x\u{202e}é"),
        "https://eu-west-1.console.aws.amazon.com/config/home?region=eu-west-1#/resources/timeline?\
         resourceId=a%20b%2F..%2F%23%26resourceType%3Dx%E2%80%AE%C3%A9&resourceType=AWS%3A%3AS3%3A%3ABucket"
    );
    for (name, start) in [
        ("cn-north-1", "https://cn-north-1.console.amazonaws.cn/config/"),
        ("us-gov-west-1", "https://us-gov-west-1.console.amazonaws-us-gov.com/config/"),
        ("eusc-de-east-1", "https://eusc-de-east-1.console.amazonaws-eusc.eu/config/"),
    ] {
        assert!(link(name, "x").starts_with(start), "{name}");
    }
    assert_eq!(link::timeline(&region("eu-west-1"), "AWS::S3::Bucket", &"x".repeat(2_000)), None);
}

#[test]
fn external_name_cannot_imitate_text() {
    let name =
        "orders is in a backup plan.\r\nSubject: all is well\u{2028}<!channel> *bold* `x` https://evil.example @here";
    let resource = ResourceDetails {
        name: Some(name.to_owned()),
        arn: None,
        tags: BTreeMap::from([("a".to_owned(), "x\n  Owner        boss".to_owned())]),
    };
    let notice = Notice::ViolationOpened(ViolationNotice { resource, ..opened() });
    assert_eq!(
        notice.subject(),
        "[HIGH] Aurora cluster \"orders is in a backup pla...\" is in no backup plan (222222222222, eu-west-1)"
    );
    let text = notice.text();
    assert!(
        text.starts_with("Aurora cluster \"orders is in a backup plan. Subject: all is well <!channel>\n"),
        "{text}"
    );
    assert!(text.contains("\n  Tags         a=x Owner boss\n"), "{text}");
    let chat = notice.chat();
    assert_eq!(
        chat["content"]["description"].as_str().and_then(|text| text.lines().next()),
        Some(
            "Aurora cluster `orders is in a backup plan. Subject: all is well ‹!channel› *bold* ˋxˋ https[:]//evil.example ＠here` \
             is in no backup plan."
        )
    );
    assert_eq!(
        chat["content"]["title"],
        "[HIGH] Aurora cluster \"orders is in a backup pla...\" is in no backup plan (222222222222, eu-west-1)"
    );
    // Outside of code, no character formats, links or mentions.
    let name = "a_b [x](y) *b* _i_ ~s~ :t: @a";
    let resource = ResourceDetails { name: Some(name.to_owned()), ..ResourceDetails::default() };
    let chat = Notice::ViolationResolved(ViolationNotice {
        resource,
        ..update(Update::Resolved(ClosedReason::ResourceGone), 1)
    })
    .chat();
    assert_eq!(
        chat["content"]["title"],
        "[RESOLVED] Aurora cluster \"a_b ［x］(y) ∗b∗ ＿i＿ ∼s∼ ∶t: ＠a\" was deleted (222222222222, eu-west-1)"
    );
}

/// SNS and SQS accept the characters of XML, and reject a message with any other code point.
#[test]
fn code_points_that_queues_reject_are_removed() {
    let name = "a\u{0}b\u{fffe}c\u{ffff}d";
    let resource = ResourceDetails {
        name: Some(name.to_owned()),
        arn: Some(name.to_owned()),
        tags: BTreeMap::from([(name.to_owned(), name.to_owned())]),
    };
    let violation = ViolationNotice { resource, owner: Some(name.to_owned()), ..opened() };
    let rollout = RolloutReport { author: name.to_owned(), message: name.to_owned(), ..samples::report(6, 0) };
    let expiring = ExpiringExemptions { owner: name.to_owned(), ..samples::expiring() };
    for notice in [
        Notice::ViolationOpened(violation.clone()),
        Notice::ViolationDigest(digest(vec![violation])),
        Notice::RolloutSucceeded(rollout),
        Notice::ExemptionsExpiring(expiring),
    ] {
        let mut all = vec![notice.text(), notice.json().to_string(), notice.chat().to_string()];
        all.extend(notice.attributes().into_values().map(|value| match value {
            Attribute::Text(text) => text,
            Attribute::List(texts) => texts.concat(),
        }));
        for form in all {
            let refused = form.find(|c: char| (c < ' ' && c != '\n') || matches!(c, '\u{fffe}' | '\u{ffff}'));
            assert_eq!(refused, None, "{form}");
        }
    }
}

proptest! {
    #[test]
    fn wrapping_keeps_all_words(words in prop::collection::vec("[a-z]{1,90}", 1..30)) {
        let said = words.join(" ");
        prop_assume!(said.len() <= 1000);
        for text in [text::paragraph(&said, 2), text::field("", &said)] {
            let read: Vec<&str> = text.split_whitespace().collect();
            prop_assert_eq!(&read, &words);
        }
    }

    #[test]
    fn fit_keeps_within_budget(said in names(), budget in 3usize..3_000) {
        let fitted = text::fit(&said, budget);
        let cost = |text: &str| json!(json!(text).to_string()).to_string().len() - json!(json!("").to_string()).to_string().len();
        prop_assert!(cost(&fitted) <= budget, "{} > {budget}: {fitted:?}", cost(&fitted));
        prop_assert!(fitted == said || (cost(&said) > budget && fitted.ends_with('…')));
    }
}
