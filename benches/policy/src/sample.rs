//! The measured templates and inventories, equal in each run.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use jiff::Timestamp;

use evaluation::ControlQuery;
use evaluation::inventory::Inventory;
use evaluation::inventory::document::{
    Conditions, Document, Lifecycle, LocationRecord, Plan, Resource, Rule, Selection, TagValue,
};
use framework::control;
use framework::ids::{AccountId, RegionName, ResourceType};

#[cfg(test)]
mod tests;

/// A framework of ten controls without an error.
pub(crate) const TEN_CONTROLS: &str = include_str!("ten-controls.yaml");
/// A framework with errors, each on a line with a comment.
pub(crate) const FAULTY: &str = include_str!("faulty.yaml");

/// Selections per account and Region.
pub(crate) const SELECTIONS: usize = 20;

/// Limit: CloudFormation allows 500 resources per template.
const MOST_RESOURCES: usize = 490;

const ROLE: &str = "  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: '2012-10-17'
        Statement: [{ Effect: Allow, Principal: { Service: lambda.amazonaws.com }, Action: sts:AssumeRole }]
";

/// Returns a YAML template of just under 1 MiB: the framework, and Lambda functions with their role.
pub(crate) fn large_template() -> String {
    let mut text = TEN_CONTROLS.to_owned() + ROLE;
    let (most, each) = (1_040_000, (1_040_000 - text.len()) / MOST_RESOURCES);
    for number in 0..MOST_RESOURCES {
        let mut block = format!(
            "  Function{number}:\n    Type: AWS::Lambda::Function\n    Properties:\n      FunctionName: !Sub orders-${{AWS::Region}}-{number}\n      \
             Handler: index.handler\n      Role: !GetAtt Role.Arn\n      MemorySize: 256\n      Tags:\n        \
             - {{ Key: team, Value: \"team-{number}\" }}\n        - Key: environment\n          Value: prod\n      \
             Environment:\n        Variables:\n"
        );
        let mut line = 0;
        while block.len() + 70 < each {
            block += &format!("          SETTING_{line:03}: \"value number {line} of function {number}\"\n");
            line += 1;
        }
        if text.len() + block.len() > most {
            break;
        }
        text += &block;
    }
    text
}

/// Returns a JSON template of about the same size.
pub(crate) fn large_json() -> serde_json::Value {
    let controls: Vec<serde_json::Value> = control::CONTROLS
        .iter()
        .filter(|control| control.parameters.iter().all(|parameter| !parameter.required))
        .map(|control| serde_json::json!({ "ControlName": control.name }))
        .collect();
    let mut resources = serde_json::Map::new();
    resources.insert(
        "Framework".to_owned(),
        serde_json::json!({
            "Type": "AWS::Backup::Framework",
            "Properties": { "FrameworkName": "backup_compliance", "FrameworkControls": controls },
        }),
    );
    let trust = serde_json::json!({
        "Effect": "Allow", "Principal": { "Service": "lambda.amazonaws.com" }, "Action": "sts:AssumeRole",
    });
    resources.insert(
        "Role".to_owned(),
        serde_json::json!({
            "Type": "AWS::IAM::Role",
            "Properties": { "AssumeRolePolicyDocument": { "Version": "2012-10-17", "Statement": [trust] } },
        }),
    );
    for number in 0..MOST_RESOURCES {
        let variables: serde_json::Map<String, serde_json::Value> = (0..34)
            .map(|line| (format!("SETTING_{line:03}"), format!("value number {line} of function {number}").into()))
            .collect();
        resources.insert(
            format!("Function{number}"),
            serde_json::json!({
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "FunctionName": { "Fn::Sub": format!("orders-${{AWS::Region}}-{number}") },
                    "Handler": "index.handler",
                    "Role": { "Fn::GetAtt": ["Role", "Arn"] },
                    "Tags": [{ "Key": "team", "Value": format!("team-{number}") }],
                    "Environment": { "Variables": variables },
                },
            }),
        );
    }
    serde_json::json!({ "Resources": resources })
}

/// Returns the query of the benchmark: are all resources in a backup plan?
pub(crate) fn coverage() -> anyhow::Result<ControlQuery> {
    let control = control::find("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN").context("the control is missing")?;
    Ok(ControlQuery::everything(control))
}

const ACCOUNTS: usize = 10;
const REGIONS: [&str; 2] = ["eu-west-1", "us-east-1"];
const SERVICES: [&str; 10] =
    ["Aurora", "RDS", "EBS", "EC2", "EFS", "FSx", "DynamoDB", "S3", "Storage Gateway", "VirtualMachine"];

