//! Evidence from flow-log files in S3 that are too large to read in place: Athena reads them, asked in SQL.
//!
//! The SQL is Logs Insights' questions in another language: one set of rules, one way to count, and rows that are read
//! alike. Beneath the statement about every minute there are simpler ones ([`RUNGS`]), for where Athena refuses it, fails
//! to run it, or takes too long. Knows no SDK: [`SqlQueries`] is the role that describes tables and runs statements.
//! The function creates no table: it asks one that exists.

mod names;
mod table;

use std::cell::RefCell;
use std::net::IpAddr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::bucket::{Objects, account, stamps};
use super::files::lead_seconds;
use super::insights::{
    Answer, Cause, MAX_ASKED_ABOUT, Purpose, Query, Question, Row, Rung, Scope, Unanswered, add, alias,
    best_in_bucket, fullest_servers, simpler_asked, with_roles, worst_minute,
};
use super::roles::servers_among_clients;
use super::{Evidence, QueryRun, Source, Steps, Viewpoint};
use crate::deadline::Deadline;
use crate::flow::{Field, LogFormat};
use crate::gap::Gap;
use crate::incident::{Incident, TimeWindow};
use crate::network::{
    FlowLog, GatewayKind, InBucket, Keys, Listing, MetricName, NatGateway, Network, is_region,
};
use crate::words;

use table::Wanted;

pub use names::{Identifier, NotATable, TableName};
pub use table::{Column, Records, Table, Unusable};

/// Most files of a folder whose sizes are summed: a hundred calls, of a second in all for ten.
const MAX_SUMMED: usize = 100_000;

/// The questions that are put in SQL, from the one that tells most to the one that needs least: fewer functions, fewer
/// groups, and so less memory.
pub const RUNGS: [Rung; 4] = [Rung::EveryMinute, Rung::WorstMinute, Rung::DistinctPorts, Rung::PlainFields];

/// The question for which half of the time is kept, as it costs Athena the least.
const QUICK: Rung = Rung::DistinctPorts;

/// What makes a statement one about its being valid, which reads nothing and costs nothing.
///
/// Source: "Using EXPLAIN and EXPLAIN ANALYZE in Athena" in the Amazon Athena user guide.
const VALIDATE: &str = "EXPLAIN (TYPE VALIDATE)\n";

/// Describes tables, and runs statements on them.
#[expect(async_fn_in_trait, reason = "used with generics inside this crate; no caller needs Send bounds")]
pub trait SqlQueries {
    /// The tables of a database, or the one of this name.
    ///
    /// # Errors
    /// When the catalog does not answer.
    async fn tables(&self, name: &TableName) -> Result<Vec<Table>, Unanswered>;

    /// Runs a statement to its end, before `by` and within the bytes there are. What it reads at the most is its
    /// [`Query::stored_bytes`], where that is known.
    ///
    /// # Errors
    /// When it could not be started, did not complete, or its rows could not be had.
    async fn run(&self, statement: &Query, by: Deadline) -> Result<Answer, Unanswered>;

    /// By when everything has to be done.
    fn deadline(&self) -> Deadline;

    /// How many bytes may still be read.
    fn left(&self) -> u64;
}

/// Nobody to ask.
#[derive(Clone, Copy, Debug)]
pub struct NoTables;

impl SqlQueries for NoTables {
    async fn tables(&self, _: &TableName) -> Result<Vec<Table>, Unanswered> {
        Ok(Vec::new())
    }

    async fn run(&self, _: &Query, _: Deadline) -> Result<Answer, Unanswered> {
        Ok(Answer::default())
    }

    fn deadline(&self) -> Deadline {
        Deadline::after(Duration::ZERO)
    }

    fn left(&self) -> u64 {
        0
    }
}

/// Athena as a source of evidence: one table, or one of a database.
#[derive(Debug)]
pub struct Athena<Queries> {
    queries: Queries,
    name: TableName,
    /// What was answered last: a later look may find the scan limit used up by earlier ones.
    answered: RefCell<Option<Evidence>>,
}

