//! The diagnosis as plain text: the answer first, then what to do, then what it rests on.
//!
//! In mail nothing depends on columns lining up, as phones show it in proportional type; lines of prose are
//! short, and commands and links are never broken. On a terminal the same text has colours and a chart.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};

use super::again;
use super::basis::basis;
use super::changes;
use super::first_step::{FirstStep, condition_lead_in, filled_in, first_step, lead_in, what_to_do};
use super::lead::lead;
use super::lines::wrap;
use super::timeline::{Step, Timeline};
use super::wording::{
    FIX, asides, attribution_note, capacity, client_name, clients_heading, coloured_as, commands_of,
    confidence, destination_name, gaps_by_fix, held, held_by_client, incident, label, not_listed,
    nothing_to_undo, outside, query_links, refused, sure, to_see, undo_order, when, worth_showing,
};
use crate::command_line::CommandLine;
use crate::contract::{ClientReport, Command, Diagnosis, Link, Remedy, Undo, Verdict};
use crate::words;

/// Characters of the longest bar in mail: with the figures beside it, a line of a phone.
const BAR: usize = 20;

/// Characters of the longest bar on a terminal: with the figures beside it, eighty columns.
const WIDE_BAR: usize = 40;

/// The whole report as plain text.
#[must_use]
pub fn text(diagnosis: &Diagnosis) -> String {
    mail(diagnosis, None)
}

/// The same with a link to the report with its chart, where there is one.
#[must_use]
pub fn mail(diagnosis: &Diagnosis, report_url: Option<&str>) -> String {
    rendered(diagnosis, report_url, Look::Plain)
}

/// The same with ANSI colours and a chart, for a terminal of 80 columns or more.
#[must_use]
pub fn terminal(diagnosis: &Diagnosis) -> String {
    rendered(diagnosis, None, Look::Terminal)
}

fn rendered(diagnosis: &Diagnosis, report_url: Option<&str>, look: Look) -> String {
    let mut page = Page { out: String::new(), look };
    page.report(diagnosis, report_url);
    page.out
}

/// How the text is dressed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Plain,
    Terminal,
}

/// What a piece of the text is.
#[derive(Clone, Copy)]
enum Part {
    /// The answer, in the colour of a verdict.
    Lead(Verdict),
    Heading,
    Command,
    /// A bar that reaches capacity.
    Full,
}

impl Part {
    fn style(self) -> Style {
        let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        match self {
            Self::Lead(Verdict::Confirmed) => colour(AnsiColor::Red).bold(),
            Self::Lead(Verdict::Likely) => colour(AnsiColor::Yellow).bold(),
            Self::Lead(Verdict::NotSupported) => colour(AnsiColor::Green).bold(),
            Self::Lead(Verdict::CannotTell) => colour(AnsiColor::Magenta).bold(),
            Self::Heading => Style::new().bold(),
            Self::Command => colour(AnsiColor::Cyan),
            Self::Full => colour(AnsiColor::Red),
        }
    }
}

struct Page {
    out: String,
    look: Look,
}

impl Page {
    fn report(&mut self, diagnosis: &Diagnosis, report_url: Option<&str>) {
        for line in lead(diagnosis) {
            let mut lines = String::new();
            wrap(&mut lines, "", &line);
            for line in lines.lines() {
                let line = self.dressed(Part::Lead(coloured_as(diagnosis)), line);
                self.line(line);
            }
        }
        self.line("");
        self.wrap("", &incident(diagnosis));
        self.wrap("", &sure(diagnosis));
        for more in asides(diagnosis) {
            self.wrap("", &more);
        }
        self.first_step(diagnosis);
        if let Some(url) = report_url {
            self.line("");
            self.wrap("", "The report with its chart and the queries, for some hours:");
            self.line(url);
        }
        self.timeline(diagnosis);
        // The report of the alarm before has the rest.
        let is_short = diagnosis.again.is_some();
        if !is_short {
            self.destinations(diagnosis);
            self.clients(diagnosis);
        }
        if again::has_new_change(diagnosis) {
            self.changes(diagnosis);
        }
        self.remedies(diagnosis);
        if !is_short {
            self.gaps(diagnosis);
            self.links("LOOK FOR YOURSELF", diagnosis.links.iter().cloned());
        }
        if let Some(rest) = again::the_rest(diagnosis, report_url.is_some()) {
            self.line("");
            self.wrap("", &rest);
        }
        self.heading("WHAT THIS RESTS ON");
        for fact in basis(diagnosis) {
            self.wrap("", &fact);
        }
        // With all their text they are many lines long: at the very end, and not where the page has them.
        if report_url.is_none() && !is_short {
            self.links("THE QUERIES, TO RUN THEM AGAIN", query_links(diagnosis));
        }
    }

