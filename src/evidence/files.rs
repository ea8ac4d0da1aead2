//! Evidence from flow-log files: the embedded source, with no account and no network.
//!
//! One pass over the records, after a look at a sample of them that tells the formats, the
//! aggregation interval and, where nobody named it, the gateway. State grows with connections.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hashbrown::HashMap;
use jiff::Timestamp;

use super::infer::{Inference, Inferred, Suspect};
use super::lives::{Holding, Lives, Stretch};
use super::port_tables::{PortTable, PortTables};
use super::recorded_owners::RecordedOwners;
use super::repeats::Repeats;
use super::roles::{FoundRoles, Roles};
use super::scope::{Scope, Spot, Spots};
use super::{
    AtPeak, ClientUse, Destination, Evidence, EvidenceSource, Held, OnAddress, Peak, PortRecord, Rejected,
    RejectedWay, Side, Source, Steps, TCP, Tally, Viewpoint, window_to_look_at,
};
use crate::flow::reader::{Inputs, Options, ReadError, Reading, RejectReason, Sink};
use crate::flow::record::{Action, FlowRecord};
use crate::flow::{Field, Interval, LineError, LogFormat};
use crate::gap::{Fix, Gap};
use crate::incident::{Incident, TimeWindow};
use crate::network::{GatewayKind, IDLE_TIMEOUT_SECONDS, NatGateway, Network, PORTS_PER_ADDRESS, Provenance};
use crate::words;

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
}

impl<'run> FlowLogFiles<'run> {
    /// A source that reads `inputs`, and tells `progress` how many bytes of them it has read.
    pub fn new(inputs: Inputs, options: Options, progress: impl Fn(u64) + Sync + 'run) -> Self {
        Self { inputs, options, progress: Box::new(progress) }
    }
}

impl EvidenceSource for FlowLogFiles<'_> {
    type Error = ReadError;

    async fn collect(&self, incident: &Incident, network: &mut Network) -> Result<Evidence, ReadError> {
        let mut inference = Inference::default();
        // A named interface may show late in the files.
        let gateway = &network.gateway;
        let sample = if gateway.logged_addresses().is_empty() && !gateway.interface_ids.is_empty() {
            self.inputs.read(&self.options, &|_| {}, &mut inference)?
        } else {
            self.inputs.sample(&self.options, SAMPLE, &mut inference)?
        };
        let named = network.gateway.clone();
        let mut told = Told::of(&named, &inference);
        let mut assumed = Assumed::of(sample.formats.iter());
        let mut all_remembered = false;
        let mut part: Option<Part> = None;
        let mut roles_found = FoundRoles::default();
        let shown = window_to_look_at(incident, network);
        loop {
            network.gateway = told.gateway.clone();
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
            gaps.extend(counter.nothing_seen(&inference));
            gaps.extend(part.as_ref().map(Part::gap));
            gaps.extend(counter.astray_gap());
            let damage = counter.damage(&reading);
            let (deciding, minor): (Vec<Gap>, Vec<Gap>) =
                reading_gaps(&reading, &damage).into_iter().partition(|gap| gap.decides);
            gaps.extend(deciding);
            let repeated = counter.repeated_gap();
            std::mem::take(&mut counter.owners).add_to(&mut network.owners);
            let formats = counter.formats.of_gateway().unwrap_or(reading.formats);
            let common_ports = counter.common_ports;
            let mut evidence = counter.finish();
            evidence.ambiguous = told.ambiguous;
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

/// What all formats of the gateway's records have, on which the counting relies.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Assumed {
    ends_visible: bool,
    packet_addresses: bool,
}

impl Assumed {
    fn of<'f>(formats: impl Iterator<Item = &'f LogFormat> + Clone) -> Self {
        Self {
            ends_visible: formats.clone().all(|f| f.has(Field::TcpFlags)),
            packet_addresses: formats.clone().all(LogFormat::has_packet_addresses),
        }
    }
}

/// The formats of the input, and which of them gave records of the gateway. Another interface's log in the same
/// folder says nothing of what the gateway's lacks.
#[derive(Default)]
struct Formats {
    met: Vec<FormatUse>,
    current: usize,
}

struct FormatUse {
    format: LogFormat,
    by_gateway: bool,
    by_clients: bool,
}

impl Formats {
    fn current(&mut self, format: &LogFormat) {
        self.current = self.met.iter().position(|met| met.format == *format).unwrap_or_else(|| {
            self.met.push(FormatUse { format: format.clone(), by_gateway: false, by_clients: false });
            self.met.len() - 1
        });
    }

    fn used(&mut self, side: Side) {
        if let Some(current) = self.met.get_mut(self.current) {
            match side {
                Side::AtClient => current.by_clients = true,
                Side::Gateway | Side::Client => current.by_gateway = true,
            }
        }
    }

    /// What can be relied on; `None` without any record.
    fn assumed(&self) -> Option<Assumed> {
        let at_gateway = || self.met.iter().filter(|met| met.by_gateway).map(|met| &met.format);
        let at_clients = || self.met.iter().filter(|met| met.by_clients).map(|met| &met.format);
        let by_gateway = Assumed::of(at_gateway());
        match (at_gateway().next(), at_clients().next()) {
            (None, None) => None,
            (None, Some(_)) => Some(Assumed::of(at_clients())),
            // Where the clients' own interfaces have to join the two, their format counts as well.
            (Some(_), Some(_)) if !by_gateway.packet_addresses => Some(Assumed {
                ends_visible: by_gateway.ends_visible && Assumed::of(at_clients()).ends_visible,
                ..by_gateway
            }),
            (Some(_), _) => Some(by_gateway),
        }
    }

    /// Those that gave records of the gateway; `None` where none did.
    fn of_gateway(&self) -> Option<Vec<LogFormat>> {
        let used: Vec<LogFormat> =
            self.met.iter().filter(|met| met.by_gateway).map(|met| met.format.clone()).collect();
        (!used.is_empty()).then_some(used)
    }
}

/// One of several times of which the records are, far apart.
struct Part {
    span: (i64, i64),
    others: Vec<(i64, i64)>,
}

impl Part {
    fn gap(&self) -> Gap {
        let window = |(from, to): (i64, i64)| format!("{}/{}", instant(from), instant(to.saturating_add(1)));
        let span = |(from, to): (i64, i64)| words::span(instant(from), instant(to.saturating_add(1)));
        let others: Vec<String> = self.others.iter().take(MOST_PARTS).map(|other| span(*other)).collect();
        let more = self.others.len() - others.len();
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        Gap::new(
            "the other minutes in these files",
            format!(
                "the records are of times far apart, and no window was named: this is about {}, in which a destination was fullest; the others are {}{more}",
                span(self.span),
                words::list(&others),
            ),
            format!("look at each by itself, such as with --window {}", window(self.others[0])),
        )
    }
}

