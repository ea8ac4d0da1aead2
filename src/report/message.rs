//! One SNS message for every kind of subscriber.

use serde_json::{Map, Value};

use super::Trouble;
use super::attributes::{self, Attribute};
use super::chat::{self, chat};
use super::checkup;
use super::event::{BusEvent, Parts};
use super::fleet;
use super::sms::{self, sms, subject};
use super::text::mail;
use super::warning;
use crate::contract::{Diagnosis, Stage};
use crate::doctor::Checkup;
use crate::gap::Gap;
use crate::watch::{Fleet, Warning};
use crate::words::{ascii_line, escaped_json};

/// Most bytes of a message, body and subject together.
///
/// Source: `PublishInput` in the Amazon SNS API.
pub const LARGEST: usize = 262_144;

/// The text for every protocol that has none of its own. Those of machines (`sqs`, `lambda`, `firehose`,
/// `http`) have none: what they get is by far the longest, and one copy of it is enough.
const DEFAULT: &str = "default";

/// What the message of an incident that is past begins with.
const REPLAY: &str = "REPLAY";

/// Who is subscribed by HTTPS: a message has one text for each protocol, and these want different ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpsReaders {
    /// Amazon Q Developer in chat applications, which shows it in Slack and Teams.
    #[default]
    Chat,
    /// Machines, which want the JSON contract.
    Machines,
}

/// What is sent: a subject for mail, and a JSON object with one text per protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// ASCII, at most 99 characters, one line.
    pub subject: String,
    /// For `MessageStructure=json`: an object with the key `default` and one key per protocol.
    pub body: String,
    /// The diagnosis' id, and its stage where that is not the last: the same on every delivery.
    pub id: String,
    /// For the filters of subscriptions.
    pub attributes: Vec<Attribute>,
    /// For an event bus, where there is one.
    pub event: BusEvent,
}

/// How much of each list is kept: destinations, clients of each, steps of the timelines of all
/// destinations but the first, and the texts of queries.
#[derive(Clone, Copy)]
struct Cut {
    destinations: usize,
    clients: usize,
    timelines: bool,
    queries: bool,
}

/// From the least important rows on. Headline, remedies and gaps are in none of them.
const CUTS: [Cut; 5] = [
    Cut { destinations: 10, clients: 10, timelines: false, queries: true },
    Cut { destinations: 10, clients: 10, timelines: false, queries: false },
    Cut { destinations: 5, clients: 5, timelines: false, queries: false },
    Cut { destinations: 3, clients: 3, timelines: false, queries: false },
    Cut { destinations: 1, clients: 1, timelines: false, queries: false },
];

impl Message {
    /// The message for a diagnosis; `report_url` leads to the page with its chart, where there is one. Where
    /// the message would be too large the least important rows go first, and it says so; headline, remedies
    /// and gaps stay. Where even that does not suffice, machines get what people read, and at the very last its
    /// end is cut off: a message that is too large reaches nobody.
    #[must_use]
    pub fn of(diagnosis: &Diagnosis, report_url: Option<&str>, https: HttpsReaders) -> Self {
        let texts = |diagnosis: &Diagnosis| Texts::of(diagnosis, report_url);
        let whole = texts(diagnosis).message(https);
        if whole.size() <= LARGEST {
            return whole;
        }
        let mut short = diagnosis.clone();
        short.gaps.push(Gap::new(
            "the full lists of destinations and clients",
            format!("the message would have been larger than {LARGEST} bytes"),
            "ask once more, with --format json",
        ));
        for cut in CUTS {
            cut.apply(&mut short);
            let message = texts(&short).message(https);
            if message.size() <= LARGEST {
                return message;
            }
        }
        texts(&short).fitting(https)
    }

    /// The message that there is no diagnosis, and why.
    #[must_use]
    pub fn of_trouble(trouble: &Trouble<'_>, https: HttpsReaders) -> Self {
        let subject = trouble.subject();
        let texts = Texts {
            id: trouble.id.clone(),
            incident_id: trouble.incident_id(),
            attributes: attributes::of_trouble(trouble),
            subject: subject.into(),
            people: trouble.text(),
            sms: sms::note(subject),
            chat: chat::of_trouble(trouble),
            machines: Some(trouble.json()),
        };
        // It holds the event, which can have any size.
        texts.within_limit(https)
    }

    /// The message of a check-up.
    #[must_use]
    pub fn of_checkup(found: &Checkup, https: HttpsReaders) -> Self {
        let subject = checkup::subject(found);
        let texts = Texts {
            id: checkup::id(found),
            incident_id: None,
            attributes: attributes::of_checkup(found.tonight),
            people: checkup::mail(found),
            sms: sms::note(&subject),
            chat: checkup::chat(found),
            machines: Some(checkup::machines(found)),
            subject,
        };
        texts.within_limit(https)
    }

    /// The message that a destination fills up, or has room again.
    #[must_use]
    pub fn of_warning(of: &Warning, https: HttpsReaders) -> Self {
        let texts = Texts {
            id: format!("{}-{}", of.id, of.turn.name()),
            incident_id: Some(of.id.clone()),
            attributes: attributes::of_warning(of),
            subject: warning::subject(of),
            people: warning::mail(of),
            sms: warning::sms(of),
            chat: warning::chat(of),
            machines: Some(warning::machines(of)),
        };
        texts.within_limit(https)
    }

