//! What fired: every wire shape of a CloudWatch alarm in, an [`Incident`] or a reason to ignore it
//! out. The only place that knows alarm JSON.
//!
//! Read tolerantly from JSON values: the published event types refuse metric math, long periods and
//! alarms without a description, all of which real accounts have.

mod shapes;
mod window;

use serde_json::Value;

use crate::incident::{Alarm, Incident, NatGatewayId};
use shapes::{Fired, Series};

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
    /// Nothing to do, which is a normal result.
    Ignored(Ignored),
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

/// What each alarm of an event asks for, in order: one for a direct action or an EventBridge event,
/// one for each record of an SNS event.
///
/// # Errors
/// When the event is none of the shapes, or its alarm is not on one gateway's metric.
pub fn outcomes_from_event(event: &Value) -> Result<Vec<Outcome>, AlarmError> {
    shapes::fired(event)?.into_iter().map(outcome).collect()
}

fn outcome(fired: Fired) -> Result<Outcome, AlarmError> {
    let ignored = |reason: String| Ok(Outcome::Ignored(Ignored { reason, alarm: Some(fired.name.clone()) }));
    if fired.state != "ALARM" {
        return ignored(format!("the alarm went into the state {}, not ALARM", shapes::short(&fired.state)));
    }
    let series = match &fired.series {
        Series::None(found) => return Err(AlarmError::NotOneGateway { found }),
        Series::Metrics(metrics) => metrics,
    };
    let ours = |m: &&shapes::Metric| m.namespace == NAMESPACE && m.name == METRIC;
    let Some(metric) = series.iter().find(ours) else {
        return match series.first() {
            Some(other) => ignored(format!(
                "the alarm is on {} {}, not on {NAMESPACE} {METRIC}",
                shapes::short(&other.namespace),
                shapes::short(&other.name)
            )),
            None => Err(AlarmError::NotOneGateway { found: "an alarm without a metric" }),
        };
    };
    let dimension = |name: &str| metric.dimensions.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    let gateway: NatGatewayId =
        dimension("NatGatewayId").ok_or(AlarmError::NotOneGateway { found: NO_GATEWAY })?.parse()?;
    if series.iter().filter(ours).any(|m| m.dimensions != metric.dimensions) {
        return Err(AlarmError::NotOneGateway { found: "an alarm on several gateways or zones" });
    }
    let (window, errors_reported) = window::window(&fired, metric)?;
    Ok(Outcome::Incident(Incident {
        gateway: Some(gateway),
        zone: dimension("AvailabilityZone").map(str::to_owned),
        window: Some(window),
        exact_window: false,
        errors_reported,
        alarm: Some(Alarm {
            name: fired.name,
            arn: fired.arn,
            account: fired.account,
            region: fired.region,
            state: fired.state,
            at: fired.at,
        }),
    }))
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
