//! After an alarm: whether ports are free again, or only the errors have stopped.
//!
//! Pure: two diagnoses in, what they come to out. The one is of the minutes that the alarm counted, the other of the last
//! minute before the alarm went back to OK.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::contract::{DestinationReport, Diagnosis, HeldPorts};
use crate::flow::{Field, LogFormat};
use crate::network::{MetricName, Network};
use crate::words::{self, count, counted};

/// A destination that holds less than this part of its capacity has room again. Above it, connections of a few minutes
/// fill the rest.
pub(crate) const MAX_FREED: f64 = 0.8;

/// Whether ports are free again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Relief {
    /// They are: the incident is over.
    Freed,
    /// The evidence leaves it open.
    CannotTell,
    /// They are not: only the errors have stopped.
    StillFull,
}

impl Relief {
    /// As JSON and the message's attributes have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Freed => "freed",
            Self::CannotTell => "cannot-tell",
            Self::StillFull => "still-full",
        }
    }
}

/// A gateway's state when its alarm went back to OK.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Recovery {
    /// The gateway.
    pub gateway: String,
    /// The id of the alarm's own report, and of several alarms that were told as one incident, of the first one's; `null`
    /// where the event does not tell.
    pub incident_id: Option<String>,
    /// When the alarm fired; `null` where the event does not tell.
    #[schemars(with = "Option<String>")]
    pub began: Option<Timestamp>,
    /// Whether ports are free again.
    pub relief: Relief,
    /// The destination that this is about; `null` where none shows.
    pub destination: Option<Compared>,
    /// Errors that CloudWatch counted in the minutes of the alarm's own report; `null` where that is not known.
    pub refused_then: Option<f64>,
    /// Errors that CloudWatch counted from the first minute of the alarm's own report until the alarm went back to OK;
    /// `null` where that is not known.
    pub refused_in_all: Option<RefusedInAll>,
    /// The most TCP connections that the gateway had in the last minute, to all destinations together; `null` where
    /// that is not known.
    pub connections_now: Option<u64>,
    /// What has changed around the gateway since the alarm's own report, in words. Nothing proves that any of it helped.
    pub changes: Vec<String>,
}

/// Errors over the whole of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct RefusedInAll {
    /// The sum of `ErrorPortAllocation`.
    pub errors: f64,
    /// From when.
    #[schemars(with = "String")]
    pub from: Timestamp,
    /// Until when.
    #[schemars(with = "String")]
    pub until: Timestamp,
    /// The minute with most of them; `null` where that is not known.
    #[schemars(with = "Option<String>")]
    pub most_at: Option<Timestamp>,
}

/// Ports held to one destination, then and now.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Compared {
    /// Its address, port and protocol.
    pub name: String,
    /// When it was fullest in the minutes of the alarm's own report; `null` where that is not known.
    pub then: Option<HeldPorts>,
    /// In the last minute before the alarm went back to OK; `null` where the flow logs do not tell.
    pub now: Option<HeldPorts>,
    /// Ports that can be held towards it now; `null` where that is not known.
    pub capacity: Option<u32>,
}

/// One look at a gateway: a diagnosis, and the network that it was made with.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// The diagnosis.
    pub diagnosis: &'a Diagnosis,
    /// What stood around the gateway.
    pub network: &'a Network,
}

impl Look<'_> {
    fn capacity(&self) -> Option<u32> {
        self.diagnosis.nat_gateways.first()?.capacity_per_destination
    }

    /// Whether its records show ends of connections.
    fn shows_ends(&self) -> bool {
        let formats = &self.diagnosis.coverage.formats;
        let parsed = formats.iter().map(|format| format.parse::<LogFormat>());
        let with_flags = parsed.filter(|format| format.as_ref().is_ok_and(|f| f.has(Field::TcpFlags)));
        !formats.is_empty() && with_flags.count() == formats.len()
    }

    /// Whether every record of its minutes was read, and there was one.
    fn is_whole(&self) -> bool {
        self.diagnosis.coverage.complete && self.diagnosis.coverage.records_read > 0
    }

    /// What was held to a destination; nothing where the list of all of them does not have it.
    fn held_to(&self, destination: &DestinationReport) -> Option<HeldPorts> {
        let listed = &self.diagnosis.destinations;
        match listed.iter().find(|other| same(other, destination)) {
            Some(found) => Some(found.held),
            // The lists are in the order of what was held.
            None if self.is_whole() && self.diagnosis.destinations_seen > listed.len() as u64 => {
                listed.last().map(|last| HeldPorts { at_least: 0, ..last.held })
            }
            None if self.is_whole() => {
                Some(HeldPorts { at: self.diagnosis.window.start(), ..HeldPorts::default() })
            }
            None => None,
        }
    }
}

fn same(one: &DestinationReport, other: &DestinationReport) -> bool {
    (one.address, one.port, &one.protocol) == (other.address, other.port, &other.protocol)
}

fn name(destination: &DestinationReport) -> String {
    words::endpoint(destination.address, destination.port, &destination.protocol)
}

