//! The rate of schedules that the StackSets simulator runs, with the real use case: a first rollout in which some
//! instances fail, a change, and reconciliations until nothing changes.

use std::fmt::Write as _;
use std::time::Instant;

use anyhow::{bail, ensure};
use serde::Serialize;

use app::deploy::FrameworkOutcome;
use app::events::{DeployTrigger, ReconcileScope};
use domain::rollout::Instance;
use framework::ids::StackSetName;
use testkit::deploy::{POLICY_FILE, deploy};
use testkit::simulator::{FaultyWork, InjectedInstanceFault, Simulator};
use testkit::world::World;

use crate::fleet::{FRAMEWORK, STACK_SET, failed, policy};
use crate::wait;

/// Instances of a schedule: four accounts in ten Regions.
const INSTANCES: usize = 40;
/// Upper limit of the reconciliations in a schedule.
const MAX_RECONCILIATIONS: usize = 60;

/// The figures of all schedules.
#[derive(Debug, Serialize)]
pub(crate) struct Schedules {
    schedules: u32,
    seconds: f64,
    per_second: f64,
    /// Results of instances in all operations.
    instance_results: usize,
    results_per_second: f64,
    /// Schedules whose last rollout was reported as failed.
    failed: usize,
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52 results")]
pub(crate) fn measure(schedules: u32) -> anyhow::Result<Schedules> {
    let began = Instant::now();
    let (mut results, mut failures) = (0, 0);
    for seed in 0..schedules {
        let (worked, broken) = wait(one(u64::from(seed)))?;
        results += worked;
        failures += usize::from(broken);
    }
    let seconds = began.elapsed().as_secs_f64();
    ensure!(
        failures > 0 && failures < schedules as usize,
        "{failures} of {schedules} schedules fail: the schedules must differ"
    );
    Ok(Schedules {
        schedules,
        seconds,
        per_second: f64::from(schedules) / seconds,
        instance_results: results,
        results_per_second: results as f64 / seconds,
        failed: failures,
    })
}

/// Runs one schedule; returns the number of instance results, and whether its last rollout failed.
async fn one(seed: u64) -> anyhow::Result<(usize, bool)> {
    let world = World::new();
    let simulator = Simulator::new(&world, seed);
    let deploy = deploy("backup-policy", &world, &simulator);
    world.push("Start", &[(POLICY_FILE, Some(&policy(INSTANCES, 0))), ("framework.yaml", Some(FRAMEWORK))]);
    let name = StackSetName::parse(STACK_SET)?;
    let mut triggers = vec![DeployTrigger::Push];
    let mut changed = false;
    let mut worked = 0;
    let mut ended_badly = false;
    for _ in 0..MAX_RECONCILIATIONS {
        let seen = deploy.handle(&triggers).await.map_err(failed)?;
        triggers = vec![DeployTrigger::OperationEnded(STACK_SET.into())];
        match seen.frameworks.values().next() {
            Some(FrameworkOutcome::Started(_) | FrameworkOutcome::Waiting) => {
                if worked == 0 {
                    break_some(&simulator, &name, seed);
                }
                simulator.run_until_idle();
                worked += INSTANCES;
            }
            Some(FrameworkOutcome::Failed(_)) => {
                ended_badly = true;
                triggers = vec![DeployTrigger::Schedule(ReconcileScope::Full)];
            }
            Some(FrameworkOutcome::Succeeded) if !changed => {
                changed = true;
                ended_badly = false;
                world.push("Keep longer", &[(POLICY_FILE, Some(&policy(INSTANCES, 1)))]);
                triggers = vec![DeployTrigger::Push];
            }
            Some(FrameworkOutcome::Succeeded | FrameworkOutcome::Unchanged) => return Ok((worked, false)),
            Some(FrameworkOutcome::FailedBefore) => return Ok((worked, ended_badly)),
            other => bail!("a schedule failed: {other:?}, {:?}", seen.rejected),
        }
    }
    bail!("schedule {seed} did not end")
}

/// Makes an instance fail twice in each third schedule, and always in each seventh.
fn break_some(simulator: &Simulator, name: &StackSetName, seed: u64) {
    let mut cloud = simulator.cloud();
    let runs = cloud.stack_sets.get(name).into_iter().flat_map(|set| set.instances.keys().cloned());
    let instances: Vec<Instance> = runs.collect();
    let Some(victim) = usize::try_from(seed).ok().and_then(|seed| instances.get(seed % instances.len().max(1))) else {
        return;
    };
    let fault = |times| InjectedInstanceFault {
        times,
        reason: "Resource handler returned message".into(),
        of: FaultyWork::Everything,
    };
    if seed.is_multiple_of(7) {
        cloud.faults.insert(victim.clone(), fault(None));
    } else if seed.is_multiple_of(3) {
        cloud.faults.insert(victim.clone(), fault(Some(2)));
    }
}

impl Schedules {
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "\nThe simulator: {} schedules of {INSTANCES} instances in {:.1} s, {:.0} per second ({:.0} instance results per second); {} ended with a failed rollout.",
            self.schedules, self.seconds, self.per_second, self.results_per_second, self.failed
        );
        text
    }
}
