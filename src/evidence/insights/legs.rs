//! The rules of [`super::super::leg_rules`] as text of a query: which leg a record shows.

use std::fmt::Display;

use crate::flow::{Field, LogFormat};
use crate::network::GatewayKind;

use super::super::leg_rules::{AT_CLIENT, End, Leg, LegTable, REGIONAL, Test};
use super::super::{Side, Viewpoint};
use super::text::{Dialect, Name, Text};

/// Ranges that are inside for a public gateway, whatever the VPC's own; the same as
/// [`crate::network::is_private`].
const PRIVATE_V4: [&str; 5] =
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"];

/// Addresses by which IPv6 clients reach IPv4 servers: no client's own.
const NAT64: &str = "64:ff9b::/96";

/// A condition on a record, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    Always,
    Never,
    /// Joins with `and` and `or` as it stands.
    Text(String),
}

impl Condition {
    fn all(conditions: impl IntoIterator<Item = Self>) -> Self {
        Self::joined(conditions, " and ", &Self::Never, Self::Always)
    }

    fn any(conditions: impl IntoIterator<Item = Self>) -> Self {
        Self::joined(conditions, " or ", &Self::Always, Self::Never)
    }

    fn joined(conditions: impl IntoIterator<Item = Self>, with: &str, decides: &Self, empty: Self) -> Self {
        let mut texts = Vec::new();
        for condition in conditions {
            match condition {
                Self::Text(text) => texts.push(text),
                known if known == *decides => return known,
                _ => {}
            }
        }
        match &mut texts[..] {
            [] => empty,
            [one] => Self::Text(std::mem::take(one)),
            several => Self::Text(format!("({})", several.join(with))),
        }
    }
}

/// Whether an end is a client's, computed once for each record: the ranges make a long text.
#[derive(Clone, Debug, Default)]
struct Inside {
    source: Option<Name>,
    target: Option<Name>,
}

/// Tells legs apart in a query's text.
pub(super) struct Legs<'a> {
    viewpoint: &'a Viewpoint,
    format: &'a LogFormat,
    table: &'static LegTable,
    dialect: Dialect,
}

impl<'a> Legs<'a> {
    /// For the records of the gateway itself.
    pub(super) fn of_gateway(viewpoint: &'a Viewpoint, format: &'a LogFormat) -> Self {
        let table = if viewpoint.kind == GatewayKind::Regional {
            &REGIONAL
        } else {
            {
                let ends = format.has(Field::Srcaddr) && format.has(Field::Dstaddr);
                LegTable::on_interface(format.has_packet_addresses(), ends)
            }
        };
        Self { viewpoint, format, table, dialect: Dialect::default() }
    }

    /// The same in another language.
    pub(super) fn in_dialect(self, dialect: Dialect) -> Self {
        Self { dialect, ..self }
    }

    /// For the records of clients' interfaces.
    pub(super) fn at_clients(viewpoint: &'a Viewpoint, format: &'a LogFormat) -> Self {
        Self { viewpoint, format, table: &AT_CLIENT, dialect: Dialect::default() }
    }

    /// Whether the clients' side shows the gateway in place of the server.
    pub(super) fn hides_servers(&self) -> bool {
        self.table.hides_servers
    }

