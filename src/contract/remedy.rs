//! What a remedy says to machines: part of the contract.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Confidence;

/// A remedy's name, stable across versions.
///
/// Of remedies that help equally, the first here comes first: taking traffic off the gateway costs nothing and
/// touches no client's software, so it comes before stopping a client, and that before what costs money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RemedyId {
    /// A gateway endpoint for Amazon S3.
    GatewayEndpointS3,
    /// A gateway endpoint for Amazon `DynamoDB`.
    #[serde(rename = "gateway-endpoint-dynamodb")]
    GatewayEndpointDynamoDb,
    /// Keeping a client that scans from everything else.
    IsolateClient,
    /// Stopping or capping whoever holds most.
    LimitConnectionsPerClient,
    /// Stopping attempts that nobody answers.
    StopRetryStorm,
    /// More addresses for the gateway.
    AddNatAddresses,
    /// A gateway of their own for the clients of other zones.
    NatGatewayPerAz,
    /// This destination's connections of some subnets through another gateway.
    SplitOverGateways,
    /// An interface endpoint for another AWS service.
    InterfaceEndpoint,
    /// The VPC's own resolver instead of a public one.
    UseVpcResolver,
    /// Closing connections that are not needed any more.
    CloseIdleConnections,
    /// Pools, keep-alive of HTTP, or HTTP/2.
    ReuseConnections,
    /// The destination's other addresses.
    SpreadDestination,
    /// IPv6, which is not translated.
    #[serde(rename = "ipv6-egress")]
    Ipv6Egress,
    /// A flow log, where there is none.
    EnableFlowLogs,
    /// A flow log with more fields.
    ImproveFlowLogFormat,
}

impl RemedyId {
    /// As JSON has it: `add-nat-addresses`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GatewayEndpointS3 => "gateway-endpoint-s3",
            Self::GatewayEndpointDynamoDb => "gateway-endpoint-dynamodb",
            Self::IsolateClient => "isolate-client",
            Self::LimitConnectionsPerClient => "limit-connections-per-client",
            Self::StopRetryStorm => "stop-retry-storm",
            Self::AddNatAddresses => "add-nat-addresses",
            Self::NatGatewayPerAz => "nat-gateway-per-az",
            Self::SplitOverGateways => "split-over-gateways",
            Self::InterfaceEndpoint => "interface-endpoint",
            Self::UseVpcResolver => "use-vpc-resolver",
            Self::CloseIdleConnections => "close-idle-connections",
            Self::ReuseConnections => "reuse-connections",
            Self::SpreadDestination => "spread-destination",
            Self::Ipv6Egress => "ipv6-egress",
            Self::EnableFlowLogs => "enable-flow-logs",
            Self::ImproveFlowLogFormat => "improve-flow-log-format",
        }
    }
}

impl fmt::Display for RemedyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq<&str> for RemedyId {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

/// When a remedy helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Within minutes of running its commands.
    Now,
    /// Once somebody has approved it, or changed a client's software or settings.
    Later,
    /// With the next incident only.
    NextIncident,
}

/// What is not known and decides whether a remedy applies, or to what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Condition {
    /// What is not known, as a question within a sentence: `who owns 10.0.1.47`.
    pub unknown: String,
    /// The one command that decides it.
    pub command: String,
}

/// What takes a step back. JSON has it as one string, made and read here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undo {
    /// This command.
    Run(String),
    /// Nothing has to be taken back, or nothing can be: why, in a clause.
    Nothing(String),
}

impl Undo {
    /// What stands before the reason why there is nothing to undo.
    const NOTHING: &str = "nothing to undo: ";

    /// Nothing to undo, and why.
    pub(crate) fn nothing(why: impl Into<String>) -> Self {
        Self::Nothing(why.into())
    }

    /// The command that takes the step back, where there is one.
    #[must_use]
    pub fn command(&self) -> Option<&str> {
        match self {
            Self::Run(command) => Some(command),
            Self::Nothing(_) => None,
        }
    }
}

/// A command.
impl From<String> for Undo {
    fn from(command: String) -> Self {
        Self::Run(command)
    }
}

impl fmt::Display for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(command) => f.write_str(command),
            Self::Nothing(why) => write!(f, "{}{why}", Self::NOTHING),
        }
    }
}

impl Serialize for Undo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Undo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(match text.strip_prefix(Self::NOTHING) {
            Some(why) => Self::nothing(why),
            None => Self::Run(text),
        })
    }
}

/// A step a person can take: what to run, how to see that it worked, how to take it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Command {
    /// What it does, such as `shows who owns the address`: whoever pastes it knows whether it changes anything.
    pub does: String,
    /// What to run.
    pub run: String,
    /// What shows that it worked.
    pub verify: String,
    /// What takes it back: a command, or a sentence on why there is nothing to undo.
    #[schemars(with = "String")]
    pub undo: Undo,
}

/// A fix that the evidence supports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Remedy {
    /// Its name.
    pub id: RemedyId,
    /// What to do, in a few words.
    pub title: String,
    /// When it helps.
    pub when: When,
    /// What is not known and decides about it; `null` where all that it rests on is known.
    pub condition: Option<Condition>,
    /// Why, in numbers.
    pub why: String,
    /// What it would change.
    pub effect: String,
    /// The steps, with the incident's real ids.
    pub commands: Vec<Command>,
    /// What it may break.
    pub hazards: Vec<String>,
    /// What it costs a month, in US dollars, where that is known.
    pub monthly_cost_usd: Option<f64>,
    /// How sure we are that it helps.
    pub confidence: Confidence,
}

/// A client that tries very many destinations, most of them in vain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Scan {
    /// Its address; `null` where the records do not name it.
    pub client: Option<std::net::IpAddr>,
    /// Who owns the address, where that is known.
    pub name: Option<String>,
    /// How many destinations it tried.
    pub destinations: u64,
    /// How many of them did not answer, or refused at once.
    pub in_vain: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_as_json_has_it() {
        for id in [RemedyId::GatewayEndpointDynamoDb, RemedyId::Ipv6Egress, RemedyId::NatGatewayPerAz] {
            assert_eq!(serde_json::to_value(id).expect("JSON"), id.as_str());
        }
    }

    #[test]
    fn what_takes_a_step_back_is_one_string_in_json() {
        for (undo, text) in [
            (Undo::nothing("it comes up again by itself"), "nothing to undo: it comes up again by itself"),
            (Undo::Run("aws ec2 stop-instances".into()), "aws ec2 stop-instances"),
        ] {
            assert_eq!(serde_json::to_value(&undo).expect("JSON"), text);
            assert_eq!(serde_json::from_value::<Undo>(text.into()).expect("an undo"), undo);
        }
    }
}
