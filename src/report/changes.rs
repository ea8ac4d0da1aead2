//! What was changed before the alarm, in sentences. It came before: no sentence says that it is the cause.

use super::wording::outside;
use crate::contract::{ChangeReport, ChangesReport, Diagnosis, Relation, Verdict};
use crate::words;

/// Most names of one change that are shown; the JSON has the others.
const MAX_SHOWN: usize = 4;

/// The section's heading.
pub(super) const HEADING: &str = "What changed before";

/// What to say of the changes before an alarm.
pub(super) struct Told {
    /// What the list is, and what it may lack.
    pub(super) intro: String,
    /// One sentence each.
    pub(super) changes: Vec<String>,
    /// What is not in the list.
    pub(super) others: Option<String>,
    /// What shows the first of them in full.
    pub(super) command: Option<String>,
}

/// What to say; nothing where CloudTrail showed none that has to do with the incident, or where nothing was wrong.
pub(super) fn told(diagnosis: &Diagnosis) -> Option<Told> {
    let changes = diagnosis.changes.as_ref().filter(|changes| !changes.listed.is_empty())?;
    if diagnosis.verdict == Verdict::NotSupported {
        return None;
    }
    let others = (changes.others > 0).then(|| {
        let others = words::counted(changes.others, "other change");
        let are = if changes.others == 1 { "is" } else { "are" };
        format!("{others} of such sorts in the account {are} not listed.")
    });
    Some(Told {
        intro: format!(
            "CloudTrail, {}. What came before need not be the cause.{}",
            words::span(changes.from, changes.until),
            limits(changes)
        ),
        changes: changes.listed.iter().map(sentence).collect(),
        others,
        command: changes.command.clone(),
    })
}

/// What the list may lack, each in a sentence after a space.
fn limits(changes: &ChangesReport) -> String {
    let mut limits = String::new();
    if changes.read_from > changes.from {
        let asked_after: Vec<String> = changes.asked_after.iter().map(|name| outside(name)).collect();
        let only = if asked_after.is_empty() {
            "none were read".to_owned()
        } else {
            format!("only those of {} were read", words::list(&asked_after))
        };
        limits = format!(
            " There were too many changes to read all: before {}, {only}.",
            words::instant(changes.read_from)
        );
    }
    if changes.may_be_late {
        limits.push_str(" CloudTrail delivers changes some minutes late, so the newest may be missing.");
    }
    limits
}

/// `2026-11-18 02:05:00 UTC, to this gateway: ReplaceRoute on rtb-0a1b2c3d and nat-0a1b2c3d, by jane of the role deploy.`
fn sentence(change: &ChangeReport) -> String {
    let when = if change.first_at == change.at {
        words::instant(change.at)
    } else {
        words::span(change.first_at, change.at)
    };
    let where_to = match change.relation {
        Relation::Gateway => "to this gateway",
        Relation::Routes => "to a route table that leads here",
        Relation::GreatestHolder => "to the greatest holder",
        Relation::Vpc => "in the gateway's VPC",
    };
    let times =
        if change.times > 1 { format!(", {} times,", words::count(change.times)) } else { String::new() };
    let mut named: Vec<String> = change.on.iter().take(MAX_SHOWN).map(|name| outside(name)).collect();
    if change.on.len() > MAX_SHOWN {
        named.push(format!("{} more", change.on.len() - MAX_SHOWN));
    }
    let on = if named.is_empty() { String::new() } else { format!(" on {}", words::list(&named)) };
    format!("{when}, {where_to}: {}{times}{on}{}.", outside(&change.event_name), by(change))
}

/// Who made it, where that is known.
fn by(change: &ChangeReport) -> String {
    let [user, role] = [&change.user, &change.role].map(|name| name.as_deref().map(outside));
    match (user, role) {
        (Some(user), Some(role)) => format!(", by {user} of the role {role}"),
        (Some(one), None) => format!(", by {one}"),
        (None, Some(role)) => format!(", by the role {role}"),
        (None, None) => String::new(),
    }
}

/// That CloudTrail showed none that has to do with the incident, where it was asked.
pub(super) fn none_found(diagnosis: &Diagnosis) -> Option<String> {
    let changes = diagnosis.changes.as_ref().filter(|changes| changes.listed.is_empty())?;
    let others = match changes.others {
        0 => String::new(),
        others => format!("; {} of such sorts in the account", words::counted(others, "other change")),
    };
    Some(format!(
        "Changes before: CloudTrail, {}, shows none that names the gateway, its VPC or what holds most ports{others}.{}",
        words::span(changes.from, changes.until),
        limits(changes)
    ))
}
