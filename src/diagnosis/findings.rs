//! The figures that the rest of the diagnosis argues from: per destination the range of held ports,
//! what was refused, and each client's part.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;

use super::Limits;
use super::clients::Uses;
use super::folded::Folded;
use super::held::{Counted, Scale, times_in_use};
use super::rank;
use super::refusals::{Full, Refusals, Unplaced};
use super::verdict::{self, FULL, NOT_NEAR};
use crate::contract::{
    ClientOrder, ClientReport, DestinationReport, FullAddress, HeldPorts, RefusedAttempts, TimelineStep,
    UnplacedAttempts, Verdict,
};
use crate::evidence::{Destination, Evidence, Held, TCP, Tally};
use crate::incident::{Incident, NatGatewayId};
use crate::network::{GatewayKind, HostName, IDLE_TIMEOUT_SECONDS, MetricName, Network, Provenance};
use crate::words;

/// What is known of port allocation errors within the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Errors {
    /// Neither alarm nor metric, or an alarm that saw none.
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
    /// TCP connections that CloudWatch counted at once, beside those that the records show.
    pub(super) active: Option<Active>,
    /// Whether CloudWatch counted many times the attempts that the records show.
    pub(super) attempts_unseen: Option<Unseen>,
    /// Attempts that were refused, towards any destination, in the minutes in question.
    pub(super) refused: u64,
    /// Of these or beside them, attempts towards destinations that do not look full.
    pub(super) unexplained: u64,
    /// Attempts on ports of which no destination shows.
    pub(super) unplaced: Vec<Unplaced>,
    /// Attempts that never left the gateway, beyond the errors that were counted.
    pub(super) uncounted: u64,
    /// Whether refused attempts would show: the records have both sides of the gateway, whole.
    pub(super) refusals_show: bool,
    /// The one that the answer is about first, then fullest first; every one has an address.
    pub(super) destinations: Vec<Ranked>,
    /// How sure we are.
    pub(super) verdict: Verdict,
}

/// Connections that the gateway had at once: what CloudWatch counted, and what the records allow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Active {
    /// The greatest `ActiveConnectionCount` of the minutes in question: TCP, all destinations together.
    pub(super) counted: f64,
    /// What the records show for certain, at one instant.
    at_least: u64,
    /// What the records allow at the very most within one step.
    at_most: u64,
}

impl Active {
    /// How far CloudWatch's figure, which it takes once a minute, may be from what was held between.
    const OFF_BY: f64 = 0.1;

    /// Fewer than this prove nothing.
    const FEW: f64 = 100.0;

    /// What no TCP destination can have held more than; not where the records certainly show more.
    pub(super) fn bound(self) -> Option<u32> {
        (!self.fewer_than_seen()).then(|| self.counted.ceil() as u32)
    }

    /// Whether the records certainly show more than were counted: the figure is late, or of another gateway.
    pub(super) fn fewer_than_seen(self) -> bool {
        self.at_least as f64 > self.counted * (1.0 + Self::OFF_BY) + Self::FEW
    }

    /// Those that the records do not show, whichever destination they are to.
    pub(super) fn hidden(self) -> u32 {
        let hidden = self.counted * (1.0 - Self::OFF_BY) - self.at_most as f64;
        if hidden > Self::FEW { hidden as u32 } else { 0 }
    }

    /// The most that the records allow.
    pub(super) fn seen_at_most(self) -> u64 {
        self.at_most
    }

    /// What they show for certain.
    pub(super) fn seen_at_least(self) -> u64 {
        self.at_least
    }
}

