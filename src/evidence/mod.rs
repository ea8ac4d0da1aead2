//! What the flow logs show: how many ports each destination held, when, and who held them.
//!
//! [`EvidenceSource`] is the role; [`files`] reads flow-log files, [`bucket`] reads those that are in S3, and
//! [`insights`] asks Logs Insights, and [`athena`] Athena; [`live`] chooses among the latter three. All fill the same [`Evidence`], sampled
//! at the same instants, so that one diagnosis follows from any.

pub mod athena;
pub mod bucket;
pub mod files;
mod infer;
pub mod insights;
mod kept;
mod lately;
mod leg;
mod leg_rules;
pub mod live;
mod lives;
mod packed;
mod port_tables;
mod recorded_owners;
mod repeats;
mod roles;
mod scope;
mod steps;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::flow::{Field, LogFormat};
use crate::gap::Gap;
use crate::incident::{Incident, TimeWindow};
use crate::network::Network;

use insights::{Answer, Query, Rung};

pub use kept::Kept;
pub use leg::{PortRecord, Side, Viewpoint};
pub use steps::Steps;

/// A party on the far side of the gateway: the limit is per destination, never per address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Destination {
    /// `None` where the records show the port but not the address (leg A in a format without
    /// `pkt-dstaddr`).
    pub address: Option<IpAddr>,
    /// 0 for protocols without ports.
    pub port: u16,
    /// IANA protocol number.
    pub protocol: u8,
}

/// IANA protocol number of TCP, the only protocol whose connections begin and end visibly.
pub const TCP: u8 = 6;

/// Ports held at one step, as a range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// At the step's instant, counting only the time between first and last packet.
    pub least: u32,
    /// At the step's instant, with the idle timeout added wherever no end was seen.
    pub hold: u32,
    /// At any time within the step, with the idle timeout added wherever no end was seen: nothing
    /// in the step can have been above it.
    pub most: u32,
}

impl Held {
    /// A part of the range, as a fraction of 1.
    #[must_use]
    pub fn part(self, fraction: f64) -> Self {
        let of = |count: u32| (f64::from(count) * fraction).round() as u32;
        Self { least: of(self.least), hold: of(self.hold), most: of(self.most) }
    }

    /// The sum of two ranges.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            least: self.least.saturating_add(other.least),
            hold: self.hold.saturating_add(other.hold),
            most: self.most.saturating_add(other.most),
        }
    }
}

/// What was counted for one destination, or for one client towards one destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Connections that got an answer: one range per step; as long as [`Steps::count`].
    pub held: Vec<Held>,
    /// The same of attempts that got none. On the clients' side they may have got no port at all;
    /// the gateway's side shows those that did. As long as [`Steps::count`].
    pub silent: Vec<Held>,
    /// First packets within the step that got no answer: all of those of connections that never got any, and
    /// those before the one that did, told by how long that took. Times are
    /// whole seconds, so the latter are an upper bound; they are told for TCP alone, and only where
    /// the format shows beginnings. As long as [`Steps::count`].
    pub lost_at: Vec<u64>,
    /// What was held at the destination's fullest second, where the source can tell it exactly: a
    /// burst between two steps shows at neither.
    pub at_peak: Option<AtPeak>,
    /// Distinct (address, port) seen.
    pub connections: u64,
    /// Of these, how many were seen to end with a FIN or RST.
    pub ended: u64,
    /// Of these, how many never got any answer.
    pub unanswered: u64,
    /// Seconds between first and last packet, summed over connections.
    pub active_seconds: u64,
    /// Packets towards the destination.
    pub sent: u64,
    /// Packets, both ways.
    pub packets: u64,
    /// Bytes, both ways.
    pub bytes: u64,
    /// Flow-log records.
    pub records: u64,
}

/// Ports held at one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtPeak {
    /// By connections that got an answer.
    pub held: Held,
    /// By attempts that got none.
    pub silent: Held,
}

