//! Stopping attempts that nobody answers, or bringing back who does not answer.

use super::limit_client::stop;
use super::{Offer, Offered, Rule, Shortage, Worth};
use crate::contract::{Command, Condition, Confidence, Pattern, Remedy, RemedyId, Undo, When};
use crate::diagnosis::findings::Ranked;
use crate::evidence::TCP;
use crate::words;

pub(super) const RULE: Rule = Rule {
    ids: &[RemedyId::StopRetryStorm],
    when: "now",
    offered: "most attempts are never answered",
    why: "each attempt takes a port, and none of them brings anything",
    caution: "by owner, below",
    offer: Offered::Shortage(stop_retry_storm),
};

fn stop_retry_storm(shortage: &Shortage<'_>) -> Option<Offer> {
    let top = shortage.top;
    if shortage.pattern != Some(Pattern::RetryStorm) {
        return None;
    }
    let silent = top.tally.unanswered as f64 / top.tally.connections.max(1) as f64;
    let greatest = shortage.greatest_worth_stopping();
    let mut stop = stop(shortage, greatest);
    let condition = match (answers(top), stop.condition.take()) {
        // Where the destination can be brought back, nobody has to be found out.
        (Some(answers), Some(Condition { unknown, command })) => {
            let shows = Command {
                does: format!("shows {unknown}"),
                run: command,
                verify: shortage.errors_stop(),
                undo: Undo::nothing("this only shows it"),
            };
            stop.commands.insert(0, shows);
            Some(answers)
        }
        (answers, stop) => answers.or(stop),
    };
    let mut hazards = vec![
        "Flow logs do not tell whether the destination is down or a rule on the way blocks it. Once it answers again, nothing has to be stopped.".to_owned(),
    ];
    hazards.extend(stop.hazards);
    let stopping = match greatest {
        [] => "stop whoever retries".to_owned(),
        _ => words::uncapitalised(&stop.title),
    };
    let title = format!("If {} answers nobody, bring it back. If it answers, {stopping}", top.label());
    Some(Offer {
        headroom: Some(shortage.headroom(silent.min(1.0), shortage.capacity)),
        worth: Worth::Solves,
        remedy: Remedy {
            id: RemedyId::StopRetryStorm,
            title,
            when: When::Now,
            condition,
            why: format!(
                "{} of {} gateway ports used to {} were taken by attempts that were never answered.",
                words::count(top.tally.unanswered),
                words::count(top.tally.connections),
                top.label()
            ),
            effect: "Each attempt takes a port. With back-off, or once the destination answers again, attempts are few."
                .into(),
            commands: stop.commands,
            hazards,
            monthly_cost_usd: Some(0.0),
            confidence: Confidence::Medium,
        },
    })
}

/// Whether the destination answers decides whom to stop: nobody, where it can be brought back. Datagrams and pings tell
/// too little of that.
fn answers(top: &Ranked) -> Option<Condition> {
    let port = top.destination.port;
    (top.destination.protocol == TCP).then(|| Condition {
        unknown: format!("whether {} answers a client that does not use this gateway", top.label()),
        command: format!("nc -z -v -w 5 {} {port}", top.address).into(),
    })
}
