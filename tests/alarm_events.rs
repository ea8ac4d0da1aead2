//! Every shape that an alarm's event arrives in, and what it asks for.
//!
//! `events/` has those that ask for something, `events/ignored` what else comes by the same ways,
//! `events/invalid` what ought to be an alarm and cannot be read as one, and `tests/fixtures/events` their
//! cousins.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use nat_triage::alarm::{AlarmError, Outcome, outcomes_from_event};
use nat_triage::incident::Incident;
use proptest::prelude::*;
use serde_json::Value;

use crate::support::checkout;
use crate::support::cli::{Cli, Ran};

const FOLDERS: [&str; 4] = ["events", "events/ignored", "events/invalid", "tests/fixtures/events"];

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

fn sample(name: &str) -> Value {
    let text = fs::read(checkout().join(format!("events/{name}.json"))).expect("there");
    serde_json::from_slice(&text).expect("JSON")
}

fn incident(event: &Value) -> Incident {
    match outcomes_from_event(event).remove(0) {
        Outcome::Incident(incident) => incident,
        other => panic!("{other:?}"),
    }
}

/// What an event asks for where nothing can be looked up.
fn from_event_alone(event: &Value) -> Vec<Outcome> {
    outcomes_from_event(event).into_iter().map(Outcome::from_event_alone).collect()
}

fn chain(error: &AlarmError) -> String {
    let source = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    let command = error.command().map(|command| format!("\n    {command}"));
    format!("{error}{}{}", source.unwrap_or_default(), command.unwrap_or_default())
}

/// What an event asks for, as a person reads it.
fn told(folder: &str) -> String {
    let mut told = String::new();
    for (name, event) in events(folder) {
        writeln!(told, "{name}").expect("written");
        for outcome in outcomes_from_event(&event) {
            match outcome.from_event_alone() {
                Outcome::Composite(composite) => panic!("{composite:?}"),
                Outcome::Ignored(ignored) => writeln!(told, "  ignored: {}", ignored.reason),
                Outcome::Unusable(error) => writeln!(told, "  unusable: {}", chain(&error)),
                Outcome::Ended(ended) => {
                    let of = ended.gateways.iter().map(|of| {
                        let began = of.began.as_ref().map(|began| {
                            let window = began.window.expect("known");
                            format!(" {window} id {}", began.id())
                        });
                        format!("{}{}", of.id, began.unwrap_or_default())
                    });
                    let of: Vec<String> = of.collect();
                    writeln!(told, "  ended: {} [{}] id {}", ended.reason(), of.join(", "), ended.id())
                }
                Outcome::Incident(incident) => {
                    let alarm = incident.alarm.as_ref().expect("known");
                    let parts = [
                        incident.zone.as_ref().map(|zone| format!("zone {zone}")),
                        incident.one_of_several.then(|| "one of several".to_owned()),
                        incident.errors_reported.map(|errors| format!("{errors} errors")),
                        alarm.metric_account.as_ref().map(|account| format!("metric of account {account}")),
                        alarm.muted.as_ref().map(|by| format!("actions {by}")),
                    ];
                    let parts: Vec<String> = parts.into_iter().flatten().collect();
                    writeln!(
                        told,
                        "  {:?} {} [{}] id {}\n    by {:?} at {} in {} {}",
                        incident.gateway.as_ref().expect("named"),
                        incident.window.expect("known"),
                        parts.join(", "),
                        incident.id(),
                        alarm.name,
                        alarm.at,
                        alarm.account.as_deref().unwrap_or("an account that is not told"),
                        alarm.region.as_deref().unwrap_or("a Region that is not told"),
                    )
                }
            }
            .expect("written");
        }
    }
    told
}

#[test]
fn every_sample_event_is_an_incident_or_has_a_reason() {
    let told = told("events");
    assert!(!told.contains("unusable"), "{told}");
    insta::assert_snapshot!(told);
}

#[test]
fn what_is_no_alarm_of_ours_is_ignored_with_a_reason() {
    for (name, event) in events("events/ignored") {
        let outcomes = from_event_alone(&event);
        assert!(matches!(outcomes[..], [Outcome::Ignored(_)]), "{name}: {outcomes:?}");
    }
    insta::assert_snapshot!(told("events/ignored"));
}

