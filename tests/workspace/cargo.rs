//! Cargo's data about packages.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::files;

/// A package of a dependency tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The license that the package declares, or an empty string.
    pub(crate) license: String,
}

impl Package {
    /// The major version of semantic versioning: `1` of 1.2.3, `0.14` of 0.14.5.
    pub(crate) fn major(&self) -> String {
        let mut parts = self.version.split('.');
        match (parts.next(), parts.next()) {
            (Some("0"), Some(minor)) => format!("0.{minor}"),
            (Some(major), _) => major.to_owned(),
            (None, _) => String::new(),
        }
    }
}

/// The packages that `cargo tree` finds with these arguments, each once, sorted.
pub(crate) fn tree(arguments: &[&str]) -> Vec<Package> {
    let output = cargo(&[&["tree", "--prefix", "none", "--format", "{p}|{l}"], arguments].concat());
    let mut packages: Vec<Package> = output
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| {
            let (package, license) = line.split_once('|').unwrap_or_else(|| panic!("`{line}`"));
            let mut words = package.split(' ');
            let name = words.next().unwrap().to_owned();
            let version = words.next().and_then(|word| word.strip_prefix('v')).unwrap_or_else(|| panic!("`{line}`"));
            Package { name, version: version.to_owned(), license: license.trim_end_matches(" (*)").to_owned() }
        })
        .collect();
    packages.sort();
    packages.dedup();
    packages
}

/// The packages of the workspace over these kinds of dependencies, each with its features.
pub(crate) fn features(edges: &str) -> BTreeSet<String> {
    let output = cargo(&["tree", "--workspace", "--edges", edges, "--prefix", "none", "--format", "{p} [{f}]"]);
    output.lines().filter(|line| !line.is_empty()).map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
}

/// `cargo metadata` of the packages of the workspace.
pub(crate) fn members() -> Vec<Value> {
    let text = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&text).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(arguments).current_dir(files::root()).output().unwrap();
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
