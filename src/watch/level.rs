//! How full the fullest destinations are, whether they fill up, and when they would be full.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use crate::contract::{DestinationReport, Diagnosis, HeldPorts, TimelineStep};
use crate::network::MetricName;
use crate::words;

/// Destinations of a gateway that are told of.
pub(super) const MAX_LEVELS: usize = 3;

/// With fewer minutes than this there is no trend.
const MIN_STEPS: usize = 4;

/// Minutes before the newest that make the trend: what was before says little of what comes next.
const MAX_STEPS: usize = 8;

/// A destination that grows by less than this part of its capacity in a minute is steady: it would take hours to fill.
const MIN_GROWTH: f64 = 0.002;

/// So near to the newest record, others of the same minute may still be missing.
const NEWEST: SignedDuration = SignedDuration::from_mins(2);

/// A time to come that is farther away than this is no forecast.
const MAX_FORECAST: SignedDuration = SignedDuration::from_hours(12);

/// How full one destination is.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Level {
    /// Its address, port and protocol.
    pub destination: String,
    /// Its protocol's name.
    pub protocol: String,
    /// Its name, where that is known.
    pub name: Option<String>,
    /// Ports held towards it when it was fullest in these minutes.
    pub held: HeldPorts,
    /// Ports that can be held towards it.
    pub capacity: u32,
    /// The estimate as a fraction of the capacity.
    pub utilization: f64,
    /// The same at the time of the look, were it to have gone on filling up since its newest record: flow logs arrive
    /// minutes late.
    pub utilization_by_now: f64,
    /// How it fills up; `null` where it does not, or where the minutes are too few to tell.
    pub filling: Option<Filling>,
    /// Who holds most of its ports; `null` where nobody stands out.
    pub holder: Option<Holder>,
}

/// How a destination fills up.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Filling {
    /// Ports more in each minute: the median over all pairs of minutes.
    pub ports_a_minute: f64,
    /// Minutes that this was seen in.
    pub minutes: u32,
    /// When it is full at the earliest, were it to go on like this.
    #[schemars(with = "String")]
    pub full_from: Timestamp,
    /// When it is full at the latest; `null` where that is more than half a day away.
    #[schemars(with = "Option<String>")]
    pub full_until: Option<Timestamp>,
}

/// Who holds most of a destination's ports.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Holder {
    /// The private address.
    pub address: String,
    /// Who owns it, where that is known.
    pub name: Option<String>,
    /// Its part of the held ports, as a fraction of 1.
    pub share: f64,
}

/// The fullest destinations, the fullest first, as they may be `now`; none where the capacity is not known.
#[must_use]
pub fn levels(diagnosis: &Diagnosis, now: Timestamp) -> Vec<Level> {
    let Some(capacity) = diagnosis.nat_gateways.first().and_then(|gateway| gateway.capacity_per_destination)
    else {
        return Vec::new();
    };
    let counted = Counted::of(diagnosis);
    let until = diagnosis.coverage.logs_until.map(|until| until.min(diagnosis.window.end()));
    let mut levels: Vec<Level> =
        diagnosis.destinations.iter().map(|of| level(of, capacity, counted, until, now)).collect();
    levels.sort_by(|a, b| b.utilization_by_now.total_cmp(&a.utilization_by_now));
    levels.truncate(MAX_LEVELS);
    levels
}

/// What CloudWatch counted says of the estimates. Where no record shows how a connection ended, the range of what is
/// held is wide. But all TCP destinations together hold as many ports as the gateway has TCP connections. Where that is
/// more than the sum of the estimates, each estimate moves up in its range by the same part; where it is less, down.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Counted {
    /// The most TCP connections of these minutes, to all destinations together.
    all: u32,
    /// Where a destination stands between its estimate and its most (above 0) or its least (below 0).
    shift: f64,
}

