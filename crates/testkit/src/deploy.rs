//! `deploy` on a [`World`], with the same parts as its function.

use std::marker::PhantomData;

use app::deploy::ports::{DeployEnv, OrganizationalUnits, StackSets};
use app::deploy::{Application, Deploy};

use crate::world::World;

/// `deploy` on a world. StackSets and the organization come from the world or from the simulator.
pub type Deployer<C = World> = Deploy<WorldWith<C>>;

/// A world with StackSets and organization from `C`.
#[derive(Debug)]
pub struct WorldWith<C>(PhantomData<C>);

impl<C: StackSets + OrganizationalUnits> DeployEnv for WorldWith<C> {
    type Repository = World;
    type StackSets = C;
    type Organization = C;
    type Inventories = World;
    type Store = World;
    type Notifier = World;
    type Responder = World;
    type Clock = World;
}

/// The path of the policy file in the repository.
pub const POLICY_FILE: &str = "backup-compliance.yaml";
/// The ARN of the event bus for compliance events.
pub const EVENT_BUS: &str = "arn:aws:events:us-east-1:000000000000:event-bus/backup";

/// `deploy` for the branch `main` of a repository of this name.
pub fn deploy<C: StackSets + OrganizationalUnits + Clone>(repository: &str, world: &World, cloud: &C) -> Deployer<C> {
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
        inventories: world.clone(),
        store: world.clone(),
        notifier: world.clone(),
        responder: world.clone(),
        clock: world.clone(),
    }
}
