//! The bucket in which reports leave a mark, their page, and what they rest on.

use std::cell::RefCell;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Clients;
use super::errors::{Failure, Kind, within};
use crate::bundle::{self, Bundle};
use crate::contract::{Diagnosis, Stage};
use crate::deadline::Deadline;
use crate::doctor::Standing;
use crate::evidence::insights::RungMemory;
use crate::gap::Gap;
use crate::incident::Incident;
use crate::publish::{Episode, Leases, Ledger, Pages, Sent, Taken};
use crate::report;
use crate::watch::Memory;

const GET: &str = "s3:GetObject";
const PUT: &str = "s3:PutObject";
const PRESIGN: &str = "s3:GetObject for a link";

/// What all of our keys begin with; the policy allows no others.
const PREFIX: &str = "nat-triage";

/// What a check-up writes, to see whether it can.
const CHECK_UP: &str = "nat-triage/doctor.json";

/// Where it is written down what the last check-up found that readers were told of.
const STANDING: &str = "nat-triage/check-up.json";

/// Where it is written down what one look how full the gateways are leaves to the next.
const WATCH: &str = "nat-triage/watch.json";

/// Where it is written down which questions log groups answer.
const RUNGS: &str = "nat-triage/questions.json";

/// For how long that is believed. Then the better questions are tried again: the service may have learnt them,
/// and a refused question scans nothing.
const RUNGS_LAST: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Which questions log groups answer, as the bucket holds it.
#[derive(Serialize, Deserialize)]
struct WrittenRungs {
    until: Timestamp,
    rungs: RungMemory,
}

/// The lease of the process that reports an incident, as the bucket holds it.
#[derive(Serialize, Deserialize)]
struct WrittenLease {
    /// When another process may take over.
    until: Timestamp,
}

/// Leases of one incident that are looked at, one after the other: each is of a process that died, or that came when
/// the report had gone out.
const MAX_LEASES: u32 = 20;

/// Longest that one call may take: nothing here is worth the message's time.
const CALL: Duration = Duration::from_secs(5);

/// How long a link to a page opens it, at most: it ends with the credentials that signed it, and a role's
/// last no longer.
///
/// Source: "Maximum session duration setting for a role" in the IAM user guide, and "Who can create a
/// presigned URL" in the Amazon S3 user guide.
const LINK: Duration = Duration::from_secs(12 * 60 * 60);

/// A bucket, for one invocation.
#[derive(Clone, Debug)]
pub struct ReportBucket<'a> {
    client: &'a Client,
    name: &'a str,
    /// The account that has to own it, where one is known.
    owner: Option<&'a str>,
    deadline: Deadline,
    /// Why the marks could not be read, where that was so.
    unread: RefCell<Option<Failure>>,
}

impl<'a> ReportBucket<'a> {
    /// The bucket `name`, asked before `deadline`.
    #[must_use]
    pub fn new(clients: &'a Clients, name: &'a str, deadline: Deadline) -> Self {
        Self { client: &clients.s3, name, owner: None, deadline, unread: RefCell::default() }
    }

    /// The same bucket, with the account that has to own it. S3 denies every call where another account does: whoever
    /// makes a bucket of this name after ours was deleted gets no reports.
    ///
    /// Source: "Verifying bucket ownership with bucket owner condition" in the Amazon S3 user guide.
    #[must_use]
    pub fn owned_by(self, owner: Option<&'a str>) -> Self {
        Self { owner, ..self }
    }

    /// What is to be told where the marks could not be read: another copy of the report may have gone out.
    #[must_use]
    pub fn unread(&self) -> Option<Gap> {
        let failure = self.unread.borrow().clone()?;
        let mut gap = failure
            .gap("whether this alarm was reported before", &format!("arn:aws:s3:::{}/{PREFIX}/*", self.name));
        // Without it S3 says of a mark that is not there that it is forbidden.
        if failure.kind == Kind::Denied {
            gap.fix.add_words(&format!(", and s3:ListBucket on arn:aws:s3:::{}", self.name));
        }
        Some(gap)
    }

