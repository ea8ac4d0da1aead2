//! The diagnosis as one self-contained HTML page: no network, light and dark, for a phone, the desk and paper.
//!
//! What comes from outside goes through the template's escaping and nothing else; and the page forbids by its
//! own policy every script and style but the two that are in it.

mod chart;

use askama::Template;

use super::basis::basis;
use super::changes::{self, Told};
use super::earlier;
use super::first_step::{FirstStep, condition_lead_in, filled_in, first_step, lead_in, what_to_do};
use super::lead::lead;
use super::sms::subject;
use super::timeline::{Step, Timeline};
use super::wording::{
    FIX, NAME, asides, attribution_note, capacity, client_name, clients_heading, coloured_as, confidence,
    destination_name, gaps_by_fix, incident, label, not_listed, nothing_to_undo, number, outside,
    query_links, sure, to_see, undo_order, verdict_in_words, when,
};
use crate::contract::{
    ClientReport, Command, DestinationReport, Diagnosis, HeldPorts, Link, MetricReport, Remedy, Undo,
};
use crate::evidence::QueryRun;
use crate::gap::Gap;
use crate::words::{self, one_line};
use chart::{Size, chart};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// SHA-256 of the two, as a Content-Security-Policy names what it allows. A test computes them.
const STYLE_HASH: &str = "sha256-NXSZio2pWxBHntvZMZd/L2q0R9K6tRUBmgHvoMAOsYc=";
const SCRIPT_HASH: &str = "sha256-e2NT2p5hKp6aSlB2khPWVFW+ZGgoAxKRtrBJU/IdiwY=";

/// The page.
#[must_use]
pub fn html(diagnosis: &Diagnosis) -> String {
    let mut page = Page::of(diagnosis).render().expect("writing to a string does not fail");
    page.push('\n');
    page
}

/// A page that is no diagnosis but a text.
#[must_use]
pub fn note(text: &str) -> String {
    Note { style: STYLE, style_hash: STYLE_HASH, text }.render().expect("writing to a string does not fail")
}

#[derive(Template)]
#[template(path = "note.html", config = "src/report/html/askama.toml")]
struct Note<'a> {
    style: &'static str,
    style_hash: &'static str,
    text: &'a str,
}

#[derive(Template)]
#[template(path = "report.html", config = "src/report/html/askama.toml")]
struct Page<'a> {
    style: &'static str,
    script: &'static str,
    style_hash: &'static str,
    script_hash: &'static str,
    subject: String,
    verdict_class: &'static str,
    verdict: &'static str,
    lead: [String; 2],
    incident: String,
    sure: String,
    asides: Vec<String>,
    first: Option<FirstStep>,
    top: Option<Top>,
    narrow_chart: String,
    wide_chart: String,
    scale: String,
    destinations: Vec<Row>,
    more_destinations: Option<String>,
    note: Option<&'static str>,
    clients_heading: String,
    more_clients: Option<String>,
    clients: Vec<Row>,
    changes_heading: &'static str,
    changes: Option<Told>,
    remedies: Vec<Fix<'a>>,
    gaps: Vec<Unseen>,
    links: Vec<Link>,
    metrics: Vec<Measured>,
    basis: Vec<String>,
    queries: Vec<Asked<'a>>,
    schema: &'a str,
    id: &'a str,
}

/// The fullest destination.
struct Top {
    label: String,
    legend: String,
    steps: Vec<StepRow>,
    /// Whether there are no records of some.
    some_unseen: bool,
}

struct StepRow {
    at: String,
    /// At least, estimate, at most, refused; `None` where it was not seen.
    figures: Option<[String; 4]>,
}

/// A destination or a client.
struct Row {
    label: String,
    sub: Vec<String>,
    held: String,
    range: String,
    part: String,
    refused: String,
}

struct Fix<'a> {
    title: &'a str,
    when: &'static str,
    /// What it hangs on, in words, and the command that decides it.
    condition: Option<(String, &'a str)>,
    why: &'a str,
    effect: &'a str,
    confidence: &'static str,
    cost: Option<String>,
    hazards: &'a [String],
    commands: Vec<Instruction<'a>>,
    undo_order: Option<&'static str>,
}

struct Instruction<'a> {
    lead_in: String,
    command: &'a Command,
    /// What stands over the command that verifies it, and over the one that takes it back.
    verify: String,
    undo: String,
    /// Whether those that follow are verified and undone otherwise.
    last_of_its_kind: bool,
}