#[test]
fn whatever_else_arrives_says_what_was_expected() {
    for (name, event) in events("events/invalid") {
        let outcomes = from_event_alone(&event);
        assert!(matches!(outcomes[..], [Outcome::Unusable(_)]), "{name}: {outcomes:?}");
    }
    insta::assert_snapshot!(told("events/invalid"));
}

#[test]
fn the_cousins_of_every_shape_are_read_too() {
    insta::assert_snapshot!(told("tests/fixtures/events"));
}

#[test]
fn one_transition_has_one_id_and_one_window_in_every_shape() {
    let direct = incident(&sample("alarm"));
    for shape in [
        "alarm-eventbridge",
        "alarm-sns",
        "alarm-sns-http",
        "alarm-sqs",
        "alarm-sqs-raw",
        "alarm-sqs-eventbridge",
        "alarm-pipes",
        "alarm-kinesis",
        "alarm-firehose",
        "alarm-failed-invocation",
        "alarm-input-path",
        "alarm-described",
    ] {
        let other = incident(&sample(shape));
        assert_eq!((other.id(), other.window), (direct.id(), direct.window), "{shape}");
    }
    assert_ne!(direct.id(), incident(&sample("alarm-regional")).id());
    // A rule of EventBridge may have a topic for its target.
    let mut through_both = sample("alarm-sns");
    through_both["Records"][0]["Sns"]["Message"] = sample("alarm-eventbridge").to_string().into();
    assert_eq!(incident(&through_both), incident(&sample("alarm-eventbridge")));
}

