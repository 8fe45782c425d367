//! `docs/deploy.md` lists the environment variables of the functions. (The tests of the template check that it sets exactly
//! these.)

use std::collections::BTreeSet;

use aws::settings::{
    DeploySettings, InventorySettings, LifecycleSettings, PreviewSettings, ReportSettings, SweepSettings,
};

use crate::files;

const FUNCTIONS: [(&str, &[&str]); 6] = [
    ("deploy", DeploySettings::VARIABLES),
    ("inventory", InventorySettings::VARIABLES),
    ("lifecycle", LifecycleSettings::VARIABLES),
    ("report", ReportSettings::VARIABLES),
    ("sweep", SweepSettings::VARIABLES),
    ("preview", PreviewSettings::VARIABLES),
];

/// The variable and the functions of each row `| `VARIABLE` | deploy, report | ...` of the page.
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
fn readme_lists_variables_of_functions() {
    let read: BTreeSet<(String, String)> = FUNCTIONS
        .iter()
        .flat_map(|(function, variables)| {
            variables.iter().map(|variable| ((*function).to_owned(), (*variable).to_owned()))
        })
        .collect();
    let documented = rows(&files::read("docs/deploy.md"));
    assert_eq!(documented, read, "left: the table of docs/deploy.md, right: aws::settings");
}

/// `aws::settings::environment` is the only function that reads the environment.
#[test]
fn clippy_forbids_reading_the_environment() {
    let lints = files::read("clippy.toml");
    assert!(lints.contains("{ path = \"std::env::var\""), "clippy no longer forbids it");
}