    fn first_step(&mut self, diagnosis: &Diagnosis) {
        let Some(FirstStep { what, hazards, lead_in, command, more }) = first_step(diagnosis) else { return };
        self.line("");
        self.wrap("", &format!("Do first: {what}"));
        let cautions = hazards.iter().map(|hazard| format!("Caution: {hazard}"));
        for said in cautions.chain(lead_in) {
            self.wrap("", &said);
        }
        if let Some(command) = command {
            let command = self.dressed(Part::Command, command);
            self.line(command);
        }
        if more > 0 {
            let more = words::counted(more as u64, "more command");
            self.wrap("", &format!("Then {more} under WHAT TO DO, 1."));
        }
    }

    fn timeline(&mut self, diagnosis: &Diagnosis) {
        let Some((top, timeline)) = diagnosis.destinations.first().zip(Timeline::of(diagnosis)) else {
            return;
        };
        let capacity = capacity(diagnosis);
        self.heading(&format!("PORTS HELD TO {}", label(top)));
        let scale = match capacity {
            Some(capacity) => format!("A full bar is the capacity, {}.", words::count(capacity)),
            None => "The capacity is unknown; a full bar is the most of these.".to_owned(),
        };
        self.wrap("", &format!("Fullest {}. {scale}", timeline.moment(top.held.at)));
        self.wrap("", &timeline.legend());
        let most = top.timeline.iter().map(|step| u64::from(step.held_estimate)).max().unwrap_or(0);
        let full = capacity.unwrap_or(most).max(1);
        for stretch in timeline.stretches() {
            let (step, last) = (stretch[0], stretch[stretch.len() - 1]);
            match self.look {
                Look::Plain if stretch.len() > 1 => {
                    self.step(&timeline, step, &format!(" to {}", timeline.time(last.figures.at)), full);
                }
                // A chart shows time to scale.
                Look::Plain | Look::Terminal => {
                    stretch.iter().for_each(|step| self.step(&timeline, *step, "", full));
                }
            }
        }
    }

    /// One line of the timeline, against a bar of `full` ports.
    fn step(&mut self, timeline: &Timeline<'_>, step: Step<'_>, until: &str, full: u64) {
        let at = timeline.time(step.figures.at);
        let part = if step.seen { f64::from(step.figures.held_estimate) / full as f64 } else { 0.0 };
        match self.look {
            Look::Plain => {
                let bar = "#".repeat(((part * BAR as f64).round() as usize).min(BAR));
                let bar = if bar.is_empty() { bar } else { format!(" {bar}") };
                self.line(format!("{at}{until}{bar} {}", step.in_words()));
            }
            Look::Terminal if step.seen => {
                let held = words::count(u64::from(step.figures.held_estimate));
                let refused = match step.figures.refused {
                    0 => String::new(),
                    refused => format!("{} refused", words::count(refused)),
                };
                let bar = blocks(part, WIDE_BAR);
                let bar = if part >= 1.0 { self.dressed(Part::Full, bar) } else { bar };
                self.line(format!("{at} {held:>9} {bar} {refused}").trim_end());
            }
            Look::Terminal => self.line(format!("{at} {:>9}", step.in_words())),
        }
    }

    fn destinations(&mut self, diagnosis: &Diagnosis) {
        if diagnosis.destinations.is_empty() {
            return;
        }
        self.heading("DESTINATIONS, FULLEST FIRST");
        let shown = worth_showing(diagnosis.destinations.iter().map(|d| d.utilization));
        for (index, destination) in diagnosis.destinations.iter().take(shown).enumerate() {
            let service = destination
                .service
                .as_deref()
                .map_or(String::new(), |service| format!(" ({})", outside(service)));
            self.wrap(&format!("{}. ", index + 1), &format!("{}{service}", label(destination)));
            if let Some(name) = destination_name(destination) {
                self.wrap("   ", &format!("Name: {name}"));
            }
            self.wrap("   ", &format!("Ports held: {}", held(destination)));
            let refused = refused(destination.refused);
            let used = words::count(destination.connections);
            let bytes = words::bytes(destination.bytes);
            self.wrap(
                "   ",
                &format!("Gateway port numbers used, over the whole window: {used}; {bytes}{refused}"),
            );
        }
        self.not_shown(diagnosis.destinations.len() - shown, "held less than 1% of capacity");
        self.not_listed(diagnosis.destinations_seen, diagnosis.destinations.len(), "destination");
    }

