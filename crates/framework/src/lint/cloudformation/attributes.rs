//! Checks the attributes that `Fn::GetAtt` reads: BC117.

use syntax::diagnostic::Diagnostics;
use syntax::template::Template;
use syntax::text::{closest_match, printable};
use syntax::yaml::Node;

use super::uses::Use;
use crate::rules::cloudformation::ATTRIBUTE;

/// The attributes of the types of AWS Backup (CloudFormation template reference, "Return values").
const OF_TYPES: &[(&str, &[&str])] = &[
    ("AWS::Backup::BackupPlan", &["BackupPlanArn", "BackupPlanId", "VersionId"]),
    ("AWS::Backup::BackupSelection", &["BackupPlanId", "Id", "SelectionId"]),
    ("AWS::Backup::BackupVault", &["BackupVaultArn", "BackupVaultName"]),
    ("AWS::Backup::Framework", &["CreationTime", "DeploymentStatus", "FrameworkArn", "FrameworkStatus"]),
    ("AWS::Backup::ReportPlan", &["ReportPlanArn"]),
    ("AWS::Backup::RestoreTestingPlan", &["RestoreTestingPlanArn"]),
];

pub(super) fn check(diagnostics: &mut Diagnostics<'_, '_>, template: &Template, uses: &[Use<'_>]) {
    let resources = template.root().section("Resources");
    for used in uses {
        let Some(attribute) = used.attribute else { continue };
        let kind = resources.get(used.of).and_then(|(_, body)| body.get("Type")).and_then(Node::as_str);
        let known = OF_TYPES.iter().find(|(of, _)| Some(*of) == kind);
        let Some((kind, attributes)) = known.filter(|(_, attributes)| !attributes.contains(&attribute)) else {
            continue;
        };
        let is_end = |known: &&&str| known.to_lowercase().ends_with(&attribute.to_lowercase()) && !attribute.is_empty();
        let near = attributes.iter().find(is_end).copied();
        let help = match near.or_else(|| closest_match(attribute, attributes.iter().copied())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let all: Vec<String> = attributes.iter().map(|attribute| format!("`{attribute}`")).collect();
                format!("use one of {}", all.join(", "))
            }
        };
        let message = format!("`{kind}` has no attribute `{}`", printable(attribute));
        diagnostics.report(&ATTRIBUTE, used.node.at, message, help);
    }
}
