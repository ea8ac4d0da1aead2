//! Destinations, and the clients that hold ports towards them.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FullAddress, HeldPorts, TimelineStep};
use crate::evidence::Attribution;
use crate::network::{NameSource, OwnerSource};
use crate::words;

/// A destination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DestinationReport {
    /// Its address.
    pub address: IpAddr,
    /// Its port; 0 for protocols without ports.
    pub port: u16,
    /// The protocol's name, or its number where it has none here.
    pub protocol: String,
    /// Ports held towards it when it was fullest.
    pub held: HeldPorts,
    /// Ports held towards it an hour earlier; `null` where that was not asked, or does not show.
    #[serde(default)]
    pub held_earlier: Option<HeldPorts>,
    /// The estimate as a fraction of capacity; `null` where capacity is not known.
    pub utilization: Option<f64>,
    /// Where it did not fill the gateway, one of the gateway's addresses that it filled while errors were
    /// counted.
    #[serde(default)]
    pub full_address: Option<FullAddress>,
    /// Attempts that reached the gateway and never left it. An inference.
    pub refused: u64,
    /// Distinct gateway ports used towards it.
    pub connections: u64,
    /// The same number as `connections`, by its right name.
    #[serde(default)]
    pub ports_used: u64,
    /// Bytes, both ways.
    pub bytes: u64,
    /// Its name, where that is known.
    pub name: Option<String>,
    /// How many names clients asked for and were answered with this address, of which it is one; at the most ten
    /// are kept, so that ten stand for ten or more.
    #[serde(default)]
    pub names_asked_for: u64,
    /// Where the name came from: what clients asked for, or a hint of the address's owner.
    pub name_source: Option<NameSource>,
    /// The AWS service that its address belongs to, where a flow-log field or prefix list says so.
    pub service: Option<String>,
    /// Held ports over the window.
    pub timeline: Vec<TimelineStep>,
    /// Who holds it, most first.
    pub clients: Vec<ClientReport>,
    /// What their order and their shares go by.
    pub clients_ordered_by: ClientOrder,
    /// How many clients it had in all, those that are not listed included.
    pub clients_seen: u64,
}

impl DestinationReport {
    /// The part of its ports whose holders do not show, where that is more than its greatest known client holds: the
    /// greatest may be another. None where the rest may be of clients that are not listed.
    #[must_use]
    pub fn greater_unshown_part(&self) -> Option<f64> {
        let all_listed = self.clients_seen <= self.clients.len() as u64;
        greater_unshown_part(&self.clients).filter(|_| all_listed)
    }
}

/// A client's part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClientReport {
    /// The private address that opened the connections.
    pub address: IpAddr,
    /// Its part of the held ports, or of what else the clients are ordered by, as a fraction of 1.
    pub share: f64,
    /// Ports it held when the destination was fullest.
    pub held: HeldPorts,
    /// What it held an hour earlier; `null` where that was not asked, or does not show.
    #[serde(default)]
    pub held_earlier: Option<HeldPorts>,
    /// Distinct ports of its own that it used: fewer than connections, where it used one again.
    pub connections: u64,
    /// The same number as `connections`, by its right name.
    #[serde(default)]
    pub ports_used: u64,
    /// Attempts of its that reached the gateway and never left it. An inference.
    pub refused: u64,
    /// Bytes, both ways.
    pub bytes: u64,
    /// Who owns the address, where that is known.
    pub name: Option<String>,
    /// Whether a record of those minutes says so, or a look-up afterwards.
    pub name_source: Option<OwnerSource>,
    /// What sort of thing owns it, where that is known.
    pub kind: Option<String>,
    /// Its zone, where that is known.
    pub zone: Option<String>,
    /// How it was joined to the destination.
    pub attribution: Attribution,
}

/// What clients are ordered by, and what their shares are of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientOrder {
    /// The ports that they held.
    #[default]
    HeldPorts,
    /// Their attempts that were refused, where records join clients to the destination by its port alone: who
    /// uses other destinations on that port counts as a holder too.
    RefusedAttempts,
}

impl ClientReport {
    /// `80%`, `under 1%`: the share, which is rounded to four places.
    #[must_use]
    pub fn share_in_words(&self) -> String {
        let holds = self.held.at_most > 0 || self.connections > 0;
        words::percent(if holds { self.share.max(f64::MIN_POSITIVE) } else { self.share })
    }
}

/// The part of a destination's ports whose holders the records do not show, of all of its `clients`, where that is
/// more than the greatest of them holds: the greatest may be another. None where clients are known by the port only.
pub(crate) fn greater_unshown_part(clients: &[ClientReport]) -> Option<f64> {
    let greatest = clients.first().filter(|client| client.attribution == Attribution::Connection)?;
    let unshown = 1.0 - clients.iter().map(|client| client.share).sum::<f64>();
    (unshown > greatest.share).then_some(unshown)
}
