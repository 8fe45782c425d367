//! `ComplianceSource`, `BackupPlans` and `Organization`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use app::ports::PortErrorKind;
use app::sweep::ports::{ComplianceApi, ComplianceSource, EvaluationResult, Organization, RegionCompliance};
use app::violations::BackupPlans;
use aws::{Clients, ConfigAggregator, ConfigCompliance, OrganizationAccounts};
use domain::notice::{BlindSpotCause, BlindSpotReason};
use domain::violation::ComplianceType;
use evaluation::inventory::document::Plan;
use framework::ids::{Location, RegionName};
use sandbox::config::{AGGREGATOR, Hidden, RecordedResource, RuleCompliance as Found, RuleEvaluation};
use testkit::world::World;

use crate::cloud::{Local, clients_of};
use crate::records::{ACCOUNT, CONTROL, account, region};
use crate::server::{Reply, Server};

const WAYS: [ComplianceApi; 3] = [ComplianceApi::Aggregator, ComplianceApi::Query, ComplianceApi::Member];
const ENCRYPTED: &str = "BACKUP_RECOVERY_POINT_ENCRYPTED";

fn regions(names: &[&str]) -> BTreeSet<RegionName> {
    names.iter().map(|name| region(name)).collect()
}

/// Type, id and compliance of results.
fn shown(results: &[EvaluationResult]) -> BTreeSet<(String, String, bool)> {
    let shown = results.iter().map(|result| {
        (result.resource_type.clone(), result.resource_id.clone(), result.compliance == ComplianceType::NonCompliant)
    });
    shown.collect()
}

fn of(names: &[&str], broken: bool) -> BTreeSet<(String, String, bool)> {
    names.iter().map(|name| ("AWS::RDS::DBCluster".to_owned(), (*name).to_owned(), broken)).collect()
}