impl Tally {
    /// Nothing counted, over `steps`.
    #[must_use]
    pub fn empty(steps: Steps) -> Self {
        Self {
            held: vec![Held::default(); steps.count()],
            silent: vec![Held::default(); steps.count()],
            lost_at: vec![0; steps.count()],
            ..Self::default()
        }
    }

    /// What was held at each step, answered or not: on the gateway's side, every port.
    pub fn all_held(&self) -> impl Iterator<Item = Held> {
        self.held.iter().zip(&self.silent).map(|(held, silent)| held.plus(*silent))
    }

    /// Adds what was counted of another part.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.held.iter_mut().zip(&other.held) {
            *mine = mine.plus(*theirs);
        }
        for (mine, theirs) in self.silent.iter_mut().zip(&other.silent) {
            *mine = mine.plus(*theirs);
        }
        for (mine, theirs) in self.lost_at.iter_mut().zip(&other.lost_at) {
            *mine += theirs;
        }
        if let Some(theirs) = other.at_peak {
            let mine = self.at_peak.unwrap_or_default();
            self.at_peak =
                Some(AtPeak { held: mine.held.plus(theirs.held), silent: mine.silent.plus(theirs.silent) });
        }
        self.connections = self.connections.saturating_add(other.connections);
        self.ended = self.ended.saturating_add(other.ended);
        self.unanswered = self.unanswered.saturating_add(other.unanswered);
        self.active_seconds = self.active_seconds.saturating_add(other.active_seconds);
        self.sent = self.sent.saturating_add(other.sent);
        self.packets = self.packets.saturating_add(other.packets);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.records = self.records.saturating_add(other.records);
    }
}

/// A client's part in one destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClientUse {
    /// The private address that opened the connections.
    pub client: IpAddr,
    /// Towards which destination; without an address where the records do not join the two.
    pub destination: Destination,
}

/// Where the evidence came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Flow-log files.
    #[default]
    Files,
    /// CloudWatch Logs Insights.
    LogsInsights,
    /// Flow-log files in S3, read in place.
    S3,
    /// Flow-log files in S3, read by Athena.
    Athena,
}

/// How much of the window the flow logs held.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// The first packet of the earliest record of the gateway.
    pub logs_from: Option<Timestamp>,
    /// The last packet of the latest record of the gateway.
    pub logs_until: Option<Timestamp>,
    /// The longest time, in seconds, for which no record of the gateway tells anything between the
    /// first and the last; 0 where the source can't tell.
    pub longest_hole: i64,
    /// Whether there are usually so many records at any time that none for a minute means that they
    /// are missing, and not that the gateway was idle.
    pub busy: bool,
    /// Records of the gateway that were used.
    pub records_read: u64,
    /// Lines that could not be used, whatever the reason.
    pub records_rejected: u64,
    /// Files that could not be read, or not to their end.
    pub files_failed: u64,
    /// SKIPDATA records: each may stand for many that were left out.
    pub skipdata: u64,
    /// Seconds that one record may span.
    pub aggregation_seconds: u32,
    /// Where the records came from.
    pub source: Source,
    /// The formats met, as format strings.
    pub formats: Vec<String>,
    /// Which flow log was asked, of how many, and why that one; `None` of files.
    pub flow_log: Option<String>,
    /// Before when the source holds nothing, and never will; `None` where that is not known.
    pub kept_from: Option<Timestamp>,
    /// Which question to Logs Insights or Athena was answered; `None` of files, and where none was.
    pub question: Option<Rung>,
}

impl Coverage {
    /// Whether so much of the input could not be used that what is missing may matter: a file, or more
    /// than a hundredth of the lines.
    #[must_use]
    pub fn damaged(&self) -> bool {
        self.files_failed > 0 || self.records_rejected.saturating_mul(100) > self.records_read
    }

