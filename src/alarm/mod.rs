//! What fired: every wire shape of a CloudWatch alarm in, an [`Incident`] or a reason to ignore it
//! out. The only place that knows alarm JSON.
//!
//! An event is opened (what it comes wrapped in), each alarm in it is read (the shapes that a transition is
//! written in, and which metrics it is on), and its minutes are fixed (from its datapoints). All tolerantly,
//! from JSON values: the published event types refuse metric math, long periods and alarms without a
//! description, all of which real accounts have.

mod bounds;
mod by_hand;
mod envelope;
mod ours;
pub(crate) mod query;
mod reason;
mod shapes;
#[cfg(feature = "aws")]
mod typed;
mod watched;
mod window;

use jiff::Timestamp;
use serde_json::Value;

use crate::incident::{Alarm, Incident, NatGatewayId, fingerprint, is_account};
use crate::network::Shape;
pub use bounds::{Beyond, MAX_INCIDENTS, asked_once, bound};
pub use by_hand::{Request, request};
use envelope::{Found, opened};
use ours::{names_ours, speaks_of_nat};
use shapes::{Fired, short};
use watched::{Metric, Series};

/// The namespace of the alarms that we answer.
pub(crate) const NAMESPACE: &str = "AWS/NATGateway";
/// The metric of the alarms that we answer.
pub(crate) const METRIC: &str = "ErrorPortAllocation";

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
    /// An alarm that is made of others, of which its event says no more than the names.
    Composite(Composite),
    /// It ought to ask for something, and we cannot tell for what.
    Unusable(AlarmError),
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

    /// The alarm of an incident.
    #[must_use]
    pub fn alarm(&self) -> Option<&Alarm> {
        match self {
            Self::Incident(incident) => incident.alarm.as_ref(),
            Self::Ended(_) | Self::Ignored(_) | Self::Composite(_) | Self::Unusable(_) => None,
        }
    }

    /// Why it asks for nothing that we could tell.
    #[must_use]
    pub fn into_error(self) -> Option<AlarmError> {
        match self {
            Self::Unusable(error) => Some(error),
            Self::Incident(_) | Self::Ended(_) | Self::Ignored(_) | Self::Composite(_) => None,
        }
    }

    /// The same, of a composite alarm as far as its event alone tells.
    #[must_use]
    pub fn from_event_alone(self) -> Self {
        match self {
            Self::Composite(composite) => composite.from_event_alone(),
            other => other,
        }
    }

    /// The same for the same transition of the same alarm, gateway and zone.
    fn id(&self) -> Option<String> {
        match self {
            Self::Incident(incident) => Some(incident.id()),
            Self::Ended(ended) => Some(ended.id()),
            Self::Ignored(_) | Self::Composite(_) | Self::Unusable(_) => None,
        }
    }
}

/// An alarm that is made of others: which of them is ours, and on which gateway, CloudWatch can say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composite {
    /// Its name.
    pub name: String,
    /// The alarms beneath it, by name: those that it fired for where its event says so, else those of its rule.
    pub children: Vec<String>,
    region: Option<String>,
    muted: Option<String>,
    speaks_of_nat: bool,
}

impl Composite {
    /// What it asks for, as far as its event alone tells: nothing where neither it nor an alarm beneath it
    /// speaks of NAT, else that a person looks which of them it is.
    #[must_use]
    pub fn from_event_alone(self) -> Outcome {
        if self.speaks_of_nat {
            return Outcome::Unusable(self.untold());
        }
        let reason = "a composite alarm, which names neither the metric nor a NAT gateway; where an alarm beneath it is on ErrorPortAllocation, let the function be an action of that one".to_owned();
        Outcome::Ignored(Ignored { reason })
    }

    /// What it asks for, by what `aws cloudwatch describe-alarms` says of the alarms beneath it: the incidents of
    /// those that are in ALARM on our metric.
    #[must_use]
    pub fn with_children(self, described: &Value) -> Vec<Outcome> {
        let of_children = outcomes_from_event(described);
        let asks = |outcome: &Outcome| {
            matches!(outcome, Outcome::Incident(_) | Outcome::Composite(_) | Outcome::Unusable(_))
        };
        // Where CloudWatch knows none of them, it has told nothing.
        let none_known = matches!(of_children[..], [Outcome::Unusable(AlarmError::NotAnAlarm { .. })]);
        let asked: Vec<Outcome> = of_children.into_iter().filter(asks).collect();
        if none_known {
            return vec![self.from_event_alone()];
        }
        if asked.is_empty() {
            let reason =
                "a composite alarm; none of the alarms beneath it is in ALARM on the metric of a NAT gateway";
            return vec![Outcome::Ignored(Ignored { reason: reason.into() })];
        }
        asked
    }

