//! The functions as they are deployed: real processes behind a Lambda Runtime API, with the local cloud.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot continue has failed, and the panic names the line"
)]
#![allow(clippy::print_stdout, reason = "calls are counted here: the tables go into the README")]

mod application;
mod binaries;
mod cost;
mod denied_calls;
mod deploy_events;
mod inventory;
mod lifecycle;
mod operations;
mod policy;
mod policy_object;
mod pull_requests;
mod report_events;
mod rollouts;
#[path = "../contract/server.rs"]
mod server;
mod start_up;
mod stored_inventory;
mod story;
mod templates;

/// Every sample event is delivered to its function by a test of this binary.
#[test]
fn sample_events_are_all_tested() {
    let tests = [
        include_str!("deploy_events.rs"),
        include_str!("lifecycle.rs"),
        include_str!("policy_object.rs"),
        include_str!("pull_requests.rs"),
        include_str!("report_events.rs"),
        include_str!("start_up.rs"),
        include_str!("stored_inventory.rs"),
    ]
    .concat();
    let mut unused = Vec::new();
    for folder in ["", "bad/"] {
        for entry in std::fs::read_dir(binaries::workspace().join("events").join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".json") && !tests.contains(&format!("{folder}{name}\"")) {
                unused.push(format!("{folder}{name}"));
            }
        }
    }
    assert_eq!(unused, Vec::<String>::new());
}