    /// Whether a format of the records lacks a field.
    #[must_use]
    pub fn lacks(&self, field: Field) -> bool {
        let lacks = |format: &String| format.parse::<LogFormat>().is_ok_and(|format| !format.has(field));
        self.formats.iter().any(lacks)
    }
}

/// One query that was run, or would be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QueryRun {
    /// What it answers.
    pub purpose: String,
    /// Its text, which can be pasted into the console.
    pub text: String,
    /// The log groups that it asked.
    pub log_groups: Vec<String>,
    /// By when records had begun at the earliest.
    pub from: Timestamp,
    /// By when at the latest, that second included.
    pub to: Timestamp,
    /// Uncompressed bytes that Logs Insights scanned.
    pub bytes_scanned: Option<u64>,
    /// Log events that it scanned.
    pub records_scanned: Option<u64>,
    /// What that cost, in US dollars, at the list price.
    pub cost_usd: Option<f64>,
    /// Where to open it in the console.
    pub console_url: Option<String>,
    /// Which question of the ladder it puts; `null` for what is asked besides.
    #[serde(default)]
    pub rung: Option<Rung>,
}

impl QueryRun {
    /// A query with what came of it.
    #[must_use]
    pub fn of(query: &Query, answer: Option<&Answer>) -> Self {
        let second = |s: i64| Timestamp::from_second(s).unwrap_or(Timestamp::UNIX_EPOCH);
        Self {
            purpose: query.purpose.as_str().to_owned(),
            text: query.text.clone(),
            log_groups: query.log_groups.clone(),
            from: second(query.from),
            to: second(query.to),
            bytes_scanned: answer.and_then(|answer| answer.bytes_scanned),
            records_scanned: answer.and_then(|answer| answer.records_scanned),
            cost_usd: answer.and_then(|answer| answer.cost_usd),
            console_url: None,
            rung: None,
        }
    }
}

/// How clients were joined to destinations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Attribution {
    /// By records that show client and destination of one connection through this gateway.
    Connection,
    /// By the clients' own interfaces, for clients that were seen to use this gateway on that port.
    ClientInterface,
    /// By the destination port alone: other destinations on the same port are counted in.
    DestinationPort,
    /// Not at all.
    #[default]
    None,
}

impl Attribution {
    /// Whether such a client certainly used the destination.
    #[must_use]
    pub fn is_certain(self) -> bool {
        matches!(self, Self::Connection | Self::ClientInterface)
    }
}

