//! Evidence from flow-log files where they are: in S3.
//!
//! Nothing is written to disk. What is read of one window is bounded in objects, bytes and time, and what was left out
//! is named. Knows no SDK: [`Objects`] is the role that lists and fetches.

mod reading;
mod told;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::iter;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::deadline::Deadline;
use crate::flow::LogFormat;
use crate::gap::Gap;
use crate::incident::{Incident, TimeWindow, is_account};
use crate::network::{BucketPlace, FILE_INTERVAL, FileName, FlowLog, InBucket, Keys, Listing, Network};
use crate::words::counted;

use super::files::lead_seconds;
use super::insights::best_in_bucket;
use super::{Evidence, QueryRun, Source, window_to_look_at};
use told::Told;

pub use reading::{Below, Fetched, Most, below, fetched, read};

/// Listings and objects that are asked for at a time.
const LISTINGS_AT_ONCE: usize = 4;

/// Most folders that are listed: four days of hours, or three months of days.
const MAX_LISTINGS: usize = 100;

/// Most accounts that are looked through where nobody knows which one made the flow log.
const MAX_ACCOUNTS: usize = 20;

/// Most files that a listing may find: what is beyond is counted as left out.
const MAX_LISTED: usize = 20_000;

/// What a thousand calls cost, in US dollars, at the list price of us-east-1 for the storage class Standard: lists, and
/// fetches. What is read within a Region costs nothing besides.
///
/// Source: "Amazon S3 pricing", Requests & data retrievals.
const USD_PER_1000_LISTS: f64 = 0.005;
const USD_PER_1000_FETCHES: f64 = 0.0004;

/// One object, as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// Its size in bytes, as stored.
    pub bytes: u64,
    /// Whether it has to be restored from an archive before it can be read.
    pub archived: bool,
}

/// What a listing found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// The objects, in the order of their keys.
    pub objects: Vec<Object>,
    /// Whether there are more.
    pub more: bool,
    /// How many calls it took.
    pub calls: u64,
}

/// What kept S3 from answering: what decides what is to be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A policy does not allow it.
    Denied,
    /// The key that encrypts the object may not be used: this one, where the service names it.
    KeyDenied(Option<String>),
    /// There is no such bucket.
    NoBucket,
    /// The object is in an archive.
    Archived,
    /// There was no time.
    OutOfTime,
    /// Anything else.
    Other,
}

/// Why S3 did not answer. The texts are for the person who reads the report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Refused {
    /// What sort of cause it is.
    pub cause: Cause,
    /// What happened.
    pub why: String,
    /// What to do about it where the cause does not tell.
    pub fix: String,
}

/// Lists and fetches objects.
#[expect(async_fn_in_trait, reason = "used with generics inside this crate; no caller needs Send bounds")]
pub trait Objects {
    /// Lists at `most` so many objects.
    ///
    /// # Errors
    /// When S3 does not answer.
    async fn list(&self, place: &BucketPlace, listing: &Listing, most: usize) -> Result<Listed, Refused>;

    /// The folders directly below a prefix, at most a thousand.
    ///
    /// # Errors
    /// When S3 does not answer.
    async fn folders(&self, place: &BucketPlace, below: &str) -> Result<Vec<String>, Refused>;

    /// Fetches an object; counts its bytes against what [`Objects::left`] tells.
    ///
    /// # Errors
    /// When S3 does not answer, the object has grown, or the time is over.
    async fn fetch(&self, place: &BucketPlace, object: &Object, by: Deadline) -> Result<Vec<u8>, Refused>;

    /// How many bytes may still be read.
    fn left(&self) -> u64;

    /// The setting that says how much that is.
    fn limit(&self) -> &'static str;

    /// Notes that there were objects for which not enough was left.
    fn run_short(&self) {}

    /// By when everything has to be done.
    fn deadline(&self) -> Deadline;

    /// The Region of a bucket that was asked, where it is another one than that of the flow log.
    fn elsewhere(&self, place: &BucketPlace) -> Option<String>;
}

impl<O: Objects> Objects for &O {
    async fn list(&self, place: &BucketPlace, listing: &Listing, most: usize) -> Result<Listed, Refused> {
        (**self).list(place, listing, most).await
    }

