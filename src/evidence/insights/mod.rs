//! Evidence from CloudWatch Logs Insights: which flow log to ask, what to ask it, and what its
//! answers mean. Knows no SDK: [`LogsQueries`] is the role that runs a query.
//!
//! There is never only one question. [`Rung`] lists them, from the one that tells most to the one that needs
//! least; the ladder goes down where the service refuses, fails, cuts or is slow.

mod agreement;
mod article;
mod choose;
mod constructs;
mod every_minute;
mod first_and_last;
mod host_names;
mod ladder;
mod legs;
pub mod query;
mod raw_records;
mod recording;
mod rows;
mod rung;
mod rung_memory;
mod text;
mod worst_minute;

use std::cell::RefCell;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::flow::LogFormat;
use crate::gap::{Fix, Gap};
use crate::incident::{Incident, TimeWindow};
use crate::network::{FlowLog, HostName, MetricName, NatGateway, Network, nat64_address};
use crate::words;

use super::roles::servers_among_clients;
use super::{Evidence, EvidenceSource, QueryRun, Source, Viewpoint, fullest_step, window_to_look_at};
use choose::{Chosen, before_its_time, choose};
use ladder::Ladder;

pub use agreement::{Agreement, COMPARED, Fullest, busiest_minute, compare};
pub(super) use choose::{best_in_bucket, better_in_bucket};
pub use constructs::{Backing, CONSTRUCTS, Construct};
pub(super) use ladder::{add, simpler_asked, worst_minute};
pub(super) use legs::alias;
pub use query::{ESTIMATE, MAX_CHARACTERS, MAX_ROWS, Purpose, Query, Question, Scope, Unaskable};
pub use recording::{Asked, Recording};
pub use rows::Row;
pub use rung::Rung;
pub use rung_memory::RungMemory;
pub use text::is_discovered;

/// What a query answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The rows, as far as they came.
    pub rows: Vec<Row>,
    /// Uncompressed bytes scanned.
    pub bytes_scanned: Option<u64>,
    /// Log events scanned.
    pub records_scanned: Option<u64>,
    /// Of these, how many passed every filter before the first `stats`.
    #[serde(default)]
    pub records_matched: Option<u64>,
    /// What that cost, in US dollars, at the list price.
    pub cost_usd: Option<f64>,
}

/// What kept a query from being answered: what decides whether another question may fare better.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The service does not take the text. That scans nothing.
    Refused,
    /// The log groups hold nothing of the minutes, and never will.
    OutsideRetention,
    /// One of several log groups does not exist: this one, where the service names it.
    NoLogGroup(Option<String>),
    /// It would scan more than is allowed.
    TooLarge,
    /// The service started it and then failed to run it: the same question may be answered another time.
    Failed,
    /// It ran, and the service ended it without an answer.
    Ended,
    /// It still ran when there was no more time.
    OutOfTime,
    /// Something that a simpler question would meet as well: a permission, a quota, the network.
    #[default]
    Other,
}

/// Why a query brought no answer. The texts are for the person who reads the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{why}")]
pub struct Unanswered {
    /// What happened, with its cause.
    pub why: String,
    /// What to do about it.
    #[serde(flatten)]
    pub fix: Fix,
    /// What sort of cause that is.
    #[serde(default)]
    pub cause: Cause,
}

/// Runs queries on log groups.
#[expect(async_fn_in_trait, reason = "used with generics inside this crate; no caller needs Send bounds")]
pub trait LogsQueries {
    /// Runs one query to its end, within the time there is.
    ///
    /// # Errors
    /// When it could not be started, did not complete, or its rows could not be had.
    async fn run(&self, query: &Query) -> Result<Answer, Unanswered>;

    /// The same of a query that the diagnosis can do without: it may scan and take less.
    ///
    /// # Errors
    /// As of [`LogsQueries::run`].
    async fn run_spare(&self, query: &Query) -> Result<Answer, Unanswered> {
        self.run(query).await
    }

    /// Ready once a query that was just started has taken so long that `simpler` should be run beside it. By
    /// itself it never is.
    async fn wait_before(&self, simpler: &Query) {
        let _ = simpler;
        std::future::pending().await
    }