/// So many times are named.
const MOST_PARTS: usize = 5;

/// Records of a gateway that are further apart than this, in seconds, without any between, are of two incidents.
const FAR_APART: i64 = 3600;

fn instant(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// What is missing of the gateway and its minutes, and what is missing elsewhere.
struct Damage {
    lines: u64,
    lines_elsewhere: u64,
    skipdata: u64,
    skipdata_elsewhere: u64,
    /// For each failed file, whether it may hold records of the gateway.
    failed: Vec<bool>,
}

impl Damage {
    fn files(&self) -> u64 {
        self.failed.iter().filter(|concerns| **concerns).count() as u64
    }
}

/// Nobody named a gateway, and the records show none.
fn no_gateway(times: &str, inference: &Inference) -> Gap {
    let whole = "give the whole flow log of the gateway's own interface";
    match inference.suspect() {
        None => Gap::new(
            "a NAT gateway",
            format!("there is no NAT gateway in these records: {times}, and no address in them takes traffic of others and sends it on"),
            whole,
        ),
        Some(Suspect { address, why }) => Gap::new(
            "a NAT gateway",
            format!("there is no NAT gateway at work in these records: {times}; {why}"),
            match address {
                Some(address) => format!("{whole}, or run again with --nat-ip {address} if that is the gateway"),
                None => whole.to_owned(),
            },
        ),
    }
    .deciding()
}

/// The port of HTTPS, which may well be the only one that a gateway's clients use.
const HTTPS: u16 = 443;

/// The port numbers that every record has at one of its ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum CommonPorts {
    /// There was no record yet.
    #[default]
    Any,
    /// These.
    These([u16; 2]),
    /// There is none.
    None,
}

impl CommonPorts {
    fn note(&mut self, ends: [u16; 2]) {
        *self = match *self {
            Self::Any => Self::These(ends),
            Self::These(these) => match these.map(|port| ends.contains(&port)) {
                [true, true] => Self::These(these),
                [true, false] => Self::These([these[0]; 2]),
                [false, true] => Self::These([these[1]; 2]),
                [false, false] => Self::None,
            },
            Self::None => Self::None,
        };
    }

    /// The one number that a log looks to have been filtered on.
    fn filtered_on(self) -> Option<u16> {
        match self {
            Self::These([port, other]) if port == other => {
                Some(port).filter(|port| ![0, HTTPS].contains(port))
            }
            _ => None,
        }
    }
}

/// In the records of a gateway that was inferred there is one destination and no other, or one port in every record,
/// as in a file that was filtered: that no other was full, nothing says.
fn one_destination(evidence: &mut Evidence, gateway: &NatGateway, ports: CommonPorts) -> Option<Gap> {
    let clients = evidence.clients.keys().map(|using| using.destination.address);
    let mut addresses: Vec<IpAddr> = evidence
        .destinations
        .keys()
        .map(|destination| destination.address)
        .chain(clients)
        .flatten()
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    let only = match (&addresses[..], ports.filtered_on()) {
        ([only], _) => format!("destinations other than {only}"),
        (_, Some(port)) => format!("destinations on other ports than {port}"),
        _ => return None,
    };
    evidence.filtered = gateway.provenance == Provenance::Inferred;
    // Where the records begin too late, that is what keeps the answer open.
    let begins = evidence.coverage.logs_from?.as_second();
    let reaches = begins + IDLE_TIMEOUT_SECONDS <= evidence.window.start().as_second();
    (evidence.filtered && reaches).then(|| {
        Gap::new(
            only,
            "the records show no other, as in a log that was filtered on one",
            "run again with all records of the gateway, and name it with --nat-ip",
        )
        .deciding()
    })
}

/// Where the window was not named, it begins once the records reach back far enough; what was before is said.
fn beginning_gap(evidence: &Evidence, incident: &Incident) -> Option<Gap> {
    let from = evidence.coverage.logs_from.filter(|_| incident.window.is_none())?;
    let start = evidence.window.start();
    (from < start).then(|| {
        Gap::new(
            format!("what was held from {} on", words::span(from, start)),
            format!(
                "a port is held for {IDLE_TIMEOUT_SECONDS} s after its last packet, so that only records of the {IDLE_TIMEOUT_SECONDS} s before tell: the window begins where these do"
            ),
            "run again with the files of the minutes before as well",
        )
    })
}

/// The gateway with what nobody named of it, its addresses and interface, as the records tell.
struct Told {
    gateway: NatGateway,
    /// Whether there are several, and none was named.
    ambiguous: bool,
    gaps: Vec<Gap>,
}

impl Told {
    fn of(named: &NatGateway, inference: &Inference) -> Self {
        let mut told = Self { gateway: named.clone(), ambiguous: false, gaps: Vec::new() };
        if named.provenance == Provenance::Named
            && named.kind == GatewayKind::Regional
            && !inference.saw_regional()
        {
            told.gaps.push(Gap::new(
                "the public addresses that were named",
                "flow logs show public addresses of regional gateways alone, and no record is of one; the private ones were inferred from the records",
                "name the gateway's private addresses with --nat-ip",
            ));
            told.gateway = NatGateway { kind: GatewayKind::Zonal, addresses: Vec::new(), ..named.clone() };
        }
        if !told.gateway.logged_addresses().is_empty() {
            return told;
        }
        match inference.finish(&told.gateway) {
            Some(Inferred { gateway, others, one_sided }) => {
                if one_sided {
                    let addresses: Vec<String> =
                        gateway.logged_addresses().iter().map(ToString::to_string).collect();
                    told.gaps.push(
                        Gap::new(
                            format!("whether {} is the gateway", words::list(&addresses)),
                            "it takes packets that are meant for others, and no record shows it talk to a server: a log that was filtered on a client looks like that",
                            "run again with all records of the interface",
                        )
                        .deciding(),
                    );
                }
                told.gateway = gateway;
                told.ambiguous = one_sided || !others.is_empty();
                if !others.is_empty() {
                    told.gaps.push(Gap::new(
                        "which gateway is in question",
                        format!(
                            "the records hold several and none was named: this is about the busiest; also seen: {}",
                            others.join(", ")
                        ),
                        "run again with --eni or --nat-ip naming the gateway in question",
                    ).deciding());
                }
            }
            None => told.gateway.provenance = Provenance::Unknown,
        }
        told
    }
}

