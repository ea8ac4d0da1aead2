//! Random incidents are what they say they are.

use std::collections::BTreeMap;

use nat_simulator::{GatewayKind, Incident, Pattern, Protocol, Scale};

/// Reads the spec, not the outcome.
fn subject(incident: &Incident) -> nat_simulator::Triple {
    incident.destinations[incident.subject].triple
}

#[test]
fn an_incident_exhausts_its_subject_or_stays_below_half() {
    for pattern in Pattern::ALL {
        for seed in 0..40 {
            for exhausts in [true, false] {
                let capacity = [100, 250, 600][seed as usize % 3];
                let incident = Incident::random_of(seed, Scale::Reduced { capacity }, pattern, exhausts);
                let simulation = incident.simulate();
                let truth = simulation.truth();
                let label = format!("{pattern} {seed} {exhausts}");
                let about = truth.destination(subject(&incident)).expect("the subject is used");
                if exhausts {
                    assert_eq!(truth.exhausted, Some(about.triple), "{label}");
                    assert_eq!(about.peak, about.capacity, "{label}");
                    assert!(about.refused >= 5, "{label}: {}", about.refused);
                    assert_eq!(about.refused, truth.refused, "{label}: only the subject refuses");
                } else {
                    assert_eq!((truth.exhausted, truth.refused), (None, 0), "{label}");
                    let most = truth.destinations.iter().map(|d| d.utilization()).fold(0.0, f64::max);
                    assert!(most <= 0.5, "{label}: {most}");
                }
                assert_eq!(truth.worst_client, about.clients.first().map(|client| client.address), "{label}");
                assert_eq!(truth.local_failures, 0, "{label}");
            }
        }
    }
}

#[test]
fn the_truth_adds_up() {
    for seed in 0..60 {
        let incident = Incident::random(seed, Scale::Reduced { capacity: 150 });
        let simulation = incident.simulate();
        let truth = simulation.truth();
        for destination in truth.destinations.iter().take(12) {
            let held = simulation.held(destination.triple).expect("it is used");
            let at_peak = (destination.peak_at - incident.start) as usize;
            assert_eq!(held.len(), incident.duration_s as usize);
            assert_eq!(held.iter().max(), Some(&destination.peak), "seed {seed}, {}", destination.triple);
            assert_eq!(held.iter().position(|&ports| ports == destination.peak), Some(at_peak));
            assert_eq!(destination.clients.iter().map(|client| client.held).sum::<u32>(), destination.peak);
            for zone in &destination.zones {
                assert!(zone.peak <= zone.capacity, "seed {seed}: {zone:?}");
            }
            let client = &destination.clients[0];
            let of_client = simulation.held_by(destination.triple, client.address).expect("it is used");
            assert!(of_client[at_peak] >= client.held);
            assert!(of_client.iter().zip(&held).all(|(part, whole)| part <= whole));
        }
        let errors: u64 = simulation.metrics().iter().map(|minute| minute.error_port_allocation).sum();
        assert_eq!(errors, truth.refused + 2 * u64::from(incident.unexplained_errors), "seed {seed}");
        assert_eq!(simulation.facts().errors.iter().map(|(_, sum)| sum).sum::<u64>(), errors);
    }
}

#[test]
fn active_connections_cover_the_ports_held_over_tcp() {
    for seed in 0..20 {
        let incident = Incident::random(seed, Scale::Reduced { capacity: 150 });
        let simulation = incident.simulate();
        let most_active = simulation.metrics().iter().map(|minute| minute.active_connection_count).max();
        let highest = simulation
            .truth()
            .destinations
            .iter()
            .filter(|destination| destination.triple.protocol == Protocol::Tcp)
            .map(|destination| u64::from(destination.zones.iter().map(|zone| zone.peak).max().unwrap_or(0)))
            .max();
        assert!(most_active >= highest, "seed {seed}: {most_active:?} {highest:?}");
    }
}

#[test]
fn every_pattern_and_kind_of_gateway_is_drawn() {
    let mut patterns: BTreeMap<Pattern, u32> = BTreeMap::new();
    let (mut kinds, mut exhausted, mut spurious) = ([0; 3], 0, 0);
    for seed in 0..300 {
        let incident = Incident::random(seed, Scale::Reduced { capacity: 100 });
        *patterns.entry(incident.pattern).or_default() += 1;
        kinds[match incident.gateways[0].kind {
            GatewayKind::Zonal => 0,
            GatewayKind::Regional => 1,
            GatewayKind::Private => 2,
        }] += 1;
        spurious += u32::from(incident.unexplained_errors > 0);
        exhausted += u32::from(incident.simulate().truth().exhausted.is_some());
    }
    assert_eq!(patterns.len(), Pattern::ALL.len());
    assert!(patterns.values().all(|&count| count > 25), "{patterns:?}");
    assert!(kinds.iter().all(|&count| count > 30), "{kinds:?}");
    assert!((190..260).contains(&exhausted), "{exhausted}");
    assert!((15..70).contains(&spurious), "{spurious}");
}

#[test]
fn one_client_leads_except_where_none_is_remarkable() {
    for pattern in Pattern::ALL {
        for seed in 0..20 {
            let incident = Incident::random_of(seed, Scale::Reduced { capacity: 400 }, pattern, true);
            let simulation = incident.simulate();
            let about = simulation.truth().destination(subject(&incident)).expect("the subject is used");
            let share = f64::from(about.clients[0].held) / f64::from(about.peak);
            if pattern == Pattern::FanIn {
                assert!(about.clients.len() >= 30 && share < 0.15, "{pattern} {seed}: {share}");
            } else {
                let second = about.clients.get(1).map_or(0, |client| client.held);
                assert!(about.clients[0].held > second, "{pattern} {seed}");
            }
        }
    }
}

#[test]
fn full_size_incidents_exhaust_55_000_ports_per_address() {
    for pattern in Pattern::ALL {
        for seed in 0..3 {
            let incident = Incident::random_of(seed, Scale::Full, pattern, true);
            let simulation = incident.simulate();
            let truth = simulation.truth();
            let about = truth.destination(subject(&incident)).expect("the subject is used");
            assert_eq!(truth.exhausted, Some(about.triple), "{pattern} {seed}");
            assert_eq!(about.peak, about.capacity, "{pattern} {seed}");
            assert_eq!(about.capacity % 55_000, 0);
            assert_eq!(truth.local_failures, 0, "{pattern} {seed}");
        }
    }
}