/// Expects in eu-west-1 the clusters `broken-0` to `broken-119` that break a control, `fine` that complies with it,
/// and a recovery point that complies with another control; in us-east-1 `fine` only; nothing elsewhere.
async fn holds(source: &impl ComplianceSource, via: ComplianceApi) {
    let account = account(ACCOUNT);
    assert_eq!(source.read_results(via, &account, &BTreeSet::new()).await.unwrap(), BTreeMap::new(), "{via:?}");
    let asked = regions(&["eu-west-1", "us-east-1", "eu-central-1"]);
    let sights = source.read_results(via, &account, &asked).await.unwrap();
    // Without results the entry is missing or empty: nothing is known in both cases.
    let seen: BTreeMap<&str, &RegionCompliance> = sights
        .iter()
        .filter(|(_, sight)| !sight.rules.is_empty())
        .map(|(region, sight)| (region.as_str(), sight))
        .collect();
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), ["eu-west-1", "us-east-1"], "{via:?}");
    let sight = seen["eu-west-1"];
    assert_eq!(sight.rules.len(), 2, "{via:?}: rules that found nothing wrong are seen, too: {:?}", sight.rules);
    let names: Vec<String> = (0..120).map(|n| format!("broken-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(shown(&sight.non_compliant), of(&names, true), "{via:?}");
    assert_eq!(sight.non_compliant.len(), 120, "{via:?}: each once");
    assert!(sight.non_compliant.iter().all(|result| sight.rules.contains(&result.rule_name)), "{via:?}");
    assert_eq!(seen["us-east-1"].non_compliant, [], "{via:?}");

    let rule = sight.rules.iter().find(|rule| rule.contains("PROTECTED_BY_BACKUP_PLAN")).unwrap();
    let satisfied = source.compliant_results(via, &account, &region("eu-west-1"), rule).await.unwrap();
    assert_eq!(shown(&satisfied), of(&["fine"], false), "{via:?}");
    assert_eq!(satisfied[0].rule_name, *rule, "{via:?}");
    // A query of one Region returns the same.
    let alone = source.read_results(via, &account, &regions(&["eu-west-1"])).await.unwrap();
    let alone = &alone[&region("eu-west-1")];
    assert_eq!((&alone.rules, shown(&alone.non_compliant)), (&sight.rules, shown(&sight.non_compliant)), "{via:?}");
    // An unknown account has no results.
    let stranger = source.read_results(via, &crate::records::account("999999999999"), &asked).await.unwrap();
    assert!(stranger.values().all(|sight| sight.rules.is_empty()), "{via:?}: {stranger:?}");
}

fn result(rule: &str, kind: &str, id: &str, compliance: ComplianceType) -> EvaluationResult {
    let time = "2026-11-23T12:00:00Z".parse().unwrap();
    EvaluationResult {
        rule_name: rule.to_owned(),
        rule_arn: String::new(),
        resource_type: kind.to_owned(),
        resource_id: id.to_owned(),
        compliance,
        triggered: time,
        recorded: time,
        annotation: None,
    }
}

#[tokio::test]
async fn fake_fulfills_compliance_contract() {
    let world = World::new();
    let cluster = |id: &str, compliance| result("PROTECTED_BY_BACKUP_PLAN", "AWS::RDS::DBCluster", id, compliance);
    let mut results: Vec<_> = (0..120).map(|n| cluster(&format!("broken-{n}"), ComplianceType::NonCompliant)).collect();
    results.push(cluster("fine", ComplianceType::Compliant));
    let point = result("ENCRYPTED", "AWS::Backup::RecoveryPoint", "p", ComplianceType::Compliant);
    let here =
        BTreeMap::from([("PROTECTED_BY_BACKUP_PLAN".to_owned(), results), ("ENCRYPTED".to_owned(), vec![point])]);
    let there =
        BTreeMap::from([("PROTECTED_BY_BACKUP_PLAN".to_owned(), vec![cluster("fine", ComplianceType::Compliant)])]);
    world.state().compliance.insert((account(ACCOUNT), region("eu-west-1")), here);
    world.state().compliance.insert((account(ACCOUNT), region("us-east-1")), there);
    for via in WAYS {
        holds(&world, via).await;
    }
}

fn evaluate(local: &Local, region: &str, control: &str, of: (&str, &str), compliance: Found) {
    local.cloud.evaluate(&RuleEvaluation {
        account: ACCOUNT.to_owned(),
        region: region.to_owned(),
        control: control.to_owned(),
        resource_type: of.0.to_owned(),
        resource_id: of.1.to_owned(),
        compliance,
        at: Some("2026-11-23T12:00:00.311Z".parse().unwrap()),
        annotation: (compliance == Found::NonCompliant).then(|| "not in any plan".to_owned()),
    });
}

fn source(clients: &Clients) -> ConfigCompliance {
    let aggregator = ConfigAggregator::new(clients, Some(AGGREGATOR.to_owned()));
    ConfigCompliance::new(aggregator, Some(clients.members("aws", "backup-compliance")))
}

/// Long because a cloud is started once for all paths.
#[tokio::test]
async fn adapter_fulfills_compliance_contract() {
    let local = Local::start().await;
    let cluster = "AWS::RDS::DBCluster";
    for n in 0..120 {
        evaluate(&local, "eu-west-1", CONTROL, (cluster, &format!("broken-{n}")), Found::NonCompliant);
    }
    for region in ["eu-west-1", "us-east-1"] {
        evaluate(&local, region, CONTROL, (cluster, "fine"), Found::Compliant);
    }
    evaluate(&local, "eu-west-1", ENCRYPTED, ("AWS::Backup::RecoveryPoint", "p"), Found::Compliant);
    let source = source(&local.clients);
    assert_eq!(source.apis(), WAYS);
    for empty_pages in [false, true] {
        local.cloud.config().send_empty_pages(empty_pages);
        for via in WAYS {
            holds(&source, via).await;
        }
    }
    local.cloud.config().send_empty_pages(false);

    let place = (account(ACCOUNT), regions(&["eu-west-1"]));
    let look = async |via| source.read_results(via, &place.0, &place.1).await.unwrap().remove(&region("eu-west-1"));
    let triggered = "2026-11-23T12:00:00.311Z".parse().unwrap();
    for via in [ComplianceApi::Aggregator, ComplianceApi::Member] {
        let sight = look(via).await.unwrap();
        assert_eq!(sight.non_compliant[0].triggered, triggered, "{via:?}: to the millisecond, as in the event");
        assert!(sight.non_compliant[0].recorded >= triggered, "{via:?}");
        assert_eq!(sight.non_compliant[0].annotation.as_deref(), Some("not in any plan"), "{via:?}");
    }
    let arn = ":config-rule/aws-service-rule/backup.amazonaws.com/";
    for via in [ComplianceApi::Query, ComplianceApi::Member] {
        assert!(look(via).await.unwrap().non_compliant[0].rule_arn.contains(arn), "{via:?}");
    }

    // Each path fails without the other.
    local.cloud.config().set_hidden(ACCOUNT, "eu-west-1", Some(Hidden::Rules));
    assert_eq!(look(ComplianceApi::Aggregator).await, None);
    assert!(look(ComplianceApi::Query).await.is_some());
    local.cloud.config().record_compliance(false);
    assert_eq!(look(ComplianceApi::Query).await, None);
    assert!(look(ComplianceApi::Member).await.is_some());
    local.cloud.set_assume_role_allowed(ACCOUNT, false);
    // The role stays usable for this execution environment until its credentials expire; a new environment cannot
    // assume it.
    let stranger = self::source(&local.new_clients().await);
    let mark = local.cloud.journal().mark();
    let many = regions(&["eu-west-1", "us-east-1", "eu-central-1"]);
    let denied = stranger.read_results(ComplianceApi::Member, &place.0, &many).await.unwrap();
    let causes: Vec<_> = denied.values().map(|sight| sight.blind.as_ref().map(|blind| blind.cause)).collect();
    assert_eq!(causes, [Some(BlindSpotCause::RoleNotAssumable); 3], "of every Region");
    assert_eq!(local.calls("sts", mark), ["AssumeRole"], "an account that does not let us in is asked once");
    local.cloud.set_assume_role_allowed(ACCOUNT, true);

    // A temporary failure is an error: the account must not be taken for an empty one.
    local.cloud.fail_next("sts", "AssumeRole", 400, "Throttling", "later", 3);
    let error = stranger.read_results(ComplianceApi::Member, &place.0, &place.1).await.unwrap_err();
    assert_eq!((error.kind, error.operation), (PortErrorKind::Retryable, "sts:AssumeRole"), "{error}");
    local.cloud.clear_faults();
    let operation = "DescribeAggregateComplianceByConfigRules";
    local.cloud.fail_next("config", operation, 400, "ThrottlingException", "later", 3);
    let error = source.read_results(ComplianceApi::Aggregator, &place.0, &place.1).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Retryable, "{error}");
    local.cloud.clear_faults();
    // A Region that denies the call is unobserved; the others are observed.
    local.cloud.fail_next("config", "DescribeConfigRules", 400, "AccessDeniedException", "an SCP", 1);
    let seen =
        stranger.read_results(ComplianceApi::Member, &place.0, &regions(&["eu-west-1", "us-east-1"])).await.unwrap();
    assert_eq!(seen.keys().map(RegionName::as_str).collect::<Vec<_>>(), ["eu-west-1", "us-east-1"]);
    let cause = |region: &str| {
        let blind = seen.iter().find(|(name, _)| name.as_str() == region).and_then(|(_, sight)| sight.blind.clone());
        blind.map(|blind| blind.cause)
    };
    assert_eq!((cause("eu-west-1"), cause("us-east-1")), (Some(BlindSpotCause::AccessDenied), None));
    // A Region that rejects the credentials of the role as unknown is not enabled.
    local.cloud.fail_next("config", "DescribeConfigRules", 400, "UnrecognizedClientException", "invalid token", 1);
    let disabled = stranger.read_results(ComplianceApi::Member, &place.0, &place.1).await.unwrap();
    let reason = disabled[&region("eu-west-1")].blind.clone().unwrap();
    assert_eq!(reason.cause, BlindSpotCause::RegionNotEnabled);
    assert_eq!(reason.detail.as_deref(), Some("config:DescribeConfigRules failed (UnrecognizedClientException)"));
    let mark = local.cloud.journal().mark();
    stranger.read_results(ComplianceApi::Member, &place.0, &many).await.unwrap();
    assert_eq!(local.calls("sts", mark), Vec::<String>::new(), "credentials are kept");
    let mark = local.cloud.journal().mark();
    self::source(&local.clients).read_results(ComplianceApi::Member, &place.0, &many).await.unwrap();
    assert_eq!(local.calls("sts", mark), Vec::<String>::new(), "and shared by all that a function is made of");

    let none = ConfigCompliance::new(ConfigAggregator::new(&local.clients, None), None);
    assert_eq!(none.apis(), []);
    for via in WAYS {
        assert_eq!(none.read_results(via, &place.0, &place.1).await.unwrap(), BTreeMap::new());
        assert_eq!(none.compliant_results(via, &place.0, &region("eu-west-1"), "x").await.unwrap(), []);
    }
    assert_eq!(local.cloud.stop(), []);
}

