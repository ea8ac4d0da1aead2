//! Whether tonight's alarm would get its diagnosis: facts about an account and a Region in, rows that a person
//! can act on out. Pure: what AWS says is looked up elsewhere.

mod agreement;
mod alarms;
mod athena;
mod flow_logs;
mod invocation;
mod room;
mod standing;
mod table;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::diagnosis::region_option;
use crate::gap::Gap;
use crate::network::Network;
use crate::words::{self, counted};

pub use alarms::{Series, Watcher, invokers};
pub use athena::TooLarge;
pub use flow_logs::{InBucket, Probe, Reading, Run, hour_of, latest, plan, reading, recent};
pub use invocation::Invoked;
pub use standing::{Standing, Tell};
pub use table::table;

/// The version of the JSON: fields are added within it, never renamed.
pub const SCHEMA: &str = "nat-triage.doctor.v1";

/// What a diagnosis tonight would be, as far as one row tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tonight {
    /// It would say all that it can say.
    Full,
    /// There would be one, and it would say less.
    Partial,
    /// Nobody would get one.
    None,
}

impl Tonight {
    /// As a row shows it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
            Self::None => "none",
        }
    }
}

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Which gateways there are.
    Gateways,
    /// An alarm that fires, and invokes something.
    Alarm,
    /// Whether the alarms may invoke what they name.
    Invocation,
    /// A flow log that shows the gateway's traffic.
    FlowLog,
    /// Whether Athena would read what is too much to read in place.
    Athena,
    /// Whether Logs Insights takes the questions.
    Questions,
    /// Whether there are records, and what reading them takes.
    Records,
    /// Whether two questions and a plain count say what fits together.
    Agreement,
    /// What is asked about the gateway and its surroundings.
    LookUps,
    /// Whether addresses can be added before a quota is raised.
    Room,
    /// Where reports go.
    Topic,
    /// Where reports are kept.
    Bucket,
    /// Whether the function may invoke itself, to wait for late flow logs.
    LateLogs,
    /// Where reports go as events.
    EventBus,
}

impl Check {
    /// As a row shows it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gateways => "gateways",
            Self::Alarm => "alarm",
            Self::Invocation => "may run",
            Self::FlowLog => "flow log",
            Self::Athena => "athena",
            Self::Questions => "questions",
            Self::Records => "records",
            Self::Agreement => "answers",
            Self::LookUps => "look-ups",
            Self::Room => "room",
            Self::Topic => "topic",
            Self::Bucket => "bucket",
            Self::LateLogs => "late logs",
            Self::EventBus => "event bus",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Row {
    /// The gateway's id, or what else it is about.
    pub about: String,
    /// What was looked at.
    pub check: Check,
    /// What a diagnosis tonight would be, as far as this tells.
    pub tonight: Tonight,
    /// What was found.
    pub says: String,
    /// The one command or step that mends it, or that would show it; null where there is nothing to do.
    pub fix: Option<String>,
}

impl Row {
    fn good(about: &str, check: Check, says: impl Into<String>) -> Self {
        Self { about: about.into(), check, tonight: Tonight::Full, says: says.into(), fix: None }
    }

    fn bad(
        about: &str,
        check: Check,
        tonight: Tonight,
        says: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { about: about.into(), check, tonight, says: says.into(), fix: Some(fix.into()) }
    }

    fn of_gap(about: &str, check: Check, tonight: Tonight, gap: &Gap) -> Self {
        Self::bad(about, check, tonight, format!("{}: {}", gap.what, gap.why), gap.fix.to_string())
    }
}

/// All rows, and what they come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Checkup {
    /// The version of this JSON.
    pub schema: &'static str,
    /// When it was looked.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// The Region that was asked, where one is set.
    pub region: Option<String>,
    /// The worst of the rows.
    pub tonight: Tonight,
    /// What was looked at.
    pub rows: Vec<Row>,
}

impl Checkup {
    /// For machines.
    ///
    /// # Panics
    ///
    /// Never: it holds nothing that JSON cannot.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("it holds nothing that JSON cannot")
    }
}

