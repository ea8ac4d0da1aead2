//! Attempts that reached the gateway and never left it: an inference, always labelled so.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Range;

use super::work;
use crate::evidence::{ClientUse, Destination, Evidence, Held, Tally, fullest_step};

/// The part of all refused attempts from which one destination's are taken for more than chance.
const SPEAKING: f64 = 0.2;

/// The part of the counted errors that they have to account for, where errors were counted. Not all
/// are seen: in a format without tcp-flags, an attempt that gets a port when it is repeated shows as
/// answered.
pub(super) const EXPLAINING: f64 = 0.2;

/// So many times the counted errors, and something else than a full destination keeps attempts from
/// leaving the gateway.
const TOO_MANY: f64 = 3.0;

/// Fewer refused attempts than this say nothing.
pub(super) const FEWEST: u64 = 20;

/// A destination that shows less than this part of a full one's ports was not full.
const NEAR_FULL: f64 = 0.5;

/// How much more packets may come out of the gateway than went in, by what the ends of the window
/// cut off.
pub(super) const ROUNDING: f64 = 1.01;

/// The part of the counted errors by which what was found may exceed them where minutes begin and end: records
/// have the times of first and last packets alone.
const AT_ENDS: f64 = 0.15;

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

/// Attempts that reached the gateway and never left it in the minutes in question: what its clients' side shows
/// without an answer, or with one only after repetitions, less the same of its own side (servers that stayed
/// silent or were slow).
pub(super) struct Refusals {
    clients: BTreeMap<Destination, BTreeMap<IpAddr, Refused>>,
    /// Attempts per step, those before the minutes in question as well.
    steps: BTreeMap<Destination, Vec<u64>>,
    /// Those of which so many attempts are that they tell that it was full.
    speaking: BTreeSet<Destination>,
    /// Those of which so many are that they are worth naming.
    pointed_to: BTreeSet<Destination>,
    /// Those that do not look full.
    not_full: BTreeSet<Destination>,
    /// Attempts towards all destinations.
    all: u64,
    /// The same towards destinations that do not look full.
    unexplained: u64,
    /// Attempts on ports of which no destination shows at all.
    unplaced: Vec<Unplaced>,
    /// Attempts beyond those that CloudWatch counted.
    uncounted: u64,
    /// Whether the records have both sides of the gateway.
    show: bool,
    /// Whether the destinations are guessed from the port alone.
    guessed: bool,
}

/// Attempts of which the records show the port, and no destination that listens on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unplaced {
    /// The port, without an address.
    pub(super) towards: Destination,
    pub(super) attempts: u64,
    /// Who made most of them.
    pub(super) client: IpAddr,
}

/// What the gateway's own side shows, looked up once for each destination and each port, however many
/// there are.
struct Sides<'a> {
    evidence: &'a Evidence,
    /// Every zone's, by port: clients of all of them show alike.
    by_port: BTreeMap<Destination, Vec<(Destination, &'a Tally)>>,
    /// What the minutes in question are in steps.
    asked: Range<usize>,
}

impl<'a> Sides<'a> {
    fn of(evidence: &'a Evidence) -> Self {
        let mut by_port: BTreeMap<Destination, Vec<(Destination, &Tally)>> = BTreeMap::new();
        for (destination, tally) in evidence.destinations.iter().chain(&evidence.elsewhere) {
            work::count(1);
            by_port.entry(port_of(*destination)).or_default().push((*destination, tally));
        }
        Self { evidence, by_port, asked: evidence.asked_steps() }
    }

