//! The Rust files of the repository, read as lines: comments, functions, imports.

use crate::files;

/// A Rust file, by its path from the root of the repository.
pub(crate) struct RustFile {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Every Rust file of the repository.
pub(crate) fn rust_files() -> Vec<RustFile> {
    let paths = files::all().into_iter().filter(|path| path.ends_with(".rs"));
    paths.map(|path| RustFile { text: files::read(&path), path }).collect()
}

/// The text of the comment in a line, if it has one. A `//` after an open quote is part of a string.
pub(crate) fn comment(line: &str) -> Option<&str> {
    match line.trim_start().strip_prefix("//") {
        Some(text) => Some(text.trim_start_matches(['/', '!'])),
        None => line.split_once(" // ").filter(|(code, _)| code.matches('"').count() % 2 == 0).map(|(_, text)| text),
    }
}

/// The indentation of a line, in bytes.
pub(crate) fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The name of the function that a line begins to define.
pub(crate) fn function_name(line: &str) -> Option<&str> {
    const QUALIFIERS: [&str; 5] = ["pub", "const", "async", "unsafe", "default"];
    let mut rest = line.trim_start();
    loop {
        let (word, tail) = rest.split_once(' ')?;
        if word == "fn" {
            let end = tail.find(|c: char| !c.is_alphanumeric() && c != '_')?;
            return Some(&tail[..end]);
        }
        if !QUALIFIERS.contains(&word) && !word.starts_with("pub(") {
            return None;
        }
        rest = tail;
    }
}

#[test]
fn functions_and_comments_are_found_in_lines() {
    assert_eq!(function_name("    pub(crate) async fn read<T>(path: &str) -> T {"), Some("read"));
    assert_eq!(function_name("let x = call(fn_pointer);"), None);
    assert_eq!(comment("    /// Reads."), Some(" Reads."));
    assert_eq!(comment("let x = 1; // one"), Some("one"));
    assert_eq!(comment("let x = \"a // b\";"), None);
}
