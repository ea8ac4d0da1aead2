//! The early warning: who is told when a destination fills up, and when it has room again.

use jiff::{SignedDuration, Timestamp};
use nat_simulator::{LogFormat, Pattern};
use nat_triage::contract::{Diagnosis, HeldPorts, MetricReport};
use nat_triage::gap::Gap;
use nat_triage::incident::TimeWindow;
use nat_triage::report::{HttpsReaders, Message, Trouble};
use nat_triage::telemetry::{GATEWAY_METRICS, NAMESPACE, RANK_METRIC, metrics_of_gateways};
use nat_triage::watch::{
    Connections, Filling, Fleet, Gate, Holder, Level, Memory, SCHEMA, Seen, State, Thresholds, Turn,
    WARNING_SCHEMA, Warning, Watch, Watched, Week, Weeks, latest, levels, table,
};
use serde_json::{Value, json};

use crate::ladder::Scene;
use crate::support::contract::{assert_trouble, assert_warning};
use crate::support::message::people_get;

const GATEWAY: &str = "nat-0a1b2c3d4e5f60718";
const SERVER: &str = "203.0.113.10:443/tcp";
const USUAL: Thresholds = Thresholds { warn: 0.8, clear: 0.7 };

fn now() -> Timestamp {
    "2026-11-18T02:31:00Z".parse().expect("valid")
}

fn minutes(minutes: i64) -> Timestamp {
    now() + SignedDuration::from_mins(minutes)
}

fn watched() -> Watched {
    Watched::new(&GATEWAY.parse().expect("valid"), None)
}

fn level(destination: &str, estimate: u32) -> Level {
    Level {
        destination: destination.into(),
        protocol: destination.rsplit('/').next().expect("one").into(),
        name: None,
        held: HeldPorts { at_least: estimate - 900, estimate, at_most: estimate + 1_100, at: minutes(-7) },
        capacity: 55_000,
        utilization: f64::from(estimate) / 55_000.0,
        utilization_by_now: f64::from(estimate) / 55_000.0,
        filling: None,
        holder: None,
    }
}

fn read(destinations: Vec<Level>, refused: f64) -> Seen {
    Seen {
        watched: watched(),
        connections: Some(60_000),
        capacity_per_destination: Some(55_000),
        state: State::Read { destinations, refused: Some(refused), logs_until: Some(minutes(-6)) },
    }
}

fn quiet(connections: u64) -> Seen {
    Seen { connections: Some(connections), state: State::Quiet, ..read(Vec::new(), 0.0) }
}

fn connections(most: Option<u64>) -> Connections {
    Connections { gateway: GATEWAY.parse().expect("valid"), zone: None, most, capacity: Some(55_000) }
}

fn names(turns: &[(Timestamp, Turn)]) -> Vec<&'static str> {
    turns.iter().map(|(_, turn)| turn.name()).collect()
}

#[test]
fn a_destination_is_told_of_once_until_it_has_room() {
    let mut memory = Memory::default();
    let mut take = |estimate: u32, at: i64| {
        let turns = memory.take_in(&read(vec![level(SERVER, estimate)], 0.0), USUAL, minutes(at));
        names(&turns).join(" ")
    };
    // 80 % is 44,000, and 70 % is 38,500.
    assert_eq!(take(43_900, 0), "");
    assert_eq!(take(44_100, 5), "filling");
    for (estimate, at) in [(47_000, 10), (43_000, 15), (45_000, 20), (38_600, 25)] {
        assert_eq!(take(estimate, at), "", "{estimate}");
    }
    assert_eq!(take(38_400, 30), "room-again");
    assert_eq!(take(30_000, 35), "");
    assert_eq!(take(44_100, 40), "filling");
}

