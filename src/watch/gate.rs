//! Whether a gateway's flow logs are worth reading: what CloudWatch counts costs next to nothing to ask.

use jiff::{SignedDuration, Timestamp};

use super::Watched;
use crate::incident::{Incident, NatGatewayId, TimeWindow};

/// The minutes that are looked at. Flow logs arrive six to fifteen minutes late, and a trend takes some minutes.
const WINDOW: SignedDuration = SignedDuration::from_mins(20);

/// The last whole minutes before `now` that are looked at.
#[must_use]
pub fn latest(now: Timestamp) -> TimeWindow {
    TimeWindow::of_last(WINDOW, now).unwrap_or(TimeWindow::EPOCH)
}

/// What is known of a gateway, or of a zone of a regional one, before its flow logs are read.
#[derive(Clone, Debug, PartialEq)]
pub struct Connections {
    /// The gateway.
    pub gateway: NatGatewayId,
    /// Of a regional gateway, the zone.
    pub zone: Option<String>,
    /// The most TCP connections of the last minutes, to all destinations together: `ActiveConnectionCount`. `None`
    /// where CloudWatch does not tell.
    pub most: Option<u64>,
    /// Ports that can be held towards one destination at once; `None` where none of its addresses is in place.
    pub capacity: Option<u32>,
}

impl Connections {
    /// What is watched.
    #[must_use]
    pub fn watched(&self) -> Watched {
        Watched::new(&self.gateway, self.zone.as_deref())
    }

    /// Whether so few connections leave no destination that holds `part` of its capacity. A destination's TCP
    /// connections are among the gateway's. `None` where the figures are not known.
    ///
    /// Source: `ActiveConnectionCount`, "the total number of concurrent active TCP connections", in the Amazon VPC user
    /// guide. It says nothing of UDP and ICMP.
    #[must_use]
    pub fn are_below(&self, part: f64) -> Option<bool> {
        Some((self.most? as f64) < f64::from(self.capacity?) * part)
    }

    /// What to ask the gateway's flow logs about these minutes.
    #[must_use]
    pub fn ask(&self, window: TimeWindow) -> Incident {
        let incident = Incident::of_minutes(Some(self.gateway.clone()), window);
        Incident { zone: self.zone.clone(), ..incident }
    }
}

/// What to do about a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Nothing: none of its destinations can be filling up with TCP connections.
    Quiet,
    /// Nothing yet: what was read at this time still holds.
    Rest(Timestamp),
    /// Read its flow logs.
    Ask,
}
