//! The ports held towards one destination: two counts of the same thing, and the range that holds
//! both.
//!
//! The gateway's own ports are counted first. A port that is let go and taken again within one
//! record looks held in between, and may hide that its second connection was left open. A client
//! comes back to a port of its own much later, so where the records join clients with destinations,
//! answered connections are counted by the clients' ports as well (and attempts without an answer by
//! the gateway's, as only there it shows that they got one).

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::Timestamp;

use super::clients::Uses;
use super::folded::Folded;
use crate::contract::HeldPorts;
use crate::evidence::{Destination, Evidence, Held, Peak, Tally, fullest_step};

/// The part of the gateway's connections that the clients' side has to show for its count to be of
/// the whole.
const WHOLE: f64 = 0.9;

/// How far above capacity a count can come where times are whole seconds and a port can be let go
/// and taken again within one.
const WHOLE_SECONDS: f64 = 1.05;

/// The counts of one destination.
pub(super) struct Counted {
    /// At each step.
    pub(super) steps: Vec<Held>,
    /// At the fullest, each end of the range at its own fullest.
    pub(super) peak: Held,
    /// How many of the ports in use at a step may be one connection too many, at the most.
    pub(super) most_twice: u32,
    /// Of the fullest, what certainly was not given back after its last packet: attempts that got no answer.
    pub(super) open: u32,
    /// When that was.
    pub(super) at: Timestamp,
    /// The step at which it was fullest.
    pub(super) step: usize,
    /// What its clients' own ports allow at each step and at the fullest, where these are known by port alone:
    /// a client uses each of its ports once towards a destination.
    pub(super) limit: Option<Limit>,
}

/// What clients' own ports allow.
pub(super) struct Limit {
    pub(super) steps: Vec<Held>,
    pub(super) peak: Held,
}

impl Counted {
    /// The counts of a destination, of whose ports the gateway's side shows `tally`.
    pub(super) fn of(evidence: &Evidence, uses: &Uses<'_>, destination: Destination, tally: &Tally) -> Self {
        let gateway = tally.all_held();
        let joined = uses.joined(destination);
        let whole = joined.is_some_and(|clients| {
            let answered = |tally: &Tally| tally.connections.saturating_sub(tally.unanswered);
            let by_client: u64 = clients.iter().map(|(_, client)| answered(client)).sum();
            by_client as f64 >= answered(tally) as f64 * WHOLE
        });
        let steps: Vec<Held> = if let Some(clients) = joined {
            let by_client = (0..evidence.steps.count()).map(|step| {
                let silent = tally.silent.get(step).copied().unwrap_or_default();
                clients.iter().fold(silent, |sum, (_, client)| sum.plus(at(&client.held, step)))
            });
            gateway.zip(by_client).map(|(gateway, by_client)| both(gateway, by_client, whole)).collect()
        } else {
            gateway.collect()
        };
        let asked = evidence.asked_steps();
        let in_question = &steps[asked.clone()];
        let (step, fullest) = fullest_step(in_question.iter().copied()).unwrap_or_default();
        let step = asked.start + step;
        let over_steps = |of: fn(&Held) -> u32| in_question.iter().map(of).max().unwrap_or(0);
        let by_steps =
            Held { least: over_steps(|h| h.least), hold: fullest.hold, most: over_steps(|h| h.most) };
        let instant = evidence.steps.instant(step);
        let (peak, at) = match evidence.peaks.get(&destination) {
            None => (by_steps, instant),
            Some(gateway) => {
                let at = Timestamp::from_second(gateway.at).unwrap_or(instant);
                match evidence.peaks_by_client.get(&destination).filter(|_| joined.is_some()) {
                    Some(by_client) => (both(range(gateway), range(by_client), whole), at),
                    None => (range(gateway), at),
                }
            }
        };
        let (peak, steps) = without_ports(destination, tally, peak, steps);
        let twice = counted_twice(evidence, uses, destination, tally);
        let without = |held: Held, twice: u32| Held { least: held.least.saturating_sub(twice), ..held };
        let most_twice = twice.iter().copied().max().unwrap_or(0);
        let peak = without(peak, most_twice);
        let steps = steps.into_iter().zip(twice.iter().copied().chain(std::iter::repeat(0)));
        let steps: Vec<Held> = steps.map(|(held, twice)| without(held, twice)).collect();
        // What one of the steps certainly holds, the fullest does.
        let certain = steps.get(asked.clone()).into_iter().flatten().map(|held| held.least).max();
        let peak = Held { least: peak.least.max(certain.unwrap_or(0)), ..peak };
        let silent = tally.at_peak.map(|at_peak| at_peak.silent);
        let silent = silent.or_else(|| tally.silent.get(step).copied()).unwrap_or_default();
        let open = silent.hold.min(peak.hold);
        let limit = uses.on_port(destination).filter(|port| port.is_whole()).map(|port| {
            let over_steps = |of: fn(&Held) -> u32| port.by_clients[asked.clone()].iter().map(of).max();
            let most = Held {
                least: over_steps(|h| h.least).unwrap_or(0),
                hold: over_steps(|h| h.most).unwrap_or(0),
                most: over_steps(|h| h.most).unwrap_or(0),
            };
            let hold = port
                .at_peak
                .map_or(most.hold, |at_peak| at_peak.hold.max(over_steps(|h| h.hold).unwrap_or(0)));
            Limit { steps: port.by_clients.clone(), peak: Held { hold, ..most } }
        });
        Self { steps, peak, most_twice, open, at, step, limit }
    }
}