#[test]
fn the_published_types_read_every_sample_of_which_there_is_one() {
    #[cfg(feature = "aws")]
    {
        use aws_lambda_events::{cloudwatch_alarms, eventbridge, firehose, kinesis, sns, sqs};
        use serde::Deserialize as _;

        let mut without_type = Vec::new();
        for (name, event) in FOLDERS[..1].iter().flat_map(|folder| events(folder)) {
            let has = |pointer: &str| event.pointer(pointer).is_some();
            let read = if has("/Records/0/Sns") {
                sns::SnsEvent::deserialize(&event).map(drop)
            } else if has("/Records/0/body") {
                sqs::SqsEvent::deserialize(&event).map(drop)
            } else if has("/Records/0/kinesis") {
                kinesis::KinesisEvent::deserialize(&event).map(drop)
            } else if has("/records/0/data") {
                firehose::KinesisFirehoseEvent::deserialize(&event).map(drop)
            } else if has("/0/body") {
                Vec::<sqs::SqsMessage>::deserialize(&event).map(drop)
            } else if has("/detail-type") {
                eventbridge::EventBridgeEvent::<cloudwatch_alarms::CloudWatchAlarmData<Value>>::deserialize(
                    &event,
                )
                .map(drop)
            } else if has("/alarmData") {
                cloudwatch_alarms::CloudWatchAlarm::<Value>::deserialize(&event).map(drop)
            } else {
                without_type.push(name);
                continue;
            };
            read.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let known = ["alarm-described", "alarm-failed-invocation", "alarm-input-path", "alarm-sns-http"];
        assert_eq!(without_type, known);
    }
}

#[test]
fn an_envelope_without_demanded_fields_is_read_all_the_same() {
    for (name, fields) in [
        (
            "alarm-sns",
            &["/Records/0/EventVersion", "/Records/0/Sns/Timestamp", "/Records/0/Sns/Signature"][..],
        ),
        ("alarm-kinesis", &["/Records/0/kinesis/approximateArrivalTimestamp"]),
        ("alarm-firehose", &["/records/0/approximateArrivalTimestamp"]),
        ("alarm-eventbridge", &["/source"]),
        ("alarm", &["/time"]),
    ] {
        let whole = sample(name);
        for field in fields {
            let (parent, key) = field.rsplit_once('/').expect("a pointer");
            let mut lacking = whole.clone();
            let parent = lacking.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object");
            assert!(parent.remove(key).is_some(), "{name}: {field}");
            assert_eq!(outcomes_from_event(&lacking), outcomes_from_event(&whole), "{name}: {field}");
        }
    }
}

#[test]
fn one_unreadable_record_spares_the_good_ones_beside_it() {
    let all: BTreeMap<String, Value> = events("tests/fixtures/events").into_iter().collect();
    let outcomes = outcomes_from_event(&all["sqs-one-unreadable-beside-a-good-one"]);
    assert!(
        matches!(outcomes[..], [Outcome::Unusable(_), Outcome::Incident(_), Outcome::Ignored(_)]),
        "{outcomes:?}"
    );
    assert_eq!(outcomes_from_event(&all["list-of-the-same-alarm-twice"]).len(), 1);
    assert_eq!(outcomes_from_event(&all["list-of-two-alarms"]).len(), 2);
}

#[test]
fn an_envelope_that_holds_nothing_is_not_passed_over_in_silence() {
    for event in [
        r#"{"records": []}"#,
        r#"{"Records": []}"#,
        r#"{"Messages": []}"#,
        r#"{"records": {}}"#,
        "[]",
        "[[]]",
    ] {
        let outcomes = outcomes_from_event(&serde_json::from_str(event).expect("JSON"));
        assert!(matches!(outcomes[..], [Outcome::Unusable(_)]), "{event}: {outcomes:?}");
    }
}

#[test]
fn what_we_publish_ends_where_it_comes_back() {
    use nat_triage::alarm::Ignored;
    use nat_triage::diagnosis::Limits;
    use nat_triage::evidence::{Evidence, Source};
    use nat_triage::network::Network;
    use nat_triage::report::{HttpsReaders, Message, Trouble};

    let asked = incident(&sample("alarm"));
    let evidence = Evidence::none(asked.window.expect("known"), Source::LogsInsights);
    let diagnosis =
        nat_triage::diagnosis::diagnose(&asked, &Network::default(), &evidence, Limits::default());
    let event = sample("alarm");
    let trouble = Trouble::unusable("nt-0123456789abcdef", &event, "why", None);
    for https in [HttpsReaders::Chat, HttpsReaders::Machines] {
        for message in [Message::of(&diagnosis, None, https), Message::of_trouble(&trouble, https)] {
            let texts: Value = serde_json::from_str(&message.body).expect("JSON");
            for (protocol, text) in texts.as_object().expect("by protocol") {
                if protocol == "sms" {
                    continue;
                }
                let mut back = sample("alarm-sns");
                back["Records"][0]["Sns"]["Message"] = text.clone();
                let outcomes = outcomes_from_event(&back);
                let reason = "it is a report of nat-triage itself".to_owned();
                let ends = [Outcome::Ignored(Ignored { reason })];
                assert_eq!(outcomes, ends, "{protocol}: {text}");
            }
        }
    }
}

#[test]
fn an_alarm_that_was_in_no_alarm_before_is_not_over() {
    let over = sample("alarm-ok");
    assert!(matches!(outcomes_from_event(&over)[..], [Outcome::Ended(_)]));
    for before in [Value::from("INSUFFICIENT_DATA"), Value::from("OK"), Value::Null] {
        let mut event = over.clone();
        event["alarmData"]["previousState"]["value"] = before.clone();
        assert!(matches!(outcomes_from_event(&event)[..], [Outcome::Ignored(_)]), "{before}");
    }
}

#[test]
fn broken_reason_data_falls_back_to_what_the_reason_names() {
    let mut event = sample("alarm");
    let whole = incident(&event);
    for broken in ["", "{", "[]", "null", r#"{"evaluatedDatapoints": 5}"#] {
        event["alarmData"]["state"]["reasonData"] = broken.into();
        let incident = incident(&event);
        // One of three datapoints is named: the other two may have had errors.
        assert_eq!((incident.errors_reported, incident.window), (None, whole.window), "{broken}");
    }
    event["alarmData"]["state"]["reason"] = "testing".into();
    assert_eq!(incident(&event).window.expect("known").seconds(), 180 + 480);
}

#[test]
fn a_hostile_alarm_name_is_data_and_cut_to_what_is_allowed() {
    let mut event = sample("alarm");
    let hostile = format!("x'; $(reboot)\r\n\u{202e}</script>{}", "y".repeat(1000));
    event["alarmData"]["alarmName"] = hostile.into();
    let name = incident(&event).alarm.expect("there").name;
    assert!(name.starts_with("x'; $(reboot)\r\n") && name.chars().count() == 255);
}

#[test]
fn the_alarms_beneath_a_composite_one_lead_to_the_gateway() {
    let all: BTreeMap<String, Value> = events("events/ignored").into_iter().collect();
    let composite = |event: &Value| match outcomes_from_event(event).remove(0) {
        Outcome::Composite(composite) => composite,
        other => panic!("{other:?}"),
    };
    // Its name says nothing of NAT, nor do those beneath it.
    let shop = composite(&all["composite-of-others"]);
    assert_eq!(shop.children, ["shop-errors"]);
    let direct = outcomes_from_event(&sample("alarm"));
    let mut described = sample("alarm-described");
    assert_eq!(shop.clone().with_children(&described), direct);
    described["MetricAlarms"][0]["StateValue"] = "OK".into();
    assert!(matches!(shop.clone().with_children(&described)[..], [Outcome::Ignored(_)]));
    // Of alarms that CloudWatch does not know, nothing is known.
    let unknown = serde_json::json!({ "MetricAlarms": [], "CompositeAlarms": [] });
    assert_eq!(shop.clone().with_children(&unknown), [shop.from_event_alone()]);
    let (_, nat) = events("events/invalid").into_iter().find(|(name, _)| name == "composite").expect("there");
    assert!(matches!(composite(&nat).with_children(&unknown)[..], [Outcome::Unusable(_)]));
}

#[test]
fn a_name_beneath_a_composite_alarm_is_one_word_of_a_command() {
    let (_, mut event) =
        events("events/invalid").into_iter().find(|(name, _)| name == "composite").expect("there");
    event["alarmData"]["state"]["reasonData"] = Value::Null;
    let rule =
        "ALARM(\"nat'; reboot; '\") OR ALARM(\"--nat\") OR ALARM(\"nat\u{202e}\") OR ALARM(\"nat $(x) `y`\")";
    event["alarmData"]["configuration"]["alarmRule"] = rule.into();
    let [Outcome::Unusable(error)] = &from_event_alone(&event)[..] else { panic!("not told") };
    assert_eq!(
        error.command(),
        Some(
            "aws cloudwatch describe-alarms --alarm-types MetricAlarm --alarm-names 'nat $(x) `y`' --region eu-west-1 --output json | nat-triage triage --event -"
        )
    );
}

#[test]
fn an_sns_message_may_stand_alone_and_an_event_hold_several() {
    let mut event = sample("alarm-sns");
    let mut message: Value =
        serde_json::from_str(event["Records"][0]["Sns"]["Message"].as_str().expect("text")).expect("JSON");
    assert_eq!(incident(&message), incident(&event));

    let mut second = event["Records"][0].clone();
    message["AlarmName"] = "another".into();
    second["Sns"]["Message"] = message.to_string().into();
    event["Records"].as_array_mut().expect("a list").push(second);
    assert_eq!(outcomes_from_event(&event).len(), 2);
}

#[test]
fn a_contributor_is_told_of_by_its_attributes_in_every_shape() {
    let bus = sample("alarm-contributor");
    let all: BTreeMap<String, Value> = events("tests/fixtures/events").into_iter().collect();
    for shape in ["contributor-by-lambda", "sns-contributor"] {
        let (one, other) = (incident(&bus), incident(&all[shape]));
        assert_eq!((one.id(), one.window), (other.id(), other.window), "{shape}");
    }
}

#[test]
fn two_zones_in_one_second_are_two_incidents() {
    let outcomes = outcomes_from_event(&sample("alarm-two-zones"));
    let ids: Vec<String> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Incident(incident) => incident.id(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(ids.len() == 2 && ids[0] != ids[1], "{ids:?}");
    // Zones of the same contributor's id, as those of one alarm by hand.
    let mut event = sample("alarm-contributor");
    event["detail"]["alarmContributor"]["attributes"]["AvailabilityZone"] = "eu-west-1a".into();
    let first = incident(&event).id();
    event["detail"]["alarmContributor"]["attributes"]["AvailabilityZone"] = "eu-west-1b".into();
    assert_ne!(incident(&event).id(), first);
}

#[test]
fn an_alarm_on_several_gateways_asks_for_each() {
    let outcomes = outcomes_from_event(&sample("alarm-several-gateways"));
    let incidents: Vec<&Incident> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Incident(incident) => incident,
            other => panic!("{other:?}"),
        })
        .collect();
    let gateways: Vec<&str> = incidents.iter().map(|i| i.gateway.as_ref().expect("named").as_str()).collect();
    assert_eq!(gateways, ["nat-0fedcba9876543210", "nat-0a1b2c3d4e5f60718"]);
    assert!(incidents.iter().all(|i| i.one_of_several && i.errors_reported.is_none()));
    assert_ne!(incidents[0].id(), incidents[1].id());
}

