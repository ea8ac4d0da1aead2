//! Destinations that fill up over the better part of an hour, as most do: there is time to tell somebody.

use crate::random::Scale;
use crate::rng::{Rng, mix};
use crate::spec::{Arrivals, Behaviour, GatewayKind, IDLE_TIMEOUT_S, Incident, Pattern, Phase, Route, Span};

/// How full the destination gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Climb {
    /// Connections are refused in the end.
    Full,
    /// It stops at about this part of the capacity, in percent, and stays there.
    To(u32),
}

/// What fills up slowly: the others come within minutes.
const PATTERNS: [Pattern; 4] = [Pattern::LongLived, Pattern::Leak, Pattern::Churn, Pattern::FanIn];

/// The stretches of a rising rate.
const STRETCHES: u32 = 40;

/// How long what has stopped rising goes on.
const PLATEAU_S: u32 = 1_800;

/// What is opened and closed lasts so long: shorter ones would make millions of records in an hour.
const SHORT_MS: Span = Span { min: 10_000, max: 30_000 };

/// Before anything rises.
const LEAD_S: u32 = 600;

impl Climb {
    /// The incident of a seed, with so many ports per address, at least 100. It is about a gateway in one zone, which has
    /// one address.
    ///
    /// # Panics
    /// When the capacity is below 100 or above 55,000.
    #[must_use]
    pub fn incident(self, seed: u64, capacity: u32) -> Incident {
        let mut rng = Rng::new(mix(&[seed, 70]));
        let pattern = *rng.pick(&PATTERNS);
        let of = |nth: u64| {
            let seed = mix(&[seed, 71, nth]) >> 1;
            Incident::random_of(seed, Scale::Reduced { capacity }, pattern, true)
        };
        let fits = |incident: &Incident| {
            incident.gateways[0].kind == GatewayKind::Zonal && incident.gateways[0].addresses.len() == 1
        };
        let mut incident = (0..).map(of).find(fits).expect("many gateways are of this kind");
        incident.unexplained_errors = 0;
        let rise_s = rng.between(1_800, 5_400);
        let demand = f64::from(incident.gateways[0].capacity(0))
            * match self {
                Self::Full => 1.2,
                Self::To(percents) => f64::from(percents) / 100.0,
            };
        let after_s = match self {
            // It is full at five sixths of the rise.
            Self::Full => 0,
            Self::To(_) => PLATEAU_S,
        };
        let (before, after) = (incident.duration_s, LEAD_S + rise_s + after_s);
        incident.duration_s = after;
        let subject = incident.subject;
        for workload in &mut incident.workloads {
            let is_subject = workload.route == Route::Gateway(0)
                && workload.destinations.iter().all(|destination| destination.index == subject);
            if is_subject {
                if let Behaviour::Short { lasts_ms, .. } = &mut workload.behaviour {
                    *lasts_ms = SHORT_MS;
                }
                workload.phases = rise(workload.behaviour, demand, rise_s, after_s);
            } else {
                workload.phases.iter_mut().for_each(|phase| stretch(phase, before, after));
            }
        }
        incident
    }
}

/// The rates that make the held ports rise in a line.
fn rise(behaviour: Behaviour, demand: f64, rise_s: u32, after_s: u32) -> Vec<Phase> {
    let held_s = match behaviour {
        Behaviour::Short { lasts_ms, .. } => lasts_ms.mean() / 1_000.0,
        Behaviour::Leak { used_ms, .. } => f64::from(IDLE_TIMEOUT_S) + used_ms.mean() / 1_000.0,
        // What is kept adds up by itself.
        _ => {
            let arrivals = Arrivals::Poisson { per_second: demand / f64::from(rise_s) };
            return vec![Phase { from_s: LEAD_S, to_s: LEAD_S + rise_s, arrivals }];
        }
    };
    let stretch_s = rise_s / STRETCHES;
    let mut phases: Vec<Phase> = (0..STRETCHES)
        .map(|stretch| Phase {
            from_s: LEAD_S + stretch * stretch_s,
            to_s: LEAD_S + (stretch + 1) * stretch_s,
            arrivals: Arrivals::Poisson {
                per_second: demand / held_s * f64::from(stretch + 1) / f64::from(STRETCHES),
            },
        })
        .collect();
    let last = phases.last_mut().expect("there are stretches");
    last.to_s = LEAD_S + rise_s + after_s;
    phases
}

/// What went on all the time goes on all the time, with as many connections in all.
fn stretch(phase: &mut Phase, before: u32, after: u32) {
    if phase.to_s == before {
        phase.to_s = after;
    }
    match &mut phase.arrivals {
        Arrivals::Bursts { every_s, .. } if *every_s == before => *every_s = after,
        Arrivals::Bursts { .. } => {}
        Arrivals::Poisson { per_second } => *per_second *= f64::from(before) / f64::from(after),
    }
}
