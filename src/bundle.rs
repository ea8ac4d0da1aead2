//! Everything that one live diagnosis rests on, in one document: from it the same diagnosis follows again,
//! byte for byte, with no account and no network.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::alarm::is_drill;
use crate::evidence::insights::{Answer, Asked, Cause, LogsQueries, Query, RungMemory, Unanswered};
use crate::gap::Gap;
use crate::incident::Incident;
use crate::network::{Network, NetworkSource, Parties};
use crate::triage::{Surveyed, Triaged};

/// The version of the document.
const SCHEMA: &str = "nat-triage.bundle.v1";

/// The document's name in a folder.
pub const FILE: &str = "bundle.json";

/// The event, the look-ups' answers and the evidence of one diagnosis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bundle {
    schema: String,
    /// As it arrived; `null` where none did.
    event: Option<Value>,
    incident: Incident,
    /// What stood around the gateway, before the evidence.
    surroundings: Found,
    /// The same, with the parties that the evidence showed.
    parties: Found,
    answers: Vec<Asked>,
    /// Which questions were known to be refused.
    #[serde(default)]
    memory: RungMemory,
}

/// What look-ups came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Found {
    network: Network,
    gaps: Vec<Gap>,
}

/// Why a bundle can't be used.
#[derive(Debug, thiserror::Error)]
pub enum UnusableBundle {
    /// The file could not be read.
    #[error("failed to read {path}")]
    Unreadable {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It holds something else.
    #[error("{path} does not hold a bundle that --save-bundle wrote")]
    Malformed {
        /// Which.
        path: String,
        /// Why.
        source: serde_json::Error,
    },
    /// It is of a version that came after this one.
    #[error(
        "{path} is a bundle of the version {found:?}, and this nat-triage reads {SCHEMA}: see whether a newer one reads it"
    )]
    Version {
        /// Which.
        path: String,
        /// Its version.
        found: String,
    },
}

impl Bundle {
    /// What `triaged` rests on. `incident` is as it was before anything was looked up.
    #[must_use]
    pub fn of(
        event: Option<&Value>,
        incident: Incident,
        surveyed: &Surveyed,
        triaged: &Triaged,
        answers: Vec<Asked>,
        memory: RungMemory,
    ) -> Self {
        let (network, gaps) = surveyed.found();
        Self {
            schema: SCHEMA.into(),
            event: event.cloned(),
            incident,
            surroundings: Found { network: network.clone(), gaps: gaps.to_vec() },
            parties: Found { network: triaged.network.clone(), gaps: triaged.unidentified.clone() },
            answers,
            memory,
        }
    }

    /// The bundle in a folder, or in a file of any name.
    ///
    /// # Errors
    /// When there is none, or it is not one that this version can read.
    pub fn read(path: &Path) -> Result<Self, UnusableBundle> {
        let path = if path.is_dir() { path.join(FILE) } else { path.to_owned() };
        let name = path.display().to_string();
        let text = std::fs::read(&path)
            .map_err(|source| UnusableBundle::Unreadable { path: name.clone(), source })?;
        let malformed = |source| UnusableBundle::Malformed { path: name.clone(), source };
        let value: Value = serde_json::from_slice(&text).map_err(malformed)?;
        match value.get("schema").and_then(Value::as_str) {
            Some(other) if other != SCHEMA => {
                Err(UnusableBundle::Version { path: name, found: crate::words::one_line(other, 40) })
            }
            _ => serde_json::from_value(value).map_err(malformed),
        }
    }

    /// The document.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string(self).expect("a bundle holds nothing that JSON cannot");
        text.push('\n');
        text
    }

    /// Whether somebody set the alarm by hand.
    #[must_use]
    pub fn is_drill(&self) -> bool {
        self.event.as_ref().is_some_and(|event| is_drill(event, &self.incident))
    }

    /// Which questions were known to be refused.
    #[must_use]
    pub fn memory(&self) -> RungMemory {
        self.memory.snapshot()
    }

    /// The incident that it is about, as it was before anything was looked up.
    #[must_use]
    pub fn incident(&self) -> Incident {
        self.incident.clone()
    }
}

/// The look-ups as they were answered then.
impl NetworkSource for Bundle {
    async fn network(&self, _: &Incident) -> (Network, Vec<Gap>) {
        (self.surroundings.network.clone(), self.surroundings.gaps.clone())
    }

    async fn identify(&self, _: &Parties, _: &Incident, network: &mut Network) -> Vec<Gap> {
        network.clone_from(&self.parties.network);
        self.parties.gaps.clone()
    }
}

/// The queries as they were answered then.
impl LogsQueries for &Bundle {
    async fn run(&self, query: &Query) -> Result<Answer, Unanswered> {
        let same = self.answers.iter().find(|asked| asked.is(query));
        same.map(|asked| asked.answer.clone()).unwrap_or_else(|| {
            Err(Unanswered {
                why: "the bundle holds no answer to this query".into(),
                fix: "analyze the bundle with the nat-triage that saved it".into(),
                cause: Cause::Other,
            })
        })
    }

    /// A simpler question was asked beside another one if its answer was saved.
    async fn wait_before(&self, simpler: &Query) {
        if !self.answers.iter().any(|asked| asked.is(simpler)) {
            std::future::pending().await
        }
    }
}