    fn untold(self) -> AlarmError {
        let shown: Vec<String> = self.children.iter().take(MAX_CHILDREN).map(|child| short(child)).collect();
        let more = self.children.len().saturating_sub(MAX_CHILDREN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        // A name that a shell or a terminal might take for more than a name is in no command.
        let plain = |name: &&String| {
            !name.starts_with('-')
                && !name.contains("://")
                && name.chars().all(|c| (c.is_ascii_graphic() || c == ' ') && c != '\'')
        };
        let names = self.children.iter().take(MAX_CHILDREN).filter(plain);
        let names: Vec<String> = names.map(|name| format!("'{name}'")).collect();
        let region = self.region.map_or(String::new(), |region| format!(" --region {region}"));
        let command = format!(
            "aws cloudwatch describe-alarms --alarm-types MetricAlarm --alarm-names {}{region} --output json | nat-triage triage --event -",
            names.join(" ")
        );
        let muted = self.muted.map_or(String::new(), |by| format!(" (its actions were {by})"));
        AlarmError::Composite {
            alarm: format!("{}{muted}", short(&self.name)),
            children: format!("{}{more}", if shown.is_empty() { "none".into() } else { shown.join(", ") }),
            command: Some(command).filter(|_| !names.is_empty()),
        }
    }
}

/// Alarms beneath a composite one that a message names.
const MAX_CHILDREN: usize = 5;

/// An alarm of ours that went back to OK.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// The alarm.
    pub alarm: Alarm,
    /// Its gateways.
    pub gateways: Vec<EndedOf>,
}

/// What ended at one gateway.
#[derive(Debug, Clone, PartialEq)]
pub struct EndedOf {
    /// The gateway.
    pub id: NatGatewayId,
    /// The zone, of a regional gateway's alarm.
    pub zone: Option<String>,
    /// The incident, as the alarm's own event told it when it fired; `None` where this event does not tell of it.
    pub began: Option<Incident>,
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
        let at = alarm.at.as_second().to_string();
        let mut parts = vec![alarm.name.as_str(), &alarm.state, &at];
        parts.extend(self.gateways.iter().map(|of| of.id.as_str()));
        parts.extend(alarm.contributor.as_deref());
        fingerprint(&parts.join("\u{0}"))
    }
}

fn not_alarm(state: &str) -> String {
    format!("the alarm went into the state {}, not ALARM", short(state))
}

/// Why nothing is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// In a sentence, for the log.
    pub reason: String,
}

/// Why an event can't be answered. Nothing of the event itself is repeated but short names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AlarmError {
    /// None of the shapes that alarms arrive in.
    #[error(
        "expected a CloudWatch alarm, as a direct Lambda action, an EventBridge event, or the message of a topic, a queue or a stream; found {found}"
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
    /// An alarm on a query that names no gateway.
    #[error(
        "the alarm {alarm} is on a Metrics Insights query of {METRIC} that names no NAT gateway, and so its event names none: add GROUP BY NatGatewayId to the query, and each gateway is told of by itself"
    )]
    NoGatewayInQuery {
        /// The alarm's name, shortened.
        alarm: String,
    },
    /// An alarm that is made of others.
    #[error(
        "{alarm} is a composite alarm, whose event names the alarms beneath it and no NAT gateway: {children}. Let the function be an action of the one among them that is on {METRIC}"
    )]
    Composite {
        /// The alarm's name, shortened.
        alarm: String,
        /// Those beneath it, shortened.
        children: String,
        /// Asks about those beneath it, and triages the one that is ours.
        command: Option<String>,
    },
    /// A dimension that is no gateway's id.
    #[error("the alarm's dimension NatGatewayId is unusable")]
    GatewayId(#[from] crate::incident::InvalidIncident),
    /// What somebody asked by hand cannot be read.
    #[error(
        "expected {{\"nat_gateway_id\": \"nat-…\", \"window\": \"START/END\"}} with times as in RFC 3339"
    )]
    Request(#[source] crate::incident::InvalidIncident),
    /// Somebody asked by hand without saying about which of several gateways, or there is none.
    #[error("{found}: ask again with \"nat_gateway_id\"")]
    WhichGateway {
        /// Which there are, or why that is not known.
        found: String,
    },
    /// An alarm about minutes that are yet to come.
    #[error(
        "the alarm {alarm} is about minutes until {until}, which are yet to come: the clock of whatever sent its event is wrong, or CloudWatch did not send it"
    )]
    NotYet {
        /// The alarm's name, shortened.
        alarm: String,
        /// The end of its minutes.
        until: Timestamp,
    },
    /// A message that names what is ours and is no JSON.
    #[error(
        "expected the JSON of an alarm as the message of the topic or queue: subscribe the function to the topic that the alarm itself publishes to, with nothing between that rewrites the message"
    )]
    Message,
}

