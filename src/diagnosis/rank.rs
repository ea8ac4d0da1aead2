//! Orders, each total, so that the same evidence always reads the same.

use std::cmp::Ordering;

use super::findings::Ranked;
use crate::contract::ClientReport;

/// By held ports, never by records or bytes, one that filled an address first; refused attempts break a tie, as
/// only a full destination refuses; addresses break what remains.
pub(super) fn fullest_first(a: &Ranked, b: &Ranked) -> Ordering {
    let key = |r: &Ranked| {
        let on_one = r.full_address.is_some() && r.pointed_to;
        (on_one, r.held.estimate, r.turned_away, r.refused, r.held.at_least, r.held.at_most)
    };
    key(b).cmp(&key(a)).then_with(|| a.destination.cmp(&b.destination))
}

/// The part of the greatest upper end that another one has to have to reach about as far.
const ABOUT_AS_FAR: f64 = 0.9;

/// Of destinations, fullest first, the one to doubt where it is not known whether any was full: the one of which most
/// attempts never left the gateway, where these are a good part of the errors, else the first of which the range
/// reaches about as far as any does.
pub(super) fn in_doubt(fullest_first: &[Ranked]) -> Option<usize> {
    let numbered = || fullest_first.iter().enumerate();
    let pointed_to = numbered().rev().filter(|(_, one)| one.pointed_to);
    let refused = pointed_to.max_by_key(|(_, one)| one.refused).map(|(index, _)| index);
    let most = fullest_first.iter().map(|one| one.held.at_most).max()?;
    let reaches = |one: &Ranked| f64::from(one.held.at_most) >= f64::from(most) * ABOUT_AS_FAR;
    refused.or_else(|| fullest_first.iter().position(reaches))
}

/// Of destinations, fullest first, the one that held most at the very most.
pub(super) fn greatest_at_most(fullest_first: &[Ranked]) -> Option<usize> {
    let numbered = fullest_first.iter().enumerate().rev();
    numbered.max_by_key(|(_, one)| one.held.at_most).map(|(index, _)| index)
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
