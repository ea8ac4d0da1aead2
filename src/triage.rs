//! The one story: incident, network, evidence, diagnosis, report, publish.

use futures_util::future::join;
use jiff::{SignedDuration, Timestamp};

use crate::contract::{Diagnosis, Verdict};
use crate::diagnosis::{Limits, diagnose};
use crate::drill;
use crate::evidence::{Evidence, EvidenceSource, Source, window_to_look_at};
use crate::gap::{Fix, Gap};
use crate::incident::{Incident, TimeWindow};
use crate::network::{MetricName, Network, NetworkSource, Parties};

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
    /// What could not be seen of what was changed before.
    pub unlisted: Option<Gap>,
    /// What could not be found out about the parties in it.
    pub unidentified: Vec<Gap>,
    /// Whether the minutes an hour earlier were asked about.
    pub compared: bool,
}

/// An incident with what stands around its gateway, looked up once however often the flow logs are
/// looked at.
#[derive(Clone, Debug)]
pub struct Surveyed {
    incident: Incident,
    network: Network,
    gaps: Vec<Gap>,
    /// Whether somebody set the alarm by hand.
    by_hand: bool,
}

impl Surveyed {
    /// Looks up what stands around the incident's gateway; what could not be found out is a gap.
    pub async fn new<N: NetworkSource>(mut incident: Incident, networks: &N) -> Self {
        let (mut network, mut gaps) = networks.network(&incident).await;
        gaps.extend(network.take_out_misfits());
        if incident.zone.is_none() && network.troubled_zone.is_some() {
            incident.zone.clone_from(&network.troubled_zone);
            incident.zone_from_metrics = true;
        }
        Self { incident, network, gaps, by_hand: false }
    }

    /// The same, of an alarm that somebody set by hand. Where errors were counted all the same, it is diagnosed like
    /// any other.
    #[must_use]
    pub fn set_by_hand(self, by_hand: bool) -> Self {
        Self { by_hand, ..self }
    }

    /// The same, with something more that could not be seen.
    #[must_use]
    pub fn missing(mut self, gap: Option<Gap>) -> Self {
        self.gaps.extend(gap);
        self
    }

    /// Asks again for what may have come in since: an alarm can be there before its datapoints are.
    pub async fn refresh<N: NetworkSource>(&mut self, networks: &N) {
        networks.refresh(&self.incident, &mut self.network).await;
    }

    /// Looks at the evidence as it is now, finds out who the parties in it are, and diagnoses.
    ///
    /// # Errors
    /// When no evidence could be read at all.
    pub async fn look<N: NetworkSource, E: EvidenceSource>(
        &self,
        networks: &N,
        source: &E,
        limits: Limits,
    ) -> Result<Triaged, NoEvidence<E::Error>> {
        let mut network = self.network.clone();
        let (evidence, (changes, unlisted)) =
            join(source.collect(&self.incident, &mut network), networks.changes(&self.incident)).await;
        let mut evidence = evidence.map_err(NoEvidence)?;
        network.changes = changes.or(network.changes.take());
        evidence.gaps.splice(0..0, self.gaps.iter().cloned());
        evidence.gaps.extend(unlisted.clone());
        // Records tell of owners too.
        evidence.gaps.extend(network.take_out_misfits());
        let mut diagnosis = self.diagnosed(&network, &evidence, limits);
        let parties = parties(&diagnosis);
        let (mut unidentified, mut compared) = (Vec::new(), false);
        if parties != Parties::default() {
            let before = network.clone();
            let earlier;
            (unidentified, earlier) = join(
                networks.identify(&parties, &self.incident, &mut network),
                self.collect_earlier(source, &before, diagnosis.verdict),
            )
            .await;
            unidentified.extend(network.take_out_misfits());
            compared = earlier.is_some();
            if network != before || !unidentified.is_empty() || compared {
                evidence.gaps.extend(unidentified.iter().cloned());
                if let Some(earlier) = earlier {
                    evidence.add_earlier(earlier);
                }
                diagnosis = self.diagnosed(&network, &evidence, limits);
            }
        }
        diagnosis.coverage.records_due = records_due(&diagnosis, &evidence);
        Ok(Triaged { diagnosis, network, unlisted, unidentified, compared })
    }

    /// What the same minutes an hour earlier show, where there is something to compare.
    async fn collect_earlier<E: EvidenceSource>(
        &self,
        source: &E,
        network: &Network,
        verdict: Verdict,
    ) -> Option<Evidence> {
        if !matches!(verdict, Verdict::Confirmed | Verdict::Likely) {
            return None;
        }
        source.collect_earlier(&self.incident.an_hour_earlier()?, network).await
    }

