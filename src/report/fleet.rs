//! The weekly page of a Region's gateways.

use serde_json::{Value, json};

use super::chat::{notification, safe};
use super::lines::wrap;
use super::sms::SUBJECT;
use crate::watch::{Fleet, Week, Weeks};
use crate::words::{self, ascii_line, bytes, count, counted, dollars, escaped_json, one_line};

/// Gateways that chat names: it is read at a glance, and the mail has all.
const MAX_IN_CHAT: usize = 5;

/// Gateways that the mail has; machines get all.
const MAX_IN_MAIL: usize = 100;

/// ASCII, at most 99 characters, one line.
pub(super) fn subject(fleet: &Fleet) -> String {
    let region =
        fleet.region.as_ref().map_or(String::new(), |region| format!(" in {}", one_line(region, 40)));
    let all = counted(fleet.gateways.len() as u64, "NAT gateway");
    let fullest = fleet.gateways.first().and_then(|first| first.this_week.fullest_percent);
    let refused = fleet.gateways.iter().filter(|one| one.this_week.refused.is_some_and(|n| n > 0)).count();
    if fleet.gateways.is_empty() {
        return ascii_line(&format!("nat-triage: the NAT gateways{region} could not be looked up"), SUBJECT);
    }
    let said = match (fullest, refused) {
        (_, 1) if fleet.gateways.len() == 1 => "it refused connections this week".to_owned(),
        (_, n) if n > 0 => format!("{n} of them refused connections this week"),
        (Some(percents), _) => format!("the fullest destination was at {percents:.0}% this week"),
        (None, _) if fleet.gaps.is_empty() => "early warning read no flow logs this week".to_owned(),
        (None, _) => "how full they were this week is not known".to_owned(),
    };
    ascii_line(&format!("nat-triage: {all}{region}; {said}"), SUBJECT)
}

/// For mail.
pub(super) fn mail(fleet: &Fleet) -> String {
    let mut text = String::new();
    wrap(&mut text, "", &format!("{}.", subject(fleet)));
    text.push('\n');
    wrap(
        &mut text,
        "",
        "The gateways of the last seven days, those with the fullest destinations first. Figures in brackets are of the seven days before.",
    );
    for weeks in fleet.gateways.iter().take(MAX_IN_MAIL) {
        text.push_str(&format!("\n{}\n", name(weeks)));
        for sentence in sentences(weeks) {
            wrap(&mut text, "  ", &sentence);
        }
    }
    if fleet.gateways.len() > MAX_IN_MAIL {
        let more = counted((fleet.gateways.len() - MAX_IN_MAIL) as u64, "more gateway");
        text.push_str(&format!("\nAnd {more}.\n"));
    }
    for gap in &fleet.gaps {
        text.push('\n');
        wrap(&mut text, "", &format!("Not known: {}: {}. {}", gap.what, one_line(&gap.why, 300), gap.fix));
    }
    text.push_str(&format!("\nReport id: {}\n", id(fleet)));
    text
}

fn name(weeks: &Weeks) -> String {
    let vpc = weeks.vpc_id.as_ref().map_or_else(String::new, |vpc| format!(" in {}", one_line(vpc, 40)));
    format!("{}{vpc}", weeks.gateway)
}

/// `84% (61%)`: this week, and the week before where that is known.
fn beside<T: Copy>(of: fn(&Week) -> Option<T>, weeks: &Weeks, say: impl Fn(T) -> String) -> Option<String> {
    let this = say(of(&weeks.this_week)?);
    Some(match of(&weeks.week_before) {
        Some(before) => format!("{this} ({})", say(before)),
        None => this,
    })
}

fn sentences(weeks: &Weeks) -> Vec<String> {
    let mut sentences = Vec::new();
    match beside(|week| week.fullest_percent, weeks, |percents| format!("{percents:.0}%")) {
        Some(fullest) => sentences.push(format!("Its fullest destination held {fullest} of its ports.")),
        None => sentences.push(
            "Early warning did not read its flow logs, so how full its destinations were is not known."
                .into(),
        ),
    }
    if let Some(connections) = beside(|week| week.connections, weeks, count) {
        sentences
            .push(format!("At most {connections} TCP connections at once, to all destinations together."));
    }
    if let Some(refused) = beside(|week| week.refused, weeks, count)
        && [weeks.this_week, weeks.week_before].iter().any(|week| week.refused.is_some_and(|n| n > 0))
    {
        sentences.push(format!("Connections refused: {refused}."));
    }
    if let (Some(all), Some(cost)) = (weeks.this_week.bytes, weeks.this_week.cost_usd()) {
        let missing = weeks.without_endpoint.as_deref().unwrap_or_default();
        let saved = match missing {
            [] => String::new(),
            services => format!(
                " Its VPC has no gateway endpoint for {}. Through one, traffic to {} in the same Region costs nothing.",
                words::list(services),
                if services.len() == 1 { "it" } else { "them" }
            ),
        };
        sentences.push(format!(
            "{} passed through it, {} at the list price of us-east-1.{saved}",
            bytes(all),
            dollars(cost)
        ));
    }
    sentences
}

/// For chat.
pub(super) fn chat(fleet: &Fleet) -> Value {
    let subject = subject(fleet);
    let mut lines: Vec<String> = fleet
        .gateways
        .iter()
        .take(MAX_IN_CHAT)
        .map(|weeks| safe(&format!("{}: {}", name(weeks), sentences(weeks).join(" "))))
        .collect();
    if fleet.gateways.len() > MAX_IN_CHAT {
        lines.push(format!("And {} more: the mail has all.", fleet.gateways.len() - MAX_IN_CHAT));
    }
    let id = id(fleet);
    let metadata = json!({ "threadId": id, "summary": subject });
    notification(&id, &safe(&subject), &lines.join("\n"), &[], &[], &metadata)
}

/// For machines.
pub(super) fn machines(fleet: &Fleet) -> String {
    escaped_json(&fleet.to_json().to_string())
}

/// The same on every delivery of one page.
pub(super) fn id(fleet: &Fleet) -> String {
    format!("fleet-{}", fleet.at.as_second())
}
