//! What the lives of ports come to, by holder.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::formats::Assumed;
use super::sweep::{HeldChanges, Sweep, highest};
use super::tables::{Interner, Ports};
use crate::evidence::lives::{Holding, Stretch, count_into};
use crate::evidence::port_tables::Chunk;
use crate::evidence::{AtPeak, Destination, Held, OnAddress, Steps, TCP, Tally};
use crate::incident::TimeWindow;

/// What was counted of one side of one destination, by holder.
pub(super) fn tallies(
    ports: &Ports,
    destination: Destination,
    fullest_at: Option<i64>,
    addresses: &Interner,
    assumed: Assumed,
    steps: Steps,
) -> BTreeMap<IpAddr, Tally> {
    let address = |holder: u32| addresses.addresses[holder as usize];
    // Only a beginning that was seen tells that a wait was for an answer.
    let repeats_visible = assumed.ends_visible && destination.protocol == TCP;
    let of_some = |some: &[Chunk]| {
        let mut per_holder: BTreeMap<IpAddr, Tally> = BTreeMap::new();
        // Unpacked once for all that is counted of them.
        let mut holdings = Vec::new();
        for ((holder, _), lives) in some.iter().flatten() {
            holdings.clear();
            holdings.extend(lives.holdings());
            let tally = per_holder.entry(address(*holder)).or_insert_with(|| Tally::empty(steps));
            count(&holdings, repeats_visible, steps, tally);
            if let Some(second) = fullest_at {
                add_at(&holdings, second, tally.at_peak.get_or_insert_default());
            }
        }
        per_holder
    };
    let mut per_holder = ports.lives.sum(of_some, |all, some| {
        for (holder, tally) in some {
            all.entry(holder).or_insert_with(|| Tally::empty(steps)).add(&tally);
        }
    });
    for (holder, volume) in &ports.volumes {
        let tally = per_holder.entry(address(*holder)).or_insert_with(|| Tally::empty(steps));
        tally.sent = volume.sent;
        tally.packets = volume.packets;
        tally.bytes = volume.bytes;
        tally.records = volume.records;
    }
    per_holder
}

/// Adds one port to the tally of its holder.
pub(super) fn count(holdings: &[(Stretch, Holding)], repeats_visible: bool, steps: Steps, tally: &mut Tally) {
    tally.connections += 1;
    let (mut ended, mut answered) = (false, false);
    let stretches = || holdings.iter().map(|(stretch, _)| *stretch);
    for stretch in stretches() {
        ended |= stretch.ended();
        answered |= stretch.unanswered().is_none();
        tally.active_seconds += stretch.active_seconds();
    }
    add_lost(stretches(), repeats_visible, steps, &mut tally.lost_at);
    tally.ended += u64::from(ended);
    tally.unanswered += u64::from(!answered);
    count_into(holdings, steps, &mut tally.held, |stretch| stretch.unanswered().is_none());
    count_into(holdings, steps, &mut tally.silent, |stretch| stretch.unanswered().is_some());
}

/// Adds the first packets of one port that got no answer, each to the step in which it was sent.
pub(super) fn add_lost(
    stretches: impl Iterator<Item = Stretch>,
    repeats_visible: bool,
    steps: Steps,
    lost_at: &mut [u64],
) {
    for stretch in stretches {
        let repeats = if repeats_visible { stretch.repeats() } else { 0 };
        stretch.sent_over(stretch.unanswered().unwrap_or(repeats), |second, packets| {
            if let Some(step) = steps.holding(second) {
                lost_at[step] += packets;
            }
        });
    }
}

/// Adds what one port held at one second, as a [`Sweep`] counts it.
pub(super) fn add_at(holdings: &[(Stretch, Holding)], second: i64, sum: &mut AtPeak) {
    let within = |from: i64, to: i64| u32::from((from..=to).contains(&second));
    for &(stretch, Holding { start, sure, until }) in holdings {
        let held = Held {
            least: sure.map_or(0, |(first, last)| within(first + 1, last)),
            hold: within(start + 1, until),
            most: within(start, until),
        };
        let into = if stretch.unanswered().is_some() { &mut sum.silent } else { &mut sum.held };
        *into = into.plus(held);
    }
}

/// What the holdings of all ports that are `counted` come to: those of answered connections, or of the others, or both.
pub(super) fn changes(
    ports: &Ports,
    window: TimeWindow,
    counted: impl Fn(Stretch) -> bool + Copy + Sync,
) -> HeldChanges {
    let of_some = |some: &[Chunk]| {
        let holdings = some.iter().flatten().flat_map(|(_, lives)| lives.holdings());
        let counted = holdings.filter(|(stretch, _)| counted(*stretch)).map(|(_, held)| held);
        HeldChanges::of(counted, window)
    };
    ports.lives.sum(of_some, HeldChanges::join)
}

/// What the holdings of all ports come to.
pub(super) fn sweep(ports: &Ports, window: TimeWindow) -> Sweep {
    changes(ports, window, |_| true).swept()
}

/// The gateway's address on which most ports were held at once. `all` is the sweep over all of its addresses.
pub(super) fn fullest_address(
    ports: &Ports,
    (window, asked): (TimeWindow, TimeWindow),
    all: &Sweep,
    addresses: &Interner,
) -> Option<OnAddress> {
    let mut used: BTreeMap<u32, usize> = BTreeMap::new();
    for ((holder, _), _) in ports.lives.iter() {
        *used.entry(*holder).or_default() += 1;
    }
    let at_most = |sweep: &Sweep, holder: u32| OnAddress {
        address: addresses.addresses[holder as usize],
        least: highest(&sweep.least, asked).0,
        hold: highest(&sweep.hold, asked).0,
    };
    if used.len() == 1 {
        return used.into_keys().next().map(|holder| at_most(all, holder));
    }
    let on = |holder: u32| {
        let of_holder = ports.lives.iter().filter(move |((of, _), _)| *of == holder);
        let holdings = of_holder.flat_map(|(_, lives)| lives.holdings()).map(|(_, held)| held);
        at_most(&Sweep::over(holdings, window), holder)
    };
    // A gateway has up to eight of them.
    used.into_keys().map(on).max_by_key(|on| (on.hold, std::cmp::Reverse(on.address)))
}

/// First packets that got no answer, on one side of one destination, per step.
pub(super) fn lost_in_steps(
    ports: Option<&Ports>,
    destination: Destination,
    assumed: Assumed,
    steps: Steps,
) -> Vec<u64> {
    let repeats_visible = assumed.ends_visible && destination.protocol == TCP;
    let none = || Tally::empty(steps).lost_at;
    let of_some = |some: &[Chunk]| {
        let mut lost_at = none();
        for (_, lives) in some.iter().flatten() {
            add_lost(lives.stretches(), repeats_visible, steps, &mut lost_at);
        }
        lost_at
    };
    let join = |all: &mut Vec<u64>, some: Vec<u64>| {
        all.iter_mut().zip(some).for_each(|(lost, more)| *lost += more);
    };
    ports.map_or_else(none, |ports| ports.lives.sum(of_some, join))
}
