//! Which addresses each interface shows of a packet, and what else it knows about it.
//!
//! The tables are AWS's own ("Traffic through a NAT gateway", "Traffic through a regional NAT
//! gateway" in the flow-log record examples): a gateway's interface shows itself as source or
//! destination and the packet's own addresses in `pkt-*`; a regional gateway and a client's
//! interface show the packet's own addresses in both.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::format::{Line, Traffic};
use crate::engine::{Connection, NONE};
use crate::spec::{GatewayKind, Incident, Protocol, Route, Rule};
use crate::workload::legs;

/// A leg as one interface sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Seen {
    /// Client to gateway, at the gateway.
    A,
    /// Gateway to server, at the gateway.
    B,
    /// Server to gateway, at the gateway.
    C,
    /// Gateway to client, at the gateway.
    D,
    /// Client to server, at the client.
    Out,
    /// Server to client, at the client.
    In,
}

impl Seen {
    pub(super) const AT_GATEWAY: [(u8, Self); 4] =
        [(legs::A, Self::A), (legs::B, Self::B), (legs::C, Self::C), (legs::D, Self::D)];
    /// A client sees its packets whether or not the gateway lets them pass.
    pub(super) const AT_CLIENT: [(u8, Self); 2] = [(legs::A, Self::Out), (legs::D, Self::In)];
}

/// Where records come from: one log stream each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    Gateway(u32),
    Client(u32),
}

impl Source {
    /// A number of its own, whatever else a view covers.
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Gateway(index) => u64::from(index) << 1,
            Self::Client(index) => u64::from(index) << 1 | 1,
        }
    }
}

/// The texts of an incident, made once.
pub(super) struct Names<'a> {
    incident: &'a Incident,
    clients: Vec<String>,
    destinations: Vec<String>,
    /// Destinations as an IPv6 client sees them.
    destinations_64: Vec<String>,
    /// Per gateway and address: what B and C show as the gateway's end.
    nat: Vec<Vec<String>>,
}

impl<'a> Names<'a> {
    pub(super) fn new(incident: &'a Incident) -> Self {
        Self {
            incident,
            clients: incident.clients.iter().map(|client| client.address.to_string()).collect(),
            destinations: incident.destinations.iter().map(|d| d.triple.address.to_string()).collect(),
            destinations_64: incident
                .destinations
                .iter()
                .map(|d| nat64(d.triple.address).to_string())
                .collect(),
            nat: incident
                .gateways
                .iter()
                .map(|gateway| {
                    gateway
                        .addresses
                        .iter()
                        .map(|address| match gateway.kind {
                            GatewayKind::Regional => address.public,
                            GatewayKind::Zonal | GatewayKind::Private => address.private,
                        })
                        .map(|address| address.expect("the engine has checked the addresses").to_string())
                        .collect()
                })
                .collect(),
        }
    }

    /// The log stream of a source; `None` for a client whose interface is outside the VPC.
    pub(super) fn stream(&self, source: Source) -> Option<String> {
        let incident = self.incident;
        match source {
            Source::Gateway(index) => {
                let gateway = &incident.gateways[index as usize];
                Some(format!("{}-all", gateway.interface_id.as_ref().unwrap_or(&gateway.id)))
            }
            Source::Client(index) => {
                incident.clients[index as usize].interface_id.as_ref().map(|id| format!("{id}-all"))
            }
        }
    }