#[tokio::test]
async fn aggregator_reports_reasons_for_blind_spots() {
    let local = Local::start().await;
    let config = local.cloud.config();
    let recorded = |account: &str| RecordedResource { account: account.to_owned(), ..plan("p-1", "gold") };
    config.add(recorded("444444444444"));
    config.add(recorded("555555555555"));
    config.set_hidden("555555555555", "eu-west-1", Some(Hidden::Everything));
    let source = source(&local.clients);
    let place = |id: &str| Location { account: account(id), region: region("eu-west-1") };
    let places = ["444444444444", "555555555555", "666666666666"].map(place).into();
    let reasons = source.diagnose(&places).await.unwrap();
    let cause = |id: &str| reasons.get(&place(id)).map(|reason| reason.cause);
    assert_eq!(cause("444444444444"), None, "it records");
    assert_eq!(cause("555555555555"), Some(BlindSpotCause::AggregationFailed));
    let detail = reasons[&place("555555555555")].detail.clone().unwrap();
    assert!(detail.contains("the aggregator is not authorized"), "{detail}");
    assert_eq!(cause("666666666666"), Some(BlindSpotCause::NotAggregated));
    // Without an aggregator there is no source to query.
    let none = ConfigCompliance::new(ConfigAggregator::new(&local.clients, None), None);
    assert_eq!(none.diagnose(&places).await.unwrap(), BTreeMap::new());
    assert_eq!(local.cloud.stop(), []);
}

