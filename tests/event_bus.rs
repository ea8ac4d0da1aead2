//! Each message as an event, and what other tools get of it.

use nat_simulator::{LogFormat, Pattern};
use nat_triage::contract::{Diagnosis, Stage};
use nat_triage::recovery::Relief;
use nat_triage::report::{HttpsReaders, Message, Trouble};
use serde_json::{Value, json};

use crate::ladder::Scene;
use crate::recoveries::{ended, event, recovery};
use crate::support::evaluator::Evaluator;
use crate::support::event_bridge::Rules;
use crate::support::receivers::{PagerDuty, Webhook};
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

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// PagerDuty with the stack that calls it.
fn pagerduty() -> (PagerDuty, Rules) {
    let pagerduty = PagerDuty::start(KEY);
    let rules = Rules::of("pagerduty.json", &[("RoutingKey", KEY), ("Endpoint", pagerduty.url())]);
    (pagerduty, rules)
}

/// What an event makes of PagerDuty's incidents: which of the rules took it, each of which PagerDuty took.
fn paged(rules: &Rules, event: &Value) -> Vec<String> {
    let taken = rules.put(event).into_iter();
    taken
        .map(|(rule, answered)| {
            assert_eq!(answered.status, 202, "{}", answered.body);
            rule
        })
        .collect()
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
async fn pagerduty_has_one_incident_for_all_that_is_told_of_it() {
    let (pagerduty, rules) = pagerduty();
    let last = diagnosis().await;
    let provisional = Diagnosis { stage: Stage::Provisional, ..last.clone() };
    for told in [&provisional, &last] {
        assert_eq!(paged(&rules, &of_diagnosis(told)), ["Opens"]);
    }
    let [(key, became)] = &pagerduty.incidents().into_iter().collect::<Vec<_>>()[..] else {
        panic!("{:?}", pagerduty.incidents())
    };
    assert_eq!((key, &became[..]), (&last.id, &["opened", "added to"][..]));
}

#[tokio::test]
async fn pagerduty_gets_the_answer_in_a_line_and_who_tells_it() {
    let diagnosis = diagnosis().await;
    let message = Message::of(&diagnosis, None, HttpsReaders::Chat);
    let webhook = Webhook::start("X-Routing-Key", KEY);
    let rules = Rules::of("pagerduty.json", &[("RoutingKey", KEY), ("Endpoint", webhook.url())]);
    rules.put(&seen(&message));
    let sent = webhook.taken();
    assert_eq!(
        sent,
        [json!({
            "routing_key": KEY,
            "event_action": "trigger",
            "dedup_key": diagnosis.id,
            "payload": {
                "summary": message.subject,
                "source": "nat-triage in eu-west-1",
                "severity": "critical",
                "custom_details": { "kind": "diagnosis", "report_id": diagnosis.id },
            },
        })]
    );
}

#[test]
fn a_warning_opens_and_resolves_one_incident() {
    let (pagerduty, rules) = pagerduty();
    let of = |turn| seen(&Message::of_warning(&warning(turn), HttpsReaders::Chat));
    let (filling, room) = (of(filling()), of(room_again()));
    assert_eq!(filling["detail-type"], "NAT Gateway Warning");
    assert_ne!(filling["detail"]["id"], room["detail"]["id"], "each is told once");
    assert_eq!(
        (paged(&rules, &filling), paged(&rules, &room)),
        (vec!["Opens".into()], vec!["Resolves".into()])
    );
    let became: Vec<_> = pagerduty.incidents().into_values().collect();
    assert_eq!(became, [["opened", "resolved"]]);
}

#[tokio::test]
async fn pagerduty_resolves_only_what_is_freed() {
    let (pagerduty, rules) = pagerduty();
    let began = ended().gateways[0].began.as_ref().expect("told").id();
    let mut alarm = diagnosis().await;
    alarm.id.clone_from(&began);
    assert_eq!(paged(&rules, &of_diagnosis(&alarm)), ["Opens"]);
    for relief in [Relief::CannotTell, Relief::StillFull] {
        assert!(paged(&rules, &of_recovery(relief)).is_empty(), "{relief:?}");
    }
    assert_eq!(pagerduty.incidents()[&began], ["opened"]);
    assert_eq!(paged(&rules, &of_recovery(Relief::Freed)), ["Resolves"]);
    assert_eq!(pagerduty.incidents()[&began], ["opened", "resolved"]);
}

#[tokio::test]
async fn a_past_incident_wakes_nobody() {
    let (pagerduty, rules) = pagerduty();
    let mut replay = diagnosis().await;
    replay.replay = true;
    assert!(paged(&rules, &of_diagnosis(&replay)).is_empty());
    assert!(pagerduty.incidents().is_empty());
}

#[test]
fn the_receiver_refuses_what_pagerduty_refuses() {
    let (_pagerduty, rules) = pagerduty();
    let of = |turn| seen(&Message::of_warning(&warning(turn), HttpsReaders::Chat));
    for (field, bad) in
        [("summary", json!("")), ("summary", json!("x".repeat(1_025))), ("incident_id", json!(7))]
    {
        let mut event = of(filling());
        event["detail"][field] = bad;
        let [(_, answered)] = &rules.put(&event)[..] else { panic!("{event:#}") };
        assert_eq!(answered.status, 400, "{field}: {}", answered.body);
    }
}

#[tokio::test]
async fn a_webhook_gets_what_is_told_of_a_gateway() {
    let webhook = Webhook::start("X-Api-Key", "of-the-team");
    let values = [("Endpoint", webhook.url()), ("HeaderName", "X-Api-Key"), ("HeaderValue", "of-the-team")];
    let rules = Rules::of("webhook.json", &values);
    let of = |turn| seen(&Message::of_warning(&warning(turn), HttpsReaders::Chat));
    let diagnosis = diagnosis().await;
    let event = json!({});
    let failure = Trouble::broken("nt-1", &event, "AWS did not answer");
    let told = [
        of_diagnosis(&diagnosis),
        of_recovery(Relief::StillFull),
        of(filling()),
        of(room_again()),
        seen(&Message::of_trouble(&failure, HttpsReaders::Chat)),
    ];
    for event in &told {
        let [(_, answered)] = &rules.put(event)[..] else { panic!("{event:#}") };
        assert_eq!(answered.status, 200, "{}", answered.body);
    }
    let details: Vec<Value> = told.iter().map(|event| event["detail"].clone()).collect();
    assert_eq!(webhook.events(), details);
    assert_eq!(details[0]["report"], diagnosis.to_json());
    let replay = Diagnosis { replay: true, ..diagnosis };
    assert!(rules.put(&of_diagnosis(&replay)).is_empty());

    let stranger = Rules::of("webhook.json", &[values[0], values[1], ("HeaderValue", "guessed")]);
    assert_eq!(stranger.put(&told[0])[0].1.status, 401);
    assert_eq!(webhook.events().len(), told.len());
}
