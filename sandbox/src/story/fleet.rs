//! Reads the deployed state from CloudFormation and AWS Backup, as a user does.

use anyhow::Result;

use crate::client::CloudClient;
use crate::cloud::LocalCloud;
use crate::wire;

/// The StackSet of the starter policy.
pub(super) const STACK_SET: &str = "backup-compliance";

/// A stack instance: account, Region, status.
pub(super) type InstanceStatus = (String, String, String);

/// Returns the instances of the application's StackSet, sorted; empty if there is no StackSet.
pub(super) fn instances(client: &CloudClient) -> Result<Vec<InstanceStatus>> {
    instances_of(client, STACK_SET)
}

/// Returns the instances of a StackSet, sorted; empty if there is no StackSet.
pub(super) fn instances_of(client: &CloudClient, stack_set: &str) -> Result<Vec<InstanceStatus>> {
    if !exists(client, stack_set)? {
        return Ok(Vec::new());
    }
    let xml = client.query("cloudformation", "ListStackInstances", &[("StackSetName", stack_set)])?;
    let mut instances: Vec<InstanceStatus> = wire::xml_elements(&xml, "Summaries")
        .into_iter()
        .flat_map(|list| wire::xml_elements(list, "member"))
        .filter_map(|member| {
            Some((
                wire::xml_text(member, "Account")?,
                wire::xml_text(member, "Region")?,
                wire::xml_text(member, "Status")?,
            ))
        })
        .collect();
    instances.sort();
    Ok(instances)
}

/// Returns the ids of the stacks of a StackSet.
pub(super) fn stacks(client: &CloudClient, stack_set: &str) -> Result<Vec<String>> {
    let xml = client.query("cloudformation", "ListStackInstances", &[("StackSetName", stack_set)])?;
    Ok(wire::xml_elements(&xml, "StackId").into_iter().map(str::to_owned).collect())
}

/// Whether a StackSet exists.
pub(super) fn exists(client: &CloudClient, stack_set: &str) -> Result<bool> {
    match client.query("cloudformation", "DescribeStackSet", &[("StackSetName", stack_set)]) {
        Ok(_) => Ok(true),
        Err(error) if format!("{error:#}").contains("NotFound") => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns the number of controls of the framework in each account and Region; 0 if there is none.
pub(super) fn controls(cloud: &LocalCloud, instances: &[InstanceStatus]) -> Result<Vec<usize>> {
    instances
        .iter()
        .map(|(account, region, _)| {
            let frameworks = cloud.frameworks(account, region)?;
            Ok(frameworks.first().and_then(|framework| framework["FrameworkControls"].as_array()).map_or(0, Vec::len))
        })
        .collect()
}

/// Returns the controls of the framework in an account and Region.
pub(super) fn control_names(cloud: &LocalCloud, account: &str, region: &str) -> Result<Vec<String>> {
    let frameworks = cloud.frameworks(account, region)?;
    let controls = frameworks.iter().filter_map(|framework| framework["FrameworkControls"].as_array()).flatten();
    Ok(controls.filter_map(|control| control["ControlName"].as_str().map(str::to_owned)).collect())
}

/// Returns a resource type that a control evaluates.
pub(super) fn evaluated_type(control: &str) -> &'static str {
    if control.contains("RECOVERY_POINT") && !control.contains("CREATED") {
        if control.contains("MANUAL_DELETION") { "AWS::Backup::BackupVault" } else { "AWS::Backup::RecoveryPoint" }
    } else if control.contains("BACKUP_PLAN_MIN") {
        "AWS::Backup::BackupPlan"
    } else {
        "AWS::RDS::DBCluster"
    }
}

/// Returns the control in the name of a Config rule: without the prefix of the type, with `BACKUP_`, without the id.
pub(super) fn control_of(rule: &str) -> Option<String> {
    const ID: usize = 37;
    let name = rule.get(..rule.len().checked_sub(ID)?)?;
    let name = name.split_once('-').map_or(name, |(_, control)| control);
    Some(if name.starts_with("BACKUP_") { name.to_owned() } else { format!("BACKUP_{name}") })
}

/// Describes instances: `111111111111: eu-west-1, us-east-1`.
pub(super) fn describe(instances: &[InstanceStatus]) -> String {
    let mut accounts: Vec<(&str, Vec<&str>)> = Vec::new();
    for (account, region, _) in instances {
        match accounts.last_mut() {
            Some((last, regions)) if last == account => regions.push(region),
            _ => accounts.push((account, vec![region])),
        }
    }
    accounts
        .iter()
        .map(|(account, regions)| format!("{account}: {}", regions.join(", ")))
        .collect::<Vec<_>>()
        .join("; ")
}

/// Describes the number of controls in each framework.
pub(super) fn each(controls: &[usize]) -> String {
    let numbers: Vec<String> = controls.iter().map(usize::to_string).collect();
    format!("{} frameworks with {} controls", controls.len(), numbers.join(", "))
}
