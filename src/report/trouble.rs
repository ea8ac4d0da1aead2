//! What a person gets where there is no diagnosis: what went wrong and what to do, or that all is over.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::chat;
use super::first_step;
use super::lines::wrap;
use super::recovery;
use super::sms::SUBJECT;
use crate::alarm::{Beyond, Ended, MAX_INCIDENTS};
use crate::gap::Fix;
use crate::incident::{NatGatewayId, fingerprint};
use crate::recovery::Recovery;
use crate::watch::Watched;
use crate::words::{ascii_line, count, counted, escaped_json, outside};

/// The version of the JSON that machines get instead of a diagnosis.
pub(super) const SCHEMA: &str = "nat-triage.trouble.v1";

/// Longest part of the reason that is shown.
const REASON: usize = 1_000;

/// Longest part of the event that is shown to people; machines get it whole.
const EVENT: usize = 2_000;

/// Most gateways that are named where several are not watched.
const MAX_NAMED: usize = 5;

/// What sort of message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An event that cannot be read: no gateway was looked at.
    UnreadableEvent,
    /// nat-triage itself failed.
    Failure,
    /// The alarm is over.
    Recovery,
    /// The early warning has scanned as much today as it may.
    WatchStopped,
}

impl Kind {
    /// As JSON and the message's attributes have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UnreadableEvent => "unreadable-event",
            Self::Failure => "failure",
            Self::Recovery => "recovery",
            Self::WatchStopped => "watch-stopped",
        }
    }
}

/// Why there is no diagnosis.
#[derive(Clone, Debug, PartialEq)]
pub struct Trouble<'e> {
    /// The same on every delivery of the same event.
    pub id: String,
    /// What went wrong, with its causes.
    pub reason: String,
    kind: Kind,
    title: String,
    fix: Fix,
    /// Of an alarm that is over, what each of its gateways was found to be.
    recovery: Vec<Recovery>,
    /// Where a chat shows it; the id where there is none.
    thread: Option<String>,
    event: &'e Value,
}

impl<'e> Trouble<'e> {
    /// An event that says nothing of any gateway that we could look at.
    #[must_use]
    pub fn unusable(id: &str, event: &'e Value, reason: &str, command: Option<&str>) -> Self {
        let fix = command.map_or_else(
            || "if an alarm of a NAT gateway is behind it, see to how it reaches the function; then look at the gateway's ErrorPortAllocation yourself".into(),
            |command| Fix::run_to("see which of them is on ErrorPortAllocation, and triage it", command),
        );
        Self {
            id: id.into(),
            reason: reason.into(),
            kind: Kind::UnreadableEvent,
            title: "nat-triage got an event that it cannot read; no NAT gateway was looked at".into(),
            fix,
            recovery: Vec::new(),
            thread: None,
            event,
        }
    }

    /// An event that asks for more incidents than are looked into at once.
    #[must_use]
    pub fn beyond(id: &str, event: &'e Value, beyond: &Beyond) -> Self {
        let Beyond { number, gateways } = beyond;
        let named = some_of(gateways.iter().map(NatGatewayId::to_string), *number);
        Self {
            id: id.into(),
            reason: format!(
                "one event asks for {}; the first {MAX_INCIDENTS} are reported, and these are not looked at: {named}",
                counted((number + MAX_INCIDENTS) as u64, "incident")
            ),
            kind: Kind::UnreadableEvent,
            title: "nat-triage got an event about too many NAT gateways; it looked at the first of them".into(),
            fix: "look at the ErrorPortAllocation of those that are left, and invoke the function with {\"nat_gateway_id\": \"ID\"} for each that had errors".into(),
            recovery: Vec::new(),
            thread: None,
            event,
        }
    }

    /// An alarm on which nat-triage itself failed.
    #[must_use]
    pub fn broken(id: &str, event: &'e Value, reason: &str) -> Self {
        Self {
            id: id.into(),
            reason: reason.into(),
            kind: Kind::Failure,
            title: "nat-triage failed on an alarm of a NAT gateway; there is no diagnosis".into(),
            fix: Fix::ask_again(
                "look at the gateway's ErrorPortAllocation yourself, save the event below as EVENT.json, and run",
            ),
            recovery: Vec::new(),
            thread: None,
            event,
        }
    }

    /// An alarm that ended, and what its gateways were found to be then; `function` is the name of the one that tells.
    #[must_use]
    pub fn over(ended: &Ended, recovery: Vec<Recovery>, event: &'e Value, function: Option<&str>) -> Self {
        let thread = match &ended.gateways[..] {
            [one] => Some(chat::thread(&ended.alarm.name, one.id.as_str())),
            _ => None,
        };
        Self {
            id: ended.id(),
            reason: recovery::paragraphs(ended, &recovery).join("\n"),
            kind: Kind::Recovery,
            title: ascii_line(&recovery::title(&recovery), SUBJECT),
            fix: recovery::fix(ended, &recovery, function),
            recovery,
            thread,
            event,
        }
    }

    /// The early warning, which reads no more flow logs until midnight UTC: it may scan so many GiB a day.
    #[must_use]
    pub fn stopped(event: &'e Value, gateways: &[Watched], gib_a_day: f64, at: Timestamp) -> Self {
        let named = some_of(gateways.iter().take(MAX_NAMED).map(Watched::name), gateways.len());
        Self {
            id: fingerprint(&format!("watch stopped {at}")),
            reason: format!(
                "the early warning may scan {gib_a_day} GiB of flow logs a day. Too little of that is left for its next question. These gateways have so many connections that one of their destinations may be filling up: {named}. No warning about them comes before midnight UTC. Alarms and their reports do not depend on the early warning"
            ),
            kind: Kind::WatchStopped,
            title: format!("nat-triage stopped watching {} until midnight UTC", counted(gateways.len() as u64, "NAT gateway")),
            fix: "raise the stack's parameter WatchGiBPerDay. This message comes at most once a week, even if watching stops every day".into(),
            recovery: Vec::new(),
            thread: None,
            event,
        }
    }

