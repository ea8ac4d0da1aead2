//! A table over a flow log's files: which column holds what, and which partitions hold the minutes in question.
//!
//! Athena reads whole partitions, and charges for them: a table without partitions by time is not asked.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::names::Identifier;
use crate::flow::LogFormat;
use crate::flow::format::Column as FormatColumn;
use crate::network::InBucket;

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, as the catalog has it.
    pub name: String,
    /// Its type, as the catalog has it.
    pub kind: String,
}

/// A table, as the catalog describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns; of a table over text in the order in which a line has them.
    pub columns: Vec<Column>,
    /// The columns that stand in the keys of its objects.
    pub partition_keys: Vec<Column>,
    /// Its properties: `location`, `projection.day.format` and the like.
    pub parameters: BTreeMap<String, String>,
}

/// The records of a table that bear on some minutes, as SQL reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records {
    /// `"database"."table"`.
    pub(in crate::evidence) from: String,
    /// The columns, in the order of the format's; `None` for one that SQL can't name.
    pub(in crate::evidence) columns: Vec<Option<Identifier>>,
    /// What chooses the partitions and the flow log.
    pub(in crate::evidence) conditions: Vec<String>,
}

/// Why a table can't be asked. The texts are for the person who reads the report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is over other objects.
    #[error("its location is {0}, and the flow log's files are below {1}")]
    Elsewhere(String, String),
    /// It takes text for Parquet, or the other way round.
    #[error("it is for {table}, and the flow log's files are {files}")]
    OtherFiles {
        /// What it is for.
        table: &'static str,
        /// What the files are.
        files: &'static str,
    },
    /// A line has its fields in another order.
    #[error("its column {place} is {column}, and the flow log's format has {field} there")]
    OtherOrder {
        /// The place, counted from 1.
        place: usize,
        /// The table's column.
        column: String,
        /// The format's field.
        field: String,
    },
    /// Ports can't be counted.
    #[error("{0}")]
    Lacks(String),
    /// Every query would read all of it.
    #[error("it has no partitions by day or hour whose values we know, so that a query would read all of it")]
    NoTime,
    /// A partition has to be named, and we do not know which.
    #[error("it wants a value for its partition {0}, and we do not know which")]
    UnknownValue(String),
}

/// What a partition's value says of its records.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Says {
    Account,
    Region,
    Service,
    /// A part of the time, by its pattern for `strftime`.
    Time(String),
    Nothing,
}

/// Whose records, and of when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) flow_log: &'a str,
    pub(super) account: Option<&'a str>,
    pub(super) region: Option<&'a str>,
    /// Between which time stamps of files.
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

impl Table {
    /// A property, whatever case its name has.
    fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The properties that begin like this, for a partition.
    fn projection(&self, key: &Column, property: &str) -> Option<&str> {
        let enabled = self.parameter("projection.enabled").is_some_and(|on| on.eq_ignore_ascii_case("true"));
        if enabled { self.parameter(&format!("projection.{}.{property}", key.name)) } else { None }
    }

    /// Where its objects are, as far as all have it; `None` where the catalog does not say.
    ///
    /// Source: `list-table-metadata` in the AWS CLI reference for Athena shows `location` among the parameters;
    /// `storage.location.template` is of "Set up partition projection" in the Amazon Athena user guide.
    fn location(&self) -> Option<&str> {
        let location = self.parameter("storage.location.template").or_else(|| self.parameter("location"))?;
        Some(location.split("${").next().unwrap_or(location))
    }

    fn is_parquet(&self) -> Option<bool> {
        let told = ["serde.serialization.lib", "inputformat", "classification"];
        let told: Vec<&str> = told.iter().filter_map(|name| self.parameter(name)).collect();
        if told.is_empty() {
            return None;
        }
        Some(told.iter().any(|of| of.to_ascii_lowercase().contains("parquet")))
    }

