//! Who used a destination, and what part of its ports each client held.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::findings::{Findings, Ranked, rounded};
use super::rank;
use super::refusals::Refused;
use super::{ClientOrder, ClientReport, HeldPorts};
use crate::evidence::{AtPeak, Attribution, ClientUse, Destination, Evidence, Held, Tally};
use crate::words;

type Users<'a> = [(IpAddr, &'a Tally)];

/// Who used which destination: looked up once for each, however many there are.
pub(super) struct Uses<'a> {
    at_gateway: BTreeMap<Destination, Vec<(IpAddr, &'a Tally)>>,
    at_clients: BTreeMap<Destination, Vec<(IpAddr, &'a Tally)>>,
    /// What the gateway's side shows, by port.
    by_port: BTreeMap<Destination, Vec<(Destination, &'a Tally)>>,
    counted: bool,
}

impl<'a> Uses<'a> {
    pub(super) fn of(evidence: &'a Evidence, counted: bool) -> Self {
        let mut by_port: BTreeMap<Destination, Vec<(Destination, &Tally)>> = BTreeMap::new();
        for (destination, tally) in &evidence.destinations {
            let port = Destination { address: None, ..*destination };
            by_port.entry(port).or_default().push((*destination, tally));
        }
        Self {
            at_gateway: by_destination(&evidence.clients),
            at_clients: by_destination(&evidence.at_clients),
            by_port,
            counted,
        }
    }

    /// Who used a destination through this gateway, where that shows and can be counted.
    pub(super) fn joined(&self, destination: Destination) -> Option<&Users<'a>> {
        self.at_gateway.get(&destination).filter(|_| self.counted).map(Vec::as_slice)
    }

    /// Who used a destination's port through this gateway, towards whichever address, and all
    /// destinations on that port.
    pub(super) fn on_port(
        &self,
        destination: Destination,
    ) -> Option<(&Users<'a>, &[(Destination, &'a Tally)])> {
        let port = Destination { address: None, ..destination };
        let users = self.at_gateway.get(&port).filter(|_| self.counted)?;
        Some((users, self.by_port.get(&port)?))
    }

    /// Who used a destination, through whichever gateway.
    pub(super) fn elsewhere(&self, destination: Destination) -> Option<&Users<'a>> {
        self.at_clients.get(&destination).filter(|_| self.counted).map(Vec::as_slice)
    }
}

fn by_destination(uses: &BTreeMap<ClientUse, Tally>) -> BTreeMap<Destination, Vec<(IpAddr, &Tally)>> {
    let mut by_destination: BTreeMap<Destination, Vec<(IpAddr, &Tally)>> = BTreeMap::new();
    for (using, tally) in uses {
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
                    connections: tally.connections,
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
                        sum.bytes += client.bytes;
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
    let by_refused = attribution == Attribution::DestinationPort && of.turned_away && refused > 0;
    // Shares are of what these clients hold together; where nothing was held on their side (attempts alone), of
    // what they attempted.
    let held: u64 = clients.iter().map(|c| u64::from(c.held.estimate)).sum();
    let opened: u64 = clients.iter().map(|c| c.connections).sum();
    for client in &mut *clients {
        let (part, all) = match (by_refused, held) {
            (true, _) => (client.refused, refused),
            (false, 1..) => (u64::from(client.held.estimate), held),
            (false, 0) => (client.connections, opened),
        };
        client.share = fraction(part, all);
        client.held.at_most = client.held.at_most.min(of.held.at_most.max(client.held.at_least));
        if by_refused || (held > 0 && (uneven || held > u64::from(of.held.estimate))) {
            // Together they held what the destination did.
            let estimate = (f64::from(of.held.estimate) * client.share).round() as u32;
            client.held.estimate = estimate.max(client.held.at_least);
            client.held.at_most = client.held.at_most.max(estimate);
        }
    }
    clients.sort_by(if by_refused { rank::most_refused_first } else { rank::greatest_holder_first });
    if by_refused { ClientOrder::RefusedAttempts } else { ClientOrder::HeldPorts }
}

/// A part of all; 0 of nothing.
fn fraction(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { rounded(part as f64 / all as f64) }
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
