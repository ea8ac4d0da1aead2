//! What can be asked on the command line.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;

use nat_triage::evidence::athena::TableName;
use nat_triage::flow::LogFormat;
use nat_triage::flow::reader::Input;
use nat_triage::incident::{InterfaceId, InvalidIncident, NatGatewayId, TimeWindow};

/// Says which destination exhausted a NAT gateway's ports, who holds them, and what is safe to do.
#[derive(Debug, Parser)]
#[command(name = "nat-triage", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) task: Task,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Diagnose from flow-log files, with no account and no network.
    Analyze(Analyze),
    /// Diagnose live, with your AWS credentials; prints, and publishes only with --publish.
    #[cfg(feature = "aws")]
    Triage(Triage),
    /// Diagnose live: not in this build, which leaves AWS out.
    #[cfg(not(feature = "aws"))]
    #[command(hide = true)]
    Triage {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        rest: Vec<String>,
    },
    /// Say for every NAT gateway of the Region whether an alarm tonight would get its diagnosis.
    ///
    /// The exit status is 0 for a full diagnosis of each, 2 where one would say less, 1 where one would get none.
    /// It asks Logs Insights each question about one past second, and one about ten past minutes, and writes
    /// nat-triage/doctor.json to the report bucket, where one is set.
    #[cfg(feature = "aws")]
    Doctor(Doctor),
    /// Say whether an alarm tonight would get its diagnosis: not in this build, which leaves AWS out.
    #[cfg(not(feature = "aws"))]
    #[command(hide = true)]
    Doctor {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        rest: Vec<String>,
    },
    /// Say how full each NAT gateway of the Region is getting, before any connection is refused.
    ///
    /// The exit status is 0 where that is known of each gateway, and 2 where it is not of one. The flow logs of a
    /// gateway are read only where it has so many connections that a destination may be filling up, or where --nat-id
    /// names it.
    #[cfg(feature = "aws")]
    Watch(Watch),
    /// Say how full each gateway is getting: not in this build, which leaves AWS out.
    #[cfg(not(feature = "aws"))]
    #[command(hide = true)]
    Watch {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        rest: Vec<String>,
    },
    /// Make a past diagnosis again from its bundle, and send it once more, marked as a replay.
    #[cfg(feature = "aws")]
    Replay(Replay),
    /// Send a past diagnosis once more: not in this build, which leaves AWS out.
    #[cfg(not(feature = "aws"))]
    #[command(hide = true)]
    Replay {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        rest: Vec<String>,
    },
    /// Print the Logs Insights queries that would be run.
    Queries(Queries),
}

/// Which gateway, as far as the caller knows it.
#[derive(Debug, Default, Args)]
pub(crate) struct Gateway {
    /// The gateway's addresses as flow logs show them: private ones, or for a regional gateway the public ones.
    #[arg(long, value_name = "IP[,IP...]", value_delimiter = ',')]
    pub(crate) nat_ip: Vec<IpAddr>,
    /// The gateway's network interface.
    #[arg(long, value_name = "ID")]
    pub(crate) eni: Option<InterfaceId>,
    /// The gateway's id.
    #[arg(long, value_name = "ID")]
    pub(crate) nat_id: Option<NatGatewayId>,
    /// The address ranges of the gateway's VPC.
    #[arg(long, value_name = "CIDR[,CIDR...]", value_delimiter = ',')]
    pub(crate) vpc_cidr: Vec<IpNet>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For machines: the diagnosis as the JSON Schema describes it.
    Json,
    /// For people, as one self-contained page with a chart.
    Html,
    /// For tickets.
    Markdown,
    /// One text message.
    Sms,
    /// For Slack and Teams: a custom notification of Amazon Q Developer in chat applications.
    Chat,
}