    /// What a simpler question of the source tells while a better one is still asked; `None` where there is nothing
    /// yet.
    #[must_use]
    pub fn so_far<E: EvidenceSource>(&self, source: &E, limits: Limits) -> Option<Diagnosis> {
        let mut evidence = source.so_far()?;
        evidence.gaps.splice(0..0, self.gaps.iter().cloned());
        Some(self.diagnosed(&self.network, &evidence, limits))
    }

    fn diagnosed(&self, network: &Network, evidence: &Evidence, limits: Limits) -> Diagnosis {
        if !(self.by_hand && self.had_no_errors()) {
            return diagnose(&self.incident, network, evidence, limits);
        }
        // Such an alarm is no sign of an error that the metric does not show yet.
        let asked = Incident { alarm: None, ..self.incident.clone() };
        drill::answer(diagnose(&asked, network, evidence, limits), &self.incident)
    }

    /// Whether the gateway's metrics say that it refused nothing.
    #[must_use]
    pub fn had_no_errors(&self) -> bool {
        self.network.metric(MetricName::ErrorPortAllocation).is_some_and(|errors| errors.value <= 0.0)
    }

    /// What the look-ups came to.
    #[must_use]
    pub fn found(&self) -> (&Network, &[Gap]) {
        (&self.network, &self.gaps)
    }

    /// The same for every look, and for every delivery of the same alarm.
    #[must_use]
    pub fn id(&self) -> String {
        self.incident.id()
    }

    /// By what it is known that a report went out.
    #[must_use]
    pub fn mark(&self) -> String {
        self.incident.mark()
    }

    /// What it is about.
    #[must_use]
    pub fn incident(&self) -> &Incident {
        &self.incident
    }

    /// What can be said while the evidence is still being read.
    #[must_use]
    pub fn unread(&self, limits: Limits) -> Diagnosis {
        let window = window_to_look_at(&self.incident, &self.network).unwrap_or(TimeWindow::EPOCH);
        let mut evidence = Evidence::none(window, Source::LogsInsights);
        evidence.asked = self.incident.window.unwrap_or(window);
        evidence.unanswered = true;
        evidence.gaps.clone_from(&self.gaps);
        let unread = Gap::new(
            "held ports per destination and client",
            "the flow logs are still being read",
            Fix::ask_again("wait for the final report, or run"),
        );
        evidence.gaps.push(unread.deciding());
        self.diagnosed(&self.network, &evidence, limits)
    }
}

/// How much longer than the aggregation interval a record may take to arrive. AWS says "typically about
/// 5 minutes", and promises nothing: twice that.
///
/// Source: "Flow log records", Aggregation interval, in the Amazon VPC user guide.
const DELIVERY: SignedDuration = SignedDuration::from_mins(10);

/// The same of a flow log that is delivered to S3: "in about 10 minutes", and files begin every five.
///
/// Source: as above.
const DELIVERY_TO_S3: SignedDuration = SignedDuration::from_mins(25);

/// Until when waiting may show more: not where the answer is certain, where the end of the window is
/// covered, or where nothing could be asked.
fn records_due(diagnosis: &Diagnosis, evidence: &Evidence) -> Option<Timestamp> {
    let coverage = &evidence.coverage;
    let asked = coverage.source != Source::Files && !evidence.unanswered;
    if !asked || diagnosis.verdict == Verdict::Confirmed {
        return None;
    }
    if evidence.reaches_end() {
        return None;
    }
    let end = evidence.window.end();
    let interval = SignedDuration::from_secs(i64::from(coverage.aggregation_seconds));
    let in_s3 = matches!(coverage.source, Source::S3 | Source::Athena);
    let delivery = if in_s3 { DELIVERY_TO_S3 } else { DELIVERY };
    end.checked_add(interval + delivery).ok()
}

/// Diagnoses one incident with one look at the evidence.
///
/// # Errors
/// When no evidence could be read at all. What could be found is otherwise always diagnosed, with
/// what is missing as gaps.
pub async fn triage<N: NetworkSource, E: EvidenceSource>(
    incident: Incident,
    networks: &N,
    source: &E,
    limits: Limits,
) -> Result<Triaged, NoEvidence<E::Error>> {
    Surveyed::new(incident, networks).await.look(networks, source, limits).await
}

/// Destinations whose clients, and clients of each, that are asked after: those that a report names.
const DESTINATIONS: usize = 3;
const CLIENTS_OF_EACH: usize = 10;

/// Who a report will name; nobody where nothing was wrong.
fn parties(diagnosis: &Diagnosis) -> Parties {
    if diagnosis.verdict == Verdict::NotSupported {
        return Parties::default();
    }
    let mut parties = Parties::default();
    for destination in diagnosis.destinations.iter().take(DESTINATIONS) {
        if !parties.servers.contains(&destination.address) {
            parties.servers.push(destination.address);
        }
        for client in destination.clients.iter().take(CLIENTS_OF_EACH) {
            if !parties.clients.contains(&client.address) {
                parties.clients.push(client.address);
            }
        }
    }
    parties
}
