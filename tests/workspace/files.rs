//! The files of the repository, and that none of them speaks of the machine that it was written on.

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

/// Every file below a folder, but for what is built and what is git's.
fn below(folder: &Path, found: &mut Vec<PathBuf>) {
    const NOT_OURS: [&str; 6] = ["target", ".git", ".aws-sam", "__pycache__", "node_modules", ".idea"];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !NOT_OURS.contains(&name.as_str()) {
                below(&path, found);
            }
        } else {
            found.push(path);
        }
    }
}

#[test]
fn no_file_names_a_folder_of_the_machine_it_was_written_on() {
    // Put together here, or this file would find itself.
    let foreign = [["/wo", "rk/"].concat(), ["/ro", "ot/"].concat(), ["../sha", "red/"].concat()];
    let mut files = Vec::new();
    below(&root(), &mut files);
    assert!(files.len() > 100, "{} files only: looked in the wrong place", files.len());
    let mut faults = Vec::new();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for (number, line) in text.lines().enumerate() {
            if let Some(path) = foreign.iter().find(|path| line.contains(path.as_str())) {
                faults.push(format!("{}:{}: `{path}`", file.display(), number + 1));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
