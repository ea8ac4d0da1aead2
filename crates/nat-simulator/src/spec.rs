//! What an incident consists of: gateways, clients, destinations and what is sent between them.
//!
//! Plain data with public fields. Indices point into the incident's own lists. Nothing here knows
//! how it is played out (`engine`) or shown (`flow_log`).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use crate::ports::Allocation;

/// Seconds a mapping without packets is kept, as AWS documents it.
pub const IDLE_TIMEOUT_S: u32 = 350;

/// An IP protocol that a NAT gateway translates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// 6
    Tcp,
    /// 17
    Udp,
    /// 1
    Icmp,
}

impl Protocol {
    /// The number in a flow-log record.
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Icmp => 1,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
        })
    }
}

/// What the limit counts by: address, port and protocol. The port of ICMP is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Triple {
    /// Address of the server.
    pub address: Ipv4Addr,
    /// Port of the server; 0 for ICMP.
    pub port: u16,
    /// Protocol spoken to it.
    pub protocol: Protocol,
}

impl fmt::Display for Triple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.address, self.port, self.protocol)
    }
}

/// A server, and what is known about it.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Where it listens. Each triple may be listed once.
    pub triple: Triple,
    /// Time from a packet to its answer.
    pub rtt_ms: u32,
    /// What `pkt-dst-aws-service` shows for it, if anything.
    pub service: Option<String>,
}

/// An Availability Zone under its two names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// As in `us-east-1a`.
    pub name: String,
    /// As in `use1-az1`.
    pub id: String,
}

/// Something with an address of its own that opens connections.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its address. An IPv6 client reaches IPv4 destinations by NAT64 (`64:ff9b::/96`).
    pub address: IpAddr,
    /// Index of its zone.
    pub zone: usize,
    /// Its subnet.
    pub subnet_id: String,
    /// Its network interface; `None` for one that comes from outside the VPC, through a transit
    /// gateway.
    pub interface_id: Option<String>,
    /// Its instance, where it is one.
    pub instance_id: Option<String>,
    /// First of its own source ports. Linux: 32768.
    pub first_port: u16,
    /// Last of its own source ports. Linux: 60999. One address can hold at most as many connections
    /// to one destination as this range has ports.
    pub last_port: u16,
}

/// The three kinds of NAT gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayKind {
    /// Public, in one zone, with a network interface.
    Zonal,
    /// Public, over several zones, without a network interface.
    Regional,
    /// Without public addresses, with a network interface.
    Private,
}

/// An address that a gateway translates to.
#[derive(Clone, Debug)]
pub struct NatAddress {
    /// On the gateway's interface; `None` for a regional gateway.
    pub private: Option<Ipv4Addr>,
    /// What the internet sees; `None` for a private gateway.
    pub public: Option<Ipv4Addr>,
    /// Index of its zone.
    pub zone: usize,
}

/// Which of a gateway's addresses a new connection gets first. Another is tried when that one is
/// full. AWS documents nothing about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressChoice {
    /// One client, one address.
    HashOfClient,
    /// The same, and no other where that one is full.
    OnlyHashOfClient,
    /// By client, client port and destination.
    HashOfFlow,
    /// Any.
    Random,
}

/// A NAT gateway.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// `nat-…`
    pub id: String,
    /// Which kind.
    pub kind: GatewayKind,
    /// Its interface; `None` for a regional gateway.
    pub interface_id: Option<String>,
    /// Its subnet; `None` for a regional gateway.
    pub subnet_id: Option<String>,
    /// Its addresses, the primary first.
    pub addresses: Vec<NatAddress>,
    /// Connections per address and destination: 55,000 unless scaled down.
    pub ports_per_address: u32,
    /// Order of ports.
    pub allocation: Allocation,
    /// Order of addresses.
    pub address_choice: AddressChoice,
}

impl Gateway {
    /// Indices of the addresses that a client of `zone` may get. A regional gateway serves a zone
    /// from that zone's addresses, and from all of them where the zone has none.
    pub fn addresses_for(&self, zone: usize) -> Vec<usize> {
        let all = 0..self.addresses.len();
        if self.kind == GatewayKind::Regional {
            let own: Vec<usize> = all.clone().filter(|&i| self.addresses[i].zone == zone).collect();
            if !own.is_empty() {
                return own;
            }
        }
        all.collect()
    }

    /// Connections to one destination that clients of `zone` can hold together.
    pub fn capacity(&self, zone: usize) -> u32 {
        self.addresses_for(zone).len() as u32 * self.ports_per_address
    }
}

/// A range to draw from, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Smallest.
    pub min: u32,
    /// Largest.
    pub max: u32,
}