#[test]
fn what_the_alarm_tells_is_no_warning() {
    let mut memory = Memory::default();
    let full = read(vec![level(SERVER, 53_000)], 12.0);
    assert!(memory.take_in(&full, USUAL, now()).is_empty());
    assert!(memory.take_in(&read(vec![level(SERVER, 10_000)], 0.0), USUAL, minutes(5)).is_empty());
}

#[test]
fn a_look_that_shows_nothing_ends_no_warning() {
    let mut memory = Memory::default();
    memory.take_in(&read(vec![level(SERVER, 45_000)], 0.0), USUAL, now());
    let missing = Gap::new("how full the gateway is", "denied", "allow it");
    let unknown = Seen { state: State::Unknown { missing }, ..quiet(60_000) };
    let no_records = Seen {
        state: State::Read { destinations: Vec::new(), refused: None, logs_until: None },
        ..quiet(60_000)
    };
    for nothing in [unknown, no_records] {
        assert!(memory.take_in(&nothing, USUAL, minutes(5)).is_empty());
    }
    let room = memory.take_in(&quiet(300), USUAL, minutes(10));
    assert_eq!(names(&room), ["room-again"]);
    assert_eq!(room[0].0, now(), "since when it was told of");
}

#[test]
fn a_destination_that_left_the_fullest_has_room() {
    let mut memory = Memory::default();
    memory.take_in(&read(vec![level(SERVER, 45_000)], 0.0), USUAL, now());
    let others = ["198.51.100.1:443/tcp", "198.51.100.2:443/tcp", "198.51.100.3:443/tcp"];
    let of = |estimate| others.iter().map(|other| level(other, estimate)).collect::<Vec<_>>();
    // Three others are fuller: it may hold as much as the last of them.
    let turns = memory.take_in(&read(of(40_000), 0.0), USUAL, minutes(5));
    assert!(turns.is_empty(), "{turns:?}");
    assert_eq!(names(&memory.take_in(&read(of(30_000), 0.0), USUAL, minutes(10))), ["room-again"]);
}

#[test]
fn few_connections_in_all_ask_nothing() {
    let memory = Memory::default();
    let gate = |most| memory.gate(&connections(most), USUAL, now());
    assert_eq!(gate(Some(38_499)), Gate::Quiet);
    assert_eq!(gate(Some(38_500)), Gate::Ask);
    assert_eq!(gate(None), Gate::Ask);
}

#[test]
fn a_full_udp_destination_is_asked_after_until_it_has_room() {
    let mut memory = Memory::default();
    memory.take_in(&read(vec![level("198.51.100.53:53/udp", 50_000)], 0.0), USUAL, now());
    // CloudWatch counts TCP connections only.
    assert_eq!(memory.gate(&connections(Some(10)), USUAL, minutes(5)), Gate::Ask);
}

#[test]
fn a_gateway_far_from_full_rests_until_it_grows() {
    let mut memory = Memory::default();
    memory.take_in(&read(vec![level(SERVER, 10_000)], 0.0), USUAL, now());
    let gate = |most, at| memory.gate(&connections(Some(most)), USUAL, minutes(at));
    assert_eq!(gate(60_000, 5), Gate::Rest(now()));
    // 11,100 at the very most, and 32,900 connections more would come to a warning.
    assert_eq!((gate(92_800, 5), gate(93_000, 5)), (Gate::Rest(now()), Gate::Ask));
    assert_eq!(gate(60_000, 30), Gate::Ask, "half an hour is enough");
    memory.take_in(&read(vec![level(SERVER, 45_000)], 0.0), USUAL, minutes(6));
    assert_eq!(memory.gate(&connections(Some(60_000)), USUAL, minutes(11)), Gate::Ask, "readers were warned");
}

#[test]
fn a_day_scans_no_more_than_it_may() {
    let mut memory = Memory::default();
    memory.add_scanned(700, now());
    memory.add_scanned(200, minutes(5));
    assert_eq!(memory.bytes_left(1_000, minutes(10)), 100);
    assert_eq!(memory.bytes_left(800, minutes(10)), 0);
    assert_eq!(memory.bytes_left(1_000, minutes(24 * 60)), 1_000, "tomorrow");
}

