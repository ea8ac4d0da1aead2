//! How many connections want a port at once, as a range, and how fast ports are taken.

use super::Shortage;
use crate::contract::{Pattern, TimelineStep};
use crate::network::{IDLE_TIMEOUT_SECONDS, MetricName};
use crate::words;

/// Seconds that a first packet waits for an answer before it is repeated; each wait after it is twice as long.
///
/// Source: RFC 6298, sections 2.1 and 5.5.
const FIRST_WAIT: f64 = 1.0;

/// Connections that want a port at once.
///
/// Every refused connection shows with a port of its client's own, and whoever is refused tries again with
/// another one: all of them at once is the most that was wanted. The least is those that waited at the same time:
/// how many were refused in a second of the worst minute, times the seconds that each went on trying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Demand {
    /// Ports held, and the refused connections that waited for one at the same time.
    pub(super) least: u64,
    /// Ports held, and all refused connections that may have wanted one at the same time.
    pub(super) most: u64,
    /// Connections that were refused.
    pub(super) refused: u64,
    /// Whether more were refused than show.
    pub(super) more_refused: bool,
}

impl Demand {
    pub(super) fn of(shortage: &Shortage<'_>) -> Self {
        let held = u64::from(shortage.top.held.estimate);
        let (refused, at_once, more_refused) = refused(shortage);
        let waiting = waiting(shortage).min(at_once);
        Self { least: held + waiting, most: held + at_once, refused, more_refused }
    }

    /// `between 412 and 650`, `650`.
    pub(super) fn in_words(&self) -> String {
        if self.least == self.most {
            words::count(self.most)
        } else {
            format!("between {} and {}", words::count(self.least), words::count(self.most))
        }
    }
}

/// The refused connections, and the most of them that can have wanted a port at the same time: all of
/// them where connections last; where they are short, those whose lives would have met (rate times
/// mean life); and whether more were refused than show.
///
/// Where connections are short, clients use their own ports again soon, and records show several
/// connections as one: the gateway's own counts of attempts and of those established tell more,
/// and without them the figures are lower bounds.
fn refused(shortage: &Shortage<'_>) -> (u64, u64, bool) {
    let shown = shortage.top.refused_connections;
    if shortage.pattern != Some(Pattern::Churn) {
        return (shown, shown, false);
    }
    let window = shortage.findings.evidence.window.seconds().max(1) as f64;
    let tally = &shortage.top.tally;
    let life = tally.active_seconds as f64 / tally.connections.max(1) as f64;
    let at_once = (shown as f64 * (life / window).min(1.0)).ceil() as u64;
    let count = |name: MetricName| shortage.findings.network.metric(name).map_or(0.0, |metric| metric.value);
    let (attempts, established) =
        (count(MetricName::ConnectionAttemptCount), count(MetricName::ConnectionEstablishedCount));
    if established > 0.0 && attempts - established > shown as f64 {
        let refused = attempts - established;
        let by_metrics = f64::from(shortage.top.held.estimate) * refused / established;
        return (refused as u64, at_once.max(by_metrics.ceil() as u64), false);
    }
    (shown, at_once, true)
}

/// Refused connections that waited for a port at the same time, in the minute in which most were refused.
fn waiting(shortage: &Shortage<'_>) -> u64 {
    let top = shortage.top;
    let attempts = top.timeline.iter().map(|step| step.refused).max().unwrap_or(0);
    if attempts == 0 || top.refused_connections == 0 {
        return 0;
    }
    // A connection of so many attempts waited once for each but the last, every time twice as long.
    let each = (top.refused as f64 / top.refused_connections as f64).max(1.0);
    let wait = FIRST_WAIT * (each - 1.0).exp2().max(2.0) - FIRST_WAIT;
    let seconds = shortage.findings.evidence.steps.seconds().max(1) as f64;
    (attempts as f64 / each / seconds * wait).ceil() as u64
}

/// How fast ports were taken before none was left, in ports a minute; `None` where it was full from the first.
fn ports_taken_a_minute(shortage: &Shortage<'_>) -> Option<f64> {
    let top = shortage.top;
    let fullest = top.held.at.as_second();
    let before: Vec<_> = top.timeline.iter().filter(|step| step.at <= top.held.at).collect();
    // Once it is full, it shows how many ports there are, not how many are wanted.
    let room = f64::from(shortage.capacity) * 0.95;
    let free = |pair: &&[&TimelineStep]| f64::from(pair[0].held_estimate) < room;
    let taken = before.windows(2).enumerate().filter(|(_, pair)| free(pair)).filter_map(|(index, pair)| {
        // The last step shows its fullest second, which is later than its beginning.
        let until = if index + 2 == before.len() { fullest } else { pair[1].at.as_second() };
        let seconds = (until - pair[0].at.as_second()) as f64;
        let more = f64::from(pair[1].held_estimate) - f64::from(pair[0].held_estimate);
        (seconds > 0.0).then(|| more / seconds * 60.0)
    });
    let fastest = taken.fold(0.0, f64::max);
    // What is slower than this is no growth that anything can be told from.
    (fastest >= f64::from(shortage.capacity) / 1_000.0).then_some(fastest)
}

/// Whether at this rate so many idle ports can have been held as were: each was taken within the idle timeout. Over
/// steps of many minutes ports come and go between, and the rate that they show is too low.
fn may_be_its_rate(shortage: &Shortage<'_>, rate: f64) -> bool {
    /// The rate is an estimate.
    const OFF_BY: f64 = 0.9;

    let held = &shortage.top.held;
    let idle = f64::from(held.estimate.saturating_sub(held.at_least));
    rate * IDLE_TIMEOUT_SECONDS as f64 / 60.0 >= idle * OFF_BY
}

/// The part of all ports that abandoned connections may hold at a steady rate for more never to be wanted: the
/// rate is an estimate.
const CERTAINLY_ENOUGH: f64 = 0.8;

/// How long so many free ports of `capacity` last against connections like those that filled the others, in a
/// sentence.
pub(super) fn how_long_it_lasts(shortage: &Shortage<'_>, free: u64, capacity: u64) -> String {
    let rate = ports_taken_a_minute(shortage).filter(|rate| may_be_its_rate(shortage, *rate));
    let Some(rate) = rate else {
        return "How long that lasts does not show: how fast the ports were taken is not in these records."
            .into();
    };
    let a_minute = words::count(rate.round() as u64);
    // An abandoned connection is let go after the idle timeout: at that rate no more are held than it has minutes.
    let idle = rate * IDLE_TIMEOUT_SECONDS as f64 / 60.0;
    if shortage.pattern == Some(Pattern::Leak) && idle <= capacity as f64 * CERTAINLY_ENOUGH {
        return format!(
            "At the {a_minute} ports a minute at which it filled, idle connections hold about {} of {} ports, as each is let go after {IDLE_TIMEOUT_SECONDS} s: that lasts while the rate does not rise.",
            words::count(idle.round() as u64),
            words::count(capacity)
        );
    }
    let minutes = free as f64 / rate;
    let lasts = if minutes < 1.0 {
        "less than a minute".to_owned()
    } else if minutes < 120.0 {
        format!("about {}", words::counted(minutes.round() as u64, "minute"))
    } else {
        format!("about {} hours", words::count((minutes / 60.0).round() as u64))
    };
    format!("At the {a_minute} ports a minute at which it filled, that lasts {lasts}.")
}
