//! Each scenario has in it what it is named for.

mod support;

use std::collections::BTreeSet;

use nat_simulator::{LogFormat, Rule, Scenario, Simulation, View, Viewpoint};
use support::{Row, rows};

const CAPACITY: u32 = 120;
const SEEDS: std::ops::Range<u64> = 0..6;

fn of_gateway(scenario: Scenario, seed: u64) -> (Simulation, Vec<Row>) {
    let incident = scenario.incident(seed, CAPACITY);
    let simulation = incident.simulate();
    let rows = rows(&simulation, &View::of_gateway(&incident, LogFormat::v5()));
    (simulation, rows)
}

#[test]
fn a_private_server_is_what_is_exhausted() {
    for seed in SEEDS {
        let (simulation, _) = of_gateway(Scenario::PrivateServer, seed);
        assert!(simulation.truth().exhausted.expect("exhausted").address.is_private(), "seed {seed}");
    }
}

#[test]
fn an_earlier_burst_is_refused_and_over_before_the_rest_begins() {
    for seed in SEEDS {
        let incident = Scenario::EarlierBurst.incident(seed, CAPACITY);
        let simulation = incident.simulate();
        let alarmed = incident.start + i64::from(Scenario::EarlierBurst.alarmed_s(&incident).start);
        let errors = simulation.facts().errors;
        assert!(errors.iter().any(|(minute, _)| *minute < alarmed - 300), "seed {seed}: {errors:?}");
        assert!(errors.iter().any(|(minute, _)| *minute >= alarmed), "seed {seed}: {errors:?}");
        let exhausted = simulation.truth().exhausted.expect("exhausted");
        assert_eq!(exhausted, incident.destinations[incident.subject].triple, "seed {seed}");
    }
}

#[test]
fn of_eight_addresses_one_is_full_and_the_others_are_not() {
    for seed in SEEDS {
        let (simulation, rows) = of_gateway(Scenario::OneFullAddress, seed);
        let truth = simulation.truth();
        let exhausted = truth.exhausted.expect("exhausted");
        let top = truth.destinations.iter().find(|d| d.triple == exhausted).expect("listed");
        assert!((CAPACITY..CAPACITY * 4).contains(&top.peak), "seed {seed}: {}", top.peak);
        let address = exhausted.address.to_string();
        let to_it = rows.iter().filter(|row| row["dstaddr"] == address);
        let used: BTreeSet<&str> = to_it.map(|row| row["pkt-srcaddr"].as_str()).collect();
        assert!(used.len() < 8, "seed {seed}: {used:?}");
    }
}

#[test]
fn what_a_rule_turns_away_is_rejected_and_no_error() {
    for seed in SEEDS {
        let (simulation, rows) = of_gateway(Scenario::RejectInstead(Rule::AtGateway), seed);
        let rejected: Vec<&Row> = rows.iter().filter(|row| row["action"] == "REJECT").collect();
        assert!(rejected.len() > 100, "seed {seed}: {}", rejected.len());
        assert!(rejected.iter().all(|row| row["dstport"] == "25" && row["srcaddr"] == "10.0.60.201"));
        assert!(rows.iter().all(|row| row["dstaddr"] != "203.0.113.241"), "seed {seed}");
        assert_eq!((simulation.facts().errors, simulation.truth().exhausted), (vec![], None), "seed {seed}");
        let (simulation, rows) = of_gateway(Scenario::RejectBeside(Rule::AtGateway), seed);
        assert!(rows.iter().any(|row| row["action"] == "REJECT"), "seed {seed}");
        assert_ne!(simulation.truth().exhausted.expect("exhausted").port, 25, "seed {seed}");
    }
}

#[test]
fn a_later_burst_is_refused_after_the_minutes_of_the_alarm() {
    for seed in SEEDS {
        let incident = Scenario::LaterBurst.incident(seed, CAPACITY);
        let simulation = incident.simulate();
        let until = incident.start + i64::from(Scenario::LaterBurst.alarmed_s(&incident).end);
        let errors = simulation.facts().errors;
        assert!(errors.iter().any(|(minute, _)| *minute >= until), "seed {seed}: {errors:?}");
        assert!(errors.iter().any(|(minute, _)| *minute < until - 60), "seed {seed}: {errors:?}");
        let exhausted = simulation.truth().exhausted.expect("exhausted");
        assert_eq!(exhausted, incident.destinations[incident.subject].triple, "seed {seed}");
    }
}

#[test]
fn what_a_clients_own_rule_turns_away_shows_only_there() {
    for seed in SEEDS {
        let scenario = Scenario::RejectInstead(Rule::AtClient);
        let (simulation, at_gateway) = of_gateway(scenario, seed);
        assert!(at_gateway.iter().all(|row| row["action"] == "ACCEPT"), "seed {seed}");
        let of_clients = [Viewpoint::ClientInterfaces, Viewpoint::OtherInterfaces];
        let at_clients = rows(&simulation, &View::new(of_clients, LogFormat::v5()));
        let rejected: Vec<&Row> = at_clients.iter().filter(|row| row["action"] == "REJECT").collect();
        assert!(rejected.len() > 100, "seed {seed}: {}", rejected.len());
        assert!(rejected.iter().all(|row| row["dstaddr"] == "203.0.113.241" && row["packets"] != "0"));
        assert_eq!((simulation.facts().errors, simulation.truth().exhausted), (vec![], None), "seed {seed}");
    }
}

#[test]
fn a_crawler_calls_very_many_servers() {
    let (simulation, rows) = of_gateway(Scenario::Crawler(2_000), 1);
    let called = rows.iter().filter(|row| row["dstaddr"].starts_with("198.18."));
    let called: BTreeSet<&str> = called.map(|row| row["dstaddr"].as_str()).collect();
    assert!(called.len() > 1_500, "{}", called.len());
    assert!(simulation.truth().exhausted.is_some());
}
