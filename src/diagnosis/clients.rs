//! Who used a destination, and what part of its ports each client held.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::findings::{Findings, Ranked, rounded};
use super::folded::PORT_NUMBERS;
use super::rank;
use super::refusals::{self, Refused};
use super::work;
use crate::contract::{ClientOrder, ClientReport, HeldPorts};
use crate::evidence::{AtPeak, Attribution, ClientUse, Destination, Evidence, Held, Tally};
use crate::words;

type Users<'a> = [(IpAddr, &'a Tally)];

/// Who used which destination: looked up once for each, however many there are.
pub(super) struct Uses<'a> {
    at_gateway: BTreeMap<Destination, Vec<(IpAddr, &'a Tally)>>,
    at_clients: BTreeMap<Destination, Vec<(IpAddr, &'a Tally)>>,
    /// What both sides show, by port: summed once for each.
    on_ports: BTreeMap<Destination, OnPort>,
    counted: bool,
}

/// What both sides of the gateway show of a port, towards whichever address.
pub(super) struct OnPort {
    /// Ports of the gateway in use at each step by connections that got an answer.
    pub(super) in_use: Vec<u32>,
    /// The same of clients' own ports.
    pub(super) in_use_by_clients: Vec<u32>,
    /// What clients held of their own ports at each step, whether they got an answer or not.
    pub(super) by_clients: Vec<Held>,
    /// The same at the second at which the port's fullest destination was fullest, where the source tells.
    pub(super) at_peak: Option<Held>,
    /// Packets that went in.
    sent_in: u64,
    /// Packets that came out.
    sent_out: u64,
}

impl OnPort {
    /// Whether the clients' side is all there: no more came out of the gateway than went in.
    pub(super) fn is_whole(&self) -> bool {
        self.sent_out as f64 <= self.sent_in as f64 * refusals::ROUNDING
    }
}

impl<'a> Uses<'a> {
    pub(super) fn of(evidence: &'a Evidence, counted: bool) -> Self {
        let at_gateway = by_destination(&evidence.clients);
        let mut on_ports: BTreeMap<Destination, OnPort> = BTreeMap::new();
        for (port, clients) in at_gateway.iter().filter(|(d, _)| counted && d.address.is_none()) {
            let steps = evidence.steps.count();
            let mut by_clients = vec![Held::default(); steps];
            let mut in_use_by_clients = vec![0; steps];
            let (mut at_peak, mut sent_in) = (None, 0);
            for (_, tally) in clients {
                work::count(1);
                sent_in += tally.sent;
                in_use_by_clients.iter_mut().zip(&tally.held).for_each(|(sum, held)| *sum += held.least);
                by_clients.iter_mut().zip(tally.all_held()).for_each(|(sum, held)| *sum = sum.plus(held));
                if let Some(peak) = tally.at_peak {
                    let held = peak.held.plus(peak.silent);
                    at_peak = Some(at_peak.map_or(held, |sum: Held| sum.plus(held)));
                }
            }
            let in_use = vec![0; steps];
            let on_port = OnPort { in_use, in_use_by_clients, by_clients, at_peak, sent_in, sent_out: 0 };
            on_ports.insert(*port, on_port);
        }
        for (destination, tally) in &evidence.destinations {
            work::count(1);
            let port = Destination { address: None, ..*destination };
            if let Some(OnPort { in_use, sent_out, .. }) = on_ports.get_mut(&port) {
                *sent_out += tally.sent;
                in_use.iter_mut().zip(&tally.held).for_each(|(sum, held)| *sum += held.least);
            }
        }
        Self { at_gateway, at_clients: by_destination(&evidence.at_clients), on_ports, counted }
    }

    /// Who used a destination through this gateway, where that shows and can be counted.
    pub(super) fn joined(&self, destination: Destination) -> Option<&Users<'a>> {
        self.at_gateway.get(&destination).filter(|_| self.counted).map(Vec::as_slice)
    }

    /// What shows of a destination's port, towards whichever address, where clients are known by port alone.
    pub(super) fn on_port(&self, destination: Destination) -> Option<&OnPort> {
        self.on_ports.get(&Destination { address: None, ..destination })
    }

    /// Who used a destination, through whichever gateway.
    pub(super) fn elsewhere(&self, destination: Destination) -> Option<&Users<'a>> {
        self.at_clients.get(&destination).filter(|_| self.counted).map(Vec::as_slice)
    }
}