/// Of a protocol without ports, connections that records show as one can be as many as packets were
/// sent: the identifier of an ICMP echo does not show.
fn without_ports(destination: Destination, tally: &Tally, peak: Held, steps: Vec<Held>) -> (Held, Vec<Held>) {
    if destination.port != 0 {
        return (peak, steps);
    }
    let sent = u32::try_from(tally.sent).unwrap_or(u32::MAX);
    let widened = |held: Held| Held { most: held.most.max(sent), ..held };
    (widened(peak), steps.into_iter().map(widened).collect())
}

/// Where clients are not joined with destinations, how many of the ports that the gateway's side shows
/// in use at each step are one connection too many: the clients' side shows fewer in use, by the
/// clients' own interfaces towards this destination (some through another gateway, perhaps), or
/// towards every destination on this port.
fn counted_twice(evidence: &Evidence, uses: &Uses<'_>, destination: Destination, tally: &Tally) -> Vec<u32> {
    if uses.joined(destination).is_some() {
        return Vec::new();
    }
    let in_use = |tallies: &mut dyn Iterator<Item = &Tally>, step| -> u32 {
        tallies.map(|tally| at(&tally.held, step).least).sum()
    };
    let each_step = |gateway: &dyn Fn(usize) -> u32, clients: &dyn Fn(usize) -> u32| {
        (0..evidence.steps.count()).map(|step| gateway(step).saturating_sub(clients(step))).collect()
    };
    if let Some(clients) = uses.elsewhere(destination) {
        let by_client = |step| in_use(&mut clients.iter().map(|(_, tally)| *tally), step);
        each_step(&|step| at(&tally.held, step).least, &by_client)
    } else if let Some(port) = uses.on_port(destination) {
        each_step(&|step| port.in_use[step], &|step| port.in_use_by_clients[step])
    } else {
        Vec::new()
    }
}

fn range(peak: &Peak) -> Held {
    Held { least: peak.least, hold: peak.hold, most: peak.most }
}

fn at(held: &[Held], step: usize) -> Held {
    held.get(step).copied().unwrap_or_default()
}

/// One range from two counts of the same ports. The truth is neither below the lower one nor above
/// the higher; where the clients' count is of the whole, it is the better estimate.
fn both(gateway: Held, by_client: Held, whole: bool) -> Held {
    Held {
        least: gateway.least.min(by_client.least),
        hold: if whole { by_client.hold } else { gateway.hold },
        most: if whole { gateway.most.max(by_client.most) } else { gateway.most },
    }
}