    async fn folders(&self, place: &BucketPlace, below: &str) -> Result<Vec<String>, Refused> {
        (**self).folders(place, below).await
    }

    async fn fetch(&self, place: &BucketPlace, object: &Object, by: Deadline) -> Result<Vec<u8>, Refused> {
        (**self).fetch(place, object, by).await
    }

    fn left(&self) -> u64 {
        (**self).left()
    }

    fn limit(&self) -> &'static str {
        (**self).limit()
    }

    fn run_short(&self) {
        (**self).run_short();
    }

    fn deadline(&self) -> Deadline {
        (**self).deadline()
    }

    fn elsewhere(&self, place: &BucketPlace) -> Option<String> {
        (**self).elsewhere(place)
    }
}

/// Files in S3 as a source of evidence.
pub struct BucketFiles<O> {
    objects: O,
    most: Most,
    /// What earlier looks fetched, by key: a later look reads only what is new.
    fetched: RefCell<BTreeMap<String, Arc<Vec<u8>>>>,
    /// Whose turn it is to hold files, where several sources share what one may hold.
    turns: Option<Turns>,
}

/// Sources that read beside each other in one process hold files one after the other, each as much as one may hold.
#[derive(Clone, Debug)]
pub struct Turns(Rc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Self(Rc::new(Semaphore::new(1)))
    }
}

impl Turns {
    /// Waits until no other source holds files.
    async fn wait(&self) -> SemaphorePermit<'_> {
        self.0.acquire().await.expect("nobody closes it")
    }
}

impl<O: Objects> BucketFiles<O> {
    /// A source that lists and fetches with `objects`, and holds no more than `most`.
    pub fn new(objects: O, most: Most) -> Self {
        Self { objects, most, fetched: RefCell::default(), turns: None }
    }

    /// The same source, which waits for its turn to read, and holds nothing afterwards: a later look fetches again.
    #[must_use]
    pub fn taking(self, turns: Turns) -> Self {
        Self { turns: Some(turns), ..self }
    }

    /// What the best flow log in S3 shows of these minutes, where there is one: for a check-up.
    pub async fn try_out(
        &self,
        network: &Network,
        window: TimeWindow,
    ) -> Option<(FlowLog, LogFormat, Evidence)> {
        let incident = Incident::of_minutes(network.gateway.id.clone(), window);
        let (log, format, why) = best_in_bucket(network)?;
        let read =
            self.collect(&incident, &mut network.clone(), (log, &format), &why, Wanted::AllThereIs).await;
        Some((log.clone(), format, read.evidence))
    }

    /// Why the files of these minutes of the best flow log in S3 are too much to read in place, where they are, and what
    /// would have Athena read them: for a check-up.
    pub async fn too_much_of(&self, network: &Network, window: TimeWindow) -> Option<(String, String)> {
        let incident = Incident::of_minutes(network.gateway.id.clone(), window);
        let (log, format, _) = best_in_bucket(network)?;
        let files = log.in_bucket.as_ref()?;
        let (from, until) = stamps(window, log.aggregation_seconds);
        let told =
            Told { log, files, network, incident: &incident, window, from, until, found_account: None };
        let why = self.too_much(&self.find(&told).await)?;
        Some((why, super::athena::make_table(files, &format)))
    }

