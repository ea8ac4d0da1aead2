//! Room to grow: the VPC's other gateways, and the quotas on addresses.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::GatewayKind;
use crate::incident::NatGatewayId;

/// Another NAT gateway of the same VPC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SiblingGateway {
    /// Its id.
    pub id: NatGatewayId,
    /// What sort it is.
    #[serde(default)]
    pub kind: GatewayKind,
    /// The name of its Availability Zone, where that is known; none for a regional gateway.
    #[serde(default)]
    pub zone: Option<String>,
    /// The subnet it stands in; none for a regional gateway.
    #[serde(default)]
    pub subnet_id: Option<String>,
    /// Addresses on which new connections can get ports.
    #[serde(default)]
    pub usable_addresses: u32,
    /// Ports that it could not allocate over the window, where that is known.
    #[serde(default)]
    pub errors: Option<u64>,
    /// The most TCP connections that it held at once over the window, to all destinations together, where
    /// that is known.
    #[serde(default)]
    pub most_connections: Option<u64>,
}

impl SiblingGateway {
    /// Ports that it certainly had left towards any one destination over the window; `None` where its
    /// metrics are not known.
    #[must_use]
    pub fn room(&self, ports_per_address: u32) -> Option<u64> {
        let (errors, connections) = (self.errors?, self.most_connections?);
        let capacity = u64::from(self.usable_addresses) * u64::from(ports_per_address);
        Some(if errors > 0 { 0 } else { capacity.saturating_sub(connections) })
    }
}

/// What the account may have, as far as it was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Quotas {
    /// Elastic IP addresses per public NAT gateway (L-5F53652F).
    pub addresses_per_gateway: Option<u32>,
    /// Elastic IP addresses per Region (L-0263D0A3).
    pub elastic_ips: Option<u32>,
    /// Of these, how many there are now.
    pub elastic_ips_in_use: Option<u32>,
}

/// A quota, as Service Quotas names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The service's code.
    pub service: &'static str,
    /// The quota's code.
    pub code: &'static str,
}

impl Quotas {
    /// Elastic IP addresses per public NAT gateway.
    ///
    /// Source: "Amazon VPC quotas" in the Amazon VPC user guide.
    pub const PER_GATEWAY: Quota = Quota { service: "vpc", code: "L-5F53652F" };

    /// Elastic IP addresses per Region.
    ///
    /// Source: "Amazon VPC quotas" in the Amazon VPC user guide.
    pub const PER_REGION: Quota = Quota { service: "ec2", code: "L-0263D0A3" };

    /// Most addresses that a gateway of one subnet can have, whatever the quota.
    ///
    /// Source: "Amazon VPC quotas" (L-5F53652F) and "NAT gateway basics" in the Amazon VPC user guide.
    pub const MAX_ADDRESSES_PER_GATEWAY: u32 = 8;

    /// Elastic IP addresses per public NAT gateway where nobody raised it.
    ///
    /// Source: as [`Quotas::PER_GATEWAY`].
    pub const DEFAULT_ADDRESSES_PER_GATEWAY: u32 = 2;

    /// Elastic IP addresses per Region where nobody raised it.
    ///
    /// Source: as [`Quotas::PER_REGION`].
    pub const DEFAULT_ELASTIC_IPS: u32 = 5;
}
