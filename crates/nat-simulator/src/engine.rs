//! Plays an incident out: attempts arrive, get a port or are refused, give it back.
//!
//! A discrete-event loop in milliseconds. Where several things happen in the same millisecond,
//! ports are given back before any is taken. Nothing here knows how flow logs look.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use crate::metrics::{Meter, MinuteMetrics};
use crate::ports::{Allocation, FIRST_NAT_PORT, LAST_NAT_PORT, PortPool};
use crate::rng::{Rng, mix};
use crate::spec::{
    AddressChoice, Arrivals, Behaviour, Client, Gateway, GatewayKind, Incident, Phase, Protocol, Route,
    Weighted,
};
use crate::workload::{Burst, legs, play};

/// No client, no moment, no address: in fields where an `Option` would double the size.
pub(crate) const NONE: u32 = u32::MAX;

/// One attempt to connect, whether or not it got a port. All times in milliseconds from the
/// incident's start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connection {
    pub(crate) workload: u32,
    /// [`NONE`] for unsolicited packets.
    pub(crate) client: u32,
    pub(crate) destination: u32,
    pub(crate) client_port: u16,
    pub(crate) nat_port: u16,
    /// Index into the gateway's addresses; [`NONE`] while no port is held, and for ever without a
    /// gateway.
    pub(crate) nat_address: u32,
    /// When the port was taken; [`NONE`] if it never was.
    pub(crate) taken_ms: u32,
    /// When it was given back, possibly after the incident's end.
    pub(crate) released_ms: u32,
    pub(crate) first_burst: u32,
    pub(crate) bursts: u32,
    pub(crate) refused: u16,
    reattempts_left: u16,
}

impl Connection {
    pub(crate) fn holds_at(&self, at_ms: u32) -> bool {
        self.taken_ms != NONE && self.taken_ms <= at_ms && at_ms < self.released_ms
    }
}

/// Highest number of ports held towards one destination, and when that was first reached.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Peak {
    pub(crate) held: u32,
    pub(crate) peak: u32,
    pub(crate) at_ms: u32,
}

impl Peak {
    fn take(&mut self, at_ms: u32) {
        self.held += 1;
        if self.held > self.peak {
            self.peak = self.held;
            self.at_ms = at_ms;
        }
    }
}

/// All that happened.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) connections: Vec<Connection>,
    pub(crate) bursts: Vec<Burst>,
    /// First packets that found no port, with the connection they belong to.
    pub(crate) refused: Vec<(u32, Burst)>,
    /// Attempts that the client's own ports did not suffice for.
    pub(crate) local_failures: u64,
    /// Per destination, over all zones, of the first gateway.
    pub(crate) peaks: Vec<Peak>,
    /// Per destination and zone of the first gateway.
    pub(crate) zone_peaks: Vec<Peak>,
    pub(crate) metrics: Vec<MinuteMetrics>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    // The order is the order within one millisecond: giving back comes first.
    Release { connection: u32, timed_out: bool },
    GiveUp { connection: u32 },
    Arrive { source: u32, left_in_burst: u32 },
    Repeat { connection: u32, tries: u32 },
    Again { workload: u32, client: u32, destination: u32, reattempts_left: u16 },
}

/// One phase of one workload, with its own random numbers, so that a change to one workload leaves
/// the arrivals of the others as they were.
struct Source {
    workload: usize,
    phase: Phase,
    /// Of the last arrival (Poisson), or of the burst's beginning.
    at_ms: f64,
    rng: Rng,
}

struct Engine<'a> {
    incident: &'a Incident,
    horizon_ms: u32,
    queue: BinaryHeap<Reverse<(u32, Event, u64)>>,
    scheduled: u64,
    sources: Vec<Source>,
    clients: Vec<Picker>,
    destinations: Vec<Picker>,
    client_ports: HashMap<(u32, u32), PortPool>,
    nat_ports: HashMap<(u32, u32, u32), PortPool>,
    allocation_rng: Rng,
    behaviour_rng: Vec<Rng>,
    meter: Meter,
    outcome: Outcome,
}

/// Plays `incident` out.
pub(crate) fn run(incident: &Incident) -> Outcome {
    check(incident);
    let mut engine = Engine::new(incident);
    engine.start_sources();
    while let Some(Reverse((at_ms, event, _))) = engine.queue.pop() {
        engine.happen(at_ms, event);
    }
    engine.finish()
}

