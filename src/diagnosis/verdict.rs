//! How sure we are that a destination ran out of ports.

use super::findings::{Active, Errors, Findings, Ranked};
use super::refusals::FEWEST;
use crate::contract::Verdict;
use crate::evidence::insights::Rung;

/// A count this near to capacity is at capacity: records' times are whole seconds, and the last
/// ports are let go and taken again within one.
pub(super) const FULL: f64 = 0.95;

/// Where the records contradict the errors, no less than this is: a count that is a port or so short.
const WHOLLY_FULL: f64 = 0.995;

/// Below this part of capacity at the very most, a destination was not full.
pub(crate) const NOT_NEAR: f64 = 0.9;

/// The verdict on the fullest destination, and so on all. Where Logs Insights counted ports approximately, or its
/// answer leaves records out, it claims no more than *likely*, and clears nobody.
pub(super) fn verdict(findings: &Findings<'_>) -> Verdict {
    let coverage = &findings.evidence.coverage;
    let whole = |rung: Rung| rung.counts_exactly() && coverage.files_failed == 0;
    let exact = coverage.question.is_none_or(whole);
    match by_counts(findings) {
        Verdict::Confirmed if !exact => Verdict::Likely,
        Verdict::NotSupported if !exact => Verdict::CannotTell,
        verdict => verdict,
    }
}

fn by_counts(findings: &Findings<'_>) -> Verdict {
    let (Some(top), Some(capacity)) = (findings.top(), findings.capacity) else {
        return Verdict::CannotTell;
    };
    if findings.of_another_kind() {
        return Verdict::CannotTell;
    }
    if findings.errors == Errors::Counted(0.0) && findings.window_covered {
        let contradicted = refused_uncounted(findings) || hidden(findings);
        return if contradicted { Verdict::CannotTell } else { Verdict::NotSupported };
    }
    if let Some(full) = top.full_address {
        // Without ends none shows, so that there being none says nothing.
        let open = findings.evidence.ends_visible && left_open(top);
        let speaks = top.turned_away || (open && !contradicted(findings, top));
        let known = full.address.is_some() && !findings.zone_unknown() && no_doubt(findings);
        return if perhaps_no_error(findings) || !speaks {
            Verdict::CannotTell
        } else if known && agreed(findings, top, full.of, full.held) {
            Verdict::Confirmed
        } else {
            Verdict::Likely
        };
    }
    if reaches(top, capacity) {
        // Ports that the others hold are no use to the clients of a zone.
        if findings.zone_unknown() && f64::from(top.held.at_least) < f64::from(capacity) * FULL {
            return Verdict::CannotTell;
        }
        return match (findings.errors.happened(), agreed(findings, top, capacity, top.held.estimate)) {
            (true, true) if no_doubt(findings) => Verdict::Confirmed,
            (_, true) => Verdict::Likely,
            (true, false) if plausible(findings, top, capacity) || is_only_candidate(findings) => {
                Verdict::Likely
            }
            (_, false) => Verdict::CannotTell,
        };
    }
    // It came near, and what was refused was refused towards it: the count may be that much short.
    let came_near = f64::from(top.held.at_most) >= f64::from(capacity) * NOT_NEAR;
    if came_near && top.turned_away && findings.errors_seen() && !findings.zone_unknown() {
        return Verdict::Likely;
    }
    let near = f64::from(findings.least_capacity.unwrap_or(capacity)) * NOT_NEAR;
    let nothing_near =
        findings.destinations.iter().all(|d| f64::from(d.held.at_most) < near && !d.turned_away);
    // Where the records show several gateways, this one's being well says nothing of the others. What was
    // counted and shows in no record may have been anywhere.
    let certain = findings.complete
        && !findings.evidence.gaps.iter().any(|gap| gap.decides)
        && !findings.evidence.ambiguous
        && !findings.evidence.filtered
        && findings.unexplained == 0
        && (!findings.errors.happened() || perhaps_no_error(findings) || hardly_any_error(findings))
        && !hidden(findings)
        && findings.attempts_unseen.is_none();
    if certain && nothing_near { Verdict::NotSupported } else { Verdict::CannotTell }
}

/// Whether nothing of what CloudWatch counted contradicts the records, and these are of one gateway.
fn no_doubt(findings: &Findings<'_>) -> bool {
    !findings.evidence.ambiguous && !findings.active.is_some_and(Active::fewer_than_seen)
}

/// Whether so few errors were counted that chance may have made them: fewer than the attempts that speak for a full
/// destination.
fn hardly_any_error(findings: &Findings<'_>) -> bool {
    findings.errors.counted().is_some_and(|errors| errors < FEWEST as f64)
}