struct Unseen {
    /// What, and why not, of each that one fix shows.
    unseen: Vec<(String, String)>,
    to_see: &'static str,
    /// In words, perhaps none.
    fix: String,
    command: Option<String>,
}

struct Measured {
    name: String,
    statistic: String,
    value: String,
    baseline: String,
    day_before: String,
}

struct Asked<'a> {
    purpose: &'a str,
    log_groups: String,
    text: &'a str,
}

impl<'a> Page<'a> {
    fn of(diagnosis: &'a Diagnosis) -> Self {
        let top = diagnosis.destinations.first();
        let capacity = capacity(diagnosis);
        let timeline = Timeline::of(diagnosis);
        let refused = top.map_or(0, |top| top.refused);
        let drawn = |size| {
            timeline.as_ref().map_or(String::new(), |timeline| chart(timeline, capacity, refused, size))
        };
        Self {
            style: STYLE,
            script: SCRIPT,
            style_hash: STYLE_HASH,
            script_hash: SCRIPT_HASH,
            subject: subject(diagnosis),
            verdict_class: coloured_as(diagnosis).name(),
            verdict: verdict_in_words(diagnosis.verdict),
            lead: lead(diagnosis),
            incident: incident(diagnosis),
            sure: sure(diagnosis),
            asides: asides(diagnosis),
            first: first_step(diagnosis),
            top: top.map(|top| Top::of(top, timeline.as_ref())),
            narrow_chart: drawn(Size::Narrow),
            wide_chart: drawn(Size::Wide),
            scale: match capacity {
                Some(capacity) => format!("Capacity is {} ports.", words::count(capacity)),
                None => "The capacity is not known.".into(),
            },
            destinations: diagnosis.destinations.iter().map(Row::of_destination).collect(),
            more_destinations: not_listed(
                diagnosis.destinations_seen,
                diagnosis.destinations.len(),
                "destination",
            ),
            note: top.and_then(attribution_note),
            clients_heading: top.map_or(String::new(), clients_heading),
            more_clients: top.and_then(|top| not_listed(top.clients_seen, top.clients.len(), "client")),
            clients: top.map_or(&[][..], |top| &top.clients[..]).iter().map(Row::of_client).collect(),
            changes_heading: changes::HEADING,
            changes: changes::told(diagnosis),
            remedies: diagnosis.remedies.iter().map(Fix::of).collect(),
            gaps: gaps_by_fix(&diagnosis.gaps).iter().map(|gaps| Unseen::of(gaps)).collect(),
            links: links(diagnosis),
            metrics: diagnosis.metrics.iter().map(Measured::of).collect(),
            basis: basis(diagnosis),
            queries: diagnosis.queries.iter().map(Asked::of).collect(),
            schema: &diagnosis.schema,
            id: &diagnosis.id,
        }
    }
}

impl Top {
    fn of(destination: &DestinationReport, timeline: Option<&Timeline<'_>>) -> Self {
        let row = |timeline: &Timeline<'_>, Step { figures, seen, .. }: &Step<'_>| {
            let held = [figures.held_at_least, figures.held_estimate, figures.held_at_most];
            let [least, estimate, most] = held.map(|ports| words::count(u64::from(ports)));
            StepRow {
                at: timeline.time(figures.at),
                figures: seen.then(|| [least, estimate, most, words::count(figures.refused)]),
            }
        };
        let steps: Vec<StepRow> =
            timeline.map_or_else(Vec::new, |t| t.steps.iter().map(|step| row(t, step)).collect());
        Self {
            label: label(destination),
            legend: timeline.map_or(String::new(), Timeline::legend),
            some_unseen: steps.iter().any(|step| step.figures.is_none()),
            steps,
        }
    }
}

impl Row {
    /// The label in pieces between which its line may break: half a port reads as another one.
    fn pieces(&self) -> impl Iterator<Item = &str> {
        let ends = self.label.match_indices(':').map(|(at, _)| at).chain([self.label.len()]);
        let mut begin = 0;
        ends.map(move |end| {
            let piece = &self.label[begin..end];
            begin = end;
            piece
        })
    }

