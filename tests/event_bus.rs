//! Each message as an event, and what PagerDuty gets of it.

use nat_simulator::{LogFormat, Pattern};
use nat_triage::contract::Diagnosis;
use nat_triage::recovery::Relief;
use nat_triage::report::{HttpsReaders, Message, Trouble};
use serde_json::{Value, json};

use crate::ladder::Scene;
use crate::recoveries::{ended, event, recovery};
use crate::support::checkout;
use crate::support::evaluator::Evaluator;
use crate::watch::{filling, room_again, warning};

async fn diagnosis() -> Diagnosis {
    let scene = Scene::of(Pattern::Leak, &LogFormat::v3_pkt());
    scene.diagnose(Evaluator::new(scene.store.clone())).await
}

/// The event as rules see it.
fn seen(message: &Message) -> Value {
    let detail: Value = serde_json::from_str(&message.event.detail).expect("JSON");
    json!({ "source": "nat-triage", "detail-type": message.event.detail_type, "region": "eu-west-1", "detail": detail })
}

fn of_diagnosis(diagnosis: &Diagnosis) -> Value {
    seen(&Message::of(diagnosis, None, HttpsReaders::Chat))
}

fn of_recovery(relief: Relief) -> Value {
    let event = event();
    let over = Trouble::over(&ended(), vec![recovery(relief, Some((1_000, 2_000)))], &event, None);
    seen(&Message::of_trouble(&over, HttpsReaders::Chat))
}

/// Whether a pattern matches. Source: "Amazon EventBridge event patterns" in its user guide, for values and prefixes.
fn matches(pattern: &Value, event: &Value) -> bool {
    let one = |pattern: &Value| match pattern.get("prefix").and_then(Value::as_str) {
        Some(prefix) => event.as_str().is_some_and(|text| text.starts_with(prefix)),
        None => pattern == event,
    };
    match pattern {
        Value::Object(fields) => fields.iter().all(|(name, of_field)| matches(of_field, &event[name])),
        Value::Array(any) => any.iter().any(one),
        other => panic!("no pattern: {other}"),
    }
}