/// A run of the command line on the sample's flow log, with this event.
fn analyzed<const N: usize>(event: &Value, more: [&str; N]) -> Ran {
    let log = checkout().join("samples/leak.log.zst");
    let mut args = vec!["analyze", "--event", "event.json", "--flow-logs", log.to_str().expect("UTF-8")];
    args.extend(more);
    Cli::of(&args).file("event.json", event.to_string()).run()
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {}\n{}", ran.stdout, ran.stderr))
}

#[test]
fn a_report_says_how_to_ask_for_further_incidents() {
    let all: BTreeMap<String, Value> = events("tests/fixtures/events").into_iter().collect();
    let event = &all["list-of-two-alarms"];
    let ids: Vec<String> = outcomes_from_event(event)
        .iter()
        .map(|outcome| match outcome {
            Outcome::Incident(incident) => incident.id(),
            other => panic!("{other:?}"),
        })
        .collect();
    let first = analyzed(event, ["--format", "json"]);
    assert_eq!(json(&first)["id"], ids[0]);
    let gaps = json(&first)["gaps"].to_string();
    for told in [&gaps, &first.stderr] {
        assert!(
            told.contains("1 more incident") && told.contains(&format!("--incident {}", ids[1])),
            "{told}"
        );
    }
    let second = analyzed(event, ["--format", "json", "--incident", &ids[1]]);
    assert_eq!((&json(&second)["id"], second.stderr.as_str()), (&Value::from(ids[1].as_str()), ""));
    let unknown = analyzed(event, ["--incident", "nt-0000000000000000"]);
    assert!(unknown.status == 1 && unknown.stderr.contains(&ids[1]), "{}", unknown.stderr);
}

