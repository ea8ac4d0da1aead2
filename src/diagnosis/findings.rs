//! The figures that the rest of the diagnosis argues from: per destination the range of held ports,
//! what was refused, and each client's part.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;

use super::rank;
use super::refusals::Refusals;
use super::{ClientReport, DestinationReport, HeldPorts, Limits, TimelineStep};
use crate::evidence::{Attribution, ClientUse, Destination, Evidence, Held, Tally, fullest_step};
use crate::incident::{Incident, NatGatewayId};
use crate::network::{GatewayKind, Network, Provenance};
use crate::words;

/// What is known of port allocation errors within the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Errors {
    /// Neither alarm nor metric.
    Unknown,
    /// An alarm on them fired, without saying how many.
    Alarmed,
    /// So many were counted.
    Counted(f64),
}

impl Errors {
    /// How many were counted, where that is known and not nothing.
    fn counted(self) -> Option<f64> {
        match self {
            Self::Counted(n) if n > 0.0 => Some(n),
            Self::Counted(_) | Self::Alarmed | Self::Unknown => None,
        }
    }

    pub(super) fn happened(self) -> bool {
        match self {
            Self::Unknown => false,
            Self::Alarmed => true,
            Self::Counted(n) => n > 0.0,
        }
    }
}

/// Everything the verdict, the pattern, the remedies and the words are made from.
pub(super) struct Findings<'a> {
    pub(super) incident: &'a Incident,
    pub(super) network: &'a Network,
    pub(super) evidence: &'a Evidence,
    pub(super) limits: Limits,
    /// Ports that can be held towards one destination at once.
    pub(super) capacity: Option<u32>,
    /// The same for certain, whichever zone the clients are in.
    pub(super) least_capacity: Option<u32>,
    pub(super) errors: Errors,
    /// Whether the records reach through the window, with none known to be left out.
    pub(super) complete: bool,
    /// Fullest first; every one has an address.
    pub(super) destinations: Vec<Ranked>,
}

/// One destination, with its figures.
pub(super) struct Ranked {
    pub(super) destination: Destination,
    pub(super) address: IpAddr,
    pub(super) tally: Tally,
    pub(super) held: HeldPorts,
    pub(super) utilization: Option<f64>,
    pub(super) refused: u64,
    /// Whether so many were refused that it must have been full.
    pub(super) turned_away: bool,
    /// Whether it is known, and not guessed from the port alone, that they were towards it.
    pub(super) located: bool,
    pub(super) timeline: Vec<TimelineStep>,
    /// Its clients; looked up for the destinations that are listed alone.
    pub(super) clients: Vec<ClientReport>,
    /// The step at which it was fullest.
    pub(super) step: usize,
    pub(super) service: Option<String>,
}

impl Ranked {
    /// As the report lists it, with so many clients.
    pub(super) fn report(&self, clients: usize) -> DestinationReport {
        DestinationReport {
            address: self.address,
            port: self.destination.port,
            protocol: protocol_name(self.destination.protocol),
            held: self.held,
            utilization: self.utilization,
            refused: self.refused,
            connections: self.tally.connections,
            bytes: self.tally.bytes,
            name: None,
            service: self.service.clone(),
            timeline: self.timeline.clone(),
            clients: self.clients.iter().take(clients).cloned().collect(),
        }
    }

    /// How the destination is written: `203.0.113.10:443/tcp`.
    pub(super) fn label(&self) -> String {
        words::endpoint(self.address, self.destination.port, &protocol_name(self.destination.protocol))
    }
}

/// The name of an IANA protocol number; the number itself where NAT gateways do not translate it.
pub(super) fn protocol_name(protocol: u8) -> String {
    match protocol {
        1 => "icmp".into(),
        6 => "tcp".into(),
        17 => "udp".into(),
        58 => "icmpv6".into(),
        other => other.to_string(),
    }
}

impl<'a> Findings<'a> {
    pub(super) fn of(
        incident: &'a Incident,
        network: &'a Network,
        evidence: &'a Evidence,
        limits: Limits,
    ) -> Self {
        let capacity = network.gateway.capacity(incident.zone.as_deref(), limits.ports_per_address);
        let mut findings = Self {
            incident,
            network,
            evidence,
            limits,
            capacity,
            least_capacity: match &incident.zone {
                Some(_) if zones_known(network) => capacity,
                _ => network.gateway.least_capacity(limits.ports_per_address),
            },
            errors: errors(incident, network),
            complete: complete(evidence),
            destinations: Vec::new(),
        };
        findings.destinations = findings.ranked();
        findings
    }