    /// Evidence from the files of this flow log, which was chosen for the reason `why`. Whatever keeps it from being
    /// read is a gap. What is not `wanted` in part is not begun with.
    pub(super) async fn collect(
        &self,
        incident: &Incident,
        network: &mut Network,
        (log, format): (&FlowLog, &LogFormat),
        why: &str,
        wanted: Wanted,
    ) -> Read {
        let window = window_to_look_at(incident, network).unwrap_or(TimeWindow::EPOCH);
        let mut none = Evidence::none(window, Source::S3);
        none.asked = incident.window.unwrap_or(window);
        none.coverage.aggregation_seconds = log.aggregation_seconds;
        none.coverage.formats = vec![format.to_string()];
        none.coverage.flow_log = Some(why.to_owned());
        none.packet_addresses = format.has_packet_addresses();
        let Some(files) = &log.in_bucket else { return Read::whole(none) };
        let (from, until) = stamps(window, log.aggregation_seconds);
        let told = Told { log, files, network, incident, window, from, until, found_account: None };
        let found = self.find(&told).await;
        let told = Told { found_account: found.account(), ..told };
        let nothing = found.objects.is_empty() && found.archived.is_empty();
        none.gaps.extend(found.gaps.iter().cloned());
        if nothing {
            // What was refused may yet hold records; what is only late does.
            none.unanswered = !found.gaps.is_empty();
            if !none.unanswered {
                none.gaps.push(told.no_files(&found.accounts));
            }
            none.queries.push(told.run(&found, 0, 0, None));
            // Whoever may not list may yet ask about them.
            let refused = none.unanswered.then(|| "could not be listed".to_owned());
            return Read { evidence: none, not_read: refused.map(|why| told.not_read(&why)) };
        }
        let asked = none.asked;
        let middle = (asked.start().as_second() + asked.end().as_second()) / 2;
        let mut by_need: Vec<(Timestamp, Object)> = found.objects.clone();
        by_need.sort_by_key(|(stamp, _)| (stamp.as_second() - middle).abs());
        let by_need: Vec<Object> = by_need.into_iter().map(|(_, object)| object).collect();
        let too_much = || self.too_much(&found);
        let incomplete = match wanted {
            Wanted::AllThereIs => None,
            Wanted::NotTooMuch => too_much(),
            Wanted::Whole => too_much().or_else(|| found.late(window)),
        };
        if let Some(why) = incomplete {
            none.unanswered = true;
            none.queries.push(told.run(&found, 0, 0, None));
            return Read { evidence: none, not_read: Some(told.not_read(&why)) };
        }
        let turn = match &self.turns {
            Some(turns) => Some(turns.wait().await),
            None => None,
        };
        let held = std::mem::take(&mut *self.fetched.borrow_mut());
        let fetched = fetched(&self.objects, &files.place, by_need, self.most, held).await;
        let unread = fetched.left.len() as u64 + fetched.refused.len() as u64 + found.archived.len() as u64;
        let mut gaps = found.gaps.clone();
        gaps.extend(told.archived(&found.archived));
        gaps.extend(told.left_out(&fetched, &self.objects, self.most));
        gaps.extend(told.refused(&fetched.refused));
        gaps.extend(told.missing_between(&found.objects));
        let (bytes, count) = (fetched.bytes, fetched.contents.len() as u64);
        let not_read = match (fetched.left.len(), fetched.refused.len()) {
            (0, 0) => None,
            (0, refused) => {
                Some(told.not_read(&format!("S3 did not give {}", counted(refused as u64, "file"))))
            }
            (left, _) if fetched.out_of_time => {
                Some(told.not_read(&format!("there was no time to fetch {}", counted(left as u64, "file"))))
            }
            (left, _) => {
                Some(told.not_read(&format!("there was no room for {}", counted(left as u64, "file"))))
            }
        };
        if turn.is_none() {
            self.fetched.replace(fetched.contents.clone());
        }
        let reading = if fetched.contents.is_empty() {
            None
        } else {
            Some(
                read(&files.place, fetched.contents, format, incident, network, self.objects.deadline())
                    .await,
            )
        };
        drop(turn);
        let mut known = None;
        let mut evidence = match reading {
            Some((Ok(evidence), learned)) => {
                known = Some(learned);
                evidence
            }
            Some((Err(error), _)) => {
                gaps.push(told.unreadable(&error));
                Evidence { unanswered: true, gaps: Vec::new(), ..none.clone() }
            }
            None => Evidence { unanswered: true, gaps: Vec::new(), ..none.clone() },
        };
        let records = evidence.coverage.records_read;
        evidence.queries.push(told.run(&found, count, bytes, Some(records)));
        evidence.gaps.splice(0..0, gaps);
        evidence.coverage.source = Source::S3;
        evidence.coverage.files_failed += unread;
        if evidence.coverage.records_read == 0 {
            evidence.coverage.aggregation_seconds = log.aggregation_seconds;
        }
        let elsewhere = self.objects.elsewhere(&files.place);
        evidence.coverage.flow_log = Some(told.source(why, count, bytes, elsewhere.as_deref()));
        if let Some(known) = known {
            *network = known;
        }
        Read { evidence, not_read }
    }

