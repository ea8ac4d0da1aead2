//! The repository's sample: a leak that takes all 55,000 ports towards one destination, with a
//! busier destination and a heavier client that are innocent.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use jiff::Timestamp;

use crate::flow_log::{Field, LogFormat, Record, View};
use crate::ports::{Allocation, PORTS_PER_ADDRESS};
use crate::simulation::Simulation;
use crate::spec::{
    AddressChoice, Arrivals, Behaviour, Client, Closing, Destination, Exchange, Gateway, GatewayKind,
    Incident, NatAddress, Pattern, Phase, Protocol, Retry, Route, Span, Triple, Weighted, Workload, Zone,
};

/// Name of the file of flow-log records.
pub const LOG_FILE: &str = "leak.log.zst";

/// Name of the file that says what the other is.
pub const README_FILE: &str = "README.md";

const SEED: u64 = 20_261_118;
/// 2026-11-18T02:14:00Z.
const END: i64 = 1_794_968_040;
const DURATION_S: u32 = 20 * 60;
/// A new release begins to leak this long after the start.
const LEAK_FROM_S: u32 = 12 * 60 + 40;

const SUBJECT: usize = 0;
const BUSY: usize = 1;
const BULK: usize = 2;
const DATABASE: usize = 3;
const RESOLVER: usize = 4;
const PINGED: usize = 5;
const STRANGER: usize = 6;
const FIRST_WEB: usize = 7;

const LEAKING: usize = 0;
const HEAVY: usize = 3;
const FIRST_APP: usize = 4;

/// The incident that the sample shows.
pub fn incident() -> Incident {
    let whole = |arrivals| Phase { from_s: 0, to_s: DURATION_S, arrivals };
    let poisson = |per_second| whole(Arrivals::Poisson { per_second });
    let once = |size| whole(Arrivals::Bursts { every_s: DURATION_S, size });
    let clients = clients();
    let apps = || Weighted::evenly(FIRST_APP..clients.len());
    let everyone = || Weighted::evenly(0..clients.len());
    let workload =
        |name: &str, clients: Vec<Weighted>, to: Vec<Weighted>, phase: Phase, behaviour, exchange| Workload {
            name: name.to_owned(),
            route: Route::Gateway(0),
            clients,
            destinations: to,
            phases: vec![phase],
            behaviour,
            exchange,
            retry: Retry::USUAL,
        };
    let to = |index| Weighted::evenly([index]);
    let kept = |every_s, lasts_s| Behaviour::LongLived { every_s, lasts_s, closing: Closing::MIXED };
    let datagrams = |used_ms, exchanges| Behaviour::Leak { used_ms, exchanges, half_closed: 0.0, late: 0.0 };

    let workloads = vec![
        workload(
            "opened and abandoned",
            [80, 11, 9].iter().enumerate().map(|(index, &weight)| Weighted { index, weight }).collect(),
            to(SUBJECT),
            Phase {
                from_s: LEAK_FROM_S,
                to_s: DURATION_S,
                arrivals: Arrivals::Poisson { per_second: 182.0 },
            },
            Behaviour::Leak {
                used_ms: Span::new(800, 4_200),
                exchanges: Span::exactly(2),
                half_closed: 0.0,
                late: 0.01,
            },
            Exchange {
                request_packets: Span::exactly(2),
                request_bytes: Span::new(690, 693),
                response_packets: Span::exactly(3),
                response_bytes: Span::new(1_820, 1_823),
            },
        ),
        workload(
            "busy, short",
            apps(),
            to(BUSY),
            poisson(66.0),
            Behaviour::Short {
                lasts_ms: Span::new(60, 300),
                exchanges: Span::exactly(1),
                closing: Closing { client: 90, server: 8, reset: 2 },
            },
            Exchange {
                request_packets: Span::exactly(2),
                request_bytes: Span::new(820, 823),
                response_packets: Span::exactly(22),
                response_bytes: Span::new(30_400, 30_407),
            },
        ),
        workload(
            "busy, kept",
            apps(),
            to(BUSY),
            once(2_600),
            kept(Span::new(12, 30), None),
            Exchange {
                request_packets: Span::exactly(2),
                request_bytes: Span::exactly(820),
                response_packets: Span::exactly(22),
                response_bytes: Span::exactly(30_400),
            },
        ),
        workload(
            "bulk transfer",
            to(HEAVY),
            to(BULK),
            once(6),
            kept(Span::new(1, 2), None),
            Exchange {
                response_packets: Span::new(2_000, 4_500),
                response_bytes: Span::new(2_800_000, 6_500_000),
                ..Exchange::BULK
            },
        ),
        workload(
            "database pool",
            apps(),
            to(DATABASE),
            once(120),
            kept(Span::new(1, 12), Some(Span::new(60, 900))),
            Exchange::SMALL,
        ),
        workload(
            "web",
            everyone(),
            Weighted::evenly(FIRST_WEB..FIRST_WEB + 5),
            poisson(4.0),
            Behaviour::Short {
                lasts_ms: Span::new(100, 3_000),
                exchanges: Span::new(1, 4),
                closing: Closing::MIXED,
            },
            Exchange::SMALL,
        ),
        workload(
            "dns",
            everyone(),
            to(RESOLVER),
            poisson(3.0),
            datagrams(Span::exactly(0), Span::exactly(1)),
            Exchange::DATAGRAM,
        ),
        workload(
            "ping",
            apps(),
            to(PINGED),
            poisson(0.05),
            datagrams(Span::new(3_000, 9_000), Span::new(4, 10)),
            Exchange::DATAGRAM,
        ),
        workload(
            "unsolicited",
            Vec::new(),
            to(STRANGER),
            poisson(0.3),
            Behaviour::Unsolicited,
            Exchange::DATAGRAM,
        ),
    ];

    Incident {
        seed: SEED,
        start: END - i64::from(DURATION_S),
        duration_s: DURATION_S,
        region: "us-east-1".to_owned(),
        account_id: "123456789012".to_owned(),
        vpc_id: "vpc-0c3d4e5f6a7b8c9d0".to_owned(),
        vpc_cidrs: vec!["10.0.0.0/16".to_owned()],
        zones: ["a", "b", "c"]
            .iter()
            .enumerate()
            .map(|(i, letter)| Zone { name: format!("us-east-1{letter}"), id: format!("use1-az{}", i + 1) })
            .collect(),
        gateways: vec![Gateway {
            id: "nat-0a1b2c3d4e5f60718".to_owned(),
            kind: GatewayKind::Zonal,
            interface_id: Some("eni-0f1e2d3c4b5a69788".to_owned()),
            subnet_id: Some("subnet-0a9b8c7d6e5f40312".to_owned()),
            addresses: vec![NatAddress {
                private: Some(Ipv4Addr::new(10, 0, 0, 220)),
                public: Some(Ipv4Addr::new(192, 0, 2, 44)),
                zone: 0,
            }],
            ports_per_address: PORTS_PER_ADDRESS,
            allocation: Allocation::LeastRecentlyUsed,
            address_choice: AddressChoice::HashOfFlow,
        }],
        clients,
        destinations: destinations(),
        workloads,
        pattern: Pattern::Leak,
        subject: SUBJECT,
        unexplained_errors: 0,
    }
}

