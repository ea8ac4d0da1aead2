//! What really happened: the answers that a diagnosis is measured against.
//!
//! Taken from the engine's own counts, never from flow-log records.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::engine::{NONE, Outcome};
use crate::spec::{GatewayKind, Incident, Pattern, Route, Triple};

/// The answers, for the incident's first gateway.
#[derive(Clone, Debug)]
pub struct Truth {
    /// What the incident was meant to be.
    pub pattern: Pattern,
    /// The destination that ran out of ports (most refused attempts), if any did.
    pub exhausted: Option<Triple>,
    /// The client that held most ports towards the incident's subject at its peak.
    pub worst_client: Option<IpAddr>,
    /// Every destination used through the gateway; the highest peak first.
    pub destinations: Vec<DestinationTruth>,
    /// First packets that found no port: the sum of `ErrorPortAllocation` without unexplained ones.
    pub refused: u64,
    /// Attempts that never left a client because its own ports were used up.
    pub local_failures: u64,
}

impl Truth {
    /// What is known about one destination.
    pub fn destination(&self, triple: Triple) -> Option<&DestinationTruth> {
        self.destinations.iter().find(|destination| destination.triple == triple)
    }
}

/// One destination.
#[derive(Clone, Debug)]
pub struct DestinationTruth {
    /// Which.
    pub triple: Triple,
    /// Ports that clients can hold towards it: of the whole gateway, or, for a regional one, of the
    /// zone that holds most.
    pub capacity: u32,
    /// Most ports held at once, over all zones.
    pub peak: u32,
    /// The second, since 1970, in which the peak was first reached.
    pub peak_at: i64,
    /// First packets that found no port.
    pub refused: u64,
    /// Attempts to connect, repetitions of a SYN not counted.
    pub attempts: u64,
    /// Who; the most ports at the peak first, then the most refused, then by address.
    pub clients: Vec<ClientTruth>,
    /// Peaks by zone. One entry unless the gateway is regional.
    pub zones: Vec<ZoneTruth>,
}

impl DestinationTruth {
    /// Highest share of a capacity that was held, over the zones.
    pub fn utilization(&self) -> f64 {
        self.zones
            .iter()
            .map(|zone| f64::from(zone.peak) / f64::from(zone.capacity.max(1)))
            .fold(0.0, f64::max)
    }
}

/// One client of one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTruth {
    /// Which.
    pub address: IpAddr,
    /// Ports held at the destination's peak.
    pub held: u32,
    /// First packets that found no port.
    pub refused: u64,
    /// Attempts to connect.
    pub attempts: u64,
}

/// One destination seen from one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneTruth {
    /// The zone's name; `None` where the gateway has one capacity for all.
    pub zone: Option<String>,
    /// Ports that the zone's clients can hold.
    pub capacity: u32,
    /// Most ports held at once.
    pub peak: u32,
}

pub(crate) fn truth(incident: &Incident, outcome: &Outcome) -> Truth {
    let mut clients: Vec<BTreeMap<u32, ClientTruth>> = vec![BTreeMap::new(); incident.destinations.len()];
    for connection in &outcome.connections {
        let through = incident.workloads[connection.workload as usize].route == Route::Gateway(0);
        if !through || connection.client == NONE {
            continue;
        }
        let destination = connection.destination as usize;
        let client = clients[destination].entry(connection.client).or_insert_with(|| ClientTruth {
            address: incident.clients[connection.client as usize].address,
            held: 0,
            refused: 0,
            attempts: 0,
        });
        client.attempts += 1;
        client.refused += u64::from(connection.refused);
        client.held += u32::from(connection.holds_at(outcome.peaks[destination].at_ms));
    }

    let mut destinations: Vec<DestinationTruth> = clients
        .into_iter()
        .enumerate()
        .filter(|(_, clients)| !clients.is_empty())
        .map(|(index, clients)| {
            let peak = outcome.peaks[index];
            let zones = zones(incident, outcome, index);
            let fullest = zones
                .iter()
                .max_by(|a, b| {
                    let share = |z: &ZoneTruth| u64::from(z.peak);
                    (share(a) * u64::from(b.capacity)).cmp(&(share(b) * u64::from(a.capacity)))
                })
                .expect("a gateway serves some zone");
            let mut clients: Vec<ClientTruth> = clients.into_values().collect();
            clients.sort_by(|a, b| {
                b.held.cmp(&a.held).then(b.refused.cmp(&a.refused)).then(a.address.cmp(&b.address))
            });
            DestinationTruth {
                triple: incident.destinations[index].triple,
                capacity: fullest.capacity,
                peak: peak.peak,
                peak_at: incident.start + i64::from(peak.at_ms / 1000),
                refused: clients.iter().map(|client| client.refused).sum(),
                attempts: clients.iter().map(|client| client.attempts).sum(),
                clients,
                zones,
            }
        })
        .collect();
    destinations.sort_by(|a, b| b.peak.cmp(&a.peak).then(a.triple.cmp(&b.triple)));

    let exhausted = destinations
        .iter()
        .filter(|destination| destination.refused > 0)
        .max_by_key(|destination| destination.refused)
        .map(|destination| destination.triple);
    let subject = incident.destinations[incident.subject].triple;
    Truth {
        pattern: incident.pattern,
        exhausted,
        worst_client: destinations
            .iter()
            .find(|destination| destination.triple == subject)
            .and_then(|destination| destination.clients.first())
            .map(|client| client.address),
        refused: destinations.iter().map(|destination| destination.refused).sum(),
        local_failures: outcome.local_failures,
        destinations,
    }
}

fn zones(incident: &Incident, outcome: &Outcome, destination: usize) -> Vec<ZoneTruth> {
    let gateway = &incident.gateways[0];
    if gateway.kind != GatewayKind::Regional {
        return vec![ZoneTruth {
            zone: None,
            capacity: gateway.capacity(0),
            peak: outcome.peaks[destination].peak,
        }];
    }
    incident
        .zones
        .iter()
        .enumerate()
        .map(|(index, zone)| ZoneTruth {
            zone: Some(zone.name.clone()),
            capacity: gateway.capacity(index),
            peak: outcome.zone_peaks[destination * incident.zones.len() + index].peak,
        })
        .collect()
}
