//! Digests of JSON values.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// 128 bits of SHA-256 over canonical JSON, as 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub String);

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns the digest of a JSON value. `serde_json` without `preserve_order` sorts objects by key.
pub fn digest_of(value: &serde_json::Value) -> Digest {
    let hash = Sha256::digest(value.to_string().as_bytes());
    Digest(hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}
