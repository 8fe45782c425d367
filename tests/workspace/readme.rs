//! What the README shows is what the code says.

use app::events::Batch;
use app::ports::{ResourceId, Selection};
use app::report::Report;
use domain::ids::{AccountId, RegionName};
use domain::violation::ResourceFacts;
use testkit::world::World;

use crate::files;

#[tokio::test(flavor = "current_thread")]
async fn the_notice_in_the_readme_is_what_people_get() {
    let world = World::new();
    let id = ResourceId {
        account: AccountId::parse("222222222222").unwrap(),
        region: RegionName::parse("eu-west-1").unwrap(),
        kind: "AWS::RDS::DBCluster".to_owned(),
        id: "orders".to_owned(),
    };
    let arn = "arn:aws:rds:eu-west-1:222222222222:cluster:orders".to_owned();
    let tags = [("owner".to_owned(), "orders-team@example.com".to_owned())].into();
    let facts = ResourceFacts { name: Some("orders".to_owned()), arn: Some(arn), tags };
    let selection = Selection {
        plan: "daily".to_owned(),
        name: "by-tag".to_owned(),
        tags: vec![("backup".to_owned(), "daily".to_owned())],
        resources: Vec::new(),
    };
    world.state().selections.insert((id.account.clone(), id.region.clone()), vec![selection]);
    world.state().account_names.insert(id.account.clone(), "payments".to_owned());
    world.state().resources.insert(id, facts);
    let report = Report {
        store: world.clone(),
        outlets: world.clone(),
        directory: world.clone(),
        resources: world.clone(),
        queue: world.clone(),
        clock: world.clone(),
        window: std::time::Duration::ZERO,
    };
    let event = serde_json::from_str(&files::read("events/config-noncompliant.json")).unwrap();
    report.handle(&Batch::read(event).messages).await;
    let notice = &world.take_notices()[0];
    let shown = format!("```text\nSubject: {}\n\n{}```\n", notice.subject(), notice.text());
    assert!(files::read("README.md").contains(&shown), "the README should show:\n{shown}");
}

/// Links between files of the repository lead somewhere.
#[test]
fn documents_link_to_files_that_are_there() {
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "framework/README.md",
        "sandbox/README.md",
        "events/README.md",
        "examples/orders/README.md",
        "docs/ci.md",
        "docs/controls.md",
        "docs/notices.md",
        "docs/rules.md",
    ] {
        let text = files::read(document);
        let folder = files::root().join(document).parent().unwrap().to_path_buf();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap();
            assert!(path.is_empty() || path.contains("://") || folder.join(path).exists(), "{document}: `{link}`");
        }
    }
}

#[test]
fn parameters_and_kinds_are_in_the_readme() {
    let readme = files::read("README.md");
    let template = files::read("template.yaml");
    let section = template.split_once("\nParameters:\n").unwrap().1.split_once("\nConditions:").unwrap().0;
    let names: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'))
        .filter(|name| !name.starts_with(' '))
        .collect();
    assert!(names.len() > 8, "{names:?}");
    for name in names {
        assert!(readme.contains(&format!("`{name}`")), "the parameter `{name}`");
    }
    for kind in [
        "violation.opened",
        "violation.resolved",
        "violation.exempted",
        "violation.digest",
        "violation.reminder",
        "rollout.succeeded",
        "rollout.failed",
        "policy.rejected",
    ] {
        assert!(readme.contains(&format!("| `{kind}` |")), "the kind `{kind}`");
    }
}
