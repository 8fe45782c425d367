//! The only crate that calls AWS: one file a service, each an adapter behind a port of `app`.

mod clients;
mod clock;
mod codecommit;
mod config;
mod dead_letters;
mod dynamodb;
mod error;
mod https;
mod responder;
pub mod runtime;
mod s3;
pub mod settings;
mod sns;
mod sqs;
mod stack;
mod stack_sets;

pub use clients::Clients;
pub use clock::SystemClock;
pub use codecommit::CodeCommitRepository;
pub use config::ConfigAggregator;
pub use dead_letters::DeadLetterQueues;
pub use dynamodb::StateTable;
pub use responder::SignedUrlResponder;
pub use s3::TemplateBucket;
pub use sns::Topic;
pub use sqs::Queue;
pub use stack::CloudFormationStacks;
pub use stack_sets::CloudFormationStackSets;