    /// Stops what was started and then given up before it ended: `query`.
    async fn stop_abandoned(&self, query: &Query) {
        let _ = query;
    }
}

/// Nothing can be asked at all: not the fault of any query. It is not thrown by this source, which
/// reports every failure as a gap.
#[derive(Debug, thiserror::Error)]
pub enum Never {}

/// Logs Insights as a source of evidence.
pub struct LogsInsights<Queries> {
    queries: Queries,
    /// What was asked last about the names of servers: a later look at the same ones asks no more.
    named: RefCell<Option<Named>>,
    /// What a simpler question answered, while the better one still ran.
    so_far: RefCell<Option<Evidence>>,
    /// With which question to begin.
    memory: RungMemory,
    /// Whether the same minutes an hour earlier are asked about as well.
    compares: bool,
    /// Which question was answered last.
    answered: RefCell<Option<Answered>>,
    /// What an earlier look at the minutes an hour before came to: a later look asks no more.
    earlier: RefCell<Option<Evidence>>,
}

/// The question that was answered, and in which form.
#[derive(Clone, Debug)]
struct Answered {
    rung: Rung,
    /// Servers that the records show like clients.
    private_servers: Vec<IpAddr>,
    took: Duration,
}

/// The names of some servers, and the query that found them.
#[derive(Clone, Debug)]
struct Named {
    query: Query,
    names: Vec<HostName>,
    run: QueryRun,
}

impl<Queries: LogsQueries> LogsInsights<Queries> {
    /// A source that runs its queries with `queries`.
    pub fn new(queries: Queries) -> Self {
        Self {
            queries,
            named: RefCell::default(),
            so_far: RefCell::default(),
            memory: RungMemory::default(),
            compares: false,
            answered: RefCell::default(),
            earlier: RefCell::default(),
        }
    }

    /// The same, beginning with the questions that were answered before.
    #[must_use]
    pub fn remembering(self, memory: RungMemory) -> Self {
        Self { memory, ..self }
    }

    /// The same, which also asks about the minutes an hour earlier, where that is wanted.
    #[must_use]
    pub fn comparing(self, compares: bool) -> Self {
        Self { compares, ..self }
    }

    /// Whether it does.
    pub(super) fn compares(&self) -> bool {
        self.compares
    }
}

/// The queries that would be run for a gateway, its format and window: every rung, in the order of the ladder.
///
/// # Errors
/// When the gateway is not known well enough to ask.
pub fn planned(
    gateway: &NatGateway,
    log: &FlowLog,
    format: &LogFormat,
    window: TimeWindow,
) -> Result<Vec<(Rung, Query)>, Unaskable> {
    let chosen = Chosen::only(log, format, None);
    let viewpoint = Viewpoint::of(gateway);
    let incident = Incident { window: Some(window), ..Incident::default() };
    let ladder = Ladder::new(&chosen, &viewpoint, &incident, window, None);
    Rung::ALL.into_iter().map(|rung| Ok((rung, ladder.query(rung)?))).collect()
}

/// Whether a flow log of the network can be asked about these minutes.
pub(super) fn can_ask(network: &Network, window: TimeWindow) -> bool {
    let chosen = choose(network, &mut Vec::new());
    chosen.is_some_and(|chosen| chosen.kept_from.is_none_or(|from| from < window.end()))
}

/// Why it is not asked where it would cost too much.
pub(super) const NO_BYTES_TO_SPARE: &str = "it would scan more than the limit on scanned bytes can spare";

/// A question that took longer is not asked about other minutes as well: the report would wait for it.
const MAX_TIME_TO_COMPARE: Duration = Duration::from_secs(60);

/// Destinations whose clients are asked for: without ends of connections the fullest-looking ones
/// are often not the full one.
pub(super) const MAX_ASKED_ABOUT: usize = 10;

/// Destinations whose names are asked for: those that a report names.
const MAX_NAMED: usize = 3;

impl<Queries: LogsQueries> EvidenceSource for LogsInsights<Queries> {
    type Error = Never;

