//! From evidence to an answer: which destination is full, who holds it, how sure we are, and which
//! fixes the evidence supports. Pure: no clock, no network, no environment.
//!
//! The types here are the contract: serialised, they are the diagnosis in JSON.

mod again;
mod answer;
mod changes;
mod clients;
mod commands;
mod earlier;
mod findings;
mod folded;
mod gaps;
mod headline;
mod held;
mod links;
mod pattern;
mod rank;
mod refusals;
mod remedies;
mod remedy;
mod verdict;
mod work;

use std::net::IpAddr;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::evidence::insights::Rung;
use crate::evidence::{Attribution, Evidence, QueryRun, Source};
use crate::gap::Gap;
use crate::incident::{Alarm, Incident, TimeWindow};
use crate::network::{GatewayKind, NameSource, Network, OwnerSource, PORTS_PER_ADDRESS, Provenance};
use crate::words;

pub use again::{Again, News};
pub use answer::Answer;
pub use changes::{ChangeReport, ChangesReport, Relation};
pub(crate) use commands::{raise_quota, region_option};
pub use earlier::{EarlierReport, Growth};
use findings::Findings;
pub(crate) use findings::protocol_name;
pub(crate) use gaps::better_flow_log;
pub use links::Link;
use refusals::{EXPLAINING, FEWEST};
pub use remedies::as_markdown as remedies_as_markdown;
pub use remedy::{Command, Condition, Remedy, RemedyId, Scan, Undo, When};
pub(crate) use verdict::NOT_NEAR;

/// The version of the JSON: fields are added within it, never renamed.
pub const SCHEMA: &str = "nat-triage.diagnosis.v1";

/// How sure we are that a destination ran out of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The range reaches capacity while errors were counted, and something beside it agrees.
    Confirmed,
    /// The range reaches capacity, and nothing beside it tells.
    Likely,
    /// Full coverage, and nothing near capacity.
    NotSupported,
    /// The evidence leaves it open; the gaps say what is missing.
    CannotTell,
}

impl Verdict {
    /// As the contract spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Likely => "likely",
            Self::NotSupported => "not-supported",
            Self::CannotTell => "cannot-tell",
        }
    }
}

/// What sort of use filled the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// Many connections kept in use.
    LongLived,
    /// Opened, then idle, not closed.
    Leak,
    /// Short connections at a high rate.
    Churn,
    /// Attempts without answers.
    RetryStorm,
    /// Very many clients, none remarkable.
    FanIn,
    /// One client, very many destinations.
    Scan,
}

/// How far a statement can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// One of several readings of the evidence.
    Low,
    /// The best reading of the evidence.
    Medium,
    /// Counted directly.
    High,
}

/// Ports held, as a range with a best estimate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeldPorts {
    /// Certainly held: the time between first and last packets alone.
    pub at_least: u32,
    /// The best estimate.
    pub estimate: u32,
    /// Held at the very most: the idle timeout added wherever no end was seen.
    pub at_most: u32,
    /// The instant that the figures are about.
    pub at: Timestamp,
}

/// One of several addresses of a gateway, all of whose ports towards a destination were held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FullAddress {
    /// Which; `null` where the records show all of them as one.
    pub address: Option<IpAddr>,
    /// Ports held on it.
    pub held: u32,
    /// Ports that it has towards one destination.
    pub of: u32,
}

/// One step of a destination's timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimelineStep {
    /// The step's first instant.
    pub at: Timestamp,
    /// Certainly held at that instant.
    pub held_at_least: u32,
    /// The best estimate for the step's fullest second, where the source tells it (files do, of the fullest
    /// destinations), else for that instant; of the step in which the destination was fullest, for the fullest.
    pub held_estimate: u32,
    /// Held at the very most at any time within the step.
    pub held_at_most: u32,
    /// Attempts that began within the step, reached the gateway and never left it. An inference.
    pub refused: u64,
}

