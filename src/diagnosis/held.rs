//! The ports held towards one destination: two counts of the same thing, and the range that holds
//! both.
//!
//! The gateway's own ports are counted first. A port that is let go and taken again within one
//! record looks held in between, and may hide that its second connection was left open. A client
//! comes back to a port of its own much later, so where the records join clients with destinations,
//! answered connections are counted by the clients' ports as well (and attempts without an answer by
//! the gateway's, as only there it shows that they got one).

use jiff::Timestamp;

use super::HeldPorts;
use super::findings::Uses;
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
    /// When that was.
    pub(super) at: Timestamp,
    /// The step at which it was fullest.
    pub(super) step: usize,
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
        } else if let Some(clients) = uses.elsewhere(destination) {
            // These may have used another gateway as well: the gateway's ports were no more than that.
            let by_client = (0..evidence.steps.count())
                .map(|step| clients.iter().map(|(_, client)| at(&client.held, step).least).sum::<u32>());
            let silent = tally.silent.iter().map(|silent| silent.least);
            gateway
                .zip(by_client.zip(silent))
                .map(|(gateway, (clients, silent))| Held {
                    least: gateway.least.min(clients.saturating_add(silent)),
                    ..gateway
                })
                .collect()
        } else {
            gateway.collect()
        };
        let (step, fullest) = fullest_step(steps.iter().copied()).unwrap_or_default();
        let over_steps = |of: fn(&Held) -> u32| steps.iter().map(of).max().unwrap_or(0);
        let by_steps =
            Held { least: over_steps(|h| h.least), hold: fullest.hold, most: over_steps(|h| h.most) };
        let instant = evidence.steps.instant(step);
        let (peak, at) = match evidence.peaks.get(&destination) {
            None => (by_steps, instant),
            Some(gateway) => {
                let at = Timestamp::from_second(gateway.at).unwrap_or(instant);
                match evidence
                    .peaks_by_client
                    .get(&destination)
                    .filter(|_| uses.joined(destination).is_some())
                {
                    Some(by_client) => (both(range(gateway), range(by_client), whole), at),
                    None => (range(gateway), at),
                }
            }
        };
        // The clients' own interfaces are compared at the steps alone.
        let least = if uses.elsewhere(destination).is_some() { by_steps.least } else { peak.least };
        let peak = Held { least, ..peak };
        Self { steps, peak, at, step }
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

/// What counts are held against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// Ports that can be held towards one destination at once.
    pub(super) capacity: Option<u32>,
    /// Whether the gateway's addresses are known for certain, so that capacity bounds what it held.
    pub(super) certain: bool,
    /// Whether the format shows ends of connections.
    pub(super) ends_visible: bool,
}

impl Scale {
    /// A range with its best estimate.
    ///
    /// Where the format shows ends of connections, a port without one was held until its idle
    /// timeout, so the upper count is the estimate. Where it does not, any of the ports may have
    /// been let go at its last packet; the ends of the range are then often a hundredfold apart, and
    /// the geometric mean errs by the same factor either way.
    pub(super) fn range(self, held: Held, at: Timestamp) -> HeldPorts {
        let bound = self.bound(held.hold);
        let (least, most) = (held.least.min(bound), held.most.max(held.least).min(bound));
        let estimate = if self.ends_visible { held.hold } else { geometric_mean(least, held.hold) };
        HeldPorts { at_least: least, estimate: estimate.clamp(least, most), at_most: most, at }
    }

    /// The same where records are missing: what they would have shown can have been as much as there
    /// are ports.
    pub(super) fn open_range(self, held: Held, at: Timestamp) -> HeldPorts {
        let range = self.range(held, at);
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

fn geometric_mean(least: u32, most: u32) -> u32 {
    let mean = (f64::from(least) * f64::from(most)).sqrt().round() as u32;
    mean.clamp(least, most.max(least))
}