    /// What the gateway's side shows of a destination, or of a port where it has no address.
    fn tallies(&self, of: Destination) -> impl Iterator<Item = &'a Tally> {
        let one = of.address.map(|_| [&self.evidence.destinations, &self.evidence.elsewhere]);
        let one = one.into_iter().flatten().filter_map(move |side| side.get(&of));
        let port = self.by_port.get(&of).filter(|_| of.address.is_none());
        let port = port.into_iter().flatten().map(|(_, tally)| *tally);
        one.chain(port).inspect(|_| work::count(1))
    }

    /// The sum of it.
    fn left(&self, of: Destination) -> Tally {
        let mut sum = Tally::empty(self.evidence.steps);
        self.tallies(of).for_each(|tally| sum.add(tally));
        sum
    }

    /// Packets that went in and never came out; `None` where records are known to be missing, so that the
    /// difference says nothing.
    fn lost(&self, tallies: &BTreeMap<IpAddr, &Tally>, towards: Destination) -> Option<u64> {
        if self.evidence.coverage.skipdata > 0 {
            return None;
        }
        let went_in: u64 = tallies.values().map(|tally| tally.sent).sum();
        let came_out: u64 = self.tallies(towards).map(|tally| tally.sent).sum();
        // More came out than went in: the clients' side is not all there. Neither shows where packets were not counted.
        let whole = went_in > 0 && came_out as f64 <= went_in as f64 * ROUNDING;
        whole.then(|| went_in.saturating_sub(came_out))
    }

    /// Attempts towards one destination that never left the gateway: per step, and those of the minutes in
    /// question.
    fn attempts(
        &self,
        tallies: &BTreeMap<IpAddr, &Tally>,
        left: &Tally,
        lost: Option<u64>,
    ) -> (Vec<u64>, u64) {
        let tried_at = |step| tallies.values().map(|tally| count_at(tally, step)).sum::<u64>();
        let at: Vec<u64> = (0..self.evidence.steps.count())
            .map(|step| more_than_chance(tried_at(step), count_at(left, step)))
            .collect();
        let all: u64 = at.iter().sum();
        let whole = lost.map_or(all, |lost| all.min(lost));
        let at: Vec<u64> = at.into_iter().map(|at| scaled(at, whole, all)).collect();
        let attempts = at.get(self.asked.clone()).map_or(0, |asked| asked.iter().sum());
        (at, attempts)
    }

    /// First packets of one client that got no answer, in the minutes in question.
    fn tried(&self, tally: &Tally) -> u64 {
        tally.lost_at.get(self.asked.clone()).map_or(0, |asked| asked.iter().sum())
    }
}

impl Refusals {
    /// The refusals that the evidence tells of. `full` is what a full destination would show, of all addresses
    /// or of one: its distinct ports on the gateway's side. Where no error was `counted`, what only went in was
    /// not refused, unless its destination looks full.
    pub(super) fn of(evidence: &Evidence, full: Option<Full>, counted: Option<f64>) -> Self {
        let mut refusals = Self {
            clients: BTreeMap::new(),
            steps: BTreeMap::new(),
            speaking: BTreeSet::new(),
            pointed_to: BTreeSet::new(),
            not_full: BTreeSet::new(),
            all: 0,
            unexplained: 0,
            unplaced: Vec::new(),
            uncounted: 0,
            show: !evidence.destinations.is_empty() && !evidence.clients.is_empty(),
            guessed: false,
        };
        if evidence.destinations.is_empty() {
            // The gateway's own side is not in the records: silence proves nothing.
            return refusals;
        }
        let sides = Sides::of(evidence);
        let none_counted = counted == Some(0.0);
        let hidden = evidence.clients.keys().any(|using| using.destination.address.is_none());
        if !hidden {
            for (destination, tallies) in by_destination(evidence.clients.iter()) {
                let lost = sides.lost(&tallies, destination);
                let near = near_full(evidence, destination, full);
                refusals.add(&sides, destination, &tallies, lost, near, none_counted);
            }
        } else if evidence.at_clients.is_empty() {
            refusals.guessed = true;
            for (port, tallies) in by_destination(evidence.clients.iter()) {
                let lost = sides.lost(&tallies, port);
                let likely = full.and_then(|full| likeliest(&sides, port, full));
                match likely.or_else(|| busiest(&sides, port)) {
                    Some(destination) => {
                        let near = likely.is_some();
                        let left = sides.left(port);
                        refusals.add_beside(&sides, destination, &tallies, &left, lost, near, none_counted);
                    }
                    None => refusals.unplace(&sides, port, &tallies, lost),
                }
            }
        } else {
            // The gateway shows who tried which port, the clients' own interfaces towards whom.
            let through = evidence.at_clients.iter().filter(|(using, _)| {
                let destination = port_of(using.destination);
                evidence.clients.contains_key(&ClientUse { destination, ..**using })
            });
            let at_gateway = by_destination(evidence.clients.iter());
            let mut left_over: BTreeMap<Destination, Option<u64>> = BTreeMap::new();
            let mut tried: Vec<_> = by_destination(through)
                .into_iter()
                .map(|(destination, tallies)| (near_full(evidence, destination, full), destination, tallies))
                .collect();
            // What no full destination accounts for may have been towards another one.
            tried.sort_by_key(|(near, ..)| !near);
            for (near, destination, tallies) in tried {
                let port = port_of(destination);
                let lost = left_over
                    .entry(port)
                    .or_insert_with(|| sides.lost(&at_gateway.get(&port).cloned().unwrap_or_default(), port));
                let before = *lost;
                let added = refusals.add(&sides, destination, &tallies, before, near, none_counted);
                *lost = before.map(|lost| lost.saturating_sub(added));
            }
        }
        refusals.all = refusals.total();
        refusals
    }

