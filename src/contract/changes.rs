//! What was changed in the account before the alarm. What comes before need not be the cause.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::network::ChangeKind;

/// How a change is related to the incident; the nearest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// It was made to the gateway itself, to its addresses, or to a route that leads to it.
    Gateway,
    /// It was made to a route table that leads to the gateway.
    Routes,
    /// It was made to what holds most ports, or to the group, the service or the cluster that runs it.
    GreatestHolder,
    /// It was made to something else in the gateway's VPC.
    Vpc,
}

/// A change, or several of a sort.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeReport {
    /// When; of several the latest.
    pub at: Timestamp,
    /// Of several the first.
    pub first_at: Timestamp,
    /// How many calls of this sort.
    pub times: u64,
    /// The call, as CloudTrail names it: `ReplaceRoute`.
    pub event_name: String,
    /// The service that took it: `ec2.amazonaws.com`.
    pub event_source: String,
    /// CloudTrail's id of the latest of them.
    pub event_id: Option<String>,
    /// What sort of thing was changed.
    pub kind: ChangeKind,
    /// How it is related to the incident.
    pub relation: Relation,
    /// The ids and names of what was changed, or changed with. They come from outside.
    pub on: Vec<String>,
    /// Who made it, as CloudTrail names him: a user, or the session of a role. It comes from outside.
    pub user: Option<String>,
    /// The role of the session. It comes from outside.
    pub role: Option<String>,
}

/// What CloudTrail says of the time before the alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangesReport {
    /// From when on changes were asked for.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Since when all of them were read; later than `from` where there were more than are read.
    pub read_from: Timestamp,
    /// The names whose changes were read from `from` on in any case.
    pub asked_after: Vec<String>,
    /// Whether CloudTrail may have had some to deliver still when it was asked.
    pub may_be_late: bool,
    /// Those that have to do with the incident: the nearest first, of these the latest.
    pub listed: Vec<ChangeReport>,
    /// Others of these sorts, in the account and Region, which are not listed.
    pub others: u64,
    /// The command that shows the first one in full.
    pub command: Option<String>,
}
