//! Attempts that reached the gateway and never left it: an inference, always labelled so.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::evidence::{ClientUse, Destination, Evidence, Held, Tally, fullest_step};

/// The part of all refused attempts from which one destination's are taken for more than chance.
const SPEAKING: f64 = 0.2;

/// The part of the counted errors that they have to account for, where errors were counted. Not all
/// are seen: in a format without tcp-flags, an attempt that gets a port when it is repeated shows as
/// answered.
const EXPLAINING: f64 = 0.2;

/// So many times the counted errors, and something else than a full destination keeps attempts from
/// leaving the gateway.
const TOO_MANY: f64 = 3.0;

/// Fewer refused attempts than this say nothing.
pub(super) const FEWEST: u64 = 20;

/// A destination that shows less than this part of a full one's ports was not full.
const NEAR_FULL: f64 = 0.5;

/// How much more packets may come out of the gateway than went in, by what the ends of the window
/// cut off.
const ROUNDING: f64 = 1.01;

/// How far the ports shown may be from those of a full destination, as a logarithm: a fifth.
const NEARLY_FULL: f64 = 0.2;

/// Refused attempts of one client, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Refused {
    /// First packets and their repetitions: what `ErrorPortAllocation` counts.
    pub(super) attempts: u64,
    /// Connections that never came about.
    pub(super) connections: u64,
}

/// Attempts that reached the gateway and never left it: what its clients' side shows without an
/// answer, or with one only after repetitions, less the same of its own side (servers that stayed
/// silent or were slow).
pub(super) struct Refusals {
    clients: BTreeMap<Destination, BTreeMap<IpAddr, Refused>>,
    /// Attempts per step.
    steps: BTreeMap<Destination, Vec<u64>>,
    /// Attempts towards all destinations.
    all: u64,
    /// The same towards destinations that do not look full.
    unexplained: u64,
    /// Whether the records have both sides of the gateway.
    show: bool,
    /// Whether the destinations are guessed from the port alone.
    guessed: bool,
}

impl Refusals {
    /// The refusals that the evidence tells of. `full` is what a full destination would show: its
    /// distinct ports on the gateway's side.
    pub(super) fn of(evidence: &Evidence, full: Option<f64>) -> Self {
        let mut refusals = Self {
            clients: BTreeMap::new(),
            steps: BTreeMap::new(),
            all: 0,
            unexplained: 0,
            show: !evidence.destinations.is_empty() && !evidence.clients.is_empty(),
            guessed: false,
        };
        if evidence.destinations.is_empty() {
            // The gateway's own side is not in the records: silence proves nothing.
            return refusals;
        }
        let hidden = evidence.clients.keys().any(|using| using.destination.address.is_none());
        if !hidden {
            for (destination, tallies) in by_destination(evidence.clients.iter()) {
                let lost = lost(evidence, &tallies, |other| other == destination);
                let left = left(evidence, destination);
                if !near_full(evidence, destination, full) {
                    refusals.unexplained += attempts(evidence, &tallies, &left, lost).1;
                    continue;
                }
                refusals.add(evidence, destination, &tallies, &left, lost);
            }
        } else if evidence.at_clients.is_empty() {
            refusals.guessed = true;
            for (port, tallies) in by_destination(evidence.clients.iter()) {
                let Some(destination) = full.and_then(|full| likeliest(evidence, port, full)) else {
                    continue;
                };
                let lost = lost(evidence, &tallies, |other| same_port(other, port));
                let left = on_port(evidence, port);
                refusals.add(evidence, destination, &tallies, &left, lost);
            }
        } else {
            // The gateway shows who tried which port, the clients' own interfaces towards whom.
            let through = evidence.at_clients.iter().filter(|(using, _)| {
                let destination = Destination { address: None, ..using.destination };
                evidence.clients.contains_key(&ClientUse { destination, ..**using })
            });
            let at_gateway = by_destination(evidence.clients.iter());
            for (destination, tallies) in by_destination(through) {
                if !near_full(evidence, destination, full) {
                    continue;
                }
                let port = Destination { address: None, ..destination };
                let at_port = at_gateway.get(&port).cloned().unwrap_or_default();
                let lost = lost(evidence, &at_port, |other| same_port(other, port));
                let left = left(evidence, destination);
                refusals.add(evidence, destination, &tallies, &left, lost);
            }
        }
        let by_client = refusals.clients.values().flat_map(BTreeMap::values);
        refusals.all = by_client.map(|refused| refused.attempts).sum();
        refusals
    }

