//! One pass over the records: counts what bears on the window, and sums it up.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hashbrown::HashMap;

use super::at_work::AtWork;
use super::common_ports::CommonPorts;
use super::formats::{Assumed, Formats};
use super::gaps::{Damage, Part, no_gateway};
use super::shown_at::{Showing, ShownAt};
use super::sweep::{SWEPT_BY_STEP, highest};
use super::tables::{Interner, Ports, Volumes};
use super::tallies::{changes, fullest_address, lost_in_steps, sweep, tallies};
use super::{instant, lead_seconds};
use crate::evidence::infer::{Inference, Inferred};
use crate::evidence::lately::{Lately, mark};
use crate::evidence::lives::Lives;
use crate::evidence::port_tables::{Chunk, PortTables, Use};
use crate::evidence::recorded_owners::RecordedOwners;
use crate::evidence::repeats::Repeats;
use crate::evidence::roles::Roles;
use crate::evidence::scope::{Scope, Spot, Spots};
use crate::evidence::{
    ClientUse, Destination, Evidence, Peak, PortRecord, Rejected, RejectedWay, Side, Source, Tally, Viewpoint,
};
use crate::flow::Interval;
use crate::flow::reader::{Reading, Sink};
use crate::flow::record::{Action, FlowRecord};
use crate::gap::{Fix, Gap};
use crate::incident::TimeWindow;
use crate::network::{GatewayKind, IDLE_TIMEOUT_SECONDS, NatGateway, PORTS_PER_ADDRESS};
use crate::words;

/// Which records are counted, by their times.
#[derive(Clone, Copy)]
pub(super) struct Times {
    /// The window to look at, where it is named.
    pub(super) window: Option<TimeWindow>,
    /// The minutes in question within it.
    pub(super) asked: Option<TimeWindow>,
    /// Where they are not: about when most of the records begin. What is far from it is a damaged
    /// line, which would stretch the window over years.
    pub(super) about: Option<i64>,
    /// Where they are not, and the records are of times far apart: the time in question.
    pub(super) within: Option<(i64, i64)>,
}

/// A window that was not named holds at least so many seconds of which all is known.
pub(super) const MIN_KNOWN: i64 = 60;

/// A gateway has one interface; where nothing tells which, so many are remembered.
pub(super) const MOST_SEEN_ON: usize = 64;

/// So few attempts without an answer say nothing of when it was worst.
pub(super) const MIN_UNANSWERED: usize = 100;

/// Records further than this from the others, in seconds, are of another time.
pub(super) const FAR_AWAY: i64 = 31 * 86_400;

/// Where what a record shows is counted.
#[derive(Clone, Copy)]
struct Place {
    /// The holder's number.
    holder: u32,
    /// The table of its ports.
    table: usize,
    /// Its place among the volumes.
    volume: usize,
}

/// What the records of one group have in common.
#[derive(Clone, Copy)]
struct Group {
    /// What its first record shows.
    seen: Option<PortRecord>,
    /// How the gateway shows in those that were let through, once there was one.
    showing: Option<Option<Showing>>,
    /// Where the last one was counted that was.
    last: Option<(u16, u8, Place)>,
}

