//! Which gateway the records are about, told from the records alone.
//!
//! Used for files when nobody named a gateway. A gateway is what translates: it takes packets that are meant for
//! somebody else, and sends packets of its own to the same place. Where packet addresses are logged, they decide.
//! Without them, it is the address that takes traffic for a port from inside, sends traffic for the same port
//! outside, and gets and gives answers in like numbers; a server that others address at their own interfaces is
//! none. What a rule turned away proves nothing, and neither does one side alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::lately::{Lately, mark};
use crate::flow::reader::Sink;
use crate::flow::record::{Action, Direction, FlowRecord, MAX_RECORD_SECONDS};
use crate::incident::{InterfaceId, NatGatewayId};
use crate::network::{GatewayKind, NatAddress, NatGateway, Provenance, is_private};
use crate::words;

/// Records of another gateway than the busiest that count as noise: below a hundredth of its own.
const NOISE: u64 = 100;

/// Of a gateway, each answer comes in once and goes out once. One that gives so many times more answers than it
/// gets, or the other way round, answers for itself.
const MOST_UNEVEN: u64 = 4;

/// A part of the traffic to an address that others send to it knowingly, from which it is a server: a tenth.
const ADDRESSED: u64 = 10;

/// The lowest port from which Linux asks by itself; other systems have higher ones.
///
/// Source: `ip_local_port_range` in the kernel's documentation of IP variables (32768 to 60999).
const MIN_ASKING_PORT: u16 = 32_768;

/// Whether `port` is a service's, of which the other port asks.
fn is_service(port: u16, other: u16) -> bool {
    port < MIN_ASKING_PORT && port < other
}

/// A server's address and port.
type Server = (IpAddr, u16);

/// What is known of one address at one interface, in a format without packet addresses, for one port.
#[derive(Clone, Copy, Default)]
struct Leg {
    /// Records from inside to the address (leg A).
    taken: u64,
    /// From the address to the outside (leg B).
    sent: u64,
    /// From the outside to the address (leg C).
    answered: u64,
    /// From the address to the inside (leg D).
    handed_back: u64,
}

/// What the records of one group have in common, once one of them was noted.
#[derive(Clone, Copy)]
struct Group {
    /// Where the interface is among all.
    place: usize,
    /// Whether either end is inside.
    inside: [bool; 2],
    /// Whether the asker is known.
    asked: bool,
    /// By the port that the source and the target were noted with last, where their legs are.
    legs: [Option<(u16, usize)>; 2],
    /// The port of the server to which, or from which, a packet was noted last.
    server_port: Option<(u16, u16)>,
}

/// What was noted lately, of whichever interface.
#[derive(Default)]
struct Recent {
    askers: Lately<(usize, IpAddr), ()>,
    legs: Lately<(usize, Server), usize>,
}

/// The legs of each address and port.
#[derive(Default)]
struct Legs {
    all: Vec<(Server, Leg)>,
    places: HashMap<Server, usize>,
}

impl Legs {
    /// The legs of a server, which is the one that `last` tells if the port is that one's.
    #[inline]
    fn of(
        &mut self,
        server: Server,
        at: usize,
        recent: &mut Lately<(usize, Server), usize>,
        last: &mut Option<(u16, usize)>,
    ) -> &mut Leg {
        let Self { all, places } = self;
        let place = match *last {
            Some((port, place)) if port == server.1 => place,
            _ => recent.find(mark(server.0) ^ u64::from(server.1) << 32, (at, server), || {
                *places.entry(server).or_insert_with(|| {
                    all.push((server, Leg::default()));
                    all.len() - 1
                })
            }),
        };
        *last = Some((server.1, place));
        &mut all[place].1
    }

    fn iter(&self) -> impl Iterator<Item = (&Server, &Leg)> {
        self.all.iter().map(|(server, leg)| (server, leg))
    }
}

/// What is known of one interface (or, where the format names none, of all records together).
#[derive(Default)]
struct Interface {
    /// Whether its records carry the packets' own addresses.
    packet_addresses: bool,
    /// Records that carried a packet meant for another address.
    translated: u64,
    /// Where such packets were meant to go.
    meant_for: HashSet<Server>,
    /// Who sent them.
    clients: HashSet<IpAddr>,
    /// The addresses that took them.
    translators: BTreeMap<IpAddr, u64>,
    /// Where packets went that an address of the interface's own is the sender of.
    sent_to: HashMap<IpAddr, HashSet<Server>>,
    /// Packets that left for the outside with the sender that they came with: passed on, not translated.
    passed_on: u64,
    /// Without packet addresses: by address and port.
    legs: Legs,
    /// The addresses that are in every record: the interface's own, where it has one.
    own: Option<Vec<IpAddr>>,
    /// Addresses that ask others inside for something. A gateway asks nobody inside.
    askers: HashSet<IpAddr>,
    /// Whether a field says that this is a gateway's interface.
    stated: bool,
    /// Whether a field says that it is something else's.
    denied: bool,
}