impl Span {
    /// From `min` to `max`.
    pub fn new(min: u32, max: u32) -> Self {
        assert!(min <= max, "a span runs upwards");
        Self { min, max }
    }

    /// Always `value`.
    pub fn exactly(value: u32) -> Self {
        Self { min: value, max: value }
    }

    /// The middle.
    pub fn mean(self) -> f64 {
        f64::from(self.min) / 2.0 + f64::from(self.max) / 2.0
    }
}

/// An index with the weight by which it is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Weighted {
    /// Into the incident's clients or destinations.
    pub index: usize,
    /// Relative to the others of its list.
    pub weight: u32,
}

impl Weighted {
    /// Every index with the same weight.
    pub fn evenly(indices: impl IntoIterator<Item = usize>) -> Vec<Self> {
        indices.into_iter().map(|index| Self { index, weight: 1 }).collect()
    }
}

/// How a workload's packets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Through the gateway of this index. 0 is the one that the incident is about.
    Gateway(usize),
    /// Not through any gateway: to a private address, a peer, an endpoint.
    Direct,
}

/// When connections are opened.
#[derive(Clone, Copy, Debug)]
pub enum Arrivals {
    /// At random, independently, this many per second on average.
    Poisson {
        /// Mean rate.
        per_second: f64,
    },
    /// `size` connections within one second, every `every_s` seconds.
    Bursts {
        /// Seconds from one burst to the next.
        every_s: u32,
        /// Connections per burst.
        size: u32,
    },
}

/// Part of an incident during which connections are opened. Seconds from the incident's start.
#[derive(Clone, Copy, Debug)]
pub struct Phase {
    /// First second.
    pub from_s: u32,
    /// The second after the last.
    pub to_s: u32,
    /// How many, how spread.
    pub arrivals: Arrivals,
}

/// How often each way of closing is taken, as weights.
#[derive(Clone, Copy, Debug)]
pub struct Closing {
    /// FIN by the client first.
    pub client: u32,
    /// FIN by the server first.
    pub server: u32,
    /// RST by the client.
    pub reset: u32,
}

impl Closing {
    /// The client closes, always.
    pub const BY_CLIENT: Self = Self { client: 1, server: 0, reset: 0 };
    /// Mostly orderly, sometimes by the server, now and then by RST.
    pub const MIXED: Self = Self { client: 70, server: 24, reset: 6 };
}

/// Where a security group or a network ACL turns packets away, and a REJECT record says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// At the client's interface, on the way out: the gateway's interface shows nothing.
    AtClient,
    /// At the gateway's interface, by the network ACL of its subnet: the client's says ACCEPT.
    AtGateway,
}

/// What becomes of a connection once it is open. UDP and ICMP have no closing: their ports are
/// held until 350 s after the last packet, whatever the behaviour.
#[derive(Clone, Copy, Debug)]
pub enum Behaviour {
    /// Kept in use, with an exchange every so often.
    LongLived {
        /// Seconds between exchanges.
        every_s: Span,
        /// Seconds until it is closed; `None`: open beyond the end.
        lasts_s: Option<Span>,
        /// How it is closed.
        closing: Closing,
    },
    /// Used for some time, then abandoned without closing.
    Leak {
        /// Milliseconds from the first packet to about the last.
        used_ms: Span,
        /// Exchanges in that time.
        exchanges: Span,
        /// Share where the server sends FIN when it has answered and the client never does
        /// (`CLOSE_WAIT`). The port stays held.
        half_closed: f64,
        /// Share where the client sends once more after the gateway forgot the connection, and
        /// gets RST from the gateway.
        late: f64,
    },
    /// Used briefly and closed.
    Short {
        /// Milliseconds from the first packet to about the last.
        lasts_ms: Span,
        /// Exchanges in that time.
        exchanges: Span,
        /// How it is closed.
        closing: Closing,
    },
    /// The destination does not answer; the client repeats its SYN after 1, 2, 4 … s.
    Unanswered {
        /// Repetitions.
        syn_retries: u32,
    },
    /// The destination answers the SYN with RST.
    Rejected,
    /// A rule turns the SYN away; the client repeats it after 1, 2, 4 … s. The gateway never sees it: it takes no
    /// port and counts no error.
    TurnedAway {
        /// Where.
        by: Rule,
        /// Repetitions.
        syn_retries: u32,
    },
    /// Packets that arrive at the gateway's addresses from outside, unasked, and go no further.
    /// Clients are ignored; the source is the destination's address.
    Unsolicited,
}