fn reading_gaps(reading: &Reading, damage: &Damage) -> Vec<Gap> {
    let failed = reading.failed.iter().zip(&damage.failed);
    let mut gaps: Vec<Gap> = failed
        .clone()
        .take(MAX_NAMED)
        .map(|(failed, concerns)| {
            let gap = Gap::new(format!("the file {}", failed.name), failed.error.clone(), failed.fix.clone());
            if *concerns {
                return gap.deciding();
            }
            Gap { why: format!("{}; its name says that it is of another interface or time", gap.why), ..gap }
        })
        .collect();
    let unnamed = reading.failed.len().saturating_sub(MAX_NAMED);
    if unnamed > 0 {
        let decides = failed.skip(MAX_NAMED).any(|(_, concerns)| *concerns);
        let what = words::counted(unnamed as u64, "more file");
        let gap = Gap::new(what, "they cannot be read either", "see to those named first, and run again");
        gaps.push(Gap { decides, ..gap });
    }
    gaps.extend(reading.rejected.iter().take(MAX_NAMED).map(|rejected| {
        Gap::new(
            format!("{} of {}", words::counted(rejected.count, "line"), rejected.file),
            format!("{}; first at line {}: {}", rejected.reason, rejected.line, rejected.sample),
            match rejected.reason {
                RejectReason::NoFormat { .. } | RejectReason::Header(_) => Fix::run_to(
                    "pass --log-format with the fields as in the flow log's own format string",
                    "aws ec2 describe-flow-logs --query 'FlowLogs[].[FlowLogId,LogFormat]' --output text",
                ),
                RejectReason::Line(LineError::Length { .. }) => {
                    "look at the line in the file; where the fields are others, pass --log-format".into()
                }
                _ => "look at the line in the file; nothing else was lost".into(),
            },
        )
    }));
    let unnamed: u64 = reading.rejected.iter().skip(MAX_NAMED).map(|rejected| rejected.count).sum();
    if unnamed > 0 {
        gaps.push(Gap::new(
            words::counted(unnamed, "more line"),
            "they are of other files or have other faults than those named",
            "look at the lines named first",
        ));
    }
    let elsewhere = [(damage.skipdata_elsewhere, "SKIPDATA record"), (damage.lines_elsewhere, "unread line")];
    let elsewhere: Vec<String> = elsewhere
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, thing)| words::counted(*count, thing))
        .collect();
    if !elsewhere.is_empty() {
        gaps.push(Gap::new(
            "records of other interfaces or minutes",
            format!(
                "{}; by what they name, they are not of this gateway and its minutes",
                words::list(&elsewhere)
            ),
            "name that interface with --eni, or those minutes with --window, to ask about them",
        ));
    }
    if !reading.passed_over.is_empty() {
        let names = reading.passed_over.iter().take(MOST_PASSED_OVER);
        let mut named: Vec<String> =
            names.map(|passed| format!("{} ({})", passed.name, passed.what)).collect();
        let more = reading.passed_over.len() - named.len();
        if more > 0 {
            named.push(format!("{more} more"));
        }
        gaps.push(Gap::new(
            format!(
                "flow logs in {} of the input",
                words::counted(reading.passed_over.len() as u64, "other file")
            ),
            format!("passed over: {}", words::list(&named)),
            "give those that should be flow logs again, in a shape that is read",
        ));
    }
    gaps
}

/// So many files that failed, and faults of lines, have a gap each; the others have one together.
const MAX_NAMED: usize = 10;

/// So many files that were passed over are named.
const MOST_PASSED_OVER: usize = 5;

/// A small number for an address, so that keys are small.
#[derive(Default)]
struct Interner {
    numbers: HashMap<IpAddr, u32>,
    addresses: Vec<IpAddr>,
}

impl Interner {
    fn number(&mut self, address: IpAddr) -> u32 {
        *self.numbers.entry(address).or_insert_with(|| {
            self.addresses.push(address);
            u32::try_from(self.addresses.len() - 1).expect("fewer addresses than IPv4 has")
        })
    }
}

/// Volume, which needs no times.
#[derive(Clone, Copy, Default)]
struct Volume {
    sent: u64,
    packets: u64,
    bytes: u64,
    records: u64,
}

impl Volume {
    fn add(&mut self, record: &FlowRecord<'_>, outward: bool) {
        self.sent = self.sent.saturating_add(if outward { record.packets } else { 0 });
        self.packets = self.packets.saturating_add(record.packets);
        self.bytes = self.bytes.saturating_add(record.bytes);
        self.records += 1;
    }
}

/// One side of one destination: the lives of each port, and the volume of each holder.
#[derive(Default)]
struct Ports {
    /// Which of the [`PortTables`] has the lives until they are settled.
    table: usize,
    lives: PortTable,
    volumes: HashMap<u32, Volume>,
}

impl Ports {
    fn of_table(table: usize) -> Self {
        Self { table, ..Self::default() }
    }
}

/// Which records are counted, by their times.
#[derive(Clone, Copy)]
struct Times {
    /// The window to look at, where it is named.
    window: Option<TimeWindow>,
    /// The minutes in question within it.
    asked: Option<TimeWindow>,
    /// Where they are not: about when most of the records begin. What is far from it is a damaged
    /// line, which would stretch the window over years.
    about: Option<i64>,
    /// Where they are not, and the records are of times far apart: the time in question.
    within: Option<(i64, i64)>,
}

/// A window that was not named holds at least so many seconds of which all is known.
const MIN_KNOWN: i64 = 60;

/// A gateway has one interface; where nothing tells which, so many are remembered.
const MOST_SEEN_ON: usize = 64;

/// So few attempts without an answer say nothing of when it was worst.
const MIN_UNANSWERED: usize = 100;

/// Records further than this from the others, in seconds, are of another time.
const FAR_AWAY: i64 = 31 * 86_400;

/// Counts records as they come.
struct Counter<'view> {
    viewpoint: &'view Viewpoint,
    /// The same to which the private servers that an earlier pass found are no clients.
    knowing: Option<Viewpoint>,
    times: Times,
    /// Records of another time.
    astray: u64,
    aggregation: u32,
    assumed: Assumed,
    addresses: Interner,
    tables: PortTables,
    sides: HashMap<(Side, Destination), Ports>,
    other_zones: HashMap<Destination, Ports>,
    /// Packets that left the gateway and were turned away by a rule: towards whom, when, how many.
    turned_away: Vec<(Destination, i64, u64)>,
    /// Packets that any rule turned away.
    rejected: BTreeMap<Rejected, u64>,
    roles: Roles,
    services: BTreeMap<IpAddr, String>,
    owners: RecordedOwners,
    records: u64,
    first: i64,
    last: i64,
    /// First and last second of all records that bear on the window, the gateway's or not.
    span: (i64, i64),
    /// The same of all records whatever.
    read: (i64, i64),
    /// Records of the gateway at work.
    at_work: AtWork,
    formats: Formats,
    repeats: Repeats,
    common_ports: CommonPorts,
    /// First and last second of intervals without traffic.
    idle: (i64, i64),
    skipped: Spots,
    /// Lines that could not be used.
    unusable: Spots,
    /// The interfaces whose records were the gateway's, where none is named.
    seen_on: Vec<Box<[u8]>>,
}

