//! The Logs Insights queries: what the rungs of the ladder share.
//!
//! Pure, and every value that goes in is typed, so that nothing an event or a log line holds can change what is
//! asked. Each rung writes its own text; the choice of the records is here.

use std::net::IpAddr;

use jiff::Timestamp;

use super::super::{Steps, Viewpoint};
use super::legs::{Legs, alias};
use super::rung::Rung;
use super::text::{Dialect, IP, Name, Text, list};
use super::{article, every_minute, first_and_last, raw_records, worst_minute};
use crate::evidence::athena::{Identifier, Records};
use crate::flow::format::Column;
use crate::flow::record::MAX_RECORD_SECONDS;
use crate::flow::{Field, LogFormat};
use crate::incident::{InterfaceId, TimeWindow};
use crate::network::{GatewayKind, IDLE_TIMEOUT_SECONDS, TrafficType, nat64_destination};

/// Whether lines of one format can't be told from lines of the other.
#[must_use]
pub fn alike(one: &LogFormat, other: &LogFormat) -> bool {
    let shapes = |format: &LogFormat| format.columns().iter().map(shape).collect::<Vec<_>>();
    shapes(one) == shapes(other)
}

/// What a column's values look like, as a regular expression: formats with as many fields in another
/// order are mostly told apart by it.
fn shape(column: &Column) -> &'static str {
    match column {
        Column::Known(
            Field::Srcport
            | Field::Dstport
            | Field::Protocol
            | Field::Packets
            | Field::Bytes
            | Field::Start
            | Field::End
            | Field::TcpFlags,
        ) => r"[\d-]\d*",
        Column::Known(Field::Srcaddr | Field::Dstaddr | Field::PktSrcaddr | Field::PktDstaddr) => {
            r"[\da-fA-F.:-]+"
        }
        Column::Known(Field::InterfaceId) => r"[\w-]+",
        Column::Known(Field::Action | Field::LogStatus) => "[A-Z-]+",
        _ => r"\S+",
    }
}

/// Most characters of a query text that StartQuery takes (`QueryString` in the CloudWatch Logs API), less
/// those of the `| estimate` that asks what it would scan.
pub const MAX_CHARACTERS: usize = 10_000 - ESTIMATE.len();

/// Most bytes of a statement that Athena takes (`QueryString` of `StartQueryExecution` in the Athena API reference).
const MAX_SQL_CHARACTERS: usize = 262_144;

/// What is added to a query to ask what it would scan.
pub const ESTIMATE: &str = "\n| estimate";

/// Most rows that a question of ours asks for: one page of `GetQueryResults`, as large as pages get.
pub const MAX_ROWS: usize = 10_000;

/// What a query answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// How many ports each destination and client held.
    HeldPorts,
    /// The same by SQL.
    HeldPortsOfAthena,
    /// The same of the minutes an hour earlier.
    HeldAnHourEarlier,
    /// Who used the destination, by the clients' own interfaces.
    Clients,
    /// The same by SQL.
    ClientsOfAthena,
    /// Which log streams have records.
    Streams,
    /// What clients asked the VPC's resolver for.
    HostNames,
    /// How many records there are, counted without a rule: for a check-up.
    Count,
    /// Whether Athena takes a statement: for a check-up.
    Taken,
}

impl Purpose {
    /// As reports and gaps name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HeldPorts => "held ports per destination and client",
            Self::HeldPortsOfAthena => "held ports per destination and client, of Athena",
            Self::HeldAnHourEarlier => "held ports an hour earlier",
            Self::Clients => "who used the fullest destinations, at the clients' own interfaces",
            Self::ClientsOfAthena => {
                "who used the fullest destinations, at the clients' own interfaces, of Athena"
            }
            Self::Streams => "which log streams have records of these minutes",
            Self::HostNames => "host names that clients asked for",
            Self::Count => "how many records there are, by count(*)",
            Self::Taken => "whether Athena takes a statement",
        }
    }
}

/// A query, ready to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// What it answers.
    pub purpose: Purpose,
    /// Its text.
    pub text: String,
    /// The log groups it is about.
    pub log_groups: Vec<String>,
    /// First second, inclusive, by which records began.
    pub from: i64,
    /// Last second, inclusive, by which records began.
    pub to: i64,
    /// Most rows that it asks for: its `limit`.
    pub max_rows: usize,
    /// How many bytes its log groups hold in all, compressed, where that is known.
    pub stored_bytes: Option<u64>,
}

