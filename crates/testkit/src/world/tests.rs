use app::deploy::ports::{PolicyRepository, RepositoryFile};
use app::ports::PortErrorKind;

use super::World;

#[tokio::test(flavor = "current_thread")]
async fn push_keeps_unchanged_files() {
    let world = World::new();
    world.push("one", &[("a", Some("1")), ("b", Some("2"))]);
    let head = world.push("two", &[("a", Some("3")), ("b", None)]);
    assert_eq!(world.head().await.unwrap(), Some(head.clone()));
    assert_eq!(world.file(&head, "a").await.unwrap(), RepositoryFile::Text("3".into()));
    assert_eq!(world.file(&head, "b").await.unwrap(), RepositoryFile::Missing);
}

#[tokio::test(flavor = "current_thread")]
async fn fault_happens_once_and_counts_as_call() {
    let world = World::new();
    world.fail_next("codecommit:GetBranch", PortErrorKind::Denied);
    assert_eq!(world.head().await.unwrap_err().kind, PortErrorKind::Denied);
    assert_eq!(world.head().await.unwrap(), None);
    assert_eq!(world.take_calls(), ["codecommit:GetBranch"; 2]);
}
