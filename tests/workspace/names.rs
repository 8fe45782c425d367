//! Names: tests have at most 50 characters (`subject_condition_result`), a type has a name of its own.

use std::collections::BTreeMap;

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

/// The name of the type that a line defines at the top level of a module.
fn type_name(line: &str) -> Option<&str> {
    let mut words = line.split(' ').skip_while(|word| word.starts_with("pub"));
    let is_type = matches!(words.next()?, "struct" | "enum" | "trait" | "type");
    let name = words.next().filter(|_| is_type)?;
    name.split(|c: char| !c.is_alphanumeric()).next().filter(|name| !name.is_empty())
}

#[test]
fn type_names_of_products_are_used_once() {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let outside = ["tests", "benches", "testkit", "sandbox", "xtask", "fuzz", "fuzzing"];
    let is_product = |path: &str| !path.split('/').any(|part| outside.contains(&part.trim_end_matches(".rs")));
    for file in rust_files().iter().filter(|file| is_product(&file.path)) {
        for name in file.text.lines().filter_map(type_name) {
            found.entry(name.to_owned()).or_default().push(file.path.clone());
        }
    }
    assert!(found.len() > 400, "only {} types found", found.len());
    found.retain(|_, files| files.len() > 1);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn types_are_found_in_lines() {
    assert_eq!(type_name("pub(crate) struct Located<'a> {"), Some("Located"));
    assert_eq!(type_name("pub enum Level {"), Some("Level"));
    assert_eq!(type_name("type Tag = (String, String);"), Some("Tag"));
    assert_eq!(type_name("    type Output = u32;"), None);
    assert_eq!(type_name("impl Level {"), None);
}
