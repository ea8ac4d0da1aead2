//! Which leg of a translated connection a record shows.
//!
//! One connection through a gateway appears up to four times on the gateway's own interface: client
//! to gateway (A), gateway to server (B), server to gateway (C), gateway to client (D). Legs A and D
//! are one side, keyed by the client's port; B and C the other, keyed by the port that the gateway
//! handed out. Source: "Traffic through a NAT gateway" among the flow-log record examples in the
//! Amazon VPC user guide.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Destination;
use super::leg_rules::{AT_CLIENT, LegTable, REGIONAL};
use crate::flow::record::FlowRecord;
use crate::incident::{InterfaceId, NatGatewayId};
use crate::network::{GatewayKind, NatGateway, is_private, nat64_destination};

/// Which side of the gateway a record was seen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Between gateway and server: legs B and C, whose near port is one that the gateway handed out.
    Gateway,
    /// Between client and gateway: legs A and D.
    Client,
    /// At the client's own interface, where the gateway does not show.
    AtClient,
}

/// A record in the terms in which ports are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRecord {
    /// Where it was seen.
    pub side: Side,
    /// Whether the packets went towards the destination.
    pub outward: bool,
    /// Whose port it is: the gateway's address, or the client's.
    pub holder: IpAddr,
    /// The port on that address.
    pub port: u16,
    /// The other party.
    pub destination: Destination,
}

impl PortRecord {
    /// The same of another record of its group: only the ports and the protocol are others.
    #[inline]
    pub(super) fn of_group(self, record: &FlowRecord<'_>) -> Self {
        let (port, server_port) = if self.outward {
            (record.src_port, record.dst_port)
        } else {
            (record.dst_port, record.src_port)
        };
        let destination = Destination { port: server_port, protocol: record.protocol, ..self.destination };
        Self { port, destination, ..self }
    }
}

/// How records show one gateway. The rules by which it is seen are those of `leg_rules`, for
/// files and for Logs Insights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewpoint {
    /// What sort of gateway it is.
    pub kind: GatewayKind,
    /// The addresses by which records show it.
    pub addresses: Vec<IpAddr>,
    /// Of these, a regional gateway's in other zones than the one in question.
    pub elsewhere: Vec<IpAddr>,
    /// Its interfaces, where they are known; records of others are then not its own.
    pub interfaces: Vec<InterfaceId>,
    /// Its id, by which a regional gateway's records are found.
    pub gateway: Option<NatGatewayId>,
    /// Ranges in which clients live beside the private ones; for a private gateway, the only ones.
    pub client_ranges: Vec<IpNet>,
    /// Private addresses that records showed to be servers', though the gateway is a public one.
    pub private_servers: Vec<IpAddr>,
}

impl Viewpoint {
    /// The viewpoint of a gateway as it is known.
    #[must_use]
    pub fn of(gateway: &NatGateway) -> Self {
        Self::of_zone(gateway, None)
    }

    /// The same of one zone of a regional gateway.
    #[must_use]
    pub fn of_zone(gateway: &NatGateway, zone: Option<&str>) -> Self {
        Self {
            kind: gateway.kind,
            addresses: gateway.logged_addresses(),
            elsewhere: gateway.addresses_elsewhere(zone),
            interfaces: gateway.interface_ids.clone(),
            gateway: gateway.id.clone(),
            client_ranges: gateway.vpc_cidrs.clone(),
            private_servers: Vec::new(),
        }
    }

    /// Whether an address can only be a client's. A public gateway's servers are outside, so every
    /// private address that is not known to be a server's is a client's (the VPC's, or one that comes in over a
    /// transit gateway). A
    /// private gateway's servers are private too: there, only the VPC's own ranges tell. Servers are
    /// IPv4 always: what is IPv6 is a client, or a server's NAT64 address.
    #[must_use]
    pub fn is_client(&self, address: IpAddr) -> bool {
        if let IpAddr::V6(v6) = address {
            return nat64_destination(v6).is_none();
        }
        if self.private_servers.contains(&address) {
            return false;
        }
        let in_range = self.client_ranges.iter().any(|range| range.contains(&address));
        match self.kind {
            GatewayKind::Private if !self.client_ranges.is_empty() => in_range,
            _ => in_range || is_private(address),
        }
    }

    /// Whether a private address, which is taken for a client's, may be a server's: a public gateway also carries
    /// traffic to networks behind a transit gateway, a VPN or a peer, but not within its VPC.
    pub(super) fn may_be_server(&self, address: IpAddr) -> bool {
        self.kind == GatewayKind::Zonal
            && address.is_ipv4()
            && self.is_client(address)
            && !self.client_ranges.iter().any(|range| range.contains(&address))
    }

