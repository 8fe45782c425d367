//! The use cases in a world of fakes.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot set itself up has failed; helpers of tests are no tests to the linter"
)]

mod deploy;
mod lifecycle;
mod policy;
mod report;
mod sweep;
mod wanted;
