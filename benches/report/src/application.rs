//! The application in a local cloud, with the starter policy deployed.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};

use sandbox::app::{self, Build};
use sandbox::client::CloudClient;
use sandbox::cloud::{LocalCloud, Options};
use sandbox::config::RecordedResource;
use sandbox::story::policy::Checkout;
use sandbox::tools::Tools;
use sandbox::wait;

use crate::flood::Flood;

/// A cloud with the application.
#[derive(Debug)]
pub(crate) struct DeployedApplication {
    pub(crate) cloud: LocalCloud,
    pub(crate) client: CloudClient,
    outputs: BTreeMap<String, String>,
    /// The digest window, if the application has one.
    pub(crate) window_seconds: Option<u32>,
}

impl DeployedApplication {
    /// Starts a cloud, deploys the application, and rolls out the starter policy.
    pub(crate) fn up(root: &Path, tools: &Tools, build: bool, window_seconds: u32) -> Result<Self> {
        let cloud = LocalCloud::start(tools, Options::default())?;
        let mut line = |line: &str| eprintln!("{line}");
        if build {
            app::build_release(&cloud, tools, &mut line)?;
        }
        let template = std::fs::read_to_string(Build::Release.directory(root).join("template.yaml"))
            .context("the application is not built: run without `--no-build`")?;
        let has = |parameter: &str| template.contains(&format!("\n  {parameter}:\n"));
        let mut overrides = Vec::new();
        let window = format!("DigestWindowSeconds={window_seconds}");
        if has("DigestWindowSeconds") {
            overrides.push(window.as_str());
        }
        if has("SecurityHub") {
            overrides.push("SecurityHub=central");
        }
        let outputs = app::deploy(&cloud, tools, Build::Release, &overrides, &mut line)?;
        let window_seconds = has("DigestWindowSeconds").then_some(window_seconds);
        let application = Self { client: cloud.client(), cloud, outputs, window_seconds };
        application.cloud.open_mailbox(application.output("NotificationTopicArn")?)?;
        application.push(root)?;
        Ok(application)
    }

    pub(crate) fn output(&self, name: &str) -> Result<&str> {
        self.outputs
            .get(name)
            .map(String::as_str)
            .with_context(|| format!("the stack does not have the output `{name}`"))
    }

    /// Pushes the starter policy and waits until it is rolled out.
    fn push(&self, root: &Path) -> Result<()> {
        let checkout = Checkout::new(&self.cloud.directory().join("checkout"), self.cloud.repository_path())?;
        let read = |name: &str| {
            std::fs::read_to_string(root.join("framework").join(name))
                .with_context(|| format!("read `framework/{name}`"))
        };
        let (framework, policy) = (read("framework.yaml")?, read("backup-compliance.yaml")?);
        checkout
            .push("Protect every account", &[("framework.yaml", &framework), ("backup-compliance.yaml", &policy)])?;
        wait::until("a notice `rollout.succeeded` for the starter policy", || {
            let kinds: Vec<String> = self.cloud.notices().into_iter().map(|mail| mail.kind).collect();
            let succeeded = kinds.iter().any(|kind| kind == "rollout.succeeded");
            Ok(wait::when(succeeded, || format!("{} notices: {}", kinds.len(), kinds.join(", "))))
        })
    }

    /// Adds the resources of a flood to AWS Config.
    pub(crate) fn add_resources(&self, flood: &Flood) {
        for (account, region, _, kind, id) in flood.expected.keys() {
            self.cloud.add_resource(RecordedResource {
                account: (*account).to_owned(),
                region: (*region).to_owned(),
                resource_type: (*kind).to_owned(),
                resource_id: id.clone(),
                resource_name: format!("name of {id}"),
                arn: format!("arn:aws:sandbox:{region}:{account}:{id}"),
                tags: BTreeMap::from([("owner".to_owned(), "team@example.com".to_owned())]),
                configuration: serde_json::Value::Null,
            });
        }
    }

    /// Returns the environment of a function in the cloud.
    pub(crate) fn variables(&self, function: &str) -> Result<Vec<(String, String)>> {
        let path = format!("/2015-03-31/functions/{}/configuration", self.output(function)?);
        let configuration = self.client.rest("lambda", "GET", &path, None)?;
        let variables = configuration["Environment"]["Variables"].as_object().cloned().unwrap_or_default();
        Ok(variables.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect())
    }

    /// Returns the memory size of a function in the cloud, in MB.
    pub(crate) fn memory_mb(&self, function: &str) -> Result<f64> {
        let path = format!("/2015-03-31/functions/{}/configuration", self.output(function)?);
        let configuration = self.client.rest("lambda", "GET", &path, None)?;
        configuration["MemorySize"].as_f64().context("the function has no MemorySize")
    }
}
