//! The files of the repository.

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The text of a file, by its path from the root.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("`{path}`: {error}"))
}

/// Each file of the repository that is not built and not git's, by its path from the root, sorted.
pub(crate) fn all() -> Vec<String> {
    let (mut found, root) = (Vec::new(), root());
    below(&root, &mut found);
    let mut paths: Vec<String> =
        found.iter().map(|path| path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned()).collect();
    paths.sort();
    assert!(paths.len() > 100, "{} files only: wrong root?", paths.len());
    paths
}

fn below(folder: &Path, found: &mut Vec<PathBuf>) {
    const SKIPPED: [&str; 6] = ["target", ".git", ".aws-sam", "__pycache__", "node_modules", ".idea"];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if SKIPPED.contains(&name.as_str()) {
            continue;
        } else if path.is_dir() {
            below(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The JSON files of a folder, by their names, sorted.
pub(crate) fn json_files(folder: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(root().join(folder))
        .unwrap_or_else(|error| panic!("`{folder}`: {error}"))
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".json"))
        .collect();
    names.sort();
    names
}
