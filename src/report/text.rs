//! The diagnosis as plain text: the answer first, then what to do, then what it rests on.
//!
//! Nothing depends on columns lining up, as mail is shown in proportional type on phones.

use std::fmt::{self, Write as _};

use crate::diagnosis::{
    ClientReport, Confidence, DestinationReport, Diagnosis, HeldPorts, Pattern, RefusedAttempts, Remedy,
    Stage, Verdict,
};
use crate::evidence::{Attribution, Source};
use crate::incident::TimeWindow;
use crate::network::{NameSource, OwnerSource};
use crate::words::{self, one_line};

/// Widest line of prose; commands are never broken.
const WIDTH: usize = 72;

/// Longest name from outside that is shown.
const NAME: usize = 120;

/// Characters of the longest bar.
const BAR: usize = 20;

/// Commands of the first remedy that are shown before the evidence: the three greatest holders have
/// one each.
const COMMANDS_FIRST: usize = 3;

/// The whole report.
#[must_use]
pub fn text(diagnosis: &Diagnosis) -> String {
    let mut text = String::new();
    render(&mut text, diagnosis).expect("writing to a string does not fail");
    text
}

fn render(out: &mut String, diagnosis: &Diagnosis) -> fmt::Result {
    wrap(out, "", &diagnosis.headline)?;
    wrap(out, "", &sure(diagnosis))?;
    others_full(out, diagnosis)?;
    stage(out, diagnosis)?;
    first_step(out, diagnosis)?;
    timeline(out, diagnosis)?;
    destinations(out, diagnosis)?;
    clients(out, diagnosis)?;
    remedies(out, diagnosis)?;
    gaps(out, diagnosis)?;
    basis(out, diagnosis)
}

/// How sure, and why, in a sentence.
fn sure(diagnosis: &Diagnosis) -> String {
    let RefusedAttempts { found, counted, accounted } = diagnosis.refused_attempts;
    let refused = diagnosis.destinations.first().map_or(0, |top| top.refused);
    let of_counted =
        accounted.map_or(String::new(), |part| format!(" ({} of those counted)", words::percent(part)));
    let found = words::count(found);
    let verdict = match diagnosis.verdict {
        Verdict::Confirmed if refused > 0 => {
            format!("Confirmed: the flow logs show it full, and {found} attempts refused{of_counted}.")
        }
        Verdict::Confirmed => "Confirmed: errors were counted, and the flow logs show it full.".to_owned(),
        Verdict::Likely if refused > 0 && counted.is_none() => format!(
            "Likely: the flow logs reach the limit and show {found} attempts refused, and no metric is at hand to confirm it."
        ),
        Verdict::Likely => {
            "Likely: the flow logs reach the limit, and nothing beside them proves it.".to_owned()
        }
        Verdict::NotSupported => {
            "Not supported: with these minutes covered, nothing was near the limit.".to_owned()
        }
        Verdict::CannotTell => "Cannot tell: see below for what is missing and how to get it.".to_owned(),
    };
    match diagnosis.pattern {
        Some(pattern) => format!("{verdict} Pattern: {}.", pattern_in_words(pattern)),
        None => verdict,
    }
}

/// Destinations beside the first that had no port left either, so that nobody mends one and waits for
/// the others.
fn others_full(out: &mut String, diagnosis: &Diagnosis) -> fmt::Result {
    /// More than these are counted, not named.
    const NAMED: usize = 3;

    if !matches!(diagnosis.verdict, Verdict::Confirmed | Verdict::Likely) {
        return Ok(());
    }
    let full: Vec<String> = diagnosis
        .destinations
        .iter()
        .skip(1)
        .filter(|other| other.is_full())
        .map(|other| format!("{} ({})", label(other), words::percent(other.utilization.unwrap_or(1.0))))
        .collect();
    let more = match full.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    if full.is_empty() {
        return Ok(());
    }
    wrap(out, "", &format!("Also full: {}{more}.", full[..full.len().min(NAMED)].join(", ")))
}

/// Says of a provisional report that another may follow.
fn stage(out: &mut String, diagnosis: &Diagnosis) -> fmt::Result {
    match diagnosis.stage {
        Stage::Provisional => wrap(
            out,
            "",
            "Provisional: flow logs of these minutes are still arriving. A final report follows if it says more.",
        ),
        Stage::Final => Ok(()),
    }
}

