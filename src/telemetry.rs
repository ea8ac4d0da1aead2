//! How the function itself does, as CloudWatch metrics: one line in the embedded metric format for each diagnosis.
//! Pure: the function's program writes the line.
//!
//! CloudWatch makes metrics of such a line by itself, where it stands in the function's log. Their number is bounded:
//! the function's name and the verdict are all their dimensions.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::diagnosis::Diagnosis;

/// Where the metrics are.
pub const NAMESPACE: &str = "nat-triage";

/// Each metric, with its unit.
///
/// Source: "Specification: Embedded metric format" and `MetricDatum` in the Amazon CloudWatch documentation.
pub const METRICS: [(&str, &str); 5] = [
    ("Diagnoses", "Count"),
    ("SecondsToReport", "Seconds"),
    ("BytesScanned", "Bytes"),
    ("Gaps", "Count"),
    ("Rung", "None"),
];

/// The line of one diagnosis that was made at `now`.
#[must_use]
pub fn embedded_metrics(diagnosis: &Diagnosis, function: &str, now: Timestamp) -> String {
    // What somebody asks by hand, and what a file holds, has no alarm to be late for, or no question of the ladder.
    let seconds = diagnosis.alarm.as_ref().map(|alarm| now.duration_since(alarm.at).as_secs().max(0));
    let rung = diagnosis.coverage.question.as_ref().map(|question| question.rung);
    let scanned = diagnosis.queries.iter().filter_map(|query| query.bytes_scanned);
    let bytes = scanned.fold(0, u64::saturating_add);
    let values = [
        Some(json!(1)),
        seconds.map(Value::from),
        Some(json!(bytes)),
        Some(json!(diagnosis.gaps.len())),
        rung.map(Value::from),
    ];
    let known = || METRICS.iter().zip(&values).filter(|(_, value)| value.is_some());
    let described: Vec<Value> =
        known().map(|((name, unit), _)| json!({ "Name": name, "Unit": unit })).collect();
    let mut line = json!({
        "_aws": {
            "Timestamp": now.as_millisecond(),
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [["FunctionName"], ["FunctionName", "Verdict"]],
                "Metrics": described,
            }],
        },
        "FunctionName": function,
        "Verdict": diagnosis.verdict.name(),
        "Stage": diagnosis.stage.name(),
        "Drill": diagnosis.drill,
        "Id": diagnosis.id,
    });
    for ((name, _), value) in known() {
        line[*name] = value.clone().unwrap_or_default();
    }
    line.to_string()
}
