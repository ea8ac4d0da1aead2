//! The report as an EventBridge event, which rules match and hand on to other tools.

use serde_json::{Map, Value, json};

use super::attributes::Attribute;

/// The version of the event's detail: fields are added within it, never renamed.
const SCHEMA: &str = "nat-triage.event.v1";

/// What EventBridge shows as the source.
pub const SOURCE: &str = "nat-triage";

/// Largest entry, in bytes: source, detail type and detail.
///
/// Source: "Calculating `PutEvents` event entry size" in the Amazon EventBridge user guide: less than 256 KB.
const MAX_ENTRY: usize = 256 * 1024 - 1;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusEvent {
    /// What sort of message it is.
    pub detail_type: &'static str,
    /// JSON: what rules match, and the report that machines get.
    pub detail: String,
}

/// What an event is made of.
pub(super) struct Parts<'a> {
    /// The message's id.
    pub(super) id: &'a str,
    /// The id of the incident that it is about, which all of its messages have.
    pub(super) incident_id: Option<&'a str>,
    /// The answer in a line.
    pub(super) summary: &'a str,
    /// What subscriptions to the topic filter by.
    pub(super) attributes: &'a [Attribute],
    /// The report in JSON; `None` where machines get what people read.
    pub(super) report: Option<&'a str>,
}

impl BusEvent {
    /// The event of a message. A report that is too large for an entry is left out, and `report` is null.
    pub(super) fn of(parts: &Parts<'_>) -> Self {
        let kind = parts.attributes.iter().find(|(name, _)| *name == "kind");
        let detail_type = match kind.map_or("", |(_, kind)| kind) {
            "diagnosis" | "test" | "replay" => "NAT Gateway Diagnosis",
            "recovery" => "NAT Gateway Recovery",
            "warning" | "warning-over" => "NAT Gateway Warning",
            "fleet" => "NAT Gateway Fleet",
            "check-up" => "NAT Gateway Check-Up",
            _ => "nat-triage Trouble",
        };
        let mut detail = Map::new();
        detail.insert("schema".into(), SCHEMA.into());
        detail.insert("id".into(), parts.id.into());
        detail.insert("incident_id".into(), json!(parts.incident_id));
        detail.insert("summary".into(), parts.summary.into());
        for (name, value) in parts.attributes {
            detail.insert((*name).into(), value.as_str().into());
        }
        let fits = |report: &&str| {
            let others: usize =
                detail.iter().map(|(name, value)| name.len() + value.to_string().len() + 4).sum();
            report.len() + others + SOURCE.len() + detail_type.len() + 64 <= MAX_ENTRY
        };
        let report = parts.report.filter(fits).and_then(|report| serde_json::from_str::<Value>(report).ok());
        detail.insert("report".into(), report.unwrap_or_default());
        Self { detail_type, detail: Value::Object(detail).to_string() }
    }
}