fn clients() -> Vec<Client> {
    let leaking = [(1, 47), (2, 31), (3, 12)];
    let heavy = [(3, 200)];
    let apps = (1..=3).flat_map(|subnet| (60..68).map(move |host| (subnet, host)));
    leaking
        .into_iter()
        .chain(heavy)
        .chain(apps)
        .enumerate()
        .map(|(index, (subnet, host))| Client {
            address: IpAddr::V4(Ipv4Addr::new(10, 0, subnet, host)),
            zone: usize::from(subnet) - 1,
            subnet_id: format!("subnet-0{subnet}1b2c3d4e5f60718"),
            interface_id: Some(format!("eni-0c{subnet:02x}{host:02x}3d4e5f60718a")),
            instance_id: Some(format!("i-0d{subnet:02x}{host:02x}4e5f60718a9b")),
            // A service that opens this many connections runs out of Linux's 28,232 ports first.
            first_port: if index == LEAKING { 1024 } else { 32_768 },
            last_port: if index == LEAKING { 65_535 } else { 60_999 },
        })
        .collect()
}

fn destinations() -> Vec<Destination> {
    let destination = |net: [u8; 3], host: u8, port: u16, protocol: Protocol, rtt_ms: u32| Destination {
        triple: Triple { address: Ipv4Addr::new(net[0], net[1], net[2], host), port, protocol },
        rtt_ms,
        service: None,
    };
    let near = [198, 51, 100];
    let mut destinations = vec![
        destination([203, 0, 113], 10, 443, Protocol::Tcp, 18),
        destination(near, 20, 443, Protocol::Tcp, 3),
        destination(near, 30, 443, Protocol::Tcp, 8),
        destination(near, 40, 5432, Protocol::Tcp, 2),
        destination(near, 53, 53, Protocol::Udp, 4),
        destination(near, 70, 0, Protocol::Icmp, 5),
        destination([192, 0, 2], 200, 51_413, Protocol::Tcp, 1),
    ];
    destinations
        .extend((0..5u8).map(|i| destination(near, 100 + i, 443, Protocol::Tcp, 5 + 10 * u32::from(i))));
    destinations
}