    fn total(&self) -> u64 {
        let unplaced: u64 = self.unplaced.iter().map(|unplaced| unplaced.attempts).sum();
        self.clients.values().map(sum_of).sum::<u64>() + unplaced
    }

    /// Leaves out the attempts of all clients but these; when they were is spread evenly over all.
    pub(super) fn retain(&mut self, keep: impl Fn(IpAddr) -> bool) {
        for (destination, clients) in &mut self.clients {
            let before = sum_of(clients);
            clients.retain(|client, _| keep(*client));
            for step in self.steps.get_mut(destination).into_iter().flatten() {
                *step = scaled(*step, sum_of(clients), before);
            }
        }
        self.all = self.total();
    }

    /// Holds the attempts against the errors that were counted in the same minutes: which destinations they speak
    /// for, and that no more can have been refused. What is beyond was kept from leaving by something else, or
    /// the errors are another gateway's.
    pub(super) fn hold_against(&mut self, counted: Option<f64>, asked: &Range<usize>) {
        self.hear(counted);
        let Some(counted) = counted.filter(|errors| self.all as f64 > *errors) else { return };
        let (all, counted) = (self.all, counted.round() as u64);
        self.uncounted = all - counted;
        let of_clients = self.clients.values_mut().flat_map(BTreeMap::values_mut);
        let of_clients = of_clients.map(|refused| &mut refused.attempts);
        let unplaced = self.unplaced.iter_mut().map(|unplaced| &mut unplaced.attempts);
        apportion(of_clients.chain(unplaced).collect(), counted);
        for refused in self.clients.values_mut().flat_map(BTreeMap::values_mut) {
            refused.connections = refused.connections.min(refused.attempts);
        }
        for steps in self.steps.values_mut() {
            for step in steps.get_mut(asked.clone()).into_iter().flatten() {
                *step = scaled(*step, counted, all);
            }
        }
        self.all = self.total();
    }

    /// Adds one destination: what its clients attempted, and how many packets were lost between the two sides;
    /// returns how many attempts were.
    fn add(
        &mut self,
        sides: &Sides<'_>,
        destination: Destination,
        tallies: &BTreeMap<IpAddr, &Tally>,
        lost: Option<u64>,
        near: bool,
        none_counted: bool,
    ) -> u64 {
        let left = sides.left(destination);
        self.add_beside(sides, destination, tallies, &left, lost, near, none_counted)
    }

    /// The same of attempts of which so many `left` the gateway without an answer.
    #[expect(clippy::too_many_arguments, reason = "one call with all, and a shorter one beside it")]
    fn add_beside(
        &mut self,
        sides: &Sides<'_>,
        destination: Destination,
        tallies: &BTreeMap<IpAddr, &Tally>,
        left: &Tally,
        lost: Option<u64>,
        near: bool,
        none_counted: bool,
    ) -> u64 {
        let tried: u64 = tallies.values().map(|tally| sides.tried(tally)).sum();
        let (at, attempts) = sides.attempts(tallies, left, lost);
        if !near {
            self.unexplained += attempts;
        }
        // Towards one that does not look full a few may have been lost by chance.
        if at.iter().sum::<u64>() == 0 || (!near && (none_counted || attempts < FEWEST)) {
            return 0;
        }
        // No record says of a single attempt whether it left: what was refused is spread over all
        // that might have been.
        let spread = |count: u64| scaled(count, attempts, tried);
        let never: u64 = tallies.values().map(|tally| tally.unanswered).sum();
        let connections = never.saturating_sub(left.unanswered);
        let clients = tallies.iter().map(|(client, tally)| {
            let attempts = spread(sides.tried(tally));
            let connections = scaled(tally.unanswered, connections, never).min(attempts);
            (*client, Refused { attempts, connections })
        });
        let of_destination = self.clients.entry(destination).or_default();
        for (client, refused) in clients {
            let sum = of_destination.entry(client).or_default();
            sum.attempts += refused.attempts;
            sum.connections += refused.connections;
        }
        let steps = self.steps.entry(destination).or_insert_with(|| vec![0; at.len()]);
        steps.iter_mut().zip(at).for_each(|(sum, at)| *sum += at);
        if !near {
            self.not_full.insert(destination);
        }
        attempts
    }

