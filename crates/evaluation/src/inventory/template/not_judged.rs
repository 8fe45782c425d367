//! Types of templates that `check` does not judge, although AWS Backup protects them or resources that they create.
//!
//! Source: AWS Backup developer guide, "Feature availability by resource" (columns for AWS Backup and Audit Manager).

use std::collections::BTreeMap;

use syntax::template::TemplateResource;

use super::ImportFile;
use super::text::text_of;

/// A type of a template that no control judges.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotJudged {
    /// The CloudFormation type, with the kind if it decides.
    pub kind: String,
    /// The reason.
    pub reason: &'static str,
    /// The logical ids.
    pub resources: Vec<String>,
}

const NO_CONTROL: &str = "AWS Backup protects it, Audit Manager has no control";
const INSTANCES: &str = "its instances and their volumes are created at run time; `evaluate` judges them";
const VOLUMES: &str = "its volumes are created at run time; `evaluate` judges them";

const REPLICAS: &str = "its replicas in other Regions; check them with --region";

const TYPES: &[(&str, &str)] = &[
    ("AWS::DocDB::DBCluster", NO_CONTROL),
    ("AWS::DSQL::Cluster", NO_CONTROL),
    ("AWS::EKS::Cluster", NO_CONTROL),
    ("AWS::Neptune::DBCluster", NO_CONTROL),
    ("AWS::Redshift::Cluster", NO_CONTROL),
    ("AWS::RedshiftServerless::Namespace", NO_CONTROL),
    ("AWS::SystemsManagerSAP::Application", NO_CONTROL),
    ("AWS::Timestream::Table", NO_CONTROL),
    ("AWS::AutoScaling::AutoScalingGroup", INSTANCES),
    ("AWS::AutoScaling::LaunchConfiguration", INSTANCES),
    ("AWS::EC2::EC2Fleet", INSTANCES),
    ("AWS::EC2::LaunchTemplate", INSTANCES),
    ("AWS::EC2::SpotFleet", INSTANCES),
    ("AWS::EKS::Nodegroup", INSTANCES),
];

/// Returns the types of a file that are not judged, in the order of their names.
pub(super) fn types(file: &ImportFile<'_>) -> Vec<NotJudged> {
    let mut found: BTreeMap<(String, &'static str), Vec<String>> = BTreeMap::new();
    for resource in file.resources.iter().filter(|resource| resource.is_on != Some(false)) {
        let kind = file.plan.and_then(|plan| plan.kind(resource.logical_id)).unwrap_or(resource.kind);
        if let Some(key) = not_judged(resource, kind) {
            found.entry(key).or_default().push(resource.logical_id.to_owned());
        }
    }
    found.into_iter().map(|((kind, reason), resources)| NotJudged { kind, reason, resources }).collect()
}

/// `kind` is the type that is shown.
fn not_judged(resource: &TemplateResource<'_>, kind: &str) -> Option<(String, &'static str)> {
    if let Some((_, reason)) = TYPES.iter().find(|(own, _)| *own == resource.kind) {
        return Some((kind.to_owned(), reason));
    }
    let of = |name: &str| text_of(&resource.properties, name);
    match resource.kind {
        "AWS::RDS::DBCluster" => {
            let engine = of("Engine").map(str::to_lowercase)?;
            matches!(engine.as_str(), "neptune" | "docdb").then(|| (format!("{kind} of {engine}"), NO_CONTROL))
        }
        "AWS::FSx::FileSystem" if of("FileSystemType").is_some_and(|kind| kind.eq_ignore_ascii_case("OPENZFS")) => {
            Some((format!("{kind} of OPENZFS"), NO_CONTROL))
        }
        // AWS Backup protects volumes of these file systems, and AWS Config records the file system.
        "AWS::FSx::Volume" => Some((kind.to_owned(), NO_CONTROL)),
        "AWS::DynamoDB::GlobalTable" => {
            let replicas = resource.properties.get("Replicas")?.items()?;
            (replicas.len() > 1).then(|| (kind.to_owned(), REPLICAS))
        }
        // A table of Terraform.
        "AWS::DynamoDB::Table" => {
            let replicas = resource.properties.get("Replicas")?.items()?;
            (!replicas.is_empty()).then(|| (kind.to_owned(), REPLICAS))
        }
        "AWS::ECS::Service" => {
            let volumes = resource.properties.get("VolumeConfigurations")?.items()?;
            volumes.iter().any(|volume| volume.get("ManagedEBSVolume").is_some()).then(|| (kind.to_owned(), VOLUMES))
        }
        _ => None,
    }
}