impl<'view> Counter<'view> {
    fn new(
        viewpoint: &'view Viewpoint,
        times: Times,
        aggregation: u32,
        assumed: Assumed,
        roles: Roles,
    ) -> Self {
        Self {
            viewpoint,
            knowing: roles.viewpoint(viewpoint),
            times,
            astray: 0,
            aggregation,
            assumed,
            addresses: Interner::default(),
            tables: PortTables::new(assumed.ends_visible),
            sides: HashMap::new(),
            other_zones: HashMap::new(),
            turned_away: Vec::new(),
            rejected: BTreeMap::new(),
            roles,
            services: BTreeMap::new(),
            owners: RecordedOwners::default(),
            records: 0,
            first: i64::MAX,
            last: i64::MIN,
            span: (i64::MAX, i64::MIN),
            read: (i64::MAX, i64::MIN),
            at_work: AtWork::default(),
            formats: Formats::default(),
            repeats: Repeats::default(),
            common_ports: CommonPorts::default(),
            idle: (i64::MAX, i64::MIN),
            skipped: Spots::default(),
            unusable: Spots::default(),
            seen_on: Vec::new(),
        }
    }

    fn no_data(&mut self, interval: &Interval<'_>) {
        if let Some((from, to)) = interval.span {
            self.idle = (self.idle.0.min(from), self.idle.1.max(to));
        }
    }

    /// Whether it is not known, either, what the gateway is: then anyone may be it, a client too.
    fn knows_no_gateway(&self) -> bool {
        let Viewpoint { kind, addresses, interfaces, .. } = self.viewpoint;
        addresses.is_empty() && interfaces.is_empty() && *kind != GatewayKind::Regional
    }

    /// What is missing, and of what.
    fn damage(&self, reading: &Reading) -> Damage {
        let lead = lead_seconds(self.aggregation);
        let of_records = (self.records > 0).then_some((self.first - lead, self.last));
        let of_window = self.times.window.map(|w| (w.start().as_second() - lead, w.end().as_second()));
        let span = of_window.or(of_records);
        let scope = Scope { viewpoint: self.viewpoint, seen_on: &self.seen_on, span };
        let (skipdata, skipdata_elsewhere) = self.skipped.concerning(&scope);
        // Whole files of something else were rejected line by line, and are no damage.
        let (lines, lines_elsewhere) = self.unusable.concerning(&scope);
        let all = reading.lines_rejected();
        let lines_elsewhere = lines_elsewhere.min(all);
        let failed = reading.failed.iter().map(|file| scope.concerns(&Spot::of_file(&file.name))).collect();
        Damage {
            lines: lines.min(all - lines_elsewhere),
            lines_elsewhere,
            skipdata,
            skipdata_elsewhere,
            failed,
        }
    }

    /// Where the records are of times far apart, the one in which a destination was fullest.
    fn part(&self) -> Option<Part> {
        let parts = self.at_work.parts();
        if parts.len() < 2 {
            return None;
        }
        let fullest = |(from, to): (i64, i64)| {
            let window = TimeWindow::new(instant(from), instant(to.saturating_add(1))).ok()?;
            Some(self.fullest(window))
        };
        let span = parts.iter().copied().rev().max_by_key(|part| fullest(*part))?;
        let others = parts.iter().copied().filter(|other| *other != span).collect();
        Some(Part { span, others })
    }

    fn repeated_gap(&self) -> Option<Gap> {
        let found = self.repeats.found();
        (found > 0).then(|| {
            Gap::new(
                "records that came more than once",
                format!("{} had come before, and count once", words::counted(found, "record")),
                "give each record once",
            )
        })
    }

    fn bears_on_window(&mut self, record: &FlowRecord<'_>) -> bool {
        let Some(window) = self.times.window else {
            let astray = self.times.about.is_some_and(|about| (record.start - about).abs() > FAR_AWAY);
            self.astray += u64::from(astray);
            let within = self.times.within.is_none_or(|(from, to)| (from..=to).contains(&record.start));
            return !astray && within;
        };
        let from = window.start().as_second() - lead_seconds(self.aggregation);
        (from..window.end().as_second()).contains(&record.start)
    }

    fn astray_gap(&self) -> Option<Gap> {
        (self.astray > 0).then(|| {
            Gap::new(
                format!("{} records of another time", self.astray),
                "they begin more than 31 days from most of the others: damaged lines, or files of another incident",
                "name the minutes in question with --window",
            )
        })
    }

    /// Why no record of the gateway was counted, and what the files hold instead.
    fn nothing_seen(&self, inference: &Inference) -> Option<Gap> {
        if self.records > 0 {
            return None;
        }
        let (from, to) = self.read;
        let (idle_from, idle_to) = self.idle;
        if from > to && idle_from <= idle_to {
            let span = words::span(instant(idle_from), instant(idle_to));
            return Some(
                Gap::new(
                    "any traffic of the gateway",
                    format!(
                        "the files hold NODATA records alone, of {span}: the interfaces had no traffic then"
                    ),
                    "give the files of the minutes in which the gateway had traffic",
                )
                .deciding(),
            );
        }
        let times = if from > to {
            "the files hold no record with addresses".to_owned()
        } else {
            format!("the files hold records of {}", words::span(instant(from), instant(to)))
        };
        let named = &self.viewpoint.addresses;
        let seen = inference.finish(&NatGateway::default()).filter(|seen| !seen.one_sided);
        if self.knows_no_gateway() && seen.is_none() {
            return Some(no_gateway(&times, inference));
        }
        let gateway = match seen {
            None => "none of them is of a NAT gateway at work".to_owned(),
            Some(Inferred { gateway, .. }) => {
                let ids = gateway.interface_ids.iter().map(ToString::to_string);
                let ids = ids.chain(gateway.id.iter().map(ToString::to_string));
                let addresses =
                    gateway.logged_addresses().iter().map(ToString::to_string).collect::<Vec<_>>();
                format!(
                    "they look like those of a NAT gateway ({})",
                    ids.chain(addresses).collect::<Vec<_>>().join(", ")
                )
            }
        };
        let why = if named.is_empty() || from > to {
            format!("{times}; {gateway}")
        } else {
            let named: Vec<String> = named.iter().map(ToString::to_string).collect();
            format!("{times}, and within the window none of a NAT gateway at {}; {gateway}", named.join(", "))
        };
        let fix = "name the gateway with --nat-ip or --eni, or the minutes with --window, or give files of the gateway's own interface";
        Some(Gap::new("any traffic of the gateway", why, fix).deciding())
    }

