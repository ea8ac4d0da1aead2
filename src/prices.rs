//! List prices of AWS in us-east-1 that more than one report names. Other Regions differ.

/// Bytes of a GB, as AWS bills them for gateways, endpoints and traffic between zones.
pub(crate) const BYTES_OF_GB: f64 = 1_073_741_824.0;

/// A GB that passes through a NAT gateway, in either direction, in US dollars.
///
/// Source: "Amazon VPC pricing", NAT gateway, data processed.
pub(crate) const GATEWAY_USD_PER_GB: f64 = 0.045;
