//! What an alarm comes wrapped in: topics, queues, buses, streams and Lambda's own records of failed events,
//! one within another in whichever order people connect them.
//!
//! Read with the published types of `aws_lambda_events` as far as those hold ([`typed`](super::typed)), and
//! tolerantly where they do not: an event that a person copied lacks fields that the types demand.

use serde_json::{Map, Value};

use super::AlarmError;
use super::ours::{is_our_mail, is_our_message, names_ours};
use super::shapes::{Around, Fired, described, short, sns, text, transition};
use crate::base64;

/// Envelopes within one another that are opened; six are what a bus, a topic, a queue and a failed
/// invocation make.
const MAX_DEPTH: usize = 12;

/// One thing that an event holds.
#[derive(Debug)]
pub(super) enum Found {
    /// An alarm's transition.
    Fired(Box<Fired>),
    /// Something that asks for nothing: why.
    Nothing(String),
    /// Something that ought to be an alarm's transition and cannot be read as one.
    Unusable(AlarmError),
}

impl Found {
    fn of(read: Result<Fired, AlarmError>) -> Self {
        read.map_or_else(Self::Unusable, |fired| Self::Fired(Box::new(fired)))
    }
}

/// Who handed a value over.
#[derive(Clone, Copy, PartialEq)]
enum From {
    /// Whoever invoked the function: nobody does that without a reason.
    Invocation,
    /// A topic, a queue, a bus or a stream, which others may use for other things.
    Shared,
}

/// Everything that an event holds, in order.
pub(super) fn opened(event: &Value) -> Vec<Found> {
    let mut found = Vec::new();
    open(event, From::Invocation, MAX_DEPTH, &mut found);
    found
}

fn open(value: &Value, from: From, depth: usize, found: &mut Vec<Found>) {
    let Some(depth) = depth.checked_sub(1) else {
        return found.push(foreign(value, from));
    };
    match value {
        Value::Array(list) if !list.is_empty() => {
            list.iter().for_each(|inner| open(inner, from, depth, found));
        }
        Value::String(content) => match serde_json::from_str::<Value>(content) {
            Ok(inner @ (Value::Object(_) | Value::Array(_) | Value::String(_))) => {
                open(&inner, from, depth, found);
            }
            _ => found.push(plain(content, value, from)),
        },
        Value::Object(object) => match alarms(object) {
            Some(alarms) => found.extend(alarms),
            None => match contents(value, object) {
                Some(inner) => inner.iter().for_each(|inner| open(inner, From::Shared, depth, found)),
                None => found.push(foreign(value, from)),
            },
        },
        _ => found.push(foreign(value, from)),
    }
}

/// What an object says itself, where it wraps nothing.
fn alarms(object: &Map<String, Value>) -> Option<Vec<Found>> {
    let one = |read: Result<Fired, AlarmError>| Some(vec![Found::of(read)]);
    let nothing = |reason: &str| Some(vec![Found::Nothing(reason.to_owned())]);
    if is_our_message(object) {
        return nothing("it is a report of nat-triage itself");
    }
    if let Some(data) = object.get("alarmData").and_then(Value::as_object) {
        return one(transition(&around_action(object), data));
    }
    if let Some(kind) = text(object, "detail-type") {
        return of_bus(object, &kind);
    }
    if object.contains_key("alarmName") && object.contains_key("state") {
        // A rule may pass on the detail of any event of an alarm.
        if object.contains_key("operation") {
            return nothing("it tells that an alarm was changed, not that it fired");
        }
        return one(transition(&Around::default(), object));
    }
    if object.contains_key("AlarmName") && object.contains_key("NewStateValue") {
        return one(sns(object));
    }
    if object.contains_key("AlarmName") && object.contains_key("StateValue") {
        return one(described(object));
    }
    if text(object, "Type").is_some_and(|kind| kind.ends_with("Confirmation")) {
        return nothing("a topic asks to confirm a subscription: open its SubscribeURL once");
    }
    let condition = object.get("requestContext").and_then(|context| context.get("condition"));
    if object.contains_key("requestPayload") && condition.and_then(Value::as_str) == Some("Success") {
        return nothing("it tells that an invocation succeeded");
    }
    None
}

