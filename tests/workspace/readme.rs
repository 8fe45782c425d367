//! The documents agree with the code.

use app::events::Batch;
use app::report::Report;
use app::violations::ResourceId;
use domain::violation::ResourceDetails;
use framework::ids::{AccountId, RegionName};
use testkit::world::World;

use crate::files;

#[tokio::test(flavor = "current_thread")]
async fn notice_in_readme_matches_code() {
    let world = World::new();
    let id = ResourceId {
        account: AccountId::parse("222222222222").unwrap(),
        region: RegionName::parse("eu-west-1").unwrap(),
        kind: "AWS::RDS::DBCluster".to_owned(),
        id: "orders".to_owned(),
    };
    let arn = "arn:aws:rds:eu-west-1:222222222222:cluster:orders".to_owned();
    let tags = [("owner".to_owned(), "orders-team@example.com".to_owned())].into();
    let facts = ResourceDetails { name: Some("orders".to_owned()), arn: Some(arn), tags };
    let plan = serde_json::json!({
        "id": "p-1", "name": "daily", "account": id.account, "region": id.region,
        "selections": [{"name": "by-tag", "listOfTags": [{"key": "backup", "value": "daily"}]}],
    });
    let plan = serde_json::from_value(plan).unwrap();
    world.state().plans.insert((id.account.clone(), id.region.clone()), vec![plan]);
    world.state().account_names.insert(id.account.clone(), "payments".to_owned());
    world.state().resources.insert(id, facts);
    let report = Report::<World> {
        store: world.clone(),
        channels: world.clone(),
        resources: world.clone(),
        queue: world.clone(),
        clock: world.clone(),
        digest_window: std::time::Duration::ZERO,
    };
    let event = serde_json::from_str(&files::read("events/config-noncompliant.json")).unwrap();
    report.handle(&Batch::read(event).messages).await;
    let notice = &world.take_notices()[0];
    let shown = format!("```text\nSubject: {}\n\n{}```\n", notice.subject(), notice.text());
    assert!(files::read("README.md").contains(&shown), "the README should show:\n{shown}");
}

/// Links between files of the repository have a target.
#[test]
fn links_in_documents_have_targets() {
    let files = files::all();
    let documents: Vec<&String> = files.iter().filter(|path| path.ends_with(".md")).collect();
    assert!(documents.len() > 20, "{documents:?}");
    for document in documents {
        let text = crate::files::read(document);
        let folder = crate::files::root().join(document).parent().unwrap().to_path_buf();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap();
            assert!(path.is_empty() || path.contains("://") || folder.join(path).exists(), "{document}: `{link}`");
        }
    }
}

#[test]
fn pages_list_parameters_and_kinds() {
    let (deploy, notifications) = (files::read("docs/deploy.md"), files::read("docs/notifications.md"));
    let template = files::read("template.yaml");
    let section = template.split_once("\nParameters:\n").unwrap().1.split_once("\nConditions:").unwrap().0;
    let names: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'))
        .filter(|name| !name.starts_with(' '))
        .collect();
    assert!(names.len() > 8, "{names:?}");
    for name in names {
        assert!(deploy.contains(&format!("| `{name}` |")), "the parameter `{name}`");
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
        assert!(notifications.contains(&format!("| `{kind}` |")), "the kind `{kind}`");
    }
}

/// A visitor reads the README in a few minutes.
#[test]
fn readme_has_at_most_8_kb() {
    let bytes = files::read("README.md").len();
    assert!(bytes <= 8 * 1024, "{bytes} bytes: move details to docs/");
}
