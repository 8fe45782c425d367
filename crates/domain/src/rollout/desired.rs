//! What the policy wants of one StackSet.

use super::{Instance, Parameters};
use crate::ids::StackSetName;
use crate::policy::Rollout;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// A StackSet as the policy at one commit wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The StackSet's name.
    pub name: StackSetName,
    /// The framework template, byte for byte as it is in the repository.
    pub template: String,
    /// The capabilities that the template needs and no others.
    pub capabilities: Vec<String>,
    /// Parameters of the StackSet itself.
    pub parameters: Parameters,
    /// Every wanted instance with its parameter overrides.
    pub instances: BTreeMap<Instance, Parameters>,
    /// How operations proceed.
    pub rollout: Rollout,
}

impl Desired {
    /// Digest of what the StackSet itself carries: template, parameters, capabilities. Kept as a tag of the StackSet, so that
    /// a change is seen without comparing templates that CloudFormation may have rewritten.
    #[must_use]
    pub fn definition_digest(&self) -> Digest {
        digest_of(&serde_json::json!({
            "template": self.template,
            "parameters": self.parameters,
            "capabilities": self.capabilities,
        }))
    }

    /// Digest of everything that this rollout depends on: the definition, the instances with their overrides, and the
    /// rollout settings. Equal digests mean that nothing has changed.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let instances: BTreeMap<String, &Parameters> =
            self.instances.iter().map(|(instance, overrides)| (instance.to_string(), overrides)).collect();
        digest_of(&serde_json::json!({
            "definition": self.definition_digest().0,
            "instances": instances,
            "rollout": self.rollout,
        }))
    }
}

/// 128 bits of SHA-256 over canonical JSON, as 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub String);

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The digest of a JSON value. Objects are sorted by key (serde_json without `preserve_order`), so equal values have equal
/// digests.
#[must_use]
pub fn digest_of(value: &serde_json::Value) -> Digest {
    let hash = Sha256::digest(value.to_string().as_bytes());
    Digest(hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}
