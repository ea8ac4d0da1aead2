//! The end of an alarm: whether ports are free again, or only the errors have stopped.

use jiff::{Timestamp, ToSpan as _};
use nat_simulator::{LogFormat, Pattern};
use nat_triage::alarm::{Ended, Outcome, outcomes_from_event};
use nat_triage::contract::HeldPorts;
use nat_triage::incident::{Incident, TimeWindow};
use nat_triage::network::Metric;
use nat_triage::recovery::{Compared, Look, Recovery, RefusedInAll, Relief, compare};
use nat_triage::report::{HttpsReaders, Message, Trouble};
use nat_triage::triage::Triaged;
use serde_json::Value;

use crate::ladder::Scene;
use crate::support::checkout;
use crate::support::contract::assert_trouble;
use crate::support::message::people_get;

const GATEWAY: &str = "nat-0a1b2c3d4e5f60718";

pub(crate) fn event() -> Value {
    let text = std::fs::read_to_string(checkout().join("events/alarm-ok.json")).expect("there");
    serde_json::from_str(&text).expect("JSON")
}

pub(crate) fn ended() -> Ended {
    match outcomes_from_event(&event()).remove(0) {
        Outcome::Ended(ended) => ended,
        other => panic!("{other:?}"),
    }
}

fn look(triaged: &Triaged) -> Look<'_> {
    Look { diagnosis: &triaged.diagnosis, network: &triaged.network }
}

/// The leak when it was full, and a minute of it long before.
async fn full_and_early() -> (Triaged, Triaged) {
    let scene = Scene::of(Pattern::Leak, &LogFormat::v3_pkt());
    let facts = scene.simulation.facts();
    let minute = |second: i64| {
        let start = Timestamp::from_second(second.div_euclid(60) * 60).expect("this century");
        TimeWindow::new(start, start + 1.minute()).expect("a minute")
    };
    let worst = facts.errors.iter().max_by_key(|(_, sum)| *sum).expect("errors").0;
    let (first, last) = (facts.start + 60, facts.errors[0].0);
    (scene.look_at(minute(worst)).await, scene.look_at(minute(first + (last - first) / 4)).await)
}

#[tokio::test]
async fn ports_that_are_free_again_end_the_incident() {
    let (full, early) = full_and_early().await;
    let mut now = early.clone();
    now.network.gateway.addresses.push(now.network.gateway.addresses[0].clone());
    let recovery = compare(GATEWAY, Some(look(&full)), Some(look(&now)));
    assert_eq!(recovery.relief, Relief::Freed, "{recovery:#?}");
    let about = recovery.destination.expect("the full one");
    assert!(about.then.expect("then").estimate > about.now.expect("now").at_most);
    assert_eq!(recovery.changes[0], "3 of the gateway's addresses take connections, instead of 2");
    let holder = full.diagnosis.destinations[0].clients[0].address.to_string();
    assert!(recovery.changes[1].starts_with(&holder), "{:?}", recovery.changes);
}

#[tokio::test]
async fn errors_that_stop_while_it_is_full_end_nothing() {
    let (full, _) = full_and_early().await;
    let recovery = compare(GATEWAY, Some(look(&full)), Some(look(&full)));
    assert_eq!(recovery.relief, Relief::StillFull);
    assert_eq!(recovery.changes.len(), 1, "only the holder is told of: {:?}", recovery.changes);
    // The same where nobody kept the alarm's own report.
    assert_eq!(compare(GATEWAY, None, Some(look(&full))).relief, Relief::StillFull);
}

#[tokio::test]
async fn records_that_a_metric_contradicts_prove_nothing() {
    let (full, _) = full_and_early().await;
    let mut now = full.clone();
    now.network.metrics = vec![connections(1.0)];
    assert_eq!(compare(GATEWAY, Some(look(&full)), Some(look(&now))).relief, Relief::CannotTell);
    assert_eq!(compare(GATEWAY, None, Some(look(&now))).relief, Relief::CannotTell);
}

fn connections(value: f64) -> Metric {
    Metric { name: "ActiveConnectionCount".into(), statistic: "Maximum".into(), value, ..Metric::default() }
}

#[tokio::test]
async fn without_records_only_the_metric_can_tell() {
    let (full, mut now) = full_and_early().await;
    now.diagnosis.destinations.clear();
    now.diagnosis.coverage.complete = false;
    now.diagnosis.coverage.records_read = 0;
    assert_eq!(compare(GATEWAY, Some(look(&full)), Some(look(&now))).relief, Relief::CannotTell);
    assert_eq!(compare(GATEWAY, Some(look(&full)), None).relief, Relief::CannotTell);
    assert_eq!(compare(GATEWAY, None, None).relief, Relief::CannotTell);

    let capacity = f64::from(now.diagnosis.nat_gateways[0].capacity_per_destination.expect("known"));
    for (value, relief) in [(capacity * 0.79, Relief::Freed), (capacity * 0.81, Relief::CannotTell)] {
        now.network.metrics = vec![connections(value)];
        assert_eq!(compare(GATEWAY, Some(look(&full)), Some(look(&now))).relief, relief, "{value}");
    }
    // Of which protocol the full destination was, only the alarm's own report tells.
    now.network.metrics = vec![connections(1.0)];
    assert_eq!(compare(GATEWAY, None, Some(look(&now))).relief, Relief::CannotTell);
}

