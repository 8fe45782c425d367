//! The only crate that calls AWS: one file for each service, with the adapters for the ports of `app`.
//!
//! ```
//! use aws::settings::DeploySettings;
//!
//! let error = DeploySettings::from_env(|_| None).unwrap_err();
//! assert!(error.to_string().contains("`STATE_TABLE_NAME`"));
//! ```

mod adapters;
#[cfg(feature = "inventory")]
mod backup;
mod batches;
mod channels;
#[cfg(feature = "cli")]
mod circuit_breaker;
mod clients;
mod clock;
mod codecommit;
mod config;
mod dead_letters;
mod dynamodb;
mod error;
mod events;
mod https;
mod inventories;
mod members;
pub mod metrics;
mod organization;
mod pages;
mod policy_object;
mod responder;
pub mod runtime;
mod s3;
mod security_hub;
pub mod settings;
mod signed;
mod sns;
mod sqs;
mod stack;
mod stack_sets;
#[cfg(feature = "cli")]
mod terminal;
mod units;

#[cfg(feature = "inventory")]
pub use backup::MemberBackups;
pub use channels::Channels;
pub use clients::Clients;
pub use clock::SystemClock;
pub use codecommit::CodeCommitRepository;
pub use config::{ConfigAggregator, ConfigCompliance};
pub use dead_letters::DeadLetterQueues;
pub use dynamodb::StateTable;
pub use events::EventBus;
pub use inventories::InventoryBucket;
pub use members::MemberAccounts;
pub use organization::OrganizationAccounts;
pub use policy_object::{PolicyObject, PolicyOrigin};
pub use responder::SignedUrlResponder;
pub use s3::TemplateBucket;
pub use security_hub::SecurityHub;
pub use sns::{Topic, Topics};
pub use sqs::{SqsDeployQueue, SqsReportQueue};
pub use stack::CloudFormationStacks;
pub use stack_sets::CloudFormationStackSets;
#[cfg(feature = "cli")]
pub use terminal::{NO_CREDENTIALS, ProfileError, ProfileOptions};
pub use units::OrganizationUnits;