/// Which records a query is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The gateway's own log streams, by name: the default index on `@logStream` skips the others.
    Streams(Vec<InterfaceId>, TrafficType),
    /// Every stream, for records of these interfaces; of any that shows one of the gateway's addresses, where
    /// none is named.
    Interfaces(Vec<InterfaceId>),
    /// Every stream, for records of a regional gateway.
    Gateway,
    /// Every stream, for what clients' interfaces exchanged with these servers.
    Clients(Vec<IpAddr>),
}

/// Everything that a query's text depends on.
pub struct Question<'a> {
    /// How records show the gateway.
    pub viewpoint: &'a Viewpoint,
    /// The flow log's format.
    pub format: &'a LogFormat,
    /// The log groups.
    pub log_groups: &'a [String],
    /// How many bytes they hold in all, compressed, where that is known.
    pub stored_bytes: Option<u64>,
    /// Whether Logs Insights discovers the fields of the format there.
    pub fields_discovered: bool,
    /// The minutes in question; of a rung that looks at one minute only, that minute.
    pub window: TimeWindow,
    /// How far back records bear on them, in seconds.
    pub lead: i64,
    /// The instants at which held ports are counted.
    pub steps: Steps,
    /// The first second of the minute in which most errors were counted.
    pub worst: i64,
    /// Before when the log groups hold nothing: a query is not to begin earlier.
    pub kept_from: Option<Timestamp>,
    /// The table that Athena is asked about in SQL; `None` for Logs Insights.
    pub table: Option<&'a Records>,
}

/// Why a question cannot be put.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unaskable {
    /// The gateway's addresses are what tells its legs apart.
    #[error("none of the gateway's addresses is known, and its legs cannot be told apart without")]
    NoAddresses,
    /// A regional gateway's records are found by `resource-id` alone.
    #[error("the flow log's format lacks resource-id, by which a regional gateway's records are found")]
    NoResourceId,
    /// The text would be too long.
    #[error("the query would have {0} characters, which is more than the service takes")]
    TooLong(usize),
}