    /// What each gateway of an alarm that is over was found to be.
    #[must_use]
    pub fn recovery(&self) -> &[Recovery] {
        &self.recovery
    }

    /// The incident that it is about, where it is about one: of an alarm that is over, the one that the alarm told.
    pub(super) fn incident_id(&self) -> Option<String> {
        match (self.kind, &self.recovery[..]) {
            (Kind::Recovery, [one]) => one.incident_id.clone(),
            (Kind::Failure, _) => Some(self.id.clone()),
            (Kind::Recovery | Kind::UnreadableEvent | Kind::WatchStopped, _) => None,
        }
    }

    /// The thread in which a chat shows it.
    pub(super) fn thread(&self) -> &str {
        self.thread.as_deref().unwrap_or(&self.id)
    }

    /// What sort of message it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// ASCII, at most 99 characters, one line.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.title
    }

    /// What a person can do about it: in words, and with which command.
    pub(super) fn what_to_do(&self) -> (String, Option<String>) {
        first_step::what_to_do(&self.fix)
    }

    /// The reason as people read it, without its full stop.
    pub(super) fn reason_shown(&self) -> String {
        outside(self.reason.trim_end_matches('.'), REASON)
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let (words, command) = self.what_to_do();
        let mut text = String::new();
        wrap(&mut text, "", &format!("{}.", self.title));
        text.push('\n');
        if self.kind == Kind::Recovery {
            for paragraph in self.reason.lines() {
                wrap(&mut text, "", &outside(paragraph, REASON));
                text.push('\n');
            }
        } else {
            wrap(&mut text, "", &format!("Why: {}.", self.reason_shown()));
        }
        wrap(&mut text, "", &format!("What to do: {words}{}", if command.is_some() { ":" } else { "." }));
        if let Some(line) = command.as_deref() {
            text.push_str(line);
            text.push('\n');
        }
        // Of an alarm that is over nobody needs the event, and anybody who may send one has a say in it. The schedule's
        // says nothing.
        let is_report = match self.kind {
            Kind::Failure | Kind::UnreadableEvent => true,
            Kind::Recovery | Kind::WatchStopped => false,
        };
        if is_report {
            let event = outside(&self.event.to_string(), EVENT);
            text.push_str(&format!("\nThe event, as it arrived, but for links:\n{event}\n"));
        }
        let of = if is_report { "Report id" } else { "Id of this message" };
        text.push_str(&format!("\n{of}: {}\n", self.id));
        text
    }

    /// For machines.
    #[must_use]
    pub fn json(&self) -> String {
        let Self { id, reason, kind, title, fix, recovery, event, .. } = self;
        let json = Json { schema: SCHEMA, id, kind: *kind, title, reason, fix, recovery, event };
        escaped_json(&serde_json::to_string(&json).expect("it holds nothing that JSON cannot"))
    }
}

/// These names of so many in all: `a, b, and 3 more`.
fn some_of(named: impl Iterator<Item = String>, all: usize) -> String {
    let named: Vec<String> = named.collect();
    let more = all.saturating_sub(named.len());
    let more = if more > 0 { format!(", and {} more", count(more as u64)) } else { String::new() };
    named.join(", ") + &more
}

/// What machines get instead of a diagnosis.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Trouble")]
pub(super) struct Json<'a> {
    /// Its version: fields are added within it, never renamed.
    schema: &'static str,
    /// The same on every delivery of the same event.
    id: &'a str,
    /// What sort of message it is.
    kind: Kind,
    /// What it is, in a few words.
    title: &'a str,
    /// What went wrong, with its causes.
    reason: &'a str,
    /// What a person can do about it.
    #[serde(flatten)]
    fix: &'a Fix,
    /// Of an alarm that is over, whether the ports of each of its gateways are free again; empty otherwise.
    recovery: &'a [Recovery],
    /// The event as it arrived.
    event: &'a Value,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::attributes;
    use super::*;

    #[test]
    fn a_subject_is_short_ascii_and_the_event_is_not_lost() {
        let event = json!({ "x": "a\nb\u{202e}" });
        for trouble in
            [Trouble::unusable("nt-1", &event, "why", None), Trouble::broken("nt-1", &event, "why")]
        {
            assert!(trouble.subject().is_ascii() && trouble.subject().len() <= 99, "{}", trouble.subject());
            assert!(trouble.text().contains(r#"{"x":"a\nb"#) && trouble.text().contains("Why: why."));
            let json: Value = serde_json::from_str(&trouble.json()).expect("JSON");
            assert_eq!(json["event"], event);
        }
    }

    #[test]
    fn filters_of_subscriptions_read_the_kind_that_the_json_has() {
        let event = json!({});
        let unusable = Trouble::unusable("nt-1", &event, "why", None);
        for (trouble, severity) in
            [(unusable, "warning"), (Trouble::broken("nt-1", &event, "why"), "critical")]
        {
            let attributes = attributes::of_trouble(&trouble);
            let json: Value = serde_json::from_str(&trouble.json()).expect("JSON");
            let kind = json["kind"].as_str().expect("a text").to_owned();
            assert_eq!(attributes, [("kind", kind), ("severity", severity.to_owned())]);
        }
    }
}
