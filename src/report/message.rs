//! One SNS message for every kind of subscriber.

use serde_json::{Map, Value};

use super::Trouble;
use super::sms::{sms, subject};
use super::text::text;
use crate::diagnosis::{Diagnosis, Stage};

/// Most bytes of a message, body and subject together.
///
/// Source: `PublishInput` in the Amazon SNS API.
pub const LARGEST: usize = 262_144;

/// Protocols whose subscribers are machines: they get the JSON contract.
const MACHINES: [&str; 5] = ["sqs", "lambda", "http", "https", "firehose"];

/// What is sent: a subject for mail, and a JSON object with one text per protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// ASCII, at most 99 characters, one line.
    pub subject: String,
    /// For `MessageStructure=json`: an object with the key `default` and one key per protocol.
    pub body: String,
    /// The diagnosis' id, and its stage where that is not the last: the same on every delivery.
    pub id: String,
}

/// How much of each list is kept: destinations, clients of each, steps of the timelines of all
/// destinations but the first.
const CUTS: [(usize, usize, bool); 5] =
    [(10, 10, true), (10, 10, false), (5, 5, false), (3, 3, false), (1, 1, false)];

impl Message {
    /// The message for a diagnosis. Where it would be too large the least important rows go first,
    /// and the message says so; headline, remedies and gaps stay.
    #[must_use]
    pub fn of(diagnosis: &Diagnosis) -> Self {
        let mut message = Self::uncut(diagnosis);
        for cut in CUTS {
            if message.size() <= LARGEST {
                break;
            }
            message = Self::uncut(&shortened(diagnosis, cut));
        }
        message
    }

    /// The message that there is no diagnosis, and why.
    #[must_use]
    pub fn of_trouble(trouble: &Trouble) -> Self {
        let machines = trouble.to_json().to_string();
        // Ten copies of an event of any size would not fit.
        let body = if machines.len() * (MACHINES.len() + 1) < LARGEST { machines } else { String::new() };
        Self::to_all(trouble.subject().into(), trouble.text(), trouble.subject().into(), &body, &trouble.id)
    }

    /// Bytes that count towards the limit.
    #[must_use]
    pub fn size(&self) -> usize {
        self.subject.len() + self.body.len()
    }

    fn uncut(diagnosis: &Diagnosis) -> Self {
        let machines = diagnosis.to_json().to_string();
        // A final report is no copy of the provisional one.
        let id = match diagnosis.stage {
            Stage::Provisional => format!("{}-provisional", diagnosis.id),
            Stage::Final => diagnosis.id.clone(),
        };
        Self::to_all(subject(diagnosis), text(diagnosis), sms(diagnosis), &machines, &id)
    }

    /// One body for all protocols; machines get what people do where nothing is said to them.
    fn to_all(subject: String, people: String, sms: String, machines: &str, id: &str) -> Self {
        let mut body = Map::new();
        for protocol in MACHINES.iter().filter(|_| !machines.is_empty()) {
            body.insert((*protocol).into(), machines.into());
        }
        body.insert("sms".into(), sms.into());
        body.insert("email".into(), people.clone().into());
        body.insert("default".into(), people.into());
        Self { subject, body: Value::Object(body).to_string(), id: id.into() }
    }
}

fn shortened(diagnosis: &Diagnosis, (destinations, clients, timelines): (usize, usize, bool)) -> Diagnosis {
    let mut short = diagnosis.clone();
    short.destinations.truncate(destinations);
    for (index, destination) in short.destinations.iter_mut().enumerate() {
        destination.clients.truncate(clients);
        if index > 0 && !timelines {
            destination.timeline.clear();
        }
    }
    short.clients.truncate(clients);
    short.gaps.push(crate::gap::Gap::new(
        "the full lists of destinations and clients",
        format!("the message would have been larger than {LARGEST} bytes"),
        "nat-triage triage --event EVENT.json --format json",
    ));
    short
}
