//! A runner of `templates/preview/template.yml`: the inputs of the component, the variables of a merge request pipeline, and the script.

use std::process::Command;

use serde_json::Value;

use super::comments::{CommentApi, TOKEN};
use super::repository::{Checkout, Job, clean};
use super::server::Server;
use crate::files;
use crate::template::yaml;

/// The inputs of the component, and its configuration.
pub(super) fn definition() -> (Value, Value) {
    let text = files::read("templates/preview/template.yml");
    let (header, body) = text.split_once("\n---\n").unwrap();
    (yaml::parse(header)["spec"]["inputs"].clone(), yaml::parse(body))
}

/// One run of the job.
#[derive(Debug)]
pub(super) struct ComponentRun<'a> {
    checkout: &'a Checkout,
    inputs: Vec<(String, String)>,
    variables: Vec<(String, String)>,
}

impl<'a> ComponentRun<'a> {
    /// A run for the merge request 7 with an inventory, of the release 1.2.3 that `releases` serves.
    pub(super) fn new(checkout: &'a Checkout, api: &CommentApi, releases: &Server, sha256: &str) -> Self {
        let run = Self { checkout, inputs: Vec::new(), variables: Vec::new() };
        let run = run.input("url", &format!("http://{}/releases", releases.address())).input("version", "1.2.3");
        let run = run.input("sha256", sha256).input("inventory", "inventory.json");
        let run = run.variable("CI_API_V4_URL", &api.url()).variable("CI_MERGE_REQUEST_IID", "7");
        let run =
            run.variable("CI_MERGE_REQUEST_PROJECT_ID", "42").variable("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "42");
        let run = run.variable("CI_MERGE_REQUEST_DIFF_BASE_SHA", &checkout.base);
        run.variable("BACKUP_COMPLIANCE_TOKEN", TOKEN)
    }

    pub(super) fn input(mut self, name: &str, value: &str) -> Self {
        self.inputs.retain(|(key, _)| key != name);
        self.inputs.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets a variable of the pipeline or the project.
    pub(super) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(key, _)| key != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn without_variables(mut self, prefix: &str) -> Self {
        self.variables.retain(|(key, _)| !key.starts_with(prefix));
        self
    }

    /// The value of `$[[ inputs.NAME ]]`.
    fn value(&self, text: &str, inputs: &Value) -> String {
        let Some(name) = text.strip_prefix("$[[ inputs.").and_then(|rest| rest.strip_suffix(" ]]")) else {
            return text.to_owned();
        };
        let input = inputs.get(name).unwrap_or_else(|| panic!("the input `{name}`"));
        let given = self.inputs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        given.unwrap_or_else(|| match &input["default"] {
            Value::String(text) => text.clone(),
            Value::Bool(value) => value.to_string(),
            other => panic!("the input `{name}` has the default {other}"),
        })
    }

    pub(super) fn run(&self) -> Job {
        let (inputs, jobs) = definition();
        let job = jobs.as_object().unwrap().values().next().unwrap();
        let lines: Vec<&str> = job["script"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
        let script = lines.join("\n");
        assert!(!script.contains("$[["), "an input in the text of the script: {script}");
        let mut shell = Command::new("sh");
        shell.arg("-ec").arg(script);
        clean(&mut shell).current_dir(self.checkout.clone()).env("HOME", self.checkout.beside(""));
        shell.env("CI_PROJECT_DIR", self.checkout.clone());
        // A value that is expanded could contain `$`.
        for (name, value) in job["variables"].as_object().unwrap() {
            let (text, is_expanded) = match value {
                Value::Object(value) => (value["value"].as_str().unwrap(), value["expand"] != false),
                value => (value.as_str().unwrap(), true),
            };
            let value = self.value(text, &inputs);
            assert!(!is_expanded || !value.contains('$'), "{name} is expanded: {value}");
            shell.env(name, value);
        }
        shell.envs(self.variables.iter().cloned());
        Job::of(&shell.output().unwrap())
    }
}