    /// Why the files are too much to read in place, where they are.
    fn too_much(&self, found: &Found) -> Option<String> {
        let files = found.objects.len();
        let bytes: u64 = found.objects.iter().map(|(_, object)| object.bytes).sum();
        let most = self.most;
        let (room, left) = (most.bytes, self.objects.left());
        if files <= most.objects && bytes <= room.min(left) && !found.more {
            return None;
        }
        let more = if found.more { "more than " } else { "" };
        let limit = if bytes > left && bytes <= room {
            self.objects.run_short();
            format!("{} leaves {}", self.objects.limit(), crate::words::bytes(left))
        } else {
            format!(
                "at most {} and {} are read in place",
                counted(most.objects as u64, "file"),
                crate::words::bytes(room)
            )
        };
        Some(format!(
            "{more}{} have {}, and {limit}",
            counted(files as u64, "file"),
            crate::words::bytes(bytes)
        ))
    }

    /// The same source for other minutes, within what there is room for beside `held` bytes.
    pub(super) fn spare(&self, held: u64) -> BucketFiles<&O> {
        let most = Most { bytes: self.most.bytes.saturating_sub(held), ..self.most };
        BucketFiles { turns: self.turns.clone(), ..BucketFiles::new(&self.objects, most) }
    }

    /// Who lists and fetches.
    pub(super) fn objects(&self) -> &O {
        &self.objects
    }

    /// The files whose records may bear on the window.
    async fn find(&self, told: &Told<'_>) -> Found {
        let mut found = Found::default();
        let known = told.account().into_iter().collect::<Vec<String>>();
        if !known.is_empty() {
            self.list(told, known, &mut found).await;
        }
        if found.objects.is_empty() && found.archived.is_empty() && told.files.account.is_none() {
            let below = told.files.root();
            match self.objects.folders(&told.files.place, &below).await {
                Ok(folders) => {
                    let accounts = folders.iter().filter_map(|folder| told.files.account_of(folder));
                    let mut new: Vec<String> =
                        accounts.filter(|account| !found.accounts.contains(account)).collect();
                    let left = new.split_off(new.len().min(MAX_ACCOUNTS));
                    self.list(told, new, &mut found).await;
                    if found.objects.is_empty() && found.archived.is_empty() && !left.is_empty() {
                        found.gaps.push(told.accounts_left(found.accounts.len(), left.len()));
                    }
                }
                Err(refused) => found.gaps.push(told.list_refused(&[(below, refused)])),
            }
            found.calls += 1;
        }
        found
    }

    async fn list(&self, told: &Told<'_>, accounts: Vec<String>, found: &mut Found) {
        let region = told.network.region.clone().unwrap_or_default();
        let mut listings = Vec::new();
        for account in &accounts {
            let keys = Keys { files: told.files, account, region: &region, flow_log: &told.log.id };
            listings.extend(keys.listings(told.from, told.until));
        }
        found.accounts.extend(accounts);
        let beyond = listings.len().saturating_sub(MAX_LISTINGS);
        // The latest minutes are those in question.
        listings.drain(..beyond);
        let listed = iter(listings.iter().map(|listing| async move {
            (listing, self.objects.list(&told.files.place, listing, MAX_LISTED).await)
        }));
        let listed: Vec<_> = listed.buffer_unordered(LISTINGS_AT_ONCE).collect().await;
        let mut refused = Vec::new();
        for (listing, answer) in listed {
            match answer {
                Ok(listed) => {
                    found.calls += listed.calls;
                    found.more |= listed.more;
                    for object in listed.objects {
                        let Some(name) = FileName::of_key(&object.key) else { continue };
                        let of_window = name.stamp >= told.from && name.stamp <= told.until;
                        match (of_window && name.flow_log == told.log.id, object.archived) {
                            (true, true) => found.archived.push(object),
                            (true, false) => found.objects.push((name.stamp, object)),
                            (false, _) => {}
                        }
                    }
                }
                Err(error) => {
                    found.calls += 1;
                    refused.push((listing.prefix.clone(), error));
                }
            }
        }
        found.objects.sort_by(|(_, a), (_, b)| a.key.cmp(&b.key));
        found.archived.sort_by(|a, b| a.key.cmp(&b.key));
        refused.sort_by(|(a, _), (b, _)| a.cmp(b));
        if !refused.is_empty() {
            found.gaps.push(told.list_refused(&refused));
        }
        if beyond > 0 || found.more {
            found.gaps.push(told.too_many_to_list(beyond));
        }
    }
}