/// How the records show a gateway.
struct Proof {
    weight: u64,
    addresses: BTreeSet<IpAddr>,
    /// Whether nothing shows it talk to a server.
    one_sided: bool,
}

impl Interface {
    /// Notes the first record of a group.
    fn note_group(&mut self, record: &FlowRecord<'_>) {
        let ends = [record.src, record.dst];
        match &mut self.own {
            Some(own) => own.retain(|address| ends.contains(address)),
            none => *none = Some(ends.to_vec()),
        }
        self.stated |= record.interface_type == Some(b"nat_gateway");
        self.denied |= record.owner.instance.is_some()
            || record.interface_type.is_some_and(|interface_type| interface_type != b"nat_gateway");
    }

    /// Notes a record of a group of this interface.
    #[inline]
    fn note(&mut self, record: &FlowRecord<'_>, group: &mut Group, recent: &mut Recent) {
        // Who asks has the higher port: services have low ones.
        if !group.asked
            && group.inside == [true; 2]
            && record.dst_port < record.src_port
            && record.pkt_dst.is_none_or(|dst| dst == record.dst)
        {
            group.asked = true;
            let askers = &mut self.askers;
            recent.askers.find(mark(record.src), (group.place, record.src), || {
                askers.insert(record.src);
            });
        }
        match (record.pkt_src, record.pkt_dst) {
            (Some(pkt_src), Some(pkt_dst)) => self.note_packets(record, pkt_src, pkt_dst, group),
            _ => self.note_ends(record, group, &mut recent.legs),
        }
    }

    fn note_packets(&mut self, record: &FlowRecord<'_>, pkt_src: IpAddr, pkt_dst: IpAddr, group: &mut Group) {
        self.packet_addresses = true;
        let (src, dst) = (record.src, record.dst);
        let ports = (record.src_port, record.dst_port);
        let inside = group.inside == [true; 2];
        // From a client to the translator, and back.
        if pkt_src == src && pkt_dst != dst && inside {
            let is_known = group.server_port.is_some_and(|(_, known)| known == ports.1);
            self.took(dst, pkt_src, (pkt_dst, ports.1), is_known);
        } else if pkt_dst == dst && pkt_src != src && inside {
            let is_known = group.server_port.is_some_and(|(known, _)| known == ports.0);
            self.took(src, pkt_dst, (pkt_src, ports.0), is_known);
        } else if pkt_dst == dst && is_private(pkt_src) && (pkt_src == src || group.inside[0]) {
            // To the server. With an address beside the first, the record may show the first as sender.
            if group.server_port.is_none_or(|(_, known)| known != ports.1) {
                self.sent_to.entry(pkt_src).or_default().insert((dst, ports.1));
            }
            self.passed_on += u64::from(pkt_src != src);
        }
        group.server_port = Some(ports);
    }

    /// Notes a packet that a translator took, of a client and a server that may be known.
    fn took(&mut self, translator: IpAddr, client: IpAddr, server: Server, is_known: bool) {
        self.translated += 1;
        if !is_known {
            self.meant_for.insert(server);
            self.clients.insert(client);
        }
        *self.translators.entry(translator).or_default() += 1;
    }

    fn note_ends(
        &mut self,
        record: &FlowRecord<'_>,
        group: &mut Group,
        recent: &mut Lately<(usize, Server), usize>,
    ) {
        let (src, dst) = ((record.src, record.dst_port), (record.dst, record.dst_port));
        let (from, to) = ((record.src, record.src_port), (record.dst, record.src_port));
        let (at, [of_source, of_target]) = (group.place, &mut group.legs);
        match group.inside {
            [true, true] if record.src != record.dst => {
                // Clients ask from very many ports, which say nothing of a gateway.
                if self.may_be_own(record.dst) || !is_service(record.src_port, record.dst_port) {
                    self.legs.of(dst, at, recent, of_target).taken += 1;
                }
                if self.may_be_own(record.src) || !is_service(record.dst_port, record.src_port) {
                    self.legs.of(from, at, recent, of_source).handed_back += 1;
                }
            }
            [true, false] => self.legs.of(src, at, recent, of_source).sent += 1,
            [false, true] => self.legs.of(to, at, recent, of_target).answered += 1,
            _ => {}
        }
    }

