//! The AWS calls of a push that changes nothing.

use anyhow::ensure;
use serde::Serialize;

use app::deploy::FrameworkOutcome;
use app::events::DeployTrigger;
use testkit::world::World;

use crate::fleet::{deploy, failed, rolled_out};
use crate::wait;

/// The calls of one push.
#[derive(Debug, Serialize)]
pub(crate) struct UnchangedPush {
    pub(crate) instances: usize,
    pub(crate) calls: Vec<&'static str>,
    pub(crate) mutating: usize,
}

pub(crate) fn measure(instances: usize) -> anyhow::Result<UnchangedPush> {
    wait(async {
        let world = rolled_out(instances).await?;
        world.push("Explain", &[("README.md", Some("# Our policy"))]);
        world.take_calls();
        let seen = deploy(&world).handle(&[DeployTrigger::Push]).await.map_err(failed)?;
        let unchanged = seen.frameworks.values().all(|outcome| *outcome == FrameworkOutcome::Unchanged);
        ensure!(unchanged && !seen.frameworks.is_empty(), "the push changed something: {seen:?}");
        let calls = world.take_calls();
        let mutating = World::mutating(&calls).len();
        Ok(UnchangedPush { instances, calls, mutating })
    })
}
