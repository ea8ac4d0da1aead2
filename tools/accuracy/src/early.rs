//! The early warning on destinations that fill up, and on such as stop before: how long before the first refused
//! connection somebody was told, and how often for nothing.

use std::fmt;

use jiff::Timestamp;
use nat_simulator::{Climb, Record, Simulation};
use nat_triage::diagnosis::Limits;
use nat_triage::evidence::insights::LogsInsights;
use nat_triage::network::{Known, MetricName};
use nat_triage::triage::triage;
use nat_triage::watch::{Connections, Filling, Gate, Memory, Seen, State, Thresholds, Turn, latest, levels};

use crate::evaluator::Evaluator;
use crate::setup::Setup;
use crate::trial::store;
use crate::world;

/// How often the stack's schedule looks.
const EVERY_S: i64 = 300;

/// How late a datapoint of CloudWatch's is taken to be.
const METRIC_LATE_S: i64 = 120;

/// What a plateau comes to, in percent: well below the warning's 80.
const PLATEAU: u32 = 68;

/// A destination that never fills up, and is told of, has to hold so much at least. The estimates have a range.
const TRUE_FROM: f64 = 0.75;

/// What was told in one simulated rise.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Told {
    /// Whether connections were refused in the end.
    pub fills: bool,
    /// Minutes from the warning to the first refused connection; `None` where there was no warning before.
    pub lead_minutes: Option<f64>,
    /// Whether the first forecast of the warning held: the destination was full within it, or up to five minutes
    /// beside it. `None` where none was given, or it never was full.
    pub forecast: Option<bool>,
    /// Whether a destination was told of that does not fill up.
    pub false_alarm: bool,
    /// What the destination had held at most when it was told of, in percent of its ports.
    pub told_at_percent: u32,
    /// How often the flow logs were read.
    pub reads: u32,
    /// How often it was looked at all.
    pub looks: u32,
}

/// The flow logs that are tried.
#[must_use]
pub fn setups() -> Vec<Setup> {
    let names = [
        "v2, VPC, Insights",
        "advised, gateway, Insights",
        "v11, VPC, Insights",
        "v11, VPC, two stats, no if",
    ];
    Setup::all().into_iter().filter(|setup| names.contains(&setup.name)).collect()
}

/// Watches one rise, every five minutes, with what had been delivered by then.
///
/// # Errors
/// When a time is out of range, which none should be.
pub async fn watch(climb: Climb, seed: u64, capacity: u32, setup: &Setup) -> anyhow::Result<Told> {
    let incident = climb.incident(seed, capacity);
    let simulation = incident.simulate();
    let facts = simulation.facts();
    let first_error = facts.errors.first().map(|(minute, _)| *minute);
    let full_at = first_refused(&simulation);
    let subject = incident.destinations[incident.subject].triple;
    let held = simulation.held(subject).unwrap_or_default();
    let ports = incident.gateways[0].capacity(0);
    let records = simulation.records(&setup.view(&incident, 0));
    let mut memory = Memory::default();
    let mut told = Told { fills: first_error.is_some(), ..Told::default() };
    let mut at = facts.start + EVERY_S;
    while at < full_at.unwrap_or(facts.end) {
        told.looks += 1;
        let now = Timestamp::from_second(at)?;
        let seen = look(&simulation, &records, setup, &memory, now, &mut told.reads).await?;
        for (_, turn) in memory.take_in(&seen, Thresholds::default(), now) {
            let Turn::Filling { level, .. } = turn else { continue };
            let until = usize::try_from(at - facts.start)?;
            let most = held.iter().take(until).copied().max().unwrap_or(0);
            told.told_at_percent = told.told_at_percent.max(most * 100 / ports.max(1));
            let is_true = level.destination == subject.to_string()
                && (told.fills || f64::from(most) >= TRUE_FROM * f64::from(ports));
            told.false_alarm |= !is_true;
            if is_true && told.lead_minutes.is_none() {
                told.lead_minutes = full_at.map(|full| (full - at) as f64 / 60.0);
                told.forecast = full_at.zip(level.filling).map(|(full, filling)| holds(filling, full));
            }
        }
        at += EVERY_S;
    }
    Ok(told)
}

/// The first second in which the subject's ports were all held.
fn first_refused(simulation: &Simulation) -> Option<i64> {
    let errors = simulation.facts().errors;
    let incident = simulation.incident();
    let held = simulation.held(incident.destinations[incident.subject].triple)?;
    let ports = incident.gateways[0].capacity(0);
    let full = held.iter().position(|held| *held >= ports)?;
    errors.first()?;
    Some(incident.start + full as i64)
}

