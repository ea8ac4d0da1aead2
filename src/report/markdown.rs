//! The diagnosis in Markdown, for tickets: `CommonMark` with the tables that ticket systems add to it.

use std::fmt::{self, Write as _};

use super::basis::basis;
use super::changes;
use super::first_step::{FirstStep, condition_lead_in, filled_in, first_step, lead_in, what_to_do};
use super::lead::lead;
use super::timeline::{Step, Timeline};
use super::wording::{
    FIX, asides, attribution_note, client_name, clients_heading, commands_of, confidence, destination_name,
    gaps_by_fix, held, held_by_client, incident, label, not_listed, nothing_to_undo, outside, query_links,
    sure, to_see, undo_order, when,
};
use crate::contract::{Diagnosis, Remedy, Undo};
use crate::words::{self, one_line, without_links};

/// The whole report.
#[must_use]
pub fn markdown(diagnosis: &Diagnosis) -> String {
    let mut text = String::new();
    render(&mut text, diagnosis).expect("writing to a string does not fail");
    text
}

/// A text that is no diagnosis.
#[must_use]
pub fn note(text: &str) -> String {
    escaped(text)
}

fn render(out: &mut String, diagnosis: &Diagnosis) -> fmt::Result {
    let [first, second] = lead(diagnosis);
    writeln!(out, "# {}\n\n**{}**\n", escaped(&first), escaped(&second))?;
    writeln!(out, "{}\n{}", escaped(&incident(diagnosis)), escaped(&sure(diagnosis)))?;
    for more in asides(diagnosis) {
        writeln!(out, "{}", escaped(&more))?;
    }
    if let Some(FirstStep { what, hazards, lead_in, command, more }) = first_step(diagnosis) {
        writeln!(out, "\n## Do first\n\n{}", escaped(&what))?;
        let cautions = hazards.iter().map(|hazard| format!("Caution: {hazard}"));
        for said in cautions.chain(lead_in) {
            writeln!(out, "\n{}", escaped(&said))?;
        }
        command.map_or(Ok(()), |command| fenced(out, &command))?;
        if more > 0 {
            writeln!(out, "\nThen {} under What to do, 1.", words::counted(more as u64, "more command"))?;
        }
    }
    held_over_time(out, diagnosis)?;
    destinations(out, diagnosis)?;
    clients(out, diagnosis)?;
    changes_before(out, diagnosis)?;
    if !diagnosis.remedies.is_empty() {
        writeln!(out, "\n## What to do")?;
    }
    for (index, one) in diagnosis.remedies.iter().enumerate() {
        remedy(out, index + 1, one, commands_of(&diagnosis.remedies, index))?;
    }
    if !diagnosis.gaps.is_empty() {
        writeln!(out, "\n## What we could not see\n")?;
    }
    for gaps in gaps_by_fix(&diagnosis.gaps) {
        for gap in &gaps {
            let why = one_line(gap.why.trim_end_matches('.'), FIX);
            writeln!(out, "- {}: {}.", escaped(&one_line(&gap.what, FIX)), escaped(&why))?;
        }
        let (words, command) = what_to_do(&gaps[0].fix);
        let command = command.map_or(String::new(), |command| format!(" {}", code(&command)));
        writeln!(out, "  {}{}{command}", to_see(&gaps), escaped(&words))?;
    }
    links(out, diagnosis)?;
    writeln!(out, "\n## What this rests on\n")?;
    basis(diagnosis).iter().try_for_each(|fact| writeln!(out, "- {}", escaped(fact)))
}