    /// The gateway's id, from the alarm or from the look-ups.
    pub(super) fn gateway_id(&self) -> Option<&NatGatewayId> {
        self.network.gateway.id.as_ref().or(self.incident.gateway.as_ref())
    }

    /// The fullest destination.
    pub(super) fn top(&self) -> Option<&Ranked> {
        self.destinations.first()
    }

    /// Whether the gateway's addresses are known for certain, so that capacity bounds what it held.
    fn capacity_is_certain(&self) -> bool {
        matches!(self.network.gateway.provenance, Provenance::LookedUp | Provenance::Named)
    }

    /// How many addresses' ports may show as one address's: flow logs of a zonal gateway show its
    /// secondary addresses as the primary, unless they have the packets' own addresses.
    ///
    /// Source: "Flow log limitations" in the Amazon VPC user guide.
    pub(super) fn folded_addresses(&self) -> u32 {
        let regional = self.network.gateway.kind == GatewayKind::Regional;
        if self.evidence.packet_addresses || regional {
            return 1;
        }
        u32::try_from(self.network.gateway.usable_addresses(None)).unwrap_or(1).max(1)
    }

    /// Distinct ports that a full destination shows on the gateway's side. Where addresses show as
    /// one, ports that are taken on several of them show once: of 64,512 port numbers, each taken on
    /// each of n addresses with the same chance, so many are taken on at least one.
    fn shown_when_full(&self) -> Option<f64> {
        let capacity = f64::from(self.capacity?);
        let folded = f64::from(self.folded_addresses());
        let each = capacity / folded;
        Some(PORT_NUMBERS * (1.0 - (1.0 - each / PORT_NUMBERS).powf(folded)))
    }

    fn ranked(&self) -> Vec<Ranked> {
        let refused = Refusals::of(self.evidence, self.shown_when_full());
        let gateway_side = self.gateway_side();
        let mut ranked: Vec<Ranked> = gateway_side
            .iter()
            .filter_map(|(destination, tally)| {
                let address = destination.address?;
                let refused_by_client = refused.of_destination(*destination);
                let refused_total = refused_by_client.values().map(|(packets, _)| packets).sum();
                let turned_away = refused.speak_for(refused_total, self.errors.counted());
                let (held, step) = self.held(*destination, tally, turned_away);
                Some(Ranked {
                    destination: *destination,
                    address,
                    held,
                    utilization: self.capacity.map(|capacity| f64::from(held.estimate) / f64::from(capacity)),
                    refused: refused_total,
                    turned_away,
                    located: refused.located(),
                    timeline: self.timeline(tally, &refused, *destination),
                    clients: Vec::new(),
                    step,
                    service: self.evidence.services.get(&address).cloned(),
                    tally: tally.clone(),
                })
            })
            .collect();
        ranked.sort_by(rank::fullest_first);
        let uses = Uses::of(self.evidence);
        for of_report in ranked.iter_mut().take(super::LISTED) {
            let Ranked { destination, held, step, tally, .. } = of_report;
            let by_client = refused.of_destination(*destination);
            of_report.clients = self.clients(&uses, *destination, tally.unanswered, *step, *held, &by_client);
        }
        ranked
    }

    /// What the gateway's own ports show; where no record shows them, what its clients' side shows.
    fn gateway_side(&self) -> BTreeMap<Destination, Tally> {
        if !self.evidence.destinations.is_empty() {
            return self.evidence.destinations.clone();
        }
        let mut summed: BTreeMap<Destination, Tally> = BTreeMap::new();
        for (using, tally) in self.evidence.clients.iter().chain(&self.evidence.at_clients) {
            summed.entry(using.destination).or_insert_with(|| Tally::empty(self.evidence.steps)).add(tally);
        }
        summed
    }

