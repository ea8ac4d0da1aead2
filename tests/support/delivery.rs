//! Simulated records as flow logs deliver them to S3, and a bucket in memory that holds them.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use nat_simulator::Record;
use nat_triage::config::MAX_SCAN_GIB;
use nat_triage::deadline::Deadline;
use nat_triage::evidence::bucket::{Cause, Listed, Object, Objects, Refused};
use nat_triage::network::{BucketPlace, Listing};

/// How a flow log is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivered<'a> {
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
    pub(crate) flow_log: &'a str,
    /// What stands before `AWSLogs/`.
    pub(crate) folder: &'a str,
    pub(crate) hive: bool,
    pub(crate) per_hour: bool,
    pub(crate) parquet: bool,
}

impl Delivered<'_> {
    /// The key of the file with the records that end in the five minutes from this second on. Written anew here, by
    /// AWS's page, so that a mistake of the program's own does not hide itself.
    pub(crate) fn key(&self, stamp: i64) -> String {
        let Self { account, region, flow_log, folder, .. } = self;
        let at = Timestamp::from_second(stamp).expect("this century");
        let path = match (self.hive, self.per_hour) {
            (false, false) => format!("{account}/vpcflowlogs/{region}/{}", at.strftime("%Y/%m/%d")),
            (false, true) => format!("{account}/vpcflowlogs/{region}/{}", at.strftime("%Y/%m/%d/%H")),
            (true, per_hour) => {
                let day = at.strftime("year=%Y/month=%m/day=%d");
                let hour = if per_hour { at.strftime("/hour=%H").to_string() } else { String::new() };
                format!("aws-account-id={account}/aws-service=vpcflowlogs/aws-region={region}/{day}{hour}")
            }
        };
        let ending = if self.parquet { "log.parquet" } else { "log.gz" };
        let time = at.strftime("%Y%m%dT%H%MZ");
        format!("{folder}AWSLogs/{path}/{account}_vpcflowlogs_{region}_{flow_log}_{time}_0a1b2c3d.{ending}")
    }

    /// The files with these records.
    pub(crate) fn files(&self, records: &[Record], header: &str) -> BTreeMap<String, Vec<u8>> {
        let end = header.split(' ').position(|field| field == "end").expect("the format has an end");
        let mut bins: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
        for record in records {
            let end: i64 =
                record.line.split(' ').nth(end).and_then(|text| text.parse().ok()).expect("a time");
            bins.entry(end - end.rem_euclid(300)).or_default().push(&record.line);
        }
        let file = |lines: &[&str]| if self.parquet { parquet(header, lines) } else { gzip(header, lines) };
        bins.into_iter().map(|(stamp, lines)| (self.key(stamp), file(&lines))).collect()
    }
}

fn gzip(header: &str, lines: &[&str]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(format!("{header}\n{}\n", lines.join("\n")).as_bytes()).expect("in memory");
    encoder.finish().expect("in memory")
}

#[cfg(not(feature = "parquet"))]
fn parquet(_: &str, _: &[&str]) -> Vec<u8> {
    unreachable!("this build writes no Parquet")
}

/// As AWS writes it: a column for each field, underscores for hyphens, nothing for `-`, compressed within.
#[cfg(feature = "parquet")]
fn parquet(header: &str, lines: &[&str]) -> Vec<u8> {
    use std::sync::Arc;

    use ::parquet::basic::{Compression, GzipLevel};
    use ::parquet::column::writer::ColumnWriter;
    use ::parquet::data_type::ByteArray;
    use ::parquet::file::properties::WriterProperties;
    use ::parquet::file::writer::SerializedFileWriter;
    use ::parquet::schema::parser::parse_message_type;

    const INT32: [&str; 6] = ["version", "srcport", "dstport", "protocol", "tcp-flags", "traffic-path"];
    const INT64: [&str; 4] = ["packets", "bytes", "start", "end"];

    let fields: Vec<&str> = header.split(' ').collect();
    let column = |field: &&str| {
        let name = field.replace('-', "_");
        match *field {
            of if INT32.contains(&of) => format!("optional int32 {name};"),
            of if INT64.contains(&of) => format!("optional int64 {name};"),
            _ => format!("optional binary {name} (UTF8);"),
        }
    };
    let columns: String = fields.iter().map(column).collect();
    let schema =
        Arc::new(parse_message_type(&format!("message flow_logs {{ {columns} }}")).expect("a schema"));
    let properties =
        WriterProperties::builder().set_compression(Compression::GZIP(GzipLevel::default())).build();
    let rows: Vec<Vec<&str>> = lines.iter().map(|line| line.split(' ').collect()).collect();
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties)).expect("a writer");
    let mut group = writer.next_row_group().expect("a group");
    let mut place = 0;
    while let Some(mut column) = group.next_column().expect("a column") {
        let cells: Vec<&str> = rows.iter().map(|row| row[place]).collect();
        let levels: Vec<i16> = cells.iter().map(|cell| i16::from(*cell != "-")).collect();
        let there = cells.iter().filter(|cell| **cell != "-");
        match column.untyped() {
            ColumnWriter::Int32ColumnWriter(writer) => {
                let values: Vec<i32> = there.map(|cell| cell.parse().expect("a number")).collect();
                writer.write_batch(&values, Some(&levels), None).expect("written");
            }
            ColumnWriter::Int64ColumnWriter(writer) => {
                let values: Vec<i64> = there.map(|cell| cell.parse().expect("a number")).collect();
                writer.write_batch(&values, Some(&levels), None).expect("written");
            }
            ColumnWriter::ByteArrayColumnWriter(writer) => {
                let values: Vec<ByteArray> = there.map(|cell| ByteArray::from(*cell)).collect();
                writer.write_batch(&values, Some(&levels), None).expect("written");
            }
            _ => unreachable!("the schema has no others"),
        }
        column.close().expect("closed");
        place += 1;
    }
    group.close().expect("closed");
    writer.close().expect("closed");
    bytes
}