#[test]
fn what_was_told_outlives_the_process() {
    let mut memory = Memory::default();
    memory.take_in(&read(vec![level(SERVER, 45_000)], 0.0), USUAL, now());
    let text = serde_json::to_string(&memory).expect("JSON");
    let mut kept: Memory = serde_json::from_str(&text).expect("what was written");
    assert_eq!(kept, memory);
    assert!(kept.take_in(&read(vec![level(SERVER, 45_000)], 0.0), USUAL, minutes(5)).is_empty());
}

#[tokio::test]
async fn connections_in_all_narrow_what_no_flag_ends() {
    // Without tcp-flags nothing tells what was closed from what was left open.
    let scene = Scene::of(Pattern::Leak, &LogFormat::v3_pkt());
    let facts = scene.simulation.facts();
    let first_error = Timestamp::from_second(facts.errors[0].0).expect("this century");
    let window = TimeWindow::new(first_error - SignedDuration::from_mins(20), first_error).expect("valid");
    let mut diagnosis = scene.look_at(window).await.diagnosis;
    let full = scene.simulation.truth().exhausted.expect("it fills up").to_string();
    let utilization = |diagnosis: &Diagnosis| {
        let levels = levels(diagnosis, first_error);
        levels.iter().find(|level| level.destination == full).map_or(0.0, |level| level.utilization)
    };
    let untold = utilization(&diagnosis);
    diagnosis.metrics.push(MetricReport {
        name: "ActiveConnectionCount".into(),
        statistic: "Maximum".into(),
        value: 0.0,
        baseline: None,
        day_before: None,
        change: None,
    });
    let mut counting = |connections: f64| {
        diagnosis.metrics.last_mut().expect("one").value = connections;
        utilization(&diagnosis)
    };
    let (few, many) = (counting(10.0), counting(1_000.0));
    assert!(few < untold && untold < many, "{few} {untold} {many}");
}

#[test]
fn the_minutes_looked_at_are_whole_and_end_now() {
    let window = latest("2026-11-18T02:31:17Z".parse().expect("valid"));
    assert_eq!(window.to_string(), "2026-11-18T02:11:00Z/2026-11-18T02:31:00Z");
}

pub(crate) fn warning(turn: Turn) -> Warning {
    Warning {
        schema: WARNING_SCHEMA,
        id: "nt-0123456789abcdef".into(),
        at: now(),
        since: now(),
        region: Some("eu-west-1".into()),
        watched: watched(),
        window: latest(now()),
        turn,
    }
}

pub(crate) fn filling() -> Turn {
    let filling =
        Filling { ports_a_minute: 903.4, minutes: 12, full_from: minutes(4), full_until: Some(minutes(12)) };
    let holder =
        Holder { address: "10.0.1.47".into(), name: Some("instance i-0123 (batch)".into()), share: 0.8 };
    Turn::Filling {
        level: Level {
            utilization_by_now: 0.91,
            filling: Some(filling),
            holder: Some(holder),
            ..level(SERVER, 41_800)
        },
        refused: Some(0.0),
    }
}

pub(crate) fn room_again() -> Turn {
    Turn::RoomAgain { destination: SERVER.into(), now: Some(level(SERVER, 33_000)), connections: None }
}

/// What people get, and what machines do.
fn told(turn: Turn) -> String {
    let message = Message::of_warning(&warning(turn), HttpsReaders::Chat);
    people_get(&message, |json| assert_warning(json, "a warning"))
}

#[test]
fn a_warning_says_who_fills_what_and_when_it_is_full() {
    insta::assert_snapshot!(told(filling()));
}

#[test]
fn a_warning_without_a_trend_gives_no_time() {
    insta::assert_snapshot!(told(Turn::Filling { level: level(SERVER, 46_200), refused: None }));
}

