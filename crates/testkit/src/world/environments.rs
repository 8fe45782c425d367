//! A world is the environment of every use case, with itself as each adapter.

use app::inventory::InventoryEnv;
use app::lifecycle::ports::LifecycleEnv;
use app::report::ports::ReportEnv;
use app::sweep::ports::SweepEnv;
use app::violations::ViolationEnv;

use super::World;

impl LifecycleEnv for World {
    type Requests = Self;
    type Queue = Self;
    type Clock = Self;
}

impl ViolationEnv for World {
    type Store = Self;
    type Channels = Self;
    type Resources = Self;
    type Clock = Self;
}

impl ReportEnv for World {
    type Queue = Self;
}

impl SweepEnv for World {
    type Source = Self;
    type Organization = Self;
}

impl InventoryEnv for World {
    type Store = Self;
    type Aggregator = Self;
    type Members = Self;
    type Clock = Self;
}