fn pattern_in_words(pattern: Pattern) -> &'static str {
    match pattern {
        Pattern::LongLived => "long-lived (many connections kept in use)",
        Pattern::Leak => "leak (connections opened, then idle, not closed)",
        Pattern::Churn => "churn (short connections at a high rate)",
        Pattern::RetryStorm => "retry storm (attempts without answers)",
        Pattern::FanIn => "fan-in (very many clients, none remarkable)",
        Pattern::Scan => "scan (one client, very many destinations)",
    }
}

fn first_step(out: &mut String, diagnosis: &Diagnosis) -> fmt::Result {
    // Where nothing was wrong, nothing has to be done first.
    let Some(first) = diagnosis.remedies.first().filter(|_| diagnosis.verdict != Verdict::NotSupported)
    else {
        return Ok(());
    };
    writeln!(out)?;
    wrap(out, "", &format!("Do first: {}.", first.title))?;
    first.commands.iter().take(COMMANDS_FIRST).try_for_each(|command| writeln!(out, "{}", command.run))
}

fn heading(out: &mut String, title: &str) -> fmt::Result {
    writeln!(out, "\n{title}")
}

fn label(destination: &DestinationReport) -> String {
    words::endpoint(destination.address, destination.port, &destination.protocol)
}

fn range(held: &HeldPorts) -> String {
    if held.at_least == held.at_most {
        words::count(u64::from(held.at_least))
    } else {
        format!(
            "{} (between {} and {})",
            words::count(u64::from(held.estimate)),
            words::count(u64::from(held.at_least)),
            words::count(u64::from(held.at_most))
        )
    }
}

fn timeline(out: &mut String, diagnosis: &Diagnosis) -> fmt::Result {
    let Some(top) = diagnosis.destinations.first() else { return Ok(()) };
    let capacity = diagnosis.nat_gateways.first().and_then(|g| g.capacity_per_destination);
    heading(out, &format!("PORTS HELD TO {}", label(top)))?;
    let fullest = top.held.at.strftime("%H:%M:%S");
    if let Some(capacity) = capacity {
        writeln!(
            out,
            "Fullest at {fullest}. A full bar is the capacity, {}.",
            words::count(u64::from(capacity))
        )?;
    } else {
        writeln!(out, "Fullest at {fullest}. The capacity is unknown; a full bar is the most of these.")?;
    }
    writeln!(out, "Held when each step began, refused within it; times are UTC.")?;
    let most = top.timeline.iter().map(|step| step.held_estimate).max().unwrap_or(0);
    let full = capacity.unwrap_or(most).max(1);
    for step in &top.timeline {
        let filled = (f64::from(step.held_estimate) / f64::from(full) * BAR as f64).round() as usize;
        let refused = if step.refused > 0 {
            format!(", {} refused", words::count(step.refused))
        } else {
            String::new()
        };
        writeln!(
            out,
            "{} {} {}{refused}",
            step.at.strftime("%H:%M"),
            "#".repeat(filled.min(BAR)),
            words::count(u64::from(step.held_estimate)),
        )?;
    }
    Ok(())
}

fn destinations(out: &mut String, diagnosis: &Diagnosis) -> fmt::Result {
    if diagnosis.destinations.is_empty() {
        return Ok(());
    }
    heading(out, "DESTINATIONS, FULLEST FIRST")?;
    for (index, destination) in diagnosis.destinations.iter().enumerate() {
        let full = destination
            .utilization
            .map_or(String::new(), |part| format!(", {} of capacity", words::percent(part)));
        let service = destination
            .service
            .as_deref()
            .map_or(String::new(), |service| format!(" ({})", one_line(service, NAME)));
        writeln!(out, "{}. {}{service}", index + 1, label(destination))?;
        if let Some(name) = &destination.name {
            let hint = match destination.name_source {
                Some(NameSource::ReverseDns) => " (by reverse DNS: its owner's name for it)",
                Some(NameSource::ResolverQueryLog) | None => "",
            };
            wrap(out, "   ", &format!("Name: {}{hint}", one_line(name, NAME)))?;
        }
        wrap(out, "   ", &format!("Ports held: {}{full}", range(&destination.held)))?;
        let refused = refused(destination.refused);
        wrap(
            out,
            "   ",
            &format!(
                "Gateway port numbers used, over the whole window: {}; {}{refused}",
                words::count(destination.connections),
                words::bytes(destination.bytes)
            ),
        )?;
    }
    Ok(())
}

