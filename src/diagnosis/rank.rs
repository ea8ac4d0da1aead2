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

/// The part of the greatest upper end that another one has to have to reach about as far.
const ABOUT_AS_FAR: f64 = 0.9;

/// Of destinations, fullest first, the one to doubt where it is not known whether any was full: the first
/// of which the range reaches about as far as any does.
pub(super) fn in_doubt<T>(fullest_first: &[T], at_most: impl Fn(&T) -> u32) -> Option<&T> {
    let most = fullest_first.iter().map(&at_most).max()?;
    fullest_first.iter().find(|one| f64::from(at_most(one)) >= f64::from(most) * ABOUT_AS_FAR)
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