/// The share of each resource type in a hundred resources, and the pattern of its ARNs.
const KINDS: [(usize, &str, &str, &str); 10] = [
    (40, "AWS::EC2::Volume", "ec2", "volume/vol-"),
    (20, "AWS::EC2::Instance", "ec2", "instance/i-"),
    (10, "AWS::DynamoDB::Table", "dynamodb", "table/orders-"),
    (10, "AWS::S3::Bucket", "s3", "bucket-"),
    (8, "AWS::RDS::DBInstance", "rds", "db:orders-"),
    (4, "AWS::EFS::FileSystem", "elasticfilesystem", "file-system/fs-"),
    (3, "AWS::RDS::DBCluster", "rds", "cluster:orders-"),
    (3, "AWS::BackupGateway::VirtualMachine", "backup-gateway", "vm/vm-"),
    (1, "AWS::FSx::FileSystem", "fsx", "file-system/fs-"),
    (1, "AWS::StorageGateway::Volume", "storagegateway", "gateway/sgw-1/volume/vol-"),
];

fn account(number: usize) -> String {
    format!("{:012}", 111_111_111_111_u64 + number as u64)
}

/// Returns a pseudorandom number, equal for equal arguments.
fn mixed(number: usize) -> usize {
    let mut mixed = (number as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((mixed ^ (mixed >> 31)) >> 1).unwrap_or(usize::MAX)
}

/// Returns a resource with about seven tags, as in a typical organization.
fn resource(number: usize) -> anyhow::Result<Resource> {
    let dice = mixed(number);
    let (location, share) = (number % (ACCOUNTS * REGIONS.len()), dice % 100);
    let (account, region) = (account(location / REGIONS.len()), REGIONS[location % REGIONS.len()]);
    let mut below = 0;
    let (_, kind, service, prefix) = KINDS
        .into_iter()
        .find(|(of_hundred, ..)| {
            below += of_hundred;
            share < below
        })
        .context("the shares add up to a hundred")?;
    let arn = if service == "s3" {
        format!("arn:aws:s3:::{prefix}{number:08x}")
    } else {
        format!("arn:aws:{service}:{region}:{account}:{prefix}{number:017x}")
    };
    let pick =
        |salt: usize, from: &[&str]| from[mixed(number.wrapping_mul(31).wrapping_add(salt)) % from.len()].to_owned();
    let (team, application) = (mixed(dice) % 40, mixed(dice) % 300);
    let mut tags = BTreeMap::from([
        ("Name".to_owned(), Some(format!("team-{team}-{number}"))),
        ("environment".to_owned(), Some(pick(1, &["prod", "prod", "staging", "dev", "sandbox"]))),
        ("team".to_owned(), Some(format!("team-{team}"))),
        ("application".to_owned(), Some(format!("application-{application}"))),
        ("cost-centre".to_owned(), Some((1_000 + application).to_string())),
        ("data-class".to_owned(), Some(pick(2, &["public", "internal", "confidential"]))),
    ]);
    let backup = pick(3, &["daily", "daily", "hourly", "weekly", "none", ""]);
    if !backup.is_empty() {
        tags.insert("backup".to_owned(), Some(backup));
    }
    Ok(Resource {
        arn,
        kind: ResourceType::parse(kind)?,
        account,
        region: region.to_owned(),
        id: None,
        name: None,
        tags,
        cluster: None,
        engine: match kind {
            "AWS::RDS::DBCluster" => Some("aurora-postgresql".to_owned()),
            "AWS::FSx::FileSystem" => Some("LUSTRE".to_owned()),
            _ => None,
        },
        encrypted: Some(true),
        encryption_key: None,
        aws_managed_key: None,
        latest_restore_minutes: None,
        created: None,
        active: true,
        unread: Vec::new(),
    })
}

fn pairs(pairs: &[(&str, &str)], prefix: &str) -> Vec<TagValue> {
    pairs.iter().map(|(key, value)| TagValue { key: format!("{prefix}{key}"), value: (*value).to_owned() }).collect()
}

/// A selection: resources, excluded resources, tags, and the four kinds of conditions.
type SelectionSpec = (
    &'static [&'static str],
    &'static [&'static str],
    &'static [(&'static str, &'static str)],
    [&'static [(&'static str, &'static str)]; 4],
);