fn check(incident: &Incident) {
    assert!(!incident.gateways.is_empty(), "an incident needs the gateway that it is about");
    assert!(incident.duration_s > 0, "an incident takes some time");
    let mut triples = HashSet::new();
    for destination in &incident.destinations {
        assert!(triples.insert(destination.triple), "{} is listed twice", destination.triple);
    }
    let mut addresses = HashSet::new();
    for client in &incident.clients {
        assert!(addresses.insert(client.address), "{} is listed twice", client.address);
    }
    for gateway in &incident.gateways {
        assert!(!gateway.addresses.is_empty(), "{} has no address", gateway.id);
        for address in &gateway.addresses {
            match gateway.kind {
                GatewayKind::Regional => {
                    assert!(address.public.is_some(), "{} needs public addresses", gateway.id)
                }
                GatewayKind::Zonal | GatewayKind::Private => {
                    assert!(address.private.is_some(), "{} needs private addresses", gateway.id);
                }
            }
        }
    }
}

impl<'a> Engine<'a> {
    fn new(incident: &'a Incident) -> Self {
        let series: Vec<Option<String>> = match incident.gateways[0].kind {
            GatewayKind::Regional => incident.zones.iter().map(|zone| Some(zone.name.clone())).collect(),
            GatewayKind::Zonal | GatewayKind::Private => vec![None],
        };
        let workload_rng = |label: u64| {
            (0..incident.workloads.len() as u64)
                .map(|i| Rng::new(mix(&[incident.seed, label, i])))
                .collect::<Vec<_>>()
        };
        Self {
            incident,
            horizon_ms: incident.duration_s * 1000,
            queue: BinaryHeap::new(),
            scheduled: 0,
            sources: Vec::new(),
            clients: incident.workloads.iter().map(|w| Picker::new(&w.clients)).collect(),
            destinations: incident.workloads.iter().map(|w| Picker::new(&w.destinations)).collect(),
            client_ports: HashMap::new(),
            nat_ports: HashMap::new(),
            allocation_rng: Rng::new(mix(&[incident.seed, 1])),
            behaviour_rng: workload_rng(2),
            meter: Meter::new(incident.start, incident.duration_s, &series),
            outcome: Outcome {
                connections: Vec::new(),
                bursts: Vec::new(),
                refused: Vec::new(),
                local_failures: 0,
                peaks: vec![Peak::default(); incident.destinations.len()],
                zone_peaks: vec![Peak::default(); incident.destinations.len() * incident.zones.len()],
                metrics: Vec::new(),
            },
        }
    }

    fn schedule(&mut self, at_ms: u32, event: Event) {
        if at_ms < self.horizon_ms {
            self.queue.push(Reverse((at_ms, event, self.scheduled)));
            self.scheduled += 1;
        }
    }

    fn start_sources(&mut self) {
        for (workload, spec) in self.incident.workloads.iter().enumerate() {
            for (i, phase) in spec.phases.iter().enumerate() {
                let rng = Rng::new(mix(&[self.incident.seed, 3, workload as u64, i as u64]));
                let at_ms = f64::from(phase.from_s) * 1000.0;
                self.sources.push(Source { workload, phase: *phase, at_ms, rng });
                let source = self.sources.len() - 1;
                match phase.arrivals {
                    Arrivals::Poisson { .. } => self.schedule_poisson(source),
                    Arrivals::Bursts { .. } => self.schedule_burst(source),
                }
            }
        }
    }

    fn schedule_poisson(&mut self, index: usize) {
        let source = &mut self.sources[index];
        let Arrivals::Poisson { per_second } = source.phase.arrivals else { return };
        if per_second <= 0.0 {
            return;
        }
        source.at_ms += source.rng.exponential() / per_second * 1000.0;
        if source.at_ms < f64::from(source.phase.to_s) * 1000.0 {
            let at_ms = source.at_ms as u32;
            self.schedule(at_ms, Event::Arrive { source: index as u32, left_in_burst: 0 });
        }
    }

