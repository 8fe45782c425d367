//! What the functions read from their environment is what the README says. (That `template.yaml` sets it, and nothing else, is
//! tested with the template.)

use std::collections::BTreeSet;

use aws::settings::{DeploySettings, LifecycleSettings, ReportSettings, SweepSettings};

use crate::files;

const FUNCTIONS: [(&str, &[&str]); 4] = [
    ("deploy", DeploySettings::VARIABLES),
    ("lifecycle", LifecycleSettings::VARIABLES),
    ("report", ReportSettings::VARIABLES),
    ("sweep", SweepSettings::VARIABLES),
];

/// The variable and the functions of each row `| `VARIABLE` | deploy, report | ...` of the README.
fn rows(readme: &str) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for line in readme.lines() {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let (Some(variable), Some(functions)) = (cells.next(), cells.next()) else { continue };
        let Some(variable) = variable.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) else { continue };
        if variable.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') {
            found.extend(functions.split(", ").map(|function| (function.to_owned(), variable.to_owned())));
        }
    }
    found
}

#[test]
fn the_readme_lists_every_variable_with_its_functions() {
    let read: BTreeSet<(String, String)> = FUNCTIONS
        .iter()
        .flat_map(|(function, variables)| {
            variables.iter().map(|variable| ((*function).to_owned(), (*variable).to_owned()))
        })
        .collect();
    let told = rows(&files::read("README.md"));
    assert_eq!(told, read, "left: the README's table, right: aws::settings");
}

/// Nothing else in a function reads the environment: `aws::settings::environment` is the only place that may.
#[test]
fn the_environment_is_read_in_one_place() {
    let lints = files::read("clippy.toml");
    assert!(lints.contains("{ path = \"std::env::var\""), "clippy no longer forbids it");
}