/// Which flow log's files the table is to be over.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) log: &'a FlowLog,
    pub(super) format: &'a LogFormat,
    /// The account that made the flow log, as far as it is known.
    pub(super) account: Option<&'a str>,
    /// Between which time stamps of files.
    pub(super) stamps: (Timestamp, Timestamp),
}

/// What a check-up finds of the table that would be asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// Its name, with its database's.
    pub table: String,
    /// The best question that Athena takes, behind those that it does not; without a last one that is taken where none
    /// is.
    pub questions: Vec<(Rung, Result<(), Unanswered>)>,
    /// What a statement reads at the most: a partition that is past, and so whole.
    pub reads: Result<u64, Unanswered>,
    /// How many bytes may be read.
    pub left: u64,
}

/// A table that can be asked.
struct Usable {
    name: String,
    format: LogFormat,
    records: Records,
    per_hour: bool,
}

impl<Queries: SqlQueries> Athena<Queries> {
    /// A source that asks this table with `queries`.
    pub fn new(queries: Queries, name: TableName) -> Self {
        Self { queries, name, answered: RefCell::default() }
    }

    /// Evidence from the table over the flow log's files, which is asked for the reason `why`; what kept it from
    /// answering is a gap of evidence that is [`Evidence::unanswered`]. `none` is the evidence without any answer.
    pub(super) async fn collect(
        &self,
        objects: &impl Objects,
        incident: &Incident,
        network: &Network,
        asked: &Asked<'_>,
        mut none: Evidence,
        why: &str,
    ) -> Evidence {
        none.coverage.source = Source::Athena;
        none.unanswered = true;
        none.queries.clear();
        none.gaps.clear();
        let mut evidence = self.asked(objects, incident, network, asked, none, why).await;
        if !evidence.unanswered {
            self.answered.replace(Some(evidence.clone()));
        } else if let Some(earlier) = self.answered.borrow().clone() {
            let gaps = std::mem::take(&mut evidence.gaps);
            let queries = std::mem::take(&mut evidence.queries);
            evidence = earlier;
            evidence.gaps.extend(gaps.into_iter().map(|gap| Gap { decides: false, ..gap }));
            evidence.queries.extend(queries);
        }
        evidence
    }

    /// What one round of statements shows.
    async fn asked(
        &self,
        objects: &impl Objects,
        incident: &Incident,
        network: &Network,
        asked: &Asked<'_>,
        mut none: Evidence,
        why: &str,
    ) -> Evidence {
        let usable = match self.usable(network, asked).await {
            Ok(usable) => usable,
            Err(Unanswered { why, fix, .. }) => {
                none.gaps.push(Gap::new(Purpose::HeldPortsOfAthena.as_str(), why, fix).deciding());
                return none;
            }
        };
        none.coverage.flow_log = Some(format!("{why}; asked of the table {} in Athena", usable.name));
        none.packet_addresses = usable.format.has_packet_addresses();
        none.ends_visible = usable.format.has(Field::TcpFlags);
        let bytes = match estimated(objects, network, asked, usable.per_hour).await {
            Ok(bytes) => bytes,
            Err(Unanswered { why, fix, .. }) => {
                none.gaps.push(Gap::new(Purpose::HeldPortsOfAthena.as_str(), why, fix).deciding());
                return none;
            }
        };
        let viewpoint = Viewpoint::of_zone(&network.gateway, incident.zone.as_deref());
        let worst = network.metric(MetricName::ErrorPortAllocation).and_then(|errors| errors.greatest_at);
        let asking = Asking {
            usable: &usable,
            log: asked.log,
            window: none.window,
            worst: worst_minute(none.window, worst),
            bytes,
            queries: &self.queries,
        };
        let evidence = asking.go_down(Rung::EveryMinute, &viewpoint, &none).await;
        let private_servers = servers_among_clients(&evidence, &viewpoint);
        let Some(rung) = evidence.coverage.question.filter(|_| !private_servers.is_empty()) else {
            return evidence;
        };
        tracing::info!(?private_servers, "servers that were taken for clients: asked again");
        let viewpoint = Viewpoint { private_servers, ..viewpoint };
        let again = asking.go_down(rung, &viewpoint, &none).await;
        let answered = !again.unanswered;
        with_roles(evidence, again, answered, &viewpoint.private_servers)
    }

