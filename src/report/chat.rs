//! The diagnosis as a custom notification of Amazon Q Developer in chat applications, which shows it in Slack
//! and Teams. Their Markdown differs, so that nothing but code, lists and line breaks is used.
//!
//! Source of the fields and limits: "Custom notifications" in the Amazon Q Developer in chat applications
//! administrator guide.

use std::fmt::{self, Write as _};

use serde_json::{Value, json};

use super::Trouble;
use super::changes;
use super::first_step::{FirstStep, first_step, what_to_do};
use super::lead::lead;
use super::sms::subject;
use super::timeline::Timeline;
use super::trouble::Kind;
use super::wording::{
    FIX, asides, attribution_note, capacity, client_name, clients_heading, gaps_by_fix, incident, label,
    not_listed, outside, sure, verdict_in_words, when, worth_showing,
};
use crate::contract::{Diagnosis, Remedy, Verdict};
use crate::words::{self, one_line};

/// Most characters of each field.
const TITLE: usize = 250;
const DESCRIPTION: usize = 8_000;
const NEXT_STEP: usize = 350;
const KEYWORD: usize = 75;

/// Next steps, changes and gaps that are said: a chat is read at a glance, and the mail has the rest.
const STEPS: usize = 3;
const CHANGES: usize = 2;
const GAPS: usize = 3;

/// Before and after a block of code.
const FENCE: &str = "```";

/// Links that are longer are left to the mail and the page.
const LINK: usize = 1_000;

/// The notification; `report_url` leads to the report with its chart, where there is one.
#[must_use]
pub fn chat(diagnosis: &Diagnosis, report_url: Option<&str>) -> Value {
    let [first, second] = lead(diagnosis);
    let mut description = String::new();
    describe(&mut description, &second, diagnosis, report_url).expect("writing to a string does not fail");
    let gateway = diagnosis.nat_gateways.first().and_then(|gateway| gateway.id.as_deref());
    let gateway = gateway.unwrap_or("unknown-gateway");
    let verdict = verdict_in_words(diagnosis.verdict);
    let thread = match &diagnosis.alarm {
        Some(alarm) => thread(&alarm.name, gateway),
        None => gateway.to_owned(),
    };
    let remedies = diagnosis.remedies.iter().filter(|_| diagnosis.verdict != Verdict::NotSupported);
    let next_steps: Vec<String> =
        remedies.take(STEPS).map(|remedy| one_line(&safe(&next_step(remedy)), NEXT_STEP)).collect();
    let mut keywords = vec![gateway.to_owned(), verdict.to_lowercase()];
    keywords.extend(diagnosis.destinations.first().map(label));
    notification(
        &diagnosis.id,
        &safe(&first),
        &description,
        &next_steps,
        &keywords,
        &json!({
            "threadId": thread,
            "summary": subject(diagnosis),
            "additionalContext": {
                "schema": diagnosis.schema,
                "id": diagnosis.id,
                "natGatewayId": gateway,
                "verdict": diagnosis.verdict,
            },
        }),
    )
}

/// A remedy in a line: when it helps, and what has to be found out first.
fn next_step(remedy: &Remedy) -> String {
    let when = when(remedy.when);
    match &remedy.condition {
        Some(condition) => format!("{} ({when}, once it is known {})", remedy.title, condition.unknown),
        None => format!("{} ({when})", remedy.title),
    }
}

/// The thread of all that is said of an alarm on a gateway.
pub(super) fn thread(alarm: &str, gateway: &str) -> String {
    format!("{} {gateway}", safe(&outside(alarm)))
}

/// A text that is no diagnosis.
#[must_use]
pub fn note(text: &str) -> Value {
    notification("nat-triage", "nat-triage", &safe(text), &[], &[], &json!({ "threadId": "nat-triage" }))
}

