//! What a record shows of a gateway, as tables of rules. The file engine applies them to records; the
//! Logs Insights path writes them into its queries. There is no second set of rules.
//!
//! Of a table the first rule whose test holds decides. One connection through a gateway appears up to
//! four times on the gateway's own interface: client to gateway (A), gateway to server (B), server to
//! gateway (C), gateway to client (D). Source: "Traffic through a NAT gateway" among the flow-log record
//! examples in the Amazon VPC user guide.

use std::net::IpAddr;

use super::Destination;
use super::leg::{PortRecord, Side, Viewpoint, unmapped};
use crate::flow::record::{Direction, FlowRecord};
use crate::network::nat64_destination;

/// One end of what a record tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// `srcaddr`.
    Source,
    /// `dstaddr`.
    Target,
    /// `pkt-srcaddr`.
    PacketSource,
    /// `pkt-dstaddr`.
    PacketTarget,
}

impl End {
    /// The address of this end; `None` where the record has none.
    fn address(self, record: &FlowRecord<'_>) -> Option<IpAddr> {
        match self {
            Self::Source => Some(record.src),
            Self::Target => Some(record.dst),
            Self::PacketSource => record.pkt_src,
            Self::PacketTarget => record.pkt_dst,
        }
    }
}

/// A question to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// Whether the end is one of the gateway's addresses.
    Gateway(End),
    /// Whether the end can only be a client's: [`Viewpoint::is_client`].
    Client(End),
    /// Whether the end is a server's address as IPv6 clients see it.
    Nat64(End),
    /// Whether both ends are one address.
    Same(End, End),
    /// Whether the traffic came into the gateway, where the format says so.
    Enters,
    /// Whether the traffic left the gateway, where the format says so.
    Leaves,
    /// Whether the traffic went through another interface than the gateway's, where the format says so.
    PassesElsewhere,
    /// Whether none of the tests holds.
    None(&'static [Test]),
    /// Whether every one of the tests holds.
    All(&'static [Test]),
}

impl Test {
    fn holds(self, record: &FlowRecord<'_>, viewpoint: &Viewpoint) -> bool {
        match self {
            Self::Gateway(end) => end.address(record).is_some_and(|address| viewpoint.is_gateway(address)),
            Self::Client(end) => end.address(record).is_some_and(|address| viewpoint.is_client(address)),
            Self::Nat64(end) => end.address(record).is_some_and(is_nat64),
            Self::Same(one, other) => one.address(record) == other.address(record),
            Self::Enters => record.direction == Some(Direction::Ingress),
            Self::Leaves => record.direction == Some(Direction::Egress),
            Self::PassesElsewhere => record.next_hop_interface.is_some_and(|next_hop| {
                !viewpoint.interfaces.is_empty()
                    && !viewpoint.interfaces.iter().any(|id| id.as_str().as_bytes() == next_hop)
            }),
            Self::None(tests) => !tests.iter().any(|test| test.holds(record, viewpoint)),
            Self::All(tests) => tests.iter().all(|test| test.holds(record, viewpoint)),
        }
    }
}

fn is_nat64(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if nat64_destination(v6).is_some())
}

/// Which leg of a connection a record shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leg {
    /// Where it was seen.
    pub(super) side: Side,
    /// Whether the packets went towards the destination.
    pub(super) outward: bool,
}

const fn leg(side: Side, outward: bool) -> Option<Leg> {
    Some(Leg { side, outward })
}

/// If the test holds, the record shows this leg, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LegRule {
    /// The test.
    pub(super) when: Test,
    /// The leg; `None` where such a record shows none.
    pub(super) leg: Option<Leg>,
}

const fn rule(when: Test, leg: Option<Leg>) -> LegRule {
    LegRule { when, leg }
}

/// The rules for the records of one place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LegTable {
    /// Whose address is that of a connection's near end, where the packets go out.
    pub(super) source: End,
    /// The same of the far end.
    pub(super) target: End,
    /// Whether the clients' side shows the gateway in place of the server.
    pub(super) hides_servers: bool,
    /// The rules; a record for which none holds shows no leg.
    pub(super) rules: &'static [LegRule],
}

impl LegTable {
    /// The table for the gateway's own interface.
    pub(super) fn on_interface(with_packet_addresses: bool, with_ends: bool) -> &'static Self {
        match (with_packet_addresses, with_ends) {
            (true, true) => &ON_INTERFACE,
            (true, false) => &ON_INTERFACE_OF_PACKETS,
            (false, _) => &ON_INTERFACE_PLAIN,
        }
    }

    /// The same for a record.
    pub(super) fn of_record(record: &FlowRecord<'_>) -> &'static Self {
        Self::on_interface(record.pkt_src.is_some() && record.pkt_dst.is_some(), record.ends_told)
    }

    /// The leg that a record shows.
    pub(super) fn leg(&self, record: &FlowRecord<'_>, viewpoint: &Viewpoint) -> Option<Leg> {
        self.rules.iter().find(|rule| rule.when.holds(record, viewpoint))?.leg
    }

    /// The record in terms of ports, as this leg of it.
    pub(super) fn port_record(&self, record: &FlowRecord<'_>, leg: Leg) -> Option<PortRecord> {
        let (source, target) = (self.source.address(record)?, self.target.address(record)?);
        let (holder, server, port, server_port) = if leg.outward {
            (source, target, record.src_port, record.dst_port)
        } else {
            (target, source, record.dst_port, record.src_port)
        };
        let hidden = self.hides_servers && leg.side == Side::Client;
        let destination = Destination {
            address: (!hidden).then(|| unmapped(server)),
            port: server_port,
            protocol: record.protocol,
        };
        Some(PortRecord { side: leg.side, outward: leg.outward, holder, port, destination })
    }
}

