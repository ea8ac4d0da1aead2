//! Who is a server and who a client, where a format hides one of them behind the gateway's address.
//!
//! Without packet addresses a record on the gateway's interface shows one other party, and the kind of
//! its address says little of its role: a public gateway also carries traffic to private servers, over a
//! transit gateway or a VPN. What the ports do tells more. One port of a server meets very many ports that
//! the gateway handed out, and somebody else asks the gateway for that same port. One port of a client
//! meets the few ports that its servers listen on.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::lately::{Lately, mark};
use super::{ClientUse, Destination, Evidence, PortRecord, Side, TCP, Viewpoint};
use crate::flow::record::FlowRecord;
use crate::network::GatewayKind;

/// IANA protocol number of UDP.
const UDP: u8 = 17;

/// The lowest port that a gateway hands out. What is below is a server's.
///
/// Source: "NAT gateway basics" in the Amazon VPC user guide.
const MIN_HANDED_OUT: u16 = 1024;

/// A port that meets so many of the gateway's ports is a server's: a client's own port is used towards a few
/// servers at the most before it is another's turn.
pub(super) const MIN_MET: usize = 8;

/// A port of an address that is not the gateway's.
type Endpoint = (IpAddr, u16, u8);

/// Who asks the gateway, by which protocol.
type Asker = (IpAddr, u8);

/// What a pass over all records found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FoundRoles {
    /// Who may have endpoints that are servers': the next pass looks at each endpoint of theirs. Looking at every
    /// endpoint of everybody would cost more than all else.
    suspects: BTreeSet<Asker>,
    /// The endpoints of suspects that are servers'.
    servers: BTreeSet<Endpoint>,
}

/// What the records showed of ports on private addresses that are not certainly a client's.
#[derive(Default)]
pub(super) struct Roles {
    /// What an earlier pass found.
    known: FoundRoles,
    /// Who asked the gateway for which port.
    asked: HashSet<(IpAddr, u16, u8)>,
    /// Of whom that is known already.
    asked_lately: Lately<(IpAddr, u16, u8), ()>,
    /// For how many ports that a gateway hands out each asked who is not certainly a client.
    asked_handed_out: HashMap<Asker, usize>,
    /// The ports of the gateway that each endpoint of a suspect met, as many as tell.
    met: HashMap<Endpoint, Vec<u16>>,
    /// Endpoints that met a port which no gateway hands out: what is asked for there is a server's port.
    clients: HashSet<Endpoint>,
}

impl Roles {
    /// With what an earlier pass found.
    pub(super) fn knowing(known: FoundRoles) -> Self {
        Self { known, ..Self::default() }
    }

    /// Whether an earlier pass found who may have servers' endpoints.
    pub(super) fn suspects_any(&self) -> bool {
        !self.known.suspects.is_empty()
    }

    /// What a record of the gateway shows, with the roles that the ports tell; `certain` says that an address
    /// can only be a client's.
    pub(super) fn corrected(
        &mut self,
        kind: GatewayKind,
        seen: PortRecord,
        record: &FlowRecord<'_>,
        certain: impl Fn(IpAddr) -> bool,
    ) -> PortRecord {
        let has_ports = matches!(seen.destination.protocol, TCP | UDP);
        match (seen.side, seen.destination.address) {
            (Side::Client, None) if has_ports => self.perhaps_server(seen, record, certain),
            (Side::Gateway, Some(other)) if has_ports && kind == GatewayKind::Private => {
                // The gateway hands out no such port: somebody asks for it.
                if seen.port < MIN_HANDED_OUT { asking(seen, other) } else { seen }
            }
            _ => seen,
        }
    }

    fn perhaps_server(
        &mut self,
        seen: PortRecord,
        record: &FlowRecord<'_>,
        certain: impl Fn(IpAddr) -> bool,
    ) -> PortRecord {
        let Destination { port: of_gateway, protocol, .. } = seen.destination;
        // Nearly every record asks for what was asked for before.
        let asker = (seen.holder, of_gateway, protocol);
        let Self { asked, asked_handed_out, asked_lately, .. } = self;
        asked_lately.find(mark(seen.holder) ^ u64::from(of_gateway) << 32, asker, || {
            if asked.insert(asker) && of_gateway >= MIN_HANDED_OUT && !certain(seen.holder) {
                *asked_handed_out.entry((seen.holder, protocol)).or_default() += 1;
            }
        });
        if !self.known.suspects.contains(&(seen.holder, protocol)) {
            return seen;
        }
        let endpoint = (seen.holder, seen.port, protocol);
        if of_gateway < MIN_HANDED_OUT {
            self.clients.insert(endpoint);
        } else {
            let met = self.met.entry(endpoint).or_default();
            if met.len() < MIN_MET && !met.contains(&of_gateway) {
                met.push(of_gateway);
            }
        }
        if self.known.servers.contains(&endpoint) { serving(seen, record) } else { seen }
    }

