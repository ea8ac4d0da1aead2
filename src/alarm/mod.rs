//! What fired: every wire shape of a CloudWatch alarm in, an [`Incident`] or a reason to ignore it
//! out. The only place that knows alarm JSON.
//!
//! Read tolerantly from JSON values: the published event types refuse metric math, long periods and
//! alarms without a description, all of which real accounts have.

mod shapes;
mod window;

use serde_json::Value;

use crate::incident::{Alarm, Incident, NatGatewayId, fingerprint};
use shapes::{Fired, Metric, Series};

/// The namespace of the alarms that we answer.
const NAMESPACE: &str = "AWS/NATGateway";
/// The metric of the alarms that we answer.
const METRIC: &str = "ErrorPortAllocation";

const NO_GATEWAY: &str = "an alarm without the dimension NatGatewayId";

/// What one event asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Something to look into.
    Incident(Incident),
    /// The alarm ended: something to tell to those who want to know.
    Ended(Ended),
    /// Nothing to do, which is a normal result.
    Ignored(Ignored),
}

impl Outcome {
    /// The same, of an incident that is to be looked into whatever the metrics say.
    #[must_use]
    pub fn by_itself(self) -> Self {
        match self {
            Self::Incident(incident) => Self::Incident(Incident { one_of_several: false, ..incident }),
            other => other,
        }
    }
}

/// An alarm of ours that went back to OK.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// The alarm.
    pub alarm: Alarm,
    /// Its gateways.
    pub gateways: Vec<NatGatewayId>,
}

impl Ended {
    /// Why nothing is to be done where nobody asked to be told.
    #[must_use]
    pub fn reason(&self) -> String {
        not_alarm(&self.alarm.state)
    }

    /// The same for the same transition, and none of an incident's.
    #[must_use]
    pub fn id(&self) -> String {
        let alarm = &self.alarm;
        let parts = [
            &alarm.account.clone().unwrap_or_default(),
            &alarm.region.clone().unwrap_or_default(),
            &alarm.name,
            &alarm.state,
            &alarm.at.as_second().to_string(),
        ];
        fingerprint(&parts.map(String::as_str).join("\u{0}"))
    }
}

fn not_alarm(state: &str) -> String {
    format!("the alarm went into the state {}, not ALARM", shapes::short(state))
}

/// Why nothing is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// In a sentence, for the log.
    pub reason: String,
    /// The alarm's name, where there is one.
    pub alarm: Option<String>,
}

/// Why an event can't be answered. Nothing of the event itself is repeated but short names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AlarmError {
    /// None of the shapes that alarms arrive in.
    #[error(
        "expected a CloudWatch alarm, as a direct Lambda action, an EventBridge event or in an SNS record; found {found}"
    )]
    NotAnAlarm {
        /// What it was instead, shortened.
        found: String,
    },
    /// An alarm that leaves out what an incident needs.
    #[error("the alarm event lacks a usable {field}: pass it on as CloudWatch sends it")]
    Lacks {
        /// The field.
        field: &'static str,
    },
    /// An alarm that is not on one gateway's metric.
    #[error(
        "expected an alarm on the metric {METRIC} of one NAT gateway; this is {found}: let the function be an action of the metric alarm itself"
    )]
    NotOneGateway {
        /// What sort of alarm it is.
        found: &'static str,
    },
    /// A dimension that is no gateway's id.
    #[error("the alarm's dimension NatGatewayId is unusable")]
    GatewayId(#[from] crate::incident::InvalidIncident),
    /// An SNS record whose message is not JSON.
    #[error(
        "expected the JSON of an alarm as the message of the SNS record: subscribe the function to the topic that the alarm itself publishes to, with nothing between that rewrites the message"
    )]
    Message,
}

/// What each alarm of an event asks for, in order: one for each gateway of a direct action or an
/// EventBridge event, and of each record of an SNS event.
///
/// # Errors
/// When the event is none of the shapes, or its alarm is not on one gateway's metric.
pub fn outcomes_from_event(event: &Value) -> Result<Vec<Outcome>, AlarmError> {
    let outcomes: Result<Vec<Vec<Outcome>>, AlarmError> =
        shapes::fired(event)?.into_iter().map(outcomes).collect();
    Ok(outcomes?.into_iter().flatten().collect())
}

