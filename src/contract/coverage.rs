//! How much of the window the flow logs held, and which question they answered.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::evidence::Source;
use crate::evidence::insights::Rung;

/// How much of the window the flow logs held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CoverageReport {
    /// Whether the records reach through the window, with none known to be left out.
    pub complete: bool,
    /// The first packet of the earliest record.
    pub logs_from: Option<Timestamp>,
    /// The last packet of the latest record.
    pub logs_until: Option<Timestamp>,
    /// By when the missing records should have arrived; `null` where none are waited for.
    #[serde(default)]
    pub records_due: Option<Timestamp>,
    /// Records of the gateway that were used.
    pub records_read: u64,
    /// Lines that could not be used.
    pub records_rejected: u64,
    /// Files that could not be read, or not to their end.
    pub files_failed: u64,
    /// SKIPDATA records.
    pub skipdata: u64,
    /// Seconds that one record may span.
    pub aggregation_seconds: u32,
    /// Where the records came from.
    pub source: Source,
    /// The formats met.
    pub formats: Vec<String>,
    /// Which flow log was asked, of how many, and what speaks for it; `null` of files.
    pub flow_log: Option<String>,
    /// Which question of the ladder Logs Insights answered; `null` of files, and where it answered none.
    #[serde(default)]
    pub question: Option<QuestionReport>,
}

/// The question that the evidence answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuestionReport {
    /// Its place on the ladder: 0 tells most, 4 needs least.
    pub rung: u8,
    /// Its name.
    pub name: Rung,
    /// What its answer cannot tell; `null` for the first.
    pub cannot_tell: Option<String>,
}

impl QuestionReport {
    /// What a rung of the ladder tells, and what not.
    #[must_use]
    pub fn of(rung: Rung) -> Self {
        Self { rung: rung.number(), name: rung, cannot_tell: rung.cannot_tell().map(str::to_owned) }
    }
}
