//! What each interface shows of a connection: AWS's tables, to the letter.

mod support;

use std::net::{IpAddr, Ipv6Addr};

use nat_simulator::{FlowKey, LogFormat, Protocol, View, Viewpoint};
use support::{abandoned, as_regional, closed_soon, distinct, nat_address, number, one_client, rows};

const ADDRESSES: [&str; 4] = ["srcaddr", "dstaddr", "pkt-srcaddr", "pkt-dstaddr"];

#[test]
fn a_zonal_gateways_interface_shows_the_four_documented_legs() {
    let simulation = one_client(closed_soon(), 1, 60).simulate();
    let rows = rows(&simulation, &View::new([Viewpoint::GatewayInterface], LogFormat::v11()));
    assert_eq!(
        distinct(&rows, &ADDRESSES),
        [
            "10.0.0.220 10.0.1.5 203.0.113.5 10.0.1.5",
            "10.0.0.220 203.0.113.5 10.0.0.220 203.0.113.5",
            "10.0.1.5 10.0.0.220 10.0.1.5 203.0.113.5",
            "203.0.113.5 10.0.0.220 203.0.113.5 10.0.0.220",
        ]
    );
    assert_eq!(
        distinct(&rows, &["interface-id", "instance-id", "interface-type", "resource-id", "subnet-id"]),
        ["eni-nat - nat_gateway - subnet-nat"]
    );
    assert_eq!(
        distinct(&rows, &["pkt-srcaddr", "flow-direction", "traffic-path", "next-hop-interface-id"]),
        [
            "10.0.0.220 egress 8 -",
            "10.0.1.5 ingress - eni-app",
            "203.0.113.5 egress 1 eni-app",
            "203.0.113.5 ingress - -",
        ]
    );
}

#[test]
fn ports_belong_to_the_ends_that_a_leg_shows() {
    let simulation = one_client(closed_soon(), 1, 60).simulate();
    let rows = rows(&simulation, &View::new([Viewpoint::GatewayInterface], LogFormat::v3_pkt()));
    let leg = |src: &str, pkt_src: &str| {
        rows.iter()
            .find(|row| row["srcaddr"] == src && row["pkt-srcaddr"] == pkt_src)
            .expect("all legs are shown")
    };
    let (a, b) = (leg("10.0.1.5", "10.0.1.5"), leg("10.0.0.220", "10.0.0.220"));
    let (c, d) = (leg("203.0.113.5", "203.0.113.5"), leg("10.0.0.220", "203.0.113.5"));
    assert_eq!(
        (a["srcport"].as_str(), a["dstport"].as_str()),
        (d["dstport"].as_str(), d["srcport"].as_str())
    );
    assert_eq!(
        (b["srcport"].as_str(), b["dstport"].as_str()),
        (c["dstport"].as_str(), c["srcport"].as_str())
    );
    assert_eq!((a["dstport"].as_str(), b["dstport"].as_str()), ("443", "443"));
    assert!((32_768..=60_999).contains(&number(a, "srcport")));
    assert!((1_024..=65_535).contains(&number(b, "srcport")));
    for (out, back) in [(a, d), (b, c)] {
        assert_eq!((out["tcp-flags"].as_str(), back["tcp-flags"].as_str()), ("3", "19"));
    }
}

#[test]
fn a_clients_interface_shows_where_its_packets_go_next() {
    let simulation = one_client(closed_soon(), 1, 60).simulate();
    let rows = rows(&simulation, &View::new([Viewpoint::ClientInterfaces], LogFormat::v11()));
    assert_eq!(
        distinct(&rows, &ADDRESSES),
        ["10.0.1.5 203.0.113.5 10.0.1.5 203.0.113.5", "203.0.113.5 10.0.1.5 203.0.113.5 10.0.1.5"]
    );
    assert_eq!(
        distinct(
            &rows,
            &[
                "flow-direction",
                "traffic-path",
                "interface-id",
                "instance-id",
                "next-hop-interface-id",
                "next-hop-interface-type",
                "pkt-dst-aws-service",
                "pkt-src-aws-service",
            ]
        ),
        [
            "egress 1 eni-app i-app eni-nat nat_gateway S3 -",
            "ingress - eni-app i-app eni-nat nat_gateway - S3"
        ]
    );
}

