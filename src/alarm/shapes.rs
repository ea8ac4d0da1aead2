//! The shapes that one alarm's transition is written in, each brought into the same few fields.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::AlarmError;
use super::watched::{Series, of_contributor, of_metrics, of_one_metric};
use crate::incident::is_account;

/// Longest name that an alarm or a dimension's value can have in CloudWatch; more is not kept.
const NAME: usize = 255;

/// Longest text that is kept of anything else; `reasonData` has at most 4,000 characters.
const TEXT: usize = 4096;

/// The state that an alarm left, as far as the event tells.
#[derive(Clone, Debug)]
pub(super) struct Previous {
    pub(super) state: String,
    /// Since when it was in that state.
    pub(super) at: Option<Timestamp>,
    /// Why it went into that state, in words.
    pub(super) reason: String,
    /// The text of that state's `reasonData`.
    pub(super) reason_data: Option<String>,
}

/// One alarm's transition, whatever brought it.
#[derive(Clone, Debug)]
pub(super) struct Fired {
    pub(super) name: String,
    pub(super) arn: Option<String>,
    pub(super) account: Option<String>,
    pub(super) region: Option<String>,
    pub(super) state: String,
    /// The state that it left, where the event says.
    pub(super) previous: Option<Previous>,
    pub(super) at: Timestamp,
    /// Why, in words.
    pub(super) reason: String,
    /// The text of `reasonData`: JSON within JSON, absent after `SetAlarmState`, from SNS and of contributors.
    pub(super) reason_data: Option<String>,
    /// How many periods are evaluated, where the event says.
    pub(super) evaluation_periods: Option<u32>,
    /// Which of the alarm's contributors it is.
    pub(super) contributor: Option<String>,
    /// What keeps the alarm's actions from being taken.
    pub(super) muted: Option<String>,
    pub(super) series: Series,
    /// All that its owner wrote of what it is on.
    pub(super) written: String,
}

/// What an event says around an alarm.
#[derive(Debug, Default)]
pub(super) struct Around {
    pub(super) arn: Option<String>,
    pub(super) account: Option<String>,
    pub(super) region: Option<String>,
    pub(super) time: Option<String>,
    /// What mutes the alarm's actions, as EventBridge says beside the alarm.
    pub(super) muted: Option<String>,
}

impl Around {
    /// Around a direct action's `alarmData`.
    pub(super) fn of_action(event: &Map<String, Value>) -> Self {
        Self {
            arn: text(event, "alarmArn"),
            account: text(event, "accountId"),
            region: text(event, "region"),
            time: text(event, "time"),
            muted: None,
        }
    }

    /// Around an EventBridge event's `detail`.
    pub(super) fn of_bus(event: &Map<String, Value>) -> Self {
        let arn = event.get("resources").and_then(|r| r.get(0)).and_then(Value::as_str).map(str::to_owned);
        Self {
            arn,
            account: text(event, "account"),
            region: text(event, "region"),
            time: text(event, "time"),
            muted: None,
        }
    }
}

/// A field, whichever letters of its name are capitals.
pub(super) fn get<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    object.get(key).or_else(|| object.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, v)| v))
}

/// A piece of text from outside for an error: short, and of printable ASCII alone.
pub(super) fn short(text: &str) -> String {
    text.chars().take(40).map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}

pub(super) fn text(object: &Map<String, Value>, key: &str) -> Option<String> {
    object.get(key)?.as_str().map(|text| text.chars().take(TEXT).collect())
}

fn name(object: &Map<String, Value>, key: &'static str) -> Result<String, AlarmError> {
    let name = text(object, key).filter(|name| !name.is_empty()).ok_or(AlarmError::Lacks { field: key })?;
    Ok(named(&name))
}

/// As much of a name as CloudWatch allows.
pub(super) fn named(text: &str) -> String {
    text.chars().take(NAME).collect()
}