    async fn collect(&self, incident: &Incident, network: &mut Network) -> Result<Evidence, Never> {
        let began = Instant::now();
        let window = window_to_look_at(incident, network).unwrap_or(TimeWindow::EPOCH);
        let mut none = unanswered(incident.window.unwrap_or(window), window);
        let Some(mut chosen) = choose(network, &mut none.gaps) else { return Ok(none) };
        if let Some(rung) = self.memory.answered(&chosen.log_groups, &chosen.format) {
            chosen.first = chosen.first.max(rung);
        }
        describe(&chosen, &mut none);
        if let Some(from) = chosen.kept_from.filter(|from| *from >= window.end()) {
            none.gaps.push(before_its_time(&chosen, window, from));
            return Ok(none);
        }
        let viewpoint = Viewpoint::of_zone(&network.gateway, incident.zone.as_deref());
        let worst = network.metric(MetricName::ErrorPortAllocation).and_then(|errors| errors.greatest_at);
        let ladder = Ladder::new(&chosen, &viewpoint, incident, window, worst);
        let mut evidence = ladder.go_down(&self.queries, none.clone(), network, &self.so_far).await;
        if let (Some(rung), true) = (evidence.coverage.question, ladder.was_refused()) {
            self.memory.remember(&chosen.log_groups, &chosen.format, rung);
        }
        let private_servers = servers_among_clients(&evidence, &viewpoint);
        self.answered.replace(evidence.coverage.question.map(|rung| Answered {
            rung,
            private_servers: private_servers.clone(),
            took: began.elapsed(),
        }));
        if let (Some(rung), false) = (evidence.coverage.question, private_servers.is_empty()) {
            tracing::info!(?private_servers, "servers that were taken for clients: asked again");
            chosen.first = rung;
            let viewpoint = Viewpoint { private_servers, ..viewpoint };
            let ladder = Ladder::new(&chosen, &viewpoint, incident, window, worst);
            let again = ladder.go_down(&self.queries, none, network, &self.so_far).await;
            let answered = again.coverage.question.is_some();
            evidence = with_roles(evidence, again, answered, &viewpoint.private_servers);
        }
        self.name_servers(network, window, &mut evidence).await;
        Ok(evidence)
    }

    async fn collect_earlier(&self, earlier: &Incident, network: &Network) -> Option<Evidence> {
        let answered = self.answered.borrow().clone().filter(|answered| {
            self.compares && answered.took <= MAX_TIME_TO_COMPARE && answered.rung != Rung::Records
        })?;
        let known = self.earlier.borrow().clone();
        if let Some(known) = known.filter(|known| Some(known.asked) == earlier.window) {
            return Some(known);
        }
        let found = self.ask_earlier(earlier, network, &answered).await?;
        self.earlier.replace(Some(found.clone()));
        Some(found)
    }

    fn so_far(&self) -> Option<Evidence> {
        self.so_far.borrow().clone()
    }
}

/// Evidence without any answer yet.
fn unanswered(asked: TimeWindow, window: TimeWindow) -> Evidence {
    let mut none = Evidence::none(window, Source::LogsInsights);
    (none.asked, none.unanswered) = (asked, true);
    none
}

/// Says in the evidence which flow log is asked.
fn describe(chosen: &Chosen, none: &mut Evidence) {
    none.coverage.aggregation_seconds = chosen.aggregation_seconds;
    none.coverage.formats = vec![chosen.format.to_string()];
    none.coverage.flow_log = Some(chosen.why.clone());
    none.coverage.kept_from = chosen.kept_from;
    none.packet_addresses = chosen.format.has_packet_addresses();
}

