//! The story of the product, run against a local cloud: `cargo xtask demo` prints it, an end-to-end test runs it.
//!
//! Each claim is checked; a claim that fails makes the story fail.

mod chapters;
mod context;
mod fleet;
mod object;
pub mod policy;
mod pull_request;
mod rollouts;
mod terraform;
mod violations;

use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use serde::Serialize;
use serde_json::json;

use crate::app::{FUNCTIONS, STACK};
use crate::client::CloudClient;
use crate::cloud::{self, LocalCloud};
use crate::mailbox::Mail;
use crate::tools::Tools;
use crate::wait::{self, Observation};

/// Receives the story.
pub trait Listener {
    /// A chapter begins.
    fn chapter(&mut self, number: usize, title: &str);
    /// Text for the reader.
    fn narrate(&mut self, text: &str);
    /// Details for developers: API calls, counts.
    fn detail(&mut self, text: &str);
    /// Progress of a long step.
    fn progress(&mut self, line: &str);
    /// The result of a check; `detail` is the observed state.
    fn check(&mut self, claim: &str, held: bool, detail: &str);
    /// A notice.
    fn mail(&mut self, mail: &Mail);
}

/// The results of the story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StorySummary {
    /// The number of checks that passed.
    pub passed: usize,
    /// The checks that failed, each with the observed state.
    pub failed: Vec<String>,
    /// AWS calls: step, function, operations in order.
    pub calls: Vec<(String, String, Vec<String>)>,
}

/// Runs the story. `program` is the command line; it and the functions must be built.
///
/// # Errors
/// When a step fails that later steps depend on.
pub fn run(cloud: &LocalCloud, tools: &Tools, program: &Path, listener: &mut dyn Listener) -> Result<StorySummary> {
    let summary = StorySummary { passed: 0, failed: Vec::new(), calls: Vec::new() };
    let mut story = StoryRun { cloud, tools, program, listener, summary, chapter: 0, read: 0 };
    chapters::all(&mut story)?;
    Ok(story.summary)
}

struct StoryRun<'s> {
    cloud: &'s LocalCloud,
    tools: &'s Tools,
    program: &'s Path,
    listener: &'s mut dyn Listener,
    summary: StorySummary,
    chapter: usize,
    /// The number of notices read so far.
    read: usize,
}

impl StoryRun<'_> {
    fn chapter(&mut self, title: &str) {
        self.chapter += 1;
        self.listener.chapter(self.chapter, title);
    }

    fn narrate(&mut self, text: &str) {
        self.listener.narrate(text);
    }

    fn check(&mut self, claim: &str, held: bool, seen: &str) {
        self.listener.check(claim, held, seen);
        if held {
            self.summary.passed += 1;
        } else {
            self.summary.failed.push(format!("chapter {}: {claim}: {seen}", self.chapter));
        }
    }

    /// Runs the command line with the credentials of a user in the central account; returns its output and exit
    /// status.
    fn run(&mut self, arguments: &[&str], folder: &Path) -> Result<(String, Option<i32>)> {
        self.narrate(&format!("$ backup-compliance {}", arguments.join(" ")));
        let mut command = Command::new(self.program);
        command.args(arguments).current_dir(folder).env("HOME", folder).env_remove("XDG_CONFIG_HOME");
        cloud::set_environment(&mut command, &self.cloud.url(), &self.cloud.options().region);
        let output = command.output().with_context(|| format!("run `{}`", self.program.display()))?;
        let output_text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        output_text.lines().for_each(|line| self.listener.narrate(line));
        Ok((output_text.into_owned(), output.status.code()))
    }

    /// Waits for the next notice and shows it.
    fn next_mail(&mut self, kind: &str) -> Result<Mail> {
        let mails = self.next_mails(kind, 1)?;
        mails.into_iter().next().context("the mailbox lost a notice")
    }

    /// Waits for notices of a kind and shows them.
    fn next_mails(&mut self, kind: &str, count: usize) -> Result<Vec<Mail>> {
        self.listener.progress("waiting for the notice");
        let (cloud, read) = (self.cloud, self.read);
        let mails = self.wait_for(&format!("{count} of the notices `{kind}`"), || {
            let unread: Vec<Mail> = cloud.notices().into_iter().skip(read).collect();
            let subjects: Vec<&str> = unread.iter().map(|mail| mail.subject.as_str()).collect();
            Ok(match unread.len() < count {
                true => ControlFlow::Continue(format!("{count} expected, {} received: {subjects:?}", unread.len())),
                false => ControlFlow::Break(unread),
            })
        })?;
        self.read += count;
        let mails: Vec<Mail> = mails.into_iter().take(count).collect();
        for mail in &mails {
            self.listener.mail(mail);
            self.check(&format!("you receive a notice `{kind}`"), mail.kind == kind, &mail.kind);
        }
        Ok(mails)
    }

    /// Polls until `poll` breaks with a value.
    fn wait_for<T>(&self, expected: &str, poll: impl FnMut() -> Result<Observation<T>>) -> Result<T> {
        wait::until(expected, poll).map_err(|error| {
            let client = self.cloud.client();
            let tails = FUNCTIONS.iter().map(|(name, _)| wait::tail(name, &logs(&client, name)));
            anyhow!("{error:#}{}", tails.collect::<String>())
        })
    }

    /// Returns the unread notices.
    fn rest_of_mail(&mut self) -> Vec<Mail> {
        let mails: Vec<Mail> = self.cloud.notices().into_iter().skip(self.read).collect();
        self.read += mails.len();
        mails
    }

    /// Checks that there are no unread notices.
    fn no_more_mail(&mut self, claim: &str) {
        let more: Vec<String> = self.cloud.notices().into_iter().skip(self.read).map(|mail| mail.subject).collect();
        self.check(claim, more.is_empty(), &if more.is_empty() { "no notice".to_owned() } else { more.join(", ") });
    }

    /// Checks that a text contains all of these, wherever its lines break.
    fn contains(&mut self, claim: &str, text: &str, expected: &[&str]) {
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let missing: Vec<&str> = expected.iter().filter(|words| !flat.contains(**words)).copied().collect();
        let seen = if missing.is_empty() { expected.join(", ") } else { format!("missing: {}", missing.join(", ")) };
        self.check(claim, missing.is_empty(), &seen);
    }
}

/// Returns the log of a function, oldest line first: from the group of the template, and from MiniStack's own group.
fn logs(client: &CloudClient, function: &str) -> Vec<String> {
    let id = FUNCTIONS.iter().find(|(name, _)| *name == function).map_or(function, |(_, id)| id);
    let groups = client.json("logs", "Logs_20140328.DescribeLogGroups", &json!({})).unwrap_or_default();
    let groups = groups["logGroups"].as_array().cloned().unwrap_or_default();
    let names = groups.iter().filter_map(|group| group["logGroupName"].as_str());
    let own = names.filter(|name| name.contains(&format!("{STACK}-{function}")) || name.contains(id));
    own.filter_map(|name| client.logs(name, "").ok()).flatten().collect()
}
