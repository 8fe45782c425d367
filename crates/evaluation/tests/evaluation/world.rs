//! Builders for documents to evaluate.

use std::collections::BTreeMap;

use jiff::Timestamp;

use evaluation::inventory::Inventory;
use evaluation::inventory::document::{
    Conditions, Document, Lifecycle, LocationRecord, Plan, Resource, Rule, Selection, TagValue, Vault, VaultKind,
};
use evaluation::{ComplianceResult, ControlQuery, Evaluation, Evaluator};
use framework::control;
use framework::ids::{AccountId, RegionName, ResourceType};

pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const REGION: &str = "eu-west-1";
pub(crate) const COVERAGE: &str = "BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN";

/// Every opt-in service.
pub(crate) const SERVICES: [&str; 14] = [
    "Aurora",
    "RDS",
    "EBS",
    "EC2",
    "EFS",
    "FSx",
    "DynamoDB",
    "S3",
    "Storage Gateway",
    "VirtualMachine",
    "Neptune",
    "DocumentDB",
    "FSx for OpenZFS",
    "Redshift",
];

pub(crate) fn account() -> AccountId {
    AccountId::parse(ACCOUNT).unwrap()
}

pub(crate) fn region() -> RegionName {
    RegionName::parse(REGION).unwrap()
}

pub(crate) fn as_of() -> Timestamp {
    "2026-11-26T12:00:00Z".parse().unwrap()
}

/// A document of one location with all services enabled.
pub(crate) fn document() -> Document {
    let opt_in = SERVICES.iter().map(|service| ((*service).to_owned(), true)).collect();
    let mut document = Document::new(as_of());
    document.locations.push(LocationRecord { account: account(), region: region(), opt_in, unread: Vec::new() });
    document
}

/// A resource by its short name, `volume/a` or `cluster:orders`, with `key=value` tags.
pub(crate) fn resource(short: &str, tags: &[&str]) -> Resource {
    let (service, kind) = [
        ("volume/", "ec2", "AWS::EC2::Volume"),
        ("instance/", "ec2", "AWS::EC2::Instance"),
        ("cluster:", "rds", "AWS::RDS::DBCluster"),
        ("db:", "rds", "AWS::RDS::DBInstance"),
        ("table/", "dynamodb", "AWS::DynamoDB::Table"),
        ("file-system/fsx", "fsx", "AWS::FSx::FileSystem"),
        ("file-system/", "elasticfilesystem", "AWS::EFS::FileSystem"),
        ("gateway/", "storagegateway", "AWS::StorageGateway::Volume"),
        ("vm/", "backup-gateway", "AWS::BackupGateway::VirtualMachine"),
        ("", "s3", "AWS::S3::Bucket"),
    ]
    .into_iter()
    .find(|(prefix, _, _)| short.starts_with(prefix))
    .map(|(_, service, kind)| (service, kind))
    .unwrap();
    let arn = match service {
        "s3" => format!("arn:aws:s3:::{short}"),
        _ => format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{short}"),
    };
    Resource {
        arn,
        kind: ResourceType::parse(kind).unwrap(),
        account: ACCOUNT.to_owned(),
        region: REGION.to_owned(),
        id: None,
        name: None,
        tags: tags
            .iter()
            .map(|tag| tag.split_once('=').unwrap())
            .map(|(key, value)| (key.to_owned(), Some(value.to_owned())))
            .collect(),
        cluster: None,
        engine: match kind {
            "AWS::RDS::DBCluster" => Some("aurora-mysql".to_owned()),
            "AWS::FSx::FileSystem" => Some("WINDOWS".to_owned()),
            _ => None,
        },
        encrypted: None,
        encryption_key: None,
        aws_managed_key: None,
        latest_restore_minutes: None,
        created: None,
        active: true,
        unread: Vec::new(),
    }
}

pub(crate) fn texts(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

pub(crate) fn pairs(items: &[&str], prefix: &str) -> Vec<TagValue> {
    let pair = |item: &&str| {
        let (key, value) = item.split_once('=').unwrap();
        TagValue { key: format!("{prefix}{key}"), value: value.to_owned() }
    };
    items.iter().map(pair).collect()
}

/// A selection: resources, exclusions, tags.
pub(crate) fn selection(resources: &[&str], not_resources: &[&str], list: &[&str]) -> Selection {
    Selection {
        name: "selection".to_owned(),
        resources: texts(resources),
        not_resources: texts(not_resources),
        list_of_tags: pairs(list, ""),
        ..Selection::default()
    }
}

/// The same with conditions: equal, not equal, like, not like.
pub(crate) fn with(selection: Selection, conditions: [&[&str]; 4]) -> Selection {
    let [equals, not_equals, like, not_like] = conditions.map(|list| pairs(list, "aws:ResourceTag/"));
    let conditions = Conditions {
        string_equals: equals,
        string_not_equals: not_equals,
        string_like: like,
        string_not_like: not_like,
    };
    Selection { conditions, ..selection }
}

pub(crate) fn plan(selections: Vec<Selection>) -> Plan {
    Plan {
        id: "11111111-2222-3333-4444-555555555555".to_owned(),
        name: "gold".to_owned(),
        account: account(),
        region: region(),
        tags: BTreeMap::new(),
        rules: vec![rule()],
        selections,
        unread: Vec::new(),
    }
}

pub(crate) fn rule() -> Rule {
    Rule {
        name: "daily".to_owned(),
        target_vault: "default".to_owned(),
        lifecycle: Lifecycle { cold_after_days: None, delete_after_days: Some(35) },
        ..Rule::default()
    }
}

pub(crate) fn vault(name: &str) -> Vault {
    Vault {
        name: name.to_owned(),
        account: account(),
        region: region(),
        kind: VaultKind::Ordinary,
        tags: BTreeMap::new(),
        encryption_key: None,
        policy: None,
        lock: None,
        unread: Vec::new(),
    }
}

/// A control with parameters.
pub(crate) fn asked(control: &str, parameters: &[(&str, &str)]) -> ControlQuery {
    let mut asked = ControlQuery::everything(control::find(control).unwrap());
    asked.parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    asked
}

pub(crate) fn inventory(document: &Document) -> Inventory {
    Inventory::read("inventory.json", &serde_json::to_string(document).unwrap()).unwrap()
}

/// Returns all evaluations.
pub(crate) fn all<'a>(evaluator: &Evaluator<'a>) -> Vec<Evaluation<'a>> {
    let mut all = Vec::new();
    evaluator.each(|evaluation| all.push(evaluation));
    all
}

/// Results by id: `+` compliant, `-` not, `?` undecided.
pub(crate) fn verdicts(document: Document, asked: &ControlQuery) -> BTreeMap<String, char> {
    let inventory = inventory(&document);
    let asked = std::slice::from_ref(asked);
    let all = all(&Evaluator::new(&inventory, asked));
    all.iter().map(|evaluation| (evaluation.subject.id().to_owned(), sign(&evaluation.result))).collect()
}

pub(crate) fn sign(result: &ComplianceResult<'_>) -> char {
    match result {
        ComplianceResult::Compliant(_) => '+',
        ComplianceResult::NotCompliant(_) => '-',
        ComplianceResult::Undecided(_) => '?',
    }
}

/// Returns the text of the result for the only item.
pub(crate) fn words(document: Document, asked: &ControlQuery) -> String {
    let inventory = inventory(&document);
    let asked = std::slice::from_ref(asked);
    let all = all(&Evaluator::new(&inventory, asked));
    assert_eq!(all.len(), 1, "{all:?}");
    format!("{}: {}", all[0].result.word(), all[0].result)
}