#[test]
fn files_are_not_taken_for_those_of_an_alarms_first_gateway() {
    let event = sample("alarm-several-gateways");
    let unnamed = json(&analyzed(&event, ["--format", "json"]));
    assert_eq!(unnamed["nat_gateways"][0]["id"], Value::Null);
    assert!(!unnamed["headline"].as_str().expect("text").contains("nat-"), "{}", unnamed["headline"]);
    let gaps = unnamed["gaps"].to_string();
    for word in
        ["which of the alarm's gateways", "nat-0fedcba9876543210", "nat-0a1b2c3d4e5f60718", "--nat-id"]
    {
        assert!(gaps.contains(word), "{word}: {gaps}");
    }
    let named = analyzed(&event, ["--format", "json", "--nat-id", "nat-0a1b2c3d4e5f60718"]);
    assert_eq!(json(&named)["nat_gateways"][0]["id"], "nat-0a1b2c3d4e5f60718");
    assert!(named.stderr.contains("nat-0fedcba9876543210"), "{}", named.stderr);
    let other = analyzed(&event, ["--nat-id", "nat-0123456789abcdef0"]);
    assert!(other.status == 1 && other.stderr.contains("nat-0123456789abcdef0"), "{}", other.stderr);
}

#[test]
fn a_report_says_that_its_alarm_was_muted_or_is_of_elsewhere() {
    let flowing = |ran: Ran| ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let muted = flowing(analyzed(&sample("alarm-muted"), []));
    assert!(muted.contains("its actions were muted: network-maintenance"), "{muted}");
    let elsewhere = flowing(analyzed(&sample("alarm-other-account"), []));
    assert!(elsewhere.contains("on a metric of account 210987654321"), "{elsewhere}");
}