    pub(super) fn is_gateway(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address)
    }

    /// The record in terms of ports; `None` where it has nothing to do with this gateway.
    #[must_use]
    pub fn classify(&self, record: &FlowRecord<'_>) -> Option<PortRecord> {
        let table = self.table_of(record)?;
        let leg = table.leg(record, self)?;
        table.port_record(record, leg)
    }

    /// The rules that a record falls under, by where it was seen; `None` where that was at a gateway in
    /// which nobody is interested.
    fn table_of(&self, record: &FlowRecord<'_>) -> Option<&'static LegTable> {
        if self.kind == GatewayKind::Regional {
            return match (&self.gateway, record.resource) {
                (Some(_), None) => Some(&AT_CLIENT),
                (Some(id), Some(resource)) if resource != id.as_str().as_bytes() => None,
                _ => Some(&REGIONAL),
            };
        }
        let known = !self.interfaces.is_empty();
        let own = record
            .interface
            .filter(|_| known)
            .map(|interface| self.interfaces.iter().any(|id| id.as_str().as_bytes() == interface));
        let shows_gateway = self.is_gateway(record.src) || self.is_gateway(record.dst);
        match own {
            Some(true) => Some(LegTable::of_record(record)),
            Some(false) => Some(&AT_CLIENT),
            None if shows_gateway => Some(LegTable::of_record(record)),
            None => Some(&AT_CLIENT),
        }
    }
}

