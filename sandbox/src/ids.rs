//! Random identifiers and the time, in the shapes AWS writes them.

use std::hash::{BuildHasher, RandomState};

use jiff::{Timestamp, Unit};

/// A random 64-bit number; good enough to keep the names of two sandboxes apart, not a secret.
#[must_use]
pub fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// A random identifier in the form of a version 4 UUID.
#[must_use]
pub fn uuid() -> String {
    let (high, low) = (random(), random());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | ((low >> 48) & 0x3fff),
        low & 0xffff_ffff_ffff
    )
}

/// Now, in UTC, to the second (`2026-11-20T10:31:24Z`), as EventBridge writes it.
#[must_use]
pub fn now_seconds() -> String {
    Timestamp::now().round(Unit::Second).unwrap_or_else(|_| Timestamp::now()).to_string()
}

/// Now, in UTC, to the millisecond.
#[must_use]
pub fn now_millis() -> String {
    Timestamp::now().round(Unit::Millisecond).unwrap_or_else(|_| Timestamp::now()).to_string()
}
