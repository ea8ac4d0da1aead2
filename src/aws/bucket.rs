//! The bucket in which reports leave a mark, and what they rest on.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;

use super::Clients;
use super::errors::{Failure, Kind, within};
use crate::bundle::{self, Bundle};
use crate::deadline::Deadline;
use crate::diagnosis::Stage;
use crate::publish::{Ledger, Sent};

const GET: &str = "s3:GetObject";
const PUT: &str = "s3:PutObject";

/// What all of our keys begin with; the policy allows no others.
const PREFIX: &str = "nat-triage";

/// A bucket, for one invocation.
#[derive(Clone, Debug)]
pub struct ReportBucket<'a> {
    client: &'a Client,
    name: &'a str,
    deadline: Deadline,
}

impl<'a> ReportBucket<'a> {
    /// The bucket `name`, asked before `deadline`.
    #[must_use]
    pub fn new(clients: &'a Clients, name: &'a str, deadline: Deadline) -> Self {
        Self { client: &clients.s3, name, deadline }
    }

    /// Keeps what a diagnosis rests on, as `nat-triage/ID/bundle.json`. The report has gone out by then: a
    /// failure is told to the log alone.
    pub async fn keep(&self, bundle: &Bundle) {
        let key = format!("{PREFIX}/{}/{}", bundle.incident().id(), bundle::FILE);
        let _ = self.put(&key, bundle.to_json(), false).await;
    }

    async fn put(&self, key: &str, text: String, only_new: bool) -> Result<(), Failure> {
        let request = self
            .client
            .put_object()
            .bucket(self.name)
            .key(key)
            .content_type("application/json")
            .body(ByteStream::from(text.into_bytes()))
            .set_if_none_match(only_new.then(|| "*".to_owned()));
        let put = within(self.deadline, PUT, async {
            request.send().await.map(drop).map_err(|error| Failure::of(PUT, &error))
        });
        put.await
    }
}

fn mark(id: &str, stage: Stage) -> String {
    let stage = match stage {
        Stage::Provisional => "provisional",
        Stage::Final => "final",
    };
    format!("{PREFIX}/{id}/sent-{stage}.json")
}

impl Ledger for ReportBucket<'_> {
    async fn sent(&self, id: &str) -> Option<Sent> {
        let read = async |stage| {
            let request = self.client.get_object().bucket(self.name).key(mark(id, stage));
            let read = within(self.deadline, GET, async {
                let object = request.send().await.map_err(|error| Failure::of(GET, &error))?;
                let bytes = object.body.collect().await.map_err(|error| Failure {
                    action: GET,
                    kind: Kind::Unreadable,
                    code: None,
                    message: error.to_string(),
                    request_id: None,
                })?;
                Ok(serde_json::from_slice::<Sent>(&bytes.into_bytes()).ok())
            });
            // No mark is the usual case, and what can't be known is no reason to keep silent.
            read.await.ok().flatten()
        };
        let (last, first) = tokio::join!(read(Stage::Final), read(Stage::Provisional));
        last.or(first)
    }

    /// Written only where there is none: of two deliveries that are worked on at once, one leaves its mark.
    async fn record(&self, id: &str, sent: &Sent) {
        let text = serde_json::to_string(sent).expect("holds nothing that JSON cannot");
        let _ = self.put(&mark(id, sent.stage), text, true).await;
    }
}