    fn clients(&mut self, diagnosis: &Diagnosis) {
        let Some(top) = diagnosis.destinations.first().filter(|top| !top.clients.is_empty()) else { return };
        let place = label(top);
        // Addresses stay as they are.
        let heading = clients_heading(top).replace(&place, "{}").to_uppercase().replace("{}", &place);
        self.heading(&heading);
        if let Some(note) = attribution_note(top) {
            self.wrap("", note);
        }
        let shown = worth_showing(top.clients.iter().map(|client| Some(client.share)));
        for (index, client) in top.clients.iter().take(shown).enumerate() {
            self.client(index + 1, client);
        }
        self.not_shown(top.clients.len() - shown, "held less than 1% of these ports");
        self.not_listed(top.clients_seen, top.clients.len(), "client");
    }

    /// Says how many there were beyond those that are listed at all.
    fn not_listed(&mut self, seen: u64, listed: usize, what: &str) {
        if let Some(more) = not_listed(seen, listed, what) {
            self.wrap("", &more);
        }
    }

    /// Says how many of a list are left out, and why.
    fn not_shown(&mut self, left_out: usize, each: &str) {
        match left_out {
            0 => {}
            1 => self.wrap("", &format!("The next one {each}.")),
            more => self.wrap("", &format!("The next {more} {each} each.")),
        }
    }

    fn client(&mut self, number: usize, client: &ClientReport) {
        self.line(format!("{number}. {}: {}", client.address, words::percent(client.share)));
        if let Some((when, name)) = client_name(client) {
            self.wrap("   ", &format!("{when}: {name}"));
        }
        self.wrap("   ", &format!("Ports held: {}", held_by_client(client)));
        let refused = refused(client.refused);
        let (opened, bytes) = (words::count(client.connections), words::bytes(client.bytes));
        self.wrap("   ", &format!("Own ports used: {opened}; {bytes}{refused}"));
    }

    fn changes(&mut self, diagnosis: &Diagnosis) {
        let Some(told) = changes::told(diagnosis) else { return };
        self.heading(&changes::HEADING.to_uppercase());
        self.wrap("", &told.intro);
        for change in &told.changes {
            self.wrap("- ", change);
        }
        if let Some(others) = &told.others {
            self.wrap("", others);
        }
        if let Some(command) = told.command {
            self.wrap("", "To see the first in full:");
            let command = self.dressed(Part::Command, command);
            self.line(command);
        }
    }

    fn remedies(&mut self, diagnosis: &Diagnosis) {
        if diagnosis.remedies.is_empty() {
            return;
        }
        self.heading("WHAT TO DO");
        for (index, remedy) in diagnosis.remedies.iter().enumerate() {
            if again::is_written_out(diagnosis, index, remedy) {
                self.remedy(index + 1, remedy, commands_of(&diagnosis.remedies, index));
            } else {
                self.wrap(&format!("{}. ", index + 1), &format!("{} ({})", remedy.title, when(remedy.when)));
            }
        }
    }