/// How many times the ports in use were held, towards whichever destination, where ends of
/// connections do not show: so many times as makes all TCP destinations come together, at their
/// fullest step of those `asked` about, to the `active` connections that the gateway itself counted. Connections count as
/// active until they are closed, or were idle for as long as a port is held.
///
/// One figure for all: a destination of long-lived connections is then taken to hold nearly all of
/// its range before one of short connections is, of whose range hardly any is in use at once.
///
/// Source: "NAT gateway metrics and dimensions" in the Amazon VPC user guide, `ActiveConnectionCount`
/// and `IdleTimeoutCount`.
pub(super) fn times_in_use<'c>(
    counted: impl Iterator<Item = &'c Counted>,
    asked: &Range<usize>,
    folded: Folded,
    active: f64,
) -> f64 {
    /// More than all ports of a gateway to one in use, as a power of two.
    const MOST: f64 = 20.0;
    /// To a fiftieth of a power of two: to 1.4 %.
    const HALVINGS: u32 = 10;

    // A scan has as many destinations as ports, nearly all alike.
    let mut steps: Vec<BTreeMap<(u32, u32), u32>> = Vec::new();
    for counted in counted {
        let in_question = counted.steps.get(asked.clone()).unwrap_or_default();
        steps.resize(steps.len().max(in_question.len()), BTreeMap::new());
        for (step, held) in steps.iter_mut().zip(in_question) {
            let held = folded.unfolded(*held);
            *step.entry((held.least.min(held.hold), held.hold)).or_default() += 1;
        }
    }
    let together = |times: f64| {
        let of_step = |step: &BTreeMap<(u32, u32), u32>| -> f64 {
            step.iter().map(|(&(least, hold), &n)| in_use_times(least, hold, times) * f64::from(n)).sum()
        };
        steps.iter().map(of_step).fold(0.0, f64::max)
    };
    let (mut low, mut high) = (0.0_f64, MOST);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if together(middle.exp2()) < active { low = middle } else { high = middle }
    }
    f64::midpoint(low, high).exp2()
}

/// So many times the ports in use, and never more than can be held. Where none was in use at the very
/// instant, half a one is taken to have been.
fn in_use_times(least: u32, hold: u32, times: f64) -> f64 {
    (f64::from(least).max(0.5) * times).min(f64::from(hold)).max(f64::from(least))
}

/// Where none was in use at the very instant, one is taken to have been: a mean with nothing would be nothing,
/// however many there may have been.
fn geometric_mean(least: u32, hold: u32) -> f64 {
    (f64::from(least.max(1)) * f64::from(hold)).sqrt()
}

/// What counts are held against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// Ports that can be held towards one destination at once.
    pub(super) capacity: Option<u32>,
    /// Whether the gateway's addresses are known for certain, so that capacity bounds what it held.
    pub(super) certain: bool,
    /// Whether ends of connections show: by the format, or because the protocol has none.
    pub(super) ends_visible: bool,
    /// Where they do not: how many times the ports in use were held, where that is known.
    pub(super) times_in_use: Option<f64>,
}

impl Scale {
    /// A range with its best estimate.
    ///
    /// Where the format shows ends of connections, a port without one was held until its idle
    /// timeout, so the upper count is the estimate. Where it does not, any of the ports may have
    /// been let go at its last packet, except for the `open` ones. The gateway's own count of
    /// connections tells how many; without it, the ends of the range are often a hundredfold apart,
    /// and the geometric mean errs by the same factor either way.
    pub(super) fn range(self, held: Held, open: u32, at: Timestamp) -> HeldPorts {
        let bound = self.bound(held.hold);
        let (least, most) = (held.least.min(bound), held.most.max(held.least).min(bound));
        let estimate = if self.ends_visible {
            held.hold
        } else {
            let closing = held.hold.saturating_sub(open);
            let least = least.min(closing);
            let estimate = match self.times_in_use {
                Some(times) => in_use_times(least, closing, times),
                None => geometric_mean(least, closing),
            };
            open.saturating_add(estimate.round() as u32)
        };
        HeldPorts { at_least: least, estimate: estimate.clamp(least, most), at_most: most, at }
    }

