//! The chapter about a policy whose repository is outside of AWS.

use anyhow::{Context, Result};

use super::context::{StoryContext, WINDOW_SECONDS, count, file, names, short};
use super::{StoryRun, fleet};
use crate::app::{self, Build};

const REPOSITORY: &str = "github.com/acme/backup-frameworks";

pub(super) fn all(story: &mut StoryRun<'_>, context: &StoryContext) -> Result<()> {
    story.chapter("The policy moves to GitHub");
    story.narrate(
        "`sam deploy` with PolicySource=s3 creates a bucket that keeps versions. The CI of the repository archives each commit and writes it there, with a role that it assumes by OpenID Connect.",
    );
    let window = format!("DigestWindowSeconds={WINDOW_SECONDS}");
    let parameters = [window.as_str(), "SecurityHub=central", "OrganizationId=o-sandbox123", "PolicySource=s3"];
    let outputs = {
        let mut line = |line: &str| story.listener.progress(line);
        app::deploy(story.cloud, story.tools, Build::Development, &parameters, &mut line)?
    };
    let bucket = outputs.get("PolicyBucketName").context("no PolicyBucketName")?;

    let mark = story.cloud.journal().mark();
    let three = file(story, "framework/framework.yaml")?;
    let (commit, archive) = context.checkout.archive("Three controls again", &[("framework.yaml", &three)])?;
    let url = format!("https://{REPOSITORY}/actions/runs/2");
    let mut metadata = vec![
        ("commit", commit.as_str()),
        ("ref", "refs/heads/main"),
        ("repository", REPOSITORY),
        ("run-url", url.as_str()),
        ("run-number", "2"),
    ];
    let version = context.client.put_object(bucket, "policy.zip", archive.clone(), &metadata)?;
    let mail = story.next_mail("rollout.succeeded")?;
    story.contains(
        "the notice names the version, and its origin as claimed",
        &mail.text,
        &[short(&version), "claims commit", "by run 2", "4 of 4 instances"],
    );
    let controls = fleet::controls(story.cloud, &fleet::instances(&context.client)?)?;
    story.check("each framework has 3 controls again", controls == [3; 4], &format!("{controls:?}"));
    let calls = story.cloud.journal().calls_of("deploy", mark);
    let of_codecommit: Vec<_> = calls.into_iter().filter(|call| call.service == "codecommit").collect();
    story.check("`deploy` made no call to CodeCommit", of_codecommit.is_empty(), &names(&of_codecommit).join(", "));
    count(story, "new version of the policy in S3, until the rollout succeeded", "deploy", mark);

    story.narrate("An old workflow is run again: it writes an older policy, with the number of its run.");
    let before = fleet::instances(&context.client)?;
    metadata.retain(|(name, _)| *name != "run-number");
    metadata.push(("run-number", "1"));
    context.client.put_object(bucket, "policy.zip", archive, &metadata)?;
    let mail = story.next_mail("policy.rejected")?;
    story.contains(
        "the notice explains the refusal",
        &mail.text,
        &["written by run 1", "the policy in force by run 2"],
    );
    let after = fleet::instances(&context.client)?;
    story.check("the deployed frameworks are unchanged", before == after, &fleet::describe(&after));
    story.no_more_mail("no other notice was sent");
    Ok(())
}
