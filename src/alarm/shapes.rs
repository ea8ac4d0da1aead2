//! The shapes that alarms arrive in, each brought into the same few fields.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::AlarmError;

/// Longest name that an alarm or a dimension's value can have in CloudWatch; more is not kept.
const NAME: usize = 255;

const CONTRIBUTOR: &str = "a contributor of an alarm on other metrics";

/// One alarm's transition, whatever brought it.
#[derive(Debug)]
pub(super) struct Fired {
    pub(super) name: String,
    pub(super) arn: Option<String>,
    pub(super) account: Option<String>,
    pub(super) region: Option<String>,
    pub(super) state: String,
    pub(super) at: Timestamp,
    /// The text of `reasonData`: JSON within JSON, absent after `SetAlarmState`.
    pub(super) reason_data: Option<String>,
    /// How many periods are evaluated, where the event says.
    pub(super) evaluation_periods: Option<u32>,
    pub(super) series: Series,
}

/// What the alarm is on.
#[derive(Debug)]
pub(super) enum Series {
    /// Metrics, one of which may be ours.
    Metrics(Vec<Metric>),
    /// Metrics that a query chooses, each of which tells of itself.
    Contributors,
    /// Something else: what, in words.
    None(&'static str),
}

/// One metric of an alarm.
#[derive(Debug, PartialEq)]
pub(super) struct Metric {
    pub(super) namespace: String,
    pub(super) name: String,
    /// Sorted by name.
    pub(super) dimensions: Vec<(String, String)>,
    /// Seconds of one datapoint.
    pub(super) period: Option<u32>,
    /// What a datapoint is of its samples, such as `Sum`.
    pub(super) stat: Option<String>,
    /// Whether the alarm watches the metric itself: not so for the inputs of an expression.
    pub(super) returned: bool,
}

/// Every alarm that an event holds.
pub(super) fn fired(event: &Value) -> Result<Vec<Fired>, AlarmError> {
    let not_an_alarm = || AlarmError::NotAnAlarm { found: found(event) };
    let object = event.as_object().ok_or_else(not_an_alarm)?;
    if let Some(data) = object.get("alarmData").and_then(Value::as_object) {
        return Ok(vec![direct(object, data)?]);
    }
    if let Some(detail) = object.get("detail").and_then(Value::as_object) {
        return Ok(vec![from_event_bus(event, object, detail)?]);
    }
    if let Some(records) = object.get("Records").and_then(Value::as_array) {
        let messages = records.iter().map(|r| r.pointer("/Sns/Message").and_then(Value::as_str));
        let messages: Option<Vec<&str>> = messages.collect();
        let messages = messages.filter(|m| !m.is_empty()).ok_or_else(not_an_alarm)?;
        return messages.into_iter().map(message).collect();
    }
    if object.contains_key("AlarmName") && object.contains_key("NewStateValue") {
        return Ok(vec![sns(object)?]);
    }
    Err(not_an_alarm())
}

/// An event of EventBridge, if it is one of an alarm's transition. Other types have an alarm's name and state
/// too, and are none: the configuration change of an alarm that is in ALARM, for one.
fn from_event_bus(
    event: &Value,
    object: &Map<String, Value>,
    detail: &Map<String, Value>,
) -> Result<Fired, AlarmError> {
    match text(object, "detail-type").as_deref() {
        Some("CloudWatch Alarm State Change" | "CloudWatch Alarm Contributor State Change") => {
            eventbridge(object, detail)
        }
        _ => Err(AlarmError::NotAnAlarm { found: found(event) }),
    }
}

/// What an event is instead, by its keys.
fn found(event: &Value) -> String {
    match event {
        Value::Object(object) if object.is_empty() => "an empty object".into(),
        Value::Object(object) => {
            if let Some(kind) = text(object, "detail-type") {
                return format!("an EventBridge event of the type {}", short(&kind));
            }
            // Every service but SNS begins the key with a small letter.
            let source = |record: &Value| record.get("eventSource").and_then(Value::as_str).map(short);
            if let Some(source) = event.pointer("/Records/0").and_then(source) {
                return format!("records of {source}");
            }
            let keys: Vec<String> = object.keys().take(6).map(|key| short(key)).collect();
            format!("an object with the keys {}", keys.join(", "))
        }
        Value::Array(_) => "a list".into(),
        Value::String(_) => "a text".into(),
        Value::Number(_) => "a number".into(),
        Value::Bool(_) => "true or false".into(),
        Value::Null => "null".into(),
    }
}

/// A piece of text from outside for an error: short, and of printable ASCII alone.
pub(super) fn short(text: &str) -> String {
    text.chars().take(40).map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}

fn text(object: &Map<String, Value>, key: &str) -> Option<String> {
    object.get(key)?.as_str().map(|text| text.chars().take(4096).collect())
}

fn name(object: &Map<String, Value>, key: &'static str) -> Result<String, AlarmError> {
    let name = text(object, key).filter(|name| !name.is_empty()).ok_or(AlarmError::Lacks { field: key })?;
    Ok(named(&name))
}

fn named(text: &str) -> String {
    text.chars().take(NAME).collect()
}

fn time(object: &Map<String, Value>, key: &'static str) -> Result<Timestamp, AlarmError> {
    object.get(key).and_then(Value::as_str).and_then(timestamp).ok_or(AlarmError::Lacks { field: key })
}

/// Reads a time as CloudWatch writes it: RFC 3339, or with an offset without a colon, `+0000`.
pub(super) fn timestamp(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| Timestamp::strptime("%Y-%m-%dT%H:%M:%S%.f%z", text).ok())
}

