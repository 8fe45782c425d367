//! Audit Manager frameworks of member accounts, derived from the StackSets that deployed them. Read-only.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::call::ApiCall;
use crate::http::{HttpRequest, HttpResponse};
use crate::stacksets::StackSets;
use crate::wire;

const FRAMEWORKS: &str = include_str!("../frameworks.py");

/// Reads the frameworks with a Python program, because the cloud's Python has PyYAML.
#[derive(Debug)]
pub struct Backup {
    python: PathBuf,
}

impl Backup {
    pub(crate) fn new(python: &Path) -> Self {
        Self { python: python.to_owned() }
    }

    /// Whether a request is about frameworks of an account with stack instances.
    pub(crate) fn knows(&self, call: &ApiCall, stacksets: &StackSets) -> bool {
        matches!(call.operation.as_str(), "ListFrameworks" | "DescribeFramework")
            && !stacksets.members_in(&call.access_key, &call.region).is_empty()
    }

    pub(crate) fn answer(&self, call: &ApiCall, request: &HttpRequest, stacksets: &StackSets) -> HttpResponse {
        let frameworks = match self.frameworks(&call.access_key, &call.region, stacksets) {
            Ok(frameworks) => frameworks,
            Err(error) => return wire::json_error(500, "ServiceUnavailableException", &format!("{error:#}")),
        };
        if call.operation == "ListFrameworks" {
            let rows = frameworks.iter().map(|framework| {
                json!({
                    "FrameworkName": framework["FrameworkName"], "FrameworkArn": framework["FrameworkArn"],
                    "FrameworkDescription": framework["FrameworkDescription"], "DeploymentStatus": "COMPLETED",
                    "NumberOfControls": framework["FrameworkControls"].as_array().map_or(0, Vec::len),
                })
            });
            return wire::json_response(&json!({"Frameworks": rows.collect::<Vec<_>>()}));
        }
        let name = wire::percent_decode(request.path().rsplit('/').next().unwrap_or_default());
        match frameworks.iter().find(|framework| framework["FrameworkName"] == name.as_str()) {
            Some(framework) => wire::json_response(framework),
            None => wire::json_error(400, "ResourceNotFoundException", &format!("Framework {name} does not exist")),
        }
    }

    /// Returns the frameworks of an account and Region in the shape of `DescribeFramework`.
    pub(crate) fn frameworks(&self, account: &str, region: &str, stacksets: &StackSets) -> Result<Vec<Value>> {
        let members = stacksets.members_in(account, region);
        let ask: Vec<Value> = members
            .iter()
            .map(|member| json!({"template": member.template, "parameters": member.parameters, "account": account, "region": region}))
            .collect();
        let mut frameworks = self.read(&json!(ask))?;
        for framework in &mut frameworks {
            let name = framework["FrameworkName"].as_str().unwrap_or_default();
            framework["FrameworkArn"] = json!(format!("arn:aws:backup:{region}:{account}:framework:{name}"));
            framework["DeploymentStatus"] = json!("COMPLETED");
            framework["FrameworkStatus"] = json!("ACTIVE");
        }
        Ok(frameworks)
    }

    fn read(&self, ask: &Value) -> Result<Vec<Value>> {
        let mut child = Command::new(&self.python)
            .args(["-I", "-c", FRAMEWORKS])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start `{}`", self.python.display()))?;
        child.stdin.take().context("no input")?.write_all(ask.to_string().as_bytes())?;
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("cannot read the templates: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        serde_json::from_slice(&output.stdout).context("the output of frameworks.py is not valid JSON")
    }
}
