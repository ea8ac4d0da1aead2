//! How the function itself does, as CloudWatch reads it.

use nat_triage::contract::Diagnosis;
use nat_triage::telemetry::{GATEWAY_METRICS, METRICS, NAMESPACE, RANK_METRIC, embedded_metrics};
use serde_json::Value;

use crate::support::checkout;
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

/// The metrics that a query of Metrics Insights names: `SELECT MAX(Name) FROM SCHEMA("nat-triage", Dimension, …)`.
fn selected(sql: &str) -> Option<(String, Vec<String>)> {
    let (name, rest) = sql.split_once('(')?.1.split_once(')')?;
    let schema = rest.split_once("SCHEMA(")?.1.split_once(')')?.0;
    let mut parts = schema.split(',').map(|part| part.trim().to_owned());
    (parts.next()? == "\"nat-triage\"").then(|| (name.to_owned(), parts.collect()))
}

#[test]
fn dashboards_show_only_metrics_that_are_written() {
    let read = |name: &str| std::fs::read_to_string(checkout().join(name)).expect("there");
    let grafana: Value = serde_json::from_str(&read("deploy/grafana.json")).expect("JSON");
    let overview: Value = serde_json::from_str(&read("deploy/terraform/dashboard.json")).expect("JSON");
    let of_grafana = grafana["panels"].as_array().expect("panels").iter();
    let of_grafana = of_grafana.map(|panel| panel["targets"][0]["sqlExpression"].as_str().expect("a query"));
    let of_overview = overview["widgets"].as_array().expect("widgets").iter();
    let of_overview =
        of_overview.filter_map(|widget| widget["properties"]["metrics"][0][0]["expression"].as_str());
    let written = |name: &str, dimensions: &[String]| {
        let dimensions: Vec<&str> = dimensions.iter().map(String::as_str).collect();
        match dimensions[..] {
            ["FunctionName", "Verdict"] => METRICS.iter().any(|(metric, _)| *metric == name),
            ["NatGatewayId"] => GATEWAY_METRICS.iter().any(|(metric, _)| *metric == name),
            ["NatGatewayId", "Rank"] => RANK_METRIC.0 == name,
            _ => false,
        }
    };
    let mut ours = 0;
    for (name, dimensions) in of_grafana.chain(of_overview).filter_map(selected) {
        assert!(written(&name, &dimensions), "{name} by {dimensions:?}");
        ours += 1;
    }
    assert_eq!(ours, 6, "four panels of Grafana, two widgets of CloudWatch");
}