    fn note_rejected(&mut self, seen: &PortRecord, record: &FlowRecord<'_>) {
        let asked = |window: TimeWindow| {
            record.end >= window.start().as_second() && record.start < window.end().as_second()
        };
        if seen.side == Side::AtClient || !self.times.asked.is_none_or(asked) {
            return;
        }
        let way = match (seen.side, seen.outward) {
            (_, false) => RejectedWay::Back,
            (Side::Gateway, true) => RejectedWay::Out,
            (Side::Client | Side::AtClient, true) => RejectedWay::In,
        };
        let client = (seen.side == Side::Client).then_some(seen.holder);
        *self.rejected.entry(Rejected { way, destination: seen.destination, client }).or_default() +=
            record.packets;
    }

    /// Puts all that was added into its place, once it is all there.
    fn settle(&mut self) {
        let added = std::mem::replace(&mut self.tables, PortTables::new(self.assumed.ends_visible));
        let mut tables = added.finish();
        for ports in self.sides.values_mut().chain(self.other_zones.values_mut()) {
            ports.lives = std::mem::take(&mut tables[ports.table]);
        }
    }

    /// Whether the clients' own interfaces are needed to join clients with destinations.
    fn needs_client_interfaces(&self) -> bool {
        !self.assumed.packet_addresses && self.viewpoint.kind != GatewayKind::Regional
    }

    /// The window where none was named: from when the records reach back far enough to tell what was held, to
    /// their end. Where the minutes before that look worse, or there are no others, it is all of them.
    fn unnamed_window(&self) -> Option<TimeWindow> {
        let (from, to) = match (self.records > 0, self.span.0 <= self.span.1) {
            (true, _) => (self.first, self.last),
            (false, true) => self.span,
            (false, false) => self.idle,
        };
        let end = instant(to.saturating_add(1));
        let whole = TimeWindow::new(instant(from), end).ok()?;
        let known = TimeWindow::new(instant(from.saturating_add(IDLE_TIMEOUT_SECONDS)), end).ok();
        let Some(known) = known.filter(|known| known.seconds() >= MIN_KNOWN) else { return Some(whole) };
        let before = TimeWindow::new(whole.start(), known.start()).ok()?;
        let worse = self.fullest(before) > self.fullest(known).max(PORTS_PER_ADDRESS / 2)
            || self.unanswered(before) > self.unanswered(known).max(MIN_UNANSWERED);
        Some(if worse { whole } else { known })
    }

    /// The most ports that any destination held within these minutes.
    fn fullest(&self, window: TimeWindow) -> u32 {
        let of_gateway = self.sides.iter().filter(|((side, _), _)| *side == Side::Gateway);
        let held = |ports: &Ports| highest(&Sweep::over(all_holdings(ports), window).hold, window).0;
        of_gateway.map(|(_, ports)| held(ports)).max().unwrap_or(0)
    }

    /// Attempts that began within these minutes and got no answer, as the clients' side shows.
    fn unanswered(&self, window: TimeWindow) -> usize {
        let (from, to) = (window.start().as_second(), window.end().as_second());
        let of_clients = self.sides.iter().filter(|((side, _), _)| *side == Side::Client);
        let stretches = of_clients.flat_map(|(_, ports)| ports.lives.lives()).flat_map(Lives::stretches);
        stretches
            .filter(|stretch| {
                stretch.unanswered().is_some() && (from..to).contains(&i64::from(stretch.start))
            })
            .count()
    }

    fn finish(mut self) -> Evidence {
        for ports in self.sides.values_mut().chain(self.other_zones.values_mut()) {
            ports.lives.retain(Lives::sent_any);
        }
        self.sides.retain(|_, ports| !ports.lives.is_empty());
        let second = instant;
        let seen = self.records > 0;
        let window = self.times.window.or_else(|| self.unnamed_window()).unwrap_or(TimeWindow::EPOCH);
        let mut evidence = Evidence::none(window, Source::Files);
        evidence.asked = self.times.asked.unwrap_or(window);
        let (asked, steps) = (evidence.asked, evidence.steps);
        evidence.ends_visible = self.assumed.ends_visible;
        evidence.packet_addresses = self.assumed.packet_addresses;
        evidence.services = self.services;
        evidence.rejected = self.rejected;
        evidence.coverage.logs_from = seen.then(|| second(self.first));
        evidence.coverage.logs_until = seen.then(|| second(self.last));
        evidence.coverage.records_read = self.records;
        (evidence.coverage.longest_hole, evidence.coverage.busy) = self.at_work.holes();
        evidence.coverage.aggregation_seconds = self.aggregation;
        let of_side = |side: Side| move |((of, _), _): &(&(Side, Destination), &Ports)| *of == side;
        let clients: BTreeMap<Destination, &Ports> =
            self.sides.iter().filter(of_side(Side::Client)).map(|((_, d), ports)| (*d, ports)).collect();
        let mut fullest_at: HashMap<Destination, Peak> = HashMap::new();
        let mut lost: HashMap<Destination, Vec<u64>> = HashMap::new();
        for ((_, destination), ports) in self.sides.iter().filter(of_side(Side::Gateway)) {
            let by_port = Destination { address: None, ..*destination };
            // Summed once for each: very many destinations may share a port.
            let known_by = if clients.contains_key(destination) { *destination } else { by_port };
            let lost = lost.entry(known_by).or_insert_with(|| {
                lost_in_steps(clients.get(&known_by).copied(), known_by, self.assumed, steps)
            });
            let sweep = Sweep::over(all_holdings(ports), window);
            let peak = sweep.peak(asked, steps, lost);
            evidence.peaks.insert(*destination, peak);
            evidence.fullest_addresses.extend(
                fullest_address(ports, (window, asked), &sweep, &self.addresses)
                    .map(|fullest| (*destination, fullest)),
            );
            // A format that hides destinations on the clients' side shows the port alone.
            for known_by in [*destination, by_port] {
                let at = fullest_at.entry(known_by).or_insert(peak);
                if (peak.hold, at.at) > (at.hold, peak.at) {
                    *at = peak;
                }
            }
        }
        let mut fullest: Vec<(u32, u32, Destination)> =
            evidence.peaks.iter().map(|(d, peak)| (peak.hold, peak.most, *d)).collect();
        fullest.sort_unstable_by(|a, b| b.cmp(a));
        for (_, _, destination) in fullest.into_iter().take(SWEPT_BY_STEP) {
            let Some(ports) = self.sides.get(&(Side::Gateway, destination)) else { continue };
            evidence.step_peaks.insert(destination, Sweep::over(all_holdings(ports), window).by_step(steps));
        }
        for (destination, clients) in clients {
            let Some(gateway) = self.sides.get(&(Side::Gateway, destination)) else { continue };
            let by_client = holdings(clients, true).chain(holdings(gateway, false));
            evidence
                .peaks_by_client
                .insert(destination, Sweep::over(by_client, window).peak(asked, steps, &[]));
        }
        for (destination, ports) in self.other_zones {
            let per_holder = tallies(&ports, destination, None, &self.addresses, self.assumed, steps);
            let total = evidence.elsewhere.entry(destination).or_insert_with(|| Tally::empty(steps));
            per_holder.values().for_each(|tally| total.add(tally));
        }
        for ((side, destination), ports) in self.sides {
            let at = fullest_at.get(&destination).map(|peak| peak.at);
            let per_holder = tallies(&ports, destination, at, &self.addresses, self.assumed, steps);
            if side == Side::Gateway {
                let total = evidence.destinations.entry(destination).or_insert_with(|| Tally::empty(steps));
                per_holder.values().for_each(|tally| total.add(tally));
            } else {
                let clients =
                    if side == Side::Client { &mut evidence.clients } else { &mut evidence.at_clients };
                clients.extend(
                    per_holder.into_iter().map(|(client, tally)| (ClientUse { client, destination }, tally)),
                );
            }
        }
        for (destination, second, packets) in self.turned_away {
            if let (Some(total), Some(step)) =
                (evidence.destinations.get_mut(&destination), steps.holding(second))
            {
                total.lost_at[step] += packets;
                total.sent += packets;
            }
        }
        evidence
    }
}

