//! The figures that the rest of the diagnosis argues from: per destination the range of held ports,
//! what was refused, and each client's part.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;

use super::clients::Uses;
use super::folded::Folded;
use super::held::{Counted, Scale, times_in_use};
use super::rank;
use super::refusals::Refusals;
use super::{ClientOrder, ClientReport, DestinationReport, HeldPorts, Limits, RefusedAttempts, TimelineStep};
use crate::evidence::{Destination, Evidence, Held, TCP, Tally};
use crate::incident::{Incident, NatGatewayId};
use crate::network::{GatewayKind, HostName, IDLE_TIMEOUT_SECONDS, Network, Provenance};
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
    pub(super) fn counted(self) -> Option<f64> {
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
    pub(super) window_covered: bool,
    /// The same, and far enough back before it to show all ports that were held in it.
    pub(super) complete: bool,
    /// Where ends of connections do not show: how many times the ports in use were held, where the
    /// gateway's own count of connections tells.
    pub(super) times_in_use: Option<f64>,
    /// Attempts that were refused, towards any destination.
    pub(super) refused: u64,
    /// Attempts that never left the gateway either, though their destination does not look full.
    pub(super) unexplained: u64,
    /// Whether refused attempts would show: the records have both sides of the gateway, whole.
    pub(super) refusals_show: bool,
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
    /// Connections that never came about.
    pub(super) refused_connections: u64,
    /// Whether so many were refused that it must have been full.
    pub(super) turned_away: bool,
    /// Whether it is known, and not guessed from the port alone, that they were towards it.
    pub(super) located: bool,
    pub(super) timeline: Vec<TimelineStep>,
    /// Its clients; looked up for the destinations that are listed alone.
    pub(super) clients: Vec<ClientReport>,
    /// What they are ordered by.
    pub(super) client_order: ClientOrder,
    /// What its range was made from.
    pub(super) counted: Counted,
    pub(super) service: Option<String>,
    /// The host name that says most of its address.
    pub(super) name: Option<HostName>,
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
            name: self.name.as_ref().map(|name| name.name.clone()),
            name_source: self.name.as_ref().map(|name| name.source),
            names_asked_for: 0,
            service: self.service.clone(),
            timeline: self.timeline.clone(),
            clients: self.clients.iter().take(clients).cloned().collect(),
            clients_ordered_by: self.client_order,
            clients_seen: u64::try_from(self.clients.len()).unwrap_or(u64::MAX),
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
        let zone = network.gateway.zone_of(incident.zone.as_deref());
        let capacity = network.gateway.capacity(zone, limits.ports_per_address);
        let mut findings = Self {
            incident,
            network,
            evidence,
            limits,
            capacity,
            least_capacity: match zone {
                Some(_) if zones_known(network) => capacity,
                _ => network.gateway.least_capacity(limits.ports_per_address),
            },
            errors: errors(incident, network),
            window_covered: complete(evidence, false),
            complete: complete(evidence, incident.window.is_some()),
            times_in_use: None,
            refused: 0,
            unexplained: 0,
            refusals_show: false,
            destinations: Vec::new(),
        };
        let mut refused = Refusals::of(evidence, findings.shown_when_full());
        // Clients of other zones were refused ports of their own zones.
        refused.retain(|client| findings.perhaps_in_question(client));
        findings.refused = refused.all();
        findings.unexplained = refused.unexplained();
        findings.refusals_show = findings.window_covered && refused.show();
        let uses = Uses::of(evidence, findings.counts_by_client());
        let counted = findings.counted(&uses);
        findings.times_in_use = findings.times_in_use(&counted);
        findings.destinations = findings.ranked(&refused, &uses, counted);
        findings
    }

    /// What was refused, beside what was counted.
    pub(super) fn refused_attempts(&self) -> RefusedAttempts {
        let counted = match self.errors {
            Errors::Counted(errors) => Some(errors),
            Errors::Alarmed | Errors::Unknown => None,
        };
        let accounted =
            counted.filter(|errors| *errors > 0.0).map(|errors| rounded(self.refused as f64 / errors));
        RefusedAttempts { found: self.refused, counted, accounted }
    }

    /// Whether nothing says that the records are of the gateway in question: it was inferred from them, which
    /// of the alarm's they need not be.
    pub(super) fn perhaps_of_another(&self) -> bool {
        self.network.gateway.provenance == Provenance::Inferred && self.gateway_id().is_some()
    }

    /// Whether the records cannot be of the gateway in question: the alarm is on a zone of a regional one, and
    /// they are of one that is in a subnet.
    pub(super) fn of_another_kind(&self) -> bool {
        self.perhaps_of_another()
            && self.incident.zone.is_some()
            && self.network.gateway.kind != GatewayKind::Regional
    }

    /// Whether the gateway has addresses of several zones, of which clients use their own zone's alone, and
    /// nothing tells which zone it is about: what all hold together then says little of any.
    pub(super) fn zone_unknown(&self) -> bool {
        self.network.gateway.kind == GatewayKind::Regional && self.least_capacity < self.capacity
    }

    /// The alarm's Region, else the one that was asked.
    pub(super) fn region(&self) -> Option<&'a str> {
        let of_alarm = self.incident.alarm.as_ref().and_then(|alarm| alarm.region.as_deref());
        of_alarm.or(self.network.region.as_deref())
    }

    /// The gateway's id, from the alarm or from the look-ups.
    pub(super) fn gateway_id(&self) -> Option<&NatGatewayId> {
        self.network.gateway.id.as_ref().or(self.incident.gateway.as_ref())
    }

    /// The fullest destination.
    pub(super) fn top(&self) -> Option<&Ranked> {
        self.destinations.first()
    }

    /// The destination to doubt where it is not known whether any was full.
    pub(super) fn in_doubt(&self) -> Option<&Ranked> {
        rank::in_doubt(&self.destinations, |ranked| ranked.held.at_most)
    }

    /// What counts are held against.
    pub(super) fn scale(&self, protocol: u8) -> Scale {
        Scale {
            capacity: self.capacity,
            certain: matches!(self.network.gateway.provenance, Provenance::LookedUp | Provenance::Named),
            ends_visible: self.evidence.ends_visible || protocol != TCP,
            times_in_use: self.times_in_use,
        }
    }

    /// How many addresses' ports may show as one address's.
    pub(super) fn folded(&self) -> Folded {
        let regional = self.network.gateway.kind == GatewayKind::Regional;
        if self.evidence.packet_addresses || regional {
            return Folded::new(1);
        }
        Folded::new(u32::try_from(self.network.gateway.usable_addresses(None)).unwrap_or(1))
    }

    /// Distinct ports that a full destination shows on the gateway's side.
    fn shown_when_full(&self) -> Option<f64> {
        self.capacity.map(|capacity| self.folded().shown(f64::from(capacity)))
    }

    /// The counts of every destination that has an address.
    fn counted(&self, uses: &Uses<'_>) -> Vec<(Destination, Tally, Counted)> {
        let with_address = self.gateway_side().into_iter().filter(|(d, _)| d.address.is_some());
        with_address
            .map(|(destination, tally)| {
                let counted = Counted::of(self.evidence, uses, destination, &tally);
                (destination, tally, counted)
            })
            .collect()
    }

    /// What the gateway's own count of connections says of ports without a packet.
    fn times_in_use(&self, counted: &[(Destination, Tally, Counted)]) -> Option<f64> {
        let active = self.network.metric("ActiveConnectionCount").filter(|_| !self.evidence.ends_visible)?;
        let tcp = counted.iter().filter(|(destination, ..)| destination.protocol == TCP);
        Some(times_in_use(tcp.map(|(.., counted)| counted), self.folded(), active.value))
    }

    fn ranked(
        &self,
        refused: &Refusals,
        uses: &Uses<'_>,
        counted: Vec<(Destination, Tally, Counted)>,
    ) -> Vec<Ranked> {
        let mut ranked: Vec<Ranked> = counted
            .into_iter()
            .filter_map(|(destination, tally, counted)| {
                let address = destination.address?;
                let refused_by_client = refused.of_destination(destination);
                let refused_total = refused_by_client.values().map(|refused| refused.attempts).sum();
                let refused_connections = refused_by_client.values().map(|refused| refused.connections).sum();
                let turned_away = refused.speak_for(refused_total, self.errors.counted());
                let held = self.held(destination.protocol, &counted, turned_away);
                let timeline = self.timeline(&counted, refused, destination, &held);
                Some(Ranked {
                    destination,
                    address,
                    held,
                    utilization: self.capacity.map(|capacity| f64::from(held.estimate) / f64::from(capacity)),
                    refused: refused_total,
                    refused_connections,
                    turned_away,
                    located: refused.located(),
                    timeline,
                    clients: Vec::new(),
                    client_order: ClientOrder::default(),
                    counted,
                    service: self.service(address),
                    name: self.network.name_of(address).cloned(),
                    tally,
                })
            })
            .collect();
        ranked.sort_by(rank::fullest_first);
        for of_report in ranked.iter_mut().take(super::LISTED) {
            let by_client = refused.of_destination(of_report.destination);
            (of_report.clients, of_report.client_order) = self.clients(uses, of_report, &by_client);
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

    /// Whether ports can be counted at the clients' side as well: not where clients of several zones,
    /// each with a capacity of its own, show alike.
    fn counts_by_client(&self) -> bool {
        let gateway = &self.network.gateway;
        let in_zone = gateway.usable_addresses(gateway.zone_of(self.incident.zone.as_deref()));
        !self.evidence.destinations.is_empty()
            && (gateway.kind != GatewayKind::Regional || in_zone == gateway.usable_addresses(None))
    }

    /// The range at the fullest.
    fn held(&self, protocol: u8, counted: &Counted, refused: bool) -> HeldPorts {
        let peak = self.folded().unfolded(counted.peak);
        let open = self.folded().behind(counted.open);
        let scale = self.scale(protocol);
        let seen = scale.range(peak, open, counted.at);
        let mut held = if self.complete { seen } else { scale.open_range(peak, open, counted.at) };
        // While errors were counted, a destination whose attempts were turned away was full: its
        // range then holds capacity, and capacity is what it held.
        if let Some(capacity) = self.capacity
            && self.errors.happened()
            && refused
            && held.at_least <= capacity
            && f64::from(seen.at_most) >= f64::from(capacity) * if self.window_covered { 1.0 } else { HALF }
        {
            held.estimate = capacity;
        }
        held
    }

    fn timeline(
        &self,
        counted: &Counted,
        refused: &Refusals,
        destination: Destination,
        fullest: &HeldPorts,
    ) -> Vec<TimelineStep> {
        let refused = refused.timeline(destination);
        let refused_in = |index: usize| refused.get(index).copied().unwrap_or(0);
        let was_full = self.capacity.is_some_and(|capacity| fullest.estimate >= capacity);
        let steps = &self.evidence.steps;
        let fullest_step = (0..counted.steps.len()).rev().find(|index| steps.instant(*index) <= fullest.at);
        let folded = self.folded();
        let scale = self.scale(destination.protocol);
        let range = |(index, held): (usize, &Held)| {
            let (at, held) = (self.evidence.steps.instant(index), folded.unfolded(*held));
            let range =
                if self.covered(at) { scale.range(held, 0, at) } else { scale.open_range(held, 0, at) };
            // A full destination stays so between two steps in which attempts were refused.
            let refused_around = was_full && index > 0 && refused_in(index - 1) > 0 && refused_in(index) > 0;
            let as_full = refused_around || fullest_step == Some(index);
            let estimate = if as_full { range.estimate.max(fullest.estimate) } else { range.estimate };
            TimelineStep {
                at,
                held_at_least: range.at_least,
                held_estimate: estimate,
                held_at_most: range.at_most.max(estimate),
                refused: refused_in(index),
            }
        };
        counted.steps.iter().enumerate().map(range).collect()
    }

    /// Whether the records hold all of the step that begins then.
    fn covered(&self, at: Timestamp) -> bool {
        let coverage = &self.evidence.coverage;
        let begins = at.as_second();
        let from = begins + OFF_BY - lead(self.incident.window.is_some());
        let ends = begins + self.evidence.steps.seconds();
        coverage.skipdata == 0
            && coverage.logs_from.is_some_and(|logs_from| logs_from.as_second() <= from)
            && coverage.logs_until.is_some_and(|until| until.as_second() >= ends - OFF_BY)
    }

    /// The service that an address is of: as the records say, else as the Region's prefix lists do.
    fn service(&self, address: IpAddr) -> Option<String> {
        let of_list = || {
            let region = self.region()?;
            self.network.gateway_service_of(address, region).map(|(_, service)| service.name().to_owned())
        };
        self.evidence.services.get(&address).cloned().or_else(of_list)
    }
}

/// Shares to four places: no count here is good for more, and shorter numbers read better.
pub(super) fn rounded(share: f64) -> f64 {
    (share * 10_000.0).round() / 10_000.0
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

/// For so long a gateway that carries little traffic may be silent.
const HOLE: i64 = 300;

/// For so long one that usually has many records at any time is not.
const DENSE_HOLE: i64 = 60;

/// How far records may stay away from either end of the window, in seconds: the times of records may
/// be off by as much, whatever the aggregation interval.
///
/// Source: "Flow log records" in the Amazon VPC user guide, fields `start` and `end`.
const OFF_BY: i64 = 60;

/// How far those of a gateway may that usually has many at any time: by the last minute of an alarm's
/// window hangs all.
const DENSE_OFF_BY: i64 = 30;

/// How long before what they are asked about records have to begin: where the window was `named`, as
/// long as an idle connection holds its port, as ports that were last used before do not show within.
/// Where it was not, it is all that the files hold.
pub(super) fn lead(named: bool) -> i64 {
    if named { IDLE_TIMEOUT_SECONDS } else { 0 }
}

/// Whether the records reach from one end of the window to the other, and long enough before it,
/// without a hole, and none is known to have been left out or lost.
fn complete(evidence: &Evidence, named: bool) -> bool {
    let (start, end) = (evidence.window.start().as_second(), evidence.window.end().as_second());
    let coverage = &evidence.coverage;
    let reaches = |at: Option<Timestamp>, by: &dyn Fn(i64) -> bool| at.is_some_and(|at| by(at.as_second()));
    let (hole, off_by) = if coverage.dense { (DENSE_HOLE, DENSE_OFF_BY) } else { (HOLE, OFF_BY) };
    let from = start + OFF_BY - lead(named);
    coverage.skipdata == 0
        && !coverage.damaged()
        && coverage.longest_hole <= hole
        && reaches(coverage.logs_from, &|logs_from| logs_from <= from)
        && reaches(coverage.logs_until, &|until| until >= end - off_by)
}

/// Where records are missing, a destination of which this part of the ports shows may have been full.
const HALF: f64 = 0.5;
