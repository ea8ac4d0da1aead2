//! How the function itself does, and how full gateways are, as CloudWatch metrics: lines in the embedded metric format.
//! Pure: the function's program writes the lines.
//!
//! CloudWatch makes metrics of such a line by itself, where it stands in the function's log. Their number is bounded: the
//! function's name and the verdict are all dimensions of a diagnosis. A gateway has six metrics at most: a destination
//! is no dimension, for there is no end to destinations, but its rank is.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::contract::Diagnosis;
use crate::watch::{State, Watch};

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

/// The metrics of a gateway whose flow logs were read, with their units.
pub const GATEWAY_METRICS: [(&str, &str); 3] =
    [("FullestDestination", "Percent"), ("LargestClient", "Percent"), ("RefusedConnections", "Count")];

/// The metric of each of its fullest destinations, by rank, with its unit.
pub const RANK_METRIC: (&str, &str) = ("DestinationUtilization", "Percent");

/// The lines of the gateways whose flow logs were read: of the others nothing is known but what their own metrics say.
#[must_use]
pub fn metrics_of_gateways(watch: &Watch) -> Vec<String> {
    let mut lines = Vec::new();
    let line = |dimensions: &[(&str, &str)], metrics: &[(&str, &str, f64)], more: Value| {
        let names: Vec<&str> = dimensions.iter().map(|(name, _)| *name).collect();
        let described: Vec<Value> =
            metrics.iter().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit })).collect();
        let mut line = json!({
            "_aws": {
                "Timestamp": watch.at.as_millisecond(),
                "CloudWatchMetrics": [{ "Namespace": NAMESPACE, "Dimensions": [names], "Metrics": described }],
            },
        });
        for (name, value) in dimensions {
            line[*name] = json!(value);
        }
        for (name, _, value) in metrics {
            line[*name] = json!(value);
        }
        for (name, value) in more.as_object().into_iter().flatten() {
            line[name.as_str()] = value.clone();
        }
        line.to_string()
    };
    for seen in &watch.gateways {
        let State::Read { destinations, refused, .. } = &seen.state else { continue };
        let Some(fullest) = destinations.first() else { continue };
        let gateway = seen.watched.gateway.as_str();
        let values = [
            Some(fullest.utilization * 100.0),
            fullest.holder.as_ref().map(|holder| holder.share * 100.0),
            *refused,
        ];
        let metrics: Vec<(&str, &str, f64)> = GATEWAY_METRICS
            .iter()
            .zip(values)
            .filter_map(|((name, unit), value)| Some((*name, *unit, value?)))
            .collect();
        // Of a regional gateway each zone has its lines: the greatest of them is the gateway's.
        let zone = json!({ "Zone": seen.watched.zone });
        lines.push(line(&[("NatGatewayId", gateway)], &metrics, zone));
        for (index, level) in destinations.iter().enumerate() {
            let rank = (index + 1).to_string();
            let (name, unit) = RANK_METRIC;
            let more = json!({ "Destination": level.destination, "Zone": seen.watched.zone });
            let dimensions = [("NatGatewayId", gateway), ("Rank", rank.as_str())];
            lines.push(line(&dimensions, &[(name, unit, level.utilization * 100.0)], more));
        }
    }
    lines
}