    /// Whether the address is in every record until now, or none is.
    fn may_be_own(&self, address: IpAddr) -> bool {
        self.own.as_ref().is_none_or(|own| own.is_empty() || own.contains(&address))
    }

    /// What shows that it is a gateway's; `None` where nothing does. `addressed` counts who sends to an address
    /// knowingly.
    fn proof(&self, has_id: bool, addressed: &HashMap<Server, u64>) -> Option<Proof> {
        let proof = if self.packet_addresses { self.by_packets() } else { self.by_legs(has_id, addressed) };
        match proof {
            Some(proof) if self.stated || !self.denied => Some(proof),
            None if self.stated => {
                Some(Proof { weight: 1, addresses: self.shown_addresses(), one_sided: false })
            }
            _ => None,
        }
    }

    fn by_packets(&self) -> Option<Proof> {
        let own = || self.sent_to.iter().filter(|(sender, _)| !self.clients.contains(*sender));
        let servers: HashSet<Server> = own().flat_map(|(_, servers)| servers.iter().copied()).collect();
        if self.meant_for.intersection(&servers).next().is_some() {
            let translating = own().filter(|(_, servers)| servers.iter().any(|s| self.meant_for.contains(s)));
            let addresses = translating.map(|(sender, _)| *sender).collect();
            return Some(Proof { weight: self.translated, addresses, one_sided: false });
        }
        let outside = self.meant_for.iter().any(|(server, _)| !is_private(*server));
        (outside && servers.is_empty() && self.passed_on == 0).then(|| Proof {
            weight: self.translated,
            addresses: self.translators.keys().copied().collect(),
            one_sided: true,
        })
    }

    fn by_legs(&self, has_id: bool, addressed: &HashMap<Server, u64>) -> Option<Proof> {
        let own = self.own.as_deref().filter(|own| has_id && !own.is_empty());
        let mut of_address: BTreeMap<IpAddr, (u64, Leg)> = BTreeMap::new();
        let mut knowingly: HashMap<IpAddr, u64> = HashMap::new();
        for (server, leg) in self.legs.iter() {
            let address = server.0;
            let matched = leg.taken.min(leg.sent);
            if matched == 0 || own.is_some_and(|own| !own.contains(&address)) {
                continue;
            }
            let (weight, sum) = of_address.entry(address).or_default();
            *weight += matched;
            sum.taken += leg.taken;
            sum.answered += leg.answered;
            sum.handed_back += leg.handed_back;
            *knowingly.entry(address).or_default() += addressed.get(server).copied().unwrap_or(0);
        }
        of_address.retain(|address, (_, sum)| {
            let (few, many) = (sum.answered.min(sum.handed_back), sum.answered.max(sum.handed_back));
            let knowingly = knowingly.get(address).copied().unwrap_or(0);
            few > 0 && few * MOST_UNEVEN >= many && knowingly * ADDRESSED < sum.taken
        });
        let weight = of_address.values().map(|(weight, _)| weight).sum();
        let mut addresses: BTreeSet<IpAddr> = of_address.into_keys().collect();
        if addresses.is_empty() {
            return None;
        }
        if has_id && own.is_none() {
            // Only what is sent shows its other addresses.
            addresses
                .extend(self.legs.iter().filter(|(_, leg)| leg.sent > 0).map(|((address, _), _)| *address));
        }
        Some(Proof { weight, addresses, one_sided: false })
    }

    /// The addresses of an interface that is known to be a gateway's: those that send outside; where none does,
    /// those that took traffic.
    fn shown_addresses(&self) -> BTreeSet<IpAddr> {
        let by_packets = self.sent_to.keys().filter(|sender| !self.clients.contains(*sender));
        let by_legs = self.legs.iter().filter(|(_, leg)| leg.sent > 0).map(|((address, _), _)| address);
        let senders: BTreeSet<IpAddr> = by_packets.chain(by_legs).copied().collect();
        if !senders.is_empty() {
            return senders;
        }
        let takers = self.legs.iter().filter(|(_, leg)| leg.taken > 0).map(|((address, _), _)| *address);
        let own = self.own.iter().flatten().copied();
        let takers: BTreeSet<IpAddr> = self.translators.keys().copied().chain(takers).collect();
        let own: BTreeSet<IpAddr> = own.filter(|address| takers.contains(address)).collect();
        if own.is_empty() { takers } else { own }
    }
}

