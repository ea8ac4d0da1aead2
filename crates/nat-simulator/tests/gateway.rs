//! What the gateway does with ports, seen through its flow log, metrics and truth.

mod support;

use nat_simulator::{Behaviour, Incident, LogFormat, Span, View};
use support::{SERVER, START, abandoned, closed_soon, distinct, number, one_client, rows};

#[test]
fn an_abandoned_connection_holds_its_port_for_350_seconds() {
    let simulation = one_client(abandoned(), 1, 600).simulate();
    let held = simulation.held(SERVER).expect("the server is used");
    let last_packet = rows(&simulation, &View::of_gateway(simulation.incident(), LogFormat::v3_pkt()))
        .iter()
        .map(|row| number(row, "end") as i64 - START)
        .max()
        .expect("there are records") as usize;
    assert_eq!(held.iter().rposition(|&ports| ports == 1), Some(last_packet + 350));
    assert_eq!(simulation.metrics().iter().map(|minute| minute.idle_timeout_count).sum::<u64>(), 1);
}

#[test]
fn a_closed_connection_gives_its_port_back_at_once() {
    let simulation = one_client(closed_soon(), 5, 600).simulate();
    let held = simulation.held(SERVER).expect("the server is used");
    assert!(held.iter().rposition(|&ports| ports > 0).expect("ports were held") <= 2);
    assert_eq!(simulation.metrics().iter().map(|minute| minute.idle_timeout_count).sum::<u64>(), 0);
}

#[test]
fn a_fin_from_one_side_frees_nothing() {
    let behaviour = Behaviour::Leak {
        used_ms: Span::exactly(0),
        exchanges: Span::exactly(1),
        half_closed: 1.0,
        late: 0.0,
    };
    let incident = one_client(behaviour, 1, 300);
    let simulation = incident.simulate();
    let flags =
        distinct(&rows(&simulation, &View::of_gateway(&incident, LogFormat::v3_pkt())), &["tcp-flags"]);
    assert_eq!(flags, ["19", "2"]);
    assert_eq!(simulation.held(SERVER).and_then(|held| held.last().copied()), Some(1));
}

#[test]
fn a_refused_attempt_repeats_its_syn_and_shows_leg_a_alone() {
    let mut incident = one_client(abandoned(), 3, 120);
    incident.gateways[0].ports_per_address = 2;
    let simulation = incident.simulate();
    let rows = rows(&simulation, &View::of_gateway(&incident, LogFormat::v3_pkt()));
    let of_client: Vec<_> = rows.iter().filter(|row| row["pkt-srcaddr"] == "10.0.1.5").cloned().collect();
    let from_gateway: Vec<_> =
        rows.iter().filter(|row| row["pkt-srcaddr"] == "10.0.0.220").cloned().collect();
    assert_eq!(distinct(&of_client, &["srcport"]).len(), 3);
    assert_eq!(distinct(&from_gateway, &["srcport"]).len(), 2);
    // First SYN and repetitions after 1, 2 and 4 s: four packets of the same 5-tuple.
    let answered = distinct(
        &rows.iter().filter(|row| row["pkt-dstaddr"] == "10.0.1.5").cloned().collect::<Vec<_>>(),
        &["dstport"],
    );
    let refused: Vec<_> = of_client.iter().filter(|row| !answered.contains(&row["srcport"])).collect();
    assert_eq!(refused.iter().map(|row| number(row, "packets")).sum::<u64>(), 4);
    assert!(refused.iter().all(|row| row["tcp-flags"] == "2"));
    let first = refused.iter().map(|row| number(row, "start")).min();
    let last = refused.iter().map(|row| number(row, "end")).max();
    assert_eq!(last.zip(first).map(|(last, first)| last - first), Some(7));

    let errors: u64 = simulation.metrics().iter().map(|minute| minute.error_port_allocation).sum();
    assert_eq!((errors, simulation.truth().refused), (4, 4));
    assert_eq!(simulation.truth().exhausted, Some(SERVER));
}

#[test]
fn a_refused_attempt_may_come_back_from_another_client_port() {
    let mut incident = one_client(abandoned(), 2, 120);
    incident.gateways[0].ports_per_address = 1;
    incident.workloads[0].retry.reattempts = 1;
    let simulation = incident.simulate();
    assert_eq!(simulation.truth().refused, 8);
    assert_eq!(simulation.truth().destinations[0].attempts, 3);
}

#[test]
fn a_client_that_comes_back_after_the_timeout_gets_rst() {
    let behaviour = Behaviour::Leak {
        used_ms: Span::exactly(0),
        exchanges: Span::exactly(1),
        half_closed: 0.0,
        late: 1.0,
    };
    let incident = one_client(behaviour, 1, 600);
    let rows = rows(&incident.simulate(), &View::of_gateway(&incident, LogFormat::v3_pkt()));
    let late: Vec<_> = rows.into_iter().filter(|row| number(row, "start") as i64 > START + 340).collect();
    assert_eq!(
        distinct(&late, &["srcaddr", "dstaddr", "tcp-flags"]),
        ["10.0.0.220 10.0.1.5 4", "10.0.1.5 10.0.0.220 0"]
    );
}

#[test]
fn a_silent_server_leaves_two_legs_a_rejecting_one_frees_ports() {
    let silent = one_client(Behaviour::Unanswered { syn_retries: 3 }, 1, 300);
    let simulation = silent.simulate();
    let shown = rows(&simulation, &View::of_gateway(&silent, LogFormat::v3_pkt()));
    assert_eq!(
        distinct(&shown, &["srcaddr", "dstaddr", "tcp-flags"]),
        ["10.0.0.220 203.0.113.5 2", "10.0.1.5 10.0.0.220 2"]
    );
    assert_eq!(simulation.held(SERVER).and_then(|held| held.last().copied()), Some(1));
    assert_eq!(simulation.metrics()[0].connection_attempt_count, 1);
    assert_eq!(simulation.metrics()[0].connection_established_count, 0);

    let rejected = one_client(Behaviour::Rejected, 1, 300);
    let simulation = rejected.simulate();
    let shown = rows(&simulation, &View::of_gateway(&rejected, LogFormat::v3_pkt()));
    assert_eq!(distinct(&shown, &["tcp-flags"]), ["2", "4"]);
    assert_eq!(simulation.held(SERVER).and_then(|held| held.last().copied()), Some(0));
}

#[test]
fn a_client_cannot_hold_more_connections_than_it_has_ports() {
    let mut incident = one_client(abandoned(), 10, 60);
    (incident.clients[0].first_port, incident.clients[0].last_port) = (40_000, 40_005);
    let simulation = incident.simulate();
    assert_eq!(simulation.truth().destinations[0].peak, 6);
    assert_eq!(simulation.truth().local_failures, 4);
}

#[test]
#[should_panic(expected = "listed twice")]
fn a_destination_may_be_listed_once() {
    let mut incident: Incident = one_client(abandoned(), 1, 60);
    incident.destinations.push(incident.destinations[0].clone());
    incident.simulate();
}
