//! The definition of a StackSet and the stack that it creates.

use std::collections::BTreeMap;

use domain::rollout::{AutoDeployment, Desired, Digest, Parameters};

/// The definition of a StackSet: the input of its instances, and its tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulatedDefinition {
    /// The template.
    pub template: String,
    /// Values of its parameters.
    pub parameters: Parameters,
    /// The tag of the owner.
    pub owner: Option<String>,
    /// The tag of the applied overrides.
    pub digest: Option<Digest>,
    /// All other tags.
    pub tags: BTreeMap<String, String>,
    /// The behavior for accounts that join or leave its units.
    pub auto_deployment: Option<AutoDeployment>,
}

/// The stack in an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulatedStack {
    /// Its template.
    pub template: String,
    /// The values of its parameters.
    pub parameters: Parameters,
}

impl SimulatedDefinition {
    /// The definition that `deploy` sends.
    pub fn of(desired: &Desired, owner: &str, tags: &BTreeMap<String, String>) -> Self {
        Self {
            template: desired.template.clone(),
            parameters: desired.parameters.clone(),
            owner: Some(owner.to_owned()),
            digest: Some(desired.definition_digest()),
            tags: tags.clone(),
            auto_deployment: desired.permissions.service_managed().map(|service| service.auto_deployment),
        }
    }

    /// The stack that it creates with these overrides.
    pub fn stack(&self, overrides: &Parameters) -> SimulatedStack {
        let mut parameters = self.parameters.clone();
        parameters.extend(overrides.iter().map(|(name, value)| (name.clone(), value.clone())));
        SimulatedStack { template: self.template.clone(), parameters }
    }
}
