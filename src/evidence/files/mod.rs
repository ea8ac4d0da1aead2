//! Evidence from flow-log files: the embedded source, with no account and no network.
//!
//! One pass over the records, after a look at a sample of them that tells the formats, the
//! aggregation interval and, where nobody named it, the gateway. State grows with connections.

mod at_work;
mod common_ports;
mod counter;
mod formats;
mod gaps;
mod shown_at;
mod sweep;
mod tables;
mod tallies;

use std::cell::Cell;
use std::net::IpAddr;

use jiff::Timestamp;

use self::counter::{Counter, Times};
use self::formats::Assumed;
use self::gaps::{Part, Told, beginning_gap, one_destination, reading_gaps, shared_address};
use self::shown_at::ShownAt;
use super::infer::Inference;
use super::repeats::Repeats;
use super::roles::{FoundRoles, Roles};
use super::scope::Spot;
use super::{Evidence, EvidenceSource, Viewpoint, window_to_look_at};
use crate::flow::reader::{Inputs, Options, ReadError, Sink};
use crate::flow::record::FlowRecord;
use crate::flow::{Interval, LogFormat};
use crate::gap::Gap;
use crate::incident::{Incident, InterfaceId};
use crate::network::{GatewayKind, IDLE_TIMEOUT_SECONDS, NatAddress, NatGateway, Network, Provenance};

/// Records looked at before the pass itself.
const SAMPLE: usize = 200_000;

/// How far back of a window records bear on it: what was last used then may still be held, and a
/// record's time is that of its first packet.
#[must_use]
pub fn lead_seconds(aggregation_seconds: u32) -> i64 {
    IDLE_TIMEOUT_SECONDS + i64::from(aggregation_seconds)
}

/// Flow-log files as a source of evidence.
pub struct FlowLogFiles<'run> {
    inputs: Inputs,
    options: Options,
    progress: Box<dyn Fn(u64) + Sync + 'run>,
    compares: bool,
    /// The first second of all records of the last pass.
    read_from: Cell<i64>,
}

impl<'run> FlowLogFiles<'run> {
    /// A source that reads `inputs`, and tells `progress` how many bytes of them it has read.
    pub fn new(inputs: Inputs, options: Options, progress: impl Fn(u64) + Sync + 'run) -> Self {
        Self { inputs, options, progress: Box::new(progress), compares: true, read_from: Cell::new(i64::MAX) }
    }

    /// The same, which also counts the minutes an hour earlier, where the files hold them and that is wanted.
    #[must_use]
    pub fn comparing(self, compares: bool) -> Self {
        Self { compares, ..self }
    }
}

impl EvidenceSource for FlowLogFiles<'_> {
    type Error = ReadError;

    async fn collect(&self, incident: &Incident, network: &mut Network) -> Result<Evidence, ReadError> {
        let named = network.gateway.clone();
        let mut sampled = Sampled::of(&named);
        // A named interface may show late in the files.
        let gateway = &network.gateway;
        let sample = if gateway.logged_addresses().is_empty() && !gateway.interface_ids.is_empty() {
            self.inputs.read(&self.options, &|_| {}, &mut sampled)?
        } else {
            self.inputs.sample(&self.options, SAMPLE, &mut sampled)?
        };
        let Sampled { mut inference, shown_at, .. } = sampled;
        // The interfaces of the gateways that have the addresses, where only these are known.
        let mut shown_on: Vec<InterfaceId> = shown_at.gateways();
        let mut of_others: Vec<IpAddr> = Vec::new();
        let mut told = Told::of(&named, &inference);
        let mut assumed = Assumed::of(sample.formats.iter());
        let mut all_remembered = false;
        let mut part: Option<Part> = None;
        let mut roles_found = FoundRoles::default();
        let shown = window_to_look_at(incident, network);
        loop {
            network.gateway = told.gateway.clone();
            let lacks_interface = is_known_by_address(&told.gateway);
            if lacks_interface {
                network.gateway.interface_ids = shown_on.first().cloned().into_iter().collect();
            }
            let viewpoint = Viewpoint::of_zone(&network.gateway, incident.zone.as_deref());
            let aggregation = inference.aggregation_seconds();
            let times = Times {
                window: shown,
                asked: incident.window,
                about: inference.median_start(),
                within: part.as_ref().map(|part| part.span),
            };
            let roles = Roles::knowing(roles_found.clone());
            let mut counter = Counter::new(&viewpoint, times, aggregation, assumed, roles);
            counter.shown_at = lacks_interface.then(ShownAt::default);
            if all_remembered {
                counter.repeats = Repeats::remembering_all();
            }
            // Where nobody named the gateway, every record has a say in which it is, and not only those
            // of the sample.
            let nobody_named = matches!(told.gateway.provenance, Provenance::Inferred | Provenance::Unknown);
            let watching = nobody_named.then(Inference::default);
            let mut pass = Pass { counter, watching };
            let reading = self.inputs.read(&self.options, &*self.progress, &mut pass)?;
            let Pass { mut counter, watching } = pass;
            counter.settle();
            let found = counter.formats.assumed().unwrap_or(assumed);
            if let Some(all) = watching {
                let by_all = Told::of(&named, &all);
                let same = by_all.gateway == told.gateway;
                (told, inference) = (by_all, all);
                if !same {
                    assumed = found;
                    continue;
                }
            }
            if let Some(shown_at) = counter.shown_at.take() {
                let by_all = shown_at.gateways();
                let same = by_all.first() == shown_on.first();
                of_others = shown_at.of_others(&by_all);
                shown_on = by_all;
                if !same {
                    assumed = found;
                    continue;
                }
            }
            // A format of the gateway's records lacks what was assumed, or has what was not: count again.
            if found != assumed {
                assumed = found;
                continue;
            }
            // Who is a server shows when all has been read: count again by it.
            let found = counter.roles.found();
            if found != roles_found {
                roles_found = found;
                continue;
            }
            if counter.repeats.missed_some() && !all_remembered {
                all_remembered = true;
                continue;
            }
            if incident.window.is_none() && part.is_none() {
                part = counter.part();
                if part.is_some() {
                    continue;
                }
            }
            let mut gaps = std::mem::take(&mut told.gaps);
            let shared = lacks_interface.then(|| shared_address(&network.gateway, &shown_on)).flatten();
            let several_gateways = told.several || shared.is_some();
            gaps.extend(shared);
            let own = |address: &NatAddress| address.private.is_none_or(|own| !of_others.contains(&own));
            network.gateway.addresses.retain(own);
            gaps.extend(counter.only_rejected());
            gaps.extend(counter.nothing_seen(&inference));
            gaps.extend(part.as_ref().map(Part::gap));
            gaps.extend(counter.astray_gap());
            let damage = counter.damage(&reading);
            let (deciding, minor): (Vec<Gap>, Vec<Gap>) =
                reading_gaps(&reading, &damage).into_iter().partition(|gap| gap.decides);
            gaps.extend(deciding);
            let repeated = counter.repeated_gap();
            self.read_from.set(counter.read.0);
            std::mem::take(&mut counter.owners).add_to(&mut network.owners);
            let formats = counter.formats.of_gateway().unwrap_or(reading.formats);
            let common_ports = counter.common_ports;
            let mut evidence = counter.finish();
            evidence.several_gateways = several_gateways;
            evidence.ambiguous = told.one_sided || several_gateways;
            evidence.coverage.records_rejected = damage.lines;
            evidence.coverage.files_failed = damage.files();
            evidence.coverage.skipdata = damage.skipdata;
            evidence.coverage.formats = formats.iter().map(ToString::to_string).collect();
            gaps.extend(one_destination(&mut evidence, &network.gateway, common_ports));
            gaps.extend(beginning_gap(&evidence, incident));
            gaps.extend(minor.into_iter().chain(repeated));
            evidence.gaps = gaps;
            return Ok(evidence);
        }
    }

    async fn collect_earlier(&self, earlier: &Incident, network: &Network) -> Option<Evidence> {
        let hold_them = self.read_from.get() <= earlier.window?.start().as_second();
        if !self.compares || !hold_them {
            return None;
        }
        self.collect(earlier, &mut network.clone()).await.ok()
    }
}

