//! An incident that has been played out, and what can be asked of it.

use std::io;
use std::net::IpAddr;

use crate::engine::{self, Connection, Outcome};
use crate::flow_log::{self, Record, View};
use crate::metrics::MinuteMetrics;
use crate::spec::{GatewayKind, Incident, NatAddress, Route, Triple};
use crate::truth::{Truth, truth};

impl Incident {
    /// Plays the incident out. The same incident gives the same outcome, to the byte.
    ///
    /// # Panics
    ///
    /// When the incident contradicts itself: a destination or client listed twice, a gateway
    /// without the addresses of its kind.
    pub fn simulate(&self) -> Simulation {
        let outcome = engine::run(self);
        let truth = truth(self, &outcome);
        Simulation { incident: self.clone(), outcome, truth }
    }
}

/// What happened, what flow logs and metrics would have shown of it, and the truth.
#[derive(Debug)]
pub struct Simulation {
    pub(crate) incident: Incident,
    pub(crate) outcome: Outcome,
    truth: Truth,
}

impl Simulation {
    /// What was simulated.
    pub fn incident(&self) -> &Incident {
        &self.incident
    }

    /// The answers.
    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    /// The first gateway's metrics: by zone where it is regional, then by minute.
    pub fn metrics(&self) -> &[MinuteMetrics] {
        &self.outcome.metrics
    }

    /// The flow-log records of a view, in the order of delivery.
    pub fn records(&self, view: &View) -> Vec<Record> {
        flow_log::records(self, view)
    }

    /// The records of a view as S3 delivers them, header line first, written as they are made: no
    /// record is kept. Returns the number of records.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_text(&self, view: &View, out: &mut impl io::Write) -> io::Result<u64> {
        flow_log::write_text(self, view, out)
    }

    /// Ports held towards a destination through the first gateway: the most at once within each
    /// second of the incident, from its start. `None` for a destination that is not used.
    pub fn held(&self, triple: Triple) -> Option<Vec<u32>> {
        self.truth.destination(triple)?;
        Some(self.held_where(|connection| self.triple(connection) == triple))
    }

    /// As [`held`](Self::held), on the addresses of one zone, by its index: a regional gateway has a
    /// limit in each.
    pub fn held_in_zone(&self, triple: Triple, zone: usize) -> Option<Vec<u32>> {
        self.truth.destination(triple)?;
        let addresses = &self.incident.gateways[0].addresses;
        Some(self.held_where(|connection| {
            let address = addresses.get(connection.nat_address as usize);
            self.triple(connection) == triple && address.is_some_and(|address| address.zone == zone)
        }))
    }

    /// As [`held`](Self::held), for one client.
    pub fn held_by(&self, triple: Triple, client: IpAddr) -> Option<Vec<u32>> {
        self.truth.destination(triple)?;
        Some(self.held_where(|connection| {
            self.triple(connection) == triple
                && self.incident.clients[connection.client as usize].address == client
        }))
    }

    fn triple(&self, connection: &Connection) -> Triple {
        self.incident.destinations[connection.destination as usize].triple
    }

    fn held_where(&self, wanted: impl Fn(&Connection) -> bool) -> Vec<u32> {
        let incident = &self.incident;
        let mut changes: Vec<(u32, i32)> = Vec::new();
        for connection in &self.outcome.connections {
            if connection.taken_ms == engine::NONE
                || incident.workloads[connection.workload as usize].route != Route::Gateway(0)
                || !wanted(connection)
            {
                continue;
            }
            changes.push((connection.taken_ms, 1));
            changes.push((connection.released_ms, -1));
        }
        // Within one millisecond, ports are given back first: -1 sorts before 1.
        changes.sort_unstable();
        let mut changes = changes.into_iter().peekable();
        let mut held = 0i64;
        (0..incident.duration_s)
            .map(|second| {
                let mut most = held;
                // What ends in the second's first millisecond is not held in it.
                while let Some((at_ms, change)) = changes.next_if(|&(at_ms, _)| at_ms < (second + 1) * 1000) {
                    held += i64::from(change);
                    if at_ms == second * 1000 && change < 0 {
                        most = held;
                    }
                    most = most.max(held);
                }
                most as u32
            })
            .collect()
    }

    /// What the account's own descriptions would say.
    pub fn facts(&self) -> Facts {
        let incident = &self.incident;
        let gateway = &incident.gateways[0];
        let mut errors: Vec<(i64, u64)> = Vec::new();
        for row in self.metrics().iter().filter(|row| row.error_port_allocation > 0) {
            errors.push((row.minute, row.error_port_allocation));
        }
        errors.sort_unstable();
        errors.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                earlier.1 += later.1;
            }
            same
        });
        let end = incident.start + i64::from(incident.duration_s);
        Facts {
            gateway_id: gateway.id.clone(),
            kind: gateway.kind,
            addresses: gateway
                .addresses
                .iter()
                .map(|NatAddress { private, public, zone }| AddressFacts {
                    private: private.map(|a| a.to_string()),
                    public: public.map(|a| a.to_string()),
                    zone: incident.zones[*zone].name.clone(),
                    zone_id: incident.zones[*zone].id.clone(),
                })
                .collect(),
            interface_id: gateway.interface_id.clone(),
            subnet_id: gateway.subnet_id.clone(),
            ports_per_address: gateway.ports_per_address,
            region: incident.region.clone(),
            account_id: incident.account_id.clone(),
            vpc_id: incident.vpc_id.clone(),
            vpc_cidrs: incident.vpc_cidrs.clone(),
            start: incident.start,
            end,
            alarm_at: errors.first().map_or(end, |&(minute, _)| minute + 60),
            errors,
        }
    }
}

/// What is known about an incident without its traffic.
#[derive(Clone, Debug)]
pub struct Facts {
    /// `nat-…`
    pub gateway_id: String,
    /// Which kind.
    pub kind: GatewayKind,
    /// Its addresses, the primary first.
    pub addresses: Vec<AddressFacts>,
    /// Its interface, where it has one.
    pub interface_id: Option<String>,
    /// Its subnet, where it has one.
    pub subnet_id: Option<String>,
    /// The limit per address and destination.
    pub ports_per_address: u32,
    /// As in `us-east-1`.
    pub region: String,
    /// Twelve digits.
    pub account_id: String,
    /// `vpc-…`
    pub vpc_id: String,
    /// The VPC's address ranges.
    pub vpc_cidrs: Vec<String>,
    /// First second of the incident, since 1970.
    pub start: i64,
    /// The second after its last.
    pub end: i64,
    /// When an alarm on the sum of one minute would be raised at the earliest: the end of the first
    /// minute with errors, or the incident's end where there is none.
    pub alarm_at: i64,
    /// The minutes in which `ErrorPortAllocation` is above zero, with its sum over the zones.
    pub errors: Vec<(i64, u64)>,
}

/// One address of a gateway.
#[derive(Clone, Debug)]
pub struct AddressFacts {
    /// On the gateway's interface.
    pub private: Option<String>,
    /// What the internet sees.
    pub public: Option<String>,
    /// The zone's name.
    pub zone: String,
    /// The zone's id.
    pub zone_id: String,
}