/// The account and the Region's code, of the ARN where it has them, else of the event's own fields.
/// Either goes into commands and links, so nothing is taken that does not look like one.
fn place(
    arn: Option<&str>,
    account: Option<String>,
    region: Option<String>,
) -> (Option<String>, Option<String>) {
    let part = |n| arn.and_then(|arn| arn.split(':').nth(n)).map(str::to_owned);
    let is_account = |text: &String| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
    let is_region = |text: &String| {
        (1..=32).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-')
    };
    (
        part(4).filter(is_account).or(account.filter(is_account)),
        part(3).filter(is_region).or(region.filter(is_region)),
    )
}

/// The direct Lambda action.
fn direct(event: &Map<String, Value>, data: &Map<String, Value>) -> Result<Fired, AlarmError> {
    let arn = text(event, "alarmArn");
    let (account, region) = place(arn.as_deref(), text(event, "accountId"), text(event, "region"));
    transition(event, data, arn, account, region)
}

/// The EventBridge event, whose `detail` is what the direct action has as `alarmData`.
fn eventbridge(event: &Map<String, Value>, detail: &Map<String, Value>) -> Result<Fired, AlarmError> {
    let arn = event.get("resources").and_then(|r| r.get(0)).and_then(Value::as_str).map(str::to_owned);
    let (account, region) = place(arn.as_deref(), text(event, "account"), text(event, "region"));
    transition(event, detail, arn, account, region)
}

fn transition(
    event: &Map<String, Value>,
    data: &Map<String, Value>,
    arn: Option<String>,
    account: Option<String>,
    region: Option<String>,
) -> Result<Fired, AlarmError> {
    let state = data.get("state").and_then(Value::as_object).ok_or(AlarmError::Lacks { field: "state" })?;
    let configuration = data.get("configuration").and_then(Value::as_object);
    let metrics = configuration.and_then(|c| c.get("metrics")).and_then(Value::as_array);
    let series = if let Some(contributor) = data.get("alarmContributor") {
        chosen(contributor.get("attributes"), metrics, ["expression", "period"])
    } else if metrics.is_some_and(|metrics| metrics.iter().any(|m| is_query(m, "expression"))) {
        Series::Contributors
    } else if configuration.is_some_and(|c| c.contains_key("alarmRule")) {
        Series::None("a composite alarm")
    } else if configuration.is_some_and(|c| c.contains_key("logGroupIdentifiers")) {
        Series::None("an alarm on logs")
    } else {
        Series::Metrics(metrics.map(|l| l.iter().filter_map(metric_stat).collect()).unwrap_or_default())
    };
    Ok(Fired {
        name: name(data, "alarmName")?,
        account,
        region,
        arn,
        state: name(state, "value")?,
        // To the second both are the same.
        at: time(state, "timestamp").or_else(|_| time(event, "time"))?,
        reason_data: text(state, "reasonData"),
        evaluation_periods: None,
        series,
    })
}

