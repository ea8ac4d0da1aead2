//! The NAT gateway, and what its metrics did.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::network::{GatewayKind, Provenance};

/// The gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GatewayReport {
    /// Its id, where it is known.
    pub id: Option<String>,
    /// What sort it is.
    pub kind: GatewayKind,
    /// The addresses by which flow logs show it.
    pub addresses: Vec<IpAddr>,
    /// Its interfaces.
    pub interface_ids: Vec<String>,
    /// Its VPC.
    pub vpc_id: Option<String>,
    /// Its zones, for a regional gateway.
    pub zones: Vec<String>,
    /// Ports that can be held towards one destination at once; `null` where its addresses are not
    /// known.
    pub capacity_per_destination: Option<u32>,
    /// How these facts came to be known.
    pub provenance: Provenance,
}

/// A metric of the gateway over the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricReport {
    /// The CloudWatch name.
    pub name: String,
    /// `Sum` or `Maximum`.
    pub statistic: String,
    /// Over the window.
    pub value: f64,
    /// What is usual for as long a time, by the hours before.
    pub baseline: Option<f64>,
    /// Over the same minutes of the day before.
    pub day_before: Option<f64>,
    /// How many times the baseline.
    pub change: Option<f64>,
}
