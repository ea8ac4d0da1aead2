//! Evidence from flow-log files in S3 that are too large to read in place: Athena reads them, asked in SQL.
//!
//! The SQL is Logs Insights' question about every minute in another language: one set of rules, one way to count, and
//! rows that are read alike. Knows no SDK: [`SqlQueries`] is the role that describes tables and runs statements. The
//! function creates no table: it asks one that exists.

mod names;
mod table;

use std::cell::RefCell;
use std::net::IpAddr;

use jiff::Timestamp;

use super::bucket::{Objects, stamps};
use super::files::lead_seconds;
use super::insights::{
    Answer, Cause, MAX_ASKED_ABOUT, Query, Question, Row, Scope, Unanswered, Unaskable, add_answer,
    fullest_servers, with_roles,
};
use super::roles::servers_among_clients;
use super::{Evidence, QueryRun, Source, Steps, Viewpoint};
use crate::flow::{Field, LogFormat};
use crate::gap::Gap;
use crate::incident::{Incident, TimeWindow};
use crate::network::{FlowLog, GatewayKind, Keys, Listing, MetricName, NatGateway, Network, is_region};
use crate::words;

use table::Wanted;

pub use names::{Identifier, NotATable, TableName};
pub use table::{Column, Records, Table, Unusable};

/// Most files of a folder whose sizes are summed: a hundred calls, of a second in all for ten.
const MAX_SUMMED: usize = 100_000;

const HELD_PORTS: &str = "held ports per destination and client, of Athena";
const CLIENTS: &str = "who used the fullest destinations, at the clients' own interfaces, of Athena";

/// Describes tables, and runs statements on them.
#[expect(async_fn_in_trait, reason = "used with generics inside this crate; no caller needs Send bounds")]
pub trait SqlQueries {
    /// The tables of a database, or the one of this name.
    ///
    /// # Errors
    /// When the catalog does not answer.
    async fn tables(&self, name: &TableName) -> Result<Vec<Table>, Unanswered>;

    /// Runs a statement to its end, within the time and the bytes there are. What it reads at the most is its
    /// [`Query::stored_bytes`], where that is known.
    ///
    /// # Errors
    /// When it could not be started, did not complete, or its rows could not be had.
    async fn run(&self, statement: &Query) -> Result<Answer, Unanswered>;
}

/// Nobody to ask.
#[derive(Clone, Copy, Debug)]
pub struct NoTables;

impl SqlQueries for NoTables {
    async fn tables(&self, _: &TableName) -> Result<Vec<Table>, Unanswered> {
        Ok(Vec::new())
    }

    async fn run(&self, _: &Query) -> Result<Answer, Unanswered> {
        Ok(Answer::default())
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
                none.gaps.push(Gap::new(HELD_PORTS, why, fix).deciding());
                return none;
            }
        };
        none.coverage.flow_log = Some(format!("{why}; asked of the table {} in Athena", usable.name));
        none.packet_addresses = usable.format.has_packet_addresses();
        none.ends_visible = usable.format.has(Field::TcpFlags);
        let bytes = match estimated(objects, network, asked, usable.per_hour).await {
            Ok(bytes) => bytes,
            Err(Unanswered { why, fix, .. }) => {
                none.gaps.push(Gap::new(HELD_PORTS, why, fix).deciding());
                return none;
            }
        };
        let viewpoint = Viewpoint::of_zone(&network.gateway, incident.zone.as_deref());
        let asking =
            Asking { usable: &usable, log: asked.log, window: none.window, bytes, queries: &self.queries };
        let evidence = asking.ask(&viewpoint, &none, network).await;
        let private_servers = servers_among_clients(&evidence, &viewpoint);
        if evidence.unanswered || private_servers.is_empty() {
            return evidence;
        }
        tracing::info!(?private_servers, "servers that were taken for clients: asked again");
        let viewpoint = Viewpoint { private_servers, ..viewpoint };
        let again = asking.ask(&viewpoint, &none, network).await;
        let answered = !again.unanswered;
        with_roles(evidence, again, answered, &viewpoint.private_servers)
    }

    /// The table that can be asked, or why none can.
    async fn usable(&self, network: &Network, asked: &Asked<'_>) -> Result<Usable, Unanswered> {
        let other = |why: String, fix: String| Unanswered { why, fix: fix.into(), cause: Cause::Other };
        let name_it = || {
            "name a table over the flow log's files in NAT_TRIAGE_ATHENA_TABLE: \"Create a table for Amazon VPC flow logs\" in the Athena user guide has the statement".to_owned()
        };
        let region = network.region.as_deref().filter(|region| is_region(region));
        let (Some(files), Some(region)) = (&asked.log.in_bucket, region) else {
            return Err(other("the Region of the flow log is not known".into(), "set AWS_REGION".into()));
        };
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
    /// What a statement reads, at the most.
    bytes: u64,
    queries: &'a Queries,
}