impl Sink for Counter<'_> {
    fn record(&mut self, record: &FlowRecord<'_>) {
        self.read = (self.read.0.min(record.start), self.read.1.max(record.end));
        if !self.bears_on_window(record) {
            return;
        }
        self.span = (self.span.0.min(record.start), self.span.1.max(record.end));
        if self.knows_no_gateway() {
            return;
        }
        let seen = self.viewpoint.classify(record);
        let at_client = || self.roles.at_client(self.knowing.as_ref()?, record);
        let Some(seen) = seen.or_else(at_client) else { return };
        let (viewpoint, ranges) = (self.viewpoint, &self.viewpoint.client_ranges);
        // Between addresses of one VPC no packet goes through its gateway.
        let of_vpc = |address| ranges.iter().any(|range| range.contains(&address));
        let seen = self.roles.corrected(viewpoint.kind, seen, record, of_vpc);
        self.owners.note(&seen, record);
        self.formats.used(seen.side);
        if seen.side == Side::AtClient && !self.needs_client_interfaces() {
            return;
        }
        if self.repeats.again(record) {
            return;
        }
        if seen.side != Side::AtClient {
            if self.viewpoint.interfaces.is_empty()
                && let Some(interface) = record.interface
                && self.seen_on.iter().all(|seen| **seen != *interface)
                && self.seen_on.len() < MOST_SEEN_ON
            {
                self.seen_on.push(interface.into());
            }
            self.records += 1;
            self.common_ports.note([record.src_port, record.dst_port]);
            self.first = self.first.min(record.start);
            // No record spans more than one interval; a damaged one may claim to, and speaks for no more minutes.
            let end = record.end.min(record.start + 2 * i64::from(self.aggregation));
            self.last = self.last.max(end);
            self.at_work.add(record.start, end);
        }
        // A packet that a rule turned away, or that came after the end, holds no port. One that the
        // gateway had let out was not refused by it.
        if record.action == Action::Reject {
            self.note_rejected(&seen, record);
            if seen.side == Side::Gateway && seen.outward {
                self.turned_away.push((seen.destination, record.start, record.packets));
            }
            return;
        }
        if let (Some(service), Some(server)) = (record.dst_service, seen.destination.address)
            && seen.outward
            && !self.services.contains_key(&server)
        {
            self.services.insert(server, String::from_utf8_lossy(service).into_owned());
        }
        let holder = self.addresses.number(seen.holder);
        let tables = &mut self.tables;
        let new = || Ports::of_table(tables.new_table());
        let ports = if seen.side == Side::Gateway && self.viewpoint.elsewhere.contains(&seen.holder) {
            self.other_zones.entry(seen.destination).or_insert_with(new)
        } else {
            self.sides.entry((seen.side, seen.destination)).or_insert_with(new)
        };
        ports.volumes.entry(holder).or_default().add(record, seen.outward);
        let flags = record.tcp_flags.unwrap_or_default();
        let second = |s: i64| u32::try_from(s).expect("the parser takes no time past 32 bits");
        let stretch =
            Stretch::new(second(record.start), second(record.end), seen.outward, record.packets, flags);
        self.tables.add(ports.table, (holder, seen.port), stretch);
    }
}

/// How many records tell of each ten seconds.
#[derive(Default)]
struct AtWork {
    /// Per ten seconds: records that begin in them, less those that ended in the ones before.
    changes: HashMap<i64, i64>,
}

impl AtWork {
    /// As long as the ends of records are apart where there are many of them.
    const SECONDS: i64 = 10;

    /// With so many records at most times, there being none by chance is out of the question.
    const MANY: i64 = 20;

    fn add(&mut self, start: i64, end: i64) {
        *self.changes.entry(start.div_euclid(Self::SECONDS)).or_default() += 1;
        *self.changes.entry(end.max(start).div_euclid(Self::SECONDS) + 1).or_default() -= 1;
    }

    /// The times, far apart, in which there are records: first and last second of each.
    fn parts(&self) -> Vec<(i64, i64)> {
        let mut changes: Vec<(i64, i64)> = self.changes.iter().map(|(at, change)| (*at, *change)).collect();
        changes.sort_unstable();
        let (mut at_work, mut parts) = (0, Vec::<(i64, i64)>::new());
        for (at, change) in changes {
            let second = at * Self::SECONDS;
            match parts.last_mut() {
                Some((_, last)) if at_work > 0 || second - *last < FAR_APART => *last = second,
                _ => parts.push((second, second)),
            }
            at_work += change;
        }
        parts
    }