/// The gateway's own flow log of the sample, in version 3 with the packets' own addresses.
pub fn view(incident: &Incident) -> View {
    View::of_gateway(incident, LogFormat::v3_pkt())
}

/// The sample's two files.
#[derive(Clone, Debug)]
pub struct Sample {
    /// [`LOG_FILE`]: records as S3 delivers them, header line first, compressed.
    pub log: Vec<u8>,
    /// [`README_FILE`]: what the records are and what the truth is.
    pub readme: String,
}

/// Makes the sample.
///
/// # Errors
///
/// When compression fails.
pub fn sample() -> io::Result<Sample> {
    let simulation = incident().simulate();
    let records = ordered(&simulation);
    let text = text(&simulation, &records);
    // Higher levels save 1 % and need a window of 128 MiB to unpack instead of 8.
    let log = zstd::bulk::compress(text.as_bytes(), 19)?;
    let readme = readme(&simulation, &records, text.len(), log.len());
    Ok(Sample { log, readme })
}

/// What [`LOG_FILE`] holds when it is unpacked.
pub fn log_text() -> String {
    let simulation = incident().simulate();
    text(&simulation, &ordered(&simulation))
}

fn text(simulation: &Simulation, records: &[Record]) -> String {
    let mut text = view(simulation.incident()).format.header();
    text.push('\n');
    for record in records {
        text.push_str(&record.line);
        text.push('\n');
    }
    text
}

/// The records by minute, then by addresses and ports. AWS promises no order within a file; this one
/// compresses to four fifths of the order of delivery.
fn ordered(simulation: &Simulation) -> Vec<Record> {
    let view = view(simulation.incident());
    let column = |wanted| view.format.fields().iter().position(|&field| field == wanted);
    let columns = |fields: &[Field]| fields.iter().copied().filter_map(column).collect::<Vec<_>>();
    let addresses =
        columns(&[Field::PktSrcAddr, Field::PktDstAddr, Field::SrcAddr, Field::DstAddr, Field::Protocol]);
    let ports = columns(&[Field::SrcPort, Field::DstPort]);
    let mut records = simulation.records(&view);
    records.sort_by_cached_key(|record| {
        let values: Vec<&str> = record.line.split(' ').collect();
        let addresses = addresses.iter().map(|&column| values[column]).collect::<Vec<_>>().join(" ");
        let ports: Vec<u16> = ports.iter().map(|&column| values[column].parse().unwrap_or(0)).collect();
        (record.timestamp / 60, addresses, ports)
    });
    records
}

/// Records and bytes by the far end's address, and bytes by client: what others rank by.
fn tallies(format: &LogFormat, records: &[Record]) -> [Vec<(String, u64)>; 3] {
    let column = |wanted| format.fields().iter().position(|&field| field == wanted);
    let (Some(from), Some(to), Some(dst), Some(bytes)) =
        (column(Field::PktSrcAddr), column(Field::PktDstAddr), column(Field::DstAddr), column(Field::Bytes))
    else {
        return Default::default();
    };
    let mut tallies: [BTreeMap<String, u64>; 3] = Default::default();
    for record in records {
        let values: Vec<&str> = record.line.split(' ').collect();
        let moved: u64 = values[bytes].parse().unwrap_or(0);
        let inside = |address: &str| address.starts_with("10.");
        let far = if inside(values[from]) { values[to] } else { values[from] };
        *tallies[0].entry(far.to_owned()).or_default() += 1;
        *tallies[1].entry(far.to_owned()).or_default() += moved;
        // Legs A and D: those that name the client.
        for client in [values[from], values[dst]] {
            if inside(client) && client != "10.0.0.220" {
                *tallies[2].entry(client.to_owned()).or_default() += moved;
            }
        }
    }
    tallies.map(|tally| {
        let mut ranked: Vec<(String, u64)> = tally.into_iter().collect();
        ranked.sort_by_key(|(name, count)| (Reverse(*count), name.clone()));
        ranked
    })
}

