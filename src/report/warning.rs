//! The early warning: a destination fills up, or has room again.

use serde_json::{Value, json};

use super::chat::{code_block, notification, safe};
use super::lines::wrap;
use super::sms::{self, ID, SUBJECT};
use super::wording::{estimate_and_range, outside};
use crate::watch::{Filling, Level, Turn, Warning};
use crate::words::{self, ascii_line, count, counted, escaped_json, percent};

/// ASCII, at most 99 characters, one line.
pub(super) fn subject(warning: &Warning) -> String {
    let gateway = warning.watched.gateway.get(..ID).unwrap_or(&warning.watched.gateway);
    let subject = match &warning.turn {
        Turn::Filling { level, .. } if level.filling.is_some() => format!(
            "NAT {gateway} fills up: {} held {} of its ports, about {} by now",
            level.destination,
            percent(level.utilization),
            percent(level.utilization_by_now)
        ),
        Turn::Filling { level, .. } => {
            format!("NAT {gateway}: {} holds {} of its ports", level.destination, percent(level.utilization))
        }
        Turn::RoomAgain { destination, now: Some(now), .. } => {
            format!("NAT {gateway} has room again: {destination} holds at most {} of its ports", at_most(now))
        }
        Turn::RoomAgain { destination, .. } => format!("NAT {gateway} has room again towards {destination}"),
        Turn::Gone { destination } => format!("NAT {gateway} is gone: its warning of {destination} is over"),
    };
    ascii_line(&subject, SUBJECT)
}

/// `62%`: what it held at the very most.
fn at_most(level: &Level) -> String {
    percent(f64::from(level.held.at_most) / f64::from(level.capacity.max(1)))
}

/// What was seen, a paragraph each.
fn paragraphs(warning: &Warning) -> Vec<String> {
    match &warning.turn {
        Turn::Filling { level, refused } => filling(warning, level, *refused),
        Turn::RoomAgain { destination, now, connections } => {
            let destination = outside(destination);
            let seen = match (now, connections) {
                (Some(now), _) => format!(
                    "{destination} held at most {} of the {} ports that NAT gateway {} has towards it, in the minutes from {}.",
                    count(u64::from(now.held.at_most)),
                    count(u64::from(now.capacity)),
                    warning.watched.name(),
                    words::span(warning.window.start(), warning.window.end()),
                ),
                (None, Some(all)) => format!(
                    "NAT gateway {} has at most {} in all, by CloudWatch. So {destination} has room again.",
                    warning.watched.name(),
                    counted(*all, "TCP connection"),
                ),
                (None, None) => format!(
                    "{destination} is no longer among the fullest destinations of NAT gateway {}.",
                    warning.watched.name()
                ),
            };
            vec![seen, came_at(warning)]
        }
        Turn::Gone { .. } => {
            vec![format!("EC2 no longer lists NAT gateway {}.", warning.watched.name()), came_at(warning)]
        }
    }
}

fn came_at(warning: &Warning) -> String {
    format!("The warning came at {}.", words::instant(warning.since))
}

fn filling(warning: &Warning, level: &Level, refused: Option<f64>) -> Vec<String> {
    let name = level.name.as_ref().map_or_else(String::new, |name| format!(" ({})", outside(name)));
    let mut held = format!(
        "{}{name} held {} of the {} ports that NAT gateway {} has towards it, at {}.",
        outside(&level.destination),
        estimate_and_range(level.held),
        count(u64::from(level.capacity)),
        warning.watched.name(),
        words::instant(level.held.at),
    );
    if refused == Some(0.0) {
        held.push_str(" The gateway has refused no connection yet.");
    }
    let mut paragraphs = vec![held, level.filling.map_or_else(no_growth, growth)];
    if let Some(holder) = &level.holder {
        let name = holder.name.as_ref().map_or_else(String::new, |name| format!(" ({})", outside(name)));
        paragraphs.push(format!("{}{name} holds {} of them.", holder.address, percent(holder.share)));
    }
    paragraphs
}

fn growth(filling: Filling) -> String {
    let full = match filling.full_until {
        Some(until) if until > filling.full_from => {
            format!("between {} and {}", words::instant(filling.full_from), words::instant(until))
        }
        Some(until) => format!("at {}", words::instant(until)),
        None => format!("at {} at the earliest", words::instant(filling.full_from)),
    };
    format!(
        "It grew by about {} a minute, over {}. At this pace it is full {full}. Then the gateway refuses new connections to it.",
        counted(filling.ports_a_minute.round() as u64, "port"),
        counted(u64::from(filling.minutes), "minute"),
    )
}

fn no_growth() -> String {
    "These minutes show no steady growth, so we cannot say when it would be full.".to_owned()
}

/// What to do, and with which command.
fn what_to_do(warning: &Warning) -> (&'static str, Option<String>) {
    match warning.turn {
        Turn::Filling { .. } => (
            "find out who opens these connections and whether that is meant. This command says who holds them, and changes nothing",
            Some(warning.command()),
        ),
        Turn::RoomAgain { .. } | Turn::Gone { .. } => ("nothing", None),
    }
}

/// For mail.
pub(super) fn mail(warning: &Warning) -> String {
    let mut text = String::new();
    wrap(&mut text, "", &format!("{}.", subject(warning)));
    for paragraph in paragraphs(warning) {
        text.push('\n');
        wrap(&mut text, "", &paragraph);
    }
    let (words, command) = what_to_do(warning);
    text.push('\n');
    wrap(&mut text, "", &format!("What to do: {words}{}", if command.is_some() { ":" } else { "." }));
    if let Some(command) = command {
        text.push_str(&command);
        text.push('\n');
    }
    text.push_str(&format!("\nReport id: {}\n", warning.id));
    text
}

/// For a phone.
pub(super) fn sms(warning: &Warning) -> String {
    let full = match &warning.turn {
        Turn::Filling { level: Level { filling: Some(filling), .. }, .. } => {
            format!(", full from {} on at this pace", filling.full_from.strftime("%H:%M UTC"))
        }
        _ => String::new(),
    };
    sms::note(&format!("{}{full}", subject(warning)))
}

/// For chat.
pub(super) fn chat(warning: &Warning) -> Value {
    let subject = subject(warning);
    let paragraphs: Vec<String> = paragraphs(warning).iter().map(|paragraph| safe(paragraph)).collect();
    let mut text = paragraphs.join("\n");
    let (words, command) = what_to_do(warning);
    text.push_str(&format!("\n\nWhat to do: {words}"));
    if let Some(command) = command {
        text.push('\n');
        text.push_str(&code_block(&command));
    }
    let keywords = [warning.watched.gateway.clone(), warning.turn.destination().to_owned()];
    let metadata = json!({ "threadId": warning.id, "summary": subject });
    notification(&warning.id, &safe(&subject), &text, &[], &keywords, &metadata)
}

/// For machines.
pub(super) fn machines(warning: &Warning) -> String {
    escaped_json(&serde_json::to_string(warning).expect("it holds nothing that JSON cannot"))
}
