//! One event in, one answer out: the story of [`crate::triage`] with the live edges, for the
//! function and for `nat-triage triage`.

use serde_json::{Value, json};

use crate::alarm::{AlarmError, Outcome, outcomes_from_event};
use crate::aws::{Clients, Discovery, InsightsQueries, Overrides, SnsTopic};
use crate::config::Config;
use crate::deadline::Deadline;
use crate::diagnosis::Limits;
use crate::evidence::files::FlowLogFiles;
use crate::evidence::insights::LogsInsights;
use crate::flow::reader::{Input, Inputs, Options, ReadError};
use crate::incident::Incident;
use crate::network::{Known, NatGateway, Network};
use crate::publish::{Nowhere, PublishError, Publisher as _};
use crate::report::Message;
use crate::triage::{NoEvidence, Triaged, triage};

/// Why an event got no answer, or its answer did not go out.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The event is not one that asks for a diagnosis.
    #[error("failed to understand the event")]
    Event(#[from] AlarmError),
    /// The embedded source could not be read.
    #[error("failed to read the flow-log files that NAT_TRIAGE_FLOW_LOGS names")]
    Files(#[from] ReadError),
    /// The message did not go out.
    #[error("the diagnosis was made but did not go out")]
    Publish(#[from] PublishError),
}

impl Failure {
    /// A stable name, for `errorType`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Event(_) => "UnusableEvent",
            Self::Files(_) => "UnreadableFlowLogs",
            Self::Publish(_) => "NotPublished",
        }
    }

    /// The message and all its causes, on one line.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    }
}

/// Answers one event: the diagnosis in JSON, or why the event is ignored. Of an event that holds
/// several alarms, a list.
///
/// # Errors
/// When the event can't be understood, no file could be read, or the message did not go out.
pub async fn on_event(
    config: &Config,
    clients: &Clients,
    deadline: Deadline,
    event: &Value,
) -> Result<Value, Failure> {
    let mut answers = Vec::new();
    for outcome in outcomes_from_event(event)? {
        answers.push(match outcome {
            Outcome::Ignored(ignored) => {
                tracing::info!(reason = ignored.reason, "ignored");
                json!({ "ignored": true, "reason": ignored.reason })
            }
            Outcome::Incident(incident) => {
                let triaged = diagnose(config, clients, deadline, incident).await?;
                publish(config, clients, deadline, &triaged).await?;
                triaged.diagnosis.to_json()
            }
        });
    }
    Ok(if answers.len() == 1 { answers.remove(0) } else { Value::Array(answers) })
}

/// Diagnoses with whichever source the configuration names.
///
/// # Errors
/// When the embedded source is configured and none of its files could be read.
pub async fn diagnose(
    config: &Config,
    clients: &Clients,
    deadline: Deadline,
    incident: Incident,
) -> Result<Triaged, ReadError> {
    let triaged = if config.flow_logs.is_empty() {
        let deadline = deadline.before_publishing();
        let overrides = Overrides {
            nat_ips: config.nat_ips.clone(),
            log_groups: config.log_groups.clone(),
            log_format: config.log_format.clone(),
        };
        let discovery = Discovery::new(clients, overrides, deadline);
        let source = LogsInsights::new(InsightsQueries::new(clients, deadline));
        match triage(incident, &discovery, &source, Limits::default()).await {
            Ok(triaged) => triaged,
            Err(NoEvidence(never)) => match never {},
        }
    } else {
        let inputs: Vec<Input> = config.flow_logs.iter().cloned().map(Input::Path).collect();
        let options = Options { format: config.log_format.clone() };
        let source = FlowLogFiles::new(Inputs::open(&inputs)?, options, |_| {});
        triage(incident, &Known(named(config)), &source, Limits::default()).await.map_err(|e| e.0)?
    };
    let diagnosis = &triaged.diagnosis;
    tracing::info!(
        id = diagnosis.id,
        verdict = ?diagnosis.verdict,
        headline = diagnosis.headline,
        gaps = diagnosis.gaps.len(),
        "diagnosed"
    );
    Ok(triaged)
}

/// The network that the configuration names, for the embedded source.
fn named(config: &Config) -> Network {
    Network { gateway: NatGateway::default().with_addresses(&config.nat_ips), ..Network::default() }
}

/// Publishes to the configured topic; without one the answer is only returned.
///
/// # Errors
/// When the message did not go out. A retry of the whole is then worth its cost, as the id is the
/// same on every delivery.
pub async fn publish(
    config: &Config,
    clients: &Clients,
    deadline: Deadline,
    triaged: &Triaged,
) -> Result<(), PublishError> {
    let message = Message::of(&triaged.diagnosis);
    let receipt = match &config.topic_arn {
        Some(arn) => SnsTopic::new(clients, arn.clone(), deadline).publish(&message).await?,
        None => Nowhere.publish(&message).await?,
    };
    tracing::info!(id = message.id, message_id = receipt.message_id, topic = config.topic_arn, "published");
    Ok(())
}