    /// What a record of `source` says before any packet is looked at.
    pub(super) fn line(&self, source: Source) -> Line<'_> {
        let incident = self.incident;
        let common = Line {
            account_id: &incident.account_id,
            region: &incident.region,
            vpc_id: &incident.vpc_id,
            ..Line::default()
        };
        match source {
            Source::Gateway(index) => {
                let gateway = &incident.gateways[index as usize];
                match gateway.kind {
                    GatewayKind::Regional => {
                        Line { resource_id: &gateway.id, interface_type: "regional_nat_gateway", ..common }
                    }
                    GatewayKind::Zonal | GatewayKind::Private => Line {
                        interface_id: gateway.interface_id.as_deref().unwrap_or_default(),
                        subnet_id: gateway.subnet_id.as_deref().unwrap_or_default(),
                        az_id: &incident.zones[gateway.addresses[0].zone].id,
                        interface_type: "nat_gateway",
                        ..common
                    },
                }
            }
            Source::Client(index) => {
                let client = &incident.clients[index as usize];
                Line {
                    interface_id: client.interface_id.as_deref().unwrap_or_default(),
                    subnet_id: &client.subnet_id,
                    instance_id: client.instance_id.as_deref().unwrap_or_default(),
                    az_id: &incident.zones[client.zone].id,
                    ..common
                }
            }
        }
    }

    /// A record of `source` about a connection's packets on the leg `seen`. Counts, flags and times
    /// are the caller's to fill in.
    pub(super) fn describe(&self, source: Source, seen: Seen, connection: &Connection) -> Line<'_> {
        let incident = self.incident;
        let mut line = self.line(source);
        let destination = &incident.destinations[connection.destination as usize];
        let triple = destination.triple;
        let route = incident.workloads[connection.workload as usize].route;
        let client = (connection.client != NONE).then(|| &incident.clients[connection.client as usize]);
        let v6 = client.is_some_and(|client| matches!(client.address, IpAddr::V6(_)));

        let client_text = client.map_or("", |_| self.clients[connection.client as usize].as_str());
        let server = self.destinations[connection.destination as usize].as_str();
        let server_for_client =
            if v6 { self.destinations_64[connection.destination as usize].as_str() } else { server };
        let (nat, primary) = match route {
            Route::Gateway(gateway) => {
                let addresses = &self.nat[gateway];
                // A refused attempt has no address; leg A shows the primary either way.
                let own = addresses.get(connection.nat_address as usize).unwrap_or(&addresses[0]);
                (own.as_str(), addresses[0].as_str())
            }
            Route::Direct => ("", ""),
        };
        let regional =
            matches!(route, Route::Gateway(g) if incident.gateways[g].kind == GatewayKind::Regional);
        let private = matches!(route, Route::Gateway(g) if incident.gateways[g].kind == GatewayKind::Private);

        let (pkt_src, pkt_dst) = match seen {
            Seen::A | Seen::Out => (client_text, server_for_client),
            Seen::B => (nat, server),
            Seen::C => (server, nat),
            Seen::D | Seen::In => (server_for_client, client_text),
        };
        // On its own interface a gateway stands in for the far end, under its primary address.
        let (src, dst) = match (seen, regional, v6) {
            (Seen::Out | Seen::In, ..) | (_, true, _) => (pkt_src, pkt_dst),
            // Which address a gateway shows towards an IPv6 client is not documented.
            (Seen::A | Seen::D, _, true) => (pkt_src, pkt_dst),
            (Seen::A, ..) => (client_text, primary),
            (Seen::B, ..) => (primary, server),
            (Seen::C, ..) => (server, primary),
            (Seen::D, ..) => (primary, client_text),
        };
        let (here, there) = match seen {
            Seen::A | Seen::D | Seen::Out | Seen::In => (connection.client_port, triple.port),
            Seen::B | Seen::C => (connection.nat_port, triple.port),
        };
        // ICMP has no ports: its records show 0.
        let (here, there) = if triple.protocol == Protocol::Icmp { (0, 0) } else { (here, there) };
        let outbound = matches!(seen, Seen::A | Seen::B | Seen::Out);
        let (src_port, dst_port) = if outbound { (here, there) } else { (there, here) };
        let service = destination.service.as_deref().unwrap_or_default();
        // What a rule at the gateway's interface turns away has left the client's.
        let turned_away = match incident.workloads[connection.workload as usize].turned_away() {
            Some(Rule::AtGateway) => seen == Seen::A,
            Some(Rule::AtClient) => seen == Seen::Out,
            None => false,
        };
        let egress = matches!(seen, Seen::B | Seen::D | Seen::Out);
        line.log_status = "OK";
        line.traffic = Some(Traffic {
            src,
            dst,
            pkt_src,
            pkt_dst,
            src_port,
            dst_port,
            protocol: triple.protocol.number(),
            packets: 0,
            bytes: 0,
            tcp_flags: 0,
            action: if turned_away { "REJECT" } else { "ACCEPT" },
            kind: if v6 && !matches!(seen, Seen::B | Seen::C) { "IPv6" } else { "IPv4" },
            src_service: if outbound { "" } else { service },
            dst_service: if outbound { service } else { "" },
            direction: if egress { "egress" } else { "ingress" },
            path: match seen {
                // To the internet gateway; out of a private gateway the path is none of those listed.
                Seen::B if private => "",
                Seen::B => "8",
                Seen::D | Seen::Out => "1",
                Seen::A | Seen::C | Seen::In => "",
            },
        });

        // The other end of the hop, where it has an interface in this VPC.
        let hop = match (seen, route) {
            (Seen::A | Seen::D, _) if client.is_some_and(|client| client.interface_id.is_some()) => {
                Some(Source::Client(connection.client))
            }
            (Seen::Out | Seen::In, Route::Gateway(gateway)) => Some(Source::Gateway(gateway as u32)),
            _ => None,
        };
        if let Some(hop) = hop {
            let next = self.line(hop);
            line.next_hop_interface_id = next.interface_id;
            line.next_hop_subnet_id = next.subnet_id;
            line.next_hop_az_id = next.az_id;
            line.next_hop_vpc_id = next.vpc_id;
            line.next_hop_interface_type = next.interface_type;
        }
        if regional && matches!(source, Source::Gateway(_)) {
            let zone = match client {
                Some(client) => client.zone,
                None => incident.gateways[0].addresses[0].zone,
            };
            line.az_id = &incident.zones[zone].id;
        }
        line
    }
}

fn nat64(address: Ipv4Addr) -> Ipv6Addr {
    let [a, b, c, d] = address.octets();
    Ipv6Addr::from([0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d])
}