/// Something that was counted, and as much of it as the records show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Unseen {
    pub(super) counted: f64,
    pub(super) seen: u64,
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
    /// Whether so many were refused that it must have been full, and it looks so.
    pub(super) turned_away: bool,
    /// Whether so many of those that were counted were refused towards it, whether it looks full or not.
    pub(super) pointed_to: bool,
    /// Where it did not fill the gateway, one of the gateway's addresses that it filled.
    pub(super) full_address: Option<FullAddress>,
    /// Whether it is known, and not guessed from the port alone, that they were towards it.
    pub(super) located: bool,
    pub(super) timeline: Vec<TimelineStep>,
    /// Its clients; looked up only for the destinations that are asked for.
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
            protocol: words::protocol(self.destination.protocol),
            held: self.held,
            held_earlier: None,
            utilization: self.utilization,
            full_address: self.full_address,
            refused: self.refused,
            connections: self.tally.connections,
            ports_used: self.tally.connections,
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
        words::endpoint(self.address, self.destination.port, &words::protocol(self.destination.protocol))
    }
}

impl<'a> Findings<'a> {
    pub(super) fn of(
        incident: &'a Incident,
        network: &'a Network,
        evidence: &'a Evidence,
        limits: Limits,
    ) -> Self {
        Self::with_clients_of(incident, network, evidence, limits, |_| false)
    }

