//! Orders, each total, so that the same evidence always reads the same.

use std::cmp::Ordering;

use super::ClientReport;
use super::findings::Ranked;

/// By held ports, never by records or bytes; refused attempts break a tie, as only a full
/// destination refuses; addresses break what remains.
pub(super) fn fullest_first(a: &Ranked, b: &Ranked) -> Ordering {
    let key = |r: &Ranked| (r.held.estimate, r.turned_away, r.refused, r.held.at_least, r.held.at_most);
    key(b).cmp(&key(a)).then_with(|| a.destination.cmp(&b.destination))
}

/// By share of held ports, then by what was refused; addresses break ties.
pub(super) fn greatest_holder_first(a: &ClientReport, b: &ClientReport) -> Ordering {
    let key = |c: &ClientReport| (c.held.estimate, c.connections, c.refused);
    key(b).cmp(&key(a)).then_with(|| a.address.cmp(&b.address))
}

/// By what was refused, then by share of held ports.
pub(super) fn most_refused_first(a: &ClientReport, b: &ClientReport) -> Ordering {
    b.refused.cmp(&a.refused).then_with(|| greatest_holder_first(a, b))
}