/// A client's part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClientReport {
    /// The private address that opened the connections.
    pub address: IpAddr,
    /// Its part of the held ports, or of what else the clients are ordered by, as a fraction of 1.
    pub share: f64,
    /// Ports it held when the destination was fullest.
    pub held: HeldPorts,
    /// What it held an hour earlier; `null` where that was not asked, or does not show.
    #[serde(default)]
    pub held_earlier: Option<HeldPorts>,
    /// Distinct ports of its own that it used: fewer than connections, where it used one again.
    pub connections: u64,
    /// The same number as `connections`, by its right name.
    #[serde(default)]
    pub ports_used: u64,
    /// Attempts of its that reached the gateway and never left it. An inference.
    pub refused: u64,
    /// Bytes, both ways.
    pub bytes: u64,
    /// Who owns the address, where that is known.
    pub name: Option<String>,
    /// Whether a record of those minutes says so, or a look-up afterwards.
    pub name_source: Option<OwnerSource>,
    /// What sort of thing owns it, where that is known.
    pub kind: Option<String>,
    /// Its zone, where that is known.
    pub zone: Option<String>,
    /// How it was joined to the destination.
    pub attribution: Attribution,
}

/// A destination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DestinationReport {
    /// Its address.
    pub address: IpAddr,
    /// Its port; 0 for protocols without ports.
    pub port: u16,
    /// The protocol's name, or its number where it has none here.
    pub protocol: String,
    /// Ports held towards it when it was fullest.
    pub held: HeldPorts,
    /// Ports held towards it an hour earlier; `null` where that was not asked, or does not show.
    #[serde(default)]
    pub held_earlier: Option<HeldPorts>,
    /// The estimate as a fraction of capacity; `null` where capacity is not known.
    pub utilization: Option<f64>,
    /// Where it did not fill the gateway, one of the gateway's addresses that it filled while errors were
    /// counted.
    #[serde(default)]
    pub full_address: Option<FullAddress>,
    /// Attempts that reached the gateway and never left it. An inference.
    pub refused: u64,
    /// Distinct gateway ports used towards it.
    pub connections: u64,
    /// The same number as `connections`, by its right name.
    #[serde(default)]
    pub ports_used: u64,
    /// Bytes, both ways.
    pub bytes: u64,
    /// Its name, where that is known.
    pub name: Option<String>,
    /// How many names clients asked for and were answered with this address, of which it is one; at the most ten
    /// are kept, so that ten stand for ten or more.
    #[serde(default)]
    pub names_asked_for: u64,
    /// Where the name came from: what clients asked for, or a hint of the address's owner.
    pub name_source: Option<NameSource>,
    /// The AWS service that its address belongs to, where a flow-log field or prefix list says so.
    pub service: Option<String>,
    /// Held ports over the window.
    pub timeline: Vec<TimelineStep>,
    /// Who holds it, most first.
    pub clients: Vec<ClientReport>,
    /// What their order and their shares go by.
    pub clients_ordered_by: ClientOrder,
    /// How many clients it had in all, those that are not listed included.
    pub clients_seen: u64,
}

/// What clients are ordered by, and what their shares are of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientOrder {
    /// The ports that they held.
    #[default]
    HeldPorts,
    /// Their attempts that were refused, where records join clients to the destination by its port alone: who
    /// uses other destinations on that port counts as a holder too.
    RefusedAttempts,
}

/// A client that holds no more than this part of a destination's ports does not stand out.
const REMARKABLE: f64 = 0.1;

impl ClientReport {
    /// Whether it holds so much that it is worth naming, and not just the first of many alike.
    #[must_use]
    pub fn stands_out(&self) -> bool {
        self.share > REMARKABLE
    }

    /// `80%`, `under 1%`: the share, which is rounded to four places.
    #[must_use]
    pub fn share_in_words(&self) -> String {
        let holds = self.held.at_most > 0 || self.connections > 0;
        words::percent(if holds { self.share.max(f64::MIN_POSITIVE) } else { self.share })
    }
}

