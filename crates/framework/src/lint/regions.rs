//! Rules about the Regions of a policy's targets: BC060 to BC069.

use std::collections::BTreeSet;

use syntax::diagnostic::{Diagnostic, Diagnostics, Position, SourceText};

use super::FrameworkDeployment;
use crate::ids::{RegionName, is_opt_in};
use crate::rules::{LintRule, family};

family! {
    REGION "BC060" Warning "A target Region has no Audit Manager"
        "AWS Backup is available in more Regions than its Audit Manager. Creating a framework fails in the others. \
         AWS adds Regions over time, so this is a warning. It is reported in the policy file, so a suppression in a \
         template does not apply."
    OPT_IN_REGION "BC061" Warning "A target Region of a framework for accounts is disabled by default"
        "With accounts as targets, StackSets assumes the administration role in each Region. In an opt-in Region it \
         does so as `cloudformation.REGION.amazonaws.com`. The operation fails in every account if the role does \
         not trust that principal. The parameter `OptInRegions` of `framework/prerequisites/administration- \
         role.yaml` adds the trust; the diagnostic has its value for the whole policy. The role is not visible \
         here, so the warning also appears if the role is right. With organizational units as targets, AWS \
         maintains the roles. It is reported in the policy file, so a suppression in a template does not apply."
    CONTROL_REGION "BC062" Warning "A control has no rule in a target Region"
        "AWS Config has no managed rules of `RESTORE_TIME_FOR_RESOURCES_MEET_TARGET` and of \
         `RESOURCES_IN_LOGICALLY_AIR_GAPPED_VAULT` in some Regions of Audit Manager. The control evaluates nothing \
         there, or the framework fails. AWS adds Regions over time, so this is a warning. It is reported in the \
         policy file, so a suppression in a template does not apply."
    OWN_DESTINATION "BC063" Warning "The destination of copies is a target's own Region or account"
        "`crossRegionList` and `crossAccountList` name the destinations to which every resource must be copied. In a \
         target Region or account that is itself in the list, no copy complies, so every resource is non-compliant. \
         Give such a target its own value, or exclude it. It is reported in the policy file, so a suppression in a \
         template does not apply."
}

/// Reports controls in target Regions without rules of theirs, and copy controls whose destination is the target itself.
pub(super) fn check(diagnostics: &mut Diagnostics<'_, '_>, placed: &[FrameworkDeployment]) {
    let mut reported = BTreeSet::new();
    for one in placed {
        let regions: BTreeSet<&str> = one.regions.iter().map(RegionName::as_str).collect();
        for used in one.frameworks.iter().flat_map(|framework| &framework.controls) {
            let name = used.control.name;
            let missing = |region: &&str| {
                used.control.missing_regions.contains(region) && !WITHOUT_AUDIT_MANAGER.contains(region)
            };
            let missing: BTreeSet<&str> = regions.iter().copied().filter(missing).collect();
            if !missing.is_empty() && reported.insert((one.at, name, "rule")) {
                let message = format!("the control `{name}` has no rule in target Regions: {}", quoted(&missing));
                let help = "remove the control there: it evaluates nothing";
                diagnostics.report(&CONTROL_REGION, one.at, message, help);
            }
            let accounts = || one.accounts.iter().map(String::as_str).collect::<BTreeSet<_>>();
            let (parameter, own, kind) = match name {
                "BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION" => ("crossRegionList", regions.clone(), "Region"),
                "BACKUP_RESOURCES_PROTECTED_BY_CROSS_ACCOUNT" => ("crossAccountList", accounts(), "account"),
                _ => continue,
            };
            let listed = used.parameters.get(parameter).map(String::as_str).unwrap_or_default();
            let same: BTreeSet<&str> = listed.split(',').map(str::trim).filter(|item| own.contains(item)).collect();
            if !same.is_empty() && reported.insert((one.at, name, "destination")) {
                let message = format!("`{name}` requires copies to {}, which is a target itself", quoted(&same));
                let help = format!(
                    "remove the {kind} from the targets or from `{parameter}`, or give its target another value: a copy in \
                     the same {kind} does not comply"
                );
                diagnostics.report(&OWN_DESTINATION, one.at, message, help);
            }
        }
    }
}

/// The Regions in which AWS Backup has no Audit Manager ("Backup feature availability", November 2026).
const WITHOUT_AUDIT_MANAGER: &[&str] = &[
    "ap-east-2",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eusc-de-east-1",
    "il-central-1",
    "mx-central-1",
];

/// Warns of target Regions without Audit Manager. `file` and `text` are those of the policy file, `at` is the position of the framework.
pub fn unsupported_regions<'r>(
    file: &str,
    text: &str,
    at: Position,
    regions: impl IntoIterator<Item = &'r RegionName>,
) -> Option<Diagnostic> {
    let missing: BTreeSet<&str> =
        regions.into_iter().map(RegionName::as_str).filter(|region| WITHOUT_AUDIT_MANAGER.contains(region)).collect();
    if missing.is_empty() {
        return None;
    }
    let message = format!("the framework has target Regions without Audit Manager: {}", quoted(&missing));
    let help = "remove them from its targets, or ignore this if AWS has added Audit Manager there since";
    warning(&SourceText::new(file, text), &REGION, at, message, help)
}

/// Warns of opt-in Regions of targets with self-managed permissions: the administration role must trust CloudFormation in each. `file`
/// and `text` are those of the policy file, `targets` the Regions with the positions of their frameworks.
pub fn opt_in_regions<'r>(
    file: &str,
    text: &str,
    targets: impl IntoIterator<Item = (Position, &'r RegionName)>,
) -> Option<Diagnostic> {
    let targets = targets.into_iter().map(|(at, region)| (at, region.as_str()));
    let opt_in: Vec<(Position, &str)> = targets.filter(|(_, region)| is_opt_in(region)).collect();
    let at = opt_in.iter().map(|(at, _)| *at).min()?;
    // The parameter replaces the value of the previous deployment, so it needs the Regions of all frameworks.
    let regions: BTreeSet<&str> = opt_in.into_iter().map(|(_, region)| region).collect();
    let message =
        format!("StackSets needs an administration role that trusts these opt-in Regions: {}", quoted(&regions));
    let value = regions.into_iter().collect::<Vec<_>>().join(",");
    let help = format!(
        "deploy `framework/prerequisites/administration-role.yaml` with `OptInRegions={value}`, and enable the Regions in the \
         application's account and in the target accounts; ignore this if that is done"
    );
    warning(&SourceText::new(file, text), &OPT_IN_REGION, at, message, &help)
}

fn warning(
    source: &SourceText<'_>,
    rule: &'static LintRule,
    at: Position,
    message: String,
    help: &str,
) -> Option<Diagnostic> {
    let mut diagnostics = Diagnostics::new(source);
    diagnostics.report(rule, at, message, help);
    diagnostics.into_vec().pop()
}

/// "`a`, `b`"
fn quoted(names: &BTreeSet<&str>) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
