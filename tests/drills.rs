//! An alarm that somebody put into ALARM by hand is answered as that, and only where no error was counted.

use serde_json::{Value, json};

use nat_triage::alarm::{Outcome, drill_of_query, is_drill, outcomes_from_event};
use nat_triage::contract::{Diagnosis, Verdict};
use nat_triage::diagnosis::Limits;
use nat_triage::evidence::files::FlowLogFiles;
use nat_triage::flow::reader::{Inputs, Options};
use nat_triage::incident::{Incident, TimeWindow};
use nat_triage::network::{Known, Metric, NatGateway, Network};
use nat_triage::report::{HttpsReaders, Message, text};
use nat_triage::triage::Surveyed;

use crate::support::checkout;

fn event(name: &str) -> Value {
    let text = std::fs::read(checkout().join("events").join(name)).expect("there");
    serde_json::from_slice(&text).expect("JSON")
}

fn incident_of(event: &Value) -> Incident {
    match outcomes_from_event(event).remove(0) {
        Outcome::Incident(incident) => incident,
        other => panic!("{other:?}"),
    }
}

/// Forty connections to one server, open through all of the window, of a gateway with room for 400.
fn log(window: TimeWindow) -> String {
    let mut text = String::from(
        "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status tcp-flags pkt-srcaddr pkt-dstaddr\n",
    );
    let (first, last) = (window.start().as_second() - 600, window.end().as_second());
    for start in (first..last).step_by(60) {
        let end = start + 59;
        for number in 0..40 {
            let (own, port) = (40_000 + number, 1_024 + number);
            text += &format!(
                "3 123456789012 eni-0123456789abcdef0 10.0.1.17 10.0.0.220 {own} 443 6 5 500 {start} {end} ACCEPT OK 0 10.0.1.17 203.0.113.10\n\
                 3 123456789012 eni-0123456789abcdef0 10.0.0.220 203.0.113.10 {port} 443 6 5 500 {start} {end} ACCEPT OK 0 10.0.0.220 203.0.113.10\n\
                 3 123456789012 eni-0123456789abcdef0 203.0.113.10 10.0.0.220 443 {port} 6 5 500 {start} {end} ACCEPT OK 0 203.0.113.10 10.0.0.220\n"
            );
        }
    }
    text
}

/// The diagnosis of an event while the gateway's own metric counts so many errors.
async fn diagnosed(event: &Value, errors: f64) -> Diagnosis {
    diagnosed_within(event, Some(errors), 400).await
}

/// The same of a gateway with so many ports, of which the metric may not be known.
async fn diagnosed_within(event: &Value, errors: Option<f64>, ports: u32) -> Diagnosis {
    let incident = incident_of(event);
    let window = incident.window.expect("told");
    let gateway = NatGateway {
        id: incident.gateway.clone(),
        interface_ids: vec!["eni-0123456789abcdef0".parse().expect("valid")],
        ..NatGateway::default()
    };
    let counted = errors.map(|errors| Metric {
        name: "ErrorPortAllocation".into(),
        statistic: "Sum".into(),
        value: errors,
        ..Metric::default()
    });
    let network = Network {
        gateway: gateway.with_addresses(&["10.0.0.220".parse().expect("valid")]),
        metrics: counted.into_iter().collect(),
        ..Network::default()
    };
    let inputs = Inputs::from_memory([("a.log".to_owned(), log(window).into_bytes())]);
    let files = FlowLogFiles::new(inputs, Options::default(), |_| {});
    let known = Known(network);
    let by_hand = is_drill(event, &incident);
    let surveyed = Surveyed::new(incident, &known).await.set_by_hand(by_hand);
    surveyed.look(&known, &files, Limits { ports_per_address: ports }).await.expect("readable").diagnosis
}

/// How many incidents of an event are drills.
fn drills(event: &Value) -> usize {
    let is_drill = |outcome: &Outcome| match outcome {
        Outcome::Incident(incident) => is_drill(event, incident),
        _ => false,
    };
    outcomes_from_event(event).iter().filter(|outcome| is_drill(outcome)).count()
}

#[test]
fn only_an_alarm_that_somebody_set_is_a_drill() {
    assert_eq!(drills(&event("alarm-no-reason-data.json")), 1);
    // Those of CloudWatch itself, in every shape, with and without reasonData.
    for entry in std::fs::read_dir(checkout().join("events")).expect("a folder") {
        let name = entry.expect("readable").file_name().into_string().expect("UTF-8");
        if name.ends_with(".json") && name != "alarm-no-reason-data.json" {
            assert_eq!(drills(&event(&name)), 0, "{name}");
            assert_eq!(drill_of_query(&event(&name)), None, "{name}");
        }
    }
    // By SNS, which has no reasonData at all.
    let mut message: Value =
        serde_json::from_str(event("alarm-sns.json")["Records"][0]["Sns"]["Message"].as_str().expect("text"))
            .expect("JSON");
    assert_eq!(drills(&message), 0);
    message["NewStateReason"] = "trying it out".into();
    let by_sns =
        json!({ "Records": [{ "EventSource": "aws:sns", "Sns": { "Message": message.to_string() } }] });
    assert_eq!(drills(&by_sns), 1);
}