    fn schedule_burst(&mut self, index: usize) {
        let source = &mut self.sources[index];
        let Arrivals::Bursts { every_s, size } = source.phase.arrivals else { return };
        if source.at_ms >= f64::from(source.phase.to_s) * 1000.0 {
            return;
        }
        let begin = source.at_ms as u32;
        source.at_ms += f64::from(every_s.max(1)) * 1000.0;
        let times: Vec<u32> = (0..size).map(|_| begin + source.rng.below(1000) as u32).collect();
        let last = times.iter().copied().max().unwrap_or(begin);
        let mut marked = false;
        for at_ms in times {
            // The burst's last arrival also begins the next burst.
            let is_last = at_ms == last && !marked;
            marked |= is_last;
            self.schedule(at_ms, Event::Arrive { source: index as u32, left_in_burst: u32::from(!is_last) });
        }
    }

    fn happen(&mut self, at_ms: u32, event: Event) {
        match event {
            Event::Arrive { source, left_in_burst } => {
                let workload = self.sources[source as usize].workload;
                self.arrive(at_ms, workload);
                match self.sources[source as usize].phase.arrivals {
                    Arrivals::Poisson { .. } => self.schedule_poisson(source as usize),
                    Arrivals::Bursts { .. } if left_in_burst == 0 => self.schedule_burst(source as usize),
                    Arrivals::Bursts { .. } => {}
                }
            }
            Event::Repeat { connection, tries } => self.attempt(at_ms, connection, tries),
            Event::Again { workload, client, destination, reattempts_left } => {
                self.open(at_ms, workload, client, destination, reattempts_left);
            }
            Event::GiveUp { connection } => {
                let given_up = self.outcome.connections[connection as usize];
                self.free_client_port(&given_up);
                if given_up.reattempts_left > 0 {
                    let workload = given_up.workload;
                    let delay_s = self.incident.workloads[workload as usize].retry.delay_s;
                    let delay = self.behaviour_rng[workload as usize].draw(delay_s) * 1000;
                    self.schedule(
                        at_ms + delay,
                        Event::Again {
                            workload,
                            client: given_up.client,
                            destination: given_up.destination,
                            reattempts_left: given_up.reattempts_left - 1,
                        },
                    );
                }
            }
            Event::Release { connection, timed_out } => self.release(at_ms, connection, timed_out),
        }
    }

    fn arrive(&mut self, at_ms: u32, workload: usize) {
        let spec = &self.incident.workloads[workload];
        let rng = &mut self.behaviour_rng[workload];
        let destination = self.destinations[workload].pick(rng);
        if matches!(spec.behaviour, Behaviour::Unsolicited) {
            self.unsolicited(at_ms, workload, destination);
            return;
        }
        let client = self.clients[workload].pick(rng);
        self.open(at_ms, workload as u32, client, destination, spec.retry.reattempts as u16);
    }

    fn unsolicited(&mut self, at_ms: u32, workload: usize, destination: u32) {
        let spec = &self.incident.workloads[workload];
        let Route::Gateway(gateway) = spec.route else { return };
        let rng = &mut self.behaviour_rng[workload];
        let address = rng.below(self.incident.gateways[gateway].addresses.len() as u64) as u32;
        let mut connection = Connection {
            workload: workload as u32,
            client: NONE,
            destination,
            client_port: rng.between(1024, 65535) as u16,
            nat_port: rng.between(1, 1023) as u16,
            nat_address: address,
            taken_ms: NONE,
            released_ms: NONE,
            first_burst: self.outcome.bursts.len() as u32,
            bursts: 0,
            refused: 0,
            reattempts_left: 0,
        };
        play(
            spec,
            &self.incident.destinations[destination as usize],
            at_ms,
            self.horizon_ms,
            rng,
            &mut self.outcome.bursts,
        );
        connection.bursts = self.outcome.bursts.len() as u32 - connection.first_burst;
        self.outcome.connections.push(connection);
    }

    fn open(&mut self, at_ms: u32, workload: u32, client: u32, destination: u32, reattempts_left: u16) {
        let spec = &self.incident.clients[client as usize];
        let seed = self.incident.seed;
        let pool = self.client_ports.entry((client, destination)).or_insert_with(|| {
            let start = mix(&[seed, 4, u64::from(client), u64::from(destination)]) as u32;
            PortPool::new(spec.first_port, spec.last_port, u32::MAX, Allocation::Sequential, start)
        });
        let Some(client_port) = pool.take(&mut self.allocation_rng) else {
            self.outcome.local_failures += 1;
            return;
        };
        let index = self.outcome.connections.len() as u32;
        self.outcome.connections.push(Connection {
            workload,
            client,
            destination,
            client_port,
            nat_port: 0,
            nat_address: NONE,
            taken_ms: NONE,
            released_ms: NONE,
            first_burst: 0,
            bursts: 0,
            refused: 0,
            reattempts_left,
        });
        if self.is_tcp(destination)
            && let Some(series) = self.series(index)
            && let Some(row) = self.meter.at(series, at_ms)
        {
            row.connection_attempt_count += 1;
        }
        self.attempt(at_ms, index, 0);
    }