/// The part of a destination's ports whose holders the records do not show, of all of its `clients`, where that is
/// more than the greatest of them holds: the greatest may be another. None where clients are known by the port only.
fn greater_unshown_part(clients: &[ClientReport]) -> Option<f64> {
    let greatest = clients.first().filter(|client| client.attribution == Attribution::Connection)?;
    let unshown = 1.0 - clients.iter().map(|client| client.share).sum::<f64>();
    (unshown > greatest.share).then_some(unshown)
}

impl DestinationReport {
    /// The part of its ports whose holders do not show, where that is more than its greatest known client holds: the
    /// greatest may be another. None where the rest may be of clients that are not listed.
    #[must_use]
    pub fn greater_unshown_part(&self) -> Option<f64> {
        let all_listed = self.clients_seen <= self.clients.len() as u64;
        greater_unshown_part(&self.clients).filter(|_| all_listed)
    }

    /// Whether it held as much of the capacity, or of one address's, as the verdict asks for; not where capacity is
    /// unknown.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full_address.is_some() || self.utilization.is_some_and(|part| part >= verdict::FULL)
    }
}

/// The gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GatewayReport {
    /// Its id, where it is known.
    pub id: Option<String>,
    /// What sort it is.
    pub kind: GatewayKind,
    /// The addresses by which flow logs show it.
    pub addresses: Vec<IpAddr>,
    /// Its interfaces.
    pub interface_ids: Vec<String>,
    /// Its VPC.
    pub vpc_id: Option<String>,
    /// Its zones, for a regional gateway.
    pub zones: Vec<String>,
    /// Ports that can be held towards one destination at once; `null` where its addresses are not
    /// known.
    pub capacity_per_destination: Option<u32>,
    /// How these facts came to be known.
    pub provenance: Provenance,
}

/// Attempts that were refused, beside the errors that CloudWatch counted. No flow-log record says
/// that an attempt was refused: those found are the ones that reached the gateway and never left it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedAttempts {
    /// Found in the flow logs, towards all destinations, in the minutes in question: no more than were counted in
    /// them. An inference.
    pub found: u64,
    /// The sum of `ErrorPortAllocation`; `null` where it is not known.
    pub counted: Option<f64>,
    /// What was found as a fraction of what was counted in the same minutes; never more than 1.
    pub accounted: Option<f64>,
    /// Whether errors were certainly counted of this gateway, by the metric or by its alarm.
    #[serde(default)]
    pub errors_seen: bool,
    /// Those on the one port that most were to, where no server on that port shows; `null` where each server
    /// shows.
    #[serde(default)]
    pub unplaced: Option<UnplacedAttempts>,
}

/// Attempts that went into the gateway and never came out, in a format that shows their port and no destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnplacedAttempts {
    /// The destination's port.
    pub port: u16,
    /// The protocol's number, as IANA assigned it.
    pub protocol: u8,
    /// How many attempts.
    pub attempts: u64,
    /// The client that made most of them.
    pub client: IpAddr,
}

impl UnplacedAttempts {
    /// `8443/tcp`.
    #[must_use]
    pub fn port_label(&self) -> String {
        format!("{}/{}", self.port, findings::protocol_name(self.protocol))
    }
}

/// A metric of the gateway over the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricReport {
    /// The CloudWatch name.
    pub name: String,
    /// `Sum` or `Maximum`.
    pub statistic: String,
    /// Over the window.
    pub value: f64,
    /// What is usual for as long a time, by the hours before.
    pub baseline: Option<f64>,
    /// Over the same minutes of the day before.
    pub day_before: Option<f64>,
    /// How many times the baseline.
    pub change: Option<f64>,
}

