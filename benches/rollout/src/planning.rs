//! Time and memory of a plan: from the text of the policy to the plan as JSON.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};

use app::deploy::DeployState;
use app::deploy::ports::DeployStore as _;
use app::plan::{PlanRequest, Planner};
use bench_common::process::status_mib;
use bench_common::stats::Spread;
use testkit::deploy::POLICY_FILE;

use crate::fleet::{failed, policy, rolled_out};
use crate::wait;

/// One in this many instances changes.
const CHANGED_IN: usize = 100;

/// The figures of one plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlanRun {
    seconds: f64,
    /// The peak memory of the process while it plans, including the fleet.
    peak_mib: Option<f64>,
    /// The memory before.
    before_mib: Option<f64>,
    changes: usize,
    json_bytes: usize,
}

/// The figures of all plans of one fleet.
#[derive(Debug, Serialize)]
pub(crate) struct Planning {
    pub(crate) instances: usize,
    pub(crate) changes: usize,
    pub(crate) seconds: Spread,
    pub(crate) peak_mib: Option<Spread>,
    pub(crate) before_mib: Option<Spread>,
    pub(crate) json_bytes: usize,
}

/// Plans a change of one in a hundred accounts.
pub(crate) fn once(instances: usize) -> anyhow::Result<PlanRun> {
    wait(async {
        let world = rolled_out(instances).await?;
        let accounts = instances.div_ceil(10);
        let text = policy(instances, accounts.div_ceil(CHANGED_IN));
        let commit = world.push("Keep longer", &[(POLICY_FILE, Some(&text))]);
        let memory: DeployState = world.load_state().await.map_err(failed)?;
        let planner = Planner { repository: world.clone(), stack_sets: world.clone(), organization: world.clone() };
        let question = PlanRequest {
            commit,
            policy_file: POLICY_FILE.into(),
            owner: "backup-policy@main".into(),
            event_bus_arn: None,
            only: None,
        };
        // Resets the kernel's peak of the process's memory.
        let is_reset = std::fs::write("/proc/self/clear_refs", "5").is_ok();
        let before_mib = is_reset.then(|| status_mib("VmRSS:")).flatten();
        let began = Instant::now();
        let outlook = planner.plan(&question, Some(&memory), |_| {}).await.map_err(failed)?;
        let outlook = match outlook {
            Ok(outlook) => outlook,
            Err(faults) => bail!("the policy is rejected: {faults:?}"),
        };
        let plan = &outlook.frameworks.first().context("no framework")?.plan;
        let json = serde_json::to_string(plan)?;
        let seconds = began.elapsed().as_secs_f64();
        let peak_mib = is_reset.then(|| status_mib("VmHWM:")).flatten();
        let changes = plan.instances.update;
        let expected = accounts.div_ceil(CHANGED_IN) * 10.min(instances);
        ensure!(changes == expected, "{changes} changes are planned, {expected} expected");
        Ok(PlanRun { seconds, peak_mib, before_mib, changes, json_bytes: json.len() })
    })
}

/// Each round runs in a process of its own: memory that an earlier round freed would not be counted.
pub(crate) fn measure(instances: usize, rounds: u32) -> anyhow::Result<Planning> {
    let program = std::env::current_exe()?;
    let mut all = Vec::new();
    for _ in 0..rounds {
        let ran = Command::new(&program).args(["--plan", &instances.to_string()]).output()?;
        ensure!(ran.status.success(), "planning failed: {}", String::from_utf8_lossy(&ran.stderr));
        let once: PlanRun = serde_json::from_slice(&ran.stdout).context("the output of a plan is not valid")?;
        all.push(once);
    }
    let first = all.first().context("no rounds")?.clone();
    let seconds: Vec<f64> = all.iter().map(|once| once.seconds).collect();
    let of = |figure: fn(&PlanRun) -> Option<f64>| Spread::of(&all.iter().filter_map(figure).collect::<Vec<_>>());
    Ok(Planning {
        instances,
        changes: first.changes,
        seconds: Spread::of(&seconds).context("no rounds")?,
        peak_mib: of(|once| once.peak_mib),
        before_mib: of(|once| once.before_mib),
        json_bytes: first.json_bytes,
    })
}