    /// The weekly page of a Region's gateways.
    #[must_use]
    pub fn of_fleet(of: &Fleet, https: HttpsReaders) -> Self {
        let subject = fleet::subject(of);
        let texts = Texts {
            id: fleet::id(of),
            incident_id: None,
            attributes: attributes::of_fleet(),
            people: fleet::mail(of),
            sms: sms::note(&subject),
            chat: fleet::chat(of),
            machines: Some(fleet::machines(of)),
            subject,
        };
        texts.within_limit(https)
    }

    /// Bytes that count towards the limit: attributes count with their names and the name of their type.
    #[must_use]
    pub fn size(&self) -> usize {
        let attributes: usize =
            self.attributes.iter().map(|(name, value)| name.len() + "String".len() + value.len()).sum();
        self.subject.len() + self.body.len() + attributes
    }
}

/// What each kind of subscriber gets.
struct Texts {
    id: String,
    /// The incident that it is about, where it is about one.
    incident_id: Option<String>,
    attributes: Vec<Attribute>,
    subject: String,
    people: String,
    sms: String,
    chat: Value,
    /// Where nothing is said to machines, they get what people do.
    machines: Option<String>,
}

impl Texts {
    fn of(diagnosis: &Diagnosis, report_url: Option<&str>) -> Self {
        let texts = Self {
            // A final report is no copy of the provisional one.
            id: match diagnosis.stage {
                Stage::Provisional => format!("{}-provisional", diagnosis.id),
                Stage::Final => diagnosis.id.clone(),
            },
            incident_id: Some(diagnosis.incident_id().to_owned()),
            attributes: attributes::of_diagnosis(diagnosis),
            subject: subject(diagnosis),
            people: mail(diagnosis, report_url),
            sms: sms(diagnosis),
            chat: chat(diagnosis, report_url),
            machines: Some(escaped_json(&diagnosis.to_json().to_string())),
        };
        if diagnosis.replay { texts.of_replay() } else { texts }
    }

    /// Marked as of an incident that is past, where the reader looks first.
    fn of_replay(mut self) -> Self {
        if let Some(title) = self.chat.pointer_mut("/content/title") {
            *title = format!("{REPLAY}: {}", title.as_str().unwrap_or_default()).into();
        }
        let Self { id, subject, people, sms, .. } = &self;
        Self {
            id: format!("{id}-replay"),
            subject: ascii_line(&format!("{REPLAY}: {subject}"), 99),
            people: format!("{REPLAY} of a past incident: nothing has happened now.\n\n{people}"),
            sms: sms::note(&format!("{REPLAY}: {sms}")),
            ..self
        }
    }

    /// One body for all protocols, cut only where it has to be.
    fn within_limit(self, https: HttpsReaders) -> Message {
        let whole = self.message(https);
        if whole.size() <= LARGEST { whole } else { self.fitting(https) }
    }

    /// One body for all protocols, which fits: without anything for machines alone, and with the end of what
    /// people read cut off where it has to be.
    fn fitting(mut self, https: HttpsReaders) -> Message {
        self.machines = None;
        const CUT: &str = "\n\n(cut off here: a message cannot be larger)\n";
        /// Line breaks and quotation marks take more in JSON.
        const CUT_IN_JSON: usize = CUT.len() + 3;

        let whole = self.message(https);
        let excess = whole.size().saturating_sub(LARGEST);
        if excess == 0 {
            return whole;
        }
        // The body has two copies of it, in each of which a byte counts for one at least.
        let most = self.people.len().saturating_sub(excess.div_ceil(2) + CUT_IN_JSON);
        self.people.truncate(self.people.floor_char_boundary(most));
        self.people.push_str(CUT);
        self.message(https)
    }

    /// One body for all protocols.
    fn message(&self, https: HttpsReaders) -> Message {
        let mut body = Map::new();
        let machines = self.machines.as_ref().unwrap_or(&self.people);
        body.insert(DEFAULT.into(), machines.as_str().into());
        body.insert("email".into(), self.people.as_str().into());
        body.insert("sms".into(), self.sms.as_str().into());
        if https == HttpsReaders::Chat {
            body.insert("https".into(), self.chat.to_string().into());
        }
        Message {
            subject: self.subject.clone(),
            body: Value::Object(body).to_string(),
            id: self.id.clone(),
            attributes: self.attributes.clone(),
            event: BusEvent::of(&Parts {
                id: &self.id,
                incident_id: self.incident_id.as_deref(),
                summary: &self.subject,
                attributes: &self.attributes,
                report: self.machines.as_deref(),
            }),
        }
    }
}

impl Cut {
    fn apply(self, diagnosis: &mut Diagnosis) {
        diagnosis.destinations.truncate(self.destinations);
        for (index, destination) in diagnosis.destinations.iter_mut().enumerate() {
            destination.clients.truncate(self.clients);
            if index > 0 && !self.timelines {
                destination.timeline.clear();
            }
        }
        diagnosis.clients.truncate(self.clients);
        for query in diagnosis.queries.iter_mut().filter(|_| !self.queries) {
            query.console_url = None;
            query.text = "left out: the message would have been too large".into();
        }
    }
}