/// How much of the window the flow logs held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CoverageReport {
    /// Whether the records reach through the window, with none known to be left out.
    pub complete: bool,
    /// The first packet of the earliest record.
    pub logs_from: Option<Timestamp>,
    /// The last packet of the latest record.
    pub logs_until: Option<Timestamp>,
    /// By when the missing records should have arrived; `null` where none are waited for.
    #[serde(default)]
    pub records_due: Option<Timestamp>,
    /// Records of the gateway that were used.
    pub records_read: u64,
    /// Lines that could not be used.
    pub records_rejected: u64,
    /// Files that could not be read, or not to their end.
    pub files_failed: u64,
    /// SKIPDATA records.
    pub skipdata: u64,
    /// Seconds that one record may span.
    pub aggregation_seconds: u32,
    /// Where the records came from.
    pub source: Source,
    /// The formats met.
    pub formats: Vec<String>,
    /// Which flow log was asked, of how many, and what speaks for it; `null` of files.
    pub flow_log: Option<String>,
    /// Which question of the ladder Logs Insights answered; `null` of files, and where it answered none.
    #[serde(default)]
    pub question: Option<QuestionReport>,
}

/// The question that the evidence answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuestionReport {
    /// Its place on the ladder: 0 tells most, 4 needs least.
    pub rung: u8,
    /// Its name.
    pub name: Rung,
    /// What its answer cannot tell; `null` for the first.
    pub cannot_tell: Option<String>,
}

impl QuestionReport {
    fn of(rung: Rung) -> Self {
        Self { rung: rung.number(), name: rung, cannot_tell: rung.cannot_tell().map(str::to_owned) }
    }
}

/// Whether more may follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Flow logs of the window are still arriving: a final report follows if it says more.
    Provisional,
    /// All that there will be.
    #[default]
    Final,
}

impl Stage {
    /// As the contract spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Provisional => "provisional",
            Self::Final => "final",
        }
    }
}

/// The diagnosis, as the contract has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnosis {
    /// [`SCHEMA`].
    pub schema: String,
    /// The same for the same alarm transition, however often it is delivered.
    pub id: String,
    /// Whether more may follow. Both have the same id.
    pub stage: Stage,
    /// Whether somebody put the alarm into ALARM by hand, and no error was counted: then it is the answer to that.
    #[serde(default)]
    pub drill: bool,
    /// Whether it is sent again, of an incident that is past.
    #[serde(default)]
    pub replay: bool,
    /// Whether it is one more alarm of an incident that was reported a short while ago; `null` of the first.
    #[serde(default)]
    pub again: Option<Again>,
    /// The alarm; `null` without an event.
    pub alarm: Option<Alarm>,
    /// The minutes that the diagnosis is about.
    pub window: TimeWindow,
    /// Of these, the minutes in question: of an alarm those that it counted. What was held, who held it and what
    /// was refused is of them; what comes before says what was held when they began.
    pub asked: TimeWindow,
    /// The gateway, or gateways.
    pub nat_gateways: Vec<GatewayReport>,
    /// How sure we are.
    pub verdict: Verdict,
    /// What sort of use it was, where the evidence tells.
    pub pattern: Option<Pattern>,
    /// What decided the pattern, each with its figure.
    pub pattern_evidence: Vec<String>,
    /// Who scans, where somebody does: whether or not that filled a destination.
    pub scan: Option<Scan>,
    /// The answer in one sentence.
    pub headline: String,
    /// Destinations: the one that the answer is about, then the fullest.
    pub destinations: Vec<DestinationReport>,
    /// How many destinations there were in all, those that are not listed included.
    pub destinations_seen: u64,
    /// Clients over all reported destinations, greatest holder first.
    pub clients: Vec<ClientReport>,
    /// Refused attempts, reconciled with the errors that were counted.
    pub refused_attempts: RefusedAttempts,
    /// The gateway's metrics, where they were asked for.
    pub metrics: Vec<MetricReport>,
    /// The minutes an hour earlier with which those in question are compared; `null` where these were not asked about, or
    /// the flow logs do not cover them.
    #[serde(default)]
    pub earlier: Option<EarlierReport>,
    /// What was changed in the account before the alarm, where CloudTrail was asked: `null` where it was not, or did
    /// not answer.
    #[serde(default)]
    pub changes: Option<ChangesReport>,
    /// Fixes, most helpful first.
    pub remedies: Vec<Remedy>,
    /// How much of the window the flow logs held.
    pub coverage: CoverageReport,
    /// What could not be seen.
    pub gaps: Vec<Gap>,
    /// The queries that were run.
    pub queries: Vec<QueryRun>,
    /// Where to look for oneself; none where the partition has no public console.
    pub links: Vec<Link>,
}

