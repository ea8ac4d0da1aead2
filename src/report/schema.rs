//! The JSON Schemas of what goes out and of what a caller may bring, made from their types, so that the
//! two cannot drift apart.

use schemars::JsonSchema;

use crate::diagnosis::Diagnosis;
use crate::network::Network;

/// The diagnosis: what `docs/diagnosis.v1.schema.json` holds.
#[must_use]
pub fn schema() -> String {
    of::<Diagnosis>()
}

/// What AWS look-ups would have said, as `--context` takes it: what `docs/context.schema.json` holds.
#[must_use]
pub fn context() -> String {
    of::<Network>()
}

/// Indented, with a line end.
fn of<T: JsonSchema>() -> String {
    let schema = schemars::schema_for!(T);
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    text.push('\n');
    text
}
