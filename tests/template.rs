//! The promises of `template.yaml`, the starter policy and the sample events.

mod authorization;
mod calls;
mod contract;
mod dependencies;
mod encryption;
mod events;
mod parsed;
mod pattern;
mod permissions;
mod policy_writers;
mod queues;
mod routing;
mod starter;
pub(crate) mod yaml;
