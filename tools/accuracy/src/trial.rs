//! One incident, diagnosed and compared with the truth.

use std::net::IpAddr;

use anyhow::Context as _;
use jiff::Timestamp;
use nat_simulator::{GatewayKind as Kind, Incident as Simulated, LogFormat, Scale, View};
use nat_triage::diagnosis::{Diagnosis, Limits, Verdict};
use nat_triage::evidence::files::FlowLogFiles;
use nat_triage::flow::reader::{Inputs, Options};
use nat_triage::incident::{Alarm, Incident, TimeWindow};
use nat_triage::network::{GatewayKind, Known, NatAddress, NatGateway, Network, Provenance, is_private};
use nat_triage::triage::triage;

use crate::Article;

/// What is tried: one simulated incident in one format.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Seed of the incident.
    pub seed: u64,
    /// Ports per address; the real number is 55,000.
    pub capacity: u32,
    /// The flow log's format.
    pub format: LogFormat,
    /// Whether the flow log covers the whole VPC, or the gateway alone.
    pub whole_vpc: bool,
}

/// How a trial came out.
#[derive(Clone, Debug)]
pub struct Score {
    /// The simulated pattern.
    pub pattern: String,
    /// Whether a destination was exhausted.
    pub exhausted: bool,
    /// Whether the exhausted destination is first; `None` where none was.
    pub destination: Option<bool>,
    /// The same of AWS's queries.
    pub article_destination: Option<bool>,
    /// Whether the worst client is first; `None` where nothing was exhausted.
    pub client: Option<bool>,
    /// The same of AWS's queries.
    pub article_client: Option<bool>,
    /// Whether the true peak lies in the range.
    pub in_range: Option<bool>,
    /// How far the estimate is off, as a part of the truth.
    pub estimate_error: Option<f64>,
    /// Whether the verdict contradicts the truth.
    pub wrong_verdict: bool,
    /// The verdict.
    pub verdict: Verdict,
    /// Whether the pattern was called right; `None` where none was called.
    pub pattern_right: Option<bool>,
    /// Part of the counted errors that refused attempts account for.
    pub accounted: Option<f64>,
}

impl Trial {
    /// Simulates, diagnoses and compares.
    ///
    /// # Errors
    /// When the records could not be read, which none should be.
    pub async fn run(&self) -> anyhow::Result<Score> {
        let scale = if self.capacity == nat_simulator::PORTS_PER_ADDRESS {
            Scale::Full
        } else {
            Scale::Reduced { capacity: self.capacity }
        };
        let simulated = Simulated::random(self.seed, scale);
        let simulation = simulated.simulate();
        let facts = simulation.facts();
        let view = if self.whole_vpc {
            View::of_vpc(self.format.clone())
        } else {
            View::of_gateway(&simulated, self.format.clone())
        };
        let mut text = Vec::new();
        simulation.write_text(&view, &mut text)?;
        let inputs = Inputs::from_memory([("flow.log".to_owned(), text)]);
        let files = FlowLogFiles::new(inputs, Options::default(), |_| {});
        let limits = Limits { ports_per_address: facts.ports_per_address };
        let incident = incident(&facts)?;
        let window = incident.window.context("a window")?;
        let network = network(&facts);
        let addresses = network.gateway.logged_addresses();
        let diagnosis = triage(incident, &Known(network), &files, limits).await?.diagnosis;

        // The article's queries read the default format of the whole VPC.
        let mut records = Vec::new();
        simulation.write_text(&View::of_vpc(LogFormat::v2_default()), &mut records)?;
        let records = String::from_utf8(records)?;
        let article =
            Article::on(records.lines().skip(1), &addresses, is_private, window.start().as_second());
        Ok(score(&simulation, &facts, &diagnosis, &article))
    }
}

