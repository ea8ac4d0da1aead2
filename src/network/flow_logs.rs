//! The flow logs that cover a gateway, and what their log groups can do.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::InBucket;

/// Where a flow log is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FlowLogDestination {
    /// A CloudWatch Logs group.
    CloudWatchLogs,
    /// A bucket.
    S3,
    /// A delivery stream.
    Firehose,
}

/// Which traffic a flow log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum TrafficType {
    /// Accepted and rejected.
    All,
    /// Accepted alone.
    Accept,
    /// Rejected alone, in which no held port shows.
    Reject,
}

impl TrafficType {
    /// What ends the name of a log stream: `eni-…-all`.
    #[must_use]
    pub fn stream_suffix(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Accept => "accept",
            Self::Reject => "reject",
        }
    }
}

/// What a log group costs and can do.
///
/// Source: "Log classes" in the Amazon CloudWatch Logs user guide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogClass {
    /// Log streams are indexed: a query about the gateway's alone scans no others.
    Standard,
    /// Nothing is indexed: every query scans all of its minutes.
    InfrequentAccess,
    /// What it takes and indexes is not documented: Essentials, or one that came later.
    Other,
    /// Logs Insights can't ask it.
    Delivery,
}

/// A flow log that covers the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FlowLog {
    /// Its id, `fl-…`.
    pub id: String,
    /// The interface, subnet, VPC or gateway it was made for.
    pub resource_id: String,
    /// The log group, where it is delivered to CloudWatch Logs.
    pub log_group: Option<String>,
    /// Where it is delivered.
    pub destination: FlowLogDestination,
    /// Which traffic it holds.
    pub traffic: TrafficType,
    /// Its format string, as AWS gives it.
    pub format: String,
    /// Seconds that one record may span: 60 or 600.
    pub aggregation_seconds: u32,
    /// What AWS says is wrong with its delivery.
    pub delivery_error: Option<String>,
    /// The class of its log group, where that is known.
    #[serde(default)]
    pub log_class: Option<LogClass>,
    /// Before when its log group holds nothing, being created later or keeping records no longer; `None`
    /// where that is not known.
    #[serde(default)]
    pub kept_from: Option<Timestamp>,
    /// How many bytes its log group holds, compressed; `None` where that is not known.
    #[serde(default)]
    pub stored_bytes: Option<u64>,
    /// Where its files are, where it is delivered to S3 and they can be read there.
    #[serde(default)]
    pub in_bucket: Option<InBucket>,
}

impl FlowLog {
    /// What stands for the id of a flow log whose log group and format were named, as it reads behind `flow log`.
    pub const NAMED: &str = "of NAT_TRIAGE_LOG_GROUPS";

    /// Whether nobody described it: its log group and format were named.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.id == Self::NAMED
    }
}
