//! Which gateway the records are about, told from the records alone.
//!
//! Used for files when nobody named a gateway. Where packet addresses are logged, a gateway's
//! interface is the one that takes packets whose own destination is somewhere else; without them,
//! the one that takes traffic for a port from inside and sends traffic for the same port outside.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::flow::reader::Sink;
use crate::flow::record::{Direction, FlowRecord};
use crate::incident::{InterfaceId, NatGatewayId};
use crate::network::{GatewayKind, NatAddress, NatGateway, Provenance, is_private};

/// Records of another gateway than the busiest that count as noise: below a hundredth of its own.
const NOISE: u64 = 100;

/// What is known of one interface (or, where the format names none, of all records together).
#[derive(Default)]
struct Interface {
    /// Records that carried a packet meant for another address, and so were being translated.
    translated: u64,
    /// Records per destination port: from inside to this interface, and from it to the outside.
    ports: BTreeMap<u16, (u64, u64)>,
    /// Inside addresses that sent to the outside from this interface.
    senders: BTreeMap<IpAddr, u64>,
    /// Inside addresses that took traffic from inside.
    takers: BTreeMap<IpAddr, u64>,
    /// Whether a field says that this is a gateway's interface.
    stated: bool,
}

impl Interface {
    /// Records that speak for this being a gateway's interface.
    fn weight(&self) -> u64 {
        let matched: u64 = self.ports.values().map(|(inside, outside)| inside.min(outside)).sum();
        if self.stated || self.translated > 0 { self.translated.max(1) } else { matched }
    }

    /// The addresses that it hands out ports on: those that send outside; where none did, the ones
    /// that took traffic.
    fn addresses(&self) -> BTreeSet<IpAddr> {
        let from = if self.senders.is_empty() { &self.takers } else { &self.senders };
        from.keys().copied().collect()
    }
}

/// Watches a sample of records for gateways.
#[derive(Default)]
pub(super) struct Inference {
    interfaces: BTreeMap<Option<InterfaceId>, Interface>,
    regional: BTreeMap<NatGatewayId, (u64, BTreeMap<IpAddr, u64>)>,
    /// The longest record, in seconds: it tells the aggregation interval.
    longest: i64,
    /// When records begin.
    starts: Vec<i64>,
}

/// A gateway that the records speak of.
pub(super) struct Inferred {
    /// The busiest one.
    pub(super) gateway: NatGateway,
    /// The others, in words.
    pub(super) others: Vec<String>,
}

fn parsed<T: std::str::FromStr>(bytes: Option<&[u8]>) -> Option<T> {
    std::str::from_utf8(bytes?).ok()?.parse().ok()
}

impl Sink for Inference {
    fn record(&mut self, record: &FlowRecord<'_>) {
        self.longest = self.longest.max(record.end - record.start);
        self.starts.push(record.start);
        if record.resource.is_some_and(|id| id.starts_with(b"nat-")) {
            self.regional_record(record);
            return;
        }
        if record.next_hop_type == Some(b"nat_gateway")
            && let Some(hop) = parsed(record.next_hop_interface)
        {
            self.interfaces.entry(Some(hop)).or_default().stated = true;
        }
        let interface = self.interfaces.entry(parsed(record.interface)).or_default();
        interface.stated |= record.interface_type == Some(b"nat_gateway");
        let (pkt_src, pkt_dst) = (record.pkt_src.unwrap_or(record.src), record.pkt_dst.unwrap_or(record.dst));
        let inside = is_private;
        if inside(record.src) && inside(record.dst) && !inside(pkt_dst) && pkt_dst != record.dst {
            interface.translated += 1;
        }
        if inside(pkt_src) && !inside(pkt_dst) && record.dst == pkt_dst {
            *interface.senders.entry(pkt_src).or_default() += 1;
            interface.ports.entry(record.dst_port).or_default().1 += 1;
        }
        if inside(record.src) && inside(record.dst) && record.src != record.dst {
            *interface.takers.entry(record.dst).or_default() += 1;
            interface.ports.entry(record.dst_port).or_default().0 += 1;
        }
    }
}

