//! The text of the Logs Insights queries. Pure, and every value that goes in is typed, so that
//! nothing an event or a log line holds can change what is asked.
//!
//! One scan answers for every minute. Records are first folded per port and minute, so that two
//! lives of one port stay apart; then per port into "held at this instant or not"; then summed per
//! destination and client. The aliases hold letters and digits only, as names of groups in a
//! regular expression may have nothing else in some dialects.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::super::{Side, Steps, Viewpoint};
use jiff::Timestamp;

use crate::flow::format::Column;
use crate::flow::{Field, LogFormat};
use crate::incident::{InterfaceId, TimeWindow};
use crate::network::{GatewayKind, IDLE_TIMEOUT_SECONDS, TrafficType};

/// Whether lines of one format can't be told from lines of the other.
#[must_use]
pub fn alike(one: &LogFormat, other: &LogFormat) -> bool {
    let shapes = |format: &LogFormat| format.columns().iter().map(shape).collect::<Vec<_>>();
    shapes(one) == shapes(other)
}

/// What a column's values look like, as a regular expression: formats with as many fields in another
/// order are mostly told apart by it.
fn shape(column: &Column) -> &'static str {
    match column {
        Column::Known(
            Field::Srcport
            | Field::Dstport
            | Field::Protocol
            | Field::Packets
            | Field::Bytes
            | Field::Start
            | Field::End
            | Field::TcpFlags,
        ) => r"[\d-]\d*",
        Column::Known(Field::Srcaddr | Field::Dstaddr | Field::PktSrcaddr | Field::PktDstaddr) => {
            r"[\da-fA-F.:-]+"
        }
        Column::Known(Field::InterfaceId) => r"(?:-|eni-\w+)",
        Column::Known(Field::Action | Field::LogStatus) => "[A-Z-]+",
        _ => r"\S+",
    }
}

/// Longest query text that StartQuery takes (`QueryString` in the CloudWatch Logs API).
pub const LONGEST_QUERY: usize = 10_000;

/// Seconds after everything: no window is eleven days long.
const FAR: u32 = 999_999;

/// Most rows that are asked for: one page of `GetQueryResults`.
pub const MOST_ROWS: usize = 10_000;

/// Ranges that are inside for a public gateway, whatever the VPC's own; the same as
/// [`crate::network::is_private`].
const PRIVATE_V4: [&str; 5] =
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"];

/// Addresses by which IPv6 clients reach IPv4 servers: no client's own.
const NAT64: &str = "64:ff9b::/96";

/// A query, ready to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// What it answers, for the report.
    pub purpose: &'static str,
    /// Its text.
    pub text: String,
    /// The log groups it is about.
    pub log_groups: Vec<String>,
    /// First second, inclusive, by which records began.
    pub from: i64,
    /// Last second, inclusive, by which records began.
    pub to: i64,
}

/// Which records a query is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The gateway's own log streams, by name: the default index on `@logStream` skips the others.
    Streams(Vec<InterfaceId>, TrafficType),
    /// Every stream, for records of these interfaces.
    Interfaces(Vec<InterfaceId>),
    /// Every stream, for records of a regional gateway.
    Gateway,
    /// Every stream, for what clients' interfaces exchanged with these servers.
    Clients(Vec<IpAddr>),
}

/// Everything that a query's text depends on.
pub struct Question<'a> {
    /// How records show the gateway.
    pub viewpoint: &'a Viewpoint,
    /// The flow log's format.
    pub format: &'a LogFormat,
    /// The log groups.
    pub log_groups: &'a [String],
    /// The minutes in question.
    pub window: TimeWindow,
    /// How far back records bear on them, in seconds.
    pub lead: i64,
    /// The instants at which held ports are counted.
    pub steps: Steps,
    /// Before when the log groups hold nothing: a query is not to begin earlier.
    pub kept_from: Option<Timestamp>,
}