/// What is known of a regional gateway, whose records show the clients' side and its own alike.
#[derive(Default)]
struct Regional {
    records: u64,
    /// Public addresses at its own side, by how much speaks for their being the gateway's.
    own: BTreeMap<IpAddr, u64>,
    /// Public addresses that clients talk to, by records: servers.
    servers: HashMap<IpAddr, u64>,
}

impl Regional {
    fn note(&mut self, record: &FlowRecord<'_>) {
        self.records += 1;
        let (src, dst) = (record.src, record.dst);
        // Only between gateway and server are both ends public.
        match (is_private(src), is_private(dst)) {
            (true, true) => return,
            (true, false) => return *self.servers.entry(dst).or_default() += 1,
            (false, true) => return *self.servers.entry(src).or_default() += 1,
            (false, false) => {}
        }
        let serves = |address| self.servers.contains_key(&address);
        // Servers come and go, the gateway is an end of every one of these.
        let weights = match (record.direction, serves(src), serves(dst)) {
            (Some(Direction::Egress), ..) | (None, false, true) => [2, 0],
            (Some(Direction::Ingress), ..) | (None, true, false) => [0, 2],
            _ if is_service(record.dst_port, record.src_port) => [1, 0],
            _ if is_service(record.src_port, record.dst_port) => [0, 1],
            _ => [1, 1],
        };
        for (address, weight) in [src, dst].into_iter().zip(weights).filter(|(_, weight)| *weight > 0) {
            *self.own.entry(address).or_default() += weight;
        }
    }

    /// Its public addresses: none that clients talk to, and none that hardly shows.
    fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let serves = |address: &IpAddr, weight: u64| {
            self.servers.get(address).is_some_and(|records| records * ADDRESSED >= weight)
        };
        let own = || self.own.iter().filter(move |(address, weight)| !serves(address, **weight));
        let most = own().map(|(_, weight)| *weight).max().unwrap_or(0);
        own().filter(move |(_, weight)| **weight * 20 >= most.max(1)).map(|(address, _)| *address)
    }
}

/// What may be a gateway.
pub(super) struct Suspect {
    /// Its address, where there is one candidate.
    pub(super) address: Option<IpAddr>,
    /// What speaks for it, in a sentence.
    pub(super) why: String,
}

/// Watches records for gateways.
#[derive(Default)]
pub(super) struct Inference {
    interfaces: Vec<Interface>,
    /// Where each is among them.
    places: BTreeMap<Option<InterfaceId>, usize>,
    /// Where that of the last record is, and what the record called it: nearly all are of the one before.
    last: Option<(Option<Box<[u8]>>, usize)>,
    recent: Recent,
    regional: BTreeMap<NatGatewayId, Regional>,
    /// The longest record, in seconds: it tells the aggregation interval.
    longest: i64,
    /// How many records begin on each day of the epoch: times of 32 bits have 50,000 of them.
    days: BTreeMap<i64, u64>,
    /// The day of the last record, and how many of it are not counted yet.
    last_day: (i64, u64),
    /// The groups of the present block of which a record was noted.
    groups: Vec<Option<Group>>,
}

const DAY: i64 = 86_400;

/// A gateway that the records speak of.
pub(super) struct Inferred {
    /// The busiest one.
    pub(super) gateway: NatGateway,
    /// The others, in words.
    pub(super) others: Vec<String>,
    /// Whether nothing shows it talk to a server.
    pub(super) one_sided: bool,
}

fn parsed<T: std::str::FromStr>(bytes: Option<&[u8]>) -> Option<T> {
    std::str::from_utf8(bytes?).ok()?.parse().ok()
}

impl Sink for Inference {
    fn record(&mut self, record: &FlowRecord<'_>) {
        self.note_times(record);
        if let Some(mut group) = self.begin_group(record) {
            self.interfaces[group.place].note(record, &mut group, &mut self.recent);
        }
    }

    #[inline]
    fn record_of_group(&mut self, record: &FlowRecord<'_>, group: usize) {
        self.note_times(record);
        if let Some(Some(known)) = self.groups.get_mut(group) {
            // What a rule turned away was not translated.
            if record.action != Action::Reject {
                self.interfaces[known.place].note(record, known, &mut self.recent);
            }
        } else if let Some(mut known) = self.begin_group(record) {
            self.interfaces[known.place].note(record, &mut known, &mut self.recent);
            if self.groups.len() <= group {
                self.groups.resize(group + 1, None);
            }
            self.groups[group] = Some(known);
        }
    }

