//! One contract for each family of ports, held on the fakes of `testkit` and on the adapters of `aws` against the local cloud: the
//! unit tests that run on the fakes are worth as much as the fakes are like the services.
//!
//! Where the local cloud is not as AWS is, the contract says what AWS does, and this table what the local cloud does:
//!
//! | AWS | Here |
//! |---|---|
//! | managed execution runs operations that do not conflict side by side, and queues the others | the local cloud queues all; the fake refuses them as without it, `Conflict` |
//! | a stopped operation cancels what it has not come to | the local cloud does the first instance only; the fake does all |
//! | calls have to say for whom they are made | the fake does not look at it |
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
mod inventory;
mod outlets;
mod queues;
mod records;
mod repository;
mod responder;
mod server;
mod stack_sets;
mod state;
mod violations;