    /// One first packet of a connection: it takes a port, or it is refused and repeated later.
    fn attempt(&mut self, at_ms: u32, index: u32, tries: u32) {
        let Connection { workload, client, destination, client_port, .. } =
            self.outcome.connections[index as usize];
        let spec = &self.incident.workloads[workload as usize];
        let place = match spec.route {
            Route::Direct => Some((NONE, 0)),
            Route::Gateway(_) if spec.is_turned_away() => Some((NONE, 0)),
            Route::Gateway(gateway) => self.take_nat_port(gateway, client, destination, client_port),
        };
        if let Some((nat_address, nat_port)) = place {
            self.establish(at_ms, index, nat_address, nat_port);
            return;
        }
        let triple = self.incident.destinations[destination as usize].triple;
        self.outcome.refused.push((index, Burst::refused(at_ms, spec, triple.protocol)));
        self.outcome.connections[index as usize].refused += 1;
        if let Some(series) = self.series(index)
            && let Some(row) = self.meter.at(series, at_ms)
        {
            row.error_port_allocation += 1;
            row.packets_drop_count += 1;
        }
        let wait = 1000u32 << tries.min(16);
        if tries < spec.retry.syn_retries {
            self.schedule(at_ms + wait, Event::Repeat { connection: index, tries: tries + 1 });
        } else {
            self.schedule(at_ms + wait, Event::GiveUp { connection: index });
        }
    }

    fn establish(&mut self, at_ms: u32, index: u32, nat_address: u32, nat_port: u16) {
        let Connection { workload, destination, .. } = self.outcome.connections[index as usize];
        let first_burst = self.outcome.bursts.len() as u32;
        let life = play(
            &self.incident.workloads[workload as usize],
            &self.incident.destinations[destination as usize],
            at_ms,
            self.horizon_ms,
            &mut self.behaviour_rng[workload as usize],
            &mut self.outcome.bursts,
        );
        let connection = &mut self.outcome.connections[index as usize];
        connection.first_burst = first_burst;
        connection.bursts = self.outcome.bursts.len() as u32 - first_burst;
        connection.nat_address = nat_address;
        connection.nat_port = nat_port;
        connection.released_ms = life.released_ms;
        if nat_address != NONE {
            connection.taken_ms = at_ms;
        }
        self.schedule(life.released_ms, Event::Release { connection: index, timed_out: life.timed_out });
        if let Some(series) = self.series(index) {
            let zone = self.zone(index);
            self.outcome.peaks[destination as usize].take(at_ms);
            self.outcome.zone_peaks[destination as usize * self.incident.zones.len() + zone].take(at_ms);
            if self.is_tcp(destination) {
                self.meter.active(series, at_ms, 1);
            }
            if let Some(at) = life.established_ms
                && let Some(row) = self.meter.at(series, at)
            {
                row.connection_established_count += 1;
            }
        }
    }

    fn release(&mut self, at_ms: u32, index: u32, timed_out: bool) {
        let released = self.outcome.connections[index as usize];
        self.free_client_port(&released);
        let Route::Gateway(gateway) = self.incident.workloads[released.workload as usize].route else {
            return;
        };
        if released.nat_address == NONE {
            return;
        }
        self.nat_ports
            .get_mut(&(gateway as u32, released.nat_address, released.destination))
            .expect("a held port has a pool")
            .give_back(released.nat_port);
        if let Some(series) = self.series(index) {
            let zone = self.zone(index);
            let destination = released.destination as usize;
            self.outcome.peaks[destination].held -= 1;
            self.outcome.zone_peaks[destination * self.incident.zones.len() + zone].held -= 1;
            if self.is_tcp(released.destination) {
                self.meter.active(series, at_ms, -1);
            }
            if timed_out && let Some(row) = self.meter.at(series, at_ms) {
                row.idle_timeout_count += 1;
            }
        }
    }