impl Counted {
    /// `None` where CloudWatch does not tell.
    fn of(diagnosis: &Diagnosis) -> Option<Self> {
        let metric = diagnosis.metrics.iter().find(|metric| {
            metric.name == MetricName::ActiveConnectionCount.as_str() && metric.statistic == "Maximum"
        })?;
        let all = metric.value.max(0.0);
        let tcp = || diagnosis.destinations.iter().filter(|destination| destination.protocol == "tcp");
        // Those that are not listed hold no more than the last one that is, and none holds more than all.
        let unlisted = diagnosis.destinations_seen.saturating_sub(diagnosis.destinations.len() as u64) as f64;
        let sum = |of: fn(&HeldPorts) -> u32| {
            let ports = |destination: &DestinationReport| f64::from(of(&destination.held)).min(all);
            let listed: f64 = tcp().map(ports).sum();
            listed + unlisted * tcp().next_back().map_or(0.0, ports)
        };
        let (least, estimate, most) =
            (sum(|held| held.at_least), sum(|held| held.estimate), sum(|held| held.at_most));
        let shift = if all >= estimate {
            (all - estimate) / (most - estimate).max(1.0)
        } else {
            (all - estimate) / (estimate - least).max(1.0)
        };
        Some(Self { all: all as u32, shift: shift.clamp(-1.0, 1.0) })
    }

    /// The range of one destination's ports, narrowed: at least, estimated and at most.
    fn narrow(self, [least, estimate, most]: [u32; 3]) -> [u32; 3] {
        let room =
            if self.shift > 0.0 { most.saturating_sub(estimate) } else { estimate.saturating_sub(least) };
        let shifted = (f64::from(estimate) + self.shift * f64::from(room)).round() as u32;
        // One destination's connections are among the gateway's.
        [least, shifted.min(self.all).max(least), most.min(self.all).max(least)]
    }
}

fn level(
    destination: &DestinationReport,
    capacity: u32,
    counted: Option<Counted>,
    until: Option<Timestamp>,
    now: Timestamp,
) -> Level {
    let counted = counted.filter(|_| destination.protocol == "tcp");
    let narrow = |range: [u32; 3]| counted.map_or(range, |counted| counted.narrow(range));
    let HeldPorts { at_least, estimate, at_most, at } = destination.held;
    let [at_least, estimate, at_most] = narrow([at_least, estimate, at_most]);
    let held = HeldPorts { at_least, estimate, at_most, at };
    let steps: Vec<TimelineStep> = destination
        .timeline
        .iter()
        // A minute whose records have not all arrived looks like a fall.
        .filter(|step| until.is_some_and(|until| step.at + NEWEST <= until))
        .map(|step| {
            let [held_at_least, held_estimate, held_at_most] =
                narrow([step.held_at_least, step.held_estimate, step.held_at_most]);
            TimelineStep { held_at_least, held_estimate, held_at_most, ..*step }
        })
        .collect();
    let part = |ports: f64| ports / f64::from(capacity.max(1));
    let utilization = part(f64::from(held.estimate));
    let filling = filling(&steps, capacity);
    let by_now = filling.zip(steps.last()).map(|(filling, last)| {
        let minutes = now.duration_since(last.at).as_secs_f64().max(0.0) / 60.0;
        part(f64::from(last.held_estimate) + filling.ports_a_minute * minutes).min(1.0)
    });
    Level {
        destination: words::endpoint(destination.address, destination.port, &destination.protocol),
        protocol: destination.protocol.clone(),
        name: destination.name.clone(),
        held,
        capacity,
        utilization,
        utilization_by_now: by_now.map_or(utilization, |by_now| by_now.max(utilization)),
        filling,
        holder: destination.clients.first().filter(|client| client.stands_out()).map(|client| Holder {
            address: client.address.to_string(),
            name: client.name.clone(),
            share: client.share,
        }),
    }
}

