//! Says which destination exhausted a NAT gateway's ports, who holds them, and what is safe to do.
//!
//! The modules, in the order data flows; each knows only those above it:
//!
//! - [`incident`]: which gateway, which minutes.
//! - [`words`]: numbers as people read them, and text from outside made harmless.
//! - [`command_line`]: a command that a person pastes, and what to fill in first.
//! - [`console`]: links into the AWS console.
//! - [`gap`]: what could not be seen, and what would show it.
//! - [`deadline`]: how long there is.
//! - [`alarm`]: every wire shape of a CloudWatch alarm in, an incident or a reason to ignore it out.
//! - [`network`]: what stands around the gateway.
//! - [`flow`]: fields, formats, records and files of VPC flow logs.
//! - [`evidence`]: held ports over time, from files or from Logs Insights.
//! - [`contract`]: the types of the diagnosis, as JSON has them.
//! - [`diagnosis`]: the rules: verdict, pattern, ranking and remedies. Pure.
//! - [`doctor`]: whether tonight's alarm would get its diagnosis. Pure.
//! - [`watch`]: how full each destination is, before any connection is refused. Pure.
//! - [`report`]: the diagnosis as text, JSON and the rest. Pure.
//! - [`publish`]: where a report goes.
//! - [`triage`]: the one story: incident, network, evidence, diagnosis, report, publish.
//! - [`bundle`]: everything that one live diagnosis rests on, from which it follows again.
//! - [`continuation`]: what one invocation leaves to the next, where flow logs arrive later than it may wait.
//! - [`looks`]: one look at the flow logs, and further ones while they are late: what is published when.
//! - `drill`: the answer to an alarm that somebody set by hand.
//! - [`telemetry`]: how the function itself does, as CloudWatch metrics. Pure.
//! - [`permissions`]: the AWS actions that the program makes, as data.
//! - `aws`: everything that touches an SDK, behind the feature `aws`.
//! - `reverse_dns`: the names that addresses have in the DNS, where the operator wants them; behind the same
//!   feature.
//! - `service`: one event in, one answer out, with the live edges; behind the same feature.
//! - [`config`]: the environment's names and what they mean.

pub mod alarm;
#[cfg(feature = "aws")]
pub mod aws;
mod base64;
pub mod bundle;
pub mod command_line;
pub mod config;
pub mod console;
pub mod continuation;
pub mod contract;
pub mod deadline;
pub mod diagnosis;
pub mod doctor;
mod drill;
pub mod evidence;
pub mod flow;
pub mod gap;
pub mod incident;
pub mod looks;
pub mod network;
pub mod permissions;
mod prices;
pub mod publish;
pub mod recovery;
pub mod report;
#[cfg(feature = "aws")]
pub mod reverse_dns;
#[cfg(feature = "aws")]
pub mod service;
pub mod telemetry;
pub mod triage;
pub mod watch;
pub mod words;