    fn end_groups(&mut self) {
        self.groups.clear();
    }
}

impl Inference {
    #[inline]
    fn note_times(&mut self, record: &FlowRecord<'_>) {
        let length = record.end - record.start;
        // One that was cut to the longest that there can be is damaged, and tells nothing.
        if length < MAX_RECORD_SECONDS {
            self.longest = self.longest.max(length);
        }
        let day = record.start.div_euclid(DAY);
        if self.last_day.0 != day {
            self.count_day();
            self.last_day.0 = day;
        }
        self.last_day.1 += 1;
    }

    /// Adds the records of the last day to those of its day.
    fn count_day(&mut self) {
        let (day, records) = std::mem::take(&mut self.last_day);
        if records > 0 {
            *self.days.entry(day).or_default() += records;
        }
    }

    /// Notes of the first record of a group what it tells beside its ports; `None` where it has nothing more to tell.
    fn begin_group(&mut self, record: &FlowRecord<'_>) -> Option<Group> {
        if record.resource.is_some_and(|id| id.starts_with(b"nat-")) {
            self.regional_record(record);
            return None;
        }
        // What a rule turned away was not translated.
        if record.action == Action::Reject {
            return None;
        }
        if record.next_hop_type == Some(b"nat_gateway")
            && let Some(hop) = parsed(record.next_hop_interface)
        {
            self.interface(Some(hop)).stated = true;
        }
        let place = match &self.last {
            Some((name, place)) if name.as_deref() == record.interface => *place,
            _ => {
                let place = self.place(parsed(record.interface));
                self.last = Some((record.interface.map(Into::into), place));
                place
            }
        };
        self.interfaces[place].note_group(record);
        let inside = [is_private(record.src), is_private(record.dst)];
        Some(Group { place, inside, asked: false, legs: [None; 2], server_port: None })
    }

    fn place(&mut self, id: Option<InterfaceId>) -> usize {
        *self.places.entry(id).or_insert_with(|| {
            self.interfaces.push(Interface::default());
            self.interfaces.len() - 1
        })
    }

    fn interface(&mut self, id: Option<InterfaceId>) -> &mut Interface {
        let place = self.place(id);
        &mut self.interfaces[place]
    }

    /// All interfaces, in the order of their ids.
    fn in_order(&self) -> impl Iterator<Item = (&Option<InterfaceId>, &Interface)> {
        self.places.iter().map(|(id, place)| (id, &self.interfaces[*place]))
    }

    fn regional_record(&mut self, record: &FlowRecord<'_>) {
        let Some(id) = parsed(record.resource) else { return };
        self.regional.entry(id).or_default().note(record);
    }

    /// Seconds that one record may span: flow logs know 60 and 600, and their times may be a minute
    /// off.
    pub(super) fn aggregation_seconds(&self) -> u32 {
        if self.longest > 2 * 60 { 600 } else { 60 }
    }

    /// On about which day the records begin, by its middle; `None` without any.
    pub(super) fn median_start(&self) -> Option<i64> {
        let mut days = self.days.clone();
        *days.entry(self.last_day.0).or_default() += self.last_day.1;
        let all: u64 = days.values().sum();
        let mut before = 0;
        let median = days.iter().find(|(_, records)| {
            before += **records;
            before > all / 2
        });
        median.map(|(day, _)| day * DAY + DAY / 2)
    }

    /// Whether any record is of a regional gateway.
    pub(super) fn saw_regional(&self) -> bool {
        !self.regional.is_empty()
    }

    /// How many records show traffic to each inside address and port at an interface beside the one that takes
    /// most of it: those of clients that know the address. Nobody addresses a gateway.
    fn addressed(&self) -> HashMap<Server, u64> {
        let mut taken: HashMap<Server, (u64, u64)> = HashMap::new();
        for interface in self.in_order().filter(|(id, _)| id.is_some()).map(|(_, interface)| interface) {
            for (server, leg) in interface.legs.iter().filter(|(_, leg)| leg.taken > 0) {
                let (all, most) = taken.entry(*server).or_default();
                *all += leg.taken;
                *most = leg.taken.max(*most);
            }
        }
        taken
            .into_iter()
            .map(|(server, (all, most))| (server, all - most))
            .filter(|(_, beside)| *beside > 0)
            .collect()
    }