    /// The field that holds the near end's address, where the packets go out.
    pub(super) fn source(&self) -> &'static str {
        self.column(self.table.source)
    }

    /// The same of the far end.
    pub(super) fn target(&self) -> &'static str {
        self.column(self.table.target)
    }

    /// Adds a field that holds a number for the leg that a record shows: odd where it went out, 0 for none; see
    /// [`number`].
    pub(super) fn number_legs(&self, text: &mut Text) -> Name {
        let inside = self.tell_inside(text);
        let expression = self.table.rules.iter().rev().fold("0".to_owned(), |otherwise, rule| {
            let number = rule.leg.map_or(0, number).to_string();
            match self.condition(rule.when, true, Some(&inside)) {
                Condition::Always => number,
                Condition::Never => otherwise,
                Condition::Text(_) if number == otherwise => otherwise,
                Condition::Text(condition) => format!("if({condition}, {number}, {otherwise})"),
            }
        });
        let leg = text.name("ntLeg");
        text.fields(format_args!("{expression} as {leg}"));
        leg
    }

    /// The condition under which a record shows a leg that goes out, in a text without `if`; `None` where every
    /// record does.
    pub(super) fn outward_only(&self) -> Option<String> {
        let condition = self.table.rules.iter().rev().fold(Condition::Never, |otherwise, rule| {
            if rule.leg.is_some_and(|leg| leg.outward) {
                Condition::any([self.condition(rule.when, true, None), otherwise])
            } else {
                Condition::all([self.condition(rule.when, false, None), otherwise])
            }
        });
        match condition {
            Condition::Text(text) => Some(text),
            Condition::Always | Condition::Never => None,
        }
    }

    /// Where the clients' side hides servers, the condition under which a packet of the gateway may go to a server
    /// inside as well as to a client: [`Viewpoint::may_be_server`].
    pub(super) fn perhaps_to_server(&self) -> Option<String> {
        let viewpoint = self.viewpoint;
        if !self.table.hides_servers || viewpoint.kind != GatewayKind::Zonal {
            return None;
        }
        let (source, target) = (self.source(), self.target());
        let gateway = self.dialect.list(&viewpoint.addresses);
        let inside = self.within(target, PRIVATE_V4).join(" or ");
        let own = viewpoint.client_ranges.iter().filter(|range| range.network().is_ipv4());
        let own = self.within(target, own.map(ipnet::IpNet::trunc));
        let beyond = if own.is_empty() { String::new() } else { format!(" and not ({})", own.join(" or ")) };
        Some(format!("{source} in {gateway} and {target} not in {gateway} and ({inside}){beyond}"))
    }

    /// Adds a field for each end whose being a client's the rules ask for.
    fn tell_inside(&self, text: &mut Text) -> Inside {
        let mut asked = Vec::new();
        self.table.rules.iter().for_each(|rule| ends_asked(rule.when, &mut asked));
        let mut inside = Inside::default();
        let mut fields = Vec::new();
        for (end, stem, field) in [
            (End::Source, "ntSrcInside", &mut inside.source),
            (End::Target, "ntDstInside", &mut inside.target),
        ] {
            if asked.contains(&end) {
                let name = field.insert(text.name(stem));
                fields.push(format!("if({}, 1, 0) as {name}", self.is_client(self.column(end))));
            }
        }
        if !fields.is_empty() {
            text.fields(fields.join(", "));
        }
        inside
    }

    /// The test, or its opposite, as a condition.
    fn condition(&self, test: Test, holds: bool, inside: Option<&Inside>) -> Condition {
        let negatable = |text: String| Condition::Text(if holds { text } else { format!("not {text}") });
        match test {
            Test::Gateway(end) => {
                let operator = if holds { "in" } else { "not in" };
                let addresses = self.dialect.list(&self.viewpoint.addresses);
                Condition::Text(format!("{} {operator} {addresses}", self.column(end)))
            }
            Test::Client(end) => {
                let told = inside.and_then(|inside| match end {
                    End::Source => inside.source.as_ref(),
                    End::Target => inside.target.as_ref(),
                    End::PacketSource | End::PacketTarget => None,
                });
                match told {
                    Some(name) => Condition::Text(format!("{name} = {}", u8::from(holds))),
                    None => negatable(format!("({})", self.is_client(self.column(end)))),
                }
            }
            Test::Nat64(end) => negatable(self.dialect.within(self.column(end), NAT64, false)),
            Test::Same(one, other) => match (self.column(one), self.column(other)) {
                (one, other) if one == other => {
                    if holds {
                        Condition::Always
                    } else {
                        Condition::Never
                    }
                }
                (one, other) => Condition::Text(format!("{one} {} {other}", if holds { "=" } else { "!=" })),
            },
            Test::Enters | Test::Leaves if !self.format.has(Field::FlowDirection) => known(!holds),
            Test::Enters => self.direction("ingress", holds),
            Test::Leaves => self.direction("egress", holds),
            Test::PassesElsewhere => {
                if self.viewpoint.interfaces.is_empty() || !self.format.has(Field::NextHopInterfaceId) {
                    return known(!holds);
                }
                let mut through = vec!["-".to_owned()];
                through.extend(self.viewpoint.interfaces.iter().map(ToString::to_string));
                let operator = if holds { "not in" } else { "in" };
                let column = alias(Field::NextHopInterfaceId);
                Condition::Text(format!("{column} {operator} {}", self.dialect.list(&through)))
            }
            Test::None(tests) if holds => {
                Condition::all(tests.iter().map(|test| self.condition(*test, false, inside)))
            }
            Test::None(tests) => Condition::any(tests.iter().map(|test| self.condition(*test, true, inside))),
            Test::All(tests) if holds => {
                Condition::all(tests.iter().map(|test| self.condition(*test, true, inside)))
            }
            Test::All(tests) => Condition::any(tests.iter().map(|test| self.condition(*test, false, inside))),
        }
    }

    fn direction(&self, direction: &str, holds: bool) -> Condition {
        let operator = if holds { "=" } else { "!=" };
        let direction = self.dialect.quoted(direction);
        Condition::Text(format!("{} {operator} {direction}", alias(Field::FlowDirection)))
    }

    /// The field of an end; where the format lacks the interface's view of it, the packet's own.
    fn column(&self, end: End) -> &'static str {
        match end {
            End::Source if self.format.has(Field::Srcaddr) => "ntSrcaddr",
            End::Target if self.format.has(Field::Dstaddr) => "ntDstaddr",
            End::Source | End::PacketSource => "ntPktSrcaddr",
            End::Target | End::PacketTarget => "ntPktDstaddr",
        }
    }

    /// Whether a field holds a client's address, as [`Viewpoint::is_client`] has it.
    pub(super) fn is_client(&self, field: &str) -> String {
        let own = &self.viewpoint.client_ranges;
        let only_own = self.viewpoint.kind == GatewayKind::Private && !own.is_empty();
        let ranges: Vec<String> = if only_own {
            own.iter().map(|range| range.trunc().to_string()).collect()
        } else {
            // The VPC's own ranges are nearly always private ones already.
            let outside = own.iter().filter(|range| !crate::network::is_private(range.network()));
            PRIVATE_V4.into_iter().map(str::to_owned).chain(outside.map(|r| r.trunc().to_string())).collect()
        };
        let mut tests = self.within(field, ranges.iter().filter(|range| !range.contains(':')));
        let (is_ipv6, is_nat64) = (self.dialect.is_ipv6(field), self.dialect.within(field, NAT64, false));
        tests.push(format!("({is_ipv6} and not {is_nat64})"));
        let inside = tests.join(" or ");
        match &self.viewpoint.private_servers[..] {
            [] => inside,
            servers => format!("({inside}) and {field} not in {}", self.dialect.list(servers)),
        }
    }

    /// A test for each of the IPv4 ranges, whether the address in a field lies in it.
    fn within<Range: Display>(&self, field: &str, ranges: impl IntoIterator<Item = Range>) -> Vec<String> {
        ranges.into_iter().map(|range| self.dialect.within(field, range, true)).collect()
    }
}