    /// Attempts on a port on which no destination shows.
    fn unplace(
        &mut self,
        sides: &Sides<'_>,
        towards: Destination,
        tallies: &BTreeMap<IpAddr, &Tally>,
        lost: Option<u64>,
    ) {
        let (_, attempts) = sides.attempts(tallies, &Tally::empty(sides.evidence.steps), lost);
        let most = tallies.iter().max_by_key(|(_, tally)| sides.tried(tally));
        if let Some((client, _)) = most.filter(|_| attempts >= FEWEST) {
            self.unexplained += attempts;
            self.unplaced.push(Unplaced { towards, attempts, client: *client });
        }
    }

    /// Which destinations the attempts point to, a good part of all and of the errors, and which they speak for:
    /// many times the errors have another cause.
    fn hear(&mut self, counted: Option<f64>) {
        let all = self.all as f64;
        let points = |refused: u64| {
            let explains = counted.is_none_or(|errors| refused as f64 >= errors * EXPLAINING);
            refused >= FEWEST && refused as f64 >= all * SPEAKING && explains
        };
        let too_many = |refused: u64| counted.is_some_and(|errors| refused as f64 > errors * TOO_MANY);
        for (destination, clients) in &self.clients {
            let refused = sum_of(clients);
            if points(refused) {
                self.pointed_to.insert(*destination);
            }
            if points(refused) && !too_many(refused) {
                self.speaking.insert(*destination);
            }
        }
    }

    /// Whether so many refused attempts towards a destination tell that it was full, and it looks so.
    pub(super) fn speak_for(&self, destination: Destination) -> bool {
        self.speaking.contains(&destination) && !self.not_full.contains(&destination)
    }

    /// Whether they are so many of those that were counted, whether it looks full or not.
    pub(super) fn point_to(&self, destination: Destination) -> bool {
        self.pointed_to.contains(&destination)
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

    /// Attempts on ports of which no destination shows, most first.
    pub(super) fn unplaced(&self) -> Vec<Unplaced> {
        let mut unplaced = self.unplaced.clone();
        unplaced.sort_by(|a, b| b.attempts.cmp(&a.attempts).then_with(|| a.towards.cmp(&b.towards)));
        unplaced
    }

    /// Attempts beyond those that CloudWatch counted; nothing where they are so few that the ends of minutes
    /// make the difference.
    pub(super) fn uncounted(&self) -> u64 {
        if self.uncounted as f64 > self.all as f64 * AT_ENDS { self.uncounted } else { 0 }
    }

    /// Whether refused attempts would show: the records have both sides of the gateway.
    pub(super) fn show(&self) -> bool {
        self.show && !self.guessed
    }

    /// Attempts towards all destinations.
    pub(super) fn all(&self) -> u64 {
        self.all
    }

    /// The destinations towards which there were any.
    pub(super) fn destinations(&self) -> impl Iterator<Item = Destination> {
        self.clients.keys().copied()
    }

    pub(super) fn of_destination(&self, destination: Destination) -> BTreeMap<IpAddr, Refused> {
        self.clients.get(&destination).cloned().unwrap_or_default()
    }

    pub(super) fn timeline(&self, destination: Destination) -> Vec<u64> {
        self.steps.get(&destination).cloned().unwrap_or_default()
    }
}

fn sum_of(clients: &BTreeMap<IpAddr, Refused>) -> u64 {
    clients.values().map(|refused| refused.attempts).sum()
}

fn by_destination<'a>(
    uses: impl Iterator<Item = (&'a ClientUse, &'a Tally)>,
) -> BTreeMap<Destination, BTreeMap<IpAddr, &'a Tally>> {
    let mut by_destination: BTreeMap<Destination, BTreeMap<IpAddr, &Tally>> = BTreeMap::new();
    for (using, tally) in uses {
        work::count(1);
        by_destination.entry(using.destination).or_default().insert(using.client, tally);
    }
    by_destination
}