/// The server's own address: of a NAT64 address, the IPv4 one inside, by which the gateway counts.
pub(super) fn unmapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => nat64_destination(v6).map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Line, LineParser, LogFormat};
    use crate::network::NatAddress;

    /// The zonal gateway of AWS's own example.
    fn zonal() -> Viewpoint {
        Viewpoint::of(&NatGateway {
            addresses: vec![NatAddress {
                private: "10.0.0.220".parse().ok(),
                public: None,
                zone: None,
                usable: true,
            }],
            interface_ids: vec!["eni-0123456789abcdef0".parse().expect("valid")],
            ..NatGateway::default()
        })
    }

    fn classify(viewpoint: &Viewpoint, format: &str, line: &str) -> Option<String> {
        let format: LogFormat = format.parse().expect("valid");
        let parser = LineParser::new(&format);
        let Ok(Line::Record(record)) = parser.parse(line.as_bytes()) else { panic!("{line}") };
        viewpoint.classify(&record).map(|p| {
            let towards = if p.outward { "to" } else { "from" };
            let server = p.destination.address.map_or("?".into(), |a| a.to_string());
            format!("{:?} {}:{} {towards} {server}:{}", p.side, p.holder, p.port, p.destination.port)
        })
    }

    const PKT: &str =
        "interface-id srcaddr dstaddr srcport dstport protocol start end pkt-srcaddr pkt-dstaddr";

    #[test]
    fn packet_addresses_tell_the_four_documented_legs_apart() {
        let eni = "eni-0123456789abcdef0";
        let legs = [
            (
                "10.0.1.5 10.0.0.220 40000 443 6 1 2 10.0.1.5 203.0.113.5",
                "Client 10.0.1.5:40000 to 203.0.113.5:443",
            ),
            (
                "10.0.0.220 203.0.113.5 1024 443 6 1 2 10.0.0.220 203.0.113.5",
                "Gateway 10.0.0.220:1024 to 203.0.113.5:443",
            ),
            (
                "203.0.113.5 10.0.0.220 443 1024 6 1 2 203.0.113.5 10.0.0.220",
                "Gateway 10.0.0.220:1024 from 203.0.113.5:443",
            ),
            (
                "10.0.0.220 10.0.1.5 443 40000 6 1 2 203.0.113.5 10.0.1.5",
                "Client 10.0.1.5:40000 from 203.0.113.5:443",
            ),
        ];
        for (line, expected) in legs {
            assert_eq!(
                classify(&zonal(), PKT, &format!("{eni} {line}")).as_deref(),
                Some(expected),
                "{line}"
            );
        }
    }

    #[test]
    fn the_client_side_needs_packet_addresses_to_name_servers() {
        let plain = "interface-id srcaddr dstaddr srcport dstport protocol start end";
        let eni = "eni-0123456789abcdef0";
        let legs = [
            ("10.0.1.5 10.0.0.220 40000 443 6 1 2", "Client 10.0.1.5:40000 to ?:443"),
            ("10.0.0.220 203.0.113.5 1024 443 6 1 2", "Gateway 10.0.0.220:1024 to 203.0.113.5:443"),
            ("203.0.113.5 10.0.0.220 443 1024 6 1 2", "Gateway 10.0.0.220:1024 from 203.0.113.5:443"),
            ("10.0.0.220 10.0.1.5 443 40000 6 1 2", "Client 10.0.1.5:40000 from ?:443"),
        ];
        for (line, expected) in legs {
            assert_eq!(
                classify(&zonal(), plain, &format!("{eni} {line}")).as_deref(),
                Some(expected),
                "{line}"
            );
        }
        assert_eq!(
            classify(&zonal(), plain, "eni-0aaaaaaaaaaaaaaaa 10.0.1.5 203.0.113.5 40000 443 6 1 2")
                .as_deref(),
            Some("AtClient 10.0.1.5:40000 to 203.0.113.5:443")
        );
        assert_eq!(
            classify(&zonal(), plain, "eni-0aaaaaaaaaaaaaaaa 10.0.1.5 10.0.2.5 40000 443 6 1 2"),
            None
        );
    }

    #[test]
    fn a_folded_secondary_address_counts_by_the_packet_address() {
        let mut viewpoint = zonal();
        viewpoint.addresses.push("10.0.0.221".parse().expect("valid"));
        let line = "eni-0123456789abcdef0 203.0.113.5 10.0.0.220 443 1024 6 1 2 203.0.113.5 10.0.0.221";
        assert_eq!(
            classify(&viewpoint, PKT, line).as_deref(),
            Some("Gateway 10.0.0.221:1024 from 203.0.113.5:443")
        );
    }

    #[test]
    fn a_regional_gateway_shows_by_its_resource_id() {
        let viewpoint = Viewpoint::of(&NatGateway {
            id: "nat-0123456789abcdef0".parse().ok(),
            kind: GatewayKind::Regional,
            addresses: vec![NatAddress {
                private: None,
                public: "198.51.100.7".parse().ok(),
                zone: None,
                usable: true,
            }],
            ..NatGateway::default()
        });
        let format = "resource-id srcaddr dstaddr srcport dstport protocol start end flow-direction";
        let own = "nat-0123456789abcdef0";
        let legs = [
            (
                format!("{own} 10.0.1.5 203.0.113.5 40000 443 6 1 2 ingress"),
                Some("Client 10.0.1.5:40000 to 203.0.113.5:443"),
            ),
            (
                format!("{own} 198.51.100.7 203.0.113.5 1024 443 6 1 2 egress"),
                Some("Gateway 198.51.100.7:1024 to 203.0.113.5:443"),
            ),
            (
                format!("{own} 203.0.113.5 10.0.1.5 443 40000 6 1 2 egress"),
                Some("Client 10.0.1.5:40000 from 203.0.113.5:443"),
            ),
            ("nat-0aaaaaaaaaaaaaaaa 10.0.1.5 203.0.113.5 40000 443 6 1 2 ingress".into(), None),
            (
                "- 10.0.1.5 203.0.113.5 40000 443 6 1 2 egress".into(),
                Some("AtClient 10.0.1.5:40000 to 203.0.113.5:443"),
            ),
        ];
        for (line, expected) in legs {
            assert_eq!(classify(&viewpoint, format, &line).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn an_ipv6_client_is_one_even_where_the_format_hides_the_server() {
        let plain = "interface-id srcaddr dstaddr srcport dstport protocol start end";
        let line = "eni-0123456789abcdef0 2600:1f18::5 10.0.0.220 40000 443 6 1 2";
        assert_eq!(classify(&zonal(), plain, line).as_deref(), Some("Client 2600:1f18::5:40000 to ?:443"));
        let line = "eni-0123456789abcdef0 64:ff9b::203.0.113.5 2600:1f18::5 443 40000 6 1 2";
        assert_eq!(classify(&zonal(), plain, line).as_deref(), Some("Client 2600:1f18::5:40000 from ?:443"));
        let line = "eni-0aaaaaaaaaaaaaaaa 2600:1f18::5 64:ff9b::203.0.113.5 40000 443 6 1 2";
        assert_eq!(
            classify(&zonal(), plain, line).as_deref(),
            Some("AtClient 2600:1f18::5:40000 to 203.0.113.5:443")
        );
    }

    #[test]
    fn nat64_traffic_counts_towards_the_ipv4_server() {
        for shown in ["10.0.0.220", "64:ff9b::203.0.113.5"] {
            let line =
                format!("eni-0123456789abcdef0 fd00::5 {shown} 40000 443 6 1 2 fd00::5 64:ff9b::203.0.113.5");
            let seen = classify(&zonal(), PKT, &line);
            assert_eq!(seen.as_deref(), Some("Client fd00::5:40000 to 203.0.113.5:443"));
        }
    }
}
