//! The live sources as one.
//!
//! Logs Insights where a flow log in CloudWatch Logs can be asked; files in S3 where there is none, where it holds
//! nothing of the minutes in question, or where those of a better flow log are there in time; and Athena where files are
//! too much to read in place, or could not be read.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use tokio::time::timeout;

use super::athena::{Asked, Athena, NoTables, SqlQueries};
use super::bucket::{BucketFiles, Objects, Read, Wanted, account, stamps};
use super::insights::{
    LogsInsights, LogsQueries, NO_BYTES_TO_SPARE, Never, Purpose, best_in_bucket, better_in_bucket, can_ask,
};
use super::{Evidence, EvidenceSource, Kept, Source, window_to_look_at};
use crate::flow::LogFormat;
use crate::gap::{Fix, Gap};
use crate::incident::{Incident, TimeWindow};
use crate::network::{FlowLog, Network};

/// Logs Insights, files in S3, and Athena where it is set up.
pub struct Live<'a, Queries, Store, Sql = NoTables> {
    insights: &'a LogsInsights<Queries>,
    files: BucketFiles<Store>,
    athena: Option<Athena<Sql>>,
    read_files: Cell<bool>,
    /// Who gave the last answer, and how many bytes of files it took.
    answered: Cell<(Source, u64)>,
    /// What an earlier look at files of the minutes an hour before came to.
    earlier: RefCell<Option<Evidence>>,
    /// What was shown last, where files were read.
    kept: RefCell<Option<Kept>>,
}

impl<'a, Queries, Store> Live<'a, Queries, Store> {
    /// The first two of them.
    #[must_use]
    pub fn new(insights: &'a LogsInsights<Queries>, files: BucketFiles<Store>) -> Self {
        Self {
            insights,
            files,
            athena: None,
            read_files: Cell::default(),
            answered: Cell::default(),
            earlier: RefCell::default(),
            kept: RefCell::default(),
        }
    }

    /// The same with Athena, where it is set up.
    #[must_use]
    pub fn or_asking<Sql>(self, athena: Option<Athena<Sql>>) -> Live<'a, Queries, Store, Sql> {
        Live {
            insights: self.insights,
            files: self.files,
            athena,
            read_files: self.read_files,
            answered: self.answered,
            earlier: self.earlier,
            kept: self.kept,
        }
    }
}

impl<Queries, Store, Sql> Live<'_, Queries, Store, Sql> {
    /// Whether S3 was asked: what a diagnosis rests on is then more than queries and their answers.
    #[must_use]
    pub fn has_read_files(&self) -> bool {
        self.read_files.get()
    }

    /// What was shown last, where files were read: queries do not give it again. `None` where it is too much to keep.
    #[must_use]
    pub fn kept(&self) -> Option<Kept> {
        self.kept.borrow().clone()
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
        let wanted = if self.athena.is_some() { Wanted::NotTooMuch } else { Wanted::AllThereIs };
        let read = self.files.collect(incident, network, (log, format), why, wanted).await;
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
            let all = Wanted::AllThereIs;
            in_place = self.files.collect(incident, network, (log, format), &why, all).await.evidence;
            queries = std::mem::take(&mut in_place.queries);
        }
        queries.append(&mut answered.queries);
        let of_athena = answered.gaps.into_iter().map(|gap| Gap { decides: false, ..gap });
        in_place.gaps.extend(of_athena);
        Evidence { queries, ..in_place }
    }

    /// What the files of a flow log in S3 show that tells more than the one in CloudWatch Logs, where all of them are
    /// there and can be read in place; else what S3 refused. S3 gets its files later: until then CloudWatch Logs answers.
    async fn of_better_files(
        &self,
        incident: &Incident,
        network: &mut Network,
    ) -> Result<Evidence, Vec<Gap>> {
        let mut known = network.clone();
        let Some((log, format, why)) = better_in_bucket(network) else { return Err(Vec::new()) };
        let read = self.files.collect(incident, &mut known, (log, &format), &why, Wanted::Whole).await;
        let evidence = read.evidence;
        let coverage = &evidence.coverage;
        let damaged = coverage.files_failed > 0 || evidence.gaps.iter().any(|gap| gap.decides);
        if coverage.records_read > 0 && evidence.reaches_end() && !damaged {
            *network = known;
            self.read_files.set(true);
            return Ok(evidence);
        }
        tracing::info!(
            flow_log = log.id,
            not_read = read.not_read,
            "a better flow log in S3 is not there in time"
        );
        let refused = evidence.gaps.into_iter().filter(|gap| gap.decides && evidence.unanswered);
        Err(refused.map(|gap| Gap { decides: false, ..gap }).collect())
    }
}

/// Longest that reading the files of an hour earlier may take: the report waits for it.
const MAX_TIME_OF_EARLIER: Duration = Duration::from_secs(30);

