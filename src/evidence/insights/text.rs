//! The text of a query while it is being written: commands, and the names that it hands out.
//!
//! Logs Insights takes a name once in the whole text, and never where it discovers a field of that name:
//! otherwise it answers `MalformedQueryException: Ephemeral field is already defined`, as about ten public
//! reports from live accounts say (pull requests 3461, 3465 and 3558 of trade-tariff/trade-tariff-backend
//! among them). So a name comes from [`Text::name`] alone, which hands out none twice.

use std::collections::BTreeSet;
use std::fmt;

use crate::flow::Field;

/// The language that a text is written in. What both have in common, such as `if`, `sum` and arithmetic, is written
/// as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::evidence) enum Dialect {
    /// Logs Insights: a pipeline of commands.
    #[default]
    LogsInsights,
    /// SQL as Athena takes it, which is Trino's: each command becomes a query that reads the one before.
    Sql,
}

impl Dialect {
    /// A text of our own making, which holds no quotation mark.
    pub(super) fn quoted(self, text: impl fmt::Display) -> String {
        match self {
            Self::LogsInsights => format!("\"{text}\""),
            Self::Sql => format!("'{text}'"),
        }
    }

    /// What stands behind `in`. The items are ids, addresses and stream names of our own making, which hold no
    /// quotation mark.
    pub(super) fn list<T: fmt::Display>(self, items: &[T]) -> String {
        let quoted = items.iter().map(|item| self.quoted(item)).collect::<Vec<_>>().join(", ");
        match self {
            Self::LogsInsights => format!("[{quoted}]"),
            Self::Sql => format!("({quoted})"),
        }
    }

    /// Whether the address in a field lies in a range.
    ///
    /// Source of the SQL: `contains(network, address)` in "IP Address Functions" of the Trino documentation.
    pub(super) fn within(self, field: &str, range: impl fmt::Display, is_v4: bool) -> String {
        match self {
            Self::LogsInsights if is_v4 => format!("isIpv4InSubnet({field}, \"{range}\")"),
            Self::LogsInsights => format!("isIpv6InSubnet({field}, \"{range}\")"),
            Self::Sql => format!("contains('{range}', {field}{IP})"),
        }
    }

    /// Whether a field holds an IPv6 address.
    ///
    /// Source of the SQL: `strpos(string, substring)` in "String functions and operators" of the Trino documentation.
    pub(super) fn is_ipv6(self, field: &str) -> String {
        match self {
            Self::LogsInsights => format!("isValidIpV6({field})"),
            Self::Sql => format!("strpos({field}, ':') > 0"),
        }
    }

    /// Whether a field holds anything.
    pub(super) fn is_present(self, field: &str) -> String {
        match self {
            Self::LogsInsights => format!("ispresent({field})"),
            Self::Sql => format!("{field} is not null"),
        }
    }

    /// How many whole parts of so many seconds there are in a number, which may be negative. Between whole numbers
    /// Trino's `/` cuts towards zero, so that the SQL divides by a `DOUBLE`.
    ///
    /// Source of the SQL: "Mathematical functions and operators" and "Data types" in the Trino documentation.
    pub(super) fn whole_parts(self, number: &str, seconds: i64) -> String {
        match self {
            Self::LogsInsights => format!("floor({number} / {seconds})"),
            Self::Sql => format!("floor({number} / {seconds}e0)"),
        }
    }

    /// How many different values a field has, approximately: in constant memory, however many there are.
    ///
    /// Source of the SQL: `approx_distinct` in "Aggregate functions" of the Trino documentation, with a standard error of
    /// 2.3%; "Optimize queries" in the Amazon Athena user guide gives it where a query runs out of resources.
    pub(super) fn count_distinct(self, field: &str) -> String {
        match self {
            Self::LogsInsights => format!("countDistinct({field})"),
            Self::Sql => format!("approx_distinct({field})"),
        }
    }
}

/// What the SQL adds to a field's name for its address as a value that ranges are asked about.
pub(in crate::evidence) const IP: &str = "Ip";

/// Fields of the JSON in Route 53 Resolver query logs, which Logs Insights discovers.
///
/// Source: "Values that appear in VPC Resolver query logs" in the Amazon Route 53 developer guide.
const RESOLVER_KEYS: [&str; 16] = [
    "version",
    "account_id",
    "region",
    "vpc_id",
    "query_timestamp",
    "query_name",
    "query_type",
    "query_class",
    "rcode",
    "answers",
    "srcaddr",
    "srcport",
    "transport",
    "srcids",
    "firewall_rule_action",
    "firewall_domain_list_id",
];

/// Fields that Logs Insights discovers in flow logs of the default format.
///
/// Source: "Supported logs and discovered fields" in the Amazon CloudWatch Logs user guide.
const FLOW_KEYS: [&str; 14] = [
    "version",
    "accountId",
    "interfaceId",
    "srcAddr",
    "dstAddr",
    "srcPort",
    "dstPort",
    "protocol",
    "packets",
    "bytes",
    "startTime",
    "endTime",
    "action",
    "logStatus",
];