#[test]
fn the_command_line_tells_what_of_an_event_it_passes_over() {
    let all: BTreeMap<String, Value> = events("tests/fixtures/events").into_iter().collect();
    let spared = analyzed(&all["sqs-one-unreadable-beside-a-good-one"], ["--format", "json"]);
    assert_eq!(json(&spared)["verdict"], "confirmed");
    assert!(spared.stderr.contains("passed over"), "{}", spared.stderr);
    let composite = analyzed(&all["sns-composite"], []);
    assert_eq!((composite.status, composite.stdout.as_str()), (1, ""));
    assert!(composite.stderr.contains("aws cloudwatch describe-alarms"), "{}", composite.stderr);
}

/// How many values a JSON value is made of, itself included, and those of the JSON that it holds as text.
fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(size).sum(),
        Value::Object(object) => object.values().map(size).sum(),
        Value::String(text) => held(text).map_or(0, |held| size(&held)),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// The JSON that a text is.
fn held(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().filter(|held: &Value| held.is_object() || held.is_array())
}

/// Puts `new` in place of the value that is `nth` in the order they are written, within text that is JSON too.
fn replace(value: &mut Value, nth: &mut usize, new: &Value) {
    if *nth == 0 {
        *value = new.clone();
        *nth = usize::MAX;
        return;
    }
    if *nth == usize::MAX {
        return;
    }
    *nth -= 1;
    match value {
        Value::Array(list) => list.iter_mut().for_each(|inner| replace(inner, nth, new)),
        Value::Object(object) => object.values_mut().for_each(|inner| replace(inner, nth, new)),
        Value::String(text) => {
            if let Some(mut held) = held(text) {
                replace(&mut held, nth, new);
                *text = held.to_string();
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn odd_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        Just(String::new()),
        Just("9999-12-30T22:00:00.999Z".into()),
        Just("-009999-01-02T01:59:59Z".into()),
        Just("x\r\n\u{202e}</script>'; reboot".into()),
        Just("y".repeat(10_000)),
        Just("ALARM".into()),
        Just("AWS/NATGateway ErrorPortAllocation nat-0a1b2c3d4e5f60718 NatGatewayId".into()),
        Just(
            "9 out of the last 4294967295 datapoints [1e308 (18/11/26 02:13:00), 1e308 (18/11/26 02:12:00)]"
                .into()
        ),
        Just("0 out of the last 0 datapoints [1 (01/01/00 00:00:00)] 4294967295 datapoints ((((".into()),
        Just("SELECT SUM(ErrorPortAllocation) FROM \"AWS/NATGateway\" WHERE NatGatewayId IN ('".into()),
        Just("SELECT é ErrorPortAllocation 'AWS/NATGateway' GROUP NatGatewayId = WHERE NatGatewayId".into()),
        Just("ALARM(ALARM(\"nat' é".into()),
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

/// What is promised of every event whatever.
fn assert_answered(event: &Value) -> Result<(), TestCaseError> {
    let outcomes = from_event_alone(event);
    prop_assert!(!outcomes.is_empty());
    for outcome in outcomes {
        match outcome {
            Outcome::Composite(composite) => prop_assert!(false, "{composite:?}"),
            Outcome::Unusable(error) => {
                let text = format!("{error}");
                prop_assert!(text.len() < 900 && !text.contains(char::is_control), "{text}");
                let command = error.command().unwrap_or_default();
                prop_assert!(command.is_ascii() && !command.contains(char::is_control), "{command}");
                prop_assert!(command.matches('\'').count() % 2 == 0, "{command}");
            }
            Outcome::Ignored(ignored) => {
                let reason = ignored.reason;
                prop_assert!(reason.len() < 400 && !reason.contains(char::is_control), "{reason}");
            }
            Outcome::Ended(ended) => prop_assert!(ended.reason().len() < 300),
            Outcome::Incident(incident) => {
                prop_assert!(incident.window.expect("known").seconds() <= 86_400);
                prop_assert!(incident.errors_reported.is_none_or(|sum| sum > 0.0 && sum.is_finite()));
                let alarm = incident.alarm.expect("known");
                prop_assert!(alarm.name.chars().count() <= 255);
                prop_assert!(alarm.muted.is_none_or(|by| by.is_ascii() && by.len() < 2_000));
            }
        }
    }
    Ok(())
}

/// All that is in the repository, read once.
fn corpus() -> &'static [Value] {
    static CORPUS: std::sync::OnceLock<Vec<Value>> = std::sync::OnceLock::new();
    CORPUS.get_or_init(|| FOLDERS.iter().flat_map(|folder| events(folder)).map(|(_, event)| event).collect())
}

proptest! {
    #[test]
    fn an_event_with_odd_values_is_answered_harmlessly(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), odd_value()), 1..4),
    ) {
        let mut event = which.get(corpus()).clone();
        for (place, new) in changes {
            let mut nth = place.index(size(&event));
            replace(&mut event, &mut nth, &new);
        }
        assert_answered(&event)?;
    }

    #[test]
    fn an_event_within_another_is_answered_too(
        outer in any::<prop::sample::Index>(),
        inner in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        as_text in any::<bool>(),
    ) {
        let (mut event, inner) = (outer.get(corpus()).clone(), inner.get(corpus()));
        let inner = if as_text { Value::from(inner.to_string()) } else { inner.clone() };
        let mut nth = place.index(size(&event));
        replace(&mut event, &mut nth, &inner);
        assert_answered(&event)?;
    }

    #[test]
    fn damaged_text_is_answered_where_it_still_is_json(
        which in any::<prop::sample::Index>(),
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<char>(), 0_usize..3), 1..6),
    ) {
        let mut text: Vec<char> = which.get(corpus()).to_string().chars().collect();
        for (place, new, kind) in damages {
            let place = place.index(text.len());
            match kind {
                0 => text[place] = new,
                1 => text.insert(place, new),
                _ => {
                    text.remove(place);
                }
            }
            if text.is_empty() {
                break;
            }
        }
        let text: String = text.into_iter().collect();
        // Damaged as a whole, it still is the text of some message.
        assert_answered(&serde_json::from_str(&text).unwrap_or_else(|_| Value::from(text.clone())))?;
        assert_answered(&serde_json::json!({ "Records": [{ "body": text }] }))?;
    }
}