/// What the flow logs show of one gateway over one window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The window that was looked at; for files without one, all that they hold.
    pub window: TimeWindow,
    /// The minutes in question, within the window: of an alarm those that it counted. What comes before them
    /// says what was held when they began.
    pub asked: TimeWindow,
    /// The instants at which held ports were counted.
    pub steps: Steps,
    /// Per destination, counted by the gateway's own ports.
    #[serde(with = "kept::pairs")]
    pub destinations: BTreeMap<Destination, Tally>,
    /// The same of a regional gateway's addresses in other zones than the alarmed one.
    #[serde(with = "kept::pairs")]
    pub elsewhere: BTreeMap<Destination, Tally>,
    /// The greatest number held at any second of the minutes in question, where the source can tell it
    /// exactly.
    #[serde(with = "kept::pairs")]
    pub peaks: BTreeMap<Destination, Peak>,
    /// The same within each step, of the fullest destinations.
    #[serde(with = "kept::pairs")]
    pub step_peaks: BTreeMap<Destination, Vec<Held>>,
    /// Of a gateway that shows with several addresses, the one on which most ports were held at once.
    #[serde(with = "kept::pairs")]
    pub fullest_addresses: BTreeMap<Destination, OnAddress>,
    /// The same counted another way: answered connections by the clients' ports, the others by the
    /// gateway's. A gateway port that is let go and taken again within one record looks held in
    /// between; a client comes back to a port of its own much later.
    #[serde(with = "kept::pairs")]
    pub peaks_by_client: BTreeMap<Destination, Peak>,
    /// Per client and destination, as the gateway saw them come in.
    #[serde(with = "kept::pairs")]
    pub clients: BTreeMap<ClientUse, Tally>,
    /// Per address inside to which packets only went, how many of the gateway's ports they came from: answers that
    /// nobody asked for, or all that shows of a server that does not answer. Only Logs Insights fills it.
    pub unasked: BTreeMap<IpAddr, u64>,
    /// Per client and destination, as the clients' own interfaces saw them go out.
    #[serde(with = "kept::pairs")]
    pub at_clients: BTreeMap<ClientUse, Tally>,
    /// Packets that a rule turned away (REJECT records) in the minutes in question. These hold no port, and the
    /// gateway did not refuse them.
    #[serde(with = "kept::pairs")]
    pub rejected: BTreeMap<Rejected, u64>,
    /// Whether it is in doubt that the records are of the gateway in question.
    pub ambiguous: bool,
    /// Whether that is because there are several, so that the one that this is about need not be the alarm's.
    pub several_gateways: bool,
    /// Whether the records look as if they had been filtered: that there is nothing else, they do not say.
    pub filtered: bool,
    /// Whether the source could not be asked, or gave no answer: there being no record then says
    /// nothing. The gaps say why.
    pub unanswered: bool,
    /// Whether the format shows FIN and RST, so that ends of connections were seen.
    pub ends_visible: bool,
    /// Whether the format shows the packets' own addresses. Without them, what a gateway sends from
    /// its secondary addresses may show as sent from the primary.
    pub packet_addresses: bool,
    /// Destinations whose addresses a flow-log field names as an AWS service.
    pub services: BTreeMap<IpAddr, String>,
    /// How much of the window the records covered.
    pub coverage: Coverage,
    /// The queries that were run.
    pub queries: Vec<QueryRun>,
    /// What could not be seen.
    pub gaps: Vec<Gap>,
    /// What the same minutes an hour earlier show, where they were asked about.
    pub earlier: Option<Box<Evidence>>,
}

impl Evidence {
    /// No evidence at all about `window`: what a diagnosis starts from when every source failed.
    #[must_use]
    pub fn none(window: TimeWindow, source: Source) -> Self {
        Self {
            window,
            asked: window,
            steps: Steps::over(window),
            destinations: BTreeMap::new(),
            elsewhere: BTreeMap::new(),
            peaks: BTreeMap::new(),
            step_peaks: BTreeMap::new(),
            fullest_addresses: BTreeMap::new(),
            rejected: BTreeMap::new(),
            peaks_by_client: BTreeMap::new(),
            clients: BTreeMap::new(),
            unasked: BTreeMap::new(),
            at_clients: BTreeMap::new(),
            ambiguous: false,
            several_gateways: false,
            filtered: false,
            unanswered: false,
            ends_visible: false,
            packet_addresses: true,
            services: BTreeMap::new(),
            coverage: Coverage { source, ..Coverage::default() },
            queries: Vec::new(),
            gaps: Vec::new(),
            earlier: None,
        }
    }

    /// Keeps what the same minutes an hour earlier show, with what was asked and what could not be seen.
    pub fn add_earlier(&mut self, earlier: Evidence) {
        self.queries.extend(earlier.queries.iter().cloned());
        if earlier.unanswered {
            self.gaps.extend(earlier.gaps.iter().cloned());
        }
        self.earlier = Some(Box::new(earlier));
    }

    /// Whether the records reach to the end of the window, or nearly so: traffic may pause.
    pub(crate) fn reaches_end(&self) -> bool {
        let reached =
            |until: Timestamp| until.checked_add(NEAR_END).is_ok_and(|until| until >= self.window.end());
        self.coverage.logs_until.is_some_and(reached)
    }

