//! Random identifiers and the current time, in AWS's formats.

use std::hash::{BuildHasher, RandomState};

use jiff::{Timestamp, Unit};
use sha2::{Digest, Sha256};

/// An account and a Region.
pub(crate) type AccountRegion = (String, String);

/// Returns a random number that distinguishes sandboxes; it is not a secret.
pub fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// Returns a random UUID of version 4.
pub fn uuid() -> String {
    let random = u128::from(random()) << 64 | u128::from(random());
    uuid::Builder::from_random_bytes(random.to_be_bytes()).into_uuid().to_string()
}

/// Returns the SHA-256 digest of a text in hexadecimal.
pub(crate) fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// Returns the current time in UTC, in seconds (`2026-11-20T10:31:24Z`), as in EventBridge.
pub fn now_seconds() -> String {
    Timestamp::now().round(Unit::Second).unwrap_or_else(|_| Timestamp::now()).to_string()
}

/// Returns the current time in UTC, in milliseconds.
pub fn now_millis() -> String {
    Timestamp::now().round(Unit::Millisecond).unwrap_or_else(|_| Timestamp::now()).to_string()
}