    /// The longest time without a record, in seconds, and whether at most times there are many.
    fn holes(self) -> (i64, bool) {
        let mut changes: Vec<(i64, i64)> = self.changes.into_iter().collect();
        changes.sort_unstable();
        let (mut at_work, mut longest, mut few, mut all) = (0, 0, 0, 0);
        for pair in changes.windows(2) {
            at_work += pair[0].1;
            let lasted = pair[1].0 - pair[0].0;
            all += lasted;
            few += if at_work < Self::MANY { lasted } else { 0 };
            longest = longest.max(if at_work == 0 { lasted } else { 0 });
        }
        (longest * Self::SECONDS, all > 0 && few * 2 < all)
    }
}

/// What was counted of one side of one destination, by holder.
fn tallies(
    ports: &Ports,
    destination: Destination,
    fullest_at: Option<i64>,
    addresses: &Interner,
    assumed: Assumed,
    steps: Steps,
) -> BTreeMap<IpAddr, Tally> {
    let mut per_holder: BTreeMap<IpAddr, Tally> = BTreeMap::new();
    let address = |holder: u32| addresses.addresses[holder as usize];
    // Only a beginning that was seen tells that a wait was for an answer.
    let repeats_visible = assumed.ends_visible && destination.protocol == TCP;
    for (&(holder, _), lives) in ports.lives.iter() {
        let tally = per_holder.entry(address(holder)).or_insert_with(|| Tally::empty(steps));
        count(lives, repeats_visible, steps, tally);
        if let Some(second) = fullest_at {
            add_at(lives, second, tally.at_peak.get_or_insert_default());
        }
    }
    for (holder, volume) in &ports.volumes {
        let tally = per_holder.entry(address(*holder)).or_insert_with(|| Tally::empty(steps));
        tally.sent = volume.sent;
        tally.packets = volume.packets;
        tally.bytes = volume.bytes;
        tally.records = volume.records;
    }
    per_holder
}

/// Adds one port to the tally of its holder.
fn count(lives: &Lives, repeats_visible: bool, steps: Steps, tally: &mut Tally) {
    tally.connections += 1;
    let (mut ended, mut answered) = (false, false);
    for stretch in lives.stretches() {
        ended |= stretch.ended();
        answered |= stretch.unanswered().is_none();
        tally.active_seconds += stretch.active_seconds();
    }
    add_lost(lives, repeats_visible, steps, &mut tally.lost_at);
    tally.ended += u64::from(ended);
    tally.unanswered += u64::from(!answered);
    lives.count_into(steps, &mut tally.held, |stretch| stretch.unanswered().is_none());
    lives.count_into(steps, &mut tally.silent, |stretch| stretch.unanswered().is_some());
}

/// Adds the first packets of one port that got no answer, each to the step in which it was sent.
fn add_lost(lives: &Lives, repeats_visible: bool, steps: Steps, lost_at: &mut [u64]) {
    for stretch in lives.stretches() {
        let repeats = if repeats_visible { stretch.repeats() } else { 0 };
        stretch.sent_over(stretch.unanswered().unwrap_or(repeats), |second, packets| {
            if let Some(step) = steps.holding(second) {
                lost_at[step] += packets;
            }
        });
    }
}

/// Adds what one port held at one second, as a [`Sweep`] counts it.
fn add_at(lives: &Lives, second: i64, sum: &mut AtPeak) {
    let within = |from: i64, to: i64| u32::from((from..=to).contains(&second));
    for (stretch, Holding { start, sure, until }) in lives.holdings() {
        let held = Held {
            least: sure.map_or(0, |(first, last)| within(first + 1, last)),
            hold: within(start + 1, until),
            most: within(start, until),
        };
        let into = if stretch.unanswered().is_some() { &mut sum.silent } else { &mut sum.held };
        *into = into.plus(held);
    }
}

/// The holdings of ports, of answered connections alone or of the others alone.
fn holdings(ports: &Ports, answered: bool) -> impl Iterator<Item = Holding> {
    let lives = ports.lives.lives().flat_map(Lives::holdings);
    lives.filter(move |(stretch, _)| stretch.unanswered().is_none() == answered).map(|(_, held)| held)
}

/// The holdings of all ports.
fn all_holdings(ports: &Ports) -> impl Iterator<Item = Holding> {
    ports.lives.lives().flat_map(Lives::holdings).map(|(_, held)| held)
}

/// The gateway's address on which most ports were held at once. `all` is the sweep over all of its addresses.
fn fullest_address(
    ports: &Ports,
    (window, asked): (TimeWindow, TimeWindow),
    all: &Sweep,
    addresses: &Interner,
) -> Option<OnAddress> {
    let mut used: BTreeMap<u32, usize> = BTreeMap::new();
    for ((holder, _), _) in ports.lives.iter() {
        *used.entry(*holder).or_default() += 1;
    }
    let at_most = |sweep: &Sweep, holder: u32| OnAddress {
        address: addresses.addresses[holder as usize],
        least: highest(&sweep.least, asked).0,
        hold: highest(&sweep.hold, asked).0,
    };
    if used.len() == 1 {
        return used.into_keys().next().map(|holder| at_most(all, holder));
    }
    let on = |holder: u32| {
        let of_holder = ports.lives.iter().filter(move |((of, _), _)| *of == holder);
        let holdings = of_holder.flat_map(|(_, lives)| lives.holdings()).map(|(_, held)| held);
        at_most(&Sweep::over(holdings, window), holder)
    };
    // A gateway has up to eight of them.
    used.into_keys().map(on).max_by_key(|on| (on.hold, std::cmp::Reverse(on.address)))
}

/// First packets that got no answer, on one side of one destination, per step.
fn lost_in_steps(
    ports: Option<&Ports>,
    destination: Destination,
    assumed: Assumed,
    steps: Steps,
) -> Vec<u64> {
    let mut tally = Tally::empty(steps);
    let repeats_visible = assumed.ends_visible && destination.protocol == TCP;
    for lives in ports.into_iter().flat_map(|ports| ports.lives.lives()) {
        add_lost(lives, repeats_visible, steps, &mut tally.lost_at);
    }
    tally.lost_at
}

/// Destinations of which the fullest second of each step is kept: more than any report lists.
const SWEPT_BY_STEP: usize = 64;

/// Minutes that are so nearly as full as the fullest are as full: which of them it was, whatever was refused tells.
const AS_FULL: f64 = 0.99;

/// How much was held from which second on, until the next.
type Levels = Vec<(i64, u32)>;

