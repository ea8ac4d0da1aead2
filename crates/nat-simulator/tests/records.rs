//! Records as a whole: nothing lost, nothing counted twice, late as real ones are.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use nat_simulator::{Duplicates, FlowKey, Incident, LogFormat, Scale, Simulation, View, Viewpoint};
use support::{abandoned, closed_soon, number, one_client, row, rows};

const SCALE: Scale = Scale::Reduced { capacity: 120 };

fn packets_metered(simulation: &Simulation) -> u64 {
    let of_minute = |m: &nat_simulator::MinuteMetrics| {
        m.packets_in_from_source
            + m.packets_out_to_destination
            + m.packets_in_from_destination
            + m.packets_out_to_source
    };
    simulation.metrics().iter().map(of_minute).sum()
}

fn packets_recorded(simulation: &Simulation, view: &View) -> u64 {
    rows(simulation, view).iter().map(|row| number(row, "packets")).sum()
}

#[test]
fn every_packet_is_in_exactly_one_record() {
    for seed in 0..12 {
        let incident = Incident::random(seed, SCALE);
        let simulation = incident.simulate();
        let metered = packets_metered(&simulation);
        let view = View::of_gateway(&incident, LogFormat::v2_default());
        for aggregation_s in [60, 600] {
            for key in [FlowKey::Packet, FlowKey::Shown] {
                let view = View { aggregation_s, key, ..view.clone() };
                assert_eq!(packets_recorded(&simulation, &view), metered, "seed {seed}, {aggregation_s} s");
            }
        }
        for duplicates in [Duplicates::Exact, Duplicates::Overlapping] {
            let view = View { duplicates, ..view.clone() };
            assert_eq!(packets_recorded(&simulation, &view), 2 * metered, "seed {seed}, {duplicates:?}");
        }
    }
}

#[test]
fn exact_duplicates_are_the_same_lines_twice() {
    let incident = Incident::random(3, SCALE);
    let view = View { duplicates: Duplicates::Exact, ..View::of_gateway(&incident, LogFormat::v5()) };
    let mut lines: BTreeMap<String, u32> = BTreeMap::new();
    for record in incident.simulate().records(&view) {
        *lines.entry(record.line).or_default() += 1;
    }
    assert!(lines.values().all(|count| count % 2 == 0));
}

#[test]
fn no_record_is_longer_than_its_window() {
    for (seed, aggregation_s) in [(1, 60), (2, 60), (3, 600), (4, 600)] {
        let incident = Incident::random(seed, SCALE);
        let view = View { aggregation_s, ..View::of_gateway(&incident, LogFormat::v3_pkt()) };
        let mut last_end: BTreeMap<String, u64> = BTreeMap::new();
        let mut records = incident.simulate().records(&view);
        records.sort_by_key(|record| record.timestamp);
        for record in &records {
            let row = row(&view.format, record);
            let (start, end) = (number(&row, "start"), number(&row, "end"));
            assert!(start <= end && end - start < u64::from(aggregation_s), "{}", record.line);
            assert_eq!(start as i64, record.timestamp);
            let flow = ["srcaddr", "dstaddr", "srcport", "dstport", "protocol", "pkt-srcaddr", "pkt-dstaddr"]
                .map(|field| row[field].as_str())
                .join(" ");
            if let Some(last) = last_end.insert(flow, end) {
                assert!(last < start, "two records overlap: {}", record.line);
            }
        }
    }
}

#[test]
fn a_five_tuple_used_twice_in_a_window_is_one_record() {
    let mut incident = one_client(closed_soon(), 2, 60);
    // One port on either side, and the second connection waits for the first.
    incident.gateways[0].ports_per_address = 1;
    (incident.clients[0].first_port, incident.clients[0].last_port) = (40_000, 40_000);
    incident.workloads[0].phases[0].to_s = 20;
    incident.workloads[0].phases[0].arrivals = nat_simulator::Arrivals::Bursts { every_s: 10, size: 1 };
    let simulation = incident.simulate();
    assert_eq!(simulation.truth().destinations[0].attempts, 2);
    let view = View { aggregation_s: 600, ..View::of_gateway(&incident, LogFormat::v3_pkt()) };
    let legs_a: Vec<_> =
        rows(&simulation, &view).into_iter().filter(|row| row["srcaddr"] == "10.0.1.5").collect();
    assert_eq!(legs_a.len(), 1);
    assert_eq!(legs_a[0]["tcp-flags"], "3");
    assert!(number(&legs_a[0], "end") - number(&legs_a[0], "start") >= 9);
}