    /// What would keep the table from being asked about a gateway's flow log in S3, found without reading any record:
    /// for a check-up. `None` where there is no flow log in S3.
    pub async fn check(
        &self,
        objects: &impl Objects,
        network: &Network,
        window: TimeWindow,
    ) -> Option<Result<Checked, Unanswered>> {
        let (log, format, _) = best_in_bucket(network)?;
        let incident = Incident::of_minutes(network.gateway.id.clone(), window);
        let account = account(log.in_bucket.as_ref()?, &incident);
        let stamps = stamps(window, log.aggregation_seconds);
        let asked = Asked { log, format: &format, account: account.as_deref(), stamps };
        let usable = match self.usable(network, &asked).await {
            Ok(usable) => usable,
            Err(unanswered) => return Some(Err(unanswered)),
        };
        let partition = SignedDuration::from_hours(if usable.per_hour { 1 } else { 24 });
        let earlier = |at: Timestamp| at.checked_sub(partition).unwrap_or(at);
        let past = Asked { stamps: (earlier(stamps.0), earlier(stamps.1)), ..asked };
        let reads = estimated(objects, network, &past, usable.per_hour).await;
        let asking = Asking {
            usable: &usable,
            log,
            window,
            worst: worst_minute(window, None),
            bytes: 0,
            queries: &self.queries,
        };
        let questions = asking.validate(&Viewpoint::of(&network.gateway)).await;
        Some(Ok(Checked { table: usable.name, questions, reads, left: self.queries.left() }))
    }

    /// The table that can be asked, or why none can.
    async fn usable(&self, network: &Network, asked: &Asked<'_>) -> Result<Usable, Unanswered> {
        let other = |why: String, fix: String| Unanswered { why, fix: fix.into(), cause: Cause::Other };
        let region = network.region.as_deref().filter(|region| is_region(region));
        let (Some(files), Some(region)) = (&asked.log.in_bucket, region) else {
            return Err(other("the Region of the flow log is not known".into(), "set AWS_REGION".into()));
        };
        let name_it = || make_table(files, asked.format);
        let (from, until) = asked.stamps;
        let wanted =
            Wanted { flow_log: &asked.log.id, account: asked.account, region: Some(region), from, until };
        let mut tables = self.queries.tables(&self.name).await?;
        tables.sort_by(|a, b| a.name.cmp(&b.name));
        let mut first: Option<(&Table, Unusable)> = None;
        for table in &tables {
            let usable = table.is_over(files, &wanted).and_then(|()| {
                let format = table.format(Some(files), asked.format)?;
                let records = table.records(&self.name.database, &wanted)?;
                let name = format!("{}.{}", self.name.database.as_str(), table.name);
                Ok(Usable { name, format, records, per_hour: table.is_per_hour() })
            });
            match usable {
                Ok(usable) => return Ok(usable),
                // Of several, what keeps one over the flow log's own files says more.
                Err(error) => {
                    let is_elsewhere = |error: &Unusable| matches!(error, Unusable::Elsewhere(..));
                    let known = first.take();
                    first = known.filter(|(_, known)| is_elsewhere(&error) || !is_elsewhere(known));
                    first = first.or(Some((table, error)));
                }
            }
        }
        Err(match (first, tables.len()) {
            (None, _) => other(format!("the catalog has no table {}", self.name), name_it()),
            (Some((table, error)), 1) => other(
                format!("the table {} can't be asked: {error}", words::outside(&table.name, 100)),
                name_it(),
            ),
            (Some((table, error)), of) => other(
                format!(
                    "none of the {of} tables of the database {} can be asked; {} can't: {error}",
                    self.name,
                    words::outside(&table.name, 100)
                ),
                name_it(),
            ),
        })
    }
}