impl Inference {
    fn regional_record(&mut self, record: &FlowRecord<'_>) {
        let Some(id) = parsed(record.resource) else { return };
        let (records, addresses) = self.regional.entry(id).or_default();
        *records += 1;
        // Only between gateway and server are both ends public.
        if !is_private(record.src) && !is_private(record.dst) {
            match record.direction {
                Some(Direction::Egress) => *addresses.entry(record.src).or_default() += 2,
                Some(Direction::Ingress) => *addresses.entry(record.dst).or_default() += 2,
                // Servers come and go, the gateway is an end of every one of these.
                None => {
                    *addresses.entry(record.src).or_default() += 1;
                    *addresses.entry(record.dst).or_default() += 1;
                }
            }
        }
    }

    /// Seconds that one record may span: flow logs know 60 and 600, and their times may be a minute
    /// off.
    pub(super) fn aggregation_seconds(&self) -> u32 {
        if self.longest > 2 * 60 { 600 } else { 60 }
    }

    /// About when the records begin; `None` without any.
    pub(super) fn median_start(&self) -> Option<i64> {
        let mut starts = self.starts.clone();
        let middle = starts.len() / 2;
        (!starts.is_empty()).then(|| *starts.select_nth_unstable(middle).1)
    }

    /// Whether any record is of a regional gateway.
    pub(super) fn saw_regional(&self) -> bool {
        !self.regional.is_empty()
    }

    /// The gateway that the records tell of, completed by what was named; `None` where none shows.
    pub(super) fn finish(&self, named: &NatGateway) -> Option<Inferred> {
        let regional = self
            .regional
            .iter()
            .filter(|(id, _)| named.id.as_ref().is_none_or(|named| named == *id))
            .max_by_key(|(_, (records, _))| *records);
        if let Some((id, (_, addresses))) = regional
            && named.interface_ids.is_empty()
        {
            let most = addresses.values().max().copied().unwrap_or(0);
            let public =
                addresses.iter().filter(|(_, n)| **n * 20 >= most.max(1)).map(|(address, _)| *address);
            let gateway = NatGateway {
                id: Some(id.clone()),
                kind: GatewayKind::Regional,
                addresses: public.map(|a| address(None, Some(a))).collect(),
                provenance: Provenance::Inferred,
                ..named.clone()
            };
            let others = self.regional.keys().filter(|other| *other != id).map(ToString::to_string).collect();
            return Some(Inferred { gateway, others });
        }
        let mut weighed: Vec<_> = self
            .interfaces
            .iter()
            .filter(|(id, _)| {
                named.interface_ids.is_empty()
                    || id.as_ref().is_some_and(|id| named.interface_ids.contains(id))
            })
            .map(|(id, interface)| {
                let weight = if named.interface_ids.is_empty() { interface.weight() } else { u64::MAX };
                (weight, id, interface)
            })
            .filter(|(weight, ..)| *weight > 0)
            .collect();
        weighed.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        let &(weight, id, interface) = weighed.first()?;
        let addresses = match id {
            Some(_) => interface.addresses(),
            // Without interface ids, clients' own records are among these: only an address on both
            // sides of a translation is a gateway's.
            None => interface.takers.keys().filter(|a| interface.senders.contains_key(*a)).copied().collect(),
        };
        let others = weighed[1..]
            .iter()
            .filter(|(other, ..)| other.saturating_mul(NOISE) > weight)
            .map(|(_, id, _)| id.as_ref().map_or("one without an interface id".into(), ToString::to_string))
            .collect();
        let gateway = NatGateway {
            addresses: addresses.into_iter().map(|a| address(Some(a), None)).collect(),
            interface_ids: id.iter().cloned().collect(),
            provenance: Provenance::Inferred,
            ..named.clone()
        };
        Some(Inferred { gateway, others })
    }
}

fn address(private: Option<IpAddr>, public: Option<IpAddr>) -> NatAddress {
    NatAddress { private, public, zone: None, usable: true }
}
