//! A file over 600 lines and a function over 60 lines give a reason in the comment at their head: "Long because …".

use super::source::{function_name, indentation, rust_files};

const LONGEST_FILE: usize = 600;
const LONGEST_FUNCTION: usize = 60;
const REASON: &str = "Long because";

/// The lines of a function, from the line of its `fn` to its closing brace, as rustfmt indents it.
fn length(lines: &[&str]) -> usize {
    let first = lines[0];
    // A declaration in a trait, or a body in one line.
    if first.ends_with(';') || first.ends_with('}') {
        return 1;
    }
    let depth = indentation(first);
    let is_end = |line: &&str| indentation(line) == depth && (line.trim() == "}" || line.ends_with(';'));
    1 + lines[1..].iter().position(is_end).map_or(0, |end| end + 1)
}

/// The comments and attributes directly above a line.
fn head(lines: &[&str], index: usize) -> String {
    let above = lines[..index].iter().rev();
    let above = above.take_while(|line| {
        let line = line.trim_start();
        line.starts_with("//") || line.starts_with('#') || line.starts_with(")]") || line.ends_with(',')
    });
    above.copied().collect()
}

#[test]
fn long_files_and_functions_give_a_reason() {
    let mut found = Vec::new();
    for file in rust_files() {
        let lines: Vec<&str> = file.text.lines().collect();
        let given = lines.iter().any(|line| line.starts_with("//!") && line.contains(REASON));
        if lines.len() > LONGEST_FILE && !given {
            found.push(format!("{}: {} lines", file.path, lines.len()));
        }
        for (index, line) in lines.iter().enumerate() {
            let Some(name) = function_name(line) else { continue };
            let length = length(&lines[index..]);
            if length > LONGEST_FUNCTION && !head(&lines, index).contains(REASON) {
                found.push(format!("{}:{}: {name}: {length} lines", file.path, index + 1));
            }
        }
    }
    assert!(found.is_empty(), "say why at the head (\"{REASON} …\"), or split: {found:#?}");
}

#[test]
fn function_length_ends_at_its_brace() {
    let text = "    fn a(\n        x: u8,\n    ) -> u8 {\n        x\n    }\n    fn b();\n";
    assert_eq!(length(&text.lines().collect::<Vec<_>>()), 5);
    assert_eq!(length(&["fn b();", "}"]), 1);
}