impl<Queries: LogsQueries> LogsInsights<Queries> {
    /// The question that was answered, about the minutes an hour earlier. No simpler one follows it.
    async fn ask_earlier(
        &self,
        earlier: &Incident,
        network: &Network,
        answered: &Answered,
    ) -> Option<Evidence> {
        let window = earlier.window?;
        let mut none = unanswered(window, window);
        let chosen = choose(network, &mut Vec::new())?;
        describe(&chosen, &mut none);
        let viewpoint = Viewpoint {
            private_servers: answered.private_servers.clone(),
            ..Viewpoint::of_zone(&network.gateway, earlier.zone.as_deref())
        };
        let ladder = Ladder::new(&chosen, &viewpoint, earlier, window, None);
        let rung = answered.rung;
        let query = Query { purpose: Purpose::HeldAnHourEarlier, ..ladder.query(rung).ok()? };
        let answer = self.queries.run_spare(&query).await;
        let run = QueryRun { rung: Some(rung), ..QueryRun::of(&query, answer.as_ref().ok()) };
        let read = answer.and_then(|answer| ladder.read_whole(rung, &answer, &none));
        let mut found = read.unwrap_or_else(|Unanswered { why, fix, cause }| {
            let why = if cause == Cause::TooLarge { NO_BYTES_TO_SPARE.to_owned() } else { why };
            none.gaps.push(Gap::new(Purpose::HeldAnHourEarlier.as_str(), why, fix));
            none
        });
        found.coverage.question = Some(rung);
        found.queries = vec![run];
        Some(found)
    }

    /// Finds out what clients call the fullest destinations, where Resolver query logs say so.
    pub(super) async fn name_servers(
        &self,
        network: &mut Network,
        window: TimeWindow,
        evidence: &mut Evidence,
    ) {
        let groups = network.resolver_log_groups.as_deref().unwrap_or_default();
        let servers = fullest_servers(evidence, MAX_NAMED);
        let Some(query) = host_names::query(&servers, groups, window) else { return };
        let known = self.named.borrow().clone().filter(|named| named.query == query);
        let named = match known {
            Some(named) => named,
            None => {
                let answer = self.queries.run(&query).await;
                let run = QueryRun::of(&query, answer.as_ref().ok());
                match answer {
                    Ok(answer) => Named { names: host_names::read(&answer.rows, &servers), query, run },
                    Err(Unanswered { why, fix, .. }) => {
                        evidence.gaps.push(Gap::new(query.purpose.as_str(), why, fix));
                        evidence.queries.push(run);
                        return;
                    }
                }
            }
        };
        evidence.queries.push(named.run.clone());
        // What a context file names besides stays.
        network.names.extend(
            named.names.iter().filter(|name| !network.names.contains(name)).cloned().collect::<Vec<_>>(),
        );
        self.named.replace(Some(named));
    }
}

/// The answer in which `servers` are known to be that, with what was asked and missed on the way to it; where that was
/// not `answered`, the first one, which takes them for clients.
pub(super) fn with_roles(
    mut first: Evidence,
    mut again: Evidence,
    answered: bool,
    servers: &[IpAddr],
) -> Evidence {
    let mut queries = std::mem::take(&mut first.queries);
    queries.append(&mut again.queries);
    let (mut kept, other) = if answered { (again, first) } else { (first, again) };
    if !answered {
        let shown: Vec<String> = servers.iter().map(ToString::to_string).take(3).collect();
        let what = format!("the traffic to {}, which the answer takes for clients", words::list(&shown));
        let why = "its records look like those of servers, and the question that knows that was not answered";
        kept.gaps.push(
            Gap::new(what, why, "give the gateway's records as files to nat-triage analyze").deciding(),
        );
    }
    kept.gaps.extend(other.gaps.into_iter().filter(|gap| !kept.gaps.contains(gap)).collect::<Vec<_>>());
    kept.queries = queries;
    kept
}

/// The addresses of the destinations with the most ports held, as clients' own interfaces show them:
/// to IPv6 clients, where there are any, also by their NAT64 addresses.
pub(super) fn fullest_servers(evidence: &Evidence, most: usize) -> Vec<IpAddr> {
    let mut ranked: Vec<_> = evidence
        .destinations
        .iter()
        .filter_map(|(destination, tally)| {
            let (_, held) = fullest_step(tally.all_held())?;
            Some((held.hold, *destination, destination.address?))
        })
        .collect();
    ranked.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let ipv6_clients = evidence.clients.keys().any(|using| using.client.is_ipv6());
    let mut servers: Vec<IpAddr> = Vec::new();
    for (_, _, address) in ranked.into_iter().take(most) {
        servers.push(address);
        if let (IpAddr::V4(v4), true) = (address, ipv6_clients) {
            servers.push(IpAddr::V6(nat64_address(v4)));
        }
    }
    servers.sort_unstable();
    servers.dedup();
    servers
}