/// What a full destination shows on the gateway's side: distinct ports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Full {
    /// Where all of the gateway's addresses are.
    pub(super) all: f64,
    /// Where one of them is.
    pub(super) one: f64,
}

/// Whether a destination shows enough ports for the gateway to have refused anything towards it. Some
/// may not show: records can be missing.
fn near_full(evidence: &Evidence, destination: Destination, full: Option<Full>) -> bool {
    full.is_none_or(|full| f64::from(shown(evidence, destination).most) >= full.all.min(full.one) * NEAR_FULL)
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

/// Scales parts so that they sum to `whole`, if they were more: what rounding down leaves goes to those that lost most
/// by it.
fn apportion(mut parts: Vec<&mut u64>, whole: u64) {
    let sum: u64 = parts.iter().map(|part| **part).sum();
    if sum <= whole {
        return;
    }
    let product = |part: u64| u128::from(part) * u128::from(whole);
    parts.sort_by_key(|part| std::cmp::Reverse(product(**part) % u128::from(sum)));
    for part in &mut parts {
        **part = u64::try_from(product(**part) / u128::from(sum)).unwrap_or(whole);
    }
    let left = whole.saturating_sub(parts.iter().map(|part| **part).sum());
    parts.into_iter().zip(0..left).for_each(|(part, _)| *part += 1);
}

/// A destination's port, whatever the address.
fn port_of(destination: Destination) -> Destination {
    Destination { address: None, ..destination }
}

/// The destination of attempts of which only the port is known. A gateway refuses towards a full
/// destination alone, and a full one shows as many distinct ports as there are: one that shows more
/// has let ports go and taken them again.
fn likeliest(sides: &Sides<'_>, towards: Destination, full: Full) -> Option<Destination> {
    let evidence = sides.evidence;
    let off =
        |destination, full: f64| (f64::from(shown(evidence, destination).hold.max(1)) / full).ln().abs();
    // Silent ones of other zones are not the alarmed one's.
    let here = |(d, _): &&(Destination, &Tally)| evidence.destinations.contains_key(d);
    let candidates = || sides.by_port.get(&towards).into_iter().flatten().filter(here);
    // Where servers stay silent, whoever is refused is mostly whoever gets no answer.
    let silent = candidates().filter(|(d, _)| near_full(evidence, *d, Some(full)));
    if let Some((destination, tally)) = silent.max_by_key(|(_, tally)| tally.unanswered)
        && tally.unanswered * 2 > tally.connections
    {
        return Some(*destination);
    }
    let near = |full: f64| {
        let mut near: Vec<(f64, Destination)> =
            candidates().map(|(d, _)| (off(*d, full), *d)).filter(|(off, _)| *off <= NEARLY_FULL).collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
        near.into_iter().map(|(_, d)| d).collect::<Vec<_>>()
    };
    // That one of several addresses is full is told only where no other destination looks like it, and none as if all
    // were.
    near(full.all).first().copied().or_else(|| match near(full.one)[..] {
        [only] => Some(only),
        _ => None,
    })
}

/// The destination on a port that held most ports: where none looks full, the one to look at first.
fn busiest(sides: &Sides<'_>, towards: Destination) -> Option<Destination> {
    let candidates = sides.by_port.get(&towards)?.iter();
    let here = candidates.filter(|(d, _)| sides.evidence.destinations.contains_key(d));
    let key = |(d, tally): &&(Destination, &Tally)| {
        (shown(sides.evidence, *d).most, tally.connections, std::cmp::Reverse(*d))
    };
    here.max_by_key(key).map(|(d, _)| *d)
}