    /// Leaves out the attempts of all clients but these; when they were is spread evenly over all.
    pub(super) fn retain(&mut self, keep: impl Fn(IpAddr) -> bool) {
        let of = |clients: &BTreeMap<IpAddr, Refused>| -> u64 {
            clients.values().map(|refused| refused.attempts).sum()
        };
        for (destination, clients) in &mut self.clients {
            let before = of(clients);
            clients.retain(|client, _| keep(*client));
            for step in self.steps.get_mut(destination).into_iter().flatten() {
                *step = scaled(*step, of(clients), before);
            }
        }
        self.all = self.clients.values().map(of).sum();
    }

    /// Adds one destination: what its clients attempted, what `left` the gateway, and how many
    /// packets were lost between the two.
    fn add(
        &mut self,
        evidence: &Evidence,
        destination: Destination,
        tallies: &BTreeMap<IpAddr, &Tally>,
        left: &Tally,
        lost: Option<u64>,
    ) {
        let tried: u64 = tallies.values().map(|tally| tally.lost()).sum();
        let (at, attempts) = attempts(evidence, tallies, left, lost);
        let refused: u64 = at.iter().sum();
        if attempts == 0 {
            return;
        }
        // No record says of a single attempt whether it left: what was refused is spread over all
        // that might have been.
        let spread = |count: u64| scaled(count, attempts, tried);
        let never: u64 = tallies.values().map(|tally| tally.unanswered).sum();
        let connections = never.saturating_sub(left.unanswered);
        let clients = tallies
            .iter()
            .map(|(client, tally)| {
                let connections = scaled(tally.unanswered, connections, never);
                (*client, Refused { attempts: spread(tally.lost()), connections })
            })
            .collect();
        let steps = at.into_iter().map(|at| scaled(at, attempts, refused)).collect();
        self.clients.insert(destination, clients);
        self.steps.insert(destination, steps);
    }

    /// Whether so many refused attempts towards one destination tell that it was full. A few may
    /// have another cause: a lost reply, a record that has not arrived.
    pub(super) fn speak_for(&self, refused: u64, counted: Option<f64>) -> bool {
        let explains = counted
            .is_none_or(|errors| (errors * EXPLAINING..=errors * TOO_MANY).contains(&(refused as f64)));
        refused >= FEWEST && refused as f64 >= self.all as f64 * SPEAKING && explains
    }

    /// Whether their destinations are known, and not guessed from the port alone.
    pub(super) fn located(&self) -> bool {
        !self.guessed
    }

    /// Attempts that never left the gateway, though their destination does not look full; nothing
    /// where they are so few that chance may have made them.
    pub(super) fn unexplained(&self) -> u64 {
        if self.unexplained >= FEWEST { self.unexplained } else { 0 }
    }

    /// Whether refused attempts would show: the records have both sides of the gateway.
    pub(super) fn show(&self) -> bool {
        self.show && !self.guessed
    }

    /// Attempts towards all destinations.
    pub(super) fn all(&self) -> u64 {
        self.all
    }

    pub(super) fn of_destination(&self, destination: Destination) -> BTreeMap<IpAddr, Refused> {
        self.clients.get(&destination).cloned().unwrap_or_default()
    }

    pub(super) fn timeline(&self, destination: Destination) -> Vec<u64> {
        self.steps.get(&destination).cloned().unwrap_or_default()
    }
}

fn by_destination<'a>(
    uses: impl Iterator<Item = (&'a ClientUse, &'a Tally)>,
) -> BTreeMap<Destination, BTreeMap<IpAddr, &'a Tally>> {
    let mut by_destination: BTreeMap<Destination, BTreeMap<IpAddr, &Tally>> = BTreeMap::new();
    for (using, tally) in uses {
        by_destination.entry(using.destination).or_default().insert(using.client, tally);
    }
    by_destination
}

/// Whether a destination shows enough ports for the gateway to have refused anything towards it. Some
/// may not show: records can be missing.
fn near_full(evidence: &Evidence, destination: Destination, full: Option<f64>) -> bool {
    full.is_none_or(|full| f64::from(shown(evidence, destination).most) >= full * NEAR_FULL)
}

/// What the gateway's side of a destination shows at its fullest.
fn shown(evidence: &Evidence, destination: Destination) -> Held {
    let swept = evidence.peaks.get(&destination);
    let swept = swept.map(|peak| Held { least: peak.least, hold: peak.hold, most: peak.most });
    let at_steps = || {
        let steps = evidence.destinations.get(&destination).map(Tally::all_held);
        steps.and_then(fullest_step).map_or(Held::default(), |(_, held)| held)
    };
    swept.unwrap_or_else(at_steps)
}

