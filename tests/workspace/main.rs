//! What holds for the workspace as a whole: who may depend on whom, what the functions are made of, and that settings, lists
//! and documents agree with each other.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed, and the panic says where"
)]

mod cargo;
mod files;
mod layers;
mod licences;
mod pins;
mod profile;
mod readme;
mod settings;
mod stack;