/// Whether the errors that the alarm saw may all have been other gateways' or zones'.
pub(super) fn perhaps_no_error(findings: &Findings<'_>) -> bool {
    findings.incident.one_of_several && findings.errors == Errors::Alarmed
}

/// Whether so many connections were counted that the records do not show that they may have filled a destination:
/// one of those that show, or another.
pub(super) fn hidden(findings: &Findings<'_>) -> bool {
    let hidden = findings.active.map_or(0, Active::hidden);
    let Some(capacity) = findings.least_capacity.or(findings.capacity).filter(|_| hidden > 0) else {
        return false;
    };
    let most = findings.destinations.iter().map(|d| d.held.at_most).max().unwrap_or(0);
    f64::from(most.saturating_add(hidden))
        >= f64::from(capacity.min(findings.limits.ports_per_address)) * NOT_NEAR
}

/// Whether the records show the fullest destination full and attempts turned away, while no error at all was
/// counted: one of the two is not what it is taken for.
pub(super) fn refused_uncounted(findings: &Findings<'_>) -> bool {
    let full = |(top, capacity): (&Ranked, u32)| reaches(top, capacity);
    findings.errors == Errors::Counted(0.0)
        && findings.refused >= FEWEST
        && findings.top().zip(findings.capacity).is_some_and(full)
}

/// Whether the range reaches capacity.
fn reaches(top: &Ranked, capacity: u32) -> bool {
    f64::from(top.held.at_most) >= f64::from(capacity) * FULL
}

/// Whether something beside the upper end of the range says that it was full: attempts that are known
/// to have been towards it and never left the gateway, or an estimate from ends of connections that
/// were seen. Where most of them ended, ports may have been taken again within one record, so that
/// the estimate alone proves nothing.
fn agreed(findings: &Findings<'_>, top: &Ranked, capacity: u32, estimate: u32) -> bool {
    let enough = if contradicted(findings, top) { WHOLLY_FULL } else { FULL };
    let full = |held: u32| f64::from(held) >= f64::from(capacity) * enough;
    let counted = full(top.held.at_least) || (full(estimate) && left_open(top));
    (findings.evidence.ends_visible && counted) || (top.turned_away && top.located)
}

/// Whether more speaks for its having been full than the mere upper end of a range, which is wide
/// where ends of connections or records are missing.
fn plausible(findings: &Findings<'_>, top: &Ranked, capacity: u32) -> bool {
    let near = f64::from(top.held.estimate) >= f64::from(capacity) / 2.0;
    let certain = f64::from(top.held.at_least) >= f64::from(capacity) * FULL;
    top.turned_away || ((certain || (near && findings.complete)) && !contradicted(findings, top))
}

/// Whether errors leave the fullest destination as the only one that can have been full. A simpler question to Logs
/// Insights gives upper bounds only, and this is what upper bounds can tell.
fn is_only_candidate(findings: &Findings<'_>) -> bool {
    let Some(capacity) = findings.least_capacity.or(findings.capacity) else { return false };
    let simpler = findings.evidence.coverage.question.is_some_and(|rung| rung != Rung::EveryMinute);
    let reaching = |ranked: &&Ranked| f64::from(ranked.held.at_most) >= f64::from(capacity) * NOT_NEAR;
    simpler && findings.complete && findings.destinations.iter().filter(reaching).count() == 1
}

/// Whether most of its connections were not seen to end. Where they did, clients use their own ports
/// again, and a refused attempt hides in the record of the next.
fn left_open(top: &Ranked) -> bool {
    top.tally.ended * 2 < top.tally.connections
}

/// Whether refused attempts would show, and hardly any does of those that were counted: whatever was
/// counted, it was not for want of this destination's ports.
fn contradicted(findings: &Findings<'_>, top: &Ranked) -> bool {
    /// The part of the counted errors below which that is so.
    const HARDLY_ANY: f64 = 0.05;

    // Attempts towards a destination that had ports left speak for nothing here.
    let full = |d: &&Ranked| d.turned_away || d.utilization.is_some_and(|part| part >= FULL);
    let others = findings.destinations.iter().filter(|d| d.destination != top.destination).filter(full);
    let refused = top.refused + others.map(|d| d.refused).sum::<u64>();
    let few = |errors: f64| (refused as f64) < errors * HARDLY_ANY;
    let show = findings.refusals_show && findings.evidence.ends_visible && left_open(top);
    show && findings.errors.counted().is_some_and(few)
}