impl AlarmError {
    /// The one command that leads on, where there is one.
    #[must_use]
    pub fn command(&self) -> Option<&str> {
        match self {
            Self::Composite { command, .. } => command.as_deref(),
            _ => None,
        }
    }
}

/// What each alarm of an event asks for, in order: one for each gateway, or for each zone of a regional one, of
/// each alarm in it. What is held twice is asked once. Never empty.
#[must_use]
pub fn outcomes_from_event(event: &Value) -> Vec<Outcome> {
    asked_once(opened(event).into_iter().flat_map(outcomes))
}

/// Whether somebody put the alarm of an incident of this event into ALARM by hand, as
/// `aws cloudwatch set-alarm-state` does: to see whether anything comes of it.
#[must_use]
pub fn is_drill(event: &Value, incident: &Incident) -> bool {
    let id = Some(incident.id());
    let of_query = drill_of_query(event);
    by_hand(event).any(|fired| of_alarm(&fired).iter().any(|outcome| outcome.id() == id))
        || of_query.is_some() && of_query == incident.alarm
}

/// The alarm that somebody put into ALARM by hand, where it is on a query that watches each gateway by itself: no
/// gateway is in ALARM then, and the event names none.
#[must_use]
pub fn drill_of_query(event: &Value) -> Option<Alarm> {
    by_hand(event).find(|fired| matches!(fired.series, Series::Contributors)).map(|fired| alarm(&fired))
}

fn by_hand(event: &Value) -> impl Iterator<Item = Box<Fired>> {
    opened(event).into_iter().filter_map(|found| match found {
        Found::Fired(fired) if is_by_hand(&fired) => Some(fired),
        Found::Fired(_) | Found::Nothing(_) | Found::Unusable(_) => None,
    })
}

/// CloudWatch gives each transition of its own a reason that speaks of a threshold and of datapoints, also where
/// it leaves `reasonData` out. An empty reason was lost on the way.
fn is_by_hand(fired: &Fired) -> bool {
    let reason = fired.reason.to_lowercase();
    let is_of_cloudwatch = ["threshold", "datapoint", "data point"].iter().any(|word| reason.contains(word));
    fired.state == "ALARM"
        && fired.reason_data.is_none()
        && fired.contributor.is_none()
        && !reason.trim().is_empty()
        && !is_of_cloudwatch
}

fn outcomes(found: Found) -> Vec<Outcome> {
    match found {
        Found::Fired(fired) => of_alarm(&fired),
        Found::Nothing(reason) => vec![Outcome::Ignored(Ignored { reason })],
        Found::Unusable(error) => vec![Outcome::Unusable(error)],
    }
}