/// A gateway, and what a diagnosis of it would rest on.
#[derive(Clone, Debug, PartialEq)]
pub struct Examined {
    /// The gateway and what stands around it.
    pub network: Network,
    /// What could not be looked up.
    pub gaps: Vec<Gap>,
    /// Which flow log would be read.
    pub reading: Reading,
    /// What Logs Insights made of the questions; `None` where there is nothing to ask.
    pub probe: Option<Probe>,
}

/// The topic of the reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topic {
    /// None is configured.
    NotSet,
    /// It could not be asked about.
    Unknown(Gap),
    /// There is no such topic.
    Missing(Gap),
    /// What SNS says of it.
    Known {
        /// Its ARN.
        arn: String,
        /// Subscriptions that are confirmed.
        confirmed: u64,
        /// Subscriptions that wait to be confirmed.
        pending: u64,
        /// The KMS key that encrypts its messages, where there is one.
        key: Option<String>,
    },
}

/// The bucket of the reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bucket {
    /// None is configured.
    NotSet,
    /// An object could be written to it.
    Writable(String),
    /// None could be.
    Refused(Gap),
}

/// What was looked up.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// When.
    pub at: Timestamp,
    /// The Region that was asked, where one is set.
    pub region: Option<String>,
    /// The gateways, or why they are not known.
    pub gateways: Result<Vec<Examined>, Gap>,
    /// Gateways that there was no time or room to look at.
    pub passed_over: Vec<String>,
    /// The alarms that may be meant for gateways, or why they are not known.
    pub alarms: Result<Vec<Watcher>, Gap>,
    /// The functions that these alarms invoke.
    pub invoked: Vec<Invoked>,
    /// The topic of the reports.
    pub topic: Topic,
    /// The bucket of the reports.
    pub bucket: Bucket,
    /// Whether the function may invoke itself; `None` where it is not the function that looks.
    pub next_invocation: Option<Result<(), Gap>>,
    /// The event bus of the reports, where there is one.
    pub event_bus: Option<String>,
}

/// The rows of what was looked up.
#[must_use]
pub fn check_up(facts: &Facts) -> Checkup {
    let region = facts.region.as_deref();
    let mut rows = Vec::new();
    let examined = match &facts.gateways {
        Ok(examined) => &examined[..],
        Err(gap) => {
            rows.push(Row::of_gap("the Region", Check::Gateways, Tonight::None, gap));
            &[]
        }
    };
    if facts.gateways.is_ok() && examined.is_empty() && facts.passed_over.is_empty() {
        let says = format!("there is no NAT gateway in {}", region.unwrap_or("this Region"));
        let fix = "ask in the gateways' Region: nat-triage doctor --region REGION";
        rows.push(Row::bad("the Region", Check::Gateways, Tonight::None, says, fix));
    }
    for one in examined {
        rows.push(alarms::row(one, facts.alarms.as_deref(), region));
        rows.extend(flow_logs::rows(one, region));
        rows.extend(room::row(one, region));
    }
    rows.extend(facts.invoked.iter().map(|invoked| invocation::row(invoked, region)));
    rows.extend(look_ups(examined));
    if !facts.passed_over.is_empty() {
        let says = format!(
            "{} not looked at: {}",
            counted(facts.passed_over.len() as u64, "gateway"),
            words::list(&facts.passed_over)
        );
        let fix = "look again when the account is less busy, or ask about each with nat-triage triage --nat-id ID --window START/END";
        rows.push(Row::bad("the Region", Check::Gateways, Tonight::Partial, says, fix));
    }
    rows.push(topic(&facts.topic, region));
    rows.push(bucket(&facts.bucket));
    rows.extend(facts.next_invocation.as_ref().map(late_logs));
    rows.extend(facts.event_bus.as_deref().map(|bus| event_bus(bus, region)));
    let tonight = rows.iter().map(|row| row.tonight).max().unwrap_or(Tonight::None);
    Checkup { schema: SCHEMA, at: facts.at, region: facts.region.clone(), tonight, rows }
}