impl Question<'_> {
    /// The query of a rung for one scope.
    ///
    /// # Errors
    /// When the gateway is not known well enough, or the text would be too long.
    pub fn query(&self, rung: Rung, purpose: Purpose, scope: &Scope) -> Result<Query, Unaskable> {
        if self.viewpoint.addresses.is_empty() {
            return Err(Unaskable::NoAddresses);
        }
        let mut text =
            self.table.map_or_else(Text::default, |table| Text::of_sql(&self.records(table, rung)));
        let mut max_rows = MAX_ROWS;
        match rung {
            Rung::EveryMinute => every_minute::write(self, scope, &mut text)?,
            Rung::FirstAndLast => first_and_last::write(self, scope, &mut text)?,
            Rung::WorstMinute => worst_minute::write(self, scope, worst_minute::Count::Exact, &mut text)?,
            Rung::DistinctPorts => {
                worst_minute::write(self, scope, worst_minute::Count::Distinct, &mut text)?
            }
            Rung::PlainFields => article::write(self, scope, &mut text)?,
            Rung::Records => {
                raw_records::write(self, scope, &mut text)?;
                max_rows = raw_records::MAX_RECORDS;
            }
        }
        text.limit(max_rows);
        let characters = text.characters();
        let most = if self.table.is_some() { MAX_SQL_CHARACTERS } else { MAX_CHARACTERS };
        if characters > most {
            return Err(Unaskable::TooLong(characters));
        }
        Ok(Query {
            purpose,
            text: text.finish(),
            log_groups: self.log_groups.to_vec(),
            from: self.from().max(self.kept_from.map_or(0, Timestamp::as_second)),
            to: self.window.end().as_second() - 1,
            max_rows,
            stored_bytes: self.stored_bytes,
        })
    }

    /// The first second by which a record that bears on the window may have begun.
    fn from(&self) -> i64 {
        self.window.start().as_second() - self.lead
    }

    /// The same records, unparsed, by the log stream; without effect for other scopes.
    pub(super) fn select_streams(&self, scope: &Scope, text: &mut Text) {
        if let Scope::Streams(interfaces, traffic) = scope {
            let streams: Vec<String> =
                interfaces.iter().map(|id| format!("{id}-{}", traffic.stream_suffix())).collect();
            text.command(format_args!("filter @logStream in {}", list(&streams)));
        }
    }

    /// Chooses the records and takes them apart.
    pub(super) fn select(
        &self,
        scope: &Scope,
        legs: &Legs<'_>,
        statuses: Statuses,
        text: &mut Text,
    ) -> Result<(), Unaskable> {
        if self.table.is_none() {
            self.select_streams(scope, text);
            let pattern = self.pattern(text);
            text.command(format_args!("parse @message /^{pattern}$/"));
        }
        self.choose(scope, legs, statuses, text)
    }

    /// Chooses among records that were taken apart.
    pub(super) fn choose(
        &self,
        scope: &Scope,
        legs: &Legs<'_>,
        statuses: Statuses,
        text: &mut Text,
    ) -> Result<(), Unaskable> {
        if let Some(accepted) = self.accepted(statuses, text.dialect()) {
            text.filter(accepted);
        }
        let dialect = text.dialect();
        let gateway = dialect.list(&self.viewpoint.addresses);
        let (source, target) = (legs.source(), legs.target());
        match scope {
            Scope::Streams(..) => {}
            Scope::Interfaces(interfaces) if !interfaces.is_empty() => {
                let column = alias(Field::InterfaceId);
                text.filter(format_args!("{column} in {}", dialect.list(interfaces)));
            }
            Scope::Interfaces(_) if self.viewpoint.kind == GatewayKind::Regional => {}
            Scope::Interfaces(_) => {
                let (source, target) = (self.source(), self.target());
                text.filter(format_args!("{source} in {gateway} or {target} in {gateway}"));
            }
            Scope::Gateway => {
                let id = self.viewpoint.gateway.as_ref().filter(|_| self.format.has(Field::ResourceId));
                let id = id.ok_or(Unaskable::NoResourceId)?;
                text.filter(format_args!("{} = {}", alias(Field::ResourceId), dialect.quoted(id)));
            }
            Scope::Clients(servers) => {
                // Other ports of the same addresses come along, and are told apart in the rows.
                let servers: Vec<String> = servers.iter().flat_map(spellings).collect();
                let servers = dialect.list(&servers);
                text.filter(format_args!("{source} in {servers} or {target} in {servers}"));
                if self.format.has(Field::InterfaceId) && !self.viewpoint.interfaces.is_empty() {
                    let column = alias(Field::InterfaceId);
                    text.filter(format_args!("{column} not in {}", dialect.list(&self.viewpoint.interfaces)));
                }
            }
        }
        Ok(())
    }

    /// The rules for the records of this scope.
    pub(super) fn legs(&self, scope: &Scope) -> Legs<'_> {
        let legs = match scope {
            Scope::Clients(_) => Legs::at_clients(self.viewpoint, self.format),
            _ => Legs::of_gateway(self.viewpoint, self.format),
        };
        legs.in_dialect(if self.table.is_some() { Dialect::Sql } else { Dialect::LogsInsights })
    }

    /// Which records count, by log status and action.
    fn accepted(&self, statuses: Statuses, dialect: Dialect) -> Option<String> {
        let status = self.format.has(Field::LogStatus);
        match (statuses, self.format.has(Field::Action)) {
            (Statuses::All, _) if status => {
                Some(format!("ntLogStatus in {}", dialect.list(&["OK", "SKIPDATA"])))
            }
            (Statuses::Accepted, true) => Some(format!("ntAction = {}", dialect.quoted("ACCEPT"))),
            (Statuses::Accepted, false) if status => Some(format!("ntLogStatus = {}", dialect.quoted("OK"))),
            (Statuses::All | Statuses::Accepted, _) => Some(dialect.is_present("ntStart")),
        }
    }

    /// The query that gives a table's records, each field by the name that it has in other texts.
    fn records(&self, table: &Records, rung: Rung) -> String {
        let as_values = rung != Rung::PlainFields;
        let is_used = |field: &Field| is_used(*field);
        let columns = self.format.columns().iter().enumerate().filter_map(|(place, column)| match column {
            Column::Known(field) if is_used(field) => Some((field, table.columns.get(place)?.as_ref()?)),
            _ => None,
        });
        let fields: Vec<String> =
            columns.map(|(field, column)| of_column(*field, column, as_values)).collect();
        let start = self.format.position(Field::Start).and_then(|place| table.columns.get(place)?.as_ref());
        let times = start.map(|start| {
            let until = self.window.end().as_second() - 1;
            format!("TRY_CAST({start} AS BIGINT) BETWEEN {} AND {until}", self.from())
        });
        let conditions: Vec<&str> = table.conditions.iter().chain(&times).map(String::as_str).collect();
        format!("SELECT {}\nFROM {}\nWHERE {}", fields.join(",\n  "), table.from, conditions.join("\n  AND "))
    }

    /// A regular expression for one line, anchored at both ends: a line of another format, which a
    /// second flow log may write to the same group, does not match.
    fn pattern(&self, text: &mut Text) -> String {
        let columns = self.format.columns().iter().map(|column| match column {
            Column::Known(field) if is_used(*field) => {
                format!("(?<{}>{})", text.name(&alias(*field)), shape(column))
            }
            _ => shape(column).to_owned(),
        });
        columns.collect::<Vec<_>>().join(" ")
    }

    /// The second from which times are counted: before every record that is asked for, so that none is
    /// negative, and near enough to keep the numbers short.
    pub(super) fn origin(&self) -> i64 {
        self.steps.start() - self.lead.max(IDLE_TIMEOUT_SECONDS) - 60
    }

    /// The interface's view of where a record came from; the packet's own where the format lacks it.
    pub(super) fn source(&self) -> &'static str {
        if self.format.has(Field::Srcaddr) { "ntSrcaddr" } else { "ntPktSrcaddr" }
    }

    /// The same of where it went.
    pub(super) fn target(&self) -> &'static str {
        if self.format.has(Field::Dstaddr) { "ntDstaddr" } else { "ntPktDstaddr" }
    }
}

