//! The one story: incident, network, evidence, diagnosis, report, publish.

use jiff::SignedDuration;

use crate::diagnosis::{Diagnosis, Limits, diagnose};
use crate::evidence::EvidenceSource;
use crate::incident::{Incident, TimeWindow};
use crate::network::{Network, NetworkSource};

/// Seconds that one record may span where nothing tells: the longer of the two that flow logs know.
const UNKNOWN_AGGREGATION: u32 = 600;

/// Why there is no diagnosis.
#[derive(Debug, thiserror::Error)]
#[error("failed to read any evidence")]
pub struct NoEvidence<E: std::error::Error + 'static>(#[source] pub E);

/// What a triage came to: the diagnosis, and the network it was made with.
#[derive(Clone, Debug)]
pub struct Triaged {
    /// The answer.
    pub diagnosis: Diagnosis,
    /// What stood around the gateway, for `--save-bundle` and for tests.
    pub network: Network,
}

/// Diagnoses one incident.
///
/// # Errors
/// When no evidence could be read at all. What could be found is otherwise always diagnosed, with
/// what is missing as gaps.
pub async fn triage<N: NetworkSource, E: EvidenceSource>(
    mut incident: Incident,
    networks: &N,
    source: &E,
    limits: Limits,
) -> Result<Triaged, NoEvidence<E::Error>> {
    let (mut network, gaps) = networks.network(&incident).await;
    incident.window = incident.window.map(|window| widened(window, &network, &incident));
    let mut evidence = source.collect(&incident, &mut network).await.map_err(NoEvidence)?;
    evidence.gaps.splice(0..0, gaps);
    let diagnosis = diagnose(&incident, &network, &evidence, limits);
    Ok(Triaged { diagnosis, network })
}

/// An alarm's window begins where its datapoints do, but a record's time is that of its first
/// packet: one aggregation interval earlier for traffic that the first datapoint saw.
fn widened(window: TimeWindow, network: &Network, incident: &Incident) -> TimeWindow {
    if incident.alarm.is_none() || incident.exact_window {
        return window;
    }
    let seconds =
        network.flow_logs.iter().map(|log| log.aggregation_seconds).min().unwrap_or(UNKNOWN_AGGREGATION);
    window.begun_earlier(SignedDuration::from_secs(i64::from(seconds)))
}