/// Why a question cannot be put.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unaskable {
    /// The gateway's addresses are what tells its legs apart.
    #[error("none of the gateway's addresses is known, and its legs cannot be told apart without")]
    NoAddresses,
    /// A regional gateway's records are found by `resource-id` alone.
    #[error("the flow log's format lacks resource-id, by which a regional gateway's records are found")]
    NoResourceId,
    /// The text would be too long.
    #[error("the query would have {0} characters; Logs Insights takes {LONGEST_QUERY}")]
    TooLong(usize),
}

impl Question<'_> {
    /// The query for one scope.
    ///
    /// # Errors
    /// When the gateway is not known well enough, or the text would be too long.
    pub fn query(&self, purpose: &'static str, scope: &Scope) -> Result<Query, Unaskable> {
        if self.viewpoint.addresses.is_empty() {
            return Err(Unaskable::NoAddresses);
        }
        let mut text = String::new();
        self.select(&mut text, scope)?;
        self.legs(&mut text, scope);
        self.fold(&mut text);
        let characters = text.chars().count();
        if characters > LONGEST_QUERY {
            return Err(Unaskable::TooLong(characters));
        }
        Ok(Query {
            purpose,
            text,
            log_groups: self.log_groups.to_vec(),
            from: (self.window.start().as_second() - self.lead)
                .max(self.kept_from.map_or(0, Timestamp::as_second)),
            to: self.window.end().as_second() - 1,
        })
    }

    /// Chooses the records and takes them apart.
    fn select(&self, text: &mut String, scope: &Scope) -> Result<(), Unaskable> {
        if let Scope::Streams(interfaces, traffic) = scope {
            let streams: Vec<String> =
                interfaces.iter().map(|id| format!("{id}-{}", traffic.stream_suffix())).collect();
            line(text, &format!("filter @logStream in {}", list(&streams)));
        }
        line(text, &format!("parse @message /^{}$/", self.pattern()));
        let accepted = match (self.format.has(Field::LogStatus), self.format.has(Field::Action)) {
            (true, true) => {
                r#"(ntLogStatus = "OK" and ntAction = "ACCEPT") or ntLogStatus = "SKIPDATA""#.to_owned()
            }
            (true, false) => r#"ntLogStatus in ["OK", "SKIPDATA"]"#.to_owned(),
            (false, true) => r#"ntAction = "ACCEPT""#.to_owned(),
            (false, false) => "ispresent(ntStart)".to_owned(),
        };
        line(text, &format!("filter {accepted}"));
        let ids = |interfaces: &[InterfaceId]| list(interfaces);
        match scope {
            Scope::Streams(..) => {}
            // None named: whatever shows one of the gateway's addresses is its own.
            Scope::Interfaces(interfaces) if interfaces.is_empty() => {}
            Scope::Interfaces(interfaces) => {
                line(text, &format!("filter ntInterfaceId in {}", ids(interfaces)));
            }
            Scope::Gateway => {
                let id = self.viewpoint.gateway.as_ref().filter(|_| self.format.has(Field::ResourceId));
                let id = id.ok_or(Unaskable::NoResourceId)?;
                line(text, &format!("filter ntResourceId = \"{id}\""));
            }
            Scope::Clients(servers) => {
                // Other ports of the same addresses come along, and are told apart in the rows.
                let servers = list(servers);
                line(
                    text,
                    &format!("filter {} in {servers} or {} in {servers}", self.source(), self.target()),
                );
                if self.format.has(Field::InterfaceId) && !self.viewpoint.interfaces.is_empty() {
                    line(text, &format!("filter not (ntInterfaceId in {})", ids(&self.viewpoint.interfaces)));
                }
            }
        }
        Ok(())
    }

    /// A regular expression for one line, anchored at both ends: a line of another format, which a
    /// second flow log may write to the same group, does not match.
    fn pattern(&self) -> String {
        let columns = self.format.columns().iter().map(|column| match column {
            Column::Known(field) if self.uses(*field) => format!("(?<{}>{})", alias(*field), shape(column)),
            _ => shape(column).to_owned(),
        });
        columns.collect::<Vec<_>>().join(" ")
    }

    fn uses(&self, field: Field) -> bool {
        matches!(
            field,
            Field::InterfaceId
                | Field::ResourceId
                | Field::Srcaddr
                | Field::Dstaddr
                | Field::PktSrcaddr
                | Field::PktDstaddr
                | Field::Srcport
                | Field::Dstport
                | Field::Protocol
                | Field::Packets
                | Field::Bytes
                | Field::Start
                | Field::End
                | Field::Action
                | Field::LogStatus
                | Field::TcpFlags
                | Field::FlowDirection
        )
    }

    /// Says of each record which side it shows, which way it went, whose port it is, and towards
    /// whom: the same rules as [`Viewpoint::classify`].
    fn legs(&self, text: &mut String, scope: &Scope) {
        let gateway = list(&self.viewpoint.addresses);
        let (src, dst) = (self.source(), self.target());
        let client = |field: &str| self.is_client(field);
        let joined = self.format.has_packet_addresses();
        let (side, outward, holder, server) = if let Scope::Clients(servers) = scope {
            ("\"at-client\"".to_owned(), format!("{dst} in {}", list(servers)), (src, dst), (dst, src))
        } else if self.viewpoint.kind == GatewayKind::Regional {
            let inwards = if self.format.has(Field::FlowDirection) {
                "ntFlowDirection = \"ingress\"".to_owned()
            } else {
                client(src)
            };
            (
                format!("if({src} in {gateway} or {dst} in {gateway}, \"gateway\", \"client\")"),
                format!("{src} in {gateway} or (not ({dst} in {gateway}) and {inwards})"),
                (src, dst),
                (dst, src),
            )
        } else if joined {
            let (pkt_src, pkt_dst) = ("ntPktSrcaddr", "ntPktDstaddr");
            let (to_nat64, from_nat64) = (self.on_nat64(pkt_dst), self.on_nat64(pkt_src));
            (
                format!(
                    "if({pkt_src} in {gateway} or {pkt_dst} in {gateway}, \"gateway\", if({src} in {gateway} or {dst} in {gateway}{to_nat64}{from_nat64}, \"client\", \"other\"))"
                ),
                format!(
                    "{pkt_src} in {gateway} or (not ({pkt_dst} in {gateway}) and ({dst} in {gateway}{to_nat64}))"
                ),
                (pkt_src, pkt_dst),
                (pkt_dst, pkt_src),
            )
        } else {
            // The party that is not the gateway tells which leg it is.
            let (from, to) = (
                format!("{src} in {gateway}{}", self.on_nat64(src)),
                format!("{dst} in {gateway}{}", self.on_nat64(dst)),
            );
            line(
                text,
                &format!(
                    "fields if({from}, 1, 0) as fromGateway, if({from}, {dst}, if({to}, {src}, \"-\")) as party"
                ),
            );
            line(
                text,
                &format!(
                    "fields if(party = \"-\", \"other\", if({}, \"client\", \"gateway\")) as partySide",
                    client("party")
                ),
            );
            (
                "partySide".to_owned(),
                "(fromGateway = 1 and partySide = \"gateway\") or (fromGateway = 0 and partySide = \"client\")".to_owned(),
                (src, dst),
                (dst, src),
            )
        };
        let skipped = if self.format.has(Field::LogStatus) {
            format!("if(ntLogStatus = \"SKIPDATA\", \"skipped\", {side})")
        } else {
            side
        };
        line(text, &format!("fields {skipped} as side, if({outward}, 1, 0) as outward"));
        line(text, "filter side != \"other\"");
        // Without packet addresses the client's side does not show the server.
        let hidden =
            !joined && self.viewpoint.kind != GatewayKind::Regional && !matches!(scope, Scope::Clients(_));
        let server = format!("if(outward = 1, {}, {})", server.0, server.1);
        let server = if hidden { format!("if(side = \"client\", \"-\", {server})") } else { server };
        let closed = if self.format.has(Field::TcpFlags) {
            // FIN is bit 0, SYN bit 1 and RST bit 2: the language has no operator for bits.
            ", ntTcpFlags % 2 as finished, if(ntTcpFlags % 8 >= 4, 1, 0) as reset, if(ntTcpFlags % 4 >= 2, 1, 0) as opened"
        } else {
            ""
        };
        let packets =
            if self.format.has(Field::Packets) { "if(outward = 1, ntPackets, 0)" } else { "outward" };
        line(
            text,
            &format!(
                "fields if(outward = 1, {}, {}) as holder, if(outward = 1, ntSrcport, ntDstport) as port, {server} as server, if(outward = 1, ntDstport, ntSrcport) as dport, 1 - outward as inward, {packets} as sent, floor(ntStart / 60) as minute, ntStart - {base} as began, ntEnd - {base} as ended{closed}",
                holder.0,
                holder.1,
                base = self.origin(),
            ),
        );
    }

    /// The second from which times are counted: before every record that is asked for, so that none is
    /// negative, and near enough to keep the numbers short.
    pub(super) fn origin(&self) -> i64 {
        self.steps.start() - self.lead.max(IDLE_TIMEOUT_SECONDS) - 60
    }

    /// The alias of `srcaddr`, or of `pkt-srcaddr` where the format lacks it.
    fn source(&self) -> &'static str {
        if self.format.has(Field::Srcaddr) { "ntSrcaddr" } else { "ntPktSrcaddr" }
    }

    /// The alias of `dstaddr`, or of `pkt-dstaddr` where the format lacks it.
    fn target(&self) -> &'static str {
        if self.format.has(Field::Dstaddr) { "ntDstaddr" } else { "ntPktDstaddr" }
    }

    /// ` or …`: whether an address is a server's as IPv6 clients see it, which on the gateway's own
    /// interface only their side shows.
    fn on_nat64(&self, field: &str) -> String {
        if self.viewpoint.interfaces.is_empty() {
            return String::new();
        }
        format!(" or isIpv6InSubnet({field}, \"{NAT64}\")")
    }

    fn is_client(&self, field: &str) -> String {
        let own = self.viewpoint.client_ranges.iter().map(ToString::to_string);
        let only_own =
            self.viewpoint.kind == GatewayKind::Private && !self.viewpoint.client_ranges.is_empty();
        let private = PRIVATE_V4.iter().map(ToString::to_string);
        let ranges: Vec<String> = if only_own {
            own.collect()
        } else {
            // The VPC's own ranges are nearly always private ones already.
            let outside =
                self.viewpoint.client_ranges.iter().filter(|r| !crate::network::is_private(r.network()));
            private.chain(outside.map(|r| r.trunc().to_string())).collect()
        };
        let ranges = ranges.iter().filter(|range| !range.contains(':'));
        let tests = ranges.map(|range| format!("isIpv4InSubnet({field}, \"{range}\")"));
        let ipv6 = format!("(isValidIpv6({field}) and not isIpv6InSubnet({field}, \"{NAT64}\"))");
        tests.chain([ipv6]).collect::<Vec<_>>().join(" or ")
    }

    /// Folds records into ports, ports into instants, and sums.
    ///
    /// Of each port and instant the packet before (`p`) and the next one (`n`) are kept: at the
    /// instant the port was held for certain where it lies within a record, or where no end was ever
    /// seen on the port and the silence is too short for the gateway to have let go; and it may have
    /// been held (`h`) where no end was seen before it, for the idle timeout.
    fn fold(&self, text: &mut String) {
        let ends = self.format.has(Field::TcpFlags);
        let with = |yes: bool, part: &str| if yes { part.to_owned() } else { String::new() };
        let (packets, bytes) = (self.format.has(Field::Packets), self.format.has(Field::Bytes));

        // Per port and minute: first (s), last (e), RST (r), FIN out (x) and back (y), SYN (o), answer (i),
        // packets out (k:
        // one flow log makes one record of them, two make two of the same packets).
        let flags = with(
            ends,
            &format!(
                ", max(reset) as r1, max(finished * outward) as x1, max(finished * inward) as y1, max(opened) as o1, min(if(outward = 1, began, {FAR})) as f1, min(if(outward = 1, {FAR}, began)) as g1"
            ),
        );
        line(
            text,
            &format!(
                "stats min(began) as s1, max(ended) as e1{flags}, max(inward) as i1, max(sent) as k1{}{}, count(*) as q1 by side, holder, port, server, dport, ntProtocol, minute",
                with(packets, ", sum(ntPackets) as w1"),
                with(bytes, ", sum(ntBytes) as b1"),
            ),
        );
        // Whether it ended (c: by a RST or by both sides), from when it is held for certain (a: not where a connection may have ended before another
        // began), its step (j), first packets that got no answer (u): all of an attempt without one,
        // else as many as fit into the wait for it, repeated after 1, 3, 7 … seconds.
        let (certain, lost) = if ends {
            (
                format!(
                    "if(r1 = 1 or (x1 = 1 and (y1 = 1 or i1 = 0)), 1, 0) as c1, if(o1 = 1 and r1 + x1 + y1 > 0, {FAR}, s1)"
                ),
                "if(i1 = 0, if(o1 = 1 or ntProtocol != 6, k1, 0), if(o1 = 0 or g1 - f1 < 1, 0, if(g1 - f1 < 3, 1, if(g1 - f1 < 7, 2, if(g1 - f1 < 15, 3, 4)))))",
            )
        } else {
            ("s1".to_owned(), "if(i1 = 0, k1, 0)")
        };
        let first = self.steps.start() - self.origin();
        line(
            text,
            &format!(
                "fields {certain} as a1, floor((s1 - {first}) / {}) as j1, {lost} as u1",
                self.steps.seconds()
            ),
        );

        let mut ports = String::from("stats ");
        let mut held = String::from("fields ");
        let mut sums = String::from("stats ");
        for step in 0..self.steps.count() {
            let at = self.steps.at(step) - self.origin();
            let comma = if step == 0 { "" } else { ", " };
            // Last end before the instant, and whether that was an end for good: in the lowest bit.
            let (last, certain, may) = if ends {
                (
                    "e1 * 2 + c1",
                    format!(
                        "n{step} < {at} or (c2 = 0 and 2 * n{step} - p{step} < {})",
                        2 * IDLE_TIMEOUT_SECONDS
                    ),
                    format!(
                        "p{step} >= {} or (p{step} % 2 = 0 and p{step} >= {})",
                        2 * at,
                        2 * (at - IDLE_TIMEOUT_SECONDS)
                    ),
                )
            } else {
                ("e1", format!("n{step} < {at}"), format!("p{step} >= {}", at - IDLE_TIMEOUT_SECONDS))
            };
            let _ = write!(
                ports,
                "min(if(e1 >= {at}, a1, {FAR})) as n{step}, max(if(s1 < {at}, {last}, 0)) as p{step}, max(if(j1 = {step}, 1, 0)) as m{step}, sum(if(j1 = {step}, u1, 0)) as u{step}, "
            );
            let _ = write!(held, "{comma}if({may}, 1, 0) as h{step}");
            let _ = write!(
                sums,
                "sum(if({certain}, 1, 0)) as least{step}, sum(h{step}) as hold{step}, sum(if(m{step} + h{step} > 0, 1, 0)) as most{step}, sum(u{step}) as lost{step}, "
            );
        }
        let _ = write!(
            ports,
            "min(s1) as s2, max(e1) as e2{}, max(i1) as answered, sum(k1) as k2{}{}, sum(q1) as q2, sum(e1 - s1) as d2 by side, holder, port, server, dport, ntProtocol",
            with(ends, ", max(c1) as c2"),
            with(packets, ", sum(w1) as w2"),
            with(bytes, ", sum(b1) as b2"),
        );
        line(text, &ports);
        // What only comes in, unasked, meets no connection and holds no port.
        line(text, "filter k2 > 0 or side = \"skipped\"");
        line(text, &held);
        let active = if ends { "if(c2 = 0, e2 - s2, d2)" } else { "d2" };
        let _ = write!(
            sums,
            "min(s2) as first, max(e2) as last{}{}{}, sum(k2) as sent, sum(q2) as records, sum({active}) as active, count(*) as ports by side, answered, holder, server, dport, ntProtocol",
            with(ends, ", sum(c2) as ends"),
            with(packets, ", sum(w2) as packets"),
            with(bytes, ", sum(b2) as bytes"),
        );
        line(text, &sums);
        line(text, "sort ports desc");
        line(text, &format!("limit {MOST_ROWS}"));
    }
}

