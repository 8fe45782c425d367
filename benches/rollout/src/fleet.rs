//! A fleet: a policy, and a simulated AWS in which it was rolled out.

use std::fmt::Write as _;

use anyhow::{bail, ensure};

use app::deploy::FrameworkOutcome;
use app::events::DeployTrigger;
use app::ports::PortError;
use testkit::deploy::{Deployer, POLICY_FILE};
use testkit::world::World;

/// The Regions of each fleet.
pub(crate) const REGIONS: [&str; 10] = [
    "ap-northeast-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-west-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-2",
];

pub(crate) const STACK_SET: &str = "backup-compliance";

pub(crate) const FRAMEWORK: &str = r#"AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  MinimumRetentionDays: { Type: String, Default: "35" }
Resources:
  Framework:
    Type: AWS::Backup::Framework
    Properties:
      FrameworkName: backup_compliance
      FrameworkControls:
        - ControlName: BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN
        - ControlName: BACKUP_RECOVERY_POINT_MINIMUM_RETENTION_CHECK
          ControlInputParameters:
            - { ParameterName: requiredRetentionDays, ParameterValue: !Ref MinimumRetentionDays }
"#;

/// Returns a policy for this many instances: ten Regions per account, or one account with fewer. The last `changed`
/// accounts have an override.
pub(crate) fn policy(instances: usize, changed: usize) -> String {
    let accounts = instances.div_ceil(REGIONS.len());
    let regions = REGIONS.get(..instances.min(REGIONS.len())).unwrap_or(&REGIONS).join(", ");
    let list = |from: usize, to: usize| {
        let ids = (from..to).map(|number| format!("\"{:012}\"", 100_000_000_000 + number * 7));
        ids.collect::<Vec<_>>().join(", ")
    };
    let unchanged = accounts - changed;
    let mut text = format!(
        "version: 1\nframeworks:\n  - name: {STACK_SET}\n    template: framework.yaml\n    targets:\n      - accounts: [{}]\n        regions: [{regions}]\n",
        list(0, unchanged)
    );
    if changed > 0 {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "      - accounts: [{}]\n        regions: [{regions}]\n        parameters: {{ MinimumRetentionDays: \"90\" }}\n",
            list(unchanged, accounts)
        );
    }
    text
}

pub(crate) fn deploy(world: &World) -> Deployer {
    testkit::deploy::deploy("backup-policy", world, world)
}

/// Returns a simulated AWS in which the policy was rolled out to this many instances.
pub(crate) async fn rolled_out(instances: usize) -> anyhow::Result<World> {
    let world = World::new();
    world.push("Start", &[(POLICY_FILE, Some(&policy(instances, 0))), ("framework.yaml", Some(FRAMEWORK))]);
    let mut triggers = vec![DeployTrigger::Push];
    for _ in 0..10 {
        let seen = deploy(&world).handle(&triggers).await.map_err(failed)?;
        match seen.frameworks.values().next() {
            Some(FrameworkOutcome::Succeeded) => {
                let there = world.state().stack_sets.values().map(|set| set.instances.len()).sum::<usize>();
                ensure!(there == instances, "{there} of {instances} instances exist");
                return Ok(world);
            }
            Some(FrameworkOutcome::Started(_)) => drop(world.end_operations()),
            other => bail!("the first rollout failed: {other:?}, {:?}", seen.rejected),
        }
        triggers = vec![DeployTrigger::OperationEnded(STACK_SET.into())];
    }
    bail!("the first rollout did not end within 10 triggers")
}

pub(crate) fn failed(error: PortError) -> anyhow::Error {
    anyhow::anyhow!(error)
}