/// How and where the result is written.
#[derive(Debug, Default, Args)]
pub(crate) struct Writing {
    /// How to write the diagnosis.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    /// Write to this file instead of standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Analyze {
    // Not as a comment of documentation, in which a URL would have to be a link.
    #[arg(help = "Flow-log files or folders; - is standard input, and s3://BUCKET/PREFIX are objects in S3")]
    #[arg(long, value_name = "PATH", num_args = 1.., required_unless_present = "bundle", value_parser = input)]
    pub(crate) flow_logs: Vec<Input>,
    /// What a live diagnosis rested on: a folder that triage --save-bundle wrote, or an object of the report bucket.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["flow_logs", "event", "incident", "window", "log_format", "context", "nat_ip", "eni", "nat_id", "vpc_cidr"])]
    pub(crate) bundle: Option<PathBuf>,
    /// The alarm's event, in any shape that CloudWatch delivers it; - is standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) event: Option<PathBuf>,
    /// Which incident, of an event that asks for several: by its report id [default: the first].
    #[arg(long, value_name = "ID", requires = "event")]
    pub(crate) incident: Option<String>,
    #[command(flatten)]
    pub(crate) gateway: Gateway,
    /// The minutes in question, RFC 3339 [default: the event's, else all of the input].
    #[arg(long, value_name = "START/END")]
    pub(crate) window: Option<TimeWindow>,
    /// The fields of messages without a header line, as in the flow log's own format string.
    #[arg(long, value_name = "FIELDS")]
    pub(crate) log_format: Option<LogFormat>,
    /// What AWS look-ups would have said: JSON, its fields as in docs/context.schema.json.
    #[arg(long, value_name = "FILE")]
    pub(crate) context: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) writing: Writing,
}

/// Which account and Region are asked, and as whom.
#[cfg(feature = "aws")]
#[derive(Debug, Default, Args)]
pub(crate) struct Account {
    /// The profile of the AWS configuration files to use, as the AWS CLI has it.
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) profile: Option<String>,
    /// The Region to ask [default: the profile's or the environment's].
    #[arg(long, value_name = "REGION", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) region: Option<String>,
}

#[cfg(feature = "aws")]
#[derive(Debug, Args)]
pub(crate) struct Triage {
    /// The alarm's event, in any shape that CloudWatch delivers it [or name the gateway and the minutes].
    #[arg(long, value_name = "FILE", required_unless_present_all = ["nat_id", "window"])]
    pub(crate) event: Option<PathBuf>,
    /// Which incident, of an event that asks for several: by its report id [default: the first].
    #[arg(long, value_name = "ID", requires = "event")]
    pub(crate) incident: Option<String>,
    /// Which gateway: without an event, or of an alarm on several.
    #[arg(long, value_name = "ID")]
    pub(crate) nat_id: Option<NatGatewayId>,
    /// The minutes in question, RFC 3339 [default: the event's].
    #[arg(long, value_name = "START/END", value_parser = window_to_ask_about)]
    pub(crate) window: Option<TimeWindow>,
    /// Keep what the diagnosis rests on in this folder, for nat-triage analyze --bundle.
    #[arg(long, value_name = "DIR")]
    pub(crate) save_bundle: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) account: Account,
    /// Publish as well, to the topic that the environment names.
    #[arg(long)]
    pub(crate) publish: bool,
    #[command(flatten)]
    pub(crate) writing: Writing,
}

#[cfg(feature = "aws")]
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// A folder that triage --save-bundle wrote, or an object of the report bucket.
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: PathBuf,
    /// Publish to the topic that the environment names; only prints without it.
    #[arg(long)]
    pub(crate) publish: bool,
    #[command(flatten)]
    pub(crate) account: Account,
    #[command(flatten)]
    pub(crate) writing: Writing,
}

#[cfg(feature = "aws")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TableFormat {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

#[cfg(feature = "aws")]
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) account: Account,
    /// How to write the rows.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: TableFormat,
}

#[cfg(feature = "aws")]
#[derive(Debug, Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) account: Account,
    /// Only this gateway, whose flow logs are read in any case.
    #[arg(long, value_name = "ID")]
    pub(crate) nat_id: Option<NatGatewayId>,
    /// How to write what was seen.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: TableFormat,
}

#[derive(Debug, Args)]
pub(crate) struct Queries {
    #[command(flatten)]
    pub(crate) gateway: Gateway,
    /// The minutes in question, RFC 3339.
    #[arg(long, value_name = "START/END", value_parser = window_to_ask_about)]
    pub(crate) window: TimeWindow,
    /// The flow log's format string [default: the fourteen fields of version 2].
    #[arg(long, value_name = "FIELDS")]
    pub(crate) log_format: Option<LogFormat>,
    /// Seconds that one record may span.
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u32).range(60..=600))]
    pub(crate) aggregation: u32,
    /// Print the SQL for this table in Athena as well.
    #[arg(long, value_name = "DATABASE.TABLE")]
    pub(crate) athena_table: Option<TableName>,
}

fn input(text: &str) -> Result<Input, nat_triage::network::InvalidPlace> {
    text.parse()
}

/// The minutes of a question to Logs Insights.
fn window_to_ask_about(text: &str) -> Result<TimeWindow, InvalidIncident> {
    text.parse::<TimeWindow>()?.to_ask_about()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_hold_together() {
        super::Cli::command().debug_assert();
    }
}