    /// One remedy; its commands are those of the remedy of number `same`, where there is one.
    fn remedy(&mut self, number: usize, remedy: &Remedy, same: Option<usize>) {
        let (when, confidence) = (when(remedy.when), confidence(remedy.confidence));
        self.wrap(&format!("{number}. "), &format!("{} ({when}; confidence: {confidence})", remedy.title));
        self.wrap("   ", &format!("Why: {}", remedy.why));
        self.wrap("   ", &format!("Effect: {}", remedy.effect));
        if let Some(cost) = remedy.monthly_cost_usd.filter(|cost| *cost > 0.0) {
            self.wrap("   ", &format!("Cost: {} a month at us-east-1 list price", words::dollars(cost)));
        }
        for hazard in &remedy.hazards {
            self.wrap("   ", &format!("Caution: {hazard}"));
        }
        if let Some(condition) = &remedy.condition {
            self.wrap("   ", &condition_lead_in(condition));
            let command = self.dressed(Part::Command, &condition.command);
            self.line(format!("   {command}"));
        }
        if let Some(same) = same {
            self.line(format!("   The command is that of {same}."));
            return;
        }
        for (index, command) in remedy.commands.iter().enumerate() {
            let Command { run, verify, undo, .. } = command;
            self.wrap("   ", &lead_in(command));
            let run = self.dressed(Part::Command, run);
            self.line(format!("   {run}"));
            // Said once for all commands that are verified and undone alike.
            let next = remedy.commands.get(index + 1);
            if next.is_some_and(|next| (&next.verify, &next.undo) == (verify, undo)) {
                continue;
            }
            self.command("Verify", verify);
            match undo {
                Undo::Run(undo) => self.command("Undo", undo),
                Undo::Nothing(why) => self.wrap("   ", &nothing_to_undo(why)),
            }
        }
        if let Some(order) = undo_order(remedy) {
            self.wrap("   ", order);
        }
    }

    /// A command of a remedy, which is never broken.
    fn command(&mut self, what: &str, command: &CommandLine) {
        let filled_in = filled_in(command);
        let command = self.dressed(Part::Command, command);
        self.line(format!("   {what}{filled_in}: {command}"));
    }

    fn gaps(&mut self, diagnosis: &Diagnosis) {
        if diagnosis.gaps.is_empty() {
            return;
        }
        self.heading("WHAT WE COULD NOT SEE");
        for gaps in gaps_by_fix(&diagnosis.gaps) {
            for gap in &gaps {
                let [what, why] =
                    [&gap.what, gap.why.trim_end_matches('.')].map(|text| words::outside(text, FIX));
                self.wrap("- ", &format!("{what}: {why}."));
            }
            let to_see = to_see(&gaps);
            let (words, command) = what_to_do(&gaps[0].fix);
            // A command may be as long as all the rest.
            let shown = |remedy: &Remedy| {
                let decides = remedy.condition.iter().map(|condition| &condition.command);
                decides
                    .chain(remedy.commands.iter().map(|c| &c.run))
                    .any(|run| command.as_deref() == Some(run.as_str()))
            };
            if let Some(index) = diagnosis.remedies.iter().position(shown) {
                self.wrap("  ", &format!("{to_see}run the command of WHAT TO DO, {}.", index + 1));
                continue;
            }
            let colon = if command.is_some() && !words.is_empty() { ":" } else { "" };
            self.wrap("  ", &format!("{to_see}{words}{colon}"));
            if let Some(command) = command {
                let command = self.dressed(Part::Command, command);
                self.line(format!("  {command}"));
            }
        }
    }

    fn links(&mut self, heading: &str, links: impl Iterator<Item = Link>) {
        let mut links = links.peekable();
        if links.peek().is_some() {
            self.heading(heading);
        }
        for Link { title, url } in links {
            // What ends a sentence, or brackets, programs that show mail take for no part of a link.
            let url = if url.ends_with(')') { format!("<{url}>") } else { url };
            self.wrap("", &format!("{title}:"));
            self.line(url);
        }
    }

    fn heading(&mut self, title: &str) {
        let title = self.dressed(Part::Heading, title);
        self.line(format!("\n{title}"));
    }

    fn dressed(&self, part: Part, text: impl Display) -> String {
        match self.look {
            Look::Plain => text.to_string(),
            Look::Terminal => {
                let style = part.style();
                format!("{style}{text}{style:#}")
            }
        }
    }

    fn line(&mut self, line: impl AsRef<str>) {
        self.out.push_str(line.as_ref());
        self.out.push('\n');
    }

    fn wrap(&mut self, first: &str, prose: &str) {
        wrap(&mut self.out, first, prose);
    }
}

/// A bar of so large a part of `full` characters, in eighths of one, filled up with spaces.
fn blocks(part: f64, full: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = ((part * full as f64 * 8.0).round() as usize).min(full * 8);
    let bar = format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8]);
    let missing = full - bar.chars().count();
    format!("{bar}{}", " ".repeat(missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_grows_in_eighths_and_keeps_its_width() {
        assert_eq!(blocks(0.0, 4), "    ");
        assert_eq!(blocks(0.5, 4), "██  ");
        assert_eq!(blocks(17.0 / 32.0, 4), "██▏ ");
        assert_eq!(blocks(7.0, 4), "████");
    }
}