fn time(object: &Map<String, Value>, key: &'static str) -> Result<Timestamp, AlarmError> {
    object.get(key).and_then(Value::as_str).and_then(timestamp).ok_or(AlarmError::Lacks { field: key })
}

/// Reads a time as CloudWatch writes it: RFC 3339, or with an offset without a colon, `+0000`.
pub(super) fn timestamp(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| Timestamp::strptime("%Y-%m-%dT%H:%M:%S%.f%z", text).ok())
}

/// A whole number above zero, however JSON writes it.
pub(super) fn seconds(value: Option<&Value>) -> Option<u32> {
    let whole = value?.as_u64().or_else(|| value?.as_f64().filter(|f| *f >= 1.0).map(|f| f as u64))?;
    u32::try_from(whole).ok().filter(|n| *n > 0)
}

/// The account and the Region's code, of the ARN where it has them, else of the event's own fields.
/// Either goes into commands and links, so nothing is taken that does not look like one.
fn place(
    arn: Option<&str>,
    account: Option<String>,
    region: Option<String>,
) -> (Option<String>, Option<String>) {
    let part = |n| arn.and_then(|arn| arn.split(':').nth(n)).map(str::to_owned);
    let is_region = |text: &String| {
        (1..=32).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-')
    };
    (
        part(4).filter(|text| is_account(text)).or(account.filter(|text| is_account(text))),
        part(3).filter(is_region).or(region.filter(is_region)),
    )
}

/// What keeps an alarm's actions from being taken, in a few words: a mute rule, or what suppresses a composite
/// alarm's. AWS documents the field of either and not all that may stand in it.
fn muted(data: &Map<String, Value>, state: &Map<String, Value>) -> Option<String> {
    let by = |value: &Value| match value {
        Value::Null | Value::Bool(false) => None,
        Value::String(text) => Some(short(text)),
        Value::Object(detail) => {
            // A rule goes by the last part of its ARN.
            let last = |text: &str| {
                short(text.strip_prefix("arn:").map_or(text, |arn| arn.rsplit(':').next().unwrap_or(arn)))
            };
            let texts: Vec<String> = detail.values().filter_map(Value::as_str).take(3).map(last).collect();
            Some(texts.join(", "))
        }
        _ => Some(String::new()),
    };
    let rule = data.get("muteDetail").and_then(by).map(|by| format!("muted: {by}"));
    rule.or_else(|| state.get("actionsSuppressedBy").and_then(by).map(|by| format!("suppressed: {by}")))
        .map(|said| said.trim_end_matches([' ', ':']).to_owned())
}

/// A transition as Lambda gets it in `alarmData`, and EventBridge in `detail`.
pub(super) fn transition(around: &Around, data: &Map<String, Value>) -> Result<Fired, AlarmError> {
    let state = data.get("state").and_then(Value::as_object).ok_or(AlarmError::Lacks { field: "state" })?;
    let configuration = data.get("configuration").and_then(Value::as_object);
    let metrics = configuration.and_then(|c| c.get("metrics")).and_then(Value::as_array);
    let list = metrics.map_or(&[][..], Vec::as_slice);
    let contributor = data.get("alarmContributor").and_then(Value::as_object);
    let reason_data = text(state, "reasonData");
    let series = if let Some(contributor) = contributor {
        of_contributor(contributor.get("attributes"), list)
    } else if let Some(rule) = configuration.and_then(|c| text(c, "alarmRule")) {
        Series::Children(children(&rule, &triggering(reason_data.as_deref())))
    } else if configuration.is_some_and(|c| c.contains_key("logGroupIdentifiers")) {
        Series::None("an alarm on logs")
    } else {
        of_metrics(list)
    };
    let at = time(state, "timestamp");
    let around_at = || around.time.as_deref().and_then(timestamp);
    let previous = data.get("previousState").and_then(Value::as_object).and_then(|previous| {
        Some(Previous {
            state: text(previous, "value")?,
            at: time(previous, "timestamp").ok(),
            reason: text(previous, "reason").unwrap_or_default(),
            reason_data: text(previous, "reasonData"),
        })
    });
    let (account, region) = place(around.arn.as_deref(), around.account.clone(), around.region.clone());
    Ok(Fired {
        name: name(data, "alarmName")?,
        arn: around.arn.clone(),
        account,
        region,
        state: name(state, "value")?,
        previous,
        // To the second both are the same.
        at: at.or_else(|lacks| around_at().ok_or(lacks))?,
        reason: text(state, "reason").unwrap_or_default(),
        reason_data,
        evaluation_periods: None,
        contributor: contributor.and_then(|contributor| text(contributor, "id")).map(|id| named(&id)),
        muted: around.muted.clone().or_else(|| muted(data, state)),
        series,
        written: written(data, configuration.map(|c| Value::Object(c.clone()))),
    })
}