impl Diagnosis {
    /// The id by which other tools know the incident: that of the first of several alarms which are told as one.
    #[must_use]
    pub fn incident_id(&self) -> &str {
        self.again.as_ref().map_or(&self.id, |again| &again.id)
    }

    /// The destination that the answer is about, which every list has first: the fullest one; where it is not
    /// known whether any was full, the one to doubt; where none was, the one that held most at the very most.
    #[must_use]
    pub fn in_question(&self) -> Option<&DestinationReport> {
        self.destinations.first()
    }

    /// Attempts that went into the gateway and never came out, where these and no held ports point to the
    /// destination in question: the destination, and their part of the errors that were counted, where that is
    /// known.
    #[must_use]
    pub fn refused_unproven(&self) -> Option<(&DestinationReport, Option<f64>)> {
        let top =
            self.in_question().filter(|top| self.verdict == Verdict::CannotTell && top.refused >= FEWEST)?;
        let counted = self.refused_attempts.counted.filter(|counted| *counted > 0.0);
        let part = counted.map(|counted| top.refused as f64 / counted);
        part.is_none_or(|part| part >= EXPLAINING).then_some((top, part))
    }

    /// Attempts on a port on which no server shows, where these and no destination that shows explain the errors:
    /// the attempts, and their part of the errors that were counted, where that is known.
    #[must_use]
    pub fn unplaced_attempts(&self) -> Option<(UnplacedAttempts, Option<f64>)> {
        let open = self.verdict == Verdict::CannotTell && self.refused_unproven().is_none();
        let unplaced = self.refused_attempts.unplaced.filter(|_| open)?;
        let counted = self.refused_attempts.counted.filter(|counted| *counted > 0.0);
        let part = counted.map(|counted| unplaced.attempts as f64 / counted);
        part.is_none_or(|part| part >= EXPLAINING).then_some((unplaced, part))
    }

    /// The fullest destination, where it came near the limit and yet nothing was refused.
    #[must_use]
    pub fn near_without_errors(&self) -> Option<&DestinationReport> {
        let capacity = f64::from(self.nat_gateways.first()?.capacity_per_destination?);
        let fullest = self.in_question()?;
        let near = f64::from(fullest.held.at_most) >= capacity * NOT_NEAR;
        (self.verdict == Verdict::NotSupported && near).then_some(fullest)
    }

    /// Whether records could be read, however few there were.
    #[must_use]
    pub fn was_answered(&self) -> bool {
        self.coverage.source == Source::Files
            || self.queries.iter().any(|query| query.records_scanned.is_some())
    }

    /// What the verdict hangs on that could not be seen, most telling first.
    pub fn deciding_gaps(&self) -> impl Iterator<Item = &Gap> {
        self.gaps.iter().filter(|gap| gap.decides)
    }

    /// Whether something of the input was lost (a file, a line, part of the window), or the verdict
    /// leaves the question open.
    #[must_use]
    pub fn from_partial_input(&self) -> bool {
        let CoverageReport { complete, files_failed, records_rejected, .. } = self.coverage;
        !complete || files_failed > 0 || records_rejected > 0 || self.verdict == Verdict::CannotTell
    }

