//! The live sources as one.
//!
//! Logs Insights where a flow log in CloudWatch Logs can be asked; files in S3 where there is none, or where it holds
//! nothing of the minutes in question; and Athena where these files are too much to read in place, or could not be read.

use std::cell::Cell;

use super::athena::{Asked, Athena, NoTables, SqlQueries};
use super::bucket::{BucketFiles, Objects, account, stamps};
use super::insights::{LogsInsights, LogsQueries, Never, best_in_bucket, can_ask};
use super::{Evidence, EvidenceSource, Source, window_to_look_at};
use crate::flow::LogFormat;
use crate::gap::Gap;
use crate::incident::{Incident, TimeWindow};
use crate::network::{FlowLog, Network};

/// Logs Insights, files in S3, and Athena where it is set up.
pub struct Live<'a, Queries, Store, Sql = NoTables> {
    insights: &'a LogsInsights<Queries>,
    files: BucketFiles<Store>,
    athena: Option<Athena<Sql>>,
    read_files: Cell<bool>,
}

impl<'a, Queries, Store> Live<'a, Queries, Store> {
    /// The first two of them.
    #[must_use]
    pub fn new(insights: &'a LogsInsights<Queries>, files: BucketFiles<Store>) -> Self {
        Self { insights, files, athena: None, read_files: Cell::new(false) }
    }

    /// The same with Athena, where it is set up.
    #[must_use]
    pub fn or_asking<Sql>(self, athena: Option<Athena<Sql>>) -> Live<'a, Queries, Store, Sql> {
        Live { insights: self.insights, files: self.files, athena, read_files: self.read_files }
    }
}

impl<Queries, Store, Sql> Live<'_, Queries, Store, Sql> {
    /// Whether S3 was asked: what a diagnosis rests on is then more than queries and their answers.
    #[must_use]
    pub fn has_read_files(&self) -> bool {
        self.read_files.get()
    }
}

impl<Queries, Store: Objects, Sql: SqlQueries> Live<'_, Queries, Store, Sql> {
    /// What the files of a flow log show, whoever reads them.
    async fn of_files(
        &self,
        incident: &Incident,
        network: &mut Network,
        (log, format): (&FlowLog, &LogFormat),
        why: &str,
    ) -> Evidence {
        self.read_files.set(true);
        let read = self.files.collect(incident, network, (log, format), why, self.athena.is_some()).await;
        let (Some(athena), Some(not_read), Some(files)) = (&self.athena, read.not_read, &log.in_bucket)
        else {
            return read.evidence;
        };
        let mut in_place = read.evidence;
        let account = account(files, incident);
        let stamps = stamps(in_place.window, log.aggregation_seconds);
        let asked = Asked { log, format, account: account.as_deref(), stamps };
        let mut none = Evidence::none(in_place.window, Source::Athena);
        none.asked = in_place.asked;
        none.coverage.aggregation_seconds = log.aggregation_seconds;
        none.coverage.formats = vec![format.to_string()];
        let why = format!("{why}; {not_read}");
        let mut answered = athena.collect(self.files.objects(), incident, network, &asked, none, &why).await;
        let mut queries = std::mem::take(&mut in_place.queries);
        if !answered.unanswered {
            queries.append(&mut answered.queries);
            return Evidence { queries, ..answered };
        }
        if in_place.coverage.records_read == 0 && in_place.gaps.is_empty() {
            // What there is room for is more than nothing.
            in_place = self.files.collect(incident, network, (log, format), &why, false).await.evidence;
            queries = std::mem::take(&mut in_place.queries);
        }
        queries.append(&mut answered.queries);
        let of_athena = answered.gaps.into_iter().map(|gap| Gap { decides: false, ..gap });
        in_place.gaps.extend(of_athena);
        Evidence { queries, ..in_place }
    }
}

/// Why files were read.
const NOT_IN_CLOUDWATCH: &str =
    "no flow log of the gateway in CloudWatch Logs can be asked about these minutes";
const NOTHING_IN_CLOUDWATCH: &str = "CloudWatch Logs gave no record of the gateway";

impl<Queries: LogsQueries, Store: Objects, Sql: SqlQueries> EvidenceSource for Live<'_, Queries, Store, Sql> {
    type Error = Never;

    async fn collect(&self, incident: &Incident, network: &mut Network) -> Result<Evidence, Never> {
        let window = window_to_look_at(incident, network).unwrap_or(TimeWindow::EPOCH);
        let known = network.clone();
        let Some((log, format, why)) = best_in_bucket(&known) else {
            return self.insights.collect(incident, network).await;
        };
        if !can_ask(network, window) {
            let why = format!("{why}; {NOT_IN_CLOUDWATCH}");
            return Ok(self.of_files(incident, network, (log, &format), &why).await);
        }
        let mut asked = self.insights.collect(incident, network).await?;
        if asked.coverage.records_read > 0 {
            return Ok(asked);
        }
        let why = format!("{why}; {NOTHING_IN_CLOUDWATCH}");
        let mut read = self.of_files(incident, network, (log, &format), &why).await;
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

    async fn collect_earlier(&self, earlier: &Incident, network: &Network) -> Option<Evidence> {
        self.insights.collect_earlier(earlier, network).await
    }

    fn so_far(&self) -> Option<Evidence> {
        self.insights.so_far()
    }
}