/// The notification that there is no diagnosis, and why.
#[must_use]
pub(super) fn of_trouble(trouble: &Trouble<'_>) -> Value {
    let (words, command) = trouble.what_to_do();
    let command = command.map_or(String::new(), |command| format!("\n{}", code_block(&command)));
    let reason = safe(&trouble.reason_shown());
    let why = if trouble.kind() == Kind::Recovery { "" } else { "Why: " };
    let description = format!("{why}{reason}.\n\nWhat to do: {words}{command}");
    let metadata = json!({ "threadId": trouble.thread(), "summary": trouble.subject() });
    notification(&trouble.id, trouble.subject(), &description, &[], &[], &metadata)
}

pub(super) fn notification(
    id: &str,
    title: &str,
    description: &str,
    next_steps: &[String],
    keywords: &[String],
    metadata: &Value,
) -> Value {
    let keywords: Vec<String> = keywords.iter().map(|word| one_line(word, KEYWORD)).collect();
    json!({
        "version": "1.0",
        "source": "custom",
        "id": id,
        "content": {
            "textType": "client-markdown",
            "title": one_line(title, TITLE),
            "description": cut(description, DESCRIPTION),
            "nextSteps": next_steps,
            "keywords": keywords,
        },
        "metadata": metadata,
    })
}

fn describe(out: &mut String, second: &str, diagnosis: &Diagnosis, report_url: Option<&str>) -> fmt::Result {
    writeln!(out, "{}\n\n{}\n{}", safe(second), safe(&incident(diagnosis)), safe(&sure(diagnosis)))?;
    for more in asides(diagnosis) {
        writeln!(out, "{}", safe(&more))?;
    }
    if let Some(FirstStep { what, hazards, lead_in, command, more }) = first_step(diagnosis) {
        writeln!(out, "\nDo first: {}", safe(&what))?;
        let cautions = hazards.iter().map(|hazard| format!("Caution: {hazard}"));
        for said in cautions.chain(lead_in) {
            writeln!(out, "{}", safe(&said))?;
        }
        if let Some(command) = command {
            writeln!(out, "{}", code_block(&command))?;
        }
        if more > 0 {
            writeln!(out, "Then {}: the mail has all.", words::counted(more as u64, "more command"))?;
        }
    }
    if let Some(url) = report_url {
        writeln!(out, "\nThe report with its chart, for some hours: {url}")?;
    }
    if let Some(top) = diagnosis.destinations.first() {
        if let Some(timeline) = Timeline::of(diagnosis) {
            let of = capacity(diagnosis).map_or(String::new(), |all| format!(" of {}", words::count(all)));
            writeln!(out, "\nPorts held to {}{of}, UTC. {}", label(top), timeline.legend())?;
            for stretch in timeline.stretches() {
                let (step, last) = (stretch[0], stretch[stretch.len() - 1]);
                let until = if stretch.len() > 1 {
                    format!(" to {}", timeline.time(last.figures.at))
                } else {
                    String::new()
                };
                writeln!(out, "- {}{until}: {}", timeline.time(step.figures.at), step.in_words())?;
            }
        }
        if !top.clients.is_empty() {
            let note = attribution_note(top).map_or(String::new(), |note| format!(" {note}"));
            writeln!(out, "\n{}:{note}", clients_heading(top))?;
        }
        let shown = worth_showing(top.clients.iter().map(|client| Some(client.share)));
        for client in top.clients.iter().take(shown) {
            let name = client_name(client)
                .map_or(String::new(), |(when, name)| format!(", {} {}", when.to_lowercase(), code(&name)));
            let held = words::counted(u64::from(client.held.estimate), "port");
            writeln!(out, "- {}: {}, {held}{name}", client.address, words::percent(client.share))?;
        }
        if let Some(more) = not_listed(top.clients_seen, top.clients.len(), "client") {
            writeln!(out, "{more}")?;
        }
    }
    if let Some(told) = changes::told(diagnosis) {
        writeln!(out, "\n{}, which need not be the cause:", changes::HEADING)?;
        for change in told.changes.iter().take(CHANGES) {
            writeln!(out, "- {}", safe(change))?;
        }
        if told.changes.len() > CHANGES {
            writeln!(out, "- and {} more", told.changes.len() - CHANGES)?;
        }
    }
    if !diagnosis.gaps.is_empty() {
        writeln!(out, "\nWe could not see:")?;
    }
    let gaps = gaps_by_fix(&diagnosis.gaps);
    for gaps in gaps.iter().take(GAPS) {
        let what: Vec<String> = gaps.iter().map(|gap| safe(&one_line(&gap.what, FIX))).collect();
        let (words, command) = what_to_do(&gaps[0].fix);
        writeln!(out, "- {}: {}", words::list(&what), safe(&words))?;
        if let Some(command) = command {
            writeln!(out, "{}", code_block(&command))?;
        }
    }
    if gaps.len() > GAPS {
        writeln!(out, "- and {} more", gaps[GAPS..].iter().map(Vec::len).sum::<usize>())?;
    }
    // Chats leave a last parenthesis out of what they take for the link.
    for link in diagnosis.links.iter().filter(|link| link.url.len() <= LINK && !link.url.ends_with(')')) {
        writeln!(out, "\n{}: {}", link.title, link.url)?;
    }
    Ok(())
}

