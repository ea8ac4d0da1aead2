//! Attempts that were refused, which no record says outright.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words;

/// Attempts that were refused, beside the errors that CloudWatch counted. No flow-log record says
/// that an attempt was refused: those found are the ones that reached the gateway and never left it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedAttempts {
    /// Found in the flow logs, towards all destinations, in the minutes in question: no more than were counted in
    /// them. An inference.
    pub found: u64,
    /// The sum of `ErrorPortAllocation`; `null` where it is not known.
    pub counted: Option<f64>,
    /// What was found as a fraction of what was counted in the same minutes; never more than 1.
    pub accounted: Option<f64>,
    /// Whether errors were certainly counted of this gateway, by the metric or by its alarm.
    #[serde(default)]
    pub errors_seen: bool,
    /// Those on the one port that most were to, where no server on that port shows; `null` where each server
    /// shows.
    #[serde(default)]
    pub unplaced: Option<UnplacedAttempts>,
}

/// Attempts that went into the gateway and never came out, in a format that shows their port and no destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnplacedAttempts {
    /// The destination's port.
    pub port: u16,
    /// The protocol's number, as IANA assigned it.
    pub protocol: u8,
    /// How many attempts.
    pub attempts: u64,
    /// The client that made most of them.
    pub client: IpAddr,
}

impl UnplacedAttempts {
    /// `8443/tcp`.
    #[must_use]
    pub fn port_label(&self) -> String {
        format!("{}/{}", self.port, words::protocol(self.protocol))
    }
}
