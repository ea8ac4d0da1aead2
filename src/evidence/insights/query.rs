//! The Logs Insights queries: what the rungs of the ladder share.
//!
//! Pure, and every value that goes in is typed, so that nothing an event or a log line holds can change what is
//! asked. Each rung writes its own text; the choice of the records is here.

use std::net::IpAddr;

use jiff::Timestamp;

use super::super::{Steps, Viewpoint};
use super::legs::{Legs, alias};
use super::rung::Rung;
use super::text::{Name, Text, list};
use super::{article, every_minute, first_and_last, raw_records, worst_minute};
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

/// What is added to a query to ask what it would scan.
pub const ESTIMATE: &str = "\n| estimate";

/// Most rows that a question of ours asks for: one page of `GetQueryResults`, as large as pages get.
pub const MAX_ROWS: usize = 10_000;

/// A query, ready to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// What it answers, for the report.
    pub purpose: &'static str,
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
    #[error("the query would have {0} characters; Logs Insights takes {MAX_CHARACTERS}")]
    TooLong(usize),
}

impl Question<'_> {
    /// The query of a rung for one scope.
    ///
    /// # Errors
    /// When the gateway is not known well enough, or the text would be too long.
    pub fn query(&self, rung: Rung, purpose: &'static str, scope: &Scope) -> Result<Query, Unaskable> {
        if self.viewpoint.addresses.is_empty() {
            return Err(Unaskable::NoAddresses);
        }
        let mut text = Text::default();
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
        text.command(format_args!("limit {max_rows}"));
        let characters = text.characters();
        if characters > MAX_CHARACTERS {
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
        self.select_streams(scope, text);
        let pattern = self.pattern(text);
        text.command(format_args!("parse @message /^{pattern}$/"));
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
        if let Some(accepted) = self.accepted(statuses) {
            text.command(format_args!("filter {accepted}"));
        }
        let gateway = list(&self.viewpoint.addresses);
        let (source, target) = (legs.source(), legs.target());
        match scope {
            Scope::Streams(..) => {}
            Scope::Interfaces(interfaces) if !interfaces.is_empty() => {
                let column = alias(Field::InterfaceId);
                text.command(format_args!("filter {column} in {}", list(interfaces)));
            }
            Scope::Interfaces(_) if self.viewpoint.kind == GatewayKind::Regional => {}
            Scope::Interfaces(_) => {
                let (source, target) = (self.source(), self.target());
                text.command(format_args!("filter {source} in {gateway} or {target} in {gateway}"));
            }
            Scope::Gateway => {
                let id = self.viewpoint.gateway.as_ref().filter(|_| self.format.has(Field::ResourceId));
                let id = id.ok_or(Unaskable::NoResourceId)?;
                text.command(format_args!("filter {} = \"{id}\"", alias(Field::ResourceId)));
            }
            Scope::Clients(servers) => {
                // Other ports of the same addresses come along, and are told apart in the rows.
                let servers: Vec<String> = servers.iter().flat_map(spellings).collect();
                let servers = list(&servers);
                text.command(format_args!("filter {source} in {servers} or {target} in {servers}"));
                if self.format.has(Field::InterfaceId) && !self.viewpoint.interfaces.is_empty() {
                    let column = alias(Field::InterfaceId);
                    text.command(format_args!("filter {column} not in {}", list(&self.viewpoint.interfaces)));
                }
            }
        }
        Ok(())
    }

    /// The rules for the records of this scope.
    pub(super) fn legs(&self, scope: &Scope) -> Legs<'_> {
        match scope {
            Scope::Clients(_) => Legs::at_clients(self.viewpoint, self.format),
            _ => Legs::of_gateway(self.viewpoint, self.format),
        }
    }

    /// Which records count, by log status and action.
    fn accepted(&self, statuses: Statuses) -> Option<String> {
        let status = self.format.has(Field::LogStatus);
        match (statuses, self.format.has(Field::Action)) {
            (Statuses::All, _) if status => Some(r#"ntLogStatus in ["OK", "SKIPDATA"]"#.to_owned()),
            (Statuses::All, _) => Some("ispresent(ntStart)".to_owned()),
            (Statuses::Accepted, true) => Some(r#"ntAction = "ACCEPT""#.to_owned()),
            (Statuses::Accepted, false) if status => Some(r#"ntLogStatus = "OK""#.to_owned()),
            (Statuses::Accepted, false) => Some("ispresent(ntStart)".to_owned()),
        }
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
    let mut side = format!(
        "if({leg} > 4, \"at-client\", if({leg} > 2, \"gateway\", if({leg} > 0, \"client\", \"other\")))"
    );
    if format.has(Field::Action) {
        // A packet that a rule turned away holds no port. One that the gateway had let out was not refused by
        // it.
        side = format!("if(ntAction = \"REJECT\", if({leg} = 3, \"turned-away\", \"other\"), {side})");
    }
    if format.has(Field::LogStatus) {
        side = format!("if(ntLogStatus = \"SKIPDATA\", \"skipped\", {side})");
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
    text.command(format_args!("fields {side} as {side_name}, {leg} % 2 as {outward}"));
    text.command(format_args!("filter {side_name} != \"other\""));
    let (source, target) = (legs.source(), legs.target());
    let mut party = format!("if({outward} = 1, {target}, {source})");
    if legs.hides_servers() {
        party = format!("if({side_name} = \"client\", \"-\", {party})");
    }
    let base = question.origin();
    // A record that claims to span more is damaged, and must speak for no more minutes.
    let cut = base - MAX_RECORD_SECONDS;
    text.command(format_args!(
        "fields if({outward} = 1, {source}, {target}) as {holder}, if({outward} = 1, ntSrcport, ntDstport) as {port}, {party} as {server}, if({outward} = 1, ntDstport, ntSrcport) as {server_port}, 1 - {outward} as {inward}, ntStart - {base} as {began}, if(ntEnd - ntStart > {MAX_RECORD_SECONDS}, ntStart - {cut}, ntEnd - {base}) as {ended}"
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
    text.command(format_args!(
        "fields if({sent} > 0 or {side} = \"skipped\", {side}, \"unasked\") as {row_side}, if({sent} > 0 or {side} = \"client\", {holder}, \"-\") as {row_holder}, if({sent} > 0, {server}, \"-\") as {row_server}, if({sent} > 0, {server_port}, \"-\") as {row_port}"
    ));
    format!("{row_side}, {row_holder}, {row_server}, {row_port}, ntProtocol")
}

/// Reads an address that a row holds; `-` stands for none.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}