/// Text that a chat shows as it is: no markup, no link, nobody mentioned. What would be markup is replaced by
/// what looks like it.
pub(super) fn safe(text: &str) -> String {
    one_line(text, usize::MAX)
        .replace("://", ": //")
        .chars()
        .map(|c| match c {
            '<' => '‹',
            '>' => '›',
            '`' => '\'',
            '*' => '∗',
            '~' => '∼',
            '[' => '(',
            ']' => ')',
            '@' => '＠',
            other => other,
        })
        .collect()
}

/// A name from outside, as code.
fn code(text: &str) -> String {
    format!("`{}`", safe(text))
}

/// A command. What Slack takes for markup even within code, it shows for the entities that stand for it.
pub(super) fn code_block(command: &str) -> String {
    let command =
        command.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace(FENCE, "` ` `");
    format!("{FENCE}\n{command}\n{FENCE}")
}

/// The first lines of a text, as many as fit in so many characters.
fn cut(text: &str, most: usize) -> String {
    const MORE: &str = "\n(cut: the mail has the rest)";

    let text = text.trim_end();
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut left = most - MORE.chars().count();
    for line in text.split_inclusive('\n') {
        let length = line.chars().count();
        if length > left {
            break;
        }
        left -= length;
        kept.push_str(line);
    }
    // A command that is cut off is none, and a block that does not end swallows what follows.
    if kept.matches(FENCE).count() % 2 == 1 {
        kept.truncate(kept.rfind(FENCE).unwrap_or(kept.len()));
    }
    format!("{}{MORE}", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_mentions_links_and_marks_up_nothing() {
        assert_eq!(
            safe("<!channel> `x` *b* [l](https://evil.example) @here\n"),
            "‹!channel› 'x' ∗b∗ (l)(https: //evil.example) ＠here "
        );
        assert_eq!(code("a`b"), "`a'b`");
    }

    #[test]
    fn a_long_description_ends_with_a_whole_line_and_says_so() {
        let text = "0123456789\n".repeat(2_000);
        let kept = cut(&text, DESCRIPTION);
        assert!(kept.chars().count() <= DESCRIPTION);
        assert!(kept.ends_with("0123456789\n(cut: the mail has the rest)"), "{kept}");
    }

    #[test]
    fn no_block_of_code_is_left_open_where_a_description_ends() {
        let text = format!("run this:\n{}", code_block(&"x".repeat(2 * DESCRIPTION)));
        assert_eq!(cut(&text, DESCRIPTION), "run this:\n(cut: the mail has the rest)");
    }
}
