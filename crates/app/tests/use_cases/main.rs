//! The use cases on fakes of all ports: scenarios, and properties of generated rollouts and violations.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test without its set-up has failed; clippy does not count helpers as tests"
)]

mod adoption;
mod comments;
mod deploy;
mod inspect;
mod inventory;
mod lifecycle;
mod plan;
mod policy;
mod preview_properties;
mod redelivery;
mod removal;
mod report;
mod reporting;
mod retries;
mod review;
mod rollout_properties;
mod since;
mod sweep;
mod undeclared;
mod units;
mod versions;
mod violation_properties;
mod wanted;