#[test]
fn a_drill_of_the_alarm_on_every_gateway_names_its_alarm() {
    let mut of_query = event("alarm-no-reason-data.json");
    of_query["alarmData"]["configuration"]["metrics"] = json!([{
        "id": "errors",
        "expression":
            "SELECT SUM(ErrorPortAllocation) FROM SCHEMA(\"AWS/NATGateway\", NatGatewayId) GROUP BY NatGatewayId",
        "period": 60,
        "returnData": true,
    }]);
    let alarm = drill_of_query(&of_query).expect("a drill");
    let incident = Incident { alarm: Some(alarm), ..Incident::default() };
    assert!(is_drill(&of_query, &incident));
    of_query["alarmData"]["state"]["reason"] =
        "Threshold Crossed: 1 datapoint [3.0 (18/11/26 02:13:00)] was greater than the threshold (0.0)."
            .into();
    assert_eq!(drill_of_query(&of_query), None);
}

#[tokio::test]
async fn a_drill_says_that_the_path_works_and_how_full_the_gateway_is() {
    let event = event("alarm-no-reason-data.json");
    let told = diagnosed(&event, 0.0).await;
    assert_eq!((told.drill, told.verdict), (true, Verdict::NotSupported), "{}", told.headline);
    assert_eq!(told.id, incident_of(&event).id(), "delivered again, it is the same");
    assert!(told.alarm.is_some());
    let begins =
        "TEST: the path works, and no error was counted; NAT gateway nat-0a1b2c3d4e5f60718 is 10% full now";
    assert!(told.headline.starts_with(begins), "{}", told.headline);
    let message = Message::of(&told, None, HttpsReaders::Machines);
    assert_eq!(message.subject, "TEST: the path works; NAT nat-0a1b2c3d is 10% full now");
    assert!(message.attributes.contains(&("kind", "test".to_owned())), "{:?}", message.attributes);
    assert!(message.attributes.contains(&("severity", "info".to_owned())), "{:?}", message.attributes);
    let mail = text::text(&told);
    assert!(mail.contains("TEST: the path works; somebody set the alarm by hand."), "{mail}");
    assert!(mail.contains("10% full now"), "{mail}");
}

#[tokio::test]
async fn a_drill_of_a_gateway_of_unknown_size_is_not_empty() {
    let mut told = diagnosed(&event("alarm-no-reason-data.json"), 0.0).await;
    told.destinations[0].utilization = None;
    let message = Message::of(&told, None, HttpsReaders::Machines);
    let subject = "TEST: the path works; NAT nat-0a1b2c3d has a limit that is not known";
    assert_eq!(message.subject, subject);
}

#[tokio::test]
async fn an_alarm_set_by_hand_over_real_errors_is_no_drill() {
    let told = diagnosed(&event("alarm-no-reason-data.json"), 12.0).await;
    assert!(!told.drill && !told.headline.contains("TEST"), "{}", told.headline);
}

#[tokio::test]
async fn a_drill_without_a_flow_log_does_not_say_the_path_works() {
    let event = event("alarm-no-reason-data.json");
    let mut told = diagnosed(&event, 0.0).await;
    // The same, had Logs Insights been asked and said nothing.
    told.coverage.source = nat_triage::evidence::Source::LogsInsights;
    told.destinations.clear();
    let message = Message::of(&told, None, HttpsReaders::Machines);
    assert_eq!(message.subject, "TEST: this arrives, but no flow log of NAT nat-0a1b2c3d gave an answer");
    assert!(message.attributes.contains(&("severity", "warning".to_owned())), "{:?}", message.attributes);
    assert!(!text::text(&told).contains("the path works;"));
}

#[tokio::test]
async fn an_alarm_set_by_hand_confirms_nothing() {
    let by_hand = diagnosed_within(&event("alarm-no-reason-data.json"), None, 40).await;
    assert_eq!(by_hand.verdict, Verdict::Likely, "{}", by_hand.headline);
    let mail = text::text(&by_hand);
    assert!(!mail.contains("errors were counted"), "{mail}");
    let why: Vec<&str> = by_hand.gaps.iter().map(|gap| gap.why.as_str()).collect();
    assert!(why.iter().any(|why| why.starts_with("the alarm saw no error itself")), "{why:?}");
    let of_cloudwatch = diagnosed_within(&event("alarm.json"), None, 40).await;
    assert_eq!(of_cloudwatch.verdict, Verdict::Confirmed, "{}", of_cloudwatch.headline);
}
