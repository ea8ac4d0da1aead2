//! From evidence to an answer: which destination is full, who holds it, how sure we are, and which
//! fixes the evidence supports. Pure: no clock, no network, no environment.
//!
//! The rules: what they make is a diagnosis, whose types are below, in [`crate::contract`].

mod answer;
mod changes;
mod clients;
mod commands;
mod earlier;
mod findings;
mod folded;
mod gaps;
mod headline;
mod held;
mod links;
mod pattern;
mod rank;
mod readings;
mod refusals;
mod remedies;
mod verdict;
mod work;

use crate::contract::{
    CoverageReport, DestinationReport, Diagnosis, GatewayReport, MetricReport, QuestionReport, SCHEMA, Stage,
};
use crate::evidence::Evidence;
use crate::incident::Incident;
use crate::network::{Network, PORTS_PER_ADDRESS};

pub use answer::Answer;
pub(crate) use commands::{raise_quota, region_option};
pub use earlier::Growth;
use findings::Findings;
pub(crate) use gaps::better_flow_log;
pub use remedies::as_markdown as remedies_as_markdown;
pub(crate) use verdict::NOT_NEAR;

/// What a diagnosis takes for granted; the default is what AWS documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Simultaneous connections per address and destination.
    pub ports_per_address: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { ports_per_address: PORTS_PER_ADDRESS }
    }
}

/// Most destinations, and most clients of each, that a diagnosis lists.
const LISTED: usize = 10;

/// The diagnosis that follows from the evidence.
#[must_use]
pub fn diagnose(incident: &Incident, network: &Network, evidence: &Evidence, limits: Limits) -> Diagnosis {
    let findings = Findings::of(incident, network, evidence, limits);
    let verdict = findings.verdict;
    let pattern = pattern::pattern(&findings, verdict);
    let scan = pattern::scan(&findings);
    let gaps = gaps::gaps(&findings, verdict);
    let gateway = &network.gateway;
    let mut diagnosis = Diagnosis {
        schema: SCHEMA.into(),
        id: incident.id_of(Some(evidence.window)),
        stage: Stage::Final,
        drill: false,
        replay: false,
        again: None,
        alarm: incident.alarm.clone(),
        window: evidence.window,
        asked: evidence.asked,
        nat_gateways: vec![GatewayReport {
            id: findings.gateway_id().map(ToString::to_string),
            kind: gateway.kind,
            addresses: gateway.logged_addresses(),
            interface_ids: gateway.interface_ids.iter().map(ToString::to_string).collect(),
            vpc_id: gateway.vpc_id.clone(),
            zones: gateway.zones.clone(),
            capacity_per_destination: findings.capacity,
            provenance: gateway.provenance,
        }],
        verdict,
        pattern: pattern.as_ref().map(|(pattern, _)| *pattern),
        pattern_evidence: pattern.as_ref().map(|(_, why)| why.clone()).unwrap_or_default(),
        headline: headline::headline(&findings, verdict),
        destinations: findings
            .destinations
            .iter()
            .take(LISTED)
            .map(|destination| DestinationReport {
                names_asked_for: network.names_asked_for(destination.address).count() as u64,
                ..destination.report(LISTED)
            })
            .collect(),
        destinations_seen: u64::try_from(findings.destinations.len()).unwrap_or(u64::MAX),
        clients: findings.clients_overall(LISTED),
        refused_attempts: findings.refused_attempts(),
        metrics: network
            .metrics
            .iter()
            .map(|metric| MetricReport {
                name: metric.name.clone(),
                statistic: metric.statistic.clone(),
                value: metric.value,
                baseline: metric.baseline,
                day_before: metric.day_before,
                change: metric.change(),
            })
            .collect(),
        earlier: None,
        changes: changes::changes(&findings),
        remedies: remedies::remedies(
            &findings,
            verdict,
            pattern.as_ref().map(|(pattern, _)| *pattern),
            scan.as_ref(),
        ),
        scan,
        coverage: CoverageReport {
            complete: findings.window_covered,
            logs_from: evidence.coverage.logs_from,
            logs_until: evidence.coverage.logs_until,
            records_due: None,
            records_read: evidence.coverage.records_read,
            records_rejected: evidence.coverage.records_rejected,
            files_failed: evidence.coverage.files_failed,
            skipdata: evidence.coverage.skipdata,
            aggregation_seconds: evidence.coverage.aggregation_seconds,
            source: evidence.coverage.source,
            formats: evidence.coverage.formats.clone(),
            flow_log: evidence.coverage.flow_log.clone(),
            question: evidence.coverage.question.map(QuestionReport::of),
        },
        gaps,
        queries: links::with_links(&findings),
        links: links::links(&findings),
    };
    if let Some(earlier) = &evidence.earlier {
        diagnosis.compare_with_earlier(incident, network, earlier, limits);
    }
    diagnosis
}