#[tokio::test]
async fn source_without_resources_does_not_record() {
    let status = |account: &str| json!({"SourceId": account, "SourceType": "ACCOUNT", "AwsRegion": "eu-west-1", "LastUpdateStatus": "SUCCEEDED"});
    let sources = json!({"AggregatedSourceStatusList": [status("444444444444"), status("555555555555")]});
    let row = json!({"accountId": "444444444444", "awsRegion": "eu-west-1", "COUNT(*)": 7}).to_string();
    let replies = [sources, json!({"Results": [row]})].map(|body| Reply::Status(200, body.to_string()));
    let server = Server::start(&replies);
    let clients = clients_of(&server).await;
    let source = ConfigCompliance::new(ConfigAggregator::new(&clients, Some("a".to_owned())), None);
    let place = |id: &str| Location { account: account(id), region: region("eu-west-1") };
    let reasons = source.diagnose(&["444444444444", "555555555555"].map(place).into()).await.unwrap();
    let expected = BlindSpotReason { cause: BlindSpotCause::NotRecording, detail: None };
    assert_eq!(reasons, BTreeMap::from([(place("555555555555"), expected)]));
}

#[tokio::test]
async fn circular_pages_end_with_an_error() {
    let rows = json!({"Results": [], "NextToken": "again"}).to_string();
    let server = Server::start(&[Reply::Status(200, rows)]);
    let clients = clients_of(&server).await;
    let aggregator = ConfigAggregator::new(&clients, Some("a".to_owned()));
    let source = ConfigCompliance::new(aggregator.clone(), None);
    let place = (account(ACCOUNT), regions(&["eu-west-1"]));
    for via in [ComplianceApi::Aggregator, ComplianceApi::Query] {
        let error = source.read_results(via, &place.0, &place.1).await.unwrap_err();
        assert!(error.to_string().contains("a page token was repeated"), "{via:?}: {error}");
    }
    assert!(aggregator.plans(&place.0, &region("eu-west-1")).await.is_err());
    assert_eq!(server.received().len(), 6, "two pages each");
}