    /// The range at the fullest, and the step it falls in.
    fn held(&self, destination: Destination, tally: &Tally, refused: bool) -> (HeldPorts, usize) {
        let steps = self.evidence.steps;
        let (step, at_step) = fullest_step(&tally.held).unwrap_or_default();
        let over_steps = |of: fn(&Held) -> u32| tally.held.iter().map(of).max().unwrap_or(0);
        let (least, hold, most, at) = match self.evidence.peaks.get(&destination) {
            Some(peak) => (peak.least, peak.hold, peak.most, Timestamp::from_second(peak.at).ok()),
            None => (over_steps(|h| h.least), at_step.hold, over_steps(|h| h.most), None),
        };
        let at = at.unwrap_or_else(|| steps.instant(step));
        let mut held = self.range(Held { least, hold, most }.standing_for(self.folded_addresses()), at);
        // While errors were counted, a destination whose attempts were turned away was full: its
        // range then holds capacity, and capacity is what it held.
        if let Some(capacity) = self.capacity
            && self.errors.happened()
            && refused
            && held.at_least <= capacity
            && held.at_most >= capacity
        {
            held.estimate = capacity;
        }
        (held, step)
    }

    /// What a count cannot be above: capacity. Where the gateway's addresses are only inferred, a
    /// count far above it says that there are more of them; one just above it does not, as records
    /// have times in whole seconds and a port can be let go and taken again within one.
    fn bound(&self, counted: u32) -> u32 {
        let within = |capacity: &u32| {
            self.capacity_is_certain() || f64::from(counted) <= f64::from(*capacity) * WHOLE_SECONDS
        };
        self.capacity.filter(within).unwrap_or(u32::MAX)
    }

    /// A range with its best estimate.
    ///
    /// Where the format shows ends of connections, a port without one was held until its idle
    /// timeout, so the upper count is the estimate. Where it does not, any of the ports may have
    /// been let go at its last packet; the ends of the range are then often a hundredfold apart, and
    /// the geometric mean errs by the same factor either way.
    fn range(&self, held: Held, at: Timestamp) -> HeldPorts {
        let bound = self.bound(held.hold);
        let estimate =
            if self.evidence.ends_visible { held.hold } else { geometric_mean(held.least, held.hold) };
        let at_most = held.most.min(bound).max(held.least);
        HeldPorts { at_least: held.least, estimate: estimate.min(at_most), at_most, at }
    }

    fn timeline(&self, tally: &Tally, refused: &Refusals, destination: Destination) -> Vec<TimelineStep> {
        let refused = refused.timeline(destination);
        let folded = self.folded_addresses();
        tally
            .held
            .iter()
            .enumerate()
            .map(|(index, held)| {
                let range = self.range(held.standing_for(folded), self.evidence.steps.instant(index));
                TimelineStep {
                    at: range.at,
                    held_at_least: range.at_least,
                    held_estimate: range.estimate,
                    held_at_most: range.at_most,
                    refused: refused.get(index).copied().unwrap_or(0),
                }
            })
            .collect()
    }

    /// Each client's part at the destination's fullest step.
    fn clients(
        &self,
        uses: &Uses<'_>,
        destination: Destination,
        silent: u64,
        step: usize,
        whole: HeldPorts,
        refused: &BTreeMap<IpAddr, (u64, u64)>,
    ) -> Vec<ClientReport> {
        let (attribution, tallies) = client_tallies(uses, destination);
        let at = self.evidence.steps.instant(step);
        // Of the attempts without an answer, those that left the gateway held a port all the same.
        let attempted: u64 = tallies.values().map(|tally| tally.unanswered).sum();
        let left = if attempted == 0 { 0.0 } else { (silent as f64 / attempted as f64).min(1.0) };
        let held_at = |tally: &Tally| {
            let answered = tally.held.get(step).copied().unwrap_or_default();
            answered.plus(tally.silent.get(step).copied().unwrap_or_default().part(left))
        };
        let mut clients: Vec<ClientReport> = tallies
            .into_iter()
            .map(|(address, tally)| ClientReport {
                address,
                share: 0.0,
                held: self.range(held_at(&tally), at),
                connections: tally.connections,
                refused: refused.get(&address).map_or(0, |(packets, _)| *packets),
                bytes: tally.bytes,
                name: None,
                kind: None,
                zone: None,
                attribution,
            })
            .collect();
        // Shares are of what these clients hold together; where nothing was held on their side
        // (attempts alone), of what they attempted.
        let held: u64 = clients.iter().map(|c| u64::from(c.held.estimate)).sum();
        let opened: u64 = clients.iter().map(|c| c.connections).sum();
        for client in &mut clients {
            let (part, all) =
                if held > 0 { (u64::from(client.held.estimate), held) } else { (client.connections, opened) };
            client.share = if all == 0 { 0.0 } else { rounded(part as f64 / all as f64) };
            client.held.at_most = client.held.at_most.min(whole.at_most.max(client.held.at_least));
        }
        clients.sort_by(rank::greatest_holder_first);
        clients
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
            client.share = if all == 0 { 0.0 } else { rounded(f64::from(client.held.estimate) / all as f64) };
        }
        clients.sort_by(rank::greatest_holder_first);
        clients.truncate(most);
        clients
    }
}

