//! `--event`: which incident of an event is looked into, and what is said of the others.

use std::path::Path;

use anyhow::{Context as _, bail};

use nat_triage::alarm::{AlarmError, MAX_INCIDENTS, Outcome};
use nat_triage::gap::Gap;
use nat_triage::incident::{Incident, NatGatewayId};
use nat_triage::words::{self, counted, one_line};

use crate::output;

/// What an event asks for.
pub(crate) enum Asked {
    /// This incident, and these besides.
    Incident { incident: Box<Incident>, others: Vec<Incident> },
    /// Nothing: why.
    Nothing(String),
}

/// Which incident of an event is meant.
#[derive(Clone, Copy, Default)]
pub(crate) struct Meant<'a> {
    /// By its id.
    pub(crate) incident: Option<&'a str>,
    /// By its gateway.
    pub(crate) gateway: Option<&'a NatGatewayId>,
}

/// The incident of an event that is meant, else its first. What of the event cannot be read is told.
pub(crate) fn asked(outcomes: Vec<Outcome>, path: &Path, meant: Meant<'_>) -> anyhow::Result<Asked> {
    let (mut incidents, mut nothing, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for outcome in outcomes {
        match outcome.from_event_alone() {
            Outcome::Composite(composite) => nothing.push(format!("a composite alarm, {}", composite.name)),
            Outcome::Incident(incident) => incidents.push(incident),
            Outcome::Ignored(ignored) => nothing.push(ignored.reason),
            Outcome::Ended(ended) => nothing.push(ended.reason()),
            Outcome::Unusable(error) => errors.push(error),
        }
    }
    if let Some(id) = meant.incident {
        let ids: Vec<String> = incidents.iter().map(Incident::id).collect();
        if !ids.iter().any(|of| of == id) {
            bail!("the event in {} asks for no incident {id:?}, but for: {}", path.display(), ids.join(", "));
        }
    }
    let is_meant = |incident: &Incident| {
        meant.incident.is_none_or(|id| incident.id() == id)
            && meant.gateway.is_none_or(|gateway| incident.gateway.as_ref() == Some(gateway))
    };
    let place = incidents.iter().position(is_meant).unwrap_or(0);
    if incidents.is_empty() {
        return match errors.into_iter().next() {
            Some(error) => Err(explained(error, path)),
            None => {
                let more = nothing.len().saturating_sub(1);
                let more = if more > 0 {
                    format!(" (and {} more)", counted(more as u64, "such part"))
                } else {
                    String::new()
                };
                let reason = nothing.into_iter().next().context("the event holds nothing")?;
                Ok(Asked::Nothing(reason + &more))
            }
        };
    }
    for error in errors {
        output::problem(&format!("passed over: {:#}", explained(error, path)));
    }
    let incident = Box::new(incidents.remove(place));
    let others = if meant.incident.is_some() { Vec::new() } else { incidents };
    Ok(Asked::Incident { incident, others })
}

fn explained(error: AlarmError, path: &Path) -> anyhow::Error {
    let command = error.command().map(|command| format!("; see to it with: {command}"));
    let error = anyhow::Error::new(error);
    let said = format!("failed to understand the event in {}", path.display());
    match command {
        Some(command) => anyhow::anyhow!("{said}: {error:#}{command}"),
        None => error.context(said),
    }
}

/// Says that an event asks for more than one run looks at, and how to ask for each.
pub(crate) fn more(incident: &Incident, others: &[Incident]) -> Option<Gap> {
    if others.is_empty() {
        return None;
    }
    let shown_of = |other: &Incident| format!("--incident {} ({})", other.id(), shown(other));
    let mut each: Vec<String> = others.iter().take(MAX_INCIDENTS).map(shown_of).collect();
    let unnamed = others.len().saturating_sub(MAX_INCIDENTS);
    each.extend((unnamed > 0).then(|| format!("{} more of its ids", words::count(unnamed as u64))));
    Some(Gap::new(
        format!("{} of the same event", counted(others.len() as u64, "more incident")),
        format!("this is the first that was asked for ({}), and one run looks at one", shown(incident)),
        format!("run again with {}", words::list(&each)),
    ))
}

/// An incident in a few words.
fn shown(incident: &Incident) -> String {
    let gateway = incident.gateway.as_ref().map_or("a gateway", NatGatewayId::as_str);
    let zone = incident.zone.as_deref().map_or(String::new(), |zone| format!(" in {}", one_line(zone, 40)));
    let alarm = incident
        .alarm
        .as_ref()
        .map_or(String::new(), |alarm| format!(", alarm {}", one_line(&alarm.name, 80)));
    let window = incident.window.map_or(String::new(), |w| format!(", {}", words::span(w.start(), w.end())));
    format!("{gateway}{zone}{alarm}{window}")
}

/// Which of an alarm's gateways the records of some files are of is not told by them: says so, and makes the
/// incident one of no gateway in particular, in place of those of the same alarm.
pub(crate) fn of_any(incident: &mut Incident, others: &mut Vec<Incident>) -> Gap {
    let mut gateways: Vec<NatGatewayId> = Vec::new();
    let of_alarm = others.extract_if(.., |other| other.alarm == incident.alarm);
    for gateway in std::iter::once(incident.gateway.take()).chain(of_alarm.map(|other| other.gateway)) {
        gateways.extend(gateway.filter(|gateway| !gateways.contains(gateway)));
    }
    let first = gateways.first().map_or("ID", NatGatewayId::as_str);
    Gap::new(
        "which of the alarm's gateways these records are of",
        format!("the alarm is on {} together, and files do not name the gateway", words::list(&gateways)),
        format!("run again with the one that they are of, such as --nat-id {first}"),
    )
}
