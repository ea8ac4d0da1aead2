//! The JSON that machines rely on, as its schema describes it.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

static DIAGNOSIS: LazyLock<Validator> = LazyLock::new(|| validator(&nat_triage::report::schema::schema()));
static TROUBLE: LazyLock<Validator> = LazyLock::new(|| validator(&nat_triage::report::schema::trouble()));

static WARNING: LazyLock<Validator> = LazyLock::new(|| validator(&nat_triage::report::schema::warning()));

/// Formats of texts count too: times are times.
fn validator(schema: &str) -> Validator {
    let schema = serde_json::from_str(schema).expect("JSON");
    jsonschema::options().should_validate_formats(true).build(&schema).expect("a schema")
}

/// Checks a diagnosis against its schema.
pub(crate) fn assert_kept(diagnosis: &Value, case: &str) {
    assert_valid(&DIAGNOSIS, diagnosis, case);
}

/// Checks what machines get instead of one.
pub(crate) fn assert_trouble(trouble: &Value, case: &str) {
    assert_valid(&TROUBLE, trouble, case);
}

/// Checks what machines get of a destination that fills up, or has room again.
pub(crate) fn assert_warning(warning: &Value, case: &str) {
    assert_valid(&WARNING, warning, case);
}

fn assert_valid(schema: &Validator, value: &Value, case: &str) {
    let errors: Vec<String> = schema.iter_errors(value).map(|error| error.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new(), "{case}");
}

#[test]
fn a_missing_field_or_a_time_that_is_none_breaks_the_contract() {
    let text = std::fs::read_to_string(super::checkout().join("tests/snapshots/reports/leak.json.snap"));
    let text = text.expect("there");
    let good: Value = serde_json::from_str(text.splitn(3, "---\n").nth(2).expect("a body")).expect("JSON");
    assert_kept(&good, "as it was read");
    let broken = |change: &dyn Fn(&mut Value)| {
        let mut bad = good.clone();
        change(&mut bad);
        assert!(!DIAGNOSIS.is_valid(&bad));
    };
    broken(&|bad| bad["window"]["start"] = "yesterday".into());
    broken(&|bad| bad["schema"] = "nat-triage.diagnosis.v2".into());
    broken(&|bad| drop(bad["destinations"][0].as_object_mut().expect("an object").remove("utilization")));
}
