//! Evidence from CloudWatch Logs Insights: which flow log to ask, what to ask it, and what its
//! answers mean. Knows no SDK: [`LogsQueries`] is the role that runs a query.

mod host_names;
pub mod query;
mod recording;
mod rows;

use std::cell::RefCell;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::flow::LogFormat;
use crate::gap::Gap;
use crate::incident::{Incident, InterfaceId, TimeWindow};
use crate::network::{
    FlowLog, FlowLogDestination, GatewayKind, HostName, LogClass, NatGateway, Network, TrafficType,
    nat64_address,
};
use crate::words;

use super::files::lead_seconds;
use super::{Evidence, EvidenceSource, QueryRun, Source, Steps, Viewpoint, fullest_step, window_to_look_at};

pub use query::{MOST_ROWS, Query, Question, Scope, Unaskable};
pub use recording::{Asked, Recording};
pub use rows::Row;

/// What a query answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The rows, as far as they came.
    pub rows: Vec<Row>,
    /// Uncompressed bytes scanned.
    pub bytes_scanned: Option<u64>,
    /// Log events scanned.
    pub records_scanned: Option<u64>,
    /// What that cost, in US dollars, at the list price.
    pub cost_usd: Option<f64>,
}

/// Why a query brought no answer. The texts are for the person who reads the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{why}")]
pub struct Unanswered {
    /// What happened, with its cause.
    pub why: String,
    /// What to do about it.
    pub fix: String,
}

/// Runs queries on log groups.
#[expect(async_fn_in_trait, reason = "used with generics inside this crate; no caller needs Send bounds")]
pub trait LogsQueries {
    /// Runs one query to its end, within the time there is.
    ///
    /// # Errors
    /// When it could not be started, did not complete, or its rows could not be had.
    async fn run(&self, query: &Query) -> Result<Answer, Unanswered>;
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
        Self { queries, named: RefCell::default() }
    }
}

/// The flow log that is asked, with what is known of it.
#[derive(Debug, PartialEq, Eq)]
struct Chosen {
    log_groups: Vec<String>,
    format: LogFormat,
    traffic: TrafficType,
    aggregation_seconds: u32,
    /// Whether clients' interfaces are in it as well.
    covers_clients: bool,
    /// Before when none of the log groups holds anything, where that is known of all.
    kept_from: Option<Timestamp>,
    /// Which it is, and what speaks for it.
    why: String,
}

/// The queries that would be run for a gateway, its format and window, in the order they would be.
///
/// # Errors
/// When the gateway is not known well enough to ask.
pub fn planned(
    gateway: &NatGateway,
    log: &FlowLog,
    format: &LogFormat,
    window: TimeWindow,
) -> Result<Vec<Query>, Unaskable> {
    let chosen = Chosen {
        log_groups: log.log_group.iter().cloned().collect(),
        format: format.clone(),
        traffic: log.traffic,
        aggregation_seconds: log.aggregation_seconds,
        covers_clients: false,
        kept_from: log.kept_from,
        why: String::new(),
    };
    let viewpoint = Viewpoint::of(gateway);
    let (scope, _) = scopes(&viewpoint, &chosen);
    let steps = fitting(&chosen, &viewpoint, window, &scope);
    Ok(vec![chosen.question(&viewpoint, window, steps).query(HELD_PORTS, &scope)?])
}

const HELD_PORTS: &str = "held ports per destination and client";
/// Destinations whose clients are asked for: without ends of connections the fullest-looking ones
/// are often not the full one.
const ASKED_ABOUT: usize = 10;

/// Destinations whose names are asked for: those that a report names.
const NAMED: usize = 3;

const CLIENTS: &str = "who used the fullest destinations, at the clients' own interfaces";

impl<Queries: LogsQueries> EvidenceSource for LogsInsights<Queries> {
    type Error = Never;

