//! The parameters of requests for StackSets.

use std::collections::BTreeMap;

use super::book::{FailureTolerance, OperationPreferences, StackSetDefinition};
use super::errors::{ServiceResult, invalid};
use crate::wire::{self, Form};

/// Returns whether the caller is a delegated administrator, and the name of the StackSet.
pub(super) fn key_of(form: &Form) -> (bool, String) {
    let name = form.get("StackSetName").unwrap_or_default();
    let name = name.rsplit('/').next().unwrap_or_default().split(':').next().unwrap_or_default().to_owned();
    (form.get("CallAs") == Some("DELEGATED_ADMIN"), name)
}

/// Returns the parameters of a list, with values of `previous` for `UsePreviousValue`; `None` if the form has no such list.
pub(super) fn requested_parameters(
    form: &Form,
    name: &str,
    previous: &BTreeMap<String, String>,
) -> Option<BTreeMap<String, String>> {
    if !form.has(name) {
        return None;
    }
    let mut parameters = BTreeMap::new();
    let keeps = form.pairs(name, "ParameterKey", "UsePreviousValue");
    for ((key, value), (_, keep)) in form.pairs(name, "ParameterKey", "ParameterValue").into_iter().zip(keeps) {
        let kept = previous.get(key).filter(|_| keep == Some("true"));
        if let Some(value) = kept.map(String::as_str).or(value) {
            parameters.insert(key.to_owned(), value.to_owned());
        }
    }
    Some(parameters)
}

pub(super) fn preferences(form: &Form) -> OperationPreferences {
    let get = |name: &str| form.get(&format!("OperationPreferences.{name}"));
    let number = |name: &str| get(name).and_then(|text| text.parse().ok());
    let tolerance = match (number("FailureToleranceCount"), number("FailureTolerancePercentage")) {
        (_, Some(percentage)) => FailureTolerance::Percentage(percentage),
        (count, None) => FailureTolerance::Count(count.unwrap_or(0)),
    };
    let parallel = get("RegionConcurrencyType") == Some("PARALLEL");
    OperationPreferences { tolerance, in_order: (!parallel).then(|| form.list("OperationPreferences.RegionOrder")) }
}

impl StackSetDefinition {
    /// Applies a request. Omitted parameters, capabilities and roles fall back to their defaults; tags and
    /// auto-deployment stay.
    pub(super) fn updated(mut self, form: &Form, service_managed: bool) -> ServiceResult<Self> {
        let previous = form.get("UsePreviousTemplate") == Some("true");
        match (form.get("TemplateBody"), previous) {
            (Some(body), false) => body.clone_into(&mut self.template),
            (None, true) if !self.template.is_empty() => {}
            _ => return Err(invalid("Specify exactly one of TemplateBody, TemplateURL and UsePreviousTemplate")),
        }
        self.parameters = requested_parameters(form, "Parameters", &self.parameters).unwrap_or_default();
        self.capabilities = form.list("Capabilities");
        if let Some(description) = form.get("Description") {
            description.clone_into(&mut self.description);
        }
        if form.has("Tags") {
            let tags = form.pairs("Tags", "Key", "Value").into_iter();
            self.tags = tags.map(|(key, value)| (key.to_owned(), value.unwrap_or_default().to_owned())).collect();
        }
        self.service_managed = service_managed;
        self.administration_role = form.get("AdministrationRoleARN").map(str::to_owned);
        self.execution_role = form.get("ExecutionRoleName").map(str::to_owned);
        if let Some(enabled) = form.get("AutoDeployment.Enabled") {
            let retain = form.get("AutoDeployment.RetainStacksOnAccountRemoval");
            if enabled != "true" && retain.is_some() {
                return Err(invalid("RetainStacksOnAccountRemoval can only be given when AutoDeployment is enabled"));
            }
            self.auto_deployment = Some((enabled == "true", retain == Some("true")));
        }
        Ok(self)
    }

    /// Checks the rules of CloudFormation that span several parameters.
    pub(super) fn validate(&self, delegated: bool) -> ServiceResult<()> {
        if self.template.contains("AWS::IAM::") && !self.capabilities.iter().any(|given| given.ends_with("IAM")) {
            let message = "Requires capabilities : [CAPABILITY_IAM]";
            return Err(wire::query_error(400, "InsufficientCapabilitiesException", message));
        }
        Err(invalid(match (self.service_managed, self.auto_deployment.is_some()) {
            (false, _) if delegated => "A delegated administrator works with service managed stack sets only",
            (false, true) => "AutoDeployment can only be given with the SERVICE_MANAGED permission model",
            (true, false) => "AutoDeployment must be given with the SERVICE_MANAGED permission model",
            (true, true) if self.administration_role.is_some() || self.execution_role.is_some() => {
                "AdministrationRoleARN and ExecutionRoleName cannot be given with the SERVICE_MANAGED permission model"
            }
            _ => return Ok(()),
        }))
    }
}

/// Returns bucket and key of an S3 URL, path-style or virtual-hosted.
pub(super) fn bucket_and_key(url: &str) -> Option<(String, String)> {
    let rest = url.split_once("://")?.1;
    let (host, path) = rest.split_once('/')?;
    let path = path.split('?').next()?;
    let virtual_hosted = host.split_once(".s3").filter(|(bucket, _)| !bucket.is_empty());
    let (bucket, key) = match virtual_hosted {
        Some((bucket, _)) => (bucket, path),
        None => path.split_once('/')?,
    };
    Some((bucket.to_owned(), key.to_owned()))
}