/// What could not be looked up: one row for all the gateways that miss the same.
fn look_ups(examined: &[Examined]) -> Vec<Row> {
    let mut missing: Vec<(&Gap, Vec<&str>)> = Vec::new();
    for one in examined {
        for gap in &one.gaps {
            match missing.iter_mut().find(|(of, _)| *of == gap) {
                Some((_, gateways)) => gateways.push(name_of(one)),
                None => missing.push((gap, vec![name_of(one)])),
            }
        }
    }
    let complete = examined.iter().filter(|one| one.gaps.is_empty());
    let complete = complete.map(|one| Row::good(name_of(one), Check::LookUps, "every look-up was answered"));
    let incomplete = missing.iter().map(|(gap, gateways)| {
        let about = match gateways[..] {
            [one] => one.to_owned(),
            _ => counted(gateways.len() as u64, "gateway"),
        };
        // The gateway itself may be known in another way, such as by its addresses in the environment.
        Row::of_gap(&about, Check::LookUps, Tonight::Partial, gap)
    });
    complete.chain(incomplete).collect()
}

/// The key of SNS's own, which everybody may use who may publish.
///
/// Source: "Encrypting an Amazon SNS topic", the AWS managed key, in the Amazon SNS developer guide.
const KEY_OF_SNS: &str = "alias/aws/sns";

fn name_of(examined: &Examined) -> &str {
    examined.network.gateway.id.as_ref().map_or("a gateway", |id| id.as_str())
}

fn topic(topic: &Topic, region: Option<&str>) -> Row {
    let row = |tonight, says: String, fix: String| Row::bad("reports", Check::Topic, tonight, says, fix);
    match topic {
        Topic::NotSet => row(
            Tonight::None,
            "no topic is set, so a report is only returned".into(),
            "set NAT_TRIAGE_TOPIC_ARN to the topic's ARN, as the stack's output TopicArn has it".into(),
        ),
        Topic::Missing(gap) => Row::of_gap("reports", Check::Topic, Tonight::None, gap),
        Topic::Unknown(gap) => Row::of_gap("reports", Check::Topic, Tonight::Partial, gap),
        Topic::Known { arn, confirmed: 0, pending: 0, .. } => row(
            Tonight::None,
            format!("nobody is subscribed to {arn}"),
            format!(
                "aws sns subscribe --topic-arn {} --protocol email --notification-endpoint ADDRESS{}",
                words::argument(arn),
                region_option(region)
            ),
        ),
        Topic::Known { arn, confirmed: 0, pending, .. } => row(
            Tonight::None,
            format!("nobody has confirmed {} to {arn}", counted(*pending, "subscription")),
            format!(
                "open the link in the mail that SNS sent; this shows to whom: aws sns list-subscriptions-by-topic --topic-arn {}{}",
                words::argument(arn),
                region_option(region)
            ),
        ),
        Topic::Known { arn, confirmed, pending, key } => {
            let waiting = match pending {
                0 => String::new(),
                more => format!("; {} not confirmed", counted(*more, "more subscription")),
            };
            let says = format!("{arn} has {}{waiting}", counted(*confirmed, "confirmed subscription"));
            match key.as_deref() {
                None | Some(KEY_OF_SNS) => Row::good("reports", Check::Topic, says),
                Some(key) => row(
                    Tonight::Full,
                    format!(
                        "{says}; only a message shows whether the function may use its key {}",
                        words::one_line(key, 200)
                    ),
                    send_message(region),
                ),
            }
        }
    }
}

/// The command that makes the function send a check-up to the readers of its reports.
fn send_message(region: Option<&str>) -> String {
    format!(
        "aws lambda invoke --function-name FUNCTION --cli-binary-format raw-in-base64-out --payload '{{\"doctor\": true, \"tell\": \"always\"}}' out.json{}",
        region_option(region)
    )
}

fn late_logs(tried: &Result<(), Gap>) -> Row {
    match tried {
        Ok(()) => Row::good(
            "reports",
            Check::LateLogs,
            "the function may invoke itself, and so wait for flow logs that arrive late",
        ),
        Err(gap) => Row::of_gap("reports", Check::LateLogs, Tonight::Partial, gap),
    }
}

