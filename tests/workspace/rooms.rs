//! The order of modules in a crate: no circle of imports, and modules depend on earlier rooms only.

use std::path::Path;

use super::cargo;
use super::import_graph::{circles, of_crate};
use crate::files;

/// The rooms of a crate, from the inside out: a module uses modules to its left only.
const ROOMS: [(&str, &[&str]); 4] = [
    ("crates/syntax", &["text", "wildcard", "diagnostic", "yaml", "template"]),
    ("crates/framework", &["ids", "control", "backup", "rules", "definition", "lint"]),
    ("crates/evaluation", &["inventory", "evaluator", "comparison", "check"]),
    ("crates/domain", &["digest", "cost", "violation", "policy", "rollout", "notice", "preview"]),
];

/// Circles that are accepted: the crate, one of the modules, the reason.
const ACCEPTED: [(&str, &str, &str); 1] =
    [("crates/syntax", "yaml::json", "the JSON reader feeds the builder of the YAML reader: one parser in two files")];

/// The folders of the packages with sources, by their paths from the root of the repository.
fn member_folders() -> Vec<String> {
    let root = files::root().canonicalize().unwrap();
    let members = cargo::members();
    let manifests = members.iter().map(|package| Path::new(package["manifest_path"].as_str().unwrap()));
    let folders = manifests.map(|manifest| manifest.parent().unwrap()).filter(|folder| folder.join("src").is_dir());
    folders.map(|folder| folder.strip_prefix(&root).unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn crates_have_no_import_circle() {
    let mut found = Vec::new();
    for folder in member_folders() {
        for circle in circles(&of_crate(&folder)) {
            let accepted = ACCEPTED.iter().any(|(of, module, _)| *of == folder && circle.iter().any(|on| on == module));
            if !accepted {
                found.push(format!("{folder}: {}", circle.join(", ")));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn modules_use_earlier_rooms_only() {
    let mut found = Vec::new();
    for (folder, rooms) in ROOMS {
        let room = |module: &[String]| rooms.iter().position(|room| module.first().is_some_and(|name| name == room));
        for (module, targets) in of_crate(folder) {
            if !module.is_empty() && room(&module).is_none() {
                found.push(format!("{folder}: `{}` is in no room: add it to ROOMS", module.join("::")));
            }
            for target in targets.iter().filter(|target| room(target) > room(&module) && !module.is_empty()) {
                found.push(format!("{folder}: {} -> {}", module.join("::"), target.join("::")));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// The map has a row for each folder: `` | `crates/app` | … | ``. Folders that begin with a dot belong to tools.
#[test]
fn top_level_folders_are_in_the_map() {
    let map = files::read("ARCHITECTURE.md");
    let rows: Vec<&str> = map.lines().filter(|line| line.starts_with("| `")).collect();
    let mut folders: Vec<String> =
        files::all().iter().filter_map(|path| Some(path.split_once('/')?.0.to_owned())).collect();
    folders.dedup();
    folders.retain(|folder| !folder.starts_with('.'));
    assert!(folders.len() > 8, "{folders:?}");
    let named = |folder: &str| {
        let names = [format!("`{folder}`"), format!("`{folder}/")];
        rows.iter().any(|row| row.split('|').nth(1).is_some_and(|cell| names.iter().any(|name| cell.contains(name))))
    };
    let missing: Vec<&String> = folders.iter().filter(|folder| !named(folder)).collect();
    assert!(missing.is_empty(), "no row in the map of ARCHITECTURE.md: {missing:?}");
}
