//! A discrete simulator of a NAT gateway: what its flow logs and metrics would have shown of an
//! incident, and the truth behind them. A development tool of nat-triage, on which it does not
//! depend: samples, tests and benchmarks draw from it, and a mistake in one is not made twice.
//!
//! ```
//! use nat_simulator::{Incident, LogFormat, Scale, View};
//!
//! let incident = Incident::random(7, Scale::Reduced { capacity: 200 });
//! let simulation = incident.simulate();
//! let records = simulation.records(&View::of_gateway(&incident, LogFormat::v3_pkt()));
//! let truth = simulation.truth();
//! assert!(!records.is_empty() && !truth.destinations.is_empty());
//! ```
//!
//! [`Incident`] is the whole input: plain data, hand-written or [random](Incident::random).
//! [`Incident::simulate`] plays it out; the [`Simulation`] is then asked for [`Record`]s of any
//! [`View`], for [`MinuteMetrics`], for the [`Truth`] and for [`Facts`]. The same incident gives
//! the same bytes.
//!
//! # Model and limits
//!
//! Nobody has published flow logs of a real exhaustion. Agreement with this simulator is
//! consistency with what AWS documents and with the assumptions below; it is no field proof.
//!
//! Documented by AWS and followed:
//! - a limit of simultaneous connections per (NAT address, destination address, port, protocol),
//!   source ports from 1024 to 65535;
//! - 350 s without packets end a mapping; a packet that comes later is answered with RST;
//! - which addresses the four legs show, on a zonal gateway's interface, on a regional gateway, on
//!   a client's interface; secondary addresses shown as the primary, the real one in `pkt-*`;
//! - one record per flow, interface, direction and window; FIN, SYN, RST and SYN-ACK alone in
//!   `tcp-flags`; delivery some minutes after the window.
//!
//! Assumed, because nothing is documented. Where a choice could matter, the incident or the view
//! makes it, and conclusions should hold under each:
//! - the order in which ports and addresses are handed out ([`Allocation`], [`AddressChoice`]);
//! - a refused attempt shows as packets on leg A and nothing else: no RST, no leg B; each such
//!   packet, repetitions included, counts in `ErrorPortAllocation` and in `PacketsDropCount`;
//! - a port is free at once after RST or after FIN from both sides and the last acknowledgement: no
//!   cool-down. FIN from one side frees nothing;
//! - unanswered SYNs, UDP and ICMP hold a port for 350 s after the last packet, like TCP. Were
//!   half-open connections forgotten sooner, retry storms would exhaust less than they do here;
//! - whether records that look alike are one ([`FlowKey`]), how window boundaries lie (one random
//!   phase per interface), the log stream of a regional gateway;
//! - what a gateway's interface shows towards IPv6 clients: here the packet's own addresses, the
//!   destination in `64:ff9b::/96`. Random incidents have none.
//!
//! Simplified:
//! - packets come in bursts drawn when the connection opens; loss, retransmission and congestion are
//!   left out, and nothing slows down when a gateway is full but what is refused;
//! - a client's own port is free again when the gateway's mapping ends: no `TIME_WAIT`. A leaking
//!   client is taken to have dropped its sockets by then;
//! - an incident starts from nothing: no connection is older than its first second, unless
//!   [`View::logged_from`] hides the beginning;
//! - a scan exhausts only because it comes back to one destination: the documented limit is per
//!   destination, so a scan that does not would exhaust nothing;
//! - clients of one zone alone use a random regional incident's subject, so that one capacity is at
//!   stake; a hand-written one may do otherwise ([`DestinationTruth::zones`]);
//! - a gateway keeps its addresses: none is added, none drains;
//! - REJECT stands only for what a rule at the client's or the gateway's interface turns away
//!   ([`Behaviour::TurnedAway`]). ECS, tag, sublocation, `reject-reason` and `encryption-status` fields
//!   show `-`.

mod climbs;
mod engine;
mod flow_log;
mod metrics;
mod ports;
mod random;
mod rng;
pub mod sample;
mod scenarios;
mod simulation;
mod spec;
mod truth;
mod workload;

pub use climbs::Climb;
pub use flow_log::{Duplicates, Field, FlowKey, FormatError, LogFormat, Record, View, Viewpoint};
pub use metrics::MinuteMetrics;
pub use ports::{Allocation, FIRST_NAT_PORT, LAST_NAT_PORT, PORTS_PER_ADDRESS};
pub use random::Scale;
pub use rng::Rng;
pub use scenarios::Scenario;
pub use simulation::{AddressFacts, Facts, Simulation};
pub use spec::{
    AddressChoice, Arrivals, Behaviour, Client, Closing, Destination, Exchange, Gateway, GatewayKind,
    IDLE_TIMEOUT_S, Incident, NatAddress, Pattern, Phase, Protocol, Retry, Route, Rule, Span, Triple,
    Weighted, Workload, Zone,
};
pub use truth::{ClientTruth, DestinationTruth, Truth, ZoneTruth};

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