    async fn collect(&self, incident: &Incident, network: &mut Network) -> Result<Evidence, Never> {
        let window = window_to_look_at(incident, network).unwrap_or(TimeWindow::EPOCH);
        let mut evidence = Evidence::none(window, Source::LogsInsights);
        evidence.asked = incident.window.unwrap_or(window);
        let Some(chosen) = choose(network, &mut evidence.gaps) else {
            evidence.unanswered = true;
            return Ok(evidence);
        };
        evidence.coverage.aggregation_seconds = chosen.aggregation_seconds;
        evidence.coverage.formats = vec![chosen.format.to_string()];
        evidence.coverage.flow_log = Some(chosen.why.clone());
        evidence.coverage.kept_from = chosen.kept_from;
        evidence.packet_addresses = chosen.format.has_packet_addresses();
        evidence.ends_visible = chosen.format.has(crate::flow::Field::TcpFlags);
        if let Some(from) = chosen.kept_from.filter(|from| *from >= window.end()) {
            evidence.gaps.push(before_its_time(&chosen, window, from));
            evidence.unanswered = true;
            return Ok(evidence);
        }
        let viewpoint = Viewpoint::of_zone(&network.gateway, incident.zone.as_deref());
        let (narrow, wide) = scopes(&viewpoint, &chosen);
        evidence.steps = fitting(&chosen, &viewpoint, window, &narrow);
        let question = chosen.question(&viewpoint, window, evidence.steps);

        let rows = self.ask(&question, HELD_PORTS, &narrow, &mut evidence).await;
        evidence.unanswered = rows.is_none();
        // The name of a log stream is an observation, not a promise of AWS: without any row, look in
        // every stream before saying that there is nothing.
        if rows == Some(0)
            && let Some(wide) = wide
        {
            evidence.unanswered = self.ask(&question, HELD_PORTS, &wide, &mut evidence).await.is_none();
        }
        if chosen.covers_clients
            && !chosen.format.has_packet_addresses()
            && network.gateway.kind != GatewayKind::Regional
        {
            let servers = servers(&evidence, ASKED_ABOUT);
            if !servers.is_empty() {
                self.ask(&question, CLIENTS, &Scope::Clients(servers), &mut evidence).await;
            }
        }
        self.name_servers(network, window, &mut evidence).await;
        // Twenty records in ten seconds, as the files have it.
        let seconds = u64::try_from(window.seconds() + question.lead).unwrap_or(u64::MAX);
        evidence.coverage.busy = evidence.coverage.records_read >= seconds.saturating_mul(2);
        Ok(evidence)
    }
}

