//! The published schemas match the documents that the code writes and reads.

mod notices;
mod policy;
mod samples;

use jsonschema::Validator;
use serde_json::Value;

use crate::files::read;

/// A schema that is valid itself.
fn schema(path: &str) -> Validator {
    let schema: Value = serde_json::from_str(&read(path)).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{path}");
    jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{path}: {error}"));
    jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap()
}

/// The validation errors of a document.
fn faults(schema: &Validator, document: &Value) -> Vec<String> {
    schema.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect()
}