/// Whether the addresses of a gateway are known beforehand, and not its interface.
fn is_known_by_address(gateway: &NatGateway) -> bool {
    let beforehand = matches!(gateway.provenance, Provenance::Named | Provenance::LookedUp);
    let zonal = gateway.kind != GatewayKind::Regional;
    beforehand && zonal && gateway.interface_ids.is_empty() && !gateway.logged_addresses().is_empty()
}

/// What a sample of the records tells.
struct Sampled {
    inference: Inference,
    shown_at: ShownAt,
    viewpoint: Option<Viewpoint>,
}

impl Sampled {
    fn of(named: &NatGateway) -> Self {
        let viewpoint = is_known_by_address(named).then(|| Viewpoint::of(named));
        Self { inference: Inference::default(), shown_at: ShownAt::default(), viewpoint }
    }
}

impl Sink for Sampled {
    fn record(&mut self, record: &FlowRecord<'_>) {
        if let Some(viewpoint) = &self.viewpoint {
            self.shown_at.note(record, viewpoint);
        }
        self.inference.record(record);
    }

    #[inline]
    fn record_of_group(&mut self, record: &FlowRecord<'_>, group: usize) {
        if let Some(viewpoint) = &self.viewpoint {
            self.shown_at.note(record, viewpoint);
        }
        self.inference.record_of_group(record, group);
    }

    fn end_groups(&mut self) {
        self.inference.end_groups();
    }
}

/// One pass over the records: counts, and where nobody named the gateway, looks for it as well.
struct Pass<'view> {
    counter: Counter<'view>,
    watching: Option<Inference>,
}

impl Sink for Pass<'_> {
    fn record(&mut self, record: &FlowRecord<'_>) {
        self.counter.record(record);
        if let Some(inference) = &mut self.watching {
            inference.record(record);
        }
    }

    #[inline]
    fn record_of_group(&mut self, record: &FlowRecord<'_>, group: usize) {
        self.counter.record_of_group(record, group);
        if let Some(inference) = &mut self.watching {
            inference.record_of_group(record, group);
        }
    }

    fn end_groups(&mut self) {
        self.counter.end_groups();
        if let Some(inference) = &mut self.watching {
            inference.end_groups();
        }
    }

    fn format(&mut self, format: &LogFormat) {
        self.counter.formats.current(format);
    }

    fn no_data(&mut self, interval: &Interval<'_>) {
        self.counter.no_data(interval);
    }

    fn skip_data(&mut self, interval: &Interval<'_>) {
        self.counter.skipped.add(Spot::of_interval(interval));
    }

    fn rejected(&mut self, line: &[u8]) {
        self.counter.unusable.add(Spot::of_line(line));
    }
}

fn instant(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH)
}