impl<Queries: LogsQueries> LogsInsights<Queries> {
    /// Finds out what clients call the fullest destinations, where Resolver query logs say so.
    async fn name_servers(&self, network: &mut Network, window: TimeWindow, evidence: &mut Evidence) {
        let groups = network.resolver_log_groups.as_deref().unwrap_or_default();
        let servers = servers(evidence, NAMED);
        let Some(query) = host_names::query(&servers, groups, window) else { return };
        let known = self.named.borrow().clone().filter(|named| named.query == query);
        let named = match known {
            Some(named) => named,
            None => {
                let answer = self.queries.run(&query).await;
                let run = query_run(&query, &answer);
                match answer {
                    Ok(answer) => Named { names: host_names::read(&answer.rows, &servers), query, run },
                    Err(Unanswered { why, fix }) => {
                        evidence.gaps.push(Gap::new(query.purpose, why, fix));
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

    /// Runs one query and adds what it says; returns how many rows came, `None` where it failed.
    async fn ask(
        &self,
        question: &Question<'_>,
        purpose: &'static str,
        scope: &Scope,
        evidence: &mut Evidence,
    ) -> Option<usize> {
        let query = match question.query(purpose, scope) {
            Ok(query) => query,
            Err(unaskable) => {
                let gap = Gap::new(purpose, unaskable.to_string(), fix(&unaskable));
                evidence.gaps.push(Gap { decides: purpose == HELD_PORTS, ..gap });
                return None;
            }
        };
        let answer = self.queries.run(&query).await;
        evidence.queries.push(query_run(&query, &answer));
        let answer = match answer {
            Ok(answer) => answer,
            Err(Unanswered { why, fix }) => {
                evidence.gaps.push(Gap { decides: purpose == HELD_PORTS, ..Gap::new(purpose, why, fix) });
                return None;
            }
        };
        let mut unusable = None;
        for row in &answer.rows {
            if let Err(error) = rows::add(evidence, row, &question.viewpoint.elsewhere, question.origin()) {
                evidence.coverage.records_rejected += 1;
                unusable.get_or_insert(error);
            }
        }
        if let Some(error) = unusable {
            evidence.gaps.push(Gap::new(
                format!("rows of the answer about {purpose}"),
                error.to_string(),
                "run the query of this report in the console and compare",
            ));
        }
        if answer.rows.len() >= MOST_ROWS {
            evidence.gaps.push(Gap::new(
                "clients and destinations with the fewest ports",
                format!("the answer was cut at {MOST_ROWS} rows, those with the most ports first"),
                "ask about fewer minutes with --window",
            ));
        }
        Some(answer.rows.len())
    }
}

/// A query as the report has it.
fn query_run(query: &Query, answer: &Result<Answer, Unanswered>) -> QueryRun {
    let answer = answer.as_ref().ok();
    let second = |s: i64| Timestamp::from_second(s).unwrap_or(Timestamp::UNIX_EPOCH);
    QueryRun {
        purpose: query.purpose.to_owned(),
        text: query.text.clone(),
        log_groups: query.log_groups.clone(),
        from: second(query.from),
        to: second(query.to),
        bytes_scanned: answer.and_then(|answer| answer.bytes_scanned),
        records_scanned: answer.and_then(|answer| answer.records_scanned),
        cost_usd: answer.and_then(|answer| answer.cost_usd),
        console_url: None,
    }
}

fn fix(unaskable: &Unaskable) -> String {
    match unaskable {
        Unaskable::NoAddresses => {
            "allow ec2:DescribeNatGateways, or name the addresses in NAT_TRIAGE_NAT_IPS"
        }
        Unaskable::NoResourceId => "create a second flow log for the gateway whose format has resource-id",
        Unaskable::TooLong(_) => "ask about fewer minutes with --window",
    }
    .to_owned()
}

/// The addresses of the destinations with the most ports held, as clients' own interfaces show them:
/// to IPv6 clients, where there are any, also by their NAT64 addresses.
fn servers(evidence: &Evidence, most: usize) -> Vec<IpAddr> {
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

/// Where to look first, and where to look when that holds nothing.
fn scopes(viewpoint: &Viewpoint, chosen: &Chosen) -> (Scope, Option<Scope>) {
    if viewpoint.kind == GatewayKind::Regional {
        return (Scope::Gateway, None);
    }
    let interfaces: Vec<InterfaceId> = viewpoint.interfaces.clone();
    if interfaces.is_empty() {
        // Addresses alone were named: every record that shows one of them is the gateway's.
        return (Scope::Interfaces(interfaces), None);
    }
    let wide =
        chosen.format.has(crate::flow::Field::InterfaceId).then(|| Scope::Interfaces(interfaces.clone()));
    (Scope::Streams(interfaces, chosen.traffic), wide)
}

impl Chosen {
    fn question<'a>(&'a self, viewpoint: &'a Viewpoint, window: TimeWindow, steps: Steps) -> Question<'a> {
        Question {
            viewpoint,
            format: &self.format,
            log_groups: &self.log_groups,
            window,
            lead: lead_seconds(self.aggregation_seconds),
            steps,
            kept_from: self.kept_from,
        }
    }
}

/// As many steps as the text of a query has room for: a gateway of many addresses and a long format
/// leave less of it.
fn fitting(chosen: &Chosen, viewpoint: &Viewpoint, window: TimeWindow, scope: &Scope) -> Steps {
    let all = Steps::over(window);
    [20, 12, 6, 3].into_iter().map(|most| Steps::at_most(most, window)).fold(all, |steps, fewer| match chosen
        .question(viewpoint, window, steps)
        .query(HELD_PORTS, scope)
    {
        Err(Unaskable::TooLong(_)) => fewer,
        _ => steps,
    })
}

/// The flow log that shows the most; the ones that can't be used leave a gap.
fn choose(network: &Network, gaps: &mut Vec<Gap>) -> Option<Chosen> {
    let mut usable: Vec<(u32, &FlowLog, LogFormat)> = Vec::new();
    let mut unusable: Vec<Gap> = Vec::new();
    for log in &network.flow_logs {
        match readable(log) {
            Ok(format) => usable.push((worth(log, &format), log, format)),
            Err(gap) => unusable.push(gap),
        }
    }
    // Logs that can't be used matter only where no other can.
    let Some((_, log, format)) = usable.iter().max_by(|a, b| a.0.cmp(&b.0).then_with(|| b.1.id.cmp(&a.1.id)))
    else {
        if network.flow_logs.is_empty() && !network.flow_logs_unknown {
            let none = Gap::new(
                "any traffic of the gateway",
                "no flow log covers its interface, subnet or VPC",
                "create one, as the remedies say",
            );
            gaps.push(none.deciding());
        }
        gaps.extend(unusable.into_iter().map(Gap::deciding));
        return None;
    };
    let same = |other: &&(u32, &FlowLog, LogFormat)| {
        other.2 == *format && other.1.traffic == log.traffic && other.1.resource_id == log.resource_id
    };
    let mut log_groups: Vec<String> =
        usable.iter().filter(same).filter_map(|(_, log, _)| log.log_group.clone()).collect();
    log_groups.sort_unstable();
    log_groups.dedup();
    gaps.extend(indistinct(log, format, &usable));
    if let Some(error) = &log.delivery_error {
        gaps.push(Gap::new(
            format!("records that flow log {} failed to deliver", log.id),
            error.clone(),
            "check the flow log's role and its log group's policy",
        ));
    }
    if log.log_class == Some(LogClass::InfrequentAccess) {
        gaps.push(Gap::new(
            "the gateway's log streams by themselves",
            format!(
                "the log group of flow log {} is of the class Infrequent Access, in which log streams are not indexed: each query scans, and is charged for, the whole group's minutes",
                log.id
            ),
            "create a flow log of the gateway alone in a log group of the Standard class, which nothing else writes to",
        ));
    }
    Some(Chosen {
        kept_from: usable.iter().filter(same).map(|(_, log, _)| log.kept_from).min().flatten(),
        log_groups,
        format: format.clone(),
        traffic: log.traffic,
        aggregation_seconds: log.aggregation_seconds,
        covers_clients: !log.resource_id.starts_with("eni-"),
        why: reason(log, format, network.flow_logs.len()),
    })
}

/// Another flow log whose lines in the same log group look like this one's.
fn indistinct(log: &FlowLog, format: &LogFormat, usable: &[(u32, &FlowLog, LogFormat)]) -> Option<Gap> {
    let (_, other, _) = usable.iter().find(|(_, other, of)| {
        other.log_group == log.log_group && of != format && query::alike(of, format)
    })?;
    Some(Gap::new(
        format!("which records are those of flow log {}", log.id),
        format!(
            "flow log {} writes lines of the same shape to {}, in another order of fields: some may have been read wrongly",
            other.id,
            log.log_group.as_deref().unwrap_or("the same log group")
        ),
        "give one of the two a log group of its own",
    ))
}

/// Nothing of the window can be there: no query is worth its price.
fn before_its_time(chosen: &Chosen, window: TimeWindow, from: Timestamp) -> Gap {
    Gap::new(
        "any traffic of the gateway",
        format!(
            "the window ended at {}, and {} holds nothing from before {}: it was created later, or keeps records no longer",
            words::instant(window.end()),
            chosen.log_groups.join(", "),
            words::instant(from)
        ),
        "read the records from elsewhere, if they were delivered elsewhere too: nat-triage analyze --flow-logs FILES --event EVENT.json",
    )
    .deciding()
}

/// The format of a flow log that Logs Insights can be asked about, or why it can't be.
fn readable(log: &FlowLog) -> Result<LogFormat, Gap> {
    let what = format!("flow log {}", log.id);
    if log.destination != FlowLogDestination::CloudWatchLogs || log.log_group.is_none() {
        return Err(Gap::new(
            what,
            "it is not delivered to CloudWatch Logs, which is where we can ask",
            "copy its files and run nat-triage analyze --flow-logs FILES, or create a second flow log to a log group",
        ));
    }
    if log.log_class == Some(LogClass::Delivery) {
        return Err(Gap::new(
            what,
            "its log group is of the class Delivery, which Logs Insights can't ask",
            "create a second flow log to a log group of the Standard class",
        ));
    }
    if log.traffic == TrafficType::Reject {
        return Err(Gap::new(
            what,
            "it holds rejected traffic alone, in which no held port shows",
            "create a second flow log with traffic type ALL",
        ));
    }
    log.format.parse().map_err(|error: crate::flow::FormatError| {
        Gap::new(what, error.to_string(), "create a second flow log with the fields that are missing")
    })
}

/// How much a flow log shows: joined clients first, then ends of connections, then short records,
/// then all traffic, then the gateway's own interface, whose group is small.
fn worth(log: &FlowLog, format: &LogFormat) -> u32 {
    merits(log, format).iter().fold(0, |sum, (has, _)| sum * 2 + u32::from(*has))
}

/// What speaks for a flow log, most important first, in words.
fn merits(log: &FlowLog, format: &LogFormat) -> [(bool, &'static str); 7] {
    let own = log.resource_id.starts_with("eni-") || log.resource_id.starts_with("nat-");
    [
        (log.delivery_error.is_none(), "is delivered without errors"),
        (format.has_packet_addresses(), "joins clients and destinations"),
        (format.has(crate::flow::Field::TcpFlags), "shows ends of connections"),
        (log.aggregation_seconds <= 60, "has records of a minute"),
        (log.traffic == TrafficType::All, "holds all traffic"),
        (own, "is of the gateway alone"),
        (log.log_class == Some(LogClass::Standard), "has its streams indexed"),
    ]
}

/// `fl-1 of vpc-1, of 3 that cover the gateway: it …, … and …`.
fn reason(log: &FlowLog, format: &LogFormat, of: usize) -> String {
    let merits: Vec<&str> =
        merits(log, format).into_iter().filter_map(|(has, merit)| has.then_some(merit)).collect();
    let of = if of == 1 {
        "the one that covers the gateway".to_owned()
    } else {
        format!("of {of} that cover the gateway")
    };
    format!("{} of {}, {of}: it {}", log.id, log.resource_id, merits.join(", "))
}
