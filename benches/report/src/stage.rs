//! The application in a local cloud, with the starter policy in force.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use sandbox::app::{self, Build};
use sandbox::client::Client;
use sandbox::cloud::{Cloud, Options};
use sandbox::config::Resource;
use sandbox::story::policy::Checkout;
use sandbox::tools::Tools;
use sandbox::wait;

use crate::flood::Flood;

/// A cloud with the application in it.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) cloud: Cloud,
    pub(crate) client: Client,
    outputs: BTreeMap<String, String>,
    /// The length of the window, as far as the application has one.
    pub(crate) window_seconds: Option<u32>,
}

impl Stage {
    /// Starts a cloud, deploys the application, and puts the starter policy in force.
    pub(crate) fn up(root: &Path, tools: &Tools, build: bool, window_seconds: u32) -> Result<Self> {
        let cloud = Cloud::start(tools, Options::default())?;
        let mut line = |line: &str| eprintln!("{line}");
        if build {
            app::build_release(&cloud, tools, &mut line)?;
        }
        let template = std::fs::read_to_string(Build::Release.directory(root).join("template.yaml"))
            .context("the application is not built: leave out `--no-build`")?;
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
        let stage = Self { client: cloud.client(), cloud, outputs, window_seconds };
        stage.cloud.open_mailbox(stage.output("NotificationTopicArn")?)?;
        stage.push(root)?;
        Ok(stage)
    }

    pub(crate) fn output(&self, name: &str) -> Result<&str> {
        self.outputs.get(name).map(String::as_str).with_context(|| format!("the stack has no output `{name}`"))
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
            let kinds: Vec<String> = self.cloud.mails().into_iter().map(|mail| mail.kind).collect();
            let is_there = kinds.iter().any(|kind| kind == "rollout.succeeded");
            Ok(wait::when(is_there, || format!("{} notices: {}", kinds.len(), kinds.join(", "))))
        })
    }

    /// Lets Config know the resources of a flood.
    pub(crate) fn know(&self, flood: &Flood) {
        for (account, region, _, kind, id) in flood.expected.keys() {
            self.cloud.add_resource(Resource {
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

    /// The variables of a function, as they are set in the cloud.
    pub(crate) fn variables(&self, function: &str) -> Result<Vec<(String, String)>> {
        let path = format!("/2015-03-31/functions/{}/configuration", self.output(function)?);
        let configuration = self.client.rest("lambda", "GET", &path, None)?;
        let variables = configuration["Environment"]["Variables"].as_object().cloned().unwrap_or_default();
        Ok(variables.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect())
    }

    /// The memory of a function in MB, as it is set in the cloud.
    pub(crate) fn memory_mb(&self, function: &str) -> Result<f64> {
        let path = format!("/2015-03-31/functions/{}/configuration", self.output(function)?);
        let configuration = self.client.rest("lambda", "GET", &path, None)?;
        configuration["MemorySize"].as_f64().context("a function has no MemorySize")
    }
}
