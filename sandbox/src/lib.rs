//! The local cloud: everything AWS does for this application, on one machine and without an account.
//!
//! [`cloud::Cloud`] starts MiniStack, moto and the stand-ins behind one endpoint, the gateway; [`app`] deploys the
//! application into it with `sam`; [`client::Client`] talks to it. `README.md` beside this crate says which server
//! answers which operation, and what it corrects.
//!
//! The interface is blocking on purpose: the gateway runs on its own thread, so tests and tools read as a story.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a tool for tests: it reads the clock and the environment, and a panic in it fails a test and nothing else"
)]

pub mod aging;
pub mod app;
pub mod backup;
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
pub mod live;
pub mod mailbox;
pub mod organization;
pub mod process;
mod securityhub;
mod seed;
pub mod stacksets;
pub mod story;
pub mod tools;
pub mod wait;
pub mod wire;
