//! What can be asked of the flow logs: from where, in which format, with which faults.

use std::sync::Arc;

use super::format::LogFormat;
use crate::spec::{GatewayKind, Incident};

/// Whose interfaces a flow log covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Viewpoint {
    /// The interface of the incident's gateway: four legs. Empty for a regional gateway.
    GatewayInterface,
    /// The regional gateway as a resource: four legs, no interface. Empty for the other kinds.
    Regional,
    /// The interfaces of clients that use the incident's gateway, with all their traffic.
    ClientInterfaces,
    /// The interfaces of clients that never use the incident's gateway.
    OtherInterfaces,
    /// The other gateways of the VPC.
    OtherGateways,
}

/// What makes two packets part of the same record, besides interface, direction and window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowKey {
    /// The packet's own 5-tuple: two secondary addresses that are shown as the primary stay apart.
    Packet,
    /// The 5-tuple that the record shows: what looks the same is one record, with the `pkt-*`
    /// addresses of its first packet. AWS does not document which of the two it does.
    Shown,
}

/// Copies from several flow logs over the same interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicates {
    /// One flow log.
    None,
    /// Two flow logs with the same windows: each record twice, delivered apart.
    Exact,
    /// Two flow logs with windows of their own: the same packets in differently cut records.
    Overlapping,
}

/// A question to the flow logs.
#[derive(Clone, Debug)]
pub struct View {
    /// From where.
    pub viewpoints: Vec<Viewpoint>,
    /// In which format.
    pub format: LogFormat,
    /// Seconds per record at most: 60 or 600.
    pub aggregation_s: u32,
    /// Which flow log: another number gives other window boundaries and delivery times.
    pub flow_log: u64,
    /// What is one record.
    pub key: FlowKey,
    /// Packets before this second are not logged, as if the flow log had been created then.
    pub logged_from: Option<i64>,
    /// Only records delivered by this second.
    pub delivered_by: Option<i64>,
    /// Share of records that are lost; a SKIPDATA record stands for those of one interface and
    /// window.
    pub skipdata_share: f64,
    /// A NODATA record for each interface and window without packets.
    pub nodata: bool,
    /// Copies.
    pub duplicates: Duplicates,
    /// `start` is off by up to this many seconds either way and `end` later by up to as many: the
    /// same for all records of an interface's window. AWS documents up to 60.
    pub skew_s: u32,
}

impl View {
    /// Every record of `viewpoints` at 60 s, without faults.
    pub fn new(viewpoints: impl IntoIterator<Item = Viewpoint>, format: LogFormat) -> Self {
        Self {
            viewpoints: viewpoints.into_iter().collect(),
            format,
            aggregation_s: 60,
            flow_log: 0,
            key: FlowKey::Packet,
            logged_from: None,
            delivered_by: None,
            skipdata_share: 0.0,
            nodata: false,
            duplicates: Duplicates::None,
            skew_s: 0,
        }
    }

    /// The gateway's own flow log, whichever kind the gateway is.
    pub fn of_gateway(incident: &Incident, format: LogFormat) -> Self {
        let viewpoint = match incident.gateways[0].kind {
            GatewayKind::Regional => Viewpoint::Regional,
            GatewayKind::Zonal | GatewayKind::Private => Viewpoint::GatewayInterface,
        };
        Self::new([viewpoint], format)
    }

    /// A VPC-level flow log: every interface there is. Whether a real one includes a regional
    /// gateway's records is not documented; this one does.
    pub fn of_vpc(format: LogFormat) -> Self {
        Self::new(
            [
                Viewpoint::GatewayInterface,
                Viewpoint::Regional,
                Viewpoint::ClientInterfaces,
                Viewpoint::OtherInterfaces,
                Viewpoint::OtherGateways,
            ],
            format,
        )
    }
}

/// One flow-log record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The log stream in CloudWatch Logs: `eni-…-all`. For a regional gateway the name is not
    /// documented; here it is `nat-…-all`.
    pub stream: Arc<str>,
    /// The event's time, in seconds since 1970: the record's `start`.
    pub timestamp: i64,
    /// When it could first be read, in seconds since 1970.
    pub delivered_at: i64,
    /// The record, without a line end.
    pub line: String,
}
