//! The page `docs/notices.md`: each kind of notice in each form, as the code makes it. `UPDATE_DOCS=1` writes it anew.

use super::samples::{account, all, region};
use super::{FindingHome, Notice};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;

const INTRODUCTION: &str = "\
# Notices

What people and machines are told, each kind in each form. This page is made by a test of the crate `domain` from fixed examples, whose dates are samples;
`UPDATE_DOCS=1 cargo nextest run -p domain` writes it anew. The JSON form is described by
[notice.schema.json](../schemas/notice.schema.json).

| Form | Who gets it |
|---|---|
| Mail | subscribers of the notification topic by `email` |
| JSON | subscribers by `sqs`, `lambda` and `https` |
| Chat | the chat topic, for Amazon Q Developer in chat applications |
| Finding | AWS Security Hub, in the AWS Security Finding Format |
| Event | the event bus; its detail is the JSON form |
| Comment | the commit in CodeCommit, with `CommentOnCommits` |

Subscription filter policies can use the message attributes that stand below each mail. `owner` is the owner tag of the resource,
and with an exemption also its owner: a `String`, or a `String.Array` where there are several, of which one must match. It is absent where no
owner is known. Values are cut to 256 characters, and the owners of one digest to 8 KiB. Notices of one account and control that
come together are told as one digest, on the topic and in chats; findings and events are always about one violation.

What comes from outside cannot change what a reader sees. In mails it stands on one line, without control and invisible
characters, a name with spaces in quotes; in subjects only printable ASCII is left. In chats it stands in code, where neither
Slack nor Teams formats, links or calls anybody, and the characters that mean something even there are replaced by others that
look like them; comments on commits are made in the same way. In links it is percent-encoded. The JSON form has names as AWS Config has them. Long texts are cut and end in `…`.
";

/// What is shown, under which title, and when it is sent.
const SHOWN: [(&str, &str, &str); 18] = [
    ("opened", "A violation opens", "A resource breaks a control. Sent once."),
    (
        "resolved",
        "It is resolved",
        "Sent once. `closed` says why: the control is `satisfied`, or `notApplicable`, `resourceGone`, `controlRemoved`, `frameworkRemoved`; a finding is archived for all reasons but the first.",
    ),
    (
        "exempted",
        "An exemption comes to cover it",
        "The policy exempts a resource whose violation was told. It still breaks the control, so it is not resolved: the finding stays FAILED and is archived.",
    ),
    (
        "exemption_ended",
        "Its exemption ends",
        "On the day after the last day of an exemption, for each violation that it kept quiet. `reason` is `exemptionEnded`.",
    ),
    (
        "digest",
        "A digest",
        "Several turns of violations of one account and control. The first 25 are shown, the counts are over all.",
    ),
    (
        "reminder",
        "A weekly reminder",
        "To each owner once a week, as long as one of their violations has been open for the smallest age that the policy names under `reminders`, 7 days by default. The other ages are counted.",
    ),
    (
        "reminder_without_owner",
        "A weekly reminder to the platform team",
        "The same for all resources without the owner tag. It has no attribute `owner`: subscribe with a filter policy on `kind` and `\"owner\": [{\"exists\": false}]`.",
    ),
    (
        "exemptions_expiring",
        "Exemptions that end soon",
        "To the owner of exemptions that end within 14 days: subscribe with a filter policy on `owner`. `reason` is `exemptionsExpiring`.",
    ),
    (
        "blind_spots",
        "Blind spots",
        "Accounts and Regions where a framework is in force and the sweep can see nothing, by `cause`, each with what to do, a link and a command. `reason` is `blindSpots`.",
    ),
    (
        "policy_warnings",
        "Warnings about a policy",
        "A policy was put in force, and something in it is odd. `reason` is `policyWarnings`.",
    ),
    ("rollout_succeeded", "A rollout succeeds", "Every account and Region is as the policy wants it."),
    (
        "rollout_skipped",
        "A rollout succeeds, and accounts are skipped",
        "StackSets leave suspended accounts alone, and with service-managed permissions the management account. Trying again would change nothing, so they are named and are no failure.",
    ),
    (
        "rollout_partial",
        "A rollout fails in part",
        "Some are not as the policy wants them. They are grouped by outcome and cause, counted over all, and the first 20 are named, some of each group.",
    ),
    (
        "removal",
        "A framework is removed",
        "It has left a policy that says `removeUndeclared: true`, or the application is deleted. Stacks that nobody can delete, in closed accounts say, are let go and named.",
    ),
    ("removal_failed", "A removal fails", "Something is left. Trying again resumes with it."),
    ("rollout_trouble", "A rollout cannot start", "AWS refused a call."),
    ("rejected", "A policy is rejected", "The policy at a commit cannot be used. Nothing was changed."),
    (
        "opened_unknown_control",
        "A control that is not known",
        "AWS adds controls; one that this version does not know is told of all the same.",
    ),
];

fn page() -> String {
    let home = FindingHome { account: account("222222222222"), region: region("eu-west-1") };
    let samples = all();
    let mut page = INTRODUCTION.to_owned();
    for (name, title, when) in SHOWN {
        let (_, notice) = samples.iter().find(|(known, _)| *known == name).expect("a sample of this name");
        let attributes: Vec<String> =
            notice.attributes().iter().map(|(name, value)| format!("`{name}` = `{}`", shown(value))).collect();
        write!(page, "\n## {title}\n\n{when}\n\n### Mail\n\n").expect("a text");
        write!(
            page,
            "```text\nSubject: {}\n\n{}```\n\nAttributes: {}\n",
            notice.subject(),
            notice.text(),
            attributes.join(", ")
        )
        .expect("a text");
        block(&mut page, "JSON", &notice.json());
        block(&mut page, "Chat", &notice.chat());
        if matches!(notice, Notice::RolloutSucceeded(_) | Notice::RolloutFailed(_) | Notice::PolicyRejected(_)) {
            write!(page, "\n### Comment\n\n````markdown\n{}\n````\n", notice.comment()).expect("a text");
        }
        if let Some(finding) = notice.finding(&home) {
            block(&mut page, "Finding", &finding);
        }
        if let Some((detail_type, detail)) = notice.event() {
            assert_eq!(detail, notice.json());
            write!(page, "\n### Event\n\nDetail type `{detail_type}`; the detail is the JSON form above.\n")
                .expect("a text");
        }
    }
    page
}

fn shown(attribute: &super::Attribute) -> String {
    match attribute {
        super::Attribute::Text(text) => text.clone(),
        super::Attribute::List(texts) => format!("{texts:?}"),
    }
}

fn block(page: &mut String, title: &str, document: &Value) {
    let document = serde_json::to_string_pretty(document).expect("serialises");
    write!(page, "\n### {title}\n\n```json\n{document}\n```\n").expect("a text");
}

#[test]
fn the_page_shows_notices_as_they_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/notices.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("the page can be written");
    }
    let found = std::fs::read_to_string(&path).expect("the page is there");
    assert!(found == page, "docs/notices.md is not what the code makes: UPDATE_DOCS=1 cargo nextest run -p domain");
}

#[test]
fn every_kind_is_on_the_page() {
    let samples = all();
    let kinds = |names: &dyn Fn(&str) -> bool| -> std::collections::BTreeSet<&'static str> {
        samples.iter().filter(|(name, _)| names(name)).map(|(_, notice)| Notice::kind(notice)).collect()
    };
    assert_eq!(kinds(&|name| SHOWN.iter().any(|(shown, _, _)| *shown == name)), kinds(&|_| true));
}