fn outcomes(fired: Fired) -> Result<Vec<Outcome>, AlarmError> {
    let ignored =
        |reason: String| Ok(vec![Outcome::Ignored(Ignored { reason, alarm: Some(fired.name.clone()) })]);
    if fired.state != "ALARM" {
        return Ok(vec![match ended(&fired) {
            Some(ended) => Outcome::Ended(ended),
            None => Outcome::Ignored(Ignored { reason: not_alarm(&fired.state), alarm: Some(fired.name) }),
        }]);
    }
    let series = match &fired.series {
        Series::None(found) => return Err(AlarmError::NotOneGateway { found }),
        Series::Contributors => {
            return ignored(
                "the alarm is on several metrics, and each that is in ALARM is told of by itself".into(),
            );
        }
        Series::Metrics(metrics) => metrics,
    };
    let mut ours: Vec<&Metric> =
        series.iter().filter(|m| m.namespace == NAMESPACE && m.name == METRIC).collect();
    ours.dedup_by(|a, b| a.dimensions == b.dimensions);
    if ours.is_empty() {
        return match series.first() {
            Some(other) => ignored(format!(
                "the alarm is on {} {}, not on {NAMESPACE} {METRIC}",
                shapes::short(&other.namespace),
                shapes::short(&other.name)
            )),
            None => Err(AlarmError::NotOneGateway { found: "an alarm without a metric" }),
        };
    }
    let several = ours.len() > 1;
    ours.into_iter().map(|metric| incident(&fired, metric, several).map(Outcome::Incident)).collect()
}

/// An alarm on our metric that went back to OK.
fn ended(fired: &Fired) -> Option<Ended> {
    let Series::Metrics(metrics) = &fired.series else { return None };
    let ours = metrics.iter().filter(|m| m.namespace == NAMESPACE && m.name == METRIC);
    let ids =
        ours.filter_map(|m| m.dimensions.iter().find(|(name, _)| name == "NatGatewayId")?.1.parse().ok());
    let gateways: Vec<NatGatewayId> = ids.collect();
    (fired.state == "OK" && !gateways.is_empty()).then(|| Ended { alarm: alarm(fired), gateways })
}

fn alarm(fired: &Fired) -> Alarm {
    Alarm {
        name: fired.name.clone(),
        arn: fired.arn.clone(),
        account: fired.account.clone(),
        region: fired.region.clone(),
        state: fired.state.clone(),
        at: fired.at,
    }
}

/// The incident of one gateway, and zone, of the alarm's.
fn incident(fired: &Fired, metric: &Metric, one_of_several: bool) -> Result<Incident, AlarmError> {
    let dimension = |name: &str| metric.dimensions.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    let gateway: NatGatewayId =
        dimension("NatGatewayId").ok_or(AlarmError::NotOneGateway { found: NO_GATEWAY })?.parse()?;
    let (window, errors_reported) = window::window(fired, metric)?;
    Ok(Incident {
        gateway: Some(gateway),
        zone: dimension("AvailabilityZone").map(str::to_owned),
        window: Some(window),
        exact_window: false,
        zone_from_metrics: false,
        // What the alarm counted is of all of them together.
        errors_reported: errors_reported.filter(|_| !one_of_several),
        one_of_several,
        alarm: Some(alarm(fired)),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn arbitrary_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 48, 6, |inner| {
            let key = prop_oneof![
                Just("alarmData".to_owned()),
                Just("detail".to_owned()),
                Just("Records".to_owned()),
                Just("Sns".to_owned()),
                Just("Message".to_owned()),
                Just("state".to_owned()),
                Just("configuration".to_owned()),
                Just("metrics".to_owned()),
                ".{0,6}",
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((key, inner), 0..6)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_event_whatever_makes_it_panic(event in arbitrary_json()) {
            let _ = outcomes_from_event(&event);
        }
    }
}