fn holds(filling: Filling, full: i64) -> bool {
    const BESIDE_S: i64 = 300;
    let from = filling.full_from.as_second() - BESIDE_S;
    let until = filling.full_until.map_or(i64::MAX, |until| until.as_second().saturating_add(BESIDE_S));
    (from..=until).contains(&full)
}

/// How long before the window records are looked at: as long as a port is held that nobody uses, and more.
const LEAD_S: i64 = 1_200;

async fn look(
    simulation: &Simulation,
    records: &[Record],
    setup: &Setup,
    memory: &Memory,
    now: Timestamp,
    reads: &mut u32,
) -> anyhow::Result<Seen> {
    let facts = simulation.facts();
    let window = latest(now);
    let known = window.start().as_second()..now.as_second() - METRIC_LATE_S;
    let metrics: Vec<_> =
        simulation.metrics().iter().filter(|m| known.contains(&m.minute)).cloned().collect();
    let most = metrics.iter().map(|minute| minute.active_connection_count).max();
    let connections = Connections {
        gateway: facts.gateway_id.parse()?,
        zone: None,
        most,
        capacity: Some(simulation.incident().gateways[0].capacity(0)),
    };
    let state = match memory.gate(&connections, Thresholds::default(), now) {
        Gate::Quiet => State::Quiet,
        Gate::Rest(since) => State::Resting { since },
        Gate::Ask => {
            *reads += 1;
            let asked = connections.ask(window);
            let mut network = world::network(simulation, setup, &asked);
            // The newest datapoints are not there yet.
            if let Some(active) =
                network.metrics.iter_mut().find(|m| m.name == MetricName::ActiveConnectionCount.as_str())
            {
                active.value = most.unwrap_or(0) as f64;
            }
            let from = window.start().as_second() - LEAD_S;
            let there = |record: &&Record| record.delivered_at <= now.as_second() && record.timestamp >= from;
            let there: Vec<Record> = records.iter().filter(there).cloned().collect();
            let store = store(&there);
            let queries = LogsInsights::new(Evaluator::speaking(store, setup.dialect.clone()));
            let limits = Limits { ports_per_address: facts.ports_per_address };
            let diagnosis = triage(asked, &Known(network), &queries, limits).await?.diagnosis;
            State::Read {
                destinations: levels(&diagnosis, now),
                refused: diagnosis.refused_attempts.counted,
                logs_until: diagnosis.coverage.logs_until,
            }
        }
    };
    Ok(Seen {
        watched: connections.watched(),
        connections: most,
        capacity_per_destination: connections.capacity,
        state,
    })
}

/// The rises of one seed: one that fills the destination, and one that stops before.
#[must_use]
pub fn climbs() -> [Climb; 2] {
    [Climb::Full, Climb::To(PLATEAU)]
}

/// How the warnings went, with one flow log.
#[derive(Debug)]
pub struct Row<'a> {
    /// The flow log.
    pub setup: &'a Setup,
    /// What was told in each rise.
    pub told: Vec<Told>,
}

/// The table's head.
pub const HEAD: &str = "| flow log | warned before the first refused connection | minutes before (5 %, median) | forecast held | false alarms | flow logs read, of looks |\n|---|---|---|---|---|---|";

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filled: Vec<&Told> = self.told.iter().filter(|told| told.fills).collect();
        let mut leads: Vec<f64> = filled.iter().filter_map(|told| told.lead_minutes).collect();
        leads.sort_by(f64::total_cmp);
        let quantile = |part: f64| {
            let place = (part * (leads.len() as f64 - 1.0)).round() as usize;
            leads.get(place).map_or("-".to_owned(), |minutes| format!("{minutes:.0}"))
        };
        let forecasts: Vec<bool> = filled.iter().filter_map(|told| told.forecast).collect();
        let held = forecasts.iter().filter(|held| **held).count();
        let sum = |of: fn(&Told) -> u32| self.told.iter().map(of).sum::<u32>();
        write!(
            f,
            "| {} | {} of {} | {}, {} | {held} of {} | {} of {} | {} of {} |",
            self.setup.name,
            leads.len(),
            filled.len(),
            quantile(0.05),
            quantile(0.5),
            forecasts.len(),
            self.told.iter().filter(|told| told.false_alarm).count(),
            self.told.len(),
            sum(|told| told.reads),
            sum(|told| told.looks),
        )
    }
}