/// Counts records as they come.
pub(super) struct Counter<'view> {
    pub(super) viewpoint: &'view Viewpoint,
    nobody_known: bool,
    /// The same to which the private servers that an earlier pass found are no clients.
    pub(super) knowing: Option<Viewpoint>,
    pub(super) times: Times,
    /// Records of another time.
    pub(super) astray: u64,
    pub(super) aggregation: u32,
    pub(super) assumed: Assumed,
    pub(super) addresses: Interner,
    volumes: Volumes,
    /// The places of the records that came lately.
    lately: Lately<(Side, IpAddr, Destination), Place>,
    /// The groups of the present block of which a record was met.
    groups: Vec<Option<Group>>,
    /// Whether nothing but addresses tells what a record shows.
    ports_tell_nothing: bool,
    pub(super) tables: PortTables,
    pub(super) sides: HashMap<(Side, Destination), Ports>,
    pub(super) other_zones: HashMap<Destination, Ports>,
    /// Packets that left the gateway and were turned away by a rule: towards whom, when, how many.
    pub(super) turned_away: Vec<(Destination, i64, u64)>,
    /// Packets that any rule turned away.
    pub(super) rejected: BTreeMap<Rejected, u64>,
    pub(super) roles: Roles,
    pub(super) services: BTreeMap<IpAddr, String>,
    pub(super) owners: RecordedOwners,
    pub(super) records: u64,
    pub(super) first: i64,
    pub(super) last: i64,
    /// First and last second of all records that bear on the window, the gateway's or not.
    pub(super) span: (i64, i64),
    /// The same of all records whatever.
    pub(super) read: (i64, i64),
    /// Whether any of those that bear on the window was let through.
    pub(super) let_through: bool,
    /// Records of the gateway at work.
    pub(super) at_work: AtWork,
    pub(super) formats: Formats,
    pub(super) repeats: Repeats,
    pub(super) common_ports: CommonPorts,
    /// First and last second of intervals without traffic.
    pub(super) idle: (i64, i64),
    pub(super) skipped: Spots,
    /// Lines that could not be used.
    pub(super) unusable: Spots,
    /// The interfaces whose records were the gateway's, where none is named.
    pub(super) seen_on: Vec<Box<[u8]>>,
    /// At which interfaces the gateway's addresses show, where only these are known.
    pub(super) shown_at: Option<ShownAt>,
}

impl<'view> Counter<'view> {
    pub(super) fn new(
        viewpoint: &'view Viewpoint,
        times: Times,
        aggregation: u32,
        assumed: Assumed,
        roles: Roles,
    ) -> Self {
        let Viewpoint { kind, addresses, interfaces, .. } = viewpoint;
        Self {
            nobody_known: addresses.is_empty() && interfaces.is_empty() && *kind != GatewayKind::Regional,
            viewpoint,
            knowing: roles.viewpoint(viewpoint),
            times,
            astray: 0,
            aggregation,
            assumed,
            addresses: Interner::default(),
            volumes: Volumes::default(),
            lately: Lately::default(),
            groups: Vec::new(),
            ports_tell_nothing: viewpoint.kind != GatewayKind::Private && !roles.suspects_any(),
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
            let_through: false,
            at_work: AtWork::default(),
            formats: Formats::default(),
            repeats: Repeats::default(),
            common_ports: CommonPorts::default(),
            idle: (i64::MAX, i64::MIN),
            skipped: Spots::default(),
            unusable: Spots::default(),
            seen_on: Vec::new(),
            shown_at: None,
        }
    }

    pub(super) fn no_data(&mut self, interval: &Interval<'_>) {
        if let Some((from, to)) = interval.span {
            self.idle = (self.idle.0.min(from), self.idle.1.max(to));
        }
    }

    /// Whether it is not known, either, what the gateway is: then anyone may be it, a client too.
    pub(super) fn knows_no_gateway(&self) -> bool {
        self.nobody_known
    }