/// Packets that went in towards the destinations that are `counted` and never came out; `None` where
/// records are known to be missing, so that the difference says nothing.
fn lost(
    evidence: &Evidence,
    tallies: &BTreeMap<IpAddr, &Tally>,
    counted: impl Fn(Destination) -> bool,
) -> Option<u64> {
    if evidence.coverage.skipdata > 0 {
        return None;
    }
    let went_in: u64 = tallies.values().map(|tally| tally.sent).sum();
    let came_out: u64 = every_zone(evidence).filter(|(d, _)| counted(**d)).map(|(_, t)| t.sent).sum();
    // More came out than went in: the clients' side is not all there.
    let whole = came_out as f64 <= went_in as f64 * ROUNDING;
    whole.then(|| went_in.saturating_sub(came_out))
}

fn same_port(a: Destination, b: Destination) -> bool {
    (a.port, a.protocol) == (b.port, b.protocol)
}

/// What left the gateway for a port, whatever the address.
fn on_port(evidence: &Evidence, port: Destination) -> Tally {
    sum(evidence, |destination| same_port(destination, port))
}

/// What left the gateway for a destination.
fn left(evidence: &Evidence, destination: Destination) -> Tally {
    sum(evidence, |other| other == destination)
}

fn sum(evidence: &Evidence, counted: impl Fn(Destination) -> bool) -> Tally {
    let mut sum = Tally::empty(evidence.steps);
    every_zone(evidence).filter(|(d, _)| counted(**d)).for_each(|(_, tally)| sum.add(tally));
    sum
}

/// The gateway's side in every zone: clients of all of them show alike.
fn every_zone(evidence: &Evidence) -> impl Iterator<Item = (&Destination, &Tally)> {
    evidence.destinations.iter().chain(&evidence.elsewhere)
}

/// Attempts towards one destination that never left the gateway, per step and in all.
fn attempts(
    evidence: &Evidence,
    tallies: &BTreeMap<IpAddr, &Tally>,
    left: &Tally,
    lost: Option<u64>,
) -> (Vec<u64>, u64) {
    let tried_at = |step| tallies.values().map(|tally| count_at(tally, step)).sum::<u64>();
    let at: Vec<u64> = (0..evidence.steps.count())
        .map(|step| more_than_chance(tried_at(step), count_at(left, step)))
        .collect();
    let refused: u64 = at.iter().sum();
    let attempts = lost.map_or(refused, |lost| refused.min(lost));
    (at, attempts)
}

fn count_at(tally: &Tally, step: usize) -> u64 {
    tally.lost_at.get(step).copied().unwrap_or(0)
}

/// What was tried in vain at one side above the same at the other; nothing where the difference is
/// one that the rounding of times to seconds makes by itself.
fn more_than_chance(tried: u64, left: u64) -> u64 {
    let above = tried.saturating_sub(left);
    if above as f64 > 2.0 * (left as f64).sqrt() { above } else { 0 }
}

/// `count` × `part` / `whole`, rounded.
fn scaled(count: u64, part: u64, whole: u64) -> u64 {
    if whole == 0 { 0 } else { (count as f64 * part as f64 / whole as f64).round() as u64 }
}

/// The destination of attempts of which only the port is known. A gateway refuses towards a full
/// destination alone, and a full one shows as many distinct ports as there are: one that shows more
/// has let ports go and taken them again.
fn likeliest(evidence: &Evidence, towards: Destination, full: f64) -> Option<Destination> {
    let off = |destination| (f64::from(shown(evidence, destination).hold.max(1)) / full).ln().abs();
    let candidates = || evidence.destinations.iter().filter(|(d, _)| same_port(**d, towards));
    // Where servers stay silent, whoever is refused is mostly whoever gets no answer.
    let silent = candidates().filter(|(d, _)| near_full(evidence, **d, Some(full)));
    if let Some((destination, tally)) = silent.max_by_key(|(_, tally)| tally.unanswered)
        && tally.unanswered * 2 > tally.connections
    {
        return Some(*destination);
    }
    candidates()
        .map(|(d, _)| (off(*d), *d))
        .filter(|(off, _)| *off <= NEARLY_FULL)
        .min_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)))
        .map(|(_, d)| d)
}
