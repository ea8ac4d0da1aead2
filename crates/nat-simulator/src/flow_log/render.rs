//! From packets to records: cut into windows, gathered by flow, delivered late.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use super::format::Line;
use super::legs::{Names, Seen, Source};
use super::view::{Duplicates, FlowKey, Record, View, Viewpoint};
use crate::engine::{Connection, NONE};
use crate::rng::mix;
use crate::simulation::Simulation;
use crate::spec::{GatewayKind, Incident, Protocol, Route, Rule};
use crate::workload::Burst;

/// Delivery takes about five minutes from the window's end, for an interface and window at a time …
const DELIVERY_S: (u64, u64) = (240, 420);
/// … within which single records differ by some seconds.
const DELIVERY_SPREAD_S: u64 = 20;

pub(crate) fn records(simulation: &Simulation, view: &View) -> Vec<Record> {
    let mut records = Vec::new();
    render(simulation, view, |stream, entry, line| {
        records.push(Record {
            stream: Arc::clone(stream),
            timestamp: entry.start,
            delivered_at: entry.delivered_at,
            line: line.to_owned(),
        });
        Ok(())
    })
    .expect("keeping a record cannot fail");
    records
}

pub(crate) fn write_text(simulation: &Simulation, view: &View, out: &mut impl io::Write) -> io::Result<u64> {
    writeln!(out, "{}", view.format.header())?;
    let mut count = 0;
    render(simulation, view, |_, _, line| {
        count += 1;
        out.write_all(line.as_bytes())?;
        out.write_all(b"\n")
    })?;
    Ok(count)
}

/// Packets of one flow in one window, as one interface counts them.
#[derive(Clone, Copy, Debug)]
struct Part {
    key: u128,
    source: u32,
    window: u32,
    first_ms: u32,
    last_ms: u32,
    /// One of the connections it stands for: the earliest.
    connection: u32,
    packets: u32,
    bytes: u64,
    flags: u8,
    seen: Seen,
}

impl Part {
    fn order(&self) -> (u32, u32, u128, u32, u32) {
        (self.source, self.window, self.key, self.first_ms, self.connection)
    }