    /// Keeps what a diagnosis rests on, as `nat-triage/ID/bundle.json`. The report has gone out by then: a
    /// failure is told to the log alone.
    pub async fn keep(&self, bundle: &Bundle) {
        let key = format!("{PREFIX}/{}/{}", bundle.incident().id(), bundle::FILE);
        let _ = self.put(&key, JSON, bundle.to_json(), false).await;
    }

    /// What the last report of an incident rested on; `None` where that was not kept, or cannot be read.
    pub async fn kept(&self, incident: &Incident) -> Option<Bundle> {
        let key = format!("{PREFIX}/{}/{}", incident.id(), bundle::FILE);
        self.get(&key).await.ok().flatten()
    }

    /// Whether an object can be written to it: tries, with `nat-triage/doctor.json`.
    ///
    /// # Errors
    /// When it could not be written, with what to do about it.
    pub async fn takes_objects(&self, now: Timestamp) -> Result<(), Gap> {
        let text = serde_json::json!({ "written": now }).to_string();
        let put = self.put(CHECK_UP, JSON, text, false).await;
        put.map_err(|failure| {
            failure.gap("whether reports can be kept", &format!("{}/{PREFIX}/*", self.name))
        })
    }

    /// What the readers were told of the last check-up; `None` where that is not known.
    pub async fn told_of_checkup(&self) -> Option<Standing> {
        self.get(STANDING).await.ok().flatten()
    }

    /// Writes down what the readers know of this check-up. It does so each time: the bucket forgets what is old.
    pub async fn remember_checkup(&self, standing: &Standing) {
        let _ = self.put(STANDING, JSON, json(standing), false).await;
    }

    /// What the last look how full the gateways are left; `None` where that is not known.
    pub async fn watched(&self) -> Option<Memory> {
        self.get(WATCH).await.ok().flatten()
    }

    /// Writes down what a look how full the gateways are leaves to the next.
    pub async fn remember_watch(&self, memory: &Memory) {
        let _ = self.put(WATCH, JSON, json(memory), false).await;
    }

    /// Which questions log groups answered, as an earlier process wrote it down; nothing where that is not known
    /// or was too long before `now`.
    pub async fn remembered_rungs(&self, now: Timestamp) -> RungMemory {
        let written = self.get::<WrittenRungs>(RUNGS).await.ok().flatten();
        let written = written.filter(|written| now < written.until);
        written.map(|written| written.rungs).unwrap_or_default()
    }

    /// Writes down at `now` which questions log groups answer, for later processes.
    pub async fn remember_rungs(&self, rungs: &RungMemory, now: Timestamp) {
        let written = WrittenRungs { until: now + RUNGS_LAST, rungs: rungs.clone() };
        let text = json(&written);
        let _ = self.put(RUNGS, JSON, text, false).await;
    }

    /// What stands under a key; `None` where nothing does, or nothing that can be read.
    async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Failure> {
        let request = self.client.get_object().bucket(self.name).key(key);
        let request = request.set_expected_bucket_owner(self.owner.map(str::to_owned));
        let read = within(self.soon(), GET, async {
            let object = match request.send().await.map_err(|error| Failure::of(GET, &error)) {
                // No such key, which is the usual case, and nothing to warn of; a bucket that is missing is.
                Err(failure) if failure.code.as_deref() == Some("NoSuchKey") => return Ok(None),
                answer => answer?,
            };
            let bytes = object.body.collect().await.map_err(|error| Failure {
                action: GET,
                kind: Kind::Unreadable,
                code: None,
                message: error.to_string(),
                request_id: None,
            })?;
            Ok(serde_json::from_slice(&bytes.into_bytes()).ok())
        });
        read.await
    }

    /// By when one call has to be done.
    fn soon(&self) -> Deadline {
        self.deadline.for_one_thing(CALL)
    }

    async fn put(&self, key: &str, kind: &str, text: String, only_new: bool) -> Result<(), Failure> {
        let request = self
            .client
            .put_object()
            .bucket(self.name)
            .key(key)
            .content_type(kind)
            .body(ByteStream::from(text.into_bytes()))
            .set_expected_bucket_owner(self.owner.map(str::to_owned))
            .set_if_none_match(only_new.then(|| "*".to_owned()));
        let put = within(self.soon(), PUT, async {
            request.send().await.map(drop).map_err(|error| Failure::of(PUT, &error))
        });
        put.await
    }
}