#[test]
fn an_alarm_that_saw_no_error_does_not_count_as_errors() {
    let of = |reason: &str, data: Option<Value>| {
        let mut event = sample("alarm");
        let state = &mut event["alarmData"]["state"];
        state["reason"] = reason.into();
        state["reasonData"] = data.map_or(Value::Null, |data| data.to_string().into());
        let incident = incident(&event);
        (incident.without_errors, incident.errors_reported)
    };
    let point =
        |value: f64| serde_json::json!([{ "timestamp": "2026-11-18T02:13:00.000+0000", "value": value }]);
    let data = |recent: Value, decided: Value| {
        Some(serde_json::json!({
            "startDate": "2026-11-18T02:11:00.000+0000", "statistic": "Sum", "period": 60, "threshold": -1,
            "recentDatapoints": recent, "evaluatedDatapoints": decided,
        }))
    };
    let none = serde_json::json!([]);
    let missing = "Threshold Crossed: no datapoints were received for 3 periods and 3 missing datapoints were treated as [Breaching].";
    let crossed = |value: &str| {
        format!(
            "Threshold Crossed: 1 datapoint [{value} (18/11/26 02:13:00)] was greater than the threshold (-1.0)."
        )
    };
    for (reason, data) in [
        ("testing", None),
        (missing, data(none.clone(), none.clone())),
        (missing, None),
        (&crossed("0.0"), data(serde_json::json!([0.0, 0.0]), point(0.0))),
        (&crossed("0.0"), None),
    ] {
        assert_eq!(of(reason, data), (true, None), "{reason}");
    }
    for (reason, data) in [
        (&*crossed("3.0"), data(serde_json::json!([0.0, 3.0]), point(3.0))),
        (&crossed("3.0"), None),
        ("", None),
        ("Threshold Crossed: 3 datapoints were greater than the threshold (0.0).", None),
    ] {
        assert!(!of(reason, data).0, "{reason}");
    }
}
