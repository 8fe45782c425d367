//! The use cases in a world of fakes.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot set itself up has failed; helpers of tests are no tests to the linter"
)]

mod adoption;
mod comments;
mod deploy;
mod lifecycle;
mod policy;
mod redelivery;
mod removal;
mod report;
mod reporting;
mod retries;
mod since;
mod sweep;
mod undeclared;
mod units;
mod wanted;
