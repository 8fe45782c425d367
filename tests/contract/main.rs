//! One contract for each family of ports, checked on the fakes of `testkit` and on the adapters of `aws` with the local cloud. Unit
//! tests on the fakes are only as good as the fakes resemble the services.
//!
//! Where the local cloud or the fake differs from AWS, the contract follows AWS, except for these rows:
//!
//! | AWS | Here |
//! |---|---|
//! | managed execution runs operations without conflicts in parallel, and queues the others | the local cloud queues all; the fake rejects them as without managed execution, with `Conflict` |
//! | a stopped operation cancels its remaining instances | the local cloud deploys the first instance only; the fake deploys all |
//! | `CallAs` is required for delegated administrators | the fake ignores it |
//! | a StackSet operation takes minutes | 1.5 s, so that tests can meet a running one |
//! | items past `expires_at` are deleted within days | they stay: only the attribute is checked |
//! | the indexes `pending` and `open` follow the table with a delay | at once |
//! | SNS rejects empty attributes and subjects that are not ASCII | accepted: the test checks them itself |
//! | `PutItem` responds to a failed condition with 400 | the same |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot continue has failed, and the panic names the line"
)]

mod channels;
mod cloud;
mod compliance;
mod dead_letters;
mod directory;
mod inventories;
mod inventory;
mod pull_requests;
mod queues;
mod records;
mod repository;
mod responder;
mod server;
mod stack_sets;
mod state;
mod violations;
