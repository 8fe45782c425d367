//! Generates `docs/notifications/*.md` from the samples. `UPDATE_DOCS=1` writes the pages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::samples::{account, all, region};
use crate::notice::{Attribute, FindingHome, Notice};

const OVERVIEW: &str = "\
# Notices

Each page shows notices in these formats ([Notifications](../notifications.md) describes channels and subscriptions):

| Format | Channel |
|---|---|
| Mail | subscriptions of the notification topic with the protocol `email` |
| JSON | subscriptions of the notification topic with the protocols `sqs`, `lambda` and `https` |
| Chat | the chat topic, for Amazon Q Developer in chat applications |
| Finding | AWS Security Hub, in the AWS Security Finding Format |
| Event | the event bus; the detail is the JSON format |
| Comment | the commit in CodeCommit, with `CommentOnCommits` |

[notice.schema.json](../../schemas/notice.schema.json) describes the JSON format. The message attributes for filter policies are below
each mail.

";

const END: &str = "
## External text

Resource names, tags and reasons cannot change the meaning of a notice:

- In mails they are one line without control characters and invisible characters; names with spaces are quoted.
- Subjects contain only printable ASCII.
- In chats and comments they are code, which neither Slack nor Teams formats, links or resolves to users. Characters with a meaning
  inside code are replaced by similar ones.
- In links they are percent-encoded.
- The JSON format contains them as AWS Config returns them. Long texts are cut and end in `…`.

A test generates these pages from samples; the dates are sample dates. To update them, run
`UPDATE_DOCS=1 cargo nextest run --workspace --lib --bins`.
";