    /// The diagnosis as a JSON value.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("a diagnosis holds nothing that JSON cannot")
    }
}

/// What a diagnosis takes for granted; the default is what AWS documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Simultaneous connections per address and destination.
    pub ports_per_address: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { ports_per_address: PORTS_PER_ADDRESS }
    }
}

/// Most destinations, and most clients of each, that a diagnosis lists.
const LISTED: usize = 10;

/// The diagnosis that follows from the evidence.
#[must_use]
pub fn diagnose(incident: &Incident, network: &Network, evidence: &Evidence, limits: Limits) -> Diagnosis {
    let findings = Findings::of(incident, network, evidence, limits);
    let verdict = findings.verdict;
    let pattern = pattern::pattern(&findings, verdict);
    let scan = pattern::scan(&findings);
    let gaps = gaps::gaps(&findings, verdict);
    let gateway = &network.gateway;
    let mut diagnosis = Diagnosis {
        schema: SCHEMA.into(),
        id: incident.id_of(Some(evidence.window)),
        stage: Stage::Final,
        drill: false,
        replay: false,
        again: None,
        alarm: incident.alarm.clone(),
        window: evidence.window,
        asked: evidence.asked,
        nat_gateways: vec![GatewayReport {
            id: findings.gateway_id().map(ToString::to_string),
            kind: gateway.kind,
            addresses: gateway.logged_addresses(),
            interface_ids: gateway.interface_ids.iter().map(ToString::to_string).collect(),
            vpc_id: gateway.vpc_id.clone(),
            zones: gateway.zones.clone(),
            capacity_per_destination: findings.capacity,
            provenance: gateway.provenance,
        }],
        verdict,
        pattern: pattern.as_ref().map(|(pattern, _)| *pattern),
        pattern_evidence: pattern.as_ref().map(|(_, why)| why.clone()).unwrap_or_default(),
        headline: headline::headline(&findings, verdict),
        destinations: findings
            .destinations
            .iter()
            .take(LISTED)
            .map(|destination| DestinationReport {
                names_asked_for: network.names_asked_for(destination.address).count() as u64,
                ..destination.report(LISTED)
            })
            .collect(),
        destinations_seen: u64::try_from(findings.destinations.len()).unwrap_or(u64::MAX),
        clients: findings.clients_overall(LISTED),
        refused_attempts: findings.refused_attempts(),
        metrics: network
            .metrics
            .iter()
            .map(|metric| MetricReport {
                name: metric.name.clone(),
                statistic: metric.statistic.clone(),
                value: metric.value,
                baseline: metric.baseline,
                day_before: metric.day_before,
                change: metric.change(),
            })
            .collect(),
        earlier: None,
        changes: changes::changes(&findings),
        remedies: remedies::remedies(
            &findings,
            verdict,
            pattern.as_ref().map(|(pattern, _)| *pattern),
            scan.as_ref(),
        ),
        scan,
        coverage: CoverageReport {
            complete: findings.window_covered,
            logs_from: evidence.coverage.logs_from,
            logs_until: evidence.coverage.logs_until,
            records_due: None,
            records_read: evidence.coverage.records_read,
            records_rejected: evidence.coverage.records_rejected,
            files_failed: evidence.coverage.files_failed,
            skipdata: evidence.coverage.skipdata,
            aggregation_seconds: evidence.coverage.aggregation_seconds,
            source: evidence.coverage.source,
            formats: evidence.coverage.formats.clone(),
            flow_log: evidence.coverage.flow_log.clone(),
            question: evidence.coverage.question.map(QuestionReport::of),
        },
        gaps,
        queries: links::with_links(&findings),
        links: links::links(&findings),
    };
    if let Some(earlier) = &evidence.earlier {
        diagnosis.compare_with_earlier(incident, network, earlier, limits);
    }
    diagnosis
}