fn by_destination(uses: &BTreeMap<ClientUse, Tally>) -> BTreeMap<Destination, Vec<(IpAddr, &Tally)>> {
    let mut by_destination: BTreeMap<Destination, Vec<(IpAddr, &Tally)>> = BTreeMap::new();
    for (using, tally) in uses {
        work::count(1);
        by_destination.entry(using.destination).or_default().push((using.client, tally));
    }
    by_destination
}

impl Findings<'_> {
    /// Each client's part at the destination's fullest step.
    pub(super) fn clients(
        &self,
        uses: &Uses<'_>,
        of: &Ranked,
        refused: &BTreeMap<IpAddr, Refused>,
    ) -> (Vec<ClientReport>, ClientOrder) {
        let (attribution, mut tallies) = client_tallies(uses, of.destination);
        tallies.retain(|client, _| self.perhaps_in_question(*client));
        let (step, silent) = (of.counted.step, of.tally.unanswered);
        let at = of.held.at;
        // Of the attempts without an answer, those that left the gateway held a port all the same.
        let attempted: u64 = tallies.values().map(|tally| tally.unanswered).sum();
        let left = if attempted == 0 { 0.0 } else { (silent as f64 / attempted as f64).min(1.0) };
        // Over the whole window, that is: at the fullest it may have been more, and all of one client's.
        let uneven = attribution == Attribution::Connection && left > 0.0;
        let scale = self.scale(of.destination.protocol);
        let active: u64 = tallies.values().map(|tally| tally.active_seconds).sum();
        let held = |tally: &Tally| {
            let AtPeak { held, silent } = at_fullest(tally, of, step);
            let active = tally.active_seconds as f64 / active.max(1) as f64;
            let part = |held| scale.part(held, at, active, &of.counted, of.held.estimate);
            let mut range = part(held.plus(silent.part(left)));
            // Of a protocol without ports, what records show as one connection may be many, as it is of the
            // destination.
            if of.destination.port == 0 {
                let sent = u32::try_from(tally.sent).unwrap_or(u32::MAX);
                range.at_most = range.at_most.max(sent).min(of.held.at_most.max(range.at_least));
            }
            if !uneven {
                return range;
            }
            HeldPorts { at_most: range.at_most.max(part(held.plus(silent)).at_most), ..range }
        };
        let mut clients: Vec<ClientReport> = tallies
            .into_iter()
            .map(|(address, tally)| {
                let owner = self.network.owner_of(address);
                // A tag may hold nothing that shows.
                let named = owner.filter(|owner| !words::outside(&owner.name, usize::MAX).is_empty());
                ClientReport {
                    address,
                    share: 0.0,
                    held: held(&tally),
                    held_earlier: None,
                    connections: tally.connections,
                    ports_used: tally.connections,
                    refused: refused.get(&address).map_or(0, |refused| refused.attempts),
                    bytes: tally.bytes,
                    name: named.map(|owner| owner.name.clone()),
                    name_source: named.map(|owner| owner.source),
                    kind: owner.map(|owner| owner.kind.as_str().to_owned()),
                    zone: self.network.zone_of(address).map(str::to_owned),
                    attribution,
                }
            })
            .collect();
        let order = share_out(&mut clients, of, attribution, uneven);
        // By the port alone a client may show in use what it uses elsewhere; none held more than the destination did.
        for held in clients.iter_mut().map(|client| &mut client.held) {
            held.at_least = held.at_least.min(of.held.estimate);
            held.at_most = held.at_most.clamp(held.at_least, of.held.at_most.max(held.at_least));
            held.estimate = held.estimate.min(of.held.estimate).clamp(held.at_least, held.at_most);
        }
        if of.destination.port != 0 {
            clients.iter_mut().for_each(within_own_ports);
        }
        (clients, order)
    }

    /// The zone that the alarm is about, where the gateway serves others as well: the records show the
    /// clients of all of them alike.
    pub(super) fn zone_in_question(&self) -> Option<&str> {
        let zone = self.network.gateway.zone_of(self.incident.zone.as_deref())?;
        (!self.evidence.elsewhere.is_empty()).then_some(zone)
    }

    /// The zone that a client stands in, where that is known. Alarms may spell zones otherwise than
    /// subnets do; then nothing is known.
    pub(super) fn zone_of_client(&self, client: IpAddr) -> Option<&str> {
        let subnets = self.network.subnets.as_deref()?;
        let spelt_alike = subnets.iter().any(|subnet| subnet.zone == self.incident.zone);
        self.network.subnet_of(client)?.zone.as_deref().filter(|_| spelt_alike)
    }

    /// Whether a client's ports may be those in question: not where it stands in another zone than the alarm is
    /// about, whose addresses it uses.
    pub(super) fn perhaps_in_question(&self, client: IpAddr) -> bool {
        let Some(zone) = self.zone_in_question() else { return true };
        self.zone_of_client(client).is_none_or(|of_client| of_client == zone)
    }

    /// Clients over all destinations, by what they held at each one's fullest.
    pub(super) fn clients_overall(&self, most: usize) -> Vec<ClientReport> {
        let mut summed: BTreeMap<IpAddr, ClientReport> = BTreeMap::new();
        let by_port = |c: &ClientReport| c.attribution == Attribution::DestinationPort;
        for ranked in self.destinations.iter().take(super::LISTED) {
            for client in &ranked.clients {
                match summed.get_mut(&client.address) {
                    // Counts by port alone already hold every destination on that port.
                    Some(sum) if by_port(client) || by_port(sum) => {
                        if client.held.estimate > sum.held.estimate {
                            *sum = client.clone();
                        }
                    }
                    Some(sum) => {
                        sum.held.at_least += client.held.at_least;
                        sum.held.estimate += client.held.estimate;
                        sum.held.at_most += client.held.at_most;
                        sum.connections += client.connections;
                        sum.refused += client.refused;
                        sum.bytes = sum.bytes.saturating_add(client.bytes);
                    }
                    None => {
                        summed.insert(client.address, client.clone());
                    }
                }
            }
        }
        let mut clients: Vec<ClientReport> = summed.into_values().collect();
        let all: u64 = clients.iter().map(|c| u64::from(c.held.estimate)).sum();
        for client in &mut clients {
            client.share = fraction(u64::from(client.held.estimate), all);
        }
        keep_within_all(clients.iter_mut().map(|client| &mut client.share));
        clients.sort_by(rank::greatest_holder_first);
        clients.truncate(most);
        clients
    }
}

