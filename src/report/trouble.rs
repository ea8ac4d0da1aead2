//! What a person gets where there is no diagnosis: what went wrong and what to do, or that all is over.

use serde_json::{Value, json};

use crate::alarm::Ended;
use crate::incident::NatGatewayId;
use crate::words::one_line;

/// The version of the JSON that machines get instead of a diagnosis.
const SCHEMA: &str = "nat-triage.trouble.v1";

/// Longest part of the event that is shown to people; machines get it whole.
const EVENT: usize = 2_000;

/// Why there is no diagnosis.
#[derive(Clone, Debug, PartialEq)]
pub struct Trouble {
    /// The same on every delivery of the same event.
    pub id: String,
    /// What went wrong, with its causes.
    pub reason: String,
    title: &'static str,
    fix: &'static str,
    event: Value,
}

impl Trouble {
    /// An event that says nothing of any gateway that we could look at.
    #[must_use]
    pub fn unusable(id: &str, event: &Value, reason: &str) -> Self {
        Self {
            id: id.into(),
            reason: reason.into(),
            title: "nat-triage got an event that it cannot read; no NAT gateway was looked at",
            fix: "If an alarm of a NAT gateway is behind it, see to how it reaches the function; then look at the gateway's ErrorPortAllocation yourself.",
            event: event.clone(),
        }
    }

    /// An alarm on which nat-triage itself failed.
    #[must_use]
    pub fn broken(id: &str, event: &Value, reason: &str) -> Self {
        Self {
            id: id.into(),
            reason: reason.into(),
            title: "nat-triage failed on an alarm of a NAT gateway; there is no diagnosis",
            fix: "Look at the gateway's ErrorPortAllocation yourself, and run: nat-triage triage --event EVENT.json",
            event: event.clone(),
        }
    }

    /// An alarm that ended.
    #[must_use]
    pub fn over(ended: &Ended, event: &Value) -> Self {
        let gateways: Vec<&str> = ended.gateways.iter().map(NatGatewayId::as_str).collect();
        let alarm = &ended.alarm;
        Self {
            id: ended.id(),
            reason: format!(
                "the alarm {} on {} went back to OK at {}",
                alarm.name,
                gateways.join(", "),
                alarm.at
            ),
            title: "nat-triage: the NAT gateway refuses no more connections; its alarm is over",
            fix: "Nothing tonight. What filled it may come back: the report of the alarm says what to change.",
            event: event.clone(),
        }
    }

    /// ASCII, at most 99 characters, one line.
    #[must_use]
    pub fn subject(&self) -> &'static str {
        self.title
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "{}.\n\nWhy: {}.\nWhat to do: {}\n\nThe event, as it arrived:\n{}\n\nReport id: {}\n",
            self.title,
            one_line(&self.reason, 1_000),
            self.fix,
            one_line(&self.event.to_string(), EVENT),
            self.id
        )
    }

    /// For machines.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "schema": SCHEMA,
            "id": self.id,
            "title": self.title,
            "reason": self.reason,
            "fix": self.fix,
            "event": self.event,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_short_ascii_and_the_event_is_not_lost() {
        let event = json!({ "x": "a\nb\u{202e}" });
        for trouble in [Trouble::unusable("nt-1", &event, "why"), Trouble::broken("nt-1", &event, "why")] {
            assert!(trouble.subject().is_ascii() && trouble.subject().len() <= 99, "{}", trouble.subject());
            assert!(trouble.text().contains(r#"{"x":"a\nb"#) && trouble.text().contains("Why: why."));
            assert_eq!(trouble.to_json()["event"], event);
        }
    }
}
