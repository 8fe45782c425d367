//! No file of the repository contains a path of the machine on which it was written.

use crate::files;

#[test]
fn files_name_no_folder_of_a_developer_machine() {
    // Concatenated, so that this file has no match.
    let foreign = [["/wo", "rk/"].concat(), ["/ro", "ot/"].concat(), ["../sha", "red/"].concat()];
    let mut found = Vec::new();
    for file in files::all() {
        let Ok(text) = std::fs::read_to_string(files::root().join(&file)) else { continue };
        for (number, line) in text.lines().enumerate() {
            if let Some(path) = foreign.iter().find(|path| line.contains(path.as_str())) {
                found.push(format!("{file}:{}: `{path}`", number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
