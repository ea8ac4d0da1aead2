//! Ports that were held: at an instant, on one address, and over the window.

use std::net::IpAddr;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Ports held, as a range with a best estimate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeldPorts {
    /// Certainly held: the time between first and last packets alone.
    pub at_least: u32,
    /// The best estimate.
    pub estimate: u32,
    /// Held at the very most: the idle timeout added wherever no end was seen.
    pub at_most: u32,
    /// The instant that the figures are about.
    pub at: Timestamp,
}

/// One of several addresses of a gateway, all of whose ports towards a destination were held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FullAddress {
    /// Which; `null` where the records show all of them as one.
    pub address: Option<IpAddr>,
    /// Ports held on it.
    pub held: u32,
    /// Ports that it has towards one destination.
    pub of: u32,
}

/// One step of a destination's timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimelineStep {
    /// The step's first instant.
    pub at: Timestamp,
    /// Certainly held at that instant.
    pub held_at_least: u32,
    /// The best estimate for the step's fullest second, where the source tells it (files do, of the fullest
    /// destinations), else for that instant; of the step in which the destination was fullest, for the fullest.
    pub held_estimate: u32,
    /// Held at the very most at any time within the step.
    pub held_at_most: u32,
    /// Attempts that began within the step, reached the gateway and never left it. An inference.
    pub refused: u64,
}