/// The alarm as CloudWatch publishes it to a topic. Its Region is a display name; the code is in the
/// ARN.
pub(super) fn sns(object: &Map<String, Value>) -> Result<Fired, AlarmError> {
    let arn = text(object, "AlarmArn");
    let (account, region) = place(arn.as_deref(), text(object, "AWSAccountId"), None);
    let trigger = object.get("Trigger").and_then(Value::as_object);
    let metrics = trigger.and_then(|t| t.get("Metrics")).and_then(Value::as_array);
    let list = metrics.map_or(&[][..], Vec::as_slice);
    let contributor = text(object, "AlarmContributorId");
    let triggering = object.get("TriggeringChildren").and_then(Value::as_array);
    let series = if contributor.is_some() || object.contains_key("AlarmContributorAttributes") {
        of_contributor(object.get("AlarmContributorAttributes"), list)
    } else if let Some(rule) = text(object, "AlarmRule") {
        Series::Children(children(&rule, triggering.map_or(&[][..], Vec::as_slice)))
    } else if list.is_empty() {
        trigger.map_or(Series::Metrics(Vec::new()), of_one_metric)
    } else {
        of_metrics(list)
    };
    Ok(Fired {
        name: name(object, "AlarmName")?,
        account,
        region,
        arn,
        state: name(object, "NewStateValue")?,
        previous: text(object, "OldStateValue").map(|state| Previous {
            state,
            at: None,
            reason: String::new(),
            reason_data: None,
        }),
        at: time(object, "StateChangeTime")?,
        reason: text(object, "NewStateReason").unwrap_or_default(),
        reason_data: None,
        evaluation_periods: trigger.and_then(|t| seconds(t.get("EvaluationPeriods"))),
        contributor: contributor.map(|id| named(&id)),
        muted: text(object, "ActionsSuppressedBy").map(|by| format!("suppressed: {}", short(&by))),
        series,
        written: written(object, trigger.map(|trigger| Value::Object(trigger.clone()))),
    })
}

/// An alarm as `aws cloudwatch describe-alarms` prints it: its last transition, and all that was said of it.
pub(super) fn described(object: &Map<String, Value>) -> Result<Fired, AlarmError> {
    let arn = text(object, "AlarmArn");
    let (account, region) = place(arn.as_deref(), None, None);
    let metrics = object.get("Metrics").and_then(Value::as_array);
    let reason_data = text(object, "StateReasonData");
    let list = metrics.map_or(&[][..], Vec::as_slice);
    let series = if let Some(rule) = text(object, "AlarmRule") {
        Series::Children(children(&rule, &triggering(reason_data.as_deref())))
    } else if list.is_empty() {
        of_one_metric(object)
    } else {
        of_metrics(list)
    };
    Ok(Fired {
        name: name(object, "AlarmName")?,
        account,
        region,
        arn,
        state: name(object, "StateValue")?,
        previous: None,
        at: time(object, "StateTransitionedTimestamp").or_else(|_| time(object, "StateUpdatedTimestamp"))?,
        reason: text(object, "StateReason").unwrap_or_default(),
        reason_data,
        evaluation_periods: seconds(object.get("EvaluationPeriods")),
        contributor: None,
        muted: text(object, "ActionsSuppressedBy").map(|by| format!("suppressed: {}", short(&by))),
        series,
        written: written(object, None),
    })
}