/// A notice on a page: the name of the sample, the title, and when it is sent.
type Entry = (&'static str, &'static str, &'static str);

/// The pages with their titles and notices.
const PAGES: [(&str, &str, &[Entry]); 7] = [
    (
        "violations",
        "Violations",
        &[
            ("opened", "A violation opens", "A resource breaks a control. Sent once."),
            (
                "resolved",
                "A violation is resolved",
                "Sent once. `closedReason` is `satisfied`, `notApplicable`, `resourceGone`, `controlRemoved` or `frameworkRemoved`; the finding is archived for all reasons but the first.",
            ),
            (
                "exempted",
                "An exemption covers an open violation",
                "The policy exempts a resource with an open violation. The resource still breaks the control: the finding stays FAILED and is archived.",
            ),
            (
                "exemption_ended",
                "An exemption ends",
                "Sent on the day after the last day of an exemption, for each violation that it covered. `reason` is `exemptionEnded`.",
            ),
            (
                "opened_unknown_control",
                "A control is not known",
                "AWS adds controls. Violations of controls that this version does not know are also reported.",
            ),
        ],
    ),
    (
        "digests",
        "Digests",
        &[(
            "digest",
            "A digest",
            "Several updates of violations of one account and control. The first 25 are shown; the counts include all.",
        )],
    ),
    (
        "reminders",
        "Reminders",
        &[
            (
                "reminder",
                "A weekly reminder",
                "Sent to each owner once a week as long as one of the owner's violations has been open for the smallest age in the policy's `reminders`, by default 7 days. The other ages are counted.",
            ),
            (
                "reminder_without_owner",
                "A weekly reminder to the platform team",
                "The same for all resources without the owner tag. It has no attribute `owner`: subscribe with a filter policy on `kind` and `\"owner\": [{\"exists\": false}]`.",
            ),
        ],
    ),
    (
        "exemptions",
        "Exemptions",
        &[(
            "exemptions_expiring",
            "Exemptions end soon",
            "Sent to the owner of exemptions that end within 14 days: subscribe with a filter policy on `owner`. `reason` is `exemptionsExpiring`.",
        )],
    ),
    (
        "blind-spots",
        "Blind spots",
        &[(
            "blind_spots",
            "Violations cannot be detected",
            "Accounts and Regions where a framework is in force and the sweep has no visibility, by `cause`, each with remediation, a link and a command. `reason` is `blindSpots`.",
        )],
    ),
    (
        "policies",
        "Policies",
        &[
            ("rejected", "A policy is rejected", "The policy at a commit is not valid. Nothing was changed."),
            (
                "policy_warnings",
                "A policy has warnings",
                "The policy was put in force, and parts of it may not have the intended effect. `reason` is `policyWarnings`.",
            ),
        ],
    ),
    (
        "rollouts",
        "Rollouts",
        &[
            ("rollout_succeeded", "A rollout succeeds", "Every account and Region is up to date with the policy."),
            (
                "rollout_skipped",
                "A rollout succeeds and skips accounts",
                "StackSets skip suspended accounts and, with service-managed permissions, the management account. Retries would not change this, so they are named and are not failures.",
            ),
            (
                "rollout_partial",
                "A rollout fails in part",
                "Some accounts and Regions are not up to date with the policy. They are grouped by outcome and cause. The counts include all; the first 20 are named, some of each group.",
            ),
            (
                "removal",
                "A framework is removed",
                "The framework is no longer in a policy with `removeUndeclared: true`, or the application is deleted. Stacks that cannot be deleted, such as those in closed accounts, are retained and named.",
            ),
            ("removal_failed", "A removal fails", "Some instances remain. A retry continues with them."),
            ("rollout_trouble", "A rollout cannot start", "AWS rejected a call."),
        ],
    ),
];

/// Returns the text of each page by its file name.
fn pages() -> BTreeMap<String, String> {
    let samples: BTreeMap<&str, Notice> = all().into_iter().collect();
    let mut overview = format!("{OVERVIEW}| Notice | Kind | Sent |\n|---|---|---|\n");
    let mut pages = BTreeMap::new();
    for (file, heading, entries) in PAGES {
        let mut page = format!("# {heading}\n\nGenerated from samples; see [Notices](README.md).\n");
        for (name, title, sent) in entries {
            let notice = &samples[name];
            let anchor = title.to_lowercase().replace(' ', "-");
            let kind = notice.kind();
            overview.push_str(&format!("| [{title}]({file}.md#{anchor}) | `{kind}` | {sent} |\n"));
            page.push_str(&section(title, sent, notice));
        }
        pages.insert(format!("{file}.md"), page);
    }
    pages.insert("README.md".to_owned(), overview + END);
    pages
}

fn section(title: &str, sent: &str, notice: &Notice) -> String {
    let home = FindingHome { account: account("222222222222"), region: region("eu-west-1") };
    let attributes = notice.attributes().into_iter().map(|(name, value)| match value {
        Attribute::Text(text) => format!("`{name}` = `{text}`"),
        Attribute::List(texts) => format!("`{name}` = `{texts:?}`"),
    });
    let attributes = attributes.collect::<Vec<_>>().join(", ");
    let (subject, text) = (notice.subject(), notice.text());
    let comment = matches!(notice, Notice::RolloutSucceeded(_) | Notice::RolloutFailed(_) | Notice::PolicyRejected(_))
        .then(|| format!("\n### Comment\n\n````markdown\n{}\n````\n", notice.comment()));
    let event = notice.event().map(|(detail_type, detail)| {
        assert_eq!(detail, notice.json());
        format!("\n### Event\n\nThe detail type is `{detail_type}`; the detail is the JSON format above.\n")
    });
    [
        format!("\n## {title}\n\n{sent}\n\n### Mail\n\n```text\nSubject: {subject}\n\n{text}```\n"),
        format!("\nAttributes: {attributes}\n"),
        document("JSON", &notice.json()),
        document("Chat", &notice.chat()),
        comment.unwrap_or_default(),
        notice.finding(&home).map(|finding| document("Finding", &finding)).unwrap_or_default(),
        event.unwrap_or_default(),
    ]
    .concat()
}

fn document(title: &str, document: &Value) -> String {
    format!("\n### {title}\n\n```json\n{document:#}\n```\n")
}

#[test]
fn docs_equal_the_rendered_samples() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/notifications");
    for (name, page) in pages() {
        let path = folder.join(&name);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(&folder).expect("the folder can be created");
            std::fs::write(&path, &page).expect("the page can be written");
        }
        let found = std::fs::read_to_string(&path).expect("the page exists");
        assert!(found == page, "docs/notifications/{name} is out of date: run the test with UPDATE_DOCS=1");
    }
}

#[test]
fn docs_contain_every_kind() {
    let documented: BTreeSet<&str> =
        PAGES.iter().flat_map(|(_, _, entries)| *entries).map(|(name, ..)| *name).collect();
    let samples = all();
    let kinds = |documented_only: bool| -> BTreeSet<&'static str> {
        let samples = samples.iter().filter(|(name, _)| !documented_only || documented.contains(name));
        samples.map(|(_, notice)| Notice::kind(notice)).collect()
    };
    assert_eq!(kinds(true), kinds(false));
}