/// The number that stands for a leg: odd where the packets went out, larger the nearer to the client it was
/// seen: 1 and 2 for the clients' side of the gateway, 3 and 4 for its own, 5 and 6 for clients' interfaces.
pub(super) fn number(leg: Leg) -> u8 {
    let side = match leg.side {
        Side::Client => 1,
        Side::Gateway => 3,
        Side::AtClient => 5,
    };
    side + u8::from(!leg.outward)
}

fn known(holds: bool) -> Condition {
    if holds { Condition::Always } else { Condition::Never }
}

/// The ends that a test asks about, whether they are a client's.
fn ends_asked(test: Test, asked: &mut Vec<End>) {
    match test {
        Test::Client(end) => asked.push(end),
        Test::None(tests) | Test::All(tests) => tests.iter().for_each(|test| ends_asked(*test, asked)),
        _ => {}
    }
}

/// What a field is called in a query: `ntPktSrcaddr`.
pub(in crate::evidence) fn alias(field: Field) -> String {
    let mut alias = String::from("nt");
    for word in field.name().split('-') {
        let mut letters = word.chars();
        alias.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        alias.push_str(letters.as_str());
    }
    alias
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use insights_server::{Store, Window};
    use proptest::prelude::*;

    use super::*;
    use crate::evidence::Steps;
    use crate::evidence::insights::query::{Question, Scope, Statuses, name_ports};
    use crate::flow::record::Action;
    use crate::flow::{Line, LineParser};
    use crate::incident::TimeWindow;
    use crate::network::{NatAddress, NatGateway, TrafficType};

    const OWN: &str = "eni-0123456789abcdef0";
    const GATEWAY_ID: &str = "nat-0123456789abcdef0";

    /// Whoever may be at an end of a record: two of the gateway, clients, servers, and what is neither.
    const ADDRESSES: [&str; 12] = [
        "10.0.0.220",
        "198.51.100.7",
        "10.0.1.5",
        "100.64.0.7",
        "172.16.9.9",
        "11.1.1.1",
        "203.0.113.5",
        "192.0.2.80",
        "2600:1f18::5",
        "fd00::5",
        "64:ff9b::203.0.113.5",
        "64:ff9b::192.0.2.80",
    ];

    const FORMATS: [&str; 5] = [
        "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status",
        "interface-id srcaddr dstaddr srcport dstport protocol start end action pkt-srcaddr pkt-dstaddr tcp-flags log-status",
        "resource-id interface-id srcaddr dstaddr srcport dstport protocol start end action flow-direction log-status",
        "interface-id srcaddr dstaddr srcport dstport protocol start end next-hop-interface-id",
        "srcaddr dstaddr srcport dstport protocol start end action",
    ];

    fn gateway(kind: GatewayKind) -> NatGateway {
        NatGateway {
            id: GATEWAY_ID.parse().ok(),
            kind,
            addresses: vec![NatAddress {
                private: "10.0.0.220".parse().ok(),
                public: "198.51.100.7".parse().ok(),
                zone: None,
                usable: true,
            }],
            interface_ids: vec![OWN.parse().expect("valid")],
            vpc_cidrs: vec!["10.0.0.0/16".parse().expect("valid"), "11.0.0.0/8".parse().expect("valid")],
            ..NatGateway::default()
        }
    }

    fn value(field: Field) -> BoxedStrategy<String> {
        let one_of = |values: &'static [&'static str]| {
            proptest::sample::select(values).prop_map(str::to_owned).boxed()
        };
        match field {
            Field::InterfaceId => one_of(&[OWN, OWN, "eni-0aaaaaaaaaaaaaaaa"]),
            Field::ResourceId => one_of(&[GATEWAY_ID, GATEWAY_ID, "nat-0bbbbbbbbbbbbbbbb"]),
            Field::Srcaddr | Field::Dstaddr | Field::PktSrcaddr | Field::PktDstaddr => one_of(&ADDRESSES),
            Field::Srcport | Field::Dstport => (1_u16..4).prop_map(|port| port.to_string()).boxed(),
            Field::Protocol => one_of(&["6", "17"]),
            Field::Start => (100_u32..160).prop_map(|second| second.to_string()).boxed(),
            Field::End => (160_u32..200).prop_map(|second| second.to_string()).boxed(),
            Field::Action => one_of(&["ACCEPT", "ACCEPT", "REJECT"]),
            Field::LogStatus => one_of(&["OK"]),
            Field::FlowDirection => one_of(&["ingress", "egress", "-"]),
            Field::NextHopInterfaceId => one_of(&["-", OWN, "eni-0aaaaaaaaaaaaaaaa"]),
            Field::TcpFlags => one_of(&["0", "2", "3", "18"]),
            _ => Just("7".to_owned()).boxed(),
        }
    }

    fn line(format: &LogFormat) -> BoxedStrategy<String> {
        let values: Vec<_> = format
            .columns()
            .iter()
            .map(|column| match column {
                crate::flow::format::Column::Known(field) => value(*field),
                crate::flow::format::Column::Unknown(_) => Just("x".to_owned()).boxed(),
            })
            .collect();
        values.prop_map(|values| values.join(" ")).boxed()
    }

    /// What a query says of each line: side, whether it went out, holder, port, server and its port.
    fn asked(
        viewpoint: &Viewpoint,
        format: &LogFormat,
        scope: &Scope,
        lines: &[String],
    ) -> BTreeMap<String, String> {
        let at = |second| jiff::Timestamp::from_second(second).expect("valid");
        let window = TimeWindow::new(at(100), at(160)).expect("valid");
        let question = Question {
            viewpoint,
            format,
            log_groups: &[],
            stored_bytes: None,
            fields_discovered: false,
            window,
            lead: 0,
            steps: Steps::over(window),
            worst: 100,
            kept_from: None,
            table: None,
        };
        let mut text = Text::default();
        let legs = question.legs(scope);
        question.select(scope, &legs, Statuses::All, &mut text).expect("askable");
        name_ports(&question, &legs, &mut text);
        text.command("display @message, ntSide, ntOut, ntHolder, ntPort, ntServer, ntServerPort");
        let store = Store::new();
        store.add_flow_log_lines("g", &format!("{OWN}-all"), lines.iter().map(|line| (100, line.as_str())));
        let query = insights_server::Query::parse(&text.finish()).expect("a query");
        let rows = query.run(&store, &["g"], Window::ALL).expect("run").rows;
        let told = rows.into_iter().map(|row| {
            let value = |name: &str| {
                row.iter().find(|(field, _)| field == name).map_or("?", |(_, value)| value.as_str())
            };
            let leg = ["ntSide", "ntOut", "ntHolder", "ntPort", "ntServer", "ntServerPort"].map(value);
            (value("@message").to_owned(), leg.join(" "))
        });
        told.collect()
    }

    /// What the file engine says of a line, in the same words; `None` where it does not count.
    fn classified(viewpoint: &Viewpoint, parser: &LineParser, scope: &Scope, line: &str) -> Option<String> {
        let Ok(Line::Record(record)) = parser.parse(line.as_bytes()) else { panic!("{line}") };
        let own = |interface: &[u8]| interface == OWN.as_bytes();
        match scope {
            Scope::Streams(..) | Scope::Gateway => {}
            Scope::Interfaces(_) if record.interface.is_some_and(|interface| !own(interface)) => return None,
            Scope::Interfaces(_) => {}
            Scope::Clients(servers) => {
                let about = servers.contains(&record.src) || servers.contains(&record.dst);
                if !about || record.interface.is_some_and(own) {
                    return None;
                }
            }
        }
        let seen = viewpoint.classify(&record)?;
        let at_clients = matches!(scope, Scope::Clients(_));
        if (seen.side == Side::AtClient) != at_clients {
            return None;
        }
        let side = match (record.action, seen.side) {
            (Action::Reject, Side::Gateway) if seen.outward => "turned-away",
            (Action::Reject, _) => return None,
            (Action::Accept, Side::Gateway) => "gateway",
            (Action::Accept, Side::Client) => "client",
            (Action::Accept, Side::AtClient) => "at-client",
        };
        let server = seen.destination.address.map_or_else(|| "-".to_owned(), |address| address.to_string());
        Some(format!(
            "{side} {} {} {} {server} {}",
            u8::from(seen.outward),
            seen.holder,
            seen.port,
            seen.destination.port
        ))
    }

    /// A server's NAT64 address as the rows hold it is the address inside, as they are read.
    fn unmapped(leg: &str) -> String {
        leg.replace("64:ff9b::cb00:7105", "203.0.113.5")
            .replace("64:ff9b::203.0.113.5", "203.0.113.5")
            .replace("64:ff9b::c000:250", "192.0.2.80")
            .replace("64:ff9b::192.0.2.80", "192.0.2.80")
    }

    fn agree(format: &str, kind: GatewayKind, scope: &Scope, lines: &[String]) {
        let format: LogFormat = format.parse().expect("valid");
        let viewpoint = Viewpoint::of(&gateway(kind));
        let parser = LineParser::new(&format);
        let asked = asked(&viewpoint, &format, scope, lines);
        for line in lines {
            let expected = classified(&viewpoint, &parser, scope, line);
            let told = asked.get(line).map(|leg| unmapped(leg));
            assert_eq!(told, expected.map(|leg| unmapped(&leg)), "{kind:?} {scope:?} {format}\n{line}");
        }
    }

    fn any_lines() -> impl Strategy<Value = (usize, Vec<String>)> {
        (0..FORMATS.len()).prop_flat_map(|nth| {
            let format = FORMATS[nth].parse().expect("valid");
            (Just(nth), proptest::collection::vec(line(&format), 1..60))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn query_and_file_engine_see_the_same_leg_of_any_record((nth, lines) in any_lines()) {
            let kinds = match nth {
                2 => vec![GatewayKind::Regional],
                _ => vec![GatewayKind::Zonal, GatewayKind::Private],
            };
            for kind in kinds {
                let own = Scope::Interfaces(vec![OWN.parse().expect("valid")]);
                let servers = Scope::Clients(vec![
                    "203.0.113.5".parse().expect("valid"),
                    "64:ff9b::192.0.2.80".parse().expect("valid"),
                ]);
                match (nth, kind) {
                    (_, GatewayKind::Regional) => agree(FORMATS[nth], kind, &Scope::Gateway, &lines),
                    (4, _) => agree(FORMATS[nth], kind, &Scope::Interfaces(Vec::new()), &lines),
                    _ => {
                        agree(FORMATS[nth], kind, &own, &lines);
                        agree(FORMATS[nth], kind, &servers, &lines);
                    }
                }
            }
        }
    }

    #[test]
    fn a_skipdata_record_is_told_whatever_its_fields_hold() {
        let format = LogFormat::version_2();
        let viewpoint = Viewpoint::of(&gateway(GatewayKind::Zonal));
        let line = format!("2 123456789010 {OWN} - - - - - - - 100 160 - SKIPDATA");
        let scope = Scope::Streams(viewpoint.interfaces.clone(), TrafficType::All);
        let told = asked(&viewpoint, &format, &scope, std::slice::from_ref(&line));
        assert!(told[&line].starts_with("skipped "), "{told:?}");
    }
}