fn of_alarm(fired: &Fired) -> Vec<Outcome> {
    let ignored = |reason: String| vec![Outcome::Ignored(Ignored { reason })];
    if fired.state != "ALARM" {
        return match ended(fired) {
            Some(ended) => vec![Outcome::Ended(ended)],
            None => ignored(not_alarm(&fired.state)),
        };
    }
    let unusable = |error: AlarmError| vec![Outcome::Unusable(error)];
    let series = match &fired.series {
        Series::Metrics(metrics) => metrics,
        Series::Contributors => {
            return ignored(
                "the alarm is on several metrics, and each that is in ALARM is told of by itself".into(),
            );
        }
        Series::Unnamed => return unusable(AlarmError::NoGatewayInQuery { alarm: short(&fired.name) }),
        Series::Children(children) => {
            let texts = children.iter().chain([&fired.written]);
            return vec![Outcome::Composite(Composite {
                name: fired.name.clone(),
                speaks_of_nat: texts.into_iter().any(|text| speaks_of_nat(text)),
                children: children.clone(),
                region: fired.region.clone().filter(|region| Shape::Region.fits(region)),
                muted: fired.muted.clone(),
            })];
        }
        Series::None(found) if names_ours(&fired.written) => {
            return unusable(AlarmError::NotOneGateway { found });
        }
        Series::None(found) => {
            return ignored(format!("{found}, which names neither the metric nor a NAT gateway"));
        }
    };
    let mut ours: Vec<&Metric> = Vec::new();
    for metric in series.iter().filter(|metric| metric.is_ours()) {
        if ours.iter().all(|other| other.dimensions != metric.dimensions) {
            ours.push(metric);
        }
    }
    if ours.is_empty() {
        return match series.first() {
            Some(other) => ignored(format!(
                "the alarm is on {} {}, not on {NAMESPACE} {METRIC}",
                short(&other.namespace),
                short(&other.name)
            )),
            None if names_ours(&fired.written) => {
                unusable(AlarmError::NotOneGateway { found: "an alarm without a metric" })
            }
            None => ignored("an alarm that names neither the metric nor a NAT gateway".into()),
        };
    }
    let several = ours.len() > 1;
    let one = |metric| incident(fired, metric, several).map_or_else(Outcome::Unusable, Outcome::Incident);
    ours.into_iter().map(one).collect()
}

/// An alarm on our metric that went back to OK from ALARM: what was in no alarm is not over.
fn ended(fired: &Fired) -> Option<Ended> {
    let Series::Metrics(metrics) = &fired.series else { return None };
    let previous = fired.previous.as_ref().filter(|previous| previous.state == "ALARM")?;
    let before = previous.at.map(|at| Fired {
        state: previous.state.clone(),
        previous: None,
        at,
        reason: previous.reason.clone(),
        reason_data: previous.reason_data.clone(),
        ..fired.clone()
    });
    let ours: Vec<&Metric> = metrics.iter().filter(|metric| metric.is_ours()).collect();
    let several = ours.len() > 1;
    let of = |metric: &&Metric| {
        Some(EndedOf {
            id: metric.dimension("NatGatewayId")?.parse().ok()?,
            zone: zone(metric),
            began: before.as_ref().and_then(|before| incident(before, metric, several).ok()),
        })
    };
    let gateways: Vec<EndedOf> = ours.iter().filter_map(of).collect();
    (fired.state == "OK" && !gateways.is_empty()).then(|| Ended { alarm: alarm(fired), gateways })
}

/// The zone that a regional gateway's metric is of.
fn zone(metric: &Metric) -> Option<String> {
    metric.dimension("AvailabilityZone").filter(|zone| Shape::Zone.fits(zone)).map(str::to_owned)
}

fn alarm(fired: &Fired) -> Alarm {
    Alarm {
        name: fired.name.clone(),
        arn: fired.arn.clone(),
        account: fired.account.clone(),
        region: fired.region.clone().filter(|region| Shape::Region.fits(region)),
        state: fired.state.clone(),
        at: fired.at,
        metric_account: None,
        contributor: fired.contributor.clone(),
        muted: fired.muted.clone(),
    }
}

/// The incident of one gateway, and zone, of the alarm's.
fn incident(fired: &Fired, metric: &Metric, one_of_several: bool) -> Result<Incident, AlarmError> {
    let gateway = metric.dimension("NatGatewayId").ok_or(AlarmError::NotOneGateway { found: NO_GATEWAY })?;
    let gateway: NatGatewayId = gateway.parse()?;
    let (window, errors_reported) = window::window(fired, metric)?;
    let elsewhere = metric
        .account
        .clone()
        .filter(|account| is_account(account) && Some(account) != fired.account.as_ref());
    Ok(Incident {
        gateway: Some(gateway),
        zone: zone(metric),
        window: Some(window),
        exact_window: false,
        zone_from_metrics: false,
        // What the alarm counted is of all of them together.
        errors_reported: errors_reported.filter(|_| !one_of_several),
        one_of_several,
        without_errors: is_by_hand(fired) || window::saw_no_error(fired),
        alarm: Some(Alarm { metric_account: elsewhere, ..alarm(fired) }),
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