    /// Whether its objects can be those of the flow log.
    pub(super) fn is_over(&self, files: &InBucket, wanted: &Wanted<'_>) -> Result<(), Unusable> {
        let below = wanted.folder(files);
        let Some(location) = self.location() else { return Ok(()) };
        // Old tables have other names for the scheme.
        let path = |url: &str| url.split_once("://").map_or_else(String::new, |(_, path)| path.to_owned());
        let (own, files) = (path(location), path(&below));
        // A prefix is told from one that only begins like it by the slash behind it.
        let covers = |outer: &str, inner: &str| {
            inner.starts_with(outer) && (outer.ends_with('/') || inner[outer.len()..].starts_with(['/']))
        };
        if covers(&own, &files) || covers(&files, &own) || own == files {
            Ok(())
        } else {
            Err(Unusable::Elsewhere(crate::words::outside(&own, 200), files))
        }
    }

    /// The columns as a format: those that the flow log fills, and that have a name which SQL takes.
    pub(super) fn format(
        &self,
        files: Option<&InBucket>,
        written: &LogFormat,
    ) -> Result<LogFormat, Unusable> {
        let name = |parquet: bool| if parquet { "Parquet" } else { "text" };
        let is_parquet = files.is_some_and(|files| files.parquet);
        if let Some(parquet) = self.is_parquet().filter(|parquet| *parquet != is_parquet) {
            return Err(Unusable::OtherFiles { table: name(parquet), files: name(is_parquet) });
        }
        let lacks = |error: crate::flow::FormatError| Unusable::Lacks(format!("of its columns: {error}"));
        let names = self.columns.iter().map(|column| column.name.as_str());
        let all = LogFormat::from_names(names).map_err(lacks)?;
        if !is_parquet {
            self.check_order(&all, written)?;
        }
        let filled = all.columns().iter().zip(&self.columns).map(|(known, column)| match known {
            FormatColumn::Known(field)
                if written.has(*field) && column.name.parse::<Identifier>().is_ok() =>
            {
                field.name()
            }
            // Passed over.
            _ => "",
        });
        LogFormat::from_names(filled).map_err(lacks)
    }

    /// Text has no names: a column holds what stands at its place.
    fn check_order(&self, all: &LogFormat, written: &LogFormat) -> Result<(), Unusable> {
        for (place, (ours, theirs)) in all.columns().iter().zip(written.columns()).enumerate() {
            if matches!(ours, FormatColumn::Known(_)) && ours != theirs {
                return Err(Unusable::OtherOrder {
                    place: place + 1,
                    column: crate::words::outside(&self.columns[place].name, 60),
                    field: theirs.name().to_owned(),
                });
            }
        }
        Ok(())
    }

    /// What a partition's value says, by its name.
    ///
    /// Sources: the tables of "Query Amazon VPC flow logs" in the Amazon Athena user guide have `accid`, `region` and
    /// `day`; `region`, `date` and `hour`; `date`; and `aws-account-id`, `aws-service`, `aws-region`, `year`, `month`,
    /// `day` and `hour`.
    fn says(&self, key: &Column) -> Says {
        let name: String =
            key.name.to_ascii_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
        let has = |name: &str| self.partition_keys.iter().any(|key| key.name.eq_ignore_ascii_case(name));
        let part = |pattern: &str| Says::Time(self.digits(key, pattern));
        match name.strip_prefix("aws").unwrap_or(&name) {
            "accid" | "account" | "accountid" => Says::Account,
            "region" => Says::Region,
            "service" => Says::Service,
            "year" => part("%Y"),
            "month" => part("%m"),
            "day" if has("month") => part("%d"),
            "hour" => part("%H"),
            "day" | "date" | "datehour" | "dt" | "time" | "timestamp" => {
                self.date_pattern(key).map_or(Says::Nothing, Says::Time)
            }
            _ => Says::Nothing,
        }
    }

    /// A number as a partition's value has it: padded as in the folders, unless the table says otherwise.
    ///
    /// Source: `projection.columnName.digits` in "Supported types for partition projection" in the Amazon Athena user
    /// guide.
    fn digits(&self, key: &Column, pattern: &str) -> String {
        let projected = self.projection(key, "type").is_some_and(|kind| kind.eq_ignore_ascii_case("integer"));
        let padded = !projected || self.projection(key, "digits").is_some();
        if is_number(&key.kind) || !padded { pattern.replace('%', "%-") } else { pattern.to_owned() }
    }