    fn take_nat_port(
        &mut self,
        index: usize,
        client: u32,
        destination: u32,
        client_port: u16,
    ) -> Option<(u32, u16)> {
        let gateway: &Gateway = &self.incident.gateways[index];
        let spec: &Client = &self.incident.clients[client as usize];
        let addresses = gateway.addresses_for(spec.zone);
        let seed = self.incident.seed;
        let first = match gateway.address_choice {
            AddressChoice::HashOfClient | AddressChoice::OnlyHashOfClient => {
                mix(&[seed, 5, u64::from(client)])
            }
            AddressChoice::HashOfFlow => {
                mix(&[seed, 5, u64::from(client), u64::from(client_port), u64::from(destination)])
            }
            AddressChoice::Random => self.allocation_rng.bits(),
        } % addresses.len() as u64;
        let tried =
            if gateway.address_choice == AddressChoice::OnlyHashOfClient { 1 } else { addresses.len() };
        for i in 0..tried {
            let address = addresses[(first as usize + i) % addresses.len()] as u32;
            let pool = self.nat_ports.entry((index as u32, address, destination)).or_insert_with(|| {
                let start = mix(&[seed, 6, index as u64, u64::from(address), u64::from(destination)]) as u32;
                PortPool::new(
                    FIRST_NAT_PORT,
                    LAST_NAT_PORT,
                    gateway.ports_per_address,
                    gateway.allocation,
                    start,
                )
            });
            if let Some(port) = pool.take(&mut self.allocation_rng) {
                return Some((address, port));
            }
        }
        None
    }

    fn free_client_port(&mut self, connection: &Connection) {
        self.client_ports
            .get_mut(&(connection.client, connection.destination))
            .expect("an attempt has taken a client port")
            .give_back(connection.client_port);
    }

    /// The series of metrics that a connection counts in, if it goes through the first gateway.
    fn series(&self, connection: u32) -> Option<usize> {
        let workload = self.outcome.connections[connection as usize].workload;
        let spec = &self.incident.workloads[workload as usize];
        if spec.route != Route::Gateway(0) || spec.is_turned_away() {
            return None;
        }
        Some(match self.incident.gateways[0].kind {
            GatewayKind::Regional => self.zone(connection),
            GatewayKind::Zonal | GatewayKind::Private => 0,
        })
    }

    fn zone(&self, connection: u32) -> usize {
        self.incident.clients[self.outcome.connections[connection as usize].client as usize].zone
    }

    fn is_tcp(&self, destination: u32) -> bool {
        self.incident.destinations[destination as usize].triple.protocol == Protocol::Tcp
    }

    fn finish(mut self) -> Outcome {
        self.count_packets();
        if self.incident.unexplained_errors > 0 {
            for back in 0..2 {
                if let Some(row) = self.meter.last(0, back) {
                    row.error_port_allocation += u64::from(self.incident.unexplained_errors);
                }
            }
        }
        self.outcome.metrics = self.meter.finish();
        self.outcome
    }

    fn count_packets(&mut self) {
        let regional = self.incident.gateways[0].kind == GatewayKind::Regional;
        let mut refused = self.outcome.refused.iter().copied().peekable();
        let of_connections = self.outcome.connections.iter().flat_map(|connection| {
            let from = connection.first_burst as usize;
            self.outcome.bursts[from..from + connection.bursts as usize]
                .iter()
                .map(move |burst| (*connection, *burst))
        });
        let of_refused =
            refused.by_ref().map(|(index, burst)| (self.outcome.connections[index as usize], burst));
        for (connection, burst) in of_connections.chain(of_refused) {
            let spec = &self.incident.workloads[connection.workload as usize];
            if spec.route != Route::Gateway(0) || spec.is_turned_away() {
                continue;
            }
            let series = match (regional, connection.client) {
                (false, _) => 0,
                (true, NONE) => self.incident.gateways[0].addresses[connection.nat_address as usize].zone,
                (true, client) => self.incident.clients[client as usize].zone,
            };
            let Some(row) = self.meter.at(series, burst.at_ms) else { continue };
            let (packets, bytes) = (u64::from(burst.packets), u64::from(burst.bytes));
            if burst.legs & legs::A != 0 {
                row.packets_in_from_source += packets;
                row.bytes_in_from_source += bytes;
            }
            if burst.legs & legs::B != 0 {
                row.packets_out_to_destination += packets;
                row.bytes_out_to_destination += bytes;
            }
            if burst.legs & legs::C != 0 {
                row.packets_in_from_destination += packets;
                row.bytes_in_from_destination += bytes;
            }
            if burst.legs & legs::D != 0 {
                row.packets_out_to_source += packets;
                row.bytes_out_to_source += bytes;
            }
            if connection.client == NONE {
                row.packets_drop_count += packets;
            }
        }
    }
}

