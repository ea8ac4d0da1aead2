//! What can go wrong with the whole input, and with one file of it.

use std::error::Error;
use std::{fmt, io};

use super::input::STDIN;
use super::{FailedFile, Reading};
use crate::gap::Fix;
use crate::words;

/// Why there is not one record to diagnose from.
///
/// Whatever could be read comes first: one bad file among good ones is never an error, it is named in
/// [`Reading::failed`](super::Reading::failed).
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Nothing is where it was said to be.
    #[error("no such file or folder: {paths}")]
    Missing {
        /// The paths, separated by commas.
        paths: String,
    },
    /// Folders, but not a file in them.
    #[error("there is no file to read ({passed_over} hidden or special entries were passed over)")]
    NoFiles {
        /// Hidden and special entries.
        passed_over: u64,
    },
    /// Files, but each fails as a whole.
    #[error("not one flow-log file could be read: {reasons}")]
    Unreadable {
        /// Why, for each of the first few.
        reasons: String,
    },
    /// Files that can be read, and hold something else.
    #[error(
        "there are no flow-log records in the input; found {found}; expected VPC flow logs: text with a \
         header line of field names, lines in the default format or in that of --log-format (also \
         behind a time stamp), a table of fields or messages, or JSON as CloudWatch Logs writes it; plain, \
         gzip or zstd"
    )]
    NoRecords {
        /// What the first few files hold instead.
        found: String,
    },
}

/// So many files are named in an error.
const NAMED: usize = 3;

impl ReadError {
    pub(super) fn unreadable(failed: &[FailedFile]) -> Self {
        Self::Unreadable { reasons: first_few(failed.iter().map(shown)) }
    }

    /// Why `reading` holds nothing.
    pub(super) fn of(reading: &Reading) -> Self {
        let rejected = reading
            .rejected
            .iter()
            .map(|r| format!("{}, line {}: {:?} ({})", r.file, r.line, r.sample, r.reason));
        let passed = reading.passed_over.iter().map(|passed| match &passed.line {
            Some(line) => format!("{}, {line}", passed.name),
            None => format!("{}: {}", passed.name, passed.what),
        });
        let found = first_few(rejected.chain(reading.failed.iter().map(shown)).chain(passed));
        let has_lines = reading.passed_over.iter().any(|passed| passed.line.is_some());
        if reading.rejected.is_empty() && !has_lines && !found.is_empty() {
            return Self::Unreadable { reasons: found };
        }
        Self::NoRecords { found: if found.is_empty() { "no log events".to_owned() } else { found } }
    }
}

fn shown(failed: &FailedFile) -> String {
    format!("{}: {}; {}", failed.name, failed.error, failed.fix)
}

fn first_few(mut all: impl Iterator<Item = String>) -> String {
    let mut text = all.by_ref().take(NAMED).collect::<Vec<_>>().join("; ");
    let more = all.count();
    if more > 0 {
        text.push_str(&format!("; and {more} more"));
    }
    text
}

/// Why one file, or the rest of it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("failed to open it")]
    Open { source: io::Error },
    #[error("neither a file, a folder nor a pipe")]
    Special,
    #[error("it is in S3, and was not fetched")]
    NotFetched,
    #[error("empty")]
    Empty,
    #[error("reading it broke off; what came before is counted")]
    BrokeOff { source: io::Error },
    #[error("damaged or cut short before the first line")]
    DamagedHead { source: io::Error },
    #[error("damaged or cut short after {lines} lines, which are counted")]
    Damaged { lines: u64, source: io::Error },
    #[error("there was no time to read it to its end; its first {lines} lines are counted")]
    TimeOver { lines: u64 },
    #[error("damaged JSON after {events} events, which are counted")]
    Json { events: u64, source: JsonFault },
    #[cfg(not(feature = "parquet"))]
    #[error("Parquet, which this build does not read")]
    Parquet,
    #[cfg(feature = "parquet")]
    #[error("damaged Parquet after {rows} rows, which are counted")]
    ParquetDamaged { rows: u64, source: ::parquet::errors::ParquetError },
    #[cfg(feature = "parquet")]
    #[error("Parquet of more than {most} bytes, which would have to be held in memory")]
    ParquetTooLarge { most: u64 },
    #[error("{0}, which is not read")]
    Packed(Packing),
    #[error("binary data ({0:?}), neither text, JSON, gzip nor zstd")]
    Binary(String),
    #[error("the results of a query that was still {0}: more rows were to come, and those here are counted")]
    Unfinished(String),
    #[error("packed into more than {0} layers of compression")]
    Layers(u8),
    #[error("a header line and no records")]
    NoRecords,
    #[error(
        "JSON without log events: expected what aws logs filter-log-events or get-log-events prints, or a \
         CloudWatch Logs subscription envelope"
    )]
    NoEvents,
}