    /// How a partition's value spells a date.
    ///
    /// Source: `projection.columnName.format` in "Supported types for partition projection" in the Amazon Athena user
    /// guide: a pattern of Java's `DateTimeFormatter`.
    fn date_pattern(&self, key: &Column) -> Option<String> {
        if let Some(java) = self.projection(key, "format") {
            let pattern = [("yyyy", "%Y"), ("MM", "%m"), ("dd", "%d"), ("HH", "%H")]
                .iter()
                .fold(java.replace('\'', ""), |text, (java, ours)| text.replace(java, ours));
            let rest = ["%Y", "%m", "%d", "%H"].iter().fold(pattern.clone(), |text, of| text.replace(of, ""));
            let known = pattern.contains("%d") && rest.chars().all(|c| "/-_ T:".contains(c));
            return known.then_some(pattern);
        }
        key.kind.eq_ignore_ascii_case("date").then(|| "%Y-%m-%d".to_owned())
    }

    /// Whether an hour has a partition of its own.
    pub(super) fn is_per_hour(&self) -> bool {
        self.partition_keys.iter().any(|key| match self.says(key) {
            Says::Time(pattern) => pattern.contains('H'),
            _ => false,
        })
    }

    /// The records of the wanted minutes in it.
    pub(super) fn records(&self, database: &Identifier, wanted: &Wanted<'_>) -> Result<Records, Unusable> {
        let name: Identifier =
            self.name.parse().map_err(|error| Unusable::Lacks(format!("of its name: {error}")))?;
        let mut conditions = Vec::new();
        let mut times: Vec<(Identifier, &Column, String)> = Vec::new();
        for key in &self.partition_keys {
            let unknown = || Unusable::UnknownValue(crate::words::outside(&key.name, 60));
            let column: Identifier = key.name.parse().map_err(|_| unknown())?;
            let injected =
                self.projection(key, "type").is_some_and(|kind| kind.eq_ignore_ascii_case("injected"));
            let value = match self.says(key) {
                Says::Time(pattern) => {
                    times.push((column, key, pattern));
                    continue;
                }
                Says::Account => wanted.account,
                Says::Region => wanted.region,
                Says::Service => Some("vpcflowlogs"),
                Says::Nothing => None,
            };
            match value {
                Some(value) => conditions.push(format!("{column} = {}", literal(value, &key.kind))),
                None if injected => return Err(unknown()),
                None => {}
            }
        }
        let whole = times.iter().map(|(.., pattern)| pattern.as_str()).collect::<String>();
        if !["Y", "m", "d"].iter().all(|part| whole.contains(part)) {
            return Err(Unusable::NoTime);
        }
        let mut partitions: Vec<String> = Vec::new();
        for at in wanted.slots(self.is_per_hour()) {
            let parts: Vec<String> = times
                .iter()
                .map(|(column, key, pattern)| {
                    format!("{column} = {}", literal(&at.strftime(pattern).to_string(), &key.kind))
                })
                .collect();
            partitions.push(parts.join(" AND "));
        }
        conditions.push(match &partitions[..] {
            [one] => one.clone(),
            several => format!("(({}))", several.join(") OR (")),
        });
        // Source: "Get the file locations for source data in Amazon S3" (`"$path"`) in the Amazon Athena user guide.
        if let Ok(flow_log) = wanted.flow_log.parse::<Identifier>() {
            conditions.push(format!("strpos(\"$path\", '_{}_') > 0", flow_log.as_str()));
        }
        let columns = self.columns.iter().map(|column| column.name.parse().ok());
        Ok(Records { from: format!("{database}.{name}"), columns: columns.collect(), conditions })
    }
}

impl Wanted<'_> {
    /// The beginnings of the days, or of the hours, that hold the wanted time stamps.
    fn slots(&self, per_hour: bool) -> Vec<Timestamp> {
        let seconds = if per_hour { 3_600 } else { 86_400 };
        let mut at = self.from.as_second().div_euclid(seconds) * seconds;
        let mut slots = Vec::new();
        while at <= self.until.as_second() {
            slots.extend(Timestamp::from_second(at));
            at += seconds;
        }
        slots
    }

    /// The time that the partitions of the wanted time stamps hold.
    pub(super) fn whole(&self, per_hour: bool) -> (Timestamp, Timestamp) {
        let slots = self.slots(per_hour);
        let last = SignedDuration::from_secs(if per_hour { 3_599 } else { 86_399 });
        let first = slots.first().copied().unwrap_or(self.from);
        let until = slots.last().and_then(|slot| slot.checked_add(last).ok()).unwrap_or(self.until);
        (first, until)
    }

    /// Below what the flow log's files are, as a URL.
    fn folder(&self, files: &InBucket) -> String {
        let root = files.root();
        let below = match (self.account, self.region) {
            (Some(account), _) if files.hive => format!("aws-account-id={account}/"),
            (Some(account), Some(region)) => format!("{account}/vpcflowlogs/{region}/"),
            _ => String::new(),
        };
        files.place.url(&format!("{root}{below}"))
    }
}

