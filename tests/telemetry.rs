//! How the function itself does, as CloudWatch reads it.

use nat_triage::diagnosis::Diagnosis;
use nat_triage::telemetry::{METRICS, NAMESPACE, embedded_metrics};
use serde_json::Value;

use crate::support::cli::Cli;

fn line_of_sample() -> Value {
    let json = Cli::on_sample(["--format", "json"]).run().stdout;
    let diagnosis: Diagnosis = serde_json::from_str(&json).expect("a diagnosis");
    let at = diagnosis.alarm.as_ref().expect("the sample's").at;
    let now = at.checked_add(jiff::SignedDuration::from_secs(21)).expect("this century");
    let line = embedded_metrics(&diagnosis, "nat-triage", now);
    assert!(!line.contains('\n'), "a log event is one line");
    serde_json::from_str(&line).expect("JSON")
}

/// As the specification of the embedded metric format has it.
#[test]
fn every_metric_and_dimension_of_a_line_is_in_it() {
    let line = line_of_sample();
    assert!(line["_aws"]["Timestamp"].is_u64(), "milliseconds since 1970");
    let [directive] = &line["_aws"]["CloudWatchMetrics"].as_array().expect("a list")[..] else {
        panic!("{line}")
    };
    assert_eq!(directive["Namespace"], NAMESPACE);
    for name in directive["Dimensions"]
        .as_array()
        .expect("a list")
        .iter()
        .flat_map(|set| set.as_array().expect("a set"))
    {
        assert!(line[name.as_str().expect("a name")].is_string(), "{name}");
    }
    let metrics = directive["Metrics"].as_array().expect("a list");
    for metric in metrics {
        let name = metric["Name"].as_str().expect("a name");
        assert!(line[name].is_number(), "{name}");
        assert!(METRICS.contains(&(name, metric["Unit"].as_str().expect("a unit"))), "{metric}");
    }
    // A diagnosis of files has no rung of the ladder.
    assert_eq!(metrics.len(), METRICS.len() - 1, "{line}");
}

#[test]
fn seconds_count_from_the_alarm_to_the_report() {
    let line = line_of_sample();
    assert_eq!((&line["SecondsToReport"], &line["Diagnoses"]), (&21.into(), &1.into()));
    assert_eq!(line["Verdict"], "confirmed");
}
