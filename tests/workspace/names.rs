//! Names of tests: `subject_condition_result`, at most 50 characters.

use super::source::{function_name, rust_files};

const LONGEST: usize = 50;

/// The names of the test functions in a text, with their line numbers.
fn tests(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut marked = false;
    for (index, line) in text.lines().enumerate() {
        let code = line.trim_start();
        if code.starts_with("#[test]") || code.starts_with("#[tokio::test") {
            marked = true;
        } else if let Some(name) = function_name(code).filter(|_| marked) {
            found.push((index + 1, name));
            marked = false;
        }
    }
    found
}

#[test]
fn test_names_have_at_most_50_characters() {
    let (mut count, mut long) = (0, Vec::new());
    for file in rust_files() {
        for (line, name) in tests(&file.text) {
            count += 1;
            if name.len() > LONGEST {
                long.push(format!("{}:{line}: {} {name}", file.path, name.len()));
            }
        }
    }
    assert!(count > 900, "only {count} tests found");
    assert!(long.is_empty(), "{long:#?}");
}