    fn of_destination(destination: &DestinationReport) -> Self {
        let mut sub: Vec<String> = destination_name(destination).into_iter().collect();
        sub.extend(destination.service.as_deref().map(outside));
        sub.push(format!(
            "{} of the gateway used in all, {}",
            words::counted(destination.connections, "port number"),
            words::bytes(destination.bytes)
        ));
        sub.extend(destination.held_earlier.as_ref().map(earlier::held_then));
        Self {
            label: label(destination),
            sub,
            held: words::count(u64::from(destination.held.estimate)),
            range: ends(&destination.held),
            part: destination.utilization.map_or_else(|| "unknown".into(), words::percent),
            refused: words::count(destination.refused),
        }
    }

    fn of_client(client: &ClientReport) -> Self {
        let mut sub: Vec<String> =
            client_name(client).map(|(when, name)| format!("{when}: {name}")).into_iter().collect();
        sub.extend(client.zone.as_deref().map(|zone| format!("Zone: {}", outside(zone))));
        let used = words::counted(client.connections, "port number");
        sub.push(format!("{used} of its own used, {}", words::bytes(client.bytes)));
        sub.extend(client.held_earlier.as_ref().map(earlier::held_then));
        Self {
            label: client.address.to_string(),
            sub,
            held: words::count(u64::from(client.held.estimate)),
            range: ends(&client.held),
            part: words::percent(client.share),
            refused: words::count(client.refused),
        }
    }
}

/// The ends of a range, where it has two.
fn ends(held: &HeldPorts) -> String {
    if held.at_least == held.at_most {
        return String::new();
    }
    format!("{} to {}", words::count(u64::from(held.at_least)), words::count(u64::from(held.at_most)))
}

impl<'a> Fix<'a> {
    fn of(remedy: &'a Remedy) -> Self {
        let steps = remedy.commands.iter().enumerate().map(|(index, command)| {
            let next = remedy.commands.get(index + 1);
            let differs = |next: &Command| (&next.verify, &next.undo) != (&command.verify, &command.undo);
            Instruction {
                lead_in: lead_in(command),
                command,
                verify: format!("Verify{}", filled_in(&command.verify)),
                undo: match &command.undo {
                    Undo::Run(undo) => format!("Undo{}", filled_in(undo)),
                    Undo::Nothing(why) => nothing_to_undo(why),
                },
                last_of_its_kind: next.is_none_or(differs),
            }
        });
        let condition = remedy.condition.as_ref();
        Self {
            title: &remedy.title,
            when: when(remedy.when),
            condition: condition.map(|condition| (condition_lead_in(condition), condition.command.as_str())),
            why: &remedy.why,
            effect: &remedy.effect,
            confidence: confidence(remedy.confidence),
            cost: remedy
                .monthly_cost_usd
                .filter(|cost| *cost > 0.0)
                .map(|cost| format!("{} a month at us-east-1 list price", words::dollars(cost))),
            hazards: &remedy.hazards,
            commands: steps.collect(),
            undo_order: undo_order(remedy),
        }
    }
}

impl Measured {
    fn of(metric: &MetricReport) -> Self {
        let known = |value: Option<f64>| value.map_or_else(|| "unknown".into(), number);
        Self {
            name: outside(&metric.name),
            statistic: outside(&metric.statistic),
            value: number(metric.value),
            baseline: known(metric.baseline),
            day_before: known(metric.day_before),
        }
    }
}

impl<'a> Asked<'a> {
    fn of(query: &'a QueryRun) -> Self {
        let groups: Vec<String> = query.log_groups.iter().map(|group| one_line(group, NAME)).collect();
        Self { purpose: &query.purpose, log_groups: groups.join(", "), text: &query.text }
    }
}

impl Unseen {
    fn of(gaps: &[&Gap]) -> Self {
        let (words, command) = what_to_do(&gaps[0].fix);
        let shown = |gap: &&Gap| (one_line(&gap.what, FIX), one_line(gap.why.trim_end_matches('.'), FIX));
        Self {
            unseen: gaps.iter().map(shown).collect(),
            to_see: to_see(gaps).trim_end(),
            fix: words,
            command,
        }
    }
}

/// All links, those to the queries too. Nothing but the web's own scheme is a link.
fn links(diagnosis: &Diagnosis) -> Vec<Link> {
    let all = diagnosis.links.iter().cloned().chain(query_links(diagnosis));
    all.filter(|link| link.url.starts_with("https://")).collect()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn the_policy_allows_only_the_pages_own_style_and_script() {
        for (text, hash) in [(STYLE, STYLE_HASH), (SCRIPT, SCRIPT_HASH)] {
            assert_eq!(hash, format!("sha256-{}", STANDARD.encode(Sha256::digest(text))));
        }
    }
}
