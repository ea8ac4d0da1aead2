//! What a remedy says to machines: part of the contract.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Confidence;
use crate::command_line::{Blank, CommandLine};

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
#[serde(from = "WrittenCondition", into = "WrittenCondition")]
pub struct Condition {
    /// What is not known, as a question within a sentence: `who owns 10.0.1.47`.
    pub unknown: String,
    /// The one command that decides it.
    pub command: CommandLine,
}

/// What is not known and decides whether a remedy applies, or to what.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Condition")]
struct WrittenCondition {
    /// What is not known, as a question within a sentence: `who owns 10.0.1.47`.
    unknown: String,
    /// The one command that decides it.
    command: String,
    /// Words of it that have to be filled in first.
    #[serde(default)]
    fill_in: Vec<Blank>,
}

impl From<WrittenCondition> for Condition {
    fn from(WrittenCondition { unknown, command, fill_in }: WrittenCondition) -> Self {
        Self { unknown, command: CommandLine::written(command, fill_in) }
    }
}

impl From<Condition> for WrittenCondition {
    fn from(Condition { unknown, command }: Condition) -> Self {
        let (command, fill_in) = command.into_parts();
        Self { unknown, command, fill_in }
    }
}

/// What takes a step back. JSON has it as one string, made and read here, and what to fill in of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undo {
    /// This command.
    Run(CommandLine),
    /// Nothing has to be taken back, or nothing can be: why, in a clause.
    Nothing(String),
}

impl Undo {
    /// What stands before the reason why there is nothing to undo.
    const NOTHING: &str = "nothing to undo: ";

    fn written(text: String, fill_in: Vec<Blank>) -> Self {
        match text.strip_prefix(Self::NOTHING) {
            Some(why) => Self::nothing(why),
            None => Self::Run(CommandLine::written(text, fill_in)),
        }
    }

    /// Nothing to undo, and why.
    pub(crate) fn nothing(why: impl Into<String>) -> Self {
        Self::Nothing(why.into())
    }

    /// The command that takes the step back, where there is one.
    #[must_use]
    pub fn command(&self) -> Option<&CommandLine> {
        match self {
            Self::Run(command) => Some(command),
            Self::Nothing(_) => None,
        }
    }
}

/// A command.
impl From<CommandLine> for Undo {
    fn from(command: CommandLine) -> Self {
        Self::Run(command)
    }
}

/// A command without blanks.
impl From<String> for Undo {
    fn from(command: String) -> Self {
        Self::Run(command.into())
    }
}

impl fmt::Display for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(command) => write!(f, "{command}"),
            Self::Nothing(why) => write!(f, "{}{why}", Self::NOTHING),
        }
    }
}

/// A step a person can take: what to run, how to see that it worked, how to take it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "WrittenCommand", into = "WrittenCommand")]
pub struct Command {
    /// What it does, such as `shows who owns the address`: whoever pastes it knows whether it changes anything.
    pub does: String,
    /// What to run.
    pub run: CommandLine,
    /// What shows that it worked.
    pub verify: CommandLine,
    /// What takes it back: a command, or a sentence on why there is nothing to undo.
    pub undo: Undo,
}

/// A step a person can take: what to run, how to see that it worked, how to take it back.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Command")]
struct WrittenCommand {
    /// What it does, such as `shows who owns the address`: whoever pastes it knows whether it changes anything.
    does: String,
    /// What to run.
    run: String,
    /// Words of it that have to be filled in first.
    #[serde(default)]
    fill_in: Vec<Blank>,
    /// What shows that it worked.
    verify: String,
    /// Words of that which have to be filled in first.
    #[serde(default)]
    fill_in_to_verify: Vec<Blank>,
    /// What takes it back: a command, or a sentence on why there is nothing to undo.
    undo: String,
    /// Words of that which have to be filled in first.
    #[serde(default)]
    fill_in_to_undo: Vec<Blank>,
}

impl From<WrittenCommand> for Command {
    fn from(written: WrittenCommand) -> Self {
        Self {
            does: written.does,
            run: CommandLine::written(written.run, written.fill_in),
            verify: CommandLine::written(written.verify, written.fill_in_to_verify),
            undo: Undo::written(written.undo, written.fill_in_to_undo),
        }
    }
}

impl From<Command> for WrittenCommand {
    fn from(Command { does, run, verify, undo }: Command) -> Self {
        let (run, fill_in) = run.into_parts();
        let (verify, fill_in_to_verify) = verify.into_parts();
        let fill_in_to_undo = undo.command().map(|undo| undo.fill_in().to_vec()).unwrap_or_default();
        Self { does, run, fill_in, verify, fill_in_to_verify, undo: undo.to_string(), fill_in_to_undo }
    }
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
            let line = CommandLine::with("aws x VPC_ID", &[Blank::VPC_ID]);
            let command = Command { does: "stops it".into(), run: line.clone(), verify: line, undo };
            let json = serde_json::to_value(&command).expect("JSON");
            assert_eq!((&json["undo"], &json["fill_in"]), (&text.into(), &serde_json::json!(["VPC_ID"])));
            assert_eq!(serde_json::from_value::<Command>(json).expect("a command"), command);
        }
    }

    #[test]
    fn a_command_of_before_there_were_blanks_is_read() {
        let json = serde_json::json!({ "does": "x", "run": "aws x", "verify": "aws y", "undo": "aws z" });
        let command: Command = serde_json::from_value(json).expect("a command");
        assert_eq!((command.run.as_str(), command.run.fill_in()), ("aws x", &[][..]));
    }
}
