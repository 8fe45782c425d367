//! The example of `cargo xtask demo` without its output: from `git push` to a notice, on the application that `sam
//! deploy` put into the local cloud.

use std::path::Path;

use sandbox::cloud::{LocalCloud, Options};
use sandbox::mailbox::Mail;
use sandbox::story::{self, Listener};
use sandbox::tools::Tools;

use crate::binaries::{self, program};

/// Collects the output, to print it if the test fails.
struct Notes;

impl Listener for Notes {
    fn chapter(&mut self, number: usize, title: &str) {
        println!("\n{number}. {title}");
    }

    fn narrate(&mut self, text: &str) {
        println!("   {text}");
    }

    fn detail(&mut self, text: &str) {
        println!("   {text}");
    }

    fn progress(&mut self, _line: &str) {}

    fn check(&mut self, claim: &str, held: bool, detail: &str) {
        println!("   {} {claim} ({detail})", if held { "holds:" } else { "DOES NOT HOLD:" });
    }

    fn mail(&mut self, mail: &Mail) {
        println!("   Subject: {}\n{}", mail.subject, mail.text);
    }
}

#[test]
fn demo_story_runs_from_push_to_removal() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let tools = Tools::ensure(workspace, &mut |line| println!("{line}")).unwrap();
    binaries::build();
    let cloud = LocalCloud::start(&tools, Options::default()).unwrap();
    let program = program("backup-compliance", &cloud.directory().join("tmp/cli"));
    let summary = story::run(&cloud, &tools, &program, &mut Notes).unwrap();
    assert_eq!(summary.failed, Vec::<String>::new());
    assert!(summary.passed >= 121, "the story has lost claims: {}", summary.passed);
    assert_eq!(cloud.stop(), Vec::new(), "a process is left behind");
}