/// An exact sweep over every port's holdings.
struct Sweep {
    least: Levels,
    hold: Levels,
    most: Levels,
}

impl Sweep {
    fn over(holdings: impl Iterator<Item = Holding>, window: TimeWindow) -> Self {
        let (from, to) = (window.start().as_second(), window.end().as_second() - 1);
        let (mut least, mut hold, mut most) = (Vec::new(), Vec::new(), Vec::new());
        for Holding { start, sure, until } in holdings {
            // At the beginning of its first second it was not held yet; within that second it was.
            let sure = sure.map(|(first, last)| (first + 1, last));
            let spans = [
                (&mut least, sure),
                (&mut hold, Some((start + 1, until))),
                (&mut most, Some((start, until))),
            ];
            for (events, span) in spans {
                let Some((start, end)) = span else { continue };
                if start <= to && end >= from && start <= end {
                    events.push((start.max(from), 1));
                    events.push((end + 1, -1));
                }
            }
        }
        Self { least: levels(least), hold: levels(hold), most: levels(most) }
    }

    /// The fullest second of the minutes in question. Of those that are about as full it is in the one in which
    /// most attempts were `lost`: only a full destination loses them.
    fn peak(&self, asked: TimeWindow, steps: Steps, lost: &[u64]) -> Peak {
        let (hold, at) = highest(&self.hold, asked);
        let lost_in = |step: usize| lost.get(step).copied().unwrap_or(0);
        let as_full = |step: &usize| {
            let (held, at) = within(steps, *step, asked).map_or((0, None), |step| highest(&self.hold, step));
            f64::from(held) >= f64::from(hold) * AS_FULL && at.is_some() && lost_in(*step) > 0
        };
        let most_lost = (0..steps.count()).rev().filter(as_full).max_by_key(|step| lost_in(*step));
        let telling = most_lost.and_then(|step| within(steps, step, asked));
        // Where it stayed as full until then, it was full from the first second on.
        let apart = |step: &TimeWindow| {
            let since = at.unwrap_or(asked.start().as_second());
            f64::from(lowest_in(&self.hold, since, step.start().as_second())) < f64::from(hold) * AS_FULL
        };
        let telling = telling.filter(apart);
        let (hold, at) = telling.map_or((hold, at), |step| highest(&self.hold, step));
        Peak {
            least: highest(&self.least, asked).0,
            hold,
            most: highest(&self.most, asked).0,
            at: at.unwrap_or(asked.start().as_second()),
        }
    }

    /// The fullest second of each step.
    fn by_step(&self, steps: Steps) -> Vec<Held> {
        let of_step = |step: usize| {
            let of = |levels: &Levels| highest_in(levels, steps.at(step), steps.at(step + 1) - 1).0;
            Held { least: of(&self.least), hold: of(&self.hold), most: of(&self.most) }
        };
        (0..steps.count()).map(of_step).collect()
    }
}

/// The part of a step that lies in the minutes in question.
fn within(steps: Steps, step: usize, asked: TimeWindow) -> Option<TimeWindow> {
    let second = |s: i64| Timestamp::from_second(s).ok();
    let (from, to) = (second(steps.at(step))?, second(steps.at(step + 1))?);
    TimeWindow::new(from.max(asked.start()), to.min(asked.end())).ok()
}

/// The running sum of changes, once for each second at which it changes.
fn levels(mut changes: Vec<(i64, i32)>) -> Levels {
    changes.sort_unstable();
    let mut now = 0_i32;
    let of_second = |changes: &[(i64, i32)]| {
        now += changes.iter().map(|(_, change)| change).sum::<i32>();
        (changes[0].0, u32::try_from(now).unwrap_or(0))
    };
    changes.chunk_by(|a, b| a.0 == b.0).map(of_second).collect()
}

/// The lowest level from one second to another, both included.
fn lowest_in(levels: &Levels, from: i64, to: i64) -> u32 {
    let begun = levels.partition_point(|(second, _)| *second <= from);
    let at_first = begun.checked_sub(1).map_or(0, |before| levels[before].1);
    let later = levels[begun..].iter().take_while(|(second, _)| *second <= to).map(|(_, level)| *level);
    later.fold(at_first, u32::min)
}

/// The highest level within a window, and the second at which it was first reached in it.
fn highest(levels: &Levels, window: TimeWindow) -> (u32, Option<i64>) {
    highest_in(levels, window.start().as_second(), window.end().as_second() - 1)
}

/// The same from one second to another, both included.
fn highest_in(levels: &Levels, from: i64, to: i64) -> (u32, Option<i64>) {
    let begun = levels.partition_point(|(second, _)| *second <= from);
    let at_first = begun.checked_sub(1).map_or(0, |before| levels[before].1);
    let (mut most, mut at) = (at_first, (at_first > 0).then_some(from));
    for (second, level) in levels[begun..].iter().take_while(|(second, _)| *second <= to) {
        if *level > most {
            (most, at) = (*level, Some(*second));
        }
    }
    (most, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(from: i64, to: i64) -> TimeWindow {
        let second = |s: i64| Timestamp::from_second(s).expect("valid");
        TimeWindow::new(second(from), second(to)).expect("in order")
    }

    fn held(start: i64, until: i64) -> Holding {
        Holding { start, sure: Some((start, until)), until }
    }

    #[test]
    fn what_was_held_before_counts_where_it_lasts_into_the_window() {
        let sweep = Sweep::over([held(0, 70), held(10, 20), held(90, 95)].into_iter(), window(0, 180));
        let steps = Steps::over(window(0, 180));
        let peak = sweep.peak(window(60, 120), steps, &[]);
        assert_eq!((peak.hold, peak.at), (1, 60));
        assert_eq!(sweep.peak(window(0, 180), steps, &[]).hold, 2);
        assert_eq!(sweep.by_step(steps).iter().map(|held| held.hold).collect::<Vec<_>>(), [2, 1, 0]);
    }

    #[test]
    fn of_equal_peaks_the_one_in_the_minute_that_lost_most_is_meant() {
        let sweep = Sweep::over([held(5, 20), held(65, 80), held(125, 140)].into_iter(), window(0, 180));
        let steps = Steps::over(window(0, 180));
        let at = |lost: &[u64]| sweep.peak(window(0, 180), steps, lost).at;
        assert_eq!([at(&[]), at(&[2, 5, 3]), at(&[0, 4, 4])], [6, 66, 66]);
        // One that lasts is full from its first second on.
        let sweep = Sweep::over([held(5, 140)].into_iter(), window(0, 180));
        assert_eq!(sweep.peak(window(0, 180), steps, &[2, 5, 3]).at, 6);
    }
}
