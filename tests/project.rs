//! Checks of the repository that need no local cloud: schemas, the CloudFormation template, rules of the workspace.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that cannot continue has failed, and the panic names the line"
)]

mod files;
mod fuzz;
mod review;
mod schemas;
mod template;
mod workspace;