/// The text in which an alarm's owner says what it is on, and what for.
fn written(alarm: &Map<String, Value>, on: Option<Value>) -> String {
    let texts = ["alarmName", "AlarmName", "AlarmDescription", "AlarmRule"].map(|key| text(alarm, key));
    let on = on.map(|on| on.to_string());
    texts.into_iter().flatten().chain(on).collect::<Vec<String>>().join("\n")
}

/// The alarms that a composite alarm's `reasonData` says it fired for.
fn triggering(reason_data: Option<&str>) -> Vec<Value> {
    let json: Value = reason_data.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    json.get("triggeringAlarms").and_then(Value::as_array).cloned().unwrap_or_default()
}

/// The names of the alarms beneath a composite one: those that it fired for, else those of its rule.
///
/// Source of the rule's language: `AlarmRule` of `PutCompositeAlarm` in the Amazon CloudWatch API.
fn children(rule: &str, triggering: &[Value]) -> Vec<String> {
    let arn = |child: &Value| {
        let child = child.as_object()?;
        get(child, "Arn").or_else(|| get(child, "AlarmArn")).and_then(Value::as_str).map(str::to_owned)
    };
    let mut names: Vec<String> = triggering.iter().filter_map(arn).map(|arn| name_in(&arn)).collect();
    if names.is_empty() {
        // ALARM("name"), OK(name) or INSUFFICIENT_DATA(arn).
        for function in ["ALARM(", "OK(", "INSUFFICIENT_DATA("] {
            for (place, _) in rule.match_indices(function) {
                let rest = rule[place + function.len()..].trim_start();
                let name = match rest.strip_prefix(['"', '\'']) {
                    Some(quoted) => quoted.split(rest.chars().next().unwrap_or('"')).next(),
                    None => rest.split(')').next(),
                };
                names.extend(name.map(|name| name_in(name.trim())));
            }
        }
    }
    let mut children: Vec<String> = Vec::new();
    for name in names {
        if !name.is_empty() && !children.contains(&name) {
            children.push(name);
        }
    }
    children
}

/// An alarm's name, of its ARN where it is one.
fn name_in(text: &str) -> String {
    let name = text.strip_prefix("arn:").and_then(|rest| rest.split_once(":alarm:")).map(|(_, name)| name);
    named(name.unwrap_or(text))
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
    fn account_and_region_come_from_the_arn_first() {
        let arn = Some("arn:aws:cloudwatch:eu-west-1:123456789012:alarm:nat: the :name");
        let own = (Some("123456789012".to_owned()), Some("eu-west-1".to_owned()));
        assert_eq!(place(arn, Some("999999999999".into()), Some("us-east-1".into())), own);
        assert_eq!(place(None, own.0.clone(), own.1.clone()), own);
        assert_eq!(place(Some("arn:::"), own.0.clone(), own.1.clone()), own);
        assert_eq!(place(None, Some("12345".into()), Some("EU (Ireland)".into())), (None, None));
        assert_eq!(place(None, None, Some("-x; reboot".into())), (None, None));
    }

    #[test]
    fn a_composite_alarms_children_are_those_it_fired_for() {
        let rule = r#"ALARM("nat a") OR (OK(b) AND NOT ALARM('arn:aws:cloudwatch:eu-west-1:1:alarm:c:d'))"#;
        assert_eq!(children(rule, &[]), ["nat a", "c:d", "b"]);
        let fired = [serde_json::json!({ "Arn": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:e" })];
        assert_eq!(children(rule, &fired), ["e"]);
        assert_eq!(children("TRUE", &[]), [""; 0]);
    }
}