#[test]
fn the_end_of_a_warning_says_how_much_room_there_is() {
    insta::assert_snapshot!(told(room_again()));
    let few = Turn::RoomAgain { destination: SERVER.into(), now: None, connections: Some(310) };
    insta::assert_snapshot!("few_connections_end_a_warning", told(few));
}

#[test]
fn a_warning_of_a_gateway_that_is_gone_is_over() {
    let mut memory = Memory::default();
    memory.take_in(&read(vec![level(SERVER, 46_200)], 0.0), USUAL, minutes(0));
    let there_is = |id: &str| [id.parse().expect("valid")];
    assert_eq!(memory.forget_others(&there_is(GATEWAY)), []);
    let gone = Turn::Gone { destination: SERVER.into() };
    assert_eq!(
        memory.forget_others(&there_is("nat-0fedcba9876543210")),
        [(watched(), minutes(0), gone.clone())]
    );
    assert_eq!(memory, Memory::default());
    insta::assert_snapshot!(told(gone));
}

#[test]
fn readers_are_told_that_watching_stopped_once_a_week() {
    let mut memory = Memory::default();
    let told: Vec<i64> =
        (0..21).filter(|day| memory.tell_of_stop(now() + SignedDuration::from_hours(24 * day))).collect();
    assert_eq!(told, [0, 7, 14]);
    let event = json!({ "watch": true });
    let gateways =
        [watched(), Watched::new(&"nat-0fedcba9876543210".parse().expect("valid"), Some("eu-west-1a"))];
    let stopped = Trouble::stopped(&event, &gateways, 20.0, now());
    let message = Message::of_trouble(&stopped, HttpsReaders::Chat);
    insta::assert_snapshot!(people_get(&message, |json| assert_trouble(json, "stopped")));
}

fn watch(gateways: Vec<Seen>) -> Watch {
    Watch {
        schema: SCHEMA,
        at: now(),
        region: Some("eu-west-1".into()),
        gateways,
        gaps: Vec::new(),
        beyond_limit: Vec::new(),
        scanned_bytes: 7_340_032,
        told: Vec::new(),
    }
}

fn several() -> Watch {
    let Turn::Filling { level: fullest, .. } = filling() else { unreachable!() };
    let missing = Gap::new("how full the gateway is", "no flow log covers it", "aws ec2 create-flow-logs …");
    let other = |zone: &str, seen: Seen| Seen {
        watched: Watched::new(&"nat-0fedcba9876543210".parse().expect("valid"), Some(zone)),
        ..seen
    };
    watch(vec![
        read(vec![fullest, level("198.51.100.7:5432/tcp", 9_000)], 0.0),
        other("eu-west-1a", quiet(1_200)),
        other("eu-west-1b", Seen { state: State::Resting { since: minutes(-10) }, ..quiet(80_000) }),
        other("eu-west-1c", Seen { state: State::Unknown { missing }, ..quiet(70_000) }),
    ])
}

#[test]
fn the_table_has_a_paragraph_for_each_gateway() {
    insta::assert_snapshot!(table(&several()));
    assert!(!several().is_whole(), "one is not known");
}

#[test]
fn a_gateways_metrics_do_not_grow_with_destinations() {
    let levels = (0..3).map(|n| level(&format!("198.51.100.{n}:443/tcp"), 20_000)).collect();
    let lines = metrics_of_gateways(&watch(vec![read(levels, 3.0), quiet(10)]));
    assert_eq!(lines.len(), 4, "one, and one for each rank: {lines:#?}");
    for line in lines {
        let line: Value = serde_json::from_str(&line).expect("JSON");
        let [directive] = &line["_aws"]["CloudWatchMetrics"].as_array().expect("a list")[..] else {
            panic!("{line}")
        };
        assert_eq!(directive["Namespace"], NAMESPACE);
        for dimension in directive["Dimensions"][0].as_array().expect("one set") {
            let name = dimension.as_str().expect("a name");
            assert!(["NatGatewayId", "Rank"].contains(&name) && line[name].is_string(), "{line}");
        }
        for metric in directive["Metrics"].as_array().expect("a list") {
            let named = (metric["Name"].as_str().expect("text"), metric["Unit"].as_str().expect("text"));
            assert!(GATEWAY_METRICS.contains(&named) || RANK_METRIC == named, "{metric}");
            assert!(line[named.0].is_number(), "{line}");
        }
    }
}