    /// What a record of a client's own interface shows of a private server that an earlier pass found: the rules take
    /// both ends for clients. `knowing` is the viewpoint that [`Roles::viewpoint`] made.
    pub(super) fn at_client(&self, knowing: &Viewpoint, record: &FlowRecord<'_>) -> Option<PortRecord> {
        let seen = knowing.classify(record).filter(|seen| seen.side == Side::AtClient)?;
        let Destination { address, port, protocol } = seen.destination;
        self.known.servers.contains(&(address?, port, protocol)).then_some(seen)
    }

    /// The viewpoint to which the servers of an earlier pass are no clients; `None` where it found none.
    pub(super) fn viewpoint(&self, viewpoint: &Viewpoint) -> Option<Viewpoint> {
        let mut servers: Vec<IpAddr> = self.known.servers.iter().map(|(address, ..)| *address).collect();
        servers.dedup();
        (!servers.is_empty()).then(|| Viewpoint { private_servers: servers, ..viewpoint.clone() })
    }

    /// What all records show, for the next pass.
    pub(super) fn found(&self) -> FoundRoles {
        let enough = self.asked_handed_out.iter().filter(|(_, ports)| **ports >= MIN_MET);
        FoundRoles { suspects: enough.map(|(asker, _)| *asker).collect(), servers: self.servers() }
    }

    fn servers(&self) -> BTreeSet<Endpoint> {
        // Per port the first who asked for it, and whether others did.
        let mut asked_for: HashMap<(u16, u8), (IpAddr, bool)> = HashMap::new();
        for (asker, port, protocol) in &self.asked {
            let (first, others) = asked_for.entry((*port, *protocol)).or_insert((*asker, false));
            *others |= first != asker;
        }
        let somebody_else_asked = |(address, port, protocol): &Endpoint| {
            let asked = asked_for.get(&(*port, *protocol));
            asked.is_some_and(|(first, others)| *others || first != address)
        };
        let serves = |(endpoint, met): &(&Endpoint, &Vec<u16>)| {
            met.len() >= MIN_MET && !self.clients.contains(*endpoint) && somebody_else_asked(endpoint)
        };
        self.met.iter().filter(serves).map(|(endpoint, _)| *endpoint).collect()
    }
}

/// Private addresses that rows of Logs Insights show as clients, and that are servers: each asks a public gateway for
/// very many ports, all of which the gateway hands out, and for which it asks nobody else; or the gateway sends to it
/// from very many ports, and nothing comes back. A row does not hold the address's own port, so that an address is
/// taken to have one role.
pub(super) fn servers_among_clients(evidence: &Evidence, viewpoint: &Viewpoint) -> Vec<IpAddr> {
    if evidence.packet_addresses {
        return Vec::new();
    }
    let asked_of_servers: HashSet<(u16, u8)> =
        evidence.destinations.keys().map(|destination| (destination.port, destination.protocol)).collect();
    let mut asked: BTreeMap<IpAddr, (usize, usize)> = BTreeMap::new();
    for (address, ports) in evidence.unasked.iter().filter(|(address, _)| viewpoint.may_be_server(**address))
    {
        asked.entry(*address).or_default().0 += usize::try_from(*ports).unwrap_or(usize::MAX);
    }
    for ClientUse { client, destination } in evidence.clients.keys() {
        let has_ports = matches!(destination.protocol, TCP | UDP);
        if destination.address.is_some() || !has_ports || !viewpoint.may_be_server(*client) {
            continue;
        }
        let (handed_out, others) = asked.entry(*client).or_default();
        let of_server = asked_of_servers.contains(&(destination.port, destination.protocol));
        if destination.port < MIN_HANDED_OUT || of_server { *others += 1 } else { *handed_out += 1 }
    }
    // Of the ports that the gateway hands out a few have the number of a server's.
    let serves = |(_, (handed_out, others)): &(IpAddr, (usize, usize))| {
        *handed_out >= MIN_MET && *others * MIN_MET <= *handed_out
    };
    let asking = asked.into_iter().filter(serves).map(|(address, _)| address);
    let known = evidence.destinations.keys().filter_map(|destination| destination.address);
    let mut servers: Vec<IpAddr> =
        asking.chain(known.filter(|address| viewpoint.may_be_server(*address))).collect();
    servers.sort_unstable();
    servers.dedup();
    servers
}