fn plan(id: &str, name: &str) -> RecordedResource {
    RecordedResource {
        account: "444444444444".to_owned(),
        region: "eu-west-1".to_owned(),
        resource_type: "AWS::Backup::BackupPlan".to_owned(),
        resource_id: id.to_owned(),
        resource_name: name.to_owned(),
        arn: String::new(),
        tags: BTreeMap::new(),
        configuration: json!({"BackupPlanId": id, "BackupPlan": {"BackupPlanName": name, "BackupPlanRule": []}}),
    }
}

fn selection(plan_id: &str, id: &str, of: &Value) -> RecordedResource {
    RecordedResource {
        resource_type: "AWS::Backup::BackupSelection".to_owned(),
        configuration: json!({"BackupPlanId": plan_id, "SelectionId": id, "BackupSelection": of}),
        ..plan(id, "")
    }
}

fn selecting_plan() -> Plan {
    let plan = json!({
        "id": "p-1", "name": "gold", "account": "444444444444", "region": "eu-west-1",
        "selections": [{
            "id": "s-1", "name": "tagged", "listOfTags": [{"key": "backup", "value": "daily"}],
            "resources": ["arn:aws:rds:*:*:cluster:*"],
        }],
    });
    serde_json::from_value(plan).unwrap()
}

async fn plans_are_known(plans: &impl BackupPlans) {
    let there = plans.plans(&account("444444444444"), &region("eu-west-1")).await.unwrap();
    assert_eq!(there, [selecting_plan()]);
    assert_eq!(plans.plans(&account("444444444444"), &region("us-east-1")).await.unwrap(), []);
    assert_eq!(plans.plans(&account("555555555555"), &region("eu-west-1")).await.unwrap(), []);
}

#[tokio::test]
async fn plans_are_limited_to_account_and_region() {
    let world = World::new();
    world.state().plans.insert((account("444444444444"), region("eu-west-1")), vec![selecting_plan()]);
    plans_are_known(&world).await;

    let local = Local::start().await;
    local.cloud.add_resource(plan("p-1", "gold"));
    let of = json!({
        "SelectionName": "tagged", "Resources": ["arn:aws:rds:*:*:cluster:*"],
        "ListOfTags": [{"ConditionKey": "backup", "ConditionValue": "daily", "ConditionType": "STRINGEQUALS"}],
        "Conditions": {},
    });
    local.cloud.add_resource(selection("p-1", "s-1", &of));
    let aggregator = ConfigAggregator::new(&local.clients, Some(AGGREGATOR.to_owned()));
    plans_are_known(&aggregator).await;
    let none = ConfigAggregator::new(&local.clients, None);
    assert_eq!(none.plans(&account("444444444444"), &region("eu-west-1")).await.unwrap(), []);
    assert_eq!(local.cloud.stop(), []);
}

#[tokio::test]
async fn organization_is_read_if_permitted() {
    let world = World::new();
    assert_eq!(Organization::accounts(&world).await.unwrap(), None);

    let local = Local::start().await;
    for n in 0..30 {
        local.cloud.add_account(&format!("7{n:011}"), &format!("shop {n}"));
    }
    local.cloud.remove_account("700000000003");
    let organization = OrganizationAccounts::new(Some(&local.clients));
    let accounts = organization.accounts().await.unwrap().unwrap();
    assert_eq!(accounts[&account("700000000029")], "shop 29");
    assert!(!accounts.contains_key(&account("700000000003")));
    let mark = local.cloud.journal().mark();
    assert_eq!(OrganizationAccounts::new(None).accounts().await.unwrap(), None);
    assert_eq!(local.calls("organizations", mark), Vec::<String>::new());

    for code in ["AccessDeniedException", "AWSOrganizationsNotInUseException"] {
        local.cloud.fail_next("organizations", "ListAccounts", 400, code, "no", 1);
        assert_eq!(organization.accounts().await.unwrap(), None, "{code}");
    }
    local.cloud.fail_next("organizations", "ListAccounts", 400, "TooManyRequestsException", "later", 3);
    assert_eq!(organization.accounts().await.unwrap_err().kind, PortErrorKind::Retryable);
    assert_eq!(local.cloud.stop(), []);
}