/// Compares the alarm's own report, where it was kept, with a look at the last minute, where one could be made.
#[must_use]
pub fn compare(gateway: &str, then: Option<Look<'_>>, now: Option<Look<'_>>) -> Recovery {
    let capacity = now.as_ref().and_then(Look::capacity);
    let part = |ports: u32| capacity.map(|capacity| f64::from(ports) / f64::from(capacity.max(1)));
    let is_below = |ports: u32| part(ports).map(|part| part < MAX_FREED);
    let connections_now = now.and_then(|now| {
        let metric = now.network.metric(MetricName::ActiveConnectionCount)?;
        Some(metric.value.max(0.0).round() as u64)
    });
    // The one that the report was about; else the fullest one now.
    let of_report = then.and_then(|then| then.diagnosis.in_question());
    // Where no record shows an end, what was closed looks held for a while, and only the lower end of the range counts.
    let full_now = now.and_then(|now| {
        let shows_ends = now.shows_ends();
        let held = |one: &DestinationReport| if shows_ends { one.held.estimate } else { one.held.at_least };
        now.diagnosis.destinations.iter().find(|one| is_below(held(one)) == Some(false))
    });
    let about = full_now.or(of_report).or_else(|| now.and_then(|now| now.diagnosis.in_question()));
    let held_now = about.and_then(|about| now?.held_to(about));
    let few =
        connections_now.is_some_and(|all| is_below(u32::try_from(all).unwrap_or(u32::MAX)) == Some(true));
    let rules_out = |one: &DestinationReport| few && one.protocol == "tcp";
    let few_in_all = of_report.is_some_and(rules_out);
    let relief = if full_now.is_some_and(rules_out) {
        // The flow logs and CloudWatch contradict each other.
        Relief::CannotTell
    } else if full_now.is_some() {
        Relief::StillFull
    } else if few_in_all
        || held_now.is_some_and(|held| is_below(held.at_most) == Some(true))
            && now.is_some_and(|now| now.is_whole())
    {
        Relief::Freed
    } else {
        Relief::CannotTell
    };
    Recovery {
        gateway: gateway.to_owned(),
        incident_id: None,
        began: None,
        relief,
        destination: about.map(|about| Compared {
            name: name(about),
            then: then.and_then(|then| {
                then.diagnosis.destinations.iter().find(|other| same(other, about)).map(|found| found.held)
            }),
            now: held_now,
            capacity,
        }),
        refused_then: then.and_then(|then| then.diagnosis.refused_attempts.counted),
        refused_in_all: None,
        connections_now,
        changes: match (then, now) {
            (Some(then), Some(now)) => changes(then, now),
            _ => Vec::new(),
        },
    }
}

/// What is other than it was, as far as both looks saw it.
fn changes(then: Look<'_>, now: Look<'_>) -> Vec<String> {
    let mut changes = Vec::new();
    let usable = |look: Look<'_>| look.network.gateway.usable_addresses(None);
    let (before, after) = (usable(then), usable(now));
    if before != after && before > 0 && after > 0 {
        changes.push(format!("{after} of the gateway's addresses take connections, instead of {before}"));
    }
    let gateway_endpoints = |look: Look<'_>| {
        let all = look.network.gateway_endpoints.as_ref()?;
        let standing = all.iter().filter(|endpoint| endpoint.stands());
        Some(standing.map(|endpoint| (endpoint.id.clone(), endpoint.service_name.clone())).collect())
    };
    let interface_endpoints = |look: Look<'_>| {
        let all = look.network.interface_endpoints.as_ref()?;
        let standing = all.iter().filter(|endpoint| endpoint.stands());
        Some(standing.map(|endpoint| (endpoint.id.clone(), endpoint.service_name.clone())).collect())
    };
    let gateways = |look: Look<'_>| {
        let all = look.network.siblings.as_ref()?;
        Some(all.iter().map(|sibling| (sibling.id.to_string(), String::new())).collect())
    };
    for (id, service) in added(gateway_endpoints(then), gateway_endpoints(now)) {
        changes.push(format!("the gateway endpoint {id} for {service} is new"));
    }
    for (id, service) in added(interface_endpoints(then), interface_endpoints(now)) {
        changes.push(format!("the interface endpoint {id} for {service} is new"));
    }
    for (id, _) in added(gateways(then), gateways(now)) {
        changes.push(format!("the NAT gateway {id} is new in the VPC"));
    }
    let routed = |look: Look<'_>| {
        let (id, tables) = (look.network.gateway.id.as_ref()?, look.network.route_tables.as_ref()?);
        let leads_here = tables.iter().filter(|table| table.routes.iter().any(|r| r.target == id.as_str()));
        Some(leads_here.count() as u64)
    };
    if let (Some(before), Some(after)) = (routed(then), routed(now))
        && before != after
    {
        let lead = if after == 1 { "leads" } else { "lead" };
        changes.push(format!("{} {lead} to the gateway, instead of {before}", counted(after, "route table")));
    }
    changes.extend(greatest_holder(then, now));
    changes
}

/// Ids, each with what is said of it.
type Named = Vec<(String, String)>;

/// What there was not before.
fn added(before: Option<Named>, after: Option<Named>) -> Named {
    let (Some(before), Some(mut after)) = (before, after) else { return Vec::new() };
    after.retain(|new| !before.iter().any(|old| old.0 == new.0));
    after
}

/// What has become of the client that held most.
fn greatest_holder(then: Look<'_>, now: Look<'_>) -> Option<String> {
    let about = then.diagnosis.in_question()?;
    let before = about.clients.first().filter(|client| client.stands_out())?;
    let to = name(about);
    let held = now.diagnosis.destinations.iter().find(|other| same(other, about));
    let after = held.and_then(|held| held.clients.iter().find(|client| client.address == before.address));
    let (client, was) = (before.address, count(u64::from(before.held.estimate)));
    match after {
        Some(after) => Some(format!(
            "{client} held {was} ports to {to}, and holds {} now",
            count(u64::from(after.held.estimate))
        )),
        // A list that is cut does not show who is in it no more.
        None if now.is_whole() && held.is_none_or(|held| held.clients_seen <= held.clients.len() as u64) => {
            Some(format!("{client} held {was} ports to {to}, and shows with none now"))
        }
        None => None,
    }
}