/// How the newest minutes grow: of the longest stretch of them that grows.
fn filling(steps: &[TimelineStep], capacity: u32) -> Option<Filling> {
    let lengths = (MIN_STEPS..=MAX_STEPS.min(steps.len())).rev();
    lengths.map(|length| &steps[steps.len() - length..]).find_map(|steps| growth(steps, capacity))
}

/// How these minutes grow: each pair of them has a slope, and the middle half of the slopes makes the range (Theil and
/// Sen), so that one odd minute does not count.
fn growth(steps: &[TimelineStep], capacity: u32) -> Option<Filling> {
    let last = steps.last()?;
    let mut slopes = Vec::new();
    for (index, early) in steps.iter().enumerate() {
        for late in &steps[index + 1..] {
            let minutes = late.at.duration_since(early.at).as_secs_f64() / 60.0;
            let ports = |step: &TimelineStep| f64::from(step.held_estimate);
            if minutes > 0.0 {
                slopes.push((ports(late) - ports(early)) / minutes);
            }
        }
    }
    slopes.sort_by(f64::total_cmp);
    let quantile = |part: f64| slopes.get((part * (slopes.len() as f64 - 1.0)).round() as usize).copied();
    let (slow, usual, fast) = (quantile(0.25)?, quantile(0.5)?, quantile(0.75)?);
    // What is left to chance is more in few minutes than in many.
    let least = MIN_GROWTH * f64::from(capacity) * (MAX_STEPS as f64 / steps.len() as f64).powi(2);
    if slow <= 0.0 || usual < least {
        return None;
    }
    let full = |held: u32, slope: f64| {
        let minutes = f64::from(capacity.saturating_sub(held)) / slope;
        let ahead = SignedDuration::try_from_secs_f64(minutes * 60.0).ok()?;
        last.at.checked_add(ahead).ok().filter(|_| ahead <= MAX_FORECAST)
    };
    Some(Filling {
        ports_a_minute: usual,
        minutes: steps.len() as u32,
        full_from: full(last.held_at_most, fast)?,
        full_until: full(last.held_at_least, slow),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(held: &[u32]) -> Vec<TimelineStep> {
        let start: Timestamp = "2026-11-18T02:00:00Z".parse().expect("valid");
        let step = |(minute, &held): (usize, &u32)| TimelineStep {
            at: start + SignedDuration::from_mins(minute as i64),
            held_at_least: held,
            held_estimate: held,
            held_at_most: held,
            refused: 0,
        };
        held.iter().enumerate().map(step).collect()
    }

    fn of(held: &[u32]) -> Option<Filling> {
        filling(&steps(held), 55_000)
    }

    #[test]
    fn a_steady_climb_is_full_when_its_line_says_so() {
        let climbing = of(&[40_000, 41_000, 42_000, 43_000, 44_000, 45_000]).expect("it climbs");
        assert!((climbing.ports_a_minute - 1_000.0).abs() < 1e-9);
        // 10,000 more at 1,000 a minute, ten minutes after the sixth.
        let full: Timestamp = "2026-11-18T02:15:00Z".parse().expect("valid");
        assert_eq!((climbing.full_from, climbing.full_until), (full, Some(full)));
    }

    #[test]
    fn one_odd_minute_does_not_make_or_break_a_climb() {
        assert!(of(&[40_000, 40_010, 40_000, 52_000, 40_020, 40_010]).is_none());
        let climbing = of(&[40_000, 41_000, 12_000, 43_000, 44_000, 45_000, 46_000]).expect("it climbs");
        assert!((900.0..=1_100.0).contains(&climbing.ports_a_minute), "{climbing:?}");
    }

    #[test]
    fn what_is_steady_falls_or_is_too_short_has_no_end() {
        assert!(of(&[40_000, 40_050, 40_100, 40_150, 40_200]).is_none(), "50 a minute");
        assert!(of(&[44_000, 43_000, 42_000, 41_000]).is_none());
        assert!(of(&[40_000, 42_000, 44_000]).is_none());
    }
}
