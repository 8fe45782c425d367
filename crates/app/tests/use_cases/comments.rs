//! Verdicts as comments on their commits.

use app::deploy::FrameworkOutcome;
use app::events::DeployTrigger;
use app::ports::PortErrorKind;
use framework::ids::CommitId;
use testkit::deploy::Deployer;
use testkit::world::World;

use crate::deploy::{deploy, settle};
use crate::policy::{FRAMEWORK, ONE, TWO, policy};

const COMMENT: &str = "codecommit:PostCommentForComparedCommit";

fn commenting(world: &World) -> Deployer {
    let mut deploy = deploy(world);
    deploy.application.comment_on_commits = true;
    deploy
}

async fn settled(world: &World, deploy: &Deployer) -> FrameworkOutcome {
    loop {
        let seen = deploy.handle(&[DeployTrigger::Push]).await.unwrap();
        if world.end_operations() == 0 {
            return seen.frameworks.into_values().next().unwrap();
        }
    }
}

fn start(world: &World) -> CommitId {
    world.push(
        "Start",
        &[("backup-compliance.yaml", Some(&policy(&[ONE, TWO], None))), ("framework.yaml", Some(FRAMEWORK))],
    )
}

#[tokio::test(flavor = "current_thread")]
async fn verdicts_are_written_on_their_commit() {
    let world = World::new();
    let deploy = commenting(&world);
    world.state().broken.insert(format!("{TWO}/eu-west-1"), "no execution role".into());
    let failed = start(&world);
    settled(&world, &deploy).await;
    world.state().broken.clear();
    let succeeded = world.push("Explain", &[("README.md", Some("# Our policy"))]);
    settled(&world, &deploy).await;
    let rejected = world.push("Wrong", &[("backup-compliance.yaml", Some("version: 2"))]);
    deploy.handle(&[DeployTrigger::Push]).await.unwrap();
    deploy.handle(&[DeployTrigger::Push]).await.unwrap();
    let state = world.state();
    let commits: Vec<&CommitId> = state.comments.iter().map(|(commit, _)| commit).collect();
    assert_eq!(commits, [&failed, &succeeded, &rejected]);
    assert!(state.comments[0].1.contains("no execution role"), "{}", state.comments[0].1);
    assert!(state.comments[2].1.contains("[REJECTED]"), "{}", state.comments[2].1);
}

#[tokio::test(flavor = "current_thread")]
async fn comments_are_not_written_if_disabled() {
    let world = World::new();
    start(&world);
    deploy(&world).handle(&[DeployTrigger::Push]).await.unwrap();
    settle(&world).await;
    assert_eq!(world.take_notices().len(), 1);
    assert!(world.state().comments.is_empty() && !world.take_calls().contains(&COMMENT));
}

#[tokio::test(flavor = "current_thread")]
async fn failed_comment_delays_nothing() {
    for kind in [PortErrorKind::Denied, PortErrorKind::Retryable] {
        let world = World::new();
        let deploy = commenting(&world);
        start(&world);
        deploy.handle(&[DeployTrigger::Push]).await.unwrap();
        world.end_operations();
        world.fail_next(COMMENT, kind);
        let seen = deploy.handle(&[DeployTrigger::Push]).await.unwrap();
        assert_eq!(seen.frameworks.into_values().collect::<Vec<_>>(), [FrameworkOutcome::Succeeded], "{kind:?}");
        assert_eq!(settled(&world, &deploy).await, FrameworkOutcome::Unchanged);
        assert_eq!(world.take_notices().len(), 1, "{kind:?}: reported, and not repeated");
    }
}
