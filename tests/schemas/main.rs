//! The published schemas, held against what the code writes and reads.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed, and the panic says where"
)]

mod notices;
mod policy;
mod samples;
#[path = "../template/yaml.rs"]
mod yaml;

use std::path::Path;

use jsonschema::Validator;
use serde_json::Value;

/// The text of a file, by its path from the root of the repository.
fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("`{}`: {error}", path.display()))
}

/// A schema that is one itself.
fn schema(path: &str) -> Validator {
    let schema: Value = serde_json::from_str(&read(path)).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{path}");
    jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{path}: {error}"));
    jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap()
}

/// Everything that a schema has against a document.
fn faults(schema: &Validator, document: &Value) -> Vec<String> {
    schema.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect()
}