fn held_over_time(out: &mut String, diagnosis: &Diagnosis) -> fmt::Result {
    let Some((top, timeline)) = diagnosis.destinations.first().zip(Timeline::of(diagnosis)) else {
        return Ok(());
    };
    let legend = timeline.legend();
    writeln!(
        out,
        "\n## Ports held to {}\n\n{legend} At most: at any time within it.\n",
        escaped(&label(top))
    )?;
    writeln!(out, "| UTC | at least | estimate | at most | refused |\n|---|--:|--:|--:|--:|")?;
    for Step { figures, seen, .. } in &timeline.steps {
        let [least, estimate, most] = [figures.held_at_least, figures.held_estimate, figures.held_at_most]
            .map(|ports| words::count(u64::from(ports)));
        let (at, refused) = (timeline.time(figures.at), words::count(figures.refused));
        if *seen {
            writeln!(out, "| {at} | {least} | {estimate} | {most} | {refused} |")?;
        } else {
            writeln!(out, "| {at} | | not seen | | |")?;
        }
    }
    Ok(())
}

fn destinations(out: &mut String, diagnosis: &Diagnosis) -> fmt::Result {
    if diagnosis.destinations.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## Destinations, fullest first\n")?;
    writeln!(out, "| destination | ports held | refused (inferred) | bytes |\n|---|---|--:|--:|")?;
    for destination in &diagnosis.destinations {
        let mut names: Vec<String> = destination_name(destination).into_iter().collect();
        names.extend(destination.service.as_deref().map(outside));
        let names: String = names.iter().map(|name| format!(" {}", escaped(name))).collect();
        writeln!(
            out,
            "| {}{names} | {} | {} | {} |",
            escaped(&label(destination)),
            escaped(&held(destination)),
            words::count(destination.refused),
            words::bytes(destination.bytes)
        )?;
    }
    let more = not_listed(diagnosis.destinations_seen, diagnosis.destinations.len(), "destination");
    more.map_or(Ok(()), |more| writeln!(out, "\n{more}"))
}

fn clients(out: &mut String, diagnosis: &Diagnosis) -> fmt::Result {
    let Some(top) = diagnosis.destinations.first().filter(|top| !top.clients.is_empty()) else {
        return Ok(());
    };
    writeln!(out, "\n## {}\n", escaped(&clients_heading(top)))?;
    if let Some(note) = attribution_note(top) {
        writeln!(out, "{note}\n")?;
    }
    writeln!(out, "| client | share | ports held | own ports used | refused (inferred) | bytes |")?;
    writeln!(out, "|---|--:|---|--:|--:|--:|")?;
    for client in &top.clients {
        let name = client_name(client)
            .map_or(String::new(), |(when, name)| format!(" ({}: {})", when.to_lowercase(), escaped(&name)));
        writeln!(
            out,
            "| {}{name} | {} | {} | {} | {} | {} |",
            client.address,
            escaped(&words::percent(client.share)),
            held_by_client(client),
            words::count(client.connections),
            words::count(client.refused),
            words::bytes(client.bytes)
        )?;
    }
    let more = not_listed(top.clients_seen, top.clients.len(), "client");
    more.map_or(Ok(()), |more| writeln!(out, "\n{more}"))
}

fn changes_before(out: &mut String, diagnosis: &Diagnosis) -> fmt::Result {
    let Some(told) = changes::told(diagnosis) else { return Ok(()) };
    writeln!(out, "\n## {}\n\n{}\n", changes::HEADING, escaped(&told.intro))?;
    told.changes.iter().try_for_each(|change| writeln!(out, "- {}", escaped(change)))?;
    if let Some(others) = told.others {
        writeln!(out, "\n{}", escaped(&others))?;
    }
    told.command.map_or(Ok(()), |command| {
        writeln!(out, "\nTo see the first in full:")?;
        fenced(out, &command)
    })
}

