//! `deploy` on a [`World`], wired as its function wires it.

use app::deploy::{Application, Deploy};

use crate::world::World;

/// `deploy` on a world; StackSets and the organisation may be the world too, or the simulator.
pub type Deployer<C = World> = Deploy<World, C, C, World, World, World, World>;

/// Where the application keeps its policy file, in the root of the repository.
pub const POLICY_FILE: &str = "backup-compliance.yaml";
/// Where compliance events go.
pub const EVENT_BUS: &str = "arn:aws:events:us-east-1:000000000000:event-bus/backup";

/// `deploy`, following the branch `main` of a repository of this name.
#[must_use]
pub fn deploy<C: Clone>(repository: &str, world: &World, cloud: &C) -> Deployer<C> {
    Deploy {
        application: Application {
            repository: repository.into(),
            branch: "main".into(),
            policy_file: POLICY_FILE.into(),
            event_bus_arn: EVENT_BUS.into(),
            comment_on_commits: false,
        },
        repository: world.clone(),
        stack_sets: cloud.clone(),
        organization: cloud.clone(),
        memory: world.clone(),
        notifier: world.clone(),
        responder: world.clone(),
        clock: world.clone(),
    }
}