/// Which part of the files is worth reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Whatever there is, and there is room for.
    AllThereIs,
    /// All that there is: somebody else can read what there is no room for.
    NotTooMuch,
    /// All of the window: something else can be asked until its last file is there.
    Whole,
}

/// What was read of a flow log's files.
pub(super) struct Read {
    pub(super) evidence: Evidence,
    /// Why not all of them were, where somebody else may read them.
    pub(super) not_read: Option<String>,
}

impl Read {
    fn whole(evidence: Evidence) -> Self {
        Self { evidence, not_read: None }
    }
}

/// What the listings came to.
#[derive(Debug, Default)]
struct Found {
    accounts: Vec<String>,
    objects: Vec<(Timestamp, Object)>,
    archived: Vec<Object>,
    more: bool,
    calls: u64,
    gaps: Vec<Gap>,
}

impl Found {
    /// Why the files may not reach to the end of a window, where that is so.
    fn late(&self, window: TimeWindow) -> Option<String> {
        let last = self.objects.iter().map(|(stamp, _)| *stamp).max()?;
        let until = last.checked_add(FILE_INTERVAL).unwrap_or(last);
        (until < window.end())
            .then(|| format!("the last one there is has the time stamp {}", crate::words::instant(last)))
    }

    /// The account that made the flow log, as its files tell; without any, the only one that has a folder.
    fn account(&self) -> Option<String> {
        let objects = self.objects.iter().map(|(_, object)| object).chain(&self.archived);
        let of_file = objects.filter_map(|object| Some(FileName::of_key(&object.key)?.account)).next();
        of_file.or_else(|| match &self.accounts[..] {
            [only] => Some(only.clone()),
            _ => None,
        })
    }
}

/// Between which time stamps the files are whose records may bear on a window: those that end after its lead begins,
/// and begin before it ends. AWS's pages of different years put the five minutes of a file behind its stamp and before
/// it, so both are taken.
pub(super) fn stamps(window: TimeWindow, aggregation_seconds: u32) -> (Timestamp, Timestamp) {
    let window_of_records =
        window.begun_earlier(SignedDuration::from_secs(lead_seconds(aggregation_seconds)));
    let aggregation = SignedDuration::from_secs(i64::from(aggregation_seconds));
    let from = window_of_records.start().checked_sub(FILE_INTERVAL).unwrap_or(window.start());
    let until = window.end().checked_add(aggregation + FILE_INTERVAL).unwrap_or(window.end());
    (from, until)
}

/// What so many calls cost, in US dollars, at the list price.
fn cost(lists: u64, fetches: u64) -> f64 {
    (lists as f64 * USD_PER_1000_LISTS + fetches as f64 * USD_PER_1000_FETCHES) / 1000.0
}

/// The account that made a flow log, as far as it is known.
pub(super) fn account(files: &InBucket, incident: &Incident) -> Option<String> {
    let alarm = incident.alarm.as_ref();
    let known = [
        files.account.clone(),
        alarm.and_then(|alarm| alarm.metric_account.clone()),
        alarm.and_then(|alarm| alarm.account.clone()),
    ];
    known.into_iter().flatten().find(|account| is_account(account))
}

impl Told<'_> {
    fn account(&self) -> Option<String> {
        let found = self.found_account.clone().filter(|account| is_account(account));
        found.or_else(|| account(self.files, self.incident))
    }

    /// Why files were not read, in words behind which another way of reading them stands.
    fn not_read(&self, why: &str) -> String {
        format!("in place the files of flow log {} were not all read: {why}", self.log.id)
    }

    /// What was read, as one of the report's queries.
    fn run(&self, found: &Found, files: u64, bytes: u64, records: Option<u64>) -> QueryRun {
        QueryRun {
            purpose: format!("{} of flow log {} in S3", counted(files, "file"), self.log.id),
            text: self.folder_url(),
            log_groups: Vec::new(),
            from: self.from,
            to: self.until,
            bytes_scanned: Some(bytes),
            // Without an answer nothing was scanned.
            records_scanned: records.or_else(|| found.gaps.is_empty().then_some(0)),
            cost_usd: Some(cost(found.calls, files)),
            console_url: None,
            rung: None,
        }
    }
}
