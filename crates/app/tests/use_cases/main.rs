//! The use cases in a world of fakes.

mod deploy;
mod lifecycle;
mod policy;
mod report;
