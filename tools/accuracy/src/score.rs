//! A diagnosis beside the truth.

use std::net::IpAddr;

use nat_simulator::{GatewayKind, Pattern, Simulation, Triple};
use nat_triage::contract::{self, Diagnosis, Verdict};

/// How one diagnosis came out.
#[derive(Clone, Debug, Default)]
pub struct Score {
    /// Whether the exhausted destination is first; `None` where nothing was exhausted.
    pub destination: Option<bool>,
    /// Whether the worst client is first; `None` where nothing was exhausted, or no client stands out.
    pub client: Option<bool>,
    /// Whether the true peak within the window lies in the range.
    pub in_range: Option<bool>,
    /// How far the estimate is off, as a part of the truth.
    pub estimate_error: Option<f64>,
    /// How wide the range is, as a part of the capacity.
    pub width: Option<f64>,
    /// Whether the verdict contradicts the truth.
    pub wrong_verdict: bool,
    /// Whether the verdict is that nothing was exhausted, and something was.
    pub false_all_clear: bool,
    /// Whether another destination, or another client, is named as the one, without a doubt being said.
    pub wrong_party: bool,
    /// Whether nothing explains a verdict that leaves the question open.
    pub unexplained: bool,
    /// Whether the verdict says, as surely or nearly so, what is true.
    pub told: bool,
    /// Whether the pattern was called right; `None` where nothing was exhausted or none was called.
    pub pattern: Option<bool>,
    /// Part of the counted errors that the refused attempts account for.
    pub accounted: Option<f64>,
    /// Everything in a line, for whoever looks into a miss.
    pub line: String,
}

impl Score {
    /// Compares a diagnosis with what was simulated.
    #[must_use]
    pub fn of(simulation: &Simulation, diagnosis: &Diagnosis) -> Self {
        let truth = simulation.truth();
        let top = diagnosis.destinations.first();
        let is_top = |triple: &Triple| {
            top.is_some_and(|d| {
                d.address == IpAddr::V4(triple.address)
                    && d.port == triple.port
                    && d.protocol == triple.protocol.to_string()
            })
        };
        let true_top = truth.destinations.iter().map(|d| d.triple).find(is_top);
        let true_peak = true_top.map(|triple| peak(simulation, triple, diagnosis)).filter(|peak| *peak > 0);
        let range = top.map(|d| d.held);
        // Fan-in has no worst client worth the name: its clients are drawn alike.
        let stands_out = truth.pattern != Pattern::FanIn;
        let exhausted = truth.exhausted;
        let counted = diagnosis.refused_attempts.counted;
        let capacity = diagnosis.nat_gateways.first().and_then(|gateway| gateway.capacity_per_destination);
        Self {
            destination: exhausted.as_ref().map(is_top),
            client: exhausted.filter(|_| stands_out).map(|_| {
                top.and_then(|d| d.clients.first()).map(|client| client.address) == truth.worst_client
            }),
            in_range: range.zip(true_peak).map(|(held, peak)| (held.at_least..=held.at_most).contains(&peak)),
            estimate_error: range
                .zip(true_peak)
                .map(|(held, peak)| (f64::from(held.estimate) - f64::from(peak)).abs() / f64::from(peak)),
            width: range.zip(capacity).map(|(held, capacity)| {
                f64::from(held.at_most.saturating_sub(held.at_least)) / f64::from(capacity.max(1))
            }),
            wrong_verdict: match diagnosis.verdict {
                Verdict::Confirmed => exhausted.is_none(),
                Verdict::NotSupported => exhausted.is_some(),
                Verdict::Likely | Verdict::CannotTell => false,
            },
            false_all_clear: diagnosis.verdict == Verdict::NotSupported && exhausted.is_some(),
            wrong_party: {
                let sure = matches!(diagnosis.verdict, Verdict::Confirmed | Verdict::Likely);
                let destination = exhausted.as_ref().is_some_and(|truth| !is_top(truth));
                let told = top.filter(|d| d.greater_unshown_part().is_none());
                let named = told.and_then(|d| d.clients.first());
                let named = named.filter(|client| client.stands_out() && client.attribution.is_certain());
                let client =
                    stands_out && named.is_some_and(|named| Some(named.address) != truth.worst_client);
                sure && (destination || (client && exhausted.is_some()))
            },
            unexplained: diagnosis.verdict == Verdict::CannotTell && diagnosis.gaps.is_empty(),
            told: match diagnosis.verdict {
                Verdict::Confirmed | Verdict::Likely => exhausted.is_some(),
                Verdict::NotSupported => exhausted.is_none(),
                Verdict::CannotTell => false,
            },
            pattern: diagnosis
                .pattern
                .filter(|_| exhausted.is_some())
                .map(|p| name(p) == truth.pattern.to_string()),
            accounted: counted
                .filter(|counted| exhausted.is_some() && *counted > 0.0)
                .map(|counted| diagnosis.refused_attempts.found as f64 / counted),
            line: format!(
                "{} of {:?}, {} addresses, exhausted: {}, most by {:?}; {:?}, {:?}, top {}, by {:?}, held {:?}, truly {true_peak:?}, refused {} of {counted:?}; {}",
                truth.pattern,
                simulation.incident().gateways[0].kind,
                simulation.incident().gateways[0].addresses.len(),
                exhausted.map_or_else(|| "none".into(), |t| t.to_string()),
                truth.worst_client,
                diagnosis.verdict,
                diagnosis.pattern,
                top.map_or_else(|| "none".into(), |d| format!("{}:{}", d.address, d.port)),
                top.and_then(|d| d.clients.first()).map(|client| (client.address, client.share)),
                range.map(|held| (held.at_least, held.estimate, held.at_most)),
                diagnosis.refused_attempts.found,
                diagnosis
                    .gaps
                    .iter()
                    .map(|gap| format!("{}: {}", gap.what, gap.why))
                    .collect::<Vec<_>>()
                    .join("; "),
            ),
        }
    }
}

/// The most ports truly held at once within the minutes that the diagnosis is asked about.
fn peak(simulation: &Simulation, triple: Triple, diagnosis: &Diagnosis) -> u32 {
    let facts = simulation.facts();
    let held = match facts.kind {
        GatewayKind::Regional => simulation.held_in_zone(triple, 0),
        GatewayKind::Zonal | GatewayKind::Private => simulation.held(triple),
    };
    let Some(held) = held else { return 0 };
    let second = |t: jiff::Timestamp| usize::try_from((t.as_second() - facts.start).max(0)).unwrap_or(0);
    let (from, to) = (second(diagnosis.asked.start()), second(diagnosis.asked.end()));
    held.iter().take(to).skip(from).copied().max().unwrap_or(0)
}

fn name(pattern: contract::Pattern) -> &'static str {
    use contract::Pattern;
    match pattern {
        Pattern::LongLived => "long-lived",
        Pattern::Leak => "leak",
        Pattern::Churn => "churn",
        Pattern::RetryStorm => "retry-storm",
        Pattern::FanIn => "fan-in",
        Pattern::Scan => "scan",
    }
}