const JSON: &str = "application/json";
const PAGE: &str = "text/html; charset=utf-8";

fn mark(id: &str, stage: Stage) -> String {
    format!("{PREFIX}/{id}/sent-{}.json", stage.name())
}

fn page(id: &str, stage: Stage) -> String {
    let name = match stage {
        Stage::Provisional => "report-provisional",
        Stage::Final => "report",
    };
    format!("{PREFIX}/{id}/{name}.html")
}

/// The key of a gateway's latest episode.
fn episode(of: &str) -> String {
    format!("{PREFIX}/episodes/{of}.json")
}

/// The key of a lease. Each lease is an object of its own, so that who writes it first has it: S3 refuses the second
/// write.
fn lease(mark: &str, number: u32) -> String {
    format!("{PREFIX}/{mark}/lease-{number}.json")
}

impl Leases for ReportBucket<'_> {
    /// The key.
    type Lease = String;

    async fn take(&self, mark: &str, now: Timestamp, until: Timestamp) -> Taken<String> {
        for number in 1..=MAX_LEASES {
            let key = lease(mark, number);
            match self.put(&key, JSON, json(&WrittenLease { until }), true).await {
                Ok(()) => return Taken::Ours(key),
                // Source: PutObject, If-None-Match, in the Amazon S3 API reference.
                Err(failure) => match failure.code.as_deref() {
                    Some("PreconditionFailed") => {}
                    // Somebody writes it at this moment.
                    Some("ConditionalRequestConflict") => return Taken::Held,
                    _ => return Taken::Unknown,
                },
            }
            match self.get::<WrittenLease>(&key).await {
                Ok(Some(written)) if written.until <= now => {}
                Ok(Some(_)) => return Taken::Held,
                Ok(None) | Err(_) => return Taken::Unknown,
            }
        }
        Taken::Unknown
    }

    async fn prolong(&self, key: &String, until: Timestamp) {
        let _ = self.put(key, JSON, json(&WrittenLease { until }), false).await;
    }
}

fn json(written: &impl Serialize) -> String {
    serde_json::to_string(written).expect("holds nothing that JSON cannot")
}

impl Pages for ReportBucket<'_> {
    /// Keeps the page as `nat-triage/ID/report.html`, and signs a link to it.
    async fn keep(&self, diagnosis: &Diagnosis) -> Result<Option<String>, Gap> {
        let gap = |failure: Failure| {
            failure
                .gap("the report's page, with its chart", &format!("arn:aws:s3:::{}/{PREFIX}/*", self.name))
        };
        let key = page(&diagnosis.id, diagnosis.stage);
        self.put(&key, PAGE, report::html::html(diagnosis), false).await.map_err(gap)?;
        let signed = within(self.soon(), PRESIGN, async {
            let lasting = PresigningConfig::expires_in(LINK).expect("less than the week that S3 allows");
            let request = self.client.get_object().bucket(self.name).key(&key).presigned(lasting);
            request.await.map_err(|error| Failure::of(PRESIGN, &error))
        });
        signed.await.map(|signed| Some(signed.uri().to_owned())).map_err(gap)
    }
}

impl Ledger for ReportBucket<'_> {
    async fn sent(&self, id: &str) -> Option<Sent> {
        // What can't be known is no reason to keep silent.
        let read = async |stage| self.get::<Sent>(&mark(id, stage)).await;
        let (last, first) = tokio::join!(read(Stage::Final), read(Stage::Provisional));
        if let Some(failure) = last.as_ref().err().or(first.as_ref().err()) {
            self.unread.replace(Some(failure.clone()));
        }
        last.ok().flatten().or(first.ok().flatten())
    }

    /// Written only where there is none: of two deliveries that are worked on at once, one leaves its mark.
    async fn record(&self, id: &str, sent: &Sent) {
        let text = json(sent);
        let _ = self.put(&mark(id, sent.stage), JSON, text, true).await;
    }

    async fn episode(&self, key: &str) -> Option<Episode> {
        self.get(&episode(key)).await.ok().flatten()
    }

    async fn record_episode(&self, key: &str, latest: &Episode) {
        let _ = self.put(&episode(key), JSON, json(latest), false).await;
    }
}