/// The name that a side has in rows.
pub(super) fn side_from_name(name: &str) -> Option<Side> {
    match name {
        "gateway" => Some(Side::Gateway),
        "client" => Some(Side::Client),
        "at-client" => Some(Side::AtClient),
        _ => None,
    }
}

/// Adds one command, each on a line of its own.
pub(super) fn line(text: &mut String, command: &str) {
    if !text.is_empty() {
        text.push_str("\n| ");
    }
    text.push_str(command);
}

/// `["a", "b"]`. The items are ids, addresses and stream names of our own making, which hold no
/// quotation mark.
fn list<T: ToString>(items: &[T]) -> String {
    let quoted: Vec<String> = items.iter().map(|item| format!("\"{}\"", item.to_string())).collect();
    format!("[{}]", quoted.join(", "))
}

/// What a field is called in a query: `ntPktSrcaddr`.
fn alias(field: Field) -> String {
    let mut alias = String::from("nt");
    for word in field.name().split('-') {
        let mut letters = word.chars();
        alias.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        alias.push_str(letters.as_str());
    }
    alias
}

/// Reads an address that a row holds; `-` stands for none.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::NatAddress;
    use crate::network::NatGateway;

    fn gateway(addresses: &[&str]) -> Viewpoint {
        Viewpoint::of(&NatGateway {
            id: "nat-0123456789abcdef0".parse().ok(),
            addresses: addresses
                .iter()
                .map(|a| NatAddress { private: a.parse().ok(), public: None, zone: None, usable: true })
                .collect(),
            interface_ids: vec!["eni-0123456789abcdef0".parse().expect("valid")],
            ..NatGateway::default()
        })
    }

    fn asked(viewpoint: &Viewpoint, format: &LogFormat, minutes: i64) -> Result<Query, Unaskable> {
        let at = |s| jiff::Timestamp::from_second(s).expect("valid");
        let window = TimeWindow::new(at(1_763_430_000), at(1_763_430_000 + minutes * 60)).expect("valid");
        let question = Question {
            viewpoint,
            format,
            log_groups: &["/vpc/flow-logs".to_owned()],
            window,
            lead: 410,
            kept_from: None,
            steps: Steps::over(window),
        };
        question.query("held ports", &Scope::Streams(viewpoint.interfaces.clone(), TrafficType::All))
    }

    #[test]
    fn the_query_of_the_default_format_reads_as_documented() {
        let query = asked(&gateway(&["10.0.0.220"]), &LogFormat::version_2(), 1).expect("askable");
        insta::assert_snapshot!(query.text);
    }

    #[test]
    fn the_query_of_a_custom_format_joins_clients_and_destinations() {
        let format = "tcp-flags pkt-dstaddr pkt-srcaddr srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status vpc-id"
            .parse()
            .expect("valid");
        let query = asked(&gateway(&["10.0.0.220", "10.0.0.221"]), &format, 1).expect("askable");
        insta::assert_snapshot!(query.text);
    }

    #[test]
    fn seventeen_minutes_with_eight_addresses_and_every_field_are_short_enough() {
        let every: Vec<&str> = Field::ALL.iter().map(|field| field.name()).collect();
        let format = every.join(" ").parse().expect("valid");
        let addresses: Vec<String> = (0..8).map(|n| format!("10.100.200.24{n}")).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        for minutes in [1, 5, 15, 17] {
            for format in [&format, &LogFormat::version_2()] {
                let query = asked(&gateway(&addresses), format, minutes).expect("askable");
                assert!(query.text.len() <= LONGEST_QUERY, "{minutes}: {}", query.text.len());
            }
        }
    }

    #[test]
    fn a_gateway_without_addresses_cannot_be_asked_about() {
        assert_eq!(asked(&gateway(&[]), &LogFormat::version_2(), 1), Err(Unaskable::NoAddresses));
    }
}
