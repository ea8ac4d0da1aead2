//! The JSON that machines rely on, as its schema describes it.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let schema = serde_json::from_str(&nat_triage::report::schema::schema()).expect("JSON");
    jsonschema::validator_for(&schema).expect("a schema")
});

/// Checks a diagnosis against its schema.
pub(crate) fn assert_kept(diagnosis: &Value, case: &str) {
    let errors: Vec<String> = SCHEMA.iter_errors(diagnosis).map(|error| error.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new(), "{case}");
}
