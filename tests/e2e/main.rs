//! The functions as they are deployed: real processes behind a Lambda Runtime API, in front of the local cloud.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed, and the panic says where"
)]

mod application;
mod binaries;
mod deploy_events;
mod lifecycle;
mod policy;
mod refusals;
mod report_events;
#[path = "../contract/server.rs"]
mod server;
mod start_up;
mod story;
mod templates;