fn geometric_mean(least: u32, most: u32) -> u32 {
    let mean = (f64::from(least) * f64::from(most)).sqrt().round() as u32;
    mean.clamp(least, most.max(least))
}

/// Shares to four places: no count here is good for more, and shorter numbers read better.
fn rounded(share: f64) -> f64 {
    (share * 10_000.0).round() / 10_000.0
}

/// Who used which destination: looked up once for each, however many there are.
struct Uses<'a> {
    at_gateway: BTreeMap<Destination, Vec<(IpAddr, &'a Tally)>>,
    at_clients: BTreeMap<Destination, Vec<(IpAddr, &'a Tally)>>,
}

impl<'a> Uses<'a> {
    fn of(evidence: &'a Evidence) -> Self {
        Self {
            at_gateway: by_destination(&evidence.clients),
            at_clients: by_destination(&evidence.at_clients),
        }
    }
}

fn by_destination(uses: &BTreeMap<ClientUse, Tally>) -> BTreeMap<Destination, Vec<(IpAddr, &Tally)>> {
    let mut by_destination: BTreeMap<Destination, Vec<(IpAddr, &Tally)>> = BTreeMap::new();
    for (using, tally) in uses {
        by_destination.entry(using.destination).or_default().push((using.client, tally));
    }
    by_destination
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

fn zones_known(network: &Network) -> bool {
    network.gateway.addresses.iter().all(|address| address.zone.is_some())
}

fn errors(incident: &Incident, network: &Network) -> Errors {
    match (network.metric("ErrorPortAllocation"), incident.errors_reported) {
        // The alarm saw these datapoints; a metric answer without them is older than the alarm.
        (Some(metric), Some(reported)) => Errors::Counted(metric.value.max(reported)),
        (Some(metric), None) => Errors::Counted(metric.value),
        (None, Some(reported)) => Errors::Counted(reported),
        (None, None) if incident.alarm.is_some() => Errors::Alarmed,
        (None, None) => Errors::Unknown,
    }
}

/// For so long a gateway that carries traffic is not silent.
const HOLE: i64 = 300;

/// How far records may stay away from either end of the window, in seconds: the times of records may
/// be off by as much, whatever the aggregation interval.
///
/// Source: "Flow log records" in the Amazon VPC user guide, fields `start` and `end`.
const OFF_BY: i64 = 60;

/// Whether the records reach from one end of the window to the other without a hole, and none is
/// known to have been left out.
fn complete(evidence: &Evidence) -> bool {
    let (start, end) = (evidence.window.start().as_second(), evidence.window.end().as_second());
    let reaches = |at: Option<Timestamp>, by: &dyn Fn(i64) -> bool| at.is_some_and(|at| by(at.as_second()));
    evidence.coverage.skipdata == 0
        && evidence.coverage.longest_hole <= HOLE
        && reaches(evidence.coverage.logs_from, &|from| from <= start + OFF_BY)
        && reaches(evidence.coverage.logs_until, &|until| until >= end - OFF_BY)
}

/// Source ports 1024 to 65535.
///
/// Source: "NAT gateway basics" in the Amazon VPC user guide.
const PORT_NUMBERS: f64 = 64_512.0;

/// How far above capacity a count can come by the rounding of times alone.
const WHOLE_SECONDS: f64 = 1.05;