/// What a bucket does with a key or a prefix that has this in it.
#[derive(Clone, Debug)]
pub(crate) struct Refusing {
    pub(crate) with: &'static str,
    pub(crate) cause: Cause,
}

/// A bucket in memory.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    pub(crate) objects: RefCell<BTreeMap<String, Vec<u8>>>,
    /// Keys whose size a listing tells otherwise.
    pub(crate) sizes: BTreeMap<String, u64>,
    pub(crate) archived: BTreeSet<String>,
    pub(crate) lists_refused: Option<Refusing>,
    pub(crate) fetches_refused: Option<Refusing>,
    /// Bytes that may be read; without one, as many as there are.
    pub(crate) allowed: Option<u64>,
    pub(crate) spent: Cell<u64>,
    pub(crate) fetched: RefCell<Vec<String>>,
    /// The key of each fetch, when it begins and when it ends.
    pub(crate) under_way: RefCell<Vec<String>>,
    pub(crate) listed: RefCell<Vec<String>>,
}

impl Bucket {
    pub(crate) fn of(objects: BTreeMap<String, Vec<u8>>) -> Self {
        Self { objects: RefCell::new(objects), ..Self::default() }
    }
}

fn refused(refusing: Option<&Refusing>, text: &str) -> Result<(), Refused> {
    match refusing.filter(|refusing| text.contains(refusing.with)) {
        Some(refusing) => Err(Refused {
            cause: refusing.cause.clone(),
            why: "s3 said no".into(),
            fix: "do what the cause does not tell".into(),
        }),
        None => Ok(()),
    }
}

impl Objects for &Bucket {
    async fn list(&self, _: &BucketPlace, listing: &Listing, most: usize) -> Result<Listed, Refused> {
        self.listed.borrow_mut().push(listing.prefix.clone());
        refused(self.lists_refused.as_ref(), &listing.prefix)?;
        let objects = self.objects.borrow();
        let of = objects.iter().filter(|(key, _)| {
            key.starts_with(&listing.prefix)
                && listing.after.as_ref().is_none_or(|after| *key > after)
                && listing.up_to.as_ref().is_none_or(|up_to| *key <= up_to)
        });
        let object = |(key, bytes): (&String, &Vec<u8>)| Object {
            key: key.clone(),
            bytes: self.sizes.get(key).copied().unwrap_or(bytes.len() as u64),
            archived: self.archived.contains(key),
        };
        let found: Vec<Object> = of.map(object).collect();
        let more = found.len() > most;
        Ok(Listed { objects: found.into_iter().take(most).collect(), more, calls: 1 })
    }

    async fn folders(&self, _: &BucketPlace, below: &str) -> Result<Vec<String>, Refused> {
        refused(self.lists_refused.as_ref(), below)?;
        let objects = self.objects.borrow();
        let folder = |key: &String| Some(format!("{below}{}/", key.strip_prefix(below)?.split_once('/')?.0));
        let folders: BTreeSet<String> = objects.keys().filter_map(folder).collect();
        Ok(folders.into_iter().collect())
    }

    async fn fetch(&self, _: &BucketPlace, object: &Object, _: Deadline) -> Result<Vec<u8>, Refused> {
        self.spent.set(self.spent.get() + object.bytes);
        self.fetched.borrow_mut().push(object.key.clone());
        self.under_way.borrow_mut().push(object.key.clone());
        // As it is with calls: others come in between.
        tokio::task::yield_now().await;
        self.under_way.borrow_mut().push(object.key.clone());
        refused(self.fetches_refused.as_ref(), &object.key)?;
        Ok(self.objects.borrow()[&object.key].clone())
    }

    fn left(&self) -> u64 {
        self.allowed.unwrap_or(u64::MAX).saturating_sub(self.spent.get())
    }

    fn limit(&self) -> &'static str {
        MAX_SCAN_GIB
    }

    fn deadline(&self) -> Deadline {
        Deadline::after(Duration::from_secs(300))
    }

    fn elsewhere(&self, _: &BucketPlace) -> Option<String> {
        None
    }
}