    fn absorb(&mut self, other: &Self) {
        self.first_ms = self.first_ms.min(other.first_ms);
        self.last_ms = self.last_ms.max(other.last_ms);
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.flags |= other.flags;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    NoData { window: u32 },
    SkipData { window: u32 },
    Part { index: u32 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    delivered_at: i64,
    start: i64,
    end: i64,
    source: u32,
    log: u32,
    what: What,
}

/// The parts of one flow log.
struct Log<'a> {
    simulation: &'a Simulation,
    view: &'a View,
    /// Tells this flow log's windows from another's.
    number: u64,
    sources: &'a [Source],
    phases: Vec<i64>,
    parts: Vec<Part>,
}

fn render(
    simulation: &Simulation,
    view: &View,
    mut sink: impl FnMut(&Arc<str>, &Entry, &str) -> io::Result<()>,
) -> io::Result<()> {
    assert!(view.aggregation_s > 0, "a window has a length");
    let names = Names::new(&simulation.incident);
    let sources = sources(simulation, view, &names);
    let streams: Vec<Arc<str>> = sources
        .iter()
        .map(|&source| Arc::from(names.stream(source).expect("only sources with a stream are kept")))
        .collect();

    let mut logs = vec![Log::gather(simulation, view, view.flow_log, &sources)];
    if view.duplicates == Duplicates::Overlapping {
        logs.push(Log::gather(simulation, view, view.flow_log + 1, &sources));
    }
    let mut entries = Vec::new();
    for (index, log) in logs.iter().enumerate() {
        log.entries(index as u32, view.flow_log + index as u64, &mut entries);
    }
    if view.duplicates == Duplicates::Exact {
        logs[0].entries(0, view.flow_log + 1, &mut entries);
    }
    if let Some(by) = view.delivered_by {
        entries.retain(|entry| entry.delivered_at <= by);
    }
    entries.sort_unstable();

    let mut line = String::new();
    for entry in &entries {
        let source = sources[entry.source as usize];
        let mut values = match entry.what {
            What::NoData { .. } => Line { log_status: "NODATA", ..names.line(source) },
            What::SkipData { .. } => Line { log_status: "SKIPDATA", ..names.line(source) },
            What::Part { index } => {
                let part = &logs[entry.log as usize].parts[index as usize];
                let connection = &simulation.outcome.connections[part.connection as usize];
                let mut values = names.describe(source, part.seen, connection);
                if let Some(traffic) = &mut values.traffic {
                    traffic.packets = u64::from(part.packets);
                    traffic.bytes = part.bytes;
                    traffic.tcp_flags = part.flags;
                }
                values
            }
        };
        (values.start, values.end) = (entry.start, entry.end);
        line.clear();
        view.format.write(&values, &mut line);
        sink(&streams[entry.source as usize], entry, &line)?;
    }
    Ok(())
}

/// The log streams that a view covers.
fn sources(simulation: &Simulation, view: &View, names: &Names<'_>) -> Vec<Source> {
    let incident = &simulation.incident;
    let mut through_gateway = vec![false; incident.clients.len()];
    for connection in simulation.outcome.connections.iter().filter(|connection| connection.client != NONE) {
        if incident.workloads[connection.workload as usize].route == Route::Gateway(0) {
            through_gateway[connection.client as usize] = true;
        }
    }
    let mut sources = BTreeSet::new();
    for viewpoint in &view.viewpoints {
        let regional = incident.gateways[0].kind == GatewayKind::Regional;
        match viewpoint {
            Viewpoint::GatewayInterface if !regional => drop(sources.insert(Source::Gateway(0))),
            Viewpoint::Regional if regional => drop(sources.insert(Source::Gateway(0))),
            Viewpoint::GatewayInterface | Viewpoint::Regional => {}
            Viewpoint::OtherGateways => {
                sources.extend((1..incident.gateways.len() as u32).map(Source::Gateway));
            }
            Viewpoint::ClientInterfaces | Viewpoint::OtherInterfaces => {
                let wanted = *viewpoint == Viewpoint::ClientInterfaces;
                sources.extend(
                    (0..incident.clients.len() as u32)
                        .filter(|&client| through_gateway[client as usize] == wanted)
                        .map(Source::Client),
                );
            }
        }
    }
    sources.into_iter().filter(|&source| names.stream(source).is_some()).collect()
}

impl<'a> Log<'a> {
    fn gather(simulation: &'a Simulation, view: &'a View, number: u64, sources: &'a [Source]) -> Self {
        let incident = &simulation.incident;
        let phases = sources
            .iter()
            .map(|source| {
                (mix(&[incident.seed, 20, number, source.number()]) % u64::from(view.aggregation_s)) as i64
            })
            .collect();
        let mut log = Self { simulation, view, number, sources, phases, parts: Vec::new() };

        let mut of_gateway = vec![None; incident.gateways.len()];
        let mut of_client = vec![None; incident.clients.len()];
        for (i, source) in sources.iter().enumerate() {
            match *source {
                Source::Gateway(index) => of_gateway[index as usize] = Some(i as u32),
                Source::Client(index) => of_client[index as usize] = Some(i as u32),
            }
        }
        let keys = Keys::new(incident, view.key);
        let refused =
            simulation.outcome.refused.iter().map(|(index, burst)| (*index, std::slice::from_ref(burst)));
        let played = simulation.outcome.connections.iter().enumerate().map(|(index, connection)| {
            let from = connection.first_burst as usize;
            (index as u32, &simulation.outcome.bursts[from..from + connection.bursts as usize])
        });
        for (index, bursts) in refused.chain(played) {
            let connection = &simulation.outcome.connections[index as usize];
            let workload = &incident.workloads[connection.workload as usize];
            if let Route::Gateway(gateway) = workload.route
                && workload.turned_away() != Some(Rule::AtClient)
                && let Some(source) = of_gateway[gateway]
            {
                for (leg, seen) in Seen::AT_GATEWAY {
                    log.cut(source, leg, seen, index, keys.key(seen, connection), bursts);
                }
            }
            if connection.client != NONE
                && let Some(source) = of_client[connection.client as usize]
            {
                for (leg, seen) in Seen::AT_CLIENT {
                    log.cut(source, leg, seen, index, keys.key(seen, connection), bursts);
                }
            }
        }

        log.parts.sort_unstable_by_key(Part::order);
        log.parts.dedup_by(|later, earlier| {
            let same =
                (later.source, later.window, later.key) == (earlier.source, earlier.window, earlier.key);
            if same {
                earlier.absorb(later);
            }
            same
        });
        log
    }

    /// Adds a connection's packets on one leg, window by window.
    fn cut(&mut self, source: u32, leg: u8, seen: Seen, connection: u32, key: u128, bursts: &[Burst]) {
        let start = self.simulation.incident.start;
        let from_ms = self.view.logged_from.map_or(0, |from| (from - start).max(0) as u64 * 1000);
        let mut open: Option<Part> = None;
        for burst in bursts.iter().filter(|burst| burst.legs & leg != 0 && u64::from(burst.at_ms) >= from_ms)
        {
            let window = self.window(source, start + i64::from(burst.at_ms / 1000));
            let part = Part {
                key,
                source,
                window,
                first_ms: burst.at_ms,
                last_ms: burst.at_ms,
                connection,
                packets: burst.packets,
                bytes: u64::from(burst.bytes),
                flags: burst.flags,
                seen,
            };
            match &mut open {
                Some(open) if open.window == window => open.absorb(&part),
                _ => self.parts.extend(open.replace(part)),
            }
        }
        self.parts.extend(open);
    }

    /// Windows are numbered from the one that holds the incident's first second.
    fn window(&self, source: u32, second: i64) -> u32 {
        let length = i64::from(self.view.aggregation_s);
        let phase = self.phases[source as usize];
        let number = |second: i64| (second + phase).div_euclid(length);
        (number(second) - number(self.simulation.incident.start)) as u32
    }