fn readme(simulation: &Simulation, records: &[Record], text_bytes: usize, log_bytes: usize) -> String {
    let facts = simulation.facts();
    let truth = simulation.truth();
    let view = view(simulation.incident());
    let [by_records, by_bytes, by_client] = tallies(&view.format, records);
    let subject = &truth.destinations[0];
    let list = |ranked: &[(String, u64)], unit: &str| {
        ranked
            .iter()
            .take(3)
            .map(|(name, n)| format!("`{name}` {}{unit}", grouped(*n)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let clients = subject.clients.iter().fold(String::new(), |mut text, client| {
        let share = 100.0 * f64::from(client.held) / f64::from(subject.peak);
        let (held, refused) = (grouped(client.held.into()), grouped(client.refused));
        writeln!(text, "| `{}` | {held} | {share:.1} % | {refused} |", client.address)
            .expect("a string takes any text");
        text
    });
    let errors = facts.errors.iter().fold(String::new(), |mut text, &(minute, sum)| {
        writeln!(text, "| {} | {} |", at(minute), grouped(sum)).expect("a string takes any text");
        text
    });
    let innocents = truth.destinations[1..4].iter().fold(String::new(), |mut text, destination| {
        writeln!(text, "| `{}` | {} |", destination.triple, grouped(destination.peak.into()))
            .expect("a string takes any text");
        text
    });
    format!(
        "# Samples

Synthetic. Nobody's traffic: every record comes from the NAT gateway simulator in
`crates/nat-simulator`, whose crate documentation says what it models and what it assumes. All public
addresses are documentation addresses. Made again, to the byte, with

    cargo run --release -p nat-simulator -- sample --out samples

(seed {SEED}; this file is written by the same command).

## {LOG_FILE}

The flow log of one NAT gateway's interface during a port exhaustion: {lines} records, {text_mb:.0} MB of
text in the form S3 delivers it (header line, 60-second aggregation), zstd-compressed to {log_mb:.1} MB.
{start} to {end}. Records are ordered by minute, then by address and port.

Fields: `{header}`

The gateway: {gateway}, zonal and public, interface {interface}, private address
10.0.0.220 and no other, hence {capacity} ports per destination. VPC {vpc}, {cidr};
clients in 10.0.1.0/24 to 10.0.3.0/24.

What happens: from {leak} three clients open about 182 connections per second to
`{triple}`, use each for a few seconds and abandon it without closing. Each keeps its port for
350 s after its last packet. At {peak_at} no port is left; what is attempted then shows as SYNs that
reach the gateway and go no further, until ports time out and are taken again at once.

### The truth

`{triple}` holds {peak} of {capacity} ports at its peak, first reached at {peak_at}.
{refused} attempts (each SYN, repetitions included) were refused, all of them towards it.

| client | ports held at the peak | share | refused |
|---|---:|---:|---:|
{clients}
`ErrorPortAllocation` in the only minutes with any (the alarm's data points):

| minute | sum |
|---|---:|
{errors}
An alarm on the sum of one minute is raised at {alarm_at} at the earliest.

### What makes it hard

By records and by bytes others come first.

- Records by far address, all legs: {by_records}.
- Bytes by far address, all legs: {by_bytes}.
- Bytes by client, both directions: {by_client}.

The innocent destinations that hold most ports at their own peaks:

| destination | ports |
|---|---:|
{innocents}
",
        lines = grouped(records.len() as u64),
        text_mb = text_bytes as f64 / 1e6,
        log_mb = log_bytes as f64 / 1e6,
        start = at(facts.start),
        end = at(facts.end),
        header = view.format.header(),
        gateway = facts.gateway_id,
        interface = facts.interface_id.as_deref().unwrap_or("-"),
        capacity = grouped(subject.capacity.into()),
        vpc = facts.vpc_id,
        cidr = facts.vpc_cidrs.join(", "),
        leak = at(facts.start + i64::from(LEAK_FROM_S)),
        triple = subject.triple,
        peak = grouped(subject.peak.into()),
        peak_at = at(subject.peak_at),
        refused = grouped(subject.refused),
        alarm_at = at(facts.alarm_at),
        by_records = list(&by_records, ""),
        by_bytes = list(&by_bytes, ""),
        by_client = list(&by_client, ""),
    )
    .trim_end()
    .to_owned()
        + "\n"
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("the sample lies in 2026")
}

/// 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