/// An event of EventBridge. Other types have an alarm's name and state too, and are no transition: the
/// configuration change of an alarm that is in ALARM, for one. `None` where its detail wraps something.
fn of_bus(object: &Map<String, Value>, kind: &str) -> Option<Vec<Found>> {
    let detail = object.get("detail");
    if ["CloudWatch Alarm State Change", "CloudWatch Alarm Contributor State Change"].contains(&kind) {
        let read = match detail.and_then(Value::as_object) {
            Some(detail) => transition(&around_bus(object), detail),
            None => Err(AlarmError::Lacks { field: "detail" }),
        };
        return Some(vec![Found::of(read)]);
    }
    // Lambda's records of failed events, and alarms that a program put on a bus of its own.
    let wraps = |detail: &Map<String, Value>| {
        ["requestPayload", "alarmData", "NewStateValue"].iter().any(|key| detail.contains_key(*key))
    };
    if detail.and_then(Value::as_object).is_some_and(wraps) {
        return None;
    }
    let of_which = detail.and_then(|d| d.get("alarmName")).and_then(Value::as_str);
    let of_which = of_which.map_or_else(String::new, |name| format!(" of the alarm {}", short(name)));
    Some(vec![Found::Nothing(format!(
        "an EventBridge event of the type {}{of_which}, which is not an alarm's change of state",
        short(kind)
    ))])
}

fn around_action(event: &Map<String, Value>) -> Around {
    #[cfg(feature = "aws")]
    if let Some(around) = super::typed::around_action(event) {
        return around;
    }
    Around::of_action(event)
}

fn around_bus(event: &Map<String, Value>) -> Around {
    #[cfg(feature = "aws")]
    if let Some(around) = super::typed::around_bus(event) {
        return around;
    }
    Around::of_bus(event)
}

/// What an envelope holds.
fn contents(value: &Value, object: &Map<String, Value>) -> Option<Vec<Value>> {
    #[cfg(feature = "aws")]
    if let Some(contents) = super::typed::contents(value) {
        return Some(contents);
    }
    let _ = value;
    read_tolerantly(object)
}

/// The same for what lacks something that the types demand, and for envelopes of which there is no type.
pub(super) fn read_tolerantly(object: &Map<String, Value>) -> Option<Vec<Value>> {
    let list = |key: &str| object.get(key).and_then(Value::as_array).filter(|list| !list.is_empty());
    // Events of Lambda (SNS, SQS, Kinesis), what `aws sqs receive-message` prints, Firehose; of
    // `describe-alarms` both lists.
    let described = [list("MetricAlarms"), list("CompositeAlarms")];
    let lists = [list("Records"), list("Messages"), list("records")].into_iter().chain(described);
    let inner: Vec<Value> = lists.flatten().flatten().cloned().collect();
    if !inner.is_empty() {
        return Some(inner);
    }
    // Of Kafka, a list for each partition.
    if let Some(partitions) = object.get("records").and_then(Value::as_object) {
        return Some(partitions.values().cloned().collect()).filter(|lists: &Vec<Value>| !lists.is_empty());
    }
    let told = |value: &Value| match value {
        Value::String(text) => !text.is_empty(),
        Value::Object(_) | Value::Array(_) => true,
        _ => false,
    };
    let part = |key: &str| object.get(key).filter(|value| told(value)).cloned();
    let encoded = |value: Value| Some(Value::String(decoded(value.as_str()?)?));
    // One record of a topic, of a stream, a message of a queue, a notification as HTTP subscribers get it.
    let of_sns = || {
        part("Message")
            .filter(|_| ["TopicArn", "MessageId", "Type"].iter().any(|key| object.contains_key(*key)))
    };
    let of_stream = || {
        let from_stream = ["recordId", "eventSource", "partitionKey", "sequenceNumber", "topic", "offset"];
        let data = part("data").or_else(|| part("value"));
        data.filter(|_| from_stream.iter().any(|key| object.contains_key(*key))).and_then(encoded)
    };
    let of_http = || {
        let body = part("body").or_else(|| part("Body"))?;
        let packed = object.get("isBase64Encoded").and_then(Value::as_bool).unwrap_or(false);
        if packed { encoded(body) } else { Some(body) }
    };
    let of_bus =
        || part("detail").filter(|_| object.contains_key("detail-type") || object.contains_key("source"));
    let of_record = object.get("Sns").and_then(|sns| sns.get("Message")).filter(|message| told(message));
    of_record
        .cloned()
        .or_else(of_sns)
        .or_else(|| part("kinesis").and_then(|record| encoded(record.get("data")?.clone())))
        .or_else(of_stream)
        .or_else(of_http)
        .or_else(|| part("requestPayload"))
        .or_else(of_bus)
        .map(|inner| vec![inner])
}

