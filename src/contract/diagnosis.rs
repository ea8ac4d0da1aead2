//! The diagnosis as a whole.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Again, ChangesReport, ClientReport, CoverageReport, DestinationReport, EarlierReport, GatewayReport,
    Link, MetricReport, Pattern, RefusedAttempts, Remedy, Scan, Verdict,
};
use crate::evidence::{QueryRun, Source};
use crate::gap::Gap;
use crate::incident::{Alarm, TimeWindow};

/// The version of the JSON: fields are added within it, never renamed.
pub const SCHEMA: &str = "nat-triage.diagnosis.v1";

/// Whether more may follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Flow logs of the window are still arriving: a final report follows if it says more.
    Provisional,
    /// All that there will be.
    #[default]
    Final,
}

impl Stage {
    /// As the contract spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Provisional => "provisional",
            Self::Final => "final",
        }
    }
}

/// The diagnosis, as the contract has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnosis {
    /// [`SCHEMA`].
    pub schema: String,
    /// The same for the same alarm transition, however often it is delivered.
    pub id: String,
    /// Whether more may follow. Both have the same id.
    pub stage: Stage,
    /// Whether somebody put the alarm into ALARM by hand, and no error was counted: then it is the answer to that.
    #[serde(default)]
    pub drill: bool,
    /// Whether it is sent again, of an incident that is past.
    #[serde(default)]
    pub replay: bool,
    /// Whether it is one more alarm of an incident that was reported a short while ago; `null` of the first.
    #[serde(default)]
    pub again: Option<Again>,
    /// The alarm; `null` without an event.
    pub alarm: Option<Alarm>,
    /// The minutes that the diagnosis is about.
    pub window: TimeWindow,
    /// Of these, the minutes in question: of an alarm those that it counted. What was held, who held it and what
    /// was refused is of them; what comes before says what was held when they began.
    pub asked: TimeWindow,
    /// The gateway, or gateways.
    pub nat_gateways: Vec<GatewayReport>,
    /// How sure we are.
    pub verdict: Verdict,
    /// What sort of use it was, where the evidence tells.
    pub pattern: Option<Pattern>,
    /// What decided the pattern, each with its figure.
    pub pattern_evidence: Vec<String>,
    /// Who scans, where somebody does: whether or not that filled a destination.
    pub scan: Option<Scan>,
    /// The answer in one sentence.
    pub headline: String,
    /// Destinations: the one that the answer is about, then the fullest.
    pub destinations: Vec<DestinationReport>,
    /// How many destinations there were in all, those that are not listed included.
    pub destinations_seen: u64,
    /// Clients over all reported destinations, greatest holder first.
    pub clients: Vec<ClientReport>,
    /// Refused attempts, reconciled with the errors that were counted.
    pub refused_attempts: RefusedAttempts,
    /// The gateway's metrics, where they were asked for.
    pub metrics: Vec<MetricReport>,
    /// The minutes an hour earlier with which those in question are compared; `null` where these were not asked about, or
    /// the flow logs do not cover them.
    #[serde(default)]
    pub earlier: Option<EarlierReport>,
    /// What was changed in the account before the alarm, where CloudTrail was asked: `null` where it was not, or did
    /// not answer.
    #[serde(default)]
    pub changes: Option<ChangesReport>,
    /// Fixes, most helpful first.
    pub remedies: Vec<Remedy>,
    /// How much of the window the flow logs held.
    pub coverage: CoverageReport,
    /// What could not be seen.
    pub gaps: Vec<Gap>,
    /// The queries that were run.
    pub queries: Vec<QueryRun>,
    /// Where to look for oneself; none where the partition has no public console.
    pub links: Vec<Link>,
}

impl Diagnosis {
    /// The id by which other tools know the incident: that of the first of several alarms which are told as one.
    #[must_use]
    pub fn incident_id(&self) -> &str {
        self.again.as_ref().map_or(&self.id, |again| &again.id)
    }

    /// The destination that the answer is about, which every list has first: the fullest one; where it is not
    /// known whether any was full, the one to doubt; where none was, the one that held most at the very most.
    #[must_use]
    pub fn in_question(&self) -> Option<&DestinationReport> {
        self.destinations.first()
    }

    /// Whether records could be read, however few there were.
    #[must_use]
    pub fn was_answered(&self) -> bool {
        self.coverage.source == Source::Files
            || self.queries.iter().any(|query| query.records_scanned.is_some())
    }

    /// What the verdict hangs on that could not be seen, most telling first.
    pub fn deciding_gaps(&self) -> impl Iterator<Item = &Gap> {
        self.gaps.iter().filter(|gap| gap.decides)
    }

    /// Whether something of the input was lost (a file, a line, part of the window), or the verdict
    /// leaves the question open.
    #[must_use]
    pub fn from_partial_input(&self) -> bool {
        let CoverageReport { complete, files_failed, records_rejected, .. } = self.coverage;
        !complete || files_failed > 0 || records_rejected > 0 || self.verdict == Verdict::CannotTell
    }

    /// The diagnosis as a JSON value.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("a diagnosis holds nothing that JSON cannot")
    }
}