fn score(
    simulation: &nat_simulator::Simulation,
    facts: &nat_simulator::Facts,
    diagnosis: &Diagnosis,
    article: &Article,
) -> Score {
    let truth = simulation.truth();
    let top = diagnosis.destinations.first();
    let exhausted = truth.exhausted;
    let worst = truth.worst_client;
    let true_peak = top.and_then(|top| {
        truth
            .destinations
            .iter()
            .find(|d| IpAddr::V4(d.triple.address) == top.address && d.triple.port == top.port)
            .map(|d| d.zones.iter().map(|zone| zone.peak).max().unwrap_or(d.peak))
    });
    let errors: u64 = facts.errors.iter().map(|(_, sum)| sum).sum();
    let refused: u64 = diagnosis.destinations.iter().map(|d| d.refused).sum();
    // Fan-in has no worst client worth the name: its clients are drawn alike.
    let named = truth.pattern != nat_simulator::Pattern::FanIn;
    Score {
        pattern: truth.pattern.to_string(),
        exhausted: exhausted.is_some(),
        destination: exhausted.map(|triple| {
            top.is_some_and(|d| d.address == IpAddr::V4(triple.address) && d.port == triple.port)
        }),
        article_destination: exhausted.map(|triple| article.destination == Some(IpAddr::V4(triple.address))),
        client: exhausted
            .filter(|_| named)
            .map(|_| top.and_then(|d| d.clients.first()).map(|client| client.address) == worst),
        article_client: exhausted.filter(|_| named).map(|_| article.client == worst),
        in_range: top.zip(true_peak).map(|(d, peak)| (d.held.at_least..=d.held.at_most).contains(&peak)),
        estimate_error: top
            .zip(true_peak)
            .filter(|(_, peak)| *peak > 0)
            .map(|(d, peak)| (f64::from(d.held.estimate) - f64::from(peak)).abs() / f64::from(peak)),
        wrong_verdict: match diagnosis.verdict {
            Verdict::Confirmed => exhausted.is_none(),
            Verdict::NotSupported => exhausted.is_some(),
            Verdict::Likely | Verdict::CannotTell => false,
        },
        verdict: diagnosis.verdict,
        pattern_right: diagnosis
            .pattern
            .filter(|_| exhausted.is_some())
            .map(|called| pattern_name(called) == truth.pattern.to_string()),
        accounted: (exhausted.is_some() && errors > 0).then(|| refused as f64 / errors as f64),
    }
}

fn pattern_name(pattern: nat_triage::diagnosis::Pattern) -> &'static str {
    use nat_triage::diagnosis::Pattern;
    match pattern {
        Pattern::LongLived => "long-lived",
        Pattern::Leak => "leak",
        Pattern::Churn => "churn",
        Pattern::RetryStorm => "retry-storm",
        Pattern::FanIn => "fan-in",
        Pattern::Scan => "scan",
    }
}

/// The incident that the alarm on these errors would tell of.
fn incident(facts: &nat_simulator::Facts) -> anyhow::Result<Incident> {
    let first = facts.errors.first().map_or(facts.end - 180, |(minute, _)| *minute);
    let alarm = Alarm {
        name: "nat-ports".into(),
        arn: None,
        account: Some(facts.account_id.clone()),
        region: Some(facts.region.clone()),
        state: "ALARM".into(),
        at: Timestamp::from_second(facts.alarm_at)?,
    };
    let errors = facts.errors.iter().map(|(_, sum)| *sum as f64).sum();
    Ok(Incident {
        // Without errors there is no alarm: somebody asks by hand.
        alarm: (!facts.errors.is_empty()).then_some(alarm),
        gateway: facts.gateway_id.parse().ok(),
        zone: (facts.kind == Kind::Regional).then(|| facts.addresses[0].zone.clone()),
        window: TimeWindow::new(Timestamp::from_second(first)?, Timestamp::from_second(facts.end)?).ok(),
        exact_window: false,
        errors_reported: Some(errors),
    })
}

/// What AWS look-ups would say of the gateway.
fn network(facts: &nat_simulator::Facts) -> Network {
    let address = |text: &Option<String>| text.as_deref().and_then(|a| a.parse().ok());
    let gateway = NatGateway {
        id: facts.gateway_id.parse().ok(),
        kind: match facts.kind {
            Kind::Zonal => GatewayKind::Zonal,
            Kind::Private => GatewayKind::Private,
            Kind::Regional => GatewayKind::Regional,
        },
        addresses: facts
            .addresses
            .iter()
            .map(|a| NatAddress {
                private: address(&a.private),
                public: address(&a.public),
                zone: (facts.kind == Kind::Regional).then(|| a.zone.clone()),
                usable: true,
            })
            .collect(),
        interface_ids: facts.interface_id.iter().filter_map(|id| id.parse().ok()).collect(),
        vpc_cidrs: facts.vpc_cidrs.iter().filter_map(|range| range.parse().ok()).collect(),
        provenance: Provenance::LookedUp,
        ..NatGateway::default()
    };
    Network { gateway, ..Network::default() }
}