/// The selections of an account and Region: by tag, type, name, and conditions of all four operators.
const SELECTION_SPECS: [SelectionSpec; SELECTIONS] = [
    (&[], &[], &[("backup", "hourly")], [&[]; 4]),
    (&[], &[], &[("backup", "daily"), ("Backup", "daily")], [&[]; 4]),
    (&[], &[], &[("backup", "weekly"), ("Backup", "weekly")], [&[]; 4]),
    (&["arn:aws:rds:*:*:cluster:*", "arn:aws:rds:*:*:db:*"], &[], &[], [&[("environment", "prod")], &[], &[], &[]]),
    (&["arn:aws:dynamodb:*:*:table/*"], &[], &[], [&[], &[], &[("data-class", "conf*")], &[]]),
    (&["arn:aws:ec2:*:*:volume/*"], &[], &[], [&[("environment", "prod")], &[], &[], &[("Name", "*-tmp-*")]]),
    (
        &["arn:aws:ec2:*:*:instance/*"],
        &[],
        &[],
        [&[("environment", "prod"), ("data-class", "confidential")], &[], &[], &[]],
    ),
    (&["arn:aws:s3:::prod-*", "arn:aws:s3:::shared-*"], &["arn:aws:s3:::prod-logs-*"], &[], [&[]; 4]),
    (&["*"], &["arn:aws:s3:::*"], &[], [&[], &[("environment", "sandbox")], &[("team", "team-1*")], &[]]),
    (&["*"], &[], &[], [&[("application", "application-7")], &[], &[], &[]]),
    (&["*"], &[], &[], [&[("backup", "daily")], &[("environment", "sandbox")], &[], &[]]),
    (&["arn:aws:elasticfilesystem:*:*:file-system/*"], &[], &[], [&[], &[("backup", "none")], &[], &[]]),
    (&["arn:aws:fsx:*"], &[], &[], [&[], &[], &[], &[("Name", "scratch*")]]),
    (&["arn:aws:*:eu-west-1:*"], &["arn:aws:ec2:*"], &[], [&[("cost-centre", "1042")], &[], &[], &[]]),
    (&["*"], &[], &[], [&[], &[], &[("application", "*-29*"), ("environment", "p*")], &[]]),
    (
        &["*"],
        &["arn:aws:rds:*:*:cluster:scratch-*"],
        &[],
        [&[("team", "team-3"), ("environment", "prod")], &[], &[], &[]],
    ),
    (&[], &[], &[("snapshot", "true"), ("dlm", "true")], [&[], &[("environment", "dev")], &[], &[]]),
    (&["arn:aws:backup-gateway:*:*:vm/*"], &[], &[], [&[], &[], &[("Name", "team-2*")], &[]]),
    (&["arn:aws:storagegateway:*"], &[], &[("backup", "gateway")], [&[]; 4]),
    (
        &["arn:aws:ec2:*:*:volume/vol-0000000000000ffff", "arn:aws:ec2:*:*:volume/vol-0000000000000fffe"],
        &[],
        &[],
        [&[]; 4],
    ),
];

fn selection(number: usize, (resources, not_resources, list, conditions): SelectionSpec) -> Selection {
    let [equals, not_equals, like, not_like] = conditions.map(|list| pairs(list, "aws:ResourceTag/"));
    Selection {
        name: format!("selection-{number}"),
        resources: resources.iter().map(|text| (*text).to_owned()).collect(),
        not_resources: not_resources.iter().map(|text| (*text).to_owned()).collect(),
        list_of_tags: pairs(list, ""),
        conditions: Conditions {
            string_equals: equals,
            string_not_equals: not_equals,
            string_like: like,
            string_not_like: not_like,
        },
        ..Selection::default()
    }
}

/// Returns an inventory document without resources.
fn document() -> anyhow::Result<Document> {
    let mut document = Document::new("2026-11-26T12:00:00Z".parse::<Timestamp>()?);
    for number in 0..ACCOUNTS {
        for region in REGIONS {
            let (account, region) = (AccountId::parse(&account(number))?, RegionName::parse(region)?);
            let opt_in =
                SERVICES.iter().map(|service| ((*service).to_owned(), *service != "Storage Gateway")).collect();
            document.locations.push(LocationRecord {
                account: account.clone(),
                region: region.clone(),
                opt_in,
                unread: Vec::new(),
            });
            for plan in 0..5 {
                let own = SELECTION_SPECS.into_iter().enumerate().skip(plan * 4).take(4);
                document.plans.push(Plan {
                    id: format!("plan-{account}-{region}-{plan}"),
                    name: format!("plan-{plan}"),
                    account: account.clone(),
                    region: region.clone(),
                    tags: BTreeMap::new(),
                    rules: vec![Rule {
                        name: "daily".to_owned(),
                        target_vault: "default".to_owned(),
                        lifecycle: Lifecycle { cold_after_days: None, delete_after_days: Some(35) },
                        ..Rule::default()
                    }],
                    selections: own.map(|(number, written)| selection(number, written)).collect(),
                    unread: Vec::new(),
                });
            }
        }
    }
    Ok(document)
}

/// Returns an inventory in memory.
pub(crate) fn inventory(resources: usize) -> anyhow::Result<Inventory> {
    let mut inventory =
        Inventory::read("inventory.json", &serde_json::to_string(&document()?)?).map_err(anyhow::Error::msg)?;
    for number in 0..resources {
        inventory.add_resource(resource(number)?).map_err(anyhow::Error::msg)?;
    }
    Ok(inventory)
}

/// Writes an inventory document in pieces.
pub(crate) fn write(path: &Path, resources: usize) -> anyhow::Result<()> {
    let file = std::fs::File::create(path).with_context(|| format!("cannot write `{}`", path.display()))?;
    let mut out = std::io::BufWriter::new(file);
    let Document { as_of, locations, plans, .. } = document()?;
    write!(out, "{{\"version\":1,\"asOf\":{},\"locations\":", serde_json::to_string(&as_of)?)?;
    serde_json::to_writer(&mut out, &locations)?;
    out.write_all(b",\"plans\":")?;
    serde_json::to_writer(&mut out, &plans)?;
    out.write_all(b",\"resources\":[")?;
    for number in 0..resources {
        out.write_all(if number == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut out, &resource(number)?)?;
    }
    out.write_all(b"]}\n")?;
    Ok(out.flush()?)
}