fn is_number(kind: &str) -> bool {
    ["int", "integer", "bigint", "smallint", "tinyint"].contains(&kind.to_ascii_lowercase().as_str())
}

/// A value of ours, an account, a Region or a time, as a literal of a column's type.
fn literal(value: &str, kind: &str) -> String {
    if is_number(kind) && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return value.to_owned();
    }
    let quoted = format!("'{}'", value.replace('\'', "''"));
    if kind.eq_ignore_ascii_case("date") { format!("DATE {quoted}") } else { quoted }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "fl-0a1b2c3d4e5f60718";

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn wanted<'a>(from: &str, until: &str) -> Wanted<'a> {
        Wanted {
            flow_log: ID,
            account: Some("123456789012"),
            region: Some("eu-west-1"),
            from: at(from),
            until: at(until),
        }
    }

    fn files(hive: bool, parquet: bool) -> InBucket {
        let place = "s3://logs/vpc".parse().expect("a place");
        InBucket { place, hive, per_hour: false, parquet, account: None }
    }

    fn table(keys: &[(&str, &str)], parameters: &[(&str, &str)]) -> Table {
        let column = |(name, kind): &(&str, &str)| Column { name: (*name).into(), kind: (*kind).into() };
        Table {
            name: "vpc".into(),
            columns: Vec::new(),
            partition_keys: keys.iter().map(column).collect(),
            parameters: parameters.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        }
    }

    /// What chooses the partitions of some minutes around midnight.
    fn conditions(keys: &[(&str, &str)], parameters: &[(&str, &str)]) -> Result<String, Unusable> {
        let table = table(keys, parameters);
        let wanted = wanted("2026-11-30T23:50:00Z", "2026-12-01T00:10:00Z");
        let records = table.records(&"logs".parse().expect("a name"), &wanted)?;
        assert_eq!(records.from, "\"logs\".\"vpc\"");
        let (last, others) = records.conditions.split_last().expect("conditions");
        assert_eq!(*last, format!("strpos(\"$path\", '_{ID}_') > 0"));
        Ok(others.join(" & "))
    }

    #[test]
    fn partitions_of_each_documented_table_are_chosen() {
        let projected = [("projection.enabled", "true"), ("projection.day.format", "yyyy/MM/dd")];
        assert_eq!(
            conditions(&[("accid", "string"), ("region", "string"), ("day", "string")], &projected)
                .expect("usable"),
            "\"accid\" = '123456789012' & \"region\" = 'eu-west-1' & ((\"day\" = '2026/11/30') OR (\"day\" = '2026/12/01'))"
        );
        assert_eq!(
            conditions(&[("date", "date")], &[]).expect("usable"),
            "((\"date\" = DATE '2026-11-30') OR (\"date\" = DATE '2026-12-01'))"
        );
        let hive = ["aws-account-id", "aws-service", "aws-region", "year", "month", "day", "hour"];
        assert_eq!(
            conditions(&hive.map(|key| (key, "string")), &[]).expect("usable"),
            "\"aws-account-id\" = '123456789012' & \"aws-service\" = 'vpcflowlogs' & \"aws-region\" = 'eu-west-1' & \
             ((\"year\" = '2026' AND \"month\" = '11' AND \"day\" = '30' AND \"hour\" = '23') OR \
             (\"year\" = '2026' AND \"month\" = '12' AND \"day\" = '01' AND \"hour\" = '00'))"
        );
        assert_eq!(
            conditions(&["year", "month", "day"].map(|key| (key, "int")), &[]).expect("usable"),
            "((\"year\" = 2026 AND \"month\" = 11 AND \"day\" = 30) OR (\"year\" = 2026 AND \"month\" = 12 AND \"day\" = 1))"
        );
        let hourly = [
            ("projection.enabled", "true"),
            ("projection.date.format", "yyyy/MM/dd"),
            ("projection.hour.type", "integer"),
        ];
        assert_eq!(
            conditions(&[("date", "string"), ("hour", "string")], &hourly).expect("usable"),
            "((\"date\" = '2026/11/30' AND \"hour\" = '23') OR (\"date\" = '2026/12/01' AND \"hour\" = '0'))"
        );
    }

    #[test]
    fn partitions_that_we_cannot_name_keep_a_table_from_being_asked() {
        for keys in
            [&[][..], &[("day", "string")], &[("year", "string"), ("month", "string")], &[("shard", "int")]]
        {
            assert_eq!(conditions(keys, &[]), Err(Unusable::NoTime), "{keys:?}");
        }
        let strange = [("projection.enabled", "true"), ("projection.day.format", "EEE dd")];
        assert_eq!(conditions(&[("day", "string")], &strange), Err(Unusable::NoTime));
        let quoted = conditions(&[("da\"y", "date")], &[]);
        assert!(matches!(quoted, Err(Unusable::UnknownValue(_))), "{quoted:?}");
    }

    #[test]
    fn a_table_is_told_from_one_over_other_objects() {
        let wanted = wanted("2026-11-30T23:50:00Z", "2026-12-01T00:10:00Z");
        let over = |location: &str, hive: bool| {
            table(&[], &[("location", location)]).is_over(&files(hive, false), &wanted).is_ok()
        };
        for location in [
            "s3://logs/vpc/AWSLogs/",
            "s3://logs/vpc/AWSLogs",
            "s3://logs/",
            "s3://logs/vpc/AWSLogs/123456789012/vpcflowlogs/eu-west-1/",
            "s3://logs/vpc/AWSLogs/123456789012/vpcflowlogs/eu-west-1/2026/",
        ] {
            assert!(over(location, false), "{location}");
        }
        for location in [
            "s3://other/vpc/AWSLogs/",
            "s3://logs/vpc2/AWSLogs/",
            "s3://logs/vpc/AWSLogs/123456789012/vpcflowlogs/us-east-1/",
            "s3://logs/vpc/AWSLogs/999999999999/",
            "s3://logs/vpc/AWSLogs/123456789012/CloudTrail/",
        ] {
            assert!(!over(location, false), "{location}");
        }
        assert!(over("s3://logs/vpc/AWSLogs/aws-account-id=123456789012/", true));
        let template = table(
            &[],
            &[
                ("location", "s3://elsewhere/"),
                ("storage.location.template", "s3://logs/vpc/AWSLogs/${accid}/vpcflowlogs/${region}/${day}"),
            ],
        );
        assert!(template.is_over(&files(false, false), &wanted).is_ok());
    }

    #[test]
    fn a_column_counts_where_the_flow_log_fills_it() {
        let names = ["srcaddr", "dstaddr", "srcport", "dstport", "protocol", "start", "end", "tcp_flags"];
        let table = Table {
            columns: names.map(|name| Column { name: name.into(), kind: "string".into() }).into(),
            ..table(&[], &[])
        };
        let format = |text: &str| text.parse::<LogFormat>().expect("valid");
        let short = format("srcaddr dstaddr srcport dstport protocol start end");
        let filled = table.format(Some(&files(false, false)), &short).expect("usable");
        assert!(!filled.has(crate::flow::Field::TcpFlags), "no line has a field there");
        let long = format("srcaddr dstaddr srcport dstport protocol start end tcp-flags bytes");
        let filled = table.format(Some(&files(false, false)), &long).expect("usable");
        assert!(filled.has(crate::flow::Field::TcpFlags) && !filled.has(crate::flow::Field::Bytes));
        let swapped = format("dstaddr srcaddr srcport dstport protocol start end tcp-flags");
        let refused = table.format(Some(&files(false, false)), &swapped);
        assert!(matches!(refused, Err(Unusable::OtherOrder { place: 1, .. })), "{refused:?}");
        // Parquet has names.
        assert!(table.format(Some(&files(false, true)), &swapped).is_ok());
    }
}
