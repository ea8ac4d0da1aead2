//! The gateways of a Region week on week: which is filling up over weeks, and what passes through it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::gap::Gap;
use crate::prices::{BYTES_OF_GB, GATEWAY_USD_PER_GB};

/// The version of the JSON: fields are added within it, never renamed.
pub const FLEET_SCHEMA: &str = "nat-triage.fleet.v1";

/// A week of one gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Week {
    /// How full its fullest destination was at the most, in percent; `null` where its flow logs were not read, or early
    /// warning is off.
    pub fullest_percent: Option<f64>,
    /// The most TCP connections at once, to all destinations together.
    pub connections: Option<u64>,
    /// Connections that were refused: the sum of `ErrorPortAllocation`.
    pub refused: Option<u64>,
    /// Bytes that passed through it, both ways.
    pub bytes: Option<u64>,
}

impl Week {
    /// What its bytes cost, in US dollars at the list price of us-east-1.
    #[must_use]
    pub fn cost_usd(&self) -> Option<f64> {
        Some(self.bytes? as f64 / BYTES_OF_GB * GATEWAY_USD_PER_GB)
    }
}

/// Two weeks of one gateway.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Weeks {
    /// Its id.
    pub gateway: String,
    /// Its VPC.
    pub vpc_id: Option<String>,
    /// The last seven days.
    pub this_week: Week,
    /// The seven days before.
    pub week_before: Week,
    /// Which of `S3` and `DynamoDB` have no gateway endpoint in its VPC: traffic to them in the Region would pass by the
    /// gateway, and cost nothing. `null` where that is not known.
    pub without_endpoint: Option<Vec<String>>,
}

/// The gateways of a Region.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Fleet {
    /// The version of this JSON.
    pub schema: &'static str,
    /// When it was looked.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// The Region that was asked, where one is set.
    pub region: Option<String>,
    /// The gateways: those with the fullest destinations first, then those with most connections.
    pub gateways: Vec<Weeks>,
    /// What could not be looked up.
    pub gaps: Vec<Gap>,
}

impl Fleet {
    /// The fleet, with its gateways in order.
    #[must_use]
    pub fn new(at: Timestamp, region: Option<&str>, mut gateways: Vec<Weeks>, gaps: Vec<Gap>) -> Self {
        gateways.sort_by(|a, b| {
            let key = |weeks: &Weeks| weeks.this_week.fullest_percent.unwrap_or(-1.0);
            let connections = |weeks: &Weeks| weeks.this_week.connections.unwrap_or(0);
            key(b)
                .total_cmp(&key(a))
                .then(connections(b).cmp(&connections(a)))
                .then(a.gateway.cmp(&b.gateway))
        });
        Self { schema: FLEET_SCHEMA, at, region: region.map(str::to_owned), gateways, gaps }
    }

    /// For machines.
    ///
    /// # Panics
    ///
    /// Never: it holds nothing that JSON cannot.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("it holds nothing that JSON cannot")
    }
}