/// One table while it is asked.
struct Asking<'a, Queries> {
    usable: &'a Usable,
    log: &'a FlowLog,
    window: TimeWindow,
    /// The minute that the simpler questions are about.
    worst: TimeWindow,
    /// What a statement reads, at the most.
    bytes: u64,
    queries: &'a Queries,
}

impl<Queries: SqlQueries> Asking<'_, Queries> {
    /// Asks from the question `first` on until one is answered. All of them have the time and the bytes of one.
    async fn go_down(&self, first: Rung, viewpoint: &Viewpoint, none: &Evidence) -> Evidence {
        let mut runs = Vec::new();
        let mut failed: Option<(Rung, Unanswered)> = None;
        let mut next = Some(first);
        while let Some(rung) = next {
            let mut evidence = self.base(rung, none);
            match self.ask(rung, viewpoint, &mut evidence, &mut runs).await {
                Ok(()) => {
                    evidence.gaps.extend(failed.and_then(|failed| simpler_asked(rung, &failed)));
                    evidence.queries = runs;
                    return evidence;
                }
                Err(unanswered) => {
                    next = below(rung, &unanswered.cause);
                    tracing::info!(question = ?rung, ?next, "not answered by Athena: {unanswered}");
                    failed.get_or_insert((rung, unanswered));
                }
            }
        }
        let mut evidence = none.clone();
        evidence.gaps.extend(failed.map(|(_, Unanswered { why, fix, .. })| {
            Gap::new(Purpose::HeldPortsOfAthena.as_str(), why, fix).deciding()
        }));
        evidence.queries = runs;
        evidence
    }

    /// Which question Athena takes, from the one that tells most.
    async fn validate(&self, viewpoint: &Viewpoint) -> Vec<(Rung, Result<(), Unanswered>)> {
        let Usable { format, records, .. } = self.usable;
        let mut questions = Vec::new();
        let mut next = Some(Rung::EveryMinute);
        while let Some(rung) = next {
            let windows = (self.window, self.worst);
            let question = question(rung, viewpoint, format, records, windows, self.log.aggregation_seconds);
            let answer = match question.query(rung, Purpose::Taken, &scope(viewpoint, format)) {
                Ok(mut statement) => {
                    statement.text.insert_str(0, VALIDATE);
                    statement.stored_bytes = Some(self.bytes);
                    self.queries.run(&statement, self.time_for(rung)).await.map(drop)
                }
                Err(unaskable) => Err(unaskable.into()),
            };
            next = answer.as_ref().err().and_then(|unanswered| below(rung, &unanswered.cause));
            questions.push((rung, answer));
        }
        questions
    }

    /// The evidence that an answer to a question is added to.
    fn base(&self, rung: Rung, none: &Evidence) -> Evidence {
        let (window, asked) =
            if rung.asks_every_minute() { (self.window, none.asked) } else { (self.worst, self.worst) };
        let mut evidence = Evidence { window, asked, steps: Steps::over(window), ..none.clone() };
        evidence.ends_visible &= rung.shows_ends();
        evidence.coverage.question = Some(rung);
        evidence
    }

    /// Asks one question about the gateway, and where its records do not join clients with destinations, about the
    /// clients.
    async fn ask(
        &self,
        rung: Rung,
        viewpoint: &Viewpoint,
        evidence: &mut Evidence,
        runs: &mut Vec<QueryRun>,
    ) -> Result<(), Unanswered> {
        let Usable { format, records, .. } = self.usable;
        let question = question(
            rung,
            viewpoint,
            format,
            records,
            (self.window, self.worst),
            self.log.aggregation_seconds,
        );
        let asked = OneQuestion { rung, question: &question };
        self.add(&asked, Purpose::HeldPortsOfAthena, &scope(viewpoint, format), evidence, runs).await?;
        evidence.unanswered = false;
        let joined = format.has_packet_addresses() || viewpoint.kind == GatewayKind::Regional;
        // The plainest question tells no leg of a client's own interface.
        let needless = joined || self.log.resource_id.starts_with("eni-") || rung == Rung::PlainFields;
        let servers: Vec<IpAddr> =
            if needless { Vec::new() } else { fullest_servers(evidence, MAX_ASKED_ABOUT) };
        if !servers.is_empty()
            && let Err(Unanswered { why, fix, .. }) =
                self.add(&asked, Purpose::ClientsOfAthena, &Scope::Clients(servers), evidence, runs).await
        {
            evidence.gaps.push(Gap::new(Purpose::ClientsOfAthena.as_str(), why, fix));
        }
        Ok(())
    }

    async fn add(
        &self,
        OneQuestion { rung, question }: &OneQuestion<'_>,
        purpose: Purpose,
        scope: &Scope,
        evidence: &mut Evidence,
        runs: &mut Vec<QueryRun>,
    ) -> Result<(), Unanswered> {
        let mut statement = question.query(*rung, purpose, scope)?;
        statement.stored_bytes = Some(self.bytes);
        let answer = self.queries.run(&statement, self.time_for(*rung)).await;
        runs.push(QueryRun { rung: Some(*rung), ..QueryRun::of(&statement, answer.as_ref().ok()) });
        add(evidence, &answer?, *rung, question, scope);
        Ok(())
    }

    /// By when a question has to be answered: half of the time is for a simpler one.
    fn time_for(&self, rung: Rung) -> Deadline {
        let all = self.queries.deadline();
        if rung < QUICK { Deadline::after(all.remaining() / 2) } else { all }
    }
}

