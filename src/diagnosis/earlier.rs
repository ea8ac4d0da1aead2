//! What was held an hour earlier: what is new, and what has grown.

use super::Limits;
use super::findings::{Findings, Ranked};
use crate::contract::{ClientReport, DestinationReport, Diagnosis, EarlierReport, HeldPorts, Verdict};
use crate::evidence::Evidence;
use crate::evidence::insights::Purpose;
use crate::gap::{Fix, Gap};
use crate::incident::Incident;
use crate::network::Network;
use crate::words;

/// How what is held now compares with what was held an hour earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// Nothing was held then.
    New,
    /// At least twice as much is held now.
    Grown,
    /// At least half as much was held then.
    Alike,
    /// The same by the estimate; less may have been held then.
    ProbablyAlike,
    /// The ranges leave it open.
    Open,
}

impl Growth {
    /// What the two ranges prove. With a `confirmed` verdict the errors speak for what is held now: as much as estimated.
    #[must_use]
    pub fn between(earlier: HeldPorts, now: HeldPorts, verdict: Verdict) -> Self {
        let twice = |ports: u32| u64::from(ports) * 2;
        let at_least = if verdict == Verdict::Confirmed { now.estimate } else { now.at_least };
        match at_least {
            1.. if earlier.at_most == 0 => Self::New,
            1.. if twice(earlier.at_most) <= u64::from(at_least) => Self::Grown,
            _ if twice(earlier.at_least) >= u64::from(now.at_most) => Self::Alike,
            _ if twice(earlier.estimate) >= u64::from(now.at_most) => Self::ProbablyAlike,
            _ => Self::Open,
        }
    }
}

impl Diagnosis {
    /// Sets what was held an hour earlier beside what is held now, as far as the earlier evidence shows it whole.
    pub(super) fn compare_with_earlier(
        &mut self,
        incident: &Incident,
        network: &Network,
        earlier: &Evidence,
        limits: Limits,
    ) {
        if earlier.unanswered || earlier.ambiguous {
            return;
        }
        // No error that was counted is of these minutes.
        let Some(incident) = incident.an_hour_earlier() else { return };
        // What CloudWatch counted is of the minutes in question.
        let network = Network { metrics: Vec::new(), ..network.clone() };
        let listed = &self.destinations;
        let findings = Findings::with_clients_of(&incident, &network, earlier, limits, |then| {
            listed.iter().any(|now| is_same(then, now))
        });
        if !findings.window_covered {
            let why = "the flow logs do not hold all of those minutes";
            self.gaps.push(Gap::new(
                Purpose::HeldAnHourEarlier.as_str(),
                why,
                Fix::never("nothing brings them back"),
            ));
            return;
        }
        // Of what an answer leaves out, nothing says that there was none.
        let all_show = earlier.gaps.is_empty();
        let nothing = all_show.then(|| HeldPorts { at: earlier.asked.start(), ..HeldPorts::default() });
        for now in &mut self.destinations {
            let then = findings.destinations.iter().find(|then| is_same(then, now));
            now.held_earlier = then.map(|then| then.held).or(nothing);
            for client in &mut now.clients {
                client.held_earlier = held_by(client, then, nothing);
            }
        }
        self.earlier = Some(EarlierReport { window: earlier.asked });
    }
}

fn is_same(then: &Ranked, now: &DestinationReport) -> bool {
    let destination = then.destination;
    (then.address, destination.port) == (now.address, now.port)
        && words::protocol(destination.protocol) == now.protocol
}

/// What a client held of a destination then; nothing where the records do not join the two in the same way.
fn held_by(client: &ClientReport, then: Option<&Ranked>, nothing: Option<HeldPorts>) -> Option<HeldPorts> {
    let Some(then) = then.filter(|then| then.held.at_most > 0) else { return nothing };
    match then.clients.iter().find(|other| other.address == client.address) {
        Some(same) => (same.attribution == client.attribution).then_some(same.held),
        // Holders that do not show may be anybody.
        None => {
            let first = then.clients.first()?;
            let all: f64 = then.clients.iter().map(|client| client.share).sum();
            let shown = first.attribution == client.attribution && all >= WHOLE;
            nothing.filter(|_| shown)
        }
    }
}

/// The part of the ports whose holders have to show before it is said of another client that it held none.
const WHOLE: f64 = 0.99;

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn held(at_least: u32, estimate: u32, at_most: u32) -> HeldPorts {
        HeldPorts { at_least, estimate, at_most, at: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn only_what_both_ranges_prove_is_called_growth() {
        for (earlier, now, growth) in [
            (held(0, 0, 0), held(10, 15, 20), Growth::New),
            (held(0, 0, 0), held(0, 20, 20), Growth::Open),
            (held(500, 600, 600), held(44_000, 44_000, 44_000), Growth::Grown),
            (held(500, 600, 22_001), held(44_000, 44_000, 44_000), Growth::Open),
            (held(40_000, 41_000, 44_000), held(44_000, 46_000, 50_000), Growth::Alike),
            (held(0, 44_000, 44_000), held(300, 55_000, 55_000), Growth::ProbablyAlike),
            (held(0, 20_000, 44_000), held(300, 55_000, 55_000), Growth::Open),
        ] {
            assert_eq!(Growth::between(earlier, now, Verdict::Likely), growth, "{earlier:?} {now:?}");
        }
    }

    #[test]
    fn counted_errors_speak_for_the_estimate_of_a_leak() {
        let (earlier, now) = (held(0, 80, 80), held(0, 55_000, 55_000));
        assert_eq!(Growth::between(earlier, now, Verdict::Likely), Growth::Open);
        assert_eq!(Growth::between(earlier, now, Verdict::Confirmed), Growth::Grown);
    }
}