/// A text that was handed over in Base64.
pub(super) fn decoded(encoded: &str) -> Option<String> {
    String::from_utf8(base64::decode(encoded.as_bytes())?).ok()
}

/// A text that is no JSON.
fn plain(content: &str, value: &Value, from: From) -> Found {
    if is_our_mail(content) {
        Found::Nothing("it is a report of nat-triage itself".into())
    } else if from == From::Shared && names_ours(content) {
        Found::Unusable(AlarmError::Message)
    } else {
        foreign(value, from)
    }
}

/// What is neither an alarm nor an envelope that we know.
fn foreign(value: &Value, from: From) -> Found {
    let shared = from == From::Shared || value.get("eventSource").is_some();
    if shared && !names_ours(&value.to_string()) {
        Found::Nothing(format!("it names neither ErrorPortAllocation nor a NAT gateway: {}", found(value)))
    } else {
        Found::Unusable(AlarmError::NotAnAlarm { found: found(value) })
    }
}

/// What an event is instead, by its keys.
fn found(event: &Value) -> String {
    match event {
        Value::Object(object) if object.is_empty() => "an empty object".into(),
        Value::Object(object) => {
            // Every service but SNS begins the key with a small letter.
            if let Some(source) = text(object, "eventSource") {
                return format!("a record of {}", short(&source));
            }
            let keys: Vec<String> = object.keys().take(6).map(|key| short(key)).collect();
            format!("an object with the keys {}", keys.join(", "))
        }
        Value::Array(list) if list.is_empty() => "an empty list".into(),
        Value::Array(_) => "a list".into(),
        Value::String(_) => "a text".into(),
        Value::Number(_) => "a number".into(),
        Value::Bool(_) => "true or false".into(),
        Value::Null => "null".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_alarm_is_named_in_a_few_harmless_words() {
        let hostile = serde_json::json!({ "x\n\u{202e}y": { "secret": "s3cr3t" }, "z".repeat(500): 1 });
        assert_eq!(found(&hostile), format!("an object with the keys x??y, {}", "z".repeat(40)));
        assert_eq!(found(&serde_json::json!({ "eventSource": "aws:s3\n" })), "a record of aws:s3?");
        assert_eq!(found(&Value::Null), "null");
    }

    #[test]
    fn envelopes_within_envelopes_end_somewhere() {
        let mut event = serde_json::json!({ "hello": "there" });
        for _ in 0..60 {
            event =
                serde_json::json!([{ "body": event.to_string().chars().take(5_000).collect::<String>() }]);
        }
        assert!(!opened(&event).is_empty());
        let mut deep = serde_json::json!([]);
        for _ in 0..1_000 {
            deep = serde_json::json!([deep]);
        }
        assert!(matches!(opened(&deep)[..], [Found::Unusable(AlarmError::NotAnAlarm { .. })]));
    }
}
