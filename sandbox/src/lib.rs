//! The local cloud: emulates all AWS services that this application uses, on one machine without an AWS account.
//!
//! [`cloud::LocalCloud`] starts MiniStack, moto and the emulators of this crate behind one endpoint, the gateway. [`app`]
//! deploys the application with `sam`; [`client::CloudClient`] calls the endpoint. `README.md` in this crate's folder lists
//! the server of each operation, and the corrections.
//!
//! The interface is blocking, because tests and tools are sequential; the gateway runs in its own threads.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test tool: it reads the clock and the environment, and its panics only fail tests"
)]

pub mod aging;
pub mod app;
pub mod backup;
mod call;
mod caller;
pub mod client;
pub mod cloud;
pub mod codecommit;
pub mod config;
pub mod events;
pub mod faults;
pub mod gateway;
pub mod http;
pub mod ids;
pub mod journal;
pub mod mailbox;
pub mod member_services;
pub mod organization;
pub mod process;
mod securityhub;
pub mod stacksets;
pub mod story;
pub mod tools;
pub mod wait;
pub mod wire;