/// What was taken for a client's record, as a server's.
fn serving(seen: PortRecord, record: &FlowRecord<'_>) -> PortRecord {
    let gateway = if seen.outward { record.dst } else { record.src };
    PortRecord {
        side: Side::Gateway,
        outward: !seen.outward,
        holder: gateway,
        port: seen.destination.port,
        destination: Destination {
            address: Some(seen.holder),
            port: seen.port,
            protocol: seen.destination.protocol,
        },
    }
}

/// What was taken for a server's record, as that of a client who asks for a port.
fn asking(seen: PortRecord, client: IpAddr) -> PortRecord {
    PortRecord {
        side: Side::Client,
        outward: !seen.outward,
        holder: client,
        port: seen.destination.port,
        destination: Destination { address: None, port: seen.port, protocol: seen.destination.protocol },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Line, LineParser, LogFormat};

    const FORMAT: &str = "srcaddr dstaddr srcport dstport protocol start end";
    const SERVER: &str = "10.200.0.9";

    /// The roles once it is known who may be a server.
    fn looked_at(lines: &[String]) -> Roles {
        let mut first = Roles::default();
        last(&mut first, lines);
        let mut second = Roles::knowing(first.found());
        last(&mut second, lines);
        assert_eq!(second.found().suspects, first.found().suspects);
        second
    }

    /// Sees lines, as legs between clients and gateway, and says what became of the last one.
    fn last(roles: &mut Roles, lines: &[String]) -> PortRecord {
        let format: LogFormat = FORMAT.parse().expect("valid");
        let parser = LineParser::new(&format);
        let gateway: IpAddr = "10.0.0.220".parse().expect("valid");
        let mut last = None;
        for line in lines {
            let Ok(Line::Record(record)) = parser.parse(line.as_bytes()) else { panic!("{line}") };
            let outward = record.dst == gateway;
            let (holder, port, asked) = if outward {
                (record.src, record.src_port, record.dst_port)
            } else {
                (record.dst, record.dst_port, record.src_port)
            };
            let destination = Destination { address: None, port: asked, protocol: record.protocol };
            let seen = PortRecord { side: Side::Client, outward, holder, port, destination };
            let in_vpc = |address: IpAddr| address.to_string().starts_with("10.0.");
            last = Some(roles.corrected(GatewayKind::Zonal, seen, &record, in_vpc));
        }
        last.expect("a line")
    }

    /// A client's connections to a private server, as the gateway's interface shows them.
    fn to_private_server(connections: u16) -> Vec<String> {
        (0..connections)
            .flat_map(|n| {
                [
                    format!("10.0.1.5 10.0.0.220 {} 1521 6 1 2", 40_000 + n),
                    format!("10.0.0.220 {SERVER} {} 1521 6 1 2", 2_000 + n),
                ]
            })
            .collect()
    }

    #[test]
    fn a_private_address_that_is_asked_for_by_others_is_a_server() {
        let lines = to_private_server(20);
        let mut roles = looked_at(&lines);
        assert_eq!(last(&mut roles, &lines).side, Side::Client, "not known yet");
        let mut roles = Roles::knowing(roles.found());
        let seen = last(&mut roles, &lines);
        assert_eq!((seen.side, seen.outward, seen.port), (Side::Gateway, true, 2_019));
        assert_eq!(seen.holder.to_string(), "10.0.0.220");
        assert_eq!(seen.destination.address.map(|a| a.to_string()).as_deref(), Some(SERVER));
        assert_eq!(roles.servers().len(), 1, "the second pass finds what the first did");
    }

    #[test]
    fn a_client_beyond_the_vpc_stays_one() {
        let lines: Vec<String> =
            (0..200).map(|n| format!("10.200.0.9 10.0.0.220 {} 8443 6 1 2", 40_000 + n)).collect();
        assert!(looked_at(&lines).servers().is_empty());
    }

    #[test]
    fn a_client_that_sends_from_one_port_to_very_many_stays_one() {
        let lines: Vec<String> =
            (2_000..2_200).map(|n| format!("10.200.0.9 10.0.0.220 51413 {n} 17 1 2")).collect();
        let mut roles = looked_at(&lines);
        assert!(roles.servers().is_empty(), "nobody asks for 51413");
        let below: Vec<String> = vec![
            "10.0.1.5 10.0.0.220 40000 51413 17 1 2".into(),
            "10.200.0.9 10.0.0.220 51413 53 17 1 2".into(),
        ];
        last(&mut roles, &below);
        assert!(roles.servers().is_empty(), "no gateway hands out port 53");
    }
}
