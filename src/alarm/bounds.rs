//! How much one event may ask for: whoever may send one must not make a hundred scans and mails of it.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::shapes::short;
use super::{AlarmError, Outcome};
use crate::incident::{Incident, NatGatewayId, TimeWindow};

/// The same without those of a transition that another before them is of.
#[must_use]
pub fn asked_once(outcomes: impl IntoIterator<Item = Outcome>) -> Vec<Outcome> {
    let mut ids: HashSet<String> = HashSet::new();
    outcomes.into_iter().filter(|outcome| outcome.id().is_none_or(|id| ids.insert(id))).collect()
}

/// Most incidents of one event that are looked into: an alarm may have as many metrics, and a queue hands over as
/// many messages at once.
pub const MAX_INCIDENTS: usize = 10;

/// Leaves one incident of each gateway and zone about the same minutes, whichever alarms told of it, and
/// [`MAX_INCIDENTS`] of all; where there are more, it is said once which were not looked at.
pub fn bound(outcomes: &mut Vec<Outcome>) -> Option<Beyond> {
    let mut windows: HashMap<(Option<NatGatewayId>, Option<String>), Vec<TimeWindow>> = HashMap::new();
    outcomes.retain(|outcome| {
        let Outcome::Incident(Incident { gateway, zone, window: Some(window), .. }) = outcome else {
            return true;
        };
        let of_place = windows.entry((gateway.clone(), zone.clone())).or_default();
        let is_new = !of_place.iter().any(|other| other.overlaps(*window));
        of_place.extend(is_new.then_some(*window));
        is_new
    });
    let is_work = |outcome: &Outcome| matches!(outcome, Outcome::Incident(_) | Outcome::Ended(_));
    let mut met = 0;
    let beyond: Vec<Outcome> = outcomes
        .extract_if(.., |outcome| {
            met += usize::from(is_work(outcome));
            is_work(outcome) && met > MAX_INCIDENTS
        })
        .collect();
    (!beyond.is_empty()).then(|| {
        let mut gateways: Vec<NatGatewayId> = Vec::new();
        for outcome in &beyond {
            let of: Vec<&NatGatewayId> = match outcome {
                Outcome::Incident(incident) => incident.gateway.iter().collect(),
                Outcome::Ended(ended) => ended.gateways.iter().map(|of| &of.id).collect(),
                _ => Vec::new(),
            };
            gateways.extend(of.into_iter().take(MAX_INCIDENTS.saturating_sub(gateways.len())).cloned());
        }
        gateways.dedup();
        Beyond { number: beyond.len(), gateways }
    })
}

/// What one event asks for beyond what is looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beyond {
    /// How many incidents.
    pub number: usize,
    /// The gateways of the first of them.
    pub gateways: Vec<NatGatewayId>,
}

/// How far in the future an alarm may be by a clock that is wrong.
const MAX_AHEAD: SignedDuration = SignedDuration::from_hours(1);

impl Outcome {
    /// The same at this time of day: an alarm that is yet to come can't be looked into, as nothing is logged of its
    /// minutes however long one waits.
    #[must_use]
    pub fn as_of(self, now: Timestamp) -> Self {
        match self {
            Self::Incident(Incident { alarm: Some(alarm), window: Some(window), .. })
                if window.end().duration_since(now) > MAX_AHEAD =>
            {
                Self::Unusable(AlarmError::NotYet { alarm: short(&alarm.name), until: window.end() })
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::Ignored;

    fn incident(gateway: usize, zone: Option<&str>, window: &str, alarm: &str) -> Outcome {
        let window: TimeWindow = window.parse().expect("a window");
        let alarm = crate::incident::Alarm {
            name: alarm.into(),
            arn: None,
            account: None,
            region: None,
            state: "ALARM".into(),
            at: window.end(),
            metric_account: None,
            contributor: None,
            muted: None,
        };
        Outcome::Incident(Incident {
            alarm: Some(alarm),
            gateway: format!("nat-{gateway:017x}").parse().ok(),
            zone: zone.map(str::to_owned),
            window: Some(window),
            ..Incident::default()
        })
    }

    const NIGHT: &str = "2026-11-18T02:00:00Z/2026-11-18T02:10:00Z";

    #[test]
    fn one_gateway_and_zone_is_asked_about_once_in_the_same_minutes() {
        let overlapping = "2026-11-18T02:05:00Z/2026-11-18T02:15:00Z";
        let later = "2026-11-18T04:00:00Z/2026-11-18T04:10:00Z";
        let mut asked = vec![
            incident(1, None, NIGHT, "a"),
            incident(1, None, overlapping, "b"),
            incident(1, Some("eu-west-1a"), NIGHT, "a"),
            incident(1, None, later, "a"),
            incident(2, None, NIGHT, "a"),
        ];
        assert_eq!(bound(&mut asked), None);
        let places: Vec<_> = asked.iter().map(|outcome| outcome.alarm().map(|a| a.at.to_string())).collect();
        assert_eq!(places.len(), 4, "{places:?}");
    }

    #[test]
    fn an_event_about_a_thousand_gateways_is_bounded() {
        let ignored = || Outcome::Ignored(Ignored { reason: String::new() });
        let all = (0..1_000).flat_map(|n| [ignored(), incident(n, None, NIGHT, "a")]);
        let mut outcomes = asked_once(all);
        let beyond = bound(&mut outcomes).expect("too many");
        let left = outcomes.iter().filter(|outcome| outcome.alarm().is_some()).count();
        assert_eq!((left, beyond.number, beyond.gateways.len()), (MAX_INCIDENTS, 990, MAX_INCIDENTS));
        assert_eq!(bound(&mut outcomes), None);
    }

    #[test]
    fn an_alarm_of_minutes_to_come_is_not_waited_for() {
        let now: Timestamp = "2026-11-18T02:09:00Z".parse().expect("a time");
        assert!(matches!(incident(1, None, NIGHT, "a").as_of(now), Outcome::Incident(_)));
        let ahead = "2099-11-18T02:00:00Z/2099-11-18T02:10:00Z";
        let Outcome::Unusable(error) = incident(1, None, ahead, "a").as_of(now) else { panic!("waited for") };
        assert!(error.to_string().contains("yet to come"), "{error}");
    }
}
