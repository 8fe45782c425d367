//! One contract for each family of ports, held on the fakes of `testkit` and on the adapters of `aws` against the local cloud: the
//! unit tests that run on the fakes are worth as much as the fakes are like the services.
//!
//! Where the local cloud is not as AWS is, the contract says what AWS does, and this table what the local cloud does:
//!
//! | AWS | Here |
//! |---|---|
//! | managed execution queues an operation that conflicts with a running one | refused as without managed execution, `Conflict` |
//! | one StackSet operation takes minutes | 1.5 s, so that a running one can be met |
//! | items past `expires_at` go within days | they stay: only the attribute is checked |
//! | the indexes `pending` and `open` follow the table after a moment | at once |
//! | SNS refuses empty attributes and subjects that are not ASCII | taken: the test looks at them itself |
//! | `PutItem` answers a lost condition with 400 | the same |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed, and the panic says where"
)]

mod cloud;
mod compliance;
mod dead_letters;
mod directory;
mod outlets;
mod queues;
mod records;
mod repository;
mod responder;
mod server;
mod stack_sets;
mod state;
mod violations;
