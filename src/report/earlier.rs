//! What was held an hour earlier, in words.

use super::wording::{estimate_and_range, label};
use crate::contract::{Diagnosis, HeldPorts};
use crate::diagnosis::Growth;
use crate::incident::TimeWindow;

/// `; an hour earlier: 600`, to stand after what is held now; nothing where that is not known.
pub(super) fn after_held(held_earlier: Option<&HeldPorts>) -> String {
    held_earlier.map_or(String::new(), |held| format!("; an hour earlier: {}", ports(held)))
}

/// `Held an hour earlier: 600`.
pub(super) fn held_then(held: &HeldPorts) -> String {
    format!("Held an hour earlier: {}", ports(held))
}

/// `none`, or a range.
fn ports(held: &HeldPorts) -> String {
    if held.at_most == 0 { "none".to_owned() } else { estimate_and_range(*held) }
}

/// What is new and what has grown, in a sentence: of the greatest holder, else of the destination. Nothing where the
/// ranges leave it open.
pub(super) fn growth(diagnosis: &Diagnosis) -> Option<String> {
    let window = diagnosis.earlier.as_ref()?.window;
    let top = diagnosis.in_question()?;
    let of = |who: &str, then: HeldPorts, now: HeldPorts| {
        sentence(window, who, &label(top), Growth::between(then, now, diagnosis.verdict), (then, now))
    };
    let holder = top.clients.first().filter(|client| client.stands_out() && client.attribution.is_certain());
    let of_holder = || {
        let holder = holder?;
        of(&holder.address.to_string(), holder.held_earlier?, holder.held)
    };
    of_holder().or_else(|| of("all clients together", top.held_earlier?, top.held))
}

fn sentence(
    window: TimeWindow,
    who: &str,
    to: &str,
    growth: Growth,
    (then, now): (HeldPorts, HeldPorts),
) -> Option<String> {
    let an_hour_earlier = an_hour_earlier(window);
    let held = ports(&then);
    let already = format!("{an_hour_earlier}, {who} held {held} ports to {to} already.");
    match growth {
        Growth::New => Some(format!("New: {an_hour_earlier}, {who} held no port to {to}.")),
        Growth::Grown => Some(format!(
            "Grown: {an_hour_earlier}, {who} held {held} ports to {to}, and now {}.",
            estimate_and_range(now)
        )),
        Growth::Alike => Some(format!("Not new: {already}")),
        Growth::ProbablyAlike => Some(format!("Probably not new: {already}")),
        Growth::Open => None,
    }
}

/// `an hour earlier (01:10 to 01:14 UTC)`.
fn an_hour_earlier(window: TimeWindow) -> String {
    let [from, until] = [window.start(), window.end()].map(|at| at.strftime("%H:%M").to_string());
    format!("an hour earlier ({from} to {until} UTC)")
}