pub(crate) fn recovery(relief: Relief, now: Option<(u32, u32)>) -> Recovery {
    let held = |(at_least, at_most): (u32, u32)| HeldPorts {
        at_least,
        estimate: (at_least + at_most) / 2,
        at_most,
        at: "2026-11-18T02:30:00Z".parse().expect("valid"),
    };
    let ended = ended();
    let began = ended.gateways[0].began.as_ref().expect("told");
    Recovery {
        gateway: GATEWAY.into(),
        incident_id: Some(Incident::id(began)),
        began: began.alarm.as_ref().map(|alarm| alarm.at),
        relief,
        destination: Some(Compared {
            name: "203.0.113.10:443/tcp".into(),
            then: Some(held((55_000, 55_000))),
            now: now.map(held),
            capacity: Some(110_000),
        }),
        refused_then: Some(104_885.0),
        refused_in_all: None,
        connections_now: Some(if relief == Relief::StillFull { 109_200 } else { 1_734 }),
        changes: Vec::new(),
    }
}

/// What people get.
fn told(recovery: Vec<Recovery>) -> String {
    let event = event();
    let over = Trouble::over(&ended(), recovery, &event, Some("nat-triage-TriageFunction"));
    let message = Message::of_trouble(&over, HttpsReaders::Chat);
    people_get(&message, |json| assert_trouble(json, "a recovery"))
}

#[test]
fn a_recovery_says_what_was_held_and_what_is() {
    let mut freed = recovery(Relief::Freed, Some((1_190, 1_260)));
    let at = |text: &str| text.parse().expect("valid");
    freed.refused_in_all = Some(RefusedInAll {
        errors: 288_310.0,
        from: at("2026-11-18T02:11:00Z"),
        until: at("2026-11-18T02:31:05Z"),
        most_at: Some(at("2026-11-18T02:17:00Z")),
    });
    freed.changes = vec![
        "2 of the gateway's addresses take connections, instead of 1".into(),
        "10.0.1.47 held 44,000 ports to 203.0.113.10:443/tcp, and holds 310 now".into(),
    ];
    insta::assert_snapshot!(told(vec![freed]));
}

#[test]
fn what_may_nearly_be_full_is_not_called_recovered_by_its_ports() {
    let subject = |now| {
        let event = event();
        Trouble::over(&ended(), vec![recovery(Relief::Freed, Some(now))], &event, None).subject().to_owned()
    };
    let by_ports = "NAT nat-0a1b2c3d recovered: 203.0.113.10:443/tcp holds at most 87,999 of 110,000 ports";
    assert_eq!(subject((2, 87_999)), by_ports);
    assert_eq!(subject((2, 109_992)), "NAT nat-0a1b2c3d recovered: it has 1,734 connections in all");
}

#[test]
fn a_gateway_that_is_still_full_is_no_recovery() {
    insta::assert_snapshot!(told(vec![recovery(Relief::StillFull, Some((106_700, 110_000)))]));
}

#[test]
fn what_the_records_do_not_show_is_not_claimed() {
    insta::assert_snapshot!(told(vec![recovery(Relief::CannotTell, None)]));
}

#[test]
fn of_several_gateways_the_worst_is_the_answer() {
    let other = |relief| Recovery {
        gateway: "nat-0fedcba9876543210".into(),
        destination: None,
        ..recovery(relief, None)
    };
    let subject = |all: Vec<Recovery>| {
        let event = event();
        Trouble::over(&ended(), all, &event, None).subject().to_owned()
    };
    let freed = || recovery(Relief::Freed, Some((1_190, 1_260)));
    assert_eq!(
        subject(vec![freed(), other(Relief::StillFull)]),
        "nat-triage: errors stopped, but 1 of 2 NAT gateways is still full"
    );
    assert_eq!(
        subject(vec![freed(), other(Relief::CannotTell)]),
        "nat-triage: 1 of 2 NAT gateways has free ports; of the others that is not known"
    );
    assert_eq!(
        subject(vec![freed(), other(Relief::Freed)]),
        "nat-triage: all 2 NAT gateways of the alarm have free ports"
    );
    insta::assert_snapshot!(told(vec![freed(), other(Relief::CannotTell)]));
}

#[test]
fn an_end_that_was_not_looked_at_says_so() {
    insta::assert_snapshot!(told(Vec::new()));
}

#[test]
fn a_recovery_is_about_the_incident_that_its_alarm_told() {
    let began = ended().gateways[0].began.clone().expect("told");
    let mut fired = event();
    let data = &mut fired["alarmData"];
    data["state"] = data["previousState"].take();
    let Outcome::Incident(incident) = outcomes_from_event(&fired).remove(0) else { panic!("an alarm") };
    assert_eq!((incident.id(), incident.window), (began.id(), began.window));
}