    /// The steps in which minutes in question lie; all where no step does.
    #[must_use]
    pub fn asked_steps(&self) -> Range<usize> {
        let (from, to) = (self.asked.start().as_second(), self.asked.end().as_second() - 1);
        let asked = self.steps.overlapping(from, to);
        if asked.is_empty() { 0..self.steps.count() } else { asked }
    }
}

/// The fullest of a gateway's addresses towards one destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnAddress {
    /// The gateway's address.
    pub address: IpAddr,
    /// Greatest count between first and last packets.
    pub least: u32,
    /// Greatest count, with the idle timeout added wherever no end was seen.
    pub hold: u32,
}

/// Packets that a rule turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rejected {
    /// Where.
    pub way: RejectedWay,
    /// Towards whom, or from whom they were the answer.
    pub destination: Destination,
    /// The client, where the records show one.
    pub client: Option<IpAddr>,
}

/// Where a rule turned packets away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RejectedWay {
    /// Between client and gateway, on the way in.
    In,
    /// Between gateway and server, on the way out: the gateway had handed out a port.
    Out,
    /// On the way back.
    Back,
}

/// The fullest second of a destination, each end of the range at its own fullest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peak {
    /// Greatest count between first and last packets.
    pub least: u32,
    /// Greatest count at the beginning of a second, with the idle timeout added wherever no end was
    /// seen.
    pub hold: u32,
    /// Greatest count at any time within a second, with the same added.
    pub most: u32,
    /// When `hold` was first reached, in seconds of the Unix epoch; of minutes that were about as full, in the one
    /// in which most attempts got no answer.
    pub at: i64,
}

/// Records that end so near to the end of the window are all that there are.
const NEAR_END: SignedDuration = SignedDuration::from_secs(60);

/// Seconds that one record may span where nothing tells: the longer of the two that flow logs know.
const UNKNOWN_AGGREGATION: u32 = 600;

/// The window to look at for the minutes in question.
///
/// An alarm's begin where its datapoints do, but a record's time is that of its first packet: one aggregation
/// interval earlier for traffic that the first datapoint saw.
#[must_use]
pub fn window_to_look_at(incident: &Incident, network: &Network) -> Option<TimeWindow> {
    let window = incident.window?;
    if incident.alarm.is_none() || incident.exact_window {
        return Some(window);
    }
    let seconds =
        network.flow_logs.iter().map(|log| log.aggregation_seconds).min().unwrap_or(UNKNOWN_AGGREGATION);
    Some(window.begun_earlier(SignedDuration::from_secs(i64::from(seconds))))
}

/// Gathers evidence about an incident.
#[expect(async_fn_in_trait, reason = "used with generics inside this crate; no caller needs Send bounds")]
pub trait EvidenceSource {
    /// Why nothing at all could be gathered.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Evidence for `incident`; what could not be seen is a gap within it. `network` is completed
    /// with what the records tell (a gateway's addresses, where nobody named them).
    ///
    /// # Errors
    /// When there is nothing to diagnose: no source could be read.
    async fn collect(&self, incident: &Incident, network: &mut Network) -> Result<Evidence, Self::Error>;

    /// The same question as [`EvidenceSource::collect`] answered last, about the `earlier` minutes of the gateway. It has to
    /// cost little; `None` where it is not asked.
    async fn collect_earlier(&self, earlier: &Incident, network: &Network) -> Option<Evidence> {
        let _ = (earlier, network);
        None
    }

    /// What is known while evidence is still being gathered, where that is anything.
    fn so_far(&self) -> Option<Evidence> {
        None
    }
}

/// The greatest range of any step, by its held ports.
pub(crate) fn fullest_step(held: impl Iterator<Item = Held>) -> Option<(usize, Held)> {
    let key = |held: &Held| (held.hold, held.least, held.most);
    let mut fullest: Option<(usize, Held)> = None;
    for (index, step) in held.enumerate() {
        if fullest.is_none_or(|(_, best)| key(&step) > key(&best)) {
            fullest = Some((index, step));
        }
    }
    fullest
}
