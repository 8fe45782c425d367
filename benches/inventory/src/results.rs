//! The results of a run, as JSON and as a table.

use serde::Serialize;

use bench_common::count;
use bench_common::machine::Machine;
use bench_common::table::{lay_out, row};
use bench_common::targets::TargetChecks;

use crate::cloud::{CALL, QUERY};
use crate::organization::{OrganizationSize, PLANS, SELECTIONS, VAULTS};
use crate::run::{INVOCATION, JOBS, RenewalRun};

/// Upper limit of the hours until an inventory is stored: it is read at night.
const HOURS: f64 = 8.0;
/// The memory of the function in MiB.
const MEMORY: f64 = 3_008.0;

/// The results.
#[derive(Debug, Serialize)]
pub(crate) struct InventoryResults {
    machine: Machine,
    size: OrganizationSize,
    run: RenewalRun,
    checks: TargetChecks,
}

impl InventoryResults {
    pub(crate) fn of(size: OrganizationSize, run: RenewalRun) -> Self {
        let mut checks = TargetChecks::default();
        let hours = run.seconds / 3600.0;
        checks.add("hours until it is stored", format!("{hours:.2}"), format!("less than {HOURS}"), hours < HOURS);
        let longest = run.invocations.iter().copied().fold(0.0, f64::max);
        let most = INVOCATION.as_secs_f64();
        checks.add("longest invocation, s", format!("{longest:.0}"), format!("at most {most:.0}"), longest <= most);
        checks.add("failed calls", run.failed.to_string(), "0", run.failed == 0);
        if let Some(peak) = run.peak_mib {
            checks.add(
                "peak MiB, with the stand-in",
                format!("{peak:.0}"),
                format!("less than {MEMORY:.0}"),
                peak < MEMORY,
            );
        }
        Self { machine: Machine::this(), size, run, checks }
    }

    pub(crate) fn render(&self) -> String {
        let Self { size, run, .. } = self;
        let mut text = format!(
            "On {}.\n\nThe rates of AWS Backup as documented, virtual time; assumed: {} ms for each call, {} ms for each page of a \
             query. {JOBS} locations are read concurrently; each has {} resources with {} recovery points each, {PLANS} plans with \
             {SELECTIONS} selections each, and {VAULTS} vaults.\n\n",
            self.machine.describe(),
            CALL.as_millis(),
            QUERY.as_millis(),
            size.resources,
            size.points,
        );
        let invocations: Vec<String> = run.invocations.iter().map(|seconds| format!("{seconds:.0}")).collect();
        let mb = |bytes: usize| format!("{:.1}", count(bytes) / 1e6);
        let mut rows = vec![row(&["figure", "value"])];
        for (figure, value) in [
            ("accounts and Regions", run.locations.to_string()),
            ("calls", run.calls.to_string()),
            ("throttled attempts", run.throttled.to_string()),
            ("invocations, s each", format!("{}: {}", run.invocations.len(), invocations.join(", "))),
            ("minutes until it is stored, hourly invocations", format!("{:.0}", run.seconds / 60.0)),
            ("document, MB (gzip)", format!("{} ({})", mb(run.document_bytes), mb(run.packed_bytes))),
            ("largest partial inventory, MB", mb(run.partial_bytes)),
            ("seconds of this machine", format!("{:.0}", run.real_seconds)),
        ] {
            rows.push(row(&[figure, &value]));
        }
        lay_out(&mut text, &rows);
        self.checks.render(&mut text);
        text
    }
}
