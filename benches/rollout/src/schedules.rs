//! How many schedules a second the simulator of StackSets runs through, with the real use case on it: a first rollout in which some
//! instances fail, a change, and looks until nothing moves.

use std::fmt::Write as _;
use std::time::Instant;

use anyhow::{bail, ensure};
use app::deploy::FrameworkOutcome;
use app::events::{Look, Trigger};
use domain::ids::StackSetName;
use domain::rollout::Instance;
use serde::Serialize;
use testkit::deploy::{POLICY_FILE, deploy};
use testkit::simulator::{Faulty, InstanceFault, Simulator};
use testkit::world::World;

use crate::fleet::{FRAMEWORK, STACK_SET, failed, policy};
use crate::wait;

/// Instances of a schedule: four accounts in ten Regions.
const INSTANCES: usize = 40;
/// Looks after which a schedule has to be through.
const MOST_LOOKS: usize = 60;

/// What was run.
#[derive(Debug, Serialize)]
pub(crate) struct Schedules {
    schedules: u32,
    seconds: f64,
    per_second: f64,
    /// Results of instances, all operations together.
    instance_results: usize,
    results_per_second: f64,
    /// Schedules that ended in a rollout that was reported as failed.
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
        "{failures} of {schedules} schedules fail: nothing is tried"
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

/// One schedule: the results of instances that it came to, and whether it ended in failure.
async fn one(seed: u64) -> anyhow::Result<(usize, bool)> {
    let world = World::new();
    let simulator = Simulator::new(&world, seed);
    let deploy = deploy("backup-policy", &world, &simulator);
    world.push("Start", &[(POLICY_FILE, Some(&policy(INSTANCES, 0))), ("framework.yaml", Some(FRAMEWORK))]);
    let name = StackSetName::parse(STACK_SET)?;
    let mut triggers = vec![Trigger::Push];
    let mut changed = false;
    let mut worked = 0;
    let mut ended_badly = false;
    for _ in 0..MOST_LOOKS {
        let seen = deploy.handle(&triggers).await.map_err(failed)?;
        triggers = vec![Trigger::OperationEnded { stack_set: STACK_SET.into() }];
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
                triggers = vec![Trigger::Schedule(Look::Full)];
            }
            Some(FrameworkOutcome::Succeeded) if !changed => {
                changed = true;
                ended_badly = false;
                world.push("Keep longer", &[(POLICY_FILE, Some(&policy(INSTANCES, 1)))]);
                triggers = vec![Trigger::Push];
            }
            Some(FrameworkOutcome::Succeeded | FrameworkOutcome::Unchanged) => return Ok((worked, false)),
            Some(FrameworkOutcome::FailedBefore) => return Ok((worked, ended_badly)),
            other => bail!("a schedule went wrong: {other:?}, {:?}", seen.rejected),
        }
    }
    bail!("the schedule {seed} does not end")
}

/// Every third schedule has an instance that fails twice, every seventh one that always does.
fn break_some(simulator: &Simulator, name: &StackSetName, seed: u64) {
    let mut cloud = simulator.cloud();
    let runs = cloud.stack_sets.get(name).into_iter().flat_map(|set| set.instances.keys().cloned());
    let instances: Vec<Instance> = runs.collect();
    let Some(victim) = usize::try_from(seed).ok().and_then(|seed| instances.get(seed % instances.len().max(1))) else {
        return;
    };
    let fault =
        |times| InstanceFault { times, reason: "Resource handler returned message".into(), of: Faulty::Everything };
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
            "\nThe simulator: {} schedules of {INSTANCES} instances in {:.1} s, {:.0} a second ({:.0} instance results a second); {} ended in a failure that was reported.",
            self.schedules, self.seconds, self.per_second, self.results_per_second, self.failed
        );
        text
    }
}
