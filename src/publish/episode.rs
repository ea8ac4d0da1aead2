//! Alarms in quick succession about one destination and one greatest holder: one incident, told as one.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::contract::{Again, Diagnosis, News, Verdict};
use crate::diagnosis::Answer;
use crate::incident::{Incident, fingerprint};
use crate::words;

/// What the reports of such alarms have told so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Episode {
    /// The id of the first alarm's report.
    id: String,
    /// When the first alarm fired.
    since: Timestamp,
    /// How many alarms there were.
    times: u32,
    /// The destination that all of them are about.
    destination: String,
    /// Its greatest holder, where one stands out.
    holder: Option<IpAddr>,
    /// The report of the latest alarm.
    last: Told,
    /// The report of the alarm before that one; `None` where it was the first.
    before: Option<Told>,
}

/// What one alarm's report said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    id: String,
    /// When the alarm fired.
    at: Timestamp,
    answer: Answer,
    /// CloudTrail's ids of the changes that it listed.
    changes: Vec<String>,
}

impl Episode {
    /// Under which name the episodes of the incident's gateway are kept; `None` where no gateway is known.
    #[must_use]
    pub fn key(incident: &Incident) -> Option<String> {
        let gateway = incident.gateway.as_ref()?;
        // A zone comes from outside; one that was found out may be another one next time.
        let zone = incident.zone.as_deref().filter(|_| !incident.zone_from_metrics);
        Some(fingerprint(&format!("{gateway} {}", zone.unwrap_or_default())))
    }

    /// The episode that a report belongs to: the one `before` it where that is about the same destination and holder,
    /// and no longer ago than `within`; else a new one. `None` of what is no report of a full destination by an alarm.
    #[must_use]
    pub fn with(before: Option<Self>, diagnosis: &Diagnosis, within: SignedDuration) -> Option<Self> {
        let alarm = diagnosis.alarm.as_ref().filter(|_| !diagnosis.drill && !diagnosis.replay)?;
        let is_full = matches!(diagnosis.verdict, Verdict::Confirmed | Verdict::Likely);
        let top = diagnosis.in_question().filter(|_| is_full)?;
        let destination = words::endpoint(top.address, top.port, &top.protocol);
        let holder = top.clients.first().filter(|client| client.stands_out()).map(|client| client.address);
        let changes = diagnosis.changes.iter().flat_map(|changes| &changes.listed);
        let told = Told {
            id: diagnosis.id.clone(),
            at: alarm.at,
            answer: Answer::of(diagnosis),
            changes: changes.filter_map(|change| change.event_id.clone()).collect(),
        };
        let same = before.filter(|before| (&before.destination, before.holder) == (&destination, holder));
        Some(match same {
            // Another delivery of the same alarm, or the report that follows its provisional one.
            Some(same) if same.last.id == told.id => Self { last: told, ..same },
            Some(same) if is_soon(same.last.at, told.at, within) => {
                Self { times: same.times.saturating_add(1), before: Some(same.last), last: told, ..same }
            }
            _ => Self {
                id: told.id.clone(),
                since: told.at,
                times: 1,
                destination,
                holder,
                last: told,
                before: None,
            },
        })
    }

    /// What to say of the latest report's place in it; nothing of the first.
    #[must_use]
    pub fn again(&self) -> Option<Again> {
        let before = self.before.as_ref()?;
        let mut new = self.last.answer.news_since(&before.answer);
        let changes = self.last.changes.iter().filter(|id| !before.changes.contains(id));
        new.extend(changes.map(|id| News::Change { event_id: id.clone() }));
        Some(Again { id: self.id.clone(), times: self.times, since: self.since, last_at: before.at, new })
    }

    /// The id by which other tools know the incident of this report, where the report is the episode's latest.
    #[must_use]
    pub fn id_of(&self, report: &str) -> Option<&str> {
        (self.last.id == report).then_some(&self.id)
    }
}

fn is_soon(last: Timestamp, now: Timestamp, within: SignedDuration) -> bool {
    let apart = now.duration_since(last);
    !apart.is_negative() && apart <= within && !within.is_zero()
}
