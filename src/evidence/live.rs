//! The two live sources as one: Logs Insights where a flow log in CloudWatch Logs can be asked, files in S3 where
//! there is none, or where it holds nothing of the minutes in question.

use std::cell::Cell;

use super::bucket::{BucketFiles, Objects};
use super::insights::{LogsInsights, LogsQueries, Never, best_in_bucket, can_ask};
use super::{Evidence, EvidenceSource, window_to_look_at};
use crate::incident::{Incident, TimeWindow};
use crate::network::Network;

/// Logs Insights and files in S3.
pub struct Live<'a, Queries, Store> {
    insights: &'a LogsInsights<Queries>,
    files: BucketFiles<Store>,
    read_files: Cell<bool>,
}

impl<'a, Queries, Store> Live<'a, Queries, Store> {
    /// Both of them.
    #[must_use]
    pub fn new(insights: &'a LogsInsights<Queries>, files: BucketFiles<Store>) -> Self {
        Self { insights, files, read_files: Cell::new(false) }
    }

    /// Whether S3 was asked: what a diagnosis rests on is then more than queries and their answers.
    #[must_use]
    pub fn has_read_files(&self) -> bool {
        self.read_files.get()
    }
}

/// Why files were read.
const NOT_IN_CLOUDWATCH: &str =
    "no flow log of the gateway in CloudWatch Logs can be asked about these minutes";
const NOTHING_IN_CLOUDWATCH: &str = "CloudWatch Logs gave no record of the gateway";

impl<Queries: LogsQueries, Store: Objects> EvidenceSource for Live<'_, Queries, Store> {
    type Error = Never;

    async fn collect(&self, incident: &Incident, network: &mut Network) -> Result<Evidence, Never> {
        let window = window_to_look_at(incident, network).unwrap_or(TimeWindow::EPOCH);
        let known = network.clone();
        let Some((log, format, why)) = best_in_bucket(&known) else {
            return self.insights.collect(incident, network).await;
        };
        if !can_ask(network, window) {
            self.read_files.set(true);
            let why = format!("{why}; {NOT_IN_CLOUDWATCH}");
            return Ok(self.files.collect(incident, network, (log, &format), &why).await);
        }
        let mut asked = self.insights.collect(incident, network).await?;
        if asked.coverage.records_read > 0 {
            return Ok(asked);
        }
        self.read_files.set(true);
        let why = format!("{why}; {NOTHING_IN_CLOUDWATCH}");
        let mut read = self.files.collect(incident, network, (log, &format), &why).await;
        // Of two sources without a record, the one that comes first in time says what is missing.
        let (kept, other) =
            if read.coverage.records_read > 0 { (&mut read, &mut asked) } else { (&mut asked, &mut read) };
        let answered = kept.coverage.records_read > 0;
        kept.gaps.extend(std::mem::take(&mut other.gaps).into_iter().map(|mut gap| {
            gap.decides &= !answered;
            gap
        }));
        kept.queries.append(&mut other.queries);
        Ok(if answered { read } else { asked })
    }

    fn so_far(&self) -> Option<Evidence> {
        self.insights.so_far()
    }
}
