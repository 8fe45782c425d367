//! The evaluator against the examples of AWS's guide, the documented examples of each control, and a naive second
//! implementation.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unreachable,
    reason = "a test that cannot go on has failed, and the panic says where"
)]

mod compared;
mod controls;
mod differential;
mod generated;
mod hostile;
mod naive;
mod statements;
mod terraform;
mod world;