/// Whether a metric's expression is a query of Metrics Insights.
fn is_query(metric: &Value, expression: &str) -> bool {
    let text = metric.get(expression).and_then(Value::as_str).unwrap_or_default();
    text.trim_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case("select"))
}

/// One of the metrics that a query chooses: the query says which metric it is of, the attributes of which
/// gateway. `keys` are those of a query and of its period.
fn chosen(attributes: Option<&Value>, metrics: Option<&Vec<Value>>, keys: [&str; 2]) -> Series {
    let [expression, period] = keys;
    let asks = |metric: &&Value| {
        let text = metric.get(expression).and_then(Value::as_str).unwrap_or_default();
        is_query(metric, expression) && text.contains(super::METRIC)
    };
    let Some(query) = metrics.into_iter().flatten().find(asks) else { return Series::None(CONTRIBUTOR) };
    let attributes = attributes.and_then(Value::as_object).into_iter().flatten();
    let mut dimensions: Vec<(String, String)> =
        attributes.filter_map(|(name, value)| Some((named(name), named(value.as_str()?)))).collect();
    dimensions.sort_unstable();
    Series::Metrics(vec![Metric {
        namespace: super::NAMESPACE.to_owned(),
        name: super::METRIC.to_owned(),
        dimensions,
        period: seconds(query.get(period)),
        stat: None,
        returned: false,
    }])
}

/// A metric of `configuration.metrics`; an expression of metric math is none.
fn metric_stat(entry: &Value) -> Option<Metric> {
    let stat = entry.get("metricStat")?;
    let metric = stat.get("metric")?.as_object()?;
    let dimensions = metric.get("dimensions").and_then(Value::as_object);
    let mut dimensions: Vec<(String, String)> = dimensions
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), named(value.as_str()?))))
        .collect();
    dimensions.sort_unstable();
    Some(Metric {
        namespace: text(metric, "namespace")?,
        name: text(metric, "name")?,
        dimensions,
        period: seconds(stat.get("period")),
        stat: stat.get("stat").and_then(Value::as_str).map(named),
        returned: entry.get("returnData").and_then(Value::as_bool).unwrap_or(true),
    })
}

/// A whole number above zero, however JSON writes it.
pub(super) fn seconds(value: Option<&Value>) -> Option<u32> {
    let whole = value?.as_u64().or_else(|| value?.as_f64().filter(|f| *f >= 1.0).map(|f| f as u64))?;
    u32::try_from(whole).ok().filter(|n| *n > 0)
}

/// The message of an SNS record: JSON as text.
fn message(text: &str) -> Result<Fired, AlarmError> {
    let value: Value = serde_json::from_str(text).map_err(|_| AlarmError::Message)?;
    let object = value.as_object().ok_or(AlarmError::Message)?;
    // A rule of EventBridge may have a topic for its target.
    if let Some(detail) = object.get("detail").and_then(Value::as_object) {
        return from_event_bus(&value, object, detail);
    }
    if !object.contains_key("AlarmName") {
        return Err(AlarmError::NotAnAlarm { found: found(&value) });
    }
    sns(object)
}

/// The alarm as CloudWatch publishes it to a topic. Its Region is a display name; the code is in the
/// ARN.
fn sns(object: &Map<String, Value>) -> Result<Fired, AlarmError> {
    let arn = text(object, "AlarmArn");
    let (account, region) = place(arn.as_deref(), text(object, "AWSAccountId"), None);
    let trigger = object.get("Trigger").and_then(Value::as_object);
    let metrics = trigger.and_then(|t| t.get("Metrics")).and_then(Value::as_array);
    let series = if object.contains_key("AlarmContributorId") {
        chosen(object.get("AlarmContributorAttributes"), metrics, ["Expression", "Period"])
    } else if metrics.is_some_and(|metrics| metrics.iter().any(|m| is_query(m, "Expression"))) {
        Series::Contributors
    } else if object.contains_key("AlarmRule") {
        Series::None("a composite alarm")
    } else {
        Series::Metrics(trigger.map(sns_metrics).unwrap_or_default())
    };
    Ok(Fired {
        name: name(object, "AlarmName")?,
        account,
        region,
        arn,
        state: name(object, "NewStateValue")?,
        at: time(object, "StateChangeTime")?,
        reason_data: None,
        evaluation_periods: trigger.and_then(|t| seconds(t.get("EvaluationPeriods"))),
        series,
    })
}