/// One remedy; its commands are those of the remedy of number `same`, where there is one.
fn remedy(out: &mut String, number: usize, remedy: &Remedy, same: Option<usize>) -> fmt::Result {
    writeln!(out, "\n### {number}. {}\n", escaped(&remedy.title))?;
    writeln!(out, "- When: {}\n- Confidence: {}", when(remedy.when), confidence(remedy.confidence))?;
    writeln!(out, "- Why: {}\n- Effect: {}", escaped(&remedy.why), escaped(&remedy.effect))?;
    if let Some(cost) = remedy.monthly_cost_usd.filter(|cost| *cost > 0.0) {
        writeln!(out, "- Cost: {} a month at us-east-1 list price", words::dollars(cost))?;
    }
    for hazard in &remedy.hazards {
        writeln!(out, "- Caution: {}", escaped(hazard))?;
    }
    if let Some(condition) = &remedy.condition {
        writeln!(out, "\n{}", escaped(&condition_lead_in(condition)))?;
        fenced(out, &condition.command)?;
    }
    if let Some(same) = same {
        return writeln!(out, "\nThe command is that of {same}.");
    }
    for (index, command) in remedy.commands.iter().enumerate() {
        writeln!(out, "\n{}", escaped(&lead_in(command)))?;
        fenced(out, &command.run)?;
        let next = remedy.commands.get(index + 1);
        if next.is_none_or(|next| (&next.verify, &next.undo) != (&command.verify, &command.undo)) {
            write!(out, "\nVerify{}:", escaped(&filled_in(&command.verify)))?;
            fenced(out, &command.verify)?;
            match &command.undo {
                Undo::Run(undo) => {
                    write!(out, "\nUndo{}:", escaped(&filled_in(undo)))?;
                    fenced(out, undo)?;
                }
                Undo::Nothing(why) => writeln!(out, "\n{}", escaped(&nothing_to_undo(why)))?,
            }
        }
    }
    undo_order(remedy).map_or(Ok(()), |order| writeln!(out, "\n{order}"))
}

fn links(out: &mut String, diagnosis: &Diagnosis) -> fmt::Result {
    let mut links = diagnosis.links.iter().cloned().chain(query_links(diagnosis)).peekable();
    if links.peek().is_some() {
        writeln!(out, "\n## Look for yourself\n")?;
    }
    // In angle brackets a link may hold parentheses; it holds no angle brackets itself.
    links.try_for_each(|link| writeln!(out, "- [{}](<{}>)", escaped(&link.title), link.url))
}

/// A block of code that nothing in it can end.
fn fenced(out: &mut String, code: &str) -> fmt::Result {
    let fence = "`".repeat((longest_backticks(code) + 1).max(3));
    writeln!(out, "\n{fence}sh\n{code}\n{fence}")
}

/// Code within a line that nothing in it can end.
fn code(code: &str) -> String {
    let fence = "`".repeat(longest_backticks(code) + 1);
    format!("{fence} {code} {fence}")
}

fn longest_backticks(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Text that means nothing but itself in Markdown, and notifies and links nobody.
fn escaped(text: &str) -> String {
    let text = one_line(&without_links(text), usize::MAX);
    let mut escaped = String::with_capacity(text.len());
    let mut at_start = true;
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '$' | '^' => {
                escaped.extend(['\\', c]);
            }
            // No backslash keeps ticket systems from notifying whom it names, and from linking other tickets.
            '@' => escaped.push('＠'),
            '#' => escaped.push('＃'),
            '!' => escaped.push('！'),
            '+' | '-' | '=' if at_start => escaped.extend(['\\', c]),
            _ => escaped.push(c),
        }
        at_start = false;
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_no_markup() {
        assert_eq!(escaped("a|b `c` [d](e) <f>"), r"a\|b \`c\` \[d\](e) \<f\>");
        assert_eq!(
            escaped("# x\n@all https://evil.example www.evil.example"),
            "＃ x ＠all https: //evil.example www .evil.example"
        );
    }

    #[test]
    fn nothing_in_a_command_ends_its_block() {
        let mut out = String::new();
        fenced(&mut out, "echo '````'\n```").expect("written");
        assert!(out.starts_with("\n`````sh\n") && out.ends_with("\n`````\n"), "{out}");
    }
}
