//! Which operation of which service a request calls, and in which protocol.

use crate::http::HttpRequest;
use crate::wire::Form;

/// The service, the operation and the caller of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiCall {
    /// The service as it signs requests, for instance `cloudformation`.
    pub(crate) service: String,
    /// The operation; method and path where a REST request has no known operation.
    pub(crate) operation: String,
    pub(crate) access_key: String,
    pub(crate) region: String,
    /// The parameters of a Query request; empty in every other protocol.
    pub(crate) form: Form,
}

/// The format of a service's errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// XML in an `ErrorResponse`.
    Query,
    /// JSON with the code in `x-amzn-errortype`: JSON 1.0, 1.1 and REST-JSON.
    Json,
    /// The bare `Error` element of S3.
    RestXml,
}

impl ApiCall {
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let query = Form::parse(request.query());
        let scope = request.get("authorization").and_then(|header| header.split("Credential=").nth(1));
        let scope = scope.map(|rest| rest.split([',', ' ']).next().unwrap_or_default().to_owned());
        let scope = scope.or_else(|| query.get("X-Amz-Credential").map(str::to_owned)).unwrap_or_default();
        let parts: Vec<&str> = scope.split('/').collect();
        let part = |n: usize| parts.get(n).copied().unwrap_or_default().to_owned();
        let target = request.get("x-amz-target").unwrap_or_default();
        let is_form =
            request.get("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        let form = if is_form { Form::parse(&String::from_utf8_lossy(&request.body)) } else { query };
        let service = if part(3).is_empty() { service_of_target(target).to_owned() } else { part(3) };
        let operation = match (target.rsplit_once('.'), form.get("Action")) {
            (Some((_, operation)), _) => operation.to_owned(),
            (None, Some(action)) => action.to_owned(),
            (None, None) => rest_operation(&service, request),
        };
        let form = if form.get("Action").is_some() { form } else { Form::default() };
        Self { service, operation, access_key: part(0), region: part(2), form }
    }

    pub(crate) fn protocol(&self, request: &HttpRequest) -> Protocol {
        match self.service.as_str() {
            "s3" => Protocol::RestXml,
            _ if request.get("x-amz-target").is_none() && self.form.get("Action").is_some() => Protocol::Query,
            _ => Protocol::Json,
        }
    }
}

fn service_of_target(target: &str) -> &'static str {
    match target.split('.').next().unwrap_or_default() {
        "CodeCommit_20150413" => "codecommit",
        "StarlingDoveService" => "config",
        "DynamoDB_20120810" => "dynamodb",
        "AmazonSQS" => "sqs",
        "AWSEvents" => "events",
        "AWSOrganizationsV20161128" => "organizations",
        _ => "",
    }
}

/// REST protocols have no operation names on the wire.
fn rest_operation(service: &str, request: &HttpRequest) -> String {
    let (method, path) = (request.method.as_str(), request.path());
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let operation = match service {
        "securityhub" => security_hub_operation(method, &parts),
        "backup" if method == "GET" => backup_operation(&parts),
        "lambda" if method == "POST" && path.ends_with("/invocations") => Some("Invoke"),
        "s3" if parts.len() > 1 => object_operation(method),
        _ => None,
    };
    operation.map_or_else(|| format!("{method} {path}"), str::to_owned)
}

fn object_operation(method: &str) -> Option<&'static str> {
    Some(match method {
        "PUT" => "PutObject",
        "GET" => "GetObject",
        "HEAD" => "HeadObject",
        "DELETE" => "DeleteObject",
        _ => return None,
    })
}

fn security_hub_operation(method: &str, parts: &[&str]) -> Option<&'static str> {
    Some(match (method, parts) {
        ("POST", ["findings", "import"]) => "BatchImportFindings",
        ("POST", ["findings"]) => "GetFindings",
        ("POST", ["accounts"]) => "EnableSecurityHub",
        ("DELETE", ["accounts"]) => "DisableSecurityHub",
        ("GET", ["accounts"]) => "DescribeHub",
        _ => return None,
    })
}

fn backup_operation(parts: &[&str]) -> Option<&'static str> {
    Some(match parts {
        ["account-settings"] => "DescribeRegionSettings",
        ["audit", "frameworks"] => "ListFrameworks",
        ["audit", "frameworks", ..] => "DescribeFramework",
        ["backup", "plans"] => "ListBackupPlans",
        ["backup", "plans", _] => "GetBackupPlan",
        ["backup", "plans", _, "selections"] => "ListBackupSelections",
        ["backup", "plans", _, "selections", _] => "GetBackupSelection",
        ["backup-vaults"] => "ListBackupVaults",
        ["backup-vaults", _] => "DescribeBackupVault",
        ["backup-vaults", _, "access-policy"] => "GetBackupVaultAccessPolicy",
        ["backup-vaults", _, "recovery-points"] => "ListRecoveryPointsByBackupVault",
        ["resources"] => "ListProtectedResources",
        ["resources", _] => "DescribeProtectedResource",
        ["tags", _] => "ListTags",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
