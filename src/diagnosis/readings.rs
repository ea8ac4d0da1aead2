//! What a diagnosis says by the limits of the rules. The contract below knows its own figures, and no limit.

use super::refusals::{EXPLAINING, FEWEST};
use super::verdict::{FULL, NOT_NEAR};
use crate::contract::{ClientReport, DestinationReport, Diagnosis, UnplacedAttempts, Verdict};

/// A client that holds no more than this part of a destination's ports does not stand out.
const REMARKABLE: f64 = 0.1;

impl ClientReport {
    /// Whether it holds so much that it is worth naming, and not just the first of many alike.
    #[must_use]
    pub fn stands_out(&self) -> bool {
        self.share > REMARKABLE
    }
}

impl DestinationReport {
    /// Whether it held as much of the capacity, or of one address's, as the verdict asks for; not where capacity is
    /// unknown.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full_address.is_some() || self.utilization.is_some_and(|part| part >= FULL)
    }
}

impl Diagnosis {
    /// Attempts that went into the gateway and never came out, where these and no held ports point to the
    /// destination in question: the destination, and their part of the errors that were counted, where that is
    /// known.
    #[must_use]
    pub fn refused_unproven(&self) -> Option<(&DestinationReport, Option<f64>)> {
        let top =
            self.in_question().filter(|top| self.verdict == Verdict::CannotTell && top.refused >= FEWEST)?;
        let counted = self.refused_attempts.counted.filter(|counted| *counted > 0.0);
        let part = counted.map(|counted| top.refused as f64 / counted);
        part.is_none_or(|part| part >= EXPLAINING).then_some((top, part))
    }

    /// Attempts on a port on which no server shows, where these and no destination that shows explain the errors:
    /// the attempts, and their part of the errors that were counted, where that is known.
    #[must_use]
    pub fn unplaced_attempts(&self) -> Option<(UnplacedAttempts, Option<f64>)> {
        let open = self.verdict == Verdict::CannotTell && self.refused_unproven().is_none();
        let unplaced = self.refused_attempts.unplaced.filter(|_| open)?;
        let counted = self.refused_attempts.counted.filter(|counted| *counted > 0.0);
        let part = counted.map(|counted| unplaced.attempts as f64 / counted);
        part.is_none_or(|part| part >= EXPLAINING).then_some((unplaced, part))
    }

    /// The fullest destination, where it came near the limit and yet nothing was refused.
    #[must_use]
    pub fn near_without_errors(&self) -> Option<&DestinationReport> {
        let capacity = f64::from(self.nat_gateways.first()?.capacity_per_destination?);
        let fullest = self.in_question()?;
        let near = f64::from(fullest.held.at_most) >= capacity * NOT_NEAR;
        (self.verdict == Verdict::NotSupported && near).then_some(fullest)
    }
}
