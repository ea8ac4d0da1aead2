//! The JSON Schema of the diagnosis, made from its types, so that the two cannot drift apart.

use crate::diagnosis::Diagnosis;

/// The schema, indented, with a line end: what `docs/diagnosis.v1.schema.json` holds.
#[must_use]
pub fn schema() -> String {
    let schema = schemars::schema_for!(Diagnosis);
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    text.push('\n');
    text
}