/// Sets the clients' shares, brings what they held into line with what the destination did, and orders them.
/// `uneven` is whether a client's part of the attempts without an answer is a guess.
fn share_out(
    clients: &mut [ClientReport],
    of: &Ranked,
    attribution: Attribution,
    uneven: bool,
) -> ClientOrder {
    // By the port alone, whoever uses other destinations on it counts as a holder too; what was refused was
    // towards this one.
    let refused: u64 = clients.iter().map(|c| c.refused).sum();
    let by_port = attribution == Attribution::DestinationPort;
    // Where no held ports but the attempts themselves point to it, whoever made them is whom to look at.
    let unproven = of.pointed_to && !of.turned_away;
    let by_refused = refused > 0 && ((by_port && of.turned_away) || unproven);
    // Shares are of what these clients hold together; where nothing was held on their side (attempts alone), of
    // what they attempted.
    let held: u64 = clients.iter().map(|c| u64::from(c.held.estimate)).sum();
    let opened: u64 = clients.iter().map(|c| c.connections).sum();
    // Where all that they may have held is less, others held the rest, whom the records do not show.
    let at_most: u64 = clients.iter().map(|c| u64::from(c.held.at_most)).sum();
    let of_all = u64::from(of.held.estimate);
    let hides_holders = attribution == Attribution::Connection && held > 0 && at_most < of_all;
    let held = if hides_holders { of_all } else { held };
    for client in &mut *clients {
        let (part, all) = match (by_refused, held) {
            (true, _) => (client.refused, refused),
            (false, 1..) => (u64::from(client.held.estimate), held),
            (false, 0) => (client.connections, opened),
        };
        client.share = fraction(part, all);
        client.held.at_most = client.held.at_most.min(of.held.at_most.max(client.held.at_least));
        if (by_refused && by_port && of.turned_away)
            || (held > 0 && (uneven || held > u64::from(of.held.estimate)))
        {
            // Together they held what the destination did.
            let estimate = (f64::from(of.held.estimate) * client.share).round() as u32;
            client.held.estimate = estimate.max(client.held.at_least);
            client.held.at_most = client.held.at_most.max(estimate);
        }
    }
    keep_within_all(clients.iter_mut().map(|client| &mut client.share));
    clients.sort_by(if by_refused { rank::most_refused_first } else { rank::greatest_holder_first });
    if by_refused { ClientOrder::RefusedAttempts } else { ClientOrder::HeldPorts }
}

