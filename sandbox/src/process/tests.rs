use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::*;

/// Runs in the process that the tests below start and kill.
#[test]
fn owner() {
    let Ok(id) = std::env::var("GUARD_TEST_ID") else { return };
    let directory = std::env::var("GUARD_TEST_DIRECTORY").unwrap();
    let guard = Guard::start(Path::new("python3"), &id, Some(Path::new(&directory))).unwrap();
    // Processes that try to escape: in the background, in a session of its own, reparented.
    let script = "sleep 600 & setsid sleep 601 & (setsid sh -c 'sleep 602' &) ; sleep 603";
    guard.spawn(Command::new("sh").args(["-c", script])).unwrap().wait().unwrap();
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "gave up waiting until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn sleeping(id: &str) -> usize {
    running(id).iter().filter(|process| process.command.starts_with("sleep ")).count()
}

#[test]
#[cfg(target_os = "linux")]
fn guard_killed_owner_ends_all_processes() {
    let directory = tempfile::tempdir().unwrap();
    let sandbox = directory.path().join("sandbox");
    std::fs::create_dir(&sandbox).unwrap();
    let id = new_id();
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "process::tests::owner", "--nocapture"])
        .env("GUARD_TEST_ID", &id)
        .env("GUARD_TEST_DIRECTORY", &sandbox)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until("the processes run", || sleeping(&id) == 4);

    assert!(signal(owner.id(), "KILL"));
    owner.wait().unwrap();

    until("all processes ended", || running(&id).is_empty());
    until("the directory was removed", || !sandbox.exists());
}

#[test]
#[cfg(target_os = "linux")]
fn guard_stop_ends_all_processes() {
    let id = new_id();
    let guard = Guard::start(Path::new("python3"), &id, None).unwrap();
    let mut child = guard.spawn(Command::new("sh").args(["-c", "setsid sleep 600 & sleep 601"])).unwrap();
    until("the processes run", || sleeping(&id) == 2);

    assert_eq!(guard.stop(), []);

    assert!(!child.wait().unwrap().success());
}

#[test]
fn run_failed_program_reports_its_output() {
    let guard = Guard::start(Path::new("python3"), &new_id(), None).unwrap();
    let mut seen = Vec::new();
    let failed = run(&guard, Command::new("sh").args(["-c", "echo one; echo two >&2; exit 3"]), &mut |line| {
        seen.push(line.to_owned());
    });
    assert_eq!(seen.len(), 2);
    assert!(failed.unwrap_err().to_string().contains("two"));
}
