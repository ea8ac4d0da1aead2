//! Attempts that reached the gateway and never left it: an inference, always labelled so.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::evidence::{ClientUse, Destination, Evidence, Tally, fullest_step};

/// The part of all refused attempts from which one destination's are taken for more than chance.
const SPEAKING: f64 = 0.2;

/// The part of the counted errors that they have to account for, where errors were counted. Many are
/// not seen: an attempt that gets a port when it is repeated shows as answered.
const EXPLAINING: f64 = 0.05;

/// Fewer refused attempts than this say nothing.
const FEWEST: u64 = 5;

/// How far the ports shown may be from those of a full destination, as a logarithm: a fifth.
const NEARLY_FULL: f64 = 0.2;

/// Attempts that reached the gateway and never left it: what its clients' side shows without an
/// answer, less what its own side shows without an answer (servers that stayed silent).
pub(super) struct Refusals {
    /// Per destination and client: packets, and connections; and packets per step.
    clients: BTreeMap<Destination, BTreeMap<IpAddr, (u64, u64)>>,
    steps: BTreeMap<Destination, Vec<u64>>,
    /// Packets towards all destinations.
    all: u64,
    /// Whether the destinations are guessed from the port alone.
    guessed: bool,
}

impl Refusals {
    /// The refusals that the evidence tells of. `full` is what a full destination would show: its
    /// distinct ports on the gateway's side.
    pub(super) fn of(evidence: &Evidence, full: Option<f64>) -> Self {
        let mut refusals = Self { clients: BTreeMap::new(), steps: BTreeMap::new(), all: 0, guessed: false };
        if evidence.destinations.is_empty() {
            // The gateway's own side is not in the records: silence proves nothing.
            return refusals;
        }
        let mut attempts: BTreeMap<Destination, BTreeMap<IpAddr, &Tally>> = BTreeMap::new();
        let hidden = evidence.clients.keys().any(|using| using.destination.address.is_none());
        if hidden && !evidence.at_clients.is_empty() {
            // The gateway shows who tried which port, the clients' own interfaces towards whom.
            for (using, tally) in evidence.at_clients.iter().filter(|(_, tally)| tally.unanswered > 0) {
                let destination = Destination { address: None, ..using.destination };
                if evidence.clients.contains_key(&ClientUse { destination, ..*using }) {
                    attempts.entry(using.destination).or_default().insert(using.client, tally);
                }
            }
        } else {
            for (using, tally) in evidence.clients.iter().filter(|(_, tally)| tally.unanswered > 0) {
                let towards = using.destination;
                let located = if towards.address.is_some() {
                    Some(towards)
                } else {
                    refusals.guessed = true;
                    full.and_then(|full| likeliest(evidence, towards, full))
                };
                if let Some(destination) = located {
                    attempts.entry(destination).or_default().insert(using.client, tally);
                }
            }
        }
        for (destination, tallies) in attempts {
            let silent = evidence.destinations.get(&destination);
            let silent_connections = silent.map_or(0, |tally| tally.unanswered);
            let attempted: u64 = tallies.values().map(|tally| tally.unanswered).sum();
            // The part of the unanswered attempts that never left the gateway.
            let refused = attempted.saturating_sub(silent_connections) as f64 / attempted as f64;
            if refused <= 0.0 {
                continue;
            }
            let part = |count: u64| (count as f64 * refused).round() as u64;
            let clients = tallies
                .iter()
                .map(|(client, tally)| {
                    let packets = part(tally.unanswered_at.iter().sum());
                    (*client, (packets, part(tally.unanswered)))
                })
                .collect();
            let mut steps = vec![0; evidence.steps.count()];
            for tally in tallies.values() {
                for (sum, packets) in steps.iter_mut().zip(&tally.unanswered_at) {
                    *sum += part(*packets);
                }
            }
            refusals.clients.insert(destination, clients);
            refusals.steps.insert(destination, steps);
        }
        let by_client = refusals.clients.values().flat_map(BTreeMap::values);
        refusals.all = by_client.map(|(packets, _)| packets).sum();
        refusals
    }

    /// Whether so many refused attempts towards one destination tell that it was full. A few may
    /// have another cause: a lost reply, a record that has not arrived.
    pub(super) fn speak_for(&self, refused: u64, counted: Option<f64>) -> bool {
        let explains = counted.is_none_or(|errors| refused as f64 >= errors * EXPLAINING);
        refused >= FEWEST && refused as f64 >= self.all as f64 * SPEAKING && explains
    }

    /// Whether their destinations are known, and not guessed from the port alone.
    pub(super) fn located(&self) -> bool {
        !self.guessed
    }

    pub(super) fn of_destination(&self, destination: Destination) -> BTreeMap<IpAddr, (u64, u64)> {
        self.clients.get(&destination).cloned().unwrap_or_default()
    }

    pub(super) fn timeline(&self, destination: Destination) -> Vec<u64> {
        self.steps.get(&destination).cloned().unwrap_or_default()
    }
}

/// The destination of attempts of which only the port is known. A gateway refuses towards a full
/// destination alone, and a full one shows as many distinct ports as there are: one that shows more
/// has let ports go and taken them again.
fn likeliest(evidence: &Evidence, towards: Destination, full: f64) -> Option<Destination> {
    let off = |destination: &Destination, tally: &Tally| {
        let at_steps = fullest_step(&tally.held).map_or(0, |(_, held)| held.hold);
        let shown = evidence.peaks.get(destination).map_or(at_steps, |peak| peak.hold);
        (f64::from(shown.max(1)) / full).ln().abs()
    };
    evidence
        .destinations
        .iter()
        .filter(|(d, _)| (d.port, d.protocol) == (towards.port, towards.protocol))
        .map(|(d, tally)| (off(d, tally), *d))
        .filter(|(off, _)| *off <= NEARLY_FULL)
        .min_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)))
        .map(|(_, d)| d)
}