    fn window_end(&self, source: u32, window: u32) -> i64 {
        let length = i64::from(self.view.aggregation_s);
        let phase = self.phases[source as usize];
        let first = (self.simulation.incident.start + phase).div_euclid(length);
        (first + i64::from(window) + 1) * length - phase
    }

    /// What is delivered of this flow log, and when.
    fn entries(&self, log: u32, delivery: u64, entries: &mut Vec<Entry>) {
        let incident = &self.simulation.incident;
        let draw = |label: u64, source: u32, window: u32| {
            let source = self.sources[source as usize].number();
            mix(&[incident.seed, label, delivery, source, u64::from(window)])
        };
        let batch = |source: u32, window: u32| {
            let delay = DELIVERY_S.0 + draw(21, source, window) % (DELIVERY_S.1 - DELIVERY_S.0);
            self.window_end(source, window) + delay as i64
        };
        let mut used: BTreeSet<(u32, u32)> = BTreeSet::new();
        let mut skipped: BTreeSet<(u32, u32)> = BTreeSet::new();
        let mut last = None;
        let mut batch_at = 0;
        let mut skew = (0, 0);
        for (index, part) in self.parts.iter().enumerate() {
            let place = (part.source, part.window);
            if last != Some(place) {
                last = Some(place);
                used.insert(place);
                batch_at = batch(part.source, part.window);
                skew = self.skew(part.source, part.window);
            }
            let own = mix(&[draw(22, part.source, part.window), (part.key >> 64) as u64, part.key as u64]);
            if self.view.skipdata_share > 0.0
                && ((own >> 32) as f64) < self.view.skipdata_share * 4_294_967_296.0
            {
                skipped.insert(place);
                continue;
            }
            let start = incident.start + i64::from(part.first_ms / 1000) + skew.0;
            let end = (incident.start + i64::from(part.last_ms / 1000) + skew.1).max(start);
            entries.push(Entry {
                delivered_at: batch_at + (own % DELIVERY_SPREAD_S) as i64,
                start,
                end,
                source: part.source,
                log,
                what: What::Part { index: index as u32 },
            });
        }

        let mut without_packets = |(source, window): (u32, u32), what: What| {
            let end = self.window_end(source, window);
            entries.push(Entry {
                delivered_at: batch(source, window),
                start: end - i64::from(self.view.aggregation_s),
                end: end - 1,
                source,
                log,
                what,
            });
        };
        for place in skipped {
            without_packets(place, What::SkipData { window: place.1 });
        }
        if self.view.nodata {
            let begin = self.view.logged_from.unwrap_or(incident.start).max(incident.start);
            for source in 0..self.sources.len() as u32 {
                let last = self.window(source, incident.start + i64::from(incident.duration_s));
                for window in self.window(source, begin)..last {
                    if !used.contains(&(source, window)) {
                        without_packets((source, window), What::NoData { window });
                    }
                }
            }
        }
    }

    fn skew(&self, source: u32, window: u32) -> (i64, i64) {
        let most = u64::from(self.view.skew_s);
        let drawn = mix(&[
            self.simulation.incident.seed,
            23,
            self.number,
            self.sources[source as usize].number(),
            u64::from(window),
        ]);
        ((drawn % (2 * most + 1)) as i64 - most as i64, ((drawn >> 32) % (most + 1)) as i64)
    }
}

/// What makes two packets of one interface and window the same flow, as a number.
struct Keys<'a> {
    incident: &'a Incident,
    key: FlowKey,
    /// Destinations with the same port and protocol share a number here.
    by_port: Vec<u32>,
}

impl<'a> Keys<'a> {
    fn new(incident: &'a Incident, key: FlowKey) -> Self {
        let mut numbers = BTreeMap::new();
        let by_port = incident
            .destinations
            .iter()
            .map(|destination| {
                let next = numbers.len() as u32;
                *numbers.entry((destination.triple.port, destination.triple.protocol)).or_insert(next)
            })
            .collect();
        Self { incident, key, by_port }
    }

    fn key(&self, seen: Seen, connection: &Connection) -> u128 {
        let destination = connection.destination;
        let folds = self.key == FlowKey::Shown
            && matches!(
                self.incident.workloads[connection.workload as usize].route,
                Route::Gateway(g) if self.incident.gateways[g].kind != GatewayKind::Regional
            );
        let (end, port, far) = match seen {
            Seen::A | Seen::D if folds => {
                (connection.client, connection.client_port, self.by_port[destination as usize])
            }
            Seen::A | Seen::D | Seen::Out | Seen::In => {
                (connection.client, connection.client_port, destination)
            }
            Seen::B | Seen::C if folds => (0, connection.nat_port, destination),
            Seen::B | Seen::C => (connection.nat_address, connection.nat_port, destination),
        };
        let icmp = self.incident.destinations[destination as usize].triple.protocol == Protocol::Icmp;
        let port = if icmp { 0 } else { port };
        (seen as u128) << 96 | u128::from(end) << 64 | u128::from(port) << 32 | u128::from(far)
    }
}