/// Size of one request and its answer.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    /// Packets of the request.
    pub request_packets: Span,
    /// Bytes of the request, all packets together.
    pub request_bytes: Span,
    /// Packets of the answer.
    pub response_packets: Span,
    /// Bytes of the answer, all packets together.
    pub response_bytes: Span,
}

impl Exchange {
    /// A small request with a small answer.
    pub const SMALL: Self = Self {
        request_packets: Span { min: 2, max: 4 },
        request_bytes: Span { min: 400, max: 2_000 },
        response_packets: Span { min: 2, max: 5 },
        response_bytes: Span { min: 500, max: 6_000 },
    };
    /// One packet each way.
    pub const DATAGRAM: Self = Self {
        request_packets: Span { min: 1, max: 1 },
        request_bytes: Span { min: 60, max: 90 },
        response_packets: Span { min: 1, max: 1 },
        response_bytes: Span { min: 90, max: 300 },
    };
    /// Far more bytes than anything else.
    pub const BULK: Self = Self {
        request_packets: Span { min: 200, max: 900 },
        request_bytes: Span { min: 12_000, max: 60_000 },
        response_packets: Span { min: 1_500, max: 4_000 },
        response_bytes: Span { min: 2_000_000, max: 5_800_000 },
    };
}

/// What a client does when no port is left for it.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// Repetitions of the SYN (or of the first datagram), after 1, 2, 4 … s, as the same 5-tuple.
    pub syn_retries: u32,
    /// New attempts, each from a new client port, after giving up.
    pub reattempts: u32,
    /// Seconds from giving up to a new attempt.
    pub delay_s: Span,
}

impl Retry {
    /// Three repetitions, then one new attempt.
    pub const USUAL: Self = Self { syn_retries: 3, reattempts: 1, delay_s: Span { min: 1, max: 10 } };
}

/// Connections of one kind.
#[derive(Clone, Debug)]
pub struct Workload {
    /// For people.
    pub name: String,
    /// Which way.
    pub route: Route,
    /// Who opens them.
    pub clients: Vec<Weighted>,
    /// To whom.
    pub destinations: Vec<Weighted>,
    /// When.
    pub phases: Vec<Phase>,
    /// What becomes of them.
    pub behaviour: Behaviour,
    /// What they carry.
    pub exchange: Exchange,
    /// What happens when one is refused.
    pub retry: Retry,
}

impl Workload {
    /// Whether a rule turns all of it away before the gateway sees it.
    pub fn is_turned_away(&self) -> bool {
        self.turned_away().is_some()
    }

    /// Where a rule turns all of it away, if one does.
    pub fn turned_away(&self) -> Option<Rule> {
        match self.behaviour {
            Behaviour::TurnedAway { by, .. } => Some(by),
            _ => None,
        }
    }
}

/// The shapes that a shortage of ports takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pattern {
    /// Many connections kept in use.
    LongLived,
    /// Opened, then idle, not closed.
    Leak,
    /// Short connections at a high rate.
    Churn,
    /// Attempts without answers.
    RetryStorm,
    /// Very many clients, none remarkable.
    FanIn,
    /// One or few clients, very many destinations.
    Scan,
}

impl Pattern {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::LongLived, Self::Leak, Self::Churn, Self::RetryStorm, Self::FanIn, Self::Scan];
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LongLived => "long-lived",
            Self::Leak => "leak",
            Self::Churn => "churn",
            Self::RetryStorm => "retry-storm",
            Self::FanIn => "fan-in",
            Self::Scan => "scan",
        })
    }
}

/// Everything that is simulated, from which all else follows.
#[derive(Clone, Debug)]
pub struct Incident {
    /// Seed of every random draw.
    pub seed: u64,
    /// First second, since 1970.
    pub start: i64,
    /// Length in seconds.
    pub duration_s: u32,
    /// As in `us-east-1`.
    pub region: String,
    /// Twelve digits.
    pub account_id: String,
    /// `vpc-…`
    pub vpc_id: String,
    /// As in `10.0.0.0/16`.
    pub vpc_cidrs: Vec<String>,
    /// The Availability Zones in use.
    pub zones: Vec<Zone>,
    /// The gateways of the VPC. The incident is about the first.
    pub gateways: Vec<Gateway>,
    /// Who opens connections.
    pub clients: Vec<Client>,
    /// To whom.
    pub destinations: Vec<Destination>,
    /// Which connections.
    pub workloads: Vec<Workload>,
    /// What the incident is meant to be.
    pub pattern: Pattern,
    /// Index of the destination that it is about.
    pub subject: usize,
    /// Port-allocation errors that the metrics show in the last two minutes and nothing in the
    /// traffic explains.
    pub unexplained_errors: u32,
}
