//! Small hand-written incidents, and records as fields.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use nat_simulator::{
    AddressChoice, Allocation, Arrivals, Behaviour, Client, Closing, Destination, Exchange, Gateway,
    GatewayKind, Incident, LogFormat, NatAddress, Pattern, Phase, Protocol, Record, Retry, Route, Simulation,
    Span, Triple, View, Weighted, Workload, Zone,
};

pub(crate) const START: i64 = 1_794_960_000;
pub(crate) const SERVER: Triple =
    Triple { address: Ipv4Addr::new(203, 0, 113, 5), port: 443, protocol: Protocol::Tcp };

pub(crate) fn closed_soon() -> Behaviour {
    Behaviour::Short {
        lasts_ms: Span::exactly(500),
        exchanges: Span::exactly(1),
        closing: Closing::BY_CLIENT,
    }
}

pub(crate) fn abandoned() -> Behaviour {
    Behaviour::Leak {
        used_ms: Span::exactly(1_000),
        exchanges: Span::exactly(2),
        half_closed: 0.0,
        late: 0.0,
    }
}

/// One client (10.0.1.5), one server (203.0.113.5:443), one gateway (10.0.0.220), and `size`
/// connections in the first second.
pub(crate) fn one_client(behaviour: Behaviour, size: u32, duration_s: u32) -> Incident {
    Incident {
        seed: 1,
        start: START,
        duration_s,
        region: "us-east-1".into(),
        account_id: "123456789012".into(),
        vpc_id: "vpc-1".into(),
        vpc_cidrs: vec!["10.0.0.0/16".into()],
        zones: vec![Zone { name: "us-east-1a".into(), id: "use1-az1".into() }],
        gateways: vec![Gateway {
            id: "nat-1".into(),
            kind: GatewayKind::Zonal,
            interface_id: Some("eni-nat".into()),
            subnet_id: Some("subnet-nat".into()),
            addresses: vec![nat_address(220, 107)],
            ports_per_address: 55_000,
            allocation: Allocation::Random,
            address_choice: AddressChoice::HashOfFlow,
        }],
        clients: vec![Client {
            address: IpAddr::V4(Ipv4Addr::new(10, 0, 1, 5)),
            zone: 0,
            subnet_id: "subnet-app".into(),
            interface_id: Some("eni-app".into()),
            instance_id: Some("i-app".into()),
            first_port: 32_768,
            last_port: 60_999,
        }],
        destinations: vec![Destination { triple: SERVER, rtt_ms: 10, service: Some("S3".into()) }],
        workloads: vec![Workload {
            name: "all".into(),
            route: Route::Gateway(0),
            clients: Weighted::evenly([0]),
            destinations: Weighted::evenly([0]),
            phases: vec![Phase { from_s: 0, to_s: 1, arrivals: Arrivals::Bursts { every_s: 1, size } }],
            behaviour,
            exchange: Exchange::SMALL,
            retry: Retry { syn_retries: 3, reattempts: 0, delay_s: Span::exactly(1) },
        }],
        pattern: Pattern::Leak,
        subject: 0,
        unexplained_errors: 0,
    }
}

pub(crate) fn nat_address(private: u8, public: u8) -> NatAddress {
    NatAddress {
        private: Some(Ipv4Addr::new(10, 0, 0, private)),
        public: Some(Ipv4Addr::new(192, 0, 2, public)),
        zone: 0,
    }
}

pub(crate) fn as_regional(mut incident: Incident) -> Incident {
    let gateway = &mut incident.gateways[0];
    gateway.kind = GatewayKind::Regional;
    (gateway.interface_id, gateway.subnet_id) = (None, None);
    for address in &mut gateway.addresses {
        address.private = None;
    }
    incident
}

/// A record's values by field name.
pub(crate) type Row = HashMap<&'static str, String>;

pub(crate) fn row(format: &LogFormat, record: &Record) -> Row {
    let values: Vec<&str> = record.line.split(' ').collect();
    assert_eq!(values.len(), format.fields().len(), "{}", record.line);
    format.fields().iter().map(|field| field.name()).zip(values.into_iter().map(str::to_owned)).collect()
}

pub(crate) fn rows(simulation: &Simulation, view: &View) -> Vec<Row> {
    simulation.records(view).iter().map(|record| row(&view.format, record)).collect()
}

pub(crate) fn number(row: &Row, field: &str) -> u64 {
    row[field].parse().expect("the field is a number")
}

/// The distinct values of some fields, in order, one line each.
pub(crate) fn distinct(rows: &[Row], fields: &[&str]) -> Vec<String> {
    let mut lines: Vec<String> = rows
        .iter()
        .map(|row| fields.iter().map(|&field| row[field].as_str()).collect::<Vec<_>>().join(" "))
        .collect();
    lines.sort();
    lines.dedup();
    lines
}