use End::{PacketSource, PacketTarget, Source, Target};
use Side::{AtClient, Client, Gateway};

/// On the gateway's own interface, in a format with the packets' own addresses.
///
/// Between an IPv6 client and a server's NAT64 address only the clients' side shows. Whether the gateway's
/// address shows there is not documented, so that nothing here relies on it.
///
/// What has been translated goes straight to the server, or comes straight from it: an address of the
/// gateway whose packets are on their way through somebody else is a client of that one. What has not is
/// between client and server, and one end of its record is the gateway.
static ON_INTERFACE: LegTable = LegTable {
    source: PacketSource,
    target: PacketTarget,
    hides_servers: false,
    rules: &[
        rule(Test::Nat64(PacketTarget), leg(Client, true)),
        rule(Test::Nat64(PacketSource), leg(Client, false)),
        rule(Test::All(&[Test::Gateway(PacketSource), Test::Same(Target, PacketTarget)]), leg(Gateway, true)),
        rule(Test::Gateway(PacketSource), None),
        rule(
            Test::All(&[Test::Gateway(PacketTarget), Test::Same(Source, PacketSource)]),
            leg(Gateway, false),
        ),
        rule(Test::Gateway(PacketTarget), None),
        rule(Test::Gateway(Target), leg(Client, true)),
        rule(Test::Gateway(Source), leg(Client, false)),
    ],
};

/// On the gateway's own interface, in a format with the packets' addresses and without one of the interface's own
/// view: between client and gateway the packet names the client and the server. Of two that may both be clients
/// nothing tells which one asks.
static ON_INTERFACE_OF_PACKETS: LegTable = LegTable {
    source: PacketSource,
    target: PacketTarget,
    hides_servers: false,
    rules: &[
        rule(Test::Nat64(PacketTarget), leg(Client, true)),
        rule(Test::Nat64(PacketSource), leg(Client, false)),
        rule(Test::Gateway(PacketSource), leg(Gateway, true)),
        rule(Test::Gateway(PacketTarget), leg(Gateway, false)),
        rule(
            Test::All(&[Test::Client(PacketSource), Test::None(&[Test::Client(PacketTarget)])]),
            leg(Client, true),
        ),
        rule(
            Test::All(&[Test::Client(PacketTarget), Test::None(&[Test::Client(PacketSource)])]),
            leg(Client, false),
        ),
    ],
};

/// On the gateway's own interface, in a format that hides the server behind the gateway's address on legs A
/// and D: the other party tells which leg it is.
static ON_INTERFACE_PLAIN: LegTable = LegTable {
    source: Source,
    target: Target,
    hides_servers: true,
    rules: &[
        rule(Test::Nat64(Target), leg(Client, true)),
        rule(Test::Nat64(Source), leg(Client, false)),
        rule(Test::All(&[Test::Gateway(Source), Test::Gateway(Target)]), None),
        rule(Test::All(&[Test::Gateway(Target), Test::Client(Source)]), leg(Client, true)),
        rule(Test::Gateway(Target), leg(Gateway, false)),
        rule(Test::All(&[Test::Gateway(Source), Test::Client(Target)]), leg(Client, false)),
        rule(Test::Gateway(Source), leg(Gateway, true)),
    ],
};

/// At an interface that is not the gateway's: a client's record of traffic that leaves the VPC, unless it
/// says that it went another way. The gateway shows at another interface only where something inside the VPC
/// talks to it, which is no translated traffic.
pub(super) static AT_CLIENT: LegTable = LegTable {
    source: Source,
    target: Target,
    hides_servers: false,
    rules: &[
        rule(Test::PassesElsewhere, None),
        rule(Test::Gateway(Source), None),
        rule(Test::Gateway(Target), None),
        rule(Test::All(&[Test::Client(Source), Test::None(&[Test::Client(Target)])]), leg(AtClient, true)),
        rule(Test::All(&[Test::Client(Target), Test::None(&[Test::Client(Source)])]), leg(AtClient, false)),
    ],
};

/// In a regional gateway's records: no interface, public addresses on legs B and C, and on legs A and D
/// client and server as at the client's interface.
pub(super) static REGIONAL: LegTable = LegTable {
    source: Source,
    target: Target,
    hides_servers: false,
    rules: &[
        rule(Test::Gateway(Source), leg(Gateway, true)),
        rule(Test::Gateway(Target), leg(Gateway, false)),
        rule(Test::Enters, leg(Client, true)),
        rule(Test::Leaves, leg(Client, false)),
        rule(Test::Client(Source), leg(Client, true)),
        rule(Test::None(&[]), leg(Client, false)),
    ],
};