/// A column of a table as the field that it holds; addresses also as values, of which ranges are asked. Ports become
/// text, as rows hold either a port or none.
///
/// Sources: "Conversion functions" (`try_cast`) and "Data types" (`IPADDRESS`) in the Trino documentation.
fn of_column(field: Field, column: &Identifier, as_values: bool) -> String {
    let name = alias(field);
    match field {
        Field::Srcaddr | Field::Dstaddr | Field::PktSrcaddr | Field::PktDstaddr if as_values => {
            format!("{column} AS {name}, TRY_CAST({column} AS IPADDRESS) AS {name}{IP}")
        }
        Field::Protocol | Field::Packets | Field::Bytes | Field::Start | Field::End | Field::TcpFlags => {
            format!("TRY_CAST({column} AS BIGINT) AS {name}")
        }
        Field::Srcport | Field::Dstport => format!("CAST({column} AS VARCHAR) AS {name}"),
        _ => format!("{column} AS {name}"),
    }
}

/// An address as records may spell it: a NAT64 address with the IPv4 one inside in either notation, as AWS does
/// not say in which.
fn spellings(address: &IpAddr) -> Vec<String> {
    let inside = match address {
        IpAddr::V6(v6) => nat64_destination(*v6),
        IpAddr::V4(_) => None,
    };
    std::iter::once(address.to_string()).chain(inside.map(|v4| format!("64:ff9b::{v4}"))).collect()
}

/// Which records a question reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Statuses {
    /// Accepted and rejected ones, and those that say that records were left out.
    All,
    /// Accepted ones only.
    Accepted,
}

/// Whether a question reads the field; the others are passed over.
pub(super) fn is_used(field: Field) -> bool {
    matches!(
        field,
        Field::InterfaceId
            | Field::ResourceId
            | Field::Srcaddr
            | Field::Dstaddr
            | Field::PktSrcaddr
            | Field::PktDstaddr
            | Field::Srcport
            | Field::Dstport
            | Field::Protocol
            | Field::Packets
            | Field::Bytes
            | Field::Start
            | Field::End
            | Field::Action
            | Field::LogStatus
            | Field::TcpFlags
            | Field::FlowDirection
            | Field::NextHopInterfaceId
    )
}

