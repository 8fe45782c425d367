//! A runner of `action.yml`: the default values of its inputs, the environment of its step, and the files of a job.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::comments::{CommentApi, TOKEN};
use super::repository::{Checkout, Job, clean, program};
use crate::files;
use crate::template::yaml;

/// The expression for the default of `url`.
const RELEASES: &str = "inputs.url || format('{0}/{1}/releases/download', github.server_url, github.action_repository)";

/// The parsed `action.yml`.
pub(super) fn definition() -> Value {
    yaml::parse(&files::read("action.yml"))
}

/// The event of a pull request with the number 7.
pub(super) fn pull_request(checkout: &Checkout) -> Value {
    json!({
        "action": "synchronize",
        "pull_request": {
            "number": 7, "title": "A change",
            "base": { "ref": "main", "sha": checkout.base, "repo": { "full_name": "acme/policy" } },
            "head": { "ref": "change", "sha": checkout.head, "repo": { "full_name": "acme/policy" } },
        },
    })
}

/// One run of the action.
#[derive(Debug)]
pub(super) struct ActionRun<'a> {
    pub(super) checkout: &'a Checkout,
    pub(super) api: &'a CommentApi,
    event: Value,
    inputs: Vec<(String, String)>,
}

impl<'a> ActionRun<'a> {
    /// A run for a pull request with the command line of this workspace and an inventory.
    pub(super) fn new(checkout: &'a Checkout, api: &'a CommentApi) -> Self {
        let run = Self { checkout, api, event: pull_request(checkout), inputs: Vec::new() };
        run.input("program", program().to_str().unwrap()).input("inventory", "inventory.json").input("token", TOKEN)
    }

    pub(super) fn input(mut self, name: &str, value: &str) -> Self {
        self.inputs.retain(|(key, _)| key != name);
        self.inputs.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn event(mut self, event: Value) -> Self {
        self.event = event;
        self
    }

    /// The value of an expression in `action.yml`.
    fn value(&self, expression: &str, action: &Value) -> String {
        let name = match expression {
            RELEASES => "url",
            _ => expression.strip_prefix("inputs.").unwrap_or_else(|| panic!("the expression `{expression}`")),
        };
        let input = action["inputs"].get(name).unwrap_or_else(|| panic!("the input `{name}`"));
        let given = self.inputs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        given.unwrap_or_else(|| input["default"].as_str().unwrap()).to_owned()
    }

    pub(super) fn run(&self) -> Job {
        let action = definition();
        let step = &action["runs"]["steps"][0];
        let temp = self.checkout.beside("temp");
        fs::create_dir_all(&temp).unwrap();
        fs::write(self.checkout.beside("event.json"), self.event.to_string()).unwrap();
        for file in ["output", "summary"] {
            fs::write(self.checkout.beside(file), "").unwrap();
        }
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"].as_str().unwrap()]);
        clean(&mut bash).current_dir(self.checkout.clone()).env("HOME", &temp).env("RUNNER_TEMP", &temp);
        bash.env("GITHUB_ACTION_PATH", files::root()).env("GITHUB_REPOSITORY", "acme/policy");
        bash.env("GITHUB_API_URL", self.api.url()).env("GITHUB_EVENT_PATH", self.checkout.beside("event.json"));
        bash.env("GITHUB_OUTPUT", self.checkout.beside("output"));
        bash.env("GITHUB_STEP_SUMMARY", self.checkout.beside("summary"));
        for (name, value) in step["env"].as_object().unwrap() {
            let expression = value.as_str().unwrap().strip_prefix("${{ ").unwrap().strip_suffix(" }}").unwrap();
            bash.env(name, self.value(expression, &action));
        }
        Job::of(&bash.output().unwrap())
    }

    /// An output of the step; empty if it was not set.
    pub(super) fn output(&self, name: &str) -> String {
        let text = fs::read_to_string(self.checkout.beside("output")).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_default().to_owned()
    }

    pub(super) fn summary(&self) -> String {
        fs::read_to_string(self.checkout.beside("summary")).unwrap()
    }
}
