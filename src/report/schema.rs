//! The JSON Schemas of what goes out and of what a caller may bring, made from their types, so that the
//! two cannot drift apart.

use schemars::JsonSchema;
use serde_json::Value;

use super::trouble;
use crate::contract::{Diagnosis, SCHEMA};
use crate::network::Network;
use crate::watch::{WARNING_SCHEMA, Warning};

/// The diagnosis: what `docs/diagnosis.v1.schema.json` holds.
#[must_use]
pub fn schema() -> String {
    written(sent::<Diagnosis>(SCHEMA))
}

/// What machines get where there is no diagnosis: what `docs/trouble.v1.schema.json` holds.
#[must_use]
pub fn trouble() -> String {
    written(sent::<trouble::Json<'static>>(trouble::SCHEMA))
}

/// That a destination fills up, or has room again: what `docs/warning.v1.schema.json` holds.
#[must_use]
pub fn warning() -> String {
    written(sent::<Warning>(WARNING_SCHEMA))
}

/// What AWS look-ups would have said, as `--context` takes it: what `docs/context.schema.json` holds.
#[must_use]
pub fn context() -> String {
    written(of::<Network>())
}

fn of<T: JsonSchema>() -> Value {
    schemars::schema_for!(T).into()
}

/// Of what we send: nothing is ever left out of it, and it says its version.
fn sent<T: JsonSchema>(version: &str) -> Value {
    let mut schema = of::<T>();
    all_required(&mut schema);
    schema["properties"]["schema"]["const"] = version.into();
    schema
}

/// Says of every object that it has all of its properties, those that are `null` too.
fn all_required(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get("properties") {
                let names: Vec<Value> = properties.keys().map(|name| name.as_str().into()).collect();
                object.insert("required".into(), names.into());
            }
            object.values_mut().for_each(all_required);
        }
        Value::Array(list) => list.iter_mut().for_each(all_required),
        _ => {}
    }
}

/// Indented, with a line end.
fn written(schema: Value) -> String {
    format!("{schema:#}\n")
}
