//! Early warning: how full each destination of a gateway is, before any connection is refused. Pure: what AWS says is
//! looked up elsewhere.
//!
//! The cheapest question comes first. A gateway whose connections to all destinations together are few has no full
//! destination (`gate`), and its flow logs are not read. Of the others one diagnosis of the last minutes shows the
//! fullest destinations (`level`). What readers were told before decides what they are told now (`memory`).

mod fleet;
mod gate;
mod level;
mod memory;
mod table;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::diagnosis::region_option;
use crate::gap::Gap;
use crate::incident::{NatGatewayId, TimeWindow};
use crate::words;

pub use fleet::{FLEET_SCHEMA, Fleet, Week, Weeks};
pub use gate::{Connections, Gate, latest};
pub use level::{Filling, Holder, Level, levels};
pub use memory::{Memory, Warned};
pub use table::table;

/// The version of the JSON: fields are added within it, never renamed.
pub const SCHEMA: &str = "nat-triage.watch.v1";

/// The version of a warning's JSON.
pub const WARNING_SCHEMA: &str = "nat-triage.warning.v1";

/// When readers are told, as fractions of what one destination can have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// A destination that holds as much is told of.
    pub warn: f64,
    /// It has to fall below this before it is told that it has room again: figures that go up and down around one
    /// number would be a message each time.
    pub clear: f64,
}

impl Default for Thresholds {
    /// 80 % and 70 %.
    fn default() -> Self {
        Self { warn: 0.8, clear: 0.7 }
    }
}

/// What is watched: a gateway, and of a regional one a zone, as each zone has ports of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Watched {
    /// The gateway's id.
    pub gateway: String,
    /// The zone of a regional gateway; `null` of another one.
    pub zone: Option<String>,
}

impl Watched {
    /// A gateway, or one zone of it.
    #[must_use]
    pub fn new(gateway: &NatGatewayId, zone: Option<&str>) -> Self {
        Self { gateway: gateway.to_string(), zone: zone.map(str::to_owned) }
    }

    /// `nat-0123 in eu-west-1a`.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.zone {
            Some(zone) => format!("{} in {}", self.gateway, words::one_line(zone, 40)),
            None => self.gateway.clone(),
        }
    }
}

/// What is known of how full a gateway is.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    /// It has so few TCP connections in all that no destination can be filling up. Its flow logs were not read.
    Quiet,
    /// Its flow logs were read some minutes ago, and it has not got many more connections since.
    Resting {
        /// When they were read.
        #[schemars(with = "String")]
        since: Timestamp,
    },
    /// Its flow logs were read.
    Read {
        /// The fullest destinations, the fullest first.
        destinations: Vec<Level>,
        /// Connections that were refused in these minutes, by CloudWatch; `null` where that is not known.
        refused: Option<f64>,
        /// Until when its flow logs had arrived; `null` where none had.
        #[schemars(with = "Option<String>")]
        logs_until: Option<Timestamp>,
    },
    /// It is not known.
    Unknown {
        /// What is missing, and what would show it.
        missing: Gap,
    },
}

/// One gateway, or one zone of a regional gateway.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Seen {
    /// Which.
    #[serde(flatten)]
    pub watched: Watched,
    /// The most TCP connections that it had in the last minutes, to all destinations together; `null` where CloudWatch
    /// does not tell.
    pub connections: Option<u64>,
    /// Ports that can be held towards one destination at once; `null` where that is not known.
    pub capacity_per_destination: Option<u32>,
    /// How full it is.
    #[serde(flatten)]
    pub state: State,
}

/// All gateways of a Region.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Watch {
    /// The version of this JSON.
    pub schema: &'static str,
    /// When it was looked.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// The Region that was asked, where one is set.
    pub region: Option<String>,
    /// The gateways, in the order of their ids.
    pub gateways: Vec<Seen>,
    /// What could not be looked up, of all gateways.
    pub gaps: Vec<Gap>,
    /// Those whose flow logs should have been read, had not as much been scanned today as may be.
    pub beyond_limit: Vec<Watched>,
    /// Bytes of logs that Logs Insights scanned for it.
    pub scanned_bytes: u64,
    /// What readers were told.
    pub told: Vec<Warning>,
}

impl Watch {
    /// For machines.
    ///
    /// # Panics
    ///
    /// Never: it holds nothing that JSON cannot.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("it holds nothing that JSON cannot")
    }

    /// Whether it is known of each gateway how full it is.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let known = |seen: &Seen| !matches!(seen.state, State::Unknown { .. });
        self.gaps.is_empty() && self.gateways.iter().all(known)
    }
}

/// What has become of a destination, and what readers are told of it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Turn {
    /// It holds so much that it may be full soon.
    Filling {
        /// What it holds.
        #[serde(flatten)]
        level: Level,
        /// Connections that the gateway refused in these minutes, by CloudWatch; `null` where that is not known.
        refused: Option<f64>,
    },
    /// It has room again.
    RoomAgain {
        /// Its address, port and protocol.
        destination: String,
        /// What it holds now; `null` where the gateway's own connections are so few that this was not asked.
        now: Option<Level>,
        /// The most TCP connections that the gateway has to all destinations together, where that is what tells.
        connections: Option<u64>,
    },
    /// Its gateway is gone.
    Gone {
        /// Its address, port and protocol.
        destination: String,
    },
}

impl Turn {
    /// As the message's id and JSON have it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Filling { .. } => "filling",
            Self::RoomAgain { .. } => "room-again",
            Self::Gone { .. } => "gone",
        }
    }

    /// The destination's address, port and protocol.
    #[must_use]
    pub fn destination(&self) -> &str {
        match self {
            Self::Filling { level, .. } => &level.destination,
            Self::RoomAgain { destination, .. } | Self::Gone { destination } => destination,
        }
    }
}

/// What readers are told of one destination.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Warning {
    /// The version of this JSON.
    pub schema: &'static str,
    /// The same when it fills up and when it has room again, and on every delivery.
    pub id: String,
    /// When it was looked.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Since when it is told of.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// The Region, where one is set.
    pub region: Option<String>,
    /// Which gateway.
    #[serde(flatten)]
    pub watched: Watched,
    /// The minutes that were looked at.
    pub window: TimeWindow,
    /// What has become of the destination.
    #[serde(flatten)]
    pub turn: Turn,
}

impl Warning {
    /// The command that says who fills the gateway, and what helps.
    #[must_use]
    pub fn command(&self) -> String {
        format!(
            "nat-triage triage --nat-id {} --window {}{}",
            words::argument(&self.watched.gateway),
            self.window,
            region_option(self.region.as_deref())
        )
    }
}