/// Whether Logs Insights may discover a field of this name in a log that is asked. Whether it discovers the
/// fields of custom formats is not documented; where it does, their names are in camel case.
pub fn is_discovered(name: &str) -> bool {
    name.starts_with('@')
        || FLOW_KEYS.contains(&name)
        || RESOLVER_KEYS.contains(&name)
        || Field::ALL.iter().any(|field| field.name() == name || camel_case(field.name()) == name)
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('-');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

/// A name that a query defines, once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::evidence) struct Name(String);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text of a query, as far as it is written.
#[derive(Clone, Debug, Default)]
pub(in crate::evidence) struct Text {
    text: String,
    names: BTreeSet<String>,
    dialect: Dialect,
    /// How many queries of the SQL there are, each reading the one before.
    parts: usize,
}

impl Text {
    /// SQL that begins with the records that a query gives.
    pub(in crate::evidence) fn of_sql(records: &str) -> Self {
        Self { text: format!("WITH q0 AS (\n{records}"), dialect: Dialect::Sql, ..Self::default() }
    }

    /// The language it is written in.
    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Adds a command of Logs Insights, on a line of its own.
    pub(super) fn command(&mut self, command: impl fmt::Display) {
        debug_assert_eq!(self.dialect, Dialect::LogsInsights, "{command}");
        if !self.text.is_empty() {
            self.text.push_str("\n| ");
        }
        self.text.push_str(&command.to_string());
    }

    /// Adds fields: expressions with their names.
    ///
    /// Source of the SQL, here and below: "SELECT" in the Trino documentation and in the Amazon Athena user guide.
    pub(super) fn fields(&mut self, fields: impl fmt::Display) {
        match self.dialect {
            Dialect::LogsInsights => self.command(format_args!("fields {fields}")),
            Dialect::Sql => self.part(|before| format!("SELECT *, {fields} FROM {before}")),
        }
    }

    /// Keeps what a condition holds for.
    pub(super) fn filter(&mut self, condition: impl fmt::Display) {
        match self.dialect {
            Dialect::LogsInsights => self.command(format_args!("filter {condition}")),
            Dialect::Sql => self.part(|before| format!("SELECT * FROM {before} WHERE {condition}")),
        }
    }

    /// Aggregates, for each value of the keys.
    pub(super) fn stats(&mut self, aggregates: impl fmt::Display, keys: impl fmt::Display) {
        match self.dialect {
            Dialect::LogsInsights => self.command(format_args!("stats {aggregates} by {keys}")),
            Dialect::Sql => {
                self.part(|before| format!("SELECT {keys}, {aggregates} FROM {before} GROUP BY {keys}"));
            }
        }
    }

    /// Puts the greatest first: the last that a text says of its records.
    pub(super) fn put_first(&mut self, name: &Name) {
        match self.dialect {
            Dialect::LogsInsights => self.command(format_args!("sort {name} desc")),
            Dialect::Sql => {
                self.text.push_str(&format!("\n)\nSELECT * FROM q{} ORDER BY {name} DESC", self.parts));
            }
        }
    }

    /// Ends the text with so many rows at the most.
    pub(super) fn limit(&mut self, rows: usize) {
        match self.dialect {
            Dialect::LogsInsights => self.command(format_args!("limit {rows}")),
            Dialect::Sql => self.text.push_str(&format!(" LIMIT {rows}")),
        }
    }

    /// A further query of the SQL, which reads the one before.
    fn part(&mut self, query: impl FnOnce(&str) -> String) {
        let query = query(&format!("q{}", self.parts));
        self.parts += 1;
        self.text.push_str(&format!("\n),\nq{} AS (\n{query}", self.parts));
    }

    /// A name that nothing in the text has yet, and no discovered field: `stem` itself where that is free.
    /// Holds letters and digits only, as the names of groups in a regular expression may have nothing else.
    ///
    /// In SQL it is quoted, as Athena reserves `first` and `last`. Source: "Escape reserved keywords in queries" in
    /// the Amazon Athena user guide.
    pub(super) fn name(&mut self, stem: &str) -> Name {
        let free = |names: &BTreeSet<String>, name: &str| !names.contains(name) && !is_discovered(name);
        let mut name = stem.to_owned();
        for number in 2.. {
            if free(&self.names, &name) {
                break;
            }
            name = format!("{stem}x{number}");
        }
        self.names.insert(name.clone());
        match self.dialect {
            Dialect::LogsInsights => Name(name),
            Dialect::Sql => Name(format!("\"{name}\"")),
        }
    }

    /// How long the text is, in characters: what the limit of `StartQuery` counts.
    pub(super) fn characters(&self) -> usize {
        self.text.chars().count()
    }

    /// The text.
    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// `["a", "b"]`, as Logs Insights takes it: [`Dialect::list`].
pub(super) fn list<T: fmt::Display>(items: &[T]) -> String {
    Dialect::LogsInsights.list(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_handed_out_once_and_never_a_discovered_one() {
        let mut text = Text::default();
        let names = ["ntPort", "ntPort", "ntPort", "bytes", "answers", "pktSrcaddr", "srcaddr"]
            .map(|stem| text.name(stem).to_string());
        let expected =
            ["ntPort", "ntPortx2", "ntPortx3", "bytesx2", "answersx2", "pktSrcaddrx2", "srcaddrx2"];
        assert_eq!(names, expected);
    }
}