/// A question, and which it is.
struct OneQuestion<'a> {
    rung: Rung,
    question: &'a Question<'a>,
}

/// The question that is put where this one was not answered.
fn below(rung: Rung, cause: &Cause) -> Option<Rung> {
    match cause {
        // What a statement reads before it fails is not charged.
        Cause::Refused | Cause::Failed | Cause::Ended => RUNGS.into_iter().find(|simpler| *simpler > rung),
        Cause::OutOfTime => (rung < QUICK).then_some(QUICK),
        // A simpler one reads as much, and needs as much.
        Cause::TooLarge | Cause::OutsideRetention | Cause::NoLogGroup(_) | Cause::Other => None,
    }
}

/// What a statement's text depends on.
fn question<'a>(
    rung: Rung,
    viewpoint: &'a Viewpoint,
    format: &'a LogFormat,
    records: &'a Records,
    (window, worst): (TimeWindow, TimeWindow),
    aggregation_seconds: u32,
) -> Question<'a> {
    let window = if rung.asks_every_minute() { window } else { worst };
    Question {
        viewpoint,
        format,
        log_groups: &[],
        stored_bytes: None,
        fields_discovered: false,
        window,
        lead: lead_seconds(aggregation_seconds),
        steps: Steps::over(window),
        worst: worst.start().as_second(),
        kept_from: None,
        table: Some(records),
    }
}

/// Where the gateway's records are among those of the table.
fn scope(viewpoint: &Viewpoint, format: &LogFormat) -> Scope {
    if viewpoint.kind == GatewayKind::Regional {
        return Scope::Gateway;
    }
    let named = if format.has(Field::InterfaceId) { viewpoint.interfaces.clone() } else { Vec::new() };
    Scope::Interfaces(named)
}