#[test]
fn a_regional_gateway_shows_its_public_address_and_no_interface() {
    let incident = as_regional(one_client(closed_soon(), 1, 60));
    let simulation = incident.simulate();
    let rows = rows(&simulation, &View::of_gateway(&incident, LogFormat::v11()));
    assert_eq!(
        distinct(&rows, &ADDRESSES),
        [
            "10.0.1.5 203.0.113.5 10.0.1.5 203.0.113.5",
            "192.0.2.107 203.0.113.5 192.0.2.107 203.0.113.5",
            "203.0.113.5 10.0.1.5 203.0.113.5 10.0.1.5",
            "203.0.113.5 192.0.2.107 203.0.113.5 192.0.2.107",
        ]
    );
    assert_eq!(
        distinct(&rows, &["resource-id", "interface-id", "subnet-id", "instance-id", "interface-type"]),
        ["nat-1 - - - regional_nat_gateway"]
    );
    let none = simulation.records(&View::new([Viewpoint::GatewayInterface], LogFormat::v3_pkt()));
    assert!(none.is_empty(), "a regional gateway has no interface");
}

#[test]
fn secondary_addresses_show_as_the_primary_and_in_pkt() {
    let mut incident = one_client(abandoned(), 4, 60);
    incident.gateways[0].addresses = vec![nat_address(220, 107), nat_address(221, 108)];
    incident.gateways[0].ports_per_address = 2;
    let simulation = incident.simulate();
    let rows = rows(&simulation, &View::of_gateway(&incident, LogFormat::v3_pkt()));
    assert_eq!(
        distinct(&rows, &ADDRESSES),
        [
            "10.0.0.220 10.0.1.5 203.0.113.5 10.0.1.5",
            "10.0.0.220 203.0.113.5 10.0.0.220 203.0.113.5",
            "10.0.0.220 203.0.113.5 10.0.0.221 203.0.113.5",
            "10.0.1.5 10.0.0.220 10.0.1.5 203.0.113.5",
            "203.0.113.5 10.0.0.220 203.0.113.5 10.0.0.220",
            "203.0.113.5 10.0.0.220 203.0.113.5 10.0.0.221",
        ]
    );
    assert_eq!(simulation.truth().destinations[0].peak, 4);
}

#[test]
fn flows_that_look_alike_are_one_record_only_when_asked() {
    let mut incident = one_client(abandoned(), 2, 60);
    incident.gateways[0].addresses = vec![nat_address(220, 107), nat_address(221, 108)];
    incident.gateways[0].ports_per_address = 1;
    // Both addresses hand out the same port first.
    incident.gateways[0].allocation = nat_simulator::Allocation::Sequential;
    let legs_b = |key| {
        (0..200u64)
            .map(|seed| {
                let incident = nat_simulator::Incident { seed, ..incident.clone() };
                let view = View { key, ..View::of_gateway(&incident, LogFormat::v3_pkt()) };
                let rows = rows(&incident.simulate(), &view);
                let b: Vec<_> =
                    rows.into_iter().filter(|row| row["pkt-srcaddr"].starts_with("10.0.0.")).collect();
                let shown = distinct(&b, &["srcaddr", "srcport", "start"]).len();
                (b.len(), shown)
            })
            .collect::<Vec<_>>()
    };
    assert!(legs_b(FlowKey::Packet).iter().all(|&(records, _)| records >= 2));
    assert!(legs_b(FlowKey::Shown).iter().all(|&(records, shown)| records == shown));
}

#[test]
fn icmp_records_have_no_ports_and_udp_records_no_flags() {
    for (protocol, number, port) in [(Protocol::Icmp, "1", 0), (Protocol::Udp, "17", 53)] {
        let mut incident = one_client(abandoned(), 1, 60);
        incident.destinations[0].triple.protocol = protocol;
        incident.destinations[0].triple.port = port;
        let rows = rows(&incident.simulate(), &View::of_gateway(&incident, LogFormat::v3_pkt()));
        assert_eq!(distinct(&rows, &["protocol", "tcp-flags"]), [format!("{number} 0")]);
        if protocol == Protocol::Icmp {
            assert_eq!(distinct(&rows, &["srcport", "dstport"]), ["0 0"]);
        }
    }
}

#[test]
fn an_ipv6_client_reaches_its_server_under_the_nat64_prefix() {
    let mut incident = one_client(abandoned(), 1, 60);
    incident.clients[0].address = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 5));
    let rows = rows(&incident.simulate(), &View::of_gateway(&incident, LogFormat::v3_pkt()));
    assert_eq!(
        distinct(&rows, &["type", "pkt-srcaddr", "pkt-dstaddr"]),
        [
            "IPv4 10.0.0.220 203.0.113.5",
            "IPv4 203.0.113.5 10.0.0.220",
            "IPv6 2001:db8::5 64:ff9b::cb00:7105",
            "IPv6 64:ff9b::cb00:7105 2001:db8::5",
        ]
    );
}
