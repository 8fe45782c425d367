//! What a push that changes nothing asks of AWS.

use anyhow::ensure;
use app::deploy::FrameworkOutcome;
use app::events::Trigger;
use serde::Serialize;
use testkit::world::World;

use crate::fleet::{deploy, failed, rolled_out};
use crate::wait;

/// The calls of one push.
#[derive(Debug, Serialize)]
pub(crate) struct Calls {
    pub(crate) instances: usize,
    pub(crate) calls: Vec<&'static str>,
    pub(crate) mutating: usize,
}

pub(crate) fn measure(instances: usize) -> anyhow::Result<Calls> {
    wait(async {
        let world = rolled_out(instances).await?;
        world.push("Explain", &[("README.md", Some("# Our policy"))]);
        world.take_calls();
        let seen = deploy(&world).handle(&[Trigger::Push]).await.map_err(failed)?;
        let unchanged = seen.frameworks.values().all(|outcome| *outcome == FrameworkOutcome::Unchanged);
        ensure!(unchanged && !seen.frameworks.is_empty(), "the push changed something: {seen:?}");
        let calls = world.take_calls();
        let mutating = World::mutating(&calls).len();
        Ok(Calls { instances, calls, mutating })
    })
}
