//! The end of an alarm in words: whether ports are free again, and what shows it.

use super::sms::ID;
use super::wording::estimate_and_range;
use crate::alarm::Ended;
use crate::diagnosis::region_option;
use crate::gap::Fix;
use crate::recovery::{Compared, MAX_FREED, Recovery, RefusedInAll, Relief};
use crate::words::{self, count, counted, one_line};

/// Longest part of an alarm's name that is shown.
const ALARM_NAME: usize = 80;

/// The answer: what the subject says.
pub(super) fn title(all: &[Recovery]) -> String {
    match all {
        [] => "nat-triage: the alarm is over; whether its gateway has free ports was not looked at".into(),
        [one] => title_of(one),
        several => {
            let of = |relief: Relief| several.iter().filter(|one| one.relief == relief).count();
            let all = several.len();
            let verb =
                |count: usize, one: &'static str, more: &'static str| if count == 1 { one } else { more };
            match (of(Relief::Freed), of(Relief::StillFull)) {
                (freed, 0) if freed == all => {
                    format!("nat-triage: all {all} NAT gateways of the alarm have free ports")
                }
                (freed, 0) => format!(
                    "nat-triage: {freed} of {all} NAT gateways {} free ports; of the others that is not known",
                    verb(freed, "has", "have")
                ),
                (_, full) => format!(
                    "nat-triage: errors stopped, but {full} of {all} NAT gateways {} still full",
                    verb(full, "is", "are")
                ),
            }
        }
    }
}

fn title_of(one: &Recovery) -> String {
    let gateway = one.gateway.get(..ID).unwrap_or(&one.gateway);
    let destination = one.destination.as_ref();
    match (one.relief, destination.and_then(|to| Some((to, to.now?, to.capacity?)))) {
        // What may nearly be full sounds like no recovery: then something else shows that it is one.
        (Relief::Freed, Some((to, now, capacity)))
            if f64::from(now.at_most) < f64::from(capacity) * MAX_FREED =>
        {
            format!(
                "NAT {gateway} recovered: {} holds at most {} of {} ports",
                to.name,
                count(u64::from(now.at_most)),
                count(u64::from(capacity))
            )
        }
        (Relief::Freed, _) => match one.connections_now {
            Some(all) => format!("NAT {gateway} recovered: it has {} in all", counted(all, "connection")),
            None => format!("NAT {gateway} recovered: its ports are free again"),
        },
        (Relief::StillFull, Some((to, now, capacity))) => {
            let part = f64::from(now.estimate) / f64::from(capacity.max(1));
            let part = words::percent(part.min(1.0));
            format!("NAT {gateway}: errors stopped, but {} is still {part} full", to.name)
        }
        (Relief::StillFull, None) => format!("NAT {gateway}: errors stopped, but it is still full"),
        (Relief::CannotTell, _) => {
            format!("NAT {gateway}: errors stopped; whether its ports are free is not known")
        }
    }
}

/// What happened, and what shows it: a paragraph each for the alarm and for each gateway.
pub(super) fn paragraphs(ended: &Ended, all: &[Recovery]) -> Vec<String> {
    let gateways: Vec<&str> = ended.gateways.iter().map(|of| of.id.as_str()).collect();
    let mut alarm = format!(
        "The alarm {} on {} went back to OK at {}.",
        one_line(&ended.alarm.name, ALARM_NAME),
        words::list(&gateways),
        words::instant(ended.alarm.at)
    );
    // It fired for all of its gateways at once.
    if let Some(began) = all.iter().find_map(|one| one.began) {
        let minutes = (ended.alarm.at.as_second() - began.as_second()).max(0) / 60;
        alarm.push_str(&format!(
            " It had fired at {}, {} before.",
            words::instant(began),
            counted(minutes.unsigned_abs(), "minute")
        ));
    }
    let mut paragraphs = vec![alarm];
    for one in all {
        let named = if all.len() > 1 { format!("{}: ", one.gateway) } else { String::new() };
        let [state, changes] = of_gateway(one).map(|sentences| sentences.join(" "));
        paragraphs.push(format!("{named}{state}"));
        paragraphs.extend((!changes.is_empty()).then_some(changes));
    }
    paragraphs
}