    /// What is missing, and of what.
    pub(super) fn damage(&self, reading: &Reading) -> Damage {
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
    pub(super) fn part(&self) -> Option<Part> {
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

    pub(super) fn repeated_gap(&self) -> Option<Gap> {
        let found = self.repeats.found();
        (found > 0).then(|| {
            Gap::new(
                "records that came more than once",
                format!("{} had come before, and count once", words::counted(found, "record")),
                "give each record once",
            )
        })
    }

    pub(super) fn bears_on_window(&mut self, record: &FlowRecord<'_>) -> bool {
        let Some(window) = self.times.window else {
            let astray = self.times.about.is_some_and(|about| (record.start - about).abs() > FAR_AWAY);
            self.astray += u64::from(astray);
            let within = self.times.within.is_none_or(|(from, to)| (from..=to).contains(&record.start));
            return !astray && within;
        };
        let from = window.start().as_second() - lead_seconds(self.aggregation);
        (from..window.end().as_second()).contains(&record.start)
    }

    pub(super) fn astray_gap(&self) -> Option<Gap> {
        (self.astray > 0).then(|| {
            Gap::new(
                format!("{} records of another time", self.astray),
                "they begin more than 31 days from most of the others: damaged lines, or files of another incident",
                "name the minutes in question with --window",
            )
        })
    }

    /// Every record is of what a rule turned away, as those of a flow log with the traffic type REJECT are.
    pub(super) fn only_rejected(&self) -> Option<Gap> {
        let (from, to) = self.span;
        (from <= to && !self.let_through).then(|| {
            Gap::new(
                "any traffic that was let through",
                "every record says REJECT, as in a flow log of the traffic type REJECT. Such records hold no port",
                Fix::run_to(
                    "give the files of a flow log of the traffic type ALL, which this shows",
                    "aws ec2 describe-flow-logs --query 'FlowLogs[].[FlowLogId,ResourceId,TrafficType,LogDestination]' --output text",
                ),
            )
            .deciding()
        })
    }

    /// Why no record of the gateway was counted, and what the files hold instead.
    pub(super) fn nothing_seen(&self, inference: &Inference) -> Option<Gap> {
        if self.records > 0 || self.only_rejected().is_some() {
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
                        "the files hold only NODATA records, of {span}: the interfaces had no traffic then"
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

    pub(super) fn note_rejected(&mut self, seen: &PortRecord, record: &FlowRecord<'_>) {
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
    pub(super) fn settle(&mut self) {
        let added = std::mem::replace(&mut self.tables, PortTables::new(self.assumed.ends_visible));
        let mut tables = added.finish();
        let mut volumes = std::mem::take(&mut self.volumes).by_table(tables.len());
        for ports in self.sides.values_mut().chain(self.other_zones.values_mut()) {
            ports.lives = std::mem::take(&mut tables[ports.table]);
            ports.volumes = std::mem::take(&mut volumes[ports.table]);
        }
    }

    /// Whether the clients' own interfaces are needed to join clients with destinations.
    pub(super) fn needs_client_interfaces(&self) -> bool {
        !self.assumed.packet_addresses && self.viewpoint.kind != GatewayKind::Regional
    }

    /// The window where none was named: from when the records reach back far enough to tell what was held, to
    /// their end. Where the minutes before that look worse, or there are no others, it is all of them.
    pub(super) fn unnamed_window(&self) -> Option<TimeWindow> {
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
        let [full_before, full] = self.fullest_of(whole, [before, known]);
        let worse = full_before > full.max(PORTS_PER_ADDRESS / 2) || {
            let [unanswered_before, unanswered] = self.unanswered([before, known]);
            unanswered_before > unanswered.max(MIN_UNANSWERED)
        };
        Some(if worse { whole } else { known })
    }

    /// The most ports that any destination held within these minutes.
    fn fullest(&self, window: TimeWindow) -> u32 {
        let [held] = self.fullest_of(window, [window]);
        held
    }

    /// The same of several parts of the minutes.
    fn fullest_of<const N: usize>(&self, window: TimeWindow, parts: [TimeWindow; N]) -> [u32; N] {
        let mut fullest = [0; N];
        for (_, ports) in self.sides.iter().filter(|((side, _), _)| *side == Side::Gateway) {
            let swept = sweep(ports, window);
            for (most, part) in fullest.iter_mut().zip(parts) {
                *most = highest(&swept.hold, part).0.max(*most);
            }
        }
        fullest
    }

    /// Attempts that began within each of these minutes and got no answer, as the clients' side shows.
    fn unanswered<const N: usize>(&self, windows: [TimeWindow; N]) -> [usize; N] {
        let mut unanswered = [0; N];
        let of_some = |some: &[Chunk]| {
            let mut unanswered = [0; N];
            let stretches = some.iter().flatten().flat_map(|(_, lives)| lives.stretches());
            for stretch in stretches.filter(|stretch| stretch.unanswered().is_some()) {
                for (count, window) in unanswered.iter_mut().zip(windows) {
                    let within = window.start().as_second()..window.end().as_second();
                    *count += usize::from(within.contains(&i64::from(stretch.start)));
                }
            }
            unanswered
        };
        let join = |all: &mut [usize; N], some: [usize; N]| {
            all.iter_mut().zip(some).for_each(|(count, more)| *count += more);
        };
        for (_, ports) in self.sides.iter().filter(|((side, _), _)| *side == Side::Client) {
            join(&mut unanswered, ports.lives.sum(of_some, join));
        }
        unanswered
    }

    pub(super) fn finish(mut self) -> Evidence {
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
        let few = self.sides.iter().filter(of_side(Side::Gateway)).count() <= SWEPT_BY_STEP;
        for ((_, destination), ports) in self.sides.iter().filter(of_side(Side::Gateway)) {
            let by_port = Destination { address: None, ..*destination };
            // Summed once for each: very many destinations may share a port.
            let known_by = if clients.contains_key(destination) { *destination } else { by_port };
            let lost = lost.entry(known_by).or_insert_with(|| {
                lost_in_steps(clients.get(&known_by).copied(), known_by, self.assumed, steps)
            });
            let swept = sweep(ports, window);
            let peak = swept.peak(asked, steps, lost);
            if few {
                evidence.step_peaks.insert(*destination, swept.by_step(steps));
            }
            evidence.peaks.insert(*destination, peak);
            evidence.fullest_addresses.extend(
                fullest_address(ports, (window, asked), &swept, &self.addresses)
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
        for (_, _, destination) in fullest.into_iter().take(if few { 0 } else { SWEPT_BY_STEP }) {
            let Some(ports) = self.sides.get(&(Side::Gateway, destination)) else { continue };
            evidence.step_peaks.insert(destination, sweep(ports, window).by_step(steps));
        }
        for (destination, clients) in clients {
            let Some(gateway) = self.sides.get(&(Side::Gateway, destination)) else { continue };
            let mut by_client = changes(clients, window, |stretch| stretch.unanswered().is_none());
            by_client.join(changes(gateway, window, |stretch| stretch.unanswered().is_some()));
            evidence.peaks_by_client.insert(destination, by_client.swept().peak(asked, steps, &[]));
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
        if !self.bears_and_is_noted(record) {
            return;
        }
        if let Some(shown_at) = &mut self.shown_at {
            shown_at.note(record, self.viewpoint);
        }
        if !self.knows_no_gateway()
            && let Some(seen) = self.classify(record)
        {
            self.count(seen, record, None);
        }
    }

    #[inline]
    fn record_of_group(&mut self, record: &FlowRecord<'_>, group: usize) {
        // Which of two private addresses is a server's, the ports tell.
        if self.knowing.is_some() || self.nobody_known {
            return self.record(record);
        }
        if !self.bears_and_is_noted(record) {
            return;
        }
        let Group { seen, showing, last } = match self.groups.get(group) {
            Some(Some(known)) => *known,
            _ => self.begin_group(record, group),
        };
        if let Some(shown_at) = &mut self.shown_at
            && record.action != Action::Reject
        {
            let showing = showing.unwrap_or_else(|| {
                let showing = shown_at.showing(record, self.viewpoint);
                if let Some(Some(known)) = self.groups.get_mut(group) {
                    known.showing = Some(showing);
                }
                showing
            });
            if let Some(showing) = showing {
                shown_at.note_again(showing);
            }
        }
        let Some(seen) = seen.map(|seen| seen.of_group(record)) else { return };
        let Destination { port, protocol, .. } = seen.destination;
        let place = match last {
            Some((of_port, of_protocol, place)) if (of_port, of_protocol) == (port, protocol) => Some(place),
            _ => None,
        };
        let counted_at = self.count(seen, record, place);
        if place.is_none()
            && self.ports_tell_nothing
            && let Some(place) = counted_at
            && let Some(Some(known)) = self.groups.get_mut(group)
        {
            known.last = Some((port, protocol, place));
        }
    }

    fn end_groups(&mut self) {
        self.groups.clear();
    }
}

impl Counter<'_> {
    /// Whether a record bears on the window: then it is noted that there is one.
    #[inline]
    fn bears_and_is_noted(&mut self, record: &FlowRecord<'_>) -> bool {
        self.read = (self.read.0.min(record.start), self.read.1.max(record.end));
        let bears = self.bears_on_window(record);
        if bears {
            self.span = (self.span.0.min(record.start), self.span.1.max(record.end));
            self.let_through |= record.action == Action::Accept;
        }
        bears
    }

    fn classify(&self, record: &FlowRecord<'_>) -> Option<PortRecord> {
        let at_client = || self.roles.at_client(self.knowing.as_ref()?, record);
        self.viewpoint.classify(record).or_else(at_client)
    }

    /// What the first record of a group tells of the others as well.
    #[cold]
    fn begin_group(&mut self, record: &FlowRecord<'_>, group: usize) -> Group {
        let known = Group { seen: self.classify(record), showing: None, last: None };
        if self.groups.len() <= group {
            self.groups.resize(group + 1, None);
        }
        self.groups[group] = Some(known);
        known
    }

    /// Counts what a record shows, at its place where that is known already. Where it was counted, with what else is
    /// of its place.
    #[inline]
    fn count(&mut self, seen: PortRecord, record: &FlowRecord<'_>, known: Option<Place>) -> Option<Place> {
        // Where it is known, nothing but addresses tells what a record shows, and another of its group was counted.
        let is_first = known.is_none();
        let seen = if is_first { self.corrected(seen, record) } else { seen };
        if is_first {
            self.owners.note(&seen, record);
            self.formats.used(seen.side);
        }
        if seen.side == Side::AtClient && !self.needs_client_interfaces() {
            return None;
        }
        if self.repeats.again(record) {
            return None;
        }
        if seen.side != Side::AtClient {
            if is_first
                && self.viewpoint.interfaces.is_empty()
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
            return None;
        }
        if is_first
            && let (Some(service), Some(server)) = (record.dst_service, seen.destination.address)
            && seen.outward
            && !self.services.contains_key(&server)
        {
            self.services.insert(server, String::from_utf8_lossy(service).into_owned());
        }
        let place = known.unwrap_or_else(|| self.place(&seen));
        let Place { holder, table, volume } = place;
        self.volumes.add(volume, record, seen.outward);
        let used = Use {
            start: u32::try_from(record.start).expect("the parser takes no time past 32 bits"),
            lasted: u16::try_from(record.end - record.start).expect("the parser cuts what spans more"),
            outward: seen.outward,
            flags: record.tcp_flags.unwrap_or_default(),
            packets: u32::try_from(record.packets).unwrap_or(u32::MAX),
        };
        self.tables.add(table, (holder, seen.port), used);
        Some(place)
    }

    /// What a record shows, with the roles that the ports tell.
    fn corrected(&mut self, seen: PortRecord, record: &FlowRecord<'_>) -> PortRecord {
        let (viewpoint, ranges) = (self.viewpoint, &self.viewpoint.client_ranges);
        // Between addresses of one VPC no packet goes through its gateway.
        let of_vpc = |address| ranges.iter().any(|range| range.contains(&address));
        self.roles.corrected(viewpoint.kind, seen, record, of_vpc)
    }

    /// Where to count a record.
    #[inline]
    fn place(&mut self, seen: &PortRecord) -> Place {
        let PortRecord { side, holder, destination, .. } = *seen;
        let server = destination.address.map_or(0, mark);
        let mark = mark(holder) ^ server.rotate_left(24) ^ u64::from(destination.port) << 44;
        self.lately.find(mark ^ (side as u64) << 62, (side, holder, destination), || {
            let number = self.addresses.number(holder);
            let tables = &mut self.tables;
            let new = || Ports::of_table(tables.new_table());
            let ports = if side == Side::Gateway && self.viewpoint.elsewhere.contains(&holder) {
                self.other_zones.entry(destination).or_insert_with(new)
            } else {
                self.sides.entry((side, destination)).or_insert_with(new)
            };
            Place { holder: number, table: ports.table, volume: self.volumes.place(ports.table, number) }
        })
    }
}