/// Refused attempts, always said to be an inference; nothing where there are none.
fn refused(attempts: u64) -> String {
    if attempts > 0 {
        format!("; {} attempts refused (inferred)", words::count(attempts))
    } else {
        String::new()
    }
}

fn clients(out: &mut String, diagnosis: &Diagnosis) -> fmt::Result {
    let Some(top) = diagnosis.destinations.first().filter(|top| !top.clients.is_empty()) else {
        return Ok(());
    };
    heading(out, &format!("CLIENTS OF {}, GREATEST HOLDER FIRST", label(top)))?;
    if let Some(note) = attribution_note(top.clients[0].attribution) {
        wrap(out, "", note)?;
    }
    for (index, client) in top.clients.iter().enumerate() {
        client_block(out, index + 1, client)?;
    }
    Ok(())
}

fn attribution_note(attribution: Attribution) -> Option<&'static str> {
    match attribution {
        Attribution::Connection => None,
        Attribution::ClientInterface => {
            Some("Joined by the clients' own interfaces, as the format does not join them.")
        }
        Attribution::DestinationPort => {
            Some("Joined by destination port alone: other destinations on that port are counted in.")
        }
        Attribution::None => Some("Not joined to the destination."),
    }
}

fn client_block(out: &mut String, number: usize, client: &ClientReport) -> fmt::Result {
    writeln!(out, "{number}. {}: {}", client.address, words::percent(client.share))?;
    if let Some(name) = &client.name {
        let when = match client.name_source {
            Some(OwnerSource::FlowLog) => "Then",
            Some(OwnerSource::Lookup) | None => "Now",
        };
        wrap(out, "   ", &format!("{when}: {}", one_line(name, NAME)))?;
    }
    wrap(out, "   ", &format!("Ports held: {}", range(&client.held)))?;
    let refused = refused(client.refused);
    wrap(
        out,
        "   ",
        &format!(
            "Connections: {}; {}{refused}",
            words::count(client.connections),
            words::bytes(client.bytes)
        ),
    )
}

fn remedies(out: &mut String, diagnosis: &Diagnosis) -> fmt::Result {
    if diagnosis.remedies.is_empty() {
        return Ok(());
    }
    heading(out, "WHAT TO DO")?;
    for (index, remedy) in diagnosis.remedies.iter().enumerate() {
        let same = diagnosis.remedies[..index].iter().position(|earlier| earlier.commands == remedy.commands);
        remedy_block(out, index + 1, remedy, same.map(|earlier| earlier + 1))?;
    }
    Ok(())
}

/// One remedy; its commands are those of the remedy of number `same`, where there is one.
fn remedy_block(out: &mut String, number: usize, remedy: &Remedy, same: Option<usize>) -> fmt::Result {
    let confidence = match remedy.confidence {
        Confidence::High => "high",
        Confidence::Medium => "medium",
        Confidence::Low => "low",
    };
    wrap(out, "", &format!("{number}. {} (confidence: {confidence})", remedy.title))?;
    wrap(out, "   ", &format!("Why: {}", remedy.why))?;
    wrap(out, "   ", &format!("Effect: {}", remedy.effect))?;
    if let Some(cost) = remedy.monthly_cost_usd.filter(|cost| *cost > 0.0) {
        wrap(out, "   ", &format!("Cost: {} a month at us-east-1 list price", words::dollars(cost)))?;
    }
    for hazard in &remedy.hazards {
        wrap(out, "   ", &format!("Mind: {hazard}"))?;
    }
    if let Some(same) = same.filter(|_| !remedy.commands.is_empty()) {
        return writeln!(out, "   Run: as in {same}");
    }
    for (index, command) in remedy.commands.iter().enumerate() {
        writeln!(out, "   Run: {}", command.run)?;
        // Said once for all commands that are verified and undone alike.
        let next = remedy.commands.get(index + 1);
        if next.is_none_or(|next| (&next.verify, &next.undo) != (&command.verify, &command.undo)) {
            writeln!(out, "   Verify: {}", command.verify)?;
            writeln!(out, "   Undo: {}", command.undo)?;
        }
    }
    Ok(())
}