fn sns_metrics(trigger: &Map<String, Value>) -> Vec<Metric> {
    match trigger.get("Metrics").and_then(Value::as_array) {
        Some(list) => list
            .iter()
            .filter_map(|entry| {
                let stat = entry.get("MetricStat")?.as_object()?;
                let returned = entry.get("ReturnData").and_then(Value::as_bool).unwrap_or(true);
                sns_metric(stat.get("Metric")?.as_object()?, stat.get("Period"), stat.get("Stat"), returned)
            })
            .collect(),
        None => {
            sns_metric(trigger, trigger.get("Period"), trigger.get("Statistic"), true).into_iter().collect()
        }
    }
}

fn sns_metric(
    metric: &Map<String, Value>,
    period: Option<&Value>,
    stat: Option<&Value>,
    returned: bool,
) -> Option<Metric> {
    let listed = metric.get("Dimensions").and_then(Value::as_array);
    let mut dimensions: Vec<(String, String)> = listed
        .into_iter()
        .flatten()
        .filter_map(|d| Some((named(d.get("name")?.as_str()?), named(d.get("value")?.as_str()?))))
        .collect();
    dimensions.sort_unstable();
    Some(Metric {
        namespace: text(metric, "Namespace")?,
        name: text(metric, "MetricName")?,
        dimensions,
        period: seconds(period),
        stat: stat.and_then(Value::as_str).map(named),
        returned,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_cloudwatch_writes_them() {
        let expected: Timestamp = "2026-11-18T02:14:05.123Z".parse().expect("valid");
        for text in [
            "2026-11-18T02:14:05.123+0000",
            "2026-11-18T02:14:05.123Z",
            "2026-11-18T02:14:05.123+00:00",
            "2026-11-18T07:44:05.123+0530",
        ] {
            assert_eq!(timestamp(text), Some(expected), "{text}");
        }
        let second: Timestamp = "2026-11-18T02:14:05Z".parse().expect("valid");
        assert_eq!(timestamp("2026-11-18T02:14:05+0000"), Some(second));
        for text in ["", "yesterday", "2026-11-18", "2026-13-18T02:14:05Z", "2026-11-18T02:14:05"] {
            assert_eq!(timestamp(text), None, "{text}");
        }
    }

    #[test]
    fn account_and_region_come_from_the_arn_first_and_are_nothing_but_that() {
        let arn = Some("arn:aws:cloudwatch:eu-west-1:123456789012:alarm:nat: the :name");
        let own = (Some("123456789012".to_owned()), Some("eu-west-1".to_owned()));
        assert_eq!(place(arn, Some("999999999999".into()), Some("us-east-1".into())), own);
        assert_eq!(place(None, own.0.clone(), own.1.clone()), own);
        assert_eq!(place(Some("arn:::"), own.0.clone(), own.1.clone()), own);
        assert_eq!(place(None, Some("12345".into()), Some("EU (Ireland)".into())), (None, None));
        assert_eq!(place(None, None, Some("-x; reboot".into())), (None, None));
    }

    #[test]
    fn what_is_no_alarm_is_named_in_a_few_harmless_words() {
        let hostile = serde_json::json!({ "x\n\u{202e}y": { "secret": "s3cr3t" }, "z".repeat(500): 1 });
        assert_eq!(found(&hostile), format!("an object with the keys x??y, {}", "z".repeat(40)));
        assert_eq!(
            found(&serde_json::json!({ "detail-type": "a\nb" })),
            "an EventBridge event of the type a?b"
        );
        assert_eq!(found(&Value::Null), "null");
    }
}