/// A way to pack files that is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Zip,
    Tar,
    SevenZip,
    Bzip2,
    Xz,
    Lz4,
    Snappy,
}

impl fmt::Display for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zip => "a zip archive",
            Self::Tar => "a tar archive",
            Self::SevenZip => "a 7-Zip archive",
            Self::Bzip2 => "compressed with bzip2",
            Self::Xz => "compressed with xz",
            Self::Lz4 => "compressed with lz4",
            Self::Snappy => "compressed with snappy",
        })
    }
}

impl FileError {
    /// Whether nothing is missing: there was nothing in the file that could have been a record.
    pub(super) fn holds_nothing(&self) -> bool {
        matches!(self, Self::Empty | Self::NoRecords | Self::NoEvents)
    }

    /// What to do about it: a command, where one helps. What it makes is read.
    pub(super) fn fix(&self, name: &str) -> Fix {
        // What comes in by standard input has a name only where it came from.
        let name = if name == STDIN { "FILE" } else { name };
        let file = words::in_shell(name);
        let into = |ending: &str| words::in_shell(&format!("{name}{ending}"));
        let (log, folder) = (into(".log"), into(".d"));
        match self {
            #[cfg(not(feature = "parquet"))]
            Self::Parquet => {
                let inner = name.replace('\'', "''");
                let copy = format!("COPY (FROM read_parquet('{inner}')) TO '{inner}.csv'");
                Fix::run_to(
                    "convert it, and read the outcome",
                    format!("duckdb -c {}", words::in_shell(&copy)),
                )
            }
            Self::Packed(Packing::Zip) => {
                Fix::run_to("unpack it, and read the outcome", format!("unzip {file} -d {folder}"))
            }
            Self::Packed(Packing::Tar) => Fix::run_to(
                "unpack it, and read the outcome",
                format!("mkdir {folder} && tar -xf {file} -C {folder}"),
            ),
            Self::Packed(Packing::SevenZip) => {
                Fix::run_to("unpack it, and read the outcome", format!("7z x {file} -o{folder}"))
            }
            Self::Packed(Packing::Bzip2) => {
                Fix::run_to("decompress it, and read the outcome", format!("bzip2 -dc {file} > {log}"))
            }
            Self::Packed(Packing::Xz) => {
                Fix::run_to("decompress it, and read the outcome", format!("xz -dc {file} > {log}"))
            }
            Self::Packed(Packing::Lz4) => {
                Fix::run_to("decompress it, and read the outcome", format!("lz4 -dc {file} > {log}"))
            }
            Self::Packed(Packing::Snappy) => "decompress it with what compressed it".into(),
            Self::NotFetched => {
                Fix::run_to("copy it, and read the copy", format!("aws s3 cp --recursive {file} flow-logs"))
            }
            Self::Unfinished(_) => {
                "save the results again, by aws logs get-query-results with the query's id, once \
                 their status is Complete"
                    .into()
            }
            Self::TimeOver { .. } => Fix::run_to(
                "read it where there is time enough",
                format!("nat-triage analyze --flow-logs {file}"),
            ),
            _ => "mend or replace the file, then run again".into(),
        }
    }

    /// The error with all that caused it, in one line.
    pub(super) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

/// What is wrong in a JSON document, and where.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct JsonFault(String);

impl JsonFault {
    /// An error of a parser that saw only a part of the document, with its place in the whole document.
    pub(super) fn at(error: &serde_json::Error, (line, column): (usize, usize)) -> Self {
        let text = error.to_string();
        let seen = format!(" at line {} column {}", error.line(), error.column());
        Self(match text.strip_suffix(&seen) {
            Some(what) => format!("{what} at line {line} column {column}"),
            None => text,
        })
    }
}
