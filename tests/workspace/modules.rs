//! One form of modules (`foo.rs` beside `foo/`) and one order of imports: the standard library, external crates, crates of the
//! workspace, then `crate`, `super` and modules of the file; a blank line between these groups and none within.

use std::collections::BTreeSet;

use super::cargo;
use super::source::{indentation, rust_files};

/// The group of an import, by the first segment of its path.
fn group(segment: &str, modules: &BTreeSet<&str>, workspace: &BTreeSet<String>) -> u8 {
    match segment {
        "crate" | "super" | "self" => 3,
        _ if modules.contains(segment) || segment.starts_with(char::is_uppercase) => 3,
        "std" | "core" | "alloc" => 0,
        _ if workspace.contains(segment) => 2,
        _ => 1,
    }
}

/// The first segment of the path that a line imports.
fn imported(line: &str) -> Option<&str> {
    let path = line.trim_start().strip_prefix("use ")?.trim_start_matches("::");
    path.split(|c: char| !c.is_alphanumeric() && c != '_').next().filter(|segment| !segment.is_empty())
}

/// Lines at which the order of imports is broken.
fn broken(text: &str, workspace: &BTreeSet<String>) -> Vec<usize> {
    let lines: Vec<&str> = text.lines().collect();
    let modules: BTreeSet<&str> =
        lines.iter().filter_map(|line| line.split_once("mod ")?.1.split([';', ' ']).next()).collect();
    let mut found = Vec::new();
    // The group and the indentation of the import before, and whether blank lines follow it.
    let mut before: Option<(u8, usize, bool)> = None;
    let mut within: Option<(u8, usize)> = None;
    for (index, line) in lines.iter().enumerate() {
        if let Some(import) = within {
            if line.ends_with(';') {
                before = Some((import.0, import.1, false));
                within = None;
            }
            continue;
        }
        if line.is_empty() {
            before = before.map(|(group, depth, _)| (group, depth, true));
            continue;
        }
        let Some(segment) = imported(line) else {
            before = None;
            continue;
        };
        let (group, depth) = (group(segment, &modules, workspace), indentation(line));
        if let Some((previous, _, blank)) = before.filter(|(_, at, _)| *at == depth)
            && (group < previous || blank != (group > previous))
        {
            found.push(index + 1);
        }
        if line.ends_with(';') {
            before = Some((group, depth, false));
        } else {
            within = Some((group, depth));
        }
    }
    found
}

fn workspace() -> BTreeSet<String> {
    cargo::members().iter().map(|package| package["name"].as_str().unwrap().replace('-', "_")).collect()
}

#[test]
fn modules_are_files_beside_their_folder() {
    let found: Vec<String> =
        rust_files().into_iter().map(|file| file.path).filter(|path| path.ends_with("/mod.rs")).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn imports_are_in_four_groups() {
    let workspace = workspace();
    let mut found = Vec::new();
    for file in rust_files() {
        found.extend(broken(&file.text, &workspace).iter().map(|line| format!("{}:{line}", file.path)));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn misplaced_imports_are_found() {
    let workspace = BTreeSet::from(["domain".to_owned()]);
    let right =
        "mod child;\n\nuse std::fs;\n\nuse serde::{\n    A,\n};\n\nuse domain::ids;\n\nuse crate::a;\nuse child::B;\n";
    assert_eq!(broken(right, &workspace), Vec::<usize>::new());
    assert_eq!(broken("use serde::A;\n\nuse std::fs;\n", &workspace), [3]);
    assert_eq!(broken("use std::fs;\nuse serde::A;\n", &workspace), [2]);
    assert_eq!(broken("use std::fs;\n\nuse std::io;\n", &workspace), [3]);
}
