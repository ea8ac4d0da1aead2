//! Envelopes read with the published types of Lambda's events. Each reader gives `None` where an event lacks
//! something that its type demands; the tolerant reading then takes over.
//!
//! The alarm itself is not read with them: they refuse metric math, periods above 65,535 seconds and alarms
//! without a description, all of which real accounts have.

use aws_lambda_events::cloudwatch_alarms::CloudWatchAlarm;
use aws_lambda_events::eventbridge::EventBridgeEvent;
use aws_lambda_events::firehose::KinesisFirehoseEvent;
use aws_lambda_events::kinesis::KinesisEvent;
use aws_lambda_events::sns::SnsEvent;
use aws_lambda_events::sqs::SqsEvent;
use serde::Deserialize as _;
use serde_json::{Map, Value};

use super::shapes::Around;

/// What the records of a topic, a queue or a stream hold.
pub(super) fn contents(event: &Value) -> Option<Vec<Value>> {
    let object = event.as_object()?;
    let texts: Option<Vec<String>> = if object.contains_key("records") {
        let records = KinesisFirehoseEvent::deserialize(event).ok()?.records;
        records.into_iter().map(|record| String::from_utf8(record.data.0).ok()).collect()
    } else {
        let first = object.get("Records")?.get(0)?;
        if first.get("Sns").is_some() {
            let records = SnsEvent::deserialize(event).ok()?.records;
            Some(records.into_iter().map(|record| record.sns.message).collect())
        } else if first.get("kinesis").is_some() {
            let records = KinesisEvent::deserialize(event).ok()?.records;
            records.into_iter().map(|record| String::from_utf8(record.kinesis.data.0).ok()).collect()
        } else {
            let records = SqsEvent::deserialize(event).ok()?.records;
            records.into_iter().map(|record| record.body.filter(|body| !body.is_empty())).collect()
        }
    };
    let usable = |texts: &Vec<String>| !texts.is_empty() && texts.iter().all(|text| !text.is_empty());
    let texts = texts.filter(usable)?;
    Some(texts.into_iter().map(Value::String).collect())
}

/// What a direct action says around its `alarmData`.
pub(super) fn around_action(event: &Map<String, Value>) -> Option<Around> {
    let typed = CloudWatchAlarm::<Value, Value>::deserialize(event).ok()?;
    // As it is written: the type keeps no more than the instant.
    let time = super::shapes::text(event, "time");
    Some(Around { arn: typed.alarm_arn, account: typed.account_id, region: typed.region, time, muted: None })
}

/// What an EventBridge event says around its `detail`.
pub(super) fn around_bus(event: &Map<String, Value>) -> Option<Around> {
    let typed = EventBridgeEvent::<Value>::deserialize(event).ok()?;
    let arn = typed.resources.and_then(|resources| resources.into_iter().next());
    let time = super::shapes::text(event, "time");
    Some(Around { arn, account: typed.account, region: typed.region, time, muted: None })
}
