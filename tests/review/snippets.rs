//! The snippets of `docs/ci.md`: they parse, name existing inputs, and their commands run.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::repository::{clean, program};
use super::{action, component};
use crate::files;
use crate::template::yaml;

/// The blocks of a language in a Markdown text, without the indentation of the first line.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    text.split(&fence)
        .skip(1)
        .map(|rest| {
            let block = rest.split("\n```").next().unwrap();
            let indent = block.len() - block.trim_start_matches(' ').len();
            block.lines().map(|line| format!("{}\n", line.get(indent..).unwrap_or_default())).collect()
        })
        .collect()
}

/// All values in a document, from the outside in.
fn values(value: &Value) -> Vec<&Value> {
    let inner: Vec<&Value> = match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(members) => members.values().collect(),
        _ => Vec::new(),
    };
    std::iter::once(value).chain(inner.into_iter().flat_map(values)).collect()
}

fn documents() -> Vec<Value> {
    let parsed: Vec<Value> =
        blocks(&files::read("docs/ci.md"), "yaml").iter().map(|block| yaml::parse(block)).collect();
    assert!(parsed.len() >= 5, "{}", parsed.len());
    parsed
}

#[track_caller]
fn inputs_exist(given: &Value, defined: &Value, required: &[&str]) {
    let given = given.as_object().unwrap();
    for name in given.keys() {
        assert!(defined.get(name).is_some(), "`{name}` is not an input");
    }
    for name in required {
        assert!(given.contains_key(*name), "`{name}` is not given");
    }
}

#[test]
fn reviewers_get_existing_inputs() {
    let documents = documents();
    let all: Vec<&Value> = documents.iter().flat_map(values).collect();
    let steps: Vec<&&Value> =
        all.iter().filter(|value| value["uses"].as_str().is_some_and(|uses| uses.starts_with("OWNER/"))).collect();
    assert_eq!(steps.len(), 1, "{steps:?}");
    inputs_exist(&steps[0]["with"], &action::definition()["inputs"], &["version", "sha256"]);
    let includes: Vec<&&Value> = all.iter().filter(|value| value["component"].is_string()).collect();
    assert_eq!(includes.len(), 1, "{includes:?}");
    let (defined, _) = component::definition();
    let inputs = defined.as_object().unwrap();
    let required: Vec<&str> =
        inputs.iter().filter(|(_, input)| input.get("default").is_none()).map(|(name, _)| name.as_str()).collect();
    inputs_exist(&includes[0]["inputs"], &defined, &required);
}

#[test]
fn scripts_have_no_expressions() {
    let workflows = [".github/workflows/ci.yml", ".github/workflows/release.yml"];
    let parsed = workflows.map(|path| yaml::parse(&files::read(path)));
    for document in documents().iter().chain(&parsed) {
        for value in values(document) {
            let script = value.get("run").and_then(Value::as_str).unwrap_or_default();
            assert!(!script.contains("${{"), "a shell would interpret the value: {script}");
        }
    }
}

/// The commands of the program in a script.
fn commands(document: &Value) -> Vec<String> {
    let is_script = |key: &str| ["run", "script", "commands"].contains(&key);
    let scripts = values(document).into_iter().filter_map(Value::as_object).flatten().filter(|(key, _)| is_script(key));
    let lines = scripts.flat_map(|(_, script)| values(script)).filter_map(Value::as_str).flat_map(str::lines);
    lines.map(str::trim).filter(|line| line.starts_with("backup-compliance ")).map(str::to_owned).collect()
}

/// Runs a command of a page in a folder with the files that the page names.
fn run(folder: &Path, command: &str) -> Option<i32> {
    let bin = folder.join("bin");
    fs::create_dir_all(&bin).unwrap();
    if !bin.join("backup-compliance").exists() {
        std::os::unix::fs::symlink(program(), bin.join("backup-compliance")).unwrap();
    }
    let path = format!("{}:{}", bin.display(), aws::settings::environment("PATH").unwrap());
    let mut shell = Command::new("sh");
    clean(shell.arg("-c").arg(command)).current_dir(folder).env("PATH", path);
    let ran = shell.output().unwrap();
    assert!(
        !ran.stdout.is_empty() || ran.status.code() == Some(0),
        "{command}: {}",
        String::from_utf8_lossy(&ran.stderr)
    );
    ran.status.code()
}

#[test]
fn commands_of_the_page_run() {
    let folder = tempfile::tempdir().unwrap();
    let root = files::root();
    for name in ["app.yaml", "backup.yaml"] {
        fs::copy(root.join("examples/orders").join(name), folder.path().join(name)).unwrap();
    }
    fs::create_dir(folder.path().join("policy")).unwrap();
    for file in fs::read_dir(root.join("framework")).unwrap().map(|file| file.unwrap().path()) {
        if file.is_file() {
            fs::copy(&file, folder.path().join("policy").join(file.file_name().unwrap())).unwrap();
        }
    }
    let found: Vec<String> = documents().iter().flat_map(commands).collect();
    assert!(found.len() >= 6, "{found:?}");
    for command in found {
        // The example has findings; status 2 is an error in the command.
        let status = run(folder.path(), &command);
        assert!(matches!(status, Some(0 | 1)), "{command}: {status:?}");
    }
    let hook = documents().into_iter().find(|document| document["repos"][0]["repo"] == "local").unwrap();
    for hook in hook["repos"][0]["hooks"].as_array().unwrap() {
        let args: Vec<&str> =
            hook["args"].as_array().map(Vec::as_slice).unwrap_or_default().iter().filter_map(Value::as_str).collect();
        let files = if hook["pass_filenames"] == false { "" } else { "app.yaml" };
        let command = format!("{} {} {files}", hook["entry"].as_str().unwrap(), args.join(" "));
        assert!(matches!(run(folder.path(), &command), Some(0 | 1)), "{command}");
    }
}

#[test]
fn blocks_lose_their_indentation() {
    let text = "a\n\n```yaml\n    - b:\n        c\n```\n\n```sh\nd\n```\n";
    assert_eq!(blocks(text, "yaml"), ["- b:\n    c\n"]);
}
