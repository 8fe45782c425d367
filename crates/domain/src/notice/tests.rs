//! Tests of the notices, by subject.

mod digest;
mod docs;
mod finding;
mod formats;
mod rollout;
mod samples;
mod text;
mod violation;

use super::*;
use samples::{account, all, region};

fn home() -> FindingHome {
    FindingHome { account: account("111111111111"), region: region("eu-west-1") }
}

/// Whether the notice is also a comment on a commit.
fn about_a_commit(notice: &Notice) -> bool {
    matches!(notice, Notice::RolloutSucceeded(_) | Notice::RolloutFailed(_) | Notice::PolicyRejected(_))
}

#[test]
fn notices_match_snapshots() {
    for (name, notice) in all() {
        let json = serde_json::to_string_pretty(&notice.json()).expect("JSON");
        let attributes = notice.attributes();
        let mut all = format!("Subject: {}\n\n{}\n{attributes:?}\n{json}", notice.subject(), notice.text());
        if about_a_commit(&notice) {
            all.push_str("\n\n");
            all.push_str(&notice.comment());
        }
        insta::assert_snapshot!(name, all);
    }
}
