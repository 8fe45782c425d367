//! The whole story of `cargo xtask demo`, with nobody listening: `git push` to notice, on the application that `sam deploy` put
//! into the local cloud.

use std::path::Path;

use sandbox::cloud::{Cloud, Options};
use sandbox::mailbox::Mail;
use sandbox::story::{self, Listener};
use sandbox::tools::Tools;

use crate::binaries::{self, program};

/// Writes down what is told, for when the test fails.
struct Notes;

impl Listener for Notes {
    fn chapter(&mut self, number: usize, title: &str) {
        println!("\n{number}. {title}");
    }

    fn say(&mut self, text: &str) {
        println!("   {text}");
    }

    fn detail(&mut self, text: &str) {
        println!("   {text}");
    }

    fn progress(&mut self, _line: &str) {}

    fn claim(&mut self, claim: &str, held: bool, detail: &str) {
        println!("   {} {claim} ({detail})", if held { "holds:" } else { "DOES NOT HOLD:" });
    }

    fn mail(&mut self, mail: &Mail) {
        println!("   Subject: {}\n{}", mail.subject, mail.text);
    }
}

#[test]
fn from_git_push_to_a_notice_and_away_again() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let tools = Tools::ensure(workspace, &mut |line| println!("{line}")).unwrap();
    binaries::build();
    let cloud = Cloud::start(&tools, Options::default()).unwrap();
    let program = program("backup-compliance", &cloud.directory().join("tmp/cli"));
    let summary = story::tell(&cloud, &tools, &program, &mut Notes).unwrap();
    assert_eq!(summary.broken, Vec::<String>::new());
    assert!(summary.held >= 108, "the story has lost claims: {}", summary.held);
    assert_eq!(cloud.stop(), Vec::new(), "a process is left behind");
}
