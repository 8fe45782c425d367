//! What `template.yaml`, the starter policy and the sample events promise, held against the files themselves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed, and the panic says where"
)]

mod authorization;
mod contract;
mod dependencies;
mod encryption;
mod events;
mod files;
mod pattern;
mod permissions;
mod queues;
mod routing;
mod starter;
mod template;
mod yaml;
