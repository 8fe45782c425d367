//! The story of the product, run against a local cloud: `cargo xtask demo` prints it, an end-to-end test asserts it.
//!
//! Every claim is checked and none is skipped: a claim that does not hold makes the story fail.

mod chapters;
mod fleet;
pub mod policy;
mod rollouts;
mod violations;

use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use serde::Serialize;
use serde_json::json;

use crate::app::{FUNCTIONS, STACK};
use crate::client::Client;
use crate::cloud::{self, Cloud};
use crate::mailbox::Mail;
use crate::tools::Tools;
use crate::wait::{self, Observed};

/// Hears the story.
pub trait Listener {
    /// A chapter begins.
    fn chapter(&mut self, number: usize, title: &str);
    /// What happens now.
    fn say(&mut self, text: &str);
    /// What a developer may want to know: API calls, counts.
    fn detail(&mut self, text: &str);
    /// A sign of life from something that takes long.
    fn progress(&mut self, line: &str);
    /// A claim, and whether it holds; `detail` is what was seen.
    fn claim(&mut self, claim: &str, held: bool, detail: &str);
    /// A notice as its reader gets it.
    fn mail(&mut self, mail: &Mail);
}

/// How the story went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Claims that hold.
    pub held: usize,
    /// Claims that do not, each with what was seen.
    pub broken: Vec<String>,
    /// AWS calls of a function for some events: what happened, the function, the calls in order.
    pub calls: Vec<(String, String, Vec<String>)>,
}

/// Tells the whole story; `program` is the command line, and it and the functions were built before.
///
/// # Errors
/// When the story cannot go on: something did not happen that the rest stands on.
pub fn tell(cloud: &Cloud, tools: &Tools, program: &Path, listener: &mut dyn Listener) -> Result<Summary> {
    let summary = Summary { held: 0, broken: Vec::new(), calls: Vec::new() };
    let mut story = Story { cloud, tools, program, listener, summary, chapter: 0, read: 0 };
    chapters::all(&mut story)?;
    Ok(story.summary)
}

struct Story<'s> {
    cloud: &'s Cloud,
    tools: &'s Tools,
    program: &'s Path,
    listener: &'s mut dyn Listener,
    summary: Summary,
    chapter: usize,
    /// Mails read so far.
    read: usize,
}

impl Story<'_> {
    fn chapter(&mut self, title: &str) {
        self.chapter += 1;
        self.listener.chapter(self.chapter, title);
    }

    fn say(&mut self, text: &str) {
        self.listener.say(text);
    }

    fn claim(&mut self, claim: &str, held: bool, seen: &str) {
        self.listener.claim(claim, held, seen);
        if held {
            self.summary.held += 1;
        } else {
            self.summary.broken.push(format!("chapter {}: {claim}: {seen}", self.chapter));
        }
    }

    /// Runs the command line as a person with credentials of the central account does; what it says and its exit status.
    fn run(&mut self, arguments: &[&str], folder: &Path) -> Result<(String, Option<i32>)> {
        self.say(&format!("$ backup-compliance {}", arguments.join(" ")));
        let mut command = Command::new(self.program);
        command.args(arguments).current_dir(folder).env("HOME", folder).env_remove("XDG_CONFIG_HOME");
        cloud::set_environment(&mut command, &self.cloud.url(), &self.cloud.options().region);
        let output = command.output().with_context(|| format!("run `{}`", self.program.display()))?;
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        said.lines().for_each(|line| self.listener.say(line));
        Ok((said.into_owned(), output.status.code()))
    }

    /// Waits for the next mail and shows it.
    fn next_mail(&mut self, kind: &str) -> Result<Mail> {
        let mails = self.next_mails(kind, 1)?;
        mails.into_iter().next().context("the mailbox lost a mail")
    }

    /// Waits for so many mails of a kind and shows them.
    fn next_mails(&mut self, kind: &str, count: usize) -> Result<Vec<Mail>> {
        self.listener.progress("waiting for the notice");
        let (cloud, read) = (self.cloud, self.read);
        let mails = self.wait_for(&format!("{count} of the notices `{kind}`"), || {
            let unread: Vec<Mail> = cloud.mails().into_iter().skip(read).collect();
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
            self.claim(&format!("it is a notice `{kind}`"), mail.kind == kind, &mail.kind);
        }
        Ok(mails)
    }

    /// Polls until `poll` breaks with a value.
    ///
    /// # Errors
    /// As [`wait::until`], with the end of the logs of the functions.
    fn wait_for<T>(&self, expected: &str, poll: impl FnMut() -> Result<Observed<T>>) -> Result<T> {
        wait::until(expected, poll).map_err(|error| {
            let client = self.cloud.client();
            let tails = FUNCTIONS.iter().map(|(name, _)| wait::tail(name, &logs(&client, name)));
            anyhow!("{error:#}{}", tails.collect::<String>())
        })
    }

    /// The mails that have come and were not read.
    fn rest_of_mail(&mut self) -> Vec<Mail> {
        let mails: Vec<Mail> = self.cloud.mails().into_iter().skip(self.read).collect();
        self.read += mails.len();
        mails
    }

    /// Claims that nothing more has come.
    fn no_more_mail(&mut self, claim: &str) {
        let more: Vec<String> = self.cloud.mails().into_iter().skip(self.read).map(|mail| mail.subject).collect();
        self.claim(claim, more.is_empty(), &if more.is_empty() { "no notice".to_owned() } else { more.join(", ") });
    }

    /// Claims that a text says all of these, wherever its lines break.
    fn says(&mut self, claim: &str, text: &str, expected: &[&str]) {
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let missing: Vec<&str> = expected.iter().filter(|words| !flat.contains(**words)).copied().collect();
        let seen =
            if missing.is_empty() { expected.join(", ") } else { format!("it does not say {}", missing.join(", ")) };
        self.claim(claim, missing.is_empty(), &seen);
    }
}

/// The log of a function, oldest line first: the group that the template declares, and the one that MiniStack names itself.
fn logs(client: &Client, function: &str) -> Vec<String> {
    let id = FUNCTIONS.iter().find(|(name, _)| *name == function).map_or(function, |(_, id)| id);
    let groups = client.json("logs", "Logs_20140328.DescribeLogGroups", &json!({})).unwrap_or_default();
    let groups = groups["logGroups"].as_array().cloned().unwrap_or_default();
    let names = groups.iter().filter_map(|group| group["logGroupName"].as_str());
    let own = names.filter(|name| name.contains(&format!("{STACK}-{function}")) || name.contains(id));
    own.filter_map(|name| client.logs(name, "").ok()).flatten().collect()
}
