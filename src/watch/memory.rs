//! What one look leaves to the next: what readers were told, when flow logs were read last, and how much of them today.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::incident::NatGatewayId;

use super::{Connections, Gate, Level, Seen, State, Thresholds, Turn, Watched};

/// How long what was read is believed, where the gateway has not got enough connections since to fill a destination.
const REST: SignedDuration = SignedDuration::from_mins(30);

/// How long readers who know that watching stopped for a day are not told of another day.
const PAUSE_OF_STOPS: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A destination that readers know of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warned {
    #[serde(flatten)]
    watched: Watched,
    destination: String,
    protocol: String,
    since: Timestamp,
    /// Whether connections had been refused by then: the alarm's own report says so, and no warning.
    by_alarm: bool,
}

/// When the flow logs of a gateway were read last, and what was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Read {
    #[serde(flatten)]
    watched: Watched,
    at: Timestamp,
    /// Ports that the fullest destination held at the very most.
    most_held: u32,
    /// The gateway's TCP connections then.
    connections: u64,
}

/// What one look leaves to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    warned: Vec<Warned>,
    read: Vec<Read>,
    /// The day, in UTC, as days since 1970.
    day: i64,
    /// Bytes that were scanned on that day.
    scanned: u64,
    /// When readers were told last that watching had stopped for a day.
    #[serde(default)]
    told_of_stop: Option<Timestamp>,
}

fn day_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(24 * 3600)
}

impl Memory {
    /// What to do about a gateway.
    #[must_use]
    pub fn gate(&self, connections: &Connections, thresholds: Thresholds, now: Timestamp) -> Gate {
        let watched = connections.watched();
        let known = || self.warned.iter().filter(|one| one.watched == watched);
        // The metric counts TCP connections only.
        if connections.are_below(thresholds.clear) == Some(true) && known().all(|one| one.protocol == "tcp") {
            return Gate::Quiet;
        }
        let rests = |read: &&Read| {
            let (Some(most), Some(capacity)) = (connections.most, connections.capacity) else { return false };
            let since = now.duration_since(read.at);
            // Even if all new connections went to one destination, it would be below the warning.
            let grown = u64::from(read.most_held) + most.saturating_sub(read.connections);
            SignedDuration::ZERO <= since
                && since < REST
                && (grown as f64) < f64::from(capacity) * thresholds.warn
        };
        let read = self.read.iter().find(|read| read.watched == watched).filter(rests);
        match read.filter(|_| known().next().is_none()) {
            Some(read) => Gate::Rest(read.at),
            None => Gate::Ask,
        }
    }

    /// Bytes that may still be scanned on the day of `now`, of so many in a day.
    #[must_use]
    pub fn bytes_left(&self, bytes_a_day: u64, now: Timestamp) -> u64 {
        let scanned = if self.day == day_of(now) { self.scanned } else { 0 };
        bytes_a_day.saturating_sub(scanned)
    }

    /// Counts what was scanned.
    pub fn add_scanned(&mut self, bytes: u64, now: Timestamp) {
        let scanned = if self.day == day_of(now) { self.scanned } else { 0 };
        (self.day, self.scanned) = (day_of(now), scanned.saturating_add(bytes));
    }

    /// Whether readers have to be told that watching has stopped until tomorrow: once a week, for a limit that is too low
    /// is so every day.
    pub fn tell_of_stop(&mut self, now: Timestamp) -> bool {
        let known = self.told_of_stop.is_some_and(|told| now.duration_since(told) < PAUSE_OF_STOPS);
        if !known {
            self.told_of_stop = Some(now);
        }
        !known
    }

    /// Takes in what was seen of a gateway. What has become of its destinations, each with the time since when readers
    /// are told of it, is what they have to be told.
    pub fn take_in(&mut self, seen: &Seen, thresholds: Thresholds, now: Timestamp) -> Vec<(Timestamp, Turn)> {
        let watched = &seen.watched;
        match &seen.state {
            State::Resting { .. } | State::Unknown { .. } => Vec::new(),
            // Without a record nothing is known.
            State::Read { logs_until: None, .. } => Vec::new(),
            State::Quiet => {
                let over = self.forget(|one| one.watched == *watched).into_iter();
                over.map(|one| room_again(one, None, seen.connections)).collect()
            }
            State::Read { destinations, refused, .. } => {
                self.read.retain(|read| read.watched != *watched);
                self.read.push(Read {
                    watched: watched.clone(),
                    at: now,
                    most_held: destinations.iter().map(|level| level.held.at_most).max().unwrap_or(0),
                    connections: seen.connections.unwrap_or(0),
                });
                let level = |destination: &str| destinations.iter().find(|l| l.destination == destination);
                // One that is not among the fullest is emptier than these.
                let fell = |one: &Warned| {
                    let level = level(&one.destination).or(destinations.last());
                    level.is_none_or(|level| level.utilization_by_now < thresholds.clear)
                };
                let over = self.forget(|one| one.watched == *watched && fell(one)).into_iter();
                let mut turns: Vec<(Timestamp, Turn)> = over
                    .map(|one| {
                        let now = level(&one.destination).cloned();
                        room_again(one, now, None)
                    })
                    .collect();
                for level in destinations.iter().filter(|level| level.utilization_by_now >= thresholds.warn) {
                    let is_of =
                        |one: &Warned| one.watched == *watched && one.destination == level.destination;
                    if self.warned.iter().any(is_of) {
                        continue;
                    }
                    let by_alarm = refused.is_some_and(|refused| refused > 0.0);
                    self.warned.push(Warned {
                        watched: watched.clone(),
                        destination: level.destination.clone(),
                        protocol: level.protocol.clone(),
                        since: now,
                        by_alarm,
                    });
                    if !by_alarm {
                        turns.push((now, Turn::Filling { level: level.clone(), refused: *refused }));
                    }
                }
                turns
            }
        }
    }

    /// Forgets the gateways that are not among these, which are all that there are. What readers were told of them is over:
    /// each with the time since when they are told of it.
    pub fn forget_others(&mut self, there_are: &[NatGatewayId]) -> Vec<(Watched, Timestamp, Turn)> {
        let is_there = |watched: &Watched| there_are.iter().any(|id| id.as_str() == watched.gateway);
        self.read.retain(|read| is_there(&read.watched));
        let gone = self.forget(|one| !is_there(&one.watched)).into_iter();
        gone.map(|one| (one.watched, one.since, Turn::Gone { destination: one.destination })).collect()
    }

    /// Forgets the warnings that are over; those that readers know of are what they have to be told.
    fn forget(&mut self, is_over: impl Fn(&Warned) -> bool) -> Vec<Warned> {
        let (over, left): (Vec<Warned>, Vec<Warned>) =
            std::mem::take(&mut self.warned).into_iter().partition(|one| is_over(one));
        self.warned = left;
        over.into_iter().filter(|one| !one.by_alarm).collect()
    }
}

/// That a destination has room again, with the time since when readers are told of it.
fn room_again(over: Warned, now: Option<Level>, connections: Option<u64>) -> (Timestamp, Turn) {
    (over.since, Turn::RoomAgain { destination: over.destination, now, connections })
}