#[test]
fn records_arrive_late_and_can_be_cut_off_there() {
    let incident = Incident::random(5, SCALE);
    let simulation = incident.simulate();
    let view = View::of_gateway(&incident, LogFormat::v3_pkt());
    let all = simulation.records(&view);
    assert!(all.is_sorted_by_key(|record| record.delivered_at));
    for record in &all {
        let delay = record.delivered_at - record.timestamp;
        assert!((240..=60 + 420 + 20).contains(&delay), "{delay} s");
    }
    let by = all[all.len() / 2].delivered_at;
    let early = simulation.records(&View { delivered_by: Some(by), ..view });
    assert!(!early.is_empty() && early.len() < all.len());
    assert_eq!(early, all[..early.len()]);
}

#[test]
fn skipdata_hides_its_share_and_says_so() {
    let incident = Incident::random(6, SCALE);
    let simulation = incident.simulate();
    let view = View::of_gateway(&incident, LogFormat::v3_pkt());
    let whole = simulation.records(&view).len() as f64;
    let view = View { skipdata_share: 0.2, ..view };
    let rows = rows(&simulation, &view);
    let (skipped, kept): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row["log-status"] == "SKIPDATA");
    assert!(!skipped.is_empty());
    assert!(skipped.iter().all(|row| row["srcaddr"] == "-" && row["packets"] == "-" && row["action"] == "-"));
    assert!((kept.len() as f64 / whole - 0.8).abs() < 0.05);
}

#[test]
fn an_idle_interface_has_nodata_records() {
    let incident = one_client(abandoned(), 1, 600);
    let view = View { nodata: true, ..View::of_vpc(LogFormat::v2_default()) };
    let rows = rows(&incident.simulate(), &view);
    let nodata: Vec<_> = rows.iter().filter(|row| row["log-status"] == "NODATA").collect();
    assert!((16..=20).contains(&nodata.len()), "{} for two interfaces over ten minutes", nodata.len());
    assert!(
        nodata.iter().all(|row| row["srcport"] == "-" && number(row, "end") - number(row, "start") == 59)
    );
}

#[test]
fn skew_moves_times_within_its_bound_and_nothing_else() {
    let incident = Incident::random(7, SCALE);
    let simulation = incident.simulate();
    let view = View::of_gateway(&incident, LogFormat::v3_pkt());
    let count = |view: &View| {
        let rows = rows(&simulation, view);
        let starts: u64 = rows.iter().map(|row| number(row, "start")).sum();
        assert!(rows.iter().all(|row| number(row, "start") <= number(row, "end")));
        (rows.len(), rows.iter().map(|row| number(row, "packets")).sum::<u64>(), starts)
    };
    let (plain, skewed) = (count(&view), count(&View { skew_s: 60, ..view.clone() }));
    assert_eq!((plain.0, plain.1), (skewed.0, skewed.1));
    assert_ne!(plain.2, skewed.2);
    assert!(plain.2.abs_diff(skewed.2) <= 60 * plain.0 as u64);
}

#[test]
fn a_flow_log_created_late_shows_nothing_earlier() {
    let incident = Incident::random(8, SCALE);
    let from = incident.start + 200;
    let view = View { logged_from: Some(from), ..View::of_gateway(&incident, LogFormat::v2_default()) };
    let records = incident.simulate().records(&view);
    assert!(!records.is_empty());
    assert!(records.iter().all(|record| record.timestamp >= from));
}

#[test]
fn the_same_incident_gives_the_same_bytes() {
    let text = |seed| {
        let incident = Incident::random(seed, SCALE);
        let view = View { nodata: true, skipdata_share: 0.01, skew_s: 30, ..View::of_vpc(LogFormat::v11()) };
        let mut out = Vec::new();
        let count = incident.simulate().write_text(&view, &mut out).expect("memory takes any text");
        assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count() as u64, count + 1);
        out
    };
    assert!(text(11) == text(11));
    assert!(text(11) != text(12));
}

#[test]
fn a_vpc_flow_log_is_the_sum_of_its_interfaces() {
    for seed in 0..20 {
        let incident = Incident::random(seed, SCALE);
        let simulation = incident.simulate();
        let format = LogFormat::recommended();
        let lines =
            |view: &View| simulation.records(view).into_iter().map(|record| record.line).collect::<Vec<_>>();
        let all = simulation.records(&View::of_vpc(format.clone()));
        let mut parts: Vec<String> = [
            Viewpoint::GatewayInterface,
            Viewpoint::Regional,
            Viewpoint::ClientInterfaces,
            Viewpoint::OtherInterfaces,
            Viewpoint::OtherGateways,
        ]
        .into_iter()
        .flat_map(|viewpoint| lines(&View::new([viewpoint], format.clone())))
        .collect();
        let mut whole: Vec<&str> = all.iter().map(|record| record.line.as_str()).collect();
        parts.sort();
        whole.sort_unstable();
        assert_eq!(whole, parts, "seed {seed}");
        let streams: BTreeSet<&str> = all.iter().map(|record| &*record.stream).collect();
        assert!(streams.len() > 4);
    }
}