    /// A client's part of a destination's ports, which it used for the part `active` of the time that
    /// all of them were in use.
    ///
    /// Where ends of connections do not show, its estimate lies as far up its range as the
    /// destination's does. What is in use at a single instant then depends on how the records of the
    /// client's interface happen to be cut, so that time in use stands in for it.
    pub(super) fn part(
        self,
        held: Held,
        at: Timestamp,
        active: f64,
        whole: &Counted,
        estimate: u32,
    ) -> HeldPorts {
        let mut range = self.range(held, 0, at);
        if !self.ends_visible {
            let Held { least, hold, .. } = whole.peak;
            let up = f64::from(estimate.saturating_sub(least)) / f64::from(hold.saturating_sub(least).max(1));
            let in_use = f64::from(least) * active;
            let estimate = in_use + (f64::from(held.hold) - in_use).max(0.0) * up.min(1.0);
            range.estimate = (estimate.round() as u32).clamp(range.at_least, range.at_most);
        }
        range
    }

    /// A range where records are missing: what they would have shown can have been as much as there
    /// are ports.
    pub(super) fn open_range(self, held: Held, open: u32, at: Timestamp) -> HeldPorts {
        let range = self.range(held, open, at);
        HeldPorts { at_most: range.at_most.max(self.capacity.unwrap_or(0)), ..range }
    }

    /// What a count cannot be above: capacity. Where the gateway's addresses are only inferred, a
    /// count far above it says that there are more of them; one just above it does not.
    fn bound(self, counted: u32) -> u32 {
        let within =
            |capacity: &u32| self.certain || f64::from(counted) <= f64::from(*capacity) * WHOLE_SECONDS;
        self.capacity.filter(within).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(least: u32, hold: u32) -> Counted {
        let held = Held { least, hold, most: hold };
        Counted {
            steps: vec![held],
            peak: held,
            most_twice: 0,
            open: 0,
            at: Timestamp::UNIX_EPOCH,
            step: 0,
            limit: None,
        }
    }

    fn estimate(least: u32, hold: u32, active: Option<f64>, others: &[Counted]) -> u32 {
        let one = counted(least, hold);
        let all = || std::iter::once(&one).chain(others);
        let scale = Scale {
            capacity: Some(55_000),
            certain: true,
            ends_visible: false,
            times_in_use: active.map(|active| times_in_use(all(), &(0..1), Folded::new(1), active)),
        };
        scale.range(one.peak, 0, one.at).estimate
    }

    #[test]
    fn without_ends_the_gateways_own_count_says_how_many_are_held() {
        assert_eq!(estimate(100, 10_000, None, &[]), 1_000);
        let near = |count: u32, wanted: u32| count.abs_diff(wanted) <= wanted / 50;
        assert!(near(estimate(100, 10_000, Some(7_000.0), &[]), 7_000));
        assert!(near(estimate(100, 10_000, Some(150.0), &[]), 150));
        // A count above or below what the records allow leaves the estimate in the range.
        assert!(near(estimate(100, 10_000, Some(1e9), &[]), 10_000));
        assert!(near(estimate(100, 10_000, Some(0.0), &[]), 100));
    }

    #[test]
    fn ports_out_of_use_at_an_instant_may_be_held() {
        assert_eq!([estimate(0, 40_000, None, &[]), estimate(0, 0, None, &[])], [200, 0]);
    }

    #[test]
    fn connections_that_last_fill_their_range_before_short_ones_do() {
        // 5,000 short ones within the step, of which 50 were in use at once.
        let short = [counted(50, 5_000)];
        let held = estimate(2_000, 4_000, Some(4_100.0), &short);
        assert!((3_900..=4_000).contains(&held), "{held}");
    }
}