/// The statements that would be run for a gateway, from the one that tells most.
///
/// They are over a table of this name whose columns are the format's fields, with a partition for each day as flow logs
/// with Hive-compatible prefixes have it.
///
/// # Errors
/// When the gateway is not known well enough to ask.
pub fn planned(
    gateway: &NatGateway,
    (log, format): (&FlowLog, &LogFormat),
    window: TimeWindow,
    name: &TableName,
) -> Result<Vec<(Rung, Query)>, Unanswered> {
    let column = |name: &str| Column { name: name.to_owned(), kind: "string".to_owned() };
    let table = Table {
        name: name.table.as_ref().map_or("vpc_flow_logs", Identifier::as_str).to_owned(),
        columns: format.columns().iter().map(|field| column(&field.name().replace('-', "_"))).collect(),
        partition_keys: ["year", "month", "day"].map(column).into(),
        ..Table::default()
    };
    let (from, until) = stamps(window, log.aggregation_seconds);
    let wanted = Wanted { flow_log: &log.id, account: None, region: None, from, until };
    let unusable = |error: Unusable| Unanswered {
        why: error.to_string(),
        fix: "give the flow log's format with --log-format".into(),
        cause: Cause::Other,
    };
    let filled = table.format(None, format).map_err(unusable)?;
    let records = table.records(&name.database, &wanted).map_err(unusable)?;
    let viewpoint = Viewpoint::of(gateway);
    let windows = (window, worst_minute(window, None));
    let statement = |rung| {
        let question = question(rung, &viewpoint, &filled, &records, windows, log.aggregation_seconds);
        Ok((rung, question.query(rung, Purpose::HeldPortsOfAthena, &scope(&viewpoint, &filled))?))
    };
    RUNGS.into_iter().map(statement).collect()
}

/// What makes a table over a flow log's files, or names one: the stack does, of Parquet and of text in the default format.
pub(super) fn make_table(files: &InBucket, format: &LogFormat) -> String {
    let name_one = "name one over the flow log's files in NAT_TRIAGE_ATHENA_TABLE: \"Create a table for Amazon VPC flow logs\" in the Athena user guide has the statement";
    let kind = match files.parquet {
        true => "parquet",
        false if *format == LogFormat::version_2() => "text",
        false => return name_one.to_owned(),
    };
    format!(
        "{name_one}; or let the stack make one: sam deploy --parameter-overrides MakeAthenaTable={kind} FlowLogBuckets={}",
        files.place.bucket_arn()
    )
}

/// What a statement reads at the most: the partitions of the minutes, with the files of other flow logs in them.
async fn estimated(
    objects: &impl Objects,
    network: &Network,
    asked: &Asked<'_>,
    per_hour: bool,
) -> Result<u64, Unanswered> {
    let unknown = |why: String, fix: String| Unanswered {
        why: format!("what Athena would read could not be found out, so that it was not asked: {why}"),
        fix: fix.into(),
        cause: Cause::TooLarge,
    };
    let (Some(files), Some(account), Some(region)) =
        (&asked.log.in_bucket, asked.account, network.region.as_deref())
    else {
        let why = "the account that made the flow log is not known";
        return Err(unknown(why.into(), "ask with an alarm's event, which names it".into()));
    };
    let keys = Keys { files, account, region, flow_log: &asked.log.id };
    let (from, until) = asked.stamps;
    let wanted =
        Wanted { flow_log: &asked.log.id, account: Some(account), region: Some(region), from, until };
    let (from, until) = wanted.whole(per_hour);
    let mut bytes = 0;
    for folder in keys.folders(from, until) {
        let listing = Listing { prefix: folder, after: None, up_to: None };
        let listed = objects.list(&files.place, &listing, MAX_SUMMED).await;
        let listed = listed.map_err(|refused| unknown(refused.why, refused.fix))?;
        if listed.more {
            return Err(unknown(
                format!("{} has more than {}", listing.prefix, words::counted(MAX_SUMMED as u64, "file")),
                "let the flow log write a folder for each hour, and make the table's partitions of these"
                    .into(),
            ));
        }
        bytes += listed.objects.iter().map(|object| object.bytes).sum::<u64>();
    }
    Ok(bytes)
}

/// A row of an answer: Athena's names are in lower case, and ours are not all so.
///
/// Source: "Name databases, tables, and columns" in the Amazon Athena user guide.
pub fn row<'a>(cells: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> Row {
    let ours = |name: &str| {
        let aliases = Field::ALL.iter().map(|field| alias(*field));
        let mut known = std::iter::once("serverPort".to_owned()).chain(aliases);
        known.find(|known| known.eq_ignore_ascii_case(name)).unwrap_or_else(|| name.to_ascii_lowercase())
    };
    cells.into_iter().filter_map(|(name, cell)| Some((ours(name), cell?.to_owned()))).collect()
}
