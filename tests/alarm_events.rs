//! Every sample event, and what it asks for.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use nat_triage::alarm::{AlarmError, Outcome, outcomes_from_event};
use nat_triage::incident::Incident;
use proptest::prelude::*;
use serde_json::Value;

use crate::support::checkout;

fn events(folder: &str) -> Vec<(String, Value)> {
    let mut paths: Vec<PathBuf> = fs::read_dir(checkout().join(folder))
        .expect("there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 5, "{folder} holds {} events", paths.len());
    let read = |path: PathBuf| {
        let name = path.file_stem().expect("named").to_string_lossy().into_owned();
        (name, serde_json::from_slice(&fs::read(&path).expect("readable")).expect("JSON"))
    };
    paths.into_iter().map(read).collect()
}

fn incident(event: &Value) -> Incident {
    match outcomes_from_event(event).expect("understood").remove(0) {
        Outcome::Incident(incident) => incident,
        Outcome::Ignored(ignored) => panic!("ignored: {}", ignored.reason),
        Outcome::Ended(ended) => panic!("ended: {}", ended.reason()),
    }
}

fn chain(error: &AlarmError) -> String {
    let source = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!("{error}{}", source.unwrap_or_default())
}

#[test]
fn every_sample_event_asks_for_an_incident_or_is_ignored_with_a_reason() {
    let mut told = String::new();
    for (name, event) in events("events") {
        for outcome in outcomes_from_event(&event).unwrap_or_else(|e| panic!("{name}: {e}")) {
            match outcome {
                Outcome::Ignored(ignored) => writeln!(told, "{name}: ignored: {}", ignored.reason),
                Outcome::Ended(ended) => {
                    writeln!(told, "{name}: ended: {} {:?}", ended.reason(), ended.gateways)
                }
                Outcome::Incident(incident) => {
                    let alarm = incident.alarm.as_ref().expect("known");
                    writeln!(
                        told,
                        "{name}: {:?} zone {:?} window {} errors {:?} id {} by {:?} {} at {} in {:?} {:?}",
                        incident.gateway.as_ref().expect("named"),
                        incident.zone,
                        incident.window.expect("known"),
                        incident.errors_reported,
                        incident.id(),
                        alarm.name,
                        alarm.state,
                        alarm.at,
                        alarm.account,
                        alarm.region
                    )
                }
            }
            .expect("written");
        }
    }
    insta::assert_snapshot!(told);
}

#[test]
fn whatever_else_arrives_is_an_error_that_says_what_was_expected() {
    let mut told = String::new();
    for (name, event) in events("events/invalid") {
        let error = outcomes_from_event(&event).expect_err(&name);
        writeln!(told, "{name}: {}", chain(&error)).expect("written");
    }
    insta::assert_snapshot!(told);
}

#[test]
fn one_transition_has_one_id_in_whichever_shape_it_arrives() {
    let events: std::collections::BTreeMap<_, _> = events("events").into_iter().collect();
    let id = |name: &str| incident(&events[name]).id();
    assert_eq!(id("alarm"), id("alarm-eventbridge"));
    assert_eq!(id("alarm"), id("alarm-sns"));
    assert_ne!(id("alarm"), id("alarm-regional"));
    // A rule of EventBridge may have a topic for its target.
    let mut through_both = events["alarm-sns"].clone();
    through_both["Records"][0]["Sns"]["Message"] = events["alarm-eventbridge"].to_string().into();
    assert_eq!(incident(&through_both).id(), id("alarm"));
}

#[test]
fn broken_reason_data_falls_back_to_the_periods_before_the_transition() {
    let (_, mut event) = events("events").into_iter().find(|(name, _)| name == "alarm").expect("there");
    for broken in ["", "{", "[]", "null", r#"{"evaluatedDatapoints": 5}"#] {
        event["alarmData"]["state"]["reasonData"] = broken.into();
        let incident = incident(&event);
        assert_eq!(incident.errors_reported, None, "{broken}");
        assert_eq!(incident.window.expect("known").seconds(), 180, "{broken}");
    }
}

#[test]
fn a_hostile_alarm_name_is_kept_as_data_and_cut_to_what_cloudwatch_allows() {
    let (_, mut event) = events("events").into_iter().find(|(name, _)| name == "alarm").expect("there");
    let hostile = format!("x'; $(reboot)\r\n\u{202e}</script>{}", "y".repeat(1000));
    event["alarmData"]["alarmName"] = hostile.into();
    let name = incident(&event).alarm.expect("there").name;
    assert!(name.starts_with("x'; $(reboot)\r\n") && name.chars().count() == 255);
}

#[test]
fn the_message_of_an_sns_record_may_stand_alone_and_one_event_may_hold_several() {
    let (_, mut event) = events("events").into_iter().find(|(name, _)| name == "alarm-sns").expect("there");
    let message: Value =
        serde_json::from_str(event["Records"][0]["Sns"]["Message"].as_str().expect("text")).expect("JSON");
    assert_eq!(incident(&message), incident(&event));

    let first = event["Records"][0].clone();
    event["Records"].as_array_mut().expect("a list").push(first);
    assert_eq!(outcomes_from_event(&event).expect("understood").len(), 2);
}

/// How many values a JSON value is made of, itself included.
fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(size).sum(),
        Value::Object(object) => object.values().map(size).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// Puts `new` in place of the value that is `nth` in the order they are written.
fn replace(value: &mut Value, nth: &mut usize, new: &Value) {
    if *nth == 0 {
        *value = new.clone();
    }
    *nth = nth.wrapping_sub(1);
    match value {
        Value::Array(list) => list.iter_mut().for_each(|inner| replace(inner, nth, new)),
        Value::Object(object) => object.values_mut().for_each(|inner| replace(inner, nth, new)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A sample event with one value replaced, the JSON that is held as text included.
fn mutated(mut event: Value, place: prop::sample::Index, new: &Value) -> Value {
    for path in ["/Records/0/Sns/Message", "/alarmData/state/reasonData", "/detail/state/reasonData"] {
        let held =
            event.pointer(path).and_then(Value::as_str).and_then(|t| serde_json::from_str::<Value>(t).ok());
        let Some(mut held) = held else { continue };
        let mut nth = place.index(size(&held) + size(&event));
        if nth < size(&held) {
            replace(&mut held, &mut nth, new);
            *event.pointer_mut(path).expect("there") = held.to_string().into();
            return event;
        }
    }
    let mut nth = place.index(size(&event));
    replace(&mut event, &mut nth, new);
    event
}

fn odd_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        Just(String::new()),
        Just("9999-12-30T22:00:00.999Z".into()),
        Just("-009999-01-02T01:59:59Z".into()),
        Just("x\r\n\u{202e}</script>'; reboot".into()),
        Just("y".repeat(10_000)),
        any::<String>(),
    ];
    prop_oneof![
        Just(Value::Null),
        Just(serde_json::json!([])),
        Just(serde_json::json!({})),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(Value::from(u64::MAX)),
        text.prop_map(Value::from),
    ]
}

proptest! {
    #[test]
    fn a_sample_event_with_an_odd_value_is_answered_or_refused_in_a_few_harmless_words(
        which in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        new in odd_value(),
    ) {
        let events = events("events");
        match outcomes_from_event(&mutated(which.get(&events).1.clone(), place, &new)) {
            Err(error) => {
                let text = chain(&error);
                prop_assert!(text.len() < 700 && !text.contains(char::is_control), "{text}");
            }
            Ok(outcomes) => for outcome in outcomes {
                match outcome {
                    Outcome::Ignored(ignored) => {
                        prop_assert!(ignored.reason.len() < 300, "{}", ignored.reason);
                    }
                    Outcome::Ended(ended) => prop_assert!(ended.reason().len() < 300),
                    Outcome::Incident(incident) => {
                        prop_assert!(incident.window.expect("known").seconds() <= 86_400);
                        prop_assert!(incident.errors_reported.is_none_or(|sum| sum > 0.0 && sum.is_finite()));
                        prop_assert!(incident.alarm.expect("known").name.chars().count() <= 255);
                    }
                }
            }
        }
    }
}

#[test]
fn a_contributor_is_told_of_by_its_attributes_in_every_shape_and_the_alarm_over_it_is_ignored() {
    let (_, bus) = events("events").into_iter().find(|(name, _)| name == "alarm-contributor").expect("there");
    let direct = serde_json::json!({
        "source": "aws.cloudwatch", "accountId": "123456789012", "region": "eu-west-1",
        "alarmArn": bus["resources"][0], "time": bus["time"], "alarmData": bus["detail"],
    });
    let sns = serde_json::json!({
        "AlarmName": "every-nat", "AlarmArn": bus["resources"][0], "AWSAccountId": "123456789012",
        "NewStateValue": "ALARM", "StateChangeTime": "2026-11-18T02:14:05.123+0000",
        "AlarmContributorId": "6d442278dba546f6",
        "AlarmContributorAttributes": { "NatGatewayId": "nat-0a1b2c3d4e5f60718" },
        "Trigger": { "Metrics": [{
            "Id": "q1", "Period": 60, "ReturnData": true,
            "Expression": "SELECT SUM(ErrorPortAllocation) FROM SCHEMA(\"AWS/NATGateway\", NatGatewayId) GROUP BY NatGatewayId",
        }] },
    });
    let ids: Vec<String> = [&bus, &direct, &sns].map(|event| incident(event).id()).into();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(incident(&direct).gateway.expect("named").as_str(), "nat-0a1b2c3d4e5f60718");

    let mut over = bus;
    over["detail-type"] = "CloudWatch Alarm State Change".into();
    over["detail"].as_object_mut().expect("an object").remove("alarmContributor");
    let [Outcome::Ignored(ignored)] = &outcomes_from_event(&over).expect("understood")[..] else {
        panic!("not ignored")
    };
    assert!(ignored.reason.contains("told of by itself"), "{}", ignored.reason);
}

#[test]
fn an_alarm_on_several_gateways_asks_for_each_and_says_of_none_how_many_errors_it_had() {
    let (_, mut event) =
        events("events").into_iter().find(|(name, _)| name == "alarm-metric-math").expect("there");
    assert!(matches!(outcomes_from_event(&event).as_deref(), Ok([Outcome::Incident(_)])));
    let metrics = event["alarmData"]["configuration"]["metrics"].as_array_mut().expect("a list");
    let mut other = metrics[1].clone();
    other["metricStat"]["metric"]["dimensions"]["NatGatewayId"] = "nat-0fedcba9876543210".into();
    metrics.push(other);
    let outcomes = outcomes_from_event(&event).expect("understood");
    let incidents: Vec<&Incident> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Incident(incident) => incident,
            other => panic!("{other:?}"),
        })
        .collect();
    let gateways: Vec<&str> = incidents.iter().map(|i| i.gateway.as_ref().expect("named").as_str()).collect();
    assert_eq!(gateways, ["nat-0a1b2c3d4e5f60718", "nat-0fedcba9876543210"]);
    assert!(incidents.iter().all(|i| i.one_of_several && i.errors_reported.is_none()));
    assert_ne!(incidents[0].id(), incidents[1].id());
}