/// Draws indices by weight.
struct Picker {
    indices: Vec<u32>,
    cumulative: Vec<u64>,
}

impl Picker {
    fn new(weighted: &[Weighted]) -> Self {
        let mut sum = 0;
        let cumulative = weighted
            .iter()
            .map(|w| {
                sum += u64::from(w.weight);
                sum
            })
            .collect();
        Self { indices: weighted.iter().map(|w| w.index as u32).collect(), cumulative }
    }

    fn pick(&self, rng: &mut Rng) -> u32 {
        let total = *self.cumulative.last().expect("a workload names its clients and destinations");
        let drawn = rng.below(total);
        self.indices[self.cumulative.partition_point(|&sum| sum <= drawn)]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::random::Scale;

    /// Gateway, its address, destination.
    type Place = (usize, u32, u32);

    /// Every connection through a gateway as moment, whether taken or given back, where, which port.
    fn changes(incident: &Incident, outcome: &Outcome) -> Vec<(u32, bool, Place, u16)> {
        let mut changes = Vec::new();
        for connection in outcome.connections.iter().filter(|connection| connection.taken_ms != NONE) {
            let Route::Gateway(gateway) = incident.workloads[connection.workload as usize].route else {
                continue;
            };
            let place = (gateway, connection.nat_address, connection.destination);
            changes.push((connection.taken_ms, true, place, connection.nat_port));
            changes.push((connection.released_ms, false, place, connection.nat_port));
        }
        // Given back before taken within a millisecond.
        changes.sort_unstable();
        changes
    }

    #[test]
    fn no_port_is_held_twice_and_no_address_above_its_limit() {
        for seed in 0..60 {
            let incident = Incident::random(seed, Scale::Reduced { capacity: 120 });
            let outcome = run(&incident);
            let mut live: HashMap<Place, HashSet<u16>> = HashMap::new();
            for (at_ms, taken, place, port) in changes(&incident, &outcome) {
                let ports = live.entry(place).or_default();
                if taken {
                    assert!(
                        ports.insert(port),
                        "seed {seed}: port {port} of {place:?} is held twice at {at_ms}"
                    );
                    assert!(port >= FIRST_NAT_PORT);
                    assert!(
                        ports.len() <= incident.gateways[place.0].ports_per_address as usize,
                        "seed {seed}"
                    );
                } else {
                    ports.remove(&port);
                }
            }
        }
    }

    #[test]
    fn no_attempt_is_refused_while_an_address_has_a_port() {
        for seed in 0..60 {
            let incident = Incident::random(seed, Scale::Reduced { capacity: 120 });
            let outcome = run(&incident);
            let mut changes = changes(&incident, &outcome).into_iter().peekable();
            let mut held: HashMap<Place, u32> = HashMap::new();
            for (index, burst) in &outcome.refused {
                // In the refusal's own millisecond, ports may be taken before or after it.
                while let Some((_, taken, place, _)) = changes
                    .next_if(|&(at_ms, taken, ..)| at_ms < burst.at_ms || at_ms == burst.at_ms && !taken)
                {
                    let held = held.entry(place).or_default();
                    *held = if taken { *held + 1 } else { *held - 1 };
                }
                let refused = outcome.connections[*index as usize];
                let Route::Gateway(gateway) = incident.workloads[refused.workload as usize].route else {
                    panic!("only a gateway refuses");
                };
                let spec = &incident.gateways[gateway];
                let taken_now =
                    outcome.connections.iter().filter(|c| c.taken_ms == burst.at_ms).count() as u32;
                for address in spec.addresses_for(incident.clients[refused.client as usize].zone) {
                    let held =
                        held.get(&(gateway, address as u32, refused.destination)).copied().unwrap_or(0);
                    assert!(held + taken_now >= spec.ports_per_address, "seed {seed}: {held} held");
                }
            }
        }
    }
}