impl<Queries: SqlQueries> Asking<'_, Queries> {
    /// Asks about the gateway, and where its records do not join clients with destinations, about the clients.
    async fn ask(&self, viewpoint: &Viewpoint, none: &Evidence, network: &Network) -> Evidence {
        let mut evidence = none.clone();
        let question = question(
            viewpoint,
            &self.usable.format,
            &self.usable.records,
            (self.window, self.log.aggregation_seconds),
            network,
        );
        if let Err(Unanswered { why, fix, .. }) =
            self.add(HELD_PORTS, &question, &scope(viewpoint, &self.usable.format), &mut evidence).await
        {
            evidence.gaps.push(Gap::new(HELD_PORTS, why, fix).deciding());
            return evidence;
        }
        evidence.unanswered = false;
        let joined = self.usable.format.has_packet_addresses() || viewpoint.kind == GatewayKind::Regional;
        let servers: Vec<IpAddr> = if joined || self.log.resource_id.starts_with("eni-") {
            Vec::new()
        } else {
            fullest_servers(&evidence, MAX_ASKED_ABOUT)
        };
        if servers.is_empty() {
            return evidence;
        }
        if let Err(Unanswered { why, fix, .. }) =
            self.add(CLIENTS, &question, &Scope::Clients(servers), &mut evidence).await
        {
            evidence.gaps.push(Gap::new(CLIENTS, why, fix));
        }
        evidence
    }

    async fn add(
        &self,
        purpose: &'static str,
        question: &Question<'_>,
        scope: &Scope,
        evidence: &mut Evidence,
    ) -> Result<(), Unanswered> {
        let mut statement = question.statement(purpose, scope)?;
        statement.stored_bytes = Some(self.bytes);
        let answer = self.queries.run(&statement).await;
        evidence.queries.push(QueryRun::of(&statement, answer.as_ref().ok()));
        add_answer(evidence, &answer?, question, scope);
        Ok(())
    }
}

/// What a statement's text depends on.
fn question<'a>(
    viewpoint: &'a Viewpoint,
    format: &'a LogFormat,
    records: &'a Records,
    (window, aggregation_seconds): (TimeWindow, u32),
    network: &Network,
) -> Question<'a> {
    let worst = network.metric(MetricName::ErrorPortAllocation).and_then(|errors| errors.greatest_at);
    Question {
        viewpoint,
        format,
        log_groups: &[],
        stored_bytes: None,
        fields_discovered: false,
        window,
        lead: lead_seconds(aggregation_seconds),
        steps: Steps::over(window),
        worst: worst.unwrap_or(window.start()).as_second(),
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

/// The statement that would be run for a gateway, over a table of this name whose columns are the format's fields, with a
/// partition for each day as flow logs with Hive-compatible prefixes have it.
///
/// # Errors
/// When the gateway is not known well enough to ask.
pub fn planned(
    gateway: &NatGateway,
    (log, format): (&FlowLog, &LogFormat),
    window: TimeWindow,
    name: &TableName,
) -> Result<Query, Unanswered> {
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
    let network = Network::default();
    let question = question(&viewpoint, &filled, &records, (window, log.aggregation_seconds), &network);
    Ok(question.statement(HELD_PORTS, &scope(&viewpoint, &filled))?)
}

impl Question<'_> {
    /// The statement for one scope.
    fn statement(&self, purpose: &'static str, scope: &Scope) -> Result<Query, Unaskable> {
        self.query(super::insights::Rung::EveryMinute, purpose, scope)
    }
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
    let ours = |name: &str| match name.to_ascii_lowercase().as_str() {
        "serverport" => "serverPort".to_owned(),
        "ntprotocol" => "ntProtocol".to_owned(),
        name => name.to_owned(),
    };
    cells.into_iter().filter_map(|(name, cell)| Some((ours(name), cell?.to_owned()))).collect()
}