fn gaps(out: &mut String, diagnosis: &Diagnosis) -> fmt::Result {
    if diagnosis.gaps.is_empty() {
        return Ok(());
    }
    heading(out, "WHAT WE COULD NOT SEE")?;
    for gap in &diagnosis.gaps {
        wrap(
            out,
            "- ",
            &format!("{}: {}.", one_line(&gap.what, 400), one_line(gap.why.trim_end_matches('.'), 400)),
        )?;
        writeln!(out, "  To see it: {}", one_line(&gap.fix, 2_000))?;
    }
    Ok(())
}

fn basis(out: &mut String, diagnosis: &Diagnosis) -> fmt::Result {
    heading(out, "WHAT THIS RESTS ON")?;
    if let Some(alarm) = &diagnosis.alarm {
        writeln!(out, "Alarm: {} at {}", one_line(&alarm.name, NAME), alarm.at.strftime("%F %T UTC"))?;
    }
    let window = diagnosis.window;
    if window == TimeWindow::EPOCH {
        writeln!(out, "Window: unknown, as no record tells a time")?;
    } else {
        writeln!(out, "Window: {} to {}", window.start(), window.end())?;
    }
    if !diagnosis.pattern_evidence.is_empty() {
        wrap(out, "", &format!("Pattern: {}", diagnosis.pattern_evidence.join("; ")))?;
    }
    if let Some(refused) = refused_beside_counted(&diagnosis.refused_attempts) {
        wrap(out, "", &refused)?;
    }
    for metric in &diagnosis.metrics {
        let before =
            metric.baseline.map_or(String::new(), |n| format!("; {} in the hours before", number(n)));
        let day = metric.day_before.map_or(String::new(), |n| format!("; {} the day before", number(n)));
        let statistic = metric.statistic.to_lowercase();
        wrap(out, "", &format!("{} {statistic}: {}{before}{day}", metric.name, number(metric.value)))?;
    }
    let coverage = &diagnosis.coverage;
    let source = match coverage.source {
        Source::Files => "flow-log files",
        Source::LogsInsights => "CloudWatch Logs Insights",
    };
    let until = coverage.logs_until.map_or_else(String::new, |until| format!(", up to {until}"));
    wrap(
        out,
        "",
        &format!(
            "Records of the gateway: {} from {source}{until}; {}",
            words::count(coverage.records_read),
            if coverage.complete {
                "the whole window is covered"
            } else {
                "the window is not wholly covered"
            }
        ),
    )?;
    if let Some(flow_log) = &coverage.flow_log {
        wrap(out, "", &format!("Flow log: {}", one_line(flow_log, 400)))?;
    }
    if coverage.records_rejected > 0 {
        writeln!(out, "Lines passed over: {}", words::count(coverage.records_rejected))?;
    }
    for query in &diagnosis.queries {
        let scanned =
            query.bytes_scanned.map_or(String::new(), |bytes| format!(", {} scanned", words::bytes(bytes)));
        let cost = query.cost_usd.map_or(String::new(), |cost| format!(", {}", words::dollars(cost)));
        writeln!(out, "Query: {}{scanned}{cost}", query.purpose)?;
    }
    writeln!(out, "Report id: {}", diagnosis.id)
}

/// A metric's value, which is of whole things.
fn number(value: f64) -> String {
    words::count(value.round().max(0.0) as u64)
}

/// What was found refused, beside what CloudWatch counted; nothing where neither was.
fn refused_beside_counted(refused: &RefusedAttempts) -> Option<String> {
    let found = words::count(refused.found);
    match (refused.counted.filter(|counted| *counted > 0.0), refused.accounted) {
        (Some(counted), Some(part)) => Some(format!(
            "Refused attempts found: {found}, {} of the {} that CloudWatch counted",
            words::percent(part),
            words::count(counted as u64)
        )),
        _ if refused.found > 0 => {
            Some(format!("Refused attempts found: {found}; how many were counted is not known"))
        }
        _ => None,
    }
}

/// Writes prose broken at spaces into lines of at most [`WIDTH`], the later ones indented as far as
/// the text of the first.
fn wrap(out: &mut String, indent: &str, prose: &str) -> fmt::Result {
    let hanging = " ".repeat(indent.chars().count());
    let mut line = indent.to_owned();
    let mut empty = true;
    for word in prose.split_whitespace() {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            writeln!(out, "{line}")?;
            line.clone_from(&hanging);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    writeln!(out, "{line}")
}
