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

/// Checks a diagnosis against its schema, and that it tells what to fill in of each command.
pub(crate) fn assert_kept(diagnosis: &Value, case: &str) {
    assert_valid(&DIAGNOSIS, diagnosis, case);
    assert_blanks_are_declared(diagnosis, case);
}

/// Checks that no command of a diagnosis has a word which looks like a blank and is not declared to be one.
pub(crate) fn assert_blanks_are_declared(diagnosis: &Value, case: &str) {
    const COMMANDS: [(&str, &str); 5] = [
        ("run", "fill_in"),
        ("verify", "fill_in_to_verify"),
        ("undo", "fill_in_to_undo"),
        ("command", "fill_in"),
        ("fix", "fill_in"),
    ];

    match diagnosis {
        Value::Object(fields) => {
            for (name, declared) in COMMANDS {
                if let (Some(Value::String(command)), Some(declared)) =
                    (fields.get(name), fields.get(declared))
                {
                    let command = if name == "fix" { command_of_fix(command) } else { command };
                    assert_eq!(&Value::from(blanks_by_looks(command)), declared, "{case}: {command}");
                }
            }
            fields.values().for_each(|value| assert_blanks_are_declared(value, case));
        }
        Value::Array(values) => values.iter().for_each(|value| assert_blanks_are_declared(value, case)),
        _ => {}
    }
}

/// The command of a fix, which may stand behind words.
fn command_of_fix(fix: &str) -> &str {
    if fix.starts_with("aws ") { fix } else { fix.split_once(": aws ").map_or("", |(_, command)| command) }
}

/// The words of a command that are written as blanks are: `ROLE_ARN`, or the value in `Values=VPC_ID`.
fn blanks_by_looks(command: &str) -> Vec<&str> {
    let is_blank = |word: &&str| {
        word.contains('_')
            && word.starts_with(|c: char| c.is_ascii_uppercase())
            && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    };
    let mut blanks: Vec<&str> = Vec::new();
    for blank in command.split(' ').flat_map(|word| value(word).split('.')).filter(is_blank) {
        if !blanks.contains(&blank) {
            blanks.push(blank);
        }
    }
    blanks
}

/// The value of a word such as `Name=vpc-id,Values=VPC_ID`, `--replicas=LOWER_COUNT` or `deployment/NAME`; any
/// other word itself.
fn value(word: &str) -> &str {
    let split = word.split_once(",Value=").or_else(|| word.split_once(",Values="));
    let split = split.or_else(|| word.split_once('=').filter(|(option, _)| option.starts_with("--")));
    let split = split.or_else(|| word.split_once('/').filter(|(kind, _)| *kind == "deployment"));
    split.map_or(word, |(_, value)| value)
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