    /// The same, with the clients of these destinations beside those of the fullest ones.
    pub(super) fn with_clients_of(
        incident: &'a Incident,
        network: &'a Network,
        evidence: &'a Evidence,
        limits: Limits,
        these: impl Fn(&Ranked) -> bool,
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
            window_covered: complete(evidence, evidence.window.end().as_second()),
            complete: complete(evidence, evidence.asked.start().as_second() + OFF_BY - IDLE_TIMEOUT_SECONDS),
            times_in_use: None,
            active: None,
            attempts_unseen: None,
            refused: 0,
            unexplained: 0,
            unplaced: Vec::new(),
            uncounted: 0,
            refusals_show: false,
            destinations: Vec::new(),
            verdict: Verdict::CannotTell,
        };
        let errors_counted = match findings.errors {
            Errors::Counted(errors) => Some(errors),
            Errors::Alarmed | Errors::Unknown => None,
        };
        let mut refused = Refusals::of(evidence, findings.shown_when_full(), errors_counted);
        // Clients of other zones were refused ports of their own zones.
        refused.retain(|client| findings.perhaps_in_question(client));
        refused.hold_against(findings.errors.counted(), &evidence.asked_steps());
        findings.refused = refused.all();
        findings.unexplained = refused.unexplained();
        findings.unplaced = refused.unplaced();
        findings.uncounted = refused.uncounted();
        findings.refusals_show = findings.window_covered && refused.show();
        let uses = Uses::of(evidence, findings.counts_by_client());
        let counted = findings.counted(&uses, &refused);
        findings.active = findings.active(&counted);
        findings.attempts_unseen = findings.attempts_unseen();
        findings.times_in_use = findings.times_in_use(&counted);
        findings.destinations = findings.ranked(&refused, counted);
        findings.verdict = verdict::verdict(&findings);
        findings.bring_forward();
        findings.look_up_clients(&refused, &uses, these);
        findings
    }

    /// Puts the destination that the answer is about first: lines, lists and tables then name the same one.
    fn bring_forward(&mut self) {
        let about = match self.verdict {
            Verdict::Confirmed | Verdict::Likely => None,
            Verdict::CannotTell => rank::in_doubt(&self.destinations),
            Verdict::NotSupported => rank::greatest_at_most(&self.destinations),
        };
        if let Some(index) = about {
            self.destinations[..=index].rotate_right(1);
        }
    }

    fn look_up_clients(&mut self, refused: &Refusals, uses: &Uses<'_>, these: impl Fn(&Ranked) -> bool) {
        for index in 0..self.destinations.len() {
            let of_report = &self.destinations[index];
            if index >= super::LISTED && !these(of_report) {
                continue;
            }
            let by_client = refused.of_destination(of_report.destination);
            let (clients, order) = self.clients(uses, of_report, &by_client);
            let of_report = &mut self.destinations[index];
            (of_report.clients, of_report.client_order) = (clients, order);
        }
    }

    /// What was refused, beside what was counted.
    pub(super) fn refused_attempts(&self) -> RefusedAttempts {
        let counted = match self.errors {
            Errors::Counted(errors) => Some(errors),
            Errors::Alarmed | Errors::Unknown => None,
        };
        let accounted =
            counted.filter(|errors| *errors > 0.0).map(|errors| rounded(self.refused as f64 / errors));
        let unplaced = self.unplaced_attempts();
        RefusedAttempts { found: self.refused, counted, accounted, errors_seen: self.errors_seen(), unplaced }
    }

    /// The attempts on the one port that most were to, of those where no server shows. Nothing where the records
    /// look filtered, and no errors were counted that would speak for them: the gateway's own side may be what was
    /// left out.
    pub(super) fn unplaced_attempts(&self) -> Option<UnplacedAttempts> {
        let believed = !self.evidence.filtered || self.errors.counted().is_some();
        self.unplaced.first().filter(|_| believed).map(|unplaced| UnplacedAttempts {
            port: unplaced.towards.port,
            protocol: unplaced.towards.protocol,
            attempts: unplaced.attempts,
            client: unplaced.client,
        })
    }

    /// Whether errors were certainly counted of this gateway.
    pub(super) fn errors_seen(&self) -> bool {
        self.errors.happened() && !verdict::perhaps_no_error(self)
    }

    /// Whether nothing says that the records are of the gateway in question: it was inferred from them, which
    /// of the alarm's they need not be.
    pub(super) fn perhaps_of_another(&self) -> bool {
        self.network.gateway.provenance == Provenance::Inferred && self.named_id().is_some()
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

    /// Whether the records show a packet back to anybody. Where there is none at all, the log may hold one direction
    /// only, and that nothing was answered says nothing of a destination.
    pub(super) fn answers_show(&self) -> bool {
        let Evidence { destinations, clients, at_clients, elsewhere, .. } = self.evidence;
        let of_clients = clients.values().chain(at_clients.values());
        let mut all = destinations.values().chain(elsewhere.values()).chain(of_clients);
        all.any(|tally| tally.connections > tally.unanswered)
    }

    /// The gateway's id, from the alarm or from the look-ups. Where the records show several gateways, the one that
    /// this is about need not be the one of that id: then there is none, as a command must not change another.
    pub(super) fn gateway_id(&self) -> Option<&NatGatewayId> {
        // A regional gateway's own records tell its id.
        let untold = self.evidence.several_gateways && self.network.gateway.kind != GatewayKind::Regional;
        self.named_id().filter(|_| !untold)
    }

    /// The id of the gateway in question, whether or not the records are of it.
    pub(super) fn named_id(&self) -> Option<&NatGatewayId> {
        self.network.gateway.id.as_ref().or(self.incident.gateway.as_ref())
    }

    /// The zone whose metrics are in question: a regional gateway has none beside those of its zones. A word to be
    /// filled in where the zone is not known.
    ///
    /// Source: "NAT gateway metrics and dimensions" in the Amazon VPC user guide.
    pub(super) fn metric_zone(&self) -> Option<&str> {
        let gateway = &self.network.gateway;
        let only = || match &gateway.zones[..] {
            [only] => only.as_str(),
            _ => UNKNOWN_ZONE,
        };
        let regional = gateway.kind == GatewayKind::Regional;
        self.incident.zone.as_deref().or_else(|| regional.then(only))
    }

    /// The fullest destination.
    pub(super) fn top(&self) -> Option<&Ranked> {
        self.destinations.first()
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
    fn shown_when_full(&self) -> Option<Full> {
        let one = f64::from(self.limits.ports_per_address);
        self.capacity.map(|capacity| Full { all: self.folded().shown(f64::from(capacity)), one })
    }

    /// The range behind a range of port numbers: no more than clients' own ports allow.
    fn unfolded(&self, held: Held, limit: Option<&Held>) -> Held {
        let unfolded = self.folded().unfolded(held);
        let Some(limit) = limit.filter(|_| self.folded().addresses() > 1) else { return unfolded };
        Held {
            least: unfolded.least,
            hold: unfolded.hold.min(limit.hold.max(held.hold)),
            most: unfolded.most.min(limit.most.max(held.most)),
        }
    }

    /// What CloudWatch counted at once, beside what the records show; not where these lack the gateway's side, or
    /// show the connections of several zones.
    fn active(&self, counted: &[(Destination, Tally, Counted)]) -> Option<Active> {
        let metric = self.network.metric(MetricName::ActiveConnectionCount)?;
        if self.evidence.destinations.is_empty() || self.zone_unknown() {
            return None;
        }
        let (mut least, mut most) = (0, 0);
        for step in self.evidence.asked_steps() {
            let (mut at_least, mut at_most) = (0_u64, 0_u64);
            for (.., counted) in counted.iter().filter(|(destination, ..)| destination.protocol == TCP) {
                let limit = counted.limit.as_ref().and_then(|limit| limit.steps.get(step));
                let held = counted.steps.get(step).copied().unwrap_or_default();
                let held = self.unfolded(held, limit);
                at_least += u64::from(held.least);
                at_most += u64::from(held.most.max(held.hold));
            }
            (least, most) = (at_least.max(least), at_most.max(most));
        }
        Some(Active { counted: metric.value.max(0.0), at_least: least, at_most: most })
    }

    /// Whether many times the attempts were counted that the records show: most of the traffic is then not in
    /// them.
    fn attempts_unseen(&self) -> Option<Unseen> {
        /// A port that is used again within one record shows as one attempt: so many are that at the most.
        const MANY_TIMES: f64 = 5.0;
        /// Fewer than this prove nothing.
        const FEW: f64 = 1_000.0;

        let counted = self.network.metric(MetricName::ConnectionAttemptCount)?.value;
        if self.zone_unknown() {
            return None;
        }
        let tcp = |destination: &Destination| destination.protocol == TCP;
        let of = |tally: &Tally| tally.connections;
        let at_gateway: u64 = self.gateway_side().iter().filter(|(d, _)| tcp(d)).map(|(_, t)| of(t)).sum();
        let by_client = self.evidence.clients.iter().filter(|(using, _)| tcp(&using.destination));
        let seen = at_gateway.max(by_client.map(|(_, t)| of(t)).sum()).max(1);
        let many = counted > seen as f64 * MANY_TIMES && counted - seen as f64 > FEW;
        many.then_some(Unseen { counted, seen })
    }

    /// The counts of every destination that has an address.
    fn counted(&self, uses: &Uses<'_>, refused: &Refusals) -> Vec<(Destination, Tally, Counted)> {
        let mut all = self.gateway_side();
        // Whose attempts were all refused shows nothing on the gateway's side.
        for destination in refused.destinations() {
            all.entry(destination).or_insert_with(|| Tally::empty(self.evidence.steps));
        }
        let with_address = all.into_iter().filter(|(d, _)| d.address.is_some());
        with_address
            .map(|(destination, tally)| {
                let counted = Counted::of(self.evidence, uses, destination, &tally);
                (destination, tally, counted)
            })
            .collect()
    }

    /// What the gateway's own count of connections says of ports without a packet.
    fn times_in_use(&self, counted: &[(Destination, Tally, Counted)]) -> Option<f64> {
        let active =
            self.network.metric(MetricName::ActiveConnectionCount).filter(|_| !self.evidence.ends_visible)?;
        let tcp = counted.iter().filter(|(destination, ..)| destination.protocol == TCP);
        let steps = self.evidence.asked_steps();
        Some(times_in_use(tcp.map(|(.., counted)| counted), &steps, self.folded(), active.value))
    }

    fn ranked(&self, refused: &Refusals, counted: Vec<(Destination, Tally, Counted)>) -> Vec<Ranked> {
        let mut ranked: Vec<Ranked> = counted
            .into_iter()
            .filter_map(|(destination, tally, counted)| {
                let address = destination.address?;
                let refused_by_client = refused.of_destination(destination);
                let refused_total = refused_by_client.values().map(|refused| refused.attempts).sum();
                let refused_connections = refused_by_client.values().map(|refused| refused.connections).sum();
                let turned_away = refused.speak_for(destination);
                let held = self.held(destination, &tally, &counted, turned_away);
                let full_address = self.full_address(destination, &counted, &held);
                let timeline = self.timeline(&counted, refused, destination, &held);
                Some(Ranked {
                    destination,
                    address,
                    held,
                    utilization: self.capacity.map(|capacity| f64::from(held.estimate) / f64::from(capacity)),
                    refused: refused_total,
                    refused_connections,
                    turned_away,
                    pointed_to: refused.point_to(destination),
                    full_address,
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
        ranked
    }

    /// One of the gateway's addresses that a destination filled while errors were counted, though it did not fill
    /// them all: what is refused then is refused for want of that address's ports.
    fn full_address(
        &self,
        destination: Destination,
        counted: &Counted,
        held: &HeldPorts,
    ) -> Option<FullAddress> {
        /// With so few ports for each number most of them are of one address: so many numbers as one has ports show of
        /// two that are as full as each other where there are 1.39 ports for each, of more where there are more.
        const MOSTLY_ONE: f64 = 1.25;

        let ports = self.limits.ports_per_address;
        let capacity = self.capacity.filter(|capacity| *capacity > ports)?;
        let full = f64::from(ports) * FULL;
        let all_full = f64::from(held.estimate) >= f64::from(capacity) * FULL;
        if !self.errors.happened() || all_full {
            return None;
        }
        let of_one = |address, held: u32| {
            (f64::from(held) >= full).then_some(FullAddress { address, held: held.min(ports), of: ports })
        };
        if self.folded().addresses() == 1 {
            let fullest = self.evidence.fullest_addresses.get(&destination)?;
            return of_one(Some(fullest.address), fullest.hold);
        }
        // All show as one: hardly a number stands for two ports, as it would if several addresses had so many.
        let numbers = counted.peak.hold;
        let one = f64::from(held.at_most) <= f64::from(numbers) * MOSTLY_ONE;
        of_one(None, numbers).filter(|_| one)
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
    fn held(&self, destination: Destination, tally: &Tally, counted: &Counted, refused: bool) -> HeldPorts {
        let peak = self.unfolded(counted.peak, counted.limit.as_ref().map(|limit| &limit.peak));
        let open = self.folded().behind(counted.open).min(peak.hold);
        let scale = self.scale(destination.protocol);
        let seen = self.bounded(scale.range(peak, open, counted.at), destination);
        let mut held = if self.complete {
            // It used no other ports than these.
            let used = u32::try_from(tally.connections).unwrap_or(u32::MAX);
            let used = used.saturating_mul(self.folded().addresses());
            if destination.port == 0 || used == 0 { seen } else { at_most(seen, used) }
        } else {
            self.bounded(scale.open_range(peak, open, counted.at), destination)
        };
        // While errors were counted, a destination whose attempts were turned away was full: its
        // range then holds about capacity, and that is what it held.
        if let Some(capacity) = self.capacity
            && self.errors.happened()
            && refused
            && held.at_least <= capacity
            && f64::from(held.at_most) >= f64::from(capacity) * NOT_NEAR
            && f64::from(seen.at_most)
                >= f64::from(capacity) * if self.window_covered { NOT_NEAR } else { HALF }
        {
            held.estimate = capacity.min(held.at_most);
        }
        held
    }

    /// A range that holds no more than CloudWatch counted in the same minutes, to all destinations together.
    fn bounded(&self, held: HeldPorts, destination: Destination) -> HeldPorts {
        let active = self.active.and_then(Active::bound).filter(|_| destination.protocol == TCP);
        active.map_or(held, |active| at_most(held, active))
    }

    fn timeline(
        &self,
        counted: &Counted,
        refused: &Refusals,
        destination: Destination,
        fullest: &HeldPorts,
    ) -> Vec<TimelineStep> {
        let refused_at = refused.timeline(destination);
        let refused_in = |index: usize| refused_at.get(index).copied().unwrap_or(0);
        let near = |capacity: u32| f64::from(fullest.estimate) >= f64::from(capacity) * NOT_NEAR;
        let was_full = self.capacity.is_some_and(near);
        // In a step in which a good part was refused it was full: of the others the ends of minutes may have made it.
        let most_refused = refused_at.iter().copied().max().unwrap_or(0) as f64;
        let as_full = |index: usize| was_full && refused_in(index) as f64 > most_refused * MANY_OF_THEM;
        let (steps, asked) = (&self.evidence.steps, self.evidence.asked_steps());
        let fullest_step = (0..counted.steps.len()).rev().find(|index| steps.instant(*index) <= fullest.at);
        let scale = self.scale(destination.protocol);
        let swept = self.evidence.step_peaks.get(&destination);
        let range = |(index, held): (usize, &Held)| {
            let at = self.evidence.steps.instant(index);
            // Where the source tells it exactly, the step's fullest second.
            let held = swept.and_then(|swept| swept.get(index)).map_or(*held, |swept| Held {
                least: swept.least.saturating_sub(counted.most_twice).max(held.least),
                hold: swept.hold.max(held.hold),
                // Without ports, more may have been held than connections show.
                most: if destination.port == 0 { held.most } else { held.most.min(swept.most) }
                    .max(held.hold),
            });
            let held = self.unfolded(held, counted.limit.as_ref().and_then(|limit| limit.steps.get(index)));
            let range =
                if self.covered(at) { scale.range(held, 0, at) } else { scale.open_range(held, 0, at) };
            let range = if asked.contains(&index) { self.bounded(range, destination) } else { range };
            let as_full = as_full(index) || fullest_step == Some(index);
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
        let from = begins + OFF_BY - IDLE_TIMEOUT_SECONDS;
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

/// What stands in a command for the name of a zone.
pub(super) const UNKNOWN_ZONE: &str = "AVAILABILITY_ZONE";

/// Shares to four places: no count here is good for more, and shorter numbers read better.
pub(super) fn rounded(share: f64) -> f64 {
    (share * 10_000.0).round() / 10_000.0
}

fn zones_known(network: &Network) -> bool {
    network.gateway.addresses.iter().all(|address| address.zone.is_some())
}

/// A range of which the upper end, and so the estimate, is no more than this.
fn at_most(held: HeldPorts, most: u32) -> HeldPorts {
    let at_most = held.at_most.min(most.max(held.at_least));
    HeldPorts { at_most, estimate: held.estimate.min(at_most), ..held }
}

/// A step in which more than this part of as many were refused as in the one with the most was full.
const MANY_OF_THEM: f64 = 0.1;

fn errors(incident: &Incident, network: &Network) -> Errors {
    let counted = network.metric(MetricName::ErrorPortAllocation).map(|metric| metric.value);
    let alarmed = incident.alarm.is_some() && !incident.without_errors;
    // The alarm saw errors: a metric without any has not caught up with it, unless they were another's.
    let late = |counted: &f64| *counted <= 0.0 && alarmed && !incident.one_of_several;
    let metric = counted.filter(|counted| incident.errors_reported.is_some() || !late(counted));
    match (metric, incident.errors_reported) {
        // The alarm saw these datapoints; a metric answer without them is older than the alarm.
        (Some(metric), Some(reported)) => Errors::Counted(metric.max(reported)),
        (Some(metric), None) => Errors::Counted(metric),
        (None, Some(reported)) => Errors::Counted(reported),
        (None, None) if alarmed => Errors::Alarmed,
        (None, None) => Errors::Unknown,
    }
}

/// For so long a gateway that carries little traffic may be silent.
const HOLE: i64 = 300;

/// For so long one that usually has many records at any time is not.
const BUSY_HOLE: i64 = 60;

/// How far records may stay away from either end of the window, in seconds: the times of records may
/// be off by as much, whatever the aggregation interval.
///
/// Source: "Flow log records" in the Amazon VPC user guide, fields `start` and `end`.
const OFF_BY: i64 = 60;

/// How far those of a gateway may that usually has many at any time: by the last minute of an alarm's
/// window hangs all.
const BUSY_OFF_BY: i64 = 30;

/// Whether the records begin by then, and reach from one end of the minutes in question to the other without a hole,
/// and none is known to have been left out or lost.
///
/// For all ports that were held to show, records have to begin as long before as an idle connection holds its
/// port.
fn complete(evidence: &Evidence, from: i64) -> bool {
    let (start, end) = (evidence.asked.start().as_second(), evidence.asked.end().as_second());
    let coverage = &evidence.coverage;
    let reaches = |at: Option<Timestamp>, by: &dyn Fn(i64) -> bool| at.is_some_and(|at| by(at.as_second()));
    let (hole, off_by) = if coverage.busy { (BUSY_HOLE, BUSY_OFF_BY) } else { (HOLE, OFF_BY) };
    coverage.skipdata == 0
        && !coverage.damaged()
        && coverage.longest_hole <= hole
        && reaches(coverage.logs_from, &|logs_from| logs_from <= from.min(start + OFF_BY))
        && reaches(coverage.logs_until, &|until| until >= end - off_by)
}

/// Where records are missing, a destination of which this part of the ports shows may have been full.
const HALF: f64 = 0.5;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::work;
    use super::*;
    use crate::evidence::{ClientUse, Source};
    use crate::incident::TimeWindow;
    use crate::network::NatGateway;

    /// A crawler: one client, so many servers, a few ports each. Without `packet_addresses` its servers do not show
    /// on its side; on a port each it may be a scan.
    fn crawler(servers: u32, packet_addresses: bool, port_each: bool) -> Evidence {
        let second = |s: i64| Timestamp::from_second(s).expect("valid");
        let window = TimeWindow::new(second(600), second(780)).expect("in order");
        let mut evidence = Evidence::none(window, Source::Files);
        evidence.packet_addresses = packet_addresses;
        let client = "10.0.1.9".parse().expect("valid");
        for n in 0..servers {
            let address = Some(IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + n)));
            let port = if port_each { u16::try_from(n % 60_000).unwrap_or(0) + 1 } else { 443 };
            let destination = Destination { address, port, protocol: TCP };
            let mut tally = Tally::empty(evidence.steps);
            (tally.connections, tally.sent) = (3, 9);
            evidence.destinations.insert(destination, tally.clone());
            let shown =
                if packet_addresses { destination } else { Destination { address: None, ..destination } };
            evidence.clients.entry(ClientUse { client, destination: shown }).or_insert(tally);
        }
        evidence
    }

    #[test]
    fn the_work_of_a_diagnosis_grows_as_its_destinations_do() {
        let gateway = NatGateway::default().with_addresses(&["10.255.0.220".parse().expect("valid")]);
        let network = Network { gateway, ..Network::default() };
        for (packet_addresses, port_each) in [(true, false), (true, true), (false, false), (false, true)] {
            let work = |servers| {
                let evidence = crawler(servers, packet_addresses, port_each);
                let incident = Incident::default();
                work::of(|| {
                    Findings::of(&incident, &network, &evidence, Limits::default()).destinations.len()
                })
            };
            let (few, many) = (work(500), work(4_000));
            assert!(few >= 500, "{few}: something is counted");
            assert!(many <= few * 9, "eight times the destinations: {few} became {many}");
        }
    }
}
