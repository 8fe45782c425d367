//! The functions link one TLS provider and one HTTP stack.

use std::collections::BTreeSet;

use super::cargo::{self, Package, tree};

/// The packages that are linked into a function on Lambda.
fn functions() -> Vec<Package> {
    linked(&["deploy", "inventory", "lifecycle", "report", "sweep", "preview"])
}

fn linked(functions: &[&str]) -> Vec<Package> {
    let packages: Vec<&str> = functions.iter().flat_map(|name| ["--package", name]).collect();
    tree(&[packages.as_slice(), &["--edges", "normal", "--target", "x86_64-unknown-linux-gnu"]].concat())
}

fn majors(packages: &[Package], name: &str) -> BTreeSet<String> {
    packages.iter().filter(|package| package.name == name).map(Package::major).collect()
}

#[test]
fn functions_link_one_tls_provider() {
    let packages = functions();
    assert_eq!(majors(&packages, "aws-lc-rs").len(), 1, "AWS-LC");
    let others: Vec<&Package> = packages
        .iter()
        .filter(|package| {
            ["boring", "native-tls", "openssl", "openssl-sys", "ring", "rustls-rustcrypto", "schannel"]
                .contains(&package.name.as_str())
        })
        .collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn functions_link_one_http_stack() {
    let packages = functions();
    for (name, major) in [("http", "1"), ("hyper", "1"), ("rustls", "0.23")] {
        assert_eq!(majors(&packages, name), BTreeSet::from([major.to_owned()]), "{name}");
    }
}

/// Users of the command line sign in with IAM Identity Center; functions do not.
#[test]
fn functions_do_not_link_crates_of_command_line() {
    let own = tree(&["--package", "backup-compliance", "--edges", "normal"]);
    for name in ["aws-sdk-backup", "aws-sdk-sso", "aws-sdk-ssooidc"] {
        assert!(!majors(&own, name).is_empty(), "the command line has lost {name}");
        assert!(name == "aws-sdk-backup" || majors(&functions(), name).is_empty(), "{name}");
    }
}

/// The client of AWS Backup is large, and the other functions do not call it.
#[test]
fn only_inventory_links_client_of_aws_backup() {
    assert!(majors(&linked(&["deploy", "lifecycle", "report", "sweep", "preview"]), "aws-sdk-backup").is_empty());
    assert!(!majors(&linked(&["inventory"]), "aws-sdk-backup").is_empty());
}

/// Otherwise cargo compiles each AWS SDK crate twice: for the programs and for the tests. The package `tests` declares
/// the missing features as dependencies.
#[test]
fn tests_add_no_features_to_dependencies() {
    let (programs, tests) = (cargo::features("normal,build"), cargo::features("normal,build,dev"));
    let twice: Vec<&String> = programs.difference(&tests).collect();
    assert!(programs.len() > 200 && twice.is_empty(), "compiled again for tests: {twice:#?}");
}