/// A record in terms of ports: the fields that hold what.
pub(super) struct PortFields {
    pub(super) side: Name,
    pub(super) outward: Name,
    pub(super) inward: Name,
    pub(super) holder: Name,
    pub(super) port: Name,
    pub(super) server: Name,
    pub(super) server_port: Name,
    pub(super) began: Name,
    pub(super) ended: Name,
    /// An expression for the packets towards the destination.
    pub(super) sent: String,
}

/// Says of each record which side it shows, which way it went, whose port it is, and towards whom.
pub(super) fn name_ports(question: &Question<'_>, legs: &Legs<'_>, text: &mut Text) -> PortFields {
    let format = question.format;
    let leg = legs.number_legs(text);
    let dialect = text.dialect();
    let [at_client, gateway, client, other, hidden] =
        ["at-client", "gateway", "client", "other", "-"].map(|side| dialect.quoted(side));
    let mut side =
        format!("if({leg} > 4, {at_client}, if({leg} > 2, {gateway}, if({leg} > 0, {client}, {other})))");
    if format.has(Field::Action) {
        // A packet that a rule turned away holds no port. One that the gateway had let out was not refused by
        // it.
        let [reject, turned_away] = ["REJECT", "turned-away"].map(|text| dialect.quoted(text));
        side = format!("if(ntAction = {reject}, if({leg} = 3, {turned_away}, {other}), {side})");
    }
    if format.has(Field::LogStatus) {
        let [skipdata, skipped] = ["SKIPDATA", "skipped"].map(|text| dialect.quoted(text));
        side = format!("if(ntLogStatus = {skipdata}, {skipped}, {side})");
    }
    let fields = PortFields {
        side: text.name("ntSide"),
        outward: text.name("ntOut"),
        inward: text.name("ntIn"),
        holder: text.name("ntHolder"),
        port: text.name("ntPort"),
        server: text.name("ntServer"),
        server_port: text.name("ntServerPort"),
        began: text.name("ntBegan"),
        ended: text.name("ntEnded"),
        sent: String::new(),
    };
    let PortFields {
        side: side_name, outward, inward, holder, port, server, server_port, began, ended, ..
    } = &fields;
    text.fields(format_args!("{side} as {side_name}, {leg} % 2 as {outward}"));
    text.filter(format_args!("{side_name} != {other}"));
    let (source, target) = (legs.source(), legs.target());
    let mut party = format!("if({outward} = 1, {target}, {source})");
    if legs.hides_servers() {
        party = format!("if({side_name} = {client}, {hidden}, {party})");
    }
    let base = question.origin();
    // A record that claims to span more is damaged, and must speak for no more minutes.
    let cut = base - MAX_RECORD_SECONDS;
    text.fields(format_args!(
        "if({outward} = 1, {source}, {target}) as {holder}, if({outward} = 1, ntSrcport, ntDstport) as {port}, {party} as {server}, if({outward} = 1, ntDstport, ntSrcport) as {server_port}, 1 - {outward} as {inward}, ntStart - {base} as {began}, if(ntEnd - ntStart > {MAX_RECORD_SECONDS}, ntStart - {cut}, ntEnd - {base}) as {ended}"
    ));
    let sent =
        if format.has(Field::Packets) { format!("ntPackets * {outward}") } else { outward.to_string() };
    PortFields { sent, ..fields }
}

/// The keys of an answer's rows: what only came in, unasked, met no connection and held no port. It makes one
/// row, so that the rows still account for every record.
pub(super) fn name_rows(fields: &PortFields, sent: &Name, text: &mut Text) -> String {
    let PortFields { side, holder, server, server_port, .. } = fields;
    let [row_side, row_holder, row_server, row_port] =
        ["side", "holder", "server", "serverPort"].map(|stem| text.name(stem));
    let [skipped, unasked, client, none] =
        ["skipped", "unasked", "client", "-"].map(|word| text.dialect().quoted(word));
    text.fields(format_args!(
        "if({sent} > 0 or {side} = {skipped}, {side}, {unasked}) as {row_side}, if({sent} > 0 or {side} = {client}, {holder}, {none}) as {row_holder}, if({sent} > 0, {server}, {none}) as {row_server}, if({sent} > 0, {server_port}, {none}) as {row_port}"
    ));
    format!("{row_side}, {row_holder}, {row_server}, {row_port}, ntProtocol")
}

/// Reads an address that a row holds; `-` stands for none.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}