    /// What may be the gateway where the records show none at work; `None` where nothing speaks for any.
    pub(super) fn suspect(&self) -> Option<Suspect> {
        let (mut senders, mut takers) = (BTreeSet::new(), BTreeSet::new());
        for interface in &self.interfaces {
            for ((address, _), leg) in interface.legs.iter() {
                if leg.sent > 0 && !interface.askers.contains(address) {
                    senders.insert(*address);
                }
                let asks = interface.askers.contains(address);
                if leg.taken > 0 && !asks && interface.own.as_ref().is_none_or(|own| own.contains(address)) {
                    takers.insert(*address);
                }
            }
            let outside = |to: &HashSet<Server>| to.iter().any(|(server, _)| !is_private(*server));
            let sent_to = interface.sent_to.iter().filter(|(_, to)| outside(to)).map(|(sender, _)| *sender);
            senders.extend(sent_to.filter(|sender| !interface.askers.contains(sender)));
        }
        let takers: Vec<IpAddr> = takers.difference(&senders).copied().collect();
        let one = if senders.len() == 1 { senders.first().copied() } else { None };
        let named: Vec<&IpAddr> = senders.iter().take(MOST_NAMED).collect();
        match (senders.len(), &takers[..]) {
            (0, [taker]) => Some(Suspect {
                address: Some(*taker),
                why: format!(
                    "{taker} takes traffic from inside and sends none outside, as the gateway does in a log that was filtered on a client"
                ),
            }),
            (1.., []) => Some(Suspect {
                address: one,
                why: format!(
                    "of {}, only traffic with the outside shows, and not who may be behind: the gateway looks like that in a log that was filtered on a destination, and so does a client",
                    words::list(&named),
                ),
            }),
            _ => None,
        }
    }

    /// The gateway that the records tell of, completed by what was named; `None` where none shows.
    pub(super) fn finish(&self, named: &NatGateway) -> Option<Inferred> {
        let regional = self
            .regional
            .iter()
            .filter(|(id, _)| named.id.as_ref().is_none_or(|named| named == *id))
            .max_by_key(|(_, regional)| regional.records);
        if let Some((id, found)) = regional
            && named.interface_ids.is_empty()
        {
            let gateway = NatGateway {
                id: Some(id.clone()),
                kind: GatewayKind::Regional,
                addresses: found.addresses().map(|a| address(None, Some(a))).collect(),
                provenance: Provenance::Inferred,
                ..named.clone()
            };
            // Records of a regional gateway tell its id: of one that was named there is no doubt.
            let others = self.regional.keys().filter(|other| *other != id && named.id.is_none());
            let others = others.map(ToString::to_string).collect();
            return Some(Inferred { gateway, others, one_sided: false });
        }
        let addressed = self.addressed();
        let weigh = |(id, interface): (&Option<InterfaceId>, &Interface)| {
            if named.interface_ids.is_empty() {
                return interface.proof(id.is_some(), &addressed);
            }
            let is_named = id.as_ref().is_some_and(|id| named.interface_ids.contains(id));
            let addresses = || interface.shown_addresses();
            is_named.then(|| Proof { weight: u64::MAX, addresses: addresses(), one_sided: false })
        };
        let mut weighed: Vec<(Proof, &Option<InterfaceId>)> =
            self.in_order().filter_map(|found| Some((weigh(found)?, found.0))).collect();
        weighed.sort_by(|(a, a_id), (b, b_id)| b.weight.cmp(&a.weight).then_with(|| a_id.cmp(b_id)));
        let (proof, id) = weighed.first()?;
        let others = weighed[1..]
            .iter()
            .filter(|(other, _)| other.weight.saturating_mul(NOISE) > proof.weight)
            .map(|(_, id)| id.as_ref().map_or("one without an interface id".into(), ToString::to_string))
            .collect();
        let gateway = NatGateway {
            addresses: proof.addresses.iter().map(|a| address(Some(*a), None)).collect(),
            interface_ids: id.iter().cloned().collect(),
            provenance: Provenance::Inferred,
            ..named.clone()
        };
        Some(Inferred { gateway, others, one_sided: proof.one_sided })
    }
}

/// So many addresses are named as perhaps the gateway's.
const MOST_NAMED: usize = 3;

fn address(private: Option<IpAddr>, public: Option<IpAddr>) -> NatAddress {
    NatAddress { private, public, zone: None, usable: true }
}