/// What a rule's target gets, in JSON. Source: "Amazon EventBridge input transformation" in its user guide: a variable
/// is its JSON, and within quotes its text.
fn transformed(transformer: &Value, event: &Value) -> Value {
    let mut text = transformer["InputTemplate"].as_str().expect("a template").to_owned();
    for (name, path) in transformer["InputPathsMap"].as_object().expect("paths") {
        let path = path.as_str().expect("a path").strip_prefix('$').expect("a path");
        let value = event.pointer(&path.replace('.', "/")).unwrap_or_else(|| panic!("no {path} in {event}"));
        let quoted = format!("<{name}>\"");
        if text.contains(&quoted) {
            text = text.replace(&quoted, &format!("{}\"", value.as_str().expect("text")));
        }
        text = text.replace(&format!("<{name}>"), &value.to_string());
    }
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn template(name: &str) -> Value {
    let text = std::fs::read_to_string(checkout().join("deploy").join(name)).expect("there");
    serde_json::from_str(&text).expect("JSON")
}

/// What a webhook gets of an event, if anything: of a target with an `InputPath`, that part of the event. Source: `Target`
/// in the Amazon EventBridge API reference.
fn posted(event: &Value) -> Option<Value> {
    let rule = &template("webhook.json")["Resources"]["Events"]["Properties"];
    assert_eq!(rule["Targets"][0]["InputPath"], "$.detail");
    matches(&rule["EventPattern"], event).then(|| event["detail"].clone())
}

/// What PagerDuty gets of an event, by the rules' order: what opens, and what resolves.
fn paged(event: &Value) -> [Option<Value>; 2] {
    let template = template("pagerduty.json");
    ["Opens", "Resolves"].map(|rule| {
        let rule = &template["Resources"][rule]["Properties"];
        let transformer = &rule["Targets"][0]["InputTransformer"];
        matches(&rule["EventPattern"], event).then(|| transformed(transformer, event))
    })
}

#[tokio::test]
async fn an_event_has_what_machines_and_subscriptions_get() {
    let diagnosis = diagnosis().await;
    let event = of_diagnosis(&diagnosis);
    assert_eq!(event["detail-type"], "NAT Gateway Diagnosis");
    let detail = &event["detail"];
    assert_eq!(detail["schema"], "nat-triage.event.v1");
    assert_eq!(detail["report"], diagnosis.to_json());
    assert_eq!((&detail["kind"], &detail["severity"]), (&json!("diagnosis"), &json!("critical")));
    assert_eq!((&detail["id"], &detail["incident_id"]), (&json!(diagnosis.id), &json!(diagnosis.id)));
}

#[tokio::test]
async fn a_report_that_is_too_large_is_left_out_of_its_event() {
    let mut diagnosis = diagnosis().await;
    let gap = diagnosis.gaps.first().cloned();
    let mut gap = gap.unwrap_or_else(|| nat_triage::gap::Gap::new("it", "why", "see"));
    gap.why = "w".repeat(300_000);
    diagnosis.gaps = vec![gap];
    let message = Message::of(&diagnosis, None, HttpsReaders::Chat);
    assert!(message.event.detail.len() < 256 * 1024, "{} bytes", message.event.detail.len());
    let event = seen(&message);
    assert_eq!(event["detail"]["report"], Value::Null);
    assert_eq!(event["detail"]["summary"], message.subject);
}

#[tokio::test]
async fn pagerduty_opens_an_incident_with_the_answer() {
    let diagnosis = diagnosis().await;
    let event = of_diagnosis(&diagnosis);
    let [Some(opened), None] = paged(&event) else { panic!("{event:#}") };
    // Source: "Send an Alert Event" in PagerDuty's Events API V2: these are required, the summary up to 1,024 characters.
    assert_eq!(opened["event_action"], "trigger");
    assert_eq!(opened["dedup_key"], json!(diagnosis.id));
    let payload = &opened["payload"];
    assert!(payload["summary"].as_str().is_some_and(|text| (1..=1024).contains(&text.len())), "{opened}");
    assert_eq!(payload["source"], "nat-triage in eu-west-1");
    let severity = payload["severity"].as_str().expect("text");
    assert!(["critical", "error", "warning", "info"].contains(&severity), "{severity}");
}

#[test]
fn a_warning_opens_and_resolves_one_incident() {
    let of = |turn| seen(&Message::of_warning(&warning(turn), HttpsReaders::Chat));
    let (filling, room) = (of(filling()), of(room_again()));
    assert_eq!(filling["detail-type"], "NAT Gateway Warning");
    let [Some(opened), None] = paged(&filling) else { panic!("{filling:#}") };
    let [None, Some(resolved)] = paged(&room) else { panic!("{room:#}") };
    assert_eq!(opened["payload"]["severity"], "warning");
    assert_eq!(opened["dedup_key"], resolved["dedup_key"]);
    assert_ne!(filling["detail"]["id"], room["detail"]["id"], "each is told once");
}

#[tokio::test]
async fn pagerduty_resolves_only_what_is_freed() {
    let freed = of_recovery(Relief::Freed);
    let [None, Some(resolved)] = paged(&freed) else { panic!("{freed:#}") };
    let began = ended().gateways[0].began.as_ref().expect("told").id();
    assert_eq!(resolved, json!({ "event_action": "resolve", "dedup_key": began }));
    for relief in [Relief::CannotTell, Relief::StillFull] {
        assert_eq!(paged(&of_recovery(relief)), [None, None], "{relief:?}");
    }
    let mut replay = diagnosis().await;
    replay.replay = true;
    assert_eq!(paged(&of_diagnosis(&replay)), [None, None], "a past incident wakes nobody");
}

#[tokio::test]
async fn a_webhook_gets_what_is_told_of_a_gateway() {
    let diagnosis = diagnosis().await;
    let got = posted(&of_diagnosis(&diagnosis)).expect("a diagnosis");
    assert_eq!((&got["schema"], &got["report"]), (&json!("nat-triage.event.v1"), &diagnosis.to_json()));
    assert_eq!(posted(&of_recovery(Relief::StillFull)).expect("an end")["relief"], "still-full");
    let of = |turn| seen(&Message::of_warning(&warning(turn), HttpsReaders::Chat));
    assert!(posted(&of(filling())).is_some() && posted(&of(room_again())).is_some());
    let replay = Diagnosis { replay: true, ..diagnosis };
    assert_eq!(posted(&of_diagnosis(&replay)), None);
}
