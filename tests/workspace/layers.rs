//! The dependency rule: functions and command line -> aws -> app -> domain, and never back.

use serde_json::Value;

use crate::cargo::{self, tree};

/// What a package is, from the inside out. A package depends on what is further in than itself.
fn layer(name: &str) -> Option<u8> {
    Some(match name {
        "domain" => 0,
        "app" => 1,
        "aws" => 2,
        "deploy" | "lifecycle" | "report" | "sweep" | "backup-compliance" => 3,
        _ => return None,
    })
}

/// What is there to test and to show, and never deployed.
const TOOLS: [&str; 11] = [
    "testkit",
    "fuzzing",
    "sandbox",
    "tests",
    "xtask",
    "bench-common",
    "bench-floor",
    "bench-cold-start",
    "bench-policy",
    "bench-report",
    "bench-rollout",
];

/// Dependencies of one package on others of the workspace that the rule does not allow.
fn faults(package: &Value, members: &[&str]) -> Vec<String> {
    let name = package["name"].as_str().unwrap();
    let own = package["dependencies"].as_array().unwrap().iter();
    own.filter_map(|dependency| {
        let on = dependency["name"].as_str().unwrap();
        let kind = dependency["kind"].as_str().unwrap_or("normal");
        (members.contains(&on) && !allowed(name, on, kind)).then(|| format!("{name} -> {on} ({kind})"))
    })
    .collect()
}

fn allowed(from: &str, on: &str, kind: &str) -> bool {
    match (layer(from), layer(on)) {
        (Some(from), Some(on)) => on < from,
        // `backup-compliance invoke` is a local Runtime API; everything else uses tools in its tests only.
        (Some(_), None) => kind == "dev" || (from == "backup-compliance" && on == "testkit"),
        // The fakes implement the ports of `app`: what they knew of AWS, the tests of the use cases would know too.
        (None, Some(on)) => from != "testkit" || on <= 1,
        (None, None) => true,
    }
}

#[test]
fn packages_depend_inwards_only() {
    let members = cargo::members();
    let names: Vec<&str> = members.iter().map(|package| package["name"].as_str().unwrap()).collect();
    for name in &names {
        assert!(layer(name).is_some() || TOOLS.contains(name), "`{name}` is new: say here where it belongs");
    }
    let faults: Vec<String> = members.iter().flat_map(|package| faults(package, &names)).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn the_rule_can_be_broken() {
    for (from, on, kind) in [
        ("domain", "app", "normal"),
        ("app", "aws", "normal"),
        ("aws", "deploy", "normal"),
        ("report", "deploy", "normal"),
        ("domain", "app", "dev"),
        ("app", "testkit", "normal"),
        ("deploy", "testkit", "normal"),
        ("backup-compliance", "sandbox", "normal"),
        ("testkit", "aws", "normal"),
    ] {
        assert!(!allowed(from, on, kind), "{from} -> {on} ({kind})");
    }
}

#[test]
fn only_the_adapters_know_the_sdk() {
    for package in cargo::members() {
        let name = package["name"].as_str().unwrap();
        let of_aws: Vec<&str> = package["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|dependency| dependency["name"].as_str().unwrap())
            .filter(|on| {
                ["aws-config", "aws-credential-types", "aws-sdk-", "aws-sigv4", "aws-smithy-"]
                    .iter()
                    .any(|sdk| on.starts_with(sdk))
            })
            .collect();
        // Tools and tests may ask AWS, or what stands in for it, on their own.
        assert!(name == "aws" || layer(name).is_none() || of_aws.is_empty(), "{name} -> {of_aws:?}");
        assert!(name != "aws" || of_aws.len() > 5, "the adapters use no SDK? {of_aws:?}");
    }
}

/// No I/O, nothing asynchronous, no AWS: not even through a dependency of a dependency.
#[test]
fn the_domain_stays_pure() {
    const NAMES: [&str; 14] = [
        "async-io",
        "async-std",
        "curl",
        "futures",
        "h2",
        "http",
        "hyper",
        "mio",
        "reqwest",
        "rustls",
        "smol",
        "socket2",
        "tower",
        "ureq",
    ];
    const FAMILIES: [&str; 7] = ["aws", "futures-", "hyper-", "lambda", "tokio", "tower-", "tracing"];
    let tree = tree(&["--package", "domain", "--edges", "normal"]);
    assert!(tree.iter().any(|package| package.name == "serde"), "{tree:?}");
    let foreign: Vec<&str> = tree
        .iter()
        .map(|package| package.name.as_str())
        .filter(|name| NAMES.contains(name) || FAMILIES.iter().any(|family| name.starts_with(family)))
        .collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}
