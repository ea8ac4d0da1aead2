//! A compiled query: segments of per-record steps with a grouping between each two of them. Records
//! are rows of slots; a segment after a grouping starts with the keys, then the results.

use crate::expression::{Condition, Scalar};
use crate::extract::Extraction;
use crate::malformed::Span;

#[derive(Debug)]
pub(crate) struct Plan {
    /// One more than there are groupings: `segments[n]` feeds `groupings[n]`, the last the output.
    pub(crate) segments: Vec<Segment>,
    pub(crate) groupings: Vec<Grouping>,
    pub(crate) columns: Vec<Column>,
    pub(crate) sort: Vec<SortBy>,
    pub(crate) limit: Option<usize>,
    pub(crate) estimate: bool,
    /// The only streams that can match, where a filter names them: what the default index on
    /// `@logStream` goes by.
    pub(crate) streams: Option<Vec<String>>,
    /// Fields that exist only where a group holds default-format flow logs.
    pub(crate) flow_fields: Vec<(String, Span)>,
}

#[derive(Debug, Default)]
pub(crate) struct Segment {
    pub(crate) slots: usize,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug)]
pub(crate) enum Step {
    Assign(usize, Scalar),
    Filter(Condition),
    Extract { from: usize, extraction: Extraction },
}

#[derive(Debug)]
pub(crate) struct Grouping {
    pub(crate) keys: Vec<Scalar>,
    pub(crate) aggregates: Vec<Aggregate>,
}

#[derive(Debug)]
pub(crate) enum Aggregate {
    /// Of all records, or of those that have the value.
    Count(Option<Scalar>),
    CountDistinct(Scalar),
    Sum(Scalar),
    Average(Scalar),
    Min(Scalar),
    Max(Scalar),
    /// The value of the record with the earliest (or latest) time, among those that have one.
    ByTime {
        latest: bool,
        value: Scalar,
        time: usize,
    },
    ByOrder {
        last: bool,
        value: Scalar,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) slot: usize,
    /// Prints as a date rather than as a number of milliseconds.
    pub(crate) is_time: bool,
}

#[derive(Debug)]
pub(crate) struct SortBy {
    pub(crate) slot: usize,
    pub(crate) descending: bool,
}

/// The fields every event has, in the order of their slots.
pub(crate) const EVENT_FIELDS: [&str; 5] = ["@timestamp", "@message", "@logStream", "@ingestionTime", "@log"];
pub(crate) const TIMESTAMP: usize = 0;
pub(crate) const MESSAGE: usize = 1;
pub(crate) const LOG_STREAM: usize = 2;
pub(crate) const INGESTION_TIME: usize = 3;
pub(crate) const LOG: usize = 4;

/// The discovered names of a default-format flow log, in the order of the record's fields; their
/// slots follow those of `EVENT_FIELDS`.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_AnalyzeLogData-discoverable-fields.html>
pub(crate) const FLOW_FIELDS: [&str; 14] = [
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
