//! At which interfaces the records show a gateway's addresses, where nobody named its interface: a private address
//! may be in use in several VPCs, and the gateways that have it are counted apart.

use std::net::IpAddr;

use crate::evidence::leg_rules::LegTable;
use crate::evidence::{Side, Viewpoint};
use crate::flow::record::{Action, FlowRecord};
use crate::incident::InterfaceId;

/// An interface whose records are fewer than a hundredth of the busiest one's is no gateway's: somebody may have sent
/// packets to the gateway's address.
const NOISE: u64 = 100;

/// So many interfaces are remembered.
const MAX_INTERFACES: usize = 1_000;

/// What one interface shows of the addresses.
#[derive(Default)]
struct Shown {
    /// Records between clients and gateway.
    of_clients: u64,
    /// Records between gateway and servers.
    of_servers: u64,
    /// Those of the addresses that show there.
    addresses: Vec<IpAddr>,
}

/// How one of the addresses shows in a record.
#[derive(Clone, Copy)]
pub(super) struct Showing {
    /// Where the interface is among all.
    place: usize,
    side: Side,
}

/// The interfaces at which the addresses show.
#[derive(Default)]
pub(super) struct ShownAt {
    interfaces: Vec<(Box<[u8]>, Shown)>,
    /// Where the interface of the last record is among them: nearly all are of the one before.
    last: usize,
}

impl ShownAt {
    /// Notes a record in which one of the addresses may show.
    pub(super) fn note(&mut self, record: &FlowRecord<'_>, viewpoint: &Viewpoint) {
        // What a rule turned away was not translated.
        if record.action != Action::Reject
            && let Some(showing) = self.showing(record, viewpoint)
        {
            self.note_again(showing);
        }
    }

    /// Where and how one of the addresses shows in a record that was let through, as it does in all others of its
    /// group; `None` where none does.
    pub(super) fn showing(&mut self, record: &FlowRecord<'_>, viewpoint: &Viewpoint) -> Option<Showing> {
        let interface = record.interface?;
        if !viewpoint.is_gateway(record.src) && !viewpoint.is_gateway(record.dst) {
            return None;
        }
        let leg = LegTable::of_record(record).leg(record, viewpoint)?;
        let is_last = self.interfaces.get(self.last).is_some_and(|(of, _)| **of == *interface);
        if !is_last {
            let place = self.interfaces.iter().position(|(of, _)| **of == *interface);
            self.last = match place {
                Some(place) => place,
                None if self.interfaces.len() < MAX_INTERFACES => {
                    self.interfaces.push((interface.into(), Shown::default()));
                    self.interfaces.len() - 1
                }
                None => return None,
            };
        }
        let shown = &mut self.interfaces[self.last].1;
        let ends = [Some(record.src), Some(record.dst), record.pkt_src, record.pkt_dst];
        for address in ends.into_iter().flatten().filter(|address| viewpoint.is_gateway(*address)) {
            if !shown.addresses.contains(&address) {
                shown.addresses.push(address);
            }
        }
        Some(Showing { place: self.last, side: leg.side })
    }

    /// Counts a record that shows what another of its group did.
    #[inline]
    pub(super) fn note_again(&mut self, showing: Showing) {
        let shown = &mut self.interfaces[showing.place].1;
        match showing.side {
            Side::Client => shown.of_clients += 1,
            Side::Gateway => shown.of_servers += 1,
            Side::AtClient => {}
        }
    }

    /// The interfaces that are gateways', the busiest first: those that show both clients and servers; where none
    /// does, those that show one of the two. What a gateway sends may show once more where it is routed on, such as
    /// at a firewall's or a transit gateway's interface, and there only with servers.
    pub(super) fn gateways(&self) -> Vec<InterfaceId> {
        let ranked = |weight: fn(&Shown) -> u64| {
            let mut weighed: Vec<(u64, InterfaceId)> = self
                .interfaces
                .iter()
                .map(|(id, shown)| (weight(shown), id))
                .filter(|(weight, _)| *weight > 0)
                .filter_map(|(weight, id)| Some((weight, std::str::from_utf8(id).ok()?.parse().ok()?)))
                .collect();
            weighed.sort_by(|(a, a_id), (b, b_id)| b.cmp(a).then_with(|| a_id.cmp(b_id)));
            let most = weighed.first().map_or(0, |(weight, _)| *weight);
            weighed.retain(|(weight, _)| weight.saturating_mul(NOISE) > most);
            weighed.into_iter().map(|(_, id)| id).collect::<Vec<_>>()
        };
        let by: [fn(&Shown) -> u64; 3] =
            [|s| s.of_clients.min(s.of_servers), |s| s.of_servers, |s| s.of_clients];
        by.into_iter().map(ranked).find(|found| !found.is_empty()).unwrap_or_default()
    }

    /// Of the addresses, those that show at another of these gateways and not at the first: they are not its own.
    pub(super) fn of_others(&self, gateways: &[InterfaceId]) -> Vec<IpAddr> {
        let [first, others @ ..] = gateways else { return Vec::new() };
        let at = |of: &InterfaceId| {
            let found = self.interfaces.iter().find(|(id, _)| **id == *of.as_str().as_bytes());
            found.map_or(&[][..], |(_, shown)| &shown.addresses)
        };
        let others = others.iter().flat_map(at).copied();
        others.filter(|address| !at(first).contains(address)).collect()
    }
}
