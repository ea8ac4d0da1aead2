//! One more alarm of an incident that was reported a short while ago.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Pattern, Verdict};

/// That this is one more alarm about a destination and a greatest holder which were reported a short while ago: all of
/// them are one incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Again {
    /// The id of the first alarm's report, by which other tools know the incident.
    pub id: String,
    /// How many alarms there were, this one included.
    pub times: u32,
    /// When the first alarm fired.
    pub since: Timestamp,
    /// When the alarm before this one fired.
    pub last_at: Timestamp,
    /// What is new since the report of the alarm before, beside the figures.
    pub new: Vec<News>,
}

/// Something that the report of the alarm before did not say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum News {
    /// We are surer, or less sure.
    Verdict {
        /// How sure we were.
        before: Verdict,
    },
    /// The use is of another sort.
    Pattern {
        /// Of which it was; `null` where that did not show.
        before: Option<Pattern>,
    },
    /// Another destination is full as well.
    AlsoFull {
        /// Its address, port and protocol.
        destination: String,
    },
    /// Another destination is full no more.
    NoLongerFull {
        /// Its address, port and protocol.
        destination: String,
    },
    /// A remedy is offered that was not.
    Remedy {
        /// Its id.
        id: String,
    },
    /// Something was changed in the account.
    Change {
        /// CloudTrail's id of it.
        event_id: String,
    },
}
