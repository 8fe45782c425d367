//! The order of crates: each depends on inner crates only. `functions, cli -> aws -> app -> domain -> framework -> syntax`, and
//! `app, cli -> evaluation -> framework`.

use serde_json::Value;

use super::cargo::{self, tree};

/// The crates of the product and the crates of the workspace that each may depend on.
const LAYERS: [(&str, &[&str]); 14] = [
    ("syntax", &[]),
    ("framework", &["syntax"]),
    ("evaluation", &["framework", "syntax"]),
    ("domain", &["framework", "syntax"]),
    ("app", &["domain", "evaluation", "framework", "syntax"]),
    ("aws", &["app", "domain", "evaluation", "framework", "syntax"]),
    ("deploy", FUNCTION),
    ("inventory", FUNCTION),
    ("lifecycle", FUNCTION),
    ("report", FUNCTION),
    ("sweep", FUNCTION),
    ("preview", FUNCTION),
    ("runtime-api", &[]),
    ("backup-compliance", &["aws", "app", "domain", "evaluation", "framework", "runtime-api", "syntax"]),
];

/// Functions evaluate no templates, and stay small without the evaluation.
const FUNCTION: &[&str] = &["aws", "app", "domain", "framework", "syntax"];

/// Packages for tests, measurements and demonstrations. They are never deployed.
const TOOLS: [&str; 12] = [
    "testkit",
    "fuzzing",
    "sandbox",
    "tests",
    "xtask",
    "bench-common",
    "bench-floor",
    "bench-cold-start",
    "bench-inventory",
    "bench-policy",
    "bench-report",
    "bench-rollout",
];

/// The crates that do no I/O and wait for nothing.
const PURE: [&str; 4] = ["syntax", "framework", "evaluation", "domain"];

fn inner(name: &str) -> Option<&'static [&'static str]> {
    LAYERS.iter().find(|(layer, _)| *layer == name).map(|(_, inner)| *inner)
}

/// Dependencies of one package on others of the workspace that the rule does not allow.
fn violations(package: &Value, members: &[&str]) -> Vec<String> {
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
    match (inner(from), inner(on)) {
        (Some(inner), Some(_)) => inner.contains(&on),
        (Some(_), None) => kind == "dev",
        // The fakes implement the ports of `app`. If they used `aws`, the tests of the use cases would depend on it too.
        (None, Some(_)) => from != "testkit" || inner("app").unwrap().contains(&on) || on == "app",
        (None, None) => true,
    }
}

#[test]
fn packages_depend_on_inner_packages_only() {
    let members = cargo::members();
    let names: Vec<&str> = members.iter().map(|package| package["name"].as_str().unwrap()).collect();
    for name in &names {
        assert!(
            inner(name).is_some() || TOOLS.contains(name),
            "the package `{name}` is new: add it to LAYERS or TOOLS"
        );
    }
    let found: Vec<String> = members.iter().flat_map(|package| violations(package, &names)).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn forbidden_dependencies_are_not_allowed() {
    for (from, on, kind) in [
        ("syntax", "framework", "normal"),
        ("framework", "domain", "normal"),
        ("framework", "evaluation", "dev"),
        ("evaluation", "domain", "normal"),
        ("domain", "evaluation", "normal"),
        ("domain", "app", "normal"),
        ("app", "aws", "normal"),
        ("aws", "deploy", "normal"),
        ("report", "deploy", "normal"),
        ("report", "evaluation", "normal"),
        ("domain", "app", "dev"),
        ("app", "testkit", "normal"),
        ("deploy", "testkit", "normal"),
        ("deploy", "runtime-api", "normal"),
        ("runtime-api", "domain", "normal"),
        ("backup-compliance", "testkit", "normal"),
        ("backup-compliance", "sandbox", "normal"),
        ("testkit", "aws", "normal"),
        ("testkit", "runtime-api", "normal"),
    ] {
        assert!(!allowed(from, on, kind), "{from} -> {on} ({kind})");
    }
}

#[test]
fn adapters_alone_use_the_aws_sdk() {
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
        // Tools and tests may call AWS, or the local cloud, themselves.
        assert!(name == "aws" || inner(name).is_none() || of_aws.is_empty(), "{name} -> {of_aws:?}");
        assert!(name != "aws" || of_aws.len() > 5, "the adapters use no SDK? {of_aws:?}");
    }
}

/// Neither I/O nor async code nor AWS, also not through a dependency of a dependency.
#[test]
fn pure_crates_link_no_io() {
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
    let members = cargo::members();
    for pure in PURE.iter().filter(|pure| members.iter().any(|package| package["name"] == ***pure)) {
        let tree = tree(&["--package", pure, "--edges", "normal"]);
        assert!(tree.iter().any(|package| package.name == *pure), "{tree:?}");
        let foreign: Vec<&str> = tree
            .iter()
            .map(|package| package.name.as_str())
            .filter(|name| NAMES.contains(name) || FAMILIES.iter().any(|family| name.starts_with(family)))
            .collect();
        assert!(foreign.is_empty(), "{pure}: {foreign:?}");
    }
}