/// EventBridge has no call that tries without sending.
fn event_bus(bus: &str, region: Option<&str>) -> Row {
    let says = format!("only a message shows whether {} takes events", words::one_line(bus, 200));
    Row::bad("reports", Check::EventBus, Tonight::Full, says, send_message(region))
}

fn bucket(bucket: &Bucket) -> Row {
    match bucket {
        Bucket::NotSet => Row::good(
            "reports",
            Check::Bucket,
            "none is set: reports have no page, and another process may report an alarm again",
        ),
        Bucket::Writable(name) => Row::good("reports", Check::Bucket, format!("{name} takes reports")),
        Bucket::Refused(gap) => Row::of_gap("reports", Check::Bucket, Tonight::Partial, gap),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            at: "2026-11-18T02:00:00Z".parse().expect("valid"),
            region: Some("eu-west-1".into()),
            gateways: Ok(Vec::new()),
            passed_over: Vec::new(),
            alarms: Ok(Vec::new()),
            invoked: Vec::new(),
            topic: Topic::Known {
                arn: "arn:aws:sns:eu-west-1:123456789012:t".into(),
                confirmed: 1,
                pending: 0,
                key: None,
            },
            bucket: Bucket::Writable("reports".into()),
            next_invocation: None,
            event_bus: None,
        }
    }

    #[test]
    fn a_region_without_gateways_is_no_good_news() {
        let checkup = check_up(&facts());
        assert_eq!(checkup.tonight, Tonight::None);
        assert!(checkup.rows[0].fix.as_ref().expect("a fix").ends_with("--region REGION"));
    }

    #[test]
    fn a_topic_without_a_confirmed_reader_is_no_report() {
        let arn = "arn:aws:sns:eu-west-1:123456789012:t";
        for (confirmed, pending, tonight) in
            [(0, 0, Tonight::None), (0, 2, Tonight::None), (1, 0, Tonight::Full), (1, 2, Tonight::Full)]
        {
            let row =
                topic(&Topic::Known { arn: arn.into(), confirmed, pending, key: None }, Some("eu-west-1"));
            assert_eq!(row.tonight, tonight, "{}", row.says);
            assert_eq!(row.fix.is_some(), tonight != Tonight::Full, "{}", row.says);
        }
    }

    #[test]
    fn a_function_that_cannot_go_on_says_less_of_late_logs() {
        let gap = Gap::new("whether it can go on", "denied", "allow lambda:InvokeFunction");
        for (tried, tonight) in [(Ok(()), Tonight::Full), (Err(gap), Tonight::Partial)] {
            let facts = Facts { next_invocation: Some(tried), ..facts() };
            let checkup = check_up(&facts);
            let row = checkup.rows.iter().find(|row| row.check == Check::LateLogs).expect("a row");
            assert_eq!(row.tonight, tonight, "{}", row.says);
        }
    }

    #[test]
    fn an_event_bus_is_tried_by_a_message() {
        let row = event_bus("pager", Some("eu-west-1"));
        assert!(row.says.contains("pager"), "{}", row.says);
        assert!(row.fix.expect("a command").ends_with("out.json --region eu-west-1"));
    }

    #[test]
    fn a_key_of_its_own_is_tried_by_a_message() {
        let of = |key: &str| {
            let arn = "arn:aws:sns:eu-west-1:123456789012:t".to_owned();
            topic(&Topic::Known { arn, confirmed: 1, pending: 0, key: Some(key.to_owned()) }, None)
        };
        let row = of("arn:aws:kms:eu-west-1:123456789012:key/1234abcd");
        assert_eq!(row.tonight, Tonight::Full);
        assert!(row.says.contains("key/1234abcd"), "{}", row.says);
        assert!(row.fix.expect("a command").contains(r#"{"doctor": true, "tell": "always"}"#));
        assert_eq!(of(KEY_OF_SNS).fix, None);
    }
}