/// Sentences about its state, and about what has changed.
fn of_gateway(one: &Recovery) -> [Vec<String>; 2] {
    let mut sentences = Vec::new();
    sentences.push(match &one.destination {
        None => "The flow logs do not show whether ports were free in the last minute before the alarm went back to OK.".into(),
        Some(Compared { name, then, now, capacity }) => {
            let of =
                capacity.map_or_else(String::new, |capacity| format!(" of {}", count(u64::from(capacity))));
            let then = then.map(|then| format!("{name} held {} ports when it was fullest", estimate_and_range(then)));
            match (then, now) {
                (Some(then), Some(now)) => {
                    format!(
                        "{then}, and {}{of} in the last minute before the alarm went back to OK.",
                        estimate_and_range(*now)
                    )
                }
                (None, Some(now)) => format!(
                    "{name} held {}{of} ports in the last minute before the alarm went back to OK.",
                    estimate_and_range(*now)
                ),
                (Some(then), None) => {
                    format!("{then}. The flow logs do not show what it held in the last minute.")
                }
                (None, None) => format!("The flow logs do not show what {name} held in the last minute."),
            }
        }
    });
    if let Some(RefusedInAll { errors, from, until, most_at }) = one.refused_in_all {
        let most = most_at.map_or_else(String::new, |at| {
            format!(". The minute with most of them began at {}", words::instant(at))
        });
        sentences.push(format!(
            "CloudWatch counted {} from {}{most}.",
            counted(errors.round() as u64, "error"),
            words::span(from, until)
        ));
    } else if let Some(errors) = one.refused_then {
        sentences.push(format!(
            "CloudWatch counted {} in the minutes of the alarm's report.",
            counted(errors.round() as u64, "error")
        ));
    }
    if let Some(all) = one.connections_now {
        sentences.push(format!(
            "In the last minute the gateway had at most {} to all destinations together, by CloudWatch.",
            counted(all, "TCP connection")
        ));
    }
    let changes = if one.changes.is_empty() {
        Vec::new()
    } else {
        vec![format!(
            "Changed since the alarm's report: {}. Nothing shows that this ended the alarm.",
            one.changes.join("; ")
        )]
    };
    [sentences, changes]
}

/// `the report nt-0123456789abcdef`: of the alarm.
fn report_of(one: &Recovery) -> String {
    one.incident_id
        .as_ref()
        .map_or_else(|| "the report of the alarm".to_owned(), |id| format!("the report {id}"))
}

/// What a person can do about it; `function` is the name of the one that can look again.
pub(super) fn fix(ended: &Ended, all: &[Recovery], function: Option<&str>) -> Fix {
    let worst = all.iter().max_by_key(|one| one.relief);
    let function = function.map_or_else(|| "FUNCTION_NAME".to_owned(), words::argument);
    let look_again = |gateway: &str| {
        format!(
            "aws lambda invoke --function-name {function} --invocation-type Event --cli-binary-format raw-in-base64-out --payload '{{\"nat_gateway_id\": \"{}\"}}' out.json{}",
            gateway,
            region_option(ended.alarm.region.as_deref())
        )
    };
    match worst {
        Some(one) if one.relief == Relief::StillFull => Fix::run_to(
            format!(
                "keep the incident open and follow {}: new connections fail again once the rest is taken. Look again in 15 minutes, which sends a new report to all readers",
                report_of(one)
            ),
            look_again(&one.gateway),
        ),
        Some(one) if one.relief == Relief::CannotTell => Fix::run_to(
            "look again in 15 minutes, which sends a new report to all readers",
            look_again(&one.gateway),
        ),
        None if let [first, ..] = &ended.gateways[..] => Fix::run_to(
            "look at its ports, which sends a report to all readers",
            look_again(first.id.as_str()),
        ),
        _ => "nothing tonight; what filled it may come back, and the report of the alarm says what to change"
            .into(),
    }
}