/// No client holds more ports towards a destination than it used of its own, nor than an address has.
fn within_own_ports(client: &mut ClientReport) {
    let used = u32::try_from(client.connections).unwrap_or(u32::MAX).min(PORT_NUMBERS);
    let held = &mut client.held;
    held.at_most = held.at_most.min(used.max(held.at_least));
    held.estimate = held.estimate.min(held.at_most);
}

/// A part of all, to four places; 0 of nothing.
fn fraction(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { rounded(part as f64 / all as f64) }
}

/// Takes what rounding added from the greatest shares, so that together they are no more than all.
fn keep_within_all<'a>(shares: impl Iterator<Item = &'a mut f64>) {
    let mut greatest: Vec<&mut f64> = shares.filter(|share| **share > 0.0).collect();
    greatest.sort_by(|a, b| b.total_cmp(a));
    let units = |share: f64| (share * 10_000.0).round() as usize;
    let excess = greatest.iter().map(|share| units(**share)).sum::<usize>().saturating_sub(10_000);
    for share in greatest.into_iter().take(excess) {
        *share = rounded(*share - 0.0001);
    }
}

/// Who used a destination, joined in the best way that the records allow.
fn client_tallies(uses: &Uses<'_>, destination: Destination) -> (Attribution, BTreeMap<IpAddr, Tally>) {
    let of = |uses: &BTreeMap<Destination, Vec<(IpAddr, &Tally)>>, destination| -> BTreeMap<IpAddr, Tally> {
        let found = uses.get(&destination).into_iter().flatten();
        found.map(|(client, tally)| (*client, (*tally).clone())).collect()
    };
    let joined = of(&uses.at_gateway, destination);
    if !joined.is_empty() {
        return (Attribution::Connection, joined);
    }
    // In a format without packet addresses the gateway shows who used the port, but not towards which
    // server.
    let by_port = of(&uses.at_gateway, Destination { address: None, ..destination });
    let mut own = of(&uses.at_clients, destination);
    if !by_port.is_empty() {
        own.retain(|client, _| by_port.contains_key(client));
    }
    if !own.is_empty() {
        return (Attribution::ClientInterface, own);
    }
    let attribution = if by_port.is_empty() { Attribution::None } else { Attribution::DestinationPort };
    (attribution, by_port)
}

/// What a client held when the destination was fullest: at that very second where the source tells, else
/// at the fullest step. Where the destination held far more than any step's instant shows, it was
/// filled in between, and what was used within the step stands for what was held.
fn at_fullest(tally: &Tally, of: &Ranked, step: usize) -> AtPeak {
    /// How much more is far more.
    const FAR: f64 = 1.3;

    if let Some(at_peak) = tally.at_peak {
        return at_peak;
    }
    let at = |held: &[Held], step: usize| held.get(step).copied().unwrap_or_default();
    let steps = &of.counted.steps;
    let shown = at(steps, step);
    if f64::from(of.held.estimate) <= f64::from(shown.hold) * FAR {
        return AtPeak { held: at(&tally.held, step), silent: at(&tally.silent, step) };
    }
    let busiest = (0..steps.len()).rev().max_by_key(|step| steps[*step].most).unwrap_or(step);
    let used = |held: Held| Held { hold: held.most, ..held };
    AtPeak { held: used(at(&tally.held, busiest)), silent: used(at(&tally.silent, busiest)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_together_are_never_more_than_all() {
        let mut shares = [0.3334, 0.3334, 0.3333];
        keep_within_all(shares.iter_mut());
        assert_eq!(shares, [0.3333, 0.3334, 0.3333]);
        let mut whole = [0.5, 0.25, 0.25];
        keep_within_all(whole.iter_mut());
        assert_eq!(whole, [0.5, 0.25, 0.25]);
    }
}
