//! The query this stand-in exists for: held ports per destination and instant, over flow records
//! of a NAT gateway's interface with all four legs of each connection.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write;
use std::time::Instant;

use insights_server::{Query, Statistics, Store, Window};

const GROUP: &str = "flow";
const STREAM: &str = "eni-0abc-all";
const START: i64 = 1_699_999_800;

struct Connection {
    client: &'static str,
    port: u16,
    destination: &'static str,
    first: i64,
    last: i64,
    closed: bool,
}

impl Connection {
    /// The four legs, one record each: client to NAT, NAT to server, and back.
    fn records(&self) -> [(i64, String); 4] {
        let Connection { client, port, destination, first, last, closed } = *self;
        let client_port = port / 2 + 1;
        let record = |from: &str, to: &str, from_port: u16, to_port: u16, flags: u8, real: (&str, &str)| {
            let line = format!(
                "5 123456789012 eni-0abc {from} {to} {from_port} {to_port} 6 5 500 {first} {last} ACCEPT OK {flags} {} {}",
                real.0, real.1
            );
            (first, line)
        };
        let flags = if closed { 3 } else { 2 };
        [
            record(client, "10.0.0.220", client_port, 443, flags, (client, destination)),
            record("10.0.0.220", destination, port, 443, flags, ("10.0.0.220", destination)),
            record(destination, "10.0.0.220", 443, port, 18, (destination, "10.0.0.220")),
            record("10.0.0.220", client, 443, client_port, 18, (destination, client)),
        ]
    }
}

fn query(instants: &[i64]) -> String {
    let mut held = String::new();
    let mut totals = String::new();
    for (at, instant) in instants.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        write!(held, "{comma}max(if(s <= {instant} and e + 350 * (1 - c) >= {instant}, 1, 0)) as h{at}")
            .unwrap();
        write!(totals, "{comma}sum(h{at}) as held{at}").unwrap();
    }
    format!(
        r#"# Held ports per destination, for every instant at once.
filter @logStream in ["eni-0abc-all"]
| parse @message "* * * * * * * * * * * * * * * * *" as nt_version, nt_account_id, nt_interface_id, nt_srcaddr, nt_dstaddr, nt_srcport, nt_dstport, nt_protocol, nt_packets, nt_bytes, nt_start, nt_end, nt_action, nt_log_status, nt_tcp_flags, nt_pkt_srcaddr, nt_pkt_dstaddr
| filter nt_log_status = "OK" and nt_action = "ACCEPT"
| fields if(nt_pkt_srcaddr in ["10.0.0.220"] or nt_pkt_dstaddr in ["10.0.0.220"], "gateway", "client") as side, if(nt_pkt_srcaddr in ["10.0.0.220"] or (nt_dstaddr in ["10.0.0.220"] and nt_pkt_dstaddr not in ["10.0.0.220"]), 1, 0) as outward, if(nt_tcp_flags % 2 = 1 or nt_tcp_flags % 8 >= 4, 1, 0) as closed, floor(nt_start / 60) as minute
| fields if(outward = 1, nt_pkt_dstaddr, nt_pkt_srcaddr) as dst, if(outward = 1, nt_dstport, nt_srcport) as dport, if(outward = 1, nt_pkt_srcaddr, nt_pkt_dstaddr) as holder, if(outward = 1, nt_srcport, nt_dstport) as port
| stats min(nt_start) as s, max(nt_end) as e, max(closed) as c, sum(nt_bytes) as b, count(*) as n by side, holder, port, dst, dport, nt_protocol, minute
| stats {held} by side, holder, port, dst, dport, nt_protocol
| stats {totals} by side, holder, dst, dport, nt_protocol
| sort held0 desc
| limit 10000"#
    )
}

fn run(store: &Store, instants: &[i64]) -> (Vec<String>, Statistics) {
    let output = Query::parse(&query(instants)).unwrap().run(store, &[GROUP], Window::ALL).unwrap();
    let line = |row: &Vec<(String, String)>| {
        row.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(" ")
    };
    (output.rows.iter().map(line).collect(), output.statistics)
}

fn store(connections: &[Connection]) -> Store {
    let store = Store::new();
    store.add_flow_log_lines(GROUP, STREAM, connections.iter().flat_map(Connection::records));
    store
}

#[test]
fn it_counts_held_ports_by_gateway_and_by_client() {
    let connection = |client, port, destination, first, last, closed| Connection {
        client,
        port,
        destination,
        first: START + first,
        last: START + last,
        closed,
    };
    let store = store(&[
        connection("10.0.1.5", 1024, "203.0.113.5", 0, 10, true),
        connection("10.0.1.5", 1026, "203.0.113.5", 0, 10, false),
        connection("10.0.1.6", 1028, "203.0.113.5", 300, 310, false),
        connection("10.0.1.6", 1030, "198.51.100.7", 0, 10, false),
    ]);
    store.add_flow_log_lines(GROUP, STREAM, [(START, "5 - eni-0abc - - - - - - - 1 2 - NODATA - - -")]);
    store.add_flow_log_lines(GROUP, "eni-0def-all", [(START, "another interface")]);
    // At 5 s all that started count; at 200 s the closed one is gone; at 370 s the first idle ones
    // have timed out as well.
    let (rows, statistics) = run(&store, &[START + 5, START + 200, START + 370]);
    assert_eq!(
        rows,
        [
            "client 10.0.1.5 203.0.113.5 443 6 2 1 0",
            "gateway 10.0.0.220 203.0.113.5 443 6 2 1 1",
            "client 10.0.1.6 198.51.100.7 443 6 1 1 0",
            "gateway 10.0.0.220 198.51.100.7 443 6 1 1 0",
            "client 10.0.1.6 203.0.113.5 443 6 0 0 1",
        ]
    );
    assert_eq!((statistics.records_scanned, statistics.records_matched), (17, 16));
    assert_eq!((statistics.estimated_records_skipped, statistics.estimated_bytes_skipped), (1, 17));
}

/// Six hundred thousand records and eighty instants: what a test of agreement works through. The
/// bound is generous, for slow machines; a few seconds is normal.
#[test]
fn it_works_through_six_hundred_thousand_records_in_seconds() {
    let destinations = ["203.0.113.5", "203.0.113.6", "198.51.100.7"];
    let connections: Vec<_> = (0..150_000_i64)
        .map(|at| Connection {
            client: ["10.0.1.5", "10.0.1.6", "10.0.1.7"][at as usize % 3],
            port: 1024 + (at % 50_000) as u16,
            destination: destinations[(at / 50_000) as usize],
            first: START + at % 900,
            last: START + at % 900 + 30,
            closed: at % 2 == 0,
        })
        .collect();
    let store = store(&connections);
    let instants: Vec<i64> = (0..80).map(|at| START + at * 12).collect();
    let started = Instant::now();
    let (rows, statistics) = run(&store, &instants);
    assert_eq!(statistics.records_scanned, 600_000);
    assert_eq!(rows.len(), 12);
    assert!(started.elapsed().as_secs() < 30, "took {:?}", started.elapsed());
}