impl<Queries, Store: Objects, Sql> Live<'_, Queries, Store, Sql> {
    /// What files in place show of the minutes an hour earlier. They may be as many again as those of the minutes in
    /// question, `bytes`: half of what may still be read, and what there is room for beside the others.
    async fn read_earlier(&self, earlier: &Incident, network: &Network, bytes: u64) -> Option<Evidence> {
        let known = self.earlier.borrow().clone();
        if let Some(known) = known.filter(|known| Some(known.asked) == earlier.window) {
            return Some(known);
        }
        let window = earlier.window?;
        let (log, format, why) = best_in_bucket(network)?;
        let spare = self.files.spare(bytes);
        let read = if bytes <= self.files.objects().left() / 2 {
            let mut network = network.clone();
            let collected = spare.collect(earlier, &mut network, (log, &format), &why, Wanted::NotTooMuch);
            match timeout(MAX_TIME_OF_EARLIER, collected).await {
                Ok(Read { evidence, not_read: None }) => Ok(evidence),
                Ok(Read { not_read: Some(why), .. }) => Err(why),
                Err(_) => Err("their files could not be read within half a minute".to_owned()),
            }
        } else {
            Err(NO_BYTES_TO_SPARE.to_owned())
        };
        let read = read.unwrap_or_else(|why| {
            let mut none = Evidence::none(window, Source::S3);
            none.unanswered = true;
            none.gaps.push(Gap::new(
                Purpose::HeldAnHourEarlier.as_str(),
                why,
                Fix::never("nothing else depends on it"),
            ));
            none
        });
        self.earlier.replace(Some(read.clone()));
        Some(read)
    }
}

/// Why files were read.
const NOT_IN_CLOUDWATCH: &str =
    "no flow log of the gateway in CloudWatch Logs can be asked about these minutes";
const NOTHING_IN_CLOUDWATCH: &str = "CloudWatch Logs gave no record of the gateway";

impl<Queries: LogsQueries, Store: Objects, Sql: SqlQueries> Live<'_, Queries, Store, Sql> {
    /// What the source shows that answers best of those that can be asked.
    async fn collect_from_the_best(
        &self,
        incident: &Incident,
        network: &mut Network,
    ) -> Result<Evidence, Never> {
        let window = window_to_look_at(incident, network).unwrap_or(TimeWindow::EPOCH);
        let known = network.clone();
        let Some((log, format, why)) = best_in_bucket(&known) else {
            return self.insights.collect(incident, network).await;
        };
        if !can_ask(network, window) {
            let why = format!("{why}; {NOT_IN_CLOUDWATCH}");
            return Ok(self.of_files(incident, network, (log, &format), &why).await);
        }
        let refused = match self.of_better_files(incident, network).await {
            Ok(mut evidence) => {
                self.insights.name_servers(network, window, &mut evidence).await;
                return Ok(evidence);
            }
            Err(refused) => refused,
        };
        let mut asked = self.insights.collect(incident, network).await?;
        if asked.coverage.records_read > 0 {
            if !refused.is_empty() {
                self.read_files.set(true);
                asked.gaps.extend(refused);
            }
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
}

impl<Queries: LogsQueries, Store: Objects, Sql: SqlQueries> EvidenceSource for Live<'_, Queries, Store, Sql> {
    type Error = Never;

    async fn collect(&self, incident: &Incident, network: &mut Network) -> Result<Evidence, Never> {
        let evidence = self.collect_from_the_best(incident, network).await?;
        let of_files = evidence.queries.iter().filter(|query| query.log_groups.is_empty());
        let bytes = of_files.filter_map(|query| query.bytes_scanned).sum();
        self.answered.set((evidence.coverage.source, bytes));
        let kept = if self.read_files.get() { Kept::of(&evidence, network) } else { None };
        self.kept.replace(kept);
        Ok(evidence)
    }

    async fn collect_earlier(&self, earlier: &Incident, network: &Network) -> Option<Evidence> {
        let shown = match self.answered.get() {
            (Source::LogsInsights, _) => self.insights.collect_earlier(earlier, network).await,
            (Source::S3, bytes) if self.insights.compares() => {
                self.read_earlier(earlier, network, bytes).await
            }
            _ => None,
        };
        let kept = self.kept.take();
        self.kept.replace(kept.and_then(|kept| kept.and_earlier(shown.as_ref())));
        shown
    }

    fn so_far(&self) -> Option<Evidence> {
        self.insights.so_far()
    }
}

/// Whether a flow log in S3 would be read instead of the one that Logs Insights is asked about, once its files are there.
#[must_use]
pub fn shows_more_in_s3(network: &Network) -> bool {
    better_in_bucket(network).is_some()
}
