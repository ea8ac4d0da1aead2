//! `nat-triage triage`: the live path, by hand.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use nat_triage::alarm::Outcome as Alarmed;
use nat_triage::aws::{self, Clients};
use nat_triage::config::{Config, TOPIC_ARN};
use nat_triage::deadline::Deadline;
use nat_triage::service;

use crate::analyze::incident;
use crate::args::Triage;
use crate::output::{self, Outcome};

/// As long as the function may take.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

pub(crate) async fn run(args: &Triage) -> anyhow::Result<Outcome> {
    let config = Config::from_env()?;
    ensure!(
        !args.publish || config.topic_arn.is_some(),
        "--publish needs a topic: set {TOPIC_ARN} to its ARN"
    );
    let mut incident = match incident(&args.event)? {
        Alarmed::Incident(incident) => incident,
        Alarmed::Ignored(ignored) => return output::ignored(&ignored.reason, &args.writing),
    };
    incident.window = args.window.or(incident.window);
    incident.exact_window = args.window.is_some();
    let clients = Clients::new(&aws::sdk_config().await);
    let deadline = Deadline::after(PATIENCE);
    let triaged = service::diagnose(&config, &clients, deadline, incident)
        .await
        .context("failed to read the flow-log files")?;
    let outcome = output::diagnosis(&triaged.diagnosis, &args.writing)?;
    if args.publish {
        service::publish(&config, &clients, deadline, &triaged).await?;
    }
    Ok(outcome)
}