fn weeks(gateway: &str, this_week: Week, week_before: Week, missing: Option<&[&str]>) -> Weeks {
    Weeks {
        gateway: gateway.into(),
        vpc_id: Some("vpc-0123456789abcdef0".into()),
        this_week,
        week_before,
        without_endpoint: missing.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
    }
}

fn week(fullest_percent: Option<f64>, connections: u64, refused: u64, gib: u64) -> Week {
    Week {
        fullest_percent,
        connections: Some(connections),
        refused: Some(refused),
        bytes: Some(gib * 1_073_741_824),
    }
}

fn fleet() -> Fleet {
    let gap = Gap::new("which gateway endpoints there are", "denied", "allow it");
    let gateways = vec![
        weeks("nat-0fedcba9876543210", week(None, 1_200, 0, 3), Week::default(), None),
        weeks(
            GATEWAY,
            week(Some(84.0), 61_000, 0, 1_240),
            week(Some(61.0), 48_000, 12, 1_100),
            Some(&["S3"]),
        ),
        weeks("nat-0aaaaaaaaaaaaaaaa", week(None, 90_000, 0, 0), week(None, 80_000, 0, 0), Some(&[])),
    ];
    Fleet::new(now(), Some("eu-west-1"), gateways, vec![gap])
}

#[test]
fn the_weekly_page_has_the_fullest_gateways_first() {
    let message = Message::of_fleet(&fleet(), HttpsReaders::Chat);
    let body: Value = serde_json::from_str(&message.body).expect("JSON");
    let text = |key: &str| body[key].as_str().expect("text");
    let chat: Value = serde_json::from_str(text("https")).expect("JSON");
    insta::assert_snapshot!(format!(
        "Subject: {}\n{:?}\n\n{}\n--- sms\n{}\n--- chat\n{}\n",
        message.subject,
        message.attributes,
        text("email"),
        text("sms"),
        chat["content"]["description"].as_str().expect("text")
    ));
    let machines: Value = serde_json::from_str(text("default")).expect("JSON");
    assert_eq!(machines, fleet().to_json());
}

#[test]
fn a_week_with_refusals_says_so_in_its_subject() {
    let refused = weeks(GATEWAY, week(Some(100.0), 61_000, 9, 1), Week::default(), None);
    let fleet = Fleet::new(now(), None, vec![refused], Vec::new());
    let subject = Message::of_fleet(&fleet, HttpsReaders::Chat).subject;
    assert_eq!(subject, "nat-triage: 1 NAT gateway; it refused connections this week");
}

#[test]
fn a_week_that_nobody_saw_is_not_called_a_good_one() {
    let subject = |weeks: Vec<Weeks>, gaps: Vec<Gap>| {
        Message::of_fleet(&Fleet::new(now(), None, weeks, gaps), HttpsReaders::Chat).subject
    };
    let unseen = || vec![weeks(GATEWAY, week(None, 61_000, 0, 1), Week::default(), None)];
    let gap = || vec![Gap::new("how full it was", "denied", "allow it")];
    assert_eq!(
        [subject(unseen(), Vec::new()), subject(unseen(), gap()), subject(Vec::new(), gap())],
        [
            "nat-triage: 1 NAT gateway; early warning read no flow logs this week",
            "nat-triage: 1 NAT gateway; how full they were this week is not known",
            "nat-triage: the NAT gateways could not be looked up",
        ]
    );
}
